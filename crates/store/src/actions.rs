//! Actions and what was seen when they were decided, as rows.
//!
//! An action is history: its row is written at once, because the next input of the same
//! transaction may ask for it again under the same name.

use engine::action::ActionRow;
use engine::event::Event;
use engine::ids::{PaneKey, RuntimeId};
use engine::time::WallMs;
use engine::words::ActionKind;
use rusqlite::{Connection, OptionalExtension, params};

use crate::fault::{BadRow, Fault, Wrong};
use crate::journal::JournalRow;
use crate::meta::Meta;
use crate::row::{Values, counter, integer, integer_or_null, text, text_or_null, unsigned};
use crate::tables;

pub(crate) const BY_REQUEST: &str =
    "SELECT action_id FROM actions WHERE action_type = ? AND request_ref = ?";

/// Which actions are listed, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionsQuery {
    pub runtime: Option<RuntimeId>,
    pub pane: Option<PaneKey>,
    /// Only those that were asked for before this one.
    pub before: Option<String>,
    pub limit: u32,
}

/// An event that bears an action's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionEvent {
    pub event_id: String,
    pub runtime: RuntimeId,
    pub event_type: String,
    pub source: String,
    pub event_time: WallMs,
    pub ingested_at: WallMs,
    pub journal_seq: u64,
}

pub(crate) fn put(db: &Connection, row: &ActionRow) -> Result<(), Fault> {
    let json = serde_json::to_string(row)?;
    let pane = row.pane.pane.to_string();
    let target = row.pane.target.as_str();
    tables::ACTIONS.put(
        db,
        &[
            text(row.action.as_str()),
            text(row.act.kind().as_str()),
            text(&row.request_ref),
            text(target),
            text(&pane),
            text(row.runtime.as_str()),
            integer(row.requested.wall.0),
            integer_or_null(row.completed_at.map(|at| at.0)),
            text(row.phase.as_str()),
            text_or_null(row.failure.as_ref().map(|it| it.problem.as_str())),
            text(&json),
        ],
    )?;
    let seen = &row.snapshot;
    tables::ACTION_SNAPSHOTS.put(
        db,
        &[
            text(seen.snapshot.as_str()),
            text(row.action.as_str()),
            text(target),
            text(&pane),
            text(row.runtime.as_str()),
            counter(seen.state_version),
            integer(seen.observed_at.0),
            integer(seen.expires_at.0),
            text(&seen.nonce),
        ],
    )
}

/// The row as it was put; the columns beside it are there to be searched.
fn row(values: &Values<'_>) -> Result<ActionRow, Fault> {
    values.parsed("metadata_json", |text| serde_json::from_str(text).ok())
}

/// Those of which more may become known, in the engine's own order.
pub(crate) fn open(db: &Connection) -> Result<Vec<ActionRow>, Fault> {
    let mut actions = Vec::new();
    tables::ACTIONS.each(db, "WHERE completed_at IS NULL ORDER BY action_id", |values| {
        actions.push(row(values)?);
        Ok(())
    })?;
    Ok(actions)
}

pub(crate) fn by_id(db: &Connection, action: &str) -> Result<Option<ActionRow>, Fault> {
    tables::ACTIONS.get(db, &[action])?.map(|values| row(&values)).transpose()
}

pub(crate) fn by_request(
    db: &Connection,
    kind: ActionKind,
    request_ref: &str,
) -> Result<Option<ActionRow>, Fault> {
    let mut statement = db.prepare_cached(BY_REQUEST)?;
    let action: Option<String> =
        statement.query_row([kind.as_str(), request_ref], |row| row.get(0)).optional()?;
    action.map_or(Ok(None), |action| by_id(db, &action))
}

pub(crate) fn list(db: &Connection, query: &ActionsQuery) -> Result<Vec<ActionRow>, Fault> {
    let pane = query.pane.as_ref();
    let mut statement = db.prepare_cached(
        "SELECT action_id FROM actions WHERE (?1 IS NULL OR runtime_id = ?1) \
         AND (?2 IS NULL OR (target_id = ?2 AND pane_id = ?3)) \
         AND (?4 IS NULL OR action_id < ?4) ORDER BY action_id DESC LIMIT ?5",
    )?;
    let ids = statement
        .query_map(
            params![
                query.runtime.as_ref().map(RuntimeId::as_str),
                pane.map(|key| key.target.as_str()),
                pane.map(|key| key.pane.to_string()),
                query.before,
                query.limit,
            ],
            |row| row.get(0),
        )?
        .collect::<Result<Vec<String>, _>>()?;
    let rows = ids.iter().map(|id| by_id(db, id));
    rows.filter_map(Result::transpose).collect()
}

pub(crate) fn events(db: &Connection, action: &str) -> Result<Vec<ActionEvent>, Fault> {
    let mut statement = db.prepare_cached(
        "SELECT event_id, runtime_id, event_type, source, event_time, ingested_at, journal_seq \
         FROM events WHERE action_id = ? ORDER BY journal_seq",
    )?;
    let events = statement.query_map([action], |row| {
        Ok(ActionEvent {
            event_id: row.get(0)?,
            runtime: RuntimeId::new(row.get::<_, String>(1)?),
            event_type: row.get(2)?,
            source: row.get(3)?,
            event_time: WallMs(row.get(4)?),
            ingested_at: WallMs(row.get(5)?),
            journal_seq: unsigned(row, 6)?,
        })
    })?;
    Ok(events.collect::<Result<_, _>>()?)
}

/// Forgets actions that ended before `horizon` and that no event speaks of any more.
pub(crate) fn forget(db: &Connection, horizon: i64, limit: i64) -> Result<usize, Fault> {
    let ids = db
        .prepare_cached(
            "SELECT action_id FROM actions AS it WHERE completed_at < ? AND NOT EXISTS \
             (SELECT 1 FROM events WHERE events.action_id = it.action_id) AND NOT EXISTS \
             (SELECT 1 FROM approvals WHERE approvals.action_id = it.action_id) LIMIT ?",
        )?
        .query_map([horizon, limit], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    for id in &ids {
        db.prepare_cached("DELETE FROM action_snapshots WHERE action_id = ?")?.execute([id])?;
        tables::ACTIONS.delete(db, &[id])?;
    }
    Ok(ids.len())
}

/// Holds the end of an action, as one journal row tells it, against its own row.
pub(crate) fn check(db: &Connection, row: &JournalRow<'_>, meta: &Meta) -> Result<(), Fault> {
    let Event::ActionChanged(told) = row.event()? else {
        return Err(row.bad(Wrong::Value { column: "kind".to_owned() }).into());
    };
    if told.is_open() {
        return Ok(());
    }
    let bad = |what| BadRow { table: "actions", key: told.action.to_string(), what };
    match by_id(db, told.action.as_str())? {
        Some(stored) if stored == *told => check_snapshot(db, &told),
        Some(_) => Err(bad(Wrong::Differs { from: "the journal".to_owned() }).into()),
        None if told.completed_at.map(|at| at.0) < meta.ended_deleted_before => Ok(()),
        None => Err(bad(Wrong::Missing).into()),
    }
}

/// Holds what was seen when an action was decided against the row of its own that tells it.
fn check_snapshot(db: &Connection, told: &ActionRow) -> Result<(), Fault> {
    let seen = &told.snapshot;
    let sql = "SELECT action_id, target_id, pane_id, runtime_id, state_version, observed_at, \
               expires_at, nonce FROM action_snapshots WHERE snapshot_id = ?";
    let stored = db
        .prepare_cached(sql)?
        .query_row([seen.snapshot.as_str()], |row| {
            let text = |at| row.get::<_, String>(at);
            let times = (row.get::<_, i64>(5)?, row.get::<_, i64>(6)?);
            Ok(([text(0)?, text(1)?, text(2)?, text(3)?, text(7)?], unsigned(row, 4)?, times))
        })
        .optional()?;
    let texts = [
        told.action.as_str(),
        told.pane.target.as_str(),
        &told.pane.pane.to_string(),
        told.runtime.as_str(),
        seen.nonce.as_str(),
    ]
    .map(str::to_owned);
    let expected = (texts, seen.state_version, (seen.observed_at.0, seen.expires_at.0));
    let bad = |what| BadRow { table: "action_snapshots", key: seen.snapshot.to_string(), what };
    match stored {
        Some(stored) if stored == expected => Ok(()),
        Some(_) => Err(bad(Wrong::Differs { from: "the journal".to_owned() }).into()),
        None => Err(bad(Wrong::Missing).into()),
    }
}
