//! The view of approvals: those that are not over, told when one of them becomes different.
//!
//! What an item shows is not all in the journal: whether a hook waits for the answer, and which
//! session the pane is in now. So the items are compared after each publication, as sums are.

use std::collections::BTreeMap;

use api::approvals::ApprovalItem;
use api::filters::Filters;
use api::watch::{Change, Watched};
use engine::approval::ApprovalRow;
use engine::ids::ApprovalId;
use engine::time::Now;

use super::feed::{Ending, View};
use super::line::{Line, Moment};
use super::news::News;
use super::pane::PaneView;
use crate::follower::Follower;
use crate::http::to_api;
use crate::replies::Replies;
use crate::view::{narrow, roll_up};

#[derive(Debug)]
pub(crate) struct ApprovalView {
    filters: Filters,
    replies: Replies,
    /// Those that fit, as their watchers know them.
    members: BTreeMap<ApprovalId, ApprovalItem>,
}

impl ApprovalView {
    pub(crate) fn new(filters: Filters, replies: &Replies, follower: &Follower, now: Now) -> Self {
        let mut view = Self { filters, replies: replies.clone(), members: BTreeMap::new() };
        view.members = view.present(follower, now);
        view
    }

    /// Those that are not over, and in a pane that fits.
    fn present(&self, follower: &Follower, now: Now) -> BTreeMap<ApprovalId, ApprovalItem> {
        let engine = follower.engine();
        let fits = |row: &&ApprovalRow| {
            let pane = engine.pane(&row.pane).map(|pane| to_api::pane(follower, pane, now));
            row.closed_at.is_none()
                && pane.is_some_and(|pane| narrow::fits(follower, &self.filters, &pane))
        };
        let open = engine.approvals().filter(fits);
        open.map(|row| (row.approval.clone(), self.item(follower, row))).collect()
    }

    fn item(&self, follower: &Follower, row: &ApprovalRow) -> ApprovalItem {
        to_api::approval(follower, row, self.replies.is_waiting(&row.approval))
    }

    /// What its watchers are told about one that is here no more: how it ended, where it did.
    fn left(
        &self,
        follower: &Follower,
        id: &ApprovalId,
        known: &ApprovalItem,
    ) -> Vec<Change<ApprovalItem>> {
        let identity = known.identity();
        let ended = follower.approval(id).filter(|row| row.closed_at.is_some());
        let ended = ended.map(|row| Change::Upsert {
            identity: identity.clone(),
            item: self.item(follower, row),
        });
        ended.into_iter().chain([Change::Delete { identity }]).collect()
    }

    fn moment<'a>(&'a self, follower: &'a Follower, seq: u64, now: Now) -> Moment<'a> {
        let engine = follower.engine();
        let rows = self.members.keys().filter_map(|id| engine.approval(id));
        let panes: Vec<_> = rows
            .filter_map(|row| Some(to_api::pane(follower, engine.pane(&row.pane)?, now)))
            .collect();
        let requested = narrow::Reach::of(follower, &self.filters).requested;
        Moment {
            stream_id: follower.stream_id(),
            seq,
            at: now.wall,
            now,
            filters: &self.filters,
            summary: roll_up::each_once(panes.iter()).summary(requested),
            warnings: to_api::doubts(follower.standing()),
        }
    }
}

impl View for ApprovalView {
    fn change(&mut self, _: &News<'_>) -> Option<Line> {
        None
    }

    fn settle(&mut self, follower: &Follower, now: Now) -> Option<Line> {
        let present = self.present(follower, now);
        if present == self.members {
            return None;
        }
        let before = std::mem::replace(&mut self.members, present);
        let news = self.members.iter().filter(|(id, item)| before.get(id) != Some(item));
        let told =
            news.map(|(_, item)| Change::Upsert { identity: item.identity(), item: item.clone() });
        let gone = before.iter().filter(|(id, _)| !self.members.contains_key(*id));
        let gone = gone.flat_map(|(id, item)| self.left(follower, id, item));
        let changes = told.chain(gone).collect();
        Line::delta(self.moment(follower, follower.as_of(), now), changes)
    }

    fn snapshot(&self, follower: &Follower, now: Now) -> Option<Line> {
        let items = self.members.values().cloned().collect();
        Line::snapshot(self.moment(follower, follower.as_of(), now), items)
    }

    fn restate(&mut self, follower: &Follower, now: Now) -> Option<Line> {
        self.members = self.present(follower, now);
        self.snapshot(follower, now)
    }

    fn idle(&self, follower: &Follower, now: Now) -> Option<Line> {
        Line::delta::<ApprovalItem>(self.moment(follower, follower.as_of(), now), Vec::new())
    }

    fn reset(&self, follower: &Follower, now: Now, ending: Ending) -> Option<Line> {
        let moment = self.moment(follower, ending.seq, now);
        Line::reset::<ApprovalItem>(moment, ending.reason, ending.terminal)
    }

    fn is_journaled(&self) -> bool {
        false
    }

    fn panes(&self) -> Option<&PaneView> {
        None
    }
}
