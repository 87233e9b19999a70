//! The six operations as HTTP calls: what is read from the request, and what the answer shows.

use http::StatusCode;
use serde_json::{Value, json};

use crate::dps::answers::{self, View};
use crate::dps::api_version::ApiVersion;
use crate::dps::certificates::{Certificate, Certificates, Evidence, Question};
use crate::dps::etag::IfMatch;
use crate::dps::mint::{Mint, Stamp};
use crate::dps::problem::Problem;
use crate::dps::upload::Upload;
use crate::ground::exchange::{self, Request, Response};
use crate::steering::choices::{Choices, DeleteOfNothing, UnreadableCertificate};

/// What is asked, of which certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action<'a> {
    List,
    Get(&'a str),
    Put(&'a str),
    Delete(&'a str),
    GenerateCode(&'a str),
    Verify(&'a str),
}

impl<'a> Action<'a> {
    /// The certificate it is about, if it is about one.
    pub(crate) fn certificate(self) -> Option<&'a str> {
        match self {
            Action::List => None,
            Action::Get(name)
            | Action::Put(name)
            | Action::Delete(name)
            | Action::GenerateCode(name)
            | Action::Verify(name) => Some(name),
        }
    }
}

/// A call that ARM has let through to DPS.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) request: &'a Request,
    pub(crate) api_version: ApiVersion,
    /// The instance's id in the caller's casing.
    pub(crate) instance: String,
    /// Whether only what is recorded is done: a pending code stays out of GET and list, and an upload is base64.
    pub(crate) strict: bool,
    pub(crate) choices: Choices,
    /// For whatever this call writes.
    pub(crate) stamp: Stamp,
}

impl Call<'_> {
    /// Carries the call out; a proof is taken unseen, for [`Call::question`] and [`Call::verify`] judge one. Success is always 200, for a creation too, but for the deletion of what is not
    /// there: 204 by the specification, never recorded, unless 404 was chosen.
    pub(crate) fn carry_out(
        &self,
        action: Action<'_>,
        certificates: &mut Certificates,
        mint: &mut Mint,
    ) -> Result<Response, Problem> {
        let condition = IfMatch::of(self.request);
        let stamp = self.stamp.clone();
        match action {
            Action::List => {
                let items: Vec<Value> =
                    certificates.iter().map(|certificate| self.read(certificate)).collect();
                Ok(exchange::json(StatusCode::OK, &json!({"value": items})))
            }
            Action::Get(name) => {
                let certificate = certificates.get(name).ok_or_else(|| Problem::NotFound(name.to_owned()))?;
                Ok(exchange::json(StatusCode::OK, &self.read(certificate)))
            }
            Action::Put(name) => {
                let (upload, is_verified) = self.upload()?;
                certificates
                    .put(name, &condition, upload, is_verified, stamp)
                    .map(|certificate| self.written(certificate, false))
            }
            Action::Delete(name) => {
                if certificates.delete(name, &condition)? {
                    return Ok(exchange::empty(StatusCode::OK));
                }
                match self.choices.delete_of_nothing {
                    DeleteOfNothing::NoContent => Ok(exchange::empty(StatusCode::NO_CONTENT)),
                    DeleteOfNothing::NotFound => Err(Problem::NotFound(name.to_owned())),
                }
            }
            Action::GenerateCode(name) => certificates
                .generate_code(name, &condition, || mint.code(), stamp)
                .map(|certificate| self.written(certificate, true)),
            Action::Verify(name) => certificates
                .verify_unjudged(name, &condition, &self.proof()?, stamp)
                .map(|certificate| self.written(certificate, false)),
        }
    }

    /// What has to be found out before a proof can be taken.
    pub(crate) fn question(&self, name: &str, certificates: &mut Certificates) -> Result<Question, Problem> {
        certificates.question(name, &IfMatch::of(self.request), &self.proof()?)
    }

    /// Takes a proof about which everything is known.
    pub(crate) fn verify(
        &self,
        name: &str,
        evidence: &Evidence,
        certificates: &mut Certificates,
    ) -> Result<Response, Problem> {
        certificates
            .verify(name, &IfMatch::of(self.request), evidence, self.stamp.clone())
            .map(|certificate| self.written(certificate, false))
    }

    fn proof(&self) -> Result<String, Problem> {
        let body = exchange::body_json(self.request).unwrap_or_default();
        body["certificate"].as_str().map(str::to_owned).ok_or(Problem::InvalidBody("certificate"))
    }

    fn upload(&self) -> Result<(Upload, Option<bool>), Problem> {
        let body = exchange::body_json(self.request).unwrap_or_default();
        let (upload, member) = match self.api_version.nests_upload() {
            true => (&body["properties"], "properties.certificate"),
            false => (&body, "certificate"),
        };
        let text = upload["certificate"].as_str().ok_or(Problem::InvalidBody(member))?;
        let certificate =
            Upload::read(text, self.strict).ok_or(match self.choices.unreadable_certificate {
                UnreadableCertificate::InternalError => Problem::Unreadable,
                UnreadableCertificate::BadRequest => Problem::Malformed,
            })?;
        Ok((certificate, upload["isVerified"].as_bool()))
    }

    fn read(&self, certificate: &Certificate) -> Value {
        let (new_code, pending_code) = (false, !self.strict);
        let view =
            View { api_version: self.api_version, new_code, pending_code, created: self.choices.created };
        answers::certificate(certificate, &self.instance, view)
    }

    fn written(&self, certificate: &Certificate, new_code: bool) -> Response {
        let view = View {
            api_version: self.api_version,
            new_code,
            pending_code: false,
            created: self.choices.created,
        };
        exchange::json(StatusCode::OK, &answers::certificate(certificate, &self.instance, view))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dps::LIMIT;
    use crate::dps::testing::{Ca, Client, NOW};
    use crate::steering::faults::{Calls, Effect, Fault};
    use crate::steering::operation::Operation;

    /// A client, a CA, and its certificate uploaded as `my-ca`; the last part is the etag.
    fn uploaded() -> (Client, Ca, String) {
        let (mut client, ca) = (Client::new(), Ca::new("my-ca"));
        let etag = client.put("my-ca", None, &ca.base64_of_pem()).ok().etag().to_owned();
        (client, ca, etag)
    }

    #[test]
    fn a_proof_of_possession_runs_through() {
        let (mut client, ca, etag) = uploaded();
        let asked = client.generate_code("my-ca", Some(&etag)).ok();
        let proof = ca.proof(asked.code()).base64_of_pem();
        let verified = client.verify("my-ca", Some(asked.etag()), &proof).ok();
        assert_eq!(verified.body["properties"]["isVerified"], true);
        let shown = client.get("my-ca").ok();
        assert_eq!(shown.body, verified.body);
        assert!(client.delete("my-ca", Some(shown.etag())).ok().body.is_null());
        assert_eq!(client.get("my-ca").status, 404);
    }

    #[test]
    fn members_come_in_the_recorded_order() {
        let (mut client, _, etag) = uploaded();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
        let shown = client.get("my-ca").ok().body;
        assert_eq!(keys(&shown), "properties id name type etag");
        let facts = "subject expiry thumbprint isVerified created updated certificate";
        assert_eq!(keys(&shown["properties"]), facts);
        let asked = client.generate_code("my-ca", Some(&etag)).ok().body;
        assert_eq!(keys(&asked["properties"]), format!("verificationCode {facts}"));
    }

    #[test]
    fn every_write_has_a_new_etag_and_the_one_before_is_stale() {
        let (mut client, ca, first) = uploaded();
        let second = client.put("my-ca", Some(&first), &ca.base64_of_der()).ok().etag().to_owned();
        let third = client.generate_code("my-ca", Some(&second)).ok().etag().to_owned();
        assert!(first != second && second != third);
        for stale in [&first, &second] {
            let answers = [
                client.put("my-ca", Some(stale), &ca.base64_of_der()),
                client.generate_code("my-ca", Some(stale)),
                client.verify("my-ca", Some(stale), "any"),
                client.delete("my-ca", Some(stale)),
            ];
            for answer in answers {
                assert_eq!((answer.status, &answer.body["code"]), (412, &json!(412_001)));
                assert_eq!(answer.message(), "Invalid ETag supplied.");
            }
        }
        assert_eq!(client.get("my-ca").ok().etag(), third);
    }

    #[test]
    fn changing_what_exists_takes_a_condition_in_any_of_its_forms() {
        let (mut client, ca, _) = uploaded();
        for missing in [None, Some("")] {
            assert_eq!(client.put("my-ca", missing, &ca.pem()).status, 412);
            assert_eq!(client.generate_code("my-ca", missing).status, 412);
            assert_eq!(client.verify("my-ca", missing, "any").status, 412);
            assert_eq!(client.delete("my-ca", missing).status, 412);
        }
        let etag = client.put("my-ca", Some("*"), &ca.pem()).ok().etag().to_owned();
        let etag = client.generate_code("my-ca", Some(&format!("\"{etag}\""))).ok().etag().to_owned();
        client.delete("my-ca", Some(&etag)).ok();
    }

    #[test]
    fn a_new_name_ignores_the_condition() {
        let (mut client, ca) = (Client::new(), Ca::new("my-ca"));
        for (name, if_match) in [("a", None), ("b", Some("")), ("c", Some("*")), ("d", Some("IjA1="))] {
            client.put(name, if_match, &ca.pem()).ok();
        }
    }

    #[test]
    fn what_is_not_there_is_404015_and_its_deletion_204() {
        let mut client = Client::new();
        for answer in [
            client.get("ghost"),
            client.generate_code("ghost", Some("*")),
            client.verify("ghost", None, "any"),
        ] {
            assert_eq!((answer.status, &answer.body["code"]), (404, &json!(404_015)));
            assert_eq!(answer.message(), "Certificate 'ghost' not found.");
        }
        assert_eq!(client.delete("ghost", Some("*")).status, 204);
    }

    #[test]
    fn a_refused_proof_changes_nothing_and_the_right_one_still_passes() {
        let (mut client, ca, etag) = uploaded();
        let asked = client.generate_code("my-ca", Some(&etag)).ok();
        let answer = client.verify("my-ca", Some(asked.etag()), &ca.proof("ANOTHER1").base64_of_pem());
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!(400_053)));
        assert_eq!(
            answer.message(),
            "Proof-Of-Possession failed. The common name of the verification certificate is not the \
             verification code."
        );
        let shown = client.get("my-ca").ok();
        assert_eq!((shown.etag(), &shown.body["properties"]["isVerified"]), (asked.etag(), &json!(false)));
        client.verify("my-ca", Some(asked.etag()), &ca.proof(asked.code()).base64_of_pem()).ok();
    }

    #[test]
    fn a_code_is_good_once_and_void_after_the_next_or_a_new_upload() {
        let (mut client, ca, _) = uploaded();
        let first = client.generate_code("my-ca", Some("*")).ok();
        let first = ca.proof(first.code()).base64_of_pem();
        let second = client.generate_code("my-ca", Some("*")).ok();
        let second = ca.proof(second.code()).base64_of_pem();
        assert_eq!(client.verify("my-ca", Some("*"), &first).status, 400);
        client.verify("my-ca", Some("*"), &second).ok();
        assert_eq!(client.verify("my-ca", Some("*"), &second).status, 400);

        let third = client.generate_code("my-ca", Some("*")).ok();
        let third = ca.proof(third.code()).base64_of_pem();
        client.put("my-ca", Some("*"), &ca.pem()).ok();
        let answer = client.verify("my-ca", Some("*"), &third);
        assert_eq!(
            answer.message(),
            "Proof-Of-Possession failed. No verification code is pending, generate one first."
        );
    }

    #[test]
    fn an_upload_may_claim_to_be_verified_and_another_certificate_loses_the_claim() {
        let (mut client, ca) = (Client::new(), Ca::new("my-ca"));
        let mut put = |text: String, claim: Value| {
            let body = json!({"certificate": text, "isVerified": claim});
            client.put_properties("my-ca", Some("*"), body).ok().body["properties"]["isVerified"].clone()
        };
        assert_eq!(put(ca.pem(), json!(true)), true);
        assert_eq!(put(ca.base64_of_der(), Value::Null), true, "the same certificate");
        assert_eq!(put(Ca::new("my-ca").pem(), Value::Null), false, "another certificate");
        assert_eq!(put(ca.pem(), json!(true)), true);
        assert_eq!(put(ca.pem(), json!(false)), false);
    }

    #[test]
    fn a_pending_code_is_shown_by_get_and_list_unless_strict() {
        for strict in [false, true] {
            let (mut client, ca, _) = uploaded();
            client.world.strict = strict;
            let asked = client.generate_code("my-ca", Some("*")).ok();
            let (shown, listed) = (client.get("my-ca").ok().body, client.list().remove(0));
            assert_eq!(shown, listed);
            let expected = if strict { None } else { Some(asked.code()) };
            assert_eq!(shown["properties"].get("verificationCode").and_then(Value::as_str), expected);

            client.verify("my-ca", Some("*"), &ca.proof(asked.code()).pem()).ok();
            assert!(client.get("my-ca").ok().body["properties"].get("verificationCode").is_none());
        }
    }

    #[test]
    fn the_api_version_decides_on_the_shape_of_an_upload() {
        let ca = Ca::new("my-ca");
        for version in ["2017-11-15", "2021-10-15", "2022-02-05", "2025-02-01-preview", "2026-11-01"] {
            let mut client = Client { version, ..Client::new() };
            client.put("my-ca", None, &ca.base64_of_pem()).ok();
            let wrong = if version >= "2022-02-05" { json!({"certificate": ca.pem()}) } else { json!({}) };
            let path = format!("{}/certificates/other", crate::dps::testing::instance());
            let answer = client.send("PUT", &path, None, Some(wrong));
            assert_eq!((answer.status, &answer.body["code"]), (400, &json!(400_004)), "{version}");
        }
    }

    #[test]
    fn the_api_version_decides_on_the_certificate_in_answers() {
        let ca = Ca::new("my-ca");
        let text = json!(ca.base64_of_pem());
        for (version, shown, asked) in [
            ("2017-11-15", None, None),
            ("2021-10-15", Some(&Value::Null), Some(&text)),
            ("2025-02-01-preview", Some(&text), Some(&text)),
        ] {
            let mut client = Client { version, ..Client::new() };
            let answer = client.put("my-ca", None, &ca.base64_of_pem()).ok();
            assert_eq!(answer.body["properties"].get("certificate"), shown, "{version}");
            let answer = client.generate_code("my-ca", Some("*")).ok();
            assert_eq!(answer.body["properties"].get("certificate"), asked, "{version}");
        }
    }

    #[test]
    fn an_unreadable_upload_is_an_internal_error_and_a_missing_one_is_not() {
        let mut client = Client::new();
        let answer = client.put("my-ca", None, "bm8gY2VydGlmaWNhdGU=");
        assert_eq!((answer.status, &answer.body["code"]), (500, &json!(500_019)));
        assert_eq!(answer.message(), "Internal Error.");
        assert_eq!(client.put_properties("my-ca", None, json!({})).status, 400);
        assert!(client.list().is_empty());
    }

    #[test]
    fn names_have_1_to_64_letters_digits_and_three_signs() {
        let (mut client, ca) = (Client::new(), Ca::new("my-ca"));
        for (name, status) in [
            ("a", 200),
            ("A-Za.z0_9", 200),
            (&"n".repeat(64), 200),
            (&"n".repeat(65), 400),
            ("a%20b", 400),
            ("%C3%A9", 400),
            ("a%2Fb", 400),
        ] {
            assert_eq!(client.put(name, None, &ca.pem()).status, status, "{name}");
        }
    }

    #[test]
    fn names_are_compared_without_case_and_keep_that_of_the_first_upload() {
        let (mut client, ca, etag) = uploaded();
        let answer = client.put("MY-CA", Some(&etag), &ca.pem()).ok();
        assert_eq!(answer.body["name"], "my-ca");
        assert_eq!(client.list().len(), 1);
    }

    #[test]
    fn an_instance_holds_25_certificates() {
        let (mut client, ca) = (Client::new(), Ca::new("my-ca"));
        for number in 0..LIMIT {
            client.put(&format!("ca-{number}"), None, &ca.pem()).ok();
        }
        let answer = client.put("one-more", None, &ca.pem());
        assert_eq!((answer.status, &answer.body["code"]), (403, &json!(403_001)));
        client.put("ca-0", Some("*"), &ca.pem()).ok();
        assert_eq!(client.list().len(), LIMIT);
    }

    #[test]
    fn somebody_elses_write_makes_the_etag_stale_and_the_code_void() {
        let (mut client, ca, _) = uploaded();
        let asked = client.generate_code("my-ca", Some("*")).ok();
        client.world.faults.add(Fault {
            operation: Operation::Verify,
            object: None,
            calls: Calls::First(1),
            effect: Effect::SomebodyElseWrites,
        });
        let proof = ca.proof(asked.code()).base64_of_pem();
        assert_eq!(client.verify("my-ca", Some(asked.etag()), &proof).status, 412);
        assert_ne!(client.get("my-ca").ok().etag(), asked.etag());
        assert_eq!(client.verify("my-ca", Some("*"), &proof).status, 400);
    }

    #[test]
    fn any_proof_is_taken_when_asked_for() {
        let (mut client, _, etag) = uploaded();
        client.world.faults.add(Fault {
            operation: Operation::Verify,
            object: Some("MY-CA".to_owned()),
            calls: Calls::First(1),
            effect: Effect::AcceptAnyProof,
        });
        assert_eq!(client.verify("my-ca", Some("stale"), "any").status, 412);
        client.world.faults.clear();
        client.world.faults.add(Fault {
            operation: Operation::Verify,
            object: None,
            calls: Calls::Always,
            effect: Effect::AcceptAnyProof,
        });
        let answer = client.verify("my-ca", Some(&etag), "any").ok();
        assert_eq!(answer.body["properties"]["isVerified"], true);
    }

    #[test]
    fn what_may_be_one_way_or_the_other_can_be_chosen() {
        let mut client = Client::new();
        for choice in ["delete-of-nothing=404", "unreadable-certificate=400", "created=truth"] {
            client.world.choices.choose(choice).unwrap();
        }
        let answer = client.delete("ghost", Some("*"));
        assert_eq!((answer.status, &answer.body["code"]), (404, &json!(404_015)));
        let answer = client.put("my-ca", None, "bm8gY2VydGlmaWNhdGU=");
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!(400_004)));
        let ca = Ca::new("my-ca");
        client.put("my-ca", None, &ca.pem()).ok();
        client.now = NOW + time::Duration::MINUTE;
        let properties = client.put("my-ca", Some("*"), &ca.pem()).ok().body["properties"].take();
        assert_eq!(properties["created"], "Mon, 23 Nov 2026 12:00:00 GMT");
        assert_eq!(properties["updated"], "Mon, 23 Nov 2026 12:01:00 GMT");
    }

    #[test]
    fn the_strict_take_what_is_recorded_and_nothing_else() {
        let (mut client, ca) = (Client::new(), Ca::new("my-ca"));
        client.world.strict = true;
        let answer = client.put("my-ca", None, &ca.pem());
        assert_eq!((answer.status, &answer.body["code"]), (500, &json!(500_019)));
        for text in [ca.base64_of_pem(), ca.base64_of_der()] {
            client.put("my-ca", Some("*"), &text).ok();
        }
        let asked = client.generate_code("my-ca", Some("*")).ok();
        client.verify("my-ca", Some("*"), &ca.proof(asked.code()).pem()).ok();
        client.version = "2021-02-01";
        assert_eq!(client.get("my-ca").status, 404);
        client.world.strict = false;
        client.get("my-ca").ok();
    }

    #[test]
    fn a_write_is_dated_and_the_creation_never_is() {
        let (mut client, ca, _) = uploaded();
        client.now = NOW + time::Duration::MINUTE;
        let properties = client.put("my-ca", Some("*"), &ca.pem()).ok().body["properties"].take();
        assert_eq!(properties["updated"], "Mon, 23 Nov 2026 12:01:00 GMT");
        assert_eq!(properties["created"], "Mon, 01 Jan 0001 00:00:00 GMT");
    }
}
