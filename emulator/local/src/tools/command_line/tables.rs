//! Each answer as a table for people.

use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use crate::control::{
    Certificate, ClockReading, Environment, FaultPlan, FaultRule, JournalPage, NextCode, Operations,
    Overview, Registries, Status,
};
use keyholder_emulator::journal::Entry;

const MOMENT: StaticFormatDescription =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]");

/// Something a person can read.
pub(super) trait Table {
    fn table(&self) -> String;
}

impl Table for Overview {
    fn table(&self) -> String {
        let mut rows = vec![
            ["version".to_owned(), self.version.clone()],
            ["seed".to_owned(), self.seed.to_string()],
            ["strict".to_owned(), yes(self.strict)],
            ["clock".to_owned(), clock(&self.clock)],
            ["entries".to_owned(), self.newest.to_string()],
            ["faults hit".to_owned(), self.hits.to_string()],
        ];
        if let Some(addresses) = &self.addresses {
            rows.push(["ARM".to_owned(), addresses.arm.clone()]);
            rows.extend(addresses.vaults.iter().map(|(name, url)| [format!("vault {name}"), url.clone()]));
            rows.push(["identity".to_owned(), addresses.identity.clone()]);
            rows.push(["Entra ID".to_owned(), addresses.authority.clone()]);
            rows.push(["Functions host".to_owned(), addresses.functions.clone()]);
            rows.push(["CA to trust".to_owned(), addresses.ca_file.clone()]);
        }
        columns(&rows)
    }
}

impl Table for Environment {
    /// Not a table, but what a shell takes.
    fn table(&self) -> String {
        let exports = self.variables.iter().map(|variable| {
            // A quote ends the quoted part, stands for itself, and begins another.
            format!("export {}='{}'\n", variable.name, variable.value.replace('\'', r"'\''"))
        });
        exports.collect()
    }
}

impl Table for Operations {
    fn table(&self) -> String {
        let mut rows = vec![["OPERATION".to_owned(), "CAN MEET".to_owned()]];
        rows.extend(self.operations.iter().map(|info| {
            let effects: Vec<String> = info.effects.iter().map(ToString::to_string).collect();
            [info.operation.to_string(), effects.join("; ")]
        }));
        columns(&rows)
    }
}

impl Table for FaultPlan {
    fn table(&self) -> String {
        fault_table(&self.faults)
    }
}

impl Table for FaultRule {
    fn table(&self) -> String {
        fault_table(std::slice::from_ref(self))
    }
}

impl Table for ClockReading {
    fn table(&self) -> String {
        clock(self)
    }
}

impl Table for NextCode {
    fn table(&self) -> String {
        self.code.clone().unwrap_or_else(|| "left to chance".to_owned())
    }
}

impl Table for Registries {
    fn table(&self) -> String {
        let head = ["REGISTRY", "NAME", "SUBJECT", "STATUS", "EXPIRES", "THUMBPRINT"].map(str::to_owned);
        let row = |registry: &str, certificate: &Certificate| {
            let status = match certificate.status {
                Status::Unverified if certificate.code_pending => "unverified, code pending",
                Status::Unverified => "unverified",
                Status::Verified => "verified",
                Status::VerifiedWithoutProof => "verified without proof",
            };
            [
                registry.to_owned(),
                certificate.name.clone(),
                certificate.subject.clone(),
                status.to_owned(),
                certificate.expiry.date().to_string(),
                certificate.thumbprint.clone(),
            ]
        };
        let certificates = self.registries.iter().flat_map(|registry| {
            registry.certificates.iter().map(|certificate| row(&registry.name, certificate))
        });
        columns(&[head].into_iter().chain(certificates).collect::<Vec<_>>())
    }
}

impl Table for JournalPage {
    fn table(&self) -> String {
        let rows = self.entries.iter().map(journal_row);
        [journal_head()].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
    }
}

/// The names of what [`journal_row`] shows. Widths are fixed, because rows come one by one.
pub(super) fn journal_head() -> String {
    row_of_journal(["NUMBER", "AT", "OPERATION", "OBJECT", "STATUS", "TOOK"], "REMARK")
}

/// One entry as a row.
pub(super) fn journal_row(entry: &Entry) -> String {
    let took = entry
        .took_micros
        .map_or("never".to_owned(), |micros| format!("{}.{} ms", micros / 1000, micros % 1000 / 100));
    let status = if entry.status == 0 { "none".to_owned() } else { entry.status.to_string() };
    let etag = |etag: &Option<String>| {
        let shown: String = etag.iter().flat_map(|etag| etag.chars()).take(12).collect();
        if shown.is_empty() { "none".to_owned() } else { format!("{shown}…") }
    };
    let etags =
        entry.etag.as_ref().map(|_| format!("etag {} → {}", etag(&entry.if_match), etag(&entry.etag)));
    let code = entry.code.as_ref().map(|code| format!("code {code}"));
    let remarks = [entry.note.clone(), code, etags, Some(entry.said.join("; "))];
    let remark: Vec<String> = remarks.into_iter().flatten().filter(|remark| !remark.is_empty()).collect();
    let (number, at) = (entry.sequence.to_string(), moment(entry.at));
    row_of_journal(
        [&number, &at, entry.operation.name(), &entry.object, &status, &took],
        &remark.join("; ").replace(char::is_control, " "),
    )
}

fn row_of_journal(cells: [&str; 6], remark: &str) -> String {
    let [number, at, operation, object, status, took] = cells;
    let row =
        format!("{number:>6}  {at:<23}  {operation:<28}  {object:<28}  {status:<6}  {took:>9}  {remark}");
    row.trim_end().to_owned()
}

fn fault_table(rules: &[FaultRule]) -> String {
    let mut rows = vec![["ID", "HITS", "OPERATION", "OBJECT", "CALLS", "EFFECT"].map(str::to_owned)];
    rows.extend(rules.iter().map(|rule| {
        let fault = &rule.fault;
        [
            rule.id.to_string(),
            rule.hits.to_string(),
            fault.operation.to_string(),
            fault.object.clone().unwrap_or_else(|| "any".to_owned()),
            fault.calls.to_string(),
            fault.effect.to_string(),
        ]
    }));
    columns(&rows)
}

fn clock(reading: &ClockReading) -> String {
    let state = if reading.frozen { "frozen" } else { "running" };
    format!("{} UTC, {state}", moment(reading.now))
}

fn moment(at: OffsetDateTime) -> String {
    let utc = at.to_offset(time::UtcOffset::UTC);
    utc.format(MOMENT).expect("every component of the format is one an OffsetDateTime has")
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

/// Columns as wide as their widest cell.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
