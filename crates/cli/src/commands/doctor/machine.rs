//! What the machine has to offer.

use std::path::Path;

use rustix::fs::{inotify, statvfs};

use crate::commands::doctor::{Check, Verdict};

const MIB: u64 = 1024 * 1024;

/// With less room than this the daemon soon refuses to write.
const ROOM_LEAST: u64 = 16 * MIB;

/// With less than this it is time to make some.
const ROOM_LITTLE: u64 = 256 * MIB;

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
    fn the_room_is_that_of_the_disk_where_the_folder_will_be() {
        let folder = tempfile::tempdir().unwrap();
        let check = disk(&folder.path().join("not/there/yet"));
        assert!(check.message.contains(folder.path().to_str().unwrap()), "{check:?}");
    }
}
