//! F-07: the clock jumps, by libfaketime: an hour, ten years, back to 1970. Order and states stay,
//! and nothing lasts less than no time.
//!
//! libfaketime needs a binary that is linked dynamically. Where the one that ships is not, the same
//! code linked otherwise is taken (`QD_DYNAMIC_BIN`).

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use bench::world::{Binary, World};
use serde_json::Value;
use testkit::{Daemon, TestEnv, wait};

use crate::chance::Chance;
use crate::check::Checker;
use crate::clients::{Attempt, Clients};
use crate::kills;
use crate::plan::Plan;
use crate::tally::Tally;
use crate::traffic::Traffic;

/// Where the clock stands, as libfaketime reads it, and what that is.
const JUMPS: [(&str, &str); 6] = [
    ("+3600s", "an hour ahead"),
    ("-3600s", "an hour back"),
    ("+315360000s", "ten years ahead"),
    ("-315360000s", "ten years back"),
    ("@1970-01-01 00:00:10", "1970"),
    ("+0s", "the truth again"),
];

/// Long enough for the daemon's timers to look at the clock.
const SETTLED: Duration = Duration::from_millis(1_000);

/// A daemon that starts while the clock is an hour ahead has to take everything for an hour older;
/// nothing is older than that and the length of the run.
const AGE_MS_MAX: u64 = 2 * 3_600_000;

pub(crate) fn run(plan: &Plan, tally: &mut Tally) -> anyhow::Result<()> {
    let Some(library) = library() else {
        tally.skip("all jumps", "libfaketime is not installed (apt-get install faketime)");
        return Ok(());
    };
    let qd = match dynamic(plan) {
        Ok(qd) => qd,
        Err(error) => {
            tally.skip("all jumps", &format!("{error:#}"));
            return Ok(());
        }
    };
    for seed in plan.seeds(plan.count(1, 5, 50)) {
        let world = World::without_daemon(&qd, 6, "exec sleep 100000");
        let mut chance = Chance::new(seed);
        tally.round(&format!("--seed {seed}"), world, |world, tally| {
            let clock = Clock { file: world.env.path("clock"), library: library.clone() };
            round(world, &clock, &mut chance, tally)
        });
    }
    Ok(())
}

fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    found.find(|path| path.is_file())
}

/// A binary of the same code that takes libraries in.
fn dynamic(plan: &Plan) -> anyhow::Result<Binary> {
    let shipping = fs::read(&plan.qd.path)?;
    if asks_for_an_interpreter(&shipping) {
        return Ok(plan.qd.clone());
    }
    let other = std::env::var_os("QD_DYNAMIC_BIN");
    let other =
        other.context("the shipping binary is static, and QD_DYNAMIC_BIN names no other")?;
    Binary::at(std::path::Path::new(&other))
}

/// Whether an ELF file names the loader that takes its libraries in.
fn asks_for_an_interpreter(binary: &[u8]) -> bool {
    let loader = b"/ld-linux";
    binary.windows(loader.len()).take(4_096).any(|part| part == loader)
}

/// The daemon's clock.
struct Clock {
    file: PathBuf,
    library: PathBuf,
}

impl Clock {
    fn set(&self, to: &str) -> anyhow::Result<()> {
        // Read anew at each look at the clock; a half-written one must not be seen.
        let fresh = self.file.with_extension("new");
        fs::write(&fresh, format!("{to}\n"))?;
        Ok(fs::rename(fresh, &self.file)?)
    }

    fn daemon(&self, env: &TestEnv) -> anyhow::Result<Daemon> {
        let mut command = env.command(env.qd_program());
        command.args(["daemon", "run"]).env("LD_PRELOAD", &self.library);
        command.env("FAKETIME_TIMESTAMP_FILE", &self.file).env("FAKETIME_NO_CACHE", "1");
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
        env.daemon_by(command).map_err(|said| anyhow::anyhow!("it does not start: {said}"))
    }
}

fn round(
    world: &mut World,
    clock: &Clock,
    chance: &mut Chance,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let (traffic, mut checker) = (Traffic::default(), Checker::default());
    let World { env, daemon } = world;
    clock.set("+0s")?;
    *daemon = Some(clock.daemon(env)?);
    Checker::converged(env)?;
    for (pane, kind) in [("%0", "approval-requested"), ("%1", "input-required")] {
        let attempt = traffic.clients.post(&env.api(), pane, &format!("said-{pane}"), kind);
        ensure!(matches!(attempt, Attempt::Acknowledged(_)), "{attempt:?}");
    }
    let mut said = states(env);
    traffic.calm(env, || {
        let mut jumps = JUMPS.to_vec();
        while !jumps.is_empty() {
            let (to, what) = jumps.swap_remove(chance.index(jumps.len()));
            clock.set(to)?;
            jump(env, &traffic.clients, &said, to).with_context(|| what.to_owned())?;
            checker.history(env, &traffic.clients)?;
            checker.caught_up(env, &traffic.watcher)?;
            tally.add("jumps", 1);
            if to.ends_with("3600s") {
                restart(env, daemon, clock, &said).with_context(|| format!("start, {what}"))?;
                // What was doubted then may not come back by a jump.
                said = states(env);
            }
        }
        Ok(())
    })?;
    kills::end(env, daemon)
}

/// After a jump everything goes on: what happens is stored and shown in the order in which it
/// happens, and what was concluded stays.
fn jump(
    env: &TestEnv,
    clients: &Clients,
    said: &[(String, String)],
    to: &str,
) -> anyhow::Result<()> {
    let api = env.api();
    wait::stays("states are as they were", SETTLED, || states(env) == said);
    let before = head(env)?;
    for number in 0..5 {
        let key = format!("{to}-{number}");
        match clients.post(&api, "%2", &key, "said-nothing") {
            Attempt::Acknowledged(it) => ensure!(it.seq > before, "{key} is at {}", it.seq),
            other @ (Attempt::Refused(..) | Attempt::Broken) => anyhow::bail!("{key}: {other:?}"),
        }
    }
    env.tmux().ok(&["rename-window", "-t", "%3", &format!("at{before}")]);
    Checker::converged(env)?;
    no_time_is_negative(env)
}

/// The daemon is killed and starts while the clock is wrong.
fn restart(
    env: &TestEnv,
    daemon: &mut Option<Daemon>,
    clock: &Clock,
    said: &[(String, String)],
) -> anyhow::Result<()> {
    if let Some(daemon) = daemon.take() {
        daemon.kill9();
    }
    *daemon = Some(clock.daemon(env)?);
    Checker::converged(env)?;
    Checker::proven(env)?;
    let now = states(env);
    // Nobody looked for an hour, as far as anybody can know: what was said may be doubted, but
    // nothing else may be concluded.
    let doubted =
        |(was, is): (&(String, String), &(String, String))| was == is || is.1 == "unknown";
    ensure!(now.len() == said.len() && said.iter().zip(&now).all(doubted), "{said:?}, {now:?}");
    Ok(())
}

fn head(env: &TestEnv) -> anyhow::Result<u64> {
    let health = env.api().get("/v1/health").expect(200);
    health["journal"]["sequence"].as_u64().context("a journal without an end")
}

/// The states of panes about which something was said.
fn states(env: &TestEnv) -> Vec<(String, String)> {
    let list = env.api().get("/v1/panes").expect(200);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = list["items"].as_array().cloned().unwrap_or_default();
    items.iter().map(|it| (text(&it["identity"]["pane_id"]), text(&it["state"]))).collect()
}

fn no_time_is_negative(env: &TestEnv) -> anyhow::Result<()> {
    let list = env.api().get("/v1/panes").expect(200);
    for item in list["items"].as_array().into_iter().flatten() {
        let Some(runtime) = item["runtime_id"].as_str() else { continue };
        let explained = env.api().get(&format!("/v1/runtimes/{runtime}/explain")).expect(200);
        let evidence = explained["evidence"].as_array().cloned().unwrap_or_default();
        let ages = evidence.iter().flat_map(|it| [&it["age_ms"], &it["confirmed_age_ms"]]);
        for age in ages.chain([&explained["last_seen_age_ms"]]) {
            let bounded = age.as_u64().is_some_and(|it| it < AGE_MS_MAX);
            ensure!(bounded, "an age of {age}: {explained:#}");
        }
    }
    Ok(())
}
