//! How much of a long text may be on its way at once.
//!
//! Whatever goes to a machine shares one connection, and what was given to it stands in front of all
//! that comes later. Over a line of some kilobytes a second a text that is sent as fast as it can be
//! written keeps every answer waiting, until the connection passes for dead. So the other side says
//! what it has got, and no more is sent than it gets in a moment. Pure.

use std::collections::VecDeque;

use engine::time::MonoMs;

/// What may be on its way at first, and always; and at most.
pub(super) const LEAST: usize = 4 * 1024;
const MOST: usize = 4 * 1024 * 1024;
/// The most that is written at once.
const PIECE: usize = 16 * 1024;
/// What got there within the first may be followed by so much more than before, what took longer than
/// the second by less.
const SOON_MS: i64 = 250;
const LATE_MS: i64 = 750;

#[derive(Debug)]
pub(super) struct Window {
    width: usize,
    /// The ends of what was sent and not yet acknowledged, and when that was.
    sent: VecDeque<(usize, MonoMs)>,
    sent_to: usize,
    heard_to: usize,
    /// What was sent before the window became narrower says nothing of it.
    judged_to: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { width: LEAST, sent: VecDeque::new(), sent_to: 0, heard_to: 0, judged_to: 0 }
    }
}

impl Window {
    /// How much may be sent now.
    pub(super) fn room(&self) -> usize {
        let under_way = self.sent_to.saturating_sub(self.heard_to);
        self.width.saturating_sub(under_way).min(PIECE)
    }

    /// So much more is on its way.
    pub(super) fn sent(&mut self, length: usize, now: MonoMs) {
        self.sent_to += length;
        self.sent.push_back((self.sent_to, now));
    }

    /// So much in all has got there.
    pub(super) fn heard(&mut self, total: usize, now: MonoMs) {
        let new = total.min(self.sent_to).saturating_sub(self.heard_to);
        self.heard_to = self.heard_to.max(total);
        let mut soon = false;
        while let Some(&(end, at)) = self.sent.front()
            && end <= self.heard_to
        {
            self.sent.pop_front();
            let took = now.0.saturating_sub(at.0);
            if took <= SOON_MS {
                soon = true;
            } else if took > LATE_MS && end > self.judged_to {
                self.width = (self.width / 2).max(LEAST);
                self.judged_to = self.sent_to;
                return;
            }
        }
        if soon {
            self.width = (self.width + new).min(MOST);
        }
    }
}

/// Hears how much has come, in lines behind a mark, among whatever else is said.
#[derive(Debug)]
pub(super) struct Told<'a> {
    mark: &'a str,
    read_to: usize,
    total: usize,
}

impl<'a> Told<'a> {
    pub(super) fn new(mark: &'a str) -> Self {
        Self { mark, read_to: 0, total: 0 }
    }

    /// How much has come, by everything that was said so far.
    pub(super) fn total(&mut self, said: &[u8]) -> usize {
        while let Some(new) = said.get(self.read_to..)
            && let Some(end) = new.iter().position(|byte| *byte == b'\n')
        {
            if let Some(told) = told(&new[..end], self.mark) {
                self.total = self.total.saturating_add(told);
            }
            self.read_to += end + 1;
        }
        self.total
    }
}

/// What a line tells, if it is one of those.
fn told(line: &[u8], mark: &str) -> Option<usize> {
    let said = line.strip_prefix(mark.as_bytes())?.strip_prefix(b"+")?;
    if said == b"all" { Some(usize::MAX) } else { std::str::from_utf8(said).ok()?.parse().ok() }
}

/// What was said behind those lines.
pub(super) fn untold<'a>(said: &'a [u8], mark: &str) -> &'a [u8] {
    let mut rest = said;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n')
        && told(&rest[..end], mark).is_some()
    {
        rest = &rest[end + 1..];
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a text over a line of so many bytes a second with such a delay; gives how long that
    /// took, and the longest time that anything else would have waited for the line.
    fn send(length: usize, bytes_per_s: i64, delay_ms: i64) -> (i64, i64) {
        let (mut window, mut now, mut free_at, mut longest) = (Window::default(), 0, 0_i64, 0);
        let (mut left, mut under_way) = (length, VecDeque::new());
        let mut heard = 0;
        while heard < length {
            let room = window.room().min(left);
            if room > 0 {
                left -= room;
                window.sent(room, MonoMs(now));
                free_at = free_at.max(now) + room as i64 * 1_000 / bytes_per_s;
                longest = longest.max(free_at - now);
                under_way.push_back((room, free_at + delay_ms));
                continue;
            }
            let (piece, at): (usize, i64) = under_way.pop_front().unwrap();
            now = now.max(at);
            heard += piece;
            window.heard(heard, MonoMs(now));
        }
        (now, longest)
    }

    #[test]
    fn a_narrow_line_stays_free_for_others() {
        for bytes_per_s in [4_000, 10_000, 64_000, 1_000_000] {
            let (took, waited) = send(1_000_000, bytes_per_s, 100);
            let first = 1_000 * LEAST as i64 / bytes_per_s;
            assert!(waited <= first.max(LATE_MS), "{bytes_per_s} bytes a second: {waited} ms");
            let alone = 1_000_000_000 / bytes_per_s;
            assert!(took <= alone * 3 / 2 + 3_000, "{bytes_per_s} bytes a second: {took} ms");
        }
    }

    #[test]
    fn what_has_come_is_told_among_other_things() {
        let said = b"hello\nqd-1\nqd-1+20\nqd-1 7\nqd-12+5\nqd-1+300\nqd-1+0\n";
        let mut told = Told::new("qd-1");
        let totals: Vec<_> = (0..=said.len()).map(|end| told.total(&said[..end])).collect();
        assert!(totals.is_sorted());
        assert_eq!(totals.last(), Some(&320));
        assert_eq!(told.total(b""), 320);
        assert_eq!(
            untold(b"qd-1+20\nqd-1+300\nan answer\nqd-1+7\n", "qd-1"),
            b"an answer\nqd-1+7\n"
        );
        assert_eq!(untold(b"qd-1+20", "qd-1"), b"qd-1+20", "no line yet");
        assert_eq!(Told::new("qd-1").total(b"qd-1+5\nqd-1+all\n"), usize::MAX);
    }

    #[test]
    fn a_wide_line_is_filled() {
        let (took, _) = send(20_000_000, 100_000_000, 0);
        assert!(took <= 400, "{took} ms");
        let (took, _) = send(20_000_000, 100_000_000, 50);
        assert!(took <= 3_000, "{took} ms");
    }
}
