//! A daemon that a test started in the foreground, and how it is ended.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};

use crate::http::Http;
use crate::process::{self, Signal};
use crate::wait;

/// A running `qd daemon run`. Dropping it kills it.
pub struct Daemon {
    child: Child,
    api: Http,
}

impl Daemon {
    pub(crate) fn new(child: Child, api: Http) -> Self {
        Self { child, api }
    }

    /// Waits until it answers, itself and not another one at the same socket; gives back how it
    /// ended when it ended instead.
    pub(crate) fn ready(&mut self) -> Result<(), ExitStatus> {
        wait::until("the daemon answers or ends", || {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return Some(Err(status));
            }
            let health = self.api.try_get("/v1/health").filter(|reply| reply.status == 200)?;
            (health.json()["pid"] == self.child.id()).then_some(Ok(()))
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn api(&self) -> &Http {
        &self.api
    }

    /// Kills it as a crash would.
    pub fn kill9(mut self) {
        self.end(Signal::KILL);
    }

    /// Asks it to stop, and gives its exit code.
    #[track_caller]
    pub fn stop(mut self) -> i32 {
        let status = self.end(Signal::TERM);
        status.code().unwrap_or_else(|| panic!("ended by signal {:?}", status.signal()))
    }

    /// Sends a signal and lets it live on.
    pub fn signal(&self, signal: Signal) {
        process::signal(self.child.id(), signal);
    }

    /// Waits for the end that something else caused.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        wait::until("the daemon ends", || self.child.try_wait().expect("a child can be waited for"))
    }

    #[track_caller]
    fn end(&mut self, signal: Signal) -> ExitStatus {
        process::signal(self.child.id(), signal);
        self.wait()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Whatever the test did to it (a stop, a pause), this ends it.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
