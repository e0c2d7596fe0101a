//! What must hold for any payload that an agent hands to its hook.

use agents::registry::Registry;
use serde_json::Value;

/// Bytes of the longest detail that is kept.
const DETAIL_BYTES_MAX: usize = 4_096;

/// Events by which the first byte names one, of every agent.
const EVENTS: &[&str] = &[
    "PermissionRequest",
    "Notification",
    "Stop",
    "StopFailure",
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "SessionStart",
    "SessionEnd",
    "PostCompact",
    "PostModelRequest",
    "agent-turn-complete",
    "AfterAgent",
    "AfterTool",
    "BeforeTool",
    "PreCompress",
    "permissionRequest",
    "notification",
    "agentStop",
    "errorOccurred",
    "stop",
    "beforeShellExecution",
    "session.status",
    "session.error",
    "session.updated",
    "permission.asked",
    "permission.replied",
    "question.asked",
    "event",
    "needs-approval",
];

pub(crate) fn check(input: &[u8]) {
    let Some((&choice, payload)) = input.split_first() else { return };
    let event = EVENTS[usize::from(choice) % EVENTS.len()];
    let Ok(payload) = serde_json::from_slice::<Value>(payload) else { return };
    for adapter in Registry::built_in().iter() {
        let report = adapter.hears(event, &payload);
        assert_eq!(adapter.hears(event, &payload), report, "the same event means the same");
        let ignored = report.ignored && (report.claim.is_some() || report.begins_turn);
        assert!(!ignored, "what is ignored says nothing");
        let short = report.details.values().all(|text| text.len() <= DETAIL_BYTES_MAX);
        assert!(short, "a detail is too long");
    }
}
