//! Every kind of change in what there is, and in what a pane shows.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use super::on_every_reach;
use super::scene::{Reach, Scene, Setting, env};
use engine::ids::SessionId;
use engine::pane::PaneFacts;
use testkit::{TestEnv, wait};
use tmux::version::Version;

/// The other sessions that show a pane.
fn shown_in(pane: &PaneFacts) -> Vec<SessionId> {
    pane.links.iter().map(|link| link.session).collect()
}

on_every_reach!(
    a_new_session_window_and_pane_appear,
    killed_ones_go,
    a_program_that_ends_takes_its_pane_along,
    renames_are_seen,
    joined_broken_off_moved_and_swapped_panes_stay_the_same_processes,
    a_pane_of_a_linked_window_is_listed_once_and_outlives_one_of_its_sessions,
    a_group_of_sessions_lists_each_pane_once,
    size_zoom_and_active_pane_follow,
    a_title_set_by_the_program_or_by_tmux_is_seen,
    path_and_command_follow_what_is_typed,
    a_bell_is_seen_in_a_session_that_nobody_attached,
    copy_mode_is_seen,
    a_dead_pane_has_its_status_and_a_respawn_is_another_process,
    a_pane_that_is_dead_before_its_program_ends_has_the_status_as_soon_as_that_does,
    a_killed_program_leaves_its_signal,
    a_rescan_lists_everything_again,
    after_much_churn_the_view_equals_what_tmux_says,
);

/// A shell in a session `work`, watched.
fn shell(reach: Reach) -> (TestEnv, Scene, String) {
    let env = env();
    let pane = env.tmux().session("work", "exec sh");
    let scene = Setting::new(reach).observe(&env);
    scene.pane_where(&pane, "the shell", |it| it.command == "sh");
    (env, scene, pane)
}

fn a_new_session_window_and_pane_appear(reach: Reach) {
    let (env, scene, first) = shell(reach);
    let tmux = env.tmux();
    assert_eq!(scene.lists(&first).session_name, "work");
    let session = tmux.session("other", "exec cat");
    assert_eq!(scene.lists(&session).session_name, "other");
    assert_eq!(scene.said().session("other").unwrap().attached, 0);
    let window = tmux.window("work", "build", "exec cat");
    assert_eq!(scene.lists(&window).window_name, "build");
    let split = tmux.split(&window, "exec cat");
    assert_eq!(scene.lists(&split).window, scene.lists(&window).window);
}

fn killed_ones_go(reach: Reach) {
    let (env, scene, first) = shell(reach);
    let tmux = env.tmux();
    let split = tmux.split(&first, "exec cat");
    let window = tmux.window("work", "build", "exec cat");
    let session = tmux.session("other", "exec cat");
    for pane in [&split, &window, &session] {
        scene.lists(pane);
    }
    tmux.ok(&["kill-pane", "-t", &split]);
    scene.unlists(&split);
    tmux.ok(&["kill-window", "-t", &window]);
    scene.unlists(&window);
    tmux.ok(&["kill-session", "-t", "=other"]);
    scene.unlists(&session);
    assert!(scene.said().session("other").is_none());
    scene.lists(&first);
}

fn a_program_that_ends_takes_its_pane_along(reach: Reach) {
    let (env, scene, pane) = shell(reach);
    let split = env.tmux().split(&pane, "exec sh");
    scene.lists(&split);
    env.tmux().type_line(&split, "exit 3");
    scene.unlists(&split);
    scene.lists(&pane);
}

fn renames_are_seen(reach: Reach) {
    let (env, scene, pane) = shell(reach);
    let tmux = env.tmux();
    tmux.ok(&["rename-session", "-t", "=work", "play"]);
    scene.pane_where(&pane, "session renamed", |it| it.session_name == "play");
    assert!(scene.said().session("play").is_some() && scene.said().session("work").is_none());
    tmux.ok(&["rename-window", "-t", &pane, "editor"]);
    scene.pane_where(&pane, "window renamed", |it| it.window_name == "editor");
}

fn joined_broken_off_moved_and_swapped_panes_stay_the_same_processes(reach: Reach) {
    let (env, scene, pane) = shell(reach);
    let tmux = env.tmux();
    let moved = tmux.window("work", "two", "exec cat");
    let other = tmux.session("other", "exec cat");
    let process = scene.pane_where(&moved, "cat", |it| it.command == "cat").process;
    let window_of = |id: &str| tmux.show(id, "#{window_id}");
    let is_in = |id: &str, what: &str| {
        let window = window_of(id);
        let seen = scene.pane_where(id, what, |it| it.window.to_string() == window);
        assert_eq!(seen.pane.to_string(), id);
        seen
    };

    tmux.ok(&["join-pane", "-d", "-s", &moved, "-t", &pane]);
    assert_eq!(window_of(&moved), window_of(&pane));
    assert_eq!(is_in(&moved, "joined").process, process);

    tmux.ok(&["break-pane", "-d", "-s", &moved]);
    assert_eq!(is_in(&moved, "broken off").process, process);

    tmux.ok(&["move-window", "-d", "-s", &window_of(&moved), "-t", "other:"]);
    scene.pane_where(&moved, "moved", |it| it.session_name == "other" && it.process == process);

    tmux.ok(&["swap-pane", "-d", "-s", &moved, "-t", &other]);
    assert_eq!(is_in(&moved, "swapped").process, process);
    is_in(&other, "swapped");
}

fn a_pane_of_a_linked_window_is_listed_once_and_outlives_one_of_its_sessions(reach: Reach) {
    let (env, scene, pane) = shell(reach);
    let tmux = env.tmux();
    let other = tmux.session("other", "exec cat");
    let home = scene.lists(&other).session;
    let window = tmux.show(&pane, "#{window_id}");
    tmux.ok(&["link-window", "-d", "-s", &window, "-t", "other:"]);
    let linked = scene.pane_where(&pane, "linked", |it| shown_in(it) == [home]);
    assert_eq!(linked.session_name, "work");
    // Asked alone, tmux may name either session; the pane stays where it was.
    tmux.type_line(&pane, r"printf '\033]2;linked\007'");
    let titled = scene.pane_where(&pane, "titled", |it| it.title == "linked");
    assert_eq!((titled.session_name.as_str(), shown_in(&titled)), ("work", vec![home]));
    tmux.ok(&["kill-session", "-t", "=work"]);
    let left = scene.pane_where(&pane, "in the other", |it| it.session_name == "other");
    assert_eq!((left.process, left.links.len()), (linked.process, 0));
}

fn a_group_of_sessions_lists_each_pane_once(reach: Reach) {
    let (env, scene, pane) = shell(reach);
    let tmux = env.tmux();
    tmux.ok(&["new-session", "-d", "-t", "=work", "-s", "twin"]);
    scene.pane_where(&pane, "in both", |it| it.links.len() == 1);
    let window = tmux.window("work", "two", "exec cat");
    let both = scene.pane_where(&window, "in both", |it| it.links.len() == 1);
    assert_eq!(both.session_name, "work");
    assert_eq!(scene.said().panes.len(), 2);
    assert_eq!(scene.said().sessions.len(), 2);
}

fn size_zoom_and_active_pane_follow(reach: Reach) {
    let (env, scene, pane) = shell(reach);
    let tmux = env.tmux();
    tmux.ok(&["resize-window", "-t", &pane, "-x", "101", "-y", "31"]);
    scene.pane_where(&pane, "resized", |it| (it.width, it.height) == (101, 31));
    let split = tmux.split(&pane, "exec cat");
    scene.pane_where(&pane, "halved", |it| it.height < 31 && it.pane_active && !it.zoomed);
    tmux.ok(&["resize-pane", "-Z", "-t", &pane]);
    scene.pane_where(&pane, "zoomed", |it| it.zoomed && it.height == 31);
    tmux.ok(&["select-pane", "-t", &split]);
    scene.pane_where(&split, "active", |it| it.pane_active && !it.zoomed);
    scene.pane_where(&pane, "not active", |it| !it.pane_active);
    let window = tmux.window("work", "two", "exec cat");
    scene.pane_where(&window, "in the background", |it| !it.window_active);
    tmux.ok(&["select-window", "-t", &window]);
    scene.pane_where(&window, "in front", |it| it.window_active);
    scene.pane_where(&pane, "in the background", |it| !it.window_active);
    tmux.ok(&["swap-pane", "-d", "-s", &pane, "-t", &split]);
    let index = |id: &str| tmux.show(id, "#{pane_index}");
    scene.pane_where(&pane, "behind", |it| it.pane_index.to_string() == index(&pane));
}

fn a_title_set_by_the_program_or_by_tmux_is_seen(reach: Reach) {
    let (env, scene, pane) = shell(reach);
    env.tmux().type_line(&pane, r"printf '\033]2;by the program 日本\007'");
    scene.pane_where(&pane, "title", |it| it.title == "by the program 日本");
    env.tmux().ok(&["select-pane", "-t", &pane, "-T", "by tmux"]);
    scene.pane_where(&pane, "title without any event", |it| it.title == "by tmux");
}

fn path_and_command_follow_what_is_typed(reach: Reach) {
    let (env, scene, pane) = shell(reach);
    let folder = env.path("home/deep er");
    fs::create_dir(&folder).unwrap();
    env.tmux().type_line(&pane, "cd 'deep er'");
    scene.pane_where(&pane, "path", |it| it.path == folder.to_str().unwrap());
    env.tmux().type_line(&pane, "cat");
    let running = scene.pane_where(&pane, "command", |it| it.command == "cat");
    env.tmux().ok(&["send-keys", "-t", &pane, "C-c"]);
    let back = scene.pane_where(&pane, "the shell again", |it| it.command == "sh");
    assert_eq!(running.process, back.process, "the pane's own process is the shell all the time");
}

fn a_bell_is_seen_in_a_session_that_nobody_attached(reach: Reach) {
    let (env, scene, _) = shell(reach);
    let quiet = env.tmux().window("work", "quiet", "exec sh");
    scene.pane_where(&quiet, "quiet", |it| !it.bell);
    env.tmux().type_line(&quiet, r"printf '\007'");
    scene.pane_where(&quiet, "bell", |it| it.bell);
}

fn copy_mode_is_seen(reach: Reach) {
    let (env, scene, pane) = shell(reach);
    env.tmux().ok(&["copy-mode", "-t", &pane]);
    scene.pane_where(&pane, "in copy mode", |it| it.in_mode);
    env.tmux().ok(&["send-keys", "-X", "-t", &pane, "cancel"]);
    scene.pane_where(&pane, "out of it", |it| !it.in_mode);
}

fn a_dead_pane_has_its_status_and_a_respawn_is_another_process(reach: Reach) {
    let (env, scene, _) = shell(reach);
    let tmux = env.tmux();
    let pane = tmux.window("work", "remains", "exec sh");
    tmux.ok(&["set-option", "-w", "-t", &pane, "remain-on-exit", "on"]);
    let alive = scene.pane_where(&pane, "alive", |it| !it.dead && it.command == "sh");
    tmux.type_line(&pane, "exit 7");
    let dead = scene.pane_where(&pane, "dead with its status", |it| it.dead_status == Some(7));
    assert!(dead.dead && dead.dead_signal.is_none());
    assert!(dead.process.same_process(&alive.process));
    tmux.ok(&["respawn-pane", "-t", &pane, "exec cat"]);
    let again = scene.pane_where(&pane, "alive again", |it| !it.dead && it.dead_status.is_none());
    assert_ne!(again.process.pid, alive.process.pid);
    let cat = scene.pane_where(&pane, "cat", |it| it.command == "cat");
    assert_eq!(cat.process.pid, again.process.pid);
}

fn a_pane_that_is_dead_before_its_program_ends_has_the_status_as_soon_as_that_does(reach: Reach) {
    let (env, scene, _) = shell(reach);
    let (tmux, pipe) = (env.tmux(), env.path("pipe"));
    // From 3.7 on a pane is dead when its program is.
    if tmux.version().parse::<Version>().unwrap() >= "3.7".parse().unwrap() {
        return;
    }
    let pane = tmux.window("work", "remains", "exec sh");
    tmux.ok(&["set-option", "-w", "-t", &pane, "remain-on-exit", "on"]);
    tmux.type_line(&pane, &format!("mkfifo {}", pipe.display()));
    wait::until("the pipe", || pipe.exists().then_some(()));
    // Without any descriptor of it left the terminal is closed, and tmux calls the pane dead.
    let program = format!("exec >&- 2>&-; exec <{}; read -r x; exit 7", pipe.display());
    let closing = format!("trap '' HUP; exec sh -c '{program}'");
    tmux.type_line(&pane, &closing);
    let mut writing = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    let dead = scene.pane_where(&pane, "dead", |it| it.dead);
    assert!(testkit::process::alive(dead.process.pid));
    // Longer than a dead pane is asked about in quick succession.
    wait::stays("nobody knows how it ends", Duration::from_secs(3), || {
        scene.said().pane(&pane).is_some_and(|it| it.dead && it.dead_status.is_none())
    });
    writing.write_all(b"end\n").unwrap();
    scene.pane_where(&pane, "its status", |it| it.dead_status == Some(7));
}

fn a_killed_program_leaves_its_signal(reach: Reach) {
    let (env, scene, _) = shell(reach);
    let tmux = env.tmux();
    let pane = tmux.window("work", "remains", "exec cat");
    tmux.ok(&["set-option", "-w", "-t", &pane, "remain-on-exit", "on"]);
    let alive = scene.pane_where(&pane, "alive", |it| it.command == "cat");
    testkit::process::signal(alive.process.pid, testkit::Signal::KILL);
    let dead = scene.pane_where(&pane, "dead by it", |it| it.dead_signal == Some(9));
    assert_eq!((dead.dead, dead.dead_status), (true, None));
}

fn a_rescan_lists_everything_again(reach: Reach) {
    let (_env, scene, _) = shell(reach);
    let before = scene.said().topologies;
    scene.rescan();
    scene.until("listed again", |said| (said.topologies > before).then_some(()));
}

fn after_much_churn_the_view_equals_what_tmux_says(reach: Reach) {
    let (env, scene, pane) = shell(reach);
    let tmux = env.tmux();
    for round in 0..24 {
        let id = tmux.window("work", &format!("w{round}"), "exec cat");
        tmux.split(&id, "exec cat");
        tmux.ok(&["rename-window", "-t", &id, &format!("r{round}")]);
        match round % 4 {
            0 => tmux.ok(&["kill-pane", "-t", &id]),
            1 => tmux.ok(&["respawn-pane", "-k", "-t", &id, "exec cat"]),
            2 => tmux.ok(&["swap-pane", "-d", "-s", &id, "-t", &pane]),
            _ => tmux.ok(&["break-pane", "-d", "-s", &id]),
        };
    }
    const FORMAT: &str = "#{session_name}|#{window_id}|#{pane_id}|#{window_name}|#{pane_pid}|\
        #{pane_index}|#{window_index}|#{pane_width}|#{pane_height}|#{pane_active}";
    let row = |it: &PaneFacts| {
        let (place, size) = ((it.pane_index, it.window_index), (it.width, it.height));
        let (name, active) = (&it.window_name, u32::from(it.pane_active));
        format!(
            "{}|{}|{}|{name}|{}|{}|{}|{}|{}|{active}",
            it.session_name, it.window, it.pane, it.process.pid, place.0, place.1, size.0, size.1,
        )
    };
    let (mut truth, mut view) = (Vec::new(), Vec::new());
    let equal = wait::within(wait::BOUND, || {
        let listed = tmux.ok(&["list-panes", "-a", "-F", FORMAT]);
        truth = listed.lines().filter(|it| !it.starts_with("_qd-")).map(str::to_owned).collect();
        view = scene.said().panes.values().map(row).collect();
        truth.sort();
        view.sort();
        (truth == view).then_some(())
    });
    assert!(equal.is_some(), "tmux says {truth:#?}\nthe observer says {view:#?}");
}
