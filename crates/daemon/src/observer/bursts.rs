//! How closely panes that print are followed. Pure, like the schedule that it belongs to.
//!
//! Two questions, two prices. Which program is in the foreground stands in `/proc`, and costs
//! microseconds: as long as a pane is lively that is read on a grid, all lively panes in one go,
//! the more of them the more rarely. Everything else only tmux knows, and pays for it with time
//! that its panes have to wait: a pane that was silent is asked about at once, one that prints on
//! ever more rarely.

use std::collections::BTreeMap;

use engine::ids::PaneId;
use engine::time::MonoMs;

use super::schedule::plus;

/// From one question about a pane that prints to the next.
const ASK_STEPS_MS: [i64; 7] = [8, 40, 100, 250, 500, 1_000, 2_000];
/// The least time from output to the question that it raises: the program writes before it acts.
const ASK_DELAY_MS: i64 = ASK_STEPS_MS[0];
/// The same where it is certain that there is something to ask for.
const SUSPECT_STEP_MS: i64 = ASK_STEPS_MS[1];
/// From this step on questions about several panes share the moment.
const SHARED_STEP: usize = 4;
const SHARED_MS: i64 = 500;
/// Silence after which a pane's next output is answered quickly again. Silence is heard only while
/// somebody listens, and between an output and its question nobody does.
const QUIET_MS: i64 = 300;
/// Quick answers that a pane has in store, and how long it takes to earn one more.
const QUICK_MAX: i64 = 32;
const QUICK_REFILL_MS: i64 = 2_000;

/// How long after a question a pane stays lively: a command begins after its echo.
const LIVELY_MS: i64 = 200;
/// From one reading of the lively panes' processes to the next: in proportion to their number,
/// within these bounds.
const GLANCE_MS_PER_PANE: i64 = 2;
const GLANCE_MS: (i64, i64) = (20, 250);

/// How long after the last look for one an agent is looked for in a pane in which another program
/// began: what begins may start it, and tell of that by nothing.
const SEARCH_MS: [i64; 7] = [20, 40, 80, 160, 320, 640, 1_280];

/// How one pane is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Check {
    /// Its processes only, where they can be read; tmux is asked if they changed.
    Glance,
    /// The same, and an agent is looked for among them.
    Search,
    /// tmux is asked, and output is listened for again.
    Ask,
}

/// All panes that print or did lately.
#[derive(Debug)]
pub(super) struct Bursts {
    panes: BTreeMap<PaneId, Burst>,
    /// Whether processes can be read at all.
    glances: bool,
    glance_at: Option<MonoMs>,
}

impl Bursts {
    pub(super) fn new(glances: bool) -> Self {
        Self { panes: BTreeMap::new(), glances, glance_at: None }
    }

    /// A pane printed, or something else may be about to change in it.
    pub(super) fn stir(&mut self, pane: PaneId, now: MonoMs) {
        self.burst(pane, now).stir(now);
        if !self.glances {
            return;
        }
        let grid = on_grid(plus(now, 1), self.interval_ms(now));
        self.glance_at = Some(self.glance_at.map_or(grid, |at| at.min(grid)));
    }

    /// Something has changed in a pane, and only tmux can tell what.
    pub(super) fn suspect(&mut self, pane: PaneId, now: MonoMs) {
        self.burst(pane, now).suspect(now);
    }

    /// Another program is in the foreground of a pane: says whether to ask tmux about it at once.
    /// Where programs come and go all the time, that waits for the next question.
    pub(super) fn may_ask(&mut self, pane: PaneId, now: MonoMs) -> bool {
        let burst = self.burst(pane, now);
        if burst.take_quick_answer(now) {
            // What began just now may become another program in a moment.
            burst.lively_until = plus(now, LIVELY_MS);
            return true;
        }
        self.stir(pane, now);
        false
    }

    /// Another program began in a pane, and is no agent.
    pub(super) fn began(&mut self, pane: PaneId, now: MonoMs) {
        if self.glances {
            self.burst(pane, now).search = Some((0, plus(now, SEARCH_MS[0])));
        }
    }

    fn burst(&mut self, pane: PaneId, now: MonoMs) -> &mut Burst {
        self.panes.entry(pane).or_insert_with(|| Burst::new(now))
    }

    pub(super) fn forget(&mut self, pane: PaneId) {
        self.panes.remove(&pane);
    }

    pub(super) fn due(&self) -> Option<MonoMs> {
        let searches = self.panes.values().filter_map(|burst| burst.search);
        let questions = self.panes.values().filter_map(|burst| burst.ask_at);
        questions.chain(searches.map(|(_, at)| at)).chain(self.glance_at).min()
    }

    /// The panes whose check is due, and how they are to be checked.
    pub(super) fn take(&mut self, now: MonoMs) -> BTreeMap<PaneId, Check> {
        let glancing = self.glance_at.is_some_and(|at| at <= now);
        let mut checks = BTreeMap::new();
        for (pane, burst) in &mut self.panes {
            let searches = burst.take_search(now);
            if burst.take_question(now) {
                checks.insert(*pane, Check::Ask);
            } else if searches {
                checks.insert(*pane, Check::Search);
            } else if glancing && burst.is_lively(now) {
                checks.insert(*pane, Check::Glance);
            }
        }
        self.panes.retain(|_, burst| !burst.is_over(now));
        if glancing {
            let lively = self.panes.values().any(|burst| burst.is_lively(now));
            self.glance_at = lively.then(|| on_grid(plus(now, 1), self.interval_ms(now)));
        }
        checks
    }

    fn interval_ms(&self, now: MonoMs) -> i64 {
        let lively = self.panes.values().filter(|burst| burst.is_lively(now)).count();
        let lively = i64::try_from(lively).unwrap_or(i64::MAX);
        lively.saturating_mul(GLANCE_MS_PER_PANE).clamp(GLANCE_MS.0, GLANCE_MS.1)
    }

    #[cfg(test)]
    pub(super) fn next_questions(&self) -> impl Iterator<Item = MonoMs> {
        self.panes.values().filter_map(|burst| burst.ask_at)
    }
}

/// One pane.
#[derive(Debug)]
struct Burst {
    step: usize,
    ask_at: Option<MonoMs>,
    asked: MonoMs,
    /// Since when nothing was heard of it although somebody listened.
    silent_since: MonoMs,
    lively_until: MonoMs,
    /// How often an agent was looked for since a program began, and when that is due again.
    search: Option<(usize, MonoMs)>,
    /// Earned quick answers, in units of their refill time.
    credit_ms: i64,
    credited: MonoMs,
}

impl Burst {
    fn new(now: MonoMs) -> Self {
        let never = MonoMs(i64::MIN / 2);
        Self {
            step: 0,
            ask_at: None,
            asked: never,
            silent_since: never,
            lively_until: never,
            search: None,
            credit_ms: QUICK_MAX * QUICK_REFILL_MS,
            credited: now,
        }
    }

    fn stir(&mut self, now: MonoMs) {
        let quiet = now.0.saturating_sub(self.silent_since.0) > QUIET_MS;
        if quiet && self.take_quick_answer(now) {
            self.step = 0;
        }
        self.silent_since = now;
        if self.ask_at.is_none() {
            let due = plus(self.asked, ASK_STEPS_MS[self.step]).max(plus(now, ASK_DELAY_MS));
            let due = if self.step < SHARED_STEP { due } else { on_grid(due, SHARED_MS) };
            self.ask_at = Some(due);
        }
    }

    fn take_quick_answer(&mut self, now: MonoMs) -> bool {
        let earned = now.0.saturating_sub(self.credited.0);
        self.credit_ms = (self.credit_ms + earned).min(QUICK_MAX * QUICK_REFILL_MS);
        self.credited = now;
        let affordable = self.credit_ms >= QUICK_REFILL_MS;
        if affordable {
            self.credit_ms -= QUICK_REFILL_MS;
        }
        affordable
    }

    fn suspect(&mut self, now: MonoMs) {
        let due = plus(self.asked, SUSPECT_STEP_MS).max(now);
        self.ask_at = Some(self.ask_at.map_or(due, |at| at.min(due)));
    }

    /// Whether it is time to ask about the pane; says so once.
    fn take_question(&mut self, now: MonoMs) -> bool {
        if self.ask_at.take_if(|at| *at <= now).is_none() {
            return false;
        }
        self.asked = now;
        self.silent_since = now;
        self.step = (self.step + 1).min(ASK_STEPS_MS.len() - 1);
        self.lively_until = plus(now, LIVELY_MS);
        true
    }

    /// Whether it is time to look for an agent; says so once.
    fn take_search(&mut self, now: MonoMs) -> bool {
        let Some((times, _)) = self.search.take_if(|(_, at)| *at <= now) else { return false };
        let next = times + 1;
        self.search = SEARCH_MS.get(next).map(|ms| (next, plus(now, *ms)));
        true
    }

    fn is_lively(&self, now: MonoMs) -> bool {
        self.ask_at.is_some() || now < self.lively_until
    }

    /// Nothing to do any more, and nothing left to remember.
    fn is_over(&self, now: MonoMs) -> bool {
        let since = now.0.saturating_sub(self.credited.0);
        let searched = self.search.is_none();
        searched && !self.is_lively(now) && self.credit_ms + since >= QUICK_MAX * QUICK_REFILL_MS
    }
}

/// The next moment of a grid of `ms` at or after `moment`: whatever waits for it shares it.
pub(super) fn on_grid(moment: MonoMs, ms: i64) -> MonoMs {
    MonoMs(moment.0.saturating_add(ms - 1).div_euclid(ms) * ms)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PANE: PaneId = PaneId(1);

    /// The checks of a pane that prints at the times of `outputs`, until `end`. What it prints
    /// between an output that was told and the next question is not told.
    fn checks(outputs: impl IntoIterator<Item = i64>, end: i64) -> Vec<(i64, Check)> {
        let mut bursts = Bursts::new(true);
        let mut outputs = outputs.into_iter().peekable();
        let (mut checks, mut listening) = (Vec::new(), true);
        loop {
            let due = bursts.due().map_or(end + 1, |due| due.0);
            if let Some(at) = outputs.next_if(|at| *at <= due.min(end)) {
                if std::mem::replace(&mut listening, false) {
                    bursts.stir(PANE, MonoMs(at));
                }
                continue;
            }
            if due > end {
                return checks;
            }
            let taken = bursts.take(MonoMs(due));
            listening |= taken.values().any(|check| *check == Check::Ask);
            checks.extend(taken.into_values().map(|check| (due, check)));
        }
    }

    fn asked(outputs: impl IntoIterator<Item = i64>, end: i64) -> Vec<i64> {
        let asked = |(at, check): &(i64, Check)| (*check == Check::Ask).then_some(*at);
        checks(outputs, end).iter().filter_map(asked).collect()
    }

    #[test]
    fn a_single_line_is_asked_about_soon_and_its_processes_are_read_for_a_while() {
        let checks = checks([1_000], 9_000);
        assert_eq!(checks[0], (1_008, Check::Ask));
        let glances: Vec<i64> = checks[1..].iter().map(|(at, _)| *at).collect();
        assert!(checks[1..].iter().all(|(_, check)| *check == Check::Glance));
        assert_eq!(glances, (1_020..1_208).step_by(20).collect::<Vec<_>>());
    }

    #[test]
    fn a_busy_pane_is_asked_about_ever_more_rarely_and_its_processes_are_read_all_the_time() {
        let lines = || (0..300).map(|line| line * 100);
        let asked = asked(lines(), 30_000);
        assert_eq!(asked[..4], [8, 108, 208, 458]);
        let steady: Vec<i64> = asked.iter().copied().filter(|at| *at > 4_000).collect();
        assert!(steady.windows(2).all(|pair| pair[1] - pair[0] >= 2_000), "{asked:?}");
        assert!(*asked.last().unwrap() >= 29_900, "what comes last is asked about: {asked:?}");
        let times: Vec<i64> = checks(lines(), 30_000).into_iter().map(|(at, _)| at).collect();
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 20), "{times:?}");
    }

    #[test]
    fn after_a_silence_a_pane_is_asked_about_quickly_until_its_store_is_used_up() {
        let quick = |lines: i64, apart: i64| {
            let outputs: Vec<i64> = (0..lines).map(|line| 1_000 + line * apart).collect();
            let answers = asked(outputs.clone(), 1_000 + lines * apart);
            let soon = |at: &&i64| answers.contains(&(**at + ASK_DELAY_MS));
            outputs.iter().filter(soon).count()
        };
        assert_eq!(quick(10, 500), 10);
        let many = quick(400, 320);
        assert!((32..300).contains(&many), "{many} of 400");
    }

    #[test]
    fn what_is_certain_to_have_changed_is_asked_about_at_once_in_a_busy_pane_too() {
        let mut bursts = Bursts::new(true);
        for line in 0..100 {
            bursts.stir(PANE, MonoMs(line * 100));
            bursts.take(MonoMs(line * 100 + 50));
        }
        assert!(bursts.next_questions().all(|at| at > MonoMs(10_100)));
        bursts.suspect(PANE, MonoMs(10_060));
        assert_eq!(bursts.take(MonoMs(10_060)).get(&PANE), Some(&Check::Ask));
        bursts.suspect(PANE, MonoMs(10_061));
        assert_eq!(bursts.next_questions().min(), Some(MonoMs(10_100)), "but not twice at once");
    }

    #[test]
    fn programs_that_come_and_go_all_the_time_are_asked_about_out_of_a_store() {
        let mut bursts = Bursts::new(true);
        let asked = (0..60_000).step_by(20).filter(|at| bursts.may_ask(PANE, MonoMs(*at))).count();
        assert!((60..=63).contains(&asked), "32, and one each two seconds: {asked}");
        assert!(bursts.next_questions().next().is_some(), "what came last is asked about");
    }

    #[test]
    fn where_processes_cannot_be_read_nobody_wakes_for_them() {
        let mut bursts = Bursts::new(false);
        bursts.stir(PANE, MonoMs(0));
        assert_eq!(bursts.due(), Some(MonoMs(8)));
        assert_eq!(bursts.take(MonoMs(8)), BTreeMap::from([(PANE, Check::Ask)]));
        assert_eq!(bursts.due(), None);
    }

    #[test]
    fn where_a_program_began_an_agent_is_looked_for_ever_more_rarely_and_then_no_more() {
        let mut bursts = Bursts::new(true);
        bursts.began(PANE, MonoMs(0));
        let mut times = Vec::new();
        while let Some(due) = bursts.due() {
            assert_eq!(bursts.take(due), BTreeMap::from([(PANE, Check::Search)]));
            times.push(due.0);
        }
        assert_eq!(times, [20, 60, 140, 300, 620, 1_260, 2_540]);
        bursts.began(PANE, MonoMs(5_000));
        assert_eq!(bursts.due(), Some(MonoMs(5_020)), "each program is a reason");
        let mut elsewhere = Bursts::new(false);
        elsewhere.began(PANE, MonoMs(0));
        assert_eq!(elsewhere.due(), None, "where processes cannot be read");
    }

    #[test]
    fn many_busy_panes_share_the_moments_of_their_checks() {
        let mut bursts = Bursts::new(true);
        let mut glances = 0;
        for tick in 0..10_000 {
            let now = MonoMs(tick);
            for pane in 0..50 {
                if (tick + pane * 7) % 100 == 0 {
                    bursts.stir(PaneId(u32::try_from(pane).unwrap()), now);
                }
            }
            let checks = bursts.take(now);
            glances += usize::from(checks.values().any(|check| *check == Check::Glance));
        }
        let questions: BTreeSet<MonoMs> = bursts.next_questions().collect();
        assert!(questions.len() <= 5, "{questions:?}");
        assert!(glances <= 200, "ten a second, and some at the beginning: {glances}");
    }

    #[test]
    fn a_pane_that_is_silent_for_long_is_forgotten() {
        let mut bursts = Bursts::new(true);
        bursts.stir(PANE, MonoMs(0));
        while let Some(due) = bursts.due() {
            bursts.take(due);
        }
        bursts.take(MonoMs(QUICK_REFILL_MS));
        assert!(bursts.panes.is_empty());
    }
}
