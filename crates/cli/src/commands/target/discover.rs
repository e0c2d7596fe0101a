//! `qd target discover`: hosts of the user's own `ssh` configuration that could be targets.

use std::path::PathBuf;

use api::target_name::TargetName;
use api::targets::{TargetCreate, TargetItem};
use api::words::{SchemaVersion, TargetKind};
use api::{ErrorCode, ExitCode, Timestamp};
use clap::Args;
use serde::Serialize;

use crate::commands::Outcome;
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output::style;
use crate::output::text::Text;
use crate::ssh_config::{self, Host};

/// List the hosts of your ssh configuration, with the command that adds each as a target
///
/// Reads ~/.ssh/config and what it includes, and asks no host anything.
#[derive(Debug, Clone, Args)]
pub(crate) struct DiscoverArgs {}

/// What `qd target discover --json` prints. The files are read here, so the API has no answer for
/// it.
#[derive(Debug, Serialize)]
struct Report {
    schema_version: SchemaVersion,
    generated_at: Timestamp,
    items: Vec<Found>,
}

/// A host that could be a target.
#[derive(Debug, Serialize)]
struct Found {
    host: String,
    /// The file that names it.
    file: String,
    /// The target that leads there; null while there is none.
    target: Option<TargetName>,
    /// The command that adds it; null where there is one, or where it cannot be one.
    add: Option<String>,
}

pub(crate) fn run(console: &Console, _: &DiscoverArgs) -> Outcome {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let hosts = ssh_config::hosts(&home.join(".ssh/config"), &home);
    // Whether a host is watched is told by a daemon that runs; none is started for that.
    let targets = targets(console).unwrap_or_default();
    let items: Vec<Found> = hosts.into_iter().map(|host| found(host, &targets)).collect();
    if console.is_json() {
        let (schema_version, generated_at) = (SchemaVersion::V1, console.now());
        let text = serde_json::to_string(&Report { schema_version, generated_at, items });
        let text = text.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        console.terminal.json(&text)?;
    } else {
        console.terminal.lines(&lines(&items))?;
    }
    Ok(ExitCode::Ok)
}

fn targets(console: &Console) -> Option<Vec<TargetItem>> {
    let mut client = console.onlooker().ok()?;
    let asked = wait(async { Ok(client.targets().await.and_then(|answer| answer.read()).ok()) });
    Some(asked.ok()??.items)
}

fn found(Host { name, file }: Host, targets: &[TargetItem]) -> Found {
    let leads_there = |item: &&TargetItem| {
        let host = item.route.as_ref().and_then(|route| route.ssh_target.as_deref());
        host == Some(name.as_str())
    };
    let target = targets.iter().find(leads_there).map(|item| item.name.clone());
    let add = if target.is_none() { add(&name) } else { None };
    Found { host: name, file: file.display().to_string(), target, add }
}

/// The command that adds a host, where it can be a target.
fn add(host: &str) -> Option<String> {
    let like_a_name =
        |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: TargetName = host.chars().map(like_a_name).collect::<String>().parse().ok()?;
    let kind = TargetKind::Ssh;
    let local = TargetCreate::local(name.clone(), None);
    let target = TargetCreate { kind, ssh_target: Some(host.to_owned()), ..local };
    target.check().ok()?;
    Some(format!("qd target add {name} --kind ssh --ssh-target {host}"))
}

/// A line for each host. What adds it is copied, so it is not broken.
fn lines(items: &[Found]) -> Vec<Text> {
    if items.is_empty() {
        return vec![Text::plain("Your ssh configuration (~/.ssh/config) names no hosts.")];
    }
    let longest = items.iter().map(|item| item.host.chars().count()).max().unwrap_or(0);
    let line = |item: &Found| {
        let host = Text::plain(&item.host).padded(longest + 2);
        match (&item.target, &item.add) {
            (Some(target), _) => host.then_styled(format!("is target {target}"), style::QUIET),
            (None, Some(add)) => host.then_styled(add, style::COMMAND),
            (None, None) => host.then_styled("cannot be a target", style::QUIET),
        }
    };
    items.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_target_is_offered_as_one() {
        let added = "qd target add build.example --kind ssh --ssh-target build.example";
        assert_eq!(add("build.example").as_deref(), Some(added));
        assert_eq!(add("me@h").as_deref(), Some("qd target add me-h --kind ssh --ssh-target me@h"));
        assert_eq!(add("$(reboot)"), None);
        assert_eq!(add("-oProxyCommand=x"), None);
    }
}
