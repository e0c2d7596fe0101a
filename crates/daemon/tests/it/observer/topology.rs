//! Every kind of change in what there is.

use super::on_every_reach;
use super::scene::{Reach, Setting, env};

on_every_reach!(a_new_session_window_and_pane_appear, killed_ones_go);

fn a_new_session_window_and_pane_appear(reach: Reach) {
    let env = env();
    let tmux = env.tmux();
    let first = tmux.session("work", "exec cat");
    let scene = Setting::new(reach).observe(&env);
    let seen = scene.lists(&first);
    assert_eq!(seen.session_name, "work");
    assert_eq!(seen.command, "cat");
    let session = tmux.session("other", "exec cat");
    assert_eq!(scene.lists(&session).session_name, "other");
    let window = tmux.window("work", "build", "exec cat");
    assert_eq!(scene.lists(&window).window_name, "build");
    let split = tmux.split(&window, "exec cat");
    assert_eq!(scene.lists(&split).window, scene.lists(&window).window);
}

fn killed_ones_go(reach: Reach) {
    let env = env();
    let tmux = env.tmux();
    let first = tmux.session("work", "exec cat");
    let split = tmux.split(&first, "exec cat");
    let window = tmux.window("work", "build", "exec cat");
    let session = tmux.session("other", "exec cat");
    let scene = Setting::new(reach).observe(&env);
    for pane in [&first, &split, &window, &session] {
        scene.lists(pane);
    }
    tmux.ok(&["kill-pane", "-t", &split]);
    scene.unlists(&split);
    tmux.ok(&["kill-window", "-t", &window]);
    scene.unlists(&window);
    tmux.ok(&["kill-session", "-t", "=other"]);
    scene.unlists(&session);
    scene.lists(&first);
}
