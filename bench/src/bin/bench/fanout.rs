//! Many watchers and many events: what a delivered change costs, how late it comes, and what a
//! stopped watcher does to the others.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use bench::cost;
use bench::figures::Samples;
use bench::report::Report;
use bench::world::{Binary, World};
use testkit::wait::{Deadline, now};
use testkit::{Next, Stream};

use crate::ingest::Client;

const WATCHERS: usize = 100;
/// Each source reports about a pane of its own, so that every event is a change that is told.
const SOURCES: usize = 10;
const EVENTS_PER_S: usize = 1_000;
const LENGTH: Duration = Duration::from_secs(3);
/// Turns with and without a stopped watcher, one after the other: the slowest changes of a single
/// one say more about the machine.
const TURNS: usize = 5;

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    let world = World::new(qd, 50, "exec sleep 100000");
    let (mut quiet, mut stopped) = (Turns::default(), Turns::default());
    for turn in 0..TURNS {
        quiet.add(&round(&world, turn, false)?);
        stopped.add(&round(&world, turn, true)?);
    }
    let per_s = quiet.changes_per_s.median();
    report.figure("changes a second, each to 100 watchers", per_s, "/s", "1000");
    report.figure("processor time a delivered change", quiet.us_each.median(), "us", "10");
    report.figure("event sent -> at a watcher, median", quiet.median_ms.median(), "ms", "-");
    report.figure("  99 of 100", quiet.p99_ms.median(), "ms", "20");
    let effect = (stopped.p99_ms.median() / quiet.p99_ms.median() - 1.0) * 100.0;
    report.figure("one stopped watcher: p99 of the others", effect, "% more", "10");
    Ok(())
}

/// What each turn of one kind came to.
#[derive(Default)]
struct Turns {
    changes_per_s: Samples,
    us_each: Samples,
    median_ms: Samples,
    p99_ms: Samples,
}

impl Turns {
    fn add(&mut self, round: &Round) {
        self.changes_per_s.push(round.changes_per_s);
        self.us_each.push(round.us_each);
        self.median_ms.push(round.lags.median());
        self.p99_ms.push(round.lags.quantile(0.99));
    }
}

struct Round {
    changes_per_s: f64,
    us_each: f64,
    lags: Samples,
}

/// When the changes of each pane were sent, or seen, in their order.
type Moments = BTreeMap<String, Vec<Instant>>;

#[expect(clippy::cast_precision_loss, reason = "counts of seconds")]
fn round(world: &World, turn: usize, with_stopped: bool) -> anyhow::Result<Round> {
    let _stopped: Option<Stream> = with_stopped.then(|| world.watch());
    let judge = Judge::begin(world);
    let readers: Vec<_> =
        (1..WATCHERS).map(|_| Reader::begin(&world.env.socket())).collect::<Result<_, _>>()?;
    let lives: Vec<(String, String)> = world.panes()[..SOURCES]
        .iter()
        .map(|pane| Some((text(&pane["identity"]["pane_id"])?, text(&pane["runtime_id"])?)))
        .collect::<Option<_>>()
        .context("panes with runtimes")?;
    let pid = world.daemon().pid();
    let (cpu, began) = (cost::cpu_s(pid), now());
    let sources: Vec<_> = lives
        .into_iter()
        .map(|life| {
            let socket = world.env.socket();
            let name = format!("fan-{turn}-{with_stopped}");
            std::thread::spawn(move || send(&socket, life, &name))
        })
        .collect();
    let mut sent = Moments::new();
    for source in sources {
        let (pane, moments) = source.join().map_err(|_| anyhow::anyhow!("a source panicked"))??;
        sent.insert(pane, moments);
    }
    let took = began.elapsed().as_secs_f64();
    let seen = judge.end(sent.values().map(Vec::len).sum());
    let spent = cost::cpu_s(pid) - cpu;
    // All are told before the first is waited for: each notices only when it has read nothing for a
    // while.
    readers.iter().for_each(Reader::tell_over);
    let delivered: u64 = readers.into_iter().map(Reader::lines).sum();
    let mut lags = Samples::default();
    for (pane, moments) in &sent {
        for (sent, seen) in moments.iter().zip(&seen[pane]) {
            lags.push_ms(seen.saturating_duration_since(*sent));
        }
    }
    let changes: usize = seen.values().map(Vec::len).sum();
    Ok(Round {
        changes_per_s: changes as f64 / took,
        us_each: spent * 1e6 / delivered.max(1) as f64,
        lags,
    })
}

fn text(value: &serde_json::Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Reports about one pane at its share of the pace: two states in turn, so each event is a change.
fn send(
    socket: &Path,
    (pane, runtime): (String, String),
    name: &str,
) -> anyhow::Result<(String, Vec<Instant>)> {
    let mut client = Client::connect(socket)?;
    let step = Duration::from_secs(1) * u32::try_from(SOURCES)? / u32::try_from(EVENTS_PER_S)?;
    let (end, mut due) = (Deadline::after(LENGTH), now());
    let mut moments = Vec::new();
    while !end.left().is_zero() {
        std::thread::sleep(due.saturating_duration_since(now()));
        due += step;
        let number = moments.len();
        let event_type = if number % 2 == 0 { "running" } else { "idle" };
        moments.push(now());
        client.emit(&runtime, event_type, &format!("{name}-{pane}-{number}"))?;
    }
    Ok((pane, moments))
}

/// The watcher that takes the time.
struct Judge(std::sync::mpsc::Receiver<(String, Instant)>);

impl Judge {
    fn begin(world: &World) -> Self {
        let mut stream = world.watch();
        let (tell, told) = std::sync::mpsc::sync_channel(1 << 16);
        std::thread::spawn(move || {
            while let Next::Line(line) = stream.next_line(Duration::from_secs(5)) {
                let at = now();
                let Ok(frame) = serde_json::from_str::<serde_json::Value>(&line) else { return };
                for change in frame["changes"].as_array().into_iter().flatten() {
                    let pane = text(&change["identity"]["pane_id"]).unwrap_or_default();
                    if tell.send((pane, at)).is_err() {
                        return;
                    }
                }
            }
        });
        Self(told)
    }

    /// Waits until as many changes were seen, or no more come.
    fn end(self, expected: usize) -> Moments {
        let mut seen = Moments::new();
        for _ in 0..expected {
            let Ok((pane, at)) = self.0.recv_timeout(Duration::from_secs(2)) else { break };
            seen.entry(pane).or_default().push(at);
        }
        seen
    }
}

/// A watcher that only counts lines, at as little cost as it can.
struct Reader {
    over: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Reader {
    fn begin(socket: &Path) -> std::io::Result<Self> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        stream.write_all(b"GET /v1/watch?scope=panes HTTP/1.1\r\nHost: qd\r\n\r\n")?;
        let over = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let (mut buffer, mut lines, mut before) = (vec![0; 64 * 1024], 0, 0);
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => return lines,
                    Ok(length) => {
                        for byte in &buffer[..length] {
                            lines += u64::from(*byte == b'\n' && before == b'}');
                            before = *byte;
                        }
                    }
                    Err(_) if ending.load(Ordering::Relaxed) => return lines,
                    Err(_) => {}
                }
            }
        });
        Ok(Self { over, thread })
    }

    fn tell_over(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// How many lines came, the snapshot apart.
    fn lines(self) -> u64 {
        self.thread.join().map_or(0, |lines| lines.saturating_sub(1))
    }
}
