//! Targets on other machines that nobody has looked at yet: nothing is said of them before somebody has.

use serde_json::{Value, json};
use testkit::wait;

use crate::machines::{PATIENCE, Way, World, on_every_way};

on_every_way!(
    a_target_that_hangs_from_the_beginning_is_never_shown_as_ok,
    a_target_that_hangs_when_the_daemon_comes_back_is_not_shown_as_it_was,
    a_target_that_is_connected_again_and_hangs_stays_down,
);

/// As what `far` was shown, from its first row or from its last addition on: each health with its
/// reason, once for as long as it lasted.
fn shown(world: &World) -> Vec<(String, String)> {
    let rows = world.env.sqlite(
        "SELECT json_extract(payload, '$.target_changed.health'), \
         coalesce(json_extract(payload, '$.target_changed.trouble.code'), '') FROM journal \
         WHERE kind = 'target_changed' AND json_extract(payload, '$.target_changed.name') = 'far' \
         ORDER BY seq",
    );
    let pair = |line: &str| {
        let (health, reason) = line.split_once('|').unwrap();
        (health.to_owned(), reason.to_owned())
    };
    let mut shown: Vec<_> = rows.lines().map(pair).collect();
    shown.dedup();
    shown
}

/// The same, without what had been shown by then.
fn shown_since(world: &World, before: usize) -> Vec<(String, String)> {
    shown(world).split_off(before)
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(health, reason)| ((*health).to_owned(), (*reason).to_owned())).collect()
}

#[track_caller]
fn is_unseen(target: &Value, health: &str, since: &str) {
    assert_eq!(target["health"], health, "{target:#}");
    assert_eq!(target["health_reason"], "E_TARGET_UNSEEN", "{target:#}");
    assert!(target["health_message"].as_str().unwrap().contains(since), "{target:#}");
}

/// Waits until its failure is told, as what it is by the usual numbers.
#[track_caller]
fn fails(world: &World) {
    let failed = wait::within(PATIENCE, || {
        let target = world.target();
        let is_down = target["health"] == "down";
        (target["health_reason"] == "E_TARGET_UNREACHABLE" && is_down).then_some(())
    });
    assert!(failed.is_some(), "no failure: {:#}", world.target());
}

fn a_target_that_hangs_from_the_beginning_is_never_shown_as_ok(way: Way) {
    let Some((world, pane)) = World::new(way, "exec cat") else { return };
    world.health_is("ok");
    assert_eq!(shown(&world)[..2], pairs(&[("degraded", "E_TARGET_UNSEEN"), ("ok", "")]));
    world.env.qd(&["target", "remove", "far", "--yes"]).success();
    world.freeze();
    let before = shown(&world).len();
    world.add("far");
    is_unseen(&world.target(), "degraded", "it was added");
    let list = world.env.qd(&["target", "list"]).stdout;
    let row = list.lines().find(|it| it.starts_with("far ")).expect("it is listed");
    assert!(row.contains("E_TARGET_UNSEEN") && !row.contains("no server"), "{list}");
    let doctor = world.env.qd(&["doctor"]).stdout;
    assert!(doctor.contains("was not looked at yet"), "{doctor}");
    let health = world.daemon.api().get("/v1/health").expect(200);
    assert_eq!(health["status"], "ok", "it is no failure yet: {health:#}");
    fails(&world);
    let since = shown_since(&world, before);
    assert_eq!(since[0], pairs(&[("degraded", "E_TARGET_UNSEEN")])[0], "{since:?}");
    assert!(since[1..].iter().all(|(_, why)| why == "E_TARGET_UNREACHABLE"), "{since:?}");
    assert!(since.iter().all(|(health, _)| health != "ok"), "{since:?}");
    world.thaw();
    world.health_is("ok");
    world.listed(&pane);
}

fn a_target_that_hangs_when_the_daemon_comes_back_is_not_shown_as_it_was(way: Way) {
    let Some((mut world, pane)) = World::new(way, "exec cat") else { return };
    let known = world.listed(&pane);
    world.health_is("ok");
    world.freeze();
    let before = shown(&world).len();
    world.daemon.kill9();
    world.daemon = world.env.daemon();
    is_unseen(&world.target(), "degraded", "the daemon started");
    let kept = world.listed(&pane);
    assert_eq!(kept["runtime_id"], known["runtime_id"], "what was known is shown with its age");
    fails(&world);
    let since = shown_since(&world, before);
    assert_eq!(since[0], pairs(&[("degraded", "E_TARGET_UNSEEN")])[0], "{since:?}");
    assert!(since.iter().all(|(health, _)| health != "ok"), "{since:?}");
    world.thaw();
    world.health_is("ok");
    assert_eq!(world.listed(&pane)["runtime_id"], known["runtime_id"]);
    // One that answers needs one look.
    let before = shown(&world).len();
    world.daemon.kill9();
    world.daemon = world.env.daemon();
    world.health_is("ok");
    assert_eq!(shown_since(&world, before), pairs(&[("degraded", "E_TARGET_UNSEEN"), ("ok", "")]));
}

fn a_target_that_is_connected_again_and_hangs_stays_down(way: Way) {
    let Some((world, pane)) = World::new(way, "exec cat") else { return };
    world.listed(&pane);
    world.health_is("ok");
    world.env.qd(&["target", "disconnect", "far"]).success();
    world.freeze();
    let before = shown(&world).len();
    let connect = world.daemon.api().post("/v1/targets/far/connect", &json!({}));
    assert_eq!(connect.error(502), "E_TARGET_UNREACHABLE");
    let lost = world.listed(&pane);
    assert_eq!(lost["reason_code"], "target_unreachable", "{lost:#}");
    world.thaw();
    world.health_is("ok");
    world.pane_where(&pane, "known", |it| it["reason_code"] != "target_unreachable");
    let mut since = shown_since(&world, before);
    assert_eq!(since[0], pairs(&[("down", "E_TARGET_UNSEEN")])[0], "{since:?}");
    assert_eq!(since.pop(), pairs(&[("ok", "")]).pop(), "{since:?}");
    assert!(since.iter().all(|(health, _)| health == "down"), "{since:?}");
}
