//! How soon a change of a pane reaches a watcher.
//!
//! Each change begins at a random moment, so that what is seen only at intervals shows its mean
//! and its worst. The time of the `tmux` command that makes the change is part of the figure.

use bench::figures::Samples;
use bench::report::Report;
use bench::world::{Binary, World, change_where, drift};
use testkit::wait::now;

const PANES: usize = 50;
const ROUNDS: usize = 40;
/// Shells that take turns, so that none of them is typed into faster than a person would.
const SHELLS: usize = 8;

const NEW_PANE: [&str; 7] =
    ["new-window", "-d", "-P", "-F#{pane_id}", "-t", "shell0:", "exec sleep 100000"];

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    let world = World::new(qd, PANES, "exec sleep 100000");
    let tmux = world.env.tmux();
    let shell = |nth| tmux.session(&format!("shell{nth}"), "exec sh");
    let shells: Vec<String> = (0..SHELLS).map(shell).collect();
    world.settle(PANES + SHELLS);
    let mut stream = world.watch();
    let mut all = [const { Samples::none() }; 4];
    for round in 0..ROUNDS {
        drift(round);
        let began = now();
        let pane = world.act(&NEW_PANE);
        change_where(&mut stream, "it appears", |it| it["identity"]["pane_id"] == pane.as_str());
        all[0].push_ms(began.elapsed());

        let name = format!("renamed-{round}");
        drift(round);
        let began = now();
        world.act(&["rename-window", "-t", &pane, &name]);
        change_where(&mut stream, "its name", |it| it["item"]["window_name"] == name.as_str());
        all[1].push_ms(began.elapsed());

        drift(round);
        let began = now();
        world.act(&["respawn-pane", "-k", "-t", &pane, "exec sleep 100000"]);
        change_where(&mut stream, "its respawn", |it| {
            it["identity"]["pane_id"] == pane.as_str() && it["item"]["pane_epoch"] == 2
        });
        all[2].push_ms(began.elapsed());

        // The program prints as it starts, as every agent does; the typing is not counted.
        let shell = &shells[round % SHELLS];
        world.act(&["send-keys", "-t", shell, "-l", "echo; cat"]);
        drift(round);
        let began = now();
        world.act(&["send-keys", "-t", shell, "Enter"]);
        change_where(&mut stream, "its command", |it| {
            it["identity"]["pane_id"] == shell.as_str() && it["item"]["current_cmd"] == "cat"
        });
        all[3].push_ms(began.elapsed());
        world.act(&["send-keys", "-t", shell, "C-d"]);
        change_where(&mut stream, "the shell again", |it| {
            it["identity"]["pane_id"] == shell.as_str() && it["item"]["current_cmd"] == "sh"
        });
        world.act(&["kill-pane", "-t", &pane]);
        change_where(&mut stream, "its end", |it| it["op"] == "delete");
    }
    let names =
        ["a pane appears", "a window is renamed", "a pane is respawned", "a command changes"];
    for (name, samples) in names.iter().zip(&all) {
        report.figure(&format!("{name} -> delta, median"), samples.median(), "ms", "20");
        report.figure("  99 of 100", samples.quantile(0.99), "ms", "100");
    }
    report.beside("peers that poll (mean of a 500 ms to 2 s interval)", 250.0, "ms");
    Ok(())
}
