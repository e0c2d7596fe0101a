//! Lists: their envelope, identities, counts, filters, order, pages and roll-ups.

use serde_json::{Value, json};
use testkit::{Daemon, TestEnv, wait};

use crate::deck::{self, deck, encoded};

/// Two sessions: `alpha` with windows of one and three panes, `beta` with one; and states on them.
struct Scene {
    daemon: Daemon,
    panes: Vec<String>,
    env: TestEnv,
}

fn scene() -> Scene {
    let env = deck();
    let tmux = env.tmux();
    let first = tmux.session("alpha", "exec cat");
    let second = tmux.window("alpha", "three", "exec cat");
    let third = tmux.split(&second, "exec cat");
    let fourth = tmux.split(&third, "exec cat");
    let fifth = tmux.session("beta", "exec cat");
    let panes = vec![first, second, third, fourth, fifth];
    let daemon = env.daemon();
    let types = ["task-started", "needs-approval", "task-started", "needs-input"];
    for (pane, event_type) in panes.iter().zip(types) {
        deck::settled(daemon.api(), pane, "cat");
        emit(&daemon, pane, event_type);
    }
    deck::listed(daemon.api(), &panes[4]);
    Scene { daemon, panes, env }
}

fn emit(daemon: &Daemon, pane: &str, event_type: &str) {
    let event = json!({
        "event_type": event_type, "source": "hook", "dedupe_key": format!("{pane}{event_type}"),
        "target": "local", "pane_id": pane, "agent_type": "claude",
    });
    let answer = daemon.api().post("/v1/events", &event).expect(202);
    assert_eq!(answer["status"], "bound", "{answer}");
}

fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| deck::text(&item["identity"], "pane_id")).collect()
}

#[test]
fn tc_017_answers_carry_the_envelope_identities_and_counts() {
    let it = scene();
    for (scope, count) in [("panes", 5), ("windows", 3), ("sessions", 2)] {
        let answer = it.daemon.api().get(&format!("/v1/{scope}")).expect(200);
        assert_eq!(answer["schema_version"], "v1");
        assert!(answer["generated_at"].is_string() && answer["as_of"].is_u64(), "{answer}");
        assert!(answer["filters"].is_object(), "{answer}");
        assert_eq!(answer["items"].as_array().unwrap().len(), count, "{scope}: {answer:#}");
        assert_eq!(answer["summary"]["total"], 5, "panes are counted: {answer:#}");
        let by_state = &answer["summary"]["by_state"];
        assert_eq!(by_state["running"], 2, "{by_state}");
        assert_eq!(by_state["waiting_approval"], 1, "{by_state}");
        assert_eq!(by_state["waiting_input"], 1, "{by_state}");
        assert_eq!(answer["summary"]["by_agent"]["claude"], 4, "{answer:#}");
        assert_eq!(answer["summary"]["by_target"]["local"], 5);
        assert_eq!(answer["partial"], false);
        assert_eq!(answer["requested_targets"], json!(["local"]));
        assert_eq!(answer["responded_targets"], json!(["local"]));
        assert_eq!(answer["target_errors"], json!([]));
        for item in answer["items"].as_array().unwrap() {
            assert_eq!(item["identity"]["target"], "local", "{item}");
            assert!(item["identity"]["session_name"].is_string(), "{item}");
        }
    }
}

#[test]
fn tc_042_windows_and_sessions_roll_up_by_precedence() {
    let it = scene();
    let windows = deck::items(it.daemon.api(), "/v1/windows");
    let three = windows.iter().find(|it| it["window_name"] == "three").unwrap();
    assert_eq!(three["top_state"], "waiting_approval", "{three:#}");
    assert_eq!(three["top_category"], "attention");
    assert_eq!(three["waiting_count"], 2);
    assert_eq!(three["running_count"], 1);
    assert_eq!(three["total_panes"], 3);
    let sessions = deck::items(it.daemon.api(), "/v1/sessions");
    let alpha = sessions.iter().find(|it| it["identity"]["session_name"] == "alpha").unwrap();
    assert_eq!(alpha["total_panes"], 4, "{alpha:#}");
    assert_eq!(alpha["total_windows"], 2);
    assert_eq!(alpha["by_state"]["running"], 2);
    assert_eq!(alpha["by_agent"]["claude"], 4);
    emit(&it.daemon, &it.panes[2], "runtime-error");
    let windows = deck::items(it.daemon.api(), "/v1/windows");
    let three = windows.iter().find(|it| it["window_name"] == "three").unwrap();
    assert_eq!(three["top_state"], "error", "an error comes before everything: {three:#}");
}

#[test]
fn tc_048_filters_combine_and_mean_the_same_everywhere() {
    let it = scene();
    let count = |query: &str| deck::items(it.daemon.api(), &format!("/v1/panes?{query}")).len();
    for (query, panes) in [
        ("state=running", 2),
        ("state=running&state=waiting_input", 3),
        ("state=running,waiting_input", 3),
        ("agent=claude", 4),
        ("agent=none", 1),
        ("needs_action=true", 2),
        ("needs_action=false", 3),
        ("category=attention", 2),
        ("session=alpha", 4),
        ("session=alph", 0),
        ("session=alpha&state=running", 2),
        ("session=beta&state=running", 0),
        ("target=local", 5),
        ("all_targets=true", 5),
        ("target_session=local%2Fbeta", 1),
    ] {
        assert_eq!(count(query), panes, "{query}");
        let answer = it.daemon.api().get(&format!("/v1/panes?{query}")).expect(200);
        assert_eq!(answer["summary"]["total"], panes, "the summary counts what fits: {query}");
    }
}

#[test]
fn tc_048_every_order_is_the_same_every_time_and_its_reverse_is_the_reverse() {
    let it = scene();
    let order =
        |query: &str| ids(&deck::items(it.daemon.api(), &format!("/v1/panes?sort={query}")));
    assert_eq!(ids(&deck::items(it.daemon.api(), "/v1/panes")), it.panes, "as tmux shows them");
    let by_state = order("state");
    assert_eq!(by_state[0], it.panes[1], "waiting for approval comes first");
    assert_eq!(by_state[1], it.panes[3], "then waiting for input");
    for key in ["location", "state", "category", "agent", "state_since", "updated_at"] {
        assert_eq!(order(key), order(key), "{key}");
        let mut all = order(&format!("-{key}"));
        assert_eq!(all.len(), 5, "{key}");
        all.sort();
        let mut panes = it.panes.clone();
        panes.sort();
        assert_eq!(all, panes, "{key}");
    }
}

#[test]
fn pages_together_are_the_whole_list_once() {
    let it = scene();
    for limit in 1..=6 {
        let mut seen = Vec::new();
        let mut path = format!("/v1/panes?limit={limit}");
        loop {
            let answer = it.daemon.api().get(&path).expect(200);
            let items = answer["items"].as_array().unwrap();
            assert!(items.len() <= limit, "{answer:#}");
            seen.extend(ids(items));
            let Some(next) = answer["next_page"].as_str() else { break };
            path = format!("/v1/panes?limit={limit}&page={}", encoded(next));
        }
        assert_eq!(seen, it.panes, "limit {limit}");
    }
}

#[test]
fn sessions_group_by_target_or_by_name() {
    let it = scene();
    let other = it.env.tmux_at("other.sock");
    other.session("beta", "exec cat");
    let socket = it.env.path("other.sock").display().to_string();
    it.env.qd(&["target", "add", "second", "--kind", "local", "--tmux-socket", &socket]).success();
    let api = it.daemon.api();
    wait::until("both betas", || (deck::items(api, "/v1/sessions").len() == 3).then_some(()));
    let merged = deck::items(api, "/v1/sessions?group_by=session-name");
    assert_eq!(merged.len(), 2, "{merged:#?}");
    let beta = merged.iter().find(|it| it["identity"]["session_name"] == "beta").unwrap();
    assert_eq!(beta["total_panes"], 2);
    assert_eq!(beta["targets"].as_array().unwrap().len(), 2, "{beta:#}");
    let summary = api.get("/v1/panes").expect(200)["summary"]["by_target"].clone();
    assert_eq!(summary, json!({ "local": 5, "second": 1 }));
}

#[test]
fn windows_name_their_panes_and_sessions_their_agents_when_asked() {
    let it = scene();
    let windows = deck::items(it.daemon.api(), "/v1/windows?with_agent_status=true");
    let three = windows.iter().find(|it| it["window_name"] == "three").unwrap();
    assert_eq!(three["panes"].as_array().unwrap().len(), 3, "{three:#}");
    let sessions = deck::items(it.daemon.api(), "/v1/sessions?agent_summary=true");
    let agents = sessions[0]["agents"].as_array().unwrap();
    assert_eq!(agents[0]["agent_type"], "claude", "{agents:?}");
    let plain = deck::items(it.daemon.api(), "/v1/windows");
    assert!(plain[0]["panes"].is_null());
}
