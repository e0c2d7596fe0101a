//! Everything that can be read or watched, behind one lock.
//!
//! The lock is here because handlers have to be able to move between threads, not because they
//! do: all of them run on the main thread, none holds it across an `await`, and there is exactly
//! one writer, the main loop, in [`Lookout::publish`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::watch::ResetReason;
use engine::settings::Settings;
use store::Journal;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::deck::Publication;
use crate::follower::Follower;
use crate::replies::Replies;
use crate::standing::Standing;
use crate::watch::hub::Hub;

/// A handle on the read side. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lookout {
    clock: Clock,
    /// Read on blocking threads only, by one watcher at a time.
    journal: Arc<Mutex<Journal>>,
    seen: Arc<Mutex<Seen>>,
    /// Counts publications, for whoever waits for the next.
    published: Arc<watch::Sender<u64>>,
    /// The hooks that wait for an answer.
    replies: Replies,
}

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) follower: Follower,
    pub(crate) hub: Hub,
}

impl Lookout {
    /// Looks out from where the follower stands; the journal is for those who come back.
    pub fn new(follower: Follower, journal: Journal, clock: Clock) -> Self {
        let replies = Replies::new(clock);
        let seen = Seen { follower, hub: Hub::new(replies.clone()) };
        Self {
            clock,
            journal: Arc::new(Mutex::new(journal)),
            seen: Arc::new(Mutex::new(seen)),
            published: Arc::new(watch::Sender::new(0)),
            replies,
        }
    }

    /// Folds a publication and feeds the watchers. The caller then releases the publication, and
    /// yields before it takes the next, so that watchers get to read.
    pub fn publish(&self, publication: &Publication) {
        let now = self.clock.now();
        let due = {
            let Seen { follower, hub } = &mut *self.lock();
            hub.publish(follower, publication, now)
        };
        self.published.send_modify(|count| *count += 1);
        self.replies.stir(publication.changes.iter().map(|change| &change.event));
        self.wake_when(due);
    }

    /// A hook began to wait for an answer, or ceased to: the journal knows nothing of that, and
    /// whoever watches approvals is told all the same.
    pub(crate) fn hooks_moved(&self) {
        let now = self.clock.now();
        let due = {
            let Seen { follower, hub } = &mut *self.lock();
            hub.settle(follower, now)
        };
        self.wake_when(due);
    }

    /// The hooks that wait for an answer.
    pub(crate) fn replies(&self) -> &Replies {
        &self.replies
    }

    fn wake_when(&self, due: Option<i64>) {
        if let Some(wait) = due {
            self.wake_after(Duration::from_millis(wait.unsigned_abs()));
        }
    }

    fn wake_after(&self, wait: Duration) {
        let lookout = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            lookout.lock().hub.wake(lookout.clock.now());
        });
    }

    /// Looks at what is known.
    pub fn read<R>(&self, look: impl FnOnce(&Follower) -> R) -> R {
        look(&self.lock().follower)
    }

    /// New settings are in force.
    pub fn configure(&self, settings: Settings) {
        self.lock().follower.configure(settings);
    }

    /// Ends every watch stream with a terminal reset.
    pub fn end_watches(&self, reason: ResetReason) {
        self.lock().hub.end(reason, self.clock.now());
    }

    /// Whether changes are stored.
    pub fn standing(&self) -> Standing {
        self.lock().follower.standing().clone()
    }

    /// How many watch streams are open.
    pub fn watchers(&self) -> usize {
        self.lock().hub.watchers()
    }

    /// Wakes after each publication.
    pub(crate) fn publications(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    /// Reads in the journal, away from the main thread. Nothing if the reading broke off.
    pub(crate) async fn in_journal<R: Send + 'static>(
        &self,
        read: impl FnOnce(&Journal) -> R + Send + 'static,
    ) -> Option<R> {
        let journal = Arc::clone(&self.journal);
        let read = move || read(&journal.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(read).await.ok()
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Seen> {
        // Only the main loop writes, and a panic there ends the process: what a reader that
        // panicked leaves behind is whole.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
