//! The real ledger on a real file, and the ways in which it is interrupted.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::settings::Settings;
use engine::time::Now;
use store::{Durability, Identity, Journal, Ledger, Mishap, Options, Step};
use tempfile::TempDir;

use super::check::{Checked, violated};
use super::rng::Rng;

/// What is to happen to the next transaction that gets so far, and whether it has.
#[derive(Debug, Default)]
struct Ambush {
    planned: Option<(Step, Mishap)>,
    sprung: bool,
}

/// A folder that holds one database.
pub(crate) struct Disk {
    folder: TempDir,
    ambush: Arc<Mutex<Ambush>>,
}

/// An open ledger, and a reader beside it.
pub(crate) struct Books {
    pub(crate) ledger: Ledger,
    pub(crate) journal: Journal,
}

impl Disk {
    /// A new folder, in memory where the machine offers that: what is simulated is not the disk.
    pub(crate) fn new() -> std::io::Result<Disk> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("qd-sim-").tempdir_in(parent)?;
        Ok(Disk { folder, ambush: Arc::default() })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("qd.db")
    }

    /// Opens what is there; a daemon's start.
    pub(crate) fn open(&self, settings: Settings, now: Now) -> Result<Books, String> {
        let ambush = Arc::clone(&self.ambush);
        let probe = move |step: Step| {
            let mut ambush = ambush.lock().unwrap_or_else(PoisonError::into_inner);
            let (_, mishap) = ambush.planned.take_if(|(at, _)| *at == step)?;
            ambush.sprung = true;
            Some(mishap)
        };
        let named = |what: &str| format!("sim-{what}");
        let options = Options {
            settings,
            identity: Identity {
                database: named("db"),
                installation: named("installation"),
                machine: named("machine"),
            },
            durability: Durability::None,
            probe: Some(Box::new(probe)),
        };
        let opened = Ledger::open(&self.path(), options, now).map_err(|error| chain(&error))?;
        if let Some(damage) = &opened.damage {
            return Err(format!("the database counts as damaged: {damage:?}"));
        }
        let ledger = opened.ledger;
        let journal = ledger.journal().map_err(|error| chain(&error))?;
        Ok(Books { ledger, journal })
    }

    /// Something will happen to the next transaction that gets to `step`.
    pub(crate) fn lie_in_wait(&self, step: Step, mishap: Mishap) {
        self.ambush().planned = Some((step, mishap));
    }

    pub(crate) fn let_go(&self) {
        *self.ambush() = Ambush::default();
    }

    /// Whether something happened since this was last asked.
    pub(crate) fn has_sprung(&self) -> bool {
        std::mem::take(&mut self.ambush().sprung)
    }

    fn ambush(&self) -> MutexGuard<'_, Ambush> {
        self.ambush.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the write-ahead log is.
    pub(crate) fn log_length(&self) -> u64 {
        fs::metadata(self.beside("-wal")).map_or(0, |it| it.len())
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("qd.db{suffix}"))
    }

    /// The process that held the books is killed: what it had written stays, its shared memory
    /// too. Of what it was writing last, behind `kept` bytes of the log, anything may be missing.
    pub(crate) fn kill(&self, books: Books, kept: Option<u64>, rng: &mut Rng) {
        let shared = fs::read(self.beside("-shm"));
        let length = self.log_length();
        drop(books);
        if let Some(kept) = kept.filter(|kept| *kept < length) {
            let span = i64::try_from(length - kept).unwrap_or(0);
            let left = kept + u64::try_from(rng.between(0, span)).unwrap_or(0);
            let log = OpenOptions::new().write(true).open(self.beside("-wal"));
            log.and_then(|log| log.set_len(left)).ok();
        } else if let Ok(shared) = shared {
            fs::write(self.beside("-shm"), shared).ok();
        }
    }

    /// The whole proof, as `qd journal verify` does it.
    pub(crate) fn verify(&self) -> Checked {
        match store::verify(&self.path()) {
            Ok(report) if report.is_sound() => Ok(()),
            Ok(report) => violated("I1", format!("{:?}", report.findings)),
            Err(error) => violated("I1", chain(&error)),
        }
    }
}

/// An error with all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |it| it.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
