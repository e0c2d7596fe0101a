//! tmux that is absent, comes later, dies, hangs or is somebody else's: the deck says so and goes on.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::Value;
use testkit::{Daemon, Http, Signal, Terminal, TerminalTaker, Tmux, process, wait};

use crate::deck::{self, Watch, deck};

/// Faults are noticed in the product's own times; these are shorter, so that a test is.
const QUICK: &str = "[observer]\nconnect_timeout = \"500ms\"\ncommand_timeout = \"500ms\"\n\
    retries = 1\nretry_first = \"100ms\"\nretry_second = \"100ms\"\n";

#[track_caller]
fn target(api: &Http, name: &str) -> Value {
    let targets = deck::items(api, "/v1/targets");
    let found = targets.iter().find(|it| it["name"] == name);
    found.unwrap_or_else(|| panic!("no target {name}: {targets:#?}")).clone()
}

#[track_caller]
fn health_becomes(api: &Http, wanted: &str) -> Value {
    let mut last = Value::Null;
    let found = wait::within(Duration::from_secs(40), || {
        last = target(api, "local");
        (last["health"] == wanted).then(|| last.clone())
    });
    found.unwrap_or_else(|| panic!("the target never was {wanted}: {last:#}"))
}

#[test]
fn f_11_without_tmux_the_daemon_starts_and_says_what_to_install() {
    let env = deck();
    env.uninstall("tmux");
    let daemon = env.daemon();
    assert_eq!(deck::items(daemon.api(), "/v1/panes").len(), 0);
    let screen = env.qd(&[]).success();
    assert!(screen.contains("tmux"), "{screen}");
    let doctor = env.qd(&["doctor"]);
    assert!(doctor.stdout.contains("tmux"), "{doctor:?}");
    let said = env.qd(&["target", "connect", "local"]).fails_with(1);
    assert!(said.contains("[E_TARGET_UNREACHABLE]") && said.contains("tmux"), "{said}");
    assert!(!said.contains("within"), "it fails at once, with the reason: {said}");
    env.install("tmux");
    let pane = env.tmux().session("work", "exec cat");
    deck::listed(daemon.api(), &pane);
}

#[test]
fn f_11_a_tmux_that_is_too_old_is_named_and_not_used() {
    let env = deck();
    env.uninstall("tmux");
    env.script("tmux", "echo 'tmux 2.9'; echo used >> \"$HOME/used\"");
    let daemon = env.daemon();
    let said = wait::until("it is named", || {
        let targets = deck::items(daemon.api(), "/v1/targets");
        let item = targets.into_iter().find(|it| it["name"] == "local")?;
        item.to_string().contains("2.9").then_some(item)
    });
    assert_ne!(said["health"], "ok", "{said:#}");
    let doctor = env.qd(&["doctor"]);
    assert!(doctor.stdout.contains("2.9") && doctor.stdout.contains("3.3"), "{doctor:?}");
}

#[test]
fn without_a_server_the_first_screen_says_what_to_do_next() {
    let env = deck();
    let screen = env.qd(&[]).success();
    assert!(screen.contains("tmux new"), "{screen}");
    assert!(env.tmux().sessions().is_empty(), "and it starts none itself");
    assert!(env.tmux_socket().is_none(), "not even a socket is left behind");
}

#[test]
fn a_server_that_starts_later_is_seen_soon() {
    let env = deck();
    let daemon = env.daemon();
    let (mut watch, snapshot) = Watch::panes(daemon.api());
    assert_eq!(snapshot["items"].as_array().unwrap().len(), 0);
    let pane = env.tmux().session("work", "exec cat");
    watch.upsert_of(&pane, "of the new server", |_| true);
    assert_eq!(target(daemon.api(), "local")["health"], "ok");
}

/// What runs in its panes ends because their terminals do, which is often told before the end of
/// the server.
fn all_ends_with_its_server(end: impl Fn(&Tmux<'_>)) {
    const PANES: usize = 20;
    let env = deck();
    let tmux = env.tmux();
    let daemon = env.daemon();
    for round in 0..5 {
        let mut panes = vec![tmux.session("work", "exec cat")];
        panes.extend((1..PANES).map(|n| tmux.window("work", &format!("w{n}"), "exec cat")));
        let runtimes: Vec<_> =
            panes.iter().map(|it| deck::runtime_of(&deck::listed(daemon.api(), it))).collect();
        let (mut watch, _) = Watch::panes(daemon.api());
        let begun = wait::now();
        end(&tmux);
        for pane in &panes {
            watch.delete_of(pane);
        }
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(2), "round {round}: took {took:?}");
        for runtime in runtimes {
            assert_eq!(ended_reason(&daemon, &runtime), "server_gone", "round {round}");
        }
    }
}

#[track_caller]
fn ended_reason(daemon: &Daemon, runtime: &str) -> String {
    let ended = daemon.api().get(&format!("/v1/runtimes/{runtime}")).expect(200);
    ended["runtime"]["ended_reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn f_09_a_killed_server_takes_all_its_panes_with_it_at_once() {
    all_ends_with_its_server(|tmux| tmux.kill9());
}

#[test]
fn f_09_a_server_that_is_told_to_end_takes_all_its_panes_with_it_at_once() {
    all_ends_with_its_server(|tmux| {
        tmux.ok(&["kill-server"]);
    });
}

#[test]
fn f_09_whoever_takes_the_terminals_of_a_server_that_ends_changes_nothing() {
    let takers = RefCell::new(Vec::new());
    all_ends_with_its_server(|tmux| {
        let terminals = tmux.ok(&["list-panes", "-a", "-F", "#{pane_tty}"]);
        let wanted = terminals.lines().map(str::to_owned);
        takers.borrow_mut().push(TerminalTaker::of(wanted.collect()));
        tmux.ok(&["kill-server"]);
    });
    for taker in takers.into_inner() {
        taker.took_all();
    }
}

#[test]
fn f_09_what_ran_in_a_server_that_somebody_keeps_from_ending_ended_with_it() {
    let env = deck();
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    let daemon = env.daemon();
    let runtime = deck::runtime_of(&deck::listed(daemon.api(), &pane));
    let (mut watch, _) = Watch::panes(daemon.api());
    let person = Terminal::attach(&tmux, "work");
    wait::until("it is attached", || tmux.ok(&["list-clients"]).contains("work").then_some(()));
    // A server waits until its clients have gone, and does nothing for others.
    process::signal(person.pid(), Signal::STOP);
    tmux.ok(&["kill-server"]);
    watch.upsert_of(&pane, "not known any more", |it| it["reason_code"] == "target_unreachable");
    drop(person);
    watch.delete_of(&pane);
    assert_eq!(ended_reason(&daemon, &runtime), "server_gone");
}

#[test]
fn f_09_our_own_client_keeps_no_server_from_ending() {
    let env = deck();
    env.configure(QUICK);
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    let daemon = env.daemon();
    let runtime = deck::runtime_of(&deck::listed(daemon.api(), &pane));
    let (mut watch, _) = Watch::panes(daemon.api());
    let client = wait::until("the daemon's client is there", || {
        let clients = tmux.ok(&["list-clients", "-F", "#{client_control_mode}#{client_pid}"]);
        clients.lines().find_map(|it| it.strip_prefix('1')?.parse().ok())
    });
    process::signal(client, Signal::STOP);
    tmux.ok(&["kill-server"]);
    watch.delete_of(&pane);
    assert_eq!(ended_reason(&daemon, &runtime), "server_gone");
}

#[test]
fn f_10_a_server_that_hangs_is_reported_and_everything_else_answers() {
    let env = deck();
    env.configure(QUICK);
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    let other = env.tmux_at("other.sock");
    let there = other.session("there", "exec cat");
    let daemon = env.daemon();
    let api = daemon.api();
    let socket = env.path("other.sock").display().to_string();
    env.qd(&["target", "add", "second", "--kind", "local", "--tmux-socket", &socket]).success();
    deck::listed(api, &pane);
    wait::until("both are listed", || (deck::items(api, "/v1/panes").len() == 2).then_some(()));
    let server = tmux.pid();
    process::signal(server, Signal::STOP);
    let degraded = wait::within(Duration::from_secs(40), || {
        let begun = wait::now();
        let answer = api.get("/v1/panes").expect(200);
        assert!(begun.elapsed() < Duration::from_secs(2), "a list never waits for a target");
        (answer["partial"] == true).then_some(answer)
    });
    let answer = degraded.unwrap_or_else(|| {
        process::signal(server, Signal::CONT);
        panic!("a hanging server was never noticed: {:#}", target(api, "local"))
    });
    assert_eq!(answer["target_errors"][0]["target"], "local", "{answer:#}");
    assert_eq!(answer["target_errors"][0]["code"], "E_TARGET_UNREACHABLE", "{answer:#}");
    assert!(answer["items"].to_string().contains(&there), "the other target is there: {answer:#}");
    let window = other.window("there", "new", "exec cat");
    wait::until("the other target still moves", || {
        let items = deck::items(api, "/v1/panes?target=second");
        items.iter().any(|it| it["identity"]["pane_id"] == *window).then_some(())
    });
    process::signal(server, Signal::CONT);
    health_becomes(api, "ok");
    let items = deck::items(api, "/v1/panes?target=local");
    assert_eq!(items.len(), 1, "{items:#?}");
}

#[test]
fn tc_010_states_of_a_target_that_is_down_are_unknown_with_the_reason() {
    let env = deck();
    env.configure(QUICK);
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    let daemon = env.daemon();
    let api = daemon.api();
    deck::listed(api, &pane);
    env.qd(&[
        "event",
        "emit",
        "--source",
        "hook",
        "--type",
        "task-started",
        "--target",
        "local",
        "--pane",
        &pane,
        "--agent",
        "claude",
        "--dedupe",
        "one",
    ])
    .success();
    deck::pane_where(api, &pane, "running", |item| item["state"] == "running");
    let server = tmux.pid();
    process::signal(server, Signal::STOP);
    let item = wait::within(Duration::from_secs(60), || {
        deck::pane(api, &pane).filter(|it| it["reason_code"] == "target_unreachable")
    });
    process::signal(server, Signal::CONT);
    let item = item.expect("its state becomes unknown");
    assert_eq!(item["state"], "unknown", "{item:#}");
    assert_eq!(item["confidence"], "low", "{item:#}");
    assert_eq!(item["last_known"]["state"], "running", "{item:#}");
    health_becomes(api, "ok");
}

#[test]
fn f_16_a_pane_that_floods_is_not_slowed_and_the_deck_goes_on() {
    let env = deck();
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    // Lines of ordinary length: of very short ones tmux alone takes minutes.
    let line = "x".repeat(70);
    let program = format!("yes {line} | head -c 10000000; echo; echo D\"\"ONE; exec cat");
    let flood = tmux.window("work", "flood", &program);
    daemon.signal(Signal::STOP);
    tmux.shows(&flood, "DONE");
    daemon.signal(Signal::CONT);
    deck::settled(daemon.api(), &flood, "cat");
}
