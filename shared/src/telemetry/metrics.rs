//! What is counted and measured, by stable names. Without an exporter every instrument is a no-op.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::metrics::{Counter, Gauge, Histogram};
use opentelemetry::{KeyValue, global};

use crate::ca::SignatureAlgorithm;
use crate::reason::Reason;

/// A metric, as the documentation lists it.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Counter, histogram or gauge.
    pub kind: &'static str,
    /// Its unit (UCUM).
    pub unit: &'static str,
    /// Its attributes.
    pub attributes: &'static [&'static str],
    /// What it says.
    pub meaning: &'static str,
}

const VERIFICATIONS: Metric = Metric {
    name: "keyholder.verifications",
    kind: "counter",
    unit: "{verification}",
    attributes: &["outcome"],
    meaning: "Runs that ended, by outcome.",
};
const DURATION: Metric = Metric {
    name: "keyholder.verification.duration",
    kind: "histogram",
    unit: "s",
    attributes: &["outcome"],
    meaning: "How long they took, waiting for a turn included.",
};
const RETRIES: Metric = Metric {
    name: "keyholder.retries",
    kind: "counter",
    unit: "{retry}",
    attributes: &["call", "reason"],
    meaning: "Pauses after a call that did not work, by call and by the outcome it would have been.",
};
const SIGNATURES: Metric = Metric {
    name: "keyholder.vault.signatures",
    kind: "counter",
    unit: "{signature}",
    attributes: &["algorithm"],
    meaning: "Signatures made by vaults.",
};
const DENIALS: Metric = Metric {
    name: "keyholder.denials",
    kind: "counter",
    unit: "{denial}",
    attributes: &["rule"],
    meaning: "Runs that one of the two locks ended, by lock.",
};
const DAYS_TO_EXPIRY: Metric = Metric {
    name: "keyholder.ca.days_to_expiry",
    kind: "gauge",
    unit: "d",
    attributes: &["certificate"],
    meaning: "Days to the end of each CA certificate seen, negative when past.",
};

/// Every metric.
pub const METRICS: &[Metric] = &[VERIFICATIONS, DURATION, RETRIES, SIGNATURES, DENIALS, DAYS_TO_EXPIRY];

struct Instruments {
    verifications: Counter<u64>,
    duration: Histogram<f64>,
    retries: Counter<u64>,
    signatures: Counter<u64>,
    denials: Counter<u64>,
    days_to_expiry: Gauge<i64>,
}

/// Made when first used, which is after the exporter was started, if there is one.
fn instruments() -> &'static Instruments {
    static INSTRUMENTS: OnceLock<Instruments> = OnceLock::new();
    INSTRUMENTS.get_or_init(|| {
        let meter = global::meter("keyholder");
        let counter = |metric: Metric| {
            meter.u64_counter(metric.name).with_unit(metric.unit).with_description(metric.meaning).build()
        };
        Instruments {
            verifications: counter(VERIFICATIONS),
            duration: meter
                .f64_histogram(DURATION.name)
                .with_unit(DURATION.unit)
                .with_description(DURATION.meaning)
                .build(),
            retries: counter(RETRIES),
            signatures: counter(SIGNATURES),
            denials: counter(DENIALS),
            days_to_expiry: meter
                .i64_gauge(DAYS_TO_EXPIRY.name)
                .with_unit(DAYS_TO_EXPIRY.unit)
                .with_description(DAYS_TO_EXPIRY.meaning)
                .build(),
        }
    })
}

/// Counts a run that ended.
pub(crate) fn ended(outcome: Reason, after: Duration) {
    let by_outcome = [KeyValue::new("outcome", outcome.name())];
    instruments().verifications.add(1, &by_outcome);
    instruments().duration.record(after.as_secs_f64(), &by_outcome);
    if matches!(outcome, Reason::RegistryNotAllowed | Reason::NoGrant) {
        instruments().denials.add(1, &[KeyValue::new("rule", outcome.name())]);
    }
}

/// Counts a pause before another look.
pub(crate) fn retried(call: &'static str, reason: Reason) {
    let by = [KeyValue::new("call", call), KeyValue::new("reason", reason.name())];
    instruments().retries.add(1, &by);
}

/// Counts a signature by a vault.
pub(crate) fn signed(algorithm: SignatureAlgorithm) {
    instruments().signatures.add(1, &[KeyValue::new("algorithm", algorithm.name())]);
}

/// Records when a CA certificate ends.
pub(crate) fn expires(certificate: &str, days: i64) {
    instruments().days_to_expiry.record(days, &[KeyValue::new("certificate", certificate.to_owned())]);
}
