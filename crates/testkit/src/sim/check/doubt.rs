//! What was being stored when a daemon died: it is there whole or not at all, and which of several inputs
//! made which row nobody has told.

use std::sync::Arc;

use engine::event::{Actor, Event};
use engine::ids::{PaneKey, RuntimeId};
use engine::input::{Input, Observation, Reading};
use engine::pane::{Cause, PaneRow};
use engine::signal::{About, Signal};
use engine::words::State;
use store::Change;

use super::super::model::{Moment, is_read};
use super::{Checked, Checker};

impl Checker {
    /// Takes what was being stored when a daemon died: which input made which row nobody can say.
    pub(crate) fn take_doubted(
        &mut self,
        inputs: &[Input],
        changes: &[Arc<Change>],
        now: Moment,
    ) -> Checked {
        self.in_doubt = inputs.len() > 1;
        let mut rest = inputs.iter();
        let mut last = None;
        for change in changes {
            while !last.is_some_and(|input| self.may_make(input, change))
                && let Some(input) = rest.next()
            {
                self.looked_in_doubt(input, changes, now);
                last = Some(input);
            }
            self.take(std::slice::from_ref(change), now)?;
        }
        rest.for_each(|input| self.looked_in_doubt(input, changes, now));
        self.in_doubt = false;
        Ok(())
    }

    /// What was read of an agent that was not known yet counted for nothing, and no row tells of it.
    fn looked_in_doubt(&mut self, input: &Input, changes: &[Arc<Change>], now: Moment) {
        if let Input::Observed { target, sight: Observation::Read { pane, readings, .. } } = input {
            let key = PaneKey::new(target, *pane);
            let told = |change: &Arc<Change>| {
                let Event::EventRecorded(row) = &change.event else { return false };
                readings.iter().any(|it| says(&row.signal, it))
                    && self.held(&row.runtime, &key, changes)
            };
            if !changes.iter().any(told) {
                return;
            }
        }
        self.looked(input, now);
    }

    /// Whether a pane holds this runtime, or comes to hold it by these rows.
    fn held(&self, runtime: &RuntimeId, key: &PaneKey, changes: &[Arc<Change>]) -> bool {
        let holds = |row: &PaneRow| {
            row.key == *key && row.runtime.as_ref().is_some_and(|it| it.runtime == *runtime)
        };
        let becomes = |change: &Arc<Change>| {
            let Event::PaneChanged { row, .. } = &change.event else { return false };
            holds(row)
        };
        self.follower.pane(key).is_some_and(holds) || changes.iter().any(becomes)
    }

    /// Whether a row can be of an input, as far as the row itself tells.
    fn may_make(&self, input: &Input, change: &Change) -> bool {
        let told = if let Event::EventRecorded(row) = &change.event {
            Some(&row.signal)
        } else if let Event::EventPended(row) = &change.event {
            Some(&row.signal)
        } else {
            None
        };
        let by_observer = change.actor == Actor::Observer;
        match input {
            Input::Signalled(signal) | Input::Spooled(signal) => {
                told.map_or(!by_observer, |told| told.event_id == signal.event_id)
            }
            Input::Observed { target, sight: Observation::Read { pane, agent, readings } } => {
                let key = PaneKey::new(target, *pane);
                let life = self.life_of(&key, agent).map(About::Runtime);
                told.map_or(is_settled(&change.event, &key), |told| {
                    life.as_ref() == Some(&told.about) && readings.iter().any(|it| says(told, it))
                })
            }
            Input::Observed { target, sight: Observation::Printed { panes } } => {
                let about = change.event.pane();
                let own = about.is_some_and(|it| it.target == *target && panes.contains(&it.pane));
                own || matches!(&change.event, Event::ActivitySeen { target: it, .. } if it == target)
            }
            Input::Observed { target, sight: Observation::ProcessEnded { pane, .. } } => {
                change.event.pane() == Some(&PaneKey::new(target, *pane))
            }
            Input::Observed { target, .. } => {
                let elsewhere = change.event.pane().is_some_and(|it| it.target != *target);
                by_observer && !elsewhere && told.is_none_or(|told| !is_read(told.source))
            }
            Input::Asked(_)
            | Input::Acted { .. }
            | Input::Held { .. }
            | Input::Resumed(_)
            | Input::Offered { .. }
            | Input::Started
            | Input::Ticked => !by_observer,
        }
    }
}

/// Whether an event tells what was read; an end may be told as rest.
fn says(told: &Signal, reading: &Reading) -> bool {
    let ended = reading.claim.as_ref().is_some_and(|it| it.state == State::Completed);
    reading.source == told.source && (ended || reading.claim == told.claim)
}

/// Whether a row tells of nothing but another state of this pane.
fn is_settled(event: &Event, key: &PaneKey) -> bool {
    let Event::PaneChanged { row, causes } = event else { return false };
    row.key == *key && causes.iter().all(|it| matches!(it, Cause::StateChanged { .. }))
}
