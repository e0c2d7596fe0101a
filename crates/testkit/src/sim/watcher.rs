//! Somebody who watches the panes: reads what is published, falls behind, is cut, and resumes from
//! the journal with nothing but the last number it saw.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use engine::Engine;
use engine::event::Event;
use engine::ids::PaneKey;
use engine::pane::PaneRow;
use store::{Change, Journal, ReadError};

use super::check::{Checked, violated};
use super::rng::Rng;

/// Changes that wait for a watcher; one that lets more pile up is cut.
const QUEUE_MAX: usize = 40;
/// Rows that are read from the journal at once.
const PAGE: usize = 16;

/// What a watcher knows of a pane.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown(PaneRow);

impl Shown {
    fn of(row: &PaneRow) -> Shown {
        let mut row = row.clone();
        row.last_seen = engine::time::Stamp::stored(engine::time::WallMs(0));
        row.last_activity = None;
        row.state.since = engine::time::Stamp::stored(row.state.since.wall);
        Shown(row)
    }
}

#[derive(Debug)]
pub(crate) struct Watcher {
    /// The last row that was seen.
    cursor: u64,
    queue: VecDeque<Arc<Change>>,
    connected: bool,
    view: BTreeMap<PaneKey, Shown>,
}

impl Watcher {
    pub(crate) fn new() -> Watcher {
        Watcher { cursor: 0, queue: VecDeque::new(), connected: false, view: BTreeMap::new() }
    }

    /// Something was published.
    pub(crate) fn publish(&mut self, changes: &[Arc<Change>]) {
        if !self.connected {
            return;
        }
        self.queue.extend(changes.iter().cloned());
        if self.queue.len() > QUEUE_MAX {
            self.cut();
        }
    }

    /// The connection is gone; what was not read is read again later.
    pub(crate) fn cut(&mut self) {
        self.connected = false;
        self.queue.clear();
    }

    /// Reads a little of what waits.
    pub(crate) fn read(&mut self, rng: &mut Rng, rows: &Rows) -> Checked {
        let some = rng.below(self.queue.len() + 1);
        for change in self.queue.drain(..some).collect::<Vec<_>>() {
            self.take(&change, rows)?;
        }
        Ok(())
    }

    /// Connects again with its cursor: first what the journal has, then what is published.
    pub(crate) fn resume(
        &mut self,
        journal: &Journal,
        engine: &Engine,
        as_of: u64,
        rows: &Rows,
    ) -> Checked {
        if self.connected {
            return Ok(());
        }
        while self.cursor < as_of {
            match journal.changes_after(self.cursor, PAGE) {
                Ok(changes) if changes.is_empty() => {
                    return violated("I7", format!("nothing after {} of {as_of}", self.cursor));
                }
                Ok(changes) => changes.iter().try_for_each(|change| self.take(change, rows))?,
                Err(ReadError::Pruned { .. }) => self.snapshot(engine, as_of),
                Err(error) => {
                    let cursor = self.cursor;
                    return violated("I7", format!("cursor {cursor} is refused: {error}"));
                }
            }
        }
        self.connected = true;
        Ok(())
    }

    /// Starts anew from the present state.
    fn snapshot(&mut self, engine: &Engine, as_of: u64) {
        self.view = engine.panes().map(|row| (row.key.clone(), Shown::of(row))).collect();
        self.cursor = as_of;
    }

    fn take(&mut self, change: &Change, rows: &Rows) -> Checked {
        if change.seq != self.cursor + 1 {
            return violated("I7", format!("row {} was given after {}", change.seq, self.cursor));
        }
        if !rows.holds(change) {
            return violated("I7", format!("row {} is another one now", change.seq));
        }
        self.cursor = change.seq;
        match &change.event {
            Event::PaneChanged { row, .. } => {
                self.view.insert(row.key.clone(), Shown::of(row));
            }
            Event::PaneRemoved { key, .. } => {
                self.view.remove(key);
            }
            Event::TargetChanged(_)
            | Event::TargetRemoved { .. }
            | Event::SessionChanged(_)
            | Event::SessionRemoved { .. }
            | Event::ActivitySeen { .. }
            | Event::EventRecorded(_)
            | Event::EventPended(_)
            | Event::EventBound { .. }
            | Event::EventDropped { .. }
            | Event::ActionChanged(_)
            | Event::AdapterChanged(_)
            | Event::ApprovalChanged(_)
            | Event::TokenChanged(_)
            | Event::AccessDenied(_) => {}
        }
        Ok(())
    }

    /// Whether it shows what the journal makes of the panes. Only for one that has read everything.
    pub(crate) fn agrees(&self, folded: &Engine) -> Checked {
        let there: BTreeMap<PaneKey, Shown> =
            folded.panes().map(|row| (row.key.clone(), Shown::of(row))).collect();
        if self.view == there {
            return Ok(());
        }
        let differs = |(key, shown): &(&PaneKey, &Shown)| there.get(*key) != Some(*shown);
        let first = self.view.iter().find(differs).map(|(key, _)| key);
        violated("I7", format!("a watcher shows {first:?} otherwise, or too many or few panes"))
    }
}

/// What each row of the journal said when it was written, as a checksum.
#[derive(Debug, Default)]
pub(crate) struct Rows(Vec<u64>);

impl Rows {
    pub(crate) fn add(&mut self, change: &Change) {
        self.0.push(checksum(change));
    }

    fn holds(&self, change: &Change) -> bool {
        let index = usize::try_from(change.seq).unwrap_or(0).checked_sub(1);
        index.and_then(|index| self.0.get(index)) == Some(&checksum(change))
    }
}

/// FNV-1a over everything in the row that is stored.
fn checksum(change: &Change) -> u64 {
    let event = serde_json::to_string(&change.event).unwrap_or_default();
    let head = format!("{} {} {}", change.seq, change.at.0, change.actor);
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    head.bytes().chain(event.bytes()).fold(0xcbf2_9ce4_8422_2325, mix)
}
