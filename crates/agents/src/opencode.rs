//! opencode: the events of its bus, which a plugin passes on, and its screen. Its title never tells
//! the state.

mod setup;

use engine::words::{Detail, Source, State, reason};
use serde_json::Value;

use crate::adapter::{Adapter, Capabilities, Readings, Report, Surface};
use crate::payload;
use crate::program::Program;
use crate::setup::Setup;
use crate::view::{self, Seen, View};
use crate::vocabulary;

/// Versions whose screens are in the corpus.
const COVERED: &[&str] = &["1.18.33"];

/// What makes the program something else than a session in a terminal.
const OTHER_COMMANDS: &[&str] = &[
    "acp",
    "agent",
    "auth",
    "debug",
    "export",
    "github",
    "import",
    "mcp",
    "models",
    "serve",
    "stats",
    "upgrade",
    "uninstall",
    "web",
    "-v",
    "--version",
    "-h",
    "--help",
];

pub(crate) struct Opencode;

impl Adapter for Opencode {
    fn agent(&self) -> &'static str {
        "opencode"
    }

    fn name(&self) -> &'static str {
        "opencode-plugin"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            event_driven: true,
            polling_required: false,
            supports_waiting_approval: true,
            supports_waiting_input: true,
            supports_completed: true,
        }
    }

    fn covers(&self) -> &'static [&'static str] {
        COVERED
    }

    fn recognises(&self, program: &Program<'_>) -> bool {
        // npm's package puts the program itself where others have a script, under this name.
        let own = matches!(program.file(), "opencode" | "opencode.exe");
        (own || program.runs_script("opencode", "opencode-ai"))
            && !program.is_told_to(OTHER_COMMANDS)
    }

    /// The plugin may name the bus event itself, or say that it is one.
    fn hears(&self, event: &str, payload: &Value) -> Report {
        let named = event.strip_prefix("event").unwrap_or(event).trim_start_matches([':', '.']);
        let event = if named.is_empty() { payload::text(payload, "type") } else { named };
        let properties = payload.get("properties").or_else(|| payload.get("i")).unwrap_or(payload);
        if !payload::text_at(properties, "/info/parentID").is_empty() {
            return Report::ignored();
        }
        meaning(event, payload, properties)
            .telling(Detail::Session, payload::text(properties, "sessionID"))
    }

    fn reads(&self, surface: &Surface<'_>) -> Readings {
        let seen = look(&View::of(surface.screen));
        Readings::from([(Source::Screen, view::screen_reading(COVERED, surface, seen.as_ref()))])
    }

    fn setup(&self) -> Option<&'static Setup> {
        Some(&setup::SETUP)
    }
}

fn meaning(event: &str, payload: &Value, properties: &Value) -> Report {
    let running = || Report::claiming(State::Running, "active");
    match event {
        "chat.message" => running()
            .settled()
            .beginning_turn()
            .telling(Detail::Model, payload::text_at(properties, "/model/modelID")),
        "session.status" => status(properties),
        // It closes every turn, after what tells how the turn ended.
        "session.idle" => {
            Report::claiming(State::Completed, "task_completed").settled().repeating()
        }
        "session.error" => failed(properties),
        "session.created" | "session.updated" => of_session(properties),
        "permission.asked" => permission(properties),
        "permission.replied" if payload::text(properties, "reply") == "reject" => {
            Report::claiming(State::Idle, "interrupted").settled()
        }
        "permission.replied" | "question.replied" | "question.rejected" => {
            running().with(Detail::Ask, "")
        }
        "question.asked" => {
            let asked = payload::text_at(properties, "/questions/0/question");
            Report::claiming(State::WaitingInput, "question")
                .telling(Detail::Ask, payload::short(asked))
        }
        "tool.execute.before" => {
            let input = payload.pointer("/o/args").map(payload::tool_input).unwrap_or_default();
            running()
                .with(Detail::Tool, payload::text(properties, "tool"))
                .with(Detail::ToolInput, input)
        }
        "tool.execute.after" => running().settled(),
        "plugin.init" => {
            Report::default().telling(Detail::Directory, payload::text(payload, "directory"))
        }
        // Everything else is told of texts, settings and catalogues.
        event if event.starts_with("message.") || event.starts_with("session.") => {
            Report::default()
        }
        other => vocabulary::report(other),
    }
}

fn status(properties: &Value) -> Report {
    match payload::text_at(properties, "/status/type") {
        "busy" => Report::claiming(State::Running, "active"),
        "retry" => Report::claiming(State::Running, "api_retry"),
        // The event that the session is idle follows, after what tells how the turn ended.
        _ => Report::default(),
    }
}

fn failed(properties: &Value) -> Report {
    if payload::text_at(properties, "/error/name") == "MessageAbortedError" {
        return Report::claiming(State::Idle, "interrupted").settled();
    }
    let message = payload::text_at(properties, "/error/data/message");
    Report::claiming(State::Error, view::failure(message))
        .settled()
        .telling(Detail::LastMessage, payload::long(message))
}

fn of_session(properties: &Value) -> Report {
    let info = properties.get("info").unwrap_or(&Value::Null);
    Report::default()
        .telling(Detail::Directory, payload::text(info, "directory"))
        .telling(Detail::Model, payload::text_at(info, "/model/id"))
        .telling(Detail::TokensIn, payload::count_at(info, "/tokens/input"))
        .telling(Detail::TokensOut, payload::count_at(info, "/tokens/output"))
        .telling(Detail::Cost, payload::cost_at(info, "/cost"))
}

fn permission(properties: &Value) -> Report {
    let tool = payload::text(properties, "permission");
    let input = properties.get("metadata").map(payload::tool_input).unwrap_or_default();
    Report::claiming(State::WaitingApproval, "approval_requested")
        .with(Detail::Ask, payload::ask(tool, &input))
}

/// What the bottom of the screen shows.
fn look(view: &View) -> Option<Seen> {
    match view.find_above(view.len(), is_edge) {
        Some(edge) => below_composer(view, edge),
        None => dialog(view),
    }
    .or_else(|| dialog(view))
}

/// The lower edge of the frame for the next prompt.
fn is_edge(line: &str) -> bool {
    line.trim_start().starts_with("╹▀▀▀")
}

fn below_composer(view: &View, edge: usize) -> Option<Seen> {
    let footer = view.joined(edge + 1, view.len());
    // The frame of a dialog has no such edge, and then this one is text further up.
    let framed = view.line(edge.checked_sub(1)?).trim_start().starts_with('┃');
    let covered = (edge + 1..view.len()).any(|at| view.line(at).trim_start().starts_with('┃'));
    if !framed || covered {
        return None;
    }
    if footer.contains("[retrying in") {
        return Some(Seen::new(State::Running, "api_retry", "`retrying` below the composer"));
    }
    if footer.contains("esc interrupt") || footer.contains("esc again to interrupt") {
        return Some(Seen::new(State::Running, "active", "`esc interrupt` below the composer"));
    }
    if !footer.contains("ctrl+p commands") {
        return None;
    }
    // Above the frame, which is drawn at the left, stands the last entry.
    let frame = |line: &str| !line.trim_start().starts_with('┃');
    let entry = view.find_above(edge, |line| !line.is_empty() && frame(line));
    let entry = entry.map_or("", |at| view.line(at)).trim_start();
    if entry.starts_with('▣') && entry.ends_with("· interrupted") {
        return Some(Seen::new(State::Idle, "interrupted", "`interrupted` as the last entry"));
    }
    Some(Seen::new(State::Idle, reason::IDLE, "`ctrl+p commands` below the composer"))
}

/// A frame without its lower edge, as the last thing on the screen.
fn dialog(view: &View) -> Option<Seen> {
    let framed = |line: &str| line.trim_start().starts_with('┃');
    if !framed(view.last()) {
        return None;
    }
    let above = view.find_above(view.len(), |line| !framed(line));
    let inside = view.unframed(above.map_or(0, |at| at + 1), '┃');
    let text = inside.joined(0, inside.len());
    if !text.contains("enter confirm") && !text.contains("enter submit") {
        return None;
    }
    let head = text.trim_start_matches(['△', ' ']);
    if text.starts_with("△ Permission required") && text.contains("Allow once") {
        let seen =
            Seen::new(State::WaitingApproval, "approval_requested", "`△ Permission required`");
        let asked = head.split("Allow once").next().unwrap_or_default();
        return Some(seen.asking(asked));
    }
    Some(view::some_dialog("frame with keys at the bottom").asking(head))
}
