//! The schema and its migrations: numbered, up and down, each one transaction with its number.

use engine::time::WallMs;
use rusqlite::{Connection, TransactionBehavior, params};

use crate::fault::Fault;
use crate::{denials, journal, past, retention};

/// Marks a database file as ours: `QDCK`.
pub const APPLICATION_ID: i32 = 0x5144_434b;
/// The version that this program writes.
pub const VERSION: u32 = 1;

/// The schema that all migrations together make.
pub(crate) const SCHEMA: &str = include_str!("../schema.sql");

/// One step from the version before it, and back.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub version: u32,
    pub up: &'static str,
    pub down: &'static str,
}

/// Every step there is, in order and without a gap.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    up: include_str!("../migrations/0001_spine.up.sql"),
    down: include_str!("../migrations/0001_spine.down.sql"),
}];

/// The questions that are asked with every event, and those that a list or a cleaner asks.
pub const HOT_QUERIES: &[(&str, &str)] = &[
    ("an event by its key", past::EVENT_BY_KEY),
    ("an event of a pane by its key", past::EVENT_BY_PANE_KEY),
    ("a waiting event by its key", past::INBOX_BY_KEY),
    ("an event by its id", past::EVENT_EXISTS),
    ("the last epoch of a pane", past::LAST_EPOCH),
    ("a runtime by its id", past::RUNTIME_EXISTED),
    ("the journal after a row", journal::ROWS_AFTER),
    ("all events, newest first", "SELECT event_id FROM events ORDER BY ingested_at DESC"),
    (
        "the inbox by status",
        "SELECT inbox_id FROM event_inbox WHERE status = ? ORDER BY ingested_at",
    ),
    ("states, newest first", "SELECT pane_id FROM states ORDER BY updated_at DESC"),
    (
        "states of one kind, newest first",
        "SELECT pane_id FROM states WHERE state = ? ORDER BY updated_at DESC",
    ),
    (
        "an action by its reference",
        "SELECT action_id FROM actions WHERE action_type = ? AND request_ref = ?",
    ),
    ("who was turned away, newest first", denials::NEWEST),
    ("the events of an action", "SELECT event_id FROM events WHERE action_id = ?"),
    ("expired payloads", retention::EXPIRED_PAYLOADS),
];

/// The version a database says it has; 0 for an empty one.
pub fn version(db: &Connection) -> rusqlite::Result<u32> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whether the migrations that were applied agree with the version in the header, so that a
/// flipped bit there is not taken for a newer program.
pub(crate) fn is_really(db: &Connection, version: u32) -> bool {
    let sql = "SELECT max(version) FROM schema_migrations";
    let applied: rusqlite::Result<Option<u32>> = db.query_row(sql, [], |row| row.get(0));
    applied.is_ok_and(|applied| applied == Some(version))
}

/// The version of a database that a newer program made, and that this one does not understand.
pub(crate) fn newer(db: &Connection) -> Result<Option<u32>, Fault> {
    let found = version(db)?;
    Ok(Some(found).filter(|found| *found > VERSION && is_really(db, *found)))
}

/// Takes `db` from its version to the newest of `steps`.
pub fn migrate_up(db: &mut Connection, steps: &[Migration], at: WallMs) -> Result<(), Fault> {
    let from = version(db)?;
    for step in steps.iter().filter(|step| step.version > from) {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step.up)?;
        transaction.execute(
            "INSERT INTO schema_migrations (version, applied_at) VALUES (?, ?)",
            params![step.version, at.0],
        )?;
        transaction.pragma_update(None, "user_version", step.version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Takes `db` back to `to`.
pub fn migrate_down(db: &mut Connection, steps: &[Migration], to: u32) -> Result<(), Fault> {
    let from = version(db)?;
    let back = steps.iter().rev().filter(|step| step.version <= from && step.version > to);
    for step in back {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step.down)?;
        if step.version > 1 {
            transaction
                .execute("DELETE FROM schema_migrations WHERE version = ?", [step.version])?;
        }
        transaction.pragma_update(None, "user_version", step.version - 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The schema of `db` as text, in an order of its own.
pub fn dump(db: &Connection) -> rusqlite::Result<String> {
    let mut statement = db.prepare(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name",
    )?;
    let parts = statement.query_map([], |row| row.get::<_, String>(0))?;
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    Ok(parts.iter().map(|sql| format!("{sql};\n")).collect())
}
