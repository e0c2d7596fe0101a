//! What a rebuilt database does not have of the damaged one. It is told by its numbers, because
//! what goes missing without a word is worse than what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension};

use crate::events;
use crate::fault::Fault;
use crate::journal::{Head, Walk};
use crate::row::signed;
use crate::salvage::anchored_end;

/// What was left behind; all of it is still in the copy that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Rows of the journal that are damaged, missing, or between such: what only they told is not
    /// known any more.
    pub rows: Numbers,
    /// Events that were not carried over, as far as it can be told that they were there.
    pub events: Numbers,
    /// How many rows of other tables were damaged, by the name of the table.
    pub others: BTreeMap<&'static str, u64>,
}

/// Sequence numbers of the journal, as runs without gaps in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers(Vec<RangeInclusive<u64>>);

impl Numbers {
    pub fn runs(&self) -> &[RangeInclusive<u64>] {
        &self.0
    }

    pub fn count(&self) -> u64 {
        self.0.iter().map(|run| run.end() - run.start() + 1).sum()
    }

    /// Adds a run that begins after all that are there.
    fn add(&mut self, run: RangeInclusive<u64>) {
        match self.0.last_mut() {
            Some(last) if last.end() + 1 == *run.start() => *last = *last.start()..=*run.end(),
            Some(_) | None => self.0.push(run),
        }
    }
}

/// The rows after `start` that do not lead to the proven end of the journal, and those behind it:
/// up to `last`, which are known to have been there, and whatever the file holds behind that.
pub(crate) fn unproven(db: Option<&Connection>, start: Head, proven: Head, last: u64) -> Numbers {
    let mut rows = Numbers::default();
    if let Some(db) = db
        && start.seq < proven.seq
    {
        let mut walk = Walk::from(start);
        let distance = usize::try_from(proven.seq - start.seq).unwrap_or(usize::MAX);
        // Why it ends early does not matter here.
        let _ended = walk.go(db, distance, |_| Ok(()));
        let reached = walk.head();
        if reached != proven {
            let whole = if reached.seq < proven.seq { reached.seq } else { start.seq };
            let behind = anchored_end(db, reached, proven).map_or(proven.seq, |it| it.seq);
            rows.add(whole + 1..=behind);
        }
    }
    if proven.seq < last {
        rows.add(proven.seq + 1..=last);
    }
    let further = db.map(|db| rows_after(db, last.max(proven.seq)));
    further.into_iter().flatten().for_each(|seq| rows.add(seq..=seq));
    rows
}

/// The numbers of the rows after one, as far as they can be read.
fn rows_after(db: &Connection, seq: u64) -> Vec<u64> {
    let read = || -> Result<Vec<u64>, Fault> {
        let mut statement = db.prepare("SELECT seq FROM journal WHERE seq > ? ORDER BY seq")?;
        let numbers = statement.query_map([signed(seq)], |row| row.get::<_, i64>(0))?;
        Ok(numbers.map_while(Result::ok).filter_map(|it| u64::try_from(it).ok()).collect())
    };
    read().unwrap_or_default()
}

/// The events that were found and not carried over, and those of which only a row of the journal
/// that is not proven still says that they were there.
pub(crate) fn events(
    old: &Connection,
    new: &Connection,
    found: BTreeSet<u64>,
    unproven: &Numbers,
) -> Result<Numbers, Fault> {
    let mut lost = found;
    for seq in unproven.runs().iter().flat_map(RangeInclusive::clone) {
        if tells_of_event(old, seq) && !events::is_there(new, seq)? {
            lost.insert(seq);
        }
    }
    let mut numbers = Numbers::default();
    lost.into_iter().for_each(|seq| numbers.add(seq..=seq));
    Ok(numbers)
}

fn tells_of_event(db: &Connection, seq: u64) -> bool {
    let kind = db
        .prepare_cached("SELECT kind FROM journal WHERE seq = ?")
        .and_then(|mut it| it.query_row([signed(seq)], |row| row.get::<_, String>(0)).optional());
    kind.is_ok_and(|kind| kind.as_deref() == Some(events::KIND))
}
