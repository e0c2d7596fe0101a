//! Starting an agent so that it reports in this one start, with its user's own files untouched.

use crate::setup::hooks::Listing;
use crate::setup::line::HookLine;

/// Where what is needed for a start may be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The path of `qd`, which the hooks run.
    pub program: &'a str,
    /// A folder of this start's own.
    pub folder: &'a str,
    /// The text of the file with the hooks in the user's settings, if it is there.
    pub settings: Option<&'a str>,
}

/// How an agent is started. Whoever set the same hooks up in the user's settings already starts it
/// without these, or everything is told twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    pub program: &'static str,
    pub arguments: Vec<String>,
    pub environment: Vec<(&'static str, String)>,
    /// Files to be written first, by their paths below the folder.
    pub files: Vec<(&'static str, String)>,
    /// The folder, below this start's, that stands for the one with the user's settings: whatever
    /// else is in that one is to be linked into it.
    pub mirror: Option<&'static str>,
}

impl Place<'_> {
    /// The path of a file in the folder.
    pub(crate) fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.folder)
    }

    /// The hooks of a listing as a file of their own.
    pub(crate) fn hooks(&self, listing: &Listing) -> String {
        listing.alone(self.program)
    }

    /// The command line that reports an event.
    pub(crate) fn line(&self, agent: &str, event: &str) -> String {
        HookLine::new(self.program, agent, event).render()
    }
}
