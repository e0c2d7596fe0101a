//! `qd config`: where the configuration is, what is in use, whether the file is right.

use std::path::Path;

use api::adapters::AdapterProblem;
use api::config::{ConfigAnswer, ConfigProblem, SettingOrigin};
use api::words::SchemaVersion;
use api::{ErrorCode, ExitCode, Timestamp};
use clap::Subcommand;
use daemon::adapters::Roster;
use daemon::config::{Config, ConfigError};
use serde::Serialize;
use serde_json::Value;

use crate::commands::Outcome;
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output::table::{Column, Table};
use crate::output::text::Text;
use crate::output::{self, style};
use crate::starter::config_error;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print where the file is, whether it exists or not
    Path,
    /// Show every setting in use, its default, and where it comes from
    Show,
    /// Tell whether the file is right, without a daemon
    Check,
    /// Print the commented file with every default, to begin with
    Default,
}

pub(crate) fn run(console: &Console, command: &ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Path => path(console),
        ConfigCommand::Show => show(console),
        ConfigCommand::Check => check(console),
        ConfigCommand::Default => {
            let file = api::settings::default_file();
            if console.is_json() {
                console.told(&file.lines().map(Text::plain).collect::<Vec<_>>())?;
            } else {
                console.terminal.generated(&file)?;
            }
            Ok(ExitCode::Ok)
        }
    }
}

/// What `qd config check --json` prints. The daemon is not asked, so the API has no answer of
/// its own for it.
#[derive(Debug, Serialize)]
struct Checked {
    schema_version: SchemaVersion,
    generated_at: Timestamp,
    path: String,
    exists: bool,
    problems: Vec<ConfigProblem>,
    /// Descriptions of agents that were left out.
    adapters: Vec<AdapterProblem>,
}

fn path(console: &Console) -> Outcome {
    let path = console.paths()?.config.display().to_string();
    if console.is_json() {
        console.terminal.json(&Value::from(path).to_string())?;
    } else {
        console.terminal.line(path)?;
    }
    Ok(ExitCode::Ok)
}

fn show(console: &Console) -> Outcome {
    let mut client = console.client()?;
    let answer = wait(async { Ok(client.config().await?) })?;
    console.answer(&answer, lines)?;
    Ok(ExitCode::Ok)
}

fn lines(answer: &ConfigAnswer, width: Option<usize>) -> Vec<Text> {
    let missing = if answer.exists { "" } else { " (not there: all defaults)" };
    let mut lines = vec![Text::plain(&answer.path).then_styled(missing, style::QUIET), Text::new()];
    let mut table = Table::new([
        Column::fixed("KEY").down_to(12),
        Column::fixed("VALUE").down_to(6),
        Column::yielding("DEFAULT", 2),
        Column::yielding("FROM", 1),
        Column::yielding("WHAT IT IS FOR", 3).down_to(20),
    ]);
    for setting in &answer.settings {
        let default = if setting.value == setting.default { None } else { Some(&setting.default) };
        let origin = match (setting.origin, setting.line) {
            (SettingOrigin::Default, _) => String::new(),
            (SettingOrigin::File, Some(line)) => format!("line {line}"),
            (origin @ (SettingOrigin::File | SettingOrigin::Environment), _) => origin.to_string(),
        };
        table.row([
            Text::plain(&setting.key),
            Text::plain(value(&setting.value)),
            Text::styled(default.map(value).unwrap_or_default(), style::QUIET),
            Text::plain(origin),
            Text::styled(&setting.about, style::QUIET),
        ]);
    }
    lines.extend(table.lines(width));
    lines.extend(answer.problems.iter().flat_map(|it| problem(it).wrapped(width)));
    lines
}

fn value(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn problem(problem: &ConfigProblem) -> Text {
    let place = problem.line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let nearest = problem.nearest.as_ref().map(|it| format!("; did you mean `{it}`?"));
    Text::styled("! ", style::ERROR)
        .then(place)
        .then(&problem.message)
        .then(nearest.unwrap_or_default())
}

fn check(console: &Console) -> Outcome {
    let path = console.paths()?.config;
    let outcome = Config::load(&path);
    let adapters = left_out(&path);
    let absent = named_and_absent(&path);
    let is_right = outcome.is_ok() && absent.is_none() && adapters.is_empty();
    if console.is_json() {
        let wrong = outcome.as_ref().err().map(ConfigError::problem);
        let problems = wrong.into_iter().chain(absent).collect();
        let checked = Checked {
            schema_version: SchemaVersion::V1,
            generated_at: console.now(),
            path: path.display().to_string(),
            exists: path.exists(),
            problems,
            adapters,
        };
        let text = serde_json::to_string(&checked);
        let text = text.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        console.terminal.json(&text)?;
        return Ok(if is_right { ExitCode::Ok } else { ExitCode::Failure });
    }
    outcome.map_err(|error| config_error(&error))?;
    if let Some(absent) = absent {
        return Err(Failure::new(ErrorCode::ConfigInvalid, absent.message)
            .with_hint("Write it, or correct QD_CONFIG; until then all defaults are in use."));
    }
    let said = if path.exists() { "is right" } else { "is not there: all defaults are in use" };
    console.terminal.line(format!("{} {said}.", path.display()))?;
    let Some(first) = adapters.first() else { return Ok(ExitCode::Ok) };
    let count = adapters.len();
    let message = match count {
        1 => output::adapters::placed(first),
        _ => format!("{} ({count} such files)", output::adapters::placed(first)),
    };
    Err(Failure::new(ErrorCode::ConfigInvalid, message)
        .with_hint("Correct it; until then that agent is not known. All: qd adapter list"))
}

/// A file that the environment names has to be there; the usual one need not.
fn named_and_absent(path: &Path) -> Option<ConfigProblem> {
    let named = std::env::var_os("QD_CONFIG").is_some_and(|it| !it.is_empty());
    (named && !path.exists()).then(|| ConfigProblem {
        line: None,
        column: None,
        key: None,
        message: format!("{}, which QD_CONFIG names, is not there", path.display()),
        nearest: None,
    })
}

/// The descriptions of agents beside a settings file that are none.
pub(crate) fn left_out(config: &Path) -> Vec<AdapterProblem> {
    let roster = Roster::load(&daemon::adapters::folder(config));
    roster.left_out().iter().map(|it| it.problem.clone()).collect()
}
