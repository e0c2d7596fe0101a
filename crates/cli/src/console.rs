//! What every command has at hand: the terminal, the global options, the daemon.

use std::sync::Arc;

use api::health::Warning;
use api::list::List;
use api::words::SchemaVersion;
use api::{ErrorCode, Timestamp};
use client::{Answer, Client, Place, Remote};
use daemon::clock::Clock;
use daemon::paths::{Paths, PathsError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::args::GlobalArgs;
use crate::failure::{Failure, envelope, lines};
use crate::output::overview::warning;
use crate::output::terminal::Terminal;
use crate::output::text::Text;
use crate::starter::{Detached, MORE_DESCRIPTORS, is_out_of_descriptors};

/// What a command that asks no daemon says with `--json`.
#[derive(Debug, Serialize)]
struct Told {
    schema_version: SchemaVersion,
    generated_at: Timestamp,
    said: Vec<String>,
}

pub(crate) struct Console {
    pub(crate) terminal: Terminal,
    global: GlobalArgs,
    clock: Clock,
}

impl Console {
    pub(crate) fn new(global: GlobalArgs) -> Self {
        Self { terminal: Terminal::new(global.color.into()), global, clock: Clock::new() }
    }

    /// Whether programs read the output.
    pub(crate) const fn is_json(&self) -> bool {
        self.global.json
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now().wall.0)
    }

    /// A client of the daemon, which is started if it does not run.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let mut client = self.asked()?;
        if let Some(agent) = std::env::var_os("SSH_AUTH_SOCK") {
            client = client.with_key_agent(&agent);
        }
        // One that was named outright belongs to a daemon of whose places nothing is known.
        if self.names_its_daemon() {
            return Ok(client);
        }
        Ok(client.with_starter(Arc::new(Detached::new(self.paths()?))))
    }

    /// A client that takes what it finds: it starts nothing and minds no version.
    pub(crate) fn onlooker(&self) -> Result<Client, Failure> {
        Ok(self.asked()?.with_any_version())
    }

    /// A client of the daemon that is meant: at the socket that was named, else over TCP where the
    /// environment says so, else at the socket that is found.
    fn asked(&self) -> Result<Client, Failure> {
        let client = Client::new(self.place()?);
        if self.global.socket.is_some() {
            return Ok(client);
        }
        Ok(match Remote::of_this_process()? {
            Some(remote) => client.over(remote),
            None => client,
        })
    }

    /// Whether the daemon was named, by its socket or its address, so that its other places are not
    /// known.
    pub(crate) fn names_its_daemon(&self) -> bool {
        let has_address = || std::env::var_os("QD_URL").is_some_and(|it| !it.is_empty());
        self.global.socket.is_some() || has_address()
    }

    fn place(&self) -> Result<Place, Failure> {
        match &self.global.socket {
            Some(socket) => Ok(Place::at(socket)),
            None => Ok(Place::of_this_process()?),
        }
    }

    /// Where the daemon's files are. They say nothing about a socket that was named outright.
    pub(crate) fn paths(&self) -> Result<Paths, Failure> {
        Paths::of_this_process().map_err(|error| {
            let hint = match &error {
                PathsError::NoHome => "Set HOME or QD_HOME to an absolute path.".to_owned(),
                PathsError::Relative { variable, .. } => {
                    format!("Set {variable} to an absolute path, or leave it unset.")
                }
            };
            Failure::new(ErrorCode::BadRequest, error.to_string()).with_hint(hint)
        })
    }

    /// Tells what a command did that asks no daemon: lines for people, the same in one object for
    /// programs.
    pub(crate) fn told(&self, lines: &[Text]) -> Result<(), Failure> {
        if !self.is_json() {
            return self.terminal.lines(lines);
        }
        let said: Vec<String> = lines.iter().map(|line| line.render(false)).collect();
        let told = Told { schema_version: SchemaVersion::V1, generated_at: self.now(), said };
        let text = serde_json::to_string(&told);
        let text = text.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        self.terminal.json(&text)
    }

    /// Shows an answer: as it came for programs, as lines for people.
    pub(crate) fn answer<T: DeserializeOwned>(
        &self,
        answer: &Answer<T>,
        view: impl FnOnce(&T, Option<usize>) -> Vec<Text>,
    ) -> Result<(), Failure> {
        if self.is_json() {
            return self.terminal.json(answer.json()?);
        }
        self.terminal.lines(&view(&answer.read()?, self.terminal.width()))
    }

    /// Shows a list, and tells beside it what makes it doubtful.
    pub(crate) fn list<I: DeserializeOwned>(
        &self,
        answer: &Answer<List<I>>,
        view: impl FnOnce(&List<I>, Option<usize>) -> Vec<Text>,
    ) -> Result<(), Failure> {
        if self.is_json() {
            return self.terminal.json(answer.json()?);
        }
        let list = answer.read()?;
        self.terminal.lines(&view(&list, self.terminal.width()))?;
        self.doubts(&list.warnings);
        Ok(())
    }

    /// Tells beside the output what somebody should know about it.
    pub(crate) fn doubts(&self, warnings: &[Warning]) {
        let told: Vec<Text> = warnings.iter().flat_map(warning).collect();
        self.terminal.note(&told);
    }

    /// What was done stays done, whether or not it could be told: somebody who took the one for the
    /// other would do it again. So that it cannot be told is told, and fails nothing.
    pub(crate) fn done(&self, told: Result<(), Failure>) {
        if let Err(Failure::Told(mut error)) = told {
            error.message = format!("it was done, and cannot be shown: {}", error.message);
            let hint = format!("Do not repeat it. {}", error.hint);
            self.fail(&error.with_hint(hint).into());
        }
    }

    /// Tells why a command failed.
    pub(crate) fn fail(&self, failure: &Failure) {
        match failure {
            Failure::OutputClosed => {}
            Failure::Told(error) if self.is_json() => {
                let body = serde_json::to_string(&envelope(error, self.now()));
                self.terminal.note_json(&body.unwrap_or_default());
            }
            Failure::Told(error) => self.terminal.note(&lines(error)),
        }
    }
}

/// What waits for several things at once.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = daemon::descriptors::suffice()
        .and_then(|()| tokio::runtime::Builder::new_current_thread().enable_all().build());
    built.map_err(|error| {
        let failure = |code| Failure::new(code, format!("cannot wait for anything: {error}"));
        if is_out_of_descriptors(&error) {
            failure(ErrorCode::DaemonUnreachable).with_hint(MORE_DESCRIPTORS)
        } else {
            failure(ErrorCode::Internal)
        }
    })
}

/// Runs what has to wait for the daemon, or for signals.
pub(crate) fn wait<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = runtime()?;
    let outcome = runtime.block_on(future);
    // A thread that still waits for a daemon to start must not keep the user waiting.
    runtime.shutdown_background();
    outcome
}
