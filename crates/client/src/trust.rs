//! Whether a socket may be spoken to: it has to be ours, and closed to others.
//!
//! Whoever can put a socket in our way could otherwise answer in the daemon's name, and what is
//! typed into panes later would be his to read.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use api::ErrorCode;
use rustix::process::geteuid;

use crate::error::ClientError;

/// Why a socket is not spoken to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Distrust {
    #[error("{} is in the way and is not a socket", .0.display())]
    NotASocket(PathBuf),
    #[error("{} belongs to another user (uid {uid})", path.display())]
    Foreign { path: PathBuf, uid: u32 },
    #[error("{} is open to others (mode {mode:o})", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("another user (uid {uid}) answers at {}", path.display())]
    Impostor { path: PathBuf, uid: u32 },
    #[error("cannot look at {}", path.display())]
    Unseen {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl From<Distrust> for ClientError {
    fn from(distrust: Distrust) -> Self {
        let message = distrust.to_string();
        match distrust {
            Distrust::NotASocket(_) => Self::new(ErrorCode::SocketOccupied, message).with_hint(
                "Look at what it is and move it away, or name another place with --socket or QD_HOME.",
            ),
            Distrust::Open { path, .. } => Self::new(ErrorCode::Forbidden, message)
                .with_hint(format!("If that is your own doing: chmod go= '{}'", path.display())),
            Distrust::Foreign { .. } | Distrust::Impostor { .. } => {
                Self::new(ErrorCode::Forbidden, message)
            }
            Distrust::Unseen { source, .. } => {
                Self::new(ErrorCode::DaemonUnreachable, format!("{message}: {source}"))
            }
        }
    }
}

/// Looks at the socket and its folder; false where there is no socket.
pub(crate) fn look(socket: &Path) -> Result<bool, Distrust> {
    let found = match fs::symlink_metadata(socket) {
        Ok(found) => found,
        Err(error) if is_absence(&error) => return Ok(false),
        Err(source) => return Err(Distrust::Unseen { path: socket.to_owned(), source }),
    };
    if !found.file_type().is_socket() {
        return Err(Distrust::NotASocket(socket.to_owned()));
    }
    ours(socket, &found)?;
    if found.mode() & 0o077 != 0 {
        return Err(Distrust::Open { path: socket.to_owned(), mode: found.mode() & 0o777 });
    }
    folder_of(socket)?;
    Ok(true)
}

/// Whether the process behind a connection is ours.
pub(crate) fn check_peer(socket: &Path, uid: u32) -> Result<(), Distrust> {
    if uid == geteuid().as_raw() {
        Ok(())
    } else {
        Err(Distrust::Impostor { path: socket.to_owned(), uid })
    }
}

/// Others must not be able to put another socket there. The sticky bit keeps them from it in
/// folders that all may write to.
fn folder_of(socket: &Path) -> Result<(), Distrust> {
    let Some(folder) = socket.parent().filter(|it| !it.as_os_str().is_empty()) else {
        return Ok(());
    };
    let found = fs::metadata(folder)
        .map_err(|source| Distrust::Unseen { path: folder.to_owned(), source })?;
    let sticky = found.mode() & 0o1000 != 0;
    if sticky && found.uid() == 0 {
        return Ok(());
    }
    ours(folder, &found)?;
    if found.mode() & 0o022 != 0 && !sticky {
        return Err(Distrust::Open { path: folder.to_owned(), mode: found.mode() & 0o777 });
    }
    Ok(())
}

fn ours(path: &Path, found: &fs::Metadata) -> Result<(), Distrust> {
    if found.uid() == geteuid().as_raw() {
        Ok(())
    } else {
        Err(Distrust::Foreign { path: path.to_owned(), uid: found.uid() })
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    struct Scene {
        folder: tempfile::TempDir,
        socket: PathBuf,
    }

    fn scene(socket_mode: u32, folder_mode: u32) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("qd.sock");
        drop(UnixListener::bind(&socket).unwrap());
        chmod(&socket, socket_mode);
        chmod(folder.path(), folder_mode);
        Scene { folder, socket }
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_private_socket_in_a_private_folder_is_trusted() {
        assert!(look(&scene(0o600, 0o700).socket).unwrap());
        assert!(look(&scene(0o600, 0o755).socket).unwrap(), "others may look, not write");
    }

    #[test]
    fn no_socket_is_no_distrust() {
        let it = scene(0o600, 0o700);
        assert!(!look(&it.folder.path().join("none")).unwrap());
        assert!(!look(&it.folder.path().join("no/folder/qd.sock")).unwrap());
    }

    #[test]
    fn a_socket_or_folder_that_others_may_write_to_is_not_trusted() {
        for (socket, folder) in [(0o666, 0o700), (0o660, 0o700), (0o600, 0o777), (0o600, 0o720)] {
            let found = look(&scene(socket, folder).socket);
            assert!(
                matches!(found, Err(Distrust::Open { .. })),
                "{socket:o} {folder:o}: {found:?}"
            );
        }
    }

    #[test]
    fn a_file_or_a_link_is_no_socket() {
        let it = scene(0o600, 0o700);
        let file = it.folder.path().join("file");
        fs::write(&file, "").unwrap();
        let link = it.folder.path().join("link");
        std::os::unix::fs::symlink(&it.socket, &link).unwrap();
        for path in [file, link] {
            let error = look(&path).unwrap_err();
            assert_eq!(ClientError::from(error).code, ErrorCode::SocketOccupied);
        }
    }

    #[test]
    fn another_user_at_the_far_end_is_found_out() {
        let us = geteuid().as_raw();
        assert!(check_peer(Path::new("/s"), us).is_ok());
        let error = check_peer(Path::new("/s"), us + 1).unwrap_err();
        assert_eq!(ClientError::from(error).code, ErrorCode::Forbidden);
    }
}
