//! Opening: a new database, one that proves to be what was left, or what is left of a damaged one.
//!
//! Nothing is written before the database has proven itself, and a damaged one is never written
//! again: it is copied aside as it was found, and the ledger shows what the copy still proves.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use engine::Engine;
use engine::engine::Tables;
use engine::settings::Settings;
use engine::time::Now;
use rusqlite::Connection;

use crate::anchor::{Anchor, Reading};
use crate::chain::ChainHash;
use crate::commit::{CommitErrorKind, kind_of};
use crate::connect::{self, Durability};
use crate::damage::{Damage, Finding};
use crate::fault::Fault;
use crate::files::{Files, Held, Look, at};
use crate::journal::{Head, Source};
use crate::ledger::{Backing, Identity, Ledger, Live, Probe};
use crate::meta::Meta;
use crate::proof::{Doubt, Proven, prove};
use crate::reserve::{self, Reserve};
use crate::salvage::{Reach, Salvage, is_ours};
use crate::trust::{Remembered, Trust};
use crate::verify::verify;
use crate::{checkpoint, journal, rebuild, schema};

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
    /// The database is damaged. The ledger is read-only and shows what is proven.
    pub damage: Option<Damage>,
}

/// Why a database is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "`{}` was written by a newer qd: it has schema {found}, and this qd knows {known}",
        path.display(),
        known = schema::VERSION
    )]
    Newer { path: PathBuf, found: u32 },
    #[error("there is no database at `{}`", path.display())]
    Absent { path: PathBuf },
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

impl OpenError {
    /// The disk is full.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Fault { source, .. } => kind_of(source) == CommitErrorKind::Full,
            Self::Newer { .. }
            | Self::Absent { .. }
            | Self::Foreign { .. }
            | Self::OldSqlite { .. } => false,
        }
    }
}

impl Ledger {
    /// Opens the database at `path`, or makes it. The caller holds a lock that keeps every other
    /// daemon out.
    pub fn open(path: &Path, options: Options, now: Now) -> Result<Opened, OpenError> {
        if rusqlite::version_number() < 3_051_003 {
            return Err(OpenError::OldSqlite { found: rusqlite::version() });
        }
        let reach = Reach::Unbroken;
        let mut opening = Opening { files: Files::of(path), options, now, reach };
        let first = opening.run();
        match first {
            // Even opening takes a little room, which the reserve has.
            Err(error) if error.is_full() && reserve::give_up(&opening.files.reserve) => {
                opening.run()
            }
            Ok(_) | Err(_) => first,
        }
    }
}

/// Opens what is proven of a database that is damaged anywhere, also further back than what a
/// start looks at, as far as its anchor reaches. Nothing if it is sound.
pub(crate) fn open_damaged(
    path: &Path,
    options: Options,
    now: Now,
) -> Result<Option<Opened>, OpenError> {
    let reach = Reach::Anchored;
    let mut opening = Opening { files: Files::of(path), options, now, reach };
    let opened = opening.run()?;
    if opened.damage.is_some() {
        return Ok(Some(opened));
    }
    // What opening a sound database mends, such as the anchor, is mended by now.
    drop(opened);
    let Some(finding) = verify(path)?.findings.into_iter().next() else { return Ok(None) };
    let anchor = Reading::of(&opening.files.anchor).map_err(at("the anchor"));
    let anchor = anchor.map_err(|fault| opening.failed(fault))?;
    opening.salvage(finding, anchor).map(Some)
}

/// One attempt to open.
struct Opening {
    files: Files,
    options: Options,
    now: Now,
    reach: Reach,
}

impl Opening {
    fn run(&mut self) -> Result<Opened, OpenError> {
        rebuild::finish(&self.files).map_err(|fault| self.failed(fault))?;
        let anchor = Reading::of(&self.files.anchor).map_err(at("the anchor"));
        let anchor = anchor.map_err(|fault| self.failed(fault))?;
        let anchored = anchor.as_ref().and_then(|it| it.mark.as_ref()).map(|mark| mark.seq);
        match self.files.look().map_err(|fault| self.failed(fault))? {
            Look::Absent | Look::Empty => match anchored {
                Some(anchored) => self.salvage(Finding::Missing { anchored }, anchor),
                None if self.files.has_log() => self.salvage(Finding::LogAlone, anchor),
                None => self.create(),
            },
            Look::Other if anchored.is_some() => self.salvage(Finding::Unreadable, anchor),
            Look::Sqlite { application_id }
                if application_id != schema::APPLICATION_ID && anchored.is_some() =>
            {
                self.salvage(Finding::OtherProgram { application_id }, anchor)
            }
            Look::Sqlite { application_id: schema::APPLICATION_ID } => self.open_ours(anchor),
            Look::Sqlite { .. } | Look::Other => Err(self.foreign()),
        }
    }

    fn failed(&self, source: Fault) -> OpenError {
        OpenError::Fault { path: self.files.database.clone(), source }
    }

    fn foreign(&self) -> OpenError {
        OpenError::Foreign { path: self.files.database.clone() }
    }

    fn create(&mut self) -> Result<Opened, OpenError> {
        let Options { identity, .. } = &self.options;
        create(&self.files, identity, self.now).map_err(|fault| self.failed(fault))?;
        let opened = self.open_ours(None)?;
        Ok(Opened { created: true, ..opened })
    }

    fn open_ours(&mut self, anchor: Option<Reading>) -> Result<Opened, OpenError> {
        match self.examine(anchor.as_ref()) {
            Ok((db, mut proven)) if connect::is_writable(&db) => {
                if proven.head.seq > 0 && anchor.as_ref().is_none_or(|it| it.mark.is_none()) {
                    proven.meta = self.branch_off(&db).map_err(|fault| self.failed(fault))?;
                }
                let live = self.enliven(db, &proven).map_err(|fault| self.failed(fault))?;
                Ok(self.opened(proven, live, anchor.as_ref()))
            }
            Ok((_, proven)) => {
                let frozen = Backing::Frozen("the file of the database is read-only".to_owned());
                Ok(self.opened(proven, frozen, anchor.as_ref()))
            }
            Err(Refused::Open(error)) => Err(error),
            Err(Refused::Damaged(finding)) => self.salvage(finding, anchor),
        }
    }

    /// Nothing outside of the database tells how far it had come.
    fn branch_off(&self, db: &Connection) -> Result<Meta, Fault> {
        connect::make_durable(db, self.options.durability)?;
        Meta::begin_branch(db, self.now.wall)?;
        Meta::read(db)
    }

    fn opened(&self, proven: Proven, backing: Backing, anchor: Option<&Reading>) -> Opened {
        let Proven { meta, head, tables, .. } = proven;
        let notice = match anchor {
            None if head.seq > 0 => Some(Finding::AnchorMissing),
            Some(Reading { damaged: 1.., .. }) => Some(Finding::AnchorDamaged),
            None | Some(_) => None,
        };
        let ledger = Ledger {
            engine: Engine::restore(self.options.settings, tables, self.now),
            head,
            stream: meta.stream(),
            identity: meta.identity,
            backing,
            source: Source { database: self.files.database.clone(), through: None },
            notices: notice.into_iter().collect(),
        };
        Opened { ledger, created: false, damage: None }
    }

    /// Opens the file, brings its schema up to date and has it prove itself.
    fn examine(&self, anchor: Option<&Reading>) -> Result<(Connection, Proven), Refused> {
        let mut db = connect::writer(&self.files).map_err(|fault| self.refused(fault.into()))?;
        if let Some(found) = schema::newer(&db).map_err(|fault| self.refused(fault.into()))? {
            let path = self.files.database.clone();
            return Err(Refused::Open(OpenError::Newer { path, found }));
        }
        let version = schema::version(&db).map_err(|error| self.refused(error.into()))?;
        if version < schema::VERSION && schema::is_really(&db, version) {
            self.migrate(&mut db, version).map_err(|fault| self.refused(fault.into()))?;
        }
        let proven = prove(&db, anchor).map_err(|doubt| self.refused(doubt))?;
        Ok((db, proven))
    }

    fn refused(&self, doubt: Doubt) -> Refused {
        match doubt {
            Doubt::Found(finding) => Refused::Damaged(finding),
            Doubt::Failed(fault) => Refused::Open(self.failed(fault)),
        }
    }

    /// Takes an older database to this schema, after a copy of it was put beside it.
    fn migrate(&self, db: &mut Connection, from: u32) -> Result<(), Fault> {
        let backup = self.files.backup(from);
        drop(Files::create_private(&backup).map_err(at("the copy before the migration"))?);
        db.backup(rusqlite::MAIN_DB, &backup, None::<fn(rusqlite::backup::Progress)>)?;
        let synced = File::open(&backup).and_then(|file| file.sync_all());
        synced.map_err(at("the copy before the migration"))?;
        self.files.sync_folder()?;
        connect::make_durable(db, self.options.durability)?;
        schema::migrate_up(db, schema::MIGRATIONS, self.now.wall)
    }

    /// Makes a proven database ready to be written.
    fn enliven(&mut self, db: Connection, proven: &Proven) -> Result<Backing, Fault> {
        let mut db = db;
        self.files.close_to_others()?;
        connect::make_durable(&db, self.options.durability)?;
        let log_pages = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&log_pages);
        db.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        let mut anchor = Anchor::open(&self.files.anchor).map_err(at("the anchor"))?;
        let mark = proven.mark();
        // Both slots, so that no later mark needs room on the disk.
        let written = anchor.write(&mark).and_then(|()| anchor.write(&mark));
        written.and_then(|()| anchor.sync()).map_err(at("the anchor"))?;
        // Where a database says nothing of the clock, its last row was written by one.
        let written = || journal::last_written(&db).map(|at| at.unwrap_or(self.now.wall));
        let clock_noted = match proven.meta.clock {
            Some(clock) => clock,
            None => Remembered { believed: written()?, doubt: None },
        };
        Ok(Backing::Live(Box::new(Live {
            held: Held::now(&self.files)?,
            db,
            anchor,
            anchor_owed: false,
            checkpoint: proven.checkpoint,
            generation: proven.meta.generation,
            log_pages,
            reserve: Reserve::hold(&self.files, self.now),
            probe: self.options.probe.take(),
            trust: Trust::begin(clock_noted, self.now),
            clock_noted,
            retention_is_behind: false,
        })))
    }

    /// Opens what is proven of a damaged database, read-only.
    fn salvage(&self, finding: Finding, anchor: Option<Reading>) -> Result<Opened, OpenError> {
        let mark = anchor.and_then(|it| it.mark);
        let aside = self.files.set_aside().map_err(|fault| self.failed(fault))?;
        if let (Finding::OtherProgram { .. }, Some(mark)) = (&finding, &mark) {
            let ours = connect::examiner(&aside.database).is_ok_and(|db| is_ours(&db, mark));
            if !ours {
                return Err(self.foreign());
            }
        }
        let settings = self.options.settings;
        let examined = aside.for_examination().map_err(|fault| self.failed(fault))?;
        let Salvage { meta, head, tables } =
            Salvage::of(&examined, &finding, mark.as_ref(), self.reach, settings);
        let stream = meta.as_ref().map(Meta::stream);
        let identity = meta.map_or_else(|| self.options.identity.clone(), |meta| meta.identity);
        let why = format!("the database is damaged: {finding}");
        let ledger = Ledger {
            engine: Engine::restore(settings, tables, self.now),
            head,
            stream: stream.unwrap_or_else(|| identity.database.clone()),
            identity,
            backing: Backing::Frozen(why),
            source: Source { database: examined.database, through: Some(head.seq) },
            notices: Vec::new(),
        };
        let damage = Damage {
            finding,
            kept: aside.database,
            proven_through: head.seq,
            anchored: mark.as_ref().map(|mark| mark.seq),
            mark,
        };
        Ok(Opened { ledger, created: false, damage: Some(damage) })
    }
}

/// Why a file of ours is not opened for writing.
enum Refused {
    Open(OpenError),
    Damaged(Finding),
}

/// Makes a database aside and moves it into place, so that there is a whole one or none.
fn create(files: &Files, identity: &Identity, now: Now) -> Result<(), Fault> {
    files.make_folder()?;
    drop(Files::create_private(&files.fresh).map_err(at("the new database"))?);
    let mut db = connect::maker(&files.fresh)?;
    db.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
    schema::migrate_up(&mut db, schema::MIGRATIONS, now.wall)?;
    Meta::create(&db, identity, now.wall)?;
    let genesis = Head { seq: 0, hash: ChainHash::genesis(&identity.database) };
    checkpoint::write(&db, genesis, &Tables::default(), now.wall)?;
    db.close().map_err(|(_, error)| error)?;
    let synced = File::open(&files.fresh).and_then(|file| file.sync_all());
    synced.map_err(at("the new database"))?;
    fs::rename(&files.fresh, &files.database).map_err(at("the database"))?;
    files.sync_folder()
}
