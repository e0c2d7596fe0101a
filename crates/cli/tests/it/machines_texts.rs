//! Texts that are typed on other machines: how they get there, and what if they do not.

use std::fs;

use serde_json::json;
use testkit::wait;

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

fn where_its_text_does_not_arrive_nothing_is_typed_and_that_is_said(way: Way) {
    let Some((world, runtime)) = logging(way) else { return };
    let taken = "run-shell -C 'delete-buffer -b #{hook_flag_b}'";
    world.tmux().ok(&["set-hook", "-g", "after-load-buffer", taken]);
    let body = json!({ "text": "rm -rf", "keys": ["Enter"] });
    let sent = act(&world.daemon, "send", "s-1", &runtime, &body).expect(503);
    assert_eq!(sent["error"]["code"], "E_INTERRUPTED");
    world.tmux().ok(&["set-hook", "-gu", "after-load-buffer"]);
    let sent = act(&world.daemon, "send", "s-2", &runtime, &json!({ "text": "ls" }));
    assert_eq!(sent.expect(200)["result_code"], "completed");
    wait::until("it arrives", || (!typed(&world).is_empty()).then_some(()));
    assert_eq!(typed(&world), "ls");
}
