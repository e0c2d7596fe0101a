//! Who holds the deck: what a daemon writes into the lock beside its database.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::limits::LOCK_BYTES_MAX;

/// The daemon that wrote the lock. It may be gone since: only its socket can tell.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Where it listens.
    pub socket: PathBuf,
}

impl Holder {
    /// Reads a lock; none where it is missing, empty (its writer is just starting) or not ours.
    pub(crate) fn read(lock: &Path) -> Option<Self> {
        let mut text = String::new();
        File::open(lock).ok()?.take(LOCK_BYTES_MAX).read_to_string(&mut text).ok()?;
        serde_json::from_str::<Self>(&text).ok().filter(|holder| holder.socket.is_absolute())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_names_pid_and_socket_and_may_say_more() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("qd.lock");
        let read = |text: &str| {
            std::fs::write(&lock, text).unwrap();
            Holder::read(&lock)
        };
        let expected = Holder { pid: 41, socket: "/run/qd.sock".into() };
        let text = "{\"pid\":41,\"socket\":\"/run/qd.sock\",\"version\":\"9.0.0\"}\n";
        assert_eq!(read(text), Some(expected));
        for text in ["", "41", "{}", r#"{"pid":-1,"socket":"/s"}"#, r#"{"pid":1,"socket":"s"}"#] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(Holder::read(&folder.path().join("none")), None);
    }
}
