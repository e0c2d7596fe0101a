//! The ledger: the engine and its tables, changed together or not at all.
//!
//! A batch of inputs is one transaction. Each input is decided by the engine, its events are
//! appended to the journal, folded into the tables and applied to the engine; then the next one is
//! decided. Nothing is handed out before the commit. When the commit fails, the engine is read
//! back from the tables, and the whole batch has not happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use engine::Engine;
use engine::engine::Tables;
use engine::event::{Actor, Event};
use engine::input::{Effect, Input, Note, Refusal, Reply};
use engine::settings::Settings;
use engine::time::Now;
use engine::trail::Trail;
use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;

use crate::anchor::{Anchor, Mark};
use crate::chain::ChainHash;
use crate::commit::{CommitError, CommitErrorKind, CommitOutcome};
use crate::damage::Finding;
use crate::fault::Fault;
use crate::files::Held;
use crate::fold::Unwritten;
use crate::journal::{Change, Head, Journal, Source};
use crate::limits;
use crate::load::load;
use crate::past::SqlPast;
use crate::reserve::Reserve;
use crate::trust::{Remembered, Trust};

/// What became of one input of a batch, once the batch is committed.
#[derive(Debug)]
pub struct Outcome {
    /// What it made true, and what followed from it in the same transaction.
    pub changes: Vec<Arc<Change>>,
    pub effects: Vec<Effect>,
    pub notes: Vec<Note>,
    pub result: Result<Reply, Refusal>,
}

/// Who a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The database's own id.
    pub database: String,
    pub installation: String,
    pub machine: String,
}

/// Whether the ledger takes changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Writable,
    /// Nothing is stored any more until the daemon starts again.
    ReadOnly(String),
}

/// The engine and the database behind it.
pub struct Ledger {
    pub(crate) engine: Engine,
    pub(crate) head: Head,
    pub(crate) identity: Identity,
    pub(crate) stream: String,
    pub(crate) backing: Backing,
    pub(crate) source: Source,
    pub(crate) notices: Vec<Finding>,
}

/// What stands behind the engine.
pub(crate) enum Backing {
    Live(Box<Live>),
    /// Only what was proven when it was opened, or what was stored before the disk failed.
    Frozen(String),
}

/// An open, writable database.
pub(crate) struct Live {
    pub(crate) db: Connection,
    pub(crate) held: Held,
    pub(crate) anchor: Anchor,
    /// The last mark could not be written; it is tried again with the next.
    pub(crate) anchor_owed: bool,
    /// The digest of the last checkpoint.
    pub(crate) checkpoint: ChainHash,
    pub(crate) generation: u64,
    /// Pages in the write-ahead log after the last commit.
    pub(crate) log_pages: Arc<AtomicI32>,
    pub(crate) reserve: Reserve,
    pub(crate) probe: Option<Probe>,
    pub(crate) trust: Trust,
    /// What the database remembers of the clock.
    pub(crate) clock_noted: Remembered,
    pub(crate) retention_is_behind: bool,
}

/// A moment within a transaction, for simulations to interfere at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An input was decided, and nothing of it is written.
    Decided,
    /// Everything is written, and nothing is committed.
    Written,
    /// It is committed, and neither the anchor nor anybody else knows.
    Committed,
}

/// What a simulation makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// The process ends here.
    Killed,
    /// The disk answers with this error.
    Failed(std::io::ErrorKind),
}

/// Asked at every step of every transaction, where a simulation installed one.
pub type Probe = Box<dyn FnMut(Step) -> Option<Mishap> + Send>;

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("head", &self.head).finish_non_exhaustive()
    }
}

impl Ledger {
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The journal's last sequence number.
    pub fn as_of(&self) -> u64 {
        self.head.seq
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The watch stream's id: the database's, and which telling of its history it is.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    pub fn standing(&self) -> Standing {
        match &self.backing {
            Backing::Live(_) => Standing::Writable,
            Backing::Frozen(why) => Standing::ReadOnly(why.clone()),
        }
    }

    /// What was found on opening that costs no more than some proof.
    pub fn notices(&self) -> &[Finding] {
        &self.notices
    }

    /// A reader of this ledger's journal, with a connection of its own.
    pub fn journal(&self) -> Result<Journal, Fault> {
        Journal::open(&self.source)
    }

    /// Whether the room kept back on the disk is in use: what can wait should not be stored now.
    pub fn is_short_of_space(&self) -> bool {
        match &self.backing {
            Backing::Live(live) => live.reserve.is_released(),
            Backing::Frozen(_) => false,
        }
    }

    /// Replaces the settings; what follows from them comes with the next tick.
    pub fn configure(&mut self, settings: Settings) {
        self.engine.configure(settings);
    }

    /// Goes on from where the last daemon's trail ends; see [`Engine::take_up`].
    pub fn take_up(&mut self, trail: &Trail, now: Now) {
        self.engine.take_up(trail, now);
    }

    /// Decides, stores and applies a batch of inputs: all of it, or nothing.
    #[expect(clippy::needless_pass_by_value, reason = "a batch that was handed in is used up")]
    pub fn transact(
        &mut self,
        now: Now,
        inputs: Vec<(Actor, Input)>,
    ) -> Result<Vec<Outcome>, CommitError> {
        let first = self.attempt(now, &inputs);
        match first {
            Err(error) if error.kind == CommitErrorKind::Full && self.release_reserve(now) => {
                self.attempt(now, &inputs)
            }
            Ok(_) | Err(_) => first,
        }
    }

    fn attempt(
        &mut self,
        now: Now,
        inputs: &[(Actor, Input)],
    ) -> Result<Vec<Outcome>, CommitError> {
        let Backing::Live(live) = &mut self.backing else { return Err(CommitError::read_only()) };
        // Only looks move the trail, and one that is not stored has not happened.
        let looks = inputs.iter().any(|(_, input)| matches!(input, Input::Observed { .. }));
        let before = looks.then(|| self.engine.trail());
        if !live.held.are_there() {
            let trail = before.unwrap_or_else(|| self.engine.trail());
            return Err(self.undo(now, &trail, CommitError::gone()));
        }
        let mut turn = Turn::new(live, &mut self.engine, self.head);
        match turn.run(now, inputs) {
            Ok(outcomes) => {
                let head = turn.head;
                if head != self.head {
                    self.head = head;
                    self.mark();
                    self.carry_log(limits::LOG_PAGES_MAX, CheckpointMode::PASSIVE);
                    self.restore_reserve(now);
                }
                Ok(outcomes)
            }
            Err(error) => {
                let trail = before.unwrap_or_else(|| self.engine.trail());
                Err(self.undo(now, &trail, error))
            }
        }
    }

    fn release_reserve(&mut self, now: Now) -> bool {
        match &mut self.backing {
            Backing::Live(live) => live.reserve.release(now),
            Backing::Frozen(_) => false,
        }
    }

    fn restore_reserve(&mut self, now: Now) {
        if let Backing::Live(live) = &mut self.backing {
            live.reserve.restore(now);
        }
    }

    /// Stores something that changes nothing, to find out whether storing works again.
    pub fn try_out(&mut self) -> Result<(), CommitError> {
        let Backing::Live(live) = &mut self.backing else { return Err(CommitError::read_only()) };
        match live.probe(Step::Written).and_then(|()| live.write_aside(|_| Ok(1))) {
            Ok(_) => {
                self.mark();
                Ok(())
            }
            Err(error) => {
                self.freeze_if_final(&error);
                Err(error)
            }
        }
    }

    /// Forces the anchor to the disk, if it is not there yet, and makes up for what failed.
    pub fn sync_anchor(&mut self) -> Result<(), CommitError> {
        let mark = self.current_mark();
        let Backing::Live(live) = &mut self.backing else { return Ok(()) };
        let result = match mark.filter(|_| live.anchor_owed) {
            Some(mark) => live.anchor.write(&mark).and_then(|()| live.anchor.sync()),
            None => live.anchor.sync(),
        };
        live.anchor_owed = result.is_err();
        let file = |source| Fault::File { what: "the anchor", source };
        result.map_err(|error| CommitError::from_fault(file(error), false))
    }

    /// Ends in good order: the log is carried over and the anchor is on the disk.
    pub fn close(mut self) -> Result<(), CommitError> {
        self.carry_log(-1, CheckpointMode::TRUNCATE);
        self.sync_anchor()
    }

    /// Puts the engine back to what is stored, and to what it knew beside that.
    fn undo(&mut self, now: Now, trail: &Trail, error: CommitError) -> CommitError {
        let Backing::Live(live) = &mut self.backing else { return error };
        let settings = *self.engine.settings();
        let restored = match error.kind {
            CommitErrorKind::Lost => None,
            CommitErrorKind::Full
            | CommitErrorKind::Io
            | CommitErrorKind::Busy
            | CommitErrorKind::Corrupt
            | CommitErrorKind::Gone
            | CommitErrorKind::ReadOnly
            | CommitErrorKind::Refused => live.reload().ok(),
        };
        let Some(tables) = restored else {
            self.engine = Engine::new(settings);
            self.backing = Backing::Frozen("the state could not be read back".to_owned());
            return CommitError { kind: CommitErrorKind::Lost, ..error };
        };
        self.engine = Engine::restore(settings, tables, now);
        self.engine.take_up(trail, now);
        self.freeze_if_final(&error);
        error
    }

    /// After some failures nothing more is entrusted to the disk.
    pub(crate) fn freeze_if_final(&mut self, error: &CommitError) {
        if error.is_final() {
            self.backing = Backing::Frozen(error.to_string());
        }
    }

    /// Writes the anchor after a commit. A mark that cannot be written proves less; the commit
    /// stands.
    pub(crate) fn mark(&mut self) {
        let mark = self.current_mark();
        if let (Backing::Live(live), Some(mark)) = (&mut self.backing, mark) {
            live.anchor_owed = live.anchor.write(&mark).is_err();
        }
    }

    fn current_mark(&self) -> Option<Mark> {
        let Backing::Live(live) = &self.backing else { return None };
        Some(Mark {
            database: self.identity.database.clone(),
            seq: self.head.seq,
            hash: self.head.hash,
            checkpoint: live.checkpoint,
            generation: live.generation,
        })
    }

    /// Carries the log over into the database once it has more than `pages`. What is in the log
    /// is durable already; when the disk fails at this, nothing more is entrusted to it.
    fn carry_log(&mut self, pages: i32, mode: CheckpointMode) {
        let Backing::Live(live) = &mut self.backing else { return };
        if live.log_pages.load(Ordering::Relaxed) <= pages {
            return;
        }
        let Err(error) = live.db.wal_checkpoint_v2(None::<&str>, mode) else { return };
        self.freeze_if_final(&CommitError::from_fault(error.into(), false));
    }
}

impl Live {
    /// Ends whatever transaction is open, and reads the tables.
    fn reload(&self) -> Result<Tables, Fault> {
        if !self.db.is_autocommit() {
            self.db.execute_batch("ROLLBACK")?;
        }
        load(&self.db)
    }

    /// Runs a statement that is run again with the next batch.
    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.db.prepare_cached(sql)?.raw_execute().map(|_| ())
    }

    fn probe(&mut self, step: Step) -> Result<(), CommitError> {
        let Some(mishap) = self.probe.as_mut().and_then(|probe| probe(step)) else { return Ok(()) };
        match mishap {
            Mishap::Killed => Err(CommitError {
                kind: CommitErrorKind::Lost,
                outcome: CommitOutcome::Unknown,
                source: None,
            }),
            Mishap::Failed(kind) => {
                let fault = Fault::File { what: "the disk", source: kind.into() };
                Err(CommitError::from_fault(fault, step == Step::Committed))
            }
        }
    }
}

/// One transaction at work.
struct Turn<'l> {
    live: &'l mut Live,
    engine: &'l mut Engine,
    head: Head,
    unwritten: Unwritten,
    begun: bool,
}

impl<'l> Turn<'l> {
    fn new(live: &'l mut Live, engine: &'l mut Engine, head: Head) -> Self {
        Self { live, engine, head, unwritten: Unwritten::default(), begun: false }
    }

    fn run(&mut self, now: Now, inputs: &[(Actor, Input)]) -> Result<Vec<Outcome>, CommitError> {
        let settle = |(actor, input): &(Actor, Input)| self.settle(now, actor, input);
        let outcomes = inputs.iter().map(settle).collect::<Result<Vec<_>, _>>()?;
        if self.begun {
            let written = self.unwritten.flush(&self.live.db, self.engine);
            written.map_err(|fault| CommitError::from_fault(fault, false))?;
            self.live.probe(Step::Written)?;
            let committed = self.live.execute("COMMIT");
            committed.map_err(|error| CommitError::from_fault(error.into(), true))?;
            self.live.probe(Step::Committed)?;
        }
        Ok(outcomes)
    }

    /// Settles one input and, after it, what it brings about, each decided on what is true then.
    fn settle(&mut self, now: Now, actor: &Actor, input: &Input) -> Result<Outcome, CommitError> {
        let mut outcome = Outcome {
            changes: Vec::new(),
            effects: Vec::new(),
            notes: Vec::new(),
            result: Ok(Reply::Done),
        };
        let (reply, mut then) = self.step(now, actor, input, &mut outcome)?;
        outcome.result = reply;
        then.reverse();
        while let Some(next) = then.pop() {
            let (_, follow) = self.step(now, actor, &next, &mut outcome)?;
            then.extend(follow.into_iter().rev());
        }
        Ok(outcome)
    }

    fn step(
        &mut self,
        now: Now,
        actor: &Actor,
        input: &Input,
        outcome: &mut Outcome,
    ) -> Result<(Result<Reply, Refusal>, Vec<Input>), CommitError> {
        let not_done = |fault| CommitError::from_fault(fault, false);
        let past = SqlPast::new(&self.live.db);
        let decision = self.engine.decide(now, input, &past);
        past.finish().map_err(not_done)?;
        if !decision.events.is_empty() {
            self.live.probe(Step::Decided)?;
            self.begin()?;
        }
        for event in decision.events {
            let change = self.record(now, actor, event).map_err(not_done)?;
            self.engine.apply(&change.event);
            outcome.changes.push(change);
        }
        for note in &decision.notes {
            self.engine.note(now, note);
        }
        outcome.effects.extend(decision.effects);
        outcome.notes.extend(decision.notes);
        Ok((decision.reply, decision.then))
    }

    fn record(&mut self, now: Now, actor: &Actor, event: Event) -> Result<Arc<Change>, Fault> {
        let change = Arc::new(self.head.append(&self.live.db, now.wall, actor, event)?);
        self.unwritten.take(&self.live.db, &change, self.engine)?;
        Ok(change)
    }

    /// Begins the transaction with its first event: a batch that changes nothing writes nothing.
    fn begin(&mut self) -> Result<(), CommitError> {
        if !self.begun {
            let begun = self.live.execute("BEGIN IMMEDIATE");
            begun.map_err(|error| CommitError::from_fault(error.into(), false))?;
            self.begun = true;
        }
        Ok(())
    }
}
