//! The emulator's page, as a person uses it: `tests/page/page.mjs` drives it in Chromium, by Playwright, and has
//! axe-core look for what keeps people out. It takes the screenshots of the README each time.
//!
//! A machine without a browser skips, loudly; with `KEYHOLDER_BROWSER=required` in the environment that is a failure.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::cloud::{self, Cloud};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
const SCREENSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

#[tokio::test]
async fn the_page_shows_the_proof_as_it_happens_and_does_what_it_offers() {
    if drives("page.mjs").is_none() {
        return;
    }
    let cloud = Cloud::start_from(page_options()).await;
    let (succeeded, said) = run("page.mjs", &cloud, &[SCREENSHOTS]).await;
    assert!(succeeded, "{said}\n{}", cloud.story());
}

/// How long it takes is printed, not judged.
#[tokio::test]
async fn the_page_shows_many_certificates() {
    if drives("measure.mjs").is_none() {
        return;
    }
    let cloud = Cloud::start_from(page_options()).await;
    let (succeeded, said) = run("measure.mjs", &cloud, &[]).await;
    assert!(succeeded, "{said}");
    #[allow(clippy::print_stdout)] // a measurement is for whoever runs it
    {
        println!("{said}");
    }
}

/// A world in which sweeps do not come between the clicks, and keys may be pulled.
fn page_options() -> keyholder_emulator_local::local_azure::Options {
    let mut options = cloud::options();
    options.app_settings.push(("KEYHOLDER_KEY_ACCESS".to_owned(), "read-secret".to_owned()));
    options
}

async fn run(script: &str, cloud: &Cloud, arguments: &[&str]) -> (bool, String) {
    let address = cloud.azure().page();
    let mut command = tokio::process::Command::new("node");
    command.arg(script).arg(address.as_str()).args(arguments).current_dir(FOLDER).kill_on_drop(true);
    let output = command.stdin(Stdio::null()).output().await.expect("node starts, as it did a moment ago");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Whether there is all that drives the page; if not, says so past the test runner.
fn drives(script: &str) -> Option<()> {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    let installed = Path::new(FOLDER).join("node_modules/playwright-core").exists();
    let node = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    if installed && node && Path::new(&chromium).exists() {
        return Some(());
    }
    let why = "Chromium, Node.js or their packages are missing; install them with tests/page/install";
    assert_ne!(std::env::var("KEYHOLDER_BROWSER").as_deref(), Ok("required"), "{why}");
    let line = format!("\nSKIPPED, NOT PROVEN: page: {script}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("somebody listens");
    None
}
