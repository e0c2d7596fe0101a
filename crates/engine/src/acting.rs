//! Deciding on actions: once for each request, on what is true now, one at a time for each pane.
//!
//! An action is stored with what was seen before its effect is released, and is never released
//! again: [`crate::input::Effect::Act`] is carried out at most once, and what is open after a
//! crash is only looked at ([`crate::input::Effect::Settle`]).

use crate::action::{Act, ActRequest, ActionRow, Failure, Guards, Held, Outcome, Snapshot};
use crate::engine::Engine;
use crate::event::Event;
use crate::ids::{ActionId, PaneKey, SnapshotId};
use crate::input::{Decision, Effect, Input, Refusal, Reply};
use crate::limits;
use crate::pane::PaneRow;
use crate::past::Past;
use crate::signal::{EventRow, Signal};
use crate::time::{Now, WallMs};
use crate::words::{ActionProblem, Detail, Phase, Source, State, Step};

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
        let row = self.row(now, request, pane);
        let unmet = unmet(now, &row.guards, pane).map(|failure| (Phase::Refused, failure));
        let unmet = self.forbidden(&row).or(unmet);
        match unmet.or_else(|| self.objection(&row, pane)) {
            // A prompt that may wait is no reason for anything else to.
            None if !row.act.is_exclusive()
                || !self.is_taken(&row.pane)
                    && !here().any(|it| it.waits() && (row.is_patient() || !it.is_patient())) =>
            {
                released(row, now)
            }
            None => told(row, now),
            Some((_, failure)) if row.is_patient() && is_passing(&failure) => told(row, now),
            Some(end) => ended(row, end, now),
        }
    }

    /// The action with what is seen now.
    fn row(&self, now: Now, request: &ActRequest, pane: &PaneRow) -> ActionRow {
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
            snapshot: self.snapshot(now, (&request.snapshot, &request.nonce), pane),
            phase: Phase::Pending,
            until_s: None,
            completed_at: None,
            failure: None,
            proof: None,
            steps: Vec::new(),
            held: None,
            cancelled_by: None,
        }
    }

    /// What is seen of a pane now.
    fn snapshot(&self, now: Now, name: (&SnapshotId, &str), pane: &PaneRow) -> Snapshot {
        let agent = pane.facts.agent.as_ref();
        let server = self.target(&pane.key.target).and_then(|target| target.server.as_ref());
        let runtime = pane.runtime.as_ref();
        let evidence = runtime.and_then(|runtime| self.evidence(&runtime.runtime));
        let session = evidence.and_then(|evidence| evidence.detail(Detail::Session));
        Snapshot {
            snapshot: name.0.clone(),
            boot: pane.boot.clone(),
            server_pid: server.map_or(0, |server| server.pid),
            pane_pid: pane.facts.process.pid,
            command: pane.facts.command.clone(),
            process: agent.map_or(pane.facts.process, |agent| agent.process),
            agent: runtime.and_then(|runtime| runtime.agent.clone()),
            session: session.map(str::to_owned),
            state: pane.state.state,
            state_version: pane.state.version,
            observed_at: pane.last_seen.wall,
            expires_at: WallMs(now.wall.0.saturating_add(limits::SNAPSHOT_TTL_MS)),
            nonce: name.1.to_owned(),
        }
    }

    /// Why an action is not to be done, by what is known now.
    fn objection(&self, row: &ActionRow, pane: &PaneRow) -> Option<(Phase, Failure)> {
        let refused = |failure| Some((Phase::Refused, failure));
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
            Act::Respond { .. } => self.unanswerable(row),
            Act::Attach { .. }
            | Act::Send { .. }
            | Act::ViewOutput { .. }
            | Act::KillByKey
            | Act::KillBySignal { .. } => None,
        }
    }

    /// Takes down what became of an act. What has ended stays as it is.
    pub(crate) fn acted(
        &self,
        now: Now,
        action: &ActionId,
        outcome: &Outcome,
        steps: &[Step],
    ) -> Decision {
        let Some(row) = self.actions.get(action) else { return Decision::default() };
        let phase = outcome.phase();
        let unanswered = matches!(outcome, Outcome::Unanswered { .. });
        if unanswered && row.phase == phase {
            return Decision::default();
        }
        let mut row = row.clone();
        let pane = row.pane.clone();
        let again = matches!(outcome, Outcome::Busy { .. }) && row.phase == Phase::Pending;
        if again && row.is_patient() && now.mono < row.expiry() {
            let tries = row.held.map_or(0, |held| held.tries).saturating_add(1);
            row.held = Some(Held { tries, since: now.stamp() });
            row.until_s = None;
            row.phase = Phase::Pending;
        } else {
            row.phase = phase;
            row.completed_at = (!unanswered).then_some(now.wall);
        }
        row.failure = outcome.failure();
        row.proof = outcome.proof();
        row.steps = steps.to_vec();
        Decision { then: vec![Input::Resumed(pane)], ..told(row, now) }
    }

    /// Lets the action go on that has waited longest in a pane, if it is its turn.
    pub(crate) fn resume(&self, now: Now, pane: &PaneKey) -> Decision {
        if self.is_taken(pane) {
            return Decision::default();
        }
        let mut waiting: Vec<&ActionRow> = self.waiting_in(pane).collect();
        waiting.sort_by_key(|row| order(row));
        let mut prompts_wait = false;
        for row in waiting {
            if row.is_patient() && prompts_wait {
                continue;
            }
            match self.lapsed(now, row) {
                None if now.mono < row.held_until() => prompts_wait = true,
                None => return self.released_anew(now, row),
                Some((_, failure))
                    if row.is_patient() && is_passing(&failure) && now.mono < row.expiry() =>
                {
                    prompts_wait = true;
                }
                Some(end) => {
                    let then = vec![Input::Resumed(pane.clone())];
                    return Decision { then, ..ended(row.clone(), end, now) };
                }
            }
        }
        Decision::default()
    }

    /// The actions that wait in a pane, and are to be done.
    fn waiting_in(&self, pane: &PaneKey) -> impl Iterator<Item = &ActionRow> {
        let here = self.actions.values().filter(move |row| row.pane == *pane && row.waits());
        here.filter(|row| !self.orphaned.contains(&row.action))
    }

    /// Has an action done that waited, by what is seen now.
    fn released_anew(&self, now: Now, row: &ActionRow) -> Decision {
        let mut row = row.clone();
        if let Some(pane) = self.pane_of(&row.runtime) {
            let Snapshot { snapshot, nonce, .. } = &row.snapshot;
            row.snapshot = self.snapshot(now, (snapshot, nonce), pane);
        }
        row.failure = None;
        released(row, now)
    }

    /// Whether the next action of a pane has to wait.
    fn is_taken(&self, pane: &PaneKey) -> bool {
        let here = || self.actions.values().filter(|row| row.pane == *pane);
        here().any(ActionRow::holds_pane)
            || here().filter(|row| row.is_unsettled()).count()
                >= limits::UNSETTLED_ACTIONS_PER_PANE_MAX
    }

    /// Why an action that waited is not to be done, or not yet.
    fn lapsed(&self, now: Now, row: &ActionRow) -> Option<(Phase, Failure)> {
        let refused =
            |problem, message: &str| Some((Phase::Refused, Failure::new(problem, message)));
        let Some(pane) = self.pane_of(&row.runtime) else {
            let message = "the runtime ended while it waited";
            return refused(ActionProblem::RuntimeStale, message);
        };
        let seen = self.snapshot(now, (&row.snapshot.snapshot, &row.snapshot.nonce), pane);
        let sessions = row.snapshot.session.as_ref().zip(seen.session.as_ref());
        if sessions.is_some_and(|(then, now)| then != now) {
            let message = "the agent began another session while it waited";
            return refused(ActionProblem::RuntimeStale, message);
        }
        if let Some(forbidden) = self.forbidden(row) {
            return Some(forbidden);
        }
        if row.expiry() > now.mono {
            // What a prompt waits for is that the state changes: its other guards counted before.
            let unmet = if row.is_patient() { None } else { unmet(now, &row.guards, pane) };
            return match unmet {
                Some(failure) => Some((Phase::Refused, failure)),
                None => self.objection(row, pane),
            };
        }
        if row.is_patient() {
            let why =
                row.failure.as_ref().map_or_else(String::new, |it| format!(": {}", it.message));
            let message = format!("the agent took no prompt in all the time it waited{why}");
            return refused(ActionProblem::AgentBusy, &message);
        }
        let message = "it had to wait too long for others in its pane";
        refused(ActionProblem::SnapshotExpired, message)
    }

    /// When time alone makes something of an action that waits.
    pub(crate) fn due(&self, row: &ActionRow) -> crate::time::MonoMs {
        let expiry = row.expiry();
        let Some(pane) = self.pane_of(&row.runtime).filter(|_| row.is_patient()) else {
            return expiry;
        };
        let here = self.waiting_in(&row.pane);
        let first = here.filter(|it| it.is_patient()).min_by_key(|it| order(it));
        let is_first = first.is_some_and(|first| first.action == row.action);
        if is_first && !self.is_taken(&row.pane) && self.objection(row, pane).is_none() {
            row.held_until().min(expiry)
        } else {
            expiry
        }
    }

    /// Settles the actions that have waited too long, and tries those again whose pause is over.
    pub(crate) fn tick_actions(&self, now: Now, decision: &mut Decision) {
        for row in self.actions.values().filter(|row| row.waits() && self.due(row) <= now.mono) {
            match self.lapsed(now, row).filter(|_| row.expiry() <= now.mono) {
                Some(end) => decision.events.extend(ended(row.clone(), end, now).events),
                None => decision.then.push(Input::Resumed(row.pane.clone())),
            }
        }
    }

    /// Whatever changes about a pane may be what a prompt waits for there.
    pub(crate) fn wake_prompts(&self, decision: &mut Decision) {
        let waits = |pane: &PaneKey| {
            self.actions.values().any(|row| row.pane == *pane && row.waits() && row.is_patient())
        };
        let changed = decision.events.iter().filter_map(Event::pane);
        let woken: Vec<Input> =
            changed.filter(|pane| waits(pane)).cloned().map(Input::Resumed).collect();
        decision.then.extend(woken);
    }

    /// What is looked at after a start: nothing of it is done again. What was queued and never
    /// begun goes on to wait.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = Effect> {
        let open = self.actions.values().filter(|row| !row.is_parked());
        open.map(|row| Effect::Settle(Box::new(row.clone())))
    }
}

/// Whether it may go away while somebody waits.
fn is_passing(failure: &Failure) -> bool {
    failure.problem == ActionProblem::AgentBusy
}

/// Stores an action that came to its end.
pub(crate) fn ended(mut row: ActionRow, (phase, failure): (Phase, Failure), now: Now) -> Decision {
    row.phase = phase;
    row.failure = Some(failure);
    row.completed_at = Some(now.wall);
    told(row, now)
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
    let command = &pane.facts.command;
    if let Some(wanted) = guards.if_command.as_ref().filter(|wanted| *wanted != command) {
        let message = format!("`{command}` runs there by now, not `{wanted}`");
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

/// How long an action may take from when it is begun, which is no longer than what was seen counts.
fn within_ms(row: &ActionRow) -> i64 {
    let Act::Send { text, .. } = &row.act else { return limits::ACT_MS };
    let is_prompt = row.snapshot.agent.is_some();
    let within_ms = if is_prompt { limits::PROMPT_MS } else { limits::ACT_MS };
    let beyond = text.as_ref().map_or(0, |it| it.bytes.saturating_sub(limits::TEXT_BYTES_SOON));
    let longer_ms = i64::try_from(beyond / limits::TEXT_BYTES_PER_S).unwrap_or(0) * 1_000;
    (within_ms + longer_ms).min(limits::SNAPSHOT_TTL_MS)
}

/// Stores an action and has it done.
fn released(mut row: ActionRow, now: Now) -> Decision {
    let latest_ms = now.wall.0.saturating_add(within_ms(&row)).max(0);
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
        of_other: false,
        waited_ms: 0,
    }
}
