//! Follows the spool: reads what is new, has it taken in, remembers how far, and clears up.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agents::record::{Payload, Record};
use agents::spool;
use engine::event::Actor;
use engine::input::{Acceptance, Input, Refusal, Reply};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::batch::Line;
use super::binding::{self, Bound};
use super::folder::Folder;
use super::intake;
use super::tally::Tally;
use crate::adapters::Roster;
use crate::clock::Clock;
use crate::deck::{Answer, Deck, Fault};
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
/// Payloads of more bytes than this are cleaned away from the main thread.
const SMALL_BYTES_MAX: usize = 16 * 1024;

/// A reader at work.
#[derive(Debug)]
pub(crate) struct Running {
    stop: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Running {
    /// Ends it after what it has in hand, with the cursor saved.
    pub(crate) async fn stop(self) {
        self.stop.notify_one();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the reader of the spool broke off");
        }
    }
}

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
    let stop = Arc::new(Notify::new());
    let events = sentinel.lookout()?;
    let (folder, due) = (Folder::new(folder), Due::default());
    let watched = false;
    let reader = Reader { folder, due, events, watched, deck, lookout, clock, adapters, tally };
    let task = tokio::spawn(reader.follow(Arc::clone(&stop)));
    Ok(Running { stop, task })
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
    deck: Deck,
    lookout: Lookout,
    clock: Clock,
    adapters: watch::Receiver<Arc<Roster>>,
    tally: watch::Sender<Tally>,
}

/// Nobody decides any more.
struct Ended;

/// What became of some lines.
enum Taken {
    All,
    /// What begins here could not be stored, and may be a moment later.
    Before(u64),
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

    /// Waits until the panes are known that the first records may be about.
    async fn first_look(&self) {
        let mut published = self.lookout.publications();
        let observed = async {
            while !self.lookout.read(|follower| follower.engine().is_observed()) {
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
        let mut tally = self.tally.borrow().clone();
        match self.folder.clear_up(&mut tally) {
            Ok(next) => self.due.clear_up = next,
            Err(error) => {
                tracing::warn!(%error, "the spool cannot be cleared up");
                self.due.clear_up = Some(Instant::now() + RETRY_DELAY);
            }
        }
        self.tally.send_replace(tally);
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
        self.tally
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
            let taken = self.hand_over(begin, lines).await?;
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

    /// Hands lines to the deck, in their order, and waits until they are committed.
    async fn hand_over(&self, begin: u64, lines: Vec<Line>) -> Result<Taken, Ended> {
        let mut tally = self.tally.borrow().clone();
        let roster = Arc::clone(&self.adapters.borrow());
        let mut found = Vec::with_capacity(lines.len());
        let mut line_begin = begin;
        for line in lines {
            match line.record {
                Err(why) => tally.unread(why),
                Ok(record) => match self.bind(&record, &roster) {
                    Some(bound) => found.push((line_begin, record, bound)),
                    None => tally.found_no_pane(&record.agent.to_lowercase()),
                },
            }
            line_begin = line.end;
        }
        let begins: Vec<(u64, String)> =
            found.iter().map(|(begin, record, _)| (*begin, record.agent.to_lowercase())).collect();
        let inputs = inputs(found, roster).await;
        let answers = self.deck.ask_all(inputs).await;
        let mut taken = Taken::All;
        for ((begin, agent), answer) in begins.into_iter().zip(answers).rev() {
            match settle(answer, &agent, &mut tally) {
                Settling::Done => {}
                Settling::Later => taken = Taken::Before(begin),
                Settling::Never => return Err(Ended),
            }
        }
        self.tally.send_replace(tally);
        Ok(taken)
    }

    fn bind(&self, record: &Record, roster: &Roster) -> Option<Bound> {
        let machine = binding::Machine(roster);
        self.lookout.read(|follower| binding::bind(record, follower, &machine))
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

/// What to do about a record after its answer.
enum Settling {
    Done,
    Later,
    Never,
}

fn settle(answer: Answer, agent: &str, tally: &mut Tally) -> Settling {
    match answer {
        Ok(settled) => match settled.reply {
            Reply::Accepted(Acceptance::Bound { .. } | Acceptance::Pending { .. }) => {
                tally.taken += 1;
            }
            Reply::Accepted(Acceptance::Duplicate { .. } | Acceptance::Void)
            | Reply::Done
            | Reply::Target(_)
            | Reply::Action(_) => tally.repeated += 1,
        },
        Err(Fault::Refused(Refusal::InboxFull) | Fault::Store(_)) => return Settling::Later,
        Err(Fault::Refused(Refusal::EventIdConflict(_) | Refusal::DedupeConflict(_))) => {
            tally.repeated += 1;
        }
        // The target went away since we looked.
        Err(Fault::Refused(
            Refusal::TargetUnknown(_)
            | Refusal::RuntimeUnknown(_)
            | Refusal::RuntimeStale(_)
            | Refusal::TargetExists(_)
            | Refusal::TooManyTargets
            | Refusal::SameServer { .. }
            | Refusal::ActionConflict { .. }
            | Refusal::TooManyActions
            | Refusal::TooManyAdapters
            | Refusal::TokenExists(_)
            | Refusal::TokenUnknown(_)
            | Refusal::TooManyTokens,
        )) => tally.found_no_pane(agent),
        Err(Fault::Stopping) => return Settling::Never,
    }
    Settling::Done
}

/// The inputs of records. Cleaning a long payload takes long, and others wait for this thread.
async fn inputs(found: Vec<(u64, Record, Bound)>, roster: Arc<Roster>) -> Vec<(Actor, Input)> {
    let bytes = |record: &Record| match &record.payload {
        Payload::Whole(bytes) => bytes.len(),
        Payload::None | Payload::Cut { .. } => 0,
    };
    let bytes: usize = found.iter().map(|(_, record, _)| bytes(record)).sum();
    let uid = rustix::process::geteuid().as_raw();
    let all = move || {
        let one = |(_, record, bound)| input(uid, record, bound, &roster);
        found.into_iter().map(one).collect()
    };
    if bytes <= SMALL_BYTES_MAX {
        return all();
    }
    // What broke the cleaning once would break it again, so it is not tried again.
    tokio::task::spawn_blocking(all).await.unwrap_or_else(|error| {
        tracing::error!(%error, "payloads could not be cleaned; their records are lost");
        Vec::new()
    })
}

/// Whoever wrote to a spool that is only ours speaks as us; the hook's parent is who it was.
fn input(uid: u32, record: Record, bound: Bound, roster: &Roster) -> (Actor, Input) {
    let pid = record.chain.first().map(|it| it.pid);
    (Actor::Client { uid, pid }, Input::Spooled(Box::new(intake::signal(record, bound, roster))))
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
