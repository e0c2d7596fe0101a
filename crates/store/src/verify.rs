//! The whole proof, without a daemon: every link of the chain, every row against its hash, the
//! events against the journal, the tables against a replay, the anchor, and SQLite's own check.

use std::path::Path;

use engine::engine::Tables;
use engine::event::Event;
use engine::settings::Settings;
use rusqlite::Connection;

use crate::anchor::Reading;
use crate::chain::ChainHash;
use crate::checkpoint;
use crate::connect;
use crate::damage::Finding;
use crate::events;
use crate::fault::{BadRow, Fault, Wrong};
use crate::files::{Files, Look, at};
use crate::journal::{self, Head, Walk};
use crate::load::load;
use crate::meta::Meta;
use crate::open::OpenError;
use crate::proof::{Doubt, hold, prove_checkpoint, prove_schema};
use crate::replay::Replay;
use crate::{actions, approvals, schema, tables};

mod inbox;

use inbox::{check_pended, compare_pended};

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
            let newer = connect::reader(&files.database).and_then(|db| schema::newer(&db));
            // What cannot be read at all is a finding like any other.
            if let Ok(Some(found)) = newer {
                return Err(OpenError::Newer { path: path.to_owned(), found });
            }
            match Verification::run(&files, anchor.as_ref()) {
                Ok(found) => report = Report { anchored: report.anchored, ..found },
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

/// One half of a verification, on one snapshot of the database.
///
/// The halves run at the same time. The journal, with what hangs on its rows, is one; the present
/// tables and SQLite's own structures are the other.
struct Verification {
    db: Connection,
    meta: Meta,
    report: Report,
}

/// What the second half says.
struct Present {
    report: Report,
    /// What is wrong with a replay. It counts only where everything else is sound, for a replay of
    /// damaged rows says nothing new.
    replay: Option<Finding>,
}

impl Verification {
    fn begin(files: &Files) -> Result<Self, Doubt> {
        let db = connect::reader(&files.database)?;
        db.execute_batch("BEGIN")?;
        prove_schema(&db)?;
        let meta = Meta::read(&db)?;
        let database = Some(meta.identity.database.clone());
        Ok(Self { db, meta, report: Report { database, ..Report::default() } })
    }

    /// Looks at everything; what one look finds does not keep the others from theirs.
    fn run(files: &Files, anchor: Option<&Reading>) -> Result<Report, Doubt> {
        let journal = Self::begin(files)?;
        let (journal, present) = std::thread::scope(|scope| {
            let present = scope.spawn(|| Self::begin(files)?.present());
            (journal.journal(anchor), present.join())
        });
        let (mut report, Present { report: present, replay }) = match present {
            Ok(present) => (journal?, present?),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        report.rows += present.rows;
        report.findings.extend(present.findings);
        if report.is_sound() {
            report.findings.extend(replay);
        }
        Ok(report)
    }

    fn journal(mut self, anchor: Option<&Reading>) -> Result<Report, Doubt> {
        let checked = self.check_journal();
        self.note(checked)?;
        let held = self.hold(anchor);
        self.note(held)?;
        let checked = self.check_inbox();
        self.note(checked)?;
        let checked = self.check_checkpoints();
        self.note(checked)?;
        Ok(self.report)
    }

    fn present(mut self) -> Result<Present, Doubt> {
        for table in tables::all() {
            let checked = table.check_all(&self.db, &mut self.report.rows);
            self.note(checked.map_err(Doubt::from))?;
        }
        let checked = self.check_structure();
        self.note(checked)?;
        let replay = match self.check_replay() {
            Ok(()) => None,
            Err(Doubt::Found(finding)) => Some(finding),
            Err(Doubt::Failed(fault)) => return Err(Doubt::Failed(fault)),
        };
        Ok(Present { report: self.report, replay })
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

    /// Follows the chain, with the events in it, from where it was pruned to.
    fn check_journal(&mut self) -> Result<(), Doubt> {
        self.report.first = self.meta.pruned.seq + 1;
        self.report.last = Head::read(&self.db)?.seq;
        let mut differing = None;
        let mut walk = Walk::from(self.meta.pruned);
        let walked = walk.go(&self.db, usize::MAX, |row| {
            self.report.rows += u64::from(row.recorded.is_some());
            if differing.is_none() {
                differing = match row.kind {
                    "event_pended" => check_pended(&self.db, &row, &self.meta).err(),
                    "action_changed" => actions::check(&self.db, &row).err(),
                    "approval_changed" => approvals::check(&self.db, &row).err(),
                    _ => None,
                };
            }
            Ok(())
        });
        self.report.proven = walk.head().seq.saturating_sub(self.meta.pruned.seq);
        walked?;
        self.report.rows += events::check_alone(&self.db, self.meta.pruned.seq, self.report.last)?;
        differing.map_or(Ok(()), |fault| Err(fault.into()))
    }

    fn hold(&self, anchor: Option<&Reading>) -> Result<(), Doubt> {
        let (meta, head) = (&self.meta, Head::read(&self.db)?);
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

    /// Every event that ever waited is what the journal says it was.
    fn check_inbox(&mut self) -> Result<(), Doubt> {
        let meta = &self.meta;
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
    fn check_checkpoints(&mut self) -> Result<(), Doubt> {
        let mut later: Option<ChainHash> = None;
        for seq in checkpoint::list(&self.db)? {
            let Some(it) = checkpoint::get(&self.db, seq)? else { continue };
            prove_checkpoint(&self.db, &it, &self.meta)?;
            if later.is_some_and(|digest| digest != it.digest) {
                return Err(Fault::from(it.bad(Wrong::ChainHash)).into());
            }
            later = Some(it.previous);
            self.report.checkpoints += 1;
        }
        Ok(())
    }

    /// The tables are what the journal comes to from the last checkpoint on. What sources said is
    /// not compared, so it is not replayed either; the chain is followed by the other half.
    fn check_replay(&self) -> Result<(), Doubt> {
        let Some(base) = checkpoint::last(&self.db)? else { return Ok(()) };
        let mut replay = Replay::from(base.open().map_err(Fault::from)?, Settings::default());
        journal::each_told(&self.db, base.head.seq, |event| replay.take(&event))?;
        match first_difference(&load(&self.db)?, &replay.tables()) {
            Some(row) => Err(Fault::from(row).into()),
            None => Ok(()),
        }
    }

    /// SQLite's own look at its pages, indexes and foreign keys.
    fn check_structure(&self) -> Result<(), Doubt> {
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
    let actions = differing(&stored.actions, &replayed.actions, |row| row.action.to_string());
    let adapters = differing(&stored.adapters, &replayed.adapters, |row| row.name.clone());
    let approvals =
        differing(&stored.approvals, &replayed.approvals, |row| row.approval.to_string());
    let tokens = differing(&stored.tokens, &replayed.tokens, |row| row.token.to_string());
    let found = [
        ("targets", targets),
        ("sessions", sessions),
        ("panes", panes),
        ("event_inbox", inbox),
        ("actions", actions),
        ("adapters", adapters),
        ("approvals", approvals),
        ("tokens", tokens),
    ];
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
