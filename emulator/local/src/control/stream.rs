//! The journal as it is written: server-sent events that a client can pick up where it lost them.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::extract::{RawPathParams, RawQuery, State};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::{Stream, stream};
use http::HeaderMap;
use serde_json::json;
use tokio::sync::watch;

use super::carry_out::Control;
use super::error::ControlError;
use super::journal::{Filter, JournalQuery};
use super::parameters::parameters;
use keyholder_emulator::Emulator;
use keyholder_emulator::journal::{Entry, Journal};

/// How much is taken from the journal at a time, so that a slow reader of a long one keeps little waiting.
const BATCH: usize = 256;

pub(super) async fn follow(
    State(control): State<Control>,
    path: RawPathParams,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ControlError> {
    let query: JournalQuery = parameters(&path, query.as_deref())?;
    let last = match headers.get("last-event-id") {
        None => query.since,
        Some(id) => Some(id.to_str().ok().and_then(|id| id.parse().ok()).ok_or_else(|| {
            ControlError::invalid("Last-Event-ID is the sequence number of the last entry that was read")
        })?),
    };
    let reader = Reader::new(control.emulator(), &query, last)?;
    let events = stream::unfold(reader, |mut reader| async move {
        let news = reader.next().await?;
        Some((Ok(event(&news)), reader))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Something a reader has to know.
#[derive(Clone, Debug, PartialEq)]
enum News {
    Entry(Box<Entry>),
    /// The journal was cleared: all that was told before is of a world that is gone.
    Cleared(u64),
}

fn event(news: &News) -> Event {
    let (id, event) = match news {
        News::Entry(entry) => (entry.sequence, Event::default().event("entry").json_data(entry)),
        News::Cleared(sequence) => {
            (*sequence, Event::default().event("cleared").json_data(json!({ "sequence": sequence })))
        }
    };
    event.expect("an entry's members are text, numbers and lists of them").id(id.to_string())
}

/// One reader of the journal and how far it has come.
struct Reader {
    emulator: Emulator,
    changes: watch::Receiver<()>,
    filter: Filter,
    last: u64,
    left: usize,
    waiting: VecDeque<News>,
}

impl Reader {
    fn new(emulator: &Emulator, query: &JournalQuery, last: Option<u64>) -> Result<Reader, ControlError> {
        let filter = query.filter()?;
        Ok(Reader {
            changes: emulator.changes(),
            last: last.unwrap_or_else(|| emulator.look(|world, _| world.journal.written())),
            left: query.limit.unwrap_or(usize::MAX),
            waiting: VecDeque::new(),
            emulator: emulator.clone(),
            filter,
        })
    }

    /// Waits for the next piece of news; `None` once there were as many entries as were asked for.
    async fn next(&mut self) -> Option<News> {
        while self.left > 0 {
            if let Some(news) = self.waiting.pop_front() {
                self.left -= usize::from(matches!(news, News::Entry(_)));
                return Some(news);
            }
            // Whatever changes from here on ends the wait below.
            self.changes.mark_unchanged();
            if !self
                .emulator
                .look(|world, _| read_on(&world.journal, &self.filter, &mut self.last, &mut self.waiting))
            {
                // The sender lives in the emulator, so this never fails.
                let _ = self.changes.changed().await;
            }
        }
        None
    }
}

/// Reads on from the last entry read; says whether there was anything to read, wanted or not.
fn read_on(journal: &Journal, filter: &Filter, last: &mut u64, into: &mut VecDeque<News>) -> bool {
    let before = *last;
    if before < journal.cleared() {
        *last = journal.cleared();
        into.push_back(News::Cleared(*last));
    }
    for entry in journal.since(*last).take(BATCH) {
        *last = entry.sequence;
        if filter.takes(entry) {
            into.push_back(News::Entry(Box::new(entry.clone())));
        }
    }
    *last > before
}
