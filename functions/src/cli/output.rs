//! Where answers go: data to stdout, for people or for programs, and hints to stderr.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

/// Something that a person can read, and a program too.
pub(super) trait Answer: Serialize {
    /// Returns it as lines.
    fn lines(&self) -> String;
}

impl Format {
    /// Prints an answer.
    pub(super) fn print(self, answer: &impl Answer) {
        match self {
            Format::Table => print(&answer.lines()),
            Format::Json => {
                let json = serde_json::to_string_pretty(answer).expect("answers hold texts and flags");
                print(&json);
            }
        }
    }
}

/// Prints data. A reader that closed the pipe (`| head`) is not a failure.
pub(super) fn print(text: &str) {
    let text = text.trim_end();
    if !text.is_empty() {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}

/// Prints a hint for a person to stderr.
#[allow(clippy::print_stderr)]
pub(super) fn hint(text: &str) {
    for line in text.lines() {
        eprintln!("# {line}");
    }
}

/// Returns rows with columns as wide as their widest cell.
pub(super) fn columns<const N: usize>(rows: &[[&str; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[&str; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them_and_rows_have_no_blanks_at_their_end() {
        let rows = [["NAME", "IS", "WHY"], ["größte-ca", "no", ""], ["a", "verified", "so"]];
        assert_eq!(columns(&rows), "NAME       IS        WHY\ngrößte-ca  no\na          verified  so");
    }
}
