//! Where answers go.

use std::error::Error;
use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use super::arguments::Format;
use super::tables::{self, Table};
use keyholder_emulator::journal::Entry;

/// Standard output, in the form that was asked for.
pub(super) struct Output {
    format: Format,
    headed: bool,
}

impl Output {
    pub(super) fn new(format: Format) -> Output {
        Output { format, headed: false }
    }

    /// A whole answer.
    pub(super) fn answer(&self, answer: &(impl Table + Serialize)) -> Result<(), Box<dyn Error>> {
        let text = match self.format {
            Format::Table => answer.table(),
            Format::Json => serde_json::to_string_pretty(answer)?,
        };
        print(&text)?;
        Ok(())
    }

    /// One of many entries: a row, or a line of JSON. `false` if nobody reads any more.
    pub(super) fn entry(&mut self, entry: &Entry) -> Result<bool, Box<dyn Error>> {
        let mut text = String::new();
        match self.format {
            Format::Table => {
                if !self.headed {
                    text = tables::journal_head() + "\n";
                    self.headed = true;
                }
                text += &tables::journal_row(entry);
            }
            Format::Json => text = serde_json::to_string(entry)?,
        }
        Ok(print(&text)?)
    }
}

/// Something a person may want to know, and a program does not.
#[allow(clippy::print_stderr)]
pub(super) fn hint(text: &str) {
    eprintln!("# {text}");
}

/// A reader who has gone away (`| head`) is no failure, but reads no more: `false`.
fn print(text: &str) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}
