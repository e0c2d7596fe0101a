//! Servers that are not there, come, hang, die and are replaced.

use std::fs;
use std::os::unix::net::UnixListener;

use super::on_every_reach;
use super::scene::{Reach, Said, Scene, Setting, env};
use engine::target::ServerFacts;
use testkit::{Signal, TestEnv, process, wait};

on_every_reach!(
    a_server_that_comes_later_is_seen_and_none_is_started,
    a_killed_server_takes_everything_with_it,
    a_server_that_is_told_to_end_takes_everything_with_it,
    a_restarted_server_with_the_same_ids_is_another,
    a_server_that_hangs_fails_and_recovers,
    a_stale_socket_is_no_server,
    a_missing_tmux_is_named_and_found_once_it_is_there,
    a_tmux_that_is_too_old_is_named,
    a_server_without_sessions_is_empty_until_it_has_one,
    a_server_is_the_same_to_the_next_observer,
);

/// Faults are noticed in the product's own times; these are shorter, so that a test is.
fn quick(reach: Reach) -> Setting {
    let limit = match reach {
        Reach::Direct | Reach::OverCommand => "400ms",
        // A login and a shell more take their time on a busy machine.
        Reach::OverSsh => "1500ms",
    };
    let mut setting = Setting::new(reach);
    let [connect, command] =
        ["connect", "command"].map(|it| format!("{it}_timeout = \"{limit}\"\n"));
    let retries = "retry_first = \"100ms\"\nretry_second = \"100ms\"\n";
    setting.observer.extend([connect.as_str(), command.as_str(), retries]);
    setting
}

fn watched(setting: &Setting) -> (TestEnv, Scene, String) {
    let env = env();
    let pane = env.tmux().session("work", "exec cat");
    let scene = setting.observe(&env);
    scene.pane_where(&pane, "cat", |it| it.command == "cat");
    (env, scene, pane)
}

fn server(scene: &Scene) -> ServerFacts {
    scene.until("a server", |said| said.server.clone())
}

fn a_server_that_comes_later_is_seen_and_none_is_started(reach: Reach) {
    let env = env();
    let scene = Setting::new(reach).observe(&env);
    scene.until("absent", |said| (said.absent > 0).then_some(()));
    assert!(env.tmux_socket().is_none(), "not even a socket was made");
    let pane = env.tmux().session("work", "exec cat");
    scene.lists(&pane);
    let facts = server(&scene);
    assert_eq!(facts.pid, env.tmux().pid());
    assert_eq!(facts.version, env.tmux().show(&pane, "#{version}"));
    assert_eq!(facts.socket, env.tmux().show(&pane, "#{socket_path}"));
    assert!(scene.said().failures.is_empty(), "{:?}", scene.said().failures);
}

fn a_killed_server_takes_everything_with_it(reach: Reach) {
    let (env, scene, pane) = watched(&Setting::new(reach));
    let before = scene.said().absent;
    env.tmux().kill9();
    scene.until("gone", |said| (said.absent > before).then_some(()));
    scene.unlists(&pane);
    assert!(scene.said().sessions.is_empty());
}

fn a_server_that_is_told_to_end_takes_everything_with_it(reach: Reach) {
    let (env, scene, pane) = watched(&Setting::new(reach));
    let before = scene.said().absent;
    let pid = env.tmux().pid();
    env.tmux().ok(&["kill-server"]);
    wait::until("the server is gone", || (!process::alive(pid)).then_some(()));
    scene.until("gone", |said| (said.absent > before).then_some(()));
    scene.unlists(&pane);
}

fn a_restarted_server_with_the_same_ids_is_another(reach: Reach) {
    let (env, scene, pane) = watched(&Setting::new(reach));
    let first = server(&scene);
    env.tmux().kill9();
    let again = env.tmux().session("work", "exec cat");
    assert_eq!(again, pane, "a new server counts from zero");
    let other = |said: &super::scene::Said| said.server.clone().filter(|it| it.boot != first.boot);
    let second = scene.until("another server", other);
    assert_eq!(second.pid, env.tmux().pid());
    let pid = env.tmux().show(&pane, "#{pane_pid}");
    scene.pane_where(&pane, "the new process", |it| it.process.pid.to_string() == pid);
}

fn a_server_that_hangs_fails_and_recovers(reach: Reach) {
    let (env, scene, pane) = watched(&quick(reach));
    let pid = env.tmux().pid();
    process::signal(pid, Signal::STOP);
    let failed = wait::within(wait::BOUND, || (scene.said().failures.len() >= 3).then_some(()));
    process::signal(pid, Signal::CONT);
    assert!(failed.is_some(), "{:?}", scene.said());
    assert!(scene.said().failures.iter().all(|it| it.code == "E_TARGET_UNREACHABLE"));
    let answers = scene.said().answers;
    let topologies = scene.said().topologies;
    scene.until("it answers and is listed again", |said| {
        (said.answers > answers && said.topologies > topologies).then_some(())
    });
    let window = env.tmux().window("work", "new", "exec cat");
    scene.lists(&window);
    assert_eq!(scene.lists(&pane).pane.to_string(), pane);
    // It may have hung while we connected, which says nothing about control mode.
    let limited = |said: &Said| said.limits.iter().flatten().cloned().collect::<Vec<_>>();
    assert_eq!(limited(&scene.said()), []);
}

fn a_stale_socket_is_no_server(reach: Reach) {
    let env = env();
    let socket = env.path("stale.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let scene = Setting { socket: socket.display().to_string(), ..quick(reach) }.observe(&env);
    scene.until("absent", |said| (said.absent > 0).then_some(()));
    let pane = env.tmux_at("stale.sock").session("work", "exec cat");
    scene.lists(&pane);
    assert!(scene.said().failures.is_empty(), "{:?}", scene.said().failures);
}

fn a_missing_tmux_is_named_and_found_once_it_is_there(reach: Reach) {
    let env = env();
    env.uninstall("tmux");
    let scene = quick(reach).observe(&env);
    let trouble = scene.until("a failure", |said| said.failures.first().cloned());
    assert_eq!(trouble.code, "E_TMUX_UNUSABLE");
    assert!(trouble.message.contains("`tmux` is not installed"), "{trouble:?}");
    env.install("tmux");
    scene.rescan();
    scene.until("absent", |said| (said.absent > 0).then_some(()));
}

fn a_tmux_that_is_too_old_is_named(reach: Reach) {
    let env = env();
    env.uninstall("tmux");
    env.script("tmux", "echo 'tmux 3.2a'");
    let scene = quick(reach).observe(&env);
    let trouble = scene.until("a failure", |said| said.failures.first().cloned());
    assert_eq!(trouble.code, "E_TMUX_UNUSABLE");
    assert!(trouble.message.contains("3.2a") && trouble.message.contains("3.3"), "{trouble:?}");
}

fn a_server_without_sessions_is_empty_until_it_has_one(reach: Reach) {
    let (env, scene, pane) = watched(&Setting::new(reach));
    let tmux = env.tmux();
    tmux.ok(&["set-option", "-s", "exit-empty", "off"]);
    tmux.ok(&["kill-session", "-t", "=work"]);
    scene.unlists(&pane);
    wait::until("nothing is left on it", || tmux.sessions().is_empty().then_some(()));
    let again = tmux.session("again", "exec cat");
    scene.lists(&again);
    assert_eq!(server(&scene).pid, tmux.pid());
    assert!(scene.said().failures.is_empty(), "{:?}", scene.said().failures);
}

fn a_server_is_the_same_to_the_next_observer(reach: Reach) {
    let (env, scene, pane) = watched(&Setting::new(reach));
    let (first, process) = (server(&scene), scene.lists(&pane).process);
    scene.stop();
    let scene = Setting { server: Some(first.clone()), ..quick(reach) }.observe(&env);
    let again = scene.pane_where(&pane, "cat", |it| it.command == "cat");
    assert_eq!(server(&scene), first);
    assert!(again.process.same_process(&process));
    if reach == Reach::Direct {
        assert!(again.process.started_ns.is_some() && again.process.exec_mark.is_some());
    }
}

#[test]
fn both_ways_to_reach_a_server_give_it_the_same_identity() {
    let (env, scene, _) = watched(&Setting::new(Reach::Direct));
    let near = server(&scene);
    let far = Setting { installation: "far", ..Setting::new(Reach::OverCommand) }.observe(&env);
    assert_eq!(server(&far).boot, near.boot);
}

#[test]
fn starts_of_processes_are_those_of_the_kernel() {
    let (_env, scene, pane) = watched(&Setting::new(Reach::Direct));
    let process = scene.lists(&pane).process;
    let began = fs::metadata(format!("/proc/{}", process.pid)).unwrap().modified().unwrap();
    let began = began.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let apart = began.abs_diff(u128::try_from(process.started_ns.unwrap()).unwrap());
    assert!(apart < 5_000_000_000, "{process:?} began {apart} ns apart from its folder");
}
