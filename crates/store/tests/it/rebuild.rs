//! The way out of a damaged database.

use std::fs;

use engine::input::{Acceptance, Input, Reply};
use engine::words::State;
use store::{ReadError, Standing, rebuild, verify};

use crate::world::{
    World, about_pane, assert_same, facts, open, options, populated, send, server, signal,
    signalled, stored, topology,
};

/// A database that lost its last rows with its log.
fn damaged() -> World {
    let mut world = World::new();
    let mut ledger = populated(&world, 3);
    for number in 1..9 {
        world.pass(500);
        let pane = u32::try_from(number % 4).unwrap() + 1;
        send(
            &mut ledger,
            world.now,
            signalled(signal(world.now, number, about_pane(pane), State::Running)),
        );
        let panes = vec![facts(1, 1_001), facts(2, 2_000 + pane), facts(3, 1_003)];
        send(&mut ledger, world.now, topology(world.now, server(1), panes));
    }
    ledger.close().unwrap();
    let mut ledger = world.open();
    world.pass(500);
    let lost = signal(world.now, 90, about_pane(1), State::WaitingInput);
    send(&mut ledger, world.now, signalled(lost));
    drop(ledger);
    fs::remove_file(world.folder().join("qd.db-wal")).unwrap();
    world
}

#[test]
fn a_rebuilt_database_holds_what_is_proven_and_goes_on_after_what_was_lost() {
    let mut world = damaged();
    let shown = open(&world.path(), world.now);
    let (damage, tables) = (shown.damage.unwrap(), stored(&shown.ledger.engine().tables()));
    let stream = shown.ledger.stream().to_owned();
    let anchored = damage.anchored.unwrap();
    assert!(damage.proven_through > 0 && damage.proven_through < anchored);

    let rebuilt = rebuild(&world.path(), options(), world.now).unwrap().unwrap();
    assert_eq!(rebuilt.kept, damage.kept);
    assert_eq!(
        (rebuilt.proven_through, rebuilt.continues_after),
        (damage.proven_through, anchored)
    );
    assert!(rebuilt.events > 4, "{rebuilt:?}");
    assert_eq!(rebuilt.lost.rows.runs(), [damage.proven_through + 1..=anchored]);
    assert_eq!(verify(&world.path()).unwrap().findings, []);

    let opened = open(&world.path(), world.now);
    assert!(opened.damage.is_none());
    let mut ledger = opened.ledger;
    assert_eq!((ledger.standing(), ledger.as_of()), (Standing::Writable, anchored));
    assert_same(&stored(&ledger.engine().tables()), &tables);
    assert_ne!(ledger.stream(), stream, "who followed to the last lost row knows too much");
    let journal = ledger.journal().unwrap();
    let refused = journal.changes_after(rebuilt.proven_through, 10);
    assert!(matches!(refused, Err(ReadError::Pruned { .. })), "a number means one thing only");

    world.pass(500);
    let again = signal(world.now, 2, about_pane(3), State::Running);
    let outcome = send(&mut ledger, world.now, signalled(again));
    let Ok(Reply::Accepted(Acceptance::Duplicate { .. })) = outcome.result else {
        panic!("what was heard is still known: {:?}", outcome.result)
    };
    let lost = signal(world.now, 90, about_pane(1), State::WaitingInput);
    let outcome = send(&mut ledger, world.now, signalled(lost));
    assert_eq!(outcome.changes[0].seq, anchored + 1);
    drop(ledger);
    assert_eq!(verify(&world.path()).unwrap().findings, []);
    assert_eq!(rebuild(&world.path(), options(), world.now).unwrap(), None, "it is sound");
}

#[test]
fn a_rebuilt_database_is_in_place_whole_or_not_at_all() {
    let world = damaged();
    let before: Vec<_> = ["qd.db", "qd.anchor"].map(|it| fs::read(world.folder().join(it))).into();
    rebuild(&world.path(), options(), world.now).unwrap().unwrap();
    // As if the power had failed right after the new one was finished.
    fs::rename(world.path(), world.folder().join("qd.db.rebuilt")).unwrap();
    for (name, bytes) in ["qd.db", "qd.anchor"].into_iter().zip(before) {
        fs::write(world.folder().join(name), bytes.unwrap()).unwrap();
    }
    fs::write(world.folder().join("qd.db-wal"), b"of the old one").unwrap();
    let opened = open(&world.path(), world.now);
    assert!(opened.damage.is_none(), "{:?}", opened.damage);
    drop(opened);
    assert_eq!(verify(&world.path()).unwrap().findings, []);
}

#[test]
fn a_database_of_which_nothing_is_left_is_begun_anew_only_when_asked() {
    let world = damaged();
    fs::write(world.path(), b"").unwrap();
    let shown = open(&world.path(), world.now);
    assert_eq!(shown.damage.unwrap().proven_through, 0);
    let rebuilt = rebuild(&world.path(), options(), world.now).unwrap().unwrap();
    assert!(rebuilt.continues_after > 0);
    let ledger = world.open();
    assert_eq!(ledger.engine().targets().count(), 0);
    assert_eq!(ledger.as_of(), rebuilt.continues_after);
}

#[test]
fn damage_further_back_than_a_start_looks_is_rebuilt_too() {
    let mut world = World::new();
    let mut ledger = populated(&world, 3);
    let heard =
        |world: &World, number| signalled(signal(world.now, number, about_pane(1), State::Running));
    send(&mut ledger, world.now, heard(&world, 1));
    world.pass(86_400_000);
    ledger.retain(world.now, &store::Retention::default()).unwrap();
    let batch = |from: u64, world: &World| {
        let one = |number| (engine::event::Actor::Observer, heard(world, number));
        (from..from + 400).map(one).collect::<Vec<_>>()
    };
    for round in 0..3 {
        ledger.transact(world.now, batch(10 + round * 400, &world)).unwrap();
    }
    ledger.close().unwrap();
    let tables = stored(&world.open().engine().tables());
    let db = rusqlite::Connection::open(world.path()).unwrap();
    db.execute("UPDATE journal SET at = at + 1 WHERE seq = 3", []).unwrap();
    drop(db);
    assert!(open(&world.path(), world.now).damage.is_none(), "a start does not look that far");

    let rebuilt = rebuild(&world.path(), options(), world.now).unwrap().unwrap();
    assert_eq!(rebuilt.lost.rows.runs(), [3..=3], "its end is proven, and nothing else is lost");
    assert_eq!((rebuilt.proven_through, rebuilt.continues_after > 1_000), (2, true));
    assert_eq!(verify(&world.path()).unwrap().findings, []);
    assert_same(&stored(&world.open().engine().tables()), &tables);
}

#[test]
fn a_journal_that_is_whole_is_proven_without_any_checkpoint() {
    let mut world = World::new();
    let mut ledger = populated(&world, 3);
    world.pass(500);
    let heard = signal(world.now, 1, about_pane(1), State::Running);
    send(&mut ledger, world.now, signalled(heard));
    let last = ledger.as_of();
    ledger.close().unwrap();
    let tables = stored(&world.open().engine().tables());
    let db = rusqlite::Connection::open(world.path()).unwrap();
    db.execute("UPDATE checkpoints SET at = at + 1", []).unwrap();
    drop(db);
    let opened = open(&world.path(), world.now);
    assert_eq!(opened.damage.unwrap().proven_through, last);
    assert_same(&stored(&opened.ledger.engine().tables()), &tables);
}

/// A closed database that heard thirty events, and its last row.
fn heard_thirty() -> (World, u64) {
    let mut world = World::new();
    let mut ledger = populated(&world, 3);
    for number in 1..=30 {
        world.pass(100);
        send(&mut ledger, world.now, heard(&world, number));
    }
    let last = ledger.as_of();
    ledger.close().unwrap();
    (world, last)
}

fn heard(world: &World, number: u64) -> Input {
    signalled(signal(world.now, number, about_pane(1), State::Running))
}

#[test]
fn what_follows_a_damaged_row_up_to_the_anchored_one_is_kept_and_not_taken_again() {
    let (world, last) = heard_thirty();
    for damage in [
        "UPDATE journal SET at = at + 1 WHERE seq = 3",
        "UPDATE journal SET payload = payload || ' ' WHERE seq = 2",
    ] {
        let db = rusqlite::Connection::open(world.path()).unwrap();
        db.execute(damage, []).unwrap();
    }
    let shown = open(&world.path(), world.now).damage.unwrap();
    assert!(shown.proven_through < 2, "a start shows what was true once: {shown:?}");

    let rebuilt = rebuild(&world.path(), options(), world.now).unwrap().unwrap();
    assert_eq!((rebuilt.proven_through, rebuilt.continues_after), (1, last));
    assert_eq!(rebuilt.lost.rows.runs(), [2..=3], "and no more than that is lost");
    assert_eq!(rebuilt.events, 30, "{rebuilt:?}");
    assert_eq!(rebuilt.lost.events.count(), 0, "{rebuilt:?}");
    assert_eq!(verify(&world.path()).unwrap().findings, []);
    let mut ledger = world.open();
    assert!(ledger.engine().panes().count() > 0, "what they told of the present is there too");
    for number in 1..=30 {
        let outcome = send(&mut ledger, world.now, heard(&world, number));
        let Ok(Reply::Accepted(Acceptance::Duplicate { .. })) = outcome.result else {
            panic!("{number} is known: {:?}", outcome.result)
        };
    }
}

#[test]
fn an_event_that_is_not_carried_over_is_told_by_its_number() {
    let (world, last) = heard_thirty();
    let db = rusqlite::Connection::open(world.path()).unwrap();
    let numbers = "SELECT journal_seq FROM events ORDER BY journal_seq";
    let numbers: Vec<u64> = {
        let mut statement = db.prepare(numbers).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, i64>(0)).unwrap();
        rows.map(|it| u64::try_from(it.unwrap()).unwrap()).collect()
    };
    // One is another than it was, one is gone, and what the last row told cannot be read.
    let (edited, gone) = (numbers[3], numbers[20]);
    db.execute(&format!("UPDATE events SET dedupe_key = 'x' WHERE journal_seq = {edited}"), [])
        .unwrap();
    db.execute(&format!("DELETE FROM events WHERE journal_seq = {gone}"), []).unwrap();
    db.execute(&format!("UPDATE journal SET actor = 'x' WHERE seq = {last}"), []).unwrap();
    drop(db);

    let rebuilt = rebuild(&world.path(), options(), world.now).unwrap().unwrap();
    assert_eq!((rebuilt.proven_through, rebuilt.continues_after), (edited - 1, last));
    assert_eq!(rebuilt.lost.rows.runs(), [edited..=last], "what is between is proven by nothing");
    let lost: Vec<u64> = rebuilt.lost.events.runs().iter().flat_map(Clone::clone).collect();
    assert!(lost.contains(&edited) && lost.contains(&gone) && lost.contains(&last), "{lost:?}");
    assert_eq!(rebuilt.events + rebuilt.lost.events.count(), 30, "each is there or told: {lost:?}");
    assert_eq!(verify(&world.path()).unwrap().findings, []);
}

#[test]
fn a_damaged_row_of_another_table_is_counted() {
    let world = World::new();
    populated(&world, 3).close().unwrap();
    let db = rusqlite::Connection::open(world.path()).unwrap();
    db.execute("UPDATE runtimes SET pid = pid + 1 WHERE pid = 1001", []).unwrap();
    drop(db);
    let rebuilt = rebuild(&world.path(), options(), world.now).unwrap().unwrap();
    assert_eq!(rebuilt.lost.others.get("runtimes"), Some(&1), "{rebuilt:?}");
    assert_eq!(rebuilt.lost.rows.count(), 0, "{rebuilt:?}");
}
