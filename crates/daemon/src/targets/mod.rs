//! Targets: everything of a machine that we reach goes through one [`Target`].
//!
//! A target says what it can do ([`Capabilities`]); whoever uses it never asks what kind it is. The
//! local kind reaches processes, files and signals directly. Behind an argument prefix (`env`, later
//! `ssh HOST` or `docker exec -i NAME`) only what a started program can do is left.

pub mod failure;
pub mod files;
pub mod host;
pub mod local;
pub mod process;
pub mod tcp;

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};
use tmux::command::Batch;
use tmux::hub::{CONTROL_FLAGS, FORKED_FLAGS};
use tmux::version::Version;

use crate::config::ObserverConfig;
use failure::TmuxFailure;
use files::{Content, Part, Refused};
use host::{HostFacts, ProcessStat, ProgramFacts, ServerRuns, SocketFile};
use process::{ControlProcess, Environment, Program};

/// What can be done on a target beyond starting programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The kernel tells us of changed files and devices.
    pub events: bool,
    /// The kernel tells us of ended processes.
    pub pidfd: bool,
    /// Files, `/proc` included, can be read as often as one likes.
    pub files: bool,
    /// Processes can be signalled.
    pub signals: bool,
    /// Processes there see ours, and what we start there dies with us, however we end.
    pub leash: bool,
}

impl Capabilities {
    /// What this machine's kernel offers for itself.
    #[cfg(target_os = "linux")]
    pub const DIRECT: Self =
        Self { events: true, pidfd: true, files: true, signals: true, leash: true };
    #[cfg(not(target_os = "linux"))]
    pub const DIRECT: Self =
        Self { events: false, pidfd: false, files: false, signals: true, leash: false };

    /// What is left when all we can do is to start a program and speak with it.
    pub const STARTING_ONLY: Self =
        Self { events: false, pidfd: false, files: false, signals: false, leash: false };
}

/// How long to wait for an answer, and how often to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    pub connect: Duration,
    pub command: Duration,
    pub retries: u32,
    pub pauses: [Duration; 2],
}

impl Patience {
    pub fn of(config: &ObserverConfig) -> Self {
        Self {
            connect: config.connect_timeout.duration(),
            command: config.command_timeout.duration(),
            retries: config.retries,
            pauses: [config.retry_first.duration(), config.retry_second.duration()],
        }
    }

    /// The pauses before each repetition of a command that only reads, without jitter. What writes
    /// is never repeated.
    pub fn repetitions(&self) -> impl Iterator<Item = Duration> + use<> {
        let [first, later] = self.pauses;
        (0..self.retries).map(move |nth| if nth == 0 { first } else { later })
    }
}

/// How programs of a target are started.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reach {
    Direct,
    /// These words before every command.
    Through(Vec<OsString>),
}

/// One place with a tmux server.
#[derive(Clone, Debug)]
pub struct Target {
    reach: Reach,
    capabilities: Capabilities,
    tmux: OsString,
    socket: PathBuf,
    environment: Environment,
    patience: Patience,
}

impl Target {
    /// A server of this machine, by what a user calls its socket.
    pub fn local(name_or_path: &str, config: &ObserverConfig, environment: Environment) -> Self {
        let tmpdir = local::tmux_tmpdir(environment.variables());
        Self {
            reach: Reach::Direct,
            capabilities: Capabilities::DIRECT,
            tmux: OsString::from(&config.tmux),
            socket: local::socket(name_or_path, tmpdir),
            environment,
            patience: Patience::of(config),
        }
    }

    /// The same server, reached only by starting programs with these words before them.
    #[must_use]
    pub fn through(self, prefix: &[&str]) -> Self {
        let prefix = prefix.iter().map(OsString::from).collect();
        let capabilities = Capabilities::STARTING_ONLY;
        Self { reach: Reach::Through(prefix), capabilities, ..self }
    }

    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    pub fn patience(&self) -> &Patience {
        &self.patience
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs one batch by a `tmux` of its own, once, within `limit`; gives what it printed.
    pub async fn tmux(&self, batch: &Batch, limit: Duration) -> Result<Vec<u8>, TmuxFailure> {
        self.tmux_all(std::slice::from_ref(batch), limit).await
    }

    /// Runs several batches one after the other by one `tmux`; their output follows each other.
    pub async fn tmux_all(
        &self,
        batches: &[Batch],
        limit: Duration,
    ) -> Result<Vec<u8>, TmuxFailure> {
        let mut words = self.tmux_words(&FORKED_FLAGS);
        for (nth, batch) in batches.iter().enumerate() {
            if nth > 0 {
                words.push(OsString::from(";"));
            }
            words.extend(batch.argv()?.iter().map(|word| OsStr::from_bytes(word).to_owned()));
        }
        let finished = process::run(&self.program(words), limit).await?;
        failure::output(&self.tmux, finished)
    }

    /// Which tmux is installed there.
    pub async fn tmux_version(&self) -> Result<Version, TmuxFailure> {
        let words = vec![self.tmux.clone(), OsString::from("-V")];
        let finished = process::run(&self.program(words), self.patience.command).await?;
        let output = failure::output(&self.tmux, finished)?;
        String::from_utf8_lossy(&output).parse().map_err(TmuxFailure::NoVersion)
    }

    /// Starts the `tmux` that stays.
    pub fn control(&self, attach: &Batch) -> Result<ControlProcess, TmuxFailure> {
        let mut words = self.tmux_words(&CONTROL_FLAGS);
        words.extend(attach.argv()?.iter().map(|word| OsStr::from_bytes(word).to_owned()));
        process::start_control(&self.program(words))
            .map_err(|error| failure::not_started(&self.tmux, error))
    }

    fn tmux_words(&self, flags: &[&str]) -> Vec<OsString> {
        let mut words = vec![self.tmux.clone()];
        words.extend(flags.iter().map(OsString::from));
        words.extend([OsString::from("-S"), self.socket.clone().into_os_string()]);
        words
    }

    fn program(&self, words: Vec<OsString>) -> Program<'_> {
        let words = match &self.reach {
            Reach::Direct => words,
            Reach::Through(prefix) => prefix.iter().cloned().chain(words).collect(),
        };
        Program { words, environment: &self.environment }
    }

    /// Whether a server may listen, as far as can be told without starting a program: `false` only
    /// where it is certain that none does.
    pub async fn may_listen(&self) -> bool {
        match self.reach {
            Reach::Through(_) => true,
            Reach::Direct => host::may_listen(&self.socket, self.patience.connect).await,
        }
    }

    /// The file that the socket's path leads to now, where it can be seen.
    pub fn socket_file(&self) -> Option<SocketFile> {
        match self.reach {
            Reach::Direct => SocketFile::at(&self.socket),
            Reach::Through(_) => None,
        }
    }

    /// What the target's kernel says about its boot and the start of one process; without the
    /// parts that cannot be read there.
    pub async fn host_facts(&self, pid: u32) -> HostFacts {
        let paths = HostFacts::paths(pid);
        match &self.reach {
            Reach::Direct => {
                HostFacts::read(paths.each_ref().map(|path| host::read_small(Path::new(path))))
            }
            Reach::Through(_) => {
                let mut texts = [const { None }; 2];
                for (text, path) in texts.iter_mut().zip(&paths) {
                    *text = self.cat(path).await;
                }
                HostFacts::read(texts)
            }
        }
    }

    async fn cat(&self, path: &str) -> Option<Vec<u8>> {
        let words = vec![OsString::from("cat"), OsString::from(path)];
        let finished = process::run(&self.program(words), self.patience.command).await.ok()?;
        finished.success().then_some(finished.stdout)
    }

    /// The present state of one process; needs `files`.
    pub fn process_stat(&self, pid: u32) -> Option<ProcessStat> {
        if self.capabilities.files { host::process_stat(pid) } else { None }
    }

    /// The children of a process; needs `files`.
    pub fn children(&self, pid: u32) -> Vec<u32> {
        if self.capabilities.files { host::children(pid) } else { Vec::new() }
    }

    /// What a process runs; needs `files`.
    pub fn program_of(&self, pid: u32) -> Option<ProgramFacts> {
        if self.capabilities.files { host::program(pid) } else { None }
    }

    /// Where a path leads to, links followed; needs `files`.
    pub fn real_path(&self, path: &str) -> Option<String> {
        if self.capabilities.files { host::real_path(path) } else { None }
    }

    /// The beginning of a file; needs `files`.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        if self.capabilities.files { host::read(path) } else { None }
    }

    /// The files whose paths fit a pattern, the last written first; needs `files`.
    pub fn matching(&self, pattern: &str) -> Vec<String> {
        if self.capabilities.files { files::matching(pattern) } else { Vec::new() }
    }

    /// The paths fitting a pattern that a process has open; needs `files`.
    pub fn open_paths_like(&self, pid: u32, pattern: &str) -> Vec<String> {
        let open = if self.capabilities.files { files::open_paths(pid) } else { Vec::new() };
        open.into_iter().filter(|path| files::path_fits(path, pattern)).collect()
    }

    /// A part of a file that belongs to `user`; needs `files`.
    pub fn read_part(&self, path: &str, user: u32, part: Part) -> Result<Content, Refused> {
        if self.capabilities.files {
            files::read(path, user, part)
        } else {
            Err(std::io::Error::from(std::io::ErrorKind::Unsupported).into())
        }
    }

    /// The nearest folder above a path that is there, but none above `root`; needs `files`.
    pub fn nearest_folder(&self, path: &str, root: &str) -> Option<PathBuf> {
        self.capabilities.files.then(|| files::nearest_folder(path, root)).flatten()
    }

    /// What a variable is set to in a process's environment; needs `files`.
    pub fn variable(&self, pid: u32, name: &str) -> Option<String> {
        self.capabilities.files.then(|| files::variable(pid, name)).flatten()
    }

    /// The user of a process; needs `files`.
    pub fn user_of(&self, pid: u32) -> Option<u32> {
        self.capabilities.files.then(|| files::user(pid)).flatten()
    }

    /// Whether a process is one that we started ourselves and that still runs; needs `files`.
    pub fn is_ours(&self, pid: u32) -> bool {
        self.process_stat(pid).is_some_and(|stat| stat.parent == std::process::id())
    }

    /// How often one process has run so far; needs `files`.
    pub fn server_runs(&self, pid: u32) -> Option<ServerRuns> {
        if self.capabilities.files { host::server_runs(pid) } else { None }
    }

    /// A descriptor that becomes readable when the process ends; needs `pidfd`.
    pub fn pidfd(&self, pid: u32) -> std::io::Result<OwnedFd> {
        let pid = self.capabilities.pidfd.then(|| raw_pid(pid)).flatten();
        let pid = pid.ok_or(std::io::ErrorKind::Unsupported)?;
        Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
    }

    /// Makes a tmux server look again for children that ended; needs `signals`.
    pub fn nudge(&self, server: u32) -> std::io::Result<()> {
        let pid = self.capabilities.signals.then(|| raw_pid(server)).flatten();
        let pid = pid.ok_or(std::io::ErrorKind::Unsupported)?;
        Ok(rustix::process::kill_process(pid, Signal::CHILD)?)
    }
}

fn raw_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_reads_is_repeated_as_often_and_after_the_pauses_that_are_set() {
        let patience = Patience::of(&Config::default().observer);
        let pauses: Vec<u128> = patience.repetitions().map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [250, 1_000]);
        let never = Patience { retries: 0, ..patience };
        assert_eq!(never.repetitions().count(), 0);
    }

    #[test]
    fn behind_a_prefix_only_starting_programs_is_left() {
        let target = Target::local("", &Config::default().observer, Environment::default());
        assert_eq!(target.capabilities(), Capabilities::DIRECT);
        let far = target.through(&["env"]);
        assert_eq!(far.capabilities(), Capabilities::STARTING_ONLY);
        assert!(far.process_stat(std::process::id()).is_none());
        assert!(far.pidfd(std::process::id()).is_err());
        assert!(far.nudge(std::process::id()).is_err());
    }
}
