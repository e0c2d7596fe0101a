//! What tmux tells a control client without being asked.
//!
//! Notifications are hints: they hurry the next scan and carry no truth. So one whose fields do not
//! parse is [`Notification::Unknown`] rather than an error, and pane output is recognised only to be
//! dropped (our clients attach with `no-output`; an older or odd server may send it anyway).

use crate::{
    ids::{PaneId, SessionId, WindowId},
    limits::UNKNOWN_NAME_BYTES_MAX,
};

/// One `%name ...` line. Names and other texts are bytes as tmux sent them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// A session was created or ended somewhere; tmux does not say which.
    SessionsChanged,
    /// Our own client now shows this session. Anything but our hub means we were moved.
    SessionChanged {
        session: SessionId,
        name: Vec<u8>,
    },
    SessionRenamed {
        session: SessionId,
        name: Vec<u8>,
    },
    SessionWindowChanged {
        session: SessionId,
        window: WindowId,
    },
    ClientSessionChanged {
        client: Vec<u8>,
        session: SessionId,
        name: Vec<u8>,
    },
    ClientDetached {
        client: Vec<u8>,
    },
    WindowAdd {
        window: WindowId,
    },
    WindowClose {
        window: WindowId,
    },
    WindowRenamed {
        window: WindowId,
        name: Vec<u8>,
    },
    UnlinkedWindowAdd {
        window: WindowId,
    },
    UnlinkedWindowClose {
        window: WindowId,
    },
    UnlinkedWindowRenamed {
        window: WindowId,
        name: Vec<u8>,
    },
    WindowPaneChanged {
        window: WindowId,
        pane: PaneId,
    },
    PaneModeChanged {
        pane: PaneId,
    },
    /// The layout itself is not kept: sizes come from the scan that this hurries.
    LayoutChange {
        window: WindowId,
    },
    SubscriptionChanged {
        name: Vec<u8>,
        value: Vec<u8>,
    },
    /// Output, paused or not; the bytes are dropped.
    Output {
        pane: PaneId,
    },
    Pause {
        pane: PaneId,
    },
    Continue {
        pane: PaneId,
    },
    PasteBufferChanged {
        buffer: Vec<u8>,
    },
    PasteBufferDeleted {
        buffer: Vec<u8>,
    },
    ConfigError {
        text: Vec<u8>,
    },
    Message {
        text: Vec<u8>,
    },
    /// The last line of a connection.
    Exit {
        reason: Option<Vec<u8>>,
    },
    /// A name we do not know, or a known one with fields we cannot read.
    Unknown {
        name: String,
    },
}

impl Notification {
    /// Reads one line that begins with `%`, without its newline.
    pub(crate) fn read(line: &[u8]) -> Notification {
        let mut rest = line.strip_prefix(b"%").unwrap_or(line);
        let name = take_word(&mut rest);
        read_known(name, rest).unwrap_or_else(|| unknown(name))
    }
}

fn read_known(name: &[u8], mut rest: &[u8]) -> Option<Notification> {
    use Notification as N;
    let fields = &mut rest;
    Some(match name {
        b"sessions-changed" => N::SessionsChanged,
        b"session-changed" => N::SessionChanged { session: id(fields)?, name: text(fields) },
        b"session-renamed" => N::SessionRenamed { session: id(fields)?, name: text(fields) },
        b"session-window-changed" => {
            N::SessionWindowChanged { session: id(fields)?, window: id(fields)? }
        }
        b"client-session-changed" => N::ClientSessionChanged {
            client: take_word(fields).to_vec(),
            session: id(fields)?,
            name: text(fields),
        },
        b"client-detached" => N::ClientDetached { client: text(fields) },
        b"window-add" => N::WindowAdd { window: id(fields)? },
        b"window-close" => N::WindowClose { window: id(fields)? },
        b"window-renamed" => N::WindowRenamed { window: id(fields)?, name: text(fields) },
        b"unlinked-window-add" => N::UnlinkedWindowAdd { window: id(fields)? },
        b"unlinked-window-close" => N::UnlinkedWindowClose { window: id(fields)? },
        b"unlinked-window-renamed" => {
            N::UnlinkedWindowRenamed { window: id(fields)?, name: text(fields) }
        }
        b"window-pane-changed" => N::WindowPaneChanged { window: id(fields)?, pane: id(fields)? },
        b"pane-mode-changed" => N::PaneModeChanged { pane: id(fields)? },
        b"layout-change" => N::LayoutChange { window: id(fields)? },
        b"subscription-changed" => subscription(fields)?,
        b"output" | b"extended-output" => N::Output { pane: id(fields)? },
        b"pause" => N::Pause { pane: id(fields)? },
        b"continue" => N::Continue { pane: id(fields)? },
        b"paste-buffer-changed" => N::PasteBufferChanged { buffer: text(fields) },
        b"paste-buffer-deleted" => N::PasteBufferDeleted { buffer: text(fields) },
        b"config-error" => N::ConfigError { text: text(fields) },
        b"message" => N::Message { text: text(fields) },
        b"exit" => N::Exit { reason: Some(text(fields)).filter(|reason| !reason.is_empty()) },
        _ => return None,
    })
}

/// `NAME $S @W INDEX %P : VALUE`, with `-` for what does not apply.
fn subscription(fields: &mut &[u8]) -> Option<Notification> {
    let name = take_word(fields).to_vec();
    let separator = fields.windows(3).position(|window| window == b" : ")?;
    Some(Notification::SubscriptionChanged { name, value: fields[separator + 3..].to_vec() })
}

fn unknown(name: &[u8]) -> Notification {
    let kept = &name[..name.len().min(UNKNOWN_NAME_BYTES_MAX)];
    Notification::Unknown { name: String::from_utf8_lossy(kept).into_owned() }
}

/// Cuts the text up to the next blank off the front, and that blank with it.
fn take_word<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
    let word = &rest[..end];
    *rest = rest.get(end + 1..).unwrap_or_default();
    word
}

fn id<I: std::str::FromStr>(rest: &mut &[u8]) -> Option<I> {
    std::str::from_utf8(take_word(rest)).ok()?.parse().ok()
}

fn text(rest: &mut &[u8]) -> Vec<u8> {
    std::mem::take(rest).to_vec()
}
