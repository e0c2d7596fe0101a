//! F-03: the power is cut. The home lies on an image; the daemon is stopped in the middle of its
//! work, the image is copied while everything that was not forced out stays behind in memory, and
//! another daemon starts on the copy.

use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use bench::world::World;
use testkit::{Daemon, Signal, TestEnv, process, wait};

use crate::chance::Chance;
use crate::check::Checker;
use crate::disk::{self, Images, Mount};
use crate::kills;
use crate::plan::Plan;
use crate::tally::Tally;
use crate::traffic::Traffic;

/// Cuts in one world; each copy is the disk of the next.
const CUTS_A_ROUND: usize = 5;
const IMAGE_MIB: u64 = 96;
const LIFE_MS: u64 = 600;
/// How long answers that are under way may take to arrive.
const UNDER_WAY: Duration = Duration::from_millis(50);

pub(crate) fn run(plan: &Plan, tally: &mut Tally) -> anyhow::Result<()> {
    let probe = World::without_daemon(&plan.qd, 1, "exec sleep 100000");
    let images = Images::of(&probe.env)?;
    if let Err(error) = first_disk(&probe.env, &images) {
        tally.skip("all power cuts", &format!("{error:#}"));
        return Ok(());
    }
    drop((images, probe));
    let rounds = plan.count(5, 50, 200).div_ceil(CUTS_A_ROUND);
    for seed in plan.seeds(rounds) {
        let world = World::without_daemon(&plan.qd, 6, "exec sleep 100000");
        tally.round(&format!("--seed {seed}"), world, |world, tally| {
            let images = Images::of(&world.env)?;
            let mut mount = Some(first_disk(&world.env, &images)?);
            let played = round(world, seed, tally, &images, &mut mount);
            if played.is_err() {
                tally.keep(&format!("--seed {seed}"), &world.env.home());
            }
            // Its users first, then the disk itself.
            world.daemon = None;
            played
        });
    }
    Ok(())
}

/// A home on an image.
fn first_disk(env: &TestEnv, images: &Images) -> anyhow::Result<Mount> {
    env.make_home();
    disk::make_image(&images.path(0), IMAGE_MIB)?;
    Mount::image(&images.path(0), &env.home())
}

fn round(
    world: &mut World,
    seed: u64,
    tally: &mut Tally,
    images: &Images,
    mount: &mut Option<Mount>,
) -> anyhow::Result<()> {
    let mut chance = Chance::new(seed);
    let (traffic, mut checker) = (Traffic::default(), Checker::default());
    let World { env, daemon } = world;
    for number in 0..CUTS_A_ROUND {
        let started = env.daemon();
        traffic.around(env, &mut chance, |chance| {
            thread::sleep(chance.ms(LIFE_MS));
            cut(&started, images, number)?;
            // At once: whoever still asks would wait for an answer as long as it stands still.
            started.kill9();
            Ok(())
        })?;
        drop(mount.take());
        *mount = Some(Mount::image(&images.path(number + 1), &env.home())?);
        std::fs::remove_file(images.path(number)).ok();
        tally.add("cuts", 1);
        Checker::proven(env)?;
        *daemon = Some(env.daemon());
        checker.history(env, &traffic.clients)?;
        traffic.calm(env, || {
            Checker::converged(env)?;
            checker.caught_up(env, &traffic.watcher)
        })?;
        kills::end(env, daemon)?;
    }
    tally.add("acknowledged", traffic.clients.answers().acknowledged.len() as u64);
    Ok(())
}

/// Stops the daemon where it stands, and copies what its disk holds.
fn cut(daemon: &Daemon, images: &Images, number: usize) -> anyhow::Result<()> {
    daemon.signal(Signal::STOP);
    let stopped = wait::within(Duration::from_secs(5), || all_stopped(daemon.pid()).then_some(()));
    stopped.context("a stopped daemon does not stand still")?;
    // What was answered before the stop arrives yet, and counts.
    thread::sleep(UNDER_WAY);
    disk::copy_image(&images.path(number), &images.path(number + 1))?;
    ensure!(process::alive(daemon.pid()), "the daemon ended by itself");
    Ok(())
}

/// Whether no thread of a process runs or waits for the disk any more.
fn all_stopped(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok())
        .all(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim().starts_with('T')))
}
