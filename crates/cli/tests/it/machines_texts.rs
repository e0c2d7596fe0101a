//! Texts that are typed on other machines: how they get there, and what if they do not.

use std::{fs, thread};

use serde_json::json;
use testkit::{Link, wait};

use crate::actions::{LOGGER, act};
use crate::deck;
use crate::machines::{Way, World, on_every_way};

on_every_way!(
    a_long_text_arrives_as_a_short_one_does,
    where_its_text_does_not_arrive_nothing_is_typed_and_that_is_said,
);

/// A world whose pane `far` writes down what is typed there, and a reference to that pane.
fn logging(way: Way) -> Option<(World, String)> {
    let (world, pane) = World::new(way, LOGGER)?;
    let pane = world.pane_where(&pane, "a logger", |it| it["current_cmd"] == "cat");
    let runtime = format!("runtime:{}", deck::runtime_of(&pane));
    act(&world.daemon, "view-output", "v", &runtime, &json!({})).expect(200);
    Some((world, runtime))
}

/// From then on acts go by it, and texts by a way of their own.
fn our_client_is_there(world: &World) {
    world.health_is("ok");
    wait::until("our client is there", || {
        (!world.tmux().ok(&["list-clients"]).is_empty()).then_some(())
    });
}

/// What was typed.
fn typed(world: &World) -> String {
    String::from_utf8_lossy(&fs::read(world.env.path("home/typed")).unwrap_or_default()).into()
}

fn a_long_text_arrives_as_a_short_one_does(way: Way) {
    let Some((world, runtime)) = logging(way) else { return };
    let mut all = String::new();
    // What fits into one line for the shell there, and what does not by little and by much.
    for (nth, length) in [1, 1_000, 8_000, 8_170, 8_192, 30_000].into_iter().enumerate() {
        let text: String = ('a'..='z').cycle().take(length).collect();
        let sent =
            act(&world.daemon, "send", &format!("s-{nth}"), &runtime, &json!({ "text": text }));
        assert_eq!(sent.expect(200)["result_code"], "completed");
        all.push_str(&text);
        wait::until("it arrives", || (typed(&world).len() >= all.len()).then_some(()));
        assert_eq!(typed(&world), all);
    }
    assert_eq!(world.tmux().ok(&["list-buffers"]), "", "no text is left in a buffer");
}

#[test]
fn over_a_slow_line_a_long_text_arrives_and_keeps_nobody_else_waiting() {
    let Some((world, pane)) = World::new(Way::Ssh, LOGGER) else { return };
    let other = world.tmux().window("there", "other", "exec cat");
    let link = Link::slow(world.sshd.as_ref().unwrap().port(), 10_000);
    world.lead_by(link.port());
    let pane = world.pane_where(&pane, "a logger", |it| it["current_cmd"] == "cat");
    let [long, short] = [pane, world.listed(&other)].map(|it| deck::runtime_of(&it));
    let [long, short] = [long, short].map(|it| format!("runtime:{it}"));
    our_client_is_there(&world);
    let text: String = ('a'..='z').cycle().take(40_000).collect();
    let mut beside = 0;
    thread::scope(|scope| {
        let body = json!({ "text": text });
        let (daemon, long) = (&world.daemon, &long);
        let sent = scope.spawn(move || act(daemon, "send", "long", long, &body));
        while !sent.is_finished() {
            let body = json!({ "text": "x" });
            act(&world.daemon, "send", &format!("s-{beside}"), &short, &body).expect(200);
            assert_eq!(world.target()["health"], "ok");
            beside += 1;
        }
        assert_eq!(sent.join().unwrap().expect(200)["result_code"], "completed");
    });
    wait::until("it arrives", || (typed(&world).len() >= text.len()).then_some(()));
    assert_eq!(typed(&world), text);
    assert!(beside > 2, "{beside} short ones were sent meanwhile");
    assert_eq!(world.tmux().ok(&["list-buffers"]), "", "no text is left in a buffer");
}

fn where_its_text_does_not_arrive_nothing_is_typed_and_that_is_said(way: Way) {
    let Some((world, runtime)) = logging(way) else { return };
    our_client_is_there(&world);
    let taken = "run-shell -C 'delete-buffer -b #{hook_flag_b}'";
    world.tmux().ok(&["set-hook", "-g", "after-load-buffer", taken]);
    let body = json!({ "text": "rm -rf", "keys": ["Enter"] });
    let sent = act(&world.daemon, "send", "s-1", &runtime, &body).expect(503);
    assert_eq!(sent["error"]["code"], "E_INTERRUPTED");
    let long = json!({ "text": "rm -rf ".repeat(10_000), "keys": ["Enter"] });
    let sent = act(&world.daemon, "send", "s-2", &runtime, &long).expect(502);
    assert_eq!(sent["error"]["code"], "E_TARGET_UNREACHABLE");
    world.tmux().ok(&["set-hook", "-gu", "after-load-buffer"]);
    let sent = act(&world.daemon, "send", "s-3", &runtime, &json!({ "text": "ls" }));
    assert_eq!(sent.expect(200)["result_code"], "completed");
    wait::until("it arrives", || (!typed(&world).is_empty()).then_some(()));
    assert_eq!(typed(&world), "ls");
}
