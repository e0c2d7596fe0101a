//! What was found to be wrong with a database, and what is left of it.

use std::path::PathBuf;

use crate::anchor::Mark;
use crate::commit::{CommitErrorKind, kind_of};
use crate::fault::{BadRow, Fault};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    #[error(transparent)]
    BadRow(#[from] BadRow),
    #[error("the database is missing, and its journal had come to {anchored}")]
    Missing { anchored: u64 },
    #[error("the write-ahead log is there without its database")]
    LogAlone,
    #[error("the database is not a database any more")]
    Unreadable,
    #[error("the database belongs to another program ({application_id:#010x})")]
    OtherProgram { application_id: i32 },
    #[error("SQLite finds it damaged: {message}")]
    Sqlite { message: String },
    #[error("the index {name} does not hold what its table holds")]
    Index { name: &'static str },
    #[error("it says to be of schema {found} and was migrated to {migrated}")]
    Version { found: u32, migrated: u32 },
    #[error("the schema is not the one that schema {version} has", version = crate::schema::VERSION)]
    Schema,
    #[error("the journal ends at {found}, and had come to {anchored}")]
    Cut { found: u64, anchored: u64 },
    #[error("row {anchored} of the journal is another one than was written")]
    Rewritten { anchored: u64 },
    #[error("the database is older than its anchor, which knows of later upkeep")]
    Older,
    #[error("the anchor's checkpoint is not there")]
    CheckpointLost,
    #[error("the anchor belongs to database `{anchored}`, and this one is `{found}`")]
    OtherDatabase { found: String, anchored: String },
    #[error("a mark in the anchor is damaged")]
    AnchorDamaged,
    #[error("there is no anchor")]
    AnchorMissing,
}

impl Finding {
    /// What a fault says about the database, if it does: some only say that it could not be read.
    pub(crate) fn of(fault: Fault) -> Result<Self, Fault> {
        match fault {
            Fault::BadRow(row) => Ok(Self::BadRow(row)),
            Fault::Sql(error) => {
                if is_damage(&error) {
                    Ok(Self::Sqlite { message: error.to_string() })
                } else {
                    Err(Fault::Sql(error))
                }
            }
            Fault::Json(_) | Fault::File { .. } | Fault::Shape(_) => Err(fault),
        }
    }
}

/// Whether SQLite complains of what is in the file, rather than of the way to it.
fn is_damage(error: &rusqlite::Error) -> bool {
    let Some(code) = error.sqlite_error() else {
        // A value that is none of the kind its column has.
        return true;
    };
    let generic = code.code == rusqlite::ErrorCode::Unknown;
    let short = code.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ;
    let fault = Fault::Sql(rusqlite::Error::SqliteFailure(*code, None));
    generic || short || kind_of(&fault) == CommitErrorKind::Corrupt
}

/// A database that did not prove to be what was left, and what is done about it.
#[derive(Clone, Debug)]
pub struct Damage {
    /// The first thing that was found wrong.
    pub finding: Finding,
    /// Where the files are kept as they were found; nothing was changed in the originals.
    pub kept: PathBuf,
    /// The last row of the journal that is proven; what the ledger shows is what it came to.
    pub proven_through: u64,
    /// The last row that is known to have been there.
    pub anchored: Option<u64>,
    pub(crate) mark: Option<Mark>,
}
