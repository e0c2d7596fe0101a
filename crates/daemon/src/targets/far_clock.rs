//! The clock of a machine somewhere else, beside ours. It may be wrong, and be set at any time.

use engine::input::LastOutput;
use engine::limits::OUTPUT_UNIT_MS;
use engine::time::WallMs;

/// How far two measures may differ of a clock that nobody set.
const DRIFT_MS_MAX: i64 = 2_000;

/// How far that clock is behind ours, as measured when connections were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FarClock {
    /// Nothing before the first measure.
    behind_ms: Option<i64>,
    /// The same before it was set.
    before_ms: Option<i64>,
}

impl FarClock {
    /// A connection was made. A clock that says nothing is taken to be as it was.
    pub(super) fn measured(&mut self, behind_ms: Option<i64>) {
        let Some(behind_ms) = behind_ms else { return };
        let last = self.behind_ms.replace(behind_ms);
        let is_set = |last: &i64| behind_ms.abs_diff(*last) > DRIFT_MS_MAX.unsigned_abs();
        if let Some(last) = last.filter(is_set) {
            self.before_ms = Some(last);
        }
    }

    /// One that never said anything is taken for right.
    pub(super) fn behind_ms(&self) -> i64 {
        self.behind_ms.unwrap_or(0)
    }

    /// When a pane last printed, by our clock. What is yet to come by that was told before the clock
    /// there was set back; nothing where that does not help either.
    pub(super) fn here(&self, output: &LastOutput, now: WallMs) -> Option<LastOutput> {
        let by = |behind_ms: i64| {
            let shift = |at: WallMs| WallMs(at.0.saturating_add(behind_ms));
            let (certain, latest) = (output.certain.map(shift), shift(output.latest));
            let past = latest.0.saturating_sub(now.0) <= OUTPUT_UNIT_MS;
            past.then_some(LastOutput { certain, latest, ..*output })
        };
        by(self.behind_ms()).or_else(|| by(self.before_ms?))
    }
}

#[cfg(test)]
mod tests {
    use engine::ids::PaneId;
    use proptest::prelude::*;

    use super::*;

    const NOON: i64 = 1_800_000_000_000;
    const MINUTE: i64 = 60_000;

    /// What a pane that printed at this moment of our clock says of it.
    fn printed(at: i64, behind_ms: i64) -> LastOutput {
        let there = (at - behind_ms).div_euclid(1_000) * 1_000;
        let (certain, latest) = (Some(WallMs(there)), WallMs(there + 999));
        LastOutput { pane: PaneId(1), certain, latest }
    }

    proptest! {
        #[test]
        fn however_wrong_a_clock_is_output_is_told_by_ours(
            behind in -1_000 * MINUTE..1_000 * MINUTE, ago in 0..100 * MINUTE,
        ) {
            let mut clock = FarClock::default();
            clock.measured(Some(behind));
            let here = clock.here(&printed(NOON - ago, behind), WallMs(NOON)).unwrap();
            prop_assert!(here.certain.unwrap().0 <= NOON - ago);
            prop_assert!((0..1_000).contains(&(here.latest.0 - (NOON - ago))));
        }

        #[test]
        fn nothing_is_told_that_is_yet_to_come(
            first in -1_000 * MINUTE..1_000 * MINUTE, then in -1_000 * MINUTE..1_000 * MINUTE,
            said in -2_000 * MINUTE..2_000 * MINUTE,
        ) {
            let mut clock = FarClock::default();
            clock.measured(Some(first));
            clock.measured(Some(then));
            let here = clock.here(&printed(NOON + said, 0), WallMs(NOON));
            prop_assert!(here.is_none_or(|it| it.latest.0 <= NOON + OUTPUT_UNIT_MS));
        }
    }

    #[test]
    fn what_was_told_before_a_clock_was_set_back_is_reckoned_by_how_it_went_then() {
        let mut clock = FarClock::default();
        clock.measured(Some(-7 * MINUTE));
        clock.measured(Some(-7 * MINUTE + 40));
        let output = printed(NOON - MINUTE, -7 * MINUTE);
        clock.measured(Some(7 * MINUTE));
        let here = clock.here(&output, WallMs(NOON)).unwrap();
        assert!((here.latest.0 - (NOON - MINUTE)).abs() < 1_100, "{here:?}");
        let new = printed(NOON - MINUTE, 7 * MINUTE);
        let here = clock.here(&new, WallMs(NOON)).unwrap();
        assert!((here.latest.0 - (NOON - MINUTE)).abs() < 1_100, "{here:?}");
        assert_eq!(clock.here(&printed(NOON + 600 * MINUTE, 0), WallMs(NOON)), None);
    }

    #[test]
    fn a_clock_that_says_nothing_is_taken_for_right() {
        let mut clock = FarClock::default();
        clock.measured(None);
        let output = printed(NOON - MINUTE, 0);
        assert_eq!(clock.here(&output, WallMs(NOON)), Some(output));
    }

    #[test]
    fn the_first_measure_is_no_clock_that_was_set() {
        let mut clock = FarClock::default();
        clock.measured(Some(7 * MINUTE));
        let yet_to_come = printed(NOON + 5 * MINUTE, 7 * MINUTE);
        assert_eq!(clock.here(&yet_to_come, WallMs(NOON)), None);
        clock.measured(None);
        assert_eq!(clock.behind_ms(), 7 * MINUTE);
    }
}
