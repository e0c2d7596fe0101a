//! Why a state is shown: every piece of evidence, what it said, and why it won or did not.

use crate::engine::Engine;
use crate::ids::RuntimeId;
use crate::state::{Cursor, Heard, Sight, StateRow, Verdict};
use crate::time::{Now, WallMs};
use crate::words::{Health, Source, State, reason};

/// The whole answer to "why".
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    pub runtime: RuntimeId,
    /// What is shown.
    pub shown: StateRow,
    /// What the evidence says at this moment. The same, unless it expired since the last tick.
    pub concluded: Verdict,
    pub rule: Rule,
    pub health: Health,
    pub last_seen_age_ms: i64,
    pub last_activity_age_ms: Option<i64>,
    pub evidence: Vec<Piece>,
    pub last_events: Vec<(Source, Cursor)>,
}

/// The rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    TargetDown,
    ProcessEnded,
    /// Somebody turned the adapter of its agent off.
    Disabled,
    /// The newest fresh claim of a hook, a notification or a wrapper.
    Deterministic,
    /// No deterministic claim was fresh; the newest thing the poller inferred.
    Inferred,
    /// A `completed` that has been shown long enough.
    Demoted,
    /// Something was claimed, and nothing confirms it any more.
    Stale,
    /// An agent runs and nothing was said about it.
    Silent,
    NoAgent,
}

impl Rule {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TargetDown => "target_down",
            Self::ProcessEnded => "process_ended",
            Self::Disabled => "adapter_disabled",
            Self::Deterministic => "newest_deterministic_claim",
            Self::Inferred => "newest_inferred_claim",
            Self::Demoted => "completed_demoted",
            Self::Stale => "stale_signal",
            Self::Silent => "agent_without_signal",
            Self::NoAgent => "no_agent",
        }
    }
}

/// What one source last claimed.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    pub source: Source,
    pub heard: Heard,
    pub effective_time: WallMs,
    pub age_ms: i64,
    /// Time since something last confirmed it.
    pub confirmed_age_ms: i64,
    pub standing: Standing,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Won,
    /// Nothing has confirmed it for too long.
    Expired,
    /// A newer claim about another moment, or a more urgent one about the same.
    Outranked,
    /// It said the same as the winner.
    Agrees,
    /// It was said of another agent than the one whose process is in the pane.
    OfOther,
}

impl Standing {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Expired => "expired",
            Self::Outranked => "outranked",
            Self::Agrees => "agrees",
            Self::OfOther => "other_agent",
        }
    }
}

impl Engine {
    /// Explains an active runtime's state as of `now`.
    pub fn explain(&self, runtime: &RuntimeId, now: Now) -> Option<Explanation> {
        let row = self.pane_of(runtime)?;
        let evidence = self.evidence_of(row);
        let health = self.health_of(&row.key.target);
        let concluded = self.verdict(row, &evidence, health, now);
        let sight = Sight::of(row);
        // What the target or the process says counts for more than any claim.
        let overruled = concluded.source.is_none();
        let winner = evidence.winner(&sight, now, &self.settings);
        let standing = |source: Source, heard: &Heard| match winner {
            Some((by, won)) if by == source && won.event_id == heard.event_id => {
                if overruled {
                    Standing::Outranked
                } else {
                    Standing::Won
                }
            }
            _ if !evidence.believes(source, heard, &sight, now, &self.settings) => {
                Standing::Expired
            }
            Some((_, won)) if won.claim.state == heard.claim.state => Standing::Agrees,
            Some(_) | None => Standing::Outranked,
        };
        let counted =
            evidence.heads().map(|(source, heard)| (source, heard, standing(source, heard)));
        let aside = evidence.voices.iter().filter_map(|(source, voice)| {
            Some((*source, voice.aside.as_ref()?, Standing::OfOther))
        });
        let pieces = counted.chain(aside).map(|(source, heard, standing)| Piece {
            source,
            heard: heard.clone(),
            effective_time: heard.order.effective.min(heard.ingested_at.wall),
            age_ms: now.since(heard.ingested_at),
            confirmed_age_ms: now.since(evidence.confirmed(source, heard, &sight)),
            standing,
        });
        Some(Explanation {
            runtime: runtime.clone(),
            shown: row.state.clone(),
            rule: rule_of(&concluded),
            concluded,
            health,
            last_seen_age_ms: now.since(row.last_seen),
            last_activity_age_ms: row.last_activity.map(|at| now.since(at)),
            evidence: pieces.collect(),
            last_events: evidence
                .voices
                .iter()
                .filter_map(|(source, voice)| Some((*source, voice.cursor.clone()?)))
                .collect(),
        })
    }
}

fn rule_of(verdict: &Verdict) -> Rule {
    match (verdict.state, verdict.reason.as_str(), verdict.source) {
        (State::Unknown, reason::TARGET_UNREACHABLE, None) => Rule::TargetDown,
        (State::Unknown, reason::PROCESS_EXITED, None) => Rule::ProcessEnded,
        (State::Unknown, reason::UNSUPPORTED_SIGNAL, None) => Rule::Disabled,
        (State::Unknown, reason::STALE_SIGNAL, None) => Rule::Stale,
        (State::Unknown, reason::INCONCLUSIVE, None) => Rule::Silent,
        (_, reason::COMPLETED_DEMOTED, Some(_)) => Rule::Demoted,
        (_, _, Some(source)) if source.is_deterministic() => Rule::Deterministic,
        (_, _, Some(_)) => Rule::Inferred,
        (_, _, None) => Rule::NoAgent,
    }
}
