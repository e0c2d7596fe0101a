//! The simulator: a seeded world in which everything goes wrong that can, and a checker that looks
//! after every step.
//!
//! One seed is one run, bit for bit. `docs/design/simulator.md` tells what is simulated and what is
//! checked; `./x sim` runs it. Reading order: chance and time ([`rng`], [`clock`]); the made-up
//! tmux ([`fake`]) and the [`road`] to one that is elsewhere, what a perfect look at it shows ([`sight`]), and who
//! looks and speaks
//! ([`observer`], [`readings`], [`voices`], [`spool`], [`watcher`]), who acts ([`people`], [`questions`],
//! [`executors`]); the reference [`model`] and the one [`check`]er with its [`deeds`]; and the
//! two worlds that put these together, [`core`] with the engine alone and [`whole`] with the real
//! ledger on a real file.

mod clock;
mod rng;
mod tally;
mod texts;
mod trace;

mod fake;
mod road;
mod sight;
mod site;

mod convert;
mod executors;
mod observer;
mod people;
mod questions;
mod readings;
mod spool;
mod voices;
mod watcher;

mod disk;
mod memory;
mod mind;

mod check;
mod deeds;
mod model;
mod view;

mod core;
mod whole;

pub mod pinned;

pub use check::Violation;
pub use tally::Tally;

/// How much of the world is real.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum World {
    /// The engine alone: no bytes and no disk, for as many steps as possible.
    Engine,
    /// tmux's bytes, the parser, the ledger and its file, watchers.
    Whole,
}

impl World {
    pub fn as_str(self) -> &'static str {
        match self {
            World::Engine => "engine",
            World::Whole => "whole",
        }
    }

    /// How a run of this world is done by default.
    pub fn plan(self) -> Plan {
        match self {
            World::Engine => Plan { steps: 3_000, check_every: 16, trace: false },
            World::Whole => Plan { steps: 2_000, check_every: 1, trace: false },
        }
    }
}

/// What a run is to do, besides its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Steps before the world heals.
    pub steps: u64,
    /// The whole state is compared after this many steps; every row is checked in any case.
    pub check_every: u64,
    /// Keep what happened last.
    pub trace: bool,
}

/// A run that found something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub world: World,
    pub seed: u64,
    pub plan: Plan,
    /// The step at which it was found.
    pub step: u64,
    pub violation: Violation,
    /// What happened last, where it was kept.
    pub trace: Vec<String>,
}

/// Runs one seed.
pub fn run(world: World, seed: u64, plan: Plan) -> Result<Tally, Box<Failure>> {
    let (result, tally, trace) = match world {
        World::Engine => {
            let mut core = core::Core::new(seed, plan);
            (core.run(), core.tally, core.trace)
        }
        World::Whole => match whole::Whole::new(seed, plan) {
            Ok(mut whole) => (whole.run(), whole.tally, whole.trace),
            Err(error) => {
                let nowhere = check::violated("set-up", format!("there is no folder: {error}"));
                (nowhere, Tally::default(), trace::Trace::new(false))
            }
        },
    };
    let step = tally.steps;
    let failed = |violation| {
        Box::new(Failure { world, seed, plan, step, violation, trace: trace.into_lines() })
    };
    result.map(|()| tally).map_err(failed)
}

/// The same failure with as few steps as bisecting finds, checked at each, and with its trace.
pub fn shrink(failure: &Failure) -> Failure {
    let Failure { world, seed, plan, .. } = *failure;
    let plan = Plan { check_every: 1, ..plan };
    let fails = |steps| run(world, seed, Plan { steps, ..plan }).err();
    let (mut enough, mut too_few) = (plan.steps, 0);
    while too_few + 1 < enough {
        let middle = too_few + (enough - too_few) / 2;
        if fails(middle).is_some() {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    let traced = run(world, seed, Plan { steps: enough, trace: true, ..plan });
    traced.err().map_or_else(|| failure.clone(), |it| *it)
}

/// How a failing run is repeated, as an argument list for `./x`.
impl Failure {
    pub fn repeat(&self) -> String {
        let world = self.world.as_str();
        format!("./x sim --{world} --seed {} --steps {}", self.seed, self.plan.steps)
    }
}
