//! Room kept back on the disk: a file that is given up when the disk is full, so that what has to
//! be written still can be, and made again when there is room.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use engine::time::Now;
use rustix::fs::{FallocateFlags, fallocate, statvfs};

use crate::files::Files;
use crate::limits;

/// The room kept back beside one database.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    held: bool,
    /// It was given up, and there has been no room since.
    released: bool,
    tried_at: Option<Now>,
}

impl Reserve {
    /// Holds the room, or as much as a small disk can spare.
    pub(crate) fn hold(files: &Files, now: Now) -> Self {
        let mut reserve =
            Self { path: files.reserve.clone(), held: false, released: false, tried_at: None };
        reserve.restore(now);
        reserve
    }

    pub(crate) fn is_released(&self) -> bool {
        self.released
    }

    /// Gives the room up; `false` if there is none to give.
    pub(crate) fn release(&mut self, now: Now) -> bool {
        self.tried_at = Some(now);
        let given = std::mem::take(&mut self.held) && give_up(&self.path);
        self.released |= given;
        given
    }

    /// Takes the room back when there is enough, asking now and then.
    pub(crate) fn restore(&mut self, now: Now) {
        let soon = self.tried_at.is_some_and(|at| now.since(at.stamp()) < limits::RESERVE_RETRY_MS);
        if self.held || soon {
            return;
        }
        self.tried_at = Some(now);
        self.held = take(&self.path).unwrap_or(false);
        self.released &= !self.held;
    }
}

/// Deletes the reserve at `path`; `false` if there is none.
pub(crate) fn give_up(path: &Path) -> bool {
    fs::remove_file(path).is_ok()
}

fn take(path: &Path) -> io::Result<bool> {
    let disk = statvfs(path.parent().unwrap_or(Path::new(".")))?;
    let wanted = limits::RESERVE_BYTES.min(disk.f_blocks.saturating_mul(disk.f_frsize) / 8);
    if wanted < limits::RESERVE_BYTES_MIN {
        return Ok(false);
    }
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() == wanted) {
        return Ok(true);
    }
    if disk.f_bavail.saturating_mul(disk.f_frsize) < wanted.saturating_mul(2) {
        return Ok(false);
    }
    let file = Files::create_private(path)?;
    let taken = fallocate(&file, FallocateFlags::empty(), 0, wanted);
    if let Err(error) = taken {
        give_up(path);
        return Err(error.into());
    }
    Ok(true)
}
