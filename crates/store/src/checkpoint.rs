//! Checkpoints: what the journal had come to, so that the rows before can be pruned.
//!
//! Each checkpoint's digest covers the one before it, and the anchor names the last: an edited
//! checkpoint fits neither.

use engine::engine::Tables;
use engine::time::WallMs;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use crate::chain::ChainHash;
use crate::fault::{BadRow, Fault, Wrong};
use crate::journal::Head;
use crate::ledger::Identity;
use crate::row::{signed, unsigned};

/// One checkpoint as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) head: Head,
    pub(crate) at: WallMs,
    pub(crate) tables: String,
    pub(crate) previous: ChainHash,
    pub(crate) digest: ChainHash,
}

impl Checkpoint {
    fn expected(&self) -> ChainHash {
        let mut hash = Sha256::new();
        hash.update(b"quarterdeck checkpoint 1\0");
        hash.update(self.previous.0);
        hash.update(self.head.seq.to_be_bytes());
        hash.update(self.at.0.to_be_bytes());
        hash.update(self.head.hash.0);
        hash.update(ChainHash::of(self.tables.as_bytes()).0);
        ChainHash(hash.finalize().into())
    }

    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            head: Head { seq: unsigned(row, 0)?, hash: ChainHash(row.get(2)?) },
            at: WallMs(row.get(1)?),
            tables: row.get(3)?,
            previous: ChainHash(row.get(4)?),
            digest: ChainHash(row.get(5)?),
        })
    }

    /// Whether it is what was written.
    pub(crate) fn prove(&self) -> Result<(), Fault> {
        let whole = self.expected() == self.digest;
        if whole { Ok(()) } else { Err(self.bad(Wrong::RowHash).into()) }
    }

    /// The tables in it.
    pub(crate) fn open(&self) -> Result<Tables, BadRow> {
        let wrong = |_| self.bad(Wrong::Value { column: "tables".to_owned() });
        serde_json::from_str(&self.tables).map_err(wrong)
    }

    pub(crate) fn bad(&self, what: Wrong) -> BadRow {
        BadRow { table: "checkpoints", key: self.head.seq.to_string(), what }
    }
}

/// What a database stands on that goes on where another one ended.
#[derive(Clone, Debug)]
pub(crate) struct Foundation {
    pub(crate) identity: Identity,
    /// The last row before its own.
    pub(crate) head: Head,
    /// The digest of the last checkpoint before its own.
    pub(crate) previous: ChainHash,
    pub(crate) generation: u64,
}

/// Writes the first checkpoint of a database that goes on where another one ended.
pub(crate) fn found(
    db: &Connection,
    foundation: &Foundation,
    tables: &Tables,
    at: WallMs,
) -> Result<(), Fault> {
    write_after(db, foundation.previous, foundation.head, tables, at).map(|_| ())
}

/// Writes what the journal has come to at `head`, and returns its digest.
pub(crate) fn write(
    db: &Connection,
    head: Head,
    tables: &Tables,
    at: WallMs,
) -> Result<ChainHash, Fault> {
    write_after(db, last_digest(db)?, head, tables, at)
}

fn write_after(
    db: &Connection,
    previous: ChainHash,
    head: Head,
    tables: &Tables,
    at: WallMs,
) -> Result<ChainHash, Fault> {
    let tables = serde_json::to_string(tables)?;
    let digest = ChainHash([0; 32]);
    let mut checkpoint = Checkpoint { head, at, tables, previous, digest };
    checkpoint.digest = checkpoint.expected();
    let Checkpoint { tables, previous, digest, .. } = &checkpoint;
    db.prepare_cached(
        "INSERT INTO checkpoints (seq, at, chain_hash, tables, previous, digest) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![signed(head.seq), at.0, head.hash.0, tables, previous.0, digest.0])?;
    Ok(checkpoint.digest)
}

const ALL: &str = "SELECT seq, at, chain_hash, tables, previous, digest FROM checkpoints";

pub(crate) fn last(db: &Connection) -> Result<Option<Checkpoint>, Fault> {
    let sql = format!("{ALL} ORDER BY seq DESC LIMIT 1");
    Ok(db.query_row(&sql, [], Checkpoint::of).optional()?)
}

/// The sequence numbers of all checkpoints, the newest first.
pub(crate) fn list(db: &Connection) -> Result<Vec<u64>, Fault> {
    let mut statement = db.prepare("SELECT seq FROM checkpoints ORDER BY seq DESC")?;
    let list = statement.query_map([], |row| unsigned(row, 0))?;
    Ok(list.collect::<Result<_, _>>()?)
}

pub(crate) fn get(db: &Connection, seq: u64) -> Result<Option<Checkpoint>, Fault> {
    let sql = format!("{ALL} WHERE seq = ?");
    Ok(db.query_row(&sql, [signed(seq)], Checkpoint::of).optional()?)
}

/// Whether a checkpoint with this digest is there, or was right before the oldest that is. The
/// newest first, for checkpoints are long and it mostly is that one.
pub(crate) fn is_known(db: &Connection, digest: ChainHash) -> Result<bool, Fault> {
    let sql = "SELECT 1 FROM checkpoints WHERE digest = ?1 OR previous = ?1 \
        ORDER BY seq DESC LIMIT 1";
    Ok(db.query_row(sql, [digest.0], |_| Ok(())).optional()?.is_some())
}

/// The digest of the last checkpoint; zeros where there is none.
pub(crate) fn last_digest(db: &Connection) -> Result<ChainHash, Fault> {
    let sql = "SELECT digest FROM checkpoints ORDER BY seq DESC LIMIT 1";
    let digest = db.query_row(sql, [], |row| row.get(0)).optional()?;
    Ok(ChainHash(digest.unwrap_or([0; 32])))
}
