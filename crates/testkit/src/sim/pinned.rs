//! Seeds that found something once. They are run for ever.

use super::World;

/// One seed, and what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pinned {
    pub world: World,
    pub seed: u64,
    pub reason: &'static str,
}

/// All of them, in the order in which they were found.
pub fn pinned() -> impl Iterator<Item = Pinned> {
    let lines = include_str!("seeds.txt").lines();
    lines.filter(|line| !line.starts_with('#')).map(read)
}

fn read(line: &'static str) -> Pinned {
    let mut words = line.splitn(3, ' ');
    let world = match words.next() {
        Some("engine") => World::Engine,
        Some("whole") => World::Whole,
        other => panic!("seeds.txt names no world: {other:?}"),
    };
    let seed = words.next().and_then(|word| word.parse().ok());
    let seed = seed.unwrap_or_else(|| panic!("seeds.txt holds no seed in {line:?}"));
    let reason = words.next().unwrap_or_else(|| panic!("seeds.txt gives no reason for {seed}"));
    Pinned { world, seed, reason }
}
