//! The webhook's two front doors beside the emulated cloud: a server of its own, and a Lambda function with a URL.
//! Event Grid delivers to either in the Functions host's place.

use std::time::Duration;

use keyholder_emulator::World;
use keyholder_emulator::event_grid::{Provisioning, Schema, SubscriptionName};
use keyholder_emulator_local::lambda::{Lambda, Options};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

use super::cloud::Cloud;
use super::{HTTP, programs};

/// What a caller has to know.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// The event subscription that is there at start.
pub(crate) const SUBSCRIPTION: &str = "verify-on-upload";

const PATIENCE: Duration = Duration::from_secs(40);

/// Which front door.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Server,
    Lambda,
}

impl Kind {
    pub(crate) const BOTH: [Kind; 2] = [Kind::Server, Kind::Lambda];
}

/// A front door that is open.
pub(crate) struct FrontDoor {
    url: Url,
    log: watch::Sender<Vec<String>>,
    program: Program,
    _readers: JoinSet<()>,
}

enum Program {
    Server(Child),
    Lambda(Lambda),
}

impl FrontDoor {
    pub(crate) async fn open(kind: Kind, cloud: &Cloud) -> FrontDoor {
        match kind {
            Kind::Server => FrontDoor::server(cloud).await,
            Kind::Lambda => FrontDoor::lambda(cloud, |_| {}).await,
        }
    }

    async fn server(cloud: &Cloud) -> FrontDoor {
        let mut command = programs::program(programs::HANDLER);
        command.args(["--webhook", "127.0.0.1:0"]);
        FrontDoor::start(command, cloud).await
    }

    /// The webhook, or, without its arguments, the custom handler, allowed to have so many files open.
    pub(crate) async fn with_few_files(cloud: &Cloud, files: usize, arguments: &[&str]) -> FrontDoor {
        let mut command = programs::program("/bin/sh");
        let limited = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
        command.args(["-c", &limited, programs::HANDLER]).args(arguments);
        command.env("FUNCTIONS_CUSTOMHANDLER_PORT", "0");
        FrontDoor::start(command, cloud).await
    }

    async fn start(command: std::process::Command, cloud: &Cloud) -> FrontDoor {
        let mut command = Command::from(command);
        command.envs(settings(cloud)).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let log = watch::Sender::default();
        let mut readers = JoinSet::new();
        readers.spawn(keep(child.stdout.take().unwrap(), log.clone()));
        readers.spawn(keep(child.stderr.take().unwrap(), log.clone()));
        let ready = until(&log, "app.ready").await;
        let address = programs::address_in(&ready).unwrap();
        let url = Url::parse(&format!("http://{address}/")).unwrap();
        FrontDoor { url, log, program: Program::Server(child), _readers: readers }
    }

    /// A function that is configured in its own way.
    pub(crate) async fn lambda(cloud: &Cloud, configure: impl FnOnce(&mut Options)) -> FrontDoor {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut options = Options::new(vec![programs::LAMBDA.into()], settings(cloud));
        configure(&mut options);
        let lambda = Lambda::start(options, listener).unwrap();
        let log = watch::Sender::default();
        let mut readers = JoinSet::new();
        let (mut lines, kept) = (lambda.follow().1, log.clone());
        readers.spawn(async move {
            while let Ok(line) = lines.recv().await {
                push(&kept, line.text);
            }
        });
        FrontDoor { url: lambda.url(), log, program: Program::Lambda(lambda), _readers: readers }
    }

    /// The process, where it is one.
    pub(crate) fn pid(&self) -> u32 {
        match &self.program {
            Program::Server(child) => child.id().expect("it runs"),
            Program::Lambda(_) => panic!("this one is a function"),
        }
    }

    /// The function, where it is one.
    pub(crate) fn function(&self) -> &Lambda {
        match &self.program {
            Program::Lambda(lambda) => lambda,
            Program::Server(_) => panic!("this one is a server"),
        }
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        self.url.join(path).unwrap()
    }

    /// Where Event Grid is told to deliver.
    pub(crate) fn endpoint(&self) -> Url {
        self.url(&format!("eventgrid?code={SECRET}"))
    }

    /// A request by hand: status and body.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let request = HTTP.post(self.url(path)).body(body.to_owned());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub(crate) fn log(&self) -> String {
        self.log.borrow().join("\n")
    }

    pub(crate) async fn until_logged(&self, text: &str) -> String {
        until(&self.log, text).await
    }
}

/// Has Event Grid deliver uploads to an endpoint, and nowhere else, once the endpoint agrees: what came of asking it.
pub(crate) async fn propose(cloud: &Cloud, name: &str, endpoint: Url, schema: Schema) -> Provisioning {
    let name: SubscriptionName = name.parse().unwrap();
    cloud.emulator().with(|world, now| {
        let mut subscription = world.event_grid.subscriptions().next().unwrap().clone();
        subscription.name = name.clone();
        subscription.endpoint = endpoint.into();
        subscription.schema = schema;
        world.event_grid.propose(subscription, now).unwrap();
    });
    let emulator = cloud.emulator().clone();
    let settled = |world: &World| {
        let provisioning = world.event_grid.provisioning(&name, emulator.now())?;
        (!matches!(provisioning, Provisioning::Creating | Provisioning::Updating)).then_some(provisioning)
    };
    cloud.until(&format!("the endpoint of {name} has been asked"), settled).await
}

/// The same for one that has to agree.
pub(crate) async fn subscribe(cloud: &Cloud, endpoint: Url, schema: Schema) {
    assert_eq!(propose(cloud, SUBSCRIPTION, endpoint, schema).await, Provisioning::Succeeded);
}

fn settings(cloud: &Cloud) -> Vec<(String, String)> {
    let own = [("KEYHOLDER_WEBHOOK_SECRET", SECRET), ("KEYHOLDER_WEBHOOK_SUBSCRIPTIONS", SUBSCRIPTION)];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    cloud.azure().app_settings().iter().cloned().chain(own).collect()
}

/// The first line with this text, or what was logged instead.
async fn until(log: &watch::Sender<Vec<String>>, text: &str) -> String {
    let mut lines = log.subscribe();
    let found = lines.wait_for(|lines| lines.iter().any(|line| line.contains(text)));
    match tokio::time::timeout(PATIENCE, found).await {
        Ok(lines) => lines.unwrap().iter().find(|line| line.contains(text)).unwrap().clone(),
        Err(_) => panic!("waited in vain for {text:?}\n{}", log.borrow().join("\n")),
    }
}

async fn keep(output: impl AsyncRead + Unpin, log: watch::Sender<Vec<String>>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        push(&log, line);
    }
}

fn push(log: &watch::Sender<Vec<String>>, line: String) {
    log.send_modify(|lines| lines.push(line));
}
