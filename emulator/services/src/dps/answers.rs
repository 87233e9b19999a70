//! The certificate as JSON, member by member in the recorded order.

use serde_json::{Map, Value, json};

use crate::dps::api_version::{ApiVersion, CertificateMember};
use crate::dps::certificates::Certificate;
use crate::ground::exchange;
use crate::steering::choices::Created;

/// How much of a certificate an answer shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) api_version: ApiVersion,
    /// The answer to generateVerificationCode.
    pub(crate) new_code: bool,
    /// Show a pending code in other answers too, as the tutorial has it.
    pub(crate) pending_code: bool,
    /// When it was created.
    pub(crate) created: Created,
}

/// One certificate below the instance with this id.
pub(crate) fn certificate(certificate: &Certificate, instance: &str, view: View) -> Value {
    json!({
        "properties": properties(certificate, view),
        "id": format!("{instance}/certificates/{}", certificate.name()),
        "name": certificate.name(),
        "type": "Microsoft.Devices/provisioningServices/Certificates",
        "etag": certificate.etag().as_str(),
    })
}

fn properties(certificate: &Certificate, view: View) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut set = |name: &str, value: Value| {
        properties.insert(name.to_owned(), value);
    };
    if let Some(code) = certificate.pending_code().filter(|_| view.new_code || view.pending_code) {
        set("verificationCode", code.into());
    }
    let prefix = if view.api_version.prefixes_subject() { "CN=" } else { "" };
    set("subject", format!("{prefix}{}", certificate.subject()).into());
    set("expiry", exchange::http_date(certificate.expiry()).into());
    set("thumbprint", certificate.thumbprint().into());
    set("isVerified", certificate.is_verified().into());
    let created = match view.created {
        Created::YearOne => YEAR_ONE.to_owned(),
        Created::Truth => exchange::http_date(certificate.created()),
    };
    set("created", created.into());
    set("updated", exchange::http_date(certificate.updated()).into());
    match view.api_version.certificate_member() {
        CertificateMember::Absent => {}
        CertificateMember::WithNewCode if !view.new_code => set("certificate", Value::Null),
        CertificateMember::WithNewCode | CertificateMember::Always => {
            set("certificate", certificate.text().into());
        }
    }
    properties
}

/// Every recording since December 2021 says so, whatever the truth.
const YEAR_ONE: &str = "Mon, 01 Jan 0001 00:00:00 GMT";
