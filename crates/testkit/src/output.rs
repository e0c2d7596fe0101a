//! One run of a program, with a bound: what it was asked, and what came out.

use std::ffi::OsStr;
use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;

use crate::wait::{self, BOUND, Deadline};

/// A program about to be run.
pub struct Invocation {
    command: Command,
    input: Option<Vec<u8>>,
}

impl Invocation {
    pub(crate) fn new(command: Command) -> Self {
        Self { command, input: None }
    }

    #[must_use]
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    #[must_use]
    pub fn env_remove(mut self, key: &str) -> Self {
        self.command.env_remove(key);
        self
    }

    #[must_use]
    pub fn current_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.command.current_dir(path);
        self
    }

    /// What the program reads on standard input; without this it reads nothing.
    #[must_use]
    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Runs to the end. A program that is not done within the bound, or whose output somebody
    /// keeps open (a daemon that inherited the pipe), fails the test.
    #[track_caller]
    pub fn run(mut self) -> Output {
        let asked = format!("{:?}", self.command);
        self.command.stdin(self.input.as_ref().map_or_else(Stdio::null, |_| Stdio::piped()));
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("{asked}: {error}"));
        if let (Some(input), Some(mut stdin)) = (self.input, child.stdin.take()) {
            // A program may stop reading early; its exit code says whether that was right.
            stdin.write_all(&input).ok();
        }
        let stdout = collect(child.stdout.take().expect("stdout is piped"));
        let stderr = collect(child.stderr.take().expect("stderr is piped"));
        let status = finish(&mut child, &asked);
        let deadline = Deadline::after(BOUND);
        let text = |part: &Receiver<Vec<u8>>| match part.recv_timeout(deadline.left()) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => panic!("{asked}: ended, but somebody keeps its output open"),
        };
        Output { stdout: text(&stdout), stderr: text(&stderr), status, asked }
    }

    /// Starts and leaves running, with its output thrown away.
    #[track_caller]
    pub fn spawn(mut self) -> Child {
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", self.command))
    }

    /// Starts and leaves running, with its standard output as a pipe.
    #[track_caller]
    pub fn spawn_piped(mut self) -> Child {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        self.command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", self.command))
    }
}

#[track_caller]
fn finish(child: &mut Child, asked: &str) -> ExitStatus {
    let ended = wait::within(BOUND, || child.try_wait().expect("a child can be waited for"));
    ended.unwrap_or_else(|| {
        child.kill().ok();
        panic!("{asked}: not done within {BOUND:?}")
    })
}

fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).ok();
        sender.send(bytes).ok();
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
