//! Executors: what the engine decided to do, done once, and what became of it reported.
//!
//! An effect comes here after its commit. Each has a task of its own; the engine hands out one at
//! a time for each pane. Whatever happens, the engine is told exactly one outcome, or, where the
//! tmux server gives no answer, that there is none yet and later the one.

mod far_process;
mod outbox;
mod process;
mod prompt;
mod respond;
mod shown;
mod tmux;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use engine::action::{Act, ActionRow, Failure, Outcome};
use engine::event::{Actor, Event};
use engine::input::Input;
use engine::words::{ActionProblem, Step};
use tokio::sync::watch;

use crate::adapters::Roster;
use crate::deck::{Deck, Fault};
use crate::lookout::Lookout;
use crate::observer::Reach;

pub(crate) use outbox::Outbox;
pub(crate) use shown::{Screen, Shown};

/// The pause before an outcome is reported again that could not be stored.
const REPORT_PAUSE: Duration = Duration::from_secs(1);

/// One effect on a pane, with the way to its server where that is observed.
#[derive(Debug)]
pub(crate) struct Deed {
    pub(crate) row: Box<ActionRow>,
    pub(crate) turn: Turn,
    pub(crate) reach: Option<Reach>,
}

/// What is to be done about an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Do it.
    Act,
    /// Look whether it was done.
    Settle,
}

/// Everything that acts on panes.
#[derive(Clone, Debug)]
pub(crate) struct Executors {
    deck: Deck,
    lookout: Lookout,
    outbox: Outbox,
    shown: Shown,
    adapters: watch::Receiver<Arc<Roster>>,
}

impl Executors {
    pub(crate) fn new(
        deck: Deck,
        lookout: Lookout,
        outbox: Outbox,
        shown: Shown,
        adapters: watch::Receiver<Arc<Roster>>,
    ) -> Self {
        Self { deck, lookout, outbox, shown, adapters }
    }

    /// Forgets the texts of actions that have ended.
    pub(crate) fn forget_ended<'a>(&self, events: impl Iterator<Item = &'a Event>) {
        for event in events {
            if let Event::ActionChanged(row) = event
                && !row.is_open()
            {
                self.outbox.forget(&row.action);
            }
        }
    }

    /// Begins with a deed, in the background.
    pub(crate) fn take(&self, deed: Deed) {
        let executors = self.clone();
        tokio::spawn(async move { executors.carry_out(deed).await });
    }

    async fn carry_out(&self, Deed { row, turn, reach }: Deed) {
        let mut steps = Vec::new();
        let outcome = match (&reach, turn) {
            (None, Turn::Act) => not_watched(),
            (None, Turn::Settle) => {
                Outcome::Unknown { message: "its target is not watched any more".to_owned() }
            }
            (Some(reach), Turn::Act) => self.act(&row, reach, &mut steps).await,
            (Some(reach), Turn::Settle) => self.settle(&row, reach).await,
        };
        self.report(&row, outcome, steps).await;
    }

    /// Does it, and takes down each step as it is done.
    async fn act(&self, row: &ActionRow, reach: &Reach, steps: &mut Vec<Step>) -> Outcome {
        match (&row.act, &row.snapshot.agent) {
            (Act::Send { text, keys, .. }, Some(agent)) => {
                let prompt = prompt::Wanted { text: text.as_ref(), keys };
                self.prompt(row, reach, agent, &prompt, steps).await
            }
            (Act::Attach { .. } | Act::Send { .. } | Act::KillByKey, _) => {
                self.touch(row, reach).await
            }
            (Act::Respond { .. }, _) => self.respond(row, reach).await,
            (Act::ViewOutput { lines, ansi }, _) => self.view(row, reach, *lines, *ansi).await,
            (Act::KillBySignal { signal, tree }, _) => {
                let server = self.server_started(row);
                if reach.target.capabilities().signals {
                    process::signal(&reach.target, server, &row.snapshot, *signal, *tree)
                } else {
                    let there = far_process::There { target: &reach.target, server };
                    there.signal(&row.snapshot, *signal, *tree).await
                }
            }
        }
    }

    /// Finds out what became of an act that a daemon before this one may have begun.
    async fn settle(&self, row: &ActionRow, reach: &Reach) -> Outcome {
        if !row.is_issued() {
            let message = "the daemon ended before it was done";
            return Outcome::Failed(Failure::new(ActionProblem::Interrupted, message));
        }
        match &row.act {
            Act::Attach { .. } | Act::Send { .. } | Act::KillByKey => self.look(row, reach).await,
            Act::Respond { .. } => self.settle_response(row, reach, Duration::ZERO).await,
            Act::ViewOutput { .. } => {
                let message = "the daemon ended before it was answered";
                Outcome::Failed(Failure::new(ActionProblem::Interrupted, message))
            }
            Act::KillBySignal { .. } => {
                let pid = row.snapshot.process.pid;
                let roots = BTreeSet::from([pid, row.snapshot.server_pid]);
                if let Err(error) = reach.target.survey(&roots).await {
                    let message = format!("the daemon ended meanwhile, and now {error}");
                    return Outcome::Unknown { message };
                }
                let server = self.server_started(row);
                let fate = match process::sought(&reach.target, server, &row.snapshot) {
                    process::Sought::Same { .. } => "still runs",
                    process::Sought::Ended => "is gone, perhaps by itself",
                    process::Sought::Unproven => "cannot be told from one that has its number now",
                };
                let message = format!("the daemon ended meanwhile; process {pid} {fate}");
                Outcome::Unknown { message }
            }
        }
    }

    /// Reports until it is stored, or until there is nobody to report to.
    async fn report(&self, row: &ActionRow, outcome: Outcome, steps: Vec<Step>) {
        let input = Input::Acted { action: row.action.clone(), outcome, steps };
        loop {
            match self.deck.ask(Actor::Daemon, input.clone()).await {
                Ok(_) | Err(Fault::Stopping) => return,
                Err(error @ (Fault::Refused(_) | Fault::Store(_))) => {
                    tracing::warn!(action = %row.action, %error, "an outcome was not stored");
                    tokio::time::sleep(REPORT_PAUSE).await;
                }
            }
        }
    }

    /// When the tmux server of an action began, if it is still the one of its target.
    fn server_started(&self, row: &ActionRow) -> Option<engine::time::WallMs> {
        self.lookout.read(|follower| {
            let server = follower.engine().target(&row.pane.target)?.server.as_ref()?;
            (server.boot == row.snapshot.boot).then_some(server.started_at)
        })
    }
}

fn not_watched() -> Outcome {
    let message = "its target is not watched now";
    Outcome::Failed(Failure::new(ActionProblem::TargetUnreachable, message))
}
