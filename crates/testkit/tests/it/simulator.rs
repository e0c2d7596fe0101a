//! Seeds: those that found something once, and some that nobody has seen before.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use testkit::sim::{Failure, Plan, World, pinned::pinned, run, shrink};

/// Fresh seeds of each world.
const FRESH: [(World, u64); 2] = [(World::Engine, 30), (World::Whole, 20)];

/// A run that is short enough for every test run, even unoptimised.
fn short(world: World) -> Plan {
    match world {
        World::Engine => Plan { steps: 1_500, ..world.plan() },
        World::Whole => Plan { steps: 500, ..world.plan() },
    }
}

/// Runs all of these on every core; fails with what the first failure was.
fn hold(runs: &[(World, u64, Plan)]) {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failures = Vec::new();
        while let Some((world, seed, plan)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            failures.extend(run(*world, *seed, *plan).err());
        }
        failures
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<Box<Failure>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|it| it.join().expect("a world does not panic")).collect()
    });
    if let Some(failure) = failures.first() {
        let smaller = shrink(failure);
        let last = smaller.trace.iter().rev().take(12).rev().cloned().collect::<Vec<_>>();
        let repeat = smaller.repeat();
        panic!("{}\n\n{}\n\nrepeat it with\n  {repeat}", smaller.violation, last.join("\n"));
    }
}

#[test]
fn every_seed_that_found_something_once_passes_now() {
    let runs: Vec<_> = pinned().map(|it| (it.world, it.seed, it.world.plan())).collect();
    assert!(!runs.is_empty());
    hold(&runs);
}

#[test]
fn fresh_seeds_pass() {
    let base = RandomState::new().build_hasher().finish() >> 16;
    // Said past the capture: whoever sees a failure elsewhere wants to know where it began.
    writeln!(std::io::stderr(), "fresh seeds from {base}").ok();
    let of_world = |(world, count): (World, u64)| {
        (0..count).map(move |index| (world, base + index, short(world)))
    };
    hold(&FRESH.into_iter().flat_map(of_world).collect::<Vec<_>>());
}

#[test]
fn one_seed_is_one_run_bit_for_bit() {
    for world in [World::Engine, World::Whole] {
        let tally = |seed| run(world, seed, short(world)).map_err(|it| it.violation.to_string());
        assert_eq!(tally(7), tally(7));
        assert_ne!(tally(7), tally(8), "another seed is another run");
    }
}
