//! Everything that can be wrong with a request, on every route, in one envelope.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use api::error_code::ErrorCode;
use api::routes::{Method, ROUTES, Route};
use serde_json::{Value, json};
use testkit::Reply;

use crate::http_world::{World, pane};

/// The envelope, whole and well-formed, with a code that belongs to its status.
#[track_caller]
fn envelope(reply: &Reply) -> Value {
    assert_eq!(reply.header("content-type"), Some("application/json"), "{}", reply.text());
    assert_eq!(reply.header("qd-version"), Some(daemon::http::VERSION));
    let body = reply.json();
    assert_eq!(body["schema_version"], "v1");
    assert!(body["generated_at"].is_string() && body["error"]["details"].is_object(), "{body}");
    assert!(body["error"]["message"].as_str().is_some_and(|it| !it.is_empty()), "{body}");
    assert!(body["error"]["hint"].as_str().is_some_and(|it| it.ends_with('.')), "{body}");
    let code: ErrorCode = body["error"]["code"].as_str().unwrap().parse().unwrap();
    assert_eq!(code.http_status(), reply.status, "{body}");
    body
}

/// A path of a route that its variable cannot spoil.
fn path(route: &Route) -> String {
    let value = match route.variable() {
        Some("name") => "local",
        Some("id") => "rt-00000000000000000000000000000000",
        other => other.unwrap_or(""),
    };
    api::routes::fill(route.path, value)
}

#[test]
fn tc_018_every_kind_of_refusal_is_one_envelope() {
    let world = World::showing(vec![pane(1)]);
    let cases = [
        ("/v1/panes?sates=idle", 400, "E_BAD_REQUEST"),
        ("/v1/panes?state=busy", 400, "E_BAD_REQUEST"),
        ("/v1/panes?limit=0", 400, "E_BAD_REQUEST"),
        ("/v1/panes?sort=size", 400, "E_BAD_REQUEST"),
        ("/v1/panes?page=zz", 400, "E_BAD_REQUEST"),
        ("/v1/panes?session=%zz", 400, "E_BAD_REQUEST"),
        ("/v1/panes?target=local&all_targets", 400, "E_BAD_REQUEST"),
        ("/v1/panes?target=nowhere", 404, "E_TARGET_NOT_FOUND"),
        ("/v1/panes?target_session=local", 400, "E_REF_INVALID"),
        ("/v1/panes?target_session=local/%25zz", 400, "E_REF_INVALID_ENCODING"),
        ("/v1/windows?sort=agent", 400, "E_BAD_REQUEST"),
        ("/v1/sessions?group_by=target", 400, "E_BAD_REQUEST"),
        ("/v1/watch?cursor=7", 400, "E_CURSOR_INVALID"),
        ("/v1/watch?cursor=db-test:-1", 400, "E_CURSOR_INVALID"),
        ("/v1/watch?cursor=db-test:x", 400, "E_CURSOR_INVALID"),
        ("/v1/watch?cursor=db-test:99999999999999999999", 400, "E_CURSOR_INVALID"),
        ("/v1/watch?scope=agents", 400, "E_BAD_REQUEST"),
        ("/v1/watch?target=nowhere", 404, "E_TARGET_NOT_FOUND"),
        ("/v1/resolve", 400, "E_BAD_REQUEST"),
        ("/v1/resolve?ref=", 400, "E_BAD_REQUEST"),
        ("/v1/resolve?ref=x", 400, "E_REF_INVALID"),
        ("/v1/resolve?ref=pane:local/a/1/2", 400, "E_REF_INVALID"),
        ("/v1/resolve?ref=pane:local/a%25zz/@1/%251", 400, "E_REF_INVALID_ENCODING"),
        ("/v1/resolve?ref=pane:nowhere/a/@1/%251", 404, "E_TARGET_NOT_FOUND"),
        ("/v1/resolve?ref=%257", 404, "E_REF_NOT_FOUND"),
        ("/v1/runtimes/short", 400, "E_REF_INVALID"),
        ("/v1/runtimes/rt-00000000000000000000000000000000", 404, "E_REF_NOT_FOUND"),
        ("/v1/runtimes/rt-00000000000000000000000000000000/explain", 404, "E_REF_NOT_FOUND"),
        ("/v1/runtimes/%ff%ff%ff%ff%ff%ff%ff%ff%ff%ff%ff%ff%ff%ff%ff%ff", 400, "E_BAD_REQUEST"),
        ("/v1/pane", 404, "E_ROUTE_NOT_FOUND"),
        ("/v1/panes/", 404, "E_ROUTE_NOT_FOUND"),
        ("/", 404, "E_ROUTE_NOT_FOUND"),
        ("/v2/panes", 404, "E_ROUTE_NOT_FOUND"),
    ];
    for (path, status, code) in cases {
        let reply = world.http.get(path);
        assert_eq!(
            (reply.status, envelope(&reply)["error"]["code"].as_str()),
            (status, Some(code)),
            "{path}"
        );
    }
}

#[test]
fn a_misspelt_key_and_a_misspelt_path_are_told_what_was_meant() {
    let world = World::new();
    let key = envelope(&world.http.get("/v1/panes?sesion=x"));
    assert_eq!(key["error"]["details"], json!({ "parameter": "sesion", "nearest": "session" }));
    let path = envelope(&world.http.get("/v1/panse"));
    assert_eq!(path["error"]["details"]["nearest"], "/v1/panes");
}

#[test]
fn every_route_refuses_an_unknown_query_key() {
    let world = World::new();
    for route in ROUTES {
        let body = match route.method {
            Method::Post => b"{}".as_slice(),
            Method::Get | Method::Delete => b"",
        };
        let path = format!("{}?colour=red", path(route));
        let reply = world.http.send(route.method.as_str(), &path, &[], body);
        let body = envelope(&reply);
        assert_eq!(body["error"]["code"], "E_BAD_REQUEST", "{}", route.operation);
        assert_eq!(body["error"]["details"]["parameter"], "colour", "{}", route.operation);
    }
}

#[test]
fn every_path_refuses_other_methods_and_names_its_own() {
    let world = World::new();
    for route in ROUTES {
        let own: Vec<_> =
            ROUTES.iter().filter(|it| it.path == route.path).map(|it| it.method.as_str()).collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "FROB"] {
            if own.contains(&method) {
                continue;
            }
            let reply = world.http.send(method, &path(route), &[], b"");
            let body = envelope(&reply);
            assert_eq!(body["error"]["code"], "E_METHOD_NOT_ALLOWED", "{method} {}", route.path);
            let allowed = reply.header("allow").unwrap();
            assert!(own.iter().all(|method| allowed.contains(method)), "{allowed}");
        }
    }
}

#[test]
fn every_route_that_takes_a_body_refuses_a_bad_one() {
    let world = World::new();
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(api::limits::SEND_BODY_BYTES_MAX));
    for route in ROUTES.iter().filter(|route| route.id.shape().request.is_some()) {
        for (body, status, code) in [
            ("", 400, "E_BAD_REQUEST"),
            ("{", 400, "E_BAD_REQUEST"),
            ("[]", 400, "E_BAD_REQUEST"),
            ("{}{}", 400, "E_BAD_REQUEST"),
            ("{\"colour\":1}", 400, "E_BAD_REQUEST"),
            (&long, 413, "E_BODY_TOO_LARGE"),
        ] {
            let shown = &body[..body.len().min(20)];
            let reply = world.http.send("POST", &path(route), &[], body.as_bytes());
            let body = envelope(&reply);
            assert_eq!(
                (reply.status, body["error"]["code"].as_str()),
                (status, Some(code)),
                "{shown}"
            );
        }
        let chunked = b"transfer-encoding: chunked\r\n".to_vec();
        let mut request = format!("POST {} HTTP/1.1\r\nhost: x\r\n", path(route)).into_bytes();
        request.extend(chunked);
        request.extend(format!("\r\n{:x}\r\n", long.len()).into_bytes());
        request.extend(long.as_bytes());
        request.extend(b"\r\n0\r\n\r\n");
        let answered = world.http.raw(&request).unwrap();
        assert_eq!(answered.status, 413, "a body of unknown length is bounded too");
    }
}

/// Most clients write all they have before they read.
#[test]
fn whoever_writes_a_whole_request_before_reading_is_told_why_it_is_refused() {
    let world = World::showing(vec![pane(1)]);
    let long = vec![b' '; 8 * 1024 * 1024];
    for (line, body, status) in [
        ("POST /v1/events", &long[..], 413),
        ("POST /v1/nope", &long[..], 404),
        ("PUT /v1/panes", &long[..], 405),
        ("DELETE /v1/targets/nope", b"{}", 404),
    ] {
        let mut stream = UnixStream::connect(world.http.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut answers = BufReader::new(stream.try_clone().unwrap());
        // The second request on the same connection finds its own head, not what was left of the first.
        for _ in 0..2 {
            let head =
                format!("{line} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
            assert_eq!(answered(&mut answers), status, "{line}");
        }
    }
}

/// Reads one answer, and gives its status.
fn answered(answers: &mut BufReader<UnixStream>) -> u16 {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        if line == "\r\n" {
            break;
        }
        head.push(line.to_ascii_lowercase());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().trim().parse().unwrap()];
    answers.read_exact(&mut body).unwrap();
    head[0].split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn an_unknown_field_is_named_with_its_place() {
    let world = World::new();
    let reply = world.http.post("/v1/targets", &json!({ "name": "b", "kind": "local", "host": 1 }));
    let body = envelope(&reply);
    assert_eq!(body["error"]["details"]["field"], "host");
    let typed = world.http.post(
        "/v1/events",
        &json!({ "event_type": "x", "source": "hook", "dedupe_key": "k", "pid": "7" }),
    );
    assert_eq!(envelope(&typed)["error"]["details"]["field"], "pid");
}

#[test]
fn a_query_is_bounded() {
    let world = World::new();
    let long = format!("/v1/panes?session={}", "x".repeat(api::limits::QUERY_BYTES_MAX));
    assert_eq!(world.http.get(&long).error(400), "E_BAD_REQUEST");
    let many = format!("/v1/panes?{}", "state=idle&".repeat(api::limits::QUERY_PAIRS_MAX + 1));
    assert_eq!(world.http.get(&many).error(400), "E_BAD_REQUEST");
}
