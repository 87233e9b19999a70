//! Every DPS instance, and what makes their ids, codes and etags.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::arm::{ArmProblem, GroupId};
use crate::dps::certificates::{Certificate, Certificates};
use crate::dps::instance::{InstanceId, ProvisioningService, RESOURCE_TYPE};
use crate::dps::mint::Mint;
use crate::dps::operations::Operations;
use crate::dps::problem::Problem;

/// Where an instance is that tests add.
const LOCATION: &str = "eastus";

/// All DPS instances, oldest first. Names are compared without case.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Dps {
    pub(super) instances: Vec<ProvisioningService>,
    pub(super) mint: Mint,
    pub(super) operations: Operations,
}

impl Dps {
    /// Adds an instance to a resource group, which [`World`](crate::World) sees to; one that is there stays as it is.
    pub(crate) fn add(&mut self, subscription: &str, resource_group: &str, name: &str) {
        let number = self.mint.count();
        let group = GroupId { subscription: subscription.to_owned(), name: resource_group.to_owned() };
        self.instance_or_new(&InstanceId { group, name: name.to_owned() }, LOCATION, number);
    }

    /// Has everything that is drawn from here on depend on this seed alone.
    pub(crate) fn reseed(&mut self, seed: u64) {
        self.mint.reseed(seed);
    }

    /// Every instance.
    pub fn instances(&self) -> impl Iterator<Item = &ProvisioningService> {
        self.instances.iter()
    }

    /// One certificate as it stands.
    pub fn certificate(
        &self,
        subscription: &str,
        resource_group: &str,
        provisioning_service: &str,
        name: &str,
    ) -> Option<&Certificate> {
        let group = GroupId { subscription: subscription.to_owned(), name: resource_group.to_owned() };
        let id = InstanceId { group, name: provisioning_service.to_owned() };
        self.instances.iter().find(|instance| instance.is(&id))?.certificates.get(name)
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

    /// Whether an instance of another group or subscription has this name.
    pub(super) fn is_taken_elsewhere(&self, id: &InstanceId) -> bool {
        self.instances.iter().any(|instance| !instance.is(id) && instance.name.eq_ignore_ascii_case(&id.name))
    }

    /// An instance, if it is there.
    pub(super) fn find(&mut self, id: &InstanceId) -> Option<&mut ProvisioningService> {
        self.instances.iter_mut().find(|instance| instance.is(id))
    }

    /// An instance, which has to be there.
    pub(super) fn instance(&mut self, id: &InstanceId) -> Result<&mut ProvisioningService, ArmProblem> {
        self.find(id).ok_or_else(|| ArmProblem::ResourceNotFound {
            resource_type: RESOURCE_TYPE,
            name: id.name.clone(),
            group: id.group.clone(),
        })
    }

    /// An instance, made with this number if it is not there; and whether it was made.
    pub(super) fn instance_or_new(
        &mut self,
        id: &InstanceId,
        location: &str,
        number: u32,
    ) -> (&mut ProvisioningService, bool) {
        let found = self.instances.iter().position(|instance| instance.is(id));
        let position = found.unwrap_or_else(|| {
            self.instances.push(ProvisioningService::new(id, location, number));
            self.instances.len() - 1
        });
        (&mut self.instances[position], found.is_none())
    }

    /// Removes an instance with all it holds.
    pub(super) fn remove(&mut self, id: &InstanceId) -> Option<ProvisioningService> {
        let position = self.instances.iter().position(|instance| instance.is(id))?;
        Some(self.instances.remove(position))
    }

    /// The certificates of an instance, and the mint for whatever is written there.
    pub(super) fn certificates(
        &mut self,
        id: &InstanceId,
        now: OffsetDateTime,
    ) -> Result<(&mut Certificates, &mut Mint), ArmProblem> {
        let instance = self
            .instances
            .iter_mut()
            .find(|instance| instance.is(id))
            .ok_or_else(|| ArmProblem::ParentResourceNotFound(id.name.clone()))?;
        if instance.phase.is_first && now < instance.phase.ends {
            return Err(Problem::NotActive(instance.name.clone()).into());
        }
        Ok((&mut instance.certificates, &mut self.mint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_twice_adds_once() {
        let mut dps = Dps::default();
        dps.add("s", "rg", "dps");
        dps.add("S", "RG", "DPS");
        let found: Vec<_> = dps
            .instances()
            .map(|instance| (instance.subscription(), instance.resource_group(), instance.name()))
            .collect();
        assert_eq!(found, [("s", "rg", "dps")]);
    }
}
