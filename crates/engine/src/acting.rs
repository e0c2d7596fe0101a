//! Deciding on actions: once for each request, on what is true now, one at a time for each pane.
//!
//! An action is stored with what was seen before its effect is released, and is never released
//! again: [`crate::input::Effect::Act`] is carried out at most once, and what is open after a
//! crash is only looked at ([`crate::input::Effect::Settle`]).

use crate::action::{Act, ActRequest, ActionRow, Failure, Guards, Outcome, Snapshot};
use crate::engine::Engine;
use crate::event::Event;
use crate::ids::{ActionId, PaneKey};
use crate::input::{Decision, Effect, Input, Refusal, Reply};
use crate::limits;
use crate::pane::PaneRow;
use crate::past::Past;
use crate::signal::{EventRow, Signal};
use crate::time::{Now, WallMs};
use crate::words::{ActionProblem, Phase, Source, State};

impl Engine {
    /// Actions of which more may become known.
    pub fn actions(&self) -> impl Iterator<Item = &ActionRow> {
        self.actions.values()
    }

    pub fn action(&self, action: &ActionId) -> Option<&ActionRow> {
        self.actions.get(action)
    }

    pub(crate) fn act(&self, now: Now, request: &ActRequest, past: &dyn Past) -> Decision {
        let (kind, request_ref) = (request.act.kind(), request.request_ref.as_str());
        let open = self.actions.values();
        let mut open = open.filter(|row| row.act.kind() == kind && row.request_ref == request_ref);
        let before = open.next().cloned().or_else(|| past.action_by_request(kind, request_ref));
        if let Some(before) = before {
            return repeated(before, request);
        }
        let Some(pane) = self.pane_of(&request.runtime) else {
            return Decision::refuse(if past.runtime_existed(&request.runtime) {
                Refusal::RuntimeStale(request.runtime.clone())
            } else {
                Refusal::RuntimeUnknown(request.runtime.clone())
            });
        };
        let here = || self.actions.values().filter(|row| row.pane == pane.key);
        if self.actions.len() >= limits::OPEN_ACTIONS_MAX
            || here().count() >= limits::OPEN_ACTIONS_PER_PANE_MAX
        {
            return Decision::refuse(Refusal::TooManyActions);
        }
        let mut row = self.row(now, request, pane);
        if let Some((phase, failure)) = self.objection(now, &row, pane) {
            row.phase = phase;
            row.failure = Some(failure);
            row.completed_at = Some(now.wall);
        } else if !row.act.is_exclusive()
            || !self.is_taken(&row.pane) && !here().any(ActionRow::waits)
        {
            return released(row, now);
        }
        told(row, now)
    }

    /// The action with what is seen now.
    fn row(&self, now: Now, request: &ActRequest, pane: &PaneRow) -> ActionRow {
        let agent = pane.facts.agent.as_ref();
        let server = self.target(&pane.key.target).and_then(|target| target.server.as_ref());
        ActionRow {
            action: request.action.clone(),
            request_ref: request.request_ref.clone(),
            fingerprint: request.fingerprint.clone(),
            pane: pane.key.clone(),
            runtime: request.runtime.clone(),
            by: request.by.clone(),
            act: request.act.clone(),
            guards: request.guards.clone(),
            requested: now.stamp(),
            snapshot: Snapshot {
                snapshot: request.snapshot.clone(),
                boot: pane.boot.clone(),
                server_pid: server.map_or(0, |server| server.pid),
                pane_pid: pane.facts.process.pid,
                command: pane.facts.command.clone(),
                process: agent.map_or(pane.facts.process, |agent| agent.process),
                agent: pane.runtime.as_ref().and_then(|runtime| runtime.agent.clone()),
                state: pane.state.state,
                state_version: pane.state.version,
                observed_at: pane.last_seen.wall,
                expires_at: WallMs(now.wall.0.saturating_add(limits::SNAPSHOT_TTL_MS)),
                nonce: request.nonce.clone(),
            },
            phase: Phase::Pending,
            until_s: None,
            completed_at: None,
            failure: None,
            proof: None,
        }
    }

    /// Why an action is not to be done, by what is known now.
    fn objection(&self, now: Now, row: &ActionRow, pane: &PaneRow) -> Option<(Phase, Failure)> {
        let refused = |failure| Some((Phase::Refused, failure));
        if let Some(failure) = unmet(now, &row.guards, pane) {
            return refused(failure);
        }
        let target = self.target(&pane.key.target);
        let server = target.and_then(|target| target.server.as_ref());
        if server.is_none_or(|server| server.boot != pane.boot) {
            let message = "the tmux server of this pane is not there now";
            let failure = Failure::new(ActionProblem::TargetUnreachable, message);
            return Some((Phase::Failed, failure));
        }
        let process = row.snapshot.process;
        match &row.act {
            Act::KillBySignal { .. } if process.pid == 0 || process.started_ns.is_none() => {
                let message = "it is not known which process this runtime is";
                refused(Failure::new(ActionProblem::PidUnavailable, message))
            }
            Act::Send { .. } if row.snapshot.agent.is_some() => busy(pane).and_then(refused),
            Act::Attach { .. }
            | Act::Send { .. }
            | Act::ViewOutput { .. }
            | Act::KillByKey
            | Act::KillBySignal { .. } => None,
        }
    }

    /// Takes down what became of an act. What has ended stays as it is.
    pub(crate) fn acted(&self, now: Now, action: &ActionId, outcome: &Outcome) -> Decision {
        let Some(row) = self.actions.get(action) else { return Decision::default() };
        let phase = outcome.phase();
        let unanswered = matches!(outcome, Outcome::Unanswered { .. });
        if unanswered && row.phase == phase {
            return Decision::default();
        }
        let mut row = row.clone();
        row.phase = phase;
        row.failure = outcome.failure();
        row.proof = outcome.proof();
        row.completed_at = (!unanswered).then_some(now.wall);
        let pane = row.pane.clone();
        Decision { then: vec![Input::Resumed(pane)], ..told(row, now) }
    }

    /// Lets the action go on that has waited longest in a pane, if it is its turn.
    pub(crate) fn resume(&self, now: Now, pane: &PaneKey) -> Decision {
        let here = || self.actions.values().filter(|row| row.pane == *pane);
        if self.is_taken(pane) {
            return Decision::default();
        }
        let Some(next) = here().filter(|row| row.waits()).min_by_key(|row| order(row)) else {
            return Decision::default();
        };
        let mut row = next.clone();
        match self.lapsed(now, &row) {
            None => released(row, now),
            Some((phase, failure)) => {
                row.phase = phase;
                row.failure = Some(failure);
                row.completed_at = Some(now.wall);
                Decision { then: vec![Input::Resumed(pane.clone())], ..told(row, now) }
            }
        }
    }

    /// Whether the next action of a pane has to wait.
    fn is_taken(&self, pane: &PaneKey) -> bool {
        let here = || self.actions.values().filter(|row| row.pane == *pane);
        here().any(ActionRow::holds_pane)
            || here().filter(|row| row.is_unsettled()).count()
                >= limits::UNSETTLED_ACTIONS_PER_PANE_MAX
    }

    /// Why an action that waited is not to be done any more.
    fn lapsed(&self, now: Now, row: &ActionRow) -> Option<(Phase, Failure)> {
        if row.expiry() <= now.mono {
            let message = "it had to wait too long for others in its pane";
            let failure = Failure::new(ActionProblem::SnapshotExpired, message);
            return Some((Phase::Refused, failure));
        }
        match self.pane_of(&row.runtime) {
            Some(pane) => self.objection(now, row, pane),
            None => {
                let message = "the runtime ended while it waited";
                Some((Phase::Refused, Failure::new(ActionProblem::RuntimeStale, message)))
            }
        }
    }

    /// The panes in which an action has waited too long.
    pub(crate) fn tick_actions(&self, now: Now, decision: &mut Decision) {
        let late = self.actions.values().filter(|row| row.waits() && row.expiry() <= now.mono);
        for row in late {
            if let Some((phase, failure)) = self.lapsed(now, row) {
                let mut row = row.clone();
                row.phase = phase;
                row.failure = Some(failure);
                row.completed_at = Some(now.wall);
                decision.events.extend(told(row, now).events);
            }
        }
    }

    /// What is looked at after a start: nothing of it is done again.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = Effect> {
        self.actions.values().map(|row| Effect::Settle(Box::new(row.clone())))
    }
}

/// What was asked before: the same again is the same action, another under its name is none.
fn repeated(before: ActionRow, request: &ActRequest) -> Decision {
    if before.fingerprint != request.fingerprint {
        return Decision::refuse(Refusal::ActionConflict {
            request_ref: before.request_ref,
            action: before.action,
        });
    }
    Decision { reply: Ok(Reply::Action(Box::new(before))), ..Decision::default() }
}

/// The first guard of the client's that does not hold.
fn unmet(now: Now, guards: &Guards, pane: &PaneRow) -> Option<Failure> {
    let runtime = pane.runtime.as_ref().map(|runtime| &runtime.runtime);
    if let Some(wanted) = &guards.if_runtime
        && Some(wanted) != runtime
    {
        let message = format!("the pane does not hold runtime `{wanted}`");
        return Some(Failure::new(ActionProblem::RuntimeStale, message));
    }
    if guards.force_stale {
        return None;
    }
    let state = pane.state.state;
    if let Some(wanted) = guards.if_state.filter(|wanted| *wanted != state) {
        let message = format!("its state is `{state}`, not `{wanted}`");
        return Some(Failure::new(ActionProblem::PreconditionFailed, message));
    }
    let age = now.wall.0.saturating_sub(pane.updated_at.0);
    let most = guards.if_updated_within_ms.filter(|most| age > *most)?;
    let message = format!("what is known of it changed {age} ms ago, which is more than {most} ms");
    Some(Failure::new(ActionProblem::PreconditionFailed, message))
}

/// Why an agent cannot take a prompt now.
fn busy(pane: &PaneRow) -> Option<Failure> {
    let state = pane.state.state;
    match state {
        State::Idle | State::Completed => None,
        State::Error
        | State::WaitingApproval
        | State::WaitingInput
        | State::Running
        | State::Unknown => {
            let message = format!("the agent is in state `{state}` and takes no prompt");
            Some(Failure::new(ActionProblem::AgentBusy, message))
        }
    }
}

fn order(row: &ActionRow) -> (crate::time::MonoMs, &ActionId) {
    (row.requested.mono, &row.action)
}

/// Stores an action and has it done.
fn released(mut row: ActionRow, now: Now) -> Decision {
    let latest_ms = now.wall.0.saturating_add(limits::ACT_MS).max(0);
    row.until_s = Some(u64::try_from(latest_ms / 1_000).unwrap_or(0) + 1);
    let effect = Effect::Act(Box::new(row.clone()));
    Decision { effects: vec![effect], ..told(row, now) }
}

/// Stores an action, and tells the runtime's history of it once it has ended.
fn told(row: ActionRow, now: Now) -> Decision {
    let mut events = vec![Event::ActionChanged(Box::new(row.clone()))];
    if !row.is_open() {
        events.push(Event::EventRecorded(Box::new(record(&row, now))));
    }
    Decision { events, reply: Ok(Reply::Action(Box::new(row))), ..Decision::default() }
}

/// The event by which an action shows in the history of its runtime. It claims nothing.
fn record(row: &ActionRow, now: Now) -> EventRow {
    let event_type = format!("{}{}", crate::signal::ACTION_PREFIX, row.act.kind());
    let keys = (format!("ev-{}", row.action), format!("action:{}", row.action));
    let signal = Signal {
        action_id: Some(row.action.to_string()),
        ..Signal::own(event_type, Source::Wrapper, keys, &row.runtime, now.wall)
    };
    EventRow {
        signal,
        runtime: row.runtime.clone(),
        ingested_at: now.stamp(),
        effective_time: now.wall,
        ahead_ms: 0,
        retires: Vec::new(),
    }
}
