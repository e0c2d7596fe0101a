//! When to look, and at what. Pure: told what happened and what time it is, it says what is due.
//!
//! Events hurry a look, they never replace one. A first event is answered at once; while more come,
//! looks are spaced by what they cost, so that watching never takes more than a small share of
//! tmux's time.

use std::collections::{BTreeMap, BTreeSet};

use engine::ids::PaneId;
use engine::time::MonoMs;

/// How long the first look waits for the event's own consequences.
const FIRST_LOOK_MS: i64 = 2;
/// A look may take this share of the time: one tenth.
const COST_FACTOR: i64 = 10;
/// The least and the longest time between two hurried looks.
const SPACING_MS: (i64, i64) = (10, 1_000);

/// From one check of a pane that prints to the next.
const CHECK_STEPS_MS: [i64; 7] = [8, 40, 100, 250, 500, 1_000, 2_000];
/// The least time from output to the check that answers it: the program writes before it acts.
const CHECK_DELAY_MS: i64 = CHECK_STEPS_MS[0];
/// From this step on checks of several panes share the moment.
const SHARED_STEP: usize = 4;
const SHARED_MS: i64 = 250;
/// Silence after which a pane's next output is answered quickly again.
const QUIET_MS: i64 = 300;
/// Second looks at a pane that printed and then said no more: a command begins after its echo.
const AFTER_MS: [i64; 2] = [40, 150];
/// Quick answers that a pane has in store, and how long it takes to earn one more.
const QUICK_MAX: i64 = 32;
const QUICK_REFILL_MS: i64 = 2_000;

/// The least time between two reports that a pane printed.
const PRINTED_MS: i64 = 250;

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

/// How one pane is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Check {
    /// Its processes only, where they can be read; tmux is asked if they changed.
    Glance,
    /// tmux is asked.
    Ask,
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
    spacing_ms: i64,
    /// How often nothing was found in a row.
    quiet_looks: u32,
    /// When tmux was last asked about everything, and how often in a row for nothing.
    last_asked: MonoMs,
    quiet_asks: u32,
    pulse_at: MonoMs,
    full_at: MonoMs,
    bursts: BTreeMap<PaneId, Burst>,
    printed: Printed,
}

impl Agenda {
    pub(super) fn new(pace: Pace, now: MonoMs) -> Self {
        Self {
            pace,
            hurried: Some((Scope::FULL, now)),
            last_look: now,
            spacing_ms: SPACING_MS.0,
            quiet_looks: 0,
            last_asked: now,
            quiet_asks: 0,
            pulse_at: plus(now, pace.active_ms),
            full_at: plus(now, pace.full_ms),
            bursts: BTreeMap::new(),
            printed: Printed::default(),
        }
    }

    /// Something happened that only a look at everything can explain.
    pub(super) fn hurry(&mut self, scope: Scope, now: MonoMs) {
        self.quiet_looks = 0;
        let due = plus(now, FIRST_LOOK_MS).max(plus(self.last_asked, self.spacing_ms));
        self.hurried = Some(match self.hurried {
            Some((wanted, earlier)) => (wanted.or(scope), earlier.min(due)),
            None => (scope, due),
        });
    }

    /// A pane printed something.
    pub(super) fn output(&mut self, pane: PaneId, now: MonoMs) {
        self.quiet_looks = 0;
        self.bursts.entry(pane).or_insert_with(|| Burst::new(now)).output(now);
        self.printed.add(pane, now);
    }

    /// Something about one pane may have changed.
    pub(super) fn suspect(&mut self, pane: PaneId, now: MonoMs) {
        self.quiet_looks = 0;
        self.bursts.entry(pane).or_insert_with(|| Burst::new(now)).output(now);
    }

    pub(super) fn forget(&mut self, pane: PaneId) {
        self.bursts.remove(&pane);
        self.printed.forget(pane);
    }

    /// When the next thing is due.
    pub(super) fn next_due(&self) -> MonoMs {
        let hurried = self.hurried.map(|(_, due)| due);
        let checks = self.bursts.values().filter_map(Burst::due);
        let regular = [self.regular_due(), self.full_at, self.pulse_at];
        let all = hurried.into_iter().chain(checks).chain(self.printed.due()).chain(regular);
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
        let regular = (self.regular_due() <= now).then_some(Scope::BRIEF);
        let due = [hurried, full, regular].into_iter().flatten().reduce(Scope::or);
        if self.pulse_at <= now {
            self.pulse_at = plus(now, self.pace.active_ms);
            let may_ask = plus(self.last_asked, self.backed_off(self.quiet_asks)) <= now;
            if due.is_none() && may_ask && stirred() {
                return Some(Scope::BRIEF);
            }
        }
        due
    }

    /// A look at everything has ended that began at `began` and found something new, or nothing.
    pub(super) fn looked(&mut self, scope: Scope, began: MonoMs, now: MonoMs, found: bool) {
        let cost_ms = now.0.saturating_sub(began.0);
        self.spacing_ms = (cost_ms * COST_FACTOR).clamp(SPACING_MS.0, SPACING_MS.1);
        self.last_asked = now;
        self.quiet_asks = if found { 0 } else { self.quiet_asks.saturating_add(1) };
        if scope.full {
            self.full_at = plus(now, self.pace.full_ms);
        }
        self.glanced(now, found);
    }

    /// The processes of all panes were looked at, and tmux had no need to be asked.
    pub(super) fn glanced(&mut self, now: MonoMs, found: bool) {
        self.last_look = now;
        self.quiet_looks = if found { 0 } else { self.quiet_looks.saturating_add(1) };
    }

    /// The panes whose check is due, and how they are to be checked.
    pub(super) fn take_checks(&mut self, now: MonoMs) -> BTreeMap<PaneId, Check> {
        let due = |(pane, burst): (&PaneId, &mut Burst)| Some((*pane, burst.take(now)?));
        let checks = self.bursts.iter_mut().filter_map(due).collect();
        self.bursts.retain(|_, burst| !burst.is_over(now));
        checks
    }

    /// The panes of which it is time to say that they printed.
    pub(super) fn take_printed(&mut self, now: MonoMs) -> Vec<PaneId> {
        self.printed.take(now)
    }

    fn regular_due(&self) -> MonoMs {
        plus(self.last_look, self.backed_off(self.quiet_looks))
    }

    /// The active interval, doubled with each look for nothing, up to the idle one.
    fn backed_off(&self, quiet: u32) -> i64 {
        let doubled = self.pace.active_ms.saturating_mul(1 << quiet.saturating_sub(1).min(16));
        doubled.min(self.pace.idle_ms).max(self.pace.active_ms)
    }
}

fn plus(moment: MonoMs, ms: i64) -> MonoMs {
    MonoMs(moment.0.saturating_add(ms))
}

/// The checks of one pane that prints.
#[derive(Debug)]
struct Burst {
    step: usize,
    next: Option<(MonoMs, Check)>,
    last_output: MonoMs,
    last_asked: MonoMs,
    /// Second looks still to come.
    after: std::array::IntoIter<i64, 2>,
    /// Earned quick answers, in units of their refill time.
    credit_ms: i64,
    credited: MonoMs,
}

impl Burst {
    fn new(now: MonoMs) -> Self {
        let never = MonoMs(i64::MIN / 2);
        Self {
            step: 0,
            next: None,
            last_output: never,
            last_asked: never,
            after: AFTER_MS.into_iter(),
            credit_ms: QUICK_MAX * QUICK_REFILL_MS,
            credited: now,
        }
    }

    fn output(&mut self, now: MonoMs) {
        let earned = now.0.saturating_sub(self.credited.0);
        self.credit_ms = (self.credit_ms + earned).min(QUICK_MAX * QUICK_REFILL_MS);
        self.credited = now;
        let quiet = now.0.saturating_sub(self.last_output.0) > QUIET_MS;
        if quiet && self.credit_ms >= QUICK_REFILL_MS {
            self.credit_ms -= QUICK_REFILL_MS;
            self.step = 0;
        }
        self.last_output = now;
        if !matches!(self.next, Some((_, Check::Ask))) {
            let due = plus(self.last_asked, CHECK_STEPS_MS[self.step]);
            let due = due.max(plus(now, CHECK_DELAY_MS));
            self.next = Some((shared(due, self.step), Check::Ask));
        }
    }

    fn due(&self) -> Option<MonoMs> {
        self.next.map(|(due, _)| due)
    }

    fn take(&mut self, now: MonoMs) -> Option<Check> {
        let (_, check) = self.next.take_if(|(due, _)| *due <= now)?;
        if check == Check::Ask {
            self.last_asked = now;
            self.step = (self.step + 1).min(CHECK_STEPS_MS.len() - 1);
            self.after = AFTER_MS.into_iter();
        }
        self.next = self.after.next().map(|ms| (plus(now, ms), Check::Glance));
        Some(check)
    }

    /// Nothing to do any more, and nothing left to remember.
    fn is_over(&self, now: MonoMs) -> bool {
        let since = now.0.saturating_sub(self.credited.0);
        self.next.is_none() && self.credit_ms + since >= QUICK_MAX * QUICK_REFILL_MS
    }
}

/// Late steps of all panes fall on the same moments, so that one question serves many.
fn shared(due: MonoMs, step: usize) -> MonoMs {
    if step < SHARED_STEP {
        return due;
    }
    MonoMs(due.0.saturating_add(SHARED_MS - 1).div_euclid(SHARED_MS) * SHARED_MS)
}

/// Panes that printed, reported at most so often.
#[derive(Debug, Default)]
struct Printed {
    pending: BTreeSet<PaneId>,
    reported: BTreeMap<PaneId, MonoMs>,
}

impl Printed {
    fn add(&mut self, pane: PaneId, _now: MonoMs) {
        self.pending.insert(pane);
    }

    fn forget(&mut self, pane: PaneId) {
        self.pending.remove(&pane);
        self.reported.remove(&pane);
    }

    fn due_of(&self, pane: &PaneId) -> MonoMs {
        self.reported.get(pane).map_or(MonoMs(i64::MIN), |at| plus(*at, PRINTED_MS))
    }

    fn due(&self) -> Option<MonoMs> {
        self.pending.iter().map(|pane| self.due_of(pane)).min()
    }

    fn take(&mut self, now: MonoMs) -> Vec<PaneId> {
        let due: Vec<PaneId> =
            self.pending.iter().copied().filter(|pane| self.due_of(pane) <= now).collect();
        for pane in &due {
            self.pending.remove(pane);
            self.reported.insert(*pane, now);
        }
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
        let mut agenda = Agenda::new(PACE, MonoMs(0));
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
    fn a_server_that_stirred_in_its_sleep_is_looked_at_within_the_active_pace() {
        let mut agenda = settled();
        looks(&mut agenda, 36_000, |_| false);
        agenda.last_asked = MonoMs(0);
        let next = looks(&mut agenda, 40_000, |now| now >= 37_000);
        assert_eq!(next.first(), Some(&(38_000, Scope::BRIEF)));
    }

    #[test]
    fn a_server_that_stirs_for_nothing_is_looked_at_ever_more_rarely() {
        let times: Vec<i64> =
            looks(&mut settled(), 45_000, |_| true).into_iter().map(|(at, _)| at).collect();
        assert_eq!(times, [2_000, 4_000, 8_000, 16_000, 26_000, 36_000]);
    }

    #[test]
    fn the_first_hurried_look_comes_at_once_and_the_next_when_its_cost_allows() {
        let mut agenda = settled();
        agenda.hurry(Scope::BRIEF, MonoMs(1_000));
        agenda.hurry(Scope::TOPOLOGY, MonoMs(1_001));
        assert_eq!(agenda.next_due(), MonoMs(1_002));
        assert_eq!(agenda.take_look(MonoMs(1_002), || false), Some(Scope::TOPOLOGY));
        agenda.looked(Scope::TOPOLOGY, MonoMs(1_002), MonoMs(1_009), true);
        agenda.hurry(Scope::BRIEF, MonoMs(1_010));
        assert_eq!(agenda.next_due(), MonoMs(1_079), "seven milliseconds cost seventy");
        assert_eq!(agenda.take_look(MonoMs(1_078), || false), None);
        agenda.looked(Scope::BRIEF, MonoMs(1_079), MonoMs(9_079), true);
        agenda.hurry(Scope::BRIEF, MonoMs(9_080));
        assert_eq!(agenda.take_look(MonoMs(10_079), || false), Some(Scope::BRIEF), "at most 1 s");
    }

    /// The checks of a pane that prints at the times of `outputs`, until `end`.
    fn checks(outputs: impl IntoIterator<Item = i64>, end: i64) -> Vec<(i64, Check)> {
        let mut agenda = settled();
        agenda.full_at = MonoMs(i64::MAX);
        agenda.last_look = MonoMs(i64::MAX / 2);
        agenda.pulse_at = MonoMs(i64::MAX);
        let mut outputs = outputs.into_iter().peekable();
        let mut checks = Vec::new();
        loop {
            let due = agenda.next_due();
            let output = outputs.next_if(|at| *at <= due.0.min(end)).map(MonoMs);
            if let Some(at) = output {
                agenda.output(PANE, at);
                agenda.take_printed(at);
                continue;
            }
            if due.0 > end {
                return checks;
            }
            agenda.take_printed(due);
            checks.extend(agenda.take_checks(due).into_values().map(|check| (due.0, check)));
        }
    }

    #[test]
    fn a_single_line_is_checked_soon_and_its_processes_twice_more() {
        use Check::{Ask, Glance};
        assert_eq!(checks([1_000], 9_000), [(1_008, Ask), (1_048, Glance), (1_198, Glance)]);
    }

    #[test]
    fn a_busy_pane_is_checked_ever_more_rarely() {
        let asked: Vec<i64> = checks((0..200).map(|line| line * 100), 20_000)
            .into_iter()
            .filter(|(_, check)| *check == Check::Ask)
            .map(|(at, _)| at)
            .collect();
        assert_eq!(asked[..5], [8, 108, 208, 458, 1_000]);
        let steady: Vec<i64> = asked.iter().copied().filter(|at| *at > 4_000).collect();
        assert!(steady.windows(2).all(|pair| pair[1] - pair[0] >= 2_000), "{asked:?}");
        assert!(*asked.last().unwrap() >= 19_900, "what comes last is checked too: {asked:?}");
    }

    #[test]
    fn after_a_silence_a_pane_is_checked_quickly_until_its_store_is_used_up() {
        let quick = |lines: i64, apart: i64| {
            let outputs: Vec<i64> = (0..lines).map(|line| 1_000 + line * apart).collect();
            let answers = checks(outputs.clone(), 1_000 + lines * apart);
            let soon = |at: &&i64| answers.contains(&(**at + CHECK_DELAY_MS, Check::Ask));
            outputs.iter().filter(soon).count()
        };
        assert_eq!(quick(10, 500), 10);
        let many = quick(400, 320);
        assert!((32..300).contains(&many), "{many} of 400");
    }

    #[test]
    fn late_checks_of_many_panes_fall_together() {
        let mut agenda = settled();
        for pane in 0..50 {
            for line in 0..100 {
                agenda.output(PaneId(pane), MonoMs(i64::from(pane) * 7 + line * 100));
                agenda.take_checks(MonoMs(i64::from(pane) * 7 + line * 100 + 50));
            }
        }
        let moments: BTreeSet<i64> =
            agenda.bursts.values().filter_map(Burst::due).map(|due| due.0).collect();
        assert!(moments.len() <= 4, "{moments:?}");
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
