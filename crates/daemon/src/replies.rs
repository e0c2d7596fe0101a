//! Answers on their way to the hooks that wait for them.
//!
//! A hook asks again and again, a while each time; between two times it still counts as waiting.
//! Nothing here outlives the daemon: a hook whose daemon is gone prints nothing, and its agent's
//! dialog is what remains.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agents::reply::{Hold, Reply};
use engine::event::Event;
use engine::ids::{ApprovalId, PaneKey};
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
    /// The pane of its agent.
    pane: PaneKey,
    hold: Hold,
    /// What it can tell its agent.
    choices: Vec<Choice>,
    /// Requests of it that are being held.
    present: u32,
    last: MonoMs,
    mail: Option<Letter>,
    /// Wakes it: there is mail, or something changed that may concern it.
    stirred: watch::Sender<()>,
}

/// A hook's place while one of its requests is held.
#[derive(Debug)]
pub(crate) struct Held {
    replies: Replies,
    approval: ApprovalId,
    stirred: watch::Receiver<()>,
}

impl Replies {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, seats: Arc::default() }
    }

    /// Lets a hook wait, of the agent in this pane.
    pub(crate) fn hold(
        &self,
        approval: &ApprovalId,
        pane: &PaneKey,
        hold: Hold,
        choices: Vec<Choice>,
    ) -> Held {
        let now = self.clock.now().mono;
        let mut seats = self.lock();
        seats.retain(|_, seat| !seat.is_gone(now));
        let seat = seats.entry(approval.clone()).or_insert_with(|| Seat {
            pane: pane.clone(),
            hold,
            choices,
            present: 0,
            last: now,
            mail: None,
            stirred: watch::Sender::default(),
        });
        seat.present += 1;
        let stirred = seat.stirred.subscribe();
        Held { replies: self.clone(), approval: approval.clone(), stirred }
    }

    /// Has those hooks look again that one of these events may concern. All others sleep on: there
    /// may be one for each agent, and nearly everything that happens is about something else.
    pub(crate) fn stir<'a>(&self, events: impl Iterator<Item = &'a Event>) {
        let seats = self.lock();
        if seats.is_empty() {
            return;
        }
        for event in events {
            for (approval, seat) in &*seats {
                if concerns(event, approval, &seat.pane) {
                    seat.stirred.send_replace(());
                }
            }
        }
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
            Some(seat) => {
                seat.mail = Some(Letter { reply, told });
                seat.stirred.send_replace(());
            }
            None => return Delivery::Not,
        }
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

/// Whether an event may be news to the hook that waits for the answer to an approval in a pane:
/// what becomes of the approval, what its agent shows, and who looks at it.
fn concerns(event: &Event, approval: &ApprovalId, pane: &PaneKey) -> bool {
    match event {
        Event::ApprovalChanged(row) => row.approval == *approval,
        Event::PaneChanged { .. } | Event::PaneRemoved { .. } => event.pane() == Some(pane),
        Event::SessionChanged(row) => row.target == pane.target,
        Event::SessionRemoved { target, .. } | Event::TargetRemoved { target, .. } => {
            *target == pane.target
        }
        Event::TargetChanged(_)
        | Event::ActivitySeen { .. }
        | Event::EventRecorded(_)
        | Event::EventPended(_)
        | Event::EventBound { .. }
        | Event::EventDropped { .. }
        | Event::ActionChanged(_)
        | Event::AdapterChanged(_)
        | Event::TokenChanged(_)
        | Event::AccessDenied(_) => false,
    }
}

impl Seat {
    fn is_gone(&self, now: MonoMs) -> bool {
        let away = u64::try_from(now.0.saturating_sub(self.last.0)).unwrap_or(0);
        self.present == 0 && Duration::from_millis(away) > AWAY_MAX
    }
}

impl Held {
    /// Waits until there may be an answer, or something else to know. Nothing is missed that comes
    /// between two waits.
    pub(crate) async fn stirred(&mut self) {
        // Its place is kept as long as this lives.
        self.stirred.changed().await.ok();
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
    use engine::ids::{PaneId, SessionId, TargetId, WindowId};
    use engine::pane::Place;

    use super::*;

    fn pane(number: u32) -> PaneKey {
        PaneKey::new(&TargetId::new("tg"), PaneId(number))
    }

    fn yes() -> Reply {
        Reply { choice: Choice::Approve, option: None, picks: Vec::new(), message: None }
    }

    /// Somebody gives an answer meanwhile.
    fn giving(replies: &Replies, approval: &ApprovalId) -> tokio::task::JoinHandle<Delivery> {
        let (replies, approval) = (replies.clone(), approval.clone());
        tokio::spawn(async move { replies.give(&approval, yes()).await })
    }

    /// The answer, once there is one.
    async fn fetched(held: &mut Held) -> Letter {
        loop {
            if let Some(letter) = held.fetch() {
                return letter;
            }
            held.stirred().await;
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_answer_is_fetched_once_and_by_its_own_hook() {
        let replies = Replies::new(Clock::new());
        let (one, other) = (ApprovalId::new("ap-1"), ApprovalId::new("ap-2"));
        let mut held = replies.hold(&one, &pane(1), Hold::Beside, vec![Choice::Approve]);
        let bystander = replies.hold(&other, &pane(2), Hold::Beside, vec![Choice::Approve]);
        let giving = giving(&replies, &one);
        let fetched = fetched(&mut held).await;
        assert_eq!(fetched.reply, yes());
        fetched.became(Delivery::Taken);
        assert_eq!(giving.await.unwrap(), Delivery::Taken);
        assert!(held.fetch().is_none() && bystander.fetch().is_none());
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn who_carries_an_answer_says_what_became_of_it_however_long_that_takes() {
        let replies = Replies::new(Clock::new());
        let one = ApprovalId::new("ap-1");
        let mut held = replies.hold(&one, &pane(1), Hold::Beside, vec![Choice::Approve]);
        for told in [Some(Delivery::Taken), Some(Delivery::Not), None] {
            let giving = giving(&replies, &one);
            let letter = fetched(&mut held).await;
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
        let held = replies.hold(&one, &pane(1), Hold::Beside, vec![Choice::Approve]);
        assert!(replies.is_waiting(&one));
        assert_eq!(replies.ready_for(&one, Choice::Approve), Some(Hold::Beside));
        assert_eq!(replies.ready_for(&one, Choice::ApproveAlways), None, "it cannot say so");
        assert_eq!(replies.give(&one, yes()).await, Delivery::Not, "it does not ask");
        assert!(held.fetch().is_none(), "and comes too late");
    }

    fn removed(number: u32) -> Event {
        let session_name = String::new();
        let (session, window) = (SessionId(1), WindowId(1));
        let place = Place { session, session_name, window, links: Vec::new() };
        Event::PaneRemoved { key: pane(number), place, ended: None }
    }

    /// Whether a hook is woken, by what happened before.
    async fn wakes(held: &mut Held) -> bool {
        tokio::time::timeout(Duration::ZERO, held.stirred()).await.is_ok()
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn a_hook_is_woken_by_what_concerns_it_and_sleeps_through_the_rest() {
        let replies = Replies::new(Clock::new());
        let hold = |approval: &str, number| {
            let approval = ApprovalId::new(approval);
            replies.hold(&approval, &pane(number), Hold::Beside, vec![Choice::Approve])
        };
        let (mut one, mut other) = (hold("ap-1", 1), hold("ap-2", 2));
        let target = TargetId::new("tg");
        let seen = Event::ActivitySeen { target: target.clone(), panes: Vec::new() };
        replies.stir([seen, removed(3)].iter());
        assert!(!wakes(&mut one).await && !wakes(&mut other).await, "neither's");
        replies.stir([removed(1)].iter());
        assert!(wakes(&mut one).await, "its pane");
        assert!(!wakes(&mut one).await, "once");
        assert!(!wakes(&mut other).await, "another's pane");
        let session = SessionId(1);
        replies.stir([Event::SessionRemoved { target, session }].iter());
        assert!(wakes(&mut one).await && wakes(&mut other).await, "perhaps both's session");
        let elsewhere = TargetId::new("elsewhere");
        replies.stir([Event::SessionRemoved { target: elsewhere, session }].iter());
        assert!(!wakes(&mut one).await && !wakes(&mut other).await, "another target's");
    }
}
