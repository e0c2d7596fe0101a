//! Acts on plain panes, over the wire and by `qd`: what arrives, what is refused, what is answered.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Daemon, Reply, Signal, TestEnv, process, wait};

use crate::deck::{self, deck};

/// A program that writes down every byte that is typed, and nothing else.
pub(crate) const LOGGER: &str = "stty raw -echo; printf ready; exec cat > \"$HOME/typed\"";

/// A pane in which everything that is typed is written down.
pub(crate) fn scene() -> (TestEnv, Daemon, String) {
    let env = deck();
    let pane = env.tmux().session("work", LOGGER);
    let daemon = env.daemon();
    deck::settled(daemon.api(), &pane, "cat");
    env.tmux().shows(&pane, "ready");
    (env, daemon, pane)
}

pub(crate) fn typed(env: &TestEnv) -> Vec<u8> {
    fs::read(env.path("home/typed")).unwrap_or_default()
}

#[track_caller]
fn arrives(env: &TestEnv, wanted: &[u8]) {
    let mut last = Vec::new();
    let arrived = wait::within(wait::BOUND, || {
        last = typed(env);
        (last.len() >= wanted.len()).then_some(())
    });
    assert!(arrived.is_some(), "only {} of {} bytes came", last.len(), wanted.len());
    assert!(last == wanted, "{:?}", String::from_utf8_lossy(&last));
}

fn send(daemon: &Daemon, name: &str, pane: &str, more: &Value) -> Reply {
    act(daemon, "send", name, pane, more)
}

pub(crate) fn act(daemon: &Daemon, kind: &str, name: &str, pane: &str, more: &Value) -> Reply {
    let mut body = json!({ "request_ref": name, "ref": pane });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    daemon.api().post(&format!("/v1/actions/{kind}"), &body)
}

/// What tmux, a shell or a terminal would take for more than text (S-15, S-17).
const HOSTILE: &[&str] = &[
    "#(touch evil)",
    "#{E:x}",
    "#{pane_id}",
    "##(touch evil)",
    "#[fg=red]",
    "%H %s %%",
    ";",
    "; kill-server",
    "a;",
    "\\;",
    "-",
    "--",
    "-t %1",
    "=x:",
    "{marked}",
    "@1",
    "%1",
    "$HOME",
    "`touch evil`",
    "$(touch evil)",
    "~",
    "~root",
    "'",
    "\"",
    "\\",
    "\\n",
    "Enter",
    "C-c",
    "Escape",
    "q\nkill-server\n",
    "\t",
    "tab\there",
    " leading",
    "trailing ",
    "\u{1f980} 日本語 é",
    "a,b}c",
    "#,#}",
    "\"; run-shell 'touch evil'",
];

#[test]
fn s_15_tc_027_every_text_arrives_byte_for_byte_and_runs_nothing() {
    let (env, daemon, pane) = scene();
    let mut wanted = Vec::new();
    for (number, text) in HOSTILE.iter().enumerate() {
        let paste = number % 2 == 0;
        let answer =
            send(&daemon, &format!("r{number}"), &pane, &json!({ "text": text, "paste": paste }));
        assert_eq!(answer.expect(200)["result_code"], "completed", "{text:?}");
        wanted.extend_from_slice(text.as_bytes());
        arrives(&env, &wanted);
    }
    for folder in ["home", "", "qd"] {
        assert!(!env.path(folder).join("evil").exists(), "a text was run");
    }
    assert_eq!(env.tmux().ok(&["list-buffers"]), "", "no text is left in a buffer");
    let log = env.tmux().ok(&["show-messages"]);
    assert!(!log.contains("touch evil"), "a text stands in the message log: {log}");
    assert_eq!(fs::read_dir(env.home().join("outbox")).unwrap().count(), 0);
}

#[test]
fn tc_027_keys_follow_the_text_and_enter_comes_last() {
    let (env, daemon, pane) = scene();
    let keys = json!({ "text": "ab", "keys": ["C-c", "Escape", "-", ";"], "enter": true });
    send(&daemon, "r", &pane, &keys).expect(200);
    arrives(&env, b"ab\x03\x1b-;\r");
    let refused = send(&daemon, "r2", &pane, &json!({ "keys": ["ls -l"] }));
    assert_eq!(refused.error(400), "E_BAD_REQUEST");
    let broken_out = send(&daemon, "r3", &pane, &json!({ "text": "\u{1b}[201~rm" }));
    assert_eq!(broken_out.error(400), "E_BAD_REQUEST");
    arrives(&env, b"ab\x03\x1b-;\r");
}

#[test]
fn a_text_of_a_mebibyte_arrives_whole_by_qd_and_a_longer_one_is_refused() {
    let (env, daemon, pane) = scene();
    let line = "0123456789abcdef é\n";
    let mut text = line.repeat(1024 * 1024 / line.len());
    text.push_str(&"x".repeat(1024 * 1024 - text.len()));
    env.invoke(&["send", &pane, "--stdin"]).stdin(text.as_str()).run().success();
    arrives(&env, text.as_bytes());
    text.push('x');
    env.invoke(&["send", &pane, "--stdin"]).stdin(text.as_str()).run().fails_with(2);
    fs::write(env.path("home/file"), "-from a file").unwrap();
    env.qd(&["send", &pane, "--file", "file"]).success();
    env.qd(&["send", &pane, "--text", "-dash"]).success();
    text.pop();
    text.push_str("-from a file-dash");
    arrives(&env, text.as_bytes());
    drop(daemon);
}

#[test]
fn tc_025_tc_026_tc_031_a_request_is_carried_out_once_whatever_happens_to_its_pane() {
    let (env, daemon, pane) = scene();
    let first = send(&daemon, "once", &pane, &json!({ "text": "x" })).expect(200);
    let again = send(&daemon, "once", &pane, &json!({ "text": "x" })).expect(200);
    for field in ["action_id", "result_code", "completed_at"] {
        assert_eq!(first[field], again[field]);
        assert!(first[field].is_string(), "{field}");
    }
    let conflict = send(&daemon, "once", &pane, &json!({ "text": "y" }));
    assert_eq!(conflict.error(409), "E_IDEMPOTENCY_CONFLICT");
    let kept = fs::read_dir(env.home().join("outbox")).unwrap().count();
    assert_eq!(kept, 0, "of what was refused no text stays");
    let id = first["action_id"].as_str().unwrap().to_owned();
    env.tmux().ok(&["respawn-pane", "-k", "-t", &pane, "exec sleep 1000"]);
    deck::settled(daemon.api(), &pane, "sleep");
    let after = send(&daemon, "once", &pane, &json!({ "text": "x" })).expect(200);
    assert_eq!(after["action_id"], first["action_id"]);
    daemon.kill9();
    let daemon = env.daemon();
    let restarted = send(&daemon, "once", &pane, &json!({ "text": "x" })).expect(200);
    assert_eq!(restarted["completed_at"], first["completed_at"]);
    assert_eq!(
        daemon.api().get(&format!("/v1/actions/{id}")).expect(200)["action"],
        first["action"]
    );
    let events = daemon.api().get(&format!("/v1/actions/{id}/events")).expect(200);
    let items = events["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{events:#}");
    assert_eq!(items[0]["event_type"], "action.send");
    assert_eq!(items[0]["runtime_id"], first["action"]["runtime_id"]);
    assert_eq!(daemon.api().get("/v1/actions/ac-nobody").error(404), "E_REF_NOT_FOUND");
    arrives(&env, b"x");
}

#[test]
fn tc_005_tc_022_what_ended_is_stale_for_every_act() {
    let (env, daemon, pane) = scene();
    let runtime = deck::runtime_of(&deck::pane(daemon.api(), &pane).unwrap());
    env.tmux().ok(&["respawn-pane", "-k", "-t", &pane, LOGGER]);
    deck::pane_where(daemon.api(), &pane, "respawned", |it| {
        it["runtime_id"] != runtime.as_str() && it["current_cmd"] == "cat"
    });
    let reference = format!("runtime:{runtime}");
    for (kind, more) in [
        ("send", json!({ "text": "x" })),
        ("kill", json!({})),
        ("view-output", json!({})),
        ("attach", json!({})),
    ] {
        let stale = act(&daemon, kind, "by-ref", &reference, &more);
        assert_eq!(stale.error(409), "E_RUNTIME_STALE", "{kind}");
        let mut guarded = more.clone();
        guarded["if_runtime"] = json!(runtime);
        guarded["force_stale"] = json!(true);
        let stale = act(&daemon, kind, "by-guard", &pane, &guarded);
        assert_eq!(stale.error(409), "E_RUNTIME_STALE", "{kind}: who it is, is never skipped");
    }
    let state = json!({ "text": "x", "if_state": "running" });
    assert_eq!(send(&daemon, "state", &pane, &state).error(409), "E_PRECONDITION_FAILED");
    assert_eq!(typed(&env), b"");
}

#[test]
fn a_foreground_program_that_ended_and_left_its_shell_is_stale() {
    let env = deck();
    let cat = fs::canonicalize(env.path("bin/cat")).unwrap();
    std::os::unix::fs::symlink(cat, env.path("bin/scribe")).unwrap();
    let shell = "stty raw -echo; printf ready; set -m; scribe > \"$HOME/first\"; exec cat > \"$HOME/typed\"";
    let pane = env.tmux().session("work", &format!("exec bash -c '{shell}'"));
    let daemon = env.daemon();
    let item = deck::pane_where(daemon.api(), &pane, "it logs", |it| it["current_cmd"] == "scribe");
    // Nothing tells the daemon of what happens now.
    daemon.signal(Signal::STOP);
    let children = |pid: u64| {
        let path = format!("/proc/{pid}/task/{pid}/children");
        fs::read_to_string(path).unwrap().split_whitespace().next().map(|it| it.parse().unwrap())
    };
    let shell = item["pane_pid"].as_u64().unwrap();
    let child: u32 = wait::until("the program runs", || children(shell));
    env.tmux().ok(&["set-option", "-p", "-t", &pane, "@unrelated", "1"]);
    process::signal(child, Signal::KILL);
    wait::until("its shell goes on", || children(shell).is_none().then_some(()));
    let body = json!({ "request_ref": "r", "ref": pane, "text": "rm -rf" });
    let api = daemon.api().clone();
    let asked = std::thread::spawn(move || api.post("/v1/actions/send", &body));
    daemon.signal(Signal::CONT);
    let answer = asked.join().unwrap();
    assert_eq!(fs::read(env.path("home/first")).unwrap(), b"");
    if answer.status == 200 {
        // The daemon looked again before it took the request: what it saw then got the text.
        let told = answer.json();
        assert_eq!(told["action"]["snapshot"]["current_cmd"], "cat", "{told:#}");
        arrives(&env, b"rm -rf");
    } else {
        assert_eq!(answer.error(409), "E_RUNTIME_STALE");
        assert_eq!(typed(&env), b"", "the shell would have run it");
    }
}

#[test]
fn what_keeps_input_away_refuses_and_says_so() {
    let (env, daemon, pane) = scene();
    let tmux = env.tmux();
    tmux.ok(&["copy-mode", "-t", &pane]);
    let mode = send(&daemon, "mode", &pane, &json!({ "text": "x", "enter": true }));
    assert_eq!(mode.error(409), "E_PANE_BLOCKED");
    tmux.ok(&["send-keys", "-t", &pane, "-X", "cancel"]);
    tmux.ok(&["select-pane", "-d", "-t", &pane]);
    let off = send(&daemon, "off", &pane, &json!({ "text": "x" }));
    assert_eq!(off.error(409), "E_PANE_BLOCKED");
    tmux.ok(&["select-pane", "-e", "-t", &pane]);
    tmux.ok(&["set-option", "-p", "-t", &pane, "synchronize-panes", "on"]);
    let copied = send(&daemon, "sync", &pane, &json!({ "enter": true }));
    assert_eq!(copied.error(409), "E_PANE_BLOCKED");
    send(&daemon, "paste", &pane, &json!({ "text": "only here" })).expect(200);
    arrives(&env, b"only here");
    let again = send(&daemon, "mode", &pane, &json!({ "text": "x", "enter": true }));
    assert_eq!(again.error(409), "E_PANE_BLOCKED", "a refusal is the answer to a repetition too");
}

#[test]
fn tc_028_output_is_bounded_and_harmless() {
    let env = deck();
    let program = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); printf 'line %s \\033[31mred\\033[0m\\n' $i; \
        done; printf '\\033]52;c;eA==\\007costs $HOME\\n'; exec sleep 1000";
    let pane = env.tmux().session("work", program);
    env.tmux().shows(&pane, "costs");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    let view = |more: Value| {
        let name = more.to_string();
        act(&daemon, "view-output", &name, &pane, &more).expect(200)["output"].clone()
    };
    let lines = |output: &Value| output["text"].as_str().unwrap().lines().count();
    assert_eq!(lines(&view(json!({}))), 200);
    assert_eq!(view(json!({ "lines": 1 }))["text"], "costs $HOME\n");
    assert_eq!(lines(&view(json!({ "lines": 10_000 }))), 301);
    assert!(lines(&view(json!({ "screen": true }))) <= 24);
    let painted = view(json!({ "lines": 2, "ansi": true }));
    assert!(painted["text"].as_str().unwrap().contains("\u{1b}[31mred"), "{painted:#}");
    let shown = env.qd(&["view-output", &pane, "--lines", "3"]).success();
    assert_eq!(shown, "line 299 red\nline 300 red\ncosts $HOME\n");
    let painted = env.qd(&["view-output", &pane, "-n", "3", "--ansi"]).success();
    assert!(painted.contains("\u{1b}[31mred") && !painted.contains("]52"), "{painted:?}");
    for wrong in ["0", "10001", "-1", "x"] {
        env.qd(&["view-output", &pane, "--lines", wrong]).fails_with(2);
    }
    let too_many = act(&daemon, "view-output", "r", &pane, &json!({ "lines": 10_001 }));
    assert_eq!(too_many.error(400), "E_BAD_REQUEST");
}

#[test]
fn tc_029_a_key_interrupts_what_runs_and_nobody_is_killed_without_being_asked() {
    let env = deck();
    let pane = env
        .tmux()
        .session("work", "trap 'echo interrupted' INT; echo ready; while :; do sleep 1; done");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    env.tmux().shows(&pane, "ready");
    let refused = env.qd(&["kill", &pane]).fails_with(2);
    assert!(refused.contains("E_CONFIRMATION_REQUIRED"), "{refused}");
    // Whatever runs when the key comes: `sleep`, or the shell between two of them.
    wait::until("it is interrupted", || {
        // Refused while `sleep` was seen and the shell is there, or the other way round.
        drop(env.qd(&["kill", &pane, "--yes"]));
        env.tmux().screen(&pane).contains("interrupted").then_some(())
    });
    env.qd(&["kill", &pane, "--yes", "--signal", "KILL"]).fails_with(2);
}

/// A person's terminal, in which `qd` is run with these arguments.
fn person(env: &TestEnv, arguments: &str) -> String {
    let line = format!("{} {arguments}; echo over $?; exec sh", env.qd_program().display());
    let pane = env.tmux().session("person", &line);
    env.tmux().ok(&["resize-window", "-t", &pane, "-x", "200", "-y", "20"]);
    pane
}

#[test]
fn a_kill_shows_what_it_is_about_and_what_came_in_its_place_meanwhile_is_left_alone() {
    let env = deck();
    let pane = env.tmux().session("work", "exec sleep 777");
    let daemon = env.daemon();
    let item = deck::settled(daemon.api(), &pane, "sleep");
    let person = person(&env, "kill work:0.0 --mode signal --signal KILL");
    let asked = env.tmux().shows(&person, "[y/N]");
    let process = format!("process {}", item["pane_pid"]);
    for told in ["Send KILL", "local work:0.0", &pane, &process, "sleep runs"] {
        assert!(asked.contains(told), "{told}: {asked}");
    }
    env.tmux().ok(&["respawn-pane", "-k", "-t", &pane, "exec sleep 888"]);
    env.tmux().ok(&["send-keys", "-t", &person, "y", "Enter"]);
    let refused = env.tmux().shows(&person, "over");
    assert!(refused.contains("E_RUNTIME_STALE") && refused.contains("over 5"), "{refused}");
    assert_eq!(env.tmux().show(&pane, "#{pane_dead}#{pane_current_command}"), "0sleep");
}

#[test]
fn a_key_is_pressed_only_for_what_was_asked_about() {
    let env = deck();
    env.tmux().ok(&["new-session", "-d", "-s", "work", "exec cat"]);
    let pane = env.tmux().show("work", "#{pane_id}");
    let daemon = env.daemon();
    deck::settled(daemon.api(), &pane, "cat");
    let other = json!({ "if_command": "sleep" });
    assert_eq!(act(&daemon, "kill", "r1", &pane, &other).error(409), "E_RUNTIME_STALE");
    let person = person(&env, &format!("kill {pane}"));
    let asked = env.tmux().shows(&person, "[y/N]");
    assert!(asked.contains(&format!("Press C-c for cat in local work:0.0 {pane}")), "{asked}");
    env.tmux().ok(&["send-keys", "-t", &person, "y", "Enter"]);
    let done = env.tmux().shows(&person, "over");
    assert!(done.contains(&format!("C-c pressed {pane} (cat)")), "{done}");
    let history = env.qd(&["history"]).success();
    assert!(history.contains("C-c for cat"), "{history}");
}

#[test]
fn a_yes_that_was_typed_before_the_question_is_none() {
    let env = deck();
    let pane = env.tmux().session("work", "exec sleep 777");
    let daemon = env.daemon();
    deck::settled(daemon.api(), &pane, "sleep");
    // Nothing reads until the file is there, and what was typed waits in the terminal.
    let qd = env.qd_program().display();
    let line = format!(
        "echo up; until [ -e go ]; do sleep 0.05; done; {qd} kill {pane}; echo over; exec sh"
    );
    let person = env.tmux().session("person", &line);
    env.tmux().shows(&person, "up");
    env.tmux().ok(&["send-keys", "-t", &person, "y", "Enter"]);
    env.tmux().shows(&person, "y");
    fs::write(env.path("home/go"), "").unwrap();
    env.tmux().shows(&person, "[y/N]");
    env.tmux().ok(&["send-keys", "-t", &person, "Enter"]);
    let over = env.tmux().shows(&person, "over");
    assert!(over.contains("nothing was done"), "{over}");
    assert_eq!(env.tmux().show(&pane, "#{pane_dead}"), "0");
}

#[test]
fn a_signal_in_a_pane_without_an_agent_tells_which_process_it_went_to() {
    let env = deck();
    let pane = env.tmux().session("work", "trap 'echo caught' INT; sleep 777; exec cat");
    let daemon = env.daemon();
    let item = deck::listed(daemon.api(), &pane);
    let told = env.qd(&["kill", &pane, "--mode", "signal", "--yes"]).success();
    let process = format!("signalled {pane} (process {})", item["pane_pid"]);
    assert!(told.contains(&process), "{told}");
    let history = env.qd(&["history"]).success();
    assert!(history.contains(&format!("INT to process {}", item["pane_pid"])), "{history}");
}

#[test]
fn to_attach_without_a_terminal_is_refused_and_leaves_no_trace() {
    let (env, _daemon, pane) = scene();
    let refused = env.qd(&["attach", &pane]).fails_with(2);
    assert!(refused.contains("takes a terminal"), "{refused}");
    assert_eq!(env.sqlite("SELECT count(*) FROM actions").trim(), "0");
    let elsewhere = env.tmux_at("elsewhere.sock");
    let line = format!("{} attach {pane}; echo over; exec sh", env.qd_program().display());
    let inside = elsewhere.session("person", &line);
    let refused = elsewhere.shows(&inside, "over");
    assert!(refused.contains("another tmux server"), "{refused}");
    assert_eq!(env.sqlite("SELECT count(*) FROM actions").trim(), "0");
}

#[test]
fn a_send_waits_no_longer_than_it_is_told_to() {
    let (env, _daemon, pane) = scene();
    let send = ["send", &pane, "--text", "x", "--wait", "idle", "--timeout", "50ms"];
    let told = env.qd(&send).fails_with(6);
    assert!(told.contains("it was sent"), "{told}");
    arrives(&env, b"x");
    env.qd(&["send", &pane, "--text", "x", "--timeout", "1s"]).fails_with(2);
}

/// Follows a pane into a file; gives what is in it.
fn followed(env: &TestEnv, pane: &str, more: &str) -> impl Fn() -> Vec<String> + use<> {
    let file = env.path("home/followed");
    let line = format!("{} view-output {pane} --follow {more}", env.qd_program().display());
    env.tmux().session("follower", &format!("{line} > {} 2>&1; exec cat", file.display()));
    move || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn whoever_follows_sees_each_line_once_and_what_passed_unseen_is_marked() {
    let env = deck();
    let shell = "echo begun; while read -r line; do eval \"$line\"; done";
    env.tmux().ok(&["start-server", ";", "set-option", "-g", "history-limit", "1000"]);
    let pane = env.tmux().session("work", shell);
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    env.tmux().shows(&pane, "begun");
    let lines = followed(&env, &pane, "--lines 3");
    let until =
        |last: &str| wait::until(last, || lines().iter().any(|it| it == last).then_some(()));
    until("begun");
    env.tmux().type_line(&pane, "seq 1 700; echo one");
    until("one");
    let told = lines();
    let number = |line: &String| line.parse::<u32>().ok();
    assert_eq!(told.iter().filter_map(number).collect::<Vec<_>>(), (1..=700).collect::<Vec<_>>());
    assert!(!told.iter().any(|line| line.contains("not seen")), "{told:?}");
    // Behind a full history, in small pieces.
    env.tmux().type_line(
        &pane,
        "for n in 1 2 3 4 5; do seq $((n*1000)) $((n*1000+150)); sleep 0.4; done; echo two",
    );
    until("two");
    let told: Vec<u32> = lines().iter().filter_map(number).filter(|it| *it >= 1_000).collect();
    let wanted: Vec<u32> = (1..=5).flat_map(|n| n * 1_000..=n * 1_000 + 150).collect();
    assert_eq!(told, wanted);
    // More at once than the pane keeps.
    env.tmux().type_line(&pane, "seq 10000 19999; echo three");
    until("three");
    let told = lines();
    let seen: Vec<u32> = told.iter().filter_map(number).filter(|it| *it >= 10_000).collect();
    assert!(seen.len() < 10_000 && seen.is_sorted_by(|one, next| one < next), "{}", seen.len());
    assert!(told.iter().any(|line| line.contains("lines were not seen")), "the gap is marked");
    // An editor has the screen for itself.
    env.tmux()
        .type_line(&pane, "printf '\\033[?1049hfull'; sleep 1; printf '\\033[?1049l'; echo four");
    until("four");
    assert!(lines().iter().any(|line| line.contains("full-screen")), "{:?}", lines().last());
    assert_eq!(lines().iter().filter(|line| *line == "begun").count(), 1);
    let stored = env.sqlite("SELECT count(*) FROM actions WHERE action_type = 'view-output'");
    assert_eq!(stored.trim(), "1", "one action for all of it");
}

#[test]
fn a_look_goes_on_with_an_earlier_one_of_the_same_runtime_alone() {
    let (env, daemon, pane) = scene();
    let first = act(&daemon, "view-output", "r1", &pane, &json!({ "lines": 5 })).expect(200);
    let id = first["action_id"].clone();
    assert_eq!(
        (&first["output"]["first_line"], &first["output"]["history_lines"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(first["output"]["alternate_screen"], false);
    send(&daemon, "s", &pane, &json!({ "text": "x" })).expect(200);
    let again = act(&daemon, "view-output", "r2", &pane, &json!({ "goes_on": id })).expect(200);
    assert_eq!(again["action_id"], id);
    assert!(again["output"]["text"].as_str().unwrap().starts_with("ready"));
    let sent = env.sqlite("SELECT action_id FROM actions WHERE action_type = 'send'");
    let other = json!({ "goes_on": sent.trim() });
    assert_eq!(act(&daemon, "view-output", "r3", &pane, &other).error(400), "E_BAD_REQUEST");
    let nobody = json!({ "goes_on": "ac-nobody" });
    assert_eq!(act(&daemon, "view-output", "r4", &pane, &nobody).error(404), "E_REF_NOT_FOUND");
    let second = env.tmux().session("second", "exec cat");
    deck::listed(daemon.api(), &second);
    let elsewhere = json!({ "goes_on": id });
    assert_eq!(act(&daemon, "view-output", "r5", &second, &elsewhere).error(400), "E_BAD_REQUEST");
    assert_eq!(env.sqlite("SELECT count(*) FROM actions").trim(), "2");
}

#[test]
fn a_text_with_the_line_ends_of_another_system_is_typed_with_ours() {
    let (env, _daemon, pane) = scene();
    fs::write(env.path("home/file"), "one\r\ntwo\r\n").unwrap();
    env.qd(&["send", &pane, "--file", "file"]).success();
    env.invoke(&["send", &pane, "--stdin"]).stdin("three\r\n").run().success();
    arrives(&env, b"one\ntwo\nthree\n");
}

#[test]
fn f_17_a_signal_ends_the_process_and_with_tree_all_below_it() {
    let env = deck();
    let program = "setsid sleep 1001 & sleep 1002 & echo ready; wait";
    env.install("setsid");
    let pane = env.tmux().session("work", program);
    env.tmux().session("other", "exec cat");
    let daemon = env.daemon();
    let item = deck::listed(daemon.api(), &pane);
    env.tmux().shows(&pane, "ready");
    let sleepers = || env.members().into_iter().filter(|it| it.exe.ends_with("sleep")).count();
    wait::until("all run", || (sleepers() == 2).then_some(()));
    let pid = u32::try_from(item["pane_pid"].as_u64().unwrap()).unwrap();
    let kill = json!({ "mode": "signal", "signal": "KILL", "tree": true });
    let done = act(&daemon, "kill", "tree", &pane, &kill).expect(200);
    assert_eq!(done["action"]["proof"], "signal");
    wait::until("all are gone", || (!process::alive(pid) && sleepers() == 0).then_some(()));
    assert_eq!(env.tmux().sessions().iter().filter(|it| *it == "other").count(), 1);
    let again = act(&daemon, "kill", "tree", &pane, &kill).expect(200);
    assert_eq!(again["action_id"], done["action_id"], "it is not sent a second time");
}

#[test]
fn f_10_a_tmux_that_hangs_is_answered_as_unknown_and_types_nothing_later() {
    let (env, daemon, pane) = scene();
    let server = env.tmux().pid();
    process::signal(server, Signal::STOP);
    let began = wait::now();
    let answer = send(&daemon, "hang", &pane, &json!({ "text": "too late" }));
    let took = wait::now() - began;
    let body = answer.json();
    assert_eq!(answer.error(500), "E_OUTCOME_UNKNOWN");
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_eq!(body["error"]["details"]["result_code"], "unknown", "{body:#}");
    let id = body["error"]["details"]["action_id"].as_str().unwrap().to_owned();
    wait::stays("nobody waits for the deadline", Duration::from_secs(4), || true);
    process::signal(server, Signal::CONT);
    let settled = wait::within(Duration::from_secs(30), || {
        let answer = daemon.api().get(&format!("/v1/actions/{id}")).expect(200);
        answer["completed_at"].is_string().then_some(answer)
    });
    let settled = settled.expect("it is told once tmux answers again");
    assert_eq!(settled["result_code"], "failed", "{settled:#}");
    assert_eq!(settled["action"]["error_code"], "E_INTERRUPTED");
    send(&daemon, "after", &pane, &json!({ "text": "now" })).expect(200);
    arrives(&env, b"now");
    assert_eq!(env.tmux().ok(&["list-buffers"]), "", "no text is left in a buffer");
}

#[test]
fn references_of_people_are_resolved_and_ambiguity_does_nothing() {
    let (env, daemon, pane) = scene();
    let runtime = deck::runtime_of(&deck::pane(daemon.api(), &pane).unwrap());
    for (reference, text) in [
        (pane.clone(), "1"),
        ("work:0.0".to_owned(), "2"),
        (format!("runtime:{runtime}"), "3"),
        (runtime[..12].to_owned(), "4"),
    ] {
        env.qd(&["send", &reference, "--text", text]).success();
    }
    arrives(&env, b"1234");
    let second = env.tmux_at("second.sock");
    second.session("work", "exec cat > \"$HOME/second\"");
    let create =
        json!({ "name": "second", "kind": "local", "tmux_socket": env.path("second.sock") });
    daemon.api().post("/v1/targets", &create).expect(201);
    wait::until("both are listed", || {
        let panes = deck::items(daemon.api(), "/v1/panes");
        (panes.len() == 2).then_some(())
    });
    let said = env.qd(&["send", &pane, "--text", "x"]).fails_with(5);
    assert!(said.contains("E_REF_AMBIGUOUS") && said.contains("pane:second/"), "{said}");
    env.qd(&["send", "nobody:0.0", "--text", "x"]).fails_with(4);
    env.qd(&["send", "pane:local/a%zz/@0/%0", "--text", "x"]).fails_with(2);
    env.qd(&["send", &pane]).fails_with(2);
    arrives(&env, b"1234");
}

#[test]
fn the_history_tells_who_did_what_and_keeps_no_text() {
    let (env, daemon, pane) = scene();
    let secret = "sk-ant-api03-0123456789abcdefghijklmnopqrstuvwxyz";
    let long = format!("export KEY={secret} {}", "y".repeat(500));
    send(&daemon, "r1", &pane, &json!({ "text": long })).expect(200);
    send(&daemon, "r2", &pane, &json!({ "text": "x", "if_state": "running" })).error(409);
    let list = daemon.api().get("/v1/actions").expect(200);
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(
        (&items[0]["result_code"], &items[1]["result_code"]),
        (&json!("refused"), &json!("completed"))
    );
    let text = &items[1]["detail"]["act"]["send"]["text"];
    assert_eq!(text["bytes"], long.len());
    assert!(text["preview"].as_str().unwrap().chars().count() <= 80, "{text}");
    assert!(items[1]["requested_by"].as_str().unwrap().starts_with("client:uid="), "{list:#}");
    let page = daemon.api().get("/v1/actions?limit=1").expect(200);
    let next = page["next_before"].as_str().unwrap();
    let rest = daemon.api().get(&format!("/v1/actions?limit=1&before={next}")).expect(200);
    assert_eq!(rest["items"][0]["request_ref"], "r1");
    let shown = env.qd(&["history", &pane]).success();
    assert!(shown.contains("send") && shown.contains("refused"), "{shown}");
    env.qd(&["history", "--verify"]).success();
    daemon.stop();
    for name in ["qd.db", "qd.db-wal"] {
        let bytes = fs::read(env.home().join(name)).unwrap_or_default();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "the secret stands in {name}");
    }
}

#[test]
fn an_attach_from_outside_becomes_a_tmux_client_and_inside_it_switches() {
    let (env, daemon, pane) = scene();
    let tmux = env.tmux();
    let other = tmux.session("other", "exec cat");
    deck::listed(daemon.api(), &other);
    let window = tmux.window("work", "beside", "exec cat");
    let answer = act(&daemon, "attach", "r", &pane, &json!({})).expect(200);
    assert_eq!(answer["result_code"], "completed", "{answer:#}");
    assert_eq!(answer["attach"]["server_pid"], tmux.pid());
    let active = tmux.ok(&["display-message", "-p", "-t", "work:", "#{pane_id}"]);
    assert_eq!((active.trim(), window == pane), (pane.as_str(), false));
    // A client in a pane of another server, so that it has a terminal.
    let outer = env.tmux_at("outer.sock");
    let qd = env.qd_program().display().to_string();
    outer.session(
        "outer",
        &format!("unset TMUX TMUX_PANE; {qd} attach {other}; echo back; exec cat"),
    );
    let clients = || tmux.ok(&["list-clients", "-F", "#{session_name} #{client_tty}"]);
    wait::until("it is attached", || clients().contains("other /dev").then_some(()));
    let inside = format!("{qd} attach {pane}; exec cat");
    tmux.ok(&["respawn-pane", "-k", "-t", &other, &inside]);
    wait::until("the client is switched", || clients().contains("work /dev").then_some(()));
    tmux.ok(&["detach-client", "-s", "work"]);
    outer.shows("outer:", "back");
}
