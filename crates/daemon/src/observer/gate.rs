//! Whether a server has to be asked at all: what did not run has nothing new to tell.
//!
//! tmux is one thread that waits for events; whatever changes in it, it must have run. The kernel
//! counts how often it did. After a look that nobody disturbed, an unchanged count means that the
//! next look would find the same. What tmux reads from the kernel only when it is asked (the
//! program in the foreground, its directory) changes without it; that is looked at directly.

use crate::targets::Target;
use crate::targets::host::ServerRuns;

/// What is known of a server's runs since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// The count after the last look.
    settled: Option<ServerRuns>,
    /// Whether nothing but that look ran the server since the look before.
    undisturbed: bool,
}

/// The count before a look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before(Option<ServerRuns>);

impl Gate {
    /// Whether the server ran since, or may have, or cannot run although it should.
    pub(super) fn stirred(&self, target: &Target, pid: u32) -> bool {
        let runs = target.server_runs(pid);
        let sleeps = target.process_stat(pid).is_some_and(|stat| stat.sleeps());
        runs.is_none() || !sleeps || !self.undisturbed || runs != self.settled
    }

    pub(super) fn before(target: &Target, pid: u32) -> Before {
        Before(target.server_runs(pid))
    }

    /// A look has ended. Something else may have been done right behind it, within the same run;
    /// that is why one undisturbed look has to follow before the count is believed.
    pub(super) fn looked(&mut self, Before(before): Before, target: &Target, pid: u32) {
        self.undisturbed = before.is_some() && before == self.settled;
        self.settled = target.server_runs(pid);
    }
}
