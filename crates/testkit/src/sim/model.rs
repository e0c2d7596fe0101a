//! The reference: what may be shown, worked out from everything that was ever said, each time anew.
//!
//! Nothing here is clever. The model keeps every event and every look as a list and asks the rules
//! of the product of the whole list, on the world's true clock. It shares types with the engine,
//! and no conclusion.

use std::collections::BTreeMap;

use engine::ids::{AgentType, EventId, PaneKey, RuntimeId, TargetId};
use engine::input::{LastOutput, Reading};
use engine::pane::{PaneFacts, PaneRow};
use engine::settings::Settings;
use engine::signal::EventRow;
use engine::state::{Claim, OrderKey};
use engine::time::WallMs;
use engine::trail::Trail;
use engine::words::{Confidence, Health, Source, State};

/// Output this soon after a claim belongs to what the claim reported.
const SETTLE_MS: i64 = 2_000;
/// How exactly a server tells when a pane last printed.
const OUTPUT_UNIT_MS: i64 = 1_000;
/// What lay in the spool for longer counts as written down so long ago.
const SPOOLED_MS_MAX: i64 = 12 * 3_600_000;
/// A clock that fell behind by more was set back.
const CLOCK_STEP_MS_MIN: i64 = 100;

/// One moment: when it truly was, and what the wall clock said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    pub(crate) true_ms: i64,
    pub(crate) wall_ms: i64,
}

impl Moment {
    /// The moment as a daemon that was started at `now` has to take it: by the wall clock, and
    /// never in the future.
    fn after_restart(self, now: Moment) -> Moment {
        let age = (now.wall_ms - self.wall_ms).max(0);
        Moment { true_ms: now.true_ms - age, wall_ms: self.wall_ms }
    }

    /// A moment of which only the wall clock's time is told at `now`: one that is still to come
    /// counts as now, on both clocks.
    fn told(wall: WallMs, now: Moment) -> Moment {
        let age = (now.wall_ms - wall.0).max(0);
        Moment { true_ms: now.true_ms - age, wall_ms: now.wall_ms - age }
    }
}

/// When a pane was seen and moved last.
#[derive(Clone, Copy, Debug)]
struct Sight {
    seen: Moment,
    moved: Option<Moment>,
}

/// What is known of a pane.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    seen: Moment,
    moved: Option<Moment>,
    /// The same before the present step.
    before: Sight,
    /// The same as the journal has it.
    stored_seen: Moment,
    stored_moved: Option<Moment>,
}

impl Sighting {
    fn new(seen: Moment, moved: Option<Moment>, stored_moved: Option<Moment>) -> Self {
        Self { seen, moved, before: Sight { seen, moved }, stored_seen: seen, stored_moved }
    }

    fn sight(&self) -> Sight {
        Sight { seen: self.seen, moved: self.moved }
    }
}

/// An event that was bound to a runtime.
#[derive(Clone, Debug)]
struct Said {
    source: Source,
    event: EventId,
    seq: Option<i64>,
    effective_ms: i64,
    dedupe_key: String,
    claim: Claim,
    heard: Moment,
}

impl Said {
    /// Whether this one counts before another of the same stream, both without numbers.
    fn later_than(&self, other: &Said) -> bool {
        let mine = (self.effective_ms, 255 - self.claim.state as u8, &self.dedupe_key);
        mine > (other.effective_ms, 255 - other.claim.state as u8, &other.dedupe_key)
    }

    /// The same for two with numbers, of which this one came in later.
    fn overtakes(&self, other: &Said, skew_ms: i64) -> bool {
        let ahead = self.effective_ms - other.effective_ms;
        if ahead.abs() > 2 * skew_ms {
            return ahead > 0;
        }
        if self.seq == other.seq { self.later_than(other) } else { self.seq > other.seq }
    }

    /// Whether it says no more than of what kind the state is.
    fn is_plain(&self) -> bool {
        plain_reasons(self.claim.state).contains(&self.claim.reason.as_str())
    }

    fn kind(&self) -> Kind {
        kind(self.claim.state)
    }

    fn is_retired_by(&self, order: &OrderKey) -> bool {
        let mine = (self.effective_ms, 255 - self.claim.state as u8, self.dedupe_key.as_str());
        mine <= (order.effective.0, 255 - order.urgency, order.dedupe_key.as_str())
    }
}

/// Which agent was spoken for, behind what says how new that is.
type Naming = (i64, u8, String, AgentType);

/// Whether somebody spoke for another agent than the one whose process was found.
fn is_of_other(named: Option<&AgentType>, found: Option<&AgentType>) -> bool {
    named.zip(found).is_some_and(|(named, found)| named != found)
}

/// Two states of one kind do not contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Busy,
    Waiting,
    AtRest,
    Neither,
}

fn kind(state: State) -> Kind {
    match state {
        State::Running => Kind::Busy,
        State::WaitingApproval | State::WaitingInput => Kind::Waiting,
        State::Completed | State::Idle | State::Error => Kind::AtRest,
        State::Unknown => Kind::Neither,
    }
}

/// The reasons that say nothing but the kind, as docs/design/state-fusion.md lists them.
pub(crate) fn plain_reasons(state: State) -> &'static [&'static str] {
    match state {
        State::Running => &["active"],
        State::WaitingApproval => &["approval_requested"],
        State::WaitingInput => &["input_required", "dialog_open"],
        State::Idle => &["idle"],
        State::Completed => &["turn_over"],
        State::Error | State::Unknown => &[],
    }
}

/// What is read anew at each look; the others report what happened.
pub(super) fn is_read(source: Source) -> bool {
    matches!(source, Source::Status | Source::Title | Source::Process | Source::Screen)
}

fn is_certain(source: Source) -> bool {
    !matches!(source, Source::Poller | Source::Screen)
}

/// What a source showed of a runtime when it was read, each time that it changed.
#[derive(Clone, Debug)]
struct Shown {
    claim: Option<Claim>,
    effective_ms: i64,
    seq: i64,
    read: Moment,
}

/// What has to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) state: State,
    pub(crate) reason: String,
    pub(crate) confidence: Confidence,
    pub(crate) source: Option<Source>,
}

impl Expected {
    fn unknown(reason: &str, confidence: Confidence) -> Self {
        Self { state: State::Unknown, reason: reason.to_owned(), confidence, source: None }
    }

    pub(crate) fn is_shown_by(&self, row: &PaneRow) -> bool {
        let shown = &row.state;
        (shown.state, shown.reason.as_str(), shown.confidence, shown.source)
            == (self.state, self.reason.as_str(), self.confidence, self.source)
    }
}

/// When the process began that a pane's life is about.
pub(crate) fn started(facts: &PaneFacts) -> Option<WallMs> {
    let process = facts.agent.as_ref().map_or(&facts.process, |agent| &agent.process);
    process.started_ns.map(|ns| WallMs(ns / 1_000_000))
}

/// The moment that is stored, which is the known one if that bears the same time.
fn as_stored(at: WallMs, known: Option<Moment>, now: Moment) -> Moment {
    let told = Moment { wall_ms: at.0, ..Moment::told(at, now) };
    known.filter(|it| it.wall_ms == at.0).unwrap_or(told)
}

/// When something last spoke for the claim: the pane, or a certain reading of the same kind.
fn confirmed_at(sight: Option<Sight>, said: &Said, heads: &[Said]) -> Moment {
    let vouches =
        |it: &&Said| is_read(it.source) && is_certain(it.source) && it.kind() == said.kind();
    let vouched = heads.iter().filter(vouches).map(|it| confirmed_by_pane(sight, it));
    vouched.fold(confirmed_by_pane(sight, said), Moment::max)
}

fn confirmed_by_pane(sight: Option<Sight>, said: &Said) -> Moment {
    let heard = said.heard;
    let Some(sight) = sight else { return heard };
    if is_read(said.source) {
        return sight.seen.max(heard);
    }
    let moved = sight.moved.filter(|it| it.true_ms > heard.true_ms).unwrap_or(heard);
    if said.claim.state == State::Running {
        return moved;
    }
    if moved.true_ms > heard.true_ms + SETTLE_MS { heard } else { sight.seen.max(heard) }
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    settings: Settings,
    sightings: BTreeMap<PaneKey, Sighting>,
    /// Which agent each source spoke for, and where that stands in the order of what it said.
    named: BTreeMap<(RuntimeId, Source), Vec<Naming>>,
    said: BTreeMap<RuntimeId, Vec<Said>>,
    /// What was said of a runtime before the present step said more of it.
    said_before: BTreeMap<RuntimeId, Vec<Said>>,
    readings: BTreeMap<(RuntimeId, Source), Vec<Shown>>,
    retired: BTreeMap<(RuntimeId, Source), Vec<OrderKey>>,
    /// When each source was last heard of a runtime, and as which moment that was ordered.
    arrivals: BTreeMap<(RuntimeId, Source), (Moment, i64)>,
    /// When events that still wait for their runtime came in.
    waiting: BTreeMap<EventId, Moment>,
    /// When events that lay in the spool were written down.
    written: BTreeMap<EventId, Moment>,
    /// Until when each target's panes were listened to.
    listened: BTreeMap<TargetId, Moment>,
    /// What panes printed before a look that nobody had heard, with the moment of that look.
    unheard: BTreeMap<PaneKey, (Moment, Moment)>,
}

impl Model {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            sightings: BTreeMap::new(),
            said: BTreeMap::new(),
            named: BTreeMap::new(),
            said_before: BTreeMap::new(),
            readings: BTreeMap::new(),
            retired: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            waiting: BTreeMap::new(),
            written: BTreeMap::new(),
            listened: BTreeMap::new(),
            unheard: BTreeMap::new(),
        }
    }

    /// Another step begins: what is known so far was known before it.
    pub(crate) fn step(&mut self) {
        self.said_before.clear();
        self.sightings.values_mut().for_each(|it| it.before = it.sight());
    }

    fn note_said(&mut self, runtime: &RuntimeId) {
        if !self.said_before.contains_key(runtime) {
            self.said_before.insert(runtime.clone(), self.heads(runtime));
        }
    }

    /// When something last spoke for what a pane showed before this step, by the wall clock.
    pub(crate) fn was_confirmed(&self, row: &PaneRow) -> Option<WallMs> {
        let runtime = &row.runtime.as_ref()?.runtime;
        let heads = self.said_before.get(runtime).cloned();
        let heads = heads.unwrap_or_else(|| self.heads(runtime));
        let said = heads.iter().find(|it| Some(it.source) == row.state.source)?;
        let sight = self.sightings.get(&row.key).map(|it| it.before);
        Some(WallMs(confirmed_at(sight, said, &heads).wall_ms))
    }

    /// A look found the pane there.
    pub(crate) fn see(&mut self, key: &PaneKey, now: Moment) {
        if let Some(sighting) = self.sightings.get_mut(key) {
            sighting.seen = now;
        }
    }

    /// A look found every pane of a target there.
    pub(crate) fn see_all(&mut self, target: &TargetId, now: Moment) {
        let known = self.sightings.iter_mut().filter(|(key, _)| key.target == *target);
        known.for_each(|(_, sighting)| sighting.seen = now);
    }

    pub(crate) fn hear_output(&mut self, key: &PaneKey, now: Moment) {
        if let Some(sighting) = self.sightings.get_mut(key) {
            sighting.moved = Some(now);
        }
    }

    /// A look counted at a target: its panes are listened to.
    pub(crate) fn listen(&mut self, target: &TargetId, now: Moment) {
        self.listened.insert(target.clone(), now);
    }

    /// A target is removed: nobody listens to it any more.
    pub(crate) fn leave(&mut self, target: &TargetId) {
        self.listened.remove(target);
    }

    /// A look tells when a pane last printed. What was not heard then counts as output that came
    /// as late as it may have, or for work that goes on, as early. Output that is yet to come was told by
    /// a clock that has been set back since; that same clock tells what was before it.
    pub(crate) fn unheard(
        &mut self,
        key: &PaneKey,
        output: &LastOutput,
        shown: Option<State>,
        began: Option<WallMs>,
        now: Moment,
    ) {
        let began = began.map(|wall| Moment::told(wall, now));
        let at = |wall: WallMs| Moment::told(wall, now);
        let own = |at: Moment| began.map_or(at, |began| began.max(at));
        let latest = at(output.latest);
        let set_back = output.latest.0 - now.wall_ms > OUTPUT_UNIT_MS;
        let after = |it: &Moment| {
            if set_back { output.latest.0 - it.wall_ms } else { latest.true_ms - it.true_ms }
        };
        let listened = self.listened.get(&key.target);
        let unheard = listened.is_none_or(|it| after(it) > 0);
        let sighting = shown.and_then(|_| self.sightings.get_mut(key));
        let last = sighting.as_ref().and_then(|it| it.moved);
        let printed = if shown == Some(State::Running) {
            let heard = last.map(|it| at(WallMs(it.wall_ms)));
            let certain = output.certain.map(at);
            certain.map(|it| heard.filter(|heard| heard.true_ms > it.true_ms).unwrap_or(it))
        } else {
            let known = last.is_some_and(|it| after(&it) < OUTPUT_UNIT_MS);
            (unheard && !known).then_some(latest)
        };
        self.unheard.remove(key);
        let Some(printed) = printed.map(own) else { return };
        self.unheard.insert(key.clone(), (now, printed));
        if let Some(sighting) = sighting {
            sighting.moved = Some(printed);
        }
    }

    /// When every pane of a target had been seen; `None` where it has none.
    pub(crate) fn seen_whole(&self, target: &TargetId) -> Option<WallMs> {
        let of_target = self.sightings.iter().filter(|(key, _)| key.target == *target);
        let first = of_target.min_by_key(|(_, it)| (it.seen.true_ms, it.seen.wall_ms))?;
        Some(WallMs(first.1.seen.wall_ms))
    }

    /// The journal says how a pane is now; `new` when it came, or came under another server. With a
    /// life that begins in it, nothing counts that moved before.
    pub(crate) fn stored(&mut self, row: &PaneRow, new: bool, begins: bool, now: Moment) {
        let began = started(&row.facts).map(|wall| Moment::told(wall, now));
        let printed = self.unheard.get(&row.key).filter(|it| it.0 == now).map(|it| it.1);
        if new {
            let moved = printed.or(began.filter(|_| begins));
            let stored = moved.filter(|_| begins);
            self.sightings.insert(row.key.clone(), Sighting::new(now, moved, stored));
            return;
        }
        if let Some(sighting) = self.sightings.get_mut(&row.key).filter(|_| begins) {
            let own = |at: &Moment| began.is_some_and(|began| at.true_ms >= began.true_ms);
            sighting.moved = sighting.moved.filter(own).or(began).or(printed);
        }
        if let Some(sighting) = self.sightings.get_mut(&row.key) {
            sighting.stored_seen = sighting.seen;
            sighting.stored_moved = sighting.moved;
        }
    }

    /// A row is there of which nobody knows whether the looks beside it were before it: it says itself
    /// when its pane was seen and moved.
    pub(crate) fn stored_in_doubt(&mut self, row: &PaneRow, now: Moment) {
        if let Some(sighting) = self.sightings.get_mut(&row.key) {
            let seen = Some(sighting.stored_seen);
            sighting.stored_seen = as_stored(row.last_seen.wall, seen, now);
            let (moved, known) = (row.last_activity, sighting.stored_moved);
            sighting.stored_moved = moved.map(|it| as_stored(it.wall, known, now));
        }
    }

    /// The journal says when a pane moved, perhaps before the input is told of that says so too.
    pub(crate) fn stored_activity(&mut self, key: &PaneKey, at: WallMs, now: Moment) {
        if let Some(sighting) = self.sightings.get_mut(key) {
            sighting.stored_moved = Some(as_stored(at, sighting.moved, now));
        }
    }

    pub(crate) fn gone(&mut self, key: &PaneKey) {
        self.sightings.remove(key);
    }

    /// An event came in and waits.
    pub(crate) fn pend(&mut self, event: &EventId, now: Moment) {
        self.waiting.insert(event.clone(), now);
    }

    /// An event was read from the spool, which bears the time at which it was written down.
    pub(crate) fn spooled(&mut self, event: &EventId, written: WallMs, now: Moment) {
        let age = (now.wall_ms - written.0).clamp(0, SPOOLED_MS_MAX);
        let written = Moment { true_ms: now.true_ms - age, wall_ms: now.wall_ms - age };
        self.written.insert(event.clone(), written);
    }

    /// An event arrived by itself, whatever became of an attempt to spool it.
    pub(crate) fn signalled(&mut self, event: &EventId) {
        self.written.remove(event);
    }

    /// A look read something of the agent in a runtime, while another state was shown of it. Only
    /// what is new counts as said anew, and an end on the screen only after work.
    pub(crate) fn read(
        &mut self,
        runtime: &RuntimeId,
        reading: &Reading,
        before: Option<State>,
        now: Moment,
    ) {
        self.note_said(runtime);
        let last = self.readings.get(&(runtime.clone(), reading.source));
        let last = last.and_then(|shown| shown.last());
        let said = |claim: &Option<Claim>| last.and_then(|it| it.claim.as_ref()) == claim.as_ref();
        let mut claim = reading.claim.clone();
        if said(&claim) {
            return;
        }
        let worked = matches!(before, Some(State::Running | State::WaitingApproval));
        if let Some(ended) = claim.as_mut().filter(|it| it.state == State::Completed)
            && reading.source == Source::Screen
            && !worked
        {
            (ended.state, ended.reason) = (State::Idle, "idle".to_owned());
        }
        if said(&claim) {
            return;
        }
        let after = last.map_or(i64::MIN, |it| it.effective_ms + 1);
        let seq = last.map_or(1, |it| it.seq + 1);
        let effective_ms = (now.wall_ms + self.behind(runtime, now)).max(after);
        let shown = self.readings.entry((runtime.clone(), reading.source)).or_default();
        shown.push(Shown { claim, effective_ms, seq, read: now });
    }

    /// How far the wall clock was set back since something was heard of a runtime.
    fn behind(&self, runtime: &RuntimeId, now: Moment) -> i64 {
        let heard = Source::ALL.iter().filter_map(|it| self.arrivals.get(&(runtime.clone(), *it)));
        let behind = heard.map(|(at, order_ms)| order_ms + now.true_ms - at.true_ms - now.wall_ms);
        behind.max().filter(|ms| *ms > CLOCK_STEP_MS_MIN).unwrap_or(0)
    }

    fn arrive(&mut self, runtime: &RuntimeId, source: Source, at: Moment) -> i64 {
        let behind = self.behind(runtime, at);
        let ordered = at.wall_ms + behind;
        let latest = self.arrivals.entry((runtime.clone(), source)).or_insert((at, ordered));
        if latest.1 <= ordered {
            *latest = (at, ordered);
        }
        behind
    }

    /// Whether the journal says of a reading what was read: last, or under its number, where a daemon
    /// took in several at once and died before it told of them.
    pub(crate) fn was_read(&self, row: &EventRow) -> bool {
        let shown = self.readings.get(&(row.runtime.clone(), row.signal.source));
        let numbered = |it: &&Shown| Some(it.seq) == row.signal.source_seq;
        let meant = |shown: &Vec<Shown>| {
            let numbered = shown.iter().rfind(numbered).into_iter();
            numbered.chain(shown.last()).any(|it| it.claim == row.signal.claim)
        };
        shown.is_some_and(meant)
    }

    /// An event reached a runtime, in whose pane the process of an agent may have been found. What
    /// counts is when it came in, or was written down; one about another agent counts for nothing.
    pub(crate) fn hear(&mut self, row: &EventRow, found: Option<&AgentType>, now: Moment) {
        self.note_said(&row.runtime);
        if is_read(row.signal.source) {
            self.arrive(&row.runtime, row.signal.source, now);
            return;
        }
        let written = self.written.remove(&row.signal.event_id);
        let waited = self.waiting.remove(&row.signal.event_id);
        let heard = waited.or(written).unwrap_or(now);
        for (source, order) in &row.retires {
            let key = (row.runtime.clone(), *source);
            self.retired.entry(key).or_default().push(order.clone());
        }
        let behind =
            if row.is_record() { 0 } else { self.arrive(&row.runtime, row.signal.source, heard) };
        if is_of_other(row.signal.agent.as_ref(), found) {
            return;
        }
        let skew = (row.signal.event_time.0 - heard.wall_ms).abs();
        let believable = skew <= self.settings.skew_budget_ms;
        let told_ms = if believable { row.signal.event_time.0 } else { heard.wall_ms };
        let claim = row.signal.claim.as_ref();
        if let Some(agent) = row.signal.agent.clone()
            && (claim.is_some() || row.signal.asked.is_some())
        {
            let urgency = claim.map_or(0, |claim| 255 - claim.state as u8);
            let name = (told_ms + behind, urgency, row.signal.dedupe_key.clone(), agent);
            let key = (row.runtime.clone(), row.signal.source);
            self.named.entry(key).or_default().push(name);
        }
        let Some(claim) = claim else { return };
        self.said.entry(row.runtime.clone()).or_default().push(Said {
            source: row.signal.source,
            event: row.signal.event_id.clone(),
            seq: row.signal.source_seq,
            effective_ms: told_ms + behind,
            dedupe_key: row.signal.dedupe_key.clone(),
            claim: claim.clone(),
            heard,
        });
    }

    /// The process of an agent was found in a runtime's pane: who spoke for another one last is
    /// not heard any more.
    pub(crate) fn find(&mut self, runtime: &RuntimeId, found: &AgentType) {
        for source in Source::ALL {
            let key = (runtime.clone(), *source);
            let last = self.named.get(&key).and_then(|named| named.iter().max());
            if is_of_other(last.map(|it| &it.3), Some(found)) {
                self.named.remove(&key);
                self.retired.remove(&key);
                let said = self.said.entry(runtime.clone()).or_default();
                said.retain(|it| it.source != *source);
            }
        }
    }

    pub(crate) fn forget_runtime(&mut self, runtime: &RuntimeId) {
        self.said.remove(runtime);
        for source in Source::ALL {
            self.readings.remove(&(runtime.clone(), *source));
            self.retired.remove(&(runtime.clone(), *source));
            self.named.remove(&(runtime.clone(), *source));
            self.arrivals.remove(&(runtime.clone(), *source));
        }
    }

    /// The daemon died and left a trail, and another one started at `now`: what was not stored is
    /// lost. A definite state among the stored rows was confirmed when its target was last seen.
    pub(crate) fn restart(&mut self, rows: &[PaneRow], trail: &Trail, now: Moment) {
        let left = |target: &TargetId| {
            let seen = trail.targets.get(target)?.seen?;
            Some(Moment::told(seen, now))
        };
        self.listened =
            trail.targets.keys().filter_map(|it| Some((it.clone(), left(it)?))).collect();
        self.unheard.clear();
        for (key, sighting) in &mut self.sightings {
            let mut seen = sighting.stored_seen.after_restart(now);
            let mut moved = sighting.stored_moved.map(|it| it.after_restart(now));
            if let Some(left) = left(&key.target) {
                let row = rows.iter().find(|row| row.key == *key).map(|row| &row.state);
                let works = row.is_some_and(|it| {
                    it.state == State::Running && !it.source.is_some_and(is_read)
                });
                if let Some(moved) = moved.as_mut().filter(|_| works) {
                    moved.true_ms = moved.true_ms.max(left.true_ms);
                }
                seen = if left.true_ms > seen.true_ms { left } else { seen };
            }
            // What the trail told is in no row yet.
            let (stored_seen, stored_moved) = (sighting.stored_seen, sighting.stored_moved);
            *sighting = Sighting { stored_seen, ..Sighting::new(seen, moved, stored_moved) };
        }
        for said in self.said.values_mut().flatten() {
            said.heard = said.heard.after_restart(now);
        }
        for shown in self.readings.values_mut().flatten() {
            shown.read = shown.read.after_restart(now);
        }
        for (at, _) in self.arrivals.values_mut() {
            *at = at.after_restart(now);
        }
        for came in self.waiting.values_mut().chain(self.written.values_mut()) {
            *came = came.after_restart(now);
        }
    }

    /// What the pane has to show now.
    pub(crate) fn expects(&self, row: &PaneRow, health: Health, now: Moment) -> Expected {
        if health == Health::Down {
            return Expected::unknown("target_unreachable", Confidence::Low);
        }
        let Some(runtime) = &row.runtime else {
            return Expected::unknown("process_exited", Confidence::High);
        };
        let heads = self.heads(&runtime.runtime);
        if let Some(said) = self.winner(&row.key, &runtime.runtime, &heads, now) {
            return self.shown(said, now);
        }
        match (heads.is_empty(), &runtime.agent) {
            (false, _) => Expected::unknown("stale_signal", Confidence::Low),
            (true, Some(_)) => Expected::unknown("inconclusive", Confidence::Low),
            (true, None) => Expected::unknown("no_agent", Confidence::High),
        }
    }

    /// Which claim speaks: the table of docs/design/state-fusion.md, row by row.
    fn winner<'a>(
        &self,
        key: &PaneKey,
        runtime: &RuntimeId,
        heads: &'a [Said],
        now: Moment,
    ) -> Option<&'a Said> {
        let counts = |said: &&Said| self.is_fresh(key, runtime, said, heads, now);
        let counting: Vec<&Said> = heads.iter().filter(counts).collect();
        let newest = |wanted: &dyn Fn(&Said) -> bool| {
            counting.iter().copied().filter(|said| wanted(said)).fold(None, |best, said| match best
            {
                Some(best) if !said.later_than(best) => Some(best),
                Some(_) | None => Some(said),
            })
        };
        let Some(mut told) = newest(&|it| is_certain(it.source)) else {
            return newest(&|it| !is_certain(it.source));
        };
        if is_read(told.source) && told.is_plain() {
            let more = newest(&|it| is_certain(it.source) && !it.is_plain());
            told = more.filter(|it| it.kind() == told.kind()).unwrap_or(told);
        }
        let Some(screen) = newest(&|it| it.source == Source::Screen) else { return Some(told) };
        let asked = !is_read(told.source) && told.kind() == Kind::Waiting;
        let sure = screen.claim.confidence == Confidence::High;
        if screen.kind() == told.kind() {
            let doubted = sure && told.claim.confidence != Confidence::High;
            let says_more = (told.is_plain() || doubted) && !asked && !screen.is_plain();
            return Some(if says_more { screen } else { told });
        }
        let confirmed = counting
            .iter()
            .any(|it| is_read(it.source) && is_certain(it.source) && it.kind() == told.kind());
        Some(if sure && !confirmed && screen.later_than(told) { screen } else { told })
    }

    /// Whether what an event retires had in truth not been confirmed for too long.
    pub(crate) fn may_retire(&self, key: &PaneKey, row: &EventRow, now: Moment) -> bool {
        let heads = self.heads(&row.runtime);
        row.retires.iter().all(|(source, order)| {
            let mut retired = heads.iter().filter(|it| it.source == *source);
            retired.all(|it| {
                !it.is_retired_by(order) || !self.is_fresh(key, &row.runtime, it, &heads, now)
            })
        })
    }

    /// What each source last said about a runtime, and what is read of it now.
    fn heads(&self, runtime: &RuntimeId) -> Vec<Said> {
        let said = self.said.get(runtime).map_or(&[][..], Vec::as_slice);
        let mut heads = Vec::new();
        for source in Source::ALL {
            let of_source = || said.iter().filter(|it| it.source == *source);
            let numbered = of_source().filter(|it| it.seq.is_some()).reduce(|best, it| {
                if it.overtakes(best, self.settings.skew_budget_ms) { it } else { best }
            });
            let plain = of_source().filter(|it| it.seq.is_none());
            let plain = plain.reduce(|best, it| if it.later_than(best) { it } else { best });
            let reported = match (numbered, plain) {
                (Some(one), Some(other)) if other.later_than(one) => Some(other),
                (Some(one), _) => Some(one),
                (None, other) => other,
            };
            heads.extend(reported.cloned().or_else(|| self.present(runtime, *source)));
        }
        heads
    }

    /// What a source that is read shows now.
    fn present(&self, runtime: &RuntimeId, source: Source) -> Option<Said> {
        let shown = self.readings.get(&(runtime.clone(), source))?.last()?;
        let name = format!("ev-{source}-{runtime}-{}", shown.seq);
        Some(Said {
            source,
            event: EventId::new(name.clone()),
            seq: Some(shown.seq),
            effective_ms: shown.effective_ms,
            dedupe_key: name,
            claim: shown.claim.clone()?,
            heard: shown.read,
        })
    }

    fn is_fresh(
        &self,
        key: &PaneKey,
        runtime: &RuntimeId,
        said: &Said,
        heads: &[Said],
        now: Moment,
    ) -> bool {
        let retired = self.retired.get(&(runtime.clone(), said.source));
        let retired = retired.is_some_and(|orders| orders.iter().any(|it| said.is_retired_by(it)));
        let age = now.true_ms - self.confirmed_at(key, said, heads);
        !retired && age <= self.settings.stale_ttl_ms
    }

    fn confirmed_at(&self, key: &PaneKey, said: &Said, heads: &[Said]) -> i64 {
        let sight = self.sightings.get(key).map(Sighting::sight);
        confirmed_at(sight, said, heads).true_ms
    }

    fn shown(&self, said: &Said, now: Moment) -> Expected {
        let Claim { state, reason, confidence } = said.claim.clone();
        let source = Some(said.source);
        let age = now.true_ms - said.heard.true_ms;
        if state == State::Completed && age >= self.settings.completed_ttl_ms {
            let (state, confidence) = (State::Idle, Confidence::Medium);
            return Expected { state, reason: "completed_demoted".to_owned(), confidence, source };
        }
        Expected { state, reason, confidence, source }
    }

    /// The events that a pane's present runtime rests on, for a message.
    pub(crate) fn describe(&self, row: &PaneRow, now: Moment) -> String {
        let Some(runtime) = &row.runtime else { return "no runtime".to_owned() };
        let heads = self.heads(&runtime.runtime);
        let heads = heads.iter().map(|said| {
            let age = now.true_ms - self.confirmed_at(&row.key, said, &heads);
            let fresh = self.is_fresh(&row.key, &runtime.runtime, said, &heads, now);
            format!(
                "{} {} {}/{} {} of {} confirmed {age} ms ago, fresh {fresh}",
                said.source,
                said.event,
                said.claim.state,
                said.claim.reason,
                said.claim.confidence,
                said.effective_ms
            )
        });
        let said: Vec<_> = heads.collect();
        let sight = self.sightings.get(&row.key).map(Sighting::sight);
        let told = (row.last_seen, row.last_activity);
        format!("{} {said:?}; sight {sight:?}, as told {told:?}", runtime.runtime)
    }
}
