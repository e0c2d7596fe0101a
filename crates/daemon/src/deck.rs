//! The one loop: every input, from whomever, is decided, committed and published here, in order.
//!
//! The deck is a thread of its own that owns the ledger. Others hold a [`Deck`] handle. Inputs
//! that arrive together share one commit. What a commit made true goes out as one
//! [`Publication`]; the askers' answers travel inside it, so whoever has an answer can already
//! read what it speaks of.

use std::sync::Arc;
use std::time::Duration;

use engine::event::Actor;
use engine::input::{Effect, Input, Note, Refusal, Reply};
use engine::settings::Settings;
use engine::tick::Deadline;
use engine::time::{MonoMs, Now, WallMs};
use store::{Change, CommitError, Ledger, Outcome, Retention};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Clock;

/// Inputs that wait for the deck. A sender waits while it is full.
const INPUTS_MAX: usize = 4_096;
/// Inputs that share one commit.
const BATCH_MAX: usize = 512;
/// Publications that wait for their reader. The deck waits while it is full.
const PUBLICATIONS_MAX: usize = 256;
/// The least time between two ticks, whatever the engine asks for.
const TICK_SPACING: Duration = Duration::from_millis(20);
/// How long after a commit the anchor outside the database is made durable.
const ANCHOR_DELAY_MS: i64 = 1_000;
/// How long after a failed commit it is tried out whether anything can be stored again.
const TRIAL_DELAY_MS: i64 = 1_000;
/// The pause between two pieces of retention.
const RETENTION_PAUSE_MS: i64 = 50;

/// Why an input was not carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the change was not stored")]
    Store(#[source] Arc<CommitError>),
    #[error("the daemon is stopping")]
    Stopping,
}

/// What an asker is told, once it is committed and published.
pub type Answer = Result<Settled, Fault>;

/// An input that was carried out.
#[derive(Clone, Debug)]
pub struct Settled {
    pub reply: Reply,
    /// The journal's last sequence number after it.
    pub as_of: u64,
}

/// One commit's worth of news, in order.
#[derive(Debug, Default)]
pub struct Publication {
    pub changes: Vec<Arc<Change>>,
    /// Volatile facts, to be folded after the changes.
    pub notes: Vec<(Now, Note)>,
    pub effects: Vec<Effect>,
    /// The journal's last sequence number after it.
    pub as_of: u64,
    /// Something was stored, so that storing is known to work.
    pub stored: bool,
    /// The commit failed: what was observed is forgotten and has to be observed again.
    pub lost: Option<Arc<CommitError>>,
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
}

impl Publication {
    /// Tells every asker. Called by the reader once it has folded the rest.
    pub fn release(self) {
        for (asker, answer) in self.answers {
            // An asker that is gone is not told.
            drop(asker.send(answer));
        }
    }
}

enum Message {
    Input { actor: Actor, input: Box<Input>, asker: Option<oneshot::Sender<Answer>> },
    Chore(Chore),
}

/// Upkeep that only the owner of the ledger can do.
#[derive(Clone, Copy, Debug)]
pub enum Chore {
    /// New settings are in force.
    Configure(Settings),
    /// Clear and prune what has expired, a piece at a time until nothing is left.
    Retain(Retention),
    /// Take nothing more, finish what is there, and end.
    Close,
}

/// A handle on the loop. Cheap to clone; the loop ends when it is told to close, or when the last
/// handle is gone.
#[derive(Clone, Debug)]
pub struct Deck {
    inputs: mpsc::Sender<Message>,
    clock_doubted: watch::Receiver<Option<WallMs>>,
}

impl Deck {
    /// Hands in an input and waits until it is committed and published.
    pub async fn ask(&self, actor: Actor, input: Input) -> Answer {
        let (asker, answer) = oneshot::channel();
        let input = Box::new(input);
        self.send(Message::Input { actor, input, asker: Some(asker) }).await?;
        answer.await.map_err(|_| Fault::Stopping)?
    }

    /// Hands in several inputs in their order, so that they can share a commit, and waits until
    /// all of them are committed and published.
    pub async fn ask_all(&self, inputs: Vec<(Actor, Input)>) -> Vec<Answer> {
        let mut waiting = Vec::with_capacity(inputs.len());
        for (actor, input) in inputs {
            let (asker, answer) = oneshot::channel();
            let input = Box::new(input);
            let sent = self.send(Message::Input { actor, input, asker: Some(asker) }).await;
            waiting.push(sent.map(|()| answer));
        }
        let mut answers = Vec::with_capacity(waiting.len());
        for sent in waiting {
            answers.push(match sent {
                Ok(answer) => answer.await.unwrap_or(Err(Fault::Stopping)),
                Err(fault) => Err(fault),
            });
        }
        answers
    }

    /// Hands in an input and waits only for a place in the queue.
    pub async fn tell(&self, actor: Actor, input: Input) -> Result<(), Fault> {
        self.send(Message::Input { actor, input: Box::new(input), asker: None }).await
    }

    pub async fn upkeep(&self, chore: Chore) -> Result<(), Fault> {
        self.send(Message::Chore(chore)).await
    }

    /// Where the wall clock was last believed, while it is not and nothing expires by it.
    pub fn doubts_clock_since(&self) -> Option<WallMs> {
        *self.clock_doubted.borrow()
    }

    async fn send(&self, message: Message) -> Result<(), Fault> {
        self.inputs.send(message).await.map_err(|_| Fault::Stopping)
    }
}

/// A deck at work, as its owner holds it.
#[derive(Debug)]
pub struct Running {
    pub deck: Deck,
    pub news: mpsc::Receiver<Publication>,
    pub deadline: watch::Receiver<Option<Deadline>>,
    pub thread: std::thread::JoinHandle<Ledger>,
}

/// Starts the loop on a thread of its own.
pub fn start(ledger: Ledger, clock: Clock) -> std::io::Result<Running> {
    let (inputs, received) = mpsc::channel(INPUTS_MAX);
    let (news, published) = mpsc::channel(PUBLICATIONS_MAX);
    let (deadline, due) = watch::channel(ledger.engine().next_deadline());
    let (clock_doubt, clock_doubted) = watch::channel(ledger.doubts_clock_since());
    let desk = Desk {
        ledger,
        clock,
        inputs: received,
        news,
        deadline,
        clock_doubt,
        anchor_due: None,
        retention_due: None,
        trial_due: None,
        told: None,
        closing: false,
    };
    let thread = std::thread::Builder::new().name("deck".to_owned()).spawn(move || desk.run())?;
    Ok(Running { deck: Deck { inputs, clock_doubted }, news: published, deadline: due, thread })
}

/// Ticks the engine whenever it asked for it. Ends with the deck.
pub async fn keep_time(deck: Deck, clock: Clock, mut due: watch::Receiver<Option<Deadline>>) {
    loop {
        let deadline = *due.borrow_and_update();
        let Some(deadline) = deadline else {
            if due.changed().await.is_err() {
                return;
            }
            continue;
        };
        let wait = deadline.at.0.saturating_sub(clock.now().mono.0);
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0)).max(TICK_SPACING);
        tokio::select! {
            () = tokio::time::sleep(wait) => {
                tracing::trace!(why = deadline.why, "tick");
                if deck.ask(Actor::Reconciler, Input::Ticked).await.is_err_and(|it| it.is_final()) {
                    return;
                }
            }
            changed = due.changed() => if changed.is_err() { return },
        }
    }
}

impl Fault {
    fn is_final(&self) -> bool {
        match self {
            Self::Stopping => true,
            Self::Refused(_) | Self::Store(_) => false,
        }
    }
}

/// What the deck thread works with.
struct Desk {
    ledger: Ledger,
    clock: Clock,
    inputs: mpsc::Receiver<Message>,
    news: mpsc::Sender<Publication>,
    deadline: watch::Sender<Option<Deadline>>,
    clock_doubt: watch::Sender<Option<WallMs>>,
    anchor_due: Option<MonoMs>,
    retention_due: Option<(MonoMs, Retention)>,
    trial_due: Option<MonoMs>,
    /// The failure that the log has, until something is stored again.
    told: Option<String>,
    closing: bool,
}

impl Desk {
    /// Works until it is told to close, and hands the ledger back.
    fn run(mut self) -> Ledger {
        while let Some(first) = self.inputs.blocking_recv() {
            let mut inputs = Vec::new();
            let mut askers = Vec::new();
            let mut next = Some(first);
            while let Some(message) = next.take() {
                match message {
                    Message::Input { actor, input, asker } => {
                        inputs.push((actor, *input));
                        askers.push(asker);
                    }
                    Message::Chore(chore) => self.upkeep(chore),
                }
                if inputs.len() < BATCH_MAX {
                    next = self.inputs.try_recv().ok();
                }
            }
            if !inputs.is_empty() && self.turn(inputs, askers).is_err() {
                break;
            }
            if self.catch_up().is_err() {
                break;
            }
            self.announce_deadline();
            if self.closing {
                // What is in the queue is still finished; nothing new gets in.
                self.inputs.close();
            }
        }
        self.ledger
    }

    /// Writes a failure into the log: once, for each look would repeat it for as long as it lasts.
    fn tell(&mut self, error: &CommitError) {
        let error = error.to_string();
        if self.told.as_ref() != Some(&error) {
            tracing::error!(%error, "a commit failed");
            self.told = Some(error);
        }
    }

    /// Commits one batch and publishes what came of it. Fails when nobody listens any more.
    fn turn(
        &mut self,
        inputs: Vec<(Actor, Input)>,
        askers: Vec<Option<oneshot::Sender<Answer>>>,
    ) -> Result<(), ()> {
        let now = self.clock.now();
        let mut publication = Publication::default();
        match self.ledger.transact(now, inputs) {
            Ok(outcomes) => {
                publication.as_of = self.ledger.as_of();
                publication.stored = outcomes.iter().any(|outcome| !outcome.changes.is_empty());
                if publication.stored {
                    self.told = None;
                }
                if publication.stored && self.anchor_due.is_none() {
                    self.anchor_due = Some(now.stamp().plus(ANCHOR_DELAY_MS));
                }
                for (outcome, asker) in outcomes.into_iter().zip(askers) {
                    publish(&mut publication, now, outcome, asker);
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                self.tell(&error);
                self.trial_due = Some(now.stamp().plus(TRIAL_DELAY_MS));
                publication.as_of = self.ledger.as_of();
                let fault = Fault::Store(Arc::clone(&error));
                let askers = askers.into_iter().flatten();
                publication.answers = askers.map(|asker| (asker, Err(fault.clone()))).collect();
                publication.lost = Some(error);
            }
        }
        self.news.blocking_send(publication).map_err(|_| ())
    }

    fn upkeep(&mut self, chore: Chore) {
        match chore {
            Chore::Configure(settings) => self.ledger.configure(settings),
            Chore::Retain(retention) => {
                self.retention_due = Some((self.clock.now().mono, retention));
            }
            Chore::Close => self.closing = true,
        }
    }

    /// Does the upkeep that is due. Fails when nobody listens any more.
    fn catch_up(&mut self) -> Result<(), ()> {
        let now = self.clock.now();
        if self.anchor_due.is_some_and(|due| due <= now.mono) {
            self.anchor_due = None;
            if let Err(error) = self.ledger.sync_anchor() {
                tracing::error!(%error, "the anchor is not durable");
            }
        }
        if let Some((_, retention)) = self.retention_due.filter(|(due, _)| *due <= now.mono) {
            self.retention_due = None;
            match self.ledger.retain(now, &retention) {
                Ok(()) if self.ledger.retention_is_behind() => {
                    self.retention_due = Some((now.stamp().plus(RETENTION_PAUSE_MS), retention));
                }
                Ok(()) => {}
                Err(error) => tracing::error!(%error, "nothing was cleared"),
            }
            self.announce_clock();
        }
        if self.trial_due.is_some_and(|due| due <= now.mono) {
            self.trial_due = None;
            return self.try_out(now);
        }
        Ok(())
    }

    /// Finds out whether a failure is over, also where nothing else wants to be stored.
    fn try_out(&mut self, now: Now) -> Result<(), ()> {
        let tried = self.ledger.try_out();
        if tried.as_ref().is_err_and(|error| !error.is_final()) {
            self.trial_due = Some(now.stamp().plus(TRIAL_DELAY_MS));
        }
        let publication = Publication {
            as_of: self.ledger.as_of(),
            stored: tried.is_ok(),
            ..Publication::default()
        };
        self.news.blocking_send(publication).map_err(|_| ())
    }

    /// Says when the clock begins or ceases to be doubted.
    fn announce_clock(&self) {
        let doubted = self.ledger.doubts_clock_since();
        let before = self.clock_doubt.send_replace(doubted);
        if doubted.is_some() && before.is_none() {
            tracing::warn!("the wall clock jumped by days: nothing expires until it is believed");
        }
    }

    fn announce_deadline(&self) {
        let anchor = self.anchor_due.map(|at| Deadline { at, why: "the anchor is to be durable" });
        let retention = self.retention_due.map(|(at, _)| Deadline { at, why: "more has expired" });
        let trial = self.trial_due.map(|at| Deadline { at, why: "storing is to be tried" });
        let engine = self.ledger.engine().next_deadline();
        let next = [anchor, retention, trial, engine].into_iter().flatten().min();
        self.deadline.send_if_modified(|current| {
            let changed = *current != next;
            *current = next;
            changed
        });
    }
}

fn publish(
    publication: &mut Publication,
    now: Now,
    outcome: Outcome,
    asker: Option<oneshot::Sender<Answer>>,
) {
    publication.changes.extend(outcome.changes);
    publication.notes.extend(outcome.notes.into_iter().map(|note| (now, note)));
    publication.effects.extend(outcome.effects);
    let as_of = publication.as_of;
    let answer = match outcome.result {
        Ok(reply) => Ok(Settled { reply, as_of }),
        Err(refusal) => Err(Fault::Refused(refusal)),
    };
    if let Some(asker) = asker {
        publication.answers.push((asker, answer));
    }
}
