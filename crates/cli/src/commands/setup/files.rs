//! Settings files as they lie on the disk: looked at, and replaced as a whole.

use std::fmt::Display;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use api::ErrorCode;
use daemon::targets::there::Sighted;
use rustix::fs::{Access, Gid, Uid, access, fchown};

use super::there::There;
use crate::failure::Failure;

/// The largest settings file that is changed.
pub(super) const BYTES_MAX: u64 = 4 << 20;
/// The mode of a new one.
const FRESH_MODE: u32 = 0o600;

/// A settings file that may be changed.
#[derive(Debug)]
pub(crate) struct Found {
    /// As its program knows it.
    pub(super) path: PathBuf,
    pub(super) text: Option<String>,
    /// The mode that it gets if it is not there yet.
    pub(super) fresh_mode: u32,
    place: Place,
}

/// Where it lies.
#[derive(Debug)]
enum Place {
    Here(Here),
    There { there: Rc<There>, seen: Sighted },
}

/// A file on this machine.
#[derive(Debug)]
struct Here {
    /// Where it really is, behind all links.
    real: PathBuf,
    /// What is known of it, if it is there.
    metadata: Option<Metadata>,
}

/// Looks at a file; refuses one that is not to be changed.
pub(super) fn look(path: &Path) -> Result<Found, Failure> {
    let shown = path.display().to_string();
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if fs::symlink_metadata(path).is_ok() {
                return Err(dangling(&shown));
            }
            return missing(path);
        }
        Err(error) => return Err(unreadable(&shown, error)),
    };
    let metadata = fs::metadata(&real).map_err(|error| unreadable(&shown, error))?;
    if !metadata.is_file() {
        return Err(not_regular(&shown));
    }
    if metadata.len() > BYTES_MAX {
        return Err(too_large(&shown));
    }
    let bytes = fs::read(&real).map_err(|error| unreadable(&shown, error))?;
    let text = decoded(&shown, bytes)?;
    Ok(Found::here(path, Some(text), Here { real, metadata: Some(metadata) }))
}

/// The text of a file.
pub(super) fn decoded(shown: &str, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|it| **it == b'\n').count() + 1;
        let start = valid.iter().rposition(|it| *it == b'\n').map_or(0, |end| end + 1);
        let column = String::from_utf8_lossy(&valid[start..]).chars().count() + 1;
        refused(format!("{shown}, line {line}, column {column}: this is not UTF-8"))
            .with_hint("Correct it there; nothing was changed.")
    })
}

fn missing(path: &Path) -> Result<Found, Failure> {
    let nearest = path.ancestors().skip(1).find(|folder| folder.exists());
    if let Some(folder) = nearest.filter(|folder| !folder.is_dir()) {
        return Err(no_folder(&folder.display().to_string()));
    }
    Ok(Found::here(path, None, Here { real: path.to_owned(), metadata: None }))
}

impl Found {
    fn here(path: &Path, text: Option<String>, here: Here) -> Self {
        let place = Place::Here(here);
        Self { path: path.to_owned(), text, fresh_mode: FRESH_MODE, place }
    }

    pub(super) fn there(
        path: &Path,
        text: Option<String>,
        there: Rc<There>,
        seen: Sighted,
    ) -> Self {
        let place = Place::There { there, seen };
        Self { path: path.to_owned(), text, fresh_mode: FRESH_MODE, place }
    }

    /// The path as it is told.
    pub(super) fn shown(&self) -> String {
        match &self.place {
            Place::Here(_) => self.path.display().to_string(),
            Place::There { there, .. } => there.shown(&self.path),
        }
    }

    /// Whether it may be changed: not a file that its owner protects, nor one in a folder that
    /// nobody may write to.
    pub(super) fn writable(&self) -> Result<(), Failure> {
        match &self.place {
            Place::Here(here) => here.writable(&self.shown()),
            Place::There { there, seen } => there.writable(&self.path, seen),
        }
    }

    /// The folders that have to be made for it, the outermost first.
    pub(super) fn missing_folders(&self) -> Vec<PathBuf> {
        match &self.place {
            Place::Here(here) => here.missing_folders(),
            Place::There { seen, .. } => seen.missing.clone(),
        }
    }

    /// Puts another text in its place, or takes it away. Whoever reads it sees the one or the
    /// other, and a link to it stays a link.
    pub(super) fn replace(&self, text: Option<&str>) -> Result<(), Failure> {
        let done = match &self.place {
            Place::Here(here) => {
                let before = self.text.as_deref();
                here.replace(before, text, self.fresh_mode).map_err(|error| error.to_string())
            }
            Place::There { there, seen } => there.replace(seen, text, self.fresh_mode),
        };
        done.map_err(|problem| {
            let message = format!("cannot change {}: {problem}", self.shown());
            Failure::new(ErrorCode::Internal, message)
                .with_hint("It is as it was. Look at what stands in the way, then repeat this.")
        })
    }
}

impl Here {
    fn writable(&self, shown: &str) -> Result<(), Failure> {
        if self.metadata.as_ref().is_some_and(|it| it.permissions().mode() & 0o222 == 0) {
            return Err(read_only(shown));
        }
        let folder = self.real.ancestors().skip(1).find(|folder| folder.exists());
        let folder = folder.unwrap_or(Path::new("/"));
        access(folder, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| shut(&folder.display().to_string(), error, shown))
    }

    fn missing_folders(&self) -> Vec<PathBuf> {
        let missing = self.real.ancestors().skip(1).take_while(|folder| !folder.exists());
        let mut folders: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        folders.reverse();
        folders
    }

    fn replace(&self, before: Option<&str>, text: Option<&str>, fresh_mode: u32) -> io::Result<()> {
        match text {
            Some(text) => self.write(before, text, fresh_mode),
            None => self.unchanged(before).and_then(|()| fs::remove_file(&self.real)),
        }
    }

    fn write(&self, before: Option<&str>, text: &str, fresh_mode: u32) -> io::Result<()> {
        for folder in self.missing_folders() {
            fs::create_dir(folder)?;
        }
        let name = self.real.file_name().unwrap_or_default().to_string_lossy();
        let aside = self.real.with_file_name(format!(".{name}.qd-{}", std::process::id()));
        let written = self.write_aside(&aside, text, fresh_mode);
        let moved = written.and_then(|()| {
            self.unchanged(before)?;
            fs::rename(&aside, &self.real)
        });
        if moved.is_err() {
            drop(fs::remove_file(&aside));
        }
        moved?;
        File::open(self.real.parent().unwrap_or(Path::new("/")))?.sync_all()
    }

    fn write_aside(&self, aside: &Path, text: &str, fresh_mode: u32) -> io::Result<()> {
        let mode = self.metadata.as_ref().map_or(fresh_mode, |it| it.permissions().mode() & 0o7777);
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
    fn unchanged(&self, before: Option<&str>) -> io::Result<()> {
        let now = match fs::read(&self.real) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if now.as_deref() == before.map(str::as_bytes) {
            return Ok(());
        }
        Err(io::Error::other("another program has just changed it"))
    }
}

/// A file that is not touched.
pub(super) fn refused(message: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::Forbidden, message)
}

pub(super) fn dangling(shown: &str) -> Failure {
    refused(format!("{shown} is a link that leads nowhere"))
        .with_hint("Make the file that it leads to, or remove the link.")
}

pub(super) fn not_regular(shown: &str) -> Failure {
    refused(format!("{shown} is not a regular file"))
        .with_hint("Look at what it is, and move it away.")
}

pub(super) fn too_large(shown: &str) -> Failure {
    refused(format!("{shown} is larger than {} MiB", BYTES_MAX >> 20))
        .with_hint("That is no settings file; look at what is in it.")
}

pub(super) fn no_folder(shown: &str) -> Failure {
    refused(format!("{shown} is not a folder")).with_hint("Look at what it is, and move it away.")
}

pub(super) fn read_only(shown: &str) -> Failure {
    refused(format!("{shown} is read-only"))
        .with_hint(format!("If it is yours to change: chmod u+w {shown}"))
}

pub(super) fn shut(folder: &str, why: impl Display, shown: &str) -> Failure {
    refused(format!("{folder}: {why}; {shown} cannot be changed")).with_hint(
        "If another program writes this file for you, add the lines of `--dry-run` there.",
    )
}

pub(super) fn unreadable(shown: &str, why: impl Display) -> Failure {
    refused(format!("cannot read {shown}: {why}"))
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
