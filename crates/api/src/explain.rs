//! Why a runtime is in its state: `GET /v1/runtimes/{id}/explain`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::health::Warning;
use crate::runtimes::RuntimeItem;
use crate::timestamp::Timestamp;
use crate::words::{Confidence, EvidenceSource, Health, SchemaVersion, State};

/// The evidence behind a state, and what was made of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainAnswer {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made; all ages are counted back from here.
    pub generated_at: Timestamp,
    /// The journal's sequence at which it was read.
    pub as_of: u64,
    /// The runtime, with the state that is explained.
    pub runtime: RuntimeItem,
    /// Why what is shown may be of the past: nothing is stored any more, say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// The rule that decided.
    pub rule: DecisionRule,
    /// Whether the target can be relied on.
    pub target_health: Health,
    /// How long ago an observation last confirmed the runtime.
    pub last_seen_age_ms: u64,
    /// How long ago there was output or input; null if there was none yet.
    pub last_activity_age_ms: Option<u64>,
    /// When time alone would change the state next; null if it would not.
    pub next_change_at: Option<Timestamp>,
    /// All evidence there is, the one that won first.
    pub evidence: Vec<Evidence>,
    /// Fresh evidence that said something else, by its place in `evidence`.
    pub contradicted: Vec<u32>,
}

/// What one source said last, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Who said it.
    pub source: EvidenceSource,
    /// The event in which it was said; null for an observation without one.
    pub event_id: Option<String>,
    /// What kind of event it was.
    pub event_type: Option<String>,
    /// The state it speaks for; null if it speaks for none.
    pub says: Option<State>,
    /// Its reason, as a code.
    pub reason_code: String,
    /// How sure it is.
    pub confidence: Confidence,
    /// When it happened, by the clock that counts.
    pub effective_at: Timestamp,
    /// When the daemon took it in.
    pub ingested_at: Timestamp,
    /// How long ago it was taken in.
    pub age_ms: u64,
    /// How long ago something last confirmed it; this is what makes it stale.
    pub confirmed_age_ms: u64,
    /// Whether it still counts.
    pub fresh: bool,
    /// Whether it decided.
    pub won: bool,
    /// Why it did not decide; null if it did.
    pub why_not: Option<WhyNot>,
}

words! {
    /// The rule by which a state was concluded.
    pub enum DecisionRule {
        /// The target is down, so nothing is known.
        TargetDown = "target_down",
        /// The process has ended.
        ProcessEnded = "process_ended",
        /// The adapter of its agent is disabled, so nothing that is said of it counts.
        AdapterDisabled = "adapter_disabled",
        /// The newest fresh word of a source that knows for certain wins.
        NewestDeterministicClaim = "newest_deterministic_claim",
        /// No such word is fresh or tells enough; what the screen looks like decides.
        NewestInferredClaim = "newest_inferred_claim",
        /// A completion that has been shown long enough reads idle.
        CompletedDemoted = "completed_demoted",
        /// Something was said, and nothing confirms it any more.
        StaleSignal = "stale_signal",
        /// An agent runs, and nothing was said about it.
        AgentWithoutSignal = "agent_without_signal",
        /// No agent runs.
        NoAgent = "no_agent",
    }
}

words! {
    /// Why a piece of evidence did not decide.
    pub enum WhyNot {
        /// Nothing has confirmed it for too long.
        Expired = "expired",
        /// Another is newer, or more urgent about the same moment.
        Outranked = "outranked",
        /// It said the same as the one that decided.
        Agrees = "agrees",
        /// It was said of another agent than the one whose process is in the pane.
        OtherAgent = "other_agent",
    }
}
