//! Whether the wall clock is believed when it says that something has expired.
//!
//! What is deleted by mistake does not come back, and a clock can be years off: a dead battery, a
//! restored image, a hand that slipped. So the store remembers where it last believed the clock. A
//! clock that goes along with the steady one is believed further. One that is found days away from
//! there, after a start or a jump, may be right, because the machine was off; it is doubted until
//! it has run steadily for a day of the daemon's life, over restarts, and nothing expires meanwhile.

use engine::time::{Now, WallMs};

use crate::limits::{CLOCK_ABSENCE_MS, CLOCK_JUMP_MS, CLOCK_PROBATION_MS};

/// What is remembered of the clock from one life of the daemon to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// The wall clock where it was last believed.
    pub(crate) believed: WallMs,
    /// For how long it has been running steadily since it was doubted, and where it was last seen.
    pub(crate) doubt: Option<Probation>,
}

/// A doubted clock on its way to being believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probation {
    pub(crate) seen: WallMs,
    pub(crate) steady_ms: i64,
}

/// The clock, and how far it is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trust {
    memory: Remembered,
    /// When it was last looked at.
    last: Now,
}

impl Trust {
    /// Looks at the clock for the first time after a start.
    pub(crate) fn begin(memory: Remembered, now: Now) -> Self {
        let doubt = match memory.doubt {
            _ if is_near(memory.believed, now.wall) => None,
            Some(doubt) if goes_on(doubt.seen, now.wall) => {
                Some(Probation { seen: now.wall, ..doubt })
            }
            Some(_) | None => Some(Probation { seen: now.wall, steady_ms: 0 }),
        };
        let believed = if doubt.is_none() { now.wall } else { memory.believed };
        Self { memory: Remembered { believed, doubt }, last: now }
    }

    /// Looks at it again. `true` if what it says may be acted upon.
    pub(crate) fn look(&mut self, now: Now) -> bool {
        let steady_ms = steadily(self.last, now);
        self.last = now;
        match (self.memory.doubt, steady_ms) {
            (None, Some(_)) => {
                self.memory.believed = now.wall;
                return true;
            }
            // It jumped, if not far: the machine slept, or the clock was set. Next time, then.
            (None | Some(_), None) if is_near(self.memory.believed, now.wall) => {
                self.memory = Remembered { believed: now.wall, doubt: None };
            }
            (None, None) => {
                self.memory.doubt = Some(Probation { seen: now.wall, steady_ms: 0 });
            }
            (Some(doubt), _) => self.go_on(doubt, steady_ms.unwrap_or(0), now),
        }
        false
    }

    fn go_on(&mut self, doubt: Probation, steady_ms: i64, now: Now) {
        let before = if goes_on(doubt.seen, now.wall) { doubt.steady_ms } else { 0 };
        let doubt = Probation { seen: now.wall, steady_ms: before.saturating_add(steady_ms) };
        self.memory = if doubt.steady_ms >= CLOCK_PROBATION_MS {
            Remembered { believed: now.wall, doubt: None }
        } else {
            Remembered { doubt: Some(doubt), ..self.memory }
        };
    }

    /// Where the clock was last believed, if it is not believed now.
    pub(crate) fn doubts_since(&self) -> Option<WallMs> {
        self.memory.doubt.map(|_| self.memory.believed)
    }

    /// What is to be remembered of it.
    pub(crate) fn memory(&self) -> Remembered {
        self.memory
    }
}

/// How long the wall clock went the same way as the steady one; nothing if it did not.
fn steadily(before: Now, now: Now) -> Option<i64> {
    let wall = now.wall.0.saturating_sub(before.wall.0);
    let mono = now.mono.0.saturating_sub(before.mono.0);
    (wall.abs_diff(mono) <= CLOCK_JUMP_MS).then_some(mono)
}

/// Whether a machine that is off now and then may find its clock there.
fn is_near(believed: WallMs, now: WallMs) -> bool {
    now.0.abs_diff(believed.0) <= CLOCK_ABSENCE_MS
}

/// Whether a doubted clock is still the one that was seen.
fn goes_on(seen: WallMs, now: WallMs) -> bool {
    now >= seen && is_near(seen, now)
}

#[cfg(test)]
mod tests {
    use engine::time::MonoMs;

    use super::*;

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;

    fn at(wall: i64, mono: i64) -> Now {
        Now { wall: WallMs(wall), mono: MonoMs(mono) }
    }

    fn believed(wall: i64) -> Remembered {
        Remembered { believed: WallMs(wall), doubt: None }
    }

    /// Hours of steady running; returns after how many the clock is believed.
    fn hours_until_believed(trust: &mut Trust, from: Now) -> i64 {
        (1..100)
            .find(|hour| trust.look(at(from.wall.0 + hour * HOUR, from.mono.0 + hour * HOUR)))
            .expect("it is believed some day")
    }

    #[test]
    fn a_clock_that_goes_on_where_it_was_is_believed() {
        let mut trust = Trust::begin(believed(0), at(2 * DAY, 5));
        assert_eq!(trust.doubts_since(), None);
        assert!(trust.look(at(2 * DAY + HOUR, 5 + HOUR)));
        assert!(trust.look(at(40 * DAY, 5 + 38 * DAY)), "a month of one life");
    }

    #[test]
    fn a_clock_years_away_is_believed_after_a_day_of_steady_running() {
        for years in [10, -10] {
            let start = at(years * 365 * DAY, 0);
            let mut trust = Trust::begin(believed(0), start);
            assert_eq!(trust.doubts_since(), Some(WallMs(0)));
            assert_eq!(hours_until_believed(&mut trust, start), 25);
            assert_eq!(trust.doubts_since(), None);
        }
    }

    #[test]
    fn a_restart_does_not_make_a_doubted_clock_believed_nor_its_steady_hours_forgotten() {
        let start = at(3_650 * DAY, 0);
        let mut first = Trust::begin(believed(0), start);
        for hour in 1..=20 {
            assert!(!first.look(at(start.wall.0 + hour * HOUR, hour * HOUR)));
        }
        let again = at(start.wall.0 + 30 * HOUR, 0);
        let mut second = Trust::begin(first.memory(), again);
        assert_eq!(second.doubts_since(), Some(WallMs(0)));
        assert_eq!(hours_until_believed(&mut second, again), 5);
    }

    #[test]
    fn a_clock_that_is_set_right_is_believed_at_the_next_look() {
        let mut trust = Trust::begin(believed(0), at(3_650 * DAY, 0));
        assert!(!trust.look(at(HOUR, HOUR)), "it has just jumped");
        assert_eq!(trust.doubts_since(), None);
        assert!(trust.look(at(2 * HOUR, 2 * HOUR)));
        let mut jumping = Trust::begin(believed(0), at(0, 0));
        assert!(!jumping.look(at(3_650 * DAY, HOUR)));
        assert!(!jumping.look(at(3_650 * DAY + HOUR, 2 * HOUR)), "and stays there");
    }
}
