//! What agents write into their own files.

use agents::adapter::{Adapter, FileKind, Proof, Reading, Running};
use agents::registry::Registry;
use engine::words::Detail;
use serde_json::json;

const CLAUDE: Running<'static> = Running {
    pid: 42,
    below: &[43],
    start_ticks: Some(700),
    home: "/home/a",
    folder: None,
    session: Some("s-1"),
};

fn read_as(agent: &str, kind: FileKind, content: &[u8]) -> Option<Reading> {
    Registry::built_in().get(agent).unwrap().reads_status(&CLAUDE, kind, content)
}

fn reads(agent: &str, content: &[u8]) -> Reading {
    let kind = if agent == "claude" { FileKind::Status } else { FileKind::Transcript };
    read_as(agent, kind, content).expect("whole words are there")
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
    let transcript = "/home/a/.claude/projects/*/s-1.jsonl";
    assert_eq!(path("claude", &CLAUDE), ["/home/a/.claude/sessions/42.json", transcript]);
    let moved = Running { folder: Some("/srv/c"), session: None, ..CLAUDE };
    assert_eq!(path("claude", &moved), ["/srv/c/sessions/42.json"]);
    let [named, any] = ["-s-1", ""]
        .map(|session| format!("/home/a/.codex/sessions/*/*/*/rollout-*{session}.jsonl"));
    assert_eq!(path("codex", &CLAUDE), [named.as_str(), any.as_str(), named.as_str()]);
    assert_eq!(path("codex", &moved), ["/srv/c/sessions/*/*/*/rollout-*.jsonl"]);
    assert_eq!(path("copilot", &CLAUDE), ["/home/a/.copilot/session-state/*/events.jsonl"]);
    assert_eq!(path("gemini", &CLAUDE), [""; 0]);
}

#[test]
fn where_the_name_does_not_tell_whose_a_file_is_something_else_has_to() {
    let proof = |agent: &str, running: &Running<'_>| {
        let registry = Registry::built_in();
        let files = registry.get(agent).unwrap().status_files(running);
        files.into_iter().map(|file| file.proof).collect::<Vec<_>>()
    };
    let proofs = [Proof::HeldOpen, Proof::HeldOpen, Proof::Name];
    assert_eq!(proof("codex", &CLAUDE), proofs);
    assert_eq!(proof("codex", &Running { session: None, ..CLAUDE }), [Proof::HeldOpen]);
    let users = ["inuse.42.lock", "inuse.43.lock"].map(str::to_owned).to_vec();
    assert_eq!(proof("copilot", &CLAUDE), [Proof::Beside(users)]);
}

#[test]
fn a_session_that_is_no_plain_name_leads_to_no_file() {
    let unknown = path("claude", &Running { session: None, ..CLAUDE });
    for session in ["../../etc/passwd", "*", ""] {
        let session = Some(session);
        assert_eq!(path("claude", &Running { session, ..CLAUDE }), unknown, "{session:?}");
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
    let torn = read_as("claude", FileKind::Status, b"{\"pid\":42,\"status\":\"bu");
    assert_eq!(torn, None, "being written");
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
    let tool = ["assistant.turn_start", "tool.execution_complete", "assistant.turn_end"];
    assert_eq!(after(&tool), "running/active", "the answer to the tool follows");
    assert_eq!(
        after(&[&tool[..], &["assistant.turn_start", "assistant.turn_end"]].concat()),
        "completed/turn_over"
    );
}

fn told(reading: &Reading) -> Vec<(&'static str, &str)> {
    reading.details.iter().map(|(detail, text)| (detail.as_str(), text.as_str())).collect()
}

fn lines(lines: &[serde_json::Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_permission_that_copilot_drops_after_an_interrupt_is_no_sign_of_work() {
    let asked = json!({ "type": "permission.requested", "data": { "permissionRequest": {} } });
    let dropped = json!({ "type": "permission.completed",
        "data": { "result": { "kind": "cancelled", "reason": "Session aborted" } } });
    let over = json!({ "type": "assistant.turn_end", "data": { "turnId": "0" } });
    let abort = json!({ "type": "abort", "data": { "reason": "user_initiated" } });
    let after = |order: [&serde_json::Value; 4]| {
        said(&reads("copilot", lines(&order.map(Clone::clone)).as_bytes()))
    };
    assert_eq!(after([&asked, &over, &abort, &dropped]), "idle/interrupted");
    assert_eq!(after([&asked, &dropped, &over, &abort]), "idle/interrupted");
}

#[test]
fn a_permission_in_copilots_events_says_what_for_until_it_is_answered() {
    let asked = [
        json!({ "type": "tool.execution_start", "data": { "toolName": "bash",
            "arguments": { "command": "touch b" } } }),
        json!({ "type": "permission.requested", "data": { "permissionRequest": {
            "kind": "shell", "fullCommandText": "touch b" } } }),
    ];
    let reading = reads("copilot", lines(&asked).as_bytes());
    assert_eq!(
        told(&reading),
        [("tool", "bash"), ("tool_input", "touch b"), ("ask", "shell: touch b")]
    );
    let done = [&asked[..], &[json!({ "type": "abort", "data": {} })]].concat();
    let reading = reads("copilot", lines(&done).as_bytes());
    assert_eq!(told(&reading), [("tool", ""), ("tool_input", ""), ("ask", "")]);
}

#[test]
fn claudes_transcript_tells_what_it_works_on_and_nothing_of_the_state() {
    let answer = |part| {
        json!({ "type": "assistant", "gitBranch": "main",
        "message": { "model": "opus", "content": [part] } })
    };
    let used = answer(json!({ "type": "tool_use", "name": "Bash", "input": { "command": "ls" } }));
    let said_so = answer(json!({ "type": "text", "text": "Looking." }));
    let side = json!({ "type": "assistant", "isSidechain": true,
        "message": { "model": "haiku", "content": [] } });
    let read =
        |written: &[_]| read_as("claude", FileKind::Transcript, lines(written).as_bytes()).unwrap();
    let reading = read(&[said_so.clone(), used.clone(), side]);
    assert_eq!(reading.claim, None);
    assert_eq!(
        told(&reading),
        [
            ("model", "opus"),
            ("tool", "Bash"),
            ("tool_input", "ls"),
            ("last_message", "Looking."),
            ("branch", "main")
        ]
    );
    let stopped = json!({ "type": "user", "message": { "content": "[Request interrupted]" } });
    assert_eq!(told(&read(&[said_so, used, stopped]))[1..3], [("tool", ""), ("tool_input", "")]);
    assert_eq!(read_as("claude", FileKind::Transcript, b"one long line that is cut"), None);
}

#[test]
fn a_rollout_tells_the_tool_at_work_and_the_model() {
    let begun = [
        json!({ "type": "session_meta", "payload": { "id": "s-1", "cwd": "/p" } }),
        json!({ "type": "turn_context", "payload": { "model": "gpt", "cwd": "/p" } }),
        json!({ "type": "event_msg", "payload": { "type": "task_started" } }),
        json!({ "type": "response_item", "payload": { "type": "function_call",
            "name": "exec_command", "arguments": "{\"cmd\":\"ls\"}" } }),
    ];
    let reading = reads("codex", lines(&begun).as_bytes());
    assert_eq!(
        told(&reading),
        [
            ("session", "s-1"),
            ("model", "gpt"),
            ("tool", "exec_command"),
            ("tool_input", "ls"),
            ("directory", "/p")
        ]
    );
    let given = json!({ "type": "response_item", "payload": { "type": "function_call_output" } });
    let reading = reads("codex", lines(&[&begun[..], &[given]].concat()).as_bytes());
    assert_eq!(told(&reading)[2..4], [("tool", ""), ("tool_input", "")]);
    assert_eq!(said(&reading), "running/active");
}

#[test]
fn agents_without_such_a_file_say_nothing() {
    let registry = Registry::built_in();
    for adapter in
        registry.iter().filter(|it| ["gemini", "cursor", "opencode"].contains(&it.agent()))
    {
        assert_eq!(Adapter::reads_status(adapter, &CLAUDE, FileKind::Status, b"{}"), None);
    }
}
