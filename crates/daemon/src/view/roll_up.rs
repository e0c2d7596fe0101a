//! Windows and sessions as the sums of their panes, and the counts over all of them.

use std::collections::{BTreeMap, BTreeSet};

use api::list::{NO_AGENT, Summary};
use api::panes::PaneItem;
use api::sessions::{AgentSummary, SessionIdentity, SessionItem, SessionTarget};
use api::target_name::TargetName;
use api::windows::{WindowIdentity, WindowItem, WindowPane};
use api::words::{DisplayCategory, State};

/// The strongest state of some panes; of none it is unknown.
fn top_state<'a>(panes: impl IntoIterator<Item = &'a PaneItem>) -> State {
    let states = panes.into_iter().map(|pane| pane.state);
    states.min_by_key(|state| state.precedence()).unwrap_or(State::Unknown)
}

/// The most urgent drawer of some panes; where there are none, no agent is.
fn top_category<'a>(panes: impl IntoIterator<Item = &'a PaneItem>) -> DisplayCategory {
    let drawers = panes.into_iter().map(|pane| pane.display_category);
    drawers.min_by_key(|drawer| drawer.precedence()).unwrap_or(DisplayCategory::Unmanaged)
}

fn by_state<'a>(panes: impl IntoIterator<Item = &'a PaneItem>) -> BTreeMap<State, u64> {
    let mut counts: BTreeMap<State, u64> = State::ALL.iter().map(|state| (*state, 0)).collect();
    for pane in panes {
        *counts.entry(pane.state).or_default() += 1;
    }
    counts
}

fn by_category<'a>(
    panes: impl IntoIterator<Item = &'a PaneItem>,
) -> BTreeMap<DisplayCategory, u64> {
    let mut counts: BTreeMap<DisplayCategory, u64> =
        DisplayCategory::ALL.iter().map(|drawer| (*drawer, 0)).collect();
    for pane in panes {
        *counts.entry(pane.display_category).or_default() += 1;
    }
    counts
}

pub(crate) fn agent_of(pane: &PaneItem) -> &str {
    pane.agent_type.as_deref().unwrap_or(NO_AGENT)
}

/// A window as the sum of its panes; nothing without any.
pub(crate) fn window(panes: &[&PaneItem], with_agent_status: bool) -> Option<WindowItem> {
    let mut panes = panes.to_vec();
    panes.sort_by_key(|pane| pane.pane_index);
    let first = panes.first()?;
    let states = by_state(panes.iter().copied());
    let count = |state: State| states.get(&state).copied().unwrap_or(0);
    Some(WindowItem {
        identity: WindowIdentity {
            target: first.identity.target.clone(),
            session_id: first.identity.session_id.clone(),
            session_name: first.identity.session_name.clone(),
            window_id: first.identity.window_id.clone(),
        },
        window_name: first.window_name.clone(),
        window_index: first.window_index,
        active: first.window_active,
        top_state: top_state(panes.iter().copied()),
        top_category: top_category(panes.iter().copied()),
        by_category: by_category(panes.iter().copied()),
        waiting_count: count(State::WaitingApproval) + count(State::WaitingInput),
        running_count: count(State::Running),
        total_panes: panes.len() as u64,
        by_state: states,
        panes: with_agent_status.then(|| panes.iter().map(|pane| in_short(pane)).collect()),
    })
}

fn in_short(pane: &PaneItem) -> WindowPane {
    WindowPane {
        pane_id: pane.identity.pane_id.clone(),
        pane_index: pane.pane_index,
        agent_type: pane.agent_type.clone(),
        state: pane.state,
        display_category: pane.display_category,
    }
}

/// One session of one target, with the panes that count under it.
#[derive(Clone, Debug)]
pub(crate) struct SessionPart<'a> {
    pub(crate) target: TargetName,
    pub(crate) session_id: String,
    pub(crate) session_name: String,
    pub(crate) attached: u64,
    pub(crate) panes: Vec<&'a PaneItem>,
}

impl SessionPart<'_> {
    fn summary(&self) -> SessionTarget {
        let panes = || self.panes.iter().copied();
        SessionTarget {
            target: self.target.clone(),
            session_id: self.session_id.clone(),
            attached: self.attached,
            top_state: top_state(panes()),
            top_category: top_category(panes()),
            total_panes: self.panes.len() as u64,
            by_state: by_state(panes()),
            by_category: by_category(panes()),
        }
    }
}

/// A session as the sum of its parts: one part, or the sessions of one name on several targets.
pub(crate) fn session(
    identity: SessionIdentity,
    parts: &[SessionPart<'_>],
    agent_summary: bool,
) -> SessionItem {
    let panes = || parts.iter().flat_map(|part| part.panes.iter().copied());
    let windows: BTreeSet<_> =
        panes().map(|pane| (&pane.identity.target, &pane.identity.window_id)).collect();
    SessionItem {
        identity,
        attached: parts.iter().map(|part| part.attached).sum(),
        top_state: top_state(panes()),
        top_category: top_category(panes()),
        total_windows: windows.len() as u64,
        total_panes: panes().count() as u64,
        by_state: by_state(panes()),
        by_agent: by_agent(panes()),
        by_category: by_category(panes()),
        targets: parts.iter().map(SessionPart::summary).collect(),
        agents: agent_summary.then(|| agents(panes())),
    }
}

fn by_agent<'a>(panes: impl Iterator<Item = &'a PaneItem>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for pane in panes {
        *counts.entry(agent_of(pane).to_owned()).or_default() += 1;
    }
    counts
}

fn agents<'a>(panes: impl Iterator<Item = &'a PaneItem>) -> Vec<AgentSummary> {
    let mut kinds: BTreeMap<&str, Vec<&PaneItem>> = BTreeMap::new();
    for pane in panes {
        kinds.entry(agent_of(pane)).or_default().push(pane);
    }
    let summary = |(agent, panes): (&str, Vec<&PaneItem>)| AgentSummary {
        agent_type: agent.to_owned(),
        total: panes.len() as u64,
        top_state: top_state(panes.iter().copied()),
        by_state: by_state(panes.iter().copied()),
    };
    kinds.into_iter().map(summary).collect()
}

/// As much of a pane as is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    target: TargetName,
    state: State,
    category: DisplayCategory,
    agent: String,
}

impl Counted {
    pub(crate) fn of(pane: &PaneItem) -> Self {
        Self {
            target: pane.identity.target.clone(),
            state: pane.state,
            category: pane.display_category,
            agent: agent_of(pane).to_owned(),
        }
    }
}

/// A summary that panes can also be taken out of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    counts: Summary,
}

impl Tally {
    pub(crate) fn add(&mut self, pane: &Counted) {
        let counts = &mut self.counts;
        counts.total += 1;
        *counts.by_state.entry(pane.state).or_default() += 1;
        *counts.by_category.entry(pane.category).or_default() += 1;
        *counts.by_agent.entry(pane.agent.clone()).or_default() += 1;
        *counts.by_target.entry(pane.target.clone()).or_default() += 1;
    }

    pub(crate) fn take(&mut self, pane: &Counted) {
        let counts = &mut self.counts;
        counts.total = counts.total.saturating_sub(1);
        less(&mut counts.by_state, &pane.state);
        less(&mut counts.by_category, &pane.category);
        less(&mut counts.by_target, &pane.target);
        if less(&mut counts.by_agent, &pane.agent) == 0 {
            counts.by_agent.remove(&pane.agent);
        }
    }

    /// The counts, with a zero for each of `targets` that has none.
    pub(crate) fn summary(&self, targets: impl IntoIterator<Item = TargetName>) -> Summary {
        let mut by_target: BTreeMap<_, _> = targets.into_iter().map(|target| (target, 0)).collect();
        let counted = self.counts.by_target.iter().filter(|(_, count)| **count > 0);
        by_target.extend(counted.map(|(target, count)| (target.clone(), *count)));
        Summary { by_target, ..self.counts.clone() }
    }
}

fn less<K: Ord>(counts: &mut BTreeMap<K, u64>, key: &K) -> u64 {
    let Some(count) = counts.get_mut(key) else { return 0 };
    *count = count.saturating_sub(1);
    *count
}

impl<'a> FromIterator<&'a PaneItem> for Tally {
    fn from_iter<I: IntoIterator<Item = &'a PaneItem>>(panes: I) -> Self {
        let mut tally = Self::default();
        for pane in panes {
            tally.add(&Counted::of(pane));
        }
        tally
    }
}

/// Counts panes, each of them once.
pub(crate) fn each_once<'a>(panes: impl Iterator<Item = &'a PaneItem>) -> Tally {
    let panes: BTreeMap<_, _> =
        panes.map(|pane| ((&pane.identity.target, &pane.identity.pane_id), pane)).collect();
    panes.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(target: &str, state: State, agent: &str) -> Counted {
        let category = DisplayCategory::Unknown;
        Counted { target: TargetName::lossy(target), state, category, agent: agent.to_owned() }
    }

    #[test]
    fn what_is_added_and_taken_again_was_never_there() {
        let mut tally = Tally::default();
        let all = [
            counted("a", State::Idle, "claude"),
            counted("a", State::Error, NO_AGENT),
            counted("b", State::Idle, "claude"),
        ];
        all.iter().for_each(|pane| tally.add(pane));
        let summary = tally.summary([]);
        assert_eq!((summary.total, summary.by_state[&State::Idle]), (3, 2));
        assert_eq!(summary.by_agent["claude"], 2);
        all.iter().for_each(|pane| tally.take(pane));
        assert_eq!(tally.summary([]), Summary::empty());
    }

    #[test]
    fn a_target_that_was_asked_for_and_has_nothing_counts_zero() {
        let mut tally = Tally::default();
        tally.add(&counted("a", State::Idle, NO_AGENT));
        let asked = ["a", "b"].map(TargetName::lossy);
        let by_target = tally.summary(asked).by_target;
        assert_eq!(by_target.values().copied().collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn nothing_is_unknown_and_unmanaged() {
        assert_eq!(top_state([]), State::Unknown);
        assert_eq!(top_category([]), DisplayCategory::Unmanaged);
        assert_eq!(window(&[], true), None);
    }
}
