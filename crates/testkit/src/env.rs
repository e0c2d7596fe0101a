//! A private world per test.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::http::Http;
use crate::orphans;
use crate::output::{Invocation, Output};
use crate::process::{self, Member, Signal};
use crate::tmux::Tmux;
use crate::wait;

/// A Unix socket's path must fit into `sockaddr_un`, which holds 104 bytes on the smallest system.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// All that a world has on its path, so that one of them can be taken away.
const PROGRAMS: &[&str] = &[
    "bash", "cat", "date", "dd", "env", "false", "head", "id", "kill", "ls", "mkdir", "mkfifo",
    "printf", "ps", "readlink", "seq", "sh", "sleep", "sqlite3", "ssh", "strace", "stty", "tail",
    "tmux", "touch", "tr", "true", "yes",
];

/// How long what was killed may take to be gone.
const GONE: Duration = Duration::from_secs(5);

/// A world of its own: home, configuration, sockets, tmux servers, and nothing of the caller's
/// environment. Dropping it ends everything that was started in it, and fails the test when
/// something outlives what should have ended it.
pub struct TestEnv {
    root: TempDir,
    qd: PathBuf,
    variables: Vec<(&'static str, OsString)>,
    /// Sockets of further tmux servers.
    sockets: Mutex<Vec<PathBuf>>,
}

impl TestEnv {
    /// `qd` is what cargo built for the calling test (`env!("CARGO_BIN_EXE_qd")`); the variable
    /// `QD_BIN` puts another binary in its place, such as the one that ships.
    pub fn new(qd: &str) -> Self {
        Self::of(std::env::var_os("QD_BIN").map_or_else(|| PathBuf::from(qd), PathBuf::from))
    }

    /// A world with this very binary, whatever `QD_BIN` says.
    pub fn of(qd: PathBuf) -> Self {
        orphans::sweep();
        let private = fs::Permissions::from_mode(0o700);
        let mut builder = tempfile::Builder::new();
        let root = builder.prefix(orphans::PREFIX).permissions(private).tempdir_in(orphans::FOLDER);
        let root = root.expect("a temporary directory can be made");
        orphans::sign(root.path());
        for name in ["home", "run", "tmux", "bin"] {
            let made = fs::DirBuilder::new().mode(0o700).create(root.path().join(name));
            made.expect("a new directory takes new entries");
        }
        let variables = variables(root.path());
        let env = Self { root, qd, variables, sockets: Mutex::default() };
        for program in PROGRAMS {
            env.install(program);
        }
        let longest = env.socket().as_os_str().len();
        assert!(longest < SOCKET_PATH_BYTES_MAX, "{} is too long", env.socket().display());
        env
    }

    /// The root of everything here; unique to this test.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// A path below the root.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root().join(below)
    }

    /// `QD_HOME`. Nobody has made it yet when a test begins.
    pub fn home(&self) -> PathBuf {
        self.path("qd")
    }

    pub fn socket(&self) -> PathBuf {
        self.home().join("qd.sock")
    }

    pub fn database(&self) -> PathBuf {
        self.home().join("qd.db")
    }

    pub fn lock(&self) -> PathBuf {
        self.home().join("qd.lock")
    }

    pub fn qd_program(&self) -> &Path {
        &self.qd
    }

    /// The tmux that everything in this world finds on its path.
    pub fn tmux_program(&self) -> PathBuf {
        self.path("bin/tmux")
    }

    /// Takes a program off the path of this world.
    pub fn uninstall(&self, program: &str) {
        fs::remove_file(self.path("bin").join(program)).expect("it was installed");
    }

    /// Puts a program of the machine on the path of this world, where the machine has it.
    pub fn install(&self, program: &str) {
        if let Some(found) = find(program) {
            let link = self.path("bin").join(program);
            std::os::unix::fs::symlink(found, link).expect("it was not installed");
        }
    }

    /// Puts a program of the machine on the path of this world, whether or not it was there.
    pub fn reinstall(&self, program: &str) {
        fs::remove_file(self.path("bin").join(program)).ok();
        self.install(program);
    }

    /// Puts a shell script on the path of this world, in the place of a program.
    pub fn script(&self, program: &str, text: &str) {
        let path = self.path("bin").join(program);
        // Written through the link of an installed program, the program itself would be replaced.
        fs::remove_file(&path).ok();
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("it is ours");
    }

    /// Makes `QD_HOME`, as a daemon would.
    pub fn make_home(&self) {
        let made = fs::DirBuilder::new().mode(0o700).recursive(true).create(self.home());
        made.expect("a folder can be made");
    }

    /// Writes the user's configuration file.
    pub fn configure(&self, toml: &str) {
        self.make_home();
        fs::write(self.home().join("config.toml"), toml).expect("a file can be written");
    }

    /// Asks the database by SQLite's own shell, which also proves that it can be read meanwhile.
    #[track_caller]
    pub fn sqlite(&self, query: &str) -> String {
        let mut command = self.command(self.path("bin/sqlite3"));
        command.arg("-readonly").arg(self.database()).arg(query);
        Invocation::new(command).run().success()
    }

    /// A program in this world.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = process::command(program.as_ref());
        command.envs(self.variables.iter().map(|(key, value)| (key, value)));
        command.current_dir(self.path("home"));
        command
    }

    /// `qd` with these arguments, about to be run.
    pub fn invoke(&self, arguments: &[&str]) -> Invocation {
        self.invoke_program(&self.qd, arguments)
    }

    /// Runs any program of this world to its end.
    #[track_caller]
    pub fn run_program(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Output {
        self.invoke_program(program, arguments).run()
    }

    /// Any program of this world with these arguments, about to be run.
    pub fn invoke_program(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Invocation {
        let mut command = self.command(program);
        command.args(arguments);
        Invocation::new(command)
    }

    /// Runs `qd` to its end.
    #[track_caller]
    pub fn qd(&self, arguments: &[&str]) -> Output {
        self.invoke(arguments).run()
    }

    /// The API, whether or not anybody answers there yet.
    pub fn api(&self) -> Http {
        Http::new(self.socket())
    }

    /// Starts a daemon in the foreground and waits until it answers.
    #[track_caller]
    pub fn daemon(&self) -> Daemon {
        match self.try_daemon() {
            Ok(daemon) => daemon,
            Err(said) => panic!("the daemon did not start:\n{said}"),
        }
    }

    /// Starts a daemon; gives what it said when it ends instead of answering.
    pub fn try_daemon(&self) -> Result<Daemon, String> {
        let mut command = self.command(&self.qd);
        command.args(["daemon", "run"]);
        self.daemon_by(command)
    }

    /// Starts a daemon by a command of the test's own that stays in the foreground.
    pub fn daemon_by(&self, mut command: Command) -> Result<Daemon, String> {
        let (mut log, output) = tempfile::NamedTempFile::new_in(self.root())
            .and_then(|file| file.reopen().map(|again| (file, again)))
            .expect("a file can be made");
        command.stdin(Stdio::null()).stderr(output.try_clone().expect("a descriptor is left"));
        command.stdout(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut daemon = Daemon::new(child, self.api());
        daemon.ready().map(|()| daemon).map_err(|status| {
            let mut said = String::new();
            log.read_to_string(&mut said).ok();
            format!("{status}\n{said}")
        })
    }

    /// The tmux server that is the user's default one in this world. Not started yet.
    pub fn tmux(&self) -> Tmux<'_> {
        Tmux::new(self, None)
    }

    /// Runs a statement that changes the database behind the daemon's back.
    #[track_caller]
    pub fn sqlite_write(&self, statement: &str) -> Output {
        let mut command = self.command(self.path("bin/sqlite3"));
        command.arg(self.database()).arg(statement);
        Invocation::new(command).run()
    }

    /// Ends everything in this world now, for what has to happen before it is dropped.
    #[track_caller]
    pub fn end_everything(&self) {
        let left = self.clear();
        assert!(left.is_empty() || std::thread::panicking(), "left behind: {left:#?}");
    }

    /// The socket of the default tmux server, where there is one.
    pub fn tmux_socket(&self) -> Option<PathBuf> {
        Some(self.tmux_folder().join("default")).filter(|path| path.exists())
    }

    /// A further tmux server, on a socket of this name below the root.
    pub fn tmux_at(&self, name: &str) -> Tmux<'_> {
        let socket = self.path(name);
        let mut sockets = self.sockets.lock().expect("no test panics here");
        if !sockets.contains(&socket) {
            sockets.push(socket.clone());
        }
        Tmux::new(self, Some(socket))
    }

    /// Every process that belongs to this world.
    pub fn members(&self) -> Vec<Member> {
        process::members(self.root())
    }

    /// The processes that are `qd` itself.
    pub fn daemons(&self) -> Vec<Member> {
        let exe = fs::canonicalize(&self.qd).unwrap_or_else(|_| self.qd.clone());
        let mut members = self.members();
        members.retain(|member| member.exe == exe);
        members
    }

    /// Ends everything in its order, and gives what should have ended by itself and did not.
    fn clear(&self) -> Vec<Member> {
        for daemon in self.daemons() {
            process::signal(daemon.pid, Signal::KILL);
        }
        for socket in self.tmux_sockets() {
            self.kill_server(&socket);
        }
        let gone = wait::within(GONE, || self.members().is_empty().then_some(()));
        let left = if gone.is_some() { Vec::new() } else { self.members() };
        for member in &left {
            process::signal(member.pid, Signal::KILL);
        }
        left
    }

    fn kill_server(&self, socket: &Path) {
        let mut command = self.command(find("tmux").expect("tmux made this socket"));
        command.arg("-S").arg(socket).arg("kill-server");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if let Ok(mut child) = command.spawn() {
            // A server that is paused or wedged never answers; it is killed with the rest.
            wait::within(GONE, || child.try_wait().ok().flatten());
            child.kill().ok();
            child.wait().ok();
        }
    }

    fn tmux_folder(&self) -> PathBuf {
        self.path(&format!("tmux/tmux-{}", rustix::process::getuid().as_raw()))
    }

    fn tmux_sockets(&self) -> Vec<PathBuf> {
        let folder = self.tmux_folder();
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let is_socket = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_socket());
        let mut sockets: Vec<_> = entries.filter(is_socket).map(|entry| entry.path()).collect();
        let further = self.sockets.lock().expect("no test panics here");
        sockets.extend(further.iter().filter(|path| path.exists()).cloned());
        sockets
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        let left = self.clear();
        // A test that failed already has more to say than this.
        if !left.is_empty() && !std::thread::panicking() {
            panic!("left behind by this test: {left:#?}");
        }
    }
}

fn variables(root: &Path) -> Vec<(&'static str, OsString)> {
    let below = |name: &str| root.join(name).into_os_string();
    vec![
        ("HOME", below("home")),
        ("QD_HOME", below("qd")),
        ("XDG_RUNTIME_DIR", below("run")),
        ("XDG_CONFIG_HOME", below("home/.config")),
        ("XDG_STATE_HOME", below("home/.local/state")),
        ("XDG_DATA_HOME", below("home/.local/share")),
        ("XDG_CACHE_HOME", below("home/.cache")),
        ("TMUX_TMPDIR", below("tmux")),
        ("PATH", below("bin")),
        ("SHELL", below("bin/sh")),
        ("LANG", "C.UTF-8".into()),
        ("TERM", "screen".into()),
    ]
}

/// A program of the machine, with `QD_TEST_TMUX` in the place of its tmux.
fn find(program: &str) -> Option<PathBuf> {
    if program == "tmux"
        && let Some(chosen) = std::env::var_os("QD_TEST_TMUX")
    {
        return Some(PathBuf::from(chosen));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tmux_server_sees_nothing_of_the_caller_and_is_gone_with_its_world() {
        let env = TestEnv::new("/nonexistent/qd");
        let tmux = env.tmux();
        let pane = tmux.session("one", "env; exec cat");
        let screen = tmux.shows(&pane, "QD_HOME=");
        assert!(!screen.contains("CARGO"), "{screen}");
        let further = env.tmux_at("further.sock");
        further.session("two", "exec cat");
        assert_eq!(tmux.sessions(), ["one"]);
        assert_eq!(further.sessions(), ["two"]);
        let servers = [tmux.pid(), further.pid()];
        drop(env);
        assert!(servers.iter().all(|pid| !process::alive(*pid)));
    }

    #[test]
    fn what_outlives_a_test_fails_it_and_is_killed() {
        let env = TestEnv::new("/nonexistent/qd");
        let mut command = env.command(env.path("bin/sleep"));
        let mut sleeper = command.arg("1000").spawn().unwrap();
        // A process that has only begun does not show yet whose it is.
        let is_known = || env.members().iter().any(|it| it.pid == sleeper.id()).then_some(());
        wait::until("it is known as ours", is_known);
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(env)));
        assert!(dropped.is_err());
        assert!(!process::alive(sleeper.id()));
        sleeper.wait().unwrap();
    }
}
