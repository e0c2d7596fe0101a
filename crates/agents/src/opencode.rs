//! opencode: the events of its bus, which a plugin passes on, and its screen. Its title never tells
//! the state.

mod setup;

use std::borrow::Cow;
use std::ops::Range;

use engine::approval::{Asked, Asking, deed_of};
use engine::words::{Detail, Source, State, reason};
use serde_json::Value;

use crate::adapter::{Adapter, Capabilities, Readings, Report, Surface};
use crate::composer::{Composer, Manner};
use crate::program::Program;
use crate::screen::{Line, Screen};
use crate::setup::Setup;
use crate::view::{self, Seen, View};
use crate::{asking, payload, vocabulary};

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
        let (event, properties) = told(event, payload);
        if !payload::text_at(properties, "/info/parentID").is_empty() {
            return Report::ignored();
        }
        meaning(event, payload, properties)
            .telling(Detail::Session, payload::text(properties, "sessionID"))
    }

    fn asks(&self, event: &str, payload: &Value) -> Option<Asked> {
        let (event, properties) = told(event, payload);
        match event {
            "permission.asked" => {
                let mut asking = requested(properties);
                asking.call = call(properties, "/tool/callID");
                Some(Asked::For(Box::new(asking::yes_or_no(asking))))
            }
            "question.asked" => {
                let mut asking = asking::questions(QUESTION, properties);
                asking.call = call(properties, "/tool/callID");
                Some(Asked::For(Box::new(asking)))
            }
            "tool.execute.after" => {
                call(properties, "/callID").map(|call| Asked::Done { deed: deed_of(&call) })
            }
            _ => None,
        }
    }

    fn composer(&self, screen: &Screen) -> Option<Composer> {
        let screen = session(screen);
        let view = View::of(&screen);
        let frame = composer(&view)?;
        if !footer(&view, &frame).contains(COMMANDS) {
            return None;
        }
        // Above the text is an empty line, below it another and the name of the model.
        let text = frame.start + 1..frame.end.checked_sub(2)?;
        let (column, row) = screen.cursor?;
        if !text.contains(&usize::try_from(row).ok()?) {
            // Something in front of it takes what is typed.
            return None;
        }
        let first = view.line(text.start);
        if unframed(first).trim_start().starts_with(PLACEHOLDER) && at_first_letter(first, column) {
            return Some(Composer::Empty);
        }
        let lines = text.map(|at| unframed(view.line(at)));
        let draft = lines.collect::<Vec<_>>().join("\n");
        let draft = draft.trim();
        Some(if draft.is_empty() { Composer::Empty } else { Composer::Draft(draft.to_owned()) })
    }

    fn manner(&self) -> Manner {
        Manner { folds: &["[Pasted ~"], ..Manner::CAREFUL }
    }

    fn reads(&self, surface: &Surface<'_>) -> Readings {
        let seen = look(&View::of(&session(surface.screen)));
        Readings::from([(Source::Screen, view::screen_reading(COVERED, surface, seen.as_ref()))])
    }

    fn setup(&self) -> Option<&'static Setup> {
        Some(&setup::SETUP)
    }
}

/// The tool by which it asks its questions.
const QUESTION: &str = "question";

/// Which event of the bus it is, and what it tells.
fn told<'a>(event: &'a str, payload: &'a Value) -> (&'a str, &'a Value) {
    let named = event.strip_prefix("event").unwrap_or(event).trim_start_matches([':', '.']);
    let event = if named.is_empty() { payload::text(payload, "type") } else { named };
    // It can be answered by whoever told of it.
    let event = event.strip_suffix(".waits").unwrap_or(event);
    let properties = payload.get("properties").or_else(|| payload.get("i")).unwrap_or(payload);
    (event, properties)
}

/// What it wants to be permitted. Where nothing more is told of it, its patterns are what it is about.
fn requested(properties: &Value) -> Asking {
    let tool = payload::text(properties, "permission");
    let metadata =
        properties.get("metadata").filter(|it| it.as_object().is_some_and(|it| !it.is_empty()));
    let input = metadata.or_else(|| properties.get("patterns")).unwrap_or(&Value::Null);
    asking::permission(tool, input, &Value::Null)
}

/// Its name for one use of a tool.
fn call(properties: &Value, at: &str) -> Option<String> {
    let call = payload::text_at(properties, at);
    (!call.is_empty()).then(|| call.to_owned())
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
        "permission.replied" if payload::text(properties, "reply") == "reject" => interrupted(),
        "question.rejected" => interrupted(),
        "permission.replied" | "question.replied" => running().with(Detail::Ask, ""),
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

fn interrupted() -> Report {
    Report::claiming(State::Idle, "interrupted").settled()
}

fn failed(properties: &Value) -> Report {
    if payload::text_at(properties, "/error/name") == "MessageAbortedError" {
        return interrupted();
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

/// How many columns stand beside the session where a pane is wide, and what is in their last lines.
const SIDEBAR_COLUMNS: u32 = 42;
const SIDEBAR: &str = "• OpenCode ";
/// The lines at the bottom, in one of which that is.
const SIDEBAR_LINES: usize = 3;

/// The screen without what stands beside the session.
fn session(screen: &Screen) -> Cow<'_, Screen> {
    let columns = screen.width.saturating_sub(SIDEBAR_COLUMNS);
    let beside = |line: &Line| {
        let (whole, left) = (line.text(), line.left_of(columns).text());
        whole.strip_prefix(&left).is_some_and(|beside| beside.trim_start().starts_with(SIDEBAR))
    };
    let mut last = screen.lines.iter().rev().take(SIDEBAR_LINES);
    if last.any(beside) { Cow::Owned(screen.left_of(columns)) } else { Cow::Borrowed(screen) }
}

/// What stands in the composer as long as nobody typed, with the cursor at its first letter.
const PLACEHOLDER: &str = "Ask anything… ";

fn at_first_letter(line: &str, column: u32) -> bool {
    let before = line.chars().take_while(|c| c.is_whitespace() || *c == FRAME);
    usize::try_from(column).is_ok_and(|column| before.count() == column)
}

/// What the bottom of the screen shows.
fn look(view: &View) -> Option<Seen> {
    composer(view).and_then(|frame| at_composer(view, &frame)).or_else(|| dialog(view))
}

/// What is drawn at the left of every frame.
const FRAME: char = '┃';

fn is_framed(line: &str) -> bool {
    line.trim_start().starts_with(FRAME)
}

fn unframed(line: &str) -> &str {
    let line = line.trim_start();
    line.strip_prefix(FRAME).unwrap_or(line)
}

/// The lower edge of the frame for the next prompt.
fn is_edge(line: &str) -> bool {
    line.trim_start().starts_with("╹▀▀▀")
}

/// The lines in the frame for the next prompt. The frame of a dialog has no such edge, and then the
/// edge is text further up.
fn composer(view: &View) -> Option<Range<usize>> {
    let edge = view.find_above(view.len(), is_edge)?;
    let covered = (edge + 1..view.len()).any(|at| is_framed(view.line(at)));
    let above = view.find_above(edge, |line| !is_framed(line)).map_or(0, |at| at + 1);
    (above < edge && !covered).then_some(above..edge)
}

/// What stands below the frame.
fn footer(view: &View, frame: &Range<usize>) -> String {
    view.joined(frame.end + 1, view.len())
}

/// Below the frame while nothing hides it.
const COMMANDS: &str = "ctrl+p commands";

fn at_composer(view: &View, frame: &Range<usize>) -> Option<Seen> {
    let footer = footer(view, frame);
    if footer.contains("[retrying in") {
        return Some(Seen::new(State::Running, "api_retry", "`retrying` below the composer"));
    }
    if footer.contains("esc interrupt") || footer.contains("esc again to interrupt") {
        return Some(Seen::new(State::Running, "active", "`esc interrupt` below the composer"));
    }
    if !footer.contains(COMMANDS) {
        return None;
    }
    // Above the frame stands the last entry.
    let entry = view.find_above(frame.end, |line| !line.is_empty() && !is_framed(line));
    let entry = entry.map_or("", |at| view.line(at)).trim_start();
    if entry.starts_with('▣') && entry.ends_with("· interrupted") {
        return Some(Seen::new(State::Idle, "interrupted", "`interrupted` as the last entry"));
    }
    Some(Seen::new(State::Idle, reason::IDLE, "`ctrl+p commands` below the composer"))
}

/// How the first answer to a question begins.
const FIRST_OPTION: &str = " 1. ";

/// A frame without its lower edge, as the last thing on the screen.
fn dialog(view: &View) -> Option<Seen> {
    if !is_framed(view.last()) {
        return None;
    }
    let above = view.find_above(view.len(), |line| !is_framed(line));
    let inside = view.unframed(above.map_or(0, |at| at + 1), FRAME);
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
    if text.contains("esc dismiss")
        && let Some((asked, _)) = head.split_once(FIRST_OPTION)
    {
        let mark = "`esc dismiss` below numbered answers";
        return Some(Seen::new(State::WaitingInput, "question", mark).asking(asked));
    }
    Some(view::some_dialog("frame with keys at the bottom").asking(head))
}
