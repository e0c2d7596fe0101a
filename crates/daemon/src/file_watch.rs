//! Notices that a file was written, put in place or taken away, without looking at it until then.
//! The settings are watched so, and the socket.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::sync::mpsc::{self, error::TrySendError};

/// What happens to a file when it is written, put in place or taken away.
const WRITTEN: WatchFlags =
    WatchFlags::CLOSE_WRITE.union(WatchFlags::MOVED_TO).union(WatchFlags::DELETE);
/// What happens to a folder when another comes to be in it.
const MADE: WatchFlags = WatchFlags::CREATE.union(WatchFlags::MOVED_TO);
/// The watched folder itself went away.
const GONE: WatchFlags = WatchFlags::DELETE_SELF.union(WatchFlags::MOVE_SELF);

/// The watched folder is no more, or is elsewhere.
const LOST: ReadFlags =
    ReadFlags::IGNORED.union(ReadFlags::DELETE_SELF).union(ReadFlags::MOVE_SELF);
const PLACED: ReadFlags = ReadFlags::CREATE.union(ReadFlags::MOVED_TO);

/// Watches the file from a thread of its own, which sleeps until something happens. Neither the
/// file nor its folder need exist yet. Once the watch stands that is told as a change: what was
/// read before may have been written meanwhile.
pub(crate) fn watch(what: &'static str, file: &Path) -> mpsc::Receiver<()> {
    let file = file.to_owned();
    begin(what, move || Watched::of(&file))
}

/// The same for every file in a folder.
pub(crate) fn watch_within(what: &'static str, folder: &Path) -> mpsc::Receiver<()> {
    let folder = folder.to_owned();
    begin(what, move || Watched::within(&folder))
}

fn begin(
    what: &'static str,
    place: impl Fn() -> Option<Watched> + Send + 'static,
) -> mpsc::Receiver<()> {
    let (changed, changes) = mpsc::channel(1);
    let spawned = std::thread::Builder::new()
        .name(what.to_owned())
        .spawn(move || follow(what, &place, &changed));
    if let Err(error) = spawned {
        tracing::warn!(%error, what, "a file is not watched");
    }
    changes
}

/// Ends when nobody listens or nothing can be watched.
fn follow(what: &'static str, place: &impl Fn() -> Option<Watched>, changed: &mpsc::Sender<()>) {
    while !changed.is_closed() {
        let Some(watched) = place() else { return };
        let ended = watched.wait(|| tell(changed));
        if let Err(error) = ended {
            tracing::info!(%error, what, "a file is not watched");
            return;
        }
    }
}

/// Whether somebody still listens. A full channel means that the change is being looked at already.
fn tell(changed: &mpsc::Sender<()>) -> bool {
    !matches!(changed.try_send(()), Err(TrySendError::Closed(())))
}

/// The folders in which the next thing of interest happens.
struct Watched {
    folders: Vec<PathBuf>,
    /// What is of interest there; nothing means everything.
    names: Vec<OsString>,
    /// The file's own folder is there; else one above it.
    is_near: bool,
}

impl Watched {
    /// The file's folder, and that of the file a link leads to; else the nearest folder above it.
    fn of(file: &Path) -> Option<Self> {
        let folder = file.parent()?;
        if !folder.is_dir() {
            return Self::above(folder);
        }
        let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let files = [file, &real];
        Some(Self {
            folders: files.iter().filter_map(|file| Some(file.parent()?.to_owned())).collect(),
            names: files.iter().filter_map(|file| Some(file.file_name()?.to_owned())).collect(),
            is_near: true,
        })
    }

    /// The folder itself; else the nearest one above it.
    fn within(folder: &Path) -> Option<Self> {
        if !folder.is_dir() {
            return Self::above(folder);
        }
        Some(Self { folders: vec![folder.to_owned()], names: Vec::new(), is_near: true })
    }

    /// The nearest folder above one that is not there.
    fn above(folder: &Path) -> Option<Self> {
        // It may be there by now; then the one above it tells at once.
        let there = folder.ancestors().skip(1).find(|it| it.is_dir())?;
        let next = folder.strip_prefix(there).ok()?.components().next()?;
        let names = vec![next.as_os_str().to_owned()];
        Some(Self { folders: vec![there.to_owned()], names, is_near: false })
    }

    /// Tells of every change until the folders have to be found anew; once at the beginning, because
    /// nobody knows what happened between the last reading and the beginning of the watch.
    fn wait(&self, tell: impl Fn() -> bool) -> rustix::io::Result<()> {
        let inotify = inotify::init(inotify::CreateFlags::CLOEXEC)?;
        let flags = if self.is_near { WRITTEN.union(MADE) } else { MADE };
        for folder in &self.folders {
            match inotify::add_watch(&inotify, folder, flags.union(GONE)) {
                Ok(_) => {}
                // It went since it was found, as the ones below it did.
                Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if self.is_near && !tell() {
            return Ok(());
        }
        // What came to be before the watch stood would never be told.
        if !self.is_near && self.folders.iter().any(|it| it.join(&self.names[0]).is_dir()) {
            return Ok(());
        }
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(inotify, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
            };
            if event.events().intersects(LOST) {
                return Ok(());
            }
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            let of_interest =
                |name| self.names.is_empty() || self.names.iter().any(|it| it == name);
            if name.is_some_and(|name| !of_interest(name)) {
                continue;
            }
            if !self.is_near {
                return Ok(());
            }
            let is_link = || name.is_some_and(|name| self.folders[0].join(name).is_symlink());
            match event.events() {
                // A file that is only begun is told of when it is written.
                it if it.contains(ReadFlags::CREATE) && !is_link() => {}
                // Whatever was put in place may be a link that leads elsewhere.
                it if it.intersects(PLACED) => {
                    tell();
                    return Ok(());
                }
                _ if !tell() => return Ok(()),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_folder_that_came_while_it_was_missed_is_found_anew() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a");
        fs::create_dir(&folder).unwrap();
        let above = Watched::above(&folder).unwrap();
        above.wait(|| unreachable!("nothing can be told yet")).unwrap();
    }

    /// Folders that go from the inside out are gone again when they are to be watched.
    #[tokio::test]
    async fn a_file_is_watched_however_often_the_folders_above_it_go_and_come() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a/b/c/d/file");
        let mut changes = watch("test", &file);
        let appear = || {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "x").unwrap();
        };
        appear();
        let told = tokio::time::timeout(Duration::from_secs(10), changes.recv()).await;
        assert_eq!(told, Ok(Some(())), "the watch stands, or saw it come");
        for round in 0..50 {
            fs::remove_dir_all(root.path().join("a")).unwrap();
            appear();
            let told = tokio::time::timeout(Duration::from_secs(10), changes.recv()).await;
            assert_eq!(told, Ok(Some(())), "round {round}");
        }
    }

    #[tokio::test]
    async fn what_was_written_before_the_watch_stood_is_told_once_it_stands() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "read, and written again at once").unwrap();
        let mut changes = watch("test", &file);
        let told = tokio::time::timeout(Duration::from_secs(10), changes.recv()).await;
        assert_eq!(told, Ok(Some(())));
    }
}
