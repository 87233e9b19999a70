//! Tells what happens, line by line, as the journal grows.

use std::io::Write;

use time::Duration;

use keyholder_emulator::journal::Entry;
use keyholder_emulator::operation::Operation;

/// Characters of an etag that tell one from another; the rest is the same for all of them.
const ETAG_SHOWN: usize = 12;

/// Writes the story.
pub(super) struct Narrator<W> {
    out: W,
    color: bool,
}

#[derive(Clone, Copy)]
enum Style {
    Bold,
    Dim,
    Green,
    Red,
    Plain,
}

impl<W: Write> Narrator<W> {
    /// Colour is for terminals.
    pub(super) fn new(out: W, color: bool) -> Narrator<W> {
        Narrator { out, color }
    }

    /// A heading.
    pub(super) fn chapter(&mut self, title: &str) {
        self.line(Style::Plain, "");
        self.line(Style::Bold, title);
    }

    /// Something that is being done.
    pub(super) fn step(&mut self, what: &str) {
        self.line(Style::Plain, &format!("  {what}"));
    }

    /// Something that was claimed, and whether it is so.
    pub(super) fn verdict(&mut self, holds: bool, claim: &str) {
        match holds {
            true => self.line(Style::Green, &format!("  ✓ {claim}")),
            false => self.line(Style::Red, &format!("  ✗ NOT SO: {claim}")),
        }
    }

    /// One exchange, if it is a part of the story, and how long after the upload it was.
    pub(super) fn exchange(&mut self, entry: &Entry, after: Duration) {
        if let Some((word, what, remark)) = told(entry) {
            self.row(after, word, &what, &remark);
        }
    }

    /// A line of the story's log.
    pub(super) fn row(&mut self, after: Duration, word: &str, what: &str, remark: &str) {
        let text = format!("    {:>7}  {word:<9}{what:<60}{remark}", elapsed(after));
        self.line(Style::Dim, text.trim_end());
    }

    /// A line as it is.
    pub(super) fn plain(&mut self, text: &str) {
        self.line(Style::Plain, text);
    }

    /// A reader who has gone away (`| head`) is no failure of the demo.
    fn line(&mut self, style: Style, text: &str) {
        let code = match style {
            _ if !self.color => None,
            Style::Bold => Some("1"),
            Style::Dim => Some("2"),
            Style::Green => Some("32"),
            Style::Red => Some("1;31"),
            Style::Plain => None,
        };
        let _ = match code {
            Some(code) => writeln!(self.out, "\x1b[{code}m{text}\x1b[0m"),
            None => writeln!(self.out, "{text}"),
        };
        let _ = self.out.flush();
    }
}

fn told(entry: &Entry) -> Option<(&'static str, String, String)> {
    let object = &entry.object;
    Some(match (entry.operation, entry.status) {
        (Operation::PutCertificate, 200) => {
            ("upload", format!("{object}, etag {}", etag(&entry.etag)), thumbprint(entry))
        }
        (Operation::GetCertificate, 200) => {
            ("look", format!("{object}, etag {}", etag(&entry.etag)), String::new())
        }
        (Operation::GenerateVerificationCode, 200) => {
            ("code", entry.code.clone().unwrap_or_default(), etags(entry))
        }
        (Operation::Sign, 200) => {
            ("sign", format!("in the vault, with {object}"), "the key stays there".to_owned())
        }
        (Operation::GetSecret, 200) => {
            ("pull key", format!("out of secret {object}"), "for one signature".to_owned())
        }
        (Operation::Verify, 200) => ("verify", format!("{object}: accepted"), etags(entry)),
        (Operation::Verify | Operation::GenerateVerificationCode, status) => {
            ("refused", format!("{status} {}", answer(entry)), String::new())
        }
        (Operation::Deliver, status) => ("answer", format!("Event Grid is told {status}"), String::new()),
        _ => return None,
    })
}

/// What DPS answered, without the part for its support staff.
fn answer(entry: &Entry) -> &str {
    let text = entry.note.as_deref().unwrap_or_default();
    text.split(" If you contact").next().unwrap_or_default()
}

/// Days are what the clock was moved by.
fn elapsed(after: Duration) -> String {
    match after.whole_days() {
        0 => format!("+{} ms", after.whole_milliseconds()),
        days => format!("+{days} days"),
    }
}

fn thumbprint(entry: &Entry) -> String {
    entry.thumbprint.as_ref().map(|thumbprint| format!("thumbprint {thumbprint}")).unwrap_or_default()
}

fn etags(entry: &Entry) -> String {
    match &entry.etag {
        Some(_) => format!("etag {} → {}", etag(&entry.if_match), etag(&entry.etag)),
        None => String::new(),
    }
}

fn etag(etag: &Option<String>) -> String {
    let shown: String = etag.iter().flat_map(|etag| etag.chars()).take(ETAG_SHOWN).collect();
    if shown.is_empty() { "none".to_owned() } else { format!("{shown}…") }
}
