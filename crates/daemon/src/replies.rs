//! Answers on their way to the hooks that wait for them.
//!
//! A hook asks again and again, a while each time; between two times it still counts as waiting.
//! Nothing here outlives the daemon: a hook whose daemon is gone prints nothing, and its agent's
//! dialog is what remains.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agents::reply::{Hold, Reply};
use engine::ids::ApprovalId;
use engine::time::MonoMs;
use engine::words::Choice;
use tokio::sync::{oneshot, watch};

use crate::clock::Clock;

/// How long a hook may take to ask again.
pub(crate) const AWAY_MAX: Duration = Duration::from_secs(1);
/// How long an answer waits to be fetched.
const FETCH_TIMEOUT: Duration = Duration::from_millis(1_500);

/// A handle on all hooks that wait. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Replies {
    clock: Clock,
    seats: Arc<Mutex<BTreeMap<ApprovalId, Seat>>>,
    /// Counts what was laid down.
    moved: Arc<watch::Sender<u64>>,
}

/// What became of an answer for a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The hook has it.
    Taken,
    /// The hook has not got it, and never will.
    Not,
    /// Nobody can say: what carried it was cut off.
    Unknown,
}

/// An answer on its way. Whoever carries it says what became of it; dropped without a word, nobody
/// can say.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) reply: Reply,
    told: oneshot::Sender<Delivery>,
}

impl Letter {
    pub(crate) fn became(self, delivery: Delivery) {
        // Whoever gave it may have gone meanwhile.
        self.told.send(delivery).ok();
    }
}

/// One hook that waits.
#[derive(Debug)]
struct Seat {
    hold: Hold,
    /// What it can tell its agent.
    choices: Vec<Choice>,
    /// Requests of it that are being held.
    present: u32,
    last: MonoMs,
    mail: Option<Letter>,
}

/// A hook's place while one of its requests is held.
#[derive(Debug)]
pub(crate) struct Held {
    replies: Replies,
    approval: ApprovalId,
}

impl Replies {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, seats: Arc::default(), moved: Arc::new(watch::Sender::new(0)) }
    }

    /// Lets a hook wait.
    pub(crate) fn hold(&self, approval: &ApprovalId, hold: Hold, choices: Vec<Choice>) -> Held {
        let now = self.clock.now().mono;
        let mut seats = self.lock();
        seats.retain(|_, seat| !seat.is_gone(now));
        let seat = seats.entry(approval.clone()).or_insert_with(|| Seat {
            hold,
            choices,
            present: 0,
            last: now,
            mail: None,
        });
        seat.present += 1;
        Held { replies: self.clone(), approval: approval.clone() }
    }

    /// Whether a hook waits for the answer to an approval.
    pub(crate) fn is_waiting(&self, approval: &ApprovalId) -> bool {
        let now = self.clock.now().mono;
        self.lock().get(approval).is_some_and(|seat| !seat.is_gone(now))
    }

    /// What the hook hides that waits and can tell its agent this.
    pub(crate) fn ready_for(&self, approval: &ApprovalId, choice: Choice) -> Option<Hold> {
        let now = self.clock.now().mono;
        let seats = self.lock();
        let seat = seats.get(approval).filter(|seat| !seat.is_gone(now))?;
        seat.choices.contains(&choice).then_some(seat.hold)
    }

    /// Gives an answer to the hook that waits. What is not fetched in time is taken back.
    pub(crate) async fn give(&self, approval: &ApprovalId, reply: Reply) -> Delivery {
        let (told, mut delivered) = oneshot::channel();
        match self.lock().get_mut(approval) {
            Some(seat) => seat.mail = Some(Letter { reply, told }),
            None => return Delivery::Not,
        }
        self.moved.send_modify(|count| *count += 1);
        let known = match tokio::time::timeout(FETCH_TIMEOUT, &mut delivered).await {
            Ok(known) => known,
            Err(_) if self.take_back(approval) => return Delivery::Not,
            // Whoever fetched it is still on the way.
            Err(_) => delivered.await,
        };
        known.unwrap_or(Delivery::Unknown)
    }

    /// Takes back what nobody fetched; says whether anything was there.
    fn take_back(&self, approval: &ApprovalId) -> bool {
        self.lock().get_mut(approval).and_then(|seat| seat.mail.take()).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ApprovalId, Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn is_gone(&self, now: MonoMs) -> bool {
        let away = u64::try_from(now.0.saturating_sub(self.last.0)).unwrap_or(0);
        self.present == 0 && Duration::from_millis(away) > AWAY_MAX
    }
}

impl Held {
    /// Wakes whenever something was laid down.
    pub(crate) fn moved(&self) -> watch::Receiver<u64> {
        self.replies.moved.subscribe()
    }

    /// The answer, for this hook alone.
    pub(crate) fn fetch(&self) -> Option<Letter> {
        self.replies.lock().get_mut(&self.approval).and_then(|it| it.mail.take())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let now = self.replies.clock.now().mono;
        if let Some(seat) = self.replies.lock().get_mut(&self.approval) {
            seat.present = seat.present.saturating_sub(1);
            seat.last = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yes() -> Reply {
        Reply { choice: Choice::Approve, option: None, message: None }
    }

    /// Somebody gives an answer meanwhile.
    fn giving(replies: &Replies, approval: &ApprovalId) -> tokio::task::JoinHandle<Delivery> {
        let (replies, approval) = (replies.clone(), approval.clone());
        tokio::spawn(async move { replies.give(&approval, yes()).await })
    }

    /// The answer, once there is one.
    async fn fetched(held: &Held) -> Letter {
        let mut moved = held.moved();
        loop {
            if let Some(letter) = held.fetch() {
                return letter;
            }
            moved.changed().await.unwrap();
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_answer_is_fetched_once_and_by_its_own_hook() {
        let replies = Replies::new(Clock::new());
        let (one, other) = (ApprovalId::new("ap-1"), ApprovalId::new("ap-2"));
        let held = replies.hold(&one, Hold::Beside, vec![Choice::Approve]);
        let bystander = replies.hold(&other, Hold::Beside, vec![Choice::Approve]);
        let giving = giving(&replies, &one);
        let fetched = fetched(&held).await;
        assert_eq!(fetched.reply, yes());
        fetched.became(Delivery::Taken);
        assert_eq!(giving.await.unwrap(), Delivery::Taken);
        assert!(held.fetch().is_none() && bystander.fetch().is_none());
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn who_carries_an_answer_says_what_became_of_it_however_long_that_takes() {
        let replies = Replies::new(Clock::new());
        let one = ApprovalId::new("ap-1");
        let held = replies.hold(&one, Hold::Beside, vec![Choice::Approve]);
        for told in [Some(Delivery::Taken), Some(Delivery::Not), None] {
            let giving = giving(&replies, &one);
            let letter = fetched(&held).await;
            tokio::time::sleep(FETCH_TIMEOUT * 3).await;
            match told {
                Some(told) => letter.became(told),
                None => drop(letter),
            }
            assert_eq!(giving.await.unwrap(), told.unwrap_or(Delivery::Unknown));
        }
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn what_nobody_fetches_is_taken_back() {
        let replies = Replies::new(Clock::new());
        let one = ApprovalId::new("ap-1");
        assert_eq!(replies.give(&one, yes()).await, Delivery::Not, "nobody waits");
        let held = replies.hold(&one, Hold::Beside, vec![Choice::Approve]);
        assert!(replies.is_waiting(&one));
        assert_eq!(replies.ready_for(&one, Choice::Approve), Some(Hold::Beside));
        assert_eq!(replies.ready_for(&one, Choice::ApproveAlways), None, "it cannot say so");
        assert_eq!(replies.give(&one, yes()).await, Delivery::Not, "it does not ask");
        assert!(held.fetch().is_none(), "and comes too late");
    }
}
