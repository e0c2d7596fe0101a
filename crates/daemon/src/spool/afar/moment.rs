//! When something happened there, by our own clock.
//!
//! The clock there may be wrong, be set while we watch, or run backwards. What it says counts after
//! the difference that was measured when the connection was made, and only within what we know
//! ourselves: a record is older than its arrival, and younger than the last time that we saw the
//! end of its file.

use engine::time::WallMs;

/// How long before it was written down something may have happened: a hook waits so long for what
/// its agent tells it.
const WRITING_MS_MAX: i64 = 5_000;
/// How far the clock there may go back without having been set: hooks overtake one another.
const OVERTAKING_MS_MAX: i64 = 2_000;

/// What is known of the time there.
#[derive(Debug, Default)]
pub(super) struct Moments {
    /// How far the clock there is behind ours.
    behind_ms: i64,
    /// When we last saw the end of what was written there, over this connection.
    seen_end: Option<WallMs>,
    /// The latest that anything happened.
    latest: Option<WallMs>,
}

impl Moments {
    /// A connection was made, and this is the time on both sides.
    pub(super) fn greeted(&mut self, here: WallMs, there_ms: Option<i64>) {
        self.behind_ms = there_ms.map_or(0, |there| here.0.saturating_sub(there));
        self.seen_end = None;
    }

    /// Everything that was written before this moment was read.
    pub(super) fn at_the_end(&mut self, now: WallMs) {
        self.seen_end = Some(now);
    }

    /// When something happened that the clock there says of.
    pub(super) fn here(&mut self, said: WallMs, now: WallMs) -> WallMs {
        let mut at = said.0.saturating_add(self.behind_ms);
        if let Some(latest) = self.latest
            && at < latest.0.saturating_sub(OVERTAKING_MS_MAX)
        {
            at = latest.0;
        }
        if let Some(seen) = self.seen_end {
            at = at.max(seen.0.saturating_sub(WRITING_MS_MAX));
        }
        let at = WallMs(at.min(now.0));
        self.latest = Some(self.latest.map_or(at, |latest| latest.max(at)));
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_800_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn moments(there_ms: i64) -> Moments {
        let mut moments = Moments::default();
        moments.greeted(WallMs(NOON), Some(there_ms));
        moments
    }

    #[test]
    fn a_clock_that_is_wrong_is_set_right_for_what_was_missed() {
        for off in [-7 * HOUR, -90_000, 0, 90_000, 3 * HOUR] {
            let mut moments = moments(NOON + off);
            let half_an_hour_ago = WallMs(NOON + off - HOUR / 2);
            assert_eq!(moments.here(half_an_hour_ago, WallMs(NOON + 5)).0, NOON - HOUR / 2);
        }
    }

    #[test]
    fn nothing_happens_after_it_arrived() {
        let mut moments = moments(NOON);
        assert_eq!(moments.here(WallMs(NOON + HOUR), WallMs(NOON + 5)).0, NOON + 5);
        assert_eq!(moments.here(WallMs(i64::MAX), WallMs(NOON + 6)).0, NOON + 6);
    }

    #[test]
    fn a_clock_that_is_set_while_we_watch_changes_no_order() {
        let mut moments = moments(NOON);
        moments.at_the_end(WallMs(NOON + 1_000));
        let back = moments.here(WallMs(NOON - HOUR), WallMs(NOON + 9_000));
        assert_eq!(back.0, NOON + 1_000 - WRITING_MS_MAX);
        moments.at_the_end(WallMs(NOON + 9_000));
        let next = moments.here(WallMs(NOON - HOUR + 10), WallMs(NOON + 20_000));
        assert!(next > back);
    }

    #[test]
    fn a_clock_that_ran_backwards_while_nobody_watched_leaves_the_order_of_the_file() {
        let mut moments = moments(NOON);
        let said = [NOON - HOUR, NOON - HOUR + 10, NOON - 3 * HOUR, NOON - 3 * HOUR + 10, NOON - 5];
        let at: Vec<i64> =
            said.iter().map(|said| moments.here(WallMs(*said), WallMs(NOON)).0).collect();
        assert!(at.is_sorted(), "{at:?}");
        assert_eq!(at[4], NOON - 5);
    }

    #[test]
    fn hooks_that_overtook_one_another_keep_their_own_time() {
        let mut moments = moments(NOON);
        assert_eq!(moments.here(WallMs(NOON - 100), WallMs(NOON)).0, NOON - 100);
        assert_eq!(moments.here(WallMs(NOON - 150), WallMs(NOON)).0, NOON - 150);
    }
}
