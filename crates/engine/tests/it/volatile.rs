//! What changes all the time must not fill the journal, and must not be lost either.

use engine::event::Event;
use engine::input::Observation;
use engine::pane::PaneFacts;

use crate::world::{World, shell};

fn activity_rows(world: &World) -> usize {
    world.journal.iter().filter(|event| matches!(event, Event::ActivitySeen { .. })).count()
}

#[test]
fn a_burst_of_output_is_journalled_when_it_begins_and_when_it_ends() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    for _ in 0..40 {
        world.observe(Observation::Printed { panes: vec![shell(1).pane] });
        world.pass(250);
    }
    assert_eq!(activity_rows(&world), 1);
    let last = world.row(1).last_activity.unwrap();
    world.pass(3_000);
    assert_eq!(activity_rows(&world), 2);
    assert_eq!(world.row(1).last_activity, Some(last));
    world.pass(60_000);
    assert_eq!(activity_rows(&world), 2, "silence says nothing");
    world.observe(Observation::Printed { panes: vec![shell(1).pane] });
    assert_eq!(activity_rows(&world), 3, "the next burst");
}

#[test]
fn a_burst_that_goes_on_is_reported_each_minute() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    for _ in 0..600 {
        world.observe(Observation::Printed { panes: vec![shell(1).pane] });
        world.pass(1_000);
    }
    assert!((8..=12).contains(&activity_rows(&world)), "{}", activity_rows(&world));
}

#[test]
fn a_spinner_in_the_title_is_journalled_a_few_times_and_then_rarely() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let before = world.journal.len();
    let mut last = String::new();
    for frame in 0..600 {
        last = format!("spinner {frame}");
        world.scan(&[PaneFacts { title: last.clone(), ..shell(1) }]);
        assert_eq!(world.row(1).facts.title, last, "what is listed is always the present");
        world.pass(1_000);
    }
    let rows = world.journal.len() - before;
    assert!((8..=8 + 31).contains(&rows), "{rows}");
    world.pass(60_000);
    let Some(Event::PaneChanged { row, .. }) = world.journal.last() else { panic!() };
    assert_eq!(row.facts.title, last, "the last one is journalled in the end");
}

#[test]
fn commands_are_journalled_as_they_are_typed_whatever_spins_beside_them() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    for spin in 0..20 {
        world.scan(&[PaneFacts { title: format!("spinner {spin}"), ..shell(1) }]);
    }
    let before = world.journal.len();
    for typed in 0..30 {
        let (command, title) = (format!("command {typed}"), "spinner 19".to_owned());
        world.scan(&[PaneFacts { command, title, ..shell(1) }]);
        world.pass(100);
    }
    assert_eq!(world.journal.len() - before, 30);
}

#[test]
fn a_loop_that_starts_programs_for_ever_does_not_fill_the_journal() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let before = world.journal.len();
    for turn in 0..6_000 {
        world.scan(&[PaneFacts { command: format!("command {turn}"), ..shell(1) }]);
        world.pass(10);
    }
    let rows = world.journal.len() - before;
    assert!((32..=32 + 31).contains(&rows), "{rows}");
    world.pass(2_000);
    let Some(Event::PaneChanged { row, .. }) = world.journal.last() else { panic!() };
    assert_eq!(row.facts.command, "command 5999", "the last one is journalled in the end");
}

#[test]
fn other_changes_are_journalled_each() {
    let mut world = World::new();
    world.scan(&[shell(1)]);
    let before = world.journal.len();
    for width in 0..100 {
        world.scan(&[PaneFacts { width, ..shell(1) }]);
    }
    assert_eq!(world.journal.len() - before, 100);
}
