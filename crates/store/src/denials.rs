//! Who was turned away, as the journal tells it. No other table has it: nothing is decided by it.

use engine::access::Denial;
use engine::event::{Actor, Event};
use engine::ids::RuntimeId;
use engine::time::WallMs;
use rusqlite::{Connection, params};

use crate::fault::{BadRow, Fault, Wrong};

/// What the word of the journal's rows is that tell of one.
pub(crate) const KIND: &str = "access_denied";

pub(crate) const NEWEST: &str = "SELECT seq, at, actor, payload FROM journal \
     WHERE kind = 'access_denied' AND at > ?1 AND at <= ?2 ORDER BY at DESC, seq DESC";

/// Which denials are listed, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenialsQuery {
    /// Only of this agent's programs.
    pub runtime: Option<RuntimeId>,
    /// Only later ones.
    pub after: WallMs,
    /// None that are later than this.
    pub until: WallMs,
    pub limit: usize,
}

/// A denial, and who met with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    pub seq: u64,
    pub at: WallMs,
    pub actor: Actor,
    pub denial: Denial,
}

pub(crate) fn list(db: &Connection, query: &DenialsQuery) -> Result<Vec<Denied>, Fault> {
    let mut statement = db.prepare_cached(NEWEST)?;
    let mut rows = statement.query(params![query.after.0, query.until.0])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()?.filter(|_| found.len() < query.limit) {
        let seq: i64 = row.get(0)?;
        let wrong = |column: &str| BadRow {
            table: "journal",
            key: seq.to_string(),
            what: Wrong::Value { column: column.to_owned() },
        };
        let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        let actor = Actor::parse(text(2)?).ok_or_else(|| wrong("actor"))?;
        let Ok(Event::AccessDenied(denial)) = serde_json::from_str(text(3)?) else {
            return Err(wrong("payload").into());
        };
        if query.runtime.is_none() || denial.runtime == query.runtime {
            let seq = u64::try_from(seq).map_err(|_| wrong("seq"))?;
            found.push(Denied { seq, at: WallMs(row.get(1)?), actor, denial });
        }
    }
    Ok(found)
}
