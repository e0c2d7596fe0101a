//! A feed: all watchers of one scope with the same filters, and the lines they share.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::filters::Filters;
use api::watch::ResetReason;
use api::words::Scope;
use engine::time::Now;
use tokio::sync::{Notify, watch};

use super::approval::ApprovalView;
use super::group::{GroupView, Sessions, Windows};
use super::line::{Format, Line, join};
use super::news::News;
use super::pane::PaneView;
use super::ring::Ring;
use crate::follower::Follower;
use crate::replies::Replies;

/// Changes after which a line is sent although none of them concerned the feed, so that a cursor
/// never falls far behind the journal.
const QUIET_CHANGES_MAX: u64 = 4_096;
/// What is handed out at once.
const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// How long a watcher that was cut may take to read that it was.
const FAREWELL_MS: i64 = 30_000;

/// How the changes of the journal look to the watchers of a feed.
pub(crate) trait View: std::fmt::Debug + Send {
    /// One change was folded.
    fn change(&mut self, news: &News<'_>) -> Option<Line>;

    /// A publication is folded.
    fn settle(&mut self, follower: &Follower, now: Now) -> Option<Line>;

    /// Everything there is.
    fn snapshot(&self, follower: &Follower, now: Now) -> Option<Line>;

    /// Everything there is, for watchers who know something else: what is shown changed, and no
    /// change of the journal told of it.
    fn restate(&mut self, follower: &Follower, now: Now) -> Option<Line>;

    /// A line in which only the cursor moves.
    fn idle(&self, follower: &Follower, now: Now) -> Option<Line>;

    /// A line that says that the stream cannot go on, with the cursor at `seq`.
    fn reset(&self, follower: &Follower, now: Now, ending: Ending) -> Option<Line>;

    /// Whether the journal tells of all that its items show, so that whoever has a cursor has all
    /// that was told up to there.
    fn is_journaled(&self) -> bool;

    /// The same as it is, for a watcher that has to read the journal to catch up. Views whose
    /// past is not in the journal have none.
    fn panes(&self) -> Option<&PaneView>;
}

/// How a stream ends, or begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) seq: u64,
    pub(crate) reason: ResetReason,
    pub(crate) terminal: bool,
}

/// One watcher, as its feed knows it.
#[derive(Debug)]
struct Seat {
    position: u64,
    /// When it was first seen to have fallen off the ring.
    fell: Option<Now>,
    /// Hangs up on a watcher that does not even read that it was cut.
    hang_up: Arc<Notify>,
}

/// Names a watcher within the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeatId(pub(crate) u64);

/// What a watcher is handed.
#[derive(Debug)]
pub(crate) enum Taken {
    Lines {
        bytes: bytes::Bytes,
        /// The sequence of the last of them.
        seq: u64,
    },
    /// It has read everything.
    Nothing,
    /// What it would read next is gone.
    Fell,
}

#[derive(Debug)]
pub(crate) struct Feed {
    view: Box<dyn View>,
    ring: Ring,
    seats: BTreeMap<SeatId, Seat>,
    /// The end of the ring, as far as watchers were woken for it.
    head: watch::Sender<u64>,
    quiet: u64,
}

impl Feed {
    /// A feed that begins with what the follower holds now.
    pub(crate) fn new(
        scope: Scope,
        filters: Filters,
        follower: &Follower,
        replies: &Replies,
        now: Now,
    ) -> Self {
        let view: Box<dyn View> = match scope {
            Scope::Panes => Box::new(PaneView::new(filters, follower, now)),
            Scope::Windows => Box::new(GroupView::<Windows>::new(filters, follower, now)),
            Scope::Sessions => Box::new(GroupView::<Sessions>::new(filters, follower, now)),
            Scope::Approvals => Box::new(ApprovalView::new(filters, replies, follower, now)),
        };
        Self {
            view,
            ring: Ring::new(follower.as_of()),
            seats: BTreeMap::new(),
            head: watch::Sender::new(0),
            quiet: 0,
        }
    }

    pub(crate) fn view(&self) -> &dyn View {
        &*self.view
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Lets a watcher in, which reads on from the end.
    pub(crate) fn enter(&mut self, id: SeatId, hang_up: Arc<Notify>) -> watch::Receiver<u64> {
        let position = self.ring.end();
        self.seats.insert(id, Seat { position, fell: None, hang_up });
        self.head.subscribe()
    }

    pub(crate) fn leave(&mut self, id: SeatId) {
        self.seats.remove(&id);
    }

    /// Has a watcher read on after `seq`. `false` if something after it is not in the ring.
    pub(crate) fn seek(&mut self, id: SeatId, seq: u64) -> bool {
        match (self.ring.position_after(seq), self.seats.get_mut(&id)) {
            (Some(position), Some(seat)) => {
                seat.position = position;
                seat.fell = None;
                true
            }
            (None, _) | (_, None) => false,
        }
    }

    /// Hands a watcher what it has not read, in pieces.
    pub(crate) fn take(&mut self, id: SeatId, format: Format) -> Taken {
        let Some(seat) = self.seats.get_mut(&id) else { return Taken::Fell };
        let Some(lines) = self.ring.from(seat.position) else { return Taken::Fell };
        let mut room = CHUNK_BYTES_MAX;
        let fits = |line: &&Line| {
            let fits = room > 0;
            room = room.saturating_sub(line.len());
            fits
        };
        let lines: Vec<Line> = lines.take_while(fits).cloned().collect();
        let Some(last) = lines.last() else { return Taken::Nothing };
        seat.position += lines.len() as u64;
        Taken::Lines { seq: last.seq, bytes: join(&lines, format) }
    }

    /// Takes in one folded change.
    pub(crate) fn change(&mut self, news: &News<'_>) {
        self.quiet += 1;
        if let Some(line) = self.view.change(news) {
            self.push(line, news.now);
        }
    }

    /// A publication is folded. Says whether there is news.
    pub(crate) fn settle(&mut self, follower: &Follower, now: Now) -> bool {
        if let Some(line) = self.view.settle(follower, now) {
            self.push(line, now);
        } else if self.quiet >= QUIET_CHANGES_MAX
            && let Some(line) = self.view.idle(follower, now)
        {
            self.push(line, now);
        }
        let slowest = self.seats.values().map(|seat| seat.position).min();
        self.ring.trim(slowest, now);
        self.see_who_fell(now);
        *self.head.borrow() != self.ring.end()
    }

    /// Tells everyone how far what is shown can be relied on now.
    pub(crate) fn announce(&mut self, follower: &Follower, now: Now) {
        let frozen = follower.is_frozen();
        let view = &mut self.view;
        let line = if frozen { view.restate(follower, now) } else { view.idle(follower, now) };
        if let Some(line) = line {
            self.push(line, now);
        }
    }

    fn push(&mut self, line: Line, now: Now) {
        self.quiet = 0;
        self.ring.push(line, now);
    }

    fn see_who_fell(&mut self, now: Now) {
        for seat in self.seats.values_mut() {
            if self.ring.from(seat.position).is_some() {
                continue;
            }
            match seat.fell {
                None => seat.fell = Some(now),
                Some(then) if now.since(then.stamp()) > FAREWELL_MS => seat.hang_up.notify_one(),
                Some(_) => {}
            }
        }
    }

    /// Wakes everyone who waits for what is new.
    pub(crate) fn wake(&self) {
        self.head.send_replace(self.ring.end());
    }
}
