//! How the daemon is doing: `GET /v1/health`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::target_name::TargetName;
use crate::timestamp::Timestamp;
use crate::words::{Health, ObserverMode, SchemaVersion};

/// How the daemon is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HealthAnswer {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The whole in one word.
    pub status: HealthStatus,
    /// The daemon's version.
    pub version: String,
    /// The daemon's process.
    pub pid: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// How long it has been running.
    pub uptime_ms: u64,
    /// The id of this installation; a copy of its folder has another.
    pub instance_id: String,
    /// The path of its socket.
    pub socket: String,
    /// The address at which it serves tokens over TCP; null while it does not.
    #[serde(default)]
    pub listen: Option<String>,
    /// The path of its database.
    pub database: String,
    /// Whether it can write there.
    pub store_mode: StoreMode,
    /// How far its journal is.
    pub journal: JournalHead,
    /// The watch stream's id.
    pub stream_id: String,
    /// How many watch streams are open.
    pub watchers: u64,
    /// How its targets are doing.
    pub targets: Vec<TargetHealth>,
    /// What became of the records of hooks since it started.
    #[serde(default)]
    pub hooks: HookTally,
    /// What somebody should know or do.
    pub warnings: Vec<Warning>,
}

/// What became of the records of hooks since the daemon started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HookTally {
    /// Those that were taken in.
    pub taken: u64,
    /// Those that came from no pane that is watched, by the agent that they name: one outside tmux,
    /// or one whose hooks run in a process that several panes share.
    pub homeless: BTreeMap<String, u64>,
}

words! {
    /// The daemon's health in one word.
    pub enum HealthStatus {
        /// All is well.
        Ok = "ok",
        /// It works, but something in the answer needs a look.
        Degraded = "degraded",
        /// It answers reads; nothing can be written.
        ReadOnly = "read_only",
    }
}

words! {
    /// Whether the database can be written to.
    pub enum StoreMode {
        /// It can.
        ReadWrite = "read_write",
        /// It cannot, or must not.
        ReadOnly = "read_only",
    }
}

/// The end of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JournalHead {
    /// The last sequence that is durable.
    pub sequence: u64,
    /// The hash up to there, in hexadecimal.
    pub hash: String,
}

/// How one target is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetHealth {
    /// Its name.
    pub target: TargetName,
    /// Whether it can be relied on.
    pub health: Health,
    /// Why not, or what is limited, as a code; null while all is well.
    pub health_reason: Option<String>,
    /// The same for people.
    pub health_message: Option<String>,
    /// How its tmux server is being observed.
    pub observer_mode: ObserverMode,
    /// When it last answered.
    pub last_seen_at: Option<Timestamp>,
}

/// Something that somebody should know or do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// What it is, as a code in snake case.
    pub code: String,
    /// What it is, for people.
    pub message: String,
    /// Facts beside the message.
    pub details: Map<String, Value>,
    /// What to do about it.
    pub hint: String,
}
