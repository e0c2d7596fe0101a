//! `qd uninstall`: undo everything that `qd` set up.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ::daemon::paths::Paths;
use api::{ErrorCode, ExitCode};
use clap::Args;

use crate::commands::setup::{SetUpThere, journal};
use crate::commands::{Outcome, daemon, install, setup};
use crate::console::Console;
use crate::failure::Failure;
use crate::output::style;
use crate::output::text::Text;
use crate::starter::this_program;

/// The names, or beginnings of names, of everything that the daemon puts into its folder.
const OURS: &[&str] = &[
    "qd.db",
    "qd.lock",
    "qd.sock",
    "qd.anchor",
    "qd.reserve",
    "qd.notified",
    "qd.trail",
    "logs",
    "spool",
    "setup",
    "outbox",
    "routes",
];

/// Undo everything qd set up: the service, the daemon, completions, manual pages, hooks; then the
/// data
///
/// The journal and the logs are kept unless you agree to lose them: asked at a terminal, or with
/// --delete-data. What you wrote yourself, such as the configuration, stays in any case.
#[derive(Debug, Clone, Args)]
pub(crate) struct UninstallArgs {
    /// Do not ask; delete the data as well
    #[arg(long, short, conflicts_with = "keep_data")]
    yes: bool,
    /// Do not ask; keep the data
    #[arg(long, conflicts_with = "delete_data")]
    keep_data: bool,
    /// Do not ask; delete the data
    #[arg(long)]
    delete_data: bool,
}

pub(crate) fn run(console: &Console, args: &UninstallArgs) -> Outcome {
    let paths = console.paths()?;
    // What cannot be undone, such as what somebody else put in the place of ours, keeps nothing
    // else from being undone; it is told at the end.
    let mut undone = Undone { console, said: Vec::new(), failures: Vec::new() };
    undone.tell(daemon::remove_service())?;
    // The daemon takes its hidden tmux sessions along when it ends.
    let ended = match daemon::end(console)? {
        Some(pid) => format!("The daemon (pid {pid}) has ended."),
        None => "No daemon was running.".to_owned(),
    };
    undone.say([Text::plain(ended)])?;
    undone.tell(install::remove_all())?;
    undone.tell(setup::undo_all(console))?;
    let there = setup::set_up_there(&paths.home)?;
    undone.say(there.iter().map(still_there))?;
    let mut data = found(&paths)?;
    if !there.is_empty() {
        // What was there before is known only from these.
        data.retain(|path| path.file_name().is_none_or(|name| name != journal::FOLDER));
    }
    if data.is_empty() {
        undone.say([Text::plain("There is no data.")])?;
    } else if agreed(console, args, &paths)? {
        delete(&data, &paths)?;
        undone.say([Text::plain(format!("Deleted the data in {}.", paths.home.display()))])?;
    } else {
        let again = Text::styled("qd uninstall --delete-data", style::COMMAND);
        let kept = format!("Kept the data in {}. To delete it: ", paths.home.display());
        undone.say([Text::plain(kept).then(again)])?;
    }
    undone.say([Text::plain(left_behind(&paths))])?;
    undone.end()
}

/// The steps that were tried.
struct Undone<'a> {
    console: &'a Console,
    /// What was done, where it is told all at once.
    said: Vec<Text>,
    failures: Vec<Failure>,
}

impl Undone<'_> {
    /// Tells what a step did, or remembers why it did not.
    fn tell(&mut self, step: Result<Vec<Text>, Failure>) -> Result<(), Failure> {
        match step {
            Ok(lines) => self.say(lines),
            Err(failure) => {
                self.failures.push(failure);
                Ok(())
            }
        }
    }

    /// Says it at once to people, and at the end to programs.
    fn say(&mut self, lines: impl IntoIterator<Item = Text>) -> Result<(), Failure> {
        let lines: Vec<Text> = lines.into_iter().collect();
        if self.console.is_json() {
            self.said.extend(lines);
            return Ok(());
        }
        self.console.terminal.lines(&lines)
    }

    /// Tells of every step that failed; the command fails with the last.
    fn end(mut self) -> Outcome {
        if self.console.is_json() {
            self.console.done(self.console.told(&self.said));
        }
        let Some(last) = self.failures.pop() else { return Ok(ExitCode::Ok) };
        self.failures.iter().for_each(|failure| self.console.fail(failure));
        Err(last)
    }
}

/// Names what is on another machine, which nobody reaches without a daemon.
fn still_there(hooks: &SetUpThere) -> Text {
    let what = hooks.told(&format!("on {}", hooks.target));
    let kept = format!("It stays that {what}; to take that out: ");
    Text::plain(kept).then_styled(hooks.undo(), style::COMMAND)
}

/// Names what is still there, and is for its owner to delete.
fn left_behind(paths: &Paths) -> String {
    let program = this_program()
        .map_or_else(|_| "where you put it".to_owned(), |program| program.display().to_string());
    let places = [("the settings", &paths.config), ("the folder", &paths.home)];
    let others = places.into_iter().filter(|(_, path)| path.exists());
    let others = others.map(|(what, path)| format!("; {what}, {}", path.display()));
    format!("What is left: the program itself, {program}{}.", others.collect::<String>())
}

fn agreed(console: &Console, args: &UninstallArgs, paths: &Paths) -> Result<bool, Failure> {
    if args.yes || args.delete_data {
        return Ok(true);
    }
    if args.keep_data {
        return Ok(false);
    }
    let question = format!("Delete the journal, logs and spool in {}?", paths.home.display());
    Ok(console.terminal.confirm(&Text::plain(question))?.unwrap_or(false))
}

/// What is ours among what lies in the daemon's folders.
fn found(paths: &Paths) -> Result<Vec<PathBuf>, Failure> {
    let entries = match fs::read_dir(&paths.home) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("look into", &paths.home, &error)),
    };
    let ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        OURS.iter().any(|start| {
            name == *start
                || name.strip_prefix(start).is_some_and(|rest| rest.starts_with(['-', '.']))
        })
    };
    Ok(entries.flatten().map(|entry| entry.path()).filter(ours).collect())
}

/// Deletes what is ours, and the folders if nothing else is in them.
fn delete(data: &[PathBuf], paths: &Paths) -> Result<(), Failure> {
    for path in data {
        // A link is removed, never what it leads to.
        let is_folder = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
        let removed = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.map_err(|error| failed("delete", path, &error))?;
    }
    for folder in [Some(paths.home.as_path()), paths.socket.parent()].into_iter().flatten() {
        // One that holds something else stays.
        drop(fs::remove_dir(folder));
    }
    Ok(())
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(ErrorCode::Internal, format!("cannot {what} {}: {error}", path.display()))
        .with_hint("Look at its permissions, then repeat this.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("deck");
        let paths = Paths::find(|name| (name == "QD_HOME").then(|| home.clone().into())).unwrap();
        for below in ["logs", "spool", "photos"] {
            fs::create_dir_all(home.join(below)).unwrap();
        }
        let precious = folder.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        for name in
            ["qd.db", "qd.db-wal", "qd.lock", "qd.anchor", "logs/qd.log", "config.toml", "qd.dbx"]
        {
            fs::write(home.join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(&precious, home.join("qd.db.broken")).unwrap();
        delete(&found(&paths).unwrap(), &paths).unwrap();
        let mut left: Vec<_> = fs::read_dir(&home)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["config.toml", "photos", "qd.dbx"]);
        assert_eq!(fs::read_to_string(precious).unwrap(), "precious");
    }
}
