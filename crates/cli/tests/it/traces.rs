//! What `qd` sets up on a machine, and that it can all be undone.

use std::fs;
use std::path::{Path, PathBuf};

use testkit::TestEnv;

use crate::deck::deck;

/// Every file below the home folder, without the daemon's own state.
fn files(env: &TestEnv) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), found);
            } else {
                found.push(entry.path());
            }
        }
    }
    let mut found = Vec::new();
    walk(&env.path("home"), &mut found);
    found.sort();
    found
}

#[test]
fn a_service_is_set_up_with_a_hint_on_lingering_and_taken_away_again() {
    let env = deck();
    let said = env.qd(&["daemon", "install"]).success();
    assert!(said.contains("linger"), "{said}");
    let unit = env.path("home/.config/systemd/user/quarterdeck.service");
    let text = fs::read_to_string(&unit).unwrap();
    assert!(text.contains("daemon run"), "{text}");
    assert!(text.contains(env.home().to_str().unwrap()), "QD_HOME is kept: {text}");
    env.qd(&["daemon", "install"]).success();
    env.qd(&["daemon", "uninstall"]).success();
    assert!(!unit.exists());
    env.qd(&["daemon", "uninstall"]).success();
}

#[test]
fn a_service_file_that_is_not_ours_is_left_alone() {
    let env = deck();
    let unit = env.path("home/.config/systemd/user/quarterdeck.service");
    fs::create_dir_all(unit.parent().unwrap()).unwrap();
    fs::write(&unit, "mine").unwrap();
    for verb in ["install", "uninstall"] {
        assert_ne!(env.qd(&["daemon", verb]).code(), Some(0), "{verb}");
    }
    assert_eq!(fs::read_to_string(&unit).unwrap(), "mine");
}

#[test]
fn ordinary_use_leaves_nothing_outside_its_own_folders() {
    let env = deck();
    let before = files(&env);
    env.tmux().session("work", "exec cat");
    env.qd(&["list", "panes"]).success();
    env.qd(&["doctor"]).success();
    env.qd(&["daemon", "stop"]).success();
    assert_eq!(files(&env), before);
}

#[test]
fn uninstall_undoes_everything_and_keeps_the_data_unless_told() {
    let env = deck();
    let before = files(&env);
    env.qd(&["list", "panes"]).success();
    env.qd(&["daemon", "install"]).success();
    env.qd(&["uninstall"]).success();
    assert_eq!(files(&env), before);
    assert!(env.daemons().is_empty(), "the daemon is stopped");
    assert!(env.database().exists(), "without a terminal nobody agreed to lose the data");
    env.qd(&["uninstall", "--yes"]).success();
    assert!(!env.database().exists());
}
