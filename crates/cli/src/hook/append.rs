//! One record at the end of the spool, by one write.
//!
//! The kernel appends one write of one process after the other, so records need no lock. A file
//! that has grown too large is set aside by whoever notices; whoever opened it before goes on
//! appending to the same file under its new name, and the reader counts on that.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use agents::spool::{ACTIVE, SEGMENT_BYTES_MAX, SEGMENTS_MAX, is_segment};
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat, renameat};
use rustix::io::Errno;

/// How often a file may be deleted under our hands. Who is that slow is stopped again and again.
const TRIES_MAX: usize = 3;

/// Appends `line`. The file is set aside under the name `aside` if it is full.
pub(super) fn append(folder: &Path, line: &[u8], aside: &str) -> io::Result<()> {
    let folder_fd = open_folder(folder)?;
    for _ in 0..TRIES_MAX {
        let (mut file, bytes) = open_active(&folder_fd)?;
        if bytes >= SEGMENT_BYTES_MAX {
            renameat(&folder_fd, ACTIVE, &folder_fd, aside)?;
            give_up_oldest(folder)?;
            file = open_active(&folder_fd)?.0;
        }
        // Of a record that does not fit on the disk, the rest is not tried again: the reader sees
        // by its missing end that it is none, and the next one begins with an end of line.
        rustix::io::write(&file, line)?;
        // A file without a name was deleted since it was opened, and whether the reader got to see
        // the record is not known. Twice does no harm: it has the same id.
        if fstat(&file)?.st_nlink > 0 {
            return Ok(());
        }
    }
    Err(io::ErrorKind::Interrupted.into())
}

/// Whether something could be appended now.
pub(super) fn is_open(folder: &Path) -> bool {
    open_folder(folder).and_then(|folder| open_active(&folder)).is_ok()
}

/// The spool's folder, made if it is missing. That of somebody else is not written to: it would
/// hand them what the agent said.
fn open_folder(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || openat(CWD, folder, flags, Mode::empty());
    let opened = match open() {
        Err(Errno::NOENT) => {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            open()?
        }
        opened => opened?,
    };
    let found = fstat(&opened)?;
    ours(&found)?;
    if Mode::from_raw_mode(found.st_mode).intersects(Mode::RWXG | Mode::RWXO) {
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    Ok(opened)
}

/// The file that records are appended to, and its length.
fn open_active(folder: &OwnedFd) -> io::Result<(OwnedFd, u64)> {
    // Without `NONBLOCK` a pipe that somebody put there would hold the agent up.
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    let file = openat(folder, ACTIVE, flags, Mode::RUSR | Mode::WUSR)?;
    let found = fstat(&file)?;
    ours(&found)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok((file, u64::try_from(found.st_size).unwrap_or(0)))
}

fn ours(found: &Stat) -> io::Result<()> {
    if found.st_uid == rustix::process::geteuid().as_raw() {
        Ok(())
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Deletes the files that were set aside first, where nobody has read them for too long.
fn give_up_oldest(folder: &Path) -> io::Result<()> {
    let names =
        fs::read_dir(folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut segments: Vec<String> = names.filter(|name| is_segment(name)).collect();
    segments.sort_unstable();
    let surplus = segments.len().saturating_sub(SEGMENTS_MAX);
    for name in &segments[..surplus] {
        fs::remove_file(folder.join(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let spool = home.path().join("state/spool");
        (home, spool)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_first_record_makes_a_folder_and_a_file_for_nobody_else() {
        let (_home, spool) = folder();
        append(&spool, b"\none\n", "x").unwrap();
        append(&spool, b"\ntwo\n", "x").unwrap();
        assert_eq!(fs::read(spool.join(ACTIVE)).unwrap(), b"\none\n\ntwo\n");
        assert_eq!([mode(&spool), mode(&spool.join(ACTIVE))], [0o700, 0o600]);
        fs::set_permissions(&spool, Permissions::from_mode(0o777)).unwrap();
        append(&spool, b"\nthree\n", "x").unwrap();
        assert_eq!(mode(&spool), 0o700, "it is closed again");
    }

    #[test]
    fn a_full_file_is_set_aside_and_the_oldest_of_too_many_is_given_up() {
        let (_home, spool) = folder();
        append(&spool, b"x", "x").unwrap();
        let fill = || {
            let active = fs::OpenOptions::new().write(true).open(spool.join(ACTIVE)).unwrap();
            active.set_len(SEGMENT_BYTES_MAX).unwrap();
        };
        let aside: Vec<String> =
            (0..=SEGMENTS_MAX).map(|it| format!("hooks-{it}-1.spool")).collect();
        for name in &aside {
            fill();
            append(&spool, b"new", name).unwrap();
        }
        assert_eq!(fs::read(spool.join(ACTIVE)).unwrap(), b"new");
        let kept: Vec<bool> = aside.iter().map(|name| spool.join(name).exists()).collect();
        assert_eq!(kept[..2], [false, true], "only the oldest is gone");
        assert!(kept[1..].iter().all(|kept| *kept));
    }

    #[test]
    fn nothing_is_written_where_somebody_put_something_else() {
        let (home, spool) = folder();
        append(&spool, b"x", "x").unwrap();
        let active = spool.join(ACTIVE);
        let elsewhere = home.path().join("elsewhere");
        fs::write(&elsewhere, "").unwrap();
        fs::remove_file(&active).unwrap();
        symlink(&elsewhere, &active).unwrap();
        assert!(append(&spool, b"secret", "x").is_err(), "a link");
        fs::remove_file(&active).unwrap();
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(CWD, &active, pipe, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(append(&spool, b"secret", "x").is_err(), "a pipe that nobody reads");
        assert_eq!(fs::read(&elsewhere).unwrap(), b"");
    }
}
