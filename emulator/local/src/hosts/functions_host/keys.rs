//! The keys a host asks its callers for, if it does: in Azure it always does, in local development it does not
//! unless told to.
//!
//! A key is sent in `x-functions-key`, or else as `code` in the query. One that does not exist is 401, one that
//! is for something else 403.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use keyholder_emulator::exchange::{self, Request, Response};

/// Where the system keys are looked at and set.
const SYSTEM_KEYS: &str = "/admin/host/systemkeys/";
/// The system key of the Event Grid extension.
pub(super) const EVENT_GRID: &str = "eventgrid_extension";

/// A host's keys. Cheap to clone, every clone is the same keys.
#[derive(Clone)]
pub(super) struct Keys(Arc<Mutex<Values>>);

struct Values {
    master: String,
    event_grid: String,
    /// Opens every function that is called over HTTP, of which there are none here; so it opens nothing.
    host: String,
}

/// What a key has to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// The webhook of the Event Grid extension.
    EventGrid,
    /// Everything below `/admin`.
    Admin,
}

impl Keys {
    pub(super) fn draw(random: &mut fastrand::Rng) -> Keys {
        let mut key = || format!("{:032x}{:016x}", random.u128(..), random.u64(..));
        Keys(Arc::new(Mutex::new(Values { master: key(), event_grid: key(), host: key() })))
    }

    /// Opens everything.
    pub(super) fn master(&self) -> String {
        self.values().master.clone()
    }

    /// Opens the webhook of the Event Grid extension.
    pub(super) fn event_grid(&self) -> String {
        self.values().event_grid.clone()
    }

    /// The status that turns a caller away who lacks the key.
    pub(super) fn check(&self, request: &Request, door: Door) -> Result<(), StatusCode> {
        let sent = exchange::header_text(request, "x-functions-key").map(str::to_owned);
        let Some(key) = sent.or_else(|| exchange::query(request, "code")) else {
            return Err(StatusCode::UNAUTHORIZED);
        };
        let Values { master, event_grid, host } = &*self.values();
        let opens = key == *master || (key == *event_grid && door == Door::EventGrid);
        if opens {
            Ok(())
        } else if key == *event_grid || key == *host {
            Err(StatusCode::FORBIDDEN)
        } else {
            Err(StatusCode::UNAUTHORIZED)
        }
    }

    /// Shows or sets a system key, if that is what a request is about.
    pub(super) fn answer(&self, request: &Request) -> Option<Response> {
        let path = request.uri().path();
        let name = path.get(SYSTEM_KEYS.len()..)?;
        if !path[..SYSTEM_KEYS.len()].eq_ignore_ascii_case(SYSTEM_KEYS) {
            return None;
        }
        if !name.eq_ignore_ascii_case(EVENT_GRID) {
            return Some(exchange::empty(StatusCode::NOT_FOUND));
        }
        Some(match *request.method() {
            Method::GET => exchange::json(StatusCode::OK, &self.shown()),
            Method::PUT => {
                match exchange::body_json(request).as_ref().and_then(|body| body["value"].as_str()) {
                    Some(value) if !value.is_empty() => {
                        value.clone_into(&mut self.values().event_grid);
                        exchange::json(StatusCode::OK, &self.shown())
                    }
                    _ => exchange::empty(StatusCode::BAD_REQUEST),
                }
            }
            _ => exchange::empty(StatusCode::METHOD_NOT_ALLOWED),
        })
    }

    fn shown(&self) -> Value {
        json!({ "name": EVENT_GRID, "value": self.event_grid() })
    }

    fn values(&self) -> MutexGuard<'_, Values> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn keys() -> Keys {
        Keys::draw(&mut fastrand::Rng::with_seed(1))
    }

    fn request(method: &str, target: &str, key: Option<&str>, body: &str) -> Request {
        let request = http::Request::builder().method(method).uri(target);
        let request = match key {
            Some(key) => request.header("x-functions-key", key),
            None => request,
        };
        request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    #[test]
    fn each_key_opens_what_it_is_for_and_the_header_wins() {
        let keys = keys();
        let (master, system, host) = (keys.master(), keys.event_grid(), keys.values().host.clone());
        for (query, header, event_grid, admin) in [
            (None, None, 401, 401),
            (Some("wrong"), None, 401, 401),
            (Some(system.as_str()), None, 200, 403),
            (Some(&*master), None, 200, 200),
            (Some(&*host), None, 403, 403),
            (None, Some(&*system), 200, 403),
            (Some("wrong"), Some(&*system), 200, 403),
            (Some(&*system), Some("wrong"), 401, 401),
            (None, Some(""), 401, 401),
        ] {
            let target = query.map_or("/".to_owned(), |key| format!("/?code={key}"));
            let request = request("POST", &target, header, "");
            let status = |door| keys.check(&request, door).err().map_or(200, |status| status.as_u16());
            assert_eq!(
                (status(Door::EventGrid), status(Door::Admin)),
                (event_grid, admin),
                "{query:?} {header:?}"
            );
        }
    }

    #[test]
    fn the_system_key_is_shown_and_set() {
        let keys = keys();
        let path = "/admin/host/systemkeys/eventgrid_extension";
        let shown = keys.answer(&request("GET", path, None, "")).unwrap();
        let shown: Value = serde_json::from_slice(shown.body()).unwrap();
        assert_eq!(shown["value"], keys.event_grid());
        let set = |body: &str| keys.answer(&request("PUT", path, None, body)).unwrap().status().as_u16();
        assert_eq!(set(r#"{"name":"eventgrid_extension","value":"mine"}"#), 200);
        assert_eq!(keys.event_grid(), "mine");
        assert_eq!((set("{}"), set(r#"{"value":""}"#), keys.event_grid().as_str()), (400, 400, "mine"));
        assert_eq!(keys.answer(&request("DELETE", path, None, "")).unwrap().status(), 405);
        assert_eq!(keys.answer(&request("GET", "/admin/host/systemkeys/x", None, "")).unwrap().status(), 404);
        assert!(keys.answer(&request("GET", "/admin/host/status", None, "")).is_none());
    }
}
