//! The control connection: a task of its own that never stops reading.
//!
//! tmux's replies have no flow control, and what its client does not read stays in the server. So
//! the task reads whatever comes, hands each answer to the one who asked, and passes notifications
//! on where there is room; where there is none, it only says that some were lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tmux::command::Batch;
use tmux::control::{Desync, FarEnd, Message, Parser, Reply};
use tmux::exchange::{Answer, Exchanges, Fault, Refused, SendError};
use tmux::notification::Notification;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::targets::process::ControlProcess;

/// Questions that wait for the task. An asker waits while it is full.
const REQUESTS_MAX: usize = 16;
/// Notifications that wait for the observer. More are dropped and it is told so.
const NOTICES_MAX: usize = 512;
const READ_BYTES: usize = 64 * 1024;
/// Commands that wait to be written. While there are more, no further question is taken.
const OUTGOING_BYTES_MAX: usize = 256 * 1024;

/// The outputs of several batches, in their order.
pub(crate) type Outputs = Result<Vec<Vec<u8>>, Refused>;

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkEnd {
    #[error("tmux ended the connection: {0}")]
    Exit(String),
    #[error("the control client ended: {0}")]
    Closed(String),
    #[error("its answers make no sense")]
    Desync(#[from] Desync),
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    NotSent(#[from] SendError),
    #[error("its pipe broke")]
    Broken(#[from] std::io::Error),
    #[error("our client was moved to another session")]
    Moved,
    #[error("our session ended")]
    SessionEnded,
    #[error("it was given up")]
    Released,
}

/// What the connection tells without being asked.
#[derive(Debug)]
pub(super) enum News {
    Notices(Vec<Notification>),
    /// Notifications were dropped.
    Lost,
    Ended(LinkEnd),
}

/// The observer's end of the connection.
#[derive(Debug)]
pub(super) struct Link {
    requests: mpsc::Sender<Request>,
    notices: mpsc::Receiver<Notification>,
    lost: Arc<AtomicBool>,
    ended: oneshot::Receiver<LinkEnd>,
    /// Dropped to give the connection up.
    release: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// A way to ask over a connection for as long as it lasts.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    requests: mpsc::Sender<Request>,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unheard {
    /// The connection was over before it took the question.
    NotTaken,
    /// It ended with the question; the server may have heard it.
    Ended,
}

impl Speaker {
    /// Asks several batches in one go.
    pub(crate) async fn ask(&self, batches: Vec<Batch>) -> Result<Outputs, Unheard> {
        self.ask_behind(Vec::new(), batches).await
    }

    /// The same behind a line for whoever stands in front of the client, to which nobody answers.
    pub(crate) async fn ask_behind(
        &self,
        line: Vec<u8>,
        batches: Vec<Batch>,
    ) -> Result<Outputs, Unheard> {
        let (answer, answered) = oneshot::channel();
        let request = Request { line, batches, answer };
        self.requests.send(request).await.map_err(|_| Unheard::NotTaken)?;
        answered.await.map_err(|_| Unheard::Ended)
    }
}

#[derive(Debug)]
struct Request {
    line: Vec<u8>,
    batches: Vec<Batch>,
    answer: oneshot::Sender<Outputs>,
}

impl Link {
    pub(super) fn open(process: ControlProcess, far_end: FarEnd) -> Self {
        let (requests, incoming) = mpsc::channel(REQUESTS_MAX);
        let (outgoing, notices) = mpsc::channel(NOTICES_MAX);
        let (end, ended) = oneshot::channel();
        let (release, released) = oneshot::channel();
        let lost = Arc::new(AtomicBool::new(false));
        let task = Task {
            process,
            parser: Parser::new(far_end),
            exchanges: Exchanges::new(),
            collecting: VecDeque::new(),
            outgoing: Vec::new(),
            released,
            notices: outgoing,
            lost: Arc::clone(&lost),
            exit: None,
            ends_with_word: far_end == FarEnd::Chatty,
        };
        let task = tokio::spawn(task.run(incoming, end));
        Self { requests, notices, lost, ended, release, task }
    }

    /// Asks several batches in one go. `None` comes back when the connection ends before.
    pub(super) fn ask(
        &self,
        batches: Vec<Batch>,
    ) -> impl Future<Output = Option<Outputs>> + Send + use<> {
        let speaker = self.speaker();
        async move { speaker.ask(batches).await.ok() }
    }

    /// A way to ask for somebody who does not hold the connection.
    pub(super) fn speaker(&self) -> Speaker {
        Speaker { requests: self.requests.clone() }
    }

    /// Waits for news. Nothing is lost when the wait is given up.
    pub(super) async fn news(&mut self) -> News {
        if self.lost.swap(false, Ordering::AcqRel) {
            return News::Lost;
        }
        let first = tokio::select! {
            biased;
            notice = self.notices.recv() => notice,
            end = &mut self.ended => return News::Ended(end.unwrap_or(LinkEnd::Released)),
        };
        let Some(first) = first else {
            return match (&mut self.ended).await {
                Ok(end) => News::Ended(end),
                Err(_) => News::Ended(LinkEnd::Released),
            };
        };
        let mut notices = vec![first];
        while let Ok(notice) = self.notices.try_recv() {
            notices.push(notice);
        }
        News::Notices(notices)
    }

    /// Kills the client and waits until it is gone.
    pub(super) async fn close(self) {
        drop(self.release);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the control connection's task failed");
        }
    }
}

/// The task's side.
struct Task {
    process: ControlProcess,
    parser: Parser,
    exchanges: Exchanges<()>,
    collecting: VecDeque<Collecting>,
    outgoing: Vec<u8>,
    released: oneshot::Receiver<()>,
    notices: mpsc::Sender<Notification>,
    lost: Arc<AtomicBool>,
    exit: Option<String>,
    /// What stands before tmux there may outlive it, so its last word is the end.
    ends_with_word: bool,
}

/// The answers of one request that have arrived.
struct Collecting {
    missing: usize,
    outputs: Outputs,
    answer: oneshot::Sender<Outputs>,
}

impl Task {
    async fn run(mut self, mut requests: mpsc::Receiver<Request>, end: oneshot::Sender<LinkEnd>) {
        let mut why = self.serve(&mut requests).await;
        if let LinkEnd::Closed(said) = &mut why {
            String::from_utf8_lossy(self.process.complaint.kept()).trim().clone_into(said);
        }
        if let Some(reason) = self.exit.take() {
            why = LinkEnd::Exit(reason);
        }
        self.process.kill().await;
        // Whoever still waits for an answer learns of the end by this.
        drop(self.collecting);
        end.send(why).ok();
    }

    async fn serve(&mut self, requests: &mut mpsc::Receiver<Request>) -> LinkEnd {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let writing = !self.outgoing.is_empty();
            // What is written before the client is attached, somebody else may answer.
            let ready = self.exchanges.is_attached() && self.outgoing.len() < OUTGOING_BYTES_MAX;
            let step = tokio::select! {
                biased;
                _ = &mut self.released => return LinkEnd::Released,
                read = self.process.stdout.read(&mut buffer) => match read {
                    Ok(0) => return LinkEnd::Closed(String::new()),
                    Ok(length) => match self.take_bytes(&buffer[..length]) {
                        Ok(()) if self.ends_with_word && self.exit.is_some() => {
                            return LinkEnd::Closed(String::new());
                        }
                        taken => taken,
                    },
                    Err(error) => Err(error.into()),
                },
                written = self.process.stdin.write(&self.outgoing), if writing => match written {
                    Ok(length) => { self.outgoing.drain(..length); Ok(()) },
                    Err(error) => Err(error.into()),
                },
                request = requests.recv(), if ready => match request {
                    Some(request) => self.take_request(request),
                    None => return LinkEnd::Released,
                },
                () = self.process.complaint.hear() => Ok(()),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn take_request(&mut self, request: Request) -> Result<(), LinkEnd> {
        let missing = request.batches.len();
        self.outgoing.extend_from_slice(&request.line);
        for batch in &request.batches {
            let line = self.exchanges.send(batch, ())?;
            self.outgoing.extend_from_slice(&line);
        }
        let (outputs, answer) = (Ok(Vec::with_capacity(missing)), request.answer);
        self.collecting.push_back(Collecting { missing, outputs, answer });
        Ok(())
    }

    fn take_bytes(&mut self, bytes: &[u8]) -> Result<(), LinkEnd> {
        let mut messages = Vec::new();
        let fault = self.parser.feed(bytes, &mut messages);
        for message in messages {
            match message {
                Message::Reply(reply) => self.take_reply(reply)?,
                Message::Notification(Notification::Exit { reason }) => {
                    let reason = reason.unwrap_or_default();
                    self.exit = Some(String::from_utf8_lossy(&reason).into_owned());
                }
                Message::Notification(notice) => self.pass_on(notice),
                Message::Stray(line) => {
                    tracing::debug!(line = %String::from_utf8_lossy(&line), "a stray line");
                }
            }
        }
        Ok(fault?)
    }

    fn take_reply(&mut self, reply: Reply) -> Result<(), LinkEnd> {
        let answer = self.exchanges.take(reply)?;
        let Some(Answer { ticket: (), result }) = answer else { return Ok(()) };
        let oldest = self.collecting.front_mut().ok_or(Fault::Unasked)?;
        match (&mut oldest.outputs, result) {
            (Ok(outputs), Ok(output)) => outputs.push(output),
            (outputs @ Ok(_), Err(refused)) => *outputs = Err(refused),
            (Err(_), Ok(_) | Err(_)) => {}
        }
        oldest.missing = oldest.missing.saturating_sub(1);
        if oldest.missing == 0
            && let Some(done) = self.collecting.pop_front()
        {
            // An asker that gave up waiting is not told.
            done.answer.send(done.outputs).ok();
        }
        Ok(())
    }

    fn pass_on(&self, notice: Notification) {
        if self.notices.try_send(notice).is_err() {
            self.lost.store(true, Ordering::Release);
        }
    }
}
