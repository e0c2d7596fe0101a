//! Worlds whose test was killed before it could clean up: the next test run ends them.

use std::fs;
use std::path::Path;
use std::sync::Once;

use crate::process::{self, Signal};

/// Where worlds are made; socket paths have to stay short.
pub(crate) const FOLDER: &str = "/tmp";

/// How their names begin.
pub(crate) const PREFIX: &str = "qdt-";

/// The file in each world that says whose it is.
const OWNER: &str = "owner";

/// Signs a world as this process's.
pub(crate) fn sign(root: &Path) {
    let owner = process::identity(std::process::id()).unwrap_or_default();
    fs::write(root.join(OWNER), owner).expect("a new directory takes new entries");
}

/// Ends what was left behind, once in each process. A world that is not signed yet is being made.
pub(crate) fn sweep() {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(|| {
        let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten();
        let worlds = entries.filter(|it| it.file_name().to_string_lossy().starts_with(PREFIX));
        for world in worlds.map(|it| it.path()) {
            let Ok(owner) = fs::read_to_string(world.join(OWNER)) else { continue };
            if is_gone(&owner) {
                end(&world);
            }
        }
    });
}

/// Where nothing can be known of processes, nothing is taken for gone.
fn is_gone(owner: &str) -> bool {
    let pid = owner.split(' ').next().and_then(|pid| pid.parse().ok());
    !owner.is_empty() && pid.is_some_and(|pid| process::identity(pid).as_deref() != Some(owner))
}

fn end(world: &Path) {
    for member in process::members(world) {
        process::signal(member.pid, Signal::KILL);
    }
    fs::remove_dir_all(world).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_owner_keeps_its_world_and_a_dead_one_does_not() {
        let own = process::identity(std::process::id()).unwrap();
        assert!(!is_gone(&own));
        let another_life = format!("{} 1", std::process::id());
        assert!(is_gone(&another_life), "the number was given to another process");
        assert!(!is_gone(""));
    }

    #[test]
    fn what_runs_in_an_abandoned_world_is_ended() {
        let world = tempfile::Builder::new().prefix(PREFIX).tempdir_in(FOLDER).unwrap().keep();
        let mut command = process::command("sleep");
        let mut sleeper = command.arg("1000").env("HOME", &world).spawn().unwrap();
        end(&world);
        sleeper.wait().unwrap();
        assert!(!world.exists());
    }
}
