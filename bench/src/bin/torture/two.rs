//! F-18: daemons started at once on one home. One lives, the others say who it is, and nobody
//! takes a socket away that is not his.

use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use bench::world::World;
use testkit::{Running, Signal, TestEnv, wait};

use crate::chance::Chance;
use crate::check::Checker;
use crate::kills;
use crate::plan::Plan;
use crate::strays;
use crate::tally::Tally;

/// The exit code of a daemon that finds another one at work.
const CONFLICT: i32 = 5;
const SETTLED_WITHIN: Duration = Duration::from_secs(10);
const PAIRS_A_ROUND: usize = 25;

pub(crate) fn run(plan: &Plan, tally: &mut Tally) -> anyhow::Result<()> {
    let rounds = plan.count(25, 100, 1_000).div_ceil(PAIRS_A_ROUND);
    for seed in plan.seeds(rounds) {
        let world = World::without_daemon(&plan.qd, 1, "exec sleep 100000");
        tally.round(&format!("--seed {seed}"), world, |world, tally| {
            let mut chance = Chance::new(seed);
            for _ in 0..PAIRS_A_ROUND {
                pair(&world.env, &mut chance)?;
                tally.add("pairs", 1);
            }
            Checker::proven(&world.env)
        });
    }
    Ok(())
}

fn pair(env: &TestEnv, chance: &mut Chance) -> anyhow::Result<()> {
    // At once, or one a little later, while the first opens its files.
    let first = env.invoke(&["daemon", "run"]).start();
    if chance.percent(50) {
        thread::sleep(chance.ms(30));
    }
    let second = env.invoke(&["daemon", "run"]).start();
    let (winner, loser) = decided(first, second)?;
    let said = loser.finish().fails_with(CONFLICT);
    let named = said.contains(&winner.pid().to_string()) || said.contains("starting");
    ensure!(named, "the loser does not say who holds the lock: {said}");
    kills::answers(env)?;
    let health = env.api().get("/v1/health").expect(200);
    ensure!(health["pid"] == winner.pid(), "not the winner answers: {health}");
    strays::one_daemon(env)?;
    if chance.percent(50) {
        winner.signal(Signal::KILL);
        drop(winner.finish());
        return strays::none_left(env);
    }
    // A successor comes while the winner still drains.
    winner.signal(Signal::TERM);
    thread::sleep(chance.ms(20));
    succeed(env, winner)
}

/// Which of the two lives.
fn decided(mut first: Running, mut second: Running) -> anyhow::Result<(Running, Running)> {
    let ended = wait::within(SETTLED_WITHIN, || {
        let ended = (first.ended(), second.ended());
        (ended.0 || ended.1).then_some(ended)
    });
    match ended.context("both live")? {
        (true, true) => {
            anyhow::bail!("neither lives: {:?} and {:?}", first.finish(), second.finish())
        }
        (true, false) => Ok((second, first)),
        (false, _) => Ok((first, second)),
    }
}

/// A daemon that comes while another ends is refused, or takes over; never do both fail.
fn succeed(env: &TestEnv, winner: Running) -> anyhow::Result<()> {
    let mut successor = env.invoke(&["daemon", "run"]).start();
    let code = winner.finish().code();
    ensure!(code == Some(0), "the one that was asked to end ended with {code:?}");
    let took_over = wait::within(SETTLED_WITHIN, || {
        if successor.ended() {
            return Some(false);
        }
        env.api().try_get("/v1/health").filter(|it| it.status == 200).map(|_| true)
    });
    if took_over.context("the successor neither ends nor answers")? {
        successor.signal(Signal::TERM);
        drop(successor.finish().success());
    } else {
        drop(successor.finish().fails_with(CONFLICT));
    }
    ensure!(!env.socket().exists(), "an orphan socket is left");
    strays::none_left(env)
}
