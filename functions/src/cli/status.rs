//! `keyholder status`: the certificates, and what a verification of each would do.

use keyholder::registry::ListedCertificate;
use keyholder::verifier::preview::{Preview, PreviewedCertificate, Previews};
use keyholder::{RegistryId, Settings};
use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use super::exit::Exit;
use super::output::{Answer, Format, columns, hint};
use super::progress::Progress;
use super::signed_in;

pub(super) const AFTER_HELP: &str = "\
NEXT says what a verification would do: ready, or the outcome it would end with. The command asks
for no code and uses no key.

Exit codes: 0 all could be read, 1 failed, 2 usage or settings, 3 denied, 4 try again.

Examples:
  keyholder status
  keyholder status -o json | jq -r '.certificates[] | select(.verified | not) | .id'
  keyholder status /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/iot-x509-demo-rg/providers/Microsoft.Devices/provisioningServices/my-dps-x509";

/// All that was found.
#[derive(Serialize)]
struct Status {
    certificates: Vec<Certificate>,
    /// What could not be read.
    unread: Vec<String>,
}

#[derive(Serialize)]
struct Certificate {
    id: String,
    registry: String,
    name: String,
    thumbprint: Option<String>,
    /// When the CA certificate ends, RFC 3339.
    expires: Option<String>,
    verified: bool,
    /// What a verification would do, unless it is verified.
    next: Option<&'static str>,
    message: Option<String>,
}

pub(super) async fn run(settings: &Settings, registry: Option<&RegistryId>, format: Format) -> Exit {
    let verifier = match signed_in(settings).await {
        Ok(verifier) => verifier,
        Err(exit) => return exit,
    };
    let progress = Progress::start("looking");
    let previews = verifier.preview_all(registry).await;
    drop(progress);
    let exit = previews.unread.iter().map(|error| Exit::from(error.reason())).max().unwrap_or(Exit::Done);
    let status = Status::from(previews);
    format.print(&status);
    status.hint();
    exit
}

impl From<Previews> for Status {
    fn from(previews: Previews) -> Status {
        Status {
            certificates: previews.certificates.iter().map(Certificate::from).collect(),
            unread: previews.unread.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<&PreviewedCertificate> for Certificate {
    fn from(previewed: &PreviewedCertificate) -> Certificate {
        let (next, message) = match &previewed.preview {
            None => (None, None),
            Some(Preview::Ready { signed_with, granted_by }) => (
                Some("ready"),
                Some(format!("would be signed with {signed_with}, granted by {granted_by:?}")),
            ),
            Some(Preview::Ends(outcome)) => (Some(outcome.reason().name()), Some(outcome.to_string())),
        };
        let ListedCertificate { id, is_verified, thumbprint, expiry } = &previewed.listed;
        Certificate {
            id: id.to_string(),
            registry: id.registry().name().to_owned(),
            name: id.name().to_owned(),
            thumbprint: thumbprint.map(|thumbprint| thumbprint.to_string()),
            expires: expiry.and_then(|expiry| expiry.format(&Rfc3339).ok()),
            verified: *is_verified,
            next,
            message,
        }
    }
}

impl Status {
    /// Prints the remedy for each certificate that cannot be verified now.
    fn hint(&self) {
        if self.certificates.is_empty() && self.unread.is_empty() {
            hint("there are no certificates");
        }
        for Certificate { name, next, message, .. } in &self.certificates {
            if let Some(message) = message.as_ref().filter(|_| *next != Some("ready")) {
                hint(&format!("{name}: {message}"));
            }
        }
        self.unread.iter().for_each(|unread| hint(unread));
    }
}

impl Answer for Status {
    fn lines(&self) -> String {
        if self.certificates.is_empty() {
            return String::new();
        }
        let head = ["REGISTRY", "NAME", "EXPIRES", "VERIFIED", "NEXT"];
        let rows = self.certificates.iter().map(|certificate| {
            let verified = if certificate.verified { "yes" } else { "no" };
            let day = certificate.expires.as_deref().and_then(|moment| moment.split('T').next());
            let (day, next) = (day.unwrap_or_default(), certificate.next.unwrap_or_default());
            [&certificate.registry, &certificate.name, day, verified, next]
        });
        columns(&[head].into_iter().chain(rows).collect::<Vec<_>>())
    }
}
