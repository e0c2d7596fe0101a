//! Signals to processes of a target somewhere else.
//!
//! There is no pidfd to hold on to. One shell there compares the start of the process and sends the
//! signal right behind; between the two it could still end and its number be given away, which on
//! the same machine a pidfd rules out.

use std::collections::BTreeSet;

use engine::action::{Failure, Outcome, Snapshot};
use engine::time::WallMs;
use engine::words::{ActionProblem, KillSignal, Proof};

use super::process::{Sought, forbidden, gone, sought, unproven};
use crate::targets::Target;
use crate::targets::failure::TmuxFailure;
use crate::targets::far::Signalled;
use crate::targets::obstacle::Obstacle;

/// The processes of such a target, and when its tmux server began.
pub(super) struct There<'a> {
    pub(super) target: &'a Target,
    pub(super) server: Option<WallMs>,
}

impl There<'_> {
    /// Sends a signal to the process that was seen.
    pub(super) async fn signal(&self, seen: &Snapshot, signal: KillSignal, tree: bool) -> Outcome {
        let pid = seen.process.pid;
        if tree {
            let message = "the processes below it can be signalled on this machine only";
            let problem = ActionProblem::PidUnavailable;
            return Outcome::Refused(Failure::new(problem, message.to_owned()));
        }
        let roots = BTreeSet::from([pid, seen.server_pid]);
        if let Err(failure) = self.target.survey(&roots).await {
            return not_asked(&failure);
        }
        let ticks = match sought(self.target, self.server, seen) {
            Sought::Same { start_ticks } => start_ticks,
            Sought::Ended => return gone(pid),
            Sought::Unproven => return unproven(pid),
        };
        match self.target.signal_there(pid, ticks, signal.as_str()).await {
            Ok(Signalled::Sent) => Outcome::Done(Proof::Signal),
            Ok(Signalled::Gone | Signalled::Other) => gone(pid),
            Ok(Signalled::Denied) => forbidden(pid),
            Err(failure @ TmuxFailure::Unreached(Obstacle::NotConnected)) => not_asked(&failure),
            Err(failure) => {
                let message = format!("whether the signal was sent is not known: {failure}");
                Outcome::Unknown { message }
            }
        }
    }
}

fn not_asked(failure: &TmuxFailure) -> Outcome {
    Outcome::Failed(Failure::new(ActionProblem::TargetUnreachable, failure.to_string()))
}
