//! Epochs and runtimes: when a life ends, when the next begins, and that no two overlap.

use engine::ids::AgentType;
use engine::input::{LastOutput, Observation, Refusal};
use engine::pane::{AgentProcess, Cause, PaneFacts, ProcessIdentity};
use engine::signal::About;
use engine::time::WallMs;
use engine::words::{EndReason, State};

use crate::world::{EPOCH_MS, World, process, shell};

/// Why the pane's last runtime ended, after a second look at it.
fn succession(first: &PaneFacts, second: &PaneFacts) -> Option<EndReason> {
    let mut world = World::new();
    world.scan(std::slice::from_ref(first));
    let (runtime, before) = (world.runtime(1), world.journal.len());
    world.jump(5_000);
    world.scan(std::slice::from_ref(second));
    let ended = world.causes(1, before).into_iter().find_map(|cause| match cause {
        Cause::RuntimeEnded { runtime: ended, reason } => {
            assert_eq!(ended, runtime);
            Some(reason)
        }
        _ => None,
    });
    if !second.dead {
        assert_eq!(world.epoch(1), if ended.is_some() { 2 } else { 1 });
        assert_eq!(world.runtime(1) != runtime, ended.is_some(), "a new life, a new id");
    }
    ended
}

#[test]
fn tc_004_every_trigger_begins_a_new_epoch_and_nothing_else_does() {
    let first = shell(1);
    let with_process = |process| PaneFacts { process, ..shell(1) };
    let respawned = with_process(process(77));
    let reused = with_process(ProcessIdentity {
        started_ns: Some((EPOCH_MS - 1_000) * 1_000_000),
        ..first.process
    });
    let exec = with_process(ProcessIdentity { exec_mark: Some(2), ..first.process });
    assert_eq!(succession(&first, &respawned), Some(EndReason::Respawned));
    assert_eq!(succession(&first, &reused), Some(EndReason::Respawned), "the pid was reused");
    assert_eq!(succession(&first, &exec), Some(EndReason::Exec));
    assert_eq!(
        succession(&first, &PaneFacts { dead: true, ..shell(1) }),
        Some(EndReason::ProcessExited)
    );
    let renamed = PaneFacts { session_name: "other".to_owned(), width: 10, ..shell(1) };
    assert_eq!(succession(&first, &renamed), None);
    assert_eq!(succession(&first, &first), None);
}

#[test]
fn a_program_that_replaces_itself_while_it_starts_is_one_life() {
    let mut starting = shell(1);
    starting.process.started_ns = Some((EPOCH_MS - 500) * 1_000_000);
    let mut started = starting.clone();
    started.process.exec_mark = Some(2);
    assert_eq!(succession(&starting, &started), None);
}

#[test]
fn what_a_target_does_not_let_us_see_ends_nothing() {
    let blind = |exec_mark, started_ns| PaneFacts {
        process: ProcessIdentity { pid: 1_001, started_ns, exec_mark },
        ..shell(1)
    };
    assert_eq!(succession(&shell(1), &blind(None, None)), None);
    assert_eq!(succession(&blind(None, None), &shell(1)), None);
}

#[test]
fn a_recognised_agents_start_and_end_begin_an_epoch_and_recognition_does_not() {
    let agent = |pid, started_ms: i64| {
        let process =
            ProcessIdentity { pid, started_ns: Some(started_ms * 1_000_000), exec_mark: None };
        Some(AgentProcess { agent: AgentType::new("claude"), process })
    };
    let with = |agent| PaneFacts { agent, ..shell(1) };
    let early = with(agent(5, EPOCH_MS - 60_000));
    let late = with(agent(5, EPOCH_MS + 1_000));
    let next = with(agent(6, EPOCH_MS + 2_000));
    assert_eq!(succession(&shell(1), &early), None, "it was there from the start: recognition");
    assert_eq!(succession(&shell(1), &late), Some(EndReason::AgentStarted));
    assert_eq!(succession(&late, &shell(1)), Some(EndReason::AgentEnded));
    assert_eq!(succession(&late, &next), Some(EndReason::AgentStarted));
}

#[test]
fn a_restarted_server_with_the_same_pane_ids_starts_new_runtimes() {
    let mut world = World::new();
    world.scan(&[shell(0), shell(1)]);
    let old = [world.runtime(0), world.runtime(1)];
    world.boot = 2;
    world.scan(&[shell(0), shell(1)]);
    assert_ne!(world.runtime(0), old[0]);
    assert_ne!(world.runtime(1), old[1]);
    let mut late = world.signal("late", 0, Some(State::Running));
    late.about = About::Runtime(old[0].clone());
    assert_eq!(world.emit(late), Err(Refusal::RuntimeStale(old[0].clone())));
}

#[test]
fn a_pane_that_vanished_by_mistake_comes_back_as_another_life() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let before = world.runtime(1);
    world.scan(&[]);
    world.scan(&[shell(1)]);
    assert_eq!(world.epoch(1), 2);
    assert_ne!(world.runtime(1), before);
}

#[test]
fn a_dead_process_ends_the_runtime_at_once_and_a_late_look_does_not_revive_it() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let facts = shell(1);
    world.observe(Observation::ProcessEnded { pane: facts.pane, process: facts.process });
    assert_eq!(world.row(1).runtime, None);
    assert_eq!(world.shown(1).1, "process_exited");
    let again = world.journal.len();
    world.observe(Observation::ProcessEnded { pane: facts.pane, process: facts.process });
    assert_eq!(world.journal.len(), again, "the second report says nothing new");
    world.scan(&[shell(1)]);
    assert_eq!(world.row(1).runtime, None, "tmux had not noticed yet");
    world.scan(&[PaneFacts { process: process(5), ..shell(1) }]);
    assert_eq!(world.epoch(1), 2, "respawned");
}

#[test]
fn the_death_of_a_former_process_ends_nothing() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let former = shell(1).process;
    world.scan(&[PaneFacts { process: process(5), ..shell(1) }]);
    world.observe(Observation::ProcessEnded { pane: shell(1).pane, process: former });
    assert_eq!(world.epoch(1), 2);
}

#[test]
fn a_new_lifes_state_is_as_old_as_that_life() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let first = world.row(1).state.since;
    world.jump(5_000);
    world.scan(&[PaneFacts { process: process(77), ..shell(1) }]);
    let state = &world.row(1).state;
    assert_eq!(state.reason, "no_agent", "the same as before");
    assert_eq!(state.since.wall.0, first.wall.0 + 5_000);
}

/// A process that began so long ago.
fn begun(world: &World, pid: u32, ms_ago: i64) -> ProcessIdentity {
    let started_ns = Some((world.now.wall.0 - ms_ago) * 1_000_000);
    ProcessIdentity { started_ns, ..process(pid) }
}

#[test]
fn a_new_life_was_active_when_it_began_or_later_but_never_before() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let active = |world: &World, pane| world.row(pane).last_activity.map(|at| at.wall);
    let started = |world: &World, pane| world.row(pane).runtime.as_ref().map(|it| it.started_at);
    assert_eq!(active(&world, 1), started(&world, 1), "nobody heard what it printed at its start");
    world.jump(5_000);
    world.observe(Observation::Printed { panes: vec![shell(1).pane] });
    world.jump(5_000);
    let respawned = PaneFacts { process: begun(&world, 77, 40), ..shell(1) };
    let split = PaneFacts { process: begun(&world, 78, 30), ..shell(2) };
    world.scan(&[respawned.clone(), split.clone()]);
    for pane in [1, 2] {
        assert_eq!(active(&world, pane), started(&world, pane), "of pane %{pane}");
    }
    world.jump(1_000);
    world.observe(Observation::Printed { panes: vec![shell(2).pane] });
    let heard = active(&world, 2);
    assert_eq!(heard, Some(world.now.wall));
    world.jump(1_000);
    world.scan(&[respawned, PaneFacts { process: begun(&world, 79, 10), dead: true, ..split }]);
    assert_eq!(active(&world, 2), heard, "its end is no activity");
}

#[test]
fn a_shell_was_active_when_the_agent_in_it_printed_last() {
    let mut world = World::new();
    let agent = AgentProcess { agent: AgentType::new("claude"), process: process(4_711) };
    world.scan(&[PaneFacts { agent: Some(agent), ..shell(1) }]);
    world.jump(3_000);
    world.observe(Observation::Printed { panes: vec![shell(1).pane] });
    let heard = world.row(1).last_activity;
    world.jump(3_000);
    world.scan(&[shell(1)]);
    assert_eq!(world.row(1).last_activity, heard, "in the same terminal, and since it began");
}

#[test]
fn what_another_process_printed_while_nobody_listened_is_not_the_new_ones() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.jump(60_000);
    let facts = PaneFacts { process: begun(&world, 77, 2_000), ..shell(1) };
    let mut topology = world.topology("local", &[facts]);
    let latest = WallMs(world.now.wall.0 - 30_000);
    topology.outputs = vec![LastOutput { pane: shell(1).pane, certain: None, latest }];
    world.observe(Observation::Topology(Box::new(topology)));
    let row = world.row(1);
    let started = row.runtime.as_ref().map(|it| it.started_at);
    assert_eq!(row.last_activity.map(|at| at.wall), started);
}

#[test]
fn nothing_is_journalled_when_nothing_changed() {
    let mut world = World::new();
    world.scan(&[shell(1), shell(2)]);
    let before = world.journal.len();
    for _ in 0..10 {
        world.jump(2_000);
        world.scan(&[shell(1), shell(2)]);
        world.observe(Observation::Unchanged);
    }
    assert_eq!(world.journal.len(), before);
    assert_eq!(world.row(1).last_seen.mono, world.now.mono, "but it was seen");
}

#[test]
fn two_targets_on_one_server_are_refused() {
    let mut world = World::new();
    world.add_target("twin").unwrap();
    world.scan(&[shell(1)]);
    let mut topology = world.topology("local", &[shell(1)]);
    topology.sessions.clear();
    world.observe_on("twin", Observation::Topology(Box::new(topology)));
    assert_eq!(world.engine.panes().count(), 1);
    let twin = world.engine.target_named("twin").unwrap();
    assert_eq!(twin.trouble.as_ref().unwrap().code, "E_TARGET_DUPLICATE_SERVER");
}
