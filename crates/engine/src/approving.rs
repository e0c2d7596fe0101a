//! How approvals open and close: what follows for them from the events of one decision.
//!
//! Nothing else writes them. Each rule stands in `docs/design/approvals.md` under the same name.

use std::collections::BTreeMap;

use crate::action::{Act, ActionRow, Failure};
use crate::approval::{Answered, ApprovalRow, Asked, Asking};
use crate::engine::Engine;
use crate::event::Event;
use crate::ids::{AgentType, ApprovalId, EventId, RuntimeId};
use crate::input::{Decision, Note};
use crate::limits;
use crate::pane::{Cause, PaneRow};
use crate::signal::EventRow;
use crate::state::StateRow;
use crate::time::{Now, Stamp, WallMs};
use crate::words::{
    ActionProblem, ApprovalState, Bearing, Choice, Detail, Phase, Source, State, reason,
};

impl Engine {
    /// Approvals of which more may become known.
    pub fn approvals(&self) -> impl Iterator<Item = &ApprovalRow> {
        self.approvals.values()
    }

    pub fn approval(&self, approval: &ApprovalId) -> Option<&ApprovalRow> {
        self.approvals.get(approval)
    }

    /// What follows for approvals from what a decision makes true.
    pub(crate) fn approvals_after(&self, now: Now, events: &[Event]) -> Vec<Event> {
        let concerns = |event: &Event| match event {
            Event::EventRecorded(row) => row.asked().is_some(),
            Event::ActionChanged(row) => matches!(row.act, Act::Respond { .. }),
            Event::PaneChanged { causes, .. } => {
                !self.approvals.is_empty() || begins_to_wait(causes)
            }
            Event::PaneRemoved { .. } => !self.approvals.is_empty(),
            Event::TargetChanged(_)
            | Event::TargetRemoved { .. }
            | Event::SessionChanged(_)
            | Event::SessionRemoved { .. }
            | Event::ActivitySeen { .. }
            | Event::EventPended(_)
            | Event::EventBound { .. }
            | Event::EventDropped { .. }
            | Event::AdapterChanged(_)
            | Event::ApprovalChanged(_)
            | Event::TokenChanged(_)
            | Event::AccessDenied(_) => false,
        };
        if !events.iter().any(concerns) {
            return Vec::new();
        }
        let mut course = Course { engine: self, now, changed: BTreeMap::new(), panes: Vec::new() };
        for event in events {
            course.hear(event);
        }
        for event in events {
            match event {
                Event::EventRecorded(row) => {
                    if let Some(Asked::For(asking)) = row.asked() {
                        course.open(&Told::by(row), asking);
                    }
                }
                Event::PaneChanged { row, causes } if begins_to_wait(causes) => {
                    course.open_shown(row);
                }
                Event::TargetChanged(_)
                | Event::TargetRemoved { .. }
                | Event::SessionChanged(_)
                | Event::SessionRemoved { .. }
                | Event::PaneChanged { .. }
                | Event::PaneRemoved { .. }
                | Event::ActivitySeen { .. }
                | Event::EventPended(_)
                | Event::EventBound { .. }
                | Event::EventDropped { .. }
                | Event::ActionChanged(_)
                | Event::AdapterChanged(_)
                | Event::ApprovalChanged(_)
                | Event::TokenChanged(_)
                | Event::AccessDenied(_) => {}
            }
        }
        let changed = course.changed.into_values();
        let news = changed.filter(|row| self.approvals.get(&row.approval) != Some(row));
        news.map(|row| Event::ApprovalChanged(Box::new(row))).collect()
    }

    /// Why an approval cannot be answered so, if it cannot.
    pub(crate) fn unanswerable(&self, row: &ActionRow) -> Option<(Phase, Failure)> {
        let Act::Respond { approval, fingerprint, choice, option, picks, .. } = &row.act else {
            return None;
        };
        let refused =
            |problem, message: String| Some((Phase::Refused, Failure::new(problem, message)));
        let Some(open) = self.approvals.get(approval).filter(|it| it.is_live()) else {
            let message = format!("`{approval}` waits for no answer any more");
            return refused(ActionProblem::ApprovalClosed, message);
        };
        if open.is_waiting() && open.expiry() <= row.requested.mono {
            let message = format!("`{approval}` waited as long as it may, and nobody answered");
            return refused(ActionProblem::ApprovalClosed, message);
        }
        if let Some(answer) = open.answer.as_ref().filter(|answer| answer.action != row.action) {
            let message = format!("`{approval}` was answered with `{}` already", answer.choice);
            return refused(ActionProblem::ApprovalAnswered, message);
        }
        if *fingerprint != open.fingerprint {
            let message = "what is asked is not what the answer was meant for".to_owned();
            return refused(ActionProblem::ApprovalChanged, message);
        }
        if open.runtime != row.runtime {
            let message = format!("`{approval}` is not of runtime `{}`", row.runtime);
            return refused(ActionProblem::RuntimeStale, message);
        }
        if open.left {
            let message = format!("nobody is asked `{approval}` any more");
            return refused(ActionProblem::ApprovalClosed, message);
        }
        if let Some(why) = open.asking.misfit(*choice, *option, picks) {
            let message = format!("`{choice}` is so no answer to `{approval}`: {why}");
            return refused(ActionProblem::ChoiceNotOffered, message);
        }
        None
    }

    /// A hook that hides its agent's dialog waits for the answer to an approval, or left. What stands
    /// beside it counts for the others meanwhile, and for this one once it has left.
    pub(crate) fn held(&self, now: Now, approval: &ApprovalId, waits: bool) -> Decision {
        let note = Note::Held { approval: approval.clone(), waits };
        let mut decision = Decision { notes: vec![note], ..Decision::default() };
        let left = self.approvals.get(approval).filter(|_| !waits && self.held.contains(approval));
        if let Some(mut row) = left.cloned()
            && let Some(pane) = self.pane_of(&row.runtime)
            && settled(now, &mut row, &pane.state)
        {
            decision.events.push(Event::ApprovalChanged(Box::new(row)));
        }
        decision
    }

    /// The approvals that nobody answered in time.
    pub(crate) fn tick_approvals(&self, now: Now, decision: &mut Decision) {
        let due = self.approvals.values().filter(|row| expires(row) && row.expiry() <= now.mono);
        for row in due {
            let mut row = row.clone();
            row.settled = true;
            if row.is_waiting() {
                close(&mut row, ApprovalState::Expired, now.wall);
            }
            decision.events.push(Event::ApprovalChanged(Box::new(row)));
        }
    }
}

/// Whether time alone ends it: one that is being answered waits for what becomes of the answer.
pub(crate) fn expires(row: &ApprovalRow) -> bool {
    row.state != ApprovalState::Answering
}

/// Whether somebody is waited for who was not before.
fn begins_to_wait(causes: &[Cause]) -> bool {
    let waits = |state: State| state.bearing() == Bearing::Waiting;
    causes.iter().any(|cause| match cause {
        Cause::StateChanged { from, to } => waits(*to) && !waits(*from),
        Cause::Appeared
        | Cause::Changed
        | Cause::RuntimeStarted { .. }
        | Cause::RuntimeEnded { .. }
        | Cause::Recognised { .. } => false,
    })
}

/// What told that somebody is asked something.
struct Told<'a> {
    event: &'a EventId,
    runtime: &'a RuntimeId,
    source: Source,
    at: Stamp,
    agent: Option<&'a AgentType>,
    session: Option<&'a String>,
}

impl<'a> Told<'a> {
    fn by(row: &'a EventRow) -> Self {
        Self {
            event: &row.signal.event_id,
            runtime: &row.runtime,
            source: row.signal.source,
            at: row.ingested_at,
            agent: row.signal.agent.as_ref(),
            session: row.signal.details.get(&Detail::Session).filter(|text| !text.is_empty()),
        }
    }
}

/// The events of one decision, and what they made of approvals so far.
struct Course<'a> {
    engine: &'a Engine,
    now: Now,
    changed: BTreeMap<ApprovalId, ApprovalRow>,
    /// The panes as these events leave them.
    panes: Vec<&'a PaneRow>,
}

impl<'a> Course<'a> {
    fn hear(&mut self, event: &'a Event) {
        match event {
            Event::PaneChanged { row, causes } => {
                for cause in causes {
                    if let Cause::RuntimeEnded { runtime, .. } = cause {
                        self.end(runtime);
                    }
                }
                self.panes.push(row);
                if let Some(runtime) = &row.runtime {
                    self.settle(&runtime.runtime, &row.state);
                }
            }
            Event::PaneRemoved { ended: Some((runtime, _)), .. } => self.end(runtime),
            Event::EventRecorded(row) => {
                if let Some(Asked::Done { deed }) = row.asked() {
                    self.done(&row.runtime, deed);
                }
            }
            Event::ActionChanged(row) => self.answer(row),
            Event::PaneRemoved { ended: None, .. }
            | Event::TargetChanged(_)
            | Event::TargetRemoved { .. }
            | Event::SessionChanged(_)
            | Event::SessionRemoved { .. }
            | Event::ActivitySeen { .. }
            | Event::EventPended(_)
            | Event::EventBound { .. }
            | Event::EventDropped { .. }
            | Event::AdapterChanged(_)
            | Event::ApprovalChanged(_)
            | Event::TokenChanged(_)
            | Event::AccessDenied(_) => {}
        }
    }

    /// The open approvals of a runtime, as they are by now, oldest first.
    fn of(&self, runtime: &RuntimeId) -> Vec<ApprovalRow> {
        let known = self.engine.approvals.values();
        let known = known.filter(|row| !self.changed.contains_key(&row.approval));
        let rows = known.chain(self.changed.values());
        let mut rows: Vec<ApprovalRow> =
            rows.filter(|row| row.runtime == *runtime && row.is_open()).cloned().collect();
        rows.sort_by(|one, other| {
            (one.opened.mono, &one.approval).cmp(&(other.opened.mono, &other.approval))
        });
        rows
    }

    fn get(&self, approval: &ApprovalId) -> Option<ApprovalRow> {
        let row = self.changed.get(approval).or_else(|| self.engine.approvals.get(approval));
        row.filter(|row| row.is_open()).cloned()
    }

    fn put(&mut self, row: ApprovalRow) {
        self.changed.insert(row.approval.clone(), row);
    }

    /// The runtime ended, and with it whoever asked.
    fn end(&mut self, runtime: &RuntimeId) {
        for mut row in self.of(runtime) {
            row.settled = true;
            if row.is_live() {
                close(&mut row, ApprovalState::Gone, self.now.wall);
            }
            self.put(row);
        }
    }

    /// The state says whether anybody is still asked. What it shows beside a hook that hides its
    /// request's dialog is about something else.
    fn settle(&mut self, runtime: &RuntimeId, shown: &StateRow) {
        for mut row in self.of(runtime) {
            let is_hidden = row.is_waiting() && self.may_be_held(&row);
            if !is_hidden && settled(self.now, &mut row, shown) {
                self.put(row);
            }
        }
    }

    /// Whether the hook that told of it waits and hides its dialog, or is about to.
    fn may_be_held(&self, row: &ApprovalRow) -> bool {
        let age = self.now.mono.0.saturating_sub(row.opened.mono.0);
        self.engine.held.contains(&row.approval)
            || row.asking.hidden && row.dialog.is_none() && age <= limits::HOOK_ARRIVAL_MS
    }

    fn since_closed(&self, row: &ApprovalRow) -> i64 {
        since_closed(self.now, row)
    }

    /// What was asked for was done.
    fn done(&mut self, runtime: &RuntimeId, deed: &str) {
        let asked = self.of(runtime).into_iter().find(|row| row.asking.deed() == deed);
        let Some(mut row) = asked else { return };
        let permitted = if row.asking.kind == crate::words::ApprovalKind::Question {
            Choice::Option
        } else {
            Choice::Approve
        };
        // An answer that seemed to be taken was not, where the opposite of it was done.
        let refuted = row.state == ApprovalState::Answered
            && row.answer.as_ref().is_some_and(|answer| permitted.differs_from(answer.choice));
        if refuted && self.since_closed(&row) > limits::CONTRADICTION_MS {
            row.settled = true;
            return self.put(row);
        }
        if refuted {
            row.state = ApprovalState::AnsweredInTerminal;
            row.answer = None;
        }
        row.outcome = Some(permitted);
        row.left = row.state == ApprovalState::Answering;
        if row.is_waiting() {
            close(&mut row, ApprovalState::AnsweredInTerminal, self.now.wall);
        }
        row.settled = !row.is_live();
        self.put(row);
    }

    /// An answer is accepted, or it is known what became of one.
    fn answer(&mut self, action: &ActionRow) {
        let Act::Respond { approval, choice, option, picks, .. } = &action.act else { return };
        let Some(mut row) = self.get(approval) else { return };
        let mine = row.answer.as_ref().is_some_and(|answer| answer.action == action.action);
        match (action.phase, row.state) {
            (Phase::Pending, ApprovalState::Waiting) => {
                row.state = ApprovalState::Answering;
                row.outcome = None;
                row.answer = Some(Answered {
                    action: action.action.clone(),
                    by: action.by.clone(),
                    choice: *choice,
                    option: *option,
                    picks: picks.clone(),
                    at: self.now.wall,
                });
            }
            (Phase::Completed, ApprovalState::Answering) if mine => {
                let elsewhere = row.outcome.is_some_and(|known| known.differs_from(*choice));
                let state = if elsewhere {
                    row.answer = None;
                    ApprovalState::AnsweredInTerminal
                } else {
                    row.outcome = Some(*choice);
                    ApprovalState::Answered
                };
                close(&mut row, state, self.now.wall);
            }
            (
                Phase::NotConfirmed
                | Phase::Refused
                | Phase::Failed
                | Phase::Cancelled
                | Phase::Unknown,
                ApprovalState::Answering,
            ) if mine && action.completed_at.is_some() => self.undelivered(&mut row, action.phase),
            (
                Phase::Pending
                | Phase::Completed
                | Phase::NotConfirmed
                | Phase::Refused
                | Phase::Failed
                | Phase::Cancelled
                | Phase::Unknown,
                _,
            ) => return,
        }
        self.put(row);
    }

    /// The answer did not arrive for certain: whoever is asked still can be answered again.
    fn undelivered(&self, row: &mut ApprovalRow, phase: Phase) {
        if !row.left {
            row.state = ApprovalState::Waiting;
            row.answer = None;
            row.outcome = None;
            return;
        }
        let ours = matches!(phase, Phase::NotConfirmed | Phase::Unknown);
        let state = if ours { ApprovalState::Answered } else { ApprovalState::AnsweredInTerminal };
        if !ours {
            row.answer = None;
        }
        close(row, state, self.now.wall);
    }

    /// A screen showed the dialog before anything certain said that somebody is waited for. Beside a
    /// hook's request it adds what only the dialog offers.
    fn open_shown(&mut self, row: &PaneRow) {
        let Some(runtime) = &row.runtime else { return };
        let voices = self.engine.evidence.get(&runtime.runtime).map(|it| &it.voices);
        let Some(voice) = voices.and_then(|voices| voices.get(&Source::Screen)) else { return };
        let (Some(asking), Some(cursor)) = (&voice.asking, &voice.cursor) else { return };
        let told = Told {
            event: &cursor.event_id,
            runtime: &runtime.runtime,
            source: Source::Screen,
            at: self.now.stamp(),
            agent: None,
            session: None,
        };
        self.open(&told, asking);
    }

    /// Somebody is asked something.
    fn open(&mut self, told: &Told<'_>, asking: &Asking) {
        let runtime = told.runtime;
        let Some(pane) = self.pane_of(runtime) else { return };
        let (state, version, key) = (pane.state.state, pane.state.version, pane.key.clone());
        let agent = pane.runtime.as_ref().and_then(|it| it.agent.clone());
        let waits = state.bearing() == Bearing::Waiting;
        let known = self.of(runtime);
        if told.source == Source::Screen {
            self.outlive(&known, asking);
            if !waits || self.is_told(&known, asking) {
                return;
            }
        }
        for row in known {
            let same_asker = row.asking.asker == asking.asker || row.source == Source::Screen;
            let stands = self.still_stands(&row, asking) || row.is_live() && self.may_be_held(&row);
            if same_asker && !stands {
                self.replace(row, told, asking);
            }
        }
        if self.changed.values().any(|row| row.event == *told.event && row.is_live()) {
            return;
        }
        let live = self.of(runtime).iter().filter(|row| row.is_live()).count();
        if live >= limits::APPROVALS_PER_RUNTIME_MAX {
            return;
        }
        let mut row = ApprovalRow {
            approval: ApprovalId::of(told.event, version),
            pane: key,
            runtime: runtime.clone(),
            agent: agent.or_else(|| told.agent.cloned()),
            session: told.session.cloned(),
            fingerprint: asking.fingerprint(runtime),
            asking: asking.clone(),
            source: told.source,
            event: told.event.clone(),
            opened: told.at,
            expires_at: WallMs(told.at.wall.0.saturating_add(limits::APPROVAL_TTL_MS)),
            state: ApprovalState::Waiting,
            answer: None,
            outcome: None,
            left: false,
            closed_at: None,
            dialog: None,
            settled: false,
        };
        if !waits {
            // It was asked before what is known now, and nobody is asked any more.
            close(&mut row, ApprovalState::AnsweredInTerminal, self.now.wall);
        }
        self.put(row);
    }

    /// Whether the dialog in which a hook's request is decided is what was last seen of the screen.
    /// Then nobody asked anything else since, whoever says so.
    fn still_stands(&self, row: &ApprovalRow, newer: &Asking) -> bool {
        let voices = self.engine.evidence.get(&row.runtime).map(|it| &it.voices);
        let shown = voices.and_then(|voices| voices.get(&Source::Screen)?.asking.as_ref());
        let Some(shown) = shown.filter(|it| row.dialog.as_ref() == Some(&it.request_sha256)) else {
            return false;
        };
        // A dialog that is seen before its hook is heard is taken for that of the request before.
        let of_newer = !spells(shown, &row.asking) && spells(shown, newer);
        row.source != Source::Screen && row.is_live() && !of_newer
    }

    /// Beside newer requests of the same asker's, those whose dialog is no longer what the screen
    /// shows are over.
    fn outlive(&mut self, known: &[ApprovalRow], shown: &Asking) {
        let live: Vec<&ApprovalRow> = known.iter().filter(|row| row.is_live()).collect();
        for (at, row) in live.iter().enumerate() {
            let newer = live[at + 1..].iter().any(|it| it.asking.asker == row.asking.asker);
            let gone = row.dialog.as_ref().is_some_and(|it| *it != shown.request_sha256);
            if newer && gone && row.is_waiting() {
                let mut row = (*row).clone();
                close(&mut row, ApprovalState::Replaced, self.now.wall);
                self.put(row);
            }
        }
    }

    /// Whether what a screen shows is told already, better or as well. Of a request that a hook
    /// told of, it adds the answers that only the dialog offers.
    fn is_told(&mut self, known: &[ApprovalRow], asking: &Asking) -> bool {
        let mut told = known.iter().filter(|row| {
            let over = self.changed.get(&row.approval).is_some_and(|row| !row.is_live());
            row.is_live() && !over && row.source != Source::Screen
        });
        if let Some(only) = told.next() {
            // Of several it cannot be said whose dialog it is.
            if told.next().is_some() {
                return true;
            }
            let told = only.clone();
            let mut row = told.clone();
            row.dialog = Some(asking.request_sha256.clone());
            if told.asking.kind == asking.kind {
                row.asking.offering_also(asking.offers.iter().cloned());
            }
            self.put(row);
            return true;
        }
        let same = |row: &ApprovalRow| row.asking.request_sha256 == asking.request_sha256;
        known.iter().any(|row| row.is_live() && same(row))
    }

    /// Another request of the same asker's: what it asked before was decided, or is no longer
    /// asked. What only a screen told of is the same request, told better.
    fn replace(&mut self, mut row: ApprovalRow, told: &Told<'_>, asking: &Asking) {
        // That somebody is waited for again is about the newer request: this one was answered.
        let before = self.engine.approvals.get(&row.approval);
        if let Some(before) = before.filter(|it| it.state == ApprovalState::AnsweredInTerminal) {
            return self.put(ApprovalRow { settled: true, ..before.clone() });
        }
        let told_better = row.source == Source::Screen && told.source != Source::Screen;
        let same_kind = row.asking.kind == asking.kind;
        if told_better && same_kind && row.is_waiting() {
            let offers = std::mem::take(&mut row.asking.offers);
            row.dialog = Some(row.asking.request_sha256.clone());
            row.asking = asking.clone();
            row.asking.offering_also(offers);
            row.fingerprint = asking.fingerprint(&row.runtime);
            row.source = told.source;
            row.event = told.event.clone();
        } else if row.state == ApprovalState::Answering {
            row.left = true;
        } else {
            row.settled = true;
            if row.is_waiting() {
                close(&mut row, ApprovalState::Replaced, self.now.wall);
            }
        }
        self.put(row);
    }

    fn pane_of(&self, runtime: &RuntimeId) -> Option<&'a PaneRow> {
        let lives =
            |row: &&PaneRow| row.runtime.as_ref().is_some_and(|living| living.runtime == *runtime);
        let newest = self.panes.iter().rev().copied().find(lives);
        newest.or_else(|| self.engine.pane_of(runtime))
    }
}

/// Follows what the state says about a request; whether that changes anything.
fn settled(now: Now, row: &mut ApprovalRow, shown: &StateRow) -> bool {
    match (shown.state.bearing(), row.state) {
        (Bearing::Busy | Bearing::Rest, ApprovalState::Waiting) => {
            close(row, ApprovalState::AnsweredInTerminal, now.wall);
            if is_interrupted(shown) {
                row.outcome = Some(Choice::Deny);
            }
        }
        (Bearing::Busy | Bearing::Rest, ApprovalState::Answering) => {
            // Whoever says no in the terminal may make the agent look busy for a moment
            // first. What was done was permitted, however it ended.
            if is_interrupted(shown) && row.outcome.is_none() {
                row.outcome = Some(Choice::Deny);
            }
            row.left = true;
        }
        // Nobody knew how it was answered, and after a moment it is asked still.
        (Bearing::Waiting, ApprovalState::AnsweredInTerminal)
            if row.outcome.is_none() && since_closed(now, row) <= limits::SETTLE_MS =>
        {
            row.state = ApprovalState::Waiting;
            row.closed_at = None;
        }
        (Bearing::Waiting | Bearing::Open, _)
        | (
            Bearing::Busy | Bearing::Rest,
            ApprovalState::Answered
            | ApprovalState::AnsweredInTerminal
            | ApprovalState::Replaced
            | ApprovalState::Expired
            | ApprovalState::Gone,
        ) => return false,
    }
    true
}

/// Whether what a dialog shows has all that is asked for in it, however it is set in lines.
fn spells(shown: &Asking, asking: &Asking) -> bool {
    let letters =
        |it: &Asking| -> String { it.request.chars().filter(|c| c.is_alphanumeric()).collect() };
    let wanted = letters(asking);
    !wanted.is_empty() && letters(shown).contains(&wanted)
}

/// How long it is over.
fn since_closed(now: Now, row: &ApprovalRow) -> i64 {
    row.closed_at.map_or(i64::MAX, |closed| now.wall.0.saturating_sub(closed.0))
}

/// Whether the turn ended because somebody said no.
fn is_interrupted(shown: &StateRow) -> bool {
    shown.state == State::Idle && shown.reason == reason::INTERRUPTED
}

fn close(row: &mut ApprovalRow, state: ApprovalState, at: WallMs) {
    row.state = state;
    row.closed_at = Some(at);
    row.left = false;
    // How it was answered elsewhere may yet be told; and that a no came too late.
    let is_no = row.answer.as_ref().is_some_and(|answer| answer.choice == Choice::Deny);
    let may_be_told = match state {
        ApprovalState::AnsweredInTerminal => row.outcome.is_none(),
        ApprovalState::Answered => is_no,
        ApprovalState::Waiting
        | ApprovalState::Answering
        | ApprovalState::Replaced
        | ApprovalState::Expired
        | ApprovalState::Gone => false,
    };
    row.settled = !may_be_told;
}
