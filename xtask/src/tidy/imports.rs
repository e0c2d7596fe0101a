//! Who may import whom: the table of ARCHITECTURE.md, checked.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::metadata::Metadata;

/// How many of our crates may stand in a row, each using the next.
const CHAIN_MAX: usize = 4;

/// One crate of ours and what it may use.
struct Rule {
    name: &'static str,
    /// Crates of ours it may use.
    ours: &'static [&'static str],
    /// Crates of others it must not use, tests included.
    never: &'static [&'static str],
}

const SQL: &str = "rusqlite";
const RULES: &[Rule] = &[
    Rule { name: "engine", ours: &[], never: &[] },
    Rule { name: "tmux", ours: &[], never: &[] },
    Rule { name: "api", ours: &[], never: &[] },
    Rule { name: "agents", ours: &["engine"], never: &[] },
    Rule { name: "store", ours: &["engine"], never: &["tokio", "jiff", "axum", "hyper"] },
    Rule { name: "client", ours: &["api"], never: &["axum", SQL] },
    Rule {
        name: "daemon",
        ours: &["engine", "agents", "tmux", "store", "api"],
        never: &["clap", "ratatui"],
    },
    Rule { name: "tui", ours: &["api", "client"], never: &[SQL, "axum"] },
    Rule {
        name: "cli",
        ours: &["api", "client", "tui", "daemon", "agents"],
        never: &[SQL, "axum"],
    },
    Rule {
        name: "testkit",
        ours: &["engine", "agents", "tmux", "store", "api", "client", "daemon"],
        never: &[],
    },
    Rule {
        name: "bench",
        ours: &["engine", "agents", "tmux", "store", "api", "client", "daemon", "testkit"],
        never: &[],
    },
    Rule { name: "xtask", ours: &["api"], never: &["tokio", "clap"] },
];

/// What is for tests: never a plain dependency, except of what never ships.
const TESTS_ONLY: &str = "testkit";
const NEVER_SHIPS: &[&str] = &["bench", "xtask", TESTS_ONLY];

pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    let uses = metadata.uses();
    for package in metadata.members() {
        let Some(rule) = RULES.iter().find(|rule| rule.name == package.name) else {
            findings.push(finding(&package.name, "is not in the table of who may import whom"));
            continue;
        };
        for used in uses.get(rule.name).into_iter().flatten() {
            if !rule.ours.contains(used) {
                findings.push(finding(rule.name, format!("must not use `{used}`")));
            }
            if *used == TESTS_ONLY && !NEVER_SHIPS.contains(&rule.name) {
                findings.push(finding(rule.name, format!("may use `{used}` in tests only")));
            }
        }
        for dependency in &package.dependencies {
            if rule.never.contains(&dependency.name.as_str()) {
                findings.push(finding(rule.name, format!("must not use `{}`", dependency.name)));
            }
        }
    }
    let chain = longest_chain(&uses);
    if chain.len() > CHAIN_MAX {
        let problem = format!("a chain of more than {CHAIN_MAX} crates: {}", chain.join(" -> "));
        findings.push(Finding::whole("Cargo.toml", problem));
    }
    findings
}

fn finding(name: &str, problem: impl Into<String>) -> Finding {
    Finding::whole(&format!("crate {name}"), problem)
}

/// The longest row of shipping crates, each using the next. Cargo lets no crate
/// use itself in a circle, so the search ends.
fn longest_chain<'a>(uses: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<&'a str> {
    fn from<'a>(name: &'a str, uses: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<&'a str> {
        let next = uses.get(name).into_iter().flatten();
        let longest = next.map(|used| from(used, uses)).max_by_key(Vec::len);
        [vec![name], longest.unwrap_or_default()].concat()
    }
    let shipping = uses.keys().filter(|name| !NEVER_SHIPS.contains(name));
    shipping.map(|name| from(name, uses)).max_by_key(Vec::len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(packages: &[(&str, &str)]) -> Vec<String> {
        check(&Metadata::planted(packages)).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn what_the_table_allows_is_fine() {
        let packages =
            [("engine", "serde dev:testkit"), ("store", "engine"), ("testkit", "engine")];
        assert_eq!(problems(&packages), [""; 0]);
    }

    #[test]
    fn what_the_table_does_not_allow_is_found() {
        assert_eq!(
            problems(&[("engine", ""), ("client", "engine dev:axum"), ("extra", "")]),
            [
                "crate client: must not use `engine`",
                "crate client: must not use `axum`",
                "crate extra: is not in the table of who may import whom",
            ]
        );
    }

    #[test]
    fn what_is_for_tests_does_not_ship() {
        let found = problems(&[("testkit", ""), ("agents", "testkit")]);
        assert!(found.contains(&"crate agents: may use `testkit` in tests only".to_owned()));
    }

    #[test]
    fn a_long_chain_is_found_and_named() {
        let found = problems(&[
            ("engine", ""),
            ("agents", "engine"),
            ("store", "agents"),
            ("daemon", "store"),
            ("cli", "daemon"),
        ]);
        let chain = "a chain of more than 4 crates: cli -> daemon -> store -> agents -> engine";
        assert!(found.contains(&format!("Cargo.toml: {chain}")), "{found:?}");
    }
}
