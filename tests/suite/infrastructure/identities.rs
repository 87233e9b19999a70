//! Who has which role where: the identity that signs owns no package, keys can be given one by one, and their use is
//! watched.

use super::bicep::{Resource, Template};

/// The modules that give roles, and whose identity they give them to.
const PRINCIPALS: &[(&str, &str)] = &[
    ("infra/modules/dead-letter-access.bicep", "deadLetters ? topic.identity.principalId : ''"),
    ("infra/modules/host-access.bicep", "app.outputs.hostPrincipalId"),
    ("infra/modules/registry-access.bicep", "app.outputs.principalId"),
    ("infra/modules/vault-access.bicep", "app.outputs.principalId"),
];
const ASSIGNMENT: &str = "Microsoft.Authorization/roleAssignments";
const SIGN: &str = "Microsoft.KeyVault/vaults/keys/sign/action";

type Violations = Vec<String>;

/// Roles are given in four modules, each to the one identity it is for. What the identity that signs may do is in two
/// of them, and neither is about storage.
pub(super) fn principals(templates: &[Template<'_>]) -> Violations {
    let mut violations = Vec::new();
    for template in templates {
        let gives_roles = assignments(template).next().is_some();
        if gives_roles && !PRINCIPALS.iter().any(|(path, _)| *path == template.path) {
            violations.push(format!("{}: roles are given in their own modules, not here", template.path));
        }
        for module in template.modules() {
            let path = module.path.rsplit('/').next().unwrap_or_default();
            let known = PRINCIPALS.iter().find(|(known, _)| known.rsplit('/').next() == Some(path));
            let Some((_, wanted)) = known else { continue };
            let given = template.values(module.node, "principalId");
            let given: Vec<&str> = given.into_iter().map(|value| template.text(value)).collect();
            if given != [*wanted] {
                violations
                    .push(format!("{}: {path} gives its roles to {given:?}, not {wanted:?}", template.path));
            }
        }
    }
    violations
}

/// The host deploys, keeps its state and logs with its own identity; only the app's calls go out with the other.
pub(super) fn settings(templates: &[Template<'_>]) -> Violations {
    let app = "infra/modules/app.bicep";
    let Some(template) = templates.iter().find(|template| template.path == app) else { return Vec::new() };
    let text = |name: &str| -> Vec<&str> {
        let values = template.values(template.root(), name);
        values.into_iter().map(|value| template.text(value)).collect()
    };
    let setting = |name: &str| -> Vec<&str> {
        let lists = template.values(template.root(), "appSettings");
        let objects = lists.into_iter().flat_map(|list| template.of_kind(list, "object"));
        let named = objects.filter(|object| {
            template
                .values(*object, "name")
                .iter()
                .any(|value| template.text(*value).trim_matches('\'') == name)
        });
        named.flat_map(|object| template.values(object, "value")).map(|value| template.text(value)).collect()
    };
    let rows = [
        ("userAssignedIdentityResourceId", text("userAssignedIdentityResourceId"), "host.id"),
        (
            "AzureWebJobsStorage__clientId",
            setting("AzureWebJobsStorage__clientId"),
            "host.properties.clientId",
        ),
        ("AZURE_CLIENT_ID", setting("AZURE_CLIENT_ID"), "clientId"),
    ];
    let wrong = rows.into_iter().filter(|(_, found, wanted)| found != &[*wanted]);
    wrong.map(|(name, found, wanted)| format!("{app}: {name} is {found:?}, not {wanted}")).collect()
}

/// A role on storage is given at a container, never at the account, where the package is as well.
pub(super) fn containers(template: &Template<'_>) -> Violations {
    let resources = template.resources();
    let accounts: Vec<&str> = resources
        .iter()
        .filter(|resource| resource.kind == "Microsoft.Storage/storageAccounts")
        .filter_map(|resource| resource.name(template))
        .collect();
    let wide = assignments(template).filter(|assignment| {
        template
            .values(assignment.node, "scope")
            .first()
            .is_some_and(|at| accounts.contains(&template.text(*at)))
    });
    wide.map(|_| format!("{}: a role is given at the whole storage account", template.path)).collect()
}

/// An assignment is one of its principal: under a name without it, another identity could never take its place.
pub(super) fn names(template: &Template<'_>) -> Violations {
    let nameless = assignments(template).filter(|assignment| {
        let names = template.values(assignment.node, "name");
        !names.first().is_some_and(|name| {
            let text = template.text(*name);
            text.starts_with("guid(") && text.contains("principalId")
        })
    });
    nameless
        .map(|_| format!("{}: the name of a role assignment lacks the principal", template.path))
        .collect()
}

/// To sign is a role of its own, given at single keys where any are named, and else at the vaults.
pub(super) fn keys(templates: &[Template<'_>]) -> Violations {
    let path = "infra/modules/vault-access.bicep";
    let Some(template) = templates.iter().find(|template| template.path == path) else { return Vec::new() };
    let mut violations = Vec::new();
    let lists = template.values(template.root(), "dataActions").into_iter();
    let lists: Vec<_> =
        lists.map(|list| template.strings(list)).filter(|list| list.contains(&SIGN)).collect();
    if lists != [[SIGN]] {
        violations.push(format!("{path}: to sign is not a role of its own: {lists:?}"));
    }
    let signing = assignments(template).filter(|assignment| {
        let role = template.values(assignment.node, "roleDefinitionId");
        role.first().is_some_and(|role| template.text(*role).contains("signingRole.name"))
    });
    let mut found: Vec<(&str, bool)> = signing
        .map(|assignment| {
            let scope = template.values(assignment.node, "scope");
            let scope = scope.first().map(|scope| template.text(*scope)).unwrap_or_default();
            (scope, template.text(assignment.node).contains("if (empty(signingKeys) && "))
        })
        .collect();
    found.sort_unstable();
    if found != [("key[index]", false), ("vault[index]", true)] {
        violations.push(format!("{path}: the right to sign is given at {found:?}"));
    }
    violations
}

/// The vaults' audit log goes where the alert looks, and the alert knows the identity that may sign.
pub(super) fn watch(templates: &[Template<'_>]) -> Violations {
    let rows = [
        ("infra/modules/vault-logs.bicep", "Microsoft.Insights/diagnosticSettings", "category: 'AuditEvent'"),
        (
            "infra/modules/vault-logs.bicep",
            "Microsoft.Insights/diagnosticSettings",
            "logAnalyticsDestinationType: 'Dedicated'",
        ),
        (
            "infra/modules/vault-logs.bicep",
            "Microsoft.Insights/diagnosticSettings",
            "workspaceId: workspaceId",
        ),
        (
            "infra/modules/key-watch.bicep",
            "Microsoft.Insights/scheduledQueryRules",
            "OperationName == \"KeySign\"",
        ),
        (
            "infra/modules/key-watch.bicep",
            "Microsoft.Insights/scheduledQueryRules",
            "signer !in (split(\"SIGNERS\", \",\"))",
        ),
        ("infra/modules/key-watch.bicep", "Microsoft.Insights/scheduledQueryRules", "'SIGNERS', signers)"),
    ];
    let mut violations = Vec::new();
    for (path, kind, wanted) in rows {
        let template = templates.iter().find(|template| template.path == path);
        let says = template.is_some_and(|template| {
            let resources = template.resources();
            let mut of_kind = resources.iter().filter(|resource| resource.kind == kind);
            of_kind.any(|resource| template.text(resource.node).contains(wanted))
        });
        if !says {
            violations.push(format!("{path}: {kind} needs {wanted}"));
        }
    }
    let main = templates.iter().find(|template| template.path == "infra/main.bicep");
    for module in main.iter().flat_map(|main| main.modules()) {
        let watches = ["modules/vault-logs.bicep", "modules/key-watch.bicep"].contains(&module.path);
        if watches && !main.is_some_and(|main| main.text(module.node).contains("if (watchKeys)")) {
            violations.push(format!("infra/main.bicep: {} is not deployed by watchKeys", module.path));
        }
    }
    violations
}

fn assignments<'t>(template: &'t Template<'_>) -> impl Iterator<Item = Resource<'t>> {
    template.resources().into_iter().filter(|resource| resource.kind == ASSIGNMENT)
}
