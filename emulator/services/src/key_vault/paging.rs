//! Lists, a page at a time.
//!
//! The link to the next page remembers the last key that was shown rather than a count, so that an object
//! stored between two pages neither hides nor repeats another one.

use serde_json::{Value, json};

use super::collection::Collection;
use super::object::{Object, Stored};
use super::refusal::Refusal;
use super::visit::Visit;
use crate::ground::exchange::{self, Request};
use crate::ground::jose;

/// How many items a page holds at most, and when nothing is said.
const PAGE: usize = 25;

/// A page of the latest versions of all live objects.
pub(super) fn objects<T: Stored>(collection: &Collection<T>, visit: &Visit<'_>) -> Result<Value, Refusal> {
    let items = collection.iter().map(|(key, object)| {
        let id = visit.site.id(T::KIND, &object.name, None);
        (key, T::listed(&id, object.latest()))
    });
    page(items, &format!("/{}", T::KIND.collection()), visit)
}

/// A page of all versions of an object. Their order means nothing, as in the service.
pub(super) fn versions<T: Stored>(object: &Object<T>, visit: &Visit<'_>) -> Result<Value, Refusal> {
    let mut versions: Vec<_> = object.versions().collect();
    versions.sort_by_key(|version| &version.id);
    let items = versions.into_iter().map(|version| {
        let id = visit.site.id(T::KIND, &object.name, Some(&version.id));
        (version.id.as_str(), T::listed(&id, version))
    });
    page(items, &format!("/{}/{}/versions", T::KIND.collection(), object.name), visit)
}

/// The page a request asks for, out of items in ascending order of their keys.
pub(super) fn page<'k>(
    items: impl Iterator<Item = (&'k str, Value)>,
    path: &str,
    visit: &Visit<'_>,
) -> Result<Value, Refusal> {
    let size = size(visit.request)?;
    let after = match exchange::query(visit.request, "$skiptoken") {
        None => None,
        Some(token) => Some(read_token(&token)?),
    };
    let mut rest = items.skip_while(|(key, _)| after.as_deref().is_some_and(|after| *key <= after));
    let shown: Vec<_> = rest.by_ref().take(size).collect();
    let next_link = match (shown.last(), rest.next()) {
        (Some((last, _)), Some(_)) => Some(format!(
            "{}?api-version={}&$skiptoken={}&maxresults={size}",
            visit.site.url(path),
            visit.api_version(),
            jose::base64url(last),
        )),
        _ => None,
    };
    let value: Vec<Value> = shown.into_iter().map(|(_, item)| item).collect();
    Ok(json!({ "value": value, "nextLink": next_link }))
}

fn size(request: &Request) -> Result<usize, Refusal> {
    let Some(text) = exchange::query(request, "maxresults") else { return Ok(PAGE) };
    match text.parse() {
        Ok(size) if (1..=PAGE).contains(&size) => Ok(size),
        _ => Err(Refusal::bad_parameter(format!("The maxresults parameter must be 1 to {PAGE}."))),
    }
}

fn read_token(token: &str) -> Result<String, Refusal> {
    jose::from_base64url(token)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Refusal::bad_parameter("The $skiptoken parameter is not from a nextLink."))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::StatusCode;

    use super::super::Import;
    use super::super::testing::*;

    #[test]
    fn sixty_certificates_take_three_pages() {
        let mut lab = Lab::new();
        let import = Import::new(ca_pem());
        for number in 0..60 {
            lab.import(&format!("ca-{number:02}"), import.clone());
        }
        let (sizes, items) = lab.walk("/certificates?api-version=2025-07-01");
        assert_eq!(sizes, [25, 25, 10]);
        let ids: Vec<_> = items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
        let expected: Vec<_> =
            (0..60).map(|number| format!("https://{HOST}/certificates/ca-{number:02}")).collect();
        assert_eq!(ids, expected);

        assert_eq!(lab.walk("/secrets?api-version=7.4&maxresults=20").0, [20, 20, 20]);
        assert_eq!(lab.walk("/keys?api-version=7.4").0, [25, 25, 10]);
    }

    #[test]
    fn the_next_link_is_absolute_and_repeats_the_api_version() {
        let mut lab = Lab::new();
        let import = Import::new(ca_pem());
        lab.import("a", import.clone());
        lab.import("b", import);
        let (_, body) = lab.get("/certificates?api%2Dversion=7.5&maxresults=1");
        let link = body["nextLink"].as_str().unwrap();
        assert!(
            link.starts_with(&format!("https://{HOST}/certificates?api-version=7.5&$skiptoken=")),
            "{link}"
        );
        assert!(link.ends_with("&maxresults=1"));
    }

    #[test]
    fn what_is_stored_between_two_pages_repeats_nothing() {
        let mut lab = Lab::new();
        let import = Import::new(ca_pem());
        lab.import("b", import.clone());
        lab.import("c", import.clone());
        let (_, body) = lab.get("/certificates?api-version=7.5&maxresults=1");
        lab.import("a", import);
        let (_, body) = lab.get(body["nextLink"].as_str().unwrap());
        assert_eq!(body["value"][0]["id"], format!("https://{HOST}/certificates/c"));
        assert!(body["nextLink"].is_null());
    }

    #[test]
    fn an_impossible_page_is_refused() {
        let mut lab = Lab::new();
        for query in ["maxresults=0", "maxresults=26", "maxresults=all", "$skiptoken=*"] {
            let (status, body) = lab.get(&format!("/certificates?api-version=7.5&{query}"));
            assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
            assert_eq!(body["error"]["code"], "BadParameter");
        }
    }
}
