//! The files of a spool somewhere else, as far as they were read.

use agents::spool::{ACTIVE, is_segment};

use super::super::batch::{Line, Lines};
use super::super::cursor::Mark;
use crate::targets::tether::Greeting;

/// How much of a spool that nobody here has read before is read: what agents said lately. There may
/// be days of it, and a slow link.
const FIRST_BYTES_MAX: u64 = 1024 * 1024;

/// A file as it was listed there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    name: String,
    inode: u64,
    size: u64,
}

impl Entry {
    /// Reads what `ls -in` printed: the files of the spool that belong to the user there.
    pub(super) fn all(listed: &[u8], greeting: &Greeting) -> Vec<Self> {
        let listed = String::from_utf8_lossy(listed);
        let mut entries: Vec<Self> =
            listed.lines().filter_map(|line| Self::parse(line, greeting.user)).collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        entries
    }

    fn parse(line: &str, user: Option<u32>) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (inode, mode) = (words.next()?.parse().ok()?, words.next()?);
        let (owner, size): (u32, u64) = (words.nth(1)?.parse().ok()?, words.nth(1)?.parse().ok()?);
        let name = words.next_back().filter(|name| *name == ACTIVE || is_segment(name))?;
        let ours = mode.starts_with('-') && user.is_none_or(|user| user == owner);
        ours.then(|| Self { name: name.to_owned(), inode, size })
    }
}

/// A file that is being followed.
#[derive(Debug)]
pub(super) struct Spooled {
    pub(super) name: String,
    inode: u64,
    /// How long it was when it was listed.
    size: u64,
    lines: Lines,
    /// What was read and not taken in, with the bytes before that tell which file it is.
    recent: Vec<u8>,
    /// The bytes before where it was read to: where they are others, it is another file.
    mark: Option<Mark>,
    /// They were others when it was asked for last, by a name that may have been given away.
    doubted: bool,
}

/// What a part of a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Its end, of so many bytes, is new.
    Fresh(usize),
    /// It is of another file, which may have this one's name by now.
    Other,
    /// It is so once more: the file was cut, or written anew, and is read from its beginning.
    Anew,
}

impl Spooled {
    fn new(entry: Entry, known: bool) -> Self {
        let skipped = if known { 0 } else { entry.size.saturating_sub(FIRST_BYTES_MAX) };
        let lines = if skipped > 0 { Lines::within(skipped) } else { Lines::from(0) };
        let Entry { name, inode, size } = entry;
        Self { name, inode, size, lines, recent: Vec::new(), mark: None, doubted: false }
    }

    /// Reads a line that was saved.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (inode, rest) = line.split_once(' ')?;
        let (name, mark) = rest.split_once(' ')?;
        let mark = Mark::parse(mark)?;
        let (name, lines) = (name.to_owned(), Lines::from(mark.position));
        let (inode, size) = (inode.parse().ok()?, mark.position);
        let (recent, mark) = (Vec::new(), Some(mark));
        Some(Self { name, inode, size, lines, recent, mark, doubted: false })
    }

    /// The line that is saved: everything before its position was taken in.
    pub(super) fn to_line(&self) -> String {
        let position = self.lines.position();
        let read = usize::try_from(self.lines.read_to() - position).unwrap_or(0);
        let before = &self.recent[..self.recent.len().saturating_sub(read)];
        let mark = match &self.mark {
            Some(mark) if mark.position == position => mark.clone(),
            Some(_) | None => Mark::behind(before, position),
        };
        format!("{} {} {mark}", self.inode, self.name)
    }

    pub(super) fn has_more(&self) -> bool {
        self.lines.read_to() < self.size || self.doubted
    }

    /// The words that ask for what follows, from the bytes of the mark on.
    pub(super) fn asked(&self) -> String {
        let from = self.lines.read_to() - self.overlap() as u64;
        format!("read {} {from}", self.name)
    }

    fn overlap(&self) -> usize {
        self.mark.as_ref().map_or(0, |mark| Mark::bytes_before(mark.position))
    }

    /// Takes what came for [`Self::asked`].
    pub(super) fn push(&mut self, bytes: &[u8]) -> Fit {
        let overlap = self.overlap();
        let (before, fresh) = bytes.split_at(overlap.min(bytes.len()));
        let fits = |mark: &Mark| *mark == Mark::behind(before, mark.position);
        if before.len() < overlap || !self.mark.as_ref().is_none_or(fits) {
            if !std::mem::replace(&mut self.doubted, true) {
                return Fit::Other;
            }
            self.restart();
            return Fit::Anew;
        }
        self.doubted = false;
        if self.recent.is_empty() {
            self.recent.extend_from_slice(before);
        }
        self.recent.extend_from_slice(fresh);
        self.lines.push(fresh);
        self.mark = Some(Mark::behind(&self.recent, self.lines.read_to()));
        self.size = self.size.max(self.lines.read_to());
        Fit::Fresh(fresh.len())
    }

    /// The next lines that are handed over together, and where they begin.
    pub(super) fn lines(&mut self) -> (u64, Vec<Line>) {
        let (mut lines, begin) = (Vec::new(), self.lines.position());
        self.lines.gather(begin, &mut lines);
        let rest = usize::try_from(self.lines.read_to() - begin).unwrap_or(0);
        let kept = rest + Mark::bytes_before(begin);
        self.recent.drain(..self.recent.len().saturating_sub(kept));
        (begin, lines)
    }

    /// Forgets what was read behind a position, to read it once more.
    pub(super) fn go_back_to(&mut self, position: u64) {
        let unread = usize::try_from(self.lines.read_to() - position).unwrap_or(0);
        self.recent.truncate(self.recent.len().saturating_sub(unread));
        self.lines = Lines::from(position);
        self.mark = Some(Mark::behind(&self.recent, position));
    }

    /// Begins at its beginning again: what was taken in already is known by its id.
    fn restart(&mut self) {
        (self.lines, self.mark, self.doubted) = (Lines::from(0), None, false);
        self.recent.clear();
    }
}

/// Follows the files that were listed. Gives how many are gone, or were cut, before everything in
/// them was read for certain. `known` says that the spool was read before.
pub(super) fn matched(files: &mut Vec<Spooled>, listed: Vec<Entry>, known: bool) -> u64 {
    let mut missed = 0;
    let mut before = std::mem::take(files);
    for entry in listed {
        let Some(at) = before.iter().position(|file| file.inode == entry.inode) else {
            if known || entry.name == ACTIVE {
                files.push(Spooled::new(entry, known));
            }
            continue;
        };
        let mut file = before.swap_remove(at);
        if entry.size < file.lines.read_to() {
            missed += 1;
            file.restart();
        }
        (file.name, file.size) = (entry.name, entry.size);
        files.push(file);
    }
    // Whatever was still appended to when it was last read may have got more before it went.
    missed + before.iter().filter(|file| file.name == ACTIVE || file.has_more()).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &[u8] = b"total 8\n\
        12 -rw------- 1 7 7 500 Nov 22 07:30 hooks-00000000000001-0000000001.spool\n\
        15 -rw------- 1 7 7 90 Nov 22 07:31 hooks.spool\n\
        16 -rw------- 1 8 7 90 Nov 22 07:31 hooks-2-1.spool\n\
        17 lrwxrwxrwx 1 7 7 90 Nov 22 07:31 hooks-3-1.spool\n\
        18 -rw------- 1 7 7 90 Nov 22 07:31 other\n";

    fn entry(name: &str, inode: u64, size: u64) -> Entry {
        Entry { name: name.to_owned(), inode, size }
    }

    fn listed() -> Vec<Entry> {
        Entry::all(LISTED, &Greeting { user: Some(7), behind_ms: None })
    }

    fn spool(records: usize) -> Vec<u8> {
        (0..records).flat_map(|it| format!("\nno record {it:080}\n").into_bytes()).collect()
    }

    /// A file that was read up to here.
    fn read(bytes: &[u8]) -> Spooled {
        let mut file = Spooled::new(entry(ACTIVE, 15, bytes.len() as u64), true);
        assert_eq!(file.push(bytes), Fit::Fresh(bytes.len()));
        while !file.lines().1.is_empty() {}
        file
    }

    /// What the shell there would print.
    fn answer<'a>(asked: &str, file: &'a [u8]) -> &'a [u8] {
        let from: usize = asked.rsplit(' ').next().unwrap().parse().unwrap();
        file.get(from..).unwrap_or_default()
    }

    #[test]
    fn only_files_of_the_spool_that_are_the_users_own_are_listed() {
        let segment = "hooks-00000000000001-0000000001.spool";
        assert_eq!(listed(), [entry(segment, 12, 500), entry(ACTIVE, 15, 90)]);
    }

    #[test]
    fn what_follows_is_read_on_from_where_it_was_read_to() {
        let whole = spool(5);
        let mut file = read(&whole[..300]);
        let asked = file.asked();
        assert_eq!(file.push(answer(&asked, &whole)), Fit::Fresh(whole.len() - 300));
        assert_eq!(file.push(answer(&file.asked(), &whole)), Fit::Fresh(0));
        let (_, lines) = file.lines();
        assert_eq!(lines.len(), 2, "the first three were told before");
    }

    #[test]
    fn a_file_is_found_again_by_what_was_saved_and_read_on_from_its_last_whole_line() {
        let whole = spool(5);
        let before = read(&whole[..300]);
        let mut file = Spooled::parse(&before.to_line()).unwrap();
        assert_eq!(file.to_line(), before.to_line());
        let asked = file.asked();
        assert_eq!(file.push(answer(&asked, &whole)), Fit::Fresh(whole.len() - (3 * 92 + 1)));
        assert_eq!(file.lines().1.len(), 2);
    }

    #[test]
    fn another_file_under_the_same_name_is_read_from_its_beginning() {
        let (one, other) = (spool(5), b"\nsomething else\n".repeat(40));
        let mut file = read(&one);
        let asked = file.asked();
        assert_eq!(file.push(answer(&asked, &other)), Fit::Other);
        assert_eq!((file.asked(), file.has_more()), (asked.clone(), true), "it may have moved");
        assert_eq!(file.push(answer(&asked, &other)), Fit::Anew);
        assert_eq!(file.asked(), "read hooks.spool 0");
        let mut file = read(&one);
        assert_eq!(file.push(b""), Fit::Other, "a shorter one");
        assert_eq!(file.push(answer(&asked, &one)), Fit::Fresh(0), "it is back");
        assert!(!file.has_more());
    }

    #[test]
    fn what_could_not_be_stored_is_read_once_more() {
        let whole = spool(5);
        let mut file = read(&whole[..300]);
        let asked = file.asked();
        file.push(answer(&asked, &whole));
        let (begin, lines) = file.lines();
        let second = lines[0].end;
        file.go_back_to(begin);
        assert_eq!(
            file.push(answer(&file.asked(), &whole)),
            Fit::Fresh(whole.len() - begin as usize)
        );
        assert_eq!(file.lines().1.len(), 2);
        file.go_back_to(second);
        assert_eq!(
            file.push(answer(&file.asked(), &whole)),
            Fit::Fresh(whole.len() - second as usize)
        );
    }

    #[test]
    fn what_was_missed_is_counted_and_what_was_read_is_not() {
        let mut files = Vec::new();
        assert_eq!(matched(&mut files, listed(), false), 0);
        assert_eq!(files.len(), 1, "of a spool that nobody read before only what is new");
        files = vec![read(&spool(1))];
        assert_eq!(matched(&mut files, vec![entry("hooks-1-1.spool", 15, 92)], true), 0);
        assert_eq!(matched(&mut files, Vec::new(), true), 0, "read to its end, then deleted");
        files = vec![read(&spool(1))];
        assert_eq!(matched(&mut files, Vec::new(), true), 1, "it was appended to");
        files = vec![read(&spool(5))];
        assert_eq!(matched(&mut files, listed(), true), 1, "it was cut");
        assert_eq!(files[1].asked(), "read hooks.spool 0");
    }

    #[test]
    fn of_a_long_spool_that_nobody_read_before_the_end_is_read() {
        let mut files = Vec::new();
        matched(&mut files, vec![entry(ACTIVE, 1, FIRST_BYTES_MAX + 7)], false);
        assert_eq!(files[0].asked(), "read hooks.spool 7");
        assert_eq!(files[0].push(b"est of a line\nqd1 no\n"), Fit::Fresh(21));
        assert_eq!(files[0].lines().1.len(), 1);
    }
}
