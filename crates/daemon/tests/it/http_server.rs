//! The server itself: connections, a failing disk, and the end.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::json;
use testkit::{Next, wait};

use crate::http_world::{World, agent_pane, pane};

fn event(key: &str) -> serde_json::Value {
    json!({
        "event_type": "task-started",
        "source": "hook",
        "dedupe_key": key,
        "target": "local",
        "pane_id": "%1",
    })
}

#[test]
fn a_full_disk_refuses_what_is_new_and_still_answers() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    world.set_disk(Some(ErrorKind::StorageFull));
    assert_eq!(world.http.post("/v1/events", &event("k1")).error(507), "E_STORE_FULL");
    let target = json!({ "name": "b", "kind": "local", "tmux_socket": "b" });
    assert_eq!(world.http.post("/v1/targets", &target).error(507), "E_STORE_FULL");
    assert_eq!(world.pane(1)["state"], "unknown");
    let health = world.get("/v1/health");
    assert_eq!(
        (&health["status"], &health["store_mode"]),
        (&json!("degraded"), &json!("read_write"))
    );
    assert_eq!(health["warnings"][0]["code"], "store_failing");
    for list in ["panes", "windows", "sessions", "targets"] {
        let list = world.get(&format!("/v1/{list}"));
        assert_eq!(list["partial"], true, "{list:#}");
        assert_eq!(list["target_errors"][0]["code"], "E_STORE_FULL", "{list:#}");
        assert_eq!(list["responded_targets"], json!([]), "{list:#}");
        assert_eq!(list["warnings"][0]["code"], "store_failing", "{list:#}");
    }
    world.set_disk(None);
    assert_eq!(world.emit(&event("k1"))["status"], "bound", "what was refused was not done");
    assert_eq!(world.pane(1)["state"], "running");
    assert_eq!(world.get("/v1/health")["status"], "ok");
}

#[test]
fn a_full_disk_that_has_room_again_is_noticed_also_where_nothing_is_to_be_stored() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    world.set_disk(Some(ErrorKind::StorageFull));
    assert_eq!(world.http.post("/v1/events", &event("k1")).error(507), "E_STORE_FULL");
    world.set_disk(None);
    wait::until("it is over", || (world.get("/v1/health")["status"] == "ok").then_some(()));
    let list = world.get("/v1/panes");
    assert_eq!((&list["partial"], &list["warnings"]), (&json!(false), &json!([])), "{list:#}");
}

#[test]
fn a_broken_disk_leaves_the_daemon_read_only() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    world.set_disk(Some(ErrorKind::Other));
    let first = world.http.post("/v1/events", &event("k1"));
    assert!(matches!(first.status, 500 | 503), "{}", first.text());
    world.set_disk(None);
    assert_eq!(world.http.post("/v1/events", &event("k2")).error(503), "E_STORE_READ_ONLY");
    // A damaged store may not know what it has lost: that is no reason to call it unknown.
    let mut elsewhere = event("k3");
    elsewhere["target"] = json!("lost");
    assert_eq!(world.http.post("/v1/events", &elsewhere).error(503), "E_STORE_READ_ONLY");
    let health = world.get("/v1/health");
    assert_eq!(
        (&health["status"], &health["store_mode"]),
        (&json!("read_only"), &json!("read_only"))
    );
    assert_eq!(health["warnings"][0]["code"], "store_read_only");
    let panes = world.get("/v1/panes");
    assert_eq!((&panes["summary"]["total"], &panes["partial"]), (&json!(1), &json!(true)));
    assert_eq!(panes["target_errors"][0]["code"], "E_STORE_READ_ONLY", "{panes:#}");
    let unknown = world.http.get("/v1/panes?target=lost");
    assert_eq!(unknown.error(503), "E_STORE_READ_ONLY", "nor is it for a reader");
    assert_eq!(world.watch("").frame()["type"], "snapshot");
}

/// What was so when storing ended is not shown as if it were so now, to nobody who asks or watches.
#[test]
fn nothing_of_the_past_is_shown_as_present_once_the_disk_is_broken() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    assert_eq!(world.http.post("/v1/events", &event("k1")).status, 202);
    let runtime = world.runtime(1);
    let mut watchers: Vec<_> =
        ["", "?scope=sessions", "?scope=windows"].into_iter().map(|it| world.watch(it)).collect();
    let mut cursor = String::new();
    for watcher in &mut watchers {
        let snapshot = watcher.frame();
        assert_eq!(snapshot["summary"]["by_state"]["running"], 1, "{snapshot:#}");
        cursor = snapshot["cursor"].as_str().unwrap().to_owned();
    }
    world.set_disk(Some(ErrorKind::Other));
    let refused = world.http.post("/v1/events", &event("k2"));
    assert!(matches!(refused.status, 500 | 503), "{}", refused.text());

    let is_past = |item: &serde_json::Value| item["state"] == "unknown";
    for watcher in &mut watchers {
        let told = watcher.frame();
        assert_eq!(told["warnings"][0]["code"], "store_read_only", "{told:#}");
        assert_eq!(told["summary"]["by_state"]["unknown"], 1, "{told:#}");
        assert_eq!(told["items"].as_array().unwrap().len(), 1, "{told:#}");
    }
    let resumed = world.watch(&format!("?cursor={cursor}")).frame();
    assert!(is_past(&resumed["items"][0]), "{resumed:#}");
    let pane = world.pane(1);
    assert!(is_past(&pane), "{pane:#}");
    assert_eq!(pane["last_known"]["state"], "running", "{pane:#}");
    let explained = world.get(&format!("/v1/runtimes/{runtime}/explain"));
    assert_eq!(explained["warnings"][0]["code"], "store_read_only", "{explained:#}");
    assert_eq!(
        (&explained["target_health"], &explained["rule"], &explained["evidence"][0]["won"]),
        (&json!("down"), &json!("target_down"), &json!(false)),
        "{explained:#}"
    );
    let target = &world.get("/v1/targets")["items"][0];
    assert_eq!(
        (&target["health"], &target["health_reason"], &target["observer_mode"]),
        (&json!("down"), &json!("E_STORE_READ_ONLY"), &json!("none")),
        "{target:#}"
    );
    let told = &world.get("/v1/health")["targets"][0];
    assert_eq!(told["health_reason"], "E_STORE_READ_ONLY", "{told:#}");
}

#[test]
fn one_connection_carries_many_requests() {
    let world = World::showing(vec![pane(1)]);
    let mut socket = UnixStream::connect(world.http.socket()).unwrap();
    socket.set_read_timeout(Some(wait::BOUND)).unwrap();
    let request = "GET /v1/panes HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/nowhere HTTP/1.1\r\nhost: x\r\n\r\n\
                   HEAD /v1/panes HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    socket.write_all(request.as_bytes()).unwrap();
    let mut answers = String::new();
    socket.read_to_string(&mut answers).unwrap();
    let statuses: Vec<_> =
        answers.match_indices("HTTP/1.1 ").map(|(at, _)| &answers[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "404", "200"]);
    assert!(answers.ends_with("\r\n\r\n"), "the answer to HEAD has no body");
}

#[test]
fn a_client_of_any_version_is_served() {
    let world = World::new();
    for version in ["0.0.1", "99.0.0", daemon::http::VERSION, "new", ""] {
        let reply = world.http.send("GET", "/v1/health", &[("qd-version", version)], b"");
        assert_eq!(reply.header("qd-version"), Some(daemon::http::VERSION));
        assert_eq!(reply.status, 200, "{version}");
    }
}

#[test]
fn what_is_no_http_is_turned_away_and_harms_nobody() {
    let world = World::new();
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n", b"{}\r\n\r\n"]
    {
        let mut socket = UnixStream::connect(world.http.socket()).unwrap();
        socket.set_read_timeout(Some(wait::BOUND)).unwrap();
        socket.write_all(bytes).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(head.contains("connection: close"), "{answer}");
        assert!(body.contains("\"code\":\"E_BAD_REQUEST\""), "{answer}");
    }
    assert_eq!(world.get("/v1/health")["status"], "ok");
}

#[test]
fn more_connections_than_there_is_room_for_are_told_so() {
    let (soft, _) = file_limit();
    if soft < 8_000 {
        testkit::skipped("this process may not open enough files");
        return;
    }
    let world = World::new();
    let connect = || UnixStream::connect(world.http.socket()).unwrap();
    let idle: Vec<UnixStream> = (0..2_048).map(|_| connect()).collect();
    let refused = wait::until("a connection to be refused", || {
        let reply = world.http.try_get("/v1/health")?;
        (reply.status != 200).then_some(reply)
    });
    assert_eq!(refused.error(503), "E_OVERLOADED");
    drop(idle);
    wait::until("room", || (world.http.try_get("/v1/health")?.status == 200).then_some(()));
}

fn file_limit() -> (u64, u64) {
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    (limits.current.unwrap_or(u64::MAX), limits.maximum.unwrap_or(u64::MAX))
}

#[test]
fn the_daemon_ends_when_it_is_asked_to_and_says_goodbye() {
    let mut world = World::showing(vec![pane(1)]);
    let mut stream = world.watch("");
    stream.frame();
    let mut idle = UnixStream::connect(world.http.socket()).unwrap();
    let accepted = world.http.post("/v1/shutdown", &json!({ "reason": "upgrade" })).expect(202);
    assert_eq!(accepted["pid"], std::process::id());
    let reset = stream.frame();
    assert_eq!((&reset["type"], &reset["reason"]), (&json!("reset"), &json!("upgraded")));
    assert!(matches!(stream.next_line(Duration::from_secs(5)), Next::Ended));
    world.stop(api::watch::ResetReason::Shutdown);
    assert_eq!(idle.read(&mut [0]).unwrap(), 0, "a connection without a request is closed");
    assert!(world.http.try_get("/v1/health").is_none());
}

#[test]
fn a_request_that_never_ends_does_not_hold_up_the_end() {
    let mut world = World::new();
    let mut socket = UnixStream::connect(world.http.socket()).unwrap();
    socket
        .write_all(b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        .unwrap();
    wait::until("the request to be under way", || {
        (world.get("/v1/health")["status"] == "ok").then_some(())
    });
    world.stop(api::watch::ResetReason::Shutdown);
    let mut rest = Vec::new();
    drop(socket.read_to_end(&mut rest));
}
