//! One watch stream, from its opening to its end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use api::watch::{ResetReason, WatchQuery};
use bytes::Bytes;
use store::{Change, Journal, ReadError};
use tokio::sync::{Notify, watch};

use super::feed::{Ending, Feed, SeatId, Taken};
use super::hub::{FeedKey, Hub};
use super::line::{Format, Line, join};
use super::replay::Replay;
use crate::follower::Follower;
use crate::lookout::{Lookout, Seen};

/// Changes of the journal that are replayed at once.
const PAGE_CHANGES: usize = 256;
/// How often a quiet stream of events shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Why a stream was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    TooMany,
    Ended,
}

/// What a stream does next.
#[derive(Debug)]
enum Stage {
    /// Reads the journal on from the last line that was delivered.
    CatchUp(Box<Replay>),
    /// Reads the feed.
    Live,
    /// Everything was said.
    Over,
}

/// A watcher of a feed. Leaves it when dropped.
#[derive(Debug)]
pub(crate) struct Watcher {
    lookout: Lookout,
    key: FeedKey,
    seat: SeatId,
    head: watch::Receiver<u64>,
    format: Format,
    once: bool,
    /// Lines that come before the stage's own.
    first: VecDeque<Line>,
    stage: Stage,
    /// The sequence up to which everything was delivered.
    delivered: u64,
}

impl Watcher {
    /// Opens a stream: with a snapshot, or where its cursor left off.
    pub(crate) fn open(
        lookout: &Lookout,
        query: &WatchQuery,
        format: Format,
        hang_up: Arc<Notify>,
    ) -> Result<Self, Refused> {
        let now = lookout.clock().now();
        let Seen { follower, hub, .. } = &mut *lookout.lock();
        if hub.ended().is_some() {
            return Err(Refused::Ended);
        }
        let (filters, key) = (&query.filters, FeedKey::new(query.scope(), &query.filters));
        let seated = hub.enter(&key, filters, hang_up, follower, now);
        let (seat, head) = seated.ok_or(Refused::TooMany)?;
        let mut watcher = Self {
            lookout: lookout.clone(),
            key,
            seat,
            head,
            format,
            once: query.once,
            first: VecDeque::new(),
            stage: Stage::Over,
            delivered: follower.as_of(),
        };
        watcher.begin(query, follower, hub);
        Ok(watcher)
    }

    fn begin(&mut self, query: &WatchQuery, follower: &Follower, hub: &mut Hub) {
        let as_of = follower.as_of();
        match &query.cursor {
            None => self.restart(None, follower, hub),
            Some(cursor) if cursor.stream_id() != follower.stream_id() => {
                self.restart(Some(ResetReason::OtherDatabase), follower, hub);
            }
            // A cursor from the future is of a database that was set back since.
            Some(cursor) if cursor.sequence() > as_of => {
                self.restart(Some(ResetReason::Expired), follower, hub);
            }
            // What is shown then is not what the journal tells.
            Some(_) if follower.is_frozen() => self.restart(None, follower, hub),
            Some(cursor) => {
                self.delivered = cursor.sequence();
                let now = self.lookout.clock().now();
                let Some(feed) = hub.feed_mut(&self.key) else { return };
                if feed.view().is_journaled() && feed.seek(self.seat, self.delivered) {
                    // Whoever missed nothing may still not know that nothing is stored.
                    let doubted =
                        self.delivered == as_of && follower.standing().trouble().is_some();
                    let doubts = doubted.then(|| feed.view().idle(follower, now)).flatten();
                    self.first.extend(doubts);
                    self.stage = Stage::Live;
                } else if feed.view().panes().is_some() {
                    self.stage = Stage::CatchUp(Box::default());
                } else {
                    // What sums looked like in the past is not in the journal, and of approvals not
                    // all that is shown.
                    self.restart(None, follower, hub);
                }
            }
        }
    }

    /// Goes on with a snapshot, after a line that says why the stream did not just go on.
    fn restart(&mut self, why: Option<ResetReason>, follower: &Follower, hub: &mut Hub) {
        let now = self.lookout.clock().now();
        let seq = follower.as_of();
        let Some(feed) = hub.feed_mut(&self.key) else { return };
        let reset = why.and_then(|reason| {
            feed.view().reset(follower, now, Ending { seq, reason, terminal: false })
        });
        self.first.extend(reset);
        self.first.extend(feed.view().snapshot(follower, now));
        feed.seek(self.seat, seq);
        self.delivered = seq;
        self.stage = if self.once { Stage::Over } else { Stage::Live };
    }

    /// The next piece of the stream; nothing when it is over.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.first.is_empty() {
                let lines: Vec<Line> = self.first.drain(..).collect();
                return Some(join(&lines, self.format));
            }
            match &mut self.stage {
                Stage::CatchUp(_) => self.catch_up().await,
                Stage::Live => {
                    if let Some(bytes) = self.take() {
                        return Some(bytes);
                    }
                    if self.first.is_empty() && !self.wait().await {
                        return Some(Bytes::from_static(b": still here\n\n"));
                    }
                }
                Stage::Over => return None,
            }
        }
    }

    /// Takes what the feed has for it; arranges for the end if there is nothing more to come.
    fn take(&mut self) -> Option<Bytes> {
        // Marked as seen before looking: what comes in between wakes it again.
        self.head.borrow_and_update();
        let now = self.lookout.clock().now();
        let Seen { follower, hub, .. } = &mut *self.lookout.lock();
        let ended = hub.ended();
        let taken =
            hub.feed_mut(&self.key).map_or(Taken::Fell, |feed| feed.take(self.seat, self.format));
        let reason = match taken {
            Taken::Lines { bytes, seq } => {
                self.delivered = seq;
                return Some(bytes);
            }
            Taken::Fell => Some(ResetReason::Slow),
            Taken::Nothing => ended,
        };
        if let Some(reason) = reason {
            let ending = Ending { seq: self.delivered, reason, terminal: true };
            let view = hub.feed(&self.key).map(Feed::view);
            self.first.extend(view.and_then(|view| view.reset(follower, now, ending)));
            self.stage = Stage::Over;
        } else if self.once {
            self.stage = Stage::Over;
        }
        None
    }

    /// Waits for news. `false` when it is time for a sign of life.
    async fn wait(&mut self) -> bool {
        if matches!(self.stage, Stage::Over) {
            return true;
        }
        let news = self.head.changed();
        let gone = match self.format {
            Format::JsonLines => news.await.is_err(),
            Format::Events => match tokio::time::timeout(KEEP_ALIVE, news).await {
                Ok(news) => news.is_err(),
                Err(_) => return false,
            },
        };
        if gone {
            self.stage = Stage::Over;
        }
        true
    }

    /// Replays one page of the journal, and joins the feed once that goes on from there.
    async fn catch_up(&mut self) {
        if self.join_feed() {
            return;
        }
        let after = self.delivered;
        let is_first = matches!(&self.stage, Stage::CatchUp(replay) if replay.is_fresh());
        let read = move |journal: &Journal| {
            // Panes go before their target does, and are told by its name.
            let removed = if is_first { journal.targets_removed_after(after)? } else { Vec::new() };
            Ok::<_, ReadError>((removed, journal.changes_after(after, PAGE_CHANGES)?))
        };
        let changes = match self.lookout.in_journal(read).await {
            Some(Ok((removed, changes))) if !changes.is_empty() => {
                self.lookout.lock().follower.remember_removed(removed);
                changes
            }
            Some(Ok(_)) => return self.expire("the journal is shorter than what was published"),
            Some(Err(error)) => return self.expire(&error.to_string()),
            None => return self.expire("the reading broke off"),
        };
        self.replay(&changes);
    }

    /// Joins the feed if it holds everything after what was delivered.
    fn join_feed(&mut self) -> bool {
        let now = self.lookout.clock().now();
        let Seen { follower, hub, .. } = &mut *self.lookout.lock();
        let Some(feed) = hub.feed_mut(&self.key) else {
            self.stage = Stage::Over;
            return true;
        };
        if !feed.seek(self.seat, self.delivered) {
            return false;
        }
        if let (Stage::CatchUp(replay), Some(view)) = (&mut self.stage, feed.view().panes()) {
            self.first.extend(replay.finish(follower, view, self.delivered, now));
        }
        self.stage = Stage::Live;
        true
    }

    /// Renders what was read, as far as the feed does not have it.
    fn replay(&mut self, changes: &[Change]) {
        let now = self.lookout.clock().now();
        let Seen { follower, hub, .. } = &mut *self.lookout.lock();
        let Some(feed) = hub.feed(&self.key) else { return };
        let missing = feed.ring().complete_after();
        let known = changes.partition_point(|change| change.seq <= missing);
        let changes = &changes[..known];
        if let (Stage::CatchUp(replay), Some(view)) = (&mut self.stage, feed.view().panes()) {
            self.first.extend(replay.page(follower, view, changes, now));
        }
        if let Some(last) = changes.last() {
            self.delivered = last.seq;
        }
    }

    /// What was missed cannot be read: says so, and goes on with a snapshot.
    fn expire(&mut self, why: &str) {
        tracing::info!(after = self.delivered, why, "a watcher cannot resume");
        let lookout = self.lookout.clone();
        let Seen { follower, hub, .. } = &mut *lookout.lock();
        self.restart(Some(ResetReason::Expired), follower, hub);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.lookout.lock().hub.leave(&self.key, self.seat);
    }
}

#[cfg(test)]
mod tests {
    use engine::settings::Settings;
    use store::{Durability, Identity, Ledger, Options};
    use tempfile::TempDir;

    use super::super::hub::WATCHERS_MAX;
    use super::*;
    use crate::clock::Clock;

    /// A lookout on an empty database, which lives as long as its folder.
    fn lookout() -> (TempDir, Lookout) {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::new();
        let id = || "test".to_owned();
        let options = Options {
            settings: Settings::default(),
            identity: Identity { database: id(), installation: id(), machine: id() },
            durability: Durability::None,
            probe: None,
        };
        let ledger = Ledger::open(&dir.path().join("qd.db"), options, clock.now()).unwrap().ledger;
        let follower = Follower::new(ledger.engine().clone(), ledger.as_of(), "test");
        let lookout = Lookout::new(follower, ledger.journal().unwrap(), clock);
        (dir, lookout)
    }

    fn open(lookout: &Lookout, format: Format) -> Result<Watcher, Refused> {
        Watcher::open(lookout, &WatchQuery::default(), format, Arc::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_of_events_shows_that_it_lives() {
        let (_dir, lookout) = lookout();
        let mut watcher = open(&lookout, Format::Events).unwrap();
        assert!(watcher.next().await.unwrap().starts_with(b"id: 0\nevent: snapshot\n"));
        for _ in 0..3 {
            let before = tokio::time::Instant::now();
            assert_eq!(watcher.next().await.unwrap(), ": still here\n\n");
            assert_eq!(before.elapsed(), KEEP_ALIVE);
        }
    }

    #[tokio::test]
    async fn the_end_is_told_to_those_who_watch_and_nobody_else_comes_in() {
        let (_dir, lookout) = lookout();
        let mut watcher = open(&lookout, Format::JsonLines).unwrap();
        watcher.next().await.unwrap();
        lookout.end_watches(ResetReason::Upgraded);
        let reset = watcher.next().await.unwrap();
        let reset: serde_json::Value = serde_json::from_slice(&reset).unwrap();
        assert_eq!((&reset["reason"], &reset["terminal"]), (&"upgraded".into(), &true.into()));
        assert_eq!(watcher.next().await, None);
        assert_eq!(open(&lookout, Format::JsonLines).unwrap_err(), Refused::Ended);
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_and_each_leaves_its_place() {
        let (_dir, lookout) = lookout();
        let open = || open(&lookout, Format::JsonLines);
        let mut watchers: Vec<_> = (0..WATCHERS_MAX).map(|_| open().unwrap()).collect();
        assert_eq!(open().unwrap_err(), Refused::TooMany);
        drop(watchers.pop());
        drop(open().unwrap());
        watchers.clear();
        assert_eq!(lookout.watchers(), 0);
    }
}
