//! The machine's processes: pids that come round again soon, starts, and replaced programs.

use std::collections::BTreeMap;

use engine::pane::ProcessIdentity;

/// The machine a tmux server runs on.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Names one boot of the machine.
    pub(crate) boot: String,
    processes: BTreeMap<u32, Process>,
    /// What ended and was not yet noticed by anybody.
    pub(crate) ended: Vec<ProcessIdentity>,
    /// When each free pid was last in use, so that none is given twice within one clock tick.
    freed_ns: BTreeMap<u32, i64>,
    next_pid: u32,
    pid_max: u32,
}

#[derive(Clone, Copy, Debug)]
struct Process {
    started_ns: i64,
    exec_mark: u64,
}

const PID_MIN: u32 = 300;
/// Ends that are remembered until somebody notices them; older ones nobody will.
const ENDED_MAX: usize = 64;

impl Host {
    /// A machine with `pids` process numbers.
    pub(crate) fn new(boot: &str, pids: u32) -> Self {
        Self {
            boot: boot.to_owned(),
            processes: BTreeMap::new(),
            ended: Vec::new(),
            freed_ns: BTreeMap::new(),
            next_pid: PID_MIN,
            pid_max: PID_MIN + pids,
        }
    }

    /// Starts a process. Its pid is the next free one, which may have been another's.
    pub(crate) fn spawn(&mut self, now_ns: i64) -> u32 {
        for _ in PID_MIN..=self.pid_max {
            let pid = self.next_pid;
            self.next_pid = if pid >= self.pid_max { PID_MIN } else { pid + 1 };
            let just_freed = self.freed_ns.get(&pid).is_some_and(|&at| at >= now_ns);
            if !self.processes.contains_key(&pid) && !just_freed {
                self.processes.insert(pid, Process { started_ns: now_ns, exec_mark: 1 });
                return pid;
            }
        }
        // Every number is taken: the machine grows.
        self.pid_max += 1;
        self.next_pid = PID_MIN;
        self.processes.insert(self.pid_max, Process { started_ns: now_ns, exec_mark: 1 });
        self.pid_max
    }

    pub(crate) fn end(&mut self, pid: u32, now_ns: i64) {
        let identity = self.identity(pid);
        if self.processes.remove(&pid).is_some() {
            if self.ended.len() >= ENDED_MAX {
                self.ended.remove(0);
            }
            self.ended.extend(identity);
            self.freed_ns.insert(pid, now_ns);
        }
    }

    /// The machine goes down and comes up again: nothing lives, and numbers begin anew.
    pub(crate) fn reboot(&mut self) {
        self.boot.push('\'');
        self.processes.clear();
        self.ended.clear();
        self.next_pid = PID_MIN;
    }

    /// The process replaces its program and stays itself.
    pub(crate) fn exec(&mut self, pid: u32) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.exec_mark += 1;
        }
    }

    /// What can be seen of a pid now, if anything lives under it.
    pub(crate) fn identity(&self, pid: u32) -> Option<ProcessIdentity> {
        let process = self.processes.get(&pid)?;
        Some(ProcessIdentity {
            pid,
            started_ns: Some(process.started_ns),
            exec_mark: Some(process.exec_mark),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pids_come_round_but_never_within_one_tick() {
        let mut host = Host::new("h", 3);
        let first = host.spawn(10);
        host.end(first, 20);
        let others: Vec<u32> = (0..3).map(|_| host.spawn(20)).collect();
        assert!(!others.contains(&first));
        let again = host.spawn(20);
        assert_ne!(again, first, "it was freed in this very tick");
        host.end(again, 25);
        assert_eq!(host.spawn(30), first);
    }
}
