//! When the processes of a target somewhere else are listed. They cannot be looked at one by one
//! there, and a list of all that runs costs more than a look at tmux.
//!
//! They are listed when another program came to a foreground. Where an agent is started by a shell that
//! stays there itself (`sh -c 'agent; more'`) nothing in tmux tells of its start and its end but what
//! is printed. So a pane that prints is a reason too: ever more rarely while no agent is found in it,
//! and every few seconds while one runs behind a shell. That an agent's process shows there no more
//! is another, where processes show among the files. Pure.

use std::collections::{BTreeMap, BTreeSet};

use engine::ids::PaneId;
use engine::time::MonoMs;
use tmux::rows::PaneRow;

/// How long after a list that found no agent in a pane its output is a reason for another: at first,
/// and at most.
const PAUSE_MS: [i64; 2] = [1_000, 60_000];
/// The same where an agent was found behind a shell.
const BEHIND_MS: i64 = 5_000;
/// The least time between two lists for such a reason.
const SPACING_MS: i64 = 1_000;

/// What runs in a pane: its own process, and the command in its foreground.
type Runs = (Option<u32>, String);

pub(super) fn runs(row: &PaneRow) -> Runs {
    (row.brief.pid, row.command.clone())
}

#[derive(Debug, Default)]
pub(super) struct Surveys {
    panes: BTreeMap<PaneId, Listed>,
    /// Panes that were a reason too soon after the last list, and when they are one.
    put_off: BTreeMap<PaneId, MonoMs>,
    last: Option<MonoMs>,
}

/// What is known of the agent in a pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    NoAgent,
    /// One that runs in the foreground, or whatever it runs there.
    Agent,
    AgentBehindShell,
}

/// What ran in a pane when processes were listed last.
#[derive(Debug)]
struct Listed {
    runs: Runs,
    at: MonoMs,
    /// How long after it output is no reason for another, where no agent was found.
    pause_ms: i64,
}

fn after(at: MonoMs, ms: i64) -> MonoMs {
    MonoMs(at.0.saturating_add(ms))
}

impl Surveys {
    /// Whether what was seen of a pane that printed, or may have, is a reason to list processes now.
    pub(super) fn wants(&mut self, pane: PaneId, runs: &Runs, holds: Holds, now: MonoMs) -> bool {
        let Some(listed) = self.panes.get(&pane) else { return true };
        let due = match holds {
            _ if listed.runs != *runs => return true,
            Holds::Agent => return false,
            Holds::NoAgent => after(listed.at, listed.pause_ms),
            Holds::AgentBehindShell => after(listed.at, BEHIND_MS),
        };
        let due = due.max(self.last.map_or(now, |last| after(last, SPACING_MS)));
        if due > now {
            // It may not print again.
            self.put_off.insert(pane, due);
        }
        due <= now
    }

    /// When a reason that was put off is one.
    pub(super) fn next_due(&self) -> Option<MonoMs> {
        self.put_off.values().min().copied()
    }

    /// The panes to be asked about for that.
    pub(super) fn take(&mut self, now: MonoMs) -> BTreeSet<PaneId> {
        let is_due = |_: &PaneId, due: &mut MonoMs| *due <= now;
        self.put_off.extract_if(.., is_due).map(|(pane, _)| pane).collect()
    }

    /// They were listed, with these panes in view.
    pub(super) fn listed(&mut self, panes: impl Iterator<Item = (PaneId, Runs)>, now: MonoMs) {
        self.last = Some(now);
        for (pane, runs) in panes {
            let known = self.panes.get(&pane).filter(|known| known.runs == runs);
            let pause_ms = known.map_or(PAUSE_MS[0], |known| (known.pause_ms * 2).min(PAUSE_MS[1]));
            self.put_off.remove(&pane);
            self.panes.insert(pane, Listed { runs, at: now, pause_ms });
        }
    }

    pub(super) fn forget(&mut self, pane: PaneId) {
        self.panes.remove(&pane);
        self.put_off.remove(&pane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANE: PaneId = PaneId(1);
    const OTHER: PaneId = PaneId(2);

    fn shell() -> Runs {
        (Some(7), "sh".to_owned())
    }

    /// When processes are listed while a pane prints all the time, up to `end`.
    fn lists(holds: Holds, from: i64, end: i64) -> Vec<i64> {
        let mut surveys = Surveys::default();
        let mut times = Vec::new();
        for now in (0..end).step_by(100) {
            let holds = if now < from { Holds::NoAgent } else { holds };
            if surveys.wants(PANE, &shell(), holds, MonoMs(now)) {
                surveys.listed([(PANE, shell())].into_iter(), MonoMs(now));
                times.push(now);
            }
        }
        times
    }

    #[test]
    fn a_pane_that_prints_and_holds_no_agent_is_looked_into_ever_more_rarely() {
        assert_eq!(lists(Holds::NoAgent, 0, 10_000), [0, 1_000, 3_000, 7_000]);
        let hour = lists(Holds::NoAgent, 0, 3_600_000);
        assert!((60..70).contains(&hour.len()), "{}", hour.len());
        assert_eq!(lists(Holds::Agent, 2_000, 3_600_000), [0, 1_000], "its end is told");
        let behind = lists(Holds::AgentBehindShell, 2_000, 20_000);
        assert_eq!(behind, [0, 1_000, 6_000, 11_000, 16_000], "its end is not");
    }

    #[test]
    fn what_prints_once_too_soon_is_looked_into_when_the_time_has_come() {
        let mut surveys = Surveys::default();
        surveys.listed([(PANE, shell())].into_iter(), MonoMs(0));
        assert!(!surveys.wants(PANE, &shell(), Holds::AgentBehindShell, MonoMs(700)));
        assert_eq!(surveys.next_due(), Some(MonoMs(5_000)));
        assert!(surveys.take(MonoMs(4_999)).is_empty());
        assert_eq!(surveys.take(MonoMs(5_000)), BTreeSet::from([PANE]));
        assert_eq!(surveys.next_due(), None);
        assert!(surveys.wants(PANE, &shell(), Holds::AgentBehindShell, MonoMs(5_000)));
        assert!(!surveys.wants(PANE, &shell(), Holds::Agent, MonoMs(9_000)));
        assert_eq!(surveys.next_due(), None, "another program is told");
    }

    #[test]
    fn another_program_is_a_reason_at_once_and_the_same_in_another_pane_is_not() {
        let mut surveys = Surveys::default();
        surveys.listed([(PANE, shell()), (OTHER, shell())].into_iter(), MonoMs(0));
        let agent = (Some(7), "agent".to_owned());
        assert!(surveys.wants(PANE, &agent, Holds::NoAgent, MonoMs(1)));
        assert!(!surveys.wants(PANE, &shell(), Holds::NoAgent, MonoMs(1)));
        surveys.listed([(PANE, shell())].into_iter(), MonoMs(1_500));
        assert!(
            !surveys.wants(OTHER, &shell(), Holds::NoAgent, MonoMs(1_600)),
            "it was just listed"
        );
        assert!(surveys.wants(OTHER, &shell(), Holds::NoAgent, MonoMs(2_500)));
        surveys.forget(OTHER);
        assert!(surveys.wants(OTHER, &shell(), Holds::Agent, MonoMs(2_500)));
    }
}
