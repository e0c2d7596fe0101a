//! How long the command line takes to answer, from its start to its end.

use std::process::Stdio;

use bench::figures::Samples;
use bench::report::Report;
use bench::world::{Binary, World};
use testkit::wait::now;

use crate::limits;

const RUNS: usize = 200;

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    let world = World::new(qd, 200, "exec sleep 100000");
    let pane = world.panes()[0]["identity"]["pane_id"].as_str().unwrap_or("%0").to_owned();
    let cases: [(&str, Vec<&str>, &str); 4] = [
        ("qd --version", vec!["--version"], "1.5"),
        ("qd list panes --json, 200 panes", vec!["list", "panes", "--json"], "4"),
        ("qd bar, 200 panes", vec!["bar"], "5"),
        ("qd explain PANE --json", vec!["explain", &pane, "--json"], "2.5"),
    ];
    for (name, arguments, goal) in &cases {
        let samples = time(&world, arguments)?;
        report.figure(&format!("{name}, median"), samples.median(), "ms", goal);
        report.figure("  99 of 100", samples.quantile(0.99), "ms", "-");
    }
    report.beside("/bin/true", limits::spawn("/bin/true", &[], RUNS)?.median(), "ms");
    let tmux = world.env.tmux_program();
    let mut listing = Samples::default();
    for _ in 0..RUNS {
        let mut command = world.env.command(&tmux);
        command.args(["list-panes", "-a"]).stdout(Stdio::null());
        let began = now();
        command.status()?;
        listing.push_ms(began.elapsed());
    }
    report.beside("tmux list-panes -a", listing.median(), "ms");
    report.beside("Agent of Empires status, 50 sessions (published)", 392.0, "ms");
    Ok(())
}

fn time(world: &World, arguments: &[&str]) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    for _ in 0..RUNS {
        let mut command = world.env.command(world.env.qd_program());
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = now();
        let status = command.status()?;
        samples.push_ms(began.elapsed());
        anyhow::ensure!(status.success(), "`qd {}` failed", arguments.join(" "));
    }
    Ok(samples)
}
