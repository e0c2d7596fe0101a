//! Taking back a prompt that waits for its agent: it is never sent, its text is gone, everybody is
//! told the same, and what is on its way is left alone.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Signal, process, wait};

use crate::deck;
use crate::prompts::Scene;

/// The answer to taking it back, or the error, with its status.
fn cancel(scene: &Scene, id: &Value) -> (u16, Value) {
    let path = format!("/v1/actions/{}/cancel", id.as_str().unwrap());
    let reply = scene.daemon().api().post(&path, &Value::Null);
    let answer = reply.json();
    (reply.status, if reply.status == 200 { answer } else { answer["error"].clone() })
}

/// Has a prompt wait for the agent; gives the action's id.
#[track_caller]
fn queue(scene: &Scene, text: &str) -> Value {
    let queued = scene.send(text, &json!({ "text": text, "if_busy": "queue" }));
    assert_eq!(queued["result_code"], "pending", "{queued:#}");
    queued["action_id"].clone()
}

#[test]
fn a_queued_prompt_is_taken_back_and_the_others_are_sent() {
    let scene = Scene::new();
    scene.is("busy");
    let (one, two) = (queue(&scene, "one"), queue(&scene, "two"));
    let (status, taken) = cancel(&scene, &one);
    assert_eq!((status, &taken["result_code"]), (200, &json!("cancelled")), "{taken:#}");
    assert_eq!(taken["action"]["error_code"], "E_CANCELLED");
    assert!(taken["completed_at"].is_string(), "{taken:#}");
    assert_eq!(scene.outbox(), 1, "its text is gone");
    let (status, again) = cancel(&scene, &one);
    assert_eq!((status, &again["action"]), (200, &taken["action"]), "again changes nothing");
    let repeated = scene.send("one", &json!({ "text": "one", "if_busy": "queue" }));
    assert_eq!(repeated["code"], "E_CANCELLED", "{repeated:#}");
    assert_eq!(repeated["details"]["action_id"], one);
    scene.is("idle");
    scene.ends(&two, "completed");
    assert_eq!(scene.submitted(), "<two>\n");
    // Who did it stands in the history and in the journal, which proves itself.
    let history = scene.env.qd(&["history", "--json"]).json();
    let items = history["items"].as_array().unwrap();
    let item = items.iter().find(|it| it["action_id"] == one).unwrap();
    let by = deck::text(item, "cancelled_by");
    assert!(by.starts_with("client:uid="), "{by}");
    assert_eq!(by, deck::text(&taken["action"], "cancelled_by"));
    let rows = scene.env.sqlite(&format!(
        "SELECT count(*) FROM journal WHERE actor = '{by}' AND payload LIKE '%\"phase\":\"cancelled\"%'"
    ));
    assert_eq!(rows.trim(), "1");
    let table = scene.env.qd(&["history"]).success();
    assert!(table.contains("cancelled") && table.contains("taken back"), "{table}");
    scene.env.qd(&["history", "--verify"]).success();
}

#[test]
fn qd_cancel_takes_it_back_and_tells_when_it_is_too_late_or_unknown() {
    let scene = Scene::new();
    scene.is("busy");
    let send = ["send", &scene.pane, "--text", "one", "--enter", "--if-busy", "queue"];
    let told = scene.env.qd(&send).success();
    let id = told.split_whitespace().find(|word| word.starts_with("ac-")).unwrap();
    let id = id.trim_matches('`');
    assert!(told.contains(&format!("`qd cancel {id}`")), "it says how: {told}");
    let taken = scene.env.qd(&["cancel", id]).success();
    assert!(taken.starts_with("cancelled"), "{taken}");
    let again = scene.env.qd(&["cancel", id, "--json"]).json();
    assert_eq!((&again["action_id"], &again["result_code"]), (&json!(id), &json!("cancelled")));
    scene.is("idle");
    let done = scene.send("r1", &json!({}));
    let late = scene.env.qd(&["cancel", done["action_id"].as_str().unwrap(), "--json"]);
    let late: Value = serde_json::from_str(&late.fails_with(5)).unwrap();
    assert_eq!(late["error"]["code"], "E_TOO_LATE");
    assert_eq!(late["error"]["details"]["result_code"], "completed");
    assert_eq!(late["error"]["details"]["completed_at"], done["completed_at"]);
    let none = scene.env.qd(&["cancel", "ac-none"]).fails_with(4);
    assert!(none.contains("E_REF_NOT_FOUND"), "{none}");
    assert_eq!(scene.submitted(), "<do it>\n");
}

#[test]
fn what_is_on_its_way_is_too_late_and_its_outcome_is_told() {
    let scene = Scene::new();
    scene.keep("deaf");
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| scene.send("r1", &json!({})));
        scene.env.tmux().shows(&scene.pane, "❯ do it");
        let history = scene.env.qd(&["history", "--json"]).json();
        let (status, late) = cancel(&scene, &history["items"][0]["action_id"]);
        assert_eq!((status, &late["code"]), (409, &json!("E_TOO_LATE")), "{late:#}");
        assert_eq!(late["details"]["result_code"], "not_confirmed", "{late:#}");
        let left = sent.join().unwrap();
        assert_eq!(left["completed_at"], late["details"]["completed_at"]);
    });
}

#[test]
fn a_prompt_that_is_tried_again_and_again_beside_a_draft_can_be_taken_back() {
    let scene = Scene::new();
    scene.types("half");
    let one = queue(&scene, "one");
    wait::until("it was tried", || {
        (scene.action(&one)["error_code"] == "E_AGENT_BUSY").then_some(())
    });
    let (status, taken) = cancel(&scene, &one);
    assert_eq!((status, &taken["result_code"]), (200, &json!("cancelled")), "{taken:#}");
    scene.env.tmux().ok(&["send-keys", "-t", &scene.pane, "C-u"]);
    wait::until("the draft is gone", || (!scene.screen().contains("half")).then_some(()));
    let two = scene.send("two", &json!({ "text": "two", "if_busy": "queue" }));
    scene.ends(&two["action_id"], "completed");
    assert_eq!((scene.submitted().as_str(), scene.outbox()), ("<two>\n", 0));
}

#[test]
fn who_waits_for_a_prompt_is_told_that_it_was_taken_back() {
    let scene = Scene::new();
    scene.is("busy");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| scene.send("r1", &json!({ "if_busy": "wait" })));
        let id = wait::until("it waits", || {
            let history = scene.env.qd(&["history", "--json"]).json();
            Some(history["items"][0]["action_id"].clone()).filter(Value::is_string)
        });
        let (status, taken) = cancel(&scene, &id);
        assert_eq!(status, 200, "{taken:#}");
        let told = waiting.join().unwrap();
        assert_eq!(told["code"], "E_CANCELLED", "{told:#}");
        assert_eq!(told["details"]["completed_at"], taken["completed_at"]);
    });
    assert_eq!((scene.submitted().as_str(), scene.outbox()), ("", 0));
}

/// What a daemon leaves that was killed behind the commit and before it removed the text.
#[test]
fn f_02_a_text_that_outlived_its_cancelled_prompt_is_removed_and_never_sent() {
    let mut scene = Scene::new();
    scene.is("busy");
    let one = queue(&scene, "one");
    let file = scene.env.home().join("outbox").join(one.as_str().unwrap());
    let text = fs::read(&file).unwrap();
    assert_eq!(cancel(&scene, &one).0, 200);
    scene.restart_with(|| fs::write(&file, text).unwrap());
    assert_eq!(scene.outbox(), 0, "nothing is kept of what was taken back");
    assert_eq!(scene.action(&one)["result_code"], "cancelled");
    let two = queue(&scene, "two");
    scene.is("idle");
    scene.ends(&two, "completed");
    assert_eq!(scene.submitted(), "<two>\n");
}

#[test]
fn f_02_a_daemon_killed_while_a_prompt_is_taken_back_sends_it_or_not_as_it_told() {
    const ROUNDS: u64 = 8;
    let mut scene = Scene::new();
    scene.is("busy");
    let (mut before, mut after) = (0, 0);
    for round in 0..ROUNDS {
        let id = queue(&scene, &format!("prompt {round}"));
        let path = format!("/v1/actions/{}/cancel", id.as_str().unwrap());
        let api = scene.env.api();
        let answered = std::thread::scope(|scope| {
            let asked = scope.spawn(|| api.try_post(&path, &Value::Null));
            // At another moment each time; none of them is waited for.
            std::thread::sleep(Duration::from_micros(300 * round));
            process::signal(scene.daemon().pid(), Signal::KILL);
            asked.join().unwrap()
        });
        scene.restart();
        let code = deck::text(&scene.action(&id), "result_code");
        let told = answered.is_some_and(|reply| reply.status == 200);
        match code.as_str() {
            "cancelled" => after += 1,
            "pending" => {
                assert!(!told, "what was answered is kept");
                assert_eq!(scene.outbox(), 1, "its text waits with it");
                before += 1;
                assert_eq!(cancel(&scene, &id).0, 200);
            }
            other => panic!("{other}"),
        }
        assert_eq!(scene.outbox(), 0);
    }
    println!("{ROUNDS} kills: {before} before the commit, {after} behind it");
    let last = queue(&scene, "last");
    scene.is("idle");
    scene.ends(&last, "completed");
    assert_eq!(scene.submitted(), "<last>\n", "nothing that was taken back was sent");
}
