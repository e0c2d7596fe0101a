//! F-01, F-04, F-05, F-21: the daemon is killed at its N-th call of every kind, and those calls
//! fail that a bad disk or an exhausted machine fails, in four short lives: on a new home, on one
//! that a crash left, on a database of the first schema, and on the thread that decides
//! alone.

use std::collections::BTreeMap;

use bench::world::World;
use testkit::TestEnv;

use crate::chance::Chance;
use crate::check::Checker;
use crate::clients::Clients;
use crate::kills;
use crate::plan::Plan;
use crate::strace::{self, Fault, Files, Injection};
use crate::tally::Tally;
use crate::victim::{self, Life, Point, Victim};

pub(crate) fn run(plan: &Plan, tally: &mut Tally) -> anyhow::Result<()> {
    let scene = || World::without_daemon(&plan.qd, 3, "exec sleep 100000");
    let first = scene();
    if let Some(why) = strace::refused(&first.env) {
        tally.skip("all points", &why);
        return Ok(());
    }
    let points = match &plan.point {
        Some(point) => vec![point.parse()?],
        None => choose(plan, &first.env, tally)?,
    };
    drop(first);
    for point in points {
        tally.round(&format!("--point {point}"), scene(), |world, tally| {
            suffer(&world.env, &point, tally)
        });
    }
    Ok(())
}

fn choose(plan: &Plan, env: &TestEnv, tally: &Tally) -> anyhow::Result<Vec<Point>> {
    let mut chance = Chance::new(plan.seed);
    let (deaths, failures) = (deaths(env)?, failures(env)?);
    tally.figure(&format!(
        "{} points to be killed at, {} to fail at",
        deaths.len(),
        failures.len()
    ));
    let mut points = spread(&mut chance, deaths, plan.count(40, 400, 20_000));
    points.extend(spread(&mut chance, failures, plan.count(20, 150, 20_000)));
    Ok(points)
}

/// So many of the points, as many of each kind: most calls are reads and writes, and most kinds
/// are not.
fn spread(chance: &mut Chance, points: Vec<Point>, count: usize) -> Vec<Point> {
    let mut kinds: BTreeMap<_, Vec<Point>> = BTreeMap::new();
    for point in points {
        let Point { life, injection } = &point;
        let kind = (injection.call.clone(), injection.fault, *life);
        kinds.entry(kind).or_default().push(point);
    }
    let mut kinds: Vec<_> = kinds.into_values().collect();
    let mut chosen = Vec::new();
    while chosen.len() < count && !kinds.is_empty() {
        let mut turn: Vec<usize> = (0..kinds.len()).collect();
        while chosen.len() < count && !turn.is_empty() {
            let kind = &mut kinds[turn.swap_remove(chance.index(turn.len()))];
            chosen.push(kind.swap_remove(chance.index(kind.len())));
        }
        kinds.retain(|kind| !kind.is_empty());
    }
    chosen
}

/// Counts the calls of each life; each of them is a point at which it can be killed.
fn deaths(env: &TestEnv) -> anyhow::Result<Vec<Point>> {
    let mut points = Vec::new();
    for life in Life::ALL {
        for (call, count) in count(env, life, None)? {
            let (fault, files) = (Fault::Kill, Files::Any);
            let injection = |number| Injection { call: call.clone(), number, fault, files };
            points.extend((1..=count).map(|number| Point { life, injection: injection(number) }));
        }
    }
    Ok(points)
}

fn count(
    env: &TestEnv,
    life: Life,
    injection: Option<&Injection>,
) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut victim = Victim::born(env, life, injection)?;
    victim.live(env, &Clients::default());
    victim.ended()?;
    Ok(victim.trace.counts())
}

/// Calls that fail as they do on a bad or a full disk, or where something has run out.
const FAILING: &[(&str, Files, &[Fault])] = &[
    ("fsync", Files::Database, &[Fault::Once("EIO"), Fault::From("EIO")]),
    ("fdatasync", Files::Database, &[Fault::Once("EIO"), Fault::From("EIO")]),
    ("pwrite64", Files::Database, &[Fault::Once("EIO"), Fault::From("EIO")]),
    ("pwrite64", Files::Store, &[Fault::From("ENOSPC")]),
    ("pread64", Files::Database, &[Fault::Once("EIO")]),
    ("ftruncate", Files::Store, &[Fault::From("ENOSPC")]),
    ("fallocate", Files::Store, &[Fault::Once("ENOSPC")]),
    ("openat", Files::Any, &[Fault::Once("EMFILE"), Fault::From("EMFILE")]),
    ("socket", Files::Any, &[Fault::Once("EMFILE")]),
    ("accept4", Files::Any, &[Fault::Once("EMFILE")]),
    ("socketpair", Files::Any, &[Fault::Once("EMFILE")]),
    ("pipe2", Files::Any, &[Fault::Once("EMFILE"), Fault::From("EMFILE")]),
    ("eventfd2", Files::Any, &[Fault::Once("EMFILE")]),
    ("epoll_create1", Files::Any, &[Fault::Once("EMFILE")]),
    ("pidfd_open", Files::Any, &[Fault::Once("EMFILE"), Fault::From("EMFILE")]),
    ("inotify_init1", Files::Any, &[Fault::From("EMFILE")]),
    ("inotify_add_watch", Files::Any, &[Fault::From("ENOSPC")]),
    ("clone", Files::Any, &[Fault::Once("EAGAIN")]),
    ("clone3", Files::Any, &[Fault::Once("EAGAIN")]),
    ("vfork", Files::Any, &[Fault::Once("EAGAIN")]),
];

/// Counts the calls that are to fail, and has each of them fail once.
fn failures(env: &TestEnv) -> anyhow::Result<Vec<Point>> {
    let mut points = Vec::new();
    for life in Life::ALL {
        for files in Files::ALL {
            let failing = FAILING.iter().filter(|(_, of, _)| *of == files);
            let calls: Vec<&str> = failing.clone().map(|(call, ..)| *call).collect();
            let injection = |call: &str, number, fault| Injection {
                call: call.to_owned(),
                number,
                fault,
                files,
            };
            // So many calls are never made: this only counts.
            let never = injection(&calls.join(","), 60_000, Fault::Once("EIO"));
            let made = count(env, life, Some(&never))?;
            for (call, _, faults) in failing {
                for number in 1..=made.get(*call).copied().unwrap_or(0) {
                    let each = faults.iter().map(|fault| injection(call, number, *fault));
                    points.extend(each.map(|injection| Point { life, injection }));
                }
            }
        }
    }
    Ok(points)
}

/// One fault, and everything that has to hold afterwards.
fn suffer(env: &TestEnv, point: &Point, tally: &mut Tally) -> anyhow::Result<()> {
    let (clients, mut checker) = (Clients::default(), Checker::default());
    let mut victim = Victim::born(env, point.life, Some(&point.injection))?;
    victim.live(env, &clients);
    victim.ended()?;
    let hit = victim.trace.hit(&point.injection);
    let what = match (point.injection.fault, hit) {
        (Fault::Kill, true) => "killed at a call",
        (Fault::Once(_) | Fault::From(_), true) => "with failing calls",
        (_, false) => "untouched",
    };
    tally.add(what, 1);
    victim.told_the_truth(&point.injection, hit)?;
    let mut daemon = Some(env.daemon());
    victim::went_on(env, point.life)?;
    checker.history(env, &clients)?;
    Checker::converged(env)?;
    kills::end(env, &mut daemon)
}
