//! What these tests say again and again, said once: a world with the built `qd` in it, the items
//! of a list, and a watcher that follows the stream.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use testkit::wait::{BOUND, Deadline};
use testkit::{Http, Next, Stream, TestEnv, wait};

/// A world of its own, with the `qd` that cargo built for these tests.
pub(crate) fn deck() -> TestEnv {
    TestEnv::new(env!("CARGO_BIN_EXE_qd"))
}

/// The items of a list.
#[track_caller]
pub(crate) fn items(api: &Http, path: &str) -> Vec<Value> {
    let answer = api.get(path).expect(200);
    answer["items"].as_array().unwrap_or_else(|| panic!("no items: {answer}")).clone()
}

/// The pane of that tmux id on the default target, when the deck lists it.
#[track_caller]
pub(crate) fn pane(api: &Http, id: &str) -> Option<Value> {
    items(api, "/v1/panes").into_iter().find(|item| is_pane(item, "local", id))
}

/// Waits until the deck lists that pane as wanted, and gives it.
#[track_caller]
pub(crate) fn pane_where(
    api: &Http,
    id: &str,
    what: &str,
    mut wanted: impl FnMut(&Value) -> bool,
) -> Value {
    let mut last = None;
    let found = wait::within(BOUND, || {
        last = pane(api, id);
        last.as_ref().filter(|item| wanted(item)).cloned()
    });
    found.unwrap_or_else(|| panic!("pane {id} never was as wanted ({what}); last: {last:#?}"))
}

/// Waits until the deck lists that pane at all.
#[track_caller]
pub(crate) fn listed(api: &Http, id: &str) -> Value {
    pane_where(api, id, "listed", |_| true)
}

/// Waits until the deck shows that program in the pane, past the shell that started it, and gives it.
#[track_caller]
pub(crate) fn settled(api: &Http, id: &str, program: &str) -> Value {
    pane_where(api, id, program, |item| item["current_cmd"] == program)
}

/// Waits until the deck does not list that pane.
#[track_caller]
pub(crate) fn unlisted(api: &Http, id: &str) {
    wait::until(&format!("pane {id} is not listed"), || pane(api, id).is_none().then_some(()));
}

/// The id of the runtime that an item shows.
#[track_caller]
pub(crate) fn runtime_of(item: &Value) -> String {
    text(item, "runtime_id")
}

/// A text field that has to be there.
#[track_caller]
pub(crate) fn text(item: &Value, field: &str) -> String {
    let found = item[field].as_str();
    found.unwrap_or_else(|| panic!("no text in `{field}`: {item:#}")).to_owned()
}

fn is_pane(item: &Value, target: &str, id: &str) -> bool {
    let identity = &item["identity"];
    identity["target"] == target && identity["pane_id"] == id
}

/// A text as one component of a path or a value of a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap();
        }
    }
    out
}

/// A watcher of `/v1/watch` that remembers where it is and checks what every watcher may rely on:
/// one stream, sequences that only grow, deltas only after a snapshot or a cursor.
pub(crate) struct Watch {
    stream: Stream,
    stream_id: Option<String>,
    sequence: u64,
    /// Every change that was delivered, as (sequence, change).
    pub(crate) changes: Vec<(u64, Value)>,
    /// How many of them are not looked at any more.
    past: usize,
}

impl Watch {
    /// Opens a stream with this query, such as `scope=panes`.
    #[track_caller]
    pub(crate) fn open(api: &Http, query: &str) -> Self {
        let stream = api.stream(&format!("/v1/watch?{query}"), &[]);
        Self { stream, stream_id: None, sequence: 0, changes: Vec::new(), past: 0 }
    }

    /// Opens a stream of panes and takes its snapshot.
    #[track_caller]
    pub(crate) fn panes(api: &Http) -> (Self, Value) {
        let mut watch = Self::open(api, "scope=panes");
        let snapshot = watch.next();
        assert_eq!(snapshot["type"], "snapshot", "{snapshot}");
        (watch, snapshot)
    }

    /// Opens a stream of panes that goes on after a cursor.
    #[track_caller]
    pub(crate) fn resume(api: &Http, cursor: &str) -> Self {
        Self::open(api, &format!("scope=panes&cursor={}", encoded(cursor)))
    }

    /// Where to go on.
    #[track_caller]
    pub(crate) fn cursor(&self) -> String {
        let stream_id = self.stream_id.as_ref().expect("a frame has come");
        format!("{stream_id}:{}", self.sequence)
    }

    /// The next frame.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        match self.next_within(BOUND) {
            Ok(frame) => frame,
            Err(other) => panic!("no further frame: {other:?}"),
        }
    }

    /// The next frame, or what came instead.
    #[track_caller]
    pub(crate) fn next_within(&mut self, bound: Duration) -> Result<Value, Next> {
        let deadline = Deadline::after(bound);
        loop {
            match self.stream.next_line(deadline.left()) {
                // An empty line keeps a quiet connection alive.
                Next::Line(line) if line.is_empty() => {}
                Next::Line(line) => {
                    let frame: Value = serde_json::from_str(&line).expect("a frame is JSON");
                    self.note(&frame);
                    return Ok(frame);
                }
                other @ (Next::Ended | Next::Broken | Next::Silent) => return Err(other),
            }
        }
    }

    /// What came up to now answers no later question.
    pub(crate) fn forget_the_past(&mut self) {
        self.past = self.changes.len();
    }

    /// Waits for an upsert whose item is as wanted, and gives the item.
    #[track_caller]
    pub(crate) fn upsert(&mut self, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let change = self.change(what, |it| it["op"] == "upsert" && wanted(&it["item"]));
        change["item"].clone()
    }

    /// Waits for an upsert of that pane whose item is as wanted, and gives the item.
    #[track_caller]
    pub(crate) fn upsert_of(
        &mut self,
        id: &str,
        what: &str,
        mut wanted: impl FnMut(&Value) -> bool,
    ) -> Value {
        self.upsert(&format!("{id}: {what}"), |item| is_pane(item, "local", id) && wanted(item))
    }

    /// Waits until that pane is deleted.
    #[track_caller]
    pub(crate) fn delete_of(&mut self, id: &str) {
        self.delete(id, |identity| identity["pane_id"] == id);
    }

    /// Waits until something with such an identity is deleted.
    #[track_caller]
    pub(crate) fn delete(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) {
        self.change(&format!("{what} deleted"), |it| {
            it["op"] == "delete" && wanted(&it["identity"])
        });
    }

    /// Waits for the terminal `reset`, after which the server closes; gives the frame.
    #[track_caller]
    pub(crate) fn ends_with_reset(&mut self) -> Value {
        loop {
            let frame = self.next();
            if frame["type"] == "reset" {
                let end = self.stream.next_line(BOUND);
                assert!(matches!(end, Next::Ended), "after the reset: {end:?}");
                return frame;
            }
        }
    }

    #[track_caller]
    fn change(&mut self, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let mut seen = self.past;
        let deadline = Deadline::after(BOUND);
        loop {
            let fresh = self.changes[seen..].iter().find(|(_, change)| wanted(change));
            if let Some((_, change)) = fresh {
                return change.clone();
            }
            seen = self.changes.len();
            if let Err(other) = self.next_within(deadline.left()) {
                panic!("{other:?} while waiting for {what}; changes so far: {:#?}", self.changes)
            }
        }
    }

    #[track_caller]
    fn note(&mut self, frame: &Value) {
        let stream_id = text(frame, "stream_id");
        let known = self.stream_id.get_or_insert_with(|| stream_id.clone());
        assert_eq!(*known, stream_id, "one stream has one id");
        let sequence = frame["sequence"].as_u64().expect("a frame has a sequence");
        assert_eq!(text(frame, "cursor"), format!("{stream_id}:{sequence}"));
        match frame["type"].as_str() {
            Some("snapshot") => self.sequence = sequence,
            Some("delta") => {
                // Of an approval more is shown than the journal counts.
                let grows = if frame["scope"] == "approvals" {
                    sequence >= self.sequence
                } else {
                    sequence > self.sequence
                };
                assert!(grows, "sequences grow: {} {frame}", self.sequence);
                self.sequence = sequence;
                let changes = frame["changes"].as_array().expect("a delta has changes");
                self.changes.extend(changes.iter().map(|change| (sequence, change.clone())));
            }
            Some("reset") => {}
            other => panic!("an unknown frame {other:?}: {frame}"),
        }
    }
}
