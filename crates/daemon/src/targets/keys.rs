//! The agents that hold the user's keys for `ssh`, and which of them a connection asks.
//!
//! Each terminal may have its own, and one that a login forwards ends with that login. So clients
//! name theirs with what they ask, by its socket. What is kept is where these are, in memory alone:
//! no key ever comes here.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::geteuid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::host::SocketFile;
use super::process::Environment;

/// How many are remembered.
const NAMED_MAX: usize = 8;
/// The longest path that a socket can have.
const PATH_BYTES_MAX: usize = 107;
/// How long one may take to say how many keys it holds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// The question for the keys, and the kind of its answer, in the protocol of `ssh-agent`.
const QUESTION: [u8; 5] = [0, 0, 0, 1, 11];
const ANSWER_KIND: u8 = 12;
/// How much of an answer is read.
const ANSWER_BYTES_MAX: u32 = 256 * 1024;

/// The agents that were named, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    named: Mutex<Vec<Named>>,
    /// How many came that were not there before.
    came: watch::Sender<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    path: PathBuf,
    /// Which socket it was. One that is made anew at the same place is another agent.
    file: Option<SocketFile>,
    /// What it answered last; nothing where nobody asked yet.
    holds: Option<Holds>,
}

/// What an agent answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    /// It answered, and has none.
    Nothing,
    Keys,
}

impl Keys {
    /// With the agent that this process was started with.
    pub(crate) fn of(environment: &Environment) -> Self {
        let own = environment.key_agent().map(PathBuf::from);
        let named = own.map(|path| Named { file: SocketFile::at(&path), path, holds: None });
        Self { named: Mutex::new(named.into_iter().collect()), came: watch::Sender::default() }
    }

    /// Whether it was named last, had keys, and is still the same: one that was started anew at that
    /// place is another, and one that had none may have been unlocked.
    pub(crate) async fn is_newest(&self, path: &Path) -> bool {
        let newest = self.named().first().filter(|newest| newest.path == path).cloned();
        let Some(Named { path, file, holds: Some(Holds::Keys) }) = newest else { return false };
        // Whose path this is may be a file system's that hangs.
        let looked = tokio::task::spawn_blocking(move || ours(&path)).await;
        looked.is_ok_and(|now| now == file)
    }

    /// Takes up the agent of a client, if it is ours and answers.
    pub(crate) async fn name(&self, path: PathBuf) {
        if !path.is_absolute() || path.as_os_str().len() > PATH_BYTES_MAX {
            return;
        }
        let asked = path.clone();
        // Whose path this is may be a file system's that hangs.
        let looked = tokio::task::spawn_blocking(move || ours(&asked)).await;
        let Some(file) = looked.ok().flatten() else { return };
        let Some(holds) = ask(&path).await else { return };
        let named = Named { path, file: Some(file), holds: Some(holds) };
        let mut all = self.named();
        let before = all.iter().find(|it| (&it.path, it.file) == (&named.path, named.file));
        let had_none = |it: &Named| it.holds == Some(Holds::Nothing) && holds == Holds::Keys;
        let is_new = before.is_none_or(had_none);
        all.retain(|it| it.path != named.path);
        all.insert(0, named);
        all.truncate(NAMED_MAX);
        drop(all);
        if is_new {
            self.came.send_modify(|came| *came += 1);
        }
    }

    /// The agent to ask: the newest that answers and has keys, else the newest that answers, else
    /// the newest.
    pub(super) async fn choose(&self) -> Option<PathBuf> {
        let paths: Vec<PathBuf> = self.named().iter().map(|named| named.path.clone()).collect();
        let mut asking = JoinSet::new();
        for (nth, path) in paths.iter().cloned().enumerate() {
            asking.spawn(async move { (nth, ask(&path).await) });
        }
        let answers = asking.join_all().await.into_iter();
        // Of those that hold as much, the one that was named later.
        let best = answers.max_by_key(|(nth, holds)| (*holds, std::cmp::Reverse(*nth)));
        best.and_then(|(nth, _)| paths.into_iter().nth(nth))
    }

    /// How many agents came so far.
    pub(super) fn came(&self) -> u64 {
        *self.came.borrow()
    }

    /// Waits until one more came than these.
    pub(super) async fn came_since(&self, before: u64) {
        let mut came = self.came.subscribe();
        if came.wait_for(|came| *came > before).await.is_err() {
            // Whoever could name one is gone.
            std::future::pending::<()>().await;
        }
    }

    fn named(&self) -> MutexGuard<'_, Vec<Named>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The socket at a path, if it belongs to this user.
fn ours(path: &Path) -> Option<SocketFile> {
    let found = fs::metadata(path).ok()?;
    let is_ours = found.file_type().is_socket() && found.uid() == geteuid().as_raw();
    is_ours.then(|| SocketFile::at(path)).flatten()
}

/// Connects to a socket, and waits for nobody but its file system.
fn reach(path: &Path) -> io::Result<std::os::unix::net::UnixStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

/// Asks an agent whether it holds keys; nothing where none of this user's answers.
async fn ask(path: &Path) -> Option<Holds> {
    let path = path.to_owned();
    let asking = async {
        // Whose path this is may be a file system's that hangs.
        let reached = tokio::task::spawn_blocking(move || reach(&path)).await;
        let mut agent = UnixStream::from_std(reached.map_err(io::Error::other)??)?;
        if agent.peer_cred()?.uid() != geteuid().as_raw() {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        agent.write_all(&QUESTION).await?;
        let length = agent.read_u32().await?;
        let mut answer = Vec::new();
        // All of it: some complain of whoever goes before they have said everything.
        (&mut agent).take(length.min(ANSWER_BYTES_MAX).into()).read_to_end(&mut answer).await?;
        // One that is locked says that it will not tell.
        match answer.as_slice() {
            [] => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            [ANSWER_KIND, count @ ..] if count.first_chunk().is_some_and(|it| *it != [0; 4]) => {
                Ok(Holds::Keys)
            }
            [_, ..] => Ok(Holds::Nothing),
        }
    };
    timeout(ANSWER_TIMEOUT, asking).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::net::UnixListener;

    use super::*;

    /// An agent with so many keys, as far as this question goes.
    fn agent(path: &Path, keys: u32) -> tokio::task::JoinHandle<()> {
        agent_that_changes(path, Arc::new(AtomicU32::new(keys)))
    }

    fn agent_that_changes(path: &Path, keys: Arc<AtomicU32>) -> tokio::task::JoinHandle<()> {
        let listener = UnixListener::bind(path).unwrap();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut question = [0; QUESTION.len()];
                if client.read_exact(&mut question).await.is_err() {
                    continue;
                }
                assert_eq!(question, QUESTION);
                let keys = keys.load(Ordering::Relaxed);
                let body = [&[ANSWER_KIND][..], &keys.to_be_bytes()].concat();
                let length = u32::try_from(body.len()).unwrap().to_be_bytes();
                client.write_all(&[&length[..], &body].concat()).await.unwrap();
            }
        })
    }

    struct Scene {
        keys: Arc<Keys>,
        folder: tempfile::TempDir,
    }

    impl Scene {
        fn new() -> Self {
            Self { keys: Arc::default(), folder: tempfile::tempdir().unwrap() }
        }

        fn at(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        async fn chosen(&self) -> Option<String> {
            let chosen = self.keys.choose().await?;
            Some(chosen.file_name().unwrap().to_str().unwrap().to_owned())
        }
    }

    #[tokio::test]
    async fn one_that_had_no_keys_is_asked_again_and_comes_anew_with_its_first() {
        let it = Scene::new();
        let (path, keys) = (it.at("a"), Arc::new(AtomicU32::new(0)));
        let _agent = agent_that_changes(&path, Arc::clone(&keys));
        it.keys.name(path.clone()).await;
        assert_eq!(it.keys.came(), 1);
        assert!(!it.keys.is_newest(&path).await, "it may have been unlocked");
        it.keys.name(path.clone()).await;
        assert_eq!(it.keys.came(), 1, "it was not");
        keys.store(1, Ordering::Relaxed);
        it.keys.name(path.clone()).await;
        assert_eq!(it.keys.came(), 2);
        assert!(it.keys.is_newest(&path).await);
    }

    #[tokio::test]
    async fn the_newest_that_answers_is_asked_and_one_with_keys_before_one_without() {
        let it = Scene::new();
        assert_eq!(it.chosen().await, None);
        for (name, keys) in [("old", 1), ("new", 2), ("empty", 0)] {
            agent(&it.at(name), keys);
            it.keys.name(it.at(name)).await;
            assert_eq!(it.keys.is_newest(&it.at(name)).await, keys > 0, "{name}");
        }
        assert_eq!(it.chosen().await.as_deref(), Some("new"));
        it.keys.name(it.at("old")).await;
        assert_eq!(it.chosen().await.as_deref(), Some("old"), "it was named again");
        assert_eq!(it.keys.came(), 3, "but it is no new one");
    }

    #[tokio::test]
    async fn one_that_is_dead_is_passed_over_and_one_in_its_place_is_new() {
        let it = Scene::new();
        agent(&it.at("lives"), 1);
        it.keys.name(it.at("lives")).await;
        let dies = agent(&it.at("dies"), 1);
        it.keys.name(it.at("dies")).await;
        dies.abort();
        assert!(dies.await.unwrap_err().is_cancelled());
        assert_eq!(it.chosen().await.as_deref(), Some("lives"));
        // It is there, and nobody listens.
        it.keys.name(it.at("dies")).await;
        assert_eq!(it.keys.came(), 2);
        it.keys.name(it.at("lives")).await;
        fs::remove_file(it.at("dies")).unwrap();
        assert!(!it.keys.is_newest(&it.at("dies")).await);
        agent(&it.at("dies"), 1);
        it.keys.name(it.at("dies")).await;
        assert_eq!((it.keys.came(), it.chosen().await.as_deref()), (3, Some("dies")));
        assert!(it.keys.is_newest(&it.at("dies")).await);
        // The newest is started anew where it was.
        fs::remove_file(it.at("dies")).unwrap();
        agent(&it.at("dies"), 1);
        assert!(!it.keys.is_newest(&it.at("dies")).await, "it is another one");
        it.keys.name(it.at("dies")).await;
        assert_eq!(it.keys.came(), 4);
    }

    #[tokio::test]
    async fn what_is_no_agent_of_ours_is_not_taken_up() {
        let it = Scene::new();
        fs::write(it.at("file"), "").unwrap();
        drop(std::os::unix::net::UnixListener::bind(it.at("stale")).unwrap());
        agent(&it.at("there"), 1);
        std::os::unix::fs::symlink(it.at("there"), it.at("link")).unwrap();
        let long = it.at(&"x".repeat(PATH_BYTES_MAX));
        for path in [it.at("file"), it.at("stale"), it.at("none"), "there".into(), long] {
            it.keys.name(path).await;
        }
        assert_eq!((it.keys.came(), it.chosen().await), (0, None));
        it.keys.name(it.at("link")).await;
        assert_eq!(it.chosen().await.as_deref(), Some("link"), "people keep a link to theirs");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_never_says_a_word_delays_a_connection_for_a_moment() {
        let it = Scene::new();
        agent(&it.at("speaks"), 1);
        it.keys.name(it.at("speaks")).await;
        let silent: Vec<_> = (0..NAMED_MAX - 1).map(|nth| it.at(&nth.to_string())).collect();
        let listeners: Vec<_> = silent.iter().map(|it| UnixListener::bind(it).unwrap()).collect();
        let named = silent.iter().map(|path| Named { path: path.clone(), file: None, holds: None });
        it.keys.named().splice(0..0, named);
        let start = tokio::time::Instant::now();
        assert_eq!(it.chosen().await.as_deref(), Some("speaks"));
        assert!(start.elapsed() <= ANSWER_TIMEOUT * 2, "{:?}", start.elapsed());
        drop(listeners);
    }

    #[tokio::test]
    async fn who_waits_for_a_new_agent_hears_of_one_that_came_before_it_listened() {
        let it = Scene::new();
        let before = it.keys.came();
        agent(&it.at("a"), 1);
        it.keys.name(it.at("a")).await;
        it.keys.came_since(before).await;
        let again = it.keys.came_since(it.keys.came());
        let short = timeout(Duration::from_millis(20), again).await;
        assert!(short.is_err(), "nothing came since");
    }

    #[tokio::test]
    async fn only_so_many_are_remembered() {
        let it = Scene::new();
        for nth in 0..=NAMED_MAX {
            agent(&it.at(&nth.to_string()), 1);
            it.keys.name(it.at(&nth.to_string())).await;
        }
        assert_eq!(it.keys.named().len(), NAMED_MAX);
        assert_eq!(it.chosen().await, Some(NAMED_MAX.to_string()));
    }

    #[tokio::test]
    async fn the_agent_that_the_daemon_was_started_with_is_the_first() {
        let environment = Environment::allowed([("SSH_AUTH_SOCK".into(), "/a/own".into())]);
        let keys = Keys::of(&environment);
        assert_eq!(keys.named().first().unwrap().path, Path::new("/a/own"));
        assert!(Keys::of(&Environment::default()).named().is_empty());
    }
}
