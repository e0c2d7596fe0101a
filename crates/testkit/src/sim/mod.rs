//! The simulator: a seeded world in which everything goes wrong that can, and a checker that looks
//! after every step.
//!
//! One seed is one run, bit for bit. The design is in `docs/design/simulator.md`; `./x sim` runs
//! it. Reading order: [`rng`] and [`clock`], the made-up tmux in [`fake`] and what a perfect look
//! at it shows ([`sight`]), the reference [`model`] and the [`check`]er, and the worlds that put
//! these together: [`core`], the engine alone.

mod clock;
mod rng;
mod tally;
mod texts;

mod fake;
mod sight;
mod voices;

mod memory;
mod mind;

mod check;
mod model;
mod view;

mod core;

pub use check::Violation;
pub use tally::Tally;

/// What a run is to do, besides its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Inputs before the world heals.
    pub steps: u64,
    /// The whole state is compared after this many steps; every row is checked in any case.
    pub check_every: u64,
}

/// A run that found something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub seed: u64,
    pub step: u64,
    pub violation: Violation,
}

/// Runs the engine alone.
pub fn run_core(seed: u64, plan: Plan) -> Result<Tally, Failure> {
    let mut core = core::Core::new(seed, plan);
    let result = core.run();
    let tally = core.tally;
    match result {
        Ok(()) => Ok(tally),
        Err(violation) => Err(Failure { seed, step: tally.steps, violation }),
    }
}
