//! An endpoint agrees to be delivered to before anything is: what Event Grid asks it, and what its answer means.
//!
//! In the Event Grid schema it is sent a code, and either answers with it or has somebody follow the link that
//! came along; with CloudEvents it is asked whether it allows the origin, or somebody follows the callback.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use url::Url;

use super::delivery::{ORIGIN, notification};
use super::endpoint::Endpoint;
use super::event::{Schema, timestamp};
use super::name::SubscriptionName;
use super::subscription::Subscription;
use crate::ground::exchange::Request;
use crate::ground::guid::{guid, is_guid};
use crate::ground::stored;

/// From a failed attempt to the next.
const AGAIN_AFTER: Duration = Duration::seconds(5);
/// That there are several attempts is documented; how many is chosen, not observed.
const ATTEMPTS: u32 = 2;
/// How long somebody may take to follow the link.
const BY_HAND_WITHIN: Duration = Duration::minutes(10);

/// How far the creation or the update of a subscription is, in the words of Azure Resource Manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provisioning {
    /// The endpoint has yet to agree.
    Creating,
    /// The endpoint has yet to agree to a change; until then the subscription is as it was.
    Updating,
    /// The endpoint took the question without an answer; somebody has to follow this link in time.
    AwaitingManualAction(Url),
    /// It is in force.
    Succeeded,
    /// The endpoint did not agree, for this reason. What was in force before still is.
    Failed(String),
}

impl Provisioning {
    /// `provisioningState`.
    pub fn name(&self) -> &'static str {
        match self {
            Provisioning::Creating => "Creating",
            Provisioning::Updating => "Updating",
            Provisioning::AwaitingManualAction(_) => "AwaitingManualAction",
            Provisioning::Succeeded => "Succeeded",
            Provisioning::Failed(_) => "Failed",
        }
    }
}

/// A subscription that is not in force yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub(super) struct Proposal {
    pub(super) subscription: Arc<Subscription>,
    #[serde(deserialize_with = "stored::count")]
    number: u64,
    code: String,
    token: String,
    #[serde(deserialize_with = "stored::moment")]
    created: OffsetDateTime,
    /// Where Event Grid itself can be reached.
    address: Url,
    #[serde(deserialize_with = "stored::count")]
    attempts: u32,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Due(#[serde(deserialize_with = "stored::moment")] OffsetDateTime),
    Asked,
    ByHand {
        #[serde(deserialize_with = "stored::moment")]
        until: OffsetDateTime,
    },
    Failed(String),
}

/// A question to an endpoint, on its way.
#[derive(Clone, Debug)]
pub struct Handshake {
    subscription: Arc<Subscription>,
    number: u64,
    code: String,
    link: Url,
    event_id: String,
    at: OffsetDateTime,
}

/// What the endpoint made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consent {
    /// It agrees.
    Given,
    /// It has the question, and says nothing.
    Open,
    /// It does not agree, or could not be asked.
    Refused(String),
}

/// Why a link cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unconfirmed {
    /// There is no such question.
    #[error("no event subscription of this name waits for this link")]
    Unknown,
    /// Too late.
    #[error("the link was good for ten minutes, which are over; create the event subscription again")]
    Expired,
}

impl Proposal {
    /// A new one; `address` is where Event Grid itself can be reached.
    pub(super) fn new(
        subscription: Subscription,
        number: u64,
        address: &Url,
        now: OffsetDateTime,
        random: &mut fastrand::Rng,
    ) -> Proposal {
        let (code, token) = (guid(random), guid(random));
        let (subscription, address) = (Arc::new(subscription), address.clone());
        Proposal {
            subscription,
            number,
            code,
            token,
            created: now,
            address,
            attempts: 0,
            stage: Stage::Due(now),
        }
    }

    fn check_stored(&self) -> Result<(), &'static str> {
        let is_made_here = is_guid(&self.code) && is_guid(&self.token) && Endpoint::is_allowed(&self.address);
        if is_made_here { Ok(()) } else { Err("a question that nobody here has asked") }
    }

    /// What somebody follows who answers in the endpoint's place.
    fn link(&self) -> Url {
        let (created, code, token) = (timestamp(self.created), &self.code, &self.token);
        let mut link = self.address.clone();
        link.set_path(&format!("/eventsubscriptions/{}/validate", self.subscription.name.key()));
        link.set_query(Some(&format!("id={code}&t={created}&apiVersion=2022-06-15&token={token}")));
        link
    }

    /// When it wants to ask, if it does.
    pub(super) fn due(&self) -> Option<OffsetDateTime> {
        if let Stage::Due(due) = self.stage { Some(due) } else { None }
    }

    /// Whether it is being asked.
    pub(super) fn is_asked(&self) -> bool {
        self.stage == Stage::Asked
    }

    /// The question, which from now on is on its way.
    pub(super) fn ask(&mut self, now: OffsetDateTime, random: &mut fastrand::Rng) -> Handshake {
        self.stage = Stage::Asked;
        Handshake {
            subscription: Arc::clone(&self.subscription),
            number: self.number,
            code: self.code.clone(),
            link: self.link(),
            event_id: guid(random),
            at: now,
        }
    }

    /// Has a question that is on its way be asked once more.
    pub(super) fn recall(&mut self, now: OffsetDateTime) {
        if self.is_asked() {
            self.stage = Stage::Due(now);
        }
    }

    /// Goes by another number, so much higher, and with a link to another address.
    pub(super) fn moved(&mut self, by: u64, address: &Url) {
        self.number += by;
        self.address = address.clone();
    }

    /// Whether this is the question it is waiting for an answer to.
    pub(super) fn has_asked(&self, handshake: &Handshake) -> bool {
        self.is_asked() && self.number == handshake.number
    }

    /// Takes the answer. Says whether the subscription is in force now.
    pub(super) fn settle(&mut self, consent: Consent, now: OffsetDateTime) -> bool {
        self.attempts += 1;
        self.stage = match consent {
            Consent::Given => return true,
            Consent::Open => Stage::ByHand { until: now + BY_HAND_WITHIN },
            Consent::Refused(_) if self.attempts < ATTEMPTS => Stage::Due(now + AGAIN_AFTER),
            Consent::Refused(reason) => Stage::Failed(reason),
        };
        false
    }

    /// Whether somebody who followed a link with these values may speak for the endpoint.
    pub(super) fn confirm(&self, id: &str, token: &str, now: OffsetDateTime) -> Result<(), Unconfirmed> {
        match self.stage {
            _ if (id, token) != (self.code.as_str(), self.token.as_str()) => Err(Unconfirmed::Unknown),
            Stage::ByHand { until } if now > until => Err(Unconfirmed::Expired),
            Stage::Failed(_) => Err(Unconfirmed::Unknown),
            // The endpoint itself may follow the link before it has answered.
            Stage::Due(_) | Stage::Asked | Stage::ByHand { .. } => Ok(()),
        }
    }

    /// How far it is; `is_update` if there is one in force that it would replace.
    pub(super) fn provisioning(&self, is_update: bool, now: OffsetDateTime) -> Provisioning {
        match &self.stage {
            Stage::Due(_) | Stage::Asked if is_update => Provisioning::Updating,
            Stage::Due(_) | Stage::Asked => Provisioning::Creating,
            Stage::ByHand { until } if now > *until => {
                Provisioning::Failed("nobody followed the validation link within ten minutes".to_owned())
            }
            Stage::ByHand { .. } => Provisioning::AwaitingManualAction(self.link()),
            Stage::Failed(reason) => Provisioning::Failed(reason.clone()),
        }
    }
}

stored::checked!(Proposal);

impl Handshake {
    /// Whose endpoint is asked.
    pub fn subscription(&self) -> &SubscriptionName {
        &self.subscription.name
    }

    /// The whole request.
    pub fn request(&self) -> Request {
        let mut request = match self.subscription.schema {
            Schema::EventGrid => self.event(),
            Schema::CloudEvents => self.options(),
        };
        *request.uri_mut() = self.subscription.endpoint.url().as_str().parse().unwrap_or_default();
        request
    }

    /// What an answer means.
    pub fn judge(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Consent {
        match self.subscription.schema {
            Schema::EventGrid if status == StatusCode::OK => {
                let answer: Value = serde_json::from_slice(body).unwrap_or_default();
                match &answer["validationResponse"] {
                    Value::String(code) if *code == self.code => Consent::Given,
                    Value::Null => Consent::Open,
                    _ => Consent::Refused(
                        "the endpoint answered another validationResponse than the code".to_owned(),
                    ),
                }
            }
            Schema::EventGrid => Consent::Refused(format!(
                "the endpoint answered {status} to the validation event; 200 with {{\"validationResponse\": <code>}}, or \
                 200 and somebody who follows the validationUrl, would be right"
            )),
            Schema::CloudEvents if status.is_success() => {
                match headers.get(ALLOWED_ORIGIN).map(HeaderValue::to_str) {
                    Some(Ok(origin)) if origin == "*" || origin.eq_ignore_ascii_case(ORIGIN) => {
                        Consent::Given
                    }
                    None => Consent::Open,
                    Some(_) => Consent::Refused(format!(
                        "the endpoint allows another origin than {ORIGIN} in WebHook-Allowed-Origin"
                    )),
                }
            }
            Schema::CloudEvents => Consent::Refused(format!(
                "the endpoint answered {status} to OPTIONS; 200 with WebHook-Allowed-Origin: {ORIGIN} would be right"
            )),
        }
    }

    fn event(&self) -> Request {
        let event = json!([{
            "id": self.event_id,
            "topic": self.subscription.scope.as_str(),
            "subject": "",
            "data": { "validationCode": self.code, "validationUrl": self.link.as_str() },
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": timestamp(self.at),
            "metadataVersion": "1",
            "dataVersion": DATA_VERSION,
        }]);
        let mut request = Request::new(event.to_string().into());
        *request.method_mut() = Method::POST;
        *request.headers_mut() = notification("SubscriptionValidation", self.subscription(), 0, DATA_VERSION);
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        request
    }

    fn options(&self) -> Request {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::OPTIONS;
        let callback = HeaderValue::from_str(self.link.as_str());
        request.headers_mut().extend([
            (REQUEST_ORIGIN, HeaderValue::from_static(ORIGIN)),
            (REQUEST_RATE, HeaderValue::from_static("120")),
            (REQUEST_CALLBACK, callback.expect("a URL is plain text")),
        ]);
        request
    }
}

const DATA_VERSION: &str = "2";
const REQUEST_ORIGIN: http::HeaderName = http::HeaderName::from_static("webhook-request-origin");
const REQUEST_RATE: http::HeaderName = http::HeaderName::from_static("webhook-request-rate");
const REQUEST_CALLBACK: http::HeaderName = http::HeaderName::from_static("webhook-request-callback");
const ALLOWED_ORIGIN: &str = "webhook-allowed-origin";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use time::macros::datetime;

    use super::super::tests::subscription;
    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-05 10:00 UTC);

    fn handshake(schema: Schema) -> Handshake {
        let mut random = fastrand::Rng::with_seed(1);
        let mut subscription = subscription("My-Subscription", "http://127.0.0.1/hook?code=secret");
        subscription.schema = schema;
        let address = "http://127.0.0.1:8081".parse().unwrap();
        Proposal::new(subscription, 1, &address, NOW, &mut random).ask(NOW, &mut random)
    }

    fn headers(request: &Request) -> BTreeMap<String, String> {
        let headers = request.headers().iter();
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    fn documented(headers: &Value) -> BTreeMap<String, String> {
        let headers: BTreeMap<String, String> = serde_json::from_value(headers.clone()).unwrap();
        headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect()
    }

    #[test]
    fn the_event_is_the_documented_one() {
        let file: Value = serde_json::from_str(include_str!(
            "../../../../tests/fixtures/eventgrid/validation.eventgrid.request.json"
        ))
        .unwrap();
        let request = handshake(Schema::EventGrid).request();
        assert_eq!(
            (request.method(), request.uri().to_string().as_str()),
            (&Method::POST, "http://127.0.0.1/hook?code=secret")
        );
        assert_eq!(headers(&request), documented(&file["headers"]));
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(members(&body[0]), members(&file["body"][0]));
        assert_eq!(members(&body[0]["data"]), members(&file["body"][0]["data"]));
        for member in ["subject", "eventType", "metadataVersion", "dataVersion"] {
            assert_eq!(body[0][member], file["body"][0][member], "{member}");
        }
        let code = body[0]["data"]["validationCode"].as_str().unwrap();
        let link: Url = body[0]["data"]["validationUrl"].as_str().unwrap().parse().unwrap();
        assert_eq!(link.path(), "/eventsubscriptions/my-subscription/validate");
        assert!(link.query_pairs().any(|(name, value)| (name.as_ref(), value.as_ref()) == ("id", code)));
    }

    #[test]
    fn options_are_asked_for_as_documented() {
        let file: Value = serde_json::from_str(include_str!(
            "../../../../tests/fixtures/eventgrid/validation.cloudevents.options.json"
        ))
        .unwrap();
        let request = handshake(Schema::CloudEvents).request();
        assert_eq!(request.method(), file["request"]["method"].as_str().unwrap());
        let (sent, mut documented) = (headers(&request), documented(&file["request"]["headers"]));
        documented.insert("webhook-request-callback".to_owned(), sent["webhook-request-callback"].clone());
        assert_eq!(sent, documented);
        assert!(sent["webhook-request-callback"].starts_with("http://127.0.0.1:8081/eventsubscriptions/"));
    }

    #[test]
    fn only_200_with_the_code_is_consent_in_the_event_grid_schema() {
        let handshake = handshake(Schema::EventGrid);
        let code = json!({ "validationResponse": handshake.code }).to_string();
        for (status, body, expected) in [
            (200, code.as_str(), "given"),
            (200, "", "open"),
            (200, "{}", "open"),
            (200, "thank you", "open"),
            (200, r#"{"validationResponse":"another"}"#, "refused"),
            (202, code.as_str(), "refused"),
            (204, "", "refused"),
            (404, "", "refused"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let consent = handshake.judge(status, &HeaderMap::new(), body.as_bytes());
            assert_eq!(word(&consent), expected, "{status} {body}");
        }
    }

    #[test]
    fn an_allowed_origin_is_consent_with_cloud_events() {
        let handshake = handshake(Schema::CloudEvents);
        for (status, allowed, expected) in [
            (200, Some("eventgrid.azure.net"), "given"),
            (204, Some("EventGrid.Azure.Net"), "given"),
            (200, Some("*"), "given"),
            (200, None, "open"),
            (200, Some("example.com"), "refused"),
            (405, Some("*"), "refused"),
        ] {
            let allowed = allowed
                .map(|origin| (http::HeaderName::from_static(ALLOWED_ORIGIN), origin.parse().unwrap()));
            let status = StatusCode::from_u16(status).unwrap();
            let consent = handshake.judge(status, &HeaderMap::from_iter(allowed.clone()), b"");
            assert_eq!(word(&consent), expected, "{status} {allowed:?}");
        }
    }

    fn word(consent: &Consent) -> &'static str {
        match consent {
            Consent::Given => "given",
            Consent::Open => "open",
            Consent::Refused(_) => "refused",
        }
    }
}
