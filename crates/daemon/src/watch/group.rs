//! The views of windows and sessions: sums of panes, told once for each publication that changes
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::marker::PhantomData;

use api::filters::Filters;
use api::panes::PaneItem;
use api::sessions::SessionItem;
use api::watch::{Change, Watched};
use api::windows::WindowItem;
use engine::event::Event;
use engine::ids::{SessionId, TargetId, WindowId};
use engine::pane::PaneFacts;
use engine::time::Now;

use super::feed::{Ending, View};
use super::line::{Line, Moment};
use super::news::News;
use super::pane::PaneView;
use crate::follower::Follower;
use crate::http::to_api;
use crate::view::order::{self, Ordered};
use crate::view::roll_up::{self, SessionPart, Tally};
use crate::view::{self, narrow};

/// A way to group panes into items.
pub(crate) trait Group: Debug + Send {
    type Id: Ord + Copy + Debug + Send;
    type Item: Watched + Ordered + Clone + PartialEq + Debug + Send;

    /// The groups that a pane in this window belongs to, where `sessions` show it.
    fn of(window: WindowId, sessions: impl Iterator<Item = SessionId>) -> Vec<Self::Id>;

    /// The group that an event about a session concerns.
    fn of_session(session: SessionId) -> Option<Self::Id>;

    /// The group as it is with these panes, if it is there and fits.
    fn item(
        follower: &Follower,
        filters: &Filters,
        key: &Key<Self::Id>,
        panes: &[&PaneItem],
    ) -> Option<Self::Item>;

    /// All that fit.
    fn list(follower: &Follower, filters: &Filters, now: Now) -> Vec<Self::Item>;
}

type Key<I> = (TargetId, I);

/// The groups that a pane with these facts is in.
fn keys<G: Group>(target: &TargetId, facts: &PaneFacts) -> impl Iterator<Item = Key<G::Id>> {
    G::of(facts.window, facts.sessions()).into_iter().map(|id| (target.clone(), id))
}

/// The groups that a pane was in before a change.
fn keys_before<G: Group>(target: &TargetId, news: &News<'_>) -> impl Iterator<Item = Key<G::Id>> {
    let ids = news.before.iter().flat_map(|place| G::of(place.window, place.sessions()));
    ids.map(|id| (target.clone(), id))
}

/// Panes by their window.
#[derive(Debug)]
pub(crate) struct Windows;

impl Group for Windows {
    type Id = WindowId;
    type Item = WindowItem;

    fn of(window: WindowId, _: impl Iterator<Item = SessionId>) -> Vec<WindowId> {
        vec![window]
    }

    fn of_session(_: SessionId) -> Option<WindowId> {
        // A window shows its session's name only; with that, its panes' rows change too.
        None
    }

    fn item(
        follower: &Follower,
        filters: &Filters,
        _: &Key<WindowId>,
        panes: &[&PaneItem],
    ) -> Option<WindowItem> {
        let fits = panes.iter().any(|pane| narrow::fits(follower, filters, pane));
        if fits { roll_up::window(panes, false) } else { None }
    }

    fn list(follower: &Follower, filters: &Filters, now: Now) -> Vec<WindowItem> {
        view::windows(follower, filters, false, now).items
    }
}

/// Panes by their session.
#[derive(Debug)]
pub(crate) struct Sessions;

impl Group for Sessions {
    type Id = SessionId;
    type Item = SessionItem;

    fn of(_: WindowId, sessions: impl Iterator<Item = SessionId>) -> Vec<SessionId> {
        sessions.collect()
    }

    fn of_session(session: SessionId) -> Option<SessionId> {
        Some(session)
    }

    fn item(
        follower: &Follower,
        filters: &Filters,
        (target, session): &Key<SessionId>,
        panes: &[&PaneItem],
    ) -> Option<SessionItem> {
        let row = follower.engine().session(target, *session)?;
        let part = SessionPart {
            target: follower.target_name(target),
            session_id: session.to_string(),
            session_name: row.name.clone(),
            attached: u64::from(row.attached),
            panes: panes.to_vec(),
        };
        view::session_fits(follower, filters, &part)
            .then(|| roll_up::session(view::session_identity(&part), &[part], false))
    }

    fn list(follower: &Follower, filters: &Filters, now: Now) -> Vec<SessionItem> {
        view::sessions(follower, filters, false, false, now).items
    }
}

/// A group that fits, as its watchers know it.
#[derive(Debug)]
struct Member<I> {
    item: I,
    /// Its panes; one that several groups show is in each of them.
    panes: Vec<PaneItem>,
}

#[derive(Debug)]
pub(crate) struct GroupView<G: Group> {
    filters: Filters,
    members: BTreeMap<Key<G::Id>, Member<G::Item>>,
    touched: BTreeSet<Key<G::Id>>,
    group: PhantomData<G>,
}

impl<G: Group> GroupView<G> {
    pub(crate) fn new(filters: Filters, follower: &Follower, now: Now) -> Self {
        let engine = follower.engine();
        let panes = engine.panes().flat_map(|row| keys::<G>(&row.key.target, &row.facts));
        let sessions = engine.sessions();
        let bare =
            sessions.filter_map(|row| Some((row.target.clone(), G::of_session(row.session)?)));
        let mut view = Self {
            filters,
            members: BTreeMap::new(),
            touched: panes.chain(bare).collect(),
            group: PhantomData,
        };
        view.renew(follower, now);
        view
    }

    /// Sums up every touched group anew; returns what its watchers are told.
    fn renew(&mut self, follower: &Follower, now: Now) -> Vec<Change<G::Item>> {
        let touched = std::mem::take(&mut self.touched);
        let mut panes: BTreeMap<Key<G::Id>, Vec<PaneItem>> = BTreeMap::new();
        for row in follower.engine().panes() {
            for key in keys::<G>(&row.key.target, &row.facts) {
                if touched.contains(&key) {
                    panes.entry(key).or_default().push(to_api::pane(follower, row, now));
                }
            }
        }
        let told = |key: Key<G::Id>| {
            let panes = panes.remove(&key).unwrap_or_default();
            self.tell(follower, key, panes)
        };
        touched.into_iter().filter_map(told).collect()
    }

    fn tell(
        &mut self,
        follower: &Follower,
        key: Key<G::Id>,
        panes: Vec<PaneItem>,
    ) -> Option<Change<G::Item>> {
        let item = G::item(follower, &self.filters, &key, &panes.iter().collect::<Vec<_>>());
        let before = self.members.remove(&key);
        let Some(item) = item else {
            return before.map(|member| Change::Delete { identity: member.item.identity() });
        };
        let same = before.as_ref().is_some_and(|member| member.item == item);
        let told =
            (!same).then(|| Change::Upsert { identity: item.identity(), item: item.clone() });
        self.members.insert(key, Member { item, panes });
        told
    }

    fn tally(&self) -> Tally {
        roll_up::each_once(self.members.values().flat_map(|member| &member.panes))
    }

    fn moment<'a>(&'a self, follower: &'a Follower, seq: u64, now: Now) -> Moment<'a> {
        Moment {
            stream_id: follower.stream_id(),
            seq,
            at: now.wall,
            now,
            filters: &self.filters,
            summary: self.tally().summary(narrow::Reach::of(follower, &self.filters).requested),
            warnings: to_api::doubts(follower.standing()),
        }
    }
}

impl<G: Group> View for GroupView<G> {
    fn change(&mut self, news: &News<'_>) -> Option<Line> {
        let touched = &mut self.touched;
        match &news.change.event {
            Event::PaneChanged { row, .. } => {
                let target = &row.key.target;
                touched.extend(keys::<G>(target, &row.facts));
                touched.extend(keys_before::<G>(target, news));
            }
            Event::PaneRemoved { key, .. } => {
                touched.extend(keys_before::<G>(&key.target, news));
            }
            Event::SessionChanged(row) => {
                touched.extend(G::of_session(row.session).map(|id| (row.target.clone(), id)));
            }
            Event::SessionRemoved { target, session } => {
                touched.extend(G::of_session(*session).map(|id| (target.clone(), id)));
            }
            Event::TargetChanged(_)
            | Event::TargetRemoved { .. }
            | Event::ActivitySeen { .. }
            | Event::EventRecorded(_)
            | Event::EventPended(_)
            | Event::EventBound { .. }
            | Event::EventDropped { .. }
            | Event::ActionChanged(_)
            | Event::AdapterChanged(_)
            | Event::ApprovalChanged(_)
            | Event::TokenChanged(_)
            | Event::AccessDenied(_) => {}
        }
        None
    }

    fn settle(&mut self, follower: &Follower, now: Now) -> Option<Line> {
        if self.touched.is_empty() {
            return None;
        }
        let changes = self.renew(follower, now);
        if changes.is_empty() {
            return None;
        }
        Line::delta(self.moment(follower, follower.as_of(), now), changes)
    }

    fn snapshot(&self, follower: &Follower, now: Now) -> Option<Line> {
        let mut items = G::list(follower, &self.filters, now);
        order::sort(&mut items, &[]);
        Line::snapshot(self.moment(follower, follower.as_of(), now), items)
    }

    fn restate(&mut self, follower: &Follower, now: Now) -> Option<Line> {
        *self = Self::new(self.filters.clone(), follower, now);
        self.snapshot(follower, now)
    }

    fn idle(&self, follower: &Follower, now: Now) -> Option<Line> {
        Line::delta::<G::Item>(self.moment(follower, follower.as_of(), now), Vec::new())
    }

    fn reset(&self, follower: &Follower, now: Now, ending: Ending) -> Option<Line> {
        let moment = self.moment(follower, ending.seq, now);
        Line::reset::<G::Item>(moment, ending.reason, ending.terminal)
    }

    fn is_journaled(&self) -> bool {
        true
    }

    fn panes(&self) -> Option<&PaneView> {
        None
    }
}
