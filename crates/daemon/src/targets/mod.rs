//! Targets: everything of a machine that we reach goes through one [`Target`].
//!
//! A target says what it can do ([`Capabilities`]); whoever uses it never asks what kind it is. The
//! local kind reaches processes, files and signals directly. Somewhere else only what a started
//! program can do is left. docs/design/targets.md tells how that is done.

pub mod failure;
pub mod files;
mod files_there;
mod folder;
pub mod host;
pub(crate) mod keys;
mod knock;
pub mod local;
pub(crate) mod masters;
mod pace;
pub mod process;
pub mod tcp;

pub mod far;
mod far_clock;
pub mod frames;
pub mod obstacle;
pub mod program;
pub mod quote;
pub mod route;
mod ssh;
mod table;
pub mod tether;
pub mod there;
pub(crate) mod turns;
mod usher;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::ids::{PaneId, TargetId};
use engine::input::LastOutput;
use engine::time::WallMs;
use rustix::process::{Pid, PidfdFlags, Signal};
use tmux::arg::OwnName;
use tmux::command::Batch;
use tmux::hub::{CONTROL_FLAGS, FORKED_FLAGS, Hub};
use tmux::version::Version;

use crate::config::{Config, ObserverConfig};
use failure::TmuxFailure;
use far::{Far, Signalled};
use files::{Content, Part, Pieces, Refused};
use host::{HostFacts, ProcessStat, ProgramFacts, ServerRuns, SocketFile};
use keys::Keys;
use masters::Masters;
use obstacle::Obstacle;
use process::{ControlProcess, Ending, Environment, Program};
use route::Route;
use tether::{Stirred, Talk};
use turns::Turns;
use usher::Usher;

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
    /// Programs there can read files that we write.
    pub shared: bool,
    /// The files that agents write can be found and read, by whoever may wait for it.
    pub agents_files: bool,
}

impl Capabilities {
    /// What this machine's kernel offers for itself.
    #[cfg(target_os = "linux")]
    pub const DIRECT: Self = Self {
        events: true,
        pidfd: true,
        files: true,
        signals: true,
        leash: true,
        shared: true,
        agents_files: true,
    };
    #[cfg(not(target_os = "linux"))]
    pub const DIRECT: Self = Self {
        events: false,
        pidfd: false,
        files: false,
        signals: true,
        leash: false,
        shared: true,
        agents_files: false,
    };

    /// What is left when all we can do is to start a program and speak with it.
    pub const STARTING_ONLY: Self = Self {
        events: false,
        pidfd: false,
        files: false,
        signals: false,
        leash: false,
        shared: false,
        agents_files: true,
    };
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

/// What all targets somewhere else have in common. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    turns: Arc<Turns>,
    keys: Arc<Keys>,
}

impl Shared {
    /// With the agent for keys that these programs are given.
    pub fn of(environment: &Environment) -> Self {
        Self { turns: Arc::default(), keys: Arc::new(Keys::of(environment)) }
    }

    /// The agents that hold the user's keys.
    pub(crate) fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }
}

/// How programs of a target are started.
#[derive(Debug)]
enum Reach {
    /// Here, for the server on this socket.
    Direct {
        socket: PathBuf,
        /// A folder that only we can read and write.
        folder: PathBuf,
    },
    Far(Arc<Far>),
}

/// One place with a tmux server.
#[derive(Debug)]
pub struct Target {
    reach: Reach,
    capabilities: Capabilities,
    tmux: OsString,
    environment: Environment,
    patience: Patience,
}

impl Target {
    /// A server of this machine, by what a user calls its socket. `folder` is one that only we can
    /// read and write.
    pub fn local(
        name_or_path: &str,
        config: &ObserverConfig,
        environment: Environment,
        folder: &Path,
    ) -> Self {
        let tmpdir = local::tmux_tmpdir(environment.variables());
        let socket = local::socket(name_or_path, tmpdir);
        Self {
            reach: Reach::Direct { socket, folder: folder.to_owned() },
            capabilities: Capabilities::DIRECT,
            tmux: OsString::from(&config.tmux),
            environment,
            patience: Patience::of(config),
        }
    }

    /// A server somewhere else. `folder` is one that only we can read and write, `hub` the session
    /// that ends with the connection.
    pub fn far(
        route: Route,
        config: &ObserverConfig,
        environment: Environment,
        (folder, hub): (&Path, &Hub),
        shared: &Shared,
    ) -> std::io::Result<Self> {
        let patience = Patience::of(config);
        let tmux = OsString::from(route.tmux());
        let place = (folder, hub.name());
        let far = Far::new(route, environment.clone(), patience.connect, place, shared)?;
        let (reach, capabilities) = (Reach::Far(Arc::new(far)), Capabilities::STARTING_ONLY);
        Ok(Self { reach, capabilities, tmux, environment, patience })
    }

    /// With the place where a person may hold a connection to it.
    #[must_use]
    pub(crate) fn with_held(mut self, held: Option<PathBuf>) -> Self {
        // Nobody else has it yet.
        if let Reach::Far(far) = &mut self.reach
            && let Some(far) = Arc::get_mut(far)
        {
            far.hold_at(held);
        }
        self
    }

    /// A machine somewhere else for somebody who changes files there and watches nothing. `routes` is
    /// the daemon's folder of connections, in which a person may hold one to this target.
    pub fn for_files(
        route: Route,
        environment: Environment,
        folder: &Path,
        (routes, target): (&Path, &str),
    ) -> std::io::Result<Self> {
        let (patience, tmux) =
            (Patience::of(&Config::default().observer), OsString::from(route.tmux()));
        // Nothing is called so: no session is made, and none taken away.
        let (place, shared) = ((folder, ""), &Shared::of(&environment));
        let mut far = Far::new(route, environment.clone(), patience.connect, place, shared)?;
        far.hold_at(Masters::of(routes).socket(&TargetId::new(target)));
        let (reach, capabilities) = (Reach::Far(Arc::new(far)), Capabilities::STARTING_ONLY);
        Ok(Self { reach, capabilities, tmux, environment, patience })
    }

    /// Runs a script there, with these arguments and this input; gives what it printed.
    async fn script(
        &self,
        script: &str,
        words: &[&OsStr],
        input: Option<&[u8]>,
    ) -> Result<Vec<u8>, TmuxFailure> {
        let far = self.there()?;
        let finished = far.run_script(script, words, input, self.patience.command).await?;
        failure::output(OsStr::new("sh"), finished)
    }

    fn far_end(&self) -> Option<&Far> {
        match &self.reach {
            Reach::Direct { .. } => None,
            Reach::Far(far) => Some(far),
        }
    }

    fn there(&self) -> Result<&Far, TmuxFailure> {
        let unsupported = || std::io::Error::from(std::io::ErrorKind::Unsupported);
        Ok(self.far_end().ok_or_else(unsupported)?)
    }

    /// Makes the connection that everything else goes through, where there has to be one, and says
    /// whether it was made now.
    pub async fn connect(&self) -> Result<bool, Obstacle> {
        match self.far_end() {
            None => Ok(false),
            Some(far) => far.connect().await,
        }
    }

    /// Has the next connection made without waiting for others: somebody asks for it.
    pub fn hurry(&self) {
        if let Some(far) = self.far_end() {
            far.hurry();
        }
    }

    /// Waits for the end of that connection, if there is one.
    pub async fn cut(&self) -> Obstacle {
        match self.far_end() {
            None => std::future::pending().await,
            Some(far) => far.cut().await,
        }
    }

    /// Waits for an agent with keys that the last attempt to connect did not know; for ever where
    /// keys open nothing.
    pub async fn new_keys(&self) {
        match self.far_end() {
            None => std::future::pending().await,
            Some(far) => far.new_keys().await,
        }
    }

    /// Waits until a host that took no connection takes one again; for ever where that cannot be told.
    pub async fn answered(&self) {
        match self.far_end() {
            None => std::future::pending().await,
            Some(far) => far.answered().await,
        }
    }

    /// The talk with the shell at the other end of the next connection that is made. Only one can
    /// have it; for ever nobody where there is no other end.
    pub async fn talk(&self) -> Talk {
        match self.far_end() {
            None => std::future::pending().await,
            Some(far) => far.talk().await,
        }
    }

    /// Everything there was looked at since the connection was made.
    pub fn looked(&self) {
        if let Some(far) = self.far_end() {
            far.looked();
        }
    }

    /// Ends that connection.
    pub fn disconnect(&self) {
        if let Some(far) = self.far_end() {
            far.disconnect();
        }
    }

    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    pub fn patience(&self) -> &Patience {
        &self.patience
    }

    /// The socket of a server on this machine.
    pub fn socket(&self) -> Option<&Path> {
        match &self.reach {
            Reach::Direct { socket, .. } => Some(socket),
            Reach::Far(_) => None,
        }
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
        let finished = self.run(words, limit).await?;
        failure::output(&self.tmux, finished)
    }

    /// What brings a text into a buffer there, said before what needs it over control mode; nothing
    /// where it has to be brought there before ([`Self::load`]).
    pub fn load_line(&self, buffer: &OwnName, text: &[u8]) -> Option<Vec<u8>> {
        self.far_end().and_then(|_| far::load_line(buffer, text))
    }

    /// Brings a text into a buffer there: all of it or nothing.
    pub async fn load(&self, buffer: &OwnName, text: &[u8]) -> Result<(), TmuxFailure> {
        let loaded = self.there()?.load(&self.tmux, buffer, text, self.patience.command).await?;
        failure::output(&self.tmux, loaded).map(drop)
    }

    async fn run(
        &self,
        words: Vec<OsString>,
        limit: Duration,
    ) -> Result<process::Finished, TmuxFailure> {
        match &self.reach {
            Reach::Direct { .. } => process::run(&self.program(words), limit).await,
            Reach::Far(far) => far.run(&words, limit).await,
        }
    }

    /// Which tmux is installed there.
    pub async fn tmux_version(&self) -> Result<Version, TmuxFailure> {
        let words = vec![self.tmux.clone(), OsString::from("-V")];
        let finished = self.run(words, self.patience.command).await?;
        let output = failure::output(&self.tmux, finished)?;
        String::from_utf8_lossy(&output).parse().map_err(TmuxFailure::NoVersion)
    }

    /// Starts the `tmux` that stays, in the session of this hub.
    pub fn control(&self, hub: &Hub) -> Result<ControlProcess, TmuxFailure> {
        let attach = hub.attach().argv()?.into_iter().map(OsString::from_vec);
        match &self.reach {
            Reach::Direct { socket, folder } => {
                let usher = Usher::open(folder, socket.clone())?;
                let mut words = self.tmux_at(&CONTROL_FLAGS, &usher.door());
                words.extend(attach);
                process::start_control(&self.program(words), Some(usher))
                    .map_err(|error| failure::not_started(&self.tmux, error))
            }
            Reach::Far(far) => {
                let mut words = self.tmux_words(&CONTROL_FLAGS);
                words.extend(attach);
                far.stay(&self.tmux, &words)
            }
        }
    }

    fn tmux_words(&self, flags: &[&str]) -> Vec<OsString> {
        match &self.reach {
            Reach::Direct { socket, .. } => self.tmux_at(flags, socket),
            Reach::Far(far) => {
                let mut words = self.tmux_with(flags);
                words.extend(far.route.socket_words().map(OsString::from));
                words
            }
        }
    }

    fn tmux_at(&self, flags: &[&str], socket: &Path) -> Vec<OsString> {
        let mut words = self.tmux_with(flags);
        words.extend([OsString::from("-S"), socket.as_os_str().to_owned()]);
        words
    }

    fn tmux_with(&self, flags: &[&str]) -> Vec<OsString> {
        std::iter::once(self.tmux.clone()).chain(flags.iter().map(OsString::from)).collect()
    }

    fn program(&self, words: Vec<OsString>) -> Program<'_> {
        Program { words, environment: &self.environment, ending: Ending::Kill }
    }

    /// Whether a server may listen, as far as can be told without starting a program: `false` only
    /// where it is certain that none does.
    pub async fn may_listen(&self) -> bool {
        match &self.reach {
            Reach::Far(_) => true,
            Reach::Direct { socket, .. } => host::may_listen(socket, self.patience.connect).await,
        }
    }

    /// The file that the socket's path leads to now, where it can be seen.
    pub fn socket_file(&self) -> Option<SocketFile> {
        self.socket().and_then(SocketFile::at)
    }

    /// What the target's kernel says about its boot and the start of one process; without the
    /// parts that cannot be read there.
    pub async fn host_facts(&self, pid: u32) -> HostFacts {
        let paths = HostFacts::paths(pid);
        match &self.reach {
            Reach::Direct { .. } => {
                HostFacts::read(paths.each_ref().map(|path| host::read_small(Path::new(path))))
            }
            Reach::Far(_) => {
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
        let finished = self.run(words, self.patience.command).await.ok()?;
        finished.success().then_some(finished.stdout)
    }

    /// Looks at the processes of a machine where they cannot be looked at one by one, and at what
    /// those at and below these run.
    pub async fn survey(&self, roots: &BTreeSet<u32>) -> Result<(), TmuxFailure> {
        match self.far_end() {
            None => Ok(()),
            Some(far) => far.survey(roots, self.patience.command).await,
        }
    }

    /// The state of one process: the present one, or that of the last survey.
    pub fn process_stat(&self, pid: u32) -> Option<ProcessStat> {
        match self.far_end() {
            None => self.capabilities.files.then(|| host::process_stat(pid)).flatten(),
            Some(far) => far.stat(pid),
        }
    }

    /// When a terminal was last written to, in the kernel's seconds; needs `files`.
    pub fn written_s(&self, tty: &str) -> Option<i64> {
        if self.capabilities.files { host::written_s(tty) } else { None }
    }

    /// What a process holds the far end of: the number of each terminal, and the descriptor. Nothing
    /// of these descriptors, which are known. Needs `files`.
    pub fn masters(&self, pid: u32, known: &BTreeSet<u32>) -> Vec<(u32, u32)> {
        if self.capabilities.files { host::masters(pid, known) } else { Vec::new() }
    }

    /// The number of the terminal whose far end this descriptor of a process is; needs `files`.
    pub fn master(&self, pid: u32, fd: u32) -> Option<u32> {
        if self.capabilities.files { host::master(pid, fd) } else { None }
    }

    /// How far the clock there is behind ours.
    pub fn clock_behind_ms(&self) -> i64 {
        self.far_end().map_or(0, Far::clock_behind_ms)
    }

    /// When a pane last printed, which the clock there told, by ours; nothing where that cannot be
    /// said.
    pub fn by_our_clock(&self, output: &LastOutput, now: WallMs) -> Option<LastOutput> {
        match self.far_end() {
            None => Some(*output),
            Some(far) => far.by_our_clock(output, now),
        }
    }

    /// The children of a process, as of the same time.
    pub fn children(&self, pid: u32) -> Vec<u32> {
        match self.far_end() {
            None if self.capabilities.files => host::children(pid),
            None => Vec::new(),
            Some(far) => far.children(pid),
        }
    }

    /// What a process runs, as of the same time.
    pub fn program_of(&self, pid: u32) -> Option<ProgramFacts> {
        match self.far_end() {
            None => self.capabilities.files.then(|| host::program(pid)).flatten(),
            Some(far) => far.program_of(pid),
        }
    }

    /// Sends a signal to a process of a target somewhere else, if it is still the one that began at
    /// this tick after the boot there.
    pub async fn signal_there(
        &self,
        pid: u32,
        began: u64,
        signal: &str,
    ) -> Result<Signalled, TmuxFailure> {
        self.there()?.signal(pid, began, signal, self.patience.command).await
    }

    /// Where a path leads to, links followed; needs `files`.
    pub fn real_path(&self, path: &str) -> Option<String> {
        if self.capabilities.files { host::real_path(path) } else { None }
    }

    /// The beginning of a file; needs `files`.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        if self.capabilities.files { host::read(path) } else { None }
    }

    /// The files whose paths fit a pattern, the last written first. This and what follows may take
    /// long, and somewhere else it must not be asked for by a task, which cannot wait.
    pub fn matching(&self, pattern: &str) -> Vec<String> {
        match self.far_end() {
            None if self.capabilities.files => files::matching(pattern),
            None => Vec::new(),
            Some(far) => far.files().matching(pattern),
        }
    }

    /// The paths fitting a pattern that a process has open.
    pub fn open_paths_like(&self, pid: u32, pattern: &str) -> Vec<String> {
        let mut open = match self.far_end() {
            None if self.capabilities.files => files::open_paths(pid),
            None => Vec::new(),
            Some(far) => far.files().open_paths(pid, pattern),
        };
        open.retain(|path| files::path_fits(path, pattern));
        open
    }

    /// A part of a file that belongs to `user`.
    pub fn read_part(&self, path: &str, user: u32, part: Part) -> Result<Content, Refused> {
        match self.far_end() {
            None if self.capabilities.files => files::read(path, user, part),
            None => Err(std::io::Error::from(std::io::ErrorKind::Unsupported).into()),
            Some(far) => far.files().read(path, user, part),
        }
    }

    /// How much of a growing file is read at once, and how often one after the other.
    pub fn pieces(&self) -> Pieces {
        self.far_end().map_or(Pieces::NEAR, |_| Pieces::FAR)
    }

    /// The nearest folder above a path that is there, but none above `root`.
    pub fn nearest_folder(&self, path: &str, root: &str) -> Option<PathBuf> {
        match self.far_end() {
            None => self.capabilities.files.then(|| files::nearest_folder(path, root)).flatten(),
            Some(far) => far.files().nearest_folder(path, root),
        }
    }

    /// What a variable is set to in a process's environment.
    pub fn variable(&self, pid: u32, name: &str) -> Option<String> {
        match self.far_end() {
            None => self.capabilities.files.then(|| files::variable(pid, name)).flatten(),
            Some(far) => far.files().origin(pid, far.life(pid)?, name)?.value,
        }
    }

    /// The user of a process.
    pub fn user_of(&self, pid: u32) -> Option<u32> {
        match self.far_end() {
            None => self.capabilities.files.then(|| files::user(pid)).flatten(),
            Some(far) => Some(far.files().origin(pid, far.life(pid)?, "HOME")?.user),
        }
    }

    /// Has these files and folders watched by the shell that stays there, and no others.
    pub fn watch_there(&self, paths: BTreeSet<String>) {
        if let Reach::Far(far) = &self.reach {
            far.watch(paths);
        }
    }

    /// A hook said that the agent in this pane asks for something; of interest where nothing tells at
    /// once what it paints.
    pub fn asks(&self, pane: PaneId) {
        if let Some(far) = self.far_end() {
            far.asks(pane);
        }
    }

    /// Waits until one of them changed; for ever where there is no such shell. Nothing is lost when
    /// the wait is given up.
    pub async fn stirs(&self) -> Vec<Stirred> {
        match self.far_end() {
            None => std::future::pending().await,
            Some(far) => far.stirs().await,
        }
    }

    /// Whether a process is one that we started ourselves and that still runs; needs `files`.
    pub fn is_ours(&self, pid: u32) -> bool {
        self.capabilities.files
            && self.process_stat(pid).is_some_and(|stat| stat.parent == std::process::id())
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

    #[test]
    fn what_reads_is_repeated_as_often_and_after_the_pauses_that_are_set() {
        let patience = Patience::of(&Config::default().observer);
        let pauses: Vec<u128> = patience.repetitions().map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [250, 1_000]);
        let never = Patience { retries: 0, ..patience };
        assert_eq!(never.repetitions().count(), 0);
    }

    #[test]
    fn somewhere_else_only_starting_programs_is_left() {
        let config = Config::default().observer;
        let near = Target::local("", &config, Environment::default(), Path::new("/"));
        assert_eq!(near.capabilities(), Capabilities::DIRECT);
        let way = route::Way::Command { words: vec!["env".to_owned()], attach: None };
        let route = Route { way, tmux: None, socket: None };
        let (folder, hub) = (Path::new("/"), Hub::new("a1").unwrap());
        let (bare, shared) = (Environment::default(), Shared::default());
        let far = Target::far(route, &config, bare, (folder, &hub), &shared).unwrap();
        assert_eq!(far.capabilities(), Capabilities::STARTING_ONLY);
        assert!(far.process_stat(std::process::id()).is_none());
        assert!(far.pidfd(std::process::id()).is_err());
        assert!(far.nudge(std::process::id()).is_err());
        assert!(far.socket().is_none() && far.socket_file().is_none());
    }
}
