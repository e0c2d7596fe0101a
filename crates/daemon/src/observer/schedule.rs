//! When to look, and at what. Pure: told what happened and what time it is, it says what is due.
//!
//! Events hurry a look, they never replace one. Events are answered at once; where they go on and
//! on, looks are spaced by what they cost, so that watching never takes more than a small share of
//! tmux's time.

use std::collections::BTreeMap;

use engine::ids::PaneId;
use engine::time::MonoMs;

use super::bursts::{Bursts, Check, on_grid};

/// How long a look waits for the event's own consequences.
const FIRST_LOOK_MS: i64 = 1;
/// Hurried looks may take this share of tmux's time: one tenth.
const COST_FACTOR: i64 = 10;
/// What they may take at once after a while of rest, and the longest that one has to wait.
const COST_STORE_MS: i64 = 100;
const WAIT_MS_MAX: i64 = 1_000;

/// Full looks at what rests and tells of itself are so many times as rare.
const RESTING_FACTOR: i64 = 10;

/// The least time between two reports that a pane printed.
const PRINTED_MS: i64 = 250;
/// Silence after which it is reported at once that a pane prints again.
const PRINTED_SILENCE_MS: i64 = 5_000;

/// What a look has to find out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// All fields of all panes.
    pub full: bool,
    /// The sessions and their names.
    pub sessions: bool,
    /// The clients, for the hub's sake.
    pub clients: bool,
    /// Report everything, changed or not.
    pub whole: bool,
}

impl Scope {
    pub(super) const BRIEF: Self =
        Self { full: false, sessions: false, clients: false, whole: false };
    pub(super) const TOPOLOGY: Self = Self { sessions: true, clients: true, ..Self::BRIEF };
    pub(super) const WHOLE: Self = Self { whole: true, ..Self::TOPOLOGY };
    pub(super) const FULL: Self = Self { full: true, ..Self::WHOLE };

    fn or(self, other: Self) -> Self {
        Self {
            full: self.full || other.full,
            sessions: self.sessions || other.sessions,
            clients: self.clients || other.clients,
            whole: self.whole || other.whole,
        }
    }
}

/// The times that a user may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub active_ms: i64,
    pub idle_ms: i64,
    pub full_ms: i64,
}

/// Everything that is to be done, and when.
#[derive(Debug)]
pub(super) struct Agenda {
    pace: Pace,
    hurried: Option<(Scope, MonoMs)>,
    last_look: MonoMs,
    allowance: Allowance,
    /// How often nothing was found in a row.
    quiet_looks: u32,
    /// When tmux was last asked about everything, and how often in a row for nothing.
    last_asked: MonoMs,
    quiet_asks: u32,
    pulse_at: MonoMs,
    full_at: MonoMs,
    bursts: Bursts,
    printed: Printed,
    /// tmux tells by itself of whatever changes, so nobody looks at everything by the clock.
    told: bool,
}

impl Agenda {
    /// `glances` tells whether processes can be read without asking tmux.
    pub(super) fn new(pace: Pace, glances: bool, now: MonoMs) -> Self {
        Self {
            pace,
            hurried: Some((Scope::FULL, now)),
            last_look: now,
            allowance: Allowance { left_ms: COST_STORE_MS, filled: now },
            quiet_looks: 0,
            last_asked: now,
            quiet_asks: 0,
            pulse_at: plus(now, pace.active_ms),
            full_at: plus(now, pace.full_ms),
            bursts: Bursts::new(glances),
            printed: Printed::default(),
            told: false,
        }
    }

    /// From now on tmux tells of whatever changes.
    pub(super) fn tells(&mut self) {
        self.told = true;
        self.full_at = plus(self.full_at, self.pace.full_ms.saturating_mul(RESTING_FACTOR - 1));
    }

    /// Something moved where tmux tells of it: the next full look comes as soon as ever. It finds what
    /// nobody tells, such as an agent that a program in the foreground started.
    pub(super) fn rouse(&mut self, now: MonoMs) {
        if self.told {
            self.full_at = self.full_at.min(plus(now, self.pace.full_ms));
        }
    }

    /// Whether nothing was heard of the server for so long that it has to say it is there.
    pub(super) fn wants_sign_of_life(&self, now: MonoMs) -> bool {
        self.told && self.regular_due() <= now
    }

    /// Something happened that only a look at everything can explain.
    pub(super) fn hurry(&mut self, scope: Scope, now: MonoMs) {
        self.quiet_looks = 0;
        let due = plus(now, FIRST_LOOK_MS).max(self.allowance.free_at(now));
        self.hurried = Some(match self.hurried {
            Some((wanted, earlier)) => (wanted.or(scope), earlier.min(due)),
            None => (scope, due),
        });
    }

    /// A pane printed something.
    pub(super) fn output(&mut self, pane: PaneId, now: MonoMs) {
        self.stir(pane, now);
        self.printed.add(pane, now);
    }

    /// Something may be about to change in one pane.
    pub(super) fn stir(&mut self, pane: PaneId, now: MonoMs) {
        self.quiet_looks = 0;
        self.bursts.stir(pane, now);
    }

    /// Something has changed in one pane, and only tmux can tell what.
    pub(super) fn suspect(&mut self, pane: PaneId, now: MonoMs) {
        self.quiet_looks = 0;
        self.bursts.suspect(pane, now);
    }

    /// Another program is in the foreground of a pane: says whether to ask tmux about it at once.
    pub(super) fn may_ask(&mut self, pane: PaneId, now: MonoMs) -> bool {
        self.quiet_looks = 0;
        self.bursts.may_ask(pane, now)
    }

    /// Another program began in a pane, and is no agent.
    pub(super) fn began(&mut self, pane: PaneId, now: MonoMs) {
        self.bursts.began(pane, now);
    }

    pub(super) fn forget(&mut self, pane: PaneId) {
        self.bursts.forget(pane);
        self.printed.forget(pane);
    }

    /// When the next thing is due.
    pub(super) fn next_due(&self) -> MonoMs {
        let hurried = self.hurried.map(|(_, due)| due);
        let pulse = if self.told { self.full_at } else { self.pulse_at };
        let regular = [self.regular_due(), self.full_at, pulse];
        let told = hurried.into_iter().chain(self.bursts.due()).chain(self.printed.due());
        let all = told.chain(regular);
        all.min().unwrap_or(self.full_at)
    }

    /// The look that is due, if one is. `stirred` says whether the server did anything since it
    /// was last asked; it is called at most once each active interval.
    pub(super) fn take_look(
        &mut self,
        now: MonoMs,
        stirred: impl FnOnce() -> bool,
    ) -> Option<Scope> {
        let hurried = self.hurried.take_if(|(_, due)| *due <= now).map(|(scope, _)| scope);
        let full = (self.full_at <= now).then_some(Scope::FULL);
        let pulse = !self.told && self.pulse_at <= now;
        // What a pulse finds nearly due is done with it: to wake costs more than to look.
        let soon = if pulse { plus(now, self.pulse_ms() / 2) } else { now };
        let regular = (!self.told && self.regular_due() <= soon).then_some(Scope::BRIEF);
        let due = [hurried, full, regular].into_iter().flatten().reduce(Scope::or);
        if pulse {
            self.pulse_at = plus(now, self.pulse_ms());
            let may_ask = plus(self.last_asked, self.backed_off(self.quiet_asks)) <= now;
            if due.is_none() && may_ask && stirred() {
                return Some(Scope::BRIEF);
            }
        }
        due
    }

    /// A look at everything has ended that began at `began` and found something new, or nothing.
    pub(super) fn looked(&mut self, scope: Scope, began: MonoMs, now: MonoMs, found: bool) {
        self.allowance.spend(now.0.saturating_sub(began.0), now);
        self.last_asked = now;
        self.quiet_asks = if found { 0 } else { self.quiet_asks.saturating_add(1) };
        if scope.full {
            let factor = if self.told { RESTING_FACTOR } else { 1 };
            self.full_at = plus(now, self.pace.full_ms.saturating_mul(factor));
        }
        self.glanced(now, found);
    }

    /// Whether tmux was asked about everything since then.
    pub(super) fn asked_since(&self, then: MonoMs) -> bool {
        self.last_asked >= then
    }

    /// The processes of all panes were looked at, and tmux had no need to be asked.
    pub(super) fn glanced(&mut self, now: MonoMs, found: bool) {
        self.last_look = now;
        self.quiet_looks = if found { 0 } else { self.quiet_looks.saturating_add(1) };
        self.pulse_at = plus(now, self.pulse_ms());
    }

    /// The panes whose check is due, and how they are to be checked.
    pub(super) fn take_checks(&mut self, now: MonoMs) -> BTreeMap<PaneId, Check> {
        self.bursts.take(now)
    }

    /// The panes of which it is time to say that they printed.
    pub(super) fn take_printed(&mut self, now: MonoMs) -> Vec<PaneId> {
        self.printed.take(now)
    }

    /// From one reading of whether the server ran to the next: half as long as between two looks,
    /// once these have become as rare as they get.
    fn pulse_ms(&self) -> i64 {
        let rare = self.backed_off(self.quiet_looks) >= self.pace.idle_ms;
        if rare { (self.pace.idle_ms / 2).max(self.pace.active_ms) } else { self.pace.active_ms }
    }

    fn regular_due(&self) -> MonoMs {
        let pause = if self.told { self.pace.idle_ms } else { self.backed_off(self.quiet_looks) };
        plus(self.last_look, pause)
    }

    /// The active interval, doubled with each look for nothing, up to the idle one.
    fn backed_off(&self, quiet: u32) -> i64 {
        let doubled = self.pace.active_ms.saturating_mul(1 << quiet.saturating_sub(1).min(16));
        doubled.min(self.pace.idle_ms).max(self.pace.active_ms)
    }
}

pub(super) fn plus(moment: MonoMs, ms: i64) -> MonoMs {
    MonoMs(moment.0.saturating_add(ms))
}

/// What hurried looks may still take of tmux's time. It is measured in the time that they take
/// themselves, so a server that is busy with other things is left alone the more.
#[derive(Debug)]
struct Allowance {
    left_ms: i64,
    filled: MonoMs,
}

impl Allowance {
    fn fill(&mut self, now: MonoMs) {
        let gained = now.0.saturating_sub(self.filled.0) / COST_FACTOR;
        self.left_ms = self.left_ms.saturating_add(gained).min(COST_STORE_MS);
        self.filled = plus(self.filled, gained * COST_FACTOR);
    }

    /// When the next look may begin.
    fn free_at(&mut self, now: MonoMs) -> MonoMs {
        self.fill(now);
        let missing = 1_i64.saturating_sub(self.left_ms).max(0);
        plus(now, missing * COST_FACTOR)
    }

    /// A look took so long. Even the shortest costs something.
    fn spend(&mut self, cost_ms: i64, now: MonoMs) {
        self.fill(now);
        let least = 1 - WAIT_MS_MAX / COST_FACTOR;
        self.left_ms = self.left_ms.saturating_sub(cost_ms.max(1)).max(least);
    }
}

/// Panes that printed, and when to report it. What follows a silence is reported at once; what
/// goes on is reported seldom, for all panes in one go.
#[derive(Debug, Default)]
struct Printed {
    pending: BTreeMap<PaneId, MonoMs>,
    reported: BTreeMap<PaneId, MonoMs>,
}

impl Printed {
    fn add(&mut self, pane: PaneId, now: MonoMs) {
        let reported = self.reported.get(&pane);
        let goes_on = reported.filter(|at| now.0.saturating_sub(at.0) < PRINTED_SILENCE_MS);
        let due = goes_on.map_or(now, |at| on_grid(plus(*at, PRINTED_MS).max(now), PRINTED_MS));
        self.pending.entry(pane).or_insert(due);
    }

    fn forget(&mut self, pane: PaneId) {
        self.pending.remove(&pane);
        self.reported.remove(&pane);
    }

    fn due(&self) -> Option<MonoMs> {
        self.pending.values().min().copied()
    }

    fn take(&mut self, now: MonoMs) -> Vec<PaneId> {
        let is_due = |_: &PaneId, due: &mut MonoMs| *due <= now;
        let due: Vec<PaneId> = self.pending.extract_if(.., is_due).map(|(pane, _)| pane).collect();
        self.reported.extend(due.iter().map(|pane| (*pane, now)));
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { active_ms: 2_000, idle_ms: 10_000, full_ms: 60_000 };
    const PANE: PaneId = PaneId(1);

    /// An agenda at time zero whose first look is done.
    fn settled() -> Agenda {
        let mut agenda = Agenda::new(PACE, true, MonoMs(0));
        assert_eq!(agenda.take_look(MonoMs(0), || false), Some(Scope::FULL));
        agenda.looked(Scope::FULL, MonoMs(0), MonoMs(0), true);
        agenda
    }

    /// The times at which looks fall due until `end`, each taking no time and finding nothing.
    fn looks(agenda: &mut Agenda, end: i64, stirred: impl Fn(i64) -> bool) -> Vec<(i64, Scope)> {
        let mut looks = Vec::new();
        loop {
            let now = agenda.next_due();
            if now.0 > end {
                return looks;
            }
            if let Some(scope) = agenda.take_look(now, || stirred(now.0)) {
                looks.push((now.0, scope));
                agenda.looked(scope, now, now, false);
            }
        }
    }

    #[test]
    fn regular_looks_back_off_to_the_idle_pace_and_a_full_one_comes_each_minute() {
        let brief = Scope::BRIEF;
        assert_eq!(
            looks(&mut settled(), 61_000, |_| false),
            [
                (2_000, brief),
                (4_000, brief),
                (8_000, brief),
                (16_000, brief),
                (26_000, brief),
                (36_000, brief),
                (46_000, brief),
                (56_000, brief),
                (60_000, Scope::FULL),
            ]
        );
    }

    #[test]
    fn a_server_that_stirred_in_its_sleep_is_looked_at_before_the_next_regular_look() {
        let mut agenda = settled();
        looks(&mut agenda, 36_000, |_| false);
        agenda.last_asked = MonoMs(0);
        let next = looks(&mut agenda, 45_000, |now| now >= 37_000);
        assert_eq!(next.first(), Some(&(41_000, Scope::BRIEF)));
    }

    #[test]
    fn a_server_that_stirs_for_nothing_is_looked_at_ever_more_rarely() {
        let times: Vec<i64> =
            looks(&mut settled(), 45_000, |_| true).into_iter().map(|(at, _)| at).collect();
        assert_eq!(times, [2_000, 4_000, 8_000, 16_000, 26_000, 36_000]);
    }

    #[test]
    fn what_tells_by_itself_is_looked_at_fully_and_rarely_and_asked_for_signs_of_life() {
        let mut agenda = settled();
        agenda.tells();
        assert_eq!(agenda.full_at, MonoMs(600_000));
        let mut signs = Vec::new();
        loop {
            let now = agenda.next_due();
            if let Some(scope) = agenda.take_look(now, || panic!("nobody reads whether it ran")) {
                assert_eq!((now, scope), (MonoMs(600_000), Scope::FULL));
                break;
            }
            assert!(agenda.wants_sign_of_life(now), "there is no other reason to wake");
            signs.push(now.0);
            agenda.glanced(now, false);
        }
        assert_eq!(signs.len(), 59);
        assert!(signs.windows(2).all(|pair| pair[1] - pair[0] == 10_000), "{signs:?}");
    }

    #[test]
    fn what_moved_is_looked_at_fully_within_the_usual_time() {
        let mut agenda = settled();
        agenda.rouse(MonoMs(1_000));
        assert_eq!(agenda.full_at, MonoMs(60_000), "where nobody tells nothing is changed");
        agenda.tells();
        for at in [70_000, 80_000] {
            agenda.rouse(MonoMs(at));
            assert_eq!(agenda.full_at, MonoMs(130_000));
        }
        agenda.looked(Scope::FULL, MonoMs(130_000), MonoMs(130_000), true);
        assert_eq!(agenda.full_at, MonoMs(730_000));
    }

    #[test]
    fn hurried_looks_come_at_once_until_they_took_more_than_their_share() {
        let mut agenda = settled();
        agenda.full_at = MonoMs(i64::MAX);
        let mut now = MonoMs(1_000);
        let mut began = Vec::new();
        for _ in 0..60 {
            agenda.hurry(Scope::BRIEF, now);
            agenda.hurry(Scope::TOPOLOGY, plus(now, 1));
            let due = agenda.next_due();
            assert_eq!(agenda.take_look(due, || false), Some(Scope::TOPOLOGY));
            began.push(due.0);
            now = plus(due, 7);
            agenda.looked(Scope::TOPOLOGY, due, now, true);
        }
        let apart: Vec<i64> = began.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(apart[..14].iter().all(|&ms| ms == 8), "the look and a moment: {apart:?}");
        let later = &apart[40..];
        let mean = later.iter().sum::<i64>() / i64::try_from(later.len()).unwrap();
        assert!((65..=75).contains(&mean), "seven milliseconds cost seventy: {apart:?}");
    }

    #[test]
    fn a_look_that_took_very_long_is_not_atoned_for_more_than_a_second() {
        let mut agenda = settled();
        agenda.looked(Scope::BRIEF, MonoMs(0), MonoMs(60_000), true);
        agenda.hurry(Scope::BRIEF, MonoMs(60_000));
        assert_eq!(agenda.take_look(MonoMs(60_999), || false), Some(Scope::FULL), "is due anyway");
        agenda.looked(Scope::FULL, MonoMs(60_999), MonoMs(60_999), true);
        agenda.hurry(Scope::BRIEF, MonoMs(60_999));
        assert!(agenda.next_due() <= MonoMs(62_100), "{:?}", agenda.next_due());
    }

    #[test]
    fn a_pane_that_prints_on_is_reported_a_few_times_a_second() {
        let mut agenda = settled();
        let mut reports = Vec::new();
        for at in (0..1_000).step_by(10) {
            agenda.output(PANE, MonoMs(at));
            if !agenda.take_printed(MonoMs(at)).is_empty() {
                reports.push(at);
            }
        }
        assert_eq!(reports, [0, 250, 500, 750]);
    }

    #[test]
    fn what_is_forgotten_is_never_due_again() {
        let mut agenda = settled();
        agenda.output(PANE, MonoMs(5));
        agenda.forget(PANE);
        assert!(agenda.take_printed(MonoMs(9_999)).is_empty());
        assert!(agenda.take_checks(MonoMs(9_999)).is_empty());
    }
}
