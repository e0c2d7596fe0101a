//! Which state is shown: fusion, freshness, demotion, and honesty about what is not known.

use engine::Engine;
use engine::event::Event;
use engine::explain::Standing;
use engine::ids::AgentType;
use engine::input::{Acceptance, Input, LastOutput, Observation};
use engine::pane::{AgentProcess, PaneFacts};
use engine::settings::Settings;
use engine::signal::Signal;
use engine::time::WallMs;
use engine::words::{Confidence, Detail, Health, Source, State};

use crate::world::{EPOCH_MS, World, key, shell};

#[test]
fn a_pane_that_nobody_spoke_of_has_no_agent() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    assert_eq!(world.shown(1), (State::Unknown, "no_agent", Confidence::High));
}

#[test]
fn an_agent_that_says_nothing_is_inconclusive() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let mut signal = of("claude", world.signal("a", 1, None));
    signal.details.insert(Detail::Model, "opus".to_owned());
    world.emit(signal).unwrap();
    assert_eq!(world.shown(1), (State::Unknown, "inconclusive", Confidence::Low));
    assert_eq!(world.epoch(1), 1, "recognition alone begins nothing");
}

/// An event whose source speaks for this agent.
fn of(agent: &str, mut signal: Signal) -> Signal {
    signal.agent = Some(AgentType::new(agent));
    signal
}

/// Pane 1 with the process of an agent in it.
fn with_agent(agent: &str) -> PaneFacts {
    let facts = shell(1);
    let agent = AgentProcess { agent: AgentType::new(agent), process: facts.process };
    PaneFacts { agent: Some(agent), ..facts }
}

/// The name of the agent in pane 1.
fn name(world: &World) -> Option<&str> {
    world.row(1).runtime.as_ref()?.agent.as_ref().map(AgentType::as_str)
}

#[test]
fn a_type_that_nobody_knows_names_and_renames_nobody() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let unknown = of("claude", world.signal("a", 1, None));
    world.emit(unknown).unwrap();
    assert_eq!(name(&world), None);
    assert_eq!(world.shown(1), (State::Unknown, "no_agent", Confidence::High));
    let told = of("claude", world.signal("b", 1, Some(State::Running)));
    world.emit(told).unwrap();
    assert_eq!(name(&world), Some("claude"));
    let version = world.row(1).state.version;
    world.jump(1);
    let unknown = of("codex", world.signal("c", 1, None));
    world.emit(unknown).unwrap();
    assert_eq!((name(&world), world.row(1).state.version), (Some("claude"), version));
}

#[test]
fn what_is_said_of_another_agent_than_the_one_found_there_is_kept_and_counts_for_nothing() {
    let mut world = World::new();
    world.scan(&[with_agent("claude")]);
    let own = of("claude", world.signal("own", 1, Some(State::Running)));
    world.emit(own).unwrap();
    let before = world.row(1).clone();
    world.jump(1);
    let mut inner = of("codex", world.signal("inner", 1, Some(State::WaitingApproval)));
    inner.details.insert(Detail::Model, "another".to_owned());
    let accepted = world.emit(inner).unwrap();
    assert!(matches!(accepted, Acceptance::Bound { of_other: true, .. }), "{accepted:?}");
    assert_eq!(*world.row(1), before);
    let runtime = before.runtime.as_ref().unwrap().runtime.clone();
    assert_eq!(world.engine.evidence(&runtime).unwrap().detail(Detail::Model), None);
    let explained = world.engine.explain(&runtime, world.now).unwrap();
    let pieces = explained.evidence.iter();
    let pieces: Vec<_> = pieces.map(|it| (it.heard.claim.state, it.standing)).collect();
    let expected = [(State::Running, Standing::Won), (State::WaitingApproval, Standing::OfOther)];
    assert_eq!(pieces, expected);
    world.jump(1);
    let own = of("claude", world.signal("end", 1, Some(State::Completed)));
    world.emit(own).unwrap();
    assert_eq!((name(&world), world.shown(1).0), (Some("claude"), State::Completed));
}

#[test]
fn what_was_said_of_another_agent_counts_no_longer_once_a_process_tells_which_it_is() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let wrong = of("codex", world.signal("a", 1, Some(State::WaitingApproval)));
    world.emit(wrong).unwrap();
    assert_eq!((name(&world), world.shown(1).0), (Some("codex"), State::WaitingApproval));
    world.scan(&[with_agent("claude")]);
    assert_eq!(name(&world), Some("claude"));
    assert_eq!(world.shown(1), (State::Unknown, "inconclusive", Confidence::Low));
}

#[test]
fn the_newest_claim_wins_and_urgency_decides_about_one_moment() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::WaitingApproval);
    world.say("b", 1, State::Running);
    assert_eq!(world.shown(1).0, State::WaitingApproval, "of one moment");
    world.jump(1);
    world.say("c", 1, State::Running);
    assert_eq!(world.shown(1).0, State::Running, "of a later moment");
}

#[test]
fn a_poller_never_overrides_a_fresh_deterministic_claim() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::WaitingInput);
    world.jump(1_000);
    let mut guess = world.signal("b", 1, Some(State::Error));
    guess.source = Source::Poller;
    world.emit(guess).unwrap();
    assert_eq!(world.shown(1).0, State::WaitingInput);
}

#[test]
fn a_pollers_claim_shows_when_the_deterministic_one_is_stale() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::Running);
    world.pass(20_000);
    let mut guess = world.signal("b", 1, Some(State::Running));
    guess.source = Source::Poller;
    guess.claim.as_mut().unwrap().reason = "spinner".to_owned();
    world.emit(guess).unwrap();
    world.pass(10_001);
    assert_eq!(world.shown(1), (State::Running, "spinner", Confidence::High));
}

#[test]
fn ag_05_completed_becomes_idle_after_exactly_two_minutes() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::Completed);
    for _ in 0..11 {
        world.pass(10_000);
        world.observe(Observation::Unchanged);
    }
    world.pass(9_999);
    assert_eq!(world.shown(1).0, State::Completed);
    world.pass(1);
    assert_eq!(world.shown(1), (State::Idle, "completed_demoted", Confidence::Medium));
    let due = world.journal.iter().filter(|event| match event {
        Event::EventRecorded(row) => row.signal.event_type == "demotion-due",
        _ => false,
    });
    assert_eq!(due.count(), 1, "the reconciler said so once, as an event");
}

#[test]
fn tc_010_a_signal_that_nothing_confirms_becomes_unknown() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::Running);
    let said = world.now.wall;
    for _ in 0..3 {
        world.pass(10_000);
        world.observe(Observation::Unchanged);
    }
    assert_eq!(world.shown(1).0, State::Running, "the edge still counts");
    world.pass(1);
    assert_eq!(world.shown(1), (State::Unknown, "stale_signal", Confidence::Low));
    let last = world.row(1).state.last_known.clone().unwrap();
    assert_eq!((last.state, last.at), (State::Running, said), "nothing confirmed it since");
}

/// When the state before the present unknown one was last confirmed, in milliseconds from now.
fn known_until(world: &World, pane: u32) -> i64 {
    world.now.wall.0 - world.row(pane).state.last_known.as_ref().expect("a known state").at.0
}

#[test]
fn what_was_known_of_work_that_fell_silent_is_as_old_as_its_last_output() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::Running);
    world.pass(4_000);
    world.observe(Observation::Printed { panes: vec![shell(1).pane] });
    world.pass(30_001);
    assert_eq!(world.shown(1).1, "stale_signal");
    assert_eq!(known_until(&world, 1), 30_001);
    world.pass(9_000);
    let why = world.engine.explain(&world.runtime(1), world.now).unwrap();
    let told = (known_until(&world, 1), why.evidence[0].confirmed_age_ms);
    assert_eq!(told, (39_001, 39_001), "the list and the explanation tell one moment");
}

#[test]
fn what_was_known_of_a_target_is_as_old_as_the_last_look_at_it() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::WaitingApproval);
    world.pass(5_000);
    world.observe(Observation::Unchanged);
    for _ in 0..3 {
        world.pass(4_000);
        world.fail();
    }
    assert_eq!(world.shown(1).1, "target_unreachable");
    assert_eq!(known_until(&world, 1), 12_000);
    world.pass(1_000);
    let why = world.engine.explain(&world.runtime(1), world.now).unwrap();
    let ages = (known_until(&world, 1), why.last_seen_age_ms, why.evidence[0].confirmed_age_ms);
    assert_eq!(ages, (13_000, 13_000, 13_000));
}

#[test]
fn a_look_that_finds_a_process_dead_does_not_confirm_what_it_did() {
    let mut world = World::new();
    world.scan(&[shell(1), shell(2)]);
    world.say("a", 1, State::WaitingApproval);
    world.say("b", 2, State::WaitingApproval);
    world.pass(3_000);
    let dead = PaneFacts { dead: true, ..shell(1) };
    world.scan(&[dead, shell(2)]);
    let (pane, process) = (shell(2).pane, shell(2).process);
    world.pass(2_000);
    world.observe(Observation::ProcessEnded { pane, process });
    assert_eq!((world.shown(1).1, world.shown(2).1), ("process_exited", "process_exited"));
    assert_eq!((known_until(&world, 1), known_until(&world, 2)), (5_000, 2_000));
}

#[test]
fn a_question_was_known_until_the_last_look_before_output_made_it_doubtful() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::WaitingApproval);
    for _ in 0..6 {
        world.pass(10_000);
        world.observe(Observation::Unchanged);
    }
    world.pass(700);
    world.observe(Observation::Printed { panes: vec![shell(1).pane] });
    assert_eq!(world.shown(1).1, "stale_signal");
    assert_eq!(known_until(&world, 1), 700);
}

#[test]
fn what_was_known_is_no_later_than_the_present_by_a_clock_that_was_set_back() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::WaitingApproval);
    world.now.wall.0 -= 3_600_000;
    for _ in 0..3 {
        world.fail();
    }
    assert_eq!(world.shown(1).1, "target_unreachable");
    assert_eq!(known_until(&world, 1), 0);
}

#[test]
fn output_confirms_running_and_a_quiet_pane_confirms_waiting() {
    let mut world = World::new();
    world.scan(&[shell(1), shell(2)]);
    world.say("a", 1, State::Running);
    world.say("b", 2, State::WaitingApproval);
    for _ in 0..20 {
        world.pass(10_000);
        world.observe(Observation::Printed { panes: vec![shell(1).pane] });
        world.observe(Observation::Unchanged);
    }
    assert_eq!(world.shown(1).0, State::Running);
    assert_eq!(world.shown(2).0, State::WaitingApproval);
}

#[test]
fn output_after_a_question_was_drawn_makes_it_doubtful() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::WaitingApproval);
    world.pass(1_000);
    world.observe(Observation::Printed { panes: vec![shell(1).pane] });
    for _ in 0..5 {
        world.pass(10_000);
        world.observe(Observation::Unchanged);
    }
    assert_eq!(world.shown(1).0, State::WaitingApproval, "that was the question being drawn");
    world.observe(Observation::Printed { panes: vec![shell(1).pane] });
    world.pass(1);
    assert_eq!(world.shown(1).1, "stale_signal", "somebody may have answered");
}

#[test]
fn a_stale_claim_does_not_come_back_by_itself() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::Running);
    world.pass(40_000);
    assert_eq!(world.shown(1).1, "stale_signal");
    world.observe(Observation::Printed { panes: vec![shell(1).pane] });
    world.scan(&[shell(1)]);
    assert_eq!(world.shown(1).1, "stale_signal");
    world.say("b", 1, State::Running);
    assert_eq!(world.shown(1).0, State::Running, "a new word revives it");
    assert_eq!(world.row(1).state.last_known, None);
}

#[test]
fn ag_04_a_target_that_is_down_shows_unknown_and_what_was_known() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::WaitingApproval);
    world.fail();
    assert_eq!(world.engine.targets().next().unwrap().health, Health::Degraded);
    assert_eq!(world.shown(1).0, State::WaitingApproval, "degraded keeps states");
    world.fail();
    world.fail();
    assert_eq!(world.shown(1), (State::Unknown, "target_unreachable", Confidence::Low));
    assert_eq!(world.row(1).state.last_known.as_ref().unwrap().state, State::WaitingApproval);
    world.scan(&[shell(1)]);
    assert_eq!(world.shown(1).1, "target_unreachable", "one answer is not health");
    world.scan(&[shell(1)]);
    assert_eq!(world.shown(1).0, State::WaitingApproval, "still fresh, and seen again");
}

#[test]
fn versions_only_grow_and_only_with_the_state() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let mut versions = vec![world.row(1).state.version];
    for (name, state) in [("a", State::Running), ("b", State::Running), ("c", State::Idle)] {
        world.jump(10);
        world.say(name, 1, state);
        versions.push(world.row(1).state.version);
    }
    assert_eq!(versions, [1, 2, 2, 3]);
    let mut respawned = shell(1);
    respawned.process.pid = 5;
    world.scan(&[respawned]);
    assert_eq!(world.row(1).state.version, 4, "the next life counts on");
}

#[test]
fn clock_jumps_change_no_state() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::Completed);
    for jump in [3_600_000, -7_200_000, 315_360_000_000, -315_360_000_000] {
        world.now.wall.0 += jump;
        world.feed(&engine::input::Input::Ticked).unwrap();
        world.scan(&[shell(1)]);
        assert_eq!(world.shown(1).0, State::Completed, "{jump}");
    }
}

#[test]
fn what_is_said_after_the_clock_was_set_back_counts_at_once() {
    for back in [50, 101, 5_000, 3_600_000, 315_360_000_000] {
        let mut world = World::new();
        world.scan(&[shell(1)]);
        world.say("a", 1, State::Running);
        world.jump(200);
        world.now.wall.0 -= back;
        world.say("b", 1, State::WaitingApproval);
        assert_eq!(world.shown(1).0, State::WaitingApproval, "{back}");
        world.jump(10);
        let mut other = world.signal("c", 1, Some(State::Running));
        other.source = Source::Notify;
        world.emit(other).unwrap();
        assert_eq!(world.shown(1).0, State::Running, "another source, {back}");
        let why = world.engine.explain(&world.runtime(1), world.now).unwrap();
        assert!(why.evidence.iter().all(|piece| piece.effective_time <= world.now.wall), "{back}");
    }
}

#[test]
fn a_clock_that_was_set_back_before_a_restart_makes_nobody_deaf() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::Running);
    world.now.wall.0 -= 3_600_000;
    restart(&mut world, 1_000);
    world.say("b", 1, State::WaitingApproval);
    assert_eq!(world.shown(1).0, State::WaitingApproval);
    restart(&mut world, 1_000);
    world.say("c", 1, State::Running);
    assert_eq!(world.shown(1).0, State::Running, "and after another");
    world.now.wall.0 += 3_600_000;
    world.jump(1_000);
    world.say("d", 1, State::Idle);
    assert_eq!(world.shown(1).0, State::Idle, "when the clock is right again");
}

#[test]
fn a_report_is_bound_to_its_process_although_the_clock_was_set_back_since_that_began() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.now.wall.0 -= 3_600_000;
    let mut signal = world.signal("a", 1, Some(State::Running));
    signal.hints.ancestors = vec![9, world.row(1).facts.process.pid];
    world.emit(signal).unwrap();
    assert_eq!(world.shown(1).0, State::Running);
}

#[test]
fn every_state_can_be_explained() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::Running);
    world.jump(1_000);
    let mut note = world.signal("b", 1, Some(State::WaitingInput));
    note.source = Source::Notify;
    world.emit(note).unwrap();
    let why = world.engine.explain(&world.runtime(1), world.now).unwrap();
    assert_eq!(why.shown.state, State::WaitingInput);
    assert_eq!(why.rule.as_str(), "newest_deterministic_claim");
    let standing: Vec<_> =
        why.evidence.iter().map(|piece| (piece.source, piece.standing.as_str())).collect();
    assert_eq!(standing, [(Source::Hook, "outranked"), (Source::Notify, "won")]);
    assert_eq!(why.evidence[0].age_ms, 1_000);
    assert!(world.engine.pane(&key(1)).is_some());
}

/// Loses what is volatile, apart from the trail: everything goes through the stored form and comes
/// back later.
fn restart(world: &mut World, downtime_ms: i64) {
    let trail = serde_json::to_string(&world.engine.trail()).unwrap();
    world.jump(downtime_ms);
    world.now.mono.0 = 77;
    let stored = serde_json::to_string(&world.engine.tables()).unwrap();
    let tables = serde_json::from_str(&stored).unwrap();
    world.engine = Engine::restore(Settings::default(), tables, world.now);
    world.engine.take_up(&serde_json::from_str(&trail).unwrap(), world.now);
}

#[test]
fn a_restart_leaves_a_state_the_time_to_be_confirmed_again() {
    let mut world = World::new();
    world.scan(&[shell(1), shell(2)]);
    world.say("a", 1, State::WaitingApproval);
    world.say("b", 2, State::Running);
    for _ in 0..10 {
        world.pass(10_000);
        world.observe(Observation::Unchanged);
        world.observe(Observation::Printed { panes: vec![shell(2).pane] });
    }
    restart(&mut world, 200);
    world.feed(&Input::Ticked).unwrap();
    assert_eq!(world.shown(1).0, State::WaitingApproval, "its last look was not stored");
    assert_eq!(world.shown(2).0, State::Running, "its last output was not stored");
    world.pass(29_800);
    world.observe(Observation::Unchanged);
    assert_eq!(world.shown(1).0, State::WaitingApproval);
    world.pass(1);
    assert_eq!(world.shown(2).1, "stale_signal", "nothing was printed any more");
}

#[test]
fn what_is_shown_is_what_is_concluded_even_if_the_timer_is_late() {
    let mut world = World::new();
    world.scan(&[shell(1), shell(2)]);
    world.say("a", 1, State::Running);
    world.say("b", 2, State::Idle);
    let settled = |world: &World| {
        for pane in [1, 2] {
            let explained = world.engine.explain(&world.runtime(pane), world.now).unwrap();
            assert_eq!(explained.concluded.state, explained.shown.state);
        }
    };
    world.jump(31_000);
    world.scan(&[shell(1)]);
    world.scan(&[shell(1), shell(2)]);
    assert_eq!(world.shown(1).1, "stale_signal");
    world.observe(Observation::Printed { panes: vec![shell(1).pane] });
    let explained = world.engine.explain(&world.runtime(1), world.now).unwrap();
    assert_eq!(explained.concluded.state, explained.shown.state);
    world.say("c", 2, State::Idle);
    world.say("d", 1, State::Error);
    world.jump(31_000);
    world.observe(Observation::Printed { panes: vec![shell(2).pane] });
    world.observe(Observation::Unchanged);
    settled(&world);
}

#[test]
fn a_long_absence_makes_every_claim_doubtful_and_a_short_one_does_not() {
    for (absence_ms, expected) in [(20_000, "said_waiting_approval"), (60_000, "stale_signal")] {
        let mut world = World::new();
        world.scan(&[shell(1)]);
        world.say("a", 1, State::WaitingApproval);
        restart(&mut world, absence_ms);
        world.feed(&engine::input::Input::Ticked).unwrap();
        assert_eq!(world.shown(1).1, expected, "after {absence_ms} ms");
    }
}

#[test]
fn restarts_alone_keep_nothing_fresh() {
    let mut world = World::new();
    world.scan(&[shell(1), shell(2)]);
    world.say("a", 1, State::WaitingApproval);
    world.say("b", 2, State::Running);
    world.observe(Observation::Printed { panes: vec![shell(2).pane] });
    for round in 1..=4 {
        restart(&mut world, 8_000);
        world.feed(&Input::Ticked).unwrap();
        let known = round <= 3;
        assert_eq!(world.shown(1).0 == State::WaitingApproval, known, "round {round}");
        assert_eq!(world.shown(2).0 == State::Running, known, "round {round}");
        let explained = world.engine.explain(&world.runtime(1), world.now).unwrap();
        assert_eq!(explained.last_seen_age_ms, round * 8_000, "no restart is a sight of it");
    }
}

/// A look after a time in which nobody listened: when panes last printed, as tmux and the kernel
/// tell it.
fn come_back(world: &mut World, outputs: &[(u32, Option<i64>, i64)]) {
    let output = |&(pane, certain, latest): &(u32, Option<i64>, i64)| LastOutput {
        pane: shell(pane).pane,
        certain: certain.map(|ms| WallMs(EPOCH_MS + ms)),
        latest: WallMs(EPOCH_MS + latest),
    };
    let panes: Vec<_> = outputs.iter().map(|(pane, ..)| shell(*pane)).collect();
    let mut topology = world.topology("local", &panes);
    topology.outputs = outputs.iter().map(output).collect();
    world.observe(Observation::Topology(Box::new(topology)));
}

#[test]
fn what_was_printed_while_nobody_listened_makes_a_question_doubtful() {
    let cases = [
        (500, 1_499, true, "it drew the question"),
        (4_000, 4_999, false, "somebody may have answered"),
        (1_500, 2_499, false, "it cannot be known"),
    ];
    for (certain, latest, holds, why) in cases {
        let mut world = World::new();
        world.scan(&[shell(1)]);
        world.say("a", 1, State::WaitingApproval);
        restart(&mut world, 6_000);
        come_back(&mut world, &[(1, Some(certain), latest)]);
        world.pass(20_000);
        world.observe(Observation::Unchanged);
        world.pass(20_000);
        assert_eq!(world.shown(1).0 == State::WaitingApproval, holds, "{why}");
    }
}

#[test]
fn output_that_was_heard_before_is_not_taken_for_another() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    world.say("a", 1, State::WaitingApproval);
    world.pass(7_000);
    world.observe(Observation::Unchanged);
    restart(&mut world, 1_000);
    come_back(&mut world, &[(1, None, 6_999)]);
    world.pass(20_000);
    world.observe(Observation::Unchanged);
    world.pass(20_000);
    assert_eq!(world.shown(1).0, State::WaitingApproval, "until then its terminal was watched");
}

#[test]
fn a_clock_that_was_set_back_meanwhile_makes_no_old_output_a_new_one() {
    for (latest, holds) in [(999, true), (6_999, true), (8_999, false)] {
        let mut world = World::new();
        world.scan(&[shell(1)]);
        world.say("a", 1, State::WaitingApproval);
        world.pass(7_000);
        world.observe(Observation::Unchanged);
        restart(&mut world, 1_000);
        world.now.wall.0 -= 3_600_000;
        come_back(&mut world, &[(1, None, latest)]);
        for _ in 0..3 {
            world.pass(20_000);
            world.observe(Observation::Unchanged);
        }
        assert_eq!(world.shown(1).0 == State::WaitingApproval, holds, "at {latest}");
    }
}

#[test]
fn work_that_goes_on_is_confirmed_by_its_own_output_only() {
    let mut world = World::new();
    world.scan(&[shell(1), shell(2), shell(3)]);
    for pane in [1, 2, 3] {
        world.say(&format!("said-{pane}"), pane, State::Running);
        world.observe(Observation::Printed { panes: vec![shell(pane).pane] });
    }
    world.pass(20_000);
    world.observe(Observation::Unchanged);
    restart(&mut world, 5_000);
    come_back(&mut world, &[(1, Some(24_000), 24_999), (2, None, 24_999), (3, Some(0), 999)]);
    world.pass(5_001);
    assert_eq!(world.shown(1).0, State::Running);
    assert_eq!(world.shown(3).1, "stale_signal", "silent since it was said");
    world.pass(20_000);
    assert_eq!(world.shown(1).0, State::Running);
    assert_eq!(world.shown(2).1, "stale_signal", "its neighbour may have printed that");
}
