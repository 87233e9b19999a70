//! Who sent a request, and what they may do: all that a service may know of identities and roles.

use time::OffsetDateTime;

use crate::access::callers::{Caller, TokenProblem};
use crate::access::rbac::{Rbac, Rights};
use crate::ground::exchange::Request;
use crate::identity::Identity;

/// The gate before every service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access<'w> {
    identity: &'w Identity,
    rbac: &'w Rbac,
}

impl<'w> Access<'w> {
    /// The gate of a world with these identities and role assignments.
    pub(crate) fn new(identity: &'w Identity, rbac: &'w Rbac) -> Access<'w> {
        Access { identity, rbac }
    }

    /// Names the caller by its token, which must be for an audience that the service accepts.
    pub(crate) fn caller(
        self,
        request: &Request,
        accepts: impl Fn(&str) -> bool,
        now: OffsetDateTime,
    ) -> Result<Caller, TokenProblem> {
        self.identity.check(request, accepts, now)
    }

    /// Looks up the rights of a caller.
    pub(crate) fn rights<'c>(self, caller: &'c Caller) -> Rights<'c>
    where
        'w: 'c,
    {
        self.rbac.of(caller)
    }
}
