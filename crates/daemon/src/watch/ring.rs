//! The lines that watchers of one feed have yet to read, kept once for all of them.
//!
//! A watcher is a position in the ring. The ring keeps what somebody has yet to read, up to a
//! bound; whoever has not read what falls off at the bound is too slow. So a watcher that stops
//! reading costs no memory of its own, and nobody else's time.

use std::collections::VecDeque;

use engine::time::Now;

use super::line::Line;

/// What is kept for those who have not read it: the bound of a watcher's backlog, at which it is
/// cut.
const BACKLOG_BYTES_MAX: usize = 1024 * 1024;
/// What is kept for a moment when much happens at once, so that a burst cuts only those who do not
/// read. At this bound even what is new goes.
const BURST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long that moment is.
const BURST_MS: i64 = 5_000;
/// What is kept although everyone has read it, for those who come back at once.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// A line, and when it came.
#[derive(Debug)]
struct Kept {
    line: Line,
    at: Now,
}

/// Lines by position. Positions count up from the feed's beginning and never repeat.
#[derive(Debug)]
pub(crate) struct Ring {
    lines: VecDeque<Kept>,
    /// The position of the first line that is kept.
    first: u64,
    bytes: usize,
    /// The ring holds every line with a sequence above this.
    complete_after: u64,
}

impl Ring {
    /// A ring that begins after `seq`.
    pub(crate) fn new(seq: u64) -> Self {
        Self { lines: VecDeque::new(), first: 0, bytes: 0, complete_after: seq }
    }

    pub(crate) fn complete_after(&self) -> u64 {
        self.complete_after
    }

    /// The position after the last line.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    /// The position after everything up to `seq`, if nothing in between is missing.
    pub(crate) fn position_after(&self, seq: u64) -> Option<u64> {
        let read = self.lines.partition_point(|kept| kept.line.seq <= seq);
        (seq >= self.complete_after).then_some(self.first + read as u64)
    }

    /// The lines from a position on, if none of them has fallen off.
    pub(crate) fn from(&self, position: u64) -> Option<impl Iterator<Item = &Line>> {
        let skipped = position.checked_sub(self.first)?;
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        Some(self.lines.iter().skip(skipped).map(|kept| &kept.line))
    }

    pub(crate) fn push(&mut self, line: Line, at: Now) {
        self.bytes += line.len();
        self.lines.push_back(Kept { line, at });
    }

    /// Drops what is no longer kept. `slowest` is the least position of any watcher.
    pub(crate) fn trim(&mut self, slowest: Option<u64>, now: Now) {
        let unread_from = slowest.unwrap_or(u64::MAX);
        while let Some(oldest) = self.lines.front() {
            let kept_bytes_max = if self.first < unread_from {
                KEPT_BYTES_MAX
            } else if now.since(oldest.at.stamp()) > BURST_MS {
                BACKLOG_BYTES_MAX
            } else {
                BURST_BYTES_MAX
            };
            if self.bytes <= kept_bytes_max {
                return;
            }
            self.first += 1;
            self.bytes -= oldest.line.len();
            self.complete_after = oldest.line.seq;
            self.lines.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::time::MonoMs;

    use super::*;

    fn at(ms: i64) -> Now {
        Now { mono: MonoMs(ms), ..Now::default() }
    }

    /// A ring with lines of a quarter of a megabyte, the first with sequence 1.
    fn ring(lines: u64, now: Now) -> Ring {
        let mut ring = Ring::new(0);
        for seq in 1..=lines {
            ring.push(Line::of_size(seq, KEPT_BYTES_MAX), now);
        }
        ring
    }

    #[test]
    fn a_position_is_known_while_everything_after_it_is_kept() {
        let mut ring = ring(3, at(0));
        assert_eq!((ring.position_after(0), ring.position_after(2)), (Some(0), Some(2)));
        assert_eq!(ring.position_after(99), Some(3), "nothing after that is missing");
        ring.trim(None, at(0));
        assert_eq!(ring.complete_after(), 2);
        assert_eq!((ring.position_after(1), ring.position_after(2)), (None, Some(2)));
        assert!(ring.from(1).is_none());
        assert_eq!(ring.from(2).unwrap().count(), 1);
    }

    #[test]
    fn what_somebody_has_yet_to_read_is_kept_up_to_the_bound() {
        let mut ring = ring(4, at(0));
        ring.trim(Some(0), at(BURST_MS * 2));
        assert_eq!(ring.complete_after(), 0, "a megabyte may wait");
        ring.push(Line::of_size(5, KEPT_BYTES_MAX), at(BURST_MS * 2));
        ring.trim(Some(0), at(BURST_MS * 2));
        assert_eq!(ring.complete_after(), 1);
        ring.trim(Some(5), at(BURST_MS * 2));
        assert_eq!(ring.complete_after(), 4, "what all have read goes");
    }

    #[test]
    fn a_burst_may_be_larger_for_a_moment_but_not_without_a_bound() {
        let mut ring = ring(12, at(0));
        ring.trim(Some(0), at(BURST_MS));
        assert_eq!(ring.complete_after(), 0);
        ring.trim(Some(0), at(BURST_MS + 1));
        assert_eq!(ring.complete_after(), 8);
        let mut flood = self::ring(20, at(0));
        flood.trim(Some(0), at(0));
        assert_eq!(flood.complete_after(), 4);
    }
}
