//! What is read of an agent beside what it reports: titles, status files, processes, screens.

use std::collections::BTreeMap;

use engine::ids::AgentType;
use engine::input::{Observation, Reading};
use engine::pane::{AgentProcess, PaneFacts};
use engine::signal::Signal;
use engine::state::Claim;
use engine::time::WallMs;
use engine::words::{Confidence, Detail, Source, State};

use crate::world::{World, process, shell};

/// A world with one pane, and what its source says now.
struct Scene {
    world: World,
    said: u32,
}

impl Scene {
    fn new() -> Self {
        let mut world = World::new();
        world.scan(&[claude()]);
        Self { world, said: 0 }
    }

    fn signal(&mut self, source: Source, claim: Option<Claim>) -> Signal {
        self.said += 1;
        let mut signal = self.world.signal(&format!("k{}", self.said), 1, None);
        (signal.source, signal.claim) = (source, claim);
        signal
    }

    /// One look that read all of these.
    fn look(&mut self, readings: &[(Source, Option<Claim>)]) {
        let reading = |(source, claim): &(Source, Option<Claim>)| Reading {
            source: *source,
            claim: claim.clone(),
            details: BTreeMap::new(),
            asking: None,
            written: None,
        };
        let readings = readings.iter().map(reading).collect();
        let PaneFacts { pane, process: agent, .. } = claude();
        self.world.observe(Observation::Read { pane, agent, readings });
    }

    fn hook(&mut self, state: State, reason: &str) {
        let signal = self.signal(Source::Hook, says(state, reason));
        self.world.emit(signal).unwrap();
    }

    fn later(&mut self, ms: i64) {
        self.world.pass(ms);
        self.world.observe(Observation::Unchanged);
    }

    fn shown(&self) -> (State, String) {
        let row = self.world.row(1);
        (row.state.state, row.state.reason.clone())
    }
}

/// A pane whose own process is an agent.
fn claude() -> PaneFacts {
    let mut facts = shell(1);
    let agent = AgentType::new("claude");
    facts.agent = Some(AgentProcess { agent, process: facts.process });
    facts
}

fn says(state: State, reason: &str) -> Option<Claim> {
    Some(Claim { state, reason: reason.to_owned(), confidence: Confidence::High })
}

#[test]
fn a_newer_reading_replaces_what_a_hook_reported_at_once() {
    let mut scene = Scene::new();
    scene.hook(State::WaitingApproval, "approval_requested");
    scene.later(200);
    scene.look(&[(Source::Status, says(State::Running, "active"))]);
    assert_eq!(scene.shown().0, State::Running, "it was answered in the pane");
    scene.later(200);
    scene.look(&[(Source::Status, says(State::Idle, "idle"))]);
    assert_eq!(scene.shown(), (State::Idle, "idle".into()), "and no hook told the end");
}

#[test]
fn that_nothing_goes_on_leaves_standing_how_the_turn_ended() {
    for (state, reason) in
        [(State::Completed, "task_completed"), (State::Error, "api_error"), (State::Idle, "x")]
    {
        let mut scene = Scene::new();
        scene.hook(state, reason);
        scene.later(50);
        scene.look(&[(Source::Title, says(State::Idle, "idle"))]);
        assert_eq!(scene.shown(), (state, reason.into()));

        let mut unvouched = Scene::new();
        unvouched.hook(state, reason);
        unvouched.later(50);
        unvouched.look(&[(Source::Screen, says(State::Idle, "idle"))]);
        assert_eq!(unvouched.shown(), (state, reason.into()), "an idle composer says less");
    }
}

#[test]
fn that_somebody_is_waited_for_leaves_standing_what_was_asked() {
    let mut scene = Scene::new();
    scene.hook(State::WaitingInput, "question");
    scene.later(50);
    scene.look(&[(Source::Status, says(State::WaitingApproval, "approval_requested"))]);
    assert_eq!(scene.shown(), (State::WaitingInput, "question".into()));
}

#[test]
fn the_screen_says_what_the_others_only_tell_the_kind_of() {
    let check = |plain: (State, &str), more: (State, &str)| {
        let mut scene = Scene::new();
        let title = (Source::Title, says(plain.0, plain.1));
        scene.look(&[title, (Source::Screen, says(more.0, more.1))]);
        assert_eq!(scene.shown(), (more.0, more.1.into()));
        scene.later(50);
        scene.look(&[(Source::Screen, says(plain.0, plain.1))]);
        assert_eq!(scene.shown(), (plain.0, plain.1.into()), "and as long as it says so");
    };
    check((State::Running, "active"), (State::Running, "api_retry"));
    check((State::WaitingApproval, "approval_requested"), (State::WaitingInput, "question"));
    check((State::Idle, "idle"), (State::Error, "api_error"));
    check((State::Completed, "turn_over"), (State::Idle, "interrupted"));
}

#[test]
fn a_report_of_what_is_asked_is_better_than_what_a_dialog_looks_like() {
    let mut scene = Scene::new();
    scene.look(&[(Source::Status, says(State::WaitingApproval, "approval_requested"))]);
    scene.later(50);
    scene.hook(State::WaitingApproval, "approval_requested");
    scene.later(50);
    scene.look(&[(Source::Screen, says(State::WaitingInput, "question"))]);
    assert_eq!(scene.shown().0, State::WaitingApproval);
}

#[test]
fn how_a_turn_failed_is_seen_where_its_report_says_only_that_it_is_over() {
    let mut scene = Scene::new();
    scene.hook(State::Idle, "idle");
    scene.later(50);
    scene.look(&[
        (Source::Title, says(State::Idle, "idle")),
        (Source::Screen, says(State::Error, "api_error")),
    ]);
    assert_eq!(scene.shown(), (State::Error, "api_error".into()));
}

#[test]
fn what_a_reading_withdraws_counts_no_longer() {
    let mut scene = Scene::new();
    scene.hook(State::WaitingApproval, "approval_requested");
    scene.later(10);
    scene.look(&[(Source::Title, says(State::Running, "active"))]);
    assert_eq!(scene.shown().0, State::Running);
    scene.later(10);
    scene.look(&[(Source::Title, None)]);
    assert_eq!(scene.shown().0, State::WaitingApproval, "the hook's word is the only one left");
}

#[test]
fn readings_that_are_all_silent_leave_it_open() {
    let mut scene = Scene::new();
    scene.look(&[(Source::Screen, says(State::Running, "active"))]);
    scene.later(10);
    scene.look(&[(Source::Screen, None)]);
    assert_eq!(scene.shown().0, State::Unknown);
}

#[test]
fn a_reading_holds_as_long_as_the_pane_is_looked_at_and_no_longer() {
    let mut scene = Scene::new();
    scene.look(&[(Source::Title, says(State::Running, "active"))]);
    for _ in 0..20 {
        scene.later(10_000);
    }
    assert_eq!(scene.shown().0, State::Running, "silent, and still said so by its title");
    scene.world.pass(30_001);
    assert_eq!(scene.shown(), (State::Unknown, "stale_signal".into()), "nobody looked");
    scene.world.observe(Observation::Unchanged);
    assert_eq!(scene.shown().0, State::Running, "it still says so");
}

#[test]
fn a_latched_hook_is_no_liveness_unless_a_reading_vouches_for_it() {
    let mut alone = Scene::new();
    alone.hook(State::Running, "active");
    let mut vouched = Scene::new();
    vouched.look(&[(Source::Title, says(State::Running, "active"))]);
    vouched.later(5);
    vouched.hook(State::Running, "tool_running");
    for _ in 0..6 {
        alone.later(10_000);
        vouched.later(10_000);
    }
    assert_eq!(alone.shown(), (State::Unknown, "stale_signal".into()));
    assert_eq!(vouched.shown(), (State::Running, "tool_running".into()));
}

#[test]
fn one_look_shows_no_state_that_only_a_part_of_it_speaks_for() {
    let mut scene = Scene::new();
    scene.look(&[(Source::Title, says(State::Running, "active"))]);
    scene.later(10);
    let from = scene.world.journal.len();
    scene.look(&[
        (Source::Title, says(State::Completed, "turn_over")),
        (Source::Screen, says(State::Idle, "interrupted")),
    ]);
    assert_eq!(scene.shown(), (State::Idle, "interrupted".into()));
    assert_eq!(scene.world.causes(1, from).len(), 1, "one change, not two");
}

#[test]
fn the_screen_tells_how_a_rest_came_but_does_not_contradict_a_report_of_it() {
    let mut scene = Scene::new();
    scene.look(&[
        (Source::Title, says(State::Idle, "idle")),
        (Source::Screen, says(State::Error, "api_error")),
    ]);
    assert_eq!(scene.shown(), (State::Error, "api_error".into()));
    scene.later(10);
    scene.hook(State::Completed, "task_completed");
    assert_eq!(scene.shown().0, State::Completed, "the hook knows");
}

#[test]
fn the_screen_tells_how_a_rest_came_where_the_report_of_it_is_not_sure() {
    let end = |confidence: Confidence| {
        let mut scene = Scene::new();
        let claim = says(State::Completed, "task_completed");
        let claim = claim.map(|claim| Claim { confidence, ..claim });
        scene.look(&[
            (Source::Title, says(State::Idle, "idle")),
            (Source::Screen, says(State::Idle, "interrupted")),
        ]);
        scene.later(10);
        let signal = scene.signal(Source::Hook, claim);
        scene.world.emit(signal).unwrap();
        scene.shown()
    };
    assert_eq!(end(Confidence::Medium), (State::Idle, "interrupted".into()));
    assert_eq!(end(Confidence::High), (State::Completed, "task_completed".into()));
}

#[test]
fn the_end_of_a_turn_on_a_screen_is_one_only_to_who_saw_the_work() {
    let rests = |scene: &mut Scene| {
        scene.look(&[
            (Source::Title, says(State::Idle, "idle")),
            (Source::Screen, says(State::Completed, "task_completed")),
        ]);
        scene.shown()
    };
    let mut scene = Scene::new();
    assert_eq!(rests(&mut scene), (State::Idle, "idle".into()), "a session that was taken up");
    scene.later(10);
    scene.look(&[(Source::Title, says(State::Running, "active")), (Source::Screen, None)]);
    scene.later(10);
    assert_eq!(rests(&mut scene), (State::Completed, "task_completed".into()));
    scene.later(500);
    assert_eq!(rests(&mut scene), (State::Completed, "task_completed".into()), "it goes on so");
    scene.later(10);
    scene
        .look(&[(Source::Screen, says(State::WaitingInput, "dialog_open")), (Source::Title, None)]);
    scene.later(10);
    assert_eq!(rests(&mut scene), (State::Idle, "idle".into()), "behind a dialog that was closed");
}

#[test]
fn a_dialog_on_the_screen_beats_an_older_hook_that_no_reading_vouches_for() {
    let mut scene = Scene::new();
    scene.hook(State::Running, "active");
    scene.later(400);
    scene.look(&[(Source::Screen, says(State::WaitingApproval, "approval_requested"))]);
    assert_eq!(scene.shown().0, State::WaitingApproval);

    let mut vouched = Scene::new();
    vouched.look(&[(Source::Title, says(State::Running, "active"))]);
    vouched.later(400);
    vouched.look(&[(Source::Screen, says(State::WaitingApproval, "approval_requested"))]);
    assert_eq!(vouched.shown().0, State::Running, "text that only looks like a dialog");
}

#[test]
fn somebody_outside_who_infers_does_not_hide_what_the_screen_shows() {
    let mut scene = Scene::new();
    scene.hook(State::Running, "tool");
    scene.later(1_000);
    scene.look(&[(Source::Screen, says(State::WaitingApproval, "dialog"))]);
    scene.later(1_000);
    let inferred = scene.signal(Source::Poller, says(State::Idle, "inferred"));
    scene.world.emit(inferred).unwrap();
    assert_eq!(scene.shown(), (State::WaitingApproval, "dialog".to_owned()));
}

#[test]
fn a_screen_that_is_not_sure_never_beats_a_report() {
    let mut scene = Scene::new();
    scene.hook(State::Running, "active");
    scene.later(400);
    let mut guess = says(State::WaitingInput, "question").unwrap();
    guess.confidence = Confidence::Medium;
    scene.look(&[(Source::Screen, Some(guess))]);
    assert_eq!(scene.shown().0, State::Running);
}

#[test]
fn details_are_the_newest_word_of_any_source_in_every_order() {
    let mut scene = Scene::new();
    let mut older = scene.signal(Source::Hook, None);
    older.details = [(Detail::Tool, "Bash".into()), (Detail::Model, "m1".into())].into();
    older.begins_turn = true;
    scene.later(10);
    let mut newer = scene.signal(Source::Hook, None);
    newer.details = [(Detail::Tool, String::new()), (Detail::Model, "m2".into())].into();
    newer.begins_turn = true;
    scene.world.emit(newer).unwrap();
    scene.world.emit(older).unwrap();
    let runtime = scene.world.runtime(1);
    let evidence = scene.world.engine.evidence(&runtime).unwrap();
    assert_eq!(evidence.detail(Detail::Model), Some("m2"));
    assert_eq!(evidence.detail(Detail::Tool), None, "the tool has ended");
    assert_eq!(evidence.turns(), 2);
}

#[test]
fn the_same_reading_again_is_no_event() {
    let mut scene = Scene::new();
    scene.look(&[(Source::Title, says(State::Running, "active")), (Source::Screen, None)]);
    let from = scene.world.journal.len();
    for _ in 0..5 {
        scene.later(10);
        scene.look(&[(Source::Title, says(State::Running, "active")), (Source::Screen, None)]);
    }
    assert_eq!(scene.world.journal.len(), from);
}

#[test]
fn the_newest_reading_is_the_newest_also_when_the_clock_goes_back() {
    let mut scene = Scene::new();
    scene.look(&[(Source::Title, says(State::Running, "active"))]);
    scene.world.now.wall.0 -= 3_600_000;
    scene.look(&[(Source::Title, says(State::Idle, "idle"))]);
    assert_eq!(scene.shown().0, State::Idle);
    scene.look(&[(Source::Title, None)]);
    assert_eq!(scene.shown().0, State::Unknown);
}

#[test]
fn what_was_written_before_a_hook_and_read_after_it_takes_nothing_back() {
    let limit = engine::limits::READ_LATE_MS;
    // How long before the hook it was written, how long after it that was read, and what is shown.
    let cases = [
        (Some(200), 300, State::WaitingInput),
        (Some(1), limit - 1, State::WaitingInput),
        (Some(1), limit, State::Running),
        (Some(-200), 300, State::Running),
        // By a clock that was set meanwhile, perhaps.
        (Some(-5_000), 300, State::Running),
        (None, 300, State::Running),
    ];
    for (before, after, shown) in cases {
        let mut scene = Scene::new();
        scene.look(&[(Source::Status, says(State::Idle, "idle"))]);
        scene.later(20_000);
        scene.hook(State::WaitingInput, "question");
        let hooked = scene.world.now.wall.0;
        scene.later(after);
        let claim = says(State::Running, "active");
        let written = before.map(|before| WallMs(hooked - before));
        let (details, source) = (BTreeMap::new(), Source::Status);
        let reading = Reading { source, claim, details, asking: None, written };
        let PaneFacts { pane, process: agent, .. } = claude();
        scene.world.observe(Observation::Read { pane, agent, readings: vec![reading] });
        assert_eq!(scene.shown().0, shown, "{before:?} ms before, read {after} ms after");
    }
}

#[test]
fn a_reading_of_an_agent_that_is_not_there_any_more_says_nothing() {
    let mut scene = Scene::new();
    let mut other = claude();
    other.process.pid += 1;
    let claim = says(State::Running, "active");
    let details = BTreeMap::new();
    let reading = Reading { source: Source::Title, claim, details, asking: None, written: None };
    let (pane, agent) = (other.pane, other.process);
    scene.world.observe(Observation::Read { pane, agent, readings: vec![reading] });
    assert_eq!(scene.shown(), (State::Unknown, "inconclusive".into()));
}

#[test]
fn what_an_agent_did_last_is_not_told_of_the_shell_that_it_left() {
    let mut world = World::new();
    let mut facts = shell(1);
    let agent = AgentType::new("claude");
    facts.agent = Some(AgentProcess { agent, process: process(4_711) });
    world.scan(&[facts]);
    world.say("a", 1, State::WaitingApproval);
    let before = world.runtime(1);
    world.scan(&[shell(1)]);
    assert_ne!(world.runtime(1), before);
    let row = world.row(1);
    assert_eq!((row.state.state, row.state.last_known.clone()), (State::Unknown, None));
}

/// All orders of a few things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in orders(count - 1) {
        for at in 0..=shorter.len() {
            let mut order = shorter.clone();
            order.insert(at, count - 1);
            all.push(order);
        }
    }
    all
}

#[test]
fn words_of_two_sessions_in_one_pane_come_to_the_same_in_every_order() {
    let outcome = |order: &[usize]| {
        let mut scene = Scene::new();
        let mut told: Vec<Signal> = Vec::new();
        for (session, state, reason) in [
            ("one", State::Completed, "task_completed"),
            ("two", State::Running, "active"),
            ("one", State::Idle, "interrupted"),
            ("three", State::Error, "api_error"),
        ] {
            let mut claim = scene.signal(Source::Notify, says(state, reason));
            claim.session = Some(session.to_owned());
            told.push(claim);
            scene.later(1);
        }
        let mut which = scene.signal(Source::Hook, None);
        which.details = [(Detail::Session, "one".to_owned())].into();
        told.push(which);
        for at in order {
            scene.world.emit(told[*at].clone()).unwrap();
        }
        scene.shown()
    };
    for order in orders(5) {
        assert_eq!(outcome(&order), (State::Idle, "interrupted".to_owned()), "{order:?}");
    }
}

#[test]
fn the_oldest_of_many_sessions_is_forgotten() {
    let mut scene = Scene::new();
    for number in 0..20 {
        let mut claim = scene.signal(Source::Notify, says(State::Completed, "task_completed"));
        claim.session = Some(format!("s{number}"));
        scene.world.emit(claim).unwrap();
        scene.later(1);
    }
    let runtime = scene.world.runtime(1);
    let evidence = scene.world.engine.evidence(&runtime).unwrap();
    let kept: Vec<&String> = evidence.voices[&Source::Notify].of_session.keys().collect();
    assert_eq!(kept, ["s16", "s17", "s18", "s19"]);
}

#[test]
fn the_time_that_somebody_was_waited_for_adds_up() {
    let mut scene = Scene::new();
    let waited = |scene: &Scene| {
        let runtime = scene.world.runtime(1);
        scene.world.engine.evidence(&runtime).map_or(0, engine::state::Evidence::waited_ms)
    };
    scene.hook(State::WaitingApproval, "approval_requested");
    scene.later(5_000);
    assert_eq!(waited(&scene), 0, "as long as it goes on");
    scene.hook(State::Running, "active");
    scene.later(1_000);
    scene.hook(State::WaitingInput, "question");
    scene.later(2_000);
    scene.look(&[(Source::Title, says(State::Idle, "idle"))]);
    assert_eq!(waited(&scene), 7_000);
}

#[test]
fn the_time_waited_follows_no_clock_that_jumps() {
    let mut scene = Scene::new();
    for jump in [3_600_000, -7_200_000] {
        scene.hook(State::WaitingApproval, "approval_requested");
        scene.world.now.wall.0 += jump;
        scene.later(5_000);
        scene.hook(State::Running, "active");
        scene.later(1_000);
    }
    let runtime = scene.world.runtime(1);
    let evidence = scene.world.engine.evidence(&runtime).unwrap();
    assert_eq!(evidence.waited_ms(), 10_000);
}

#[test]
fn where_no_hook_tells_of_turns_the_readings_do() {
    let mut scene = Scene::new();
    let turns = |scene: &Scene| {
        let runtime = scene.world.runtime(1);
        scene.world.engine.evidence(&runtime).map_or(0, engine::state::Evidence::turns)
    };
    for state in [State::Idle, State::Running, State::WaitingApproval, State::Running, State::Idle]
    {
        scene.look(&[(Source::Title, says(state, "x"))]);
        scene.later(10);
    }
    scene.look(&[(Source::Title, says(State::Running, "x"))]);
    assert_eq!(turns(&scene), 2, "an answer begins no turn");
    let mut told = scene.signal(Source::Hook, None);
    told.begins_turn = true;
    scene.world.emit(told).unwrap();
    assert_eq!(turns(&scene), 1, "whoever is told of them knows better");
}
