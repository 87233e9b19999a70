//! Handles events from every front door.

mod tally;

use std::sync::Arc;

use axum::http::StatusCode;
use futures::future::join_all;
use keyholder::Verifier;
use keyholder::error::quoted;
use keyholder::event::{Notice, Upload};
use keyholder::reason::{DeliveryAnswer, Reason};
use keyholder::registry::Registry;
use keyholder::vault::Vault;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{Instrument, error, info_span};

use crate::batch::Delivered;
use crate::bodies::Bodies;
use crate::invocation::apart;
use crate::sweeps::Sweeps;
use tally::{Kind, Tally};

/// How many uploads are worked on or wait in this process, over all requests: about as many as the verifier takes.
const AT_ONCE: usize = 1024;
/// The most lines of an answer.
const MAX_LINES: usize = 50;
/// The most characters of a line of an answer: enough for a refusal of Azure's with the command that fixes it.
const MAX_LINE: usize = 4000;
/// How many events of one request about registries that are not allowed are logged one by one.
const NOT_ALLOWED: usize = 20;
/// How many events of one request about the same certificate have a run: of any number that meet, two have one.
const REPEATED: usize = 2;

/// What the front doors of a process share.
pub(crate) struct Desk<R, V> {
    pub(crate) verifier: Arc<Verifier<R, V>>,
    pub(crate) bodies: Bodies,
    pub(crate) sweeps: Arc<Sweeps>,
    uploads: Arc<Semaphore>,
}

/// The result of handling events: lines for the answer's body, and the answer.
pub(crate) struct Handled {
    pub(crate) lines: Vec<String>,
    pub(crate) answer: DeliveryAnswer,
}

/// Returns the HTTP status of an answer.
pub(crate) fn status(answer: DeliveryAnswer) -> StatusCode {
    StatusCode::from_u16(answer.status()).expect("the table holds statuses of HTTP")
}

/// An upload that has its place among those that are worked on.
struct Admitted {
    id: Option<String>,
    upload: Upload,
    place: OwnedSemaphorePermit,
}

impl<R: Registry + 'static, V: Vault + 'static> Desk<R, V> {
    pub(crate) fn new(verifier: Arc<Verifier<R, V>>) -> Desk<R, V> {
        Desk {
            verifier,
            bodies: Bodies::default(),
            sweeps: Arc::default(),
            uploads: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Handles events, all at once. They came together, so they are delivered again together: the answer is that of
    /// the one that needs it most. What is not worked on becomes one line of the log for each kind.
    pub(crate) async fn handle(&self, events: Vec<Delivered>) -> Handled {
        let (uploads, tally) = self.admit(events);
        tally.log();
        let runs = uploads.into_iter().map(|admitted| self.run(admitted));
        let (mut lines, mut answers): (Vec<String>, Vec<DeliveryAnswer>) =
            join_all(runs).await.into_iter().unzip();
        lines.extend(tally.lines());
        answers.push(tally.answer());
        bound(&mut lines);
        Handled { lines, answer: answers.into_iter().max().unwrap_or(DeliveryAnswer::Done) }
    }

    /// Separates the uploads that get a run from all other events.
    fn admit(&self, events: Vec<Delivered>) -> (Vec<Admitted>, Tally) {
        let (mut admitted, mut tally) = (Vec::new(), Tally::default());
        for Delivered { id, notice } in events {
            let id = id.map(|id| quoted(&id).trim_matches('"').to_owned());
            let upload = match notice {
                Notice::Uploaded(upload) => upload,
                Notice::Ignored(reason) => {
                    tally.add(Kind::Ignored, id, reason);
                    continue;
                }
                Notice::Unreadable(reason) => {
                    tally.add(Kind::Unreadable, id, reason);
                    continue;
                }
            };
            let about = upload.id.to_string();
            if !self.verifier.allows(&upload.id) && tally.of_not_allowed(NOT_ALLOWED) {
                tally.add(Kind::NotAllowed, id, about);
            } else if tally.of_certificate(&upload.id, REPEATED) {
                tally.add(Kind::Repeated, id, about);
            } else if let Ok(place) = self.uploads.clone().try_acquire_owned() {
                admitted.push(Admitted { id, upload, place });
            } else {
                tally.add(Kind::PutOff, id, about);
            }
        }
        (admitted, tally)
    }

    async fn run(&self, Admitted { id, upload, place }: Admitted) -> (String, DeliveryAnswer) {
        let ended = verify(self.verifier.clone(), upload).instrument(info_span!("event", eventId = id)).await;
        drop(place);
        ended
    }
}

async fn verify<R: Registry + 'static, V: Vault + 'static>(
    verifier: Arc<Verifier<R, V>>,
    upload: Upload,
) -> (String, DeliveryAnswer) {
    let id = upload.id.clone();
    match apart(async move { verifier.verify(&upload).await }).await {
        Ok(outcome) => (format!("{id}: {}", outcome.summary()), outcome.reason().answer()),
        Err(_) => {
            let reason = Reason::Broken;
            error!(
                event = "verification.broke",
                certificateId = %id,
                outcome = reason.name(),
                answer = reason.answer().name(),
                "the run broke"
            );
            (format!("{id}: try again: {}", reason.name()), reason.answer())
        }
    }
}

/// Keeps the first lines, and cuts each to the longest that is allowed.
fn bound(lines: &mut Vec<String>) {
    let left = lines.len().saturating_sub(MAX_LINES);
    lines.truncate(MAX_LINES);
    for line in lines.iter_mut() {
        if let Some((end, _)) = line.char_indices().nth(MAX_LINE) {
            line.truncate(end);
            line.push('…');
        }
    }
    if left > 0 {
        lines.push(format!("and {left} more; the log has them"));
    }
}

#[cfg(test)]
mod tests;
