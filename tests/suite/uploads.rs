//! The whole way: somebody uploads a CA certificate and lets go, and a moment later it is verified.

use keyholder_emulator::event_grid::Schema;
use keyholder_emulator::operation::Operation;

use crate::harness::GRANT;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::{self, Cloud};

/// Roots and intermediates with both kinds of keys.
fn authorities() -> [(&'static str, Authority); 4] {
    let rsa = Authority::root("Factory Root", Family::Rsa2048);
    let curve = Authority::root("Plant Root", Family::P256);
    [
        ("rsa-intermediate-ca", rsa.intermediate("Line 7", Family::Rsa2048)),
        ("p256-intermediate-ca", curve.intermediate("Line 8", Family::P256)),
        ("rsa-root-ca", rsa),
        ("p256-root-ca", curve),
    ]
}

#[tokio::test]
async fn an_uploaded_ca_is_verified_with_a_proof_that_openssl_takes() {
    let authorities = authorities();
    for schema in [Schema::EventGrid, Schema::CloudEvents] {
        for key_access in ["sign-in-vault", "read-secret"] {
            let row = format!("{schema:?}, {key_access}");
            let mut options = cloud::options();
            options.schema = schema;
            options.app_settings = vec![("KEYHOLDER_KEY_ACCESS".to_owned(), key_access.to_owned())];
            let cloud = Cloud::start_from(options).await;
            for (name, ca) in &authorities {
                match key_access {
                    "sign-in-vault" => cloud.import_ca(name, ca).await,
                    _ => cloud.store_pem_secret(name, ca, GRANT).await,
                }
                cloud.upload(name, ca).await;
            }
            for (name, ca) in &authorities {
                let proof = cloud.until_verified(name).await;
                ca.assert_proven(&proof, &cloud.code(name));
                assert_eq!(cloud.until_answered(name).await, 202, "{row}, {name}");
            }
            let (signed, pulled) = (cloud.count(Operation::Sign), cloud.count(Operation::GetSecret));
            let expected = if key_access == "sign-in-vault" { (4, 0) } else { (0, 4) };
            assert_eq!((signed, pulled), expected, "{row}\n{}", cloud.story());
        }
    }
}

#[tokio::test]
async fn a_ca_kept_as_a_pfx_is_pulled_too() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start_with(&[("KEYHOLDER_KEY_ACCESS", "read-secret")]).await;
    cloud.person().set_secret("plant-ca", &ca.pfx(), GRANT).await.expect("the vault takes the secret");
    cloud.upload("plant-ca", &ca).await;
    let proof = cloud.until_verified("plant-ca").await;
    ca.assert_proven(&proof, &cloud.code("plant-ca"));
}

#[tokio::test]
async fn a_ca_in_the_vault_signs_there_even_where_pulling_keys_is_allowed() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start_with(&[("KEYHOLDER_KEY_ACCESS", "read-secret")]).await;
    cloud.import_ca("plant-ca", &ca).await;
    cloud.store_pem_secret("plant-ca-backup", &ca, GRANT).await;
    cloud.upload("plant-ca", &ca).await;
    cloud.until_verified("plant-ca").await;
    assert_eq!(cloud.count(Operation::GetSecret), 0, "{}", cloud.story());
}

#[tokio::test]
async fn a_ca_is_found_by_its_thumbprint_whatever_its_name_in_the_vault() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.import_ca("kept-under-another-name", &ca).await;
    // Dots and underscores are for the registry only; the vault has no such names.
    cloud.upload("plant.ca_2", &ca).await;
    let proof = cloud.until_verified("plant.ca_2").await;
    ca.assert_proven(&proof, &cloud.code("plant.ca_2"));
}

#[tokio::test]
async fn a_ca_that_was_replaced_needs_and_gets_a_new_proof() {
    let (old, new) = (Authority::root("Old Root", Family::P256), Authority::root("New Root", Family::P256));
    let cloud = Cloud::start().await;
    cloud.import_ca("old-ca", &old).await;
    cloud.import_ca("new-ca", &new).await;
    cloud.upload("site-ca", &old).await;
    cloud.until_verified("site-ca").await;

    let etag = cloud.certificate("site-ca", |certificate| certificate.etag().to_string());
    let deleted = cloud.person().delete("site-ca", &etag).await.expect("DPS answers");
    assert_eq!(deleted.status, 200);
    cloud.upload("site-ca", &new).await;
    let proof = cloud.until_verified("site-ca").await;
    new.assert_proven(&proof, &cloud.code("site-ca"));
    assert_eq!(cloud.successes(Operation::Verify, "site-ca"), 2);
}
