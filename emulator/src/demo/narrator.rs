//! Tells what happens, line by line, as the journal grows.

use std::io::Write;

use crate::journal::Entry;
use crate::operation::Operation;

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

    /// One exchange, if it is a part of the story.
    pub(super) fn exchange(&mut self, entry: &Entry) {
        if let Some(text) = told(entry) {
            self.line(Style::Dim, &format!("    {text}"));
        }
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

fn told(entry: &Entry) -> Option<String> {
    let object = &entry.object;
    Some(match (entry.operation, entry.status) {
        (Operation::PutCertificate, 200) => {
            row("upload", &format!("{object}: etag {}", etag(&entry.etag)), &thumbprint(entry))
        }
        (Operation::GetCertificate, 200) => row("look", &format!("{object}: etag {}", etag(&entry.etag)), ""),
        (Operation::GenerateVerificationCode, 200) => {
            row("code", entry.code.as_deref().unwrap_or_default(), &etags(entry))
        }
        (Operation::Sign, 200) => row("sign", &format!("in the vault, with {object}"), "the key stays there"),
        (Operation::GetSecret, 200) => row("pull key", &format!("from secret {object}"), "for one signature"),
        (Operation::Verify, 200) => row("verify", &format!("{object}: accepted"), &etags(entry)),
        (Operation::Verify | Operation::GenerateVerificationCode, status) => {
            row("refused", &format!("{object}: {status} {}", answer(entry)), &etags(entry))
        }
        (Operation::Deliver, status) => {
            row("event", &format!("ResourceWriteSuccess for {object} answered with {status}"), "")
        }
        _ => return None,
    })
}

/// What DPS answered, without the part for its support staff.
pub(super) fn answer(entry: &Entry) -> String {
    let text = entry.note.as_deref().unwrap_or_default();
    text.split(" If you contact").next().unwrap_or_default().to_owned()
}

fn row(word: &str, what: &str, remark: &str) -> String {
    format!("{word:<9}{what:<58}{remark}").trim_end().to_owned()
}

fn thumbprint(entry: &Entry) -> String {
    entry.thumbprint.as_ref().map(|thumbprint| format!("thumbprint {thumbprint}")).unwrap_or_default()
}

fn etags(entry: &Entry) -> String {
    match &entry.etag {
        Some(_) => format!("etag {} → {}", etag(&entry.if_match), etag(&entry.etag)),
        None => format!("etag {}", etag(&entry.if_match)),
    }
}

fn etag(etag: &Option<String>) -> String {
    let shown: String = etag.iter().flat_map(|etag| etag.chars()).take(ETAG_SHOWN).collect();
    if shown.is_empty() { "none".to_owned() } else { format!("{shown}…") }
}
