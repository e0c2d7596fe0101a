//! TC-002, TC-003: what the database itself refuses, whoever writes.

use rusqlite::{Connection, ErrorCode};

use crate::world::{World, about_pane, populated, send, signal, signalled};
use engine::words::State;

const RUNTIME: &str = "INSERT INTO runtimes (runtime_id, target_id, pane_id, tmux_server_boot_id, \
    pane_epoch, started_at, ended_at, end_reason, row_hash) VALUES";
const EVENT: &str = "INSERT INTO events (event_id, runtime_id, event_type, source, event_time, \
    ingested_at, dedupe_key, action_id, journal_seq) VALUES";
const INBOX: &str = "INSERT INTO event_inbox (inbox_id, event_id, target_id, pane_id, event_type, \
    source, dedupe_key, event_time, ingested_at, status, reason_code, signal, journal_seq, \
    row_hash) VALUES";
const ACTION: &str = "INSERT INTO actions (action_id, action_type, request_ref, target_id, \
    pane_id, runtime_id, requested_at, result_code, metadata_json, row_hash) VALUES";

/// TC-002.
#[test]
fn invalid_rows_are_refused() {
    let world = World::new();
    let mut ledger = populated(&world, 2);
    send(&mut ledger, world.now, signalled(signal(world.now, 1, about_pane(1), State::Running)));
    send(&mut ledger, world.now, signalled(signal(world.now, 2, about_pane(9), State::Running)));
    let runtime = crate::world::runtime_of(&ledger, 1);
    let db = Connection::open(world.path()).unwrap();
    db.pragma_update(None, "foreign_keys", true).unwrap();
    db.execute_batch(&format!(
        "{ACTION} ('ac-1', 'send', 'ref-1', 'tg-1', '%1', '{runtime}', 0, 'pending', '{{}}', 0)"
    ))
    .unwrap();
    let refused = [
        // Keys.
        "INSERT INTO targets SELECT * FROM targets".to_owned(),
        "INSERT INTO panes SELECT * FROM panes".to_owned(),
        format!("{RUNTIME} ('{runtime}', 'tg-9', '%9', 'b', 1, 0, 0, 'exec', 0)"),
        format!("{RUNTIME} ('rt-x', 'tg-1', '%1', 'boot-1', 1, 0, 0, 'exec', 0)"),
        format!("{EVENT} ('ev-00000001', '{runtime}', 't', 'hook', 0, 0, 'k', NULL, 900)"),
        format!("{EVENT} ('ev-x', '{runtime}', 't', 'hook', 0, 0, 'key-00000001', NULL, 900)"),
        format!(
            "{INBOX} ('in-x', 'ev-x', 'tg-1', '%9', 't', 'hook', 'key-00000002', 0, 0, \
            'pending_bind', NULL, '{{}}', 1, 0)"
        ),
        format!("{ACTION} ('ac-2', 'send', 'ref-1', 'tg-1', '%1', '{runtime}', 0, 'x', '{{}}', 0)"),
        // Foreign keys.
        format!("{EVENT} ('ev-x', 'rt-none', 't', 'hook', 0, 0, 'k', NULL, 900)"),
        format!("{EVENT} ('ev-x', '{runtime}', 't', 'hook', 0, 0, 'k', 'ac-none', 900)"),
        format!("{ACTION} ('ac-3', 'send', 'ref-3', 'tg-1', '%1', 'rt-none', 0, 'x', '{{}}', 0)"),
        "DELETE FROM targets".to_owned(),
        "DELETE FROM runtimes".to_owned(),
        "DELETE FROM panes".to_owned(),
        // Words.
        "UPDATE targets SET kind = 'remote'".to_owned(),
        "UPDATE targets SET health = 'fine'".to_owned(),
        "UPDATE states SET state = 'busy'".to_owned(),
        "UPDATE states SET confidence = 'some'".to_owned(),
        "UPDATE events SET source = 'rumour'".to_owned(),
        "UPDATE events SET dedupe_key = ''".to_owned(),
        "UPDATE event_inbox SET status = 'lost'".to_owned(),
        "UPDATE event_inbox SET status = 'dropped_unbound'".to_owned(),
        "UPDATE runtimes SET ended_at = 1".to_owned(),
        "UPDATE actions SET action_type = 'dance'".to_owned(),
        "UPDATE actions SET request_ref = ''".to_owned(),
        // Types.
        "UPDATE panes SET updated_at = 'yesterday'".to_owned(),
        "UPDATE events SET runtime_id = NULL".to_owned(),
        "UPDATE events SET payload_hash = zeroblob(32)".to_owned(),
        "UPDATE journal SET hash = x'00' WHERE seq = 1".to_owned(),
    ];
    for sql in refused {
        let error = db.execute_batch(&sql).expect_err(&sql);
        assert_eq!(
            error.sqlite_error_code(),
            Some(ErrorCode::ConstraintViolation),
            "{sql}: {error}"
        );
    }
}

/// TC-003: many at once, each on a connection of its own.
#[test]
fn a_pane_has_at_most_one_active_runtime() {
    let world = World::new();
    drop(populated(&world, 1));
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let path = world.path();
            std::thread::spawn(move || {
                let db = Connection::open(path).unwrap();
                db.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
                let values =
                    format!("('rt-{number}', 'tg-1', '%7', 'b', {}, 0, NULL, NULL, 0)", number + 1);
                db.execute_batch(&format!("{RUNTIME} {values}")).is_ok()
            })
        })
        .collect();
    let began = threads.into_iter().map(|it| it.join().unwrap()).filter(|began| *began).count();
    assert_eq!(began, 1);
    let db = Connection::open(world.path()).unwrap();
    let sql = "SELECT count(*) FROM runtimes WHERE pane_id = '%7' AND ended_at IS NULL";
    assert_eq!(db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}
