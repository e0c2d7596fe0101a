//! What was changed in whose files, written down before it is done, so that it can be undone to the
//! byte whatever happened in between.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use agents::setup::Before;
use api::ErrorCode;
use api::target_name::TargetName;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// The folder of the records, below the state folder.
pub(crate) const FOLDER: &str = "setup";
/// The folder in it of what was changed on targets, with a folder for each.
const THERE: &str = "there";

/// The version of a record. One that is newer is not touched.
const VERSION: u32 = 1;

/// What the copy of a program is recorded for, where others are recorded for an agent.
pub(super) const PROGRAM: &str = "qd";

/// One file that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    version: u32,
    /// What it was changed for: an agent, or tmux.
    pub(super) subject: String,
    /// The file, as its program knows it.
    pub(super) path: PathBuf,
    /// Whether it was there before; its text lies beside the record.
    existed: bool,
    /// The hash of the text that was put in its place.
    after: String,
    /// Folders that were made for it, the outermost first.
    pub(super) folders: Vec<PathBuf>,
}

/// The records.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
}

/// The right to change files and records: only one at a time has it.
#[derive(Debug)]
pub(crate) struct Turn {
    _lock: File,
}

impl Journal {
    /// The journal below the state folder. Nothing is made yet.
    pub(super) fn below(state: &Path) -> Self {
        Self { folder: state.join(FOLDER) }
    }

    /// The journal of what is changed on a target.
    pub(super) fn of_target(state: &Path, name: &TargetName) -> Self {
        Self { folder: state.join(FOLDER).join(THERE).join(name.to_string()) }
    }

    /// The names of the targets on which something was changed, with their journals.
    pub(super) fn of_targets(state: &Path) -> Result<Vec<(TargetName, Self)>, Failure> {
        let folder = state.join(FOLDER).join(THERE);
        let mut all: Vec<(TargetName, Self)> = entries(&folder)?
            .into_iter()
            .filter_map(|path| Some((path.file_name()?.to_str()?.parse().ok()?, path)))
            .map(|(name, folder)| (name, Self { folder }))
            .collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(all)
    }

    /// Waits until nobody else changes anything.
    pub(super) fn turn(&self) -> Result<Turn, Failure> {
        let open = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            let mut options = OpenOptions::new();
            options.create(true).append(true).mode(0o600).open(self.folder.join("lock"))
        };
        let lock =
            open().and_then(|lock| Ok(flock(&lock, FlockOperation::LockExclusive).map(|()| lock)?));
        Ok(Turn { _lock: lock.map_err(|error| failed("open", &self.folder, &error))? })
    }

    /// The records that are there.
    pub(super) fn records(&self) -> Result<Vec<Record>, Failure> {
        let mut paths = entries(&self.folder)?;
        paths.retain(|path| path.extension().is_some_and(|it| it == "json"));
        paths.sort();
        paths.iter().map(|path| read(path)).collect()
    }

    /// The record of a file, if it was changed, and what was in it before.
    pub(super) fn of(&self, path: &Path) -> Result<Option<(Record, Before)>, Failure> {
        let place = self.place(path, "json");
        if !place.exists() {
            return Ok(None);
        }
        let record = read(&place)?;
        let before = match record.existed {
            false => Before::Absent,
            true => {
                let backup = self.backup(path);
                let text = fs::read_to_string(&backup);
                Before::Text(text.map_err(|error| failed("read", &backup, &error))?)
            }
        };
        Ok(Some((record, before)))
    }

    /// Where the text from before is kept.
    pub(super) fn backup(&self, path: &Path) -> PathBuf {
        self.place(path, "before")
    }

    /// Writes down a change that is about to be made.
    pub(super) fn intend(
        &self,
        subject: &str,
        path: &Path,
        before: Option<&str>,
        after: &str,
        folders: Vec<PathBuf>,
    ) -> Result<(), Failure> {
        let backup = self.backup(path);
        if let Some(text) = before {
            write(&backup, text.as_bytes()).map_err(|error| failed("write", &backup, &error))?;
        }
        let record = Record {
            version: VERSION,
            subject: subject.to_owned(),
            path: path.to_owned(),
            existed: before.is_some(),
            after: hash(after),
            folders,
        };
        let place = self.place(path, "json");
        let text = serde_json::to_vec_pretty(&record).map_err(io::Error::from);
        let written = text.and_then(|text| write(&place, &text));
        written.map_err(|error| failed("write", &place, &error))
    }

    /// Forgets a change that was undone.
    pub(super) fn forget(&self, path: &Path) -> Result<(), Failure> {
        for place in [self.place(path, "json"), self.backup(path)] {
            match fs::remove_file(&place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove", &place, &error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn place(&self, path: &Path, kind: &str) -> PathBuf {
        let name: String = hash(&path.to_string_lossy()).chars().take(16).collect();
        self.folder.join(format!("{name}.{kind}"))
    }
}

impl Record {
    /// Whether the file still is what was put in its place.
    pub(super) fn is_untouched(&self, text: Option<&str>) -> bool {
        text.is_some_and(|text| hash(text) == self.after)
    }
}

/// What lies in a folder; nothing where there is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed("read", folder, &error)),
    }
}

fn read(path: &Path) -> Result<Record, Failure> {
    let record = fs::read(path).and_then(|bytes| Ok(serde_json::from_slice::<Record>(&bytes)?));
    let record = record.map_err(|error| failed("read", path, &error))?;
    if record.version > VERSION {
        let message = format!("{} was written by a newer qd", path.display());
        return Err(Failure::new(ErrorCode::Forbidden, message).with_hint("Use that one."));
    }
    Ok(record)
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot {what} {}: {error}", path.display());
    Failure::new(ErrorCode::Internal, message).with_hint("Look at that file and at its folder.")
}
