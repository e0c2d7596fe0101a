//! Processes of a test: starting, signalling, and finding those that were left behind.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
pub use rustix::process::Signal;
use rustix::process::{Pid, PidfdFlags, kill_process, pidfd_open, test_kill_process};

use crate::wait::BOUND;

/// A command with nothing of the caller's environment.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    #[expect(clippy::disallowed_methods, reason = "tests start the program as a user would")]
    let mut command = Command::new(program);
    command.env_clear();
    command
}

/// Sends `signal`; a process that is already gone is no error.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = raw(pid) {
        kill_process(pid, signal).ok();
    }
}

/// A process of anybody's whose end the kernel tells of.
#[derive(Debug)]
pub struct Life(OwnedFd);

impl Life {
    pub fn of(pid: u32) -> io::Result<Self> {
        let pid = raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self(pidfd_open(pid, PidfdFlags::empty())?))
    }

    /// Waits until it has ended; fails when that takes longer than [`BOUND`].
    pub fn end(&self) -> io::Result<()> {
        let seconds = i64::try_from(BOUND.as_secs()).unwrap_or(i64::MAX);
        let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let ended = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&limit))? > 0;
        if ended { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
    }
}

/// The children of a process.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    listed.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Whether the process exists and is not a zombie that nobody has reaped yet.
pub fn alive(pid: u32) -> bool {
    let exists = raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok());
    exists && state(pid) != Some('Z')
}

/// The state letter of a process, where the machine tells it.
pub fn state(pid: u32) -> Option<char> {
    field(pid, 0)?.chars().next()
}

/// What tells this process from another one that gets its number later: number and start.
pub(crate) fn identity(pid: u32) -> Option<String> {
    Some(format!("{pid} {}", field(pid, 19)?))
}

/// One field of `/proc/PID/stat`, counted behind the name. That may hold blanks and parentheses,
/// so it is cut at the last one.
fn field(pid: u32, place: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(place).map(str::to_owned)
}

/// A process that belongs to a test's world.
#[derive(Clone, Debug)]
pub struct Member {
    pub pid: u32,
    pub exe: PathBuf,
    pub arguments: Vec<String>,
}

/// Every process that has a path below `root` in its environment or its arguments. A world's root
/// is unique and stands in the environment of all it starts, so this finds daemons and tmux servers
/// that detached themselves, and what runs in their panes.
pub fn members(root: &Path) -> Vec<Member> {
    let mark = root.as_os_str().as_bytes();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .filter_map(|pid| member(pid, mark))
        .collect()
}

fn member(pid: u32, mark: &[u8]) -> Option<Member> {
    let mentions = |bytes: &[u8]| bytes.windows(mark.len()).any(|part| part == mark);
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    if !mentions(&environment) && !mentions(&arguments) {
        return None;
    }
    let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let arguments = arguments
        .split(|byte| *byte == 0)
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect();
    Some(Member { pid, exe, arguments })
}

fn raw(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}
