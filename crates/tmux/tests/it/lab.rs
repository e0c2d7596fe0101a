//! One real tmux server per test, and a control client that speaks through the crate.

use std::{
    cell::Cell,
    collections::VecDeque,
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use testkit::{TestEnv, Tmux, wait};
use tmux::{
    command::Batch,
    control::{Desync, FarEnd, Message, Parser},
    exchange::{Exchanges, Refused},
    format::Nonce,
    hub::{CONTROL_FLAGS, FORKED_FLAGS, Hub},
    notification::Notification,
    rows::{Row, ServerRow},
    scan::{Scan, ScanError, Scanned},
    version::Version,
};

use crate::transcript::Transcript;

/// A server with one session of the user's, called `user`.
pub(crate) struct Lab {
    env: TestEnv,
    nonces: Cell<u64>,
}

/// What one forked `tmux` did.
#[derive(Debug)]
#[must_use]
pub(crate) struct Forked {
    pub(crate) ok: bool,
    pub(crate) output: Vec<u8>,
    pub(crate) complaint: String,
}

impl Lab {
    pub(crate) fn new() -> Lab {
        let lab = Lab::without_server();
        lab.tmux().session("user", "exec sleep 1000");
        lab
    }

    pub(crate) fn without_server() -> Lab {
        Lab { env: TestEnv::new("/nonexistent/qd"), nonces: Cell::new(0) }
    }

    /// The user's own hands.
    pub(crate) fn tmux(&self) -> Tmux<'_> {
        self.env.tmux()
    }

    pub(crate) fn env(&self) -> &TestEnv {
        &self.env
    }

    pub(crate) fn nonce(&self) -> Nonce {
        self.nonces.set(self.nonces.get() + 1);
        Nonce::from_random((0x5eed_0000_0000_0000 + self.nonces.get()).to_be_bytes())
    }

    fn program(&self, flags: &[&str], batch: &Batch) -> Command {
        use std::os::unix::ffi::OsStringExt;
        let argv = batch.argv().expect("the batch is short");
        let mut command = self.env.command(self.env.tmux_program());
        command.args(flags).args(argv.into_iter().map(std::ffi::OsString::from_vec));
        command
    }

    /// Runs a batch by a `tmux` of its own.
    pub(crate) fn fork(&self, batch: &Batch) -> Forked {
        let output = self.program(&FORKED_FLAGS, batch).stdin(Stdio::null()).output();
        let output = output.expect("tmux can be started");
        let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Forked { ok: output.status.success(), output: output.stdout, complaint }
    }

    pub(crate) fn scan_forked<R: Row>(&self, scan: &Scan<R>) -> Result<Scanned<R>, ScanError> {
        let forked = self.fork(&scan.batch());
        assert!(forked.ok, "{}", forked.complaint);
        scan.read(&forked.output)
    }

    /// Which tmux this test runs against.
    pub(crate) fn version(&self) -> Version {
        let scanned = self.scan_forked(&Scan::<ServerRow>::all(self.nonce()));
        scanned.expect("a scan is answered whole").rows[0].version.parse().expect("a version")
    }

    /// Starts the client that stays and waits until it is attached to the hub.
    pub(crate) fn attach(&self, hub: &Hub) -> Control {
        let mut control = self.start(hub);
        control.wait_until_attached();
        control
    }

    /// Starts the client that stays.
    pub(crate) fn start(&self, hub: &Hub) -> Control {
        Control::start(self.program(&CONTROL_FLAGS, &hub.attach()), self.env.root())
    }

    /// Attaches a client of the user's: without the flags that mark ours.
    pub(crate) fn attach_user(&self, session: &str) -> Control {
        let mut command = self.env.command(self.env.tmux_program());
        command.args(CONTROL_FLAGS).args(["attach-session", "-t", &format!("={session}:")]);
        let mut control = Control::start(command, self.env.root());
        control.wait_until_attached();
        control
    }

    /// The hub of a daemon that has just connected, and its client.
    pub(crate) fn connect(&self) -> (Hub, Control) {
        let hub = Hub::new("lab-1").expect("a plain name");
        let created = self.fork(&hub.create());
        assert!(created.ok, "{}", created.complaint);
        let control = self.attach(&hub);
        (hub, control)
    }
}

/// A control client, driven step by step.
pub(crate) struct Control {
    child: Child,
    /// `None` once closed.
    stdin: Option<ChildStdin>,
    /// An empty piece is the end of the stream.
    bytes: Receiver<Vec<u8>>,
    parser: Parser,
    exchanges: Exchanges<()>,
    queue: VecDeque<Message>,
    /// Whatever came that is no answer, oldest first.
    pub(crate) others: Vec<Message>,
    pub(crate) transcript: Transcript,
    ended: bool,
}

impl Control {
    fn start(mut command: Command, root: &std::path::Path) -> Control {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("tmux can be started");
        let mut stdout = child.stdout.take().expect("stdout is piped");
        let (sender, bytes) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count) = stdout.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() || count == 0 {
                    break;
                }
            }
        });
        Control {
            stdin: child.stdin.take(),
            child,
            bytes,
            parser: Parser::new(FarEnd::Plain),
            exchanges: Exchanges::new(),
            queue: VecDeque::new(),
            others: Vec::new(),
            transcript: Transcript::new(root),
            ended: false,
        }
    }

    fn wait_until_attached(&mut self) {
        while !self.exchanges.is_attached() {
            match self.next().expect("the client attaches before it ends") {
                Message::Reply(reply) => {
                    self.exchanges.take(reply).expect("the session is there");
                }
                other @ (Message::Notification(_) | Message::Stray(_)) => self.others.push(other),
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line as it is, for what the crate itself would never say.
    pub(crate) fn write(&mut self, line: &[u8]) {
        self.transcript.sent(line);
        let stdin = self.stdin.as_mut().expect("the client was not closed");
        stdin.write_all(line).expect("the client reads");
    }

    /// Sends a batch and waits for its answer.
    pub(crate) fn ask(&mut self, batch: &Batch) -> Result<Vec<u8>, Refused> {
        let line = self.exchanges.send(batch, ()).expect("nothing waits");
        self.write(&line);
        loop {
            let message = self.next().expect("the client answers before it ends");
            let Message::Reply(reply) = message else {
                self.others.push(message);
                continue;
            };
            if let Some(answer) = self.exchanges.take(reply).expect("an answer to our question") {
                return answer.result;
            }
        }
    }

    pub(crate) fn scan<R: Row>(&mut self, scan: &Scan<R>) -> Scanned<R> {
        let output = self.ask(&scan.batch()).expect("a scan is not refused");
        scan.read(&output).expect("a scan is answered whole")
    }

    /// Waits for a notification, and drops what came before it.
    pub(crate) fn wait_for(&mut self, what: &str, wanted: impl Fn(&Notification) -> bool) {
        loop {
            let message = if self.others.is_empty() {
                self.next().unwrap_or_else(|| panic!("ended without {what}"))
            } else {
                self.others.remove(0)
            };
            if matches!(&message, Message::Notification(note) if wanted(note)) {
                return;
            }
        }
    }

    /// Everything up to the end of the stream.
    pub(crate) fn rest(&mut self) -> Vec<Message> {
        let mut rest = std::mem::take(&mut self.others);
        rest.extend(std::iter::from_fn(|| self.next()));
        rest
    }

    /// Reads to the end of the stream, and gives the reason that `%exit` named.
    pub(crate) fn exit(&mut self) -> Option<Vec<u8>> {
        let mut reason = None;
        for message in self.rest() {
            match message {
                Message::Notification(Notification::Exit { reason: named }) => {
                    assert_eq!(reason, None, "a client ends once");
                    reason = Some(named);
                }
                // 3.7 may tell even then what ended with the client.
                Message::Notification(_) => {}
                Message::Reply(_) | Message::Stray(_) => assert_eq!(reason, None, "{message:?}"),
            }
        }
        reason.expect("the client says that it ends")
    }

    /// Closes the client's input, which makes it detach.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Ends the client the way a daemon does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("our own child can be killed");
        self.child.wait().expect("our own child can be waited for");
    }

    /// The next message of any kind; `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<Message> {
        while self.queue.is_empty() && !self.ended {
            let piece = self.bytes.recv_timeout(wait::BOUND).expect("tmux says something in time");
            self.ended = piece.is_empty();
            self.transcript.received(&piece);
            let mut messages = Vec::new();
            let fed: Result<(), Desync> = self.parser.feed(&piece, &mut messages);
            fed.expect("tmux speaks its own protocol");
            self.queue.extend(messages);
        }
        self.queue.pop_front()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
