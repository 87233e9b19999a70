//! Event Grid
use time::OffsetDateTime;
/// x
#[derive(Clone, Debug, Default)] pub struct EventGrid {}
/// A write, delete or action on an ARM resource that has just succeeded.
#[derive(Clone, Debug)]
pub struct ArmOperation<'a> {
    /// `Microsoft.Resources.ResourceWriteSuccess` and its kind.
    pub event_type: &'a str,
    /// `Microsoft.Devices/provisioningServices/certificates/write` and its kind.
    pub name: &'a str,
    /// Full id of the resource, without the action segment.
    pub resource_id: &'a str,
    /// HTTP method of the request that did it.
    pub method: &'a str,
    /// Its whole URL.
    pub url: &'a str,
    /// Who did it.
    pub object_id: &'a str,
}
impl EventGrid {
    /// Turns a finished ARM operation into an event for every subscription whose filter takes it.
    pub fn publish(&mut self, _operation: &ArmOperation<'_>, _now: OffsetDateTime, _random: &mut fastrand::Rng) {}
}
