//! What a run did: counts that say whether it was worth anything.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs that were added up.
    pub runs: u64,
    /// Steps: with the engine alone, inputs that were decided.
    pub steps: u64,
    /// Rows of the journal that were written.
    pub rows: u64,
    /// What the run came to, as a checksum: equal for two runs of one seed, added up over many.
    pub digest: u64,
    /// How often each fault was injected, and each event of note happened.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Tally) {
        self.runs += other.runs.max(1);
        self.steps += other.steps;
        self.rows += other.rows;
        self.digest = self.digest.wrapping_add(other.digest);
        for (what, count) in &other.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }
}
