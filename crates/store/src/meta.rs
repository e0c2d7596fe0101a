//! What a database says about itself.

use engine::time::WallMs;
use rusqlite::Connection;

use crate::chain::ChainHash;
use crate::fault::{BadRow, Fault, Wrong};
use crate::journal::Head;
use crate::ledger::Identity;
use crate::row::text;
use crate::tables::META;

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
    pub(crate) events_deleted_before: i64,
    /// The last row that the journal was pruned to.
    pub(crate) pruned: Head,
}

impl Meta {
    pub(crate) fn create(db: &Connection, identity: &Identity, at: WallMs) -> Result<(), Fault> {
        put(db, "database_id", &identity.database)?;
        put(db, "installation_id", &identity.installation)?;
        put(db, "machine_id", &identity.machine)?;
        put(db, "created_at", &at.0.to_string())?;
        put(db, "generation", "0")?;
        put(db, "payloads_cleared_before", &i64::MIN.to_string())?;
        put(db, "events_deleted_before", &i64::MIN.to_string())?;
        Self::set_pruned(db, 0, ChainHash::genesis(&identity.database))
    }

    pub(crate) fn read(db: &Connection) -> Result<Self, Fault> {
        let mut rows = std::collections::BTreeMap::new();
        META.each(db, "", |row| {
            rows.insert(row.text("key")?.to_owned(), row.text("value")?.to_owned());
            Ok(())
        })?;
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
            events_deleted_before: number(
                "events_deleted_before",
                &take("events_deleted_before")?,
            )?,
            pruned: Head {
                seq: number("pruned_seq", &take("pruned_seq")?)?,
                hash: number("pruned_hash", &take("pruned_hash")?)?,
            },
        })
    }

    pub(crate) fn set_generation(db: &Connection, generation: u64) -> Result<(), Fault> {
        put(db, "generation", &generation.to_string())
    }

    pub(crate) fn set_payloads_cleared_before(db: &Connection, at: i64) -> Result<(), Fault> {
        put(db, "payloads_cleared_before", &at.to_string())
    }

    pub(crate) fn raise_events_deleted_before(db: &Connection, at: i64) -> Result<(), Fault> {
        let at = at.max(Self::read(db)?.events_deleted_before);
        put(db, "events_deleted_before", &at.to_string())
    }

    pub(crate) fn set_pruned(db: &Connection, seq: u64, hash: ChainHash) -> Result<(), Fault> {
        put(db, "pruned_seq", &seq.to_string())?;
        put(db, "pruned_hash", &hash.to_string())
    }
}

fn put(db: &Connection, key: &str, value: &str) -> Result<(), Fault> {
    META.put(db, &[text(key), text(value)])
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, BadRow> {
    value.parse().map_err(|_| bad(key, Wrong::Value { column: "value".to_owned() }))
}

fn bad(key: &str, what: Wrong) -> BadRow {
    BadRow { table: "meta", key: key.to_owned(), what }
}
