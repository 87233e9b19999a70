//! The runbook, held to the table of outcomes: whoever is called at night finds a row for what the log says.

use std::collections::BTreeMap;

use keyholder::reason::{DeliveryAnswer, Reason};

const RUNBOOK: &str = include_str!("../../docs/runbook.md");

/// The text of a section.
fn section(heading: &str) -> &'static str {
    let rest = RUNBOOK.split(&format!("\n## {heading}\n")).nth(1).expect("the section is there");
    rest.split("\n## ").next().expect("a section ends with the next one")
}

/// The commands of the first upload as a script, from the root of the repository and for the emulator: what is
/// written there, with the last command again and again until it says that the certificate is verified.
pub(crate) fn first_upload() -> String {
    let blocks = section("The first upload").split("```sh\n").skip(1);
    let commands: String = blocks.map(|block| block.split("```").next().expect("a block ends")).collect();
    let (before, look) = commands.rsplit_once("\naz ").expect("there are several");
    format!(
        "set -euo pipefail\n. docs/az-here.sh\ncd \"$HOME\"\n{before}\n\
         for _ in {{1..100}}; do\n  verified=$(az {look})\n  [ \"$verified\" = true ] && break\ndone\n\
         echo \"verified: $verified\""
    )
}

/// The commands that withdraw a grant, after a first upload and with one more upload in between: what is written there.
pub(crate) fn withdrawal() -> String {
    let blocks = section("Withdraw a grant").split("```sh\n").skip(1);
    let blocks: Vec<&str> = blocks.map(|block| block.split("```").next().expect("a block ends")).collect();
    let [at_once, for_good] = blocks[..] else { panic!("it is done at once, and for good") };
    format!(
        "{}\n{at_once}\naz iot dps certificate create --dps-name my-dps-x509 --resource-group iot-x509-demo-rg \
         --name root-ca-again --path root-ca.pem\n{for_good}\necho \"enabled: $(az keyvault certificate list-versions --vault-name my-vault \
         --name root-ca --query '[].attributes.enabled' --output tsv)\"",
        first_upload()
    )
}

#[test]
fn the_readme_has_the_same_first_upload() {
    let upload =
        section("The first upload").split("```sh\n").nth(2).and_then(|rest| rest.split("```").next());
    assert!(include_str!("../../README.md").contains(upload.expect("the second block is the upload")));
}

/// The rows of the table of denials: meaning and remedy, by outcome.
fn rows() -> BTreeMap<&'static str, (&'static str, &'static str)> {
    let table = section("What a denial means").lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = table.map(|line| {
        let cells: Vec<&str> = line.trim_end_matches('|').splitn(3, " | ").map(str::trim).collect();
        let [outcome, meaning, remedy] = cells[..] else { panic!("{line} has other than three cells") };
        (outcome.trim_end_matches('`'), (meaning, remedy))
    });
    rows.collect()
}

#[test]
fn every_outcome_that_waits_for_a_person_has_its_row() {
    let denials = Reason::ALL.iter().filter(|reason| reason.answer() == DeliveryAnswer::NeedsAction);
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
