//! The same events in any order, repeated, delayed: the same state.

use engine::engine::Engine;
use engine::ids::AgentType;
use engine::input::{Acceptance, Observation};
use engine::signal::Signal;
use engine::state::Claim;
use engine::time::WallMs;
use engine::words::{Confidence, Source, State};
use proptest::prelude::*;

use crate::world::{EPOCH_MS, World, shell};

/// An event as a source might send it.
#[derive(Clone, Debug)]
struct Said {
    source: Source,
    state: Option<State>,
    /// When it happened, in milliseconds after the first.
    at: i64,
    numbered: bool,
}

fn said() -> impl Strategy<Value = Said> {
    let source = prop::sample::select(Source::ALL);
    let state = prop::option::weighted(0.9, prop::sample::select(&State::ALL[..6]));
    (source, state, 0..4_000_i64, any::<bool>()).prop_map(|(source, state, at, numbered)| Said {
        source,
        state,
        at,
        numbered,
    })
}

/// The events as signals; numbered ones are numbered in the order in which they happened.
fn signals(world: &World, said: &[Said]) -> Vec<Signal> {
    let mut order: Vec<usize> = (0..said.len()).collect();
    order.sort_by_key(|&index| (said[index].at, index));
    let mut signals: Vec<_> = (0..said.len())
        .map(|index| {
            let one = &said[index];
            let mut signal = world.signal(&format!("k{index}"), 1, one.state);
            signal.source = one.source;
            signal.event_time.0 = EPOCH_MS + one.at;
            signal.claim = one.state.map(|state| Claim {
                state,
                reason: format!("said_{index}"),
                confidence: Confidence::High,
            });
            signal
        })
        .collect();
    for (number, index) in order.into_iter().enumerate() {
        signals[index].source_seq = said[index].numbered.then_some(number as i64);
    }
    signals
}

/// The state after hearing the signals in the given order, with the given delays.
fn outcome(said: &[Said], order: &[usize], delays: &[i64]) -> (State, String) {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let signals = signals(&world, said);
    world.jump(4_000);
    for (step, &index) in order.iter().enumerate() {
        world.jump(delays[step % delays.len()]);
        let answer = world.emit(signals[index].clone());
        assert!(answer.is_ok(), "an event out of order is settled, never refused: {answer:?}");
    }
    world.jump(12_000 - (world.now.wall.0 - EPOCH_MS));
    world.observe(Observation::Unchanged);
    let row = world.row(1);
    (row.state.state, row.state.reason.clone())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tc_006_any_order_repetition_or_delay_ends_in_the_same_state(
        said in prop::collection::vec(said(), 1..12),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 12..40),
        delays in prop::collection::vec(0..150_i64, 1..5),
    ) {
        let straight: Vec<usize> = (0..said.len()).collect();
        // Every event at least once, in any order, with repetitions.
        let mut shuffled: Vec<usize> = picks.iter().map(|pick| pick.index(said.len())).collect();
        shuffled.extend(straight.iter().rev());
        prop_assert_eq!(outcome(&said, &straight, &[0]), outcome(&said, &shuffled, &delays));
    }

    #[test]
    fn the_fold_of_the_journal_is_the_engine(
        said in prop::collection::vec(said(), 1..20),
    ) {
        let mut world = World::new();
        world.scan(&[shell(1), shell(2)]);
        for signal in signals(&world, &said) {
            world.emit(signal).unwrap();
            world.pass(5_000);
        }
        let mut replayed = Engine::new(*world.engine.settings());
        for event in &world.journal {
            replayed.apply(event);
        }
        let states = |engine: &Engine| -> Vec<_> {
            engine.panes().map(|row| (row.runtime.clone(), row.state.clone())).collect()
        };
        prop_assert_eq!(states(&replayed), states(&world.engine));
        prop_assert_eq!(replayed.tables().evidence, world.engine.tables().evidence);
    }
}

#[test]
fn tc_049_a_storm_of_repetitions_changes_nothing() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let signals: Vec<_> = (0..10)
        .map(|index| world.signal(&format!("k{index}"), 1, Some(State::ALL[index % 6])))
        .collect();
    for signal in &signals {
        world.emit(signal.clone()).unwrap();
    }
    let (journal, row) = (world.journal.len(), world.row(1).clone());
    for round in 0..1_000 {
        let answer = world.emit(signals[round * 7 % 10].clone()).unwrap();
        assert!(matches!(answer, Acceptance::Duplicate { .. }));
    }
    assert_eq!(world.journal.len(), journal);
    assert_eq!(*world.row(1), row);
}

#[test]
fn a_source_that_counts_anew_is_heard_again() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let mut last = world.signal("a", 1, Some(State::Running));
    last.source_seq = Some(i64::MAX);
    world.emit(last).unwrap();
    world.jump(20_000);
    let mut within = world.signal("b", 1, Some(State::Idle));
    within.source_seq = Some(1);
    world.emit(within).unwrap();
    assert_eq!(world.shown(1).0, State::Running, "clocks alone could explain that");
    world.jump(1);
    let mut anew = world.signal("c", 1, Some(State::WaitingInput));
    anew.source_seq = Some(2);
    world.emit(anew).unwrap();
    assert_eq!(world.shown(1).0, State::WaitingInput);
}

#[test]
fn a_clock_that_is_far_off_is_not_believed() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let mut future = world.signal("a", 1, Some(State::Running));
    future.event_time.0 += 3_600_000;
    world.emit(future).unwrap();
    world.jump(1);
    world.say("b", 1, State::Idle);
    assert_eq!(world.shown(1).0, State::Idle, "the hour ahead did not win");
}

#[test]
fn which_agent_it_is_does_not_depend_on_the_order_of_arrival() {
    let said = [("one", "claude", 10), ("two", "codex", 30), ("three", "claude", 20)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut world = World::new();
        world.scan(&[shell(1)]);
        world.jump(1_000);
        for (id, agent, after_ms) in order.map(|index: usize| said[index]) {
            let mut signal = world.signal(id, 1, Some(State::Running));
            signal.agent = Some(AgentType::new(agent));
            signal.event_time = WallMs(EPOCH_MS + after_ms);
            world.emit(signal).unwrap();
        }
        let agent = world.row(1).runtime.as_ref().unwrap().agent.clone();
        assert_eq!(agent.unwrap().as_str(), "codex", "the newest word, after {order:?}");
    }
}
