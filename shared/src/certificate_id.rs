//! The ARM ids of a registry and of a certificate in it: parsed once at the border, compared without case.
//!
//! Ids arrive in events, in settings and in grants, in whatever casing their writer liked
//! (`resourcegroups`, `resourceGroups`), sometimes percent-encoded, sometimes with a trailing slash. All of
//! that means the same id. Anything else is refused, because the parts of an id become the path of a
//! request that carries our token: a segment such as `..` or `a%2Fb` would send it somewhere else.

use std::fmt;
use std::hash::{Hash, Hasher};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::quoted;

/// What may stand in a path segment as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A DPS instance: subscription, resource group, name.
#[derive(Clone, Debug)]
pub struct RegistryId {
    subscription: String,
    resource_group: String,
    name: String,
}

/// An uploaded CA certificate of a DPS instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateId {
    registry: RegistryId,
    name: CaseInsensitive,
}

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{input} is not the id of a {what}: {reason}. It looks like {form}")]
pub struct InvalidId {
    input: String,
    what: &'static str,
    reason: String,
    form: &'static str,
}

const REGISTRY_FORM: &str =
    "/subscriptions/{guid}/resourceGroups/{group}/providers/Microsoft.Devices/provisioningServices/{name}";
const CERTIFICATE_FORM: &str = "/subscriptions/{guid}/resourceGroups/{group}/providers/Microsoft.Devices/provisioningServices/{dps}/certificates/{name}";

impl CertificateId {
    /// Reads `/subscriptions/…/provisioningServices/{dps}/certificates/{name}`.
    ///
    /// ```
    /// use keyholder::CertificateId;
    /// let id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/rg/providers\
    ///           /microsoft.devices/provisioningservices/dps1/certificates/root%2Dca/";
    /// assert_eq!(CertificateId::parse(id).unwrap().name(), "root-ca");
    /// ```
    pub fn parse(text: &str) -> Result<CertificateId, InvalidId> {
        parse_certificate(text).map_err(|reason| InvalidId {
            input: quoted(text),
            what: "DPS certificate",
            reason,
            form: CERTIFICATE_FORM,
        })
    }

    /// Returns the DPS instance that holds it.
    pub fn registry(&self) -> &RegistryId {
        &self.registry
    }

    /// Returns its name, in the casing it was given.
    pub fn name(&self) -> &str {
        &self.name.0
    }

    /// Returns the path of its resource, ready for a URL.
    pub fn path(&self) -> String {
        self.registry.path() + &path(&["certificates", self.name()])
    }
}

impl RegistryId {
    /// Reads `/subscriptions/…/provisioningServices/{name}`.
    pub fn parse(text: &str) -> Result<RegistryId, InvalidId> {
        parse_registry(text).map_err(|reason| InvalidId {
            input: quoted(text),
            what: "DPS instance",
            reason,
            form: REGISTRY_FORM,
        })
    }

    /// Returns the subscription's GUID.
    pub fn subscription(&self) -> &str {
        &self.subscription
    }

    /// Returns the resource group's name.
    pub fn resource_group(&self) -> &str {
        &self.resource_group
    }

    /// Returns the instance's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the path of its resource, ready for a URL.
    pub fn path(&self) -> String {
        path(&[
            "subscriptions",
            &self.subscription,
            "resourceGroups",
            &self.resource_group,
            "providers",
            "Microsoft.Devices",
            "provisioningServices",
            &self.name,
        ])
    }

    fn folded(&self) -> [String; 3] {
        let group = folded_group(&self.resource_group);
        [self.subscription.to_ascii_lowercase(), group, self.name.to_ascii_lowercase()]
    }
}

impl PartialEq for RegistryId {
    fn eq(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }
}

impl Eq for RegistryId {}

impl Hash for RegistryId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

impl fmt::Display for RegistryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Devices/provisioningServices/{}",
            self.subscription, self.resource_group, self.name
        )
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/certificates/{}", self.registry, self.name())
    }
}

#[derive(Clone, Debug)]
struct CaseInsensitive(String);

impl PartialEq for CaseInsensitive {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for CaseInsensitive {}

impl Hash for CaseInsensitive {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_ascii_lowercase().hash(state);
    }
}

/// Returns the segments of an ARM path, each decoded once.
pub(crate) fn segments(text: &str) -> Result<Vec<String>, String> {
    let path = text.strip_prefix('/').ok_or("it does not start with /")?;
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/')
        .map(|segment| {
            let decoded = percent_decode_str(segment)
                .decode_utf8()
                .map_err(|_| format!("{} is not UTF-8 once decoded", quoted(segment)))?;
            Ok(decoded.into_owned())
        })
        .collect()
}

pub(crate) fn subscription(text: &str) -> Result<String, String> {
    let guid = guid(text).ok_or_else(|| format!("{} is not a subscription's GUID", quoted(text)))?;
    Ok(guid.to_owned())
}

pub(crate) fn guid(text: &str) -> Option<&str> {
    let groups: Vec<&str> = text.split('-').collect();
    let is_one = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is_one.then_some(text)
}

/// Naming rule: 1 to 90 letters, digits, `-`, `_`, `.`, `(`, `)`, not ending in a period.
pub(crate) fn resource_group(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '(' | ')');
    let well_formed =
        (1..=90).contains(&text.chars().count()) && text.chars().all(allowed) && !text.ends_with('.');
    if well_formed {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is not a resource group's name", quoted(text)))
    }
}

/// Naming rule: 3 to 64 letters, digits and hyphens, a letter or digit at both ends.
pub(crate) fn instance_name(text: &str) -> Result<String, String> {
    let well_formed = (3..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if well_formed {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is not a DPS instance's name", quoted(text)))
    }
}

/// Naming rule: 1 to 64 letters, digits, `-`, `.`, `_`. Names of periods alone are path navigation, so they
/// are refused although the rule lets them through.
fn certificate_name(text: &str) -> Result<CaseInsensitive, String> {
    let well_formed = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        && text.bytes().any(|byte| byte != b'.');
    if well_formed {
        Ok(CaseInsensitive(text.to_owned()))
    } else {
        Err(format!("{} is not a certificate's name", quoted(text)))
    }
}

fn parse_registry(text: &str) -> Result<RegistryId, String> {
    match segments(text)?.as_slice() {
        [prefix @ .., name] if prefix.len() == 7 => registry(prefix, name),
        parts => Err(format!("it has {} segments instead of 8", parts.len())),
    }
}

fn parse_certificate(text: &str) -> Result<CertificateId, String> {
    match segments(text)?.as_slice() {
        [prefix @ .., instance, certificates, name] if prefix.len() == 7 => {
            keyword(certificates, "certificates")?;
            Ok(CertificateId { registry: registry(prefix, instance)?, name: certificate_name(name)? })
        }
        parts => Err(format!("it has {} segments instead of 10", parts.len())),
    }
}

fn registry(prefix: &[String], name: &str) -> Result<RegistryId, String> {
    keyword(&prefix[0], "subscriptions")?;
    keyword(&prefix[2], "resourceGroups")?;
    keyword(&prefix[4], "providers")?;
    keyword(&prefix[5], "Microsoft.Devices")?;
    keyword(&prefix[6], "provisioningServices")?;
    Ok(RegistryId {
        subscription: subscription(&prefix[1])?,
        resource_group: resource_group(&prefix[3])?,
        name: instance_name(name)?,
    })
}

pub(crate) fn keyword(segment: &str, wanted: &str) -> Result<(), String> {
    if segment.eq_ignore_ascii_case(wanted) {
        Ok(())
    } else {
        Err(format!("{} stands where {wanted:?} belongs", quoted(segment)))
    }
}

/// Returns a resource group's name in one casing. It is the only part of an id with letters beyond ASCII, and two
/// letters are the same only if each is the other's other case. The Kelvin sign, say, *becomes* an ordinary `k`
/// in lower case, but Azure tells the two apart, so a lock has to.
pub(crate) fn folded_group(name: &str) -> String {
    let folded = |letter: char| {
        let upper = alone(letter.to_uppercase());
        upper.filter(|upper| alone(upper.to_lowercase()) == Some(letter)).unwrap_or(letter)
    };
    name.chars().map(folded).collect()
}

fn alone(mut letters: impl ExactSizeIterator<Item = char>) -> Option<char> {
    if letters.len() == 1 { letters.next() } else { None }
}

/// Returns a path of segments, each encoded.
pub(crate) fn path(segments: &[&str]) -> String {
    segments.iter().map(|segment| format!("/{}", utf8_percent_encode(segment, SEGMENT))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/iot-x509-demo-rg/providers/Microsoft.Devices/provisioningServices/my-dps-x509/certificates/root-ca";

    #[test]
    fn one_id_in_any_writing_is_one_id() {
        let rows = [
            ("upper case", ID.to_uppercase()),
            ("lower case", ID.to_lowercase()),
            ("trailing slash", format!("{ID}/")),
            ("percent-encoded hyphen", ID.replace("root-ca", "root%2dca")),
        ];
        let id = CertificateId::parse(ID).expect("the id is well-formed");
        for (name, text) in rows {
            assert_eq!(CertificateId::parse(&text).expect(name), id, "{name}");
        }
    }

    #[test]
    fn the_casing_it_was_given_is_kept_for_the_request() {
        let id = CertificateId::parse(&ID.replace("root-ca", "Root.CA_1")).expect("well-formed");
        assert!(id.path().ends_with("/certificates/Root.CA_1"), "{}", id.path());
        assert_eq!(id.to_string(), ID.replace("root-ca", "Root.CA_1"));
    }

    #[test]
    fn anything_else_is_refused_and_shown_the_form() {
        let rows = [
            ("empty", String::new()),
            ("no leading slash", ID[1..].to_owned()),
            ("two trailing slashes", format!("{ID}//")),
            ("an instance", ID.replace("/certificates/root-ca", "")),
            ("an action", format!("{ID}/verify")),
            ("an IoT hub", ID.replace("provisioningServices", "IotHubs")),
            ("another provider", ID.replace("Microsoft.Devices", "Microsoft.Evil")),
            ("no GUID", ID.replace("00000000-0000-0000-0000-000000000000", "mine")),
            ("parent directory", ID.replace("root-ca", "..")),
            ("encoded parent directory", ID.replace("root-ca", "%2e%2e")),
            ("encoded slash", ID.replace("root-ca", "a%2Fb")),
            ("doubly encoded slash", ID.replace("root-ca", "a%252Fb")),
            ("query", format!("{ID}?x=1")),
            ("fragment", format!("{ID}#x")),
            ("blank", ID.replace("root-ca", "root ca")),
            ("newline", ID.replace("root-ca", "root\nca")),
            ("NUL", ID.replace("root-ca", "root%00ca")),
            ("not UTF-8", ID.replace("root-ca", "%ff")),
            ("name too long", ID.replace("root-ca", &"a".repeat(65))),
            ("URL", format!("https://management.azure.com{ID}")),
        ];
        for (name, text) in rows {
            let error = CertificateId::parse(&text).expect_err(name).to_string();
            assert!(error.contains("It looks like /subscriptions/{guid}/"), "{name}: {error}");
        }
    }
}
