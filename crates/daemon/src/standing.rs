//! Whether what becomes true is stored, as far as the last attempt showed.
//!
//! What is not stored is not shown either, so while nothing is stored every answer is of the past
//! and has to say so.

use api::error_code::ErrorCode;
use store::{CommitError, CommitErrorKind};

/// Whether changes are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Writable,
    /// The last commit failed, and the next may not.
    Failing {
        code: ErrorCode,
        why: String,
    },
    /// Nothing is stored any more until the daemon starts again.
    ReadOnly(String),
}

impl Standing {
    /// The standing after one more publication: what was lost, or that something was stored. One
    /// with neither shows nothing, since what changes nothing writes nothing.
    pub(crate) fn after(self, lost: Option<&CommitError>, stored: bool) -> Self {
        match (self, lost) {
            (Self::ReadOnly(why), _) => Self::ReadOnly(why),
            (Self::Writable | Self::Failing { .. }, Some(error)) => Self::of_failure(error),
            (Self::Failing { code, why }, None) if !stored => Self::Failing { code, why },
            (Self::Writable | Self::Failing { .. }, None) => Self::Writable,
        }
    }

    fn of_failure(error: &CommitError) -> Self {
        let why = error.to_string();
        match error.kind {
            CommitErrorKind::Full => Self::Failing { code: ErrorCode::StoreFull, why },
            CommitErrorKind::Busy => Self::Failing { code: ErrorCode::Overloaded, why },
            CommitErrorKind::Refused => Self::Failing { code: ErrorCode::Internal, why },
            CommitErrorKind::Io
            | CommitErrorKind::Corrupt
            | CommitErrorKind::Gone
            | CommitErrorKind::ReadOnly
            | CommitErrorKind::Lost => Self::ReadOnly(why),
        }
    }

    /// Why nothing is stored now, if so.
    pub(crate) fn trouble(&self) -> Option<(ErrorCode, &str)> {
        match self {
            Self::Writable => None,
            Self::Failing { code, why } => Some((*code, why)),
            Self::ReadOnly(why) => Some((ErrorCode::StoreReadOnly, why)),
        }
    }
}

impl From<store::Standing> for Standing {
    fn from(opened: store::Standing) -> Self {
        match opened {
            store::Standing::Writable => Self::Writable,
            store::Standing::ReadOnly(why) => Self::ReadOnly(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use store::CommitOutcome;

    use super::*;

    #[test]
    fn a_full_disk_is_over_when_something_is_stored_and_a_broken_one_never() {
        let failed = |kind| CommitError { kind, outcome: CommitOutcome::NotDone, source: None };
        let full = Standing::Writable.after(Some(&failed(CommitErrorKind::Full)), false);
        assert!(matches!(full, Standing::Failing { code: ErrorCode::StoreFull, .. }));
        assert_eq!(full.clone().after(None, false), full, "nothing was tried");
        assert_eq!(full.after(None, true), Standing::Writable);
        let broken = Standing::Writable.after(Some(&failed(CommitErrorKind::Io)), false);
        assert!(matches!(broken, Standing::ReadOnly(_)));
        assert_eq!(broken.clone().after(None, true), broken);
    }
}
