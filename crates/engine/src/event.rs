//! What happened: the closed set of events that the journal holds and the engine folds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::{Denial, TokenRow};
use crate::action::ActionRow;
use crate::adapter::AdapterRow;
use crate::approval::ApprovalRow;
use crate::ids::{InboxId, PaneId, PaneKey, RuntimeId, SessionId, TargetId, TokenId};
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
    /// A token was made, used or taken back.
    TokenChanged(Box<TokenRow>),
    /// Somebody was turned away.
    AccessDenied(Denial),
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
            | Self::ApprovalChanged(_)
            | Self::TokenChanged(_)
            | Self::AccessDenied(_) => None,
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
            Self::TokenChanged(_) => "token_changed",
            Self::AccessDenied(_) => "access_denied",
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

/// An agent above the process of a client: in which runtime, or a server that agents share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Below {
    Runtime(RuntimeId),
    Server,
}

impl Below {
    fn parse(text: &str) -> Self {
        match text {
            "server" => Self::Server,
            runtime => Self::Runtime(RuntimeId::new(runtime)),
        }
    }
}

impl std::fmt::Display for Below {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Runtime(runtime) => write!(f, "{runtime}"),
            Self::Server => f.write_str("server"),
        }
    }
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
    /// The same, where its process runs below that of an agent; in which runtime, if it is one.
    Agent { uid: u32, pid: u32, runtime: Option<RuntimeId> },
    /// A client over TCP, by its token: the user and process behind it as far as they are known,
    /// and whether that process runs below an agent's.
    Token {
        name: String,
        token: TokenId,
        uid: Option<u32>,
        pid: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        below: Option<Below>,
    },
    /// Somebody over TCP who showed no token that counts.
    Stranger,
}

impl Actor {
    /// Reads what [`Display`](std::fmt::Display) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "observer" => return Some(Self::Observer),
            "reconciler" => return Some(Self::Reconciler),
            "daemon" => return Some(Self::Daemon),
            "stranger" => return Some(Self::Stranger),
            _ => {}
        }
        let (kind, facts) = text.split_once(':')?;
        let mut facts = Facts::of(facts)?;
        let actor = match kind {
            "client" => Self::Client { uid: facts.number("uid")??, pid: facts.number("pid")? },
            "agent" => Self::Agent {
                uid: facts.number("uid")??,
                pid: facts.number("pid")??,
                runtime: facts.text("runtime").map(RuntimeId::new),
            },
            "token" => Self::Token {
                name: facts.text("name")?.to_owned(),
                token: TokenId::new(facts.text("id")?),
                uid: facts.number("uid")?,
                pid: facts.number("pid")?,
                below: facts.text("below").map(Below::parse),
            },
            _ => return None,
        };
        facts.0.is_empty().then_some(actor)
    }

    /// The runtime of the agent below which it runs, if it is one of a pane.
    pub fn agent(&self) -> Option<&RuntimeId> {
        match self {
            Self::Agent { runtime, .. } => runtime.as_ref(),
            Self::Token { below: Some(Below::Runtime(runtime)), .. } => Some(runtime),
            Self::Token { below: Some(Below::Server) | None, .. }
            | Self::Observer
            | Self::Reconciler
            | Self::Daemon
            | Self::Client { .. }
            | Self::Stranger => None,
        }
    }

    /// Whether it is an agent's program, or a program of which that cannot be told.
    pub fn may_be_agent(&self) -> bool {
        match self {
            Self::Agent { .. } | Self::Stranger => true,
            Self::Client { pid, .. } => pid.is_none(),
            // Of one that is not seen the token vouches.
            Self::Token { below, .. } => below.is_some(),
            Self::Observer | Self::Reconciler | Self::Daemon => false,
        }
    }
}

/// What is known of an actor, as `name=value` between commas; no value holds a comma.
struct Facts<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Facts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let facts = text.split(',').map(|fact| fact.split_once('='));
        let facts: Option<Vec<(&str, &str)>> = facts.collect();
        let facts = facts?;
        let count = facts.len();
        let facts: BTreeMap<&str, &str> = facts.into_iter().collect();
        (facts.len() == count).then_some(Self(facts))
    }

    fn text(&mut self, name: &str) -> Option<&'a str> {
        self.0.remove(name)
    }

    /// A number that may be missing; nothing if it is there and is none.
    fn number(&mut self, name: &str) -> Option<Option<u32>> {
        self.text(name).map(str::parse).transpose().ok()
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Observer => f.write_str("observer"),
            Self::Reconciler => f.write_str("reconciler"),
            Self::Daemon => f.write_str("daemon"),
            Self::Stranger => f.write_str("stranger"),
            Self::Client { uid, pid: Some(pid) } => write!(f, "client:uid={uid},pid={pid}"),
            Self::Client { uid, pid: None } => write!(f, "client:uid={uid}"),
            Self::Agent { uid, pid, runtime: Some(runtime) } => {
                write!(f, "agent:uid={uid},pid={pid},runtime={runtime}")
            }
            Self::Agent { uid, pid, runtime: None } => write!(f, "agent:uid={uid},pid={pid}"),
            Self::Token { name, token, uid, pid, below } => {
                write!(f, "token:name={name},id={token}")?;
                for (what, number) in [("uid", uid), ("pid", pid)] {
                    if let Some(number) = number {
                        write!(f, ",{what}={number}")?;
                    }
                }
                match below {
                    Some(below) => write!(f, ",below={below}"),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_it_was_is_read_as_it_was_written() {
        let runtime = RuntimeId::new("rt-0123456789abcdef");
        let token = |uid, pid, below| Actor::Token {
            name: "my-phone".to_owned(),
            token: TokenId::new("tk-1"),
            uid,
            pid,
            below,
        };
        let above = Below::Runtime(runtime.clone());
        for (actor, text) in [
            (Actor::Observer, "observer"),
            (Actor::Stranger, "stranger"),
            (Actor::Client { uid: 7, pid: None }, "client:uid=7"),
            (Actor::Client { uid: 7, pid: Some(12) }, "client:uid=7,pid=12"),
            (
                Actor::Agent { uid: 7, pid: 12, runtime: Some(runtime) },
                "agent:uid=7,pid=12,runtime=rt-0123456789abcdef",
            ),
            (Actor::Agent { uid: 7, pid: 12, runtime: None }, "agent:uid=7,pid=12"),
            (token(None, None, None), "token:name=my-phone,id=tk-1"),
            (token(Some(7), Some(12), None), "token:name=my-phone,id=tk-1,uid=7,pid=12"),
            (
                token(Some(7), Some(12), Some(above)),
                "token:name=my-phone,id=tk-1,uid=7,pid=12,below=rt-0123456789abcdef",
            ),
            (token(None, None, Some(Below::Server)), "token:name=my-phone,id=tk-1,below=server"),
        ] {
            assert_eq!(actor.to_string(), text);
            assert_eq!(Actor::parse(text), Some(actor));
        }
        for bad in [
            "",
            "person",
            "client:",
            "client:pid=1",
            "client:uid=x",
            "client:uid=1,uid=2",
            "client:uid=1,more=2",
            "agent:uid=1,runtime=rt-1",
            "agent:pid=1",
            "token:id=tk-1",
        ] {
            assert_eq!(Actor::parse(bad), None, "{bad}");
        }
    }
}
