//! A pane that prints a hundred megabytes: what being watched does to it.

use std::time::Duration;

use bench::cost;
use bench::figures::Samples;
use bench::report::Report;
use bench::world::{Binary, World};
use testkit::Signal;
use testkit::process::signal;
use testkit::wait::{self, now};

const LINE: &str =
    "\u{1b}[32mthe quick brown fox\u{1b}[0m jumps over the lazy dog, again and again\n";
const BYTES: usize = 100_000_000;
const ROUNDS: usize = 3;
/// Longer than any flood took; a stall is a flood that never ends.
const STALLED: Duration = Duration::from_secs(60);

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    let mut world = World::without_daemon(qd, 10, "exec sleep 100000");
    std::fs::write(world.env.path("flood"), LINE.repeat(BYTES / LINE.len()))?;
    let (mut slower, mut stopped) = (Samples::default(), Samples::default());
    let (mut tmux_grew, mut daemon_grew) = (Samples::default(), Samples::default());
    flood(&world);
    for _ in 0..ROUNDS {
        let alone = flood(&world);
        world.start();
        world.settle(10);
        let _watcher = world.watch();
        let (tmux, daemon) = (world.tmux_pid(), world.daemon().pid());
        let before = (cost::rss_kib(tmux), cost::rss_kib(daemon));
        slower.push(flood(&world) / alone);
        tmux_grew.push(mib(cost::rss_kib(tmux)) - mib(before.0));
        daemon_grew.push(mib(cost::rss_kib(daemon)) - mib(before.1));
        world.daemon().signal(Signal::STOP);
        stopped.push(flood(&world) / alone);
        signal(daemon, Signal::CONT);
        if let Some(daemon) = world.daemon.take() {
            daemon.stop();
        }
    }
    report.figure("a flood while watched, against alone", slower.median(), "x", "1.2");
    report.figure("  with the daemon stopped (SIGSTOP)", stopped.median(), "x", "no stall");
    report.figure("  tmux grows by at most", tmux_grew.max(), "MiB", "5");
    report.figure("  the daemon grows by at most", daemon_grew.max(), "MiB", "10");
    report.beside("a control client that reads output (published)", 3.5, "x");
    Ok(())
}

/// Prints the file in a new pane; returns the seconds it took.
fn flood(world: &World) -> f64 {
    let done = world.env.path("done");
    let command = format!("cat {} && touch {}", world.env.path("flood").display(), done.display());
    let began = now();
    let pane = world.env.tmux().window("s0", "flood", &command);
    let ended = wait::within(STALLED, || done.exists().then_some(()));
    let seconds = began.elapsed().as_secs_f64();
    assert!(ended.is_some(), "the pane {pane} stalled");
    // The next round begins with the same panes.
    drop(std::fs::remove_file(done));
    seconds
}

#[expect(clippy::cast_precision_loss, reason = "kibibytes of one process")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
