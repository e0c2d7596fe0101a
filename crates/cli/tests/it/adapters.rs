//! The adapters of the agents, through the built binary: hooks as real agents fired them, and the
//! states that people see.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::deck::{self, deck};

/// What an agent's hook was given, as it was recorded.
fn recorded(agent: &str, case: &str) -> String {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../agents/tests/corpus");
    let versions = fs::read_dir(Path::new(corpus).join(agent)).unwrap();
    let newest = versions.map(|it| it.unwrap().path()).max().unwrap();
    let text = fs::read(newest.join(format!("hooks/{case}.json"))).unwrap();
    let record: Value = serde_json::from_slice(&text).unwrap();
    record.get("payload").unwrap_or(&record).to_string()
}

/// Fires hooks in a pane, one after the other, and checks the state and reason after each.
#[track_caller]
fn hooks_come_to(agent: &str, steps: &[(&str, String, &str)]) {
    let env = deck();
    let daemon = env.daemon();
    let pane = env.tmux().session("work", "exec sh");
    deck::listed(daemon.api(), &pane);
    for (number, (event, payload, expected)) in steps.iter().enumerate() {
        let file = env.path(&format!("payload-{number}"));
        fs::write(&file, payload).unwrap();
        let (qd, file) = (env.qd_program().display(), file.display());
        // One that asks for a permission waits for its answer.
        env.tmux().type_line(&pane, &format!("{qd} hook {agent} {event} < {file} &"));
        let what = format!("{expected} after {event}");
        let item = deck::pane_where(daemon.api(), &pane, &what, |it| {
            let state = deck::text(it, "state");
            format!("{state}/{}", deck::text(it, "reason_code")) == *expected
        });
        assert_eq!(item["agent_type"], agent);
    }
}

/// A step whose payload was recorded under the name of its event, and perhaps more.
fn step<'a>(agent: &str, case: &'a str, expected: &'a str) -> (&'a str, String, &'a str) {
    (case.split('.').next().unwrap(), recorded(agent, case), expected)
}

#[test]
fn tc_015_hooks_of_claude_come_to_the_right_states() {
    let steps = [
        ("UserPromptSubmit", "running/active"),
        ("PermissionRequest.Bash", "waiting_approval/approval_requested"),
        ("PostToolUse.Bash", "running/active"),
        ("PermissionRequest.AskUserQuestion", "waiting_input/question"),
        ("PermissionRequest.ExitPlanMode", "waiting_approval/plan"),
        ("Stop", "completed/task_completed"),
        ("PreCompact.manual", "running/compacting"),
        ("StopFailure.server_error", "error/api_error"),
        ("SessionEnd.other", "idle/session_ended"),
    ];
    hooks_come_to("claude", &steps.map(|(case, expected)| step("claude", case, expected)));
}

#[test]
fn tc_016_hooks_of_codex_come_to_the_right_states() {
    let steps = [
        ("UserPromptSubmit", "running/active"),
        ("PermissionRequest.Bash", "waiting_approval/approval_requested"),
        ("Interrupt", "idle/interrupted"),
        ("PreToolUse.Bash", "running/active"),
        ("Stop", "completed/task_completed"),
    ];
    hooks_come_to("codex", &steps.map(|(case, expected)| step("codex", case, expected)));
}

#[test]
fn tc_033_hooks_of_gemini_come_to_the_right_states() {
    let steps = [
        ("BeforeAgent", "running/active"),
        ("Notification.ToolPermission", "waiting_approval/approval_requested"),
        ("AfterAgent", "completed/task_completed"),
    ];
    hooks_come_to("gemini", &steps.map(|(case, expected)| step("gemini", case, expected)));
}

#[test]
fn tc_036_hooks_of_copilot_come_to_the_right_states() {
    let steps = [
        ("userPromptSubmitted", "running/active"),
        ("permissionRequest.bash", "waiting_approval/approval_requested"),
        ("agentStop", "completed/task_completed"),
    ];
    hooks_come_to("copilot", &steps.map(|(case, expected)| step("copilot", case, expected)));
}

/// Nothing could be recorded of this one; the payloads are made after its documentation.
#[test]
fn tc_037_hooks_of_cursor_come_to_the_right_states() {
    let stopped = |status: &str| format!(r#"{{"status":"{status}"}}"#);
    let steps = [
        ("beforeSubmitPrompt", "{}".to_owned(), "running/active"),
        ("stop", stopped("completed"), "completed/task_completed"),
        ("beforeSubmitPrompt", "{}".to_owned(), "running/active"),
        ("stop", stopped("aborted"), "idle/interrupted"),
    ];
    hooks_come_to("cursor", &steps);
}
