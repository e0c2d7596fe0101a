//! What the kernel's events are for: speed. Here the target is reached directly.

use std::time::{Duration, Instant};

use daemon::observer::POLLED;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::scene::{Reach, Scene, Setting, env};
use testkit::{Signal, TestEnv, process, wait};

/// A loaded machine is no reason to fail; a regular look, which comes after two seconds, is.
const SOON: Duration = Duration::from_millis(1_000);

fn shell() -> (TestEnv, Scene, String) {
    let env = env();
    let pane = env.tmux().session("work", "exec sh");
    let scene = Setting::new(Reach::Direct).observe(&env);
    scene.pane_where(&pane, "the shell", |it| it.command == "sh");
    (env, scene, pane)
}

/// How long `seen` takes to come true after `cause`; the best of a few tries, because what is
/// measured is the path and not the machine.
fn quickest(tries: usize, mut attempt: impl FnMut() -> Duration) -> Duration {
    (0..tries).map(|_| attempt()).min().expect("there is a try")
}

fn took(began: Instant) -> Duration {
    wait::now().duration_since(began)
}

#[test]
fn the_end_of_a_process_is_reported_at_once() {
    let (env, scene, first) = shell();
    let best = quickest(5, || {
        let pane = env.tmux().split(&first, "exec cat");
        let process = scene.pane_where(&pane, "cat", |it| it.command == "cat").process;
        let began = wait::now();
        process::signal(process.pid, Signal::KILL);
        // On a starved machine tmux may have taken the pane away before the kernel's word arrives.
        scene.until("its end", |said| {
            let ended = said.ended.iter().any(|(_, it)| it.same_process(&process));
            (ended || said.pane(&pane).is_none()).then_some(())
        });
        let time = took(began);
        scene.unlists(&pane);
        time
    });
    assert!(best < Duration::from_millis(100), "{best:?}");
}

#[test]
fn what_a_pane_prints_is_reported_and_looked_at_soon() {
    let (env, scene, pane) = shell();
    let mut round = 0;
    let best = quickest(5, || {
        round += 1;
        let title = format!("round {round}");
        let began = wait::now();
        env.tmux().type_line(&pane, &format!(r"printf '\033]2;{title}\007'"));
        scene.pane_where(&pane, &title, |it| it.title == title);
        took(began)
    });
    assert!(best < SOON, "{best:?}");
    scene.until("printed", |said| {
        said.printed.iter().any(|it| it.to_string() == pane).then_some(())
    });
}

#[test]
fn a_command_that_begins_after_its_echo_and_prints_nothing_is_seen_soon() {
    let (env, scene, pane) = shell();
    let best = quickest(5, || {
        let began = wait::now();
        env.tmux().type_line(&pane, "sleep 1000");
        scene.pane_where(&pane, "sleep", |it| it.command == "sleep");
        let time = took(began);
        env.tmux().ok(&["send-keys", "-t", &pane, "C-c"]);
        scene.pane_where(&pane, "the shell", |it| it.command == "sh");
        time
    });
    assert!(best < SOON, "{best:?}");
}

#[test]
fn a_split_that_tmux_tells_nobody_of_is_seen_soon() {
    let (env, scene, pane) = shell();
    let best = quickest(5, || {
        let began = wait::now();
        let split = env.tmux().split(&pane, "exec cat");
        scene.lists(&split);
        let time = took(began);
        env.tmux().ok(&["kill-pane", "-t", &split]);
        scene.unlists(&split);
        time
    });
    assert!(best < SOON, "{best:?}");
}

#[test]
fn a_respawn_that_tmux_tells_nobody_of_is_seen_soon() {
    let (env, scene, first) = shell();
    let pane = env.tmux().split(&first, "exec cat");
    let best = quickest(5, || {
        let before = scene.lists(&pane).process;
        let began = wait::now();
        env.tmux().ok(&["respawn-pane", "-k", "-t", &pane, "exec cat"]);
        scene.pane_where(&pane, "another process", |it| !it.process.same_process(&before));
        took(began)
    });
    assert!(best < SOON, "{best:?}");
}

#[test]
fn a_silent_exec_is_seen_at_the_next_look() {
    let env = env();
    let fifo = env.path("go");
    env.tmux().session("hold", &format!("mkfifo {}; exec cat", fifo.display()));
    wait::until("the fifo is there", || fifo.exists().then_some(()));
    let pane = env.tmux().session("work", &format!("read x < {}; exec sleep 1000", fifo.display()));
    let scene = Setting::new(Reach::Direct).observe(&env);
    let before = scene.lists(&pane).process;
    std::fs::write(&fifo, "\n").unwrap();
    let after = scene.pane_where(&pane, "sleep", |it| it.command == "sleep").process;
    assert!(after.same_process(&before), "the process is the same");
    assert!(!after.same_program(&before), "its program is not");
}

#[test]
fn a_silent_title_is_seen_long_after_everything_went_quiet() {
    let env = env();
    let pane = env.tmux().session("work", "exec cat");
    let mut setting = Setting::new(Reach::Direct);
    setting.observer.push_str("scan_active = \"100ms\"\nscan_idle = \"10s\"\nscan_full = \"1h\"\n");
    let scene = setting.observe(&env);
    scene.lists(&pane);
    // Looks for nothing: after a few of them the server is not asked any more.
    let quiet = scene.said().answers;
    scene.until("some looks for nothing", |said| (said.answers > quiet + 5).then_some(()));
    let began = wait::now();
    env.tmux().ok(&["select-pane", "-t", &pane, "-T", "silent"]);
    scene.pane_where(&pane, "title", |it| it.title == "silent");
    assert!(took(began) < Duration::from_secs(8), "{:?}", took(began));
}

#[test]
fn a_pane_that_prints_without_end_is_reported_a_few_times_a_second_and_no_more() {
    let (env, scene, pane) = shell();
    env.tmux().type_line(&pane, "yes");
    scene.pane_where(&pane, "yes", |it| it.command == "yes");
    let count = |scene: &Scene| scene.said().printed.len();
    let before = count(&scene);
    let began = wait::now();
    wait::until("some reports", || (count(&scene) >= before + 5).then_some(()));
    let reports = count(&scene) - before;
    let most = took(began).as_millis() / 200 + 2;
    assert!(u128::try_from(reports).unwrap() <= most, "{reports} in {:?}", took(began));
    env.tmux().ok(&["send-keys", "-t", &pane, "C-c"]);
    scene.pane_where(&pane, "the shell", |it| it.command == "sh");
}

/// Lets this process have no more descriptors than it has, and some.
#[test]
#[ignore = "not a test: run by `without_watches_panes_are_asked_and_the_target_says_so`"]
fn with_few_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let env = env();
    let tmux = env.tmux();
    let first = tmux.session("work", "exec cat");
    for _ in 0..40 {
        tmux.window("work", "more", "exec cat");
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(96), maximum: limit.maximum }).unwrap();
    let scene = Setting::new(Reach::Direct).observe(&env);
    scene.lists(&first);
    scene.until("all", |said| (said.panes.len() == 41).then_some(()));
    let trouble = scene.until("said so", |said| said.limits.last().cloned().flatten());
    assert_eq!(trouble.code, POLLED, "{trouble:?}");
    let last = tmux.ok(&["list-panes", "-a", "-F", "#{pane_id}"]);
    let last = last.lines().next_back().unwrap().to_owned();
    tmux.ok(&["kill-pane", "-t", &last]);
    scene.unlists(&last);
    let typed = scene.lists(&first).pane.to_string();
    tmux.ok(&["respawn-pane", "-k", "-t", &typed, "exec sh"]);
    scene.pane_where(&typed, "the shell", |it| it.command == "sh");
    drop(scene);
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
fn without_watches_panes_are_asked_and_the_target_says_so() {
    let env = env();
    let mut command = env.command(std::env::current_exe().unwrap());
    command.args(["--exact", "observer::events::with_few_descriptors", "--ignored"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
