//! Every route of the table, with everything wrong that can be: the error envelope, its code and
//! its status are the same everywhere, and nothing that is refused has an effect.

use api::routes::{Method, ROUTES, Route};
use serde_json::{Value, json};
use testkit::{Daemon, Http, Next, Reply, TestEnv, wait};

use crate::deck::{self, deck, encoded};

fn scene() -> (TestEnv, Daemon, String) {
    let env = deck();
    let pane = env.tmux().session("work", "exec cat");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    (env, daemon, pane)
}

/// The path with something that exists nowhere in the place of its variable.
fn path(route: &Route, value: &str) -> String {
    api::routes::fill(route.path, value)
}

#[track_caller]
fn envelope(reply: &Reply, status: u16, what: &str) -> Value {
    assert_eq!(reply.status, status, "{what}: {}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"), "{what}");
    let body = reply.json();
    assert_eq!(body["schema_version"], "v1", "{what}: {body}");
    assert!(body["generated_at"].is_string(), "{what}: {body}");
    let error = &body["error"];
    for field in ["code", "message", "hint"] {
        let text = error[field].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{what}: no {field}: {body}");
    }
    assert!(error["details"].is_object(), "{what}: {body}");
    let code: api::ErrorCode = error["code"].as_str().unwrap().parse().unwrap();
    assert_eq!(code.http_status(), status, "{what}: {body}");
    error.clone()
}

#[test]
fn tc_018_a_wrong_method_has_its_own_code_and_names_the_right_ones() {
    let (_env, daemon, _pane) = scene();
    for route in ROUTES {
        let path = path(route, "nobody");
        let allowed: Vec<_> =
            ROUTES.iter().filter(|it| it.path == route.path).map(|it| it.method.as_str()).collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            if allowed.contains(&method) {
                continue;
            }
            let what = format!("{method} {path}");
            let reply = daemon.api().send(method, &path, &[], b"");
            let named = reply.header("allow").unwrap_or_default().to_owned();
            for name in &allowed {
                assert!(named.contains(name), "{what}: Allow: {named}");
            }
            let error = envelope(&reply, 405, &what);
            assert_eq!(error["code"], "E_METHOD_NOT_ALLOWED", "{what}");
        }
    }
}

#[test]
fn tc_018_an_unknown_path_is_an_envelope_too() {
    let (_env, daemon, _pane) = scene();
    for path in
        ["/", "/v1", "/v2/panes", "/v1/panes/", "/v1/panes/x", "/v1/%2e%2e/panes", "//v1/panes"]
    {
        let error = envelope(&daemon.api().get(path), 404, path);
        assert_eq!(error["code"], "E_ROUTE_NOT_FOUND", "{path}");
    }
}

#[test]
fn tc_018_an_unknown_or_malformed_query_is_refused_by_every_route() {
    let (_env, daemon, _pane) = scene();
    for route in ROUTES {
        for query in ["no_such_key=1", "%zz=1", "a=%ff%fe", "%00=1"] {
            let path = format!("{}?{query}", path(route, "local"));
            let reply = daemon.api().send(route.method.as_str(), &path, &[], b"{}");
            let error = envelope(&reply, 400, &path);
            assert_eq!(error["code"], "E_BAD_REQUEST", "{path}");
        }
    }
}

#[test]
fn tc_018_bad_values_of_filters_are_named() {
    let (_env, daemon, _pane) = scene();
    for (query, code, status) in [
        ("state=busy", "E_BAD_REQUEST", 400),
        ("sort=colour", "E_BAD_REQUEST", 400),
        ("limit=0", "E_BAD_REQUEST", 400),
        ("limit=-1", "E_BAD_REQUEST", 400),
        ("limit=99999999999999999999", "E_BAD_REQUEST", 400),
        ("needs_action=perhaps", "E_BAD_REQUEST", 400),
        ("page=nonsense", "E_BAD_REQUEST", 400),
        ("target=nobody", "E_TARGET_NOT_FOUND", 404),
        ("target=a%2Fb", "E_BAD_REQUEST", 400),
        ("target_session=local", "E_REF_INVALID", 400),
        ("target_session=local%2Fa%25zz", "E_REF_INVALID_ENCODING", 400),
    ] {
        for scope in ["panes", "windows", "sessions"] {
            let path = format!("/v1/{scope}?{query}");
            let error = envelope(&daemon.api().get(&path), status, &path);
            let found = error["code"].as_str().unwrap();
            // A page token is a cursor of its own kind.
            let fits = found == code || (query.starts_with("page") && found == "E_CURSOR_INVALID");
            assert!(fits, "{path}: {error}");
        }
    }
}

#[test]
fn tc_018_malformed_bodies_are_refused_and_change_nothing() {
    let (_env, daemon, pane) = scene();
    let good = json!({
        "event_type": "task-started", "source": "hook", "dedupe_key": "k", "target": "local",
        "pane_id": pane,
    });
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body.to_string().into_bytes()
    };
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"\"text\"".to_vec(),
        b"\xff\xfe".to_vec(),
        deep.into_bytes(),
        good.to_string().replace("\"k\"", "\"k\",\"dedupe_key\":\"l\"").into_bytes(),
        with("no_such_field", json!(1)),
        with("source", json!("rumour")),
        with("source", json!(["hook"])),
        with("dedupe_key", json!("")),
        with("dedupe_key", json!(7)),
        with("event_type", json!("")),
        with("event_type", json!("x".repeat(1000))),
        with("event_time", json!("yesterday")),
        with("pane_id", json!("0")),
        with("pane_id", json!(0)),
        with("pid", json!(-1)),
        with("source_seq", json!(1.5)),
        with("source_seq", json!("1")),
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(100)]).into_owned();
        let headers = [("content-type", "application/json")];
        let reply = daemon.api().send("POST", "/v1/events", &headers, &body);
        let error = envelope(&reply, 400, &shown);
        assert_eq!(error["code"], "E_BAD_REQUEST", "{shown}");
    }
    assert_ne!(deck::listed(daemon.api(), &pane)["state"], "running");
    for body in [json!({}), json!({ "name": "x" }), json!({ "name": "x", "kind": "docker" })] {
        envelope(&daemon.api().post("/v1/targets", &body), 400, &body.to_string());
    }
    assert_eq!(deck::items(daemon.api(), "/v1/targets").len(), 1);
}

#[test]
fn a_body_beyond_the_limit_is_refused_without_being_kept() {
    let (_env, daemon, _pane) = scene();
    for route in ROUTES.iter().filter(|it| it.id.shape().request.is_some()) {
        let what = format!("{} {}", route.method, route.path);
        let limit = match route.path {
            api::routes::ACTION_SEND => api::limits::SEND_BODY_BYTES_MAX,
            _ => api::limits::BODY_BYTES_MAX,
        };
        let large = vec![b' '; limit + 1];
        let reply = daemon.api().send(route.method.as_str(), route.path, &[], &large);
        let error = envelope(&reply, 413, &what);
        assert_eq!(error["code"], "E_BODY_TOO_LARGE", "{what}");
    }
}

#[test]
fn tc_018_requests_that_no_client_makes_are_refused_with_an_envelope() {
    let (_env, daemon, _pane) = scene();
    let long = format!("GET /v1/panes?session={} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("GET /v1/health HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(10_000));
    for request in [
        b"GET\r\n\r\n".to_vec(),
        b"{}\r\n\r\n".to_vec(),
        b"GET /v1/health HTTP/9.9\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET /v1/health HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"
            .to_vec(),
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec(),
        long.into_bytes(),
        many.into_bytes(),
    ] {
        let shown = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
        let mut reply = daemon.api().raw(&request).unwrap_or_else(|it| panic!("{shown}: {it}"));
        let status = reply.status;
        assert!((400..500).contains(&status), "{shown}: {status}");
        let body = reply.read_to_end().unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"], "E_BAD_REQUEST", "{shown}: {body}");
        assert!(!body["error"]["hint"].as_str().unwrap().is_empty(), "{shown}");
    }
    assert_eq!(daemon.api().get("/v1/health").status, 200);
}

#[test]
fn a_client_that_never_ends_its_request_is_cut_and_blocks_nobody() {
    let (_env, daemon, _pane) = scene();
    let slow: Vec<_> = (0..64)
        .map(|_| {
            let mut socket =
                std::os::unix::net::UnixStream::connect(daemon.api().socket()).unwrap();
            std::io::Write::write_all(&mut socket, b"GET /v1/hea").unwrap();
            socket
        })
        .collect();
    let begun = wait::now();
    assert_eq!(daemon.api().get("/v1/health").status, 200);
    assert!(begun.elapsed().as_secs() < 2);
    drop(slow);
}

#[test]
fn unknown_runtimes_targets_and_references_are_not_found() {
    let (_env, daemon, _pane) = scene();
    let api = daemon.api();
    let nobody = "0".repeat(64);
    for (method, path, code, status) in [
        ("GET", format!("/v1/runtimes/{nobody}"), "E_REF_NOT_FOUND", 404),
        ("GET", format!("/v1/runtimes/{nobody}/explain"), "E_REF_NOT_FOUND", 404),
        ("GET", "/v1/runtimes/short".to_owned(), "E_REF_INVALID", 400),
        ("POST", "/v1/targets/nobody/connect".to_owned(), "E_TARGET_NOT_FOUND", 404),
        ("DELETE", "/v1/targets/nobody".to_owned(), "E_TARGET_NOT_FOUND", 404),
        ("DELETE", "/v1/targets/local".to_owned(), "E_TARGET_PROTECTED", 409),
        ("GET", "/v1/resolve?ref=%254711".to_owned(), "E_REF_NOT_FOUND", 404),
        ("GET", "/v1/resolve".to_owned(), "E_BAD_REQUEST", 400),
        ("GET", format!("/v1/resolve?ref={}", encoded("pane:local/x")), "E_REF_INVALID", 400),
        (
            "GET",
            format!("/v1/resolve?ref={}", encoded("pane:local/%zz/@1/%1")),
            "E_REF_INVALID_ENCODING",
            400,
        ),
    ] {
        let error = envelope(&api.send(method, &path, &[], b""), status, &path);
        assert_eq!(error["code"], code, "{method} {path}: {error}");
    }
}

#[test]
fn an_ambiguous_reference_is_refused_with_its_candidates() {
    let (env, daemon, pane) = scene();
    let other = env.tmux_at("other.sock");
    assert_eq!(other.session("there", "exec cat"), pane, "the same id on another server");
    let socket = env.path("other.sock").display().to_string();
    env.qd(&["target", "add", "second", "--kind", "local", "--tmux-socket", &socket]).success();
    wait::until("both are listed", || {
        (deck::items(daemon.api(), "/v1/panes").len() == 2).then_some(())
    });
    let path = format!("/v1/resolve?ref={}", encoded(&pane));
    let error = envelope(&daemon.api().get(&path), 409, &path);
    assert_eq!(error["code"], "E_REF_AMBIGUOUS");
    assert_eq!(error["details"]["total"], 2, "{error}");
    let said = env.qd(&["explain", &pane]).fails_with(5);
    assert!(said.contains("local") && said.contains("second"), "{said}");
    let reference = error["details"]["candidates"][0]["ref"].as_str().unwrap();
    let path = format!("/v1/resolve?ref={}", encoded(reference));
    assert_eq!(daemon.api().get(&path).status, 200);
}

#[test]
fn every_route_of_the_table_answers_a_good_request() {
    let (_env, daemon, pane) = scene();
    let api = daemon.api();
    let runtime = deck::runtime_of(&deck::listed(api, &pane));
    for route in ROUTES {
        let value = if route.path.contains("{id}") { runtime.as_str() } else { "local" };
        let mut path = path(route, value);
        if route.path == api::routes::RESOLVE {
            path.push_str("?ref=");
            path.push_str(&encoded(&pane));
        }
        if route.path == api::routes::WATCH {
            path += "?once";
        }
        let answered = match (route.method, route.path) {
            // No action was taken yet, and nobody asked for an approval.
            (
                Method::Get,
                api::routes::ACTION | api::routes::ACTION_EVENTS | api::routes::APPROVAL,
            ) => None,
            (Method::Get, _) => Some(api.get(&path)),
            (Method::Post, api::routes::TARGET_CONNECT) => Some(api.send("POST", &path, &[], b"")),
            // These are tested where their effects are.
            (Method::Post | Method::Delete, _) => None,
        };
        let Some(reply) = answered else { continue };
        assert_eq!(reply.status, route.status, "{path}: {}", reply.text());
        let first = reply.text().lines().next().unwrap_or_default().to_owned();
        let body: Value = serde_json::from_str(&first).unwrap_or_else(|_| reply.json());
        assert_eq!(body["schema_version"], "v1", "{path}: {body}");
    }
}

#[test]
fn a_request_that_comes_in_pieces_is_answered_like_any_other() {
    let (_env, daemon, _pane) = scene();
    let mut socket = std::os::unix::net::UnixStream::connect(daemon.api().socket()).unwrap();
    for piece in ["GET /v1/he", "alth HTTP/1.1\r\nho", "st: x\r\nconnection: close\r\n", "\r\n"] {
        std::io::Write::write_all(&mut socket, piece.as_bytes()).unwrap();
    }
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut socket, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn an_endless_stream_is_given_up_when_its_reader_goes() {
    let (_env, daemon, _pane) = scene();
    let watchers = |api: &Http| api.get("/v1/health").expect(200)["watchers"].as_u64().unwrap();
    let before = watchers(daemon.api());
    let mut streams: Vec<_> =
        (0..10).map(|_| daemon.api().stream("/v1/watch?scope=panes", &[])).collect();
    for stream in &mut streams {
        assert!(matches!(stream.next_line(wait::BOUND), Next::Line(_)));
    }
    assert_eq!(watchers(daemon.api()), before + 10);
    drop(streams);
    wait::until("all are given up", || (watchers(daemon.api()) == before).then_some(()));
}
