//! F-06: the files of a killed daemon are damaged. Each damage is noticed, at the start or by
//! `qd journal verify`, or it changes no answer; what is damaged is kept; nobody ever begins anew
//! where there was something.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use bench::world::World;
use testkit::TestEnv;

use crate::chance::Chance;
use crate::check::Checker;
use crate::clients::{Attempt, Clients};
use crate::homes::{self, Home, tells_of};
use crate::plan::Plan;
use crate::tally::Tally;

const FILES: [&str; 3] = ["qd.db", "qd.db-wal", "qd.anchor"];
const EVENTS: usize = 120;

/// One damage.
#[derive(Clone, Debug)]
enum Damage {
    Flip {
        file: &'static str,
        bit: u64,
    },
    Cut {
        file: &'static str,
        len: u64,
    },
    Gone {
        file: &'static str,
    },
    /// Another file in the place of one.
    Instead {
        files: Vec<(&'static str, PathBuf)>,
        #[expect(dead_code, reason = "shown by Debug where the damage was not noticed")]
        why: &'static str,
    },
    /// These bytes in the place of a file.
    Text {
        file: &'static str,
        text: &'static [u8],
    },
}

/// How a damage was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    /// By `qd journal verify`, by the start, or by both.
    Noticed,
    /// It changes nothing that anybody reads.
    Harmless,
}

pub(crate) fn run(plan: &Plan, tally: &mut Tally) -> anyhow::Result<()> {
    let flips = plan.count(20, 100, 300);
    let cuts = plan.count(4, 15, 60);
    let mut chance = Chance::new(plan.seed);
    let world = World::without_daemon(&plan.qd, 5, "exec sleep 100000");
    tally.round(&format!("--seed {}", plan.seed), world, |world, tally| {
        let env = &world.env;
        let (older, home, other) = homes(env)?;
        for damage in damages(&home, &older, &other, &mut chance, (flips, cuts))? {
            let met = suffer(env, &home, &damage).with_context(|| format!("{damage:?}"))?;
            let what = match (&damage, met) {
                (Damage::Flip { .. }, Met::Noticed) => "flips noticed",
                (Damage::Flip { .. }, Met::Harmless) => "flips that change nothing",
                (_, Met::Noticed) => "other damages noticed",
                (_, Met::Harmless) => "others that change nothing",
            };
            tally.add(what, 1);
        }
        Ok(())
    });
    Ok(())
}

/// A home as it was earlier, as it was when its daemon was killed, and one of somebody else.
fn homes(env: &TestEnv) -> anyhow::Result<(Home, Home, Home)> {
    let other = lived(env, "other-home", Clients::default())?;
    fs::remove_dir_all(env.home())?;
    // The first life ends in good order, so that something is in the database itself; the second
    // is killed, so that something is in its log.
    let older = lived(env, "older-home", Clients::default())?;
    let daemon = env.daemon();
    ensure!(daemon.stop() == 0, "a daemon did not stop in good order");
    let home = lived(env, "home-to-damage", older_clients(&older))?;
    Ok((older, home, other))
}

fn older_clients(older: &Home) -> Clients {
    let clients = Clients::default();
    clients.answers().acknowledged.clone_from(&older.clients.answers().acknowledged);
    clients
}

/// A daemon lives for some events, and is killed.
fn lived(env: &TestEnv, name: &str, clients: Clients) -> anyhow::Result<Home> {
    let daemon = env.daemon();
    Checker::converged(env)?;
    for number in 0..EVENTS {
        let kind = if number % 2 == 0 { "task-started" } else { "agent-turn-complete" };
        let attempt = clients.post(&env.api(), "%0", &format!("{name}-{number}"), kind);
        ensure!(matches!(attempt, Attempt::Acknowledged(_)), "{attempt:?}");
    }
    daemon.kill9();
    Home::put_aside(env, name, clients)
}

fn damages(
    home: &Home,
    older: &Home,
    other: &Home,
    chance: &mut Chance,
    (flips, cuts): (usize, usize),
) -> anyhow::Result<Vec<Damage>> {
    let mut damages = Vec::new();
    for file in FILES {
        let len = fs::metadata(home.file(file)).with_context(|| format!("no {file}"))?.len();
        damages.extend((0..flips).map(|_| Damage::Flip { file, bit: chance.below(len * 8) }));
        damages.extend((0..cuts).map(|_| Damage::Cut { file, len: chance.below(len) }));
        damages.push(Damage::Cut { file, len: 0 });
        damages.push(Damage::Gone { file });
        damages.push(Damage::Text { file, text: b"these are the words of somebody else\n" });
    }
    let of = |home: &Home, files: &[&'static str]| {
        files.iter().map(|file| (*file, home.file(file))).collect::<Vec<_>>()
    };
    let instead = |why, files| Damage::Instead { files, why };
    damages.extend([
        instead("the older database, its newer anchor", of(older, &["qd.db", "qd.db-wal"])),
        instead("the older database without its log", of(older, &["qd.db"])),
        instead("the older log", of(older, &["qd.db-wal"])),
        instead("the older anchor", of(older, &["qd.anchor"])),
        instead("another database, our anchor", of(other, &["qd.db", "qd.db-wal"])),
        instead("our database, another anchor", of(other, &["qd.anchor"])),
        instead("another log", of(other, &["qd.db-wal"])),
        instead("another shared index", of(other, &["qd.db-shm"])),
        Damage::Gone { file: "qd.db-shm" },
        Damage::Text { file: "qd.db-shm", text: b"these are the words of somebody else\n" },
    ]);
    Ok(damages)
}

impl Damage {
    fn inflict(&self, env: &TestEnv) -> anyhow::Result<()> {
        let path = |file: &str| env.home().join(file);
        match self {
            Self::Flip { file, bit } => homes::flip(&path(file), *bit)?,
            Self::Cut { file, len } => homes::cut(&path(file), *len)?,
            Self::Gone { file } => fs::remove_file(path(file))?,
            Self::Instead { files, .. } => {
                for (file, from) in files {
                    fs::copy(from, path(file))?;
                }
            }
            Self::Text { file, text } => fs::write(path(file), text)?,
        }
        Ok(())
    }
}

/// Damages the home, and sees how that is met: by the proof, and by the next daemon.
fn suffer(env: &TestEnv, home: &Home, damage: &Damage) -> anyhow::Result<Met> {
    home.lay_out(env);
    damage.inflict(env)?;
    let damaged = homes::contents(env);
    let verified = env.qd(&["journal", "verify"]);
    let code = verified.code().with_context(|| format!("verify crashed: {verified:?}"))?;
    for (name, bytes) in &damaged {
        ensure!(homes::is_kept(env, name, bytes), "verify changed {name}");
    }
    let started = start(env, home, damage, code != 0)?;
    if code != 0 || started == Met::Noticed {
        for (name, bytes) in damaged.iter().filter(|_| started == Met::Noticed) {
            ensure!(homes::is_kept(env, name, bytes), "the damaged {name} is not kept");
        }
        return Ok(Met::Noticed);
    }
    home.lay_out(env);
    damage.inflict(env)?;
    ensure!(home.reads_the_same(env), "nobody notices, and it reads otherwise");
    Ok(Met::Harmless)
}

/// Starts a daemon on what is there. It refuses, or shows what is proven and stores nothing, or
/// goes on with everything there was. Where the proof has `noticed` the damage, it may go on
/// without what it has not read yet; but it may not begin anew.
fn start(env: &TestEnv, home: &Home, damage: &Damage, noticed: bool) -> anyhow::Result<Met> {
    let daemon = match env.try_daemon() {
        Ok(daemon) => daemon,
        Err(said) => {
            ensure!(!said.contains("panicked"), "it panics: {said}");
            ensure!(said.contains("exit status"), "it is not refused in order: {said}");
            return Ok(Met::Noticed);
        }
    };
    let health = env.api().get("/v1/health").expect(200);
    drop(env.api().get("/v1/panes").expect(200));
    if health["store_mode"] == "read_only" {
        let attempt = Clients::default().post(&env.api(), "%0", "after", "note");
        let refused =
            matches!(&attempt, Attempt::Refused(503, code) if code == "E_STORE_READ_ONLY");
        ensure!(refused, "a damaged store answers {attempt:?}");
        return Ok(Met::Noticed);
    }
    let seq = health["journal"]["sequence"].as_u64().unwrap_or(0);
    ensure!(
        tells_of(&health, &home.database) && seq >= home.head,
        "a clean slate after {damage:?}: at {} of {}, and was at {} of {}",
        seq,
        health["stream_id"],
        home.head,
        home.database
    );
    if !noticed {
        Checker::default().history(env, &home.clients)?;
    }
    daemon.kill9();
    Ok(Met::Harmless)
}
