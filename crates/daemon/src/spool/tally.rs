//! What became of what stood in the spool, counted since the daemon started.

use std::collections::BTreeMap;

use agents::record::Unreadable;

/// Names of agents that are counted one by one: whoever writes records may name any.
const AGENTS_MAX: usize = 32;
/// What the rest is counted under.
const OTHERS: &str = "others";

/// The counts. Whoever reads them gets a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Records that are in the journal now.
    pub(crate) taken: u64,
    /// Records that had been taken in before.
    pub(crate) repeated: u64,
    /// Records of processes that run in no pane we know, by the agent that they name.
    pub(crate) homeless: BTreeMap<String, u64>,
    /// Lines that are no records.
    pub(crate) unreadable: u64,
    /// Records of a later version.
    pub(crate) newer: u64,
    /// Why the last of these lines is none.
    pub(crate) last_unreadable: Option<Unreadable>,
    /// Files there, on targets somewhere else, that were given up before everything in them was read.
    pub(crate) missed: u64,
    /// Entries of the folder that belong to somebody else, or are no files.
    pub(crate) foreign: u64,
}

impl Tally {
    /// A record is about no pane that is watched.
    pub(crate) fn found_no_pane(&mut self, agent: &str) {
        *self.homeless.entry(self.counted_as(agent)).or_default() += 1;
    }

    /// Adds what was counted elsewhere; whether that was anything.
    pub(crate) fn add(&mut self, more: &Self) -> bool {
        if *more == Self::default() {
            return false;
        }
        let Self { taken, repeated, homeless, unreadable, newer, last_unreadable, missed, foreign } =
            more;
        self.taken += taken;
        self.repeated += repeated;
        for (agent, count) in homeless {
            *self.homeless.entry(self.counted_as(agent)).or_default() += count;
        }
        self.unreadable += unreadable;
        self.newer += newer;
        self.last_unreadable = last_unreadable.or(self.last_unreadable);
        self.missed += missed;
        self.foreign += foreign;
        true
    }

    fn counted_as(&self, agent: &str) -> String {
        let known = self.homeless.contains_key(agent) || self.homeless.len() < AGENTS_MAX;
        if known { agent } else { OTHERS }.to_owned()
    }

    pub(crate) fn unread(&mut self, why: Unreadable) {
        match why {
            Unreadable::Version => self.newer += 1,
            Unreadable::Foreign | Unreadable::Torn | Unreadable::Field(_) => self.unreadable += 1,
        }
        self.last_unreadable = Some(why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_agents_are_named_the_counts_are_few_and_complete() {
        let mut tally = Tally::default();
        for number in 0..1_000 {
            tally.found_no_pane(&format!("a{number}"));
            tally.found_no_pane("a0");
        }
        assert_eq!(tally.homeless.len(), AGENTS_MAX + 1);
        assert_eq!(tally.homeless["a0"], 1_001);
        assert_eq!(tally.homeless.values().sum::<u64>(), 2_000);
        let mut sum = Tally { taken: 1, ..Tally::default() };
        assert!(sum.add(&tally) && sum.add(&tally) && !sum.add(&Tally::default()));
        assert_eq!(sum.homeless.len(), AGENTS_MAX + 1);
        assert_eq!(sum.homeless.values().sum::<u64>(), 4_000);
    }
}
