//! What is forgotten, and when: first the payloads, later the events, and the journal up to a
//! checkpoint, never beyond.
//!
//! Time is a parameter here as everywhere. Whether the wall clock is believed is [`crate::trust`]'s
//! to say: what is deleted by mistake does not come back.

use engine::time::{Now, WallMs};
use rusqlite::types::Null;
use rusqlite::{Connection, OptionalExtension, params};

use crate::checkpoint;
use crate::commit::CommitError;
use crate::events;
use crate::fault::Fault;
use crate::journal::hash_of;
use crate::ledger::{Backing, Ledger, Live};
use crate::load::{PENDING, load};
use crate::meta::Meta;
use crate::row::{signed, unsigned};
use crate::{actions, approvals, limits, tables};

pub(crate) const EXPIRED_PAYLOADS: &str = "SELECT journal_seq, ingested_at FROM events \
    WHERE ingested_at >= ? AND ingested_at < ? ORDER BY ingested_at LIMIT ?";

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The redacted payloads of events.
    pub payload_days: u32,
    /// Events, the journal, and runtimes that ended and left no event.
    pub event_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { payload_days: 7, event_days: 14 }
    }
}

impl Ledger {
    /// Makes a checkpoint when the last is a day old, and forgets what has expired: a bounded
    /// amount, so that nobody waits long. [`Self::retention_is_behind`] says whether more is left.
    pub fn retain(&mut self, now: Now, retention: &Retention) -> Result<(), CommitError> {
        let Backing::Live(live) = &mut self.backing else { return Ok(()) };
        let believed = live.trust.look(now);
        let result = self
            .note_clock()
            .and_then(|()| if believed { self.retain_some(now, retention) } else { Ok(false) });
        match (&result, &mut self.backing) {
            (Ok(behind), Backing::Live(live)) => live.retention_is_behind = *behind,
            (Ok(_), Backing::Frozen(_)) => {}
            (Err(error), _) => self.freeze_if_final(error),
        }
        result.map(|_| ())
    }

    /// Where the wall clock was last believed, while it is not: nothing expires meanwhile.
    pub fn doubts_clock_since(&self) -> Option<WallMs> {
        match &self.backing {
            Backing::Live(live) => live.trust.doubts_since(),
            Backing::Frozen(_) => None,
        }
    }

    /// Whether the last [`Self::retain`] left something for the next.
    pub fn retention_is_behind(&self) -> bool {
        match &self.backing {
            Backing::Live(live) => live.retention_is_behind,
            Backing::Frozen(_) => false,
        }
    }

    /// Has the database remember how far the clock is believed, when that is news to it.
    fn note_clock(&mut self) -> Result<(), CommitError> {
        let Backing::Live(live) = &mut self.backing else { return Ok(()) };
        let memory = live.trust.memory();
        let known = live.clock_noted;
        let moved = known.believed.0.abs_diff(memory.believed.0) >= limits::CLOCK_NOTE_MS;
        if !moved && known.doubt == memory.doubt {
            return Ok(());
        }
        live.write_aside(|db| Meta::set_clock(db, &memory).map(|()| 1))?;
        live.clock_noted = memory;
        self.mark();
        Ok(())
    }

    fn retain_some(&mut self, now: Now, retention: &Retention) -> Result<bool, CommitError> {
        self.checkpoint_daily(now)?;
        let horizons = Horizons::of(now, retention);
        for _ in 0..limits::RETAIN_SLICES_MAX {
            let Backing::Live(live) = &mut self.backing else { return Ok(false) };
            if live.write_aside(|db| horizons.forget_some(db))? == 0 {
                return Ok(false);
            }
            self.mark();
        }
        Ok(true)
    }

    /// The anchor names the new checkpoint before anything that it stands for is pruned.
    fn checkpoint_daily(&mut self, now: Now) -> Result<(), CommitError> {
        let head = self.head;
        let Backing::Live(live) = &mut self.backing else { return Ok(()) };
        let written = live.write_aside(|db| {
            let last: Option<(u64, i64)> = db
                .query_row("SELECT seq, at FROM checkpoints ORDER BY seq DESC LIMIT 1", [], |row| {
                    Ok((unsigned(row, 0)?, row.get(1)?))
                })
                .optional()?;
            // In either direction: a clock that was ahead once must not put this off for years.
            let day_apart = |at: i64| now.wall.0.abs_diff(at) >= DAY_MS.unsigned_abs();
            let due = last.is_none_or(|(seq, at)| head.seq > seq && day_apart(at));
            if due {
                checkpoint::write(db, head, &load(db)?, now.wall)?;
            }
            Ok(usize::from(due))
        })?;
        if written > 0 {
            let digest = checkpoint::last_digest(&live.db);
            live.checkpoint = digest.map_err(|fault| CommitError::from_fault(fault, false))?;
            self.mark();
            self.sync_anchor()?;
        }
        Ok(())
    }
}

impl Live {
    /// Changes something that the journal does not tell of, in a transaction of its own. Nothing
    /// is committed when `change` says that it changed nothing.
    pub(crate) fn write_aside(
        &mut self,
        change: impl FnOnce(&Connection) -> Result<usize, Fault>,
    ) -> Result<usize, CommitError> {
        let attempt = || {
            self.db.execute_batch("BEGIN IMMEDIATE")?;
            let count = change(&self.db)?;
            Meta::set_generation(&self.db, self.generation + 1)?;
            Ok(count)
        };
        let written = attempt().map_err(|fault| CommitError::from_fault(fault, false));
        let settled = match written {
            Ok(0) => self.db.execute_batch("ROLLBACK").map(|()| 0),
            Ok(count) => self.db.execute_batch("COMMIT").map(|()| count),
            Err(error) => {
                // What the failure left open is closed; the failure itself is what is told.
                let _closed = self.db.execute_batch("ROLLBACK");
                return Err(error);
            }
        };
        let count = settled.map_err(|error| {
            let _closed = self.db.execute_batch("ROLLBACK");
            CommitError::from_fault(error.into(), true)
        })?;
        self.generation += u64::from(count > 0);
        Ok(count)
    }
}

/// The moments before which things have expired.
struct Horizons {
    payloads: i64,
    events: i64,
}

impl Horizons {
    fn of(now: Now, retention: &Retention) -> Self {
        let before = |days: u32| now.wall.0.saturating_sub(i64::from(days) * DAY_MS);
        Self { payloads: before(retention.payload_days), events: before(retention.event_days) }
    }

    /// Forgets a bounded number of rows of each kind; returns how many.
    fn forget_some(&self, db: &Connection) -> Result<usize, Fault> {
        Ok(self.clear_payloads(db)?
            + self.delete_settled(db)?
            + self.delete_alone(db)?
            + self.delete_ended(db)?
            + self.prune_journal(db)?
            + self.delete_runtimes(db)?)
    }

    /// Clears in the order of arrival and remembers how far it came, so that what is clear
    /// already is not looked at again.
    fn clear_payloads(&self, db: &Connection) -> Result<usize, Fault> {
        let cleared = Meta::read(db)?.payloads_cleared_before;
        if cleared >= self.payloads {
            return Ok(0);
        }
        let mut statement = db.prepare_cached(EXPIRED_PAYLOADS)?;
        let expired = statement
            .query_map(params![cleared, self.payloads, limits::RETAIN_ROWS_MAX], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<Result<Vec<(i64, i64)>, _>>()?;
        for (seq, _) in &expired {
            events::clear_payload(db, *seq)?;
        }
        let all = i64::try_from(expired.len()).is_ok_and(|count| count < limits::RETAIN_ROWS_MAX);
        let through = expired.last().filter(|_| !all).map_or(self.payloads, |(_, at)| *at);
        Meta::set_payloads_cleared_before(db, through)?;
        Ok(expired.len() + self.clear_waiting(db)?)
    }

    /// The inbox is small: those that were bound have left their payload already.
    fn clear_waiting(&self, db: &Connection) -> Result<usize, Fault> {
        let keys = db
            .prepare_cached(
                "SELECT inbox_id FROM event_inbox \
                 WHERE raw_payload IS NOT NULL AND ingested_at < ? LIMIT ?",
            )?
            .query_map(params![self.payloads, limits::RETAIN_ROWS_MAX], |row| row.get(0))?
            .collect::<Result<Vec<String>, _>>()?;
        for key in &keys {
            tables::EVENT_INBOX.amend(db, &[key], |row| row.set("raw_payload", Null))?;
        }
        Ok(keys.len())
    }

    /// Deletes actions and approvals that ended. The journal may go on telling of them for a while: it is
    /// pruned up to a checkpoint, and in the order of its rows.
    fn delete_ended(&self, db: &Connection) -> Result<usize, Fault> {
        let deleted = approvals::forget(db, self.events, limits::RETAIN_ROWS_MAX)?
            + actions::forget(db, self.events, limits::RETAIN_ROWS_MAX)?;
        if deleted > 0 {
            Meta::raise_ended_deleted_before(db, self.events)?;
        }
        Ok(deleted)
    }

    /// Deletes what waited once and does not any more, once the journal tells of it no longer. By its
    /// time alone, what came while the clock was set back by years would be forgotten as soon as
    /// that was right again, and be taken a second time if it is read once more.
    fn delete_settled(&self, db: &Connection) -> Result<usize, Fault> {
        let pruned = Meta::read(db)?.pruned.seq;
        let inbox = db
            .prepare_cached(
                "DELETE FROM event_inbox WHERE rowid IN (SELECT rowid FROM event_inbox \
                 WHERE status <> ? AND ingested_at < ? AND journal_seq <= ? LIMIT ?)",
            )?
            .execute(params![PENDING, self.events, signed(pruned), limits::RETAIN_ROWS_MAX])?;
        if inbox > 0 {
            Meta::raise_inbox_deleted_before(db, self.events)?;
        }
        Ok(inbox)
    }

    /// Deletes events of the time before the journal, as a rebuilt database has them.
    fn delete_alone(&self, db: &Connection) -> Result<usize, Fault> {
        let pruned = Meta::read(db)?.pruned.seq;
        Ok(db
            .prepare_cached(
                "DELETE FROM events WHERE journal_seq IN (SELECT journal_seq FROM events \
                 WHERE journal_seq <= ? AND ingested_at < ? LIMIT ?)",
            )?
            .execute(params![signed(pruned), self.events, limits::RETAIN_ROWS_MAX])?)
    }

    /// Prunes the journal, with its events, up to the newest checkpoint all of whose rows have
    /// expired, and the checkpoints before that one.
    fn prune_journal(&self, db: &Connection) -> Result<usize, Fault> {
        let base = db
            .prepare_cached(
                "SELECT checkpoints.seq FROM checkpoints JOIN journal USING (seq) \
                 WHERE journal.at < ? ORDER BY seq DESC LIMIT 1",
            )?
            .query_row([self.events], |row| unsigned(row, 0))
            .optional()?;
        let Some(base) = base else { return Ok(0) };
        let checkpoints =
            db.prepare_cached("DELETE FROM checkpoints WHERE seq < ?")?.execute([signed(base)])?;
        let through = db
            .prepare_cached(
                "SELECT max(seq) FROM (SELECT seq FROM journal WHERE seq <= ? ORDER BY seq LIMIT ?)",
            )?
            .query_row(params![signed(base), limits::RETAIN_ROWS_MAX], |row| {
                row.get::<_, Option<i64>>(0)
            })?;
        let Some(through) = through.and_then(|seq| u64::try_from(seq).ok()) else {
            return Ok(checkpoints);
        };
        let pruned = Meta::read(db)?.pruned.seq;
        db.prepare_cached("DELETE FROM events WHERE journal_seq > ? AND journal_seq <= ?")?
            .execute([signed(pruned), signed(through)])?;
        if let Some(hash) = hash_of(db, through)? {
            Meta::set_pruned(db, through, hash)?;
        }
        let rows =
            db.prepare_cached("DELETE FROM journal WHERE seq <= ?")?.execute([signed(through)])?;
        Ok(checkpoints + rows)
    }

    /// A runtime goes when nothing speaks of it any more. The last ones of a pane that is still
    /// there stay: its next epoch is counted from them.
    fn delete_runtimes(&self, db: &Connection) -> Result<usize, Fault> {
        Ok(db
            .prepare_cached(
                "DELETE FROM runtimes WHERE rowid IN (SELECT rowid FROM runtimes AS it \
                 WHERE ended_at < ? \
                 AND NOT EXISTS (SELECT 1 FROM events WHERE events.runtime_id = it.runtime_id) \
                 AND NOT EXISTS (SELECT 1 FROM event_inbox \
                   WHERE event_inbox.runtime_id = it.runtime_id) \
                 AND NOT EXISTS (SELECT 1 FROM actions WHERE actions.runtime_id = it.runtime_id) \
                 AND NOT EXISTS (SELECT 1 FROM approvals \
                   WHERE approvals.runtime_id = it.runtime_id) \
                 AND NOT EXISTS (SELECT 1 FROM panes WHERE panes.target_id = it.target_id \
                   AND panes.pane_id = it.pane_id \
                   AND panes.tmux_server_boot_id = it.tmux_server_boot_id) LIMIT ?)",
            )?
            .execute(params![self.events, limits::RETAIN_ROWS_MAX])?)
    }
}
