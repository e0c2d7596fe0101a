//! What a verification consists of, in pieces that whoever is free can take.

use super::index::{self, Tally};
use crate::damage::Finding;
use crate::limits;
use crate::proof::Doubt;

/// Rows of the journal one behind the other, looked at by themselves: each row's hash stands beside
/// it, so a stretch begins with what the row before it says, and that is for the stretch before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stretch {
    /// The row before the first.
    pub(super) after: u64,
    pub(super) count: u64,
}

/// One piece of a verification, in the order in which the findings are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Task {
    /// The chain, with the events in it.
    Chain(Stretch),
    /// The events that no row of the journal stands beside.
    Alone,
    Anchor,
    Inbox,
    Checkpoints,
    /// Every row of the other tables against its hash.
    Rows,
    /// SQLite's own look at its structures.
    Pages,
    /// One of the large indexes.
    Index(usize),
    Replay,
}

impl Task {
    /// Every task, in the order in which they are begun: what takes long and is one piece first.
    pub(super) fn all(pruned: u64, last: u64, workers: usize) -> Vec<Self> {
        let stretches = limits::STRETCHES * u64::try_from(workers).unwrap_or(1);
        let rows = last.saturating_sub(pruned);
        let length = rows.div_ceil(stretches).max(1);
        let chain = (0..rows.div_ceil(length)).map(|number| {
            let passed = number * length;
            Self::Chain(Stretch { after: pruned + passed, count: length.min(rows - passed) })
        });
        let others =
            [Self::Alone, Self::Anchor, Self::Inbox, Self::Checkpoints, Self::Rows, Self::Replay];
        let indexes = (0..index::INDEXES.len()).map(Self::Index);
        [Self::Pages].into_iter().chain(chain).chain(indexes).chain(others).collect()
    }
}

/// What came of one task.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) proven: u64,
    pub(super) rows: u64,
    pub(super) checkpoints: u64,
    /// What the rows have in the indexes over them, or what an index has.
    pub(super) entries: Tally,
    pub(super) findings: Vec<Finding>,
}

impl Part {
    /// Takes what one look came to. What is wrong with the database is no failure of the look.
    pub(super) fn note(&mut self, looked: Result<(), Doubt>) -> Result<(), Doubt> {
        match looked {
            Err(Doubt::Found(finding)) => {
                self.findings.push(finding);
                Ok(())
            }
            Ok(()) | Err(Doubt::Failed(_)) => looked,
        }
    }
}
