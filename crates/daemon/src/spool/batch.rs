//! From the bytes of a file to records, a bounded number at a time.

use agents::record::{LINE_BYTES_MAX, Record, Unreadable};

/// Lines that are handed to the deck together.
const LINES_MAX: usize = 256;
/// Bytes of lines that are handed over together, but for the last line.
const BYTES_MAX: usize = 1024 * 1024;

/// A line of a file, and where the file goes on behind it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) end: u64,
    pub(super) record: Result<Record, Unreadable>,
}

/// The lines of a file whose bytes arrive in pieces.
#[derive(Debug)]
pub(super) struct Lines {
    /// Where the first byte of `bytes` stands in the file.
    begin: u64,
    bytes: Vec<u8>,
    /// How much of `bytes` was told already, and how much was searched for the end of a line.
    told: usize,
    searched: usize,
    /// Within a line that is longer than any record: its rest is passed over.
    passing: bool,
}

impl Lines {
    /// Lines from here on.
    pub(super) fn from(begin: u64) -> Self {
        Self { begin, bytes: Vec::new(), told: 0, searched: 0, passing: false }
    }

    /// Lines from somewhere within one, whose rest is passed over.
    pub(super) fn within(begin: u64) -> Self {
        Self { passing: true, ..Self::from(begin) }
    }

    /// Gathers lines that are handed over together and begin here; whether they are enough.
    pub(super) fn gather(&mut self, begin: u64, lines: &mut Vec<Line>) -> bool {
        while let Some(line) = self.next() {
            let bytes = usize::try_from(line.end - begin).unwrap_or(usize::MAX);
            lines.push(line);
            if lines.len() >= LINES_MAX || bytes >= BYTES_MAX {
                return true;
            }
        }
        false
    }

    /// Where the first line stands that was not told yet.
    pub(super) fn position(&self) -> u64 {
        self.begin + self.told as u64
    }

    /// Where the file has been read to.
    pub(super) fn read_to(&self) -> u64 {
        self.begin + self.bytes.len() as u64
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.told);
        self.begin += self.told as u64;
        self.searched -= self.told;
        self.told = 0;
        self.bytes.extend(bytes);
    }

    /// The next whole line that is not empty. One that is longer than any record is told as torn,
    /// once.
    pub(super) fn next(&mut self) -> Option<Line> {
        loop {
            let unseen = &self.bytes[self.searched..];
            let Some(found) = unseen.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.bytes.len();
                return self.too_long();
            };
            let line = &self.bytes[self.told..self.searched + found];
            let told = !line.is_empty() && !self.passing;
            let record = told.then(|| Record::parse(line));
            self.searched += found + 1;
            self.told = self.searched;
            self.passing = false;
            if let Some(record) = record {
                return Some(Line { end: self.position(), record });
            }
        }
    }

    fn too_long(&mut self) -> Option<Line> {
        if self.bytes.len() - self.told <= LINE_BYTES_MAX && !self.passing {
            return None;
        }
        self.told = self.bytes.len();
        let first = !std::mem::replace(&mut self.passing, true);
        first.then(|| Line { end: self.position(), record: Err(Unreadable::Torn) })
    }
}

#[cfg(test)]
mod tests {
    use agents::record::{Payload, Record};
    use engine::time::WallMs;

    use super::*;

    fn record(number: usize) -> Record {
        Record {
            id: format!("{number:032}"),
            agent: "claude".to_owned(),
            event: "Stop".to_owned(),
            at: WallMs(1_000),
            tmux: None,
            pane: None,
            chain: Vec::new(),
            cwd: None,
            waits: None,
            payload: Payload::Whole(b"{}".to_vec()),
        }
    }

    fn read(spool: &[u8], piece: usize) -> (Vec<Line>, Lines) {
        let mut lines = Lines::from(0);
        let mut told = Vec::new();
        for bytes in spool.chunks(piece) {
            lines.push(bytes);
            told.extend(std::iter::from_fn(|| lines.next()));
        }
        (told, lines)
    }

    #[test]
    fn records_are_the_same_in_whatever_pieces_they_arrive() {
        let mut spool: Vec<u8> = (0..20).flat_map(|it| record(it).to_line()).collect();
        spool.extend(b"\ncoffee\n\n\nqd1\tunfinished");
        let (whole, lines) = read(&spool, spool.len());
        assert_eq!(whole.len(), 21);
        assert_eq!(whole[7].record, Ok(record(7)));
        assert_eq!(whole[20].record, Err(Unreadable::Foreign));
        assert_eq!(lines.position() as usize, spool.len() - b"qd1\tunfinished".len());
        for piece in [1, 3, 64, 200] {
            let (pieces, in_pieces) = read(&spool, piece);
            assert_eq!(pieces, whole, "in pieces of {piece}");
            assert_eq!(in_pieces.position(), lines.position());
            assert_eq!(in_pieces.read_to() as usize, spool.len());
        }
    }

    #[test]
    fn reading_on_from_behind_any_line_gives_the_lines_after_it() {
        let spool: Vec<u8> = (0..5).flat_map(|it| record(it).to_line()).collect();
        let (whole, _) = read(&spool, spool.len());
        for (index, line) in whole.iter().enumerate() {
            let mut lines = Lines::from(line.end);
            lines.push(&spool[usize::try_from(line.end).unwrap()..]);
            let rest: Vec<Line> = std::iter::from_fn(|| lines.next()).collect();
            assert_eq!(rest, whole[index + 1..]);
        }
    }

    #[test]
    fn a_line_without_an_end_is_told_once_and_costs_bounded_memory() {
        let mut lines = Lines::from(0);
        let mut told = Vec::new();
        let chunk = vec![b'x'; 256 * 1024];
        for _ in 0..40 {
            lines.push(&chunk);
            told.extend(std::iter::from_fn(|| lines.next()));
            assert!(lines.bytes.len() <= LINE_BYTES_MAX + 2 * chunk.len());
        }
        assert!(matches!(told.as_slice(), [Line { record: Err(Unreadable::Torn), .. }]));
        lines.push(&record(1).to_line());
        assert_eq!(lines.next().map(|line| line.record), Some(Ok(record(1))));
        assert_eq!(lines.position(), lines.read_to());
    }
}
