//! Why a runtime is in its state: `GET /v1/runtimes/{id}/explain`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::runtimes::RuntimeItem;
use crate::timestamp::Timestamp;
use crate::words::{Confidence, SchemaVersion, Source, State};

/// The evidence behind a state, and what was made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainAnswer {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made; all ages are counted back from here.
    pub generated_at: Timestamp,
    /// The journal's sequence at which it was read.
    pub as_of: u64,
    /// The runtime, with the state that is explained.
    pub runtime: RuntimeItem,
    /// The rule that decided, as a code.
    pub rule: String,
    /// What that rule says, in one sentence.
    pub rule_meaning: String,
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
    pub source: Source,
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
    /// How long ago it was last confirmed.
    pub age_ms: u64,
    /// How old it may become before it no longer counts; null if it keeps.
    pub fresh_for_ms: Option<u64>,
    /// Whether it still counts.
    pub fresh: bool,
    /// Whether it decided.
    pub won: bool,
    /// Why it did not decide, as a code; null if it did.
    pub why_not: Option<String>,
}
