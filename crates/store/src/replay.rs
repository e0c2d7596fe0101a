//! The engine's fold over stored events.

use std::collections::BTreeMap;

use engine::Engine;
use engine::engine::Tables;
use engine::event::Event;
use engine::ids::PaneKey;
use engine::settings::Settings;
use engine::time::{MonoMs, Now, Stamp, WallMs};

/// What tables come to when events are folded into them.
#[derive(Debug)]
pub(crate) struct Replay {
    engine: Engine,
    /// Activity since a pane's row was written. The engine keeps the later of two moments by the
    /// steady clock, which stored moments are not on; the journal's order says the same.
    activity: BTreeMap<PaneKey, Stamp>,
}

impl Replay {
    pub(crate) fn from(tables: Tables, settings: Settings) -> Self {
        // On a clock that has not begun, every stored moment stays where it is.
        let never = Now { wall: WallMs(0), mono: MonoMs(i64::MIN) };
        Self { engine: Engine::restore(settings, tables, never), activity: BTreeMap::new() }
    }

    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::ActivitySeen { target, panes } => {
                let seen = panes.iter().map(|(pane, at)| (PaneKey::new(target, *pane), *at));
                self.activity.extend(seen);
            }
            Event::PaneChanged { row, .. } => {
                self.activity.remove(&row.key);
            }
            Event::PaneRemoved { key, .. } => {
                self.activity.remove(key);
            }
            Event::TargetChanged(_)
            | Event::TargetRemoved { .. }
            | Event::SessionChanged(_)
            | Event::SessionRemoved { .. }
            | Event::EventRecorded(_)
            | Event::EventPended(_)
            | Event::EventBound { .. }
            | Event::EventDropped { .. }
            | Event::ActionChanged(_)
            | Event::AdapterChanged(_)
            | Event::ApprovalChanged(_)
            | Event::TokenChanged(_)
            | Event::AccessDenied(_) => {}
        }
        self.engine.apply(event);
    }

    pub(crate) fn tables(&self) -> Tables {
        let mut tables = self.engine.tables();
        for row in &mut tables.panes {
            if let Some(at) = self.activity.get(&row.key) {
                row.last_activity = Some(*at);
            }
        }
        tables
    }
}
