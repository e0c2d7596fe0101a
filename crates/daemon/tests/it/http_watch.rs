//! The watch stream: nothing missing, nothing twice, whatever happens in between.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;

use api::panes::PaneItem;
use api::sessions::SessionItem;
use api::watch::{ResetReason, WatchFrame, Watched};
use api::windows::WindowItem;
use engine::ids::PaneId;
use engine::input::{Input, Observation};
use engine::pane::PaneFacts;
use serde_json::{Value, json};
use testkit::{Next, Stream, wait};

use crate::http_world::{LOCAL, World, agent_pane, in_session, in_window, pane};

/// What a client of the stream holds: the items by what tells them apart, folded frame by frame.
#[derive(Default)]
struct Folded {
    items: BTreeMap<String, Value>,
    sequence: u64,
    cursor: String,
    /// Every change that was told, by the sequence of its frame.
    told: Vec<(u64, Value)>,
    resets: Vec<String>,
}

impl Folded {
    fn key(identity: &Value) -> String {
        let id = ["pane_id", "window_id", "session_id"];
        let id = id.iter().find_map(|name| identity[*name].as_str()).unwrap();
        format!("{}{id}", identity["target"].as_str().unwrap())
    }

    #[track_caller]
    fn take(&mut self, frame: &Value) {
        let sequence = frame["sequence"].as_u64().unwrap();
        let kind = frame["type"].as_str().unwrap();
        match kind {
            "snapshot" => {
                let items = frame["items"].as_array().unwrap().iter();
                self.items =
                    items.map(|item| (Self::key(&item["identity"]), item.clone())).collect();
            }
            "delta" => {
                assert!(sequence > self.sequence, "{sequence} after {}", self.sequence);
                for change in frame["changes"].as_array().unwrap() {
                    self.change(change);
                    self.told.push((sequence, change.clone()));
                }
            }
            "reset" => self.resets.push(frame["reason"].as_str().unwrap().to_owned()),
            other => panic!("a frame of type {other}"),
        }
        assert!(sequence >= self.sequence, "{sequence} after {}", self.sequence);
        let cursor = frame["cursor"].as_str().unwrap();
        assert_eq!(cursor, format!("{}:{sequence}", frame["stream_id"].as_str().unwrap()));
        cursor.clone_into(&mut self.cursor);
        self.sequence = sequence;
    }

    fn change(&mut self, change: &Value) {
        let key = Self::key(&change["identity"]);
        match change["op"].as_str().unwrap() {
            "upsert" => {
                assert_eq!(change["identity"], change["item"]["identity"]);
                self.items.insert(key, change["item"].clone());
            }
            "delete" => {
                self.items.remove(&key);
            }
            other => panic!("a change that is {other}"),
        }
    }

    /// Takes everything up to a sequence.
    #[track_caller]
    fn follow(&mut self, stream: &mut Stream, through: u64) {
        while self.sequence < through {
            self.take(&stream.frame());
        }
    }

    /// Takes everything until it holds what a list shows, and then whatever is left.
    #[track_caller]
    fn catch_up(&mut self, stream: &mut Stream, world: &World, list: &str) {
        let list = world.get(list);
        wait::until("the stream to tell what the list shows", || {
            self.take_all(stream);
            self.is(&list).then_some(())
        });
    }

    /// Takes what is there.
    #[track_caller]
    fn take_all(&mut self, stream: &mut Stream) {
        loop {
            match stream.next_line(Duration::from_millis(20)) {
                Next::Line(line) => self.take(&serde_json::from_str(&line).unwrap()),
                Next::Silent | Next::Ended => return,
                Next::Broken => panic!("the stream broke"),
            }
        }
    }

    /// Takes everything up to the end.
    #[track_caller]
    fn finish(&mut self, stream: &mut Stream) {
        loop {
            match stream.next_line(wait::BOUND) {
                Next::Line(line) => self.take(&serde_json::from_str(&line).unwrap()),
                Next::Ended => return,
                other @ (Next::Broken | Next::Silent) => panic!("{other:?}"),
            }
        }
    }

    /// The items as a list shows them, without what is volatile.
    fn settled(items: impl Iterator<Item = Value>) -> BTreeMap<String, Value> {
        items
            .map(|mut item| {
                let key = Self::key(&item["identity"]);
                for volatile in ["last_seen_at", "last_activity_at"] {
                    item.as_object_mut().unwrap().remove(volatile);
                }
                if let Some(known) = item["last_known"].as_object_mut() {
                    known.remove("age_ms");
                }
                (key, item)
            })
            .collect()
    }

    fn is(&self, list: &Value) -> bool {
        let mine = Self::settled(self.items.values().cloned());
        mine == Self::settled(list["items"].as_array().unwrap().iter().cloned())
    }
}

/// A stream of chance, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(bound)).unwrap()
    }
}

/// A tmux that changes in every way panes, windows, sessions and agents can.
struct Churn {
    chance: Chance,
    panes: BTreeMap<u32, PaneFacts>,
    next: u32,
    keys: u32,
    kept: Option<u32>,
}

impl Churn {
    fn new(seed: u64) -> Self {
        Self { chance: Chance(seed), panes: BTreeMap::new(), next: 1, keys: 0, kept: None }
    }

    /// A pane that stays.
    fn keep(&mut self, number: u32) {
        self.panes.insert(number, pane(number));
        self.kept = Some(number);
        self.next = number + 1;
    }

    fn any(&mut self) -> Option<u32> {
        let count = u32::try_from(self.panes.len()).unwrap();
        let place = self.chance.below(count.max(1)) as usize;
        self.panes.keys().nth(place).copied()
    }

    /// One change, whatever it is.
    fn step(&mut self, world: &World) {
        let number = self.any();
        match (self.chance.below(10), number) {
            (0..=2, _) | (_, None) => self.open(),
            (3, Some(number)) if self.kept == Some(number) => return,
            (3, Some(number)) => drop(self.panes.remove(&number)),
            (4, Some(number)) => {
                let facts = self.panes.get_mut(&number).unwrap();
                let window = self.chance.below(4) + 1;
                *facts = in_window(window, number, facts.clone());
            }
            (5, Some(number)) => {
                let session = self.panes[&number].session;
                let name = format!("renamed {}", self.chance.below(3));
                for facts in self.panes.values_mut().filter(|it| it.session == session) {
                    facts.session_name.clone_from(&name);
                }
            }
            (6, Some(number)) => {
                let title = format!("title {}", self.chance.below(100));
                self.panes.get_mut(&number).unwrap().title = title;
            }
            (7, Some(number)) => {
                let panes = vec![PaneId(number)];
                world.see(LOCAL, Observation::Printed { panes });
                return;
            }
            (_, Some(number)) => {
                self.keys += 1;
                let kinds =
                    ["task-started", "needs-input", "agent-error", "coffee", "turn-finished"];
                let kind = kinds[self.chance.below(5) as usize];
                world.hook(number, kind, &format!("k{}", self.keys));
                return;
            }
        }
        world.show(self.panes.values().cloned().collect());
    }

    fn open(&mut self) {
        let number = self.next;
        self.next += 1;
        let fresh =
            if self.chance.below(2) == 0 { pane(number) } else { agent_pane(number, "claude") };
        let session = self.chance.below(3) + 1;
        let name = self
            .panes
            .values()
            .find(|it| it.session.0 == session)
            .map_or_else(|| format!("session {session}"), |it| it.session_name.clone());
        self.panes.insert(number, in_session(session, &name, fresh));
    }
}

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

#[test]
fn tc_019_who_follows_any_scope_with_any_filters_holds_what_the_lists_show() {
    let queries = [
        ("panes", ""),
        ("panes", "&state=running,waiting_input"),
        ("panes", "&agent=claude&needs_action=false"),
        ("panes", "&session=renamed%200"),
        ("windows", ""),
        ("windows", "&category=attention"),
        ("sessions", ""),
        ("sessions", "&state=error"),
    ];
    let (world, mut churn) = (World::showing(vec![]), Churn::new(7));
    let mut watchers: Vec<_> = queries
        .iter()
        .map(|(scope, filters)| {
            let stream = world.watch(&format!("?scope={scope}{filters}"));
            (stream, Folded::default())
        })
        .collect();
    for _ in 0..6 {
        (0..25).for_each(|_| churn.step(&world));
        for ((scope, filters), (stream, folded)) in queries.iter().zip(&mut watchers) {
            let list = format!("/v1/{scope}?{}", filters.trim_start_matches('&'));
            folded.catch_up(stream, &world, &list);
            assert_eq!(folded.resets, [""; 0], "{scope}{filters}");
        }
    }
}

#[test]
fn tc_019_a_resumed_stream_has_no_gap_and_no_duplicate() {
    let (world, mut churn) = (World::showing(vec![pane(1)]), Churn::new(11));
    churn.keep(1);
    let mut whole = Folded::default();
    let mut steady = world.watch("");
    let mut broken = Folded::default();
    whole.take(&steady.frame());
    let mut cursor = String::new();
    for round in 0..20 {
        // Every other round the feed is kept alive by the steady watcher only.
        let mut stream = world.watch(&cursor);
        (0..5).for_each(|_| churn.step(&world));
        if round % 3 == 0 {
            broken.take(&stream.frame());
        } else {
            broken.take_all(&mut stream);
        }
        drop(stream);
        (0..5).for_each(|_| churn.step(&world));
        cursor = format!("?cursor={}", broken.cursor);
    }
    let through = world.hook(1, "coffee", "the last")["sequence"].as_u64().unwrap();
    broken.follow(&mut world.watch(&cursor), through);
    whole.follow(&mut steady, through);
    assert_eq!(broken.resets, [""; 0]);
    assert_eq!(summed(&broken.told), summed(&whole.told));
}

/// What was told, as far as two watchers of the same changes must agree.
fn summed(told: &[(u64, Value)]) -> Vec<(u64, String, String)> {
    told.iter()
        .map(|(sequence, change)| {
            let key = Folded::key(&change["identity"]);
            (*sequence, key, change["op"].as_str().unwrap().to_owned())
        })
        .collect()
}

/// Follows a world to its end once without a break, and once with a break at which nobody else
/// watched, so that the journal has to tell.
#[track_caller]
fn resume_from_the_journal(query: &str, list: &str, seed: u64, restart: bool) -> Folded {
    let (mut world, mut churn) = (World::showing(vec![]), Churn::new(seed));
    (0..30).for_each(|_| churn.step(&world));
    let mut folded = Folded::default();
    folded.take(&world.watch(&format!("?{query}")).frame());
    wait::until("the watcher to be gone", || {
        (world.get("/v1/health")["watchers"] == 0).then_some(())
    });
    (0..30).for_each(|_| churn.step(&world));
    if restart {
        world.restart();
    }
    (0..10).for_each(|_| churn.step(&world));
    let mut stream = world.watch(&format!("?{query}&cursor={}", folded.cursor));
    (0..10).for_each(|_| churn.step(&world));
    folded.catch_up(&mut stream, &world, list);
    folded
}

#[test]
fn tc_019_what_nobody_watched_is_told_from_the_journal() {
    for seed in 0..8 {
        let folded = resume_from_the_journal("scope=panes", "/v1/panes", seed, false);
        assert_eq!(folded.resets, [""; 0]);
        let gone = folded.told.iter().filter(|(_, change)| change["op"] == "delete");
        for (_, change) in gone {
            assert!(change["identity"]["session_name"].as_str().is_some_and(|it| !it.is_empty()));
        }
    }
}

#[test]
fn tc_019_filters_hold_also_for_what_the_journal_tells() {
    for seed in 20..26 {
        resume_from_the_journal(
            "state=running,error",
            "/v1/panes?state=running,error",
            seed,
            false,
        );
        let list = "/v1/panes?session=renamed%200";
        resume_from_the_journal("session=renamed%200", list, seed, false);
    }
}

#[test]
fn tc_051_a_restart_of_the_daemon_loses_nothing() {
    for seed in 30..34 {
        let folded = resume_from_the_journal("scope=panes", "/v1/panes", seed, true);
        assert_eq!(folded.resets, [""; 0], "the journal outlives the daemon");
        resume_from_the_journal("scope=windows", "/v1/windows", seed, true);
        resume_from_the_journal("scope=sessions", "/v1/sessions", seed, true);
    }
}

#[test]
fn tc_051_a_graceful_end_is_told_and_the_cursor_is_good_for_the_next_daemon() {
    for (reason, word) in [(ResetReason::Shutdown, "shutdown"), (ResetReason::Upgraded, "upgraded")]
    {
        let mut world = World::showing(vec![pane(1)]);
        let (mut stream, mut folded) = (world.watch(""), Folded::default());
        folded.take(&stream.frame());
        world.stop(reason);
        let reset = stream.frame();
        assert_eq!((&reset["type"], &reset["reason"]), (&json!("reset"), &json!(word)));
        assert_eq!(reset["terminal"], true);
        assert!(matches!(stream.next_line(Duration::from_secs(5)), Next::Ended));
        folded.take(&reset);
        world.start();
        let mut stream = world.watch(&format!("?cursor={}", folded.cursor));
        world.show(vec![pane(1), pane(2)]);
        let delta = stream.frame();
        assert_eq!(delta["type"], "delta");
        folded.take(&delta);
        assert!(folded.is(&world.get("/v1/panes")));
    }
}

#[test]
fn tc_020_a_cursor_out_of_retention_gets_a_reset_and_a_snapshot() {
    let world = World::aged();
    let mut stream = world.watch("?cursor=db-test:2");
    let reset = stream.frame();
    assert_eq!((&reset["type"], &reset["reason"]), (&json!("reset"), &json!("expired")));
    assert_eq!(reset["terminal"], false);
    let snapshot = stream.frame();
    assert_eq!(snapshot["type"], "snapshot");
    assert_eq!(snapshot["items"][0]["identity"]["pane_id"], "%20");
    assert_eq!(snapshot["cursor"], reset["cursor"]);
    world.show(vec![]);
    assert_eq!(stream.frame()["changes"][0]["op"], "delete");
}

#[test]
fn tc_020_a_cursor_of_another_database_or_from_the_future_gets_a_reset() {
    let world = World::showing(vec![pane(1)]);
    for (cursor, reason) in [("other:1", "other_database"), ("db-test:999999", "expired")] {
        for scope in ["panes", "windows", "sessions"] {
            let mut stream = world.watch(&format!("?scope={scope}&cursor={cursor}"));
            let reset = stream.frame();
            assert_eq!((&reset["type"], &reset["reason"]), (&json!("reset"), &json!(reason)));
            assert_eq!(stream.frame()["type"], "snapshot");
        }
    }
}

#[test]
fn a_stream_tells_when_nothing_is_stored_any_more_and_when_it_is_again() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    let codes = |frame: &Value| {
        let warnings = frame["warnings"].as_array().cloned().unwrap_or_default();
        warnings.iter().map(|it| it["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for scope in ["panes", "sessions"] {
        let mut stream = world.watch(&format!("?scope={scope}"));
        let snapshot = stream.frame();
        assert_eq!(codes(&snapshot), [""; 0], "{snapshot}");
        world.set_disk(Some(ErrorKind::StorageFull));
        let event = json!({
            "event_type": "x", "source": "hook", "dedupe_key": scope, "target": "local",
            "pane_id": "%1",
        });
        assert_eq!(world.http.post("/v1/events", &event).error(507), "E_STORE_FULL");
        let told = stream.frame();
        assert_eq!((codes(&told), &told["changes"]), (vec!["store_failing".into()], &json!([])));
        let cursor = told["cursor"].as_str().unwrap();
        let late = world.watch(&format!("?scope={scope}&cursor={cursor}")).frame();
        assert_eq!(codes(&late), ["store_failing"], "who comes back learns it too: {late}");
        world.set_disk(None);
        world.emit(&event);
        let next = stream.frame();
        assert_eq!(codes(&next), [""; 0], "{next}");
    }
}

#[test]
fn once_ends_as_soon_as_it_has_caught_up() {
    let world = World::showing(vec![pane(1)]);
    for scope in ["panes", "windows", "sessions"] {
        let mut stream = world.watch(&format!("?once&scope={scope}"));
        let snapshot = stream.frame();
        assert_eq!((&snapshot["type"], &snapshot["scope"]), (&json!("snapshot"), &json!(scope)));
        assert!(matches!(stream.next_line(Duration::from_secs(5)), Next::Ended), "{scope}");
    }
    let cursor = world.watch("?once").frame()["cursor"].as_str().unwrap().to_owned();
    world.show(vec![pane(1), pane(2)]);
    world.show(vec![pane(2)]);
    let mut stream = world.watch(&format!("?once&cursor={cursor}"));
    assert_eq!(stream.frame()["changes"][0]["identity"]["pane_id"], "%2");
    assert_eq!(stream.frame()["changes"][0]["identity"]["pane_id"], "%1");
    assert!(matches!(stream.next_line(Duration::from_secs(5)), Next::Ended));
}

#[test]
fn what_stops_to_fit_is_deleted_and_comes_back_when_it_fits() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    let mut stream = world.watch("?needs_action");
    assert_eq!(stream.frame()["items"], json!([]));
    world.hook(1, "needs-input", "k1");
    let delta = stream.frame();
    assert_eq!(
        (&delta["changes"][0]["op"], &delta["summary"]["total"]),
        (&json!("upsert"), &json!(1))
    );
    world.hook(1, "task-started", "k2");
    let delta = stream.frame();
    assert_eq!(
        (&delta["changes"][0]["op"], &delta["summary"]["total"]),
        (&json!("delete"), &json!(0))
    );
    assert_eq!(delta["filters"]["needs_action"], true);
}

#[test]
fn a_rename_is_one_upsert_of_each_pane_and_a_lost_target_of_each_too() {
    let world = World::showing(vec![pane(1), pane(2)]);
    let (mut stream, mut folded) = (world.watch(""), Folded::default());
    folded.take(&stream.frame());
    let renamed = vec![in_session(1, "new", pane(1)), in_session(1, "new", pane(2))];
    let settled = world.show(renamed);
    folded.follow(&mut stream, settled.as_of);
    let names: Vec<_> = folded.items.values().map(|it| &it["identity"]["session_name"]).collect();
    assert_eq!(names, ["new", "new"]);
    world.lose(LOCAL);
    folded.catch_up(&mut stream, &world, "/v1/panes");
    assert!(folded.items.values().all(|it| it["reason_code"] == "target_unreachable"));
    assert_eq!(folded.told.len(), 4);
}

#[test]
fn roll_ups_come_once_for_each_publication_and_only_when_they_differ() {
    let world = World::showing(vec![pane(1), in_window(1, 1, pane(2))]);
    let mut windows = world.watch("?scope=windows");
    let mut sessions = world.watch("?scope=sessions");
    windows.frame();
    sessions.frame();
    // A title is nothing that a window or a session shows.
    let titled = PaneFacts { title: "other".to_owned(), ..pane(1) };
    world.show(vec![titled.clone(), in_window(1, 1, pane(2))]);
    world.show(vec![
        titled,
        in_window(1, 1, pane(2)),
        in_window(1, 2, pane(3)),
        in_window(2, 0, pane(4)),
    ]);
    let delta = windows.frame();
    let changes = delta["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 2, "one frame tells of both windows");
    assert_eq!(
        (&changes[0]["item"]["total_panes"], &delta["summary"]["total"]),
        (&json!(3), &json!(4))
    );
    assert_eq!(sessions.frame()["changes"][0]["item"]["total_panes"], 4);
    world.show(vec![]);
    assert_eq!(windows.frame()["changes"].as_array().unwrap().len(), 2);
    assert_eq!(sessions.frame()["changes"][0]["op"], "delete");
}

#[test]
fn browsers_get_events_with_ids_to_go_on_from() {
    let world = World::showing(vec![pane(1)]);
    let accept = ("accept", "text/event-stream");
    let mut stream = world.http.stream("/v1/watch", &[accept]);
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    let event = |stream: &mut Stream| {
        let mut lines = Vec::new();
        while let Next::Line(line) = stream.next_line(Duration::from_secs(5)) {
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        lines
    };
    let snapshot = event(&mut stream);
    assert_eq!(snapshot[1], "event: snapshot");
    let data: Value = serde_json::from_str(snapshot[2].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(snapshot[0], format!("id: {}", data["sequence"]));
    drop(stream);
    world.show(vec![pane(1), pane(2)]);
    let last = snapshot[0].strip_prefix("id: ").unwrap();
    let mut stream = world.http.stream("/v1/watch", &[accept, ("last-event-id", last)]);
    let delta = event(&mut stream);
    assert_eq!(delta[1], "event: delta");
    assert!(delta[2].contains("\"%2\""), "{delta:?}");
    let other = "/v1/watch?cursor=another-database:1";
    let mut stream = world.http.stream(other, &[accept, ("last-event-id", last)]);
    assert_eq!(event(&mut stream)[1], "event: reset", "a bare number is of the query's stream");
    let bad = world.http.send("GET", "/v1/watch", &[accept, ("last-event-id", "x")], b"");
    assert_eq!(bad.error(400), "E_CURSOR_INVALID");
}

#[test]
fn tc_045_every_frame_is_one_that_the_contract_knows() {
    #[track_caller]
    fn check<I: Watched>(stream: &mut Stream) {
        while let Next::Line(line) = stream.next_line(Duration::from_millis(300)) {
            let frame: WatchFrame<I> = serde_json::from_str(&line).unwrap();
            let (written, read) =
                (serde_json::to_value(&frame).unwrap(), line.parse::<Value>().unwrap());
            assert_eq!(written, read, "nothing is there that the contract does not name");
        }
    }
    let (world, mut churn) = (World::showing(vec![]), Churn::new(3));
    let mut streams =
        ["panes", "windows", "sessions"].map(|it| world.watch(&format!("?scope={it}")));
    (0..40).for_each(|_| churn.step(&world));
    world.lose(LOCAL);
    check::<PaneItem>(&mut streams[0]);
    check::<WindowItem>(&mut streams[1]);
    check::<SessionItem>(&mut streams[2]);
}

#[test]
fn who_stops_reading_is_cut_with_a_cursor_and_slows_nobody() {
    let world = World::showing((1..=100).map(pane).collect());
    let mut stopped = world.watch("");
    let mut steady = world.watch("");
    let (mut behind, mut ahead) = (Folded::default(), Folded::default());
    behind.take(&stopped.frame());
    ahead.take(&steady.frame());
    let as_of = || world.get("/v1/panes")["as_of"].as_u64().unwrap();
    // More than the socket's buffers and the backlog of a watcher hold together.
    for round in 0..40 {
        let panes = (1..=100)
            .map(|number| PaneFacts { window_name: format!("round {round}"), ..pane(number) });
        let through = world.show(panes.collect()).as_of;
        ahead.follow(&mut steady, through);
    }
    assert_eq!(ahead.sequence, as_of());
    behind.finish(&mut stopped);
    assert_eq!(behind.resets, ["slow"]);
    assert!(behind.sequence < ahead.sequence);
    let mut resumed = world.watch(&format!("?cursor={}", behind.cursor));
    behind.follow(&mut resumed, ahead.sequence);
    assert_eq!(summed(&behind.told), summed(&ahead.told), "nothing is missing and nothing twice");
    assert!(behind.is(&world.get("/v1/panes")));
}

#[test]
fn a_burst_in_one_commit_cuts_nobody_who_reads() {
    let world = World::showing(vec![]);
    let (mut stream, mut folded) = (world.watch(""), Folded::default());
    let settled = world.show((1..=700).map(pane).collect());
    folded.follow(&mut stream, settled.as_of);
    assert_eq!((folded.items.len(), folded.told.len()), (700, 700));
    world.show(vec![]);
    folded.catch_up(&mut stream, &world, "/v1/panes");
    assert_eq!((folded.items.len(), folded.resets.len()), (0, 0));
}

#[test]
fn a_hundred_watchers_all_see_everything() {
    let world = World::showing(vec![agent_pane(1, "claude")]);
    let mut watchers: Vec<_> = (0..100).map(|_| (world.watch(""), Folded::default())).collect();
    assert_eq!(world.get("/v1/health")["watchers"], 100);
    let target = engine::ids::TargetId::new(LOCAL);
    let sights = (0..200).map(|round: u32| {
        let title = format!("window {round}");
        let panes = vec![PaneFacts { window_name: title, ..agent_pane(1, "claude") }];
        let sessions = crate::http_world::sessions(LOCAL, &panes);
        Input::Observed { target: target.clone(), sight: world.topology(LOCAL, sessions, panes) }
    });
    world.send_all(sights.collect());
    let through = world.hook(1, "needs-input", "k1")["sequence"].as_u64().unwrap();
    for (stream, folded) in &mut watchers {
        folded.follow(stream, through);
        assert_eq!(folded.resets, [""; 0]);
        assert_eq!(folded.told.len(), 201);
    }
    drop(watchers);
    wait::until("all of them to be gone", || {
        (world.get("/v1/health")["watchers"] == 0).then_some(())
    });
}
