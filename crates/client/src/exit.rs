//! Waiting until a process is gone, without asking again and again.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A process whose end can be waited for. It is held by descriptor, so that a process which gets
/// the same number later is not mistaken for it.
#[derive(Debug)]
pub(crate) struct Exit(Option<OwnedFd>);

impl Exit {
    /// Takes hold of a process; one that is gone already counts as ended.
    pub(crate) fn of(pid: u32) -> Self {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        Self(pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()))
    }

    /// Waits for its end; false if it lives on when the time is over.
    pub(crate) async fn wait(self, patience: Duration) -> bool {
        let Some(handle) = self.0 else { return true };
        // Polling blocks, and the runtime has one thread.
        let wait = tokio::task::spawn_blocking(move || ended_within(&handle, patience));
        wait.await.unwrap_or(false)
    }
}

fn ended_within(handle: &OwnedFd, patience: Duration) -> bool {
    let timeout = Timespec::try_from(patience).ok();
    let mut fds = [PollFd::new(handle, PollFlags::IN)];
    loop {
        match poll(&mut fds, timeout.as_ref()) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::fake::block_on;

    #[test]
    fn the_end_of_a_process_is_noticed() {
        #[expect(clippy::disallowed_methods, reason = "the test needs a process that ends")]
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let lives = block_on(Exit::of(child.id()).wait(Duration::from_millis(20)));
        assert!(!lives, "it waits for its input");
        let exit = Exit::of(child.id());
        drop(child.stdin.take());
        assert!(block_on(exit.wait(Duration::from_secs(10))), "a zombie has ended");
        child.wait().unwrap();
        assert!(block_on(Exit::of(child.id()).wait(Duration::from_secs(10))), "gone long since");
    }
}
