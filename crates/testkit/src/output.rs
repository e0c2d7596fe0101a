//! One run of a program, with a bound: what it was asked, and what came out.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::process::{self, Signal};
use crate::wait::{self, BOUND, Deadline};

/// A program about to be run.
#[must_use = "nothing runs until it is told to"]
pub struct Invocation {
    command: Command,
    input: Option<Vec<u8>>,
}

impl Invocation {
    pub(crate) fn new(command: Command) -> Self {
        Self { command, input: None }
    }

    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    pub fn env_remove(mut self, key: &str) -> Self {
        self.command.env_remove(key);
        self
    }

    pub fn current_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.command.current_dir(path);
        self
    }

    /// What the program reads on standard input; without this it reads nothing.
    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Runs to the end. A program that is not done within the bound, or whose output somebody
    /// keeps open (a daemon that inherited the pipe), fails the test.
    #[track_caller]
    pub fn run(self) -> Output {
        self.start().finish()
    }

    /// Starts, and collects what it prints.
    #[track_caller]
    pub fn start(mut self) -> Running {
        let asked = asked(&self.command);
        self.command.stdin(self.input.as_ref().map_or_else(Stdio::null, |_| Stdio::piped()));
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("{asked}: {error}"));
        if let (Some(input), Some(mut stdin)) = (self.input, child.stdin.take()) {
            // On a thread of its own, as the program may print before it has read everything. It
            // may also stop reading early; its exit code says whether that was right.
            thread::spawn(move || stdin.write_all(&input).ok());
        }
        let stdout = lines(child.stdout.take().expect("stdout is piped"));
        let stderr = lines(child.stderr.take().expect("stderr is piped"));
        Running { child, stdout, stderr, asked }
    }
}

/// The program and its arguments; the environment is the same for all and says nothing.
fn asked(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// A program that runs. Dropping it kills it.
pub struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    asked: String,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        process::signal(self.child.id(), signal);
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_some()
    }

    /// The next line of its standard output without its end; panics when none comes.
    #[track_caller]
    pub fn line(&mut self) -> String {
        match self.stdout.recv_timeout(BOUND) {
            Ok(line) => line.trim_end_matches('\n').to_owned(),
            Err(error) => panic!("{}: no further line: {error}", self.asked),
        }
    }

    /// Whether it prints nothing for so long.
    pub fn silent_for(&mut self, span: Duration) -> bool {
        matches!(self.stdout.recv_timeout(span), Err(RecvTimeoutError::Timeout))
    }

    /// Waits for its end, and gives what it printed and nobody has read yet.
    #[track_caller]
    pub fn finish(mut self) -> Output {
        let asked = std::mem::take(&mut self.asked);
        let status = wait::within(BOUND, || self.child.try_wait().expect("it can be waited for"));
        let Some(status) = status else { panic!("{asked}: not done within {BOUND:?}") };
        let deadline = Deadline::after(BOUND);
        let stdout = rest(&self.stdout, deadline, &asked);
        let stderr = rest(&self.stderr, deadline, &asked);
        Output { stdout, stderr, status, asked }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[track_caller]
fn rest(lines: &Receiver<String>, deadline: Deadline, asked: &str) -> String {
    let mut text = String::new();
    loop {
        match lines.recv_timeout(deadline.left()) {
            Ok(line) => text += &line,
            Err(RecvTimeoutError::Disconnected) => return text,
            Err(RecvTimeoutError::Timeout) => {
                panic!("{asked}: ended, but somebody keeps its output open")
            }
        }
    }
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
            line.clear();
        }
    });
    receiver
}

/// What a program said and how it ended.
#[must_use = "look at the output, or say that it succeeded"]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
    status: ExitStatus,
    asked: String,
}

impl Output {
    /// The exit code; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Standard output of a program that ended well; panics with everything it said otherwise.
    #[track_caller]
    pub fn success(self) -> String {
        assert!(self.status.success(), "{self:?}");
        self.stdout
    }

    /// Standard output as JSON, of a program that ended well.
    #[track_caller]
    pub fn json(self) -> Value {
        let shown = format!("{self:?}");
        let text = self.success();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("not JSON: {error}: {shown}"))
    }

    /// Standard error of a program that ended with `code`.
    #[track_caller]
    pub fn fails_with(self, code: i32) -> String {
        assert_eq!(self.status.code(), Some(code), "{self:?}");
        self.stderr
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stdout, stderr, status, asked } = self;
        write!(f, "{asked}\n{status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
    }
}
