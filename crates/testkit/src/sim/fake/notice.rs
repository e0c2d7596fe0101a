//! What tmux tells its control clients unasked, before it is written out for one of them.

/// Something happened on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    SessionsChanged,
    SessionRenamed { session: u32, name: String },
    WindowAdded { window: u32 },
    WindowClosed { window: u32 },
    WindowRenamed { window: u32, name: String },
    CurrentWindow { session: u32, window: u32 },
    ActivePane { window: u32, pane: u32 },
    Mode { pane: u32 },
    ClientMoved { client: String, session: u32, name: String },
    ClientGone { client: String },
}
