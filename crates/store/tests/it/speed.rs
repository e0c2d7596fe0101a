//! What a commit, a proof and a start cost. Not a test of anything but speed, so not run by
//! default: `cargo test -p store --profile fast speed -- --ignored --nocapture --test-threads=1`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use engine::event::Actor;
use engine::input::Input;
use engine::words::State;
use store::{Durability, Ledger, Options, verify};

use crate::world::{
    World, about_pane, add_target, count, facts, options, send, server, signal, signalled, topology,
};

const PANES: u32 = 50;

#[expect(clippy::disallowed_methods, reason = "a stopwatch reads the clock")]
fn stopwatch() -> impl Fn() -> Duration {
    let began = Instant::now();
    move || began.elapsed()
}

fn durable(world: &World) -> Ledger {
    let options = Options { durability: Durability::Full, ..options() };
    Ledger::open(&world.path(), options, world.now).unwrap().ledger
}

fn populated(world: &World) -> Ledger {
    let mut ledger = durable(world);
    send(&mut ledger, world.now, add_target());
    let panes = (1..=PANES).map(|pane| facts(pane, 1_000 + pane)).collect();
    send(&mut ledger, world.now, topology(world.now, server(1), panes));
    ledger
}

/// Events with keys and ids as long as real ones.
fn event(world: &World, number: u64, payload: usize, news: bool) -> (Actor, Input) {
    let pane = u32::try_from(number % u64::from(PANES)).unwrap() + 1;
    let round = number / u64::from(PANES);
    let states = [State::Running, State::WaitingInput];
    let state = states[usize::try_from(round % 2).unwrap() * usize::from(news)];
    let mut heard = signal(world.now, number, about_pane(pane), state);
    heard.event_id =
        engine::ids::EventId::new(format!("ev-0199f0c0-{number:08x}-7abc-8def-0123456789ab"));
    heard.dedupe_key = format!("{number:064x}");
    heard.payload = Some("x".repeat(payload));
    (Actor::Client { uid: 1000, pid: Some(4242) }, signalled(heard))
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() - 1) * percent / 100]
}

/// What the disk takes for 300 bytes and a flush.
fn flush_time(folder: &Path) -> (Duration, Duration) {
    let mut file = OpenOptions::new().create(true).append(true).open(folder.join("flush")).unwrap();
    let mut times: Vec<Duration> = (0..400)
        .map(|_| {
            let time = stopwatch();
            file.write_all(&[b'x'; 300]).unwrap();
            file.sync_data().unwrap();
            time()
        })
        .collect();
    (percentile(&mut times, 50), percentile(&mut times, 99))
}

#[test]
#[ignore = "measures"]
fn speed_of_commits() {
    let mut world = World::new();
    let mut ledger = populated(&world);
    let mut number = 0;
    for news in [false, true] {
        for batch in [1_u64, 8, 64, 512] {
            let rounds = (20_000 / batch).min(1_500);
            let (mid, top) = flush_time(world.folder());
            let mut times = Vec::new();
            let time = stopwatch();
            for _ in 0..rounds {
                world.pass(1);
                let inputs = (number..number + batch).map(|it| event(&world, it, 300, news));
                let inputs = inputs.collect();
                number += batch;
                let one = stopwatch();
                ledger.transact(world.now, inputs).unwrap();
                times.push(one());
            }
            let rate = (rounds * batch) as f64 / time().as_secs_f64();
            let (half, most) = (percentile(&mut times, 50), percentile(&mut times, 99));
            println!(
                "batch {batch:>3}, each {}: {rate:>7.0} events/s; a commit {half:?}, p99 {most:?} \
                 = {:.2} flushes of {mid:?} (p99 {top:?})",
                if news { "a new state" } else { "the same state" },
                half.as_secs_f64() / mid.as_secs_f64(),
            );
        }
    }
}

/// What one commit writes to the log does not depend on the machine.
#[test]
#[ignore = "measures"]
fn pages_of_commits() {
    const FRAME_BYTES: u64 = 4_096 + 24;
    for news in [false, true] {
        for batch in [1_u64, 8, 64] {
            let mut world = World::new();
            let mut ledger = populated(&world);
            let log = world.folder().join("qd.db-wal");
            let length = || std::fs::metadata(&log).unwrap().len();
            let (before, commits) = (length(), 1_000 / batch.max(8));
            for round in 0..commits {
                world.pass(1);
                let numbers = round * batch..(round + 1) * batch;
                let inputs = numbers.map(|it| event(&world, it, 300, news)).collect();
                ledger.transact(world.now, inputs).unwrap();
            }
            let pages = (length() - before) as f64 / FRAME_BYTES as f64 / commits as f64;
            println!("batch {batch:>3}, new states {news}: {pages:.1} pages a commit");
        }
    }
}

#[test]
#[ignore = "measures"]
fn size_of_events() {
    for payload in [0, 300, 1_000, 4_000] {
        for news in [false, true] {
            let mut world = World::new();
            let mut ledger = populated(&world);
            let events = 20_000;
            for from in (0..events).step_by(200) {
                world.pass(20);
                let inputs =
                    (from..from + 200).map(|it| event(&world, it, payload, news)).collect();
                ledger.transact(world.now, inputs).unwrap();
            }
            ledger.close().unwrap();
            let size = std::fs::metadata(world.path()).unwrap().len() as f64 / events as f64;
            println!("payload {payload:>4}, new states {news}: {size:.0} bytes per event");
        }
    }
}

#[test]
#[ignore = "measures"]
fn speed_of_proof_and_start() {
    let mut world = World::new();
    let mut ledger = populated(&world);
    let events = u64::from(count("QD_STORE_EVENTS", 500_000));
    let time = stopwatch();
    for from in (0..events).step_by(500) {
        world.pass(20);
        let inputs = (from..from + 500).map(|it| event(&world, it, 300, true)).collect();
        ledger.transact(world.now, inputs).unwrap();
    }
    println!("{} rows written in {:?}", ledger.as_of(), time());
    drop(ledger);
    let log = std::fs::metadata(world.folder().join("qd.db-wal")).unwrap().len();
    for _ in 0..5 {
        let time = stopwatch();
        let ledger = durable(&world);
        println!("opened after a crash in {:?}, with a log of {log} bytes", time());
        drop(ledger);
    }
    let time = stopwatch();
    let report = verify(&world.path()).unwrap();
    let took = time();
    assert!(report.is_sound(), "{:?}", report.findings);
    let rate = (report.proven + report.rows) as f64 / took.as_secs_f64();
    println!(
        "verified {} rows of the journal and {} others in {took:?}: {rate:.0} rows/s",
        report.proven, report.rows
    );
}
