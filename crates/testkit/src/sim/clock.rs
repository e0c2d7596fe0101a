//! Time in the simulated world: one that passes, and two that a daemon can read.

use engine::time::{MonoMs, Now, WallMs};

use super::rng::Rng;

/// The wall clock of every world at its beginning.
pub(crate) const EPOCH_MS: i64 = 1_700_000_000_000;

/// True time moves only forward. The wall clock may drift and jump away from it; the monotonic
/// clock begins anew with each life of the daemon.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    true_ms: i64,
    wall_offset_ms: i64,
    /// Parts of a million by which the wall clock runs fast.
    drift_ppm: i64,
    drift_rest: i64,
    mono_base_ms: i64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { true_ms: 0, wall_offset_ms: 0, drift_ppm: 0, drift_rest: 0, mono_base_ms: -1_000 }
    }

    pub(crate) fn now(&self) -> Now {
        Now { wall: self.wall(), mono: MonoMs(self.true_ms - self.mono_base_ms) }
    }

    pub(crate) fn wall(&self) -> WallMs {
        WallMs(EPOCH_MS + self.true_ms + self.wall_offset_ms)
    }

    pub(crate) fn wall_seconds(&self) -> i64 {
        self.wall().0.div_euclid(1_000)
    }

    /// Milliseconds since the world began.
    pub(crate) fn true_ms(&self) -> i64 {
        self.true_ms
    }

    /// Nanoseconds since 1970 by a clock nobody sets, to the tick of 10 ms that a kernel counts
    /// the start of a process in.
    pub(crate) fn kernel_ns(&self) -> i64 {
        (EPOCH_MS + self.true_ms).div_euclid(10) * 10_000_000
    }

    pub(crate) fn advance(&mut self, ms: i64) {
        self.true_ms += ms;
        self.drift_rest += ms * self.drift_ppm;
        self.wall_offset_ms += self.drift_rest.div_euclid(1_000_000);
        self.drift_rest = self.drift_rest.rem_euclid(1_000_000);
    }

    /// Somebody sets the wall clock, sets it right, or makes it run too fast or too slow; gives how
    /// far it jumped.
    pub(crate) fn disturb(&mut self, rng: &mut Rng) -> i64 {
        let far = rng.weighted(&[(50, 1_000), (30, 20_000), (15, 3_600_000), (5, 315_360_000_000)]);
        let ms = match rng.below(4) {
            0 => {
                self.drift(rng.between(-500, 500));
                0
            }
            1 => -self.wall_offset_ms,
            _ => rng.between(-far, far),
        };
        self.jump(ms);
        ms
    }

    /// Sets the wall clock to another time.
    pub(crate) fn jump(&mut self, ms: i64) {
        self.wall_offset_ms += ms;
    }

    pub(crate) fn drift(&mut self, ppm: i64) {
        self.drift_ppm = ppm;
    }

    /// A new process reads a monotonic clock with another zero.
    pub(crate) fn restart_mono(&mut self, base_ms: i64) {
        self.mono_base_ms = self.true_ms - base_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_moves_the_wall_clock_only() {
        let mut clock = Clock::new();
        let before = clock.now();
        clock.jump(-3_600_000);
        clock.advance(5);
        assert_eq!(clock.now().wall.0 - before.wall.0, -3_599_995);
        assert_eq!(clock.now().mono.0 - before.mono.0, 5);
    }

    #[test]
    fn drift_adds_up_over_small_steps() {
        let mut clock = Clock::new();
        clock.drift(-1_000);
        for _ in 0..10_000 {
            clock.advance(1);
        }
        assert_eq!(clock.wall_offset_ms, -10);
    }
}
