//! Whether a process is stopped: it has its sockets and its files still, and answers to nothing.

use std::fs;

/// Whether a process is stopped now, by a signal or a debugger. Who cannot be looked at is not.
#[must_use]
pub fn is_stopped(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/stat")).is_ok_and(|stat| says_stopped(&stat))
}

/// The letter behind the name, which is in brackets and may hold brackets and letters of its own.
fn says_stopped(stat: &[u8]) -> bool {
    let state = stat.iter().rposition(|byte| *byte == b')').and_then(|at| stat.get(at + 2));
    state.is_some_and(|state| matches!(state, b'T' | b't'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_stopped_by_its_state_and_not_by_its_name() {
        assert!(says_stopped(b"7 (qd) T 1 7 7"));
        assert!(says_stopped(b"7 (qd) t 1 7 7"), "by a debugger");
        assert!(!says_stopped(b"7 (qd) S 1 7 7"));
        assert!(!says_stopped(b"7 (a) T) S 1 7 7"));
        assert!(!says_stopped(b"7 (qd)"));
        assert!(!is_stopped(std::process::id()));
    }
}
