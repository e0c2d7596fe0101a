//! What it costs to be watched: at rest, and while everything prints.

use std::time::Duration;

use bench::cast::Cast;
use bench::cost;
use bench::report::Report;
use bench::world::{Binary, World, rest};

/// Long enough for several scans of every kind.
const REST: Duration = Duration::from_secs(65);
const BUSY: Duration = Duration::from_secs(20);

/// Processor time of everything that is there because of us.
struct Account {
    ours: f64,
    tmux: f64,
    wakeups: u64,
}

fn account(world: &World) -> Account {
    let daemon = world.daemon().pid();
    let family = std::iter::once(daemon).chain(cost::children(daemon));
    let (mut ours, mut wakeups) = (0.0, 0);
    for pid in family {
        ours += cost::cpu_s(pid);
        wakeups += cost::wakeups(pid);
    }
    Account { ours, tmux: cost::cpu_s(world.tmux_pid()), wakeups }
}

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    for (panes, goal) in [(10, "0.02"), (50, "0.03"), (200, "0.05")] {
        let world = World::new(qd, panes, "exec sleep 100000");
        at_rest(&world, report, &format!("{panes} quiet panes"), goal);
    }
    for (panes, share) in [(10, 5.2), (50, 32.0), (200, 127.0)] {
        report.beside(
            &format!("one capture-pane a session each 500 ms, {panes} (published)"),
            share,
            "% core",
        );
    }
    Ok(())
}

/// The same where every pane has an agent in it, recognised and silent.
pub(crate) fn agents(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    for (panes, goal) in [(10, "0.02"), (50, "0.03"), (200, "0.05")] {
        let cast = Cast::new(qd, panes)?;
        at_rest(&cast.world, report, &format!("{panes} quiet agents"), goal);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of minutes")]
fn at_rest(world: &World, report: &mut Report, who: &str, goal: &str) {
    // The first minute belongs to the start.
    rest(Duration::from_secs(20));
    let before = account(world);
    rest(REST);
    let after = account(world);
    let share = |from: f64, to: f64| (to - from) / REST.as_secs_f64() * 100.0;
    let ours = share(before.ours, after.ours);
    let tmux = share(before.tmux, after.tmux);
    let woken = (after.wakeups - before.wakeups) as f64 / REST.as_secs_f64();
    report.figure(&format!("{who}, daemon and tmux"), ours + tmux, "% core", goal);
    report.beside("of it the daemon and its children", ours, "% core");
    report.figure("  wake-ups", woken, "/s", "1");
    let daemon = world.daemon().pid();
    let pss: u64 = std::iter::once(daemon).chain(cost::children(daemon)).map(cost::pss_kib).sum();
    report.figure("  memory (PSS)", pss as f64 / 1024.0, "MiB", "12");
}

/// Fifty panes that print ten lines a second, with one watcher, beside the same without us.
pub(crate) fn busy(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    let printer = "exec sh -c 'while :; do echo a line of output; sleep 0.1; done'";
    let mut world = World::without_daemon(qd, 50, printer);
    let mut added = bench::figures::Samples::default();
    let mut ours = bench::figures::Samples::default();
    let mut alone = tmux_share(&world);
    for _ in 0..3 {
        world.start();
        world.settle(50);
        let _watcher = world.watch();
        let before = cost::cpu_s(world.daemon().pid());
        let with = tmux_share(&world);
        let own = (cost::cpu_s(world.daemon().pid()) - before) / BUSY.as_secs_f64() * 100.0;
        if let Some(daemon) = world.daemon.take() {
            daemon.stop();
        }
        // What tmux takes by itself drifts: it is measured on both sides.
        let after = tmux_share(&world);
        ours.push(own);
        added.push(own + with - f64::midpoint(alone, after));
        alone = after;
    }
    report.figure(
        "50 panes of 10 lines/s: added to daemon and tmux",
        added.median(),
        "% core",
        "3",
    );
    report.beside("of it the daemon", ours.median(), "% core");
    report.beside("thurbox (published)", 31.0, "% core");
    Ok(())
}

fn tmux_share(world: &World) -> f64 {
    let before = cost::cpu_s(world.tmux_pid());
    rest(BUSY);
    (cost::cpu_s(world.tmux_pid()) - before) / BUSY.as_secs_f64() * 100.0
}
