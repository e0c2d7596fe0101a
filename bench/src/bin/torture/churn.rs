//! A tmux server in which nothing stays as it is.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use testkit::Tmux;

use crate::chance::Chance;

const PANES_MIN: usize = 4;
const PANES_MAX: usize = 24;

/// The panes that are there, as a client may know them: a little late, and some already gone.
pub(crate) type Panes = Mutex<Vec<String>>;

/// What is done to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Window,
    Split,
    Kill,
    RenameWindow,
    RenameSession,
    Respawn,
    Session,
    Move,
}

const ACTS: &[(u64, Act)] = &[
    (25, Act::Window),
    (10, Act::Split),
    (25, Act::Kill),
    (20, Act::RenameWindow),
    (4, Act::RenameSession),
    (8, Act::Respawn),
    (4, Act::Session),
    (4, Act::Move),
];

/// Changes panes, windows and sessions until told to stop.
pub(crate) fn run(tmux: &Tmux<'_>, panes: &Panes, mut chance: Chance, stop: &AtomicBool) {
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        act(tmux, panes, &mut chance, number);
        testkit::wait::stays("a pause", chance.ms(25), || true);
    }
}

/// Does one thing. What it is aimed at may be gone; then nothing happens.
pub(crate) fn act(tmux: &Tmux<'_>, panes: &Panes, chance: &mut Chance, number: u64) {
    let users = "#{!=:#{m:_qd-*,#{session_name}},1}";
    let listed = tmux.run(&["list-panes", "-a", "-f", users, "-F", "#{session_id}:\t#{pane_id}"]);
    let lines = listed.stdout.lines().filter_map(|line| line.split_once('\t'));
    let places: Vec<_> =
        lines.map(|(session, pane)| (session.to_owned(), pane.to_owned())).collect();
    let (session, pane) = chance.pick(&places).cloned().unwrap_or_default();
    let known: Vec<String> = places.into_iter().map(|(_, pane)| pane).collect();
    let chosen = match known.len() {
        0 => Act::Session,
        few if few < PANES_MIN => Act::Window,
        many if many > PANES_MAX => Act::Kill,
        _ => draw(chance),
    };
    if let Ok(mut panes) = panes.lock() {
        *panes = known;
    }
    let name = format!("n{number}");
    let program = "exec sleep 100000";
    // Everything by its id: names change under our hands.
    let words: Vec<&str> = match chosen {
        Act::Window => vec!["new-window", "-d", "-t", &pane, "-a", "-n", &name, program],
        Act::Split => vec!["split-window", "-d", "-t", &pane, program],
        Act::Kill => vec!["kill-pane", "-t", &pane],
        Act::RenameWindow => vec!["rename-window", "-t", &pane, &name],
        Act::RenameSession => vec!["rename-session", "-t", &pane, &name],
        Act::Respawn => vec!["respawn-pane", "-k", "-t", &pane, program],
        Act::Session => vec!["new-session", "-d", "-s", &name, "-x", "120", "-y", "200", program],
        Act::Move => vec!["break-pane", "-d", "-s", &pane, "-t", &session],
    };
    // It may well fail: the pane was too small, or gone.
    drop(tmux.run(&words));
}

fn draw(chance: &mut Chance) -> Act {
    let total: u64 = ACTS.iter().map(|(weight, _)| weight).sum();
    let mut left = chance.below(total);
    for (weight, act) in ACTS {
        if left < *weight {
            return *act;
        }
        left -= weight;
    }
    Act::Window
}
