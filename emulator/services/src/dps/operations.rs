//! Operations on instances that go on after they are answered, and how a client asks how far they are.
//!
//! The address to ask at is opaque to the client, and recordings show two forms: below the instance, up to 2023,
//! and below the region, with parameters that only the service understands, in 2025. A client that takes the address
//! apart finds nothing at what it puts together.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::arm::{ArmProblem, Visit, is_since_2025};
use crate::context::Context;
use crate::dps::instance::InstanceId;
use crate::ground::exchange::{self, Response};
use crate::ground::guid::guid;
use crate::ground::stored;

/// How many can still be asked about.
const KEPT: usize = 1000;

/// Every operation that can still be asked about, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Operations(VecDeque<Operation>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Operation {
    /// As in a path.
    id: String,
    /// As in the query, in the form of 2025.
    parameters: Option<String>,
    #[serde(deserialize_with = "stored::moment")]
    ends: OffsetDateTime,
}

/// Where an operation can be asked about.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    path: String,
    api_version: String,
    parameters: Option<String>,
}

impl Operations {
    /// Begins one; the address is put together of what the caller called.
    pub(crate) fn begin(
        &mut self,
        instance: &InstanceId,
        location: &str,
        visit: &Visit<'_>,
        ends: OffsetDateTime,
        context: &mut Context<'_>,
    ) -> Address {
        let (now, random) = (context.now, &mut *context.random);
        let region = location.to_ascii_lowercase().replace(' ', "");
        let id = STANDARD.encode(format!("id=os_id_{};region={region}", guid(random)));
        let since_2025 = is_since_2025(now);
        let parameters = since_2025.then(|| parameters(now, random));
        let path = if since_2025 {
            format!(
                "/subscriptions/{}/providers/Microsoft.Devices/locations/{region}/provisioningserviceoperationresults/{id}",
                instance.group.subscription
            )
        } else {
            format!("{}/operationResults/{id}", instance.path())
        };
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Operation { id, parameters: parameters.clone(), ends });
        // The caller's own, which was checked before.
        let api_version = exchange::query(visit.request, "api-version").unwrap_or_default();
        Address { path: format!("{}{path}", exchange::origin(visit.request)), api_version, parameters }
    }

    /// How far one is. Without `asyncinfo` there is nothing to read but the status and where it was asked.
    pub(crate) fn answer(
        &self,
        id: &str,
        visit: &Visit<'_>,
        now: OffsetDateTime,
    ) -> Result<Response, ArmProblem> {
        let request = visit.request;
        let query = request.uri().query().unwrap_or_default();
        let is_whole = |operation: &&Operation| {
            operation.parameters.as_deref().is_none_or(|parameters| query.ends_with(parameters))
        };
        let operation = self.0.iter().find(|operation| operation.id == id).filter(is_whole);
        let operation = operation.ok_or_else(|| ArmProblem::OperationNotFound(id.to_owned()))?;
        let is_over = operation.ends <= now;
        if exchange::query(request, "asyncinfo").is_some() {
            let status = if is_over { "Succeeded" } else { "Running" };
            return Ok(exchange::json(StatusCode::OK, &json!({"status": status})));
        }
        let mut response = exchange::empty(if is_over { StatusCode::OK } else { StatusCode::ACCEPTED });
        visit.set_location_here(&mut response);
        Ok(response)
    }
}

impl Address {
    /// The header that every one of these operations is answered with.
    pub(crate) fn set_async_operation(&self, response: &mut Response) {
        let name = HeaderName::from_static("azure-asyncoperation");
        exchange::set_header(response.headers_mut(), name, &self.url("&asyncinfo"));
    }

    /// The header that a deletion is answered with besides.
    pub(crate) fn set_location(&self, response: &mut Response) {
        exchange::set_header(response.headers_mut(), header::LOCATION, &self.url(""));
    }

    fn url(&self, asyncinfo: &str) -> String {
        let Address { path, api_version, parameters } = self;
        let parameters = parameters.as_deref().map(|text| format!("&{text}")).unwrap_or_default();
        format!("{path}?api-version={api_version}{asyncinfo}{parameters}")
    }
}

/// Time in the ticks of .NET, certificate, signature and hash; the last three made up.
fn parameters(now: OffsetDateTime, random: &mut fastrand::Rng) -> String {
    let since_year_one = now - time::macros::datetime!(0001-01-01 00:00 UTC);
    let ticks = since_year_one.whole_microseconds() * (Duration::MICROSECOND.whole_nanoseconds() / 100);
    let mut opaque = |bytes: usize| {
        let bytes: Vec<u8> = (0..bytes).map(|_| random.u8(..)).collect();
        URL_SAFE_NO_PAD.encode(bytes)
    };
    format!("t={ticks}&c={}&s={}&h={}", opaque(96), opaque(96), opaque(32))
}
