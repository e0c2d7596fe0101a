//! Batches of inputs: committed whole, read back whole.

use engine::ids::PaneId;
use engine::input::{Acceptance, Input, Observation, Reply};
use engine::words::State;
use store::{Ledger, verify};

use crate::world::{
    Fold, World, about_pane, add_target, assert_same, facts, populated, runtime_of, send, server,
    signal, signalled, stored, target, topology,
};

#[test]
fn what_was_committed_is_there_after_reopening() {
    let mut world = World::new();
    let (mut ledger, mut fold) = (world.open(), Fold::new());
    fold.take(&send(&mut ledger, world.now, add_target()));
    let panes = (1..=3).map(|pane| facts(pane, 1_000 + pane)).collect();
    fold.take(&send(&mut ledger, world.now, topology(world.now, server(1), panes)));
    world.pass(1_000);
    let runtime = runtime_of(&ledger, 2);
    let heard = signal(world.now, 1, about_pane(2), State::Running);
    let outcome = send(&mut ledger, world.now, signalled(heard.clone()));
    fold.take(&outcome);
    let event = heard.event_id.clone();
    assert_eq!(
        outcome.result,
        Ok(Reply::Accepted(Acceptance::Bound { event, runtime, of_other: false }))
    );
    let as_of = ledger.as_of();
    drop(ledger);

    let ledger = world.open();
    assert_same(&stored(&ledger.engine().tables()), &fold.tables());
    assert_eq!(ledger.as_of(), as_of);
    assert_eq!(ledger.engine().check(), Ok(()));
}

/// F-07: activity that is seen after the wall clock went back is still the latest.
#[test]
fn a_wall_clock_that_went_back_changes_no_order() {
    let mut world = World::new();
    let mut ledger = populated(&world, 1);
    let print = || Input::Observed {
        target: target(),
        sight: Observation::Printed { panes: vec![PaneId(1)] },
    };
    send(&mut ledger, world.now, print());
    world.pass(5_000);
    send(&mut ledger, world.now, Input::Ticked);
    world.now.wall.0 -= 3_600_000;
    world.pass(1_000);
    send(&mut ledger, world.now, print());
    let seen = |ledger: &Ledger| ledger.engine().panes().next().unwrap().last_activity.unwrap();
    assert_eq!(seen(&ledger).wall, world.now.wall);
    assert_eq!(seen(&world.open()).wall, world.now.wall);
    assert_eq!(verify(&world.path()).unwrap().findings, []);
}
