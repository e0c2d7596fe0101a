//! What `cargo metadata` says about the workspace and what it is built from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// The packages and how they depend on each other.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
}

/// One package.
#[derive(Debug, Deserialize)]
pub(super) struct Package {
    id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    pub(super) source: Option<String>,
    pub(super) dependencies: Vec<Dependency>,
}

/// A package's wish for another.
#[derive(Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// Null for an ordinary dependency, else `dev` or `build`.
    pub(super) kind: Option<String>,
}

impl Dependency {
    pub(super) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

impl Metadata {
    /// Asks cargo, without the network. Where a package of another platform was
    /// never fetched, what this platform builds has to do.
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let everything = cargo(root, &[])?;
        let output = if everything.status.success() {
            everything
        } else {
            cargo(root, &["--filter-platform", &host(root)?])?
        };
        if !output.status.success() {
            bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).context("reading cargo metadata")
    }

    /// Our own packages.
    pub(super) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// For each of our packages those of ours it uses other than in tests.
    pub(super) fn uses(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let ours: BTreeSet<&str> = self.members().map(|it| it.name.as_str()).collect();
        let used = |package: &'_ Package| -> BTreeSet<&str> {
            let names = package.dependencies.iter().filter(|it| !it.is_dev());
            names.filter_map(|it| ours.get(it.name.as_str()).copied()).collect()
        };
        self.members().map(|package| (package.name.as_str(), used(package))).collect()
    }

    /// Packages that exist in a test only: each with the names of what it
    /// depends on, `dev:` in front of those for its tests.
    #[cfg(test)]
    pub(super) fn planted(packages: &[(&str, &str)]) -> Self {
        let dependency = |word: &str| match word.strip_prefix("dev:") {
            Some(name) => Dependency { name: name.to_owned(), kind: Some("dev".to_owned()) },
            None => Dependency { name: word.to_owned(), kind: None },
        };
        let packages: Vec<Package> = packages
            .iter()
            .map(|(name, dependencies)| Package {
                id: (*name).to_owned(),
                name: (*name).to_owned(),
                version: "0.1.0".to_owned(),
                license: None,
                source: None,
                dependencies: dependencies.split_whitespace().map(dependency).collect(),
            })
            .collect();
        let workspace_members = packages.iter().map(|it| it.id.clone()).collect();
        Self { packages, workspace_members }
    }
}

#[expect(clippy::disallowed_methods, reason = "a tool asks cargo; there is no Target here")]
fn cargo(root: &Path, more: &[&str]) -> anyhow::Result<Output> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Command::new(cargo)
        .args(["metadata", "--offline", "--locked", "--format-version", "1"])
        .args(more)
        .current_dir(root)
        .output()
        .context("starting cargo metadata")
}

#[expect(clippy::disallowed_methods, reason = "a tool asks rustc; there is no Target here")]
fn host(root: &Path) -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").current_dir(root).output();
    let output = output.context("starting rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).context("rustc -vV names no host")
}
