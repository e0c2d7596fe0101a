//! How many descriptors this process may have open.
//!
//! The kernel tells of the end of a process through one descriptor each, so a daemon that watches
//! a thousand panes needs more than the thousand that a login usually grants. What may be had is
//! taken at the start; programs that we start get what we were given.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The share of all descriptors that watching processes leaves for everything else (connections,
/// files, programs that are started), and the least of it.
const RESERVED_SHARE: u64 = 4;
const RESERVED_MIN: u64 = 64;

/// What a runtime opens for itself, and what it takes to speak to somebody.
const RUNTIME_MIN: usize = 8;

/// Whether enough are left to build a runtime: tokio does not fail without, it panics.
pub fn suffice() -> io::Result<()> {
    (0..RUNTIME_MIN).map(|_| File::open("/dev/null")).collect::<io::Result<Vec<_>>>().map(drop)
}

/// Takes as many as may be had. Gives the limit that was in force before, if it is another now.
pub(crate) fn take_all() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let given = current.filter(|_| current != maximum)?;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).ok()?;
    Some(given)
}

/// Gives back what was taken, in a child that has not yet become another program.
pub(crate) fn give_back(given: u64) -> rustix::io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(given), maximum })
}

/// Whether a descriptor is one of the last, which are for other purposes than watching processes.
/// The kernel hands out the lowest number that is free, so the number tells how many are in use.
pub(crate) fn is_reserved(descriptor: impl AsFd) -> bool {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return false };
    let reserved = (limit / RESERVED_SHARE).max(RESERVED_MIN);
    let number = u64::try_from(descriptor.as_fd().as_raw_fd()).unwrap_or(0);
    number >= limit.saturating_sub(reserved)
}
