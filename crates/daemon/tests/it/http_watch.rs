//! The watch stream.

use crate::http_world::{World, pane};

#[test]
fn a_stream_begins_with_a_snapshot_and_goes_on_with_every_change() {
    let world = World::showing(vec![pane(1)]);
    let mut stream = world.watch("");
    assert_eq!(stream.header("content-type"), Some("application/x-ndjson"));
    let snapshot = stream.frame();
    assert_eq!(snapshot["type"], "snapshot");
    assert_eq!(snapshot["items"].as_array().unwrap().len(), 1);
    world.show(vec![pane(1), pane(2)]);
    let delta = stream.frame();
    assert_eq!(delta["type"], "delta");
    assert_eq!(delta["changes"][0]["op"], "upsert");
    assert_eq!(delta["changes"][0]["identity"]["pane_id"], "%2");
    assert_eq!(delta["summary"]["total"], 2);
    world.show(vec![pane(2)]);
    let delta = stream.frame();
    assert_eq!(delta["changes"][0]["op"], "delete");
    assert_eq!(delta["changes"][0]["identity"]["session_name"], "work");
}
