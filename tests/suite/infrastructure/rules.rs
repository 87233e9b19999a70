//! What must hold for the deployment, each as a list of what does not.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keyholder::{config, event, permissions};

use super::bicep::Template;
use super::identities;
use super::project::{Project, root};

/// App settings that belong to the Functions host, not to us.
const OF_THE_HOST: &[&str] = &[
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
];

/// The built-in roles that are given, all of them on resources of this deployment.
const BUILT_IN_ROLES: &[&str] = &[
    "3913510d-42f4-4e42-8a64-420c390055eb", // Monitoring Metrics Publisher
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", // Storage Blob Data Owner
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe", // Storage Blob Data Contributor
];

/// A switch of a resource type, and the value it must have.
const SWITCHES: &[(&str, &str, &str)] = &[
    ("Microsoft.Storage/storageAccounts", "allowSharedKeyAccess", "false"),
    ("Microsoft.Storage/storageAccounts", "allowBlobPublicAccess", "false"),
    ("Microsoft.Storage/storageAccounts", "supportsHttpsTrafficOnly", "true"),
    ("Microsoft.Insights/components", "DisableLocalAuth", "true"),
    ("Microsoft.OperationalInsights/workspaces", "disableLocalAuth", "true"),
    ("Microsoft.Web/sites", "httpsOnly", "true"),
    ("Microsoft.Web/sites", "ftpsState", "'Disabled'"),
];

type Violations = Vec<String>;

pub(super) fn all(project: &Project) -> Violations {
    let templates = project.templates();
    let of_each: [fn(&Template<'_>) -> Violations; 9] = [
        syntax,
        descriptions,
        secrets,
        switches,
        dead_letters,
        wildcards,
        built_in_roles,
        identities::containers,
        identities::names,
    ];
    let of_templates = of_each.iter().flat_map(|rule| templates.iter().flat_map(rule));
    let of_all: [fn(&[Template<'_>]) -> Violations; 8] = [
        roles,
        events,
        app_settings,
        modules,
        identities::principals,
        identities::settings,
        identities::keys,
        identities::watch,
    ];
    let of_the_set = of_all.iter().flat_map(|rule| rule(&templates));
    let of_the_rest = parameter_files(project, &templates).into_iter().chain(azure_yaml(project));
    of_templates.chain(of_the_set).chain(of_the_rest).collect()
}

fn syntax(template: &Template<'_>) -> Violations {
    let lines = template.errors();
    lines.iter().map(|line| format!("{}:{line}: this is not Bicep", template.path)).collect()
}

fn descriptions(template: &Template<'_>) -> Violations {
    let parameters = template.parameters();
    let bare = parameters.iter().filter(|parameter| parameter.description.unwrap_or_default().is_empty());
    bare.map(|parameter| format!("{}: parameter {} has no description", template.path, parameter.name))
        .collect()
}

/// No function that hands out a key, and no setting that holds one.
fn secrets(template: &Template<'_>) -> Violations {
    let calls = template.calls().into_iter().filter(|name| name.to_lowercase().starts_with("list"));
    let calls = calls.map(|name| format!("{}: {name} hands out a key", template.path));
    let strings = template.strings(template.root());
    let in_strings = strings.into_iter().filter(|text| {
        ["AccountKey=", "SharedAccessKey", "SharedAccessSignature", "StorageAccountConnectionString"]
            .iter()
            .any(|sign| text.contains(sign))
    });
    calls.chain(in_strings.map(|text| format!("{}: {text:?} is about a shared key", template.path))).collect()
}

fn switches(template: &Template<'_>) -> Violations {
    let mut violations = Vec::new();
    for resource in template.resources().iter().filter(|resource| !resource.is_existing) {
        for (_, name, wanted) in SWITCHES.iter().filter(|(kind, ..)| *kind == resource.kind) {
            let values: Vec<_> = template.values(resource.node, name);
            if !matches!(values.as_slice(), [value] if template.text(*value) == *wanted) {
                violations.push(format!("{}: {} needs {name}: {wanted}", template.path, resource.kind));
            }
        }
    }
    violations
}

/// Without an identity Event Grid writes them with the account's key.
fn dead_letters(template: &Template<'_>) -> Violations {
    let all = template.values(template.root(), "deadLetterDestination").len();
    let with_identity = template.values(template.root(), "deadLetterWithResourceIdentity");
    let with_identity: usize =
        with_identity.iter().map(|value| template.values(*value, "deadLetterDestination").len()).sum();
    let without = all - with_identity;
    (0..without).map(|_| format!("{}: dead letters are written with a shared key", template.path)).collect()
}

fn wildcards(template: &Template<'_>) -> Violations {
    let lists =
        ["actions", "dataActions"].into_iter().flat_map(|name| template.values(template.root(), name));
    let actions = lists.flat_map(|list| template.strings(list));
    let wild = actions.filter(|action| action.contains('*'));
    wild.map(|action| format!("{}: {action:?} has a wildcard", template.path)).collect()
}

fn built_in_roles(template: &Template<'_>) -> Violations {
    let strings = template.strings(template.root());
    let others = strings.into_iter().filter(|text| is_guid(text) && !BUILT_IN_ROLES.contains(text));
    others.map(|id| format!("{}: {id} is not one of the built-in roles given", template.path)).collect()
}

/// What the roles grant.
#[derive(Debug, Default)]
pub(super) struct Granted {
    pub(super) actions: Vec<String>,
    pub(super) data_actions: Vec<String>,
    /// Data actions besides, where the app may read secrets.
    pub(super) for_secrets: Vec<String>,
    /// What they are tied to.
    conditions: Vec<String>,
}

pub(super) fn granted(templates: &[Template<'_>]) -> Granted {
    let mut granted = Granted::default();
    let owned = |texts: Vec<&str>| -> Vec<String> { texts.into_iter().map(str::to_owned).collect() };
    // Beside actions a list may have the texts of a condition.
    let actions = |texts: Vec<&str>| owned(texts.into_iter().filter(|text| text.contains('/')).collect());
    for template in templates {
        for list in template.values(template.root(), "actions") {
            granted.actions.extend(owned(template.strings(list)));
        }
        for list in template.values(template.root(), "dataActions") {
            let choices = template.of_kind(list, "ternary_expression");
            let conditions = choices.iter().filter_map(|choice| choice.named_child(0));
            let conditions =
                conditions.map(|condition| format!("{}: {}", template.path, template.text(condition)));
            granted.conditions.extend(conditions);
            let of_choices = choices.iter().flat_map(|choice| actions(template.strings(*choice)));
            granted.for_secrets.extend(of_choices);
            granted.data_actions.extend(actions(template.strings(list)));
        }
    }
    granted.data_actions.retain(|action| !granted.for_secrets.contains(action));
    granted
}

/// Three roles are defined, and they say what the code says.
fn roles(templates: &[Template<'_>]) -> Violations {
    let Granted { actions, data_actions, for_secrets, conditions } = granted(templates);
    let others = conditions.iter().filter(|condition| !condition.ends_with(": keyAccess == 'read-secret'"));
    let others = others.map(|condition| format!("a right depends on the wrong thing, in {condition}"));
    let lists = [
        ("ACTIONS", actions, permissions::ACTIONS),
        ("DATA_ACTIONS", data_actions, permissions::DATA_ACTIONS),
        ("DATA_ACTIONS_TO_READ_SECRETS", for_secrets, permissions::DATA_ACTIONS_TO_READ_SECRETS),
    ];
    let differ = lists.into_iter().filter(|(_, granted, used)| granted.as_slice() != *used);
    let differ = differ.map(|(name, granted, used)| {
        format!("the roles grant {granted:?}, and keyholder::permissions::{name} is {used:?}")
    });
    others.chain(differ).collect()
}

fn events(templates: &[Template<'_>]) -> Violations {
    let functions: Vec<String> =
        keyholder_functions::FUNCTIONS.iter().map(|(name, _)| format!("/functions/{name}")).collect();
    let mut violations = Vec::new();
    let mut subscriptions = 0;
    for template in templates {
        let resources = template.resources();
        let of_kind = "Microsoft.EventGrid/systemTopics/eventSubscriptions";
        for subscription in resources.iter().filter(|resource| resource.kind == of_kind) {
            subscriptions += 1;
            let literals = |name: &str| -> Vec<&str> {
                let values = template.values(subscription.node, name);
                values.iter().map(|value| template.text(*value).trim_matches('\'')).collect()
            };
            let strings = |name: &str| -> Vec<&str> {
                let values = template.values(subscription.node, name);
                values.iter().flat_map(|value| template.strings(*value)).collect()
            };
            let rows = [
                ("includedEventTypes", strings("includedEventTypes"), vec![event::EVENT_TYPE]),
                ("key", literals("key"), vec!["data.operationName"]),
                ("operatorType", literals("operatorType"), vec!["StringIn"]),
                ("values", strings("values"), vec![event::OPERATION_NAME]),
                ("maxEventsPerBatch", literals("maxEventsPerBatch"), vec!["1"]),
                ("maxDeliveryAttempts", literals("maxDeliveryAttempts"), vec!["30"]),
                ("eventTimeToLiveInMinutes", literals("eventTimeToLiveInMinutes"), vec!["1440"]),
            ];
            let wrong = rows.into_iter().filter(|(_, found, wanted)| found != wanted);
            violations.extend(wrong.map(|(name, found, wanted)| {
                format!("{}: {name} of the subscription is {found:?}, not {wanted:?}", template.path)
            }));
            let destination = strings("destination").join(" ");
            if !functions.iter().any(|function| destination.ends_with(function.as_str())) {
                violations.push(format!("{}: there is no function at {destination:?}", template.path));
            }
        }
    }
    if subscriptions != 1 {
        violations.push(format!("there are {subscriptions} kinds of event subscription, not one"));
    }
    violations
}

/// The app is told what it reads, and nothing that nobody reads.
fn app_settings(templates: &[Template<'_>]) -> Violations {
    let mut given = Vec::new();
    for template in templates {
        for list in template.values(template.root(), "appSettings") {
            let names = template.values(list, "name");
            given.extend(names.into_iter().map(|name| template.text(name).trim_matches('\'')));
        }
    }
    let given_once: BTreeSet<&str> = given.iter().copied().collect();
    let read = [config::NAMES, config::NAMES_FOR_THE_HOST, OF_THE_HOST].concat();
    let read: BTreeSet<&str> = read.into_iter().collect();
    let missing = read.difference(&given_once).map(|name| format!("the app setting {name} is not given"));
    let unknown = given_once.difference(&read).map(|name| format!("nobody reads the app setting {name}"));
    let twice = given.len() - given_once.len();
    let twice = (0..twice).map(|_| "an app setting is given twice".to_owned());
    missing.chain(unknown).chain(twice).collect()
}

/// A module is given what it asks for.
fn modules(templates: &[Template<'_>]) -> Violations {
    let mut violations = Vec::new();
    for template in templates {
        let folder = template.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for module in template.modules() {
            let path = format!("{folder}/{}", module.path);
            let Some(target) = templates.iter().find(|other| other.path == path) else {
                violations.push(format!("{}: there is no module {path}", template.path));
                continue;
            };
            violations.extend(given(template.path, target, &module.parameters));
        }
    }
    violations
}

/// So is a template by its parameter file.
fn parameter_files(project: &Project, templates: &[Template<'_>]) -> Violations {
    let mut violations = Vec::new();
    for (path, text) in project.parameter_files() {
        let used = text.lines().find_map(|line| line.strip_prefix("using './")).unwrap_or_default();
        let used = format!("infra/{}", used.trim_end_matches('\''));
        let names = text.lines().filter_map(|line| line.strip_prefix("param ")?.split(' ').next());
        match templates.iter().find(|template| template.path == used) {
            Some(target) => violations.extend(given(path, target, &names.collect::<Vec<_>>())),
            None => violations.push(format!("{path}: there is no template {used}")),
        }
    }
    violations
}

fn given(by: &str, target: &Template<'_>, names: &[&str]) -> Violations {
    let parameters = target.parameters();
    let unknown = names.iter().filter(|name| parameters.iter().all(|parameter| parameter.name != **name));
    let unknown = unknown.map(|name| format!("{by}: {} has no parameter {name}", target.path));
    let required = parameters.iter().filter(|parameter| !parameter.has_default);
    let missing = required.filter(|parameter| !names.contains(&parameter.name));
    let missing = missing.map(|parameter| format!("{by}: {} needs {}", target.path, parameter.name));
    unknown.chain(missing).collect()
}

/// `azd` finds what `azure.yaml` names. The file is flat enough to be read line by line.
fn azure_yaml(project: &Project) -> Violations {
    let value = |key: &str| -> Vec<&str> {
        let lines = project.text("azure.yaml").lines();
        let values = lines.filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "));
        values.map(str::trim).collect()
    };
    let mut violations = Vec::new();
    let template = format!("{}/{}.bicep", value("path").join("|"), value("module").join("|"));
    let (commands, scripts): (Vec<_>, Vec<_>) = value("run").into_iter().partition(|run| run.contains(' '));
    let mut paths = scripts.clone();
    paths.extend(value("project"));
    paths.push(&template);
    let missing = paths.iter().filter(|path| !root().join(path).exists());
    violations.extend(missing.map(|path| format!("azure.yaml: there is no {path}")));
    let scripts = scripts.into_iter().filter(|path| root().join(path).exists());
    let plain = scripts.filter(|path| !is_executable(&root().join(path)));
    violations.extend(plain.map(|path| format!("azure.yaml: {path} is not executable")));
    let others = commands.into_iter().filter(|command| !command.starts_with(keyholder_package::COMMAND));
    violations.extend(others.map(|command| format!("azure.yaml: {command:?} does not package the app")));
    let unmade = value("dist").into_iter().filter(|dist| *dist != keyholder_package::FOLDER);
    violations.extend(unmade.map(|dist| format!("azure.yaml: nothing makes {dist}")));
    for key in ["run", "project", "dist", "path", "module"] {
        if value(key).is_empty() {
            violations.push(format!("azure.yaml: there is no {key}"));
        }
    }
    violations
}

/// `azd` starts a hook by its path.
fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o100 != 0)
}

fn is_guid(text: &str) -> bool {
    text.len() == 36 && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

/// What a parameter of `main.bicep` may be.
pub(super) fn allowed<'a>(template: &Template<'a>, name: &str) -> Vec<&'a str> {
    let parameters = template.parameters().into_iter();
    parameters.filter(|parameter| parameter.name == name).flat_map(|parameter| parameter.allowed).collect()
}
