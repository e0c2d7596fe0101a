//! The vendors' names stay in the one crate that knows agents: everything else works for any of
//! them.

use super::Finding;
use crate::tree::{SourceFile, Tree};

/// Names of agents and of who makes them. (The name of Cursor's is a word of terminals too.)
const VENDORS: &[&str] =
    &["aider", "anthropic", "claude", "codex", "copilot", "gemini", "openai", "opencode"];

/// Where they may stand.
const HOME: &str = "crates/agents/";

/// Files elsewhere that name one, and why.
const NAMING: &[(&str, &str)] = &[
    ("bench/src/bin/agents/lab/claude.rs", "how the real agent is run and looked at from outside"),
    ("bench/src/bin/agents/lab/codex.rs", "the same"),
    ("bench/src/bin/agents/lab/copilot.rs", "the same"),
    ("bench/src/bin/agents/lab/gemini.rs", "the same"),
    ("bench/src/bin/agents/lab/opencode.rs", "the same"),
    ("bench/src/bin/agents/lab/mod.rs", "the list of these"),
    (
        "bench/src/bin/bench/machines.rs",
        "an agent that is set up on another machine, whose hooks are timed",
    ),
    ("bench/src/bin/torture/clients.rs", "a made-up agent that reports, to torture the daemon"),
    ("crates/cli/src/output/fixtures.rs", "examples of what is shown, for tests only"),
    ("xtask/src/tidy/vendors.rs", "the list itself"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let elsewhere = |file: &&SourceFile| {
        let named = NAMING.iter().any(|(path, _)| *path == file.path);
        !named && !file.path.starts_with(HOME) && !file.path.starts_with("crates/testkit/")
    };
    tree.with_extension("rs").filter(elsewhere).flat_map(check_file).collect()
}

/// Comments may give examples; code may not.
fn check_file(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.code_lines() {
        let code = line.to_lowercase();
        for name in VENDORS.iter().filter(|name| code.contains(**name)) {
            let problem = format!("`{name}`: what is known of an agent belongs into `{HOME}`");
            findings.push(Finding::at(&file.path, number, problem));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&Tree::planted(&[(path, text)])).len()
    }

    #[test]
    fn a_vendors_name_in_code_is_found_outside_its_crate() {
        let code = "//! A.\nconst A: &str = \"Claude\";\n";
        assert_eq!(found("crates/daemon/src/a.rs", code), 1);
        assert_eq!(found("crates/agents/src/a.rs", code), 0);
    }

    #[test]
    fn comments_and_tests_may_give_examples() {
        let comment = "//! A.\n// Such as codex.\n";
        assert_eq!(found("crates/daemon/src/a.rs", comment), 0);
        let test = "//! A.\n#[cfg(test)]\nmod tests {\n    const A: &str = \"codex\";\n}\n";
        assert_eq!(found("crates/daemon/src/a.rs", test), 0);
        assert_eq!(found("crates/daemon/tests/it/a.rs", "//! A.\nconst A: &str = \"codex\";\n"), 0);
    }
}
