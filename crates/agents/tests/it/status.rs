//! What agents write into their own files.

use agents::adapter::{Adapter, Reading, Running};
use agents::registry::Registry;
use engine::words::Detail;
use serde_json::json;

const CLAUDE: Running<'static> = Running {
    pid: 42,
    start_ticks: Some(700),
    home: "/home/a",
    folder: None,
    session: Some("s-1"),
};

fn reads(agent: &str, content: &[u8]) -> Reading {
    Registry::built_in().get(agent).unwrap().reads_status(&CLAUDE, content)
}

fn said(reading: &Reading) -> String {
    let claim = reading.claim.as_ref();
    claim.map_or("-".to_owned(), |claim| format!("{}/{}", claim.state, claim.reason))
}

fn path(agent: &str, running: &Running<'_>) -> Vec<String> {
    let registry = Registry::built_in();
    let files = registry.get(agent).unwrap().status_files(running);
    files.into_iter().map(|file| file.path).collect()
}

#[test]
fn the_file_of_a_session_is_found_by_process_or_session() {
    assert_eq!(path("claude", &CLAUDE), ["/home/a/.claude/sessions/42.json"]);
    let moved = Running { folder: Some("/srv/c"), ..CLAUDE };
    assert_eq!(path("claude", &moved), ["/srv/c/sessions/42.json"]);
    assert_eq!(path("codex", &CLAUDE), ["/home/a/.codex/sessions/*/*/*/rollout-*-s-1.jsonl"]);
    assert_eq!(path("copilot", &CLAUDE), ["/home/a/.copilot/session-state/s-1/events.jsonl"]);
    assert_eq!(path("gemini", &CLAUDE), [""; 0]);
}

#[test]
fn a_session_that_is_no_plain_name_leads_to_no_file() {
    for session in [None, Some("../../etc/passwd"), Some("*"), Some("")] {
        assert_eq!(path("copilot", &Running { session, ..CLAUDE }), [""; 0], "{session:?}");
    }
}

#[test]
fn every_status_of_claude_is_known() {
    let check = |status: &str, waiting: &str, expected: &str| {
        let file = json!({ "pid": 42, "procStart": "700", "sessionId": "s-1", "cwd": "/p",
            "status": status, "waitingFor": waiting });
        let reading = reads("claude", file.to_string().as_bytes());
        assert_eq!(said(&reading), expected, "{status} {waiting}");
        assert_eq!(reading.details[&Detail::Session], "s-1");
    };
    check("busy", "", "running/active");
    check("idle", "", "idle/idle");
    check("shell", "", "idle/idle");
    check("waiting", "permission prompt", "waiting_approval/approval_requested");
    check("waiting", "worker request", "waiting_approval/approval_requested");
    check("waiting", "sandbox request", "waiting_approval/approval_requested");
    check("waiting", "dialog open", "waiting_input/dialog_open");
    check("waiting", "input needed", "waiting_input/question");
    check("waiting", "", "waiting_approval/approval_requested");
    check("dreaming", "", "-");
}

#[test]
fn a_file_that_a_killed_process_left_behind_is_not_believed() {
    let file = |pid: u32, start: &str| {
        let file = json!({ "pid": pid, "procStart": start, "status": "busy" });
        said(&reads("claude", file.to_string().as_bytes()))
    };
    assert_eq!(file(42, "700"), "running/active");
    assert_eq!(file(43, "700"), "-");
    assert_eq!(file(42, "699"), "-", "another process was given the same number");
    assert_eq!(said(&reads("claude", b"{\"pid\":42,\"status\":\"bu")), "-", "being written");
}

#[test]
fn the_last_word_of_a_rollout_decides() {
    let event =
        |kind: &str| json!({ "type": "event_msg", "payload": { "type": kind } }).to_string();
    let read = |lines: &[String]| reads("codex", lines.join("\n").as_bytes());
    let mut lines = vec!["ut off\"}".to_owned(), event("task_started")];
    assert_eq!(said(&read(&lines)), "running/active");
    lines.push(json!({ "type": "response_item", "payload": { "type": "message" } }).to_string());
    assert_eq!(said(&read(&lines)), "running/active");
    lines.push(event("turn_aborted"));
    assert_eq!(said(&read(&lines)), "idle/interrupted");
    let tokens = json!({ "type": "event_msg", "payload": { "type": "token_count",
        "info": { "total_token_usage": { "input_tokens": 1200, "output_tokens": 60 } } } });
    lines.push(tokens.to_string());
    let done = json!({ "type": "event_msg", "payload": { "type": "task_complete",
        "last_agent_message": "Done.", "error": null } });
    lines.push(done.to_string());
    let reading = read(&lines);
    assert_eq!(said(&reading), "completed/task_completed");
    let told = |detail| reading.details.get(&detail).map(String::as_str);
    assert_eq!(told(Detail::LastMessage), Some("Done."));
    assert_eq!((told(Detail::TokensIn), told(Detail::TokensOut)), (Some("1200"), Some("60")));
    let failed = |error: &str| {
        let line = json!({ "type": "event_msg",
            "payload": { "type": "task_complete", "error": { "message": error } } });
        said(&read(&[line.to_string()]))
    };
    assert_eq!(failed("400"), "error/api_error");
    assert_eq!(failed("last status: 429 Too Many Requests"), "error/rate_limited");
    lines.push("{\"type\":\"event_msg\",\"payload\":{\"type\":\"task_sta".to_owned());
    assert_eq!(said(&read(&lines)), "completed/task_completed", "a line that is being written");
}

#[test]
fn the_last_word_of_copilots_events_decides() {
    let after = |kinds: &[&str]| {
        let lines = kinds.iter().map(|kind| json!({ "type": kind, "data": {} }).to_string());
        said(&reads("copilot", lines.collect::<Vec<_>>().join("\n").as_bytes()))
    };
    assert_eq!(after(&["user.message", "assistant.turn_start"]), "running/active");
    let asked = ["tool.execution_start", "permission.requested"];
    assert_eq!(after(&asked), "waiting_approval/approval_requested");
    assert_eq!(after(&["permission.requested", "permission.completed"]), "running/active");
    assert_eq!(after(&["assistant.turn_start", "assistant.turn_end"]), "completed/turn_over");
    assert_eq!(after(&["permission.completed", "abort"]), "idle/interrupted");
    assert_eq!(after(&["session.error"]), "error/api_error");
    assert_eq!(after(&["assistant.turn_end", "session.info"]), "completed/turn_over");
    assert_eq!(after(&["session.info"]), "-");
}

#[test]
fn agents_without_such_a_file_say_nothing() {
    let registry = Registry::built_in();
    for adapter in
        registry.iter().filter(|it| ["gemini", "cursor", "opencode"].contains(&it.agent()))
    {
        assert_eq!(Adapter::reads_status(adapter, &CLAUDE, b"{}"), Reading::default());
    }
}
