//! The panes' view: one delta for each change of the journal that touches a pane that fits.

use std::collections::BTreeMap;

use api::filters::Filters;
use api::list::Summary;
use api::panes::{PaneIdentity, PaneItem};
use api::watch::Change;
use engine::ids::PaneKey;
use engine::time::{Now, WallMs};

use super::feed::{Ending, View};
use super::line::{Line, Moment};
use super::news::{News, Touch};
use crate::follower::Follower;
use crate::http::to_api;
use crate::view::roll_up::{Counted, Tally};
use crate::view::{self, narrow};

/// A pane that fits, as its watchers know it.
#[derive(Debug)]
struct Member {
    identity: PaneIdentity,
    counted: Counted,
}

#[derive(Debug)]
pub(crate) struct PaneView {
    filters: Filters,
    members: BTreeMap<PaneKey, Member>,
    tally: Tally,
}

impl PaneView {
    pub(crate) fn new(filters: Filters, follower: &Follower, now: Now) -> Self {
        let mut view = Self { filters, members: BTreeMap::new(), tally: Tally::default() };
        for row in follower.engine().panes() {
            let item = to_api::pane(follower, row, now);
            if narrow::fits(follower, &view.filters, &item) {
                view.keep(row.key.clone(), &item);
            }
        }
        view
    }

    pub(crate) fn filters(&self) -> &Filters {
        &self.filters
    }

    pub(crate) fn summary(&self, follower: &Follower) -> Summary {
        self.tally.summary(narrow::Reach::of(follower, &self.filters).requested)
    }

    fn keep(&mut self, key: PaneKey, item: &PaneItem) {
        let counted = Counted::of(item);
        self.tally.add(&counted);
        let member = Member { identity: item.identity.clone(), counted };
        if let Some(before) = self.members.insert(key, member) {
            self.tally.take(&before.counted);
        }
    }

    /// What its watchers are told of a pane that is now so, or gone.
    fn tell(
        &mut self,
        follower: &Follower,
        key: &PaneKey,
        item: Option<&PaneItem>,
    ) -> Option<Change<PaneItem>> {
        if let Some(item) = item.filter(|item| narrow::fits(follower, &self.filters, item)) {
            self.keep(key.clone(), item);
            return Some(Change::Upsert { identity: item.identity.clone(), item: item.clone() });
        }
        let member = self.members.remove(key)?;
        self.tally.take(&member.counted);
        let identity = item.map_or(member.identity, |item| item.identity.clone());
        Some(Change::Delete { identity })
    }

    fn moment<'a>(&'a self, follower: &'a Follower, seq: u64, at: WallMs, now: Now) -> Moment<'a> {
        Moment {
            stream_id: follower.stream_id(),
            seq,
            at,
            now,
            filters: &self.filters,
            summary: self.summary(follower),
            warnings: to_api::doubts(follower.standing()),
        }
    }
}

impl View for PaneView {
    fn change(&mut self, news: &News<'_>) -> Option<Line> {
        let changes: Vec<_> = match news.touch() {
            Touch::Row(row) => {
                self.tell(news.follower, &row.key, Some(news.item(row))).into_iter().collect()
            }
            Touch::Gone(key, _) => self.tell(news.follower, key, None).into_iter().collect(),
            Touch::Soft(keys) => {
                let present = |key: &PaneKey| {
                    let row = news.follower.engine().pane(key)?;
                    Some(to_api::pane(news.follower, row, news.now))
                };
                keys.iter()
                    .filter_map(|key| self.tell(news.follower, key, present(key).as_ref()))
                    .collect()
            }
        };
        if changes.is_empty() {
            return None;
        }
        let change = news.change;
        Line::delta(self.moment(news.follower, change.seq, change.at, news.now), changes)
    }

    fn settle(&mut self, _: &Follower, _: Now) -> Option<Line> {
        None
    }

    fn snapshot(&self, follower: &Follower, now: Now) -> Option<Line> {
        let mut items = view::panes(follower, &self.filters, now).items;
        view::order::sort(&mut items, &[]);
        Line::snapshot(self.moment(follower, follower.as_of(), now.wall, now), items)
    }

    fn restate(&mut self, follower: &Follower, now: Now) -> Option<Line> {
        *self = Self::new(self.filters.clone(), follower, now);
        self.snapshot(follower, now)
    }

    fn idle(&self, follower: &Follower, now: Now) -> Option<Line> {
        let moment = self.moment(follower, follower.as_of(), now.wall, now);
        Line::delta::<PaneItem>(moment, Vec::new())
    }

    fn reset(&self, follower: &Follower, now: Now, ending: Ending) -> Option<Line> {
        let moment = self.moment(follower, ending.seq, now.wall, now);
        Line::reset::<PaneItem>(moment, ending.reason, ending.terminal)
    }

    fn is_journaled(&self) -> bool {
        true
    }

    fn panes(&self) -> Option<&PaneView> {
        Some(self)
    }
}
