//! One runtime: `GET /v1/runtimes/{id}`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agents::AgentDetails;
use crate::panes::{LastKnown, PaneIdentity};
use crate::target_name::TargetName;
use crate::timestamp::Timestamp;
use crate::words::{Confidence, EndReason, EvidenceSource, SchemaVersion, State};

/// The answer about one runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuntimeAnswer {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The journal's sequence at which it was read.
    pub as_of: u64,
    /// The runtime.
    pub runtime: RuntimeItem,
}

/// One life of a process in a pane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuntimeItem {
    /// Its id.
    pub runtime_id: String,
    /// The target it lives on.
    pub target: TargetName,
    /// The life of the tmux server it lives in.
    pub server_boot_id: String,
    /// tmux's id of its pane.
    pub pane_id: String,
    /// Which runtime of that pane it is, counted from 1.
    pub pane_epoch: u64,
    /// Where its pane stands now; null once the runtime has ended.
    pub pane: Option<PaneIdentity>,
    /// The agent it is, if one was recognised.
    pub agent_type: Option<String>,
    /// What that agent told of itself; null without one, and once it has ended.
    pub agent: Option<AgentDetails>,
    /// Its process, if known.
    pub pid: Option<u32>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; null while it lives.
    pub ended_at: Option<Timestamp>,
    /// Why it ended; null while it lives.
    pub ended_reason: Option<EndReason>,
    /// What the engine concluded; unknown once it has ended.
    pub state: State,
    /// Why, as a code.
    pub reason_code: String,
    /// How sure it is.
    pub confidence: Confidence,
    /// How many times the state of its pane was set, its end included; zero where nothing is kept of that.
    pub state_version: u64,
    /// Which source decided; null if none did, and once it has ended.
    pub state_source: Option<EvidenceSource>,
    /// When this state began.
    pub state_since: Timestamp,
    /// What was known before the state became unknown; null otherwise.
    pub last_known: Option<LastKnown>,
    /// When an observation last confirmed it.
    pub last_seen_at: Timestamp,
    /// When something in this item changed last.
    pub updated_at: Timestamp,
}
