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
    /// Who reported an event. The first four speak through the API and the spool; the others are
    /// what the daemon reads by itself, and nobody else can speak for them.
    Source {
        Hook = "hook",
        Notify = "notify",
        Wrapper = "wrapper",
        Poller = "poller",
        /// The agent's own status or transcript file.
        Status = "status",
        /// The pane's title, where the agent writes its state into it.
        Title = "title",
        /// The processes and the terminal of the pane.
        Process = "process",
        /// The lower part of the screen.
        Screen = "screen",
    }
}

impl Source {
    /// A deterministic source says what is; the others infer it from what it looks like.
    pub fn is_deterministic(self) -> bool {
        match self {
            Self::Hook
            | Self::Notify
            | Self::Wrapper
            | Self::Status
            | Self::Title
            | Self::Process => true,
            Self::Poller | Self::Screen => false,
        }
    }

    /// A reading says what is the case now and is taken again whenever something may have changed
    /// it. The others report what happened once, and may have missed what happened since.
    pub fn is_reading(self) -> bool {
        match self {
            Self::Hook | Self::Notify | Self::Wrapper | Self::Poller => false,
            Self::Status | Self::Title | Self::Process | Self::Screen => true,
        }
    }
}

words! {
    /// What a source tells beside the state: the parts of what is shown of an agent.
    Detail {
        Session = "session",
        Model = "model",
        Tool = "tool",
        /// What the tool works on, in short.
        ToolInput = "tool_input",
        /// The question or the permission that waits for an answer.
        Ask = "ask",
        LastMessage = "last_message",
        Directory = "directory",
        Branch = "branch",
        TokensIn = "tokens_in",
        TokensOut = "tokens_out",
        /// In millionths of a dollar.
        Cost = "cost",
    }
}

/// What kind of thing a state says: two states of one kind do not contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearing {
    /// Work goes on.
    Busy,
    /// Somebody has to answer.
    Waiting,
    /// The turn is over, one way or another.
    Rest,
    /// Nothing is known.
    Open,
}

impl State {
    pub fn bearing(self) -> Bearing {
        match self {
            Self::Running => Bearing::Busy,
            Self::WaitingApproval | Self::WaitingInput => Bearing::Waiting,
            Self::Error | Self::Completed | Self::Idle => Bearing::Rest,
            Self::Unknown => Bearing::Open,
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
    /// Work goes on, and nothing more is known of it.
    pub const ACTIVE: &str = "active";
    /// Somebody is asked for a permission, and nothing more is known of it.
    pub const APPROVAL_REQUESTED: &str = "approval_requested";
    /// Somebody has to say something, and nothing more is known of it.
    pub const INPUT_REQUIRED: &str = "input_required";
    /// Somebody has to answer something on the screen, and nothing more is known of it.
    pub const DIALOG_OPEN: &str = "dialog_open";
    /// At rest, and nothing more is known: the one reason that says nothing about how it came.
    pub const IDLE: &str = "idle";
    /// A reading saw the work end; nothing is known of how.
    pub const TURN_OVER: &str = "turn_over";
    /// Somebody stopped the agent, and works with something else.
    pub const SUSPENDED: &str = "suspended";
    /// Somebody ended the turn, or said no to what it asked.
    pub const INTERRUPTED: &str = "interrupted";
    pub const STALE_SIGNAL: &str = "stale_signal";
    /// The adapter of its agent is turned off.
    pub const UNSUPPORTED_SIGNAL: &str = "unsupported_signal";
    pub const TARGET_UNREACHABLE: &str = "target_unreachable";
    pub const COMPLETED_DEMOTED: &str = "completed_demoted";
    pub const PROCESS_EXITED: &str = "process_exited";
}

words! {
    /// What an action does.
    ActionKind {
        Attach = "attach",
        Send = "send",
        ViewOutput = "view-output",
        Kill = "kill",
        Respond = "respond",
    }
}

words! {
    /// How far an action is.
    Phase {
        /// Nothing of its outcome is known yet.
        Pending = "pending",
        Completed = "completed",
        /// It reached the process that was seen, and nothing proves that it was taken.
        NotConfirmed = "not_confirmed",
        /// A check said no; nothing was done.
        Refused = "refused",
        /// It could not be done; nothing was done.
        Failed = "failed",
        /// Somebody took it back before it was begun; nothing was done.
        Cancelled = "cancelled",
        /// It may have been done.
        Unknown = "unknown",
    }
}

words! {
    /// What happens to a send while the agent takes no prompt.
    IfBusy {
        /// It is refused.
        Refuse = "refuse",
        /// Whoever asked waits for it.
        Wait = "wait",
        /// It is kept, also over a restart, until the agent takes it.
        Queue = "queue",
    }
}

words! {
    /// One thing that was done to a pane in the course of an act.
    Step {
        /// The mode that lay over the screen, such as copy mode, was left.
        ModeLeft = "mode_left",
        /// A text of ours that was never sent was taken out of the composer.
        DraftCleared = "draft_cleared",
        TextTyped = "text_typed",
        KeysPressed = "keys_pressed",
    }
}

words! {
    /// How it is known that an act was done.
    Proof {
        /// The server said so at once.
        Answer = "answer",
        /// The act's trace was found on the pane later.
        Trace = "trace",
        /// The kernel took the signal.
        Signal = "signal",
        /// The agent reported that a prompt was submitted.
        Submitted = "submitted",
        /// The agent's own file or title shows work that began with it.
        Started = "started",
        /// The text was in the composer, and is no longer.
        Composer = "composer",
        /// The agent's own hook took the answer.
        Reply = "reply",
    }
}

words! {
    /// A signal that a process can be sent.
    KillSignal {
        Int = "INT",
        Term = "TERM",
        Kill = "KILL",
    }
}

words! {
    /// On which panes agents may act: type into them, or end what runs there.
    FromAgents {
        None = "none",
        /// Those in which an agent runs.
        Agents = "agents",
        All = "all",
    }
}

words! {
    /// Why an action was not done, spelled as the API's error codes.
    ActionProblem {
        RuntimeStale = "E_RUNTIME_STALE",
        PreconditionFailed = "E_PRECONDITION_FAILED",
        SnapshotExpired = "E_SNAPSHOT_EXPIRED",
        PidUnavailable = "E_PID_UNAVAILABLE",
        TargetUnreachable = "E_TARGET_UNREACHABLE",
        /// Input does not reach the pane's process now.
        PaneBlocked = "E_PANE_BLOCKED",
        /// The agent takes no prompt now.
        AgentBusy = "E_AGENT_BUSY",
        NotConfirmed = "E_NOT_CONFIRMED",
        /// Nobody waits for an answer to it any more.
        ApprovalClosed = "E_APPROVAL_CLOSED",
        /// Somebody else's answer was first.
        ApprovalAnswered = "E_APPROVAL_ANSWERED",
        /// What is asked is not what the answer was meant for.
        ApprovalChanged = "E_APPROVAL_CHANGED",
        /// What is asked cannot be answered so.
        ChoiceNotOffered = "E_CHOICE_NOT_OFFERED",
        /// The daemon ended before it was done.
        Interrupted = "E_INTERRUPTED",
        /// Somebody took it back before it was begun.
        Cancelled = "E_CANCELLED",
        Forbidden = "E_FORBIDDEN",
        OutcomeUnknown = "E_OUTCOME_UNKNOWN",
        Internal = "E_INTERNAL",
    }
}

words! {
    /// What kind of decision is asked for.
    ApprovalKind {
        /// To do something.
        Permission = "permission",
        /// To go on by a plan.
        Plan = "plan",
        /// To choose, or to say something.
        Question = "question",
    }
}

words! {
    /// How far an approval is.
    ApprovalState {
        /// Somebody has to answer.
        Waiting = "waiting",
        /// An answer was accepted and is on its way.
        Answering = "answering",
        Answered = "answered",
        /// Somebody answered in the agent's own terminal.
        AnsweredInTerminal = "answered_in_terminal",
        /// The agent asks something else instead.
        Replaced = "replaced",
        /// Nobody answered in time.
        Expired = "expired",
        /// The runtime ended.
        Gone = "gone",
    }
}

words! {
    /// What is answered, or was.
    Choice {
        /// Yes, this once.
        Approve = "approve",
        /// Yes, and the like of it for the agent's present session.
        ApproveSession = "approve_session",
        /// Yes, and the like of it from now on.
        ApproveAlways = "approve_always",
        Deny = "deny",
        /// One of a question's options.
        Option = "option",
    }
}

words! {
    /// Why what is asked can be answered in the agent's own terminal alone.
    TerminalOnly {
        /// It asks several things at once.
        SeveralQuestions = "several_questions",
        /// It takes several answers at once.
        SeveralAnswers = "several_answers",
    }
}

impl TerminalOnly {
    pub fn why(self) -> &'static str {
        match self {
            Self::SeveralQuestions => "it asks several things at once",
            Self::SeveralAnswers => "it takes several answers at once",
        }
    }
}

impl Choice {
    /// Whether one permits what the other forbids.
    pub fn differs_from(self, other: Self) -> bool {
        (self == Self::Deny) != (other == Self::Deny)
    }
}

words! {
    /// What a token is good for; each has what the one before has.
    TokenScope {
        Read = "read",
        Act = "act",
        Admin = "admin",
    }
}
