//! What neither the compiler nor clippy checks about this workspace. The rules
//! are data where they can be; each submodule holds one kind of them.

mod dependencies;
mod imports;
mod layout;
mod licences;
mod links;
mod lock;
mod metadata;
mod purity;
mod vendors;

use std::fmt;
use std::path::Path;

use anyhow::bail;

use crate::tree::Tree;
use metadata::Metadata;

/// Something that is not as it should be.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// The file, from the root.
    path: String,
    /// The line, where there is one.
    line: Option<usize>,
    /// What is wrong, and what to do.
    problem: String,
}

impl Finding {
    fn at(path: &str, line: usize, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: Some(line), problem: problem.into() }
    }

    fn whole(path: &str, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, problem: problem.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.problem),
            None => write!(f, "{}: {}", self.path, self.problem),
        }
    }
}

/// Runs every check and fails with the list of what was found.
pub(crate) fn run(root: &Path) -> anyhow::Result<String> {
    let tree = Tree::read(root)?;
    let metadata = Metadata::read(root)?;
    let lock = std::fs::read_to_string(root.join("Cargo.lock"))?;
    let mut findings = check(&tree, &metadata, &lock);
    findings.sort();
    if findings.is_empty() {
        return Ok(format!("tidy: {} files, nothing to say\n", tree.files.len()));
    }
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    bail!("tidy found {}:\n{}", findings.len(), lines.join("\n"))
}

fn check(tree: &Tree, metadata: &Metadata, lock: &str) -> Vec<Finding> {
    let found = [
        layout::check(tree),
        purity::check_sources(tree),
        purity::check_dependencies(metadata),
        imports::check(metadata),
        dependencies::check(tree, metadata),
        licences::check(metadata),
        lock::check(lock),
        links::check(tree),
        vendors::check(tree),
    ];
    found.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_workspace_is_tidy() {
        let root = crate::tree::workspace_root().unwrap();
        if let Err(error) = super::run(&root) {
            panic!("{error}");
        }
    }
}
