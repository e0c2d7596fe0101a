//! How a daemon is started is for whoever owns the binary to say.

use crate::error::ClientError;

/// Starts the daemon where there is none.
pub trait Starter: Send + Sync {
    /// Starts a daemon that outlives this process, and returns as soon as it is ready or has said
    /// why it is not. May block: it is called on a thread of its own.
    ///
    /// `E_DAEMON_RUNNING` is no failure to the caller: somebody else was faster.
    fn start(&self) -> Result<(), ClientError>;
}
