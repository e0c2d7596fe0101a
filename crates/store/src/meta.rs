//! What a database says about itself.

use engine::time::WallMs;
use rusqlite::Connection;

use crate::chain::ChainHash;
use crate::fault::{BadRow, Fault, Wrong};
use crate::journal::Head;
use crate::ledger::Identity;
use crate::row::text;
use crate::tables::META;
use crate::trust::{Probation, Remembered};

const ENDED_DELETED: &str = "ended_deleted_before";

/// The rows of `meta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) identity: Identity,
    pub(crate) created_at: WallMs,
    /// Counts the commits that append no row to the journal.
    pub(crate) generation: u64,
    /// Payloads of events that came in before this were cleared.
    pub(crate) payloads_cleared_before: i64,
    /// Events that came in before this may have been deleted.
    pub(crate) inbox_deleted_before: i64,
    /// Actions and approvals that ended before this may have been deleted. The first databases do not say.
    pub(crate) ended_deleted_before: Option<i64>,
    /// The last row that the journal was pruned to.
    pub(crate) pruned: Head,
    /// How far the wall clock is believed. The first databases did not say.
    pub(crate) clock: Option<Remembered>,
    /// Which telling of the history this is, once the same numbers may have told another one.
    branch: Option<String>,
}

impl Meta {
    pub(crate) fn create(db: &Connection, identity: &Identity, at: WallMs) -> Result<(), Fault> {
        put(db, "database_id", &identity.database)?;
        put(db, "installation_id", &identity.installation)?;
        put(db, "machine_id", &identity.machine)?;
        put(db, "created_at", &at.0.to_string())?;
        put(db, "generation", "0")?;
        put(db, "payloads_cleared_before", &i64::MIN.to_string())?;
        put(db, "inbox_deleted_before", &i64::MIN.to_string())?;
        Self::set_clock(db, &Remembered { believed: at, doubt: None })?;
        Self::set_pruned(db, 0, ChainHash::genesis(&identity.database))
    }

    pub(crate) fn read(db: &Connection) -> Result<Self, Fault> {
        let mut rows = std::collections::BTreeMap::new();
        META.each(db, "", |row| {
            rows.insert(row.text("key")?.to_owned(), row.text("value")?.to_owned());
            Ok(())
        })?;
        let branch = rows.remove("branch");
        let clock = rows.remove("clock").map(|value| clock_of(&value)).transpose()?;
        let deleted = rows.remove(ENDED_DELETED);
        let ended_deleted_before =
            deleted.map(|value| number(ENDED_DELETED, &value)).transpose()?;
        let mut take = |key: &str| rows.remove(key).ok_or_else(|| bad(key, Wrong::Missing));
        Ok(Self {
            identity: Identity {
                database: take("database_id")?,
                installation: take("installation_id")?,
                machine: take("machine_id")?,
            },
            created_at: WallMs(number("created_at", &take("created_at")?)?),
            generation: number("generation", &take("generation")?)?,
            payloads_cleared_before: number(
                "payloads_cleared_before",
                &take("payloads_cleared_before")?,
            )?,
            inbox_deleted_before: number("inbox_deleted_before", &take("inbox_deleted_before")?)?,
            ended_deleted_before,
            pruned: Head {
                seq: number("pruned_seq", &take("pruned_seq")?)?,
                hash: number("pruned_hash", &take("pruned_hash")?)?,
            },
            clock,
            branch,
        })
    }

    /// The id of the watch stream that is told from here.
    pub(crate) fn stream(&self) -> String {
        match &self.branch {
            None => self.identity.database.clone(),
            Some(branch) => format!("{}.{branch}", self.identity.database),
        }
    }

    /// From here on history may be another one than was told before under the same numbers: an
    /// older copy was put back, or what was lost is not in it. No cursor of before goes on here.
    pub(crate) fn begin_branch(db: &Connection, at: WallMs) -> Result<(), Fault> {
        put(db, "branch", &format!("{:x}", at.0.max(0)))
    }

    pub(crate) fn set_generation(db: &Connection, generation: u64) -> Result<(), Fault> {
        put(db, "generation", &generation.to_string())
    }

    pub(crate) fn set_payloads_cleared_before(db: &Connection, at: i64) -> Result<(), Fault> {
        put(db, "payloads_cleared_before", &at.to_string())
    }

    pub(crate) fn raise_inbox_deleted_before(db: &Connection, at: i64) -> Result<(), Fault> {
        let at = at.max(Self::read(db)?.inbox_deleted_before);
        put(db, "inbox_deleted_before", &at.to_string())
    }

    pub(crate) fn raise_ended_deleted_before(db: &Connection, at: i64) -> Result<(), Fault> {
        let known = Self::read(db)?.ended_deleted_before;
        put(db, ENDED_DELETED, &known.map_or(at, |known| known.max(at)).to_string())
    }

    /// Where the clock was last believed; while it is doubted also where it was last seen, and for
    /// how long it has been running steadily.
    pub(crate) fn set_clock(db: &Connection, clock: &Remembered) -> Result<(), Fault> {
        let believed = clock.believed.0;
        match clock.doubt {
            None => put(db, "clock", &believed.to_string()),
            Some(Probation { seen, steady_ms }) => {
                put(db, "clock", &format!("{believed} {} {steady_ms}", seen.0))
            }
        }
    }

    pub(crate) fn set_pruned(db: &Connection, seq: u64, hash: ChainHash) -> Result<(), Fault> {
        put(db, "pruned_seq", &seq.to_string())?;
        put(db, "pruned_hash", &hash.to_string())
    }
}

fn put(db: &Connection, key: &str, value: &str) -> Result<(), Fault> {
    META.put(db, &[text(key), text(value)])
}

/// What [`Meta::set_clock`] wrote.
fn clock_of(text: &str) -> Result<Remembered, BadRow> {
    let numbers: Vec<i64> =
        text.split(' ').map(|word| number("clock", word)).collect::<Result<_, _>>()?;
    let (believed, doubt) = match numbers[..] {
        [believed] => (believed, None),
        [believed, seen, steady_ms] => {
            (believed, Some(Probation { seen: WallMs(seen), steady_ms }))
        }
        _ => return Err(bad("clock", Wrong::Value { column: "value".to_owned() })),
    };
    Ok(Remembered { believed: WallMs(believed), doubt })
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, BadRow> {
    value.parse().map_err(|_| bad(key, Wrong::Value { column: "value".to_owned() }))
}

fn bad(key: &str, what: Wrong) -> BadRow {
    BadRow { table: "meta", key: key.to_owned(), what }
}
