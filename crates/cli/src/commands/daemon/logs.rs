//! `qd daemon logs`: what the daemon wrote down, also after it is gone.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::{ErrorCode, ExitCode};
use clap::Args;
use serde_json::Value;

use crate::commands::Outcome;
use crate::console::Console;
use crate::failure::Failure;
use crate::output::style;
use crate::output::text::Text;

/// How often a log that is followed is looked at.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// No line of the log is longer; what is longer is not ours.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Show what the daemon wrote into its log
#[derive(Debug, Clone, Args)]
pub(crate) struct LogsArgs {
    /// So many of the last lines
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 100)]
    lines: usize,
    /// Go on showing new ones
    #[arg(long, short)]
    follow: bool,
}

pub(crate) fn run(console: &Console, args: &LogsArgs) -> Outcome {
    let folder = console.paths()?.logs;
    let current = folder.join(daemon::log::FILE_NAME);
    let mut last: VecDeque<String> = VecDeque::new();
    let mut tail = Tail::default();
    // The file before it fills up what a fresh one lacks.
    for path in [before(&current), current.clone()] {
        tail = Tail::default();
        tail.read(&path, |line| {
            last.push_back(line);
            if last.len() > args.lines {
                last.pop_front();
            }
        })
        .map_err(|error| unreadable(&path, &error))?;
    }
    let written = [before(&current), current.clone()].iter().any(|path| path.exists());
    if !written && !args.follow {
        let line = format!("There is no log yet in {}.", folder.display());
        console.terminal.note(&[Text::plain(line)]);
    }
    last.iter().try_for_each(|line| show(console, line))?;
    if args.follow {
        follow(console, &current, tail)?;
    }
    Ok(ExitCode::Ok)
}

/// Shows what is written from here on, until somebody has seen enough.
fn follow(console: &Console, current: &Path, mut tail: Tail) -> Result<(), Failure> {
    loop {
        std::thread::sleep(FOLLOW_INTERVAL);
        let mut fresh = Vec::new();
        tail.read(current, |line| fresh.push(line)).map_err(|error| unreadable(current, &error))?;
        fresh.iter().try_for_each(|line| show(console, line))?;
    }
}

fn before(current: &Path) -> PathBuf {
    current.with_extension("log.1")
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(ErrorCode::Internal, format!("cannot read {}: {error}", path.display()))
        .with_hint("Look at its permissions.")
}

fn show(console: &Console, line: &str) -> Result<(), Failure> {
    if console.is_json() { console.terminal.json(line) } else { console.terminal.line(told(line)) }
}

/// Where a reader of a growing file is.
#[derive(Debug, Default)]
struct Tail {
    offset: u64,
    inode: u64,
    /// The beginning of a line whose end is not written yet.
    begun: Vec<u8>,
}

impl Tail {
    /// Gives every whole line that is new; a file that was replaced is read from its beginning.
    fn read(&mut self, path: &Path, mut each: impl FnMut(String)) -> io::Result<()> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let found = file.metadata()?;
        if found.ino() != self.inode || found.len() < self.offset {
            *self = Self { inode: found.ino(), ..Self::default() };
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut reader = BufReader::new(file);
        loop {
            let count = reader.read_until(b'\n', &mut self.begun)?;
            self.offset += u64::try_from(count).unwrap_or(0);
            if count == 0 {
                return Ok(());
            }
            if self.begun.ends_with(b"\n") || self.begun.len() > LINE_BYTES_MAX {
                let line = String::from_utf8_lossy(&self.begun);
                each(line.trim_end().to_owned());
                self.begun.clear();
            }
        }
    }
}

/// A line of the log for people: time, level, what, and the facts beside it.
fn told(line: &str) -> Text {
    let Ok(Value::Object(entry)) = serde_json::from_str::<Value>(line) else {
        return Text::plain(line);
    };
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let level = match text("level") {
        "ERROR" => style::ERROR,
        "WARN" => style::WARNING,
        _ => style::QUIET,
    };
    let mut said = Text::styled(text("timestamp"), style::QUIET)
        .then(" ")
        .then_styled(format!("{:5}", text("level")), level);
    let fields = entry.get("fields").and_then(Value::as_object);
    if let Some(message) = fields.and_then(|it| it.get("message")).and_then(Value::as_str) {
        said = said.then(" ").then(message);
    }
    for (name, value) in fields.into_iter().flatten().filter(|(name, _)| *name != "message") {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        said = said.then_styled(format!(" {name}="), style::QUIET).then(value);
    }
    said
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_entry_is_told_in_one_line() {
        let line = r#"{"timestamp":"2026-11-21T15:33:42Z","level":"WARN","fields":
            {"message":"lost\u001b[31m","target":"local","tries":3},"target":"daemon"}"#;
        assert_eq!(
            told(line).render(false),
            "2026-11-21T15:33:42Z WARN  lost target=local tries=3"
        );
        assert_eq!(told("not json\u{9b}").render(false), "not json");
    }

    #[test]
    fn a_growing_file_is_read_on_and_a_replaced_one_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qd.log");
        let mut tail = Tail::default();
        let mut read = |content: &str, replace: bool| {
            if replace {
                fs::rename(&path, folder.path().join("qd.log.1")).unwrap();
            }
            fs::write(&path, content).unwrap();
            let mut lines = Vec::new();
            tail.read(&path, |line| lines.push(line)).unwrap();
            lines
        };
        assert_eq!(read("one\ntw", false), ["one"]);
        assert_eq!(read("one\ntwo\nthree\n", false), ["two", "three"]);
        assert_eq!(read("fresh\n", true), ["fresh"]);
        assert!(Tail::default().read(&folder.path().join("none"), |_| panic!()).is_ok());
    }
}
