//! The tether: a shell at the far end that stays for as long as the connection does.
//!
//! It is the first thing that is started there and the last that ends. Over `ssh` it is the process
//! that holds the connection, and everything else goes through it. Its end is the end of the
//! connection, whoever caused it. Where nothing below tells of a dead path, it is asked for a sign
//! of life.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::ChildStdout;
use tokio::sync::{oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::obstacle::Obstacle;
use super::process::{self, COMPLAINT_BYTES_MAX, ControlProcess, Program};
use super::route::Way;

/// How long the first word from there may take: a shell may read a slow file at its start.
const GREETING_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a path that nothing else watches is asked for a sign of life, and how many questions
/// may go without an answer.
const PROBE_INTERVAL: Duration = Duration::from_secs(3);
const UNANSWERED_MAX: u32 = 2;
/// How much may be printed there before the first word, by whatever a shell reads at its start.
const PREAMBLE_BYTES_MAX: usize = tmux::limits::PREAMBLE_BYTES_MAX;
/// The longest line that is taken behind it.
const LINE_BYTES_MAX: u64 = 4 * 1024;
/// How long a process that has closed its output may take to say why.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The tether of one target. Dropping it ends the connection.
#[derive(Debug, Default)]
pub(super) struct Tether {
    held: Mutex<Option<Held>>,
    /// Nobody will connect again.
    given_up: AtomicBool,
}

/// A connection that was made.
#[derive(Debug)]
struct Held {
    cut: watch::Receiver<Option<Obstacle>>,
    /// Dropped to end it.
    _release: oneshot::Sender<()>,
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
    /// Connects, unless it is connected. Where the last connection ended and nobody has heard of
    /// that, its end is told first.
    pub(super) async fn tie(&self, knot: Knot<'_>) -> Result<(), Obstacle> {
        if self.is_tied() {
            return Ok(());
        }
        if let Some(cut) = self.lock().take().and_then(|held| held.cut.borrow().clone()) {
            return Err(cut);
        }
        let mut process = process::start_control(&knot.program, None).map_err(|error| {
            tracing::info!(%error, "a program that leads to a target does not start");
            Obstacle::NoProgram { program: knot.program.name().to_string_lossy().into_owned() }
        })?;
        let greeted = timeout(GREETING_TIMEOUT, greeting(&mut process, &knot.mark)).await;
        let problem = match greeted {
            Ok(Ok(())) => {
                self.hold(process, &knot);
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

    fn hold(&self, process: ControlProcess, knot: &Knot<'_>) {
        let (told, cut) = watch::channel(None);
        let (release, released) = oneshot::channel();
        let stay = Stay {
            process,
            way: knot.way.clone(),
            mark: knot.mark.clone(),
            probed: knot.probed,
            unanswered: 0,
        };
        tokio::spawn(stay.run(released, told));
        *self.lock() = Some(Held { cut, _release: release });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the first line that begins with the mark. Gives what was said about errors where there
/// is none.
async fn greeting(process: &mut ControlProcess, mark: &str) -> Result<(), String> {
    let mut complaint = Vec::new();
    let met = {
        let reading = find(&mut process.stdout, mark);
        let mut stderr = (&mut process.stderr).take(COMPLAINT_BYTES_MAX);
        let complaining = stderr.read_to_end(&mut complaint);
        let (mut reading, mut complaining) = (std::pin::pin!(reading), std::pin::pin!(complaining));
        tokio::select! {
            met = &mut reading => {
                if met.is_err() {
                    timeout(LAST_WORDS, complaining).await.ok();
                }
                met
            }
            _ = &mut complaining => reading.await,
        }
    };
    met.map_err(|preamble| {
        let said = if complaint.is_empty() { preamble } else { complaint };
        String::from_utf8_lossy(&said).into_owned()
    })
}

/// Reads up to the end of the line that the mark begins. What came before is given back where it
/// never comes.
async fn find(stdout: &mut ChildStdout, mark: &str) -> Result<(), Vec<u8>> {
    let mut seen = Vec::new();
    let mut byte = [0];
    // One byte at a time: what follows the line is for somebody else. It is short.
    while let Ok(1) = stdout.read(&mut byte).await {
        seen.push(byte[0]);
        if byte[0] == b'\n' && line_of(&seen).starts_with(mark.as_bytes()) {
            return Ok(());
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
    mark: String,
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
            timeout(LAST_WORDS, self.process.stdin.write_all(b"bye\n")).await.ok();
        }
        self.process.kill().await;
        if let Some(why) = why {
            told.send_replace(Some(why));
        }
    }

    /// Reads until nothing comes any more, and says why.
    async fn listen(&mut self) -> Obstacle {
        let mut probes = interval(PROBE_INTERVAL);
        probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut complaint, mut silent) = (Vec::new(), false);
        let mut line = Vec::new();
        let process = &mut self.process;
        let mut answers = BufReader::new(&mut process.stdout).take(LINE_BYTES_MAX);
        loop {
            tokio::select! {
                read = answers.read_until(b'\n', &mut line) => match read {
                    Ok(1..) if line.ends_with(b"\n") => {
                        if line.starts_with(self.mark.as_bytes()) {
                            self.unanswered = 0;
                        }
                        line.clear();
                        answers.set_limit(LINE_BYTES_MAX);
                    }
                    Ok(_) | Err(_) => break,
                },
                read = process.stderr.read_buf(&mut complaint), if !silent => {
                    let full = complaint.len() as u64 > COMPLAINT_BYTES_MAX;
                    silent = full || !matches!(read, Ok(1..));
                }
                _ = probes.tick(), if self.probed => {
                    if self.unanswered >= UNANSWERED_MAX {
                        return Obstacle::Silent;
                    }
                    self.unanswered += 1;
                    if process.stdin.write_all(b"alive\n").await.is_err() {
                        break;
                    }
                }
            }
        }
        let rest = timeout(LAST_WORDS, process.stderr.read_to_end(&mut complaint)).await;
        drop(rest);
        let status = timeout(LAST_WORDS, process.ended()).await.ok().and_then(Result::ok);
        Obstacle::of(&self.way, status, &String::from_utf8_lossy(&complaint), true)
    }
}
