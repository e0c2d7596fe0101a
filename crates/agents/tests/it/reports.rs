//! Recorded hooks and notifications, heard one by one.

use agents::registry::Registry;
use engine::words::{Detail, State};
use serde_json::{Value, json};

use crate::corpus::{Kind, Recording, recordings};

fn recording(agent: &str) -> Recording {
    recordings().into_iter().find(|it| it.agent == agent).unwrap()
}

/// What an agent's adapter says to an event: state and reason, or nothing.
fn said(agent: &str, event: &str, payload: &Value) -> String {
    let report = Registry::built_in().get(agent).unwrap().hears(event, payload);
    report.claim.map_or("-".to_owned(), |claim| format!("{}/{}", claim.state, claim.reason))
}

/// What is told of a recorded event, as `detail=text` lines.
fn told(agent: &str, case: &str) -> String {
    let recording = recording(agent);
    let case = recording.of(Kind::Hook).find(|it| it.name == case).unwrap();
    let report = recording.heard(Registry::built_in().get(agent).unwrap(), case);
    let lines = report.details.iter().map(|(detail, text)| format!("{detail}={text}\n"));
    lines.collect()
}

#[test]
fn every_recorded_event_means_what_it_was() {
    let registry = Registry::built_in();
    for recording in recordings() {
        for case in recording.of(Kind::Hook) {
            let claim = recording.heard(registry.get(&recording.agent).unwrap(), case).claim;
            let right = claim.as_ref().map_or(case.truth.0.is_empty(), |it| case.truth.allows(it));
            assert!(right, "{} {}: {claim:?}", recording.agent, case.name);
        }
    }
}

#[test]
fn a_permission_names_session_tool_input_and_what_is_asked() {
    assert_eq!(
        told("claude", "PermissionRequest.Bash"),
        "session=bb90a470-91ab-436b-a8a6-b073525e0fd6\n\
         tool=Bash\n\
         tool_input=touch created.txt && echo made-it\n\
         ask=Bash: touch created.txt && echo made-it\n\
         directory=/home/dev/project\n"
    );
    assert!(told("claude", "PermissionRequest.AskUserQuestion").contains("\nask=Which colour?\n"));
    assert!(told("claude", "PermissionRequest.ExitPlanMode").contains("\nask=1. do a 2. do b\n"));
    assert!(told("codex", "PermissionRequest.Bash").contains("\nask=Bash: touch made-outside &&"));
    assert!(
        told("copilot", "permissionRequest.edit").contains("ask=edit: /home/dev/project/notes")
    );
    assert!(told("gemini", "Notification.ToolPermission").contains("ask=touch made1 && echo made"));
    assert!(told("opencode", "event.permission.asked").contains("ask=bash: touch made1 &&"));
}

#[test]
fn the_end_of_a_turn_takes_tool_and_question_away_and_leaves_the_last_message() {
    let told = told("claude", "Stop");
    for line in ["tool=\n", "tool_input=\n", "ask=\n", "last_message=The quick brown fox"] {
        assert!(told.contains(line), "{line} in {told}");
    }
}

#[test]
fn models_tokens_and_costs_are_told_where_they_are_reported() {
    assert!(told("claude", "SessionStart.startup").contains("model=claude-opus-4-8[1m]"));
    assert!(told("codex", "Stop").contains("model=fake-model"));
    assert!(told("gemini", "BeforeModel").contains("model=gemini-3.8-flash"));
    let updated = told("opencode", "event.session.updated");
    for line in ["model=fake-model", "tokens_in=0", "tokens_out=0", "cost=0"] {
        assert!(updated.contains(line), "{line} in {updated}");
    }
}

#[test]
fn a_prompt_begins_a_turn_and_nothing_else_does() {
    let registry = Registry::built_in();
    let prompts = ["UserPromptSubmit", "BeforeAgent", "userPromptSubmitted", "chat.message"];
    for recording in recordings() {
        for case in recording.of(Kind::Hook) {
            let report = recording.heard(registry.get(&recording.agent).unwrap(), case);
            let expected = prompts.contains(&case.name.as_str());
            assert_eq!(report.begins_turn, expected, "{} {}", recording.agent, case.name);
        }
    }
}

#[test]
fn a_reminder_of_a_permission_takes_no_better_reason_away() {
    let claude = recording("claude");
    let payload = claude.payload("Notification.permission_prompt");
    assert!(Registry::built_in().get("claude").unwrap().hears("Notification", &payload).repeats);
}

#[test]
fn subagents_change_nothing_but_what_they_ask_for() {
    let mut payload = json!({ "agent_id": "a1", "tool_name": "Bash", "tool_input": {} });
    for agent in ["claude", "codex"] {
        assert_eq!(said(agent, "PreToolUse", &payload), "-");
        assert_eq!(said(agent, "Stop", &payload), "-");
        assert_eq!(
            said(agent, "PermissionRequest", &payload),
            "waiting_approval/approval_requested"
        );
    }
    payload["agent_id"] = json!("");
    assert_eq!(said("claude", "PreToolUse", &payload), "running/active");
}

#[test]
fn the_hidden_thread_that_names_a_session_is_not_heard() {
    let payload = recording("codex").payload("notify");
    let codex = Registry::built_in();
    let codex = codex.get("codex").unwrap();
    assert!(codex.hears("agent-turn-complete", &payload).ignored);
    let mut real = payload;
    real["input-messages"] = json!(["Fix it"]);
    let report = codex.hears("agent-turn-complete", &real);
    assert_eq!(report.claim.unwrap().state, State::Completed);
    assert_eq!(report.only_of.as_deref(), real["thread-id"].as_str(), "and only if it is this one");
}

#[test]
fn failures_are_told_from_one_another() {
    let claude = |error: &str| said("claude", "StopFailure", &json!({ "error": error }));
    assert_eq!(claude("rate_limit"), "error/rate_limited");
    assert_eq!(claude("authentication_failed"), "error/api_error");
    let opencode = |name: &str, message: &str| {
        let error = json!({ "name": name, "data": { "message": message } });
        said("opencode", "session.error", &json!({ "properties": { "error": error } }))
    };
    assert_eq!(opencode("MessageAbortedError", ""), "idle/interrupted");
    assert_eq!(opencode("APIError", "Too Many Requests"), "error/rate_limited");
    assert_eq!(opencode("APIError", "no such model"), "error/api_error");
    let cursor = |status: &str| said("cursor", "stop", &json!({ "status": status }));
    assert_eq!(cursor("completed"), "completed/task_completed");
    assert_eq!(cursor("aborted"), "idle/interrupted");
    assert_eq!(cursor("error"), "error/api_error");
}

#[test]
fn a_turn_without_an_answer_is_a_plain_rest() {
    let payload = json!({ "prompt_response": "[no response text]" });
    assert_eq!(said("gemini", "AfterAgent", &payload), "idle/idle");
}

#[test]
fn the_usual_words_are_understood_of_every_agent() {
    for agent in ["claude", "codex", "gemini", "copilot", "cursor", "opencode"] {
        assert_eq!(
            said(agent, "needs_approval", &Value::Null),
            "waiting_approval/approval_requested"
        );
        assert_eq!(said(agent, "wrapper-start", &Value::Null), "running/active");
        assert_eq!(said(agent, "CoffeeReady", &Value::Null), "-");
    }
}

#[test]
fn capital_letters_do_not_matter() {
    let payload = json!({ "session_id": "s", "tool_name": "Bash" });
    assert_eq!(
        said("claude", "permissionrequest", &payload),
        "waiting_approval/approval_requested"
    );
    assert_eq!(said("claude", "sessionstart", &payload), "idle/idle");
    assert_eq!(said("codex", "STOP", &payload), "completed/task_completed");
    assert_eq!(said("copilot", "AgentStop", &payload), "completed/task_completed");
}

#[test]
fn an_agent_without_an_adapter_is_heard_by_the_usual_words() {
    let registry = Registry::built_in();
    let claim = registry.hear("unheard-of", "needs-approval", &Value::Null).claim.unwrap();
    assert_eq!(claim.state, State::WaitingApproval);
    assert_eq!(registry.hear("unheard-of", "PermissionRequest", &Value::Null).claim, None);
    assert!(registry.hear("claude", "PermissionRequest", &Value::Null).claim.is_some());
}

#[test]
fn a_detail_is_never_longer_than_what_is_kept() {
    let long = "x".repeat(100_000);
    let input = json!({ "tool_name": "Bash", "tool_input": { "command": long } });
    let report = Registry::built_in().get("claude").unwrap().hears("PermissionRequest", &input);
    assert!(report.details[&Detail::Ask].len() < 1_000);
    assert!(report.details[&Detail::ToolInput].len() < 1_000);
}
