//! The verifier against peers in memory: no socket, and a clock that tokio moves.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use openssl::pkey::{PKey, Private};
use url::Url;
use zeroize::Zeroizing;

use super::preview::Preview;
use super::*;
use crate::ca::CaCertificate;
use crate::certificate_id::RegistryId;
use crate::error::{CallError, Refusal};
use crate::etag::Etag;
use crate::key_opener::OpenKey;
use crate::outcome::Failure;
use crate::proof::{Proof, RawSignature};
use crate::pulled_key::PulledKey;
use crate::reason::Reason;
use crate::registry::{Challenge, Listed, ListedCertificate, Registered};
use crate::testing::{self, CODE, P256};
use crate::trust::{Grant, Scope};
use crate::vault::{Found, KeyUse, Kind, ObjectId, ReadError, Search, Wanted};

const RESOURCE_GROUP: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg";

/// A registry with one certificate, that counts etags and checks them.
struct OneCertificate {
    ca: CaCertificate,
    /// What it shows as the certificate with that thumbprint, if that is another one.
    shows: Option<CaCertificate>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    etag: u32,
    is_verified: bool,
    submitted: u32,
    /// Another writer changes the certificate before each of this many writes.
    intruders: u32,
    /// Answers nothing, ever.
    hangs: bool,
    looks: u32,
    /// How many seconds the second look is throttled for.
    failures_later: u64,
    /// How the next looks fail.
    temporary_failures: VecDeque<CallError>,
    /// How long each call is under way.
    latency: Duration,
}

impl OneCertificate {
    fn registered(&self, state: &State) -> Registered {
        Registered {
            etag: etag(state.etag),
            thumbprint: self.ca.thumbprint(),
            is_verified: state.is_verified,
            updated: None,
            expiry: None,
            certificate: Some(testing::uploaded(self.shows.as_ref().unwrap_or(&self.ca))),
        }
    }

    fn looks(&self) -> u32 {
        self.state.lock().expect("no test panics while holding it").looks
    }

    /// Others run meanwhile.
    async fn travel(&self) {
        let latency = self.state.lock().expect("no test panics while holding it").latency;
        match latency.is_zero() {
            true => tokio::task::yield_now().await,
            false => tokio::time::sleep(latency).await,
        }
    }

    fn write(&self, etag_: &Etag) -> Result<std::sync::MutexGuard<'_, State>, CallError> {
        let mut state = self.state.lock().expect("no test panics while holding it");
        if state.intruders > 0 {
            state.intruders -= 1;
            state.etag += 1;
        }
        if *etag_ != etag(state.etag) {
            return Err(CallError::Changed { call: "writing".into() });
        }
        state.etag += 1;
        Ok(state)
    }
}

impl Registry for &OneCertificate {
    async fn registries(&self, _scope: &Scope) -> Result<Listed<RegistryId>, CallError> {
        Ok(vec![Ok(id().registry().clone())])
    }

    async fn certificates(&self, _registry: &RegistryId) -> Result<Listed<ListedCertificate>, CallError> {
        let state = self.state.lock().expect("no test panics while holding it");
        let (id, is_verified) = (id(), state.is_verified);
        Ok(vec![Ok(ListedCertificate { id, is_verified, thumbprint: None, expiry: None })])
    }

    async fn get(&self, _id: &CertificateId) -> Result<Option<Registered>, CallError> {
        let (hangs, failure) = {
            let mut state = self.state.lock().expect("no test panics while holding it");
            state.looks += 1;
            if state.failures_later > 0 && state.looks == 2 {
                let failure = throttled(state.failures_later);
                state.temporary_failures.push_back(failure);
            }
            (state.hangs, state.temporary_failures.pop_front())
        };
        self.travel().await;
        if hangs {
            std::future::pending::<()>().await;
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        let state = self.state.lock().expect("no test panics while holding it");
        Ok(Some(self.registered(&state)))
    }

    async fn generate_verification_code(
        &self,
        _id: &CertificateId,
        etag: &Etag,
    ) -> Result<Challenge, CallError> {
        self.travel().await;
        let state = self.write(etag)?;
        Ok(Challenge { code: CODE.to_owned(), registered: self.registered(&state) })
    }

    async fn verify(
        &self,
        _id: &CertificateId,
        etag: &Etag,
        _proof: &Proof,
    ) -> Result<Registered, CallError> {
        self.travel().await;
        let mut state = self.write(etag)?;
        state.is_verified = true;
        state.submitted += 1;
        Ok(self.registered(&state))
    }
}

/// A vault with one key, signed with inside or pulled.
struct OneKey {
    key: PKey<Private>,
    ca: CaCertificate,
    secret: Option<String>,
    /// Why it refuses to sign; then there is a secret behind the certificate.
    refuses: Option<Refusal>,
    /// How long a signature takes.
    takes: Duration,
    breaks: bool,
    /// Whether its owner grants its use.
    granted: AtomicBool,
    /// How often it was searched.
    searched: AtomicU32,
}

impl Vault for &OneKey {
    type Prefetched = ();

    async fn prefetch(&self, _name: &str) {}

    async fn find(&self, _wanted: Wanted<'_>, (): ()) -> Result<Search, CallError> {
        self.searched.fetch_add(1, Ordering::Relaxed);
        let grant = self.granted.load(Ordering::Relaxed).then(|| "*".to_owned());
        let (object, key) = match &self.secret {
            Some(_) if self.refuses.is_none() => (object(Kind::Secret), KeyUse::ReadSecret),
            _ => {
                let certificate = self.ca.clone();
                let or_read = self.secret.as_ref().map(|_| object(Kind::Secret));
                (
                    object(Kind::Certificate),
                    KeyUse::SignInVault { key: object(Kind::Key), certificate, or_read },
                )
            }
        };
        Ok(Search::Found(Box::new(Found {
            object,
            grant: Grant::new(grant),
            tags: Vec::new(),
            key,
            newest: Vec::new(),
            read: tokio::time::Instant::now(),
        })))
    }

    async fn sign(
        &self,
        _key: &ObjectId,
        algorithm: SignatureAlgorithm,
        digest: &[u8],
    ) -> Result<RawSignature, CallError> {
        if let Some(refusal) = self.refuses {
            let (call, code, message) = ("signing".into(), "Forbidden".into(), "no".into());
            return Err(CallError::Refused { call, status: 403, refusal, code, message, remedy: None });
        }
        assert!(!self.breaks, "the vault breaks");
        tokio::time::sleep(self.takes).await;
        let mut context = openssl::pkey_ctx::PkeyCtx::new(&self.key).expect("starts");
        context.sign_init().expect("starts");
        let mut der = Vec::new();
        context.sign_to_vec(digest, &mut der).expect("signs");
        Ok(RawSignature::from_der(&der, algorithm).expect("OpenSSL's own signature"))
    }

    async fn read_key(&self, _secret: &ObjectId) -> Result<OpenKey, ReadError> {
        let text = self.secret.clone().expect("only secrets are read");
        Ok(OpenKey::in_this_process(PulledKey::from_secret(Zeroizing::new(text))?)?)
    }
}

fn etag(count: u32) -> Etag {
    Etag::parse(&format!("e{count}")).expect("an etag")
}

fn object(kind: Kind) -> ObjectId {
    let vault = Url::parse("https://my-vault.vault.azure.net").expect("a URL").into();
    let segment = match kind {
        Kind::Certificate => "certificates",
        Kind::Key => "keys",
        Kind::Secret => "secrets",
    };
    let id = format!("https://my-vault.vault.azure.net/{segment}/root/1");
    ObjectId::parse(&id, &vault, kind).expect("its own id")
}

fn id() -> CertificateId {
    let id =
        format!("{RESOURCE_GROUP}/providers/Microsoft.Devices/provisioningServices/dps1/certificates/root");
    CertificateId::parse(&id).expect("well-formed")
}

fn peers(state: State) -> (OneCertificate, OneKey) {
    let key = testing::key(P256);
    let ca = testing::ca(&key, 30);
    (
        OneCertificate { ca: ca.clone(), shows: None, state: Mutex::new(state) },
        OneKey {
            key,
            ca,
            secret: None,
            refuses: None,
            takes: Duration::ZERO,
            breaks: false,
            granted: AtomicBool::new(true),
            searched: AtomicU32::new(0),
        },
    )
}

fn verifier<'a>(registry: &'a OneCertificate, vault: &'a OneKey) -> Verifier<&'a OneCertificate, &'a OneKey> {
    let allowed = AllowedRegistries::parse(RESOURCE_GROUP).expect("well-formed");
    Verifier::new(registry, vault, allowed, Limits::default())
}

async fn verify(registry: &OneCertificate, vault: &OneKey) -> Arc<Outcome> {
    verifier(registry, vault).verify(&Upload { id: id(), at: None }).await
}

fn throttled(seconds: u64) -> CallError {
    let retry_after = Some(Duration::from_secs(seconds));
    CallError::Unavailable { call: "looking".into(), status: Some(429), reason: "429".into(), retry_after }
}

fn submitted(registry: &OneCertificate) -> u32 {
    registry.state.lock().expect("no test panics while holding it").submitted
}

#[tokio::test]
async fn an_unverified_certificate_becomes_verified_once() {
    let (registry, vault) = peers(State::default());
    let first = verify(&registry, &vault).await;
    assert!(matches!(*first, Outcome::Verified { .. }), "{first}");
    let second = verify(&registry, &vault).await;
    assert!(matches!(*second, Outcome::AlreadyVerified), "{second}");
    assert_eq!(submitted(&registry), 1);
}

#[tokio::test]
async fn a_pulled_key_proves_it_as_well() {
    let (registry, mut vault) = peers(State::default());
    let pem = vault.key.private_key_to_pem_pkcs8().expect("encodes");
    vault.secret = Some(String::from_utf8(pem).expect("PEM is text"));
    let outcome = verify(&registry, &vault).await;
    assert!(matches!(*outcome, Outcome::Verified { .. }), "{outcome}");
}

#[tokio::test]
async fn a_key_that_may_not_sign_is_pulled_and_one_that_its_owner_disabled_is_not() {
    let rows = [
        (Refusal::OperationNotAllowed, true),
        (Refusal::Role, true),
        (Refusal::AccessPolicy, true),
        (Refusal::Disabled, false),
        (Refusal::NotValidNow, false),
        (Refusal::Firewall, false),
        (Refusal::Other, false),
    ];
    for (refusal, pulled) in rows {
        let (registry, mut vault) = peers(State::default());
        let pem = vault.key.private_key_to_pem_pkcs8().expect("encodes");
        vault.secret = Some(String::from_utf8(pem).expect("PEM is text"));
        vault.refuses = Some(refusal);
        let outcome = verify(&registry, &vault).await;
        assert_eq!(matches!(*outcome, Outcome::Verified { .. }), pulled, "{refusal:?}: {outcome}");
    }
}

/// Simulates two certificates with the same SHA-1: the secret holds one of them with its key.
#[tokio::test]
async fn the_full_public_key_decides_on_a_pulled_key_too() {
    let (mut registry, mut vault) = peers(State::default());
    let pem = |key: &PKey<Private>, ca: &CaCertificate| {
        let key = String::from_utf8(key.private_key_to_pem_pkcs8().expect("encodes")).expect("PEM is text");
        let ca = openssl::x509::X509::from_der(ca.der()).and_then(|ca| ca.to_pem()).expect("encodes");
        key + std::str::from_utf8(&ca).expect("PEM is text")
    };
    vault.secret = Some(pem(&vault.key, &vault.ca));
    let outcome = verify(&registry, &vault).await;
    assert!(matches!(*outcome, Outcome::Verified { .. }), "{outcome}");

    registry.state = Mutex::default();
    registry.shows = Some(testing::ca(&testing::key(P256), 30));
    let outcome = verify(&registry, &vault).await;
    assert!(matches!(*outcome, Outcome::Failed(Failure::OtherKey { .. })), "{outcome}");
    assert_eq!(submitted(&registry), 0);
}

#[tokio::test]
async fn a_secret_with_another_key_signs_nothing() {
    let (registry, mut vault) = peers(State::default());
    let pem = testing::key(P256).private_key_to_pem_pkcs8().expect("encodes");
    vault.secret = Some(String::from_utf8(pem).expect("PEM is text"));
    let outcome = verify(&registry, &vault).await;
    assert!(matches!(*outcome, Outcome::Failed(Failure::WrongSecret { .. })), "{outcome}");
    assert_eq!(submitted(&registry), 0);
}

#[tokio::test(start_paused = true)]
async fn writers_in_between_cost_another_look_each() {
    for intruders in 1..4 {
        let (registry, vault) = peers(State { intruders, ..State::default() });
        let outcome = verify(&registry, &vault).await;
        assert!(matches!(*outcome, Outcome::Verified { .. }), "{intruders} intruders: {outcome}");
        assert_eq!(submitted(&registry), 1, "{intruders} intruders");
    }
}

/// Without pauses no run would finish: each asks for a code while the others still sign.
#[tokio::test(start_paused = true)]
async fn processes_that_race_leave_each_other_the_time_to_finish() {
    for seed in 0..20 {
        fastrand::seed(seed);
        let (registry, mut vault) = peers(State { latency: Duration::from_millis(50), ..State::default() });
        vault.takes = Duration::from_millis(120);
        let processes: Vec<_> = (0..4).map(|_| verifier(&registry, &vault)).collect();
        let upload = upload("root");
        let outcomes = futures::future::join_all(processes.iter().map(|one| one.verify(&upload))).await;
        let done =
            |outcome: &Arc<Outcome>| matches!(**outcome, Outcome::Verified { .. } | Outcome::AlreadyVerified);
        assert!(outcomes.iter().all(done), "seed {seed}: {outcomes:?}");
        assert_eq!(submitted(&registry), 1, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_to_be_left_alone_is() {
    let rows = [
        ("a while", 7, true),
        ("longer than the deadline", 25, false),
        ("longer than any clock goes", u64::MAX, false),
    ];
    for (name, seconds, waited_for) in rows {
        let (registry, vault) =
            peers(State { temporary_failures: [throttled(seconds)].into(), ..State::default() });
        let begun = Instant::now();
        let outcome = verify(&registry, &vault).await;
        let reason = if waited_for { Reason::Verified } else { Reason::Throttled };
        assert_eq!(outcome.reason(), reason, "{name}: {outcome}");
        assert_eq!(begun.elapsed().as_secs(), if waited_for { seconds } else { 0 }, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_never_rests_is_left_alone() {
    let (registry, vault) = peers(State { intruders: u32::MAX, ..State::default() });
    let outcome = verify(&registry, &vault).await;
    assert!(matches!(*outcome, Outcome::TryAgain(_)), "{outcome}");
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_hangs_ends_at_the_deadline() {
    let (registry, vault) = peers(State { hangs: true, ..State::default() });
    let begun = Instant::now();
    let outcome = verify(&registry, &vault).await;
    assert!(matches!(*outcome, Outcome::TryAgain(_)), "{outcome}");
    assert_eq!(begun.elapsed().as_secs(), Limits::default().deadline.as_secs());
}

#[tokio::test]
async fn a_run_that_panics_ends_and_the_next_one_is_a_new_one() {
    let (registry, mut vault) = peers(State::default());
    vault.breaks = true;
    let outcome = verify(&registry, &vault).await;
    assert_eq!(outcome.reason(), Reason::Broken, "{outcome}");
    vault.breaks = false;
    let outcome = verify(&registry, &vault).await;
    assert_eq!(outcome.reason(), Reason::Verified, "{outcome}");
}

#[tokio::test(start_paused = true)]
async fn more_than_may_run_at_once_wait_their_turn_inside_the_deadline() {
    let (registry, vault) = peers(State { hangs: true, ..State::default() });
    let allowed = AllowedRegistries::parse(RESOURCE_GROUP).expect("well-formed");
    let limits = Limits { at_once: 2, ..Limits::default() };
    let verifier = Verifier::new(&registry, &vault, allowed, limits);
    let begun = Instant::now();
    let uploads: Vec<Upload> = (0..10).map(|number| upload(&format!("ca-{number}"))).collect();
    let outcomes = futures::future::join_all(uploads.iter().map(|upload| verifier.verify(upload))).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(**outcome, Outcome::TryAgain(TemporaryFailure::Deadline { .. })))
    );
    assert_eq!(begun.elapsed(), limits.deadline);
    assert_eq!(registry.looks(), 2, "the others never got a turn");
}

#[tokio::test(start_paused = true)]
async fn more_than_may_wait_are_told_at_once_to_come_again() {
    let (registry, vault) = peers(State { hangs: true, ..State::default() });
    let allowed = AllowedRegistries::parse(RESOURCE_GROUP).expect("well-formed");
    let limits = Limits { at_once: 2, waiting: 3, ..Limits::default() };
    let verifier = Verifier::new(&registry, &vault, allowed, limits);
    let uploads: Vec<Upload> = (0..10).map(|number| upload(&format!("ca-{number}"))).collect();
    let told = uploads.iter().map(|upload| async {
        let begun = Instant::now();
        (verifier.verify(upload).await.reason(), begun.elapsed())
    });
    let told = futures::future::join_all(told).await;
    assert_eq!(told[..5], [(Reason::Deadline, limits.deadline); 5]);
    assert_eq!(told[5..], [(Reason::Overloaded, Duration::ZERO); 5]);
    let later = verifier.verify(&upload("ca-9")).await;
    assert_eq!(later.reason(), Reason::Deadline, "there is room again");
}

#[tokio::test]
async fn deliveries_that_meet_share_runs() {
    let (registry, vault) = peers(State::default());
    let verifier = verifier(&registry, &vault);
    let upload = upload("root");
    let outcomes = futures::future::join_all((0..20).map(|_| verifier.verify(&upload))).await;
    let proven = outcomes.iter().filter(|outcome| matches!(***outcome, Outcome::Verified { .. })).count();
    assert_eq!((proven, submitted(&registry)), (1, 1));
    assert!(registry.looks() <= 3, "{} looks", registry.looks());
}

#[tokio::test]
async fn what_was_proven_here_or_by_hand_is_accounted_for_without_a_look_into_the_vaults() {
    let (registry, mut vault) = peers(State::default());
    let verifier = verifier(&registry, &vault);
    let upload = upload("root");
    assert!(matches!(*verifier.verify(&upload).await, Outcome::Verified { .. }));
    // From now on its owner grants nothing.
    vault.granted.store(false, Ordering::Relaxed);
    assert!(matches!(*verifier.verify(&upload).await, Outcome::AlreadyVerified));

    let forgetful = super::tests::verifier(&registry, &vault);
    let outcome = forgetful.verify(&upload).await;
    assert!(matches!(*outcome, Outcome::VerifiedWithoutProof { .. }), "{outcome}");
    let told = super::tests::verifier(&registry, &vault).accounting_for(vec![registry.ca.thumbprint()]);
    assert!(matches!(*told.verify(&upload).await, Outcome::AlreadyVerified));
    vault.granted = AtomicBool::new(true);
    let outcome = super::tests::verifier(&registry, &vault).verify(&upload).await;
    assert!(matches!(*outcome, Outcome::AlreadyVerified), "{outcome}");
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_is_withdrawn_while_a_run_waits_is_noticed_before_the_signature() {
    // The look that follows the search is throttled for longer than a grant is good for.
    let (registry, vault) = peers(State { intruders: 1, failures_later: 3, ..State::default() });
    let verifier = verifier(&registry, &vault);
    let withdrawal = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        vault.granted.store(false, Ordering::Relaxed);
    };
    let upload = upload("root");
    let (outcome, ()) = tokio::join!(verifier.verify(&upload), withdrawal);
    assert_eq!(outcome.reason(), Reason::NoGrant, "{outcome}");
    assert_eq!(submitted(&registry), 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_without_trouble_reads_the_grant_once() {
    let (registry, vault) = peers(State::default());
    let outcome = verify(&registry, &vault).await;
    assert!(matches!(*outcome, Outcome::Verified { .. }), "{outcome}");
    assert_eq!(vault.searched.load(Ordering::Relaxed), 1);
}

fn upload(name: &str) -> Upload {
    let id = id().to_string().replace("/root", &format!("/{name}"));
    Upload { id: CertificateId::parse(&id).expect("well-formed"), at: None }
}

#[tokio::test]
async fn a_preview_names_the_outcome_of_each_certificate_and_changes_nothing() {
    let (registry, vault) = peers(State::default());
    let previews = verifier(&registry, &vault).preview_all(None).await;
    assert!(previews.unread.is_empty(), "{:?}", previews.unread);
    let [previewed] = previews.certificates.as_slice() else { panic!("{:?}", previews.certificates) };
    assert!(!previewed.listed.is_verified && previewed.listed.id == id());
    let Some(Preview::Ready { signed_with, granted_by }) = &previewed.preview else {
        panic!("{:?}", previewed.preview)
    };
    assert_eq!((signed_with, granted_by.as_str()), (&object(Kind::Certificate), "*"));
    let state = registry.state.lock().expect("no test panics while holding it");
    assert_eq!((state.etag, state.submitted, state.is_verified), (0, 0, false), "nothing was written");
}

#[tokio::test]
async fn a_preview_checks_both_locks_and_does_not_wait() {
    let (registry, vault) = peers(State { temporary_failures: [throttled(60)].into(), ..State::default() });
    let within = verifier(&registry, &vault);
    let other = AllowedRegistries::parse(&RESOURCE_GROUP.replace("/rg", "/other")).expect("well-formed");
    let elsewhere = Verifier::new(&registry, &vault, other, Limits::default());
    for (verifier, expected) in [(within, Reason::Throttled), (elsewhere, Reason::RegistryNotAllowed)] {
        let previews = verifier.preview_all(Some(id().registry())).await;
        match &previews.certificates[0].preview {
            Some(Preview::Ends(outcome)) => assert_eq!(outcome.reason(), expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_verified_certificate_has_no_preview() {
    let (registry, vault) = peers(State { is_verified: true, ..State::default() });
    let previews = verifier(&registry, &vault).preview_all(None).await;
    assert!(previews.certificates[0].listed.is_verified && previews.certificates[0].preview.is_none());
}
