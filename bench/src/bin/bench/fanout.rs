//! Many watchers: what a delivered change costs, and what a stopped watcher does to the others.

use std::time::Duration;

use anyhow::Context;
use bench::cost;
use bench::figures::Samples;
use bench::report::Report;
use bench::world::{Binary, World};
use serde_json::json;
use testkit::Stream;
use testkit::wait::{Deadline, now};

const WATCHERS: usize = 100;
const LENGTH: Duration = Duration::from_secs(5);

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    let world = World::new(qd, 50, "exec sleep 100000");
    let quiet = round(&world, WATCHERS, false)?;
    let stopped = round(&world, WATCHERS, true)?;
    report.beside("events a second in this run", quiet.events_per_s, "/s");
    report.figure("processor time a delivered change", quiet.us_each, "us", "10");
    report.figure("event accepted -> at a watcher, 99 of 100", quiet.p99_ms, "ms", "20");
    let effect = (stopped.p99_ms / quiet.p99_ms - 1.0) * 100.0;
    report.figure("one stopped watcher: p99 of the others", effect, "% more", "10");
    Ok(())
}

struct Round {
    events_per_s: f64,
    us_each: f64,
    p99_ms: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts of seconds")]
fn round(world: &World, watchers: usize, with_stopped: bool) -> anyhow::Result<Round> {
    let runtime = world.panes()[0]["runtime_id"].as_str().context("a runtime")?.to_owned();
    let _stopped: Option<Stream> = with_stopped.then(|| world.watch());
    let mut judge = world.watch();
    let readers: Vec<_> = (1..watchers)
        .map(|_| {
            let mut stream = world.watch();
            std::thread::spawn(move || {
                let mut lines = 0_u64;
                while let testkit::Next::Line(_) = stream.next_line(Duration::from_secs(2)) {
                    lines += 1;
                }
                lines
            })
        })
        .collect();
    let pid = world.daemon().pid();
    let before = cost::cpu_s(pid);
    let api = world.env.api();
    let end = Deadline::after(LENGTH);
    let (mut samples, mut sent) = (Samples::default(), 0_u32);
    while !end.left().is_zero() {
        // Two states in turn: each event is a change.
        let event_type = if sent % 2 == 0 { "running" } else { "idle" };
        let key = format!("fan-{with_stopped}-{sent}");
        let began = now();
        let body = json!({
            "event_type": event_type, "source": "hook", "dedupe_key": key, "runtime_id": runtime,
        });
        api.post("/v1/events", &body).expect(202);
        judge.frame_where("the change", |frame| frame["type"] == "delta");
        samples.push_ms(began.elapsed());
        sent += 1;
    }
    let spent = cost::cpu_s(pid) - before;
    drop(judge);
    let delivered: u64 = readers.into_iter().map(|it| it.join().unwrap_or(0)).sum();
    Ok(Round {
        events_per_s: f64::from(sent) / LENGTH.as_secs_f64(),
        us_each: spent * 1e6 / delivered.max(1) as f64,
        p99_ms: samples.quantile(0.99),
    })
}
