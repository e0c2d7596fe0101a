//! A target somewhere else: all that can be done is to start programs there and speak with them.
//!
//! The scripts are for any POSIX `sh` and are sent with each use; nothing is installed there.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::ids::PaneId;
use engine::input::LastOutput;
use engine::time::WallMs;
use tempfile::TempDir;
use tmux::arg::OwnName;

use super::Shared;
use super::failure::{self, TmuxFailure};
use super::files_there::{Asking, FilesThere};
use super::folder;
use super::host::{ProcessStat, ProgramFacts};
use super::keys::Keys;
use super::knock::{Door, Knocks};
use super::masters;
use super::obstacle::{self, Obstacle};
use super::pace::{self, untold};
use super::process::{self, ControlProcess, Ending, Environment, Feed, Finished, Program};
use super::quote;
use super::route::{Route, Ssh, Way};
use super::ssh::{self, Role};
use super::table::{Life, Table};
use super::tether::{Knot, Stirred, Talk, Tether};
use super::turns::{Guest, Turns};

/// What every script but the two that stay begins with: it prints a mark, so that whatever a login
/// shell printed before can be told from the answer.
const ANSWER: &str = "printf '%s\\n' \"$1\"\nshift\n";
/// The same where a login shell may start what outlives its command, and an `ssh` waits for whoever
/// holds one of its pipes: the mark stands behind the answer too, with the status.
const SEALED: [&str; 2] = [
    "qd_mark=$1\nprintf '%s\\n' \"$1\"\nshift\n(\n",
    "\n)\nqd_status=$?\nprintf '\\n%s %s\\n' \"$qd_mark\" \"$qd_status\"\nexit \"$qd_status\"\n",
];
const RUN: &str = include_str!("far/run.sh");
const RELAY: &str = include_str!("far/relay.sh");
const LOAD: &str = include_str!("far/load.sh");
const LINE: &str = include_str!("far/line.sh");
const GUARD: &str = include_str!("far/guard.sh");
const TABLE: &str = include_str!("far/table.sh");
const PROGRAMS: &str = include_str!("far/programs.sh");
const SIGNAL: &str = include_str!("far/signal.sh");

/// The longest line for the shell in front of a `tmux` that stays.
const LOAD_LINE_BYTES_MAX: usize = 8 * 1024;

/// One target somewhere else.
#[derive(Debug)]
pub(super) struct Far {
    pub(super) route: Route,
    /// What our session there is called, which ends with the connection.
    session: String,
    environment: Environment,
    connect: Duration,
    /// What our scripts begin each of their answers with. Nobody there can have foreseen it.
    mark: String,
    /// The folder of the socket that the programs of one connection share.
    folder: Option<TempDir>,
    /// Where a person may hold a connection, and whether the one that is there now is that.
    held: Option<PathBuf>,
    goes_through: AtomicBool,
    tether: Tether,
    knocks: Knocks,
    turns: Arc<Turns>,
    guest: Guest,
    keys: Arc<Keys>,
    /// How many agents with keys had come when it last connected.
    keys_tried: AtomicU64,
    table: Mutex<Table>,
    files: FilesThere,
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signalled {
    Sent,
    Gone,
    Other,
    Denied,
}

impl Far {
    /// `folder` is one that only we can read and write, `session` what our session is called.
    pub(super) fn new(
        route: Route,
        environment: Environment,
        connect: Duration,
        (folder, session): (&Path, &str),
        shared: &Shared,
    ) -> io::Result<Self> {
        let session = session.to_owned();
        let folder = match &route.way {
            Way::Ssh(_) => Some(folder::for_socket(folder)?),
            Way::Command { .. } => None,
        };
        let mark = format!("qd-{}", engine::ids::hex(&crate::ids::random_bytes()));
        let guest = shared.turns.guest(route.door());
        Ok(Self {
            route,
            session,
            environment,
            connect,
            mark,
            folder,
            held: None,
            goes_through: AtomicBool::new(false),
            tether: Tether::default(),
            knocks: Knocks::default(),
            turns: Arc::clone(&shared.turns),
            guest,
            keys: Arc::clone(&shared.keys),
            keys_tried: AtomicU64::new(0),
            table: Mutex::default(),
            files: FilesThere::default(),
        })
    }

    /// The place where a person may hold a connection.
    pub(super) fn hold_at(&mut self, held: Option<PathBuf>) {
        self.held = held;
    }

    /// Connects when it is its turn, unless it is connected, and says whether it did.
    pub(super) async fn connect(&self) -> Result<bool, Obstacle> {
        if self.tether.is_tied_still()? {
            self.guest.calm();
            return Ok(false);
        }
        let tied = self.turns.connect(&self.guest, self.tie_soon()).await;
        match &tied {
            Ok(()) => self.knocks.connected(),
            Err(why) => self.knocks.failed(why),
        }
        tied.map(|()| true)
    }

    /// An attempt that began before the host was back would wait for what was lost.
    async fn tie_soon(&self) -> Result<(), Obstacle> {
        loop {
            tokio::select! {
                biased;
                tied = self.tie() => return tied,
                () = self.answered() => {}
            }
        }
    }

    /// Waits until a host that took no connection takes one again, where that can be told.
    pub(super) async fn answered(&self) {
        match &self.route.way {
            Way::Command { .. } => std::future::pending().await,
            Way::Ssh(ssh) => self.knocks.answered(|| self.door_of(ssh)).await,
        }
        tracing::info!(route = self.route.name(), "the host takes connections again");
    }

    /// Which host and port `ssh` connects to, unless another program leads there.
    async fn door_of(&self, ssh: &Ssh) -> Option<Door> {
        let asking = self.program(ssh::resolving_words(ssh), Ending::Kill);
        let told = process::run(&asking, self.connect).await.ok()?;
        ssh::door(&String::from_utf8_lossy(&told.stdout))
    }

    pub(super) fn hurry(&self) {
        self.guest.hurry();
    }

    async fn tie(&self) -> Result<(), Obstacle> {
        let [way, socket] = self.route.socket_words();
        let arguments = [&self.mark, self.route.tmux(), way, socket, &self.session];
        let through = match &self.held {
            Some(held) => masters::is_held(held).await,
            None => false,
        };
        self.goes_through.store(through, Ordering::Release);
        let role = if through { Role::Shares } else { Role::Holds };
        let words = self.words(role, LINE, &arguments.map(OsStr::new));
        let environment = self.environment_with_keys().await;
        if self.folder.is_some() && !through {
            // An ssh of ours that was killed leaves it, and where one is the next makes none.
            std::fs::remove_file(self.socket()).ok();
        }
        let knot = Knot {
            program: Program { words, environment: &environment, ending: Ending::Input },
            way: &self.route.way,
            mark: self.mark.clone(),
            // One that somebody else holds may be stopped, and tells us nothing of a dead path.
            probed: through || matches!(self.route.way, Way::Command { .. }),
        };
        match self.tether.tie(knot).await {
            Err(Obstacle::HostKeyUnknown { fingerprint: None }) => {
                Err(Obstacle::HostKeyUnknown { fingerprint: self.offered_key().await })
            }
            tied => tied,
        }
    }

    /// The environment of the program that makes the connection: no other needs keys.
    async fn environment_with_keys(&self) -> Environment {
        match &self.route.way {
            Way::Command { .. } => self.environment.clone(),
            Way::Ssh(_) => {
                self.keys_tried.store(self.keys.came(), Ordering::Relaxed);
                let agent = self.keys.choose().await;
                self.environment.clone().for_ssh(agent.as_deref())
            }
        }
    }

    pub(super) async fn new_keys(&self) {
        match &self.route.way {
            Way::Command { .. } => std::future::pending().await,
            Way::Ssh(_) => self.keys.came_since(self.keys_tried.load(Ordering::Relaxed)).await,
        }
    }

    /// Waits for the end of the connection, if there is one.
    pub(super) async fn cut(&self) -> Obstacle {
        let why = self.tether.cut().await;
        self.knocks.failed(&why);
        why
    }

    pub(super) async fn talk(&self) -> Talk {
        self.tether.talk().await
    }

    pub(super) fn clock_behind_ms(&self) -> i64 {
        self.tether.far_clock().behind_ms()
    }

    pub(super) fn by_our_clock(&self, output: &LastOutput, now: WallMs) -> Option<LastOutput> {
        self.tether.far_clock().here(output, now)
    }

    pub(super) fn looked(&self) {
        self.tether.looked();
    }

    pub(super) fn disconnect(&self) {
        self.tether.untie();
    }

    /// The fingerprint of the key that the host shows, which `ssh` tells only when it is talkative.
    async fn offered_key(&self) -> Option<String> {
        let mut words = self.words(Role::Holds, LINE, &[]);
        words.insert(1, OsString::from("-v"));
        let asked = process::run(&self.program(words, Ending::Kill), self.connect * 2).await;
        obstacle::fingerprint(&String::from_utf8_lossy(&asked.ok()?.stderr))
    }

    /// Runs a program there to its end.
    pub(super) async fn run(
        &self,
        words: &[OsString],
        limit: Duration,
    ) -> Result<Finished, TmuxFailure> {
        let words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
        self.run_script(RUN, &words, None, limit).await
    }

    /// Brings a text into a buffer of the server there, or fails and leaves nothing of it.
    pub(super) async fn load(
        &self,
        tmux: &OsStr,
        buffer: &OwnName,
        text: &[u8],
        limit: Duration,
    ) -> Result<Finished, TmuxFailure> {
        let [way, socket] = self.route.socket_words();
        let length = text.len().to_string();
        let words =
            [tmux, way.as_ref(), socket.as_ref(), buffer.as_str().as_ref(), length.as_ref()];
        self.run_script(LOAD, &words, Some(text), limit).await
    }

    /// Runs a script of ours there to its end. A long text takes as long as the line needs for it; then
    /// the limit is for each piece.
    pub(super) async fn run_script(
        &self,
        script: &str,
        words: &[&OsStr],
        text: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Finished, TmuxFailure> {
        self.tether.check()?;
        let arguments: Vec<&OsStr> =
            std::iter::once(OsStr::new(&self.mark)).chain(words.iter().copied()).collect();
        let paced = text.is_some_and(|text| text.len() > pace::LEAST);
        let (relay, script) = match paced {
            true => (RELAY, format!("qd_relay | {{\n{script}\n}} 9>&-")),
            false => ("", script.to_owned()),
        };
        let (script, seal) = match &self.route.way {
            // The end of the command is the end, and what is killed here is the program itself.
            Way::Command { .. } => (format!("{relay}{ANSWER}{script}"), None),
            Way::Ssh(_) => {
                let [before, behind] = SEALED;
                (format!("{relay}{before}{script}{behind}"), Some(self.mark.as_str()))
            }
        };
        let words = self.words(Role::Shares, &script, &arguments);
        let program = self.program(words, Ending::Kill);
        let feed = Feed { text, told: paced.then_some(self.mark.as_str()) };
        let finished = process::feed(&program, feed, seal, limit).await;
        let mut finished = finished.map_err(|failure| self.no_program(failure))?;
        match behind(&finished.stdout, &self.mark) {
            Some(begin) => {
                finished.stdout.drain(..begin);
                if paced {
                    let answer = finished.stdout.len() - untold(&finished.stdout, &self.mark).len();
                    finished.stdout.drain(..answer);
                }
                Ok(finished)
            }
            None => {
                let said = [finished.stdout.as_slice(), &finished.stderr].concat();
                let said = String::from_utf8_lossy(&said);
                let way = &self.route.way;
                Err(Obstacle::of(way, Some(finished.status), &said, false).into())
            }
        }
    }

    /// Not the program there is missing, but the one that leads there.
    fn no_program(&self, failure: TmuxFailure) -> TmuxFailure {
        if let TmuxFailure::Missing { program } = failure {
            Obstacle::NoProgram { program }.into()
        } else {
            failure
        }
    }

    /// Starts a `tmux` that stays, under a shell that kills it when its input ends.
    /// It has `tmux` load texts, too ([`load_line`]).
    pub(super) fn stay(
        &self,
        tmux: &OsStr,
        words: &[OsString],
    ) -> Result<ControlProcess, TmuxFailure> {
        self.tether.check()?;
        let [way, socket] = self.route.socket_words();
        let mut arguments = vec![tmux, OsStr::new(way), OsStr::new(socket)];
        arguments.extend(words.iter().map(OsString::as_os_str));
        let words = self.words(Role::Shares, GUARD, &arguments);
        let started = process::start_control(&self.program(words, Ending::Input), None);
        started.map_err(|error| self.no_program(failure::not_started(self.words_name(), error)))
    }

    /// The program that leads there.
    fn words_name(&self) -> &OsStr {
        match &self.route.way {
            Way::Command { words, .. } => words.first().map_or(OsStr::new(""), OsStr::new),
            Way::Ssh(_) => OsStr::new("ssh"),
        }
    }

    /// Asks for the table of processes, and for what those at and below these run.
    pub(super) async fn survey(
        &self,
        roots: &BTreeSet<u32>,
        limit: Duration,
    ) -> Result<(), TmuxFailure> {
        let printed = self.run_script(TABLE, &[], None, limit).await?.stdout;
        let unknown = {
            let mut table = self.table();
            table.renew(&printed);
            table.unknown_below(roots)
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let pids: Vec<OsString> = unknown.iter().map(|pid| pid.to_string().into()).collect();
        let pids: Vec<&OsStr> = pids.iter().map(OsString::as_os_str).collect();
        let printed = self.run_script(PROGRAMS, &pids, None, limit).await?.stdout;
        self.table().learn(&printed);
        Ok(())
    }

    /// For whoever asks for the files of agents there.
    pub(super) fn files(&self) -> Asking<'_> {
        Asking { files: &self.files, tether: &self.tether }
    }

    /// Which life of a process a number means, by the last survey.
    pub(super) fn life(&self, pid: u32) -> Option<Life> {
        self.table().life(pid)
    }

    /// Waits until something changed that is watched there.
    pub(super) async fn stirs(&self) -> Vec<Stirred> {
        self.tether.stirs().await
    }

    /// A hook there said that the agent in this pane asks for something.
    pub(super) fn asks(&self, pane: PaneId) {
        self.tether.stir(Stirred::Asks(pane));
    }

    /// Has these paths watched there, and no others.
    pub(super) fn watch(self: &Arc<Self>, paths: BTreeSet<String>) {
        self.files.want(paths);
        let far = Arc::clone(self);
        tokio::spawn(async move { far.files.say(&far.tether).await });
    }

    pub(super) fn stat(&self, pid: u32) -> Option<ProcessStat> {
        self.table().stat(pid)
    }

    pub(super) fn children(&self, pid: u32) -> Vec<u32> {
        self.table().children(pid).to_vec()
    }

    pub(super) fn program_of(&self, pid: u32) -> Option<ProgramFacts> {
        self.table().program(pid)
    }

    /// Sends a signal to a process there, if it is still the one that began at this tick: looked
    /// at and sent by one shell, because there is no pidfd to hold on to.
    pub(super) async fn signal(
        &self,
        pid: u32,
        began: u64,
        signal: &str,
        limit: Duration,
    ) -> Result<Signalled, TmuxFailure> {
        let words = [pid.to_string(), began.to_string(), signal.to_owned()];
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        let finished = self.run_script(SIGNAL, &words, None, limit).await?;
        match finished.stdout.trim_ascii() {
            b"sent" => Ok(Signalled::Sent),
            b"gone" => Ok(Signalled::Gone),
            b"other" => Ok(Signalled::Other),
            b"denied" => Ok(Signalled::Denied),
            odd => Err(TmuxFailure::refused(String::from_utf8_lossy(odd))),
        }
    }

    fn words(&self, role: Role, script: &str, arguments: &[&OsStr]) -> Vec<OsString> {
        match &self.route.way {
            Way::Command { words, .. } => {
                let shell = ["sh", "-c", script, "sh"].map(OsString::from);
                let before = words.iter().map(OsString::from).chain(shell);
                before.chain(arguments.iter().map(|it| (*it).to_owned())).collect()
            }
            Way::Ssh(ssh) => {
                let arguments = arguments.iter().map(|word| word.as_bytes());
                let script = quote::with_arguments(script, arguments);
                ssh::words(ssh, role, &self.socket(), self.connect, &script)
            }
        }
    }

    fn socket(&self) -> PathBuf {
        if let Some(held) = self.held.as_ref().filter(|_| self.goes_through.load(Ordering::Acquire))
        {
            return held.clone();
        }
        self.folder.as_ref().map(|folder| folder.path().join("m")).unwrap_or_default()
    }

    fn program(&self, words: Vec<OsString>, ending: Ending) -> Program<'_> {
        Program { words, environment: &self.environment, ending }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The words that a person's terminal becomes to go to a session of a target somewhere else.
pub fn terminal_words(route: &Route, session: &str, read_only: bool) -> Option<Vec<String>> {
    let mut words: Vec<&str> = vec![route.tmux(), "-u"];
    words.extend(route.socket_words());
    words.push("attach-session");
    words.extend(read_only.then_some("-r"));
    words.extend(["-t", session]);
    match &route.way {
        Way::Command { attach, .. } => {
            let attach = attach.as_ref()?.iter().cloned();
            Some(attach.chain(words.into_iter().map(str::to_owned)).collect())
        }
        Way::Ssh(ssh) => {
            let script = quote::with_arguments("exec \"$@\"", words.into_iter().map(str::as_bytes));
            Some(ssh::terminal_words(ssh, &script))
        }
    }
}

/// The words that hold a connection to a target in a person's terminal; nothing where no `ssh` leads
/// there.
pub(crate) fn holding_words(route: &Route, socket: &Path) -> Option<Vec<String>> {
    match &route.way {
        Way::Command { .. } => None,
        Way::Ssh(ssh) => Some(ssh::holding_words(ssh, socket)),
    }
}

/// What the shell in front of a `tmux` that stays brings into a buffer before anything behind it gets
/// there; nothing for a text that is long: a shell reads its input byte by byte.
pub(super) fn load_line(buffer: &OwnName, text: &[u8]) -> Option<Vec<u8>> {
    let line = format!("#load {} {}\n", buffer.as_str(), quote::for_printf(text));
    (line.len() <= LOAD_LINE_BYTES_MAX).then(|| line.into_bytes())
}

/// Where the answer begins behind the line that is the mark.
fn behind(output: &[u8], mark: &str) -> Option<usize> {
    let mark = format!("{mark}\n").into_bytes();
    let at = output.windows(mark.len()).position(|window| window == mark)?;
    Some(at + mark.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::route::Ssh;

    #[test]
    fn an_answer_begins_behind_its_mark_whatever_a_shell_said_before() {
        assert_eq!(behind(b"hello\nqd-1\nanswer", "qd-1"), Some(11));
        assert_eq!(behind(b"no tty qd-1\n", "qd-1"), Some(12));
        assert_eq!(behind(b"qd-12\n", "qd-1"), None);
        assert_eq!(behind(b"", "qd-1"), None);
    }

    #[test]
    fn a_terminal_gets_there_by_the_command_for_terminals_or_not_at_all() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let (way, attach) = (words(&["docker", "exec", "-i", "box"]), None);
        let mut route = Route {
            way: Way::Command { words: way, attach },
            tmux: None,
            socket: Some("/run/s".to_owned()),
        };
        assert_eq!(terminal_words(&route, "$1", false), None);
        if let Way::Command { attach, .. } = &mut route.way {
            *attach = Some(words(&["docker", "exec", "-it", "box"]));
        }
        let there = terminal_words(&route, "$1", true).unwrap().join(" ");
        assert_eq!(there, "docker exec -it box tmux -u -S /run/s attach-session -r -t $1");
        let target = "box".to_owned();
        route.way = Way::Ssh(Ssh { target, options: Vec::new(), accept_new: false });
        let there = terminal_words(&route, "$1", false).unwrap().join(" ");
        assert!(there.starts_with("ssh -t ") && there.contains(" -- box exec sh -c"), "{there}");
    }
}
