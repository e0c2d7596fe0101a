//! One short life of a daemon whose system calls are traced, and the fault that meets it.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use testkit::{Signal, TestEnv, process, wait};

use crate::clients::{Attempt, Clients};
use crate::homes::tells_of;
use crate::kills;
use crate::strace::{self, Fault, Files, Injection, Trace};

/// The calls that change something outside the process, or on which the daemon's life depends.
pub(crate) const CALLS: &str = "write,writev,pwrite64,fsync,fdatasync,ftruncate,fallocate,rename,unlink,\
    mkdir,openat,close,fchmod,chmod,fchown,flock,fcntl,mmap,munmap,pread64,read,sendto,recvfrom,\
    socket,bind,listen,accept4,connect,epoll_ctl,epoll_wait,clone3,clone,vfork,execve,pidfd_open,\
    inotify_add_watch,eventfd2,pipe2,socketpair,statx,newfstatat,lseek,kill,wait4,waitid,futex";
/// A process that is slowed by being traced may take so long.
const LIFE_MAX: Duration = Duration::from_secs(20);
const EVENTS: usize = 8;

/// A short life that is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Life {
    /// From nothing to a stop in good order.
    New,
    /// The same on what a crash left.
    Again,
    /// The same on a database of the first schema, which is migrated on the way.
    Old,
    /// The thread that decides, from a moment when all is well.
    Deck,
}

impl Life {
    pub(crate) const ALL: [Self; 4] = [Self::New, Self::Again, Self::Old, Self::Deck];

    fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Again => "again",
            Self::Old => "old",
            Self::Deck => "deck",
        }
    }
}

/// One fault in one life; written as `LIFE/CALL/NUMBER/FAULT/FILES`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    pub(crate) life: Life,
    pub(crate) injection: Injection,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Injection { call, number, fault, files } = &self.injection;
        write!(f, "{}/{call}/{number}/{fault}/{}", self.life.word(), files.word())
    }
}

impl FromStr for Point {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let [life, call, number, fault, files] = parts[..] else {
            bail!("`{text}` is not LIFE/CALL/NUMBER/FAULT/FILES");
        };
        let life = Life::ALL.into_iter().find(|it| it.word() == life).context("no such life")?;
        let files =
            Files::ALL.into_iter().find(|it| it.word() == files).context("no such files")?;
        let (call, number, fault) = (call.to_owned(), number.parse()?, fault.parse()?);
        Ok(Self { life, injection: Injection { call, number, fault, files } })
    }
}

/// A daemon whose calls are traced.
pub(crate) struct Victim {
    life: Life,
    pub(crate) trace: Trace,
    strace: Child,
    /// Started outside of strace, which is then attached to one of its threads.
    daemon: Option<testkit::Running>,
    /// What clients were answered, in order.
    attempts: Vec<Attempt>,
    /// What it said of its store at the end of its life, if it could.
    store_mode: Option<String>,
}

impl Victim {
    pub(crate) fn born(
        env: &TestEnv,
        life: Life,
        injection: Option<&Injection>,
    ) -> anyhow::Result<Self> {
        prepare(env, life)?;
        let trace = Trace::new(env);
        let calls = injection.map_or(CALLS, |it| &it.call);
        let mut daemon = None;
        let mut command = match life {
            Life::New | Life::Again | Life::Old => trace.daemon(env, calls, injection),
            Life::Deck => {
                let running = env.invoke(&["daemon", "run"]).start();
                kills::answers(env)?;
                let pid = running.pid();
                let deck = strace::thread_named(pid, "deck").context("no thread named deck")?;
                daemon = Some(running);
                trace.thread(env, calls, injection, deck)
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let strace = command.spawn().context("strace")?;
        if let Some(daemon) = &daemon {
            let deck = strace::thread_named(daemon.pid(), "deck");
            // It may meet its fault before anybody sees that it is traced.
            let pid = daemon.pid();
            let traced =
                || (deck.is_none_or(strace::is_traced) || !process::alive(pid)).then_some(());
            wait::within(LIFE_MAX, traced)
                .with_context(|| format!("{command:?} does not attach"))?;
        }
        Ok(Self { life, trace, strace, daemon, attempts: Vec::new(), store_mode: None })
    }

    /// Plays the life, as far as the daemon lives.
    pub(crate) fn live(&mut self, env: &TestEnv, clients: &Clients) {
        let answering = wait::within(LIFE_MAX, || {
            if self.is_over() {
                return Some(false);
            }
            env.api().try_get("/v1/health").map(|_| true)
        });
        if answering != Some(true) {
            return;
        }
        let tmux = env.tmux();
        for number in 0..EVENTS {
            let key = format!("{:?}-{number}", self.life);
            let attempt = clients.post(&env.api(), "%0", &key, "task-started");
            self.attempts.push(attempt);
            match number {
                2 => drop(tmux.run(&["new-window", "-d", "-n", "more", "exec sleep 100000"])),
                4 => drop(tmux.run(&["rename-window", "-t", "%0", "renamed"])),
                6 => drop(tmux.run(&["kill-window", "-t", ":more"])),
                _ => {}
            }
        }
        let health = env.api().try_get("/v1/health").map(|it| it.json());
        self.store_mode = health.and_then(|it| Some(it["store_mode"].as_str()?.to_owned()));
        for daemon in env.daemons() {
            process::signal(daemon.pid, Signal::TERM);
        }
    }

    fn is_over(&mut self) -> bool {
        let traced = matches!(self.strace.try_wait(), Ok(Some(_)));
        match &mut self.daemon {
            Some(daemon) => daemon.ended(),
            None => traced,
        }
    }

    /// However it was hurt, it ends.
    pub(crate) fn ended(&mut self) -> anyhow::Result<()> {
        let over = wait::within(LIFE_MAX, || self.is_over().then_some(()));
        ensure!(over.is_some(), "it neither ends nor lives");
        // A tracer of a thread that is gone ends by itself.
        wait::within(LIFE_MAX, || self.strace.try_wait().ok().flatten());
        Ok(())
    }

    /// After the disk failed, nothing more is acknowledged that is entrusted to it.
    pub(crate) fn told_the_truth(&self, injection: &Injection, hit: bool) -> anyhow::Result<()> {
        let sync = injection.call.contains("sync") && injection.fault != Fault::Kill;
        if !(hit && sync) {
            return Ok(());
        }
        let refused = |it: &Attempt| matches!(it, Attempt::Refused(..));
        let Some(first) = self.attempts.iter().position(refused) else { return Ok(()) };
        for attempt in &self.attempts[first..] {
            match attempt {
                Attempt::Refused(_, code) => ensure!(
                    matches!(
                        code.as_str(),
                        "E_OUTCOME_UNKNOWN" | "E_STORE_READ_ONLY" | "E_SHUTTING_DOWN"
                    ),
                    "after a failed sync a client was told {code}"
                ),
                Attempt::Acknowledged(it) => {
                    anyhow::bail!("after a failed sync {} was acknowledged", it.key)
                }
                Attempt::Broken => {}
            }
        }
        let mode = self.store_mode.as_deref();
        ensure!(matches!(mode, None | Some("read_only")), "after a failed sync it is {mode:?}");
        Ok(())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.strace.kill().ok();
        self.strace.wait().ok();
    }
}

/// Where the database of the first schema is kept, and how it calls itself.
const FROZEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/store/tests/frozen");
const FROZEN_ID: &str = "db-0001";
const FROZEN_HEAD: u64 = 17;

/// The home that a life begins with.
fn prepare(env: &TestEnv, life: Life) -> anyhow::Result<()> {
    fs::remove_dir_all(env.home()).ok();
    match life {
        Life::New | Life::Deck => {}
        Life::Again => {
            let daemon = env.daemon();
            let clients = Clients::default();
            for number in 0..EVENTS {
                let _taken = clients.post(&env.api(), "%0", &format!("first-{number}"), "note");
            }
            daemon.kill9();
        }
        Life::Old => {
            env.make_home();
            for (frozen, name) in [("v1.db", "qd.db"), ("v1.anchor", "qd.anchor")] {
                let frozen = Path::new(FROZEN).join(frozen);
                let to = env.home().join(name);
                fs::copy(&frozen, to).with_context(|| frozen.display().to_string())?;
            }
        }
    }
    Ok(())
}

/// Whether what was there before the life is still there after it.
pub(crate) fn went_on(env: &TestEnv, life: Life) -> anyhow::Result<()> {
    match life {
        Life::New | Life::Again | Life::Deck => {}
        Life::Old => {
            let health = env.api().get("/v1/health").expect(200);
            let head = health["journal"]["sequence"].as_u64().unwrap_or(0);
            let same = tells_of(&health, FROZEN_ID) && head >= FROZEN_HEAD;
            ensure!(same, "the old database was not taken over: {health:#}");
        }
    }
    Ok(())
}
