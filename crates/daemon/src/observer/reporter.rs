//! To whom the observer speaks.

use engine::event::Actor;
use engine::ids::TargetId;
use engine::input::{Input, Observation};

use crate::deck::Deck;

/// Takes what is observed, in order. The deck is one; tests have another.
pub trait Reporter: Clone + Send + Sync + 'static {
    fn report(
        &self,
        target: &TargetId,
        sight: Observation,
    ) -> impl Future<Output = Result<(), Closed>> + Send;
}

/// Nobody listens any more: the daemon is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl Reporter for Deck {
    async fn report(&self, target: &TargetId, sight: Observation) -> Result<(), Closed> {
        let input = Input::Observed { target: target.clone(), sight };
        self.tell(Actor::Observer, input).await.map_err(|_| Closed)
    }
}
