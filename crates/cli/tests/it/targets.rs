//! Targets: adding, connecting, removing, two on one server, one that fails beside one that works.

use serde_json::{Value, json};
use testkit::{Daemon, TestEnv, wait};

use crate::deck::{self, deck};

fn names(daemon: &Daemon) -> Vec<String> {
    let targets = deck::items(daemon.api(), "/v1/targets");
    targets.iter().map(|it| deck::text(it, "name")).collect()
}

fn with_second() -> (TestEnv, Daemon) {
    let env = deck();
    env.tmux().session("work", "exec cat");
    env.tmux_at("second.sock").session("there", "exec cat");
    let daemon = env.daemon();
    let socket = env.path("second.sock").display().to_string();
    env.qd(&["target", "add", "second", "--kind", "local", "--tmux-socket", &socket]).success();
    wait::until("both are listed", || {
        (deck::items(daemon.api(), "/v1/panes").len() == 2).then_some(())
    });
    (env, daemon)
}

#[test]
fn the_default_target_is_there_with_the_very_first_answer() {
    for _ in 0..5 {
        let env = deck();
        let daemon = env.daemon();
        assert_eq!(names(&daemon), ["local"]);
    }
}

#[test]
fn tc_014_targets_are_added_connected_listed_and_removed() {
    let (env, daemon) = with_second();
    assert_eq!(names(&daemon), ["local", "second"]);
    let listed = env.qd(&["target", "list", "--json"]).json();
    assert_eq!(listed["items"][0]["is_default"], true, "{listed:#}");
    assert_eq!(listed["items"][1]["is_default"], false, "{listed:#}");
    env.qd(&["target", "connect", "second"]).success();
    let refused = env.qd(&["target", "remove", "second"]);
    let said = refused.fails_with(2);
    assert!(said.contains("--yes"), "without a terminal it asks for --yes: {said}");
    assert_eq!(names(&daemon), ["local", "second"]);
    env.qd(&["target", "remove", "second", "--yes"]).success();
    assert_eq!(names(&daemon), ["local"]);
    wait::until("its panes are gone", || {
        (deck::items(daemon.api(), "/v1/panes").len() == 1).then_some(())
    });
    assert_eq!(env.tmux_at("second.sock").sessions(), ["there"], "its tmux is left alone");
}

#[test]
fn a_target_outlives_the_daemon() {
    let (env, daemon) = with_second();
    daemon.kill9();
    let daemon = env.daemon();
    assert_eq!(names(&daemon), ["local", "second"]);
}

#[test]
fn two_targets_that_lead_to_one_server_are_refused() {
    let (env, daemon) = with_second();
    let link = env.path("link.sock");
    std::os::unix::fs::symlink(env.path("second.sock"), &link).unwrap();
    let default = env.tmux_socket().unwrap().display().to_string();
    for socket in [
        env.path("second.sock").display().to_string(),
        link.display().to_string(),
        default,
        "default".to_owned(),
    ] {
        let body = json!({ "name": "third", "kind": "local", "tmux_socket": socket });
        let refused = daemon.api().post("/v1/targets", &body);
        assert_eq!(refused.error(409), "E_TARGET_DUPLICATE_SERVER", "{socket}");
    }
    let same_name = json!({ "name": "second", "kind": "local", "tmux_socket": "elsewhere" });
    assert_eq!(daemon.api().post("/v1/targets", &same_name).error(409), "E_TARGET_EXISTS");
    assert_eq!(names(&daemon), ["local", "second"]);
}

#[test]
fn panes_of_the_same_id_on_two_servers_are_two() {
    let (_env, daemon) = with_second();
    let panes = deck::items(daemon.api(), "/v1/panes");
    assert_eq!(panes[0]["identity"]["pane_id"], panes[1]["identity"]["pane_id"]);
    assert_ne!(panes[0]["runtime_id"], panes[1]["runtime_id"]);
}

#[test]
fn tc_023_tc_043_a_target_that_fails_makes_the_answer_partial_and_no_more() {
    let (env, daemon) = with_second();
    let second = env.tmux_at("second.sock");
    let server = second.pid();
    testkit::process::signal(server, testkit::Signal::STOP);
    let partial = wait::within(std::time::Duration::from_secs(40), || {
        let answer = daemon.api().get("/v1/panes").expect(200);
        (answer["partial"] == true).then_some(answer)
    });
    let only = daemon.api().get("/v1/panes?target=local").expect(200);
    testkit::process::signal(server, testkit::Signal::CONT);
    let answer: Value = partial.expect("it is noticed");
    assert_eq!(answer["requested_targets"], json!(["local", "second"]), "{answer:#}");
    assert_eq!(answer["responded_targets"], json!(["local"]), "{answer:#}");
    let errors = answer["target_errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{answer:#}");
    assert_eq!(errors[0]["target"], "second");
    assert_eq!(errors[0]["code"], "E_TARGET_UNREACHABLE");
    assert_eq!(only["partial"], false, "who does not ask for it is not told: {only:#}");
    assert_eq!(only["target_errors"], json!([]));
}

#[test]
fn a_target_whose_server_does_not_run_is_no_failure() {
    let env = deck();
    env.tmux().session("work", "exec cat");
    let daemon = env.daemon();
    let socket = env.path("later.sock").display().to_string();
    env.qd(&["target", "add", "later", "--kind", "local", "--tmux-socket", &socket]).success();
    let answer = daemon.api().get("/v1/panes").expect(200);
    assert_eq!(answer["partial"], false, "{answer:#}");
    let pane = env.tmux_at("later.sock").session("now", "exec cat");
    wait::until("its pane is listed", || {
        let items = deck::items(daemon.api(), "/v1/panes?target=later");
        items.iter().any(|it| it["identity"]["pane_id"] == *pane).then_some(())
    });
}

#[test]
fn a_target_elsewhere_needs_what_leads_there() {
    let (_env, daemon) = with_second();
    for (kind, field) in [("ssh", "ssh_target"), ("command", "command")] {
        let body = json!({ "name": "far", "kind": kind });
        let refused = daemon.api().post("/v1/targets", &body).expect(400);
        assert_eq!(refused["error"]["details"]["field"], field, "{kind}");
    }
}

#[test]
fn a_socket_by_a_link_or_a_detour_is_no_other_target_and_a_file_is_none() {
    let env = deck();
    let _daemon = env.daemon();
    std::fs::create_dir(env.path("s")).unwrap();
    std::os::unix::fs::symlink(env.path("s"), env.path("link")).unwrap();
    let add = |name: &str, socket: &str| {
        let socket = env.path(socket).display().to_string();
        env.qd(&["target", "add", name, "--tmux-socket", &socket])
    };
    add("p1", "s/later.sock").success();
    for detour in ["link/later.sock", "s/../s/later.sock"] {
        let said = add("p2", detour).fails_with(5);
        assert!(said.contains("E_TARGET_DUPLICATE_SERVER"), "{detour}: {said}");
    }
    env.tmux_at("s/later.sock").session("there", "exec cat");
    std::fs::hard_link(env.path("s/later.sock"), env.path("hard.sock")).unwrap();
    let said = add("p2", "hard.sock").fails_with(5);
    assert!(said.contains("E_TARGET_DUPLICATE_SERVER"), "a second name of the socket: {said}");
    let said = add("p1", "hard.sock").fails_with(5);
    assert!(said.contains("E_TARGET_EXISTS"), "its own name is what is taken: {said}");
    std::fs::write(env.path("file"), "x").unwrap();
    for impossible in ["file", "s"] {
        let said = add("p3", impossible).fails_with(2);
        assert!(said.contains("no socket"), "{impossible}: {said}");
    }
    let ours = env.socket().display().to_string();
    let said = env.qd(&["target", "add", "p4", "--tmux-socket", &ours]).fails_with(2);
    assert!(said.contains("this daemon itself listens"), "{said}");
}

#[test]
fn nobody_is_asked_about_a_target_that_cannot_be_removed() {
    let env = deck();
    let _daemon = env.daemon();
    assert!(env.qd(&["target", "remove", "nope"]).fails_with(4).contains("E_TARGET_NOT_FOUND"));
    assert!(env.qd(&["target", "remove", "local"]).fails_with(5).contains("E_TARGET_PROTECTED"));
}
