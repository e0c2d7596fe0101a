//! Follows the spool: reads what is new, has it taken in, remembers how far, and clears up.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agents::spool;
use engine::target::TargetRow;
use engine::words::TargetKind;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::folder::Folder;
use super::running::Running;
use super::taking::{Ended, Place, Taken, Taking};
use super::tally::Tally;
use crate::adapters::Roster;
use crate::clock::Clock;
use crate::deck::Deck;
use crate::lifecycle;
use crate::lookout::Lookout;
use crate::sentinel::{self, Hint, Sentinel};

/// How long after something was taken in the cursor is saved.
const SAVE_DELAY: Duration = Duration::from_secs(1);
/// How long a file is appended to once something of it was taken in. It is deleted soon after: so
/// a raw payload is gone a minute after it was taken in.
const SET_ASIDE_DELAY: Duration = Duration::from_secs(30);
/// How long to wait before what could not be stored is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How long to wait at the start until every target was looked at, or could not be.
const FIRST_LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to look where the kernel does not tell of changes.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Starts to follow the spool in `folder`.
pub(crate) fn start(
    folder: PathBuf,
    deck: Deck,
    lookout: Lookout,
    clock: Clock,
    sentinel: &Sentinel,
    adapters: watch::Receiver<Arc<Roster>>,
    tally: watch::Sender<Tally>,
) -> io::Result<Running> {
    let events = sentinel.lookout()?;
    let (folder, due) = (Folder::new(folder), Due::default());
    let watched = false;
    let taking = Taking { place: Place::Here, deck, lookout, adapters, tally };
    let reader = Reader { folder, due, events, watched, clock, taking };
    Ok(Running::begin(|stop| reader.follow(stop)))
}

/// When something has to be done although nothing happens.
#[derive(Debug, Default)]
struct Due {
    save: Option<Instant>,
    set_aside: Option<Instant>,
    clear_up: Option<Instant>,
    retry: Option<Instant>,
    poll: Option<Instant>,
}

impl Due {
    fn next(&self) -> Option<Instant> {
        [self.save, self.set_aside, self.clear_up, self.retry, self.poll]
            .into_iter()
            .flatten()
            .min()
    }
}

#[derive(Debug)]
struct Reader {
    folder: Folder,
    due: Due,
    events: sentinel::Lookout,
    /// Whether the kernel tells of changes.
    watched: bool,
    clock: Clock,
    taking: Taking,
}

impl Reader {
    async fn follow(mut self, stop: Arc<Notify>) {
        tokio::select! {
            () = stop.notified() => return,
            () = self.first_look() => {}
        }
        while self.sweep().await.is_ok() {
            let next = self.due.next();
            tokio::select! {
                biased;
                () = stop.notified() => break,
                hints = self.events.hints() => self.hear(&hints),
                () = until(next) => {}
            }
        }
        self.save();
    }

    /// Waits until the panes are known that the first records may be about: those of this machine.
    async fn first_look(&self) {
        let mut published = self.taking.lookout.publications();
        let here = |row: &TargetRow| row.kind == TargetKind::Local;
        let observed = async {
            while !self.taking.lookout.read(|follower| follower.engine().is_observed(here)) {
                if published.changed().await.is_err() {
                    return;
                }
            }
        };
        // A target that gives no sign of life must not silence the others.
        tokio::time::timeout(FIRST_LOOK_TIMEOUT, observed).await.ok();
    }

    fn hear(&mut self, hints: &[Hint]) {
        let gone = |hint: &Hint| match hint {
            Hint::Unwatched(_) => true,
            Hint::Ended(_) | Hint::Written(..) | Hint::Came(..) | Hint::Left(..) | Hint::Lost => {
                false
            }
        };
        self.watched &= !hints.iter().any(gone);
    }

    /// Takes in everything there is, and does the upkeep that is due.
    async fn sweep(&mut self) -> Result<(), Ended> {
        self.watch();
        self.due.retry = None;
        match self.folder.find() {
            Ok(foreign) => self.note_foreign(foreign),
            Err(error) => tracing::warn!(%error, "the spool cannot be listed"),
        }
        for index in 0..self.folder.files.len() {
            self.take_in(index).await?;
        }
        if self.due.save.is_some_and(is_over) {
            self.save();
        }
        self.set_aside();
        let mut tally = Tally::default();
        match self.folder.clear_up(&mut tally) {
            Ok(next) => self.due.clear_up = next,
            Err(error) => {
                tracing::warn!(%error, "the spool cannot be cleared up");
                self.due.clear_up = Some(Instant::now() + RETRY_DELAY);
            }
        }
        self.taking.count(&tally);
        Ok(())
    }

    /// Sees to it that the kernel tells of changes; else we look by the clock.
    fn watch(&mut self) {
        if !self.watched {
            let path = self.folder.path();
            // Somebody may have deleted the folder.
            let made = lifecycle::own_folder(path).map_err(io::Error::other);
            let watched = made.and_then(|()| self.events.contents(path));
            if let Err(error) = &watched {
                tracing::warn!(%error, "the spool is not watched");
            }
            self.watched = watched.is_ok();
        }
        self.due.poll = (!self.watched).then(|| Instant::now() + POLL_INTERVAL);
    }

    fn note_foreign(&self, foreign: u64) {
        self.taking
            .tally
            .send_if_modified(|tally| std::mem::replace(&mut tally.foreign, foreign) != foreign);
    }

    /// Reads one file to its end, or to what cannot be stored now.
    async fn take_in(&mut self, index: usize) -> Result<(), Ended> {
        loop {
            let Some(file) = self.folder.files.get_mut(index) else { return Ok(()) };
            let (begin, lines) = match file.next_lines() {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(%error, name = file.name, "not read");
                    return Ok(());
                }
            };
            if lines.is_empty() {
                return Ok(());
            }
            let taken = self.taking.hand_over(begin, lines).await?;
            self.due.save.get_or_insert_with(|| Instant::now() + SAVE_DELAY);
            if let Taken::Before(position) = taken {
                self.wait_before(index, position);
                return Ok(());
            }
        }
    }

    /// Keeps what could not be stored: it is read once more, and until then it is on the disk.
    fn wait_before(&mut self, index: usize, position: u64) {
        self.due.retry = Some(Instant::now() + RETRY_DELAY);
        let Some(file) = self.folder.files.get_mut(index) else { return };
        if let Err(error) = file.go_back_to(position).and_then(|()| file.sync()) {
            tracing::warn!(%error, name = file.name, "not synced");
        }
    }

    fn set_aside(&mut self) {
        if !self.folder.has_something() {
            self.due.set_aside = None;
            return;
        }
        let due = *self.due.set_aside.get_or_insert_with(|| Instant::now() + SET_ASIDE_DELAY);
        if is_over(due) {
            self.due.set_aside = None;
            let name = spool::segment(self.clock.now().wall, std::process::id());
            // The next sweep finds it under its new name.
            if let Err(error) = self.folder.set_aside(&name) {
                tracing::warn!(%error, "the spool cannot be set aside");
            }
        }
    }

    fn save(&mut self) {
        self.due.save = None;
        if let Err(error) = self.folder.save() {
            // What is read again because of that is known by its id.
            tracing::warn!(%error, "the cursor of the spool was not saved");
        }
    }
}

fn is_over(due: Instant) -> bool {
    due <= Instant::now()
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
