//! Gemini CLI: hooks, a title that shows its state, and its screen.

mod dialogs;
mod setup;

use engine::approval::Asked;
use engine::words::{Confidence, Detail, Source, State, reason};
use serde_json::Value;

use crate::adapter::{Adapter, Capabilities, Reading, Readings, Report, Surface, claim};
use crate::asking;
use crate::composer::{self, Composer, Manner};
use crate::dialog::{self, Dialog};
use crate::launch::{Launch, Place};
use crate::payload;
use crate::program::Program;
use crate::screen::Screen;
use crate::setup::Setup;
use crate::view::{self, Seen, View};
use crate::vocabulary;

/// Versions whose screens are in the corpus.
const COVERED: &[&str] = &["0.61.0"];

/// What makes the program something else than a session in a terminal.
const OTHER_COMMANDS: &[&str] =
    &["mcp", "extensions", "extension", "skills", "hooks", "-v", "--version", "-h", "--help"];

/// The tools by which it asks something, and shows a plan.
const ASK: &str = "ask_user";
const PLAN: &str = "exit_plan_mode";

/// What stands for the answer of a turn that was interrupted or failed.
const NO_ANSWER: &str = "[no response text]";

pub(crate) struct Gemini;

impl Adapter for Gemini {
    fn agent(&self) -> &'static str {
        "gemini"
    }

    fn name(&self) -> &'static str {
        "gemini-wrapper-parser"
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
        let own = program.file() == "gemini" || program.runs_script("gemini", "@google/gemini-cli");
        own && !program.is_told_to(OTHER_COMMANDS)
    }

    fn hears(&self, event: &str, payload: &Value) -> Report {
        meaning(event, payload)
            .telling(Detail::Session, payload::text(payload, "session_id"))
            .telling(Detail::Directory, payload::text(payload, "cwd"))
            .telling(Detail::Model, payload::text_at(payload, "/llm_request/model"))
    }

    fn asks(&self, event: &str, payload: &Value) -> Option<Asked> {
        let permission = event.eq_ignore_ascii_case("Notification")
            && payload::text(payload, "notification_type") == "ToolPermission";
        let details = payload.get("details").filter(|_| permission)?;
        let tool = payload::text(details, "type");
        // What it asks, and what it plans, only its dialog tells.
        if [ASK, PLAN].contains(&tool) {
            return None;
        }
        let asking = asking::permission(tool, details, payload);
        Some(Asked::For(Box::new(asking::yes_or_no(asking))))
    }

    fn dialog(&self, screen: &Screen) -> Option<Dialog> {
        let view = View::of(screen);
        let seen = look(&view).filter(Seen::is_waiting)?;
        dialog::read(&seen, &dialog::framed(&view)?, 0, screen.width, &dialogs::ASKING)
    }

    fn composer(&self, screen: &Screen) -> Option<Composer> {
        let view = View::of(screen);
        let rule = composer(&view)?;
        // The first one it draws takes nothing, and a shell's command is no prompt.
        if session_above(&view, view.paragraph(rule)) == Some(false) {
            return None;
        }
        let prompts = |at: &usize| [" > ", " * "].iter().any(|it| view.line(*at).starts_with(it));
        let first = (rule + 1..view.len()).find(prompts)?;
        if is_placeholder(view.line(first)) {
            return Some(Composer::Empty);
        }
        let end = (first + 1..view.len()).find(|at| view.line(*at).is_empty())?;
        let mark = view.line(first).trim_start().chars().next()?;
        Some(composer::contents(screen, first..end, mark))
    }

    fn manner(&self) -> Manner {
        Manner { folds: &["[Pasted Text: "], ..Manner::CAREFUL }
    }

    fn reads(&self, surface: &Surface<'_>) -> Readings {
        let view = View::of(surface.screen);
        let seen = look(&view);
        Readings::from([
            (Source::Title, title(surface.title, seen.as_ref(), composer(&view).is_some())),
            (Source::Screen, view::screen_reading(COVERED, surface, seen.as_ref())),
        ])
    }

    fn setup(&self) -> Option<&'static Setup> {
        Some(&setup::SETUP)
    }

    fn launch(&self, place: &Place<'_>) -> Option<Launch> {
        setup::launch(place)
    }
}

/// All its events, also those that say nothing of the state.
const EVENTS: &[&str] = &[
    "BeforeAgent",
    "AfterAgent",
    "BeforeTool",
    "AfterTool",
    "Notification",
    "PreCompress",
    "SessionStart",
    "SessionEnd",
    "BeforeModel",
    "AfterModel",
    "BeforeToolSelection",
];

fn meaning(event: &str, payload: &Value) -> Report {
    match vocabulary::spelled(event, EVENTS) {
        "BeforeAgent" => Report::claiming(State::Running, "active").settled().beginning_turn(),
        "AfterAgent" => after_turn(payload),
        // It comes before the question whether the tool may run, so it says nothing of the state.
        "BeforeTool" => of_tool(Report::default(), payload),
        "AfterTool" => after_tool(payload),
        "Notification" => notification(payload),
        "SessionStart" => Report::claiming(State::Idle, reason::IDLE).settled(),
        "SessionEnd" if payload::text(payload, "reason") == "clear" => Report::default(),
        "SessionEnd" => Report::claiming(State::Idle, "session_ended").settled(),
        "" => vocabulary::report(event),
        // It looks whether to compress at the start of every turn, and tells nothing when it has
        // compressed; and requests to the model are also made outside of turns.
        _ => Report::default(),
    }
}

fn after_turn(payload: &Value) -> Report {
    let answer = payload::text(payload, "prompt_response");
    if answer.contains(NO_ANSWER) {
        return Report::claiming(State::Idle, reason::IDLE).settled();
    }
    // It is the same where somebody broke the answer off, which then only the screen shows.
    let over = claim(State::Completed, "task_completed", Confidence::Medium);
    Report { claim: Some(over), ..Report::default() }
        .settled()
        .telling(Detail::LastMessage, payload::long(answer))
}

fn after_tool(payload: &Value) -> Report {
    let result = payload::text_at(payload, "/tool_response/llmContent");
    // An interruption while a tool runs is told by nothing else.
    let cancelled = result.starts_with("Command was cancelled by user");
    let (state, reason) =
        if cancelled { (State::Idle, "interrupted") } else { (State::Running, "active") };
    Report::claiming(state, reason).settled()
}

fn of_tool(report: Report, payload: &Value) -> Report {
    let input = payload.get("tool_input").map(payload::tool_input).unwrap_or_default();
    report.with(Detail::Tool, payload::text(payload, "tool_name")).with(Detail::ToolInput, input)
}

fn notification(payload: &Value) -> Report {
    if payload::text(payload, "notification_type") != "ToolPermission" {
        return Report::default();
    }
    let details = payload.get("details").unwrap_or(&Value::Null);
    let (state, reason) = match payload::text(details, "type") {
        ASK => (State::WaitingInput, "question"),
        PLAN => (State::WaitingApproval, "plan"),
        _ => (State::WaitingApproval, "approval_requested"),
    };
    let named = ["command", "fileName", "title"].map(|field| payload::text(details, field));
    let named = named.into_iter().find(|text| !text.is_empty());
    let ask = named.unwrap_or_else(|| payload::text(payload, "message"));
    Report::claiming(state, reason).telling(Detail::Ask, payload::short(ask))
}

/// Its first character tells the state; blanks fill it up at both ends. It says that it is ready
/// already while it starts, before it asks or draws anything.
fn title(title: &str, seen: Option<&Seen>, has_composer: bool) -> Reading {
    let working = |mark| Reading::claiming(State::Running, "active", Confidence::High, mark);
    match title.trim_start().split(' ').next().unwrap_or_default() {
        "✦" => working("✦ in the title"),
        "⏲" => working("⏲ in the title"),
        "✋" => view::waiting_title(seen, "✋ in the title"),
        "◇" if has_composer => view::resting_title(seen, "◇ in the title"),
        "◇" => Reading::silent("◇ in the title without a composer"),
        _ => Reading::silent("no mark in the title"),
    }
}

/// What the bottom of the screen shows.
fn look(view: &View) -> Option<Seen> {
    match composer(view) {
        Some(rule) => at_composer(view, rule),
        None => dialog(view),
    }
}

/// Lines that the composer and what stands below it may take.
const COMPOSER_LINES_MAX: usize = 30;

/// The rule above the composer: the last one with a prompt below it.
fn composer(view: &View) -> Option<usize> {
    let rule = view.find_above(view.len(), view::is_rule)?;
    let mut below = rule + 1..view.len();
    // The prompt shows the mode: as usual, everything allowed, a shell's command.
    let prompt = |at: usize| [" > ", " * ", " ! "].iter().any(|it| view.line(at).starts_with(it));
    // After a change of width old rules stand above a prompt of the transcript. No box is drawn
    // below a composer, unless a question that was answered stays there.
    let boxed = below.clone().any(|at| view.line(at).starts_with('╭'))
        && !below.clone().any(|at| is_placeholder(view.line(at)));
    (view.len() - rule <= COMPOSER_LINES_MAX && !boxed && below.any(prompt)).then_some(rule)
}

/// Whether what stands behind the prompt was typed by nobody. It is no fainter than a draft, but it
/// stands behind the cursor, where a draft begins at it.
fn is_placeholder(line: &str) -> bool {
    line.get(" > ".len()..) == Some("  Type your message or @path/to/file")
}

fn at_composer(view: &View, rule: usize) -> Option<Seen> {
    // The row of the state stands directly on the rule.
    let start = view.paragraph(rule);
    let row = view.joined(start, rule);
    if view::spins(&row) && (row.contains("(esc to cancel") || row.contains("...")) {
        return Some(Seen::new(State::Running, "active", "spinner above the composer"));
    }
    if row.starts_with("! Shell awaiting input") {
        return Some(Seen::new(State::Running, "active", "`Shell awaiting input`"));
    }
    if view::spins(&row) && row.contains("Executing Hook") || row.is_empty() {
        // Hooks also run after a turn, and after a redraw the hint may be missing: no mark of rest
        // by itself, but none of work.
        return how_it_ended(view, start);
    }
    if !row.contains("? for shortcuts") || view::spins(&row) {
        return None;
    }
    match session_above(view, start) {
        Some(true) => {}
        Some(false) => {
            let mark = "a composer with no session above";
            return Some(Seen::new(State::Unknown, "starting", mark).unsure());
        }
        None => return None,
    }
    let plain = Seen::new(State::Idle, reason::IDLE, "`? for shortcuts` without a spinner");
    Some(how_it_ended(view, start).unwrap_or(plain))
}

/// Whether something of a session stands above the composer; `None` where that is out of sight.
/// While it starts, and before it asks whether a folder is to be trusted, it draws a composer that
/// takes nothing; its banner comes after that.
fn session_above(view: &View, composer: usize) -> Option<bool> {
    let mut end = composer;
    while let Some(last) = view.above(end) {
        let start = view.paragraph(last);
        let (first, last) = (view.line(start), view.line(last));
        // The rest of something whose beginning is out of sight; it may be a warning.
        if start == 0 && first.starts_with("  ") {
            return None;
        }
        // Warnings come with the first composer already.
        if !first.starts_with('⚠') {
            return Some([first, last].iter().any(|line| is_of_session(line)));
        }
        end = start;
    }
    // Nothing above: either the pane ends there, or it began there just now.
    view.room_below.then_some(false)
}

/// Whether a line is drawn by a session: its banner, its hints, its transcript. What other programs
/// printed before it stands at the margin.
fn is_of_session(line: &str) -> bool {
    let hint = line.starts_with("Tips for")
        || line.contains(". ") && line.starts_with(|c: char| c.is_ascii_digit());
    hint || line.starts_with([' ', '✦', 'ℹ', '✕', '✓', '│', '╭', '╰'])
}

/// How the last turn came to rest, where the screen shows more than that it did.
fn how_it_ended(view: &View, end: usize) -> Option<Seen> {
    let last = view.above(end).map_or("", |at| view.line(at));
    if view::spins(last) && last.contains("Compressing chat history") {
        return Some(Seen::new(State::Running, "compacting", "`Compressing chat history`"));
    }
    // The model's text begins with ✦ or is indented: at the margin only the agent itself writes.
    let told =
        view.find_above(end, |line| line.starts_with(" > ") || line.starts_with(['ℹ', '✕']))?;
    let last = (told + 1..end).find(|at| view.line(*at).is_empty()).unwrap_or(end);
    let text = view.joined(told, last);
    if text.starts_with("ℹ Request cancelled.") {
        return Some(Seen::new(State::Idle, "interrupted", "`Request cancelled.`"));
    }
    if text.starts_with("ℹ This request failed.") {
        let cause = view.above(told).map(|at| view.joined(view.paragraph(at), at + 1));
        let reason = view::failure(&cause.unwrap_or_default());
        return Some(Seen::new(State::Error, reason, "`This request failed.`"));
    }
    let failed = text.starts_with("✕ [API Error:");
    failed.then(|| Seen::new(State::Error, view::failure(&text), "`✕ [API Error`"))
}

/// Questions of the boxes that ask for a permission.
const APPROVALS: &[&str] = &["Allow execution of", "Apply this change?", "Do you want to proceed?"];

/// A box with answers, as the last thing on the screen.
fn dialog(view: &View) -> Option<Seen> {
    let bottom = view.len().checked_sub(1)?;
    if !view.line(bottom).trim_start().starts_with('╰') {
        return None;
    }
    // Boxes stand in one another; this one opens at the margin where it closes.
    let margin = |line: &str| line.len() - line.trim_start().len();
    let opens = |line: &str| {
        line.trim_start().starts_with('╭') && margin(line) == margin(view.line(bottom))
    };
    let top = view.find_above(bottom, opens)?;
    let inside = view.unframed(top + 1, '│');
    let menu = inside.menu('●')?;
    let head = inside.joined(0, menu.first);
    // Once a question before the session is answered, it can stay on the screen with a composer
    // beside it.
    let composer = view.find_above(top, |line| line.contains("Type your message or @path"));
    if composer.is_some() {
        return None;
    }
    let seen = if head.contains("Do you trust the files") || head.starts_with("? Get started") {
        Seen::new(State::WaitingInput, "startup_dialog", "dialog before the session")
    } else if let Some(question) = head.strip_prefix("Answer Questions ") {
        // Several questions stand on tabs of their own, between which arrows lead.
        let several = inside.joined(menu.last, inside.len()).contains('→');
        let mark = "box with a question at the bottom";
        let seen = Seen::new(State::WaitingInput, "question", mark).asking(question);
        return Some(if several { seen.unsure() } else { seen });
    } else if APPROVALS.iter().any(|mark| head.contains(mark)) {
        Seen::new(State::WaitingApproval, "approval_requested", "box with answers at the bottom")
    } else {
        view::some_dialog("box with answers at the bottom")
    };
    Some(seen.asking(head.trim_start_matches(['?', ' '])))
}
