//! The tether: a shell at the far end that stays for as long as the connection does.
//!
//! It is the first thing that is started there and the last that ends. Over `ssh` it is the process
//! that holds the connection, and everything else goes through it. Its end is the end of the
//! connection, whoever caused it. Where nothing below tells of a dead path, it is asked for a sign
//! of life.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::ids::PaneId;
use engine::time::WallMs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::ChildStdout;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::far_clock::FarClock;
use super::frames::{Allowance, Frame, Frames};
use super::obstacle::Obstacle;
use super::process::{self, ControlProcess, Program};
use super::route::Way;
use crate::clock::Clock;

/// How long the first word from there may take: a shell may read a slow file at its start.
const GREETING_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a path that nothing else watches is asked for a sign of life, and how many questions
/// may go without an answer.
const PROBE_INTERVAL: Duration = Duration::from_secs(3);
const UNANSWERED_MAX: u32 = 2;
/// How much may be printed there before the first word, by whatever a shell reads at its start.
const PREAMBLE_BYTES_MAX: usize = tmux::limits::PREAMBLE_BYTES_MAX;
/// Bytes that are taken at once behind it, and the longest answer.
const CHUNK_BYTES: usize = 64 * 1024;
const ANSWER_BYTES_MAX: usize = 2 * PART_BYTES_MAX;
/// The longest part of a file that one answer holds.
pub const PART_BYTES_MAX: usize = 64 * 1024;
/// Answers that wait for whoever asked. More than were asked for are left out.
const ANSWERS_MAX: usize = 8;
/// How long the answer to a short question may take.
const SHORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Changed files that wait for whoever watches them. Of more it is told that anything changed.
const STIRS_MAX: usize = 1_024;
/// How long a process that has closed its output may take to say why.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The tether of one target. Dropping it ends the connection.
#[derive(Debug, Default)]
pub(super) struct Tether {
    held: Mutex<Option<Held>>,
    /// The connection's talk, until somebody takes it.
    talk: Mutex<Option<Talk>>,
    came: Notify,
    clock: Mutex<FarClock>,
    stirs: Arc<Stirs>,
    /// Nobody will connect again.
    given_up: AtomicBool,
}

/// A connection that was made.
#[derive(Debug)]
struct Held {
    cut: watch::Receiver<Option<Obstacle>>,
    aside: Aside,
    /// Everything there was looked at once.
    looked: watch::Sender<bool>,
    /// Dropped to end it.
    _release: oneshot::Sender<()>,
}

/// What the shell at the far end can be asked for over one connection.
#[derive(Debug)]
pub struct Talk {
    pub greeting: Greeting,
    words: mpsc::Sender<Saying>,
    answers: mpsc::Receiver<Frame>,
    looked: watch::Receiver<bool>,
}

/// What it said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    pub user: Option<u32>,
    /// How many milliseconds the clock there was behind ours then.
    pub behind_ms: Option<i64>,
}

impl Greeting {
    /// Reads `USER SECONDS.FRACTION`. Where the clock tells no fraction, something else stands there.
    fn read(said: &str, now: WallMs) -> Self {
        let mut words = said.split_whitespace();
        let user = words.next().and_then(|word| word.parse().ok());
        let there = words.next().and_then(clock_ms);
        Self { user, behind_ms: there.map(|there| now.0.saturating_sub(there)) }
    }
}

/// Reads `SECONDS.FRACTION`, as milliseconds.
pub(super) fn clock_ms(said: &str) -> Option<i64> {
    let (seconds, fraction) = said.split_once('.').unwrap_or((said, ""));
    let ms = fraction.get(..3).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    seconds.parse::<i64>().ok()?.checked_mul(1_000)?.checked_add(ms)
}

/// Something to be said there, and who waits for the answer, where that is not the talk.
#[derive(Debug)]
struct Saying {
    words: String,
    asker: Option<(String, oneshot::Sender<Vec<u8>>)>,
}

/// Short questions beside the talk, over the same connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Aside {
    words: mpsc::Sender<Saying>,
}

impl Aside {
    /// Asks, and gives the answer to these words; `more` is said with them and does not come back.
    /// No two questions may have the same words. Nothing where no answer came.
    pub async fn ask(&self, words: &str, more: &str) -> Option<Vec<u8>> {
        self.ask_within(words, more, SHORT_TIMEOUT).await
    }

    /// The same for an answer that may take longer.
    pub(super) async fn ask_within(
        &self,
        words: &str,
        more: &str,
        limit: Duration,
    ) -> Option<Vec<u8>> {
        let (answer, answered) = oneshot::channel();
        let asker = Some((words.to_owned(), answer));
        let asking = async {
            self.words.send(Saying { words: format!("{words}{more}"), asker }).await.ok()?;
            answered.await.ok()
        };
        timeout(limit, asking).await.ok().flatten()
    }

    /// Says what needs no answer; `false` where the connection has ended.
    pub(super) async fn say(&self, words: String) -> bool {
        self.words.send(Saying { words, asker: None }).await.is_ok()
    }

    /// Whether both speak over one connection.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.words.same_channel(&other.words)
    }

    /// Whether the connection has ended.
    pub fn is_over(&self) -> bool {
        self.words.is_closed()
    }
}

impl Talk {
    /// Asks; `false` where the connection has ended.
    pub async fn say(&self, words: String) -> bool {
        self.words.send(Saying { words, asker: None }).await.is_ok()
    }

    /// For those who ask something else meanwhile.
    pub fn aside(&self) -> Aside {
        Aside { words: self.words.clone() }
    }

    /// The next thing that was said there; nothing where the connection has ended.
    pub async fn hear(&mut self) -> Option<Frame> {
        self.answers.recv().await
    }

    /// Waits until everything there was looked at once; `false` where the connection has ended.
    pub async fn looked(&mut self) -> bool {
        self.looked.wait_for(|looked| *looked).await.is_ok()
    }
}

/// What stirred there: a file that is watched, or an agent in a pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stirred {
    /// This came, or was changed.
    Changed(String),
    Gone(String),
    /// Anything may have changed.
    Lost,
    /// Its hook says that the agent in this pane asks for something.
    Asks(PaneId),
}

impl Stirred {
    /// Reads the rest of a `stirred` line.
    fn read(said: &str) -> Option<Self> {
        match said.split_once(' ')? {
            ("+", path) => Some(Self::Changed(path.to_owned())),
            ("-", path) => Some(Self::Gone(path.to_owned())),
            _ => None,
        }
    }
}

/// What changed, until somebody takes it.
#[derive(Debug, Default)]
struct Stirs {
    waiting: Mutex<Vec<Stirred>>,
    came: Notify,
}

impl Stirs {
    fn push(&self, stirred: Stirred) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < STIRS_MAX {
            waiting.push(stirred);
        } else {
            *waiting = vec![Stirred::Lost];
        }
        self.came.notify_one();
    }

    /// Nothing is lost when the wait is given up.
    async fn take(&self) -> Vec<Stirred> {
        loop {
            let came = self.came.notified();
            let waiting = self.waiting();
            if waiting.is_empty() { came.await } else { return waiting }
        }
    }

    fn waiting(&self) -> Vec<Stirred> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How to make one.
#[derive(Debug)]
pub(super) struct Knot<'a> {
    pub program: Program<'a>,
    pub way: &'a Way,
    /// What every line from there begins with.
    pub mark: String,
    /// Nothing below tells of a dead path.
    pub probed: bool,
}

impl Tether {
    /// Whether it is connected. Where the last connection ended and nobody has heard of that, its
    /// end is told first.
    pub(super) fn is_tied_still(&self) -> Result<bool, Obstacle> {
        if self.is_tied() {
            return Ok(true);
        }
        let ended = self.lock().take().and_then(|held| held.cut.borrow().clone());
        ended.map_or(Ok(false), Err)
    }

    /// Connects.
    pub(super) async fn tie(&self, knot: Knot<'_>) -> Result<(), Obstacle> {
        let mut process = process::start_control(&knot.program, None).map_err(|error| {
            tracing::info!(%error, "a program that leads to a target does not start");
            Obstacle::NoProgram { program: knot.program.name().to_string_lossy().into_owned() }
        })?;
        let greeted = timeout(GREETING_TIMEOUT, greeting(&mut process, &knot.mark)).await;
        let problem = match greeted {
            Ok(Ok(greeting)) => {
                self.hold(process, &knot, greeting);
                return Ok(());
            }
            Ok(Err(said)) => {
                let status = timeout(LAST_WORDS, process.ended()).await;
                Obstacle::of(knot.way, status.ok().and_then(Result::ok), &said, false)
            }
            Err(_) => Obstacle::Late { limit_ms: GREETING_TIMEOUT.as_millis() },
        };
        process.kill().await;
        Err(problem)
    }

    /// Waits for the end of the connection, if there is one.
    pub(super) async fn cut(&self) -> Obstacle {
        let cut = self.lock().as_ref().map(|held| held.cut.clone());
        let Some(mut cut) = cut else { return std::future::pending().await };
        let why = cut.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        if let Some(why) = why {
            self.lock().take();
            return why;
        }
        Obstacle::GivenUp
    }

    /// Whether there is a connection, and if not, whether one may come.
    pub(super) fn check(&self) -> Result<(), Obstacle> {
        if self.is_tied() {
            Ok(())
        } else if self.given_up.load(Ordering::Acquire) {
            Err(Obstacle::GivenUp)
        } else {
            Err(Obstacle::NotConnected)
        }
    }

    fn is_tied(&self) -> bool {
        self.lock().as_ref().is_some_and(|held| held.cut.borrow().is_none())
    }

    /// Ends the connection for good.
    pub(super) fn untie(&self) {
        self.given_up.store(true, Ordering::Release);
        self.lock().take();
    }

    /// Takes the talk over the next connection that is made.
    pub(super) async fn talk(&self) -> Talk {
        loop {
            let came = self.came.notified();
            let talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner).take();
            match talk {
                Some(talk) => return talk,
                None => came.await,
            }
        }
    }

    /// For questions over the connection, if there is one.
    pub(super) fn aside(&self) -> Option<Aside> {
        self.lock().as_ref().map(|held| held.aside.clone())
    }

    /// Waits until something changed that is watched there. Nothing is lost when the wait is given
    /// up.
    pub(super) async fn stirs(&self) -> Vec<Stirred> {
        self.stirs.take().await
    }

    /// Something changes there, of which somebody else has heard.
    pub(super) fn stir(&self, stirred: Stirred) {
        self.stirs.push(stirred);
    }

    /// Everything there was looked at.
    pub(super) fn looked(&self) {
        if let Some(held) = self.lock().as_ref() {
            held.looked.send_replace(true);
        }
    }

    fn hold(&self, process: ControlProcess, knot: &Knot<'_>, greeting: Greeting) {
        let (told, cut) = watch::channel(None);
        let (release, released) = oneshot::channel();
        let (looked, seen) = watch::channel(false);
        let (words, asked) = mpsc::channel(ANSWERS_MAX);
        let (answer, answers) = mpsc::channel(ANSWERS_MAX);
        let stay = Stay {
            process,
            way: knot.way.clone(),
            frames: Frames::new(&knot.mark, ANSWER_BYTES_MAX),
            allowance: Allowance::new(),
            asked,
            askers: BTreeMap::new(),
            answer,
            stirs: Arc::clone(&self.stirs),
            probed: knot.probed,
            unanswered: 0,
        };
        tokio::spawn(stay.run(released, told));
        self.far_clock().measured(greeting.behind_ms);
        let aside = Aside { words: words.clone() };
        *self.lock() = Some(Held { cut, aside, looked, _release: release });
        let talk = Talk { greeting, words, answers, looked: seen };
        *self.talk.lock().unwrap_or_else(PoisonError::into_inner) = Some(talk);
        self.came.notify_one();
    }

    /// The clock there.
    pub(super) fn far_clock(&self) -> MutexGuard<'_, FarClock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the first line that begins with the mark. Gives what was said about errors where there
/// is none.
async fn greeting(process: &mut ControlProcess, mark: &str) -> Result<Greeting, String> {
    let met = process.complaint.during(find(&mut process.stdout, mark)).await;
    if met.is_err() {
        process.complaint.end_within(LAST_WORDS).await;
    }
    let complaint = process.complaint.kept();
    met.map_err(|preamble| {
        let said = if complaint.is_empty() { &preamble } else { complaint };
        String::from_utf8_lossy(said).into_owned()
    })
}

/// Reads up to the end of the line that the mark begins, and what it says. What came before is
/// given back where it never comes.
async fn find(stdout: &mut ChildStdout, mark: &str) -> Result<Greeting, Vec<u8>> {
    let mut seen = Vec::new();
    let mut byte = [0];
    // One byte at a time: what follows the line is for somebody else. It is short.
    while let Ok(1) = stdout.read(&mut byte).await {
        seen.push(byte[0]);
        // Only a whole line is looked for: one may be as long as all of this.
        let line = (byte[0] == b'\n').then(|| line_of(&seen));
        let said = line.and_then(|line| line.strip_prefix(mark.as_bytes()));
        if let Some(said) = said.and_then(|said| said.strip_prefix(b" hello ")) {
            let now = Clock::new().now().wall;
            return Ok(Greeting::read(&String::from_utf8_lossy(said), now));
        }
        if seen.len() > PREAMBLE_BYTES_MAX {
            break;
        }
    }
    Err(seen)
}

/// The last line of what was read.
fn line_of(seen: &[u8]) -> &[u8] {
    let body = &seen[..seen.len().saturating_sub(1)];
    let begin = body.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    &body[begin..]
}

/// The task that stays with the process.
struct Stay {
    process: ControlProcess,
    way: Way,
    frames: Frames,
    allowance: Allowance,
    /// What is wanted to be asked there, who wait for answers of their own, and the answers for
    /// whoever holds the talk.
    asked: mpsc::Receiver<Saying>,
    askers: BTreeMap<String, oneshot::Sender<Vec<u8>>>,
    answer: mpsc::Sender<Frame>,
    stirs: Arc<Stirs>,
    probed: bool,
    unanswered: u32,
}

impl Stay {
    async fn run(
        mut self,
        mut released: oneshot::Receiver<()>,
        told: watch::Sender<Option<Obstacle>>,
    ) {
        let why = tokio::select! {
            // Whoever gave it up needs no reason.
            _ = &mut released => None,
            why = self.listen() => Some(why),
        };
        if why.is_none() {
            // Our session there was seen to already.
            timeout(LAST_WORDS, self.process.stdin.write_all(b"\nbye\n")).await.ok();
        }
        self.process.kill().await;
        if let Some(why) = why {
            told.send_replace(Some(why));
        }
    }

    /// Listens until nothing comes any more, and says why.
    async fn listen(&mut self) -> Obstacle {
        let mut probes = interval(PROBE_INTERVAL);
        probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut chunk = vec![0; CHUNK_BYTES];
        let process = &mut self.process;
        loop {
            tokio::select! {
                read = process.stdout.read(&mut chunk) => match read {
                    Ok(length @ 1..) => {
                        // Whatever comes is a sign of life.
                        self.unanswered = 0;
                        let allowed = self.allowance.came(length);
                        let Ok(frames) = allowed.and_then(|()| self.frames.take(&chunk[..length]))
                        else {
                            return Obstacle::Babble;
                        };
                        for frame in frames {
                            hand(frame, &mut self.askers, &self.answer, &self.stirs);
                        }
                    }
                    Ok(0) | Err(_) => break,
                },
                () = process.complaint.hear() => {}
                Some(Saying { words, asker }) = self.asked.recv() => {
                    self.askers.retain(|_, asker| !asker.is_closed());
                    if self.askers.is_empty() && !self.probed {
                        probes.reset();
                    }
                    self.askers.extend(asker);
                    self.allowance.asked(ANSWER_BYTES_MAX);
                    // An end of line before it, so that no other word can be in front of it.
                    let line = format!("\n{words}\n");
                    if process.stdin.write_all(line.as_bytes()).await.is_err() {
                        break;
                    }
                }
                // A shell that owes an answer may hang where nothing below it does.
                _ = probes.tick(), if self.probed || !self.askers.is_empty() => {
                    if self.unanswered >= UNANSWERED_MAX {
                        return silence(&self.askers);
                    }
                    self.unanswered += 1;
                    if process.stdin.write_all(b"\nalive\n").await.is_err() {
                        break;
                    }
                }
            }
        }
        process.complaint.end_within(LAST_WORDS).await;
        let status = timeout(LAST_WORDS, process.ended()).await.ok().and_then(Result::ok);
        Obstacle::of(&self.way, status, &String::from_utf8_lossy(process.complaint.kept()), true)
    }
}

/// Why nothing comes any more: whoever reads a file for somebody may wait for a disk.
fn silence(askers: &BTreeMap<String, oneshot::Sender<Vec<u8>>>) -> Obstacle {
    let reads = |(words, asker): (&String, &oneshot::Sender<_>)| {
        !asker.is_closed() && !words.starts_with("door ")
    };
    if askers.iter().any(reads) { Obstacle::Stuck } else { Obstacle::Silent }
}

/// Gives an answer to whoever waits for it.
fn hand(
    frame: Frame,
    askers: &mut BTreeMap<String, oneshot::Sender<Vec<u8>>>,
    talk: &mpsc::Sender<Frame>,
    stirs: &Stirs,
) {
    if let Frame::Line(line) = &frame
        && let Some(said) = line.strip_prefix("stirred ")
    {
        Stirred::read(said).into_iter().for_each(|stirred| stirs.push(stirred));
        return;
    }
    let asker = match &frame {
        Frame::Body { asked, .. } => askers.remove(asked),
        Frame::Line(_) => None,
    };
    match (asker, frame) {
        // Who does not wait any more has no use for it.
        (Some(asker), Frame::Body { bytes, .. }) => drop(asker.send(bytes)),
        // Where it is full, nobody asked for so much.
        (_, frame) => drop(talk.try_send(frame)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_changed_there_waits_and_more_than_is_asked_for_is_not_gathered() {
        let (stirs, mut askers) = (Stirs::default(), BTreeMap::new());
        let (talk, mut heard) = mpsc::channel(8);
        let mut say = |line: &str| hand(Frame::Line(line.to_owned()), &mut askers, &talk, &stirs);
        say("stirred + /a b");
        say("stirred - /c");
        say("stirred");
        say("stirred ? /d");
        say("alive");
        let changed = |path: &str| Stirred::Changed(path.to_owned());
        assert_eq!(stirs.take().await, [changed("/a b"), Stirred::Gone("/c".to_owned())]);
        assert!(matches!(heard.try_recv(), Ok(Frame::Line(line)) if line == "stirred"));
        for _ in 0..=STIRS_MAX {
            say("stirred + /a");
        }
        assert_eq!(stirs.take().await, [Stirred::Lost]);
    }

    #[test]
    fn a_shell_that_falls_silent_over_a_file_is_told_from_a_path_that_goes_dead() {
        let (answer, asker) = oneshot::channel();
        let mut askers = BTreeMap::from([("door a still 1".to_owned(), answer)]);
        assert_eq!(silence(&askers), Obstacle::Silent);
        let (answer, gone) = oneshot::channel();
        askers.insert("file 1".to_owned(), answer);
        assert_eq!(silence(&askers), Obstacle::Stuck);
        drop(gone);
        assert_eq!(silence(&askers), Obstacle::Silent, "nobody waits for it any more");
        drop(asker);
    }

    #[test]
    fn a_greeting_says_who_and_when_as_far_as_it_can() {
        let read = |said| Greeting::read(said, WallMs(20_000));
        let whole = Greeting { user: Some(7), behind_ms: Some(2_877) };
        assert_eq!(read("7 17.123456789"), whole);
        let seconds = Greeting { user: Some(7), behind_ms: Some(3_000) };
        assert_eq!(read("7 17.%N"), seconds);
        assert_eq!(read("7 17"), seconds);
        assert_eq!(read("x"), Greeting::default());
        assert_eq!(read(&format!("7 {}", i64::MAX)).behind_ms, None);
    }
}
