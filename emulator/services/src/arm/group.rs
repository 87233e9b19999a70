//! The id of a resource group.

use serde::{Deserialize, Serialize};

/// A resource group of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupId {
    pub(crate) subscription: String,
    pub(crate) name: String,
}

impl GroupId {
    /// `/subscriptions/…/resourceGroups/…`
    pub(crate) fn path(&self) -> String {
        format!("/subscriptions/{}/resourceGroups/{}", self.subscription, self.name)
    }

    /// Whether it is the same group.
    pub(crate) fn is(&self, other: &GroupId) -> bool {
        self.subscription.eq_ignore_ascii_case(&other.subscription)
            && self.name.eq_ignore_ascii_case(&other.name)
    }
}
