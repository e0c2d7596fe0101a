//! Actions: once for each request, one at a time for each pane, and an end for each.

use std::collections::{BTreeMap, BTreeSet};

use engine::action::{Act, ActRequest, ActionRow, Busy, Failure, Guards, Outcome, TextFacts};
use engine::engine::Engine;
use engine::event::{Actor, Below, Event};
use engine::ids::{ActionId, AgentType, RuntimeId, SnapshotId, TokenId};
use engine::input::{Effect, Input, Refusal, Reply, Request};
use engine::limits;
use engine::pane::{AgentProcess, PaneFacts, ProcessIdentity};
use engine::settings::Settings;
use engine::words::{ActionProblem, FromAgents, IfBusy, KillSignal, Phase, Proof, State};
use proptest::prelude::*;

use crate::world::{World, process, shell};

pub(crate) fn send(text: &str) -> Act {
    let text = TextFacts {
        bytes: text.len() as u64,
        sha256: format!("hash of {text}"),
        letters_sha256: String::new(),
        preview: text.to_owned(),
        commands: text.starts_with('!'),
    };
    Act::Send { text: Some(text), keys: Vec::new(), paste: false, busy: Busy::REFUSED }
}

pub(crate) fn request(world: &World, number: u32, pane: u32, act: Act) -> ActRequest {
    ActRequest {
        action: ActionId::new(format!("ac-{number}")),
        snapshot: SnapshotId::new(format!("sn-{number}")),
        nonce: format!("{number:016x}"),
        request_ref: format!("rq-{number}"),
        fingerprint: format!("{act:?}"),
        by: Actor::Daemon,
        runtime: world.runtime(pane),
        act,
        guards: Guards::default(),
    }
}

pub(crate) fn ask(world: &mut World, request: &ActRequest) -> Result<ActionRow, Refusal> {
    match world.feed(&Input::Asked(Request::Act(Box::new(request.clone()))))? {
        Reply::Action(row) => Ok(*row),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn report(world: &mut World, number: u32, outcome: Outcome) {
    let action = ActionId::new(format!("ac-{number}"));
    world.feed(&Input::Acted { action, outcome, steps: Vec::new() }).unwrap();
}

pub(crate) fn cancel(world: &mut World, number: u32, by: &Actor) -> Result<ActionRow, Refusal> {
    let (action, by) = (ActionId::new(format!("ac-{number}")), by.clone());
    match world.feed(&Input::Asked(Request::Cancel { action, by }))? {
        Reply::Action(row) => Ok(*row),
        other => panic!("{other:?}"),
    }
}

/// What was released to be done, in order.
pub(crate) fn released(world: &World) -> Vec<String> {
    let acts = world.effects.iter().filter_map(|effect| match effect {
        Effect::Act(row) => Some(row.action.to_string()),
        _ => None,
    });
    acts.collect()
}

pub(crate) fn told(world: &World, number: u32) -> ActionRow {
    let action = ActionId::new(format!("ac-{number}"));
    let changes = world.journal.iter().rev().find_map(|event| match event {
        Event::ActionChanged(row) if row.action == action => Some((**row).clone()),
        _ => None,
    });
    changes.expect("the journal tells of it")
}

fn world() -> World {
    let mut world = World::new();
    world.scan(&[shell(1), shell(2)]);
    world
}

pub(crate) fn problem(row: &ActionRow) -> Option<ActionProblem> {
    row.failure.as_ref().map(|failure| failure.problem)
}

#[test]
fn tc_025_tc_026_a_request_is_carried_out_once_and_another_one_needs_another_name() {
    let mut world = world();
    let first = request(&world, 1, 1, send("a"));
    let row = ask(&mut world, &first).unwrap();
    assert_eq!((row.phase, row.is_issued()), (Phase::Pending, true));
    let again = ActRequest { action: ActionId::new("ac-9"), nonce: "9".into(), ..first.clone() };
    assert_eq!(ask(&mut world, &again).unwrap(), row, "while it is under way");
    report(&mut world, 1, Outcome::Done(Proof::Answer));
    let done = ask(&mut world, &again).unwrap();
    assert_eq!((done.action.as_str(), done.phase), ("ac-1", Phase::Completed));
    world.scan(&[shell(2)]);
    assert_eq!(ask(&mut world, &again).unwrap(), done, "also when the pane is gone");
    let other = ActRequest { fingerprint: "other".into(), ..again };
    assert!(matches!(ask(&mut world, &other), Err(Refusal::ActionConflict { .. })));
    assert_eq!(released(&world), ["ac-1"]);
}

#[test]
fn an_end_is_final_and_shows_in_the_history_of_the_runtime_once() {
    let mut world = world();
    let asked = request(&world, 1, 1, send("a"));
    ask(&mut world, &asked).unwrap();
    report(&mut world, 1, Outcome::Done(Proof::Answer));
    let before = world.journal.len();
    report(&mut world, 1, Outcome::Unknown { message: "late".to_owned() });
    assert_eq!(world.journal.len(), before, "nothing is told of what has ended");
    let recorded = world.journal.iter().filter_map(|event| match event {
        Event::EventRecorded(row) => Some((row.signal.event_type.as_str(), &row.runtime)),
        _ => None,
    });
    assert_eq!(recorded.collect::<Vec<_>>(), [("action.send", &asked.runtime)]);
    assert_eq!(world.engine.actions().count(), 0);
}

#[test]
fn the_record_of_an_action_says_nothing_about_the_runtime() {
    let mut world = world();
    let before = world.row(1).state.clone();
    let asked = request(&world, 1, 1, Act::KillByKey);
    ask(&mut world, &asked).unwrap();
    world.scan(&[shell(2)]);
    report(&mut world, 1, Outcome::Done(Proof::Answer));
    assert!(world.engine.evidence(&asked.runtime).is_none(), "what ended stays forgotten");
    world.scan(&[shell(1), shell(2)]);
    assert_eq!(world.row(1).state.state, before.state);
}

#[test]
fn one_act_at_a_time_in_a_pane_and_others_beside_it_elsewhere() {
    let mut world = world();
    for (number, pane) in [(1, 1), (2, 1), (3, 2), (4, 1)] {
        let asked = request(&world, number, pane, send("x"));
        ask(&mut world, &asked).unwrap();
        world.jump(1);
    }
    let look = request(&world, 5, 1, Act::ViewOutput { lines: None, ansi: false });
    ask(&mut world, &look).unwrap();
    assert_eq!(released(&world), ["ac-1", "ac-3", "ac-5"], "to look at a pane waits for nobody");
    report(&mut world, 1, Outcome::Done(Proof::Answer));
    report(&mut world, 2, Outcome::Failed(Failure::new(ActionProblem::Internal, "no")));
    assert_eq!(released(&world), ["ac-1", "ac-3", "ac-5", "ac-2", "ac-4"]);
}

#[test]
fn a_long_text_has_longer_to_get_there_and_no_longer_than_what_was_seen_counts() {
    let mut world = world();
    let mut within_s = |number: u32, bytes: usize| {
        let asked = request(&world, number, 1, send(&"x".repeat(bytes)));
        let row = ask(&mut world, &asked).unwrap();
        report(&mut world, number, Outcome::Done(Proof::Answer));
        row.until_s.unwrap() - row.requested.wall.0.unsigned_abs() / 1_000
    };
    let short = within_s(1, 1_000);
    assert_eq!(within_s(2, 4_096), short);
    assert_eq!(within_s(3, 24 * 1_024), short + 5);
    assert_eq!(within_s(4, 1_024 * 1_024), 31);
}

#[test]
fn tc_005_what_waits_is_refused_when_its_runtime_ended_or_it_waited_too_long() {
    let mut world = world();
    for number in [1, 2] {
        let asked = request(&world, number, 1, send("x"));
        ask(&mut world, &asked).unwrap();
    }
    world.scan(&[PaneFacts { process: process(77), ..shell(1) }, shell(2)]);
    report(&mut world, 1, Outcome::Done(Proof::Answer));
    assert_eq!(problem(&told(&world, 2)), Some(ActionProblem::RuntimeStale));
    for number in [3, 4] {
        let asked = request(&world, number, 1, send("x"));
        ask(&mut world, &asked).unwrap();
    }
    world.pass(limits::SNAPSHOT_TTL_MS - 1);
    assert_eq!(told(&world, 4).phase, Phase::Pending);
    world.pass(1);
    assert_eq!(problem(&told(&world, 4)), Some(ActionProblem::SnapshotExpired));
    assert_eq!(released(&world), ["ac-1", "ac-3"]);
}

#[test]
fn a_runtime_that_ended_is_refused_without_an_action() {
    let mut world = world();
    let asked = request(&world, 1, 1, send("x"));
    world.scan(&[PaneFacts { process: process(77), ..shell(1) }, shell(2)]);
    assert!(matches!(ask(&mut world, &asked), Err(Refusal::RuntimeStale(_))));
    assert_eq!(released(&world), Vec::<String>::new());
}

#[test]
fn guards_only_narrow_and_force_stale_never_skips_who_it_is() {
    let mut world = world();
    let state = world.row(1).state.state;
    let other = if state == State::Running { State::Idle } else { State::Running };
    let stale = Some(ActionProblem::RuntimeStale);
    let unmet = Some(ActionProblem::PreconditionFailed);
    let elsewhere = world.runtime(2);
    world.jump(10_000);
    let cases = [
        (Guards { if_state: Some(state), ..Guards::default() }, None),
        (Guards { if_state: Some(other), ..Guards::default() }, unmet),
        (Guards { if_state: Some(other), force_stale: true, ..Guards::default() }, None),
        (Guards { if_updated_within_ms: Some(60_000), ..Guards::default() }, None),
        (Guards { if_updated_within_ms: Some(10_000), ..Guards::default() }, None),
        (Guards { if_updated_within_ms: Some(9_999), ..Guards::default() }, unmet),
        (
            Guards { if_command: Some(world.row(1).facts.command.clone()), ..Guards::default() },
            None,
        ),
        (Guards { if_command: Some("other".to_owned()), ..Guards::default() }, stale),
        (Guards { if_runtime: Some(elsewhere.clone()), ..Guards::default() }, stale),
        (Guards { if_runtime: Some(elsewhere), force_stale: true, ..Guards::default() }, stale),
    ];
    for (number, (guards, expected)) in (1..).zip(cases) {
        let asked = ActRequest { guards, ..request(&world, number, 1, send("x")) };
        let row = ask(&mut world, &asked).unwrap();
        assert_eq!(problem(&row), expected, "{asked:?}");
        assert_eq!(row.phase, if expected.is_some() { Phase::Refused } else { Phase::Pending });
        report(&mut world, number, Outcome::Done(Proof::Answer));
        let again = ask(&mut world, &asked).unwrap();
        assert_eq!(problem(&again), expected, "a refusal is the answer to a repetition too");
    }
}

#[test]
fn tc_030_a_signal_needs_a_process_that_is_known() {
    let mut world = World::new();
    let unseen = ProcessIdentity { started_ns: None, ..shell(1).process };
    world.scan(&[PaneFacts { process: unseen, ..shell(1) }]);
    let kill = Act::KillBySignal { signal: KillSignal::Term, tree: false };
    let asked = request(&world, 1, 1, kill);
    let row = ask(&mut world, &asked).unwrap();
    assert_eq!(problem(&row), Some(ActionProblem::PidUnavailable));
    assert_eq!(released(&world), Vec::<String>::new());
}

#[test]
fn f_10_an_unanswered_act_is_told_at_once_and_corrected_once() {
    let mut world = world();
    let asked = request(&world, 1, 1, send("x"));
    ask(&mut world, &asked).unwrap();
    let unanswered = || Outcome::Unanswered { message: "no answer".to_owned() };
    report(&mut world, 1, unanswered());
    let row = told(&world, 1);
    assert_eq!((row.phase, row.completed_at), (Phase::Unknown, None));
    let before = world.journal.len();
    report(&mut world, 1, unanswered());
    assert_eq!(world.journal.len(), before, "it is told once");
    let next = request(&world, 2, 1, send("y"));
    assert!(ask(&mut world, &next).unwrap().is_issued(), "others do not wait for it");
    report(&mut world, 1, Outcome::Done(Proof::Trace));
    let row = told(&world, 1);
    assert_eq!((row.phase, row.completed_at), (Phase::Completed, Some(world.now.wall)));
}

#[test]
fn a_pane_has_no_more_unsettled_acts_than_it_keeps_traces_of() {
    let mut world = world();
    let most = u32::try_from(limits::UNSETTLED_ACTIONS_PER_PANE_MAX).unwrap();
    for number in 1..=most {
        let asked = request(&world, number, 1, send("x"));
        assert!(ask(&mut world, &asked).unwrap().is_issued());
        report(&mut world, number, Outcome::Unanswered { message: "no answer".to_owned() });
    }
    let asked = request(&world, 9, 1, send("x"));
    assert!(!ask(&mut world, &asked).unwrap().is_issued());
    report(&mut world, 2, Outcome::Done(Proof::Trace));
    assert!(told(&world, 9).is_issued());
}

fn interrupted() -> Failure {
    Failure::new(ActionProblem::Interrupted, "the daemon ended before it was done")
}

#[test]
fn after_a_restart_nothing_is_done_and_everything_open_is_looked_at() {
    let mut world = world();
    for number in [1, 2] {
        let asked = request(&world, number, 1, send("x"));
        ask(&mut world, &asked).unwrap();
    }
    let restored = Engine::restore(*world.engine.settings(), world.engine.tables(), world.now);
    let effects = restored.standing_effects();
    let settled: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Settle(row) => Some((row.action.as_str(), row.is_issued())),
            Effect::Act(row) => panic!("{row:?} would be done a second time"),
            _ => None,
        })
        .collect();
    assert_eq!(settled, [("ac-1", true), ("ac-2", false)]);
    assert_eq!(restored.tables(), world.engine.tables());
    world.engine = restored;
    let before = released(&world);
    report(&mut world, 1, Outcome::Done(Proof::Trace));
    assert_eq!(released(&world), before, "what is about to be told as interrupted is not begun");
    report(&mut world, 2, Outcome::Failed(interrupted()));
    assert_eq!(told(&world, 2).phase, Phase::Failed);
    let next = request(&world, 3, 1, send("y"));
    assert!(ask(&mut world, &next).unwrap().is_issued(), "and others go on");
}

#[test]
fn open_actions_are_bounded() {
    let mut world = world();
    for number in 0.. {
        let asked = request(&world, number, 1, send("x"));
        match ask(&mut world, &asked) {
            Ok(_) => assert!((number as usize) < limits::OPEN_ACTIONS_PER_PANE_MAX),
            Err(refusal) => {
                assert_eq!(refusal, Refusal::TooManyActions);
                assert_eq!(number as usize, limits::OPEN_ACTIONS_PER_PANE_MAX);
                return;
            }
        }
    }
}

/// Who runs below an agent, as far as it can be told.
pub(crate) fn below_an_agent() -> [Actor; 4] {
    let runtime = RuntimeId::new("rt-agent");
    let below = Some(Below::Runtime(runtime.clone()));
    let (name, token) = ("laptop".to_owned(), TokenId::new("tk-1"));
    [
        Actor::Agent { uid: 7, pid: 12, runtime: Some(runtime) },
        Actor::Agent { uid: 7, pid: 12, runtime: None },
        Actor::Client { uid: 7, pid: None },
        Actor::Token { name, token, uid: None, pid: None, below },
    ]
}

/// Whether somebody is let act so on a pane, under a setting.
fn is_let(setting: FromAgents, by: &Actor, pane: u32, act: Act) -> bool {
    let mut world = agent_world(&[State::Idle]);
    world.engine.configure(Settings { from_agents: setting, ..Settings::default() });
    let asked = ActRequest { by: by.clone(), ..request(&world, 1, pane, act) };
    let row = ask(&mut world, &asked).unwrap();
    if problem(&row) == Some(ActionProblem::Forbidden) {
        assert_eq!((row.phase, released(&world).len()), (Phase::Refused, 0));
        assert_eq!(told(&world, 1), row, "who tried stands in the journal");
        return false;
    }
    assert_eq!(released(&world), ["ac-1"], "{row:?}");
    true
}

#[test]
fn s_10_agents_act_on_agents_panes_alone_unless_the_settings_say_otherwise() {
    let keys = |key: &str| {
        let Act::Send { text, paste, busy, .. } = send("x") else { panic!("no send") };
        Act::Send { text, keys: vec![key.to_owned()], paste, busy }
    };
    let kill = Act::KillBySignal { signal: KillSignal::Term, tree: true };
    let person = Actor::Client { uid: 7, pid: Some(12) };
    let (shell, agent) = (1, 3);
    for setting in FromAgents::ALL.iter().copied() {
        for act in
            [send("x"), send("!x"), keys("Enter"), keys("BTab"), Act::KillByKey, kill.clone()]
        {
            for pane in [shell, agent] {
                assert!(is_let(setting, &person, pane, act.clone()), "a person does everything");
            }
        }
        let look = Act::ViewOutput { lines: None, ansi: false };
        for by in below_an_agent() {
            let is_let = |pane, act| is_let(setting, &by, pane, act);
            let (any, all) = (setting != FromAgents::None, setting == FromAgents::All);
            assert!(is_let(shell, look.clone()), "to look is no act on it");
            for act in [send("x"), keys("Enter"), Act::KillByKey, kill.clone()] {
                assert_eq!(is_let(agent, act.clone()), any, "{by} {setting} {act:?}");
                assert_eq!(is_let(shell, act.clone()), all, "{by} {setting} {act:?}");
            }
            for act in [send("!x"), keys("BTab")] {
                assert_eq!(is_let(agent, act.clone()), all, "{by} {setting} {act:?}");
            }
        }
    }
}

/// An agent in pane 3.
fn claude(pid: u32) -> PaneFacts {
    let agent = AgentProcess { agent: AgentType::new("claude"), process: process(pid) };
    PaneFacts { process: process(pid), agent: Some(agent), ..shell(3) }
}

pub(crate) fn prompt(queue: bool) -> Act {
    let Act::Send { text, keys, paste, .. } = send("prompt") else { panic!("no send") };
    let then = if queue { IfBusy::Queue } else { IfBusy::Wait };
    let patience_ms = if queue { limits::QUEUE_MS } else { limits::WAIT_MS };
    Act::Send { text, keys, paste, busy: Busy { then, patience_ms } }
}

/// A world whose agent says these things of itself, one after the other.
pub(crate) fn agent_world(says: &[State]) -> World {
    let mut world = World::new();
    world.scan(&[shell(1), claude(1_003)]);
    for (nth, state) in says.iter().enumerate() {
        let said = world.signal(&format!("said {nth}"), 3, Some(*state));
        world.emit(said).unwrap();
    }
    world
}

#[test]
fn a_busy_agent_is_refused_waited_for_or_queued_for_and_only_prompts_wait() {
    let mut world = agent_world(&[State::Running]);
    let plain = request(&world, 1, 3, send("x"));
    assert_eq!(problem(&ask(&mut world, &plain).unwrap()), Some(ActionProblem::AgentBusy));
    for (number, queue) in [(2, false), (3, true), (4, true)] {
        let asked = request(&world, number, 3, prompt(queue));
        let row = ask(&mut world, &asked).unwrap();
        assert_eq!((row.phase, row.is_issued(), row.is_parked()), (Phase::Pending, false, queue));
    }
    let kill = request(&world, 5, 3, Act::KillByKey);
    assert!(ask(&mut world, &kill).unwrap().is_issued(), "to interrupt it waits for no prompt");
    report(&mut world, 5, Outcome::Done(Proof::Answer));
    assert_eq!(released(&world), ["ac-5"]);
    world.jump(10);
    let idle = world.signal("idle", 3, Some(State::Idle));
    world.emit(idle).unwrap();
    assert_eq!(released(&world), ["ac-5", "ac-2"]);
    assert_eq!(told(&world, 2).snapshot.state, State::Idle, "what is seen is seen anew");
    let busy = Outcome::Busy { message: "a draft".to_owned() };
    report(&mut world, 2, busy);
    assert_eq!(released(&world), ["ac-5", "ac-2"], "those behind it do not overtake it");
    let restored = Engine::restore(*world.engine.settings(), world.engine.tables(), world.now);
    let settled = restored.standing_effects().into_iter().filter_map(|effect| match effect {
        Effect::Settle(row) => Some(row.action.to_string()),
        _ => None,
    });
    assert_eq!(settled.collect::<Vec<_>>(), ["ac-2"], "what is queued goes on to wait");
    world.engine = restored;
    world.pass(limits::RETRY_FIRST_MS);
    assert_eq!(released(&world), ["ac-5", "ac-2", "ac-3"], "whoever waited is gone");
    report(&mut world, 2, Outcome::Failed(interrupted()));
    assert_eq!(told(&world, 2).phase, Phase::Failed);
}

#[test]
fn a_prompt_waits_no_longer_than_it_may() {
    let mut world = agent_world(&[State::Running]);
    let asked = request(&world, 1, 3, prompt(false));
    ask(&mut world, &asked).unwrap();
    world.pass(limits::WAIT_MS - 1);
    assert_eq!(told(&world, 1).phase, Phase::Pending);
    world.pass(1);
    assert_eq!(problem(&told(&world, 1)), Some(ActionProblem::AgentBusy));
    assert_eq!(released(&world), Vec::<String>::new());
}

/// One thing that happens to a world in which people act.
#[derive(Clone, Debug)]
enum Step {
    Ask {
        number: u32,
        pane: u32,
    },
    /// A prompt to the agent in pane 3, which may wait for it.
    Prompt {
        number: u32,
        queue: bool,
    },
    /// What the agent says it does.
    Says {
        state: State,
    },
    Report {
        number: u32,
        how: u8,
    },
    Respawn {
        pane: u32,
    },
    Cancel {
        number: u32,
    },
    Pass {
        ms: i64,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..24u32, 1..3u32).prop_map(|(number, pane)| Step::Ask { number, pane }),
        4 => (0..24u32, 0..6u8).prop_map(|(number, how)| Step::Report { number, how }),
        4 => (0..24u32, any::<bool>()).prop_map(|(number, queue)| Step::Prompt { number, queue }),
        2 => prop::sample::select(&[State::Running, State::Idle, State::WaitingApproval][..])
            .prop_map(|state| Step::Says { state }),
        1 => (1..4u32).prop_map(|pane| Step::Respawn { pane }),
        2 => (0..24u32).prop_map(|number| Step::Cancel { number }),
        1 => (1..20_000i64).prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// I3: whatever is asked, reported, restarted or respawned: each request is released at most
    /// once, never two at a time in a pane, and never to another runtime than it was asked for.
    #[test]
    fn i3_each_request_is_released_at_most_once(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = world();
        let mut pids = BTreeMap::from([(1, 1_001), (2, 1_002), (3, 1_003)]);
        world.scan(&[shell(1), shell(2), claude(1_003)]);
        let mut open: BTreeMap<String, u32> = BTreeMap::new();
        for (nth, step) in steps.into_iter().enumerate() {
            match step {
                Step::Prompt { number, queue } => {
                    let asked = request(&world, number, 3, prompt(queue));
                    drop(ask(&mut world, &asked));
                }
                Step::Says { state } => {
                    let said = world.signal(&format!("k{nth}"), 3, Some(state));
                    world.emit(said).unwrap();
                }
                Step::Ask { number, pane } => {
                    let asked = request(&world, number, pane, send("x"));
                    if let Ok(row) = ask(&mut world, &asked) {
                        let named = format!("ac-{number}");
                        prop_assert_eq!(row.action.as_str(), named);
                    }
                }
                Step::Report { number, how } => {
                    let message = "m".to_owned();
                    let failure = Failure::new(ActionProblem::Internal, "m");
                    report(&mut world, number, match how {
                        0 => Outcome::Done(Proof::Answer),
                        1 => Outcome::Refused(failure),
                        2 => Outcome::Failed(failure),
                        3 => Outcome::Unknown { message },
                        4 => Outcome::Busy { message },
                        _ => Outcome::Unanswered { message },
                    });
                }
                Step::Respawn { pane } => {
                    *pids.entry(pane).or_default() += 100;
                    let plain = |pane: u32| PaneFacts { process: process(pids[&pane]), ..shell(pane) };
                    world.scan(&[plain(1), plain(2), claude(pids[&3])]);
                }
                Step::Cancel { number } => drop(cancel(&mut world, number, &Actor::Daemon)),
                Step::Pass { ms } => world.pass(ms),
                Step::Restart => {
                    let before = world.engine.tables();
                    let open = before.actions.clone();
                    world.engine = Engine::restore(*world.engine.settings(), before, world.now);
                    // When panes were last confirmed counts from the restart on.
                    prop_assert_eq!(world.engine.tables().actions, open);
                }
            }
            open.clear();
            for row in world.engine.actions() {
                if row.phase == Phase::Pending && row.is_issued() {
                    *open.entry(row.pane.pane.to_string()).or_default() += 1;
                }
            }
            prop_assert!(open.values().all(|count| *count <= 1), "{:?}", open);
        }
        // What was released again had found something in the way, and had done nothing.
        let (mut under_way, mut ever) = (BTreeSet::new(), BTreeSet::new());
        for event in &world.journal {
            let Event::ActionChanged(row) = event else { continue };
            if row.phase == Phase::Pending && row.is_issued() {
                prop_assert!(under_way.insert(row.action.clone()), "{} twice", row.action);
                ever.insert(row.action.clone());
            } else {
                under_way.remove(&row.action);
            }
        }
        let released: BTreeSet<_> = released(&world).into_iter().collect();
        prop_assert_eq!(released.len(), ever.len());
        for event in &world.journal {
            let Event::ActionChanged(row) = event else { continue };
            if row.phase == Phase::Cancelled {
                // It may have been tried, which did nothing.
                prop_assert!(!under_way.contains(&row.action), "{} was under way", row.action);
            }
        }
        let mut ended = BTreeSet::new();
        for event in &world.journal {
            if let Event::ActionChanged(row) = event {
                prop_assert!(!ended.contains(&row.action), "{} ended twice", row.action);
                if !row.is_open() {
                    ended.insert(row.action.clone());
                }
            }
        }
    }
}
