//! Targets over the API: added, listed, probed, removed.

use engine::input::Observation;
use serde_json::{Value, json};

use crate::http_world::{LOCAL, World, pane};

fn add(world: &World, body: &Value) -> testkit::Reply {
    world.http.post("/v1/targets", body)
}

#[test]
fn tc_014_a_target_is_added_listed_and_removed() {
    let world = World::showing(vec![pane(1)]);
    let body = json!({ "name": "build", "kind": "local", "tmux_socket": "other" });
    let added = add(&world, &body).expect(201);
    let target = &added["target"];
    assert_eq!((&target["name"], &target["connection_ref"]), (&json!("build"), &json!("other")));
    assert!(target["target_id"].as_str().unwrap().starts_with("tg-"));
    let names = |world: &World| {
        let list = world.get("/v1/targets");
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&world), ["build", "local"]);
    let id = target["target_id"].as_str().unwrap();
    world.show_on(id, vec![pane(1), pane(2)]);
    assert_eq!(world.get("/v1/panes?target=build")["summary"]["total"], 2);
    let removed = world.http.delete("/v1/targets/build");
    assert_eq!((removed.status, removed.body.len()), (204, 0));
    assert_eq!(names(&world), ["local"]);
    assert_eq!(world.get("/v1/panes")["summary"]["total"], 1);
    assert_eq!(world.http.delete("/v1/targets/build").error(404), "E_TARGET_NOT_FOUND");
}

#[test]
fn names_and_servers_are_taken_once() {
    let world = World::new();
    let build =
        |name: &str, socket: &str| json!({ "name": name, "kind": "local", "tmux_socket": socket });
    assert_eq!(add(&world, &build("build", "other")).status, 201);
    assert_eq!(add(&world, &build("build", "third")).error(409), "E_TARGET_EXISTS");
    let twin = add(&world, &build("twin", "other")).expect(409);
    assert_eq!(twin["error"]["code"], "E_TARGET_DUPLICATE_SERVER");
    assert_eq!(twin["error"]["details"]["target"], "build");
    // The default server by the name that tmux has for it.
    assert_eq!(add(&world, &build("same", "default")).error(409), "E_TARGET_DUPLICATE_SERVER");
}

#[test]
fn what_cannot_be_a_target_is_refused() {
    let world = World::new();
    for (body, status, code) in [
        (json!({ "name": "-x", "kind": "local" }), 400, "E_BAD_REQUEST"),
        (json!({ "name": "a/b", "kind": "local" }), 400, "E_BAD_REQUEST"),
        (json!({ "name": "b", "kind": "vax" }), 400, "E_BAD_REQUEST"),
        (json!({ "name": "b", "kind": "local", "tmux_socket": "" }), 400, "E_BAD_REQUEST"),
        (json!({ "name": "b", "kind": "local", "tmux_socket": "a\nb" }), 400, "E_BAD_REQUEST"),
        (json!({ "name": "b", "kind": "ssh" }), 400, "E_BAD_REQUEST"),
        (json!({ "name": "b", "kind": "ssh", "ssh_target": "-oX=y" }), 400, "E_BAD_REQUEST"),
        (json!({ "name": "b", "kind": "command" }), 400, "E_BAD_REQUEST"),
        (json!({ "name": "b", "kind": "command", "command": [] }), 400, "E_BAD_REQUEST"),
    ] {
        assert_eq!(add(&world, &body).error(status), code, "{body}");
    }
    assert_eq!(world.get("/v1/targets")["items"].as_array().unwrap().len(), 1);
}

#[test]
fn the_default_target_stays() {
    let world = World::new();
    assert_eq!(world.http.delete("/v1/targets/local").error(409), "E_TARGET_PROTECTED");
    assert_eq!(world.http.delete("/v1/targets/a%2Fb").error(400), "E_BAD_REQUEST");
    assert_eq!(world.http.delete("/v1/targets/%ff").error(400), "E_BAD_REQUEST");
}

/// Asks for a connection while `look` stands in for the observer, which looks when it is told to.
fn connecting<T>(world: &World, look: impl Fn() -> T) -> testkit::Reply {
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| world.http.send("POST", "/v1/targets/local/connect", &[], b""));
        while !answer.is_finished() {
            drop(look());
            std::thread::yield_now();
        }
        answer.join().unwrap()
    })
}

#[test]
fn connecting_answers_with_what_was_found() {
    let world = World::showing(vec![pane(1)]);
    assert_eq!(
        world.http.post("/v1/targets/nowhere/connect", &json!(null)).error(404),
        "E_TARGET_NOT_FOUND"
    );
    let answer = connecting(&world, || world.see(LOCAL, Observation::Unchanged)).expect(200);
    assert_eq!(answer["target"]["health"], "ok");
    let refused = connecting(&world, || world.lose(LOCAL)).expect(502);
    assert_eq!(refused["error"]["code"], "E_TARGET_UNREACHABLE");
    assert_eq!(refused["error"]["details"]["reason"], "E_TARGET_UNREACHABLE");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(!message.contains("within"), "it says what failed, not how long it waited: {message}");
    let answer = connecting(&world, || world.see(LOCAL, Observation::Unchanged)).expect(200);
    assert_eq!(answer["target"]["health"], "down", "it answered once, and is not well yet");
}
