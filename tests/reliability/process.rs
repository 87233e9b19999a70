//! The handler as a process of its own, under the emulated Functions host.

use std::time::Duration;

use keyholder_emulator::event_grid::Filter;
use keyholder_emulator::operation::Operation;
use keyholder_emulator::world::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION};
use keyholder_emulator::{Emulator, World};
use keyholder_emulator_local::client::Client;
use keyholder_emulator_local::functions_host::App;
use keyholder_emulator_local::local_azure::{LocalAzure, Options, Ports, certificate_id};
use serde_json::Value;

use crate::cloud::{CA, ask, upload_of};

/// Longer than anything here takes, so that only a defect runs into it.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Process {
    pub(crate) azure: LocalAzure,
    pub(crate) person: Client,
}

impl Process {
    pub(crate) async fn start(seed: u64) -> Process {
        let app = App::built_in(vec![env!("CARGO_BIN_EXE_handler-under-test").into()]).unwrap();
        let world = World { strict: true, ..World::tutorial(seed) };
        // Moving the clock would set off sweeps, which would do the deliveries' work.
        let app_settings = vec![("AzureWebJobs.SweepUnverified.Disabled".to_owned(), "true".to_owned())];
        let options = Options { app_settings, ..Options::new(world, Ports::FREE, app) };
        let azure = LocalAzure::start(options).await.unwrap();
        let person = Client::new(&azure).unwrap();
        Process { azure, person }
    }

    pub(crate) fn emulator(&self) -> &Emulator {
        self.azure.emulator()
    }

    /// The CA in the vault under that name, granted.
    pub(crate) async fn keep(&self, name: &str) {
        let pem = CA.key_and_certificate_pem().unwrap();
        self.person.import_certificate(name, &pem, &[("keyholder", PROVISIONING_SERVICE)]).await.unwrap();
    }

    /// The CA as a secret of that name, granted.
    pub(crate) async fn keep_secret(&self, name: &str) {
        let pem = CA.key_and_certificate_pem().unwrap();
        self.person.set_secret(name, &pem, &[("keyholder", PROVISIONING_SERVICE)]).await.unwrap();
    }

    pub(crate) async fn upload(&self, name: &str) {
        self.person.upload(name, &CA.certificate_pem().unwrap()).await.unwrap();
    }

    /// An upload whose own calls meet no fault.
    pub(crate) fn upload_past_faults(&self, name: &str) {
        ask(self.emulator(), "PUT", name, "", &upload_of(&CA)).expect("the upload is taken");
    }

    pub(crate) fn delete(&self, name: &str) {
        ask(self.emulator(), "DELETE", name, "", &Value::Null);
    }

    /// Event Grid delivers the event of an upload once more.
    pub(crate) fn deliver_again(&self, name: &str) {
        let subject = certificate_id(name);
        self.emulator().with(|world, now| {
            let event = world.event_grid.history().rev().find(|delivery| delivery.subject() == subject);
            let event = event.expect("it was uploaded").event_id().to_owned();
            world.event_grid.redeliver(&event, now);
        });
    }

    /// The event of an upload, as Event Grid posts it.
    pub(crate) fn event(&self, name: &str) -> bytes::Bytes {
        let subject = certificate_id(name);
        self.emulator().look(|world, _| {
            let event = world.event_grid.history().rev().find(|delivery| delivery.subject() == subject);
            event.expect("it was uploaded").body()
        })
    }

    /// What the deliveries about it were answered.
    pub(crate) fn answers(&self, name: &str) -> Vec<u16> {
        self.statuses(Operation::Deliver, name)
    }

    /// How often the registry is known to have taken a proof for it.
    pub(crate) fn proofs_taken(&self, name: &str) -> usize {
        self.statuses(Operation::Verify, name).into_iter().filter(|status| *status == 200).count()
    }

    fn statuses(&self, operation: Operation, name: &str) -> Vec<u16> {
        self.emulator().look(|world, _| {
            let entries = world.journal.entries();
            let wanted = entries.filter(|entry| entry.operation == operation && entry.object == name);
            wanted.map(|entry| entry.status).collect()
        })
    }

    /// Resident memory of the handler in KiB, where the system tells.
    pub(crate) fn handler_memory(&self) -> Option<u64> {
        resident(self.azure.functions_host().handler_pid()?)
    }

    pub(crate) fn is_verified(&self, name: &str) -> bool {
        self.emulator().look(|world, _| is_verified(world, name))
    }

    /// Waits until the world shows it, and panics with the story if it never does.
    pub(crate) async fn until<T>(&self, what: &str, look: impl FnMut(&World) -> Option<T>) -> T {
        match tokio::time::timeout(PATIENCE, self.emulator().until(look)).await {
            Ok(found) => found,
            Err(_) => {
                let story = self.emulator().look(|world, _| {
                    let entries = world.journal.entries().rev().take(40);
                    entries.map(|entry| format!("{entry:?}")).collect::<Vec<_>>().join("\n")
                });
                panic!("never came: {what}; newest first:\n{story}")
            }
        }
    }

    /// Moves the clock from attempt to attempt until it is verified.
    pub(crate) async fn until_verified(&self, name: &str) {
        self.until_after_attempts(name, |world| is_verified(world, name)).await;
    }

    /// The same, until Event Grid has nothing left to deliver besides.
    pub(crate) async fn until_settled(&self, name: &str) {
        self.until_after_attempts(name, |world| is_verified(world, name) && world.event_grid.is_idle()).await;
    }

    async fn until_after_attempts(&self, name: &str, done: impl Fn(&World) -> bool) {
        for _ in 0..30 {
            let emulator = self.emulator();
            let what = format!("{name} is done, or waits for another attempt");
            let retry = self.until(&what, |world| {
                let waits = world.event_grid.in_flight() == 0;
                let next = world.event_grid.next_due().filter(|due| waits && *due > emulator.now());
                done(world).then_some(None).or(next.map(Some))
            });
            match retry.await {
                None => return,
                Some(due) => emulator.advance((due - emulator.now()).try_into().unwrap_or_default()),
            }
        }
        panic!("{name} is stuck");
    }

    /// Has Event Grid deliver everything, not only certificate writes.
    pub(crate) fn subscribe_to_everything(&self) {
        self.emulator().with(|world, _| {
            let mut wide = world.event_grid.subscriptions().next().expect("one is there at start").clone();
            wide.filter = Filter::default();
            world.event_grid.subscribe(wide);
        });
    }
}

pub(crate) fn is_verified(world: &World, name: &str) -> bool {
    let certificate = world.dps.certificate(SUBSCRIPTION, RESOURCE_GROUP, PROVISIONING_SERVICE, name);
    certificate.is_some_and(|certificate| certificate.is_verified())
}

/// Resident memory of a process in KiB, where the system tells.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
