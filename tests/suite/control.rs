//! The emulator steered as a person steers it, from the shell, while everything runs.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyholder_emulator::operation::Operation;
use openssl::x509::X509;
use serde_json::{Value, json};

use crate::harness::HTTP;
use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::Cloud;
use crate::harness::programs::{EMULATOR, program, result};

/// A shell beside a running emulator.
struct Shell<'c>(&'c Cloud);

impl Shell<'_> {
    fn url(&self) -> String {
        self.0.azure().control_url().as_str().replace("/_emulator", "")
    }

    /// Runs `emulator …`: exit code, stdout, stderr.
    fn run(&self, arguments: &str) -> (Option<i32>, String, String) {
        let mut command = program(EMULATOR);
        command.args(arguments.split(' ')).args(["--emulator", &self.url()]);
        command.env("EMULATOR_TOKEN", self.0.azure().control().token());
        // The emulator lives in this process and answers from another of its threads.
        result(&tokio::task::block_in_place(|| command.output()).unwrap())
    }

    /// Runs it and reads what it prints for programs.
    fn json(&self, arguments: &str) -> Value {
        let (code, stdout, stderr) = self.run(&format!("{arguments} --output json"));
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments}: {stdout}");
        serde_json::from_str(&stdout).unwrap()
    }

    /// Runs it and has it fail.
    fn refused(&self, arguments: &str) -> String {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{arguments}: {stderr}");
        stderr
    }
}

fn ca(name: &str) -> Authority {
    Authority::root(name, Family::P256)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_set_in_the_shell_strikes_the_app_and_counts_its_hits() {
    let cloud = Cloud::start().await;
    let shell = Shell(&cloud);
    let added = shell.json("faults add dps.verify answer=503 --first 1 --object plant-ca");
    assert_eq!((&added["id"], &added["hits"]), (&json!(1), &json!(0)));

    let ca = ca("Plant CA");
    cloud.import_ca("plant-ca", &ca).await;
    cloud.upload("plant-ca", &ca).await;
    cloud.until_verified("plant-ca").await;

    assert_eq!(shell.json("faults")["faults"][0]["hits"], 1);
    let struck = shell.json("journal --operation dps.verify --limit 10");
    let statuses: Vec<_> =
        struck["entries"].as_array().unwrap().iter().map(|entry| &entry["status"]).collect();
    assert_eq!(statuses, [503, 200]);
    assert_eq!(struck["entries"][0]["fault"], json!({ "answer": 503 }));
    let (_, table, _) = shell.run("faults");
    assert!(table.contains("dps.verify  plant-ca  the first  answered 503"), "{table}");
    assert_eq!(shell.json("faults clear"), json!({ "faults": [] }));
    let certificates = shell.json("certificates");
    assert_eq!(certificates["registries"][0]["certificates"][0]["status"], "verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_never_strike_or_does_not_exist_is_refused_with_what_would_be_right() {
    let cloud = Cloud::start().await;
    let shell = Shell(&cloud);
    let said = shell.refused("faults add vault.sign staleEtag");
    assert!(said.contains("vault.sign cannot meet staleEtag: aim it at a DPS operation"), "{said}");
    let said = shell.refused("faults clear 7");
    assert!(said.contains("there is no rule 7"), "{said}");
    let said = shell.refused("journal --operation dsp");
    assert!(said.contains("there is no operation \"dsp\"; did you mean dps."), "{said}");
    let (code, _, said) = shell.run("faults add dps.verfy silence");
    assert_eq!(code, Some(2));
    assert!(said.contains("did you mean dps.verify?"), "{said}");
    assert_eq!(shell.json("faults"), json!({ "faults": [] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_comes_when_the_clock_is_moved_in_the_shell() {
    let cloud = Cloud::start().await;
    let shell = Shell(&cloud);
    shell.json("faults add eventGrid.deliver answer=503 --first 1");
    let ca = ca("Plant CA");
    cloud.import_ca("plant-ca", &ca).await;
    cloud.upload("plant-ca", &ca).await;
    assert_eq!(cloud.until_answers("plant-ca", 1).await, [503]);
    shell.json("clock advance 1min");
    cloud.until_verified("plant-ca").await;
}

/// The conversation of 2018 with its own certificates, code and date.
#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_proof_is_good_at_its_date_and_for_its_code() {
    let recording: Value =
        serde_json::from_str(include_str!("../fixtures/dps/recorded-2017-11-15-powershell.json")).unwrap();
    let exchange = |number: usize| &recording["exchanges"][number];
    let sent = |number: usize| {
        let der =
            STANDARD.decode(exchange(number)["request"]["body"]["certificate"].as_str().unwrap()).unwrap();
        String::from_utf8(X509::from_der(&der).unwrap().to_pem().unwrap()).unwrap()
    };
    let code = exchange(2)["response"]["body"]["properties"]["verificationCode"].as_str().unwrap();

    let cloud = Cloud::start().await;
    let shell = Shell(&cloud);
    assert_eq!(shell.json("clock freeze 2018-04-18T01:22:37Z")["frozen"], true);
    assert_eq!(shell.json(&format!("next-code {code}"))["code"], code);
    let etag = |answer: &Value| answer["etag"].as_str().unwrap().to_owned();
    let uploaded = cloud.person().upload("recorded", &sent(0)).await.unwrap();
    let asked = cloud.person().generate_verification_code("recorded", &etag(&uploaded.body)).await.unwrap();
    assert_eq!(asked.body["properties"]["verificationCode"], code);
    let verified = cloud.person().verify("recorded", &etag(&asked.body), &sent(4)).await.unwrap();
    assert_eq!(verified.body["properties"]["isVerified"], true, "{}", verified.body);

    shell.json("clock set 2018-05-19");
    shell.json(&format!("next-code {code}"));
    let asked = cloud.person().generate_verification_code("recorded", &etag(&verified.body)).await.unwrap();
    let late = cloud.person().verify("recorded", &etag(&asked.body), &sent(4)).await.unwrap();
    assert_eq!(late.status, 400, "a month later it is too late: {}", late.body);
}

/// A process whose lines are read as they come.
struct Follower {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Follower {
    fn start(shell: &Shell<'_>, arguments: &str) -> Follower {
        let mut command = program(EMULATOR);
        let mut child =
            command.args(arguments.split(' ')).args(["--emulator", &shell.url()]).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Follower { child, lines }
    }

    fn entry(&mut self) -> Value {
        let line = tokio::task::block_in_place(|| self.lines.next());
        serde_json::from_str(&line.expect("it goes on").unwrap()).unwrap()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_verification_can_be_put_together_from_the_journal_as_it_comes() {
    let cloud = Cloud::start().await;
    let shell = Shell(&cloud);
    let ca = ca("Plant CA");
    cloud.import_ca("plant-ca", &ca).await;
    let mut follower = Follower::start(&shell, "journal --follow --since 0 --output json");
    cloud.upload("plant-ca", &ca).await;

    let mut entries = Vec::new();
    let of = |entries: &[Value], operation: &str| -> Value {
        let found = entries.iter().rev().find(|entry| entry["operation"] == operation);
        found.unwrap_or_else(|| panic!("no {operation} in {entries:#?}")).clone()
    };
    while entries.last().is_none_or(|entry: &Value| entry["operation"] != "eventGrid.deliver") {
        entries.push(follower.entry());
    }
    let numbers: Vec<u64> = entries.iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=entries.len() as u64).collect::<Vec<_>>());

    let (uploaded, delivered) = (of(&entries, "dps.putCertificate"), of(&entries, "eventGrid.deliver"));
    let (invoked, verified) = (of(&entries, "functions.invoke"), of(&entries, "dps.verify"));
    for entry in [&delivered, &invoked, &verified] {
        assert_eq!(entry["certificates"], uploaded["certificates"], "{entry}");
    }
    assert_eq!(delivered["eventIds"], invoked["eventIds"]);
    assert_eq!((&delivered["attempt"], &delivered["status"]), (&json!(1), &json!(202)));
    assert!(invoked["invocationId"].is_string() && invoked["traceId"].is_string(), "{invoked}");
    assert!(invoked["said"][0].as_str().unwrap().contains("plant-ca"), "{invoked}");
    assert_ne!(uploaded["caller"], verified["caller"], "the app is not the person");
    assert_eq!(verified["traceId"], invoked["traceId"], "the app goes on with the trace it is called with");
    assert!(verified["userAgent"].as_str().unwrap().starts_with("keyholder/"), "{verified}");
    let asked = of(&entries, "dps.generateVerificationCode");
    assert_eq!(asked["etag"], verified["ifMatch"]);
    assert_eq!(of(&entries, "vault.getCertificate")["thumbprint"], uploaded["thumbprint"]);

    // What the handler asks happens while it is called, and that while the event is delivered.
    let span = |entry: &Value| {
        let began = entry["beganMicros"].as_u64().unwrap();
        (began, began + entry["tookMicros"].as_u64().unwrap())
    };
    for (outer, inner) in [(&delivered, &invoked), (&invoked, &verified), (&invoked, &asked)] {
        let ((began, ended), (inner_began, inner_ended)) = (span(outer), span(inner));
        assert!(began <= inner_began && inner_ended <= ended, "{outer} {inner}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_reset_everything_happens_as_it_did_at_first() {
    let cloud = Cloud::start().await;
    let shell = Shell(&cloud);
    let ca = ca("Plant CA");
    let mut codes = Vec::new();
    for _ in 0..2 {
        cloud.import_ca("plant-ca", &ca).await;
        cloud.upload("plant-ca", &ca).await;
        cloud.until_verified("plant-ca").await;
        codes.push(cloud.code("plant-ca"));
        shell.json("faults add dps.verify silence");
        shell.json("clock advance 1h");
        let overview = shell.json("reset");
        assert_eq!((&overview["seed"], &overview["clock"]["frozen"]), (&json!(7), &json!(false)));
        assert_eq!(shell.json("faults"), json!({ "faults": [] }));
        assert_eq!(shell.json("journal")["entries"], json!([]));
        assert_eq!(shell.json("certificates")["registries"][0]["certificates"], json!([]));
    }
    assert_eq!(codes[0], codes[1], "the seed decides");
    assert_eq!(shell.json("reset --seed 8")["seed"], 8);
}

/// From one emulator to another, which listens on other ports and has an app of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_brings_back_everything_where_it_is_restored_and_work_goes_on_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("before.json");
    let ca = ca("Plant CA");
    let first = Cloud::start().await;
    first.import_ca("plant-ca", &ca).await;
    first.upload("plant-ca", &ca).await;
    first.until_verified("plant-ca").await;
    Shell(&first).json("faults add eventGrid.deliver answer=503");
    first.import_ca("line-ca", &ca).await;
    first.upload("line-ca", &ca).await;
    first.until_answers("line-ca", 1).await;
    let (code, _, hint) = Shell(&first).run(&format!("snapshot {}", file.display()));
    assert_eq!(code, Some(0), "{hint}");
    assert!(hint.contains("holds private keys"), "{hint}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "nobody else may read it: {mode:o}");
    }
    drop(first);

    let second = Cloud::start().await;
    let shell = Shell(&second);
    shell.json(&format!("restore {}", file.display()));
    let shown = shell.json("certificates");
    let certificates = &shown["registries"][0]["certificates"];
    assert_eq!(
        (&certificates[0]["status"], &certificates[1]["status"]),
        (&json!("verified"), &json!("unverified"))
    );
    assert_eq!(shell.json("faults")["faults"][0]["fault"]["operation"], "eventGrid.deliver");
    assert_eq!(shell.json("journal")["entries"], json!([]));
    shell.json("faults clear");
    shell.json("clock advance 1h");
    let proof = second.until_verified("line-ca").await;
    ca.assert_proven(&proof, &second.code("line-ca"));
    assert_eq!(second.count(Operation::Sign), 1, "with the key that was brought along");

    std::fs::write(&file, "{}").unwrap();
    let said = shell.refused(&format!("restore {}", file.display()));
    assert!(said.contains("before.json is no snapshot"), "{said}");
    let said = shell.refused("restore /nonexistent.json");
    assert!(said.contains("/nonexistent.json cannot be read"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_takes_the_environment_reaches_the_services_and_trusts_them() {
    let cloud = Cloud::start().await;
    let shell = Shell(&cloud);
    let (code, exports, hint) = shell.run("env");
    assert_eq!(code, Some(0));
    assert!(hint.contains("eval"), "{hint}");
    let script = format!(
        r#"set -eu
        {exports}
        token=$(curl -sf -H "X-IDENTITY-HEADER: $IDENTITY_HEADER" \
            "$IDENTITY_ENDPOINT?api-version=2019-08-01&resource=$ARM_ENDPOINT" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
        curl -sf -H "Authorization: Bearer $token" "$ARM_ENDPOINT/subscriptions?api-version=2022-12-01"
        curl -s -o /dev/null -w ' %{{http_code}}' --resolve "my-vault.vault.localhost:${{VAULT_URL##*:}}:127.0.0.1" \
            "$VAULT_URL/secrets?api-version=2025-07-01""#
    );
    let mut command = program("/bin/sh");
    command.args(["-c", &script]).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let output = tokio::task::block_in_place(|| command.stdin(Stdio::null()).output()).unwrap();
    let (code, stdout, stderr) = result(&output);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("00000000-0000-0000-0000-000000000000"), "{stdout}");
    assert!(stdout.ends_with(" 401"), "the vault asks for a token of its own: {stdout}");
    let bundle = exports.lines().find_map(|line| line.strip_prefix("export SSL_CERT_FILE='")).unwrap();
    assert!(std::fs::metadata(bundle.trim_end_matches('\'')).unwrap().len() > 0);
}

#[test]
fn without_an_emulator_the_command_that_starts_one_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", taken.local_addr().unwrap());
    drop(taken);
    for arguments in ["status", "faults", "journal --follow"] {
        let mut command = program(EMULATOR);
        let output = command.args(arguments.split(' ')).args(["--emulator", &address]).output().unwrap();
        let (code, stdout, stderr) = result(&output);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{arguments}: {stderr}");
        assert!(stderr.contains(&format!("no emulator answers at {address}")), "{stderr}");
        assert!(stderr.contains("cargo run -- up"), "{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_elsewhere_can_neither_steer_the_emulator_nor_read_it() {
    let cloud = Cloud::start().await;
    let control = cloud.azure().control_url();
    let faults = format!("{control}/faults");
    let rule = json!({ "operation": "dps.verify", "effect": "silence" });
    let token = cloud.azure().control().token();
    let from = |origin: &str| HTTP.post(&faults).header("origin", origin.to_owned()).json(&rule);
    assert_eq!(from("https://evil.test").bearer_auth(token).send().await.unwrap().status(), 403);
    let form =
        HTTP.post(&faults).bearer_auth(token).header("content-type", "text/plain").body(rule.to_string());
    assert_eq!(form.send().await.unwrap().status(), 415);
    let rebound = HTTP.get(&faults).header("host", "evil.test");
    assert_eq!(rebound.send().await.unwrap().status(), 403);
    let embedded = HTTP.get(&faults).header("sec-fetch-site", "cross-site");
    assert_eq!(embedded.send().await.unwrap().status(), 403);
    assert_eq!(Shell(&cloud).json("faults"), json!({ "faults": [] }));

    let own = control.origin().ascii_serialization();
    assert_eq!(from(&own).send().await.unwrap().status(), 401, "nor with the right origin alone");
    let page = HTTP.get(format!("{own}/")).send().await.unwrap().text().await.unwrap();
    assert!(!page.contains(token), "the page is for every user of the machine, and its token is not");
    assert_eq!(from(&own).bearer_auth(token).send().await.unwrap().status(), 200);
}

/// What is asked, with a token and with everything else that a program would send.
fn plain_requests(cloud: &Cloud) -> [reqwest::RequestBuilder; 4] {
    let azure = cloud.azure();
    let identity = azure.identity();
    let mut imds = identity.clone();
    imds.set_path("/metadata/identity/oauth2/token");
    let arm = identity.join("/metadata/endpoints?api-version=2022-09-01").unwrap();
    let token = "api-version=2019-08-01&resource=https://vault.localhost";
    [
        HTTP.get(format!("{identity}?{token}")).header("x-identity-header", "any"),
        HTTP.get(format!("{imds}?{}", token.replace("2019-08-01", "2018-02-01"))).header("metadata", "true"),
        HTTP.get(arm),
        HTTP.post(azure.functions_host().admin("SweepUnverified")).header("content-type", "application/json"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_elsewhere_gets_no_token_and_starts_no_function() {
    let cloud = Cloud::start().await;
    for (name, value) in
        [("host", "evil.test"), ("origin", "http://evil.test"), ("sec-fetch-site", "cross-site")]
    {
        for request in plain_requests(&cloud) {
            let answer = request.header(name, value).send().await.unwrap();
            assert_eq!(answer.status(), 403, "{} {name}: {value}", answer.url());
            assert!(answer.text().await.unwrap().contains(r#""code":"Foreign""#), "{name}: {value}");
        }
    }
    for request in plain_requests(&cloud) {
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{}: {}", answer.url(), answer.status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_without_the_token_is_told_where_it_is() {
    let cloud = Cloud::start().await;
    let mut command = program(EMULATOR);
    // The file with the token is not in this folder.
    let folder = tempfile::tempdir().unwrap();
    command.args(["snapshot", "-", "--emulator", &Shell(&cloud).url()]).env("XDG_RUNTIME_DIR", folder.path());
    let (code, stdout, stderr) = result(&tokio::task::block_in_place(|| command.output()).unwrap());
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(
        stderr.contains("EMULATOR_TOKEN") && stderr.contains("keyholder-emulator-PORT.token"),
        "{stderr}"
    );
    assert!(!stderr.contains(cloud.azure().control().token()));
}
