//! What an agent used of its model, where its transcript counts that call by call: summed as the
//! file grows, each call once.
//!
//! Pure: it is given the file's bytes, piece by piece, and says from where it wants the next.

use std::collections::VecDeque;

use engine::words::Detail;

use crate::adapter::Reading;

/// Calls whose counts are kept, so that a call that is told again is not counted again: the lines of
/// one call stand close together.
const RECENT_MAX: usize = 64;

/// What one call of the model used, as one line of a transcript says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The call's own id; a later line with the same one replaces it.
    pub id: String,
    pub tokens_in: u64,
    pub tokens_out: u64,
}

/// Reads a line of a transcript; nothing if it is of no call.
pub type Count = fn(line: &[u8]) -> Option<Call>;

/// The sum of one file, as far as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    position: u64,
    /// The rest of a line that is longer than any piece is passed over.
    skips: bool,
    counted: bool,
    /// Calls that will not be told again.
    tokens_in: u64,
    tokens_out: u64,
    recent: VecDeque<Call>,
}

impl Tally {
    /// From where the file is to be read on, if it has this length now. One that became shorter is
    /// another one.
    pub fn position(&mut self, length: u64) -> u64 {
        if length < self.position {
            *self = Self::default();
        }
        self.position
    }

    /// Takes what stands at its position. A piece that is `full` may be followed by more; what
    /// stands behind the last whole line is wanted again.
    pub fn take(&mut self, piece: &[u8], full: bool, count: Count) {
        let mut taken = 0;
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            let Some(line) = line.strip_suffix(b"\n") else { break };
            taken += line.len() + 1;
            if !std::mem::take(&mut self.skips) {
                count(line).into_iter().for_each(|call| self.add(call));
            }
        }
        if taken == 0 && full {
            (self.skips, taken) = (true, piece.len());
        }
        self.position += taken as u64;
    }

    fn add(&mut self, call: Call) {
        self.counted = true;
        if let Some(known) = self.recent.iter_mut().find(|known| known.id == call.id) {
            *known = call;
            return;
        }
        self.recent.push_back(call);
        if self.recent.len() > RECENT_MAX
            && let Some(settled) = self.recent.pop_front()
        {
            self.tokens_in = self.tokens_in.saturating_add(settled.tokens_in);
            self.tokens_out = self.tokens_out.saturating_add(settled.tokens_out);
        }
    }

    /// Tells the sums, if there was anything to count.
    #[must_use]
    pub fn tell(&self, reading: Reading) -> Reading {
        if !self.counted {
            return reading;
        }
        let sum = |settled: u64, of: fn(&Call) -> u64| {
            self.recent.iter().map(of).fold(settled, u64::saturating_add).to_string()
        };
        reading
            .telling(Detail::TokensIn, sum(self.tokens_in, |call| call.tokens_in))
            .telling(Detail::TokensOut, sum(self.tokens_out, |call| call.tokens_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ID IN OUT`, and nothing else is a call.
    fn count(line: &[u8]) -> Option<Call> {
        let text = std::str::from_utf8(line).ok()?;
        let words: Vec<&str> = text.split(' ').collect();
        let [id, tokens_in, tokens_out] = words[..] else { return None };
        let (tokens_in, tokens_out) = (tokens_in.parse().ok()?, tokens_out.parse().ok()?);
        Some(Call { id: id.to_owned(), tokens_in, tokens_out })
    }

    fn told(tally: &Tally) -> Option<(String, String)> {
        let details = tally.tell(Reading::default()).details;
        Some((details.get(&Detail::TokensIn)?.clone(), details.get(&Detail::TokensOut)?.clone()))
    }

    /// Reads a whole file in pieces of this size.
    fn read(file: &[u8], size: usize) -> Tally {
        let mut tally = Tally::default();
        for _ in 0..=file.len() {
            let at = usize::try_from(tally.position(file.len() as u64)).unwrap();
            let piece = &file[at..file.len().min(at + size)];
            tally.take(piece, piece.len() == size, count);
        }
        tally
    }

    #[test]
    fn each_call_is_counted_once_by_its_last_word_whatever_the_pieces() {
        let file = b"a 10 1\na 10 5\nsomething else\nb 20 2\na 10 6\nc 1 1\nd 9";
        for size in 8..60 {
            assert_eq!(told(&read(file, size)), Some(("31".into(), "9".into())), "{size}");
        }
    }

    #[test]
    fn a_line_longer_than_a_piece_is_passed_over() {
        let file = [b"a 1 1\n".as_slice(), &[b'x'; 100], b" 5 5\nb 2 2\n"].concat();
        assert_eq!(told(&read(&file, 16)), Some(("3".into(), "3".into())));
    }

    #[test]
    fn many_calls_add_up_and_a_shorter_file_is_another_one() {
        let file: String = (0..1_000).map(|number| format!("c{number} 3 2\n")).collect();
        let mut tally = read(file.as_bytes(), 512);
        assert_eq!(told(&tally), Some(("3000".into(), "2000".into())));
        assert!(tally.recent.len() <= RECENT_MAX);
        assert_eq!(tally.position(7), 0);
        assert_eq!(told(&tally), None);
    }
}
