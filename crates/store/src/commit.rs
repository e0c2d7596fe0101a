//! Why a commit did not happen, and what is known of its outcome.

use std::io;

use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::fault::Fault;

/// What stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitErrorKind {
    /// The disk is full. The next commit may succeed.
    Full,
    /// The disk reports an error. The ledger is read-only from now on.
    Io,
    /// Somebody else held a lock on the database for too long. The next commit may succeed.
    Busy,
    /// The database is damaged. The ledger is read-only from now on.
    Corrupt,
    /// Its files were removed or replaced: what goes into those that are open, nobody will find
    /// again. The ledger is read-only from now on.
    Gone,
    /// The ledger was read-only already.
    ReadOnly,
    /// The tables refuse what the engine concluded: a defect of ours.
    Refused,
    /// The engine could not be brought back to what is stored. Nothing it says counts any more;
    /// the daemon has to start again.
    Lost,
}

/// Whether what was asked for may have been stored all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    NotDone,
    /// The disk failed at the last step: after a restart the batch is there whole, or not at all.
    Unknown,
}

/// A batch that was not committed.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct CommitError {
    pub kind: CommitErrorKind,
    pub outcome: CommitOutcome,
    #[source]
    pub source: Option<Fault>,
}

impl CommitError {
    pub(crate) fn read_only() -> Self {
        Self { kind: CommitErrorKind::ReadOnly, outcome: CommitOutcome::NotDone, source: None }
    }

    pub(crate) fn gone() -> Self {
        Self { kind: CommitErrorKind::Gone, outcome: CommitOutcome::NotDone, source: None }
    }

    /// Reads what a fault means; `committing` when it came from the last step.
    pub(crate) fn from_fault(fault: Fault, committing: bool) -> Self {
        let kind = kind_of(&fault);
        let outcome = match kind {
            CommitErrorKind::Io if committing => CommitOutcome::Unknown,
            CommitErrorKind::Full
            | CommitErrorKind::Io
            | CommitErrorKind::Busy
            | CommitErrorKind::Corrupt
            | CommitErrorKind::Gone
            | CommitErrorKind::ReadOnly
            | CommitErrorKind::Refused
            | CommitErrorKind::Lost => CommitOutcome::NotDone,
        };
        Self { kind, outcome, source: Some(fault) }
    }

    /// Whether the ledger stores nothing more after this.
    pub fn is_final(&self) -> bool {
        match self.kind {
            CommitErrorKind::Io
            | CommitErrorKind::Corrupt
            | CommitErrorKind::Gone
            | CommitErrorKind::ReadOnly
            | CommitErrorKind::Lost => true,
            CommitErrorKind::Full | CommitErrorKind::Busy | CommitErrorKind::Refused => false,
        }
    }

    fn sentence(&self) -> &'static str {
        match (self.kind, self.outcome) {
            (CommitErrorKind::Full, _) => "the disk is full",
            (CommitErrorKind::Io, CommitOutcome::NotDone) => "the disk reports an error",
            (CommitErrorKind::Io, CommitOutcome::Unknown) => {
                "the disk reports an error, and whether the change was stored is unknown"
            }
            (CommitErrorKind::Busy, _) => "the database is locked by another program",
            (CommitErrorKind::Corrupt, _) => "the database is damaged",
            (CommitErrorKind::Gone, _) => {
                "the database's files were removed or replaced while the daemon ran"
            }
            (CommitErrorKind::ReadOnly, _) => "the database is open read-only",
            (CommitErrorKind::Refused, _) => "the change does not fit the tables",
            (CommitErrorKind::Lost, _) => "the state in memory could not be restored",
        }
    }
}

pub(crate) fn kind_of(fault: &Fault) -> CommitErrorKind {
    match fault {
        Fault::Sql(error) => kind_of_sql(error),
        Fault::BadRow(_) => CommitErrorKind::Corrupt,
        Fault::File { source, .. } if is_full(source) => CommitErrorKind::Full,
        Fault::File { .. } => CommitErrorKind::Io,
        Fault::Json(_) | Fault::Shape(_) => CommitErrorKind::Refused,
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn kind_of_sql(error: &rusqlite::Error) -> CommitErrorKind {
    let Some(error) = error.sqlite_error() else { return CommitErrorKind::Refused };
    // The shared index of the log could not grow, which only a full disk prevents.
    if error.extended_code == ffi::SQLITE_IOERR_SHMSIZE {
        return CommitErrorKind::Full;
    }
    if error.code == ErrorCode::DiskFull {
        CommitErrorKind::Full
    } else if matches!(error.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) {
        CommitErrorKind::Busy
    } else if matches!(error.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) {
        CommitErrorKind::Corrupt
    } else if error.code == ErrorCode::ReadOnly {
        CommitErrorKind::ReadOnly
    } else if matches!(error.code, ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) {
        CommitErrorKind::Io
    } else {
        CommitErrorKind::Refused
    }
}
