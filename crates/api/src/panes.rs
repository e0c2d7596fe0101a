//! Panes: `GET /v1/panes`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agents::AgentDetails;
use crate::list::List;
use crate::target_name::TargetName;
use crate::timestamp::Timestamp;
use crate::words::{
    ActivityState, AgentPresence, AwaitingResponseKind, Confidence, DisplayCategory,
    EvidenceSource, State,
};

/// The answer of the panes' list.
pub type PaneList = List<PaneItem>;

/// What a pane is known by. Its key is target and pane id; the rest says where
/// it stands at the moment.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct PaneIdentity {
    /// The target's name.
    pub target: TargetName,
    /// tmux's id of the session, such as `$1`.
    pub session_id: String,
    /// The session's name.
    pub session_name: String,
    /// tmux's id of the window, such as `@3`.
    pub window_id: String,
    /// tmux's id of the pane, such as `%12`.
    pub pane_id: String,
}

/// One pane with what lives in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaneItem {
    /// What it is known by.
    pub identity: PaneIdentity,

    /// The name of its window.
    pub window_name: String,
    /// The place of its window in the session.
    pub window_index: u32,
    /// Its place in the window.
    pub pane_index: u32,
    /// The command in its foreground, as tmux names it.
    pub current_cmd: String,
    /// Its title.
    pub pane_title: String,
    /// Its working directory.
    pub current_path: String,
    /// Its width in cells.
    pub width: u32,
    /// Its height in cells.
    pub height: u32,
    /// The process tmux started in it; null for a pane without one.
    pub pane_pid: Option<u32>,
    /// Its terminal, such as `/dev/pts/4`.
    pub pane_tty: String,
    /// Whether it is its window's active pane.
    pub pane_active: bool,
    /// Whether its window is the session's current one.
    pub window_active: bool,
    /// Whether its process has ended while the pane remains.
    pub pane_dead: bool,
    /// The exit status of a dead pane's process.
    pub dead_status: Option<i32>,
    /// The signal that ended a dead pane's process.
    pub dead_signal: Option<i32>,
    /// Whether it is in a mode of tmux's, such as copy mode.
    pub in_mode: bool,
    /// Whether its window rang the bell since it was last looked at.
    pub bell: bool,
    /// tmux's ids of the other sessions that show its window: it is in each of
    /// them, and in counts over all panes once.
    pub linked_sessions: Vec<String>,

    /// What the engine concluded.
    pub state: State,
    /// Why, as a code.
    pub reason_code: String,
    /// How sure it is.
    pub confidence: Confidence,
    /// How many times the state was set for this runtime.
    pub state_version: u64,
    /// Which source decided; null if none did.
    pub state_source: Option<EvidenceSource>,
    /// When this state began.
    pub state_since: Timestamp,
    /// What was known before the state became unknown; null otherwise.
    pub last_known: Option<LastKnown>,

    /// The runtime that lives in it; null for a dead pane.
    pub runtime_id: Option<String>,
    /// How many runtimes have lived in it, this one included; null for a dead
    /// pane.
    pub pane_epoch: Option<u64>,
    /// When the runtime began.
    pub runtime_started_at: Option<Timestamp>,
    /// The agent in it, if one was recognised.
    pub agent_type: Option<String>,
    /// What that agent told of itself; null without one.
    pub agent: Option<AgentDetails>,
    /// Whether an agent runs in it.
    pub agent_presence: AgentPresence,
    /// What it is doing, for showing.
    pub activity_state: ActivityState,
    /// The drawer it is shown in.
    pub display_category: DisplayCategory,
    /// Whether somebody is needed.
    pub needs_user_action: bool,
    /// What kind of answer it waits for, if it does.
    pub awaiting_response_kind: Option<AwaitingResponseKind>,

    /// The type of the last event of the runtime.
    pub last_event_type: Option<String>,
    /// When that event happened.
    pub last_event_at: Option<Timestamp>,
    /// When there was output or input last; at the least, when the process in it began.
    pub last_activity_at: Option<Timestamp>,
    /// When an observation last confirmed that the pane is there.
    pub last_seen_at: Timestamp,
    /// When the pane was first seen.
    pub first_seen_at: Timestamp,
    /// When something in this item, volatile times aside, changed last.
    pub updated_at: Timestamp,
}

/// What was known before a state became unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastKnown {
    /// The state.
    pub state: State,
    /// Why it was concluded.
    pub reason_code: String,
    /// When it was last confirmed.
    pub at: Timestamp,
    /// How long before this answer that was.
    pub age_ms: u64,
}
