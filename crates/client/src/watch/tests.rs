//! The watcher against scripted daemons.

use std::path::Path;

use api::watch::ResetReason;
use tempfile::TempDir;

use super::*;
use crate::fake::{Act, Fake, Start, block_on, place_in};

const VERSION: &str = "0.2.0";

fn frame(kind: &str, sequence: u64, rest: &str) -> String {
    format!(r#"{{"type":"{kind}","cursor":"s:{sequence}","sequence":{sequence}{rest}}}"#)
}

fn reset(reason: &str, sequence: u64) -> String {
    frame("reset", sequence, &format!(r#","reason":"{reason}","terminal":true"#))
}

fn watch(folder: &TempDir, once: bool) -> Watch {
    let client = Client::new(place_in(folder.path())).with_version(VERSION.parse().unwrap());
    client.watch(WatchQuery { once, ..WatchQuery::default() })
}

/// What a watcher says, in short, until it has said so many things or ends.
fn follow(mut watch: Watch, steps: usize) -> Vec<String> {
    block_on(async {
        let mut said = Vec::new();
        while said.len() < steps {
            match watch.next().await {
                Ok(Some(Step::Frame(frame))) => {
                    let cursor = frame.cursor().sequence();
                    said.push(match frame.kind() {
                        FrameKind::Snapshot => format!("snapshot {cursor}"),
                        FrameKind::Delta => format!("delta {cursor}"),
                        FrameKind::Reset(reason) => format!("reset {reason}"),
                    });
                }
                Ok(Some(Step::Paused(pause))) => said.push(format!("{pause:?}")),
                Ok(None) => {
                    said.push("end".to_owned());
                    break;
                }
                Err(error) => {
                    said.push(error.code.to_string());
                    break;
                }
            }
        }
        said
    })
}

/// A daemon that answers each request for the stream with the next act of the script.
fn script(folder: &Path, version: &'static str, acts: Vec<Act>) -> Fake {
    let mut acts = acts.into_iter();
    Fake::start(folder, version, move |_| acts.next().unwrap_or(Act::Hangup))
}

#[test]
fn once_ends_when_the_stream_does() {
    let folder = tempfile::tempdir().unwrap();
    let lines = vec![frame("snapshot", 5, ""), String::new(), frame("delta", 6, "")];
    let fake = script(folder.path(), VERSION, vec![Act::Lines(lines)]);
    assert_eq!(follow(watch(&folder, true), 9), ["snapshot 5", "delta 6", "end"]);
    assert_eq!(fake.asked(), ["GET /v1/watch?once=true"]);
}

#[test]
fn tc_019_a_cut_connection_is_resumed_after_the_last_whole_frame() {
    let folder = tempfile::tempdir().unwrap();
    let acts = vec![
        Act::Cut(vec![frame("snapshot", 5, ""), frame("delta", 6, "")]),
        Act::Cut(vec![frame("delta", 7, "")]),
        Act::Lines(vec![frame("delta", 8, "")]),
    ];
    let fake = script(folder.path(), VERSION, acts);
    assert_eq!(follow(watch(&folder, false), 4), ["snapshot 5", "delta 6", "delta 7", "delta 8"]);
    let asked = fake.asked();
    assert_eq!(asked, ["GET /v1/watch", "GET /v1/watch?cursor=s:6", "GET /v1/watch?cursor=s:7"]);
}

#[test]
fn tc_051_after_a_stop_it_waits_for_the_next_daemon_and_starts_none() {
    let folder = tempfile::tempdir().unwrap();
    let first = vec![frame("snapshot", 5, ""), reset("shutdown", 5)];
    script(folder.path(), VERSION, vec![Act::LastLines(first)]);
    let path = folder.path().to_owned();
    let later = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        script(&path, VERSION, vec![Act::Lines(vec![frame("delta", 6, "")])])
    });
    let mut watch = watch(&folder, false);
    watch.starter = Some(Start::by(|| panic!("nobody wants one")));
    let said = follow(watch, 4);
    assert_eq!(said, ["snapshot 5", "reset shutdown", "Stopped", "delta 6"]);
    assert_eq!(later.join().unwrap().asked(), ["GET /v1/watch?cursor=s:5"]);
}

#[test]
fn a_slow_watcher_is_taken_up_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let acts = vec![
        Act::Lines(vec![frame("snapshot", 5, ""), reset("slow", 5)]),
        Act::Lines(vec![frame("delta", 6, "")]),
    ];
    script(folder.path(), VERSION, acts);
    assert_eq!(follow(watch(&folder, false), 3), ["snapshot 5", "reset slow", "delta 6"]);
}

#[test]
fn a_watcher_goes_on_with_a_newer_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let first = vec![frame("snapshot", 5, ""), reset("upgraded", 5)];
    script(folder.path(), VERSION, vec![Act::LastLines(first)]);
    let path = folder.path().to_owned();
    let later = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        script(&path, "0.9.0", vec![Act::Lines(vec![frame("delta", 6, "")])])
    });
    let said = follow(watch(&folder, false), 4);
    assert_eq!(said, ["snapshot 5", "reset upgraded", "Upgraded", "delta 6"]);
    assert_eq!(later.join().unwrap().seen()[0].version, None, "it asks for no version");
}

#[test]
fn tc_020_an_expired_cursor_leads_to_a_fresh_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let expired = r#"{"schema_version":"v1","generated_at":"2026-11-21T15:33:42.007Z","error":
        {"code":"E_CURSOR_EXPIRED","message":"m","details":{},"hint":"h"}}"#;
    let acts = vec![
        Act::Lines(vec![reset("expired", 5)]),
        Act::Lines(vec![frame("snapshot", 9, "")]),
        Act::Answer(410, expired.to_owned()),
        Act::Lines(vec![frame("snapshot", 10, "")]),
    ];
    let fake = script(folder.path(), VERSION, acts);
    let said = follow(watch(&folder, false), 3);
    assert_eq!(
        said,
        [format!("reset {}", ResetReason::Expired), "snapshot 9".into(), "snapshot 10".into()]
    );
    let asked = fake.asked();
    assert_eq!(asked[1], "GET /v1/watch");
    assert_eq!(asked[2..], ["GET /v1/watch?cursor=s:9", "GET /v1/watch"]);
}

#[test]
fn a_daemon_that_died_is_started_again_when_nobody_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let first = vec![frame("snapshot", 5, "")];
    script(folder.path(), VERSION, vec![Act::LastLines(first)]);
    let path = folder.path().to_owned();
    let start = Start::by(move || {
        Fake::start(&path, VERSION, |seen| match seen.what.as_str() {
            "GET /v1/health" => Act::Answer(200, "{}".to_owned()),
            _ => Act::Lines(vec![frame("delta", 6, "")]),
        });
        Ok(())
    });
    let mut watch = watch(&folder, false);
    watch.starter = Some(start);
    assert_eq!(follow(watch, 3), ["snapshot 5", "Lost", "delta 6"]);
}

#[test]
fn what_time_does_not_heal_ends_the_watch() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(follow(watch(&folder, false), 1), ["E_DAEMON_UNREACHABLE"], "at the beginning");
    let bad = r#"{"schema_version":"v1","generated_at":"2026-11-21T15:33:42.007Z","error":
        {"code":"E_CURSOR_INVALID","message":"m","details":{},"hint":"h"}}"#;
    script(folder.path(), VERSION, vec![Act::Answer(400, bad.to_owned())]);
    assert_eq!(follow(watch(&folder, false), 1), ["E_CURSOR_INVALID"]);
}
