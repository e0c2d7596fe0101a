//! What is known of an agent beside its state.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an agent told of itself, by its hooks or its own files. Texts come from whatever the agent
/// works on: they are redacted and bounded, and a terminal has to be kept from obeying them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentDetails {
    /// The agent's own id of its session.
    pub session_id: Option<String>,
    /// The model that it speaks with.
    pub model: Option<String>,
    /// The tool that is at work, or wants to be.
    pub tool: Option<String>,
    /// What that tool works on, in short.
    pub tool_input: Option<String>,
    /// The question or the permission that waits for an answer.
    pub ask: Option<String>,
    /// What it said last. A list shows the beginning.
    pub last_message: Option<String>,
    /// The folder it works in, where it says so.
    pub directory: Option<String>,
    /// The branch it works on, where it says so.
    pub branch: Option<String>,
    /// How many turns were seen to begin.
    pub turns: u64,
    /// For how many milliseconds it waited for somebody in all, in the waits that are over; one
    /// that goes on began at `state_since`.
    #[serde(default)]
    pub waited_ms: u64,
    /// Tokens it took in, where it counts them.
    pub tokens_in: Option<u64>,
    /// Tokens it gave out, where it counts them.
    pub tokens_out: Option<u64>,
    /// What that cost, in millionths of a dollar, where it says so.
    pub cost_microusd: Option<u64>,
}
