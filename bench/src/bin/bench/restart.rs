//! Killed and started again: how soon the first right answer comes, with a short journal and with
//! a long one, and how fast the long one is verified.

use bench::figures::Samples;
use bench::past;
use bench::report::Report;
use bench::world::{Binary, World};
use engine::time::WallMs;
use testkit::wait::{self, now};

const PANES: usize = 200;
const ROUNDS: usize = 7;
const ROWS: u64 = 1_000_000;
const PAYLOAD: usize = 300;

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    let mut world = World::new(qd, PANES, "exec sleep 100000");
    let (short, _) = rounds(&mut world);
    if let Some(daemon) = world.daemon.take() {
        daemon.stop();
    }
    past::write(&world.env.database(), present()?, ROWS, PAYLOAD)?;
    let began = now();
    world.env.qd(&["journal", "verify"]).success();
    let verified_s = began.elapsed().as_secs_f64();
    world.start();
    world.settle(PANES);
    let (first, all) = rounds(&mut world);
    report.figure(
        &format!("kill -9 -> first right answer, {ROWS} rows"),
        first.median(),
        "ms",
        "50",
    );
    report.beside("the same with a journal of some hundred rows", short.median(), "ms");
    report.figure(&format!("  all {PANES} taken over"), all.median(), "ms", "300");
    report.beside("CAO 2.5.4, start only (published)", 2_300.0, "ms");
    #[expect(clippy::cast_precision_loss, reason = "a million")]
    let rate = ROWS as f64 / verified_s;
    report.figure(&format!("verify, {ROWS} rows and as many events"), rate, "rows/s", "300000");
    Ok(())
}

/// Kills and starts the daemon again and again: the first answer, and when all panes were seen.
fn rounds(world: &mut World) -> (Samples, Samples) {
    let before = ids(world);
    let (mut first, mut all) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        if let Some(daemon) = world.daemon.take() {
            daemon.kill9();
        }
        let restarted = crate::journal::wall();
        let began = now();
        world.start();
        let listed = world.panes().len();
        first.push_ms(began.elapsed());
        assert_eq!(listed, PANES, "the first answer is right");
        // A pane is taken over when it was seen again after the start.
        wait::until("every pane is seen again", || {
            let panes = world.panes();
            panes.iter().all(|pane| pane["last_seen_at"].as_str() > Some(&restarted)).then_some(())
        });
        all.push_ms(began.elapsed());
        assert_eq!(ids(world), before, "every runtime was taken over");
    }
    (first, all)
}

/// The wall clock, as the daemon has it.
fn present() -> anyhow::Result<WallMs> {
    #[expect(clippy::disallowed_methods, reason = "the past ends in the real present")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(WallMs(i64::try_from(since.as_millis())?))
}

fn ids(world: &World) -> Vec<String> {
    let panes = world.panes();
    let mut ids: Vec<_> = panes.iter().map(|pane| pane["runtime_id"].to_string()).collect();
    ids.sort();
    ids
}
