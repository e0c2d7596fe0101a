//! The files of one database: where they lie, what is in them at first sight, and how they are
//! set aside.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::chain::ChainHash;
use crate::fault::Fault;
use crate::limits;

/// What every SQLite file begins with.
pub(crate) const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where the header keeps the id of the program that owns the file.
pub(crate) const APPLICATION_ID_AT: usize = 68;
const HEADER_BYTES: usize = 100;

/// Where the files of one database lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) database: PathBuf,
    /// The write-ahead log.
    pub(crate) log: PathBuf,
    pub(crate) anchor: PathBuf,
    pub(crate) reserve: PathBuf,
    /// A database that is being made.
    pub(crate) fresh: PathBuf,
    /// A database that is made and has to take the place of a damaged one.
    pub(crate) rebuilt: PathBuf,
}

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Absent,
    Empty,
    /// SQLite's, of the program with this id.
    Sqlite {
        application_id: i32,
    },
    Other,
}

/// Which files a database was opened as. A name can lead to others later, or to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    database: (PathBuf, FileId),
    /// The log is there from the first write on.
    log: (PathBuf, Option<FileId>),
}

/// Device and number of a file.
type FileId = (u64, u64);

impl Held {
    /// Those that the names of an open database lead to now.
    pub(crate) fn now(files: &Files) -> Result<Self, Fault> {
        let database = id(&files.database).map_err(at("the database"))?;
        let log = id(&files.log).ok();
        Ok(Self { database: (files.database.clone(), database), log: (files.log.clone(), log) })
    }

    /// Whether the names still lead there. Where they cannot be looked at, nothing is known.
    pub(crate) fn are_there(&mut self) -> bool {
        let leads = |path: &Path, held: FileId| match id(path) {
            Ok(found) => found == held,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        let (database, log) = (&self.database, &mut self.log);
        leads(&database.0, database.1)
            && match log.1 {
                Some(held) => leads(&log.0, held),
                None => {
                    log.1 = id(&log.0).ok();
                    true
                }
            }
    }
}

fn id(path: &Path) -> io::Result<FileId> {
    fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

impl Files {
    pub(crate) fn of(database: &Path) -> Self {
        Self {
            database: database.to_owned(),
            log: suffixed(database, "-wal"),
            anchor: database.with_extension("anchor"),
            reserve: database.with_extension("reserve"),
            fresh: suffixed(database, ".new"),
            rebuilt: suffixed(database, ".rebuilt"),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        match self.database.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        }
    }

    pub(crate) fn make_folder(&self) -> Result<(), Fault> {
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(self.folder());
        made.map_err(at("the folder of the database"))
    }

    /// Makes what was renamed or created in the folder outlast a power cut.
    pub(crate) fn sync_folder(&self) -> Result<(), Fault> {
        let synced = File::open(self.folder()).and_then(|folder| folder.sync_all());
        synced.map_err(at("the folder of the database"))
    }

    pub(crate) fn look(&self) -> Result<Look, Fault> {
        let mut header = Vec::new();
        match File::open(&self.database) {
            Ok(file) => {
                let limit = u64::try_from(HEADER_BYTES).unwrap_or(u64::MAX);
                file.take(limit).read_to_end(&mut header).map_err(at("the database"))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Absent),
            Err(error) => return Err(at("the database")(error)),
        }
        if header.is_empty() {
            return Ok(Look::Empty);
        }
        if header.len() < HEADER_BYTES || !header.starts_with(MAGIC) {
            return Ok(Look::Other);
        }
        let mut id = [0; 4];
        id.copy_from_slice(&header[APPLICATION_ID_AT..APPLICATION_ID_AT + 4]);
        Ok(Look::Sqlite { application_id: i32::from_be_bytes(id) })
    }

    /// Whether there is anything in the write-ahead log.
    pub(crate) fn has_log(&self) -> bool {
        fs::metadata(&self.log).is_ok_and(|metadata| metadata.len() > 0)
    }

    /// Nobody but the owner reads or writes the database.
    pub(crate) fn close_to_others(&self) -> Result<(), Fault> {
        let metadata = fs::metadata(&self.database).map_err(at("the database"))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            let own = fs::Permissions::from_mode(0o600);
            fs::set_permissions(&self.database, own).map_err(at("the database"))?;
        }
        Ok(())
    }

    /// Copies the files as they are, for what is examined to be no longer what was found. Copies
    /// of the same bytes are made once. Nothing is ever deleted.
    pub(crate) fn set_aside(&self) -> Result<Self, Fault> {
        for number in 1..=limits::ASIDE_MAX {
            let aside = self.aside(number);
            if aside.look()? == Look::Absent && !aside.anchor.exists() {
                for (from, to) in self.pairs(&aside) {
                    copy_if_there(from, to).map_err(at("a copy of the database"))?;
                }
                self.sync_folder()?;
                return Ok(aside);
            }
            let same = self.pairs(&aside).into_iter().all(|(one, other)| same_bytes(one, other));
            if same {
                return Ok(aside);
            }
        }
        let full = io::Error::other("there are too many damaged copies already");
        Err(at("a copy of the database")(full))
    }

    /// The names under which a damaged database is kept: SQLite finds the log by its name.
    pub(crate) fn aside(&self, number: u32) -> Self {
        let database = suffixed(&self.database, &format!(".damaged-{number}"));
        Self {
            log: suffixed(&database, "-wal"),
            anchor: suffixed(&database, ".anchor"),
            reserve: suffixed(&database, ".reserve"),
            fresh: suffixed(&database, ".new"),
            rebuilt: suffixed(&database, ".rebuilt"),
            database,
        }
    }

    /// A copy of a kept copy, for SQLite to work on: opening it may change it.
    pub(crate) fn for_examination(&self) -> Result<Self, Fault> {
        let copy = Self::of(&suffixed(&self.database, ".examined"));
        for (from, to) in [(&self.database, &copy.database), (&self.log, &copy.log)] {
            match fs::remove_file(to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(at("a copy of the database")(error));
                }
                Ok(()) | Err(_) => {}
            }
            copy_if_there(from, to).map_err(at("a copy of the database"))?;
        }
        if copy.look()? == Look::Absent {
            // Where nothing is left there is still something to be asked: it holds nothing.
            drop(Self::create_private(&copy.database).map_err(at("a copy of the database"))?);
        }
        Ok(copy)
    }

    /// Where the database is copied to before it is taken to a newer schema.
    pub(crate) fn backup(&self, version: u32) -> PathBuf {
        suffixed(&self.database, &format!(".schema-{version}"))
    }

    fn pairs<'f>(&'f self, other: &'f Self) -> [(&'f Path, &'f Path); 3] {
        [(&self.database, &other.database), (&self.log, &other.log), (&self.anchor, &other.anchor)]
    }

    /// Makes an empty file that only its owner can read, in place of any other.
    pub(crate) fn create_private(path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
    }
}

/// What there is to be shown of a database that was set aside: itself, or what was left of it.
pub(crate) fn found_aside(database: &Path) -> PathBuf {
    let all = ["", "-wal", ".anchor"].map(|suffix| suffixed(database, suffix));
    all.into_iter().find(|file| file.exists()).unwrap_or_else(|| database.to_owned())
}

/// Names the file that an I/O error is about.
pub(crate) fn at(what: &'static str) -> impl Fn(io::Error) -> Fault {
    move |source| Fault::File { what, source }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn copy_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::copy(from, to) {
        Ok(_) => File::open(to)?.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether two files hold the same, or neither exists.
fn same_bytes(one: &Path, other: &Path) -> bool {
    let size = |path: &Path| fs::metadata(path).map(|metadata| metadata.len()).ok();
    size(one) == size(other) && digest(one).ok() == digest(other).ok()
}

fn digest(path: &Path) -> io::Result<ChainHash> {
    ChainHash::of_reader(File::open(path)?)
}
