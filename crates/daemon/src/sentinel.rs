//! One thread that waits for the kernel: processes that end, devices and files that are written.
//!
//! The thread owns nothing but the waiting. Whoever wants to be told holds a [`Lookout`], which has
//! an inotify instance of its own, and keeps the descriptors of the processes it watches; so a
//! watch ends when its owner drops it. What comes back are [`Hint`]s: they say where to look, never
//! what is there. Hints may be merged, and when there are too many, [`Hint::Lost`] stands for all.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc as posts;

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::sync::mpsc;

use crate::descriptors;

/// Bundles of hints that wait for one lookout. Beyond it they become one [`Hint::Lost`].
const BUNDLES_MAX: usize = 256;
/// Registrations that wait for the thread. A registrant waits while it is full.
const POSTS_MAX: usize = 64;
/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 256;
/// Room for inotify events read at once: a name has at most 255 bytes.
const INOTIFY_BYTES_MAX: usize = 16 * 1024;
/// How long the kernel may take to tell of a byte written to a terminal before we believe that it
/// never will.
const PROBE_MS_MAX: i64 = 100;

/// What happens to a folder's entries, and that it is moved itself.
const ENTRIES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// The event of the thread's own waker, and of a lookout's inotify instance below its slot.
const WAKER: u64 = u64::MAX;
const INOTIFY_KEY: u32 = u32::MAX;

/// Where something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A watched process ended.
    Ended(ProcessKey),
    /// A watched device or file was written to, or in a watched folder the file of this name.
    Written(WatchId, OsString),
    /// What has this name now was created in a watched folder, or moved into it.
    Came(WatchId, OsString),
    /// What had this name left a watched folder.
    Left(WatchId, OsString),
    /// A watch is over: what it watched is gone, or elsewhere.
    Unwatched(WatchId),
    /// Hints were lost: anything may have happened.
    Lost,
}

/// One inotify watch of one lookout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(i32);

#[cfg(test)]
impl WatchId {
    /// A watch that only a test knows of.
    pub(crate) fn of_tests(number: i32) -> Self {
        Self(number)
    }
}

/// One watched process of one lookout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessKey(u32);

/// A process that is being watched, until this is dropped.
#[derive(Debug)]
pub struct ProcessWatch {
    key: ProcessKey,
    pidfd: OwnedFd,
    shared: Arc<Shared>,
}

impl ProcessWatch {
    pub fn key(&self) -> ProcessKey {
        self.key
    }
}

impl Drop for ProcessWatch {
    fn drop(&mut self) {
        // Before the descriptor is closed: a forked child may hold a copy of it for a moment.
        epoll::delete(&self.shared.epoll, &self.pidfd).ok();
    }
}

/// A handle on the thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sentinel {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    epoll: OwnedFd,
    waker: OwnedFd,
    posts: posts::SyncSender<Post>,
    slots: AtomicU32,
    terminals: bool,
}

#[derive(Debug)]
enum Post {
    Register { slot: u32, reader: Reader },
    Forget { slot: u32 },
}

/// One lookout as the thread knows it.
#[derive(Debug)]
struct Reader {
    inotify: Arc<OwnedFd>,
    bundles: mpsc::Sender<Vec<Hint>>,
    lost: Arc<AtomicBool>,
}

impl Sentinel {
    /// Starts the thread. It runs as long as the process does.
    pub fn start() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waker = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &waker, epoll::EventData::new_u64(WAKER), epoll::EventFlags::IN)?;
        let (sender, receiver) = posts::sync_channel(POSTS_MAX);
        let probe = probe_terminals()
            .inspect_err(|error| tracing::debug!(%error, "terminals could not be probed"));
        let terminals = probe.as_ref().is_ok_and(|probe| probe.told);
        let slots = AtomicU32::new(0);
        let shared = Arc::new(Shared { epoll, waker, posts: sender, slots, terminals });
        let thread =
            Thread { shared: Arc::clone(&shared), posts: receiver, readers: BTreeMap::new() };
        let work = move || {
            // The kernel takes its time to close an inotify instance that watched anything: some
            // milliseconds that a start has no need to wait for.
            drop(probe);
            thread.run();
        };
        std::thread::Builder::new().name("sentinel".to_owned()).spawn(work)?;
        Ok(Self { shared })
    }

    /// Whether the kernel tells of output on terminals. Where it does not, they have to be asked.
    pub fn sees_terminals(&self) -> bool {
        self.shared.terminals
    }

    /// A place to be told of what one has watched.
    pub fn lookout(&self) -> io::Result<Lookout> {
        let inotify = Arc::new(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?);
        let slot = self.shared.slots.fetch_add(1, Ordering::Relaxed);
        let (bundles, hints) = mpsc::channel(BUNDLES_MAX);
        let lost = Arc::new(AtomicBool::new(false));
        let reader = Reader { inotify: Arc::clone(&inotify), bundles, lost: Arc::clone(&lost) };
        self.shared.post(Post::Register { slot, reader });
        Ok(Lookout { shared: Arc::clone(&self.shared), slot, inotify, hints, lost, keys: 0 })
    }
}

impl Shared {
    fn post(&self, post: Post) {
        // The thread never ends, so somebody takes it.
        self.posts.send(post).ok();
        rustix::io::write(&self.waker, &1_u64.to_ne_bytes()).ok();
    }
}

/// What one observer watches, and its hints.
#[derive(Debug)]
pub struct Lookout {
    shared: Arc<Shared>,
    slot: u32,
    inotify: Arc<OwnedFd>,
    hints: mpsc::Receiver<Vec<Hint>>,
    lost: Arc<AtomicBool>,
    keys: u32,
}

impl Lookout {
    /// Waits for hints. Nothing is lost when the wait is given up.
    pub async fn hints(&mut self) -> Vec<Hint> {
        let mut hints = match self.hints.recv().await {
            Some(hints) => hints,
            None => std::future::pending().await,
        };
        while let Ok(more) = self.hints.try_recv() {
            hints.extend(more);
        }
        if self.lost.swap(false, Ordering::AcqRel) {
            hints.push(Hint::Lost);
        }
        hints
    }

    /// Tells of the end of a process, once. Refused when the last descriptors would go for it.
    pub fn process(&mut self, pidfd: OwnedFd) -> io::Result<ProcessWatch> {
        if descriptors::is_reserved(&pidfd) {
            return Err(Errno::MFILE.into());
        }
        let key = ProcessKey(self.keys);
        // The last number is the inotify instance's.
        self.keys = if self.keys == INOTIFY_KEY - 1 { 0 } else { self.keys + 1 };
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        epoll::add(&self.shared.epoll, &pidfd, event_data(self.slot, key.0), flags)?;
        Ok(ProcessWatch { key, pidfd, shared: Arc::clone(&self.shared) })
    }

    /// Tells of the next output on a terminal, once; then it has to be asked again.
    pub fn next_output(&self, terminal: &Path) -> io::Result<WatchId> {
        self.watch(terminal, WatchFlags::MODIFY | WatchFlags::ONESHOT)
    }

    /// Tells of everything that comes into or leaves a folder, until [`Lookout::forget`].
    pub fn folder(&self, folder: &Path) -> io::Result<WatchId> {
        self.watch(folder, ENTRIES)
    }

    /// The same, and of everything that is written to the files in it.
    pub fn contents(&self, folder: &Path) -> io::Result<WatchId> {
        self.watch(folder, ENTRIES | WatchFlags::MODIFY)
    }

    /// Gives up a watch that may be gone already.
    pub fn forget(&self, watch: WatchId) {
        inotify::remove_watch(&self.inotify, watch.0).ok();
    }

    fn watch(&self, path: &Path, flags: WatchFlags) -> io::Result<WatchId> {
        Ok(WatchId(inotify::add_watch(&self.inotify, path, flags)?))
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.shared.post(Post::Forget { slot: self.slot });
    }
}

fn event_data(slot: u32, key: u32) -> epoll::EventData {
    epoll::EventData::new_u64(u64::from(slot) << 32 | u64::from(key))
}

/// The thread's own side.
struct Thread {
    shared: Arc<Shared>,
    posts: posts::Receiver<Post>,
    readers: BTreeMap<u32, Reader>,
}

impl Thread {
    fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut bundles: BTreeMap<u32, Vec<Hint>> = BTreeMap::new();
        loop {
            events.clear();
            match epoll::wait(&self.shared.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    // Only a bug can lead here. Without the pause it would also cost a core.
                    tracing::error!(%error, "waiting for the kernel failed");
                    std::thread::sleep(std::time::Duration::from_secs(1));
                }
            }
            self.take_posts();
            for event in &events {
                self.take_event(*event, &mut bundles);
            }
            for (slot, hints) in std::mem::take(&mut bundles) {
                if let Some(reader) = self.readers.get(&slot) {
                    reader.hand_over(hints);
                }
            }
        }
    }

    /// Registrations come before the events of what was registered.
    fn take_posts(&mut self) {
        while let Ok(post) = self.posts.try_recv() {
            match post {
                Post::Register { slot, reader } => {
                    let data = event_data(slot, INOTIFY_KEY);
                    let flags = epoll::EventFlags::IN;
                    if let Err(error) =
                        epoll::add(&self.shared.epoll, &*reader.inotify, data, flags)
                    {
                        tracing::warn!(%error, "a lookout is blind");
                    }
                    self.readers.insert(slot, reader);
                }
                Post::Forget { slot } => {
                    if let Some(reader) = self.readers.remove(&slot) {
                        epoll::delete(&self.shared.epoll, &*reader.inotify).ok();
                    }
                }
            }
        }
    }

    fn take_event(&self, event: epoll::Event, bundles: &mut BTreeMap<u32, Vec<Hint>>) {
        let data = event.data.u64();
        if data == WAKER {
            rustix::io::read(&self.shared.waker, &mut [0; 8]).ok();
            return;
        }
        let (slot, key) = (
            u32::try_from(data >> 32).unwrap_or(u32::MAX),
            u32::try_from(data & u64::from(u32::MAX)).unwrap_or(u32::MAX),
        );
        let Some(reader) = self.readers.get(&slot) else { return };
        let hints = bundles.entry(slot).or_default();
        if key == INOTIFY_KEY {
            read_inotify(&reader.inotify, hints);
        } else {
            hints.push(Hint::Ended(ProcessKey(key)));
        }
    }
}

impl Reader {
    fn hand_over(&self, hints: Vec<Hint>) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.bundles.try_send(hints) {
            self.lost.store(true, Ordering::Release);
        }
    }
}

/// Reads an inotify instance to its end.
fn read_inotify(inotify: &OwnedFd, hints: &mut Vec<Hint>) {
    let mut buffer = [MaybeUninit::uninit(); INOTIFY_BYTES_MAX];
    let mut events = inotify::Reader::new(inotify, &mut buffer);
    loop {
        let hint = match events.next() {
            // The kernel follows a folder to where it was moved; nobody wants to know of it there.
            Ok(event) if event.events().contains(ReadFlags::MOVE_SELF) => {
                inotify::remove_watch(inotify, event.wd()).ok();
                continue;
            }
            Ok(event) => read_event(&event),
            Err(Errno::INTR) => continue,
            // Nothing more, or nothing ever again.
            Err(_) => return,
        };
        if hints.last() != Some(&hint) {
            hints.push(hint);
        }
    }
}

fn read_event(event: &inotify::Event<'_>) -> Hint {
    let (watch, happened) = (WatchId(event.wd()), event.events());
    let name = || {
        let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_owned());
        name.unwrap_or_default()
    };
    if happened.contains(ReadFlags::QUEUE_OVERFLOW) {
        Hint::Lost
    } else if happened.contains(ReadFlags::IGNORED) {
        Hint::Unwatched(watch)
    } else if happened.contains(ReadFlags::MODIFY) {
        Hint::Written(watch, name())
    } else if happened.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
        Hint::Left(watch, name())
    } else {
        Hint::Came(watch, name())
    }
}

/// What became of the question whether the kernel tells of output on terminals.
#[derive(Debug)]
struct Probe {
    told: bool,
    /// What was listened with.
    _inotify: OwnedFd,
}

/// Writes a byte to a terminal of our own and sees whether the kernel tells of it.
fn probe_terminals() -> io::Result<Probe> {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    inotify::add_watch(&inotify, name.as_c_str(), WatchFlags::MODIFY)?;
    let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
    rustix::io::write(&terminal, b"x")?;
    let mut waiting = [PollFd::new(&inotify, PollFlags::IN)];
    let limit = Timespec { tv_sec: 0, tv_nsec: PROBE_MS_MAX * 1_000_000 };
    let told = poll(&mut waiting, Some(&limit))? > 0;
    Ok(Probe { told, _inotify: inotify })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    async fn next(lookout: &mut Lookout) -> Vec<Hint> {
        tokio::time::timeout(Duration::from_secs(20), lookout.hints()).await.expect("a hint comes")
    }

    fn child() -> std::process::Child {
        #[expect(clippy::disallowed_methods, reason = "a test needs a process to watch")]
        let mut command = std::process::Command::new("sleep");
        command.arg("1000").spawn().unwrap()
    }

    fn pidfd(child: &std::process::Child) -> OwnedFd {
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        pidfd_open(pid, PidfdFlags::empty()).unwrap()
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_told_once_and_to_the_one_who_asked() {
        let sentinel = Sentinel::start().unwrap();
        let (mut mine, mut other) = (sentinel.lookout().unwrap(), sentinel.lookout().unwrap());
        let (mut first, mut second) = (child(), child());
        let watched = [mine.process(pidfd(&first)).unwrap(), mine.process(pidfd(&second)).unwrap()];
        let others = other.process(pidfd(&second)).unwrap();
        first.kill().unwrap();
        assert_eq!(next(&mut mine).await, [Hint::Ended(watched[0].key())]);
        second.kill().unwrap();
        assert_eq!(next(&mut mine).await, [Hint::Ended(watched[1].key())]);
        assert_eq!(next(&mut other).await, [Hint::Ended(others.key())]);
        first.wait().unwrap();
        second.wait().unwrap();
    }

    #[tokio::test]
    async fn a_dropped_watch_tells_nothing() {
        let sentinel = Sentinel::start().unwrap();
        let mut lookout = sentinel.lookout().unwrap();
        let (mut first, mut second) = (child(), child());
        drop(lookout.process(pidfd(&first)).unwrap());
        let kept = lookout.process(pidfd(&second)).unwrap();
        first.kill().unwrap();
        first.wait().unwrap();
        second.kill().unwrap();
        second.wait().unwrap();
        assert_eq!(next(&mut lookout).await, [Hint::Ended(kept.key())]);
    }

    #[tokio::test]
    async fn a_folder_tells_of_what_comes_and_goes() {
        let sentinel = Sentinel::start().unwrap();
        let mut lookout = sentinel.lookout().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let watch = lookout.folder(dir.path()).unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        assert_eq!(next(&mut lookout).await, [Hint::Came(watch, "a".into())]);
        fs::remove_file(dir.path().join("a")).unwrap();
        assert_eq!(next(&mut lookout).await, [Hint::Left(watch, "a".into())]);
        drop(dir);
        let hints = next(&mut lookout).await;
        assert!(hints.contains(&Hint::Unwatched(watch)), "{hints:?}");
    }

    #[tokio::test]
    async fn the_watch_of_a_folder_ends_where_it_is_moved_away() {
        let sentinel = Sentinel::start().unwrap();
        let mut lookout = sentinel.lookout().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (dir.path().join("here"), dir.path().join("there"));
        fs::create_dir(&here).unwrap();
        let watch = lookout.contents(&here).unwrap();
        fs::rename(&here, &there).unwrap();
        assert_eq!(next(&mut lookout).await, [Hint::Unwatched(watch)]);
        assert_ne!(lookout.contents(&there).unwrap(), watch);
    }

    #[tokio::test]
    async fn writing_to_a_file_of_a_folder_is_told_where_it_was_asked_for() {
        let sentinel = Sentinel::start().unwrap();
        let mut lookout = sentinel.lookout().unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        let watch = lookout.contents(dir.path()).unwrap();
        fs::write(dir.path().join("a"), "x").unwrap();
        assert!(next(&mut lookout).await.contains(&Hint::Written(watch, "a".into())));
    }

    #[tokio::test]
    async fn output_is_told_once_until_it_is_asked_for_again() {
        let sentinel = Sentinel::start().unwrap();
        let mut lookout = sentinel.lookout().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let watch = lookout.next_output(file.path()).unwrap();
        for _ in 0..3 {
            fs::write(file.path(), "x").unwrap();
        }
        let hints = next(&mut lookout).await;
        assert!(hints.starts_with(&[Hint::Written(watch, OsString::new())]), "{hints:?}");
        assert_eq!(hints.iter().filter(|hint| matches!(hint, Hint::Written(..))).count(), 1);
        let again = lookout.next_output(file.path()).unwrap();
        fs::write(file.path(), "x").unwrap();
        let mut hints = next(&mut lookout).await;
        hints.retain(|hint| *hint != Hint::Unwatched(watch));
        assert!(hints.starts_with(&[Hint::Written(again, OsString::new())]), "{hints:?}");
    }

    #[tokio::test]
    async fn hints_that_nobody_takes_become_one_that_says_so() {
        let sentinel = Sentinel::start().unwrap();
        let mut lookout = sentinel.lookout().unwrap();
        let reader = Reader {
            inotify: Arc::clone(&lookout.inotify),
            bundles: mpsc::channel(1).0,
            lost: Arc::clone(&lookout.lost),
        };
        let (bundles, hints) = mpsc::channel(1);
        let reader = Reader { bundles, ..reader };
        lookout.hints = hints;
        for number in 0..3 {
            reader.hand_over(vec![Hint::Ended(ProcessKey(number))]);
        }
        assert_eq!(next(&mut lookout).await, [Hint::Ended(ProcessKey(0)), Hint::Lost]);
    }

    #[test]
    fn the_probe_of_terminals_comes_to_a_verdict() {
        assert!(probe_terminals().is_ok());
    }
}
