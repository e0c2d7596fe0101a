//! Notices that the settings file changed, without looking at it until it does.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify;
use tokio::sync::mpsc;

/// Watches the file's folder from a thread of its own, which sleeps until something happens.
///
/// The folder need not exist: then nothing is watched, and `qd daemon` reads the file at its next
/// start only.
pub(crate) fn watch(config: &Path) -> mpsc::Receiver<()> {
    let (changed, changes) = mpsc::channel(1);
    let config = config.to_owned();
    let spawned = std::thread::Builder::new()
        .name("config".to_owned())
        .spawn(move || follow(&config, &changed));
    if let Err(error) = spawned {
        tracing::warn!(%error, "settings are not watched");
    }
    changes
}

/// Ends when nobody listens or nothing can be watched.
fn follow(config: &Path, changed: &mpsc::Sender<()>) {
    let Some((folder, name)) = config.parent().zip(config.file_name()) else { return };
    let inotify = match open(folder) {
        Ok(inotify) => inotify,
        Err(error) => {
            tracing::info!(%error, "settings are not watched");
            return;
        }
    };
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(inotify, &mut buffer);
    loop {
        let ours = match reader.next() {
            Ok(event) => event
                .file_name()
                .is_none_or(|changed| OsStr::from_bytes(changed.to_bytes()) == name),
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
        };
        // A full channel means that the change is being looked at already.
        if ours && matches!(changed.try_send(()), Err(mpsc::error::TrySendError::Closed(()))) {
            return;
        }
    }
}

fn open(folder: &Path) -> rustix::io::Result<std::os::fd::OwnedFd> {
    let inotify = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    let flags = inotify::WatchFlags::CLOSE_WRITE
        | inotify::WatchFlags::MOVED_TO
        | inotify::WatchFlags::DELETE;
    inotify::add_watch(&inotify, PathBuf::from(folder), flags)?;
    Ok(inotify)
}
