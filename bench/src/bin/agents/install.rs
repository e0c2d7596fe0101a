//! The agents themselves: installed by npm into a folder for each version, once.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;

use crate::lab::Lab;

/// A version that is there to be run.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) version: String,
    pub(crate) prefix: PathBuf,
}

/// Where versions are kept: `$XDG_CACHE_HOME/quarterdeck/agents`.
fn cache() -> anyhow::Result<PathBuf> {
    let folder = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let folder = folder.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(folder.join("quarterdeck/agents"))
}

/// Installs a version unless it is there; `latest` is whatever the registry calls so.
pub(crate) fn install(lab: &Lab, version: &str) -> anyhow::Result<Installed> {
    let prefix = cache()?.join(format!("{}-{version}", lab.name));
    let package = prefix.join("lib/node_modules").join(lab.package);
    if version == "latest" || version_of(&package).is_none() {
        npm(&prefix, &format!("{}@{version}", lab.package))?;
    }
    for extra in lab.extras {
        npm_local(&prefix.join("extras"), extra)?;
    }
    let version = version_of(&package).context("npm installed no package")?;
    Ok(Installed { version, prefix })
}

fn version_of(package: &Path) -> Option<String> {
    let text = std::fs::read_to_string(package.join("package.json")).ok()?;
    let described: serde_json::Value = serde_json::from_str(&text).ok()?;
    described["version"].as_str().map(str::to_owned)
}

fn npm(prefix: &Path, package: &str) -> anyhow::Result<()> {
    run(
        &["install", "--global", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"],
        prefix,
        package,
    )
}

fn npm_local(prefix: &Path, package: &str) -> anyhow::Result<()> {
    let name = package.rsplit_once('@').map_or(package, |(name, _)| name);
    if prefix.join("node_modules").join(name).exists() {
        return Ok(());
    }
    run(&["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"], prefix, package)
}

fn run(arguments: &[&str], prefix: &Path, package: &str) -> anyhow::Result<()> {
    std::fs::create_dir_all(prefix)?;
    #[expect(clippy::disallowed_methods, reason = "npm is the caller's own, with its settings")]
    let mut command = std::process::Command::new("npm");
    command.args(arguments).arg(prefix).arg(package).stdin(Stdio::null());
    let output = command.output().context("npm cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    anyhow::ensure!(output.status.success(), "npm could not install {package}: {said}");
    Ok(())
}
