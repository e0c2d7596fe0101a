//! Checkpoints: what the journal had come to, so that the rows before can be pruned.
//!
//! Each checkpoint's digest covers the one before it, and the anchor names the last: an edited
//! checkpoint fits neither.

use engine::engine::Tables;
use engine::time::WallMs;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use crate::chain::ChainHash;
use crate::fault::{BadRow, Fault, Wrong};
use crate::journal::Head;
use crate::row::signed;

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

    /// The tables in it, once it proves to be whole.
    pub(crate) fn open(&self) -> Result<Tables, BadRow> {
        if self.expected() != self.digest {
            return Err(self.bad(Wrong::RowHash));
        }
        let wrong = |_| self.bad(Wrong::Value { column: "tables".to_owned() });
        serde_json::from_str(&self.tables).map_err(wrong)
    }

    pub(crate) fn bad(&self, what: Wrong) -> BadRow {
        BadRow { table: "checkpoints", key: self.head.seq.to_string(), what }
    }
}

/// Writes what the journal has come to at `head`, and returns its digest.
pub(crate) fn write(
    db: &Connection,
    head: Head,
    tables: &Tables,
    at: WallMs,
) -> Result<ChainHash, Fault> {
    let mut checkpoint = Checkpoint {
        head,
        at,
        tables: serde_json::to_string(tables)?,
        previous: last_digest(db)?,
        digest: ChainHash([0; 32]),
    };
    checkpoint.digest = checkpoint.expected();
    let Checkpoint { tables, previous, digest, .. } = &checkpoint;
    db.prepare_cached(
        "INSERT INTO checkpoints (seq, at, chain_hash, tables, previous, digest) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![signed(head.seq), at.0, head.hash.0, tables, previous.0, digest.0])?;
    Ok(checkpoint.digest)
}

/// The digest of the last checkpoint; zeros where there is none.
pub(crate) fn last_digest(db: &Connection) -> Result<ChainHash, Fault> {
    let sql = "SELECT digest FROM checkpoints ORDER BY seq DESC LIMIT 1";
    let digest = db.query_row(sql, [], |row| row.get(0)).optional()?;
    Ok(ChainHash(digest.unwrap_or([0; 32])))
}
