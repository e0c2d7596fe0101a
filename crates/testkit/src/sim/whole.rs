//! The whole: tmux's bytes, the real ledger on a real file, watchers, and a daemon that dies
//! between any two steps.

use std::sync::Arc;

use engine::Engine;
use engine::event::Actor;
use engine::input::{Effect, Input, Observation, Request};
use engine::settings::Settings;
use engine::signal::Signal;
use engine::time::WallMs;
use engine::words::{Health, TargetKind};
use store::{Change, CommitError, CommitErrorKind, Mishap, Outcome, Retention, Step};

use super::Plan;
use super::check::{self, Checked, Checker, Violation, violated};
use super::clock::{self, Clock};
use super::disk::{Books, Disk, chain};
use super::fake::act::Room;
use super::model::Moment;
use super::observer::{OUT_OF_STEP, Observer};
use super::rng::Rng;
use super::sight;
use super::site::Site;
use super::tally::Tally;
use super::trace::Trace;
use super::view;
use super::voices::{Speaker, Voices};
use super::watcher::{Rows, Watcher};

/// How often the daemon leaves a mark of being alive.
const BEAT_MS: i64 = 10_000;
const DAY_MS: i64 = 86_400_000;
/// How long before the end something lands with us once more.
const GUESTS_MS: i64 = 75_000;
/// How long nothing breaks before everything has to be right.
const HEALING_MS: i64 = 100_000;

/// A daemon that runs.
struct Daemon {
    books: Books,
    /// What readers see: another engine, which follows by what is published.
    follower: Engine,
    observers: Vec<Option<Observer>>,
}

pub(crate) struct Whole {
    plan: Plan,
    rng: Rng,
    clock: Clock,
    sites: Vec<Site>,
    disk: Disk,
    daemon: Option<Daemon>,
    /// What was handed in when the daemon died, and may have been stored.
    in_doubt: Option<(Vec<Input>, Moment)>,
    /// What observers told and nobody has taken yet.
    inputs: Vec<(Actor, Input)>,
    watchers: Vec<Watcher>,
    rows: Rows,
    checker: Checker,
    voices: Voices,
    room: Room,
    beat: Moment,
    healing: bool,
    /// The engine lost what is volatile within the last transaction, and readers did not.
    reread: bool,
    pub(crate) tally: Tally,
    pub(crate) trace: Trace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Live,
    Say,
    Deliver,
    Observe,
    Watch,
    Hang,
    KillServer,
    Trespass,
    Crash,
    Ambush,
    Jump,
    Ask,
    Retain,
    Days,
}

const MOVES: &[(u32, Move)] = &[
    (170, Move::Live),
    (70, Move::Say),
    (90, Move::Deliver),
    (560, Move::Observe),
    (60, Move::Watch),
    (3, Move::Hang),
    (2, Move::KillServer),
    (8, Move::Trespass),
    (2, Move::Crash),
    (5, Move::Ambush),
    (3, Move::Jump),
    (2, Move::Ask),
    (2, Move::Retain),
    (1, Move::Days),
];

const HEALING: &[(u32, Move)] = &[(8, Move::Observe), (1, Move::Deliver), (1, Move::Watch)];

impl Whole {
    pub(crate) fn new(seed: u64, plan: Plan) -> std::io::Result<Whole> {
        let mut rng = Rng::new(seed);
        let sites = 1 + rng.below(2);
        let room = Room { sessions: 1 + rng.below(3), panes: 2 + rng.below(8) };
        let watchers = (0..1 + rng.below(3)).map(|_| Watcher::new()).collect();
        Ok(Whole {
            plan,
            sites: (0..sites).map(|index| Site::new(index, 60)).collect(),
            disk: Disk::new()?,
            daemon: None,
            in_doubt: None,
            inputs: Vec::new(),
            watchers,
            rows: Rows::default(),
            checker: Checker::new(Settings::default()),
            voices: Voices::default(),
            room,
            beat: Moment { true_ms: 0, wall_ms: clock::EPOCH_MS },
            healing: false,
            reread: false,
            rng,
            clock: Clock::new(),
            tally: Tally::default(),
            trace: Trace::new(plan.trace),
        })
    }

    /// Breaks things for a while, heals them, and demands that everything is right again.
    pub(crate) fn run(&mut self) -> Checked {
        while self.tally.steps < self.plan.steps {
            let next = self.rng.weighted(MOVES);
            self.pass_time()?;
            self.step(next)?;
        }
        self.heal()
    }

    fn moment(&self) -> Moment {
        Moment { true_ms: self.clock.true_ms(), wall_ms: self.clock.wall().0 }
    }

    fn pass_time(&mut self) -> Checked {
        let most = self.rng.weighted(&[(800, 8), (170, 150), (27, 3_000), (3, 70_000)]);
        let ms = self.rng.between(0, most);
        self.clock.advance(ms);
        if self.daemon.is_none() {
            return if self.rng.permille(500) { self.start() } else { Ok(()) };
        }
        if self.clock.true_ms() - self.beat.true_ms >= BEAT_MS {
            self.beat = self.moment();
        }
        // A timer may be late.
        if self.is_due() && self.rng.permille(900) { self.tick() } else { Ok(()) }
    }

    fn is_due(&self) -> bool {
        let Some(daemon) = &self.daemon else { return false };
        let deadline = daemon.books.ledger.engine().next_deadline();
        deadline.is_some_and(|it| it.at <= self.clock.now().mono)
    }

    fn tick(&mut self) -> Checked {
        self.feed(vec![(Actor::Reconciler, Input::Ticked)])
    }

    fn step(&mut self, next: Move) -> Checked {
        self.tally.steps += 1;
        let site = self.rng.below(self.sites.len());
        match next {
            Move::Live => {
                self.live(site);
                Ok(())
            }
            Move::Say => {
                self.say(site);
                Ok(())
            }
            Move::Deliver => self.deliver(),
            Move::Observe => self.observe(site),
            Move::Watch => self.watch(),
            Move::Hang => {
                self.hang(site);
                Ok(())
            }
            Move::KillServer => {
                let crashed = self.rng.permille(500);
                self.count("server killed");
                self.sites[site].end_server(crashed, &self.clock);
                Ok(())
            }
            Move::Trespass => {
                self.trespass(site);
                Ok(())
            }
            Move::Crash => {
                self.crash(None);
                Ok(())
            }
            Move::Ambush => {
                self.lie_in_wait();
                Ok(())
            }
            Move::Jump => {
                self.jump();
                Ok(())
            }
            Move::Ask => self.ask(site),
            Move::Retain => self.retain(),
            Move::Days => {
                self.count("days passed");
                let days = self.rng.between(1, 16);
                self.clock.advance(days * DAY_MS);
                self.voices.forget();
                Ok(())
            }
        }
    }

    fn count(&mut self, what: &'static str) {
        self.tally.count(what);
        self.trace.note(|| what.to_owned());
    }

    // The daemon.

    /// A daemon starts: what is stored has to be what was committed.
    fn start(&mut self) -> Checked {
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
            books.ledger.absent_since(WallMs(self.beat.wall_ms), now);
        }
        self.checker.restart(self.beat, now, self.moment());
        self.checker.check_fold(books.ledger.engine())?;
        self.beat = self.moment();
        if self.rng.permille(200) {
            self.disk.verify()?;
        }
        let follower = books.ledger.engine().clone();
        let effects = books.ledger.engine().standing_effects();
        let observers = self.sites.iter().map(|_| None).collect();
        self.daemon = Some(Daemon { books, follower, observers });
        self.trace.note(|| format!("a daemon starts at {now:?}"));
        effects.into_iter().for_each(|effect| self.carry_out(effect));
        self.tick()?;
        for index in 0..self.sites.len() {
            if first || self.rng.permille(300) {
                self.add_target(index)?;
            }
        }
        Ok(())
    }

    /// What was being stored when the daemon died is there whole, or not at all.
    fn settle_doubt(&mut self, books: &Books) -> Checked {
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
        for input in &inputs {
            self.checker.looked(input, moment);
        }
        self.take_rows(&rows.into_iter().map(Arc::new).collect::<Vec<_>>(), moment)
    }

    fn take_rows(&mut self, rows: &[Arc<Change>], moment: Moment) -> Checked {
        self.tally.rows += rows.len() as u64;
        for row in rows {
            self.rows.add(row);
        }
        self.checker.take(rows, moment)
    }

    /// The daemon dies. Of what it wrote behind `kept` bytes of the log, anything may be missing.
    fn crash(&mut self, kept: Option<u64>) {
        let Some(daemon) = self.daemon.take() else { return };
        self.count("crash");
        let clients: Vec<_> = daemon.observers.iter().map(|it| it.as_ref()?.client()).collect();
        self.disk.let_go();
        self.disk.kill(daemon.books, kept, &mut self.rng);
        for (site, client) in self.sites.iter_mut().zip(clients) {
            if let Some(pid) = client {
                site.kill(pid, &self.clock);
            }
        }
        self.inputs.clear();
        self.watchers.iter_mut().for_each(Watcher::cut);
    }

    fn lie_in_wait(&mut self) {
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
    fn feed(&mut self, batch: Vec<(Actor, Input)>) -> Checked {
        let (now, moment) = (self.clock.now(), self.moment());
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        let inputs: Vec<Input> = batch.iter().map(|(_, input)| input.clone()).collect();
        for input in &inputs {
            self.trace.note(|| format!("{} {:?} {input:?}", self.tally.steps, now.mono));
        }
        let length = self.disk.log_length();
        match daemon.books.ledger.transact(now, batch) {
            Ok(outcomes) => {
                if self.disk.has_sprung() {
                    // The disk was full, room was made, and the engine was read back in between.
                    self.tally.count("disk full at first");
                    self.checker.restart(moment, now, moment);
                    self.reread = true;
                }
                self.committed(&inputs, outcomes, moment)
            }
            Err(error) => self.not_committed(inputs, &error, length, moment),
        }
    }

    fn not_committed(
        &mut self,
        inputs: Vec<Input>,
        error: &CommitError,
        length: u64,
        moment: Moment,
    ) -> Checked {
        self.trace.note(|| format!("  not committed: {}", chain(error)));
        match error.kind {
            CommitErrorKind::Full | CommitErrorKind::Busy => {
                self.tally.count("disk full");
                self.forget_observed();
                self.after_failure(moment)
            }
            CommitErrorKind::Io
            | CommitErrorKind::Corrupt
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
    fn after_failure(&mut self, moment: Moment) -> Checked {
        let now = self.clock.now();
        self.checker.restart(moment, now, moment);
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        daemon.follower = daemon.books.ledger.engine().clone();
        self.checker.check_fold(daemon.books.ledger.engine())
    }

    /// What was observed and not stored has to be observed again.
    fn forget_observed(&mut self) {
        let Some(daemon) = &mut self.daemon else { return };
        daemon.observers.iter_mut().flatten().for_each(Observer::rescan);
    }

    /// Senders that got no answer send again.
    fn retry(&mut self, inputs: &[Input]) {
        for input in inputs {
            if let Input::Signalled(signal) = input
                && signal.expects_version.is_none()
            {
                let due_ms = self.clock.true_ms() + self.rng.between(0, 3_000);
                self.voices.retry((**signal).clone(), due_ms);
            }
        }
    }

    fn committed(&mut self, inputs: &[Input], outcomes: Vec<Outcome>, moment: Moment) -> Checked {
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
            if let Input::Signalled(signal) = input {
                self.checker.answered(signal, &outcome.result)?;
            }
        }
        self.publish(outcomes)?;
        self.check()
    }

    /// The journal holds exactly what the outcomes say, read over another connection.
    fn check_stored(&mut self, outcomes: &[Outcome]) -> Result<Vec<Arc<Change>>, Violation> {
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

    fn take_outcomes(
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
    fn publish(&mut self, outcomes: Vec<Outcome>) -> Checked {
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

    fn carry_out(&mut self, effect: Effect) {
        let Some(daemon) = &mut self.daemon else { return };
        let index = |target| self.sites.iter().position(|site| site.target == target);
        match effect {
            Effect::Observe(row) => {
                if let Some(index) = index(row.target.clone()) {
                    daemon.observers[index] = Observer::new(&row.target, "sim");
                }
            }
            Effect::Forget(target) => {
                if let Some(index) = index(target)
                    && let Some(pid) = daemon.observers[index].take().and_then(|it| it.client())
                {
                    self.sites[index].kill(pid, &self.clock);
                }
            }
            Effect::Rescan(target) => {
                let observer = index(target).and_then(|index| daemon.observers[index].as_mut());
                observer.into_iter().for_each(Observer::rescan);
            }
        }
    }

    fn check(&mut self) -> Checked {
        let Some(daemon) = &self.daemon else { return Ok(()) };
        if self.tally.steps.is_multiple_of(self.plan.check_every) {
            let engine = daemon.books.ledger.engine();
            self.checker.check_fold(engine)?;
            self.checker.check_states(engine, self.clock.now(), self.moment())?;
        }
        Ok(())
    }

    // The world around it.

    fn live(&mut self, index: usize) {
        let (act, printed) = self.sites[index].live(self.room, &self.clock, &mut self.rng);
        self.trace.note(|| format!("{index}: {act:?}"));
        // A hint may be lost.
        if let (Some(pane), true) = (printed, self.rng.permille(950))
            && let Some(daemon) = &mut self.daemon
            && let Some(observer) = &mut daemon.observers[index]
        {
            let target = self.sites[index].target.clone();
            let told = observer.hear_output(pane).into_iter();
            let told = told.map(|sight| Input::Observed { target: target.clone(), sight });
            self.inputs.extend(told.map(|input| (Actor::Observer, input)));
        }
    }

    fn observe(&mut self, index: usize) -> Checked {
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        if let Some(observer) = &mut daemon.observers[index] {
            let site = &mut self.sites[index];
            let told = observer.step(site, &self.clock, &mut self.rng, self.healing);
            let lost = |it: &Observation| matches!(it, Observation::Failed { trouble, .. } if trouble.code == OUT_OF_STEP);
            if told.iter().any(lost) {
                return violated("I10", "a stream that is in step is read as if it were not");
            }
            let observed = |sight| Input::Observed { target: site.target.clone(), sight };
            self.inputs.extend(told.into_iter().map(|sight| (Actor::Observer, observed(sight))));
        }
        self.hand_in(600)
    }

    /// What waits is handed in, all at once or later.
    fn hand_in(&mut self, permille: u32) -> Checked {
        if self.inputs.is_empty() || !self.rng.permille(permille) {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.inputs);
        self.feed(batch)
    }

    fn say(&mut self, index: usize) {
        let Some(speaker) = self.speaker(index) else { return };
        if !self.voices.is_full() {
            let (wall, true_ms) = (self.clock.wall(), self.clock.true_ms());
            self.voices.say(&mut self.rng, &speaker, wall, true_ms);
        }
    }

    fn speaker(&mut self, index: usize) -> Option<Speaker> {
        let site = &self.sites[index];
        let target = site.target.clone();
        if self.rng.permille(300) {
            let rows = self.checker.follower.panes().filter(|row| row.key.target == target);
            let row = self.rng.choose(rows)?;
            let runtime = row.runtime.as_ref()?;
            let (pane, pid, started) = (row.key.pane.0, runtime.pid, runtime.started_at);
            let runtime = Some(runtime.runtime.clone());
            return Some(Speaker { target, pane, pid, started, runtime });
        }
        let (pane, it) = self.rng.choose(site.tmux.as_ref()?.server.panes.iter())?;
        let pid = it.agent.as_ref().map_or(it.pid, |agent| agent.pid);
        let started = WallMs(site.host.identity(pid)?.started_ns? / 1_000_000);
        Some(Speaker { target, pane: *pane, pid, started, runtime: None })
    }

    fn deliver(&mut self) -> Checked {
        if self.daemon.is_none() {
            return Ok(());
        }
        // A storm comes at once.
        let letters = if self.rng.permille(30) { 30 } else { 1 };
        for _ in 0..letters {
            let Some(signal) = self.voices.arrive(&mut self.rng, self.clock.true_ms()) else {
                break;
            };
            self.accept(signal);
        }
        self.hand_in(800)
    }

    fn accept(&mut self, signal: Signal) {
        self.tally.count("event handed in");
        if self.rng.permille(80) {
            let due_ms = self.clock.true_ms() + self.rng.between(0, 2_000);
            self.voices.retry(signal.clone(), due_ms);
        }
        let actor = Actor::Client { uid: 1_000, pid: None };
        self.inputs.push((actor, Input::Signalled(Box::new(signal))));
    }

    fn watch(&mut self) -> Checked {
        let index = self.rng.below(self.watchers.len());
        let watcher = &mut self.watchers[index];
        let Some(daemon) = &self.daemon else { return Ok(()) };
        if self.rng.permille(60) && !self.healing {
            self.tally.count("watcher cut");
            watcher.cut();
        }
        let as_of = daemon.books.ledger.as_of();
        watcher.resume(&daemon.books.journal, &daemon.follower, as_of, &self.rows)?;
        watcher.read(&mut self.rng, &self.rows)
    }

    fn hang(&mut self, index: usize) {
        let site = &mut self.sites[index];
        let Some(tmux) = &mut site.tmux else { return };
        if tmux.hung {
            tmux.go_on(&mut site.host, &self.clock);
        } else {
            tmux.hung = true;
            self.tally.count("server hangs");
        }
        site.settle(&self.clock);
    }

    /// Something of the user's lands in our own session.
    fn trespass(&mut self, index: usize) {
        self.tally.count("trespass");
        self.sites[index].trespass(&self.clock, &mut self.rng);
    }

    fn jump(&mut self) {
        self.count("clock set");
        let far =
            self.rng.weighted(&[(50, 1_000), (30, 20_000), (15, 3_600_000), (5, 315_360_000_000)]);
        let ms = match self.rng.below(4) {
            0 => {
                let ppm = self.rng.between(-500, 500);
                self.clock.drift(ppm);
                0
            }
            1 => -self.clock.wall_offset_ms(),
            _ => self.rng.between(-far, far),
        };
        self.clock.jump(ms);
        if ms.abs() > DAY_MS {
            self.voices.forget();
        }
    }

    fn ask(&mut self, index: usize) -> Checked {
        let Some(daemon) = &self.daemon else { return Ok(()) };
        let name = self.sites[index].name.clone();
        let known = daemon.books.ledger.engine().target_named(&name).is_some();
        if !known {
            return self.add_target(index);
        }
        let actor = Actor::Client { uid: 1_000, pid: Some(1) };
        let request = if self.rng.permille(600) {
            Request::ConnectTarget { name }
        } else {
            self.tally.count("target removed");
            Request::RemoveTarget { name }
        };
        self.feed(vec![(actor, Input::Asked(request))])
    }

    fn add_target(&mut self, index: usize) -> Checked {
        let site = &self.sites[index];
        let request = Request::AddTarget {
            target: site.target.clone(),
            name: site.name.clone(),
            kind: TargetKind::Local,
            connection_ref: site.name.clone(),
        };
        self.feed(vec![(Actor::Daemon, Input::Asked(request))])
    }

    fn retain(&mut self) -> Checked {
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        self.tally.count("retention");
        match daemon.books.ledger.retain(self.clock.now(), &Retention::default()) {
            Ok(()) => {
                self.checker.forgot_what_is_old();
                Ok(())
            }
            Err(error) => violated("I1", format!("retention failed: {}", chain(&error))),
        }
    }

    // Healing.

    /// Nothing breaks any more: within about a minute everything is as it is.
    fn heal(&mut self) -> Checked {
        self.healing = true;
        self.disk.let_go();
        self.clock.drift(0);
        for site in &mut self.sites {
            if let Some(tmux) = &mut site.tmux {
                tmux.go_on(&mut site.host, &self.clock);
            }
            site.settle(&self.clock);
        }
        while self.daemon.is_none() {
            self.start()?;
        }
        for index in 0..self.sites.len() {
            self.add_target(index)?;
        }
        let until = self.clock.true_ms() + HEALING_MS;
        let mut guests_due = true;
        while self.clock.true_ms() < until {
            if guests_due && until - self.clock.true_ms() < GUESTS_MS {
                // Also what lands with us now has to be gone in the end. A pane raises no
                // notification; the look at everything, once a minute, finds it.
                guests_due = false;
                (0..self.sites.len()).for_each(|index| self.trespass(index));
            }
            let pause = self.rng.between(1, 400);
            self.clock.advance(pause);
            if self.is_due() {
                self.tick()?;
            }
            let next = self.rng.weighted(HEALING);
            self.step(next)?;
        }
        self.hand_in(1_000)?;
        while self.is_due() {
            self.tick()?;
        }
        self.judge()
    }

    /// Everything has to be right now.
    fn judge(&mut self) -> Checked {
        let Some(daemon) = &self.daemon else { return violated("I10", "no daemon runs") };
        let engine = daemon.books.ledger.engine();
        self.checker.check_fold(engine)?;
        self.checker.check_states(engine, self.clock.now(), self.moment())?;
        self.checker.acknowledged_are_kept()?;
        for (site, observer) in self.sites.iter().zip(&daemon.observers) {
            check_view(engine, site)?;
            // Without a control connection nobody looks after our session.
            if observer.as_ref().is_some_and(|it| it.client().is_some()) {
                site.check_hub()?;
            }
        }
        let as_of = daemon.books.ledger.as_of();
        for watcher in &mut self.watchers {
            watcher.cut();
            watcher.resume(&daemon.books.journal, &daemon.follower, as_of, &self.rows)?;
            watcher.agrees(&self.checker.follower)?;
        }
        self.disk.verify()?;
        self.tally.digest = self.checker.digest();
        self.crash(None);
        self.disk.verify()?;
        self.start()
    }
}

/// I10: what is shown is what is there.
fn check_view(engine: &Engine, site: &Site) -> Checked {
    let shown = engine.panes().filter(|row| row.key.target == site.target);
    let shown: Vec<_> = shown.map(|row| row.facts.clone()).collect();
    let server = site.tmux.as_ref().map(|tmux| &tmux.server);
    let there = server.map_or(Vec::new(), |it| sight::panes(it, &site.host));
    view::compare(&shown, &there)?;
    let sessions: Vec<_> =
        engine.sessions().filter(|row| row.target == site.target).cloned().collect();
    let there = server.map_or(Vec::new(), |it| sight::sessions(&site.target, it));
    if sessions != there {
        return violated("I10", format!("shown {sessions:?}, there {there:?}"));
    }
    let row = engine.target(&site.target);
    let healthy = row.is_some_and(|row| row.health == Health::Ok);
    let boot = server.filter(|it| !it.is_empty()).map(|it| sight::boot_id(it, &site.host));
    let known = row.and_then(|row| row.server.as_ref()).map(|it| it.boot.clone());
    if !healthy || known != boot {
        return violated(
            "I10",
            format!("{} is known as {row:?}, its server is {boot:?}", site.name),
        );
    }
    Ok(())
}
