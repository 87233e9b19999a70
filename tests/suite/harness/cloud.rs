//! Everything as a user runs it: the services on sockets of their own, Event Grid, the Functions host, and
//! the real handler program. Many can run at once.
//!
//! Nothing here waits for a while. Each wait is for something the world or the log shows; its limit only ends
//! a test that would hang, and then everything that happened is printed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use keyholder_emulator::dps::Certificate;
use keyholder_emulator::faults::{Calls, Effect, Fault};
use keyholder_emulator::journal::Entry;
use keyholder_emulator::operation::Operation;
use keyholder_emulator::world::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION};
use keyholder_emulator::{Emulator, World};
use keyholder_emulator_local::client::Client;
use keyholder_emulator_local::functions_host::{App, Level, Line, Source};
use keyholder_emulator_local::local_azure::{LocalAzure, Options, Ports, certificate_id};
use serde_json::{Value, json};
use url::Url;

use super::authority::Authority;
use super::{GRANT, programs};

const PATIENCE: Duration = Duration::from_secs(40);

/// The emulated cloud, a handler in it, and a person with rights.
pub(crate) struct Cloud {
    azure: LocalAzure,
    person: Client,
}

/// How a run ended, as the handler logged it.
pub(crate) struct Audit {
    /// What the host takes it for.
    pub(crate) level: Level,
    pub(crate) fields: Value,
}

impl Audit {
    pub(crate) fn outcome(&self) -> &str {
        self.fields["outcome"].as_str().expect("every audit has an outcome")
    }

    /// Why, and what to do about it.
    pub(crate) fn says(&self) -> String {
        let text = |name: &str| self.fields[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}", text("reason"), text("remedy"))
    }
}

/// A cloud as a strict service would have it, with an app that signs in the vault.
pub(crate) fn options() -> Options {
    let world = World { strict: true, ..World::tutorial(7) };
    let app = App::built_in(vec![programs::HANDLER.into()]).expect("the repository's own app");
    Options {
        app_settings: vec![("KEYHOLDER_KEY_ACCESS".to_owned(), "sign-in-vault".to_owned())],
        ..Options::new(world, Ports::FREE, app)
    }
}

impl Cloud {
    pub(crate) async fn start() -> Cloud {
        Cloud::start_with(&[]).await
    }

    /// With app settings of the test's own.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Cloud {
        let mut options = options();
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        options.app_settings.extend(settings);
        Cloud::start_from(options).await
    }

    /// Without sweeps, which would come at each quarter of an hour and with each move of the clock, unless the
    /// test's settings switch them on.
    pub(crate) async fn start_from(mut options: Options) -> Cloud {
        let no_sweeps = ("AzureWebJobs.SweepUnverified.Disabled".to_owned(), "true".to_owned());
        options.app_settings.insert(0, no_sweeps);
        let azure = LocalAzure::start(options).await.expect("everything starts");
        let person = Client::new(&azure).expect("a client that trusts the emulator");
        Cloud { azure, person }
    }

    /// Puts a CA into the vault, granted for the registry that is there at start.
    pub(crate) async fn import_ca(&self, name: &str, ca: &Authority) {
        self.import_ca_tagged(name, ca, GRANT).await;
    }

    pub(crate) async fn import_ca_tagged(&self, name: &str, ca: &Authority, tags: &[(&str, &str)]) {
        let imported = self.person.import_certificate(name, &ca.key_and_certificate(), tags).await;
        imported.expect("the vault takes the CA");
    }

    /// Keeps a CA as the tutorial does: key and certificate as a secret, PEM.
    pub(crate) async fn store_pem_secret(&self, name: &str, ca: &Authority, tags: &[(&str, &str)]) {
        let stored = self.person.set_secret(name, &ca.key_and_certificate(), tags).await;
        stored.expect("the vault takes the secret");
    }

    /// Uploads a CA certificate to the registry, and lets go.
    pub(crate) async fn upload(&self, name: &str, ca: &Authority) {
        self.person.upload(name, ca.certificate()).await.expect("DPS takes the CA certificate");
    }

    /// Uploads a CA certificate with the tick in "set status to verified on upload".
    pub(crate) fn upload_as_verified(&self, name: &str, ca: &Authority) {
        let certificate = STANDARD.encode(ca.certificate());
        self.put(&certificate_id(name), &json!({ "certificate": certificate, "isVerified": true }));
    }

    /// Uploads a CA certificate to a certain registry.
    pub(crate) fn upload_to(&self, group: &str, instance: &str, name: &str, ca: &Authority) {
        let id = certificate_id(name).replace(RESOURCE_GROUP, group).replace(PROVISIONING_SERVICE, instance);
        self.put(&id, &json!({ "certificate": STANDARD.encode(ca.certificate()) }));
    }

    fn put(&self, id: &str, properties: &Value) {
        let body = json!({ "properties": properties });
        let token = self.emulator().look(|world, now| world.identity.mint("https://localhost", now));
        let request = http::Request::put(format!("{id}?api-version=2022-12-12"))
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Bytes::from(body.to_string()))
            .expect("a request");
        let answer = self.emulator().handle(&request);
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// Has Event Grid deliver the event about a certificate once more, at once.
    pub(crate) fn deliver_again(&self, name: &str) {
        let path = format!("/{name}");
        let delivered = self.emulator().with(|world, now| {
            let about = world.event_grid.history().find(|delivery| delivery.subject().ends_with(&path));
            let event = about.map(|delivery| delivery.event_id().to_owned());
            event.map_or(0, |event| world.event_grid.redeliver(&event, now))
        });
        assert_eq!(delivered, 1, "there is one event about {name} and one subscriber");
    }

    /// Has an operation on an object fail, from now on.
    pub(crate) fn fail(&self, operation: Operation, object: Option<&str>, calls: Calls, status: u16) {
        self.meet(operation, object, calls, Effect::Answer(status));
    }

    pub(crate) fn meet(&self, operation: Operation, object: Option<&str>, calls: Calls, effect: Effect) {
        let object = object.map(str::to_owned);
        self.emulator().with(|world, _| world.faults.add(Fault { operation, object, calls, effect }));
    }

    /// Ends all failures.
    pub(crate) fn recover(&self) {
        self.emulator().with(|world, _| world.faults.clear());
    }

    /// Waits until Event Grid has had an answer to its first delivery about a certificate: its status.
    pub(crate) async fn until_answered(&self, name: &str) -> u16 {
        self.until_answers(name, 1).await[0]
    }

    /// Waits until Event Grid has had so many answers about a certificate: their statuses.
    pub(crate) async fn until_answers(&self, name: &str, wanted: usize) -> Vec<u16> {
        self.until(&format!("{name} had {wanted} answers"), |world| {
            let entries = world.journal.entries();
            let answers =
                entries.filter(|entry| entry.operation == Operation::Deliver && entry.object == name);
            let statuses: Vec<u16> = answers.map(|entry| entry.status).collect();
            (statuses.len() >= wanted).then_some(statuses)
        })
        .await
    }

    /// Waits until a certificate is verified, and the event that had it verified is answered: the proof.
    pub(crate) async fn until_verified(&self, name: &str) -> String {
        self.until(&format!("{name} is verified and Event Grid is idle"), |world| {
            let certificate = find(world, name).filter(|certificate| certificate.is_verified())?;
            let proof = certificate.proof().map(str::to_owned);
            world.event_grid.is_idle().then_some(proof)
        })
        .await
        .expect("nobody waived the proof")
    }

    /// Waits until an operation was answered at all.
    pub(crate) async fn until_called(&self, operation: Operation) {
        self.until(&format!("{operation} was called"), |world| {
            (world.journal.count(operation) > 0).then_some(())
        })
        .await;
    }

    pub(crate) async fn until<T>(&self, what: &str, look: impl FnMut(&World) -> Option<T>) -> T {
        match tokio::time::timeout(PATIENCE, self.emulator().until(look)).await {
            Ok(found) => found,
            Err(_) => panic!("waited in vain until {what}\n{}", self.story()),
        }
    }

    /// Waits for a line of the log.
    pub(crate) async fn until_logged(&self, what: &str, wanted: impl Fn(&Line) -> bool) -> Line {
        let (earlier, mut later) = self.azure.functions_host().follow();
        if let Some(line) = earlier.into_iter().find(&wanted) {
            return line;
        }
        let found = async {
            loop {
                let line = later.recv().await.expect("no test logs more than the log keeps");
                if wanted(&line) {
                    return line;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(line) => line,
            Err(_) => panic!("waited in vain for a line that {what}\n{}", self.story()),
        }
    }

    /// Where the handler itself listens, as its log says.
    pub(crate) async fn handler(&self) -> Url {
        let ready =
            self.until_logged("says the handler is ready", |line| line.text.contains("app.ready")).await;
        let address = programs::address_in(&ready.text).expect("it says where it listens");
        Url::parse(&format!("http://{address}")).expect("an address makes a URL")
    }

    /// Waits for the line that says how a run for a certificate ended.
    pub(crate) async fn until_audited(&self, name: &str) -> Audit {
        let audit = |line: &Line| {
            let fields: Value = serde_json::from_str(&line.text).ok()?;
            let ended = line.source == Source::Handler && fields["event"] == "verification.ended";
            let about = fields["certificateId"].as_str()?.ends_with(&format!("/certificates/{name}"));
            (ended && about).then_some(Audit { level: line.level, fields })
        };
        let line = self.until_logged("is the audit", |line| audit(line).is_some()).await;
        audit(&line).expect("it was one a moment ago")
    }

    /// The lines the handler has logged so far.
    pub(crate) fn logged(&self) -> Vec<Value> {
        let (log, _) = self.azure.functions_host().follow();
        let by_handler = log.iter().filter(|line| line.source == Source::Handler);
        by_handler.filter_map(|line| serde_json::from_str(&line.text).ok()).collect()
    }

    /// How often an operation on an object succeeded.
    pub(crate) fn successes(&self, operation: Operation, object: &str) -> usize {
        let entries = self.journal();
        let wanted =
            |entry: &&Entry| entry.operation == operation && entry.object == object && entry.status == 200;
        entries.iter().filter(wanted).count()
    }

    /// How often an operation was asked for at all.
    pub(crate) fn count(&self, operation: Operation) -> usize {
        self.emulator().look(|world, _| world.journal.count(operation))
    }

    pub(crate) fn journal(&self) -> Vec<Entry> {
        self.emulator().look(|world, _| world.journal.entries().cloned().collect())
    }

    /// The newest code that was handed out for a certificate.
    pub(crate) fn code(&self, name: &str) -> String {
        let of_it = |entry: Entry| (entry.object == name).then_some(entry.code).flatten();
        self.journal().into_iter().rev().find_map(of_it).expect("a code was asked for")
    }

    /// Looks at a certificate in the registry.
    pub(crate) fn certificate<T>(&self, name: &str, look: impl FnOnce(&Certificate) -> T) -> T {
        self.emulator().look(|world, _| look(find(world, name).expect("it was uploaded")))
    }

    pub(crate) fn azure(&self) -> &LocalAzure {
        &self.azure
    }

    pub(crate) fn emulator(&self) -> &Emulator {
        self.azure.emulator()
    }

    pub(crate) fn person(&self) -> &Client {
        &self.person
    }

    /// Everything that happened.
    pub(crate) fn story(&self) -> String {
        let journal = self.journal().into_iter().map(|entry| {
            let Entry { sequence, operation, object, status, note, .. } = entry;
            format!("{sequence:>4} {operation} {object} {status} {}\n", note.unwrap_or_default())
        });
        let (log, _) = self.azure.functions_host().follow();
        journal.chain(log.iter().map(|line| format!("{line}\n"))).collect()
    }
}

fn find<'w>(world: &'w World, name: &str) -> Option<&'w Certificate> {
    world.dps.certificate(SUBSCRIPTION, RESOURCE_GROUP, PROVISIONING_SERVICE, name)
}
