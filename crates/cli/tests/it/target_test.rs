//! `qd target test`: each step of the way to a target, and at which one something stands.

use std::fs;

use serde_json::Value;
use testkit::{Sshd, wait};

use crate::machines::{Way, World, strangers};

/// What the command says of a target: its exit code, and the steps with their verdicts.
fn tried(world: &World, target: &str) -> (Option<i32>, Vec<Value>) {
    let output = world.env.qd(&["target", "test", target, "--json"]);
    let told: Value = serde_json::from_str(&output.stdout).unwrap();
    (output.code(), told["checks"].as_array().unwrap().clone())
}

fn steps(checks: &[Value]) -> Vec<&str> {
    checks.iter().map(|it| it["check"].as_str().unwrap()).collect()
}

/// The last step, where something stands in the way; nothing else failed.
#[track_caller]
fn obstacle(world: &World, target: &str, step: &str) -> Value {
    let (code, checks) = tried(world, target);
    assert_eq!(code, Some(1), "{checks:#?}");
    let failed: Vec<&Value> = checks.iter().filter(|it| it["verdict"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{checks:#?}");
    assert_eq!(failed[0]["check"], step, "{checks:#?}");
    assert_ne!(failed[0]["hint"], "", "{checks:#?}");
    failed[0].clone()
}

/// Adds a target by the words of `far`, with some of them changed.
fn add(world: &World, name: &str, change: impl Fn(&str) -> String, more: &[&str]) {
    let words: Vec<String> = world.words(name).iter().map(|word| change(word)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
    world.env.qd(&words).success();
}

fn told(check: &Value) -> &str {
    check["message"].as_str().unwrap()
}

fn healthy(way: Way, expected: &[&str]) {
    let Some((world, _)) = World::new(way, "exec cat") else { return };
    world.health_is("ok");
    wait::until("our session is there", || (world.tmux().sessions().len() == 2).then_some(()));
    let sessions = world.tmux().sessions();
    let (code, checks) = tried(&world, "far");
    assert_eq!((code, steps(&checks)), (Some(0), expected.to_vec()), "{checks:#?}");
    let of = |step: &str| checks.iter().find(|it| it["check"] == step).unwrap();
    assert!(told(of("tmux")).starts_with("tmux "), "{checks:#?}");
    assert!(told(of("server")).contains("process "), "{checks:#?}");
    assert_eq!((&of("clock")["verdict"], &of("name")["verdict"]), (&"ok".into(), &"ok".into()));
    assert_eq!(of("spool")["verdict"], "note", "no hooks were set up: {checks:#?}");
    assert_eq!(world.tmux().sessions(), sessions, "it leaves no session and takes none away");
    world.install_hook();
    let (_, checks) = tried(&world, "far");
    let spool = checks.iter().find(|it| it["check"] == "spool").unwrap();
    assert!(spool["verdict"] == "ok" && told(spool).contains("hook"), "{checks:#?}");
    let said = world.env.qd(&["target", "test", "far"]).success();
    assert!(said.contains("ok    server: a server runs there"), "{said}");
}

#[test]
fn a_healthy_target_over_a_command_is_found_healthy_at_each_step() {
    healthy(Way::Command, &["name", "route", "shell", "tmux", "server", "spool", "clock"]);
}

#[test]
fn a_healthy_target_over_ssh_is_found_healthy_at_each_step() {
    let ssh = ["name", "route", "host_key", "key", "shell", "tmux", "server", "spool", "clock"];
    healthy(Way::Ssh, &ssh);
}

#[test]
fn what_stands_in_the_way_over_ssh_is_found_at_its_step() {
    let Some((world, _)) = World::new(Way::Ssh, "exec cat") else { return };
    let sshd = world.sshd.as_ref().unwrap();
    let same = str::to_owned;
    let port = sshd.port().to_string();
    // Nobody listens at the lowest port of all.
    add(&world, "port", |word| word.replace(&format!(":{port}"), ":1"), &[]);
    let check = obstacle(&world, "port", "route");
    assert!(told(&check).contains("E_TARGET_UNREACHABLE"), "{check:#}");
    let key = |word: &str| match word.strip_prefix("IdentityFile=") {
        Some(path) => format!("IdentityFile={}", path.replace("/user", "/host")),
        None => word.to_owned(),
    };
    add(&world, "key", key, &[]);
    let check = obstacle(&world, "key", "key");
    assert!(told(&check).contains("E_SSH_DENIED"), "{check:#}");
    add(&world, "tmux", same, &["--tmux", "/nowhere/tmux"]);
    let check = obstacle(&world, "tmux", "tmux");
    assert!(told(&check).contains("no program `/nowhere/tmux`; its path is /"), "{check:#}");
    let forced = Sshd::start_with(&world.env, "forced", "ForceCommand echo only this").unwrap();
    forced.introduce();
    let elsewhere = |word: &str| {
        let word = word.replace(&format!(":{port}"), &format!(":{}", forced.port()));
        word.replace("/sshd/", "/forced/")
    };
    add(&world, "forced", elsewhere, &[]);
    let check = obstacle(&world, "forced", "shell");
    assert!(told(&check).contains("only this (E_NO_SHELL)"), "{check:#}");
    // And whatever was tried, the one that is well still is.
    assert_eq!(tried(&world, "far").0, Some(0));
}

#[test]
fn a_host_that_is_not_known_is_found_with_its_fingerprint() {
    let Some(world) = strangers() else { return };
    world.add("far");
    let check = obstacle(&world, "far", "host_key");
    assert!(told(&check).contains("SHA256:"), "{check:#}");
    assert!(!world.sshd.as_ref().unwrap().is_known(), "looking trusts nobody");
}

#[test]
fn what_stands_in_the_way_over_a_command_is_found_at_its_step() {
    let Some((world, _)) = World::new(Way::Command, "exec cat") else { return };
    add(&world, "lost", |word| word.replace(r#"["reach"]"#, r#"["no-such-program"]"#), &[]);
    let check = obstacle(&world, "lost", "route");
    assert!(told(&check).contains("no-such-program"), "{check:#}");
    fs::write(world.env.path("home/away"), "").unwrap();
    let check = obstacle(&world, "far", "shell");
    assert!(told(&check).contains("no such box (E_NO_SHELL)"), "{check:#}");
    fs::remove_file(world.env.path("home/away")).unwrap();
    let here = world.env.qd(&["target", "test", "local"]);
    assert!(here.stderr.contains("this machine"), "{here:?}");
}

#[test]
fn hosts_of_the_ssh_configuration_are_offered_and_those_that_are_targets_told() {
    let Some((world, _)) = World::new(Way::Command, "exec cat") else { return };
    fs::create_dir_all(world.env.path("home/.ssh/more.d")).unwrap();
    let write = |file: &str, text: &str| fs::write(world.env.path(file), text).unwrap();
    write("home/.ssh/config", "Include more.d/*\nHost *.lan\n  User me\nHost box\n");
    write("home/.ssh/more.d/work", "Host build other\n  HostName build.example\n");
    add_by_hand(&world, "box");
    let found = world.env.qd(&["target", "discover", "--json"]).json();
    let hosts: Vec<&Value> = found["items"].as_array().unwrap().iter().collect();
    let names: Vec<&str> = hosts.iter().map(|it| it["host"].as_str().unwrap()).collect();
    assert_eq!(names, ["build", "other", "box"]);
    assert_eq!(hosts[0]["add"], "qd target add build --kind ssh --ssh-target build");
    assert_eq!((&hosts[2]["target"], &hosts[2]["add"]), (&"box".into(), &Value::Null));
    let said = world.env.qd(&["target", "discover"]).success();
    assert!(
        said.contains("build  qd target add build") && said.contains("is target box"),
        "{said}"
    );
}

/// Adds a host that may lead nowhere.
fn add_by_hand(world: &World, host: &str) {
    world.env.qd(&["target", "add", host, "--kind", "ssh", "--ssh-target", host]).success();
}
