//! The way out of a damaged database: a new one of what is proven, in its place, when somebody
//! asks for it. The damaged one stays beside it.
//!
//! The new journal goes on after the last row that is known to have been there, lost or not, and
//! its chain goes on from that row's hash. So no sequence number ever means two things, whoever
//! followed the journal before is sent a snapshot, and the old anchor fits the new database.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use engine::time::Now;
use rusqlite::Connection;

use crate::chain::ChainHash;
use crate::checkpoint::{self, Foundation};
use crate::connect;
use crate::damage::Damage;
use crate::events;
use crate::fault::Fault;
use crate::files::{Files, at, found_aside};
use crate::fold::write_present;
use crate::journal::{Head, Walk, hash_of};
use crate::ledger::{Identity, Ledger};
use crate::lost::{self, Lost};
use crate::meta::Meta;
use crate::open::{OpenError, Opened, Options, open_damaged};
use crate::row::{Table, Values};
use crate::{schema, tables};

/// What a rebuilt database holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Where the damaged database is kept.
    pub kept: PathBuf,
    /// The last row up to which every one is proven; later ones may be too, see `lost`.
    pub proven_through: u64,
    /// The last row that is known to have been there; the journal goes on after it.
    pub continues_after: u64,
    /// Events of the past that were carried over.
    pub events: u64,
    /// What is not proven, and so not in it.
    pub lost: Lost,
}

/// Puts a new database of what is proven in the place of a damaged one, wherever it is damaged.
/// Nothing if it is sound. The caller holds a lock that keeps every daemon out.
pub fn rebuild(path: &Path, options: Options, now: Now) -> Result<Option<Rebuilt>, OpenError> {
    let failed = |source| OpenError::Fault { path: path.to_owned(), source };
    let Some(Opened { ledger, damage: Some(damage), .. }) = open_damaged(path, options, now)?
    else {
        return Ok(None);
    };
    let files = Files::of(path);
    let Made { continues_after, events, lost } =
        make(&files, &ledger, &damage, now).map_err(failed)?;
    fs::rename(&files.fresh, &files.rebuilt).map_err(at("the rebuilt database")).map_err(failed)?;
    files.sync_folder().map_err(failed)?;
    finish(&files).map_err(failed)?;
    let kept = found_aside(&damage.kept);
    let first_lost = lost.rows.runs().first().map(|run| run.start() - 1);
    let proven_through = first_lost.unwrap_or(continues_after);
    Ok(Some(Rebuilt { kept, proven_through, continues_after, events, lost }))
}

/// What was made aside.
struct Made {
    /// The row that the new journal continues after.
    continues_after: u64,
    /// How many events it has.
    events: u64,
    lost: Lost,
}

/// Moves a rebuilt database into place, if there is one: also after a crash in between, because
/// the log of the old one must never meet the new one.
pub(crate) fn finish(files: &Files) -> Result<(), Fault> {
    if !files.rebuilt.exists() {
        return Ok(());
    }
    if files.log.exists() {
        fs::remove_file(&files.log).map_err(at("the write-ahead log"))?;
    }
    files.sync_folder()?;
    fs::rename(&files.rebuilt, &files.database).map_err(at("the rebuilt database"))?;
    files.sync_folder()
}

/// Makes the new database aside.
fn make(files: &Files, ledger: &Ledger, damage: &Damage, now: Now) -> Result<Made, Fault> {
    drop(Files::create_private(&files.fresh).map_err(at("the rebuilt database"))?);
    let mut db = connect::maker(&files.fresh)?;
    db.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
    schema::migrate_up(&mut db, schema::MIGRATIONS, now.wall)?;
    let foundation = foundation(ledger, damage);
    let transaction = db.transaction()?;
    Meta::create(&transaction, &foundation.identity, now.wall)?;
    Meta::set_pruned(&transaction, foundation.head.seq, foundation.head.hash)?;
    Meta::set_generation(&transaction, foundation.generation)?;
    Meta::begin_branch(&transaction, now.wall)?;
    let Head { seq, .. } = foundation.head;
    let (engine, through) = (ledger.engine(), ledger.as_of());
    let old = connect::examiner(&ledger.source.database).ok();
    let mut lost = Lost {
        rows: lost::unproven(old.as_ref(), beginning(old.as_ref(), ledger), ledger.head, seq),
        ..Lost::default()
    };
    let mut others = BTreeMap::new();
    let mut carry = |table: &Table, wanted: &dyn Fn(&Values<'_>) -> bool| {
        let damaged = old.as_ref().map_or(0, |old| carry_over(old, &transaction, table, wanted));
        if damaged > 0 {
            others.insert(table.name, damaged);
        }
    };
    let closed =
        |row: &Values<'_>| row.integer_or_null("completed_at").is_ok_and(|at| at.is_some());
    let proven = |row: &Values<'_>| row.narrow("journal_seq").is_ok_and(|seq: u64| seq <= through);
    carry(&tables::RUNTIMES, &is_over);
    write_present(&transaction, engine, through)?;
    carry(&tables::ACTIONS, &closed);
    carry(&tables::ACTION_SNAPSHOTS, &|_| true);
    let mut events = 0;
    if let Some(old) = &old {
        let (carried, found) = carry_events(old, &transaction, through);
        lost.events = lost::events(old, &transaction, found, &lost.rows)?;
        events = carried;
    }
    carry(&tables::EVENT_INBOX, &|row| proven(row) && is_settled(row));
    lost.others = others;
    checkpoint::found(&transaction, &foundation, &engine.tables(), now.wall)?;
    transaction.commit()?;
    db.close().map_err(|(_, error)| error)?;
    let synced = File::open(&files.fresh).and_then(|file| file.sync_all());
    synced.map_err(at("the rebuilt database"))?;
    Ok(Made { continues_after: seq, events, lost })
}

/// Where the journal of a damaged database begins.
fn beginning(old: Option<&Connection>, ledger: &Ledger) -> Head {
    let pruned = old.and_then(|old| Meta::read(old).ok()).map(|meta| meta.pruned);
    pruned.unwrap_or_else(|| Head { seq: 0, hash: ChainHash::genesis(&ledger.identity().database) })
}

/// Copies the events that are whole, each beside the journal's row that proves it or by a hash of
/// its own. Returns how many, and the numbers of those that were found and are not.
fn carry_events(old: &Connection, new: &Connection, through: u64) -> (u64, BTreeSet<u64>) {
    let (mut count, mut left, mut last) = (0, BTreeSet::new(), 0);
    loop {
        let (seq, found) = match events::next(old, last) {
            Ok(Some(seq)) => (seq, true),
            // A page that cannot be read does not end the table: the next one may be whole.
            Err(_) if last < through => (last + 1, false),
            Ok(None) | Err(_) => return (count, left),
        };
        if seq <= through && carry_event(old, new, seq).unwrap_or(false) {
            count += 1;
        } else if found {
            left.insert(seq);
        }
        last = seq;
    }
}

fn carry_event(old: &Connection, new: &Connection, seq: u64) -> Result<bool, Fault> {
    let Some(hash) = hash_of(old, seq - 1)? else { return events::carry_alone(old, new, seq) };
    let mut carried = false;
    Walk::from(Head { seq: seq - 1, hash }).go(old, 1, |row| {
        if let Some(event) = row.recorded {
            event.add_to(new)?;
            carried = true;
        }
        Ok(())
    })?;
    Ok(carried)
}

/// What the new database stands on: the last thing the anchor knows, or what is proven.
fn foundation(ledger: &Ledger, damage: &Damage) -> Foundation {
    let identity = ledger.identity().clone();
    match &damage.mark {
        Some(mark) => Foundation {
            identity: Identity { database: mark.database.clone(), ..identity },
            head: if ledger.head.seq < mark.seq {
                Head { seq: mark.seq, hash: mark.hash }
            } else {
                ledger.head
            },
            previous: mark.checkpoint,
            generation: mark.generation,
        },
        None => {
            Foundation { identity, head: ledger.head, previous: ledger.head.hash, generation: 0 }
        }
    }
}

fn is_over(row: &Values<'_>) -> bool {
    row.integer_or_null("ended_at").is_ok_and(|at| at.is_some())
}

fn is_settled(row: &Values<'_>) -> bool {
    row.text("status").is_ok_and(|status| status != crate::load::PENDING)
}

/// Copies the rows of one table that are whole, wanted and fit the new database. What does not is
/// left behind: it is still in the kept copy. Returns how many were damaged.
fn carry_over(
    old: &Connection,
    new: &Connection,
    table: &Table,
    wanted: impl Fn(&Values<'_>) -> bool,
) -> u64 {
    let mut count = 0;
    let mut last = i64::MIN;
    let sql = table.scan("WHERE rowid > ? ORDER BY rowid LIMIT 1");
    let next = format!("SELECT min(rowid) FROM {} WHERE rowid > ?", table.name);
    while let Ok(Some(rowid)) = old
        .prepare_cached(&next)
        .and_then(|mut statement| statement.query_row([last], |row| row.get::<_, Option<i64>>(0)))
    {
        let copied = old.prepare_cached(&sql).map_err(Fault::from).and_then(|mut statement| {
            let mut rows = statement.query([last])?;
            let Some(row) = rows.next()? else { return Ok(()) };
            let values = table.values(row)?;
            if wanted(&values) {
                // One that hangs on what was left behind does not fit, and is no loss of its own.
                let _fits = values.add_to(new);
            }
            Ok::<(), Fault>(())
        });
        count += u64::from(copied.is_err());
        last = rowid;
    }
    count
}
