//! The command that fixes a refusal by a vault.

use crate::error::Refusal;
use crate::vault::{Kind, ObjectId};

/// Returns the remedy for a refusal that concerns an object.
pub(super) fn for_refusal(status: u16, refusal: Refusal, object: &ObjectId) -> Option<String> {
    Some(match (refusal, object.kind()) {
        (Refusal::Disabled, _) => format!(
            "its owner disabled it, and may have had a reason; only its owner enables it again: {}",
            object.command("set-attributes --enabled true")
        ),
        (Refusal::OperationNotAllowed, _) => {
            format!("allow the operation: {}", object.command("set-attributes --ops sign verify"))
        }
        (Refusal::NotValidNow, _) => {
            "the vault signs only while the certificate is valid; renew the CA".to_owned()
        }
        (Refusal::Firewall, _) => format!(
            "let the app's network in: az keyvault network-rule add --name {} --subnet <subnet of the app>",
            object.vault_name()
        ),
        (Refusal::AccessPolicy, kind) => format!(
            "az keyvault set-policy --name {} --object-id <the app's identity> {}",
            object.vault_name(),
            match kind {
                Kind::Certificate => "--certificate-permissions get list",
                Kind::Key => "--key-permissions get sign",
                Kind::Secret => "--secret-permissions get list",
            }
        ),
        (Refusal::Role | Refusal::Other, _) if status == 403 => format!(
            "give the app's identity the role \"Keyholder vault, …\" of infra/modules/vault-access.bicep, which has \
             what it needs and no more: az role assignment create --assignee <the app's identity> --role <id of that \
             role> --scope <id of vault {}>",
            object.vault_name()
        ),
        (Refusal::Role | Refusal::Other, _) => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use url::Url;

    use super::*;

    #[test]
    fn every_refusal_has_its_own_remedy_that_names_the_object() {
        let vault = Arc::new(Url::parse("https://my-vault.vault.azure.net").expect("a URL"));
        let rows = [
            (
                Refusal::Disabled,
                Kind::Key,
                "az keyvault key set-attributes --vault-name my-vault --name ca --enabled true",
            ),
            (
                Refusal::Disabled,
                Kind::Secret,
                "az keyvault secret set-attributes --vault-name my-vault --name ca --enabled true",
            ),
            (Refusal::OperationNotAllowed, Kind::Key, "--name ca --ops sign verify"),
            (Refusal::NotValidNow, Kind::Key, "renew the CA"),
            (Refusal::Firewall, Kind::Certificate, "network-rule add --name my-vault"),
            (
                Refusal::AccessPolicy,
                Kind::Key,
                "set-policy --name my-vault --object-id <the app's identity> --key-permissions get sign",
            ),
            (Refusal::Disabled, Kind::Key, "its owner disabled it"),
            (Refusal::Role, Kind::Key, "infra/modules/vault-access.bicep"),
            (Refusal::Role, Kind::Secret, "az role assignment create"),
        ];
        for (refusal, kind, expected) in rows {
            let object = ObjectId::newest(&vault, kind, "ca");
            let remedy = for_refusal(403, refusal, &object).expect("403 has one");
            assert!(remedy.contains(expected), "{refusal:?}: {remedy}");
            assert!(!remedy.contains("Key Vault "), "a built-in role is wider than what is needed: {remedy}");
        }
    }
}
