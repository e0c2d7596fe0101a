//! Adapters turned on and off, and agents that a file of the user's describes, through the built
//! binary.

use std::fs;

use serde_json::{Value, json};
use testkit::{Daemon, TestEnv, wait};

use crate::deck::{self, deck};

const DESCRIPTION: &str = r#"agent = "parrot"
programs = ["parrot"]

[[screen]]
contains = "May I?"
lines = 2
state = "waiting_approval"
reason = "approval_requested"

[[screen]]
starts = "> "
lines = 1
state = "idle"
reason = "idle"
"#;

/// An agent that nobody knows: it asks, takes an answer, and waits at its prompt.
const PARROT: &str = "#!/bin/sh\nprintf 'I am a parrot.\\nMay I? '\nread -r answer\n\
                      printf '\\n> '\nread -r answer\n";

fn describe(env: &TestEnv, name: &str, text: &str) {
    let folder = env.home().join("adapters");
    fs::create_dir_all(&folder).unwrap();
    // As an editor does it: a whole file is put in place.
    fs::write(folder.join(".new"), text).unwrap();
    fs::rename(folder.join(".new"), folder.join(name)).unwrap();
}

#[track_caller]
fn shows(daemon: &Daemon, pane: &str, agent: &Value, state: &str) -> Value {
    deck::pane_where(daemon.api(), pane, &format!("{agent} {state}"), |it| {
        let reason = deck::text(it, "reason_code");
        it["agent_type"] == *agent && format!("{}/{reason}", deck::text(it, "state")) == state
    })
}

#[track_caller]
fn adapter(daemon: &Daemon, name: &str) -> Value {
    let items = deck::items(daemon.api(), "/v1/adapters");
    let found = items.iter().find(|item| item["name"] == name);
    found.unwrap_or_else(|| panic!("no adapter {name}: {items:#?}")).clone()
}

#[test]
fn tc_046_an_agent_that_a_file_describes_is_known_at_once_and_forgotten_with_it() {
    let env = deck();
    env.script("parrot", PARROT);
    let daemon = env.daemon();
    let pane = env.tmux().session("work", "exec parrot");
    shows(&daemon, &pane, &Value::Null, "unknown/no_agent");
    describe(&env, "parrot.toml", DESCRIPTION);
    let parrot = json!("parrot");
    let item = shows(&daemon, &pane, &parrot, "waiting_approval/approval_requested");
    assert_eq!((&item["state_source"], &item["confidence"]), (&json!("screen"), &json!("medium")));
    env.tmux().type_line(&pane, "yes");
    shows(&daemon, &pane, &parrot, "idle/idle");

    let listed = adapter(&daemon, "parrot-patterns");
    let path = env.home().join("adapters/parrot.toml");
    assert_eq!((&listed["origin"], &listed["enabled"]), (&json!("file"), &json!(true)));
    assert_eq!(listed["path"], path.to_str().unwrap());
    assert_eq!(listed["capabilities"]["supports_waiting_approval"], true);
    assert_eq!(listed["capabilities"]["event_driven"], false);

    fs::remove_file(path).unwrap();
    shows(&daemon, &pane, &Value::Null, "unknown/no_agent");
}

#[test]
fn a_description_that_is_none_is_named_with_its_place_and_stops_nothing() {
    let env = deck();
    describe(&env, "wrong.toml", "agent = \"wrong\"\nprograms = []\n");
    let daemon = env.daemon();
    describe(&env, "parrot.toml", DESCRIPTION);
    wait::until("the other one is taken", || {
        let items = deck::items(daemon.api(), "/v1/adapters");
        items.iter().any(|it| it["agent_type"] == "parrot").then_some(())
    });
    let problems = daemon.api().get("/v1/adapters").expect(200)["problems"].clone();
    let path = env.home().join("adapters/wrong.toml").to_str().unwrap().to_owned();
    assert_eq!(problems[0]["path"], path);
    assert_eq!((&problems[0]["line"], &problems[0]["column"]), (&json!(2), &json!(12)));
    let placed = format!("{path}:2:12: no `programs`");
    let list = env.qd(&["adapter", "list"]).success();
    assert!(list.contains(&placed), "{list}");
    let check = env.qd(&["config", "check"]).fails_with(1);
    assert!(check.contains(&placed), "{check}");
    let doctor = env.qd(&["doctor"]);
    assert!(doctor.stdout.contains(&placed), "{}", doctor.stdout);
}

#[test]
fn tc_047_a_description_for_another_contract_is_refused_by_name() {
    let env = deck();
    describe(&env, "parrot.toml", &format!("version = \"v2\"\n{DESCRIPTION}"));
    env.script("parrot", PARROT);
    let daemon = env.daemon();
    let pane = env.tmux().session("work", "exec parrot");
    shows(&daemon, &pane, &Value::Null, "unknown/no_agent");
    let listed = adapter(&daemon, "parrot-patterns");
    assert_eq!((&listed["is_compatible"], &listed["enabled"]), (&json!(false), &json!(false)));
    assert_eq!(listed["contract_version"], "v2");
    let refused = daemon.api().post("/v1/adapters/parrot/enable", &Value::Null).expect(412);
    assert_eq!(refused["error"]["code"], "E_ADAPTER_INCOMPATIBLE");
    assert_eq!(refused["error"]["details"]["line"], 1);
    env.qd(&["adapter", "enable", "parrot-patterns"]).fails_with(5);
    env.qd(&["adapter", "enable", "nobody"]).fails_with(4);

    // A later minor version of the same contract is taken.
    describe(&env, "parrot.toml", &format!("version = \"v1.9\"\n{DESCRIPTION}"));
    shows(&daemon, &pane, &json!("parrot"), "waiting_approval/approval_requested");
}

#[test]
fn an_adapter_that_is_turned_off_stays_off_and_its_panes_are_unknown() {
    let env = deck();
    let sleep = ["/usr/bin/sleep", "/bin/sleep"].into_iter().find(|it| fs::metadata(it).is_ok());
    fs::copy(sleep.unwrap(), env.path("bin/claude")).unwrap();
    let daemon = env.daemon();
    let pane = env.tmux().session("work", "exec claude 1000");
    let claude = json!("claude");
    shows(&daemon, &pane, &claude, "unknown/inconclusive");
    let pid: u32 = env.tmux().show(&pane, "#{pane_pid}").parse().unwrap();
    let file = env.path(&format!("home/.claude/sessions/{pid}.json"));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let status = |status: &str| {
        let text = json!({ "pid": pid, "sessionId": "s-1", "cwd": "/", "status": status });
        fs::write(&file, text.to_string()).unwrap();
    };
    status("busy");
    let before = shows(&daemon, &pane, &claude, "running/active");

    env.qd(&["adapter", "disable", "claude"]).success();
    // The command came back after the change was committed.
    let item = deck::pane(daemon.api(), &pane).unwrap();
    assert_eq!(deck::text(&item, "reason_code"), "unsupported_signal");
    assert_eq!(deck::runtime_of(&item), deck::runtime_of(&before), "what it is stays known");
    assert_eq!(adapter(&daemon, "claude-hook")["enabled"], false);
    let kinds = env.sqlite("SELECT count(*) FROM journal WHERE kind = 'adapter_changed'");
    assert_eq!(kinds.trim(), "1");
    env.qd(&["adapter", "disable", "claude-hook"]).success();
    status("idle");
    daemon.stop();

    let daemon = env.daemon();
    shows(&daemon, &pane, &claude, "unknown/unsupported_signal");
    let off = daemon.api().get("/v1/adapters?enabled=false").expect(200);
    assert_eq!(
        (&off["summary"]["total"], &off["items"][0]["name"]),
        (&json!(1), &json!("claude-hook"))
    );
    let on = env.qd(&["adapter", "enable", "claude"]).success();
    assert!(on.contains("claude-hook is enabled"), "{on}");
    shows(&daemon, &pane, &claude, "idle/idle");
    daemon.stop();
    env.qd(&["journal", "verify"]).success();
}
