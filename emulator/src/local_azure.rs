//! All of it, running: the services on their sockets, Event Grid delivering, the Functions host with a
//! handler. What `emulator up`, the demo and the tests start.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;

use crate::delivery;
use crate::event_grid::{Filter, Schema, Scope, Subscription};
use crate::functions_host::{App, FunctionsHost, HostError};
use crate::identity::APP_HEADER;
use crate::listener;
use crate::running::Emulator;
use crate::tls::ServerIdentity;
use crate::world::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION, VAULT, World};

/// The function that uploads are delivered to.
const FUNCTION: &str = "VerifyOnUpload";
/// The app setting by which the app is known to the managed identity endpoint.
const IDENTITY_HEADER: &str = "IDENTITY_HEADER";
/// The event subscription that is there at start.
const EVENT_SUBSCRIPTION: &str = "verify-on-upload";

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

/// The running emulator. Dropping it stops everything at once, the handler included, and removes the one
/// file it made.
#[derive(Debug)]
pub struct LocalAzure {
    emulator: Emulator,
    services: SocketAddr,
    identity: SocketAddr,
    settings: Vec<(String, String)>,
    functions_host: FunctionsHost,
    ca_file: NamedTempFile,
    ca_pem: Vec<u8>,
    servers: JoinSet<()>,
}

impl LocalAzure {
    /// Starts everything; when it returns, everything answers.
    pub async fn start(options: Options) -> Result<LocalAzure, StartError> {
        let Options { world, ports, schema, app, app_settings } = options;
        let services = bind(ports.services, "ARM and the vaults", "--port").await?;
        let identity = bind(ports.identity, "managed identity", "--identity-port").await?;
        let functions = bind(ports.functions, "the Functions host", "--functions-port").await?;
        let addresses = (local(&services), local(&identity));

        let server_identity = ServerIdentity::generate()?;
        let ca_pem = server_identity.ca_pem()?;
        let ca_file = ca_file(&ca_pem).map_err(StartError::CaFile)?;

        let emulator = Emulator::new(world);
        let mut servers = JoinSet::new();
        servers.spawn(listener::serve_tls(services, server_identity.acceptor()?, emulator.clone()));
        servers.spawn(listener::serve_plain(identity, ca_pem.clone(), emulator.clone()));
        servers.spawn(delivery::run(emulator.clone()));

        let mut settings = app_environment(addresses.0.port(), addresses.1.port(), &ca_file);
        settings.extend(app_settings);
        if let Some((_, header)) = settings.iter().rfind(|(name, _)| name == IDENTITY_HEADER) {
            emulator.with(|world, _| world.identity.set_app_header(header));
        }
        let functions_host = FunctionsHost::start(app, settings.clone(), functions, emulator.clone()).await?;
        let endpoint = functions_host.webhook(FUNCTION);
        emulator.with(|world, _| world.event_grid.subscribe(event_subscription(endpoint, schema)));
        let (services, identity) = addresses;
        Ok(LocalAzure { emulator, services, identity, settings, functions_host, ca_file, ca_pem, servers })
    }

    /// The world and its clock.
    pub fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// Azure Resource Manager.
    pub fn arm(&self) -> Url {
        url(&format!("https://localhost:{}", self.services.port()))
    }

    /// A vault.
    pub fn vault(&self, name: &str) -> Url {
        url(&format!("https://{name}.vault.localhost:{}", self.services.port()))
    }

    /// The socket that both of them, and every other service with TLS, are on.
    pub fn services_address(&self) -> SocketAddr {
        self.services
    }

    /// The managed identity endpoint.
    pub fn identity(&self) -> Url {
        url(&format!("http://{}/msi/token", self.identity))
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
        &self.ca_pem
    }

    /// A file with that CA, there as long as the emulator is.
    pub fn ca_file(&self) -> &std::path::Path {
        self.ca_file.path()
    }

    /// Stops everything and waits for it.
    pub async fn stop(mut self) {
        self.functions_host.stop().await;
        self.servers.shutdown().await;
    }
}

/// What the app is told so that it works here, by the names it has in Azure.
fn app_environment(services: u16, identity: u16, ca_file: &NamedTempFile) -> Vec<(String, String)> {
    let settings = [
        ("KEYHOLDER_REGISTRIES", format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}")),
        ("KEYHOLDER_VAULTS", format!("https://{VAULT}.vault.localhost:{services}")),
        ("KEYHOLDER_KEY_ACCESS", "read-secret".to_owned()),
        ("KEYHOLDER_ARM_ENDPOINT", format!("https://localhost:{services}")),
        ("KEYHOLDER_IDENTITY", "managed".to_owned()),
        ("KEYHOLDER_SWEEP_SCHEDULE", "0 */15 * * * *".to_owned()),
        ("IDENTITY_ENDPOINT", format!("http://127.0.0.1:{identity}/msi/token")),
        (IDENTITY_HEADER, APP_HEADER.to_owned()),
        ("AZURE_CLIENT_ID", String::new()),
        ("SSL_CERT_FILE", ca_file.path().display().to_string()),
        ("NO_PROXY", "localhost,127.0.0.1".to_owned()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

fn event_subscription(endpoint: Url, schema: Schema) -> Subscription {
    let name = EVENT_SUBSCRIPTION.parse().expect("the constant is well-formed");
    let scope = Scope::resource_group(SUBSCRIPTION, RESOURCE_GROUP);
    let mut subscription = Subscription::new(name, scope, endpoint);
    subscription.filter = Filter::certificate_writes();
    subscription.schema = schema;
    subscription
}

async fn bind(port: u16, purpose: &'static str, option: &'static str) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    bound.map_err(|source| StartError::Port { port, purpose, option, source })
}

fn local(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("a bound socket has an address")
}

fn ca_file(pem: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix("keyholder-emulator-").suffix(".pem").tempfile()?;
    file.write_all(pem)?;
    file.flush()?;
    Ok(file)
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("built from a host and a port")
}

/// The id of a certificate of the instance that is there at start.
pub fn certificate_id(name: &str) -> String {
    format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.Devices/provisioningServices/{PROVISIONING_SERVICE}/certificates/{name}"
    )
}
