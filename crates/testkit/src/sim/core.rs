//! Engine only: no bytes, no disk, as many steps as the machine can do.
//!
//! One step is one input that the engine decides and folds. Looks come straight from the truth,
//! the past is kept in maps, and a crash keeps exactly the rows that a store would hold.

use std::collections::BTreeSet;

use engine::event::Actor;
use engine::ids::TargetId;
use engine::input::{Input, Observation};
use engine::settings::Settings;
use engine::signal::Signal;
use engine::target::Trouble;
use engine::trail::Trail;

use super::Plan;
use super::check::{Checked, Checker, violated};
use super::clock::Clock;
use super::executors::{Executors, There, With};
use super::fake::act::{Act, Hands, Room};
use super::fake::host::Host;
use super::fake::server::Server;
use super::mind::{Bare, Mind};
use super::model::Moment;
use super::people::People;
use super::questions::Questions;
use super::readings::Agents;
use super::rng::Rng;
use super::sight;
use super::site;
use super::tally::Tally;
use super::trace::Trace;
use super::view;
use super::voices::{Speaker, Voices};

/// A tmux server, the machine it runs on, and the target under which it is known.
#[derive(Debug)]
struct Place {
    target: TargetId,
    name: String,
    host: Host,
    server: Option<Server>,
    /// Panes whose facts changed since they were last looked at.
    changed: Vec<u32>,
}

/// One world of one engine.
pub(crate) struct Core {
    plan: Plan,
    rng: Rng,
    clock: Clock,
    places: Vec<Place>,
    mind: Bare,
    checker: Checker,
    voices: Voices,
    agents: Agents,
    people: People,
    questions: Questions,
    executors: Executors,
    room: Room,
    /// What the daemon last left for the next one, and when.
    trail: (i64, Trail),
    pub(crate) tally: Tally,
    pub(crate) trace: Trace,
}

/// How often it leaves one.
const TRAIL_MS: i64 = 1_000;
const DAY_MS: i64 = 86_400_000;

/// What one step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Live,
    Say,
    Deliver,
    Print,
    Read,
    LookAtChanged,
    LookAtAll,
    NothingNew,
    ProcessEnded,
    Answered,
    Failed,
    Limited,
    ServerDies,
    Crash,
    Jump,
    Ask,
    Want,
    Question,
    Errand,
}

const MOVES: &[(u32, Move)] = &[
    (180, Move::Live),
    (170, Move::Say),
    (200, Move::Deliver),
    (160, Move::Print),
    (120, Move::Read),
    (110, Move::LookAtChanged),
    (14, Move::LookAtAll),
    (60, Move::NothingNew),
    (30, Move::ProcessEnded),
    (30, Move::Answered),
    (10, Move::Failed),
    (4, Move::Limited),
    (2, Move::ServerDies),
    (3, Move::Crash),
    (3, Move::Jump),
    (2, Move::Ask),
    (60, Move::Want),
    (30, Move::Question),
    (160, Move::Errand),
];

/// Moves that happen to a world that heals.
const HEALING: &[(u32, Move)] =
    &[(1, Move::LookAtAll), (1, Move::Answered), (4, Move::Deliver), (4, Move::Errand)];

impl Core {
    pub(crate) fn new(seed: u64, plan: Plan) -> Self {
        let mut rng = Rng::new(seed);
        let places = 1 + rng.below(2);
        let room = Room { sessions: 1 + rng.below(3), panes: 2 + rng.below(6) };
        let places = (0..places).map(|index| Place {
            target: TargetId::new(format!("tg-{index}")),
            name: format!("place{index}"),
            host: Host::new(&format!("host{index}"), 40),
            server: None,
            changed: Vec::new(),
        });
        Self {
            plan,
            places: places.collect(),
            rng,
            clock: Clock::new(),
            mind: Bare::new(Settings::default()),
            checker: Checker::new(Settings::default()),
            voices: Voices::default(),
            agents: Agents::default(),
            people: People::default(),
            questions: Questions::default(),
            executors: Executors::default(),
            room,
            trail: (0, Trail::default()),
            tally: Tally::default(),
            trace: Trace::new(plan.trace),
        }
    }

    /// Breaks things for a while, heals them, and demands that everything is right again.
    pub(crate) fn run(&mut self) -> Checked {
        for index in 0..self.places.len() {
            self.add_target(index)?;
        }
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
        let most = self.rng.weighted(&[(700, 20), (250, 500), (44, 4_000), (6, 90_000)]);
        let ms = self.rng.between(0, most);
        self.clock.advance(ms);
        if self.clock.true_ms() - self.trail.0 >= TRAIL_MS {
            self.trail = (self.clock.true_ms(), self.mind.engine().trail());
            self.checker.check_trail(&self.trail.1)?;
        }
        let due =
            self.mind.engine().next_deadline().is_some_and(|it| it.at <= self.clock.now().mono);
        // A timer may be late.
        if due && self.rng.permille(900) {
            self.feed(Actor::Reconciler, Input::Ticked)?;
        }
        Ok(())
    }

    fn step(&mut self, next: Move) -> Checked {
        let place = self.rng.below(self.places.len());
        match next {
            Move::Live => {
                self.live(place);
                Ok(())
            }
            Move::Say => {
                self.say(place);
                Ok(())
            }
            Move::Deliver => self.deliver(),
            Move::Print => self.print(place),
            Move::Read => self.read(place),
            Move::LookAtChanged => self.look_at_changed(place),
            Move::LookAtAll => self.look_at_all(place),
            Move::NothingNew => self.nothing_new(place),
            Move::ProcessEnded => self.process_ended(place),
            Move::Answered => self.observe(place, Observation::Answered),
            Move::Failed => self.fail(place),
            Move::Limited => self.limit(place),
            Move::ServerDies => {
                let place = &mut self.places[place];
                if let Some(mut server) = place.server.take() {
                    server.end(&mut place.host, self.clock.kernel_ns());
                }
                place.changed.clear();
                self.tally.count("server killed");
                Ok(())
            }
            Move::Crash => {
                self.crash()?;
                // A daemon begins by looking at its clock.
                self.feed(Actor::Reconciler, Input::Ticked)
            }
            Move::Jump => self.jump(),
            Move::Ask => self.ask(place),
            Move::Want => self.want(),
            Move::Question => {
                self.question(place);
                Ok(())
            }
            Move::Errand => self.errand(),
        }
    }

    /// Gives the engine one input, and checks whatever it makes of it.
    fn feed(&mut self, actor: Actor, input: Input) -> Checked {
        self.give(actor, input)?;
        if self.tally.steps.is_multiple_of(self.plan.check_every) {
            self.check()?;
        }
        Ok(())
    }

    fn give(&mut self, actor: Actor, input: Input) -> Checked {
        let (now, moment) = (self.clock.now(), self.moment());
        self.trace.note(|| format!("{} {:?} {input:?}", self.tally.steps + 1, now.mono));
        self.checker.looked(&input, moment);
        let signal = match &input {
            Input::Signalled(signal) | Input::Spooled(signal) => Some(signal.clone()),
            Input::Observed { .. }
            | Input::Asked(_)
            | Input::Acted { .. }
            | Input::Held { .. }
            | Input::Resumed(_)
            | Input::Offered { .. }
            | Input::Started
            | Input::Ticked => None,
        };
        let asked = match &input {
            Input::Asked(request) => Some(request.clone()),
            Input::Observed { .. }
            | Input::Signalled(_)
            | Input::Spooled(_)
            | Input::Acted { .. }
            | Input::Held { .. }
            | Input::Resumed(_)
            | Input::Offered { .. }
            | Input::Started
            | Input::Ticked => None,
        };
        let Ok(outcomes) = self.mind.transact(now, vec![(actor, input)]) else {
            return violated("I6", "an engine without a disk cannot fail");
        };
        self.tally.steps += 1;
        for outcome in &outcomes {
            self.tally.rows += outcome.changes.len() as u64;
            for change in &outcome.changes {
                self.trace.note(|| format!("  {change:?}"));
            }
            self.trace.note(|| format!("  notes {:?} result {:?}", outcome.notes, outcome.result));
            self.checker.take(&outcome.changes, moment)?;
            if let Some(signal) = &signal {
                self.checker.answered(signal, &outcome.result)?;
            }
            if let Some(asked) = &asked {
                let engine = self.mind.engine();
                self.checker.deeds.answered(asked, &outcome.result, engine, now)?;
            }
            outcome.effects.iter().for_each(|effect| self.executors.take(effect));
        }
        Ok(())
    }

    fn check(&mut self) -> Checked {
        self.checker.check_fold(self.mind.engine())?;
        self.checker.check_unseen()?;
        self.checker.check_states(self.mind.engine(), self.clock.now(), self.moment())
    }

    fn observe(&mut self, place: usize, sight: Observation) -> Checked {
        let target = self.places[place].target.clone();
        self.feed(Actor::Observer, Input::Observed { target, sight })
    }

    fn live(&mut self, index: usize) {
        let place = &mut self.places[index];
        let now_ns = self.clock.kernel_ns();
        let server = place.server.get_or_insert_with(|| {
            let pid = place.host.spawn(now_ns);
            Server::new(pid, now_ns, self.clock.wall_seconds())
        });
        let Some(act) = Act::draw(&mut self.rng, server, self.room) else { return };
        let (host, clock, rng) = (&mut place.host, &self.clock, &mut self.rng);
        place.changed.extend(act.perform(&mut Hands { server, host, clock, rng }));
        server.notices.clear();
        if server.is_empty() {
            server.end(&mut place.host, now_ns);
            place.server = None;
        }
    }

    fn say(&mut self, index: usize) {
        let place = &self.places[index];
        let rows = self.mind.engine().panes().filter(|row| row.key.target == place.target);
        let (server, host) = (place.server.as_ref(), &place.host);
        let speaker = Speaker::draw(&mut self.rng, &place.target, rows, server, host);
        if let Some(speaker) = speaker {
            self.voices.say(&mut self.rng, &speaker, &self.clock);
        }
    }

    fn deliver(&mut self) -> Checked {
        let Some(signal) = self.voices.arrive(&mut self.rng, self.clock.true_ms()) else {
            return Ok(());
        };
        self.hand_in(signal)
    }

    fn hand_in(&mut self, signal: Signal) -> Checked {
        let actor = Actor::Client { uid: 1_000, pid: None };
        if self.rng.permille(100) {
            let due_ms = self.clock.true_ms() + self.rng.between(0, 2_000);
            self.voices.retry(signal.clone(), due_ms);
        }
        self.tally.count("event handed in");
        // It may have been written down, to be read later.
        let spooled = self.rng.permille(150);
        let signal = Box::new(signal);
        self.feed(actor, if spooled { Input::Spooled(signal) } else { Input::Signalled(signal) })
    }

    fn print(&mut self, place: usize) -> Checked {
        let panes = self.places[place].server.as_ref().map(|server| server.panes.keys());
        let Some(pane) = panes.and_then(|panes| self.rng.choose(panes)).copied() else {
            return Ok(());
        };
        self.observe(place, Observation::Printed { panes: vec![engine::ids::PaneId(pane)] })
    }

    fn read(&mut self, index: usize) -> Checked {
        let place = &self.places[index];
        let Some(server) = &place.server else { return Ok(()) };
        let read = self.agents.read(&mut self.rng, &place.target, server, &place.host);
        read.map_or(Ok(()), |sight| self.observe(index, sight))
    }

    /// Looks at one pane, as after a hint.
    fn look_at_changed(&mut self, index: usize) -> Checked {
        let place = &mut self.places[index];
        let Some(server) = &place.server else { return Ok(()) };
        let any = self.rng.choose(server.panes.keys()).copied();
        let Some(pane) = place.changed.pop().or(any) else { return Ok(()) };
        let facts = sight::pane(server, &place.host, pane);
        let server = sight::server_facts(place.name.as_str(), server, &place.host);
        let panes = facts.into_iter().collect();
        self.observe(index, Observation::Panes { server, panes })
    }

    fn look_at_all(&mut self, index: usize) -> Checked {
        let place = &mut self.places[index];
        place.changed.clear();
        let sight = match &place.server {
            Some(server) if !server.is_empty() => {
                // The look began a little ago.
                let mut began = self.clock.now().mono;
                began.0 -= self.rng.between(0, 50);
                let mut seen =
                    sight::topology(&place.target, &place.name, server, &place.host, began);
                if self.rng.permille(200) {
                    seen.outputs = sight::outputs(&seen.panes, self.clock.wall(), &mut self.rng);
                }
                Observation::Topology(Box::new(seen))
            }
            Some(_) | None => Observation::NoServer,
        };
        self.observe(index, sight)
    }

    /// A cheap look that found everything as it was: only where that is so.
    fn nothing_new(&mut self, index: usize) -> Checked {
        let place = &self.places[index];
        let known: Vec<_> =
            self.mind.engine().panes().filter(|it| it.key.target == place.target).collect();
        let Some(server) = &place.server else { return Ok(()) };
        let shown = sight::panes(server, &place.host);
        let same = known.len() == shown.len()
            && known.iter().zip(&shown).all(|(row, facts)| {
                row.key.pane == facts.pane
                    && row.facts.process == facts.process
                    && row.facts.dead == facts.dead
            });
        let boot = sight::boot_id(server, &place.host);
        if !same || known.iter().any(|row| row.boot != boot) {
            return Ok(());
        }
        self.observe(index, Observation::Unchanged)
    }

    fn process_ended(&mut self, index: usize) -> Checked {
        let place = &mut self.places[index];
        let Some(ended) = place.host.ended.pop() else { return Ok(()) };
        let holds = |row: &&engine::pane::PaneRow| {
            row.key.target == place.target && row.facts.process.same_process(&ended)
        };
        let Some(row) = self.mind.engine().panes().find(holds) else { return Ok(()) };
        let (pane, process) = (row.key.pane, row.facts.process);
        self.observe(index, Observation::ProcessEnded { pane, process })
    }

    fn fail(&mut self, place: usize) -> Checked {
        let trouble = Trouble { code: "E_TIMEOUT".to_owned(), message: "no answer".to_owned() };
        let weight = if self.rng.permille(200) { 3 } else { 1 };
        self.tally.count("target failed");
        self.observe(place, Observation::Failed { trouble, weight })
    }

    fn limit(&mut self, place: usize) -> Checked {
        let trouble = Trouble { code: "E_LIMITED".to_owned(), message: "a little".to_owned() };
        let trouble = self.rng.permille(500).then_some(trouble);
        self.observe(place, Observation::Limited { trouble })
    }

    fn crash(&mut self) -> Checked {
        self.tally.count("crash");
        self.trace.note(|| "crash".to_owned());
        let down = self.rng.weighted(&[(80, 200), (20, 60_000)]);
        let down = self.rng.between(0, down);
        self.clock.advance(down);
        let base = self.rng.between(0, 1_000_000);
        self.clock.restart_mono(base);
        let stored = self.checker.restart(&self.trail.1, self.clock.now(), self.moment());
        self.mind.crash(stored, &self.trail.1, self.clock.now());
        self.executors.crash(&mut self.rng);
        for effect in self.mind.engine().standing_effects() {
            self.executors.take(&effect);
        }
        // States are looked at when the clock was, as the next input.
        self.give(Actor::Daemon, Input::Started)
    }

    fn jump(&mut self) -> Checked {
        let (executors, mut with, places) = self.acting();
        executors.drain(&mut with, &|target| there(places, target))?;
        self.tally.count("clock set");
        if self.clock.disturb(&mut self.rng).abs() > DAY_MS {
            self.people.forget();
        }
        Ok(())
    }

    /// Whoever acts, what a step of theirs depends on or tells, and what they reach.
    fn acting(&mut self) -> (&mut Executors, With<'_>, &[Place]) {
        let with = With {
            rng: &mut self.rng,
            clock: &self.clock,
            deeds: &mut self.checker.deeds,
            questions: &mut self.questions,
            voices: &mut self.voices,
            tally: &mut self.tally,
            cut: BTreeSet::new(),
        };
        (&mut self.executors, with, &self.places)
    }

    /// Somebody wants something done.
    fn want(&mut self) -> Checked {
        let wanted = self.people.want(&mut self.rng, &self.checker.follower);
        let Some((actor, request)) = wanted else { return Ok(()) };
        self.tally.count("act asked for");
        self.feed(actor, Input::Asked(request))
    }

    /// An agent asks something, or is answered in its own terminal.
    fn question(&mut self, place: usize) {
        let target = &self.places[place].target;
        let there = there(&self.places, target);
        self.questions.turn(&mut self.rng, target, there.as_ref(), &self.clock, &mut self.voices);
    }

    /// Whoever acts goes on by a step.
    fn errand(&mut self) -> Checked {
        let (executors, mut with, places) = self.acting();
        let report = executors.step(&mut with, &|target| there(places, target))?;
        let Some(report) = report else { return Ok(()) };
        self.feed(Actor::Daemon, report.clone())?;
        self.executors.reported(&report);
        Ok(())
    }

    fn ask(&mut self, index: usize) -> Checked {
        let name = self.places[index].name.clone();
        if self.mind.engine().target_named(&name).is_none() {
            return self.add_target(index);
        }
        let (actor, input) = site::ask(&mut self.rng, name, &mut self.tally);
        self.feed(actor, input)
    }

    fn add_target(&mut self, index: usize) -> Checked {
        let place = &self.places[index];
        let (actor, input) = site::addition(&place.target, &place.name);
        self.feed(actor, input)
    }

    /// Nothing breaks any more: within a minute everything is as it is.
    fn heal(&mut self) -> Checked {
        self.clock.drift(0);
        for index in 0..self.places.len() {
            if self.mind.engine().target_named(&self.places[index].name).is_none() {
                self.add_target(index)?;
            }
            self.places[index].host.ended.clear();
        }
        let until = self.clock.true_ms() + 65_000;
        while self.clock.true_ms() < until {
            let pause = self.rng.between(100, 2_000);
            self.clock.advance(pause);
            if self.mind.engine().next_deadline().is_some_and(|it| it.at <= self.clock.now().mono) {
                self.feed(Actor::Reconciler, Input::Ticked)?;
            }
            let next = self.rng.weighted(HEALING);
            self.step(next)?;
        }
        // It may be that nobody looked at a target all this time, and it takes two looks to recover.
        for index in (0..self.places.len()).flat_map(|index| [index, index]) {
            self.look_at_all(index)?;
        }
        while self.mind.engine().next_deadline().is_some_and(|it| it.at <= self.clock.now().mono) {
            self.feed(Actor::Reconciler, Input::Ticked)?;
        }
        self.check()?;
        self.checker.acknowledged_are_kept()?;
        self.checker.deeds.all_attended(|action| self.executors.attends(action))?;
        self.tally.digest = self.checker.digest();
        (0..self.places.len()).try_for_each(|index| self.check_view(index))
    }

    /// I10: what is shown is what is there.
    fn check_view(&self, index: usize) -> Checked {
        let place = &self.places[index];
        view::check(self.mind.engine(), &place.target, place.server.as_ref(), &place.host)
    }
}

/// A target's server, as whoever acts reaches it.
fn there<'a>(places: &'a [Place], target: &TargetId) -> Option<There<'a>> {
    let place = places.iter().find(|place| place.target == *target)?;
    Some(There { server: place.server.as_ref()?, host: &place.host, hung: false })
}
