//! The deployment, held to what the code says it needs, without Azure. That a rule can fail is tested as well:
//! each has a breach that it has to notice.

mod bicep;
mod compiler;
mod identities;
mod project;
mod rules;

use std::collections::BTreeSet;

use keyholder::{Settings, config};

use project::Project;

const APP: &str = "infra/modules/app.bicep";
const ACCESS_OF_HOST: &str = "infra/modules/host-access.bicep";
const EVENTS: &str = "infra/modules/event-source.bicep";
const LOGS: &str = "infra/modules/vault-logs.bicep";
const MAIN: &str = "infra/main.bicep";
const REGISTRY: &str = "infra/modules/registry-access.bicep";
const STORAGE: &str = "infra/modules/storage.bicep";
const VAULT: &str = "infra/modules/vault-access.bicep";
const WATCH: &str = "infra/modules/key-watch.bicep";

/// The actions and data actions that the deployed roles grant; the latter with those for reading secrets, or without.
pub(crate) fn granted(reads_secrets: bool) -> (Vec<String>, Vec<String>) {
    let project = Project::read();
    let mut granted = rules::granted(&project.templates());
    if reads_secrets {
        granted.data_actions.append(&mut granted.for_secrets);
    }
    (granted.actions, granted.data_actions)
}

#[test]
fn the_deployment_keeps_every_rule() {
    let violations = rules::all(&Project::read());
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_rule_notices_its_breach() {
    let verify = "          'Microsoft.Devices/provisioningServices/certificates/verify/Action'\n";
    let description = "@description('Whether events that could not be delivered are kept.')\n";
    let rows = [
        // Syntax: a bracket that is not closed, a word that is missing.
        (EVENTS, "includedEventTypes: [", "includedEventTypes: ", "this is not Bicep"),
        (APP, "param name string", "param name", "this is not Bicep"),
        // Descriptions.
        (EVENTS, description, "", "parameter deadLetters has no description"),
        (
            EVENTS,
            "@description('Id of the function app.')",
            "@description('')",
            "functionAppId has no description",
        ),
        // Roles: an action less, one more, one that is wider, a right that is not tied to the setting.
        (REGISTRY, verify, "", "keyholder::permissions::ACTIONS"),
        (
            REGISTRY,
            "certificates/Read'",
            "certificates/Read'\n 'Microsoft.Devices/IotHubs/Read'",
            "IotHubs/Read",
        ),
        (REGISTRY, "certificates/Read'", "certificates/*'", "has a wildcard"),
        (VAULT, "vaults/certificates/read'", "vaults/*/read'", "has a wildcard"),
        (VAULT, "keys/sign/action'", "keys/decrypt/action'", "keyholder::permissions::DATA_ACTIONS is"),
        (VAULT, "readMetadata", "setSecret", "DATA_ACTIONS_TO_READ_SECRETS"),
        (
            VAULT,
            "keyAccess == 'read-secret' ?",
            "keyAccess != 'read-secret' ?",
            "depends on the wrong thing, in infra/modules/vault-access.bicep: keyAccess !=",
        ),
        (VAULT, "keyAccess == 'read-secret' ? [", "true ? [", "depends on the wrong thing"),
        (
            ACCESS_OF_HOST,
            "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
            "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
            "not one of the built-in",
        ),
        // Shared keys.
        (
            STORAGE,
            "allowSharedKeyAccess: false",
            "allowSharedKeyAccess: true",
            "needs allowSharedKeyAccess: false",
        ),
        (STORAGE, "    allowSharedKeyAccess: false\n", "", "needs allowSharedKeyAccess: false"),
        (APP, "value: storage.name", "value: storage.listKeys().keys[0].value", "listKeys hands out a key"),
        (
            APP,
            "value: storage.name",
            "value: listAccountSas(storage.id, '2025-06-01', {})",
            "listAccountSas hands out",
        ),
        (APP, "'UserAssignedIdentity'", "'StorageAccountConnectionString'", "is about a shared key"),
        (
            EVENTS,
            "deadLetterWithResourceIdentity: deadLetters ? {",
            "x: deadLetters ? {",
            "with a shared key",
        ),
        (
            "infra/modules/observability.bicep",
            "DisableLocalAuth: true",
            "DisableLocalAuth: false",
            "DisableLocalAuth",
        ),
        (APP, "httpsOnly: true", "httpsOnly: false", "httpsOnly"),
        // Identities: the one that signs has nothing to do with the package, and a name is one of its principal.
        (
            MAIN,
            "app.outputs.hostPrincipalId",
            "app.outputs.principalId",
            "host-access.bicep gives its roles to",
        ),
        (APP, "userAssignedIdentityResourceId: host.id", "userAssignedIdentityResourceId: own.id", "own.id"),
        (
            APP,
            "'AzureWebJobsStorage__clientId', value: host.properties.clientId",
            "'AzureWebJobsStorage__clientId', value: clientId",
            "AzureWebJobsStorage__clientId is",
        ),
        (
            APP,
            "'AZURE_CLIENT_ID', value: clientId",
            "'AZURE_CLIENT_ID', value: host.properties.clientId",
            "AZURE_CLIENT_ID is",
        ),
        (
            APP,
            "resource plan 'Microsoft.Web/serverfarms",
            "resource plan 'Microsoft.Authorization/roleAssignments",
            "in their own modules",
        ),
        (
            ACCESS_OF_HOST,
            "scope: account::blobs::state\n",
            "scope: account\n",
            "at the whole storage account",
        ),
        (VAULT, "guid(id, principalId, role.name)", "guid(id, appName, role.name)", "lacks the principal"),
        // Keys one by one, and who uses them.
        (
            VAULT,
            "vaults/certificates/read'",
            "vaults/certificates/read'\n 'Microsoft.KeyVault/vaults/keys/sign/action'",
            "not a role of its own",
        ),
        (VAULT, "if (empty(signingKeys) && ", "if (true && ", "the right to sign is given at"),
        (VAULT, "scope: key[index]", "scope: vault[index]", "the right to sign is given at"),
        (LOGS, "'AuditEvent'", "'AllMetrics'", "needs category: 'AuditEvent'"),
        (LOGS, "workspaceId: workspaceId", "workspaceId: appName", "needs workspaceId"),
        (WATCH, "\"KeySign\"", "\"SecretGet\"", "KeySign"),
        (WATCH, "'SIGNERS', signers)", "'SIGNERS', '')", "needs 'SIGNERS'"),
        (MAIN, "= if (watchKeys) {", "= if (false) {", "is not deployed by watchKeys"),
        // Events.
        (EVENTS, "ResourceWriteSuccess", "ResourceActionSuccess", "includedEventTypes of the subscription"),
        (EVENTS, "certificates/write", "certificates/delete", "values of the subscription"),
        (EVENTS, "'StringIn'", "'StringContains'", "operatorType of the subscription"),
        (EVENTS, "functions/VerifyOnUpload", "functions/verifyonupload", "there is no function at"),
        (EVENTS, "maxEventsPerBatch: 1", "maxEventsPerBatch: 10", "maxEventsPerBatch of the subscription"),
        (
            EVENTS,
            "maxDeliveryAttempts: 30",
            "maxDeliveryAttempts: 3",
            "maxDeliveryAttempts of the subscription",
        ),
        // App settings: one that is missing, one that nobody reads.
        (
            APP,
            "        { name: 'KEYHOLDER_AT_ONCE', value: string(atOnce) }\n",
            "",
            "KEYHOLDER_AT_ONCE is not given",
        ),
        (APP, "'KEYHOLDER_LOG'", "'KEYHOLDER_LOGS'", "nobody reads the app setting KEYHOLDER_LOGS"),
        (
            APP,
            "'AZURE_CLIENT_ID'",
            "'AZURE_CLIENT_SECRET'",
            "nobody reads the app setting AZURE_CLIENT_SECRET",
        ),
        // What goes together.
        (
            "infra/main.bicep",
            "modules/storage.bicep",
            "modules/store.bicep",
            "no module infra/modules/store.bicep",
        ),
        ("infra/main.bicep", "    keyAccess: keyAccess\n", "", "needs keyAccess"),
        ("infra/main.bicep", "    atOnce: atOnce\n", "    atonce: atOnce\n", "has no parameter atonce"),
        ("infra/main.bicepparam", "param vaults", "param vault", "main.bicep needs vaults"),
        ("azure.yaml", "infra/subscribe.sh", "infra/subscribe", "there is no infra/subscribe"),
        ("azure.yaml", "infra/subscribe.sh", "infra/README.md", "infra/README.md is not executable"),
        (
            "azure.yaml",
            "dist: target/keyholder-functions",
            "dist: target/release",
            "nothing makes target/release",
        ),
        ("azure.yaml", "--package keyholder-package", "--package keyholder", "does not package the app"),
        ("azure.yaml", "module: main", "module: app", "there is no infra/app.bicep"),
    ];
    for (path, from, to, expected) in rows {
        let violations = rules::all(&Project::read().with(path, from, to));
        let noticed = violations.iter().any(|violation| violation.contains(expected));
        assert!(noticed, "{path} with {to:?} for {from:?}: {violations:#?} say nothing of {expected:?}");
    }
}

#[test]
fn what_the_templates_allow_for_a_setting_is_what_the_app_takes() {
    let project = Project::read();
    let templates = project.templates();
    let main = templates.iter().find(|template| template.path == "infra/main.bicep").unwrap();
    let allowed = rules::allowed(main, "keyAccess");
    assert!(!allowed.is_empty());
    for key_access in allowed {
        let settings = Settings::read(|name| {
            Some(match name {
                "KEYHOLDER_REGISTRIES" => "/subscriptions/00000000-0000-0000-0000-000000000000".to_owned(),
                "KEYHOLDER_VAULTS" => "https://my-vault.vault.azure.net".to_owned(),
                "KEYHOLDER_KEY_ACCESS" => key_access.to_owned(),
                // As `environment()` has it, with a slash.
                "KEYHOLDER_ARM_ENDPOINT" => "https://management.azure.com/".to_owned(),
                _ => return None,
            })
        });
        assert!(settings.is_ok(), "{key_access}: {}", settings.unwrap_err());
    }
}

#[test]
fn the_settings_that_triggers_read_are_known() {
    let texts = keyholder_functions::FUNCTIONS.iter().map(|(_, text)| *text);
    let read: BTreeSet<&str> = texts.flat_map(|text| text.split('%').skip(1).step_by(2)).collect();
    assert_eq!(read, config::NAMES_FOR_THE_HOST.iter().copied().collect());
}
