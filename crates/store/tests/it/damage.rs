//! F-06: whatever happens to the files, it is noticed, what is proven is shown, and nothing that
//! was found is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use engine::Engine;
use engine::event::Actor;
use engine::settings::Settings;
use engine::words::State;
use rusqlite::Connection;
use store::{
    Change, CommitErrorKind, Damage, Finding, Ledger, OpenError, Retention, Standing, verify,
};

use crate::world::{
    World, about_pane, add_target, assert_same, count, facts, open, options, populated, send,
    server, signal, signalled, stored, topology,
};

const SUFFIXES: [&str; 2] = ["qd.db", "qd.db-wal"];

/// Files by name, as they were at some moment.
#[derive(Clone)]
struct Snapshot(BTreeMap<String, Vec<u8>>);

impl Snapshot {
    fn of(folder: &Path) -> Self {
        let files = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let wanted = files.filter(|file| !file.file_name().to_str().unwrap().ends_with("-shm"));
        let read = wanted.filter(|file| !file.file_name().to_str().unwrap().ends_with(".reserve"));
        Self(
            read.map(|file| {
                let name = file.file_name().into_string().unwrap();
                (name, fs::read(file.path()).unwrap())
            })
            .collect(),
        )
    }

    /// Puts these files, and no others, into the folder.
    fn restore(&self, folder: &Path) {
        for file in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            fs::remove_file(file.path()).unwrap();
        }
        for (name, bytes) in &self.0 {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }

    fn bytes(&mut self, name: &str) -> &mut Vec<u8> {
        self.0.get_mut(name).unwrap()
    }
}

/// A history long enough to lose something of, with a checkpoint in it, and every change of it.
struct History {
    world: World,
    changes: Vec<Change>,
}

impl History {
    /// Some events, a checkpoint, some more events; the log is carried over if `closed`.
    fn new(closed: bool) -> Self {
        let mut world = World::new();
        let mut ledger = populated(&world, 5);
        Self::hear(&mut world, &mut ledger, 0..20);
        world.pass(86_400_000);
        ledger.retain(world.now, &Retention::default()).unwrap();
        Self::hear(&mut world, &mut ledger, 20..40);
        let changes = ledger.journal().unwrap().changes_after(0, 10_000).unwrap();
        if closed {
            ledger.close().unwrap();
            let log = fs::metadata(world.folder().join("qd.db-wal")).map_or(0, |it| it.len());
            assert_eq!(log, 0, "what was closed in good order has no log");
        }
        Self { world, changes }
    }

    fn hear(world: &mut World, ledger: &mut Ledger, numbers: std::ops::Range<u64>) {
        for number in numbers {
            world.pass(700);
            let pane = u32::try_from(number % 7).unwrap() + 1;
            let state = [State::Running, State::WaitingInput, State::Completed][pane as usize % 3];
            send(ledger, world.now, signalled(signal(world.now, number, about_pane(pane), state)));
            if number % 5 == 0 {
                let panes =
                    (1..=5).map(|it| facts(it, 1_000 + it + u32::try_from(number).unwrap()));
                send(ledger, world.now, topology(world.now, server(1), panes.collect()));
            }
        }
    }

    fn folder(&self) -> &Path {
        self.world.folder()
    }

    fn last(&self) -> u64 {
        self.changes.last().unwrap().seq
    }

    /// What the first rows come to.
    fn tables_at(&self, seq: u64) -> String {
        let mut engine = Engine::new(Settings::default());
        for change in self.changes.iter().take_while(|change| change.seq <= seq) {
            engine.apply(&change.event);
        }
        stored(&engine.tables())
    }

    /// Opens what is there now, expects it to be damaged, and checks what every damage has to
    /// leave in order.
    fn damaged(&self) -> Damage {
        let before = Snapshot::of(self.folder());
        let opened = open(&self.world.path(), self.world.now);
        let damage = opened.damage.expect("the damage is noticed");
        self.check_proven(&opened.ledger, &damage);
        for (name, bytes) in &before.0 {
            let now = fs::read(self.folder().join(name)).unwrap();
            assert!(now == *bytes, "{name} was changed by opening it");
        }
        for name in SUFFIXES.iter().filter(|name| before.0.contains_key(**name)) {
            let suffix = name.strip_prefix("qd.db").unwrap();
            let kept = PathBuf::from(format!("{}{suffix}", damage.kept.display()));
            assert!(fs::read(kept).unwrap() == before.0[*name], "{name} is kept as it was");
        }
        let again = open(&self.world.path(), self.world.now).damage.unwrap();
        assert_eq!(again.kept, damage.kept, "the same damage is kept once");
        assert!(!verify(&self.world.path()).unwrap().is_sound());
        damage
    }

    fn check_proven(&self, ledger: &Ledger, damage: &Damage) {
        let through = damage.proven_through;
        assert_eq!(ledger.as_of(), through);
        assert_same(&stored(&ledger.engine().tables()), &self.tables_at(through));
        assert!(matches!(ledger.standing(), Standing::ReadOnly(_)));
        if through > 0 {
            let journal = ledger.journal().unwrap();
            // What is damaged before the checkpoint that was started from is named when it is read.
            if let Ok(read) = journal.changes_after(0, 10_000) {
                assert_eq!(read.last().unwrap().seq, through);
            }
        }
    }
}

#[test]
fn a_deleted_log_is_noticed() {
    let history = History::new(false);
    fs::remove_file(history.folder().join("qd.db-wal")).unwrap();
    let damage = history.damaged();
    let anchored = history.last();
    assert_eq!(damage.finding, Finding::Cut { found: 0, anchored });
    assert_eq!((damage.proven_through, damage.anchored), (0, Some(anchored)));
}

#[test]
fn a_copy_rolled_back_is_noticed_and_shown_as_far_as_it_goes() {
    let mut history = History::new(false);
    let mut old = Snapshot::of(history.folder());
    let anchored = history.last();
    let mut ledger = history.world.open();
    History::hear(&mut history.world, &mut ledger, 40..43);
    history.changes = ledger.journal().unwrap().changes_after(0, 10_000).unwrap();
    drop(ledger);
    let anchor = Snapshot::of(history.folder()).bytes("qd.anchor").clone();
    *old.bytes("qd.anchor") = anchor;
    old.restore(history.folder());
    let damage = history.damaged();
    let last = history.last();
    assert_eq!(damage.finding, Finding::Cut { found: anchored, anchored: last });
    assert_eq!(damage.proven_through, anchored);
}

#[test]
fn a_copy_rolled_back_and_gone_on_with_is_believed_up_to_the_anchored_checkpoint() {
    let mut history = History::new(false);
    let old = Snapshot::of(history.folder());
    let mut ledger = history.world.open();
    History::hear(&mut history.world, &mut ledger, 40..43);
    history.changes = ledger.journal().unwrap().changes_after(0, 10_000).unwrap();
    drop(ledger);
    let anchor = Snapshot::of(history.folder()).bytes("qd.anchor").clone();
    old.restore(history.folder());
    // Without an anchor nobody can tell; the other history is as long as the first.
    fs::remove_file(history.folder().join("qd.anchor")).unwrap();
    let mut ledger = history.world.open();
    assert_eq!(ledger.notices(), [Finding::AnchorMissing]);
    History::hear(&mut history.world, &mut ledger, 50..56);
    drop(ledger);
    fs::write(history.folder().join("qd.anchor"), anchor).unwrap();
    let damage = history.damaged();
    assert_eq!(damage.finding, Finding::Rewritten { anchored: history.last() });
    let checkpoint = damage.proven_through;
    assert!(checkpoint > 0 && checkpoint < old_last(&history), "{checkpoint}");
}

fn old_last(history: &History) -> u64 {
    history.changes.iter().filter(|it| it.at.0 < history.world.now.wall.0).count() as u64
}

#[test]
fn a_database_that_is_gone_or_empty_is_no_new_one() {
    let history = History::new(true);
    let whole = Snapshot::of(history.folder());
    let anchored = history.last();
    fs::remove_file(history.world.path()).unwrap();
    let opened = open(&history.world.path(), history.world.now);
    assert_eq!(opened.damage.unwrap().finding, Finding::Missing { anchored });
    assert!(!history.world.path().exists(), "and none is made in its place");

    whole.restore(history.folder());
    fs::write(history.world.path(), b"").unwrap();
    assert_eq!(history.damaged().finding, Finding::Missing { anchored });

    fs::remove_file(history.folder().join("qd.anchor")).unwrap();
    for file in fs::read_dir(history.folder()).unwrap().map(Result::unwrap) {
        if file.file_name() != "qd.db" {
            fs::remove_file(file.path()).unwrap();
        }
    }
    let opened = open(&history.world.path(), history.world.now);
    assert!(opened.created && opened.damage.is_none(), "an empty file alone is a new database");
}

#[test]
fn a_log_without_its_database_is_no_new_one() {
    let history = History::new(false);
    for name in ["qd.db", "qd.anchor"] {
        fs::remove_file(history.folder().join(name)).unwrap();
    }
    assert_eq!(history.damaged().finding, Finding::LogAlone);
}

#[test]
fn a_database_cut_short_anywhere_is_noticed_or_loses_nothing() {
    let history = History::new(true);
    let whole = Snapshot::of(history.folder());
    let length = fs::metadata(history.world.path()).unwrap().len();
    let cuts = u64::from(count("QD_STORE_CUTS", 24));
    for cut in 0..cuts {
        whole.restore(history.folder());
        let keep = length * (cut + 1) / (cuts + 1) / if cut % 2 == 0 { 1 } else { 4_096 };
        let keep = keep * if cut % 2 == 0 { 1 } else { 4_096 };
        let file = fs::OpenOptions::new().write(true).open(history.world.path()).unwrap();
        file.set_len(keep).unwrap();
        let report = verify(&history.world.path());
        assert!(!report.is_ok_and(|report| report.is_sound()), "verify, cut at {keep}");
        if let Ok(opened) = Ledger::open(&history.world.path(), options(), history.world.now) {
            if let Some(damage) = opened.damage {
                history.check_proven(&opened.ledger, &damage);
            } else {
                let tables = stored(&opened.ledger.engine().tables());
                assert_same(&tables, &history.tables_at(history.last()));
            }
        }
    }
}

#[test]
fn a_stale_index_of_the_log_does_no_harm() {
    let history = History::new(false);
    fs::write(history.folder().join("qd.db-shm"), vec![0xa5; 32_768]).unwrap();
    let opened = open(&history.world.path(), history.world.now);
    assert!(opened.damage.is_none());
    assert_eq!(opened.ledger.as_of(), history.last());
}

#[test]
fn files_of_others_are_refused_and_left_alone() {
    let world = World::new();
    let text = b"these are my notes\n".repeat(20);
    fs::write(world.path(), &text).unwrap();
    let refused = Ledger::open(&world.path(), options(), world.now);
    assert!(matches!(refused, Err(OpenError::Foreign { .. })));
    assert!(fs::read(world.path()).unwrap() == text, "it was changed");

    fs::remove_file(world.path()).unwrap();
    let db = Connection::open(world.path()).unwrap();
    db.execute_batch("CREATE TABLE songs (name TEXT); INSERT INTO songs VALUES ('one')").unwrap();
    drop(db);
    let bytes = fs::read(world.path()).unwrap();
    let refused = Ledger::open(&world.path(), options(), world.now);
    assert!(matches!(refused, Err(OpenError::Foreign { .. })));
    assert!(matches!(verify(&world.path()), Err(OpenError::Foreign { .. })));
    assert!(fs::read(world.path()).unwrap() == bytes, "it was changed");
}

#[test]
fn another_programs_database_in_our_place_is_refused() {
    let history = History::new(true);
    fs::remove_file(history.world.path()).unwrap();
    let db = Connection::open(history.world.path()).unwrap();
    db.execute_batch("PRAGMA application_id = 7; CREATE TABLE songs (name TEXT)").unwrap();
    drop(db);
    let bytes = fs::read(history.world.path()).unwrap();
    let refused = Ledger::open(&history.world.path(), options(), history.world.now);
    assert!(matches!(refused, Err(OpenError::Foreign { .. })));
    assert!(fs::read(history.world.path()).unwrap() == bytes, "it was changed");
}

#[test]
fn a_newer_database_is_refused_by_name_and_left_alone() {
    let history = History::new(true);
    let db = Connection::open(history.world.path()).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode = DELETE; INSERT INTO schema_migrations VALUES (2, 0); \
         PRAGMA user_version = 2",
    )
    .unwrap();
    drop(db);
    let bytes = fs::read(history.world.path()).unwrap();
    let refused = Ledger::open(&history.world.path(), options(), history.world.now);
    let Err(OpenError::Newer { found: 2, .. }) = refused else { panic!("{refused:?}") };
    assert!(fs::read(history.world.path()).unwrap() == bytes, "it was changed");
}

#[test]
fn a_damaged_mark_costs_one_mark_and_is_named() {
    let history = History::new(true);
    let mut files = Snapshot::of(history.folder());
    files.bytes("qd.anchor")[4_096 + 77] ^= 4;
    files.restore(history.folder());
    let findings = verify(&history.world.path()).unwrap().findings;
    assert_eq!(findings, [Finding::AnchorDamaged]);
    let opened = open(&history.world.path(), history.world.now);
    assert!(opened.damage.is_none());
    assert_eq!(opened.ledger.notices(), [Finding::AnchorDamaged]);
    drop(opened);
    assert_eq!(verify(&history.world.path()).unwrap().findings, [], "opening has mended it");
}

#[test]
fn only_its_owner_can_read_it() {
    let world = World::new();
    let ledger = populated(&world, 1);
    for name in ["qd.db", "qd.db-wal", "qd.db-shm", "qd.anchor", "qd.reserve"] {
        let mode = fs::metadata(world.folder().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    drop(ledger);
    fs::set_permissions(world.path(), fs::Permissions::from_mode(0o644)).unwrap();
    drop(world.open());
    let mode = fs::metadata(world.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a wider mode is narrowed");
}

#[test]
fn a_frozen_ledger_takes_nothing() {
    let history = History::new(false);
    fs::remove_file(history.folder().join("qd.db-wal")).unwrap();
    let mut ledger = open(&history.world.path(), history.world.now).ledger;
    let refused = ledger.transact(history.world.now, vec![(Actor::Daemon, add_target())]);
    assert_eq!(refused.unwrap_err().kind, CommitErrorKind::ReadOnly);
    ledger.retain(history.world.now, &Retention::default()).unwrap();
    ledger.sync_anchor().unwrap();
    ledger.close().unwrap();
    history.damaged();
}

/// A small generator of numbers that is the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

/// Everything that any query could answer.
fn dump(path: &Path) -> String {
    let db = Connection::open(path).unwrap();
    let mut tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let names = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let mut text = String::new();
    for name in names.map(Result::unwrap) {
        let mut rows = db.prepare(&format!("SELECT * FROM {name} ORDER BY 1, 2")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                let value: rusqlite::types::Value = row.get(column).unwrap();
                writeln!(text, "{name}.{column} {value:?}").unwrap();
            }
        }
    }
    text
}

/// Flips bits in one file of a history, each in a fresh copy. Returns how many were noticed.
fn flip(history: &History, name: &str, flips: u32, seed: u64) -> u32 {
    let whole = Snapshot::of(history.folder());
    let pristine = dump(&history.world.path());
    let mut numbers = Numbers(seed);
    let mut noticed = 0;
    for flip in 0..flips {
        let mut files = whole.clone();
        let bytes = files.bytes(name);
        let bit = numbers.below(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        files.restore(history.folder());
        let context = format!("flip {flip}: bit {} of byte {} of {name}", bit % 8, bit / 8);
        let verified = verify(&history.world.path());
        let sound = verified.as_ref().is_ok_and(store::Report::is_sound);
        match Ledger::open(&history.world.path(), options(), history.world.now) {
            Ok(opened) => {
                if let Some(damage) = &opened.damage {
                    assert!(!sound, "{context}: verify finds what opening finds");
                    history.check_proven(&opened.ledger, damage);
                } else if sound {
                    let tables = stored(&opened.ledger.engine().tables());
                    assert_same(&tables, &history.tables_at(history.last()));
                    assert!(dump(&history.world.path()) == pristine, "{context}: unnoticed");
                }
                noticed += u32::from(opened.damage.is_some() || !sound);
            }
            Err(error) => {
                assert!(!sound, "{context}: {error}");
                noticed += 1;
            }
        }
    }
    whole.restore(history.folder());
    noticed
}

/// What is not noticed changes no answer.
#[test]
fn a_flipped_bit_is_noticed_or_changes_no_answer() {
    let flips = count("QD_STORE_FLIPS", 40);
    let open = History::new(false);
    let closed = History::new(true);
    for (history, name) in [(&closed, "qd.db"), (&open, "qd.db-wal"), (&closed, "qd.anchor")] {
        let noticed = flip(history, name, flips, 7);
        println!("{name}: {noticed} of {flips} noticed, the others changed nothing");
    }
}

/// Rows edited, deleted or swapped by hand.
#[test]
fn s_28_an_edited_row_is_named() {
    let history = History::new(true);
    let whole = Snapshot::of(history.folder());
    let cases = [
        ("UPDATE journal SET payload = replace(payload, 'high', 'low') WHERE seq = 9", "journal 9"),
        ("UPDATE events SET source = 'poller' WHERE journal_seq = 9", "journal 9"),
        ("UPDATE events SET row_hash = 7 WHERE journal_seq = 9", "journal 9"),
        ("UPDATE events SET raw_payload = NULL WHERE journal_seq = 9", "journal 9"),
        ("UPDATE journal SET at = at + 1 WHERE seq = 9", "journal 9"),
        ("UPDATE journal SET actor = 'daemon' WHERE seq = 9", "journal 9"),
        ("DELETE FROM journal WHERE seq = 9", "journal 10"),
        (
            "UPDATE journal SET seq = -seq WHERE seq IN (8, 9); \
             UPDATE journal SET seq = 17 + seq WHERE seq < 0",
            "events 8",
        ),
        ("UPDATE targets SET target_name = 'other'", "targets tg-1"),
        ("UPDATE panes SET pane_title = 'other' WHERE pane_id = '%2'", "panes tg-1/%2"),
        ("UPDATE states SET state = 'idle' WHERE pane_id = '%2'", "states tg-1/%2"),
        ("UPDATE runtimes SET pid = 1 WHERE rowid = 3", "runtimes"),
        ("UPDATE events SET raw_payload = 'x' WHERE journal_seq = 9", "journal 9"),
        ("DELETE FROM events WHERE journal_seq = 9", "events 9"),
        ("UPDATE events SET journal_seq = 900 WHERE journal_seq = 9", "events 9"),
        (
            "UPDATE events SET journal_seq = -1 WHERE journal_seq = 9; \
             UPDATE journal SET kind = 'event' WHERE seq = 9",
            "journal 9",
        ),
        ("UPDATE event_inbox SET signal = '{}' WHERE rowid = 1", "event_inbox"),
        ("DELETE FROM event_inbox WHERE rowid = 1", "event_inbox"),
        ("UPDATE checkpoints SET tables = replace(tables, 'local', 'lokal')", "checkpoints"),
        ("UPDATE meta SET value = 'db-0002' WHERE key = 'database_id'", "meta database_id"),
        ("DELETE FROM states WHERE pane_id = '%2'", "states tg-1/%2"),
        ("DROP INDEX states_state", "schema"),
    ];
    for (sql, named) in cases {
        whole.restore(history.folder());
        let db = Connection::open(history.world.path()).unwrap();
        db.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")
            .unwrap();
        db.execute_batch(sql).unwrap();
        drop(db);
        let report = verify(&history.world.path()).unwrap();
        let first = report.findings.first().map(ToString::to_string).unwrap_or_default();
        assert!(first.contains(named), "{sql}: {first:?} does not name {named}");
    }
}

/// Where a text stands in the pages of a database.
fn places(bytes: &[u8], text: &str) -> Vec<usize> {
    let found = bytes.windows(text.len()).enumerate();
    found.filter(|(_, window)| *window == text.as_bytes()).map(|(place, _)| place).collect()
}

/// The indexes that are named when one byte of a text is another one, wherever it stands.
fn indexes_named(history: &History, text: &str) -> BTreeSet<&'static str> {
    let whole = Snapshot::of(history.folder());
    let mut named = BTreeSet::new();
    for place in places(&whole.0["qd.db"], text) {
        let mut files = whole.clone();
        files.bytes("qd.db")[place + text.len() - 1] = b'~';
        files.restore(history.folder());
        for finding in verify(&history.world.path()).unwrap().findings {
            if let Finding::Index { name } = finding {
                named.insert(name);
            }
        }
    }
    whole.restore(history.folder());
    named
}

/// The tables agree with their hashes here, and SQLite finds its pages in order.
#[test]
fn an_index_with_another_entry_than_its_table_is_named() {
    let history = History::new(true);
    // The first is in no order any more; the last is, and only its value tells.
    for event in ["00000003", "00000039"] {
        let named = indexes_named(&history, &format!("ev-{event}"));
        assert_eq!(named, BTreeSet::from(["sqlite_autoindex_events_1"]), "{event}");
        let named = indexes_named(&history, &format!("key-{event}"));
        assert_eq!(named, BTreeSet::from(["sqlite_autoindex_events_2"]), "{event}");
    }
}

/// An index that was not kept up with its table, as by a program that did not know of it.
#[test]
fn an_index_that_lacks_a_change_of_its_table_is_named() {
    let history = History::new(true);
    let write = |sql: &str| {
        let db = Connection::open(history.world.path()).unwrap();
        db.execute_batch(sql).unwrap();
    };
    let moved = "UPDATE events SET ingested_at = ingested_at";
    write(&format!("{moved} + 1 WHERE journal_seq = 9"));
    write(
        "CREATE TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'events_ingested'; \
         PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'events_ingested'",
    );
    write(&format!("{moved} - 1 WHERE journal_seq = 9"));
    write(
        "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM kept; \
         DROP TABLE kept",
    );
    let report = verify(&history.world.path()).unwrap();
    assert_eq!(report.findings, [Finding::Index { name: "events_ingested" }]);
}

/// One thing that somebody may do by hand to the rows of a journal with this last one.
fn tampering(numbers: &mut Numbers, last: u64) -> String {
    let mut seq =
        |from: u64| from + numbers.below(usize::try_from(last - from + 1).unwrap()) as u64;
    let (row, other, behind) = (seq(1), seq(1), seq(2));
    match numbers.below(7) {
        0 => {
            let at = 1 + numbers.below(40);
            format!(
                "UPDATE journal SET payload = substr(payload, 1, {at} - 1) || \
                 char(unicode(substr(payload, {at}, 1)) + 1) || substr(payload, {at} + 1) \
                 WHERE seq = {row}"
            )
        }
        1 => format!("UPDATE journal SET at = at + 1 WHERE seq = {row}"),
        2 => format!("UPDATE journal SET actor = actor || ',pid=1' WHERE seq = {row}"),
        3 => format!("DELETE FROM journal WHERE seq = {row}"),
        4 if row != other => format!(
            "UPDATE journal SET seq = -seq WHERE seq IN ({row}, {other}); \
             UPDATE journal SET seq = {row} + {other} + seq WHERE seq < 0"
        ),
        5 => format!("UPDATE journal SET hash = zeroblob(32) WHERE seq = {row}"),
        _ => format!("DELETE FROM journal WHERE seq >= {behind}"),
    }
}

/// S-j.
#[test]
fn s_28_no_edit_deletion_swap_or_cut_of_the_journal_goes_unnoticed() {
    let many = count("QD_STORE_TAMPERINGS", 100);
    let history = History::new(true);
    let whole = Snapshot::of(history.folder());
    assert!(verify(&history.world.path()).unwrap().is_sound());
    let mut numbers = Numbers(28);
    for _ in 0..many {
        whole.restore(history.folder());
        let sql = tampering(&mut numbers, history.last());
        let db = Connection::open(history.world.path()).unwrap();
        db.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")
            .unwrap();
        db.execute_batch(&sql).unwrap();
        assert!(db.changes() > 0, "{sql}");
        drop(db);
        let report = verify(&history.world.path()).unwrap();
        assert!(!report.is_sound(), "{sql} is not found");
    }
    println!("{many} of {many} tamperings found");
}
