//! All feeds: who watches, and what a publication means for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::filters::Filters;
use api::watch::ResetReason;
use api::words::Scope;
use engine::time::Now;
use tokio::sync::{Notify, watch};

use super::feed::{Feed, SeatId};
use super::news::News;
use crate::deck::Publication;
use crate::follower::Follower;
use crate::replies::Replies;

/// Watch streams at once; one more is refused as overload.
pub(crate) const WATCHERS_MAX: usize = 1_024;
/// How long it takes to earn one more time that all watchers are woken, and how many of them are
/// kept in store: news that comes faster than that for long shares its writes.
const WAKE_REFILL_MS: i64 = 4;
const WAKES_MAX: i64 = 16;

/// What a watcher asked for; whoever asks the same shares one feed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FeedKey {
    scope: Scope,
    /// The filters as a stable text.
    filters: String,
}

impl FeedKey {
    pub(crate) fn new(scope: Scope, filters: &Filters) -> Self {
        Self { scope, filters: serde_json::to_string(filters).unwrap_or_default() }
    }
}

#[derive(Debug)]
pub(crate) struct Hub {
    feeds: BTreeMap<FeedKey, Feed>,
    seats: u64,
    watchers: usize,
    ended: Option<ResetReason>,
    /// Earned wakes, in units of their refill time, as of the last of them.
    credit_ms: i64,
    credited: Option<Now>,
    /// Some feed has news that its watchers were not woken for.
    owed: bool,
    /// The hooks that wait for an answer.
    replies: Replies,
}

impl Hub {
    pub(crate) fn new(replies: Replies) -> Self {
        Self {
            feeds: BTreeMap::new(),
            seats: 0,
            watchers: 0,
            ended: None,
            credit_ms: WAKES_MAX * WAKE_REFILL_MS,
            credited: None,
            owed: false,
            replies,
        }
    }

    /// Folds a publication and tells every feed. Says in how many milliseconds [`Hub::wake`] is
    /// due, if it is.
    pub(crate) fn publish(
        &mut self,
        follower: &mut Follower,
        publication: &Publication,
        now: Now,
    ) -> Option<i64> {
        let standing = follower.standing().clone();
        follower.settle(publication, now);
        let differs = *follower.standing() != standing;
        for (place, change) in publication.changes.iter().enumerate() {
            let before = follower.fold(change);
            if self.feeds.is_empty() {
                continue;
            }
            let next = publication.changes.get(place + 1).map(Arc::as_ref);
            let news = News::new(follower, change, next, before, now);
            self.feeds.values_mut().for_each(|feed| feed.change(&news));
        }
        for (at, note) in &publication.notes {
            follower.note(*at, note);
        }
        follower.reach(publication.as_of);
        if differs {
            self.feeds.values_mut().for_each(|feed| feed.announce(follower, now));
        }
        self.settle(follower, now)
    }

    /// Tells every feed what is different now. Says in how many milliseconds [`Hub::wake`] is due,
    /// if it is.
    pub(crate) fn settle(&mut self, follower: &Follower, now: Now) -> Option<i64> {
        let mut news = false;
        for feed in self.feeds.values_mut() {
            news |= feed.settle(follower, now);
        }
        if news { self.schedule(now) } else { None }
    }

    /// Wakes at once if that was not done too often lately, else says when.
    fn schedule(&mut self, now: Now) -> Option<i64> {
        self.earn(now);
        if self.credit_ms >= WAKE_REFILL_MS {
            self.wake(now);
            return None;
        }
        let first = !std::mem::replace(&mut self.owed, true);
        first.then_some(WAKE_REFILL_MS - self.credit_ms)
    }

    fn earn(&mut self, now: Now) {
        let since = self.credited.map_or(0, |then| now.since(then.stamp()));
        self.credit_ms = (self.credit_ms + since).min(WAKES_MAX * WAKE_REFILL_MS);
        self.credited = Some(now);
    }

    /// Wakes the watchers of every feed that has news.
    pub(crate) fn wake(&mut self, now: Now) {
        self.earn(now);
        self.credit_ms = (self.credit_ms - WAKE_REFILL_MS).max(0);
        self.owed = false;
        self.feeds.values().for_each(Feed::wake);
    }

    /// Ends every stream, now and to come.
    pub(crate) fn end(&mut self, reason: ResetReason, now: Now) {
        self.ended.get_or_insert(reason);
        self.wake(now);
    }

    pub(crate) fn ended(&self) -> Option<ResetReason> {
        self.ended
    }

    pub(crate) fn watchers(&self) -> usize {
        self.watchers
    }

    /// Seats a watcher, if there is room.
    pub(crate) fn enter(
        &mut self,
        key: &FeedKey,
        filters: &Filters,
        hang_up: Arc<Notify>,
        follower: &Follower,
        now: Now,
    ) -> Option<(SeatId, watch::Receiver<u64>)> {
        if self.watchers >= WATCHERS_MAX {
            return None;
        }
        self.watchers += 1;
        self.seats += 1;
        let id = SeatId(self.seats);
        let open = || Feed::new(key.scope, filters.clone(), follower, &self.replies, now);
        let feed = self.feeds.entry(key.clone()).or_insert_with(open);
        Some((id, feed.enter(id, hang_up)))
    }

    pub(crate) fn leave(&mut self, key: &FeedKey, id: SeatId) {
        let Some(feed) = self.feeds.get_mut(key) else { return };
        feed.leave(id);
        self.watchers = self.watchers.saturating_sub(1);
        if feed.is_empty() {
            self.feeds.remove(key);
        }
    }

    pub(crate) fn feed(&self, key: &FeedKey) -> Option<&Feed> {
        self.feeds.get(key)
    }

    pub(crate) fn feed_mut(&mut self, key: &FeedKey) -> Option<&mut Feed> {
        self.feeds.get_mut(key)
    }
}
