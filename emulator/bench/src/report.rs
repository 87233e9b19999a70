//! Results as they are printed: JSON, or the same rows laid out as tables.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use crate::machine::Circumstances;

/// Blanks before each column.
const GAP: usize = 2;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) circumstances: Circumstances,
    pub(crate) sections: Vec<Section>,
}

/// Rows that have the same members.
#[derive(Debug, Serialize)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    /// What was measured, and how to read it.
    pub(crate) about: String,
    pub(crate) rows: Vec<Value>,
}

impl Section {
    pub(crate) fn new(name: &'static str, about: impl Into<String>) -> Section {
        Section { name, about: about.into(), rows: Vec::new() }
    }

    /// Adds a row. Its members are the columns; those of an object in it are columns of their own.
    pub(crate) fn push(&mut self, row: impl Serialize) {
        self.rows.push(serde_json::to_value(row).expect("rows are made of numbers and texts"));
    }
}

impl Report {
    pub(crate) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    pub(crate) fn write_tables(&self, out: &mut impl Write) -> io::Result<()> {
        let circumstances = serde_json::to_value(&self.circumstances)?;
        for (name, value) in circumstances.as_object().into_iter().flatten() {
            writeln!(out, "{name:<9}{}", cell(value))?;
        }
        for section in &self.sections {
            writeln!(out, "\n{}: {}", section.name, section.about)?;
            write_table(&section.rows, out)?;
        }
        Ok(())
    }
}

/// One column: the member of a row, and below that, where it is an object, the member of that.
struct Column<'r> {
    of: (&'r str, &'r str),
    width: usize,
}

/// Two lines of headings, for the members of an object stand under its name.
fn write_table(rows: &[Value], out: &mut impl Write) -> io::Result<()> {
    let rows: Vec<Vec<Cell<'_>>> = rows.iter().map(cells).collect();
    let mut columns: Vec<Column<'_>> = Vec::new();
    for (of, text) in rows.iter().flatten() {
        let width = of.1.chars().count().max(text.chars().count());
        match columns.iter_mut().find(|column| column.of == *of) {
            Some(column) => column.width = column.width.max(width),
            None => columns.push(Column { of: *of, width }),
        }
    }
    let mut groups = Vec::new();
    for group in columns.chunk_by_mut(|left, right| left.of.0 == right.of.0) {
        let name = group[0].of.0;
        let widths: usize = group.iter().map(|column| column.width + GAP).sum();
        let missing = (name.chars().count() + GAP).saturating_sub(widths);
        group[0].width += missing;
        groups.push(format!("{name:>0$}", widths + missing));
    }
    writeln!(out, "{}", groups.concat())?;
    let mut line = |text: &dyn Fn(&Column<'_>) -> String| {
        let texts = columns.iter().map(|column| format!("{:>1$}", text(column), column.width + GAP));
        writeln!(out, "{}", texts.collect::<String>().trim_end())
    };
    if columns.iter().any(|column| !column.of.1.is_empty()) {
        line(&|column| column.of.1.to_owned())?;
    }
    for row in &rows {
        line(&|column| {
            row.iter().find(|(of, _)| *of == column.of).map_or(String::new(), |(_, text)| text.clone())
        })?;
    }
    Ok(())
}

type Cell<'r> = ((&'r str, &'r str), String);

fn cells(row: &Value) -> Vec<Cell<'_>> {
    let members = row.as_object().into_iter().flatten();
    let cells = members.flat_map(|(name, value)| match value {
        Value::Object(inner) => {
            inner.iter().map(|(below, value)| ((name.as_str(), below.as_str()), cell(value))).collect()
        }
        value => vec![((name.as_str(), ""), cell(value))],
    });
    cells.collect()
}

/// Three digits of a number that was measured; what nobody knows is a question mark.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "?".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().unwrap_or_default();
            let digits = match number.abs() {
                size if size >= 100.0 => 0,
                size if size >= 10.0 => 1,
                _ => 2,
            };
            format!("{number:.digits$}")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_shows_every_member_once_and_aligned() {
        let rows = [
            json!({ "of": "ours", "ms": { "p50": 1.234, "max": 1234.5 }, "calls": 6 }),
            json!({ "of": "theirs", "ms": { "p50": null, "max": 7.0 }, "calls": 60 }),
        ];
        let mut table = Vec::new();
        write_table(&rows, &mut table).unwrap();
        let lines = [
            "      of          ms  calls",
            "           p50   max",
            "    ours  1.23  1234      6",
            "  theirs     ?  7.00     60",
        ];
        assert_eq!(String::from_utf8(table).unwrap(), lines.map(|line| format!("{line}\n")).concat());
    }
}
