//! The whole: tmux's bytes, the real ledger on a real file, watchers, and a daemon that dies
//! between any two steps.

mod daemon;
mod healing;

use engine::event::Actor;
use engine::ids::TargetId;
use engine::input::{Input, Observation};
use engine::settings::Settings;
use engine::signal::Signal;
use engine::trail::Trail;
use store::Retention;

use super::Plan;
use super::check::{Checked, Checker, violated};
use super::clock::Clock;
use super::disk::{Disk, chain};
use super::executors::{Executors, There, With};
use super::fake::act::Room;
use super::model::Moment;
use super::observer::OUT_OF_STEP;
use super::people::People;
use super::questions::Questions;
use super::readings::Agents;
use super::rng::Rng;
use super::road::{Road, Weather};
use super::site::{self, Site};
use super::spool::{self, Spool};
use super::tally::Tally;
use super::trace::Trace;
use super::voices::{Speaker, Voices};
use super::watcher::{Rows, Watcher};
use daemon::Daemon;

/// How often the daemon leaves a trail for the next one.
const TRAIL_MS: i64 = 1_000;
const DAY_MS: i64 = 86_400_000;
/// The chance of ways is not that of the world.
const ROADS: u64 = 0x726f_6164;

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
    agents: Agents,
    people: People,
    questions: Questions,
    executors: Executors,
    /// What the hooks of each site write down, where they run.
    spools: Vec<Spool>,
    room: Room,
    /// What it last left, and when.
    trail: (i64, Trail),
    healing: bool,
    /// Batches that were committed by this daemon and told.
    commits: u64,
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
    Hook,
    Follow,
    Observe,
    Read,
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
    Want,
    Question,
    Errand,
}

const MOVES: &[(u32, Move)] = &[
    (170, Move::Live),
    (70, Move::Say),
    (90, Move::Deliver),
    (40, Move::Hook),
    (50, Move::Follow),
    (560, Move::Observe),
    (40, Move::Read),
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
    (40, Move::Want),
    (20, Move::Question),
    (110, Move::Errand),
];

impl Whole {
    pub(crate) fn new(seed: u64, plan: Plan) -> std::io::Result<Whole> {
        let mut rng = Rng::new(seed);
        let sites = 1 + rng.below(2);
        let room = Room { sessions: 1 + rng.below(3), panes: 2 + rng.below(8) };
        let watchers = (0..1 + rng.below(3)).map(|_| Watcher::new()).collect();
        Ok(Whole {
            plan,
            spools: (0..sites).map(|_| Spool::default()).collect(),
            sites: (0..sites).map(|index| Site::new(index, 60, road(index, seed))).collect(),
            disk: Disk::new()?,
            daemon: None,
            in_doubt: None,
            inputs: Vec::new(),
            watchers,
            rows: Rows::default(),
            checker: Checker::new(Settings::default()),
            voices: Voices::default(),
            agents: Agents::default(),
            people: People::default(),
            questions: Questions::default(),
            executors: Executors::default(),
            room,
            trail: (0, Trail::default()),
            healing: false,
            commits: 0,
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
        (0..self.sites.len()).for_each(|index| self.travel(index));
        if self.daemon.is_none() {
            return if self.rng.permille(500) { self.start() } else { Ok(()) };
        }
        if self.clock.true_ms() - self.trail.0 >= TRAIL_MS {
            self.leave_trail()?;
        }
        // A timer may be late.
        if self.is_due() && self.rng.permille(900) { self.tick() } else { Ok(()) }
    }

    /// What is on its way goes on, and the way may change.
    pub(super) fn travel(&mut self, index: usize) {
        let site = &mut self.sites[index];
        let weather = site.weather(&self.clock);
        site.carry(&self.clock);
        if site.road.as_ref().is_some_and(Road::has_company) {
            self.tally.count("step beside a client left behind");
        }
        let Some(weather) = weather else { return };
        let target = site.target.clone();
        if matches!(weather, Weather::Cut | Weather::Reboot) {
            self.executors.lose(&target, &mut self.rng);
            self.spools[index].reread();
        }
        self.count(match weather {
            Weather::Cut => "way cut",
            Weather::Silent => "way fell silent",
            Weather::Back => "way came back",
            Weather::Reboot => "machine there rebooted",
        });
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
            Move::Hook => {
                self.run_hook(site);
                Ok(())
            }
            Move::Follow => self.follow_spool(site),
            Move::Observe => self.observe(site),
            Move::Read => {
                self.read(site);
                Ok(())
            }
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
            Move::Jump => self.jump(),
            Move::Ask => self.ask(site),
            Move::Retain => self.retain(),
            Move::Days => {
                self.count("days passed");
                let days = self.rng.between(1, 16);
                self.clock.advance(days * DAY_MS);
                self.voices.forget();
                self.people.forget();
                let checker = &self.checker;
                self.spools.iter_mut().for_each(|it| it.settle(|event| checker.has_taken(event)));
                Ok(())
            }
            Move::Want => self.want(),
            Move::Question => {
                self.question(site);
                Ok(())
            }
            Move::Errand => self.errand(),
        }
    }

    fn count(&mut self, what: &'static str) {
        self.tally.count(what);
        self.trace.note(|| what.to_owned());
    }

    // The world around the daemon.

    fn live(&mut self, index: usize) {
        let (act, printed) = self.sites[index].live(self.room, &self.clock, &mut self.rng);
        self.trace.note(|| format!("{index}: {act:?}"));
        // A hint may be lost.
        if let (Some(pane), true) = (printed, self.rng.permille(950))
            && self.sites[index].is_reached()
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
        if let Some(speaker) = self.speaker(index) {
            self.voices.say(&mut self.rng, &speaker, &self.clock);
        }
    }

    fn speaker(&mut self, index: usize) -> Option<Speaker> {
        let site = &self.sites[index];
        let rows = self.checker.follower.panes().filter(|row| row.key.target == site.target);
        let server = site.tmux.as_ref().map(|tmux| &tmux.server);
        Speaker::draw(&mut self.rng, &site.target, rows, server, &site.host)
    }

    /// A hook runs, whether or not there is a daemon.
    fn run_hook(&mut self, index: usize) {
        if let Some(speaker) = self.speaker(index) {
            self.tally.count("hook ran");
            let host = &self.sites[index].host;
            self.spools[index].write(&mut self.rng, &speaker, &self.clock, host);
        }
    }

    /// Takes in what hooks wrote down, and moves on only once it is committed.
    fn follow_spool(&mut self, index: usize) -> Checked {
        if self.daemon.is_none() || !self.sites[index].is_reached() {
            return Ok(());
        }
        let Some(batch) = self.spools[index].read(&mut self.rng) else { return Ok(()) };
        let mut inputs = Vec::new();
        for found in &batch.found {
            let site = self.sites.iter().find(|site| site.target == found.target);
            let signal = site.and_then(|site| spool::signal(found, &site.host));
            let actor = Actor::Client { uid: 1_000, pid: None };
            inputs.extend(signal.map(|it| (actor, Input::Spooled(Box::new(it)))));
        }
        let commits = self.commits;
        if !inputs.is_empty() {
            self.feed(inputs)?;
        }
        if self.commits > commits || batch.found.is_empty() {
            self.spools[index].took(&batch, &mut self.rng);
        }
        Ok(())
    }

    /// A look reads what an agent shows.
    fn read(&mut self, index: usize) {
        let Some(daemon) = &self.daemon else { return };
        let site = &self.sites[index];
        if !site.is_reached() {
            return;
        }
        let (Some(tmux), Some(_)) = (&site.tmux, &daemon.observers[index]) else { return };
        let read = self.agents.read(&mut self.rng, &site.target, &tmux.server, &site.host);
        let target = site.target.clone();
        let input = read.map(|sight| Input::Observed { target, sight });
        self.inputs.extend(input.map(|input| (Actor::Observer, input)));
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

    fn jump(&mut self) -> Checked {
        let (executors, mut with, sites) = self.acting();
        executors.drain(&mut with, &|target| there(sites, target))?;
        self.count("clock set");
        if self.clock.disturb(&mut self.rng).abs() > DAY_MS {
            self.voices.forget();
            self.people.forget();
        }
        Ok(())
    }

    /// Whoever acts, what a step of theirs depends on or tells, and what they reach.
    fn acting(&mut self) -> (&mut Executors, With<'_>, &[Site]) {
        let with = With {
            rng: &mut self.rng,
            clock: &self.clock,
            deeds: &mut self.checker.deeds,
            questions: &mut self.questions,
            voices: &mut self.voices,
            tally: &mut self.tally,
            cut: self
                .sites
                .iter()
                .filter(|it| !it.is_reached())
                .map(|it| it.target.clone())
                .collect(),
        };
        (&mut self.executors, with, &self.sites)
    }

    /// Somebody wants something done.
    fn want(&mut self) -> Checked {
        if self.daemon.is_none() {
            return Ok(());
        }
        let wanted = self.people.want(&mut self.rng, &self.checker.follower);
        let Some((actor, request)) = wanted else { return Ok(()) };
        self.tally.count("act asked for");
        self.feed(vec![(actor, Input::Asked(request))])
    }

    /// An agent asks something, or is answered in its own terminal.
    fn question(&mut self, index: usize) {
        let target = &self.sites[index].target;
        let there = there(&self.sites, target);
        self.questions.turn(&mut self.rng, target, there.as_ref(), &self.clock, &mut self.voices);
    }

    /// Whoever acts goes on by a step, and tmux with what it was told, whether or not a daemon runs.
    fn errand(&mut self) -> Checked {
        let (executors, mut with, sites) = self.acting();
        let report = executors.step(&mut with, &|target| there(sites, target))?;
        let Some(report) = report else { return Ok(()) };
        let commits = self.commits;
        self.feed(vec![(Actor::Daemon, report.clone())])?;
        if self.commits > commits {
            self.executors.reported(&report);
        }
        Ok(())
    }

    fn ask(&mut self, index: usize) -> Checked {
        let Some(daemon) = &self.daemon else { return Ok(()) };
        let name = self.sites[index].name.clone();
        if daemon.books.ledger.engine().target_named(&name).is_none() {
            return self.add_target(index);
        }
        let request = site::ask(&mut self.rng, name, &mut self.tally);
        self.feed(vec![request])
    }

    fn add_target(&mut self, index: usize) -> Checked {
        let site = &self.sites[index];
        let request = site::addition(&site.target, &site.name);
        self.feed(vec![request])
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
}

/// The way to a site: the first is near. Every fourth world has no ways at all.
fn road(index: usize, seed: u64) -> Option<Road> {
    let rng = Rng::new(seed ^ ROADS);
    (index > 0 && !seed.is_multiple_of(4)).then(|| Road::new(rng))
}

/// A target's server, as whoever acts reaches it.
fn there<'a>(sites: &'a [Site], target: &TargetId) -> Option<There<'a>> {
    let site = sites.iter().find(|site| site.target == *target)?;
    let tmux = site.tmux.as_ref()?;
    Some(There { server: &tmux.server, host: &site.host, hung: tmux.hung })
}
