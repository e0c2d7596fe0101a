//! Starting programs: the one place where the daemon does.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;

use super::failure::TmuxFailure;
use super::pace::{Told, Window};
use super::usher::Usher;
use crate::clock::Clock;
use crate::sys;

/// Most bytes of output that one program may print; beyond it the program is killed.
const OUTPUT_BYTES_MAX: usize = tmux::limits::BLOCK_BYTES_MAX;
/// Most bytes of what it says about errors that are kept.
const COMPLAINT_BYTES_MAX: usize = 16 * 1024;
/// How long what a program says about errors is waited for once it is over. Somebody else may hold
/// that pipe for ever: whatever a login shell started.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How long a program may take to end with its input before it is killed.
const INPUT_END: Duration = Duration::from_secs(1);

/// The variables that programs of a target are given, where we have them ourselves.
const ALLOWED: [&str; 9] = [
    "HOME",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TMUX_TMPDIR",
    "USER",
    "XDG_RUNTIME_DIR",
];
/// Where the keys of `ssh` are asked for; for nobody else.
const SSH_AGENT: &str = "SSH_AUTH_SOCK";
/// Text is UTF-8, and messages are not translated, whatever language the user speaks.
const LOCALE: (&str, &str) = ("LC_ALL", "C.UTF-8");

/// The environment of all programs that we start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: Vec<(OsString, OsString)>,
    /// What the `ssh` that makes a connection may be given besides.
    ssh_agent: Option<OsString>,
    /// How many descriptors they may have open, where that is not what we may.
    descriptors: Option<u64>,
}

impl Environment {
    /// Keeps what is on the list.
    pub fn allowed(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let allowed = |key: &OsStr| ALLOWED.iter().any(|name| key == *name);
        let (mut kept, mut ssh_agent) = (Vec::new(), None);
        for (key, value) in variables {
            if key == SSH_AGENT {
                ssh_agent = Some(value);
            } else if allowed(&key) {
                kept.push((key, value));
            }
        }
        kept.push((LOCALE.0.into(), LOCALE.1.into()));
        Self { variables: kept, ssh_agent, descriptors: None }
    }

    /// The same for the environment of this process.
    pub fn of_this_process() -> Self {
        Self::allowed(std::env::vars_os())
    }

    /// With this limit of open descriptors, where there is one.
    #[must_use]
    pub fn with_descriptors(self, limit: Option<u64>) -> Self {
        Self { descriptors: limit, ..self }
    }

    /// Where the agent is that holds the user's keys, as this process was told.
    pub(super) fn key_agent(&self) -> Option<&OsStr> {
        self.ssh_agent.as_deref()
    }

    /// The same for an `ssh` that may ask this agent.
    #[must_use]
    pub(super) fn for_ssh(mut self, agent: Option<&Path>) -> Self {
        self.variables.extend(agent.map(|socket| (SSH_AGENT.into(), socket.into())));
        self
    }

    /// With these variables more.
    #[must_use]
    pub(crate) fn with_variables(
        mut self,
        more: impl Iterator<Item = (&'static str, OsString)>,
    ) -> Self {
        self.variables.extend(more.map(|(name, value)| (name.into(), value)));
        self
    }

    pub fn variables(&self) -> &[(OsString, OsString)] {
        &self.variables
    }
}

/// How a program that stays is ended, by us and by our own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is killed.
    Kill,
    /// Its input ends, and a shell at the far end sees to the rest. It is asked to end too, and
    /// killed only if it does neither.
    Input,
}

impl Ending {
    /// The signal that it gets when we are gone.
    fn signal(self) -> Signal {
        match self {
            Self::Kill => Signal::KILL,
            Self::Input => Signal::TERM,
        }
    }
}

/// One program, about to be started.
#[derive(Debug)]
pub(super) struct Program<'a> {
    /// Never empty.
    pub words: Vec<OsString>,
    pub environment: &'a Environment,
    pub ending: Ending,
}

/// A program that ran to its end.
#[derive(Debug)]
pub(super) struct Finished {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Finished {
    pub(super) fn success(&self) -> bool {
        self.status.success()
    }
}

/// A program that stays. Dropping it ends it first and closes its pipes then: a `tmux` whose pipes
/// are closed while it lives can wedge the server.
#[derive(Debug)]
pub struct ControlProcess {
    leash: Leash,
    /// Who let it in; goes when it is gone, and before its pipes do.
    usher: Option<Usher>,
    pub stdin: ChildStdin,
    pub stdout: ChildStdout,
    pub complaint: Complaint,
}

/// What a program says about errors. It is read for as long as it comes, because whoever cannot get
/// rid of it may stop to answer, too; what is kept of it is its beginning.
#[derive(Debug)]
pub struct Complaint {
    pipe: Option<ChildStderr>,
    kept: Vec<u8>,
    scrap: Box<[u8]>,
}

impl Complaint {
    fn of(pipe: Option<ChildStderr>) -> Self {
        Self { pipe, kept: Vec::new(), scrap: vec![0; COMPLAINT_BYTES_MAX].into() }
    }

    /// Reads a piece of it; waits for ever where no more can come. Nothing is lost when the wait is
    /// given up.
    pub async fn hear(&mut self) {
        let Some(pipe) = &mut self.pipe else { return std::future::pending().await };
        match pipe.read(&mut self.scrap).await {
            Ok(length @ 1..) => {
                let room = COMPLAINT_BYTES_MAX - self.kept.len();
                self.kept.extend_from_slice(&self.scrap[..length.min(room)]);
            }
            Ok(0) | Err(_) => self.pipe = None,
        }
    }

    /// Reads it to its end, for as long as that may take.
    pub async fn end_within(&mut self, limit: Duration) {
        let ending = async {
            while self.pipe.is_some() {
                self.hear().await;
            }
        };
        // What was kept is all that can be had then.
        tokio::time::timeout(limit, ending).await.ok();
    }

    /// Waits for something else, and reads it meanwhile.
    pub async fn during<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = std::pin::pin!(other);
        loop {
            tokio::select! {
                biased;
                done = &mut other => return done,
                () = self.hear() => {}
            }
        }
    }

    pub fn kept(&self) -> &[u8] {
        &self.kept
    }
}

/// A child that does not outlive this.
#[derive(Debug)]
struct Leash {
    child: Child,
    ending: Ending,
}

impl ControlProcess {
    pub fn pid(&self) -> Option<u32> {
        self.leash.child.id()
    }

    /// Waits for the end of a process that has been seen to close its output.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.leash.child.wait().await
    }

    /// Ends it, waits until it is gone and closes its pipes.
    pub async fn kill(self) {
        let Self { mut leash, usher, stdin, stdout, mut complaint } = self;
        if leash.ending == Ending::Input {
            drop(stdin);
            let ended = tokio::time::timeout(INPUT_END, leash.child.wait());
            if complaint.during(ended).await.is_ok() {
                return;
            }
        }
        if let Err(error) = leash.child.kill().await {
            tracing::debug!(%error, "a program that stays was gone already");
        }
        if let Some(usher) = usher {
            usher.close().await;
        }
        drop((stdout, complaint));
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        match self.ending {
            Ending::Kill => {
                // It may have ended by itself; then there is nothing to kill.
                self.child.start_kill().ok();
            }
            Ending::Input => {
                let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
                if let Some(pid) = pid.and_then(Pid::from_raw) {
                    kill_process(pid, Signal::TERM).ok();
                }
            }
        }
    }
}

/// What a program gets to read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Feed<'a> {
    pub text: Option<&'a [u8]>,
    /// The mark behind which it says how much it has got, where it does: then no more is sent than it
    /// gets soon.
    pub told: Option<&'a str>,
}

/// Starts a program and waits for its end, at most as long as `limit`.
pub(super) async fn run(program: &Program<'_>, limit: Duration) -> Result<Finished, TmuxFailure> {
    feed(program, Feed::default(), None, limit).await
}

/// The same for a program that reads a text; where it says how much it has got, the limit begins anew
/// each time. Where a seal is named, a line of it and a number as the last of the output is the end,
/// with that status: the program itself may stay for as long as anything that was started on the way
/// there lives.
pub(super) async fn feed(
    program: &Program<'_>,
    feed: Feed<'_>,
    seal: Option<&str>,
    limit: Duration,
) -> Result<Finished, TmuxFailure> {
    let mut child = command(program)
        .stdin(if feed.text.is_some() { Stdio::piped() } else { Stdio::null() })
        .spawn()
        .map_err(|error| super::failure::not_started(program.name(), error))?;
    let stdin = child.stdin.take();
    let (tell, mut told) = watch::channel(0);
    let finished = {
        let mut ears = feed.told.map(|mark| (Told::new(mark), tell));
        let heard = move |said: &[u8]| {
            if let Some((told, tell)) = &mut ears {
                tell.send_replace(told.total(said));
            }
        };
        let paced = feed.told.map(|_| told.clone());
        let feeding = async {
            // One that ends before it has read everything says why by itself.
            if let (Some(stdin), Some(text)) = (stdin, feed.text) {
                write(stdin, text, paced).await.ok();
            }
        };
        let finishing = async { tokio::join!(finish(&mut child, seal, heard), feeding).0 };
        tokio::select! {
            biased;
            finished = finishing => Some(finished),
            () = stalled(&mut told, limit) => None,
        }
    };
    let failure = match finished {
        Some(Ok(finished)) => return Ok(finished),
        Some(Err(failure)) => failure,
        None => TmuxFailure::Timeout { limit },
    };
    if let Err(error) = child.kill().await {
        tracing::debug!(%error, "a program was gone before it could be killed");
    }
    Err(failure)
}

/// Waits until nothing was told for so long.
async fn stalled(told: &mut watch::Receiver<usize>, limit: Duration) {
    let mut stalled = std::pin::pin!(tokio::time::sleep(limit));
    loop {
        tokio::select! {
            () = &mut stalled => return,
            Ok(()) = told.changed() => stalled.set(tokio::time::sleep(limit)),
        }
    }
}

/// Writes a text, no more of it at once than gets there soon where that is told, and ends the input.
async fn write(
    mut stdin: ChildStdin,
    text: &[u8],
    told: Option<watch::Receiver<usize>>,
) -> io::Result<()> {
    let Some(mut told) = told else { return stdin.write_all(text).await };
    let (clock, mut window, mut left) = (Clock::new(), Window::default(), text);
    while !left.is_empty() {
        let (piece, rest) = left.split_at(window.room().min(left.len()));
        if piece.is_empty() {
            if told.changed().await.is_err() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            window.heard(*told.borrow_and_update(), clock.now().mono);
            continue;
        }
        stdin.write_all(piece).await?;
        window.sent(piece.len(), clock.now().mono);
        left = rest;
    }
    Ok(())
}

/// Runs a program that a setting of the user's names; what it prints is of no interest.
pub(crate) async fn run_for_user(
    words: Vec<OsString>,
    environment: &Environment,
    limit: Duration,
) -> Result<ExitStatus, TmuxFailure> {
    let program = Program { words, environment, ending: Ending::Kill };
    Ok(run(&program, limit).await?.status)
}

/// Starts the program that stays, with who lets it in.
pub(super) fn start_control(
    program: &Program<'_>,
    usher: Option<Usher>,
) -> io::Result<ControlProcess> {
    let mut child = command(program).stdin(Stdio::piped()).spawn()?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), complaint) = pipes else {
        return Err(io::Error::from(io::ErrorKind::BrokenPipe));
    };
    let complaint = Complaint::of(complaint);
    let leash = Leash { child, ending: program.ending };
    Ok(ControlProcess { leash, usher, stdin, stdout, complaint })
}

async fn finish(
    child: &mut Child,
    seal: Option<&str>,
    heard: impl FnMut(&[u8]),
) -> Result<Finished, TmuxFailure> {
    let stdout = child.stdout.take();
    let mut complaint = Complaint::of(child.stderr.take());
    let (stdout, sealed) = complaint.during(drain(stdout, seal, heard)).await?;
    let status = if let Some(status) = sealed {
        // Nobody waits for what may live for ever.
        child.start_kill().ok();
        status
    } else {
        complaint.during(child.wait()).await?
    };
    complaint.end_within(LAST_WORDS).await;
    Ok(Finished { status, stdout, stderr: complaint.kept })
}

/// Reads to the end, or to the seal with nothing behind it; gives the status that stands there.
async fn drain(
    pipe: Option<ChildStdout>,
    seal: Option<&str>,
    mut heard: impl FnMut(&[u8]),
) -> Result<(Vec<u8>, Option<ExitStatus>), TmuxFailure> {
    let mut bytes = Vec::new();
    let Some(mut pipe) = pipe else { return Ok((bytes, None)) };
    loop {
        let sealed = seal.and_then(|seal| sealed(&bytes, seal));
        let read = pipe.read_buf(&mut bytes);
        let read = if sealed.is_some() {
            // Somebody may have written just that: then there is more.
            tokio::time::timeout(LAST_WORDS, read).await.unwrap_or(Ok(0))
        } else {
            read.await
        };
        if read? == 0 {
            if let Some((end, _)) = sealed {
                bytes.truncate(end);
            }
            return Ok((bytes, sealed.map(|(_, status)| status)));
        }
        if bytes.len() > OUTPUT_BYTES_MAX {
            return Err(TmuxFailure::TooMuch);
        }
        heard(&bytes);
    }
}

/// Where the last line begins, if it is the seal, and the status that it tells.
fn sealed(output: &[u8], seal: &str) -> Option<(usize, ExitStatus)> {
    let begin = output.len().saturating_sub(seal.len() + SEAL_BYTES_MORE);
    let line = output.strip_suffix(b"\n")?;
    let at = begin + line.get(begin..)?.iter().rposition(|&byte| byte == b'\n')?;
    let said = std::str::from_utf8(&line[at + 1..]).ok()?;
    let code: i32 = said.strip_prefix(seal)?.strip_prefix(' ')?.parse().ok()?;
    // As a shell tells of a program that a signal ended.
    let raw = if code > 128 { code - 128 } else { code << 8 };
    Some((at, ExitStatus::from_raw(raw)))
}

/// What is around a seal: two ends of lines, a blank, three digits.
const SEAL_BYTES_MORE: usize = 6;

fn command(program: &Program<'_>) -> Command {
    #[expect(clippy::disallowed_methods, reason = "this is the Target that the ban points to")]
    let mut command = std::process::Command::new(program.name());
    command.args(&program.words[1..]).env_clear();
    command.envs(program.environment.variables().iter().map(|(key, value)| (key, value)));
    command.current_dir("/").stdout(Stdio::piped()).stderr(Stdio::piped());
    let signal = program.ending.signal();
    sys::tie_to_this_thread(&mut command, program.environment.descriptors, signal);
    let mut command = Command::from(command);
    command.kill_on_drop(program.ending == Ending::Kill);
    command
}

impl Program<'_> {
    pub(super) fn name(&self) -> &OsStr {
        &self.words[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program<'a>(environment: &'a Environment, words: &[&str]) -> Program<'a> {
        let words = words.iter().map(OsString::from).collect();
        Program { words, environment, ending: Ending::Kill }
    }

    async fn finished(words: &[&str]) -> Result<Finished, TmuxFailure> {
        let environment = Environment::of_this_process();
        run(&program(&environment, words), Duration::from_secs(20)).await
    }

    #[tokio::test]
    async fn a_child_sees_only_what_is_on_the_list() {
        let variables =
            [("PATH", "/usr/bin:/bin"), ("SECRET", "x"), ("TMUX", "y"), ("LC_ALL", "de")];
        let environment = Environment::allowed(
            variables.map(|(key, value)| (OsString::from(key), OsString::from(value))),
        );
        let seen = run(&program(&environment, &["env"]), Duration::from_secs(20)).await.unwrap();
        let text = String::from_utf8(seen.stdout).unwrap();
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin"]);
    }

    #[tokio::test]
    async fn a_child_has_no_blocked_or_ignored_signals_and_dies_with_its_parent() {
        let status = finished(&["cat", "/proc/self/status"]).await.unwrap().stdout;
        let status = String::from_utf8(status).unwrap();
        let mask = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
        };
        assert_eq!(mask("SigBlk:"), 0);
        let sigpipe = 1 << (rustix::process::Signal::PIPE.as_raw() - 1);
        assert_eq!(mask("SigIgn:") & sigpipe, 0);
    }

    #[tokio::test]
    async fn a_program_gets_the_limit_of_descriptors_that_we_were_given() {
        let environment = Environment::of_this_process().with_descriptors(Some(77));
        let asks = program(&environment, &["sh", "-c", "ulimit -n"]);
        let answer = run(&asks, Duration::from_secs(20)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer.stdout).trim(), "77");
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_killed() {
        let environment = Environment::of_this_process();
        let limit = Duration::from_millis(50);
        let late = run(&program(&environment, &["sleep", "1000"]), limit).await;
        assert!(matches!(late, Err(TmuxFailure::Timeout { .. })), "{late:?}");
    }

    #[tokio::test]
    async fn a_program_that_never_stops_printing_is_cut() {
        let endless = finished(&["cat", "/dev/zero"]).await;
        assert!(matches!(endless, Err(TmuxFailure::TooMuch)), "{endless:?}");
    }

    #[tokio::test]
    async fn whoever_complains_for_ever_is_not_waited_for_and_keeps_nobody_from_answering() {
        for job in ["sleep 1000", "while :; do echo no; done", "while sleep 0.01; do echo no; done"]
        {
            // It is not ours to end where it never writes.
            let script = format!("({job}) >/dev/null & echo $!; echo yes");
            let answer = finished(&["sh", "-c", &script]).await.unwrap();
            let said = String::from_utf8(answer.stdout).unwrap();
            let (job, answered) = said.split_once('\n').unwrap();
            kill_process(Pid::from_raw(job.parse().unwrap()).unwrap(), Signal::KILL).ok();
            assert_eq!(answered, "yes\n");
        }
        // An answer that comes only behind more of it than any pipe holds.
        let long = "head -c 4000000 /dev/zero >&2; echo yes; exit 3";
        let answer = finished(&["sh", "-c", long]).await.unwrap();
        assert_eq!((answer.stdout.as_slice(), answer.status.code()), (&b"yes\n"[..], Some(3)));
        assert_eq!(answer.stderr.len(), COMPLAINT_BYTES_MAX);
    }

    #[test]
    fn word_of_what_has_come_is_no_seal_however_long_nothing_follows() {
        for (told, total) in [("mark+5\n", 5), ("\nmark+128\n", 128), ("mark+all\n", usize::MAX)] {
            assert!(sealed(told.as_bytes(), "mark").is_none(), "{told:?}");
            assert_eq!(Told::new("mark").total(told.as_bytes()), total);
        }
        assert!(sealed(b"mark+5\n\nmark 0\n", "mark").is_some());
    }

    #[tokio::test]
    async fn a_seal_is_the_end_of_an_answer_only_where_nothing_comes_behind_it() {
        let environment = Environment::of_this_process();
        let sealed = async |script: &str| {
            let asks = program(&environment, &["sh", "-c", script]);
            let limit = Duration::from_secs(20);
            let answer = feed(&asks, Feed::default(), Some("seal"), limit).await.unwrap();
            (String::from_utf8(answer.stdout).unwrap(), answer.status)
        };
        // What stays is killed.
        let (said, status) = sealed("printf 'a\n\nseal 1\n'; exec sleep 1000").await;
        assert_eq!((said.as_str(), status.code()), ("a\n", Some(1)));
        let (said, status) = sealed("printf '\nseal 137\n'; exec sleep 1000").await;
        assert_eq!((said.as_str(), status.signal()), ("", Some(9)));
        let (said, status) = sealed("printf 'seal 1\nseal 1\n'; printf 'more\nunseal 1\n'").await;
        assert_eq!((said.as_str(), status.code()), ("seal 1\nseal 1\nmore\nunseal 1\n", Some(0)));
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let missing = finished(&["no-such-program"]).await.unwrap_err();
        assert!(
            matches!(&missing, TmuxFailure::Missing { program } if program == "no-such-program")
        );
    }
}
