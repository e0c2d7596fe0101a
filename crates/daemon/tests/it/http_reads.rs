//! Lists, roll-ups and single things, as they are read.

use engine::event::SessionRow;
use engine::ids::SessionId;
use engine::input::Observation;
use engine::pane::{Link, PaneFacts};
use serde_json::{Value, json};

use crate::http_world::{
    LOCAL, World, agent_pane, in_session, in_window, pane, pane_ids, sessions,
};

#[test]
fn tc_017_every_pane_is_listed_with_its_identity_and_its_state() {
    let world = World::showing(vec![pane(1), agent_pane(2, "claude")]);
    world.hook(2, "approval-requested", "k1");
    let list = world.get("/v1/panes");
    assert_eq!(list["schema_version"], "v1");
    assert_eq!(list["partial"], false);
    assert_eq!(list["requested_targets"], json!(["local"]));
    assert_eq!(pane_ids(&list), ["%1", "%2"]);
    let (shell, agent) = (&list["items"][0], &list["items"][1]);
    assert_eq!(
        shell["identity"],
        json!({
            "target": "local",
            "session_id": "$1",
            "session_name": "work",
            "window_id": "@1",
            "pane_id": "%1",
        })
    );
    assert_eq!(shell["display_category"], "unmanaged");
    assert_eq!(shell["agent_presence"], "none");
    assert_eq!(agent["state"], "waiting_approval");
    assert_eq!(agent["needs_user_action"], true);
    assert_eq!(agent["awaiting_response_kind"], "approval");
    assert_eq!(agent["last_event_type"], "approval-requested");
    let summary = &list["summary"];
    assert_eq!(summary["total"], 2);
    assert_eq!(summary["by_agent"], json!({ "claude": 1, "none": 1 }));
    assert_eq!(summary["by_state"]["waiting_approval"], 1);
    assert_eq!(summary["by_target"], json!({ "local": 2 }));
}

#[test]
fn tc_042_windows_and_sessions_are_the_sums_of_their_panes() {
    let world = World::showing(vec![
        in_window(1, 0, agent_pane(1, "claude")),
        in_window(1, 1, agent_pane(2, "codex")),
        in_window(2, 0, pane(3)),
        in_session(2, "rest", pane(4)),
    ]);
    world.hook(1, "task-started", "k1");
    world.hook(2, "needs-input", "k2");
    let windows = world.get("/v1/windows?with_agent_status");
    let first = &windows["items"][1];
    assert_eq!(first["identity"]["window_id"], "@1");
    assert_eq!(first["top_state"], "waiting_input");
    assert_eq!(first["top_category"], "attention");
    assert_eq!((&first["waiting_count"], &first["running_count"]), (&json!(1), &json!(1)));
    assert_eq!(first["total_panes"], 2);
    assert_eq!(first["panes"][1]["agent_type"], "codex");
    let sessions = world.get("/v1/sessions?agent_summary");
    let work = &sessions["items"][1];
    assert_eq!(work["identity"]["session_name"], "work");
    assert_eq!(work["total_panes"], 3);
    assert_eq!(work["total_windows"], 2);
    assert_eq!(work["by_agent"], json!({ "claude": 1, "codex": 1, "none": 1 }));
    assert_eq!(work["agents"][0]["top_state"], "running");
    assert_eq!(sessions["summary"]["total"], 4);
}

#[test]
fn tc_023_a_target_that_is_down_leaves_the_answer_partial() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    world.add_target("tg-build", "build");
    world.show_on("tg-build", vec![pane(1), pane(2)]);
    world.hook(1, "task-started", "k1");
    assert_eq!(world.get("/v1/panes")["partial"], false);
    world.lose(LOCAL);
    for path in ["/v1/panes", "/v1/windows", "/v1/sessions"] {
        let list = world.get(path);
        assert_eq!(list["partial"], true, "{path}");
        let error = &list["target_errors"][0];
        assert_eq!(error["target"], "local");
        assert_eq!(error["code"], "E_TARGET_UNREACHABLE");
        assert_eq!(error["message"], "no route to host");
    }
    let lost = world.pane(1);
    assert_eq!(
        (&lost["state"], &lost["reason_code"]),
        (&json!("unknown"), &json!("target_unreachable"))
    );
    assert_eq!(lost["last_known"]["state"], "running");
    assert!(lost["last_known"]["age_ms"].is_u64());
    assert_eq!(lost["display_category"], "unknown");
}

#[test]
fn tc_043_requested_and_responded_targets_and_errors_agree() {
    let world = World::showing(vec![pane(1)]);
    world.add_target("tg-build", "build");
    world.show_on("tg-build", vec![pane(1)]);
    world.lose("tg-build");
    let check = |query: &str, requested: &[&str], responded: &[&str]| {
        let list = world.get(&format!("/v1/panes{query}"));
        assert_eq!(list["requested_targets"], json!(requested), "{query}");
        assert_eq!(list["responded_targets"], json!(responded), "{query}");
        let failed = list["target_errors"].as_array().unwrap().len();
        assert_eq!(failed, requested.len() - responded.len(), "{query}");
        assert_eq!(list["partial"], failed > 0, "{query}");
    };
    check("", &["build", "local"], &["local"]);
    check("?all_targets", &["build", "local"], &["local"]);
    check("?target=local", &["local"], &["local"]);
    check("?target=build", &["build"], &[]);
    check("?target=local,build", &["build", "local"], &["local"]);
    check("?target_session=build/work", &["build"], &[]);
    check("?session=work", &["build", "local"], &["local"]);
}

#[test]
fn a_target_without_a_tmux_server_answers_with_nothing() {
    let world = World::showing(vec![pane(1)]);
    world.see(LOCAL, Observation::NoServer);
    let list = world.get("/v1/panes");
    assert_eq!((&list["partial"], &list["summary"]["total"]), (&json!(false), &json!(0)));
    assert_eq!(list["responded_targets"], json!(["local"]));
    assert_eq!(world.get("/v1/sessions")["items"], json!([]));
    let target = &world.get("/v1/targets")["items"][0];
    assert_eq!((&target["server"], &target["observer_mode"]), (&json!(null), &json!("none")));
}

/// Six panes that differ in everything a list can be narrowed to or sorted by.
fn varied() -> World {
    let world = World::showing(vec![
        in_session(2, "b", agent_pane(4, "codex")),
        in_session(2, "b", pane(3)),
        in_session(1, "a/1 %", in_window(2, 1, agent_pane(2, "claude"))),
        in_session(1, "a/1 %", in_window(2, 0, agent_pane(10, "claude"))),
        in_session(1, "a/1 %", agent_pane(1, "claude")),
    ]);
    world.add_target("tg-build", "build");
    world.show_on("tg-build", vec![in_session(7, "b", agent_pane(1, "gemini"))]);
    world.hook(1, "task-started", "k1");
    world.hook(2, "needs-input", "k2");
    world.hook(4, "agent-turn-complete", "k3");
    world
}

/// Where panes are, as a list shows them in its order.
fn places(list: &Value) -> Vec<String> {
    let place = |item: &Value| {
        let identity = &item["identity"];
        format!("{}{}", identity["target"].as_str().unwrap(), identity["pane_id"].as_str().unwrap())
    };
    list["items"].as_array().unwrap().iter().map(place).collect()
}

#[test]
fn tc_048_every_filter_narrows_and_every_order_is_the_same_each_time() {
    let world = varied();
    let check = |query: &str, expected: &[&str]| {
        let path = format!("/v1/panes?{query}");
        let list = world.get(&path);
        assert_eq!(places(&list), expected, "{query}");
        assert_eq!(list["summary"]["total"], expected.len(), "{query}");
        assert_eq!(places(&world.get(&path)), expected, "{query}");
    };
    let everything = ["build%1", "local%1", "local%10", "local%2", "local%3", "local%4"];
    check("", &everything);
    check("sort=location", &everything);
    check("sort=-location", &["local%4", "local%3", "local%2", "local%10", "local%1", "build%1"]);
    check("sort=state", &["local%2", "local%1", "local%4", "build%1", "local%10", "local%3"]);
    check(
        "sort=category,-agent",
        &["local%2", "local%1", "local%4", "local%3", "build%1", "local%10"],
    );
    check("sort=agent", &["local%1", "local%10", "local%2", "local%4", "build%1", "local%3"]);
    check("state=running,waiting_input", &["local%1", "local%2"]);
    check("state=running&state=waiting_input&sort=-state", &["local%1", "local%2"]);
    check("agent=none", &["local%3"]);
    check("agent=codex,gemini", &["build%1", "local%4"]);
    check("category=attention,idle", &["local%2", "local%4"]);
    check("needs_action", &["local%2"]);
    check("needs_action=false&agent=claude", &["local%1", "local%10"]);
    check("session=b", &["build%1", "local%3", "local%4"]);
    check("session=b&target=local", &["local%3", "local%4"]);
    check("target_session=build/b", &["build%1"]);
    check("target_session=local/b&target=build", &[]);
    check("session=nowhere", &[]);
}

#[test]
fn tc_024_session_names_of_any_kind_are_found_by_filters_and_references() {
    for name in ["a/1 %", "100%", "ünïcödé 🚀", "a:b.c", "x=1&y=2+3", " ", "#(id)", "%2F"] {
        let world =
            World::showing(vec![in_session(1, name, pane(1)), in_session(2, "other", pane(2))]);
        let encoded = api::reference::encode_session(name);
        let query = encoded.replace('%', "%25");
        for path in [
            format!("/v1/panes?session={encoded}"),
            format!("/v1/panes?target_session=local/{query}"),
        ] {
            assert_eq!(pane_ids(&world.get(&path)), ["%1"], "{path}");
        }
        let reference = format!("pane:local/{query}/@1/%251");
        let found = world.get(&format!("/v1/resolve?ref={reference}"));
        assert_eq!(found["pane"]["identity"]["session_name"], name);
        assert_eq!(found["pane_ref"], format!("pane:local/{encoded}/@1/%1"));
    }
}

#[test]
fn windows_and_sessions_fit_when_a_pane_does_and_are_counted_whole() {
    let world = varied();
    let windows = world.get("/v1/windows?state=waiting_input");
    assert_eq!(windows["items"].as_array().unwrap().len(), 1);
    assert_eq!(windows["items"][0]["total_panes"], 2);
    assert_eq!(windows["summary"]["total"], 2);
    let sessions = world.get("/v1/sessions?agent=claude");
    assert_eq!(sessions["items"].as_array().unwrap().len(), 1);
    assert_eq!(sessions["items"][0]["total_panes"], 3);
    assert_eq!(sessions["items"][0]["targets"].as_array().unwrap().len(), 1);
    let sorted = world.get("/v1/sessions?sort=-total_panes");
    assert_eq!(sorted["items"][0]["identity"]["session_name"], "a/1 %");
}

#[test]
fn sessions_of_one_name_are_merged_only_when_asked() {
    let world = varied();
    let apart = world.get("/v1/sessions?session=b");
    assert_eq!(apart["items"].as_array().unwrap().len(), 2);
    let merged = world.get("/v1/sessions?session=b&group_by=session-name");
    let item = &merged["items"][0];
    let nobody = json!({ "target": null, "session_id": null, "session_name": "b" });
    assert_eq!((merged["items"].as_array().unwrap().len(), &item["identity"]), (1, &nobody));
    assert_eq!((&item["total_panes"], &item["total_windows"]), (&json!(3), &json!(3)));
    assert_eq!(item["targets"][0]["target"], "build");
    assert_eq!(item["targets"][1]["total_panes"], 2);
    assert_eq!(merged["summary"], apart["summary"]);
}

#[test]
fn a_session_has_what_it_shows_and_a_linked_pane_counts_once() {
    let world = World::new();
    let shared =
        PaneFacts { links: vec![Link { session: SessionId(2), window_index: 4 }], ..pane(1) };
    let mut rows = sessions(LOCAL, std::slice::from_ref(&shared));
    rows.push(SessionRow { session: SessionId(2), name: "mirror".to_owned(), ..rows[0].clone() });
    world.see(LOCAL, world.topology(LOCAL, rows, vec![shared]));
    let list = world.get("/v1/sessions");
    assert_eq!(list["summary"]["total"], 1, "a linked pane counts once");
    assert_eq!(list["items"][0]["identity"]["session_name"], "mirror");
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    for item in list["items"].as_array().unwrap() {
        assert_eq!((&item["total_panes"], &item["total_windows"]), (&json!(1), &json!(1)));
    }
    for path in [
        "/v1/panes?session=mirror",
        "/v1/windows?session=mirror",
        "/v1/sessions?session=mirror&state=unknown",
        "/v1/panes?target_session=local/mirror",
    ] {
        let found = world.get(path);
        assert_eq!(found["items"].as_array().unwrap().len(), 1, "{path}: {found:#}");
        assert_eq!(found["summary"]["total"], 1, "{path}");
    }
    for reference in ["pane:local/mirror/@1/%251", "mirror:4", "mirror:@1.%251"] {
        let found = world.get(&format!("/v1/resolve?ref={reference}"));
        assert_eq!(found["pane"]["linked_sessions"], json!(["$2"]), "{reference}");
    }
    // Its index in one session says nothing about the other.
    assert_eq!(world.http.get("/v1/resolve?ref=mirror:0").status, 404);
}

#[test]
fn pages_hold_everything_once_in_any_order() {
    let world = World::showing((1..=25).map(pane).collect());
    for sort in ["location", "-location", "state", "-updated_at,agent"] {
        let (mut seen, mut page) = (Vec::new(), String::new());
        loop {
            let list = world.get(&format!("/v1/panes?sort={sort}&limit=10{page}"));
            assert_eq!(list["summary"]["total"], 25, "counts are over all pages");
            seen.extend(pane_ids(&list));
            match list["next_page"].as_str() {
                Some(token) => page = format!("&page={token}"),
                None => break,
            }
        }
        let whole = pane_ids(&world.get(&format!("/v1/panes?sort={sort}")));
        assert_eq!(seen, whole, "{sort}");
        assert_eq!(seen.len(), 25);
    }
}

#[test]
fn a_runtime_is_shown_and_explained_by_its_id() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    let id = world.runtime(1);
    world.hook(1, "task-started", "k1");
    world.emit(&json!({
        "event_type": "needs-input", "source": "poller", "dedupe_key": "k2", "runtime_id": id,
    }));
    let answer = world.get(&format!("/v1/runtimes/{id}"));
    let runtime = &answer["runtime"];
    assert_eq!((&runtime["runtime_id"], &runtime["state"]), (&json!(id), &json!("running")));
    assert_eq!(runtime["pane"]["pane_id"], "%1");
    assert_eq!(runtime["pane_epoch"], 1);
    let why = world.get(&format!("/v1/runtimes/{id}/explain"));
    assert_eq!(why["rule"], "newest_deterministic_claim");
    assert_eq!(why["evidence"][0]["source"], "hook");
    assert_eq!(why["evidence"][0]["won"], true);
    assert_eq!(why["evidence"][1]["says"], "waiting_input");
    assert_eq!(why["evidence"][1]["why_not"], "outranked");
    assert_eq!(why["contradicted"], json!([1]));
    assert!(why["next_change_at"].as_str() > why["generated_at"].as_str(), "{why}");
}

#[test]
fn what_every_look_confirms_has_no_end_that_could_be_told() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    world.hook(1, "needs-input", "k1");
    world.see(LOCAL, Observation::Unchanged);
    let why = world.get(&format!("/v1/runtimes/{}/explain", world.runtime(1)));
    assert_eq!(why["runtime"]["state"], "waiting_input", "{why}");
    assert_eq!(why["next_change_at"], Value::Null, "{why}");
}

#[test]
fn what_a_person_types_resolves_to_one_pane_or_names_the_candidates() {
    let world = World::showing(vec![
        in_window(1, 0, PaneFacts { pane_active: false, ..pane(1) }),
        in_window(1, 1, agent_pane(2, "claude")),
        in_session(2, "a:b", pane(3)),
    ]);
    let id = world.runtime(2);
    let bare = id.strip_prefix("rt-").unwrap();
    let typed = [
        "%252",
        "work:1.1",
        "work:1",
        "work:@1.%252",
        "work:window 1.1",
        &id,
        &bare[..8],
        &format!("runtime:{id}"),
        "pane:local/work/@1/%252",
    ];
    for typed in typed {
        let typed = typed.replace(' ', "%20");
        let found = world.get(&format!("/v1/resolve?ref={typed}"));
        assert_eq!(found["pane"]["identity"]["pane_id"], "%2", "{typed}");
        assert_eq!(found["runtime_ref"], format!("runtime:{id}"));
        assert_eq!(found["pane_ref"], "pane:local/work/@1/%2");
    }
    assert_eq!(world.get("/v1/resolve?ref=a:b:3")["pane"]["identity"]["pane_id"], "%3");
    world.add_target("tg-build", "build");
    world.show_on("tg-build", vec![pane(2)]);
    let refused = world.http.get("/v1/resolve?ref=%252").expect(409);
    assert_eq!(refused["error"]["code"], "E_REF_AMBIGUOUS");
    let details = &refused["error"]["details"];
    assert_eq!(details["total"], 2);
    assert_eq!(details["candidates"][0]["ref"], "pane:build/work/@2/%2");
    assert_eq!(details["candidates"][1]["agent_type"], "claude");
}

#[test]
fn references_that_mean_nothing_any_more_are_not_found() {
    let world = World::showing(vec![pane(1), pane(2)]);
    world.show(vec![in_session(1, "renamed", pane(1))]);
    for reference in [
        "%252",
        "%259",
        "work:1.0",
        "pane:local/work/@1/%251",
        "pane:local/renamed/@9/%251",
        "deadbeef",
        "rt-00000000000000000000000000000000",
        "runtime:rt-00000000000000000000000000000000",
    ] {
        let reply = world.http.get(&format!("/v1/resolve?ref={reference}"));
        let status = reply.status;
        let code = reply.error(status);
        assert!(matches!((status, code.as_str()), (404, "E_REF_NOT_FOUND")), "{reference}: {code}");
    }
}

#[test]
fn a_runtime_that_ended_is_remembered_and_not_explained() {
    let mut world = World::showing(vec![agent_pane(1, "claude"), pane(2)]);
    let id = world.runtime(1);
    world.show(vec![pane(2)]);
    world.restart();
    let runtime = &world.get(&format!("/v1/runtimes/{id}"))["runtime"];
    assert_eq!((&runtime["pane"], &runtime["pane_id"]), (&json!(null), &json!("%1")));
    assert_eq!(runtime["ended_reason"], "pane_gone");
    assert_eq!((&runtime["agent_type"], &runtime["state"]), (&json!("claude"), &json!("unknown")));
    let bare = id.strip_prefix("rt-").unwrap();
    for reference in [&format!("runtime:{id}"), id.as_str(), bare] {
        let found = world.get(&format!("/v1/resolve?ref={reference}"));
        assert_eq!((&found["pane"], &found["runtime"]), (&json!(null), runtime), "{reference}");
    }
    let beginning = world.http.get(&format!("/v1/resolve?ref={}", &bare[..8]));
    assert_eq!(beginning.error(404), "E_REF_NOT_FOUND", "only the whole id is looked up");
    let refused = world.http.get(&format!("/v1/runtimes/{id}/explain")).expect(409);
    assert_eq!(refused["error"]["code"], "E_RUNTIME_STALE");
    assert_eq!(refused["error"]["details"]["ended_reason"], "pane_gone");
}

#[test]
fn health_and_targets_say_how_it_is() {
    let world = World::showing(vec![agent_pane(1, "claude"), pane(2)]);
    world.hook(1, "needs-input", "k1");
    let health = world.get("/v1/health");
    assert_eq!((&health["status"], &health["store_mode"]), (&json!("ok"), &json!("read_write")));
    assert_eq!(health["pid"], std::process::id());
    assert_eq!(health["stream_id"], "db-test");
    assert_eq!(health["version"], daemon::http::VERSION);
    assert_eq!(health["journal"]["hash"].as_str().unwrap().len(), 64);
    let target = &world.get("/v1/targets")["items"][0];
    assert_eq!(target["server"]["version"], "3.3a");
    let counts = json!({ "sessions": 1, "windows": 2, "panes": 2, "agents": 1, "needs_action": 1 });
    assert_eq!(target["counts"], counts);
    world.lose(LOCAL);
    let health = world.get("/v1/health");
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["targets"][0]["health"], "down");
    assert_eq!(health["targets"][0]["health_message"], "no route to host");
}

#[test]
fn the_configuration_in_use_is_shown_with_its_defaults() {
    let world = World::new();
    let config = world.get("/v1/config");
    assert_eq!((&config["exists"], &config["problems"]), (&json!(false), &json!([])));
    let settings = config["settings"].as_array().unwrap();
    let ttl = settings.iter().find(|it| it["key"] == "state.stale_ttl").unwrap();
    assert_eq!((&ttl["value"], &ttl["origin"]), (&json!("30s"), &json!("default")));
}

#[test]
fn a_client_reads_its_own_writes() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    for round in 0..50 {
        let kind = if round % 2 == 0 { "task-started" } else { "needs-input" };
        let accepted = world.hook(1, kind, &format!("k{round}"));
        let pane = world.pane(1);
        let expected = if round % 2 == 0 { "running" } else { "waiting_input" };
        assert_eq!(pane["state"], expected, "round {round}");
        assert!(world.get("/v1/panes")["as_of"].as_u64() >= accepted["sequence"].as_u64());
    }
}
