//! Once-only under fire: daemons that are killed while many ask for the same, and what is left.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Signal, process, wait};

use crate::actions::{scene, typed};
use crate::deck;

/// Asks until there is a final answer, also across daemons.
fn insist(api: &testkit::Http, body: &Value, bound: Duration) -> Option<Value> {
    wait::within(bound, || {
        let reply = api.try_post("/v1/actions/send", body)?;
        let answer = serde_json::from_slice::<Value>(reply.text().as_bytes()).ok()?;
        let settled = match reply.status {
            200 => answer["result_code"] != "pending",
            _ => answer["error"]["details"]["completed_at"].is_string(),
        };
        settled.then_some(answer)
    })
}

#[test]
fn r_10_the_same_request_from_a_hundred_at_once_across_killed_daemons_is_carried_out_once() {
    const ROUNDS: usize = 6;
    const CLIENTS: usize = 100;
    let (env, daemon, pane) = scene();
    let mut daemon = Some(daemon);
    let mut done = 0;
    let mut wanted = Vec::new();
    for round in 0..ROUNDS {
        let text = format!("<{round}>");
        let body = json!({ "request_ref": format!("r{round}"), "ref": pane, "text": text });
        let api = env.api();
        let killed = AtomicBool::new(false);
        let outcomes: Vec<Value> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..CLIENTS)
                .map(|_| scope.spawn(|| insist(&api, &body, Duration::from_secs(60))))
                .collect();
            // In the middle of it, at another moment each time.
            std::thread::sleep(Duration::from_millis(2 + 4 * round as u64));
            daemon.take().unwrap().kill9();
            killed.store(true, Ordering::Release);
            daemon = Some(env.daemon());
            asking.into_iter().map(|it| it.join().unwrap().expect("it is answered")).collect()
        });
        assert!(killed.load(Ordering::Acquire));
        let result = |it: &Value| match it["result_code"].as_str() {
            Some(code) => (code.to_owned(), it["action_id"].to_string()),
            None => {
                let details = &it["error"]["details"];
                (
                    details["result_code"].as_str().unwrap().to_owned(),
                    details["action_id"].to_string(),
                )
            }
        };
        let distinct: BTreeSet<_> = outcomes.iter().map(result).collect();
        assert_eq!(distinct.len(), 1, "everybody is told the same: {distinct:?}");
        let (code, _) = distinct.into_iter().next().unwrap();
        match code.as_str() {
            "completed" => {
                done += 1;
                wanted.extend_from_slice(text.as_bytes());
            }
            "failed" => {}
            other => panic!("nobody had to guess here: {other}"),
        }
        deck::listed(daemon.as_ref().unwrap().api(), &pane);
        wait::until("what was done has arrived", || {
            (typed(&env).len() >= wanted.len()).then_some(())
        });
        let typed = typed(&env);
        assert!(typed == wanted, "{:?}", String::from_utf8_lossy(&typed));
    }
    println!(
        "{ROUNDS} rounds of {CLIENTS} requests, {done} done, {} settled as not done",
        ROUNDS - done
    );
}

#[test]
fn f_02_what_a_killed_daemon_left_in_the_pipe_is_done_in_time_or_never_and_told_as_it_was() {
    // The tmux server is stopped while the act is on its way, and the daemon is killed; the server
    // goes on within the deadline of the act, or behind it.
    for (pause, possible) in [(0, &["completed", "failed"][..]), (4, &["failed"][..])] {
        let (env, daemon, pane) = scene();
        let server = env.tmux().pid();
        process::signal(server, Signal::STOP);
        let body = json!({ "request_ref": "r", "ref": pane, "text": "x" });
        let api = env.api();
        let asked = std::thread::spawn(move || api.try_post("/v1/actions/send", &body));
        wait::until("it is stored", || {
            (env.sqlite("SELECT count(*) FROM actions").trim() == "1").then_some(())
        });
        daemon.kill9();
        asked.join().ok();
        std::thread::sleep(Duration::from_secs(pause));
        process::signal(server, Signal::CONT);
        let daemon = env.daemon();
        let body = json!({ "request_ref": "r", "ref": pane, "text": "x" });
        let answer = insist(daemon.api(), &body, Duration::from_secs(30)).expect("it is settled");
        let code = answer["result_code"].as_str();
        let code = code.or_else(|| answer["error"]["details"]["result_code"].as_str()).unwrap();
        assert!(possible.contains(&code), "{code} after {pause} s: {answer:#}");
        let wanted: &[u8] = if code == "completed" { b"x" } else { b"" };
        wait::until("what was done has arrived", || {
            (typed(&env).len() >= wanted.len()).then_some(())
        });
        wait::stays("nothing is typed later", Duration::from_millis(500), || typed(&env) == wanted);
        assert_eq!(env.tmux().ok(&["list-buffers"]), "", "no text is left in a buffer");
    }
}
