//! One runtime is one life of a process in a pane: what begins a new one, what does not, and that
//! the old one is refused from then on.

use serde_json::{Value, json};
use testkit::{Daemon, Signal, TestEnv, process};

use crate::deck::{self, deck};

fn start(program: &str) -> (TestEnv, Daemon, String, Value) {
    let env = deck();
    let pane = env.tmux().session("work", program);
    let daemon = env.daemon();
    let command = program.rsplit(' ').next().unwrap().to_owned();
    let item = deck::pane_where(daemon.api(), &pane, "settled", |it| it["current_cmd"] == command);
    (env, daemon, pane, item)
}

/// The runtime has ended, and an event that names it is refused.
#[track_caller]
fn is_stale(daemon: &Daemon, runtime: &str) {
    let answer = daemon.api().get(&format!("/v1/runtimes/{runtime}")).expect(200);
    assert!(answer["runtime"]["ended_at"].is_string(), "{answer:#}");
    let event = json!({
        "event_id": format!("late-{runtime}"), "event_type": "task-started", "source": "hook",
        "dedupe_key": format!("late-{runtime}"), "event_time": crate::events::now(),
        "runtime_id": runtime,
    });
    assert_eq!(daemon.api().post("/v1/events", &event).error(409), "E_RUNTIME_STALE");
}

#[track_caller]
fn becomes_another_runtime(daemon: &Daemon, pane: &str, before: &Value, why: &str) -> Value {
    let old = deck::runtime_of(before);
    let after = deck::pane_where(daemon.api(), pane, why, |item| {
        item["runtime_id"].is_string() && item["runtime_id"] != *old
    });
    let epoch = |item: &Value| item["pane_epoch"].as_u64().unwrap();
    assert!(epoch(&after) > epoch(before), "the epoch moves on: {before:#} {after:#}");
    is_stale(daemon, &old);
    after
}

#[test]
fn tc_004_a_respawn_begins_a_new_epoch() {
    let (env, daemon, pane, before) = start("exec cat");
    env.tmux().ok(&["respawn-pane", "-k", "-t", &pane, "exec cat"]);
    becomes_another_runtime(&daemon, &pane, &before, "respawned");
}

#[test]
fn what_a_program_prints_as_it_starts_is_activity_of_its_runtime() {
    let (env, daemon, pane, before) = start("exec sh");
    env.tmux().type_line(&pane, "echo before");
    let greets = "echo again; exec sleep 1000";
    env.tmux().ok(&["respawn-pane", "-k", "-t", &pane, greets]);
    let respawned = becomes_another_runtime(&daemon, &pane, &before, "respawned");
    let other = env.tmux().window("work", "greets", greets);
    for item in [respawned, deck::listed(daemon.api(), &other)] {
        let at =
            |field: &str| deck::text(&item, field).parse::<api::Timestamp>().unwrap().as_millis();
        // The kernel tells when a process began in hundredths of a second.
        assert!(at("last_activity_at") + 10 >= at("runtime_started_at"), "{item:#}");
    }
}

#[test]
fn tc_004_an_exec_begins_a_new_epoch_though_the_pid_stays() {
    let (env, daemon, pane, _) = start("exec sh");
    // A program that replaces itself right after its start is one life; this one has settled.
    let before = deck::pane_where(daemon.api(), &pane, "seen well after its start", |item| {
        let millis =
            |field: &str| deck::text(item, field).parse::<api::Timestamp>().unwrap().as_millis();
        millis("last_seen_at") > millis("runtime_started_at") + 1_500
    });
    env.tmux().type_line(&pane, "exec cat");
    let after = becomes_another_runtime(&daemon, &pane, &before, "replaced by exec");
    assert_eq!(before["pane_pid"], after["pane_pid"], "the same process, another program");
}

#[test]
fn a_command_in_the_shell_of_a_pane_begins_nothing() {
    let (env, daemon, pane, before) = start("exec sh");
    env.tmux().type_line(&pane, "cat");
    let after = deck::settled(daemon.api(), &pane, "cat");
    assert_eq!(deck::runtime_of(&before), deck::runtime_of(&after));
}

#[test]
fn tc_005_a_restarted_server_with_the_same_pane_ids_starts_new_runtimes() {
    let (env, daemon, pane, before) = start("exec cat");
    let tmux = env.tmux();
    tmux.kill9();
    let again = tmux.session("work", "exec cat");
    assert_eq!(pane, again, "tmux gives its ids anew");
    let old = deck::runtime_of(&before);
    let after = deck::pane_where(daemon.api(), &pane, "of the new server", |item| {
        item["runtime_id"].is_string() && item["runtime_id"] != *old
    });
    let boot = |item: &Value| {
        let path = format!("/v1/runtimes/{}", deck::runtime_of(item));
        daemon.api().get(&path).expect(200)["runtime"]["server_boot_id"].clone()
    };
    assert_ne!(boot(&before), boot(&after));
    is_stale(&daemon, &old);
}

#[test]
fn a_server_restarted_while_the_daemon_was_dead_is_noticed_too() {
    let (env, daemon, pane, before) = start("exec cat");
    daemon.kill9();
    let tmux = env.tmux();
    tmux.kill9();
    assert_eq!(tmux.session("work", "exec cat"), pane);
    let daemon = env.daemon();
    let old = deck::runtime_of(&before);
    deck::pane_where(daemon.api(), &pane, "of the new server", |item| {
        item["runtime_id"].is_string() && item["runtime_id"] != *old
    });
    is_stale(&daemon, &old);
}

#[test]
fn a_runtime_survives_any_number_of_restarts_of_the_daemon() {
    let (env, daemon, pane, before) = start("exec cat");
    daemon.kill9();
    for _ in 0..3 {
        let daemon = env.daemon();
        let after = deck::listed(daemon.api(), &pane);
        assert_eq!(deck::runtime_of(&before), deck::runtime_of(&after));
        assert_eq!(before["pane_epoch"], after["pane_epoch"]);
        daemon.kill9();
    }
}

#[test]
fn what_was_known_of_a_runtime_is_told_after_its_end() {
    let (env, daemon, pane, before) = start("exec cat");
    let runtime = deck::runtime_of(&before);
    let said = ["--source", "hook", "--type", "needs-approval", "--agent", "claude"];
    let emit = ["event", "emit", "--dedupe", "one", "--target", "local", "--pane", &pane];
    env.qd(&[&emit[..], &said[..]].concat()).success();
    let asked = deck::pane_where(daemon.api(), &pane, "asked", |item| {
        item["state"] == "waiting_approval" && item["runtime_id"] == *runtime
    });
    env.tmux().session("other", "exec cat");
    env.tmux().ok(&["kill-pane", "-t", &pane]);
    deck::unlisted(daemon.api(), &pane);
    let answer = daemon.api().get(&format!("/v1/runtimes/{runtime}")).expect(200);
    let ended = &answer["runtime"];
    assert_eq!(ended["last_known"]["state"], "waiting_approval", "{answer:#}");
    let version = |item: &Value| item["state_version"].as_u64().unwrap();
    assert!(version(ended) > version(&asked), "{answer:#}");
}

#[test]
fn a_runtime_can_be_looked_up_and_explained() {
    let (_env, daemon, pane, item) = start("exec cat");
    let runtime = deck::runtime_of(&item);
    let answer = daemon.api().get(&format!("/v1/runtimes/{runtime}")).expect(200);
    assert!(answer.to_string().contains(&pane), "{answer:#}");
    let why = daemon.api().get(&format!("/v1/runtimes/{runtime}/explain")).expect(200);
    assert!(why.to_string().contains(&deck::text(&item, "reason_code")), "{why:#}");
    let unknown = daemon.api().get(&format!("/v1/runtimes/{}", "0".repeat(64)));
    assert_eq!(unknown.error(404), "E_REF_NOT_FOUND");
}

#[test]
fn a_server_that_takes_anothers_socket_is_the_one_that_is_shown() {
    let (env, daemon, old, item) = start("exec cat");
    let displaced = env.tmux().pid();
    std::fs::remove_file(env.tmux_socket().unwrap()).unwrap();
    let new = env.tmux().session("new", "exec sleep 1000");
    assert_eq!(new, old, "the same id for another pane");
    let found = deck::settled(daemon.api(), &new, "sleep");
    assert_eq!(found["identity"]["session_name"], "new");
    is_stale(&daemon, item["runtime_id"].as_str().unwrap());
    process::signal(displaced, Signal::KILL);
}
