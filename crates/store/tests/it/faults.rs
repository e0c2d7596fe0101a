//! F-01, F-04, F-05, TC-052: crashes between any two steps, a disk that is full or fails, and
//! somebody else at the database.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use engine::event::Actor;
use engine::input::Input;
use engine::words::State;
use rusqlite::Connection;
use store::{
    Change, CommitErrorKind, CommitOutcome, Durability, Ledger, Mishap, Options, Standing, Step,
    verify,
};

use crate::world::{
    Fold, World, about_pane, add_target, assert_same, at, facts, open, options, populated, send,
    server, signal, signalled, stored, topology,
};

/// A batch of events, some about panes that are not there.
fn batch(world: &World, from: u64) -> Vec<(Actor, Input)> {
    let event = |number: u64| {
        let pane = u32::try_from(number % 4).unwrap() + 1;
        signalled(signal(world.now, number, about_pane(pane), State::Running))
    };
    (from..from + 3).map(|number| (Actor::Observer, event(number))).collect()
}

/// Options whose `nth` step ends in `mishap`.
fn with_mishap(nth: usize, mishap: Mishap) -> (Options, Arc<AtomicUsize>) {
    let steps = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&steps);
    let probe = move |_: Step| {
        let number = seen.fetch_add(1, Ordering::Relaxed);
        (number == nth).then_some(mishap)
    };
    (Options { probe: Some(Box::new(probe)), ..options() }, steps)
}

#[test]
fn a_crash_at_any_step_leaves_each_batch_whole_or_not_there() {
    for nth in 0.. {
        let mut world = World::new();
        drop(populated(&world, 3));
        let (options, steps) = with_mishap(nth, Mishap::Killed);
        let mut ledger = Ledger::open(&world.path(), options, world.now).unwrap().ledger;
        let mut acknowledged: Vec<Arc<Change>> = Vec::new();
        let mut survived = true;
        for number in 0..4 {
            world.pass(1_000);
            match ledger.transact(world.now, batch(&world, number * 3)) {
                Ok(outcomes) => acknowledged.extend(outcomes.into_iter().flat_map(|it| it.changes)),
                Err(error) => {
                    assert_eq!(error.kind, CommitErrorKind::Lost);
                    survived = false;
                    break;
                }
            }
        }
        drop(ledger);
        let opened = open(&world.path(), world.now);
        assert!(opened.damage.is_none(), "after step {nth}: {:?}", opened.damage);
        check_acknowledged(&opened.ledger, &acknowledged);
        assert_eq!(verify(&world.path()).unwrap().findings, [], "after step {nth}");
        if survived {
            assert!(steps.load(Ordering::Relaxed) <= nth, "every step was a last one once");
            return;
        }
    }
}

/// Everything that was acknowledged is in the journal once, and nothing is there in part.
fn check_acknowledged(ledger: &Ledger, acknowledged: &[Arc<Change>]) {
    let journal = ledger.journal().unwrap().changes_after(0, 10_000).unwrap();
    for change in acknowledged {
        let found = &journal[usize::try_from(change.seq - 1).unwrap()];
        assert_eq!((found.seq, found.at, &found.actor), (change.seq, change.at, &change.actor));
        assert_eq!(
            serde_json::to_string(&found.event).unwrap(),
            serde_json::to_string(&change.event).unwrap()
        );
    }
    let recorded = |kind: &str| journal.iter().filter(|it| it.event.kind() == kind).count();
    let heard = recorded("event_recorded") + recorded("event_pended");
    assert_eq!(heard % 3, 0, "batches of three are there whole");
    let mut engine = engine::Engine::new(engine::settings::Settings::default());
    for change in &journal {
        engine.apply(&change.event);
    }
    assert_same(&stored(&ledger.engine().tables()), &stored(&engine.tables()));
}

#[test]
fn a_full_disk_undoes_the_batch_and_the_next_one_succeeds() {
    let mut world = World::new();
    drop(populated(&world, 3));
    for nth in 0..4 {
        let full = Mishap::Failed(ErrorKind::StorageFull);
        let (options, _) = with_mishap(nth, full);
        let mut ledger = Ledger::open(&world.path(), options, world.now).unwrap().ledger;
        fs::remove_file(world.folder().join("qd.reserve")).unwrap();
        let (before, as_of) = (stored(&ledger.engine().tables()), ledger.as_of());
        world.pass(1_000);
        let from = u64::try_from(nth).unwrap() * 10;
        let error = ledger.transact(world.now, batch(&world, from)).unwrap_err();
        assert_eq!((error.kind, error.outcome), (CommitErrorKind::Full, CommitOutcome::NotDone));
        assert_same(&stored(&ledger.engine().tables()), &before);
        assert_eq!(ledger.as_of(), as_of);
        assert_eq!(ledger.standing(), Standing::Writable);
        ledger.transact(world.now, batch(&world, from)).unwrap();
    }
    assert_eq!(verify(&world.path()).unwrap().findings, []);
}

#[test]
fn the_reserve_is_given_up_for_what_has_to_be_written() {
    let mut world = World::new();
    drop(populated(&world, 3));
    let (options, _) = with_mishap(0, Mishap::Failed(ErrorKind::StorageFull));
    let mut ledger = Ledger::open(&world.path(), options, world.now).unwrap().ledger;
    let reserve = world.folder().join("qd.reserve");
    assert!(reserve.exists());
    world.pass(1_000);
    ledger.transact(world.now, batch(&world, 0)).unwrap();
    assert!(ledger.is_short_of_space() && !reserve.exists());
    world.pass(60_000);
    ledger.transact(world.now, batch(&world, 3)).unwrap();
    assert!(!ledger.is_short_of_space() && reserve.exists(), "there is room again");
}

/// F-04: whether it was stored cannot be known, so nobody is told that it was, or was not.
#[test]
fn a_disk_that_fails_at_the_last_step_ends_in_read_only_with_an_unknown_outcome() {
    let mut world = World::new();
    drop(populated(&world, 3));
    // Three inputs are decided, then written, then committed.
    let (options, _) = with_mishap(4, Mishap::Failed(ErrorKind::Other));
    let mut ledger = Ledger::open(&world.path(), options, world.now).unwrap().ledger;
    world.pass(1_000);
    let error = ledger.transact(world.now, batch(&world, 0)).unwrap_err();
    assert_eq!((error.kind, error.outcome), (CommitErrorKind::Io, CommitOutcome::Unknown));
    assert!(matches!(ledger.standing(), Standing::ReadOnly(_)));
    let error = ledger.transact(world.now, batch(&world, 3)).unwrap_err();
    assert_eq!((error.kind, error.outcome), (CommitErrorKind::ReadOnly, CommitOutcome::NotDone));
    drop(ledger);
    assert!(open(&world.path(), world.now).damage.is_none());
    assert_eq!(verify(&world.path()).unwrap().findings, []);
}

/// TC-052.
#[test]
fn contention_for_the_lock_delays_and_changes_nothing_else() {
    let mut world = World::new();
    let mut ledger = populated(&world, 3);
    let done = Arc::new(AtomicBool::new(false));
    let (path, over) = (world.path(), Arc::clone(&done));
    let other = std::thread::spawn(move || {
        let db = Connection::open(path).unwrap();
        db.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        let mut held = 0;
        while !over.load(Ordering::Relaxed) {
            db.execute_batch("BEGIN IMMEDIATE").unwrap();
            db.query_row("SELECT count(*) FROM journal", [], |_| Ok(())).unwrap();
            db.execute_batch("COMMIT").unwrap();
            held += 1;
        }
        held
    });
    for number in 0..60 {
        world.pass(100);
        ledger.transact(world.now, batch(&world, number * 3)).unwrap();
    }
    done.store(true, Ordering::Relaxed);
    assert!(other.join().unwrap() > 0);
    assert_eq!(verify(&world.path()).unwrap().findings, []);
}

/// TC-052: somebody who does not let go is named, and the ledger goes on once they do.
#[test]
fn a_lock_that_is_never_released_fails_the_batch_and_only_it() {
    let mut world = World::new();
    let mut ledger = populated(&world, 3);
    let other = Connection::open(world.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    world.pass(1_000);
    let before = stored(&ledger.engine().tables());
    let error = ledger.transact(world.now, batch(&world, 0)).unwrap_err();
    assert_eq!((error.kind, error.outcome), (CommitErrorKind::Busy, CommitOutcome::NotDone));
    assert_eq!(ledger.standing(), Standing::Writable);
    other.execute_batch("ROLLBACK").unwrap();
    ledger.transact(world.now, batch(&world, 0)).unwrap();
    assert!(!before.is_empty());
}

/// A file system of a few megabytes, if this machine lets us have one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let options = format!("size={megabytes}m");
        let mounted = run("mount", &["-t", "tmpfs", "-o", &options, "none", at.to_str().unwrap()]);
        mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["-l", self.0.to_str().unwrap()]);
    }
}

#[expect(clippy::disallowed_methods, reason = "mounting is no business of a target")]
fn run(program: &str, arguments: &[&str]) -> bool {
    std::process::Command::new(program)
        .args(arguments)
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// F-05, on a real file system.
#[test]
fn a_disk_that_fills_up_loses_nothing_and_recovers_by_itself() {
    let mut world = World::new();
    let folder = world.folder().join("small");
    let Some(_disk) = SmallDisk::mount(&folder, 6) else {
        eprintln!("SKIPPED: this machine mounts no tmpfs, so no disk could be filled");
        return;
    };
    let path = folder.join("qd.db");
    let full = Options { durability: Durability::Full, ..options() };
    let mut ledger = Ledger::open(&path, full, world.now).unwrap().ledger;
    let mut fold = Fold::new();
    fold.take(&send(&mut ledger, world.now, add_target()));
    let panes = (1..=3).map(|pane| facts(pane, 1_000 + pane)).collect();
    fold.take(&send(&mut ledger, world.now, topology(world.now, server(1), panes)));

    fill(&folder.join("filler"));
    let mut number = 0;
    let mut refused = 0;
    let mut last_resort = 0;
    while refused < 3 {
        world.pass(50);
        match ledger.transact(world.now, batch(&world, number * 3)) {
            Ok(outcomes) => {
                outcomes.iter().for_each(|outcome| fold.take(outcome));
                last_resort += u32::from(ledger.is_short_of_space());
            }
            Err(error) => {
                let outcome = (error.kind, error.outcome);
                assert_eq!(outcome, (CommitErrorKind::Full, CommitOutcome::NotDone), "{error:?}");
                refused += 1;
            }
        }
        number += 1;
    }
    assert!(last_resort > 3, "the reserve held out for {last_resort} commits");
    assert_eq!(ledger.standing(), Standing::Writable);
    let read = ledger.journal().unwrap().changes_after(0, 10).unwrap();
    assert_eq!(read.len(), 10, "what is there can be read");
    drop(ledger);
    let mut ledger = open(&path, world.now).ledger;
    assert_same(&stored(&ledger.engine().tables()), &fold.tables());

    fs::remove_file(folder.join("filler")).unwrap();
    world.pass(60_000);
    for outcome in ledger.transact(world.now, batch(&world, number * 3)).unwrap() {
        fold.take(&outcome);
    }
    drop(ledger);
    assert_same(&stored(&open(&path, at(0)).ledger.engine().tables()), &fold.tables());
    assert_eq!(verify(&path).unwrap().findings, []);
}

/// Takes all the room there is.
fn fill(filler: &Path) {
    use std::io::Write as _;
    let mut file = fs::File::create(filler).unwrap();
    for size in [65_536, 4_096, 512] {
        while file.write_all(&vec![0x5a; size]).is_ok() {}
    }
}
