//! Connections that a person made in a terminal, where `ssh` can ask for what nobody else knows.
//!
//! Each target has one place for the socket of such an `ssh`, which stays the same over a restart of
//! the daemon. Whoever listens there holds a connection that the daemon goes through; it makes none
//! of its own meanwhile. The terminal owns it: the daemon ends it only where somebody disconnects or
//! removes the target.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::ids::TargetId;
use rustix::process::geteuid;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::folder::SOCKET_BYTES_MAX;
use super::process::{self, Ending, Environment, Program};

/// How long one may take to say that it is there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one may take to end when it is asked to.
const END_TIMEOUT: Duration = Duration::from_secs(3);
/// The folder within that of the connections.
const FOLDER: &str = "held";
/// How much of a target's id its socket is called by: the end, which is random.
const NAME_CHARS: usize = 16;

/// Where these sockets are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Masters {
    folder: Option<PathBuf>,
}

impl Masters {
    /// In the folder of the connections. What an earlier daemon left there is kept, and nothing else
    /// in that folder.
    pub(crate) fn open(routes: &Path) -> io::Result<Self> {
        let masters = Self::of(routes);
        let folder = routes.join(FOLDER);
        fs::DirBuilder::new().mode(0o700).recursive(true).create(&folder)?;
        for entry in fs::read_dir(routes)? {
            let entry = entry?;
            if entry.path() == folder {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(masters)
    }

    /// In the folder of the connections of a daemon.
    pub(crate) fn of(routes: &Path) -> Self {
        Self { folder: Some(routes.join(FOLDER)) }
    }

    /// The place of a target's; nothing where its path would be too long for a socket.
    pub(crate) fn socket(&self, target: &TargetId) -> Option<PathBuf> {
        let id = target.as_str();
        let name = id.get(id.len().saturating_sub(NAME_CHARS)..)?;
        let socket = self.folder.as_ref()?.join(name);
        (socket.as_os_str().len() <= SOCKET_BYTES_MAX).then_some(socket)
    }
}

impl Masters {
    /// The sockets that lie there.
    pub(crate) fn lying(&self) -> Vec<PathBuf> {
        let entries = self.folder.as_ref().and_then(|folder| fs::read_dir(folder).ok());
        entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }
}

/// Whether somebody of ours holds a connection there. What one that was killed left is taken away,
/// because it would be in the way of the next.
pub(crate) async fn is_held(socket: &Path) -> bool {
    match timeout(ANSWER_TIMEOUT, UnixStream::connect(socket)).await {
        Ok(Ok(stream)) => stream.peer_cred().is_ok_and(|it| it.uid() == geteuid().as_raw()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(socket).ok();
            false
        }
        Ok(Err(_)) => false,
        // It is there and stopped: whoever goes through it finds out that it does not answer.
        Err(_) => true,
    }
}

/// Ends whoever holds a connection there.
pub(crate) async fn end(socket: &Path, environment: &Environment) {
    if !is_held(socket).await {
        return;
    }
    let words = super::ssh::end_words(socket);
    let program = Program { words, environment, ending: Ending::Kill };
    if let Err(error) = process::run(&program, END_TIMEOUT).await {
        tracing::warn!(%error, "an ssh in a terminal does not end when it is asked to");
        // Nobody goes through it any more.
        fs::remove_file(socket).ok();
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn a_held_connection_outlives_its_folder_and_a_dead_ones_socket_is_removed() {
        let routes = tempfile::tempdir().unwrap();
        let masters = Masters::open(routes.path()).unwrap();
        let socket = masters.socket(&TargetId::new("tg-0123456789abcdefghij")).unwrap();
        assert!(socket.ends_with("held/456789abcdefghij"), "{socket:?}");
        assert!(!is_held(&socket).await);
        let listener = UnixListener::bind(&socket).unwrap();
        fs::create_dir(routes.path().join("m-1")).unwrap();
        fs::write(routes.path().join("u"), "").unwrap();
        Masters::open(routes.path()).unwrap();
        assert_eq!(fs::read_dir(routes.path()).unwrap().count(), 1, "only this is kept");
        assert!(is_held(&socket).await);
        drop(listener);
        assert!(socket.exists() && !is_held(&socket).await && !socket.exists());
        let deep = Masters { folder: Some(routes.path().join("d".repeat(90))) };
        assert_eq!(deep.socket(&TargetId::new("tg-1")), None);
    }
}
