//! F-07 on other machines: a clock there that is minutes off, jumps or runs backwards.

use std::time::Duration;

use serde_json::Value;
use testkit::{FarClock, skipped, wait};

use crate::deck::{self, deck};
use crate::machines::{PATIENCE, Way, World, on_every_way};

on_every_way!(f_07_a_clock_there_that_is_minutes_off_and_jumps_changes_no_order_and_no_state);

/// How far it is off, in seconds.
const OFF_S: i64 = 420;
/// How exactly that is measured, however busy this machine is.
const MEASURED_MS: i64 = 20_000;

/// How far its clock is said to be ahead of ours.
fn offset_is(world: &World, ahead_s: i64) {
    let list = world.env.qd(&["target", "list", "--json"]).json();
    let far = list["items"].as_array().unwrap().iter().find(|it| it["name"] == "far").unwrap();
    let ms = far["clock_offset_ms"].as_i64().unwrap_or_else(|| panic!("it is not told: {far:#}"));
    assert!((ms - ahead_s * 1_000).abs() < MEASURED_MS, "{ms} ms, not {ahead_s} s");
    let local = list["items"].as_array().unwrap().iter().find(|it| it["name"] == "local").unwrap();
    assert_eq!(local["clock_offset_ms"], Value::Null);
}

/// What time it is, by the daemon.
fn now(world: &World) -> String {
    deck::text(&world.daemon.api().get("/v1/health").expect(200), "generated_at")
}

/// Has a hook say this in the pane, by whatever the clock shows there, and waits for the state.
fn says(world: &World, pane: &str, event: &str, state: &str) -> Value {
    world.tmux().type_line(pane, &world.hook(event, "{}"));
    world.pane_where(pane, state, |it| it["state"] == state)
}

/// Nothing that came from there happened at another time than it did.
fn moments_are_ours(world: &World, item: &Value, start: &str) {
    let now = now(world);
    let at = deck::text(item, "last_event_at");
    assert!(*start <= *at && at <= now, "{at} is not between {start} and {now}");
    // The clock there is read before a hook's record is written, by a process more.
    let order = "SELECT count(*) FROM (SELECT event_time AS t, lag(event_time) OVER \
        (ORDER BY journal_seq) AS before FROM events WHERE event_id LIKE 'hook-%') WHERE t < before";
    assert_eq!(world.env.sqlite(order).trim(), "0", "each is younger than the one before");
}

/// Waits until it is connected anew and right.
fn comes_back(world: &World) {
    world.cut();
    let cut = wait::within(PATIENCE, || (world.target()["health"] != "ok").then_some(()));
    assert!(cut.is_some(), "nobody noticed");
    world.health_is("ok");
}

fn f_07_a_clock_there_that_is_minutes_off_and_jumps_changes_no_order_and_no_state(way: Way) {
    let env = deck();
    let Some(clock) = FarClock::new(&env) else {
        return skipped("libfaketime is not installed");
    };
    clock.set(OFF_S);
    let Some((world, pane)) = World::led(way, "exec sh", env, &clock.lead()) else { return };
    let start = now(&world);
    world.install_hook();
    world.pane_where(&pane, "a shell", |it| it["current_cmd"] == "sh");
    world.health_is("ok");
    offset_is(&world, OFF_S);
    let told = world.env.qd(&["target", "test", "far"]).stdout;
    assert!(told.contains("s ahead of this one"), "{told}");
    let began = deck::text(&world.listed(&pane), "runtime_started_at");
    assert!(began <= now(&world), "{began} is yet to come");
    // It jumps back and forth while somebody looks.
    let first = says(&world, &pane, "needs-approval", "waiting_approval");
    clock.set(-OFF_S);
    says(&world, &pane, "needs-input", "waiting_input");
    clock.set(OFF_S);
    let item = says(&world, &pane, "needs-approval", "waiting_approval");
    moments_are_ours(&world, &item, &start);
    // What a pane printed last is told by that clock when it is seen anew.
    comes_back(&world);
    let same = |what: &str| {
        let item = world.pane_where(&pane, what, |it| it["reason_code"] != "target_unreachable");
        assert_eq!(item["state"], "waiting_approval", "{what}: {item:#}");
        assert_eq!(item["runtime_id"], first["runtime_id"]);
        let printed = deck::text(&item, "last_activity_at");
        // It is told to the second.
        wait::until("that second is over", || (printed <= now(&world)).then_some(()));
        assert!(*start <= *printed, "{what}: {item:#}");
    };
    same("found again");
    clock.set(-OFF_S);
    comes_back(&world);
    offset_is(&world, -OFF_S);
    same("found after its clock was set back");
    // It jumps while nobody hears what is said.
    world.freeze();
    world.health_is("down");
    let recorded = world.recorded();
    for (nth, (ahead_s, event)) in
        [(OFF_S, "needs-input"), (-OFF_S, "tick"), (-2 * OFF_S, "needs-input")].iter().enumerate()
    {
        clock.set(*ahead_s);
        world.tmux().type_line(&pane, &world.hook(event, "{}"));
        let written = || (world.recorded() == recorded + nth + 1).then_some(());
        wait::until("it is recorded", written);
    }
    world.thaw();
    world.health_is("ok");
    world.until_taken(recorded + 3);
    let item = world.pane_where(&pane, "waiting", |it| it["state"] == "waiting_input");
    moments_are_ours(&world, &item, &start);
    clock.set(0);
    wait::stays("its state", Duration::from_secs(3), || {
        world.listed(&pane)["state"] == "waiting_input" && world.target()["health"] == "ok"
    });
}
