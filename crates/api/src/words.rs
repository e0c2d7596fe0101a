//! The words of the product as the wire spells them; see `product.md` of the
//! reference for what each stands for.

use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};

/// A text that is none of the words expected in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not one of: {}", .expected.join(", "))]
pub struct UnknownWord {
    /// What stood there.
    pub given: String,
    /// What could have stood there.
    pub expected: &'static [&'static str],
}

impl UnknownWord {
    pub(crate) fn new(given: &str, expected: &'static [&'static str]) -> Self {
        Self { given: given.chars().take(80).collect(), expected }
    }
}

/// The schema of a word list: the words, and what each of them means.
pub(crate) fn word_schema(
    about: &str,
    words: impl Iterator<Item = (&'static str, &'static str)>,
) -> Schema {
    let (spellings, meanings): (Vec<_>, Vec<_>) =
        words.map(|(word, meaning)| (word, format!("- `{word}`: {meaning}"))).unzip();
    json_schema!({
        "type": "string",
        "enum": spellings,
        "description": format!("{}\n\n{}", about.trim(), meanings.join("\n")),
    })
}

/// The version of the wire format; every answer names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum SchemaVersion {
    /// The first, and so far the only one.
    #[default]
    #[serde(rename = "v1")]
    V1,
}

words! {
    /// What the engine concludes about a runtime, strongest first.
    pub enum State {
        /// The agent stopped on a failure.
        Error = "error",
        /// The agent asked for a permission and waits.
        WaitingApproval = "waiting_approval",
        /// The agent asked for input and waits.
        WaitingInput = "waiting_input",
        /// Work goes on.
        Running = "running",
        /// The last piece of work ended a short while ago.
        Completed = "completed",
        /// Nothing goes on.
        Idle = "idle",
        /// There is no fresh evidence to conclude anything from.
        Unknown = "unknown",
    }
}

impl State {
    /// The rank among fresh candidates: 1 wins over 7.
    #[must_use]
    pub const fn precedence(self) -> u8 {
        match self {
            Self::Error => 1,
            Self::WaitingApproval => 2,
            Self::WaitingInput => 3,
            Self::Running => 4,
            Self::Completed => 5,
            Self::Idle => 6,
            Self::Unknown => 7,
        }
    }
}

words! {
    /// How sure the engine is of a state.
    pub enum Confidence {
        /// The agent itself said so.
        High = "high",
        /// Several signs agree.
        Medium = "medium",
        /// A guess, or the absence of evidence.
        Low = "low",
    }
}

words! {
    /// Who reports an event.
    pub enum Source {
        /// A hook of the agent's.
        Hook = "hook",
        /// A notification program that the agent calls.
        Notify = "notify",
        /// Whoever wrapped or started the agent.
        Wrapper = "wrapper",
        /// Something that looks at the agent from outside, and infers.
        Poller = "poller",
    }
}

words! {
    /// What a state is concluded from: what was reported, and what the daemon reads by itself.
    pub enum EvidenceSource {
        /// A hook of the agent's.
        Hook = "hook",
        /// A notification program that the agent calls.
        Notify = "notify",
        /// Whoever wrapped or started the agent.
        Wrapper = "wrapper",
        /// Something that looks at the agent from outside, and infers.
        Poller = "poller",
        /// The agent's own status or transcript file.
        Status = "status",
        /// The pane's title.
        Title = "title",
        /// The processes and the terminal of the pane.
        Process = "process",
        /// The lower part of the screen.
        Screen = "screen",
    }
}

words! {
    /// How a target is reached.
    pub enum TargetKind {
        /// A tmux server on this machine.
        Local = "local",
        /// A tmux server on a machine reached by ssh.
        Ssh = "ssh",
        /// A tmux server behind any other command.
        Command = "command",
    }
}

words! {
    /// Whether a target can be relied on.
    pub enum Health {
        /// It answers.
        Ok = "ok",
        /// It failed lately, or is being watched by the slower way.
        Degraded = "degraded",
        /// It failed repeatedly; its states read unknown.
        Down = "down",
    }
}

words! {
    /// How a target's tmux server is being observed.
    pub enum ObserverMode {
        /// By one persistent control-mode client.
        Control = "control",
        /// By a forked command for each scan.
        Forked = "forked",
        /// Not at all, as no server runs or it cannot be reached.
        None = "none",
    }
}

words! {
    /// Whether an agent runs in a pane.
    pub enum AgentPresence {
        /// An agent was recognised.
        Managed = "managed",
        /// There is none.
        None = "none",
        /// It could not be found out.
        Unknown = "unknown",
    }
}

words! {
    /// What a pane is doing, for showing: idle and completed are one.
    pub enum ActivityState {
        /// Work goes on.
        Running = "running",
        /// It waits for input.
        WaitingInput = "waiting_input",
        /// It waits for a permission.
        WaitingApproval = "waiting_approval",
        /// It stopped on a failure.
        Error = "error",
        /// Nothing goes on.
        Idle = "idle",
        /// It could not be found out.
        Unknown = "unknown",
    }
}

words! {
    /// The drawer in which a pane is shown, most urgent first.
    pub enum DisplayCategory {
        /// Somebody is needed: it waits or it failed.
        Attention = "attention",
        /// Work goes on.
        Running = "running",
        /// An agent that does nothing at the moment.
        Idle = "idle",
        /// A pane without an agent.
        Unmanaged = "unmanaged",
        /// It could not be found out.
        Unknown = "unknown",
    }
}

impl DisplayCategory {
    /// The rank among the panes of a window or session: 1 wins over 5.
    #[must_use]
    pub const fn precedence(self) -> u8 {
        match self {
            Self::Attention => 1,
            Self::Running => 2,
            Self::Idle => 3,
            Self::Unmanaged => 4,
            Self::Unknown => 5,
        }
    }
}

words! {
    /// What kind of answer an agent waits for.
    pub enum AwaitingResponseKind {
        /// Some text.
        Input = "input",
        /// A yes or a no.
        Approval = "approval",
    }
}

words! {
    /// What a list or a watch stream is about.
    pub enum Scope {
        /// One item for each pane.
        Panes = "panes",
        /// One item for each window.
        Windows = "windows",
        /// One item for each session.
        Sessions = "sessions",
        /// One item for each approval that is not over. Of watch streams only.
        Approvals = "approvals",
    }
}

words! {
    /// Why a runtime ended.
    pub enum EndReason {
        /// Its pane is gone.
        PaneGone = "pane_gone",
        /// Its process ended; the pane may stay, dead.
        ProcessExited = "process_exited",
        /// Its pane was given another process.
        Respawned = "respawned",
        /// Its process replaced its program.
        Exec = "exec",
        /// An agent's process started in its pane.
        AgentStarted = "agent_started",
        /// The agent's process ended and left its shell.
        AgentEnded = "agent_ended",
        /// The tmux server ended, or another took its place.
        ServerGone = "server_gone",
        /// Its target was removed.
        TargetRemoved = "target_removed",
    }
}

/// The reason codes of states that have a meaning of their own. Adapters of
/// agents add others, so the wire type is text.
pub const REASON_CODES: &[(&str, &str)] = &[
    ("active", "The agent is at work."),
    ("approval_requested", "The agent asked for a permission."),
    ("completed_demoted", "It had completed, and that is a while ago."),
    ("idle", "The agent does nothing."),
    ("inconclusive", "An agent runs, and nothing was said about it."),
    ("input_required", "The agent asked for input."),
    ("no_agent", "No agent runs in the pane."),
    ("process_exited", "The process has ended."),
    ("runtime_error", "The agent reported a failure."),
    ("stale_signal", "Something was said, and nothing confirms it any more."),
    ("target_unreachable", "The target does not answer."),
    ("task_completed", "The agent finished its work."),
    ("unsupported_signal", "What was said cannot be interpreted."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_precedence_of_states_is_the_order_of_their_table() {
        let ranks: Vec<u8> = State::ALL.iter().map(|state| state.precedence()).collect();
        assert_eq!(ranks, [1, 2, 3, 4, 5, 6, 7]);
        let ranks: Vec<u8> = DisplayCategory::ALL.iter().map(|it| it.precedence()).collect();
        assert_eq!(ranks, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_word_reads_back_from_its_spelling_and_from_json() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse::<State>().as_ref(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }

    #[test]
    fn an_unknown_word_names_the_known_ones() {
        let error = "busy".parse::<Confidence>().unwrap_err();
        assert_eq!(error.to_string(), "`busy` is not one of: high, medium, low");
    }

    #[test]
    fn the_schema_of_a_word_list_holds_words_and_meanings() {
        let schema = schemars::schema_for!(AwaitingResponseKind);
        assert_eq!(schema.get("enum").unwrap(), &serde_json::json!(["input", "approval"]));
        let description = schema.get("description").unwrap().as_str().unwrap();
        assert!(description.ends_with("- `approval`: A yes or a no."), "{description}");
    }
}
