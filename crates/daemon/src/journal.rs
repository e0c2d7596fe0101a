//! The journal, proven without a running daemon.

use crate::paths::Paths;

pub use store::{BadRow, Finding, OpenError, Report, Wrong};

/// Proves the whole database. Changes nothing, and a daemon may be at work on it.
pub fn verify(paths: &Paths) -> Result<Report, OpenError> {
    store::verify(&paths.database)
}
