//! What a look at a target means: panes that came, changed, were replaced or went; a server that
//! is another one now; a target that answers or does not.
//!
//! Speed and truth take the same path: a notification, a dead process or a full scan all end in
//! the same comparison of facts with what is remembered.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::{Engine, TargetMemory};
use crate::event::{Event, SessionRow};
use crate::ids::{AgentType, PaneId, PaneKey, RuntimeSeed, TargetId};
use crate::input::{Decision, Effect, Note, Observation, Seen, Topology};
use crate::limits;
use crate::pane::{Cause, PaneFacts, PaneRow, ProcessIdentity, Runtime};
use crate::past::Past;
use crate::state::{Evidence, Sight, StateRow};
use crate::target::{Beat, ServerFacts, TargetRow, Trouble};
use crate::time::{Now, Stamp, WallMs};
use crate::words::{Confidence, EndReason, Health, State, reason};

/// What one look at a target has to do with: gathered once, passed to each step.
struct Look<'a> {
    now: Now,
    target: &'a TargetId,
    health: Health,
    past: &'a dyn Past,
}

impl Engine {
    pub(crate) fn observe(
        &self,
        now: Now,
        target: &TargetId,
        sight: &Observation,
        past: &dyn Past,
    ) -> Decision {
        let mut decision = Decision::default();
        let Some(memory) = self.targets.get(target) else { return decision };
        // What was on its way when somebody disconnected it.
        if memory.row.is_disconnected() {
            return decision;
        }
        if let Some(topology) = self.foreign(target, sight) {
            return self.refuse_server(now, memory, topology);
        }
        let (health, trouble) = self.beat(now, memory, sight, &mut decision);
        let look = Look { now, target, health, past };
        match sight {
            Observation::Topology(topology) => self.see_all(&look, topology, &mut decision),
            Observation::Panes { server, panes } => {
                self.see_some(&look, memory, server, panes, &mut decision);
            }
            Observation::Unchanged => {
                decision.notes.push(Note::Seen { target: target.clone(), panes: Seen::All });
                self.resettle(&look, &mut decision);
            }
            Observation::ProcessEnded { pane, process } => {
                self.see_end(&look, *pane, process, &mut decision);
            }
            Observation::Printed { panes } => self.see_output(&look, panes, &mut decision),
            Observation::Read { pane, agent, readings } => {
                let key = PaneKey::new(target, *pane);
                self.read(now, &key, agent, readings, &mut decision);
            }
            Observation::NoServer => self.see_nothing(&look, &mut decision),
            Observation::Answered
            | Observation::Behind
            | Observation::CaughtUp
            | Observation::Failed { .. }
            | Observation::Limited { .. } => {}
        }
        self.change_target(&look, memory, sight, trouble, &mut decision);
        decision
    }

    /// A look that shows a server which another target shows already.
    fn foreign<'a>(&self, target: &TargetId, sight: &'a Observation) -> Option<&'a ServerFacts> {
        let server = match sight {
            Observation::Topology(topology) => &topology.server,
            Observation::Panes { server, .. } => server,
            Observation::Unchanged
            | Observation::ProcessEnded { .. }
            | Observation::Printed { .. }
            | Observation::Read { .. }
            | Observation::NoServer
            | Observation::Answered
            | Observation::Behind
            | Observation::CaughtUp
            | Observation::Failed { .. }
            | Observation::Limited { .. } => return None,
        };
        self.owner_of(server, target).map(|_| server)
    }

    fn owner_of(&self, server: &ServerFacts, except: &TargetId) -> Option<&TargetRow> {
        let owns = |row: &&TargetRow| {
            row.target != *except && row.server.as_ref().is_some_and(|it| it.boot == server.boot)
        };
        self.targets().find(owns)
    }

    /// Two names for one server would list every pane twice: the later one stays down.
    fn refuse_server(&self, now: Now, memory: &TargetMemory, server: &ServerFacts) -> Decision {
        let mut decision = Decision::default();
        let owner = self.owner_of(server, &memory.row.target).map_or("", |row| row.name.as_str());
        let trouble = Trouble {
            code: "E_TARGET_DUPLICATE_SERVER".to_owned(),
            message: format!("this is the tmux server that target `{owner}` shows already"),
        };
        let beat = Beat::Failed { weight: 1 };
        decision.notes.push(Note::Beat { target: memory.row.target.clone(), beat });
        if memory.row.trouble.as_ref() != Some(&trouble) || memory.row.health != Health::Down {
            let mut row = memory.row.clone();
            row.health = Health::Down;
            row.trouble = Some(trouble);
            row.updated_at = now.wall;
            decision.events.push(Event::TargetChanged(row));
        }
        decision
    }

    /// Counts the look for the target's health; returns the health and the trouble it leaves.
    fn beat(
        &self,
        now: Now,
        memory: &TargetMemory,
        sight: &Observation,
        decision: &mut Decision,
    ) -> (Health, Option<Trouble>) {
        let standing = memory.row.trouble.clone();
        let (beat, trouble) = match sight {
            Observation::Topology(_) | Observation::NoServer => (Beat::Topology, standing),
            Observation::Panes { .. } | Observation::Unchanged | Observation::Answered => {
                (Beat::Answered, standing)
            }
            Observation::Failed { trouble, weight } => {
                (Beat::Failed { weight: *weight }, Some(trouble.clone()))
            }
            Observation::Behind => (Beat::Behind, standing),
            Observation::CaughtUp => (Beat::CaughtUp, standing),
            // That nothing is limited does not say why a target fails.
            Observation::Limited { trouble } if memory.row.is_unseen() => {
                let (target, trouble) = (memory.row.target.clone(), trouble.clone());
                decision.notes.push(Note::Limited { target, trouble });
                return (memory.row.health, standing);
            }
            Observation::Limited { trouble } => {
                let fails = standing.filter(|_| memory.row.health != Health::Ok);
                return (memory.row.health, trouble.clone().or(fails));
            }
            // Neither comes from the target's own answer.
            Observation::ProcessEnded { .. }
            | Observation::Printed { .. }
            | Observation::Read { .. } => {
                return (memory.row.health, standing);
            }
        };
        let before = memory.row.health;
        let health = memory.pulse.clone().beat_of(&memory.row, beat, now, &self.settings);
        decision.notes.push(Note::Beat { target: memory.row.target.clone(), beat });
        let recovered = health == Health::Ok && before != Health::Ok;
        let limit = || memory.limit.clone().filter(|_| memory.row.is_unseen());
        (health, if recovered { limit() } else { trouble })
    }

    /// Writes the target's row when the look changed it, and what its health means for its panes.
    fn change_target(
        &self,
        look: &Look<'_>,
        memory: &TargetMemory,
        sight: &Observation,
        trouble: Option<Trouble>,
        decision: &mut Decision,
    ) {
        let mut row = memory.row.clone();
        row.health = look.health;
        row.trouble = trouble;
        match sight {
            Observation::Topology(topology) => row.server = Some(topology.server.clone()),
            Observation::NoServer => row.server = None,
            Observation::Panes { .. }
            | Observation::Unchanged
            | Observation::ProcessEnded { .. }
            | Observation::Printed { .. }
            | Observation::Read { .. }
            | Observation::Answered
            | Observation::Behind
            | Observation::CaughtUp
            | Observation::Failed { .. }
            | Observation::Limited { .. } => {}
        }
        if row == memory.row {
            return;
        }
        row.updated_at = look.now.wall;
        if look.health != Health::Down && look.health != memory.row.health {
            row.last_seen_at = Some(look.now.wall);
        }
        let resettle = row.health != memory.row.health;
        decision.events.push(Event::TargetChanged(row));
        if resettle {
            self.resettle(look, decision);
        }
    }

    /// What it means for the panes of a target that nothing is learnt of them any more.
    pub(crate) fn lose(
        &self,
        now: Now,
        target: &TargetId,
        past: &dyn Past,
        decision: &mut Decision,
    ) {
        let look = Look { now, target, health: Health::Down, past };
        self.resettle(&look, decision);
    }

    /// Concludes every state of a target anew, for panes that this decision has not touched.
    fn resettle(&self, look: &Look<'_>, decision: &mut Decision) {
        let touched: BTreeSet<PaneKey> =
            decision.events.iter().filter_map(Event::pane).cloned().collect();
        let confirmed = |pane: PaneId| {
            decision.notes.iter().any(|note| match note {
                Note::Seen { panes: Seen::All, .. } => true,
                Note::Seen { panes: Seen::Some(panes), .. } => panes.contains(&pane),
                Note::Printed { .. }
                | Note::PrintedUnheard { .. }
                | Note::Caption { .. }
                | Note::Beat { .. }
                | Note::Held { .. }
                | Note::Limited { .. }
                | Note::Ticked
                | Note::BurstOver { .. } => false,
            })
        };
        let untouched = self.panes_of(look.target).filter(|it| !touched.contains(&it.row.key));
        let resettled = untouched.filter_map(|memory| {
            let mut sight = Sight::of(&memory.row);
            if confirmed(memory.row.key.pane) {
                sight.last_seen = look.now.stamp();
            }
            self.resettled(look, &memory.row, sight)
        });
        let resettled: Vec<Event> = resettled.collect();
        decision.events.extend(resettled);
    }

    /// The pane's change, if what is known of it now makes its state another one.
    fn resettled(&self, look: &Look<'_>, before: &PaneRow, sight: Sight) -> Option<Event> {
        if self.is_settled(before, sight, look.health, look.now) {
            return None;
        }
        let Sight { last_seen, last_activity } = sight;
        let mut row =
            PaneRow { last_seen, last_activity, updated_at: look.now.wall, ..before.clone() };
        let causes = self.settle(&mut row, &self.evidence_of(before), look.health, look.now);
        let causes = causes.into_iter().collect();
        Some(Event::PaneChanged { row: Box::new(row), causes })
    }

    fn see_all(&self, look: &Look<'_>, topology: &Topology, decision: &mut Decision) {
        let boot = &topology.server.boot;
        let listed: BTreeSet<PaneId> = topology.panes.iter().map(|facts| facts.pane).collect();
        for memory in self.panes_of(look.target) {
            let reason = match &memory.row.boot {
                old if old != boot => EndReason::ServerGone,
                _ if !listed.contains(&memory.row.key.pane) => EndReason::PaneGone,
                _ => continue,
            };
            decision.events.push(removed(&memory.row, reason));
        }
        self.see_sessions(look, &topology.sessions, decision);
        let unheard = self.unheard(look, topology);
        for facts in topology.panes.iter().take(limits::PANES_PER_TARGET_MAX) {
            let printed = unheard.get(&facts.pane).copied();
            self.see_pane(look, &topology.server, facts, printed, decision);
        }
        if !unheard.is_empty() {
            let (target, panes) = (look.target.clone(), unheard.into_iter().collect());
            decision.notes.push(Note::PrintedUnheard { target, panes });
        }
        decision.notes.push(Note::Seen { target: look.target.clone(), panes: Seen::All });
        decision.then = self.offers(look.target, Some(topology.began));
    }

    fn see_some(
        &self,
        look: &Look<'_>,
        memory: &TargetMemory,
        server: &ServerFacts,
        panes: &[PaneFacts],
        decision: &mut Decision,
    ) {
        if memory.row.server.as_ref().map(|known| &known.boot) != Some(&server.boot) {
            decision.effects.push(Effect::Rescan(look.target.clone()));
            return;
        }
        for facts in panes {
            self.see_pane(look, server, facts, None, decision);
        }
        let seen = Seen::Some(panes.iter().map(|facts| facts.pane).collect());
        decision.notes.push(Note::Seen { target: look.target.clone(), panes: seen });
        decision.then = self.offers(look.target, None);
    }

    /// When panes last printed, where nobody listened: after the look before this one, and in
    /// another second than what was heard.
    ///
    /// Where it cannot be told exactly when, a pane is taken to have printed as late as it may
    /// have, because that makes what was said of it doubtful. Only for work that goes on it is the
    /// other way round, and what was assumed of it since the last output is taken back.
    fn unheard(&self, look: &Look<'_>, topology: &Topology) -> BTreeMap<PaneId, Stamp> {
        let heard_until = self.targets.get(look.target).and_then(TargetMemory::heard_until);
        let at = |wall| look.now.earlier(wall, i64::MAX);
        let began = |facts: &PaneFacts| Some((facts.pane, began(look.now, facts)?));
        let began: BTreeMap<PaneId, Stamp> = topology.panes.iter().filter_map(began).collect();
        let unheard = topology.outputs.iter().filter_map(|output| {
            let known = self.panes.get(&PaneKey::new(look.target, output.pane));
            let known = known.filter(|memory| memory.row.boot == topology.server.boot);
            let last = known.and_then(|memory| memory.row.last_activity);
            if known.is_some_and(|memory| memory.row.state.state == State::Running) {
                let printed = output.certain.map(at)?;
                let heard = last.map(|it| at(it.wall));
                return Some((output.pane, heard.map_or(printed, |it| it.max(printed))));
            }
            let printed = at(output.latest);
            // By a clock that was set back since then it is yet to come. Both moments were told
            // before that, so they tell which was first.
            let set_back = output.latest.0.saturating_sub(look.now.wall.0) > limits::OUTPUT_UNIT_MS;
            let precedes = |heard: Stamp, slack_ms: i64| {
                if set_back {
                    output.latest.0.saturating_sub(heard.wall.0) <= slack_ms
                } else {
                    printed.mono.0.saturating_sub(heard.mono.0) <= slack_ms
                }
            };
            let heard = heard_until.is_some_and(|it| precedes(it, 0))
                || last.is_some_and(|it| precedes(it, limits::OUTPUT_UNIT_MS - 1));
            (!heard).then_some((output.pane, printed))
        });
        // What was printed before its process began is of a life that is over.
        let own = |(pane, at): (PaneId, Stamp)| {
            (pane, began.get(&pane).map_or(at, |began| at.max(*began)))
        };
        unheard.map(own).collect()
    }

    fn see_nothing(&self, look: &Look<'_>, decision: &mut Decision) {
        for memory in self.panes_of(look.target) {
            decision.events.push(removed(&memory.row, EndReason::ServerGone));
        }
        self.see_sessions(look, &[], decision);
        decision.notes.push(Note::Seen { target: look.target.clone(), panes: Seen::All });
        decision.then = self.offers(look.target, Some(look.now.mono));
    }

    fn see_sessions(&self, look: &Look<'_>, listed: &[SessionRow], decision: &mut Decision) {
        let listed: BTreeMap<_, _> = listed.iter().map(|row| (row.session, row)).collect();
        for row in self.sessions().filter(|row| row.target == *look.target) {
            if !listed.contains_key(&row.session) {
                let (target, session) = (row.target.clone(), row.session);
                decision.events.push(Event::SessionRemoved { target, session });
            }
        }
        for (session, row) in listed {
            let mut row = row.clone();
            limits::cut(&mut row.name, limits::NAME_BYTES_MAX);
            if self.sessions.get(&(look.target.clone(), session)) != Some(&row) {
                decision.events.push(Event::SessionChanged(row));
            }
        }
    }

    /// Compares one pane with what is remembered of it.
    fn see_pane(
        &self,
        look: &Look<'_>,
        server: &ServerFacts,
        facts: &PaneFacts,
        printed: Option<Stamp>,
        decision: &mut Decision,
    ) {
        let mut facts = facts.clone();
        facts.bound();
        let key = PaneKey::new(look.target, facts.pane);
        let known = self.panes.get(&key).filter(|memory| memory.row.boot == server.boot);
        let Some(memory) = known else {
            decision.events.push(self.appear(look, server, key, facts, printed));
            return;
        };
        let before = &memory.row;
        let mut row = PaneRow { facts, last_seen: look.now.stamp(), ..before.clone() };
        row.last_activity = printed.or(row.last_activity);
        let mut causes = Vec::new();
        let evidence = self.succeed_runtime(look, before, &mut row, printed, &mut causes);
        causes.extend(self.settle(&mut row, &evidence, look.health, look.now));
        if causes.iter().any(|cause| matches!(cause, Cause::RuntimeStarted { .. })) {
            // What another life was doing says nothing about this one.
            row.state.last_known = None;
        }
        if row.facts != before.facts {
            let caption = before.facts.differing_caption(&row.facts);
            let spins = |caption| !memory.captions.allow(caption, look.now);
            if causes.is_empty() && caption.is_some_and(spins) {
                let (target, facts) = (look.target.clone(), Box::new(row.facts));
                decision.notes.push(Note::Caption { target, facts });
                return;
            }
            causes.push(Cause::Changed);
        }
        if !causes.is_empty() {
            row.updated_at = look.now.wall;
            decision.events.push(Event::PaneChanged { row: Box::new(row), causes });
        }
    }

    fn appear(
        &self,
        look: &Look<'_>,
        server: &ServerFacts,
        key: PaneKey,
        facts: PaneFacts,
        printed: Option<Stamp>,
    ) -> Event {
        let mut causes = vec![Cause::Appeared];
        let previous = self.panes.get(&key).map(|memory| &memory.row.state);
        let mut row = PaneRow {
            boot: server.boot.clone(),
            runtime: None,
            state: fresh_state(previous, look.now.stamp()),
            first_seen_at: look.now.wall,
            last_seen: look.now.stamp(),
            last_activity: printed,
            updated_at: look.now.wall,
            key,
            facts,
        };
        if !row.facts.dead {
            let epoch = look.past.last_epoch(&row.key, &row.boot) + 1;
            start(look, &mut row, epoch, printed, &mut causes);
        }
        self.settle(&mut row, &Evidence::default(), look.health, look.now);
        Event::PaneChanged { row: Box::new(row), causes }
    }

    /// Carries the pane's runtime over into `row`, or ends it and begins the next.
    fn succeed_runtime(
        &self,
        look: &Look<'_>,
        before: &PaneRow,
        row: &mut PaneRow,
        printed: Option<Stamp>,
        causes: &mut Vec<Cause>,
    ) -> Evidence {
        let Some(runtime) = &before.runtime else {
            let ended = row.facts.process.same_process(&before.facts.process);
            if !row.facts.dead && !ended {
                let epoch = look.past.last_epoch(&row.key, &row.boot) + 1;
                start(look, row, epoch, printed, causes);
            }
            return Evidence::default();
        };
        if let Some(reason) = succession(before, &row.facts, runtime) {
            row.runtime = None;
            causes.push(Cause::RuntimeEnded { runtime: runtime.runtime.clone(), reason });
            if !row.facts.dead {
                start(look, row, runtime.epoch + 1, printed, causes);
            }
            return Evidence::default();
        }
        let seen = row.facts.agent.as_ref().map(|seen| seen.agent.clone());
        let mut evidence = self.evidence_of(before);
        let news =
            |agent: &AgentType| runtime.agent.as_ref() != Some(agent) || evidence.has_others(agent);
        if let Some(agent) = seen.filter(news) {
            recognise(row, &agent, causes);
            evidence.leave_to(&agent);
        }
        evidence
    }

    fn see_end(
        &self,
        look: &Look<'_>,
        pane: PaneId,
        process: &ProcessIdentity,
        decision: &mut Decision,
    ) {
        let Some(memory) = self.panes.get(&PaneKey::new(look.target, pane)) else { return };
        let mut row = memory.row.clone();
        let Some(runtime) = row.runtime.take() else { return };
        if !row.facts.process.same_process(process) {
            return;
        }
        let reason = EndReason::ProcessExited;
        let mut causes = vec![Cause::RuntimeEnded { runtime: runtime.runtime, reason }];
        causes.extend(self.settle(&mut row, &Evidence::default(), look.health, look.now));
        row.updated_at = look.now.wall;
        decision.events.push(Event::PaneChanged { row: Box::new(row), causes });
    }

    fn see_output(&self, look: &Look<'_>, panes: &[PaneId], decision: &mut Decision) {
        let mut begun = Vec::new();
        let mut resettled = Vec::new();
        for pane in panes {
            let Some(memory) = self.panes.get(&PaneKey::new(look.target, *pane)) else { continue };
            let last_activity = Some(look.now.stamp());
            let sight = Sight { last_activity, ..Sight::of(&memory.row) };
            resettled.extend(self.resettled(look, &memory.row, sight));
            if memory.burst_reported.is_none() {
                begun.push((*pane, look.now.stamp()));
            } else {
                let (target, pane) = (look.target.clone(), *pane);
                decision.notes.push(Note::Printed { target, pane });
            }
        }
        if !begun.is_empty() {
            let target = look.target.clone();
            decision.events.push(Event::ActivitySeen { target, panes: begun });
        }
        decision.events.extend(resettled);
    }
}

/// Why the pane's runtime ended, if the facts say so.
fn succession(before: &PaneRow, facts: &PaneFacts, runtime: &Runtime) -> Option<EndReason> {
    let (old, new) = (&before.facts.process, &facts.process);
    if facts.dead {
        return Some(EndReason::ProcessExited);
    }
    if !old.same_process(new) {
        return Some(EndReason::Respawned);
    }
    let age_ms = before.last_seen.wall.0 - new.started_ns.unwrap_or(0) / 1_000_000;
    if !old.same_program(new) && age_ms > limits::STARTUP_EXEC_MS {
        return Some(EndReason::Exec);
    }
    match (&before.facts.agent, &facts.agent) {
        (Some(was), Some(is)) if !was.process.same_process(&is.process) => {
            Some(EndReason::AgentStarted)
        }
        (Some(_), None) => Some(EndReason::AgentEnded),
        (None, Some(is)) if began_later(is.process.started_ns, runtime.started_at) => {
            Some(EndReason::AgentStarted)
        }
        (Some(_) | None, Some(_)) | (None, None) => None,
    }
}

/// Whether a process began after the runtime it was found in: then it is a life of its own.
fn began_later(started_ns: Option<i64>, runtime_started: WallMs) -> bool {
    started_ns.is_some_and(|ns| ns / 1_000_000 > runtime_started.0 + limits::STARTUP_EXEC_MS)
}

/// Begins a runtime in `row` for the process it holds; `printed` is what this look tells of output that
/// nobody heard.
fn start(
    look: &Look<'_>,
    row: &mut PaneRow,
    epoch: u64,
    printed: Option<Stamp>,
    causes: &mut Vec<Cause>,
) {
    let agent = row.facts.agent.as_ref().map(|seen| seen.agent.clone());
    let process = lives_in(&row.facts);
    let started_ns =
        process.started_ns.unwrap_or_else(|| look.now.wall.0.saturating_mul(1_000_000));
    let seed = RuntimeSeed {
        target: &row.key.target,
        boot: &row.boot,
        pane: row.key.pane,
        epoch,
        agent: agent.as_ref(),
        started_ns: i128::from(started_ns),
    };
    let runtime = seed.runtime_id();
    causes.push(Cause::RuntimeStarted { runtime: runtime.clone() });
    row.runtime = Some(Runtime {
        runtime,
        boot: row.boot.clone(),
        epoch,
        agent,
        pid: process.pid,
        started_at: WallMs(started_ns / 1_000_000),
    });
    row.state.last_known = None;
    row.state.since = look.now.stamp();
    let began = began(look.now, &row.facts);
    // What another life printed is not this one's. What this one printed before anybody listened
    // to its terminal came right after it began, so that is the least that is known. Of a process
    // whose beginning cannot be told, only what this look found may be its own.
    let own = row.last_activity.filter(|at| began.is_some_and(|began| at.mono >= began.mono));
    row.last_activity = own.or(began).or(printed);
}

/// The process whose life is the runtime of a pane.
fn lives_in(facts: &PaneFacts) -> ProcessIdentity {
    facts.agent.as_ref().map_or(facts.process, |seen| seen.process)
}

/// When that process began, where the target lets us see it: never in the future, on neither clock,
/// also where the one that told it was set back since.
fn began(now: Now, facts: &PaneFacts) -> Option<Stamp> {
    let wall = WallMs(lives_in(facts).started_ns? / 1_000_000);
    Some(now.earlier(wall, i64::MAX))
}

/// Labels the running runtime; recognition alone begins nothing.
pub(crate) fn recognise(row: &mut PaneRow, agent: &AgentType, causes: &mut Vec<Cause>) {
    if let Some(runtime) = &mut row.runtime {
        runtime.agent = Some(agent.clone());
        causes.push(Cause::Recognised { agent: agent.clone() });
    }
}

/// The state of a pane that nothing was said about yet. The version goes on counting, so that a
/// number once seen never means another state of the same pane.
fn fresh_state(previous: Option<&StateRow>, now: Stamp) -> StateRow {
    StateRow {
        state: State::Unknown,
        reason: reason::NO_AGENT.to_owned(),
        confidence: Confidence::High,
        version: previous.map_or(1, |row| row.version + 1),
        source: None,
        since: now,
        last_known: None,
    }
}

pub(crate) fn removed(row: &PaneRow, reason: EndReason) -> Event {
    let ended = row.runtime.as_ref().map(|runtime| (runtime.runtime.clone(), reason));
    Event::PaneRemoved { key: row.key.clone(), place: row.facts.place(), ended }
}
