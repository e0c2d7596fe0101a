//! Time as a parameter. The engine owns no clock: whoever calls it says what time it is.
//!
//! Two clocks are kept apart. *Wall* time is what people read and what sources stamp their events
//! with; it may jump. *Monotonic* time is what every deadline runs on. A [`Stamp`] is one moment
//! on both. Only its wall half is stored; after a restart [`Stamp::rebase`] places it on the new
//! monotonic clock, never in the future, so a clock that jumped cannot prolong anything.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct WallMs(pub i64);

/// Milliseconds on a clock that never jumps; its zero is arbitrary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonoMs(pub i64);

/// The present moment, as the caller knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    pub wall: WallMs,
    pub mono: MonoMs,
}

impl Now {
    pub fn stamp(self) -> Stamp {
        Stamp { wall: self.wall, mono: self.mono }
    }

    /// An earlier moment, told by the same wall clock: at most `max_ms` ago, and never ahead.
    pub fn earlier(self, wall: WallMs, max_ms: i64) -> Stamp {
        let age = self.wall.0.saturating_sub(wall.0).clamp(0, max_ms);
        let (wall, mono) = (WallMs(self.wall.0 - age), MonoMs(self.mono.0.saturating_sub(age)));
        Stamp { mono, wall }
    }

    /// Milliseconds since `then`, never negative.
    pub fn since(self, then: Stamp) -> i64 {
        self.mono.0.saturating_sub(then.mono.0).max(0)
    }
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    pub mono: MonoMs,
    pub wall: WallMs,
}

impl Stamp {
    const UNPLACED: MonoMs = MonoMs(i64::MIN);

    /// A stored moment, not yet on this process's monotonic clock.
    pub fn stored(wall: WallMs) -> Self {
        Self { wall, mono: Self::UNPLACED }
    }

    /// Places a stored moment on the clock that `now` belongs to.
    pub fn rebase(&mut self, now: Now) {
        if self.mono == Self::UNPLACED {
            let age = now.wall.0.saturating_sub(self.wall.0).max(0);
            self.mono = MonoMs(now.mono.0.saturating_sub(age));
        }
    }

    pub fn plus(self, ms: i64) -> MonoMs {
        MonoMs(self.mono.0.saturating_add(ms))
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.wall.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        WallMs::deserialize(deserializer).map(Self::stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_moment_keeps_its_age_over_a_restart() {
        let mut stamp = Stamp::stored(WallMs(1_000));
        stamp.rebase(Now { wall: WallMs(4_000), mono: MonoMs(50) });
        assert_eq!(stamp.mono, MonoMs(-2_950));
    }

    #[test]
    fn an_earlier_moment_is_as_long_ago_on_both_clocks_within_bounds() {
        let now = Now { wall: WallMs(10_000), mono: MonoMs(50) };
        let stamp = |wall, mono| Stamp { wall: WallMs(wall), mono: MonoMs(mono) };
        assert_eq!(now.earlier(WallMs(9_000), 5_000), stamp(9_000, -950));
        assert_eq!(now.earlier(WallMs(1), 5_000), stamp(5_000, -4_950));
        assert_eq!(now.earlier(WallMs(99_000), 5_000), now.stamp());
    }

    #[test]
    fn a_moment_from_the_future_counts_as_now() {
        let mut stamp = Stamp::stored(WallMs(9_000));
        let now = Now { wall: WallMs(4_000), mono: MonoMs(50) };
        stamp.rebase(now);
        assert_eq!(now.since(stamp), 0);
    }
}
