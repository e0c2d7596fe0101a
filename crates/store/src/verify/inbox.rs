//! The inbox, held against the journal row by row.

use engine::event::Event;
use engine::signal::InboxRow;
use rusqlite::Connection;

use crate::chain::ChainHash;
use crate::fault::{BadRow, Fault, Wrong};
use crate::journal::JournalRow;
use crate::meta::Meta;
use crate::row::Values;
use crate::tables;

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
    if gone && pended.ingested_at.wall.0 >= meta.inbox_deleted_before {
        let key = inbox.to_owned();
        return Err(BadRow { table: "event_inbox", key, what: Wrong::Missing }.into());
    }
    Ok(())
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
    let differs = Wrong::Differs { from: "the journal".to_owned() };
    if same { Ok(()) } else { Err(row.bad(differs).into()) }
}

/// A payload is the one that the journal has the hash of, or was cleared.
fn body_fits(payload: Option<&str>, body: Option<ChainHash>) -> bool {
    payload.is_none_or(|payload| Some(ChainHash::of(payload.as_bytes())) == body)
}
