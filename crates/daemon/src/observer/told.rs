//! What tmux tells by itself where the kernel tells nothing: the subscriptions of a connection.
//!
//! A push is a bell. It says which panes to look at now; what is true of them is asked for, or it is
//! the agent's screen that is read. So a push that is forged, cut or doubled costs time and changes
//! nothing. As long as tmux tells, nobody looks at everything by the clock: a sign of life is asked
//! for instead, over the same connection.

use std::collections::{BTreeMap, BTreeSet};

use engine::ids::PaneId;
use engine::input::Observation;
use engine::time::MonoMs;
use tmux::subscription::{self, Outputs, Records, Topic};

use super::facts;
use super::line::{AskError, Line, Question, nonce};
use super::reporter::Reporter;
use super::schedule::{Scope, plus};
use super::watch::{Halt, Watch};

/// How long after an output that was told its pane is read once more. tmux gives its time in whole
/// seconds and tells each of them once: what comes later in the same second is not told.
const ECHO_MS: i64 = 1_100;
/// How long after a hook said that an agent asks for something its pane is read: tmux tells of the
/// title and the dialog that come then up to a second later, and what was read in between would
/// contradict the hook.
const ASKS_MS: [i64; 3] = [150, 400, 800];

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    records: [Option<Records>; 2],
    outputs: Option<Outputs>,
    /// Everything was told once, so whatever changes from then on is.
    complete: bool,
    echoes: BTreeMap<PaneId, MonoMs>,
    /// When else which panes are read.
    expected: BTreeSet<(MonoMs, PaneId)>,
}

impl Told {
    /// Whether tmux tells of whatever changes.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(super) fn next_due(&self) -> Option<MonoMs> {
        let expected = self.expected.first().map(|(due, _)| *due);
        self.echoes.values().copied().chain(expected).min()
    }

    /// What an agent asks for is about to show in its pane.
    pub(super) fn expect(&mut self, pane: PaneId, now: MonoMs) {
        self.expected.extend(ASKS_MS.map(|ms| (plus(now, ms), pane)));
    }

    fn take_echoes(&mut self, now: MonoMs) -> BTreeSet<PaneId> {
        let is_due = |_: &PaneId, due: &mut MonoMs| *due <= now;
        let mut panes: BTreeSet<PaneId> =
            self.echoes.extract_if(.., is_due).map(|(pane, _)| pane).collect();
        while let Some(&(due, pane)) = self.expected.first()
            && due <= now
        {
            self.expected.pop_first();
            panes.insert(pane);
        }
        panes
    }

    /// Whether everything was told with this for the first time.
    fn completes(&mut self) -> bool {
        let all = self.records.iter().all(Option::is_some) && self.outputs.is_some();
        all && !std::mem::replace(&mut self.complete, true)
    }
}

impl<R: Reporter> Watch<'_, R> {
    /// Asks tmux to tell what changes, where nothing else does. Nobody waits for the answer: until
    /// everything was told once, panes are looked at as ever.
    pub(super) fn subscribe(&self) {
        let leaks = self.server.version.session_loop_leaks();
        let controlled = matches!(self.line, Line::Control(_));
        if leaks || !controlled || !self.subscribes || self.cx.target.capabilities().events {
            return;
        }
        let question = Question { batch: subscription::subscribe(), nonce: nonce() };
        let (answer, target) = (self.line.ask(&self.cx.target, &[question]), self.cx.id.clone());
        tokio::spawn(async move {
            if let Err(AskError::Refused(said)) = answer.await {
                tracing::info!(target_id = %target, said, "tmux tells nothing there by itself");
            }
        });
    }

    /// Whether somebody tells what this pane prints.
    pub(super) fn tells_output(&self, pane: PaneId) -> bool {
        self.told.is_complete() || self.wires.tells_output(pane)
    }

    /// tmux told something.
    pub(super) fn take_push(&mut self, name: &[u8], value: &[u8], now: MonoMs) {
        match Topic::of(name) {
            Some(topic @ (Topic::Places | Topic::Titles)) => {
                self.take_records(topic, Records::read(value), now);
            }
            Some(Topic::Output) => self.take_outputs(Outputs::read(value), now),
            None => {}
        }
        if self.told.completes() {
            // Whatever changed before is in no later push.
            self.agenda.hurry(Scope::FULL, now);
            self.agenda.tells();
        }
    }

    fn take_records(&mut self, topic: Topic, records: Records, now: MonoMs) {
        let Some(place) = self.told.records.get_mut(topic.index()) else { return };
        let before = place.replace(records);
        let (Some(before), Some(records)) = (before, place) else { return };
        for pane in records.changed_since(&before) {
            self.agenda.rouse(now);
            self.agenda.suspect(facts::pane_id(pane), now);
        }
        if records.has_others_than(&before) {
            self.agenda.rouse(now);
            self.agenda.hurry(Scope::TOPOLOGY, now);
        }
    }

    fn take_outputs(&mut self, outputs: Outputs, now: MonoMs) {
        let before = self.told.outputs.replace(outputs);
        let (Some(before), Some(outputs)) = (before, &self.told.outputs) else { return };
        let mut printed = BTreeSet::new();
        for (window, moved) in outputs.printed_since(&before) {
            let moved: BTreeSet<PaneId> = moved.into_iter().map(facts::pane_id).collect();
            let of_window = self.picture.panes.values().filter(|known| {
                let facts = &known.facts;
                let alone = moved.is_empty() || facts.pane_active;
                facts.window == facts::window_id(window) && (alone || moved.contains(&facts.pane))
            });
            printed.extend(of_window.map(|known| known.facts.pane));
        }
        for pane in printed {
            self.agenda.rouse(now);
            self.agenda.output(pane, now);
            self.reads_on(pane, now);
            self.told.echoes.insert(pane, plus(now, ECHO_MS));
        }
    }

    fn reads_on(&mut self, pane: PaneId, now: MonoMs) {
        self.reader.output(pane, now);
        self.follow.printed(pane, now);
    }

    /// Reads what may have been printed behind the last word of it.
    pub(super) fn echo(&mut self, now: MonoMs) {
        for pane in self.told.take_echoes(now) {
            self.reads_on(pane, now);
        }
    }

    /// Asks for a sign of life where everything else is told.
    pub(super) async fn ask_sign_of_life(&mut self) -> Result<(), Halt> {
        let question = Question { batch: subscription::sign_of_life(), nonce: nonce() };
        self.ask(&[question]).await?;
        self.agenda.glanced(self.cx.now().mono, false);
        Ok(self.cx.report(Observation::Unchanged).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pane(name: &str) -> PaneId {
        name.parse().unwrap()
    }

    #[test]
    fn the_pane_of_an_agent_that_asks_is_read_again_and_again_for_a_moment() {
        let mut told = Told::default();
        assert_eq!(told.next_due(), None);
        told.expect(pane("%1"), MonoMs(1_000));
        told.expect(pane("%2"), MonoMs(1_000));
        told.echoes.insert(pane("%2"), MonoMs(1_300));
        let mut reads = Vec::new();
        while let Some(due) = told.next_due() {
            let panes: Vec<String> =
                told.take_echoes(due).iter().map(ToString::to_string).collect();
            reads.push((due.0, panes.join(" ")));
        }
        let both = "%1 %2".to_owned();
        let expected =
            [(1_150, both.clone()), (1_300, "%2".to_owned()), (1_400, both.clone()), (1_800, both)];
        assert_eq!(reads, expected);
    }
}
