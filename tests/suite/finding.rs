//! How the CA is found in the vaults, and at what price: each call counts against the vault's limits and the
//! deadline, so the tests count the calls.

use std::sync::LazyLock;

use keyholder_emulator::World;
use keyholder_emulator::key_vault::{Import, Stamp};
use keyholder_emulator::operation::Operation;
use keyholder_emulator::world::VAULT;
use keyholder_emulator_local::local_azure::Options;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Name};
use time::OffsetDateTime;
use url::Url;

use crate::harness::GRANT;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::{self, Cloud};
use crate::harness::tap::Tap;
use crate::harness::vaults::import_of;

use Operation::{GetVaultCertificate, ListVaultCertificates, Sign, VaultChallenge};

/// A vault lists its certificates in pages of this size.
const PAGE: usize = 25;
const CROWD: usize = 1000;

/// A world whose vault holds a thousand CAs.
static CROWDED: LazyLock<World> = LazyLock::new(|| {
    let mut world = World { strict: true, ..World::tutorial(7) };
    let (key, now) = (curve_key(), OffsetDateTime::now_utc());
    let key_pem = String::from_utf8(key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    for number in 0..CROWD {
        let certificate = String::from_utf8(certificate(&key, number).to_pem().unwrap()).unwrap();
        let stamp = Stamp::new(now, &mut world.random);
        let import = Import::new(format!("{key_pem}{certificate}")).exportable(false);
        let imported =
            world.key_vaults.import_certificate(VAULT, &format!("crowd-{number:04}"), import, stamp);
        imported.expect("the vault takes it");
    }
    world
});

#[tokio::test]
async fn a_ca_of_the_same_name_costs_one_look_and_one_signature_among_a_thousand() {
    let (first, second) =
        (Authority::root("First Root", Family::P256), Authority::root("Second Root", Family::P256));
    let cloud = crowded().await;
    for (name, ca, challenges) in [("first-ca", &first, 1), ("second-ca", &second, 0)] {
        cloud.import_into(VAULT, name, import_of(ca));
        let before = cloud.journal().len();
        cloud.upload(name, ca).await;
        cloud.until_verified(name).await;
        let calls = vault_calls(&cloud, before);
        let counted: Vec<_> = calls.iter().filter(|call| call.0 != VaultChallenge).cloned().collect();
        let object = format!("{VAULT}/{name}");
        assert_eq!(counted, [(GetVaultCertificate, object.clone()), (Sign, object)], "{}", cloud.story());
        // The vault is asked once, ever, which token to bring, whichever of the SDK's clients needs it first.
        assert_eq!(calls.len() - counted.len(), challenges, "{}", cloud.story());
    }
}

#[tokio::test]
async fn a_ca_of_another_name_is_found_by_its_thumbprint_in_a_list_that_is_read_once_a_minute() {
    let (first, second) =
        (Authority::root("First Root", Family::P256), Authority::root("Second Root", Family::P256));
    let cloud = crowded().await;
    // On the last page.
    for (name, ca) in [("zz-first", &first), ("zz-second", &second)] {
        cloud.import_into(VAULT, name, import_of(ca));
    }
    let pages = (CROWD + 2).div_ceil(PAGE);
    for (name, kept_as, ca, pages) in
        [("line-7-ca", "zz-first", &first, pages), ("line-8-ca", "zz-second", &second, 0)]
    {
        let before = cloud.journal().len();
        cloud.upload(name, ca).await;
        let proof = cloud.until_verified(name).await;
        ca.assert_proven(&proof, &cloud.code(name));

        let mut calls = vault_calls(&cloud, before);
        calls.retain(|(operation, _)| *operation != VaultChallenge);
        let listed = calls.iter().filter(|(operation, _)| *operation == ListVaultCertificates).count();
        assert_eq!(listed, pages, "{name}\n{}", cloud.story());
        calls.retain(|(operation, _)| *operation != ListVaultCertificates);
        let expected = [(GetVaultCertificate, name), (GetVaultCertificate, kept_as), (Sign, kept_as)];
        let expected = expected.map(|(operation, name)| (operation, format!("{VAULT}/{name}")));
        assert_eq!(calls, expected, "{name}\n{}", cloud.story());
    }
}

#[tokio::test]
async fn a_ca_that_is_imported_after_a_miss_is_found_by_the_next_delivery() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.upload("plant-ca", &ca).await;
    assert_eq!(cloud.until_answered("plant-ca").await, 202);
    assert_eq!(cloud.count(Sign), 0, "{}", cloud.story());

    // The list was read a moment ago and does not have it.
    cloud.import_into(VAULT, "kept-under-another-name", import_of(&ca));
    cloud.deliver_again("plant-ca");
    cloud.until_verified("plant-ca").await;
}

#[tokio::test]
async fn a_ca_that_was_renewed_in_the_vault_signs_with_the_version_that_was_uploaded() {
    let (cloud, tap) = Tap::start(cloud::options(), &[VAULT]).await;
    let ages = ["Oldest", "Older", "Newest"].map(|age| Authority::root(age, Family::P256));
    let mut keys = Vec::new();
    for ca in &ages {
        let imported = cloud.person().import_certificate("site-ca", &ca.key_and_certificate(), GRANT).await;
        let kid = imported.expect("the vault takes it").body["kid"].as_str().unwrap().to_owned();
        keys.push(Url::parse(&kid).unwrap().path().to_owned());
    }
    for (ca, key) in ages.iter().zip(&keys) {
        cloud.upload("site-ca", ca).await;
        let proof = cloud.until_verified("site-ca").await;
        ca.assert_proven(&proof, &cloud.code("site-ca"));
        let (_, path) = last_signature(&tap).await;
        assert_eq!(path, format!("{key}/sign"), "{}", cloud.story());

        let etag = cloud.certificate("site-ca", |certificate| certificate.etag().to_string());
        cloud.person().delete("site-ca", &etag).await.expect("DPS answers");
    }
}

#[tokio::test]
async fn vaults_are_searched_in_order() {
    let mut options = cloud::options();
    options.world.key_vaults.add("second-vault");
    let (cloud, tap) = Tap::start(options, &[VAULT, "second-vault"]).await;
    let rows = [
        ("in-both", [Some("in-both"), Some("in-both")], VAULT),
        ("in-the-second", [None, Some("in-the-second")], "second-vault"),
        ("in-the-first-by-thumbprint", [Some("renamed-1"), Some("in-the-first-by-thumbprint")], VAULT),
        ("in-the-second-by-thumbprint", [None, Some("renamed-2")], "second-vault"),
    ];
    for (name, kept_as, expected) in rows {
        let ca = Authority::root(name, Family::P256);
        for (vault, kept_as) in [VAULT, "second-vault"].into_iter().zip(kept_as) {
            if let Some(kept_as) = kept_as {
                cloud.import_into(vault, kept_as, import_of(&ca));
            }
        }
        cloud.upload(name, &ca).await;
        let proof = cloud.until_verified(name).await;
        ca.assert_proven(&proof, &cloud.code(name));
        let (vault, _) = last_signature(&tap).await;
        assert_eq!(vault, expected, "{name}\n{}", cloud.story());
    }
}

/// A cloud with a thousand CAs in its vault that are not wanted.
async fn crowded() -> Cloud {
    Cloud::start_from(Options { world: CROWDED.clone(), ..cloud::options() }).await
}

/// What was asked of the vault since the journal had so many entries.
fn vault_calls(cloud: &Cloud, since: usize) -> Vec<(Operation, String)> {
    let calls = cloud.journal().into_iter().skip(since);
    let calls = calls.filter(|entry| entry.operation.name().starts_with("vault."));
    calls.map(|entry| (entry.operation, entry.object)).collect()
}

/// Vault and path of the last signature that was asked for.
async fn last_signature(tap: &Tap) -> (String, String) {
    let requests = tap.requests().await;
    let last = requests.iter().rfind(|request| request.url.path().ends_with("/sign"));
    let last = last.expect("a signature was asked for");
    let host = last.headers["host"].to_str().unwrap();
    (host.split('.').next().unwrap_or_default().to_owned(), last.url.path().to_owned())
}

fn curve_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

/// One of many, told apart by its serial number. The `openssl` program would take too long for a thousand.
fn certificate(key: &PKey<Private>, number: usize) -> X509 {
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, "One of the Crowd").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(u32::try_from(number).unwrap() + 1).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(365).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}
