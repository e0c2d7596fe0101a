//! Dependencies: each stands once in the root, is inherited by name, and is
//! named in the code of whoever asks for it.

use std::collections::BTreeSet;

use super::Finding;
use super::metadata::Metadata;
use crate::tree::{SourceFile, Tree};

/// The most that may stand in the root, our own crates not counted.
const DIRECT_MAX: usize = 45;

/// Dependencies that are asked for without being named in code.
const UNNAMED: &[(&str, &str)] = &[];

pub(super) fn check(tree: &Tree, metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ours: BTreeSet<&str> = metadata.members().map(|it| it.name.as_str()).collect();
    let mut asked: BTreeSet<String> = BTreeSet::new();
    for manifest in tree.with_extension("toml").filter(|it| it.path.ends_with("/Cargo.toml")) {
        let text = manifest.text.as_str();
        if !text.contains("[package]") || text.contains("\n[workspace]") {
            continue;
        }
        if !text.contains("[lints]\nworkspace = true") {
            let problem = "does not inherit the workspace's lints";
            findings.push(Finding::whole(&manifest.path, problem));
        }
        for (line, name, inherited) in dependencies(text, "dependencies") {
            if !inherited {
                let problem =
                    format!("`{name}` belongs in the root: say `{name}.workspace = true`");
                findings.push(Finding::at(&manifest.path, line, problem));
            }
            let unnamed = UNNAMED.contains(&(manifest.package(), name));
            if !unnamed && !names(tree, manifest.package(), name) {
                let problem = format!("`{name}` is named nowhere in the code: take it out");
                findings.push(Finding::at(&manifest.path, line, problem));
            }
            asked.insert(name.to_owned());
        }
    }
    findings.extend(check_root(tree, &ours, &asked));
    findings
}

fn check_root(tree: &Tree, ours: &BTreeSet<&str>, asked: &BTreeSet<String>) -> Vec<Finding> {
    let Some(root) = tree.files.iter().find(|it| it.path == "Cargo.toml") else {
        return vec![Finding::whole("Cargo.toml", "is missing")];
    };
    let mut findings = Vec::new();
    let mut others = 0;
    for (line, name, _) in dependencies(&root.text, "workspace.dependencies") {
        others += usize::from(!ours.contains(name));
        if !asked.contains(name) && !ours.contains(name) {
            let problem = format!("`{name}` is used by no crate: take it out");
            findings.push(Finding::at(&root.path, line, problem));
        }
    }
    if others > DIRECT_MAX {
        let problem = format!("{others} direct dependencies, at most {DIRECT_MAX}");
        findings.push(Finding::whole(&root.path, problem));
    }
    findings
}

/// Line, name and whether it is inherited, for each entry of the tables whose
/// name ends so, such as `dev-dependencies`.
fn dependencies<'a>(
    manifest: &'a str,
    table: &'a str,
) -> impl Iterator<Item = (usize, &'a str, bool)> {
    let mut inside = false;
    manifest.lines().enumerate().filter_map(move |(index, line)| {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            inside =
                header == table || (table == "dependencies" && header.ends_with("dependencies"));
            return None;
        }
        if !inside || line.starts_with('#') {
            return None;
        }
        let (key, value) = line.split_once('=')?;
        let name = key.trim().trim_matches('"');
        let (name, dotted) = name.split_once('.').map_or((name, ""), |(name, rest)| (name, rest));
        let inherited = dotted == "workspace" || value.contains("workspace = true");
        Some((index + 1, name, inherited))
    })
}

fn names(tree: &Tree, package: &str, dependency: &str) -> bool {
    let name = dependency.replace('-', "_");
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mentions = |line: &str| {
        line.match_indices(&name).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + name.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
    };
    let code = |line: &&str| !line.trim_start().starts_with("//");
    let within = |file: &&SourceFile| file.package() == package;
    tree.with_extension("rs")
        .filter(within)
        .any(|file| file.text.lines().filter(code).any(mentions))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(manifest: &str, code: &str) -> Vec<String> {
        let tree = Tree::planted(&[
            ("Cargo.toml", "[workspace.dependencies]\nserde = \"1\"\nregex = \"1\"\n"),
            ("crates/api/Cargo.toml", manifest),
            ("crates/api/src/lib.rs", code),
        ]);
        let found = check(&tree, &Metadata::planted(&[("api", "")]));
        found.iter().map(Finding::to_string).collect()
    }

    const HEAD: &str = "[package]\nname = \"api\"\n\n[lints]\nworkspace = true\n\n[dependencies]\n";

    #[test]
    fn what_is_asked_for_and_named_is_fine() {
        let manifest = format!(
            "{HEAD}serde.workspace = true\n\n[dev-dependencies]\nregex = {{ workspace = true }}\n"
        );
        assert_eq!(
            problems(&manifest, "use serde::Serialize;\nlet r = regex::Regex::new();\n"),
            [""; 0]
        );
    }

    #[test]
    fn what_nobody_names_or_asks_for_is_found() {
        let manifest = format!("{HEAD}serde.workspace = true\n");
        assert_eq!(
            problems(&manifest, "// serde is not here.\nuse serde_json::Value;\n"),
            [
                "crates/api/Cargo.toml:8: `serde` is named nowhere in the code: take it out",
                "Cargo.toml:3: `regex` is used by no crate: take it out",
            ]
        );
    }

    #[test]
    fn versions_and_lints_come_from_the_root() {
        let manifest =
            "[package]\nname = \"api\"\n[dependencies]\nserde = \"1\"\nregex.workspace = true\n";
        assert_eq!(
            problems(manifest, "use serde; use regex;\n"),
            [
                "crates/api/Cargo.toml: does not inherit the workspace's lints",
                "crates/api/Cargo.toml:4: `serde` belongs in the root: say `serde.workspace = true`",
            ]
        );
    }
}
