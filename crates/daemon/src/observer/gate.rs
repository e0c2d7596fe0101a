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
    /// The fewest turns that a look took since something else last ran the server.
    fewest: Option<u64>,
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
        !sleeps || self.has_moved_on(runs)
    }

    fn has_moved_on(&self, runs: Option<ServerRuns>) -> bool {
        runs.is_none() || !self.undisturbed || runs != self.settled
    }

    pub(super) fn before(target: &Target, pid: u32) -> Before {
        Before(target.server_runs(pid))
    }

    pub(super) fn looked(&mut self, before: Before, target: &Target, pid: u32) {
        self.settle(before, target.server_runs(pid));
    }

    /// A look has ended. Something else may have been done right behind it, before the count was
    /// read: in a turn of its own, which shows as one turn too many, or in the look's last one. So
    /// the count is believed after a second look that nobody disturbed and that took no more turns
    /// than the one before it.
    fn settle(&mut self, Before(before): Before, after: Option<ServerRuns>) {
        let quiet = before.is_some() && before == self.settled;
        let turns = before.zip(after).map(|(before, after)| after.turns_since(before));
        let fewest = self.fewest.filter(|_| quiet);
        self.undisturbed = turns.zip(fewest).is_some_and(|(turns, fewest)| turns <= fewest);
        self.fewest = fewest.into_iter().chain(turns).min();
        self.settled = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that runs for the looks of an observer, and for others.
    #[derive(Default)]
    struct Runs {
        gate: Gate,
        turns: u64,
    }

    impl Runs {
        fn count(&self) -> Option<ServerRuns> {
            ServerRuns::parse(format!("{} 0 {}", 7 * self.turns, self.turns).as_bytes())
        }

        /// Others take some turns, then a look takes some.
        fn look(&mut self, others: u64, turns: u64) {
            self.turns += others;
            let before = Before(self.count());
            self.turns += turns;
            self.gate.settle(before, self.count());
        }

        fn is_believed(&self) -> bool {
            !self.gate.has_moved_on(self.count())
        }
    }

    #[test]
    fn a_count_is_believed_after_two_looks_that_nobody_disturbed() {
        let mut runs = Runs::default();
        runs.look(5, 1);
        assert!(!runs.is_believed(), "something may have been done right behind the first");
        runs.look(0, 1);
        assert!(runs.is_believed());
        runs.turns += 1;
        assert!(!runs.is_believed(), "somebody else ran it");
    }

    #[test]
    fn a_look_that_took_one_turn_more_than_the_one_before_is_not_the_last() {
        let mut runs = Runs::default();
        runs.look(5, 1);
        runs.look(0, 2);
        assert!(!runs.is_believed(), "what took the second turn may not have been seen");
        runs.look(0, 1);
        assert!(runs.is_believed());
    }

    #[test]
    fn looks_that_need_several_turns_are_believed_too_and_a_kernel_without_counts_never() {
        let mut runs = Runs::default();
        runs.look(1, 4);
        runs.look(0, 4);
        assert!(runs.is_believed());
        let mut gate = Gate::default();
        gate.settle(Before(None), None);
        gate.settle(Before(None), None);
        assert!(gate.has_moved_on(None));
    }
}
