//! Waiting on a condition with a bound, the only way a test here ever waits.

use std::thread;
use std::time::{Duration, Instant};

/// How long a condition may take before the test fails. Generous, because only a failure pays it:
/// a loaded two-core machine must not make a right program look wrong.
pub const BOUND: Duration = Duration::from_secs(20);

const INTERVAL: Duration = Duration::from_millis(5);

/// Asks `probe` until it has an answer; panics, naming `what`, when [`BOUND`] is over.
#[track_caller]
pub fn until<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    let Some(answer) = within(BOUND, probe) else { panic!("not within {BOUND:?}: {what}") };
    answer
}

/// Asks `probe` until it has an answer or `bound` is over.
pub fn within<T>(bound: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Deadline::after(bound);
    loop {
        if let Some(answer) = probe() {
            return Some(answer);
        }
        if deadline.left().is_zero() {
            return None;
        }
        thread::sleep(INTERVAL);
    }
}

/// Asserts that `holds` keeps holding for all of `span`; for what must *not* happen.
#[track_caller]
pub fn stays(what: &str, span: Duration, mut holds: impl FnMut() -> bool) {
    let broken = within(span, || (!holds()).then_some(()));
    assert!(broken.is_none(), "did not stay so for {span:?}: {what}");
}

/// A moment in the future, and how far away it still is.
#[derive(Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn after(bound: Duration) -> Self {
        Self(now() + bound)
    }

    pub fn left(&self) -> Duration {
        self.0.saturating_duration_since(now())
    }
}

/// The test's own clock, for measuring what the program under test took.
pub fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a test of a real process lives in real time")]
    Instant::now()
}
