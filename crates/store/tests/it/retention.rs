//! TC-012: what has expired is forgotten, in its time and no sooner, and what is left still proves
//! itself.

use engine::words::State;
use rusqlite::Connection;
use store::{Ledger, ReadError, Retention, verify};

use crate::world::{
    Fold, World, about_pane, add_target, assert_same, facts, send, server, signal, signalled,
    stored, topology,
};

const DAY: i64 = 86_400_000;

/// Days of events, three each, with the daily upkeep.
struct Days {
    world: World,
    ledger: Ledger,
    fold: Fold,
    events: u64,
    /// Pane 2 is there.
    second: bool,
}

impl Days {
    fn new() -> Self {
        let world = World::new();
        let mut ledger = world.open();
        let mut fold = Fold::new();
        fold.take(&send(&mut ledger, world.now, add_target()));
        let panes = (1..=2).map(|pane| facts(pane, 1_000 + pane)).collect();
        fold.take(&send(&mut ledger, world.now, topology(world.now, server(1), panes)));
        Self { world, ledger, fold, events: 0, second: true }
    }

    fn pass(&mut self, days: u32) {
        for _ in 0..days {
            for pane in [1, 2, 9] {
                self.events += 1;
                let heard = signal(self.world.now, self.events, about_pane(pane), State::Running);
                let outcome = send(&mut self.ledger, self.world.now, signalled(heard));
                self.fold.take(&outcome);
                self.world.pass(60_000);
                let tick = send(&mut self.ledger, self.world.now, engine::input::Input::Ticked);
                self.fold.take(&tick);
            }
            let pid = 2_000 + u32::try_from(self.events).unwrap();
            let mut panes = vec![facts(1, 1_001), facts(2, pid)];
            panes.truncate(1 + usize::from(self.second));
            let scan = topology(self.world.now, server(1), panes);
            self.fold.take(&send(&mut self.ledger, self.world.now, scan));
            self.world.pass(DAY - 180_000);
            self.retain();
        }
    }

    fn retain(&mut self) {
        self.ledger.retain(self.world.now, &Retention::default()).unwrap();
    }

    fn count(&self, sql: &str) -> i64 {
        let db = Connection::open(self.world.path()).unwrap();
        db.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn check(&mut self) {
        assert_eq!(verify(&self.world.path()).unwrap().findings, []);
        self.ledger = self.world.open();
        assert_same(&stored(&self.ledger.engine().tables()), &self.fold.tables());
        assert_eq!(self.ledger.engine().check(), Ok(()));
    }
}

#[test]
fn payloads_go_first_then_events_then_the_journal_up_to_a_checkpoint() {
    let mut days = Days::new();
    days.pass(6);
    let bare = "SELECT count(*) FROM events WHERE raw_payload IS NULL AND source = 'hook'";
    assert_eq!(days.count(bare), 0);
    days.check();
    days.pass(4);
    // After ten days the payloads of the first three are gone, and nothing else.
    assert_eq!(days.count(bare), 6);
    let all = "SELECT count(*) FROM events WHERE source = 'hook'";
    assert_eq!(days.count(all), 20);
    assert_eq!(days.count("SELECT count(*) FROM event_inbox"), 10);
    assert_eq!(days.count("SELECT min(seq) FROM journal"), 1);
    days.check();
    days.pass(10);
    assert_eq!(days.count(all), 28, "fourteen days of two");
    assert_eq!(days.count("SELECT count(*) FROM event_inbox"), 14);
    let first = days.count("SELECT min(seq) FROM journal");
    assert!(first > 1);
    assert_eq!(days.count("SELECT min(seq) FROM checkpoints"), first - 1);
    days.check();

    let journal = days.ledger.journal().unwrap();
    let bounds = journal.bounds().unwrap();
    assert_eq!(i64::try_from(bounds.first).unwrap(), first);
    assert_eq!(bounds.last, days.ledger.as_of());
    let refused = journal.changes_after(bounds.first - 2, 10);
    assert!(matches!(refused, Err(ReadError::Pruned { first }) if first == bounds.first));
    assert_eq!(journal.changes_after(bounds.first - 1, 10).unwrap().len(), 10);
    let refused = journal.changes_after(bounds.last + 1, 10);
    assert!(matches!(refused, Err(ReadError::Ahead { .. })));
}

#[test]
fn runtimes_go_with_their_last_event_and_epochs_still_count_on() {
    let mut days = Days::new();
    days.pass(20);
    // Pane 2 was respawned each day; of its lives only those of the last fortnight are left, and
    // the pane is still there, so all of them are.
    let lives = days.count("SELECT count(*) FROM runtimes WHERE pane_id = '%2'");
    assert_eq!(lives, 21, "a pane that is there keeps its epochs");
    days.second = false;
    days.pass(16);
    assert_eq!(days.count("SELECT count(*) FROM runtimes WHERE pane_id = '%2'"), 0);
    days.check();
}

#[test]
fn an_event_that_still_waits_is_kept() {
    let mut days = Days::new();
    let waiting = signal(days.world.now, 900, about_pane(9), State::Running);
    days.fold.take(&send(&mut days.ledger, days.world.now, signalled(waiting)));
    days.world.pass(30 * DAY);
    days.retain();
    assert_eq!(days.count("SELECT count(*) FROM event_inbox WHERE status = 'pending_bind'"), 1);
    days.check();
}

#[test]
fn a_journal_with_nothing_left_goes_on_from_its_checkpoint() {
    let mut days = Days::new();
    days.pass(2);
    let last = days.ledger.as_of();
    for _ in 0..40 {
        days.world.pass(DAY);
        days.retain();
    }
    assert_eq!(days.count("SELECT count(*) FROM journal"), 0);
    let bounds = days.ledger.journal().unwrap().bounds().unwrap();
    assert_eq!((bounds.first, bounds.last), (last + 1, last));
    days.check();
    assert_eq!(days.ledger.as_of(), last);
    days.pass(1);
    assert!(days.ledger.as_of() > last);
    days.check();
}

/// F-07: what is deleted does not come back when the clock does.
#[test]
fn a_wall_clock_that_jumps_deletes_nothing() {
    let mut days = Days::new();
    days.pass(3);
    let all = "SELECT count(*) FROM events";
    let before = days.count(all);
    days.world.now.wall.0 += 3_650 * DAY;
    days.retain();
    assert_eq!(days.count(all), before);
    days.world.now.wall.0 -= 3_650 * DAY;
    days.world.pass(3_600_000);
    days.retain();
    assert_eq!(days.count(all), before);
    days.check();
}

/// F-07: neither does a start under a clock that is years ahead, nor the next one.
#[test]
fn a_start_ten_years_ahead_deletes_nothing_until_the_clock_has_run_for_a_day() {
    let mut days = Days::new();
    days.pass(3);
    let all = "SELECT count(*) FROM events";
    let before = days.count(all);
    days.world.now.wall.0 += 3_650 * DAY;
    for _ in 0..3 {
        days.ledger = days.world.open();
        for _ in 0..4 {
            days.retain();
            assert!(days.ledger.doubts_clock_since().is_some());
            days.world.pass(3_600_000);
        }
    }
    assert_eq!(days.count(all), before);
    let right = days.world.now.wall.0 - 3_650 * DAY;
    let ahead = std::mem::replace(&mut days.world.now.wall.0, right);
    days.ledger = days.world.open();
    assert_eq!(days.ledger.doubts_clock_since(), None, "it is set right");

    days.world.now.wall.0 = ahead;
    days.ledger = days.world.open();
    for _ in 0..26 {
        days.world.pass(3_600_000);
        days.retain();
    }
    assert_eq!(days.ledger.doubts_clock_since(), None, "it means it");
    assert_eq!(days.count(all), 0);
}

#[test]
fn a_long_absence_is_made_up_for_in_steps() {
    let mut days = Days::new();
    let batch = |from: u64, now| {
        let heard = |number| signal(now, number, about_pane(1), State::Running);
        let one = |number| (engine::event::Actor::Observer, signalled(heard(number)));
        (from..from + 500).map(one).collect::<Vec<_>>()
    };
    for from in 0..18 {
        for outcome in
            days.ledger.transact(days.world.now, batch(from * 500, days.world.now)).unwrap()
        {
            days.fold.take(&outcome);
        }
    }
    days.world.pass(DAY);
    days.retain();
    days.world.pass(20 * DAY);
    days.retain();
    assert!(days.ledger.retention_is_behind());
    let mut runs = 1;
    while days.ledger.retention_is_behind() {
        days.retain();
        runs += 1;
    }
    assert!(runs > 1 && runs < 5, "{runs}");
    assert_eq!(days.count("SELECT count(*) FROM events"), 0);
    days.check();
}
