//! The journal, from outside: a page of it, or whatever is written from now on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::ControlError;
use keyholder_emulator::journal::{Entry, Journal};
use keyholder_emulator::operation::Operation;

/// How many entries a page has when nobody says how many.
const PAGE: usize = 100;

/// Which entries are wanted; those that fit everything that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JournalQuery {
    /// Only entries after the one with this sequence number, from the first of them on. Left out: of a page, the
    /// newest; of a stream, from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// At most so many. Left out: a page has 100, and a stream does not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only this operation (`dps.verify`), or those of this service (`dps`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Only this object, as the journal names it, compared without case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Only what is about the DPS certificate with this ARM id, compared without case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// Some of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JournalPage {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// The newest sequence number given out, whether its entry is on this page or not. The next page is the one
    /// since the last entry of this one; a stream since this number misses nothing.
    pub newest: u64,
    /// The sequence number given to the latest clearing of the journal; 0 if there was none. What was read up to
    /// there is of a world that is gone.
    pub cleared: u64,
}

/// What entries have to fit.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    operations: Vec<Operation>,
    object: Option<String>,
    certificate: Option<String>,
}

impl JournalQuery {
    pub(super) fn filter(&self) -> Result<Filter, ControlError> {
        let operations = match &self.operation {
            None => Operation::ALL.to_vec(),
            Some(name) => {
                let all = Operation::ALL.iter().copied();
                let of_service: Vec<_> = all.filter(|operation| operation.service() == name).collect();
                if of_service.is_empty() {
                    vec![name.parse().map_err(|error| ControlError::invalid(format!("{error}")))?]
                } else {
                    of_service
                }
            }
        };
        Ok(Filter { operations, object: self.object.clone(), certificate: self.certificate.clone() })
    }

    pub(super) fn page(&self, journal: &Journal) -> Result<JournalPage, ControlError> {
        let filter = self.filter()?;
        let limit = self.limit.unwrap_or(PAGE);
        let entries = match self.since {
            Some(since) => {
                let wanted = journal.since(since).filter(|entry| filter.takes(entry));
                wanted.take(limit).cloned().collect()
            }
            None => {
                let newest = journal.entries().rev().filter(|entry| filter.takes(entry));
                let mut newest: Vec<Entry> = newest.take(limit).cloned().collect();
                newest.reverse();
                newest
            }
        };
        Ok(JournalPage { entries, newest: journal.written(), cleared: journal.cleared() })
    }
}

impl Filter {
    pub(super) fn takes(&self, entry: &Entry) -> bool {
        let fits = |wanted: &Option<String>, found: &[String]| {
            wanted.as_ref().is_none_or(|wanted| found.iter().any(|found| found.eq_ignore_ascii_case(wanted)))
        };
        self.operations.contains(&entry.operation)
            && fits(&self.object, std::slice::from_ref(&entry.object))
            && fits(&self.certificate, &entry.certificates)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const CERTIFICATE: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/d/certificates/Root-CA";

    fn journal() -> Journal {
        let mut journal = Journal::default();
        for (operation, object) in [
            (Operation::GetToken, "managed identity"),
            (Operation::GetCertificate, "Root-CA"),
            (Operation::Sign, "my-vault/root-ca"),
            (Operation::Verify, "Root-CA"),
            (Operation::Verify, "other"),
        ] {
            let certificates = if object == "Root-CA" { vec![CERTIFICATE.to_owned()] } else { Vec::new() };
            let entry = Entry::new(datetime!(2026-03-05 10:00 UTC), operation, object);
            journal.write(Entry { certificates, ..entry });
        }
        journal
    }

    fn found(query: JournalQuery) -> Vec<u64> {
        let page = query.page(&journal()).unwrap();
        assert_eq!(page.newest, 5);
        page.entries.iter().map(|entry| entry.sequence).collect()
    }

    fn query() -> JournalQuery {
        JournalQuery::default()
    }

    #[test]
    fn the_newest_are_shown_unless_a_place_to_go_on_from_is_given() {
        assert_eq!(found(query()), [1, 2, 3, 4, 5]);
        assert_eq!(found(JournalQuery { limit: Some(2), ..query() }), [4, 5]);
        assert_eq!(found(JournalQuery { limit: Some(2), since: Some(1), ..query() }), [2, 3]);
        assert!(found(JournalQuery { since: Some(5), ..query() }).is_empty());
    }

    #[test]
    fn entries_are_chosen_by_operation_service_object_and_certificate() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(found(JournalQuery { operation: text("dps.verify"), ..query() }), [4, 5]);
        assert_eq!(found(JournalQuery { operation: text("dps"), ..query() }), [2, 4, 5]);
        assert_eq!(found(JournalQuery { object: text("ROOT-ca"), ..query() }), [2, 4]);
        let certificate = Some(CERTIFICATE.to_lowercase());
        assert_eq!(found(JournalQuery { certificate, ..query() }), [2, 4]);
    }

    #[test]
    fn an_operation_that_does_not_exist_is_refused_and_not_simply_never_found() {
        let query = JournalQuery { operation: Some("dps.verfy".to_owned()), ..query() };
        let refusal = query.page(&journal()).unwrap_err().to_string();
        assert!(refusal.contains("did you mean dps.verify?"), "{refusal}");
    }
}
