//! Cursor's agent for the terminal: hooks, as its documentation describes them. Nothing of it was
//! recorded, so its screen is not read.

mod setup;

use engine::words::{Detail, State};
use serde_json::Value;

use crate::adapter::{Adapter, Capabilities, Readings, Report, Surface};
use crate::payload;
use crate::program::{Program, lies_in};
use crate::setup::Setup;
use crate::vocabulary;

pub(crate) struct Cursor;

impl Adapter for Cursor {
    fn agent(&self) -> &'static str {
        "cursor"
    }

    fn name(&self) -> &'static str {
        "cursor-hook"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            event_driven: true,
            polling_required: false,
            supports_waiting_approval: false,
            supports_waiting_input: false,
            supports_completed: true,
        }
    }

    fn recognises(&self, program: &Program<'_>) -> bool {
        // It brings its own interpreter along. The editor of the same house lies elsewhere.
        let script = program.script().unwrap_or_default();
        program.file() == "cursor-agent"
            || program.runs_script("cursor-agent", "cursor-agent")
            || (lies_in(script, "cursor-agent") && Program::file_of(script) == "index.js")
    }

    fn hears(&self, event: &str, payload: &Value) -> Report {
        meaning(event, payload)
            .telling(Detail::Session, payload::text(payload, "conversation_id"))
            .telling(Detail::Directory, payload::text_at(payload, "/workspace_roots/0"))
            .telling(Detail::Model, payload::text(payload, "model"))
    }

    fn reads(&self, _surface: &Surface<'_>) -> Readings {
        Readings::new()
    }

    fn setup(&self) -> Option<&'static Setup> {
        Some(&setup::SETUP)
    }
}

/// All its events, also those that say nothing of the state.
const EVENTS: &[&str] = &[
    "beforeSubmitPrompt",
    "preToolUse",
    "beforeShellExecution",
    "beforeMCPExecution",
    "postToolUse",
    "postToolUseFailure",
    "afterShellExecution",
    "afterMCPExecution",
    "afterFileEdit",
    "afterAgentResponse",
    "preCompact",
    "stop",
    "sessionEnd",
    "sessionStart",
    "beforeReadFile",
    "subagentStart",
    "subagentStop",
    "afterAgentThought",
];

fn meaning(event: &str, payload: &Value) -> Report {
    let running = || Report::claiming(State::Running, "active");
    match vocabulary::spelled(event, EVENTS) {
        "beforeSubmitPrompt" => running().settled().beginning_turn(),
        "preToolUse" | "beforeShellExecution" | "beforeMCPExecution" => before_tool(payload),
        "postToolUse"
        | "postToolUseFailure"
        | "afterShellExecution"
        | "afterMCPExecution"
        | "afterFileEdit" => running().settled(),
        "afterAgentResponse" => Report::default()
            .telling(Detail::LastMessage, payload::long(payload::text(payload, "text"))),
        "preCompact" => Report::claiming(State::Running, "compacting"),
        "stop" => stopped(payload),
        "sessionEnd" => Report::claiming(State::Idle, "session_ended").settled(),
        "" => vocabulary::report(event),
        _ => Report::default(),
    }
}

/// It comes before the question whether the tool may run; that it runs is told afterwards.
fn before_tool(payload: &Value) -> Report {
    let input = payload.get("tool_input").unwrap_or(payload);
    let tool = match payload::text(payload, "tool_name") {
        "" => "Shell",
        tool => tool,
    };
    Report::default().with(Detail::Tool, tool).with(Detail::ToolInput, payload::tool_input(input))
}

fn stopped(payload: &Value) -> Report {
    let (state, reason) = match payload::text(payload, "status") {
        "aborted" => (State::Idle, "interrupted"),
        "error" => (State::Error, "api_error"),
        _ => (State::Completed, "task_completed"),
    };
    Report::claiming(state, reason).settled()
}
