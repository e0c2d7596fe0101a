//! What the machine has to offer.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use daemon::paths::Paths;
use rustix::fs::{inotify, statvfs};

use crate::commands::doctor::{Check, Verdict};

const MIB: u64 = 1024 * 1024;

/// What a folder has to take for the proof that it takes anything.
const TRIAL_BYTES: usize = 4096;

/// With less room than this the daemon soon refuses to write.
const ROOM_LEAST: u64 = 16 * MIB;

/// With less than this it is time to make some.
const ROOM_LITTLE: u64 = 256 * MIB;

/// Whether anything can be stored: a folder that takes a file, and a database that may be written.
pub(super) fn home(paths: &Paths) -> Check {
    let home = paths.home.display();
    // What is not there yet is made below the nearest folder that is.
    let folder = paths.home.ancestors().find(|folder| folder.is_dir()).unwrap_or(&paths.home);
    let written =
        takes_files(folder).map_err(|error| (folder, error)).and_then(
            |()| match OpenOptions::new().write(true).open(&paths.database) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err((&*paths.database, error)),
                Ok(_) | Err(_) => Ok(()),
            },
        );
    match written {
        Ok(()) => Check::new("home", Verdict::Ok, format!("{home} can be written")),
        Err((place, error)) => {
            let message = format!("{} cannot be written: {error}", place.display());
            let hint = if error.kind() == ErrorKind::ReadOnlyFilesystem {
                "Mount that disk read-write, or choose another with QD_HOME."
            } else if is_full(&error) {
                "Make room there."
            } else {
                "Choose another place with QD_HOME, or see with ls -ld and lsattr what protects it."
            };
            Check::new("home", Verdict::Failed, message).hint(hint)
        }
    }
}

/// Whether a database is there and nothing but room is missing to write it. A daemon starts there:
/// it shows what it knows, and stores again when there is room.
pub(super) fn lacks_room_only(paths: &Paths) -> bool {
    let kept = paths.database.metadata().is_ok_and(|it| it.len() > 0);
    kept && takes_files(&paths.home).is_err_and(|error| is_full(&error))
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Makes a file with something in it in a folder, and takes it away again.
fn takes_files(folder: &Path) -> std::io::Result<()> {
    let trial = folder.join(format!(".qd-doctor-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&trial)?;
    // A name alone may find room where nothing else does.
    let written = file.write_all(&[b' '; TRIAL_BYTES]);
    std::fs::remove_file(&trial)?;
    written
}

/// Whether there is room for the journal.
pub(super) fn disk(home: &Path) -> Check {
    // The folder need not exist yet; the room is that of the disk it will be on.
    let Some(folder) = home.ancestors().find(|folder| folder.exists()) else {
        return Check::new("disk", Verdict::Warning, format!("{} is nowhere", home.display()));
    };
    let found = match statvfs(folder) {
        Ok(found) => found,
        Err(error) => {
            let message = format!("cannot tell the room at {}: {error}", folder.display());
            return Check::new("disk", Verdict::Warning, message);
        }
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let message = format!("{} MiB are free at {}", free / MIB, folder.display());
    if free >= ROOM_LITTLE {
        return Check::new("disk", Verdict::Ok, message);
    }
    let verdict = if free < ROOM_LEAST { Verdict::Failed } else { Verdict::Warning };
    Check::new("disk", verdict, message).hint("Make room there.")
}

/// Whether changes of terminals can be heard of at once.
pub(super) fn notifications() -> Check {
    let heard = inotify::init(inotify::CreateFlags::CLOEXEC)
        .and_then(|handle| inotify::add_watch(&handle, "/dev/pts", inotify::WatchFlags::CREATE));
    match heard {
        Ok(_) => Check::new("notifications", Verdict::Ok, "changes of terminals are heard at once"),
        Err(error) => {
            let message = format!(
                "changes of terminals are not heard of ({error}); what raises no event of tmux's \
                 is seen at the next scan"
            );
            let hint = "Raise fs.inotify.max_user_instances and fs.inotify.max_user_watches.";
            Check::new("notifications", Verdict::Warning, message).hint(hint)
        }
    }
}

/// Whether the daemon, and tmux itself, outlive a logout.
pub(super) fn session() -> Check {
    if !Path::new("/run/systemd/system").exists() {
        let message = "no systemd: the daemon is started when a command needs it";
        return Check::new("session", Verdict::Ok, message);
    }
    let lingers = std::env::var("USER")
        .is_ok_and(|user| Path::new("/var/lib/systemd/linger").join(user).exists());
    if lingers {
        return Check::new("session", Verdict::Ok, "you linger: the daemon outlives a logout");
    }
    let message = "systemd may end the daemon and tmux when you log out";
    Check::new("session", Verdict::Note, message).hint("loginctl enable-linger")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_takes_no_files_is_told_with_what_to_do() {
        let paths = |home: &str| {
            let home = std::ffi::OsString::from(home);
            Paths::find(|name| (name == "QD_HOME").then(|| home.clone())).unwrap()
        };
        let check = home(&paths("/proc/quarterdeck"));
        assert_eq!(check.verdict, Verdict::Failed);
        assert!(check.message.contains("/proc") && check.hint.contains("QD_HOME"), "{check:?}");
        let folder = tempfile::tempdir().unwrap();
        let check = home(&paths(&folder.path().join("not/yet").display().to_string()));
        assert_eq!(check.verdict, Verdict::Ok, "{check:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left there");
    }

    #[test]
    fn the_room_is_that_of_the_disk_where_the_folder_will_be() {
        let folder = tempfile::tempdir().unwrap();
        let check = disk(&folder.path().join("not/there/yet"));
        assert!(check.message.contains(folder.path().to_str().unwrap()), "{check:?}");
    }
}
