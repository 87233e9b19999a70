//! What exists: subscriptions, their resource groups, and the DPS instances in them. Names are compared
//! without case.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::arm::answers::Problem;
use crate::arm::instances::is_well_formed;
use crate::arm::operations::Operations;
use crate::arm::route::{GroupId, InstanceId};
use crate::dps::mint::Mint;
use crate::dps::{self, Certificate, Certificates, Etag};
use crate::stored;

/// Subscriptions, resource groups and DPS instances with their certificates.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Arm {
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) mint: Mint,
    pub(crate) operations: Operations,
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
    pub(crate) instances: Vec<ProvisioningService>,
}

/// A DPS instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct ProvisioningService {
    pub(crate) name: String,
    pub(crate) location: String,
    pub(crate) tags: Map<String, Value>,
    /// Made unique; what the id scope is printed from.
    number: u32,
    /// What the etag is printed from.
    pub(crate) etag_number: u32,
    pub(crate) phase: Phase,
    pub(crate) allocation_policy: String,
    pub(crate) capacity: u64,
    pub(crate) certificates: Certificates,
}

/// The latest operation on an instance.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Phase {
    #[serde(deserialize_with = "stored::moment")]
    pub(crate) ends: OffsetDateTime,
    /// Whether it made the instance.
    pub(crate) is_first: bool,
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

    /// Adds a DPS instance, and its resource group if need be; one that is there stays as it is.
    pub fn add_provisioning_service(&mut self, subscription: &str, resource_group: &str, name: &str) {
        let number = self.mint.count();
        let (group, _) = self.subscription_or_new(subscription).group_or_new(resource_group, None);
        group.instance_or_new(name, number);
    }

    /// Whether there is a resource group of that name.
    pub fn has_resource_group(&self, subscription: &str, name: &str) -> bool {
        self.subscriptions
            .iter()
            .filter(|found| found.id.eq_ignore_ascii_case(subscription))
            .any(|found| found.groups.iter().any(|group| group.name.eq_ignore_ascii_case(name)))
    }

    /// One certificate as it stands.
    pub fn certificate(
        &self,
        subscription: &str,
        resource_group: &str,
        provisioning_service: &str,
        name: &str,
    ) -> Option<&Certificate> {
        self.provisioning_services()
            .find(|(id, group, instance)| {
                id.eq_ignore_ascii_case(subscription)
                    && group.eq_ignore_ascii_case(resource_group)
                    && instance.name.eq_ignore_ascii_case(provisioning_service)
            })
            .and_then(|(_, _, instance)| instance.certificates.get(name))
    }

    /// Every DPS instance, with its subscription and resource group.
    pub fn provisioning_services(&self) -> impl Iterator<Item = (&str, &str, &ProvisioningService)> {
        self.subscriptions.iter().flat_map(|subscription| {
            subscription.groups.iter().flat_map(|group| {
                group
                    .instances
                    .iter()
                    .map(|instance| (subscription.id.as_str(), group.name.as_str(), instance))
            })
        })
    }

    /// Has the next verification code, of whichever certificate, be this one.
    pub fn set_next_code(&mut self, code: &str) {
        self.mint.set_next_code(code);
    }

    /// The code chosen for the next challenge.
    pub fn next_code(&self) -> Option<&str> {
        self.mint.next_code()
    }

    /// Leaves the next code to chance again.
    pub fn forget_next_code(&mut self) {
        self.mint.forget_next_code();
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

    pub(crate) fn subscription(&mut self, id: &str) -> Result<&mut Subscription, Problem> {
        subscription(&mut self.subscriptions, id)
    }

    pub(crate) fn group(&mut self, id: &GroupId) -> Result<&mut ResourceGroup, Problem> {
        group(&mut self.subscriptions, id)
    }

    /// Whether an instance of another group or subscription has this name.
    pub(crate) fn is_taken_elsewhere(&self, id: &InstanceId) -> bool {
        self.provisioning_services().any(|(subscription, group, instance)| {
            let here = subscription.eq_ignore_ascii_case(&id.group.subscription)
                && group.eq_ignore_ascii_case(&id.group.name);
            !here && instance.name.eq_ignore_ascii_case(&id.name)
        })
    }

    pub(crate) fn instance(&mut self, id: &InstanceId) -> Result<&mut ProvisioningService, Problem> {
        let group = self.group(&id.group)?;
        group.instance(&id.name).ok_or_else(|| Problem::ResourceNotFound(id.clone()))
    }

    /// The certificates of an instance, and the mint for whatever is written there.
    pub(crate) fn certificates(
        &mut self,
        id: &InstanceId,
        now: OffsetDateTime,
    ) -> Result<(&mut Certificates, &mut Mint), Problem> {
        let instance = group(&mut self.subscriptions, &id.group)?
            .instance(&id.name)
            .ok_or_else(|| Problem::ParentResourceNotFound(id.name.clone()))?;
        if instance.phase.is_first && now < instance.phase.ends {
            return Err(dps::Problem::NotActive(instance.name.clone()).into());
        }
        Ok((&mut instance.certificates, &mut self.mint))
    }
}

stored::checked!(ProvisioningService);

impl Subscription {
    /// `/subscriptions/…`
    pub(crate) fn path(&self) -> String {
        format!("/subscriptions/{}", self.id)
    }

    /// The group of that name, made in this location if there is none; and whether it was made.
    pub(crate) fn group_or_new(&mut self, name: &str, location: Option<&str>) -> (&mut ResourceGroup, bool) {
        let found = self.groups.iter().position(|group| group.name.eq_ignore_ascii_case(name));
        let position = found.unwrap_or_else(|| {
            let location = location.unwrap_or(LOCATION).to_owned();
            self.groups.push(ResourceGroup { name: name.to_owned(), location, instances: Vec::new() });
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

    /// The instance of that name.
    pub(crate) fn instance(&mut self, name: &str) -> Option<&mut ProvisioningService> {
        self.instances.iter_mut().find(|instance| instance.name.eq_ignore_ascii_case(name))
    }

    /// The instance of that name, made with this number if there is none; and whether it was made.
    pub(crate) fn instance_or_new(&mut self, name: &str, number: u32) -> (&mut ProvisioningService, bool) {
        let found = self.instances.iter().position(|instance| instance.name.eq_ignore_ascii_case(name));
        let position = found.unwrap_or_else(|| {
            self.instances.push(ProvisioningService {
                name: name.to_owned(),
                location: self.location.clone(),
                tags: Map::new(),
                number,
                etag_number: number,
                phase: Phase { ends: OffsetDateTime::UNIX_EPOCH, is_first: true },
                allocation_policy: "Hashed".to_owned(),
                capacity: 1,
                certificates: Certificates::default(),
            });
            self.instances.len() - 1
        });
        (&mut self.instances[position], found.is_none())
    }

    /// Removes an instance with all it holds.
    pub(crate) fn remove_instance(&mut self, name: &str) -> Option<ProvisioningService> {
        let position = self.instances.iter().position(|instance| instance.name.eq_ignore_ascii_case(name))?;
        Some(self.instances.remove(position))
    }
}

impl ProvisioningService {
    fn check_stored(&self) -> Result<(), &'static str> {
        if is_well_formed(&self.name) { Ok(()) } else { Err("an instance that could not be made") }
    }

    pub(crate) fn etag(&self) -> Etag {
        Etag::of_instance(self.etag_number)
    }

    pub(crate) fn id_scope(&self) -> String {
        format!("0ne{:08X}", self.number)
    }

    /// Takes over what a request says of the instance.
    pub(crate) fn describe(&mut self, body: &Value) {
        if let Some(tags) = body["tags"].as_object() {
            self.tags = tags.clone();
        }
        if let Some(policy) = body["properties"]["allocationPolicy"].as_str() {
            self.allocation_policy = policy.to_owned();
        }
        if let Some(capacity) = body["sku"]["capacity"].as_u64() {
            self.capacity = capacity;
        }
    }

    /// The name, as it was created.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The CA certificates uploaded to it.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }
}

fn subscription<'s>(all: &'s mut [Subscription], id: &str) -> Result<&'s mut Subscription, Problem> {
    all.iter_mut()
        .find(|subscription| subscription.id.eq_ignore_ascii_case(id))
        .ok_or_else(|| Problem::SubscriptionNotFound(id.to_owned()))
}

fn group<'s>(all: &'s mut [Subscription], id: &GroupId) -> Result<&'s mut ResourceGroup, Problem> {
    subscription(all, &id.subscription)?
        .groups
        .iter_mut()
        .find(|group| group.name.eq_ignore_ascii_case(&id.name))
        .ok_or_else(|| Problem::ResourceGroupNotFound(id.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_twice_adds_once() {
        let mut arm = Arm::default();
        arm.add_provisioning_service("s", "rg", "dps");
        arm.add_provisioning_service("S", "RG", "DPS");
        arm.add_resource_group("s", "Rg");
        let found: Vec<_> = arm.provisioning_services().map(|(s, rg, dps)| (s, rg, dps.name())).collect();
        assert_eq!(found, [("s", "rg", "dps")]);
        assert_eq!(arm.subscriptions[0].groups.len(), 1);
    }
}
