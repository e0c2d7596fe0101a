//! The watch stream: resumable without gap or repetition, honest about what it cannot give, and
//! harmless however badly it is read.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use testkit::{Daemon, Http, Next, TestEnv, wait};

use crate::deck::{self, Watch, deck, encoded};

fn scene() -> (TestEnv, Daemon, String) {
    let env = deck();
    let pane = env.tmux().session("work", "exec cat");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    (env, daemon, pane)
}

/// Renames the window so often, and waits until the last name is there.
fn rename(env: &TestEnv, api: &Http, pane: &str, names: impl Iterator<Item = String>) {
    for name in names {
        env.tmux().ok(&["rename-window", "-t", pane, &name]);
        deck::pane_where(api, pane, &name, |item| item["window_name"] == *name);
    }
}

fn window_names(watch: &Watch, pane: &str) -> Vec<String> {
    let of_pane = watch.changes.iter().filter(|(_, it)| it["identity"]["pane_id"] == pane);
    of_pane.map(|(_, it)| deck::text(&it["item"], "window_name")).collect()
}

#[test]
fn tc_019_watch_resumes_without_gap_or_duplicate() {
    let (env, daemon, pane) = scene();
    let api = daemon.api();
    let (mut whole, _) = Watch::panes(api);
    let mut pieces = Vec::new();
    let (watch, _) = Watch::panes(api);
    let mut cursor = watch.cursor();
    drop(watch);
    for round in 0..5 {
        rename(&env, api, &pane, (0..3).map(|n| format!("r{round}n{n}")));
        let last = format!("r{round}n2");
        let mut watch = Watch::resume(api, &cursor);
        // Half of the time the watcher leaves in the middle of what it has missed.
        let until = if round % 2 == 0 { last.clone() } else { format!("r{round}n1") };
        watch.upsert_of(&pane, &until, |item| item["window_name"] == *until);
        cursor = watch.cursor();
        pieces.extend(watch.changes);
    }
    let mut watch = Watch::resume(api, &cursor);
    watch.next_within(Duration::from_millis(500)).ok();
    pieces.extend(watch.changes);
    whole.upsert_of(&pane, "the end", |item| item["window_name"] == "r4n2");
    let keyed = |changes: &[(u64, Value)]| -> BTreeMap<(u64, String), u32> {
        let mut keys = BTreeMap::new();
        for (sequence, change) in changes {
            *keys.entry((*sequence, change["identity"].to_string())).or_default() += 1;
        }
        keys
    };
    let (pieces, whole) = (keyed(&pieces), keyed(&whole.changes));
    assert!(pieces.values().all(|count| *count == 1), "repeated: {pieces:#?}");
    for key in whole.keys() {
        assert!(pieces.contains_key(key), "missed {key:?}: {pieces:#?}");
    }
}

#[test]
fn a_cursor_is_good_for_ever_so_many_resumptions() {
    let (env, daemon, pane) = scene();
    let api = daemon.api();
    let (watch, _) = Watch::panes(api);
    let cursor = watch.cursor();
    rename(&env, api, &pane, ["one", "two"].map(str::to_owned).into_iter());
    for _ in 0..3 {
        let mut watch = Watch::resume(api, &cursor);
        watch.upsert_of(&pane, "two", |item| item["window_name"] == "two");
        assert_eq!(window_names(&watch, &pane).last().unwrap(), "two");
    }
}

#[test]
fn panes_of_a_target_that_was_removed_before_a_restart_go_under_its_name() {
    let (env, daemon, _pane) = scene();
    let far = env.tmux_at("far.sock");
    far.ok(&["new-session", "-d", "-s", "far", "exec cat"]);
    let socket = env.path("far.sock").display().to_string();
    env.qd(&["target", "add", "far", "--tmux-socket", &socket]).success();
    let of_far = |change: &Value| change["identity"]["target"] == "far";
    let (mut watch, snapshot) = Watch::panes(daemon.api());
    if !snapshot["items"].as_array().unwrap().iter().any(of_far) {
        watch.upsert("the pane there", of_far);
    }
    let cursor = watch.cursor();
    drop(watch);
    env.qd(&["target", "remove", "far", "--yes"]).success();
    daemon.kill9();
    let daemon = env.daemon();
    let mut watch = Watch::resume(daemon.api(), &cursor);
    watch.delete("its end", |identity| identity["target"] == "far");
    far.ok(&["kill-server"]);
}

#[test]
fn tc_020_a_cursor_of_another_database_gets_a_reset_and_then_a_snapshot() {
    let (_env, daemon, pane) = scene();
    let api = daemon.api();
    for cursor in ["another-database:7", "another-database:0"] {
        let path = format!("/v1/watch?scope=panes&cursor={}", encoded(cursor));
        let mut stream = api.stream(&path, &[]);
        let reset = stream.frame();
        assert_eq!(reset["type"], "reset", "{reset}");
        assert!(reset["items"].is_null(), "a reset has no items: {reset}");
        let snapshot = stream.frame();
        assert_eq!(snapshot["type"], "snapshot", "{snapshot}");
        assert!(snapshot["items"].to_string().contains(&pane), "{snapshot:#}");
    }
}

#[test]
fn tc_020_a_cursor_of_the_future_gets_a_reset_too() {
    let (_env, daemon, _pane) = scene();
    let (watch, _) = Watch::panes(daemon.api());
    let stream_id = watch.cursor().split(':').next().unwrap().to_owned();
    let cursor = format!("{stream_id}:9000000000");
    let path = format!("/v1/watch?scope=panes&cursor={}", encoded(&cursor));
    let mut stream = daemon.api().stream(&path, &[]);
    assert_eq!(stream.frame()["type"], "reset");
    assert_eq!(stream.frame()["type"], "snapshot");
}

#[test]
fn tc_018_malformed_cursors_are_refused_by_name() {
    let (_env, daemon, _pane) = scene();
    for cursor in
        ["", "nocolon", "a:", ":1", "a:-1", "a:x", "a:1:2", "a:99999999999999999999", "a b:1"]
    {
        let reply = daemon.api().get(&format!("/v1/watch?scope=panes&cursor={}", encoded(cursor)));
        assert_eq!(reply.error(400), "E_CURSOR_INVALID", "{cursor:?}");
    }
}

#[test]
fn a_snapshot_equals_the_list_at_the_same_sequence() {
    let (_env, daemon, _pane) = scene();
    for scope in ["panes", "windows", "sessions"] {
        let mut watch = Watch::open(daemon.api(), &format!("scope={scope}"));
        let snapshot = watch.next();
        let list = daemon.api().get(&format!("/v1/{scope}")).expect(200);
        let identities = |answer: &Value| -> Vec<Value> {
            let items = answer["items"].as_array().unwrap();
            items.iter().map(|item| item["identity"].clone()).collect()
        };
        assert_eq!(identities(&snapshot), identities(&list), "{scope}");
        assert_eq!(snapshot["scope"], scope);
        for field in ["schema_version", "generated_at", "emitted_at", "filters", "summary"] {
            assert!(!snapshot[field].is_null(), "{scope}: no {field}: {snapshot}");
        }
    }
}

#[test]
fn windows_and_sessions_follow_as_panes_do() {
    let (env, daemon, pane) = scene();
    let mut windows = Watch::open(daemon.api(), "scope=windows");
    let mut sessions = Watch::open(daemon.api(), "scope=sessions");
    assert_eq!(windows.next()["type"], "snapshot");
    assert_eq!(sessions.next()["type"], "snapshot");
    env.tmux().split(&pane, "exec cat");
    windows.upsert("two panes", |item| item["total_panes"] == 2);
    sessions.upsert("two panes", |item| item["total_panes"] == 2);
    env.tmux().session("other", "exec cat");
    sessions.upsert("other", |item| item["identity"]["session_name"] == "other");
    env.tmux().ok(&["kill-session", "-t", "=other"]);
    sessions.delete("other", |identity| identity["session_name"] == "other");
}

#[test]
fn a_filtered_stream_shows_what_enters_and_leaves_the_filter() {
    let (env, daemon, pane) = scene();
    let mut watch = Watch::open(daemon.api(), "scope=panes&session=play");
    assert_eq!(watch.next()["items"].as_array().unwrap().len(), 0);
    env.tmux().ok(&["rename-session", "-t", "=work", "play"]);
    watch.upsert_of(&pane, "entered", |item| item["identity"]["session_name"] == "play");
    env.tmux().ok(&["rename-session", "-t", "=play", "work"]);
    watch.delete_of(&pane);
}

#[test]
fn the_same_stream_comes_as_server_sent_events() {
    let (env, daemon, pane) = scene();
    let accept = [("accept", "text/event-stream")];
    let mut stream = daemon.api().stream("/v1/watch?scope=panes", &accept);
    let kind = stream.header("content-type").unwrap().to_owned();
    assert!(kind.starts_with("text/event-stream"), "{kind}");
    let (id, snapshot) = event(&mut stream);
    assert_eq!(snapshot["type"], "snapshot");
    assert!(snapshot["cursor"].as_str().unwrap().ends_with(&id), "{id}: {snapshot}");
    env.tmux().ok(&["rename-window", "-t", &pane, "seen"]);
    let (id, delta) = loop {
        let (id, frame) = event(&mut stream);
        if frame.to_string().contains("seen") {
            break (id, frame);
        }
    };
    assert_eq!(delta["type"], "delta");
    drop(stream);
    env.tmux().ok(&["rename-window", "-t", &pane, "again"]);
    let resume = [("accept", "text/event-stream"), ("last-event-id", &*id)];
    let mut stream = daemon.api().stream("/v1/watch?scope=panes", &resume);
    let (_, next) = event(&mut stream);
    assert_eq!(next["type"], "delta", "it goes on after the id: {next}");
    assert!(!next.to_string().contains("\"seen\""), "and repeats nothing: {next}");
}

/// The next event of an SSE stream, as its id and its data.
#[track_caller]
fn event(stream: &mut testkit::Stream) -> (String, Value) {
    let (mut id, mut data) = (String::new(), String::new());
    loop {
        match stream.next_line(wait::BOUND) {
            Next::Line(line) if line.is_empty() && !data.is_empty() => {
                return (id, serde_json::from_str(&data).unwrap());
            }
            Next::Line(line) => {
                if let Some(value) = line.strip_prefix("id:") {
                    id = value.trim().to_owned();
                } else if let Some(value) = line.strip_prefix("data:") {
                    data += value.trim_start();
                }
            }
            other @ (Next::Ended | Next::Broken | Next::Silent) => panic!("no event: {other:?}"),
        }
    }
}

#[test]
fn f_14_watchers_that_never_read_are_cut_and_slow_nobody() {
    let (env, daemon, pane) = scene();
    let api = daemon.api();
    let asleep: Vec<_> = (0..100).map(|_| api.stream("/v1/watch?scope=panes", &[])).collect();
    let (mut awake, _) = Watch::panes(api);
    let before = resident_kb(daemon.pid());
    let payload = "x".repeat(200);
    for round in 0..300 {
        let event = crate::events::numbered(&pane, round, &payload);
        assert_eq!(api.post("/v1/events", &event).status, 202);
    }
    env.tmux().ok(&["rename-window", "-t", &pane, "the-end"]);
    let begun = wait::now();
    awake.upsert_of(&pane, "the end", |item| item["window_name"] == "the-end");
    assert!(begun.elapsed() < Duration::from_secs(5), "took {:?}", begun.elapsed());
    let grown = resident_kb(daemon.pid()).saturating_sub(before);
    assert!(grown < 100 * 1024, "100 stopped watchers cost {grown} kB");
    drop(asleep);
    assert_eq!(api.get("/v1/health").status, 200);
}

fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_command_line_watches_line_by_line_and_once() {
    let (env, _daemon, pane) = scene();
    let once = env.qd(&["watch", "--once", "--format", "jsonl"]).success();
    let frame: Value = serde_json::from_str(once.lines().next().unwrap()).unwrap();
    assert_eq!(once.lines().count(), 1);
    assert_eq!(frame["type"], "snapshot");
    let mut running = env.invoke(&["watch", "--format", "jsonl"]).start();
    let first: Value = serde_json::from_str(&running.line()).unwrap();
    assert_eq!(first["type"], "snapshot");
    env.tmux().ok(&["rename-window", "-t", &pane, "flushed"]);
    while !running.line().contains("flushed") {}
    let cursor = deck::text(&first, "cursor");
    let mut resumed = env.invoke(&["watch", "--format", "jsonl", "--cursor", &cursor]).start();
    let frame: Value = serde_json::from_str(&resumed.line()).unwrap();
    assert_eq!(frame["type"], "delta", "{frame}");
    let refused = env.qd(&["watch", "--format", "jsonl", "--cursor", "nonsense"]);
    assert!(refused.fails_with(2).contains("E_CURSOR_INVALID"));
}

#[test]
fn the_command_line_goes_on_by_itself_after_a_restart_of_the_daemon() {
    let (env, daemon, pane) = scene();
    let mut running = env.invoke(&["watch", "--format", "jsonl"]).start();
    assert!(running.line().contains("snapshot"));
    daemon.kill9();
    let _daemon = env.daemon();
    env.tmux().ok(&["rename-window", "-t", &pane, "after-the-restart"]);
    loop {
        let line = running.line();
        assert!(!line.contains("\"snapshot\""), "it resumed, it did not start again: {line}");
        if line.contains("after-the-restart") {
            break;
        }
    }
}

#[test]
fn a_watch_whose_reader_went_away_ends_without_waiting_for_news() {
    let env = deck();
    let _daemon = env.daemon();
    let qd = env.qd_program().display();
    let line = format!("{qd} watch --format jsonl | head -1");
    let shown = env.run_program(env.path("bin/sh"), &["-c", &line]).success();
    assert!(shown.starts_with('{'), "{shown}");
}
