//! Event types, and what they say about a state.
//!
//! The words are those that hooks, notifications, wrappers and parsers of the known agents send.
//! A type that is not here is kept and changes nothing.

use engine::state::Claim;
use engine::words::{Confidence, State};

use crate::adapter::Report;

/// A row of the vocabulary: the types, and the claim they make.
struct Meaning {
    types: &'static [&'static str],
    state: State,
    reason: &'static str,
    confidence: Confidence,
}

const MEANINGS: &[Meaning] = &[
    Meaning {
        types: &[
            "error",
            "hook-error",
            "wrapper-error",
            "agent-error",
            "parser-error",
            "runtime-error",
            "runtime-fail",
            "runtime-panic",
        ],
        state: State::Error,
        reason: "runtime_error",
        confidence: Confidence::High,
    },
    Meaning {
        types: &[
            "waiting-approval",
            "needs-approval",
            "wait-approval",
            "approval-requested",
            "approval-needed",
            "parser-approval-needed",
        ],
        state: State::WaitingApproval,
        reason: "approval_requested",
        confidence: Confidence::High,
    },
    Meaning {
        types: &[
            "waiting-input",
            "needs-input",
            "user-intervention-needed",
            "prompt-user",
            "input-requested",
            "input-needed",
            "parser-needs-input",
        ],
        state: State::WaitingInput,
        reason: "input_required",
        confidence: Confidence::High,
    },
    Meaning {
        types: &[
            "running",
            "hook-start",
            "task-started",
            "session-started",
            "session-start",
            "wrapper-start",
            "agent-start",
        ],
        state: State::Running,
        reason: "active",
        confidence: Confidence::Medium,
    },
    Meaning {
        types: &[
            "completed",
            "hook-done",
            "task-finished",
            "session-finished",
            "session-exit",
            "agent-turn-complete",
            "agent-turn-finished",
            "turn-finished",
            "wrapper-exit",
            "agent-exit",
            "parser-complete",
        ],
        state: State::Completed,
        reason: "task_completed",
        confidence: Confidence::Medium,
    },
    Meaning {
        types: &["idle", "agent-idle", "session-idle"],
        state: State::Idle,
        reason: "idle",
        confidence: Confidence::Medium,
    },
];

/// Whose hooks the endpoints `/v1/hooks/...` speak for: they take what this agent's hooks get.
pub const HTTP_HOOKS_AGENT: &str = "claude";

/// The one spelling of an event type: lower case, with `-` between words.
pub fn normalise(event_type: &str) -> String {
    let dash = |c: char| if matches!(c, '_' | '.' | ' ') { '-' } else { c.to_ascii_lowercase() };
    event_type.trim().chars().map(dash).collect()
}

/// What a normalised event type says about the state, if anything.
pub fn claim(event_type: &str) -> Option<Claim> {
    let meaning = MEANINGS.iter().find(|meaning| meaning.types.contains(&event_type))?;
    Some(Claim {
        state: meaning.state,
        reason: meaning.reason.to_owned(),
        confidence: meaning.confidence,
    })
}

/// The name of an event as its agent spells it, whichever letters were sent as capitals; empty if it
/// is none of its events.
pub(crate) fn spelled(event: &str, names: &[&'static str]) -> &'static str {
    let name = names.iter().find(|name| name.eq_ignore_ascii_case(event));
    name.copied().unwrap_or_default()
}

/// What an event means that the agent itself does not know: one of these types, or nothing.
pub(crate) fn report(event: &str) -> Report {
    Report { claim: claim(&normalise(event)), ..Report::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_normalised_before_they_are_matched() {
        assert_eq!(normalise(" Task_Started "), "task-started");
        assert_eq!(normalise("agent.turn complete"), "agent-turn-complete");
        assert_eq!(claim(&normalise("Needs.Approval")).unwrap().state, State::WaitingApproval);
    }

    #[test]
    fn no_type_means_two_things_and_all_are_in_normal_form() {
        let all: Vec<_> = MEANINGS.iter().flat_map(|meaning| meaning.types).collect();
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(all.len(), distinct.len());
        assert!(all.iter().all(|word| normalise(word) == **word));
    }

    #[test]
    fn unknown_types_say_nothing() {
        assert_eq!(claim("coffee-ready"), None);
        assert_eq!(claim(""), None);
        assert_eq!(claim("Running"), None, "matching is on the normal form only");
    }
}
