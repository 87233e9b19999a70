//! What the benchmarks say that does not depend on the machine.

use serde_json::Value;

use crate::harness::installed::{Clients, Missing, vaults_are_found};
use crate::harness::programs::{BENCH, HANDLER, program, result};

/// The sections that a benchmark printed, by name.
fn measured(arguments: &[&str]) -> Value {
    let mut bench = program(BENCH);
    // Some of what it runs is found there.
    bench.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    let output = bench.args(arguments).args(["-o", "json"]).output().unwrap();
    let (code, stdout, stderr) = result(&output);
    assert_eq!(code, Some(0), "{stderr}");
    let report: Value = serde_json::from_str(&stdout).expect("it is JSON");
    assert!(report["circumstances"]["cores"].as_u64() >= Some(1), "{report:#}");
    let sections = report["sections"].as_array().expect("they are many").iter();
    sections.map(|section| (section["name"].as_str().unwrap().to_owned(), section["rows"].clone())).collect()
}

#[test]
fn a_flow_counts_the_calls_of_every_verification_and_draws_a_chart() {
    let folder = tempfile::tempdir().unwrap();
    let plots = folder.path().to_str().unwrap();
    let sections = measured(&[
        "flow",
        "--uploads=12",
        "--concurrency=3",
        "--latency=1",
        "--handler",
        HANDLER,
        "--plots",
        plots,
    ]);
    let (times, calls) = (&sections["flow"][0], &sections["calls"][0]);
    assert_eq!((&times["uploads"], &times["at_once"]), (&Value::from(12), &Value::from(3)));
    assert!(times["verified_ms"]["p50"].as_f64().unwrap() >= times["limit_ms"].as_f64().unwrap());
    for (kind, expected) in [
        ("dps.getCertificate", 2.0),
        ("vault.getCertificate", 1.0),
        ("dps.generateVerificationCode", 1.0),
        ("vault.sign", 1.0),
        ("dps.verify", 1.0),
        ("all", 6.0),
    ] {
        assert_eq!(calls[kind], expected, "{kind}: {calls:#}");
    }
    let chart = std::fs::read_to_string(folder.path().join("latency.svg")).unwrap();
    assert!(chart.starts_with("<svg") && chart.contains("p99, 1 ms away"), "{chart}");
}

#[test]
fn a_cold_start_ends_with_a_verified_certificate() {
    let sections = measured(&["cold", "--starts=1", "--latency=1", "--handler", HANDLER]);
    for row in sections["cold"].as_array().unwrap() {
        let (verified, limit) = (&row["event_to_verified_ms"]["p50"], &row["limit_ms"]);
        assert!(verified.as_f64() > Some(0.0) && limit.as_f64() >= Some(5.0), "{row:#}");
    }
}

#[test]
fn both_forms_of_the_emulator_serve_what_they_are_asked() {
    let sections = measured(&["emulator", "--requests=32", "--starts=1"]);
    let forms: Vec<_> = sections["emulator"].as_array().unwrap().iter().map(|row| &row["form"]).collect();
    assert_eq!(forms, ["listener", "wiremock"]);
    assert_eq!(sections["start"][0]["starts"], 1);
}

#[test]
fn the_emulator_answers_after_its_start_and_through_a_run_of_every_kind_of_request() {
    let sections = measured(&["endurance", "--starts=2", "--requests=400", "--uploads=20"]);
    let first = &sections["first_answer"][0];
    assert!(first["first_answer_ms"]["max"].as_f64() > Some(0.0), "{first:#}");
    let looks = sections["memory"].as_array().unwrap();
    let counts: Vec<_> = looks.iter().map(|look| look["requests"].as_u64().unwrap()).collect();
    assert_eq!(counts, (0..=10).map(|look| look * 40).collect::<Vec<_>>());
    let of_handler = sections["handler_memory"].as_array().unwrap();
    assert_eq!(of_handler.last().unwrap()["uploads"], 20);
    for look in looks.iter().chain(of_handler) {
        assert!(look["mib"].is_null() || look["mib"].as_f64() > Some(1.0), "{look:#}");
    }
}

#[test]
fn good_deliveries_are_answered_beside_hostile_callers() {
    let sections = measured(&["doors", "--held=20", "--connections=50", "--bodies=2", "--handler", HANDLER]);
    let rows = sections["doors"].as_array().unwrap();
    assert_eq!(rows.len(), 9, "{rows:#?}");
    for row in rows {
        assert!(row["good_ms"]["max"].as_f64() > Some(0.0), "{row:#}");
        assert!(row["log_lines"].as_u64() < Some(1000), "{row:#}");
    }
}

#[test]
fn the_peers_verify_what_keyholder_verifies() {
    let peers = || {
        vaults_are_found()?;
        let [python, az] = [Clients::Sdks.programs()?.join("python"), Clients::Az.programs()?.join("az")];
        Ok::<_, Missing>([python, az].map(|peer| peer.into_os_string().into_string().expect("it is text")))
    };
    let [python, az] = match peers() {
        Ok(peers) => peers,
        Err(missing) => return missing.say(),
    };
    let turns = ["--rounds=1", "--uploads=1"];
    let sections =
        measured(&[&["peers", "--handler", HANDLER, "--python", &python, "--az", &az], &turns[..]].concat());
    for (peer, figure) in [("python", "per_second"), ("az", "each_ms")] {
        let rows = sections[peer].as_array().unwrap();
        assert_eq!(rows.len(), 4, "{rows:#?}");
        for row in rows {
            assert!(row[figure]["theirs"].as_f64() > Some(0.0), "{row:#}");
        }
    }
}

#[test]
fn peers_that_are_not_there_are_not_measured_and_the_report_says_why() {
    let sections = measured(&["peers", "--python=/no/python", "--az=/no/az"]);
    assert_eq!((&sections["python"], &sections["az"]), (&Value::Array(vec![]), &Value::Array(vec![])));
}
