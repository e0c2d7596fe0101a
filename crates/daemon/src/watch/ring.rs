//! The lines that watchers of one feed have yet to read, kept once for all of them.
//!
//! A watcher is a position in the ring. The ring keeps what somebody has yet to read, up to a
//! bound; whoever has not read what falls off at the bound is too slow. So a watcher that stops
//! reading costs no memory of its own, and nobody else's time.

use std::collections::VecDeque;

use super::line::Line;

/// What is kept at most, apart from the lines of the publication in hand: the bound of a watcher's
/// backlog, at which it is cut.
pub(crate) const BACKLOG_BYTES_MAX: usize = 1024 * 1024;
/// The same, counted in lines.
pub(crate) const BACKLOG_LINES_MAX: usize = 8_192;
/// What is kept although everyone has read it, for those who come back at once.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// Lines by position. Positions count up from the feed's beginning and never repeat.
#[derive(Debug)]
pub(crate) struct Ring {
    lines: VecDeque<Line>,
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
        let read = self.lines.partition_point(|line| line.seq <= seq);
        (seq >= self.complete_after).then_some(self.first + read as u64)
    }

    /// The lines from a position on, if none of them has fallen off.
    pub(crate) fn from(&self, position: u64) -> Option<impl Iterator<Item = &Line>> {
        let skipped = position.checked_sub(self.first)?;
        Some(self.lines.iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX)))
    }

    pub(crate) fn push(&mut self, line: Line) {
        self.bytes += line.len();
        self.lines.push_back(line);
    }

    /// Drops what is no longer kept. `slowest` is the least position of any watcher; what came
    /// from `fresh` on belongs to the publication in hand and cannot have been read yet.
    pub(crate) fn trim(&mut self, slowest: Option<u64>, fresh: u64) {
        let unread_from = slowest.unwrap_or(u64::MAX);
        while self.first < fresh {
            let too_much = self.bytes > BACKLOG_BYTES_MAX || self.lines.len() > BACKLOG_LINES_MAX;
            let done_with = self.bytes > KEPT_BYTES_MAX && self.first < unread_from;
            if !(too_much || done_with) {
                break;
            }
            let Some(line) = self.lines.pop_front() else { break };
            self.first += 1;
            self.bytes -= line.len();
            self.complete_after = line.seq;
        }
    }
}
