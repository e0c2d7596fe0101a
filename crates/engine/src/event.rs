//! What happened: the closed set of events that the journal holds and the engine folds.

use serde::{Deserialize, Serialize};

use crate::action::ActionRow;
use crate::adapter::AdapterRow;
use crate::approval::ApprovalRow;
use crate::ids::{InboxId, PaneId, PaneKey, RuntimeId, SessionId, TargetId};
use crate::pane::{Cause, PaneRow, Place};
use crate::signal::{DropReason, EventRow, InboxRow};
use crate::target::TargetRow;
use crate::time::Stamp;
use crate::words::EndReason;

/// One fact, past tense. Rows are carried whole, so that folding needs nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A target was added, or something about it changed.
    TargetChanged(TargetRow),
    /// A target was removed. Its panes were removed before it, each by its own event.
    TargetRemoved {
        target: TargetId,
        name: String,
    },
    SessionChanged(SessionRow),
    SessionRemoved {
        target: TargetId,
        session: SessionId,
    },
    PaneChanged {
        row: Box<PaneRow>,
        causes: Vec<Cause>,
    },
    PaneRemoved {
        key: PaneKey,
        /// Where it stood last.
        place: Place,
        ended: Option<(RuntimeId, EndReason)>,
    },
    /// Panes printed something: the beginnings and ends of bursts, not each byte.
    ActivitySeen {
        target: TargetId,
        panes: Vec<(PaneId, Stamp)>,
    },
    /// An event reached its runtime.
    EventRecorded(Box<EventRow>),
    /// An event waits for its runtime.
    EventPended(Box<InboxRow>),
    /// A waiting event reached its runtime; the recorded event follows.
    EventBound {
        inbox: InboxId,
        runtime: RuntimeId,
    },
    EventDropped {
        inbox: InboxId,
        reason: DropReason,
    },
    /// An action was asked for, or more became known of it.
    ActionChanged(Box<ActionRow>),
    /// An adapter was turned on or off.
    AdapterChanged(AdapterRow),
    /// Somebody is asked something, or more became known of it.
    ApprovalChanged(Box<ApprovalRow>),
}

impl Event {
    /// The one pane that it changes or removes.
    pub fn pane(&self) -> Option<&PaneKey> {
        match self {
            Self::PaneChanged { row, .. } => Some(&row.key),
            Self::PaneRemoved { key, .. } => Some(key),
            Self::TargetChanged(_)
            | Self::TargetRemoved { .. }
            | Self::SessionChanged(_)
            | Self::SessionRemoved { .. }
            | Self::ActivitySeen { .. }
            | Self::EventRecorded(_)
            | Self::EventPended(_)
            | Self::EventBound { .. }
            | Self::EventDropped { .. }
            | Self::ActionChanged(_)
            | Self::AdapterChanged(_)
            | Self::ApprovalChanged(_) => None,
        }
    }

    /// The word the journal files it under.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TargetChanged(_) => "target_changed",
            Self::TargetRemoved { .. } => "target_removed",
            Self::SessionChanged(_) => "session_changed",
            Self::SessionRemoved { .. } => "session_removed",
            Self::PaneChanged { .. } => "pane_changed",
            Self::PaneRemoved { .. } => "pane_removed",
            Self::ActivitySeen { .. } => "activity_seen",
            Self::EventRecorded(_) => "event_recorded",
            Self::EventPended(_) => "event_pended",
            Self::EventBound { .. } => "event_bound",
            Self::EventDropped { .. } => "event_dropped",
            Self::ActionChanged(_) => "action_changed",
            Self::AdapterChanged(_) => "adapter_changed",
            Self::ApprovalChanged(_) => "approval_changed",
        }
    }
}

/// A tmux session; its windows and counts follow from the panes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    pub target: TargetId,
    pub session: SessionId,
    pub name: String,
    /// Clients attached to it, other than any `qd`'s own.
    pub attached: u32,
    /// Seconds since 1970, as tmux says.
    pub created_s: i64,
}

/// Who caused a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The observer saw it.
    Observer,
    /// The engine's own reconciler, on a timer.
    Reconciler,
    /// The daemon itself, at start or stop.
    Daemon,
    /// A client of the API: the peer of its socket.
    Client { uid: u32, pid: Option<u32> },
}

impl Actor {
    /// Reads what [`Display`](std::fmt::Display) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "observer" => return Some(Self::Observer),
            "reconciler" => return Some(Self::Reconciler),
            "daemon" => return Some(Self::Daemon),
            _ => {}
        }
        let peer = text.strip_prefix("client:uid=")?;
        let (uid, pid) = match peer.split_once(",pid=") {
            Some((uid, pid)) => (uid, Some(pid.parse().ok()?)),
            None => (peer, None),
        };
        Some(Self::Client { uid: uid.parse().ok()?, pid })
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Observer => f.write_str("observer"),
            Self::Reconciler => f.write_str("reconciler"),
            Self::Daemon => f.write_str("daemon"),
            Self::Client { uid, pid: Some(pid) } => write!(f, "client:uid={uid},pid={pid}"),
            Self::Client { uid, pid: None } => write!(f, "client:uid={uid}"),
        }
    }
}
