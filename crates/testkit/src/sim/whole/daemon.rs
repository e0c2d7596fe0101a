//! The daemon of the whole world: it starts, stores, tells, and dies between any two steps.

use std::sync::Arc;

use engine::Engine;
use engine::event::Actor;
use engine::input::{Effect, Input};
use engine::settings::Settings;
use engine::trail::Trail;
use store::{Change, CommitError, CommitErrorKind, Mishap, Outcome, Step};

use super::super::check::{self, Checked, Violation, violated};
use super::super::disk::{Books, chain};
use super::super::model::Moment;
use super::super::observer::Observer;
use super::super::spool::Spool;
use super::super::watcher::Watcher;
use super::Whole;

/// A daemon that runs.
pub(super) struct Daemon {
    pub(super) books: Books,
    /// What readers see: another engine, which follows by what is published.
    pub(super) follower: Engine,
    pub(super) observers: Vec<Option<Observer>>,
}

impl Whole {
    /// A daemon starts: what is stored has to be what was committed.
    pub(super) fn start(&mut self) -> Checked {
        let base = self.rng.between(0, 1_000_000);
        self.clock.restart_mono(base);
        let now = self.clock.now();
        let mut books = match self.disk.open(Settings::default(), now) {
            Ok(books) => books,
            Err(error) => return violated("I1", error),
        };
        let first = self.checker.last_seq == 0 && self.in_doubt.is_none();
        self.settle_doubt(&books)?;
        if !first {
            books.ledger.take_up(&self.trail.1, now);
        }
        self.checker.restart(&self.trail.1, now, self.moment());
        self.checker.check_fold(books.ledger.engine())?;
        if self.rng.permille(200) {
            self.disk.verify()?;
        }
        let follower = books.ledger.engine().clone();
        let effects = books.ledger.engine().standing_effects();
        let observers = self.sites.iter().map(|_| None).collect();
        self.daemon = Some(Daemon { books, follower, observers });
        self.trace.note(|| format!("a daemon starts at {now:?}"));
        effects.into_iter().for_each(|effect| self.carry_out(effect));
        // States are looked at when the clock was.
        self.feed(vec![(Actor::Daemon, Input::Started), (Actor::Reconciler, Input::Ticked)])?;
        for index in 0..self.sites.len() {
            if first || self.rng.permille(300) {
                self.add_target(index)?;
            }
        }
        Ok(())
    }

    /// What the daemon leaves for the next one says no more than there was.
    pub(super) fn leave_trail(&mut self) -> Checked {
        let Some(daemon) = &self.daemon else { return Ok(()) };
        self.trail = (self.clock.true_ms(), daemon.books.ledger.engine().trail());
        self.checker.check_trail(&self.trail.1)
    }

    /// What was being stored when the daemon died is there whole, or not at all.
    pub(super) fn settle_doubt(&mut self, books: &Books) -> Checked {
        let rows = match books.journal.changes_after(self.checker.last_seq, usize::MAX) {
            Ok(rows) => rows,
            Err(error) => return violated("I1", chain(&error)),
        };
        let in_doubt = self.in_doubt.take();
        if rows.is_empty() {
            return Ok(());
        }
        let Some((inputs, moment)) = in_doubt else {
            return violated("I2", format!("{} rows are there that nobody stored", rows.len()));
        };
        self.tally.count("kept though not acknowledged");
        let rows: Vec<_> = rows.into_iter().map(Arc::new).collect();
        self.count_rows(&rows);
        self.checker.take_doubted(&inputs, &rows, moment)
    }

    pub(super) fn take_rows(&mut self, rows: &[Arc<Change>], moment: Moment) -> Checked {
        self.count_rows(rows);
        self.checker.take(rows, moment)
    }

    fn count_rows(&mut self, rows: &[Arc<Change>]) {
        self.tally.rows += rows.len() as u64;
        rows.iter().for_each(|row| self.rows.add(row));
    }

    /// The daemon dies. Of what it wrote behind `kept` bytes of the log, anything may be missing.
    pub(super) fn crash(&mut self, kept: Option<u64>) {
        let Some(daemon) = self.daemon.take() else { return };
        self.count("crash");
        let clients: Vec<_> = daemon.observers.iter().map(|it| it.as_ref()?.client()).collect();
        self.disk.let_go();
        self.disk.kill(daemon.books, kept, &mut self.rng);
        for (site, client) in self.sites.iter_mut().zip(clients) {
            if let Some(pid) = client {
                site.hang_up(pid, &self.clock);
            }
        }
        self.inputs.clear();
        self.executors.crash(&mut self.rng);
        self.spools.iter_mut().for_each(Spool::reread);
        self.watchers.iter_mut().for_each(Watcher::cut);
    }

    pub(super) fn lie_in_wait(&mut self) {
        let step =
            self.rng.weighted(&[(1, Step::Decided), (2, Step::Written), (2, Step::Committed)]);
        let full = Mishap::Failed(std::io::ErrorKind::StorageFull);
        let broken = Mishap::Failed(std::io::ErrorKind::Other);
        let mishap = self.rng.weighted(&[(6, Mishap::Killed), (3, full), (1, broken)]);
        // A full disk says so before the commit, never after it.
        if (step, mishap) != (Step::Committed, full) {
            self.disk.lie_in_wait(step, mishap);
        }
    }

    /// Hands a batch in: it is stored and told, or neither.
    pub(super) fn feed(&mut self, batch: Vec<(Actor, Input)>) -> Checked {
        let (now, moment) = (self.clock.now(), self.moment());
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        let inputs: Vec<Input> = batch.iter().map(|(_, input)| input.clone()).collect();
        for input in &inputs {
            self.trace.note(|| format!("{} {:?} {input:?}", self.tally.steps, now.mono));
        }
        let length = self.disk.log_length();
        let trail = daemon.books.ledger.engine().trail();
        let stored = daemon.books.ledger.transact(now, batch);
        let had_room_made = self.disk.has_sprung();
        match stored {
            Ok(outcomes) => {
                if had_room_made {
                    // The disk was full, room was made, and the engine was read back in between.
                    self.tally.count("disk full at first");
                    self.checker.read_back(&trail, now, moment);
                    self.reread = true;
                }
                self.committed(&inputs, outcomes, moment)
            }
            Err(error) => self.not_committed(inputs, &error, length, &trail),
        }
    }

    pub(super) fn not_committed(
        &mut self,
        inputs: Vec<Input>,
        error: &CommitError,
        length: u64,
        trail: &Trail,
    ) -> Checked {
        let moment = self.moment();
        self.trace.note(|| format!("  not committed: {}", chain(error)));
        match error.kind {
            CommitErrorKind::Full | CommitErrorKind::Busy => {
                self.tally.count("disk full");
                self.forget_observed();
                self.after_failure(trail)
            }
            CommitErrorKind::Io
            | CommitErrorKind::Corrupt
            | CommitErrorKind::Gone
            | CommitErrorKind::ReadOnly
            | CommitErrorKind::Lost => {
                self.tally.count(if error.kind == CommitErrorKind::Lost {
                    "killed while storing"
                } else {
                    "disk failed"
                });
                self.retry(&inputs);
                self.in_doubt = Some((inputs, moment));
                self.crash(Some(length));
                Ok(())
            }
            CommitErrorKind::Refused => {
                violated("I6", format!("the tables refuse: {}", chain(error)))
            }
        }
    }

    /// The engine was read back from the tables; readers follow.
    pub(super) fn after_failure(&mut self, trail: &Trail) -> Checked {
        self.checker.read_back(trail, self.clock.now(), self.moment());
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        daemon.follower = daemon.books.ledger.engine().clone();
        self.checker.check_fold(daemon.books.ledger.engine())
    }

    /// What was observed and not stored has to be observed again.
    pub(super) fn forget_observed(&mut self) {
        let Some(daemon) = &mut self.daemon else { return };
        daemon.observers.iter_mut().flatten().for_each(Observer::rescan);
    }

    /// Senders that got no answer send again.
    pub(super) fn retry(&mut self, inputs: &[Input]) {
        for input in inputs {
            if let Input::Signalled(signal) = input
                && signal.expects_version.is_none()
            {
                let due_ms = self.clock.true_ms() + self.rng.between(0, 3_000);
                self.voices.retry((**signal).clone(), due_ms);
            }
        }
    }

    pub(super) fn committed(
        &mut self,
        inputs: &[Input],
        outcomes: Vec<Outcome>,
        moment: Moment,
    ) -> Checked {
        let stored = self.check_stored(&outcomes)?;
        self.take_outcomes(inputs, &outcomes, &stored, moment)?;
        // Stored, and nobody knows: the senders were not told.
        if !self.healing && self.rng.permille(4) {
            self.count("killed before telling");
            self.retry(inputs);
            self.crash(None);
            return Ok(());
        }
        for (input, outcome) in inputs.iter().zip(&outcomes) {
            if let Input::Signalled(signal) | Input::Spooled(signal) = input {
                self.checker.answered(signal, &outcome.result)?;
            }
            if let (Input::Asked(asked), Some(daemon)) = (input, &self.daemon) {
                let (engine, now) = (daemon.books.ledger.engine(), self.clock.now());
                self.checker.deeds.answered(asked, &outcome.result, engine, now)?;
            }
        }
        self.commits += 1;
        self.publish(outcomes)?;
        self.check()
    }

    /// The journal holds exactly what the outcomes say, read over another connection.
    pub(super) fn check_stored(
        &mut self,
        outcomes: &[Outcome],
    ) -> Result<Vec<Arc<Change>>, Violation> {
        let Some(daemon) = &self.daemon else { return Ok(Vec::new()) };
        let told: Vec<&Arc<Change>> = outcomes.iter().flat_map(|it| &it.changes).collect();
        let rows = daemon.books.journal.changes_after(self.checker.last_seq, usize::MAX);
        let rows = rows.or_else(|error| violated("I1", chain(&error)))?;
        let same = |(told, stored): (&&Arc<Change>, &Change)| {
            let json = |change: &Change| serde_json::to_string(&change.event).ok();
            told.seq == stored.seq && json(told) == json(stored)
        };
        if told.len() != rows.len() || !told.iter().zip(&rows).all(same) {
            let detail = format!("told {} rows, stored {}", told.len(), rows.len());
            return violated("I6", format!("{detail}: {told:?} / {rows:?}"));
        }
        Ok(rows.into_iter().map(Arc::new).collect())
    }

    pub(super) fn take_outcomes(
        &mut self,
        inputs: &[Input],
        outcomes: &[Outcome],
        stored: &[Arc<Change>],
        moment: Moment,
    ) -> Checked {
        let mut rest = stored;
        for (input, outcome) in inputs.iter().zip(outcomes) {
            for change in &outcome.changes {
                self.trace.note(|| format!("  {change:?}"));
            }
            let (own, others) = rest.split_at(outcome.changes.len().min(rest.len()));
            rest = others;
            self.checker.looked(input, moment);
            self.take_rows(own, moment)?;
        }
        Ok(())
    }

    /// Tells readers and watchers, and does what has to be done.
    pub(super) fn publish(&mut self, outcomes: Vec<Outcome>) -> Checked {
        let now = self.clock.now();
        let reread = std::mem::take(&mut self.reread);
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        let mut effects = Vec::new();
        for outcome in outcomes {
            outcome.changes.iter().for_each(|change| daemon.follower.apply(&change.event));
            outcome.notes.iter().for_each(|note| daemon.follower.note(now, note));
            self.watchers.iter_mut().for_each(|it| it.publish(&outcome.changes));
            effects.extend(outcome.effects);
        }
        let (read, held) = (daemon.follower.tables(), daemon.books.ledger.engine().tables());
        if let (Some(difference), false) = (check::difference(&held, &read), reread) {
            return violated("I6", format!("readers see something else: {difference}"));
        }
        if reread {
            daemon.follower = daemon.books.ledger.engine().clone();
        }
        effects.into_iter().for_each(|effect| self.carry_out(effect));
        Ok(())
    }

    pub(super) fn carry_out(&mut self, effect: Effect) {
        let Some(daemon) = &mut self.daemon else { return };
        let index = |target| self.sites.iter().position(|site| site.target == target);
        match effect {
            Effect::Observe(row) => {
                if let Some(index) = index(row.target.clone()) {
                    daemon.observers[index] = Observer::new(&row.target, "sim");
                }
            }
            Effect::Forget(target) | Effect::Leave(target) => {
                if let Some(index) = index(target)
                    && let Some(pid) = daemon.observers[index].take().and_then(|it| it.client())
                {
                    self.sites[index].hang_up(pid, &self.clock);
                }
            }
            Effect::Rescan(target) | Effect::Connect(target) => {
                let observer = index(target).and_then(|index| daemon.observers[index].as_mut());
                observer.into_iter().for_each(Observer::rescan);
            }
            effect @ (Effect::Act(_) | Effect::Settle(_)) => self.executors.take(&effect),
        }
    }

    pub(super) fn check(&mut self) -> Checked {
        let Some(daemon) = &self.daemon else { return Ok(()) };
        if self.tally.steps.is_multiple_of(self.plan.check_every) {
            let engine = daemon.books.ledger.engine();
            self.checker.check_fold(engine)?;
            self.checker.check_unseen()?;
            self.checker.check_states(engine, self.clock.now(), self.moment())?;
        }
        Ok(())
    }
}
