//! A world to measure in: CAs in a vault, DPS instances for their certificates, and handler processes. Uploads
//! are made without a socket, so that whatever calls and connects was sent by a handler.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::OsString;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::json;
use time::OffsetDateTime;
use tokio::net::TcpListener;

use crate::error::BenchError;
use crate::process::{self, Usage};
use keyholder_emulator::Emulator;
use keyholder_emulator::authority::Authority;
use keyholder_emulator::dps;
use keyholder_emulator::event_grid::{Filter, Scope, Subscription};
use keyholder_emulator::faults::{Calls, Effect, Fault};
use keyholder_emulator::key_vault::{Import, Stamp};
use keyholder_emulator::names::{RESOURCE_GROUP, SUBSCRIPTION, VAULT};
use keyholder_emulator::operation::Operation;
use keyholder_emulator::world::World;
use keyholder_emulator_local::functions_host::{App, FunctionsHost};
use keyholder_emulator_local::local_azure::{LocalAzure, Options, Ports};

const FUNCTION: &str = "VerifyOnUpload";
/// Longer than anything here takes, so that only a defect runs into it.
const PATIENCE: Duration = Duration::from_secs(60);
const SEED: u64 = 7;

/// Every call that a handler makes to a service.
const UPSTREAM: [Operation; 11] = [
    Operation::GetToken,
    Operation::GetCertificate,
    Operation::GenerateVerificationCode,
    Operation::Verify,
    Operation::VaultChallenge,
    Operation::GetVaultCertificate,
    Operation::ListVaultCertificates,
    Operation::GetDeletedVaultCertificate,
    Operation::Sign,
    Operation::ListSecrets,
    Operation::GetSecret,
];

/// What to set up.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// How the handler is started.
    pub(crate) handler: Vec<OsString>,
    /// How many of its processes there are; each serves its share of the DPS instances.
    pub(crate) processes: usize,
    /// How many CAs are to be verified.
    pub(crate) certificates: usize,
    /// How many others the vault holds.
    pub(crate) strangers: usize,
    /// Whether the vault knows the CAs by other names than DPS does.
    pub(crate) other_names: bool,
    pub(crate) family: Family,
    /// How much later each answer to a handler comes.
    pub(crate) latency: Duration,
    /// Whether DPS does only what recordings show; the tutorial needs more.
    pub(crate) strict: bool,
}

/// The CAs' keys. All CAs of a scene share one; what is measured does not depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Family {
    Rsa2048,
    P256,
}

/// The world, running.
pub(crate) struct Stage {
    azure: LocalAzure,
    others: Vec<FunctionsHost>,
    latency: Duration,
    /// The text to upload for each certificate.
    certificates: Vec<String>,
    token: String,
}

/// What was measured while some certificates were verified.
#[derive(Debug)]
pub(crate) struct Run {
    /// From each upload until DPS's answer that it is verified got back to the handler.
    pub(crate) verified: Vec<Duration>,
    pub(crate) took: Duration,
    /// Calls to the services, by kind.
    pub(crate) calls: BTreeMap<&'static str, u64>,
    pub(crate) connections: u64,
    /// What the handlers used meanwhile, and have resident now.
    pub(crate) handlers: Option<Usage>,
    /// What everything else used meanwhile: emulator, Functions hosts, and whoever uploads.
    pub(crate) emulator: Option<Usage>,
}

/// An upload on its way.
struct Flight {
    certificate: usize,
    uploaded: OffsetDateTime,
    verified: Option<OffsetDateTime>,
}

impl Scene {
    /// One process, RSA-2048, no latency, and nothing in the vault but the CAs themselves.
    pub(crate) fn new(handler: &[OsString], certificates: usize) -> Scene {
        Scene {
            handler: handler.to_vec(),
            processes: 1,
            certificates,
            strangers: 0,
            other_names: false,
            family: Family::Rsa2048,
            latency: Duration::ZERO,
            strict: true,
        }
    }
}

impl Stage {
    pub(crate) async fn start(scene: &Scene) -> Result<Stage, BenchError> {
        let mut world = World { strict: scene.strict, ..World::empty(SEED) };
        let certificates = furnish(&mut world, scene)?;
        let app = App::built_in(scene.handler.clone())?;
        let options = Options::new(world, Ports::FREE, app.clone());
        let azure = LocalAzure::start(Options { app_settings: settings(), ..options }).await?;
        let mut others = Vec::new();
        for number in 1..scene.processes {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let settings = azure.app_settings().to_vec();
            let host =
                FunctionsHost::start(app.clone(), settings, listener, azure.emulator().clone()).await?;
            azure.emulator().with(|world, _| world.event_grid.subscribe(subscription(number, &host)));
            others.push(host);
        }
        let arm = azure.arm();
        let token = azure.emulator().with(|world, now| {
            if !scene.latency.is_zero() {
                let (object, calls, effect) = (None, Calls::Always, Effect::Delay(scene.latency));
                for operation in UPSTREAM {
                    world.faults.add(Fault { operation, object: object.clone(), calls, effect });
                }
            }
            world.identity.mint(arm.as_str(), now)
        });
        Ok(Stage { azure, others, latency: scene.latency, certificates, token })
    }

    pub(crate) fn azure(&self) -> &LocalAzure {
        &self.azure
    }

    /// What the handlers have resident, and have had at most.
    pub(crate) fn handlers(&self) -> Option<Usage> {
        let mut sum = Usage::default();
        let first = self.azure.functions_host();
        for host in std::iter::once(first).chain(&self.others) {
            let usage = process::usage(host.handler_pid()?)?;
            sum.cpu += usage.cpu;
            sum.resident += usage.resident;
            sum.peak += usage.peak;
        }
        Some(sum)
    }

    /// Uploads a certificate as unverified, over whatever was there.
    pub(crate) fn upload(&self, certificate: usize) -> OffsetDateTime {
        let body =
            json!({ "properties": { "certificate": self.certificates[certificate], "isVerified": false } });
        let instance = certificate / dps::LIMIT;
        let host = format!("localhost:{}", self.azure.services_address().port());
        let request = http::Request::put(format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/{}/providers/Microsoft.Devices/provisioningServices/{}\
             /certificates/{}?api-version=2022-12-12",
            group(instance % (self.others.len() + 1)),
            instance_name(instance),
            name(certificate),
        ))
        .header(http::header::HOST, host)
        .header(http::header::AUTHORIZATION, format!("Bearer {}", self.token))
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(http::header::IF_MATCH, "*")
        .body(Bytes::from(body.to_string()))
        .expect("it is made of well-formed parts");
        self.emulator().with(|world, now| {
            world.reply(&request, now);
            now
        })
    }

    /// Has so many uploads verified, so many at once. Each certificate is uploaded as often as it takes.
    pub(crate) async fn verify(&self, uploads: usize, at_once: usize) -> Result<Run, BenchError> {
        let before = self.tally();
        let begun = Instant::now();
        let verified = self.flights(uploads, at_once).await?;
        let took = begun.elapsed();
        let after = self.tally();
        Ok(Run {
            verified,
            took,
            calls: after
                .calls
                .into_iter()
                .map(|(kind, calls)| (kind, calls - before.calls.get(kind).copied().unwrap_or_default()))
                .filter(|(_, calls)| *calls > 0)
                .collect(),
            connections: after.connections - before.connections,
            handlers: spent(before.handlers, after.handlers),
            emulator: spent(before.emulator, after.emulator),
        })
    }

    pub(crate) async fn stop(self) {
        for host in self.others {
            host.stop().await;
        }
        self.azure.stop().await;
    }

    fn emulator(&self) -> &Emulator {
        self.azure.emulator()
    }

    fn tally(&self) -> Tally {
        let calls = self.emulator().look(|world, _| {
            UPSTREAM.map(|operation| (operation.name(), world.journal.total(operation))).into()
        });
        Tally {
            calls,
            connections: self.emulator().connections(),
            handlers: self.handlers(),
            emulator: process::own_usage(),
        }
    }

    async fn flights(&self, uploads: usize, at_once: usize) -> Result<Vec<Duration>, BenchError> {
        let mut free: VecDeque<usize> = (0..self.certificates.len()).collect();
        let mut under_way: HashMap<String, Flight> = HashMap::new();
        let mut verified = Vec::with_capacity(uploads);
        let mut uploaded = 0;
        let mut told = self.emulator().look(|world, _| world.journal.written());
        let mut changes = self.emulator().changes();
        while verified.len() < uploads {
            while under_way.len() < at_once
                && uploaded < uploads
                && let Some(certificate) = free.pop_front()
            {
                let flight = Flight { certificate, uploaded: self.upload(certificate), verified: None };
                under_way.insert(name(certificate), flight);
                uploaded += 1;
            }
            // Whatever changes from here on ends the wait below.
            changes.mark_unchanged();
            let news = self.news(told);
            if news.is_empty() && tokio::time::timeout(PATIENCE, changes.changed()).await.is_err() {
                return Err(self.unverified(under_way.keys().next().map_or("nothing", String::as_str)));
            }
            for News { sequence, landed, name, at } in news {
                told = sequence;
                if !landed {
                    if let Some(flight) = under_way.get_mut(&name) {
                        flight.verified = Some(at);
                    }
                } else if let Some(flight) = under_way.remove(&name) {
                    let Some(at) = flight.verified else { return Err(self.unverified(&name)) };
                    verified.push((at - flight.uploaded).unsigned_abs() + self.latency);
                    free.push_back(flight.certificate);
                }
            }
        }
        Ok(verified)
    }

    /// Proofs that DPS took, and deliveries that were answered, since this entry of the journal.
    fn news(&self, told: u64) -> Vec<News> {
        self.emulator().look(|world, _| {
            let entries = world.journal.since(told).filter_map(|entry| {
                let landed = match (entry.operation, entry.status) {
                    (Operation::Verify, 200) => false,
                    (Operation::Deliver, _) => true,
                    _ => return None,
                };
                Some(News { sequence: entry.sequence, landed, name: entry.object.clone(), at: entry.at })
            });
            entries.collect()
        })
    }

    /// Says what the host knows of it.
    fn unverified(&self, name: &str) -> BenchError {
        let (lines, _) = self.azure.functions_host().follow();
        let last: Vec<String> = lines.iter().rev().take(5).rev().map(ToString::to_string).collect();
        BenchError::Unverified { name: name.to_owned(), log: last.join("\n  ") }
    }
}

struct News {
    sequence: u64,
    /// The delivery was answered; otherwise, the proof was taken.
    landed: bool,
    name: String,
    at: OffsetDateTime,
}

struct Tally {
    calls: BTreeMap<&'static str, u64>,
    connections: u64,
    handlers: Option<Usage>,
    emulator: Option<Usage>,
}

fn spent(before: Option<Usage>, after: Option<Usage>) -> Option<Usage> {
    let (before, after) = (before?, after?);
    Some(Usage { cpu: after.cpu.saturating_sub(before.cpu), ..after })
}

/// Puts everything in its place; the texts to upload.
fn furnish(world: &mut World, scene: &Scene) -> Result<Vec<String>, BenchError> {
    world.key_vaults.add(VAULT);
    for number in 0..scene.processes {
        world.arm.add_resource_group(SUBSCRIPTION, &group(number));
    }
    for instance in 0..scene.certificates.div_ceil(dps::LIMIT) {
        let group = group(instance % scene.processes);
        world.add_provisioning_service(SUBSCRIPTION, &group, &instance_name(instance));
    }
    let root = match scene.family {
        Family::Rsa2048 => Authority::rsa_root("Benchmark"),
        Family::P256 => Authority::ec_root("Benchmark"),
    }?;
    let now = OffsetDateTime::now_utc();
    let mut keep = |name: &str, ca: &Authority| {
        let import = Import::new(ca.key_and_certificate_pem()?).exportable(false).tags([("keyholder", "*")]);
        let stamp = Stamp::new(now, &mut world.random);
        world
            .key_vaults
            .import_certificate(VAULT, name, import, stamp)
            .expect("the vault is empty and takes it");
        Ok::<_, BenchError>(())
    };
    for number in 0..scene.strangers {
        keep(&format!("stranger-{number}"), &root.sibling(&format!("Stranger {number}"))?)?;
    }
    let mut texts = Vec::new();
    for number in 0..scene.certificates {
        let ca = root.sibling(&format!("Benchmark CA {number}"))?;
        let name = if scene.other_names { format!("kept-{number}") } else { name(number) };
        keep(&name, &ca)?;
        texts.push(STANDARD.encode(ca.certificate_pem()?));
    }
    Ok(texts)
}

/// Without sweeps, which would verify beside whoever is measured.
fn settings() -> Vec<(String, String)> {
    let settings = [
        ("KEYHOLDER_REGISTRIES", format!("/subscriptions/{SUBSCRIPTION}")),
        ("KEYHOLDER_KEY_ACCESS", "sign-in-vault".to_owned()),
        ("AzureWebJobs.SweepUnverified.Disabled", "true".to_owned()),
        // Nobody sets it in Azure, where it would make every absent header expensive.
        ("RUST_BACKTRACE", "0".to_owned()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

fn subscription(number: usize, host: &FunctionsHost) -> Subscription {
    let name = format!("verify-on-upload-{number}").parse().expect("it is well-formed");
    let scope = Scope::resource_group(SUBSCRIPTION, &group(number));
    let mut subscription = Subscription::new(name, scope, host.webhook(FUNCTION));
    subscription.filter = Filter::certificate_writes();
    subscription
}

/// The resource group and the instance of a certificate, where there is one handler.
pub(crate) const PLACE: (&str, &str) = (RESOURCE_GROUP, "dps-0");

/// The resource group whose uploads are delivered to this handler.
fn group(number: usize) -> String {
    if number == 0 { RESOURCE_GROUP.to_owned() } else { format!("{RESOURCE_GROUP}-{number}") }
}

fn instance_name(instance: usize) -> String {
    format!("dps-{instance}")
}

/// A certificate's name in DPS, and in the vault unless the scene says otherwise.
pub(crate) fn name(certificate: usize) -> String {
    format!("ca-{certificate}")
}
