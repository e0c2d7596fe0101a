//! Actions: what somebody wants done to a pane, what was seen when that was decided, and what
//! became of it.

use serde::{Deserialize, Serialize};

use crate::event::Actor;
use crate::ids::{ActionId, AgentType, ApprovalId, BootId, PaneKey, RuntimeId, SnapshotId};
use crate::limits;
use crate::pane::ProcessIdentity;
use crate::time::{MonoMs, Stamp, WallMs};
use crate::words::{
    ActionKind, ActionProblem, Choice, IfBusy, KillSignal, Phase, Proof, State, Step,
};

fn is_false(value: &bool) -> bool {
    !*value
}

/// What is to be done, as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    Attach {
        #[serde(default, skip_serializing_if = "is_false")]
        read_only: bool,
    },
    Send {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<TextFacts>,
        /// Pressed behind the text, in this order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keys: Vec<String>,
        /// The text in brackets, for a program that asked for them.
        #[serde(default, skip_serializing_if = "is_false")]
        paste: bool,
        /// What happens while the agent takes no prompt; other programs take any text at any time.
        #[serde(default, skip_serializing_if = "Busy::is_refused")]
        busy: Busy,
    },
    ViewOutput {
        /// The last so many lines; none for what is on the screen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lines: Option<u32>,
        #[serde(default, skip_serializing_if = "is_false")]
        ansi: bool,
    },
    /// The interrupt key.
    KillByKey,
    KillBySignal {
        signal: KillSignal,
        /// The descendants too.
        #[serde(default, skip_serializing_if = "is_false")]
        tree: bool,
    },
    /// The answer to an approval.
    Respond {
        approval: ApprovalId,
        /// Of what it is the answer to.
        fingerprint: String,
        choice: Choice,
        /// Which of a question's options, counted from 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        option: Option<u32>,
        /// Where it has several parts, or takes several: of each part, which.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        picks: Vec<Vec<u32>>,
        /// What is said with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<TextFacts>,
    },
}

/// What happens to a send while the agent takes no prompt, and how long it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    pub then: IfBusy,
    pub patience_ms: i64,
}

impl Busy {
    pub const REFUSED: Self = Self { then: IfBusy::Refuse, patience_ms: 0 };

    fn is_refused(&self) -> bool {
        self.then == IfBusy::Refuse
    }
}

impl Default for Busy {
    fn default() -> Self {
        Self::REFUSED
    }
}

/// What is kept of a text. The text itself is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextFacts {
    pub bytes: u64,
    pub sha256: String,
    /// The hash of its characters without blanks: by these it is known again in a composer, which
    /// breaks lines as it likes. Not there in what older versions stored.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub letters_sha256: String,
    /// Its redacted beginning.
    pub preview: String,
    /// It begins as what a composer takes for a command of its own and not for a prompt.
    #[serde(default, skip_serializing_if = "is_false")]
    pub commands: bool,
}

impl Act {
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::Attach { .. } => ActionKind::Attach,
            Self::Send { .. } => ActionKind::Send,
            Self::ViewOutput { .. } => ActionKind::ViewOutput,
            Self::KillByKey | Self::KillBySignal { .. } => ActionKind::Kill,
            Self::Respond { .. } => ActionKind::Respond,
        }
    }

    /// What happens while the agent in the pane takes no prompt.
    pub fn busy(&self) -> Busy {
        match self {
            Self::Send { busy, .. } => *busy,
            Self::Attach { .. }
            | Self::ViewOutput { .. }
            | Self::KillByKey
            | Self::KillBySignal { .. }
            | Self::Respond { .. } => Busy::REFUSED,
        }
    }

    /// Whether it does something to the pane, so that one has to wait for another.
    pub fn is_exclusive(&self) -> bool {
        match self {
            Self::Attach { .. }
            | Self::Send { .. }
            | Self::KillByKey
            | Self::KillBySignal { .. }
            | Self::Respond { .. } => true,
            Self::ViewOutput { .. } => false,
        }
    }
}

/// What a client asks for, resolved to one runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActRequest {
    pub action: ActionId,
    pub snapshot: SnapshotId,
    /// What the act leaves on the pane: 16 hexadecimal digits.
    pub nonce: String,
    pub request_ref: String,
    /// A hash of everything in the request that has an effect.
    pub fingerprint: String,
    pub by: Actor,
    pub runtime: RuntimeId,
    pub act: Act,
    pub guards: Guards,
}

/// What the client wants to hold besides what is checked anyway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guards {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_runtime: Option<RuntimeId>,
    /// What has to run in the foreground.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_command: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_state: Option<State>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_updated_within_ms: Option<i64>,
    /// Skips the guards about state and age, never one about who it is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force_stale: bool,
}

/// One action, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRow {
    pub action: ActionId,
    pub request_ref: String,
    pub fingerprint: String,
    pub pane: PaneKey,
    pub runtime: RuntimeId,
    pub by: Actor,
    pub act: Act,
    #[serde(default)]
    pub guards: Guards,
    pub requested: Stamp,
    pub snapshot: Snapshot,
    pub phase: Phase,
    /// The first second since 1970 in which it can no longer be done; none while it waits for
    /// another one in its pane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_s: Option<u64>,
    /// None while its outcome may still be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<WallMs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// How it is known that it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// What was done in the pane, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// It was tried, and something was in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Who took it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<Actor>,
}

/// A prompt that was tried and found something else in the composer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub tries: u32,
    /// When it was tried last.
    pub since: Stamp,
}

impl Held {
    /// When it is tried again at the soonest.
    pub fn until(&self) -> MonoMs {
        let doubled = 1_i64.checked_shl(self.tries.saturating_sub(1)).unwrap_or(i64::MAX);
        let pause = limits::RETRY_FIRST_MS.saturating_mul(doubled);
        self.since.plus(pause.clamp(limits::RETRY_FIRST_MS, limits::RETRY_MS_MAX))
    }
}

/// Why an action was not done, or why it is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub problem: ActionProblem,
    pub message: String,
}

impl Failure {
    pub fn new(problem: ActionProblem, message: impl Into<String>) -> Self {
        Self { problem, message: message.into() }
    }
}

/// What was seen when an action was decided: what the act is checked against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub snapshot: SnapshotId,
    pub boot: BootId,
    pub server_pid: u32,
    pub pane_pid: u32,
    /// What ran in the foreground.
    pub command: String,
    /// The runtime's own process: the agent's, where there is one.
    pub process: ProcessIdentity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentType>,
    /// The agent's own session, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    pub state: State,
    pub state_version: u64,
    pub observed_at: WallMs,
    pub expires_at: WallMs,
    pub nonce: String,
}

impl ActionRow {
    /// Whether more may still become known of it.
    pub fn is_open(&self) -> bool {
        self.completed_at.is_none()
    }

    /// Whether it was handed to whoever acts.
    pub fn is_issued(&self) -> bool {
        self.until_s.is_some()
    }

    /// Whether it is being done, or may be: tmux was told, or is about to be.
    pub fn is_under_way(&self) -> bool {
        self.phase == Phase::Pending && self.is_issued()
    }

    /// Whether others in the pane have to wait for it.
    pub(crate) fn holds_pane(&self) -> bool {
        self.is_under_way() && self.act.is_exclusive()
    }

    /// Whether only a later look can tell what became of it.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.phase == Phase::Unknown && self.is_open()
    }

    /// Whether it waits for others in its pane.
    pub(crate) fn waits(&self) -> bool {
        self.phase == Phase::Pending && !self.is_issued()
    }

    /// Whether it waits while the agent in its pane takes no prompt.
    pub fn is_patient(&self) -> bool {
        self.snapshot.agent.is_some() && !self.act.busy().is_refused()
    }

    /// Whether it is kept until the agent takes it, whoever restarts meanwhile.
    pub fn is_queued(&self) -> bool {
        self.is_patient() && self.act.busy().then == IfBusy::Queue
    }

    /// Whether it is queued and not begun, or not begun again.
    pub fn is_parked(&self) -> bool {
        self.is_queued() && self.waits()
    }

    /// Whether its keys are pressed by a command of their own, because an agent would take them for
    /// a part of the text.
    pub fn has_two_steps(&self) -> bool {
        match &self.act {
            Act::Send { text, keys, .. } => {
                self.snapshot.agent.is_some() && text.is_some() && !keys.is_empty()
            }
            Act::Attach { .. }
            | Act::ViewOutput { .. }
            | Act::KillByKey
            | Act::KillBySignal { .. }
            | Act::Respond { .. } => false,
        }
    }

    /// When it has waited too long: for what was seen to count, or for its agent.
    pub(crate) fn expiry(&self) -> MonoMs {
        let patience = self.act.busy().patience_ms;
        let wait = if self.is_patient() { patience } else { limits::SNAPSHOT_TTL_MS };
        self.requested.plus(wait)
    }

    /// When it may be tried again.
    pub(crate) fn held_until(&self) -> MonoMs {
        self.held.map_or(self.requested.mono, |held| held.until())
    }
}

/// What became of an act, as whoever acted reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done(Proof),
    /// It reached the process, and nothing proves that it was taken.
    NotConfirmed {
        proof: Proof,
        message: String,
    },
    /// Something was in the way; nothing was done.
    Refused(Failure),
    /// The agent takes no prompt now; nothing was done.
    Busy {
        message: String,
    },
    /// It could not be done; nothing was done.
    Failed(Failure),
    /// It may have been done, and nobody can tell.
    Unknown {
        message: String,
    },
    /// It may have been done, and may be told once the server answers again.
    Unanswered {
        message: String,
    },
}

impl Outcome {
    pub(crate) fn phase(&self) -> Phase {
        match self {
            Self::Done(_) => Phase::Completed,
            Self::NotConfirmed { .. } => Phase::NotConfirmed,
            Self::Refused(_) | Self::Busy { .. } => Phase::Refused,
            Self::Failed(_) => Phase::Failed,
            Self::Unknown { .. } | Self::Unanswered { .. } => Phase::Unknown,
        }
    }

    pub(crate) fn proof(&self) -> Option<Proof> {
        match self {
            Self::Done(proof) | Self::NotConfirmed { proof, .. } => Some(*proof),
            Self::Refused(_)
            | Self::Busy { .. }
            | Self::Failed(_)
            | Self::Unknown { .. }
            | Self::Unanswered { .. } => None,
        }
    }

    /// Why it was not done, or is not known to be.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Done(_) => None,
            Self::Refused(failure) | Self::Failed(failure) => Some(failure.clone()),
            Self::Busy { message } => Some(Failure::new(ActionProblem::AgentBusy, message)),
            Self::NotConfirmed { message, .. } => {
                Some(Failure::new(ActionProblem::NotConfirmed, message))
            }
            Self::Unknown { message } | Self::Unanswered { message } => {
                Some(Failure::new(ActionProblem::OutcomeUnknown, message))
            }
        }
    }
}
