//! How a server is asked: over its control connection, or by a forked `tmux` for each question.

use std::pin::Pin;
use std::sync::Arc;

use engine::target::ObserverMode;
use tmux::command::Batch;
use tmux::format::Nonce;
use tmux::rows::Row;
use tmux::scan::{Scan, ScanError, Scanned, is_complete};

use super::link::{Link, News};
use crate::targets::Target;
use crate::targets::failure::TmuxFailure;

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// The reason comes as news of the link.
    #[error("the control connection ended")]
    Ended,
    #[error("tmux refused: {0}")]
    Refused(String),
    #[error(transparent)]
    Failed(#[from] TmuxFailure),
    #[error("the answer makes no sense")]
    Garbled(#[from] ScanError),
}

/// One batch, and the nonce that marks its output where that has to be found in a longer one.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub batch: Batch,
    pub nonce: Nonce,
}

/// An answer on its way.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Vec<Vec<u8>>, AskError>> + Send>>;

/// The way to one server.
#[derive(Debug)]
pub(super) enum Line {
    Control(Link),
    Forked,
}

impl Line {
    pub(super) fn mode(&self) -> ObserverMode {
        match self {
            Self::Control(_) => ObserverMode::Control,
            Self::Forked => ObserverMode::Forked,
        }
    }

    /// Asks all questions at once; their answers come in the same order.
    pub(super) fn ask(&self, target: &Arc<Target>, questions: &[Question]) -> Answer {
        match self {
            Self::Control(link) => {
                let batches = questions.iter().map(|question| question.batch.clone()).collect();
                let answer = link.ask(batches);
                Box::pin(async move {
                    let outputs = answer.await.ok_or(AskError::Ended)?;
                    outputs.map_err(|refused| AskError::Refused(refused.reason))
                })
            }
            Self::Forked => fork(Arc::clone(target), questions.to_vec()),
        }
    }

    /// Waits for what the server says unasked.
    pub(super) async fn news(&mut self) -> News {
        match self {
            Self::Control(link) => link.news().await,
            Self::Forked => std::future::pending().await,
        }
    }

    pub(super) async fn close(self) {
        match self {
            Self::Control(link) => link.close().await,
            Self::Forked => {}
        }
    }
}

/// Asks by one process, whatever the number of questions.
pub(super) fn fork(target: Arc<Target>, questions: Vec<Question>) -> Answer {
    Box::pin(async move { Ok(ask_by_fork(&target, &questions).await?) })
}

async fn ask_by_fork(target: &Target, questions: &[Question]) -> Result<Vec<Vec<u8>>, TmuxFailure> {
    let batches: Vec<Batch> = questions.iter().map(|question| question.batch.clone()).collect();
    let last = questions.last().map(|question| question.nonce);
    let output = match target.tmux_all(&batches, target.patience().command).await {
        // A hook of the user's that fails makes the whole process fail, and takes nothing away.
        Err(TmuxFailure::Refused { printed, .. })
            if last.is_some_and(|nonce| is_complete(nonce, &printed)) =>
        {
            printed
        }
        answered => answered?,
    };
    Ok(cut_at(output, questions.iter().skip(1).map(|question| question.nonce)))
}

/// Cuts what several batches printed at the first mark of each but the first.
fn cut_at(output: Vec<u8>, nonces: impl Iterator<Item = Nonce>) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut rest = output;
    for nonce in nonces {
        let mark = nonce.to_string().into_bytes();
        let at = rest.windows(mark.len()).position(|window| window == mark);
        let tail = rest.split_off(at.unwrap_or(rest.len()));
        pieces.push(std::mem::replace(&mut rest, tail));
    }
    pieces.push(rest);
    pieces
}

/// A nonce that nobody can have foreseen.
pub(crate) fn nonce() -> Nonce {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&crate::ids::random_bytes()[..8]);
    Nonce::from_random(bytes)
}

/// A question for all rows of a kind, and the way to read its answer.
#[derive(Clone, Debug)]
pub(super) struct Asked<R> {
    scan: Scan<R>,
    nonce: Nonce,
}

impl<R: Row> Asked<R> {
    pub(super) fn all() -> Self {
        let nonce = nonce();
        Self { scan: Scan::all(nonce), nonce }
    }

    pub(super) fn question(&self) -> Question {
        Question { batch: self.scan.batch(), nonce: self.nonce }
    }

    pub(super) fn read(&self, output: &[u8]) -> Result<Scanned<R>, AskError> {
        Ok(self.scan.read(output)?)
    }

    /// Asks just this, by a process of its own.
    pub(super) async fn by_fork(&self, target: &Target) -> Result<Scanned<R>, AskError> {
        let outputs = ask_by_fork(target, &[self.question()]).await?;
        self.read(&outputs.concat())
    }
}

impl Asked<tmux::rows::PaneRow> {
    pub(super) fn panes(panes: Vec<tmux::ids::PaneId>) -> Self {
        let nonce = nonce();
        Self { scan: Scan::panes(nonce, panes), nonce }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_several_batches_is_cut_where_each_begins() {
        let nonces = [Nonce::from_random([1; 8]), Nonce::from_random([2; 8])];
        let output = format!("first\n{}second\n{}third", nonces[0], nonces[1]).into_bytes();
        let pieces = cut_at(output, nonces.into_iter());
        let texts: Vec<_> = pieces.iter().map(|it| String::from_utf8_lossy(it)).collect();
        assert_eq!(
            texts,
            ["first\n", &format!("{}second\n", nonces[0]), &format!("{}third", nonces[1])]
        );
        let short = cut_at(b"first".to_vec(), nonces.into_iter());
        assert_eq!(short, [b"first".to_vec(), Vec::new(), Vec::new()]);
    }
}
