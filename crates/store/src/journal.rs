//! The journal: appended to by the ledger, read by everyone who wants to know what happened.
//!
//! A reader has a connection of its own, so it never waits for the writer, and follows the chain
//! as it reads: what it hands out is what was written.

use std::path::PathBuf;

use engine::action::ActionRow;
use engine::approval::ApprovalRow;
use engine::event::{Actor, Event};
use engine::ids::{RuntimeId, TargetId};
use engine::time::WallMs;
use engine::words::ActionKind;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::actions::{self, ActionEvent, ActionsQuery};
use crate::approvals::{self, ApprovalsQuery};
use crate::chain::{ChainHash, Link};
use crate::connect;
use crate::denials::{self, DenialsQuery, Denied};
use crate::events::{self, Recorded};
use crate::fault::{BadRow, Fault, Wrong};
use crate::lives::{self, Ended};
use crate::meta::Meta;
use crate::row::{signed, unsigned};

/// One row of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub seq: u64,
    pub at: WallMs,
    pub actor: Actor,
    pub event: Event,
}

/// The end of the chain: where the next row is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) hash: ChainHash,
}

impl Head {
    /// The end of what `db` holds: its last row, or the checkpoint that all rows were pruned to.
    pub(crate) fn read(db: &Connection) -> Result<Self, Fault> {
        let last = "SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1";
        let pruned = "SELECT seq, chain_hash FROM checkpoints ORDER BY seq DESC LIMIT 1";
        for sql in [last, pruned] {
            let found = db.query_row(sql, [], |row| Ok((unsigned(row, 0)?, hash_at(row, 1)?)));
            if let Some((seq, hash)) = found.optional()? {
                return Ok(Self { seq, hash });
            }
        }
        Err(BadRow { table: "checkpoints", key: "0".to_owned(), what: Wrong::Missing }.into())
    }

    /// Appends one row after this one.
    pub(crate) fn append(
        &mut self,
        db: &Connection,
        at: WallMs,
        actor: &Actor,
        event: Event,
    ) -> Result<Change, Fault> {
        let seq = self.seq + 1;
        let by = actor.to_string();
        let body = body_of(&event).map(|body| ChainHash::of(body.as_bytes()));
        let (payload, fields) = if let Event::EventRecorded(row) = &event {
            (events::rest(row)?, Some(events::add(db, row, seq)?))
        } else {
            (serde_json::to_string(&event)?, None)
        };
        let link = Link {
            seq,
            at: at.0,
            actor: &by,
            kind: event.kind(),
            payload: ChainHash::of(payload.as_bytes()),
            fields,
            body,
        };
        let hash = link.after(self.hash);
        // An event's row has its payload, or the hash of it.
        let kept = body.filter(|_| fields.is_none());
        db.prepare_cached(
            "INSERT INTO journal (seq, at, actor, kind, payload, body_hash, hash) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            signed(seq),
            at.0,
            by,
            event.kind(),
            payload,
            kept.map(|it| it.0),
            hash.0
        ])?;
        *self = Self { seq, hash };
        Ok(Change { seq, at, actor: actor.clone(), event })
    }
}

/// The redacted payload, which is kept beside the journal.
fn body_of(event: &Event) -> Option<&str> {
    match event {
        Event::EventRecorded(row) => row.signal.payload.as_deref(),
        Event::EventPended(row) => row.signal.payload.as_deref(),
        Event::TargetChanged(_)
        | Event::TargetRemoved { .. }
        | Event::SessionChanged(_)
        | Event::SessionRemoved { .. }
        | Event::PaneChanged { .. }
        | Event::PaneRemoved { .. }
        | Event::ActivitySeen { .. }
        | Event::EventBound { .. }
        | Event::EventDropped { .. }
        | Event::ActionChanged(_)
        | Event::AdapterChanged(_)
        | Event::ApprovalChanged(_)
        | Event::TokenChanged(_)
        | Event::AccessDenied(_) => None,
    }
}

fn hash_at(row: &Row<'_>, index: usize) -> rusqlite::Result<ChainHash> {
    row.get(index).map(ChainHash)
}

/// The rows after one, each with the row of the event that it stands for.
pub(crate) const ROWS_AFTER: &str = concat!(
    "SELECT seq, at, actor, kind, payload, body_hash, hash, ",
    events::columns!(),
    " FROM journal LEFT JOIN events ON journal_seq = seq WHERE seq > ? ORDER BY seq LIMIT ?"
);
/// How many of its columns are the journal's.
const OWN_COLUMNS: usize = 7;

/// A walk along the chain, one row at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    at: Head,
}

impl Walk {
    pub(crate) fn from(head: Head) -> Self {
        Self { at: head }
    }

    pub(crate) fn head(&self) -> Head {
        self.at
    }

    /// Goes on over at most `limit` rows; stops at the first that does not fit. Returns how many
    /// rows were seen.
    pub(crate) fn go(
        &mut self,
        db: &Connection,
        limit: usize,
        mut take: impl FnMut(JournalRow<'_>) -> Result<(), Fault>,
    ) -> Result<usize, Fault> {
        let mut statement = db.prepare_cached(ROWS_AFTER)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![signed(self.at.seq), limit])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let row = JournalRow::of(row)?;
            self.at = row.follow(self.at)?;
            take(row)?;
            count += 1;
        }
        Ok(count)
    }
}

/// A row of the journal as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JournalRow<'r> {
    pub(crate) seq: u64,
    pub(crate) at: i64,
    pub(crate) actor: &'r str,
    pub(crate) kind: &'r str,
    payload: &'r str,
    body: Option<ChainHash>,
    hash: ChainHash,
    /// The row of the event that it stands for.
    pub(crate) recorded: Option<Recorded<'r>>,
}

impl<'r> JournalRow<'r> {
    fn of(row: &'r Row<'_>) -> Result<Self, Fault> {
        let text = |index: usize| -> Result<&str, Fault> {
            Ok(row.get_ref(index)?.as_str().map_err(rusqlite::Error::from)?)
        };
        let seq = unsigned(row, 0)?;
        Ok(Self {
            seq,
            at: row.get(1)?,
            actor: text(2)?,
            kind: text(3)?,
            payload: text(4)?,
            body: row.get::<_, Option<[u8; 32]>>(5)?.map(ChainHash),
            hash: hash_at(row, 6)?,
            recorded: Recorded::of(row, OWN_COLUMNS, seq)?,
        })
    }

    /// Whether it is the row after `previous`.
    fn follow(&self, previous: Head) -> Result<Head, Fault> {
        if self.seq != previous.seq + 1 {
            return Err(self.bad(Wrong::Gap).into());
        }
        let (fields, body) = self.event_hashes()?;
        let link = Link {
            seq: self.seq,
            at: self.at,
            actor: self.actor,
            kind: self.kind,
            payload: ChainHash::of(self.payload.as_bytes()),
            fields,
            body,
        };
        if link.after(previous.hash) != self.hash {
            return Err(self.bad(Wrong::ChainHash).into());
        }
        Ok(Head { seq: self.seq, hash: self.hash })
    }

    /// The hashes of the event that it stands for: of its fields, and of its payload.
    fn event_hashes(&self) -> Result<(Option<ChainHash>, Option<ChainHash>), Fault> {
        match (self.kind == events::KIND, &self.recorded) {
            (true, Some(event)) if event.relies_on_journal()? && self.body.is_none() => {
                Ok((Some(event.fields_hash()), event.body()?))
            }
            (true, Some(_)) => Err(self.bad(Wrong::ChainHash).into()),
            (true, None) => Err(events::bad(self.seq, Wrong::Missing).into()),
            (false, Some(_)) => Err(events::bad(self.seq, Wrong::Unexpected).into()),
            (false, None) => Ok((None, self.body)),
        }
    }

    pub(crate) fn bad(&self, what: Wrong) -> BadRow {
        BadRow { table: "journal", key: self.seq.to_string(), what }
    }

    pub(crate) fn event(&self) -> Result<Event, Fault> {
        if let Some(recorded) = &self.recorded {
            return recorded.event(self.payload);
        }
        let wrong = |_| self.bad(Wrong::Value { column: "payload".to_owned() });
        Ok(serde_json::from_str(self.payload).map_err(wrong)?)
    }

    fn change(&self) -> Result<Change, Fault> {
        let wrong = || self.bad(Wrong::Value { column: "actor".to_owned() });
        let actor = Actor::parse(self.actor).ok_or_else(wrong)?;
        Ok(Change { seq: self.seq, at: WallMs(self.at), actor, event: self.event()? })
    }
}

/// The hash of a row, wherever it is still known.
pub(crate) fn hash_of(db: &Connection, seq: u64) -> Result<Option<ChainHash>, Fault> {
    let row = "SELECT hash FROM journal WHERE seq = ?";
    let checkpoint = "SELECT chain_hash FROM checkpoints WHERE seq = ?";
    for sql in [row, checkpoint] {
        let found =
            db.prepare_cached(sql)?.query_row([signed(seq)], |row| hash_at(row, 0)).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    let pruned = Meta::read(db)?.pruned;
    Ok((pruned.seq == seq).then_some(pruned.hash))
}

/// Tells of every row after `seq` that is no event of a source's, without a look at the chain.
pub(crate) fn each_told(
    db: &Connection,
    seq: u64,
    mut take: impl FnMut(Event),
) -> Result<(), Fault> {
    let sql = "SELECT seq, payload FROM journal \
        WHERE seq > ? AND kind <> 'event_recorded' ORDER BY seq";
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([signed(seq)])?;
    while let Some(row) = rows.next()? {
        let payload = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let event = serde_json::from_str(payload).map_err(|_| BadRow {
            table: "journal",
            key: row.get::<_, i64>(0).unwrap_or_default().to_string(),
            what: Wrong::Value { column: "payload".to_owned() },
        })?;
        take(event);
    }
    Ok(())
}

/// When the last row was written, by the wall clock of then.
pub(crate) fn last_written(db: &Connection) -> Result<Option<WallMs>, Fault> {
    let sql = "SELECT at FROM journal ORDER BY seq DESC LIMIT 1";
    Ok(db.query_row(sql, [], |row| row.get(0).map(WallMs)).optional()?)
}

/// Which rows can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The oldest row that was not pruned; one more than `last` if there is none.
    pub first: u64,
    pub last: u64,
}

/// Why the journal cannot be read from there.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The rows up to `first` were pruned.
    #[error("the journal begins at {first}")]
    Pruned { first: u64 },
    /// No row has that number yet.
    #[error("the journal ends at {last}")]
    Ahead { last: u64 },
    #[error("the journal cannot be read")]
    Fault(#[from] Fault),
}

/// Where a ledger's journal can be read, and how far.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) database: PathBuf,
    /// Rows after this one are not proven and are not handed out.
    pub(crate) through: Option<u64>,
}

/// A reader of the journal beside the ledger, and beside other readers.
#[derive(Debug)]
pub struct Journal {
    db: Connection,
    through: Option<u64>,
}

impl Journal {
    pub(crate) fn open(source: &Source) -> Result<Self, Fault> {
        Ok(Self { db: connect::reader(&source.database)?, through: source.through })
    }

    pub fn bounds(&self) -> Result<Bounds, Fault> {
        let last = Head::read(&self.db)?.seq;
        let first = self
            .db
            .prepare_cached("SELECT min(seq) FROM journal")?
            .query_row([], |row| row.get::<_, Option<i64>>(0))?
            .and_then(|first| u64::try_from(first).ok());
        let last = self.through.map_or(last, |through| last.min(through));
        Ok(Bounds { first: first.unwrap_or(last + 1), last })
    }

    /// The chain's hash at `seq`, in hexadecimal, wherever it is still known.
    pub fn hash_at(&self, seq: u64) -> Result<Option<String>, Fault> {
        Ok(hash_of(&self.db, seq)?.map(|hash| engine::ids::hex(&hash.0)))
    }

    /// A runtime of that id, if there was one and it ended.
    pub fn ended(&self, runtime: &RuntimeId) -> Result<Option<Ended>, Fault> {
        lives::ended(&self.db, runtime)
    }

    /// An action, as long as it is kept.
    pub fn action(&self, action: &str) -> Result<Option<ActionRow>, Fault> {
        actions::by_id(&self.db, action)
    }

    /// The action of this kind that was asked for under this reference.
    pub fn action_by_request(
        &self,
        kind: ActionKind,
        request_ref: &str,
    ) -> Result<Option<ActionRow>, Fault> {
        actions::by_request(&self.db, kind, request_ref)
    }

    /// Actions, newest first.
    pub fn actions(&self, query: &ActionsQuery) -> Result<Vec<ActionRow>, Fault> {
        actions::list(&self.db, query)
    }

    /// Who was turned away, newest first.
    pub fn denials(&self, query: &DenialsQuery) -> Result<Vec<Denied>, Fault> {
        denials::list(&self.db, query)
    }

    /// An approval, as long as it is kept.
    pub fn approval(&self, approval: &str) -> Result<Option<ApprovalRow>, Fault> {
        approvals::by_id(&self.db, approval)
    }

    /// Approvals, oldest first.
    pub fn approvals(&self, query: &ApprovalsQuery) -> Result<Vec<ApprovalRow>, Fault> {
        approvals::list(&self.db, query)
    }

    /// The events that bear an action's id, in the order of the journal.
    pub fn action_events(&self, action: &str) -> Result<Vec<ActionEvent>, Fault> {
        actions::events(&self.db, action)
    }

    /// The targets that were removed after `seq`, by the names that they had.
    pub fn targets_removed_after(&self, seq: u64) -> Result<Vec<(TargetId, String)>, Fault> {
        let sql = "SELECT seq, payload FROM journal WHERE seq > ?1 AND kind = 'target_removed'";
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query([i64::try_from(seq).unwrap_or(i64::MAX)])?;
        let mut removed = Vec::new();
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(0)?;
            let payload = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
            let Ok(Event::TargetRemoved { target, name }) = serde_json::from_str(payload) else {
                let what = Wrong::Value { column: "payload".to_owned() };
                return Err(BadRow { table: "journal", key: seq.to_string(), what }.into());
            };
            removed.push((target, name));
        }
        Ok(removed)
    }

    /// At most `limit` changes after `seq`, in order and without a gap.
    pub fn changes_after(&self, seq: u64, limit: usize) -> Result<Vec<Change>, ReadError> {
        let transaction = self.db.unchecked_transaction().map_err(Fault::from)?;
        let Bounds { first, last } = self.bounds()?;
        if seq > last {
            return Err(ReadError::Ahead { last });
        }
        let Some(hash) = hash_of(&self.db, seq)?.filter(|_| seq + 1 >= first) else {
            return Err(ReadError::Pruned { first });
        };
        let limit = limit.min(usize::try_from(last - seq).unwrap_or(usize::MAX));
        let mut changes = Vec::new();
        Walk::from(Head { seq, hash }).go(&self.db, limit, |row| {
            changes.push(row.change()?);
            Ok(())
        })?;
        transaction.finish().map_err(Fault::from)?;
        Ok(changes)
    }
}
