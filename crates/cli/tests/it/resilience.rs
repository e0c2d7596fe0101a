//! A daemon that is paused, starved, replaced, fought over or asked to end in the middle of work.

use std::fs;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Daemon, Signal, TestEnv, process, wait};

use crate::deck::{self, Watch, deck};

fn event(pane: &str, key: &str) -> Value {
    json!({
        "event_type": "task-started", "source": "hook", "dedupe_key": key, "target": "local",
        "pane_id": pane, "agent_type": "claude",
    })
}

fn scene() -> (TestEnv, Daemon, String) {
    let env = deck();
    let pane = env.tmux().session("work", "exec cat");
    let daemon = env.daemon();
    deck::settled(daemon.api(), &pane, "cat");
    (env, daemon, pane)
}

#[test]
fn f_08_a_paused_daemon_catches_up_with_what_happened_meanwhile() {
    let (env, daemon, pane) = scene();
    let (mut watch, _) = Watch::panes(daemon.api());
    daemon.signal(Signal::STOP);
    let tmux = env.tmux();
    let fresh: Vec<_> =
        (0..10).map(|n| tmux.window("work", &format!("w{n}"), "exec cat")).collect();
    tmux.ok(&["kill-pane", "-t", &fresh[0]]);
    tmux.ok(&["rename-window", "-t", &pane, "meanwhile"]);
    daemon.signal(Signal::CONT);
    watch.upsert_of(&pane, "renamed", |item| item["window_name"] == "meanwhile");
    for id in &fresh[1..] {
        watch.upsert_of(id, "came", |_| true);
    }
    assert!(deck::pane(daemon.api(), &fresh[0]).is_none(), "what came and went is not there");
}

/// That it is stopped is seen before anything is asked of it, so nobody waits for a time to be up.
#[test]
fn of_a_daemon_that_is_stopped_every_command_says_so_and_a_hook_leaves_the_question_to_the_agent() {
    let (env, daemon, pane) = scene();
    daemon.signal(Signal::STOP);
    // Its threads stop one after the other; until then one may still take a connection.
    wait::until("it is stopped", || {
        let threads = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
        let mut numbers = threads.map(|it| it.unwrap().file_name().to_str().unwrap().parse());
        numbers.all(|it| process::state(it.unwrap()) == Some('T')).then_some(())
    });
    let commands: [&[&str]; 10] = [
        &["ls"],
        &["list", "panes", "--json"],
        &["explain", &pane],
        &["wait", &pane, "--until", "running"],
        &["send", &pane, "--text", "x"],
        &["view-output", &pane],
        &["kill", &pane, "--yes"],
        &["approvals"],
        &["history"],
        &["target", "list"],
    ];
    for arguments in commands {
        let said = env.qd(arguments).fails_with(3);
        assert!(said.contains("E_DAEMON_UNREACHABLE"), "{arguments:?}: {said}");
        assert!(
            said.contains("is stopped") && said.contains("kill -CONT"),
            "{arguments:?}: {said}"
        );
    }
    let doctor = env.qd(&["doctor"]);
    assert!(doctor.stdout.contains("is stopped"), "{}{}", doctor.stdout, doctor.stderr);
    for (agent, event) in [
        ("claude", "PermissionRequest"),
        ("codex", "PermissionRequest"),
        ("copilot", "permissionRequest"),
    ] {
        let hook = env.invoke(&["hook", agent, event]).stdin(r#"{"tool_name":"Bash"}"#).run();
        assert_eq!((hook.code(), hook.stdout.as_str()), (Some(0), ""), "{agent}: {}", hook.stderr);
    }
    daemon.signal(Signal::CONT);
    env.qd(&["ls"]).success();
}

#[test]
fn f_21_without_descriptors_it_sheds_connections_and_recovers() {
    let env = deck();
    let pane = env.tmux().session("work", "exec cat");
    let script = format!("ulimit -n 64; exec {} daemon run", env.qd_program().display());
    let mut command = env.command(env.path("bin/sh"));
    command.args(["-c", &script]);
    let daemon = env.daemon_by(command).unwrap();
    deck::listed(daemon.api(), &pane);
    let held: Vec<_> =
        (0..200).filter_map(|_| UnixStream::connect(daemon.api().socket()).ok()).collect();
    assert!(held.len() > 60, "they were not even taken: {}", held.len());
    drop(held);
    wait::until("it answers again", || {
        daemon.api().try_get("/v1/health").filter(|it| it.status == 200).map(drop)
    });
    let window = env.tmux().window("work", "after", "exec cat");
    deck::listed(daemon.api(), &window);
}

#[test]
fn f_25_the_binary_is_replaced_while_it_runs() {
    let env = deck();
    let pane = env.tmux().session("work", "exec cat");
    let installed = env.path("bin/qd");
    fs::copy(env.qd_program(), &installed).unwrap();
    let start = || {
        let mut command = env.command(&installed);
        command.args(["daemon", "run"]);
        env.daemon_by(command).unwrap()
    };
    let daemon = start();
    let before = deck::listed(daemon.api(), &pane);
    let (watch, _) = Watch::panes(daemon.api());
    let cursor = watch.cursor();
    let fresh = env.path("bin/qd.new");
    fs::copy(env.qd_program(), &fresh).unwrap();
    fs::rename(&fresh, &installed).unwrap();
    assert_eq!(daemon.api().get("/v1/health").status, 200, "the old one goes on");
    assert_eq!(daemon.stop(), 0);
    let daemon = start();
    let after = deck::listed(daemon.api(), &pane);
    assert_eq!(deck::runtime_of(&before), deck::runtime_of(&after));
    let window = env.tmux().window("work", "after", "exec cat");
    Watch::resume(daemon.api(), &cursor).upsert_of(&window, "seen", |_| true);
}

#[test]
fn tc_052_another_writer_of_the_database_delays_but_loses_nothing() {
    let (env, daemon, pane) = scene();
    let done = AtomicBool::new(false);
    let accepted = std::thread::scope(|scope| {
        let rival = scope.spawn(|| {
            for _ in 0..5 {
                // Holds the write lock for as long as a backup or a curious person might.
                let hold = "BEGIN IMMEDIATE; SELECT count(*) FROM events e1, events e2; COMMIT;";
                assert!(env.sqlite_write(hold).code().is_some());
            }
            done.store(true, Ordering::SeqCst);
        });
        let mut accepted = Vec::new();
        while !done.load(Ordering::SeqCst) || accepted.len() < 20 {
            let key = format!("e{}", accepted.len());
            let reply = daemon.api().post("/v1/events", &event(&pane, &key));
            assert_eq!(reply.status, 202, "{}", reply.text());
            accepted.push(key);
        }
        rival.join().unwrap();
        accepted
    });
    let kept = env.sqlite("SELECT dedupe_key FROM events");
    let kept: Vec<_> = kept.lines().collect();
    for key in accepted {
        assert_eq!(kept.iter().filter(|it| **it == key).count(), 1, "{key}");
    }
}

#[test]
fn events_that_arrive_while_it_stops_are_kept_or_refused_and_never_half() {
    let (env, daemon, pane) = scene();
    let count = AtomicUsize::new(0);
    let api = env.api();
    let acknowledged = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (api, pane, count) = (&api, &pane, &count);
                scope.spawn(move || {
                    let mut done = Vec::new();
                    for number in 0.. {
                        let key = format!("w{writer}n{number}");
                        match api.try_post("/v1/events", &event(pane, &key)) {
                            Some(reply) if reply.status == 202 => done.push(key),
                            Some(reply) => {
                                assert_eq!(reply.error(503), "E_SHUTTING_DOWN");
                                break;
                            }
                            None => break,
                        }
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                    done
                })
            })
            .collect();
        wait::until("work is under way", || (count.load(Ordering::SeqCst) > 40).then_some(()));
        assert_eq!(daemon.stop(), 0);
        writers.into_iter().flat_map(|it| it.join().unwrap()).collect::<Vec<_>>()
    });
    let kept = env.sqlite("SELECT dedupe_key FROM events");
    let kept: std::collections::BTreeSet<_> = kept.lines().collect();
    for key in &acknowledged {
        assert!(kept.contains(key.as_str()), "{key} was acknowledged and is lost");
    }
}

#[test]
fn a_thousand_events_in_a_burst_are_all_kept_in_their_order() {
    let (env, daemon, pane) = scene();
    let begun = wait::now();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let (api, pane) = (daemon.api(), &pane);
            scope.spawn(move || {
                for number in 0..125 {
                    let reply =
                        api.post("/v1/events", &event(pane, &format!("w{writer}n{number}")));
                    assert_eq!(reply.status, 202, "{}", reply.text());
                }
            });
        }
    });
    let took = begun.elapsed();
    let counts = env.sqlite("SELECT count(*), count(DISTINCT dedupe_key) FROM events");
    assert_eq!(counts.trim(), "1000|1000");
    assert!(took < Duration::from_secs(20), "took {took:?}");
}

#[test]
fn a_quiet_deck_rests() {
    let (_env, daemon, _pane) = scene();
    let used = || {
        let stat = fs::read_to_string(format!("/proc/{}/schedstat", daemon.pid())).unwrap();
        Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
    };
    // Scans back off within a few seconds of quiet. Terminals that other tests open at the same
    // time wake it too, so one second of rest among several is what can be asked for here; the
    // figure itself is the business of the benchmark.
    let second = Duration::from_secs(1);
    wait::until("a second in which it does next to nothing", || {
        let before = used();
        wait::within(second, || None::<()>);
        (used() - before < second / 50).then_some(())
    });
}

/// Has the agent of a pane ask something, and waits until that is shown.
fn ask(daemon: &Daemon, pane: &str) -> i64 {
    let event = json!({
        "event_type": "needs-approval", "source": "hook", "dedupe_key": format!("ask-{pane}"),
        "target": "local", "pane_id": pane, "agent_type": "claude",
    });
    daemon.api().post("/v1/events", &event).expect(202);
    let shown = deck::pane_where(daemon.api(), pane, "asking", waits);
    millis(&shown, "state_since")
}

fn waits(item: &Value) -> bool {
    item["state"] == "waiting_approval"
}

fn millis(item: &Value, field: &str) -> i64 {
    deck::text(item, field).parse::<api::Timestamp>().unwrap().as_millis()
}

#[test]
fn a_question_that_was_answered_while_no_daemon_ran_is_not_shown_for_ever() {
    let env = deck();
    env.configure("[state]\nstale_ttl = \"12s\"\n");
    let tmux = env.tmux();
    let panes = ["answered", "silent"].map(|name| tmux.session(name, "exec cat"));
    let daemon = env.daemon();
    let asked = panes.each_ref().map(|pane| {
        deck::settled(daemon.api(), pane, "cat");
        ask(&daemon, pane)
    });
    // What is printed sooner may have drawn the question.
    deck::pane_where(daemon.api(), &panes[0], "seen later", |it| {
        millis(it, "last_seen_at") > asked[1] + 3_000
    });
    daemon.kill9();
    tmux.type_line(&panes[0], "yes");
    tmux.shows(&panes[0], "yes");
    let daemon = env.daemon();
    let doubted = deck::pane_where(daemon.api(), &panes[0], "doubted", |it| !waits(it));
    assert_eq!(doubted["reason_code"], "stale_signal", "{doubted:#}");
    let silent = deck::pane(daemon.api(), &panes[1]).unwrap();
    assert!(waits(&silent), "nothing was printed there: {silent:#}");
}

#[test]
fn restarts_keep_no_state_fresh_and_find_a_server_that_hangs_down() {
    let env = deck();
    env.configure("[state]\nstale_ttl = \"4s\"\n");
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    let daemon = env.daemon();
    deck::settled(daemon.api(), &pane, "cat");
    ask(&daemon, &pane);
    let seen = deck::pane(daemon.api(), &pane).unwrap();
    let server = tmux.pid();
    process::signal(server, Signal::STOP);
    daemon.kill9();
    let failures = || {
        let trail = fs::read_to_string(env.home().join("qd.trail")).unwrap_or_default();
        let trail: Value = serde_json::from_str(&trail).unwrap_or_default();
        let targets = trail["targets"].as_object().into_iter().flatten();
        targets.filter_map(|(_, track)| track["failing"]["failures"].as_u64()).sum::<u64>()
    };
    let mut healths = Vec::new();
    for _ in 0..3 {
        let before = failures();
        let daemon = env.daemon();
        wait::until("one more failure is counted", || (failures() > before).then_some(()));
        let health = daemon.api().get("/v1/health").expect(200);
        healths.push(deck::text(&health["targets"][0], "health"));
        daemon.kill9();
    }
    assert_eq!((&*healths[0], &*healths[2]), ("degraded", "down"), "{healths:?}");
    let daemon = env.daemon();
    let shown = deck::pane(daemon.api(), &pane).unwrap();
    assert_eq!(shown["state"], "unknown", "{shown:#}");
    assert!(millis(&shown, "last_seen_at") < millis(&seen, "last_seen_at") + 4_000, "{shown:#}");
    process::signal(server, Signal::CONT);
}
