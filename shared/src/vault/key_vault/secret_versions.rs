//! Which versions of a secret count: the one that is read, and the newest, whose grant has to agree.

use azure_security_keyvault_secrets::models::SecretProperties;
use time::OffsetDateTime;

/// What is kept of a list of versions, however long it is.
#[derive(Default)]
pub(super) struct SecretVersions {
    /// The newest enabled version; the newest of all where none is enabled.
    pub(super) preferred: Option<SecretProperties>,
    /// The versions that may be the newest, whether enabled or not. Moments have whole seconds, so there can be several;
    /// a version without a moment is one of them.
    pub(super) newest: Vec<SecretProperties>,
}

impl SecretVersions {
    /// Adds a version of the list.
    pub(super) fn with(mut self, version: SecretProperties) -> SecretVersions {
        let at = created(&version);
        let last = self.newest.iter().filter_map(created).max();
        if at.is_none() || at >= last {
            if at > last {
                self.newest.retain(|other| created(other).is_none());
            }
            self.newest.push(version.clone());
        }
        if self.preferred.as_ref().is_none_or(|preferred| rank(&version) >= rank(preferred)) {
            self.preferred = Some(version);
        }
        self
    }
}

fn created(version: &SecretProperties) -> Option<OffsetDateTime> {
    version.attributes.as_ref().and_then(|attributes| attributes.created)
}

fn rank(version: &SecretProperties) -> (bool, Option<OffsetDateTime>) {
    let disabled = version.attributes.as_ref().is_some_and(|attributes| attributes.enabled == Some(false));
    (!disabled, created(version))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn version(id: usize, enabled: bool, at: Option<i64>) -> SecretProperties {
        let attributes = json!({ "enabled": enabled, "created": at });
        let properties = json!({ "id": id.to_string(), "attributes": attributes });
        serde_json::from_value(properties).expect("properties of a secret")
    }

    proptest! {
        #[test]
        fn the_versions_kept_are_those_that_a_look_at_all_of_them_would_choose(
            all in prop::collection::vec((any::<bool>(), prop::option::of(0_i64..4)), 0..8)
        ) {
            let versions = all.iter().enumerate().map(|(id, (enabled, at))| version(id, *enabled, *at));
            let chosen = versions.fold(SecretVersions::default(), SecretVersions::with);

            let preferred = (0..all.len()).max_by_key(|index| all[*index]).map(|id| id.to_string());
            prop_assert_eq!(chosen.preferred.and_then(|version| version.id), preferred);
            let last = all.iter().filter_map(|(_, at)| *at).max();
            let newest: Vec<String> =
                (0..all.len()).filter(|id| all[*id].1.is_none_or(|at| Some(at) == last)).map(|id| id.to_string()).collect();
            let kept: Vec<String> = chosen.newest.into_iter().filter_map(|version| version.id).collect();
            prop_assert_eq!(kept, newest);
        }
    }
}
