//! One reader's view of a database, and every look that can be taken of it.

use std::num::NonZero;
use std::thread;

use engine::engine::Tables;
use engine::event::Event;
use engine::settings::Settings;
use rusqlite::Connection;

use super::inbox::{check_pended, compare_pended};
use super::structure;
use super::task::{Part, Stretch, Task};
use crate::anchor::Reading;
use crate::chain::ChainHash;
use crate::checkpoint;
use crate::connect;
use crate::damage::Finding;
use crate::events::{self, Recorded};
use crate::fault::{BadRow, Fault, Wrong};
use crate::files::Files;
use crate::journal::{self, Head, Walk, hash_of};
use crate::load::load;
use crate::meta::Meta;
use crate::proof::{Doubt, hold, prove_checkpoint, prove_schema};
use crate::replay::Replay;
use crate::{actions, approvals, limits, tables};

/// One reader's view of the database. All of a verification's are of the same moment.
pub(super) struct View {
    db: Connection,
    pub(super) meta: Meta,
    pub(super) head: Head,
}

impl View {
    /// As many as can work at once. Beside a daemon that always stores something between the first
    /// and the last of them there is only one.
    pub(super) fn of_one_moment(files: &Files) -> Result<Vec<Self>, Doubt> {
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let workers = 0..workers.min(limits::WORKERS_MAX);
        let mut views = workers
            .map(|_| Self::begin(connect::reader(&files.database)?))
            .collect::<Result<Vec<_>, Doubt>>()?;
        for _ in 0..limits::MOMENTS_MAX {
            if views.windows(2).all(|pair| pair[0].is_as_of(&pair[1])) {
                return Ok(views);
            }
            views = views.into_iter().map(Self::again).collect::<Result<_, _>>()?;
        }
        views.truncate(1);
        Ok(views)
    }

    fn begin(db: Connection) -> Result<Self, Doubt> {
        db.execute_batch("BEGIN")?;
        prove_schema(&db)?;
        let (meta, head) = (Meta::read(&db)?, Head::read(&db)?);
        Ok(Self { db, meta, head })
    }

    fn again(self) -> Result<Self, Doubt> {
        self.db.execute_batch("ROLLBACK")?;
        Self::begin(self.db)
    }

    /// Whether nothing was committed between the two: each commit appends a row, or is counted.
    fn is_as_of(&self, other: &Self) -> bool {
        (&self.meta, self.head) == (&other.meta, other.head)
    }

    /// Does one task. What is wrong with the database is a part of the result.
    pub(super) fn look(&self, task: Task, anchor: Option<&Reading>) -> Result<Part, Doubt> {
        let mut part = Part::default();
        let looked = match task {
            Task::Chain(stretch) => self.check_chain(stretch, &mut part),
            Task::Alone => self.check_alone(&mut part),
            Task::Anchor => self.hold(anchor),
            Task::Inbox => self.check_inbox(),
            Task::Checkpoints => self.check_checkpoints(&mut part),
            Task::Rows => self.check_rows(&mut part),
            Task::Pages => structure::check(&self.db),
            Task::Index(place) => part.entries.read(&self.db, place),
            Task::Replay => self.check_replay(),
        };
        part.note(looked)?;
        Ok(part)
    }

    /// Follows a stretch of the chain, with the events in it.
    fn check_chain(&self, stretch: Stretch, part: &mut Part) -> Result<(), Doubt> {
        let Stretch { after, count } = stretch;
        let missing = || BadRow { table: "journal", key: after.to_string(), what: Wrong::Missing };
        let start = match self.meta.pruned {
            pruned if pruned.seq == after => pruned,
            _ => Head { seq: after, hash: hash_of(&self.db, after)?.ok_or_else(missing)? },
        };
        let mut walk = Walk::from(start);
        let mut differing = None;
        let limit = usize::try_from(count).unwrap_or(usize::MAX);
        let walked = walk.go(&self.db, limit, |row| {
            part.rows += u64::from(row.recorded.is_some());
            part.entries.count(&row);
            if differing.is_none() {
                differing = match row.kind {
                    "event_pended" => check_pended(&self.db, &row, &self.meta).err(),
                    "action_changed" => actions::check(&self.db, &row, &self.meta).err(),
                    "approval_changed" => approvals::check(&self.db, &row, &self.meta).err(),
                    _ => None,
                };
            }
            Ok(())
        });
        part.proven = walk.head().seq.saturating_sub(after);
        walked?;
        differing.map_or(Ok(()), |fault| Err(fault.into()))
    }

    fn check_alone(&self, part: &mut Part) -> Result<(), Doubt> {
        let entries = &mut part.entries;
        let take = |event: &Recorded<'_>| entries.count_event(event);
        part.rows = events::check_alone(&self.db, self.meta.pruned.seq, self.head.seq, take)?;
        Ok(())
    }

    fn check_rows(&self, part: &mut Part) -> Result<(), Doubt> {
        for table in tables::all() {
            let checked = table.check_all(&self.db, &mut part.rows);
            part.note(checked.map_err(Doubt::from))?;
        }
        Ok(())
    }

    fn hold(&self, anchor: Option<&Reading>) -> Result<(), Doubt> {
        let (meta, head) = (&self.meta, self.head);
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
    fn check_inbox(&self) -> Result<(), Doubt> {
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
    fn check_checkpoints(&self, part: &mut Part) -> Result<(), Doubt> {
        let mut later: Option<ChainHash> = None;
        for seq in checkpoint::list(&self.db)? {
            let Some(it) = checkpoint::get(&self.db, seq)? else { continue };
            prove_checkpoint(&self.db, &it, &self.meta)?;
            if later.is_some_and(|digest| digest != it.digest) {
                return Err(Fault::from(it.bad(Wrong::ChainHash)).into());
            }
            later = Some(it.previous);
            part.checkpoints += 1;
        }
        Ok(())
    }

    /// The tables are what the journal comes to from the last checkpoint on. What sources said is
    /// not compared, so it is not replayed either; the chain is followed by another task.
    fn check_replay(&self) -> Result<(), Doubt> {
        let Some(base) = checkpoint::last(&self.db)? else { return Ok(()) };
        let mut replay = Replay::from(base.open().map_err(Fault::from)?, Settings::default());
        journal::each_told(&self.db, base.head.seq, |event| replay.take(&event))?;
        match first_difference(&load(&self.db)?, &replay.tables()) {
            Some(row) => Err(Fault::from(row).into()),
            None => Ok(()),
        }
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
