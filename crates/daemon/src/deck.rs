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
use engine::tick::Deadline;
use engine::time::Now;
use store::{Change, CommitError, Ledger};
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

/// Why an input was not carried out.
#[derive(Debug, thiserror::Error)]
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
#[derive(Debug)]
pub struct Settled {
    pub reply: Reply,
    /// The journal's last sequence number after it.
    pub as_of: u64,
}

/// One commit's worth of news, in order.
#[derive(Debug)]
pub struct Publication {
    pub changes: Vec<Arc<Change>>,
    /// Volatile facts, to be folded after the changes.
    pub notes: Vec<(Now, Note)>,
    pub as_of: u64,
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

struct Message {
    actor: Actor,
    input: Input,
    asker: Option<oneshot::Sender<Answer>>,
}

/// A handle on the loop. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Deck {
    inputs: mpsc::Sender<Message>,
}

impl Deck {
    /// Hands in an input and waits until it is committed and published.
    pub async fn ask(&self, actor: Actor, input: Input) -> Answer {
        let (asker, answer) = oneshot::channel();
        let message = Message { actor, input, asker: Some(asker) };
        self.inputs.send(message).await.map_err(|_| Fault::Stopping)?;
        answer.await.map_err(|_| Fault::Stopping)?
    }

    /// Hands in an input and waits only for a place in the queue.
    pub async fn tell(&self, actor: Actor, input: Input) -> Result<(), Fault> {
        let message = Message { actor, input, asker: None };
        self.inputs.send(message).await.map_err(|_| Fault::Stopping)
    }
}
