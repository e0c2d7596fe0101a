//! The journal, proven or rebuilt without a running daemon.

use crate::clock::Clock;
use crate::config::Config;
use crate::lifecycle::{self, Lock};
use crate::paths::Paths;
use crate::run::{RunError, options};

pub use store::{BadRow, Finding, Lost, Numbers, OpenError, Rebuilt, Report, Wrong};

/// Proves the whole database. Changes nothing, and a daemon may be at work on it.
pub fn verify(paths: &Paths) -> Result<Report, OpenError> {
    store::verify(&paths.database)
}

/// Puts a database of what is proven in the place of a damaged one, which is kept. Nothing if it
/// is sound. Refused while a daemon runs.
pub fn rebuild(paths: &Paths) -> Result<Option<Rebuilt>, RunError> {
    lifecycle::prepare(paths)?;
    let lock = Lock::take(paths)?;
    let config = Config::load(&paths.config)?;
    let clock = Clock::new();
    let rebuilt = store::rebuild(&paths.database, options(&config, clock), clock.now())?;
    lock.release();
    Ok(rebuilt)
}
