//! Adapters that somebody turns off, and what that does to the states of their agents.

use std::collections::BTreeSet;

use engine::Engine;
use engine::adapter::AdapterRow;
use engine::event::Event;
use engine::ids::AgentType;
use engine::input::{Input, Refusal, Request};
use engine::limits;
use engine::time::WallMs;
use engine::words::{Confidence, State};

use crate::world::{World, shell};

fn turned(agent: &str, enabled: bool) -> Input {
    Input::Asked(Request::SetAdapter(Box::new(AdapterRow {
        name: format!("{agent}-hook"),
        agent: AgentType::new(agent),
        version: "v1".to_owned(),
        capabilities: BTreeSet::from(["event_driven".to_owned()]),
        enabled,
        updated_at: WallMs(0),
    })))
}

/// A world with an agent of each name that was heard of, in panes 1, 2, ...
fn world(agents: &[&str]) -> World {
    let mut world = World::new();
    let panes: Vec<u32> = (1..).take(agents.len()).collect();
    world.scan(&panes.iter().map(|pane| shell(*pane)).collect::<Vec<_>>());
    for (pane, agent) in panes.into_iter().zip(agents) {
        let mut signal = world.signal(agent, pane, Some(State::Running));
        signal.agent = Some(AgentType::new(*agent));
        world.emit(signal).unwrap();
    }
    world
}

const UNSUPPORTED: (State, &str, Confidence) =
    (State::Unknown, "unsupported_signal", Confidence::Low);

#[test]
fn an_adapter_that_is_turned_off_leaves_its_panes_unknown_in_the_same_step() {
    let mut world = world(&["claude", "codex"]);
    let version = world.row(1).state.version;
    world.feed(&turned("claude", false)).unwrap();
    assert_eq!(world.shown(1), UNSUPPORTED);
    assert_eq!(world.shown(2).0, State::Running, "another agent's stays");
    assert_eq!(world.row(1).state.version, version + 1);
    assert_eq!(world.epoch(1), 1, "what runs there is the same");
    world.say("again", 1, State::WaitingApproval);
    assert_eq!(world.shown(1), UNSUPPORTED, "whatever is said");
    world.feed(&turned("claude", true)).unwrap();
    assert_eq!(world.shown(1).0, State::WaitingApproval, "what was said counts again");
}

#[test]
fn turning_off_what_is_off_changes_nothing() {
    let mut world = world(&["claude"]);
    world.feed(&turned("claude", true)).unwrap();
    world.feed(&turned("claude", false)).unwrap();
    world.feed(&turned("claude", false)).unwrap();
    let changes = world.journal.iter().filter(|it| matches!(it, Event::AdapterChanged(_)));
    assert_eq!(changes.count(), 1);
}

#[test]
fn what_is_off_stays_off_over_a_restart() {
    let mut world = world(&["claude"]);
    world.feed(&turned("claude", false)).unwrap();
    let (settings, tables) = (*world.engine.settings(), world.engine.tables());
    world.engine = Engine::restore(settings, tables, world.now);
    world.say("again", 1, State::Running);
    assert_eq!(world.shown(1), UNSUPPORTED);
}

#[test]
fn there_is_a_bound_to_what_is_remembered() {
    let mut world = World::new();
    for number in 0..limits::ADAPTERS_MAX {
        world.feed(&turned(&format!("a{number}"), false)).unwrap();
    }
    assert_eq!(world.feed(&turned("more", false)), Err(Refusal::TooManyAdapters));
    world.feed(&turned("a0", true)).unwrap();
}
