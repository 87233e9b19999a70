//! The emulator that stays up: says where everything is and what to try, shows the app's log, and stops when
//! it is told to.

use std::io::Write;

use tokio::sync::broadcast::error::RecvError;

use crate::local_azure::{LocalAzure, certificate_id};
use keyholder_emulator::names::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION, VAULT};

/// Runs until it is told to stop.
pub async fn run(azure: LocalAzure, mut out: impl Write, stopped: impl Future<Output = ()>) {
    say(&mut out, &greeting(&azure));
    let (earlier, mut later) = azure.functions_host().follow();
    earlier.iter().for_each(|line| say(&mut out, &line.to_string()));
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => break,
            line = later.recv() => match line {
                Ok(line) => say(&mut out, &line.to_string()),
                Err(RecvError::Lagged(lines)) => say(&mut out, &format!("({lines} lines not shown)")),
                Err(RecvError::Closed) => break,
            },
        }
    }
    azure.stop().await;
    say(&mut out, "stopped");
}

/// A reader who has gone away does not stop the emulator.
fn say(out: &mut impl Write, text: &str) {
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

fn greeting(azure: &LocalAzure) -> String {
    let (arm, identity, control) = (azure.arm(), azure.identity(), azure.control_url());
    let arm = arm.as_str().trim_end_matches('/');
    let functions = azure.functions_host().webhook("VerifyOnUpload");
    let master_key = azure.functions_host().master_key();
    let master_key = master_key.map(|key| format!("\n  its master key  {key}")).unwrap_or_default();
    let (authority, page) = (azure.authority(), azure.page());
    let ca = azure.ca_file().display();
    let seed = azure.control().overview().seed;
    let addresses = format!(
        r#"
ARM               {arm}
managed identity  {identity}
Entra ID          {authority}
Functions host    {functions}{master_key}
control API       {control}
page              {page}
CA to trust       {ca}
seed              {seed}
"#
    );
    let is_empty = azure.emulator().look(|world, _| world.key_vaults.names().next().is_none());
    let rest = if is_empty { NOTHING.to_owned() } else { tutorial(azure) };
    format!("{addresses}{rest}\nStop with Ctrl-C.\n")
}

const NOTHING: &str = "
Nothing is there yet. Make a resource group and a DPS instance as in Azure, and a vault with: emulator add-vault NAME
";

/// What is there at start, and what to try with it.
fn tutorial(azure: &LocalAzure) -> String {
    let (arm, vault, identity) = (azure.arm(), azure.vault(VAULT), azure.identity());
    let (arm, vault) = (arm.as_str().trim_end_matches('/'), vault.as_str().trim_end_matches('/'));
    let ca = azure.ca_file().display();
    let audience = vault.replacen(&format!("{VAULT}."), "", 1);
    let id = certificate_id("my-root-ca");
    format!(
        r#"
Key Vault         {vault}
subscription      {SUBSCRIPTION}
resource group    {RESOURCE_GROUP}
DPS instance      {PROVISIONING_SERVICE}

Try it: make a CA, keep its key in the vault, upload its certificate, see it verified.

  export CURL_CA_BUNDLE={ca}
  token() {{ curl -s -H X-IDENTITY-HEADER:any "{identity}?api-version=2019-08-01&resource=$1" | sed 's/.*"access_token":"\([^"]*\)".*/\1/'; }}
  openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj "/CN=My Root CA" -keyout my-root-ca.key -out my-root-ca.pem
  curl -s -X PUT "{vault}/secrets/my-root-ca?api-version=2025-07-01" -H "Authorization: Bearer $(token {audience})" -H "Content-Type: application/json" \
    -d "{{\"value\":\"$(cat my-root-ca.key my-root-ca.pem | sed 's/$/\\n/' | tr -d '\n')\",\"tags\":{{\"keyholder\":\"{PROVISIONING_SERVICE}\"}}}}"
  curl -s -X PUT "{arm}{id}?api-version=2022-12-12" -H "Authorization: Bearer $(token {arm})" -H "Content-Type: application/json" \
    -d "{{\"properties\":{{\"certificate\":\"$(base64 < my-root-ca.pem | tr -d '\n')\"}}}}"
  curl -s "{arm}{id}?api-version=2022-12-12" -H "Authorization: Bearer $(token {arm})"
"#
    )
}
