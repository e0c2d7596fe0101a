//! `qd target test`: everything between here and the panes of a target, tried step by step.

use std::path::Path;

use api::error::with_causes;
use api::targets::TargetItem;
use api::words::SchemaVersion;
use api::{ExitCode, Timestamp};
use clap::Args;
use daemon::clock::Clock;
use daemon::targets::obstacle::Obstacle;
use daemon::targets::program::ProgramThere;
use daemon::targets::there::Surroundings;
use serde::Serialize;

use super::install;
use crate::commands::Outcome;
use crate::commands::doctor::{Check, Verdict, show};
use crate::commands::filters::target_name;
use crate::commands::setup::there;
use crate::console::Console;

/// The steps of the way.
const ROUTE: &str = "route";
const HOST_KEY: &str = "host_key";
const KEY: &str = "key";
const SHELL: &str = "shell";

/// How far a clock may be off before that is worth a word.
const CLOCK_OFF_MS: i64 = 2_000;

/// Try the way to a target step by step, over a connection of its own, and say what is found
#[derive(Debug, Clone, Args)]
pub(crate) struct TestArgs {
    /// The target
    name: String,
}

/// What `qd target test --json` prints. It is found by this command itself.
#[derive(Debug, Serialize)]
struct Report {
    schema_version: SchemaVersion,
    generated_at: Timestamp,
    target: String,
    verdict: Verdict,
    checks: Vec<Check>,
}

pub(crate) fn run(console: &Console, args: &TestArgs) -> Outcome {
    let name = target_name(&args.name)?;
    let (item, target, runtime) = there::way(console, &name)?;
    let mut checks = vec![named(&item)];
    let connected = runtime.block_on(target.connect());
    checks.extend(way(&item, connected.err().as_ref()));
    if !checks.iter().any(|it| it.verdict == Verdict::Failed) {
        match runtime.block_on(target.surroundings()) {
            Ok(found) => {
                checks.extend(surroundings(&item, &found));
                let folder = Path::new(found.of("state"));
                let seen = runtime.block_on(target.program_there(folder));
                // Where nothing was set up nobody could run it.
                let seen = seen.ok().filter(|_| !found.of("hook").is_empty());
                checks.extend(seen.map(|seen| program(&item, &seen)));
            }
            Err(failure) => checks.push(
                Check::new(SHELL, Verdict::Failed, with_causes(&failure))
                    .hint("It has to run `sh` without a word of its own in between."),
            ),
        }
    }
    let verdict = checks.iter().map(|it| it.verdict).max().unwrap_or(Verdict::Ok);
    let (schema_version, generated_at) = (SchemaVersion::V1, console.now());
    let report = Report { schema_version, generated_at, target: name.to_string(), verdict, checks };
    show(console, &report, &report.checks)?;
    Ok(if verdict == Verdict::Failed { ExitCode::Failure } else { ExitCode::Ok })
}

fn named(item: &TargetItem) -> Check {
    let message = match &item.health_message {
        None => format!("{} is {}", item.name, item.health.as_str()),
        Some(why) => format!("{} is {}: {why}", item.name, item.health.as_str()),
    };
    Check::new("name", Verdict::Ok, message)
}

/// The steps up to a shell there, as far as they were taken: what is in the way stands at one.
fn way(item: &TargetItem, obstacle: Option<&Obstacle>) -> Vec<Check> {
    let ssh = item.route.as_ref().is_some_and(|route| route.ssh_target.is_some());
    let mut steps = vec![(ROUTE, format!("it leads there: {}", item.connection_ref))];
    if ssh {
        steps.push((HOST_KEY, "it is the host that it was".to_owned()));
        steps.push((KEY, "it lets us in".to_owned()));
    }
    let Some(obstacle) = obstacle else {
        return steps.into_iter().map(|(step, well)| Check::new(step, Verdict::Ok, well)).collect();
    };
    let stands_at = step_of(obstacle);
    let taken = steps.into_iter().take_while(|(step, _)| *step != stands_at);
    let mut checks: Vec<Check> =
        taken.map(|(step, well)| Check::new(step, Verdict::Ok, well)).collect();
    let message = format!("{obstacle} ({})", obstacle.code());
    checks.push(Check::new(stands_at, Verdict::Failed, message).hint(hint(stands_at, item)));
    checks
}

/// At which step an obstacle stands.
fn step_of(obstacle: &Obstacle) -> &'static str {
    match obstacle {
        Obstacle::HostKeyUnknown { .. } | Obstacle::HostKeyChanged { .. } => HOST_KEY,
        Obstacle::Denied { .. } => KEY,
        Obstacle::NoShell { .. }
        | Obstacle::Late { .. }
        | Obstacle::Silent
        | Obstacle::Stuck
        | Obstacle::Babble
        | Obstacle::Ended { .. } => SHELL,
        Obstacle::NoSuchHost { .. }
        | Obstacle::NotListening { .. }
        | Obstacle::NotConnected
        | Obstacle::GivenUp
        | Obstacle::NoProgram { .. }
        | Obstacle::Misused { .. } => ROUTE,
    }
}

fn hint(step: &str, item: &TargetItem) -> String {
    let host = item.route.as_ref().and_then(|route| route.ssh_target.clone());
    match (step, host) {
        (HOST_KEY, Some(host)) => format!("Compare the fingerprint, then once: ssh {host}"),
        (KEY, Some(host)) => format!("This has to work: ssh -o BatchMode=yes {host} true"),
        (_, Some(host)) => format!("Try it by hand: ssh {host}"),
        (_, None) => "Try the command by hand, with `sh` behind it.".to_owned(),
    }
}

fn surroundings(item: &TargetItem, found: &Surroundings) -> Vec<Check> {
    let [user, system, shell] = ["user", "system", "shell"].map(|what| found.of(what));
    let shell = Check::new(SHELL, Verdict::Ok, format!("{user} on {system}, {shell}"));
    vec![shell, tmux(item, found), server(found), spool(item, found), clock(found)]
}

fn tmux(item: &TargetItem, found: &Surroundings) -> Check {
    let (tmux, path) = (found.of("tmux"), found.of("path"));
    if tmux.is_empty() {
        let wanted = item.route.as_ref().and_then(|route| route.tmux.as_deref());
        let wanted = wanted.unwrap_or("tmux");
        let message = format!("there is no program `{wanted}`; its path is {path}");
        return Check::new("tmux", Verdict::Failed, message)
            .hint("Install it there, or add the target with --tmux PATH.");
    }
    let version = found.of("version");
    if found.tmux_is_supported() {
        return Check::new("tmux", Verdict::Ok, format!("{version}, {tmux}"));
    }
    Check::new("tmux", Verdict::Failed, format!("{version}, {tmux}: it is too old"))
        .hint("It needs tmux 3.3 or later; another can be named with --tmux PATH.")
}

fn server(found: &Surroundings) -> Check {
    let said = found.of("server");
    let runs = said.contains(", process ");
    let verdict = if runs { Verdict::Ok } else { Verdict::Note };
    let message = if runs { format!("a server runs there: {said}") } else { said.to_owned() };
    Check::new("server", verdict, message)
}

fn spool(item: &TargetItem, found: &Surroundings) -> Check {
    let (hook, spool) = (found.of("hook"), found.of("spool"));
    match (hook, spool) {
        ("", "") => Check::new("spool", Verdict::Note, "no hooks were set up there")
            .hint(format!("qd setup AGENT --target {}", item.name)),
        ("", bytes) => {
            let message = format!("{bytes} bytes in {}/spool, by a qd there", found.of("state"));
            Check::new("spool", Verdict::Ok, message)
        }
        (hook, bytes) => {
            let bytes = if bytes.is_empty() { "0" } else { bytes };
            Check::new("spool", Verdict::Ok, format!("hooks run {hook}; {bytes} bytes lie there"))
        }
    }
}

fn program(item: &TargetItem, seen: &ProgramThere) -> Check {
    let (is_well, message) = install::standing(seen);
    let check = Check::new("program", if is_well { Verdict::Ok } else { Verdict::Note }, message);
    if is_well { check } else { check.hint(format!("qd target install {}", item.name)) }
}

fn clock(found: &Surroundings) -> Check {
    let Some(there) = found.clock_ms() else {
        return Check::new("clock", Verdict::Note, "it does not say what time it is");
    };
    let off_ms = there.saturating_sub(Clock::new().now().wall.0);
    let seconds = off_ms.unsigned_abs() / 1_000;
    if off_ms.abs() <= CLOCK_OFF_MS {
        return Check::new("clock", Verdict::Ok, "it is right, as far as can be told from here");
    }
    let way = if off_ms > 0 { "ahead of" } else { "behind" };
    let message = format!("it is {seconds} s {way} this one, which is reckoned with");
    Check::new("clock", Verdict::Note, message)
}
