//! The whole proof, without a daemon: every link of the chain, every row against its hash, the
//! events against the journal, the tables against a replay, the anchor, and SQLite's own check.

use std::path::Path;

use engine::engine::Tables;
use engine::event::Event;
use engine::settings::Settings;
use engine::signal::{EventRow, InboxRow};
use rusqlite::{Connection, Rows};

use crate::anchor::Reading;
use crate::chain::ChainHash;
use crate::checkpoint;
use crate::connect;
use crate::damage::Finding;
use crate::fault::{BadRow, Fault, Wrong};
use crate::files::{Files, Look, at};
use crate::journal::{Head, JournalRow, Walk};
use crate::load::load;
use crate::meta::Meta;
use crate::open::OpenError;
use crate::proof::{Doubt, hold, prove_checkpoint, prove_schema};
use crate::replay::Replay;
use crate::row::Values;
use crate::{schema, tables};

/// What was looked at, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub database: Option<String>,
    /// The first and the last row of the journal; `last` is less than `first` if there is none.
    pub first: u64,
    pub last: u64,
    /// Rows of the journal that follow from one another.
    pub proven: u64,
    /// Rows of the other tables that agree with their hashes.
    pub rows: u64,
    pub checkpoints: u64,
    /// How far the anchor says the journal had come.
    pub anchored: Option<u64>,
    /// The first thing wrong in each respect, the journal's first.
    pub findings: Vec<Finding>,
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Verifies the database at `path` and changes nothing. A daemon may be at work on it.
pub fn verify(path: &Path) -> Result<Report, OpenError> {
    let files = Files::of(path);
    let failed = |source| OpenError::Fault { path: path.to_owned(), source };
    // The anchor first: what it names was committed before it was written.
    let anchor = Reading::of(&files.anchor).map_err(at("the anchor")).map_err(failed)?;
    let mark = anchor.as_ref().and_then(|it| it.mark.as_ref());
    let mut report = Report { anchored: mark.map(|mark| mark.seq), ..Report::default() };
    match (files.look().map_err(failed)?, mark) {
        (Look::Sqlite { application_id: schema::APPLICATION_ID }, _) => {
            let checked =
                Verification::begin(&files, &mut report).and_then(|mut it| it.run(anchor.as_ref()));
            match checked {
                Ok(()) => {}
                Err(Doubt::Found(finding)) => report.findings.push(finding),
                Err(Doubt::Failed(fault)) => return Err(failed(fault)),
            }
        }
        (Look::Absent | Look::Empty, Some(mark)) => {
            report.findings.push(Finding::Missing { anchored: mark.seq });
        }
        (Look::Sqlite { application_id }, Some(_)) => {
            report.findings.push(Finding::OtherProgram { application_id });
        }
        (Look::Other, Some(_)) => report.findings.push(Finding::Unreadable),
        (Look::Absent | Look::Empty, None) if files.has_log() => {
            report.findings.push(Finding::LogAlone);
        }
        (Look::Absent, None) => return Err(OpenError::Absent { path: path.to_owned() }),
        (Look::Empty | Look::Sqlite { .. } | Look::Other, None) => {
            return Err(OpenError::Foreign { path: path.to_owned() });
        }
    }
    Ok(report)
}

/// One verification, on one snapshot of the database.
struct Verification<'r> {
    db: Connection,
    report: &'r mut Report,
}

impl<'r> Verification<'r> {
    fn begin(files: &Files, report: &'r mut Report) -> Result<Self, Doubt> {
        let db = connect::reader(&files.database)?;
        db.execute_batch("BEGIN")?;
        Ok(Self { db, report })
    }

    /// Looks at everything; what one look finds does not keep the others from theirs.
    fn run(&mut self, anchor: Option<&Reading>) -> Result<(), Doubt> {
        prove_schema(&self.db)?;
        let meta = Meta::read(&self.db)?;
        self.report.database = Some(meta.identity.database.clone());
        self.settle(Self::check_journal, &meta)?;
        let head = Head::read(&self.db)?;
        let held = self.hold(&meta, head, anchor);
        self.note(held)?;
        self.settle(Self::check_rows, &meta)?;
        self.settle(Self::check_inbox, &meta)?;
        self.settle(Self::check_checkpoints, &meta)?;
        if self.report.is_sound() {
            self.settle(Self::check_replay, &meta)?;
        }
        self.settle(Self::check_structure, &meta)
    }

    fn settle(
        &mut self,
        check: impl FnOnce(&mut Self, &Meta) -> Result<(), Doubt>,
        meta: &Meta,
    ) -> Result<(), Doubt> {
        let checked = check(self, meta);
        self.note(checked)
    }

    fn note(&mut self, checked: Result<(), Doubt>) -> Result<(), Doubt> {
        match checked {
            Err(Doubt::Found(finding)) => {
                self.report.findings.push(finding);
                Ok(())
            }
            Ok(()) | Err(Doubt::Failed(_)) => checked,
        }
    }

    /// Follows the chain from where it was pruned to, and holds the events against it.
    fn check_journal(&mut self, meta: &Meta) -> Result<(), Doubt> {
        self.report.first = meta.pruned.seq + 1;
        self.report.last = Head::read(&self.db)?.seq;
        let scan = tables::EVENTS.scan("ORDER BY rowid");
        let mut statement = self.db.prepare(&scan)?;
        let mut events = Events::from(statement.query([])?, meta);
        let mut walk = Walk::from(meta.pruned);
        let mut differing = events.skip_pruned().err();
        let walked = walk.go(&self.db, usize::MAX, |row| {
            if differing.is_none() {
                differing = match row.kind {
                    "event_recorded" => events.check(&row).err(),
                    "event_pended" => check_pended(&self.db, &row, meta).err(),
                    _ => None,
                };
            }
            Ok(())
        });
        self.report.proven = walk.head().seq.saturating_sub(meta.pruned.seq);
        walked?;
        match differing.map_or_else(|| events.end(), Err) {
            Ok(()) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }

    fn hold(&self, meta: &Meta, head: Head, anchor: Option<&Reading>) -> Result<(), Doubt> {
        match anchor {
            None if head.seq > 0 => Err(Finding::AnchorMissing.into()),
            None => Ok(()),
            Some(Reading { mark: Some(mark), damaged: 0, .. }) => hold(&self.db, meta, head, mark),
            Some(Reading { mark: Some(mark), .. }) => {
                hold(&self.db, meta, head, mark)?;
                Err(Finding::AnchorDamaged.into())
            }
            Some(Reading { mark: None, .. }) => Err(Finding::AnchorDamaged.into()),
        }
    }

    fn check_rows(&mut self, _: &Meta) -> Result<(), Doubt> {
        for table in tables::all() {
            let mut count = 0;
            let checked = table.each(&self.db, "", |_| {
                count += 1;
                Ok(())
            });
            self.report.rows += count;
            self.note(checked.map_err(Doubt::from))?;
        }
        Ok(())
    }

    /// Every event that ever waited is what the journal says it was.
    fn check_inbox(&mut self, meta: &Meta) -> Result<(), Doubt> {
        let mut walk = self.db.prepare("SELECT payload, body_hash FROM journal WHERE seq = ?")?;
        tables::EVENT_INBOX.each(&self.db, "", |row| {
            let seq = row.integer("journal_seq")?;
            let mut found = walk.query([seq])?;
            let Some(journal) = found.next()? else {
                let pruned = u64::try_from(seq).is_ok_and(|seq| seq <= meta.pruned.seq);
                return if pruned { Ok(()) } else { Err(row.bad(Wrong::Unexpected).into()) };
            };
            let event = serde_json::from_str(&journal.get::<_, String>(0)?).ok();
            let body: Option<[u8; 32]> = journal.get(1)?;
            match event {
                Some(Event::EventPended(pended)) => compare_pended(row, &pended, body),
                Some(_) | None => Err(row.bad(Wrong::Unexpected).into()),
            }
        })?;
        Ok(())
    }

    /// Each checkpoint is whole and covers the one before it.
    fn check_checkpoints(&mut self, meta: &Meta) -> Result<(), Doubt> {
        let mut later: Option<ChainHash> = None;
        for seq in checkpoint::list(&self.db)? {
            let Some(it) = checkpoint::get(&self.db, seq)? else { continue };
            prove_checkpoint(&self.db, &it, meta)?;
            if later.is_some_and(|digest| digest != it.digest) {
                return Err(Fault::from(it.bad(Wrong::ChainHash)).into());
            }
            later = Some(it.previous);
            self.report.checkpoints += 1;
        }
        Ok(())
    }

    /// The tables are what the journal comes to from the last checkpoint on.
    fn check_replay(&mut self, _: &Meta) -> Result<(), Doubt> {
        let Some(base) = checkpoint::last(&self.db)? else { return Ok(()) };
        let mut replay = Replay::from(base.open().map_err(Fault::from)?, Settings::default());
        let mut walk = Walk::from(base.head);
        walk.go(&self.db, usize::MAX, |row| {
            replay.take(&row.event()?);
            Ok(())
        })?;
        match first_difference(&load(&self.db)?, &replay.tables()) {
            Some(row) => Err(Fault::from(row).into()),
            None => Ok(()),
        }
    }

    /// SQLite's own look at its pages, indexes and foreign keys.
    fn check_structure(&mut self, _: &Meta) -> Result<(), Doubt> {
        let sql = "PRAGMA integrity_check(1)";
        let message: String = self.db.query_row(sql, [], |row| row.get(0))?;
        if message != "ok" {
            return Err(Finding::Sqlite { message }.into());
        }
        let mut statement = self.db.prepare("PRAGMA foreign_key_check")?;
        let mut rows = statement.query([])?;
        if let Some(row) = rows.next()? {
            let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
            let message = format!("a row of {table} names a row of {parent} that is not there");
            return Err(Finding::Sqlite { message }.into());
        }
        Ok(())
    }
}

/// The rows of `events` in the order of the journal, held against it one by one.
struct Events<'s> {
    rows: Rows<'s>,
    next: Option<Values<'static>>,
    pruned: u64,
    deleted_before: i64,
}

impl<'s> Events<'s> {
    fn from(rows: Rows<'s>, meta: &Meta) -> Self {
        let deleted_before = meta.events_deleted_before;
        Self { rows, next: None, pruned: meta.pruned.seq, deleted_before }
    }

    fn advance(&mut self) -> Result<(), Fault> {
        let row = self.rows.next()?;
        self.next = row.map(|row| tables::EVENTS.values(row)).transpose()?;
        Ok(())
    }

    fn next_seq(&self) -> Result<Option<u64>, Fault> {
        self.next.as_ref().map(|row| row.narrow("journal_seq")).transpose()
    }

    /// Passes over the events whose journal rows are pruned.
    fn skip_pruned(&mut self) -> Result<(), Fault> {
        self.advance()?;
        while self.next_seq()?.is_some_and(|seq| seq <= self.pruned) {
            self.advance()?;
        }
        Ok(())
    }

    fn check(&mut self, row: &JournalRow<'_>) -> Result<(), Fault> {
        let Event::EventRecorded(recorded) = row.event()? else {
            return Err(row.bad(Wrong::Value { column: "kind".to_owned() }).into());
        };
        match self.next_seq()? {
            Some(seq) if seq < row.seq => self.end(),
            Some(seq) if seq == row.seq => {
                if let Some(next) = &self.next {
                    compare_recorded(next, &recorded, row.body)?;
                }
                self.advance()
            }
            Some(_) | None if recorded.ingested_at.wall.0 < self.deleted_before => Ok(()),
            Some(_) | None => {
                let key = recorded.signal.event_id.to_string();
                Err(BadRow { table: "events", key, what: Wrong::Missing }.into())
            }
        }
    }

    /// No event is left that the journal does not account for.
    fn end(&self) -> Result<(), Fault> {
        match &self.next {
            Some(row) => Err(row.bad(Wrong::Unexpected).into()),
            None => Ok(()),
        }
    }
}

/// An event that waited is in the inbox, unless it was deleted since.
fn check_pended(db: &Connection, row: &JournalRow<'_>, meta: &Meta) -> Result<(), Fault> {
    let Event::EventPended(pended) = row.event()? else {
        return Err(row.bad(Wrong::Value { column: "kind".to_owned() }).into());
    };
    let inbox = pended.inbox.as_str();
    let gone = tables::EVENT_INBOX.get(db, &[inbox])?.is_none();
    if gone && pended.ingested_at.wall.0 >= meta.events_deleted_before {
        let key = inbox.to_owned();
        return Err(BadRow { table: "event_inbox", key, what: Wrong::Missing }.into());
    }
    Ok(())
}

fn compare_recorded(
    row: &Values<'_>,
    event: &EventRow,
    body: Option<ChainHash>,
) -> Result<(), Fault> {
    let signal = &event.signal;
    let texts = [
        ("event_id", signal.event_id.as_str()),
        ("runtime_id", event.runtime.as_str()),
        ("event_type", &signal.event_type),
        ("source", signal.source.as_str()),
        ("dedupe_key", &signal.dedupe_key),
    ];
    let numbers = [("event_time", signal.event_time.0), ("ingested_at", event.ingested_at.wall.0)];
    let mut same = row.text_or_null("source_event_id")? == signal.source_event_id.as_deref()
        && row.text_or_null("source_action_id")? == signal.action_id.as_deref()
        && row.integer_or_null("source_seq")? == signal.source_seq;
    for (column, text) in texts {
        same &= row.text(column)? == text;
    }
    for (column, number) in numbers {
        same &= row.integer(column)? == number;
    }
    if same && body_fits(row, body)? { Ok(()) } else { Err(differs(row)) }
}

fn compare_pended(row: &Values<'_>, event: &InboxRow, body: Option<[u8; 32]>) -> Result<(), Fault> {
    let signal = serde_json::to_string(&event.signal)?;
    let same = row.text("inbox_id")? == event.inbox.as_str()
        && row.text("signal")? == signal
        && row.integer("ingested_at")? == event.ingested_at.wall.0;
    if same && body_fits(row, body.map(ChainHash))? { Ok(()) } else { Err(differs(row)) }
}

/// A payload is the one that the journal has the hash of, or was cleared.
fn body_fits(row: &Values<'_>, body: Option<ChainHash>) -> Result<bool, Fault> {
    let payload = row.text_or_null("raw_payload")?;
    Ok(payload.is_none_or(|payload| Some(ChainHash::of(payload.as_bytes())) == body))
}

fn differs(row: &Values<'_>) -> Fault {
    row.bad(Wrong::Differs { from: "the journal".to_owned() }).into()
}

/// The first row in which the stored tables differ from what the journal comes to.
///
/// What sources said is left out: how it is folded depends on settings that may have changed.
fn first_difference(stored: &Tables, replayed: &Tables) -> Option<BadRow> {
    let mut stored_inbox = stored.inbox.clone();
    for row in &mut stored_inbox {
        row.signal.payload = None;
    }
    let targets = differing(&stored.targets, &replayed.targets, |row| row.target.to_string());
    let sessions = differing(&stored.sessions, &replayed.sessions, |row| {
        format!("{}/{}", row.target, row.session)
    });
    let panes = differing(&stored.panes, &replayed.panes, |row| {
        format!("{}/{}", row.key.target, row.key.pane)
    });
    let inbox = differing(&stored_inbox, &replayed.inbox, |row| row.inbox.to_string());
    let found =
        [("targets", targets), ("sessions", sessions), ("panes", panes), ("event_inbox", inbox)];
    let (table, key) = found.into_iter().find_map(|(table, key)| Some((table, key?)))?;
    let from = "what the journal comes to".to_owned();
    Some(BadRow { table, key, what: Wrong::Differs { from } })
}

fn differing<T: PartialEq>(
    stored: &[T],
    replayed: &[T],
    key: impl Fn(&T) -> String,
) -> Option<String> {
    let count = stored.len().max(replayed.len());
    let at = (0..count).find(|&index| stored.get(index) != replayed.get(index))?;
    stored.get(at).or_else(|| replayed.get(at)).map(key)
}
