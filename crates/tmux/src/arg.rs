//! One argument of a tmux command, which cannot be built from raw text by accident.
//!
//! Three things happen to an argument on its way: the command parser may split it (newline, `;`),
//! the option parser may take it for a flag (leading `-`), and many commands *expand* it as a
//! format, which runs `#(shell commands)`. The first two are settled by how [`crate::command`]
//! renders; the third depends on the position, so there are two constructors for text:
//!
//! | position | tmux expands it | constructor |
//! |---|---|---|
//! | `new-session -s`, `-n`, `-c`; `new-window -c`, `-n`; `split-window -c`; `respawn-pane -c` | yes | [`Arg::expanded`] |
//! | `rename-session`, `rename-window`, `select-pane -T` | yes | [`Arg::expanded`] |
//! | `send-keys -l`, `set-buffer`, `new-session -e`, `set-environment`, `set-option @x` | no | [`Arg::verbatim`] |
//! | the command and its arguments behind `new-session`, `new-window`, `respawn-pane` | no | [`Arg::verbatim`] |
//! | `display-message`, `-F`, `-f`, `if-shell -F`, `pipe-pane`, `run-shell` | yes, and more than once or with `strftime` | only [`Arg::format`] |
//!
//! Targets are ids. A name as a target is resolved by prefix, so it may reach somebody else.

use thiserror::Error;

use crate::{
    command::{Batch, BatchTooLong},
    format::Format,
    ids::{PaneId, SessionId, WindowId},
    limits::OWN_NAME_BYTES_MAX,
};

/// How the line of [`Arg::lifeline`] begins, up to the pid.
pub(crate) const LIFELINE: &str = "cat /proc/";

/// One argument, already safe for the position it is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg(Vec<u8>);

/// Why a text cannot be an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ArgError {
    #[error("a tmux argument cannot hold a NUL byte")]
    Nul,
    #[error("a name of ours has 1 to {OWN_NAME_BYTES_MAX} characters out of a-z, 0-9 and `-`")]
    NotOurName,
}

impl Arg {
    /// A flag or a fixed word: text from this program's own source.
    pub fn word(word: &'static str) -> Arg {
        Arg(word.as_bytes().to_vec())
    }

    pub fn number(number: u64) -> Arg {
        Arg(number.to_string().into_bytes())
    }

    pub fn pane(id: PaneId) -> Arg {
        Arg(id.to_string().into_bytes())
    }

    pub fn window(id: WindowId) -> Arg {
        Arg(id.to_string().into_bytes())
    }

    pub fn session(id: SessionId) -> Arg {
        Arg(id.to_string().into_bytes())
    }

    /// The session's current window, for commands whose target is a window or a pane.
    pub fn current_window_of(id: SessionId) -> Arg {
        Arg(format!("{id}:").into_bytes())
    }

    /// A format of our own making.
    pub fn format(format: &Format) -> Arg {
        Arg(format.to_string().into_bytes())
    }

    /// A subscription of the session that our client is attached to. Its format is expanded again and
    /// again, and never before.
    pub(crate) fn subscription(name: &'static str, format: &Format) -> Arg {
        Arg(format!("{name}::{format}").into_bytes())
    }

    /// The name of something we made ourselves.
    pub fn own_name(name: &OwnName) -> Arg {
        Arg(name.as_str().as_bytes().to_vec())
    }

    /// Something we made ourselves, as a target: `=` makes tmux compare the whole name.
    pub fn exactly(name: &OwnName) -> Arg {
        Arg(format!("={}:", name.as_str()).into_bytes())
    }

    /// A client as tmux named it in a scan.
    pub fn client(name: &ClientName) -> Arg {
        Arg(name.0.clone().into_bytes())
    }

    /// A line for a shell that kills one process.
    pub fn kill(pid: u32) -> Arg {
        Arg(format!("kill -KILL {pid}").into_bytes())
    }

    /// A line for a shell that lives a second longer than what another process holds open.
    pub(crate) fn lifeline(pid: u32, fd: u32) -> Arg {
        Arg(format!("{LIFELINE}{pid}/fd/{fd}; exec sleep 1").into_bytes())
    }

    /// Commands of ours, for a position where tmux reads commands once more.
    pub(crate) fn commands(batch: &Batch) -> Result<Arg, BatchTooLong> {
        let mut line = batch.control_line()?;
        line.pop();
        Ok(Arg(line))
    }

    /// A window in one of the sessions that show it.
    pub(crate) fn window_in(session: SessionId, window: WindowId) -> Arg {
        Arg(format!("{session}:{window}").into_bytes())
    }

    /// A line of a pane's history, counted from its screen.
    pub(crate) fn lines_above(lines: u32) -> Arg {
        Arg(format!("-{lines}").into_bytes())
    }

    /// A key.
    pub(crate) fn key(key: &Key) -> Arg {
        Arg(key.0.clone().into_bytes())
    }

    /// Text for a position that tmux takes as it is.
    pub fn verbatim(text: &[u8]) -> Result<Arg, ArgError> {
        without_nul(text).map(|text| Arg(text.to_vec()))
    }

    /// Text for a position that tmux expands as a format, made to expand to itself.
    pub fn expanded(text: &[u8]) -> Result<Arg, ArgError> {
        without_nul(text).map(|text| Arg(inert(text)))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn without_nul(text: &[u8]) -> Result<&[u8], ArgError> {
    if text.contains(&0) { Err(ArgError::Nul) } else { Ok(text) }
}

/// Doubles each `#`, which tmux halves again, except where it would not.
///
/// tmux keeps a run of `#` directly before `[` as it is (it is a style for the status line), so
/// such a run must not be doubled.
pub(crate) fn inert(text: &[u8]) -> Vec<u8> {
    let mut safe = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.iter().position(|&byte| byte == b'#') {
        let run = rest[start..].iter().take_while(|&&byte| byte == b'#').count();
        let after = start + run;
        safe.extend_from_slice(&rest[..after]);
        if rest.get(after) != Some(&b'[') {
            safe.resize(safe.len() + run, b'#');
        }
        rest = &rest[after..];
    }
    safe.extend_from_slice(rest);
    safe
}

/// A name that we gave, out of a small alphabet that means nothing to tmux.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnName(String);

impl OwnName {
    /// `prefix` is ours and fixed; `id` must be out of `a-z`, `0-9` and `-`.
    pub fn new(prefix: &'static str, id: &str) -> Result<OwnName, ArgError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if id.is_empty() || id.len() > OWN_NAME_BYTES_MAX || !id.bytes().all(plain) {
            return Err(ArgError::NotOurName);
        }
        Ok(OwnName(format!("{prefix}{id}")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What tmux calls one of its clients: the path of its terminal, or `client-PID`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientName(String);

impl ClientName {
    /// `None` for a name that no tmux gives.
    pub(crate) fn read(name: &str) -> Option<ClientName> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
        let known = name.starts_with('/') || name.starts_with("client-");
        (known && name.bytes().all(plain)).then(|| ClientName(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One key by the name that tmux has for it: `Enter`, `C-c`, `M-Left`, `F5`, `a`.
///
/// What tmux does not know as a key it types as text, so only names from a closed list are keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

/// A text that is no key of tmux's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a key is one character or a name such as Enter, Escape or F5, perhaps behind C-, M- or S-"
)]
pub struct NotAKey;

/// The keys that have a name.
const NAMED_KEYS: [&str; 32] = [
    "Enter", "Escape", "Tab", "BTab", "BSpace", "Space", "Up", "Down", "Left", "Right", "Home",
    "End", "PageUp", "PageDown", "PgUp", "PgDn", "PPage", "NPage", "IC", "DC", "F1", "F2", "F3",
    "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F11", "F12",
];

impl Key {
    pub fn enter() -> Key {
        Key("Enter".to_owned())
    }

    /// The key that interrupts.
    pub fn interrupt() -> Key {
        Key("C-c".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Key {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Key, NotAKey> {
        let mut base = text;
        let mut left = vec!["C-", "M-", "S-"];
        while let Some(at) =
            left.iter().position(|it| base.len() > it.len() && base.starts_with(it))
        {
            base = &base[left.remove(at).len()..];
        }
        let one = base.len() == 1 && base.bytes().all(|byte| byte.is_ascii_graphic());
        if one || NAMED_KEYS.contains(&base) { Ok(Key(text.to_owned())) } else { Err(NotAKey) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What tmux does to `#` when it expands a format: enough to see what our texts become, and
    /// `Err` wherever it would look something up or run something.
    fn expand(format: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut result = Vec::new();
        let mut rest = format;
        while let [first, tail @ ..] = rest {
            rest = tail;
            if *first != b'#' {
                result.push(*first);
                continue;
            }
            let run = 1 + rest.iter().take_while(|&&byte| byte == b'#').count();
            if rest.get(run - 1) == Some(&b'[') {
                result.resize(result.len() + run, b'#');
                rest = &rest[run - 1..];
                continue;
            }
            let [second, tail @ ..] = rest else { return Err("a lone # at the end") };
            rest = tail;
            match second {
                b'#' | b',' | b'}' => result.push(*second),
                b'(' => return Err("runs a shell"),
                b'{' => return Err("looks up a variable"),
                letter if letter.is_ascii_alphabetic() => return Err("looks up an alias"),
                other => result.extend([b'#', *other]),
            }
        }
        Ok(result)
    }

    #[test]
    fn the_model_of_expansion_sees_what_is_dangerous() {
        assert_eq!(expand(b"#(touch x)"), Err("runs a shell"));
        assert_eq!(expand(b"###(touch x)"), Err("runs a shell"));
        assert_eq!(expand(b"#{pane_id}"), Err("looks up a variable"));
        assert_eq!(expand(b"#H"), Err("looks up an alias"));
        assert_eq!(expand(b"##(touch x)"), Ok(b"#(touch x)".to_vec()));
        assert_eq!(expand(b"##[#[x"), Ok(b"##[#[x".to_vec()));
    }

    #[test]
    fn text_for_an_expanded_position_has_its_hashes_doubled() {
        for (text, safe) in [
            ("plain", "plain"),
            ("#(touch x)", "##(touch x)"),
            ("##(touch x)", "####(touch x)"),
            ("a#{E:b}#", "a##{E:b}##"),
            ("#[fg=red]#", "#[fg=red]##"),
            ("##[x", "##[x"),
            ("%H;", "%H;"),
            ("", ""),
        ] {
            let arg = Arg::expanded(text.as_bytes()).unwrap();
            assert_eq!(arg.as_bytes(), safe.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn nul_is_refused_because_tmux_would_cut_there() {
        assert_eq!(Arg::expanded(b"a\0b"), Err(ArgError::Nul));
        assert_eq!(Arg::verbatim(b"a\0b"), Err(ArgError::Nul));
    }

    #[test]
    fn targets_are_ids_or_exact_names() {
        let name = OwnName::new("_qd-", "a1").unwrap();
        assert_eq!(Arg::pane(PaneId(1)).as_bytes(), b"%1");
        assert_eq!(Arg::window(WindowId(2)).as_bytes(), b"@2");
        assert_eq!(Arg::session(SessionId(3)).as_bytes(), b"$3");
        assert_eq!(Arg::current_window_of(SessionId(3)).as_bytes(), b"$3:");
        assert_eq!(Arg::exactly(&name).as_bytes(), b"=_qd-a1:");
        assert_eq!(Arg::own_name(&name).as_bytes(), b"_qd-a1");
    }

    #[test]
    fn a_name_of_ours_holds_nothing_that_means_something_to_tmux() {
        for wrong in ["", "a b", "A", "a:b", "a.b", "#(x)", "a=b", "\u{e9}", "a\n", "a;"] {
            assert_eq!(OwnName::new("_qd-", wrong), Err(ArgError::NotOurName), "{wrong:?}");
        }
        assert!(OwnName::new("_qd-", &"a".repeat(OWN_NAME_BYTES_MAX)).is_ok());
        assert!(OwnName::new("_qd-", &"a".repeat(OWN_NAME_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn a_client_is_a_target_only_under_a_name_that_tmux_gives() {
        for name in ["/dev/pts/3", "/dev/ttys001", "client-4711"] {
            let client = ClientName::read(name).unwrap();
            assert_eq!(Arg::client(&client).as_bytes(), name.as_bytes());
        }
        for wrong in ["", "pts/3", "-x", "/dev/pts/3 ", "/dev/#(x)", "client-1;", "{marked}"] {
            assert_eq!(ClientName::read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn only_what_tmux_knows_as_a_key_is_one() {
        for key in ["Enter", "C-c", "M-Enter", "C-M-Left", "a", ";", "-", "C--", "S-F12", "~"] {
            assert_eq!(key.parse::<Key>().map(|key| key.0), Ok(key.to_owned()));
        }
        for no in ["", "enter", "C-", "C-C-c", "ls", "Enter ", "\u{e9}", "F13", "0x41", "Any", " "]
        {
            assert_eq!(no.parse::<Key>(), Err(NotAKey), "{no:?}");
        }
    }

    #[test]
    fn killing_takes_only_a_number() {
        assert_eq!(Arg::kill(4711).as_bytes(), b"kill -KILL 4711");
    }

    proptest! {
        #[test]
        fn whatever_is_expanded_comes_out_as_it_was(
            text in prop::collection::vec(prop::sample::select(b"##[]({,})abH%; \n\xff".to_vec()), 0..40)
        ) {
            let arg = Arg::expanded(&text).unwrap();
            prop_assert_eq!(expand(arg.as_bytes()), Ok(text));
        }
    }
}
