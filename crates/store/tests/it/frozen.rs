//! Databases of every schema there was: they open, and hold what they held.
//!
//! A released one is never written again. `QD_BLESS=1` makes the present one anew, until it is
//! released.

use std::fs;
use std::path::PathBuf;

use engine::words::State;
use store::{Retention, verify};

use crate::world::{
    World, about_pane, assert_same, facts, open, populated, send, server, signal, signalled,
    stored, topology,
};

fn frozen(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frozen")).join(name)
}

/// A little of everything: a checkpoint, lives that ended, events that waited and still wait.
fn freeze() {
    let mut world = World::new();
    let mut ledger = populated(&world, 3);
    for (number, pane) in [(1, 1), (2, 2), (3, 7), (4, 1)] {
        world.pass(500);
        let heard = signal(world.now, number, about_pane(pane), State::WaitingInput);
        send(&mut ledger, world.now, signalled(heard));
    }
    world.pass(86_400_000);
    ledger.retain(world.now, &Retention::default()).unwrap();
    let panes = vec![facts(1, 1_001), facts(2, 2_002), facts(4, 1_004)];
    send(&mut ledger, world.now, topology(world.now, server(1), panes));
    world.pass(1_000);
    let late = signal(world.now, 5, about_pane(9), State::Running);
    send(&mut ledger, world.now, signalled(late));
    ledger.close().unwrap();
    fs::create_dir_all(frozen("")).unwrap();
    fs::copy(world.path(), frozen("v1.db")).unwrap();
    fs::copy(world.folder().join("qd.anchor"), frozen("v1.anchor")).unwrap();
    let tables = stored(&world.open().engine().tables());
    fs::write(frozen("v1.json"), tables).unwrap();
}

#[test]
fn a_database_of_the_first_schema_opens_and_holds_what_it_held() {
    if std::env::var_os("QD_BLESS").is_some() {
        freeze();
    }
    let world = World::new();
    fs::copy(frozen("v1.db"), world.path()).unwrap();
    fs::copy(frozen("v1.anchor"), world.folder().join("qd.anchor")).unwrap();
    assert_eq!(verify(&world.path()).unwrap().findings, []);
    let opened = open(&world.path(), world.now);
    assert!(opened.damage.is_none() && !opened.created);
    let tables = stored(&opened.ledger.engine().tables());
    assert_same(&tables, &fs::read_to_string(frozen("v1.json")).unwrap());
    let changes = opened.ledger.journal().unwrap().changes_after(0, 1_000).unwrap();
    assert_eq!(changes.last().unwrap().seq, opened.ledger.as_of());
}
