//! Sweeps over registries in memory, in virtual time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use super::*;
use crate::ca::SignatureAlgorithm;
use crate::error::Refusal;
use crate::etag::Etag;
use crate::proof::{Proof, RawSignature};
use crate::registry::{Challenge, Listed, ListedCertificate, Registered};
use crate::thumbprint::Thumbprint;
use crate::trust::{AllowedRegistries, Scope};
use crate::vault::{ObjectId, ReadError, Search, Wanted};
use crate::verifier::Limits;

const SUBSCRIPTION: &str = "/subscriptions/00000000-0000-0000-0000-000000000000";

/// Two registries with certificates of which the even ones are verified; a look takes a second.
#[derive(Default)]
struct Cloud {
    each: usize,
    looking: AtomicUsize,
    most: AtomicUsize,
    looked_at: Mutex<Vec<String>>,
    unreadable: Option<&'static str>,
    /// Lists nothing, ever.
    hangs: Option<&'static str>,
    /// Panics when it is asked about the certificate of this name.
    breaks: Option<&'static str>,
    /// Has one item more, which cannot be read.
    odd: bool,
    expiry: Option<OffsetDateTime>,
}

fn refused() -> CallError {
    let (call, code, message) = ("listing".into(), "no".into(), "no".into());
    CallError::Refused { call, status: 403, refusal: Refusal::Other, code, message, remedy: None }
}

fn registry(name: &str) -> RegistryId {
    let id =
        format!("{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Devices/provisioningServices/{name}");
    RegistryId::parse(&id).expect("well-formed")
}

impl Registry for &Cloud {
    async fn registries(&self, scope: &Scope) -> Result<Listed<RegistryId>, CallError> {
        let odd = self.odd.then(|| Err(refused()));
        Ok(match scope {
            Scope::Registry(registry) => vec![Ok(registry.clone())],
            _ => odd.into_iter().chain([Ok(registry("dps1")), Ok(registry("dps2"))]).collect(),
        })
    }

    async fn certificates(&self, registry: &RegistryId) -> Result<Listed<ListedCertificate>, CallError> {
        if self.hangs == Some(registry.name()) {
            std::future::pending::<()>().await;
        }
        if self.unreadable == Some(registry.name()) {
            return Err(refused());
        }
        let id = |number| {
            CertificateId::parse(&format!("{registry}/certificates/ca-{number}")).expect("well-formed")
        };
        let odd = self.odd.then(|| Err(refused()));
        let item = |number| ListedCertificate {
            id: id(number),
            is_verified: number % 2 == 0,
            thumbprint: None,
            expiry: self.expiry,
        };
        Ok(odd.into_iter().chain((0..self.each).map(|number| Ok(item(number)))).collect())
    }

    async fn get(&self, id: &CertificateId) -> Result<Option<Registered>, CallError> {
        assert!(self.breaks != Some(id.name()), "the registry breaks");
        let looking = self.looking.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(looking, Ordering::Relaxed);
        sleep(Duration::from_secs(1)).await;
        self.looking.fetch_sub(1, Ordering::Relaxed);
        self.looked_at.lock().expect("no test panics while holding it").push(id.to_string());
        let etag = Etag::parse("e").expect("an etag");
        let thumbprint = Thumbprint::of(b"ca");
        Ok(Some(Registered {
            etag,
            thumbprint,
            is_verified: false,
            updated: None,
            expiry: None,
            certificate: None,
        }))
    }

    async fn generate_verification_code(&self, _: &CertificateId, _: &Etag) -> Result<Challenge, CallError> {
        unreachable!("no CA is found")
    }

    async fn verify(&self, _: &CertificateId, _: &Etag, _: &Proof) -> Result<Registered, CallError> {
        unreachable!("no CA is found")
    }
}

struct Empty;

impl Vault for Empty {
    type Prefetched = ();

    async fn prefetch(&self, _name: &str) {}

    async fn find(&self, _: Wanted<'_>, (): ()) -> Result<Search, CallError> {
        Ok(Search::Missing(Vec::new()))
    }

    async fn sign(&self, _: &ObjectId, _: SignatureAlgorithm, _: &[u8]) -> Result<RawSignature, CallError> {
        unreachable!("no CA is found")
    }

    async fn read_key(&self, _: &ObjectId) -> Result<crate::key_opener::OpenKey, ReadError> {
        unreachable!("no CA is found")
    }
}

async fn sweep(cloud: &Cloud, allowed: &str, limits: Limits) -> Report {
    let allowed = AllowedRegistries::parse(allowed).expect("well-formed");
    Verifier::new(cloud, Empty, allowed, limits).sweep(None).await
}

#[tokio::test(start_paused = true)]
async fn every_unverified_certificate_of_every_registry_served_is_tried_once() {
    let cloud = Cloud { each: 10, ..Cloud::default() };
    // The second entry is covered by the first.
    let allowed = format!("{SUBSCRIPTION},{}", registry("dps1"));
    let report = sweep(&cloud, &allowed, Limits::default()).await;
    assert_eq!((report.registries, report.found, report.verified_before, report.left), (2, 20, 10, 0));
    assert_eq!(report.outcomes(), BTreeMap::from([(Reason::CaMissing, 10)]));
    assert!(report.needs_action());
    assert_eq!(
        report.to_string(),
        "20 certificates in 2 registries, 10 of them verified before, 10 ca-missing, 10 verified without proof"
    );
    assert_eq!(cloud.looked_at.lock().expect("the sweep is over").len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_takes_its_share_and_no_more() {
    let cloud = Cloud { each: 40, ..Cloud::default() };
    let limits = Limits { at_once_in_sweep: 3, ..Limits::default() };
    sweep(&cloud, SUBSCRIPTION, limits).await;
    assert_eq!(cloud.most.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn what_there_is_no_time_for_is_left_for_the_next_one() {
    let cloud = Cloud { each: 100, ..Cloud::default() };
    let limits = Limits { at_once_in_sweep: 1, sweep: Duration::from_millis(10_500), ..Limits::default() };
    let report = sweep(&cloud, SUBSCRIPTION, limits).await;
    assert_eq!((report.ended.len(), report.left), (10, 90));
    assert!(report.to_string().ends_with("90 left for the next time"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_cannot_be_read_does_not_keep_the_others_from_it() {
    let cloud = Cloud { each: 2, unreadable: Some("dps1"), ..Cloud::default() };
    let report = sweep(&cloud, SUBSCRIPTION, Limits::default()).await;
    assert_eq!((report.registries, report.ended.len(), report.unread.len()), (1, 1, 1));
    assert!(report.needs_action());
}

#[tokio::test(start_paused = true)]
async fn an_item_that_cannot_be_read_does_not_hide_the_others() {
    let cloud = Cloud { each: 2, odd: true, ..Cloud::default() };
    let report = sweep(&cloud, SUBSCRIPTION, Limits::default()).await;
    assert_eq!((report.registries, report.found, report.ended.len()), (2, 4, 2));
    assert_eq!(report.unread.len(), 3, "one instance, and one certificate in each of the others");
    assert!(report.needs_action());
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_takes_all_the_time_is_named() {
    let cloud = Cloud { each: 2, hangs: Some("dps2"), ..Cloud::default() };
    let report = sweep(&cloud, SUBSCRIPTION, Limits::default()).await;
    assert_eq!((report.registries, report.left, report.unread.len()), (1, 1, 1));
    assert!(report.to_string().contains("dps2: there was no time left for it"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_makes_it_panic_does_not_keep_the_others_from_it() {
    let cloud = Cloud { each: 6, breaks: Some("ca-3"), ..Cloud::default() };
    let report = sweep(&cloud, SUBSCRIPTION, Limits::default()).await;
    assert_eq!(report.outcomes(), BTreeMap::from([(Reason::CaMissing, 4), (Reason::Broken, 2)]));
}

#[tokio::test(start_paused = true)]
async fn cas_near_their_end_are_counted_whether_they_are_verified_or_not() {
    let near = Some(OffsetDateTime::now_utc() + time::Duration::days(10));
    let report =
        sweep(&Cloud { each: 4, expiry: near, ..Cloud::default() }, SUBSCRIPTION, Limits::default()).await;
    assert_eq!((report.found, report.expiring), (8, 8));
    let far = Some(OffsetDateTime::now_utc() + time::Duration::days(100));
    let report =
        sweep(&Cloud { each: 4, expiry: far, ..Cloud::default() }, SUBSCRIPTION, Limits::default()).await;
    assert_eq!((report.found, report.expiring), (8, 0));
}
