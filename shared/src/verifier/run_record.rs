//! The record of one run, for the line that says how it ended. It outlives a run that its deadline cuts off.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::{Span, error, info, info_span, warn};

use crate::certificate_id::CertificateId;
use crate::outcome::Outcome;
use crate::reason::DeliveryAnswer;
use crate::registry::Registered;
use crate::telemetry::metrics;
use crate::thumbprint::Thumbprint;
use crate::vault::ObjectId;
use crate::verification::Step;

/// What a run spends its time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepKind {
    Look,
    Search,
    Code,
    Sign,
    Submit,
    Wait,
}

/// What one run has done so far.
#[derive(Debug)]
pub(super) struct RunRecord {
    begun: Instant,
    /// Whether this delivery made the run. Otherwise it shares the run of another delivery.
    pub(super) is_leader: bool,
    looks: u64,
    thumbprint: Option<Thumbprint>,
    days_to_expiry: Option<i64>,
    key: Option<ObjectId>,
    last: Option<StepKind>,
    spent: [Duration; 6],
}

impl StepKind {
    pub(super) fn of(step: &Step) -> StepKind {
        match step {
            Step::Look => StepKind::Look,
            Step::Wait { .. } => StepKind::Wait,
            Step::Search(_) => StepKind::Search,
            Step::RequestCode(..) => StepKind::Code,
            Step::Prove { .. } => StepKind::Sign,
            Step::Submit(..) => StepKind::Submit,
        }
    }

    fn name(self) -> &'static str {
        match self {
            StepKind::Look => "look",
            StepKind::Search => "search",
            StepKind::Code => "code",
            StepKind::Sign => "sign",
            StepKind::Submit => "submit",
            StepKind::Wait => "wait",
        }
    }

    /// Returns a span that an exporter shows by the step's name.
    pub(super) fn span(self) -> Span {
        info_span!("step", otel.name = self.name())
    }
}

impl RunRecord {
    pub(super) fn begin() -> RunRecord {
        RunRecord {
            begun: Instant::now(),
            is_leader: false,
            looks: 0,
            thumbprint: None,
            days_to_expiry: None,
            key: None,
            last: None,
            spent: Default::default(),
        }
    }

    pub(super) fn spent(&mut self, step: StepKind, since: Instant) {
        self.spent[step as usize] += since.elapsed();
        if step != StepKind::Wait {
            self.last = Some(step);
        }
        self.looks += u64::from(step == StepKind::Look);
    }

    pub(super) fn saw(&mut self, id: &CertificateId, registered: &Registered, now: OffsetDateTime) {
        self.thumbprint = Some(registered.thumbprint);
        self.days_to_expiry = registered.expiry.map(|expiry| (expiry - now).whole_days());
        if let Some(days) = self.days_to_expiry {
            metrics::expires(&id.to_string(), days);
        }
    }

    pub(super) fn uses(&mut self, key: &ObjectId) {
        self.key = Some(key.clone());
    }

    pub(super) fn thumbprint(&self) -> Option<String> {
        self.thumbprint.as_ref().map(ToString::to_string)
    }

    /// Returns how often the run has looked.
    pub(super) fn attempt(&self) -> u64 {
        self.looks.max(1)
    }

    /// Returns the last step that was not a pause: the one whose call failed.
    pub(super) fn last_step(&self) -> &'static str {
        self.last.map_or("look", StepKind::name)
    }

    /// Writes the audit line. Every run has exactly one.
    pub(super) fn finish(&self, outcome: &Outcome) {
        let reason = outcome.reason();
        metrics::ended(reason, self.begun.elapsed());
        let (key, allowed_by, granted_by) = match outcome {
            Outcome::Verified { signed_with, allowed_by, granted_by, .. } => {
                (Some(self.key.as_ref().unwrap_or(signed_with)), Some(allowed_by), Some(granted_by))
            }
            _ => (self.key.as_ref(), None, None),
        };
        let (key, remedy) = (key.map(ToString::to_string), outcome.remedy());
        let (thumbprint, explanation) = (self.thumbprint(), outcome.explanation());
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    event = "verification.ended",
                    thumbprint,
                    outcome = reason.name(),
                    answer = reason.answer().name(),
                    reason = explanation,
                    remedy,
                    attempt = self.attempt(),
                    key,
                    allowedBy = allowed_by,
                    grantedBy = granted_by,
                    daysToExpiry = self.days_to_expiry,
                    lookMs = self.milliseconds(StepKind::Look),
                    searchMs = self.milliseconds(StepKind::Search),
                    codeMs = self.milliseconds(StepKind::Code),
                    signMs = self.milliseconds(StepKind::Sign),
                    submitMs = self.milliseconds(StepKind::Submit),
                    waitMs = self.milliseconds(StepKind::Wait),
                    durationMs = milliseconds(self.begun.elapsed()),
                    "the run ended: {}",
                    reason.name()
                )
            };
        }
        match reason.answer() {
            DeliveryAnswer::Done => line!(info),
            DeliveryAnswer::NeedsAction => line!(error),
            DeliveryAnswer::Retry => line!(warn),
        }
    }

    /// Returns the time spent on a step, or `None` if it was not taken.
    fn milliseconds(&self, step: StepKind) -> Option<f64> {
        let spent = self.spent[step as usize];
        (!spent.is_zero()).then(|| milliseconds(spent))
    }
}

/// Converts to milliseconds, to the microsecond.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    // Some hundred years of microseconds are exact.
    #[allow(clippy::cast_precision_loss)]
    let microseconds = duration.as_micros() as f64;
    microseconds / 1000.0
}
