//! The whole state of an emulator as a document that another one, or the same one later, takes back.
//!
//! It is a document and not a name under which the emulator keeps something, because that is what outlives the
//! emulator: it is kept in a file, handed to a colleague, checked in as the start of a test. What is inside is the
//! emulator's business and may change with its version. Where an emulator is (addresses, ports, the CA) is not in
//! it, nor is the journal.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use url::Url;

use super::clock::ClockChange;
use super::error::ControlError;
use crate::clock::Clock;
use crate::moment::Moment;
use crate::world::World;

/// Changes with what is inside.
const FORMAT: u32 = 2;

/// The state of an emulator. It holds private keys and secrets.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Snapshot {
    /// What to be careful about.
    pub notice: String,
    /// Of what is inside.
    pub format: u32,
    /// Version of the emulator it was taken from.
    pub emulator: String,
    /// When it was taken, by that emulator's clock.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "Moment")]
    pub taken: OffsetDateTime,
    /// Where that emulator's Functions host was; none if it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    functions: Option<Url>,
    /// How that emulator's clock was set. Opaque.
    clock: Value,
    /// Everything else. Opaque.
    world: Value,
}

impl Snapshot {
    pub(super) fn of(mut world: World, clock: &Clock, functions: Option<Url>) -> Snapshot {
        let taken = clock.now();
        world.event_grid.recall(taken);
        Snapshot {
            notice:
                "This file holds private keys and secrets of an emulator. Keep it as you would keep them."
                    .to_owned(),
            format: FORMAT,
            emulator: env!("CARGO_PKG_VERSION").to_owned(),
            taken,
            functions,
            clock: serde_json::to_value(clock).expect("a clock is a moment or a length of time"),
            world: serde_json::to_value(world).expect("a world is text, numbers, lists and maps"),
        }
    }

    /// What it holds, as it is to be in an emulator whose Functions host is there.
    pub(super) fn open(self, functions: Option<&Url>) -> Result<(World, Clock), ControlError> {
        if self.format != FORMAT {
            return Err(ControlError::invalid(format!(
                "this snapshot has format {}, and this emulator reads format {FORMAT}; restore it with an emulator of \
                 version {}",
                self.format, self.emulator
            )));
        }
        // What serde says of it may repeat a secret.
        let broken = |_| {
            ControlError::invalid(format!(
                "this is no snapshot that this emulator can read: it was changed by hand, or made by another version \
                 than {}, which is {}",
                env!("CARGO_PKG_VERSION"),
                self.emulator
            ))
        };
        let clock: Clock = serde_json::from_value(self.clock).map_err(broken)?;
        if !ClockChange::is_possible(&clock) {
            return Err(ControlError::invalid(
                "the clock of this snapshot is beyond the time that can be shown",
            ));
        }
        let mut world: World = serde_json::from_value(self.world).map_err(broken)?;
        if let (Some(from), Some(to)) = (&self.functions, functions) {
            world.event_grid.redirect(from, to);
        }
        Ok((world, clock))
    }
}

impl fmt::Debug for Snapshot {
    /// Without what is inside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { format, emulator, taken, .. } = self;
        f.debug_struct("Snapshot")
            .field("format", format)
            .field("emulator", emulator)
            .field("taken", taken)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::header::{AUTHORIZATION, HOST};
    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::authority::Authority;
    use crate::dps::testing::{Ca, Client};
    use crate::event_grid::tests::subscription;
    use crate::faults::{Calls, Effect, Fault};
    use crate::identity::Principal;
    use crate::key_vault::{Changes, Import, NewSecret, Stamp};
    use crate::names::VAULT;
    use crate::operation::Operation;
    use crate::rbac::Rbac;
    use crate::{Emulator, World};

    const NOW: OffsetDateTime = datetime!(2026-03-05 10:00 UTC);

    /// An emulator with something of everything.
    fn lived_in() -> Emulator {
        let mut client = Client { now: NOW, ..Client::new() };
        let world = &mut client.world;
        let webhook = "http://127.0.0.1:7071/runtime/webhooks/eventgrid?functionName=F&code=key-of-the-host";
        world.event_grid.subscribe(subscription("on-upload", webhook));
        let uploaded = client.put("proven", None, &Ca::new("Proven CA").pem()).ok();
        client.generate_code("proven", Some(uploaded.etag())).ok();
        let Client { mut world, .. } = client;
        world.rbac = Rbac::on();
        let ca = Authority::ec_root("Vault CA").unwrap().key_and_certificate_pem().unwrap();
        let stamp = |world: &mut World| Stamp::new(NOW, &mut world.random);
        let stamped = stamp(&mut world);
        world.key_vaults.import_certificate(VAULT, "ca", Import::new(ca), stamped).unwrap();
        let stamped = stamp(&mut world);
        let secret = NewSecret::new("the secret's value").content_type("text/plain");
        world.key_vaults.set_secret(VAULT, "kept", secret, stamped).unwrap();
        let stamped = stamp(&mut world);
        let other = Authority::ec_root("Deleted CA").unwrap().key_and_certificate_pem().unwrap();
        world.key_vaults.import_certificate(VAULT, "deleted", Import::new(other), stamped).unwrap();
        world.key_vaults.delete_certificate(VAULT, "deleted", NOW).unwrap();
        world.key_vaults.update_secret(VAULT, "kept", Changes::tags([("a", "b")]), NOW).unwrap();
        let (operation, calls) = (Operation::Sign, Calls::Sometimes { per_mille: 500, seed: 7 });
        world.faults.add(Fault {
            operation,
            object: None,
            calls,
            effect: Effect::Delay(Duration::from_secs(1)),
        });
        world.faults.strike(Operation::Sign, "any");
        let emulator = Emulator::new(world);
        emulator.freeze(NOW);
        emulator
    }

    /// The snapshot's JSON, read by somebody else.
    fn written(emulator: &Emulator) -> Value {
        serde_json::from_str(&serde_json::to_string(&emulator.control().snapshot()).unwrap()).unwrap()
    }

    fn read(document: Value) -> Snapshot {
        serde_json::from_value(document).unwrap()
    }

    fn asks_vault(emulator: &Emulator, token: &str, path: &str) -> Value {
        let request = http::Request::get(format!("{path}?api-version=2025-07-01"))
            .header(HOST, "my-vault.vault.azure.net")
            .header(AUTHORIZATION, format!("Bearer {token}"));
        let response = emulator.handle(&request.body(Bytes::new()).unwrap());
        assert_eq!(response.status(), 200, "{path}");
        serde_json::from_slice(response.body()).unwrap()
    }

    #[test]
    fn a_snapshot_of_what_was_restored_is_the_one_that_was_restored() {
        let emulator = lived_in();
        let document = written(&emulator);
        let other = Emulator::new(World::empty(1));
        other.control().restore(read(document.clone())).unwrap();
        assert_eq!(written(&other), document);
    }

    #[test]
    fn keys_tokens_codes_rules_and_the_clock_are_what_they_were() {
        let emulator = lived_in();
        let operator = Principal::operator();
        let token =
            emulator.look(|world, now| world.identity.mint_for(&operator, "https://vault.azure.net", now));
        let other = Emulator::new(World::tutorial(1));
        other.control().restore(read(written(&emulator))).unwrap();
        for path in [
            "/secrets/ca",
            "/certificates/ca",
            "/keys/ca",
            "/secrets/kept",
            "/secrets",
            "/deletedkeys/deleted",
        ] {
            assert_eq!(asks_vault(&other, &token, path), asks_vault(&emulator, &token, path), "{path}");
        }
        assert_eq!(other.now(), NOW);
        assert_eq!(other.control().faults(), emulator.control().faults());
        assert_eq!(json!(other.control().registries()), json!(emulator.control().registries()));
        let drawn = |emulator: &Emulator| {
            emulator.with(|world, _| {
                (
                    world.random.u64(..),
                    (0..20).map(|_| world.faults.strike(Operation::Sign, "any")).collect::<Vec<_>>(),
                )
            })
        };
        assert_eq!(drawn(&other), drawn(&emulator), "what comes by chance goes on as it would have");
    }

    #[test]
    fn events_on_their_way_arrive_at_the_functions_host_of_where_they_are_restored() {
        let emulator = lived_in();
        let mut snapshot = emulator.control().snapshot();
        snapshot.functions = Some("http://127.0.0.1:7071".parse().unwrap());
        let (mut world, _) = snapshot.open(Some(&"http://127.0.0.1:4242".parse().unwrap())).unwrap();
        let due = world.event_grid.take_due(NOW);
        assert_eq!(due.len(), 2, "the upload, and the code that was asked for");
        assert!(due.iter().all(|delivery| delivery.endpoint().port() == Some(4242)));
        assert!(due[0].endpoint().query().unwrap().contains("key-of-the-host"));
    }

    #[test]
    fn a_running_clock_runs_on_as_far_from_this_machine_s_as_it_was() {
        let emulator = Emulator::new(World::empty(1));
        emulator.advance(Duration::from_secs(3600));
        let document = written(&emulator);
        let other = Emulator::new(World::empty(1));
        other.control().restore(read(document)).unwrap();
        let reading = other.control().clock();
        assert!(!reading.frozen);
        assert!(reading.now >= OffsetDateTime::now_utc() + time::Duration::minutes(59));
    }

    #[test]
    fn a_document_that_is_none_is_refused_without_repeating_it_and_changes_nothing() {
        let emulator = lived_in();
        let control = emulator.control();
        let before = written(&emulator);
        let refusal = |change: &dyn Fn(&mut Value)| {
            let mut document = before.clone();
            change(&mut document);
            let snapshot = serde_json::from_value::<Snapshot>(document).unwrap();
            control.restore(snapshot).unwrap_err().to_string()
        };
        let refused = refusal(&|document| document["format"] = json!(7));
        assert!(
            refused.contains("format 7") && refused.contains(&format!("reads format {FORMAT}")),
            "{refused}"
        );
        for pointer in ["/world/dps", "/world/key_vaults/my-vault/secrets/live/kept/versions", "/clock"] {
            let refused =
                refusal(&|document| *document.pointer_mut(pointer).unwrap() = json!("the secret's value"));
            assert!(refused.contains("changed by hand"), "{pointer}: {refused}");
            assert!(!refused.contains("the secret's value"), "{pointer}: {refused}");
        }
        let refused = refusal(&|document| {
            *document.pointer_mut("/world/key_vaults/my-vault/secrets/live/kept/versions").unwrap() =
                json!([]);
        });
        assert!(refused.contains("changed by hand"), "{refused}");
        let refused = refusal(&|document| document["clock"] = json!({ "shifted": "9999999999999.0" }));
        assert!(refused.contains("changed by hand") || refused.contains("beyond the time"), "{refused}");
        assert_eq!(written(&emulator), before);
    }

    #[test]
    fn a_debug_line_shows_nothing_of_what_is_inside() {
        let snapshot = lived_in().control().snapshot();
        let (line, document) = (format!("{snapshot:?}"), serde_json::to_string(&snapshot).unwrap());
        assert!(document.contains("the secret's value") && document.contains("private keys and secrets"));
        assert!(!line.contains("secret"), "{line}");
    }
}
