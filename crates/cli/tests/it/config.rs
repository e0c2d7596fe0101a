//! The configuration file: read with positions, refused with the nearest name, reloaded alive.

use std::fs;

use serde_json::Value;
use testkit::{Http, wait};

use crate::deck::{self, deck};

#[test]
fn an_unknown_key_is_refused_with_its_position_and_the_nearest_name() {
    let env = deck();
    let good = env.qd(&["config", "show", "--json"]).json();
    let setting = good["settings"].as_array().unwrap()[0].clone();
    let key = deck::text(&setting, "key");
    let (table, name) = key.rsplit_once('.').unwrap();
    let wrong = format!("\n[{table}]\n{name}x = 1\n");
    env.configure(&wrong);
    let said = env.qd(&["config", "check"]).fails_with(1);
    assert!(said.contains('3') && said.contains(name), "{said}");
}

#[test]
fn doctor_says_that_a_wrong_configuration_keeps_the_daemon_from_starting() {
    let env = deck();
    env.configure("this is [no toml");
    let answer = env.qd(&["doctor", "--json"]);
    assert_eq!(answer.code(), Some(1), "{answer:?}");
    let answer: Value = serde_json::from_str(&answer.stdout).unwrap();
    let checks = answer["checks"].as_array().unwrap();
    let daemon = checks.iter().find(|it| it["check"] == "daemon").unwrap();
    assert_eq!(daemon["verdict"], "failed", "{answer:#}");
    assert!(deck::text(daemon, "message").contains("see `configuration`"), "{answer:#}");
    assert_ne!(env.qd(&["ls"]).code(), Some(0), "and it is right");
}

#[test]
fn every_default_can_be_seen_and_its_file_found() {
    let env = deck();
    let path = env.qd(&["config", "path"]).success();
    assert_eq!(path.trim(), env.home().join("config.toml").display().to_string());
    env.qd(&["config", "check"]).success();
    let shown = env.qd(&["config", "show"]).success();
    for (key, default) in
        [("state.completed_ttl", "2m"), ("state.stale_ttl", "30s"), ("retention.event_days", "14")]
    {
        let line = shown.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        assert!(line.contains(default), "{key}: {shown}");
    }
}

#[test]
fn a_change_is_taken_up_without_a_restart_and_a_mistake_is_not() {
    let env = deck();
    let daemon = env.daemon();
    let settings = |key: &str| -> Option<Value> {
        let answer = daemon.api().get("/v1/config").expect(200);
        let all = answer["settings"].as_array().unwrap().clone();
        all.into_iter().find(|it| it["key"] == key).map(|it| it["value"].clone())
    };
    let answer = daemon.api().get("/v1/config").expect(200);
    let keys: Vec<_> =
        answer["settings"].as_array().unwrap().iter().map(|it| deck::text(it, "key")).collect();
    let key = keys.iter().find(|it| it.ends_with("completed_ttl")).unwrap();
    let (table, name) = key.rsplit_once('.').unwrap();
    let before = settings(key).unwrap();
    env.configure(&format!("[{table}]\n{name} = \"7s\"\n"));
    let after = wait::until("taken up", || settings(key).filter(|it| *it != before));
    fs::write(env.home().join("config.toml"), "this is [no toml").unwrap();
    wait::until("the mistake is told", || {
        let answer = daemon.api().get("/v1/config").expect(200);
        (!answer["problems"].as_array().unwrap().is_empty()).then_some(())
    });
    assert_eq!(settings(key), Some(after), "the last good one stays in use");
}

#[test]
fn a_mistake_is_told_while_the_daemon_runs_and_when_none_can_start() {
    let env = deck();
    let daemon = env.daemon();
    env.configure("foo = 1\n");
    let warning = wait::until("it is told", || {
        let health = daemon.api().get("/v1/health").expect(200);
        health["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["code"] == "config_invalid")
            .cloned()
    });
    assert!(warning["message"].as_str().unwrap().contains("foo"), "{warning:#}");
    assert!(env.qd(&[]).success().contains("qd config check"));
    daemon.kill9();
    let refused = env.qd(&["ls", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&refused.stderr).unwrap();
    assert_eq!(error["error"]["code"], "E_CONFIG_INVALID", "{error:#}");
    assert!(error["error"]["message"].as_str().unwrap().contains("config.toml:1:"), "{error:#}");
}

#[test]
fn a_daemon_with_a_broken_file_says_so_and_does_not_guess() {
    let env = deck();
    env.configure("[state]\ncompleted_ttl = \"soon\"\n");
    match env.try_daemon() {
        Err(said) => assert!(said.contains("config.toml:2:"), "{said}"),
        Ok(daemon) => {
            let health = daemon.api().get("/v1/health").expect(200);
            assert!(health["warnings"].to_string().contains("config"), "{health:#}");
        }
    }
}

/// Waits until the daemon goes by a setting.
#[track_caller]
fn is_in_force(api: &Http, key: &str, wanted: &str) {
    wait::until("it is in force", || {
        let answer = api.get("/v1/config").expect(200);
        let settings = answer["settings"].as_array().unwrap();
        settings.iter().any(|it| it["key"] == key && it["value"] == wanted).then_some(())
    });
}

/// The observer is replaced when a setting of its own changes; what it watches stays what it was.
#[test]
fn a_change_of_how_targets_are_observed_ends_no_runtime() {
    let env = deck();
    let tmux = env.tmux();
    let daemon = env.daemon();
    let api = daemon.api();
    // The server is younger than the daemon.
    let pane = tmux.session("work", "exec cat");
    deck::settled(api, &pane, "cat");
    env.qd(&["event", "emit", "--source", "hook", "--type", "needs-approval", "--pane", &pane])
        .success();
    let before = deck::pane_where(api, &pane, "waiting", |it| it["state"] == "waiting_approval");
    for (turn, value) in ["1s", "2s"].into_iter().enumerate() {
        let client = || tmux.ok(&["list-clients", "-F", "#{client_pid}"]);
        let old = wait::until("there is a client", || Some(client()).filter(|it| !it.is_empty()));
        env.configure(&format!("[observer]\nscan_idle = \"{value}\"\n"));
        wait::until("another observes", || {
            Some(client()).filter(|now| !now.is_empty() && *now != old)
        });
        let later = tmux.session(&format!("later{turn}"), "exec cat");
        deck::listed(api, &later);
        let after = deck::pane(api, &pane).unwrap();
        for field in ["runtime_id", "pane_epoch", "state", "reason_code", "runtime_started_at"] {
            assert_eq!(before[field], after[field], "{field}");
        }
    }
}

#[test]
fn a_file_whose_folder_did_not_exist_is_taken_up_without_a_restart() {
    let env = deck();
    let file = env.path("home/.config/deep/down/config.toml");
    let mut command = env.command(env.qd_program());
    command.args(["daemon", "run"]).env("QD_CONFIG", &file);
    let daemon = env.daemon_by(command).unwrap();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "[state]\nstale_ttl = \"41s\"\n").unwrap();
    is_in_force(daemon.api(), "state.stale_ttl", "41s");
    fs::remove_dir_all(env.path("home/.config/deep")).unwrap();
    is_in_force(daemon.api(), "state.stale_ttl", "30s");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "[state]\nstale_ttl = \"42s\"\n").unwrap();
    is_in_force(daemon.api(), "state.stale_ttl", "42s");
}

#[test]
fn a_file_that_the_environment_names_has_to_be_there() {
    let env = deck();
    let check = env.invoke(&["config", "check"]).env("QD_CONFIG", env.path("nowhere.toml"));
    let said = check.run().fails_with(1);
    assert!(said.contains("which QD_CONFIG names, is not there"), "{said}");
}

#[test]
fn a_file_behind_a_link_is_watched_where_it_is() {
    let env = deck();
    env.make_home();
    let real = env.path("home/dotfile.toml");
    fs::write(&real, "[state]\nstale_ttl = \"41s\"\n").unwrap();
    std::os::unix::fs::symlink(&real, env.home().join("config.toml")).unwrap();
    let daemon = env.daemon();
    is_in_force(daemon.api(), "state.stale_ttl", "41s");
    fs::write(&real, "[state]\nstale_ttl = \"42s\"\n").unwrap();
    is_in_force(daemon.api(), "state.stale_ttl", "42s");
}

#[test]
fn the_log_is_set_without_a_restart() {
    let env = deck();
    env.configure("[log]\nlevel = \"error\"\n");
    let daemon = env.daemon();
    let log = env.home().join("logs/qd.log");
    let lines = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    assert_eq!(lines(), 0, "{:?}", fs::read_to_string(&log));
    env.configure("[log]\nlevel = \"debug\"\n");
    is_in_force(daemon.api(), "log.level", "debug");
    wait::until("it says more", || (lines() > 0).then_some(()));
}
