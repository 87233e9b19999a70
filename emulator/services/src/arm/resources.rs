//! What ARM keeps itself: subscriptions and their resource groups. Names are compared without case.

use serde::{Deserialize, Serialize};

use crate::arm::group::GroupId;
use crate::arm::problem::ArmProblem;

/// Subscriptions and resource groups.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Arm {
    pub(crate) subscriptions: Vec<Subscription>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) groups: Vec<ResourceGroup>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ResourceGroup {
    pub(crate) name: String,
    pub(crate) location: String,
}

/// Where a resource is created when nobody says where.
const LOCATION: &str = "eastus";

impl Arm {
    /// Adds a subscription, unless it is there.
    pub fn add_subscription(&mut self, id: &str) {
        self.subscription_or_new(id);
    }

    /// Adds a resource group, and its subscription if need be; one that is there stays as it is.
    pub fn add_resource_group(&mut self, subscription: &str, name: &str) {
        self.subscription_or_new(subscription).group_or_new(name, None);
    }

    /// Whether there is a resource group of that name.
    pub fn has_resource_group(&self, subscription: &str, name: &str) -> bool {
        let id = GroupId { subscription: subscription.to_owned(), name: name.to_owned() };
        self.group(&id).is_ok()
    }

    /// A subscription, which has to be there.
    pub(crate) fn subscription(&self, id: &str) -> Result<&Subscription, ArmProblem> {
        self.subscriptions
            .iter()
            .find(|subscription| subscription.id.eq_ignore_ascii_case(id))
            .ok_or_else(|| ArmProblem::SubscriptionNotFound(id.to_owned()))
    }

    /// A subscription to change, which has to be there.
    pub(super) fn subscription_mut(&mut self, id: &str) -> Result<&mut Subscription, ArmProblem> {
        self.subscriptions
            .iter_mut()
            .find(|subscription| subscription.id.eq_ignore_ascii_case(id))
            .ok_or_else(|| ArmProblem::SubscriptionNotFound(id.to_owned()))
    }

    /// A resource group, which has to be there, and its subscription too.
    pub(crate) fn group(&self, id: &GroupId) -> Result<&ResourceGroup, ArmProblem> {
        self.subscription(&id.subscription)?
            .groups
            .iter()
            .find(|group| group.name.eq_ignore_ascii_case(&id.name))
            .ok_or_else(|| ArmProblem::ResourceGroupNotFound(id.name.clone()))
    }

    fn subscription_or_new(&mut self, id: &str) -> &mut Subscription {
        let found =
            self.subscriptions.iter().position(|subscription| subscription.id.eq_ignore_ascii_case(id));
        let position = found.unwrap_or_else(|| {
            self.subscriptions.push(Subscription { id: id.to_owned(), groups: Vec::new() });
            self.subscriptions.len() - 1
        });
        &mut self.subscriptions[position]
    }
}

impl Subscription {
    /// `/subscriptions/…`
    pub(crate) fn path(&self) -> String {
        format!("/subscriptions/{}", self.id)
    }

    /// The group of that name, made in this location if there is none; and whether it was made.
    pub(super) fn group_or_new(&mut self, name: &str, location: Option<&str>) -> (&mut ResourceGroup, bool) {
        let found = self.groups.iter().position(|group| group.name.eq_ignore_ascii_case(name));
        let position = found.unwrap_or_else(|| {
            let location = location.unwrap_or(LOCATION).to_owned();
            self.groups.push(ResourceGroup { name: name.to_owned(), location });
            self.groups.len() - 1
        });
        (&mut self.groups[position], found.is_none())
    }
}

impl ResourceGroup {
    /// Its id in this subscription.
    pub(crate) fn id(&self, subscription: &str) -> GroupId {
        GroupId { subscription: subscription.to_owned(), name: self.name.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_twice_adds_once() {
        let mut arm = Arm::default();
        arm.add_resource_group("s", "rg");
        arm.add_resource_group("S", "Rg");
        assert_eq!((arm.subscriptions.len(), arm.subscriptions[0].groups.len()), (1, 1));
    }
}
