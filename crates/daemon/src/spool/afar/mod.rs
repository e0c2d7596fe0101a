//! Follows the spool of a target somewhere else, over the one connection there.
//!
//! The shell at the far end lists the files of the spool, prints parts of them, and tells when
//! something was written. What was taken in, and how far, is known here: nothing is deleted there,
//! for others may read it too. As at home, a position only says where to begin, and a record that
//! is read once more is known by its id.

mod doors;
mod file;
mod moment;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agents::record::Record;
use agents::spool::ACTIVE;
use engine::event::Actor;
use engine::ids::TargetId;
use engine::input::{Input, Observation};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::batch::Line;
use super::cursor;
use super::intake;
use super::running::Running;
use super::taking::{Ended, Place, Taken, Taking};
use super::tally::Tally;
use crate::adapters::Roster;
use crate::clock::Clock;
use crate::deck::Deck;
use crate::lifecycle;
use crate::lookout::Lookout;
use crate::targets::Target;
use crate::targets::frames::Frame;
use crate::targets::tether::{PART_BYTES_MAX, Talk};
use crate::vigil::Vigil;
use doors::{Doors, Waiting};
use file::{Entry, Fit, Spooled};
use moment::Moments;

/// How often the files are listed although nothing was told: a writer may come late to a file that
/// was set aside already, and where nothing tells of changes this finds them.
const LIST_INTERVAL: Duration = Duration::from_secs(15);
/// How long an answer may take before it is asked for again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait before what could not be stored, or was not answered, is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How long after something was taken in the positions are saved.
const SAVE_DELAY: Duration = Duration::from_secs(1);

/// What every follower of one daemon is given.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) deck: Deck,
    pub(crate) lookout: Lookout,
    pub(crate) clock: Clock,
    pub(crate) adapters: watch::Receiver<Arc<Roster>>,
    pub(crate) tally: watch::Sender<Tally>,
    pub(crate) clocks: watch::Sender<Clocks>,
    /// The folder of the positions.
    pub(crate) folder: PathBuf,
    /// Who watches over hooks that wait.
    pub(crate) vigil: Vigil,
}

/// Starts to follow the spool of a target.
pub(crate) fn start(id: TargetId, target: Arc<Target>, given: &Given) -> Running {
    let Given { deck, lookout, clock, adapters, tally, clocks, folder, vigil } = given.clone();
    let path = position_path(&folder, &id);
    let place = Place::There { id: id.clone(), target: Arc::clone(&target) };
    let taking = Taking { place, deck, lookout, adapters, tally };
    let (files, known) = match cursor::read(&path) {
        Some(lines) => (lines.iter().filter_map(|line| Spooled::parse(line)).collect(), true),
        None => (Vec::new(), false),
    };
    let moments = Moments::default();
    let doors = Doors::new(vigil, Arc::clone(&target));
    let save = None;
    let follower = Follower { id, path, taking, clock, clocks, files, known, moments, save, doors };
    Running::begin(|stop| follower.follow(target, stop))
}

/// Forgets how far a target's spool was read: it is not watched any more.
pub(crate) fn forget(given: &Given, id: &TargetId) {
    given.clocks.send_modify(|clocks| {
        clocks.remove(id);
    });
    match std::fs::remove_file(position_path(&given.folder, id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, target_id = %id, "its position stays behind");
        }
        Ok(()) | Err(_) => {}
    }
}

fn position_path(folder: &std::path::Path, id: &TargetId) -> PathBuf {
    folder.join(format!("{id}.position"))
}

/// How many milliseconds the clock of each target was ahead of ours when that was last seen.
pub(crate) type Clocks = BTreeMap<TargetId, i64>;

#[derive(Debug)]
struct Follower {
    id: TargetId,
    /// Where the positions are saved.
    path: PathBuf,
    taking: Taking,
    clock: Clock,
    clocks: watch::Sender<Clocks>,
    files: Vec<Spooled>,
    /// This spool was read before: what lies there is what came since.
    known: bool,
    moments: Moments,
    /// When the positions are to be saved.
    save: Option<Instant>,
    /// Hooks there that wait for an answer.
    doors: Doors,
}

/// Why nothing more is read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Halt {
    /// The connection has ended.
    Gone,
    /// There was no answer, or something could not be stored: later.
    Later,
    /// It is another file than it was: everything is to be listed again.
    Other,
    /// Nobody decides any more.
    Ended,
}

impl From<Ended> for Halt {
    fn from(Ended: Ended) -> Self {
        Self::Ended
    }
}

impl Follower {
    async fn follow(mut self, target: Arc<Target>, stop: Arc<Notify>) {
        loop {
            let talking = async {
                let mut talk = target.talk().await;
                self.doors.connected(Some(talk.aside()));
                self.listen(&mut talk).await
            };
            let halt = tokio::select! {
                biased;
                () = stop.notified() => break,
                halt = talking => halt,
            };
            self.doors.connected(None);
            self.save();
            if halt == Halt::Ended {
                return;
            }
        }
        self.doors.connected(None);
        self.save();
    }

    /// Takes in what comes over one connection, until that ends.
    async fn listen(&mut self, talk: &mut Talk) -> Halt {
        self.greeted(talk.greeting.behind_ms);
        if !talk.looked().await {
            return Halt::Gone;
        }
        // Whoever is answered knows that everything told before is published: the panes are known.
        if self.tell(Observation::Behind).await.is_err() {
            return Halt::Ended;
        }
        let mut behind = true;
        loop {
            let halt = match self.sweep(talk).await {
                Ok(()) => self.attend(talk, &mut behind).await,
                Err(halt) => halt,
            };
            match halt {
                Halt::Gone | Halt::Ended => return halt,
                Halt::Later => sleep(RETRY_DELAY).await,
                Halt::Other => {}
            }
        }
    }

    /// A connection was made, and so far was the clock there behind ours.
    fn greeted(&mut self, behind_ms: Option<i64>) {
        self.moments.greeted(behind_ms);
        self.tell_clock(behind_ms);
    }

    fn tell_clock(&self, behind_ms: Option<i64>) {
        self.clocks.send_modify(|clocks| {
            match behind_ms {
                Some(behind_ms) => clocks.insert(self.id.clone(), behind_ms.saturating_neg()),
                None => clocks.remove(&self.id),
            };
        });
    }

    async fn tell(&self, sight: Observation) -> Result<(), Ended> {
        let input = Input::Observed { target: self.id.clone(), sight };
        match self.taking.deck.ask(Actor::Observer, input).await {
            Err(crate::deck::Fault::Stopping) => Err(Ended),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Takes in everything that lies there.
    async fn sweep(&mut self, talk: &mut Talk) -> Result<(), Halt> {
        let listed = self.ask(talk, "list").await?;
        let missed =
            file::matched(&mut self.files, Entry::all(&listed, &talk.greeting), self.known);
        self.miss(missed);
        self.known = true;
        for index in 0..self.files.len() {
            self.read(talk, index).await?;
        }
        self.moments.at_the_end(self.clock.now().wall);
        self.save_in_time();
        Ok(())
    }

    /// Tells that something of its spool was gone before it was read.
    fn miss(&self, missed: u64) {
        if missed > 0 {
            tracing::warn!(target_id = %self.id, missed, "files of its spool were not read to their end");
            self.taking.count(&Tally { missed, ..Tally::default() });
        }
    }

    /// Reads one file to the end that it had when it was listed.
    async fn read(&mut self, talk: &mut Talk, index: usize) -> Result<(), Halt> {
        while let Some(file) = self.files.get(index).filter(|file| file.has_more()) {
            let asked = file.asked();
            let bytes = self.ask(talk, &asked).await?;
            if self.take(index, &bytes).await? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Waits for what is written, and takes it in, until it is time to look at everything again.
    async fn attend(&mut self, talk: &mut Talk, behind: &mut bool) -> Halt {
        if std::mem::take(behind) && self.tell(Observation::CaughtUp).await.is_err() {
            return Halt::Ended;
        }
        let until = Instant::now() + LIST_INTERVAL;
        loop {
            match timeout_at(until, self.news(talk)).await {
                Ok(Ok(())) => self.save_in_time(),
                Ok(Err(halt)) => return halt,
                Err(_) => return Halt::Other,
            }
        }
    }

    /// Takes in the next that is written to the file that is appended to.
    async fn news(&mut self, talk: &mut Talk) -> Result<(), Halt> {
        let index = self.files.iter().position(|file| file.name == ACTIVE);
        let asked = index.and_then(|index| self.files.get(index)).map(Spooled::asked);
        let asked = asked.unwrap_or_else(|| format!("read {ACTIVE} 0"));
        self.say(talk, &asked.replacen("read", "arm", 1)).await?;
        let bytes = hear(talk, &asked).await?;
        // One that was not there before has to be found first.
        let index = index.ok_or(Halt::Other)?;
        self.take(index, &bytes).await?;
        if bytes.len() >= PART_BYTES_MAX {
            // There is more than one answer holds.
            return Err(Halt::Other);
        }
        self.moments.at_the_end(self.clock.now().wall);
        Ok(())
    }

    /// Takes in a part of a file; how many bytes of it were new.
    async fn take(&mut self, index: usize, bytes: &[u8]) -> Result<usize, Halt> {
        let Some(file) = self.files.get_mut(index) else { return Err(Halt::Other) };
        let fresh = match file.push(bytes) {
            Fit::Fresh(fresh) => fresh,
            Fit::Other => return Err(Halt::Other),
            Fit::Anew => {
                self.miss(1);
                return Err(Halt::Other);
            }
        };
        loop {
            let Some(file) = self.files.get_mut(index) else { return Err(Halt::Other) };
            let (begin, mut lines) = file.lines();
            if lines.is_empty() {
                return Ok(fresh);
            }
            let (now, behind_ms) = (self.clock.now().wall, self.moments.behind_ms());
            for record in lines.iter_mut().filter_map(|line| line.record.as_mut().ok()) {
                record.at = self.moments.here(record.at, now);
            }
            if self.moments.behind_ms() != behind_ms {
                // Somebody set it.
                self.tell_clock(Some(self.moments.behind_ms()));
            }
            let waiting: Vec<Waiting> = records(&lines).filter_map(Waiting::of).collect();
            let taken = self.taking.hand_over(begin, lines).await?;
            self.save.get_or_insert_with(|| Instant::now() + SAVE_DELAY);
            if let (Taken::Before(position), Some(file)) = (taken, self.files.get_mut(index)) {
                file.go_back_to(position);
                return Err(Halt::Later);
            }
            for hook in waiting {
                let event = intake::event_id(hook.record(), Some(&self.id));
                self.doors.attend(hook, event);
            }
        }
    }

    async fn ask(&self, talk: &mut Talk, words: &str) -> Result<Vec<u8>, Halt> {
        self.say(talk, words).await?;
        let until = Instant::now() + ANSWER_TIMEOUT;
        timeout_at(until, hear(talk, words)).await.unwrap_or_else(|_| {
            tracing::warn!(target_id = %self.id, words, "its spool was asked for, and nothing came");
            Err(Halt::Later)
        })
    }

    async fn say(&self, talk: &Talk, words: &str) -> Result<(), Halt> {
        if talk.say(words.to_owned()).await { Ok(()) } else { Err(Halt::Gone) }
    }

    fn save_in_time(&mut self) {
        if self.save.is_some_and(|due| due <= Instant::now()) {
            self.save();
        }
    }

    fn save(&mut self) {
        self.save = None;
        if !self.known {
            return;
        }
        let folder = self.path.parent().map(lifecycle::own_folder);
        let made = folder.unwrap_or(Ok(())).map_err(io::Error::other);
        let saved =
            made.and_then(|()| cursor::write(&self.path, self.files.iter().map(Spooled::to_line)));
        if let Err(error) = saved {
            // What is read again because of that is known by its id.
            tracing::warn!(%error, target_id = %self.id, "the position in its spool was not saved");
        }
    }
}

/// The records among some lines.
fn records(lines: &[Line]) -> impl Iterator<Item = &Record> {
    lines.iter().filter_map(|line| line.record.as_ref().ok())
}

/// The answer to these words. Others are late answers to what was asked before, and what they hold
/// is asked for again.
async fn hear(talk: &mut Talk, words: &str) -> Result<Vec<u8>, Halt> {
    loop {
        match talk.hear().await {
            Some(Frame::Body { asked, bytes }) if asked == words => return Ok(bytes),
            Some(Frame::Body { .. } | Frame::Line(_)) => {}
            None => return Err(Halt::Gone),
        }
    }
}
