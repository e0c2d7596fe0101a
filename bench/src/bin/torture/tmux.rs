//! F-08, F-09, F-10: the tmux server is killed or hangs, the daemon is stopped for a while, and
//! everything sleeps.

use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use bench::cost;
use bench::figures::Samples;
use bench::world::World;
use serde_json::Value;
use testkit::wait::{self, now};
use testkit::{Daemon, Signal, TestEnv, process};

use crate::chance::Chance;
use crate::check::Checker;
use crate::clients::{Attempt, Clients};
use crate::kills;
use crate::plan::Plan;
use crate::tally::Tally;
use crate::traffic::Traffic;

const PANES: usize = 20;
const PROGRAM: &str = "exec sleep 100000";
/// A list is never slower than this, whatever a server does.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const NOTICED_WITHIN: Duration = Duration::from_secs(2);
/// How long processor time is compared, before and after a pause.
const COMPARED: Duration = Duration::from_secs(4);

pub(crate) fn run(plan: &Plan, tally: &mut Tally) -> anyhow::Result<()> {
    let deaths = plan.count(3, 10, 100);
    let scene = || World::new(&plan.qd, PANES, PROGRAM);
    let again = format!("--seed {}", plan.seed);
    let mut chance = Chance::new(plan.seed);
    tally.round(&again, scene(), |world, tally| server_dies(world, deaths, tally));
    tally.round(&again, scene(), |world, tally| {
        server_hangs(world, Duration::from_secs(plan.count(10, 10, 30) as u64), tally)
    });
    tally.round(&again, scene(), |world, tally| {
        let pause = Duration::from_secs(plan.count(8, 30, 600) as u64);
        daemon_pauses(world, pause, &mut chance, tally)
    });
    tally.round(&again, scene(), |world, tally| {
        everything_sleeps(world, Duration::from_secs(plan.count(5, 15, 120) as u64), tally)
    });
    Ok(())
}

fn runtimes(env: &TestEnv) -> Vec<String> {
    let list = env.api().get("/v1/panes?limit=1000").expect(200);
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let mut ids: Vec<_> =
        items.iter().filter_map(|it| Some(it["runtime_id"].as_str()?.to_owned())).collect();
    ids.sort();
    ids
}

/// The server is killed; everything of it ends at once, and nothing of it lives on in the next one.
fn server_dies(world: &mut World, deaths: usize, tally: &mut Tally) -> anyhow::Result<()> {
    let World { env, daemon } = world;
    let (mut checker, clients, mut noticed) =
        (Checker::default(), Clients::default(), Samples::default());
    for _ in 0..deaths {
        let before = runtimes(env);
        ensure!(!before.is_empty(), "there are no runtimes");
        let began = now();
        env.tmux().kill9();
        let gone = wait::within(NOTICED_WITHIN, || runtimes(env).is_empty().then_some(()));
        gone.context("panes of a dead server are listed")?;
        noticed.push_ms(began.elapsed());
        let ended = env.api().get(&format!("/v1/runtimes/{}", before[0])).expect(200);
        ensure!(ended["runtime"]["ended_reason"] == "server_gone", "it ended by {ended:#}");
        // The same names and numbers again.
        env.tmux().session("s0", PROGRAM);
        Checker::converged(env)?;
        let after = runtimes(env);
        let lives_on = after.iter().find(|it| before.contains(it));
        ensure!(lives_on.is_none(), "a runtime outlived its server: {lives_on:?}");
        let body = serde_json::json!({
            "event_type": "note", "source": "hook", "dedupe_key": "late", "runtime_id": before[0],
        });
        let late = env.api().post("/v1/events", &body);
        ensure!(late.status == 409, "a late word about a dead runtime: {}", late.text());
        tally.add("servers killed", 1);
    }
    tally.figure(&format!("all panes gone {:.0} ms after the server (goal 50)", noticed.median()));
    checker.history(env, &clients)?;
    kills::end(env, daemon)
}

fn targets_health(env: &TestEnv) -> Option<String> {
    let health = env.api().try_get("/v1/health")?.json();
    Some(health["targets"][0]["health"].as_str()?.to_owned())
}

/// The server hangs: lists are answered at once and say so; afterwards everything is as it was.
fn server_hangs(world: &mut World, pause: Duration, tally: &mut Tally) -> anyhow::Result<()> {
    let World { env, daemon } = world;
    let server = env.tmux().pid();
    let before = runtimes(env);
    process::signal(server, Signal::STOP);
    let (mut slowest, mut said) = (Duration::ZERO, false);
    let end = wait::Deadline::after(pause);
    while !end.left().is_zero() {
        let began = now();
        let list = env.api().get("/v1/panes").expect(200);
        slowest = slowest.max(began.elapsed());
        said |= list["partial"] == true || targets_health(env).is_some_and(|it| it != "ok");
        thread::sleep(Duration::from_millis(50));
    }
    process::signal(server, Signal::CONT);
    ensure!(slowest < ANSWER_WITHIN, "a list took {slowest:?} while tmux hung");
    ensure!(said, "nobody said in {pause:?} that tmux hangs");
    Checker::converged(env)?;
    let healthy =
        wait::within(Duration::from_secs(20), || (targets_health(env)? == "ok").then_some(()));
    healthy.context("the target does not recover")?;
    ensure!(runtimes(env) == before, "runtimes changed although nothing happened to them");
    tally.add("hangs", 1);
    kills::end(env, daemon)
}

fn stopped_for(daemon: &Daemon, pause: Duration) {
    daemon.signal(Signal::STOP);
    thread::sleep(pause);
    daemon.signal(Signal::CONT);
}

/// The daemon is stopped while everything moves: nobody stalls meanwhile, and afterwards it does
/// not make up for every tick it missed.
fn daemon_pauses(
    world: &mut World,
    pause: Duration,
    chance: &mut Chance,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let (traffic, mut checker) = (Traffic::default(), Checker::default());
    let World { env, daemon } = world;
    let running = daemon.as_ref().context("a daemon")?;
    let (before, after) = traffic.around(env, chance, |_| {
        let before = spent(running, COMPARED);
        stopped_for(running, pause);
        kills::answers(env)?;
        Ok((before, spent(running, COMPARED)))
    })?;
    traffic.calm(env, || {
        Checker::converged(env)?;
        checker.history(env, &traffic.clients)?;
        checker.caught_up(env, &traffic.watcher)
    })?;
    tally.figure(&format!(
        "processor time under churn {:.0} % before a pause of {} s, {:.0} % right after it",
        before * 100.0,
        pause.as_secs(),
        after * 100.0
    ));
    ensure!(after < before * 3.0 + 0.2, "a storm after the pause: {before:.2} and {after:.2}");
    nobody_stalls(env, running)?;
    tally.add("pauses", 1);
    kills::end(env, daemon)
}

/// The share of a processor that the daemon takes.
fn spent(daemon: &Daemon, length: Duration) -> f64 {
    let before = cost::cpu_s(daemon.pid());
    thread::sleep(length);
    (cost::cpu_s(daemon.pid()) - before) / length.as_secs_f64()
}

/// A pane prints to its end while the daemon stands still.
fn nobody_stalls(env: &TestEnv, daemon: &Daemon) -> anyhow::Result<()> {
    daemon.signal(Signal::STOP);
    let flood = "yes | head -c 20000000; echo; echo D\"\"ONE; exec sleep 100000";
    let pane = env.tmux().session("flood", flood);
    let done = wait::within(Duration::from_secs(20), || {
        env.tmux().screen(&pane).contains("DONE").then_some(())
    });
    daemon.signal(Signal::CONT);
    done.context("a pane stalls while the daemon is stopped")
}

/// Daemon and tmux are stopped together and go on together, as when a lid is closed.
fn everything_sleeps(world: &mut World, pause: Duration, tally: &mut Tally) -> anyhow::Result<()> {
    let World { env, daemon } = world;
    let clients = Clients::default();
    let attempt = clients.post(&env.api(), "%0", "before", "approval-requested");
    ensure!(matches!(attempt, Attempt::Acknowledged(_)), "{attempt:?}");
    let (runtimes_before, states) = (runtimes(env), states(env));
    let pids: Vec<u32> = env.members().iter().map(|member| member.pid).collect();
    for pid in &pids {
        process::signal(*pid, Signal::STOP);
    }
    thread::sleep(pause);
    for pid in pids.iter().rev() {
        process::signal(*pid, Signal::CONT);
    }
    kills::answers(env)?;
    Checker::converged(env)?;
    ensure!(runtimes(env) == runtimes_before, "runtimes changed in sleep");
    ensure!(self::states(env) == states, "states changed in sleep");
    let mut checker = Checker::default();
    checker.history(env, &clients)?;
    tally.add("sleeps", 1);
    kills::end(env, daemon)
}

fn states(env: &TestEnv) -> Vec<(String, String)> {
    let list = env.api().get("/v1/panes?limit=1000").expect(200);
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    items.iter().map(|it| (text(&it["identity"]["pane_id"]), text(&it["state"]))).collect()
}
