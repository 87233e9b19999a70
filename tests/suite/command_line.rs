//! The emulator's programs as a person starts them.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::harness::programs::{EMULATOR, address_in, program, result, signal};
use crate::harness::up::{FREE_PORTS, Up, rest};

#[test]
fn the_demo_succeeds_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let output = program(EMULATOR).arg("demo").env("TMPDIR", folder.path()).output().unwrap();
    let (code, stdout, stderr) = result(&output);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("✓") && stdout.contains("root-ca"), "{stdout}");
    assert!(!stdout.contains('\x1b'), "a pipe is not coloured");
    assert_eq!(stderr, "");
    assert_eq!(left_behind(folder.path()), Vec::<String>::new());
}

#[test]
fn a_demo_that_cannot_start_fails_and_says_why() {
    let output = program(EMULATOR).arg("demo").env("TMPDIR", "/nonexistent").output().unwrap();
    let (code, stdout, stderr) = result(&output);
    assert_eq!(code, Some(1), "{stdout}");
    assert!(stderr.contains("the emulator's CA could not be written to /nonexistent"), "{stderr}");
}

#[test]
fn a_demo_that_is_stopped_is_no_success_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = program(EMULATOR).arg("demo").env("TMPDIR", folder.path()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    while line.trim().is_empty() {
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "{}", rest(&mut child));
    }
    signal(child.id(), "TERM");
    let mut told = String::new();
    output.read_to_string(&mut told).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{told}");
    assert_eq!(left_behind(folder.path()), Vec::<String>::new());
}

#[test]
fn the_emulator_says_where_everything_is_and_stops_when_told() {
    for name in ["TERM", "INT"] {
        says_where_everything_is_and_stops_at(name);
    }
}

fn says_where_everything_is_and_stops_at(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[]);
    let arm = up.address("ARM ");
    assert!(arm.starts_with("https://localhost:"), "{arm}");
    let (_, port) = arm.rsplit_once(':').unwrap();
    assert_eq!(up.address("Key Vault "), format!("https://my-vault.vault.localhost:{port}"));
    assert!(up.address("managed identity ").ends_with("/msi/token"), "{}", up.printed);
    assert!(up.address("Functions host ").contains("/runtime/webhooks/eventgrid"), "{}", up.printed);
    let ca = up.address("CA to trust ");
    assert!(std::fs::read_to_string(&ca).unwrap().starts_with("-----BEGIN CERTIFICATE-----"), "{ca}");
    let handler = address_in(&up.printed).expect("it was there a moment ago");
    TcpStream::connect(&handler).expect("the handler listens");

    signal(up.child.id(), name);
    let mut rest = String::new();
    up.output.read_to_string(&mut rest).unwrap();
    assert_eq!(up.child.wait().unwrap().code(), Some(0), "{rest}");
    assert!(rest.ends_with("stopped\n"), "{rest}");
    assert_eq!(left_behind(folder.path()), Vec::<String>::new());
    assert!(TcpStream::connect(&handler).is_err(), "the handler outlived the emulator");
    assert!(TcpStream::connect(format!("127.0.0.1:{port}")).is_err(), "the emulator still listens");
}

/// A process that is killed can end no other; on Linux the system does it.
#[cfg(target_os = "linux")]
#[test]
fn the_handler_ends_with_its_emulator_even_if_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &[]);
    let handler = address_in(&up.printed).expect("it is printed");
    let mut connection = TcpStream::connect(&handler).expect("the handler listens");
    // Well below what the handler grants to an idle connection.
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();

    signal(up.child.id(), "KILL");
    let closed = connection.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
    assert!(
        matches!(closed, Ok(0) | Err(ErrorKind::ConnectionReset)),
        "the handler outlived the emulator: {closed:?}"
    );
}

#[test]
fn a_script_can_rely_on_the_ports() {
    let (code, stdout, _) = result(&program(EMULATOR).args(["up", "--help"]).output().unwrap());
    assert_eq!(code, Some(0));
    for (option, port) in [("--port", 8443), ("--identity-port", 8081), ("--functions-port", 7071)] {
        let (_, help) = stdout.split_once(&format!("{option} <")).expect(option);
        let default = help.split_once("[default: ").map(|(_, rest)| rest.starts_with(&format!("{port}]")));
        assert_eq!(default, Some(true), "{option}: {help}");
    }
}

#[test]
fn an_empty_emulator_has_a_subscription_and_what_is_made_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &["--empty", "--seed", "7"]);
    assert_eq!(up.address("seed "), "7");
    let control = up.address("control API ");
    let ask = |arguments: &[&str]| {
        let emulator = control.trim_end_matches("/_emulator");
        let mut command = program(EMULATOR);
        command.args(arguments).args(["-o", "json", "--emulator", emulator]).env("TMPDIR", folder.path());
        let (code, stdout, stderr) = result(&command.output().unwrap());
        assert_eq!(code, Some(0), "{stderr}");
        serde_json::from_str::<serde_json::Value>(&stdout).unwrap()
    };
    assert_eq!(ask(&["certificates"]), serde_json::json!({ "registries": [] }));
    assert_eq!(ask(&["status"])["addresses"]["vaults"], serde_json::json!({}));
    let vaults = ask(&["add-vault", "another"])["addresses"]["vaults"].clone();
    let arm = up.address("ARM ");
    let (_, port) = arm.rsplit_once(':').unwrap();
    assert_eq!(vaults["another"], format!("https://another.vault.localhost:{port}"));

    let group = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/mine";
    let instance = format!("{group}/providers/Microsoft.Devices/provisioningServices/my-own-dps");
    let identity = up.address("managed identity ");
    let script = format!(
        r#"set -eu
        token=$(curl -sf -H X-IDENTITY-HEADER:any "{identity}?api-version=2019-08-01&resource=https://management.azure.com" |
            sed 's/.*"access_token":"\([^"]*\)".*/\1/')
        put() {{ curl -sf --cacert "{ca}" -X PUT -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
            -d '{{"location":"westeurope","sku":{{"name":"S1","capacity":1}},"properties":{{}}}}' "{arm}$1"; }}
        put "{group}?api-version=2022-12-01" && put "{instance}?api-version=2022-12-12""#,
        ca = up.address("CA to trust ")
    );
    let mut command = program("/bin/sh");
    command.args(["-c", &script]).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let (code, stdout, stderr) = result(&command.output().unwrap());
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert_eq!(ask(&["certificates"])["registries"][0]["name"], "my-own-dps");
    ask(&["reset"]);
    assert_eq!(ask(&["certificates"]), serde_json::json!({ "registries": [] }));
}

#[test]
fn a_port_that_is_taken_is_named_with_the_option_that_chooses_another() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for option in ["--port", "--identity-port", "--functions-port"] {
        let mut ports = FREE_PORTS;
        let position = ports.iter().position(|argument| *argument == option).unwrap();
        ports[position + 1] = &port;
        let (code, stdout, stderr) = result(&program(EMULATOR).arg("up").args(ports).output().unwrap());
        assert_eq!(code, Some(1), "{option}: {stdout}");
        assert!(stderr.contains(&format!("port {port} for ")), "{option}: {stderr}");
        assert!(stderr.contains(&format!("choose another with {option} N")), "{option}: {stderr}");
    }
}

#[test]
fn an_app_that_cannot_be_read_is_an_error_about_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().to_str().unwrap();
    let (code, stdout, stderr) =
        result(&program(EMULATOR).args(["up", "--app", app]).args(FREE_PORTS).output().unwrap());
    assert_eq!(code, Some(1), "{stdout}");
    assert!(stderr.contains("host.json"), "{stderr}");
}

fn left_behind(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
