//! What goes wrong with a target, as a code for machines and a sentence for people.

use api::error::with_causes;
use api::error_code::ErrorCode;
use engine::target::Trouble;
use tmux::version::{OLDEST_SUPPORTED, Version};

use crate::targets::failure::TmuxFailure;
use crate::targets::obstacle::Obstacle;

/// The target works, with a forked command for each look.
pub const FORKED: &str = "E_TARGET_FORKED";
/// The target works, with some panes asked instead of watched.
pub const POLLED: &str = "E_TARGET_POLLED";
/// The target has more panes than are taken.
pub const TOO_MANY_PANES: &str = "E_TARGET_TOO_MANY_PANES";

pub(super) fn trouble(code: &str, message: impl Into<String>) -> Trouble {
    Trouble { code: code.to_owned(), message: message.into() }
}

/// The target gives no answer.
pub(super) fn unreachable(message: impl Into<String>) -> Trouble {
    trouble(ErrorCode::TargetUnreachable.as_str(), message)
}

/// There is no tmux that we could use.
pub(super) fn unusable(message: impl Into<String>) -> Trouble {
    trouble(ErrorCode::TmuxUnusable.as_str(), message)
}

pub(super) fn is_unusable(trouble: &Trouble) -> bool {
    trouble.code == ErrorCode::TmuxUnusable.as_str()
}

pub(super) fn too_old(version: &Version) -> Trouble {
    let (major, minor) = (OLDEST_SUPPORTED.major, OLDEST_SUPPORTED.minor);
    unusable(format!("tmux {version} is too old, {major}.{minor} or later is needed"))
}

pub(super) fn of_failure(failure: &TmuxFailure) -> Trouble {
    let message = with_causes(failure);
    match failure {
        TmuxFailure::Unreached(obstacle) => of_obstacle(obstacle),
        TmuxFailure::Missing { .. } | TmuxFailure::NoVersion(_) | TmuxFailure::Mismatch { .. } => {
            unusable(message)
        }
        TmuxFailure::NoServer
        | TmuxFailure::Denied
        | TmuxFailure::Refused { .. }
        | TmuxFailure::Lost { .. }
        | TmuxFailure::Timeout { .. }
        | TmuxFailure::TooMuch
        | TmuxFailure::TooLong(_)
        | TmuxFailure::Broken(_) => unreachable(message),
    }
}

/// Each of several connections was lost. That is also how a tmux fares with a server that a newer
/// one started, and all that either of them says of it.
pub(super) fn lost_again(said: String) -> Trouble {
    let is_said_of_newer = said.contains("server exited unexpectedly");
    let mut trouble = of_failure(&TmuxFailure::Lost { said });
    if is_said_of_newer {
        trouble.message.push_str(", each time; an older tmux says so of the server of a newer one");
    }
    trouble
}

/// Something stands between us and the target.
pub(super) fn of_obstacle(obstacle: &Obstacle) -> Trouble {
    trouble(obstacle.code(), obstacle.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_a_newer_tmux_is_named_as_what_it_may_be() {
        let told = |said: &str| lost_again(said.to_owned()).message;
        assert!(told("server exited unexpectedly").contains("newer"));
        assert!(!told("lost server").contains("newer"));
    }
}
