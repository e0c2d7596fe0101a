//! Files that programs of a user write, read with care: whoever may write there can put anything
//! in their place.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use engine::time::WallMs;
use rustix::fs::{CWD, Mode, OFlags, openat};

/// Folders' entries that are looked at to find one file.
const ENTRIES_MAX: usize = 20_000;
/// Descriptors of one process that are looked at.
const DESCRIPTORS_MAX: usize = 1_024;
/// As much as is read of a process's environment.
const ENVIRONMENT_BYTES_MAX: u64 = 256 * 1024;

/// Which part of a file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it; a longer file is refused.
    Whole { bytes_max: usize },
    /// As much of its end.
    End { bytes_max: usize },
    /// As much from there on.
    From { begin: u64, bytes_max: usize },
}

/// How a file is read that may be long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces {
    pub bytes_max: usize,
    /// As many in one go.
    pub count: usize,
}

impl Pieces {
    pub(super) const NEAR: Self = Self { bytes_max: 256 * 1024, count: 256 };
    /// Others want to use the way between two of them.
    pub(super) const FAR: Self = Self { bytes_max: 64 * 1024, count: 2 };
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub bytes: Vec<u8>,
    /// There is more before it.
    pub is_cut: bool,
    /// How long the file was.
    pub length: u64,
    /// When it was written last, where it is somewhere else and that is known: it is read late there.
    pub written: Option<WallMs>,
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    #[error("it is no plain file")]
    NoFile,
    #[error("it belongs to user {0}")]
    Foreign(u32),
    #[error("it has {0} bytes")]
    TooLong(u64),
}

impl From<rustix::io::Errno> for Refused {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}

impl Refused {
    /// Nobody answered: that says nothing of the file.
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::TimedOut)
    }

    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads a part of a file that belongs to `user`. A link in its place is not followed, and a pipe
/// is not waited for.
pub(super) fn read(path: &str, user: u32, part: Part) -> Result<Content, Refused> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat(CWD, path, flags, Mode::empty())?);
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(Refused::NoFile);
    }
    if found.uid() != user {
        return Err(Refused::Foreign(found.uid()));
    }
    let (bytes_max, begin) = match part {
        Part::Whole { bytes_max } if found.len() > bytes_max as u64 => {
            return Err(Refused::TooLong(found.len()));
        }
        Part::Whole { bytes_max } => (bytes_max, 0),
        Part::End { bytes_max } => (bytes_max, found.len().saturating_sub(bytes_max as u64)),
        Part::From { begin, bytes_max } => (bytes_max, begin),
    };
    let mut bytes = vec![0; bytes_max];
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], begin + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(length);
    Ok(Content { bytes, is_cut: begin > 0, length: found.len(), written: None })
}

/// The files whose paths fit a pattern, in which a part may hold `*`. The last written is first.
pub(super) fn matching(pattern: &str) -> Vec<String> {
    let mut left = ENTRIES_MAX;
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        found = found.into_iter().flat_map(|folder| entries(&folder, part, &mut left)).collect();
    }
    let written = |path: &PathBuf| fs::symlink_metadata(path).and_then(|it| it.modified()).ok();
    let mut dated: Vec<(Option<SystemTime>, PathBuf)> =
        found.into_iter().map(|path| (written(&path), path)).collect();
    dated.retain(|(written, _)| written.is_some());
    dated.sort_by(|one, two| two.cmp(one));
    dated.into_iter().filter_map(|(_, path)| path.into_os_string().into_string().ok()).collect()
}

/// What in a folder fits one part of a pattern. Folders are named after days and sessions, so the
/// last names are the ones worth looking at where there are too many.
fn entries(folder: &Path, part: &str, left: &mut usize) -> Vec<PathBuf> {
    if !part.contains('*') {
        return vec![folder.join(part)];
    }
    let Ok(listed) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        listed.take(*left).filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    *left = left.saturating_sub(names.len());
    names.retain(|name| fits(name, part));
    names.sort_unstable_by(|one, two| two.cmp(one));
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// Whether a name fits a pattern with `*` for any text.
pub(super) fn fits(name: &str, pattern: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else { return name == pattern };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    while let Some((middle, after)) = rest.split_once('*') {
        let Some(at) = name.find(middle) else { return false };
        (name, rest) = (&name[at + middle.len()..], after);
    }
    name.ends_with(rest)
}

/// Whether a path fits a pattern, part by part.
pub(super) fn path_fits(path: &str, pattern: &str) -> bool {
    let (mut parts, mut patterns) = (path.split('/'), pattern.split('/'));
    loop {
        match (parts.next(), patterns.next()) {
            (None, None) => return true,
            (Some(part), Some(pattern)) if fits(part, pattern) => {}
            (Some(_), _) | (None, _) => return false,
        }
    }
}

/// The paths that a process has open.
pub(super) fn open_paths(pid: u32) -> Vec<String> {
    let listed = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    let links =
        listed.take(DESCRIPTORS_MAX).filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter_map(|path| path.into_os_string().into_string().ok()).collect()
}

/// What a variable is set to in a process's environment.
pub(super) fn variable(pid: u32, name: &str) -> Option<String> {
    let mut environment = Vec::new();
    let file = File::open(format!("/proc/{pid}/environ")).ok()?;
    io::Read::read_to_end(&mut io::Read::take(file, ENVIRONMENT_BYTES_MAX), &mut environment)
        .ok()?;
    let set = environment
        .split(|byte| *byte == 0)
        .find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    String::from_utf8(set.to_vec()).ok()
}

/// The user of a process.
pub(super) fn user(pid: u32) -> Option<u32> {
    Some(fs::metadata(format!("/proc/{pid}")).ok()?.uid())
}

/// The folder that a path lies in or, while that is not there, the nearest above it that is, but
/// none above `root`.
pub(super) fn nearest_folder(path: &str, root: &str) -> Option<PathBuf> {
    let above = fixed_folder(path)?.ancestors();
    let folder = above.take_while(|folder| folder.starts_with(root)).find(|it| it.is_dir())?;
    Some(folder.to_path_buf())
}

/// The folder that everything lies in, or below, which fits a pattern.
pub(super) fn fixed_folder(pattern: &str) -> Option<&Path> {
    let fixed = pattern.split('*').next().unwrap_or_default();
    // What stands before a wildcard may end in the middle of a name.
    Path::new(fixed).ancestors().nth(usize::from(!fixed.ends_with('/')))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const WHOLE: Part = Part::Whole { bytes_max: 8 };
    const END: Part = Part::End { bytes_max: 4 };

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn path(folder: &tempfile::TempDir, name: &str) -> String {
        folder.path().join(name).to_str().unwrap().to_owned()
    }

    #[test]
    fn a_file_is_read_whole_or_from_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = path(&dir, "a");
        fs::write(&file, "1234567").unwrap();
        let read = |part| read(&file, me(), part).unwrap();
        assert_eq!(
            read(WHOLE),
            Content { bytes: b"1234567".to_vec(), is_cut: false, length: 7, written: None }
        );
        assert_eq!(
            read(END),
            Content { bytes: b"4567".to_vec(), is_cut: true, length: 7, written: None }
        );
        fs::write(&file, "12").unwrap();
        assert_eq!(
            read(END),
            Content { bytes: b"12".to_vec(), is_cut: false, length: 2, written: None }
        );
    }

    #[test]
    fn what_is_not_a_plain_file_of_that_user_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link, pipe) = (path(&dir, "a"), path(&dir, "link"), path(&dir, "pipe"));
        fs::write(&file, "123456789").unwrap();
        symlink(&file, &link).unwrap();
        rustix::fs::mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        assert!(matches!(read(&file, me(), WHOLE), Err(Refused::TooLong(9))));
        assert!(matches!(read(&file, me() + 1, END), Err(Refused::Foreign(_))));
        assert!(matches!(read(&link, me(), END), Err(Refused::Io(_))));
        assert!(matches!(read(&pipe, me(), END), Err(Refused::NoFile)));
        assert!(matches!(read(&path(&dir, "."), me(), END), Err(Refused::NoFile)));
        assert!(read(&path(&dir, "none"), me(), END).unwrap_err().is_absence());
    }

    #[test]
    fn names_fit_patterns() {
        for (name, pattern) in [("a", "a"), ("ab-12.x", "ab-*.x"), ("abcabc", "a*b*c"), ("", "*")] {
            assert!(fits(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in [("ab", "a"), ("ab-12.y", "ab-*.x"), ("ab", "a*b*b"), ("ba", "a*")] {
            assert!(!fits(name, pattern), "{name} {pattern}");
        }
        assert!(path_fits("/a/b/c", "/a/*/c"));
        assert!(!path_fits("/a/b/b/c", "/a/*/c") && !path_fits("/a/b", "/a/*/c"));
    }

    #[test]
    fn of_several_files_the_last_written_is_first() {
        let dir = tempfile::tempdir().unwrap();
        for (name, second) in [("x/log-1", 5), ("y/log-2", 9), ("z/log-3", 7), ("z/other", 8)] {
            let file = path(&dir, name);
            fs::create_dir_all(Path::new(&file).parent().unwrap()).unwrap();
            let file = File::create(&file).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second))
                .unwrap();
        }
        let found = matching(&path(&dir, "*/log-*"));
        assert_eq!(found, ["y/log-2", "z/log-3", "x/log-1"].map(|name| path(&dir, name)));
        assert_eq!(matching(&path(&dir, "none/*")), [""; 0]);
    }

    #[test]
    fn the_folder_to_watch_is_the_nearest_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        let root = dir.path().to_str().unwrap();
        let nearest = |name: &str| nearest_folder(&path(&dir, name), root);
        assert_eq!(nearest("a/b/file"), Some(dir.path().join("a/b")));
        assert_eq!(nearest("a/c/d/file"), Some(dir.path().join("a")));
        assert_eq!(nearest("a/*/file"), Some(dir.path().join("a")));
        assert_eq!(nearest("a/b*/file"), Some(dir.path().join("a")));
        assert_eq!(nearest_folder("/none/at/all", root), None);
    }

    #[test]
    fn a_process_tells_its_variables_its_user_and_what_it_has_open() {
        let pid = std::process::id();
        assert_eq!(variable(pid, "PATH"), std::env::var("PATH").ok());
        assert_eq!(variable(pid, "PAT"), None);
        assert_eq!(user(pid), Some(me()));
        let file = tempfile::NamedTempFile::new().unwrap();
        let held = file.path().canonicalize().unwrap();
        assert!(open_paths(pid).iter().any(|path| Path::new(path) == held));
    }
}
