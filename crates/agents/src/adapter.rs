//! What every adapter can do, and what it is asked about.
//!
//! An adapter is pure: it is shown processes, payloads, titles, screens and files, and says what
//! they mean. Reading them is the daemon's work, concluding a state from them the engine's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use engine::approval::{Asked, Asking};
use engine::limits;
use engine::state::Claim;
use engine::time::WallMs;
use engine::words::{Bearing, Confidence, Detail, Source, State};
use serde_json::Value;

use crate::composer::{Composer, Manner};
use crate::dialog::Dialog;
use crate::launch::{Launch, Place};
use crate::program::Program;
use crate::screen::Screen;
use crate::setup::Setup;

/// By what a process is known that serves the sessions of several panes.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// An argument that each of them has, so that of most processes nothing else need be read.
    pub argument: &'static str,
    pub is: fn(&Program<'_>) -> bool,
}

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
        let numbers = text.strip_prefix('v')?;
        let (major, minor) = numbers.split_once('.').unwrap_or((numbers, "0"));
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

impl Capabilities {
    /// Each flag by its name.
    pub fn named(self) -> [(&'static str, bool); 5] {
        [
            ("event_driven", self.event_driven),
            ("polling_required", self.polling_required),
            ("supports_waiting_approval", self.supports_waiting_approval),
            ("supports_waiting_input", self.supports_waiting_input),
            ("supports_completed", self.supports_completed),
        ]
    }
}

/// What a report of the agent's own means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    pub claim: Option<Claim>,
    /// What it tells beside the state. An empty text says that there is none any more.
    pub details: BTreeMap<Detail, String>,
    pub begins_turn: bool,
    /// It is about another thread of the agent's than the one in the pane, or about nothing.
    pub ignored: bool,
    /// A reminder, or the general word after a particular one: its claim counts only where what is
    /// known is of another kind (busy, waiting, at rest), so that it cannot take a better reason
    /// away.
    pub repeats: bool,
    /// It is about this session of the agent's, and about nothing in the pane if another one is
    /// known to be there.
    pub only_of: Option<String>,
}

impl Report {
    pub fn claiming(state: State, reason: &str) -> Self {
        Self { claim: Some(claim(state, reason, Confidence::High)), ..Self::default() }
    }

    pub fn ignored() -> Self {
        Self { ignored: true, ..Self::default() }
    }

    #[must_use]
    pub fn with(mut self, detail: Detail, text: impl Into<String>) -> Self {
        self.details.insert(detail, kept(text.into()));
        self
    }

    /// Tells a detail if there is anything to tell.
    #[must_use]
    pub fn telling(self, detail: Detail, text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { self } else { self.with(detail, text) }
    }

    /// No tool is at work any more and nothing waits for an answer.
    #[must_use]
    pub fn settled(self) -> Self {
        self.with(Detail::Tool, "").with(Detail::ToolInput, "").with(Detail::Ask, "")
    }

    #[must_use]
    pub fn repeating(mut self) -> Self {
        self.repeats = true;
        self
    }

    #[must_use]
    pub fn beginning_turn(mut self) -> Self {
        self.begins_turn = true;
        self
    }
}

/// As much of a detail as is kept.
fn kept(mut text: String) -> String {
    limits::cut(&mut text, limits::TEXT_BYTES_MAX);
    text
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
    pub mark: Cow<'static, str>,
    /// The dialog in which somebody is asked something.
    pub asking: Option<Box<Asking>>,
}

impl Reading {
    pub fn claiming(
        state: State,
        reason: &str,
        confidence: Confidence,
        mark: impl Into<Cow<'static, str>>,
    ) -> Self {
        let claim = Some(claim(state, reason, confidence));
        Self { claim, mark: mark.into(), ..Self::default() }
    }

    /// It was looked at, and says nothing about the state.
    pub fn silent(mark: impl Into<Cow<'static, str>>) -> Self {
        Self { mark: mark.into(), ..Self::default() }
    }

    #[must_use]
    pub fn telling(mut self, detail: Detail, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.details.insert(detail, kept(text));
        }
        self
    }

    /// Says that there is no such thing any more.
    #[must_use]
    pub fn without(mut self, detail: Detail) -> Self {
        self.details.insert(detail, String::new());
        self
    }

    /// Whether it says that somebody has to answer.
    pub fn waits(&self) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.state.bearing() == Bearing::Waiting)
    }

    /// What several files of one agent say together: the first that claims anything is believed,
    /// and each detail is told by the first that tells it.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        if self.claim.is_none() {
            (self.claim, self.mark) = (other.claim, other.mark);
        }
        for (detail, text) in other.details {
            self.details.entry(detail).or_insert(text);
        }
        self
    }
}

/// All readings of one look. A source that the adapter cannot read is not in it; one that says
/// nothing now is in it without a claim, and withdraws what it said before.
pub type Readings = BTreeMap<Source, Reading>;

/// A running agent, as far as its own files are found by it.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    pub pid: u32,
    /// The processes below its own, as far down as is looked; a launcher's agent is among them.
    pub below: &'a [u32],
    /// When its process started, in the kernel's ticks since boot; it tells a process from another
    /// that was given the same number.
    pub start_ticks: Option<u64>,
    /// The home folder of its user.
    pub home: &'a str,
    /// What the variable that [`Adapter::folder_variable`] names is set to in its environment.
    pub folder: Option<&'a str>,
    /// Its session, where it is known.
    pub session: Option<&'a str>,
}

/// A file in which an agent writes what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusFile {
    /// Its path. A part may hold `*`, for any text within that part; of several files that fit, the
    /// one that was written last is meant.
    pub path: String,
    pub kind: FileKind,
    pub proof: Proof,
}

/// How an agent writes a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// It is written anew each time, and read whole.
    Status,
    /// It grows by lines, and its last [`TAIL_BYTES`] are enough.
    Transcript,
}

/// By what it is known whose a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its path names the process or the session.
    Name,
    /// A process of the agent's has it open.
    HeldOpen,
    /// A file of one of these names lies beside it.
    Beside(Vec<String>),
}

/// How much of the end of a growing file is read.
pub const TAIL_BYTES: usize = 64 * 1024;

/// One agent's adapter.
pub trait Adapter: Send + Sync {
    /// The agent's name: one word, the same everywhere.
    fn agent(&self) -> &str;

    /// The adapter's own name.
    fn name(&self) -> &str;

    fn version(&self) -> Version {
        CONTRACT
    }

    fn capabilities(&self) -> Capabilities;

    /// The versions of the agent whose screens the corpus holds.
    fn covers(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether a process is this agent's own.
    fn recognises(&self, program: &Program<'_>) -> bool;

    /// By what a process is known that serves the sessions of several panes, where there are such:
    /// what runs below it may be about any of them, and is told apart by its session.
    fn serves_many(&self) -> Option<Server> {
        None
    }

    /// When a session began, where its name tells that.
    fn session_began(&self, _session: &str) -> Option<WallMs> {
        None
    }

    /// What a hook's or a notification's payload means. `event` is as the agent spells it, in
    /// capital letters or not.
    fn hears(&self, event: &str, payload: &Value) -> Report;

    /// What can be seen of it now.
    fn reads(&self, surface: &Surface<'_>) -> Readings;

    /// What its composer holds; nothing where none can be seen, and then nothing may be typed.
    fn composer(&self, _screen: &Screen) -> Option<Composer> {
        None
    }

    /// How its composer is used.
    fn manner(&self) -> Manner {
        Manner::CAREFUL
    }

    /// What a hook tells of a permission. Its payload is without secrets already.
    fn asks(&self, _event: &str, _payload: &Value) -> Option<Asked> {
        None
    }

    /// The dialog that stands at the bottom of its screen, and the keys that answer it; nothing
    /// where none is known for certain, and then nothing may be pressed.
    fn dialog(&self, _screen: &Screen) -> Option<Dialog> {
        None
    }

    /// The variable of its environment that moves its folder elsewhere.
    fn folder_variable(&self) -> Option<&'static str> {
        None
    }

    /// How it is set up in its user's own settings, where that is known.
    fn setup(&self) -> Option<&'static Setup> {
        None
    }

    /// How it is started so that it reports this once, where a way is known that leaves its user's
    /// files alone.
    fn launch(&self, _place: &Place<'_>) -> Option<Launch> {
        None
    }

    /// The files that tell what it does. Of those of one kind the first that is there is meant.
    fn status_files(&self, _agent: &Running<'_>) -> Vec<StatusFile> {
        Vec::new()
    }

    /// How its transcript counts what it uses, where it does so call by call. The whole file is then
    /// read, once.
    fn counts(&self) -> Option<crate::tally::Count> {
        None
    }

    /// What such a file says; nothing if no whole word of it is there. It may be cut anywhere: at
    /// its beginning because only its end was read, at its end because it is being written.
    fn reads_status(
        &self,
        _agent: &Running<'_>,
        _kind: FileKind,
        _content: &[u8],
    ) -> Option<Reading> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_they_are_written() {
        for text in ["v1", "v1.2", "v20.7"] {
            assert_eq!(Version::parse(text).map(|it| it.to_string()).as_deref(), Some(text));
        }
        for text in ["", "v", "1", "v1.", "v1.2.3", "ü", "va"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn another_major_version_is_not_compatible() {
        assert!(Version { major: 1, minor: 9 }.is_compatible());
        assert!(!Version { major: 2, minor: 0 }.is_compatible());
    }
}
