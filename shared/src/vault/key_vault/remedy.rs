//! What a person can do about a vault that says no, by the code it says it with.

use crate::vault::{Kind, ObjectId};

/// The sentence for a refusal about an object; `code` is `outer/inner`, as far as there was an inner one.
pub(super) fn for_refusal(status: u16, code: &str, object: &ObjectId) -> Option<String> {
    let inner = code.rsplit('/').next().unwrap_or_default();
    Some(match (inner, object.kind()) {
        ("KeyDisabled" | "SecretDisabled", _) => format!(
            "its owner disabled it, and may have had a reason; only its owner enables it again: {}",
            object.command("set-attributes --enabled true")
        ),
        ("KeyOperationForbidden", _) => {
            format!("allow the operation: {}", object.command("set-attributes --ops sign verify"))
        }
        ("KeyExpired" | "KeyNotYetValid", _) => {
            "the vault signs only while the certificate is valid; renew the CA".to_owned()
        }
        ("ForbiddenByFirewall", _) => format!(
            "let the app's network in: az keyvault network-rule add --name {} --subnet <subnet of the app>",
            object.vault_name()
        ),
        ("AccessDenied", kind) => format!(
            "az keyvault set-policy --name {} --object-id <the app's identity> {}",
            object.vault_name(),
            match kind {
                Kind::Certificate => "--certificate-permissions get list",
                Kind::Key => "--key-permissions get sign",
                Kind::Secret => "--secret-permissions get list",
            }
        ),
        (_, _) if status == 403 => format!(
            "give the app's identity the role \"Keyholder vault, …\" of infra/modules/vault-access.bicep, which has \
             what it needs and no more: az role assignment create --assignee <the app's identity> --role <id of that \
             role> --scope <id of vault {}>",
            object.vault_name()
        ),
        _ => return None,
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
                "Forbidden/KeyDisabled",
                Kind::Key,
                "az keyvault key set-attributes --vault-name my-vault --name ca --enabled true",
            ),
            (
                "Forbidden/SecretDisabled",
                Kind::Secret,
                "az keyvault secret set-attributes --vault-name my-vault --name ca --enabled true",
            ),
            ("Forbidden/KeyOperationForbidden", Kind::Key, "--name ca --ops sign verify"),
            ("Forbidden/KeyExpired", Kind::Key, "renew the CA"),
            ("Forbidden/ForbiddenByFirewall", Kind::Certificate, "network-rule add --name my-vault"),
            (
                "Forbidden/AccessDenied",
                Kind::Key,
                "set-policy --name my-vault --object-id <the app's identity> --key-permissions get sign",
            ),
            ("Forbidden/KeyDisabled", Kind::Key, "its owner disabled it"),
            ("Forbidden/ForbiddenByRbac", Kind::Key, "infra/modules/vault-access.bicep"),
            ("Forbidden/ForbiddenByRbac", Kind::Secret, "az role assignment create"),
        ];
        for (code, kind, expected) in rows {
            let object = ObjectId::newest(&vault, kind, "ca");
            let remedy = for_refusal(403, code, &object).expect(code);
            assert!(remedy.contains(expected), "{code}: {remedy}");
            assert!(!remedy.contains("Key Vault "), "a built-in role is wider than what is needed: {remedy}");
        }
    }
}
