//! Killed and started again: how soon the first right answer comes.

use bench::figures::Samples;
use bench::report::Report;
use bench::world::{Binary, World};
use testkit::wait::{self, now};

const PANES: usize = 200;
const ROUNDS: usize = 7;

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    let mut world = World::new(qd, PANES, "exec sleep 100000");
    let before = ids(&world);
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
        assert_eq!(ids(&world), before, "every runtime was taken over");
    }
    report.figure("kill -9 -> first right answer, median", first.median(), "ms", "50");
    report.figure(&format!("  all {PANES} taken over"), all.median(), "ms", "300");
    report.beside("CAO 2.5.4, start only (published)", 2_300.0, "ms");
    Ok(())
}

fn ids(world: &World) -> Vec<String> {
    let panes = world.panes();
    let mut ids: Vec<_> = panes.iter().map(|pane| pane["runtime_id"].to_string()).collect();
    ids.sort();
    ids
}
