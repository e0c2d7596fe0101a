//! To whom the observer speaks.

use agents::redact;
use engine::event::Actor;
use engine::ids::{PaneId, PaneKey, TargetId};
use engine::input::{Input, Observation};
use engine::pane::PaneFacts;
use engine::words::Detail;

use crate::deck::Deck;
use crate::lookout::Lookout;

/// Takes what is observed, in order. The deck is one; tests have another.
pub trait Reporter: Clone + Send + Sync + 'static {
    fn report(
        &self,
        target: &TargetId,
        sight: Observation,
    ) -> impl Future<Output = Result<(), Closed>> + Send;

    /// The session of the agent in a pane, where somebody told it: some of its files are found by
    /// it.
    fn session(&self, target: &TargetId, pane: PaneId) -> Option<String>;
}

/// What the daemon's observers speak to.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) deck: Deck,
    pub(crate) known: Lookout,
}

/// Nobody listens any more: the daemon is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl Reporter for Desk {
    async fn report(&self, target: &TargetId, sight: Observation) -> Result<(), Closed> {
        let mut sight = sight;
        take_out_secrets(&mut sight);
        let input = Input::Observed { target: target.clone(), sight };
        self.deck.tell(Actor::Observer, input).await.map_err(|_| Closed)
    }

    fn session(&self, target: &TargetId, pane: PaneId) -> Option<String> {
        self.known.read(|follower| {
            let engine = follower.engine();
            let row = engine.pane(&PaneKey::new(target, pane))?;
            let evidence = engine.evidence(&row.runtime.as_ref()?.runtime)?;
            evidence.detail(Detail::Session).map(str::to_owned)
        })
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
        | Observation::Behind
        | Observation::CaughtUp
        | Observation::Limited { trouble: None } => {}
    }
}

fn take_out_of_pane(facts: &mut PaneFacts) {
    let PaneFacts { session_name, window_name, command, path, title, .. } = facts;
    [session_name, window_name, command, path, title].into_iter().for_each(redact::fact);
}
