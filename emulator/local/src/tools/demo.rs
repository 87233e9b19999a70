//! The whole story in one go: two CAs become verified with nobody touching them, and the four classic
//! failures happen for real.
//!
//! Every sentence with a tick is checked against the emulated services, not against the story's plan; the
//! first one that is not so makes the demo fail.

mod narrator;

use std::ffi::OsStr;
use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::Value;
use time::OffsetDateTime;

use crate::local_azure::LocalAzure;
use crate::tools::client::{Answer, Client, ClientError};
use keyholder_emulator::authority::Authority;
use keyholder_emulator::faults::{Calls, Effect, Fault};
use keyholder_emulator::journal::Entry;
use keyholder_emulator::names::{PROVISIONING_SERVICE, RESOURCE_GROUP, VAULT};
use keyholder_emulator::operation::Operation;
use keyholder_emulator::world::World;
use narrator::Narrator;

/// The tag with which a CA's owner lets Keyholder prove possession for a registry.
const GRANT: &[(&str, &str)] = &[("keyholder", PROVISIONING_SERVICE)];

/// How long an upload may stay without any answer from the function app.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the story could not be told to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A step of the person in the story failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Keys or certificates could not be made.
    #[error("OpenSSL failed")]
    OpenSsl(#[from] openssl::error::ErrorStack),
    /// The client could not be built.
    #[error("the HTTP client could not be built")]
    Http(#[from] reqwest::Error),
}

/// App settings under which nothing but the story happens: no sweep, which would come four times an hour and
/// whenever the story moves the clock.
pub fn app_settings() -> Vec<(String, String)> {
    vec![("AzureWebJobs.SweepUnverified.Disabled".to_owned(), "true".to_owned())]
}

/// Whether the story is told in colour: on a terminal, unless `NO_COLOR` has a value (<https://no-color.org>).
pub fn wants_color(is_terminal: bool, no_color: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty)
}

/// Tells the story in an emulator that has just been started, with [`app_settings`]. Says whether all of it was so.
pub async fn run(azure: &LocalAzure, out: impl Write, color: bool) -> Result<bool, DemoError> {
    let begun = Instant::now();
    let mut demo = Demo {
        azure,
        person: Client::new(azure)?,
        narrator: Narrator::new(out, color),
        told: 0,
        uploaded: azure.emulator().now(),
        holds: true,
    };
    demo.introduction();
    demo.two_uploads().await?;
    demo.somebody_writes_in_between().await?;
    demo.wrong_code().await?;
    demo.wrong_key().await?;
    demo.expired().await?;
    demo.end(begun);
    Ok(demo.holds)
}

struct Demo<'a, W> {
    azure: &'a LocalAzure,
    person: Client,
    narrator: Narrator<W>,
    /// Journal entries up to this one have been told.
    told: u64,
    /// When the certificate that the story is at was uploaded.
    uploaded: OffsetDateTime,
    holds: bool,
}

impl<W: Write> Demo<'_, W> {
    fn introduction(&mut self) {
        self.narrator.chapter("Keyholder: proof of possession without anybody's hands");
        self.narrator.step(&format!(
            "DPS instance {PROVISIONING_SERVICE} in {RESOURCE_GROUP}, vault {VAULT}, all emulated at {}",
            self.azure.arm()
        ));
        let handler = self.azure.functions_host().handler_pid().unwrap_or_default();
        self.narrator.step(&format!("the function app is the real one: process {handler}"));
    }

    async fn two_uploads(&mut self) -> Result<(), DemoError> {
        let root = Authority::rsa_root("Demo Root CA")?;
        let intermediate = root.rsa_intermediate("Demo Intermediate CA")?;

        self.narrator.chapter("1  A root CA whose key cannot leave the vault");
        self.person.import_certificate("root-ca", &root.key_and_certificate_pem()?, GRANT).await?;
        let uploaded = self.upload("root-ca", &root).await?;
        self.is_verified("root-ca", uploaded).await?;
        let pulled = self.count(Operation::GetSecret);
        self.claim(pulled == 0, "no secret was read: the key is still in the vault and only there");

        self.narrator.chapter("2  An intermediate CA, signed by that root, kept as a PEM secret");
        let secret = intermediate.key_and_certificate_pem()?;
        self.person.set_secret("intermediate-ca", &secret, GRANT).await?;
        let uploaded = self.upload("intermediate-ca", &intermediate).await?;
        self.is_verified("intermediate-ca", uploaded).await?;
        let pulled = self.count(Operation::GetSecret);
        self.claim(pulled == 1, "the key was pulled once, for one signature");

        self.table().await
    }

    async fn somebody_writes_in_between(&mut self) -> Result<(), DemoError> {
        self.narrator.chapter("3  Somebody writes in between: the etag is stale, DPS answers 412");
        let name = "contested-ca";
        let ca = Authority::ec_root("Contested CA")?;
        self.person.import_certificate(name, &ca.key_and_certificate_pem()?, GRANT).await?;
        self.change(|world| {
            world.faults.add(Fault {
                operation: Operation::Verify,
                object: Some(name.to_owned()),
                calls: Calls::First(1),
                effect: Effect::SomebodyElseWrites,
            });
        });
        let uploaded = self.upload(name, &ca).await?;
        self.tell_until_quiet().await;
        let stale = self.refusals(name, 412);
        self.claim(stale > 0, "the proof met a 412, because the certificate had been written meanwhile");
        self.is_verified(name, uploaded).await
    }

    async fn wrong_code(&mut self) -> Result<(), DemoError> {
        self.narrator.chapter("4  A certificate for another code: DPS answers 400");
        let name = "wrong-code-ca";
        let ca = Authority::ec_root("Wrong Code CA")?;
        let (_, etag) = self.challenge(name, &ca).await?;
        let proof = ca.prove("0000000000000000", self.now(), time::Duration::DAY)?;
        let answer = self.person.verify(name, &etag, &proof).await?;
        self.is_refused(name, &answer).await
    }

    async fn wrong_key(&mut self) -> Result<(), DemoError> {
        self.narrator.chapter("5  The right code under another key: DPS answers 400");
        let name = "wrong-key-ca";
        let ca = Authority::ec_root("Wrong Key CA")?;
        let (code, etag) = self.challenge(name, &ca).await?;
        let proof = ca.impostor()?.prove(&code, self.now(), time::Duration::DAY)?;
        let answer = self.person.verify(name, &etag, &proof).await?;
        self.is_refused(name, &answer).await
    }

    async fn expired(&mut self) -> Result<(), DemoError> {
        self.narrator.chapter("6  A proof handed in two days late: DPS answers 400");
        let name = "expired-ca";
        let ca = Authority::ec_root("Expired CA")?;
        let (code, etag) = self.challenge(name, &ca).await?;
        let proof = ca.prove(&code, self.now(), time::Duration::DAY)?;
        self.azure.emulator().advance(Duration::from_secs(2 * 24 * 60 * 60));
        self.narrator.step("the emulator's clock is moved by two days; nothing sleeps");
        let answer = self.person.verify(name, &etag, &proof).await?;
        self.is_refused(name, &answer).await
    }

    fn end(&mut self, begun: Instant) {
        let took = begun.elapsed().as_secs_f32();
        self.narrator.plain("");
        match self.holds {
            true => self.narrator.verdict(true, &format!("all of it was so ({took:.1} s)")),
            false => self.narrator.verdict(false, "all of the above"),
        }
    }

    /// Uploads a CA certificate and tells what follows, until the function app has answered the event.
    async fn upload(&mut self, name: &str, ca: &Authority) -> Result<Instant, DemoError> {
        self.narrator.step(&format!("upload {name}, and let go"));
        let begun = Instant::now();
        self.person.upload(name, &ca.certificate_pem()?).await?;
        self.tell_until_answered(name).await;
        Ok(begun)
    }

    /// A CA that Keyholder cannot help with, because no vault holds it, and a code for it.
    async fn challenge(&mut self, name: &str, ca: &Authority) -> Result<(String, String), DemoError> {
        self.upload(name, ca).await?;
        self.narrator.step("no vault holds its key, so Keyholder leaves it alone; a person tries by hand");
        let shown = self.person.show(name).await?;
        self.skip();
        let challenge = self.person.generate_verification_code(name, text(&shown.body, "/etag")).await?;
        let code = text(&challenge.body, "/properties/verificationCode").to_owned();
        let etag = text(&challenge.body, "/etag").to_owned();
        self.tell();
        Ok((code, etag))
    }

    async fn is_verified(&mut self, name: &str, uploaded: Instant) -> Result<(), DemoError> {
        let took = uploaded.elapsed().as_millis();
        let verified = self.shows_verified(name).await?;
        self.claim(verified, &format!("{name} is verified, {took} ms after its upload"));
        Ok(())
    }

    async fn is_refused(&mut self, name: &str, answer: &Answer) -> Result<(), DemoError> {
        let verified = self.shows_verified(name).await?;
        self.claim(
            answer.status == 400 && !verified,
            &format!("DPS refused it with {}, and {name} stays unverified", answer.status.as_u16()),
        );
        Ok(())
    }

    /// What the registry says of a certificate, asked as anybody would ask.
    async fn shows_verified(&mut self, name: &str) -> Result<bool, DemoError> {
        self.tell();
        let shown = self.person.show(name).await?;
        self.skip();
        Ok(shown.body.pointer("/properties/isVerified") == Some(&Value::Bool(true)))
    }

    async fn table(&mut self) -> Result<(), DemoError> {
        let items = self.person.list().await?;
        self.skip();
        self.narrator.plain("");
        self.narrator.plain(&format!("  {:<18}{:<24}{}", "Name", "Subject", "Verified"));
        for item in items {
            let verified = item.pointer("/properties/isVerified").cloned().unwrap_or_default();
            let (name, subject) = (text(&item, "/name"), text(&item, "/properties/subject"));
            self.narrator.plain(&format!("  {name:<18}{subject:<24}{verified}"));
        }
        Ok(())
    }

    fn claim(&mut self, holds: bool, claim: &str) {
        self.holds &= holds;
        self.narrator.verdict(holds, claim);
    }

    /// Tells each exchange as it happens, until the function app has answered an event about `name`.
    async fn tell_until_answered(&mut self, name: &str) {
        let is_answer = |entry: &Entry| entry.operation == Operation::Deliver && entry.object == name;
        self.tell_until(|news| news.iter().any(is_answer)).await;
    }

    /// The same, until it has answered every event there is: somebody else's write is one too.
    async fn tell_until_quiet(&mut self) {
        let emulator = self.azure.emulator();
        self.tell_until(|_| emulator.look(|world, now| world.event_grid.is_quiet(now))).await;
        // The last answer may have come between the telling and the look.
        self.tell();
    }

    async fn tell_until(&mut self, mut done: impl FnMut(&[Entry]) -> bool) {
        let mut changes = self.azure.emulator().changes();
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        while !done(&self.tell()) {
            tokio::select! {
                _ = changes.changed() => {}
                () = &mut patience => return,
            }
        }
    }

    fn tell(&mut self) -> Vec<Entry> {
        let told = self.told;
        let news: Vec<Entry> =
            self.azure.emulator().look(|world, _| world.journal.since(told).cloned().collect());
        for entry in &news {
            if entry.operation == Operation::PutCertificate {
                self.uploaded = entry.at;
            }
            let after = entry.at - self.uploaded;
            self.narrator.exchange(entry, after);
            if entry.operation == Operation::PutCertificate && self.is_on_its_way(&entry.object) {
                self.narrator.row(after, "event", "ResourceWriteSuccess, for VerifyOnUpload", "");
            }
            self.told = entry.sequence;
        }
        news
    }

    /// Passes over what the storyteller itself asked.
    fn skip(&mut self) {
        self.told = self.azure.emulator().look(|world, _| world.journal.written());
    }

    fn is_on_its_way(&self, name: &str) -> bool {
        self.azure.emulator().look(|world, _| {
            world.event_grid.history().any(|delivery| delivery.subject().ends_with(&format!("/{name}")))
        })
    }

    fn count(&self, operation: Operation) -> usize {
        self.azure.emulator().look(|world, _| world.journal.count(operation))
    }

    fn refusals(&self, name: &str, status: u16) -> usize {
        self.azure.emulator().look(|world, _| {
            let entries = world.journal.entries();
            entries.filter(|entry| entry.object == name && entry.status == status).count()
        })
    }

    fn change(&self, change: impl FnOnce(&mut World)) {
        self.azure.emulator().with(|world, _| change(world));
    }

    fn now(&self) -> OffsetDateTime {
        self.azure.emulator().now()
    }
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_of_people_who_want_it() {
        let rows = [
            (true, None, true),
            (true, Some(""), true),
            (true, Some("1"), false),
            (true, Some("0"), false),
            (false, None, false),
            (false, Some(""), false),
        ];
        for (is_terminal, no_color, expected) in rows {
            let wants = wants_color(is_terminal, no_color.map(OsStr::new));
            assert_eq!(wants, expected, "terminal {is_terminal}, NO_COLOR={no_color:?}");
        }
    }

    #[test]
    fn colour_adds_nothing_to_the_words() {
        let [plain, colored] = [false, true].map(|color| {
            let mut told = Vec::new();
            let mut narrator = Narrator::new(&mut told, color);
            narrator.chapter("1  A root CA");
            narrator.step("upload root-ca, and let go");
            narrator.verdict(true, "root-ca is verified");
            narrator.verdict(false, "all of it");
            String::from_utf8(told).expect("it tells text")
        });
        assert!(!plain.contains('\x1b'), "{plain:?}");
        assert!(colored.contains("\x1b[32m  ✓ root-ca is verified\x1b[0m"), "{colored:?}");
        assert!(colored.contains("\x1b[1;31m  ✗ NOT SO: all of it\x1b[0m"), "{colored:?}");
        let stripped = ["\x1b[1m", "\x1b[32m", "\x1b[1;31m", "\x1b[0m"]
            .iter()
            .fold(colored, |text, code| text.replace(code, ""));
        assert_eq!(stripped, plain);
    }
}
