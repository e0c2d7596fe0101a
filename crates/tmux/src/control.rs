//! The control-mode stream, parsed as it arrives.
//!
//! tmux frames the answer to each command as `%begin TIME NUMBER FLAGS`, raw lines, and `%end` or
//! `%error` with the same three fields; between such blocks it prints notifications. Inside a block
//! nothing is escaped, so a line of the body may look like any of these: only a closing line that
//! repeats all three fields ends the block. A body can still forge that line by guessing them; this
//! is why our own scans let no value print a newline, and carry a nonce (see [`crate::scan`]).
//!
//! Lines outside any block that are no notification are [`Message::Stray`]: late output of a
//! command that waited, or a chatty shell.

use thiserror::Error;

use crate::{
    limits::{BLOCK_BYTES_MAX, BLOCK_LINES_MAX, LINE_BYTES_MAX, PREAMBLE_BYTES_MAX},
    notification::Notification,
};

/// One thing the far end said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Reply(Reply),
    Notification(Notification),
    /// A line outside any block that is no notification.
    Stray(Vec<u8>),
}

/// The three fields that open a block and must be repeated to close it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Whole seconds of the server's clock.
    pub time: u64,
    /// Counts the commands of the whole server, not of this client.
    pub number: u64,
    /// 1 for a command of ours, 0 for one that ran on our queue for somebody else.
    pub flags: u64,
}

/// The answer to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub guard: Guard,
    /// True when the block was closed by `%error`; the body is then the reason.
    pub error: bool,
    /// The lines of the answer, each with its newline.
    pub body: Vec<u8>,
}

impl Reply {
    /// Whether this answers a command that this client wrote.
    ///
    /// The user's `after-*` hooks and the attach itself produce blocks too; they are not ours.
    pub fn is_ours(&self) -> bool {
        self.guard.flags == 1
    }

    /// The lines of the answer, without their newlines.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.body
            .split_inclusive(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
    }

    /// The answer as text, for error reasons and logs.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim_end().to_owned()
    }
}

/// What may stand before the first block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FarEnd {
    /// tmux itself is at the other end of the pipe.
    Plain,
    /// A login shell comes first and may print anything (a greeting, a prompt); all of it is
    /// ignored up to the first `%begin`.
    Chatty,
}

/// The stream can no longer be trusted. Kill the client process and connect again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Desync {
    #[error("a line is longer than {LINE_BYTES_MAX} bytes")]
    LineTooLong,
    #[error("a reply is longer than {BLOCK_BYTES_MAX} bytes")]
    BlockTooLong,
    #[error("a reply has more than {BLOCK_LINES_MAX} lines")]
    TooManyLines,
    #[error("no reply began within the first {PREAMBLE_BYTES_MAX} bytes")]
    NoGreeting,
    #[error("a block opens with a line that cannot be read")]
    MalformedGuard,
    #[error("a block ends that never began")]
    UnexpectedEnd,
}

/// Turns bytes into messages; however they are cut into pieces, the messages are the same.
#[derive(Debug)]
pub struct Parser {
    state: State,
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Preamble { bytes_left: usize },
    Between,
    Inside { guard: Guard, body: Vec<u8>, lines: usize },
    Lost(Desync),
}

impl Parser {
    pub fn new(far_end: FarEnd) -> Parser {
        let state = match far_end {
            FarEnd::Plain => State::Between,
            FarEnd::Chatty => State::Preamble { bytes_left: PREAMBLE_BYTES_MAX },
        };
        Parser { state, partial: Vec::new() }
    }

    /// Takes the next bytes and appends to `messages` whatever they complete.
    ///
    /// Messages completed before a fault are delivered; after a fault every call returns it again.
    pub fn feed(&mut self, bytes: &[u8], messages: &mut Vec<Message>) -> Result<(), Desync> {
        if let State::Lost(desync) = self.state {
            return Err(desync);
        }
        self.take(bytes, messages).inspect_err(|&desync| {
            self.state = State::Lost(desync);
            self.partial = Vec::new();
        })
    }

    fn take(&mut self, bytes: &[u8], messages: &mut Vec<Message>) -> Result<(), Desync> {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.partial.len() + piece.len() > LINE_BYTES_MAX {
                return Err(Desync::LineTooLong);
            }
            let Some(line) = piece.strip_suffix(b"\n") else {
                self.partial.extend_from_slice(piece);
                break;
            };
            let message = if self.partial.is_empty() {
                self.line(line)?
            } else {
                self.partial.extend_from_slice(line);
                let whole = std::mem::take(&mut self.partial);
                let message = self.line(&whole)?;
                self.partial = whole;
                self.partial.clear();
                message
            };
            messages.extend(message);
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Message>, Desync> {
        match &mut self.state {
            State::Preamble { bytes_left } => {
                if let Some(guard) = greeting(line) {
                    self.state = State::inside(guard);
                } else {
                    *bytes_left =
                        bytes_left.checked_sub(line.len() + 1).ok_or(Desync::NoGreeting)?;
                }
                Ok(None)
            }
            State::Between => self.between(line),
            State::Inside { guard, body, lines } => {
                if let Some(error) = closes(line, *guard) {
                    let reply = Reply { guard: *guard, error, body: std::mem::take(body) };
                    self.state = State::Between;
                    return Ok(Some(Message::Reply(reply)));
                }
                *lines += 1;
                if *lines > BLOCK_LINES_MAX {
                    return Err(Desync::TooManyLines);
                }
                if body.len() + line.len() + 1 > BLOCK_BYTES_MAX {
                    return Err(Desync::BlockTooLong);
                }
                body.extend_from_slice(line);
                body.push(b'\n');
                Ok(None)
            }
            State::Lost(desync) => Err(*desync),
        }
    }

    fn between(&mut self, line: &[u8]) -> Result<Option<Message>, Desync> {
        if let Some(fields) = line.strip_prefix(b"%begin ") {
            self.state = State::inside(Guard::read(fields).ok_or(Desync::MalformedGuard)?);
            return Ok(None);
        }
        if line.starts_with(b"%end ") || line.starts_with(b"%error ") {
            return Err(Desync::UnexpectedEnd);
        }
        Ok(Some(if line.starts_with(b"%") {
            Message::Notification(Notification::read(line))
        } else {
            Message::Stray(line.to_vec())
        }))
    }
}

impl State {
    fn inside(guard: Guard) -> State {
        State::Inside { guard, body: Vec::new(), lines: 0 }
    }
}

impl Guard {
    /// Three numbers, each followed by one blank or the end.
    fn read(fields: &[u8]) -> Option<Guard> {
        let mut numbers = std::str::from_utf8(fields).ok()?.split(' ').map(number);
        let guard =
            Guard { time: numbers.next()??, number: numbers.next()??, flags: numbers.next()?? };
        numbers.next().is_none().then_some(guard)
    }
}

fn number(digits: &str) -> Option<u64> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// Whether `line` closes the block of `guard`, and if so whether as an error.
fn closes(line: &[u8], guard: Guard) -> Option<bool> {
    let (fields, error) = match line.strip_prefix(b"%end ") {
        Some(fields) => (fields, false),
        None => (line.strip_prefix(b"%error ")?, true),
    };
    (Guard::read(fields) == Some(guard)).then_some(error)
}

/// Finds the first `%begin`, also behind a prompt that did not end its line.
fn greeting(line: &[u8]) -> Option<Guard> {
    const BEGIN: &[u8] = b"%begin ";
    // The fields are at most three 20-digit numbers: an older `%begin` in the line is not it.
    let tail = &line[line.len().saturating_sub(BEGIN.len() + 62)..];
    let start = tail.windows(BEGIN.len()).rposition(|window| window == BEGIN)?;
    Guard::read(&tail[start + BEGIN.len()..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::{PaneId, WindowId};

    /// Feeds `stream` in pieces of `size` bytes.
    fn parse_by(far_end: FarEnd, stream: &[u8], size: usize) -> (Vec<Message>, Result<(), Desync>) {
        let mut parser = Parser::new(far_end);
        let mut messages = Vec::new();
        for piece in stream.chunks(size) {
            if let Err(desync) = parser.feed(piece, &mut messages) {
                return (messages, Err(desync));
            }
        }
        (messages, Ok(()))
    }

    fn parse(stream: &[u8]) -> Vec<Message> {
        let (messages, result) = parse_by(FarEnd::Plain, stream, stream.len().max(1));
        assert_eq!(result, Ok(()));
        messages
    }

    fn fault(far_end: FarEnd, stream: &[u8]) -> Desync {
        parse_by(far_end, stream, 4096).1.expect_err("the stream was trusted")
    }

    fn reply(time: u64, number: u64, flags: u64, error: bool, body: &[u8]) -> Message {
        let guard = Guard { time, number, flags };
        Message::Reply(Reply { guard, error, body: body.to_vec() })
    }

    fn note(notification: Notification) -> Message {
        Message::Notification(notification)
    }

    #[test]
    fn a_reply_is_the_lines_between_its_guards() {
        assert_eq!(
            parse(b"%begin 9 1 1\none\n\ntwo\n%end 9 1 1\n%begin 9 2 1\n%end 9 2 1\n"),
            [reply(9, 1, 1, false, b"one\n\ntwo\n"), reply(9, 2, 1, false, b"")]
        );
    }

    #[test]
    fn an_error_reply_says_why() {
        let messages = parse(b"%begin 9 1 1\ncan't find pane: %99\n%error 9 1 1\n");
        assert_eq!(messages, [reply(9, 1, 1, true, b"can't find pane: %99\n")]);
        let Message::Reply(reply) = &messages[0] else { unreachable!() };
        assert_eq!(reply.text(), "can't find pane: %99");
    }

    #[test]
    fn a_body_line_that_looks_like_protocol_stays_in_the_body() {
        let body = b"%end 9 1 2\n%end 9 2 1\n%end 8 1 1\n%error 9 1\n%end 9 1 1 \n%end  9 1 1\n\
            %begin 9 1 1\n%exit\n%output %1 x\n%end 9 01 x\n";
        let stream = [b"%begin 9 1 1\n".as_slice(), body, b"%end 9 1 1\n"].concat();
        assert_eq!(parse(&stream), [reply(9, 1, 1, false, body)]);
    }

    #[test]
    fn lines_of_a_reply_come_without_newlines() {
        let messages = parse(b"%begin 9 1 1\na\n\nb c\n%end 9 1 1\n");
        let Message::Reply(reply) = &messages[0] else { unreachable!() };
        assert_eq!(reply.lines().collect::<Vec<_>>(), [b"a".as_slice(), b"", b"b c"]);
    }

    #[test]
    fn only_flag_one_marks_a_reply_as_ours() {
        for (flags, ours) in [(0, false), (1, true), (2, false)] {
            let stream = format!("%begin 9 1 {flags}\n%end 9 1 {flags}\n");
            let messages = parse(stream.as_bytes());
            let Message::Reply(reply) = &messages[0] else { unreachable!() };
            assert_eq!(reply.is_ours(), ours);
        }
    }

    #[test]
    fn notifications_stand_between_replies() {
        assert_eq!(
            parse(b"%window-add @2\n%begin 9 1 1\n%window-add @3\n%end 9 1 1\n%exit\n"),
            [
                note(Notification::WindowAdd { window: WindowId(2) }),
                reply(9, 1, 1, false, b"%window-add @3\n"),
                note(Notification::Exit { reason: None }),
            ]
        );
    }

    #[test]
    fn late_output_outside_any_block_is_stray() {
        assert_eq!(
            parse(b"/x: Input/output error\n\n%pause %1\n"),
            [
                Message::Stray(b"/x: Input/output error".to_vec()),
                Message::Stray(Vec::new()),
                note(Notification::Pause { pane: PaneId(1) }),
            ]
        );
    }

    #[test]
    fn bytes_that_are_no_utf8_pass_through() {
        assert_eq!(
            parse(b"%begin 9 1 1\n\xff\xfe\0\n%end 9 1 1\n\xff\n%\xff \xff\n"),
            [
                reply(9, 1, 1, false, b"\xff\xfe\0\n"),
                Message::Stray(b"\xff".to_vec()),
                note(Notification::Unknown { name: "\u{fffd}".into() }),
            ]
        );
    }

    #[test]
    fn an_unfinished_line_waits_for_its_end() {
        let mut parser = Parser::new(FarEnd::Plain);
        let mut messages = Vec::new();
        for piece in [b"%wind".as_slice(), b"ow-ad", b"d @7"] {
            assert_eq!(parser.feed(piece, &mut messages), Ok(()));
            assert_eq!(messages, []);
        }
        assert_eq!(parser.feed(b"\n", &mut messages), Ok(()));
        assert_eq!(messages, [note(Notification::WindowAdd { window: WindowId(7) })]);
    }

    #[test]
    fn guards_that_cannot_be_read_end_the_trust() {
        for malformed in [
            "%begin \n",
            "%begin 1 2\n",
            "%begin 1 2 3 4\n",
            "%begin 1 2 x\n",
            "%begin -1 2 1\n",
            "%begin +1 2 1\n",
            "%begin 1  2 1\n",
            "%begin 1 2 1 \n",
            "%begin 99999999999999999999 2 1\n",
        ] {
            let desync = fault(FarEnd::Plain, malformed.as_bytes());
            assert_eq!(desync, Desync::MalformedGuard, "{malformed:?}");
        }
    }

    #[test]
    fn an_end_without_a_beginning_ends_the_trust() {
        assert_eq!(fault(FarEnd::Plain, b"%end 1 2 1\n"), Desync::UnexpectedEnd);
        assert_eq!(fault(FarEnd::Plain, b"%error 1 2 1\n"), Desync::UnexpectedEnd);
    }

    #[test]
    fn what_came_before_a_fault_is_delivered_and_the_fault_is_final() {
        let mut parser = Parser::new(FarEnd::Plain);
        let mut messages = Vec::new();
        let stream = b"%window-add @1\n%end 1 2 1\n%window-add @2\n";
        assert_eq!(parser.feed(stream, &mut messages), Err(Desync::UnexpectedEnd));
        assert_eq!(parser.feed(b"%window-add @3\n", &mut messages), Err(Desync::UnexpectedEnd));
        assert_eq!(messages, [note(Notification::WindowAdd { window: WindowId(1) })]);
    }

    #[test]
    fn a_line_at_the_bound_is_taken_and_one_beyond_it_is_not() {
        let longest = vec![b'x'; LINE_BYTES_MAX - 1];
        let stream = [longest.as_slice(), b"\n"].concat();
        assert_eq!(parse(&stream), [Message::Stray(longest.clone())]);
        let longer = [longest.as_slice(), b"xx"].concat();
        assert_eq!(fault(FarEnd::Plain, &longer), Desync::LineTooLong);
    }

    #[test]
    fn a_body_beyond_its_bytes_or_lines_is_not_taken() {
        let mut line = vec![b'x'; LINE_BYTES_MAX - 1];
        line.push(b'\n');
        let bytes = [b"%begin 9 1 1\n".to_vec(), line.repeat(BLOCK_BYTES_MAX / line.len() + 1)];
        assert_eq!(fault(FarEnd::Plain, &bytes.concat()), Desync::BlockTooLong);
        let lines = [b"%begin 9 1 1\n".to_vec(), b"\n".repeat(BLOCK_LINES_MAX + 1)];
        assert_eq!(fault(FarEnd::Plain, &lines.concat()), Desync::TooManyLines);
    }

    #[test]
    fn a_chatty_far_end_is_ignored_until_tmux_speaks() {
        let stream = b"Welcome!\n%begin the day\n%end 1 2 1\n%exit\n%begin 9 1\n\x1b[0m\xff\n\
            %begin 9 1 0\n%end 9 1 0\n%sessions-changed\n";
        let (messages, result) = parse_by(FarEnd::Chatty, stream, 7);
        assert_eq!(result, Ok(()));
        assert_eq!(messages, [reply(9, 1, 0, false, b""), note(Notification::SessionsChanged)]);
    }

    #[test]
    fn a_prompt_before_the_first_reply_does_not_hide_it() {
        let stream = b"%begin 1 2 3 user@host ~ $ %begin 9 1 0\nbody\n%end 9 1 0\n";
        let (messages, result) = parse_by(FarEnd::Chatty, stream, 1);
        assert_eq!((messages, result), (vec![reply(9, 1, 0, false, b"body\n")], Ok(())));
    }

    #[test]
    fn a_far_end_that_only_chats_is_given_up() {
        let chatter = b"still talking\n".repeat(PREAMBLE_BYTES_MAX / 14 + 1);
        assert_eq!(fault(FarEnd::Chatty, &chatter), Desync::NoGreeting);
    }

    /// A byte out of those that the protocol is made of, more often than any other.
    fn protocol_byte() -> impl Strategy<Value = u8> {
        prop_oneof![
            4 => prop::sample::select(b"%begindrox 0123456789\n\n\n@$\t-".to_vec()),
            1 => any::<u8>(),
        ]
    }

    /// Lines that a stream could be made of, well formed and not.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            (0u64..3, 0u64..3, 0u64..2).prop_map(|(t, n, f)| format!("%begin {t} {n} {f}")),
            (0u64..3, 0u64..3, 0u64..2).prop_map(|(t, n, f)| format!("%end {t} {n} {f}")),
            (0u64..3, 0u64..3, 0u64..2).prop_map(|(t, n, f)| format!("%error {t} {n} {f}")),
            (0u32..9).prop_map(|id| format!("%window-add @{id}")),
            (0u32..9).prop_map(|id| format!("%session-changed ${id} name")),
            Just("%exit".to_owned()),
        ]
        .prop_map(String::into_bytes)
        .boxed()
        .prop_union(prop::collection::vec(protocol_byte(), 0..20).boxed())
        .prop_map(|mut line| {
            line.push(b'\n');
            line
        })
    }

    proptest! {
        #[test]
        fn however_a_stream_is_cut_the_messages_are_the_same(
            lines in prop::collection::vec(line(), 0..40),
            size in 1usize..64,
            chatty: bool,
        ) {
            let stream = lines.concat();
            let far_end = if chatty { FarEnd::Chatty } else { FarEnd::Plain };
            let whole = parse_by(far_end, &stream, stream.len().max(1));
            prop_assert_eq!(parse_by(far_end, &stream, size), whole);
        }

        #[test]
        fn any_bytes_are_taken_without_a_panic(
            stream in prop::collection::vec(protocol_byte(), 0..2000),
            size in 1usize..200,
            chatty: bool,
        ) {
            let far_end = if chatty { FarEnd::Chatty } else { FarEnd::Plain };
            parse_by(far_end, &stream, size).1.ok();
        }

        #[test]
        fn any_body_that_does_not_hold_its_own_end_is_read_back(
            lines in prop::collection::vec(prop::collection::vec(protocol_byte(), 0..30), 0..30),
            error: bool,
        ) {
            let mut body = lines.concat();
            body.push(b'\n');
            let close = if error { "%error" } else { "%end" };
            let guard = "1795275446 4294967295 1";
            let stream = [format!("%begin {guard}\n").as_bytes(), &body,
                format!("{close} {guard}\n").as_bytes()].concat();
            prop_assert_eq!(parse(&stream), [reply(1_795_275_446, u64::from(u32::MAX), 1, error, &body)]);
        }
    }
}
