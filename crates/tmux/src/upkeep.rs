//! What the hub owes its surroundings: nothing of the user's may stay in it, and it must not stay
//! when the user has gone.
//!
//! tmux can put a user's client or window into the hub without anybody asking for it. With
//! `detach-on-destroy off`, ending a session moves its clients to another one. And a command from
//! outside tmux without `-t` goes to the session with the latest activity, which is the hub while
//! nobody has typed since it was created.

use crate::{
    arg::{Arg, ClientName},
    command::{Batch, Command, Verb},
    hub::{Hub, is_hub_name},
    ids::{PaneId, SessionId, WindowId},
    rows::{ClientRow, PaneBrief, SessionRow},
};

/// What is known about the hub and everybody else on its server, from one round of scans.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    pub hub: SessionId,
    pub own_pane: PaneId,
    pub own_client: u32,
    pub sessions: &'a [SessionRow],
    pub clients: &'a [ClientRow],
    pub panes: &'a [PaneBrief],
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duty {
    /// Kill the process of a control client that an earlier life of this installation left behind.
    Reap {
        pid: u32,
    },
    MoveClient {
        client: ClientName,
        to: SessionId,
    },
    MoveWindow {
        window: WindowId,
        to: SessionId,
    },
    MovePane {
        pane: PaneId,
        to: SessionId,
    },
    /// End the hub: nothing else is left, and only the hub keeps the server alive. A client that is
    /// still in it is detached, as it would have been without us.
    Leave,
}

impl Surroundings<'_> {
    /// Everything there is to do, in order.
    pub fn duties(&self) -> Vec<Duty> {
        let ghosts = self.ghosts().map(|pid| Duty::Reap { pid });
        let Some(to) = self.refuge() else {
            // A program that landed here is the user's last: ending the hub would kill it.
            let leave = self.strangers().next().is_none().then_some(Duty::Leave);
            return ghosts.chain(leave).collect();
        };
        ghosts
            .chain(self.guests().map(|client| Duty::MoveClient { client, to }))
            .chain(self.landed(to))
            .collect()
    }

    /// The user's session with the latest activity.
    fn refuge(&self) -> Option<SessionId> {
        let users = self.sessions.iter().filter(|row| !is_hub_name(&row.name));
        users.max_by_key(|row| (row.activity, row.session)).map(|row| row.session)
    }

    fn others_in_hub(&self) -> impl Iterator<Item = &ClientRow> {
        self.clients
            .iter()
            .filter(|row| row.session == Some(self.hub) && row.pid != self.own_client)
    }

    fn ghosts(&self) -> impl Iterator<Item = u32> {
        self.others_in_hub().filter(|row| is_like_ours(row)).map(|row| row.pid)
    }

    fn guests(&self) -> impl Iterator<Item = ClientName> {
        self.others_in_hub().filter(|row| !is_like_ours(row)).filter_map(|row| row.name.clone())
    }

    /// Panes in the hub that are not ours.
    fn strangers(&self) -> impl Iterator<Item = &PaneBrief> {
        self.panes.iter().filter(|row| row.session == self.hub && row.pane != self.own_pane)
    }

    fn landed(&self, to: SessionId) -> Vec<Duty> {
        let own_window = self.panes.iter().find(|row| row.pane == self.own_pane);
        let own_window = own_window.map(|row| row.window);
        let mut duties: Vec<Duty> = self
            .strangers()
            .map(|row| {
                if Some(row.window) == own_window {
                    Duty::MovePane { pane: row.pane, to }
                } else {
                    Duty::MoveWindow { window: row.window, to }
                }
            })
            .collect();
        // A window of several panes is moved once.
        duties.dedup();
        duties
    }
}

/// A client with just the flags that we attach with, and that people do not.
fn is_like_ours(row: &ClientRow) -> bool {
    row.control_mode && row.flags.ignore_size && row.flags.no_output
}

impl Duty {
    /// The commands that do it.
    pub fn batch(&self, hub: &Hub) -> Batch {
        let command = match self {
            Duty::Reap { pid } => Command::new(Verb::RunShell).flag("-b").arg(Arg::kill(*pid)),
            Duty::MoveClient { client, to } => Command::new(Verb::SwitchClient)
                .option("-c", Arg::client(client))
                .option("-t", Arg::current_window_of(*to)),
            Duty::MoveWindow { window, to } => Command::new(Verb::MoveWindow)
                .flag("-d")
                .option("-s", Arg::window(*window))
                .option("-t", Arg::current_window_of(*to)),
            Duty::MovePane { pane, to } => Command::new(Verb::BreakPane)
                .flag("-d")
                .option("-s", Arg::pane(*pane))
                .option("-t", Arg::current_window_of(*to)),
            Duty::Leave => return hub.leave(),
        };
        Batch::from(command)
    }
}
