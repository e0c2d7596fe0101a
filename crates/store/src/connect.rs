//! Connections to a database: one that writes, others that read.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use crate::fault::Fault;
use crate::files::Files;
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

const OURS: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX;

/// The connection that is to write. Where the file is write-protected, it reads.
pub(crate) fn writer(files: &Files) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OURS;
    let db = Connection::open_with_flags(&files.database, flags)?;
    configure(&db)?;
    if is_writable(&db) { Ok(db) } else { reader(&files.database) }
}

/// Has the writer write as it should, once the file is known to be ours.
pub(crate) fn make_durable(db: &Connection, durability: Durability) -> Result<(), Fault> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::None => "OFF",
    };
    db.pragma_update(None, "synchronous", synchronous)?;
    db.pragma_update(None, "secure_delete", "FAST")?;
    db.pragma_update(None, "cache_size", limits::CACHE_PAGES)?;
    // The ledger itself says when the log is carried over, and learns of it when that fails.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(())
}

pub(crate) fn is_writable(db: &Connection) -> bool {
    db.is_readonly(MAIN_DB).is_ok_and(|readonly| !readonly)
}

/// A connection that reads, beside the one that writes.
pub(crate) fn reader(database: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OURS;
    let db = Connection::open_with_flags(database, flags)?;
    configure(&db)?;
    let readable = db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    let unshared = readable.is_err_and(|error| {
        // In a folder that cannot be written, the log's shared index cannot be made.
        error.sqlite_error_code() == Some(ErrorCode::CannotOpen) && !Files::of(database).has_log()
    });
    if unshared { immutable(database) } else { Ok(db) }
}

/// A connection to a file that nobody can change.
fn immutable(database: &Path) -> Result<Connection, Fault> {
    let mut uri = String::from("file:");
    for byte in database.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => {
                uri.push('%');
                uri.push_str(&engine::ids::hex(&[*byte]));
            }
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OURS;
    let db = Connection::open_with_flags(uri, flags)?;
    configure(&db)?;
    Ok(db)
}

/// A connection to a copy that is ours alone, whatever is wrong with it.
pub(crate) fn examiner(copy: &Path) -> Result<Connection, Fault> {
    let db = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_WRITE | OURS)?;
    configure(&db)?;
    Ok(db)
}

/// A connection to a file that is being made: what it needs in between stays in memory.
pub(crate) fn maker(fresh: &Path) -> Result<Connection, Fault> {
    let db = Connection::open_with_flags(fresh, OpenFlags::SQLITE_OPEN_READ_WRITE | OURS)?;
    configure(&db)?;
    db.pragma_update(None, "journal_mode", "MEMORY")?;
    db.pragma_update(None, "synchronous", "OFF")?;
    Ok(db)
}

fn configure(db: &Connection) -> Result<(), Fault> {
    db.busy_timeout(Duration::from_millis(limits::BUSY_TIMEOUT_MS))?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // A plan that may depend on what is bound is made anew with every binding.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // A file that is under suspicion must not be changed by looking at it.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.pragma_update(None, "mmap_size", 0)?;
    db.pragma_update(None, "trusted_schema", false)?;
    db.set_prepared_statement_cache_capacity(limits::STATEMENTS_MAX);
    Ok(())
}
