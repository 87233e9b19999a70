//! The one table of the errors of DPS.
//!
//! They are flat and carry a number, unlike those ARM raises itself; the number is the HTTP status times 1000 plus a
//! counter.

use http::StatusCode;
use serde_json::json;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use crate::arm::ProviderProblem;
use crate::dps::possession::Refusal;
use crate::ground::exchange::{self, Response};
use crate::ground::guid::guid;

/// How many certificates one instance holds.
pub const LIMIT: usize = 25;

/// Why DPS refuses. Status, code and text are recorded or quoted unless the variant says "chosen".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("Certificate '{0}' not found.")]
    NotFound(String),
    #[error("Invalid ETag supplied.")]
    InvalidEtag,
    #[error("Proof-Of-Possession failed. {0}")]
    ProofFailed(#[from] Refusal),
    /// The live service was quoted with 500 rather than 400 for this.
    #[error("Internal Error.")]
    Unreadable,
    #[error(
        "Provisioning Service name can contain only alphanumeric and hyphen and must start/end with \
         alphanumeric. Should be 3 to 50 chars long. Name 'global' not allowed."
    )]
    InvalidInstanceName,
    /// Chosen instead of the above, if somebody asks for it.
    #[error("The certificate cannot be read.")]
    Malformed,
    /// Chosen, after what IoT Hub was quoted with.
    #[error("Provisioning Service name '{0}' not available.")]
    NameTaken(String),
    /// Chosen.
    #[error("Provisioning Service '{0}' is not active yet.")]
    NotActive(String),
    /// Chosen.
    #[error("The request body must be JSON with a text in '{0}'.")]
    InvalidBody(&'static str),
    /// Chosen.
    #[error("Certificate name '{0}' must be 1 to 64 letters, digits, hyphens, periods and underscores.")]
    InvalidName(String),
    /// Chosen.
    #[error("This provisioning service already has {LIMIT} certificates, delete one first.")]
    TooMany,
}

impl Problem {
    fn code(&self) -> u32 {
        match self {
            Problem::NotFound(_) => 404_015,
            Problem::InvalidEtag => 412_001,
            Problem::ProofFailed(_) => 400_053,
            Problem::Unreadable => 500_019,
            Problem::InvalidInstanceName => 400_305,
            Problem::InvalidBody(_) | Problem::InvalidName(_) | Problem::Malformed => 400_004,
            Problem::NameTaken(_) => 409_004,
            Problem::NotActive(_) => 409_002,
            Problem::TooMany => 403_001,
        }
    }
}

impl ProviderProblem for Problem {
    fn answer(&self, now: OffsetDateTime, random: &mut fastrand::Rng) -> Response {
        let code = self.code();
        let status = u16::try_from(code / 1000)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())
            .expect("every code starts with an HTTP status");
        let message = format!(
            "{self} If you contact a support representative please include this correlation identifier: {}, \
             timestamp: {}, errorcode: IH{code}.",
            guid(random),
            text(now, SORTABLE),
        );
        let body =
            json!({"code": code, "httpStatusCode": exchange::dot_net_name(status), "message": message});
        exchange::json(status, &body)
    }
}

fn text(at: OffsetDateTime, format: StaticFormatDescription) -> String {
    at.to_offset(UtcOffset::UTC).format(format).expect("the formats only name parts of a date and time")
}

const SORTABLE: StaticFormatDescription =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::Value;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_error_has_the_recorded_form() {
        let problem = Problem::NotFound("cert8089".to_owned());
        let answer = problem.answer(datetime!(2023-02-13 08:31:17 UTC), &mut fastrand::Rng::with_seed(1));
        let body: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(answer.status(), 404);
        assert_eq!(body["code"], 404_015);
        assert_eq!(body["httpStatusCode"], "NotFound");
        let message = body["message"].as_str().unwrap();
        assert!(
            message.starts_with(
                "Certificate 'cert8089' not found. If you contact a support representative please \
                 include this correlation identifier: "
            ),
            "{message}"
        );
        assert!(message.ends_with(", timestamp: 2023-02-13 08:31:17Z, errorcode: IH404015."), "{message}");
    }

    #[test]
    fn known_errors_read_as_recorded_or_quoted() {
        let known: Value =
            serde_json::from_str(include_str!("../../../../tests/fixtures/dps/errors.json")).unwrap();
        let issuer = "CN=Azure IoT Hub Intermediate Cert Test Only".to_owned();
        for problem in [
            Problem::NotFound("cert8089".to_owned()),
            Problem::InvalidEtag,
            Problem::ProofFailed(Refusal::WrongIssuer(issuer)),
            Problem::Unreadable,
            Problem::InvalidInstanceName,
        ] {
            let mut errors = known["errors"].as_array().unwrap().iter();
            let error = errors.find(|error| error["body"]["code"] == problem.code()).unwrap();
            let answer = problem.answer(datetime!(2026-11-23 12:00 UTC), &mut fastrand::Rng::with_seed(1));
            let body: Value = serde_json::from_slice(answer.body()).unwrap();
            let text = |body: &Value| {
                body["message"].as_str().unwrap().split("identifier: ").next().unwrap().to_owned()
            };
            assert_eq!(error["http"], answer.status().as_u16());
            assert_eq!(error["body"]["httpStatusCode"], body["httpStatusCode"]);
            assert_eq!(text(&error["body"]), text(&body));
        }
    }

    #[test]
    fn chosen_errors_have_the_status_their_code_starts_with() {
        for (problem, status, name) in [
            (Problem::InvalidBody("certificate"), 400, "BadRequest"),
            (Problem::InvalidName("é".to_owned()), 400, "BadRequest"),
            (Problem::TooMany, 403, "Forbidden"),
        ] {
            let answer = problem.answer(datetime!(2026-11-23 12:00 UTC), &mut fastrand::Rng::with_seed(1));
            let body: Value = serde_json::from_slice(answer.body()).unwrap();
            assert_eq!(answer.status(), status, "{problem}");
            assert_eq!(body["httpStatusCode"], name, "{problem}");
        }
    }
}
