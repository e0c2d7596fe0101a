//! Codex: hooks and notifications, a rollout file for each session, a title that shows its state,
//! and its screen.

mod dialogs;
mod setup;
mod trust;

use engine::approval::Asked;
use engine::time::WallMs;
use engine::words::{Confidence, Detail, Source, State, reason};
use serde_json::Value;

use crate::adapter::{
    Adapter, Capabilities, FileKind, Proof, Reading, Readings, Report, Running, Server, StatusFile,
    Surface,
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
const COVERED: &[&str] = &["0.169.0"];

/// What makes the program a server for the sessions of all panes, which belongs to none of them.
const SERVER: &str = "app-server";

/// What makes the program something else than a session in a terminal.
const OTHER_COMMANDS: &[&str] = &[
    SERVER,
    "pid-update-loop",
    "mcp",
    "mcp-server",
    "proto",
    "login",
    "logout",
    "completion",
    "features",
    "sandbox",
    "debug",
    "queue",
    "-V",
    "--version",
    "-h",
    "--help",
];

/// How the hidden thread that names a session is asked.
const TITLE_PROMPT: &str = "Generate a concise, single-line task title";

pub(crate) struct Codex;

impl Adapter for Codex {
    fn agent(&self) -> &'static str {
        "codex"
    }

    fn name(&self) -> &'static str {
        "codex-notify-wrapper"
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
        is_codex(program) && !program.is_told_to(OTHER_COMMANDS)
    }

    fn serves_many(&self) -> Option<Server> {
        let is = |program: &Program<'_>| is_codex(program) && program.is_told_to(&[SERVER]);
        Some(Server { argument: SERVER, is })
    }

    fn session_began(&self, session: &str) -> Option<WallMs> {
        began(session)
    }

    fn hears(&self, event: &str, payload: &Value) -> Report {
        if payload.get("thread-id").is_some() {
            return notified(payload);
        }
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
        let view = View::of(screen);
        if offers_keys(&view.closing()) {
            return None;
        }
        let first = prompt(&view)?;
        let end = (first + 1..view.len()).find(|at| view.line(*at).is_empty())?;
        Some(composer::contents(screen, first..end, '›'))
    }

    fn manner(&self) -> Manner {
        Manner { enter_after_ms: 100, folds: &["[Pasted Content "], ..Manner::CAREFUL }
    }

    fn reads(&self, surface: &Surface<'_>) -> Readings {
        let seen = look(&View::of(surface.screen));
        Readings::from([
            (Source::Title, title(surface.title, seen.as_ref())),
            (Source::Screen, view::screen_reading(COVERED, surface, seen.as_ref())),
        ])
    }

    fn asks(&self, event: &str, payload: &Value) -> Option<Asked> {
        let input = payload.get("tool_input").unwrap_or(&Value::Null);
        asking::by_tool(event, payload::text(payload, "tool_name"), input, payload)
    }

    fn dialog(&self, screen: &Screen) -> Option<Dialog> {
        let view = View::of(screen);
        let seen = look(&view).filter(Seen::is_waiting)?;
        let menu = view.menu('›')?;
        let top = view.find_above(menu.first, |line| {
            line.starts_with("  Would you like to ")
                || line.trim_start().starts_with("Implement this plan?")
        })?;
        dialog::read(&seen, &view, top, screen.width, &dialogs::ASKING)
    }

    fn folder_variable(&self) -> Option<&'static str> {
        Some("CODEX_HOME")
    }

    fn status_files(&self, agent: &Running<'_>) -> Vec<StatusFile> {
        let folder = agent.folder.map_or_else(|| format!("{}/.codex", agent.home), str::to_owned);
        let rollout = |session: &str, proof| {
            let path = format!("{folder}/sessions/*/*/*/rollout-*{session}.jsonl");
            StatusFile { path, kind: FileKind::Transcript, proof }
        };
        let named = agent.session.filter(|session| tail::is_name(session));
        let named = named.map(|session| format!("-{session}"));
        // Its threads for others have files of their own. Where a daemon writes for all panes, no
        // process of the pane has any open, and only the session is left.
        let mut files: Vec<StatusFile> =
            named.iter().map(|session| rollout(session, Proof::HeldOpen)).collect();
        files.push(rollout("", Proof::HeldOpen));
        files.extend(named.iter().map(|session| rollout(session, Proof::Name)));
        files
    }

    fn reads_status(
        &self,
        _agent: &Running<'_>,
        _kind: FileKind,
        content: &[u8],
    ) -> Option<Reading> {
        rollout(content)
    }

    fn setup(&self) -> Option<&'static Setup> {
        Some(&setup::SETUP)
    }

    fn launch(&self, place: &Place<'_>) -> Option<Launch> {
        Some(setup::launch(place))
    }
}

fn is_codex(program: &Program<'_>) -> bool {
    let file = program.file();
    let native = ["codex-x86_64-", "codex-aarch64-"].iter().any(|start| file.starts_with(start));
    file == "codex" || native || program.runs_script("codex", "@openai/codex")
}

/// Sessions are named by UUIDs of the seventh version, which begin with their time.
fn began(session: &str) -> Option<WallMs> {
    let mut groups = session.split('-');
    let (high, low, rest) = (groups.next()?, groups.next()?, groups.next()?);
    let timed = high.len() == 8 && low.len() == 4 && rest.starts_with('7');
    let ms = i64::from_str_radix(&format!("{high}{low}"), 16).ok()?;
    timed.then_some(WallMs(ms))
}

/// All its events, also those that say nothing of the state.
const EVENTS: &[&str] = &[
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PermissionRequest",
    "PostModelRequest",
    "Stop",
    "Interrupt",
    "PreCompact",
    "PostCompact",
    "SessionEnd",
    "PreModelRequest",
    "SessionStart",
    "SubagentStart",
    "SubagentStop",
];

fn meaning(event: &str, payload: &Value) -> Report {
    let running = || Report::claiming(State::Running, "active");
    match vocabulary::spelled(event, EVENTS) {
        "UserPromptSubmit" => running().settled().beginning_turn(),
        "PreToolUse" => of_tool(running(), payload).with(Detail::Ask, ""),
        "PostToolUse" => running().settled(),
        "PermissionRequest" => permission(payload),
        "PostModelRequest" => after_request(payload),
        "Stop" => Report::claiming(State::Completed, COMPLETED)
            .settled()
            .telling(Detail::LastMessage, last_message(payload, "last_assistant_message")),
        "Interrupt" => Report::claiming(State::Idle, "interrupted").settled(),
        "PreCompact" => Report::claiming(State::Running, "compacting"),
        "PostCompact" if payload::text(payload, "trigger") == "manual" => {
            Report::claiming(State::Idle, reason::IDLE)
        }
        "PostCompact" => running(),
        "SessionEnd" => Report::claiming(State::Idle, "session_ended").settled(),
        // A request is also made for a try after a failed one, which it does not say.
        "PreModelRequest" => running().with(Detail::Ask, "").repeating(),
        "" => vocabulary::report(event),
        // The session starts with its first prompt, which is told by itself.
        _ => Report::default(),
    }
}

/// The notification program also hears of the hidden thread that thinks of the session's name.
fn notified(payload: &Value) -> Report {
    let asked = payload::text_at(payload, "/input-messages/0");
    if asked.starts_with(TITLE_PROMPT) {
        return Report::ignored();
    }
    let thread = payload::text(payload, "thread-id");
    let event = payload::text(payload, "type");
    let report = vocabulary::report(event);
    let ended = report.claim.as_ref().is_some_and(|claim| claim.state == State::Completed);
    let report = if ended { Report::claiming(State::Completed, COMPLETED) } else { report };
    let report = Report { only_of: Some(thread.to_owned()), ..report.settled() };
    report
        .telling(Detail::LastMessage, last_message(payload, "last-assistant-message"))
        .telling(Detail::Directory, payload::text(payload, "cwd"))
}

fn of_tool(report: Report, payload: &Value) -> Report {
    let input = payload.get("tool_input").map(payload::tool_input).unwrap_or_default();
    report.with(Detail::Tool, payload::text(payload, "tool_name")).with(Detail::ToolInput, input)
}

fn permission(payload: &Value) -> Report {
    let tool = payload::text(payload, "tool_name");
    let input = payload.get("tool_input").map(payload::tool_input).unwrap_or_default();
    of_tool(Report::claiming(State::WaitingApproval, "approval_requested"), payload)
        .with(Detail::Ask, payload::ask(tool, &input))
}

fn after_request(payload: &Value) -> Report {
    match payload::text(payload, "status") {
        "completed" => Report::claiming(State::Running, "active"),
        // A refused request is not tried again, and nothing else tells that the turn is over.
        "failed" if payload::text(payload, "error").contains("invalid_request_error") => {
            Report::claiming(State::Error, "api_error").settled()
        }
        "failed" => Report::claiming(State::Running, "api_retry"),
        // What cancelled it is told by itself.
        _ => Report::default(),
    }
}

fn last_message(payload: &Value, field: &str) -> String {
    payload::long(payload::text(payload, field))
}

fn title(title: &str, seen: Option<&Seen>) -> Reading {
    let title = title.trim_start();
    if seen.is_some_and(|seen| seen.mark == HOOK_RUNS) {
        return Reading::silent(HOOK_RUNS);
    }
    if view::spins(title) {
        return Reading::claiming(
            State::Running,
            "active",
            Confidence::High,
            "spinner in the title",
        );
    }
    if title.starts_with("[ ! ] ") || title.starts_with("[ . ] ") {
        return view::waiting_title(seen, "`Action Required` in the title");
    }
    // Until it has a thread the title is the shell's, or the folder's.
    if title.contains(" | ") {
        return view::resting_title(seen, "no mark before the title");
    }
    Reading::silent("no thread in the title")
}

/// The last word of a session's log about its turn, and what it tells beside.
fn rollout(content: &[u8]) -> Option<Reading> {
    let mut told = None;
    for line in tail::lines(content) {
        let reading = told.get_or_insert_with(|| Reading::silent("no word about a turn"));
        let (reading, entry) = (std::mem::take(reading), &line["payload"]);
        told = Some(match payload::text(&line, "type") {
            "event_msg" => happened(reading, entry),
            "response_item" => worked(reading, entry),
            "session_meta" => reading
                .telling(Detail::Session, payload::text(entry, "id"))
                .telling(Detail::Directory, payload::text(entry, "cwd"))
                .telling(Detail::Branch, payload::text_at(entry, "/git/branch")),
            "turn_context" => reading
                .telling(Detail::Model, payload::text(entry, "model"))
                .telling(Detail::Directory, payload::text(entry, "cwd")),
            _ => reading,
        });
    }
    told
}

/// One event of a turn.
fn happened(reading: Reading, event: &Value) -> Reading {
    let claim = |state, reason: &str, mark| Reading {
        details: reading.details.clone(),
        ..Reading::claiming(state, reason, Confidence::High, mark)
    };
    let rested = |reading: Reading| reading.without(Detail::Tool).without(Detail::ToolInput);
    match payload::text(event, "type") {
        "task_started" => rested(claim(State::Running, reason::ACTIVE, "task_started")),
        "turn_aborted" => rested(claim(State::Idle, "interrupted", "turn_aborted")),
        "task_complete" => {
            let error = event.get("error").filter(|error| !error.is_null());
            let ended = match error {
                Some(error) => {
                    let reason = view::failure(&error.to_string());
                    claim(State::Error, reason, "task_complete with an error")
                }
                None => claim(State::Completed, COMPLETED, "task_complete"),
            };
            rested(ended).telling(Detail::LastMessage, last_message(event, "last_agent_message"))
        }
        "token_count" => {
            let of = |field| payload::count_at(event, &format!("/info/total_token_usage/{field}"));
            reading
                .telling(Detail::TokensIn, of("input_tokens"))
                .telling(Detail::TokensOut, of("output_tokens"))
        }
        _ => reading,
    }
}

/// One piece of the model's work: a tool that it began to use, or what that gave.
fn worked(reading: Reading, item: &Value) -> Reading {
    match payload::text(item, "type") {
        "function_call" | "custom_tool_call" => {
            let [arguments, input] = ["arguments", "input"].map(|field| payload::text(item, field));
            let arguments = serde_json::from_str(arguments).unwrap_or_else(|_| input.into());
            reading
                .telling(Detail::Tool, payload::text(item, "name"))
                .without(Detail::ToolInput)
                .telling(Detail::ToolInput, payload::tool_input(&arguments))
        }
        "function_call_output" | "custom_tool_call_output" => {
            reading.without(Detail::Tool).without(Detail::ToolInput)
        }
        _ => reading,
    }
}

/// What the bottom of the screen shows.
fn look(view: &View) -> Option<Seen> {
    let keys = view.closing();
    if offers_keys(&keys) {
        return dialog(view);
    }
    let composer = prompt(view)?;
    // It is painted before anything can be typed; then the model's name and the folder appear.
    // Later a list of commands can stand in their place.
    let ready = (composer + 1..view.len()).any(|at| names_folder(view.line(at)));
    if !ready {
        let begun = view.find_above(composer, |line| line.starts_with(ENTRIES));
        let seen = Seen::new(State::Unknown, "starting", "a composer without the model's name");
        return begun.is_none().then(|| seen.unsure());
    }
    // A session without a turn has only its banner above, however large that is drawn.
    let entry = |line: &str| line.starts_with(ENTRIES) || line.starts_with("  Worked for ");
    let banner = view.find_above(composer, |line| line.trim_start().starts_with(BANNER));
    if banner.is_some() && view.find_above(composer, entry).is_none() {
        let seen = Seen::new(State::Idle, reason::IDLE, "a composer without a turn above");
        return Some(seen.unsure());
    }
    above_composer(view, composer)
}

/// How a turn is said to have ended that was neither broken off nor failed.
const COMPLETED: &str = "task_completed";

/// The mark of a hook that runs. It looks like work also where the hook asks somebody for a
/// permission: no dialog is shown meanwhile, and only the hook itself tells.
const HOOK_RUNS: &str = "a hook that runs, above the composer";

/// How the banner begins that stands above the first turn.
const BANNER: &str = ">_ OpenAI Codex";

/// How the entries of a session begin, at the margin.
const ENTRIES: [char; 6] = ['•', '◦', '›', '■', '✔', '✗'];

/// The line of the composer: the last one that begins at the margin.
fn prompt(view: &View) -> Option<usize> {
    let last = view.find_above(view.len(), |line| !line.is_empty() && !line.starts_with(' '))?;
    (view.line(last).starts_with('›') && last + 1 < view.len()).then_some(last)
}

fn names_folder(line: &str) -> bool {
    line.contains(" · ~") || line.contains(" · /")
}

/// Whether these are the keys that a dialog offers.
fn offers_keys(keys: &str) -> bool {
    let keys = keys.to_lowercase();
    let words = keys.chars().all(|c| c.is_alphanumeric() || " ·".contains(c));
    (keys.starts_with("press enter") || keys.starts_with("enter "))
        && keys.contains("esc ")
        && words
}

/// The last paragraph above the composer that tells of the turn.
fn above_composer(view: &View, composer: usize) -> Option<Seen> {
    let mut last = view.above(composer)?;
    let mut start = view.paragraph(last);
    if view.joined(start, last + 1).contains("background terminal")
        && view.line(start).starts_with(' ')
    {
        last = view.above(start)?;
        start = view.paragraph(last);
    }
    let text = view.joined(start, last + 1);
    let first = view.line(start);
    if let Some(work) = first.strip_prefix(['•', '◦']) {
        return at_work(work, &text);
    }
    if first.starts_with("  Worked for ") {
        return Some(Seen::new(State::Completed, COMPLETED, "`Worked for` above the composer"));
    }
    if let Some(notice) = text.strip_prefix('■') {
        return Some(notice_of(notice.trim_start()));
    }
    let banner = first.trim_start().starts_with(BANNER) || first.starts_with('╭');
    banner.then(|| Seen::new(State::Idle, reason::IDLE, "nothing but the banner above").unsure())
}

/// The line of work that goes on: `Working (3s • esc to interrupt)`, however short it was cut.
fn at_work(work: &str, paragraph: &str) -> Option<Seen> {
    let (doing, time) = work.split_once('(')?;
    let digits = time.chars().take_while(char::is_ascii_digit).count();
    let timed = digits > 0 && time[digits..].starts_with(['s', 'm', 'h']);
    let keyed =
        paragraph.contains(" • esc to interrupt)") || (work.ends_with('…') && time.contains(" •"));
    if !timed || !keyed {
        return None;
    }
    if doing.to_lowercase().contains("reconnecting") {
        return Some(Seen::new(State::Running, "api_retry", "`reconnecting` above the composer"));
    }
    if paragraph.contains(" • esc to interrupt) · Running ") {
        return Some(Seen::new(State::Running, "active", HOOK_RUNS).unsure());
    }
    Some(Seen::new(State::Running, "active", "`esc to interrupt` above the composer"))
}

fn notice_of(notice: &str) -> Seen {
    if notice.starts_with("Conversation interrupted") {
        return Seen::new(State::Idle, "interrupted", "`■ Conversation interrupted`");
    }
    Seen::new(State::Error, view::failure(notice), "`■` as the last entry")
}

fn dialog(view: &View) -> Option<Seen> {
    let menu = view.menu('›')?;
    // What is asked is indented, up to the last entry of the session.
    let entry = view.find_above(menu.first, |line| !line.is_empty() && !line.starts_with(' '));
    let entry = entry.map_or(0, |at| at + 1);
    let asks = view.find_above(menu.first, |line| line.starts_with("  Would you like to "));
    let head = view.joined(asks.unwrap_or(entry).max(entry), menu.first);
    let seen = if head.starts_with("Would you like to ") {
        Seen::new(State::WaitingApproval, "approval_requested", "`Would you like to` above answers")
    } else if head.contains("Trust this folder?") || head.starts_with("Hooks need review") {
        Seen::new(State::WaitingInput, "startup_dialog", "dialog before the session")
    } else if head.starts_with("Implement this plan?") {
        Seen::new(State::WaitingApproval, "plan", "`Implement this plan?` above answers").unsure()
    } else {
        view::some_dialog("answers with their keys")
    };
    Some(seen.asking(&head))
}
