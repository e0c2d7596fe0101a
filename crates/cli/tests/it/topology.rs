//! Every kind of change that tmux can show reaches a watcher, as one upsert or one delete of the
//! pane that tmux's own ids name.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use testkit::{Daemon, TestEnv, wait};

use crate::deck::{self, Watch, deck};

/// A deck that watches a session `work` with one pane, and a watcher that has seen it.
struct Scene {
    watch: Watch,
    daemon: Daemon,
    pane: String,
    env: TestEnv,
}

/// The pane runs a shell, which the test can tell to do things.
fn scene() -> Scene {
    let env = deck();
    let pane = env.tmux().session("work", "exec sh");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    let (watch, _) = Watch::panes(daemon.api());
    Scene { watch, daemon, pane, env }
}

fn identity<'a>(item: &'a Value, field: &str) -> &'a Value {
    &item["identity"][field]
}

#[test]
fn a_new_session_window_and_pane_appear() {
    let mut it = scene();
    let tmux = it.env.tmux();
    let session = tmux.session("other", "exec cat");
    let seen = it.watch.upsert_of(&session, "session", |_| true);
    assert_eq!(identity(&seen, "session_name"), "other");
    let window = tmux.window("work", "build", "exec cat");
    let seen = it.watch.upsert_of(&window, "window", |item| item["window_name"] == "build");
    assert_eq!(identity(&seen, "session_name"), "work");
    let split = tmux.split(&window, "exec cat");
    let beside = it.watch.upsert_of(&split, "pane", |_| true);
    assert_eq!(identity(&beside, "window_id"), identity(&seen, "window_id"));
}

#[test]
fn a_pane_a_window_and_a_session_that_are_killed_go_away() {
    let mut it = scene();
    let tmux = it.env.tmux();
    let split = tmux.split(&it.pane, "exec cat");
    let window = tmux.window("work", "build", "exec cat");
    let session = tmux.session("other", "exec cat");
    for id in [&split, &window, &session] {
        it.watch.upsert_of(id, "there", |_| true);
    }
    tmux.ok(&["kill-pane", "-t", &split]);
    it.watch.delete_of(&split);
    tmux.ok(&["kill-window", "-t", &window]);
    it.watch.delete_of(&window);
    tmux.ok(&["kill-session", "-t", "=other"]);
    it.watch.delete_of(&session);
    assert!(deck::pane(it.daemon.api(), &it.pane).is_some(), "the first one stays");
}

#[test]
fn a_pane_whose_program_ends_by_itself_goes_away() {
    let mut it = scene();
    let split = it.env.tmux().split(&it.pane, "exec sh");
    it.watch.upsert_of(&split, "there", |_| true);
    it.env.tmux().type_line(&split, "exit 3");
    it.watch.delete_of(&split);
}

#[test]
fn renames_of_session_and_window_are_one_upsert_each_of_the_same_pane() {
    let mut it = scene();
    let tmux = it.env.tmux();
    let before = deck::listed(it.daemon.api(), &it.pane);
    tmux.ok(&["rename-session", "-t", "=work", "play"]);
    let renamed =
        it.watch.upsert_of(&it.pane, "session", |item| item["identity"]["session_name"] == "play");
    assert_eq!(deck::runtime_of(&before), deck::runtime_of(&renamed));
    tmux.ok(&["rename-window", "-t", &it.pane, "editor"]);
    it.watch.upsert_of(&it.pane, "window", |item| item["window_name"] == "editor");
    assert!(it.watch.changes.iter().all(|(_, it)| it["op"] == "upsert"), "{:#?}", it.watch.changes);
}

#[test]
fn panes_that_are_joined_broken_off_moved_and_swapped_keep_their_runtime() {
    let mut it = scene();
    let tmux = it.env.tmux();
    let moved = tmux.window("work", "two", "exec cat");
    let other = tmux.session("other", "exec cat");
    let item = it.watch.upsert_of(&moved, "there", |_| true);
    let other_item = it.watch.upsert_of(&other, "there", |_| true);
    let (runtime, home) = (deck::runtime_of(&item), identity(&item, "window_id").clone());
    let same = |seen: &Value| assert_eq!(deck::runtime_of(seen), runtime);

    tmux.ok(&["join-pane", "-d", "-s", &moved, "-t", &it.pane]);
    let window = tmux.show(&it.pane, "#{window_id}");
    same(&it.watch.upsert_of(&moved, "joined", |item| identity(item, "window_id") == &*window));

    tmux.ok(&["break-pane", "-d", "-s", &moved]);
    let broken = tmux.show(&moved, "#{window_id}");
    assert_ne!(home, *broken);
    same(&it.watch.upsert_of(&moved, "broken off", |it| identity(it, "window_id") == &*broken));

    tmux.ok(&["move-window", "-d", "-s", &broken, "-t", "other:"]);
    same(&it.watch.upsert_of(&moved, "moved", |it| identity(it, "session_name") == "other"));

    tmux.ok(&["swap-pane", "-d", "-s", &moved, "-t", &other]);
    let swapped = tmux.show(&moved, "#{window_id}");
    same(&it.watch.upsert_of(&moved, "swapped", |it| identity(it, "window_id") == &*swapped));
    let seen = it.watch.upsert_of(&other, "swapped", |it| identity(it, "window_id") == &*broken);
    assert_eq!(deck::runtime_of(&seen), deck::runtime_of(&other_item));
}

#[test]
fn a_pane_of_a_linked_window_counts_once_and_outlives_one_of_its_sessions() {
    let it = scene();
    let tmux = it.env.tmux();
    tmux.session("other", "exec cat");
    let window = tmux.show(&it.pane, "#{window_id}");
    tmux.ok(&["link-window", "-d", "-s", &window, "-t", "other:"]);
    let api = it.daemon.api();
    let linked = deck::pane_where(api, &it.pane, "linked", |item| {
        item["linked_sessions"].as_array().is_some_and(|it| it.len() == 1)
    });
    assert_eq!(identity(&linked, "session_name"), "work");
    let count = |id: &str| {
        let all = deck::items(api, "/v1/panes");
        all.iter().filter(|it| it["identity"]["pane_id"] == id).count()
    };
    assert_eq!(count(&it.pane), 1);
    let runtime = deck::runtime_of(&deck::listed(api, &it.pane));
    tmux.ok(&["kill-session", "-t", "=work"]);
    let seen = deck::pane_where(api, &it.pane, "in the other session", |item| {
        item["identity"]["session_name"] == "other"
    });
    assert_eq!(deck::runtime_of(&seen), runtime);
    assert_eq!(count(&it.pane), 1);
}

#[test]
fn size_title_path_and_command_follow() {
    let mut it = scene();
    let tmux = it.env.tmux();
    tmux.ok(&["resize-window", "-t", &it.pane, "-x", "101", "-y", "31"]);
    it.watch.upsert_of(&it.pane, "size", |item| item["width"] == 101 && item["height"] == 31);
    tmux.type_line(&it.pane, r"printf '\033]2;a title\007'");
    it.watch.upsert_of(&it.pane, "title", |item| item["pane_title"] == "a title");
    let folder = it.env.path("home/deep er");
    fs::create_dir(&folder).unwrap();
    tmux.type_line(&it.pane, "cd 'deep er'");
    it.watch.upsert_of(&it.pane, "path", |item| item["current_path"] == folder.to_str().unwrap());
    tmux.type_line(&it.pane, "cat");
    it.watch.upsert_of(&it.pane, "command", |item| item["current_cmd"] == "cat");
    it.watch.forget_the_past();
    tmux.ok(&["send-keys", "-t", &it.pane, "C-c"]);
    it.watch.upsert_of(&it.pane, "the shell again", |item| item["current_cmd"] == "sh");
}

#[test]
fn a_bell_is_seen_also_in_a_session_that_nobody_attached() {
    let mut it = scene();
    let tmux = it.env.tmux();
    let quiet = tmux.window("work", "quiet", "exec sh");
    it.watch.upsert_of(&quiet, "there", |item| item["bell"] == false);
    tmux.type_line(&quiet, r"printf '\007'");
    it.watch.upsert_of(&quiet, "bell", |item| item["bell"] == true);
}

#[test]
fn a_pane_that_remains_after_its_program_is_dead_with_its_status() {
    let mut it = scene();
    let tmux = it.env.tmux();
    let id = tmux.window("work", "remains", "exec sh");
    tmux.ok(&["set-option", "-w", "-t", &id, "remain-on-exit", "on"]);
    let alive = it.watch.upsert_of(&id, "there", |_| true);
    assert_eq!(alive["pane_dead"], false, "{alive}");
    tmux.type_line(&id, "exit 7");
    let dead = it.watch.upsert_of(&id, "dead", |item| item["pane_dead"] == true);
    assert_eq!(dead["runtime_id"], Value::Null, "no process, no runtime: {dead}");
    it.watch.upsert_of(&id, "status", |item| item["dead_status"] == 7);
    it.watch.forget_the_past();
    tmux.ok(&["respawn-pane", "-t", &id, "exec cat"]);
    let again = it.watch.upsert_of(&id, "alive again", |item| item["pane_dead"] == false);
    assert_ne!(deck::runtime_of(&again), deck::runtime_of(&alive));
}

#[test]
fn activity_moves_a_panes_time_without_filling_the_journal() {
    let it = scene();
    let api = it.daemon.api();
    let before = deck::listed(api, &it.pane);
    it.env.tmux().type_line(&it.pane, "for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.05; done");
    deck::pane_where(api, &it.pane, "activity", |item| {
        item["last_activity_at"].is_string()
            && item["last_activity_at"] != before["last_activity_at"]
    });
}

#[test]
fn a_thousand_changes_later_the_view_equals_what_tmux_says() {
    let it = scene();
    let tmux = it.env.tmux();
    for round in 0..40 {
        let name = format!("w{round}");
        let id = tmux.window("work", &name, "exec cat");
        tmux.split(&id, "exec cat");
        tmux.ok(&["rename-window", "-t", &id, &format!("r{round}")]);
        match round % 4 {
            0 => tmux.ok(&["kill-pane", "-t", &id]),
            1 => tmux.ok(&["respawn-pane", "-k", "-t", &id, "exec cat"]),
            2 => tmux.ok(&["swap-pane", "-d", "-s", &id, "-t", &it.pane]),
            _ => tmux.ok(&["break-pane", "-d", "-s", &id]),
        };
    }
    converges(&it.env, &it.daemon);
}

#[test]
fn tc_041_churn_while_the_daemon_is_killed_again_and_again_still_converges() {
    let env = deck();
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    for round in 0..6 {
        let daemon = env.daemon();
        deck::listed(daemon.api(), &pane);
        let id = tmux.window("work", &format!("w{round}"), "exec cat");
        tmux.split(&id, "exec cat");
        daemon.kill9();
        tmux.ok(&["respawn-pane", "-k", "-t", &id, "exec cat"]);
        tmux.ok(&["rename-window", "-t", &id, &format!("r{round}")]);
    }
    let daemon = env.daemon();
    converges(&env, &daemon);
}

/// Waits until every pane stands in the deck exactly as tmux shows it, and nothing else does.
#[track_caller]
fn converges(env: &TestEnv, daemon: &Daemon) {
    const FORMAT: &str = "#{session_name}|#{window_id}|#{pane_id}|#{window_name}|#{pane_pid}";
    let tmux = env.tmux();
    let (mut truth, mut view) = (Vec::new(), Vec::new());
    let equal = wait::within(Duration::from_secs(15), || {
        let listed = tmux.ok(&["list-panes", "-a", "-F", FORMAT]);
        truth = listed.lines().filter(|it| !it.starts_with("_qd-")).map(str::to_owned).collect();
        truth.sort();
        view = deck::items(daemon.api(), "/v1/panes").iter().map(row).collect();
        view.sort();
        (truth == view).then_some(())
    });
    assert!(equal.is_some(), "tmux says {truth:#?}\nthe deck says {view:#?}");
}

fn row(item: &Value) -> String {
    let part = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let identity = &item["identity"];
    [
        part(&identity["session_name"]),
        part(&identity["window_id"]),
        part(&identity["pane_id"]),
        part(&item["window_name"]),
        item["pane_pid"].to_string(),
    ]
    .join("|")
}
