//! What a resumed watcher missed, rendered from the journal alone.
//!
//! Rows of the journal hold whole panes, so each becomes the delta it was. What holds no row
//! (activity, recorded events) is told once at the end, by the pane's present item.

use std::collections::BTreeSet;

use api::panes::{PaneIdentity, PaneItem};
use api::watch::Change as Told;
use engine::ids::PaneKey;
use engine::time::{Now, WallMs};
use store::Change;

use super::line::{Line, Moment};
use super::news::{Touch, touch};
use super::pane::PaneView;
use crate::follower::Follower;
use crate::http::to_api;
use crate::view::narrow;

/// A delta that is held back until it is known to be the last.
#[derive(Debug)]
struct Pending {
    seq: u64,
    at: WallMs,
    changes: Vec<Told<PaneItem>>,
}

#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// Panes that the watcher was told to drop. Of the others it may know.
    dropped: BTreeSet<PaneKey>,
    /// Panes of which something changed without a row.
    soft: BTreeSet<PaneKey>,
    pending: Option<Pending>,
    began: bool,
}

impl Replay {
    /// Whether nothing was rendered yet.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.began
    }

    /// Renders the next changes.
    pub(crate) fn page(
        &mut self,
        follower: &Follower,
        view: &PaneView,
        changes: &[Change],
        now: Now,
    ) -> Vec<Line> {
        self.began = true;
        let mut lines = Vec::new();
        for change in changes {
            let Some(told) = self.change(follower, view, change, now) else { continue };
            let pending = Pending { seq: change.seq, at: change.at, changes: vec![told] };
            let before = self.pending.replace(pending);
            lines.extend(before.and_then(|it| write(follower, view, it, now)));
        }
        lines
    }

    /// Renders what is left when everything up to `seq` has been replayed.
    pub(crate) fn finish(
        &mut self,
        follower: &Follower,
        view: &PaneView,
        seq: u64,
        now: Now,
    ) -> Option<Line> {
        let mut told = Vec::new();
        for key in std::mem::take(&mut self.soft) {
            let Some(row) = follower.engine().pane(&key) else { continue };
            let item = to_api::pane(follower, row, now);
            told.extend(self.tell(follower, view, &key, item));
        }
        let mut last = match self.pending.take() {
            Some(pending) => pending,
            None if told.is_empty() => return None,
            None => Pending { seq, at: now.wall, changes: Vec::new() },
        };
        last.changes.extend(told);
        write(follower, view, last, now)
    }

    fn change(
        &mut self,
        follower: &Follower,
        view: &PaneView,
        change: &Change,
        now: Now,
    ) -> Option<Told<PaneItem>> {
        match touch(follower, &change.event) {
            Touch::Row(row) => {
                self.soft.remove(&row.key);
                self.tell(follower, view, &row.key, to_api::pane(follower, row, now))
            }
            Touch::Gone(key, place) => {
                self.soft.remove(key);
                self.drop(view, key.clone(), to_api::pane_identity(follower, key, place))
            }
            Touch::Soft(keys) => {
                self.soft.extend(keys);
                None
            }
        }
    }

    fn tell(
        &mut self,
        follower: &Follower,
        view: &PaneView,
        key: &PaneKey,
        item: PaneItem,
    ) -> Option<Told<PaneItem>> {
        if narrow::fits(follower, view.filters(), &item) {
            self.dropped.remove(key);
            return Some(Told::Upsert { identity: item.identity.clone(), item });
        }
        self.drop(view, key.clone(), item.identity)
    }

    /// Tells the watcher to drop a pane, once. It may not have known it; then it ignores that.
    fn drop(
        &mut self,
        view: &PaneView,
        key: PaneKey,
        identity: PaneIdentity,
    ) -> Option<Told<PaneItem>> {
        let asked = narrow::asks_target(view.filters(), &identity.target);
        (asked && self.dropped.insert(key)).then_some(Told::Delete { identity })
    }
}

fn write(follower: &Follower, view: &PaneView, pending: Pending, now: Now) -> Option<Line> {
    let moment = Moment {
        stream_id: follower.stream_id(),
        seq: pending.seq,
        at: pending.at,
        now,
        filters: view.filters(),
        summary: view.summary(follower),
        warnings: to_api::doubts(follower.standing()),
    };
    Line::delta(moment, pending.changes)
}
