//! The events and the inbox, held against the journal row by row.
//!
//! Both lie in the order of the journal, so one pass over each is enough, and a row is compared
//! where SQLite has it.

use engine::event::Event;
use engine::signal::{EventRow, InboxRow};
use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator as _;
use rusqlite::{Connection, Rows};

use crate::chain::ChainHash;
use crate::fault::{BadRow, Fault, Wrong};
use crate::journal::JournalRow;
use crate::meta::Meta;
use crate::row::{Cells, Values};
use crate::tables;

/// The rows of `events` in the order of the journal, held against it one by one.
pub(super) struct Events<'s> {
    rows: Rows<'s>,
    deleted_before: i64,
    /// Rows that agree with their hashes.
    pub(super) seen: u64,
}

impl<'s> Events<'s> {
    /// Begins with `rows`, past those whose journal rows are pruned.
    pub(super) fn from(rows: Rows<'s>, meta: &Meta) -> Result<Self, Fault> {
        let mut events = Self { rows, deleted_before: meta.events_deleted_before, seen: 0 };
        events.advance()?;
        while events.next_seq()?.is_some_and(|seq| seq <= meta.pruned.seq) {
            events.advance()?;
        }
        Ok(events)
    }

    /// Goes on to the next row, which has to agree with its hash.
    fn advance(&mut self) -> Result<(), Fault> {
        self.rows.advance()?;
        if let Some(row) = self.rows.get() {
            tables::EVENTS.cells(row)?;
            self.seen += 1;
        }
        Ok(())
    }

    fn here(&self) -> Option<Cells<'_>> {
        self.rows.get().map(|row| tables::EVENTS.trusted(row))
    }

    fn next_seq(&self) -> Result<Option<u64>, Fault> {
        self.here().map(|row| row.counter("journal_seq")).transpose()
    }

    /// Holds the event of one journal row against its own row.
    pub(super) fn check(&mut self, row: &JournalRow<'_>) -> Result<(), Fault> {
        let Event::EventRecorded(recorded) = row.event()? else {
            return Err(row.bad(Wrong::Value { column: "kind".to_owned() }).into());
        };
        match self.next_seq()? {
            Some(seq) if seq < row.seq => self.end(),
            Some(seq) if seq == row.seq => {
                if let Some(here) = self.here() {
                    compare_recorded(&here, &recorded, row.body)?;
                }
                self.advance()
            }
            Some(_) | None if recorded.ingested_at.wall.0 < self.deleted_before => Ok(()),
            Some(_) | None => {
                let key = recorded.signal.event_id.to_string();
                Err(BadRow { table: "events", key, what: Wrong::Missing }.into())
            }
        }
    }

    /// No event is left that the journal does not account for.
    pub(super) fn end(&self) -> Result<(), Fault> {
        match self.here() {
            Some(row) => Err(row.bad(Wrong::Unexpected).into()),
            None => Ok(()),
        }
    }
}

/// An event that waited is in the inbox, unless it was deleted since.
pub(super) fn check_pended(
    db: &Connection,
    row: &JournalRow<'_>,
    meta: &Meta,
) -> Result<(), Fault> {
    let Event::EventPended(pended) = row.event()? else {
        return Err(row.bad(Wrong::Value { column: "kind".to_owned() }).into());
    };
    let inbox = pended.inbox.as_str();
    let gone = tables::EVENT_INBOX.get(db, &[inbox])?.is_none();
    if gone && pended.ingested_at.wall.0 >= meta.events_deleted_before {
        let key = inbox.to_owned();
        return Err(BadRow { table: "event_inbox", key, what: Wrong::Missing }.into());
    }
    Ok(())
}

fn compare_recorded(
    row: &Cells<'_>,
    event: &EventRow,
    body: Option<ChainHash>,
) -> Result<(), Fault> {
    let signal = &event.signal;
    let texts = [
        ("event_id", Some(signal.event_id.as_str())),
        ("runtime_id", Some(event.runtime.as_str())),
        ("event_type", Some(signal.event_type.as_str())),
        ("source", Some(signal.source.as_str())),
        ("dedupe_key", Some(signal.dedupe_key.as_str())),
        ("source_event_id", signal.source_event_id.as_deref()),
        ("source_action_id", signal.action_id.as_deref()),
    ];
    let numbers = [
        ("source_seq", signal.source_seq),
        ("event_time", Some(signal.event_time.0)),
        ("ingested_at", Some(event.ingested_at.wall.0)),
    ];
    let mut same = body_fits(row.text_or_null("raw_payload")?, body);
    for (column, text) in texts {
        same &= row.has_text(column, text)?;
    }
    for (column, number) in numbers {
        same &= row.has_integer(column, number)?;
    }
    if same { Ok(()) } else { Err(row.bad(differs()).into()) }
}

pub(super) fn compare_pended(
    row: &Values<'_>,
    event: &InboxRow,
    body: Option<[u8; 32]>,
) -> Result<(), Fault> {
    let signal = serde_json::to_string(&event.signal)?;
    let same = row.text("inbox_id")? == event.inbox.as_str()
        && row.text("signal")? == signal
        && row.integer("ingested_at")? == event.ingested_at.wall.0;
    let same = same && body_fits(row.text_or_null("raw_payload")?, body.map(ChainHash));
    if same { Ok(()) } else { Err(row.bad(differs()).into()) }
}

/// A payload is the one that the journal has the hash of, or was cleared.
fn body_fits(payload: Option<&str>, body: Option<ChainHash>) -> bool {
    payload.is_none_or(|payload| Some(ChainHash::of(payload.as_bytes())) == body)
}

fn differs() -> Wrong {
    Wrong::Differs { from: "the journal".to_owned() }
}
