use keyholder::event;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Breaking, GROUP, upload, verifier};

fn desk() -> Desk<Breaking, Breaking> {
    Desk::new(Arc::new(verifier()))
}

fn delivered(event: &Value) -> Delivered {
    Delivered { id: event::id(event), notice: event::read(event) }
}

async fn handle(desk: &Desk<Breaking, Breaking>, events: impl IntoIterator<Item = Value>) -> Handled {
    desk.handle(events.into_iter().map(|event| delivered(&event)).collect()).await
}

/// An upload to a registry that is not allowed.
fn elsewhere(number: usize) -> Value {
    let mut event = upload(&format!("ca-{number}"));
    let subject = event["subject"].as_str().expect("it has one").replace(GROUP, &format!("{GROUP}-else"));
    event["subject"] = subject.into();
    event
}

#[tokio::test]
async fn events_that_are_not_worked_on_are_one_line_for_each_kind() {
    let other = json!({ "eventType": "Microsoft.Resources.ResourceDeleteSuccess", "data": {} });
    let events = (0..2000).flat_map(|_| [json!(0), other.clone()]);
    let Handled { lines, answer } = handle(&desk(), events).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("ignored: 2000 events, the first: "), "{lines:?}");
    assert!(lines[1].starts_with("not understood: 2000 events, the first: "), "{lines:?}");
    assert_eq!(answer, DeliveryAnswer::NeedsAction);
}

#[tokio::test]
async fn many_events_about_one_certificate_have_two_runs() {
    let Handled { lines, answer } = handle(&desk(), (0..100).map(|_| upload("other"))).await;
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[2].starts_with("repeated: 98 events"), "{lines:?}");
    assert_eq!(answer, DeliveryAnswer::Done);
}

#[tokio::test]
async fn registries_that_are_not_served_are_logged_one_by_one_up_to_a_limit() {
    let Handled { lines, answer } = handle(&desk(), (0..100).map(elsewhere)).await;
    assert_eq!(lines.len(), NOT_ALLOWED + 1, "{lines:?}");
    assert!(lines[NOT_ALLOWED].starts_with("not allowed: 80 events"), "{lines:?}");
    assert_eq!(answer, DeliveryAnswer::NeedsAction);
}

#[tokio::test]
async fn uploads_beyond_those_that_may_wait_are_delivered_again() {
    let desk = desk();
    let certificates = |count| (0..count).map(|number| upload(&format!("ca-{number}")));
    let Handled { lines, answer } = handle(&desk, certificates(AT_ONCE)).await;
    assert_eq!(answer, DeliveryAnswer::Done);
    assert_eq!(lines.len(), MAX_LINES + 1, "an answer stays short");
    assert_eq!(lines[MAX_LINES], format!("and {} more; the log has them", AT_ONCE - MAX_LINES));
    let taken = desk.uploads.clone().try_acquire_many_owned(AT_ONCE as u32 - 1).expect("all are free again");
    let Handled { lines, answer } = handle(&desk, certificates(3)).await;
    assert_eq!(answer, DeliveryAnswer::Retry);
    assert!(lines[1].starts_with("put off, too many uploads at once: 2 events"), "{lines:?}");
    drop(taken);
    assert_eq!(handle(&desk, certificates(3)).await.answer, DeliveryAnswer::Done);
}

#[test]
fn a_line_of_an_answer_is_cut_at_its_limit() {
    let mut lines = vec!["ä".repeat(MAX_LINE), "ä".repeat(MAX_LINE + 1)];
    bound(&mut lines);
    assert_eq!(lines, ["ä".repeat(MAX_LINE), "ä".repeat(MAX_LINE) + "…"]);
}
