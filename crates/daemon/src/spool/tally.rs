//! What became of what stood in the spool, counted since the daemon started.

use agents::record::Unreadable;

/// The counts. Whoever reads them gets a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Records that are in the journal now.
    pub(crate) taken: u64,
    /// Records that had been taken in before.
    pub(crate) repeated: u64,
    /// Records of processes that run in no pane we know.
    pub(crate) homeless: u64,
    /// Lines that are no records.
    pub(crate) unreadable: u64,
    /// Records of a later version.
    pub(crate) newer: u64,
    /// Why the last of these lines is none.
    pub(crate) last_unreadable: Option<Unreadable>,
    /// Entries of the folder that belong to somebody else, or are no files.
    pub(crate) foreign: u64,
}

impl Tally {
    pub(crate) fn unread(&mut self, why: Unreadable) {
        match why {
            Unreadable::Version => self.newer += 1,
            Unreadable::Foreign | Unreadable::Torn | Unreadable::Field(_) => self.unreadable += 1,
        }
        self.last_unreadable = Some(why);
    }
}
