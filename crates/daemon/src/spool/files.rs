//! The files of the spool's folder, each read on from where it was taken in to.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use agents::spool::{ACTIVE, is_segment};
use rustix::fs::{CWD, Mode, OFlags, openat};
use tokio::time::Instant;

use super::batch::{Line, Lines};
use super::cursor::Mark;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// One file that is being followed.
#[derive(Debug)]
pub(super) struct Spooled {
    pub(super) name: String,
    /// When it was first seen under the name of a file that was set aside.
    pub(super) aside_since: Option<Instant>,
    /// It has no name any more. Whoever has it open can still write to it.
    pub(super) is_gone: bool,
    file: File,
    inode: (u64, u64),
    lines: Lines,
    /// The bytes before where it was read to: where they changed, so did everything.
    mark: Mark,
}

/// Opens a file, if it is one and ours.
pub(super) fn open(folder: &Path, name: &str) -> io::Result<Option<File>> {
    // Without `NONBLOCK` a pipe that somebody put there would hold the daemon up.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(CWD, folder.join(name), flags, Mode::empty())?);
    let found = file.metadata()?;
    let ours = found.is_file() && found.uid() == rustix::process::geteuid().as_raw();
    Ok(ours.then_some(file))
}

/// The names of the spool's files, the oldest first.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        if let Ok(name) = entry?.file_name().into_string()
            && (name == ACTIVE || is_segment(&name))
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Which file a name stands for now.
pub(super) fn inode(folder: &Path, name: &str) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(folder.join(name))?;
    Ok((found.dev(), found.ino()))
}

impl Spooled {
    /// Follows a file from the mark that fits it, or else from its beginning.
    pub(super) fn follow(name: String, file: File, marks: &[Mark]) -> io::Result<Self> {
        let found = file.metadata()?;
        let fitting = marks.iter().filter(|mark| mark.fits(&file)).map(|mark| mark.position);
        let position = fitting.max().unwrap_or(0);
        Ok(Self {
            name,
            aside_since: None,
            is_gone: false,
            inode: (found.dev(), found.ino()),
            lines: Lines::from(position),
            mark: Mark::at(&file, position)?,
            file,
        })
    }

    pub(super) fn inode(&self) -> (u64, u64) {
        self.inode
    }

    /// Whether everything in it was read, be the last line whole or not.
    pub(super) fn is_at_its_end(&self) -> io::Result<bool> {
        Ok(self.lines.read_to() >= self.file.metadata()?.len())
    }

    /// Bytes that were read and are not a whole line.
    pub(super) fn rest(&self) -> u64 {
        self.lines.read_to() - self.lines.position()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.lines.read_to()
    }

    /// The mark of what was taken in.
    pub(super) fn taken(&self) -> io::Result<Mark> {
        Mark::at(&self.file, self.lines.position())
    }

    /// Forces what nobody could take in yet onto the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// The next lines, as many as are handed over together, and where the first of them begins.
    pub(super) fn next_lines(&mut self) -> io::Result<(u64, Vec<Line>)> {
        if !self.mark.fits(&self.file) {
            // It was cut or written anew: what we know already will be known by its id.
            self.go_back_to(0)?;
        }
        let (mut lines, begin) = (Vec::new(), self.lines.position());
        loop {
            if self.lines.gather(begin, &mut lines) || !self.read_on()? {
                return Ok((begin, lines));
            }
        }
    }

    /// Forgets everything that was read behind a position, to read it once more.
    pub(super) fn go_back_to(&mut self, position: u64) -> io::Result<()> {
        self.lines = Lines::from(position);
        self.mark = Mark::at(&self.file, position)?;
        Ok(())
    }

    fn read_on(&mut self) -> io::Result<bool> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let length = self.file.read_at(&mut chunk, self.lines.read_to())?;
        if length > 0 {
            self.lines.push(&chunk[..length]);
            self.mark = Mark::at(&self.file, self.lines.read_to())?;
        }
        Ok(length > 0)
    }
}
