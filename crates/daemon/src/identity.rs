//! Who this installation and this machine are.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::ids::random_bytes;

/// A new name for an installation: short, because it is part of a session's name.
pub(crate) fn installation() -> String {
    engine::ids::hex(&random_bytes()[..5])
}

/// Which of the copies of an installation this is, by the folder that its state lies in.
///
/// A folder that was copied brings the name of the installation along. Two daemons that went by it
/// would each take the other's session on a tmux server for a leftover of its own, and end it. The
/// folder itself is never the same, and stays so when it is moved or renamed, or when a backup of
/// the files in it is put back.
pub(crate) fn instance(installation: &str, home: &Path) -> io::Result<String> {
    let folder = std::fs::metadata(home)?;
    let mut hash = Sha256::new();
    hash.update(b"quarterdeck instance\0");
    hash.update(installation);
    hash.update(folder.dev().to_le_bytes());
    hash.update(folder.ino().to_le_bytes());
    Ok(engine::ids::hex(&hash.finalize()[..5]))
}

/// The machine, by what its system says it is; never that text itself, which is to stay private.
pub(crate) fn machine() -> String {
    let known = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
    let text = known.iter().find_map(|file| std::fs::read_to_string(file).ok());
    let seed = match text.as_deref().map(str::trim) {
        Some(id) if !id.is_empty() => id.as_bytes().to_vec(),
        Some(_) | None => random_bytes().to_vec(),
    };
    let mut hash = Sha256::new();
    hash.update(b"quarterdeck machine\0");
    hash.update(seed);
    engine::ids::hex(&hash.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_copied_home_is_another_instance_and_a_moved_one_is_not() {
        let root = tempfile::tempdir().unwrap();
        let home = |name: &str| root.path().join(name);
        for name in ["first", "copy"] {
            fs::create_dir(home(name)).unwrap();
        }
        let of = |name: &str| instance("a1", &home(name)).unwrap();
        let first = of("first");
        assert_ne!(first, of("copy"));
        fs::write(home("first").join("state.db"), "put back").unwrap();
        assert_eq!(first, of("first"), "what lies in it does not matter");
        fs::rename(home("first"), home("moved")).unwrap();
        assert_eq!(first, of("moved"));
        assert_ne!(first, instance("b2", &home("moved")).unwrap());
    }
}
