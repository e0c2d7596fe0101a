//! Asking the server, and what it means when no answer comes.
//!
//! While an answer is awaited, hints are taken: a process that ends is reported at once, however
//! long the server takes. A control connection that gives no answer is waited for, but a forked
//! command is tried beside it: if that is answered, the connection is at fault, else the server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::error::with_causes;
use engine::ids::PaneId;
use engine::input::Observation;
use tmux::rows::{PaneRow, Row, SessionRow};
use tmux::scan::is_empty_server;

use super::context::jittered;
use super::facts;
use super::line::{Answer, AskError, Asked, Line, Question, fork};
use super::link::{LinkEnd, News};
use super::reporter::Reporter;
use super::schedule::Scope;
use super::trouble;
use super::watch::{Halt, Watch};
use crate::targets::failure::TmuxFailure;

impl<R: Reporter> Watch<'_, R> {
    /// Reads the answer to one of several questions, and proves that it comes from our server.
    pub(super) fn read<T: Row>(&self, asked: &Asked<T>, output: &[u8]) -> Result<Vec<T>, Halt> {
        let scanned = asked.read(output).map_err(|error| Halt::Failed(garbled(&error)))?;
        if scanned.server == self.server.instance { Ok(scanned.rows) } else { Err(Halt::Replaced) }
    }

    /// Reads all fields of these panes. Those that are gone have no row.
    pub(super) async fn ask_rows(
        &mut self,
        panes: BTreeSet<PaneId>,
    ) -> Result<BTreeMap<PaneId, PaneRow>, Halt> {
        let panes = panes.into_iter().map(|pane| tmux::ids::PaneId(pane.0)).collect();
        let asked = Asked::panes(panes);
        let outputs = self.ask(&[asked.question()]).await?;
        self.rows(&asked, &outputs)
    }

    /// Lists the sessions.
    pub(super) async fn ask_sessions(&mut self) -> Result<Vec<SessionRow>, Halt> {
        let asked = Asked::<SessionRow>::all();
        let outputs = self.ask(&[asked.question()]).await?;
        self.read(&asked, outputs.first().map_or(&[], Vec::as_slice))
    }

    /// Reads all fields of all panes.
    pub(super) async fn ask_all_rows(&mut self) -> Result<BTreeMap<PaneId, PaneRow>, Halt> {
        let asked = Asked::<PaneRow>::all();
        let outputs = self.ask(&[asked.question()]).await?;
        self.rows(&asked, &outputs)
    }

    fn rows(
        &self,
        asked: &Asked<PaneRow>,
        outputs: &[Vec<u8>],
    ) -> Result<BTreeMap<PaneId, PaneRow>, Halt> {
        let rows = self.read(asked, outputs.first().map_or(&[], Vec::as_slice))?;
        Ok(rows.into_iter().map(|row| (facts::pane_id(row.brief.pane), row)).collect())
    }

    /// Asks, again where asking again may help, until there is an answer or a reason to end.
    pub(super) async fn ask(&mut self, questions: &[Question]) -> Result<Vec<Vec<u8>>, Halt> {
        let mut pauses = self.cx.target.patience().repetitions();
        loop {
            let answer = self.line.ask(&self.cx.target, questions);
            let error = match self.wait(answer).await? {
                Ok(outputs) => {
                    self.answered().await?;
                    return Ok(outputs);
                }
                Err(error) => error,
            };
            let failure = match error {
                AskError::Ended => return Err(self.link_ended().await),
                AskError::Failed(TmuxFailure::NoServer) => return Err(Halt::ServerGone),
                AskError::Failed(failure) => failure,
                AskError::Refused(said) => TmuxFailure::refused(said),
                AskError::Garbled(error) => return Err(Halt::Failed(garbled(&error))),
            };
            if matches!(&failure, TmuxFailure::Refused { said, .. } if is_empty_server(said)) {
                return Err(Halt::Vacated);
            }
            let trouble = trouble::of_failure(&failure);
            match pauses.next().filter(|_| failure.is_passing()) {
                Some(pause) => {
                    self.cx.failed(trouble).await?;
                    self.pause(jittered(pause)).await?;
                }
                None => return Err(Halt::Failed(trouble)),
            }
        }
    }

    /// Waits for an answer and takes whatever else happens meanwhile.
    pub(super) async fn wait(
        &mut self,
        mut answer: Answer,
    ) -> Result<Result<Vec<Vec<u8>>, AskError>, Halt> {
        let target = Arc::clone(&self.cx.target);
        let limit = target.patience().command;
        let controlled = matches!(self.line, Line::Control(_));
        let mut probe: Option<Answer> = None;
        let mut overdue = Box::pin(tokio::time::sleep(limit));
        loop {
            tokio::select! {
                biased;
                order = self.cx.orders.next() => self.follow(order)?,
                hints = self.cx.ears.hints() => self.heed(hints).await?,
                answered = &mut answer => return Ok(answered),
                why = target.cut() => return Err(Halt::Cut(why)),
                verdict = verdict(&mut probe), if probe.is_some() => {
                    probe = None;
                    self.judge(verdict).await?;
                }
                () = &mut overdue, if controlled && probe.is_none() => {
                    self.cx.failed(trouble::of_failure(&TmuxFailure::Timeout { limit })).await?;
                    let question = Asked::<SessionRow>::all().question();
                    probe = Some(fork(Arc::clone(&self.cx.target), vec![question]));
                    overdue.set(tokio::time::sleep(limit));
                }
            }
        }
    }

    /// What a forked command says about a server that gives no answer over its connection.
    async fn judge(&mut self, verdict: Result<Vec<Vec<u8>>, AskError>) -> Result<(), Halt> {
        match verdict {
            Ok(_) => Err(Halt::Wedged),
            Err(AskError::Failed(TmuxFailure::NoServer)) => Err(Halt::ServerGone),
            // It ends, and may wait for our own client to go.
            Err(AskError::Failed(TmuxFailure::Lost { .. })) => {
                Err(Halt::LinkEnded(LinkEnd::SessionEnded))
            }
            Err(AskError::Failed(failure)) => {
                Ok(self.cx.failed(trouble::of_failure(&failure)).await?)
            }
            Err(AskError::Ended | AskError::Refused(_) | AskError::Garbled(_)) => Ok(()),
        }
    }

    async fn pause(&mut self, length: std::time::Duration) -> Result<(), Halt> {
        let mut over = Box::pin(tokio::time::sleep(length));
        loop {
            tokio::select! {
                biased;
                order = self.cx.orders.next() => self.follow(order)?,
                hints = self.cx.ears.hints() => self.heed(hints).await?,
                () = &mut over => return Ok(()),
            }
        }
    }

    /// After failures the target's health needs an answer and a complete list.
    async fn answered(&mut self) -> Result<(), Halt> {
        if std::mem::take(&mut self.cx.failing) {
            self.cx.report(Observation::Answered).await?;
            self.agenda.hurry(Scope::WHOLE, self.cx.now().mono);
        }
        Ok(())
    }

    pub(super) async fn link_ended(&mut self) -> Halt {
        loop {
            match self.line.news().await {
                News::Ended(end) => return self.settle_end(end).await,
                News::Notices(_) | News::Lost => {}
            }
        }
    }
}

async fn verdict(probe: &mut Option<Answer>) -> Result<Vec<Vec<u8>>, AskError> {
    match probe {
        Some(answer) => answer.await,
        None => std::future::pending().await,
    }
}

fn garbled(error: &(dyn std::error::Error + 'static)) -> engine::target::Trouble {
    trouble::unreachable(format!("its answers make no sense: {}", with_causes(error)))
}
