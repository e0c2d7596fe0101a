//! One daemon per user: the lock that proves it, the socket behind it, starting and stopping.
//!
//! The lock is taken before anything else is opened and held until everything is closed. It lies
//! beside the database, and says where the socket is, so that clients find the daemon also where
//! the environment does not lead to it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::paths::Paths;
use crate::sys;

/// The longest path a Unix socket can have.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// How long the lock may be held by nobody who says so.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
const LOCK_STEP: Duration = Duration::from_millis(5);
/// How much of a lock file is read.
const LOCK_BYTES_MAX: u64 = 16 * 1024;
/// How much of its room a lock file keeps.
const LOCK_ROOM: usize = 4 * 1024;
/// What a detached daemon inherits of the environment. Names that end in `*` are prefixes.
const ENVIRONMENT: &[&str] = &[
    "HOME",
    "LANG",
    "LC_*",
    "LOGNAME",
    "PATH",
    // Not QD_TOKEN and what goes with it: those are for asking another daemon.
    "QD_CONFIG",
    "QD_HOME",
    "SHELL",
    // Not SSH_AUTH_SOCK: whoever starts a daemon hands that over with what they ask, where it is
    // looked at who they are.
    "TMPDIR",
    "TMUX_TMPDIR",
    "TZ",
    "USER",
    "XDG_*",
];

/// Who holds the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    pub socket: PathBuf,
    pub version: String,
}

/// Why a daemon cannot start, or cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    #[error("a daemon runs already: pid {}, socket {}", .0.pid, .0.socket.display())]
    Running(Holder),
    #[error("a daemon is starting or stopping: {} is locked", .0.display())]
    Locked(PathBuf),
    #[error("{} belongs to another user", .0.display())]
    Foreign(PathBuf),
    #[error("others may write in {}, and it holds what is not ours", .0.display())]
    Shared(PathBuf),
    #[error("{} is in the way and is not a socket", .0.display())]
    NotASocket(PathBuf),
    #[error("{} is in the way and is not a plain file", .0.display())]
    NotAFile(PathBuf),
    #[error("the path of the socket is longer than {SOCKET_PATH_BYTES_MAX} bytes: {}", .0.display())]
    SocketPathTooLong(PathBuf),
    #[error("{what} {}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the daemon did not start: {0}")]
    StartFailed(String),
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LifecycleError {
    move |source| LifecycleError::Io { what, path: path.to_owned(), source }
}

/// The right to be the daemon of this user. Lost with the process, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock or says who has it.
    ///
    /// A daemon that was killed may have left a child that has not yet become another program and
    /// holds the lock until it does; one that takes the lock signs a moment later. Both are waited
    /// for.
    pub fn take(paths: &Paths) -> Result<Self, LifecycleError> {
        let path = &paths.lock;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)
            .map_err(failed("cannot open the lock", path))?;
        let mut left = LOCK_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => {
                    // What a daemon that was killed wrote there must not be taken for our word.
                    let mut lock = Self { file, path: path.clone() };
                    lock.write(b"").map_err(failed("cannot write", path))?;
                    return Ok(lock);
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => {
                    return Err(failed("cannot lock", path)(source));
                }
            }
            match (read_holder(&file), left.checked_sub(LOCK_STEP)) {
                (Some(holder), _) if is_alive(holder.pid) => {
                    return Err(LifecycleError::Running(holder));
                }
                (_, None) => return Err(LifecycleError::Locked(path.clone())),
                (_, Some(rest)) => left = rest,
            }
            std::thread::sleep(LOCK_STEP);
        }
    }

    /// Writes down who holds it and where the socket is.
    pub fn sign(&mut self, holder: &Holder) -> Result<(), LifecycleError> {
        let text = serde_json::to_vec(holder).unwrap_or_default();
        self.write(&text).map_err(failed("cannot write", &self.path))
    }

    /// Puts a text in the place of what stands there, with blanks up to the file's length: it keeps
    /// the room that it has, so that a daemon can sign on a disk that is full.
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let length = usize::try_from(self.file.metadata()?.len()).unwrap_or(0);
        let mut padded = text.to_vec();
        padded.resize(length.clamp(text.len(), LOCK_ROOM.max(text.len())), b' ');
        self.file.rewind()?;
        self.file.write_all(&padded)?;
        self.file.set_len(padded.len() as u64)
    }

    /// Whether others who look for the lock find this one. After its folder was deleted they do
    /// not, and the next daemon does not know of this one.
    pub(crate) fn is_in_place(&self) -> bool {
        let found = std::fs::symlink_metadata(&self.path);
        self.file.metadata().is_ok_and(|ours| {
            found.is_ok_and(|it| (it.dev(), it.ino()) == (ours.dev(), ours.ino()))
        })
    }

    /// Wipes the signature; the lock itself goes with the value.
    pub fn release(mut self) {
        // The lock is what counts: a signature that stays is ignored without it.
        drop(self.write(b""));
    }
}

/// Who runs now, if anybody does. Knows a live daemon by its lock, not by what a file says.
pub fn holder(paths: &Paths) -> Option<Holder> {
    read_holder(&held(paths)?)
}

/// Whether a daemon runs, also one that has not said yet who it is.
pub fn is_held(paths: &Paths) -> bool {
    held(paths).is_some()
}

/// The lock's file, if somebody holds it.
fn held(paths: &Paths) -> Option<File> {
    let file = File::open(&paths.lock).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(file),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// Whether there is such a process. One that may not be signalled exists as well.
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let found = pid.map(rustix::process::test_kill_process);
    matches!(found, Some(Ok(()) | Err(rustix::io::Errno::PERM)))
}

fn read_holder(mut file: &File) -> Option<Holder> {
    let mut text = Vec::new();
    file.rewind().ok()?;
    file.take(LOCK_BYTES_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Makes the folders, each ours and closed to others.
pub fn prepare(paths: &Paths) -> Result<(), LifecycleError> {
    let socket_folder = paths.socket.parent().unwrap_or(&paths.home);
    home_folder(&paths.home)?;
    for folder in [socket_folder, &paths.spool, &paths.logs] {
        if folder != paths.home {
            own_folder(folder)?;
        }
    }
    [&paths.home, &paths.logs].into_iter().try_for_each(|folder| plain_files(folder))
}

/// Sees to it that whatever has the name of a file of ours is one, and no link: what we write would
/// otherwise go where it leads. A folder may well be kept elsewhere.
fn plain_files(folder: &Path) -> Result<(), LifecycleError> {
    let unread = || failed("cannot look at", folder);
    for entry in std::fs::read_dir(folder).map_err(unread())? {
        let entry = entry.map_err(unread())?;
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|it| it.starts_with("qd.") && it != "qd.sock");
        if is_ours && !entry.file_type().map_err(unread())?.is_file() {
            return Err(LifecycleError::NotAFile(entry.path()));
        }
    }
    Ok(())
}

/// Makes the folder of the state, or takes the one that is there. One that holds nothing but ours
/// is closed to others. In any other somebody else may have business: it is taken as it is, unless
/// others could put files of theirs in the place of ours.
fn home_folder(home: &Path) -> Result<(), LifecycleError> {
    if !home.is_dir() || holds_only_ours(home) {
        return own_folder(home);
    }
    let found = std::fs::metadata(home).map_err(failed("cannot look at", home))?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(LifecycleError::Foreign(home.to_owned()));
    }
    if found.permissions().mode() & 0o022 != 0 {
        return Err(LifecycleError::Shared(home.to_owned()));
    }
    Ok(())
}

/// Whether everything in a folder has a name that we give.
fn holds_only_ours(folder: &Path) -> bool {
    let is_ours = |name: &str| {
        name.starts_with("qd.")
            || matches!(
                name,
                "adapters" | "config.toml" | "logs" | "outbox" | "routes" | "setup" | "spool"
            )
    };
    std::fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.all(|entry| entry.is_ok_and(|it| it.file_name().to_str().is_some_and(is_ours)))
    })
}

/// Makes a folder that only we can enter, or sees to it that an old one is such.
pub(crate) fn own_folder(folder: &Path) -> Result<(), LifecycleError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed("cannot make the folder", folder))?;
    let found = std::fs::metadata(folder).map_err(failed("cannot look at", folder))?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(LifecycleError::Foreign(folder.to_owned()));
    }
    if found.permissions().mode() & 0o077 != 0 {
        let closed = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(folder, closed)
            .map_err(failed("cannot close to others", folder))?;
    }
    Ok(())
}

/// What would keep a daemon from listening here, as far as can be told without trying.
pub fn obstacle(paths: &Paths) -> Option<LifecycleError> {
    room_for(&paths.socket).err()
}

/// Whether a socket can be made there, and whether one stands there already.
fn room_for(path: &Path) -> Result<bool, LifecycleError> {
    if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        return Err(LifecycleError::SocketPathTooLong(path.to_owned()));
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => Ok(true),
        Ok(_) => Err(LifecycleError::NotASocket(path.to_owned())),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(failed("cannot look at", path)(source)),
    }
}

/// The listening socket, which knows its own file.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    inode: (u64, u64),
}

impl Socket {
    /// Listens; a socket left by a dead daemon is replaced. The caller holds the lock.
    pub fn listen(path: &Path) -> Result<(UnixListener, Self), LifecycleError> {
        if room_for(path)? {
            std::fs::remove_file(path).map_err(failed("cannot replace", path))?;
        }
        let listener = UnixListener::bind(path).map_err(failed("cannot listen on", path))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
            .map_err(failed("cannot close to others", path))?;
        let made = std::fs::symlink_metadata(path).map_err(failed("cannot look at", path))?;
        Ok((listener, Self { path: path.to_owned(), inode: (made.dev(), made.ino()) }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its file is where clients look for it.
    pub(crate) fn is_in_place(&self) -> bool {
        std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.inode)
    }

    /// Removes the socket's file, unless another has taken its place.
    pub fn remove(&self) {
        if self.is_in_place() {
            // It is stale from here on; the next daemon replaces what cannot be removed.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Starts a daemon that outlives this process, and waits until it is ready or says why not.
pub fn start_detached(program: &Path) -> Result<(), LifecycleError> {
    let kept = std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_inherited));
    #[expect(clippy::disallowed_methods, reason = "the daemon itself is no target's process")]
    let mut child = Command::new(program)
        .args(["daemon", "run", "--detached"])
        .env_clear()
        .envs(kept)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed("cannot run", program))?;
    let mut word = String::new();
    if let Some(stdout) = child.stdout.take() {
        // The far end closes when the daemon is ready, or dies.
        drop(BufReader::new(stdout.take(LOCK_BYTES_MAX)).read_line(&mut word));
    }
    match word.trim() {
        READY => Ok(()),
        "" => Err(LifecycleError::StartFailed("it ended without a word".to_owned())),
        message => Err(LifecycleError::StartFailed(message.to_owned())),
    }
}

/// What a detached daemon says on its standard output once it answers.
const READY: &str = "ready";

/// A daemon's side of being started detached.
pub mod detached {
    use super::{READY, Write, io, sys};

    /// Leaves the starter's session, so that nothing that happens there reaches us, and lets go of
    /// what it had open, so that nothing there waits for us.
    pub fn leave_starter() {
        // Fails only for the leader of a group, who has left already.
        rustix::process::setsid().ok();
        // What cannot be listed stays open, which is no reason not to run.
        sys::close_inherited().ok();
    }

    /// Tells the starter that we answer, and lets go of the last handle shared with it.
    pub fn ready() -> io::Result<()> {
        say(READY)
    }

    /// Tells the starter, in one line, why we do not start.
    pub fn sorry(message: &str) -> io::Result<()> {
        say(&message.replace('\n', " "))
    }

    fn say(word: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{word}")?;
        stdout.flush()?;
        let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdout(&null)?;
        Ok(())
    }
}

fn is_inherited(name: &str) -> bool {
    ENVIRONMENT.iter().any(|kept| match kept.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => *kept == name,
    })
}

/// Asks the running daemon to end and waits until it has let go of the lock.
///
/// Returns who was asked; nobody, if none ran.
pub fn stop(paths: &Paths, patience: Duration) -> Result<Option<Holder>, LifecycleError> {
    let Some(holder) = holder(paths) else { return Ok(None) };
    let pid = i32::try_from(holder.pid).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .map_err(|source| failed("cannot signal the holder of", &paths.lock)(source.into()))?;
    }
    if wait_for_lock(paths, patience) {
        return Ok(Some(holder));
    }
    Err(LifecycleError::Running(holder))
}

/// Waits until nobody holds the lock.
pub fn wait_for_lock(paths: &Paths, patience: Duration) -> bool {
    const STEP: Duration = Duration::from_millis(5);
    let mut left = patience;
    while holder(paths).is_some() {
        let Some(rest) = left.checked_sub(STEP) else { return false };
        left = rest;
        std::thread::sleep(STEP);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> (tempfile::TempDir, Paths) {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home").into_os_string();
        let paths = Paths::find(|name| (name == "QD_HOME").then(|| home.clone())).unwrap();
        prepare(&paths).unwrap();
        (folder, paths)
    }

    fn us(paths: &Paths) -> Holder {
        Holder { pid: std::process::id(), socket: paths.socket.clone(), version: "1".to_owned() }
    }

    #[test]
    fn the_second_to_ask_is_told_who_holds_the_lock() {
        let (_folder, paths) = paths();
        let mut lock = Lock::take(&paths).unwrap();
        assert!(matches!(Lock::take(&paths), Err(LifecycleError::Locked(_))), "not signed yet");
        lock.sign(&us(&paths)).unwrap();
        match Lock::take(&paths) {
            Err(LifecycleError::Running(holder)) => assert_eq!(holder, us(&paths)),
            other => panic!("{other:?}"),
        }
        assert_eq!(holder(&paths), Some(us(&paths)));
        lock.release();
        assert_eq!(holder(&paths), None);
        assert!(Lock::take(&paths).is_ok());
    }

    #[test]
    fn the_lock_of_a_dead_daemon_is_waited_for_and_its_word_wiped() {
        let (_folder, paths) = paths();
        let mut lock = Lock::take(&paths).unwrap();
        // No process has this number.
        lock.sign(&Holder { pid: i32::MAX.cast_unsigned(), ..us(&paths) }).unwrap();
        let inherited = lock.file.try_clone().unwrap();
        drop(lock);
        let child = std::thread::spawn(move || {
            std::thread::sleep(LOCK_STEP * 10);
            drop(inherited);
        });
        let _lock = Lock::take(&paths).unwrap();
        child.join().unwrap();
        assert!(std::fs::read(&paths.lock).unwrap().trim_ascii().is_empty());
    }

    #[test]
    fn a_signature_without_a_lock_means_nobody() {
        let (_folder, paths) = paths();
        std::fs::write(&paths.lock, serde_json::to_vec(&us(&paths)).unwrap()).unwrap();
        assert_eq!(holder(&paths), None);
    }

    #[test]
    fn folders_and_socket_are_closed_to_others() {
        let (_folder, paths) = paths();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        std::fs::set_permissions(&paths.home, std::fs::Permissions::from_mode(0o755)).unwrap();
        prepare(&paths).unwrap();
        assert_eq!(mode(&paths.home), 0o700, "an open folder of ours is closed");
        let (_listener, _socket) = Socket::listen(&paths.socket).unwrap();
        assert_eq!(mode(&paths.socket), 0o600);
    }

    #[test]
    fn a_folder_of_others_is_taken_as_it_is_or_refused_but_never_closed() {
        let (_folder, paths) = paths();
        let mode = || std::fs::metadata(&paths.home).unwrap().permissions().mode() & 0o777;
        let open = |mode| {
            std::fs::set_permissions(&paths.home, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        std::fs::write(paths.home.join("notes.txt"), "somebody's").unwrap();
        open(0o755);
        prepare(&paths).unwrap();
        assert_eq!(mode(), 0o755);
        open(0o777);
        assert!(matches!(prepare(&paths), Err(LifecycleError::Shared(_))));
        assert_eq!(mode(), 0o777);
    }

    #[test]
    fn a_stale_socket_is_replaced_and_anything_else_is_refused() {
        let (_folder, paths) = paths();
        drop(Socket::listen(&paths.socket).unwrap());
        assert!(paths.socket.exists(), "a dead daemon leaves its socket");
        drop(Socket::listen(&paths.socket).unwrap());
        std::fs::remove_file(&paths.socket).unwrap();
        std::fs::write(&paths.socket, "precious").unwrap();
        assert!(matches!(Socket::listen(&paths.socket), Err(LifecycleError::NotASocket(_))));
        assert_eq!(std::fs::read(&paths.socket).unwrap(), b"precious");
    }

    #[test]
    fn nobody_removes_a_socket_that_is_not_his() {
        let (_folder, paths) = paths();
        let (_first, first) = Socket::listen(&paths.socket).unwrap();
        let (_second, second) = Socket::listen(&paths.socket).unwrap();
        first.remove();
        assert!(paths.socket.exists());
        second.remove();
        assert!(!paths.socket.exists());
    }

    #[test]
    fn the_environment_is_passed_by_an_allow_list() {
        for kept in ["HOME", "QD_HOME", "LC_ALL", "XDG_RUNTIME_DIR", "TMUX_TMPDIR"] {
            assert!(is_inherited(kept), "{kept}");
        }
        for left in
            ["TMUX", "TMUX_PANE", "QD_TOKEN", "QD_TOKEN_FILE", "SSH_AUTH_SOCK", "LD_PRELOAD"]
        {
            assert!(!is_inherited(left), "{left}");
        }
    }
}
