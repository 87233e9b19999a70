//! The ways in which a program says who it is, each through the official client, over the emulator's own sockets.

use std::sync::Arc;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, Transport};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyholder_emulator::World;
use keyholder_emulator::identity::{CLIENT_ID, OPERATOR_CLIENT_ID, OPERATOR_SECRET, Principal};
use keyholder_emulator::names::{ENTRA_ID, MANAGED_IDENTITY};
use keyholder_emulator::operation::Operation;
use keyholder_emulator::rbac::{Rbac, Scope};
use keyholder_emulator::world::TENANT;
use keyholder_emulator_local::app_roles;

use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::{Cloud, options};

#[tokio::test]
async fn an_app_with_workload_identity_gets_its_tokens_from_entra() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let part = |json: String| URL_SAFE_NO_PAD.encode(json);
    let until = time::OffsetDateTime::now_utc().unix_timestamp() + 600;
    let claims = format!(r#"{{"aud":"api://AzureADTokenExchange","exp":{until}}}"#);
    std::fs::write(file.path(), format!("{}.{}.c2ln", part("{}".to_owned()), part(claims))).unwrap();

    let cloud = Cloud::start_with(&[
        ("KEYHOLDER_IDENTITY", "workload"),
        ("AZURE_CLIENT_ID", CLIENT_ID),
        ("AZURE_FEDERATED_TOKEN_FILE", &file.path().display().to_string()),
    ])
    .await;
    let ca = Authority::root("Plant Root", Family::P256);
    cloud.import_ca("root-ca", &ca).await;
    cloud.upload("root-ca", &ca).await;
    cloud.until_verified("root-ca").await;
    assert!(cloud.successes(Operation::GetToken, ENTRA_ID) > 0, "{}", cloud.story());
}

#[tokio::test]
async fn an_app_with_a_user_assigned_identity_has_the_rights_of_that_identity_alone() {
    let assigned = Principal {
        client_id: "11111111-0000-0000-0000-000000000001".to_owned(),
        object_id: "11111111-0000-0000-0000-000000000002".to_owned(),
        resource_id: None,
    };
    let mut options = options();
    let mut world = World { rbac: Rbac::on(), ..options.world };
    world.identity.add_user_assigned(assigned.clone());
    for role in app_roles::of_infrastructure(false) {
        world.rbac.assign(&assigned, role, Scope::everywhere());
    }
    options.world = world;
    options.app_settings.push(("AZURE_CLIENT_ID".to_owned(), assigned.client_id.clone()));

    let cloud = Cloud::start_from(options).await;
    let ca = Authority::root("Plant Root", Family::P256);
    cloud.import_ca("root-ca", &ca).await;
    cloud.upload("root-ca", &ca).await;
    cloud.until_verified("root-ca").await;
    assert!(cloud.successes(Operation::GetToken, MANAGED_IDENTITY) > 0, "{}", cloud.story());
    assert!(cloud.journal().iter().all(|entry| entry.status != 403), "{}", cloud.story());
}

#[tokio::test]
async fn the_sdk_s_client_secret_opens_what_it_should() {
    let cloud = Cloud::start().await;
    let ca = reqwest::Certificate::from_pem(cloud.azure().ca_pem()).unwrap();
    let http = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap();
    let arm = cloud.azure().arm();
    let credential = |secret: &str| {
        let mut custom = CustomConfiguration::default();
        custom.authority_host = arm.to_string();
        let client_options = ClientOptions {
            transport: Some(Transport::new(Arc::new(http.clone()))),
            cloud: Some(Arc::new(CloudConfiguration::Custom(custom))),
            ..Default::default()
        };
        let options = ClientSecretCredentialOptions { client_options };
        ClientSecretCredential::new(
            TENANT,
            OPERATOR_CLIENT_ID.to_owned(),
            secret.to_owned().into(),
            Some(options),
        )
        .unwrap()
    };
    let token = credential(OPERATOR_SECRET)
        .get_token(&["https://management.azure.com/.default"], None)
        .await
        .unwrap();
    let url = format!("{arm}subscriptions?api-version=2022-12-01");
    let answer = http.get(url).bearer_auth(token.token.secret()).send().await.unwrap();
    assert_eq!(answer.status(), 200);

    let error = credential("guess").get_token(&["https://management.azure.com/.default"], None).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("AADSTS7000215") && !error.contains("guess"), "{error}");
}
