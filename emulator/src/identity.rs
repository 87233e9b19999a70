//! Managed identity and the tokens every service checks.
use crate::exchange::{Request, Response};
use crate::world::World;
use time::OffsetDateTime;
/// x
#[derive(Clone, Debug)]
pub struct Identity {}
impl Identity { /// x
 pub fn new() -> Self { Identity {} }
 /// A signed JWT for the audience, valid an hour.
 pub fn mint(&self, _audience: &str, _now: OffsetDateTime) -> String { String::new() }
 /// Who sent this request: Bearer token signed by us, unexpired, aud accepted. Err = what is wrong.
 pub fn check(&self, _request: &Request, _audience: impl Fn(&str) -> bool, _now: OffsetDateTime) -> Result<Caller, TokenProblem> { todo!() }
}
/// x
#[derive(Clone, Debug)] pub struct Caller { /// Object id.
 pub object_id: String }
/// x
#[derive(Clone, Copy, Debug, PartialEq, Eq)] pub enum TokenProblem { /// x
Missing, /// x
 Invalid, /// x
 Expired, /// x
 Audience }
/// x
pub fn is_token_request(_request: &Request) -> bool { false }
/// x
pub fn handle(_world: &mut World, _request: &Request, _now: OffsetDateTime) -> Response { todo!() }
