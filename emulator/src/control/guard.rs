//! Who may use the control API: programs of this machine, and pages this emulator serves itself.
//!
//! The listener is on the loopback address, but any web page the user has open can send requests there. A page
//! of another origin is told apart by what browsers say of it, a name that was rebound to this machine by the
//! `Host` it leaves behind, and a form or a plain `fetch` by the media type it cannot send. Programs send none
//! of that and pass. A change that a browser asks for needs, besides, the token that only the emulator's own page
//! has been told.

use http::{HeaderMap, Method, header};

use super::error::ControlError;

/// The header in which the page shows that it is ours.
const TOKEN: &str = "x-page-token";

pub(super) fn check(method: &Method, headers: &HeaderMap, page_token: &str) -> Result<(), ControlError> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let host = text(header::HOST.as_str()).unwrap_or_default();
    if !is_loopback(host) {
        return Err(ControlError::Foreign(format!(
            "the control API answers to this machine's own names (127.0.0.1, localhost, [::1]), and was asked as \
             {host:?}"
        )));
    }
    if let Some(origin) = text(header::ORIGIN.as_str())
        && !origin.eq_ignore_ascii_case(&format!("http://{host}"))
    {
        return Err(ControlError::Foreign(format!("a page of {origin} may not steer the emulator")));
    }
    if let Some(site) = text("sec-fetch-site")
        && !["same-origin", "none"].contains(&site)
    {
        return Err(ControlError::Foreign(format!(
            "a page of another site ({site}) may not ask the emulator"
        )));
    }
    let asked_by_a_page = ["origin", "sec-fetch-site"].into_iter().any(|name| headers.contains_key(name));
    if asked_by_a_page && !method.is_safe() && text(TOKEN) != Some(page_token) {
        return Err(ControlError::Foreign(
            "the page is of an earlier run of the emulator, or not its own; load it anew".to_owned(),
        ));
    }
    let is_json = text(header::CONTENT_TYPE.as_str()).is_some_and(|media_type| {
        let essence = media_type.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("application/json")
    });
    if !is_json && [Method::POST, Method::PUT, Method::PATCH].contains(method) {
        return Err(ControlError::MediaType);
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.to_ascii_lowercase();
    matches!(name.as_str(), "127.0.0.1" | "localhost" | "[::1]") || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn checked(method: Method, sent: &[(&'static str, &'static str)]) -> Result<(), u16> {
        let headers: HeaderMap = sent
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        check(&method, &headers, "token").map_err(|error| error.kind().0.as_u16())
    }

    #[test]
    fn programs_of_this_machine_and_our_own_page_pass() {
        const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
        for host in ["127.0.0.1:8081", "localhost:8081", "[::1]:8081", "LOCALHOST", "dev.localhost:1"] {
            assert_eq!(checked(Method::GET, &[("host", host)]), Ok(()), "{host}");
            assert_eq!(checked(Method::DELETE, &[("host", host)]), Ok(()), "{host}");
            assert_eq!(checked(Method::POST, &[("host", host), JSON]), Ok(()), "{host}");
        }
        let own = [
            ("host", "127.0.0.1:8081"),
            ("origin", "http://127.0.0.1:8081"),
            ("sec-fetch-site", "same-origin"),
            ("x-page-token", "token"),
            JSON,
        ];
        assert_eq!(checked(Method::PATCH, &own), Ok(()));
        assert_eq!(checked(Method::GET, &[("host", "localhost:8081"), ("sec-fetch-site", "none")]), Ok(()));
    }

    #[test]
    fn pages_of_elsewhere_are_refused_whatever_they_send() {
        const HOST: (&str, &str) = ("host", "127.0.0.1:8081");
        for foreign in [
            vec![("host", "evil.test:8081")],
            vec![("host", "127.0.0.1.evil.test")],
            vec![("host", "")],
            vec![],
            vec![HOST, ("origin", "https://evil.test")],
            vec![HOST, ("origin", "null")],
            vec![HOST, ("origin", "http://127.0.0.1:3000")],
            vec![HOST, ("origin", "https://127.0.0.1:8081")],
            vec![HOST, ("origin", "http://localhost:8081")],
            vec![HOST, ("sec-fetch-site", "cross-site")],
            vec![HOST, ("sec-fetch-site", "same-site")],
        ] {
            for method in [Method::GET, Method::POST, Method::DELETE] {
                let mut headers = foreign.clone();
                headers.push(("content-type", "application/json"));
                assert_eq!(checked(method, &headers), Err(403), "{foreign:?}");
            }
        }
    }

    #[test]
    fn a_change_has_to_come_as_json_which_no_form_can_send() {
        for media_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
            for method in [Method::POST, Method::PUT, Method::PATCH] {
                let headers = [("host", "localhost"), ("content-type", media_type)];
                assert_eq!(checked(method, &headers), Err(415), "{media_type}");
            }
        }
        assert_eq!(checked(Method::POST, &[("host", "localhost")]), Err(415));
    }
}
