//! Targets: added, removed, failing, recovering.

use engine::Engine;
use engine::input::{Effect, Input, Observation, Refusal, Request};
use engine::target::Trouble;
use engine::words::{EndReason, Health, State, TargetKind};

use crate::world::{World, server, shell, target_id};

fn remove(world: &mut World, name: &str) -> Result<(), Refusal> {
    let request = Request::RemoveTarget { name: name.to_owned() };
    world.feed(&Input::Asked(request)).map(drop)
}

#[test]
fn names_and_connections_are_taken_once() {
    let mut world = World::new();
    assert_eq!(world.add_target("local"), Err(Refusal::TargetExists("local".to_owned())));
    let twin = Request::AddTarget {
        target: target_id("twin"),
        name: "twin".to_owned(),
        kind: TargetKind::Local,
        connection_ref: "/sock/local".to_owned(),
    };
    let refusal = world.feed(&Input::Asked(twin)).unwrap_err();
    assert!(matches!(refusal, Refusal::SameServer { .. }), "{refusal}");
    assert!(world.engine.targets().next().unwrap().is_default);
}

#[test]
fn removing_a_target_ends_everything_on_it() {
    let mut world = World::new();
    world.scan(&[shell(1), shell(2)]);
    remove(&mut world, "local").unwrap();
    assert_eq!(world.engine.panes().count(), 0);
    assert_eq!(world.engine.sessions().count(), 0);
    assert!(world.effects.contains(&Effect::Forget(target_id("local"))));
    let ended = world.journal.iter().filter(|event| {
        matches!(
            event,
            engine::event::Event::PaneRemoved { ended: Some((_, EndReason::TargetRemoved)), .. }
        )
    });
    assert_eq!(ended.count(), 2);
    assert_eq!(remove(&mut world, "local"), Err(Refusal::TargetUnknown("local".to_owned())));
}

#[test]
fn what_is_seen_of_a_removed_target_is_ignored() {
    let mut world = World::new();
    remove(&mut world, "local").unwrap();
    let before = world.journal.len();
    world.scan(&[shell(1)]);
    world.observe(Observation::NoServer);
    world.fail();
    assert_eq!(world.journal.len(), before);
}

#[test]
fn a_machine_without_a_tmux_server_is_healthy_and_empty() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.observe(Observation::NoServer);
    assert_eq!(world.engine.panes().count(), 0);
    let target = world.engine.targets().next().unwrap();
    assert_eq!((target.health, target.server.is_none()), (Health::Ok, true));
}

#[test]
fn a_disconnected_target_is_left_alone_until_it_is_connected_and_its_panes_are_not_known() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("k", 1, State::Running);
    let runtime = world.runtime(1);
    let ask = |world: &mut World, request: Request| {
        world.effects.clear();
        world.feed(&Input::Asked(request)).map(drop)
    };
    let name = || "local".to_owned();
    ask(&mut world, Request::DisconnectTarget { name: name() }).unwrap();
    assert_eq!(world.effects, [Effect::Leave(target_id("local"))]);
    assert_eq!((world.shown(1).0, world.shown(1).1), (State::Unknown, "target_unreachable"));
    let known = world.row(1).state.last_known.as_ref().map(|it| it.state);
    assert_eq!(known, Some(State::Running));
    let before = world.journal.len();
    world.scan(&[shell(1), shell(2)]);
    world.observe(Observation::NoServer);
    world.fail();
    ask(&mut world, Request::DisconnectTarget { name: name() }).unwrap();
    assert_eq!(world.journal.len(), before, "what was on its way is not taken, and twice is once");
    assert_eq!(world.engine.standing_effects(), [], "nor does the next daemon look at it");
    ask(&mut world, Request::ConnectTarget { name: name() }).unwrap();
    let [Effect::Observe(row), Effect::Connect(first)] = world.effects.as_slice() else {
        panic!("it is looked at, before others: {:?}", world.effects);
    };
    assert_eq!((row.trouble.as_ref(), first), (None, &target_id("local")));
    assert_eq!(world.shown(1).0, State::Unknown, "nobody has looked yet");
    world.scan(&[shell(1)]);
    world.scan(&[shell(1)]);
    assert_eq!((world.runtime(1), world.shown(1).0), (runtime, State::Running));
}

#[test]
fn trouble_is_told_and_forgotten_with_recovery() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.fail();
    let trouble = |world: &World| world.engine.targets().next().unwrap().trouble.clone();
    assert_eq!(trouble(&world).unwrap().code, "E_TIMEOUT");
    world.scan(&[shell(1)]);
    world.scan(&[shell(1)]);
    assert_eq!(trouble(&world), None);
    let limit = Trouble { code: "E_LIMITED".to_owned(), message: "forked".to_owned() };
    world.observe(Observation::Limited { trouble: Some(limit.clone()) });
    world.scan(&[shell(1)]);
    assert_eq!(trouble(&world), Some(limit), "a limit stays while the target is fine");
    world.observe(Observation::Limited { trouble: None });
    assert_eq!(trouble(&world), None);
}

#[test]
fn a_flapping_target_journals_only_its_changes() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let before = world.journal.len();
    for _ in 0..100 {
        world.fail();
        world.scan(&[shell(1)]);
        world.scan(&[shell(1)]);
    }
    assert_eq!(world.journal.len() - before, 200, "down and up, each once");
}

#[test]
fn a_look_at_one_pane_that_heals_the_target_confirms_that_one_only() {
    let mut world = World::new();
    world.scan(&[shell(1), shell(2)]);
    world.say("a", 1, State::Idle);
    world.say("b", 2, State::Idle);
    for _ in 0..3 {
        world.fail();
    }
    world.scan(&[shell(1), shell(2)]);
    let seen = world.row(2).last_seen;
    world.jump(31_000);
    world.observe(Observation::Panes { server: server("local", 1), panes: vec![shell(1)] });
    assert_eq!(world.shown(1).0, State::Idle);
    assert_eq!(world.shown(2).1, "stale_signal", "nobody has looked at it for too long");
    assert_eq!(world.row(2).last_seen, seen);
}

#[test]
fn a_daemon_that_lives_for_one_failure_at_a_time_finds_its_target_down_all_the_same() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    for health in [Health::Degraded, Health::Degraded, Health::Down] {
        world.jump(8_000);
        let trail = world.engine.trail();
        let (settings, tables) = (*world.engine.settings(), world.engine.tables());
        world.engine = Engine::restore(settings, tables, world.now);
        world.engine.take_up(&trail, world.now);
        assert!(!world.engine.is_observed(|_| true), "what others saw is not seen again");
        world.fail();
        assert_eq!(world.engine.target(&target_id("local")).unwrap().health, health);
    }
}

/// A world with a target somewhere else, `far`, that nobody has looked at yet.
fn with_far() -> World {
    let mut world = World::new();
    let request = Request::AddTarget {
        target: target_id("far"),
        name: "far".to_owned(),
        kind: TargetKind::Ssh,
        connection_ref: "ssh://far".to_owned(),
    };
    world.feed(&Input::Asked(request)).unwrap();
    world
}

fn tell_far(world: &mut World, sight: Observation) {
    let target = target_id("far");
    world.feed(&Input::Observed { target, sight }).unwrap();
}

/// How the target elsewhere is shown.
fn far(world: &World) -> (Health, Option<&str>) {
    let row = world.engine.target(&target_id("far")).unwrap();
    (row.health, row.trouble.as_ref().map(|it| it.code.as_str()))
}

/// Another daemon begins, with what the one before it stored and left.
fn restart(world: &mut World) {
    let trail = world.engine.trail();
    let (settings, tables) = (*world.engine.settings(), world.engine.tables());
    world.engine = Engine::restore(settings, tables, world.now);
    world.engine.take_up(&trail, world.now);
    world.feed(&Input::Started).unwrap();
}

const UNSEEN: (Health, Option<&str>) = (Health::Degraded, Some("E_TARGET_UNSEEN"));
const FINE: (Health, Option<&str>) = (Health::Ok, None);

fn timed_out() -> Observation {
    let trouble = Trouble { code: "E_TIMEOUT".to_owned(), message: "no answer".to_owned() };
    Observation::Failed { trouble, weight: 1 }
}

#[test]
fn a_target_elsewhere_is_ok_with_the_first_complete_look_and_not_before() {
    let mut world = with_far();
    assert_eq!(far(&world), UNSEEN);
    tell_far(&mut world, Observation::Behind);
    tell_far(&mut world, Observation::Answered);
    tell_far(&mut world, Observation::Answered);
    assert_eq!(far(&world), UNSEEN, "an answer shows no panes");
    tell_far(&mut world, Observation::NoServer);
    assert_eq!(far(&world), UNSEEN, "what hooks wrote is still to come");
    tell_far(&mut world, Observation::CaughtUp);
    assert_eq!(far(&world), FINE, "nothing failed, so there is nothing to recover from");
}

#[test]
fn a_failure_before_the_first_look_counts_and_is_recovered_from_like_any() {
    let mut world = with_far();
    tell_far(&mut world, timed_out());
    assert_eq!(far(&world), (Health::Degraded, Some("E_TIMEOUT")));
    tell_far(&mut world, Observation::NoServer);
    assert_eq!(far(&world), (Health::Degraded, Some("E_TIMEOUT")));
    tell_far(&mut world, Observation::NoServer);
    assert_eq!(far(&world), FINE);
}

#[test]
fn a_daemon_that_starts_has_looked_at_nothing_elsewhere_and_says_so_once() {
    let mut world = with_far();
    tell_far(&mut world, Observation::NoServer);
    world.scan(&[shell(1)]);
    let before = world.journal.len();
    restart(&mut world);
    assert_eq!(far(&world), UNSEEN);
    restart(&mut world);
    assert_eq!(world.journal.len() - before, 1, "once, and nothing of the target of this machine");
    assert_eq!(world.engine.target(&target_id("local")).unwrap().health, Health::Ok);
    tell_far(&mut world, Observation::NoServer);
    assert_eq!((far(&world), world.journal.len() - before), (FINE, 2));
    // What was in trouble keeps its own.
    tell_far(&mut world, timed_out());
    restart(&mut world);
    assert_eq!(far(&world), (Health::Degraded, Some("E_TIMEOUT")));
    tell_far(&mut world, timed_out());
    tell_far(&mut world, timed_out());
    restart(&mut world);
    assert_eq!(far(&world), (Health::Down, Some("E_TIMEOUT")));
}

#[test]
fn a_target_that_is_connected_again_stays_down_until_it_was_looked_at() {
    let mut world = with_far();
    tell_far(&mut world, Observation::NoServer);
    tell_far(&mut world, Observation::NoServer);
    let name = || "far".to_owned();
    world.feed(&Input::Asked(Request::DisconnectTarget { name: name() })).unwrap();
    restart(&mut world);
    assert_eq!(far(&world), (Health::Down, Some("E_TARGET_DISCONNECTED")));
    world.feed(&Input::Asked(Request::ConnectTarget { name: name() })).unwrap();
    assert_eq!(far(&world), (Health::Down, Some("E_TARGET_UNSEEN")));
    tell_far(&mut world, Observation::Answered);
    assert_eq!(far(&world).0, Health::Down, "looks from before it was disconnected do not count");
    tell_far(&mut world, Observation::NoServer);
    assert_eq!(far(&world), FINE);
}

#[test]
fn a_limit_that_is_told_before_the_first_look_is_over_is_shown_after_it() {
    let mut world = with_far();
    let limit = Trouble { code: "E_LIMITED".to_owned(), message: "forked".to_owned() };
    tell_far(&mut world, Observation::Behind);
    tell_far(&mut world, Observation::NoServer);
    tell_far(&mut world, Observation::Limited { trouble: Some(limit) });
    assert_eq!(far(&world), UNSEEN);
    tell_far(&mut world, Observation::CaughtUp);
    assert_eq!(far(&world), (Health::Ok, Some("E_LIMITED")));
}
