//! Opening: a new database, or one that proves to be what was left.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use engine::Engine;
use engine::engine::Tables;
use engine::settings::Settings;
use engine::time::Now;
use rusqlite::{Connection, OpenFlags};

use crate::anchor::{self, Anchor};
use crate::chain::ChainHash;
use crate::connect::{self, Durability};
use crate::fault::Fault;
use crate::journal::Head;
use crate::ledger::{Backing, Identity, Ledger, Live, Probe};
use crate::load::load;
use crate::meta::Meta;
use crate::{checkpoint, schema};

/// What a ledger is opened with.
pub struct Options {
    pub settings: Settings,
    /// Who a new database is to be. One that exists keeps its own.
    pub identity: Identity,
    pub durability: Durability,
    pub probe: Option<Probe>,
}

/// An open ledger, and what was found on the way.
#[derive(Debug)]
pub struct Opened {
    pub ledger: Ledger,
    /// There was none before.
    pub created: bool,
}

/// Why a database is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("`{}` was written by a newer qd (schema {found}; this one knows {})", path.display(), schema::VERSION)]
    Newer { path: PathBuf, found: u32 },
    #[error("`{}` is not a database of qd", path.display())]
    Foreign { path: PathBuf },
    #[error("the SQLite in this program is {found}; at least 3.51.3 is needed")]
    OldSqlite { found: &'static str },
    #[error("`{}` cannot be opened", path.display())]
    Fault {
        path: PathBuf,
        #[source]
        source: Fault,
    },
}

impl Ledger {
    /// Opens the database at `path`, or makes it.
    pub fn open(path: &Path, options: Options, now: Now) -> Result<Opened, OpenError> {
        if rusqlite::version_number() < 3_051_003 {
            return Err(OpenError::OldSqlite { found: rusqlite::version() });
        }
        let fault = |source| OpenError::Fault { path: path.to_owned(), source };
        let created = !has_content(path).map_err(fault)?;
        if created {
            create(path, &options, now).map_err(fault)?;
        }
        let db = connect::writer(path, options.durability).map_err(fault)?;
        let ledger = prove(db, path, options, now).map_err(fault)?;
        Ok(Opened { ledger, created })
    }
}

fn file(what: &'static str) -> impl Fn(io::Error) -> Fault {
    move |source| Fault::File { what, source }
}

fn has_content(path: &Path) -> Result<bool, Fault> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len() > 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(file("the database")(error)),
    }
}

/// Makes a database aside and moves it into place, so that there is a whole one or none.
fn create(path: &Path, options: &Options, now: Now) -> Result<(), Fault> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(file("the folder of the database"))?;
    let fresh = path.with_extension("db.new");
    let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh);
    drop(made.map_err(file("the new database"))?);
    let mut db = Connection::open_with_flags(&fresh, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.pragma_update(None, "journal_mode", "MEMORY")?;
    db.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
    schema::migrate_up(&mut db, schema::MIGRATIONS, now.wall)?;
    Meta::create(&db, &options.identity, now.wall)?;
    let genesis = Head { seq: 0, hash: ChainHash::genesis(&options.identity.database) };
    checkpoint::write(&db, genesis, &Tables::default(), now.wall)?;
    db.close().map_err(|(_, error)| error)?;
    File::open(&fresh).and_then(|it| it.sync_all()).map_err(file("the new database"))?;
    fs::rename(&fresh, path).map_err(file("the database"))?;
    File::open(folder).and_then(|it| it.sync_all()).map_err(file("the folder of the database"))
}

/// Loads what is there, each row checked, and holds it against the anchor.
fn prove(db: Connection, path: &Path, options: Options, now: Now) -> Result<Ledger, Fault> {
    let mut db = db;
    let meta = Meta::read(&db)?;
    let head = Head::read(&db)?;
    let checkpoint = checkpoint::last_digest(&db)?;
    let tables = load(&db)?;
    let engine = Engine::restore(options.settings, tables, now);
    let log_pages = Arc::new(AtomicI32::new(0));
    let seen = Arc::clone(&log_pages);
    db.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
        seen.store(pages, Ordering::Relaxed);
        Ok(())
    }))?;
    let anchor = Anchor::open(&anchor::beside(path)).map_err(file("the anchor"))?;
    let live = Live {
        db,
        anchor,
        anchor_owed: true,
        checkpoint,
        generation: meta.generation,
        log_pages,
        probe: options.probe,
        retained_at: None,
        retention_is_behind: false,
    };
    Ok(Ledger { engine, head, identity: meta.identity, backing: Backing::Live(Box::new(live)) })
}
