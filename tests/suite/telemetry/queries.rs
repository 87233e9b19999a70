//! The Kusto queries of the documentation and the alert rules of the deployment, held to the fields that exist.

use keyholder::reason::Reason;
use keyholder::telemetry::fields::{EVENTS, FIELDS};

pub(super) const PAGE: &str = include_str!("../../../docs/telemetry.md");
const RUNBOOK: &str = include_str!("../../../docs/runbook.md");
const ALERTS: &str = include_str!("../../../infra/modules/alerts.bicep");

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
    for quoted in query.split('"').skip(1).step_by(2).filter(|text| text.contains('.') && !text.contains(' '))
    {
        assert!(EVENTS.iter().any(|event| event.name == quoted), "there is no event {quoted:?}: {query}");
    }
    for quoted in query.split('"').skip(1).step_by(2).filter(|text| text.contains('-')) {
        let answers = ["deliver-again"];
        let known = answers.contains(&quoted) || Reason::ALL.iter().any(|reason| reason.name() == quoted);
        assert!(known, "there is no outcome or answer {quoted:?}: {query}");
    }
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
    assert_eq!(queries.len(), 2, "denials, and failures that are not delivered again");
    queries.into_iter().for_each(check);
}

#[test]
#[should_panic(expected = "there is no field \"outcom\"")]
fn a_query_with_a_field_that_does_not_exist_is_found() {
    check(r#"traces | extend line = parse_json(message) | where line.outcom == "verified""#);
}
