//! Commands and how they are written, for a control client or for a forked `tmux`.

use thiserror::Error;

use crate::{
    arg::Arg,
    format::Format,
    ids::{PaneId, SessionId, WindowId},
    limits::{ARGV_BYTES_MAX, COMMAND_LINE_BYTES_MAX},
};

/// The commands we use, and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    AttachSession,
    BreakPane,
    CapturePane,
    CopyMode,
    DeleteBuffer,
    DisplayMessage,
    HasSession,
    IfShell,
    KillSession,
    ListClients,
    ListCommands,
    ListPanes,
    ListSessions,
    LoadBuffer,
    MoveWindow,
    NewSession,
    RenameSession,
    PasteBuffer,
    RefreshClient,
    RunShell,
    SelectPane,
    SelectWindow,
    SendKeys,
    SetOption,
    ShowBuffer,
    ShowOptions,
    SwitchClient,
    UnlinkWindow,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::AttachSession => "attach-session",
            Verb::BreakPane => "break-pane",
            Verb::CapturePane => "capture-pane",
            Verb::CopyMode => "copy-mode",
            Verb::DeleteBuffer => "delete-buffer",
            Verb::DisplayMessage => "display-message",
            Verb::HasSession => "has-session",
            Verb::IfShell => "if-shell",
            Verb::KillSession => "kill-session",
            Verb::ListClients => "list-clients",
            Verb::ListCommands => "list-commands",
            Verb::ListPanes => "list-panes",
            Verb::ListSessions => "list-sessions",
            Verb::LoadBuffer => "load-buffer",
            Verb::MoveWindow => "move-window",
            Verb::NewSession => "new-session",
            Verb::RenameSession => "rename-session",
            Verb::PasteBuffer => "paste-buffer",
            Verb::RefreshClient => "refresh-client",
            Verb::RunShell => "run-shell",
            Verb::SelectPane => "select-pane",
            Verb::SelectWindow => "select-window",
            Verb::SendKeys => "send-keys",
            Verb::SetOption => "set-option",
            Verb::ShowBuffer => "show-buffer",
            Verb::ShowOptions => "show-options",
            Verb::SwitchClient => "switch-client",
            Verb::UnlinkWindow => "unlink-window",
        }
    }
}

/// One command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    verb: Verb,
    args: Vec<Arg>,
    /// How many replies it makes: one, and those of whatever it runs.
    replies: usize,
}

impl Command {
    pub fn new(verb: Verb) -> Command {
        Command { verb, args: Vec::new(), replies: 1 }
    }

    /// Prints a format that is about the server alone.
    ///
    /// `display-message` would do, but it needs a session to speak about, and hands its text to
    /// `strftime` first; this lists one command, and needs nothing.
    pub fn print(format: Arg) -> Command {
        let word = Arg::word(Verb::ListCommands.as_str());
        Command::new(Verb::ListCommands).option("-F", format).arg(word)
    }

    /// Runs one of two batches, by what `condition` expands to for a pane, with nothing in between:
    /// tmux puts the commands directly behind this one and handles nobody else meanwhile.
    ///
    /// It has to be the last of its batch. A command that fails in a branch ends the branch and
    /// not the batch around it, and what came behind would be answered after all.
    pub(crate) fn either(
        pane: PaneId,
        condition: &Format,
        yes: Batch,
        no: Batch,
    ) -> Result<Command, BatchTooLong> {
        let inner = yes.commands().max(no.commands());
        let command = Command::new(Verb::IfShell)
            .flag("-F")
            .target_pane(pane)
            .arg(Arg::format(condition))
            .arg(Arg::commands(&yes.padded(inner))?)
            .arg(Arg::commands(&no.padded(inner))?);
        Ok(Command { replies: 1 + inner, ..command })
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
        self.iter().map(|command| command.replies).sum()
    }

    /// The same behind commands that print nothing, until there are so many: whoever waits for the
    /// replies of one of two batches has to know their number.
    fn padded(self, commands: usize) -> Batch {
        let missing = commands.saturating_sub(self.commands());
        let nothing = Command::print(Arg::word(""));
        (0..missing).fold(self, |batch, _| batch.behind(nothing.clone()))
    }

    /// The same with one more command before all others.
    pub(crate) fn behind(self, command: Command) -> Batch {
        let rest = std::iter::once(self.first).chain(self.rest).collect();
        Batch { first: command, rest }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How tmux cuts a command line into words: enough of it for lines made by us, and a panic for
    /// anything that it would expand.
    fn words(line: &[u8]) -> Vec<Vec<u8>> {
        let (body, end) = line.split_at(line.len() - 1);
        assert_eq!(end, b"\n", "a line ends with its only newline");
        let mut words = Vec::new();
        let mut rest = body;
        while !rest.is_empty() {
            let (word, after) = match rest {
                [b'"', tail @ ..] => quoted(tail),
                _ => {
                    let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
                    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-;".contains(byte);
                    assert!(rest[..end].iter().all(plain), "{:?}", &rest[..end]);
                    (rest[..end].to_vec(), &rest[end..])
                }
            };
            words.push(word);
            rest = after.strip_prefix(b" ").unwrap_or(after);
        }
        words
    }

    fn quoted(text: &[u8]) -> (Vec<u8>, &[u8]) {
        let mut word = Vec::new();
        let mut rest = text;
        loop {
            match rest {
                [b'"', tail @ ..] => return (word, tail),
                [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                    word.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                    rest = tail;
                }
                [byte @ b' '..=b'~', tail @ ..] if !b"\\$~".contains(byte) => {
                    word.push(*byte);
                    rest = tail;
                }
                _ => panic!("tmux would not take {rest:?} as it is"),
            }
        }
    }

    /// How a forked tmux cuts its arguments into commands.
    fn commands(argv: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
        let mut commands = vec![Vec::new()];
        for mut arg in argv {
            let mut ends = false;
            if arg.last() == Some(&b';') {
                arg.pop();
                match arg.last_mut() {
                    Some(last) if *last == b'\\' => *last = b';',
                    _ => ends = true,
                }
            }
            if !ends || !arg.is_empty() {
                commands.last_mut().unwrap().push(arg);
            }
            if ends {
                commands.push(Vec::new());
            }
        }
        commands
    }

    fn show(text: &[u8]) -> Command {
        Command::new(Verb::DisplayMessage).end_of_flags().arg(Arg::verbatim(text).unwrap())
    }

    #[test]
    fn a_control_line_is_readable_where_it_can_be() {
        let batch = Batch::from(Command::new(Verb::ListPanes).flag("-a"))
            .then(Command::new(Verb::KillSession).target_session(SessionId(1)))
            .then(Command::new(Verb::DisplayMessage).target_pane(PaneId(2)).arg(Arg::number(7)));
        let line = String::from_utf8(batch.control_line().unwrap()).unwrap();
        assert_eq!(
            line,
            "list-panes -a ; kill-session -t \"\\0441\" ; display-message -t \"%2\" 7\n"
        );
        assert_eq!(batch.commands(), 3);
    }

    #[test]
    fn the_same_batch_as_arguments_needs_no_quotes() {
        let batch = Batch::from(Command::new(Verb::ListPanes).flag("-a"))
            .then(Command::new(Verb::MoveWindow).target_window(WindowId(1)));
        let argv: Vec<String> =
            batch.argv().unwrap().into_iter().map(|arg| String::from_utf8(arg).unwrap()).collect();
        assert_eq!(argv, ["list-panes", "-a", ";", "move-window", "-t", "@1"]);
    }

    #[test]
    fn a_newline_never_reaches_the_line() {
        let line = Batch::from(show(b"a\nkill-server\n")).control_line().unwrap();
        assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
        assert_eq!(line, b"display-message -- \"a\\012kill-server\\012\"\n");
    }

    #[test]
    fn a_semicolon_at_the_end_of_an_argument_stays_in_it() {
        for (text, written) in [("a;", "a\\;"), (";", "\\;"), ("a\\;", "a\\\\;"), ("a;b", "a;b")] {
            let argv = Batch::from(show(text.as_bytes())).argv().unwrap();
            assert_eq!(argv.last().unwrap(), written.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn a_batch_beyond_the_bound_is_refused_with_both_numbers() {
        let long = Batch::from(show(&[b'x'; ARGV_BYTES_MAX]));
        let error = long.argv().unwrap_err();
        assert!(error.bytes > error.limit && error.limit == ARGV_BYTES_MAX);
        assert!(long.control_line().is_ok());
        let longer = Batch::from(show(&vec![b'\n'; COMMAND_LINE_BYTES_MAX / 4]));
        assert_eq!(longer.control_line().unwrap_err().limit, COMMAND_LINE_BYTES_MAX);
    }

    #[test]
    fn both_branches_make_as_many_replies() {
        let condition = Format::new();
        let yes = Batch::from(show(b"a")).then(show(b"b")).then(show(b"c"));
        let either = Command::either(PaneId(1), &condition, yes, show(b"no").into()).unwrap();
        let batch = Batch::from(show(b"first")).then(either);
        assert_eq!(batch.commands(), 5, "two commands, and three in whichever branch");
        let words = words(&batch.control_line().unwrap());
        assert_eq!(branch(&words[9]).iter().filter(|word| *word == b";").count(), 2);
        assert_eq!(branch(&words[10]).iter().filter(|word| *word == b";").count(), 2);
        assert_eq!(branch(&words[10]).last().unwrap(), b"no");
    }

    /// The words of a branch, which tmux cuts once more.
    fn branch(text: &[u8]) -> Vec<Vec<u8>> {
        words(&[text, b"\n"].concat())
    }

    #[test]
    fn every_verb_is_a_word_of_its_own() {
        let line = Batch::from(Command::new(Verb::AttachSession)).control_line().unwrap();
        assert_eq!(words(&line), [b"attach-session".to_vec()]);
    }

    /// Any bytes but NUL, with those that mean something more often than others.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let hostile = prop::sample::select(b";\\\"'$~#{}%\n\t -=\x1b\xff\xc3\xa9".to_vec());
        prop::collection::vec(prop_oneof![hostile, 1u8..], 0..40)
    }

    proptest! {
        #[test]
        fn every_text_survives_a_control_line(texts in prop::collection::vec(text(), 1..5)) {
            let batch = texts[1..].iter().fold(Batch::from(show(&texts[0])), |batch, text| {
                batch.then(show(text))
            });
            let mut expected = Vec::new();
            for text in &texts {
                expected.extend([b"display-message".to_vec(), b"--".to_vec(), text.clone()]);
                expected.push(b";".to_vec());
            }
            expected.pop();
            prop_assert_eq!(words(&batch.control_line().unwrap()), expected);
        }

        #[test]
        fn every_text_survives_inside_a_branch(yes in text(), no in text()) {
            let condition = Format::new();
            let either = Command::either(
                PaneId(1), &condition, show(&yes).into(), show(&no).into(),
            ).unwrap();
            let expected = |text: Vec<u8>| vec![b"display-message".to_vec(), b"--".to_vec(), text];
            let line = words(&Batch::from(either.clone()).control_line().unwrap());
            prop_assert_eq!(branch(&line[5]), expected(yes.clone()));
            prop_assert_eq!(branch(&line[6]), expected(no.clone()));
            let argv = commands(Batch::from(either).argv().unwrap());
            prop_assert_eq!(branch(&argv[0][5]), expected(yes));
            prop_assert_eq!(branch(&argv[0][6]), expected(no));
        }

        #[test]
        fn every_text_survives_as_an_argument(texts in prop::collection::vec(text(), 1..5)) {
            let batch = texts[1..].iter().fold(Batch::from(show(&texts[0])), |batch, text| {
                batch.then(show(text))
            });
            let expected: Vec<_> = texts
                .iter()
                .map(|text| vec![b"display-message".to_vec(), b"--".to_vec(), text.clone()])
                .collect();
            prop_assert_eq!(commands(batch.argv().unwrap()), expected);
        }
    }
}
