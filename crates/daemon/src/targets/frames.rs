//! What comes from the shell that stays at the far end: lines of ours, and bodies between two of them.
//!
//! Each line of ours begins with a mark that nobody there could foresee. A body is whatever bytes
//! stand between a line that begins it and the next one of ours, so it needs neither a length nor
//! quoting.

use std::mem;

use tokio::time::Instant;

/// The longest line that is taken for one of ours.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// Something that was said there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A line, without its mark.
    Line(String),
    /// What was asked for by these words, and the answer.
    Body { asked: String, bytes: Vec<u8> },
}

/// What came is longer than anything that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMuch;

/// How many bytes may come. What was asked for may; beside it there are signs of life, and word of
/// what was written or changed.
#[derive(Debug)]
pub(super) struct Allowance {
    bytes: u64,
    counted: Instant,
}

impl Allowance {
    const BYTES_MAX: u64 = 8 << 20;
    const BYTES_PER_S: u64 = 1 << 20;

    pub(super) fn new() -> Self {
        Self { bytes: Self::BYTES_MAX, counted: Instant::now() }
    }

    /// An answer may come that is not longer than this.
    pub(super) fn asked(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// So many came.
    pub(super) fn came(&mut self, bytes: usize) -> Result<(), TooMuch> {
        let since = u64::try_from(self.counted.elapsed().as_millis()).unwrap_or(u64::MAX);
        let more = since.saturating_mul(Self::BYTES_PER_S) / 1_000;
        if more > 0 {
            self.counted = Instant::now();
        }
        self.bytes = self.bytes.saturating_add(more).min(Self::BYTES_MAX);
        self.bytes = self.bytes.checked_sub(bytes as u64).ok_or(TooMuch)?;
        Ok(())
    }
}

/// Takes frames out of bytes that arrive in pieces.
#[derive(Debug)]
pub(super) struct Frames {
    /// What a line of ours begins with.
    mark: Vec<u8>,
    bytes_max: usize,
    bytes: Vec<u8>,
    /// How much of `bytes` was searched for the end of a body already.
    searched: usize,
    asked: Option<String>,
}

impl Frames {
    /// `bytes_max` bounds every body.
    pub(super) fn new(mark: &str, bytes_max: usize) -> Self {
        let mark = format!("{mark} ").into_bytes();
        Self { mark, bytes_max, bytes: Vec::new(), searched: 0, asked: None }
    }

    /// Takes what came, and gives the frames that are whole by it.
    pub(super) fn take(&mut self, came: &[u8]) -> Result<Vec<Frame>, TooMuch> {
        self.bytes.extend_from_slice(came);
        let mut frames = Vec::new();
        while let Some(frame) = self.next()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    fn next(&mut self) -> Result<Option<Frame>, TooMuch> {
        loop {
            match self.asked.take() {
                Some(asked) => return self.body(asked),
                None => match self.line()? {
                    None => return Ok(None),
                    Some(line) => match line.strip_prefix("begin ") {
                        Some(asked) => self.asked = Some(asked.to_owned()),
                        None => return Ok(Some(Frame::Line(line))),
                    },
                },
            }
        }
    }

    /// The next line of ours; others are nobody's. There may be very many of these, so they are taken
    /// away together.
    fn line(&mut self) -> Result<Option<String>, TooMuch> {
        let mut begin = 0;
        let mut said = None;
        while said.is_none()
            && let Some(length) = self.bytes[begin..].iter().position(|byte| *byte == b'\n')
        {
            let line = &self.bytes[begin..begin + length];
            said = line.strip_prefix(self.mark.as_slice());
            begin += length + 1;
        }
        let said = said.map(|said| String::from_utf8_lossy(said.trim_ascii()).into_owned());
        self.bytes.drain(..begin);
        if said.is_none() && self.bytes.len() > LINE_BYTES_MAX { Err(TooMuch) } else { Ok(said) }
    }

    /// The body up to the next line of ours.
    fn body(&mut self, asked: String) -> Result<Option<Frame>, TooMuch> {
        let end = [b"\n", self.mark.as_slice(), b"end\n"].concat();
        let from = self.searched;
        let found = self.bytes[from..].windows(end.len()).position(|window| window == end);
        if let Some(at) = found {
            self.searched = 0;
            let rest = self.bytes.split_off(from + at + end.len());
            let mut bytes = mem::replace(&mut self.bytes, rest);
            bytes.truncate(from + at);
            return Ok(Some(Frame::Body { asked, bytes }));
        }
        self.asked = Some(asked);
        self.searched = (self.bytes.len() + 1).saturating_sub(end.len());
        if self.bytes.len() > self.bytes_max + end.len() { Err(TooMuch) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn body(asked: &str, bytes: &[u8]) -> Frame {
        Frame::Body { asked: asked.to_owned(), bytes: bytes.to_vec() }
    }

    #[test]
    fn lines_and_bodies_are_the_same_in_whatever_pieces_they_come() {
        let said = b"noise\nqd-1 alive\nqd-1 begin read a 0\n\nqd1\tx\n\0\nqd-1 en\n\nqd-1 end\n\
            qd-1 begin list\n\nqd-1 end\nqd-12 no\nqd-1 alive\n";
        let wanted = [
            Frame::Line("alive".to_owned()),
            body("read a 0", b"\nqd1\tx\n\0\nqd-1 en\n"),
            body("list", b""),
            Frame::Line("alive".to_owned()),
        ];
        for size in 1..=said.len() {
            let mut frames = Frames::new("qd-1", 64);
            let found: Vec<Frame> =
                said.chunks(size).flat_map(|piece| frames.take(piece).unwrap()).collect();
            assert_eq!(found, wanted, "in pieces of {size}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_may_come_and_a_flood_may_not() {
        let piece = 64 * 1024;
        let flood = |allowance: &mut Allowance| {
            (0..1_000).take_while(|_| allowance.came(piece).is_ok()).count()
        };
        let mut allowance = Allowance::new();
        assert_eq!(flood(&mut allowance), 128, "and no more");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(flood(&mut allowance), 32);
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(flood(&mut allowance), 128, "a long silence makes no more of it");
        for _ in 0..1_000 {
            allowance.asked(2 * piece);
            assert_eq!(allowance.came(piece), Ok(()), "however fast it comes");
        }
    }

    #[test]
    fn more_than_was_asked_for_is_not_gathered() {
        let mut frames = Frames::new("qd-1", 64);
        assert_eq!(frames.take(b"qd-1 begin read a 0\n"), Ok(Vec::new()));
        assert_eq!(frames.take(&[b'x'; 64]), Ok(Vec::new()));
        assert_eq!(frames.take(&[b'x'; 64]), Err(TooMuch));
        let mut frames = Frames::new("qd-1", 64);
        assert_eq!(frames.take(&[b'x'; LINE_BYTES_MAX + 1]), Err(TooMuch));
    }
}
