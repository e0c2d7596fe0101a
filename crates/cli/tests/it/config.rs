//! The configuration file: read with positions, refused with the nearest name, reloaded alive.

use std::fs;

use serde_json::Value;
use testkit::wait;

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
