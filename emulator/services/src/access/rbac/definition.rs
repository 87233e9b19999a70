//! Role definitions as Azure writes them: what `az role definition create` takes, what `az role definition list`
//! prints, and the resource of Azure Resource Manager; one, or a list of them.
//!
//! A member that nobody knows is refused: misspelt, it would grant nothing, and nobody would know why.

use serde_json::{Map, Value};

use super::role::{Permission, Role, is_action};

/// Why a text holds no role definition, and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// Not JSON.
    #[error("this is not JSON")]
    Json(#[from] serde_json::Error),
    /// JSON of another kind.
    #[error(
        "a role definition is a JSON object with \"actions\" or \"dataActions\", or a list of such objects"
    )]
    Shape,
    /// Nothing is granted, so that it could be left away.
    #[error("role {role:?} grants nothing; name what it grants in \"actions\" or \"dataActions\"")]
    Nothing {
        /// Its name.
        role: String,
    },
    /// Misspelt, most likely.
    #[error("role {role:?} has an unknown member {member:?}; rights are named in {}", LISTS.join(", "))]
    Member {
        /// The role's name.
        role: String,
        /// The member.
        member: String,
    },
    /// Not a list of texts.
    #[error("\"{member}\" of role {role:?} is not a list of actions")]
    List {
        /// The role's name.
        role: String,
        /// The member.
        member: String,
    },
    /// Not an action of Azure.
    #[error(
        "{action:?} of role {role:?} is no action; one reads Company.Provider/type/verb, and * stands for any text"
    )]
    Action {
        /// The role's name.
        role: String,
        /// The text.
        action: String,
    },
    /// What is not emulated.
    #[error("role {role:?} has a condition, and conditions are not emulated")]
    Condition {
        /// The role's name.
        role: String,
    },
}

const LISTS: [&str; 4] = ["actions", "notActions", "dataActions", "notDataActions"];

/// What a definition says besides its rights, in lower case.
const DESCRIBING: [&str; 15] = [
    "assignablescopes",
    "createdby",
    "createdon",
    "description",
    "id",
    "iscustom",
    "name",
    "permissions",
    "properties",
    "rolename",
    "roletype",
    "type",
    "updatedby",
    "updatedon",
    "systemdata",
];

impl Role {
    /// Reads every role definition in a JSON text. Names of members are compared without case.
    pub fn parse(json: &str) -> Result<Vec<Role>, DefinitionError> {
        match serde_json::from_str(json)? {
            Value::Array(items) if !items.is_empty() => items.iter().map(role).collect(),
            item => Ok(vec![role(&item)?]),
        }
    }
}

fn role(definition: &Value) -> Result<Role, DefinitionError> {
    let outer = definition.as_object().ok_or(DefinitionError::Shape)?;
    let inner = member(outer, "properties").and_then(Value::as_object).unwrap_or(outer);
    let name = [(inner, "roleName"), (outer, "roleName"), (outer, "name")]
        .into_iter()
        .find_map(|(object, key)| member(object, key)?.as_str())
        .unwrap_or("without a name")
        .to_owned();
    for (key, _) in outer.iter().chain(inner) {
        if !is_list(key) && !DESCRIBING.contains(&key.to_ascii_lowercase().as_str()) {
            return Err(DefinitionError::Member { role: name, member: key.clone() });
        }
    }
    let permissions = match member(inner, "permissions") {
        Some(Value::Array(entries)) => {
            entries.iter().map(|entry| nested(&name, entry)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(DefinitionError::Shape),
        None if inner.keys().any(|key| is_list(key)) => vec![permission(&name, inner)?],
        None => return Err(DefinitionError::Shape),
    };
    let role = Role::of(name, permissions);
    let grants =
        |permission: &Permission| !permission.actions.is_empty() || !permission.data_actions.is_empty();
    if role.permissions.iter().any(grants) {
        Ok(role)
    } else {
        Err(DefinitionError::Nothing { role: role.name().to_owned() })
    }
}

fn nested(role: &str, entry: &Value) -> Result<Permission, DefinitionError> {
    let entry = entry.as_object().ok_or(DefinitionError::Shape)?;
    for (key, value) in entry {
        let condition = matches!(key.to_ascii_lowercase().as_str(), "condition" | "conditionversion");
        if condition && !value.is_null() {
            return Err(DefinitionError::Condition { role: role.to_owned() });
        }
        if !condition && !is_list(key) {
            return Err(DefinitionError::Member { role: role.to_owned(), member: key.clone() });
        }
    }
    permission(role, entry)
}

fn permission(role: &str, entry: &Map<String, Value>) -> Result<Permission, DefinitionError> {
    let list = |name: &str| list(role, entry, name);
    let [actions, not_actions, data_actions, not_data_actions] = LISTS;
    Ok(Permission {
        actions: list(actions)?,
        not_actions: list(not_actions)?,
        data_actions: list(data_actions)?,
        not_data_actions: list(not_data_actions)?,
    })
}

fn list(role: &str, entry: &Map<String, Value>, name: &str) -> Result<Vec<String>, DefinitionError> {
    let Some(items) = member(entry, name).filter(|value| !value.is_null()) else { return Ok(Vec::new()) };
    let not_a_list = || DefinitionError::List { role: role.to_owned(), member: name.to_owned() };
    let mut actions = Vec::new();
    for item in items.as_array().ok_or_else(not_a_list)? {
        let action = item.as_str().ok_or_else(not_a_list)?;
        if !is_action(action) {
            return Err(DefinitionError::Action { role: role.to_owned(), action: action.to_owned() });
        }
        actions.push(action.to_owned());
    }
    Ok(actions)
}

fn is_list(key: &str) -> bool {
    LISTS.iter().any(|list| list.eq_ignore_ascii_case(key))
}

fn member<'o>(object: &'o Map<String, Value>, name: &str) -> Option<&'o Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::access::rbac::role::Plane;

    const READ: &str = "Microsoft.Devices/provisioningServices/certificates/Read";
    const SIGN: &str = "Microsoft.KeyVault/vaults/keys/sign/action";

    #[test]
    fn a_role_is_read_in_every_form_that_azure_writes() {
        let for_az = json!({
            "Name": "r", "IsCustom": true, "Description": "", "Actions": [READ], "NotActions": [],
            "DataActions": [SIGN], "NotDataActions": [], "AssignableScopes": ["/subscriptions/s"],
        });
        let permissions = json!([{"actions": [READ], "notActions": [], "dataActions": [SIGN]}]);
        let from_az = json!([{
            "assignableScopes": ["/"], "id": "/x", "name": "guid", "roleName": "r", "roleType": "CustomRole",
            "type": "Microsoft.Authorization/roleDefinitions", "createdBy": null,
            "permissions": [{"actions": [READ], "dataActions": [SIGN], "condition": null}],
        }]);
        let resource = json!({"name": "guid", "properties": {"roleName": "r", "permissions": permissions}});
        for definition in [for_az, from_az, resource] {
            let roles = Role::parse(&definition.to_string()).unwrap();
            let [role] = roles.as_slice() else { panic!("{roles:?}") };
            assert_eq!(role.name(), "r");
            assert!(role.grants(Plane::Control, READ) && role.grants(Plane::Data, SIGN), "{definition}");
            assert!(!role.grants(Plane::Control, SIGN) && !role.grants(Plane::Data, READ), "{definition}");
        }
    }

    #[test]
    fn what_is_no_role_says_why_not() {
        for (text, reason) in [
            ("", "this is not JSON"),
            ("[]", "a role definition is a JSON object"),
            ("[7]", "a role definition is a JSON object"),
            (r#"{"name": "r"}"#, "a role definition is a JSON object"),
            (r#"{"name": "r", "actions": []}"#, r#"role "r" grants nothing"#),
            (r#"{"name": "r", "action": ["a/b/read"]}"#, r#"unknown member "action""#),
            (r#"{"name": "r", "permissions": [{"dataAction": []}]}"#, r#"unknown member "dataAction""#),
            (r#"{"name": "r", "actions": "a/b/read"}"#, r#""actions" of role "r" is not a list"#),
            (r#"{"name": "r", "actions": [7]}"#, r#""actions" of role "r" is not a list"#),
            (r#"{"name": "r", "actions": ["a/b/reading"]}"#, r#""a/b/reading" of role "r" is no action"#),
            (r#"{"name": "r", "actions": ["read"]}"#, r#""read" of role "r" is no action"#),
            (r#"{"name": "r", "actions": ["a b/read"]}"#, r#""a b/read" of role "r" is no action"#),
            (
                r#"{"permissions": [{"actions": ["*"], "condition": "x"}]}"#,
                r#"role "without a name" has a condition"#,
            ),
        ] {
            let error = Role::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
