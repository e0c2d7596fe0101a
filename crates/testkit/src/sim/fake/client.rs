//! One control client: what was written for it and not read yet.

use super::notice::Notice;
use super::server::Server;

/// A process that speaks control mode with the server.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) pid: u32,
    pub(crate) created: i64,
    pub(crate) session: Option<u32>,
    /// Bytes from the server that the client's owner has not read.
    pub(crate) unread: Vec<u8>,
    /// A line whose end has not come.
    partial: Vec<u8>,
    /// The server says nothing more after this.
    pub(crate) ended: bool,
}

impl Client {
    pub(crate) fn new(pid: u32, created: i64, session: Option<u32>) -> Client {
        Client { pid, created, session, unread: Vec::new(), partial: Vec::new(), ended: false }
    }

    pub(crate) fn name(&self) -> String {
        format!("client-{}", self.pid)
    }

    /// Takes bytes from the owner; gives the lines that they complete.
    pub(crate) fn lines(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for &byte in bytes {
            if byte == b'\n' {
                lines.push(std::mem::take(&mut self.partial));
            } else {
                self.partial.push(byte);
            }
        }
        lines
    }

    /// Says a line.
    pub(crate) fn say(&mut self, line: &[u8]) {
        if !self.ended {
            self.unread.extend_from_slice(line);
            self.unread.push(b'\n');
        }
    }

    pub(crate) fn exit(&mut self, reason: &str) {
        let space = if reason.is_empty() { "" } else { " " };
        self.say(format!("%exit{space}{reason}").as_bytes());
        self.ended = true;
    }

    /// Says what happened, in the words for this client.
    pub(crate) fn notify(&mut self, notice: &Notice, server: &Server) {
        let Some(session) = self.session else { return };
        let homeless = !server.sessions.contains_key(&session);
        if homeless && *notice != Notice::SessionsChanged {
            return;
        }
        let own = |window: &u32| {
            let links = server.sessions.get(&session).map(|it| it.links.values());
            links.is_some_and(|mut links| links.any(|link| link.window == *window))
        };
        let line = match notice {
            Notice::SessionsChanged => "%sessions-changed".to_owned(),
            Notice::SessionRenamed { session, name } => {
                format!("%session-renamed ${session} {name}")
            }
            Notice::WindowAdded { window } if own(window) => format!("%window-add @{window}"),
            Notice::WindowAdded { window } => format!("%unlinked-window-add @{window}"),
            Notice::WindowClosed { window } => format!("%unlinked-window-close @{window}"),
            Notice::WindowRenamed { window, name } if own(window) => {
                format!("%window-renamed @{window} {name}")
            }
            Notice::WindowRenamed { window, name } => {
                format!("%unlinked-window-renamed @{window} {name}")
            }
            Notice::CurrentWindow { session, window } => {
                format!("%session-window-changed ${session} @{window}")
            }
            Notice::ActivePane { window, pane } => {
                format!("%window-pane-changed @{window} %{pane}")
            }
            Notice::Mode { pane } => format!("%pane-mode-changed %{pane}"),
            Notice::ClientMoved { client, session, name } => {
                format!("%client-session-changed {client} ${session} {name}")
            }
            Notice::ClientGone { client } => format!("%client-detached {client}"),
        };
        self.say(line.as_bytes());
    }
}
