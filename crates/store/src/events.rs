//! The events of sources, each stored once: its fields in a row of `events`, what is left of it in
//! the journal's row of the same number, whose hash covers both.
//!
//! The payload enters that hash by its own, which takes its place when retention clears it. A row
//! without a journal's row, as a rebuilt database has them, carries a hash of its own.

use std::collections::BTreeMap;

use engine::approval::Asked;
use engine::event::Event;
use engine::ids::{AgentType, EventId, PaneKey, RuntimeId};
use engine::signal::{About, EventRow, Hints, Signal};
use engine::state::{Claim, OrderKey};
use engine::time::{Stamp, WallMs};
use engine::words::{Detail, Source};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};

use crate::chain::ChainHash;
use crate::fault::{BadRow, Fault, Wrong};
use crate::row::{RowHash, counter, integer, integer_or_null, signed, text, text_or_null};

/// The name of the table.
pub(crate) const TABLE: &str = "events";
/// What the word of the journal's rows is that have a row here.
pub(crate) const KIND: &str = "event_recorded";

/// The columns that the journal's hash covers as one, in its order.
pub(crate) const FIELDS: [&str; 11] = [
    "event_id",
    "runtime_id",
    "event_type",
    "source",
    "source_event_id",
    "source_seq",
    "event_time",
    "ingested_at",
    "dedupe_key",
    "action_id",
    "source_action_id",
];

/// All columns but the number, as [`Recorded`] reads them: the fields, then the others.
macro_rules! columns {
    () => {
        "event_id, runtime_id, event_type, source, source_event_id, source_seq, event_time, \
         ingested_at, dedupe_key, action_id, source_action_id, raw_payload, payload_hash, row_hash"
    };
}

pub(crate) use columns;

const INSERT: &str = concat!(
    "INSERT INTO events (",
    columns!(),
    ", journal_seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
);
const ONE: &str = concat!("SELECT ", columns!(), " FROM events WHERE journal_seq = ?");
const ALONE: &str = concat!(
    "SELECT journal_seq, ",
    columns!(),
    " FROM events WHERE journal_seq <= ? OR journal_seq > ?"
);
const CLEAR: &str = "UPDATE events SET raw_payload = NULL, payload_hash = ?, row_hash = ? \
    WHERE journal_seq = ?";

/// What an event is beside the columns of its row: most events are nothing else.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Rest {
    /// The pane that it named; without one it named its runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pane: Option<PaneKey>,
    #[serde(skip_serializing_if = "Hints::is_empty")]
    hints: Hints,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<AgentType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<Claim>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    details: BTreeMap<Detail, String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeats: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<Asked>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    begins_turn: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expects_version: Option<u64>,
    /// The time it counts for, where that is not its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_time: Option<WallMs>,
    /// How far that is ahead of the wall clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead_ms: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    retires: Vec<(Source, OrderKey)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waited_ms: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    of_other: bool,
}

/// What the journal's row holds of an event.
pub(crate) fn rest(row: &EventRow) -> Result<String, Fault> {
    let signal = &row.signal;
    let rest = Rest {
        pane: match &signal.about {
            About::Pane(key) => Some(key.clone()),
            About::Runtime(_) => None,
        },
        hints: signal.hints.clone(),
        agent: signal.agent.clone(),
        claim: signal.claim.clone(),
        details: signal.details.clone(),
        repeats: signal.repeats,
        session: signal.session.clone(),
        asked: signal.asked.clone(),
        begins_turn: signal.begins_turn,
        expects_version: signal.expects_version,
        effective_time: Some(row.effective_time).filter(|time| *time != signal.event_time),
        ahead_ms: Some(row.ahead_ms).filter(|ms| *ms != 0),
        retires: row.retires.clone(),
        waited_ms: Some(row.waited_ms).filter(|ms| *ms > 0),
        of_other: row.of_other,
    };
    Ok(serde_json::to_string(&rest)?)
}

/// Stores an event under its number in the journal, and returns the hash of its fields.
pub(crate) fn add(db: &Connection, row: &EventRow, seq: u64) -> Result<ChainHash, Fault> {
    let signal = &row.signal;
    let action = signal.action_id.as_deref().map(|action| known_action(db, action)).transpose()?;
    let action = action.flatten();
    let fields: [ValueRef<'_>; FIELDS.len()] = [
        text(signal.event_id.as_str()),
        text(row.runtime.as_str()),
        text(&signal.event_type),
        text(signal.source.as_str()),
        text_or_null(signal.source_event_id.as_deref()),
        integer_or_null(signal.source_seq),
        integer(signal.event_time.0),
        integer(row.ingested_at.wall.0),
        text(&signal.dedupe_key),
        text_or_null(action.as_deref()),
        text_or_null(signal.action_id.as_deref()),
    ];
    let others = [text_or_null(signal.payload.as_deref()), ValueRef::Null, ValueRef::Null];
    insert(db, &fields, others, seq)?;
    Ok(hash_of(fields.iter().copied()))
}

fn insert(
    db: &Connection,
    fields: &[ValueRef<'_>],
    others: [ValueRef<'_>; 3],
    seq: u64,
) -> Result<(), Fault> {
    let mut statement = db.prepare_cached(INSERT)?;
    let values = fields.iter().copied().chain(others).chain([counter(seq)]);
    for (index, value) in values.enumerate() {
        statement.raw_bind_parameter(index + 1, ToSqlOutput::Borrowed(value))?;
    }
    statement.raw_execute()?;
    Ok(())
}

/// The action of ours that a source named, if it is one.
fn known_action(db: &Connection, action: &str) -> Result<Option<String>, Fault> {
    let mut statement = db.prepare_cached("SELECT action_id FROM actions WHERE action_id = ?")?;
    Ok(statement.query_row([action], |row| row.get(0)).optional()?)
}

fn hash_of<'a>(fields: impl Iterator<Item = ValueRef<'a>>) -> ChainHash {
    let mut hash = RowHash::of(TABLE);
    fields.for_each(|value| hash.add(value));
    hash.whole()
}

/// A row of `events` where SQLite has it, its columns from `first` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded<'r> {
    row: &'r Row<'r>,
    first: usize,
    seq: u64,
    /// What the chain covers as one, in the order of [`FIELDS`].
    pub(crate) fields: [ValueRef<'r>; FIELDS.len()],
}

impl<'r> Recorded<'r> {
    /// The row that stands beside the journal's row `seq`, if one does.
    pub(crate) fn of(row: &'r Row<'_>, first: usize, seq: u64) -> Result<Option<Self>, Fault> {
        if row.get_ref(first)? == ValueRef::Null {
            return Ok(None);
        }
        let mut fields = [ValueRef::Null; FIELDS.len()];
        for (index, field) in fields.iter_mut().enumerate() {
            *field = row.get_ref(first + index)?;
        }
        Ok(Some(Self { row, first, seq, fields }))
    }

    fn cell(&self, column: usize) -> Result<ValueRef<'r>, Fault> {
        Ok(self.row.get_ref(self.first + column)?)
    }

    /// Its number in the journal.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// The hash of its fields.
    pub(crate) fn fields_hash(&self) -> ChainHash {
        hash_of(self.fields.into_iter())
    }

    /// The hash of its payload, which is there or was cleared.
    pub(crate) fn body(&self) -> Result<Option<ChainHash>, Fault> {
        let payload = self.cell(FIELDS.len())?.as_bytes_or_null().map_err(|_| self.bad_value())?;
        let cleared = self.row.get::<_, Option<[u8; 32]>>(self.first + FIELDS.len() + 1)?;
        match (payload, cleared) {
            (Some(payload), None) => Ok(Some(ChainHash::of(payload))),
            (None, cleared) => Ok(cleared.map(ChainHash)),
            (Some(_), Some(_)) => Err(self.bad_value()),
        }
    }

    fn own_hash(&self) -> Result<Option<i64>, Fault> {
        Ok(self.row.get(self.first + FIELDS.len() + 2)?)
    }

    /// Whether it leaves its proof to the journal's row beside it.
    pub(crate) fn relies_on_journal(&self) -> Result<bool, Fault> {
        Ok(self.own_hash()?.is_none())
    }

    /// Whether it agrees with the hash that it carries itself.
    pub(crate) fn proves_itself(&self) -> Result<bool, Fault> {
        Ok(self.own_hash()? == Some(own_hash(self.fields_hash(), self.body()?)))
    }

    /// Writes it into another database, where it has to prove itself.
    pub(crate) fn add_to(&self, db: &Connection) -> Result<(), Fault> {
        let (payload, cleared) = (self.cell(FIELDS.len())?, self.cell(FIELDS.len() + 1)?);
        let hash = own_hash(self.fields_hash(), self.body()?);
        insert(db, &self.fields, [payload, cleared, ValueRef::Integer(hash)], self.seq)
    }

    /// The event, without its payload; `rest` is what the journal's row holds of it.
    pub(crate) fn event(&self, rest: &str) -> Result<Event, Fault> {
        let rest: Rest = serde_json::from_str(rest).map_err(|_| self.bad_value())?;
        let texts = |column: usize| -> Result<Option<&str>, Fault> {
            self.fields[column].as_str_or_null().map_err(|_| self.bad_value())
        };
        let must = |column: usize| texts(column)?.ok_or_else(|| self.bad_value());
        let number = |column: usize| -> Result<i64, Fault> {
            self.fields[column].as_i64().map_err(|_| self.bad_value())
        };
        let runtime = RuntimeId::new(must(1)?);
        let event_time = WallMs(number(6)?);
        let signal = Signal {
            event_id: EventId::new(must(0)?),
            event_type: must(2)?.to_owned(),
            source: Source::parse(must(3)?).ok_or_else(|| self.bad_value())?,
            source_event_id: texts(4)?.map(str::to_owned),
            source_seq: self.fields[5].as_i64_or_null().map_err(|_| self.bad_value())?,
            dedupe_key: must(8)?.to_owned(),
            event_time,
            about: rest.pane.map_or_else(|| About::Runtime(runtime.clone()), About::Pane),
            hints: rest.hints,
            agent: rest.agent,
            action_id: texts(10)?.map(str::to_owned),
            claim: rest.claim,
            details: rest.details,
            repeats: rest.repeats,
            session: rest.session,
            asked: rest.asked,
            begins_turn: rest.begins_turn,
            payload: None,
            expects_version: rest.expects_version,
        };
        Ok(Event::EventRecorded(Box::new(EventRow {
            signal,
            runtime,
            ingested_at: Stamp::stored(WallMs(number(7)?)),
            effective_time: rest.effective_time.unwrap_or(event_time),
            ahead_ms: rest.ahead_ms.unwrap_or(0),
            retires: rest.retires,
            waited_ms: rest.waited_ms.unwrap_or(0),
            of_other: rest.of_other,
        })))
    }

    pub(crate) fn bad(&self, what: Wrong) -> BadRow {
        bad(self.seq, what)
    }

    fn bad_value(&self) -> Fault {
        self.bad(Wrong::Value { column: "journal_seq".to_owned() }).into()
    }
}

/// What is wrong with the row of that number.
pub(crate) fn bad(seq: u64, what: Wrong) -> BadRow {
    BadRow { table: TABLE, key: seq.to_string(), what }
}

fn own_hash(fields: ChainHash, body: Option<ChainHash>) -> i64 {
    let mut hash = RowHash::of(TABLE);
    hash.add(ValueRef::Blob(&fields.0));
    hash.add(body.as_ref().map_or(ValueRef::Null, |body| ValueRef::Blob(&body.0)));
    hash.short()
}

/// Looks at the rows that no journal's row stands beside, those up to `pruned` and those after
/// `last`: the first prove themselves, the others should not be. Returns how many there are.
pub(crate) fn check_alone(
    db: &Connection,
    pruned: u64,
    last: u64,
    mut take: impl FnMut(&Recorded<'_>),
) -> Result<u64, Fault> {
    let mut statement = db.prepare(ALONE)?;
    let mut rows = statement.query([signed(pruned), signed(last)])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        let seq = u64::try_from(number).unwrap_or(0);
        let Some(event) = Recorded::of(row, 1, seq)? else { continue };
        if number <= 0 || seq > last {
            return Err(event.bad(Wrong::Unexpected).into());
        }
        if !event.proves_itself()? {
            return Err(event.bad(Wrong::RowHash).into());
        }
        take(&event);
        count += 1;
    }
    Ok(count)
}

/// Puts its hash in the place of a payload.
pub(crate) fn clear_payload(db: &Connection, seq: i64) -> Result<(), Fault> {
    let mut statement = db.prepare_cached(ONE)?;
    let mut rows = statement.query([seq])?;
    let Some(row) = rows.next()? else { return Ok(()) };
    let Some(event) = Recorded::of(row, 0, u64::try_from(seq).unwrap_or(0))? else { return Ok(()) };
    let (body, hash) = (event.body()?, event.own_hash()?);
    db.prepare_cached(CLEAR)?.execute((body.map(|body| body.0), hash, seq))?;
    Ok(())
}

/// The number of the next event after `seq`.
pub(crate) fn next(db: &Connection, seq: u64) -> Result<Option<u64>, Fault> {
    let sql = "SELECT min(journal_seq) FROM events WHERE journal_seq > ?";
    let next: Option<i64> = db.prepare_cached(sql)?.query_row([signed(seq)], |row| row.get(0))?;
    Ok(next.and_then(|seq| u64::try_from(seq).ok()))
}

/// Whether there is an event of that number.
pub(crate) fn is_there(db: &Connection, seq: u64) -> Result<bool, Fault> {
    let mut statement = db.prepare_cached("SELECT 1 FROM events WHERE journal_seq = ?")?;
    Ok(statement.exists([signed(seq)])?)
}

/// Copies an event that proves itself into another database; `false` if it does not.
pub(crate) fn carry_alone(old: &Connection, new: &Connection, seq: u64) -> Result<bool, Fault> {
    let mut statement = old.prepare_cached(ONE)?;
    let mut rows = statement.query([signed(seq)])?;
    let Some(row) = rows.next()? else { return Ok(false) };
    let Some(event) = Recorded::of(row, 0, seq)? else { return Ok(false) };
    let whole = event.proves_itself()?;
    if whole {
        event.add_to(new)?;
    }
    Ok(whole)
}
