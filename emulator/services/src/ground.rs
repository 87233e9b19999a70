//! Values and forms that several rooms share. The ground imports no other room.

pub mod exchange;
pub mod guid;
pub(crate) mod hidden;
pub(crate) mod jose;
pub(crate) mod jwk;
pub mod moment;
pub mod reply;
pub mod span;
pub(crate) mod stored;
