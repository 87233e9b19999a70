//! What a role grants: patterns of actions less patterns of exceptions, for each of the two planes.

use serde::{Deserialize, Serialize};

use crate::ground::stored;

/// A role definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    name: String,
    pub(super) permissions: Vec<Permission>,
}

/// One entry of a role's permissions. An exception takes away from its own entry only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub(super) struct Permission {
    pub(super) actions: Vec<String>,
    pub(super) not_actions: Vec<String>,
    pub(super) data_actions: Vec<String>,
    pub(super) not_data_actions: Vec<String>,
}

/// What a right is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plane {
    /// Resources: `actions`.
    Control,
    /// What resources hold: `dataActions`.
    Data,
}

impl Role {
    /// A role with these actions and data actions; `*` stands for any text.
    pub fn new<'a>(
        name: &str,
        actions: impl IntoIterator<Item = &'a str>,
        data_actions: impl IntoIterator<Item = &'a str>,
    ) -> Role {
        let owned = |list: &mut dyn Iterator<Item = &'a str>| list.map(str::to_owned).collect();
        let permission = Permission {
            actions: owned(&mut actions.into_iter()),
            data_actions: owned(&mut data_actions.into_iter()),
            ..Permission::default()
        };
        Role { name: name.to_owned(), permissions: vec![permission] }
    }

    /// A role that grants everything, on both planes.
    pub fn everything() -> Role {
        Role::new("Everything", ["*"], ["*"])
    }

    pub(super) fn of(name: String, permissions: Vec<Permission>) -> Role {
        Role { name, permissions }
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn grants(&self, plane: Plane, action: &str) -> bool {
        self.permissions.iter().any(|permission| permission.grants(plane, action))
    }
}

stored::checked!(Permission);

impl Permission {
    fn check_stored(&self) -> Result<(), &'static str> {
        let lists = [&self.actions, &self.not_actions, &self.data_actions, &self.not_data_actions];
        let known = lists.into_iter().flatten().all(|action| is_action(action));
        if known { Ok(()) } else { Err("a right to what is no action") }
    }

    fn grants(&self, plane: Plane, action: &str) -> bool {
        let (granted, except) = match plane {
            Plane::Control => (&self.actions, &self.not_actions),
            Plane::Data => (&self.data_actions, &self.not_data_actions),
        };
        let matched = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, action));
        matched(granted) && !matched(except)
    }
}

/// Whether a text names an action, or with stars several.
pub(super) fn is_action(text: &str) -> bool {
    let verb = text.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let known = ["read", "write", "delete", "action"].contains(&verb.as_str()) || verb.contains('*');
    let fit = |sign: char| sign.is_ascii_alphanumeric() || "./-_*".contains(sign);
    known && text.chars().all(fit) && (text.contains('/') || text.starts_with('*'))
}

/// Without case, as Azure compares them.
fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = action.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, action, matched) in [
            ("a/b/read", "A/B/Read", true),
            ("a/b/read", "a/b/reads", false),
            ("*", "a/b/read", true),
            ("a/*", "a/b/c/read", true),
            ("a/*/read", "a/b/c/read", true),
            ("a/*/read", "a/read", false),
            ("*/read", "a/b/write", false),
            ("a/*c*/read", "a/b/c/d/read", true),
            ("a/*x*/read", "a/b/c/d/read", false),
            ("a/b*b/read", "a/b/read", false),
            ("", "a/b/read", false),
        ] {
            assert_eq!(matches(pattern, action), matched, "{pattern} {action}");
        }
    }

    #[test]
    fn an_exception_takes_away_from_its_own_entry_only() {
        let entry = |actions: &str, not: &[&str]| Permission {
            data_actions: vec![actions.to_owned()],
            not_data_actions: not.iter().map(|action| (*action).to_owned()).collect(),
            ..Permission::default()
        };
        let mut role = Role::of("r".to_owned(), vec![entry("a/*", &["a/secrets/*"])]);
        assert!(role.grants(Plane::Data, "a/keys/read"));
        assert!(!role.grants(Plane::Data, "a/secrets/read"));
        assert!(!role.grants(Plane::Control, "a/keys/read"));
        role.permissions.push(entry("a/secrets/read", &[]));
        assert!(role.grants(Plane::Data, "a/secrets/read"));
    }
}
