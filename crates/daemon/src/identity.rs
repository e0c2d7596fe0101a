//! Who this installation and this machine are.

use sha2::{Digest, Sha256};

use crate::ids::random_bytes;

/// A new name for an installation: short, because it is part of a session's name.
pub(crate) fn installation() -> String {
    engine::ids::hex(&random_bytes()[..5])
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
