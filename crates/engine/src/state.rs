//! The state of a runtime: evidence per source, and the one function that fuses it.
//!
//! What a source last said is the maximum of a total order, so the evidence is a function of the
//! *set* of events, whatever order, repetition or delay they arrived in; and the state is a
//! function of evidence, health and time. Nothing else can write it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::approval::Asking;
use crate::ids::{AgentType, EventId};
use crate::limits;
use crate::pane::PaneRow;
use crate::settings::Settings;
use crate::time::{Now, Stamp, WallMs};
use crate::words::{Bearing, Confidence, Detail, Health, Source, State, reason};

/// What an event says about the state, as an adapter reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub state: State,
    pub reason: String,
    pub confidence: Confidence,
}

/// Where an event stands among the others of its runtime.
///
/// The last two parts settle a tie in the same way for every order of arrival: of two claims
/// about one moment the more urgent wins, and the dedupe key, which is unique per source, decides
/// the rest. The moment of ingestion takes part only through the effective time, which is the
/// ingestion where a source's clock is not believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderKey {
    pub effective: WallMs,
    /// The precedence of the claimed state; the smaller is the more urgent.
    pub urgency: u8,
    pub dedupe_key: String,
}

impl Ord for OrderKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let newer = self.effective.cmp(&other.effective);
        let more_urgent = other.urgency.cmp(&self.urgency);
        newer.then(more_urgent).then_with(|| self.dedupe_key.cmp(&other.dedupe_key))
    }
}

impl PartialOrd for OrderKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// An event that counts as evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    pub event_id: EventId,
    pub event_type: String,
    pub claim: Claim,
    pub order: OrderKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    pub ingested_at: Stamp,
}

impl Heard {
    /// Whether this outranks `other`, which the same source said about the same runtime.
    ///
    /// Sequence numbers decide while they can. A source that starts counting anew is recognised
    /// by a time that no pair of skewed clocks could explain.
    fn supersedes(&self, other: &Self, settings: &Settings) -> bool {
        let (Some(mine), Some(theirs)) = (self.seq, other.seq) else {
            return self.order > other.order;
        };
        let restart = settings.skew_budget_ms.saturating_mul(2);
        let ahead = self.order.effective.0.saturating_sub(other.order.effective.0);
        if ahead > restart {
            return true;
        }
        if ahead < -restart {
            return false;
        }
        (mine, &self.order) > (theirs, &other.order)
    }
}

/// The newest event of one source, whether or not it says anything about the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub event_id: EventId,
    pub event_type: String,
    pub order: OrderKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    pub ingested_at: WallMs,
}

/// When an event arrived: by our clocks, and by the time that orders events. The two differ while
/// the wall clock stands behind what it showed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    pub at: Stamp,
    pub ordered: WallMs,
}

impl Arrival {
    /// How far behind the wall clock was set since, as seen at another moment.
    fn behind(&self, at: Stamp) -> i64 {
        let passed = at.mono.0.saturating_sub(self.at.mono.0);
        let due = self.ordered.0.saturating_add(passed);
        let behind = due.saturating_sub(at.wall.0);
        if behind > limits::CLOCK_STEP_MS_MIN { behind } else { 0 }
    }
}

/// What one source last said. Numbered and unnumbered events are two streams, because no total
/// order exists over both; the newer of their two heads speaks for the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voice {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbered: Option<Heard>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unnumbered: Option<Heard>,
    /// Reminders, which may not take a better reason away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<Heard>,
    /// The latest moment at which it was heard, as events are ordered by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<Arrival>,
    /// Claims about one session of the agent's, which count only while no other one is known to be
    /// there: by session, so that it does not matter what arrives first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub of_session: BTreeMap<String, Heard>,
    /// Claims up to here were found stale; only a newer one revives the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_through: Option<OrderKey>,
    /// A reading showed nothing any more; what it said up to here is withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_through: Option<OrderKey>,
    /// What it told beside the state, each part by its newest word.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<Detail, Told>,
    /// Which agent it spoke for, by its newest word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Named>,
    /// The newest claim about another agent than the one that was found in the pane. It is shown to
    /// who asks for the evidence, and counts for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<Heard>,
    /// The dialog that a reading shows, in which somebody is asked something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asking: Option<Box<Asking>>,
    /// Turns that it saw begin.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub turns: u64,
    /// For how long somebody was waited for, in the waits that its events ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waited_ms: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One thing told beside the state. Empty when it was said that there is none any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub text: String,
    pub order: OrderKey,
}

/// The agent that somebody spoke for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub agent: AgentType,
    pub order: OrderKey,
}

impl Voice {
    /// Moves the cursor on; an event from before it leaves it where it is.
    pub fn advance(&mut self, cursor: Cursor) {
        let seq = cursor.seq.max(self.cursor.as_ref().and_then(|current| current.seq));
        let newer = self.cursor.as_ref().is_none_or(|current| cursor.order > current.order);
        if newer {
            self.cursor = Some(cursor);
        }
        if let Some(current) = &mut self.cursor {
            current.seq = seq;
        }
    }

    pub fn note_arrival(&mut self, arrival: Arrival) {
        if self.latest.is_none_or(|latest| latest.ordered <= arrival.ordered) {
            self.latest = Some(arrival);
        }
    }

    pub fn hear(&mut self, heard: Heard, repeats: bool, settings: &Settings) {
        let slot = match heard.seq {
            _ if repeats => &mut self.repeated,
            Some(_) => &mut self.numbered,
            None => &mut self.unnumbered,
        };
        if slot.as_ref().is_none_or(|current| heard.supersedes(current, settings)) {
            *slot = Some(heard);
        }
    }

    /// Hears a claim about one session. Of more sessions than are kept, the oldest word goes.
    pub fn hear_of(&mut self, session: &str, heard: Heard, settings: &Settings) {
        let known = self.of_session.get(session);
        if known.is_none_or(|known| heard.supersedes(known, settings)) {
            self.of_session.insert(session.to_owned(), heard);
        }
        if self.of_session.len() > limits::SESSIONS_HEARD_MAX {
            let oldest = self.of_session.iter().min_by_key(|(_, heard)| &heard.order);
            let oldest = oldest.map(|(session, _)| session.clone());
            oldest.and_then(|session| self.of_session.remove(&session));
        }
    }

    /// What it says now in a pane with this session, where that is known.
    fn head_in(&self, session: Option<&str>) -> Option<&Heard> {
        let of_session = match session {
            Some(session) => self.of_session.get(session),
            None => self.of_session.values().max_by_key(|heard| &heard.order),
        };
        let of_session = of_session.filter(|heard| !self.is_withdrawn(heard));
        self.head().into_iter().chain(of_session).max_by_key(|heard| &heard.order)
    }

    fn is_withdrawn(&self, heard: &Heard) -> bool {
        self.silent_through.as_ref().is_some_and(|it| heard.order <= *it)
    }

    /// What it says now, unless it has withdrawn it.
    pub fn head(&self) -> Option<&Heard> {
        let said = self.numbered.iter().chain(&self.unnumbered).max_by_key(|heard| &heard.order);
        let adds = |reminder: &&Heard| {
            said.is_none_or(|said| {
                reminder.order > said.order
                    && reminder.claim.state.bearing() != said.claim.state.bearing()
            })
        };
        let newest = self.repeated.as_ref().filter(adds).or(said)?;
        (!self.is_withdrawn(newest)).then_some(newest)
    }

    /// The newest claim of all that it made, about whichever agent and session.
    fn newest(&self) -> Option<Heard> {
        let claims = self.numbered.iter().chain(&self.unnumbered).chain(&self.repeated);
        let claims = claims.chain(self.of_session.values()).chain(&self.aside);
        claims.max_by_key(|heard| &heard.order).cloned()
    }

    /// Withdraws what it said up to here.
    pub fn fall_silent(&mut self, through: &OrderKey) {
        raise(&mut self.silent_through, through);
    }

    pub fn tell(&mut self, detail: Detail, text: &str, order: &OrderKey) {
        let newer = self.details.get(&detail).is_none_or(|told| told.order < *order);
        if newer {
            let told = Told { text: text.to_owned(), order: order.clone() };
            self.details.insert(detail, told);
        }
    }

    pub fn name(&mut self, agent: &AgentType, order: &OrderKey) {
        if self.agent.as_ref().is_none_or(|named| named.order < *order) {
            self.agent = Some(Named { agent: agent.clone(), order: order.clone() });
        }
    }

    /// Keeps a claim about another agent, for who asks why it did not count.
    pub fn set_aside(&mut self, heard: Heard) {
        if self.aside.as_ref().is_none_or(|kept| kept.order < heard.order) {
            self.aside = Some(heard);
        }
    }

    /// Whether it spoke for another agent than this one.
    fn speaks_for_other(&self, agent: &AgentType) -> bool {
        self.agent.as_ref().is_some_and(|named| named.agent != *agent)
    }

    pub fn expire(&mut self, through: &OrderKey) {
        raise(&mut self.stale_through, through);
    }

    fn retired(&self, heard: &Heard) -> bool {
        self.stale_through.as_ref().is_some_and(|through| heard.order <= *through)
    }

    /// Every moment of it that is on the monotonic clock.
    pub fn moments_mut(&mut self) -> impl Iterator<Item = &mut Stamp> {
        let heard = self.numbered.iter_mut().chain(&mut self.unnumbered).chain(&mut self.repeated);
        let heard = heard.chain(self.of_session.values_mut()).chain(&mut self.aside);
        let latest = self.latest.iter_mut().map(|latest| &mut latest.at);
        heard.map(|heard| &mut heard.ingested_at).chain(latest)
    }
}

fn raise(mark: &mut Option<OrderKey>, to: &OrderKey) {
    if mark.as_ref().is_none_or(|current| to > current) {
        *mark = Some(to.clone());
    }
}

/// Everything that has been said about one runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub voices: BTreeMap<Source, Voice>,
}

impl Evidence {
    pub fn voice_mut(&mut self, source: Source) -> &mut Voice {
        self.voices.entry(source).or_default()
    }

    /// The newest event of any source.
    pub fn last_event(&self) -> Option<&Cursor> {
        self.voices.values().filter_map(|voice| voice.cursor.as_ref()).max_by_key(|it| &it.order)
    }

    /// Whether somebody spoke for another agent than this one.
    pub fn has_others(&self, agent: &AgentType) -> bool {
        self.voices.values().any(|voice| voice.speaks_for_other(agent))
    }

    /// The process of an agent was found: what was said for another one before counts no longer.
    pub fn leave_to(&mut self, agent: &AgentType) {
        let others = self.voices.values_mut().filter(|voice| voice.speaks_for_other(agent));
        for voice in others {
            let aside = voice.newest();
            let (cursor, latest) = (voice.cursor.take(), voice.latest);
            *voice = Voice { cursor, latest, aside, ..Voice::default() };
        }
    }

    pub fn rebase(&mut self, now: Now) {
        for moment in self.voices.values_mut().flat_map(Voice::moments_mut) {
            moment.rebase(now);
        }
    }

    /// How far the time that orders events is ahead of the wall clock: as far as that was set back
    /// since something was heard of this runtime. A later word counts as later for that reason,
    /// whatever the clock says.
    pub fn ahead_ms(&self, at: Stamp) -> i64 {
        let arrivals = self.voices.values().filter_map(|voice| voice.latest);
        arrivals.map(|latest| latest.behind(at)).max().unwrap_or(0)
    }

    /// What is told of a detail, by whichever source told it last.
    pub fn detail(&self, detail: Detail) -> Option<&str> {
        let told = self.voices.values().filter_map(|voice| voice.details.get(&detail));
        let newest = told.max_by_key(|told| &told.order)?;
        Some(newest.text.as_str()).filter(|text| !text.is_empty())
    }

    /// The agent that was spoken for last, by whichever source.
    pub fn agent(&self) -> Option<&AgentType> {
        let named = self.voices.values().filter_map(|voice| voice.agent.as_ref());
        named.max_by_key(|named| &named.order).map(|named| &named.agent)
    }

    /// Turns begun so far, by the source that saw most of them: of those that are told of turns,
    /// if there is one, else of those that see work begin.
    pub fn turns(&self) -> u64 {
        let seen_by = |readings: bool| {
            let voices =
                self.voices.iter().filter(move |(source, _)| source.is_reading() == readings);
            voices.map(|(_, voice)| voice.turns).max().unwrap_or(0)
        };
        match seen_by(false) {
            0 => seen_by(true),
            told => told,
        }
    }

    /// For how long somebody was waited for, in the waits that are over.
    pub fn waited_ms(&self) -> u64 {
        self.voices.values().fold(0, |sum, voice| sum.saturating_add(voice.waited_ms))
    }

    /// The claim that speaks for the runtime. docs/design/state-fusion.md has the rule as a table.
    pub fn winner(&self, sight: &Sight, now: Now, settings: &Settings) -> Option<Claimed<'_>> {
        let believed: Vec<Claimed<'_>> = self
            .heads()
            .filter(|(source, heard)| self.believes(*source, heard, sight, now, settings))
            .collect();
        let certain = || believed.iter().filter(|(source, _)| source.is_deterministic());
        let Some(mut told) = newest(certain()) else {
            return newest(believed.iter());
        };
        // A reading that says no more than the kind does not contradict who told more of it.
        if told.0.is_reading() && is_plain(&told.1.claim) {
            let more = newest(certain().filter(|(_, it)| !is_plain(&it.claim)));
            told = more.filter(|it| bearing(*it) == bearing(told)).unwrap_or(told);
        }
        let screen = believed.iter().find(|(source, _)| *source == Source::Screen).copied();
        screen.filter(|seen| overrules(*seen, told, &believed)).or(Some(told))
    }

    pub fn heads(&self) -> impl Iterator<Item = (Source, &Heard)> {
        let session = self.detail(Detail::Session);
        let said = self.voices.iter();
        said.filter_map(move |(source, voice)| Some((*source, voice.head_in(session)?)))
    }

    /// What a source says now.
    pub fn head(&self, source: Source) -> Option<&Heard> {
        self.voices.get(&source)?.head_in(self.detail(Detail::Session))
    }

    /// Whether a source's claim still counts: not retired, and confirmed not too long ago.
    pub fn believes(
        &self,
        source: Source,
        heard: &Heard,
        sight: &Sight,
        now: Now,
        settings: &Settings,
    ) -> bool {
        let retired = self.voices.get(&source).is_some_and(|voice| voice.retired(heard));
        !retired && now.since(self.confirmed(source, heard, sight)) <= settings.stale_ttl_ms
    }

    /// The last moment at which something still spoke for a claim: the pane itself, or a reading
    /// of the same kind that is taken again and again.
    pub fn confirmed(&self, source: Source, heard: &Heard, sight: &Sight) -> Stamp {
        let by_pane = sight.confirms(source, heard);
        let vouches = |(other, reading): &Claimed<'_>| {
            other.is_reading()
                && other.is_deterministic()
                && reading.claim.state.bearing() == heard.claim.state.bearing()
        };
        let by_readings =
            self.heads().filter(vouches).map(|(source, it)| sight.confirms(source, it));
        by_readings.max().map_or(by_pane, |vouched| vouched.max(by_pane))
    }

    /// The claims that count no longer and are not retired yet. A reading is not retired: it holds
    /// again as soon as it is taken again.
    pub fn disbelieved(
        &self,
        sight: &Sight,
        now: Now,
        settings: &Settings,
    ) -> Vec<(Source, OrderKey)> {
        self.heads()
            .filter(|(source, _)| !source.is_reading())
            .filter(|(source, heard)| !self.believes(*source, heard, sight, now, settings))
            .map(|(source, heard)| (source, heard.order.clone()))
            .collect()
    }
}

/// A claim with the source that makes it.
pub type Claimed<'a> = (Source, &'a Heard);

fn newest<'a, 'b: 'a>(claims: impl Iterator<Item = &'a Claimed<'b>>) -> Option<Claimed<'b>> {
    claims.copied().max_by_key(|(source, heard)| (&heard.order, std::cmp::Reverse(*source)))
}

fn bearing((_, heard): Claimed<'_>) -> Bearing {
    heard.claim.state.bearing()
}

/// Whether a claim says no more than of what kind the state is: that work goes on, that somebody is
/// waited for, that nothing goes on.
fn is_plain(claim: &Claim) -> bool {
    let reason = claim.reason.as_str();
    match claim.state {
        State::Running => reason == reason::ACTIVE,
        State::WaitingApproval => reason == reason::APPROVAL_REQUESTED,
        State::WaitingInput => matches!(reason, reason::INPUT_REQUIRED | reason::DIALOG_OPEN),
        State::Idle => reason == reason::IDLE,
        State::Completed => reason == reason::TURN_OVER,
        State::Error | State::Unknown => false,
    }
}

/// Whether the screen is believed against a deterministic claim.
///
/// It says more about what others only tell the kind of, or it is newer than a report of something
/// past that no present reading confirms.
fn overrules(seen: Claimed<'_>, told: Claimed<'_>, believed: &[Claimed<'_>]) -> bool {
    let (_, heard) = seen;
    // What a report asks for is known better than what a dialog looks like.
    let certain = heard.claim.confidence == Confidence::High;
    if bearing(seen) == bearing(told) {
        let open = told.0.is_reading() || bearing(told) != Bearing::Waiting;
        let doubted = certain && told.1.claim.confidence != Confidence::High;
        return open && (is_plain(&told.1.claim) || doubted) && !is_plain(&heard.claim);
    }
    let vouched = believed
        .iter()
        .filter(|(source, _)| source.is_reading() && source.is_deterministic())
        .any(|it| bearing(*it) == bearing(told));
    certain && !vouched && heard.order > told.1.order
}

/// What the observer knows of the pane, as far as it confirms or contradicts a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The target's last successful observation of the pane.
    pub last_seen: Stamp,
    /// The last output in the pane, where that is known.
    pub last_activity: Option<Stamp>,
}

impl Sight {
    pub fn of(row: &PaneRow) -> Self {
        Self { last_seen: row.last_seen, last_activity: row.last_activity }
    }

    /// The last moment at which something still spoke for the claim.
    ///
    /// A reading holds as long as the pane is looked at, because it is taken again whenever the
    /// pane changed. Of what was reported, output confirms `running`; every other report says that
    /// nothing moves: it is confirmed by each look at a pane that has printed nothing since, apart
    /// from what drew the claim itself.
    pub fn confirms(&self, source: Source, heard: &Heard) -> Stamp {
        let said = heard.ingested_at;
        if source.is_reading() {
            return self.last_seen.max(said);
        }
        let moved = self.last_activity.filter(|moved| moved.mono > said.mono);
        match (heard.claim.state, moved) {
            (State::Running, moved) => moved.unwrap_or(said),
            (
                State::Error
                | State::WaitingApproval
                | State::WaitingInput
                | State::Completed
                | State::Idle
                | State::Unknown,
                Some(moved),
            ) if moved.mono > said.plus(limits::SETTLE_MS) => said,
            (
                State::Error
                | State::WaitingApproval
                | State::WaitingInput
                | State::Completed
                | State::Idle
                | State::Unknown,
                _,
            ) => self.last_seen.max(said),
        }
    }
}

/// A state as it is shown, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRow {
    pub state: State,
    pub reason: String,
    pub confidence: Confidence,
    pub version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    pub since: Stamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_known: Option<LastKnown>,
}

/// The last definite state, kept beside an `unknown` one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastKnown {
    pub state: State,
    pub reason: String,
    /// When something last confirmed it, which is before it was given up.
    pub at: WallMs,
}

/// What fusion concludes, before it becomes a row with a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub state: State,
    pub reason: String,
    pub confidence: Confidence,
    pub source: Option<Source>,
}

impl Verdict {
    pub(crate) fn unknown(reason: &str, confidence: Confidence) -> Self {
        Self { state: State::Unknown, reason: reason.to_owned(), confidence, source: None }
    }

    /// Whether `row` already shows exactly this.
    pub fn is_shown_by(&self, row: &StateRow) -> bool {
        (self.state, &self.reason, self.confidence, self.source)
            == (row.state, &row.reason, row.confidence, row.source)
    }
}

/// All that fusion looks at.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    pub evidence: &'a Evidence,
    pub sight: Sight,
    pub health: Health,
    /// The pane holds a living process.
    pub alive: bool,
    /// An agent was recognised in the runtime.
    pub has_agent: bool,
    /// What is said of it may be interpreted: nobody turned its adapter off.
    pub supported: bool,
}

/// The one place where a state is concluded.
pub fn fuse(circumstances: &Circumstances<'_>, now: Now, settings: &Settings) -> Verdict {
    let Circumstances { evidence, sight, health, alive, has_agent, supported } = circumstances;
    if *health == Health::Down {
        return Verdict::unknown(reason::TARGET_UNREACHABLE, Confidence::Low);
    }
    if !alive {
        return Verdict::unknown(reason::PROCESS_EXITED, Confidence::High);
    }
    if !supported {
        return Verdict::unknown(reason::UNSUPPORTED_SIGNAL, Confidence::Low);
    }
    match evidence.winner(sight, now, settings) {
        Some((source, heard)) => shown(source, heard, now, settings),
        None if evidence.heads().next().is_some() => {
            Verdict::unknown(reason::STALE_SIGNAL, Confidence::Low)
        }
        None if *has_agent => Verdict::unknown(reason::INCONCLUSIVE, Confidence::Low),
        None => Verdict::unknown(reason::NO_AGENT, Confidence::High),
    }
}

/// A believed claim as it is shown now: `completed` is news only for a while.
fn shown(source: Source, heard: &Heard, now: Now, settings: &Settings) -> Verdict {
    let Claim { state, reason, confidence } = heard.claim.clone();
    let demoted =
        state == State::Completed && now.since(heard.ingested_at) >= settings.completed_ttl_ms;
    if demoted {
        return Verdict {
            state: State::Idle,
            reason: reason::COMPLETED_DEMOTED.to_owned(),
            confidence: Confidence::Medium,
            source: Some(source),
        };
    }
    Verdict { state, reason, confidence, source: Some(source) }
}
