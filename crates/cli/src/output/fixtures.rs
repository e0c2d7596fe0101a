//! For tests: a small fleet, some of it hostile.

use std::collections::BTreeMap;

use api::Timestamp;
use api::agents::AgentDetails;
use api::error_code::ErrorCode;
use api::filters::Filters;
use api::health::Warning;
use api::list::{List, Summary, TargetError};
use api::panes::{LastKnown, PaneIdentity, PaneItem};
use api::runtimes::RuntimeItem;
use api::sessions::{AgentSummary, SessionIdentity, SessionItem, SessionTarget};
use api::targets::{TargetCounts, TargetIdentity, TargetItem, TmuxServer};
use api::windows::{WindowIdentity, WindowItem, WindowPane};
use api::words::{
    ActivityState, AgentPresence, AwaitingResponseKind, Confidence, DisplayCategory,
    EvidenceSource, Health, ObserverMode, SchemaVersion, State, TargetKind,
};
use serde_json::Map;

use crate::output::text::Text;

/// When everything here is looked at.
const NOW: i64 = 1_795_275_222_007;

pub(crate) fn shown(lines: &[Text]) -> String {
    lines.iter().map(|line| line.render(false) + "\n").collect()
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW - seconds * 1_000)
}

pub(crate) fn list<I>(targets: &[&str], items: Vec<I>) -> List<I> {
    let targets: Vec<_> = targets.iter().map(|name| name.parse().unwrap()).collect();
    List {
        schema_version: SchemaVersion::V1,
        generated_at: ago(0),
        as_of: 42,
        filters: Filters::default(),
        summary: Summary::empty(),
        partial: false,
        requested_targets: targets.clone(),
        responded_targets: targets,
        target_errors: Vec::new(),
        warnings: Vec::new(),
        items,
        next_page: None,
    }
}

/// A shell in a session.
fn pane(id: u32, session: &str, window: u32) -> PaneItem {
    PaneItem {
        identity: PaneIdentity {
            target: "local".parse().unwrap(),
            session_id: "$1".to_owned(),
            session_name: session.to_owned(),
            window_id: format!("@{window}"),
            pane_id: format!("%{id}"),
        },
        window_name: "zsh".to_owned(),
        window_index: window,
        pane_index: 0,
        current_cmd: "zsh".to_owned(),
        pane_title: "deck".to_owned(),
        current_path: "/home/me/src/project".to_owned(),
        width: 80,
        height: 24,
        pane_pid: Some(1000 + id),
        pane_tty: format!("/dev/pts/{id}"),
        pane_active: true,
        window_active: true,
        pane_dead: false,
        dead_status: None,
        dead_signal: None,
        in_mode: false,
        bell: false,
        linked_sessions: Vec::new(),
        state: State::Unknown,
        reason_code: "no_agent".to_owned(),
        confidence: Confidence::High,
        state_version: 1,
        state_source: None,
        state_since: ago(7_200),
        last_known: None,
        runtime_id: Some("3f9a0c5577d1e2b4".to_owned()),
        pane_epoch: Some(1),
        runtime_started_at: Some(ago(7_200)),
        agent_type: None,
        agent: None,
        agent_presence: AgentPresence::None,
        activity_state: ActivityState::Unknown,
        display_category: DisplayCategory::Unmanaged,
        needs_user_action: false,
        awaiting_response_kind: None,
        last_event_type: None,
        last_event_at: None,
        last_activity_at: Some(ago(5)),
        last_seen_at: ago(1),
        first_seen_at: ago(7_200),
        updated_at: ago(60),
    }
}

fn agent(mut pane: PaneItem, agent: &str, state: State, since: i64, title: &str) -> PaneItem {
    pane.agent_type = Some(agent.to_owned());
    pane.agent_presence = AgentPresence::Managed;
    pane.current_cmd = "node".to_owned();
    pane.state = state;
    pane.state_since = ago(since);
    pane.pane_title = title.to_owned();
    pane.display_category = match state {
        State::Error | State::WaitingApproval | State::WaitingInput => DisplayCategory::Attention,
        State::Running => DisplayCategory::Running,
        State::Completed | State::Idle => DisplayCategory::Idle,
        State::Unknown => DisplayCategory::Unknown,
    };
    pane.needs_user_action = pane.display_category == DisplayCategory::Attention;
    pane.awaiting_response_kind = match state {
        State::WaitingApproval => Some(AwaitingResponseKind::Approval),
        State::WaitingInput => Some(AwaitingResponseKind::Input),
        State::Error | State::Running | State::Completed | State::Idle | State::Unknown => None,
    };
    pane
}

/// What an agent told that wants to use a tool.
fn details(tool: &str, input: &str, ask: &str) -> AgentDetails {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    AgentDetails {
        session_id: text("0b4f7a9e"),
        model: text("opus"),
        tool: text(tool),
        tool_input: text(input),
        ask: text(ask),
        last_message: text("I clean up\nfirst.\u{1b}[2J"),
        branch: text("main"),
        turns: 3,
        tokens_in: Some(1_200),
        cost_microusd: Some(1_234_567),
        ..AgentDetails::default()
    }
}

fn told(pane: PaneItem, tool: &str, input: &str, ask: &str) -> PaneItem {
    PaneItem { agent: Some(details(tool, input, ask)), ..pane }
}

fn on(mut pane: PaneItem, target: &str) -> PaneItem {
    pane.identity.target = target.parse().unwrap();
    pane
}

pub(crate) fn panes() -> List<PaneItem> {
    let hostile = "evil\u{1b}]0;x\u{7}\u{202E}\u{1b}[2J session";
    let mut unknown = agent(pane(9, "api", 2), "codex", State::Unknown, 95, "codex");
    unknown.last_known = Some(LastKnown {
        state: State::Running,
        reason_code: "active".to_owned(),
        at: ago(120),
        age_ms: 120_000,
    });
    let mut vim = pane(11, "api", 3);
    vim.current_cmd = "vim".to_owned();
    let mut dead = pane(12, "api", 4);
    dead.pane_dead = true;
    dead.dead_status = Some(1);
    let items = vec![
        told(
            agent(pane(3, "work", 1), "claude", State::Running, 130, "Refactoring the parser"),
            "Bash",
            "cargo test",
            "",
        ),
        told(
            agent(pane(4, "work", 2), "claude", State::WaitingApproval, 185, "Cleaning"),
            "Bash",
            "rm -rf build",
            "Bash: rm -rf build",
        ),
        pane(5, "work", 3),
        pane(6, "work", 4),
        agent(pane(7, "日本語の長い名前のセッション", 1), "codex", State::Error, 30, "panic"),
        unknown,
        pane(10, "api", 1),
        vim,
        dead,
        agent(pane(20, hostile, 0), "claude\u{9b}31m", State::Idle, 4_000, "two\nlines\ttab"),
        on(agent(pane(3, "work", 1), "gemini", State::WaitingInput, 700, "Which?"), "build"),
        on(pane(4, "work", 2), "build"),
    ];
    list(&["local", "build"], items)
}

pub(crate) fn no_panes() -> List<PaneItem> {
    list(&["local"], Vec::new())
}

fn target(name: &str, health: Health, server: bool) -> TargetItem {
    let name: api::target_name::TargetName = name.parse().unwrap();
    TargetItem {
        identity: TargetIdentity { target: name.clone() },
        name: name.clone(),
        target_id: "tgt-1".to_owned(),
        kind: TargetKind::Local,
        connection_ref: String::new(),
        route: None,
        is_default: name.as_str() == "local",
        health,
        health_reason: (health != Health::Ok).then(|| "command_timeout".to_owned()),
        health_message: (health != Health::Ok)
            .then(|| "tmux did not answer within 5s \u{1b}[31m".to_owned()),
        server: server.then(|| TmuxServer {
            boot_id: "1-2".to_owned(),
            pid: 812,
            version: "3.3a".to_owned(),
            socket: "/tmp/tmux-1000/default".to_owned(),
            started_at: Some(ago(90_000)),
        }),
        observer_mode: if server { ObserverMode::Control } else { ObserverMode::None },
        last_seen_at: Some(ago(if health == Health::Ok { 1 } else { 340 })),
        clock_offset_ms: None,
        updated_at: ago(340),
        counts: TargetCounts { sessions: 4, windows: 9, panes: 10, agents: 5, needs_action: 2 },
    }
}

pub(crate) fn targets() -> List<TargetItem> {
    let items = vec![target("local", Health::Ok, true), target("build", Health::Down, true)];
    let mut list = list(&["local", "build"], items);
    list.partial = true;
    list.target_errors = vec![TargetError {
        target: "build".parse().unwrap(),
        code: api::ErrorCode::TargetUnreachable,
        message: "the target is down".to_owned(),
    }];
    list
}

pub(crate) fn no_server() -> List<TargetItem> {
    list(&["local"], vec![target("local", Health::Ok, false)])
}

pub(crate) fn target_error(target: &str) -> TargetError {
    TargetError {
        target: target.parse().unwrap(),
        code: ErrorCode::TargetUnreachable,
        message: "it does not answer".to_owned(),
    }
}

pub(crate) fn warning() -> Warning {
    Warning {
        code: "store_read_only".to_owned(),
        message: "the database cannot be written to: the disk is full".to_owned(),
        details: Map::new(),
        hint: "Make room; nothing that was answered before is lost.".to_owned(),
    }
}

fn by_category(items: &[(DisplayCategory, u64)]) -> BTreeMap<DisplayCategory, u64> {
    let mut counts = Summary::empty().by_category;
    counts.extend(items.iter().copied());
    counts
}

pub(crate) fn windows() -> List<WindowItem> {
    let window = |id: u32, name: &str, state, category, panes| WindowItem {
        identity: WindowIdentity {
            target: "local".parse().unwrap(),
            session_id: "$1".to_owned(),
            session_name: "work".to_owned(),
            window_id: format!("@{id}"),
        },
        window_name: name.to_owned(),
        window_index: id,
        active: id == 1,
        top_state: state,
        top_category: category,
        by_state: BTreeMap::new(),
        by_category: by_category(&[(category, 2)]),
        waiting_count: u64::from(category == DisplayCategory::Attention),
        running_count: 1,
        total_panes: 2,
        panes,
    };
    let inside = WindowPane {
        pane_id: "%4".to_owned(),
        pane_index: 0,
        agent_type: Some("claude".to_owned()),
        state: State::WaitingApproval,
        display_category: DisplayCategory::Attention,
    };
    let items = vec![
        window(1, "parser", State::WaitingApproval, DisplayCategory::Attention, Some(vec![inside])),
        window(2, "e\u{1b}[2Jvil\nname", State::Unknown, DisplayCategory::Unmanaged, None),
    ];
    list(&["local"], items)
}

pub(crate) fn sessions() -> List<SessionItem> {
    let share = |target: &str, panes| SessionTarget {
        target: target.parse().unwrap(),
        session_id: "$1".to_owned(),
        attached: 1,
        top_state: State::Running,
        top_category: DisplayCategory::Running,
        total_panes: panes,
        by_state: BTreeMap::new(),
        by_category: BTreeMap::new(),
    };
    let session = |name: &str, targets: Vec<SessionTarget>| SessionItem {
        identity: SessionIdentity { target: None, session_id: None, session_name: name.to_owned() },
        attached: 1,
        top_state: State::Running,
        top_category: DisplayCategory::Running,
        total_windows: 3,
        total_panes: 5,
        by_state: BTreeMap::new(),
        by_agent: BTreeMap::new(),
        by_category: by_category(&[(DisplayCategory::Running, 2), (DisplayCategory::Unmanaged, 3)]),
        targets,
        agents: Some(vec![AgentSummary {
            agent_type: "claude".to_owned(),
            total: 2,
            top_state: State::Running,
            by_state: BTreeMap::new(),
        }]),
    };
    let items = vec![
        session("work", vec![share("local", 3), share("build", 2)]),
        session("100%\t日本語の長い名前のセッション", vec![share("local", 5)]),
    ];
    list(&["local", "build"], items)
}

pub(crate) fn runtime() -> RuntimeItem {
    RuntimeItem {
        runtime_id: "3f9a0c5577d1e2b4".to_owned(),
        target: "local".parse().unwrap(),
        server_boot_id: "812-1".to_owned(),
        pane_id: "%4".to_owned(),
        pane_epoch: 2,
        pane: Some(pane(4, "work\u{1b}[1m", 2).identity),
        agent_type: Some("claude".to_owned()),
        agent: Some(details("Bash", "rm -rf build", "Bash: rm -rf build")),
        pid: Some(1004),
        started_at: ago(700),
        ended_at: None,
        ended_reason: None,
        state: State::WaitingApproval,
        reason_code: "approval_requested".to_owned(),
        confidence: Confidence::High,
        state_version: 7,
        state_source: Some(EvidenceSource::Hook),
        state_since: ago(9),
        last_known: None,
        last_seen_at: ago(1),
        updated_at: ago(9),
    }
}
