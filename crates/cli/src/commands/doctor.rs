//! `qd doctor`: what is installed, what works, and what to do.

mod agents;
mod machine;
mod program;
mod servers;
mod targets;

use api::error::with_causes;
use api::health::{HealthAnswer, HealthStatus, Warning};
use api::targets::TargetItem;
use api::words::SchemaVersion;
use api::{ErrorCode, ExitCode, Timestamp};
use clap::Args;
use client::ClientError;
use daemon::config::Config;
use daemon::journal::{self, OpenError};
use daemon::lifecycle;
use daemon::paths::Paths;
use serde::Serialize;

use crate::commands::Outcome;
use crate::commands::config::left_out;
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output;
use crate::output::style;
use crate::output::text::Text;
use crate::output::time::span;
use crate::starter::{lifecycle_error, store_error};

/// The largest database that is proven in passing.
const PROVEN_BYTES_MAX: u64 = 64 << 20;

/// Look at everything qd needs, and say what to do about what is missing
///
/// Starts no daemon and changes nothing. Exits with 1 if something fails that qd cannot do
/// without; remarks and warnings leave it at 0.
#[derive(Debug, Clone, Args)]
pub(crate) struct DoctorArgs {}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// All is well.
    Ok,
    /// Something to know.
    Note,
    /// It works, but not as well as it could.
    Warning,
    /// It does not work.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What was looked at, as a code.
    check: &'static str,
    pub(crate) verdict: Verdict,
    /// What was found.
    message: String,
    /// What to do about it; empty if nothing.
    hint: String,
}

impl Check {
    pub(crate) fn new(check: &'static str, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { check, verdict, message: message.into(), hint: String::new() }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

/// What `qd doctor --json` prints. Most of it is found without the daemon, so the API has no
/// answer of its own for it.
#[derive(Debug, Serialize)]
struct Report {
    schema_version: SchemaVersion,
    generated_at: Timestamp,
    verdict: Verdict,
    checks: Vec<Check>,
}

pub(crate) fn run(console: &Console, _: &DoctorArgs) -> Outcome {
    let paths = console.paths()?;
    let (config, configured) = configuration(&paths);
    let tmux = program::tmux(&config.observer.tmux, &paths.config);
    let mut checks = vec![tmux, configured.clone()];
    checks.extend(descriptions(&paths));
    let home = machine::home(&paths);
    let database = database(&paths);
    let (daemon, health) = daemon(console, || absent(&paths, &[&configured, &home, &database]));
    let running = health.is_some();
    checks.extend(daemon);
    checks.extend(health.iter().flat_map(told_by_daemon));
    let targets = running.then(|| watched(console)).flatten();
    checks.extend(targets::checks(health.as_ref(), targets.as_deref(), &paths.home));
    checks.extend(health.iter().flat_map(homeless));
    checks.push(database);
    // How much room is left where nothing can be written is of no use to anybody.
    if home.verdict == Verdict::Ok {
        checks.push(machine::disk(&paths.home));
    }
    checks.push(home);
    checks.push(machine::notifications());
    checks.push(machine::session());
    let heard = if running { agents::heard(console) } else { None };
    checks.extend(agents::checks(heard.as_ref()));
    let env = |name: &str| std::env::var_os(name);
    checks.extend(servers::checks(&servers::Watched::new(targets, env)));
    let verdict = checks.iter().map(|it| it.verdict).max().unwrap_or(Verdict::Ok);
    let generated_at = console.now();
    let schema_version = SchemaVersion::V1;
    let report = Report { schema_version, generated_at, verdict, checks };
    show(console, &report, &report.checks)?;
    Ok(if verdict == Verdict::Failed { ExitCode::Failure } else { ExitCode::Ok })
}

/// Tells what was found: all of the report to a program, the checks to a person.
pub(crate) fn show(
    console: &Console,
    report: &impl Serialize,
    checks: &[Check],
) -> Result<(), Failure> {
    if console.is_json() {
        let text = serde_json::to_string(report);
        let text = text.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        return console.terminal.json(&text);
    }
    let width = console.terminal.width();
    let lines: Vec<Text> = checks.iter().flat_map(|it| lines(it, width)).collect();
    console.terminal.lines(&lines)
}

fn lines(check: &Check, width: Option<usize>) -> Vec<Text> {
    let (sign, style) = match check.verdict {
        Verdict::Ok => ("ok    ", style::GOOD),
        Verdict::Note => ("note  ", style::COMMAND),
        Verdict::Warning => ("warn  ", style::WARNING),
        Verdict::Failed => ("FAIL  ", style::ERROR),
    };
    let head = Text::styled(sign, style).then_styled(check.check, style::TITLE).then(": ");
    let mut lines = head.then(&check.message).wrapped(width);
    if !check.hint.is_empty() {
        // A command is copied as one line, so this one is not broken.
        lines.push(Text::plain("      ").then_styled(&check.hint, style::COMMAND));
    }
    lines
}

fn configuration(paths: &Paths) -> (Config, Check) {
    let path = paths.config.display();
    match Config::load(&paths.config) {
        Ok(config) if paths.config.exists() => {
            (config, Check::new("configuration", Verdict::Ok, format!("{path} is right")))
        }
        Ok(config) if std::env::var_os("QD_CONFIG").is_some_and(|it| !it.is_empty()) => {
            let message = format!("all defaults: {path}, which QD_CONFIG names, is not there");
            let check = Check::new("configuration", Verdict::Warning, message);
            (config, check.hint("Write it, or correct QD_CONFIG."))
        }
        Ok(config) => {
            let message = format!("all defaults; {path} is not there");
            (config, Check::new("configuration", Verdict::Ok, message))
        }
        Err(error) => {
            let check = Check::new("configuration", Verdict::Failed, with_causes(&error));
            (Config::default(), check.hint("Correct it there, then: qd config check"))
        }
    }
}

/// The descriptions of agents that are none.
fn descriptions(paths: &Paths) -> Vec<Check> {
    let left_out = left_out(&paths.config);
    let check = |it| Check::new("adapter", Verdict::Warning, output::adapters::placed(it));
    left_out
        .iter()
        .map(|it| check(it).hint("Correct it; until then that agent is not known."))
        .collect()
}

/// Whether a daemon answers, and what it says of itself.
fn daemon(console: &Console, absent: impl FnOnce() -> Check) -> (Vec<Check>, Option<HealthAnswer>) {
    let asked = console.onlooker().and_then(|mut client| {
        wait(async move { Ok(client.health().await.and_then(|answer| answer.read())) })
    });
    match asked {
        Ok(Ok(health)) => (vec![introduced(&health)], Some(health)),
        Ok(Err(error)) if nobody_listens(&error) => (vec![absent()], None),
        Ok(Err(error)) => {
            (vec![Check::new("daemon", Verdict::Failed, error.message).hint(error.hint)], None)
        }
        Err(Failure::Told(error)) => {
            (vec![Check::new("daemon", Verdict::Failed, error.message).hint(error.hint)], None)
        }
        Err(Failure::OutputClosed) => (Vec::new(), None),
    }
}

/// Whether there is no daemon, and not one that does not answer: only then are the sockets told at
/// which one was looked for.
fn nobody_listens(error: &ClientError) -> bool {
    error.code == ErrorCode::DaemonUnreachable && error.details.contains_key("sockets")
}

/// No daemon runs. Whether one could, as far as that can be told without starting it.
fn absent(paths: &Paths, needed: &[&Check]) -> Check {
    // A database that is only damaged is opened as far as it is proven.
    let stops = |it: &&&Check| it.verdict == Verdict::Failed && it.check != "database";
    let full = machine::lacks_room_only(paths);
    if let Some(failed) = needed.iter().find(stops).filter(|_| !full) {
        let message = format!("not running, and could not be: see `{}`", failed.check);
        return Check::new("daemon", Verdict::Failed, message);
    }
    if let Err(OpenError::Newer { .. }) = journal::verify(paths) {
        let message = "not running, and could not be: see `database`";
        return Check::new("daemon", Verdict::Failed, message);
    }
    if let Some(error) = lifecycle::obstacle(paths) {
        let error = lifecycle_error(&error);
        let message = format!("not running, and could not be: {}", error.message);
        return Check::new("daemon", Verdict::Failed, message).hint(error.hint);
    }
    if full {
        let message = "not running; it could be, and would store nothing new: see `home`";
        return Check::new("daemon", Verdict::Warning, message);
    }
    Check::new("daemon", Verdict::Ok, "not running; the next command that needs it starts it")
}

fn introduced(health: &HealthAnswer) -> Check {
    let HealthAnswer { version, pid, socket, .. } = health;
    let uptime = span(health.uptime_ms);
    let message = format!("version {version}, pid {pid}, running for {uptime}, at {socket}");
    if version == env!("CARGO_PKG_VERSION") {
        return Check::new("daemon", Verdict::Ok, message);
    }
    let message = format!("{message}; this qd is {}", env!("CARGO_PKG_VERSION"));
    Check::new("daemon", Verdict::Warning, message)
        .hint("The newer of the two replaces it: use that one.")
}

/// What the daemon knows to be wrong.
fn told_by_daemon(health: &HealthAnswer) -> Vec<Check> {
    let verdict = match health.status {
        HealthStatus::Ok | HealthStatus::Degraded => Verdict::Warning,
        HealthStatus::ReadOnly => Verdict::Failed,
    };
    let check = |it: &Warning| Check::new("daemon", verdict, &it.message).hint(&it.hint);
    health.warnings.iter().map(check).collect()
}

/// Hooks that came from no pane: their agents' states come from elsewhere.
fn homeless(health: &HealthAnswer) -> Vec<Check> {
    let told = |(agent, count): (&String, &u64)| {
        let message = format!(
            "{count} of {agent} came from no pane that is watched: it runs outside tmux, or its \
             hooks run in a process that several panes share, and no pane is guessed"
        );
        let hint = "docs/guide/agents says how to start it so that each pane has its own.";
        Check::new("hooks", Verdict::Note, message).hint(hint)
    };
    health.hooks.homeless.iter().map(told).collect()
}

fn database(paths: &Paths) -> Check {
    let path = paths.database.display();
    match std::fs::metadata(&paths.database) {
        Ok(found) if found.len() > PROVEN_BYTES_MAX => {
            let message = format!("{path}, {} MiB, too large to prove here", found.len() >> 20);
            Check::new("database", Verdict::Ok, message).hint("qd journal verify")
        }
        Ok(_) => proven(paths),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing(paths),
        Err(error) => Check::new("database", Verdict::Failed, format!("{path}: {error}"))
            .hint("Look at the permissions of its folder."),
    }
}

/// A database that is not there: not yet, or not any more, which its anchor knows.
fn missing(paths: &Paths) -> Check {
    let path = paths.database.display();
    let lost = journal::verify(paths).ok().and_then(|report| report.findings.into_iter().next());
    match lost {
        Some(finding) => Check::new("database", Verdict::Failed, format!("{path}: {finding}"))
            .hint("Put it back, or begin anew: qd daemon stop; qd journal rebuild"),
        None => Check::new("database", Verdict::Ok, format!("{path} is not there yet")),
    }
}

/// The whole proof: it takes a moment, which a doctor has.
fn proven(paths: &Paths) -> Check {
    let path = paths.database.display();
    match journal::verify(paths) {
        Ok(report) => match report.findings.first() {
            None => {
                let message = format!("{path}, proven through {}", report.last);
                Check::new("database", Verdict::Ok, message)
            }
            Some(finding) => Check::new("database", Verdict::Failed, format!("{path}: {finding}"))
                .hint("qd journal verify"),
        },
        Err(error) => {
            let error = store_error(&error);
            Check::new("database", Verdict::Failed, error.message).hint(error.hint)
        }
    }
}

/// The targets, as far as the daemon answers.
fn watched(console: &Console) -> Option<Vec<TargetItem>> {
    let mut client = console.onlooker().ok()?;
    let asked = wait(async { Ok(client.targets().await.and_then(|answer| answer.read()).ok()) });
    Some(asked.ok()??.items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixtures::shown;

    #[test]
    fn a_check_says_what_was_found_and_what_to_do() {
        let check = Check::new("tmux", Verdict::Failed, "tmux 2.9\u{1b}[2J is too old")
            .hint("apt-get install tmux");
        assert_eq!(
            shown(&lines(&check, Some(80))),
            "FAIL  tmux: tmux 2.9 is too old\n      apt-get install tmux\n"
        );
    }

    #[test]
    fn the_worst_verdict_counts() {
        let all = [Verdict::Warning, Verdict::Failed, Verdict::Ok, Verdict::Note];
        assert_eq!(all.iter().max(), Some(&Verdict::Failed));
    }
}
