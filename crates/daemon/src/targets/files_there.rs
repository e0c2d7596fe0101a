//! Files that agents write somewhere else: the shell that stays there is asked for them.
//!
//! Everything is asked of it as a word and an answer ([`super::tether`]). What it says is judged
//! again here: a path counts only if it fits what was asked for, and no answer is longer than that.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use api::timestamp::Timestamp;
use engine::time::WallMs;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::files::{self, Content, Part, Refused};
use super::table::Life;
use super::tether::{Aside, PART_BYTES_MAX, Tether};

/// How long an answer may take once it is asked for: it may have to come over a slow line.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Questions that are open at once. Hooks and what waits for them go over the same line.
const QUESTIONS_MAX: usize = 2;
/// The longest path that is asked for. It has to go there in one write.
const PATH_BYTES_MAX: usize = 1_024;
/// Paths that are watched on one target.
const WATCHED_MAX: usize = 512;
/// Processes of which it is remembered whose they are and what they were told.
const ORIGINS_MAX: usize = 256;
/// Files whose ends are kept, and how many bytes before what is new have to be the same.
const ENDS_MAX: usize = 64;
const OVERLAP_BYTES: usize = 64;

/// What is known of the files of one target.
#[derive(Debug)]
pub(super) struct FilesThere {
    asked: AtomicU64,
    turns: Semaphore,
    origins: Mutex<BTreeMap<(Life, String), Origin>>,
    ends: Mutex<BTreeMap<String, End>>,
    wanted: Mutex<BTreeSet<String>>,
    said: tokio::sync::Mutex<Option<Said>>,
}

/// Whose a process is, and what a variable was set to when it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub user: u32,
    pub value: Option<String>,
}

/// The end of a growing file, as it was read last.
#[derive(Debug)]
struct End {
    user: u32,
    bytes: Vec<u8>,
    length: u64,
}

/// Which paths the shell at the end of a connection was told to watch.
#[derive(Debug)]
struct Said {
    aside: Aside,
    paths: BTreeSet<String>,
}

impl Default for FilesThere {
    fn default() -> Self {
        Self {
            asked: AtomicU64::new(0),
            turns: Semaphore::new(QUESTIONS_MAX),
            origins: Mutex::default(),
            ends: Mutex::default(),
            wanted: Mutex::default(),
            said: tokio::sync::Mutex::default(),
        }
    }
}

impl FilesThere {
    /// These are to be watched.
    pub(super) fn want(&self, paths: BTreeSet<String>) {
        let paths = paths.into_iter().filter(|path| is_plain(path)).take(WATCHED_MAX).collect();
        *lock(&self.wanted) = paths;
    }

    /// Tells the shell there what has changed of that.
    pub(super) async fn say(&self, tether: &Tether) {
        let mut said = self.said.lock().await;
        let Some(aside) = tether.aside() else { return };
        let wanted = lock(&self.wanted).clone();
        let known = said.take().filter(|said| said.aside.is_same(&aside));
        let known = known.map(|said| said.paths).unwrap_or_default();
        let mut words: Vec<String> =
            known.difference(&wanted).map(|path| format!("unwatch {path}")).collect();
        words.extend(wanted.difference(&known).map(|path| format!("watch {path}")));
        if wanted.is_empty() && !known.is_empty() {
            words = vec!["rest".to_owned()];
        }
        for word in words {
            if !aside.say(word).await {
                return;
            }
        }
        *said = Some(Said { aside, paths: wanted });
    }
}

/// Somebody who asks for files, from a thread that may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub files: &'a FilesThere,
    pub tether: &'a Tether,
}

impl Asking<'_> {
    /// The answer to a word; nothing where there is none in time.
    fn ask(self, word: &str, more: &str) -> Option<Vec<u8>> {
        let number = self.files.asked.fetch_add(1, Ordering::Relaxed);
        let (words, more) = (format!("{word} {number}"), format!(" {more}"));
        let asking = async {
            let _turn = self.files.turns.acquire().await.ok()?;
            self.tether.aside()?.ask_within(&words, &more, ANSWER_TIMEOUT).await
        };
        Handle::try_current().ok()?.block_on(asking)
    }

    /// The lines of the answer that are text.
    fn lines(self, word: &str, more: &str) -> Option<Vec<String>> {
        let answer = self.ask(word, more)?;
        let lines =
            answer.split(|byte| *byte == b'\n').map(|line| String::from_utf8(line.to_vec()));
        Some(lines.filter_map(Result::ok).collect())
    }

    pub(super) fn matching(self, pattern: &str) -> Vec<String> {
        let Some(quoted) = as_pattern(pattern) else { return Vec::new() };
        let mut found = self.lines("matching", &quoted).unwrap_or_default();
        found.retain(|path| files::path_fits(path, pattern));
        found
    }

    /// What a process has open, as far as it may fit a pattern.
    pub(super) fn open_paths(self, pid: u32, pattern: &str) -> Vec<String> {
        let beginning = pattern.split('*').next().unwrap_or_default();
        if !is_plain(beginning) {
            return Vec::new();
        }
        let listed = self.lines("held", &format!("{pid} {beginning}")).unwrap_or_default();
        let path = |line: String| line.split_once(" -> ").map(|(_, path)| path.to_owned());
        listed.into_iter().filter_map(path).collect()
    }

    pub(super) fn nearest_folder(self, path: &str, root: &str) -> Option<PathBuf> {
        let fixed = files::fixed_folder(path)?.to_str()?.trim_end_matches('/');
        if !is_plain(fixed) {
            return None;
        }
        let said = self.lines("nearest", fixed)?;
        let folder = Path::new(said.first()?);
        let is_asked_for = Path::new(fixed).starts_with(folder) && folder.starts_with(root);
        is_asked_for.then(|| folder.to_path_buf())
    }

    /// Whose a process is, and what a variable was set to when it began. Neither changes while it
    /// lives.
    pub(super) fn origin(self, pid: u32, life: Life, name: &str) -> Option<Origin> {
        let key = (life, name.to_owned());
        if let Some(known) = lock(&self.files.origins).get(&key) {
            return Some(known.clone());
        }
        if !name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
            return None;
        }
        let said = self.lines("origin", &format!("{pid} {name}"))?;
        let origin = origin_of(&said)?;
        let mut origins = lock(&self.files.origins);
        if origins.len() >= ORIGINS_MAX {
            origins.clear();
        }
        origins.insert(key, origin.clone());
        Some(origin)
    }

    pub(super) fn read(self, path: &str, user: u32, part: Part) -> Result<Content, Refused> {
        match part {
            Part::Whole { bytes_max } => {
                let read = self.part(path, user, "0", bytes_max)?;
                if read.length > bytes_max as u64 {
                    return Err(Refused::TooLong(read.length));
                }
                Ok(read)
            }
            Part::From { begin, bytes_max } => {
                let read = self.part(path, user, &begin.to_string(), bytes_max)?;
                Ok(Content { is_cut: begin > 0, ..read })
            }
            Part::End { bytes_max } => self.end(path, user, bytes_max),
        }
    }

    /// The end of a file. Of one that only grew since the last time, what is new is sent.
    fn end(self, path: &str, user: u32, bytes_max: usize) -> Result<Content, Refused> {
        let known = lock(&self.files.ends).remove(path).filter(|end| end.user == user);
        let more = known.and_then(|end| self.grown(path, end, bytes_max).transpose());
        let read = match more {
            Some(read) => read?,
            None => {
                let read = self.part(path, user, "end", bytes_max)?;
                Content { is_cut: read.length > read.bytes.len() as u64, ..read }
            }
        };
        let mut ends = lock(&self.files.ends);
        if ends.len() >= ENDS_MAX {
            ends.pop_first();
        }
        let (bytes, length) = (read.bytes.clone(), read.length);
        ends.insert(path.to_owned(), End { user, bytes, length });
        Ok(read)
    }

    /// The same, if it goes on where it ended the last time; nothing if it is another one.
    fn grown(self, path: &str, end: End, bytes_max: usize) -> Result<Option<Content>, Refused> {
        let overlap = end.bytes.len().min(OVERLAP_BYTES);
        let begin = end.length.saturating_sub(overlap as u64);
        if overlap < OVERLAP_BYTES {
            return Ok(None);
        }
        let read = self.part(path, end.user, &begin.to_string(), bytes_max)?;
        // What was not all sent has grown by more than its end can hold.
        let is_same = read.bytes.starts_with(&end.bytes[end.bytes.len() - overlap..]);
        if !is_same || read.bytes.len() >= bytes_max {
            return Ok(None);
        }
        let length = begin + read.bytes.len() as u64;
        let (mut bytes, written) = (end.bytes, read.written);
        bytes.extend_from_slice(&read.bytes[overlap..]);
        let over = bytes.len().saturating_sub(bytes_max);
        bytes.drain(..over);
        Ok(Some(Content { is_cut: length > bytes.len() as u64, bytes, length, written }))
    }

    /// A part of a file as it is sent.
    fn part(self, path: &str, user: u32, from: &str, max: usize) -> Result<Content, Refused> {
        if !is_plain(path) {
            return Err(io::Error::from(io::ErrorKind::InvalidFilename).into());
        }
        let max = max.min(PART_BYTES_MAX);
        let answer = self.ask("file", &format!("{user} {from} {max} {path}"));
        let answer = answer.ok_or(Refused::Io(io::ErrorKind::TimedOut.into()))?;
        let mut content = content_of(answer, max)?;
        let behind_ms = self.tether.far_clock().behind_ms();
        content.written = content.written.map(|at| WallMs(at.0.saturating_add(behind_ms)));
        Ok(content)
    }
}

/// Reads the answer to a question for a part of a file, with the time by the clock there.
fn content_of(mut answer: Vec<u8>, max: usize) -> Result<Content, Refused> {
    let end = answer.iter().position(|byte| *byte == b'\n').unwrap_or(answer.len());
    let said = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut words = said.split(' ');
    let (what, number) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    match (what, number.parse()) {
        ("file", Ok(length)) => {
            let mut bytes = answer.split_off((end + 1).min(answer.len()));
            bytes.truncate(max);
            Ok(Content { bytes, is_cut: false, length, written: moment_of(words) })
        }
        ("foreign", Ok(user)) => Err(Refused::Foreign(u32::try_from(user).unwrap_or(u32::MAX))),
        ("other", _) => Err(Refused::NoFile),
        ("absent", _) => Err(io::Error::from(io::ErrorKind::NotFound).into()),
        _ => Err(io::Error::from(io::ErrorKind::PermissionDenied).into()),
    }
}

/// Reads `DATE TIME ZONE` as `ls` lists them. A time without a fraction may be a second too early,
/// and is none.
fn moment_of<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<WallMs> {
    let (date, time, zone) = (words.next()?, words.next()?, words.next()?);
    let (hours, minutes) = zone.split_at_checked(3)?;
    let at: Timestamp = format!("{date}T{time}{hours}:{minutes}").parse().ok()?;
    time.contains('.').then_some(WallMs(at.as_millis()))
}

/// Reads how a process's folder is listed, with its value, if it has one, on the next line.
fn origin_of(said: &[String]) -> Option<Origin> {
    let mut lines = said.iter();
    let user = lines.next()?.split_whitespace().nth(2)?.parse().ok()?;
    let value = lines.next().filter(|value| !value.is_empty());
    Some(Origin { user, value: value.map(|value| value.replace('\u{1e}', "\n")) })
}

/// Whether a path can be asked for at all.
fn is_plain(path: &str) -> bool {
    path.starts_with('/') && path.len() <= PATH_BYTES_MAX && !path.contains(char::is_control)
}

/// A pattern as a shell reads it that expands it: nothing but `*` means more than itself. Nothing
/// where not every shell would do that alike.
fn as_pattern(pattern: &str) -> Option<String> {
    if !is_plain(pattern) || pattern.contains('\\') {
        return None;
    }
    Some(pattern.replace('[', "[[]").replace('?', "[?]"))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_answers_is_judged() {
        let read = |said: &[u8]| content_of(said.to_vec(), 4);
        let whole = Content { bytes: b"a\nb".to_vec(), is_cut: false, length: 3, written: None };
        assert_eq!(read(b"file 3\na\nb").unwrap(), whole);
        let written = |said: &str| read(format!("file 3 {said}\na\nb").as_bytes()).unwrap().written;
        let at = Some(WallMs(1_795_406_112_432));
        assert_eq!(written("2026-11-23 03:55:12.432999999 +0000"), at);
        assert_eq!(written("2026-11-23 09:25:12.432000000 +0530"), at);
        for odd in
            ["2026-11-23 03:55:12 +0000", "2026-11-23 03:55:12.4", "x y z", "2026-11-23", "é é é"]
        {
            assert_eq!(written(odd), None, "{odd}");
        }
        assert_eq!(read(b"file 9\n123456789").unwrap().bytes, b"1234", "no more than was asked");
        assert_eq!(read(b"file 0").unwrap().bytes, b"");
        assert!(matches!(read(b"foreign 7\n"), Err(Refused::Foreign(7))));
        assert!(matches!(read(b"other\n"), Err(Refused::NoFile)));
        assert!(read(b"absent\n").unwrap_err().is_absence());
        for odd in [&b""[..], b"closed\n", b"file\n", b"file x\n", b"file -1\nabc", b"\xff 3\n"] {
            assert!(matches!(read(odd), Err(Refused::Io(_))), "{odd:?}");
        }
    }

    #[test]
    fn a_process_is_somebodys_and_was_told_something() {
        let read = |said: &[&str]| {
            origin_of(&said.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
        };
        let listed = "dr-xr-xr-x 9 1000 1001 0 Jan  1 10:00 /proc/7";
        let value = Some("/home/a".to_owned());
        assert_eq!(read(&[listed, "/home/a", ""]), Some(Origin { user: 1_000, value }));
        assert_eq!(read(&[listed, ""]), Some(Origin { user: 1_000, value: None }));
        assert_eq!(read(&["", "/home/a"]), None);
        assert_eq!(read(&["x y z"]), None);
    }

    #[test]
    fn only_a_star_means_more_than_itself() {
        assert_eq!(as_pattern("/a/*/b-*.x").as_deref(), Some("/a/*/b-*.x"));
        assert_eq!(as_pattern("/a[b]/c?").as_deref(), Some("/a[[]b]/c[?]"));
        for odd in ["a/b", "", "/a\nb", "/a\\b", &format!("/{}", "x".repeat(PATH_BYTES_MAX))] {
            assert_eq!(as_pattern(odd), None, "{odd}");
        }
    }
}
