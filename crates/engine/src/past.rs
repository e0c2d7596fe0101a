//! What the engine asks the store about the past: answers to exact questions, nothing more.

use crate::action::ActionRow;
use crate::ids::{ActionId, BootId, EventId, PaneKey, RuntimeId};
use crate::words::{ActionKind, Source};

/// A read-only memory of what is no longer in the engine's own state.
pub trait Past {
    /// The event that a source reported about a runtime under this key.
    fn event_by_key(&self, runtime: &RuntimeId, source: Source, key: &str) -> Option<PastEvent>;

    /// The event that came in for a pane under this key: bound to any of the pane's runtimes,
    /// waiting, or dropped.
    fn event_by_pane_key(&self, pane: &PaneKey, source: Source, key: &str) -> Option<PastEvent>;

    /// Whether an event of this id exists.
    fn event_exists(&self, event: &EventId) -> bool;

    /// The highest epoch a pane had under this server.
    fn last_epoch(&self, pane: &PaneKey, boot: &BootId) -> u64;

    /// Whether a runtime of this id ever existed.
    fn runtime_existed(&self, runtime: &RuntimeId) -> bool;

    /// The action of this id.
    fn action(&self, action: &ActionId) -> Option<ActionRow>;

    /// The action of this kind that was asked for under this reference.
    fn action_by_request(&self, kind: ActionKind, request_ref: &str) -> Option<ActionRow>;
}

/// As much of an earlier event as tells a repetition from a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastEvent {
    pub event: EventId,
    pub event_type: String,
    pub source_event_id: Option<String>,
    pub source_seq: Option<i64>,
    pub action_id: Option<String>,
    pub runtime: Option<RuntimeId>,
}
