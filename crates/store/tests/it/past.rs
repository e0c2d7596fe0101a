//! What the engine asks about the past: found through indexes, the same after a restart.

use engine::ids::{PaneId, PaneKey};
use engine::input::{Acceptance, Refusal, Reply};
use engine::signal::About;
use engine::words::{EndReason, State};
use rusqlite::Connection;

use crate::world::{
    World, about_pane, facts, populated, runtime_of, send, server, signal, signalled, target,
    topology,
};

#[test]
fn what_was_known_of_a_life_outlives_it() {
    let mut world = World::new();
    let mut ledger = populated(&world, 2);
    let runtimes = [1, 2].map(|pane| runtime_of(&ledger, pane));
    for (number, runtime) in (1..).zip(&runtimes) {
        let about = About::Runtime(runtime.clone());
        send(
            &mut ledger,
            world.now,
            signalled(signal(world.now, number, about, State::WaitingApproval)),
        );
    }
    let said = world.now.wall;
    let row = ledger.engine().pane_of(&runtimes[0]).unwrap();
    let version = row.state.version;
    world.pass(5_000);
    let respawned = vec![facts(1, 4_711)];
    send(&mut ledger, world.now, topology(world.now, server(1), respawned));
    drop(ledger);

    let ledger = world.open();
    for (runtime, reason) in runtimes.iter().zip([EndReason::Respawned, EndReason::PaneGone]) {
        let ended = ledger.journal().unwrap().ended(runtime).unwrap().unwrap();
        let left = ended.state.unwrap();
        assert_eq!((ended.reason, left.state, left.version), (reason, State::Unknown, version + 1));
        let known = left.last_known.unwrap();
        assert_eq!((known.state, known.at), (State::WaitingApproval, said));
    }
}

/// TC-007: through the ledger, over a restart, for every way an event can have come before.
#[test]
fn a_repeated_event_is_applied_once() {
    let mut world = World::new();
    let mut ledger = populated(&world, 2);
    let runtime = runtime_of(&ledger, 1);
    let direct = signal(world.now, 1, About::Runtime(runtime.clone()), State::Running);
    let bound = signal(world.now, 2, about_pane(1), State::WaitingInput);
    let waiting = signal(world.now, 3, about_pane(9), State::Running);
    for heard in [&direct, &bound, &waiting] {
        let outcome = send(&mut ledger, world.now, signalled(heard.clone()));
        assert!(!outcome.changes.is_empty());
    }
    for restart in [false, true] {
        if restart {
            ledger = world.open();
        }
        world.pass(500);
        for heard in [&direct, &bound, &waiting] {
            let mut again = heard.clone();
            again.event_id = engine::ids::EventId::new("ev-another");
            let outcome = send(&mut ledger, world.now, signalled(again));
            assert!(outcome.changes.is_empty());
            let Ok(Reply::Accepted(Acceptance::Duplicate { event, .. })) = outcome.result else {
                panic!("{:?}", outcome.result)
            };
            assert_eq!(event, heard.event_id);
        }
    }
}

#[test]
fn a_key_or_an_id_that_was_used_for_another_event_is_refused() {
    let mut world = World::new();
    let mut ledger = populated(&world, 2);
    let heard = signal(world.now, 1, about_pane(1), State::Running);
    send(&mut ledger, world.now, signalled(heard.clone()));
    let waiting = signal(world.now, 2, about_pane(9), State::Running);
    send(&mut ledger, world.now, signalled(waiting.clone()));
    ledger = world.open();
    world.pass(100);
    for earlier in [&heard, &waiting] {
        let mut other = earlier.clone();
        other.event_type = "task-finished".to_owned();
        let refused = send(&mut ledger, world.now, signalled(other)).result;
        assert_eq!(refused, Err(Refusal::DedupeConflict(earlier.dedupe_key.clone())));
        let mut other = earlier.clone();
        other.dedupe_key = "key-of-its-own".to_owned();
        let refused = send(&mut ledger, world.now, signalled(other)).result;
        assert_eq!(refused, Err(Refusal::EventIdConflict(earlier.event_id.clone())));
    }
}

#[test]
fn a_pane_that_comes_back_counts_its_epochs_on() {
    let mut world = World::new();
    let mut ledger = populated(&world, 2);
    let first = runtime_of(&ledger, 1);
    world.pass(1_000);
    send(&mut ledger, world.now, topology(world.now, server(1), vec![facts(2, 1_002)]));
    ledger = world.open();
    world.pass(1_000);
    let panes = vec![facts(1, 1_001), facts(2, 1_002)];
    send(&mut ledger, world.now, topology(world.now, server(1), panes));
    let key = PaneKey { target: target(), pane: PaneId(1) };
    let runtime = ledger.engine().pane(&key).unwrap().runtime.clone().unwrap();
    assert_eq!(runtime.epoch, 2);
    let late = signal(world.now, 5, About::Runtime(first.clone()), State::Running);
    let refused = send(&mut ledger, world.now, signalled(late)).result;
    assert_eq!(refused, Err(Refusal::RuntimeStale(first)));
    let never = engine::ids::RuntimeId::new("rt-never");
    let unknown = signal(world.now, 6, About::Runtime(never.clone()), State::Running);
    let refused = send(&mut ledger, world.now, signalled(unknown)).result;
    assert_eq!(refused, Err(Refusal::RuntimeUnknown(never)));
}

/// TC-011 and TC-050, as far as the store goes: what was redacted is stored in one place, which
/// retention can clear, and in no other.
#[test]
fn a_payload_is_kept_beside_the_journal_only() {
    let world = World::new();
    let mut ledger = populated(&world, 1);
    for (number, pane) in [(1, 1), (2, 9)] {
        let mut heard = signal(world.now, number, about_pane(pane), State::Running);
        heard.payload = Some("CANARY".to_owned());
        send(&mut ledger, world.now, signalled(heard));
    }
    drop(ledger);
    let db = Connection::open(world.path()).unwrap();
    let mut found = Vec::new();
    let tables: Vec<String> = db
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for table in tables {
        let mut statement = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for (index, column) in columns.iter().enumerate() {
                let value: rusqlite::types::Value = row.get(index).unwrap();
                if format!("{value:?}").contains("CANARY") {
                    found.push(format!("{table}.{column}"));
                }
            }
        }
    }
    found.sort();
    assert_eq!(found, ["event_inbox.raw_payload", "events.raw_payload"]);
}

/// TC-013: what is asked often is found through an index.
#[test]
fn hot_questions_use_their_indexes() {
    let world = World::new();
    drop(populated(&world, 1));
    let db = Connection::open(world.path()).unwrap();
    for (question, sql) in store::schema::HOT_QUERIES {
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let count = statement.parameter_count();
        let nulls = vec![rusqlite::types::Null; count];
        let plan: Vec<String> = statement
            .query_map(rusqlite::params_from_iter(nulls), |row| row.get("detail"))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let scans: Vec<_> = plan
            .iter()
            .filter(|step| step.starts_with("SCAN") && !step.contains("CONSTANT"))
            .filter(|step| !step.contains("USING"))
            .collect();
        assert!(scans.is_empty(), "{question} reads a whole table: {plan:?}");
        assert!(plan.iter().any(|step| step.contains("USING")), "{question}: {plan:?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{question}: {plan:?}");
    }
}
