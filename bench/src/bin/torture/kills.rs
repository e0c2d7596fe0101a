//! F-01: the daemon is killed again and again while panes churn, clients post and watchers follow.

use std::thread;
use std::time::Duration;

use bench::world::World;
use testkit::{Daemon, Signal, TestEnv, wait};

use crate::chance::Chance;
use crate::check::Checker;
use crate::plan::Plan;
use crate::strays;
use crate::tally::Tally;
use crate::traffic::Traffic;

/// Kills in one world: the history grows, and every check covers all of it.
const KILLS_A_ROUND: usize = 25;
/// How long a daemon lives at most before it is killed.
const LIFE_MS: u64 = 250;
/// The same for one that is killed before it is ready.
const BIRTH_MS: u64 = 40;

pub(crate) fn run(plan: &Plan, tally: &mut Tally) -> anyhow::Result<()> {
    let rounds = plan.count(200, 1_000, 10_000).div_ceil(KILLS_A_ROUND);
    for seed in plan.seeds(rounds) {
        let world = World::without_daemon(&plan.qd, 6, "exec sleep 100000");
        tally.round(&format!("--seed {seed}"), world, |world, tally| round(world, seed, tally));
    }
    Ok(())
}

fn round(world: &mut World, seed: u64, tally: &mut Tally) -> anyhow::Result<()> {
    let mut chance = Chance::new(seed);
    let (traffic, mut checker) = (Traffic::default(), Checker::default());
    let World { env, daemon } = world;
    *daemon = Some(env.daemon());
    traffic.around(env, &mut chance, |chance| {
        for number in 0..KILLS_A_ROUND {
            kill(env, daemon, chance, number)?;
            tally.add("kills", 1);
            checker.history(env, &traffic.clients)?;
            checker.watched(&traffic.watcher)?;
        }
        Ok(())
    })?;
    traffic.calm(env, || {
        Checker::converged(env)?;
        checker.history(env, &traffic.clients)?;
        checker.caught_up(env, &traffic.watcher)
    })?;
    end(env, daemon)?;
    tally.add("acknowledged", traffic.clients.answers().acknowledged.len() as u64);
    let log = traffic.watcher.log();
    tally.add("frames watched", log.frames.len() as u64);
    tally.add("resumptions", log.resumed);
    Ok(())
}

/// Lets the daemon live a while, kills it, and starts another.
fn kill(
    env: &TestEnv,
    daemon: &mut Option<Daemon>,
    chance: &mut Chance,
    number: usize,
) -> anyhow::Result<()> {
    if chance.percent(30) {
        // Every third is also killed while it starts.
        if let Some(daemon) = daemon.take() {
            daemon.kill9();
        }
        let born = env.invoke(&["daemon", "run"]).start();
        thread::sleep(chance.ms(BIRTH_MS));
        born.signal(Signal::KILL);
    } else {
        thread::sleep(chance.ms(LIFE_MS));
        if let Some(daemon) = daemon.take() {
            daemon.kill9();
        }
    }
    Checker::proven(env)?;
    if number.is_multiple_of(10) {
        strays::none_left(env)?;
    }
    *daemon = Some(env.daemon());
    Ok(())
}

/// Ends the daemon in good order; afterwards nothing of it is left.
pub(crate) fn end(env: &TestEnv, daemon: &mut Option<Daemon>) -> anyhow::Result<()> {
    if let Some(daemon) = daemon.take() {
        let code = daemon.stop();
        anyhow::ensure!(code == 0, "a daemon that was asked to stop ended with {code}");
    }
    anyhow::ensure!(!env.socket().exists(), "the socket of a daemon that stopped is still there");
    strays::none_left(env)?;
    Checker::proven(env)
}

/// The daemon answers again.
pub(crate) fn answers(env: &TestEnv) -> anyhow::Result<()> {
    let answered = wait::within(Duration::from_secs(5), || {
        env.api().try_get("/v1/health").filter(|it| it.status == 200).map(|_| ())
    });
    answered.ok_or_else(|| anyhow::anyhow!("the daemon does not answer within 5 s"))
}
