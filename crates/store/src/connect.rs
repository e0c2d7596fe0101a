//! Connections to the database: one that writes, others that read.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::fault::Fault;
use crate::limits;

/// How a commit reaches the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// What was committed survives a power cut.
    #[default]
    Full,
    /// Nothing is forced to the disk: for simulations, where the disk is part of the world.
    None,
}

/// The connection that writes. The file must exist.
pub(crate) fn writer(path: &Path, durability: Durability) -> Result<Connection, Fault> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    configure(&db)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::None => "OFF",
    };
    db.pragma_update(None, "synchronous", synchronous)?;
    db.pragma_update(None, "secure_delete", "FAST")?;
    // The ledger itself says when the log is carried over, and learns of it when that fails.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(db)
}

/// A connection that reads, beside the one that writes.
pub(crate) fn reader(path: &Path) -> Result<Connection, Fault> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    configure(&db)?;
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

fn configure(db: &Connection) -> Result<(), Fault> {
    db.busy_timeout(Duration::from_millis(limits::BUSY_TIMEOUT_MS))?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // A file that is under suspicion must not be changed by looking at it.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.pragma_update(None, "mmap_size", 0)?;
    db.pragma_update(None, "trusted_schema", false)?;
    db.set_prepared_statement_cache_capacity(limits::STATEMENTS_MAX);
    Ok(())
}
