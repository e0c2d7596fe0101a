//! The one checker of the invariants, asked after every step.
//!
//! | id | what must hold |
//! |---|---|
//! | I1 | the journal has no gap; its chain is whole |
//! | I2 | every acknowledged event is in it, once |
//! | I3, I4, I5 | acts and answers: see [`super::deeds`] |
//! | I6 | what the engine holds is the fold of the journal, and what a store would load |
//! | I7 | a resumed watcher saw exactly the rows a..b, once |
//! | I8 | a pane has at most one living runtime, a runtime one pane, and none comes back |
//! | I9 | every definite state has fresh evidence; `unknown` has its reason |
//! | I10 | after healing, the view is what is there |

mod doubt;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::Engine;
use engine::engine::Tables;
use engine::event::Event;
use engine::ids::{BootId, EventId, InboxId, PaneKey, RuntimeId, TargetId};
use engine::input::{Acceptance, Input, Observation, Refusal, Reply, Topology};
use engine::pane::{Cause, PaneRow, ProcessIdentity};
use engine::settings::Settings;
use engine::signal::{About, EventRow, Signal, synthetic};
use engine::target::{ServerFacts, TargetRow};
use engine::time::{MonoMs, Now, Stamp, WallMs};
use engine::trail::{Track, Trail};
use engine::words::{Health, State, TargetKind};
use store::Change;

use super::deeds::Deeds;
use super::model::{Model, Moment, started};

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    pub detail: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

pub(crate) type Checked = Result<(), Violation>;

pub(crate) fn violated<T>(
    invariant: &'static str,
    detail: impl Into<String>,
) -> Result<T, Violation> {
    Err(Violation { invariant, detail: detail.into() })
}

/// What became of a runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Life {
    Active(PaneKey),
    Ended(PaneKey),
}

/// What became of a waiting event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Waiting,
    Bound,
    Dropped,
}

/// Everything the journal has said so far, and what follows from it.
#[derive(Debug)]
pub(crate) struct Checker {
    /// The fold of the journal's rows and of nothing else.
    pub(crate) follower: Engine,
    pub(crate) last_seq: u64,
    pub(crate) model: Model,
    settings: Settings,
    lives: BTreeMap<RuntimeId, Life>,
    epochs: BTreeMap<(PaneKey, BootId), u64>,
    recorded: BTreeMap<EventId, RuntimeId>,
    inbox: BTreeMap<InboxId, (EventId, Wait)>,
    pended: BTreeSet<EventId>,
    /// Events whose sender was told that they are kept.
    acknowledged: BTreeSet<EventId>,
    /// Targets that were seen whole since their last failure.
    seen_whole: BTreeSet<TargetId>,
    /// The targets that were looked at whole since the daemon started.
    looked_at: BTreeSet<TargetId>,
    pub(crate) deeds: Deeds,
    /// Rows are taken of which it is unknown which of several inputs made them.
    in_doubt: bool,
    /// Targets that nobody looked at since the engine was read back while its daemon lived: what it gave
    /// up it does not take up before, also where a clock that was set back made it fresh again.
    read_back: BTreeSet<TargetId>,
}

impl Checker {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            follower: Engine::new(settings),
            last_seq: 0,
            model: Model::new(settings),
            settings,
            lives: BTreeMap::new(),
            epochs: BTreeMap::new(),
            recorded: BTreeMap::new(),
            inbox: BTreeMap::new(),
            pended: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            seen_whole: BTreeSet::new(),
            looked_at: BTreeSet::new(),
            deeds: Deeds::default(),
            in_doubt: false,
            read_back: BTreeSet::new(),
        }
    }

    /// What a look told, before its changes are taken.
    pub(crate) fn looked(&mut self, input: &Input, now: Moment) {
        self.model.step();
        let (target, sight) = match input {
            Input::Observed { target, sight } => (target, sight),
            Input::Spooled(signal) => {
                return self.model.spooled(&signal.event_id, signal.event_time, now);
            }
            Input::Signalled(signal) => return self.model.signalled(&signal.event_id),
            Input::Asked(_)
            | Input::Acted { .. }
            | Input::Held { .. }
            | Input::Resumed(_)
            | Input::Offered { .. }
            | Input::Started
            | Input::Ticked => return,
        };
        self.count(target, sight);
        if matches!(sight, Observation::Topology(_) | Observation::Unchanged) {
            self.read_back.remove(target);
        }
        match sight {
            Observation::Topology(topology) if self.takes(target, &topology.server, false) => {
                self.looked_at_all(target, topology, now);
            }
            Observation::Panes { server, panes } if self.takes(target, server, true) => {
                self.model.listen(target, now);
                for facts in panes {
                    self.model.see(&PaneKey::new(target, facts.pane), now);
                }
            }
            // To a target that was removed nobody listens.
            Observation::Unchanged | Observation::NoServer
                if self.follower.target(target).is_none() => {}
            Observation::Unchanged => {
                self.model.listen(target, now);
                self.model.see_all(target, now);
            }
            Observation::NoServer => self.model.listen(target, now),
            Observation::Printed { panes } => {
                for pane in panes {
                    self.model.hear_output(&PaneKey::new(target, *pane), now);
                }
            }
            Observation::Read { pane, agent, readings } => {
                let key = PaneKey::new(target, *pane);
                let Some(runtime) = self.life_of(&key, agent) else { return };
                let shown = self.follower.pane(&key).map(|row| row.state.state);
                for reading in readings {
                    self.model.read(&runtime, reading, shown, now);
                }
            }
            Observation::Topology(_)
            | Observation::Panes { .. }
            | Observation::ProcessEnded { .. }
            | Observation::Answered
            | Observation::Behind
            | Observation::CaughtUp
            | Observation::Failed { .. }
            | Observation::Limited { .. } => {}
        }
    }

    fn looked_at_all(&mut self, target: &TargetId, topology: &Topology, now: Moment) {
        for output in &topology.outputs {
            let key = PaneKey::new(target, output.pane);
            let row = self.follower.pane(&key).filter(|row| row.boot == topology.server.boot);
            let facts = topology.panes.iter().find(|facts| facts.pane == output.pane);
            let (shown, began) = (row.map(|it| it.state.state), facts.and_then(started));
            self.model.unheard(&key, output, shown, began, now);
        }
        self.model.listen(target, now);
        for facts in &topology.panes {
            self.model.see(&PaneKey::new(target, facts.pane), now);
        }
    }

    /// The runtime of a pane in which just this agent runs.
    fn life_of(&self, key: &PaneKey, agent: &ProcessIdentity) -> Option<RuntimeId> {
        let row = self.follower.pane(key)?;
        let same = row.facts.agent.as_ref()?.process.same_process(agent);
        row.runtime.as_ref().filter(|_| same).map(|it| it.runtime.clone())
    }

    /// What a look says of its target's health.
    fn count(&mut self, target: &TargetId, sight: &Observation) {
        match sight {
            Observation::Topology(topology) if !self.takes(target, &topology.server, false) => {}
            Observation::Topology(_) | Observation::NoServer => {
                self.seen_whole.insert(target.clone());
                self.looked_at.insert(target.clone());
            }
            Observation::Failed { .. } => {
                self.seen_whole.remove(target);
            }
            Observation::Panes { .. }
            | Observation::Unchanged
            | Observation::Printed { .. }
            | Observation::Read { .. }
            | Observation::ProcessEnded { .. }
            | Observation::Answered
            | Observation::Behind
            | Observation::CaughtUp
            | Observation::Limited { .. } => {}
        }
    }

    /// Whether a look at `server` counts for `target`: another target may have it already, and a
    /// partial look must be at the server that is known.
    fn takes(&self, target: &TargetId, server: &ServerFacts, partial: bool) -> bool {
        let boot = |id: &TargetId| {
            self.follower.target(id).and_then(|row| row.server.as_ref()).map(|it| &it.boot)
        };
        let mut others = self.follower.targets().filter(|row| row.target != *target);
        let foreign = others.any(|row| boot(&row.target) == Some(&server.boot));
        let known = boot(target) == Some(&server.boot);
        self.follower.target(target).is_some() && !foreign && (known || !partial)
    }

    /// Takes rows of the journal, in the order they were written.
    pub(crate) fn take(&mut self, changes: &[Arc<Change>], now: Moment) -> Checked {
        for change in changes {
            if change.seq != self.last_seq + 1 {
                return violated("I1", format!("row {} follows row {}", change.seq, self.last_seq));
            }
            self.last_seq = change.seq;
            self.take_event(&change.event, now)?;
            self.follower.apply(&change.event);
        }
        Ok(())
    }

    fn take_event(&mut self, event: &Event, now: Moment) -> Checked {
        match event {
            Event::PaneChanged { row, causes } => self.take_pane(row, causes, now),
            Event::PaneRemoved { key, ended, .. } => {
                self.take_removal(key, ended.as_ref().map(|it| &it.0))
            }
            Event::ActivitySeen { target, panes } => {
                for (pane, at) in panes {
                    self.model.stored_activity(&PaneKey::new(target, *pane), at.wall, now);
                }
                Ok(())
            }
            Event::EventRecorded(row) => self.take_record(row, now),
            Event::EventPended(row) => {
                let event = row.signal.event_id.clone();
                self.model.pend(&event, now);
                let again =
                    self.recorded.contains_key(&event) || !self.pended.insert(event.clone());
                if again || self.inbox.insert(row.inbox.clone(), (event, Wait::Waiting)).is_some() {
                    return violated("I2", format!("{} waits a second time", row.signal.event_id));
                }
                Ok(())
            }
            Event::EventBound { inbox, .. } => {
                // What waited is heard after the look that found its runtime.
                self.model.step();
                self.settle(inbox, Wait::Bound)
            }
            Event::EventDropped { inbox, .. } => self.settle(inbox, Wait::Dropped),
            Event::TargetRemoved { target, .. } => {
                self.seen_whole.remove(target);
                self.looked_at.remove(target);
                self.model.leave(target);
                match self.follower.panes().find(|row| row.key.target == *target) {
                    Some(row) => violated("I6", format!("{:?} outlived its target", row.key)),
                    None => Ok(()),
                }
            }
            Event::TargetChanged(row) => self.take_target(row),
            Event::ActionChanged(row) => self.deeds.take(row, &self.follower),
            Event::ApprovalChanged(row) => self.deeds.take_approval(row),
            Event::SessionChanged(_)
            | Event::SessionRemoved { .. }
            | Event::AdapterChanged(_)
            | Event::TokenChanged(_)
            | Event::AccessDenied(_) => Ok(()),
        }
    }

    /// Health comes back only with a look at everything since the last failure.
    fn take_target(&mut self, row: &TargetRow) -> Checked {
        let before = self.follower.target(&row.target).map(|it| it.health);
        if row.is_unseen() {
            self.seen_whole.remove(&row.target);
        }
        let recovers = row.health == Health::Ok && before.is_some_and(|it| it != Health::Ok);
        if recovers && !self.seen_whole.remove(&row.target) {
            return violated("I9", format!("{} recovers and was not seen whole", row.name));
        }
        Ok(())
    }

    /// Nothing is said of a target elsewhere before somebody has looked, and something as soon as that
    /// is done.
    pub(crate) fn check_unseen(&self) -> Checked {
        for row in self.follower.targets() {
            if row.is_unseen() && self.seen_whole.contains(&row.target) {
                return violated("I9", format!("{} was seen and is told as unseen", row.name));
            }
            let elsewhere = row.kind != TargetKind::Local;
            if elsewhere && row.health == Health::Ok && !self.looked_at.contains(&row.target) {
                return violated("I9", format!("{} is ok and was not looked at", row.name));
            }
        }
        Ok(())
    }

    fn settle(&mut self, inbox: &InboxId, fate: Wait) -> Checked {
        match self.inbox.get_mut(inbox) {
            Some((_, wait @ Wait::Waiting)) => {
                *wait = fate;
                Ok(())
            }
            other => violated("I2", format!("{inbox} is settled as {fate:?} and was {other:?}")),
        }
    }

    fn take_record(&mut self, row: &EventRow, now: Moment) -> Checked {
        let signal = &row.signal;
        if self.recorded.insert(signal.event_id.clone(), row.runtime.clone()).is_some() {
            return violated("I2", format!("{} is recorded a second time", signal.event_id));
        }
        // Of an action that ended it is told also where its runtime did before.
        if row.is_record() {
            return Ok(());
        }
        self.deeds.hear(row);
        let Some(Life::Active(key)) = self.lives.get(&row.runtime).cloned() else {
            return violated(
                "I8",
                format!("{} is recorded for a dead {}", signal.event_id, row.runtime),
            );
        };
        self.check_binding(signal, &key)?;
        if signal.event_type.ends_with("-read") && !self.model.was_read(row) {
            return violated("I9", format!("nobody read what {} says", signal.event_id));
        }
        if signal.event_type == synthetic::STALE_DETECTED && !self.model.may_retire(&key, row, now)
        {
            let pane = self.follower.pane(&key).map(|pane| self.model.describe(pane, now));
            return violated(
                "I9",
                format!("fresh evidence is retired: {:?} of {pane:?}", row.retires),
            );
        }
        let found = self.follower.pane(&key).and_then(|pane| pane.facts.agent.as_ref());
        self.model.hear(row, found.map(|it| &it.agent), now);
        Ok(())
    }

    /// An event is filed only under a life that fits all that it said of itself.
    fn check_binding(&self, signal: &Signal, key: &PaneKey) -> Checked {
        let runtime = self.follower.pane(key).and_then(|row| row.runtime.as_ref());
        let Some(runtime) = runtime else {
            return violated("I8", format!("{key:?} holds no life"));
        };
        let fits = match &signal.about {
            About::Runtime(about) => *about == runtime.runtime,
            About::Pane(about) if !signal.hints.ancestors.is_empty() => {
                self.is_nearest(&about.target, key, &signal.hints.ancestors)
            }
            About::Pane(about) => {
                let pid = signal.hints.pid.is_none_or(|pid| pid == runtime.pid);
                let near = |start: WallMs| {
                    (start.0 - runtime.started_at.0).abs() <= self.settings.bind_window_ms
                };
                about == key && pid && signal.hints.start.is_none_or(near)
            }
        };
        if fits {
            Ok(())
        } else {
            violated(
                "I8",
                format!("{} was bound to a life it is not about: {runtime:?}", signal.event_id),
            )
        }
    }

    /// Whether no pane of the target stands nearer above the process that reported.
    fn is_nearest(&self, target: &TargetId, key: &PaneKey, ancestors: &[u32]) -> bool {
        let distance = |row: &PaneRow| {
            let pids = [row.runtime.as_ref().map(|it| it.pid), Some(row.facts.process.pid)];
            ancestors.iter().position(|pid| pids.contains(&Some(*pid)))
        };
        let panes = self.follower.panes().filter(|row| row.key.target == *target);
        let nearest = panes.filter_map(distance).min();
        let own = self.follower.pane(key).and_then(distance);
        key.target == *target && own.is_some() && own == nearest
    }

    fn take_pane(&mut self, row: &PaneRow, causes: &[Cause], now: Moment) -> Checked {
        self.check_last_known(row, causes, now)?;
        let before = self.follower.pane(&row.key);
        let old_version = before.is_some_and(|before| {
            let shown =
                |row: &PaneRow| (row.state.state, row.state.reason.clone(), row.state.source);
            shown(before) != shown(row) && row.state.version <= before.state.version
        });
        let other_process = before.is_some_and(|before| {
            let goes_on = before.runtime.is_some() && before.runtime == row.runtime;
            goes_on && !before.facts.process.same_process(&row.facts.process)
        });
        let mut living = before.and_then(|it| it.runtime.as_ref()).map(|it| it.runtime.clone());
        for cause in causes {
            match cause {
                Cause::RuntimeEnded { runtime, .. } => {
                    if living.take().as_ref() != Some(runtime) {
                        return violated("I8", format!("{runtime} ended and did not live"));
                    }
                    self.end(runtime)?;
                }
                Cause::RuntimeStarted { runtime } => {
                    if let Some(other) = living.replace(runtime.clone()) {
                        return violated("I8", format!("{runtime} begins while {other} lives"));
                    }
                    self.begin(row, runtime)?;
                }
                Cause::Recognised { agent } => {
                    let found = row.facts.agent.is_some();
                    living.iter().filter(|_| found).for_each(|it| self.model.find(it, agent));
                }
                Cause::Appeared | Cause::Changed | Cause::StateChanged { .. } => {}
            }
        }
        if row.runtime.as_ref().map(|it| &it.runtime) != living.as_ref() {
            return violated("I8", format!("{:?} changed its runtime without a word", row.key));
        }
        if other_process {
            return violated("I8", format!("{:?} holds another process of the same life", row.key));
        }
        if old_version {
            return violated("I9", format!("{:?} has another state of an old version", row.key));
        }
        let begins = causes.iter().any(|it| matches!(it, Cause::RuntimeStarted { .. }));
        self.model.stored(row, causes.contains(&Cause::Appeared), begins, now);
        if self.in_doubt {
            self.model.stored_in_doubt(row, now);
        }
        Ok(())
    }

    /// A state that is given up is remembered as of the moment that last spoke for it.
    fn check_last_known(&self, row: &PaneRow, causes: &[Cause], now: Moment) -> Checked {
        let defined = |row: &&PaneRow| row.state.state != State::Unknown;
        let Some(before) = self.follower.pane(&row.key).filter(defined) else { return Ok(()) };
        let begins =
            |cause: &Cause| matches!(cause, Cause::RuntimeStarted { .. } | Cause::Appeared);
        if defined(&row) || causes.iter().any(begins) {
            return Ok(());
        }
        let expected = self.model.was_confirmed(before).map(|at| at.min(WallMs(now.wall_ms)));
        let last = row.state.last_known.as_ref();
        let right = |at: WallMs| self.in_doubt || Some(at) == expected;
        if last.is_some_and(|it| right(it.at) && it.state == before.state.state) {
            return Ok(());
        }
        let pane = self.model.describe(before, now);
        violated("I9", format!("{:?} was known until {expected:?}, told {last:?}; {pane}", row.key))
    }

    fn take_removal(&mut self, key: &PaneKey, ended: Option<&RuntimeId>) -> Checked {
        let Some(row) = self.follower.pane(key) else {
            return violated("I6", format!("{key:?} is removed and was not there"));
        };
        if row.runtime.as_ref().map(|it| &it.runtime) != ended {
            return violated("I8", format!("{key:?} is removed without the end of its life"));
        }
        self.model.gone(key);
        ended.map_or(Ok(()), |runtime| self.end(runtime))
    }

    fn begin(&mut self, row: &PaneRow, runtime: &RuntimeId) -> Checked {
        if self.lives.insert(runtime.clone(), Life::Active(row.key.clone())).is_some() {
            return violated("I8", format!("{runtime} came back"));
        }
        let epoch = row.runtime.as_ref().map_or(0, |it| it.epoch);
        let last = self.epochs.entry((row.key.clone(), row.boot.clone())).or_default();
        if epoch <= *last {
            return violated("I8", format!("epoch {epoch} of {:?} follows {last}", row.key));
        }
        *last = epoch;
        Ok(())
    }

    fn end(&mut self, runtime: &RuntimeId) -> Checked {
        self.model.forget_runtime(runtime);
        match self.lives.remove(runtime) {
            Some(Life::Active(key)) => {
                self.lives.insert(runtime.clone(), Life::Ended(key));
                Ok(())
            }
            other => violated("I8", format!("{runtime} ended and was {other:?}")),
        }
    }

    /// The store forgot what is old. Of panes that are nowhere it may have forgotten every life, and
    /// should one be found again, because its target was removed for weeks and came back, it counts
    /// anew.
    pub(crate) fn forgot_what_is_old(&mut self) {
        let there: BTreeSet<_> =
            self.follower.panes().map(|row| (row.key.clone(), row.boot.clone())).collect();
        self.epochs.retain(|pane, _| there.contains(pane));
        let panes: BTreeSet<_> = there.iter().map(|(key, _)| key).collect();
        self.lives.retain(|_, life| match life {
            Life::Active(_) => true,
            Life::Ended(key) => panes.contains(key),
        });
    }

    /// Whether the journal tells of an event.
    pub(crate) fn has_taken(&self, event: &EventId) -> bool {
        self.recorded.contains_key(event) || self.pended.contains(event)
    }

    /// What the sender of an event was told, against what the journal says.
    pub(crate) fn answered(&mut self, signal: &Signal, result: &Result<Reply, Refusal>) -> Checked {
        let event = &signal.event_id;
        let kept = self.has_taken(event);
        match result {
            Ok(Reply::Accepted(Acceptance::Bound { event: named, runtime, .. })) => {
                self.acknowledged.insert(event.clone());
                if named == event && self.recorded.get(event) == Some(runtime) {
                    return Ok(());
                }
                violated("I2", format!("{event} is acknowledged for {runtime} and not there"))
            }
            Ok(Reply::Accepted(Acceptance::Pending { inbox, .. })) => {
                self.acknowledged.insert(event.clone());
                if self.inbox.get(inbox).is_some_and(|(waits, _)| waits == event) {
                    return Ok(());
                }
                violated("I2", format!("{event} is acknowledged as waiting and does not"))
            }
            Ok(Reply::Accepted(Acceptance::Duplicate { event: earlier, .. })) => {
                if self.recorded.contains_key(earlier) || self.pended.contains(earlier) {
                    return Ok(());
                }
                violated("I2", format!("{event} repeats {earlier}, which nobody knows"))
            }
            Ok(Reply::Accepted(Acceptance::Void)) if signal.expects_version.is_some() => Ok(()),
            Ok(
                Reply::Accepted(Acceptance::Void)
                | Reply::Done
                | Reply::Target(_)
                | Reply::Action(_),
            ) => violated("I2", format!("{event} was answered by {result:?}")),
            Err(Refusal::EventIdConflict(_) | Refusal::DedupeConflict(_)) => Ok(()),
            Err(refusal) if kept && !self.acknowledged.contains(event) => {
                violated("I2", format!("{event} is refused ({refusal}) and kept"))
            }
            Err(_) => Ok(()),
        }
    }

    /// Every acknowledged event is in the journal. They are checked as they come, so this only
    /// fails if something was taken out again.
    pub(crate) fn acknowledged_are_kept(&self) -> Checked {
        let lost =
            |event: &&EventId| !self.recorded.contains_key(*event) && !self.pended.contains(*event);
        match self.acknowledged.iter().find(lost) {
            Some(event) => violated("I2", format!("{event} was acknowledged and is lost")),
            None => Ok(()),
        }
    }

    /// The engine was read back from what is stored, and the daemon lives on.
    pub(crate) fn read_back(&mut self, trail: &Trail, now: Now, moment: Moment) {
        // It is the same daemon, and what it looked at it has looked at.
        let looked_at = std::mem::take(&mut self.looked_at);
        self.restart(trail, now, moment);
        self.looked_at = looked_at;
        self.read_back = self.follower.targets().map(|row| row.target.clone()).collect();
    }

    /// The daemon ended and left a trail, and one starts at `now` from what is stored, which is
    /// given back.
    pub(crate) fn restart(&mut self, trail: &Trail, now: Now, moment: Moment) -> Tables {
        let stored = stored(self.follower.tables());
        self.follower = Engine::restore(self.settings, stored.clone(), now);
        self.looked_at.clear();
        // Of a target that was removed since a trail says nothing to anybody.
        let mut trail = trail.clone();
        trail.targets.retain(|target, _| self.follower.target(target).is_some());
        self.model.restart(&stored.panes, &trail, moment);
        stored
    }

    /// A trail says no more of a target than the looks that there were.
    pub(crate) fn check_trail(&self, trail: &Trail) -> Checked {
        let differs = |(target, track): &(&TargetId, &Track)| {
            let seen = self.model.seen_whole(target);
            seen.is_some() && track.seen > seen
        };
        match trail.targets.iter().find(differs) {
            Some((target, track)) => {
                let seen = self.model.seen_whole(target);
                violated("I6", format!("{target} was seen at {seen:?}, left is {track:?}"))
            }
            None => Ok(()),
        }
    }

    /// A checksum of all that the journal came to.
    pub(crate) fn digest(&self) -> u64 {
        let tables = serde_json::to_string(&self.follower.tables()).unwrap_or_default();
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        tables.bytes().fold(0xcbf2_9ce4_8422_2325 ^ self.last_seq, mix)
    }

    /// Whether the engine is what the journal makes of it, apart from what is never journalled.
    pub(crate) fn check_fold(&self, engine: &Engine) -> Checked {
        if let Err(problem) = engine.check() {
            return violated("I8", problem);
        }
        let (held, folded) = (durable(engine.tables()), durable(self.follower.tables()));
        let difference = differing("targets", &held.targets, &folded.targets)
            .or_else(|| differing("sessions", &held.sessions, &folded.sessions))
            .or_else(|| differing_panes(&held.panes, &folded.panes))
            .or_else(|| differing("evidence", &held.evidence, &folded.evidence))
            .or_else(|| differing("inbox", &held.inbox, &folded.inbox))
            .or_else(|| differing("actions", &held.actions, &folded.actions))
            .or_else(|| differing("approvals", &held.approvals, &folded.approvals));
        match difference {
            Some(difference) => violated("I6", difference),
            None => Ok(()),
        }
    }

    /// Whether every state is the one that the evidence demands. Only where nothing is due: a
    /// state that expired a moment ago may be shown until the next tick.
    pub(crate) fn check_states(&self, engine: &Engine, now: Now, moment: Moment) -> Checked {
        if engine.next_deadline().is_some_and(|due| due.at <= now.mono) {
            return Ok(());
        }
        for row in engine.panes() {
            let health = engine.target(&row.key.target).map_or(Health::Down, |it| it.health);
            let expected = self.model.expects(row, health, moment);
            let read_back = self.read_back.contains(&row.key.target);
            let given_up = read_back && row.state.state == State::Unknown;
            if !given_up && !expected.is_shown_by(row) {
                let evidence = self.model.describe(row, moment);
                let detail = format!(
                    "{:?} shows {:?}, expected {expected:?}; {evidence}",
                    row.key, row.state
                );
                return violated("I9", detail);
            }
        }
        Ok(())
    }
}

/// The rows as they come back from a store: moments lose their place on the old clock.
fn stored(mut tables: Tables) -> Tables {
    let unplaced = |stamp: &mut Stamp| *stamp = Stamp::stored(stamp.wall);
    for row in &mut tables.panes {
        unplaced(&mut row.last_seen);
        row.last_activity.iter_mut().for_each(unplaced);
        unplaced(&mut row.state.since);
    }
    for (_, evidence) in &mut tables.evidence {
        for voice in evidence.voices.values_mut() {
            voice.moments_mut().for_each(unplaced);
        }
    }
    tables.inbox.iter_mut().for_each(|row| unplaced(&mut row.ingested_at));
    acting_moments(&mut tables).for_each(unplaced);
    tables
}

/// The rows without what is volatile: what was last seen and printed, and on which clock.
fn durable(mut tables: Tables) -> Tables {
    for row in &mut tables.targets {
        row.last_seen_at = None;
    }
    for row in &mut tables.panes {
        row.last_seen = Stamp::stored(WallMs(0));
        row.last_activity = None;
        row.state.since.mono = MonoMs(0);
    }
    for (_, evidence) in &mut tables.evidence {
        for voice in evidence.voices.values_mut() {
            voice.moments_mut().for_each(|at| at.mono = MonoMs(0));
        }
    }
    for row in &mut tables.inbox {
        row.ingested_at.mono = MonoMs(0);
        row.signal.payload = None;
    }
    acting_moments(&mut tables).for_each(|at| at.mono = MonoMs(0));
    tables
}

/// The moments in the rows of actions and approvals.
fn acting_moments(tables: &mut Tables) -> impl Iterator<Item = &mut Stamp> {
    let actions = tables.actions.iter_mut().flat_map(|row| {
        let held = row.held.as_mut().map(|held| &mut held.since);
        std::iter::once(&mut row.requested).chain(held)
    });
    actions.chain(tables.approvals.iter_mut().map(|row| &mut row.opened))
}

fn differing<T: PartialEq + std::fmt::Debug>(
    what: &str,
    held: &[T],
    folded: &[T],
) -> Option<String> {
    if held.len() != folded.len() {
        return Some(format!("{} {what} are held, {} are not", held.len(), folded.len()));
    }
    let mut pairs = held.iter().zip(folded);
    let (held, folded) = pairs.find(|(held, folded)| held != folded)?;
    Some(format!("{what}: {}", contrast(&format!("{held:?}"), &format!("{folded:?}"))))
}

/// The first thing in which two sets of rows differ.
pub(crate) fn difference(held: &Tables, other: &Tables) -> Option<String> {
    differing("targets", &held.targets, &other.targets)
        .or_else(|| differing("sessions", &held.sessions, &other.sessions))
        .or_else(|| differing("panes", &held.panes, &other.panes))
        .or_else(|| differing("evidence", &held.evidence, &other.evidence))
        .or_else(|| differing("inbox", &held.inbox, &other.inbox))
        .or_else(|| differing("actions", &held.actions, &other.actions))
        .or_else(|| differing("approvals", &held.approvals, &other.approvals))
}

/// Where two long texts begin to differ.
pub(crate) fn contrast(one: &str, other: &str) -> String {
    const AROUND: usize = 160;
    let same = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    let cut = |text: &str| {
        let bytes = &text.as_bytes()[same.saturating_sub(AROUND)..text.len().min(same + AROUND)];
        String::from_utf8_lossy(bytes).into_owned()
    };
    let whose = String::from_utf8_lossy(&one.as_bytes()[..one.len().min(AROUND)]);
    format!("{whose} ...\n   {}\nis not\n   {}", cut(one), cut(other))
}

/// A caption that changes often is journalled seldom.
fn differing_panes(held: &[PaneRow], folded: &[PaneRow]) -> Option<String> {
    let settled: Vec<PaneRow> = held
        .iter()
        .zip(folded)
        .map(|(held, folded)| {
            let mut row = held.clone();
            if row.facts.differing_caption(&folded.facts).is_some() {
                row.facts = folded.facts.clone();
            }
            row
        })
        .collect();
    if held.len() != folded.len() {
        return differing("panes", held, folded);
    }
    differing("panes", &settled, folded)
}
