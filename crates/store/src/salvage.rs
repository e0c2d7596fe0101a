//! What is left of a damaged database: the longest beginning of its journal that is proven, and
//! what that comes to.
//!
//! The tables are not believed here. They are made again from the last checkpoint that proves to
//! be whole and the rows that follow it in the chain. All of this happens in memory and on a copy.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use engine::engine::Tables;
use engine::settings::Settings;
use rusqlite::{Connection, OptionalExtension};

use crate::anchor::Mark;
use crate::chain::ChainHash;
use crate::checkpoint;
use crate::damage::Finding;
use crate::fault::Fault;
use crate::files::{self, Files, Look};
use crate::journal::{Head, Walk, hash_of};
use crate::meta::Meta;
use crate::replay::Replay;
use crate::tables::EVENT_INBOX;
use crate::{connect, schema};

/// How far a salvage goes on after a damaged row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Not at all: what is shown is what was true once, at the last row before it.
    Unbroken,
    /// Over the rows that lead up to the anchored one, which is proof enough of each of them.
    Anchored,
}

/// What is proven of a damaged database.
#[derive(Debug)]
pub(crate) struct Salvage {
    pub(crate) meta: Option<Meta>,
    /// The last proven row.
    pub(crate) head: Head,
    pub(crate) tables: Tables,
}

impl Salvage {
    /// Nothing at all.
    pub(crate) fn nothing() -> Self {
        let head = Head { seq: 0, hash: ChainHash([0; 32]) };
        Self { meta: None, head, tables: Tables::default() }
    }

    /// Everything that is proven in the copy at `files`.
    pub(crate) fn of(
        files: &Files,
        finding: &Finding,
        mark: Option<&Mark>,
        reach: Reach,
        settings: Settings,
    ) -> Self {
        let salvaged = mend_header(files).and_then(|()| {
            let db = connect::examiner(&files.database)?;
            Self::from_db(&db, finding, mark, reach, settings)
        });
        salvaged.ok().flatten().unwrap_or_else(Self::nothing)
    }

    fn from_db(
        db: &Connection,
        finding: &Finding,
        mark: Option<&Mark>,
        reach: Reach,
        settings: Settings,
    ) -> Result<Option<Self>, Fault> {
        let meta = Meta::read(db).ok();
        let database = meta.as_ref().map(|it| &it.identity.database);
        let beginning = database.or(mark.map(|mark| &mark.database)).map(|it| Base::genesis(it));
        let proven = match base(db, finding, mark)? {
            Some(base) => Some(base),
            // Rows that were pruned leave a gap here, so this proves nothing it should not.
            None => beginning.filter(|_| believes_file(finding)),
        };
        let Some(base) = proven else { return Ok(None) };
        let mark = mark.filter(|_| reach == Reach::Anchored);
        let (head, mut tables) = follow(db, base, finding, mark, settings);
        attach_payloads(db, &mut tables);
        Ok(Some(Self { meta, head, tables }))
    }
}

/// What a replay begins with.
struct Base {
    head: Head,
    tables: Tables,
}

impl Base {
    /// The beginning of all rows.
    fn genesis(database: &str) -> Self {
        let head = Head { seq: 0, hash: ChainHash::genesis(database) };
        Self { head, tables: Tables::default() }
    }
}

/// The newest checkpoint that is proven.
///
/// Where the journal is not the one that was anchored, it cannot be told since when: then only the
/// checkpoint counts that the anchor itself names.
fn base(db: &Connection, finding: &Finding, mark: Option<&Mark>) -> Result<Option<Base>, Fault> {
    for seq in checkpoint::list(db)? {
        let Ok(Some(checkpoint)) = checkpoint::get(db, seq) else { continue };
        let named = mark.is_some_and(|mark| mark.checkpoint == checkpoint.digest);
        if checkpoint.prove().is_err() || !(named || believes_file(finding)) {
            continue;
        }
        if let Ok(tables) = checkpoint.open() {
            return Ok(Some(Base { head: checkpoint.head, tables }));
        }
    }
    Ok(None)
}

/// Whether what the file says of itself counts, as far as it holds together.
fn believes_file(finding: &Finding) -> bool {
    match finding {
        Finding::Rewritten { .. } | Finding::OtherDatabase { .. } | Finding::CheckpointLost => {
            false
        }
        Finding::BadRow(_)
        | Finding::Missing { .. }
        | Finding::LogAlone
        | Finding::Unreadable
        | Finding::OtherProgram { .. }
        | Finding::Sqlite { .. }
        | Finding::Index { .. }
        | Finding::Version { .. }
        | Finding::Schema
        | Finding::Cut { .. }
        | Finding::Older
        | Finding::AnchorDamaged
        | Finding::AnchorMissing => true,
    }
}

/// Folds what follows the base, up to the first row that does not fit, and then the rows that lead
/// up to the anchored one, where there is a mark. What only the rows between told is lost.
fn follow(
    db: &Connection,
    base: Base,
    finding: &Finding,
    mark: Option<&Mark>,
    settings: Settings,
) -> (Head, Tables) {
    let mut replay = Replay::from(base.tables, settings);
    let mut head = base.head;
    if believes_file(finding) {
        let mut fold = |from: Head| {
            let mut walk = Walk::from(from);
            // Where the walk ends, and why, the finding has said already.
            let _ended = walk.go(db, usize::MAX, |row| {
                replay.take(&row.event()?);
                Ok(())
            });
            walk.head()
        };
        head = fold(head);
        if let Some(behind) =
            mark.and_then(|mark| anchored_end(db, head, Head { seq: mark.seq, hash: mark.hash }))
        {
            head = fold(behind);
        }
    }
    (head, replay.tables())
}

/// The damaged row from which on every row follows from the one before, up to the anchored one. A
/// row's hash covers the hash before it, so the anchored hash proves all of them at once.
pub(crate) fn anchored_end(db: &Connection, proven: Head, anchored: Head) -> Option<Head> {
    let mut seq = proven.seq + 1;
    while seq < anchored.seq {
        if let Ok(Some(hash)) = hash_of(db, seq) {
            let behind = Head { seq, hash };
            let mut walk = Walk::from(behind);
            let _ended = walk.go(db, usize::MAX, |_| Ok(()));
            let fits = || hash_of(db, anchored.seq).is_ok_and(|it| it == Some(anchored.hash));
            if walk.head().seq >= anchored.seq {
                return fits().then_some(behind);
            }
            seq = walk.head().seq;
        }
        seq += 1;
    }
    None
}

/// Puts the payloads of waiting events back, which the journal does not hold. One that is gone or
/// damaged is left out: the event is worth more than its text.
fn attach_payloads(db: &Connection, tables: &mut Tables) {
    for row in &mut tables.inbox {
        let key = [row.inbox.as_str()];
        if let Ok(Some(values)) = EVENT_INBOX.get(db, &key) {
            row.signal.payload = values.text_or_null("raw_payload").ok().flatten().map(Into::into);
        }
    }
}

/// Writes the parts of SQLite's header that are the same in every database of ours. A flipped bit
/// there would make the whole file unreadable.
fn mend_header(copy: &Files) -> Result<(), Fault> {
    const FIXED: [(u64, &[u8]); 9] = [
        (0, files::MAGIC),
        // Pages of 4,096 bytes, written and read through the log, nothing reserved.
        (16, &[0x10, 0x00, 2, 2, 0, 64, 32, 32]),
        // The size is the file's.
        (28, &[0, 0, 0, 0]),
        // The schema's own format.
        (44, &[0, 0, 0, 4]),
        // Not auto-vacuumed; in UTF-8.
        (52, &[0, 0, 0, 0]),
        (56, &[0, 0, 0, 1]),
        (60, &schema::VERSION.to_be_bytes()),
        (64, &[0, 0, 0, 0]),
        (68, &schema::APPLICATION_ID.to_be_bytes()),
    ];
    match copy.look()? {
        Look::Absent | Look::Empty => return Ok(()),
        Look::Sqlite { .. } | Look::Other => {}
    }
    let at = files::at("a copy of the database");
    let file = OpenOptions::new().write(true).open(&copy.database).map_err(&at)?;
    for (offset, bytes) in FIXED {
        file.write_all_at(bytes, offset).map_err(&at)?;
    }
    Ok(())
}

/// Whether a file that says it belongs to another program is ours all the same.
pub(crate) fn is_ours(db: &Connection, mark: &Mark) -> bool {
    let sql = "SELECT value FROM meta WHERE key = 'database_id'";
    let found: Result<Option<String>, _> = db.query_row(sql, [], |row| row.get(0)).optional();
    found.is_ok_and(|id| id.as_deref() == Some(mark.database.as_str()))
}
