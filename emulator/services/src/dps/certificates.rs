//! The certificates of one DPS instance and the six operations on them, without any HTTP.
//!
//! Each operation either succeeds whole or leaves everything as it was, and each change leaves a new etag:
//! that is what clients build on, so it is kept in one place. Where public recordings are silent about the
//! service, the choice made here is marked as such.

use openssl::x509::X509;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::dps::etag::{Etag, IfMatch};
use crate::dps::mint::{self, Stamp};
use crate::dps::possession::{Examined, Refusal};
use crate::dps::problem::{LIMIT, Problem};
use crate::dps::upload::Upload;
use crate::ground::stored;

/// The certificates of one DPS instance, oldest first. Names are compared without case.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Certificates(Vec<Certificate>);

/// A CA certificate and how far its proof of possession has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Certificate {
    name: String,
    upload: Upload,
    is_verified: bool,
    pending_code: Option<String>,
    proof: Option<String>,
    etag: Etag,
    former_etag: Etag,
    #[serde(deserialize_with = "stored::moment")]
    created: OffsetDateTime,
    #[serde(deserialize_with = "stored::moment")]
    updated: OffsetDateTime,
}

stored::checked!(Certificates);
stored::checked!(Certificate);

/// A proof that was handed in for the certificate as it was at a moment, to be examined.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Names the state of the certificate.
    etag: Etag,
    ca: X509,
    proof: String,
}

/// A proof, and what was found out about it.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    question: Question,
    examined: Examined,
}

impl Question {
    /// Reads the proof and checks its signature, which takes its time.
    pub(crate) fn examine(self) -> Evidence {
        let examined = Examined::of(&self.ca, &self.proof);
        Evidence { question: self, examined }
    }
}

impl Evidence {
    /// Judges the proof for a certificate as it is now; if it was written to meanwhile, from the beginning.
    fn judge(&self, certificate: &Certificate, now: OffsetDateTime) -> Result<(), Refusal> {
        let Upload { x509, .. } = &certificate.upload;
        let code = certificate.pending_code.as_deref();
        if certificate.etag == self.question.etag {
            self.examined.judge(x509, code, now)
        } else {
            Examined::of(x509, &self.question.proof).judge(x509, code, now)
        }
    }
}

impl Certificate {
    fn check_stored(&self) -> Result<(), &'static str> {
        let is_made_here =
            is_well_formed(&self.name) && self.pending_code.as_deref().is_none_or(mint::is_code);
        if is_made_here { Ok(()) } else { Err("a certificate that could not be uploaded") }
    }

    /// The name, as it was first uploaded.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The uploaded text, verbatim.
    pub fn text(&self) -> &str {
        &self.upload.text
    }

    /// The subject's common name.
    pub fn subject(&self) -> &str {
        &self.upload.subject
    }

    /// SHA-1 of the certificate, upper-case hex.
    pub fn thumbprint(&self) -> &str {
        &self.upload.thumbprint
    }

    /// When the CA itself expires.
    pub fn expiry(&self) -> OffsetDateTime {
        self.upload.expiry
    }

    /// Whether possession was proven, or claimed on upload.
    pub fn is_verified(&self) -> bool {
        self.is_verified
    }

    /// The code that waits for its proof.
    pub fn pending_code(&self) -> Option<&str> {
        self.pending_code.as_deref()
    }

    /// The verification certificate that was accepted for it, as it was handed in.
    pub fn proof(&self) -> Option<&str> {
        self.proof.as_deref()
    }

    /// Names the present state.
    pub fn etag(&self) -> &Etag {
        &self.etag
    }

    /// Names the state before the latest write; no state there ever was, if there was one write only.
    pub fn former_etag(&self) -> &Etag {
        &self.former_etag
    }

    /// When it was first uploaded.
    pub fn created(&self) -> OffsetDateTime {
        self.created
    }

    /// When it was last changed.
    pub fn updated(&self) -> OffsetDateTime {
        self.updated
    }

    fn accept(&mut self, proof: &str, stamp: Stamp) -> &Certificate {
        self.is_verified = true;
        self.pending_code = None;
        self.proof = Some(proof.to_owned());
        self.touch(stamp);
        self
    }

    fn touch(&mut self, stamp: Stamp) {
        self.former_etag = std::mem::replace(&mut self.etag, stamp.etag);
        self.updated = stamp.at;
    }
}

impl Certificates {
    fn check_stored(&self) -> Result<(), &'static str> {
        let mut names = self.0.iter().enumerate();
        let is_unique = names.all(|(place, certificate)| self.position(&certificate.name) == Some(place));
        if self.0.len() <= LIMIT && is_unique { Ok(()) } else { Err("more certificates than there can be") }
    }

    /// One certificate by name.
    pub fn get(&self, name: &str) -> Option<&Certificate> {
        self.0.iter().find(|certificate| certificate.name.eq_ignore_ascii_case(name))
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Certificate> {
        self.0.iter()
    }

    /// Uploads or replaces. A new name needs no condition and ignores one; an existing name needs the current
    /// etag. Any code that was pending is void.
    pub(crate) fn put(
        &mut self,
        name: &str,
        condition: &IfMatch,
        upload: Upload,
        is_verified: Option<bool>,
        stamp: Stamp,
    ) -> Result<&Certificate, Problem> {
        let Some(position) = self.position(name) else {
            return self.create(name, upload, is_verified, stamp);
        };
        let certificate = &mut self.0[position];
        if !condition.admits(&certificate.etag) {
            return Err(Problem::InvalidEtag);
        }
        // Chosen, not observed: a body that is silent about it leaves the proof of the same certificate alone,
        // and drops that of another.
        let same = certificate.upload.thumbprint == upload.thumbprint;
        certificate.is_verified = is_verified.unwrap_or(certificate.is_verified && same);
        certificate.proof = certificate.proof.take().filter(|_| same);
        certificate.upload = upload;
        certificate.pending_code = None;
        certificate.touch(stamp);
        Ok(certificate)
    }

    /// Removes; `false` if there was nothing to remove.
    pub(crate) fn delete(&mut self, name: &str, condition: &IfMatch) -> Result<bool, Problem> {
        let Some(position) = self.position(name) else { return Ok(false) };
        if !condition.admits(&self.0[position].etag) {
            return Err(Problem::InvalidEtag);
        }
        self.0.remove(position);
        Ok(true)
    }

    /// Hands out a code; the former one is void. A certificate that is verified stays so (chosen, not
    /// observed).
    pub(crate) fn generate_code(
        &mut self,
        name: &str,
        condition: &IfMatch,
        make_code: impl FnOnce() -> String,
        stamp: Stamp,
    ) -> Result<&Certificate, Problem> {
        let certificate = self.changeable(name, condition)?;
        certificate.pending_code = Some(make_code());
        certificate.touch(stamp);
        Ok(certificate)
    }

    /// What has to be found out before a proof can be taken. A certificate that cannot take one is refused here.
    pub(crate) fn question(
        &mut self,
        name: &str,
        condition: &IfMatch,
        proof: &str,
    ) -> Result<Question, Problem> {
        let certificate = self.changeable(name, condition)?;
        let (etag, ca) = (certificate.etag.clone(), certificate.upload.x509.clone());
        Ok(Question { etag, ca, proof: proof.to_owned() })
    }

    /// Takes the proof for the pending code, which is good once. A refused proof changes nothing.
    pub(crate) fn verify(
        &mut self,
        name: &str,
        condition: &IfMatch,
        evidence: &Evidence,
        stamp: Stamp,
    ) -> Result<&Certificate, Problem> {
        let certificate = self.changeable(name, condition)?;
        evidence.judge(certificate, stamp.at)?;
        Ok(certificate.accept(&evidence.question.proof, stamp))
    }

    /// Takes any proof: a fault was asked for.
    pub(crate) fn verify_unjudged(
        &mut self,
        name: &str,
        condition: &IfMatch,
        proof: &str,
        stamp: Stamp,
    ) -> Result<&Certificate, Problem> {
        Ok(self.changeable(name, condition)?.accept(proof, stamp))
    }

    /// Somebody else uploads the certificate over itself; `false` if there is none.
    pub(crate) fn replace_with_itself(&mut self, name: &str, stamp: Stamp) -> bool {
        let Some(upload) = self.get(name).map(|certificate| certificate.upload.clone()) else { return false };
        self.put(name, &IfMatch::Any, upload, None, stamp).is_ok()
    }

    fn create(
        &mut self,
        name: &str,
        upload: Upload,
        is_verified: Option<bool>,
        stamp: Stamp,
    ) -> Result<&Certificate, Problem> {
        if !is_well_formed(name) {
            return Err(Problem::InvalidName(name.to_owned()));
        }
        if self.0.len() == LIMIT {
            return Err(Problem::TooMany);
        }
        self.0.push(Certificate {
            name: name.to_owned(),
            upload,
            is_verified: is_verified.unwrap_or(false),
            pending_code: None,
            proof: None,
            etag: stamp.etag,
            former_etag: Etag::of_write(0, stamp.at),
            created: stamp.at,
            updated: stamp.at,
        });
        Ok(self.0.last().expect("one was just pushed"))
    }

    fn changeable(&mut self, name: &str, condition: &IfMatch) -> Result<&mut Certificate, Problem> {
        let position = self.position(name).ok_or_else(|| Problem::NotFound(name.to_owned()))?;
        let certificate = &mut self.0[position];
        if condition.admits(&certificate.etag) { Ok(certificate) } else { Err(Problem::InvalidEtag) }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|certificate| certificate.name.eq_ignore_ascii_case(name))
    }
}

/// The documented rule: 1 to 64 letters, digits, `-`, `.` and `_`.
fn is_well_formed(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}
