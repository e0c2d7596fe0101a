//! The observer's own session: seen by nobody, in nobody's way, gone with it.

use std::process::{Child, Stdio};
use std::time::Duration;

use super::on_every_reach;
use super::scene::{HUB, INSTALLATION, Reach, Scene, Setting, env};
use daemon::observer::FORKED;
use daemon::targets::process::Environment;
use engine::target::ObserverMode;
use testkit::{Signal, TestEnv, process, wait};

on_every_reach!(
    the_session_is_in_no_answer_and_leaves_with_the_observer,
    the_server_ends_with_the_users_last_session,
    somebody_dropped_into_the_session_is_moved_out,
    the_users_last_client_is_let_go_and_not_kept,
    another_installations_session_is_left_alone,
    nothing_of_the_users_is_resized_renamed_or_set,
    a_session_that_somebody_kills_comes_again,
    where_a_session_would_crash_the_server_commands_are_forked,
    a_client_that_somebody_moved_is_replaced,
    without_control_nothing_of_ours_keeps_the_server,
);

fn hubs(env: &TestEnv) -> Vec<String> {
    let mut sessions = env.tmux().sessions();
    sessions.retain(|name| name.starts_with("_qd-"));
    sessions
}

fn hub_appears(env: &TestEnv) {
    wait::until("our session is there", || hubs(env).contains(&HUB.to_owned()).then_some(()));
}

/// Waits until our client is attached to it.
fn hub_is_attached(env: &TestEnv) {
    let format = "#{session_name} #{session_attached}";
    wait::until("our session is attached", || {
        let sessions = env.tmux().run(&["list-sessions", "-F", format]).stdout;
        sessions.contains(&format!("{HUB} 1")).then_some(())
    });
}

fn hubs_are_gone(env: &TestEnv) {
    wait::until("our session is gone", || hubs(env).is_empty().then_some(()));
}

fn watched(reach: Reach) -> (TestEnv, Scene, String) {
    let env = env();
    let pane = env.tmux().session("work", "exec cat");
    let scene = Setting::new(reach).observe(&env);
    scene.lists(&pane);
    // The first look is made before there is a connection.
    hub_is_attached(&env);
    (env, scene, pane)
}

fn mode(scene: &Scene) -> Option<ObserverMode> {
    scene.said().server.as_ref().map(|server| server.mode)
}

fn the_session_is_in_no_answer_and_leaves_with_the_observer(reach: Reach) {
    let (env, scene, pane) = watched(reach);
    assert_eq!(mode(&scene), Some(ObserverMode::Control));
    assert_eq!(scene.said().sessions.len(), 1);
    assert_eq!(scene.said().panes.len(), 1);
    assert_eq!(scene.said().session("work").unwrap().attached, 0);
    let server = env.tmux().pid();
    scene.stop();
    assert_eq!(env.tmux().sessions(), ["work"]);
    assert_eq!(env.tmux().ok(&["list-clients"]), "");
    assert_eq!(env.tmux().pid(), server);
    assert_eq!(env.tmux().show(&pane, "#{pane_id}"), pane);
}

fn the_server_ends_with_the_users_last_session(reach: Reach) {
    let (env, scene, pane) = watched(reach);
    let server = env.tmux().pid();
    env.tmux().ok(&["kill-session", "-t", "=work"]);
    wait::until("the server ended", || (!process::alive(server)).then_some(()));
    scene.unlists(&pane);
    assert!(scene.said().sessions.is_empty());
    let again = env.tmux().session("again", "exec cat");
    scene.lists(&again);
    hub_appears(&env);
}

/// A person with a terminal: a client of the observed tmux that runs in a pane of a second one.
fn attach_a_person(env: &TestEnv, session: &str) {
    let outer = env.tmux_at("outer.sock");
    outer.session("screen", &format!("exec env -u TMUX tmux attach-session -t '={session}'"));
    wait::until("the person is attached", || (person(env)?.1 == session).then_some(()));
}

/// The terminal of the one client that has one, and the session that it shows.
fn person(env: &TestEnv) -> Option<(String, String)> {
    let format = "#{client_tty}|#{client_session}";
    let clients = env.tmux().run(&["list-clients", "-F", format]);
    let line = clients.stdout.lines().find(|line| line.starts_with("/dev/"))?.to_owned();
    line.split_once('|').map(|(tty, session)| (tty.to_owned(), session.to_owned()))
}

fn somebody_dropped_into_the_session_is_moved_out(reach: Reach) {
    let (env, scene, _) = watched(reach);
    let tmux = env.tmux();
    let other = tmux.session("play", "exec cat");
    scene.lists(&other);
    tmux.ok(&["set-option", "-g", "detach-on-destroy", "off"]);
    attach_a_person(&env, "work");
    scene.until("attached", |said| (said.session("work")?.attached == 1).then_some(()));
    let (tty, _) = person(&env).unwrap();
    tmux.ok(&["switch-client", "-c", &tty, "-t", &format!("={HUB}")]);
    wait::until("moved out", || person(&env).filter(|(_, it)| !it.starts_with("_qd-")).map(drop));
    tmux.ok(&["kill-session", "-t", "=work"]);
    wait::until("in the other session", || (person(&env)?.1 == "play").then_some(()));
    scene.until("counted there", |said| (said.session("play")?.attached == 1).then_some(()));
}

fn the_users_last_client_is_let_go_and_not_kept(reach: Reach) {
    let (env, scene, pane) = watched(reach);
    let tmux = env.tmux();
    tmux.ok(&["set-option", "-g", "detach-on-destroy", "off"]);
    attach_a_person(&env, "work");
    let server = tmux.pid();
    tmux.ok(&["kill-session", "-t", "=work"]);
    wait::until("the server ended as without us", || (!process::alive(server)).then_some(()));
    scene.unlists(&pane);
}

fn another_installations_session_is_left_alone(reach: Reach) {
    let (env, mine, pane) = watched(reach);
    let theirs = Setting { installation: "theirs", ..Setting::new(reach) }.observe(&env);
    theirs.lists(&pane);
    wait::until("both have theirs", || (hubs(&env).len() == 2).then_some(()));
    let window = env.tmux().window("work", "new", "exec cat");
    for scene in [&mine, &theirs] {
        scene.lists(&window);
        assert_eq!(scene.said().sessions.len(), 1);
        assert_eq!(mode(scene), Some(ObserverMode::Control));
    }
    theirs.stop();
    assert_eq!(hubs(&env), [HUB]);
    let last = env.tmux().window("work", "last", "exec cat");
    mine.lists(&last);
    assert_eq!(hubs(&env), [HUB]);
}

fn nothing_of_the_users_is_resized_renamed_or_set(reach: Reach) {
    let env = env();
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    tmux.split(&pane, "exec cat");
    tmux.window("work", "two", "exec cat");
    attach_a_person(&env, "work");
    let view = || {
        let panes = "#{pane_id} #{pane_width}x#{pane_height} #{pane_title} #{pane_active} \
            #{window_name} #{window_layout} #{session_name} #{session_attached} #{pane_in_mode}";
        let all = tmux.ok(&["list-panes", "-a", "-F", panes]);
        let mut lines: Vec<String> =
            all.lines().filter(|it| !it.contains("_qd-")).map(str::to_owned).collect();
        for command in [
            &["show-options", "-g"][..],
            &["show-options", "-gw"],
            &["show-options", "-s"],
            &["show-hooks", "-g"],
            &["show-environment", "-g"],
            &["list-buffers"],
        ] {
            lines.push(tmux.ok(command));
        }
        lines
    };
    let before = view();
    let scene = Setting::new(reach).observe(&env);
    scene.lists(&pane);
    hub_appears(&env);
    scene.rescan();
    assert_eq!(view(), before, "while it is watched");
    scene.stop();
    assert_eq!(hubs(&env), [""; 0]);
    assert_eq!(view(), before, "afterwards");
}

fn without_control_nothing_of_ours_keeps_the_server(reach: Reach) {
    let (env, scene, _) = watched(reach);
    let (tmux, server) = (env.tmux(), env.tmux().pid());
    wait::until("control mode is given up", || {
        for client in tmux.run(&["list-clients", "-F", "#{client_name}"]).stdout.lines() {
            // It may be gone already.
            tmux.run(&["detach-client", "-t", client]).code();
        }
        (mode(&scene) == Some(ObserverMode::Forked)).then_some(())
    });
    hubs_are_gone(&env);
    tmux.ok(&["kill-session", "-t", "=work"]);
    wait::until("the server ended", || (!process::alive(server)).then_some(()));
}

fn a_session_that_somebody_kills_comes_again(reach: Reach) {
    let (env, scene, _) = watched(reach);
    // A client that is attached has not introduced itself yet, and where that goes wrong commands
    // are forked for a while. Whatever is new is looked at only after that.
    let window = env.tmux().window("work", "before", "exec cat");
    scene.lists(&window);
    let session = || env.tmux().show(&format!("={HUB}:"), "#{session_id}");
    let first = session();
    env.tmux().ok(&["kill-session", "-t", &format!("={HUB}")]);
    // An attempt that fails on a busy machine is made again half a minute later.
    let another = wait::within(Duration::from_secs(90), || {
        hubs(&env).contains(&HUB.to_owned()).then(|| session() != first)?.then_some(())
    });
    assert!(another.is_some(), "no other session came");
    let window = env.tmux().window("work", "new", "exec cat");
    scene.lists(&window);
}

fn where_a_session_would_crash_the_server_commands_are_forked(reach: Reach) {
    let env = env();
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    let version: tmux::version::Version = tmux.version().parse().unwrap();
    if !version.global_manual_size_crashes() {
        // This tmux has been mended: there is nothing to avoid.
        tmux.ok(&["set-option", "-g", "window-size", "manual"]);
        let scene = Setting::new(reach).observe(&env);
        scene.lists(&pane);
        hub_appears(&env);
        assert_eq!(mode(&scene), Some(ObserverMode::Control));
        return;
    }
    tmux.ok(&["set-option", "-g", "window-size", "manual"]);
    let scene = Setting::new(reach).observe(&env);
    scene.lists(&pane);
    scene
        .until("forked", |said| (said.server.as_ref()?.mode == ObserverMode::Forked).then_some(()));
    let trouble = scene.until("said so", |said| said.limits.last().cloned().flatten());
    assert_eq!(trouble.code, FORKED);
    assert!(trouble.message.contains("window-size manual"), "{trouble:?}");
    // A new window would crash it, too.
    let split = tmux.split(&pane, "exec cat");
    scene.lists(&split);
    tmux.ok(&["rename-window", "-t", &pane, "renamed"]);
    scene.pane_where(&split, "renamed", |it| it.window_name == "renamed");
    assert!(hubs(&env).is_empty());
}

fn a_client_that_somebody_moved_is_replaced(reach: Reach) {
    let (env, scene, _) = watched(reach);
    let tmux = env.tmux();
    let client = || {
        let format = "#{client_name}|#{client_session}";
        let listed = tmux.run(&["list-clients", "-F", format]).stdout;
        let ours = listed.lines().find(|line| line.ends_with(HUB))?;
        Some(ours.split_once('|')?.0.to_owned())
    };
    let first = client().unwrap();
    tmux.ok(&["switch-client", "-c", &first, "-t", "=work"]);
    wait::until("another client", || client().filter(|name| *name != first));
    scene.until("nobody attached", |said| (said.session("work")?.attached == 0).then_some(()));
}

/// Runs an observer in a process of its own, which a test can kill.
#[test]
#[ignore = "not a test: what `the_session_goes_with_a_kill_9` kills"]
fn as_a_process() {
    let _scene = Setting::new(Reach::Direct).observe_by(Environment::of_this_process());
    loop {
        std::thread::park();
    }
}

/// Starts that process in a test's world.
fn observer_process(env: &TestEnv) -> Child {
    let mut command = env.command(std::env::current_exe().unwrap());
    command.args(["--exact", "observer::hub::as_a_process", "--ignored"]);
    command.stdout(Stdio::null()).spawn().unwrap()
}

#[test]
fn the_session_goes_with_a_kill_9() {
    let env = env();
    env.tmux().session("work", "exec cat");
    for round in 0..8 {
        let mut observer = observer_process(&env);
        hub_appears(&env);
        if round % 2 == 0 {
            hub_is_attached(&env);
        }
        observer.kill().unwrap();
        observer.wait().unwrap();
        hubs_are_gone(&env);
        assert_eq!(env.tmux().sessions(), ["work"]);
        assert_eq!(env.tmux().ok(&["list-clients"]), "");
    }
}

#[test]
fn a_ghost_of_an_earlier_life_is_removed() {
    let env = env();
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    // As a far end leaves it behind: a client that lives on without anybody who reads it.
    tmux.ok(&["new-session", "-d", "-s", HUB, "sleep", "2147483647"]);
    let mut command = env.command(env.tmux_program());
    command.args(["-u", "-N", "-C", "attach-session", "-t", HUB, "-f", "ignore-size,no-output"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut ghost = command.spawn().unwrap();
    wait::until("it is attached", || (!tmux.ok(&["list-clients"]).is_empty()).then_some(()));
    let scene = Setting::new(Reach::OverCommand).observe(&env);
    scene.lists(&pane);
    wait::until("the ghost was killed", || ghost.try_wait().unwrap().map(drop));
    let others = || tmux.ok(&["list-clients", "-F", "#{client_pid}"]);
    wait::until("one client is left", || (others().lines().count() == 1).then_some(()));
    assert_eq!(hubs(&env), [HUB]);
}

#[test]
fn the_users_programs_run_on_while_the_observer_is_stopped() {
    let env = env();
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec sh");
    let mut observer = observer_process(&env);
    hub_is_attached(&env);
    process::signal(observer.id(), Signal::STOP);
    tmux.type_line(&pane, "seq 200000; echo D\"\"ONE");
    tmux.shows(&pane, "DONE");
    for round in 0..50 {
        tmux.window("work", &format!("w{round}"), "exec cat");
    }
    observer.kill().unwrap();
    observer.wait().unwrap();
    hubs_are_gone(&env);
    wait::stays("the server lives", Duration::from_millis(200), || process::alive(tmux.pid()));
    assert_eq!(INSTALLATION, &HUB[4..]);
}
