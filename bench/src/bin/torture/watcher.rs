//! A watcher that never gives up: it notes every frame, and goes on from its cursor whenever its
//! stream breaks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;
use testkit::{Http, Next, Stream};

use crate::journal::Pane;

/// How long it waits for a line before it looks whether it may stop.
const GLANCE: Duration = Duration::from_millis(50);

/// One change of a frame.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Upsert(Pane),
    Delete(String),
}

/// One delta.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) seq: u64,
    pub(crate) changes: Vec<Told>,
}

/// Everything a watcher was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) stream_id: Option<String>,
    /// The sequence of its snapshot, and the panes in it.
    pub(crate) began: u64,
    pub(crate) first: Vec<Pane>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) resumed: u64,
    /// What no watcher should be told.
    pub(crate) problems: Vec<String>,
}

impl Log {
    /// The sequence up to which it knows everything.
    pub(crate) fn seq(&self) -> u64 {
        self.frames.last().map_or(self.began, |frame| frame.seq)
    }

    fn cursor(&self) -> Option<String> {
        self.stream_id.as_ref().map(|stream| format!("{stream}:{}", self.seq()))
    }

    fn note(&mut self, line: &str) {
        let Ok(frame) = serde_json::from_str::<Value>(line) else {
            return self.problems.push(format!("not JSON: {line}"));
        };
        let stream_id = frame["stream_id"].as_str().unwrap_or_default().to_owned();
        let known = self.stream_id.get_or_insert_with(|| stream_id.clone());
        if *known != stream_id {
            let problem = format!("the stream was {known} and is {stream_id} now");
            self.problems.push(problem);
        }
        match frame["type"].as_str() {
            Some("snapshot") => self.snapshot(&frame),
            Some("delta") => self.delta(&frame),
            Some("reset") if frame["terminal"] == true => {}
            _ => self.problems.push(format!("not to be told: {line}")),
        }
    }

    fn snapshot(&mut self, frame: &Value) {
        if self.resumed > 0 || !self.frames.is_empty() {
            let problem = format!("a snapshot at {} for a cursor", frame["sequence"]);
            return self.problems.push(problem);
        }
        self.began = frame["sequence"].as_u64().unwrap_or(0);
        let items = frame["items"].as_array().into_iter().flatten();
        self.first = items.filter_map(Pane::of_item).collect();
    }

    fn delta(&mut self, frame: &Value) {
        let seq = frame["sequence"].as_u64().unwrap_or(0);
        if seq <= self.seq() {
            self.problems.push(format!("{seq} was told after {}", self.seq()));
        }
        let mut changes = Vec::new();
        for change in frame["changes"].as_array().into_iter().flatten() {
            let told = match change["op"].as_str() {
                Some("upsert") => Pane::of_item(&change["item"]).map(Told::Upsert),
                Some("delete") => {
                    change["identity"]["pane_id"].as_str().map(|pane| Told::Delete(pane.to_owned()))
                }
                _ => None,
            };
            match told {
                Some(told) => changes.push(told),
                None => self.problems.push(format!("a change that is none: {change}")),
            }
        }
        self.frames.push(Frame { seq, changes });
    }
}

/// A watcher on a thread of its own, and what others see of it.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    log: Mutex<Log>,
}

impl Watcher {
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Watches until it is told to stop.
    pub(crate) fn run(&self, api: &Http, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            match self.open(api) {
                Some(stream) => self.follow(stream, stop),
                None => testkit::wait::stays("nobody answers", Duration::from_millis(5), || true),
            }
        }
    }

    fn open(&self, api: &Http) -> Option<Stream> {
        let cursor = self.log().cursor();
        let query = cursor.as_ref().map(|it| format!("&cursor={it}")).unwrap_or_default();
        let request =
            format!("GET /v1/watch?scope=panes{query} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let stream = api.raw(request.as_bytes()).ok()?;
        let mut log = self.log();
        match stream.status {
            200 => {
                log.resumed += u64::from(cursor.is_some());
                Some(stream)
            }
            // The daemon starts, or is about to end.
            503 => None,
            status => {
                log.problems.push(format!("{status} for the cursor {cursor:?}"));
                None
            }
        }
    }

    fn follow(&self, mut stream: Stream, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            match stream.next_line(GLANCE) {
                Next::Line(line) if line.is_empty() => {}
                Next::Line(line) => self.log().note(&line),
                Next::Silent => {}
                Next::Ended | Next::Broken => return,
            }
        }
    }
}
