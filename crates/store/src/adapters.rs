//! The adapters that somebody turned off, or on again, as rows.

use engine::adapter::AdapterRow;
use engine::ids::AgentType;
use engine::time::WallMs;
use rusqlite::{Connection, params};

use crate::fault::Fault;
use crate::row::{integer, text};
use crate::tables;

/// Writes a row, in place of that of another adapter for the same agent.
pub(crate) fn put(db: &Connection, row: &AdapterRow) -> Result<(), Fault> {
    db.prepare_cached("DELETE FROM adapters WHERE agent_type = ? AND adapter_name <> ?")?
        .execute(params![row.agent.as_str(), row.name])?;
    let capabilities = serde_json::to_string(&row.capabilities)?;
    tables::ADAPTERS.put(
        db,
        &[
            text(&row.name),
            text(row.agent.as_str()),
            text(&row.version),
            text(&capabilities),
            integer(row.enabled),
            integer(row.updated_at.0),
        ],
    )
}

/// All rows, in the engine's own order.
pub(crate) fn load(db: &Connection) -> Result<Vec<AdapterRow>, Fault> {
    let mut adapters = Vec::new();
    tables::ADAPTERS.each(db, "ORDER BY agent_type", |row| {
        adapters.push(AdapterRow {
            name: row.text("adapter_name")?.to_owned(),
            agent: AgentType::new(row.text("agent_type")?),
            version: row.text("version")?.to_owned(),
            capabilities: row.parsed("capabilities", |json| serde_json::from_str(json).ok())?,
            enabled: row.integer("enabled")? == 1,
            updated_at: WallMs(row.integer("updated_at")?),
        });
        Ok(())
    })?;
    Ok(adapters)
}
