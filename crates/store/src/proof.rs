//! What is checked before the first answer, at a cost that does not grow with the journal: every
//! row that is loaded, the end of the chain, the last checkpoint, and all of it against the anchor.

use engine::engine::Tables;
use rusqlite::{Connection, OptionalExtension};

use crate::anchor::{Mark, Reading};
use crate::chain::ChainHash;
use crate::checkpoint::{self, Checkpoint};
use crate::damage::Finding;
use crate::fault::{BadRow, Fault, Wrong};
use crate::journal::{Head, Walk, hash_of};
use crate::load::load;
use crate::meta::Meta;
use crate::row::signed;
use crate::{limits, schema};

/// Why a database is not believed, or could not be looked at.
#[derive(Debug)]
pub(crate) enum Doubt {
    Found(Finding),
    Failed(Fault),
}

impl<E: Into<Fault>> From<E> for Doubt {
    fn from(error: E) -> Self {
        Finding::of(error.into()).map_or_else(Self::Failed, Self::Found)
    }
}

impl From<Finding> for Doubt {
    fn from(finding: Finding) -> Self {
        Self::Found(finding)
    }
}

/// A database that proved to be what was left.
#[derive(Debug)]
pub(crate) struct Proven {
    pub(crate) meta: Meta,
    pub(crate) head: Head,
    pub(crate) checkpoint: ChainHash,
    pub(crate) tables: Tables,
}

impl Proven {
    /// What the anchor is to say of it.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            database: self.meta.identity.database.clone(),
            seq: self.head.seq,
            hash: self.head.hash,
            checkpoint: self.checkpoint,
            generation: self.meta.generation,
        }
    }
}

/// Proves what an engine is restored from.
pub(crate) fn prove(db: &Connection, anchor: Option<&Reading>) -> Result<Proven, Doubt> {
    prove_schema(db)?;
    let meta = Meta::read(db)?;
    let head = prove_tail(db, &meta)?;
    let checkpoint = checkpoint::last(db)?.ok_or_else(checkpoint_missing)?;
    prove_checkpoint(db, &checkpoint, &meta)?;
    if let Some(mark) = anchor.and_then(|it| it.mark.as_ref()) {
        hold(db, &meta, head, mark)?;
    }
    Ok(Proven { head, checkpoint: checkpoint.digest, tables: load(db)?, meta })
}

fn checkpoint_missing() -> BadRow {
    BadRow { table: "checkpoints", key: "0".to_owned(), what: Wrong::Missing }
}

pub(crate) fn prove_schema(db: &Connection) -> Result<(), Doubt> {
    let found = schema::version(db)?;
    let sql = "SELECT max(version) FROM schema_migrations";
    let migrated: Option<u32> = db.query_row(sql, [], |row| row.get(0))?;
    if migrated != Some(found) {
        return Err(Finding::Version { found, migrated: migrated.unwrap_or(0) }.into());
    }
    if schema::dump(db)? == schema::SCHEMA { Ok(()) } else { Err(Finding::Schema.into()) }
}

/// Walks the end of the chain.
fn prove_tail(db: &Connection, meta: &Meta) -> Result<Head, Doubt> {
    let head = Head::read(db)?;
    let seq = head.seq.saturating_sub(limits::TAIL_ROWS).max(meta.pruned.seq);
    let Some(hash) = hash_of(db, seq)? else {
        let what = Wrong::Missing;
        return Err(Fault::from(BadRow { table: "journal", key: seq.to_string(), what }).into());
    };
    let mut walk = Walk::from(Head { seq, hash });
    walk.go(db, usize::MAX, |_| Ok(()))?;
    if walk.head() == head {
        return Ok(head);
    }
    let what = Wrong::ChainHash;
    Err(Fault::from(BadRow { table: "journal", key: head.seq.to_string(), what }).into())
}

/// A checkpoint is whole, and the chain has what it stands for.
pub(crate) fn prove_checkpoint(
    db: &Connection,
    checkpoint: &Checkpoint,
    meta: &Meta,
) -> Result<(), Doubt> {
    checkpoint.prove()?;
    let Head { seq, hash } = checkpoint.head;
    let row = db
        .prepare_cached("SELECT hash FROM journal WHERE seq = ?")?
        .query_row([signed(seq)], |row| row.get(0))
        .optional()?;
    let what = match row.map(ChainHash) {
        Some(found) if found != hash => Wrong::ChainHash,
        None if seq > meta.pruned.seq => Wrong::Missing,
        Some(_) | None => return Ok(()),
    };
    Err(Fault::from(BadRow { table: "journal", key: seq.to_string(), what }).into())
}

/// Holds a database against its anchor.
pub(crate) fn hold(db: &Connection, meta: &Meta, head: Head, mark: &Mark) -> Result<(), Doubt> {
    let found = &meta.identity.database;
    if *found != mark.database {
        let (found, anchored) = (found.clone(), mark.database.clone());
        return Err(Finding::OtherDatabase { found, anchored }.into());
    }
    if head.seq < mark.seq {
        return Err(Finding::Cut { found: head.seq, anchored: mark.seq }.into());
    }
    // A row that was pruned since cannot be compared: the mark is an old one.
    if hash_of(db, mark.seq)?.is_some_and(|hash| hash != mark.hash) {
        return Err(Finding::Rewritten { anchored: mark.seq }.into());
    }
    if meta.generation < mark.generation {
        return Err(Finding::Older.into());
    }
    if !checkpoint::is_known(db, mark.checkpoint)? {
        return Err(Finding::CheckpointLost.into());
    }
    Ok(())
}
