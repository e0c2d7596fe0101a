//! The settings file, as data.
//!
//! What a user may set stands here once. The default file, its JSON schema and
//! its reference page are generated from this table, and the daemon refuses by
//! it what is out of bounds.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// One table of the file.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Its name, as the file writes it in brackets.
    pub name: &'static str,
    /// What its settings have in common.
    pub about: &'static str,
    /// Its keys, in the order of the file.
    pub entries: &'static [Entry],
}

/// One key of a table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The key.
    pub key: &'static str,
    /// What it may be, and what it is where the file says nothing.
    pub kind: Kind,
    /// What it is for.
    pub about: &'static str,
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A length of time, written like `10s`.
    Time {
        /// Where the file says nothing.
        default_ms: u64,
        /// The shortest that is taken.
        least_ms: u64,
    },
    /// A whole number.
    Number {
        /// Where the file says nothing.
        default: u32,
        /// The smallest that is taken.
        least: u32,
    },
    /// One of some words.
    Word {
        /// Where the file says nothing.
        default: &'static str,
        /// All of them.
        words: &'static [&'static str],
    },
    /// A text that is not empty.
    Text {
        /// Where the file says nothing.
        default: &'static str,
    },
}

/// The longest time that any setting takes.
pub const TIME_MS_MAX: u64 = 30 * 24 * 3_600_000;

/// How a time is written: numbers with units, as in `1m 30s`.
pub const TIME_PATTERN: &str = "^([0-9]+(h|m|s|ms) ?)+$";

/// The whole file.
pub const SECTIONS: &[Section] = &[
    Section { name: "state", about: "How events and observations become states.", entries: STATE },
    Section {
        name: "health",
        about: "When a target counts as down, and as well again.",
        entries: HEALTH,
    },
    Section { name: "observer", about: "How tmux servers are watched.", entries: OBSERVER },
    Section { name: "retention", about: "How long the past is kept.", entries: RETENTION },
    Section { name: "log", about: "The daemon's own log.", entries: LOG },
];

const STATE: &[Entry] = &[
    Entry {
        key: "skew_budget",
        kind: Kind::Time { default_ms: 10_000, least_ms: 0 },
        about: "How far a source's clock may differ before its event time is not believed.",
    },
    Entry {
        key: "bind_window",
        kind: Kind::Time { default_ms: 5_000, least_ms: 0 },
        about: "How far a start hint may lie from the start of the runtime that an event is bound \
            to.",
    },
    Entry {
        key: "pending_ttl",
        kind: Kind::Time { default_ms: 30_000, least_ms: 0 },
        about: "How long an event waits for the runtime it is about.",
    },
    Entry {
        key: "completed_ttl",
        kind: Kind::Time { default_ms: 120_000, least_ms: 0 },
        about: "How long `completed` is shown before it becomes `idle`.",
    },
    Entry {
        key: "stale_ttl",
        kind: Kind::Time { default_ms: 30_000, least_ms: 0 },
        about: "How long a definite state holds without an observation that confirms it.",
    },
];

const HEALTH: &[Entry] = &[
    Entry {
        key: "down_failures",
        kind: Kind::Number { default: 3, least: 1 },
        about: "How many failures in a row make a degraded target `down`.",
    },
    Entry {
        key: "down_window",
        kind: Kind::Time { default_ms: 30_000, least_ms: 0 },
        about: "The time within which those failures must fall.",
    },
    Entry {
        key: "recovery_probes",
        kind: Kind::Number { default: 2, least: 1 },
        about: "How many good probes in a row, with a topology, make a target `ok` again.",
    },
];

const OBSERVER: &[Entry] = &[
    Entry {
        key: "scan_active",
        kind: Kind::Time { default_ms: 2_000, least_ms: 100 },
        about: "How often a target is looked at while something moves there.",
    },
    Entry {
        key: "scan_idle",
        kind: Kind::Time { default_ms: 10_000, least_ms: 100 },
        about: "How often a target is looked at while nothing moves.",
    },
    Entry {
        key: "scan_full",
        kind: Kind::Time { default_ms: 60_000, least_ms: 100 },
        about: "How often every field of every pane is read again.",
    },
    Entry {
        key: "connect_timeout",
        kind: Kind::Time { default_ms: 3_000, least_ms: 100 },
        about: "How long a connection may take to be made.",
    },
    Entry {
        key: "command_timeout",
        kind: Kind::Time { default_ms: 5_000, least_ms: 100 },
        about: "How long a command may take.",
    },
    Entry {
        key: "retries",
        kind: Kind::Number { default: 2, least: 0 },
        about: "How often a command that only reads is tried again.",
    },
    Entry {
        key: "retry_first",
        kind: Kind::Time { default_ms: 250, least_ms: 0 },
        about: "The pause before it is tried again the first time.",
    },
    Entry {
        key: "retry_second",
        kind: Kind::Time { default_ms: 1_000, least_ms: 0 },
        about: "The pause before every further time.",
    },
    Entry { key: "tmux", kind: Kind::Text { default: "tmux" }, about: "The tmux program." },
];

const RETENTION: &[Entry] = &[
    Entry {
        key: "payload_days",
        kind: Kind::Number { default: 7, least: 1 },
        about: "How many days the redacted payloads of events are kept; no longer than the events.",
    },
    Entry {
        key: "event_days",
        kind: Kind::Number { default: 14, least: 1 },
        about: "How many days the events themselves are kept.",
    },
];

const LOG: &[Entry] = &[
    Entry {
        key: "level",
        kind: Kind::Word { default: "info", words: &["error", "warn", "info", "debug", "trace"] },
        about: "How much is logged.",
    },
    Entry {
        key: "size_mib_max",
        kind: Kind::Number { default: 10, least: 1 },
        about: "The size in MiB at which a new log file is begun.",
    },
    Entry {
        key: "files_max",
        kind: Kind::Number { default: 5, least: 1 },
        about: "How many old log files are kept.",
    },
];

/// The entry of a dotted key, such as `state.stale_ttl`.
#[must_use]
pub fn find(dotted: &str) -> Option<&'static Entry> {
    let (name, key) = dotted.split_once('.')?;
    let section = SECTIONS.iter().find(|section| section.name == name)?;
    section.entries.iter().find(|entry| entry.key == key)
}

impl Kind {
    /// The value where the file says nothing, as the file would write it.
    #[must_use]
    pub fn default_value(self) -> Value {
        match self {
            Self::Time { default_ms, .. } => json!(time(default_ms)),
            Self::Number { default, .. } => json!(default),
            Self::Word { default, .. } | Self::Text { default } => json!(default),
        }
    }
}

/// A time in the largest unit that writes it as one whole number.
#[must_use]
pub fn time(ms: u64) -> String {
    let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    match units.iter().find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None => format!("{ms}ms"),
    }
}

/// The default file: every key commented, with its default.
#[must_use]
pub fn default_file() -> String {
    let mut text = HEAD.to_owned();
    for section in SECTIONS {
        let _ = write!(text, "\n# {}\n[{}]\n", section.about, section.name);
        for entry in section.entries {
            let default = entry.kind.default_value();
            let _ = write!(text, "# {}\n{} = {default}\n", entry.about, entry.key);
        }
    }
    text
}

const HEAD: &str = r#"# Quarterdeck's settings. Every key is optional; what stands here is the default.
# The daemon reads the file again when it changes: no restart is needed.
# Times are written like "250ms", "10s", "2m" or "1h".
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> impl Iterator<Item = &'static Entry> {
        SECTIONS.iter().flat_map(|section| section.entries)
    }

    #[test]
    fn a_key_is_found_by_its_dotted_name() {
        for section in SECTIONS {
            for entry in section.entries {
                let dotted = format!("{}.{}", section.name, entry.key);
                assert_eq!(find(&dotted).unwrap().about, entry.about, "{dotted}");
            }
        }
        assert!(find("state.stale").is_none() && find("stale_ttl").is_none());
    }

    #[test]
    fn every_setting_says_in_one_sentence_what_it_is_for() {
        for entry in entries() {
            assert!(entry.about.ends_with('.') && !entry.about.contains('\n'), "{}", entry.key);
            assert!(!entry.about.contains("  "), "{}", entry.key);
        }
    }

    #[test]
    fn every_default_is_within_its_bounds() {
        for entry in entries() {
            let is_within = match entry.kind {
                Kind::Time { default_ms, least_ms } => {
                    (least_ms..=TIME_MS_MAX).contains(&default_ms)
                }
                Kind::Number { default, least } => default >= least,
                Kind::Word { default, words } => words.contains(&default),
                Kind::Text { default } => !default.is_empty(),
            };
            assert!(is_within, "{}", entry.key);
        }
    }

    #[test]
    fn a_time_is_written_in_its_largest_whole_unit() {
        for (ms, text) in [(0, "0ms"), (250, "250ms"), (1_500, "1500ms"), (90_000, "90s")] {
            assert_eq!(time(ms), text);
        }
        assert_eq!([time(120_000), time(7_200_000)], ["2m", "2h"]);
    }

    #[test]
    fn the_default_file_says_what_each_key_is_for_and_its_default() {
        let file = default_file();
        assert!(file.contains("\n[state]\n# How far a source's clock may differ"), "{file}");
        assert!(file.contains("\nskew_budget = \"10s\"\n"), "{file}");
        assert!(file.contains("\nfiles_max = 5\n"), "{file}");
    }
}
