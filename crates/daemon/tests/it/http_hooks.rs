//! Hooks that report over HTTP: bound to the pane that the caller runs in, and never an error
//! because nobody knows them.

use engine::pane::ProcessIdentity;
use serde_json::{Value, json};
use testkit::Reply;

use crate::http_world::{World, agent_pane, pane};

fn post(world: &World, event: &str, body: &Value) -> Reply {
    world.http.post(&format!("/v1/hooks/{event}"), body)
}

/// A world in one of whose panes this very test runs.
fn within_pane_1() -> World {
    let mut mine = agent_pane(1, "claude");
    mine.process = ProcessIdentity { pid: std::process::id(), ..ProcessIdentity::default() };
    mine.agent = None;
    World::showing(vec![mine, pane(2)])
}

#[test]
fn a_hook_reports_about_the_pane_it_runs_in() {
    let world = within_pane_1();
    let report = json!({
        "session_id": "s", "hook_event_name": "needs-approval", "token": "hunter2", "new": [1],
    });
    let answer = post(&world, "permissionrequest", &report).expect(200);
    assert_eq!((&answer["status"], &answer["task_id"]), (&json!("ok"), &json!(null)));
    let item = world.pane(1);
    assert_eq!(item["state"], "waiting_approval", "{item:#}");
    assert_eq!(item["last_event_type"], "claude-needs-approval");
    assert_eq!(world.pane(2)["last_event_type"], json!(null));
    let explained = world.http.get(&format!("/v1/runtimes/{}/explain", world.runtime(1))).text();
    assert!(!explained.contains("hunter2"), "{explained}");
}

#[test]
fn a_hook_from_no_pane_is_ignored_and_a_broken_one_is_refused() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    for event in
        ["sessionstart", "stop", "permissionrequest", "sessionend", "notification", "posttooluse"]
    {
        let answer = post(&world, event, &json!({ "session_id": "s" })).expect(200);
        assert_eq!(answer["status"], "ignored", "{event}: {answer}");
    }
    assert_eq!(post(&world, "stop", &json!({ "cwd": "/" })).error(400), "E_BAD_REQUEST");
    assert_eq!(post(&world, "stop", &json!({ "session_id": "" })).error(400), "E_BAD_REQUEST");
    assert_eq!(post(&world, "stop", &json!({ "session_id": 7 })).error(400), "E_BAD_REQUEST");
    assert_eq!(post(&world, "tea", &json!({ "session_id": "s" })).error(404), "E_ROUTE_NOT_FOUND");
    let long = json!({ "session_id": "s", "text": "x".repeat(1_100_000) });
    assert_eq!(post(&world, "stop", &long).error(413), "E_BODY_TOO_LARGE");
    assert_eq!(world.pane(1)["last_event_type"], json!(null));
}
