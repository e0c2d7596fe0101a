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
    /// The client ends. Nothing is answered behind it; 3.7 may still print notifications.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "the cases below read as a table")]
    fn check(line: &str, expected: Notification) {
        assert_eq!(Notification::read(line.as_bytes()), expected, "{line:?}");
    }

    fn unknown(name: &str) -> Notification {
        Notification::Unknown { name: name.to_owned() }
    }

    #[test]
    fn sessions_and_clients_are_told_apart() {
        use Notification as N;
        let session = SessionId(1);
        check("%sessions-changed", N::SessionsChanged);
        check("%session-changed $1 a b", N::SessionChanged { session, name: b"a b".to_vec() });
        check("%session-renamed $1 $2 @3", N::SessionRenamed { session, name: b"$2 @3".to_vec() });
        check(
            "%session-window-changed $1 @2",
            N::SessionWindowChanged { session, window: WindowId(2) },
        );
        check(
            "%client-session-changed /dev/pts/3 $1 a b",
            N::ClientSessionChanged {
                client: b"/dev/pts/3".to_vec(),
                session,
                name: b"a b".to_vec(),
            },
        );
        check("%client-detached client-77", N::ClientDetached { client: b"client-77".to_vec() });
    }

    #[test]
    fn windows_are_told_apart_from_unlinked_ones() {
        use Notification as N;
        let window = WindowId(3);
        let name = b"a b".to_vec();
        check("%window-add @3", N::WindowAdd { window });
        check("%window-close @3", N::WindowClose { window });
        check("%window-renamed @3 a b", N::WindowRenamed { window, name: name.clone() });
        check("%unlinked-window-add @3", N::UnlinkedWindowAdd { window });
        check("%unlinked-window-close @3", N::UnlinkedWindowClose { window });
        check("%unlinked-window-renamed @3 a b", N::UnlinkedWindowRenamed { window, name });
        check("%unlinked-window-renamed @3 ", N::UnlinkedWindowRenamed { window, name: vec![] });
        check("%layout-change @3 b25e,80x24,0,0,1 b25e,80x24,0,0,1 *", N::LayoutChange { window });
        check("%window-pane-changed @3 %4", N::WindowPaneChanged { window, pane: PaneId(4) });
    }

    #[test]
    fn output_is_recognised_and_its_bytes_are_dropped() {
        use Notification as N;
        let pane = PaneId(4);
        check("%output %4 \\033[1mhello", N::Output { pane });
        check("%output %4 ", N::Output { pane });
        check("%extended-output %4 120 : text", N::Output { pane });
        check("%pause %4", N::Pause { pane });
        check("%continue %4", N::Continue { pane });
        check("%pane-mode-changed %4", N::PaneModeChanged { pane });
    }

    #[test]
    fn texts_come_whole() {
        use Notification as N;
        check("%message two words", N::Message { text: b"two words".to_vec() });
        check("%config-error /x:1: bad", N::ConfigError { text: b"/x:1: bad".to_vec() });
        check("%paste-buffer-changed buffer0", N::PasteBufferChanged { buffer: b"buffer0".into() });
        check("%paste-buffer-deleted buffer0", N::PasteBufferDeleted { buffer: b"buffer0".into() });
        check(
            "%subscription-changed act $0 - - - : %0=1 : 2",
            N::SubscriptionChanged { name: b"act".to_vec(), value: b"%0=1 : 2".to_vec() },
        );
        check("%exit", N::Exit { reason: None });
        check(
            "%exit server exited unexpectedly",
            N::Exit { reason: Some(b"server exited unexpectedly".to_vec()) },
        );
    }

    #[test]
    fn what_cannot_be_read_is_unknown_and_never_guessed() {
        for (line, name) in [
            ("%", ""),
            ("% ", ""),
            ("%brand-new @1", "brand-new"),
            ("%window-add", "window-add"),
            ("%window-add ", "window-add"),
            ("%window-add %1", "window-add"),
            ("%window-add @-1", "window-add"),
            ("%window-add @99999999999", "window-add"),
            ("%window-pane-changed @1", "window-pane-changed"),
            ("%session-changed name", "session-changed"),
            ("%subscription-changed act $0", "subscription-changed"),
            ("%Exit", "Exit"),
        ] {
            check(line, unknown(name));
        }
    }

    #[test]
    fn a_long_unknown_name_is_cut() {
        let line = format!("%{}", "x".repeat(10_000));
        check(&line, unknown(&"x".repeat(UNKNOWN_NAME_BYTES_MAX)));
    }
}
