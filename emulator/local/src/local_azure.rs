//! All of it, running: the services on their sockets, Event Grid delivering, the Functions host with a
//! handler. What `emulator up`, the demo and the tests start.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;

use crate::control::{Control, Site, TokenFile, at_home, random_token};
use crate::hosts::delivery;
use crate::hosts::functions_host::{App, FunctionsHost, HostError};
use crate::page;
use keyholder_emulator::Emulator;
use keyholder_emulator::event_grid::{Endpoint, Filter, Schema, Scope, Subscription};
use keyholder_emulator::identity::APP_HEADER;
use keyholder_emulator::listener;
use keyholder_emulator::names::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION, TENANT};
use keyholder_emulator::tls::ServerIdentity;
use keyholder_emulator::world::World;

/// The function that uploads are delivered to.
const FUNCTION: &str = "VerifyOnUpload";
/// The function that a timer starts.
const SWEEP: &str = "SweepUnverified";
/// The app setting by which the app is known to the managed identity endpoint.
const IDENTITY_HEADER: &str = "IDENTITY_HEADER";
/// The event subscription that is there at start.
const EVENT_SUBSCRIPTION: &str = "verify-on-upload";
/// The function app's name, for whoever names its functions as resources.
const FUNCTION_APP: &str = "keyholder";
/// The container that events nobody took go to.
const DEAD_LETTERS: &str = "dead-letters";

/// What to start.
#[derive(Debug)]
pub struct Options {
    /// What is there at start.
    pub world: World,
    /// Where to listen.
    pub ports: Ports,
    /// How Event Grid writes its events.
    pub schema: Schema,
    /// The function app.
    pub app: App,
    /// App settings besides those that point the app here; a later one of the same name wins.
    pub app_settings: Vec<(String, String)>,
    /// Folder to write dead letters to; they can be looked at in memory either way.
    pub dead_letters: Option<PathBuf>,
    /// A webhook that uploads are sent to instead of to the app here, which then rests.
    pub deliver_to: Option<Endpoint>,
}

impl Options {
    /// An app in a world, with nothing special about it.
    pub fn new(world: World, ports: Ports, app: App) -> Options {
        let schema = Schema::default();
        Options { world, ports, schema, app, app_settings: Vec::new(), dead_letters: None, deliver_to: None }
    }
}

/// Where to listen, on the loopback address; 0 is any free port.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// ARM and the vaults, TLS.
    pub services: u16,
    /// Managed identity, plain HTTP.
    pub identity: u16,
    /// The Functions host, plain HTTP.
    pub functions: u16,
}

impl Ports {
    /// The addresses a script can rely on.
    pub const STANDARD: Ports = Ports { services: 8443, identity: 8081, functions: 7071 };
    /// Any free ones, so that many can run at once.
    pub const FREE: Ports = Ports { services: 0, identity: 0, functions: 0 };
}

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else listens there, or nobody may.
    #[error(
        "port {port} for {purpose} cannot be used ({source}); choose another with {option} N, or {option} 0 for any \
         free one"
    )]
    Port {
        /// Which.
        port: u16,
        /// What it is for.
        purpose: &'static str,
        /// The option that chooses another.
        option: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// No certificate for the listener.
    #[error("no certificate could be made for the TLS listener")]
    Certificate(#[from] openssl::error::ErrorStack),
    /// The CA has to be in a file for clients to trust it.
    #[error("the emulator's CA could not be written to {}", std::env::temp_dir().display())]
    CaFile(#[source] io::Error),
    /// The function app did not start.
    #[error("the function app did not start: {0}")]
    Host(#[from] HostError),
}

/// The running emulator. Dropping it stops everything at once, the handler included, and removes the files it
/// made.
#[derive(Debug)]
pub struct LocalAzure {
    control: Control,
    site: Arc<Site>,
    services: SocketAddr,
    settings: Vec<(String, String)>,
    functions_host: FunctionsHost,
    _ca_files: [NamedTempFile; 2],
    /// None where there is no place for it; then the shell has to be told.
    _token_file: Option<TokenFile>,
    servers: JoinSet<()>,
}

impl LocalAzure {
    /// Starts everything; when it returns, everything answers.
    pub async fn start(options: Options) -> Result<LocalAzure, StartError> {
        let Options { world, ports, schema, app, app_settings, dead_letters, deliver_to } = options;
        let services = bind(ports.services, "ARM and the vaults", "--port").await?;
        let identity = bind(ports.identity, "managed identity", "--identity-port").await?;
        let functions = bind(ports.functions, "the Functions host", "--functions-port").await?;
        let addresses = [&services, &identity, &functions].map(local);

        let server_identity = ServerIdentity::generate()?;
        let ca_pem = server_identity.ca_pem()?;
        let ca_file = pem_file(&[&ca_pem]).map_err(StartError::CaFile)?;
        let ca_bundle = pem_file(&[&trusted_anyway(), &ca_pem]).map_err(StartError::CaFile)?;
        let site = Arc::new(Site {
            arm: url(&format!("https://localhost:{}", addresses[0].port())),
            identity: url(&format!("http://{}/msi/token", addresses[1])),
            functions: url(&format!("http://{}", addresses[2])),
            token: random_token(),
            ca_pem,
            ca_file: ca_file.path().to_owned(),
            ca_bundle: ca_bundle.path().to_owned(),
        });

        let token_file = TokenFile::write(addresses[1].port(), Arc::clone(&site.token)).ok();
        let emulator = Emulator::new(world);
        let control = Control::at(Arc::clone(&site), emulator.clone());
        let mut servers = JoinSet::new();
        servers.spawn(listener::serve_tls(services, server_identity.acceptor()?, emulator.clone()));
        let besides = control.routes().merge(page::routes(&control));
        let complete = |services: Router| services.merge(besides).layer(from_fn(at_home));
        servers.spawn(listener::serve_plain(identity, emulator.clone(), complete));
        servers.spawn(delivery::run(emulator.clone()));
        if let Some(folder) = dead_letters {
            servers.spawn(delivery::dead_letters::write(emulator.clone(), folder));
        }

        let mut settings = app_environment(&site);
        if deliver_to.is_some() {
            settings.push((format!("AzureWebJobs.{SWEEP}.Disabled"), "true".to_owned()));
        }
        settings.extend(app_settings);
        if let Some((_, header)) = settings.iter().rfind(|(name, _)| name == IDENTITY_HEADER) {
            emulator.with(|world, _| world.identity.set_app_header(header));
        }
        let functions_host = FunctionsHost::start(app, settings.clone(), functions, emulator.clone()).await?;
        let own = || Endpoint::function(function_id(FUNCTION), functions_host.webhook(FUNCTION));
        let endpoint = deliver_to.unwrap_or_else(own);
        emulator.with(|world, _| {
            world.event_grid.set_address(url(&format!("http://{}", addresses[1])));
            // Of a group that is not there, Azure has no events either.
            if world.arm.has_resource_group(SUBSCRIPTION, RESOURCE_GROUP) {
                world.event_grid.subscribe(event_subscription(endpoint, schema));
            }
        });
        emulator.is_set_up();
        Ok(LocalAzure {
            control,
            site,
            services: addresses[0],
            settings,
            functions_host,
            _ca_files: [ca_file, ca_bundle],
            _token_file: token_file,
            servers,
        })
    }

    /// The world and its clock.
    pub fn emulator(&self) -> &Emulator {
        self.control.emulator()
    }

    /// The control API, as tests use it.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The control API, as everybody else uses it.
    pub fn control_url(&self) -> Url {
        self.site.identity.join("/_emulator").expect("a path joins any URL")
    }

    /// The page, with the token that it needs where it stays in the browser.
    pub fn page(&self) -> Url {
        let mut page = self.site.identity.clone();
        page.set_path("/");
        page.set_fragment(Some(&format!("token={}", self.site.token)));
        page
    }

    /// Azure Resource Manager.
    pub fn arm(&self) -> Url {
        self.site.arm.clone()
    }

    /// A vault.
    pub fn vault(&self, name: &str) -> Url {
        self.site.vault(name)
    }

    /// The socket that both of them, and every other service with TLS, are on.
    pub fn services_address(&self) -> SocketAddr {
        self.services
    }

    /// The managed identity endpoint.
    pub fn identity(&self) -> Url {
        self.site.identity.clone()
    }

    /// Entra ID, for the tenant that is there at start.
    pub fn authority(&self) -> Url {
        self.site.authority()
    }

    /// The Functions host.
    pub fn functions_host(&self) -> &FunctionsHost {
        &self.functions_host
    }

    /// What the app was told, so that another instance of it can be started: a function app scales out.
    pub fn app_settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// The CA that clients have to trust.
    pub fn ca_pem(&self) -> &[u8] {
        &self.site.ca_pem
    }

    /// A file with that CA, there as long as the emulator is.
    pub fn ca_file(&self) -> &std::path::Path {
        &self.site.ca_file
    }

    /// Stops everything and waits for it.
    pub async fn stop(mut self) {
        self.functions_host.stop().await;
        self.servers.shutdown().await;
    }
}

/// What the app is told so that it works here, by the names it has in Azure.
fn app_environment(site: &Site) -> Vec<(String, String)> {
    let settings = [
        ("KEYHOLDER_KEY_ACCESS", "read-secret".to_owned()),
        ("KEYHOLDER_SWEEP_SCHEDULE", "0 */15 * * * *".to_owned()),
        ("IDENTITY_ENDPOINT", site.identity.to_string()),
        (IDENTITY_HEADER, APP_HEADER.to_owned()),
        ("AZURE_CLIENT_ID", String::new()),
        ("AZURE_TENANT_ID", TENANT.to_owned()),
        ("AZURE_AUTHORITY_HOST", site.arm.as_str().trim_end_matches('/').to_owned()),
        ("SSL_CERT_FILE", site.ca_file.display().to_string()),
        ("NO_PROXY", "localhost,127.0.0.1".to_owned()),
    ];
    let settings = site.keyholder_settings().into_iter().chain(settings);
    settings.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn event_subscription(endpoint: Endpoint, schema: Schema) -> Subscription {
    let name = EVENT_SUBSCRIPTION.parse().expect("the constant is well-formed");
    let scope = Scope::resource_group(SUBSCRIPTION, RESOURCE_GROUP);
    let subscription = Subscription::new(name, scope, endpoint).with_dead_letters(DEAD_LETTERS);
    Subscription { filter: Filter::certificate_writes(), schema, ..subscription }
}

async fn bind(port: u16, purpose: &'static str, option: &'static str) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    bound.map_err(|source| StartError::Port { port, purpose, option, source })
}

fn local(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("a bound socket has an address")
}

fn pem_file(parts: &[&[u8]]) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix("keyholder-emulator-").suffix(".pem").tempfile()?;
    for part in parts {
        file.write_all(part)?;
        file.write_all(b"\n")?;
    }
    file.flush()?;
    Ok(file)
}

/// The CAs this machine trusts, where they can be found: a shell that is pointed here still reaches the rest of
/// the world.
fn trusted_anyway() -> Vec<u8> {
    let file = openssl_probe::probe().cert_file;
    file.and_then(|file| std::fs::read(file).ok()).unwrap_or_default()
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("built from a host and a port")
}

/// The id of a function of the app.
fn function_id(name: &str) -> String {
    format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.Web/sites/{FUNCTION_APP}/functions/{name}"
    )
}

/// The id of a certificate of the instance that is there at start.
pub fn certificate_id(name: &str) -> String {
    format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.Devices/provisioningServices/{PROVISIONING_SERVICE}/certificates/{name}"
    )
}
