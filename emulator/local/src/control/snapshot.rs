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
use keyholder_emulator::clock::Clock;
use keyholder_emulator::moment::Moment;
use keyholder_emulator::world::World;

/// Changes with what is inside.
const FORMAT: u32 = 3;

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

    /// The version of the emulator that it says it was taken from, as far as that is one.
    fn version(&self) -> String {
        let fits = |sign: &char| sign.is_ascii_alphanumeric() || ".-+".contains(*sign);
        self.emulator.chars().filter(fits).take(30).collect()
    }

    /// What it holds, as it is to be in an emulator whose Functions host is there.
    pub(super) fn open(self, functions: Option<&Url>) -> Result<(World, Clock), ControlError> {
        if self.format != FORMAT {
            return Err(ControlError::invalid(format!(
                "this snapshot has format {}, and this emulator reads format {FORMAT}; restore it with an emulator of \
                 version {}",
                self.format,
                self.version()
            )));
        }
        let version = self.version();
        // What serde says of it may repeat a secret.
        let broken = |_| {
            ControlError::invalid(format!(
                "this is no snapshot that this emulator can read: it was changed by hand, or made by another version \
                 than {}, which is {}",
                env!("CARGO_PKG_VERSION"),
                version
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
    use crate::control::Control;
    use crate::testing::{generate_code, put_certificate, subscription, upload};
    use keyholder_emulator::authority::Authority;
    use keyholder_emulator::event_grid::Attempt;
    use keyholder_emulator::faults::{Calls, Effect, Fault};
    use keyholder_emulator::identity::Principal;
    use keyholder_emulator::key_vault::{Changes, Import, NewSecret, Stamp};
    use keyholder_emulator::names::VAULT;
    use keyholder_emulator::operation::Operation;
    use keyholder_emulator::rbac::Rbac;
    use keyholder_emulator::{Emulator, World};

    const NOW: OffsetDateTime = datetime!(2026-03-05 10:00 UTC);

    /// An emulator with something of everything.
    fn lived_in() -> Emulator {
        let mut world = World::tutorial(1);
        let webhook = "http://127.0.0.1:7071/runtime/webhooks/eventgrid?functionName=F&code=key-of-the-host";
        world.event_grid.subscribe(subscription("on-upload", webhook));
        let proven = Authority::ec_root("Proven CA").unwrap().certificate_pem().unwrap();
        let uploaded = put_certificate(&mut world, NOW, "proven", json!({ "certificate": proven }));
        generate_code(&mut world, NOW, "proven", &uploaded);
        world.rbac = Rbac::on();
        let url = "http://127.0.0.1:7071/runtime/webhooks/eventgrid?functionName=G";
        world.event_grid.subscribe(subscription("given-up", url));
        world.event_grid.publish(&upload(), NOW, &mut world.random);
        let due = world.event_grid.take_due(NOW).into_iter();
        for delivery in due.filter(|delivery| delivery.subscription().to_string() == "given-up") {
            world.event_grid.settle(delivery, Attempt::Answered(http::StatusCode::BAD_REQUEST), NOW);
        }
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
        serde_json::from_str(&serde_json::to_string(&Control::of(emulator).snapshot()).unwrap()).unwrap()
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
        Control::of(&other).restore(read(document.clone())).unwrap();
        assert_eq!(written(&other), document);
    }

    #[test]
    fn keys_tokens_codes_rules_and_the_clock_are_what_they_were() {
        let emulator = lived_in();
        let operator = Principal::operator();
        let token =
            emulator.look(|world, now| world.identity.mint_for(&operator, "https://vault.azure.net", now));
        let other = Emulator::new(World::tutorial(1));
        Control::of(&other).restore(read(written(&emulator))).unwrap();
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
        assert_eq!(Control::of(&other).faults(), Control::of(&emulator).faults());
        assert_eq!(json!(Control::of(&other).registries()), json!(Control::of(&emulator).registries()));
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
        let mut snapshot = Control::of(&emulator).snapshot();
        snapshot.functions = Some("http://127.0.0.1:7071".parse().unwrap());
        let (mut world, _) = snapshot.open(Some(&"http://127.0.0.1:4242".parse().unwrap())).unwrap();
        let due = world.event_grid.take_due(NOW);
        assert_eq!(due.len(), 3, "an upload, the code that was asked for, and an upload that was in flight");
        assert!(due.iter().all(|delivery| delivery.endpoint().port() == Some(4242)));
        assert!(due[0].endpoint().query().unwrap().contains("key-of-the-host"));
    }

    #[test]
    fn a_running_clock_runs_on_as_far_from_this_machine_s_as_it_was() {
        let emulator = Emulator::new(World::empty(1));
        emulator.advance(Duration::from_secs(3600));
        let document = written(&emulator);
        let other = Emulator::new(World::empty(1));
        Control::of(&other).restore(read(document)).unwrap();
        let reading = Control::of(&other).clock();
        assert!(!reading.frozen);
        assert!(reading.now >= OffsetDateTime::now_utc() + time::Duration::minutes(59));
    }

    #[test]
    fn a_document_that_is_none_is_refused_without_repeating_it_and_changes_nothing() {
        let emulator = lived_in();
        let control = Control::of(&emulator);
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
        let refused = refusal(&|document| {
            (document["format"], document["emulator"]) = (json!(7), json!("0.2\u{1b}[2J".repeat(100)));
        });
        assert!(refused.len() < 200 && !refused.contains('\u{1b}'), "a log's line: {refused}");
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

    /// What a document holds at these places, and what no request could have put there.
    fn crafted() -> Vec<(&'static str, Value)> {
        let long = || json!("c".repeat(17_000));
        vec![
            ("/world/event_grid/dead_letters/0/container/container", json!("../..")),
            ("/world/event_grid/dead_letters/0/container/container", json!("/etc")),
            ("/world/event_grid/dead_letters/0/subscription", json!("../up")),
            ("/world/event_grid/dead_letters/0/id", json!("../../../.profile")),
            ("/world/event_grid/dead_letters/0/due", json!("9999-12-31 23:59:59.0 +00:00:00")),
            ("/world/event_grid/subscriptions/0/dead_letters/container", json!("..")),
            ("/world/event_grid/subscriptions/0/name", json!("a b")),
            ("/world/event_grid/subscriptions/0/scope", json!("everything")),
            ("/world/event_grid/subscriptions/0/endpoint/url", json!("file:///etc/passwd")),
            ("/world/event_grid/subscriptions/0/retry/max_attempts", json!(4_000_000_000_u32)),
            (
                "/world/event_grid/subscriptions/0/attributes",
                json!([{ "name": "host", "source": { "Member": "a" } }]),
            ),
            ("/world/event_grid/subscriptions/0/batching/max_events", json!(0)),
            ("/world/event_grid/history/0/items/0/event", json!("no object")),
            ("/world/event_grid/history/0/items/0/published", json!("-0044-03-15 12:00:00.0 +00:00:00")),
            ("/world/event_grid/history/0/attempts", json!(u32::MAX)),
            ("/world/event_grid/pending/0/0/1", json!(77)),
            ("/world/event_grid/numbered", json!(u64::MAX)),
            ("/world/event_grid/numbered", json!(0)),
            ("/world/event_grid/disorder/copies", json!(u64::MAX)),
            ("/world/event_grid/address", json!("data:text/html,hello")),
            ("/world/choices/provisioning/secs", json!(u64::MAX)),
            ("/world/identity/lifetime", json!("99999999999.000000000")),
            ("/world/identity/key/id", json!("another")),
            ("/world/rbac/0/role/permissions/0/actions/0", json!("rm -rf")),
            ("/world/dps/mint/next_code", long()),
            ("/world/dps/instances/0/name", json!("../a")),
            ("/world/dps/instances/0/certificates/0/name", json!("a/b")),
            ("/world/dps/instances/0/certificates/0/etag", json!("\r\nSet-Cookie: a")),
            ("/world/dps/instances/0/certificates/0/pending_code", long()),
            ("/world/dps/instances/0/certificates/0/updated", json!("9999-12-31 0:00:00.0 +00:00:00")),
            (
                "/world/key_vaults",
                json!({ "a.b": { "certificates": {"live":{},"deleted":{}}, "keys": {"live":{},"deleted":{}}, "secrets": {"live":{},"deleted":{}} } }),
            ),
            ("/world/key_vaults/my-vault/keys/live", json!({})),
            ("/world/key_vaults/my-vault/secrets/live/kept/name", json!("other")),
            ("/world/key_vaults/my-vault/secrets/live/kept/versions/0/id", json!("../..")),
            ("/world/key_vaults/my-vault/secrets/deleted/deleted/at", json!(i64::MAX)),
            ("/world/key_vaults/my-vault/keys/live/ca/versions/0/content/operations", json!(["Decrypt"])),
            ("/world/faults/rules/0/fault/calls", json!({ "every": 0 })),
            ("/world/faults/rules/0/reached", json!(u64::MAX)),
            ("/clock", json!({ "frozen": "9999-12-31 23:59:59.0 +00:00:00" })),
        ]
    }

    #[test]
    fn a_crafted_snapshot_brings_about_nothing_that_a_request_could_not() {
        let emulator = lived_in();
        let before = written(&emulator);
        for (place, value) in crafted() {
            let mut document = before.clone();
            let there = document.pointer_mut(place).unwrap_or_else(|| panic!("nothing is at {place}"));
            *there = value;
            let refused = Control::of(&emulator).restore(read(document)).unwrap_err();
            assert_eq!(refused.kind().0, 400, "{place}");
        }
        assert_eq!(written(&emulator), before);
    }

    #[test]
    fn a_path_for_a_dead_letter_is_not_read_from_a_snapshot() {
        let emulator = lived_in();
        let mut document = written(&emulator);
        let letter = document.pointer_mut("/world/event_grid/dead_letters/0").unwrap();
        letter["path"] = json!("/etc/cron.d/letter");
        Control::of(&emulator).restore(read(document)).unwrap();
        let path =
            emulator.look(|world, _| world.event_grid.dead_letters().next().unwrap().path().to_owned());
        assert!(path.starts_with("letters/GIVEN-UP/2026/3/5/10/"), "{path}");
    }

    #[test]
    fn a_debug_line_shows_nothing_of_what_is_inside() {
        let snapshot = Control::of(&lived_in()).snapshot();
        let (line, document) = (format!("{snapshot:?}"), serde_json::to_string(&snapshot).unwrap());
        assert!(document.contains("the secret's value") && document.contains("private keys and secrets"));
        assert!(!line.contains("secret"), "{line}");
    }
}
