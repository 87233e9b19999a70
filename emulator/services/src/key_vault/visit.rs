//! One request inside the gate.

use serde_json::Value;
use time::OffsetDateTime;

use super::object::Stamp;
use super::refusal::Refusal;
use super::site::Site;
use crate::ground::exchange::{self, Request};

/// What an answer may depend on besides the vault itself.
pub(super) struct Visit<'w> {
    pub(super) site: &'w Site,
    pub(super) request: &'w Request,
    pub(super) random: &'w mut fastrand::Rng,
    pub(super) now: OffsetDateTime,
}

impl Visit<'_> {
    pub(super) fn body(&self) -> Result<Value, Refusal> {
        exchange::body_json(self.request)
            .filter(Value::is_object)
            .ok_or_else(|| Refusal::bad_parameter("The body must be a JSON object."))
    }

    pub(super) fn stamp(&mut self) -> Stamp {
        Stamp::new(self.now, self.random)
    }

    pub(super) fn api_version(&self) -> String {
        exchange::query(self.request, "api-version").unwrap_or_default()
    }
}
