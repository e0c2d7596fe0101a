//! Reports of an agent's hooks over HTTP: `POST /v1/hooks/{event}`, for hooks that can make a
//! request but start no program. The others run `qd hook`, which needs no daemon.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;
use crate::words::SchemaVersion;

words! {
    /// What a hook reports.
    pub enum HookEvent {
        /// A session began or was resumed.
        SessionStart = "sessionstart",
        /// A turn ended.
        Stop = "stop",
        /// The agent asks for a permission.
        PermissionRequest = "permissionrequest",
        /// A session ended.
        SessionEnd = "sessionend",
        /// The agent wants to be noticed.
        Notification = "notification",
        /// A tool was used.
        PostToolUse = "posttooluse",
    }
}

/// What the agent hands to its hook. Everything else in it is kept as it is, and redacted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HookReport {
    /// The agent's session.
    pub session_id: String,
    /// The event in the agent's own spelling.
    #[serde(default)]
    pub hook_event_name: Option<String>,
    /// The file that the agent writes the session to.
    #[serde(default)]
    pub transcript_path: Option<String>,
    /// Where the agent works.
    #[serde(default)]
    pub cwd: Option<String>,
    /// The tool that was used.
    #[serde(default)]
    pub tool_name: Option<String>,
}

/// What became of a report. An agent is never bothered with more than that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HookAnswer {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// What became of it.
    pub status: HookStatus,
    /// The task that the agent works on, if it is one of ours.
    pub task_id: Option<String>,
    /// The same for people.
    pub message: Option<String>,
}

words! {
    /// What became of a hook's report.
    pub enum HookStatus {
        /// It was taken in.
        Ok = "ok",
        /// It is about no agent in a pane that is watched.
        Ignored = "ignored",
        /// There was nothing to do about it.
        Skipped = "skipped",
        /// It was taken in, and what should have followed failed.
        Error = "error",
    }
}
