//! The database under attack: full disk, damage, other versions, no permission, a clock that jumps.
//! What was acknowledged is kept, what is wrong is said, and there is never a clean slate.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use testkit::{Daemon, TestEnv, wait};

use crate::deck::{self, Watch, deck};

fn event(pane: &str, key: &str) -> Value {
    json!({
        "event_type": "task-started", "source": "hook", "dedupe_key": key, "target": "local",
        "pane_id": pane, "agent_type": "claude",
    })
}

/// An event that was acknowledged.
#[track_caller]
fn emit(daemon: &Daemon, pane: &str, key: &str) {
    let reply = daemon.api().post("/v1/events", &event(pane, key));
    assert_eq!(reply.status, 202, "{}", reply.text());
}

fn scene() -> (TestEnv, Daemon, String) {
    let env = deck();
    let pane = env.tmux().session("work", "exec cat");
    let daemon = env.daemon();
    deck::settled(daemon.api(), &pane, "cat");
    (env, daemon, pane)
}

#[test]
fn the_database_is_readable_by_sqlite_while_the_daemon_writes() {
    let (env, daemon, pane) = scene();
    for round in 0..50 {
        emit(&daemon, &pane, &format!("e{round}"));
        assert_eq!(env.sqlite("PRAGMA integrity_check").trim(), "ok");
    }
    let rows = env.sqlite("SELECT pane_id FROM panes");
    assert!(rows.lines().any(|it| it == pane), "keys are text: {rows}");
    let tables = env.sqlite("SELECT name FROM sqlite_master WHERE type = 'table'");
    for table in [
        "targets",
        "panes",
        "runtimes",
        "events",
        "event_inbox",
        "runtime_source_cursors",
        "states",
    ] {
        assert!(tables.lines().any(|it| it == table), "{table}: {tables}");
    }
}

#[test]
fn tc_002_the_schema_refuses_a_second_active_runtime_in_a_pane() {
    let (env, daemon, _pane) = scene();
    assert_eq!(daemon.stop(), 0);
    let columns = env.sqlite("SELECT group_concat(name) FROM pragma_table_info('runtimes')");
    let others: Vec<_> = columns
        .trim()
        .split(',')
        .filter(|it| !matches!(*it, "runtime_id" | "pane_epoch"))
        .collect();
    let copy = format!(
        "INSERT INTO runtimes (runtime_id, pane_epoch, {0}) \
         SELECT runtime_id || 'x', pane_epoch + 1, {0} FROM runtimes WHERE ended_at IS NULL LIMIT 1",
        others.join(",")
    );
    let refused = env.sqlite_write(&copy);
    let said = refused.stderr.clone();
    assert_ne!(refused.code(), Some(0), "{refused:?}");
    assert!(said.contains("UNIQUE"), "{said}");
}

#[test]
fn f_06_a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let (env, daemon, _pane) = scene();
    assert_eq!(daemon.stop(), 0);
    let newer = "PRAGMA user_version = 9999; \
                 INSERT INTO schema_migrations (version, applied_at) VALUES (9999, 0)";
    assert_eq!(env.sqlite_write(newer).code(), Some(0));
    let before = fs::read(env.database()).unwrap();
    let refused = env.try_daemon().err().expect("it does not start");
    assert!(refused.contains("newer"), "{refused}");
    assert_eq!(fs::read(env.database()).unwrap(), before);
    // Whoever has it started on demand, or asks what is wrong, is told the same.
    assert!(env.qd(&["list", "panes"]).fails_with(1).contains("E_DB_NEWER"));
    assert!(env.qd(&["journal", "verify"]).fails_with(1).contains("E_DB_NEWER"));
    let doctor = env.qd(&["doctor", "--json"]);
    let doctor: serde_json::Value = serde_json::from_str(&doctor.stdout).unwrap();
    let is_failed = |it: &&serde_json::Value| it["verdict"] == "failed";
    let failed: Vec<_> = doctor["checks"].as_array().unwrap().iter().filter(is_failed).collect();
    assert!(failed.iter().any(|it| it["check"] == "daemon"), "{failed:#?}");
    assert!(failed.iter().any(|it| it["check"] == "database"), "{failed:#?}");
}

#[test]
fn f_06_another_programs_file_is_refused_and_left_as_it_is() {
    for content in [&b"precious words of somebody else\n".repeat(200)[..], b"x"] {
        let env = deck();
        env.make_home();
        fs::write(env.database(), content).unwrap();
        let refused = env.try_daemon().err().expect("it does not start");
        assert!(refused.contains("qd.db"), "{refused}");
        assert_eq!(fs::read(env.database()).unwrap(), content);
    }
}

#[test]
fn f_06_a_cut_database_is_noticed_and_nothing_is_thrown_away() {
    let (env, daemon, pane) = scene();
    for round in 0..200 {
        emit(&daemon, &pane, &format!("e{round}"));
    }
    assert_eq!(daemon.stop(), 0);
    // Without this the log beside it would hold, and give back, what is cut off here.
    env.sqlite_write("PRAGMA wal_checkpoint(TRUNCATE)").success();
    let whole = fs::read(env.database()).unwrap();
    fs::write(env.database(), &whole[..whole.len() / 2]).unwrap();
    match env.try_daemon() {
        Err(said) => assert!(said.contains("qd.db") || said.contains("database"), "{said}"),
        Ok(daemon) => {
            let health = daemon.api().get("/v1/health").expect(200);
            assert_ne!(health["status"], "ok", "{health:#}");
            let refused = daemon.api().post("/v1/events", &event(&pane, "after"));
            assert!(refused.status >= 400, "nothing is written: {}", refused.text());
        }
    }
    let kept = fs::read_dir(env.home())
        .unwrap()
        .flatten()
        .any(|entry| fs::metadata(entry.path()).is_ok_and(|it| it.len() >= whole.len() as u64 / 2));
    assert!(kept, "the damaged file is still there");
}

#[test]
fn f_06_s_28_an_edited_journal_row_is_found_by_verify_and_named() {
    let (env, daemon, pane) = scene();
    for round in 0..20 {
        emit(&daemon, &pane, &format!("e{round}"));
    }
    assert_eq!(daemon.stop(), 0);
    env.qd(&["journal", "verify"]).success();
    env.sqlite_write("PRAGMA wal_checkpoint(TRUNCATE)").success();
    let sound = fs::read(env.database()).unwrap();
    let row: u64 = env.sqlite("SELECT max(seq) - 5 FROM journal").trim().parse().unwrap();
    for edit in [
        format!("UPDATE journal SET at = at + 1 WHERE seq = {row}"),
        format!("UPDATE journal SET actor = 'somebody' WHERE seq = {row}"),
        format!("UPDATE journal SET payload = payload || ' ' WHERE seq = {row}"),
        format!("UPDATE journal SET hash = zeroblob(32) WHERE seq = {row}"),
        format!("DELETE FROM journal WHERE seq = {row}"),
        "UPDATE states SET state = 'idle', reason_code = 'idle'".to_owned(),
    ] {
        env.sqlite_write(&edit).success();
        let found = env.qd(&["history", "--verify"]);
        assert_eq!(found.code(), Some(1), "{edit}: {found:?}");
        let said = format!("{}{}", found.stdout, found.stderr);
        // A row that is gone is told by itself or by the one after it.
        let named = said.contains(&row.to_string()) || said.contains(&(row + 1).to_string());
        assert!(named || edit.contains("states"), "{edit}: row {row} is not named: {said}");
        restore(&env, &sound);
    }
    env.qd(&["journal", "verify"]).success();
    assert!(env.daemons().is_empty(), "verify needs no daemon");
}

#[test]
fn s_28_an_action_or_its_snapshot_that_was_taken_out_or_edited_is_found_by_verify() {
    let (env, daemon, pane) = scene();
    for name in ["r1", "r2", "r3"] {
        let text = json!({ "text": name });
        crate::actions::act(&daemon, "send", name, &pane, &text).expect(200);
    }
    let action = daemon.api().get("/v1/actions").expect(200)["items"][0].clone();
    assert_eq!(daemon.stop(), 0);
    env.qd(&["history", "--verify"]).success();
    env.sqlite_write("PRAGMA wal_checkpoint(TRUNCATE)").success();
    let sound = fs::read(env.database()).unwrap();
    let id = deck::text(&action, "action_id");
    for edit in [
        format!("DELETE FROM action_snapshots WHERE action_id = '{id}'"),
        format!("UPDATE action_snapshots SET state_version = 99 WHERE action_id = '{id}'"),
        format!("DELETE FROM actions WHERE action_id = '{id}'"),
        format!("UPDATE actions SET result_code = 'refused' WHERE action_id = '{id}'"),
        "DELETE FROM action_snapshots".to_owned(),
    ] {
        env.sqlite_write(&edit).success();
        let found = env.qd(&["history", "--verify"]);
        assert_eq!(found.code(), Some(1), "{edit}: {found:?}");
        let said = format!("{}{}", found.stdout, found.stderr);
        assert!(said.contains("action"), "{edit}: what is wrong is named: {said}");
        restore(&env, &sound);
    }
    env.qd(&["history", "--verify"]).success();
}

/// F-06: the way out of a damaged database is found where the damage is told, and leads out.
#[test]
fn f_06_a_damaged_database_is_rebuilt_of_what_is_proven_when_asked() {
    let (env, daemon, pane) = scene();
    for round in 0..20 {
        emit(&daemon, &pane, &format!("e{round}"));
    }
    assert_eq!(daemon.stop(), 0);
    let sound = env.qd(&["journal", "rebuild", "--yes"]);
    assert!(sound.success().contains("nothing to rebuild"));
    env.sqlite_write("UPDATE panes SET pane_title = 'edited'").success();

    let daemon = env.daemon();
    let health = daemon.api().get("/v1/health").expect(200);
    assert_eq!(health["status"], "read_only", "{health:#}");
    let hint = health["warnings"][0]["hint"].as_str().unwrap();
    assert!(hint.contains("qd journal rebuild"), "{hint}");
    let refused = daemon.api().post("/v1/events", &event(&pane, "meanwhile"));
    assert!(refused.text().contains("qd journal rebuild"), "{}", refused.text());
    assert_eq!(refused.error(503), "E_STORE_READ_ONLY");
    let busy = env.qd(&["journal", "rebuild", "--yes"]);
    assert_ne!(busy.code(), Some(0));
    assert!(busy.stderr.contains("qd daemon stop"), "{}", busy.stderr);
    assert_eq!(daemon.stop(), 0);

    let verified = env.qd(&["journal", "verify"]);
    assert!(verified.stderr.contains("qd journal rebuild"), "{}", verified.stderr);
    let unasked = env.qd(&["journal", "rebuild"]);
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    let rebuilt = env.qd(&["journal", "rebuild", "--yes", "--json"]);
    let answer: Value = serde_json::from_str(&rebuilt.success()).unwrap();
    assert_eq!(answer["rebuilt"], true, "{answer:#}");
    assert_eq!(answer["events"], 20, "{answer:#}");
    assert!(fs::exists(answer["kept"].as_str().unwrap()).unwrap(), "{answer:#}");

    env.qd(&["journal", "verify"]).success();
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    emit(&daemon, &pane, "after");
    assert_eq!(daemon.stop(), 0);
}

/// What is not proven of a damaged database is named, and so are the events that are lost.
#[test]
fn a_rebuilt_database_says_which_rows_and_events_are_lost() {
    let (env, daemon, pane) = scene();
    for round in 0..20 {
        emit(&daemon, &pane, &format!("e{round}"));
    }
    assert_eq!(daemon.stop(), 0);
    let sound = fs::read(env.database()).unwrap();
    let edit = "UPDATE events SET dedupe_key = 'x' \
        WHERE journal_seq = (SELECT max(journal_seq) FROM events)";
    let newest = env.sqlite("SELECT max(journal_seq) FROM events");
    let newest: u64 = newest.trim().parse().unwrap();
    let anchor = fs::read(env.home().join("qd.anchor")).unwrap();
    env.sqlite_write(edit).success();
    let answer = env.qd(&["journal", "rebuild", "--yes", "--json"]).json();
    assert_eq!(answer["proven_through"], newest - 1, "{answer:#}");
    assert_eq!((&answer["events"], &answer["lost"]["events"]), (&json!(19), &json!(1)));
    let run = json!([{ "first": newest, "last": newest }]);
    assert_eq!((&answer["lost"]["event_runs"], &answer["lost"]["row_runs"]), (&run, &run));

    restore(&env, &sound);
    fs::write(env.home().join("qd.anchor"), anchor).unwrap();
    env.sqlite_write("UPDATE journal SET payload = payload || ' ' WHERE seq = 2").success();
    let said = env.qd(&["journal", "rebuild", "--yes"]).success();
    assert!(said.contains("every row of the journal through 1, and 20 events"), "{said}");
    assert!(said.contains("that are not proven (1): 2."), "{said}");
    env.qd(&["journal", "verify"]).success();
}

/// F-06: that nothing is known does not mean that nothing is there.
#[test]
fn f_06_what_a_damaged_database_does_not_show_is_not_said_to_be_absent() {
    let (env, daemon, pane) = scene();
    emit(&daemon, &pane, "one");
    assert_eq!(daemon.stop(), 0);
    env.sqlite_write("UPDATE journal SET at = at + 1 WHERE seq = 3").success();
    let daemon = env.daemon();
    let answer = daemon.api().get("/v1/panes").expect(200);
    assert_eq!(answer["partial"], true, "{answer:#}");
    assert_eq!(answer["warnings"][0]["code"], "store_read_only", "{answer:#}");
    let screen = env.qd(&[]).success();
    assert!(!screen.contains("No tmux server") && screen.contains("damaged"), "{screen}");
    let commands: [&[&str]; 5] = [
        &["ls"],
        &["list", "windows"],
        &["list", "sessions"],
        &["target", "list"],
        &["watch", "--once"],
    ];
    for command in commands {
        let said = env.qd(command);
        assert!(said.stderr.contains("damaged"), "{command:?}: {said:?}");
        assert!(said.stderr.contains("qd journal rebuild"), "{command:?}: {said:?}");
    }
    assert_eq!(env.qd(&["ls", "--json"]).json()["partial"], true);
}

/// F-06: what was so before the damage may be over, so nothing of it is told as if it were so now.
#[test]
fn f_06_nothing_of_the_past_is_shown_as_present_while_nothing_is_stored() {
    let (env, daemon, pane) = scene();
    let mut asks = event(&pane, "one");
    asks["event_type"] = json!("needs-approval");
    assert_eq!(daemon.api().post("/v1/events", &asks).status, 202);
    deck::pane_where(daemon.api(), &pane, "it asks", |it| it["state"] == "waiting_approval");
    assert_eq!(daemon.stop(), 0);
    env.sqlite_write("UPDATE states SET confidence = 'low'").success();
    env.tmux().run(&["kill-server"]).success();
    let _daemon = env.daemon();

    let screen = env.qd(&[]).success();
    assert!(screen.contains("1 unknown") && !screen.contains("Needs you"), "{screen}");
    let explained = env.qd(&["explain", &pane]);
    assert!(explained.stderr.contains("qd journal rebuild"), "{explained:?}");
    let said = explained.success();
    assert!(said.contains("the target is down"), "{said}");
    assert!(said.contains("last known: waiting_approval"), "{said}");
    let waited = env.qd(&["wait", "--all", "--until", "waiting_approval"]).fails_with(1);
    assert!(waited.contains("E_STORE_READ_ONLY"), "{waited}");
    assert_eq!(env.qd(&["bar"]).success().trim(), "? qd doctor");
    for command in [["target", "list"], ["daemon", "status"]] {
        let said = env.qd(&command).success();
        assert!(said.contains("E_STORE_READ_ONLY"), "{command:?}: {said}");
    }
    let logged = env.qd(&["daemon", "logs"]).success();
    let failures = logged.lines().filter(|it| it.contains("a commit failed"));
    assert!(failures.count() <= 1, "the log repeats itself: {logged}");
    let target = &env.qd(&["target", "list", "--json"]).json()["items"][0];
    assert_eq!((&target["health"], &target["counts"]["needs_action"]), (&json!("down"), &json!(0)));
}

/// F-06: that no older copy was put in place is not proven then, and somebody has to hear of it.
#[test]
fn f_06_a_missing_or_damaged_anchor_is_told() {
    let (env, daemon, pane) = scene();
    emit(&daemon, &pane, "one");
    assert_eq!(daemon.stop(), 0);
    let anchor = env.home().join("qd.anchor");
    let sound = fs::read(&anchor).unwrap();
    let mut damaged = sound.clone();
    damaged[40] ^= 1;
    let mut streams = vec![env.sqlite("SELECT value FROM meta WHERE key = 'database_id'")];
    for found in [None, Some(damaged)] {
        match found {
            Some(bytes) => fs::write(&anchor, bytes).unwrap(),
            None => fs::remove_file(&anchor).unwrap(),
        }
        let daemon = env.daemon();
        let health = daemon.api().get("/v1/health").expect(200);
        assert_eq!(health["status"], "degraded", "{health:#}");
        assert_eq!(health["warnings"][0]["code"], "proof_missing", "{health:#}");
        streams.push(deck::text(&health, "stream_id"));
        let doctor = env.qd(&["doctor"]);
        assert!(
            doctor.stdout.contains("warn  daemon") && doctor.stdout.contains("anchor"),
            "{doctor:?}"
        );
        let logged = env.qd(&["daemon", "logs"]).success();
        assert!(logged.contains("found when the database was opened"), "{logged}");
        emit(&daemon, &pane, "after");
        assert_eq!(daemon.stop(), 0);
        // The next one has an anchor that is whole.
        let daemon = env.daemon();
        let health = daemon.api().get("/v1/health").expect(200);
        assert_eq!(health["warnings"], json!([]), "{health:#}");
        assert_eq!(daemon.stop(), 0);
    }
    // Without an anchor the same numbers may have told something else before; half of one tells.
    assert_ne!(streams[1], streams[0], "a cursor of before is none of here");
    assert_eq!(streams[2], streams[1], "an anchor with one whole mark still proves");
}

/// F-06: a database that was deleted beside its anchor is no new one, and the way out is named.
#[test]
fn f_06_a_deleted_database_is_missed_and_rebuilt_when_asked() {
    let (env, daemon, pane) = scene();
    emit(&daemon, &pane, "one");
    assert_eq!(daemon.stop(), 0);
    for name in ["qd.db", "qd.db-wal", "qd.db-shm"] {
        fs::remove_file(env.home().join(name)).ok();
    }
    for _ in 0..2 {
        let daemon = env.daemon();
        let health = daemon.api().get("/v1/health").expect(200);
        assert_eq!(health["status"], "read_only", "{health:#}");
        assert!(health["warnings"][0].to_string().contains("missing"), "{health:#}");
        assert!(health["warnings"][0]["hint"].as_str().unwrap().contains("qd journal rebuild"));
        assert_eq!(daemon.stop(), 0);
    }
    let doctor = env.qd(&["doctor"]);
    assert_eq!(doctor.code(), Some(1), "{doctor:?}");
    assert!(doctor.stdout.contains("qd journal rebuild"), "{doctor:?}");
    let answer = env.qd(&["journal", "rebuild", "--yes", "--json"]).json();
    assert!(fs::exists(answer["kept"].as_str().unwrap()).unwrap(), "{answer:#}");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    emit(&daemon, &pane, "one");
    assert_eq!(daemon.stop(), 0);
}

/// F-06: into files that have no name any more nothing is stored, and nobody is told that it was.
#[test]
fn f_06_nothing_counts_as_stored_once_the_files_are_gone() {
    for gone in [&["qd.db", "qd.db-wal", "qd.db-shm"][..], &["qd.db-wal"]] {
        let (env, daemon, pane) = scene();
        emit(&daemon, &pane, "one");
        for name in gone {
            fs::remove_file(env.home().join(name)).unwrap();
        }
        let refused = env.qd(&[
            "event",
            "emit",
            "--source",
            "hook",
            "--type",
            "task-started",
            "--pane",
            &pane,
        ]);
        assert_eq!(refused.code(), Some(1), "{refused:?}");
        assert!(refused.stderr.contains("E_STORE_READ_ONLY"), "{refused:?}");
        let health = daemon.api().get("/v1/health").expect(200);
        assert_eq!(health["status"], "read_only", "{health:#}");
        assert!(health.to_string().contains("removed or replaced"), "{health:#}");
        daemon.stop();
    }
}

/// Puts a copy of the database in its place, and takes away what belonged to the other one.
fn restore(env: &TestEnv, copy: &[u8]) {
    for log in ["qd.db-wal", "qd.db-shm"] {
        fs::remove_file(env.home().join(log)).ok();
    }
    fs::write(env.database(), copy).unwrap();
}

#[test]
fn f_06_s_28_a_rolled_back_copy_is_noticed_by_the_anchor() {
    let (env, daemon, pane) = scene();
    emit(&daemon, &pane, "one");
    assert_eq!(daemon.stop(), 0);
    env.sqlite_write("PRAGMA wal_checkpoint(TRUNCATE)").success();
    let old = fs::read(env.database()).unwrap();
    let daemon = env.daemon();
    for round in 0..50 {
        emit(&daemon, &pane, &format!("e{round}"));
    }
    assert_eq!(daemon.stop(), 0);
    restore(&env, &old);
    let verified = env.qd(&["journal", "verify"]);
    assert_eq!(verified.code(), Some(1), "{verified:?}");
}

#[test]
fn f_05_a_full_disk_refuses_writes_answers_reads_and_recovers() {
    let Some(disk) = Disk::mount(3) else { return };
    let env = disk.env();
    let pane = env.tmux().session("work", "exec cat");
    let daemon = env.daemon();
    let api = daemon.api();
    deck::listed(api, &pane);
    let filler = env.home().join("filler");
    let (mut acknowledged, mut refused) = (Vec::new(), None);
    disk.fill(&filler);
    for round in 0..3000 {
        let key = format!("e{round}");
        let mut body = event(&pane, &key);
        body["raw_payload"] = json!({ "password": "x", "note": "y".repeat(2000) });
        let reply = api.post("/v1/events", &body);
        if reply.status == 202 {
            acknowledged.push(key);
        } else {
            refused = Some(reply.error(507));
            break;
        }
    }
    assert_eq!(refused.as_deref(), Some("E_STORE_FULL"), "{} were accepted", acknowledged.len());
    assert_eq!(deck::items(api, "/v1/panes").len(), 1, "reads go on");
    assert_eq!(Watch::panes(api).1["items"].as_array().unwrap().len(), 1);
    // An upgrade, or a crash, finds the disk as full as it was.
    daemon.kill9();
    disk.fill(&env.home().join("filler-2"));
    let doctor = env.qd(&["doctor"]);
    assert!(doctor.stdout.contains("warn  daemon: not running; it could be"), "{doctor:?}");
    assert_eq!(doctor.code(), Some(1), "nothing can be stored: {doctor:?}");
    let daemon = env.daemon();
    let api = daemon.api();
    assert_eq!(deck::items(api, "/v1/panes").len(), 1, "another daemon can be asked as well");
    fs::remove_file(env.home().join("filler-2")).unwrap();
    fs::remove_file(&filler).unwrap();
    wait::until("it writes again by itself", || {
        (api.post("/v1/events", &event(&pane, "after")).status == 202).then_some(())
    });
    daemon.kill9();
    let daemon = env.daemon();
    assert_eq!(daemon.api().get("/v1/health").status, 200);
    let kept = env.sqlite("SELECT dedupe_key FROM events");
    for key in acknowledged {
        assert!(kept.lines().any(|it| it == key), "{key} was acknowledged and is lost");
    }
}

#[test]
fn a_read_only_home_is_said_and_not_worked_around() {
    // Root writes anywhere, so this needs a file system that refuses.
    let Some(disk) = Disk::mount(8) else { return };
    let env = disk.env();
    let pane = env.tmux().session("work", "exec cat");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    assert_eq!(daemon.stop(), 0);
    disk.remount("ro");
    let refused = env.try_daemon();
    let said = match refused {
        Err(said) => said,
        Ok(daemon) => daemon.api().get("/v1/health").text(),
    };
    disk.remount("rw");
    let said = said.to_lowercase().replace('_', "-");
    assert!(said.contains("read-only"), "{said}");
}

#[test]
fn files_of_the_home_are_never_widened_by_hand_made_permissions() {
    let (env, daemon, _pane) = scene();
    assert_eq!(daemon.stop(), 0);
    fs::set_permissions(env.home(), fs::Permissions::from_mode(0o777)).unwrap();
    match env.try_daemon() {
        Err(said) => assert!(said.contains("0700") || said.contains("permission"), "{said}"),
        Ok(_daemon) => {
            let mode = fs::metadata(env.home()).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "it is private again");
        }
    }
}

#[test]
fn f_01_acknowledged_events_survive_a_kill_9_at_any_moment() {
    let (env, mut daemon, pane) = scene();
    let mut acknowledged = Vec::new();
    for round in 0..12 {
        let api = env.api();
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut done = Vec::new();
                for number in 0.. {
                    let key = format!("r{round}n{number}");
                    let body = event(&pane, &key);
                    match api.try_post("/v1/events", &body) {
                        Some(reply) if reply.status == 202 => done.push(key),
                        Some(_) | None => break,
                    }
                    count.store(done.len(), Ordering::SeqCst);
                }
                done
            });
            // A different moment each round, by what was done and not by the clock.
            let enough = || (count.load(Ordering::SeqCst) > round).then_some(());
            wait::until("some are acknowledged", enough);
            testkit::process::signal(daemon.pid(), testkit::Signal::KILL);
            acknowledged.extend(writer.join().unwrap());
        });
        drop(daemon);
        daemon = env.daemon();
    }
    assert!(acknowledged.len() > 12 * 6, "only {} were acknowledged", acknowledged.len());
    let kept = env.sqlite("SELECT dedupe_key FROM events ORDER BY dedupe_key");
    let kept: Vec<_> = kept.lines().collect();
    for key in &acknowledged {
        let count = kept.iter().filter(|it| *it == key).count();
        assert_eq!(count, 1, "{key} was acknowledged and is there {count} times");
    }
    assert_eq!(daemon.stop(), 0);
    env.qd(&["journal", "verify"]).success();
}

/// A small file system of its own, where this machine lets us mount one.
struct Disk {
    env: Option<TestEnv>,
    mount: std::path::PathBuf,
}

impl Disk {
    fn mount(megabytes: u32) -> Option<Self> {
        let env = deck();
        env.make_home();
        let mount = env.home();
        let size = format!("size={megabytes}m,mode=700");
        let mut command = testkit::process::command("/bin/mount");
        command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&mount);
        let mounted = command.output().is_ok_and(|it| it.status.success());
        if !mounted {
            testkit::skipped("this machine lets nobody mount a file system");
            return None;
        }
        Some(Self { env: Some(env), mount })
    }

    fn env(&self) -> &TestEnv {
        self.env.as_ref().unwrap()
    }

    fn fill(&self, filler: &std::path::Path) {
        let mut file = fs::File::create(filler).unwrap();
        let block = [0u8; 4096];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
        assert!(self.mount.exists());
    }

    fn remount(&self, mode: &str) {
        let mut command = testkit::process::command("/bin/mount");
        command.args(["-o", &format!("remount,{mode}")]).arg(&self.mount);
        assert!(command.output().unwrap().status.success(), "remount {mode}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Everything that holds it open has to be gone before it can be taken away.
        let env = self.env.take().unwrap();
        env.end_everything();
        let mut command = testkit::process::command("/bin/umount");
        command.arg("-l").arg(&self.mount).output().ok();
        drop(env);
    }
}
