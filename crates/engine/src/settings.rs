//! What of the engine a user may change; the defaults are the product's.

use crate::words::FromAgents;

/// Configurable defaults of ordering, state, health and actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How far a source's clock may differ before its event time is not believed.
    pub skew_budget_ms: i64,
    /// How far a start hint may lie from a runtime's start.
    pub bind_window_ms: i64,
    /// How long an event waits for the runtime it is about.
    pub pending_ttl_ms: i64,
    /// How long `completed` is shown before it becomes `idle`.
    pub completed_ttl_ms: i64,
    /// How long a definite state holds without an observation that confirms it.
    pub stale_ttl_ms: i64,
    /// Consecutive failures that make a degraded target `down`.
    pub down_failures: u32,
    /// The time within which those failures must fall.
    pub down_window_ms: i64,
    /// Consecutive good probes that, with a topology, make a target `ok` again.
    pub recovery_probes: u32,
    /// On which panes agents may act.
    pub from_agents: FromAgents,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            skew_budget_ms: 10_000,
            bind_window_ms: 5_000,
            pending_ttl_ms: 30_000,
            completed_ttl_ms: 120_000,
            stale_ttl_ms: 30_000,
            down_failures: 3,
            down_window_ms: 30_000,
            recovery_probes: 2,
            from_agents: FromAgents::Agents,
        }
    }
}
