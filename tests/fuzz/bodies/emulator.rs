//! What an emulator is handed by others: a snapshot.

use std::path::{Component, Path};
use std::sync::LazyLock;
use std::time::Duration;

use keyholder_emulator::authority::Authority;
use keyholder_emulator::event_grid::{ArmOperation, Attempt, Scope, Subscription};
use keyholder_emulator::key_vault::{Import, NewSecret, Stamp};
use keyholder_emulator::world::{SUBSCRIPTION, VAULT};
use keyholder_emulator::{Emulator, World};
use keyholder_emulator_local::control::{ClockChange, Control, Snapshot};
use serde_json::Value;

/// The snapshot of an emulator with something in it, which changes are made to.
static LIVED_IN: LazyLock<Value> = LazyLock::new(|| {
    let emulator = Emulator::new(World::tutorial(7));
    emulator.with(|world, now| {
        let ca =
            Authority::ec_root("CA").and_then(|ca| ca.key_and_certificate_pem()).expect("a CA can be made");
        let stamp = Stamp::new(now, &mut world.random);
        world.key_vaults.import_certificate(VAULT, "ca", Import::new(ca), stamp).expect("it is imported");
        let stamp = Stamp::new(now, &mut world.random);
        world.key_vaults.set_secret(VAULT, "kept", NewSecret::new("value"), stamp).expect("it is stored");
        let url: url::Url = "http://127.0.0.1:7071/".parse().expect("a URL");
        let name = "on-upload".parse().expect("a name");
        let subscription = Subscription::new(name, Scope::subscription(SUBSCRIPTION), url);
        world.event_grid.subscribe(subscription.with_dead_letters("letters"));
        for _ in 0..2 {
            world.event_grid.publish(&upload(), now, &mut world.random);
        }
        let mut due = world.event_grid.take_due(now);
        world.event_grid.settle(due.remove(0), Attempt::Answered(http::StatusCode::BAD_REQUEST), now);
        world.event_grid.settle(due.remove(0), Attempt::TimedOut, now);
    });
    serde_json::to_value(Control::of(&emulator).snapshot()).expect("a snapshot is JSON")
});

fn upload() -> ArmOperation<'static> {
    ArmOperation {
        event_type: "Microsoft.Resources.ResourceWriteSuccess",
        name: "Microsoft.Devices/provisioningServices/certificates/write",
        resource_id: "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/iot-x509-demo-rg/providers/Microsoft.Devices/provisioningServices/my-dps-x509/certificates/ca",
        method: "PUT",
        url: "https://localhost/",
        object_id: "00000000-0000-0000-0000-000000000004",
    }
}

/// A snapshot, or changes to one that an emulator has made: a list of pairs, where and what. What is restored can be
/// looked at, goes on through a day of retries, is kept as it is, and names no file but one below a folder.
pub fn snapshot(data: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(data) else { return };
    let document = if let Value::Array(changes) = document { changed(changes) } else { document };
    let Ok(snapshot) = serde_json::from_value::<Snapshot>(document) else { return };
    let emulator = Emulator::new(World::empty(1));
    let control = Control::of(&emulator);
    if let Err(refused) = control.restore(snapshot) {
        return super::assert_fits_a_log(&refused.to_string(), super::SENTENCE);
    }
    let kept = serde_json::to_value(control.snapshot()).expect("what was read can be written");
    let again = serde_json::from_value(kept).expect("what was written can be read");
    control.restore(again).expect("what an emulator has written it takes back");

    let ids: Vec<String> = emulator
        .look(|world, _| world.event_grid.history().map(|delivery| delivery.event_id().to_owned()).collect());
    ids.iter().for_each(|id| drop(control.redeliver(id)));
    for _ in 0..3 {
        let _ = (control.overview(), control.registries(), control.event_grid(), control.faults());
        for letter in control.dead_letters().dead_letters {
            let mut parts = Path::new(&letter.path).components();
            assert!(parts.all(|part| matches!(part, Component::Normal(_))), "{}", letter.path);
        }
        emulator.with(|world, now| {
            world.event_grid.publish(&upload(), now, &mut world.random);
            for handshake in world.event_grid.take_handshakes(now) {
                let _ = handshake.request();
            }
            for delivery in world.event_grid.take_due(now) {
                let _ = delivery.request();
                world.event_grid.settle(delivery, Attempt::SocketError, now);
            }
        });
        for (host, path) in
            [("localhost", "/metadata/endpoints?api-version=2022-09-01"), (HOST, "/keys?api-version=7.4")]
        {
            let request = http::Request::get(path).header("host", host).body(Default::default());
            let _ = emulator.handle(&request.expect("a request"));
        }
        if control.change_clock(ClockChange::advance(Duration::from_secs(90_000))).is_err() {
            break;
        }
    }
}

/// A vault's.
const HOST: &str = "my-vault.vault.localhost:8443";

fn changed(changes: Vec<Value>) -> Value {
    let mut document = LIVED_IN.clone();
    for change in changes {
        let place = change[0].as_str().and_then(|place| document.pointer_mut(place));
        if let Some(place) = place {
            *place = change[1].clone();
        }
    }
    document
}
