//! Who may use the listeners without TLS: programs of this machine, and pages this emulator serves itself; and of
//! those the control API only who has its token.
//!
//! The listeners are on the loopback address, but any web page the user has open can send requests there. A page
//! of another origin is told apart by what browsers say of it, and a name that was rebound to this machine by the
//! `Host` it leaves behind: an address cannot be rebound, so every address will do. Programs send none of that and
//! pass. The control API wants its token besides, because other users of the machine reach it too, and changes as
//! JSON, which no form can send.

use http::{HeaderMap, Method, header};

use super::error::ControlError;

/// Who Event Grid says it is, with CloudEvents. It has no scheme, so no browser ever says it.
const EVENT_GRID: &str = "eventgrid.azure.net";

/// Refuses what a web page of somewhere else sends.
pub(super) fn check_sender(method: &Method, headers: &HeaderMap) -> Result<(), ControlError> {
    let host = text(headers, header::HOST.as_str()).unwrap_or_default();
    if !is_own_name(host) {
        return Err(ControlError::Foreign(format!(
            "the emulator answers to this machine's own names (127.0.0.1, localhost, [::1]), and was asked as {host:?}"
        )));
    }
    if let Some(origin) = text(headers, header::ORIGIN.as_str())
        && !origin.eq_ignore_ascii_case(&format!("http://{host}"))
        && origin != EVENT_GRID
    {
        return Err(ControlError::Foreign(format!("a page of {origin} may not steer the emulator")));
    }
    if let Some(site) = text(headers, "sec-fetch-site")
        && !["same-origin", "none"].contains(&site)
        && !is_link_followed(method, headers)
    {
        return Err(ControlError::Foreign(format!(
            "a page of another site ({site}) may not ask the emulator"
        )));
    }
    Ok(())
}

/// Refuses who has not got the token of the control API, and a change that is no JSON.
pub(super) fn check_token(method: &Method, headers: &HeaderMap, token: &str) -> Result<(), ControlError> {
    let shown = text(headers, header::AUTHORIZATION.as_str()).and_then(|value| value.split_once(' '));
    let shown =
        shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let is_right =
        |shown: &str| shown.len() == token.len() && openssl::memcmp::eq(shown.as_bytes(), token.as_bytes());
    if !shown.is_some_and(is_right) {
        return Err(ControlError::Token { is_missing: shown.is_none() });
    }
    let is_json = text(headers, header::CONTENT_TYPE.as_str()).is_some_and(|media_type| {
        let essence = media_type.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("application/json")
    });
    if !is_json && [Method::POST, Method::PUT, Method::PATCH].contains(method) {
        return Err(ControlError::MediaType);
    }
    Ok(())
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"))
}

/// A person who follows a link sees the answer, and the page with the link does not.
fn is_link_followed(method: &Method, headers: &HeaderMap) -> bool {
    let is = |name, value| text(headers, name) == Some(value);
    *method == Method::GET && is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document")
}

/// Whether a `Host` is no name, or one that leads to this machine whoever answers for names.
fn is_own_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if address
        .map_or(name.parse::<std::net::Ipv4Addr>().is_ok(), |name| name.parse::<std::net::Ipv6Addr>().is_ok())
    {
        return true;
    }
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    type Sent = (&'static str, &'static str);

    const HOST: Sent = ("host", "127.0.0.1:8081");
    const JSON: Sent = ("content-type", "application/json; charset=utf-8");
    const TOKEN: Sent = ("authorization", "Bearer right");

    fn headers(sent: &[Sent]) -> HeaderMap {
        sent.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn sender(method: Method, sent: &[Sent]) -> Result<(), u16> {
        check_sender(&method, &headers(sent)).map_err(|error| error.kind().0.as_u16())
    }

    fn token(method: Method, sent: &[Sent]) -> Result<(), u16> {
        check_token(&method, &headers(sent), "right").map_err(|error| error.kind().0.as_u16())
    }

    #[test]
    fn programs_of_this_machine_and_our_own_page_pass() {
        for host in [
            "127.0.0.1:8081",
            "127.9.9.9",
            "169.254.169.254",
            "localhost:8081",
            "[::1]:8081",
            "LOCALHOST",
            "localhost.:1",
            "my-vault.vault.localhost:1",
        ] {
            assert_eq!(sender(Method::GET, &[("host", host)]), Ok(()), "{host}");
            assert_eq!(sender(Method::POST, &[("host", host)]), Ok(()), "{host}");
        }
        let own = [HOST, ("origin", "http://127.0.0.1:8081"), ("sec-fetch-site", "same-origin")];
        assert_eq!(sender(Method::PATCH, &own), Ok(()));
        assert_eq!(sender(Method::GET, &[("host", "localhost:8081"), ("sec-fetch-site", "none")]), Ok(()));
        assert_eq!(sender(Method::POST, &[HOST, ("origin", "eventgrid.azure.net")]), Ok(()), "CloudEvents");
    }

    #[test]
    fn pages_of_elsewhere_are_refused_whatever_they_send() {
        for foreign in [
            vec![("host", "evil.test:8081")],
            vec![("host", "127.0.0.1.evil.test")],
            vec![("host", "notlocalhost")],
            vec![("host", "")],
            vec![],
            vec![HOST, ("origin", "https://evil.test")],
            vec![HOST, ("origin", "null")],
            vec![HOST, ("origin", "http://127.0.0.1:3000")],
            vec![HOST, ("origin", "https://127.0.0.1:8081")],
            vec![HOST, ("origin", "http://localhost:8081")],
            vec![HOST, ("sec-fetch-site", "cross-site")],
            vec![HOST, ("sec-fetch-site", "same-site")],
            vec![
                HOST,
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "iframe"),
            ],
        ] {
            for method in [Method::GET, Method::POST, Method::DELETE] {
                let sent = [foreign.as_slice(), &[TOKEN, JSON]].concat();
                assert_eq!(sender(method, &sent), Err(403), "{foreign:?}");
            }
        }
    }

    #[test]
    fn a_link_on_another_page_can_be_followed_and_its_form_cannot_be_sent() {
        let link = [
            HOST,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(sender(Method::GET, &link), Ok(()));
        assert_eq!(sender(Method::POST, &link), Err(403));
        let rebound = [&[("host", "evil.test")][..], &link[1..]].concat();
        assert_eq!(sender(Method::GET, &rebound), Err(403));
    }

    #[test]
    fn who_has_not_got_the_token_is_refused() {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            assert_eq!(token(method.clone(), &[TOKEN, JSON]), Ok(()));
            assert_eq!(token(method.clone(), &[("authorization", "bearer right"), JSON]), Ok(()));
            for wrong in ["Bearer wrong", "Bearer rightly", "Bearer ", "Bearer", "right", "Basic right", ""] {
                assert_eq!(token(method.clone(), &[("authorization", wrong), JSON]), Err(401), "{wrong}");
            }
            assert_eq!(token(method, &[JSON]), Err(401));
        }
    }

    #[test]
    fn a_change_has_to_come_as_json_which_no_form_can_send() {
        for media_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
            for method in [Method::POST, Method::PUT, Method::PATCH] {
                assert_eq!(token(method, &[TOKEN, ("content-type", media_type)]), Err(415), "{media_type}");
            }
        }
        assert_eq!(token(Method::POST, &[TOKEN]), Err(415));
        assert_eq!(token(Method::DELETE, &[TOKEN]), Ok(()));
    }
}
