//! The pure crates stay pure: nothing in them can reach a clock, a file, a
//! socket, a process, randomness or the order of a hash map.

use super::Finding;
use super::metadata::Metadata;
use crate::tree::{SourceFile, Tree};

/// A pure crate and the crates of others it may use.
struct Pure {
    name: &'static str,
    others: &'static [&'static str],
}

const PURE: &[Pure] = &[
    Pure { name: "engine", others: &["serde", "serde_json", "sha2", "thiserror", "uuid"] },
    Pure { name: "tmux", others: &["thiserror", "unicode-width", "vte"] },
    Pure { name: "api", others: &["jiff", "schemars", "serde", "serde_json", "thiserror"] },
    Pure {
        name: "agents",
        others: &[
            "engine",
            "regex",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "toml",
            "unicode-width",
            "vte",
        ],
    },
];

/// Paths and names that mean a world outside, and what stands for it in us.
const FORBIDDEN: &[(&str, &str)] = &[
    ("std::fs", "files are the daemon's"),
    ("std::net", "sockets are the daemon's"),
    ("std::os", "the system is the daemon's"),
    ("std::process", "processes are the daemon's"),
    ("std::thread", "threads are the daemon's"),
    ("std::env", "the environment is the daemon's"),
    ("Instant", "time is a parameter"),
    ("SystemTime", "time is a parameter"),
    ("Timestamp::now", "time is a parameter"),
    ("Zoned::now", "time is a parameter"),
    ("HashMap", "its order is random: take a BTreeMap"),
    ("HashSet", "its order is random: take a BTreeSet"),
    ("RandomState", "randomness is a parameter"),
    ("new_v4", "ids are a parameter"),
    ("now_v7", "ids are a parameter"),
    ("tokio", "pure code waits for nothing"),
    ("async", "pure code waits for nothing"),
    ("unsafe", "pure code needs none"),
];

pub(super) fn check_sources(tree: &Tree) -> Vec<Finding> {
    let pure = |file: &&SourceFile| {
        PURE.iter().any(|it| file.path.starts_with(&format!("crates/{}/src/", it.name)))
    };
    tree.with_extension("rs").filter(pure).flat_map(check_file).collect()
}

fn check_file(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.code_lines() {
        let code = without_strings(line);
        for (name, instead) in FORBIDDEN {
            if mentions(&code, name) {
                findings.push(Finding::at(&file.path, number, format!("`{name}`: {instead}")));
            }
        }
    }
    findings
}

pub(super) fn check_dependencies(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in metadata.members() {
        let Some(pure) = PURE.iter().find(|pure| pure.name == package.name) else { continue };
        for dependency in package.dependencies.iter().filter(|it| !it.is_dev()) {
            if !pure.others.contains(&dependency.name.as_str()) {
                let problem = format!("is pure and must not use `{}`", dependency.name);
                findings.push(Finding::whole(&format!("crate {}", pure.name), problem));
            }
        }
    }
    findings
}

/// Whether the code names it as a whole word or path; `use std::{fs, ...}` counts.
fn mentions(code: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let whole = code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    });
    let grouped = name.strip_prefix("std::").is_some_and(|module| {
        let group = code.trim_start().strip_prefix("use std::{");
        group.is_some_and(|group| mentions(group, module))
    });
    whole || grouped
}

/// The line with what stands between quotes blanked; good enough for one line
/// of formatted code, where it errs towards finding too much.
fn without_strings(line: &str) -> String {
    let mut code = String::with_capacity(line.len());
    let mut quoted = false;
    let mut escaped = false;
    for c in line.chars() {
        match c {
            '"' if !escaped => quoted = !quoted,
            _ if quoted => {}
            _ => code.push(c),
        }
        escaped = quoted && c == '\\' && !escaped;
    }
    code.split_once("//").map_or(code.clone(), |(before, _)| before.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(line: &str) -> usize {
        check_file(&SourceFile::planted("crates/engine/src/a.rs", line)).len()
    }

    #[test]
    fn the_world_outside_is_found_however_it_is_imported() {
        for line in [
            "use std::fs;",
            "    std::fs::read(path)",
            "use std::{fmt, fs};",
            "use std::time::{Duration, Instant};",
            "let now = SystemTime::now();",
            "use std::collections::HashMap;",
            "async fn f() {}",
            "tokio::spawn(f)",
        ] {
            assert!(problems(line) > 0, "{line}");
        }
    }

    #[test]
    fn likenesses_comments_texts_and_tests_are_not_found() {
        for line in [
            "use std::time::Duration;",
            "struct Instantly;",
            "// std::fs is the daemon's.",
            "let text = \"std::fs\"; // and tokio",
            "let text = \"a \\\" std::fs\";",
            "#[cfg(test)]\nmod tests {\n    use std::fs;\n}",
        ] {
            assert_eq!(problems(line), 0, "{line}");
        }
    }

    #[test]
    fn an_unlisted_dependency_of_a_pure_crate_is_found() {
        let metadata = Metadata::planted(&[("tmux", "thiserror tokio dev:proptest")]);
        let found = check_dependencies(&metadata);
        assert_eq!(found, [Finding::whole("crate tmux", "is pure and must not use `tokio`")]);
    }
}
