//! The way to one target's server for whoever acts there: over the observer's control connection
//! while there is one, else by a `tmux` of its own.

use std::sync::Arc;
use std::time::Duration;

use tmux::arg::OwnName;
use tmux::command::Batch;
use tokio::sync::watch;

use super::link::{Speaker, Unheard};
use crate::targets::Target;
use crate::targets::failure::TmuxFailure;
use crate::targets::obstacle::Obstacle;

/// A handle on the way. Cheap to clone; it outlives the connection.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) target: Arc<Target>,
    pub(super) speaker: watch::Receiver<Option<Speaker>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// It was never asked.
    #[error(transparent)]
    NotAsked(TmuxFailure),
    /// Nor could it be, because what it is about is not there.
    #[error("its text did not get there: {0}")]
    NotLoaded(TmuxFailure),
    /// It may have been asked, and may do what it was asked.
    #[error("{0}")]
    Unheard(String),
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
}

impl Reach {
    /// Has a batch carried out at most once, and gives what it printed.
    pub(crate) async fn act(&self, batch: &Batch, limit: Duration) -> Result<Vec<u8>, NoAnswer> {
        match self.say(Vec::new(), batch, limit).await {
            Some(answer) => answer,
            None => self.fork(batch, limit).await,
        }
    }

    /// The same with a text that has to be in a buffer there before. It goes with the batch where
    /// that is possible, so both take the time of one; else it goes first, and may take long.
    pub(crate) async fn act_with(
        &self,
        buffer: &OwnName,
        text: &[u8],
        batch: &Batch,
        (loading, limit): (Duration, Duration),
    ) -> Result<Vec<u8>, NoAnswer> {
        if let Some(line) = self.target.load_line(buffer, text)
            && let Some(answer) = self.say(line, batch, limit).await
        {
            return answer;
        }
        let loaded = tokio::time::timeout(loading, self.target.load(buffer, text)).await;
        let loaded = loaded.unwrap_or(Err(TmuxFailure::Timeout { limit: loading }));
        loaded.map_err(NoAnswer::NotLoaded)?;
        self.act(batch, limit).await
    }

    /// Says it over the control connection; nothing where there is none that takes it.
    async fn say(
        &self,
        line: Vec<u8>,
        batch: &Batch,
        limit: Duration,
    ) -> Option<Result<Vec<u8>, NoAnswer>> {
        let speaker = self.speaker.borrow().clone()?;
        let said = speaker.ask_behind(line, vec![batch.clone()]);
        Some(match tokio::time::timeout(limit, said).await {
            Err(_) => Err(NoAnswer::Timeout(limit)),
            Ok(Ok(Ok(outputs))) => Ok(outputs.concat()),
            Ok(Ok(Err(refused))) => Err(NoAnswer::Unheard(refused.to_string())),
            Ok(Err(Unheard::Ended)) => {
                Err(NoAnswer::Unheard("the control connection ended".to_owned()))
            }
            Ok(Err(Unheard::NotTaken)) => return None,
        })
    }

    /// The same by a `tmux` of its own, for what must not wait for a connection.
    pub(crate) async fn fork(&self, batch: &Batch, limit: Duration) -> Result<Vec<u8>, NoAnswer> {
        let answered = match self.target.tmux(batch, limit).await {
            // Its reader knows whether it is whole: a failing hook of the user's takes nothing away.
            Err(TmuxFailure::Refused { printed, .. }) if !printed.is_empty() => Ok(printed),
            answered => answered,
        };
        answered.map_err(|failure| match failure {
            TmuxFailure::NoServer
            | TmuxFailure::Missing { .. }
            | TmuxFailure::Denied
            | TmuxFailure::Mismatch { .. }
            | TmuxFailure::TooLong(_) => NoAnswer::NotAsked(failure),
            TmuxFailure::Unreached(Obstacle::NotConnected | Obstacle::GivenUp) => {
                NoAnswer::NotAsked(failure)
            }
            // Over a connection that ended, the question may have been the last to come through.
            TmuxFailure::Unreached(obstacle) => NoAnswer::Unheard(obstacle.to_string()),
            TmuxFailure::Timeout { limit } => NoAnswer::Timeout(limit),
            TmuxFailure::Broken(_)
            | TmuxFailure::NoVersion(_)
            | TmuxFailure::Refused { .. }
            | TmuxFailure::Lost { .. }
            | TmuxFailure::TooMuch => NoAnswer::Unheard(failure.to_string()),
        })
    }

    /// Whether an answer comes over a control connection.
    pub(crate) fn is_controlled(&self) -> bool {
        self.speaker.borrow().is_some()
    }
}
