//! Events over the API: taken, bound, repeated, refused.

use serde_json::{Value, json};
use testkit::wait;

use crate::http_world::{LOCAL, World, agent_pane, pane};

fn about_pane(key: &str) -> Value {
    json!({
        "event_type": "task-started",
        "source": "hook",
        "dedupe_key": key,
        "target": "local",
        "pane_id": "%1",
    })
}

/// The same envelope with some fields set, or removed by a null.
fn with(mut envelope: Value, fields: &[(&str, Value)]) -> Value {
    for (name, value) in fields {
        let all = envelope.as_object_mut().unwrap();
        if value.is_null() {
            all.remove(*name);
        } else {
            all.insert((*name).to_owned(), value.clone());
        }
    }
    envelope
}

#[test]
fn an_event_is_bound_and_changes_the_state() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    let runtime = world.runtime(1);
    let accepted = world.emit(&with(about_pane("k1"), &[("event_id", json!("mine-1"))]));
    assert_eq!(accepted["status"], "bound");
    assert_eq!(accepted["event_id"], "mine-1");
    assert_eq!(accepted["runtime_id"], runtime.as_str());
    assert_eq!((&accepted["inbox_id"], &accepted["reason_code"]), (&json!(null), &json!(null)));
    assert_eq!(world.pane(1)["state"], "running");
    let by_id = json!({
        "event_type": "Needs_Input", "source": "notify", "dedupe_key": "k2", "runtime_id": runtime,
    });
    assert!(world.emit(&by_id)["event_id"].as_str().unwrap().starts_with("ev-"));
    assert_eq!(world.pane(1)["state"], "waiting_input");
    assert_eq!(world.pane(1)["last_event_type"], "needs-input");
}

#[test]
fn tc_007_a_repeated_event_is_said_to_be_one_and_another_is_a_conflict() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    let first = world.emit(&about_pane("k1"));
    let again = world.emit(&about_pane("k1"));
    assert_eq!(again["status"], "duplicate");
    assert_eq!(
        (&again["event_id"], &again["runtime_id"]),
        (&first["event_id"], &first["runtime_id"])
    );
    let other = with(about_pane("k1"), &[("event_type", json!("needs-input"))]);
    assert_eq!(world.http.post("/v1/events", &other).error(409), "E_IDEMPOTENCY_CONFLICT");
    let same_id = with(about_pane("k2"), &[("event_id", first["event_id"].clone())]);
    assert_eq!(world.http.post("/v1/events", &same_id).error(409), "E_IDEMPOTENCY_CONFLICT");
    assert_eq!(world.pane(1)["state"], "running");
}

#[test]
fn tc_008_an_event_for_a_pane_that_is_not_there_yet_waits_for_it() {
    let world = World::showing(vec![]);
    let accepted = world.emit(&about_pane("k1"));
    assert_eq!(
        (&accepted["status"], &accepted["runtime_id"]),
        (&json!("pending_bind"), &json!(null))
    );
    assert!(accepted["inbox_id"].is_string());
    world.show(vec![agent_pane(1, "claude")]);
    assert_eq!(world.pane(1)["state"], "running");
}

#[test]
fn an_unknown_type_is_stored_and_changes_no_state() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    let before = world.pane(1);
    let accepted = world.hook(1, "coffee-ready", "k1");
    assert_eq!(accepted["status"], "bound");
    let after = world.pane(1);
    assert_eq!(
        (&after["state"], &after["state_version"]),
        (&before["state"], &before["state_version"])
    );
    assert_eq!(after["last_event_type"], "coffee-ready");
}

#[test]
fn events_about_what_is_not_there_are_refused() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    let ended = world.runtime(1);
    world.show(vec![pane(2)]);
    let about = |id: &str| json!({ "event_type": "x", "source": "hook", "dedupe_key": "k", "runtime_id": id });
    let refused = |envelope: &Value, status| world.http.post("/v1/events", envelope).error(status);
    assert_eq!(refused(&about(&ended), 409), "E_RUNTIME_STALE");
    assert_eq!(refused(&about("rt-00000000000000000000000000000000"), 404), "E_REF_NOT_FOUND");
    let nowhere = with(about_pane("k"), &[("target", json!("nowhere"))]);
    assert_eq!(refused(&nowhere, 404), "E_TARGET_NOT_FOUND");
    let alive = world.runtime(2);
    let elsewhere = with(about_pane("k"), &[("runtime_id", json!(alive))]);
    assert_eq!(refused(&elsewhere, 400), "E_BAD_REQUEST");
}

#[test]
fn an_event_names_its_target_by_name_or_by_id() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    let id = world.get("/v1/targets")["items"][0]["target_id"].clone();
    let by_id = json!({
        "event_type": "needs-input", "source": "hook", "dedupe_key": "k1", "target_id": id,
        "pane_id": "%1", "event_time": "2026-11-21T15:33:42.007Z",
        "ingested_at": "1999-01-01T00:00:00.000Z",
    });
    assert_eq!(world.emit(&by_id)["runtime_id"], json!(world.runtime(1)));
    let refused = |envelope: &Value, status| world.http.post("/v1/events", envelope).error(status);
    let unknown = with(about_pane("k2"), &[("target_id", json!("tg-none"))]);
    assert_eq!(refused(&unknown, 404), "E_TARGET_NOT_FOUND");
    world.add_target("tg-2", "other");
    let both = with(about_pane("k3"), &[("target_id", json!("tg-2"))]);
    assert_eq!(refused(&both, 400), "E_BAD_REQUEST");
}

#[test]
fn fields_without_their_names_are_no_event() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    let fields = json!(["v1", null, "needs-input", "hook", "k1"]);
    assert_eq!(world.http.post("/v1/events", &fields).error(400), "E_BAD_REQUEST");
}

#[test]
fn every_field_of_the_envelope_is_bounded() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    let long = |length: usize| json!("x".repeat(length));
    let cases = [
        ("event_type", json!("")),
        ("event_type", json!(" \u{7}")),
        ("event_type", json!("...")),
        ("event_type", long(api::limits::EVENT_TYPE_BYTES_MAX + 1)),
        ("event_type", json!(null)),
        ("dedupe_key", json!("")),
        ("dedupe_key", long(api::limits::DEDUPE_KEY_BYTES_MAX + 1)),
        ("dedupe_key", json!(null)),
        ("event_id", json!("")),
        ("event_id", long(api::limits::EVENT_ID_BYTES_MAX + 1)),
        ("source_event_id", long(api::limits::SOURCE_EVENT_ID_BYTES_MAX + 1)),
        ("agent_type", json!("")),
        ("source", json!("guess")),
        ("source_seq", json!(1.5)),
        ("event_time", json!("yesterday")),
        ("start_hint", json!(7)),
        ("pid", json!(-1)),
        ("target", json!("a/b")),
        ("pane_id", json!("1")),
        ("pane_id", json!("%01")),
        ("pane_id", json!(null)),
        ("target", json!(null)),
        ("runtime_id", json!("short")),
        ("raw_payload", long(api::limits::RAW_PAYLOAD_BYTES_MAX + 1)),
        ("schema_version", json!("v2")),
        ("colour", json!("red")),
    ];
    for (field, value) in cases {
        let shown = value.to_string().chars().take(30).collect::<String>();
        let envelope = with(about_pane("k"), &[(field, value)]);
        let reply = world.http.post("/v1/events", &envelope);
        if (field, shown.as_str()) == ("event_type", "\"...\"") {
            assert_eq!(reply.status, 202, "dots are dashes, and dashes are a type");
            continue;
        }
        assert_eq!(reply.error(400), "E_BAD_REQUEST", "{field} {shown}");
    }
}

#[test]
fn tc_011_secrets_do_not_reach_the_database() {
    let mut world = World::showing(vec![agent_pane(1, "claude")]);
    let payload = json!({ "api_key": "sk-canary-1", "note": "Authorization: Bearer canary-2" });
    world.emit(&with(about_pane("k1"), &[("raw_payload", payload)]));
    world.emit(&with(about_pane("k2"), &[("raw_payload", json!("password=canary-3 rest"))]));
    world.emit(&with(about_pane("k3"), &[("raw_payload", json!("{ broken canary-4"))]));
    world.stop(api::watch::ResetReason::Shutdown);
    for file in std::fs::read_dir(world.path().parent().unwrap()).unwrap() {
        let path = file.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let found = bytes.windows(6).any(|window| window == b"canary");
        assert!(!found, "{}", path.display());
    }
    world.start();
}

#[test]
fn an_event_may_come_late_and_out_of_order() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    let at = |offset: i64| {
        let now =
            world.get("/v1/health")["generated_at"].as_str().unwrap().parse::<api::Timestamp>();
        json!(api::Timestamp::from_millis(now.unwrap().as_millis() + offset))
    };
    let newer =
        with(about_pane("k1"), &[("event_type", json!("needs-input")), ("event_time", at(-1_000))]);
    let older = with(about_pane("k2"), &[("event_time", at(-5_000))]);
    assert_eq!(world.emit(&newer)["status"], "bound");
    assert_eq!(world.emit(&older)["status"], "bound", "accepted, and outranked");
    assert_eq!(world.pane(1)["state"], "waiting_input");
}

#[test]
fn a_waiting_event_is_dropped_with_its_target() {
    let world = World::showing(vec![]);
    world.add_target("tg-build", "build");
    world.emit(&with(about_pane("k1"), &[("target", json!("build"))]));
    assert_eq!(world.http.delete("/v1/targets/build").status, 204);
    wait::until("the target to be gone", || {
        let list = world.get("/v1/targets");
        (list["items"].as_array()?.len() == 1).then_some(())
    });
    world.show_on(LOCAL, vec![agent_pane(1, "claude")]);
    assert_eq!(world.pane(1)["last_event_type"], json!(null));
}
