//! Role-based access control: who may do what to which resource.
//!
//! Off, everybody with a token may do everything, because most tests are not about rights. On, Azure's rule holds:
//! a caller may do what a role grants that is assigned to it at the resource or above, and nothing else. Only the
//! operator owns everything then, or nobody could set the scene; see [`crate::identity`] for who is who.
//!
//! ```
//! use keyholder_emulator::World;
//! use keyholder_emulator::identity::Principal;
//! use keyholder_emulator::rbac::{Rbac, Role, Scope};
//!
//! let mut world = World::tutorial(7);
//! world.rbac = Rbac::on();
//! let role = Role::new("Reader of certificates", ["Microsoft.Devices/provisioningServices/certificates/read"], []);
//! world.rbac.assign(&Principal::function_app(), role, Scope::everywhere());
//! ```

mod definition;
mod role;
mod scope;

pub use definition::DefinitionError;
pub use role::Role;
pub use scope::Scope;

use serde::{Deserialize, Serialize};

use crate::access::callers::{Caller, Principal};
use role::Plane;

/// The role assignments of a world, once they are asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Rbac(Option<Vec<Assignment>>);

/// A role, given to somebody somewhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Assignment {
    /// Object id.
    principal: String,
    role: Role,
    scope: Scope,
}

/// The rights of one caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rights<'r> {
    rbac: &'r Rbac,
    caller: &'r Caller,
}

impl Rbac {
    /// Everybody may do everything.
    pub fn off() -> Rbac {
        Rbac(None)
    }

    /// Nobody may do anything, but for the operator, who owns everything.
    pub fn on() -> Rbac {
        let mut rbac = Rbac(Some(Vec::new()));
        rbac.assign(&Principal::operator(), Role::everything(), Scope::everywhere());
        rbac
    }

    /// Whether roles are asked for.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Gives somebody a role; it holds at once. Switches roles on, if they were off.
    pub fn assign(&mut self, principal: &Principal, role: Role, scope: Scope) {
        if !self.is_on() {
            *self = Rbac::on();
        }
        let assignments = self.0.get_or_insert_default();
        assignments.push(Assignment { principal: principal.object_id.clone(), role, scope });
    }

    /// Takes all roles from somebody.
    pub fn revoke(&mut self, principal: &Principal) {
        if let Some(assignments) = &mut self.0 {
            assignments.retain(|assignment| !assignment.is_of(&principal.object_id));
        }
    }

    pub(crate) fn of<'r>(&'r self, caller: &'r Caller) -> Rights<'r> {
        Rights { rbac: self, caller }
    }
}

impl Assignment {
    fn is_of(&self, object_id: &str) -> bool {
        self.principal.eq_ignore_ascii_case(object_id)
    }
}

impl Rights<'_> {
    /// Whether the caller may do this to a resource, by Azure Resource Manager.
    pub(crate) fn allow(&self, action: &str, resource: &str) -> bool {
        self.any(|assignment| {
            assignment.role.grants(Plane::Control, action) && assignment.scope.covers(resource)
        })
    }

    /// Whether the caller may do this to what a resource holds, by the service that keeps it.
    pub(crate) fn allow_data(&self, action: &str, resource: &str) -> bool {
        self.any(|assignment| {
            assignment.role.grants(Plane::Data, action) && assignment.scope.covers(resource)
        })
    }

    /// Whether the caller may do this to a resource or to something below it.
    pub(crate) fn allow_somewhere(&self, action: &str, resource: &str) -> bool {
        self.any(|assignment| {
            let meets = assignment.scope.covers(resource) || assignment.scope.is_below(resource);
            assignment.role.grants(Plane::Control, action) && meets
        })
    }

    /// Whether the caller has any role at a resource, above or below it.
    pub(crate) fn reach(&self, resource: &str) -> bool {
        self.any(|assignment| assignment.scope.covers(resource) || assignment.scope.is_below(resource))
    }

    fn any(&self, fits: impl Fn(&Assignment) -> bool) -> bool {
        let Some(assignments) = &self.rbac.0 else { return true };
        let mut own = assignments.iter().filter(|assignment| assignment.is_of(&self.caller.object_id));
        own.any(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &str = "Microsoft.Devices/provisioningServices/read";
    const GROUP: &str = "/subscriptions/s/resourceGroups/rg";
    const INSTANCE: &str =
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Devices/provisioningServices/dps";

    #[test]
    fn everybody_may_do_everything_until_roles_are_asked_for() {
        let (mut rbac, app) = (Rbac::default(), Caller::from(Principal::function_app()));
        assert!(rbac.of(&app).allow(READ, INSTANCE) && rbac.of(&app).reach(INSTANCE));
        rbac = Rbac::on();
        assert!(!rbac.of(&app).allow(READ, INSTANCE) && !rbac.of(&app).reach(INSTANCE));
        let operator = Caller::from(Principal::operator());
        assert!(rbac.of(&operator).allow(READ, INSTANCE));
        assert!(rbac.of(&operator).allow_data("Microsoft.KeyVault/vaults/keys/sign/action", "/vault"));
    }

    #[test]
    fn a_role_holds_for_its_principal_at_its_scope_and_on_its_plane() {
        let mut rbac = Rbac::off();
        let role = Role::new("reader", [READ], []);
        rbac.assign(&Principal::function_app(), role, Scope::at(INSTANCE));
        assert!(rbac.is_on());
        let app = Caller::from(Principal::function_app());
        let rights = rbac.of(&app);
        assert!(rights.allow(READ, INSTANCE));
        assert!(rights.allow(&READ.to_uppercase(), &INSTANCE.to_lowercase()));
        assert!(!rights.allow(READ, GROUP));
        assert!(rights.allow_somewhere(READ, GROUP) && rights.reach(GROUP));
        assert!(!rights.allow_data(READ, INSTANCE));
        assert!(!rights.allow("Microsoft.Devices/provisioningServices/write", INSTANCE));
        assert!(!rights.allow_somewhere("Microsoft.Devices/provisioningServices/write", GROUP));

        let other = Caller { object_id: "another".to_owned(), ..app.clone() };
        assert!(!rbac.of(&other).allow(READ, INSTANCE));
        rbac.revoke(&Principal::function_app());
        assert!(!rbac.of(&app).allow(READ, INSTANCE));
    }
}
