//! Where a local tmux server listens.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The name of the socket that tmux uses when nobody asks for another.
const DEFAULT_NAME: &str = "default";

/// The socket of a local server by what a user calls it: nothing for the default one, a name as in
/// `tmux -L`, or a path as in `tmux -S`.
pub fn socket(name_or_path: &str, tmux_tmpdir: Option<&OsStr>) -> PathBuf {
    let name = if name_or_path.is_empty() { DEFAULT_NAME } else { name_or_path };
    if name.contains('/') { PathBuf::from(name) } else { folder(tmux_tmpdir).join(name) }
}

/// The folder of all sockets that go by a name, found as tmux finds it.
fn folder(tmux_tmpdir: Option<&OsStr>) -> PathBuf {
    let asked = tmux_tmpdir.filter(|folder| !folder.is_empty()).map(Path::new);
    let base = asked.and_then(|folder| fs::canonicalize(folder).ok());
    let base = base.unwrap_or_else(|| PathBuf::from("/tmp"));
    base.join(format!("tmux-{}", rustix::process::getuid().as_raw()))
}

/// The same socket by the real path of its folder. The socket itself may not be there yet, and may
/// be a link that will lead elsewhere.
pub fn settled(socket: &Path) -> PathBuf {
    let real = socket.parent().and_then(|folder| fs::canonicalize(folder).ok());
    match (real, socket.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        (None, _) | (_, None) => socket.to_owned(),
    }
}

/// Makes the folder of the named sockets, as tmux does on any command, so that a server that comes
/// later is noticed there. Where that fails there is no folder to watch, and probes find it.
pub fn prepare(socket: &Path) {
    let Some(folder) = socket.parent() else { return };
    let named = folder.file_name().is_some_and(|name| name.as_bytes().starts_with(b"tmux-"));
    if named && !folder.exists() {
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        if let Err(error) = builder.create(folder) {
            tracing::debug!(folder = %folder.display(), %error, "no folder for tmux sockets");
        }
    }
}

/// `TMUX_TMPDIR` out of a child's environment.
pub fn tmux_tmpdir(variables: &[(OsString, OsString)]) -> Option<&OsStr> {
    variables.iter().find(|(key, _)| key == "TMUX_TMPDIR").map(|(_, value)| value.as_os_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_below_the_folder_that_tmux_uses_and_a_path_is_itself() {
        let uid = rustix::process::getuid().as_raw();
        let tmp = format!("/tmp/tmux-{uid}");
        assert_eq!(socket("", None), Path::new(&tmp).join("default"));
        assert_eq!(socket("work", None), Path::new(&tmp).join("work"));
        assert_eq!(socket("/run/a.sock", None), Path::new("/run/a.sock"));
        assert_eq!(socket("./a.sock", None), Path::new("./a.sock"));
    }

    #[test]
    fn tmux_tmpdir_counts_only_where_it_leads_somewhere() {
        let uid = rustix::process::getuid().as_raw();
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        let found = socket("", Some(dir.path().as_os_str()));
        assert_eq!(found, real.join(format!("tmux-{uid}/default")));
        for nowhere in ["", "/not/there"] {
            let found = socket("", Some(OsStr::new(nowhere)));
            assert_eq!(found, Path::new(&format!("/tmp/tmux-{uid}/default")));
        }
    }
}
