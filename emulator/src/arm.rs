//! ARM
use crate::exchange::{Request, Response};
use crate::world::World;
use crate::operation::Operation;
use crate::faults::Effect;
use time::OffsetDateTime;
use http::StatusCode;
/// x
#[derive(Clone, Debug, Default)] pub struct Arm {}
impl Arm { /// x
 pub fn add_resource_group(&mut self, _subscription: &str, _name: &str) {} /// x
 pub fn add_provisioning_service(&mut self, _subscription: &str, _resource_group: &str, _name: &str) {} }
/// x
#[derive(Debug)] pub struct Route {}
impl Route { /// x
 pub fn parse(_request: &Request) -> Option<Route> { None } /// x
 pub fn operation(&self) -> Operation { todo!() } /// x
 pub fn object(&self) -> String { todo!() } }
/// x
pub fn handle(_world: &mut World, _route: &Route, _request: &Request, _effect: Option<Effect>, _now: OffsetDateTime) -> Response { todo!() }
/// x
pub fn fault(_status: StatusCode, _now: OffsetDateTime, _random: &mut fastrand::Rng) -> Response { todo!() }
