//! Events from outside: how they are bound, ordered, repeated and refused, and what they do to a
//! state.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use testkit::{Daemon, Http, TestEnv, wait};

use crate::deck::{self, Watch, deck};

/// The present time as the envelope wants it.
pub(crate) fn now() -> String {
    time(0)
}

/// A time that many seconds from now.
fn time(seconds: i64) -> String {
    #[expect(clippy::disallowed_methods, reason = "a source outside has a clock of its own")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let moment =
        api::Timestamp::from_millis(i64::try_from(now.as_millis()).unwrap() + seconds * 1000);
    moment.to_string()
}

/// An event of a hook about a pane; the fields of `extra` come on top, `null` takes one away.
fn event(pane: &str, event_type: &str, key: &str, extra: Value) -> Value {
    let mut body = json!({
        "event_id": key, "event_type": event_type, "source": "hook", "dedupe_key": key,
        "event_time": now(), "target": "local", "pane_id": pane, "agent_type": "claude",
    });
    let Value::Object(extra) = extra else { panic!("fields are an object") };
    for (field, value) in extra {
        if value.is_null() {
            body.as_object_mut().unwrap().remove(&field);
        } else {
            body[field] = value;
        }
    }
    body
}

/// One of many different events that change nothing but the journal.
pub(crate) fn numbered(pane: &str, number: u32, payload: &str) -> Value {
    let key = format!("n-{number}");
    event(pane, "made-up", &key, json!({ "raw_payload": payload }))
}

fn emit(api: &Http, body: &Value) -> Value {
    api.post("/v1/events", body).expect(202)
}

struct Scene {
    daemon: Daemon,
    pane: String,
    item: Value,
    env: TestEnv,
}

fn scene_with(config: &str) -> Scene {
    let env = deck();
    env.configure(config);
    let pane = env.tmux().session("work", "exec cat");
    let daemon = env.daemon();
    let item = deck::settled(daemon.api(), &pane, "cat");
    Scene { daemon, pane, item, env }
}

fn scene() -> Scene {
    scene_with("")
}

#[test]
fn tc_008_an_event_whose_hints_fit_is_bound_and_changes_the_state() {
    let it = scene();
    let hints = json!({ "pid": it.item["pane_pid"], "start_hint": it.item["runtime_started_at"] });
    let answer = emit(it.daemon.api(), &event(&it.pane, "task-started", "one", hints));
    assert_eq!(answer["status"], "bound", "{answer}");
    assert_eq!(answer["runtime_id"], it.item["runtime_id"], "{answer}");
    let seen =
        deck::pane_where(it.daemon.api(), &it.pane, "running", |it| it["state"] == "running");
    assert_eq!(seen["reason_code"], "active");
    assert_eq!(seen["state_source"], "hook");
    assert_eq!(seen["last_event_type"], "task-started");
}

#[test]
fn an_event_reaches_a_watcher_and_survives_a_kill_9_at_once() {
    let it = scene();
    let (mut watch, _) = Watch::panes(it.daemon.api());
    emit(it.daemon.api(), &event(&it.pane, "needs-approval", "one", json!({})));
    it.daemon.kill9();
    let state = |item: &Value| item["state"] == "waiting_approval";
    // Whether the dying daemon still published it or not, it was answered and so it is kept.
    watch.next_within(Duration::from_secs(1)).ok();
    let daemon = it.env.daemon();
    let item = deck::pane_where(daemon.api(), &it.pane, "kept", state);
    assert_eq!(item["awaiting_response_kind"], "approval");
    assert_eq!(item["needs_user_action"], true);
    assert_eq!(item["display_category"], "attention");
}

#[test]
fn tc_007_a_duplicate_is_applied_once() {
    let it = scene();
    let body = event(&it.pane, "task-started", "one", json!({}));
    emit(it.daemon.api(), &body);
    let version = |it: &Scene| deck::listed(it.daemon.api(), &it.pane)["state_version"].clone();
    let first = version(&it);
    for _ in 0..13 {
        emit(it.daemon.api(), &body);
    }
    assert_eq!(version(&it), first);
}

#[test]
fn tc_049_a_storm_of_retries_from_many_clients_applies_each_event_once() {
    let it = scene();
    let api = it.daemon.api();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for number in 0..20 {
                    let kind = if number % 2 == 0 { "task-started" } else { "needs-input" };
                    let key = format!("storm-{number}");
                    let extra =
                        json!({ "source_seq": number, "event_time": "2026-01-01T00:00:00Z" });
                    let reply = api.post("/v1/events", &event(&it.pane, kind, &key, extra));
                    assert_eq!(reply.status, 202, "{}", reply.text());
                }
            });
        }
    });
    let item = deck::listed(api, &it.pane);
    assert_eq!(item["state"], "waiting_input", "the highest sequence decides: {item:#}");
    assert!(item["state_version"].as_u64().unwrap() <= 21, "{item:#}");
}

#[test]
fn one_dedupe_key_for_two_events_is_a_conflict() {
    let it = scene();
    emit(it.daemon.api(), &event(&it.pane, "task-started", "one", json!({})));
    let other = event(&it.pane, "task-finished", "one", json!({ "event_id": "two" }));
    let refused = it.daemon.api().post("/v1/events", &other);
    assert_eq!(refused.error(409), "E_IDEMPOTENCY_CONFLICT");
    assert_eq!(deck::listed(it.daemon.api(), &it.pane)["state"], "running");
}

#[test]
fn an_event_out_of_order_is_accepted_and_settles_to_the_same_state() {
    let it = scene();
    let api = it.daemon.api();
    let early = json!({ "source_seq": 1 });
    let late = json!({ "source_seq": 2 });
    emit(api, &event(&it.pane, "needs-input", "late", late));
    emit(api, &event(&it.pane, "task-started", "early", early));
    assert_eq!(deck::listed(api, &it.pane)["state"], "waiting_input");
}

#[test]
fn an_unknown_type_is_stored_and_changes_no_state() {
    let it = scene();
    let before = deck::listed(it.daemon.api(), &it.pane);
    let nameless = json!({ "agent_type": null });
    let answer = emit(it.daemon.api(), &event(&it.pane, "made-up-thing", "one", nameless));
    assert_eq!(answer["status"], "bound", "{answer}");
    let after = deck::listed(it.daemon.api(), &it.pane);
    assert_eq!(before["state"], after["state"]);
    assert_eq!(before["reason_code"], after["reason_code"]);
    let rows = it.env.sqlite("SELECT count(*) FROM events WHERE event_type = 'made-up-thing'");
    assert_eq!(rows.trim(), "1");
}

#[test]
fn tc_009_an_event_that_nothing_fits_is_dropped_with_its_reason() {
    let it = scene_with("[state]\npending_ttl = \"1s\"\n");
    let api = it.daemon.api();
    let status = |key: &str| {
        let query = format!(
            "SELECT status || ' ' || coalesce(reason_code, '-') FROM event_inbox \
                             WHERE dedupe_key = '{key}'"
        );
        it.env.sqlite(&query).trim().to_owned()
    };
    for (key, extra) in [
        ("other-pid", json!({ "pid": 1 })),
        ("other-start", json!({ "start_hint": time(-3600) })),
        ("no-pane", json!({ "pane_id": "%4711" })),
    ] {
        let answer = emit(api, &event(&it.pane, "task-started", key, extra));
        assert_ne!(answer["status"], "bound", "{key}: {answer}");
    }
    for key in ["other-pid", "other-start", "no-pane"] {
        wait::until(&format!("{key} is settled"), || {
            let now = status(key);
            let dropped = ["dropped_unbound bind_no_candidate", "dropped_unbound bind_ttl_expired"];
            dropped.contains(&now.as_str()).then_some(())
        });
    }
    assert_ne!(deck::listed(api, &it.pane)["state"], "running");
}

#[test]
fn an_event_that_comes_before_the_deck_has_seen_its_pane_is_bound_all_the_same() {
    let it = scene();
    let api = it.daemon.api();
    for round in 0..10 {
        let pane = it.env.tmux().window("work", "early", "exec cat");
        let answer = emit(api, &event(&pane, "task-started", &format!("early-{round}"), json!({})));
        let waits = ["bound", "pending_bind"].contains(&&*deck::text(&answer, "status"));
        assert!(waits, "{answer}");
        deck::pane_where(api, &pane, "bound", |item| item["state"] == "running");
    }
}

#[test]
fn completed_becomes_idle_after_the_configured_time_and_not_before() {
    let it = scene_with("[state]\ncompleted_ttl = \"2s\"\n");
    let api = it.daemon.api();
    emit(api, &event(&it.pane, "task-finished", "one", json!({})));
    let done = deck::pane_where(api, &it.pane, "completed", |item| item["state"] == "completed");
    assert_eq!(done["reason_code"], "task_completed");
    wait::stays("completed", Duration::from_millis(1200), || {
        deck::listed(api, &it.pane)["state"] == "completed"
    });
    let idle = deck::pane_where(api, &it.pane, "idle", |item| item["state"] == "idle");
    assert_eq!(idle["reason_code"], "completed_demoted");
}

#[test]
fn a_demotion_that_fell_due_while_the_daemon_was_dead_is_made_up_for() {
    let it = scene_with("[state]\ncompleted_ttl = \"1s\"\n");
    emit(it.daemon.api(), &event(&it.pane, "task-finished", "one", json!({})));
    it.daemon.kill9();
    let daemon = it.env.daemon();
    deck::pane_where(daemon.api(), &it.pane, "idle", |item| item["state"] == "idle");
}

#[test]
fn a_future_time_and_one_beyond_the_skew_budget_count_as_received_now() {
    let it = scene();
    let api = it.daemon.api();
    emit(api, &event(&it.pane, "needs-input", "future", json!({ "event_time": time(86_400) })));
    emit(api, &event(&it.pane, "task-started", "now", json!({})));
    let item = deck::listed(api, &it.pane);
    assert_eq!(item["state"], "running", "a wrong clock does not win for a day: {item:#}");
}

#[test]
fn tc_011_tc_050_secrets_in_a_payload_are_nowhere_on_disk() {
    let it = scene();
    let canaries = ["hunter2-canary", "sk-live-canary-0123456789", "eyJhbGciOi.canary.sig"];
    let payload = json!({
        "password": canaries[0], "note": format!("export OPENAI_API_KEY={}", canaries[1]),
        "header": format!("Authorization: Bearer {}", canaries[2]),
    });
    let extra = json!({ "raw_payload": payload.to_string() });
    emit(it.daemon.api(), &event(&it.pane, "task-started", "one", extra));
    assert_eq!(it.daemon.stop(), 0);
    stand_nowhere_on_disk(&it.env, &canaries);
}

#[track_caller]
fn stand_nowhere_on_disk(env: &TestEnv, canaries: &[&str]) {
    for entry in walk(&env.home()) {
        let bytes = std::fs::read(&entry).unwrap();
        for canary in canaries {
            let found = bytes.windows(canary.len()).any(|part| part == canary.as_bytes());
            assert!(!found, "{canary} stands in {}", entry.display());
        }
    }
}

/// Two keys of the form that a service gives out, which no other text has.
const KEYS: [&str; 2] = ["ghp_canary0123456789abcdefghij", "sk-canary-0123456789abcdef"];

#[test]
fn tc_050_a_secret_in_any_field_of_an_event_is_kept_nowhere_and_still_tells_events_apart() {
    let it = scene();
    let api = it.daemon.api();
    let fields = ["event_id", "event_type", "dedupe_key", "source_event_id"];
    for (number, field) in fields.into_iter().enumerate() {
        for secret in KEYS {
            let extra = json!({ field: format!("{secret}"), "source_seq": number });
            let body = event(&it.pane, "task-started", &format!("{field}-{secret}"), extra);
            let answer = emit(api, &body);
            assert!(!answer.to_string().contains("canary"), "{answer:#}");
        }
    }
    // No agent is called as the first; the second could be a name.
    for (secret, status) in KEYS.into_iter().zip([400, 202]) {
        let named = json!({ "agent_type": secret });
        let body = event(&it.pane, "task-started", &format!("named-{secret}"), named);
        let answer = api.post("/v1/events", &body);
        assert!(!answer.expect(status).to_string().contains("canary"));
    }
    let again = json!({ "dedupe_key": KEYS[0], "source_seq": 2 });
    let again = emit(api, &event(&it.pane, "task-started", "replaced", again));
    assert_eq!(again["status"], "duplicate", "equal keys stay equal: {again:#}");
    let runtime = deck::runtime_of(&it.item);
    for path in ["/v1/panes".to_owned(), format!("/v1/runtimes/{runtime}/explain")] {
        let answer = api.get(&path).expect(200).to_string();
        assert!(!answer.contains("canary"), "{path}: {answer}");
    }
    assert_eq!(it.daemon.stop(), 0);
    stand_nowhere_on_disk(&it.env, &KEYS);
}

#[test]
fn tc_050_a_secret_in_a_name_a_title_a_path_or_a_command_is_kept_nowhere() {
    let it = scene();
    let (api, tmux) = (it.daemon.api(), it.env.tmux());
    let folder = it.env.path("home").join(format!("token={}", KEYS[0]));
    std::fs::create_dir(&folder).unwrap();
    let script = format!("cd '{}'; exec -a {} cat", folder.display(), KEYS[1]);
    let shell = format!("exec bash -c \"{script}\"");
    let pane = tmux.window("work", &format!("mysql -p{}", KEYS[0]), &shell);
    tmux.ok(&["select-pane", "-t", &pane, "-T", &format!("curl -u me:{}", KEYS[1])]);
    tmux.ok(&["rename-session", "-t", &pane, &format!("API_KEY={}", KEYS[0])]);
    let hidden = "[redacted]";
    let item = deck::pane_where(api, &pane, "all of it hidden", |item| {
        let fields = ["window_name", "pane_title", "current_path", "current_cmd"];
        let holds = |value: &Value| value.as_str().is_some_and(|text| text.contains(hidden));
        fields.iter().all(|field| holds(&item[field])) && holds(&item["identity"]["session_name"])
    });
    assert_eq!(item["window_name"], format!("mysql -p{hidden}"));
    // What is hidden still changes: to another secret unseen, to anything else at once.
    tmux.ok(&["select-pane", "-t", &pane, "-T", &format!("curl -u me:{}", KEYS[0])]);
    tmux.ok(&["select-pane", "-t", &pane, "-T", "at rest"]);
    deck::pane_where(api, &pane, "a plain title", |item| item["pane_title"] == "at rest");
    let runtime = deck::runtime_of(&item);
    for path in [
        "/v1/panes".to_owned(),
        "/v1/windows".to_owned(),
        "/v1/sessions".to_owned(),
        "/v1/watch?once=true".to_owned(),
        format!("/v1/runtimes/{runtime}"),
        format!("/v1/runtimes/{runtime}/explain"),
    ] {
        let answer = api.get(&path).text();
        assert!(!answer.contains("canary"), "{path}: {answer}");
    }
    let found = it.env.qd(&["list", "panes", "--json"]).success();
    assert!(!found.contains("canary"), "{found}");
    assert_eq!(it.daemon.stop(), 0);
    stand_nowhere_on_disk(&it.env, &KEYS);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(walk(&entry.path()));
        } else if entry.file_type().unwrap().is_file() {
            files.push(entry.path());
        }
    }
    files
}

#[test]
fn the_command_line_emits_what_the_api_takes() {
    let it = scene();
    let emitted = it.env.qd(&[
        "event",
        "emit",
        "--source",
        "hook",
        "--type",
        "needs-approval",
        "--target",
        "local",
        "--pane",
        &it.pane,
        "--agent",
        "claude",
        "--dedupe",
        "cli-one",
        "--json",
    ]);
    let answer = emitted.json();
    assert_eq!(answer["status"], "bound", "{answer}");
    assert_eq!(deck::listed(it.daemon.api(), &it.pane)["state"], "waiting_approval");
    let runtime = deck::runtime_of(&it.item);
    it.env.tmux().ok(&["respawn-pane", "-k", "-t", &it.pane, "exec cat"]);
    deck::pane_where(it.daemon.api(), &it.pane, "another", |now| {
        now["runtime_id"].is_string() && now["runtime_id"] != *runtime
    });
    let stale = it.env.qd(&[
        "event",
        "emit",
        "--source",
        "hook",
        "--type",
        "task-started",
        "--runtime",
        &runtime,
        "--dedupe",
        "cli-two",
    ]);
    let said = stale.fails_with(5);
    assert!(said.contains("E_RUNTIME_STALE"), "{said}");
}

/// A pane's id means another pane on each server; inside tmux it is one of this terminal's server.
#[test]
fn a_pane_named_without_its_target_is_one_of_the_terminals_own_server() {
    let env = deck();
    let here = env.tmux().session("here", "exec cat");
    let other = env.tmux_at("two");
    let there = other.session("there", "exec cat");
    assert_eq!(here, there, "the ids are the same");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &here);
    let socket = other.show(&there, "#{socket_path}");
    let emit = |pane: &str, key: &str| {
        let arguments = [
            ["event", "emit"],
            ["--source", "hook"],
            ["--type", "needs-approval"],
            ["--agent", "claude"],
            ["--dedupe", key],
            ["--pane", pane],
        ];
        let terminal = format!("{socket},{},0", other.pid());
        env.invoke(arguments.as_flattened()).env("TMUX", terminal).env("TMUX_PANE", &there).run()
    };
    for pane in [there.as_str(), "."] {
        let refused = emit(pane, "unwatched");
        assert_ne!(refused.code(), Some(0), "{pane}");
        assert!(refused.stderr.contains("is not watched"), "{}", refused.stderr);
    }
    env.qd(&["target", "add", "two", "--tmux-socket", &socket]).success();
    let on = |target: &str| {
        let panes = deck::items(daemon.api(), "/v1/panes");
        panes.into_iter().find(|it| it["identity"]["target"] == target)
    };
    wait::until("the other server is seen", || on("two"));
    emit(&there, "first").success();
    let waits = |target: &str| on(target).is_some_and(|it| it["state"] == "waiting_approval");
    wait::until("it is said of the terminal's own", || waits("two").then_some(()));
    emit(".", "second").success();
    assert!(!waits("local"));
}

/// What is a process here is another one elsewhere, though its number be the same.
#[test]
fn a_terminals_own_server_is_known_by_its_socket_and_never_sought_on_another_machine() {
    let env = deck();
    let here = env.tmux().session("here", "exec cat");
    let far = env.tmux_at("far");
    let there = far.session("there", "exec cat");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &here);
    let socket = far.show(&there, "#{socket_path}");
    let add = ["target", "add", "box", "--kind", "command", "--tmux-socket", &socket];
    env.qd(&[&add[..], &["--command", r#"["env"]"#]].concat()).success();
    let server = far.pid();
    wait::until("the server there is seen", || {
        let targets = deck::items(daemon.api(), "/v1/targets");
        targets.iter().any(|it| it["server"]["pid"] == server).then_some(())
    });
    // The socket that the terminal names is one that nobody watches, and the number one that is taken.
    for socket in ["/nowhere/default", &env.tmux().show(&here, "#{socket_path}")] {
        let terminal = format!("{socket},{server},0");
        let explain = env.invoke(&["explain", "."]).env("TMUX", terminal).env("TMUX_PANE", &there);
        let refused = explain.run();
        assert_ne!(refused.code(), Some(0), "{}", refused.stdout);
        assert!(refused.stderr.contains("is not watched"), "{}", refused.stderr);
    }
}
