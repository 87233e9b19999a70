//! The runbook, held to the table of outcomes: whoever is called at night finds a row for what the log says.

use std::collections::BTreeMap;

use keyholder::reason::{Answer, Reason};

const RUNBOOK: &str = include_str!("../../docs/runbook.md");

/// The rows of the table of denials: meaning and remedy, by outcome.
fn rows() -> BTreeMap<&'static str, (&'static str, &'static str)> {
    let section = RUNBOOK.split("\n## What a denial means\n").nth(1).expect("the section is there");
    let section = section.split("\n## ").next().expect("a section ends with the next one");
    let table = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = table.map(|line| {
        let cells: Vec<&str> = line.trim_end_matches('|').splitn(3, " | ").map(str::trim).collect();
        let [outcome, meaning, remedy] = cells[..] else { panic!("{line} has other than three cells") };
        (outcome.trim_end_matches('`'), (meaning, remedy))
    });
    rows.collect()
}

#[test]
fn every_outcome_that_waits_for_a_person_has_its_row() {
    let denials = Reason::ALL.iter().filter(|reason| reason.answer() == Answer::Loud);
    let expected: BTreeMap<&str, &str> = denials.map(|reason| (reason.name(), reason.meaning())).collect();
    let found: BTreeMap<&str, &str> =
        rows().into_iter().map(|(outcome, (meaning, _))| (outcome, meaning)).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_row_has_a_command() {
    for (outcome, (_, remedy)) in rows() {
        let mut code = remedy.split('`').skip(1).step_by(2);
        assert!(code.any(|text| text.starts_with("az ") || text.starts_with("azd ")), "{outcome}: {remedy}");
    }
}
