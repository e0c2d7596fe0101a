//! Whether what is waited for has come. Pure: it is told what the stream says.

use std::collections::{BTreeMap, BTreeSet};

use api::panes::{PaneIdentity, PaneItem};
use api::watch::Change;
use api::words::State;

/// Whoever is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whom {
    /// These lives and no others.
    Runtimes(BTreeSet<String>),
    /// Every agent of a name.
    Agent(String),
    /// Every agent.
    Agents,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Any of these; every state where there are none.
    pub(super) states: Vec<State>,
    /// Only what became so after the wait began counts.
    pub(super) changed: bool,
    /// One of several is enough.
    pub(super) any: bool,
}

/// Where a wait stands.
#[derive(Debug, PartialEq)]
pub(super) enum Standing {
    Waiting,
    Reached(Vec<PaneItem>),
    /// There never was anybody.
    Nobody,
    /// Whoever was there is not any more.
    Gone,
}

/// A wait and all it knows.
#[derive(Debug)]
pub(super) struct Vigil {
    whom: Whom,
    wanted: Wanted,
    panes: BTreeMap<PaneIdentity, PaneItem>,
    /// The versions of the states that were there when the wait began; nothing before it did.
    began_at: Option<BTreeMap<String, u64>>,
}

impl Vigil {
    pub(super) fn new(whom: Whom, wanted: Wanted) -> Self {
        Self { whom, wanted, panes: BTreeMap::new(), began_at: None }
    }

    /// Everything there is; after an interruption, once more.
    pub(super) fn begin(&mut self, items: Vec<PaneItem>) -> Standing {
        self.panes = items.into_iter().map(|item| (item.identity.clone(), item)).collect();
        let first = self.began_at.is_none();
        if first {
            let version = |item: &PaneItem| Some((item.runtime_id.clone()?, item.state_version));
            self.began_at = Some(self.panes.values().filter_map(version).collect());
        }
        let named = matches!(self.whom, Whom::Runtimes(_));
        let standing = self.standing();
        if first && !named && standing == Standing::Gone { Standing::Nobody } else { standing }
    }

    /// What became different. Changes of one frame are one moment, each pane's last word counts.
    pub(super) fn go_on(&mut self, changes: Vec<Change<PaneItem>>) -> Standing {
        for change in changes {
            match change {
                Change::Upsert { identity, item } => {
                    self.move_away(&item);
                    self.panes.insert(identity, item);
                }
                Change::Delete { identity } => {
                    self.panes.remove(&identity);
                }
            }
        }
        self.standing()
    }

    /// A pane that was joined elsewhere is not at its old place too.
    fn move_away(&mut self, item: &PaneItem) {
        let same = |known: &PaneItem| {
            known.runtime_id == item.runtime_id
                && known.identity.pane_id == item.identity.pane_id
                && known.identity.target == item.identity.target
        };
        self.panes.retain(|_, known| !same(known));
    }

    fn standing(&self) -> Standing {
        let awaited: Vec<&PaneItem> =
            self.panes.values().filter(|it| self.is_awaited(it)).collect();
        let reached: Vec<PaneItem> =
            awaited.iter().filter(|it| self.has_reached(it)).map(|it| (*it).clone()).collect();
        let lost = match &self.whom {
            Whom::Runtimes(all) => awaited.len() < all.len(),
            Whom::Agent(_) | Whom::Agents => false,
        };
        let enough = if self.wanted.any { 1 } else { awaited.len() };
        if !reached.is_empty() && reached.len() >= enough && (self.wanted.any || !lost) {
            Standing::Reached(reached)
        } else if awaited.is_empty() || (lost && !self.wanted.any) {
            Standing::Gone
        } else {
            Standing::Waiting
        }
    }

    fn is_awaited(&self, item: &PaneItem) -> bool {
        match &self.whom {
            Whom::Runtimes(all) => {
                item.runtime_id.as_ref().is_some_and(|runtime| all.contains(runtime))
            }
            Whom::Agent(agent) => item.agent_type.as_ref() == Some(agent),
            Whom::Agents => item.agent_type.is_some(),
        }
    }

    fn has_reached(&self, item: &PaneItem) -> bool {
        let is_wanted = self.wanted.states.is_empty() || self.wanted.states.contains(&item.state);
        is_wanted && (!self.wanted.changed || self.has_changed(item))
    }

    /// Whether its state is another than when the wait began; one that came later has none.
    fn has_changed(&self, item: &PaneItem) -> bool {
        let before = self.began_at.as_ref().zip(item.runtime_id.as_ref());
        let version = before.and_then(|(began_at, runtime)| began_at.get(runtime));
        version != Some(&item.state_version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixtures;

    /// The agents of the fixture: %3 runs, %4 waits for approval, %7 failed.
    fn agents() -> Vec<PaneItem> {
        let mut items = fixtures::panes().items;
        items.retain(|it| it.agent_type.is_some() && it.identity.target.as_str() == "local");
        items.retain(|it| ["%3", "%4", "%7"].contains(&it.identity.pane_id.as_str()));
        for item in &mut items {
            item.runtime_id = Some(format!("rt{}", item.identity.pane_id));
        }
        items
    }

    fn vigil(whom: Whom, states: &[State]) -> Vigil {
        Vigil::new(whom, Wanted { states: states.to_vec(), changed: false, any: false })
    }

    fn runtimes(ids: &[&str]) -> Whom {
        Whom::Runtimes(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    fn now(pane: usize, state: State) -> Vec<Change<PaneItem>> {
        let mut item = agents().swap_remove(pane);
        item.state = state;
        item.state_version += 1;
        vec![Change::Upsert { identity: item.identity.clone(), item }]
    }

    fn gone(pane: usize) -> Vec<Change<PaneItem>> {
        vec![Change::Delete { identity: agents().swap_remove(pane).identity }]
    }

    fn reached(standing: &Standing) -> Vec<&str> {
        match standing {
            Standing::Reached(items) => {
                items.iter().map(|it| it.identity.pane_id.as_str()).collect()
            }
            Standing::Waiting | Standing::Nobody | Standing::Gone => panic!("{standing:?}"),
        }
    }

    #[test]
    fn what_is_so_already_is_reached_at_once() {
        let mut it = vigil(runtimes(&["rt%3"]), &[State::Running, State::Idle]);
        assert_eq!(reached(&it.begin(agents())), ["%3"]);
    }

    #[test]
    fn of_several_all_have_to_be_there_at_the_same_time() {
        let mut it = vigil(runtimes(&["rt%3", "rt%4"]), &[State::Idle]);
        assert_eq!(it.begin(agents()), Standing::Waiting);
        assert_eq!(it.go_on(now(0, State::Idle)), Standing::Waiting);
        assert_eq!(it.go_on(now(0, State::Running)), Standing::Waiting);
        assert_eq!(it.go_on(now(1, State::Idle)), Standing::Waiting, "the first works again");
        assert_eq!(reached(&it.go_on(now(0, State::Idle))), ["%3", "%4"]);
    }

    #[test]
    fn any_of_several_is_enough_where_that_is_wanted() {
        let mut it = vigil(Whom::Agents, &[State::Idle]);
        it.wanted.any = true;
        assert_eq!(it.begin(agents()), Standing::Waiting);
        assert_eq!(reached(&it.go_on(now(1, State::Idle))), ["%4"]);
    }

    #[test]
    fn only_a_change_counts_where_that_is_wanted() {
        let mut it = vigil(runtimes(&["rt%3"]), &[State::Running]);
        it.wanted.changed = true;
        assert_eq!(it.begin(agents()), Standing::Waiting);
        assert_eq!(it.go_on(now(1, State::Idle)), Standing::Waiting, "another's change");
        assert_eq!(it.begin(agents()), Standing::Waiting, "after an interruption");
        assert_eq!(reached(&it.go_on(now(0, State::Running))), ["%3"]);
        let mut it = vigil(runtimes(&["rt%3"]), &[]);
        it.wanted.changed = true;
        assert_eq!(it.begin(agents()), Standing::Waiting);
        assert_eq!(reached(&it.go_on(now(0, State::Error))), ["%3"]);
    }

    #[test]
    fn who_ends_is_gone_and_with_any_only_when_nobody_is_left() {
        let mut it = vigil(runtimes(&["rt%3", "rt%4"]), &[State::Idle]);
        it.begin(agents());
        assert_eq!(it.go_on(gone(0)), Standing::Gone);
        let mut it = vigil(runtimes(&["rt%3", "rt%4"]), &[State::Idle]);
        it.wanted.any = true;
        it.begin(agents());
        assert_eq!(it.go_on(gone(0)), Standing::Waiting);
        assert_eq!(it.go_on(gone(1)), Standing::Gone);
        let mut other_life = now(0, State::Idle);
        if let Some(Change::Upsert { item, .. }) = other_life.first_mut() {
            item.runtime_id = Some("another".to_owned());
        }
        let mut it = vigil(runtimes(&["rt%3"]), &[State::Idle]);
        it.begin(agents());
        assert_eq!(it.go_on(other_life), Standing::Gone, "the pane holds another life");
    }

    #[test]
    fn where_nobody_is_nobody_can_be_waited_for() {
        assert_eq!(vigil(Whom::Agents, &[State::Idle]).begin(Vec::new()), Standing::Nobody);
        let other = Whom::Agent("none".to_owned());
        assert_eq!(vigil(other, &[State::Idle]).begin(agents()), Standing::Nobody);
        let gone = runtimes(&["rt%99"]);
        assert_eq!(vigil(gone, &[State::Idle]).begin(agents()), Standing::Gone);
    }

    #[test]
    fn a_pane_that_is_moved_is_waited_for_where_it_is_now() {
        let mut it = vigil(runtimes(&["rt%3"]), &[State::Idle]);
        it.begin(agents());
        let mut moved = now(0, State::Running);
        if let Some(Change::Upsert { identity, item }) = moved.first_mut() {
            item.identity.session_name = "elsewhere".to_owned();
            *identity = item.identity.clone();
        }
        assert_eq!(it.go_on(moved), Standing::Waiting);
        assert_eq!(it.panes.len(), 3);
        assert_eq!(it.go_on(gone(0)), Standing::Waiting, "it left its old place");
    }
}
