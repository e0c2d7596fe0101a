//! Which tmux answers, and what that one can and must not be asked to do.

use std::{cmp::Ordering, fmt, str::FromStr};

use thiserror::Error;

/// A release of tmux, ordered by age.
///
/// `openbsd-7.5` carries the version of the system, not of tmux: it compares as the release that
/// system shipped with, see [`Version::release`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    text: String,
    release: Release,
}

/// The part of a version that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    pub major: u16,
    pub minor: u16,
    /// `next-3.8` and `3.8-rc` come before `3.8`.
    pub stage: Stage,
    /// 0 for none, 1 for `a`, 2 for `b`.
    pub patch: u8,
}

/// How finished a release is, in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The development tree on its way to this release.
    Next,
    Candidate,
    Final,
}

/// A text that is no version of tmux.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a tmux version: {text:?}")]
pub struct VersionError {
    text: String,
}

impl Release {
    pub const fn new(major: u16, minor: u16, patch: u8) -> Release {
        Release { major, minor, stage: Stage::Final, patch }
    }
}

/// The oldest release that we drive.
pub const OLDEST_SUPPORTED: Release = Release::new(3, 3, 0);

impl Version {
    pub fn release(&self) -> Release {
        self.release
    }

    /// What `#{version}` said.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn is_supported(&self) -> bool {
        self.release >= OLDEST_SUPPORTED
    }

    /// `paste-buffer` into a dead pane kills the whole server.
    pub fn paste_to_dead_pane_crashes(&self) -> bool {
        self.release < Release::new(3, 4, 0)
    }

    /// With `window-size manual` as the global default, creating any session kills the server.
    pub fn global_manual_size_crashes(&self) -> bool {
        self.release < Release::new(3, 7, 0)
    }

    /// `capture-pane -p` over control mode leaks the whole reply; go through a buffer instead.
    pub fn capture_to_stdout_leaks(&self) -> bool {
        self.release < Release::new(3, 6, 0)
    }

    /// `show-buffer` prints `\033` and `\\` where the buffer holds a control byte or a backslash.
    pub fn show_buffer_is_encoded(&self) -> bool {
        self.release < Release::new(3, 4, 0)
    }

    /// A job's exit status can stay empty until another child of the server exits.
    pub fn exit_status_can_stick(&self) -> bool {
        self.release < Release::new(3, 6, 0)
    }

    /// Subscriptions that loop over all sessions leak with every evaluation.
    pub fn session_loop_leaks(&self) -> bool {
        (self.release.major, self.release.minor) == (3, 6)
    }

    /// Printed formats show control bytes and bytes that are no UTF-8 as `\033` (and 3.4 a `$`
    /// before a letter as `\$`), without marking a backslash that was there before.
    ///
    /// A [`Scan`](crate::scan::Scan) marks those itself and so reads the same from every release.
    pub fn control_bytes_are_encoded(&self) -> bool {
        (Release::new(3, 4, 0)..Release::new(3, 6, 0)).contains(&self.release)
    }

    /// `paste-buffer` rewrites control bytes unless `-S` is given, which older ones refuse.
    pub fn paste_needs_raw_flag(&self) -> bool {
        self.release >= Release::new(3, 7, 0)
    }

    /// A hook can speak to a control client through `%message`.
    pub fn hooks_can_send_messages(&self) -> bool {
        self.release >= Release::new(3, 4, 0)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.release.cmp(&other.release).then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let trimmed = text.trim();
        let bare = trimmed.strip_prefix("tmux ").unwrap_or(trimmed);
        let release = match bare.strip_prefix("openbsd-") {
            Some(system) => read_release(system).and_then(shipped_with_openbsd),
            None => read_release(bare),
        };
        match release {
            Some(release) => Ok(Version { text: bare.to_owned(), release }),
            None => Err(VersionError { text: bare.chars().take(64).collect() }),
        }
    }
}

/// `3.3a`, `3.5a-rc`, `3.6-rc2`, `next-3.8`.
fn read_release(text: &str) -> Option<Release> {
    let (next, text) = match text.strip_prefix("next-") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (number, stage) = match text.split_once('-') {
        Some((number, suffix)) if suffix.starts_with("rc") => (number, Stage::Candidate),
        Some(_) => return None,
        None => (text, Stage::Final),
    };
    let (major, minor) = number.split_once('.')?;
    let digits = minor.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
    let patch = match &minor.as_bytes()[digits.len()..] {
        [] => 0,
        [letter] => letter - b'a' + 1,
        _ => return None,
    };
    let stage = if next { Stage::Next } else { stage };
    Some(Release { major: decimal(major)?, minor: decimal(digits)?, stage, patch })
}

fn decimal(digits: &str) -> Option<u16> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// tmux is developed inside OpenBSD, which reports its own release.
///
/// Counted back from the calendar of both: a system release contains what became the tmux release
/// named here or a little less. Systems older than 7.2 are too old for us whatever they contain.
fn shipped_with_openbsd(system: Release) -> Option<Release> {
    Some(match (system.major, system.minor) {
        (..=6, _) | (7, ..=1) => Release::new(3, 2, 0),
        (7, 2..=3) => Release::new(3, 3, 0),
        (7, 4..=5) => Release::new(3, 4, 0),
        (7, 6..=7) => Release::new(3, 5, 0),
        (7, 8) => Release::new(3, 6, 0),
        _ => Release::new(3, 7, 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn releases_are_ordered_by_age() {
        let ascending = [
            "1.8", "2.9a", "3.0", "3.2a", "3.3-rc", "3.3", "3.3a", "next-3.4", "3.4-rc2", "3.4",
            "3.5", "3.5a", "3.6", "3.6b", "3.7", "3.7c", "next-3.8", "3.8", "3.10", "4.0",
        ];
        for pair in ascending.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn a_version_reads_from_what_tmux_prints_and_shows_the_same() {
        assert_eq!(version("tmux 3.3a\n").as_str(), "3.3a");
        assert_eq!(version("next-3.8").to_string(), "next-3.8");
        assert_eq!(version("3.5a").release(), Release::new(3, 5, 1));
    }

    #[test]
    fn an_openbsd_release_counts_as_the_tmux_it_shipped_with() {
        assert!(!version("openbsd-7.0").is_supported());
        assert!(version("openbsd-7.2").is_supported());
        assert!(version("openbsd-7.4") >= version("3.4"));
        assert!(version("openbsd-8.0") >= version("3.7"));
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for wrong in
            ["", "3", "3.", ".3", "3.3aa", "3.3A", "3.a", "master", "3.3-beta", "openbsd-", "+3.3"]
        {
            assert!(wrong.parse::<Version>().is_err(), "{wrong:?} was taken for a version");
        }
        assert!(Version::from_str(&"9".repeat(1000)).unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn each_release_has_its_own_traps() {
        // Columns: supported, paste crashes, manual size crashes, capture leaks, buffer encoded,
        // status sticks, session loop leaks, control bytes encoded, raw flag, hook messages.
        let table = [
            ("3.2a", "no  yes yes yes yes yes no  no  no  no "),
            ("3.3a", "yes yes yes yes yes yes no  no  no  no "),
            ("3.4", "yes no  yes yes no  yes no  yes no  yes"),
            ("3.5a", "yes no  yes yes no  yes no  yes no  yes"),
            ("3.6b", "yes no  yes no  no  no  yes no  no  yes"),
            ("3.7c", "yes no  no  no  no  no  no  no  yes yes"),
        ];
        for (text, expected) in table {
            let it = version(text);
            let traps = [
                it.is_supported(),
                it.paste_to_dead_pane_crashes(),
                it.global_manual_size_crashes(),
                it.capture_to_stdout_leaks(),
                it.show_buffer_is_encoded(),
                it.exit_status_can_stick(),
                it.session_loop_leaks(),
                it.control_bytes_are_encoded(),
                it.paste_needs_raw_flag(),
                it.hooks_can_send_messages(),
            ];
            let shown = traps.map(|trap| if trap { "yes" } else { "no " }).join(" ");
            assert_eq!(shown, expected, "tmux {text}");
        }
    }
}
