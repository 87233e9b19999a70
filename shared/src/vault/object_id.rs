//! The id of one version of one object in a vault: `https://{vault}/{kind}/{name}/{version}`.
//!
//! Ids come back in answers and go out again as paths, so they are taken apart and checked first: the host
//! has to be the vault that was asked, and name and version have to be plain.

use std::fmt;
use std::sync::Arc;

use url::Url;

use crate::error;
use crate::fingerprint::{CERTIFICATE_TAG, Fingerprint};
use crate::trust::{CA_TAG, GRANT_TAG};

/// What kind of object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A certificate, with a key and a secret behind it.
    Certificate,
    /// A key.
    Key,
    /// A secret.
    Secret,
}

/// One version of one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectId {
    vault: Arc<Url>,
    kind: Kind,
    name: String,
    version: String,
}

impl Kind {
    fn segment(self) -> &'static str {
        match self {
            Kind::Certificate => "certificates",
            Kind::Key => "keys",
            Kind::Secret => "secrets",
        }
    }
}

/// Why a text is not the id of an object in a vault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{input} is not an id of one of the {} of {vault}: {problem}", .kind.segment())]
pub struct InvalidObjectId {
    /// The text, in quotes and shortened.
    input: String,
    kind: Kind,
    vault: Arc<Url>,
    problem: ObjectIdProblem,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum ObjectIdProblem {
    #[error(transparent)]
    NotAUrl(#[from] url::ParseError),
    #[error("it names another host")]
    OtherHost,
    #[error("it has other segments")]
    OtherSegments,
    #[error("its name or version has unexpected characters")]
    UnexpectedCharacters,
}

impl ObjectId {
    /// Reads the id of an object of a certain kind as the vault at `vault` wrote it. In lists ids have no
    /// version; then `version` of the result is empty.
    pub fn parse(text: &str, vault: &Arc<Url>, kind: Kind) -> Result<ObjectId, InvalidObjectId> {
        let invalid = |problem| {
            let input = error::quoted(text);
            InvalidObjectId { input, kind, vault: vault.clone(), problem }
        };
        let url = Url::parse(text).map_err(|error| invalid(error.into()))?;
        if url.origin() != vault.origin() {
            return Err(invalid(ObjectIdProblem::OtherHost));
        }
        let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
        let (name, version) = match segments.as_slice() {
            [segment, name] if *segment == kind.segment() => (*name, ""),
            [segment, name, version] if *segment == kind.segment() => (*name, *version),
            _ => return Err(invalid(ObjectIdProblem::OtherSegments)),
        };
        if !is_name(name) || !version.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(invalid(ObjectIdProblem::UnexpectedCharacters));
        }
        Ok(ObjectId { vault: vault.clone(), kind, name: name.to_owned(), version: version.to_owned() })
    }

    /// Creates an id without a version. It stands for the newest one.
    pub fn newest(vault: &Arc<Url>, kind: Kind, name: &str) -> ObjectId {
        ObjectId { vault: vault.clone(), kind, name: name.to_owned(), version: String::new() }
    }

    /// Returns the vault it is in.
    pub fn vault(&self) -> &Url {
        &self.vault
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its version; empty where none was given.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns what kind of object it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the vault's name, as the command line wants it.
    pub fn vault_name(&self) -> &str {
        self.vault.host_str().and_then(|host| host.split('.').next()).unwrap_or_default()
    }

    /// `az keyvault … --vault-name … --name …` with a verb and its options about this object.
    pub fn command(&self, verb_and_options: &str) -> String {
        let noun = match self.kind {
            Kind::Certificate => "certificate",
            Kind::Key => "key",
            Kind::Secret => "secret",
        };
        let (verb, options) = verb_and_options.split_once(' ').unwrap_or((verb_and_options, ""));
        let command =
            format!("az keyvault {noun} {verb} --vault-name {} --name {}", self.vault_name(), self.name);
        if options.is_empty() { command } else { format!("{command} {options}") }
    }

    /// Returns the same object in whatever version is the newest.
    pub fn of_newest_version(&self) -> ObjectId {
        ObjectId { version: String::new(), ..self.clone() }
    }

    /// Returns the command with which the object's owner lets this version prove possession for a registry. Setting tags
    /// replaces all of them, so it says where there are others; what they are is the owner's business.
    pub fn grant_command(&self, tags: &[(String, String)], registry: &str) -> String {
        self.tag_command(tags, GRANT_TAG, registry)
    }

    /// Returns the command with which the object's owner says that a certificate is theirs, likewise.
    pub fn naming_command(&self, tags: &[(String, String)], certificate: &Fingerprint) -> String {
        self.tag_command(tags, CERTIFICATE_TAG, &certificate.to_string())
    }

    /// Returns the grant with every other tag; `None` where there are none, or one needs the quotes of a certain shell.
    pub fn whole_grant_command(&self, tags: &[(String, String)], registry: &str) -> Option<String> {
        self.whole_tag_command(tags, GRANT_TAG, registry)
    }

    /// Returns the name with every other tag, likewise.
    pub fn whole_naming_command(
        &self,
        tags: &[(String, String)],
        certificate: &Fingerprint,
    ) -> Option<String> {
        self.whole_tag_command(tags, CERTIFICATE_TAG, &certificate.to_string())
    }

    fn tag_command(&self, tags: &[(String, String)], tag: &str, entry: &str) -> String {
        let mut says_all = tags.iter().all(|(name, _)| OWN_TAGS.contains(&name.as_str()));
        let mut command = self.set_tags();
        for (name, value) in tags.iter().filter(|(name, _)| name != tag && OWN_TAGS.contains(&name.as_str()))
        {
            match argument(&format!("{name}={value}")) {
                Some(kept) => command += &format!(" {kept}"),
                None => says_all = false,
            }
        }
        let added = added(tags, tag, entry);
        says_all &= added.is_some();
        command += &format!(" {}", added.unwrap_or_else(|| format!("{tag}={entry}")));
        if says_all { command } else { format!("{command} and its other tags, which this replaces") }
    }

    fn whole_tag_command(&self, tags: &[(String, String)], tag: &str, entry: &str) -> Option<String> {
        if tags.iter().all(|(name, _)| OWN_TAGS.contains(&name.as_str())) {
            return None;
        }
        let others = tags.iter().filter(|(name, _)| name != tag);
        let kept: Vec<String> =
            others.map(|(name, value)| argument(&format!("{name}={value}"))).collect::<Option<_>>()?;
        let added = added(tags, tag, entry)?;
        Some(format!("{} {} {added}", self.set_tags(), kept.join(" ")))
    }

    fn set_tags(&self) -> String {
        match self.version.is_empty() {
            true => self.command("set-attributes --tags"),
            false => self.command(&format!("set-attributes --version {} --tags", self.version)),
        }
    }
}

/// The tags that this program reads, and may therefore speak of.
const OWN_TAGS: [&str; 3] = [GRANT_TAG, CERTIFICATE_TAG, CA_TAG];

/// Returns a tag with an entry besides those that it has; `None` if they need the quotes of a certain shell.
fn added(tags: &[(String, String)], tag: &str, entry: &str) -> Option<String> {
    let now = tags.iter().find(|(name, _)| name == tag).map_or("", |(_, value)| value.trim());
    let entries = if now.is_empty() { entry.to_owned() } else { format!("{now},{entry}") };
    argument(&format!("{tag}={entries}"))
}

/// Checks the vault's rule for names: 1 to 127 letters, digits and hyphens.
pub(super) fn is_name(text: &str) -> bool {
    (1..=127).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// As bash, PowerShell and cmd all read it back: as it is, or in double quotes, which keep a comma and a blank. `None`
/// for what each of them would need other quotes for.
fn argument(text: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=/:".contains(&byte);
    if text.bytes().all(is_plain) {
        return Some(text.to_owned());
    }
    let fits = text.bytes().all(|byte| is_plain(byte) || b", @+".contains(&byte));
    fits.then(|| format!("\"{text}\""))
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", self.vault, self.kind.segment(), self.name)?;
        if self.version.is_empty() { Ok(()) } else { write!(f, "/{}", self.version) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::cases;

    proptest! {
        #![proptest_config(cases(300))]

        #[test]
        fn an_id_is_read_back_as_it_was_written(
            name in "[A-Za-z0-9-]{1,127}", version in "[a-f0-9]{32}|", port in "(:8443)?",
        ) {
            let vault = Arc::new(Url::parse(&format!("https://my-vault.vault.localhost{port}")).expect("a URL"));
            for kind in [Kind::Certificate, Kind::Key, Kind::Secret] {
                let end = if version.is_empty() { String::new() } else { format!("/{version}") };
                let text = format!("https://my-vault.vault.localhost{port}/{}/{name}{end}", kind.segment());
                let id = ObjectId::parse(&text, &vault, kind).expect("its own id");
                prop_assert_eq!((id.name(), id.version(), id.kind()), (&*name, &*version, kind));
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn no_id_leads_out_of_its_vault(text in "https://(my-vault|x)[.:/@a-z0-9%?#-]{0,40}/keys/[a-z./%?#-]{0,9}") {
            let Ok(id) = ObjectId::parse(&text, &vault(), Kind::Key) else { return Ok(()) };
            let written = Url::parse(&id.to_string()).expect("a URL");
            prop_assert_eq!(written.origin(), vault().origin());
            prop_assert_eq!(written.path_segments().map(Iterator::count), Some(if id.version().is_empty() { 2 } else { 3 }));
        }
    }

    fn vault() -> Arc<Url> {
        Arc::new(Url::parse("https://my-vault.vault.azure.net").expect("a URL"))
    }

    #[test]
    fn an_id_of_the_vault_that_was_asked_is_taken_apart() {
        let text = "https://my-vault.vault.azure.net/certificates/root/0123456789abcdef0123456789abcdef";
        let id = ObjectId::parse(text, &vault(), Kind::Certificate).expect("its own id");
        assert_eq!((id.name(), id.version()), ("root", "0123456789abcdef0123456789abcdef"));
        assert_eq!(id.to_string(), text);
    }

    #[test]
    fn ids_that_lead_elsewhere_are_refused() {
        let rows = [
            ("another vault", "https://evil.vault.azure.net/keys/root/1"),
            ("plain http", "http://my-vault.vault.azure.net/keys/root/1"),
            ("another port", "https://my-vault.vault.azure.net:8443/keys/root/1"),
            ("another kind", "https://my-vault.vault.azure.net/secrets/root/1"),
            ("deeper", "https://my-vault.vault.azure.net/keys/root/1/sign"),
            ("encoded name", "https://my-vault.vault.azure.net/keys/ro%2fot/1"),
            ("no URL", "root"),
        ];
        for (name, text) in rows {
            assert!(ObjectId::parse(text, &vault(), Kind::Key).is_err(), "{name}");
        }
    }

    #[test]
    fn a_grant_command_shows_no_other_tag_and_is_right_in_every_shell() {
        let id = ObjectId::parse("https://my-vault.vault.azure.net/secrets/root", &vault(), Kind::Secret);
        let id = id.expect("its own id");
        let base = "az keyvault secret set-attributes --vault-name my-vault --name root --tags";
        let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let rows = [
            (vec![], "keyholder=dps1"),
            (vec![tag("keyholder", "dps0")], "\"keyholder=dps0,dps1\""),
            (vec![tag("keyholder", " ")], "keyholder=dps1"),
            (vec![tag("keyholder", "$(x)")], "keyholder=dps1 and its other tags, which this replaces"),
            (vec![tag("owner", "a b; rm 'x'")], "keyholder=dps1 and its other tags, which this replaces"),
        ];
        for (tags, expected) in rows {
            assert_eq!(id.grant_command(&tags, "dps1"), format!("{base} {expected}"));
        }
        let (own, other) = (Fingerprint::of(b"ours"), Fingerprint::of(b"another"));
        let tags = [tag("keyholder", "dps0"), tag(CERTIFICATE_TAG, &other.to_string())];
        let expected = format!("{base} keyholder=dps0 \"{CERTIFICATE_TAG}={other},{own}\"");
        assert_eq!(id.naming_command(&tags, &own), expected);
        let whole = |tags: &[(String, String)]| id.whole_grant_command(tags, "dps1");
        let all = whole(&[tag("owner", "pki team"), tag("line", "1"), tag("keyholder", "dps0")]);
        assert_eq!(all, Some(format!("{base} \"owner=pki team\" line=1 \"keyholder=dps0,dps1\"")));
        assert_eq!(whole(&[tag("keyholder", "dps0")]), None, "nothing is left out of the other");
        for foreign in ["a & calc", "50%", "it's", "a\"b", "$HOME", "`id`", "!x", "a^b", "a\u{202e}b", "a\nb"]
        {
            assert_eq!(whole(&[tag("owner", foreign)]), None, "{foreign:?}");
        }
    }
}
