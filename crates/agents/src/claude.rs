//! Claude Code: hooks, its own status file, a title that shows when it works, and its screen.

mod dialogs;
mod setup;

use engine::approval::{Asked, Asking};
use engine::words::{ApprovalKind, Choice, Confidence, Detail, Source, State, reason};
use serde_json::Value;

use crate::adapter::{
    Adapter, Capabilities, FileKind, Proof, Reading, Readings, Report, Running, StatusFile, Surface,
};
use crate::asking;
use crate::composer::{self, Composer, Manner};
use crate::dialog::{self, Dialog};
use crate::launch::{Launch, Place};
use crate::payload;
use crate::program::{Program, lies_in};
use crate::reply;
use crate::screen::Screen;
use crate::setup::Setup;
use crate::tail;
use crate::tally::{Call, Count};
use crate::view::{self, Seen, View};
use crate::vocabulary;

/// Versions whose screens are in the corpus.
const COVERED: &[&str] = &["2.1.197"];

/// What makes the program something else than a session in a terminal.
const OTHER_COMMANDS: &[&str] = &[
    "agents",
    "auth",
    "config",
    "doctor",
    "install",
    "mcp",
    "plugin",
    "setup-token",
    "update",
    "upgrade",
    "-v",
    "--version",
    "-h",
    "--help",
];

pub(crate) struct Claude;

impl Adapter for Claude {
    fn agent(&self) -> &'static str {
        "claude"
    }

    fn name(&self) -> &'static str {
        "claude-hook"
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
        // Installed without a package manager, the program is named after its version.
        let own = matches!(program.file(), "claude" | "claude.exe")
            || lies_in(program.path(), "share/claude/versions");
        (own || program.runs_script("claude", "@anthropic-ai/claude-code"))
            && !program.is_told_to(OTHER_COMMANDS)
    }

    fn hears(&self, event: &str, payload: &Value) -> Report {
        // The threads of subagents work beside the one in the pane; only what they ask reaches it.
        let of_subagent = !payload::text(payload, "agent_id").is_empty();
        if of_subagent && !event.eq_ignore_ascii_case("PermissionRequest") {
            return Report::ignored();
        }
        meaning(event, payload)
            .telling(Detail::Session, payload::text(payload, "session_id"))
            .telling(Detail::Directory, payload::text(payload, "cwd"))
            .telling(Detail::Model, payload::text(payload, "model"))
    }

    fn composer(&self, screen: &Screen) -> Option<Composer> {
        let frame = composer(&View::of(screen))?;
        Some(composer::contents(screen, frame.prompt..frame.bottom, '❯'))
    }

    fn manner(&self) -> Manner {
        Manner { enter_after_ms: 100, folds: &["[Pasted text #"], ..Manner::CAREFUL }
    }

    fn reads(&self, surface: &Surface<'_>) -> Readings {
        let seen = look(&View::of(surface.screen));
        Readings::from([
            (Source::Title, title(surface.title)),
            (Source::Screen, view::screen_reading(COVERED, surface, seen.as_ref())),
        ])
    }

    fn asks(&self, event: &str, payload: &Value) -> Option<Asked> {
        let input = payload.get("tool_input").unwrap_or(&Value::Null);
        let tool = payload::text(payload, "tool_name");
        match vocabulary::spelled(event, EVENTS) {
            "PermissionRequest" => Some(Asked::For(Box::new(requested(tool, input, payload)))),
            "PostToolUse" => Some(asking::done(tool, input)),
            // One that fails was permitted; one that is refused is interrupted.
            "PostToolUseFailure" if payload["is_interrupt"] == false => {
                Some(asking::done(tool, input))
            }
            _ => None,
        }
    }

    fn dialog(&self, screen: &Screen) -> Option<Dialog> {
        let view = View::of(screen);
        let seen = look(&view).filter(Seen::is_waiting)?;
        let menu = view.menu('❯')?;
        // Without its beginning it may be any request's.
        let top =
            view.find_above(menu.first, |line| view::is_rule(line) && line.starts_with('─'))?;
        dialog::read(&seen, &view, top + 1, screen.width, &dialogs::ASKING)
    }

    fn folder_variable(&self) -> Option<&'static str> {
        Some("CLAUDE_CONFIG_DIR")
    }

    fn status_files(&self, agent: &Running<'_>) -> Vec<StatusFile> {
        let folder = agent.folder.map_or_else(|| format!("{}/.claude", agent.home), str::to_owned);
        let file = |path, kind| StatusFile { path, kind, proof: Proof::Name };
        let status = file(format!("{folder}/sessions/{}.json", agent.pid), FileKind::Status);
        let session = agent.session.filter(|session| tail::is_name(session));
        let transcript = session.map(|session| {
            file(format!("{folder}/projects/*/{session}.jsonl"), FileKind::Transcript)
        });
        [Some(status), transcript].into_iter().flatten().collect()
    }

    fn reads_status(&self, agent: &Running<'_>, kind: FileKind, content: &[u8]) -> Option<Reading> {
        match kind {
            FileKind::Status => status(agent, content),
            FileKind::Transcript => transcript(content),
        }
    }

    fn counts(&self) -> Option<Count> {
        Some(used)
    }

    fn setup(&self) -> Option<&'static Setup> {
        Some(&setup::SETUP)
    }

    fn launch(&self, place: &Place<'_>) -> Option<Launch> {
        Some(setup::launch(place))
    }
}

/// What somebody is asked for; plans and questions come as the use of a tool, too.
fn requested(tool: &str, input: &Value, payload: &Value) -> Asking {
    let asked = match tool {
        "AskUserQuestion" => return asking::of(asking::questions(tool, input), payload),
        "ExitPlanMode" => {
            let plan = asking::permission(tool, input, payload);
            Asking { kind: ApprovalKind::Plan, ..plan }
        }
        _ => asking::permission(tool, input, payload),
    };
    let lasting = [
        (Choice::ApproveSession, "Yes, and for this session: "),
        (Choice::ApproveAlways, "Yes, and from now on: "),
    ];
    let mut asked = asked.offering(Choice::Approve, "Yes");
    for (choice, words) in lasting {
        let grants: Vec<String> =
            reply::lasting(payload, choice).into_iter().map(granted).collect();
        if !grants.is_empty() {
            asked = asked.offering(choice, &format!("{words}{}", grants.join("; ")));
        }
    }
    asked.offering(Choice::Deny, "No")
}

/// What one of Claude's suggestions permits, so that nobody grants more than they read.
fn granted(suggestion: &Value) -> String {
    let list = |name: &str, word: fn(&Value) -> String| {
        let values = suggestion.get(name).and_then(Value::as_array);
        values.into_iter().flatten().map(word).collect::<Vec<_>>().join(", ")
    };
    let kind = payload::text(suggestion, "type");
    match kind {
        "setMode" => match payload::text(suggestion, "mode") {
            "acceptEdits" => "accept all edits".to_owned(),
            mode => format!("mode {mode}"),
        },
        "addDirectories" => {
            let folder = |it: &Value| it.as_str().unwrap_or_default().to_owned();
            format!("access to {}", list("directories", folder))
        }
        "addRules" => {
            let behavior = payload::text(suggestion, "behavior");
            format!("{behavior} {}", list("rules", rule))
        }
        other => format!("{other}, as Claude suggests"),
    }
}

/// A rule as Claude's own settings write it.
fn rule(rule: &Value) -> String {
    let tool = payload::text(rule, "toolName");
    match payload::text(rule, "ruleContent") {
        "" => tool.to_owned(),
        content => format!("{tool}({content})"),
    }
}

/// All its events, also those that say nothing of the state.
const EVENTS: &[&str] = &[
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PostToolBatch",
    "ElicitationResult",
    "PostToolUseFailure",
    "PermissionRequest",
    "Elicitation",
    "Notification",
    "Stop",
    "StopFailure",
    "PreCompact",
    "PostCompact",
    "SessionStart",
    "SessionEnd",
    "PermissionDenied",
    "UserPromptExpansion",
    "SubagentStart",
    "SubagentStop",
    "Setup",
    "TeammateIdle",
    "TaskCreated",
    "TaskCompleted",
    "ConfigChange",
    "WorktreeCreate",
    "WorktreeRemove",
    "InstructionsLoaded",
    "CwdChanged",
    "FileChanged",
    "MessageDisplay",
];

fn meaning(event: &str, payload: &Value) -> Report {
    let running = || Report::claiming(State::Running, "active");
    match vocabulary::spelled(event, EVENTS) {
        "UserPromptSubmit" => running().settled().beginning_turn(),
        "PreToolUse" => of_tool(running(), payload).with(Detail::Ask, ""),
        "PostToolUse" | "PostToolBatch" | "ElicitationResult" => running().settled(),
        "PostToolUseFailure" => after_failed_tool(payload),
        "PermissionRequest" => permission(payload),
        "Elicitation" => Report::claiming(State::WaitingInput, "question")
            .telling(Detail::Ask, payload::short(payload::text(payload, "message"))),
        "Notification" => notification(payload),
        "Stop" => Report::claiming(State::Completed, "task_completed")
            .settled()
            .telling(Detail::LastMessage, last_message(payload)),
        "StopFailure" => Report::claiming(State::Error, failure(payload))
            .settled()
            .telling(Detail::LastMessage, last_message(payload)),
        "PreCompact" => Report::claiming(State::Running, "compacting"),
        // One that the agent began by itself stands in the middle of a turn, which goes on.
        "PostCompact" if payload::text(payload, "trigger") == "auto" => running(),
        "PostCompact" => Report::claiming(State::Idle, reason::IDLE),
        "SessionStart" => session_start(payload),
        "SessionEnd" => session_end(payload),
        "" => vocabulary::report(event),
        // These happen beside the turn, or only tell of it what others tell too.
        _ => Report::default(),
    }
}

fn session_start(payload: &Value) -> Report {
    match payload::text(payload, "source") {
        // The middle of a compaction, whose end is told by another event.
        "compact" => Report::default(),
        _ => Report::claiming(State::Idle, reason::IDLE).settled(),
    }
}

fn session_end(payload: &Value) -> Report {
    match payload::text(payload, "reason") {
        // The agent goes on with another session.
        "clear" | "resume" => Report::default(),
        _ => Report::claiming(State::Idle, "session_ended").settled(),
    }
}

fn after_failed_tool(payload: &Value) -> Report {
    match payload.get("is_interrupt").and_then(Value::as_bool) {
        Some(true) => Report::claiming(State::Idle, "interrupted").settled(),
        Some(false) | None => Report::claiming(State::Running, "active").settled(),
    }
}

fn of_tool(report: Report, payload: &Value) -> Report {
    let input = payload.get("tool_input").map(payload::tool_input).unwrap_or_default();
    report.with(Detail::Tool, payload::text(payload, "tool_name")).with(Detail::ToolInput, input)
}

/// Questions and plans come as permissions to use the tool that asks them.
fn permission(payload: &Value) -> Report {
    let tool = payload::text(payload, "tool_name");
    let input = payload.get("tool_input").map(payload::tool_input).unwrap_or_default();
    let (state, reason, ask) = match tool {
        "AskUserQuestion" => (State::WaitingInput, "question", input),
        "ExitPlanMode" => (State::WaitingApproval, "plan", input),
        _ => (State::WaitingApproval, "approval_requested", payload::ask(tool, &input)),
    };
    of_tool(Report::claiming(state, reason), payload).with(Detail::Ask, ask)
}

fn notification(payload: &Value) -> Report {
    let message = payload::short(payload::text(payload, "message"));
    match payload::text(payload, "notification_type") {
        // It comes seconds after the request, for questions and plans too.
        "permission_prompt" => {
            Report::claiming(State::WaitingApproval, "approval_requested").repeating()
        }
        "worker_permission_prompt" => {
            Report::claiming(State::WaitingApproval, "approval_requested")
                .telling(Detail::Ask, message)
        }
        "elicitation_dialog" => {
            Report::claiming(State::WaitingInput, "question").telling(Detail::Ask, message)
        }
        "elicitation_complete" | "elicitation_response" => {
            Report::claiming(State::Running, "active").settled()
        }
        // A reminder of being idle says nothing new, and the rest nothing about a turn.
        _ => Report::default(),
    }
}

fn last_message(payload: &Value) -> String {
    payload::long(payload::text(payload, "last_assistant_message"))
}

fn failure(payload: &Value) -> &'static str {
    match payload::text(payload, "error") {
        "rate_limit" => "rate_limited",
        "" | "unknown" => view::failure(payload::text(payload, "last_assistant_message")),
        _ => "api_error",
    }
}

/// The spinner is drawn while it works; the asterisk stands both while it waits and while it rests.
fn title(title: &str) -> Reading {
    let title = title.trim_start();
    if view::spins(title) {
        return Reading::claiming(
            State::Running,
            "active",
            Confidence::High,
            "spinner in the title",
        );
    }
    Reading::silent(if title.starts_with('✳') {
        "✳ in the title"
    } else {
        "no mark in the title"
    })
}

fn status(agent: &Running<'_>, content: &[u8]) -> Option<Reading> {
    let file = serde_json::from_slice::<Value>(content).ok()?;
    if !is_of(agent, &file) {
        return Some(Reading::silent("of another process"));
    }
    let claim = |state, reason, mark| Reading::claiming(state, reason, Confidence::High, mark);
    let reading = match payload::text(&file, "status") {
        "busy" => claim(State::Running, reason::ACTIVE, "status busy"),
        "idle" => claim(State::Idle, reason::IDLE, "status idle"),
        // At its prompt, while a command of the user's runs in the background.
        "shell" => claim(State::Idle, reason::IDLE, "status shell"),
        "waiting" => match payload::text(&file, "waitingFor") {
            "input needed" => claim(State::WaitingInput, "question", "waiting for input needed"),
            "dialog open" => claim(State::WaitingInput, "dialog_open", "waiting for dialog open"),
            _ => claim(State::WaitingApproval, "approval_requested", "status waiting"),
        },
        _ => Reading::silent("no status"),
    };
    Some(
        reading
            .telling(Detail::Session, payload::text(&file, "sessionId"))
            .telling(Detail::Directory, payload::text(&file, "cwd")),
    )
}

/// The transcript says nothing of the state: an interruption before the first word is not in it.
fn transcript(content: &[u8]) -> Option<Reading> {
    let mut told = None;
    for line in tail::lines(content).filter(|line| line["isSidechain"] != true) {
        let reading = told.get_or_insert_with(|| Reading::silent("transcript"));
        let reading = std::mem::take(reading).telling(Detail::Branch, branch(&line));
        told = Some(match payload::text(&line, "type") {
            "assistant" => answered(reading, &line["message"]),
            // A prompt, what a tool gave, or an interruption.
            "user" => reading.without(Detail::Tool).without(Detail::ToolInput),
            _ => reading,
        });
    }
    told
}

/// What one call of the model used: each part of an answer is a line of its own, and says it again.
fn used(line: &[u8]) -> Option<Call> {
    // Most lines are long and of no call.
    line.windows(USAGE.len()).any(|window| window == USAGE).then_some(())?;
    let line: Value = serde_json::from_slice(line).ok()?;
    let (message, usage) = (&line["message"], &line["message"]["usage"]);
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"].map(count);
    Some(Call {
        id: message["id"].as_str()?.to_owned(),
        tokens_in: cached.into_iter().fold(count("input_tokens"), u64::saturating_add),
        tokens_out: usage["output_tokens"].as_u64()?,
    })
}

/// What stands in each line that tells of tokens.
const USAGE: &[u8] = b"\"output_tokens\"";

/// The branch that a line was written on; empty where there is none.
fn branch(line: &Value) -> &str {
    let branch = payload::text(line, "gitBranch");
    if branch == "HEAD" { "" } else { branch }
}

fn answered(mut reading: Reading, message: &Value) -> Reading {
    let model = payload::text(message, "model");
    // What the program says in the model's place has no model.
    if !model.starts_with('<') {
        reading = reading.telling(Detail::Model, model);
    }
    for part in message["content"].as_array().into_iter().flatten() {
        reading = match payload::text(part, "type") {
            "text" => {
                reading.telling(Detail::LastMessage, payload::long(payload::text(part, "text")))
            }
            "tool_use" => reading
                .telling(Detail::Tool, payload::text(part, "name"))
                .without(Detail::ToolInput)
                .telling(Detail::ToolInput, payload::tool_input(&part["input"])),
            _ => reading,
        };
    }
    reading
}

/// A killed process leaves its file behind, and its number may be given again.
fn is_of(agent: &Running<'_>, file: &Value) -> bool {
    let number = |field: &str| match file.get(field) {
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
    };
    let same_start = match (agent.start_ticks, number("procStart")) {
        (Some(known), Some(written)) => known == written,
        (_, None) | (None, _) => true,
    };
    number("pid") == Some(u64::from(agent.pid)) && same_start
}

/// What the bottom of the screen shows.
fn look(view: &View) -> Option<Seen> {
    match composer(view) {
        Some(composer) => at_composer(view, &composer),
        None => dialog(view),
    }
}

/// The frame for the next prompt: a rule, what is typed after a `❯`, and a rule.
struct Frame {
    /// The line of the upper rule.
    top: usize,
    /// The first line that is typed into, and the lower rule.
    prompt: usize,
    bottom: usize,
    draft: String,
    footer: String,
}

/// Lines that may stand below the composer: hints, a status line, a list of commands.
const FOOTER_LINES_MAX: usize = 16;

fn composer(view: &View) -> Option<Frame> {
    let bottom = view.find_above(view.len(), view::is_rule)?;
    if view.len() - bottom > FOOTER_LINES_MAX {
        return None;
    }
    let prompt = view.find_above(bottom, |line| line.starts_with('❯') || view::is_rule(line))?;
    let top = prompt.saturating_sub(1);
    // In a pane of a few lines the upper rule may be out of sight.
    let framed = prompt == 0 || view::is_rule(view.line(top));
    let footer = view.joined(bottom + 1, view.len());
    // Below the head of a dialog stand its answers, and above it an earlier prompt may stand.
    let answers = view.menu('❯').is_some_and(|menu| menu.first > bottom);
    if !view.line(prompt).starts_with('❯') || !framed || answers || is_dialogs(&footer) {
        return None;
    }
    let draft = view.joined(prompt, bottom).trim_start_matches('❯').trim().to_owned();
    Some(Frame { top, prompt, bottom, draft, footer })
}

fn at_composer(view: &View, composer: &Frame) -> Option<Seen> {
    let Frame { top, draft, footer, .. } = composer;
    if footer.contains("esc to interrupt") {
        return Some(busy(view, *top));
    }
    if draft.starts_with("Press up to edit queued messages") {
        return Some(Seen::new(State::Running, "active", "queued prompts in the composer"));
    }
    let how = how_it_ended(view, *top);
    if footer.contains("? for shortcuts") {
        let plain = Seen::new(State::Idle, reason::IDLE, "`? for shortcuts` below the composer");
        return Some(how.unwrap_or(plain));
    }
    if footer.contains("Press Ctrl-C again to exit") {
        let plain = Seen::new(State::Idle, reason::IDLE, "`Press Ctrl-C again to exit`");
        return Some(how.unwrap_or(plain));
    }
    // In other modes than the usual the line names the mode, and the mark of work follows in it.
    if footer.contains("(shift+tab to cycle)") && !footer.contains('…') {
        let plain = Seen::new(State::Idle, reason::IDLE, "a mode without `esc to interrupt`");
        return Some(how.unwrap_or(plain.unsure()));
    }
    // With a draft in it the composer shows no hint. A passing one could hide the mark of work.
    let passing = footer.contains("paste again");
    let at_work = spinner(view, *top).is_some();
    let plain = || Seen::new(State::Idle, reason::IDLE, "a draft in the composer").unsure();
    (!draft.is_empty() && !passing && !at_work).then(|| how.unwrap_or_else(plain))
}

/// What kind of work goes on, by the paragraph above the composer.
fn busy(view: &View, top: usize) -> Seen {
    let line = spinner(view, top).unwrap_or_default();
    if line.contains("Retrying in") {
        return Seen::new(State::Running, "api_retry", "`Retrying in` above the composer");
    }
    if line.contains("▱") || line.contains("▰") || line.contains("Compacting") {
        return Seen::new(State::Running, "compacting", "bar of a compaction above the composer");
    }
    Seen::new(State::Running, "active", "`esc to interrupt` below the composer")
}

/// The paragraph above the composer, if it is the line of work that goes on.
fn spinner(view: &View, top: usize) -> Option<String> {
    let last = view.above(top)?;
    let paragraph = view.joined(view.paragraph(last), last + 1);
    let glyph = paragraph.starts_with(['·', '✢', '✳', '✶', '✻', '✽', '*']);
    (glyph && paragraph.contains('…') || paragraph.contains("Retrying in")).then_some(paragraph)
}

/// How the last turn came to rest, where the screen shows more than that it did.
fn how_it_ended(view: &View, top: usize) -> Option<Seen> {
    let last = view.above(top)?;
    let start = view.paragraph(last);
    let ended = view.find_above(last + 1, |line| line.trim_start().starts_with('⎿'));
    let result = |at: usize| view.line(at).trim_start().trim_start_matches('⎿').trim_start();
    // A narrow pane cuts the word, and a refused edit is told in other ones.
    let marks = ["Interrupted ·", "Interrup·", "User rejected "];
    let interrupted = |at: usize| marks.iter().any(|mark| result(at).starts_with(mark));
    if ended.is_some_and(|at| at >= start && interrupted(at)) {
        return Some(Seen::new(State::Idle, "interrupted", "`Interrupted` as the last entry"));
    }
    // A finished turn is closed by a line that tells how long it took.
    let closed = view.line(start).starts_with(['✻', '✢', '✳', '✶', '✽']) && start == last;
    let last = if closed { view.above(start)? } else { last };
    let entry = view.joined(view.paragraph(last), last + 1);
    let said = entry.trim_start_matches(['●', '⎿', ' ']);
    let limited = said.starts_with("You've hit your") && said.contains("limit");
    if limited {
        return Some(Seen::new(State::Error, "rate_limited", "a limit as the last entry").unsure());
    }
    // The model can write these words too, but hardly as all that it has to say.
    let failed = said.starts_with("API Error:") && entry.starts_with('●');
    let seen = || Seen::new(State::Error, view::failure(said), "`API Error` as the last entry");
    failed.then(seen)
}

/// Whether these are the keys that a dialog offers.
fn is_dialogs(footer: &str) -> bool {
    const KEYS: &[&str] = &["Esc to cancel", "Enter to confirm", "Enter to select"];
    KEYS.iter().any(|keys| footer.contains(keys))
}

/// Heads of the dialogs that stand before a session begins.
const STARTUP: &[&str] = &[
    "Accessing workspace:",
    "Do you trust the files",
    "Detected a custom API key",
    "Do you want to use this API key",
    "Bypass Permissions mode",
    "Select login method",
    "Choose the text style",
];

fn dialog(view: &View) -> Option<Seen> {
    let menu = view.menu('❯')?;
    let top = view.find_above(menu.first, view::is_rule);
    let head = view.joined(top.map_or(0, |at| at + 1), menu.first);
    // Below a shell's prompt the dialog is a thing of the past: its keys are the last line.
    let keys = view.closing();
    let offered = is_dialogs(&keys) && view::is_keys(&keys);
    if head.starts_with("Exit plan mode?") || head.contains("Would you like to proceed?") {
        let seen = Seen::new(State::WaitingApproval, "plan", "dialog about a plan");
        // It has no line of keys: nothing may stand below its answers but how to edit the plan.
        let bare = view.len() == menu.last + 1 || keys.starts_with("ctrl-g to edit");
        return (bare || offered).then(|| seen.asking(&head));
    }
    if !offered {
        return None;
    }
    if STARTUP.iter().any(|mark| head.contains(mark)) {
        let seen = Seen::new(State::WaitingInput, "startup_dialog", "dialog before the session");
        return Some(seen.asking(&head));
    }
    if keys.contains("Enter to select") {
        let seen = Seen::new(State::WaitingInput, "question", "`Enter to select` below answers");
        return Some(seen.asking(head.trim_start_matches(['☐', '←', ' '])));
    }
    if head.contains("Do you want to ") {
        let seen = Seen::new(
            State::WaitingApproval,
            "approval_requested",
            "`Do you want to` above answers",
        );
        return Some(seen.asking(&head));
    }
    Some(view::some_dialog("answers with their keys").asking(&head))
}
