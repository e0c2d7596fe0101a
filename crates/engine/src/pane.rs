//! Panes as tmux shows them, and as Quarterdeck remembers them.

use serde::{Deserialize, Serialize};

use crate::caption::Caption;
use crate::ids::{AgentType, BootId, PaneId, PaneKey, RuntimeId, SessionId, WindowId};
use crate::limits;
use crate::state::StateRow;
use crate::time::{Stamp, WallMs};
use crate::words::EndReason;

fn is_false(value: &bool) -> bool {
    !*value
}

/// What one look at tmux tells of a pane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaneFacts {
    pub pane: PaneId,
    pub window: WindowId,
    pub session: SessionId,
    pub session_name: String,
    pub window_name: String,
    pub window_index: u32,
    pub pane_index: u32,
    #[serde(default, skip_serializing_if = "is_false")]
    pub pane_active: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub window_active: bool,
    /// Where else the same window is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    pub width: u32,
    pub height: u32,
    pub tty: String,
    pub process: ProcessIdentity,
    #[serde(default, skip_serializing_if = "is_false")]
    pub dead: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_status: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_signal: Option<i32>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub in_mode: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub bell: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub zoomed: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub alternate_screen: bool,
    pub command: String,
    pub path: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentProcess>,
}

/// Another session that shows a window, and the lowest index at which it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub session: SessionId,
    pub window_index: u32,
}

/// Where a pane stands, apart from its own id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub session: SessionId,
    pub session_name: String,
    pub window: WindowId,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

impl Place {
    /// All sessions that showed it.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> {
        shown_in(self.session, &self.links)
    }
}

fn shown_in(home: SessionId, links: &[Link]) -> impl Iterator<Item = SessionId> {
    std::iter::once(home).chain(links.iter().map(|link| link.session))
}

impl PaneFacts {
    /// All sessions that show it.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> {
        shown_in(self.session, &self.links)
    }

    pub fn place(&self) -> Place {
        let session_name = self.session_name.clone();
        let links = self.links.clone();
        Place { session: self.session, session_name, window: self.window, links }
    }

    /// Cuts every text to its bound, so that nothing a target says grows without one.
    pub fn bound(&mut self) {
        for name in [&mut self.session_name, &mut self.window_name, &mut self.command] {
            limits::cut(name, limits::NAME_BYTES_MAX);
        }
        for text in [&mut self.tty, &mut self.path, &mut self.title] {
            limits::cut(text, limits::TEXT_BYTES_MAX);
        }
    }

    /// Which caption it is that `other` differs in, if it differs in nothing else.
    pub fn differing_caption(&self, other: &Self) -> Option<Caption> {
        let captioned = |facts: &Self| {
            let mut plain = facts.clone();
            plain.title.clear();
            plain.command.clear();
            plain
        };
        if self == other || captioned(self) != captioned(other) {
            None
        } else if self.command == other.command {
            Some(Caption::Title)
        } else {
            Some(Caption::Command)
        }
    }
}

/// Which process a pane holds. A pid alone is reused; with its start it is not, and the mark
/// changes whenever the process replaces its program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    pub pid: u32,
    /// Nanoseconds since 1970, to the kernel's clock tick; where the target lets us see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ns: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec_mark: Option<u64>,
}

impl ProcessIdentity {
    /// Whether both name one process, as far as both can tell.
    pub fn same_process(&self, other: &Self) -> bool {
        let starts = (self.started_ns, other.started_ns);
        self.pid == other.pid && !matches!(starts, (Some(mine), Some(theirs)) if mine != theirs)
    }

    /// Whether both run one program, as far as both can tell.
    pub fn same_program(&self, other: &Self) -> bool {
        !matches!((self.exec_mark, other.exec_mark), (Some(mine), Some(theirs)) if mine != theirs)
    }
}

/// A recognised agent's own process in a pane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentProcess {
    pub agent: AgentType,
    pub process: ProcessIdentity,
}

/// One life of a process in a pane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    pub runtime: RuntimeId,
    pub boot: BootId,
    pub epoch: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentType>,
    pub pid: u32,
    pub started_at: WallMs,
}

/// A pane with its runtime and state: the unit that is journalled, listed and watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaneRow {
    pub key: PaneKey,
    pub boot: BootId,
    pub facts: PaneFacts,
    /// Absent while the pane holds no living process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    pub state: StateRow,
    pub first_seen_at: WallMs,
    pub last_seen: Stamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_activity: Option<Stamp>,
    pub updated_at: WallMs,
}

/// Why a pane's row was written: what a reader of the journal acts on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Appeared,
    /// Something tmux shows of it changed.
    Changed,
    RuntimeStarted {
        runtime: RuntimeId,
    },
    RuntimeEnded {
        runtime: RuntimeId,
        reason: EndReason,
    },
    /// An agent was recognised in the running runtime.
    Recognised {
        agent: AgentType,
    },
    StateChanged {
        from: crate::words::State,
        to: crate::words::State,
    },
}
