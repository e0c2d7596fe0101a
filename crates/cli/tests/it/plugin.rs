//! An agent whose plugin passes answers on: it asks in its own dialog, and beside it by a hook.

use std::fs;

use serde_json::{Value, json};
use testkit::{Daemon, TestEnv, wait};

use crate::deck::{self, deck};

/// A stand-in for opencode with its plugin: it asks once, does what it may, and is at rest.
const AGENT: &str = r#"
cd "$HOME"
tell() { "$QD" hook opencode "$1" < "$2" > /dev/null; }
until [ -e begin ]; do sleep 0.05; done
tell chat.message told.json
cat dialog
"$QD" hook opencode "$(cat begin)" < asked.json > reply; touch ended
until [ ! -e deaf ]; do sleep 0.05; done
clear
until [ -s reply ]; do sleep 0.05; done
tell permission.replied replied.json
case $(cat reply) in *'"once"'*) tell tool.execute.after done.json ;; esac
tell session.idle told.json
# It is there as long as its pane.
while :; do read -r _; done
"#;

const DIALOG: &str = "  ┃\n  ┃  △ Permission required\n  ┃    # Shell command\n  ┃\n  \
    ┃  $ touch made\n  ┃\n  ┃   Allow once   Allow always   Reject   enter confirm\n  ┃\n";

struct Scene {
    daemon: Daemon,
    env: TestEnv,
    pane: String,
}

/// The agent, which has asked with the event of this name.
fn scene(event: &str, reply: &str) -> Scene {
    let env = deck();
    fs::copy("/bin/bash", env.path("bin/opencode")).unwrap();
    for program in ["cat", "clear", "sleep", "touch"] {
        env.reinstall(program);
    }
    fs::write(env.path("home/agent.sh"), AGENT).unwrap();
    let call = json!({ "callID": "call-1" });
    let files = [
        ("told", json!({ "properties": { "sessionID": "ses-1" } })),
        (
            "asked",
            json!({ "properties": { "id": "per-1", "sessionID": "ses-1", "permission": "bash",
                "metadata": { "command": "touch made" }, "tool": call } }),
        ),
        ("replied", json!({ "properties": { "reply": reply } })),
        ("done", json!({ "i": { "tool": "bash", "callID": "call-1" } })),
    ];
    for (name, payload) in files {
        fs::write(env.path(&format!("home/{name}.json")), payload.to_string()).unwrap();
    }
    fs::write(env.path("home/dialog"), DIALOG).unwrap();
    let daemon = env.daemon();
    let line = format!("QD={} exec opencode $HOME/agent.sh", env.qd_program().display());
    let pane = env.tmux().session("work", &line);
    let it = Scene { daemon, env, pane };
    it.shows("it is recognised", |it| it["agent_type"] == "opencode");
    fs::write(it.env.path("home/begin"), event).unwrap();
    it.shows("it asks", |it| it["state"] == "waiting_approval");
    it
}

impl Scene {
    #[track_caller]
    fn shows(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        deck::pane_where(self.daemon.api(), &self.pane, what, fits)
    }

    fn approvals(&self, query: &str) -> Vec<Value> {
        deck::items(self.daemon.api(), &format!("/v1/approvals{query}"))
    }

    /// The one that waits and can be answered by the hook.
    #[track_caller]
    fn held(&self) -> Value {
        wait::until("its hook waits", || {
            self.approvals("").into_iter().find(|it| it["delivery"] == "reply")
        })
    }

    fn reply(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.env.path("home/reply")).unwrap()).unwrap()
    }

    #[track_caller]
    fn ended(&self, outcome: &str) {
        wait::until("its end is told", || {
            let all = self.approvals("?state=answered");
            all.iter().any(|it| it["outcome"] == outcome).then_some(())
        });
    }
}

#[test]
fn a_yes_reaches_the_plugin_that_waits_for_it() {
    let it = scene("permission.asked.waits", "once");
    let asked = it.held();
    assert_eq!((&asked["tool"], &asked["request"]), (&json!("bash"), &json!("touch made")));
    it.env.qd(&["approve", asked["approval_id"].as_str().unwrap()]).success();
    assert_eq!(it.reply(), json!({ "reply": "once" }));
    it.ended("approve");
    it.shows("its turn is over", |it| it["state"] == "completed" || it["state"] == "idle");
}

#[test]
fn a_no_with_a_word_reaches_it_too() {
    let it = scene("permission.asked.waits", "reject");
    let asked = it.held();
    let id = asked["approval_id"].as_str().unwrap();
    it.env.qd(&["deny", id, "--message", "not \"so\""]).success();
    assert_eq!(it.reply(), json!({ "reply": "reject", "message": "not \"so\"" }));
    it.ended("deny");
}

#[test]
fn a_plugin_of_before_waits_for_nothing_and_its_dialog_is_left_to_the_terminal() {
    let it = scene("permission.asked", "once");
    wait::until("its hook has ended", || it.env.path("home/ended").exists().then_some(()));
    assert_eq!(fs::read_to_string(it.env.path("home/reply")).unwrap(), "");
    let [asked] = &it.approvals("")[..] else { panic!("one waits") };
    let refused = it.env.qd(&["approve", asked["approval_id"].as_str().unwrap()]);
    assert!(refused.stderr.contains("E_APPROVAL_CHANGED"), "{}", refused.stderr);
    let [asked] = &it.approvals("")[..] else { panic!("it waits on") };
    assert_eq!(asked["state"], "waiting");
}

#[test]
fn an_answer_that_its_plugin_could_not_pass_on_is_not_told_as_taken() {
    let it = scene("permission.asked.waits", "once");
    let asked = it.held();
    fs::write(it.env.path("home/deaf"), "").unwrap();
    let told = it.env.qd(&["approve", asked["approval_id"].as_str().unwrap(), "--json"]);
    let told: Value = serde_json::from_str(&format!("{}{}", told.stdout, told.stderr)).unwrap();
    let said = told.to_string();
    assert!(said.contains("not_confirmed") && said.contains("still stands"), "{told:#}");
    let [asked] = &it.approvals("")[..] else { panic!("it waits on") };
    assert_eq!(asked["state"], "waiting");
    it.shows("somebody is waited for", |it| it["state"] == "waiting_approval");
}
