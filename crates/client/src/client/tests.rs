//! The client against scripted daemons.

use std::sync::atomic::{AtomicU32, Ordering};

use api::words::Source;
use tempfile::TempDir;

use super::*;
use crate::fake::{Act, Fake, Start, block_on, place_in};

const OURS: &str = "0.2.0";
const OLDER: &str = "0.1.0";
const NEWER: &str = "0.10.0";

/// No process has that number, so it counts as ended.
const HEALTH: &str = r#"{"pid":4294967295}"#;

fn client(folder: &TempDir) -> Client {
    Client::new(place_in(folder.path())).with_version(OURS.parse().unwrap())
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn ok(body: &str) -> Act {
    Act::Answer(200, body.to_owned())
}

fn error(code: &str) -> String {
    format!(
        r#"{{"schema_version":"v1","generated_at":"2026-11-21T15:33:42.007Z",
            "error":{{"code":"{code}","message":"no","details":{{}},"hint":"do"}}}}"#
    )
}

fn event() -> EventEnvelope {
    serde_json::from_value(serde_json::json!({
        "event_type": "x", "source": Source::Hook, "dedupe_key": "k", "target": "local",
        "pane_id": "%1",
    }))
    .unwrap()
}

#[test]
fn one_connection_carries_every_request_and_greets_with_each() {
    let folder = folder();
    let fake = Fake::start(folder.path(), OURS, |_| ok(HEALTH));
    let mut client = client(&folder);
    block_on(async {
        client.health().await.unwrap();
        let text = client.health().await.unwrap();
        assert_eq!(text.json().unwrap(), HEALTH, "as it came over the wire");
        assert!(text.read().is_err(), "and not a whole answer");
        client.emit(&event()).await.unwrap();
    });
    let seen = fake.seen();
    assert_eq!(fake.asked(), ["GET /v1/health", "GET /v1/health", "POST /v1/events"]);
    assert!(seen.iter().all(|it| it.version.as_deref() == Some(OURS)), "{seen:?}");
    assert!(seen[2].body.contains(r#""dedupe_key":"k""#), "{}", seen[2].body);
}

#[test]
fn without_a_daemon_and_a_starter_it_says_where_it_looked() {
    let folder = folder();
    let error = block_on(client(&folder).health()).unwrap_err();
    assert_eq!(error.code, ErrorCode::DaemonUnreachable);
    assert!(error.message.contains("qd.sock"), "{error}");
}

#[test]
fn a_daemon_is_started_on_demand() {
    let folder = folder();
    let path = folder.path().to_owned();
    let start = Start::by(move || {
        Fake::start(&path, OURS, |_| ok(HEALTH));
        Ok(())
    });
    let mut client = client(&folder).with_starter(start);
    assert_eq!(block_on(client.health()).unwrap().json().unwrap(), HEALTH);
}

#[test]
fn the_reason_why_a_daemon_does_not_start_is_what_the_user_reads() {
    let folder = folder();
    let start = Start::by(|| Err(ClientError::new(ErrorCode::DbNewer, "too new")));
    let error = block_on(client(&folder).with_starter(start).health()).unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (ErrorCode::DbNewer, "too new"));
}

#[test]
fn whoever_loses_the_race_to_start_uses_the_winners_daemon() {
    let folder = folder();
    let path = folder.path().to_owned();
    let start = Start::by(move || {
        let path = path.clone();
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(30));
            Fake::start(&path, OURS, |_| ok(HEALTH));
        });
        Err(ClientError::new(ErrorCode::DaemonRunning, "somebody was faster"))
    });
    assert!(block_on(client(&folder).with_starter(start).health()).is_ok());
}

#[test]
fn a_daemon_that_is_found_through_its_lock_is_not_started_again() {
    let (here, there) = (folder(), folder());
    Fake::start(there.path(), OURS, |_| ok(HEALTH));
    let lock = format!(r#"{{"pid":1,"socket":"{}"}}"#, there.path().join("qd.sock").display());
    std::fs::write(here.path().join("qd.lock"), lock).unwrap();
    let start = Start::by(|| panic!("one runs already"));
    assert!(block_on(client(&here).with_starter(start).health()).is_ok());
}

#[test]
fn a_newer_client_replaces_an_older_daemon_before_it_writes() {
    let folder = folder();
    let old = Fake::start(folder.path(), OLDER, |seen| match seen.what.as_str() {
        "POST /v1/shutdown" => Act::Last(200, "{}".to_owned()),
        _ => ok(HEALTH),
    });
    let path = folder.path().to_owned();
    let new = Arc::new(std::sync::Mutex::new(None));
    let slot = Arc::clone(&new);
    let start = Start::by(move || {
        *slot.lock().unwrap() = Some(Fake::start(&path, OURS, |_| ok(HEALTH)));
        Ok(())
    });
    let mut client = client(&folder).with_starter(start);
    block_on(client.emit(&event())).unwrap();
    let asked = old.asked();
    assert_eq!(asked, ["GET /v1/health", "GET /v1/health", "POST /v1/shutdown"], "no event");
    assert!(old.seen()[2].body.contains("upgrade"));
    let asked = new.lock().unwrap().as_ref().unwrap().asked();
    assert_eq!(asked.last().unwrap(), "POST /v1/events");
}

#[test]
fn an_older_daemon_is_left_alone_by_who_cannot_start_another() {
    let folder = folder();
    let fake = Fake::start(folder.path(), OLDER, |_| ok(HEALTH));
    let error = block_on(client(&folder).health()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Version);
    assert_eq!(fake.asked(), ["GET /v1/health"]);
    assert!(block_on(client(&folder).with_any_version().health()).is_ok());
}

#[test]
fn an_older_client_refuses_to_work_with_a_newer_daemon() {
    let folder = folder();
    Fake::start(folder.path(), NEWER, |_| ok(HEALTH));
    let start = Start::by(|| panic!("one runs already"));
    let error = block_on(client(&folder).with_starter(start).health()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Version);
    assert!(error.message.contains(NEWER) && error.message.contains(OURS), "{error}");
}

#[test]
fn a_read_is_repeated_when_the_daemon_dies_under_it_and_a_write_is_not() {
    let folder = folder();
    let mut hung: Vec<String> = Vec::new();
    let fake = Fake::start(folder.path(), OURS, move |seen| {
        let fresh = !seen.what.contains("health") && !hung.contains(&seen.what);
        if fresh {
            hung.push(seen.what.clone());
            return Act::Hangup;
        }
        ok(HEALTH)
    });
    let mut client = client(&folder);
    block_on(async {
        client.ask::<()>(&Ask::get("/v1/panes")).await.unwrap();
        let error = client.emit(&event()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::OutcomeUnknown);
    });
    let events = fake.asked().iter().filter(|it| it.contains("events")).count();
    assert_eq!(events, 1);
}

#[test]
fn a_daemon_that_is_shutting_down_is_waited_for_and_a_new_one_is_started() {
    let folder = folder();
    let old = Fake::start(folder.path(), OURS, |_| Act::Last(503, error("E_SHUTTING_DOWN")));
    let path = folder.path().to_owned();
    let start = Start::by(move || {
        Fake::start(&path, OURS, |_| ok(HEALTH));
        Ok(())
    });
    assert!(block_on(client(&folder).with_starter(start).health()).is_ok());
    assert_eq!(old.asked(), ["GET /v1/health"]);
}

#[test]
fn an_error_arrives_with_code_and_hint_and_is_not_repeated() {
    let folder = folder();
    let fake = Fake::start(folder.path(), OURS, |_| Act::Answer(404, error("E_TARGET_NOT_FOUND")));
    let error = block_on(client(&folder).health()).unwrap_err();
    assert_eq!((error.code, error.hint.as_str()), (ErrorCode::TargetNotFound, "do"));
    assert_eq!(fake.asked().len(), 1);
}

#[test]
fn all_pages_of_a_list_become_one_unless_one_was_asked_for() {
    let folder = folder();
    let page = |next: &str, item: &str| {
        let summary = serde_json::to_string(&api::list::Summary::empty()).unwrap();
        let filters = serde_json::to_string(&api::filters::Filters::default()).unwrap();
        format!(
            r#"{{"schema_version":"v1","generated_at":"2026-11-21T15:33:42.007Z","as_of":1,
            "filters":{filters},"summary":{summary},"partial":false,"requested_targets":[],
            "responded_targets":[],"target_errors":[],"warnings":[],"items":[{item}],"next_page":{next}}}"#
        )
    };
    let session = r#"{"identity":{"target":null,"session_id":null,"session_name":"S"},
        "attached":0,"top_state":"idle","top_category":"idle","total_windows":1,"total_panes":1,
        "by_state":{},"by_agent":{},"by_category":{},"targets":[],"agents":null}"#;
    let first = page("\"two\"", &session.replace('S', "a"));
    let second = page("null", &session.replace('S', "b"));
    let fake = Fake::start(folder.path(), OURS, move |seen| {
        ok(if seen.what.contains("page=two") { &second } else { &first })
    });
    let mut client = client(&folder);
    block_on(async {
        let whole = client.sessions(&SessionsQuery::default()).await.unwrap().read().unwrap();
        let names: Vec<_> = whole.items.iter().map(|it| &it.identity.session_name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(whole.next_page, None);
        let list = ListQuery { limit: Some(1), ..ListQuery::default() };
        let query = SessionsQuery { list, ..SessionsQuery::default() };
        let one = client.sessions(&query).await.unwrap().read().unwrap();
        assert_eq!(one.next_page.as_deref(), Some("two"));
    });
    assert_eq!(fake.asked().len(), 3);
}

#[test]
fn stopping_waits_for_the_end_and_finds_nothing_to_stop_the_second_time() {
    let folder = folder();
    let starts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&starts);
    let start = Start::by(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let fake = Fake::start(folder.path(), OLDER, |seen| match seen.what.as_str() {
        "POST /v1/shutdown" => Act::Last(200, "{}".to_owned()),
        _ => ok(HEALTH),
    });
    let mut client = client(&folder).with_starter(start);
    block_on(async {
        assert_eq!(client.stop().await.unwrap(), Some(u32::MAX), "of whatever version");
        assert_eq!(client.stop().await.unwrap(), None);
    });
    assert!(fake.seen()[1].body.contains("stop"));
    assert_eq!(starts.load(Ordering::SeqCst), 0);
}
