//! One DPS instance.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::arm::GroupId;
use crate::dps::certificates::Certificates;
use crate::dps::etag::Etag;
use crate::ground::stored;

/// Type and namespace, as ids and answers have them.
pub(super) const RESOURCE_TYPE: &str = "Microsoft.Devices/provisioningServices";

/// A DPS instance of a resource group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InstanceId {
    pub(super) group: GroupId,
    pub(super) name: String,
}

/// A DPS instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct ProvisioningService {
    pub(super) group: GroupId,
    pub(super) name: String,
    pub(super) location: String,
    pub(super) tags: Map<String, Value>,
    /// Made unique; what the id scope is printed from.
    number: u32,
    /// What the etag is printed from.
    pub(super) etag_number: u32,
    pub(super) phase: Phase,
    pub(super) allocation_policy: String,
    pub(super) capacity: u64,
    pub(super) certificates: Certificates,
}

/// The latest operation on an instance.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Phase {
    #[serde(deserialize_with = "stored::moment")]
    pub(super) ends: OffsetDateTime,
    /// Whether it made the instance.
    pub(super) is_first: bool,
}

stored::checked!(ProvisioningService);

impl InstanceId {
    /// `/subscriptions/…/resourceGroups/…/providers/Microsoft.Devices/provisioningServices/…`
    pub(super) fn path(&self) -> String {
        format!("{}/providers/{RESOURCE_TYPE}/{}", self.group.path(), self.name)
    }
}

impl ProvisioningService {
    /// One with nothing in it; the number makes it unique.
    pub(super) fn new(id: &InstanceId, location: &str, number: u32) -> ProvisioningService {
        ProvisioningService {
            group: id.group.clone(),
            name: id.name.clone(),
            location: location.to_owned(),
            tags: Map::new(),
            number,
            etag_number: number,
            phase: Phase { ends: OffsetDateTime::UNIX_EPOCH, is_first: true },
            allocation_policy: "Hashed".to_owned(),
            capacity: 1,
            certificates: Certificates::default(),
        }
    }

    fn check_stored(&self) -> Result<(), &'static str> {
        if is_well_formed(&self.name) { Ok(()) } else { Err("an instance that could not be made") }
    }

    /// Whether it is the one of this id.
    pub(super) fn is(&self, id: &InstanceId) -> bool {
        self.name.eq_ignore_ascii_case(&id.name) && self.group.is(&id.group)
    }

    pub(super) fn etag(&self) -> Etag {
        Etag::of_instance(self.etag_number)
    }

    pub(super) fn id_scope(&self) -> String {
        format!("0ne{:08X}", self.number)
    }

    /// Takes over what a request says of the instance.
    pub(super) fn describe(&mut self, body: &Value) {
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

    /// The subscription it is in.
    pub fn subscription(&self) -> &str {
        &self.group.subscription
    }

    /// The resource group it is in.
    pub fn resource_group(&self) -> &str {
        &self.group.name
    }

    /// The CA certificates uploaded to it.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }
}

/// The rule the service's own message states.
pub(super) fn is_well_formed(name: &str) -> bool {
    let alphanumeric = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    (3..=50).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && alphanumeric(name.bytes().next())
        && alphanumeric(name.bytes().last())
        && !name.eq_ignore_ascii_case("global")
}
