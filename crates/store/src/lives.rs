//! Lives that are over: what is kept of a runtime after its end.

use engine::ids::{AgentType, BootId, PaneKey, RuntimeId, TargetId};
use engine::pane::Runtime;
use engine::state::StateRow;
use engine::time::WallMs;
use engine::words::EndReason;
use rusqlite::Connection;

use crate::fault::Fault;
use crate::row::Values;
use crate::tables;

/// A runtime that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The pane it lived in.
    pub key: PaneKey,
    pub runtime: Runtime,
    pub at: WallMs,
    pub reason: EndReason,
    /// The state that its end left, with what was known before.
    pub state: Option<StateRow>,
}

/// One life of a process in a pane, as its row tells it.
pub(crate) fn runtime(row: &Values<'_>) -> Result<Runtime, Fault> {
    Ok(Runtime {
        runtime: RuntimeId::new(row.text("runtime_id")?),
        boot: BootId::new(row.text("tmux_server_boot_id")?),
        epoch: row.narrow("pane_epoch")?,
        agent: row.text_or_null("agent_type")?.map(AgentType::new),
        pid: row.narrow("pid")?,
        started_at: WallMs(row.integer("started_at")?),
    })
}

pub(crate) fn pane_key(row: &Values<'_>) -> Result<PaneKey, Fault> {
    let target = TargetId::new(row.text("target_id")?);
    Ok(PaneKey { target, pane: row.parsed("pane_id", |text| text.parse().ok())? })
}

/// A runtime of that id, if there was one and it ended.
pub(crate) fn ended(db: &Connection, id: &RuntimeId) -> Result<Option<Ended>, Fault> {
    let Some(row) = tables::RUNTIMES.get(db, &[id.as_str()])? else { return Ok(None) };
    let Some(at) = row.integer_or_null("ended_at")? else { return Ok(None) };
    Ok(Some(Ended {
        key: pane_key(&row)?,
        runtime: runtime(&row)?,
        at: WallMs(at),
        reason: row.parsed("end_reason", EndReason::parse)?,
        state: row.parsed_or_null("last_state", |text| serde_json::from_str(text).ok())?,
    }))
}
