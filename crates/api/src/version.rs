//! How client and daemon greet: each names its version in a header.

use std::fmt;
use std::str::FromStr;

/// The header in which the client names its version with every request, and
/// the daemon with every answer.
pub const VERSION_HEADER: &str = "qd-version";

/// A version of Quarterdeck, `1.2.3`; versions are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

/// Why a text is no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version is three numbers, such as 1.2.3")]
pub struct VersionError;

/// What a difference of versions asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// Both are the same: go on.
    Same,
    /// The client is newer: it asks the daemon to make room and starts its own.
    DaemonOlder,
    /// The client is older: it refuses to go on, with `E_VERSION`. The daemon serves it all the
    /// same, because a watch that an older `qd` began goes on after an upgrade.
    ClientOlder,
}

impl Version {
    /// What a client and a daemon of these versions have to do.
    #[must_use]
    pub fn greet(client: Self, daemon: Self) -> Greeting {
        match client.cmp(&daemon) {
            std::cmp::Ordering::Equal => Greeting::Same,
            std::cmp::Ordering::Greater => Greeting::DaemonOlder,
            std::cmp::Ordering::Less => Greeting::ClientOlder,
        }
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('.').collect();
        let [major, minor, patch] = parts[..] else { return Err(VersionError) };
        Ok(Self { major: number(major)?, minor: number(minor)?, patch: number(patch)? })
    }
}

fn number(text: &str) -> Result<u32, VersionError> {
    // `parse` alone would let a plus sign through.
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().map_err(|_| VersionError) } else { Err(VersionError) }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn versions_are_ordered_by_number() {
        assert!(version("0.10.0") > version("0.9.9"));
        assert_eq!(version("1.2.3").to_string(), "1.2.3");
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in
            ["", "1", "1.2", "1.2.3.4", "1.2.x", "1.2.+3", "1..3", "v1.2.3", "1.2.99999999999"]
        {
            assert_eq!(text.parse::<Version>(), Err(VersionError), "{text}");
        }
    }

    #[test]
    fn the_older_client_gives_up_and_the_older_daemon_makes_room() {
        let (old, new) = (version("0.1.0"), version("0.2.0"));
        assert_eq!(Version::greet(old, old), Greeting::Same);
        assert_eq!(Version::greet(old, new), Greeting::ClientOlder);
        assert_eq!(Version::greet(new, old), Greeting::DaemonOlder);
    }
}
