//! How far each file was taken in, kept beside the files.
//!
//! It only says where to begin. It is written after the commit of what it stands behind, so it may
//! lag and never leads; what is read once more because of that is known by its id. A file is
//! found again not by its name or its number, both of which come again, but by the bytes before
//! the position, which end with an id that no other record has.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};

const NAME: &str = "cursor";
const FRESH: &str = "new";
const HEADER: &str = "qd-spool-cursor 1";
/// Bytes before a position that tell which file it is.
const MARK_BYTES: u64 = 64;
/// Bytes of the cursor that are read. There are never so many files.
const BYTES_MAX: usize = 16 * 1024;

/// Everything before `position` was taken in, in the file that holds these bytes before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) position: u64,
    hash: String,
}

impl Mark {
    /// The mark of a position in a file, if the file is that long.
    pub(super) fn at(file: &File, position: u64) -> io::Result<Self> {
        let length = position.min(MARK_BYTES);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(&mut bytes, position - length)?;
        Ok(Self::behind(&bytes, position))
    }

    /// The mark of a position that these bytes stand before; only the last of them count.
    pub(super) fn behind(bytes: &[u8], position: u64) -> Self {
        let last = &bytes[bytes.len().saturating_sub(Self::bytes_before(position))..];
        let hash = Sha256::digest(last).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { position, hash }
    }

    /// How many bytes before a position are in its mark.
    pub(super) fn bytes_before(position: u64) -> usize {
        usize::try_from(position.min(MARK_BYTES)).unwrap_or(0)
    }

    pub(super) fn fits(&self, file: &File) -> bool {
        Self::at(file, self.position).is_ok_and(|found| found == *self)
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        let (position, hash) = line.split_once(' ')?;
        Some(Self { position: position.parse().ok()?, hash: hash.to_owned() })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.position, self.hash)
    }
}

/// The marks that were saved last. None where they cannot be read: then everything is read again.
pub(super) fn load(folder: &Path) -> Vec<Mark> {
    let lines = read(&folder.join(NAME)).unwrap_or_default();
    lines.iter().filter_map(|line| Mark::parse(line)).collect()
}

/// The lines of a cursor's file; nothing where there is none that can be read.
pub(super) fn read(path: &Path) -> Option<Vec<String>> {
    let text = fs::read_to_string(path).ok()?;
    let mut lines = text.get(..BYTES_MAX.min(text.len())).unwrap_or_default().lines();
    (lines.next() == Some(HEADER)).then(|| lines.map(str::to_owned).collect())
}

/// Replaces them. Not synced: after a power cut an older cursor, or none, does as well.
pub(super) fn save(folder: &Path, marks: &[Mark]) -> io::Result<()> {
    write(&folder.join(NAME), marks.iter().map(Mark::to_string))
}

/// Replaces the lines of a cursor's file.
pub(super) fn write(path: &Path, lines: impl Iterator<Item = String>) -> io::Result<()> {
    let lines = lines.map(|line| format!("{line}\n"));
    let text: String = std::iter::once(format!("{HEADER}\n")).chain(lines).collect();
    let fresh = path.with_extension(FRESH);
    fs::write(&fresh, text)?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_fits_the_file_it_was_made_of_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str, text: String| {
            fs::write(folder.path().join(name), text).unwrap();
            File::open(folder.path().join(name)).unwrap()
        };
        let one = open("one", "a".repeat(500) + "end=1\n");
        let longer = open("longer", "a".repeat(500) + "end=1\nand more");
        let other = open("other", "a".repeat(500) + "end=2\n");
        let short = open("short", "a".repeat(100));
        let mark = Mark::at(&one, 506).unwrap();
        assert!(mark.fits(&one) && mark.fits(&longer));
        assert!(!mark.fits(&other) && !mark.fits(&short));
        assert!(Mark::at(&short, 101).is_err());
    }

    #[test]
    fn marks_come_back_as_they_were_saved_and_not_at_all_where_they_are_damaged() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load(folder.path()), []);
        fs::write(folder.path().join("file"), "0123456789").unwrap();
        let file = File::open(folder.path().join("file")).unwrap();
        let marks = [Mark::at(&file, 3).unwrap(), Mark::at(&file, 10).unwrap()];
        save(folder.path(), &marks).unwrap();
        assert_eq!(load(folder.path()), marks);
        for damage in [&b""[..], b"qd-spool-cursor 2\n3 ab\n", b"\xff\xfe"] {
            fs::write(folder.path().join(NAME), damage).unwrap();
            assert_eq!(load(folder.path()), []);
        }
    }
}
