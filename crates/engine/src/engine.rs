//! The engine's memory: the fold of all events, and the only way to change it.
//!
//! [`Engine::decide`] looks and concludes, [`Engine::apply`] folds one event. Nothing else
//! mutates. Whoever holds the engine commits the events between the two.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::access::TokenRow;
use crate::action::ActionRow;
use crate::adapter::AdapterRow;
use crate::approval::{ApprovalRow, Asked};
use crate::caption::Captions;
use crate::event::{Event, SessionRow};
use crate::ids::{
    ActionId, AgentType, ApprovalId, InboxId, PaneKey, RuntimeId, SessionId, TargetId, TokenId,
};
use crate::input::{Decision, Effect, Input, Note, Seen};
use crate::limits;
use crate::pane::{Cause, PaneRow};
use crate::past::Past;
use crate::settings::Settings;
use crate::signal::{EventRow, InboxRow};
use crate::state::{
    Arrival, Circumstances, Cursor, Evidence, Heard, LastKnown, Sight, StateRow, Verdict, fuse,
};
use crate::target::{Probe, Pulse, TargetRow, Trouble};
use crate::time::{MonoMs, Now, Stamp, WallMs};
use crate::words::{Confidence, Health, State, reason};

/// The rows of the tables: what the engine is restored from and compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tables {
    pub targets: Vec<TargetRow>,
    pub sessions: Vec<SessionRow>,
    pub panes: Vec<PaneRow>,
    pub evidence: Vec<(RuntimeId, Evidence)>,
    pub inbox: Vec<InboxRow>,
    /// Those of which more may become known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<ActionRow>,
    /// Those that somebody turned off, or on again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<AdapterRow>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<ApprovalRow>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenRow>,
}

/// A target with what is volatile about it.
#[derive(Clone, Debug)]
pub(crate) struct TargetMemory {
    pub(crate) row: TargetRow,
    pub(crate) pulse: Pulse,
    pub(crate) last_seen: Option<Stamp>,
    /// When it was last seen by whoever held this memory before.
    pub(crate) taken_up: Option<Stamp>,
    /// What was said to be limited of a target that was not seen whole yet.
    pub(crate) limit: Option<Trouble>,
}

impl TargetMemory {
    /// Up to here its panes were listened to.
    pub(crate) fn heard_until(&self) -> Option<Stamp> {
        self.last_seen.or(self.taken_up)
    }
}

/// A pane with what is volatile about it.
#[derive(Clone, Debug)]
pub(crate) struct PaneMemory {
    pub(crate) row: PaneRow,
    /// While the pane prints: when that was last journalled.
    pub(crate) burst_reported: Option<Stamp>,
    pub(crate) captions: Captions,
}

/// The pure core.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) settings: Settings,
    pub(crate) targets: BTreeMap<TargetId, TargetMemory>,
    pub(crate) sessions: BTreeMap<(TargetId, SessionId), SessionRow>,
    pub(crate) panes: BTreeMap<PaneKey, PaneMemory>,
    pub(crate) runtimes: BTreeMap<RuntimeId, PaneKey>,
    pub(crate) evidence: BTreeMap<RuntimeId, Evidence>,
    pub(crate) inbox: BTreeMap<InboxId, InboxRow>,
    /// When everything that was due by time alone was last settled.
    pub(crate) ticked: MonoMs,
    pub(crate) actions: BTreeMap<ActionId, ActionRow>,
    pub(crate) adapters: BTreeMap<AgentType, AdapterRow>,
    pub(crate) approvals: BTreeMap<ApprovalId, ApprovalRow>,
    pub(crate) tokens: BTreeMap<TokenId, TokenRow>,
    /// The approvals for which a hook waits that hides its agent's dialog. None outlives the daemon.
    pub(crate) held: BTreeSet<ApprovalId>,
    /// The actions that the daemon before this one had not begun, and that do not wait on: they are
    /// told as interrupted, and must not be begun while that is on its way.
    pub(crate) orphaned: BTreeSet<ActionId>,
}

impl Engine {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            targets: BTreeMap::new(),
            sessions: BTreeMap::new(),
            panes: BTreeMap::new(),
            runtimes: BTreeMap::new(),
            evidence: BTreeMap::new(),
            inbox: BTreeMap::new(),
            ticked: MonoMs(i64::MIN),
            actions: BTreeMap::new(),
            adapters: BTreeMap::new(),
            approvals: BTreeMap::new(),
            tokens: BTreeMap::new(),
            held: BTreeSet::new(),
            orphaned: BTreeSet::new(),
        }
    }

    /// The engine as the tables hold it, placed on the clock that `now` belongs to.
    pub fn restore(settings: Settings, tables: Tables, now: Now) -> Self {
        let mut engine = Self::new(settings);
        for row in tables.targets {
            engine.put_target(row);
        }
        for row in tables.sessions {
            engine.sessions.insert((row.target.clone(), row.session), row);
        }
        for row in tables.panes {
            engine.put_pane(row);
        }
        engine.evidence.extend(tables.evidence);
        for row in tables.inbox {
            engine.inbox.insert(row.inbox.clone(), row);
        }
        for row in tables.actions {
            engine.actions.insert(row.action.clone(), row);
        }
        for row in tables.adapters {
            engine.adapters.insert(row.agent.clone(), row);
        }
        for row in tables.approvals {
            engine.approvals.insert(row.approval.clone(), row);
        }
        for row in tables.tokens {
            engine.tokens.insert(row.token.clone(), row);
        }
        engine.rebase(now);
        engine
    }

    /// The rows as they would be stored now.
    pub fn tables(&self) -> Tables {
        Tables {
            targets: self.targets.values().map(|memory| memory.row.clone()).collect(),
            sessions: self.sessions.values().cloned().collect(),
            panes: self.panes.values().map(|memory| memory.row.clone()).collect(),
            evidence: self.evidence.iter().map(|(id, it)| (id.clone(), it.clone())).collect(),
            inbox: self.inbox.values().cloned().collect(),
            actions: self.actions.values().cloned().collect(),
            adapters: self.adapters.values().cloned().collect(),
            approvals: self.approvals.values().cloned().collect(),
            tokens: self.tokens.values().cloned().collect(),
        }
    }

    /// Places every stored moment on the clock that `now` belongs to. What was seen later than the
    /// rows tell is for [`Engine::take_up`].
    fn rebase(&mut self, now: Now) {
        for memory in self.panes.values_mut() {
            let row = &mut memory.row;
            row.last_seen.rebase(now);
            row.last_activity.iter_mut().for_each(|activity| activity.rebase(now));
            row.state.since.rebase(now);
        }
        for evidence in self.evidence.values_mut() {
            evidence.rebase(now);
        }
        for row in self.inbox.values_mut() {
            row.ingested_at.rebase(now);
        }
        for row in self.actions.values_mut() {
            row.requested.rebase(now);
            row.held.iter_mut().for_each(|held| held.since.rebase(now));
        }
        for row in self.approvals.values_mut() {
            row.opened.rebase(now);
        }
        let orphaned = self.actions.values().filter(|row| row.waits() && !row.is_parked());
        self.orphaned = orphaned.map(|row| row.action.clone()).collect();
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Replaces the settings. States follow with the next tick.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Nothing is learnt of any target any more: each counts as down, and states follow. No event
    /// tells of it, so this is for whoever only shows what is known.
    pub fn lose_sight(&mut self, trouble: &Trouble, now: Now) {
        for memory in self.targets.values_mut() {
            memory.row.health = Health::Down;
            memory.row.trouble = Some(trouble.clone());
        }
        let rows: Vec<PaneRow> = self.panes().cloned().collect();
        for mut row in rows {
            let evidence = self.evidence_of(&row);
            self.settle(&mut row, &evidence, Health::Down, now);
            self.put_pane(row);
        }
    }

    pub fn targets(&self) -> impl Iterator<Item = &TargetRow> {
        self.targets.values().map(|memory| &memory.row)
    }

    pub fn target(&self, target: &TargetId) -> Option<&TargetRow> {
        self.targets.get(target).map(|memory| &memory.row)
    }

    pub fn target_named(&self, name: &str) -> Option<&TargetRow> {
        self.targets().find(|row| row.name == name)
    }

    /// How the last look at a target ended, if it ended at that moment or later.
    pub fn probe_since(&self, target: &TargetId, at: MonoMs) -> Option<Probe> {
        let memory = self.targets.get(target)?;
        let ended = |stamp: Option<Stamp>| stamp.map(|it| it.mono).filter(|mono| *mono >= at);
        match (ended(memory.last_seen), ended(memory.pulse.failed_at())) {
            (Some(seen), Some(failed)) if failed > seen => Some(Probe::Failed),
            (Some(_), _) => Some(Probe::Answered),
            (None, Some(_)) => Some(Probe::Failed),
            (None, None) => None,
        }
    }

    /// Whether there are targets and each of these was looked at, or failed, since the engine began.
    pub fn is_observed(&self, these: impl Fn(&TargetRow) -> bool) -> bool {
        let looked = |it: &TargetMemory| it.last_seen.is_some() || it.pulse.failed_at().is_some();
        !self.targets.is_empty() && self.targets.values().filter(|it| these(&it.row)).all(looked)
    }

    pub fn sessions(&self) -> impl Iterator<Item = &SessionRow> {
        self.sessions.values()
    }

    pub fn session(&self, target: &TargetId, session: SessionId) -> Option<&SessionRow> {
        self.sessions.get(&(target.clone(), session))
    }

    pub fn panes(&self) -> impl Iterator<Item = &PaneRow> {
        self.panes.values().map(|memory| &memory.row)
    }

    pub fn pane(&self, key: &PaneKey) -> Option<&PaneRow> {
        self.panes.get(key).map(|memory| &memory.row)
    }

    /// The pane that an active runtime lives in.
    pub fn pane_of(&self, runtime: &RuntimeId) -> Option<&PaneRow> {
        self.pane(self.runtimes.get(runtime)?)
    }

    pub fn evidence(&self, runtime: &RuntimeId) -> Option<&Evidence> {
        self.evidence.get(runtime)
    }

    pub fn inbox(&self) -> impl Iterator<Item = &InboxRow> {
        self.inbox.values()
    }

    /// Concludes what an input makes true. Changes nothing.
    pub fn decide(&self, now: Now, input: &Input, past: &dyn Past) -> Decision {
        let mut decision = self.conclude(now, input, past);
        decision.events.extend(self.approvals_after(now, &decision.events));
        self.wake_prompts(&mut decision);
        decision
    }

    fn conclude(&self, now: Now, input: &Input, past: &dyn Past) -> Decision {
        match input {
            Input::Observed { target, sight } => self.observe(now, target, sight, past),
            Input::Signalled(signal) => self.hear(now, now.stamp(), signal, past),
            Input::Spooled(signal) => {
                let written = now.earlier(signal.event_time, limits::SPOOLED_MS_MAX);
                self.hear(now, written, signal, past)
            }
            Input::Asked(request) => self.ask(now, request, past),
            Input::Acted { action, outcome, steps } => self.acted(now, action, outcome, steps),
            Input::Held { approval, waits } => self.held(now, approval, *waits),
            Input::Resumed(pane) => self.resume(now, pane),
            Input::Offered { inbox, complete } => self.offer(now, inbox, *complete, past),
            Input::Started => self.started(now),
            Input::Ticked => self.tick(now),
        }
    }

    /// What has to be under way for the present state: asked once after a start.
    pub fn standing_effects(&self) -> Vec<Effect> {
        let connected = self.targets().filter(|row| !row.is_disconnected());
        let observed = connected.map(|row| Effect::Observe(Box::new(row.clone())));
        observed.chain(self.unsettled()).collect()
    }

    /// Folds one committed event.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::TargetChanged(row) => self.put_target(row.clone()),
            Event::TargetRemoved { target, .. } => {
                self.targets.remove(target);
            }
            Event::SessionChanged(row) => {
                self.sessions.insert((row.target.clone(), row.session), row.clone());
            }
            Event::SessionRemoved { target, session } => {
                self.sessions.remove(&(target.clone(), *session));
            }
            Event::PaneChanged { row, causes } => {
                self.forget_ended(causes);
                self.forget_others(row, causes);
                self.put_pane((**row).clone());
            }
            Event::PaneRemoved { key, ended, .. } => {
                self.drop_pane(key, ended.as_ref().map(|it| &it.0));
            }
            Event::ActivitySeen { target, panes } => {
                for (pane, at) in panes {
                    self.note_activity(&PaneKey::new(target, *pane), *at, true);
                }
            }
            Event::EventRecorded(row) if row.is_record() => {}
            Event::EventRecorded(row) => {
                let evidence = self.evidence.entry(row.runtime.clone()).or_default();
                absorb(evidence, row, &self.settings);
            }
            Event::EventPended(row) => {
                self.inbox.insert(row.inbox.clone(), (**row).clone());
            }
            Event::EventBound { inbox, .. } | Event::EventDropped { inbox, .. } => {
                self.inbox.remove(inbox);
            }
            Event::ActionChanged(row) if row.is_open() => {
                self.actions.insert(row.action.clone(), (**row).clone());
            }
            Event::ActionChanged(row) => {
                self.actions.remove(&row.action);
            }
            Event::AdapterChanged(row) => {
                self.adapters.insert(row.agent.clone(), row.clone());
            }
            Event::ApprovalChanged(row) if row.is_open() => {
                self.approvals.insert(row.approval.clone(), (**row).clone());
            }
            Event::ApprovalChanged(row) => {
                self.approvals.remove(&row.approval);
            }
            Event::TokenChanged(row) if row.is_revoked() => {
                self.tokens.remove(&row.token);
            }
            Event::TokenChanged(row) => {
                self.tokens.insert(row.token.clone(), (**row).clone());
            }
            Event::AccessDenied(_) => {}
        }
    }

    /// Folds one volatile fact.
    pub fn note(&mut self, now: Now, note: &Note) {
        match note {
            Note::Seen { target, panes } => self.note_seen(target, panes, now.stamp()),
            Note::Printed { target, pane } => {
                self.note_activity(&PaneKey::new(target, *pane), now.stamp(), false);
            }
            Note::PrintedUnheard { target, panes } => {
                for (pane, at) in panes {
                    if let Some(memory) = self.panes.get_mut(&PaneKey::new(target, *pane)) {
                        memory.row.last_activity = Some(*at);
                    }
                }
            }
            Note::Caption { target, facts } => {
                if let Some(memory) = self.panes.get_mut(&PaneKey::new(target, facts.pane)) {
                    memory.captions.owe(memory.row.facts.differing_caption(facts));
                    memory.row.facts = (**facts).clone();
                }
            }
            Note::Beat { target, beat } => {
                if let Some(memory) = self.targets.get_mut(target) {
                    memory.pulse.beat_of(&memory.row, *beat, now, &self.settings);
                }
            }
            Note::Limited { target, trouble } => {
                if let Some(memory) = self.targets.get_mut(target) {
                    memory.limit.clone_from(trouble);
                }
            }
            Note::Held { approval, waits: true } => {
                self.held.insert(approval.clone());
            }
            Note::Held { approval, waits: false } => {
                self.held.remove(approval);
            }
            Note::Ticked => self.ticked = now.mono,
            Note::BurstOver { target, pane } => {
                if let Some(memory) = self.panes.get_mut(&PaneKey::new(target, *pane)) {
                    memory.burst_reported = None;
                }
            }
        }
    }

    fn note_seen(&mut self, target: &TargetId, panes: &Seen, at: Stamp) {
        if let Some(memory) = self.targets.get_mut(target) {
            memory.last_seen = Some(at);
            memory.row.last_seen_at = Some(at.wall);
        }
        match panes {
            Seen::All => {
                for memory in self.panes_of_mut(target) {
                    memory.row.last_seen = at;
                }
            }
            Seen::Some(panes) => {
                for pane in panes {
                    if let Some(memory) = self.panes.get_mut(&PaneKey::new(target, *pane)) {
                        memory.row.last_seen = at;
                    }
                }
            }
        }
    }

    fn note_activity(&mut self, key: &PaneKey, at: Stamp, journalled: bool) {
        if let Some(memory) = self.panes.get_mut(key) {
            // What an earlier daemon saw by a clock that was set back since counts as now, and is older.
            if memory.row.last_activity.is_none_or(|last| last.mono <= at.mono) {
                memory.row.last_activity = Some(at);
            }
            if journalled {
                memory.burst_reported = Some(at);
            }
        }
    }

    fn put_target(&mut self, row: TargetRow) {
        let memory = self.targets.entry(row.target.clone()).or_insert_with(|| TargetMemory {
            row: row.clone(),
            pulse: Pulse::default(),
            last_seen: None,
            taken_up: None,
            limit: None,
        });
        if row.is_unseen() && !memory.row.is_unseen() {
            memory.pulse = memory.pulse.begun_anew();
            memory.limit = None;
        }
        memory.row = row;
    }

    fn put_pane(&mut self, row: PaneRow) {
        if let Some(runtime) = &row.runtime {
            self.runtimes.insert(runtime.runtime.clone(), row.key.clone());
            self.evidence.entry(runtime.runtime.clone()).or_default();
        }
        let at = row.last_seen;
        match self.panes.get_mut(&row.key) {
            Some(memory) => {
                memory.captions.journalled(memory.row.facts.differing_caption(&row.facts), at);
                memory.row = row;
            }
            None => {
                let memory =
                    PaneMemory { row, burst_reported: None, captions: Captions::default() };
                self.panes.insert(memory.row.key.clone(), memory);
            }
        }
    }

    fn drop_pane(&mut self, key: &PaneKey, ended: Option<&RuntimeId>) {
        self.panes.remove(key);
        if let Some(runtime) = ended {
            self.runtimes.remove(runtime);
            self.evidence.remove(runtime);
        }
    }

    fn forget_ended(&mut self, causes: &[Cause]) {
        for cause in causes {
            if let Cause::RuntimeEnded { runtime, .. } = cause {
                self.runtimes.remove(runtime);
                self.evidence.remove(runtime);
            }
        }
    }

    /// A process told which agent it is: what was said for another one counts no longer.
    fn forget_others(&mut self, row: &PaneRow, causes: &[Cause]) {
        let recognised = causes.iter().any(|cause| matches!(cause, Cause::Recognised { .. }));
        let found = row.facts.agent.as_ref().filter(|_| recognised);
        if let (Some(found), Some(runtime)) = (found, &row.runtime)
            && let Some(evidence) = self.evidence.get_mut(&runtime.runtime)
        {
            evidence.leave_to(&found.agent);
        }
    }

    /// The state that the end of what lives in a pane leaves it in, whatever comes after it there.
    pub fn state_at_end(&self, pane: &PaneKey, at: WallMs) -> Option<StateRow> {
        let row = self.pane(pane)?;
        let verdict = Verdict::unknown(reason::PROCESS_EXITED, Confidence::High);
        let confirmed = self.last_confirmed(row).wall.min(at);
        Some(succeed(&row.state, verdict, confirmed, Stamp::stored(at)))
    }

    pub(crate) fn panes_of(&self, target: &TargetId) -> impl Iterator<Item = &PaneMemory> {
        self.panes.values().filter(move |memory| memory.row.key.target == *target)
    }

    pub(crate) fn panes_of_mut(
        &mut self,
        target: &TargetId,
    ) -> impl Iterator<Item = &mut PaneMemory> {
        self.panes.values_mut().filter(move |memory| memory.row.key.target == *target)
    }

    pub(crate) fn health_of(&self, target: &TargetId) -> Health {
        self.targets.get(target).map_or(Health::Down, |memory| memory.row.health)
    }

    /// What fusion says of a pane now.
    pub(crate) fn verdict(
        &self,
        row: &PaneRow,
        evidence: &Evidence,
        health: Health,
        now: Now,
    ) -> Verdict {
        let sight = Sight::of(row);
        fuse(&self.circumstances(row, evidence, sight, health), now, &self.settings)
    }

    fn circumstances<'a>(
        &self,
        row: &PaneRow,
        evidence: &'a Evidence,
        sight: Sight,
        health: Health,
    ) -> Circumstances<'a> {
        let alive = row.runtime.is_some();
        let has_agent = row.runtime.as_ref().is_some_and(|runtime| runtime.agent.is_some());
        let supported = self.is_supported(row);
        Circumstances { evidence, sight, health, alive, has_agent, supported }
    }

    /// Whether a pane shows what fusion says of it with this sight.
    pub(crate) fn is_settled(&self, row: &PaneRow, sight: Sight, health: Health, now: Now) -> bool {
        let runtime = row.runtime.as_ref();
        let nothing = Evidence::default();
        let evidence = runtime.and_then(|it| self.evidence.get(&it.runtime)).unwrap_or(&nothing);
        let circumstances = self.circumstances(row, evidence, sight, health);
        fuse(&circumstances, now, &self.settings).is_shown_by(&row.state)
    }

    /// Concludes a pane's state anew and writes it into `row` when it differs.
    pub(crate) fn settle(
        &self,
        row: &mut PaneRow,
        evidence: &Evidence,
        health: Health,
        now: Now,
    ) -> Option<Cause> {
        let verdict = self.verdict(row, evidence, health, now);
        let from = row.state.state;
        if verdict.is_shown_by(&row.state) {
            return None;
        }
        let confirmed = self.last_confirmed(row).wall.min(now.wall);
        row.state = succeed(&row.state, verdict, confirmed, now.stamp());
        Some(Cause::StateChanged { from, to: row.state.state })
    }

    /// When something last spoke for what a pane shows. A look or an event that ends this state
    /// does not confirm it, so what counts is what was remembered before it.
    fn last_confirmed(&self, row: &PaneRow) -> Stamp {
        let before = self.pane(&row.key).unwrap_or(row);
        let confirmed = || {
            let evidence = self.evidence.get(&before.runtime.as_ref()?.runtime)?;
            let source = before.state.source?;
            Some(evidence.confirmed(source, evidence.head(source)?, &Sight::of(before)))
        };
        confirmed().unwrap_or(before.last_seen)
    }

    /// The evidence for a pane's present runtime.
    pub(crate) fn evidence_of(&self, row: &PaneRow) -> Evidence {
        let runtime = row.runtime.as_ref();
        runtime.and_then(|it| self.evidence.get(&it.runtime)).cloned().unwrap_or_default()
    }

    /// Checks what must hold between any two events; returns the first thing that does not.
    pub fn check(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for (key, memory) in &self.panes {
            if memory.row.key != *key {
                return Err(format!("{key:?} is filed under another key"));
            }
            let Some(runtime) = &memory.row.runtime else { continue };
            if self.runtimes.get(&runtime.runtime) != Some(key) {
                return Err(format!("{} is not indexed", runtime.runtime));
            }
            if !seen.insert(&runtime.runtime) {
                return Err(format!("{} lives in two panes", runtime.runtime));
            }
        }
        match self.runtimes.keys().find(|runtime| !seen.contains(runtime)) {
            Some(stray) => Err(format!("{stray} is active without a pane")),
            None => Ok(()),
        }
    }
}

/// The row after a verdict that differs from it; what it showed was last confirmed at `confirmed`.
fn succeed(row: &StateRow, verdict: Verdict, confirmed: WallMs, at: Stamp) -> StateRow {
    let Verdict { state, reason, confidence, source } = verdict;
    let since = if state == row.state { row.since } else { at };
    let last_known = match (state, row.state) {
        (State::Unknown, State::Unknown) => row.last_known.clone(),
        (State::Unknown, known) => {
            Some(LastKnown { state: known, reason: row.reason.clone(), at: confirmed })
        }
        (
            State::Error
            | State::WaitingApproval
            | State::WaitingInput
            | State::Running
            | State::Completed
            | State::Idle,
            _,
        ) => None,
    };
    StateRow { state, reason, confidence, version: row.version + 1, source, since, last_known }
}

/// Adds one bound event to the evidence of its runtime.
pub(crate) fn absorb(evidence: &mut Evidence, row: &EventRow, settings: &Settings) {
    let signal = &row.signal;
    let order = row.order();
    let voice = evidence.voice_mut(signal.source);
    let heard = signal.claim.as_ref().map(|claim| Heard {
        event_id: signal.event_id.clone(),
        event_type: signal.event_type.clone(),
        claim: claim.clone(),
        order: order.clone(),
        seq: signal.source_seq,
        ingested_at: row.ingested_at,
    });
    voice.advance(Cursor {
        event_id: signal.event_id.clone(),
        event_type: signal.event_type.clone(),
        order: order.clone(),
        seq: signal.source_seq,
        ingested_at: row.ingested_at.wall,
    });
    let ordered = WallMs(row.ingested_at.wall.0.saturating_add(row.ahead_ms));
    voice.note_arrival(Arrival { at: row.ingested_at, ordered });
    if row.of_other {
        heard.into_iter().for_each(|heard| voice.set_aside(heard));
        return;
    }
    for (detail, text) in &signal.details {
        voice.tell(*detail, text, &order);
    }
    if let Some(agent) = signal.agent.as_ref().filter(|_| signal.is_understood()) {
        voice.name(agent, &order);
    }
    if signal.source.is_reading() && voice.cursor.as_ref().is_some_and(|it| it.order == order) {
        voice.asking = match &signal.asked {
            Some(Asked::For(asking)) => Some(asking.clone()),
            Some(Asked::Done { .. }) | None => None,
        };
    }
    voice.turns += u64::from(signal.begins_turn);
    voice.waited_ms = voice.waited_ms.saturating_add(row.waited_ms);
    if let Some(heard) = heard {
        match &signal.session {
            Some(session) => voice.hear_of(session, heard, settings),
            None => voice.hear(heard, signal.repeats, settings),
        }
    } else if signal.source.is_reading() {
        voice.fall_silent(&order);
    }
    for (source, through) in &row.retires {
        evidence.voice_mut(*source).expire(through);
    }
}
