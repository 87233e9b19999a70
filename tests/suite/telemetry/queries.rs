//! The Kusto queries of the documentation and the alert rules of the deployment, held to the fields that exist.

use keyholder::reason::{DeliveryAnswer, Reason};
use keyholder::telemetry::fields::{EVENTS, FIELDS};

pub(super) const PAGE: &str = include_str!("../../../docs/telemetry.md");
const RUNBOOK: &str = include_str!("../../../docs/runbook.md");
const ALERTS: &str = include_str!("../../../infra/modules/alerts.bicep");
const KEY_WATCH: &str = include_str!("../../../infra/modules/key-watch.bicep");

/// Columns of the tables `AZKVAuditLogs` and `AppTraces` that are asked for, as Microsoft documents them.
const COLUMNS: &[&str] = &[
    "CallerIpAddress",
    "ClientInfo",
    "CorrelationId",
    "HttpStatusCode",
    "Identity",
    "Message",
    "OperationName",
    "RequestUri",
    "TimeGenerated",
];
const TABLES: &[&str] = &["AZKVAuditLogs", "AppTraces"];

/// The queries of a page: its fenced blocks of that language.
fn queries(page: &str) -> Vec<&str> {
    let blocks = page.split("```kusto\n").skip(1);
    blocks.map(|block| block.split("\n```").next().unwrap_or_default()).collect()
}

/// Checks what a query takes from a line, which is always written `line.name` or `line.["name"]`.
fn check(query: &str) {
    let mut read = 0;
    for piece in query.split("line.").skip(1) {
        let name: String = piece.chars().take_while(char::is_ascii_alphanumeric).collect();
        assert!(FIELDS.iter().any(|field| field.name == name), "there is no field {name:?}: {query}");
        read += 1;
    }
    assert!(read > 0, "the query reads no field: {query}");
    for quoted in query.split('"').skip(1).step_by(2).filter(|text| is_event_like(text)) {
        assert!(EVENTS.iter().any(|event| event.name == quoted), "there is no event {quoted:?}: {query}");
    }
    for quoted in query.split('"').skip(1).step_by(2).filter(|text| text.contains('-') && text.len() > 1) {
        let answers = [DeliveryAnswer::NeedsAction, DeliveryAnswer::Retry].map(DeliveryAnswer::name);
        let known = answers.contains(&quoted) || Reason::ALL.iter().any(|reason| reason.name() == quoted);
        assert!(known, "there is no outcome or answer {quoted:?}: {query}");
    }
}

fn is_event_like(text: &str) -> bool {
    text.contains('.') && !text.contains([' ', '/'])
}

/// Checks what a query takes from the vaults' audit log: tables and columns are the words that begin in upper case.
fn check_columns(query: &str) {
    let outside_texts: String = query.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let words = outside_texts.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words: Vec<&str> = words.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase())).collect();
    assert!(words.contains(&"AZKVAuditLogs"), "{query}");
    for word in words {
        assert!(TABLES.contains(&word) || COLUMNS.contains(&word), "there is no column {word:?}: {query}");
    }
}

#[test]
fn signatures_are_asked_for_by_columns_that_exist_and_joined_by_the_client_request_id() {
    let watch: Vec<&str> = KEY_WATCH.split("'''").skip(1).step_by(2).collect();
    assert_eq!(watch.len(), 1);
    check_columns(watch[0]);
    let joined: Vec<&str> =
        queries(PAGE).into_iter().filter(|query| query.contains("AZKVAuditLogs")).collect();
    assert_eq!(joined.len(), 1, "{joined:?}");
    check_columns(joined[0]);
    let both_sides = ["line.traceId", "CorrelationId", "line.key", "RequestUri", "line.tbsSha256"];
    assert!(both_sides.iter().all(|part| joined[0].contains(part)), "{joined:?}");
    assert!(joined[0].contains("join kind=leftouter announced on request, key"), "{joined:?}");
    // Both name the signer in the same way.
    let signer = |query: &str| query.lines().find(|line| line.contains("extend signer")).map(str::to_owned);
    assert_eq!(signer(watch[0]), signer(joined[0]));
}

#[test]
#[should_panic(expected = "there is no column \"RequestUrl\"")]
fn a_query_with_a_column_that_does_not_exist_is_found() {
    check_columns("AZKVAuditLogs | project RequestUrl");
}

#[test]
fn every_query_reads_fields_events_and_outcomes_that_exist() {
    let (page, runbook) = (queries(PAGE), queries(RUNBOOK));
    assert!(page.len() >= 4 && !runbook.is_empty(), "{page:?} {runbook:?}");
    page.into_iter().chain(runbook).for_each(check);
}

#[test]
fn the_alerts_read_fields_events_and_outcomes_that_exist() {
    let queries: Vec<&str> = ALERTS.split("'''").skip(1).step_by(2).collect();
    assert_eq!(
        queries.len(),
        3,
        "denials, failures that are not delivered again, and what is verified without proof"
    );
    queries.into_iter().for_each(check);
}

#[test]
#[should_panic(expected = "there is no field \"outcom\"")]
fn a_query_with_a_field_that_does_not_exist_is_found() {
    check(r#"traces | extend line = parse_json(message) | where line.outcom == "verified""#);
}
