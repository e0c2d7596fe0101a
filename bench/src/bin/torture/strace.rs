//! Faults at system calls, by `strace`: a process is killed at its N-th call of a kind, or that
//! call fails.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use anyhow::Context;
use testkit::TestEnv;

/// What happens at the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Kill,
    /// This call fails.
    Once(&'static str),
    /// This call and all that follow fail.
    From(&'static str),
}

/// What calls fail with.
const ERRORS: [&str; 4] = ["EIO", "ENOSPC", "EMFILE", "EAGAIN"];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("kill"),
            Self::Once(error) => f.write_str(error),
            Self::From(error) => write!(f, "{error}+"),
        }
    }
}

impl FromStr for Fault {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let all = ERRORS.into_iter().flat_map(|error| [Self::Once(error), Self::From(error)]);
        let mut all = std::iter::once(Self::Kill).chain(all);
        all.find(|fault| fault.to_string() == text).with_context(|| format!("no fault `{text}`"))
    }
}

/// Which files the call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Files {
    /// Whatever there is.
    Any,
    /// The database and its log.
    Database,
    /// These, and what lies beside them.
    Store,
}

impl Files {
    pub(crate) const ALL: [Self; 3] = [Self::Any, Self::Database, Self::Store];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Database => "database",
            Self::Store => "store",
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Any => &[],
            Self::Database => &["qd.db", "qd.db-wal"],
            Self::Store => &["qd.db", "qd.db-wal", "qd.db-shm", "qd.anchor", "qd.reserve"],
        }
    }
}

/// One fault: at which call, and at which of them. Each thread counts for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Injection {
    pub(crate) call: String,
    pub(crate) number: usize,
    pub(crate) fault: Fault,
    pub(crate) files: Files,
}

impl Injection {
    fn word(&self) -> String {
        let Self { call, number, fault, .. } = self;
        match fault {
            Fault::Kill => format!("{call}:signal=KILL:when={number}"),
            Fault::Once(error) => format!("{call}:error={error}:when={number}"),
            Fault::From(error) => format!("{call}:error={error}:when={number}+"),
        }
    }
}

/// What strace wrote down.
#[derive(Clone, Debug)]
pub(crate) struct Trace(PathBuf);

impl Trace {
    pub(crate) fn new(env: &TestEnv) -> Self {
        Self(env.path("strace.log"))
    }

    /// `strace` around a daemon, about to be run. Without an injection it only counts.
    pub(crate) fn daemon(
        &self,
        env: &TestEnv,
        calls: &str,
        injection: Option<&Injection>,
    ) -> Command {
        let mut command = self.command(env, calls, injection);
        command.arg("-f").arg("--seccomp-bpf").arg("--").arg(env.qd_program());
        command.args(["daemon", "run"]);
        command
    }

    /// `strace` on one thread of a process that runs.
    pub(crate) fn thread(
        &self,
        env: &TestEnv,
        calls: &str,
        injection: Option<&Injection>,
        thread: u32,
    ) -> Command {
        let mut command = self.command(env, calls, injection);
        command.arg("-p").arg(thread.to_string());
        command
    }

    fn command(&self, env: &TestEnv, calls: &str, injection: Option<&Injection>) -> Command {
        fs::remove_file(&self.0).ok();
        let mut command = env.command(env.path("bin/strace"));
        command.args(["-qq", "-e", "signal=none", "-o"]).arg(&self.0);
        command.arg("-e").arg(format!("trace={calls}"));
        if let Some(injection) = injection {
            command.arg("-e").arg(format!("inject={}", injection.word()));
            for file in injection.files.names() {
                command.arg("-P").arg(env.home().join(file));
            }
        }
        command
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.0).unwrap_or_default()).into_owned()
    }

    /// Whether the fault came.
    pub(crate) fn hit(&self, injection: &Injection) -> bool {
        match injection.fault {
            Fault::Kill => {
                let made = self.counts().get(&injection.call).copied();
                made.is_some_and(|made| made >= injection.number)
            }
            Fault::Once(_) | Fault::From(_) => self.text().contains("(INJECTED)"),
        }
    }

    /// The most calls of each kind that one thread made.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut by_thread: BTreeMap<(String, String), usize> = BTreeMap::new();
        for line in self.text().lines() {
            // Attached to one thread, strace leaves the number out.
            let (thread, rest) = match line.split_once(' ') {
                Some((first, rest)) if first.bytes().all(|it| it.is_ascii_digit()) => (first, rest),
                Some(_) | None => ("", line),
            };
            let name = rest.trim_start().split('(').next().unwrap_or_default();
            if !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_') {
                *by_thread.entry((thread.to_owned(), name.to_owned())).or_default() += 1;
            }
        }
        let mut most = BTreeMap::new();
        for ((_, name), count) in by_thread {
            let known = most.entry(name).or_default();
            *known = count.max(*known);
        }
        most
    }
}

/// The thread of a process that has this name.
pub(crate) fn thread_named(pid: u32, name: &str) -> Option<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    threads.flatten().find_map(|thread| {
        let comm = fs::read_to_string(thread.path().join("comm")).ok()?;
        (comm.trim() == name).then(|| thread.file_name().to_str()?.parse().ok())?
    })
}

/// Whether a process is being traced by now.
pub(crate) fn is_traced(thread: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.is_some_and(|pid| pid.trim() != "0")
}

/// Whether processes can be traced here; says why not.
pub(crate) fn refused(env: &TestEnv) -> Option<String> {
    let program = env.path("bin/strace");
    if !Path::new(&program).exists() {
        return Some("strace is not installed".to_owned());
    }
    let mut command = env.command(program);
    command.args(["-qq", "-o"]).arg(env.path("probe.log")).arg(env.path("bin/true"));
    match command.output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}
