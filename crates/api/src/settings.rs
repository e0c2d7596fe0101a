//! The settings file, as data.
//!
//! What a user may set stands here once. The default file, its JSON schema and
//! its reference page are generated from this table, and the daemon refuses by
//! it what is out of bounds.

mod kind;

use std::fmt::Write as _;

pub use kind::{
    Kind, PROGRAM_WORDS_MAX, TIME_MS_MAX, TIME_PATTERN, parse_address, parse_time, write_time,
};

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

/// The whole file.
pub const SECTIONS: &[Section] = &[
    Section { name: "state", about: "How events and observations become states.", entries: STATE },
    Section {
        name: "health",
        about: "When a target counts as down, and as well again.",
        entries: HEALTH,
    },
    Section { name: "observer", about: "How tmux servers are watched.", entries: OBSERVER },
    Section {
        name: "notify",
        about: "What happens when an agent begins to wait for somebody, in a pane that nobody looks at.",
        entries: NOTIFY,
    },
    Section { name: "actions", about: "Who may act on panes.", entries: ACTIONS },
    Section {
        name: "approvals",
        about: "How agents that ask for a permission are answered.",
        entries: APPROVALS,
    },
    Section {
        name: "api",
        about: "The API beside the user's own socket; tokens are made with `qd token`.",
        entries: API,
    },
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
        about: "How long an event waits for the runtime it is about while nobody can look; the next \
            look at everything that shows none ends it.",
    },
    Entry {
        key: "completed_ttl",
        kind: Kind::Time { default_ms: 120_000, least_ms: 0 },
        about: "How long `completed` is shown before it becomes `idle`.",
    },
    Entry {
        key: "stale_ttl",
        kind: Kind::Time { default_ms: 30_000, least_ms: 100 },
        about: "How long a definite state holds without an observation that confirms it.",
    },
];

const HEALTH: &[Entry] = &[
    Entry {
        key: "down_failures",
        kind: Kind::Number { default: 3, least: 1, most: 100 },
        about: "How many failures in a row make a degraded target `down`.",
    },
    Entry {
        key: "down_window",
        kind: Kind::Time { default_ms: 30_000, least_ms: 100 },
        about: "The time within which those failures must fall.",
    },
    Entry {
        key: "recovery_probes",
        kind: Kind::Number { default: 2, least: 1, most: 100 },
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
        about: "How often a target is looked at while nothing moves; where tmux tells what moves, how often it is asked for a sign of life.",
    },
    Entry {
        key: "scan_full",
        kind: Kind::Time { default_ms: 60_000, least_ms: 100 },
        about: "How often every field of every pane is read again; ten times as rarely where tmux tells what moves and nothing does.",
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
        kind: Kind::Number { default: 2, least: 0, most: 10 },
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

const NOTIFY: &[Entry] = &[
    Entry {
        key: "bell",
        kind: Kind::Flag { default: false },
        about: "Whether the terminals of attached tmux clients ring, once for each wait.",
    },
    Entry {
        key: "command",
        kind: Kind::Program,
        about: "A program that is run once for each wait, with its arguments and without a shell. It finds \
            the facts in QD_AGENT, QD_STATE, QD_REASON, QD_ASK, QD_TARGET, QD_SESSION, QD_WINDOW, \
            QD_PANE and QD_RUNTIME.",
    },
];

const ACTIONS: &[Entry] = &[Entry {
    key: "from_agents",
    kind: Kind::Word { default: "agents", words: &["none", "agents", "all"] },
    about: "On which panes agents may act by `qd send` and `qd kill`: on none, on those of agents \
        (where they give prompts and press Enter, and no command of the composer), or on all, \
        people's shells among them.",
}];

const APPROVALS: &[Entry] = &[
    Entry {
        key: "hold",
        kind: Kind::Word { default: "detached", words: &["detached", "always", "never"] },
        about: "When the hook of an agent that hides its dialog meanwhile waits \
            for an answer from elsewhere: while nobody is attached to its tmux session, always, or \
            never.",
    },
    Entry {
        key: "hold_max",
        kind: Kind::Time { default_ms: 600_000, least_ms: 0 },
        about: "How long it waits before the agent asks in its own terminal; no longer than the \
            ten minutes that `qd setup` has the agent allow it.",
    },
];

const API: &[Entry] = &[Entry {
    key: "listen",
    kind: Kind::Address,
    about: "The address of this machine alone, with its port, at which tokens are served over TCP, \
        such as 127.0.0.1:7433; empty for none.",
}];

const RETENTION: &[Entry] = &[
    Entry {
        key: "payload_days",
        kind: Kind::Number { default: 7, least: 1, most: 3650 },
        about: "How many days the redacted payloads of events are kept; no longer than the events.",
    },
    Entry {
        key: "event_days",
        kind: Kind::Number { default: 14, least: 1, most: 3650 },
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
        kind: Kind::Number { default: 10, least: 1, most: 4096 },
        about: "The size in MiB at which a new log file is begun.",
    },
    Entry {
        key: "files_max",
        kind: Kind::Number { default: 5, least: 1, most: 1000 },
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

/// The known key or section that was probably meant by an unknown one: of this name in another
/// section, or of nearly this name.
#[must_use]
pub fn nearest(dotted: &str) -> Option<String> {
    let name = dotted.rsplit('.').next().unwrap_or(dotted);
    let keys = || {
        let of =
            |section: &'static Section| section.entries.iter().map(|it| (section.name, it.key));
        SECTIONS.iter().flat_map(of).map(|(section, key)| (format!("{section}.{key}"), key))
    };
    if let Some((moved, _)) = keys().find(|(_, key)| *key == name) {
        return Some(moved);
    }
    let known: Vec<String> = keys().map(|(dotted, _)| dotted).collect();
    let sections = SECTIONS.iter().map(|section| section.name);
    let known = known.iter().map(String::as_str).chain(sections);
    crate::nearest::nearest(dotted, known).map(str::to_owned)
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
    fn an_unknown_key_finds_the_one_that_was_meant() {
        for (given, meant) in [
            ("state.stale_tll", Some("state.stale_ttl")),
            ("stale_ttl", Some("state.stale_ttl")),
            ("log.stale_ttl", Some("state.stale_ttl")),
            ("stat", Some("state")),
            ("state.colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(given).as_deref(), meant, "{given}");
        }
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
            assert_eq!(entry.kind.check(&entry.kind.default_value()), Ok(()), "{}", entry.key);
        }
    }

    #[test]
    fn the_default_file_says_what_each_key_is_for_and_its_default() {
        let file = default_file();
        assert!(file.contains("\n[state]\n# How far a source's clock may differ"), "{file}");
        assert!(file.contains("\nskew_budget = \"10s\"\n"), "{file}");
        assert!(file.contains("\nfiles_max = 5\n"), "{file}");
    }
}
