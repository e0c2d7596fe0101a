//! Following a watch stream: line by line, and on through whatever ends the connection.
//!
//! A stream ends because the daemon stops, is replaced, dies, or cuts a watcher that reads too
//! slowly. None of these loses anything: the journal is durable, so the stream is taken up again
//! after the last frame that was handed out.

use std::sync::Arc;

use api::ErrorCode;
use api::cursor::Cursor;
use api::routes;
use api::watch::{ResetReason, WatchFrame, WatchQuery, Watched};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::client::{Ask, Client};
use crate::error::ClientError;
use crate::limits::{LINE_BYTES_MAX, UPGRADE_GRACE, WATCH_GRACE, WATCH_PAUSE_MAX, WATCH_PAUSE_MIN};
use crate::starter::Starter;

/// What a watcher is told next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A frame of the stream.
    Frame(Frame),
    /// The stream is interrupted; it is told once, and the next frame ends it.
    Paused(Pause),
}

/// Why a stream is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// The daemon stopped because somebody wanted it to. Nobody starts it again but a person: a
    /// watcher that did would make stopping impossible.
    Stopped,
    /// The daemon makes room for a newer one.
    Upgraded,
    /// The connection broke, or the daemon died.
    Lost,
    /// We did not read fast enough.
    Slow,
}

/// A frame, as its line came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    line: Bytes,
    kind: FrameKind,
    cursor: Cursor,
}

/// What kind of frame it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Everything there is.
    Snapshot,
    /// What became different.
    Delta,
    /// The stream could not go on as it was.
    Reset(ResetReason),
}

impl Frame {
    /// The line without its end.
    pub fn json(&self) -> Result<&str, ClientError> {
        std::str::from_utf8(&self.line)
            .map_err(|_| ClientError::new(ErrorCode::Internal, "a frame is not UTF-8"))
    }

    /// What kind of frame it is.
    #[must_use]
    pub const fn kind(&self) -> FrameKind {
        self.kind
    }

    /// Where to go on after it.
    #[must_use]
    pub const fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// What it says.
    pub fn read<I: Watched>(&self) -> Result<WatchFrame<I>, ClientError> {
        serde_json::from_slice(&self.line).map_err(|error| ClientError::unreadable(&error))
    }
}

/// As much of a frame as it takes to follow the stream.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type")]
    kind: HeadKind,
    cursor: Cursor,
    reason: Option<ResetReason>,
    #[serde(default)]
    terminal: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum HeadKind {
    Snapshot,
    Delta,
    Reset,
}

/// A watch stream that outlives connections.
pub struct Watch {
    client: Client,
    query: WatchQuery,
    /// Kept here while somebody else may bring the daemon back.
    starter: Option<Arc<dyn Starter>>,
    lines: Option<Lines>,
    outage: Option<Outage>,
    ended: bool,
}

/// The time between two connections.
struct Outage {
    pause: Pause,
    since: Instant,
    told: bool,
    backoff: Backoff,
}

impl Watch {
    pub(crate) fn new(client: Client, query: WatchQuery) -> Self {
        let starter = client.starter().cloned();
        Self { client, query, starter, lines: None, outage: None, ended: false }
    }

    /// The next frame or interruption; nothing once a stream that was asked to end has caught up.
    /// Not cancel-safe while interrupted: drive it from a task of its own.
    pub async fn next(&mut self) -> Result<Option<Step>, ClientError> {
        while !self.ended {
            if self.lines.is_none()
                && let Some(pause) = self.connect().await?
            {
                return Ok(Some(Step::Paused(pause)));
            }
            let Some(lines) = &mut self.lines else { continue };
            match lines.next().await {
                Line::Whole(line) if line.is_empty() => {}
                Line::Whole(line) => return self.take(line).map(|frame| Some(Step::Frame(frame))),
                Line::Ended if self.query.once => self.ended = true,
                Line::Ended | Line::Broken => self.interrupt(Pause::Lost),
                Line::TooLong => {
                    let message = format!("a frame is longer than {LINE_BYTES_MAX} bytes");
                    return Err(ClientError::new(ErrorCode::Internal, message));
                }
            }
        }
        Ok(None)
    }

    /// Notes where the stream is, and whether it ends here.
    fn take(&mut self, line: Bytes) -> Result<Frame, ClientError> {
        let head: Head =
            serde_json::from_slice(&line).map_err(|error| ClientError::unreadable(&error))?;
        self.query.cursor = Some(head.cursor.clone());
        self.outage = None;
        let kind = match (head.kind, head.reason) {
            (HeadKind::Snapshot, _) => FrameKind::Snapshot,
            (HeadKind::Delta, _) => FrameKind::Delta,
            (HeadKind::Reset, reason) => FrameKind::Reset(reason.unwrap_or(ResetReason::Shutdown)),
        };
        if let FrameKind::Reset(reason) = kind
            && head.terminal
        {
            self.reset(reason);
        }
        Ok(Frame { line, kind, cursor: head.cursor })
    }

    fn reset(&mut self, reason: ResetReason) {
        match reason {
            ResetReason::Shutdown => self.interrupt(Pause::Stopped),
            ResetReason::Upgraded => {
                // The wire only changes compatibly, so a watcher goes on with a newer daemon.
                self.client.forget_version();
                self.interrupt(Pause::Upgraded);
            }
            ResetReason::Slow => self.interrupt(Pause::Slow),
            ResetReason::Expired | ResetReason::OtherDatabase => {
                self.query.cursor = None;
                self.interrupt(Pause::Lost);
            }
        }
    }

    fn interrupt(&mut self, pause: Pause) {
        self.lines = None;
        self.client.disconnect();
        let backoff = Backoff::new(WATCH_PAUSE_MIN, WATCH_PAUSE_MAX);
        self.outage.get_or_insert(Outage { pause, since: Instant::now(), told: false, backoff });
    }

    /// Opens the stream. Gives back an interruption that was not told yet instead.
    async fn connect(&mut self) -> Result<Option<Pause>, ClientError> {
        loop {
            let may_start = self.may_start();
            self.client.set_starter(self.starter.clone().filter(|_| may_start));
            let ask = Ask::query(routes::WATCH, &self.query);
            let error = match self.client.stream(&ask, routes::JSON_LINES).await {
                Ok(answer) => {
                    self.lines = Some(Lines::new(answer.into_body()));
                    return Ok(None);
                }
                Err(error) if error.code == ErrorCode::CursorExpired => {
                    self.query.cursor = None;
                    continue;
                }
                Err(error) => error,
            };
            let Some(outage) = &mut self.outage else { return Err(error) };
            if !passes(error.code) || (may_start && error.code == ErrorCode::DaemonUnreachable) {
                return Err(error);
            }
            if !outage.told {
                outage.told = true;
                return Ok(Some(outage.pause));
            }
            outage.backoff.pause().await;
        }
    }

    /// Whether it is on us to start a daemon: at the beginning, and once nobody else has for a
    /// while.
    fn may_start(&self) -> bool {
        let Some(outage) = &self.outage else { return true };
        let grace = match outage.pause {
            Pause::Stopped if self.query.once => Duration::ZERO,
            Pause::Stopped => return false,
            Pause::Upgraded => UPGRADE_GRACE,
            Pause::Lost | Pause::Slow => WATCH_GRACE,
        };
        outage.since.elapsed() >= grace
    }
}

/// Whether an error is one that time may heal.
fn passes(code: ErrorCode) -> bool {
    let passing = [
        ErrorCode::DaemonUnreachable,
        ErrorCode::DaemonRunning,
        ErrorCode::ShuttingDown,
        ErrorCode::Overloaded,
        ErrorCode::Timeout,
    ];
    passing.contains(&code)
}

/// The lines of a body that has no end.
struct Lines {
    body: Incoming,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no end of a line.
    scanned: usize,
}

enum Line {
    /// A line without its end.
    Whole(Bytes),
    /// The far end closed the stream properly.
    Ended,
    /// The connection broke.
    Broken,
    /// Longer than any frame.
    TooLong,
}

impl Lines {
    fn new(body: Incoming) -> Self {
        Self { body, buffer: BytesMut::new(), scanned: 0 }
    }

    async fn next(&mut self) -> Line {
        loop {
            let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
            if let Some(end) = fresh.iter().position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(self.scanned + end + 1);
                line.truncate(self.scanned + end);
                self.scanned = 0;
                return Line::Whole(line.freeze());
            }
            self.scanned = self.buffer.len();
            if self.scanned > LINE_BYTES_MAX {
                return Line::TooLong;
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                // Half a line is no frame: whatever it was, it is asked for again.
                None if self.buffer.is_empty() => return Line::Ended,
                None | Some(Err(_)) => return Line::Broken,
            }
        }
    }
}

#[cfg(test)]
mod tests;
