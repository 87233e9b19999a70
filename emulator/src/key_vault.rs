//! Key Vault
use crate::exchange::{Request, Response};
use crate::world::World;
use crate::operation::Operation;
use time::OffsetDateTime;
use http::StatusCode;
/// x
#[derive(Clone, Debug, Default)] pub struct KeyVaults {}
impl KeyVaults { /// x
 pub fn add(&mut self, _name: &str) {} }
/// x
#[derive(Debug)] pub struct Route {}
impl Route { /// None when the Host is not a vault's
 pub fn parse(_request: &Request) -> Option<Route> { None } /// x
 pub fn operation(&self) -> Operation { todo!() } /// x
 pub fn object(&self) -> String { todo!() } }
/// x
pub fn handle(_world: &mut World, _route: &Route, _request: &Request, _now: OffsetDateTime) -> Response { todo!() }
/// x
pub fn fault(_status: StatusCode) -> Response { todo!() }
