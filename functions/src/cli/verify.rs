//! `keyholder verify`: what the app does on an event, once and for one certificate.

use keyholder::event::Upload;
use keyholder::outcome::Outcome;
use keyholder::{CertificateId, Settings};
use serde::Serialize;

use super::exit::Exit;
use super::output::{Answer, Format, columns, hint};
use super::progress::Progress;
use super::signed_in;

pub(super) const AFTER_HELP: &str = "\
Both locks hold: KEYHOLDER_REGISTRIES has to cover the DPS instance, and the CA's owner has to
have tagged it.

Exit codes: 0 it is verified, 1 failed, 2 usage or settings, 3 denied, 4 try again.

Examples:
  keyholder verify /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/iot-x509-demo-rg/providers/Microsoft.Devices/provisioningServices/my-dps-x509/certificates/root-ca
  keyholder verify -o json \"$id\" | jq -r .outcome";

/// How it ended.
#[derive(Serialize)]
struct Ended<'e> {
    certificate: String,
    #[serde(skip)]
    name: &'e str,
    outcome: &'static str,
    message: String,
}

pub(super) async fn run(settings: &Settings, certificate: &CertificateId, format: Format) -> Exit {
    let verifier = match signed_in(settings).await {
        Ok(verifier) => verifier,
        Err(exit) => return exit,
    };
    let progress = Progress::start(&format!("verifying {}", certificate.name()));
    let outcome = verifier.verify(&Upload { id: certificate.clone(), at: None }).await;
    drop(progress);
    format.print(&Ended::new(certificate, &outcome));
    hint(&outcome.to_string());
    if let Some(command) = outcome.whole_command() {
        hint(&format!("with its other tags: {command}"));
    }
    outcome.reason().into()
}

impl<'e> Ended<'e> {
    fn new(certificate: &'e CertificateId, outcome: &Outcome) -> Ended<'e> {
        Ended {
            certificate: certificate.to_string(),
            name: certificate.name(),
            outcome: outcome.reason().name(),
            message: outcome.to_string(),
        }
    }
}

impl Answer for Ended<'_> {
    fn lines(&self) -> String {
        columns(&[[self.name, self.outcome]])
    }
}
