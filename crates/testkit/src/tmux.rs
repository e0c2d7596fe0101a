//! A private tmux server of a test.

use std::path::PathBuf;
use std::process::Command;

use crate::env::TestEnv;
use crate::output::Output;
use crate::process::{self, Signal};
use crate::wait;

/// One tmux server of a test's world: its default one, or one on a socket of its own.
pub struct Tmux<'a> {
    env: &'a TestEnv,
    socket: Option<PathBuf>,
}

impl<'a> Tmux<'a> {
    pub(crate) fn new(env: &'a TestEnv, socket: Option<PathBuf>) -> Self {
        Self { env, socket }
    }

    /// Runs one tmux command, never with a configuration file of the machine.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Output {
        crate::Invocation::new(self.command(arguments)).run()
    }

    /// The same, before it is started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.env.command(self.env.tmux_program());
        command.args(["-u", "-f", "/dev/null"]);
        if let Some(socket) = &self.socket {
            command.arg("-S").arg(socket);
        }
        command.args(arguments);
        command
    }

    /// Runs one tmux command that must succeed, and gives what it printed without the last newline.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).success().trim_end_matches('\n').to_owned()
    }

    /// A new detached session whose pane runs `program` with a shell; gives the pane's id.
    #[track_caller]
    pub fn session(&self, name: &str, program: &str) -> String {
        let size = ["-x", "80", "-y", "24"];
        let mut arguments = vec!["new-session", "-d", "-P", "-F", "#{pane_id}", "-s", name];
        arguments.extend(size);
        arguments.push(program);
        self.ok(&arguments)
    }

    /// A new window of a session; gives the pane's id.
    #[track_caller]
    pub fn window(&self, session: &str, name: &str, program: &str) -> String {
        let target = format!("{session}:");
        self.ok(&["new-window", "-d", "-P", "-F", "#{pane_id}", "-t", &target, "-n", name, program])
    }

    /// A new pane beside another; gives its id.
    #[track_caller]
    pub fn split(&self, pane: &str, program: &str) -> String {
        self.ok(&["split-window", "-d", "-P", "-F", "#{pane_id}", "-t", pane, program])
    }

    /// A format, as it reads for a target.
    #[track_caller]
    pub fn show(&self, target: &str, format: &str) -> String {
        let shown = self.ok(&["display-message", "-p", "-t", target, format]);
        // tmux 3.4 alone prints one backslash more before each such dollar than there is.
        if shown.contains("\\$") && self.version() == "3.4" {
            return shown.replace("\\$", "$");
        }
        shown
    }

    /// What the server says it is, such as `3.3a`.
    #[track_caller]
    pub fn version(&self) -> String {
        self.ok(&["display-message", "-p", "#{version}"])
    }

    /// The text now visible in a pane.
    #[track_caller]
    pub fn screen(&self, pane: &str) -> String {
        self.ok(&["capture-pane", "-p", "-t", pane])
    }

    /// Waits until a pane shows `text`, and gives the whole screen.
    #[track_caller]
    pub fn shows(&self, pane: &str, text: &str) -> String {
        let mut last = String::new();
        let shown = wait::within(wait::BOUND, || {
            last = self.screen(pane);
            last.contains(text).then_some(())
        });
        assert!(shown.is_some(), "the pane never showed {text:?}, but\n{last}");
        last
    }

    /// Types into a pane, literally, and presses Enter.
    #[track_caller]
    pub fn type_line(&self, pane: &str, line: &str) {
        self.ok(&["send-keys", "-t", pane, "-l", "--", line]);
        self.ok(&["send-keys", "-t", pane, "Enter"]);
    }

    /// The pid of the server.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.ok(&["display-message", "-p", "#{pid}"]).parse().expect("tmux knows its own pid")
    }

    /// Names of all sessions, the hidden ones too; none when no server runs.
    pub fn sessions(&self) -> Vec<String> {
        let listed = self.run(&["list-sessions", "-F", "#{session_name}"]);
        if listed.code() == Some(0) {
            listed.stdout.lines().map(str::to_owned).collect()
        } else {
            Vec::new()
        }
    }

    /// Kills the server as a crash would, and waits until it is gone.
    #[track_caller]
    pub fn kill9(&self) {
        let pid = self.pid();
        process::signal(pid, Signal::KILL);
        wait::until("the tmux server is gone", || (!process::alive(pid)).then_some(()));
    }
}
