//! Signals to the runtime's own process, never to one that got its number later.
//!
//! A pidfd names one life of a process. It is opened first, then the start of that process is
//! compared with what was seen, and the signal goes through the descriptor.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use engine::action::{Failure, Outcome, Snapshot};
use engine::time::WallMs;
use engine::words::{ActionProblem, KillSignal, Proof};
use rustix::process::{Signal, pidfd_send_signal};

use crate::observer::server::started_ns;
use crate::targets::Target;

/// Processes of one tree that are signalled; the rest of a larger one is left out and it says so.
const TREE_PROCESSES_MAX: usize = 4_096;
/// How often a tree is walked until it has stopped to grow.
const TREE_WALKS_MAX: u32 = 16;

/// Sends a signal to the process that was seen, and perhaps to all below it.
pub(super) fn signal(
    target: &Target,
    server_started: Option<WallMs>,
    seen: &Snapshot,
    signal: KillSignal,
    tree: bool,
) -> Outcome {
    let pid = seen.process.pid;
    let Ok(root) = target.pidfd(pid) else { return gone(pid) };
    match sought(target, server_started, seen) {
        Sought::Same { .. } => {}
        Sought::Ended => return gone(pid),
        Sought::Unproven => return unproven(pid),
    }
    let signal = match signal {
        KillSignal::Int => Signal::INT,
        KillSignal::Term => Signal::TERM,
        KillSignal::Kill => Signal::KILL,
    };
    let below = if tree { descendants(target, pid, &root, signal) } else { Vec::new() };
    if let Err(error) = pidfd_send_signal(&root, signal) {
        return match error {
            rustix::io::Errno::SRCH => gone(pid),
            rustix::io::Errno::PERM => forbidden(pid),
            error => Outcome::Failed(Failure::new(ActionProblem::Internal, error.to_string())),
        };
    }
    for (pid, process) in below {
        // One that ended meanwhile needs no signal.
        if let Err(error) = pidfd_send_signal(&process, signal) {
            tracing::debug!(pid, %error, "a descendant was not signalled");
        }
        pidfd_send_signal(&process, Signal::CONT).ok();
    }
    pidfd_send_signal(&root, Signal::CONT).ok();
    Outcome::Done(Proof::Signal)
}

/// What has the number now of a process that was seen.
pub(super) enum Sought {
    /// The same process, with its start in the ticks of its machine.
    Same { start_ticks: u64 },
    /// Nothing, or another process.
    Ended,
    /// Without the tmux server no start can be told.
    Unproven,
}

/// Looks for the process that was seen.
pub(super) fn sought(target: &Target, server_started: Option<WallMs>, seen: &Snapshot) -> Sought {
    let ticks = |pid| target.process_stat(pid).map(|stat| stat.start_ticks);
    let (Some(server_started), Some(server)) = (server_started, ticks(seen.server_pid)) else {
        return Sought::Unproven;
    };
    let Some(start_ticks) = ticks(seen.process.pid) else { return Sought::Ended };
    match started_ns(server_started, server, start_ticks) {
        None => Sought::Unproven,
        started if started == seen.process.started_ns => Sought::Same { start_ticks },
        Some(_) => Sought::Ended,
    }
}

pub(super) fn unproven(pid: u32) -> Outcome {
    let message = format!("it cannot be proven that process {pid} is the one that was seen");
    Outcome::Refused(Failure::new(ActionProblem::PidUnavailable, message))
}

pub(super) fn forbidden(pid: u32) -> Outcome {
    let message = format!("process {pid} belongs to somebody else");
    Outcome::Failed(Failure::new(ActionProblem::Forbidden, message))
}

pub(super) fn gone(pid: u32) -> Outcome {
    let message = format!("process {pid} has ended");
    Outcome::Refused(Failure::new(ActionProblem::RuntimeStale, message))
}

/// Every process below one, parents before children. Where all are killed anyway, they are stopped
/// as they are found, so that none starts another meanwhile; otherwise the walk is repeated until
/// it finds nothing new.
fn descendants(target: &Target, pid: u32, root: &OwnedFd, signal: Signal) -> Vec<(u32, OwnedFd)> {
    let freeze = |process: &OwnedFd| {
        if signal == Signal::KILL {
            pidfd_send_signal(process, Signal::STOP).ok();
        }
    };
    freeze(root);
    let mut found: Vec<(u32, OwnedFd)> = Vec::new();
    let mut known = BTreeSet::from([pid]);
    for _ in 0..TREE_WALKS_MAX {
        let before = found.len();
        let mut parents = vec![pid];
        while let Some(parent) = parents.pop() {
            for child in target.children(parent) {
                parents.push(child);
                if found.len() >= TREE_PROCESSES_MAX || !known.insert(child) {
                    continue;
                }
                let Ok(process) = target.pidfd(child) else { continue };
                // The number may be another's by now, unless its parent is still this one.
                if target.process_stat(child).is_some_and(|stat| stat.parent == parent) {
                    freeze(&process);
                    found.push((child, process));
                }
            }
        }
        if found.len() == before {
            break;
        }
    }
    found
}
