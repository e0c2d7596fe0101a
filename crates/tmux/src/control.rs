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
        self.body.split_inclusive(|&byte| byte == b'\n').map(|line| line.trim_suffix_newline())
    }

    /// The answer as text, for error reasons and logs.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim_end().to_owned()
    }
}

trait TrimNewline {
    fn trim_suffix_newline(&self) -> &[u8];
}

impl TrimNewline for [u8] {
    fn trim_suffix_newline(&self) -> &[u8] {
        self.strip_suffix(b"\n").unwrap_or(self)
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
