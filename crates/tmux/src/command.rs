//! Commands and how they are written, for a control client or for a forked `tmux`.

use thiserror::Error;

use crate::{
    arg::Arg,
    ids::{PaneId, SessionId, WindowId},
    limits::{ARGV_BYTES_MAX, COMMAND_LINE_BYTES_MAX},
};

/// The commands we use, and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    AttachSession,
    BreakPane,
    DisplayMessage,
    KillSession,
    ListClients,
    ListPanes,
    ListSessions,
    MoveWindow,
    NewSession,
    RunShell,
    SetOption,
    ShowOptions,
    SwitchClient,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::AttachSession => "attach-session",
            Verb::BreakPane => "break-pane",
            Verb::DisplayMessage => "display-message",
            Verb::KillSession => "kill-session",
            Verb::ListClients => "list-clients",
            Verb::ListPanes => "list-panes",
            Verb::ListSessions => "list-sessions",
            Verb::MoveWindow => "move-window",
            Verb::NewSession => "new-session",
            Verb::RunShell => "run-shell",
            Verb::SetOption => "set-option",
            Verb::ShowOptions => "show-options",
            Verb::SwitchClient => "switch-client",
        }
    }
}

/// One command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    verb: Verb,
    args: Vec<Arg>,
}

impl Command {
    pub fn new(verb: Verb) -> Command {
        Command { verb, args: Vec::new() }
    }

    /// Adds a flag without a value.
    pub fn flag(self, flag: &'static str) -> Command {
        self.arg(Arg::word(flag))
    }

    /// Adds a flag and its value.
    pub fn option(self, flag: &'static str, value: Arg) -> Command {
        self.arg(Arg::word(flag)).arg(value)
    }

    pub fn target_pane(self, id: PaneId) -> Command {
        self.option("-t", Arg::pane(id))
    }

    pub fn target_window(self, id: WindowId) -> Command {
        self.option("-t", Arg::window(id))
    }

    pub fn target_session(self, id: SessionId) -> Command {
        self.option("-t", Arg::session(id))
    }

    /// Ends the flags: what follows is text even if it begins with `-`.
    pub fn end_of_flags(self) -> Command {
        self.arg(Arg::word("--"))
    }

    pub fn arg(mut self, arg: Arg) -> Command {
        self.args.push(arg);
        self
    }
}

/// Commands that tmux runs one after the other, up to the first that fails.
///
/// Never empty: an empty line would detach a control client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    first: Command,
    rest: Vec<Command>,
}

/// A batch is longer than tmux or we would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the commands take {bytes} bytes, the limit is {limit}")]
pub struct BatchTooLong {
    pub bytes: usize,
    pub limit: usize,
}

impl From<Command> for Batch {
    fn from(first: Command) -> Batch {
        Batch { first, rest: Vec::new() }
    }
}

impl Batch {
    pub fn then(mut self, command: Command) -> Batch {
        self.rest.push(command);
        self
    }

    /// How many commands, and therefore how many replies if none fails.
    pub fn commands(&self) -> usize {
        1 + self.rest.len()
    }

    fn iter(&self) -> impl Iterator<Item = &Command> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// One line for a control client, with its newline.
    pub fn control_line(&self) -> Result<Vec<u8>, BatchTooLong> {
        let mut line = Vec::new();
        for command in self.iter() {
            if !line.is_empty() {
                line.extend_from_slice(b" ; ");
            }
            line.extend_from_slice(command.verb.as_str().as_bytes());
            for arg in &command.args {
                line.push(b' ');
                quote(arg.as_bytes(), &mut line);
            }
        }
        line.push(b'\n');
        within(line.len(), COMMAND_LINE_BYTES_MAX).map(|()| line)
    }

    /// The arguments for a forked `tmux`, to follow its own flags (`-u -N -S PATH`).
    pub fn argv(&self) -> Result<Vec<Vec<u8>>, BatchTooLong> {
        let mut argv = Vec::new();
        for command in self.iter() {
            if !argv.is_empty() {
                argv.push(b";".to_vec());
            }
            argv.push(command.verb.as_str().as_bytes().to_vec());
            argv.extend(command.args.iter().map(|arg| keep_last_semicolon(arg.as_bytes())));
        }
        within(argv.iter().map(|arg| arg.len() + 1).sum(), ARGV_BYTES_MAX).map(|()| argv)
    }
}

fn within(bytes: usize, limit: usize) -> Result<(), BatchTooLong> {
    if bytes > limit { Err(BatchTooLong { bytes, limit }) } else { Ok(()) }
}

/// Appends `text` so that tmux's command parser gives back exactly these bytes.
///
/// Inside double quotes tmux still expands `$NAME`, a leading `~` and backslashes, and a newline
/// would end the command even there; each of these goes as three octal digits.
fn quote(text: &[u8], line: &mut Vec<u8>) {
    let bare = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    if !text.is_empty() && text.iter().all(bare) {
        line.extend_from_slice(text);
        return;
    }
    line.push(b'"');
    for &byte in text {
        if matches!(byte, b' '..=b'~') && !b"\"\\$~".contains(&byte) {
            line.push(byte);
        } else {
            let digit = |shift: u8| b'0' + ((byte >> shift) & 7);
            line.extend_from_slice(&[b'\\', digit(6), digit(3), digit(0)]);
        }
    }
    line.push(b'"');
}

/// tmux takes a `;` at the end of an argument for the end of the command unless `\` precedes it.
fn keep_last_semicolon(arg: &[u8]) -> Vec<u8> {
    match arg.strip_suffix(b";") {
        Some(before) => [before, b"\\;"].concat(),
        None => arg.to_vec(),
    }
}
