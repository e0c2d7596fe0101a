//! What the exit code of `qd` means.

use std::fmt;

/// How a command ended; the number is a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExitCode {
    /// It did what it was asked to.
    Ok,
    /// It failed in a way that has no number of its own.
    Failure,
    /// The command line or the request was wrong.
    Usage,
    /// No daemon answers, and none could be started.
    DaemonUnreachable,
    /// What was named does not exist.
    NotFound,
    /// What was asked for contradicts how things are.
    Conflict,
    /// It took longer than it was allowed to.
    Timeout,
}

impl ExitCode {
    /// Every exit code, in the order of its number.
    pub const ALL: &'static [Self] = &[
        Self::Ok,
        Self::Failure,
        Self::Usage,
        Self::DaemonUnreachable,
        Self::NotFound,
        Self::Conflict,
        Self::Timeout,
    ];

    /// The number a shell sees.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::DaemonUnreachable => 3,
            Self::NotFound => 4,
            Self::Conflict => 5,
            Self::Timeout => 6,
        }
    }

    /// The name in the documentation.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failure => "failure",
            Self::Usage => "usage",
            Self::DaemonUnreachable => "daemon unreachable",
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::Timeout => "timeout",
        }
    }

    /// What it means, in one sentence.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "It did what it was asked to.",
            Self::Failure => "It failed in a way that has no number of its own.",
            Self::Usage => "The command line or the request was wrong.",
            Self::DaemonUnreachable => "No daemon answers, and none could be started.",
            Self::NotFound => "What was named does not exist.",
            Self::Conflict => "What was asked for contradicts how things are.",
            Self::Timeout => "It took longer than it was allowed to.",
        }
    }
}

impl fmt::Display for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_count_up_from_zero() {
        let numbers: Vec<u8> = ExitCode::ALL.iter().map(|it| it.number()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
    }
}
