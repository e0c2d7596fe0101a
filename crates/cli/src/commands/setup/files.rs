//! Settings files as they lie on the disk: looked at, and replaced as a whole.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use api::ErrorCode;
use rustix::fs::{Access, Gid, Uid, access, fchown};

use crate::failure::Failure;

/// The largest settings file that is changed.
const BYTES_MAX: u64 = 4 << 20;

/// A settings file that may be changed.
#[derive(Debug)]
pub(crate) struct Found {
    /// As its program knows it.
    pub(super) path: PathBuf,
    /// Where it really is, behind all links.
    real: PathBuf,
    /// What is known of it, if it is there.
    metadata: Option<Metadata>,
    pub(super) text: Option<String>,
}

/// Looks at a file; refuses one that is not to be changed.
pub(super) fn look(path: &Path) -> Result<Found, Failure> {
    let shown = path.display();
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if fs::symlink_metadata(path).is_ok() {
                return Err(refused(format!("{shown} is a link that leads nowhere"))
                    .with_hint("Make the file that it leads to, or remove the link."));
            }
            return missing(path);
        }
        Err(error) => return Err(unreadable(path, &error)),
    };
    let metadata = fs::metadata(&real).map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(refused(format!("{shown} is not a regular file"))
            .with_hint("Look at what it is, and move it away."));
    }
    if metadata.len() > BYTES_MAX {
        return Err(refused(format!("{shown} is larger than {} MiB", BYTES_MAX >> 20))
            .with_hint("That is no settings file; look at what is in it."));
    }
    let bytes = fs::read(&real).map_err(|error| unreadable(path, &error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|it| **it == b'\n').count() + 1;
        let start = valid.iter().rposition(|it| *it == b'\n').map_or(0, |end| end + 1);
        let column = String::from_utf8_lossy(&valid[start..]).chars().count() + 1;
        refused(format!("{shown}, line {line}, column {column}: this is not UTF-8"))
            .with_hint("Correct it there; nothing was changed.")
    })?;
    Ok(Found { path: path.to_owned(), real, metadata: Some(metadata), text: Some(text) })
}

fn missing(path: &Path) -> Result<Found, Failure> {
    let nearest = path.ancestors().skip(1).find(|folder| folder.exists());
    if let Some(folder) = nearest.filter(|folder| !folder.is_dir()) {
        let message = format!("{} is not a folder", folder.display());
        return Err(refused(message).with_hint("Look at what it is, and move it away."));
    }
    let real = path.to_owned();
    Ok(Found { path: path.to_owned(), real, metadata: None, text: None })
}

impl Found {
    /// Whether it may be changed: not a file that its owner protects, nor one in a folder that
    /// nobody may write to.
    pub(super) fn writable(&self) -> Result<(), Failure> {
        let shown = self.path.display();
        if self.metadata.as_ref().is_some_and(|it| it.permissions().mode() & 0o222 == 0) {
            return Err(refused(format!("{shown} is read-only"))
                .with_hint(format!("If it is yours to change: chmod u+w {shown}")));
        }
        let folder = self.real.ancestors().skip(1).find(|folder| folder.exists());
        let folder = folder.unwrap_or(Path::new("/"));
        access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
            let message = format!("{}: {error}; {shown} cannot be changed", folder.display());
            refused(message).with_hint(
                "If another program writes this file for you, add the lines of `--dry-run` there.",
            )
        })
    }

    /// The folders that have to be made for it, the outermost first.
    pub(super) fn missing_folders(&self) -> Vec<PathBuf> {
        let missing = self.real.ancestors().skip(1).take_while(|folder| !folder.exists());
        let mut folders: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        folders.reverse();
        folders
    }

    /// Puts another text in its place, or takes it away. Whoever reads it sees the one or the
    /// other, and a link to it stays a link.
    pub(super) fn replace(&self, text: Option<&str>) -> Result<(), Failure> {
        let done = match text {
            Some(text) => self.write(text),
            None => self.unchanged().and_then(|()| fs::remove_file(&self.real)),
        };
        done.map_err(|error| {
            let message = format!("cannot change {}: {error}", self.path.display());
            Failure::new(ErrorCode::Internal, message)
                .with_hint("It is as it was. Look at what stands in the way, then repeat this.")
        })
    }

    fn write(&self, text: &str) -> io::Result<()> {
        for folder in self.missing_folders() {
            fs::create_dir(folder)?;
        }
        let name = self.real.file_name().unwrap_or_default().to_string_lossy();
        let aside = self.real.with_file_name(format!(".{name}.qd-{}", std::process::id()));
        let written = self.write_aside(&aside, text);
        let moved = written.and_then(|()| {
            self.unchanged()?;
            fs::rename(&aside, &self.real)
        });
        if moved.is_err() {
            drop(fs::remove_file(&aside));
        }
        moved?;
        File::open(self.real.parent().unwrap_or(Path::new("/")))?.sync_all()
    }

    fn write_aside(&self, aside: &Path, text: &str) -> io::Result<()> {
        let mode = self.metadata.as_ref().map_or(0o600, |it| it.permissions().mode() & 0o7777);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(aside)?;
        file.write_all(text.as_bytes())?;
        if let Some(metadata) = &self.metadata {
            let ours = file.metadata()?;
            if (ours.uid(), ours.gid()) != (metadata.uid(), metadata.gid()) {
                let uid = Uid::from_raw(metadata.uid());
                fchown(&file, Some(uid), Some(Gid::from_raw(metadata.gid())))?;
            }
        }
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()
    }

    /// Its program may have written to it meanwhile.
    fn unchanged(&self) -> io::Result<()> {
        let now = match fs::read(&self.real) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if now.as_deref() == self.text.as_deref().map(str::as_bytes) {
            return Ok(());
        }
        Err(io::Error::other("another program has just changed it"))
    }
}

/// A file that is not touched.
pub(super) fn refused(message: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::Forbidden, message)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    refused(format!("cannot read {}: {error}", path.display()))
        .with_hint("Look at its permissions and those of the folders above it.")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn message(path: &Path) -> String {
        match look(path).and_then(|it| it.writable()) {
            Ok(()) => String::new(),
            Err(Failure::Told(error)) => error.message,
            Err(Failure::OutputClosed) => unreachable!(),
        }
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("dotfiles.json"), folder.path().join("link.json"));
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("dotfiles.json", &link).unwrap();
        look(&link).unwrap().replace(Some("new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left behind");
    }

    #[test]
    fn what_another_program_just_wrote_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let found = look(&path).unwrap();
        fs::write(&path, "theirs").unwrap();
        assert!(found.replace(Some("ours")).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_to_be_changed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("bytes"), b"a\n\xc3\xa9b\xff").unwrap();
        assert!(
            message(&path("bytes")).contains("line 2, column 3"),
            "{}",
            message(&path("bytes"))
        );
        symlink("/nowhere/at/all", path("dangling")).unwrap();
        assert!(message(&path("dangling")).contains("leads nowhere"));
        fs::create_dir(path("folder")).unwrap();
        assert!(message(&path("folder")).contains("not a regular file"));
        assert!(message(&path("bytes/below")).contains("cannot read"), "a file is no folder");
        fs::write(path("protected"), "{}").unwrap();
        fs::set_permissions(path("protected"), fs::Permissions::from_mode(0o444)).unwrap();
        assert!(message(&path("protected")).contains("read-only"));
        assert_eq!(message(&path("new/folder/file")), "");
    }
}
