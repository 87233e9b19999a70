//! Which data action each operation asks for, as Azure documents them, and over what.

use super::route::Route;
use crate::access::callers::Caller;
use crate::access::rbac::Rights;
use crate::names::{RESOURCE_GROUP, SUBSCRIPTION, TENANT};
use crate::steering::operation::Operation;

/// A right that a caller lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    vault: String,
    action: &'static str,
    resource: String,
}

impl Missing {
    /// What the caller lacks, if it lacks anything.
    pub(super) fn of(route: &Route, rights: Rights<'_>) -> Option<Missing> {
        Missing::at_all(route).filter(|missing| !rights.allow_data(missing.action, &missing.resource))
    }

    /// What somebody without any right lacks.
    pub(super) fn at_all(route: &Route) -> Option<Missing> {
        let action = data_action(route.asked())?;
        Some(Missing { vault: route.vault.clone(), action, resource: resource_id(route) })
    }

    /// As quoted by many users.
    pub(super) fn message(&self, caller: &Caller) -> String {
        let Missing { vault, action, resource } = self;
        let Caller { client_id, object_id } = caller;
        format!(
            "Caller is not authorized to perform action on resource.\r\n\
             If role assignments, deny assignments or role definitions were changed recently, please observe \
             propagation time.\r\n\
             Caller: appid={client_id};oid={object_id};iss=https://sts.windows.net/{TENANT}/\r\n\
             Action: '{action}'\r\n\
             Resource: '{resource}'\r\n\
             Assignment: (not found)\r\n\
             DenyAssignmentId: null\r\n\
             DecisionReason: 'DeniedWithNoValidRBAC' \r\n\
             Vault: {vault};location=westeurope\r\n"
        )
    }
}

/// Every vault is one of the resource group that is there at start. In lower case, as the service quotes it.
fn resource_id(route: &Route) -> String {
    format!(
        "/subscriptions/{SUBSCRIPTION}/resourcegroups/{RESOURCE_GROUP}/providers/microsoft.keyvault/vaults/{}",
        route.path()
    )
    .to_ascii_lowercase()
}

/// `None` for what the vault does not do anyway.
fn data_action(operation: Operation) -> Option<&'static str> {
    use Operation::*;
    Some(match operation {
        GetVaultCertificate
        | ListVaultCertificates
        | GetCertificateOperation
        | GetDeletedVaultCertificate
        | ListDeletedVaultCertificates => "Microsoft.KeyVault/vaults/certificates/read",
        CreateVaultCertificate => "Microsoft.KeyVault/vaults/certificates/create/action",
        ImportVaultCertificate => "Microsoft.KeyVault/vaults/certificates/import/action",
        UpdateVaultCertificate => "Microsoft.KeyVault/vaults/certificates/update/action",
        DeleteVaultCertificate => "Microsoft.KeyVault/vaults/certificates/delete",
        RecoverVaultCertificate => "Microsoft.KeyVault/vaults/certificates/recover/action",
        PurgeVaultCertificate => "Microsoft.KeyVault/vaults/certificates/purge/action",
        GetVaultKey | ListVaultKeys | GetDeletedVaultKey | ListDeletedVaultKeys => {
            "Microsoft.KeyVault/vaults/keys/read"
        }
        CreateVaultKey => "Microsoft.KeyVault/vaults/keys/create/action",
        ImportVaultKey => "Microsoft.KeyVault/vaults/keys/import/action",
        UpdateVaultKey => "Microsoft.KeyVault/vaults/keys/update/action",
        DeleteVaultKey => "Microsoft.KeyVault/vaults/keys/delete",
        RecoverVaultKey => "Microsoft.KeyVault/vaults/keys/recover/action",
        PurgeVaultKey => "Microsoft.KeyVault/vaults/keys/purge/action",
        Sign => "Microsoft.KeyVault/vaults/keys/sign/action",
        GetSecret => "Microsoft.KeyVault/vaults/secrets/getSecret/action",
        ListSecrets | GetDeletedSecret | ListDeletedSecrets => {
            "Microsoft.KeyVault/vaults/secrets/readMetadata/action"
        }
        SetSecret => "Microsoft.KeyVault/vaults/secrets/setSecret/action",
        UpdateSecret => "Microsoft.KeyVault/vaults/secrets/update/action",
        DeleteSecret => "Microsoft.KeyVault/vaults/secrets/delete",
        RecoverSecret => "Microsoft.KeyVault/vaults/secrets/recover/action",
        PurgeSecret => "Microsoft.KeyVault/vaults/secrets/purge/action",
        Vault | VaultChallenge => return None,
        GetToken
        | GetOpenIdMetadata
        | Arm
        | ListCertificates
        | GetCertificate
        | PutCertificate
        | DeleteCertificate
        | GenerateVerificationCode
        | Verify
        | Deliver
        | ValidateEndpoint
        | ConfirmSubscription
        | Invoke
        | Unknown => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::Value;

    use super::super::testing::*;
    use super::super::{Import, NewSecret};
    use crate::access::rbac::{Rbac, Role, Scope};
    use crate::identity::{CLIENT_ID, OBJECT_ID, Principal};

    /// A vault with a certificate and a secret, and an app with these data actions.
    fn lab_with(data_actions: &[String]) -> Lab {
        let mut lab = Lab::new();
        lab.import("ca", Import::new(ca_pem()));
        let stamp = lab.stamp();
        lab.world.key_vaults.set_secret("my-vault", "plain", NewSecret::new("v"), stamp).unwrap();
        lab.world.rbac = Rbac::on();
        let role = Role::new("r", [], data_actions.iter().map(String::as_str));
        lab.world.rbac.assign(&Principal::function_app(), role, Scope::everywhere());
        lab
    }

    /// Each kind of call, and what it asks for.
    fn calls() -> Vec<(Method, &'static str, Option<Value>, &'static str)> {
        let sign = serde_json::json!({"alg": "ES256", "value": "A".repeat(43)});
        vec![
            (Method::GET, "/certificates", None, "certificates/read"),
            (Method::GET, "/certificates/ca", None, "certificates/read"),
            (Method::GET, "/certificates/ca/versions", None, "certificates/read"),
            (Method::GET, "/deletedcertificates", None, "certificates/read"),
            (Method::PATCH, "/certificates/ca", Some(serde_json::json!({})), "certificates/update/action"),
            (Method::GET, "/keys/ca", None, "keys/read"),
            (Method::POST, "/keys/ca//sign", Some(sign), "keys/sign/action"),
            (Method::GET, "/secrets", None, "secrets/readMetadata/action"),
            (Method::GET, "/secrets/plain", None, "secrets/getSecret/action"),
            (
                Method::PUT,
                "/secrets/other",
                Some(serde_json::json!({"value": "v"})),
                "secrets/setSecret/action",
            ),
            (Method::DELETE, "/secrets/plain", None, "secrets/delete"),
        ]
    }

    #[test]
    fn each_call_asks_for_its_own_right_and_no_other() {
        let right = |action: &str| format!("Microsoft.KeyVault/vaults/{action}");
        for (method, path, body, action) in calls() {
            let others: Vec<String> = calls()
                .iter()
                .filter(|(.., other)| *other != action)
                .map(|(.., other)| right(other))
                .collect();
            let send = |rights: &[String]| {
                let mut lab = lab_with(rights);
                let target = format!("{path}?api-version=2025-07-01");
                let response = lab.send(&lab.request(method.clone(), &target, body.as_ref()));
                (response.status(), json(&response))
            };
            assert_eq!(send(&[right(action)]).0, StatusCode::OK, "{method} {path}");
            let (status, refusal) = send(&others);
            assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path}");
            assert_eq!(refusal["error"]["innererror"]["code"], "ForbiddenByRbac");
            let message = refusal["error"]["message"].as_str().unwrap();
            assert!(message.contains(&format!("\r\nAction: '{}'\r\n", right(action))), "{message}");
        }
    }

    #[test]
    fn a_refusal_reads_as_quoted() {
        let mut lab = lab_with(&[]);
        let (status, body) = lab.get("/secrets/Plain?api-version=2025-07-01");
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(body["error"]["code"], "Forbidden");
        let expected = format!(
            "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or \
             role definitions were changed recently, please observe propagation time.\r\nCaller: \
             appid={CLIENT_ID};oid={OBJECT_ID};iss=https://sts.windows.net/{}/\r\nAction: \
             'Microsoft.KeyVault/vaults/secrets/getSecret/action'\r\nResource: '/subscriptions/{}/resourcegroups/{}\
             /providers/microsoft.keyvault/vaults/my-vault/secrets/plain'\r\nAssignment: (not found)\r\n\
             DenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: \
             my-vault;location=westeurope\r\n",
            crate::names::TENANT,
            crate::names::SUBSCRIPTION,
            crate::names::RESOURCE_GROUP,
        );
        assert_eq!(body["error"]["message"], expected);
    }

    #[test]
    fn a_role_may_hold_for_one_object_alone() {
        let mut lab = lab_with(&[]);
        let id = |name: &str| {
            format!(
                "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.KeyVault/vaults/my-vault/secrets/{name}",
                crate::names::SUBSCRIPTION,
                crate::names::RESOURCE_GROUP
            )
        };
        let role = || Role::new("r", [], ["Microsoft.KeyVault/vaults/secrets/*"]);
        let app = Principal::function_app();
        lab.world.rbac.assign(&app, role(), Scope::at(&id("another")));
        assert_eq!(lab.get("/secrets/plain?api-version=7.4").0, StatusCode::FORBIDDEN);
        lab.world.rbac.assign(&app, role(), Scope::at(&id("plain")));
        assert_eq!(lab.get("/secrets/plain?api-version=7.4").0, StatusCode::OK);
        assert_eq!(lab.get("/secrets?api-version=7.4").0, StatusCode::FORBIDDEN, "the vault is above");
    }

    #[test]
    fn rights_are_asked_for_after_the_token_and_before_the_object() {
        let mut lab = lab_with(&[]);
        assert_eq!(lab.get("/secrets/ghost?api-version=7.4").0, StatusCode::FORBIDDEN);
        assert_eq!(lab.get("/secrets/ghost").0, StatusCode::BAD_REQUEST, "no api-version");
        let stranger = http::Request::get("/secrets/plain?api-version=7.4").header("Host", HOST);
        let response = lab.send(&stranger.body(bytes::Bytes::new()).unwrap());
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
}
