//! To whom the observer speaks.

use agents::redact;
use engine::event::Actor;
use engine::ids::TargetId;
use engine::input::{Input, Observation};
use engine::pane::PaneFacts;

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
        let mut sight = sight;
        take_out_secrets(&mut sight);
        let input = Input::Observed { target: target.clone(), sight };
        self.tell(Actor::Observer, input).await.map_err(|_| Closed)
    }
}

/// Names, titles, paths and commands are what somebody typed. Whatever of it is a secret goes no
/// further than the observer, which keeps comparing what tmux really says.
fn take_out_secrets(sight: &mut Observation) {
    match sight {
        Observation::Topology(topology) => {
            topology.sessions.iter_mut().for_each(|row| redact::fact(&mut row.name));
            topology.panes.iter_mut().for_each(take_out_of_pane);
        }
        Observation::Panes { panes, .. } => panes.iter_mut().for_each(take_out_of_pane),
        Observation::Failed { trouble, .. } | Observation::Limited { trouble: Some(trouble) } => {
            redact::fact(&mut trouble.message);
        }
        Observation::Unchanged
        | Observation::ProcessEnded { .. }
        | Observation::Printed { .. }
        // Its texts were redacted when they were read.
        | Observation::Read { .. }
        | Observation::NoServer
        | Observation::Answered
        | Observation::Limited { trouble: None } => {}
    }
}

fn take_out_of_pane(facts: &mut PaneFacts) {
    let PaneFacts { session_name, window_name, command, path, title, .. } = facts;
    [session_name, window_name, command, path, title].into_iter().for_each(redact::fact);
}
