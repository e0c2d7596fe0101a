//! What Quarterdeck shows, as a watcher sees it: every state of every pane with the moment at which
//! it came, and the times at which there was no daemon to show anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{Http, Next, Stream, wait};

/// A state from a moment on.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) at: Instant,
    pub(crate) pane: String,
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) source: String,
}

/// The state of a pane that is not listed, or not listed any more.
pub(crate) const GONE: &str = "gone";

/// Follows the daemon on a thread of its own, over its restarts.
pub(crate) struct Watcher {
    seen: Arc<Mutex<Vec<Shown>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

const PATIENCE: Duration = Duration::from_millis(200);

impl Watcher {
    pub(crate) fn start(api: Http) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, ended) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let listed = api.try_get("/v1/health").is_some_and(|reply| reply.status == 200);
                if listed {
                    follow(api.stream("/v1/watch?scope=panes", &[]), &kept, &ended);
                } else {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        });
        Self { seen, stop, thread: Some(thread) }
    }

    /// All that was shown of a pane so far.
    pub(crate) fn of(&self, pane: &str) -> Vec<Shown> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|shown| shown.pane == pane).cloned().collect()
    }

    /// What is shown of a pane now.
    pub(crate) fn now(&self, pane: &str) -> Option<Shown> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().rev().find(|shown| shown.pane == pane).cloned()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn follow(mut stream: Stream, seen: &Mutex<Vec<Shown>>, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        match stream.next_line(PATIENCE) {
            Next::Line(line) => {
                let at = wait::now();
                let frame: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
                let mut news = read(&frame, at);
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                news.retain(|new| {
                    let last = seen.iter().rev().find(|shown| shown.pane == new.pane);
                    last.is_none_or(|last| {
                        (&last.state, &last.reason, &last.source)
                            != (&new.state, &new.reason, &new.source)
                    })
                });
                seen.append(&mut news);
            }
            Next::Silent => {}
            Next::Ended | Next::Broken => return,
        }
    }
}

fn read(frame: &Value, at: Instant) -> Vec<Shown> {
    let items = frame["items"].as_array().into_iter().flatten().map(|item| shown(item, at));
    let changes = frame["changes"].as_array().into_iter().flatten().map(|change| {
        match change.get("item").filter(|item| !item.is_null()) {
            Some(item) => shown(item, at),
            None => Shown { state: GONE.to_owned(), ..shown(change, at) },
        }
    });
    items.chain(changes).collect()
}

fn shown(item: &Value, at: Instant) -> Shown {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Shown {
        at,
        pane: text(&item["identity"]["pane_id"]),
        state: text(&item["state"]),
        reason: text(&item["reason_code"]),
        source: text(&item["state_source"]),
    }
}
