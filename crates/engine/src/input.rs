//! Everything that can happen to the engine, as one closed enum, and what it answers.

use std::collections::BTreeMap;

use crate::access::{Denial, TokenRow};
use crate::action::{ActRequest, ActionRow, Outcome};
use crate::adapter::AdapterRow;
use crate::approval::Asking;
use crate::event::{Actor, Event, SessionRow};
use crate::ids::{
    ActionId, ApprovalId, EventId, InboxId, PaneId, PaneKey, RuntimeId, TargetId, TokenId,
};
use crate::pane::{PaneFacts, ProcessIdentity};
use crate::signal::Signal;
use crate::state::Claim;
use crate::target::{ServerFacts, TargetRow, Trouble};
use crate::time::{MonoMs, Stamp, WallMs};
use crate::words::{Detail, Phase, Source, Step, TargetKind};

/// One thing that happened outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The observer saw something of a target.
    Observed { target: TargetId, sight: Observation },
    /// Somebody reported an event.
    Signalled(Box<Signal>),
    /// A hook wrote an event down on this machine, at the time that the event bears; it is read
    /// only now, perhaps because nobody was there.
    Spooled(Box<Signal>),
    /// Somebody wants something done.
    Asked(Request),
    /// A waiting event is offered what is known now. `complete` is when a look at everything
    /// began, if one has just ended.
    Offered { inbox: InboxId, complete: Option<MonoMs> },
    /// What became of an act, and what was done for it.
    Acted { action: ActionId, outcome: Outcome, steps: Vec<Step> },
    /// A hook that hides its agent's dialog began to wait for the answer to an approval, or left.
    Held { approval: ApprovalId, waits: bool },
    /// An action that waits in this pane may go on.
    Resumed(PaneKey),
    /// A daemon begins: what was last known of targets elsewhere nobody has looked at since.
    Started,
    /// Time passed; whatever is due is settled.
    Ticked,
}

/// One look at a target.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// Everything there is; what is not listed does not exist.
    Topology(Box<Topology>),
    /// The present facts of some panes; says nothing about others.
    Panes {
        server: ServerFacts,
        panes: Vec<PaneFacts>,
    },
    /// A cheap scan found these panes alive and as they were.
    Unchanged,
    /// A watched process ended. What became of its pane is for the next look to say, which the
    /// observer has hurried already.
    ProcessEnded {
        pane: PaneId,
        process: ProcessIdentity,
    },
    /// Panes printed something.
    Printed {
        panes: Vec<PaneId>,
    },
    /// What one look read of the agent in a pane: its title, screen, status file, processes.
    Read {
        pane: PaneId,
        agent: ProcessIdentity,
        readings: Vec<Reading>,
    },
    /// The target answers and runs no tmux server.
    NoServer,
    /// A probe or command was answered.
    Answered,
    /// A probe or command failed.
    Failed {
        trouble: Trouble,
        weight: u32,
    },
    /// What hooks there wrote down while nobody could read it is still to come, or is here: it
    /// counts as recovered only then.
    Behind,
    CaughtUp,
    /// The target is fine but limited, or no longer.
    Limited {
        trouble: Option<Trouble>,
    },
}

/// What one source shows of an agent now; no claim when it shows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub source: Source,
    pub claim: Option<Claim>,
    pub details: BTreeMap<Detail, String>,
    /// The dialog in which somebody is asked something.
    pub asking: Option<Box<Asking>>,
    /// When that was written down, where it may have been read late.
    pub written: Option<WallMs>,
}

/// A complete list of what one tmux server holds, apart from any `qd`'s own session.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    /// When the look began: what happened later it cannot have missed.
    pub began: MonoMs,
    pub server: ServerFacts,
    pub sessions: Vec<SessionRow>,
    pub panes: Vec<PaneFacts>,
    /// What panes last printed, where nobody listened before this look.
    pub outputs: Vec<LastOutput>,
}

/// When a pane last printed, as far as it can be told afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastOutput {
    pub pane: PaneId,
    /// It certainly printed then; `None` where it may have been a neighbour in its window.
    pub certain: Option<WallMs>,
    /// It printed nothing later than this.
    pub latest: WallMs,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    AddTarget {
        target: TargetId,
        name: String,
        kind: TargetKind,
        connection_ref: String,
    },
    RemoveTarget {
        name: String,
    },
    /// Try again now instead of when the back-off is over.
    ConnectTarget {
        name: String,
    },
    /// Leave it alone until somebody wants it connected.
    DisconnectTarget {
        name: String,
    },
    /// Do something to a pane.
    Act(Box<ActRequest>),
    /// Do not begin with what was asked for earlier.
    Cancel {
        action: ActionId,
        by: Actor,
    },
    /// Turn an adapter on or off.
    SetAdapter(Box<AdapterRow>),
    CreateToken(Box<TokenRow>),
    /// By its id or its name.
    RevokeToken {
        named: String,
    },
    /// Note that a token is used.
    UseToken(TokenId),
    /// Note that somebody was turned away.
    Deny(Denial),
}

/// What has to be done outside once the events are committed.
///
/// All but [`Effect::Act`] are repeatable: after a crash they are derived again from the tables.
/// That one is carried out at most once: after a crash [`Effect::Settle`] looks what became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start observing a target.
    Observe(Box<TargetRow>),
    /// Stop observing it, and forget how far it was heard.
    Forget(TargetId),
    /// Stop observing it for now.
    Leave(TargetId),
    /// Look at it now.
    Rescan(TargetId),
    /// Look at it now, and connect to it first where nothing is connected: somebody asks for it.
    Connect(TargetId),
    /// Do it, once.
    Act(Box<ActionRow>),
    /// Find out whether it was done.
    Settle(Box<ActionRow>),
}

/// What the asker is told once the events are committed.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Done,
    Target(Box<TargetRow>),
    Accepted(Acceptance),
    Action(Box<ActionRow>),
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Acceptance {
    Bound {
        event: EventId,
        runtime: RuntimeId,
        /// It spoke of another agent than the one that was found there, and counts for nothing.
        of_other: bool,
    },
    Pending {
        event: EventId,
        inbox: InboxId,
    },
    /// It was here before; nothing happened again.
    Duplicate {
        event: EventId,
        runtime: Option<RuntimeId>,
    },
    /// A synthetic event that no longer applies.
    Void,
}

/// Why the engine refuses. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("target `{0}` exists")]
    TargetExists(String),
    #[error("no target is named `{0}`")]
    TargetUnknown(String),
    #[error("there are {} targets already", crate::limits::TARGETS_MAX)]
    TooManyTargets,
    #[error("`{name}` leads to the same tmux server as `{other}`")]
    SameServer { name: String, other: String },
    #[error("no runtime has the id `{0}`")]
    RuntimeUnknown(RuntimeId),
    #[error("runtime `{0}` has ended")]
    RuntimeStale(RuntimeId),
    #[error("dedupe key `{0}` was used for another event")]
    DedupeConflict(String),
    #[error("event id `{0}` was used for another event")]
    EventIdConflict(EventId),
    #[error("{} events wait to be bound already", crate::limits::PENDING_EVENTS_MAX)]
    InboxFull,
    #[error("request reference `{request_ref}` was used for another request")]
    ActionConflict { request_ref: String, action: ActionId },
    #[error("too many actions are under way")]
    TooManyActions,
    #[error("no action has the id `{0}`")]
    ActionUnknown(ActionId),
    #[error("`{action}` is `{phase}`, and only what was not begun can be taken back")]
    TooLate { action: ActionId, phase: Phase },
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("there is a token `{0}` already")]
    TokenExists(String),
    #[error("there is no token `{0}`")]
    TokenUnknown(String),
    #[error("there are {} tokens already", crate::limits::TOKENS_MAX)]
    TooManyTokens,
    #[error("{} adapters were turned on or off already", crate::limits::ADAPTERS_MAX)]
    TooManyAdapters,
}

/// What is to become true, what is to be done then, and what to answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub events: Vec<Event>,
    pub effects: Vec<Effect>,
    pub notes: Vec<Note>,
    /// Inputs that follow from this one, decided one by one once it is applied, in the same
    /// transaction.
    pub then: Vec<Input>,
    pub reply: Result<Reply, Refusal>,
}

impl Default for Decision {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            effects: Vec::new(),
            notes: Vec::new(),
            then: Vec::new(),
            reply: Ok(Reply::Done),
        }
    }
}

impl Decision {
    pub fn refuse(refusal: Refusal) -> Self {
        Self { reply: Err(refusal), ..Self::default() }
    }
}

/// A volatile fact: folded into memory, not journalled. What is lost of it in a crash, the next
/// look brings back.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// Panes were seen as they are.
    Seen {
        target: TargetId,
        panes: Seen,
    },
    /// A pane printed something within a burst.
    Printed {
        target: TargetId,
        pane: PaneId,
    },
    /// Panes may have printed until then, while nobody listened.
    PrintedUnheard {
        target: TargetId,
        panes: Vec<(PaneId, Stamp)>,
    },
    /// A caption changed once more than is journalled at once.
    Caption {
        target: TargetId,
        facts: Box<PaneFacts>,
    },
    Beat {
        target: TargetId,
        beat: crate::target::Beat,
    },
    /// What is limited of a target that was not seen whole yet.
    Limited {
        target: TargetId,
        trouble: Option<Trouble>,
    },
    /// A hook that hides its agent's dialog waits for this answer, or does no longer.
    Held {
        approval: ApprovalId,
        waits: bool,
    },
    /// Everything that was due by time alone is settled.
    Ticked,
    /// A pane has been quiet for a while.
    BurstOver {
        target: TargetId,
        pane: PaneId,
    },
}

/// Which panes a look confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    All,
    Some(Vec<PaneId>),
}
