//! Which agents wait for somebody, and of whose wait was told. Pure.
//!
//! A wait begins when a runtime comes to wait, and is over when something else is known of it. That
//! nothing is known for a while (a target that is down, a signal that went stale) neither ends it
//! nor begins another: so it is told of once, whatever becomes of the daemon meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::Engine;
use engine::event::Event;
use engine::ids::{PaneKey, RuntimeId};
use engine::pane::{Cause, PaneRow};
use engine::words::Bearing;
use store::Change;

/// A wait that nobody was told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) runtime: RuntimeId,
    pub(super) pane: PaneKey,
}

/// The runtimes that wait and of whose wait was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waits {
    told: BTreeSet<RuntimeId>,
}

impl Waits {
    /// What changes mean for them; gives the waits that are new.
    pub(super) fn follow(&mut self, changes: &[Arc<Change>]) -> Vec<Wait> {
        changes.iter().filter_map(|change| self.take(&change.event)).collect()
    }

    fn take(&mut self, event: &Event) -> Option<Wait> {
        match event {
            Event::PaneChanged { row, causes } => {
                for cause in causes {
                    if let Cause::RuntimeEnded { runtime, .. } = cause {
                        self.told.remove(runtime);
                    }
                }
                self.look(row)
            }
            Event::PaneRemoved { ended, .. } => {
                if let Some((runtime, _)) = ended {
                    self.told.remove(runtime);
                }
                None
            }
            Event::TargetChanged(_)
            | Event::TargetRemoved { .. }
            | Event::SessionChanged(_)
            | Event::SessionRemoved { .. }
            | Event::ActivitySeen { .. }
            | Event::EventRecorded(_)
            | Event::EventPended(_)
            | Event::EventBound { .. }
            | Event::EventDropped { .. }
            | Event::ActionChanged(_)
            | Event::AdapterChanged(_)
            | Event::ApprovalChanged(_)
            | Event::TokenChanged(_)
            | Event::AccessDenied(_) => None,
        }
    }

    /// A pane as it is now; gives its wait if that is new.
    fn look(&mut self, row: &PaneRow) -> Option<Wait> {
        let runtime = &row.runtime.as_ref()?.runtime;
        match row.state.state.bearing() {
            Bearing::Open => None,
            Bearing::Waiting => {
                let is_new = self.told.insert(runtime.clone());
                is_new.then(|| Wait { runtime: runtime.clone(), pane: row.key.clone() })
            }
            Bearing::Busy | Bearing::Rest => {
                self.told.remove(runtime);
                None
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.told.len()
    }

    /// All waits of now count as told.
    pub(super) fn all(engine: &Engine) -> Self {
        let mut waits = Self::default();
        engine.panes().for_each(|row| drop(waits.look(row)));
        waits
    }

    /// What an earlier daemon told of, as far as it goes on, and the waits of which it did not.
    pub(super) fn since(text: &str, engine: &Engine) -> (Self, Vec<Wait>) {
        let active = |runtime: &RuntimeId| engine.pane_of(runtime).is_some();
        let told = text.lines().map(RuntimeId::new).filter(active).collect();
        let mut waits = Self { told };
        let new = engine.panes().filter_map(|row| waits.look(row)).collect();
        (waits, new)
    }

    /// What the next daemon has to know.
    pub(super) fn text(&self) -> String {
        self.told.iter().map(|runtime| format!("{runtime}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use engine::settings::Settings;
    use engine::words::{EndReason, State};

    use super::*;
    use crate::spool::binding::tests::pane;

    /// A pane whose runtime came to this state.
    fn came_to(number: u32, state: State) -> Event {
        let mut row = pane(number);
        row.state.state = state;
        Event::PaneChanged { row: Box::new(row), causes: vec![Cause::Changed] }
    }

    fn told(waits: &mut Waits, states: &[State]) -> usize {
        states.iter().filter(|state| waits.take(&came_to(1, **state)).is_some()).count()
    }

    #[test]
    fn a_wait_is_new_once_and_what_is_not_known_for_a_while_neither_ends_nor_begins_one() {
        let mut waits = Waits::default();
        let once = [State::Running, State::WaitingApproval, State::Unknown, State::WaitingApproval];
        assert_eq!(told(&mut waits, &once), 1);
        assert_eq!(told(&mut waits, &[State::WaitingInput]), 0, "asked otherwise");
        assert_eq!(told(&mut waits, &[State::Running, State::WaitingInput]), 1);
        assert_eq!(waits.len(), 1);
        let runtime = RuntimeId::new("rt-1");
        let ended = Cause::RuntimeEnded { runtime, reason: EndReason::ProcessExited };
        let mut row = pane(1);
        row.runtime = None;
        waits.take(&Event::PaneChanged { row: Box::new(row), causes: vec![ended] });
        assert_eq!(waits.len(), 0);
    }

    #[test]
    fn the_next_daemon_tells_of_what_the_last_one_did_not() {
        let mut engine = Engine::new(Settings::default());
        for (number, state) in [
            (1, State::WaitingApproval),
            (2, State::WaitingInput),
            (3, State::Running),
            (4, State::Unknown),
        ] {
            engine.apply(&came_to(number, state));
        }
        let (waits, new) = Waits::since("rt-1\nrt-3\nrt-4\nrt-9\n", &engine);
        let runtimes: Vec<&str> = new.iter().map(|wait| wait.runtime.as_str()).collect();
        assert_eq!(runtimes, ["rt-2"]);
        assert_eq!(waits.text(), "rt-1\nrt-2\nrt-4\n", "what is unknown may go on");
        assert_eq!(Waits::all(&engine).text(), "rt-1\nrt-2\n");
    }
}
