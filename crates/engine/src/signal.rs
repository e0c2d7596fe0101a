//! Events as they arrive, how they find their runtime, and what becomes of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::approval::Asked;
use crate::ids::{AgentType, EventId, InboxId, PaneKey, RuntimeId};
use crate::pane::{PaneRow, Runtime};
use crate::settings::Settings;
use crate::state::{Claim, OrderKey};
use crate::time::{Stamp, WallMs};
use crate::words::{Detail, Source};

/// The types of the reconciler's own events. They pass the same inbox as everyone's.
pub mod synthetic {
    pub const STALE_DETECTED: &str = "stale-detected";
    pub const DEMOTION_DUE: &str = "demotion-due";
    pub const TARGET_HEALTH_CHANGED: &str = "target-health-changed";
}

/// How the types of the events begin by which actions show in the history of a runtime.
pub const ACTION_PREFIX: &str = "action.";

/// One event of envelope v1, its type normalised and its payload redacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    pub event_id: EventId,
    pub event_type: String,
    pub source: Source,
    pub dedupe_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_event_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_seq: Option<i64>,
    pub event_time: WallMs,
    pub about: About,
    #[serde(default, skip_serializing_if = "Hints::is_empty")]
    pub hints: Hints,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_id: Option<String>,
    /// What the adapter reads in it; nothing for types that no adapter knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// What it tells beside the state; an empty text says that there is none any more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<Detail, String>,
    /// A reminder, or the general word after a particular one: its claim counts only where what
    /// its source said before it is of another kind.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeats: bool,
    /// The session of the agent's that it is about; its claim says nothing where another one is
    /// known to be in the pane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What it tells of a permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// It reports that a turn of the agent began.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begins_turn: bool,
    /// The redacted payload. Kept beside the journal, which holds its hash.
    #[serde(skip)]
    pub payload: Option<String>,
    /// The state version a synthetic event is about; it is void when the version moved on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expects_version: Option<u64>,
}

impl Signal {
    /// Whether anything was read in it. A type that nobody knows tells nothing, not even of whom.
    pub fn is_understood(&self) -> bool {
        self.claim.is_some() || !self.details.is_empty() || self.asked.is_some() || self.begins_turn
    }

    /// An event that we make ourselves about a runtime, with nothing in it yet.
    pub fn own(
        event_type: String,
        source: Source,
        (event_id, dedupe_key): (String, String),
        runtime: &RuntimeId,
        event_time: WallMs,
    ) -> Self {
        Self {
            event_id: EventId::new(event_id),
            event_type,
            source,
            dedupe_key,
            source_event_id: None,
            source_seq: None,
            event_time,
            about: About::Runtime(runtime.clone()),
            hints: Hints::default(),
            agent: None,
            action_id: None,
            claim: None,
            details: BTreeMap::new(),
            repeats: false,
            session: None,
            asked: None,
            begins_turn: false,
            payload: None,
            expects_version: None,
        }
    }
}

/// What an event says it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    Runtime(RuntimeId),
    Pane(PaneKey),
}

/// What narrows down which of a pane's lives an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<WallMs>,
    /// The processes above the one that reported, nearest first. Where they are known, they say
    /// which pane it was, whatever else the report names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<u32>,
}

impl Hints {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn fit(&self, pid: u32, started_at: WallMs, settings: &Settings) -> bool {
        let near = |start: WallMs| {
            start.0.abs_diff(started_at.0) <= settings.bind_window_ms.unsigned_abs()
        };
        self.pid.is_none_or(|hint| hint == pid) && self.start.is_none_or(near)
    }

    /// How far above the reporting process the pane's process or its agent's stands.
    fn distance(&self, row: &PaneRow) -> Option<usize> {
        let above = |pid: u32| self.ancestors.iter().position(|ancestor| *ancestor == pid);
        let agent = row.runtime.as_ref().and_then(|runtime| above(runtime.pid));
        agent.into_iter().chain(above(row.facts.process.pid)).min()
    }
}

/// The outcome of looking for the one runtime that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    One(RuntimeId),
    None,
    Several,
}

/// Finds the one active runtime among a target's `panes` that an event about `key` fits.
///
/// The processes above the reporter decide where they are known: the pane that the report names
/// can be another one's, as with an agent whose hooks run in a process that all panes share.
pub fn bind<'a>(
    panes: impl Iterator<Item = &'a PaneRow>,
    key: &PaneKey,
    hints: &Hints,
    at: WallMs,
    now: WallMs,
    settings: &Settings,
) -> Binding {
    let (named, above): (Vec<_>, Vec<_>) = if hints.ancestors.is_empty() {
        (panes.filter(|row| row.key == *key).collect(), Vec::new())
    } else {
        (Vec::new(), panes.filter_map(|row| Some((hints.distance(row)?, row))).collect())
    };
    let nearest = above.iter().map(|(distance, _)| *distance).min();
    let nearest = above.iter().filter(|(distance, _)| Some(*distance) == nearest);
    // A number that was given again names a process that is younger than the report. None is from
    // the future: where it seems so, the clock was set back since.
    let existed = |runtime: &&Runtime| {
        let started = runtime.started_at.min(now);
        hints.ancestors.is_empty() || started.0 <= at.0 + settings.bind_window_ms
    };
    let mut fitting = named
        .into_iter()
        .chain(nearest.map(|(_, row)| *row))
        .filter_map(|row| row.runtime.as_ref())
        .filter(existed)
        .filter(|runtime| hints.fit(runtime.pid, runtime.started_at, settings));
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Binding::One(one.runtime.clone()),
        (Some(_), Some(_)) => Binding::Several,
        (None, _) => Binding::None,
    }
}

/// The time an event counts for: the source's clock while it is believable, else ours.
pub fn effective_time(event_time: WallMs, ingested_at: WallMs, settings: &Settings) -> WallMs {
    let skew = event_time.0.abs_diff(ingested_at.0);
    if skew <= settings.skew_budget_ms.unsigned_abs() { event_time } else { ingested_at }
}

/// An event that was bound to a runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    pub signal: Signal,
    pub runtime: RuntimeId,
    pub ingested_at: Stamp,
    pub effective_time: WallMs,
    /// How far `effective_time` is ahead of the wall clock, because that was set back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ahead_ms: i64,
    /// It speaks of another agent than the one whose process is in the pane. It is kept, and says
    /// nothing about the runtime.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_other: bool,
    /// The claims that a `stale-detected` event retires, with the sources that made them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retires: Vec<(Source, OrderKey)>,
    /// For how long somebody had been waited for, where it ends that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waited_ms: u64,
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

impl EventRow {
    /// Whether it only records an action of ours: it says nothing about the runtime.
    pub fn is_record(&self) -> bool {
        self.signal.event_type.starts_with(ACTION_PREFIX)
    }

    /// What it tells of a permission of the pane's own agent.
    pub fn asked(&self) -> Option<&Asked> {
        self.signal.asked.as_ref().filter(|_| !self.of_other)
    }

    pub fn order(&self) -> OrderKey {
        let claim = self.signal.claim.as_ref();
        OrderKey {
            effective: self.effective_time,
            urgency: claim.map_or(u8::MAX, |claim| claim.state as u8),
            dedupe_key: self.signal.dedupe_key.clone(),
        }
    }
}

/// An event that waits for its runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxRow {
    pub inbox: InboxId,
    pub signal: Signal,
    pub ingested_at: Stamp,
}

/// What became of a waiting event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// A look at the target, taken after the event came, showed nothing it could be about.
    BindNoCandidate,
    BindAmbiguous,
    BindTtlExpired,
}

impl DropReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BindNoCandidate => "bind_no_candidate",
            Self::BindAmbiguous => "bind_ambiguous",
            Self::BindTtlExpired => "bind_ttl_expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skew_budget_includes_its_edge() {
        let cfg = Settings::default();
        assert_eq!(effective_time(WallMs(0), WallMs(10_000), &cfg), WallMs(0));
        assert_eq!(effective_time(WallMs(0), WallMs(10_001), &cfg), WallMs(10_001));
        assert_eq!(effective_time(WallMs(20_000), WallMs(10_000), &cfg), WallMs(20_000));
        assert_eq!(effective_time(WallMs(i64::MIN), WallMs(1), &cfg), WallMs(1));
    }

    #[test]
    fn the_bind_window_includes_its_edge() {
        let cfg = Settings::default();
        let hints = |start| Hints { pid: Some(7), start: Some(WallMs(start)), ..Hints::default() };
        assert!(hints(5_000).fit(7, WallMs(0), &cfg));
        assert!(!hints(5_001).fit(7, WallMs(0), &cfg));
        assert!(!hints(0).fit(8, WallMs(0), &cfg), "another pid");
    }
}
