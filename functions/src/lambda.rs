//! The program that AWS Lambda starts: the webhook behind a function URL, or behind an HTTP API.

use std::env;
use std::process::ExitCode;
use std::sync::Once;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyholder::Settings;
use keyholder::config::{self, Webhook};
use keyholder::http_client::proxies;
use keyholder::key_opener;
use lambda_http::tower::ServiceExt;
use lambda_http::{Error, Request, RequestExt, service_fn};
use tracing::{error, info};

use crate::application;
use crate::runtime;

/// Set by Lambda: where events are fetched.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";
/// There is no managed identity of Azure on AWS.
const IDENTITY: (&str, &str) = ("KEYHOLDER_IDENTITY", "workload");

const FAILED: u8 = 1;
/// Not on Lambda, or the settings are wrong.
const MISCONFIGURED: u8 = 2;

/// Runs until Lambda ends it.
pub fn main() -> ExitCode {
    if let Some(ended) = key_opener::run_if_asked() {
        return ended;
    }
    let variable = |name: &str| env::var(name).ok();
    if variable(RUNTIME_API).is_none() {
        return refuse(&format!(
            "{RUNTIME_API} is not set: this program is started by AWS Lambda (docs/aws.md). To serve the same webhook on \
             a machine or in a container: handler --webhook ADDRESS"
        ));
    }
    let read = Webhook::read(config::unless_given(variable, IDENTITY.0, IDENTITY.1));
    let (settings, webhook) = match read {
        Ok(read) => read,
        Err(invalid) => return refuse(&invalid.to_string()),
    };
    if let Err(problem) = application::start_logging(&settings) {
        return refuse(&problem.to_string());
    }
    let ended = runtime::block_on(serve(&settings, webhook));
    keyholder::telemetry::stop();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let reason = keyholder::error::chain(failure.as_ref());
            error!(event = "app.failed", reason, "the function cannot go on");
            ExitCode::from(FAILED)
        }
    }
}

async fn serve(settings: &Settings, webhook: Webhook) -> Result<(), Error> {
    let router = application::webhook(settings, webhook)?;
    let needed = settings.limits.deadline;
    info!(
        event = "app.ready",
        registries = %settings.registries,
        vaults = settings.vaults.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        keyAccess = settings.key_access.name(),
        proxy = proxies::in_use(settings),
        "the function is ready"
    );
    lambda_http::run(service_fn(move |request: Request| {
        check_timeout(request.lambda_context_ref().map(|context| context.deadline), needed);
        router.clone().oneshot(request)
    }))
    .await
}

/// A function that is given less time than a verification may take is ended in the middle of one. Nothing is lost
/// then, but its outcome is never told. Lambda's default is three seconds.
fn check_timeout(deadline: Option<u64>, needed: Duration) {
    static ONCE: Once = Once::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = deadline.map(|deadline| Duration::from_millis(deadline).saturating_sub(now));
    if let Some(left) = left.filter(|left| *left < needed) {
        ONCE.call_once(|| {
            error!(
                "Lambda ends this invocation in {} s, and KEYHOLDER_DEADLINE is {} s. To give the function more time: aws \
                 lambda update-function-configuration --function-name {} --timeout 300",
                left.as_secs(),
                needed.as_secs(),
                env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default()
            );
        });
    }
}

/// To stderr, which Lambda logs; logging may not have started yet.
#[allow(clippy::print_stderr)]
fn refuse(problem: &str) -> ExitCode {
    eprintln!("{problem}");
    ExitCode::from(MISCONFIGURED)
}
