//! The world a benchmark runs in: private tmux server, private home, the shipping binary.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use testkit::Daemon;
use testkit::Stream;
use testkit::TestEnv;
use testkit::wait;

/// The binary that ships.
#[derive(Clone, Debug)]
pub struct Binary {
    pub path: PathBuf,
    pub version: String,
    pub bytes: u64,
}

impl Binary {
    /// `QD_BIN`, as `./x` sets it.
    pub fn find() -> anyhow::Result<Self> {
        let path =
            std::env::var_os("QD_BIN").context("QD_BIN names no binary; start this by ./x")?;
        Self::at(Path::new(&path))
    }

    /// Another one.
    pub fn at(path: &Path) -> anyhow::Result<Self> {
        let path = path.canonicalize()?;
        let mut command = testkit::process::command(&path);
        let output = command.arg("--version").stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "`qd --version` failed");
        let version = String::from_utf8(output.stdout)?.trim().to_owned();
        let bytes = std::fs::metadata(&path)?.len();
        Ok(Self { path, version, bytes })
    }
}

/// A daemon with some panes to look at.
pub struct World {
    pub daemon: Option<Daemon>,
    pub env: TestEnv,
}

impl World {
    /// A tmux server with `panes` panes, each running `program`, and no daemon yet.
    pub fn without_daemon(qd: &Binary, panes: usize, program: &str) -> Self {
        let world = Self::bare(qd);
        world.add_panes(panes, program, [100, 30]);
        world
    }

    /// Nothing yet.
    pub fn bare(qd: &Binary) -> Self {
        Self { daemon: None, env: TestEnv::of(qd.path.clone()) }
    }

    /// Adds panes of some columns and lines, each running `program`; the first ones are numbered
    /// from zero.
    pub fn add_panes(&self, panes: usize, program: &str, [columns, lines]: [u32; 2]) {
        // Ten windows to a session, as people have them; few calls, so that 500 take no time.
        for first in (0..panes).step_by(10) {
            let mut words = vec!["new-session".to_owned(), "-d".to_owned(), "-s".to_owned()];
            words.extend([
                format!("s{first}"),
                "-x".into(),
                columns.to_string(),
                "-y".into(),
                lines.to_string(),
            ]);
            words.push(program.to_owned());
            for _ in first + 1..(first + 10).min(panes) {
                words.extend([";".to_owned(), "new-window".to_owned(), "-d".to_owned()]);
                words.push(program.to_owned());
            }
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            self.env.tmux().ok(&words);
        }
    }

    /// The same with a daemon that has seen every pane.
    pub fn new(qd: &Binary, panes: usize, program: &str) -> Self {
        let mut world = Self::without_daemon(qd, panes, program);
        world.start();
        world.settle(panes);
        world
    }

    pub fn start(&mut self) {
        self.daemon = Some(self.env.daemon());
    }

    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("the world has a daemon")
    }

    /// Waits until the daemon lists as many panes.
    pub fn settle(&self, panes: usize) {
        wait::until("every pane is listed", || (self.panes().len() == panes).then_some(()));
    }

    pub fn panes(&self) -> Vec<Value> {
        let list = self.env.api().get("/v1/panes?limit=1000").expect(200);
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// A watcher that has read its snapshot.
    pub fn watch(&self) -> Stream {
        let mut stream = self.env.api().stream("/v1/watch?scope=panes", &[]);
        let first = stream.frame();
        assert_eq!(first["type"], "snapshot", "{first}");
        stream
    }

    /// Runs one tmux command that must succeed, and gives what it printed. Unlike the tests' way it
    /// waits for the very end of the command, so that its time can be part of a figure.
    pub fn act(&self, arguments: &[&str]) -> String {
        let mut command = self.env.command(self.env.tmux_program());
        command.args(["-u", "-f", "/dev/null"]).args(arguments).stdin(Stdio::null());
        let output = command.output().expect("tmux can be started");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    pub fn tmux_pid(&self) -> u32 {
        self.env.tmux().pid()
    }
}

/// Reads frames until one holds a change that fits.
pub fn change_where(stream: &mut Stream, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    stream.frame_where(what, |frame| {
        frame["changes"].as_array().is_some_and(|changes| changes.iter().any(&wanted))
    })
}

/// Lets a time pass that is another one for each `nth`, spread evenly over a tenth of a second: what
/// comes next comes at a moment that nothing else chose.
pub fn drift(nth: usize) {
    let ms = u64::try_from(nth * 618 % 1_000 / 10).unwrap_or(0);
    std::thread::sleep(Duration::from_millis(20 + ms));
}

/// Lets the world rest; only ever to measure what rest costs.
pub fn rest(length: Duration) {
    wait::stays("resting", length, || true);
}
