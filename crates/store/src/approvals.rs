//! Approvals as rows: what was asked, and what became of it.
//!
//! Like actions they are history, and written at once.

use engine::approval::ApprovalRow;
use engine::event::Event;
use engine::ids::{PaneKey, RuntimeId};
use engine::words::ApprovalState;
use rusqlite::{Connection, params};

use crate::fault::{BadRow, Fault, Wrong};
use crate::journal::JournalRow;
use crate::meta::Meta;
use crate::row::{Values, integer, integer_or_null, text, text_or_null};
use crate::tables;

/// Which approvals are listed, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalsQuery {
    pub runtime: Option<RuntimeId>,
    pub pane: Option<PaneKey>,
    pub state: Option<ApprovalState>,
    pub limit: u32,
}

pub(crate) fn put(db: &Connection, row: &ApprovalRow) -> Result<(), Fault> {
    let json = serde_json::to_string(row)?;
    tables::APPROVALS.put(
        db,
        &[
            text(row.approval.as_str()),
            text(row.asking.kind.as_str()),
            text(row.pane.target.as_str()),
            text(&row.pane.pane.to_string()),
            text(row.runtime.as_str()),
            text(&row.fingerprint),
            integer(row.opened.wall.0),
            integer(row.expires_at.0),
            text(row.state.as_str()),
            integer_or_null(row.closed_at.map(|at| at.0)),
            integer(row.settled),
            text_or_null(row.answer.as_ref().map(|answer| answer.action.as_str())),
            text(&json),
        ],
    )
}

/// The row as it was put; the columns beside it are there to be searched.
fn row(values: &Values<'_>) -> Result<ApprovalRow, Fault> {
    values.parsed("metadata_json", |text| serde_json::from_str(text).ok())
}

/// Those of which more may become known, in the engine's own order.
pub(crate) fn open(db: &Connection) -> Result<Vec<ApprovalRow>, Fault> {
    let mut approvals = Vec::new();
    tables::APPROVALS.each(db, "WHERE settled = 0 ORDER BY approval_id", |values| {
        approvals.push(row(values)?);
        Ok(())
    })?;
    Ok(approvals)
}

pub(crate) fn by_id(db: &Connection, approval: &str) -> Result<Option<ApprovalRow>, Fault> {
    tables::APPROVALS.get(db, &[approval])?.map(|values| row(&values)).transpose()
}

/// The newest that fit, the oldest of them first.
pub(crate) fn list(db: &Connection, query: &ApprovalsQuery) -> Result<Vec<ApprovalRow>, Fault> {
    let pane = query.pane.as_ref();
    let mut statement = db.prepare_cached(
        "SELECT approval_id FROM approvals WHERE (?1 IS NULL OR runtime_id = ?1) \
         AND (?2 IS NULL OR (target_id = ?2 AND pane_id = ?3)) \
         AND (?4 IS NULL OR state = ?4) ORDER BY opened_at DESC, approval_id DESC LIMIT ?5",
    )?;
    let ids = statement
        .query_map(
            params![
                query.runtime.as_ref().map(RuntimeId::as_str),
                pane.map(|key| key.target.as_str()),
                pane.map(|key| key.pane.to_string()),
                query.state.map(ApprovalState::as_str),
                query.limit,
            ],
            |row| row.get(0),
        )?
        .collect::<Result<Vec<String>, _>>()?;
    let rows = ids.iter().rev().map(|id| by_id(db, id));
    rows.filter_map(Result::transpose).collect()
}

/// Forgets approvals that ended before `horizon`.
pub(crate) fn forget(db: &Connection, horizon: i64, limit: i64) -> Result<usize, Fault> {
    let ids = db
        .prepare_cached(
            "SELECT approval_id FROM approvals WHERE settled = 1 AND closed_at < ? LIMIT ?",
        )?
        .query_map([horizon, limit], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    for id in &ids {
        tables::APPROVALS.delete(db, &[id])?;
    }
    Ok(ids.len())
}

/// Holds the end of an approval, as one journal row tells it, against its own row.
pub(crate) fn check(db: &Connection, row: &JournalRow<'_>, meta: &Meta) -> Result<(), Fault> {
    let Event::ApprovalChanged(told) = row.event()? else {
        return Err(row.bad(Wrong::Value { column: "kind".to_owned() }).into());
    };
    if told.is_open() {
        return Ok(());
    }
    let bad = |what| BadRow { table: "approvals", key: told.approval.to_string(), what };
    match by_id(db, told.approval.as_str())? {
        Some(stored) if stored == *told => Ok(()),
        Some(_) => Err(bad(Wrong::Differs { from: "the journal".to_owned() }).into()),
        None if told.closed_at.map(|at| at.0) < meta.ended_deleted_before => Ok(()),
        None => Err(bad(Wrong::Missing).into()),
    }
}
