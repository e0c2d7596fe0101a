//! Events on their way to a runtime: bound, waiting, dropped, repeated, contradictory.

use engine::event::Event;
use engine::input::{Acceptance, Effect, Input, Observation, Refusal};
use engine::signal::{About, DropReason, Hints};
use engine::time::WallMs;
use engine::words::State;

use crate::world::{EPOCH_MS, World, key, shell, target_id};

fn dropped(world: &World) -> Vec<DropReason> {
    let reasons = world.journal.iter().filter_map(|event| match event {
        Event::EventDropped { reason, .. } => Some(*reason),
        _ => None,
    });
    reasons.collect()
}

#[test]
fn tc_008_a_waiting_event_is_bound_when_its_runtime_appears() {
    let mut world = World::new();
    let mut signal = world.signal("a", 1, Some(State::Running));
    signal.hints = Hints {
        pid: Some(1_001),
        start: Some(WallMs(EPOCH_MS - 60_000 + 5_000)),
        ..Hints::default()
    };
    assert!(matches!(world.emit(signal), Ok(Acceptance::Pending { .. })));
    assert!(world.effects.contains(&Effect::Rescan(target_id("local"))), "looked for at once");
    world.jump(1);
    world.scan(&[shell(1)]);
    assert_eq!(world.shown(1).0, State::Running);
    assert_eq!(world.engine.inbox().count(), 0);
    assert_eq!(dropped(&world), []);
}

#[test]
fn tc_009_an_event_that_fits_nothing_is_dropped_with_its_reason() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let mut wrong_pid = world.signal("a", 1, Some(State::Running));
    wrong_pid.hints.pid = Some(9);
    world.emit(wrong_pid).unwrap();
    let mut wrong_start = world.signal("b", 1, Some(State::Running));
    wrong_start.hints.start = Some(WallMs(EPOCH_MS - 60_000 + 5_001));
    world.emit(wrong_start).unwrap();
    world.scan(&[shell(1)]);
    assert_eq!(dropped(&world), [], "that look had begun before the events came");
    world.jump(1);
    world.scan(&[shell(1)]);
    assert_eq!(dropped(&world), [DropReason::BindNoCandidate; 2]);
    assert_eq!(world.shown(1).1, "no_agent");
}

#[test]
fn an_event_expires_at_its_time_when_nobody_can_look() {
    let mut world = World::new();
    let signal = world.signal("a", 1, Some(State::Running));
    world.emit(signal).unwrap();
    world.pass(30_000);
    assert_eq!(dropped(&world), [], "the edge still counts");
    world.pass(1);
    assert_eq!(dropped(&world), [DropReason::BindTtlExpired]);
}

#[test]
fn several_waiting_events_are_bound_in_one_look_and_settle_in_order() {
    let mut world = World::new();
    for (name, state) in
        [("a", State::Running), ("b", State::WaitingInput), ("c", State::Completed)]
    {
        let signal = world.signal(name, 1, Some(state));
        world.emit(signal).unwrap();
        world.jump(10);
    }
    world.scan(&[shell(1)]);
    assert_eq!(world.shown(1).0, State::Completed);
    assert_eq!(world.engine.inbox().count(), 0);
}

#[test]
fn tc_007_a_repetition_is_answered_and_not_applied() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let signal = world.signal("a", 1, Some(State::Running));
    world.emit(signal.clone()).unwrap();
    let before = world.journal.len();
    for _ in 0..13 {
        let again = world.emit(signal.clone());
        assert!(matches!(again, Ok(Acceptance::Duplicate { runtime: Some(_), .. })), "{again:?}");
    }
    assert_eq!(world.journal.len(), before);
}

#[test]
fn a_repetition_does_not_reach_the_next_life_of_the_pane() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let signal = world.signal("a", 1, Some(State::WaitingApproval));
    world.emit(signal.clone()).unwrap();
    let mut respawned = shell(1);
    respawned.process.pid = 5;
    world.scan(&[respawned]);
    assert!(matches!(world.emit(signal), Ok(Acceptance::Duplicate { .. })));
    assert_eq!(world.shown(1).0, State::Unknown);
}

#[test]
fn a_key_that_names_another_event_is_a_conflict() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let signal = world.signal("a", 1, Some(State::Running));
    world.emit(signal.clone()).unwrap();
    let mut other = signal.clone();
    other.event_type = "idle".to_owned();
    assert_eq!(world.emit(other), Err(Refusal::DedupeConflict("a".to_owned())));
    let mut numbered = signal.clone();
    numbered.source_seq = Some(1);
    assert_eq!(world.emit(numbered), Err(Refusal::DedupeConflict("a".to_owned())));
    let mut same_id = world.signal("b", 1, Some(State::Idle));
    same_id.event_id = signal.event_id.clone();
    assert_eq!(world.emit(same_id), Err(Refusal::EventIdConflict(signal.event_id)));
}

#[test]
fn events_about_unknown_things_are_refused() {
    let mut world = World::new();
    let mut signal = world.signal("a", 1, Some(State::Running));
    signal.about = About::Runtime(engine::ids::RuntimeId::new("rt-never-was"));
    assert!(matches!(world.emit(signal.clone()), Err(Refusal::RuntimeUnknown(_))));
    let mut elsewhere = key(1);
    elsewhere.target = target_id("nowhere");
    signal.about = About::Pane(elsewhere);
    assert!(matches!(world.emit(signal), Err(Refusal::TargetUnknown(_))));
}

#[test]
fn an_unknown_type_is_stored_and_changes_no_state() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::Running);
    let before = world.row(1).state.clone();
    let signal = world.signal("b", 1, None);
    world.emit(signal).unwrap();
    assert!(matches!(world.journal.last(), Some(Event::EventRecorded(_))));
    assert_eq!(world.row(1).state, before);
}

#[test]
fn waiting_events_of_a_removed_target_are_dropped() {
    let mut world = World::new();
    world.observe(Observation::NoServer);
    let signal = world.signal("a", 1, Some(State::Running));
    world.emit(signal).unwrap();
    let name = "local".to_owned();
    let remove = engine::input::Request::RemoveTarget { name };
    world.feed(&engine::input::Input::Asked(remove)).unwrap();
    assert_eq!(world.engine.inbox().count(), 0);
    assert_eq!(dropped(&world), [DropReason::BindNoCandidate]);
}

#[test]
fn events_from_the_spool_count_for_when_they_were_written_down_in_whatever_order_they_are_read() {
    // Older than what the clock of a source is allowed to be off, so the time of arrival decides.
    let read = |order: [usize; 2], seconds_ago: [i64; 2]| {
        let said = [("a", State::WaitingApproval), ("b", State::Running)];
        let mut world = World::new();
        world.scan(&[shell(1)]);
        for index in order {
            let (key, state) = said[index];
            let mut signal = world.signal(key, 1, Some(state));
            signal.event_time = WallMs(signal.event_time.0 - seconds_ago[index] * 1_000);
            world.feed(&Input::Spooled(Box::new(signal))).unwrap();
        }
        world.pass(1_000);
        world.shown(1).0
    };
    assert_eq!([read([0, 1], [30, 20]), read([1, 0], [30, 20])], [State::Running; 2]);
    assert_eq!([read([0, 1], [20, 30]), read([1, 0], [20, 30])], [State::WaitingApproval; 2]);
    // What nothing has confirmed for an hour is not shown as the present.
    assert_eq!([read([0, 1], [3_600, 3_000]), read([1, 0], [3_600, 3_000])], [State::Unknown; 2]);
}
