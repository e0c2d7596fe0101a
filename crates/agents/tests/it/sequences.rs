//! recorded hook sequences through the real adapters and the real engine, shuffled, repeated up
//! to thirteen times, and with words missing.
//!
//! `QD_PERMUTATIONS=100000` runs as many as the plan asks for; without it a few of each recording.

use std::collections::BTreeMap;

use agents::adapter::Report;
use agents::registry::Registry;
use engine::Engine;
use engine::action::ActionRow;
use engine::event::{Event, SessionRow};
use engine::ids::{
    ActionId, AgentType, BootId, EventId, PaneId, PaneKey, RuntimeId, SessionId, TargetId, WindowId,
};
use engine::input::{Input, Observation, Reading, Request, Topology};
use engine::pane::{AgentProcess, PaneFacts, ProcessIdentity};
use engine::past::{Past, PastEvent};
use engine::settings::Settings;
use engine::signal::{About, Hints, Signal};
use engine::state::Evidence;
use engine::target::{ObserverMode, ServerFacts};
use engine::time::{MonoMs, Now, WallMs};
use engine::words::{ActionKind, Bearing, Source, State, TargetKind};

use crate::corpus::{Kind, Recording, Step, read, recordings};

const EPOCH_MS: i64 = 1_700_000_000_000;
/// Permutations of each recording where nobody asks for more.
const FEW: usize = 60;
const REPEATS_MAX: usize = 13;

fn permutations() -> usize {
    let asked = std::env::var("QD_PERMUTATIONS").ok().and_then(|text| text.parse().ok());
    asked.map_or(FEW, |all: usize| all.div_ceil(recordings().len()))
}

/// The events that were recorded, as a store would know them again.
#[derive(Clone, Debug, Default)]
struct Known(BTreeMap<(Source, String), PastEvent>);

impl Past for Known {
    fn event_by_key(&self, _: &RuntimeId, source: Source, key: &str) -> Option<PastEvent> {
        self.0.get(&(source, key.to_owned())).cloned()
    }

    fn event_by_pane_key(&self, _: &PaneKey, source: Source, key: &str) -> Option<PastEvent> {
        self.0.get(&(source, key.to_owned())).cloned()
    }

    fn event_exists(&self, event: &EventId) -> bool {
        self.0.values().any(|it| it.event == *event)
    }

    fn last_epoch(&self, _: &PaneKey, _: &BootId) -> u64 {
        0
    }

    fn runtime_existed(&self, _: &RuntimeId) -> bool {
        true
    }

    fn action(&self, _: &ActionId) -> Option<ActionRow> {
        None
    }

    fn action_by_request(&self, _: ActionKind, _: &str) -> Option<ActionRow> {
        None
    }
}

/// One agent in one pane.
#[derive(Clone, Debug)]
pub(crate) struct World {
    engine: Engine,
    known: Known,
    now: Now,
}

fn target() -> TargetId {
    TargetId::new("tg")
}

fn process() -> ProcessIdentity {
    let started_ns = (EPOCH_MS - 60_000) * 1_000_000;
    ProcessIdentity { pid: 100, started_ns: Some(started_ns), exec_mark: Some(1) }
}

fn pane(agent: &str) -> PaneFacts {
    PaneFacts {
        pane: PaneId(1),
        window: WindowId(1),
        session: SessionId(0),
        session_name: "main".to_owned(),
        window_name: "sh".to_owned(),
        window_index: 0,
        pane_index: 0,
        pane_active: true,
        window_active: true,
        links: Vec::new(),
        width: 120,
        height: 40,
        tty: "/dev/pts/1".to_owned(),
        process: process(),
        dead: false,
        dead_status: None,
        dead_signal: None,
        in_mode: false,
        bell: false,
        zoomed: false,
        alternate_screen: false,
        command: agent.to_owned(),
        path: "/".to_owned(),
        title: String::new(),
        agent: Some(AgentProcess { agent: AgentType::new(agent), process: process() }),
    }
}

/// `ms` after the beginning of a sequence.
fn moment(ms: i64) -> Now {
    Now { wall: WallMs(EPOCH_MS + ms), mono: MonoMs(1_000_000_000 + ms) }
}

impl World {
    /// The agent is seen `ms` after the beginning of its sequence.
    pub(crate) fn at(ms: i64, agent: &str) -> Self {
        let engine = Engine::new(Settings::default());
        let mut world = Self { engine, known: Known::default(), now: moment(ms) };
        world.feed(&Input::Asked(Request::AddTarget {
            target: target(),
            name: "local".to_owned(),
            kind: TargetKind::Local,
            connection_ref: String::new(),
        }));
        world.is_there(agent);
        world
    }

    /// It is `ms` after the beginning.
    pub(crate) fn is_at(&mut self, ms: i64) {
        self.now = moment(ms);
    }

    /// The pane is seen, with the agent in it.
    pub(crate) fn is_there(&mut self, agent: &str) {
        let session = SessionRow {
            target: target(),
            session: SessionId(0),
            name: "main".to_owned(),
            attached: 0,
            created_s: 1,
        };
        let server = ServerFacts {
            boot: BootId::new("boot"),
            pid: 9,
            version: "3.3a".to_owned(),
            socket: "/s".to_owned(),
            started_at: WallMs(0),
            mode: ObserverMode::Control,
        };
        self.observe(Observation::Topology(Box::new(Topology {
            began: self.now.mono,
            server,
            sessions: vec![session],
            panes: vec![pane(agent)],
            outputs: Vec::new(),
        })));
    }

    pub(crate) fn observe(&mut self, sight: Observation) {
        self.feed(&Input::Observed { target: target(), sight });
    }

    pub(crate) fn feed(&mut self, input: &Input) {
        let decision = self.engine.decide(self.now, input, &self.known);
        decision.reply.expect("nothing is refused");
        for event in &decision.events {
            if let Event::EventRecorded(row) = event {
                let signal = &row.signal;
                let past = PastEvent {
                    event: signal.event_id.clone(),
                    event_type: signal.event_type.clone(),
                    source_event_id: None,
                    source_seq: signal.source_seq,
                    action_id: None,
                    runtime: Some(row.runtime.clone()),
                };
                self.known.0.insert((signal.source, signal.dedupe_key.clone()), past);
            }
            self.engine.apply(event);
        }
        for note in &decision.notes {
            self.engine.note(self.now, note);
        }
        for input in &decision.then {
            self.feed(input);
        }
    }

    pub(crate) fn shown(&self) -> (State, String, Option<Source>) {
        let row = self.engine.panes().next().expect("the pane");
        (row.state.state, row.state.reason.clone(), row.state.source)
    }

    fn evidence(&self) -> Vec<(RuntimeId, Evidence)> {
        self.engine.tables().evidence
    }
}

/// The reports of a recorded sequence, as the spool hands them in.
fn reports(recording: &Recording) -> Vec<Input> {
    let registry = Registry::built_in();
    let adapter = registry.get(&recording.agent).expect("an adapter");
    let input = |(number, step): (usize, Step)| {
        let said = adapter.hears(&step.event, &step.payload);
        report(&recording.agent, (number, step.ms), step.event, said)
    };
    recording.sequence().into_iter().enumerate().map(input).collect()
}

/// What an adapter made of a hook's report, as the spool hands it in.
pub(crate) fn report(
    agent: &str,
    (number, ms): (usize, i64),
    event: String,
    report: Report,
) -> Input {
    Input::Spooled(Box::new(Signal {
        event_id: EventId::new(format!("hook-{number}")),
        event_type: event,
        source: Source::Hook,
        dedupe_key: format!("{number:04}"),
        source_event_id: None,
        source_seq: None,
        event_time: WallMs(EPOCH_MS + ms),
        about: About::Pane(PaneKey::new(&target(), PaneId(1))),
        hints: Hints { ancestors: vec![101, 100], ..Hints::default() },
        agent: Some(AgentType::new(agent)),
        action_id: None,
        claim: report.claim,
        details: report.details,
        repeats: report.repeats,
        session: report.only_of,
        begins_turn: report.begins_turn,
        payload: None,
        asked: None,
        expects_version: None,
    }))
}

/// One look at the pane, as its observer reports it.
pub(crate) fn seen(readings: Vec<Reading>) -> Observation {
    Observation::Read { pane: PaneId(1), agent: process(), readings }
}

/// Splitmix64: chance that is the same on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = u64::try_from(bound).expect("small");
        usize::try_from((mixed ^ (mixed >> 31)) % bound).expect("below it")
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}

fn end_of(recording: &Recording) -> i64 {
    recording.sequence().iter().map(|step| step.ms).max().unwrap_or(0) + 500
}

/// Delivers reports, all of them at the end.
fn deliver(base: &World, reports: &[Input]) -> World {
    let mut world = base.clone();
    reports.iter().for_each(|report| world.feed(report));
    world
}

#[test]
fn r_7_every_order_and_repetition_of_a_sequence_ends_in_the_same_evidence_and_state() {
    for recording in recordings() {
        let reports = reports(&recording);
        let base = World::at(end_of(&recording), &recording.agent);
        let straight = deliver(&base, &reports);
        let mut chance = Chance(7);
        for round in 0..permutations() {
            let mut shuffled = reports.clone();
            // One report is repeated up to thirteen times, others once or twice.
            let favourite = chance.below(reports.len());
            for (index, report) in reports.iter().enumerate() {
                let most = if index == favourite { REPEATS_MAX } else { 2 };
                shuffled.extend(std::iter::repeat_n(report.clone(), chance.below(most)));
            }
            chance.shuffle(&mut shuffled);
            let world = deliver(&base, &shuffled);
            let what = format!("{} {}, round {round}", recording.agent, recording.version);
            assert_eq!(world.shown(), straight.shown(), "{what}");
            assert_eq!(world.evidence(), straight.evidence(), "{what}");
        }
    }
}

#[test]
fn r_7_whatever_is_dropped_the_order_of_the_rest_does_not_matter() {
    for recording in recordings() {
        let base = World::at(end_of(&recording), &recording.agent);
        let mut chance = Chance(11);
        for round in 0..permutations() {
            let mut left = reports(&recording);
            for _ in 0..=chance.below(left.len() - 1) {
                left.swap_remove(chance.below(left.len()));
            }
            let one = deliver(&base, &left);
            chance.shuffle(&mut left);
            let other = deliver(&base, &left);
            let what = format!("{} {}, round {round}", recording.agent, recording.version);
            assert_eq!(other.shown(), one.shown(), "{what}");
        }
    }
}

/// What a look at a recorded screen reads.
fn look(recording: &Recording, title: &str, case: &str) -> Vec<Reading> {
    let registry = Registry::built_in();
    let screen = recording.screen(case);
    let version = Some(recording.version.as_str());
    let reads = |source| {
        let reading = read(&registry, &recording.agent, version, (title, &screen), source)?;
        let (claim, details) = (reading.claim, reading.details);
        Some(Reading { source, claim, details, asking: None, written: None })
    };
    Source::ALL.iter().filter_map(|source| reads(*source)).collect()
}

/// What a look at the composer of an agent that waits for nobody reads.
fn composer(recording: &Recording) -> Option<Vec<Reading>> {
    let known = recording.of(Kind::Screen).any(|case| case.name == "idle-after-reply");
    known.then(|| look(recording, "", "idle-after-reply"))
}

#[test]
fn r_7_a_missing_end_of_a_turn_is_seen_at_the_next_look_and_marked_as_read() {
    let mut corrected = 0;
    for recording in recordings() {
        let Some(readings) = composer(&recording) else { continue };
        let all = reports(&recording);
        let busy = |world: &World| world.shown().0.bearing() == Bearing::Busy;
        // Everything up to the last word of work; what would have ended it never comes.
        let base = World::at(end_of(&recording), &recording.agent);
        let Some(until) = (1..=all.len()).rev().find(|end| busy(&deliver(&base, &all[..*end])))
        else {
            continue;
        };
        let mut world = deliver(&base, &all[..until]);
        // The look comes within a second of the composer's painting, five at the most.
        world.now.wall.0 += 1_000;
        world.now.mono.0 += 1_000;
        let observed = Observation::Read { pane: PaneId(1), agent: process(), readings };
        world.observe(observed);
        let (state, reason, source) = world.shown();
        let what = format!("{}: {state}/{reason} of {source:?}", recording.agent);
        assert_eq!(state.bearing(), Bearing::Rest, "{what}");
        assert!(source.is_some_and(Source::is_reading), "{what}");
        corrected += 1;
    }
    assert!(corrected >= 3, "{corrected}");
}

#[test]
fn what_is_shown_while_a_hook_runs_does_not_take_its_question_away() {
    let all = recordings();
    let codex = all.iter().find(|it| it.agent == "codex").expect("it was recorded");
    let asked = codex.sequence().iter().position(|step| step.event == "PermissionRequest");
    let until = asked.expect("it asked once");
    let begin = codex.sequence()[until].ms;
    let reports = reports(codex);
    let mut world = World::at(begin, "codex");
    let observed = |world: &mut World, case| {
        let readings = look(codex, "⠋ Scripted task | project", case);
        world.observe(Observation::Read { pane: PaneId(1), agent: process(), readings });
    };
    observed(&mut world, "running-tool");
    assert_eq!(world.shown().0, State::Running);
    let later = |world: &mut World, ms| {
        world.now.wall.0 += ms;
        world.now.mono.0 += ms;
    };
    later(&mut world, 10);
    reports[..=until].iter().for_each(|report| world.feed(report));
    assert_eq!(world.shown().0, State::WaitingApproval);
    later(&mut world, 300);
    // Between its texts and its work nothing is shown, so that the line of work is news.
    observed(&mut world, "running-text");
    later(&mut world, 300);
    observed(&mut world, "permission-while-hook-runs");
    let (state, _, source) = world.shown();
    assert_eq!((state, source), (State::WaitingApproval, Some(Source::Hook)));
}
