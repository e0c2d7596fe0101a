//! What was true when, as the scenario made it so, and how what was shown compares with it.

use std::time::{Duration, Instant};

use crate::shown::Shown;

/// How long after a change the old state may still be shown: where a hook tells of it, and where
/// only the screen does.
pub(crate) const HOOKED: Duration = Duration::from_millis(300);
pub(crate) const SEEN: Duration = Duration::from_millis(1_500);

/// A state, or several of which each is right: `running`, `idle/interrupted|completed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Truth(pub(crate) &'static str);

/// Nobody knows what is true.
pub(crate) const UNJUDGED: Truth = Truth("?");

impl Truth {
    pub(crate) fn has_state(self, state: &str) -> bool {
        self.parts().any(|(name, _)| name == state)
    }

    /// Whether the reason is right too; true of every reason where none is named.
    pub(crate) fn has_reason(self, state: &str, reason: &str) -> bool {
        self.parts()
            .any(|(name, wanted)| name == state && wanted.is_none_or(|wanted| wanted == reason))
    }

    fn parts(self) -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
        self.0.split('|').map(|part| match part.split_once('/') {
            Some((state, reason)) => (state, Some(reason)),
            None => (part, None),
        })
    }
}

/// From here on something else is true.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) scene: String,
    pub(crate) name: &'static str,
    /// What was done to bring it about.
    pub(crate) begun: Instant,
    /// When it was certainly so: the agent showed it, or the model was asked.
    pub(crate) certain: Instant,
    pub(crate) window: Duration,
    pub(crate) truth: Truth,
}

/// How one stretch of time compares.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) change: Change,
    pub(crate) counted: Duration,
    pub(crate) right: Duration,
    pub(crate) reasoned: Duration,
    pub(crate) unknown: Duration,
    pub(crate) longest_wrong: Duration,
    /// What was shown during the longest wrong time.
    pub(crate) wrong: String,
    /// From the certain moment to the right state; nothing if it was never shown.
    pub(crate) latency: Option<Duration>,
}

/// Compares one pane's changes with what was shown of it, up to `end`. `blind` are the times at
/// which no daemon could show anything.
pub(crate) fn compare(
    changes: &[Change],
    shown: &[Shown],
    blind: &[(Instant, Instant)],
    end: Instant,
) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let judged = changes.iter().enumerate().filter(|(_, change)| change.truth != UNJUDGED);
    for (at, change) in judged {
        let until = changes.get(at + 1).map_or(end, |next| next.begun).min(end);
        let before = at.checked_sub(1).map(|at| changes[at].truth);
        stretches.push(stretch(change, before, shown, blind, until));
    }
    stretches
}

fn stretch(
    change: &Change,
    before: Option<Truth>,
    shown: &[Shown],
    blind: &[(Instant, Instant)],
    until: Instant,
) -> Stretch {
    let none = Duration::ZERO;
    let mut sum = Stretch {
        change: change.clone(),
        counted: none,
        right: none,
        reasoned: none,
        unknown: none,
        longest_wrong: none,
        wrong: String::new(),
        latency: None,
    };
    let settled = change.certain + change.window;
    let mut wrong = none;
    for (from, to, what) in pieces(change, shown, blind, until) {
        let Some(what) = what else {
            wrong = none;
            continue;
        };
        let right = change.truth.has_state(&what.state);
        if right && sum.latency.is_none() {
            sum.latency = Some(from.saturating_duration_since(change.certain));
        }
        let counts = to.saturating_duration_since(from.max(settled));
        sum.counted += counts;
        if right {
            sum.right += counts;
        }
        if change.truth.has_reason(&what.state, &what.reason) {
            sum.reasoned += counts;
        }
        if what.state == "unknown" && !right {
            sum.unknown += counts;
        }
        // While it changes, what was true before is still no lie.
        let stale = before.is_some_and(|before| before.has_state(&what.state));
        let begins = if stale { from.max(change.certain) } else { from };
        if right || what.state == "unknown" || to <= begins {
            wrong = none;
            continue;
        }
        wrong += to - begins;
        if wrong > sum.longest_wrong {
            sum.longest_wrong = wrong;
            sum.wrong = format!("{}/{} ({})", what.state, what.reason, what.source);
        }
    }
    sum
}

/// The time of a stretch in pieces in which one thing was shown, or nothing could be.
fn pieces<'a>(
    change: &Change,
    shown: &'a [Shown],
    blind: &[(Instant, Instant)],
    until: Instant,
) -> Vec<(Instant, Instant, Option<&'a Shown>)> {
    let mut cuts: Vec<Instant> = shown.iter().map(|it| it.at).collect();
    cuts.extend(blind.iter().flat_map(|(from, to)| [*from, *to]));
    cuts.extend([change.begun, change.certain, change.certain + change.window, until]);
    cuts.retain(|at| (change.begun..=until).contains(at));
    cuts.sort();
    cuts.dedup();
    let at = |moment: Instant| {
        let dark = blind.iter().any(|(from, to)| (*from..*to).contains(&moment));
        shown.iter().rev().find(|it| it.at <= moment).filter(|_| !dark)
    };
    cuts.windows(2).map(|pair| (pair[0], pair[1], at(pair[0]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(start: Instant, ms: u64, state: &str) -> Shown {
        let at = start + Duration::from_millis(ms);
        let text = str::to_owned;
        Shown { at, pane: text("%1"), state: text(state), reason: text("r"), source: text("hook") }
    }

    fn change(start: Instant, begun: u64, certain: u64, truth: &'static str) -> Change {
        let at = |ms| start + Duration::from_millis(ms);
        let (begun, certain) = (at(begun), at(certain));
        Change { scene: "s".into(), name: "n", begun, certain, window: HOOKED, truth: Truth(truth) }
    }

    fn ms(duration: Duration) -> u128 {
        duration.as_millis()
    }

    #[test]
    fn time_is_counted_outside_of_windows_only_and_lateness_from_the_certain_moment() {
        let start = testkit::wait::now();
        let changes = [change(start, 0, 0, "idle"), change(start, 1_000, 1_100, "running")];
        let seen = [shown(start, 0, "idle"), shown(start, 1_900, "running")];
        let end = start + Duration::from_millis(3_000);
        let found = compare(&changes, &seen, &[], end);
        assert_eq!((ms(found[0].counted), ms(found[0].right)), (700, 700));
        assert_eq!((ms(found[1].counted), ms(found[1].right)), (1_600, 1_100));
        assert_eq!(found[1].latency.map(ms), Some(800));
        assert_eq!(ms(found[1].longest_wrong), 800, "the old state, from the certain moment on");
    }

    #[test]
    fn a_state_that_was_never_true_is_wrong_in_a_window_too_and_unknown_is_only_not_right() {
        let start = testkit::wait::now();
        let changes = [change(start, 0, 0, "idle"), change(start, 1_000, 1_100, "running/active")];
        let seen = [
            shown(start, 0, "unknown"),
            shown(start, 1_050, "error"),
            shown(start, 1_150, "running"),
        ];
        let found = compare(&changes, &seen, &[], start + Duration::from_millis(2_000));
        assert_eq!((ms(found[0].unknown), ms(found[0].longest_wrong)), (700, 0));
        assert_eq!(found[0].latency, None);
        assert_eq!(ms(found[1].longest_wrong), 100);
        assert_eq!((ms(found[1].right), ms(found[1].reasoned)), (600, 0), "another reason");
    }

    #[test]
    fn nobody_is_blamed_for_the_time_without_a_daemon() {
        let start = testkit::wait::now();
        let at = |ms| start + Duration::from_millis(ms);
        let changes = [change(start, 0, 0, "idle")];
        let seen = [shown(start, 0, "idle"), shown(start, 1_500, "running")];
        let found = compare(&changes, &seen, &[(at(1_500), at(1_800))], at(2_000));
        assert_eq!((ms(found[0].counted), ms(found[0].right)), (1_400, 1_200));
        assert_eq!(ms(found[0].longest_wrong), 200);
    }
}
