//! Whether a process is stopped: it has its sockets and its files still, and answers to nothing.

use std::fs;

/// Whether a process is stopped now, by a signal or a debugger. Who cannot be looked at is not.
#[must_use]
pub fn is_stopped(pid: u32) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it is in brackets, and may hold any of these letters and brackets too.
    let state = stat.iter().rposition(|byte| *byte == b')').and_then(|at| stat.get(at + 2));
    state.is_some_and(|state| matches!(state, b'T' | b't'))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

    use super::*;

    #[test]
    fn a_process_is_stopped_from_the_signal_until_it_goes_on() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        assert!(!is_stopped(child.id()));
        kill_process(pid, Signal::STOP).unwrap();
        waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
        assert!(is_stopped(child.id()));
        kill_process(pid, Signal::KILL).unwrap();
        child.wait().unwrap();
        assert!(!is_stopped(child.id()));
    }
}
