//! What an event means: repeated, late, about a life that ended, or news.

use std::borrow::Cow;

use crate::approval::{ApprovalRow, Asked};
use crate::engine::{Engine, absorb};
use crate::event::Event;
use crate::ids::{InboxId, PaneKey, RuntimeId, TargetId};
use crate::input::{Acceptance, Decision, Effect, Input, Reading, Refusal, Reply};
use crate::limits;
use crate::observe::recognise;
use crate::pane::{PaneRow, ProcessIdentity, Runtime};
use crate::past::{Past, PastEvent};
use crate::signal::{
    About, Binding, DropReason, EventRow, InboxRow, Signal, bind, effective_time, synthetic,
};
use crate::state::{Claim, Sight, Verdict, Voice};
use crate::time::{MonoMs, Now, Stamp, WallMs};
use crate::words::{Bearing, Detail, Source, State, reason};

impl About {
    pub(crate) fn is_pane_of(&self, target: &TargetId) -> bool {
        match self {
            Self::Pane(key) => key.target == *target,
            Self::Runtime(_) => false,
        }
    }
}

impl Engine {
    /// Hears an event that arrived at this moment, which is now unless it lay in the spool.
    pub(crate) fn hear(
        &self,
        now: Now,
        arrived: Stamp,
        signal: &Signal,
        past: &dyn Past,
    ) -> Decision {
        match self.place(now, signal, past) {
            Ok(Place::Runtime(runtime)) => self.record(now, arrived, signal, runtime),
            Ok(Place::Waiting) => self.pend(now, signal, None),
            Ok(Place::Ambiguous) => self.pend(now, signal, Some(DropReason::BindAmbiguous)),
            Ok(Place::Duplicate { event, runtime }) => {
                answer(Acceptance::Duplicate { event, runtime })
            }
            Err(refusal) => Decision::refuse(refusal),
        }
    }

    /// Finds what the event is about, and whether it was here before.
    fn place(&self, now: Now, signal: &Signal, past: &dyn Past) -> Result<Place, Refusal> {
        let earlier = match &signal.about {
            About::Runtime(runtime) => {
                past.event_by_key(runtime, signal.source, &signal.dedupe_key)
            }
            About::Pane(key) => past.event_by_pane_key(key, signal.source, &signal.dedupe_key),
        };
        if let Some(earlier) = earlier {
            return repetition(signal, earlier);
        }
        if past.event_exists(&signal.event_id) {
            return Err(Refusal::EventIdConflict(signal.event_id.clone()));
        }
        match &signal.about {
            About::Runtime(runtime) if self.runtimes.contains_key(runtime) => {
                Ok(Place::Runtime(runtime.clone()))
            }
            About::Runtime(runtime) if past.runtime_existed(runtime) => {
                Err(Refusal::RuntimeStale(runtime.clone()))
            }
            About::Runtime(runtime) => Err(Refusal::RuntimeUnknown(runtime.clone())),
            About::Pane(key) if !self.targets.contains_key(&key.target) => {
                Err(Refusal::TargetUnknown(key.target.to_string()))
            }
            About::Pane(key) => match self.bind(now, key, signal) {
                Binding::One(runtime) => {
                    let known = past.event_by_key(&runtime, signal.source, &signal.dedupe_key);
                    known.map_or(Ok(Place::Runtime(runtime)), |it| repetition(signal, it))
                }
                Binding::Several => Ok(Place::Ambiguous),
                Binding::None if self.inbox.len() >= limits::PENDING_EVENTS_MAX => {
                    Err(Refusal::InboxFull)
                }
                Binding::None => Ok(Place::Waiting),
            },
        }
    }

    fn bind(&self, now: Now, key: &PaneKey, signal: &Signal) -> Binding {
        let panes = self.panes_of(&key.target).map(|memory| &memory.row);
        bind(panes, key, &signal.hints, signal.event_time, now.wall, &self.settings)
    }

    /// What one look read of the agent in a pane, as far as it is news. It is settled once, so that
    /// no state is shown that only a part of the look speaks for.
    pub(crate) fn read(
        &self,
        now: Now,
        key: &PaneKey,
        agent: &ProcessIdentity,
        readings: &[Reading],
        decision: &mut Decision,
    ) {
        let Some(row) = self.pane(key) else { return };
        let same = row.facts.agent.as_ref().is_some_and(|it| it.process.same_process(agent));
        let Some(runtime) = row.runtime.as_ref().filter(|_| same) else { return };
        let evidence = self.evidence.get(&runtime.runtime);
        let voice = |source| evidence.and_then(|it| it.voices.get(&source));
        let ahead = evidence.map_or(0, |it| it.ahead_ms(now.stamp()));
        let shown = row.state.state;
        let signals: Vec<Signal> = readings
            .iter()
            .map(|reading| witnessed(reading, shown, voice(reading.source)))
            .filter(|reading| {
                is_news(reading, voice(reading.source)) || self.asks_news(runtime, reading)
            })
            .map(|reading| told(&runtime.runtime, &reading, voice(reading.source), now, ahead))
            .collect();
        if !signals.is_empty() {
            self.record_in(now, &signals, row, now.stamp(), decision);
        }
    }

    /// Whether a dialog asks something that no approval of the runtime's knows of.
    fn asks_news(&self, runtime: &Runtime, reading: &Reading) -> bool {
        let Some(asking) = &reading.asking else { return false };
        let known = |row: &ApprovalRow| {
            row.runtime == runtime.runtime
                && row.is_live()
                && (row.asking.request_sha256 == asking.request_sha256
                    || row.source != reading.source)
        };
        !self.approvals.values().any(known)
    }

    /// Records an event about an active runtime, and what follows for its state.
    fn record(&self, now: Now, arrived: Stamp, signal: &Signal, runtime: RuntimeId) -> Decision {
        let mut decision = Decision::default();
        let Some(before) = self.pane_of(&runtime) else {
            return Decision::refuse(Refusal::RuntimeStale(runtime));
        };
        if signal.expects_version.is_some_and(|version| version != before.state.version) {
            return answer(Acceptance::Void);
        }
        self.record_in(now, std::slice::from_ref(signal), before, arrived, &mut decision);
        let (event, of_other) = (signal.event_id.clone(), is_of_other(signal, before));
        decision.reply = Ok(Reply::Accepted(Acceptance::Bound { event, runtime, of_other }));
        decision
    }

    /// Records events in a pane's present runtime, which may be one this decision begins.
    fn record_in(
        &self,
        now: Now,
        signals: &[Signal],
        before: &PaneRow,
        ingested_at: Stamp,
        decision: &mut Decision,
    ) {
        let Some(runtime) = before.runtime.as_ref().map(|runtime| runtime.runtime.clone()) else {
            return;
        };
        let mut evidence = self.evidence_of(before);
        let mut recordings = Vec::with_capacity(signals.len());
        for signal in signals {
            let ahead_ms = evidence.ahead_ms(ingested_at);
            let mut recorded = EventRow {
                signal: signal.clone(),
                runtime: runtime.clone(),
                ingested_at,
                effective_time: self.effective_time(signal, ingested_at.wall, ahead_ms),
                ahead_ms,
                of_other: is_of_other(signal, before),
                retires: Vec::new(),
                waited_ms: 0,
            };
            if signal.event_type == synthetic::STALE_DETECTED {
                recorded.retires = evidence.disbelieved(&Sight::of(before), now, &self.settings);
            }
            absorb(&mut evidence, &recorded, &self.settings);
            recordings.push(recorded);
        }
        // What the processes show is known better than what anybody says.
        let known = before.runtime.as_ref().and_then(|it| it.agent.as_ref());
        let named = evidence.agent().filter(|_| before.facts.agent.is_none());
        let label = named.filter(|named| Some(*named) != known).cloned();
        let health = self.health_of(&before.key.target);
        let verdict = self.verdict(before, &evidence, health, now);
        if let Some(last) = recordings.last_mut() {
            last.waited_ms = wait_ended(before, &verdict, ingested_at);
        }
        let recorded = recordings.into_iter().map(|it| Event::EventRecorded(Box::new(it)));
        decision.events.extend(recorded);
        // Most events change nothing that is shown, and a row is long.
        if label.is_none() && verdict.is_shown_by(&before.state) {
            return;
        }
        let mut row = before.clone();
        let mut causes = Vec::new();
        if let Some(agent) = &label {
            recognise(&mut row, agent, &mut causes);
        }
        causes.extend(self.settle(&mut row, &evidence, health, now));
        if !causes.is_empty() {
            row.updated_at = now.wall;
            decision.events.push(Event::PaneChanged { row: Box::new(row), causes });
        }
    }

    /// The time by which an event is ordered. Our own readings need no budget for skew.
    fn effective_time(&self, signal: &Signal, ingested_at: WallMs, ahead_ms: i64) -> WallMs {
        let told = if signal.source.is_reading() {
            signal.event_time
        } else {
            effective_time(signal.event_time, ingested_at, &self.settings)
        };
        WallMs(told.0.saturating_add(ahead_ms))
    }

    /// Lets an event wait, or files it with the reason why it never will be bound.
    fn pend(&self, now: Now, signal: &Signal, reject: Option<DropReason>) -> Decision {
        let inbox = InboxId::new(format!("in-{}", signal.event_id));
        let event = signal.event_id.clone();
        let mut decision = answer(Acceptance::Pending { event, inbox: inbox.clone() });
        decision.events.push(Event::EventPended(Box::new(InboxRow {
            inbox: inbox.clone(),
            signal: signal.clone(),
            ingested_at: now.stamp(),
        })));
        match (reject, &signal.about) {
            (Some(reason), _) => decision.events.push(dropped(inbox, reason)),
            (None, About::Pane(key)) => {
                decision.effects.push(Effect::Rescan(key.target.clone()));
            }
            (None, About::Runtime(_)) => {}
        }
        decision
    }

    /// The waiting events that a look at `target` may have found a runtime for.
    pub(crate) fn offers(&self, target: &TargetId, complete: Option<MonoMs>) -> Vec<Input> {
        let waiting = self.inbox.values().filter(|row| row.signal.about.is_pane_of(target));
        waiting.map(|row| Input::Offered { inbox: row.inbox.clone(), complete }).collect()
    }

    /// Binds one waiting event, drops it, or lets it go on waiting.
    ///
    /// An event that came before a look at everything began, and fits nothing that look found,
    /// is about nothing.
    pub(crate) fn offer(
        &self,
        now: Now,
        inbox: &InboxId,
        complete: Option<MonoMs>,
        past: &dyn Past,
    ) -> Decision {
        let mut decision = Decision::default();
        let Some(waiting) = self.inbox.get(inbox) else { return decision };
        let About::Pane(key) = &waiting.signal.about else { return decision };
        let (signal, inbox) = (&waiting.signal, waiting.inbox.clone());
        let missed = complete.is_some_and(|began| waiting.ingested_at.mono < began);
        match self.bind(now, key, signal) {
            Binding::One(runtime) => {
                let known = past.event_by_key(&runtime, signal.source, &signal.dedupe_key);
                let row = self.pane_of(&runtime);
                decision.events.push(Event::EventBound { inbox, runtime });
                if let (None, Some(row)) = (known, row) {
                    let signals = std::slice::from_ref(signal);
                    self.record_in(now, signals, row, waiting.ingested_at, &mut decision);
                }
            }
            Binding::Several => {
                decision.events.push(dropped(inbox, DropReason::BindAmbiguous));
            }
            Binding::None if missed => {
                decision.events.push(dropped(inbox, DropReason::BindNoCandidate));
            }
            Binding::None => {}
        }
        decision
    }
}

/// For how long somebody had been waited for, if that is over. What is unknown for a while does
/// not end a wait, but what was waited before it counts. A wall clock that jumps makes it no longer.
fn wait_ended(before: &PaneRow, verdict: &Verdict, at: Stamp) -> u64 {
    let waited = before.state.state.bearing() == Bearing::Waiting;
    if !waited || verdict.state == before.state.state {
        return 0;
    }
    u64::try_from(at.mono.0.saturating_sub(before.state.since.mono.0)).unwrap_or(0)
}

pub(crate) fn dropped(inbox: InboxId, reason: DropReason) -> Event {
    Event::EventDropped { inbox, reason }
}

/// Whether an event speaks of another agent than the one whose process was found in the pane: one
/// that runs inside it, or a mistake. Processes cannot be mistaken for each other, words can.
fn is_of_other(signal: &Signal, row: &PaneRow) -> bool {
    let found = row.facts.agent.as_ref().map(|found| &found.agent);
    let named = signal.agent.as_ref().filter(|_| !signal.source.is_reading());
    found.zip(named).is_some_and(|(found, named)| found != named)
}

/// Where an event belongs.
enum Place {
    Runtime(RuntimeId),
    Waiting,
    Ambiguous,
    Duplicate { event: crate::ids::EventId, runtime: Option<RuntimeId> },
}

fn answer(acceptance: Acceptance) -> Decision {
    Decision { reply: Ok(Reply::Accepted(acceptance)), ..Decision::default() }
}

/// An event under a key that was used: the same again, or another one by mistake.
fn repetition(signal: &Signal, earlier: PastEvent) -> Result<Place, Refusal> {
    let same = signal.event_type == earlier.event_type
        && signal.source_event_id == earlier.source_event_id
        && signal.source_seq == earlier.source_seq
        && signal.action_id == earlier.action_id;
    if same {
        Ok(Place::Duplicate { event: earlier.event, runtime: earlier.runtime })
    } else {
        Err(Refusal::DedupeConflict(signal.dedupe_key.clone()))
    }
}

/// A reading as it counts. The end of a turn stays on a screen, and stands there again when an old
/// session is taken up or a dialog is closed: it is one only to who saw the work before.
fn witnessed<'a>(reading: &'a Reading, shown: State, voice: Option<&Voice>) -> Cow<'a, Reading> {
    let ends = |claim: &Claim| claim.state == State::Completed;
    let Some(claim) = reading.claim.as_ref().filter(|_| reading.source == Source::Screen) else {
        return Cow::Borrowed(reading);
    };
    let said = voice.and_then(Voice::head).is_some_and(|heard| heard.claim == *claim);
    let worked = matches!(shown, State::Running | State::WaitingApproval);
    if !ends(claim) || said || worked {
        return Cow::Borrowed(reading);
    }
    let rest = Claim { state: State::Idle, reason: reason::IDLE.to_owned(), ..claim.clone() };
    Cow::Owned(Reading { claim: Some(rest), ..reading.clone() })
}

/// Whether a reading says anything that its source does not say already.
fn is_news(reading: &Reading, voice: Option<&Voice>) -> bool {
    let said = voice.and_then(Voice::head).map(|heard| &heard.claim);
    let known = |detail: &Detail| {
        let told = voice.and_then(|voice| voice.details.get(detail));
        told.map_or("", |told| told.text.as_str())
    };
    said != reading.claim.as_ref()
        || reading.details.iter().any(|(detail, text)| known(detail) != text)
}

/// Whether a reading says of the state what its source said last, so that it is no younger word
/// about it: a count of tokens that grows while somebody is waited for does not make work of it.
fn repeats(reading: &Reading, voice: Option<&Voice>) -> bool {
    let said = voice.and_then(Voice::head).map(|heard| &heard.claim);
    let ask = |text: &str| {
        let told = voice.and_then(|voice| voice.details.get(&Detail::Ask));
        told.map_or("", |told| told.text.as_str()) == text
    };
    let asks_anew = reading.details.get(&Detail::Ask).is_some_and(|text| !ask(text));
    said.is_some() && said == reading.claim.as_ref() && !asks_anew
}

/// Whether a reading sees work begin where there was a rest: a turn, which no hook may tell of.
fn begins_turn(reading: &Reading, voice: Option<&Voice>) -> bool {
    let bearing = |claim: &Claim| claim.state.bearing();
    let said = voice.and_then(Voice::head).map(|heard| bearing(&heard.claim));
    let says = reading.claim.as_ref().map(bearing);
    said == Some(Bearing::Rest) && says == Some(Bearing::Busy)
}

/// A reading as an event of its source. Readings count up, and none is as old as the one before,
/// so that the newest is the newest; `ahead` is how far their order is ahead of the wall clock.
fn told(
    runtime: &RuntimeId,
    reading: &Reading,
    voice: Option<&Voice>,
    now: Now,
    ahead: i64,
) -> Signal {
    let cursor = voice.and_then(|voice| voice.cursor.as_ref());
    let seq = cursor.and_then(|cursor| cursor.seq).unwrap_or(0) + 1;
    let after = cursor.map_or(i64::MIN, |cursor| cursor.order.effective.0.saturating_add(1));
    let source = reading.source;
    let late = |at: &WallMs| (0..=limits::READ_LATE_MS).contains(&now.wall.0.saturating_sub(at.0));
    let true_since = reading.written.filter(late).unwrap_or(now.wall);
    let at = WallMs(true_since.0.max(after.saturating_sub(ahead)));
    let id = format!("ev-{source}-{runtime}-{seq}");
    Signal {
        source_seq: Some(seq),
        claim: reading.claim.clone(),
        details: reading.details.clone(),
        asked: reading.asking.clone().map(Asked::For),
        repeats: repeats(reading, voice),
        begins_turn: begins_turn(reading, voice),
        ..Signal::own(format!("{source}-read"), source, (id.clone(), id), runtime, at)
    }
}
