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
tell "$(cat replied)" replied.json
case $(cat reply) in *'"once"'*) tell tool.execute.after done.json ;; esac
tell session.idle told.json
# It is there as long as its pane.
while :; do read -r _; done
"#;

/// What it asks first, and how it shows that.
struct Question {
    payload: Value,
    dialog: &'static str,
    state: &'static str,
    replied: &'static str,
}

const PERMISSION: &str = "  ┃\n  ┃  △ Permission required\n  ┃    # Shell command\n  ┃\n  \
    ┃  $ touch made\n  ┃\n  ┃   Allow once   Allow always   Reject   enter confirm\n  ┃\n";

const COLOUR: &str = "  ┃\n  ┃  Which colour?\n  ┃\n  ┃  1. Red\n  ┃     warm\n  ┃  2. Blue\n  \
    ┃  3. Type your own answer\n  ┃\n  ┃  ↑↓ select  enter submit  esc dismiss\n  ┃\n";

/// Whether it may run a command.
fn permission() -> Question {
    let payload = json!({ "permission": "bash", "metadata": { "command": "touch made" } });
    let state = "waiting_approval";
    Question { payload, dialog: PERMISSION, state, replied: "permission.replied" }
}

/// What to do, with some options for each part.
fn question(parts: &Value) -> Question {
    let payload = json!({ "questions": parts });
    Question { payload, dialog: COLOUR, state: "waiting_input", replied: "question.replied" }
}

fn colour() -> Value {
    let options = json!([{ "label": "Red", "description": "warm" }, { "label": "Blue" }]);
    json!({ "question": "Which colour?", "header": "Colour", "options": options })
}

struct Scene {
    daemon: Daemon,
    env: TestEnv,
    pane: String,
}

/// The agent, which has asked for a permission with the event of this name.
fn scene(event: &str, reply: &str) -> Scene {
    asking(event, &permission(), reply)
}

/// The agent, which has asked with the event of this name, and tells of the answer so.
fn asking(event: &str, question: &Question, reply: &str) -> Scene {
    let env = deck();
    fs::copy("/bin/bash", env.path("bin/opencode")).unwrap();
    for program in ["cat", "clear", "sleep", "touch"] {
        env.reinstall(program);
    }
    fs::write(env.path("home/agent.sh"), AGENT).unwrap();
    let mut asked = question.payload.clone();
    asked["id"] = "req-1".into();
    asked["sessionID"] = "ses-1".into();
    asked["tool"] = json!({ "callID": "call-1" });
    let files = [
        ("told", json!({ "properties": { "sessionID": "ses-1" } })),
        ("asked", json!({ "properties": asked })),
        ("replied", json!({ "properties": { "reply": reply } })),
        ("done", json!({ "i": { "tool": "bash", "callID": "call-1" } })),
    ];
    for (name, payload) in files {
        fs::write(env.path(&format!("home/{name}.json")), payload.to_string()).unwrap();
    }
    fs::write(env.path("home/dialog"), question.dialog).unwrap();
    fs::write(env.path("home/replied"), question.replied).unwrap();
    let daemon = env.daemon();
    let line = format!("QD={} exec opencode $HOME/agent.sh", env.qd_program().display());
    let pane = env.tmux().session("work", &line);
    let it = Scene { daemon, env, pane };
    it.shows("it is recognised", |it| it["agent_type"] == "opencode");
    fs::write(it.env.path("home/begin"), event).unwrap();
    it.shows("it asks", |it| it["state"] == question.state);
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

#[test]
fn an_answer_to_a_question_reaches_it_by_its_words() {
    let it = asking("question.asked.waits", &question(&json!([colour()])), "");
    let asked = it.held();
    assert_eq!(
        (&asked["kind"], &asked["offers"][1]["label"]),
        (&json!("question"), &json!("Blue"))
    );
    it.env.qd(&["answer", asked["approval_id"].as_str().unwrap(), "2"]).success();
    assert_eq!(it.reply(), json!({ "answers": [["Blue"]] }));
    it.ended("option");
}

#[test]
fn all_parts_of_a_question_are_answered_at_once() {
    let options = json!([{ "label": "Small" }, { "label": "Large" }]);
    let size = json!({ "question": "Which sizes?", "options": options, "multiple": true });
    let it = asking("question.asked.waits", &question(&json!([colour(), size])), "");
    let asked = it.held();
    assert_eq!(asked["parts"][1]["several"], true, "{asked:#}");
    let id = asked["approval_id"].as_str().unwrap();
    let wrong = it.env.qd(&["answer", id, "1,2", "1"]).fails_with(5);
    assert!(wrong.contains("E_CHOICE_NOT_OFFERED"), "{wrong}");
    it.env.qd(&["answer", id, "1", "2,1"]).success();
    assert_eq!(it.reply(), json!({ "answers": [["Red"], ["Small", "Large"]] }));
    it.ended("option");
}

#[test]
fn a_question_is_rejected_without_a_word() {
    let asks = Question { replied: "question.rejected", ..question(&json!([colour()])) };
    let it = asking("question.asked.waits", &asks, "");
    let asked = it.held();
    let id = asked["approval_id"].as_str().unwrap();
    let refused = it.env.qd(&["deny", id, "--message", "neither"]).fails_with(5);
    assert!(refused.contains("E_CHOICE_NOT_OFFERED") && refused.contains("no word"), "{refused}");
    it.env.qd(&["deny", id]).success();
    assert_eq!(it.reply(), json!({ "rejected": true }));
    it.ended("deny");
    it.shows("its turn is over", |it| it["state"] == "idle");
}

#[test]
fn a_question_of_a_plugin_of_before_is_left_to_the_terminal() {
    let it = asking("question.asked", &question(&json!([colour()])), "");
    wait::until("its hook has ended", || it.env.path("home/ended").exists().then_some(()));
    let [asked] = &it.approvals("")[..] else { panic!("one waits") };
    it.env.qd(&["answer", asked["approval_id"].as_str().unwrap(), "1"]).fails_with(5);
    assert_eq!(fs::read_to_string(it.env.path("home/reply")).unwrap(), "");
}
