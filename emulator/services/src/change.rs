//! What Azure Resource Manager did, in the form in which it tells its audience.

use time::OffsetDateTime;

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

/// Hears of every ARM operation that succeeded.
///
/// It is told at once and draws its ids there and then: an outbox drained later would change the order of seeded
/// draws, and with it every recorded run.
pub(crate) trait Audience {
    /// Takes note of an operation.
    fn hear(&mut self, operation: &ArmOperation<'_>, now: OffsetDateTime, random: &mut fastrand::Rng);
}
