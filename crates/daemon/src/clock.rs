//! The one clock. Everything else is told what time it is.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use engine::time::{MonoMs, Now, WallMs};

/// Reads the machine's clocks; monotonic time counts from the clock's creation.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
}

impl Clock {
    #[expect(clippy::new_without_default, reason = "reading the clock is not a default")]
    #[expect(clippy::disallowed_methods, reason = "this is the clock the ban points to")]
    pub fn new() -> Self {
        Self { began: Instant::now() }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock the ban points to")]
    pub fn now(&self) -> Now {
        let mono = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        Now { wall: wall(SystemTime::now()), mono: MonoMs(mono) }
    }

    /// Milliseconds since the clock was made.
    pub fn uptime_ms(&self) -> u64 {
        u64::try_from(self.now().mono.0).unwrap_or(0)
    }
}

fn wall(time: SystemTime) -> WallMs {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => WallMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
        Err(before) => WallMs(-i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX)),
    }
}
