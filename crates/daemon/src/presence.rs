//! Being found: the lock that proves who the daemon is and the socket behind it, looked after for as
//! long as it lives. A logout takes the runtime folder with it, and people delete folders.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::http::VERSION;
use crate::lifecycle::{self, Holder, LifecycleError, Lock, Socket};
use crate::paths::Paths;

/// What clients find the daemon by.
#[derive(Debug)]
pub(crate) struct Presence {
    lock: Lock,
    socket: Socket,
    paths: Paths,
}

/// What became of the files since they were last looked at.
#[derive(Debug)]
pub(crate) enum Found {
    AsLeft,
    /// The socket was gone; this one takes its place.
    Again(UnixListener),
    /// The lock is gone, and the database with it: whoever comes next begins anew.
    Orphaned,
}

impl Presence {
    /// Listens, and says so in the lock.
    pub(crate) fn begin(lock: Lock, paths: &Paths) -> Result<(UnixListener, Self), LifecycleError> {
        let (listener, socket) = Socket::listen(&paths.socket)?;
        let mut presence = Self { lock, socket, paths: paths.clone() };
        presence.sign()?;
        Ok((listener, presence))
    }

    /// Where the socket is.
    pub(crate) fn socket(&self) -> &Path {
        self.socket.path()
    }

    /// Looks whether clients can still find us, and sees to it that they do.
    pub(crate) fn look(&mut self) -> Result<Found, LifecycleError> {
        if !self.lock.is_in_place() {
            return Ok(Found::Orphaned);
        }
        if self.socket.is_in_place() {
            return Ok(Found::AsLeft);
        }
        let place: PathBuf = self.paths.socket_now();
        if let Some(folder) = place.parent().filter(|it| *it != self.paths.home) {
            lifecycle::own_folder(folder)?;
        }
        let (listener, socket) = Socket::listen(&place)?;
        self.socket = socket;
        self.sign()?;
        Ok(Found::Again(listener))
    }

    fn sign(&mut self) -> Result<(), LifecycleError> {
        self.lock.sign(&Holder {
            pid: std::process::id(),
            socket: self.socket.path().to_owned(),
            version: VERSION.to_owned(),
        })
    }

    /// Leaves nothing behind that would lead somebody here.
    pub(crate) fn end(self) {
        self.socket.remove();
        self.lock.release();
    }
}
