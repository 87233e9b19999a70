use url::Url;

use super::*;
use crate::ca::CaCertificate;
use crate::error::Refusal;
use crate::reason::Reason;
use crate::testing::{self, CODE, P256};
use crate::trust::Grant;
use crate::vault::{KeyUse, Kind, ObjectId, Version};

const RESOURCE_GROUP: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg";

fn id() -> CertificateId {
    let id =
        format!("{RESOURCE_GROUP}/providers/Microsoft.Devices/provisioningServices/dps1/certificates/root");
    CertificateId::parse(&id).expect("well-formed")
}

fn run() -> Verification {
    Verification::new(Upload { id: id(), at: None })
}

fn thumbprint(of: u8) -> Thumbprint {
    Thumbprint::of(&[of])
}

fn registered(of: u8, etag: &str, is_verified: bool) -> Registered {
    let etag = Etag::parse(etag).expect("an etag");
    Registered {
        etag,
        thumbprint: thumbprint(of),
        is_verified,
        updated: None,
        expiry: None,
        certificate: None,
    }
}

fn found(grant: Option<&str>) -> Search {
    let vault = Url::parse("https://my-vault.vault.azure.net").expect("a URL").into();
    let object = ObjectId::parse("https://my-vault.vault.azure.net/secrets/root/1", &vault, Kind::Secret)
        .expect("its own id");
    let tags = grant.map(|value| ("keyholder".to_owned(), value.to_owned())).into_iter().collect();
    Search::Found(Box::new(Found {
        object,
        grant: Grant::new(grant.map(str::to_owned)),
        tags,
        key: KeyUse::ReadSecret,
        newest: Vec::new(),
        read: tokio::time::Instant::now(),
    }))
}

/// A run that has found a granted CA for thumbprint 1.
fn run_with_ca() -> Verification {
    let mut run = run();
    assert!(matches!(run.looked(Some(registered(1, "e1", false))), Next::Do(Step::Search(_))));
    assert!(matches!(
        run.searched(registered(1, "e1", false), found(Some("dps1")), now()),
        Next::Do(Step::RequestCode(..))
    ));
    run
}

fn challenge(of: u8, code: &str) -> Challenge {
    Challenge { code: code.to_owned(), registered: registered(of, "e2", false) }
}

fn some_proof() -> Proof {
    let key = testing::key(P256);
    let ca: CaCertificate = testing::ca(&key, 30);
    let code = VerificationCode::parse(CODE).expect("a code");
    let leaf = testing::key(P256).public_key_to_der().expect("encodes");
    let unsigned = crate::proof::UnsignedProof::build(&ca, &code, &leaf, now()).expect("builds");
    let signature = testing::sign(&key, unsigned.tbs(), ca.algorithm());
    unsigned.assemble(&signature).expect("verifies")
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn nothing() -> Candidate {
    Candidate::Nothing(Url::parse("https://my-vault.vault.azure.net").expect("a URL"))
}

fn changed() -> CallError {
    CallError::Changed { call: "writing".into() }
}

fn unavailable(retry_after: Option<u64>) -> CallError {
    let retry_after = retry_after.map(Duration::from_secs);
    CallError::Unavailable { call: "reading".into(), status: Some(503), reason: "503".into(), retry_after }
}

fn refused() -> CallError {
    let (call, code, message) = ("reading".into(), "no".into(), "no".into());
    CallError::Refused { call, status: 403, refusal: Refusal::Other, code, message, remedy: None }
}

#[test]
fn a_registry_that_is_not_served_ends_before_the_first_look() {
    let begin = |allowed: &str| run().begin(&AllowedRegistries::parse(allowed).expect("well-formed"));
    assert!(matches!(begin(RESOURCE_GROUP), Next::Do(Step::Look)));
    let next = begin(&RESOURCE_GROUP.replace("/rg", "/rg2"));
    assert!(matches!(next, Next::Finish(Outcome::Denied(Denial::NotAllowed { .. }))), "{next:?}");
}

#[test]
fn the_first_look_decides_what_there_is_to_do() {
    assert!(matches!(run().looked(None), Next::Finish(Outcome::Gone)));
    assert!(matches!(run().looked(Some(registered(1, "e1", false))), Next::Do(Step::Search(_))));
    assert!(
        matches!(run().looked(Some(registered(1, "e1", true))), Next::Do(Step::Search(_))),
        "is it one of ours?"
    );
    let mut knowing = run();
    knowing.account_for(thumbprint(1));
    assert!(matches!(
        knowing.looked(Some(registered(1, "e1", true))),
        Next::Finish(Outcome::AlreadyVerified)
    ));
    assert!(
        matches!(knowing.looked(Some(registered(2, "e2", true))), Next::Do(Step::Search(_))),
        "it is another one"
    );
}

#[test]
fn a_ca_without_a_grant_is_denied_with_the_command_that_grants_it() {
    for grant in [None, Some(""), Some("dps2")] {
        let next = run().searched(registered(1, "e1", false), found(grant), now());
        let Next::Finish(outcome @ Outcome::Denied(Denial::NotGranted { .. })) = next else {
            panic!("{grant:?}: {next:?}")
        };
        let message = outcome.to_string();
        assert!(message.contains("az keyvault secret set-attributes --vault-name my-vault"), "{message}");
    }
}

#[test]
fn a_ca_that_no_vault_holds_fails_and_says_where_it_was_looked_for() {
    let next = run().searched(registered(1, "e1", false), Search::Missing(vec![nothing()]), now());
    let Next::Finish(outcome @ Outcome::Failed(Failure::CaMissing { .. })) = next else { panic!("{next:?}") };
    assert!(outcome.to_string().contains("https://my-vault.vault.azure.net/ has none"), "{outcome}");
}

#[test]
fn a_code_is_signed_only_for_the_certificate_the_ca_was_found_for() {
    let next = run_with_ca().challenged(challenge(1, CODE));
    assert!(matches!(next, Next::Do(Step::Prove { .. })), "{next:?}");
    let next = run_with_ca().challenged(challenge(2, CODE));
    assert!(matches!(next, Next::Do(Step::Look)), "replaced in between: {next:?}");
}

#[test]
fn a_challenge_that_is_no_code_ends_the_run() {
    let next = run_with_ca().challenged(challenge(1, "/CN=evil.example"));
    assert!(matches!(next, Next::Finish(Outcome::Failed(Failure::Code(_)))), "{next:?}");
}

#[test]
fn the_proof_is_handed_in_with_the_etag_its_code_came_with() {
    let next = run_with_ca().proven(&registered(1, "e2", false), some_proof());
    assert!(matches!(&next, Next::Do(Step::Submit(etag, _)) if etag.as_str() == "e2"), "{next:?}");
}

#[test]
fn verified_is_only_what_the_registry_says_when_asked_again() {
    let mut run = run_with_ca();
    run.proven(&registered(1, "e2", false), some_proof());
    assert!(matches!(run.submitted(&registered(1, "e3", true)), Next::Do(Step::Look)));
    let next = run.looked(Some(registered(1, "e3", true)));
    assert!(matches!(next, Next::Finish(Outcome::Verified { .. })), "{next:?}");
}

#[test]
fn a_proof_that_changes_nothing_is_a_failure() {
    let mut run = run_with_ca();
    run.proven(&registered(1, "e2", false), some_proof());
    let next = run.submitted(&registered(1, "e3", false));
    assert!(matches!(next, Next::Finish(Outcome::Failed(Failure::NotAccepted { .. }))), "{next:?}");
}

#[test]
fn a_lost_answer_to_the_proof_is_found_out_by_looking() {
    let mut run = run_with_ca();
    run.proven(&registered(1, "e2", false), some_proof());
    assert!(matches!(run.failed(unavailable(None)), Next::Do(Step::Wait { .. })));
    let next = run.looked(Some(registered(1, "e3", true)));
    assert!(matches!(next, Next::Finish(Outcome::Verified { .. })), "{next:?}");
}

#[test]
fn a_proof_that_met_a_412_was_not_the_one_that_verified() {
    let mut run = run_with_ca();
    run.proven(&registered(1, "e2", false), some_proof());
    assert!(matches!(run.failed(changed()), Next::Do(Step::Wait { .. })));
    let next = run.looked(Some(registered(1, "e3", true)));
    assert!(matches!(next, Next::Finish(Outcome::AlreadyVerified)), "{next:?}");
}

#[test]
fn another_certificate_under_the_name_starts_over() {
    let mut run = run_with_ca();
    run.proven(&registered(1, "e2", false), some_proof());
    assert!(matches!(run.looked(Some(registered(2, "e3", false))), Next::Do(Step::Search(_))));
    assert!(matches!(run.looked(Some(registered(2, "e4", true))), Next::Do(Step::Search(_))));
}

#[test]
fn a_412_looks_again_after_a_while_and_keeps_the_ca_that_was_found() {
    let mut run = run_with_ca();
    let next = run.failed(changed());
    assert!(matches!(next, Next::Do(Step::Wait { nth: 1, at_least: None, .. })), "{next:?}");
    let next = run.looked(Some(registered(1, "e9", false)));
    assert!(
        matches!(&next, Next::Do(Step::RequestCode(state, _)) if state.etag.as_str() == "e9"),
        "{next:?}"
    );
}

#[test]
fn a_certificate_that_never_rests_is_left_to_the_next_delivery() {
    let mut run = run_with_ca();
    for look in 2..=MAX_LOOKS {
        let next = run.looked(Some(registered(1, "e", false)));
        assert!(matches!(next, Next::Do(Step::RequestCode(..))), "look {look}: {next:?}");
    }
    let next = run.looked(Some(registered(1, "e", false)));
    assert!(matches!(next, Next::Finish(Outcome::TryAgain(_))), "{next:?}");
}

#[test]
fn a_registry_that_calls_everything_changed_is_left_to_the_next_delivery() {
    let mut run = run();
    for expected in 1..=MAX_LOOKS {
        let next = run.failed(changed());
        assert!(matches!(next, Next::Do(Step::Wait { nth, .. }) if nth == expected), "{next:?}");
    }
    let next = run.failed(changed());
    assert!(matches!(next, Next::Finish(Outcome::TryAgain(TemporaryFailure::Contended { .. }))), "{next:?}");
}

#[test]
fn trouble_is_waited_out_a_few_times_and_then_left_to_the_next_delivery() {
    let mut run = run();
    for expected in 1..=MAX_TEMPORARY_FAILURES {
        let next = run.failed(unavailable(Some(7)));
        let Next::Do(Step::Wait { nth, at_least, .. }) = next else { panic!("{next:?}") };
        assert_eq!((nth, at_least), (expected, Some(Duration::from_secs(7))));
    }
    assert!(matches!(run.failed(unavailable(None)), Next::Finish(Outcome::TryAgain(_))));
}

#[test]
fn a_refusal_is_final() {
    assert!(matches!(run().failed(refused()), Next::Finish(Outcome::Failed(Failure::Refused(_)))));
}

/// A CA with its certificate, as found in a vault, whose thumbprint the registry shows as 1.
fn found_certificate(valid_days: u32) -> (Search, CaCertificate) {
    let Search::Found(found) = found(Some("dps1")) else { unreachable!("it is found") };
    let certificate = testing::ca(&testing::key(P256), valid_days);
    let key =
        KeyUse::SignInVault { key: found.object.clone(), certificate: certificate.clone(), or_read: None };
    (Search::Found(Box::new(Found { key, ..*found })), certificate)
}

#[test]
fn the_full_public_key_decides() {
    let (search, certificate) = found_certificate(30);
    let other = testing::ca(&testing::key(P256), 30);
    let shown = |certificate: Option<CaCertificate>| {
        let mut run = run();
        run.searched(registered(1, "e1", false), search.clone(), now());
        let certificate = certificate.as_ref().map(testing::uploaded);
        let registered = Registered { certificate, ..registered(1, "e2", false) };
        run.challenged(Challenge { code: CODE.to_owned(), registered })
    };
    assert!(matches!(shown(Some(certificate)), Next::Do(Step::Prove { .. })));
    assert!(matches!(shown(None), Next::Do(Step::Prove { .. })), "then the thumbprint has to do");
    let next = shown(Some(other));
    assert!(matches!(next, Next::Finish(Outcome::Failed(Failure::OtherKey { .. }))), "{next:?}");
}

#[test]
fn a_certificate_that_cannot_be_read_has_no_key_in_common_with_the_ca() {
    let (_, certificate) = found_certificate(30);
    let text = testing::uploaded(&certificate);
    for (shown, may) in [
        (None, true),
        (Some(text.clone()), true),
        (Some("Sanitized".to_owned()), false),
        (Some(text[..text.len() / 2].to_owned()), false),
        (Some(String::new()), false),
    ] {
        let registered = Registered { certificate: shown.clone(), ..registered(1, "e1", false) };
        assert_eq!(registered.may_have_the_key_of(&certificate), may, "{shown:?}");
    }
}

/// Nothing of what an uploader wrote is needed to refuse it, so it is refused before the registry is asked for a code
/// and before a key is pulled.
#[test]
fn a_certificate_that_may_not_issue_ends_the_run_before_a_code_is_asked_for() {
    let key = testing::key(P256);
    let not_a_ca = testing::certificate(&testing::common_name("server"), &key, &key, 30, |_| {});
    let not_a_ca = CaCertificate::from_der(&not_a_ca).expect("a certificate");
    let Search::Found(secret) = found(Some("dps1")) else { unreachable!("it is found") };
    let in_vault = Found {
        key: KeyUse::SignInVault { key: secret.object.clone(), certificate: not_a_ca.clone(), or_read: None },
        ..(*secret).clone()
    };
    let shown = Registered {
        certificate: Some(testing::uploaded(&not_a_ca)),
        thumbprint: not_a_ca.thumbprint(),
        ..registered(1, "e1", false)
    };
    for (name, registered, found) in
        [("in the vault", registered(1, "e1", false), in_vault), ("shown by the registry", shown, *secret)]
    {
        let Next::Finish(outcome) = run().searched(registered, Search::Found(Box::new(found)), now()) else {
            panic!("{name}: it goes on")
        };
        assert_eq!(outcome.reason(), Reason::NotACa, "{name}");
        assert!(outcome.to_string().contains("keyUsage=critical,keyCertSign"), "{name}: {outcome}");
    }
}

#[test]
fn a_ca_outside_its_validity_ends_the_run_before_a_code_is_asked_for() {
    let (search, certificate) = found_certificate(30);
    let rows = [
        ("now", now(), None),
        ("too late", certificate.not_after() + time::Duration::SECOND, Some(Reason::CaExpired)),
        ("too early", certificate.not_before() - time::Duration::SECOND, Some(Reason::CaNotYetValid)),
    ];
    for (name, now, reason) in rows {
        let next = run().searched(registered(1, "e1", false), search.clone(), now);
        match (next, reason) {
            (Next::Do(Step::RequestCode(..)), None) => {}
            (Next::Finish(outcome), Some(reason)) => assert_eq!(outcome.reason(), reason, "{name}"),
            (next, _) => panic!("{name}: {next:?}"),
        }
    }
}

#[test]
fn what_was_seen_instead_of_the_ca_decides_what_is_said() {
    let Search::Found(found) = found(None) else { unreachable!("it is found") };
    let (object, other) = (found.object, thumbprint(9));
    let rows = [
        (vec![], Reason::CaMissing, "az keyvault certificate import"),
        (vec![nothing()], Reason::CaMissing, "az keyvault certificate import"),
        (
            vec![nothing(), Candidate::Other { object: object.clone(), thumbprint: other }],
            Reason::OtherCertificate,
            "az keyvault certificate download --vault-name my-vault --name root",
        ),
        (
            vec![Candidate::Other { object: object.clone(), thumbprint: other }, Candidate::Deleted(object)],
            Reason::CaDeleted,
            "recover --vault-name my-vault --name root",
        ),
    ];
    for (seen, reason, remedy) in rows {
        let Next::Finish(outcome) =
            run().searched(registered(1, "e1", false), Search::Missing(seen.clone()), now())
        else {
            panic!("{seen:?} is not the end")
        };
        assert_eq!(outcome.reason(), reason, "{seen:?}");
        assert!(outcome.to_string().contains(remedy), "{outcome}");
    }
}

#[test]
fn a_verified_certificate_is_accounted_for_by_a_granted_ca_in_a_vault_and_by_nothing_less() {
    let certificate = || found_certificate(30).0;
    let ungranted = || {
        let Search::Found(found) = certificate() else { panic!("it was found") };
        Search::Found(Box::new(Found { grant: Grant::default(), ..*found }))
    };
    let named = |value: &str| {
        let Search::Found(mut found) = found(Some("dps1")) else { panic!("it was found") };
        found.tags.push(("keyholder-ca".to_owned(), value.to_owned()));
        Search::Found(found)
    };
    let withdrawn = || {
        let Search::Found(found) = certificate() else { panic!("it was found") };
        Search::Found(Box::new(Found { newest: vec![version(2, None)], ..*found }))
    };
    let (known, unknown) = (Reason::AlreadyVerified, Reason::VerifiedWithoutProof);
    let rows = [
        ("a granted CA", certificate(), known),
        ("a CA that is not granted", ungranted(), unknown),
        ("a CA whose newest version is not granted", withdrawn(), unknown),
        ("no CA", Search::Missing(vec![nothing()]), unknown),
        ("a granted secret that may hold any CA", found(Some("dps1")), unknown),
        ("a granted secret that is said to hold it", named(&format!("x, {}", thumbprint(1))), known),
        ("a granted secret that is said to hold another", named(&thumbprint(2).to_string()), unknown),
    ];
    for (name, search, reason) in rows {
        let next = run().searched(registered(1, "e1", true), search, now());
        let Next::Finish(outcome) = next else { panic!("{name}: {next:?}") };
        assert_eq!(outcome.reason(), reason, "{name}: {outcome}");
        if reason == unknown {
            assert!(outcome.to_string().contains("az iot dps certificate delete"), "{name}: {outcome}");
            assert!(outcome.to_string().contains("KEYHOLDER_VERIFIED_BY_HAND"), "{name}: {outcome}");
        }
    }
}

#[test]
fn a_verified_certificate_with_the_thumbprint_of_a_granted_ca_and_another_key_is_not_accounted_for() {
    let (search, _) = found_certificate(30);
    let other = testing::ca(&testing::key(P256), 30);
    let shown = Registered { certificate: Some(testing::uploaded(&other)), ..registered(1, "e1", true) };
    let next = run().searched(shown, search, now());
    let Next::Finish(outcome) = next else { panic!("{next:?}") };
    assert_eq!(outcome.reason(), Reason::VerifiedWithoutProof, "{outcome}");
}

/// A version of a certificate with a grant.
fn version(number: u8, grant: Option<&str>) -> Version {
    let vault = Url::parse("https://my-vault.vault.azure.net").expect("a URL").into();
    let id = format!("https://my-vault.vault.azure.net/certificates/root/{number}");
    let object = ObjectId::parse(&id, &vault, Kind::Certificate).expect("its own id");
    let tags = grant.map(|value| ("keyholder".to_owned(), value.to_owned())).into_iter().collect();
    Version { object, grant: Grant::new(grant.map(str::to_owned)), tags }
}

#[test]
fn an_older_version_is_used_only_if_the_newest_grants_too() {
    let rows = [
        ("both", Some("dps1"), Some("*"), &[][..]),
        ("the older one alone", Some("dps1"), None, &["--version 2 --tags keyholder=dps1"]),
        ("the newest alone", None, Some("dps1"), &["--version 1 --tags keyholder=dps1"]),
        (
            "neither",
            Some("dps2"),
            Some("dps3"),
            &[r#"--version 1 --tags "keyholder=dps2,dps1""#, r#"--version 2 --tags "keyholder=dps3,dps1""#],
        ),
    ];
    for (name, of_older, of_newest, remedies) in rows {
        let Version { object, grant, tags } = version(1, of_older);
        let Search::Found(found) = found_certificate(30).0 else { panic!("it was found") };
        let newest = vec![version(2, of_newest)];
        let search = Search::Found(Box::new(Found { object, grant, tags, newest, ..*found }));
        let next = run().searched(registered(1, "e1", false), search, now());
        match next {
            Next::Do(Step::RequestCode(_, granted)) => {
                assert_eq!((granted.rule.as_str(), remedies.len()), ("dps1", 0), "{name}")
            }
            Next::Finish(outcome) => {
                assert_eq!(outcome.reason(), Reason::NoGrant, "{name}: {outcome}");
                let said = outcome.to_string();
                assert!(remedies.iter().all(|remedy| said.contains(remedy)), "{name}: {said}");
                assert_eq!(said.matches("set-attributes").count(), remedies.len(), "{name}: {said}");
                assert!(!remedies.is_empty(), "{name}: {said}");
            }
            next => panic!("{name}: {next:?}"),
        }
    }
}
