//! Why a `tmux` that we started gave no answer, read from how it ended and what it said.

use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use tmux::command::BatchTooLong;
use tmux::version::VersionError;

use super::obstacle::Obstacle;
use super::process::Finished;

/// The shell's and `env`'s exit code for a program that is not there.
const NOT_FOUND: i32 = 127;

/// No answer, and why.
#[derive(Debug, thiserror::Error)]
pub enum TmuxFailure {
    /// The target answers; there is just no server.
    #[error("no tmux server runs there")]
    NoServer,
    #[error("`{program}` is not installed")]
    Missing { program: String },
    #[error("the installed tmux does not say which version it is")]
    NoVersion(#[source] VersionError),
    #[error("the socket belongs to another user")]
    Denied,
    /// The installed program and the running server are of different makes.
    #[error("the installed tmux cannot speak with the running server: {said}")]
    Mismatch { said: String },
    /// tmux ran the command and refused it, or complained of a hook that it ran for it.
    #[error("tmux refused: {said}")]
    Refused { said: String, printed: Vec<u8> },
    /// The connection ended before the answer; asking again may help.
    #[error("the connection to the tmux server was lost: {said}")]
    Lost { said: String },
    #[error("no answer within {} ms", limit.as_millis())]
    Timeout { limit: Duration },
    #[error("the answer is longer than any answer can be")]
    TooMuch,
    #[error(transparent)]
    TooLong(#[from] BatchTooLong),
    #[error("a program could not be run")]
    Broken(#[from] io::Error),
    /// Something stands between us and the target.
    #[error(transparent)]
    Unreached(#[from] Obstacle),
}

impl TmuxFailure {
    /// A refusal of which nothing else is known.
    pub fn refused(said: impl Into<String>) -> Self {
        Self::Refused { said: said.into(), printed: Vec::new() }
    }

    /// Whether the same question may be answered a moment later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::Timeout { .. } | Self::Broken(_) => true,
            Self::NoServer
            | Self::Missing { .. }
            | Self::NoVersion(_)
            | Self::Denied
            | Self::Mismatch { .. }
            | Self::Refused { .. }
            | Self::TooMuch
            | Self::TooLong(_)
            | Self::Unreached(_) => false,
        }
    }
}

/// What a finished `tmux` printed, or why it printed nothing of use.
pub(super) fn output(program: &OsStr, finished: Finished) -> Result<Vec<u8>, TmuxFailure> {
    if finished.success() {
        return Ok(finished.stdout);
    }
    let said = String::from_utf8_lossy(&finished.stderr).trim().to_owned();
    Err(match finished.status.code() {
        Some(NOT_FOUND) => missing(program),
        Some(_) => refusal(said, finished.stdout),
        None => TmuxFailure::Lost { said },
    })
}

/// Why a program did not even start.
pub(super) fn not_started(program: &OsStr, error: io::Error) -> TmuxFailure {
    if error.kind() == io::ErrorKind::NotFound {
        missing(program)
    } else {
        TmuxFailure::Broken(error)
    }
}

fn missing(program: &OsStr) -> TmuxFailure {
    TmuxFailure::Missing { program: program.to_string_lossy().into_owned() }
}

/// Reads tmux's own words. `LC_ALL` sees to it that they are these.
fn refusal(said: String, printed: Vec<u8>) -> TmuxFailure {
    let has = |words: &str| said.contains(words);
    if has("no server running on") {
        TmuxFailure::NoServer
    } else if has("error connecting to") {
        if has("(No such file or directory)") || has("(Connection refused)") {
            TmuxFailure::NoServer
        } else if has("(Permission denied)") {
            TmuxFailure::Denied
        } else {
            TmuxFailure::Lost { said }
        }
    } else if has("server exited") || has("lost server") {
        TmuxFailure::Lost { said }
    } else if has("protocol version mismatch") {
        TmuxFailure::Mismatch { said }
    } else {
        TmuxFailure::Refused { said, printed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tmux_says_is_understood() {
        let kind = |said: &str| format!("{:?}", refusal(said.to_owned(), Vec::new()));
        assert_eq!(kind("no server running on /tmp/x"), "NoServer");
        assert_eq!(kind("error connecting to /tmp/x (No such file or directory)"), "NoServer");
        assert_eq!(kind("error connecting to /tmp/x (Permission denied)"), "Denied");
        for passing in ["server exited unexpectedly", "lost server", "[server exited]"] {
            assert!(refusal(passing.to_owned(), Vec::new()).is_passing(), "{passing}");
        }
        assert!(kind("protocol version mismatch (client 8, server 7)").starts_with("Mismatch"));
        let refused = refusal("can't find session: x".to_owned(), Vec::new());
        assert!(matches!(&refused, TmuxFailure::Refused { .. }) && !refused.is_passing());
    }
}
