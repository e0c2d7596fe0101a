//! What every adapter can do, and what it is asked about.
//!
//! An adapter is pure: it is shown processes, payloads, titles and screens, and says what they
//! mean. Reading them is the daemon's work, concluding a state from them the engine's.

use std::collections::BTreeMap;

use engine::state::Claim;
use engine::words::{Confidence, Detail, Source, State};
use serde_json::Value;

use crate::screen::Screen;

/// The version of this contract. Adapters of another major version are refused.
pub const CONTRACT: Version = Version { major: 1, minor: 0 };

/// A version of the contract, written `v1` or `v1.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
}

impl Version {
    pub fn is_compatible(self) -> bool {
        self.major == CONTRACT.major
    }

    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.strip_prefix('v')?.split_once('.').unwrap_or((&text[1..], "0"));
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.minor {
            0 => write!(f, "v{}", self.major),
            minor => write!(f, "v{}.{minor}", self.major),
        }
    }
}

/// What an adapter can learn of its agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the contract, each its own")]
pub struct Capabilities {
    /// The agent reports by itself.
    pub event_driven: bool,
    /// Some of its states show only when somebody looks.
    pub polling_required: bool,
    pub supports_waiting_approval: bool,
    pub supports_waiting_input: bool,
    pub supports_completed: bool,
}

/// One process, as the kernel shows it.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its short name: 15 bytes at most, and some agents set it to anything.
    pub name: &'a str,
    /// Where its program lies; empty where that cannot be seen.
    pub path: &'a str,
    pub arguments: &'a [String],
}

impl Program<'_> {
    /// The last part of a path.
    pub fn file_of(path: &str) -> &str {
        path.rsplit('/').next().unwrap_or(path)
    }

    /// The script that an interpreter runs: its first argument that is no flag.
    pub fn script(&self) -> Option<&str> {
        let mut arguments = self.arguments.iter().skip(1);
        arguments.find(|argument| !argument.starts_with('-')).map(String::as_str)
    }
}

/// What a report of the agent's own means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    pub claim: Option<Claim>,
    pub details: BTreeMap<Detail, String>,
    pub begins_turn: bool,
    /// It is about another thread of the agent's than the one in the pane, or about nothing.
    pub ignored: bool,
}

impl Report {
    pub fn claiming(state: State, reason: &str) -> Self {
        Self { claim: Some(claim(state, reason, Confidence::High)), ..Self::default() }
    }

    #[must_use]
    pub fn with(mut self, detail: Detail, text: impl Into<String>) -> Self {
        self.details.insert(detail, text.into());
        self
    }
}

pub(crate) fn claim(state: State, reason: &str, confidence: Confidence) -> Claim {
    Claim { state, reason: reason.to_owned(), confidence }
}

/// What of an agent can be seen in one look.
#[derive(Clone, Copy, Debug)]
pub struct Surface<'a> {
    /// The agent's version, where it is known; a screen counts fully only for versions that the
    /// corpus covers.
    pub version: Option<&'a str>,
    pub title: &'a str,
    pub screen: &'a Screen,
}

/// What one reading says: a claim, or nothing any more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    pub claim: Option<Claim>,
    pub details: BTreeMap<Detail, String>,
    /// The mark that it was read from, for whoever asks why.
    pub mark: &'static str,
}

/// All readings of one look. A source that the adapter cannot read is not in it.
pub type Readings = BTreeMap<Source, Reading>;

/// One agent's adapter.
pub trait Adapter: Sync {
    /// The agent's name: one word, the same everywhere.
    fn agent(&self) -> &'static str;

    /// The adapter's own name.
    fn name(&self) -> &'static str;

    fn version(&self) -> Version {
        CONTRACT
    }

    fn capabilities(&self) -> Capabilities;

    /// Whether a process is this agent's own.
    fn recognises(&self, program: &Program<'_>) -> bool;

    /// What a hook's or a notification's payload means. `event` is as the agent spells it.
    fn hears(&self, event: &str, payload: &Value) -> Report;

    /// What can be seen of it now.
    fn reads(&self, surface: &Surface<'_>) -> Readings;
}
