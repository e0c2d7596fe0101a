//! The closed vocabularies: states, sources, health. Spelled the same in database, API and CLI.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares a closed set of words with their one spelling.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub enum $name { $($(#[$variant_meta])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What the engine concludes about a runtime, most urgent first: the order is the precedence.
    State {
        Error = "error",
        WaitingApproval = "waiting_approval",
        WaitingInput = "waiting_input",
        Running = "running",
        Completed = "completed",
        Idle = "idle",
        Unknown = "unknown",
    }
}

words! {
    /// How sure the engine is of a state.
    Confidence {
        High = "high",
        Medium = "medium",
        Low = "low",
    }
}

words! {
    /// Who reported an event.
    Source {
        Hook = "hook",
        Notify = "notify",
        Wrapper = "wrapper",
        Poller = "poller",
    }
}

impl Source {
    /// A deterministic source reports what happened; the poller infers it from what it sees.
    pub fn is_deterministic(self) -> bool {
        match self {
            Self::Hook | Self::Notify | Self::Wrapper => true,
            Self::Poller => false,
        }
    }
}

words! {
    /// How a target is reached.
    TargetKind {
        Local = "local",
        Ssh = "ssh",
        Command = "command",
    }
}

words! {
    /// Whether a target answers.
    Health {
        Ok = "ok",
        Degraded = "degraded",
        Down = "down",
    }
}

words! {
    /// Why a runtime ended.
    EndReason {
        /// The pane is no longer listed.
        PaneGone = "pane_gone",
        /// The pane's process ended; the pane may stay, dead.
        ProcessExited = "process_exited",
        /// The pane holds another process under the same number.
        Respawned = "respawned",
        /// The process replaced its program.
        Exec = "exec",
        /// A recognised agent's process started in the pane.
        AgentStarted = "agent_started",
        /// The recognised agent's process ended and left its shell.
        AgentEnded = "agent_ended",
        /// The tmux server ended or was replaced by another.
        ServerGone = "server_gone",
        /// The target was removed.
        TargetRemoved = "target_removed",
    }
}

/// The reason codes the engine itself gives; adapters add their own.
pub mod reason {
    pub const NO_AGENT: &str = "no_agent";
    pub const INCONCLUSIVE: &str = "inconclusive";
    pub const STALE_SIGNAL: &str = "stale_signal";
    pub const TARGET_UNREACHABLE: &str = "target_unreachable";
    pub const COMPLETED_DEMOTED: &str = "completed_demoted";
    pub const PROCESS_EXITED: &str = "process_exited";
}
