//! The spool's folder: which files it holds, which of them are set aside, and which are deleted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agents::record::Unreadable;
use agents::spool::ACTIVE;
use tokio::time::Instant;

use super::cursor::{self, Mark};
use super::files::{self, Spooled};
use super::tally::Tally;

/// How long after it was set aside a file is deleted. A writer that opened it before has this long
/// to write; `qd hook` looks whether that was enough.
const DELETE_DELAY: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// What the cursor said when we began.
    marks: Vec<Mark>,
    pub(super) files: Vec<Spooled>,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { marks: cursor::load(&path), path, files: Vec::new() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Finds new files, and sees which of the known ones have another name or none. Returns how
    /// many are not ours.
    pub(super) fn find(&mut self) -> io::Result<u64> {
        let (mut foreign, mut listed) = (0, Vec::new());
        for name in files::names(&self.path)? {
            let Ok(inode) = files::inode(&self.path, &name) else { continue };
            listed.push(inode);
            if let Some(known) = self.files.iter_mut().find(|it| it.inode() == inode) {
                known.name = name;
            } else {
                match files::open(&self.path, &name) {
                    Ok(Some(file)) => self.files.push(Spooled::follow(name, file, &self.marks)?),
                    Ok(None) | Err(_) => foreign += 1,
                }
            }
        }
        let now = Instant::now();
        for file in &mut self.files {
            file.is_gone = !listed.contains(&file.inode());
            if file.name != ACTIVE {
                file.aside_since.get_or_insert(now);
            }
        }
        self.files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(foreign)
    }

    /// Whether the file that is appended to holds anything.
    pub(super) fn has_something(&self) -> bool {
        self.files.iter().any(|file| file.name == ACTIVE && !file.is_gone && file.bytes() > 0)
    }

    /// Gives the file that is appended to another name, so that it comes to an end.
    pub(super) fn set_aside(&self, name: &str) -> io::Result<()> {
        fs::rename(self.path.join(ACTIVE), self.path.join(name))
    }

    /// Remembers how far everything was taken in.
    pub(super) fn save(&self) -> io::Result<()> {
        let named = self.files.iter().filter(|file| !file.is_gone);
        let marks = named.map(Spooled::taken).collect::<io::Result<Vec<_>>>()?;
        cursor::save(&self.path, &marks)
    }

    /// Forgets files that have no name any more and are read, and deletes those whose time is over.
    /// Returns when to come again: at once after a deletion, because a writer may have been quicker.
    pub(super) fn clear_up(&mut self, tally: &mut Tally) -> io::Result<Option<Instant>> {
        for file in self
            .files
            .extract_if(.., |file| file.is_gone && file.is_at_its_end().is_ok_and(|it| it))
        {
            if file.rest() > 0 {
                tally.unread(Unreadable::Torn);
            }
        }
        let now = Instant::now();
        let due = |file: &Spooled| {
            let since = file.aside_since.filter(|_| !file.is_gone && file.name != ACTIVE);
            since.map(|since| since + DELETE_DELAY)
        };
        let mut next = None;
        for index in 0..self.files.len() {
            let Some(at) = due(&self.files[index]) else { continue };
            if at <= now && self.files[index].is_at_its_end()? {
                fs::remove_file(self.path.join(&self.files[index].name))?;
                next = Some(now);
            } else {
                next = Some(next.map_or(at, |next: Instant| next.min(at)));
            }
        }
        Ok(next)
    }
}
