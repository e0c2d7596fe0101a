//! What time alone makes true. The reconciler finds what is due and reports it as events, which
//! pass the same inbox as everyone's; it never writes a state.

use crate::approving::expires;
use crate::engine::{Engine, PaneMemory};
use crate::event::Event;
use crate::hear::dropped;
use crate::ids::{PaneId, TargetId};
use crate::input::{Decision, Input, Note};
use crate::limits;
use crate::pane::{Cause, PaneRow};
use crate::signal::{DropReason, Signal, synthetic};
use crate::state::{Evidence, Sight};
use crate::time::{MonoMs, Now, Stamp};
use crate::words::{Source, State};

/// Why the engine wants to be called again, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    pub at: MonoMs,
    pub why: &'static str,
}

impl Engine {
    /// The next moment at which time alone changes something.
    pub fn next_deadline(&self) -> Option<Deadline> {
        let panes = self.panes.values().flat_map(|memory| self.pane_deadlines(memory));
        let waiting = self.inbox.values().map(|row| Deadline {
            at: row.ingested_at.plus(self.settings.pending_ttl_ms + 1),
            why: "a waiting event expires",
        });
        let acts = self
            .actions
            .values()
            .filter(|row| row.waits())
            .map(|row| Deadline { at: self.due(row), why: "an action has waited long enough" });
        let approvals = self
            .approvals
            .values()
            .filter(|row| expires(row))
            .map(|row| Deadline { at: row.expiry(), why: "an approval expires" });
        panes.chain(waiting).chain(acts).chain(approvals).min()
    }

    fn pane_deadlines(&self, memory: &PaneMemory) -> impl Iterator<Item = Deadline> {
        let burst = memory.burst_reported.map(|reported| Deadline {
            at: burst_due(memory, reported),
            why: "a burst of output is over or goes on",
        });
        let caption =
            memory.captions.due().map(|at| Deadline { at, why: "a caption may be journalled" });
        // This is asked of every pane after every input, so what was said is looked up once.
        let evidence = self.said_in(memory);
        let state = evidence.and_then(|it| self.state_due(&memory.row, it));
        let state = state.map(|(at, _)| Deadline { at, why: "a state expires" });
        let claim = evidence.and_then(|it| self.next_stale(&memory.row, it));
        let claim =
            claim.map(|at| Deadline { at, why: "a claim that others stand beside expires" });
        [burst, caption, state, claim].into_iter().flatten()
    }

    /// What was said of what lives in a pane.
    fn said_in(&self, memory: &PaneMemory) -> Option<&Evidence> {
        self.evidence.get(&memory.row.runtime.as_ref()?.runtime)
    }

    /// When the next of several claims expires that stand beside each other: also one that is not
    /// shown may keep another from being.
    fn next_stale(&self, row: &PaneRow, evidence: &Evidence) -> Option<MonoMs> {
        if evidence.voices.len() < 2 {
            return None;
        }
        evidence.heads().nth(1)?;
        let sight = Sight::of(row);
        let stale = |(source, heard)| {
            evidence.confirmed(source, heard, &sight).plus(self.settings.stale_ttl_ms + 1)
        };
        evidence.heads().map(stale).filter(|at| *at > self.ticked).min()
    }

    /// When the shown state expires by itself, and the event that says so.
    fn state_due(&self, row: &PaneRow, evidence: &Evidence) -> Option<(MonoMs, &'static str)> {
        let shown = evidence.head(row.state.source?)?;
        let confirmed = evidence.confirmed(row.state.source?, shown, &Sight::of(row));
        let stale = confirmed.plus(self.settings.stale_ttl_ms + 1);
        let demoted = shown.ingested_at.plus(self.settings.completed_ttl_ms);
        if row.state.state == State::Completed && demoted <= stale {
            return Some((demoted, synthetic::DEMOTION_DUE));
        }
        Some((stale, synthetic::STALE_DETECTED))
    }

    pub(crate) fn tick(&self, now: Now) -> Decision {
        let mut decision = Decision::default();
        for row in self.inbox.values() {
            if now.since(row.ingested_at) > self.settings.pending_ttl_ms {
                let reason = DropReason::BindTtlExpired;
                decision.events.push(dropped(row.inbox.clone(), reason));
            }
        }
        self.tick_bursts(now, &mut decision);
        decision.notes.push(Note::Ticked);
        self.tick_actions(now, &mut decision);
        self.tick_approvals(now, &mut decision);
        for memory in self.panes.values() {
            if memory.captions.due().is_some_and(|due| due <= now.mono) {
                let mut row = memory.row.clone();
                row.updated_at = now.wall;
                let causes = vec![Cause::Changed];
                decision.events.push(Event::PaneChanged { row: Box::new(row), causes });
            }
            match self.expiry(now, memory) {
                Some(expired) => decision.then.push(expired),
                // A clock that jumped over a restart may have made an old claim fresh.
                None => decision.events.extend(self.resettled_by_time(now, memory)),
            }
        }
        decision
    }

    /// The pane's change, if time made its state another one without anything expiring.
    fn resettled_by_time(&self, now: Now, memory: &PaneMemory) -> Option<Event> {
        let health = self.health_of(&memory.row.key.target);
        if self.is_settled(&memory.row, Sight::of(&memory.row), health, now) {
            return None;
        }
        let mut row = memory.row.clone();
        let cause = self.settle(&mut row, &self.evidence_of(&memory.row), health, now)?;
        row.updated_at = now.wall;
        Some(Event::PaneChanged { row: Box::new(row), causes: vec![cause] })
    }

    /// The synthetic event for a state that no longer holds.
    fn expiry(&self, now: Now, memory: &PaneMemory) -> Option<Input> {
        let row = &memory.row;
        let runtime = row.runtime.as_ref()?;
        let (at, event_type) = self.state_due(row, self.said_in(memory)?)?;
        let verdict =
            self.verdict(row, &self.evidence_of(row), self.health_of(&row.key.target), now);
        if at > now.mono || verdict.is_shown_by(&row.state) {
            return None;
        }
        let version = row.state.version;
        let keys = (
            format!("ev-{event_type}-{}-v{version}", runtime.runtime),
            format!("reconcile:{event_type}:{}:state-v{version}", runtime.runtime),
        );
        let signal =
            Signal::own(event_type.to_owned(), Source::Poller, keys, &runtime.runtime, now.wall);
        let signal = Signal { expects_version: Some(version), ..signal };
        Some(Input::Signalled(Box::new(signal)))
    }

    /// Ends the bursts that are over, and reports the ones that go on.
    fn tick_bursts(&self, now: Now, decision: &mut Decision) {
        let mut reports: Vec<(TargetId, Vec<(PaneId, Stamp)>)> = Vec::new();
        for memory in self.panes.values() {
            let Some(reported) = memory.burst_reported else { continue };
            let (key, activity) = (&memory.row.key, memory.row.last_activity);
            let Some(activity) = activity.filter(|_| burst_due(memory, reported) <= now.mono)
            else {
                continue;
            };
            if activity > reported {
                match reports.last_mut() {
                    Some((target, panes)) if *target == key.target => {
                        panes.push((key.pane, activity));
                    }
                    Some(_) | None => {
                        reports.push((key.target.clone(), vec![(key.pane, activity)]));
                    }
                }
            }
            if now.since(activity) >= limits::BURST_QUIET_MS {
                let (target, pane) = (key.target.clone(), key.pane);
                decision.notes.push(Note::BurstOver { target, pane });
            }
        }
        let seen = reports.into_iter().map(|(target, panes)| Event::ActivitySeen { target, panes });
        decision.events.extend(seen);
    }
}

/// When a burst is next looked at: once it was quiet long enough, or has gone on long enough.
fn burst_due(memory: &PaneMemory, reported: Stamp) -> MonoMs {
    let quiet = memory.row.last_activity.unwrap_or(reported).plus(limits::BURST_QUIET_MS);
    quiet.min(reported.plus(limits::BURST_REPORT_MS))
}
