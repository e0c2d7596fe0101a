//! The daemon killed between any two steps of an answer to an approval: the agent gets it once or
//! not at all, what is told of it is what happened, and what waits still waits.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use testkit::{Signal, process, wait};

use crate::approvals::{Scene, approve, scene};
use crate::deck;

/// What became of an answer, asked for again under its name until it is known.
fn outcome(it: &Scene, asked: &Value, name: &str) -> String {
    wait::until("the answer has an outcome", || {
        let told = it.answer(asked, name, &approve()).json();
        let code = told["result_code"].as_str();
        let code = code.or_else(|| told["error"]["details"]["result_code"].as_str());
        code.filter(|code| *code != "pending").map(str::to_owned)
    })
}

/// Has an answer asked for, and the daemon killed once this is so.
fn killed_once(it: Scene, asked: &Value, name: &str, is_so: impl Fn(&Scene) -> bool) -> Scene {
    std::thread::scope(|scope| {
        let (api, id) = (it.env.api(), deck::text(asked, "approval_id"));
        let mut body = approve();
        (body["request_ref"], body["fingerprint"]) = (name.into(), asked["fingerprint"].clone());
        scope.spawn(move || drop(api.try_post(&format!("/v1/approvals/{id}/answer"), &body)));
        wait::until("it came to that", || is_so(&it).then_some(()));
        process::signal(it.daemon.pid(), Signal::KILL);
    });
    it.after_a_kill()
}

/// Whether an answer was accepted, as the file has it.
fn is_accepted(it: &Scene) -> bool {
    it.env.sqlite("SELECT state FROM approvals").contains("answering")
}

#[test]
fn f_01_an_answer_that_was_accepted_and_not_given_is_told_as_not_done_and_can_be_given_again() {
    let it = scene();
    it.ask_on_screen(1, "touch one");
    let asked = it.waiting(|it| it["source"] == "screen");
    // The dialog cannot be read, so no key is pressed.
    let server = it.env.tmux().pid();
    process::signal(server, Signal::STOP);
    let it = killed_once(it, &asked, "r1", is_accepted);
    process::signal(server, Signal::CONT);
    assert_eq!(outcome(&it, &asked, "r1"), "failed");
    let asked = it.ends(&asked, "waiting");
    assert_eq!(it.log(), Vec::<String>::new(), "nothing was approved by default");
    it.answer(&asked, "r2", &approve()).expect(200);
    assert_eq!(it.took(1), ["1 key:31"]);
    it.ends(&asked, "answered");
}

#[test]
fn f_01_a_key_that_was_pressed_is_known_by_its_trace_and_never_pressed_again() {
    let it = scene();
    fs::write(it.asks("1.holds"), "").unwrap();
    it.ask_on_screen(1, "touch one");
    let asked = it.waiting(|it| it["source"] == "screen");
    let it = killed_once(it, &asked, "r1", |it| !it.log().is_empty());
    fs::remove_file(it.asks("1.holds")).unwrap();
    assert_eq!(outcome(&it, &asked, "r1"), "completed");
    assert_eq!(it.ends(&asked, "answered")["outcome"], "approve");
    it.shows("idle");
    assert_eq!(it.log(), ["1 key:31"]);
}

#[test]
fn f_01_an_answer_that_the_hook_took_is_not_told_as_not_done() {
    let it = scene();
    fs::write(it.asks("1.holds"), "").unwrap();
    it.ask(1, "touch one");
    let asked = it.hooked("touch one");
    let it = killed_once(it, &asked, "r1", |it| !it.log().is_empty());
    assert_eq!(outcome(&it, &asked, "r1"), "unknown", "nobody can tell yet");
    fs::remove_file(it.asks("1.holds")).unwrap();
    // What the agent did tells how it was decided.
    let path = format!("/v1/approvals/{}", deck::text(&asked, "approval_id"));
    wait::until("it is known", || {
        let told = it.daemon.api().get(&path).expect(200);
        (told["approval"]["outcome"] == "approve").then_some(())
    });
    it.shows("idle");
    assert_eq!(it.log().len(), 1, "{:?}", it.log());
}

#[test]
fn f_01_what_was_told_as_answered_stays_so() {
    let it = scene();
    it.ask(1, "touch one");
    let asked = it.hooked("touch one");
    let told = it.answer(&asked, "r1", &approve()).expect(200);
    let it = it.after_a_kill();
    let again = it.answer(&asked, "r1", &approve()).expect(200);
    assert_eq!(again["action"], told["action"]);
    assert_eq!(it.ends(&asked, "answered")["outcome"], "approve");
    assert_eq!(it.took(1).len(), 1);
}

/// Kills at moments that nobody chose, from before the commit to behind the report; gives what was
/// told of each answer.
fn killed_anywhen(by_hook: bool) -> Vec<String> {
    const ROUNDS: u32 = 7;
    let mut it = scene();
    let mut told = Vec::new();
    for round in 1..=ROUNDS {
        let command = format!("touch {round}");
        let asked = if by_hook {
            it.ask(round, &command);
            it.hooked(&command)
        } else {
            it.ask_on_screen(round, &command);
            it.waiting(|it| deck::text(it, "request").contains(&command))
        };
        assert_eq!(it.log().len(), round as usize - 1, "nothing is answered by itself");
        let moment = Duration::from_millis(u64::from(round - 1).pow(2) * 2);
        it = killed_once(it, &asked, &format!("r{round}"), |_| {
            std::thread::sleep(moment);
            true
        });
        // Where it did not get through at all this is the first time.
        let code = outcome(&it, &asked, &format!("r{round}"));
        match code.as_str() {
            "completed" => assert_eq!(it.log().len(), round as usize, "{:?}", it.log()),
            "failed" => {
                assert_eq!(it.log().len(), round as usize - 1, "{:?}", it.log());
                it.ends(&asked, "waiting");
                it.answer(&asked, &format!("again {round}"), &approve()).expect(200);
            }
            "unknown" | "not_confirmed" => {}
            other => panic!("{other}: {:?}", it.log()),
        }
        it.took(round as usize);
        it.shows("idle");
        told.push(code);
    }
    let log = it.log();
    let ours = |line: &&String| line.ends_with("key:31") || line.contains("\"allow\"");
    assert_eq!(log.iter().filter(ours).count(), ROUNDS as usize, "{log:#?}");
    told
}

#[test]
fn f_01_an_answer_by_keys_is_given_once_whenever_the_daemon_is_killed() {
    println!("told: {:?}", killed_anywhen(false));
}

#[test]
fn f_01_an_answer_by_the_hook_is_given_once_whenever_the_daemon_is_killed() {
    println!("told: {:?}", killed_anywhen(true));
}
