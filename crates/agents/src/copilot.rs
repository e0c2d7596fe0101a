//! GitHub Copilot CLI: hooks, a file of events for each session, and its screen. Its title never
//! tells the state.

mod dialogs;
mod setup;

use engine::approval::Asked;
use engine::words::{Confidence, Detail, Source, State, reason};
use serde_json::Value;

use crate::adapter::{
    Adapter, Capabilities, FileKind, Proof, Reading, Readings, Report, Running, StatusFile, Surface,
};
use crate::asking;
use crate::composer::{self, Composer, Manner};
use crate::dialog::{self, Dialog};
use crate::launch::{Launch, Place};
use crate::payload;
use crate::program::Program;
use crate::screen::Screen;
use crate::setup::Setup;
use crate::tail;
use crate::view::{self, Seen, View};
use crate::vocabulary;

/// Versions whose screens are in the corpus.
const COVERED: &[&str] = &["1.0.102"];

/// What makes the program something else than a session in a terminal. Another program of the same
/// name manages containers; its commands are among them.
const OTHER_COMMANDS: &[&str] = &[
    "help",
    "login",
    "mcp",
    "plugin",
    "update",
    "version",
    "app",
    "env",
    "svc",
    "job",
    "task",
    "pipeline",
    "deploy",
    "storage",
    "secret",
    "-v",
    "--version",
    "-h",
    "--help",
];

pub(crate) struct Copilot;

impl Adapter for Copilot {
    fn agent(&self) -> &'static str {
        "copilot"
    }

    fn name(&self) -> &'static str {
        "copilot-hook"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            event_driven: true,
            polling_required: true,
            supports_waiting_approval: true,
            supports_waiting_input: true,
            supports_completed: true,
        }
    }

    fn covers(&self) -> &'static [&'static str] {
        COVERED
    }

    fn recognises(&self, program: &Program<'_>) -> bool {
        let own = program.file() == "copilot" || program.runs_script("copilot", "@github/copilot");
        own && !program.is_told_to(OTHER_COMMANDS)
    }

    fn hears(&self, event: &str, payload: &Value) -> Report {
        meaning(event, payload)
            .telling(Detail::Session, payload::text(payload, "sessionId"))
            .telling(Detail::Directory, payload::text(payload, "cwd"))
    }

    fn composer(&self, screen: &Screen) -> Option<Composer> {
        let (top, bottom) = frame(&View::of(screen))?;
        let first = if screen.lines[top].text().starts_with('❯') { top } else { top + 1 };
        Some(composer::contents(screen, first..bottom, '❯'))
    }

    fn manner(&self) -> Manner {
        Manner {
            enter_after_ms: 200,
            folds: &["[Paste #", "[Saved pasted content"],
            ..Manner::CAREFUL
        }
    }

    fn asks(&self, event: &str, payload: &Value) -> Option<Asked> {
        let input = payload.get("toolInput").or_else(|| payload.get("toolArgs"));
        let tool = payload::text(payload, "toolName");
        asking::by_tool(event, tool, input.unwrap_or(&Value::Null), payload)
    }

    fn dialog(&self, screen: &Screen) -> Option<Dialog> {
        let view = View::of(screen);
        let seen = look(&view).filter(Seen::is_waiting)?;
        dialog::read(&seen, &dialog::framed(&view)?, 0, screen.width, &dialogs::ASKING)
    }

    fn reads(&self, surface: &Surface<'_>) -> Readings {
        let seen = look(&View::of(surface.screen));
        Readings::from([(Source::Screen, view::screen_reading(COVERED, surface, seen.as_ref()))])
    }

    fn folder_variable(&self) -> Option<&'static str> {
        Some("COPILOT_HOME")
    }

    fn status_files(&self, agent: &Running<'_>) -> Vec<StatusFile> {
        let folder = agent.folder.map_or_else(|| format!("{}/.copilot", agent.home), str::to_owned);
        // The process that uses a session says so in the name of a file beside its events.
        let users = std::iter::once(&agent.pid).chain(agent.below);
        let users = users.map(|pid| format!("inuse.{pid}.lock")).collect();
        let path = format!("{folder}/session-state/*/events.jsonl");
        vec![StatusFile { path, kind: FileKind::Transcript, proof: Proof::Beside(users) }]
    }

    fn reads_status(
        &self,
        _agent: &Running<'_>,
        _kind: FileKind,
        content: &[u8],
    ) -> Option<Reading> {
        events(content)
    }

    fn setup(&self) -> Option<&'static Setup> {
        Some(&setup::SETUP)
    }

    fn launch(&self, place: &Place<'_>) -> Option<Launch> {
        Some(setup::launch(place))
    }
}

/// All its events, also those that say nothing of the state.
const EVENTS: &[&str] = &[
    "userPromptSubmitted",
    "preToolUse",
    "postToolUse",
    "postToolUseFailure",
    "permissionRequest",
    "notification",
    "agentStop",
    "errorOccurred",
    "preCompact",
    "sessionEnd",
    "sessionStart",
    "userPromptTransformed",
    "subagentStart",
    "subagentStop",
];

fn meaning(event: &str, payload: &Value) -> Report {
    let running = || Report::claiming(State::Running, "active");
    match vocabulary::spelled(event, EVENTS) {
        "userPromptSubmitted" => running().settled().beginning_turn(),
        "preToolUse" => of_tool(running(), payload, "toolArgs").with(Detail::Ask, ""),
        "postToolUse" | "postToolUseFailure" => running().settled(),
        "permissionRequest" => permission(payload),
        "notification" => notification(payload),
        "agentStop" => stopped(payload),
        "errorOccurred" => failed(payload),
        "preCompact" => Report::claiming(State::Running, "compacting"),
        "sessionEnd" => Report::claiming(State::Idle, "session_ended").settled(),
        "" => vocabulary::report(event),
        // The session starts with its first prompt, which is told by itself.
        _ => Report::default(),
    }
}

fn of_tool(report: Report, payload: &Value, input: &str) -> Report {
    let input = payload.get(input).map(payload::tool_input).unwrap_or_default();
    report.with(Detail::Tool, payload::text(payload, "toolName")).with(Detail::ToolInput, input)
}

fn permission(payload: &Value) -> Report {
    let tool = payload::text(payload, "toolName");
    let input = payload.get("toolInput").map(payload::tool_input).unwrap_or_default();
    let report = Report::claiming(State::WaitingApproval, "approval_requested");
    of_tool(report, payload, "toolInput").with(Detail::Ask, payload::ask(tool, &input))
}

fn notification(payload: &Value) -> Report {
    let ask = payload::short(payload::text(payload, "message"));
    match payload::text(payload, "notification_type") {
        // It follows the request as soon as the dialog stands.
        "permission_prompt" => {
            Report::claiming(State::WaitingApproval, "approval_requested").repeating()
        }
        "elicitation_dialog" => {
            Report::claiming(State::WaitingInput, "question").telling(Detail::Ask, ask)
        }
        _ => Report::default(),
    }
}

fn stopped(payload: &Value) -> Report {
    let (state, reason) = match payload::text(payload, "stopReason") {
        "abort" | "aborted" | "cancelled" => (State::Idle, "interrupted"),
        "error" => (State::Error, "api_error"),
        _ => (State::Completed, "task_completed"),
    };
    Report::claiming(state, reason).settled()
}

/// Each failed try is told, and the last like the others, also as recoverable. A request that was
/// refused is not tried again.
fn failed(payload: &Value) -> Report {
    let message = payload::text_at(payload, "/error/message");
    let lost = payload.get("recoverable").and_then(Value::as_bool) == Some(false);
    if lost || message.contains("invalid_request_error") {
        return Report::claiming(State::Error, view::failure(message)).settled();
    }
    Report::claiming(State::Running, "api_retry")
}

/// The last word of the session's events about its turn, and what they tell beside.
fn events(content: &[u8]) -> Option<Reading> {
    let mut told = None;
    // The model's answer to a tool is a turn of its own, though the prompt is still the same.
    let mut goes_on = false;
    for line in tail::lines(content) {
        let reading = told.get_or_insert_with(|| Reading::silent("no word about a turn"));
        let (reading, data) = (std::mem::take(reading), &line["data"]);
        let event = payload::text(&line, "type");
        goes_on = match event {
            "assistant.turn_start" => false,
            "tool.execution_complete" => true,
            _ => goes_on,
        };
        let over = event == "assistant.turn_end" && !goes_on;
        let reading = match claim_of(event, over, data) {
            Some(claimed) => Reading { details: reading.details, ..claimed }.without(Detail::Ask),
            None => reading,
        };
        told = Some(beside(reading, event, data));
    }
    told
}

/// What an event says of the state. `over` is the end of a turn that no other follows.
fn claim_of(event: &str, over: bool, data: &Value) -> Option<Reading> {
    let claim =
        |state, reason, mark| Some(Reading::claiming(state, reason, Confidence::High, mark));
    match event {
        "user.message" => claim(State::Running, reason::ACTIVE, "user.message"),
        "assistant.turn_start" => claim(State::Running, reason::ACTIVE, "assistant.turn_start"),
        "tool.execution_start" => claim(State::Running, reason::ACTIVE, "tool.execution_start"),
        "tool.execution_complete" => {
            claim(State::Running, reason::ACTIVE, "tool.execution_complete")
        }
        "permission.requested" => {
            claim(State::WaitingApproval, reason::APPROVAL_REQUESTED, "permission.requested")
        }
        // What was broken off is told by `abort`, which may come first.
        "permission.completed" if payload::text_at(data, "/result/kind") == "cancelled" => None,
        "permission.completed" => claim(State::Running, reason::ACTIVE, "permission.completed"),
        "assistant.turn_end" if over => {
            claim(State::Completed, reason::TURN_OVER, "assistant.turn_end")
        }
        "abort" => claim(State::Idle, "interrupted", "abort"),
        "session.error" => {
            let reason = view::failure(payload::text(data, "message"));
            claim(State::Error, reason, "session.error")
        }
        "session.shutdown" => claim(State::Idle, "session_ended", "session.shutdown"),
        _ => None,
    }
}

/// What an event tells beside the state.
fn beside(reading: Reading, event: &str, data: &Value) -> Reading {
    match event {
        "session.start" => reading
            .telling(Detail::Session, payload::text(data, "sessionId"))
            .telling(Detail::Model, payload::text(data, "selectedModel"))
            .telling(Detail::Directory, payload::text_at(data, "/context/cwd"))
            .telling(Detail::Branch, payload::text_at(data, "/context/branch")),
        "session.model_change" => reading.telling(Detail::Model, payload::text(data, "newModel")),
        "assistant.message" => {
            reading.telling(Detail::LastMessage, payload::long(payload::text(data, "content")))
        }
        "tool.execution_start" => reading
            .telling(Detail::Tool, payload::text(data, "toolName"))
            .without(Detail::ToolInput)
            .telling(Detail::ToolInput, payload::tool_input(&data["arguments"])),
        "permission.requested" => reading.telling(Detail::Ask, wanted(&data["permissionRequest"])),
        "user.message"
        | "tool.execution_complete"
        | "abort"
        | "session.error"
        | "session.shutdown" => reading.without(Detail::Tool).without(Detail::ToolInput),
        _ => reading,
    }
}

/// What a permission is wanted for.
fn wanted(request: &Value) -> String {
    const FIELDS: &[&str] =
        &["fullCommandText", "fileName", "path", "url", "toolName", "intention"];
    let told = FIELDS.iter().map(|field| payload::text(request, field));
    let told = told.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    payload::ask(payload::text(request, "kind"), &payload::short(told))
}

/// What the bottom of the screen shows.
fn look(view: &View) -> Option<Seen> {
    match composer(view) {
        Some(top) => at_composer(view, top),
        None => dialog(view),
    }
}

/// Lines that the hints below the composer may take.
const FOOTER_LINES_MAX: usize = 4;

/// The upper of the two rules between which the next prompt is typed.
fn composer(view: &View) -> Option<usize> {
    frame(view).map(|(top, _)| top)
}

/// Both of these rules.
fn frame(view: &View) -> Option<(usize, usize)> {
    let bottom = view.find_above(view.len(), view::is_rule)?;
    let prompt = view.find_above(bottom, |line| line.starts_with('❯') || view::is_rule(line))?;
    let top = prompt.saturating_sub(1);
    let framed = prompt == 0 || view::is_rule(view.line(top));
    let near = view.len() - bottom <= FOOTER_LINES_MAX + 1;
    (near && framed && view.line(prompt).starts_with('❯')).then_some((top, bottom))
}

fn at_composer(view: &View, top: usize) -> Option<Seen> {
    let footer = view.last().trim_start();
    let work = footer.strip_prefix(['◎', '◉', '●', '○', '◌']);
    if work.is_some_and(|work| work.trim_start().starts_with("Working")) {
        return Some(Seen::new(State::Running, "active", "`Working` below the composer"));
    }
    // The hints are others over a text in the composer, such as a prompt that was taken back.
    let drafting = footer.contains("@ files · # issues");
    let resting = footer.contains("/ commands") || footer.starts_with("← open sidebar");
    let plain = || Seen::new(State::Idle, reason::IDLE, "hints below the composer");
    (resting || drafting).then(|| how_it_ended(view, top).unwrap_or_else(plain))
}

/// How the last turn came to rest, by the last entry above the line of the folder.
fn how_it_ended(view: &View, top: usize) -> Option<Seen> {
    // A bar to scroll with stands at the right of the entries.
    let bare = |at: usize| view.line(at).trim_end_matches(['┃', ' ']).trim_start();
    let filled = |end: usize| (0..end).rev().find(|at| !bare(*at).is_empty());
    let folder = filled(top)?;
    let last = filled(folder)?;
    let first = (0..=last).rev().find(|at| bare(*at).is_empty()).map_or(0, |at| at + 1);
    let entry = bare(first);
    if first == last && entry == "● Operation cancelled by user" {
        return Some(Seen::new(State::Idle, "interrupted", "`Operation cancelled by user`"));
    }
    // A failed tool is marked in the same way; an answer of the server begins with its number.
    let answer = entry.strip_prefix("✗ ")?;
    let code = answer.split(' ').next().unwrap_or_default();
    let is_code = code.len() == 3 && code.starts_with(['4', '5']) && code.parse::<u16>().is_ok();
    is_code.then(|| Seen::new(State::Error, view::failure(answer), "`✗` and a number"))
}

/// A box with answers and their keys, as the last thing on the screen.
fn dialog(view: &View) -> Option<Seen> {
    if !view.last().starts_with('╰') {
        return None;
    }
    let bottom = view.len() - 1;
    let top = view.find_above(bottom, |line| line.starts_with('╭'))?;
    let inside = view.unframed(top + 1, '│');
    let keys = inside.joined(inside.paragraph(inside.len() - 1), inside.len() - 1);
    let menu = inside.menu('❯')?;
    if !keys.contains("to navigate") && !keys.contains("esc to cancel") {
        return None;
    }
    let head = inside.joined(0, menu.first);
    let seen = if head.contains("Do you trust the files") {
        Seen::new(State::WaitingInput, "startup_dialog", "dialog before the session")
    } else if head.contains("Do you want to ") {
        Seen::new(State::WaitingApproval, "approval_requested", "`Do you want to` above answers")
    } else {
        view::some_dialog("box with answers at the bottom")
    };
    let head: String =
        head.chars().filter(|c| !matches!(c, '─' | '│' | '╭' | '╮' | '╰' | '╯')).collect();
    Some(seen.asking(&head))
}
