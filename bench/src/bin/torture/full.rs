//! F-05: the disk is full. Reading goes on, writing is refused by a code, and when there is room
//! again everything goes on by itself.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use bench::world::World;
use testkit::{TestEnv, wait};

use crate::chance::Chance;
use crate::check::Checker;
use crate::clients::{Attempt, Clients};
use crate::disk::Mount;
use crate::kills;
use crate::plan::Plan;
use crate::tally::Tally;

/// The smallest and the largest of the disks.
const DISK_KIB: (u64, u64) = (4_096, 8_192);
/// Posts on a full disk until one has to be refused: each needs room.
const POSTS_MAX: usize = 5_000;
/// How soon writing goes on once there is room.
const RECOVERED_WITHIN: Duration = Duration::from_secs(15);
const READ_WITHIN: Duration = Duration::from_secs(1);

pub(crate) fn run(plan: &Plan, tally: &mut Tally) -> anyhow::Result<()> {
    for seed in plan.seeds(plan.count(3, 10, 50)) {
        let world = World::without_daemon(&plan.qd, 4, "exec sleep 100000");
        world.env.make_home();
        let mut chance = Chance::new(seed);
        let kib = DISK_KIB.0 + chance.below(DISK_KIB.1 - DISK_KIB.0);
        let mount = match Mount::memory(&world.env.home(), kib) {
            Ok(mount) => mount,
            Err(error) => {
                tally.skip("the full disk", &format!("{error:#}"));
                return Ok(());
            }
        };
        tally.round(&format!("--seed {seed}"), world, |world, tally| {
            let played = round(world, &mut chance, tally);
            if played.is_err() {
                tally.keep(&format!("--seed {seed}"), &world.env.home());
            }
            world.daemon = None;
            drop(mount);
            played
        });
    }
    Ok(())
}

fn round(world: &mut World, chance: &mut Chance, tally: &mut Tally) -> anyhow::Result<()> {
    let (clients, mut checker) = (Clients::default(), Checker::default());
    let World { env, daemon } = world;
    *daemon = Some(env.daemon());
    for turn in 0..3 {
        for number in 0..chance.below(50) {
            let _taken = clients.post(&env.api(), "%0", &format!("before-{turn}-{number}"), "note");
        }
        let filler = Filler::fill(env)?;
        let refused = until_refused(env, &clients, turn)?;
        ensure!(refused == "E_STORE_FULL", "a full disk is refused with {refused}");
        tally.add("times full", 1);
        reads_go_on(env)?;
        if chance.percent(50) {
            // A crash while it is full, and a start.
            if let Some(daemon) = daemon.take() {
                daemon.kill9();
            }
            match env.try_daemon() {
                Ok(started) => *daemon = Some(started),
                Err(said) => ensure!(said.contains("full") || said.contains("space"), "{said}"),
            }
            tally.add("killed while full", 1);
        }
        filler.make_room()?;
        if daemon.is_none() {
            *daemon = Some(env.daemon());
        }
        recovers(env, &clients, turn)?;
        checker.history(env, &clients)?;
    }
    Checker::converged(env)?;
    kills::end(env, daemon)?;
    tally.add("acknowledged", clients.answers().acknowledged.len() as u64);
    Ok(())
}

/// Takes all the room there is, also what the daemon gives up later.
struct Filler(PathBuf);

impl Filler {
    fn fill(env: &TestEnv) -> anyhow::Result<Self> {
        let filler = Self(env.home().join("filler"));
        filler.take_all()?;
        Ok(filler)
    }

    fn take_all(&self) -> anyhow::Result<()> {
        let mut file = fs::File::options().append(true).create(true).open(&self.0)?;
        let block = [0; 4_096];
        while file.write_all(&block).is_ok() {}
        Ok(())
    }

    fn make_room(self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.0)?)
    }
}

/// Posts until there is no room left, whatever was held back for that.
fn until_refused(env: &TestEnv, clients: &Clients, turn: usize) -> anyhow::Result<String> {
    let filler = Filler(env.home().join("filler"));
    for number in 0..POSTS_MAX {
        match clients.post(&env.api(), "%0", &format!("full-{turn}-{number}"), "note") {
            Attempt::Acknowledged(_) => filler.take_all()?,
            Attempt::Refused(_, code) => return Ok(code),
            Attempt::Broken => anyhow::bail!("a full disk broke the connection"),
        }
    }
    anyhow::bail!("{POSTS_MAX} events found room on a full disk")
}

fn reads_go_on(env: &TestEnv) -> anyhow::Result<()> {
    for path in ["/v1/health", "/v1/panes", "/v1/sessions", "/v1/targets"] {
        let began = wait::now();
        let reply = env.api().try_get(path).with_context(|| format!("{path} while full"))?;
        ensure!(reply.status == 200, "{path} while full: {}", reply.text());
        let took = began.elapsed();
        ensure!(took < READ_WITHIN, "{path} while full took {took:?}");
    }
    Ok(())
}

/// Writing goes on by itself.
fn recovers(env: &TestEnv, clients: &Clients, turn: usize) -> anyhow::Result<()> {
    let mut number = 0;
    let recovered = wait::within(RECOVERED_WITHIN, || {
        number += 1;
        thread::sleep(Duration::from_millis(20));
        match clients.post(&env.api(), "%0", &format!("after-{turn}-{number}"), "note") {
            Attempt::Acknowledged(_) => Some(()),
            Attempt::Refused(..) | Attempt::Broken => None,
        }
    });
    recovered.with_context(|| format!("nothing is stored {RECOVERED_WITHIN:?} after there is room"))
}
