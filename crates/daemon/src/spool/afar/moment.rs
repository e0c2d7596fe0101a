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

/// How far off something that is told as it happens may be before the clock there was set meanwhile.
/// What is less may be a hook that was held up.
const SET_MS_MIN: i64 = 30_000;

/// What is known of the time there.
#[derive(Debug, Default)]
pub(super) struct Moments {
    /// How far the clock there is behind ours.
    behind_ms: i64,
    /// The same by one record alone, which may have been held up, or say anything.
    claimed_ms: Option<i64>,
    /// When we last saw the end of what was written there, over this connection.
    seen_end: Option<WallMs>,
    /// The latest that anything happened, and whether its own clock said so.
    latest: Option<WallMs>,
    guessed: bool,
}

impl Moments {
    /// A connection was made, and so far was the clock there behind ours. One that says nothing is
    /// taken for right.
    pub(super) fn greeted(&mut self, behind_ms: Option<i64>) {
        self.behind_ms = behind_ms.unwrap_or(0);
        (self.claimed_ms, self.seen_end) = (None, None);
    }

    /// How far the clock there is behind ours, as far as is known.
    pub(super) fn behind_ms(&self) -> i64 {
        self.behind_ms
    }

    /// Everything that was written before this moment was read.
    pub(super) fn at_the_end(&mut self, now: WallMs) {
        self.seen_end = Some(now);
    }

    /// When something happened that the clock there says of.
    pub(super) fn here(&mut self, said: WallMs, now: WallMs) -> WallMs {
        let mut at = self.told(said, now);
        let told = at;
        // Nothing overtakes what is placed somewhere only by its place in the file.
        let overtaking_ms = if self.guessed { 0 } else { OVERTAKING_MS_MAX };
        if let Some(latest) = self.latest
            && at < latest.0.saturating_sub(overtaking_ms)
        {
            at = latest.0;
        }
        if let Some(seen) = self.seen_end {
            at = at.max(seen.0.saturating_sub(WRITING_MS_MAX));
        }
        let at = WallMs(at.min(now.0));
        if self.latest.is_none_or(|latest| latest <= at) {
            (self.latest, self.guessed) = (Some(at), at.0 != told);
        }
        at
    }
}

impl Moments {
    /// When it happened by the clock there. That was set only where a second record bears the first
    /// one out.
    fn told(&mut self, said: WallMs, now: WallMs) -> i64 {
        let by = |behind_ms: i64| said.0.saturating_add(behind_ms);
        let at = by(self.behind_ms);
        let Some(seen) = self.seen_end else { return at };
        // What came since the end was seen was written since.
        let written = seen.0.saturating_sub(SET_MS_MIN)..=now.0.saturating_add(SET_MS_MIN);
        if written.contains(&at) {
            self.claimed_ms = None;
            return at;
        }
        match self.claimed_ms.take().filter(|claimed| written.contains(&by(*claimed))) {
            Some(claimed) => {
                self.behind_ms = claimed;
                by(claimed)
            }
            None => {
                self.claimed_ms = Some(now.0.saturating_sub(said.0));
                now.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_800_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn moments(there_ms: i64) -> Moments {
        let mut moments = Moments::default();
        moments.greeted(Some(NOON - there_ms));
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
        assert_eq!(back.0, NOON + 9_000, "it is told as it happens");
        moments.at_the_end(WallMs(NOON + 9_000));
        let next = moments.here(WallMs(NOON - HOUR + 10), WallMs(NOON + 20_000));
        assert_eq!(next.0, back.0 + 10, "from then on it counts from there");
        let forth = moments.here(WallMs(NOON + HOUR), WallMs(NOON + 21_000));
        assert_eq!(forth.0, NOON + 21_000);
        moments.at_the_end(WallMs(NOON + 21_000));
        let next = moments.here(WallMs(NOON + HOUR + 500), WallMs(NOON + 22_000));
        assert_eq!(next.0, NOON + 21_500);
    }

    #[test]
    fn one_record_alone_sets_no_clock() {
        for said in [0, NOON - HOUR, NOON + HOUR, i64::MAX, i64::MIN] {
            let mut moments = moments(NOON);
            moments.at_the_end(WallMs(NOON + 20_000));
            let odd = moments.here(WallMs(said), WallMs(NOON + 21_000));
            assert_eq!((odd.0, moments.behind_ms()), (NOON + 21_000, 0), "{said}");
            let next = moments.here(WallMs(NOON + 21_900), WallMs(NOON + 22_000));
            assert_eq!((next.0, moments.behind_ms()), (NOON + 21_900, 0), "{said}");
            moments.here(WallMs(said), WallMs(NOON + 23_000));
            assert_eq!(moments.behind_ms(), 0, "{said} once more, but not twice in a row");
        }
    }

    #[test]
    fn a_hook_that_was_held_up_sets_no_clock() {
        let mut moments = moments(NOON);
        moments.at_the_end(WallMs(NOON + 20_000));
        let late = moments.here(WallMs(NOON + 1_000), WallMs(NOON + 21_000));
        assert_eq!(late.0, NOON + 20_000 - WRITING_MS_MAX);
        assert_eq!(moments.behind_ms(), 0);
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
    fn what_is_right_comes_after_what_was_wrong_before_it() {
        let mut moments = moments(NOON - 2 * HOUR);
        let said = [NOON + HOUR, NOON, NOON - 2 * HOUR - 300, NOON - 2 * HOUR - 200];
        let at = said.map(|said| moments.here(WallMs(said), WallMs(NOON)).0);
        assert!(at.is_sorted(), "{at:?}");
    }

    #[test]
    fn hooks_that_overtook_one_another_keep_their_own_time() {
        let mut moments = moments(NOON);
        assert_eq!(moments.here(WallMs(NOON - 100), WallMs(NOON)).0, NOON - 100);
        assert_eq!(moments.here(WallMs(NOON - 150), WallMs(NOON)).0, NOON - 150);
    }
}
