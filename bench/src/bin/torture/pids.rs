//! F-20: numbers of processes are given again. A pane's process dies and the next one in the pane
//! has its number; a daemon dies and somebody else has its number. Neither is taken for the former.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context, ensure};
use bench::world::World;
use serde_json::Value;
use testkit::{Daemon, Signal, TestEnv, process, wait};

use crate::chance::Chance;
use crate::check::Checker;
use crate::clients::Clients;
use crate::kills;
use crate::plan::Plan;
use crate::tally::Tally;

/// Where the kernel keeps the number that it gave last.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";
const PROGRAM: &str = "exec sleep 100000";
const PANE: &str = "%0";
/// Others start processes too and may be faster.
const TRIES_MAX: usize = 30;
const REUSES_A_ROUND: usize = 5;

pub(crate) fn run(plan: &Plan, tally: &mut Tally) -> anyhow::Result<()> {
    if let Err(error) = fs::read_to_string(LAST_PID).and_then(|it| fs::write(LAST_PID, it)) {
        tally.skip("all reuses", &format!("numbers cannot be chosen here: {error}"));
        return Ok(());
    }
    let rounds = plan.count(5, 100, 1_000).div_ceil(REUSES_A_ROUND);
    for seed in plan.seeds(rounds) {
        let world = World::without_daemon(&plan.qd, 3, PROGRAM);
        tally.round(&format!("--seed {seed}"), world, |world, tally| round(world, seed, tally));
    }
    Ok(())
}

fn round(world: &mut World, seed: u64, tally: &mut Tally) -> anyhow::Result<()> {
    let mut chance = Chance::new(seed);
    let (mut checker, clients) = (Checker::default(), Clients::default());
    let World { env, daemon } = world;
    env.tmux().ok(&["set-option", "-g", "remain-on-exit", "on"]);
    *daemon = Some(env.daemon());
    Checker::converged(env)?;
    let mut lives = BTreeSet::new();
    for _ in 0..REUSES_A_ROUND {
        let (before, number) = life(env).context("the pane has no runtime")?;
        lives.insert(before.clone());
        // Half of the time nobody is there to see it.
        let absent = chance.percent(50);
        if let Some(daemon) = daemon.take_if(|_| absent) {
            daemon.kill9();
        }
        if !given_again(env, number)? {
            tally.add("numbers that others took", 1);
        } else if absent {
            tally.add("reuses without a daemon", 1);
        } else {
            tally.add("reuses", 1);
        }
        if absent {
            *daemon = Some(env.daemon());
        }
        // Their numbers are equal before the respawn was seen, too.
        let begun = wait::within(wait::BOUND, || life(env).filter(|(it, _)| *it != before));
        let (after, _) = begun.context("no other life began in the pane")?;
        ensure!(!lives.contains(&after), "{after} goes on in another process of its number");
        Checker::converged(env)?;
        checker.history(env, &clients)?;
    }
    number_of_a_daemon(env, daemon, tally)?;
    kills::end(env, daemon)
}

/// The pane's runtime, and the number of its process.
fn life(env: &TestEnv) -> Option<(String, u32)> {
    let list = env.api().get("/v1/panes?limit=1000").expect(200);
    let mut items = list["items"].as_array()?.iter();
    let item: &Value = items.find(|it| it["identity"]["pane_id"] == PANE)?;
    let number = item["pane_pid"].as_u64().and_then(|it| u32::try_from(it).ok())?;
    Some((item["runtime_id"].as_str()?.to_owned(), number))
}

/// Ends the pane's process and starts another in its place that has the same number, if nobody
/// else gets it.
fn given_again(env: &TestEnv, number: u32) -> anyhow::Result<bool> {
    let tmux = env.tmux();
    for _ in 0..TRIES_MAX {
        let present = tmux.show(PANE, "#{pane_pid}").parse().context("a pane's process")?;
        process::signal(present, Signal::KILL);
        let dead = || (tmux.show(PANE, "#{pane_dead}") == "1").then_some(());
        wait::within(wait::BOUND, dead).context("a killed process stays in its pane")?;
        if !Path::new(&format!("/proc/{number}")).exists() {
            // The next number is the one of the `tmux` that asks, the one after it the pane's.
            fs::write(LAST_PID, (number - 2).to_string())?;
        }
        tmux.ok(&["respawn-pane", "-t", PANE, PROGRAM]);
        if tmux.show(PANE, "#{pane_pid}") == number.to_string() {
            return Ok(true);
        }
    }
    // Whatever lives there now is another life all the same.
    Ok(false)
}

/// The number of a daemon that was killed is another program's: nobody takes that one for it.
fn number_of_a_daemon(
    env: &TestEnv,
    daemon: &mut Option<Daemon>,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let former = daemon.take().context("a daemon")?;
    let number = former.pid();
    former.kill9();
    let Some(mut stranger) = stranger(env, number)? else {
        tally.add("numbers that others took", 1);
        *daemon = Some(env.daemon());
        return Ok(());
    };
    let status = env.qd(&["daemon", "status"]);
    let running = status.code() == Some(0);
    *daemon = Some(env.daemon());
    let spared = process::alive(number);
    stranger.kill().ok();
    stranger.wait().ok();
    ensure!(!running, "a stranger is taken for the daemon: {status:?}");
    ensure!(spared, "a stranger with the number of a daemon was ended");
    tally.add("strangers with a daemon's number", 1);
    Ok(())
}

/// Some other program under this number, if it can be had.
fn stranger(env: &TestEnv, number: u32) -> anyhow::Result<Option<Child>> {
    for _ in 0..TRIES_MAX {
        fs::write(LAST_PID, (number - 1).to_string())?;
        let mut command = env.command("/bin/sleep");
        command.arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        if child.id() == number {
            return Ok(Some(child));
        }
        child.kill().ok();
        child.wait().ok();
    }
    Ok(None)
}
