//! How soon a death is known: published to a watcher, and durable by then. Each comes at a random
//! moment, also while the one before is still being looked at.

use bench::figures::Samples;
use bench::report::Report;
use bench::world::{Binary, World, change_where, drift};
use testkit::Signal;
use testkit::process::{Life, signal};
use testkit::wait::now;

use crate::limits::Disk;

const PANES: usize = 200;
const DEATHS: usize = 100;

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    let world = World::new(qd, PANES, "exec sleep 100000");
    let mut stream = world.watch();
    let (mut samples, mut told) = (Samples::default(), Samples::default());
    let mut disk = Disk::of(world.env.root())?;
    for (nth, pane) in world.panes().iter().take(DEATHS).enumerate() {
        drift(nth);
        disk.ask()?;
        let id = pane["identity"]["pane_id"].as_str().unwrap_or_default().to_owned();
        let pid = u32::try_from(pane["pane_pid"].as_u64().unwrap_or(0))?;
        let life = Life::of(pid)?;
        let began = now();
        signal(pid, Signal::KILL);
        life.end()?;
        told.push_ms(began.elapsed());
        change_where(&mut stream, "the death", |change| {
            change["identity"]["pane_id"] == id.as_str()
                && (change["op"] == "delete" || change["item"]["runtime_id"].is_null())
        });
        samples.push_ms(began.elapsed());
    }
    report.figure("process killed -> published and durable, median", samples.median(), "ms", "1");
    report.figure("the same, 99 of 100", samples.quantile(0.99), "ms", "-");
    // Closing its terminal takes the leader of a session longer than to end takes others.
    report.beside("  of it until the kernel tells of the end", told.median(), "ms");
    let fsync = disk.tell(report);
    report.beside("  the median against it", samples.median() / fsync, "x");
    report.beside("pueue 4.0.4 (published measurement, its loop)", 298.0, "ms");
    server(&world, report);
    Ok(())
}

/// The whole server dies: how long until every pane of it is marked.
fn server(world: &World, report: &mut Report) {
    let mut stream = world.watch();
    let listed = world.panes().len();
    let began = now();
    world.env.tmux().kill9();
    let mut gone = 0;
    while gone < listed {
        let frame = stream.frame();
        let changes = frame["changes"].as_array().cloned().unwrap_or_default();
        gone += changes.iter().filter(|change| change["op"] == "delete").count();
    }
    let ms = began.elapsed().as_secs_f64() * 1_000.0;
    report.figure(&format!("tmux server killed -> all {listed} panes gone"), ms, "ms", "50");
}
