//! What was asked for on the command line: which groups, how much of each, and where chance begins.

use anyhow::{Context, bail};
use bench::world::Binary;

use crate::chance::Chance;

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amount {
    /// What fits into every run of CI.
    Ci,
    Usual,
    /// The counts of a release.
    Full,
}

pub(crate) struct Plan {
    pub(crate) qd: Binary,
    /// The seed of the first round; the next round has the next.
    pub(crate) seed: u64,
    /// The one point to suffer, instead of some.
    pub(crate) point: Option<String>,
    amount: Amount,
    groups: Vec<String>,
}

impl Plan {
    pub(crate) fn from_arguments(
        mut arguments: impl Iterator<Item = String>,
        known: &[&str],
    ) -> anyhow::Result<Self> {
        let (mut amount, mut seed, mut point) = (Amount::Usual, None, None);
        let mut groups = Vec::new();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--ci" => amount = Amount::Ci,
                "--full" => amount = Amount::Full,
                "--seed" => {
                    let text = arguments.next().context("--seed needs a number")?;
                    seed = Some(text.parse().context("--seed needs a number")?);
                }
                "--point" => point = Some(arguments.next().context("--point needs a point")?),
                name if known.contains(&name) => groups.push(name.to_owned()),
                other => bail!(
                    "`{other}` is neither --ci, --full, --seed N nor a group; there are: {}",
                    known.join(", ")
                ),
            }
        }
        let seed = seed.unwrap_or_else(Chance::fresh_seed);
        Ok(Self { qd: Binary::find()?, seed, point, amount, groups })
    }

    pub(crate) fn wants(&self, group: &str) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|it| it == group)
    }

    /// How many of a thing: in CI, usually, and for a release.
    pub(crate) fn count(&self, ci: usize, usual: usize, full: usize) -> usize {
        match self.amount {
            Amount::Ci => ci,
            Amount::Usual => usual,
            Amount::Full => full,
        }
    }

    /// The seeds of so many rounds.
    pub(crate) fn seeds(&self, rounds: usize) -> impl Iterator<Item = u64> + use<> {
        let first = self.seed;
        (0..rounds as u64).map(move |round| first.wrapping_add(round))
    }
}
