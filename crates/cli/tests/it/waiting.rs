//! `qd wait` and `qd bar`: going on when agents have come to a state, and one line about them.

use std::process::{Child, Stdio};

use testkit::process::Signal;
use testkit::{Daemon, TestEnv, wait};

use crate::deck::{self, deck};

/// A deck with a pane whose agent is in this state, as a hook said.
fn scene(event: &str) -> (TestEnv, Daemon, String) {
    let env = deck();
    let daemon = env.daemon();
    let pane = env.tmux().session("work", "exec sh");
    deck::listed(daemon.api(), &pane);
    say(&env, &pane, event);
    (env, daemon, pane)
}

/// Says what happened to the agent in a pane.
fn say(env: &TestEnv, pane: &str, event: &str) {
    let line = ["event", "emit", "--source", "hook", "--agent", "claude", "--type", event];
    env.qd(&[&line[..], &["--pane", pane]].concat()).success();
}

/// A wait that has begun: the daemon has a watcher more.
fn begun(env: &TestEnv, daemon: &Daemon, arguments: &[&str]) -> Child {
    let watchers = || daemon.api().get("/v1/health").expect(200)["watchers"].as_u64().unwrap();
    let before = watchers();
    let mut command = env.command(env.qd_program());
    command.arg("wait").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    wait::until("the wait has begun", || (watchers() > before).then_some(()));
    child
}

fn end(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn a_state_that_is_reached_already_ends_the_wait_at_once() {
    let (env, daemon, pane) = scene("needs-approval");
    deck::pane_where(daemon.api(), &pane, "waiting", |it| it["state"] == "waiting_approval");
    let output = env.qd(&["wait", &pane, "--until", "idle,waiting_approval"]);
    assert_eq!(output.code(), Some(0), "{output:?}");
    assert!(output.stdout.starts_with(&format!("{pane}  waiting_approval")), "{output:?}");
    let json = env.qd(&["--json", "wait", "--agent", "claude", "--until", "waiting_approval"]);
    let json: serde_json::Value = serde_json::from_str(&json.success()).unwrap();
    assert_eq!(
        (&json["outcome"], &json["items"][0]["state"]),
        (&"reached".into(), &"waiting_approval".into())
    );
}

#[test]
fn a_state_that_is_reached_already_counts_however_short_the_wait() {
    let (env, daemon, pane) = scene("needs-approval");
    deck::pane_where(daemon.api(), &pane, "waiting", |it| it["state"] == "waiting_approval");
    for limit in ["0s", "1ms"] {
        let wait = ["wait", &pane, "--until", "waiting_approval", "--timeout", limit];
        env.qd(&wait).success();
        let other = ["wait", &pane, "--until", "running", "--timeout", limit];
        env.qd(&other).fails_with(6);
    }
}

#[test]
fn a_daemon_that_stands_still_holds_up_no_wait_for_longer_than_was_said() {
    let (env, daemon, pane) = scene("needs-approval");
    daemon.signal(Signal::STOP);
    // That it is stopped is seen at once, which says more than that the time is up.
    let said = env.qd(&["wait", &pane, "--until", "running", "--timeout", "10ms"]).fails_with(3);
    daemon.signal(Signal::CONT);
    assert!(said.contains("E_DAEMON_UNREACHABLE") && said.contains("is stopped"), "{said}");
}

#[test]
fn a_wait_ends_with_the_state_and_survives_a_daemon_that_is_killed_meanwhile() {
    let (env, daemon, pane) = scene("hook-start");
    deck::pane_where(daemon.api(), &pane, "running", |it| it["state"] == "running");
    let waiting = begun(&env, &daemon, &[&pane, "--until", "waiting_input"]);
    daemon.kill9();
    let daemon = env.daemon();
    deck::pane_where(daemon.api(), &pane, "seen again", |it| it["agent_type"] == "claude");
    say(&env, &pane, "needs-input");
    let (code, said) = end(waiting);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("waiting_input"), "{said}");
}

#[test]
fn a_wait_goes_on_over_a_restart_and_ends_when_the_daemon_is_stopped_for_good() {
    let (env, daemon, pane) = scene("hook-start");
    deck::pane_where(daemon.api(), &pane, "running", |it| it["state"] == "running");
    let waiting = begun(&env, &daemon, &[&pane, "--until", "waiting_input"]);
    daemon.stop();
    let daemon = env.daemon();
    deck::pane_where(daemon.api(), &pane, "seen again", |it| it["agent_type"] == "claude");
    say(&env, &pane, "needs-input");
    let (code, said) = end(waiting);
    assert_eq!(code, Some(0), "{said}");
    let waiting = begun(&env, &daemon, &[&pane, "--until", "running"]);
    daemon.stop();
    let (code, said) = end(waiting);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("the daemon was stopped; waiting until somebody starts it"), "{said}");
    assert!(said.contains("E_DAEMON_UNREACHABLE"), "{said}");
}

#[test]
fn each_end_of_a_wait_has_its_own_exit_code() {
    let (env, daemon, pane) = scene("hook-start");
    deck::pane_where(daemon.api(), &pane, "running", |it| it["state"] == "running");
    let late = env.qd(&["wait", &pane, "--until", "idle", "--timeout", "100ms"]);
    assert_eq!(late.code(), Some(6), "{late:?}");
    let nobody = env.qd(&["wait", "--agent", "codex", "--until", "idle"]);
    assert_eq!(nobody.code(), Some(4), "{nobody:?}");
    let unknown = env.qd(&["wait", "%4711", "--until", "idle"]);
    assert_eq!(unknown.code(), Some(4), "{unknown:?}");
    let wrong = env.qd(&["wait", &pane]);
    assert_eq!(wrong.code(), Some(2), "neither a state nor a change: {wrong:?}");
    let waiting = begun(&env, &daemon, &[&pane, "--until", "idle"]);
    let keep = env.tmux().window("work", "keep", "exec sleep 1000");
    env.tmux().ok(&["kill-pane", "-t", &pane]);
    let (code, said) = end(waiting);
    assert_eq!(code, Some(5), "{said}");
    deck::listed(daemon.api(), &keep);
}

#[test]
fn a_change_is_one_that_happens_after_the_wait_began() {
    let (env, daemon, pane) = scene("hook-start");
    deck::pane_where(daemon.api(), &pane, "running", |it| it["state"] == "running");
    let waiting = begun(&env, &daemon, &["--all", "--any", "--changed"]);
    say(&env, &pane, "needs-approval");
    let (code, said) = end(waiting);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("waiting_approval"), "{said}");
}

#[test]
fn the_bar_says_who_waits_and_nothing_without_a_daemon() {
    let env = deck();
    let silent = |env: &TestEnv, what: &str| {
        let output = env.qd(&["bar"]);
        assert_eq!(
            (output.code(), output.stdout.trim(), output.stderr.as_str()),
            (Some(0), "", ""),
            "{what}"
        );
    };
    silent(&env, "no daemon");
    assert!(!env.socket().exists(), "it starts none");
    let daemon = env.daemon();
    let pane = env.tmux().session("a#[bg=red]", "exec sh");
    deck::listed(daemon.api(), &pane);
    silent(&env, "no agent");
    say(&env, &pane, "needs-approval");
    deck::pane_where(daemon.api(), &pane, "waiting", |it| it["state"] == "waiting_approval");
    let said = env.qd(&["bar"]).success();
    assert!(said.starts_with("! claude a##[bg=red]:0.0 "), "{said}");
    daemon.signal(Signal::STOP);
    assert_eq!(env.qd(&["bar"]).success().trim(), "? qd doctor", "a daemon that hangs");
    daemon.signal(Signal::CONT);
}
