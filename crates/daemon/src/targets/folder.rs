//! Folders of our own for one socket each, gone with whoever asked for them.

use std::io;
use std::path::Path;

use tempfile::TempDir;

/// The longest path of the socket of an `ssh`, which adds a name of its own while it makes it.
pub(super) const SOCKET_BYTES_MAX: usize = 85;

/// A folder for a socket with a name of one letter, in ours if the path is short enough there.
pub(super) fn for_socket(folder: &Path) -> io::Result<TempDir> {
    let short = folder.as_os_str().len() + "/m-123456/m".len() <= SOCKET_BYTES_MAX;
    let mut name = tempfile::Builder::new();
    name.prefix("m-");
    if short { name.tempdir_in(folder) } else { name.tempdir() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_socket_is_never_too_long() {
        let home = tempfile::tempdir().unwrap();
        let near = for_socket(home.path()).unwrap();
        assert!(near.path().starts_with(home.path()));
        let deep = home.path().join("d".repeat(90));
        std::fs::create_dir(&deep).unwrap();
        let far = for_socket(&deep).unwrap();
        assert!(!far.path().starts_with(home.path()));
    }
}
