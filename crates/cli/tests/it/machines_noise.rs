//! What a login starts on other machines besides what it was asked for, and what fails there although
//! it answers.

use std::fs;

use serde_json::json;
use testkit::wait;

use crate::actions::{LOGGER, act};
use crate::deck::{self, deck};
use crate::machines::{Way, World, on_every_way};

on_every_way!(whoever_complains_there_for_ever_keeps_nobody_from_answering);

/// Starts what outlives its command, writes to where that complains, and ends when nobody listens.
const NOISY: &str = r#"[ ! -e FLAG ] || (trap '' PIPE; while sleep 0.05 && echo no >&2; do :; done) >/dev/null </dev/null &
exec "$@""#;

fn whoever_complains_there_for_ever_keeps_nobody_from_answering(way: Way) {
    let env = deck();
    let flag = env.path("noise");
    env.script("noisy", &NOISY.replace("FLAG", &flag.display().to_string()));
    let lead = env.path("bin/noisy").display().to_string();
    let Some((world, pane)) = World::led(way, LOGGER, env, &lead) else { return };
    world.pane_where(&pane, "a logger", |it| it["current_cmd"] == "cat");
    world.health_is("ok");
    fs::write(&flag, "").unwrap();
    world.cut();
    wait::until("it is noticed", || (world.target()["health"] != "ok").then_some(()));
    world.health_is("ok");
    let listed = world.listed(&pane);
    let runtime = format!("runtime:{}", deck::runtime_of(&listed));
    act(&world.daemon, "view-output", "v", &runtime, &json!({})).expect(200);
    // The second is too long for the connection that is there, so it needs an exchange of its own.
    let mut all = String::new();
    for length in [10, 30_000] {
        let text: String = ('a'..='z').cycle().take(length).collect();
        let sent =
            act(&world.daemon, "send", &length.to_string(), &runtime, &json!({ "text": text }));
        assert_eq!(sent.expect(200)["result_code"], "completed");
        all.push_str(&text);
    }
    let typed = || fs::read_to_string(world.env.path("home/typed")).unwrap_or_default();
    wait::until("all of it arrives", || (typed().len() >= all.len()).then_some(()));
    assert_eq!(typed(), all);
    world.health_is("ok");
    fs::remove_file(&flag).unwrap();
}
