//! Faults on the binary that ships: it is killed, its disk is cut, filled and rotted, its clock
//! and its tmux are taken away, and afterwards one checker says whether everything that was
//! promised still holds.
//!
//! `./x torture` runs every group, `./x torture kills rot` those two; `--ci` and `--full` say how
//! much, `--seed N` begins with that seed. `docs/design/torture.md` says what each group injects.

mod chance;
mod plan;
mod tally;

mod check;
mod churn;
mod clients;
mod homes;
mod journal;
mod strays;
mod traffic;
mod watcher;

mod disk;
mod strace;
mod victim;

mod clocks;
mod full;
mod kills;
mod pids;
mod points;
mod power;
mod rot;
mod tmux;
mod two;
mod watchers;

use std::io::Write;
use std::process::ExitCode;

use crate::plan::Plan;
use crate::tally::Tally;

/// A group of faults: its name on the command line, what it is about, and how it is run.
struct Group {
    name: &'static str,
    about: &'static str,
    run: fn(&Plan, &mut Tally) -> anyhow::Result<()>,
}

const GROUPS: &[Group] = &[
    Group { name: "kills", about: "killed at random while everything moves", run: kills::run },
    Group { name: "points", about: "killed or failed at the N-th system call", run: points::run },
    Group { name: "power", about: "the power is cut", run: power::run },
    Group { name: "rot", about: "files flipped, cut, lost, rolled back", run: rot::run },
    Group { name: "full", about: "the disk is full", run: full::run },
    Group { name: "two", about: "two daemons at once", run: two::run },
    Group { name: "pids", about: "numbers of processes are given again", run: pids::run },
    Group { name: "tmux", about: "tmux or the daemon dies, hangs, sleeps", run: tmux::run },
    Group { name: "watchers", about: "watchers that never read", run: watchers::run },
    Group { name: "clocks", about: "the clock jumps", run: clocks::run },
];

fn main() -> anyhow::Result<ExitCode> {
    let known: Vec<_> = GROUPS.iter().map(|group| group.name).collect();
    let plan = Plan::from_arguments(std::env::args().skip(1), &known)?;
    say(&format!("binary: {}, seed {}", plan.qd.version, plan.seed));
    // A panic of the test kit is a violation; where it came from is enough to say here.
    std::panic::set_hook(Box::new(|panic| {
        if let Some(place) = panic.location() {
            say(&format!("  (found at {}:{})", place.file(), place.line()));
        }
    }));
    let mut violations = 0;
    for group in GROUPS.iter().filter(|group| plan.wants(group.name)) {
        say(&format!("{}: {}", group.name, group.about));
        let mut tally = Tally::new(group.name);
        if let Err(error) = (group.run)(&plan, &mut tally) {
            tally.violation(&format!("the group ended early: {error:#}"));
        }
        violations += tally.violations();
        say(&tally.line());
    }
    if violations == 0 {
        say("torture: no violation");
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("torture: {violations} violations; each says above how to repeat it"));
    Ok(ExitCode::FAILURE)
}

/// One line for whoever waits. A closed pipe ends the run anyway.
fn say(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}
