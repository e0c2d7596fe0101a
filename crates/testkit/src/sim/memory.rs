//! What a store would remember of the past, kept in maps.

use std::collections::{BTreeMap, BTreeSet};

use engine::action::ActionRow;
use engine::event::Event;
use engine::ids::{ActionId, BootId, EventId, PaneKey, RuntimeId};
use engine::past::{Past, PastEvent};
use engine::signal::{About, Signal};
use engine::words::{ActionKind, Source};

#[derive(Debug, Default)]
pub(crate) struct Memory {
    by_runtime: BTreeMap<RuntimeId, Vec<(Source, String, PastEvent)>>,
    by_pane: BTreeMap<PaneKey, Vec<(Source, String, PastEvent)>>,
    events: BTreeSet<EventId>,
    epochs: BTreeMap<(PaneKey, BootId), u64>,
    runtimes: BTreeMap<RuntimeId, PaneKey>,
    actions: BTreeMap<(ActionKind, String), ActionRow>,
}

impl Memory {
    pub(crate) fn remember(&mut self, event: &Event) {
        match event {
            Event::PaneChanged { row, .. } => {
                let Some(runtime) = &row.runtime else { return };
                if !self.runtimes.contains_key(&runtime.runtime) {
                    let epoch = self.epochs.entry((row.key.clone(), row.boot.clone())).or_default();
                    *epoch = (*epoch).max(runtime.epoch);
                    self.runtimes.insert(runtime.runtime.clone(), row.key.clone());
                }
            }
            Event::EventRecorded(row) => {
                let (signal, runtime) = (&row.signal, &row.runtime);
                self.events.insert(signal.event_id.clone());
                let entry = entry(signal, Some(runtime));
                if let Some(pane) = self.runtimes.get(runtime) {
                    self.by_pane.entry(pane.clone()).or_default().push(entry.clone());
                }
                self.by_runtime.entry(runtime.clone()).or_default().push(entry);
            }
            Event::EventPended(row) => {
                self.events.insert(row.signal.event_id.clone());
                if let About::Pane(key) = &row.signal.about {
                    let entry = entry(&row.signal, None);
                    self.by_pane.entry(key.clone()).or_default().push(entry);
                }
            }
            Event::TargetChanged(_)
            | Event::TargetRemoved { .. }
            | Event::SessionChanged(_)
            | Event::SessionRemoved { .. }
            | Event::PaneRemoved { .. }
            | Event::ActivitySeen { .. }
            | Event::EventBound { .. }
            | Event::EventDropped { .. }
            | Event::AdapterChanged(_)
            | Event::ApprovalChanged(_)
            | Event::TokenChanged(_)
            | Event::AccessDenied(_) => {}
            Event::ActionChanged(row) => {
                let key = (row.act.kind(), row.request_ref.clone());
                self.actions.insert(key, (**row).clone());
            }
        }
    }
}

fn entry(signal: &Signal, runtime: Option<&RuntimeId>) -> (Source, String, PastEvent) {
    let past = PastEvent {
        event: signal.event_id.clone(),
        event_type: signal.event_type.clone(),
        source_event_id: signal.source_event_id.clone(),
        source_seq: signal.source_seq,
        action_id: signal.action_id.clone(),
        runtime: runtime.cloned(),
    };
    (signal.source, signal.dedupe_key.clone(), past)
}

fn find(
    entries: Option<&Vec<(Source, String, PastEvent)>>,
    source: Source,
    key: &str,
) -> Option<PastEvent> {
    let mut entries = entries?.iter().rev();
    let found = entries.find(|(by, under, _)| *by == source && under == key);
    found.map(|(_, _, past)| past.clone())
}

impl Past for Memory {
    fn event_by_key(&self, runtime: &RuntimeId, source: Source, key: &str) -> Option<PastEvent> {
        find(self.by_runtime.get(runtime), source, key)
    }

    fn event_by_pane_key(&self, pane: &PaneKey, source: Source, key: &str) -> Option<PastEvent> {
        find(self.by_pane.get(pane), source, key)
    }

    fn event_exists(&self, event: &EventId) -> bool {
        self.events.contains(event)
    }

    fn last_epoch(&self, pane: &PaneKey, boot: &BootId) -> u64 {
        self.epochs.get(&(pane.clone(), boot.clone())).copied().unwrap_or(0)
    }

    fn runtime_existed(&self, runtime: &RuntimeId) -> bool {
        self.runtimes.contains_key(runtime)
    }

    fn action(&self, action: &ActionId) -> Option<ActionRow> {
        self.actions.values().find(|row| row.action == *action).cloned()
    }

    fn action_by_request(&self, kind: ActionKind, request_ref: &str) -> Option<ActionRow> {
        self.actions.get(&(kind, request_ref.to_owned())).cloned()
    }
}
