//! Why a target cannot be reached: what stands between us and the place, not what is found there.

use std::process::ExitStatus;

use super::route::Way;

/// The exit code of `ssh` itself, as opposed to one of the command's.
const SSH_ITSELF: i32 = 255;

/// What is in the way. Its code is a word for scripts, its text a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    #[error(
        "its host key is not known{}; look at the fingerprint, then `ssh` there once by hand, or \
         add the target with --accept-new", shown(.fingerprint.as_deref())
    )]
    HostKeyUnknown { fingerprint: Option<String> },
    #[error(
        "its host key has changed{}: somebody may be in between, or the machine was set up anew; \
         find out which, then remove the old key with `ssh-keygen -R`", shown(.fingerprint.as_deref())
    )]
    HostKeyChanged { fingerprint: Option<String> },
    #[error("it does not let us in: {said}")]
    Denied { said: String },
    #[error("its name leads nowhere: {said}")]
    NoSuchHost { said: String },
    #[error("it takes no connection: {said}")]
    NotListening { said: String },
    #[error("there is no connection to it now")]
    NotConnected,
    #[error("it is not watched any more")]
    GivenUp,
    /// The connection was there, and nothing came over it any more.
    #[error("it stopped to answer")]
    Silent,
    /// The same while somebody waited for a file from there.
    #[error(
        "it stopped to answer while a file of an agent was read there: a disk there may hang, or \
         the way there is dead"
    )]
    Stuck,
    /// The connection was there, and more came over it than was asked for.
    #[error("it says more than anybody asked for")]
    Babble,
    /// The connection was there, and ended.
    #[error("the connection ended: {said}")]
    Ended { said: String },
    #[error("no shell could be started there: {said}")]
    NoShell { said: String },
    #[error("no shell answered there within {} ms", .limit_ms)]
    Late { limit_ms: u128 },
    #[error("`{program}`, which leads there, cannot be started here")]
    NoProgram { program: String },
    #[error("what leads there cannot be used: {said}")]
    Misused { said: String },
}

fn shown(fingerprint: Option<&str>) -> String {
    fingerprint.map(|it| format!(" ({it})")).unwrap_or_default()
}

impl Obstacle {
    /// The code that a target's health tells as its reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::HostKeyUnknown { .. } => "E_HOST_KEY_UNKNOWN",
            Self::HostKeyChanged { .. } => "E_HOST_KEY_CHANGED",
            Self::Denied { .. } => "E_SSH_DENIED",
            Self::NoShell { .. } => "E_NO_SHELL",
            Self::NoSuchHost { .. }
            | Self::NotListening { .. }
            | Self::NotConnected
            | Self::GivenUp
            | Self::Silent
            | Self::Stuck
            | Self::Babble
            | Self::Ended { .. }
            | Self::Late { .. }
            | Self::NoProgram { .. }
            | Self::Misused { .. } => api::ErrorCode::TargetUnreachable.as_str(),
        }
    }

    /// For how many failures it counts: a path that went dead, or never said a word for as long as a
    /// slow login may take, was given its chances already.
    pub fn weight(&self) -> u32 {
        match self {
            Self::Silent | Self::Stuck | Self::Late { .. } => DEAD_PATH_FAILURES,
            Self::HostKeyUnknown { .. }
            | Self::HostKeyChanged { .. }
            | Self::Denied { .. }
            | Self::NoSuchHost { .. }
            | Self::NotListening { .. }
            | Self::NotConnected
            | Self::GivenUp
            | Self::Babble
            | Self::Ended { .. }
            | Self::NoShell { .. }
            | Self::NoProgram { .. }
            | Self::Misused { .. } => 1,
        }
    }

    /// Reads how a connection ended, or why there never was one.
    pub(super) fn of(way: &Way, status: Option<ExitStatus>, said: &str, greeted: bool) -> Self {
        let ssh = match way {
            Way::Ssh(_) if status.and_then(|it| it.code()) == Some(SSH_ITSELF) => of_ssh(said),
            Way::Ssh(_) | Way::Command { .. } => None,
        };
        let said = || last_words(said);
        match ssh {
            Some(obstacle) => obstacle,
            None if greeted => Self::Ended { said: said() },
            None => Self::NoShell { said: said() },
        }
    }
}

/// How many failures in a row make a target `down` by default.
const DEAD_PATH_FAILURES: u32 = 3;

/// What OpenSSH says about a connection. It is not translated.
fn of_ssh(said: &str) -> Option<Obstacle> {
    let has = |words: &str| said.contains(words);
    let told = || last_words(said);
    Some(if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        Obstacle::HostKeyChanged { fingerprint: fingerprint(said) }
    } else if has("Host key verification failed") || has("host key is known for") {
        Obstacle::HostKeyUnknown { fingerprint: fingerprint(said) }
    } else if has("Permission denied") || has("Too many authentication failures") {
        Obstacle::Denied { said: told() }
    } else if has("Could not resolve hostname") {
        Obstacle::NoSuchHost { said: told() }
    } else if has("not responding") {
        Obstacle::Silent
    } else if has("Bad configuration option") || has("command-line line") {
        Obstacle::Misused { said: told() }
    } else if has("Connection refused")
        || has("Connection timed out")
        || has("No route to host")
        || has("Network is unreachable")
        || has("Operation timed out")
    {
        Obstacle::NotListening { said: told() }
    } else {
        return None;
    })
}

/// The fingerprint of the key that was offered, where it is told.
pub(super) fn fingerprint(said: &str) -> Option<String> {
    let word = said.split_whitespace().find(|word| word.starts_with("SHA256:"))?;
    Some(word.trim_end_matches('.').to_owned())
}

/// The last line that says something, without what could move a terminal.
fn last_words(said: &str) -> String {
    let line = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let words: String = line.unwrap_or("it said nothing").chars().take(WORDS_MAX).collect();
    words.replace(char::is_control, " ")
}

/// How much of what a far end says goes into a sentence.
const WORDS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::super::route::Ssh;
    use super::*;

    fn ssh(code: i32, said: &str, greeted: bool) -> Obstacle {
        let ssh = Ssh { target: "h".to_owned(), options: Vec::new(), accept_new: false };
        Obstacle::of(&Way::Ssh(ssh), Some(ExitStatus::from_raw(code << 8)), said, greeted)
    }

    #[test]
    fn what_ssh_says_is_understood() {
        let unknown = "No ED25519 host key is known for h and you have requested strict \
            checking.\r\nHost key verification failed.\r\n";
        assert_eq!(ssh(255, unknown, false), Obstacle::HostKeyUnknown { fingerprint: None });
        let changed = "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nThe fingerprint for \
            the ED25519 key sent by the remote host is\nSHA256:abc.\nHost key verification failed.";
        let fingerprint = Some("SHA256:abc".to_owned());
        assert_eq!(ssh(255, changed, false), Obstacle::HostKeyChanged { fingerprint });
        assert_eq!(ssh(255, "Timeout, server h not responding.", true), Obstacle::Silent);
        let denied = ssh(255, "u@h: Permission denied (publickey).\n", false);
        assert_eq!(denied.code(), "E_SSH_DENIED");
        let refused = ssh(255, "ssh: connect to host h port 1: Connection refused", false);
        assert!(matches!(refused, Obstacle::NotListening { .. }), "{refused}");
    }

    #[test]
    fn the_same_words_from_a_command_there_say_nothing_about_the_connection() {
        let said = "REMOTE HOST IDENTIFICATION HAS CHANGED";
        assert!(matches!(ssh(1, said, true), Obstacle::Ended { .. }));
        assert!(matches!(
            ssh(1, "This account is not available.", false),
            Obstacle::NoShell { .. }
        ));
    }

    #[test]
    fn only_a_dead_path_counts_for_several_failures() {
        assert_eq!(Obstacle::Silent.weight(), 3);
        assert_eq!(Obstacle::Late { limit_ms: 20_000 }.weight(), 3);
        assert_eq!(Obstacle::Ended { said: String::new() }.weight(), 1);
    }

    #[test]
    fn what_a_far_end_says_cannot_move_a_terminal() {
        let said = ssh(1, "first\n\x1b]52;c;x\x07\n\n", false).to_string();
        assert!(!said.chars().any(char::is_control), "{said}");
        assert!(said.contains("]52;c;x"), "the last line that says something: {said}");
    }
}
