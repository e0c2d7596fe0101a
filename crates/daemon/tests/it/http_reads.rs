//! Lists, roll-ups and single things, as they are read.

use serde_json::json;

use crate::http_world::{World, agent_pane, in_session, in_window, pane, pane_ids};

#[test]
fn tc_017_every_pane_is_listed_with_its_identity_and_its_state() {
    let world = World::showing(vec![pane(1), agent_pane(2, "claude")]);
    world.hook(2, "approval-requested", "k1");
    let list = world.get("/v1/panes");
    assert_eq!(list["schema_version"], "v1");
    assert_eq!(list["partial"], false);
    assert_eq!(list["requested_targets"], json!(["local"]));
    assert_eq!(pane_ids(&list), ["%1", "%2"]);
    let (shell, agent) = (&list["items"][0], &list["items"][1]);
    assert_eq!(
        shell["identity"],
        json!({
            "target": "local",
            "session_id": "$1",
            "session_name": "work",
            "window_id": "@1",
            "pane_id": "%1",
        })
    );
    assert_eq!(shell["display_category"], "unmanaged");
    assert_eq!(shell["agent_presence"], "none");
    assert_eq!(agent["state"], "waiting_approval");
    assert_eq!(agent["needs_user_action"], true);
    assert_eq!(agent["awaiting_response_kind"], "approval");
    assert_eq!(agent["last_event_type"], "approval-requested");
    let summary = &list["summary"];
    assert_eq!(summary["total"], 2);
    assert_eq!(summary["by_agent"], json!({ "claude": 1, "none": 1 }));
    assert_eq!(summary["by_state"]["waiting_approval"], 1);
    assert_eq!(summary["by_target"], json!({ "local": 2 }));
}

#[test]
fn tc_042_windows_and_sessions_are_the_sums_of_their_panes() {
    let world = World::showing(vec![
        in_window(1, 0, agent_pane(1, "claude")),
        in_window(1, 1, agent_pane(2, "codex")),
        in_window(2, 0, pane(3)),
        in_session(2, "rest", pane(4)),
    ]);
    world.hook(1, "task-started", "k1");
    world.hook(2, "needs-input", "k2");
    let windows = world.get("/v1/windows?with_agent_status");
    let first = &windows["items"][1];
    assert_eq!(first["identity"]["window_id"], "@1");
    assert_eq!(first["top_state"], "waiting_input");
    assert_eq!(first["top_category"], "attention");
    assert_eq!((&first["waiting_count"], &first["running_count"]), (&json!(1), &json!(1)));
    assert_eq!(first["total_panes"], 2);
    assert_eq!(first["panes"][1]["agent_type"], "codex");
    let sessions = world.get("/v1/sessions?agent_summary");
    let work = &sessions["items"][1];
    assert_eq!(work["identity"]["session_name"], "work");
    assert_eq!(work["total_panes"], 3);
    assert_eq!(work["total_windows"], 2);
    assert_eq!(work["by_agent"], json!({ "claude": 1, "codex": 1, "none": 1 }));
    assert_eq!(work["agents"][0]["top_state"], "running");
    assert_eq!(sessions["summary"]["total"], 4);
}
