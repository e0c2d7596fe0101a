//! What this machine's kernel says about processes and sockets.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use agents::program::Program;
use agents::record::{Ancestor, CHAIN_MAX};
use rustix::fs::{Mode, OFlags};

/// The largest text that is read from `/proc`.
const TEXT_BYTES_MAX: usize = 4_096;
/// The links of a process's folder of threads where there is one thread: those of any folder, and
/// one for each thread.
const LINKS_OF_ONE_THREAD: u64 = 3;

/// The facts of one process that tell whether it is still the same, and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessStat {
    pub state: u8,
    pub parent: u32,
    pub group: u32,
    /// The process group in the foreground of its terminal.
    pub foreground: Option<u32>,
    /// Clock ticks since the boot of the machine.
    pub start_ticks: u64,
    /// The bottom of its stack: another one with each program it runs. Absent where we may not see
    /// it, and for a process that has ended.
    pub exec_mark: Option<u64>,
}

impl ProcessStat {
    /// Somebody stopped it, and something else is in the foreground of its terminal.
    pub fn is_suspended(&self) -> bool {
        self.state == b'T' && self.foreground.is_some_and(|group| group != self.group)
    }

    /// A process that is stopped, or traced, or waits for a device does not answer.
    pub fn sleeps(&self) -> bool {
        self.state == b'S' || self.state == b'I'
    }

    /// Reads `/proc/PID/stat`. The name in it may hold anything, so fields are counted from its
    /// last parenthesis.
    pub(super) fn parse(stat: &[u8]) -> Option<Self> {
        let end = stat.iter().rposition(|&byte| byte == b')')?;
        let text = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
        let mut fields = text.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let foreground: i64 = fields.nth(2)?.parse().ok()?;
        let start_ticks = fields.nth(13)?.parse().ok()?;
        let stack: u64 = fields.nth(5)?.parse().ok()?;
        Some(Self {
            state,
            parent,
            group,
            foreground: u32::try_from(foreground).ok().filter(|&pid| pid > 0),
            start_ticks,
            exec_mark: Some(stack).filter(|&stack| stack > 1),
        })
    }
}

/// How much a process has run. Two equal readings mean that it did nothing in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerRuns {
    ran_ns: u64,
    slices: u64,
}

impl ServerRuns {
    /// How often it got a processor since.
    pub fn turns_since(&self, before: Self) -> u64 {
        self.slices.saturating_sub(before.slices)
    }

    pub(crate) fn parse(schedstat: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(schedstat).ok()?;
        let mut fields = text.split_ascii_whitespace().map(str::parse);
        let (ran_ns, _waited_ns, slices) =
            (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
        // A kernel that does not count says zero for every process.
        (slices > 0).then_some(Self { ran_ns, slices })
    }
}

/// What identifies a host's boot and one process on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    pub boot: Option<String>,
    /// Clock ticks between the boot of the host and the start of the process.
    pub start_ticks: Option<u64>,
}

impl HostFacts {
    /// The files that tell.
    pub(super) fn paths(pid: u32) -> [String; 2] {
        ["/proc/sys/kernel/random/boot_id".to_owned(), format!("/proc/{pid}/stat")]
    }

    /// Reads their contents.
    pub(super) fn read([boot, stat]: [Option<Vec<u8>>; 2]) -> Self {
        let boot = boot.and_then(|text| String::from_utf8(text).ok());
        let boot = boot.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let stat = stat.and_then(|text| ProcessStat::parse(&text));
        Self { boot, start_ticks: stat.map(|stat| stat.start_ticks) }
    }
}

pub(super) fn process_stat(pid: u32) -> Option<ProcessStat> {
    let mut buffer = [0; TEXT_BYTES_MAX];
    ProcessStat::parse(read_into(&format!("/proc/{pid}/stat"), &mut buffer)?)
}

pub(super) fn written_s(path: &str) -> Option<i64> {
    std::fs::metadata(path).ok().map(|found| found.mtime())
}

/// What a process holds the far end of: the number of each terminal, and the descriptor. Nothing of
/// these descriptors, which are known.
pub(super) fn masters(pid: u32, known: &BTreeSet<u32>) -> Vec<(u32, u32)> {
    let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return Vec::new() };
    let fds = open.filter_map(|it| it.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let unknown = fds.filter(|fd| !known.contains(fd));
    unknown.filter_map(|fd| Some((master(pid, fd)?, fd))).collect()
}

/// The number of the terminal whose far end this descriptor is.
pub(super) fn master(pid: u32, fd: u32) -> Option<u32> {
    let mut buffer = [0; TEXT_BYTES_MAX];
    let told = read_into(&format!("/proc/{pid}/fdinfo/{fd}"), &mut buffer)?;
    let mut lines = std::str::from_utf8(told).ok()?.lines();
    lines.find_map(|line| line.strip_prefix("tty-index:")?.trim().parse().ok())
}

pub(super) fn server_runs(pid: u32) -> Option<ServerRuns> {
    let mut buffer = [0; TEXT_BYTES_MAX];
    ServerRuns::parse(read_into(&format!("/proc/{pid}/schedstat"), &mut buffer)?)
}

pub(super) fn read_small(path: &Path) -> Option<Vec<u8>> {
    let mut buffer = [0; TEXT_BYTES_MAX];
    read_into(path.to_str()?, &mut buffer).map(<[u8]>::to_vec)
}

/// What a process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramFacts {
    pub name: String,
    /// Empty where we may not see it.
    pub path: String,
    pub arguments: Vec<String>,
}

impl ProgramFacts {
    pub fn program(&self) -> Program<'_> {
        Program { name: &self.name, path: &self.path, arguments: &self.arguments }
    }
}

/// The children of a process, whichever of its threads started them, in that order.
pub(super) fn children(pid: u32) -> Vec<u32> {
    let mut buffer = [0; TEXT_BYTES_MAX];
    let mut children = Vec::new();
    for thread in threads(pid) {
        let text = read_into(&format!("/proc/{pid}/task/{thread}/children"), &mut buffer);
        let text = text.and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
        children.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    children
}

/// The threads of a process, in their order. Most have one, and the links of their folder say so
/// for a fraction of what it costs to list it.
fn threads(pid: u32) -> Vec<u32> {
    let folder = format!("/proc/{pid}/task");
    if std::fs::metadata(&folder).is_ok_and(|it| it.nlink() == LINKS_OF_ONE_THREAD) {
        return vec![pid];
    }
    let threads = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let mut threads: Vec<u32> = threads.filter_map(number).collect();
    threads.sort_unstable();
    threads
}

/// The program of a process; nothing for one that has ended.
pub fn program(pid: u32) -> Option<ProgramFacts> {
    program_where(pid, |_| true)
}

/// The program of a process that was given this argument. Of any other, only the arguments are
/// read.
pub fn program_told(pid: u32, argument: &str) -> Option<ProgramFacts> {
    program_where(pid, |arguments| arguments.iter().any(|it| it == argument))
}

/// What a process was called with, its own name first.
pub fn arguments(pid: u32) -> Option<Vec<String>> {
    let mut buffer = [0; TEXT_BYTES_MAX];
    let arguments = read_into(&format!("/proc/{pid}/cmdline"), &mut buffer)?;
    let arguments = arguments.strip_suffix(&[0]).unwrap_or(arguments);
    Some(arguments.split(|byte| *byte == 0).map(lossy).collect())
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn program_where(pid: u32, fits: impl FnOnce(&[String]) -> bool) -> Option<ProgramFacts> {
    let arguments = arguments(pid)?;
    if !fits(&arguments) {
        return None;
    }
    let mut buffer = [0; TEXT_BYTES_MAX];
    let name = lossy(read_into(&format!("/proc/{pid}/comm"), &mut buffer)?.trim_ascii_end());
    let path = std::fs::read_link(format!("/proc/{pid}/exe"));
    let path = path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    Some(ProgramFacts { name, path, arguments })
}

/// How long a file is that is read whole.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Where a path leads to, links followed.
pub(super) fn real_path(path: &str) -> Option<String> {
    Path::new(path).canonicalize().ok()?.into_os_string().into_string().ok()
}

/// The beginning of a file, up to a bound.
pub(super) fn read(path: &str) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    io::Read::take(file, FILE_BYTES_MAX).read_to_end(&mut content).ok()?;
    Some(content)
}

/// Milliseconds since the boot of this machine.
pub fn uptime_ms() -> Option<i64> {
    let mut buffer = [0; TEXT_BYTES_MAX];
    let text = std::str::from_utf8(read_into("/proc/uptime", &mut buffer)?).ok()?;
    let (seconds, hundredths) = text.split_ascii_whitespace().next()?.split_once('.')?;
    let (seconds, hundredths): (i64, i64) = (seconds.parse().ok()?, hundredths.parse().ok()?);
    Some(seconds * 1_000 + hundredths * 10)
}

/// One open, one read: what `/proc` prints comes whole.
fn read_into<'a>(path: &str, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let length = rustix::io::read(&file, &mut *buffer).ok()?;
    buffer.get(..length)
}

/// A process and those above it, nearest first. Those above one that cannot be seen are unknown.
pub fn lineage(pid: u32) -> Vec<Ancestor> {
    let mut chain = Vec::with_capacity(8);
    let mut next = pid;
    while next > 0 && chain.len() < CHAIN_MAX {
        // The first process of all is above everybody and says nothing about whom.
        let stat = if next == 1 { None } else { process_stat(next) };
        chain.push(Ancestor { pid: next, start: stat.map(|stat| stat.start_ticks) });
        next = stat.map_or(0, |stat| stat.parent);
    }
    chain
}

/// When a process began, in clock ticks since the boot of this machine.
pub fn start_ticks(pid: u32) -> Option<u64> {
    process_stat(pid).map(|stat| stat.start_ticks)
}

/// Whether somebody may listen on a socket: `false` where connecting says that nobody does.
pub(super) async fn may_listen(socket: &Path, limit: Duration) -> bool {
    let connecting = tokio::net::UnixStream::connect(socket);
    match tokio::time::timeout(limit, connecting).await {
        Ok(Ok(_connected)) => true,
        Ok(Err(error)) => {
            !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
        }
        Err(_) => true,
    }
}

/// One socket file, as long as it exists: where it lies, and when it was bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketFile {
    device: u64,
    inode: u64,
    bound: (i64, i64),
}

impl SocketFile {
    pub(crate) fn at(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        let bound = (file.mtime(), file.mtime_nsec());
        Some(Self { device: file.dev(), inode: file.ino(), bound })
    }
}

/// How many clock ticks of `/proc` make a second.
pub fn ticks_per_second() -> u64 {
    procfs::ticks_per_second()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn a_hostile_name_does_not_move_the_fields_of_stat() {
        let stat = b"7 (a) S 1 (b) R 1 7 7 34816 99 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123456 \
            10 20 18446744073709551615 1 2 140737 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n";
        let read = ProcessStat::parse(stat).unwrap();
        assert_eq!((read.state, read.parent, read.group), (b'R', 1, 7));
        assert_eq!(read.foreground, Some(99));
        assert_eq!(read.start_ticks, 123_456);
        assert_eq!(read.exec_mark, Some(140_737));
        assert_eq!(ProcessStat::parse(b"7 (a"), None);
        assert_eq!(ProcessStat::parse(b""), None);
    }

    #[test]
    fn this_process_is_read_the_same_each_time() {
        let me = std::process::id();
        let (first, second) = (process_stat(me).unwrap(), process_stat(me).unwrap());
        assert_eq!(first.start_ticks, second.start_ticks);
        assert!(first.exec_mark.is_some() && first.exec_mark == second.exec_mark);
        assert!(process_stat(u32::MAX).is_none());
    }

    #[test]
    fn the_children_of_all_threads_are_seen() {
        #[expect(clippy::disallowed_methods, reason = "a test needs children to see")]
        let child = || std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        // A test runs in a thread of its own, beside the one that waits for it.
        assert!(threads(std::process::id()).len() > 1);
        let mut mine = child();
        let (told, listens) = std::sync::mpsc::channel();
        let (begin, waits) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            let child = child();
            told.send(child.id()).unwrap();
            // The children of a thread that ended are another's.
            waits.recv().ok();
            child
        });
        let theirs = listens.recv().unwrap();
        assert_eq!(threads(mine.id()), [mine.id()]);
        let seen = children(std::process::id());
        assert!(seen.contains(&mine.id()) && seen.contains(&theirs), "{seen:?}");
        drop(begin);
        for child in [&mut mine, &mut other.join().unwrap()] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_lineage_begins_with_the_process_and_goes_up() {
        let chain = lineage(std::process::id());
        let parent = std::os::unix::process::parent_id();
        let pids: Vec<u32> = chain.iter().map(|it| it.pid).collect();
        assert_eq!(pids[..2], [std::process::id(), parent]);
        assert_eq!(chain[0].start, start_ticks(std::process::id()));
        assert_eq!(lineage(0), []);
    }

    #[test]
    fn a_kernel_that_does_not_count_slices_gives_no_reading() {
        assert_eq!(ServerRuns::parse(b"0 0 0\n"), None);
        assert_eq!(ServerRuns::parse(b"5 1 2\n"), Some(ServerRuns { ran_ns: 5, slices: 2 }));
        assert!(server_runs(std::process::id()).is_some());
    }

    #[tokio::test]
    async fn a_socket_that_nobody_listens_on_is_known_without_starting_a_program() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let second = Duration::from_secs(1);
        assert!(!may_listen(&path, second).await, "there is no file");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(may_listen(&path, second).await);
        drop(listener);
        assert!(!may_listen(&path, second).await, "the socket is stale");
    }

    #[test]
    fn the_far_end_of_a_terminal_is_found_until_it_is_closed() {
        let own = std::process::id();
        let mut open = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR).unwrap();
        let name = rustix::pty::ptsname(&open, Vec::new()).unwrap().into_string().unwrap();
        let number: u32 = name.rsplit('/').next().unwrap().parse().unwrap();
        let fd = open.as_raw_fd().unsigned_abs();
        assert!(masters(own, &BTreeSet::new()).contains(&(number, fd)));
        assert!(!masters(own, &BTreeSet::from([fd])).contains(&(number, fd)));
        assert_eq!(master(own, fd), Some(number));
        rustix::io::dup2(std::fs::File::open("/dev/null").unwrap(), &mut open).unwrap();
        assert_eq!(master(own, fd), None);
        assert_eq!(masters(u32::MAX, &BTreeSet::new()), []);
    }
}
