//! The outbox: a text from its acceptance to the act, in a file that nobody else can read.
//!
//! tmux reads it from there, so it never stands in a command, in the server's message log or in the
//! database. Of what an earlier daemon left, only texts of actions that are still open are kept.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::ids::ActionId;

/// A handle on the folder. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    folder: Arc<Path>,
}

impl Outbox {
    /// Makes the folder, and takes away whatever is of none of these actions.
    pub(crate) fn open(folder: &Path, open: &BTreeSet<ActionId>) -> io::Result<Self> {
        fs::DirBuilder::new().mode(0o700).recursive(true).create(folder)?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if !name.to_str().is_some_and(|name| open.contains(&ActionId::new(name))) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { folder: folder.into() })
    }

    pub(crate) fn path(&self, action: &ActionId) -> PathBuf {
        self.folder.join(action.as_str())
    }

    /// Keeps the text of an action.
    pub(crate) fn put(&self, action: &ActionId, text: &[u8]) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(self.path(action));
        file.and_then(|mut file| file.write_all(text))
    }

    /// Sees to it that the text of an action is there even after a power cut.
    pub(crate) fn make_durable(&self, action: &ActionId) -> io::Result<()> {
        fs::File::open(self.path(action))?.sync_all()?;
        fs::File::open(&self.folder)?.sync_all()
    }

    /// The text of an action, if it has one.
    pub(crate) fn read(&self, action: &ActionId) -> Option<String> {
        fs::read_to_string(self.path(action)).ok()
    }

    /// Removes it, if there is one.
    pub(crate) fn forget(&self, action: &ActionId) {
        match fs::remove_file(self.path(action)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%action, %error, "a text was not removed");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_text_is_for_nobody_else_and_stays_over_a_restart_while_its_action_is_open() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("outbox");
        let (action, other) = (ActionId::new("ac-1"), ActionId::new("ac-2"));
        let outbox = Outbox::open(&folder, &BTreeSet::new()).unwrap();
        outbox.put(&other, b"old").unwrap();
        outbox.put(&action, b"secret").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&outbox.path(&action))), (0o700, 0o600));
        assert_eq!(outbox.read(&action).as_deref(), Some("secret"));
        assert!(outbox.put(&action, b"again").is_err(), "an action has one text");
        outbox.make_durable(&action).unwrap();
        let again = Outbox::open(&folder, &BTreeSet::from([action.clone()])).unwrap();
        assert_eq!(fs::read(again.path(&action)).unwrap(), b"secret");
        assert!(!again.path(&other).exists());
        again.forget(&action);
        again.forget(&action);
        assert!(!again.path(&action).exists());
    }
}
