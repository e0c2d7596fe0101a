//! The read model: a second engine that follows the deck's by folding what it publishes.
//!
//! Everything that reads, reads here, on the main thread; nothing that reads ever waits for the
//! deck. A publication is folded before its askers are told, so a client reads its own writes.
//! The follower is folded by nobody else, and decides nothing.

use std::collections::{BTreeMap, VecDeque};

use api::error_code::ErrorCode;
use api::target_name::TargetName;
use engine::Engine;
use engine::action::ActionRow;
use engine::approval::ApprovalRow;
use engine::event::Event;
use engine::ids::{ActionId, ApprovalId, TargetId};
use engine::input::Note;
use engine::pane::{PaneRow, Place};
use engine::settings::Settings;
use engine::target::{TargetRow, Trouble};
use engine::time::Now;
use store::Change;

use crate::deck::Publication;
use crate::standing::Standing;
use crate::view::narrow::of_the_past;

/// Names of removed targets that are still known.
const GONE_TARGETS_MAX: usize = 256;

/// Actions that ended and can be told without a look into the database.
const ENDED_ACTIONS_MAX: usize = 256;
/// The same of approvals.
const ENDED_APPROVALS_MAX: usize = 256;

/// What the daemon knows, as of one sequence number of the journal.
#[derive(Debug)]
pub struct Follower {
    engine: Engine,
    as_of: u64,
    stream_id: String,
    names: BTreeMap<TargetId, TargetName>,
    gone_targets: Remembered<TargetId, TargetName>,
    standing: Standing,
    ended_actions: Remembered<ActionId, ActionRow>,
    ended_approvals: Remembered<ApprovalId, ApprovalRow>,
}

impl Follower {
    /// Follows on from an engine as it stood at `as_of`. The stream is named after the database.
    pub fn new(engine: Engine, as_of: u64, stream_id: impl Into<String>) -> Self {
        let name = |row: &TargetRow| (row.target.clone(), TargetName::lossy(&row.name));
        Self {
            names: engine.targets().map(name).collect(),
            engine,
            as_of,
            stream_id: stream_id.into(),
            gone_targets: Remembered::new(GONE_TARGETS_MAX),
            standing: Standing::Writable,
            ended_actions: Remembered::new(ENDED_ACTIONS_MAX),
            ended_approvals: Remembered::new(ENDED_APPROVALS_MAX),
        }
    }

    /// The same, of a ledger that may store nothing.
    #[must_use]
    pub fn standing_as(mut self, standing: Standing, now: Now) -> Self {
        self.stand(standing, now);
        self
    }

    /// Where nothing is stored any more, what was known is of the past: nothing of it is shown as
    /// if it were so now.
    fn stand(&mut self, standing: Standing, now: Now) {
        if let (false, Standing::ReadOnly(why)) = (self.is_frozen(), &standing) {
            let code = ErrorCode::StoreReadOnly.as_str().to_owned();
            self.engine.lose_sight(&Trouble { code, message: of_the_past(why) }, now);
        }
        self.standing = standing;
    }

    /// Whether nothing becomes known any more until the daemon starts again.
    pub(crate) fn is_frozen(&self) -> bool {
        matches!(self.standing, Standing::ReadOnly(_))
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The journal's last sequence that is folded in.
    pub fn as_of(&self) -> u64 {
        self.as_of
    }

    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// Whether what is observed is stored. While it is not, everything here is of the past.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What became of the attempt to store.
    pub(crate) fn settle(&mut self, publication: &Publication, now: Now) {
        let before = self.standing.clone();
        self.stand(before.after(publication.lost.as_deref(), publication.stored), now);
    }

    /// New settings are in force.
    pub fn configure(&mut self, settings: Settings) {
        self.engine.configure(settings);
    }

    /// Folds one change; returns where the pane it is about stood before.
    pub(crate) fn fold(&mut self, change: &Change) -> Option<Place> {
        let before = match &change.event {
            Event::PaneChanged { row, .. } => {
                self.engine.pane(&row.key).map(|row| row.facts.place())
            }
            Event::PaneRemoved { place, .. } => Some(place.clone()),
            Event::TargetChanged(row) => {
                self.names.insert(row.target.clone(), TargetName::lossy(&row.name));
                None
            }
            Event::TargetRemoved { target, name } => {
                self.names.remove(target);
                self.gone_targets.put(target.clone(), TargetName::lossy(name));
                None
            }
            Event::SessionChanged(_)
            | Event::SessionRemoved { .. }
            | Event::ActivitySeen { .. }
            | Event::EventRecorded(_)
            | Event::EventPended(_)
            | Event::EventBound { .. }
            | Event::EventDropped { .. }
            | Event::AdapterChanged(_)
            | Event::TokenChanged(_)
            | Event::AccessDenied(_) => None,
            Event::ApprovalChanged(row) => {
                if !row.is_open() {
                    self.ended_approvals.put(row.approval.clone(), (**row).clone());
                }
                None
            }
            Event::ActionChanged(row) => {
                if !row.is_open() {
                    self.ended_actions.put(row.action.clone(), (**row).clone());
                }
                None
            }
        };
        self.engine.apply(&change.event);
        self.as_of = change.seq;
        before
    }

    /// Folds one volatile fact.
    pub(crate) fn note(&mut self, now: Now, note: &Note) {
        self.engine.note(now, note);
    }

    /// Everything up to `as_of` is folded in.
    pub(crate) fn reach(&mut self, as_of: u64) {
        self.as_of = self.as_of.max(as_of);
    }

    /// Targets that were removed before this daemon began.
    pub(crate) fn remember_removed(&mut self, removed: Vec<(TargetId, String)>) {
        for (target, name) in removed {
            self.gone_targets.put(target, TargetName::lossy(&name));
        }
    }

    /// The name of a target, also of one that was removed lately.
    pub(crate) fn target_name(&self, target: &TargetId) -> TargetName {
        let known = self.names.get(target).or_else(|| self.gone_targets.get(target));
        known.cloned().unwrap_or_else(|| TargetName::lossy(target.as_str()))
    }

    /// An action under way, or one that ended lately.
    pub(crate) fn action(&self, action: &ActionId) -> Option<&ActionRow> {
        self.engine.action(action).or_else(|| self.ended_actions.get(action))
    }

    /// An approval of which more may become known, or one that ended lately.
    pub(crate) fn approval(&self, approval: &ApprovalId) -> Option<&ApprovalRow> {
        self.engine.approval(approval).or_else(|| self.ended_approvals.get(approval))
    }

    /// The target of that name.
    pub(crate) fn target(&self, name: &TargetName) -> Option<&TargetRow> {
        self.engine.target_named(name.as_str())
    }

    /// The panes of one target.
    pub(crate) fn panes_of<'a>(
        &'a self,
        target: &'a TargetId,
    ) -> impl Iterator<Item = &'a PaneRow> {
        self.engine.panes().filter(move |row| row.key.target == *target)
    }
}

/// A map that forgets what was put into it first.
#[derive(Debug)]
struct Remembered<K, V> {
    max: usize,
    values: BTreeMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Ord + Clone, V> Remembered<K, V> {
    fn new(max: usize) -> Self {
        Self { max, values: BTreeMap::new(), order: VecDeque::new() }
    }

    fn put(&mut self, key: K, value: V) {
        if self.values.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_first_is_forgotten_first() {
        let mut remembered = Remembered::new(2);
        for key in [1, 2, 2, 3] {
            remembered.put(key, key * 10);
        }
        let kept: Vec<_> = [1, 2, 3].iter().map(|key| remembered.get(key).copied()).collect();
        assert_eq!(kept, [None, Some(20), Some(30)]);
    }
}
