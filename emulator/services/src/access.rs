//! Who calls, and which roles they have.

pub(crate) mod callers;
pub mod rbac;
