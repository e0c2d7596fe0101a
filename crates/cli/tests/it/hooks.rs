//! Hooks: what an agent's `qd hook` leaves in the spool, and what the daemon makes of it, whoever
//! is killed, paused, missing or hostile meanwhile.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;
use testkit::process::Signal;
use testkit::{Daemon, Invocation, TestEnv, wait};

use crate::deck::{self, deck};

fn spool(env: &TestEnv) -> PathBuf {
    env.home().join("spool/hooks.spool")
}

/// Whole records in the spool.
fn recorded(env: &TestEnv) -> usize {
    let text = fs::read(spool(env)).unwrap_or_default();
    text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"qd1\t")).count()
}

/// The events of hooks that are in the database, bound or waiting.
fn taken(env: &TestEnv) -> usize {
    let bound = "SELECT count(*) FROM events WHERE event_id LIKE 'hook-%'";
    env.sqlite(bound).trim().parse().unwrap()
}

#[track_caller]
fn until_taken(env: &TestEnv, count: usize) {
    wait::until(&format!("{count} records are taken in"), || (taken(env) == count).then_some(()));
}

/// A shell line that calls the hook with a payload from standard input.
fn hook(env: &TestEnv, agent: &str, event: &str, payload: &str) -> String {
    format!("printf %s '{payload}' | {} hook {agent} {event}", env.qd_program().display())
}

/// The hook, called by this test: from no pane.
fn call(env: &TestEnv, event: &str) -> Invocation {
    env.invoke(&["hook", "claude", event])
}

/// A deck with a pane that runs a shell, looked at once.
struct Scene {
    daemon: Daemon,
    pane: String,
    env: TestEnv,
}

fn scene() -> Scene {
    let env = deck();
    let pane = env.tmux().session("work", "exec sh");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    Scene { daemon, pane, env }
}

#[track_caller]
fn state_of(daemon: &Daemon, pane: &str, state: &str) -> Value {
    deck::pane_where(daemon.api(), pane, state, |it| it["state"] == state)
}

#[test]
fn a_hook_in_a_pane_changes_the_state_of_that_pane() {
    let it = scene();
    let line = hook(&it.env, "claude", "needs-approval", r#"{"tool":"Bash"}"#);
    it.env.tmux().type_line(&it.pane, &line);
    let item = state_of(&it.daemon, &it.pane, "waiting_approval");
    assert_eq!(item["agent_type"], "claude");
    assert_eq!(item["state_source"], "hook");
    assert_eq!(item["last_event_type"], "claude-needs-approval");
    let mode = fs::metadata(spool(&it.env)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn what_hooks_said_while_no_daemon_ran_is_taken_in_when_one_starts() {
    let env = deck();
    let pane = env.tmux().session("work", "exec sh");
    env.tmux().type_line(&pane, &hook(&env, "claude", "hook-start", "{}"));
    env.tmux().type_line(&pane, &hook(&env, "claude", "needs-input", "{}"));
    wait::until("both are recorded", || (recorded(&env) == 2).then_some(()));
    assert!(!env.socket().exists(), "a hook starts no daemon");
    let daemon = env.daemon();
    state_of(&daemon, &pane, "waiting_input");
    assert_eq!(taken(&env), 2);
}

#[test]
fn a_hook_prints_nothing_and_succeeds_whatever_is_wrong() {
    let env = deck();
    let file = env.path("file");
    fs::write(&file, "").unwrap();
    let quiet = |what: &str, invocation: Invocation| {
        let output = invocation.run();
        assert_eq!(output.code(), Some(0), "{what}: {output:?}");
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""), "{what}");
    };
    quiet("all is well", call(&env, "Stop"));
    assert_eq!(recorded(&env), 1);
    quiet("a file in the way", call(&env, "Stop").env("QD_HOME", file.join("below")));
    quiet("a folder that takes nothing", call(&env, "Stop").env("QD_HOME", "/proc/nothing"));
    quiet("a relative folder", call(&env, "Stop").env("QD_HOME", "below"));
    let homeless = call(&env, "Stop").env_remove("QD_HOME").env_remove("HOME");
    quiet("no home", homeless.env_remove("XDG_STATE_HOME"));
    fs::remove_file(spool(&env)).unwrap();
    fs::create_dir(spool(&env)).unwrap();
    quiet("a folder where the file should be", call(&env, "Stop"));
    fs::remove_dir(spool(&env)).unwrap();
    std::os::unix::fs::symlink("/dev/full", spool(&env)).unwrap();
    quiet("a full device behind a link", call(&env, "Stop"));
    fs::remove_file(spool(&env)).unwrap();
    quiet("nobody who reports", env.invoke(&["hook"]));
    quiet("an unknown agent, event and options", env.invoke(&["hook", "x", "--new", "a", "b"]));
    assert_eq!(recorded(&env), 1);
}

#[test]
fn a_hook_ends_although_its_input_does_not() {
    let env = deck();
    let qd = env.qd_program().display().to_string();
    let pipe = env.path("pipe");
    env.run_program(env.path("bin/mkfifo"), &[pipe.to_str().unwrap()]).success();
    // It has a writer as long as we have it open.
    let mut writer = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    writer.write_all(b"{}").unwrap();
    let endless = format!("{qd} hook claude Stop < {}", pipe.display());
    assert_eq!(env.run_program(env.path("bin/sh"), &["-c", &endless]).code(), Some(0));
    assert!(fs::read_to_string(spool(&env)).unwrap().contains("\ttext={}\t"));
    let closed = format!("{qd} hook claude Stop <&-");
    assert_eq!(env.run_program(env.path("bin/sh"), &["-c", &closed]).code(), Some(0));
    assert_eq!(recorded(&env), 2);
}

#[test]
fn a_notification_has_its_payload_as_the_last_argument() {
    let it = scene();
    let qd = it.env.qd_program().display().to_string();
    it.env.tmux().type_line(&it.pane, &format!("{qd} hook codex notify '{{\"type\":\"turn\"}}'"));
    until_taken(&it.env, 1);
    let row = it.env.sqlite("SELECT source, event_type, raw_payload FROM events");
    assert_eq!(row.trim(), r#"notify|codex-notify|{"type":"turn"}"#);
}

#[test]
fn f_15_each_record_is_taken_in_exactly_once_however_often_the_daemon_is_killed() {
    const HOOKS: usize = 60;
    let env = deck();
    let qd = env.qd_program().display().to_string();
    let fire = |name: &str| {
        let line = format!("printf '{{\"n\":\"%s\"}}' {name}$i | {qd} hook claude tick-{name}");
        // The shell stays the pane's process: another program in its place would be another runtime,
        // to which nothing of this was told.
        format!("i=0; while [ $i -lt {HOOKS} ]; do i=$((i+1)); {line}; done; echo fired; cat; :")
    };
    let panes = [env.tmux().session("a", &fire("a")), env.tmux().session("b", &fire("b"))];
    // The spool itself tells how far the hooks are: each daemon dies at another point of it.
    for round in 1..=8 {
        let daemon = env.daemon();
        wait::until("more is recorded", || (recorded(&env) >= round * 14).then_some(()));
        daemon.kill9();
    }
    panes.iter().for_each(|pane| drop(env.tmux().shows(pane, "fired")));
    assert_eq!(recorded(&env), 2 * HOOKS);
    let daemon = env.daemon();
    until_taken(&env, 2 * HOOKS);
    let of = |name: &str, pane: &str| {
        let count = format!(
            "SELECT count(DISTINCT raw_payload) FROM events WHERE event_type = 'claude-tick-{name}' \
             AND runtime_id = '{}'",
            deck::runtime_of(&deck::listed(daemon.api(), pane))
        );
        env.sqlite(&count).trim().parse::<usize>().unwrap()
    };
    assert_eq!([of("a", &panes[0]), of("b", &panes[1])], [HOOKS; 2], "each in its own pane");
    assert_eq!(env.sqlite("SELECT count(*) FROM event_inbox").trim(), "0");
}

#[test]
fn f_15_repeated_late_and_shuffled_records_end_in_the_same_state() {
    let it = scene();
    let events = ["hook-start", "needs-approval", "running", "hook-done"];
    for event in events {
        it.env.tmux().type_line(&it.pane, &hook(&it.env, "claude", event, "{}"));
    }
    state_of(&it.daemon, &it.pane, "completed");
    let settled = deck::listed(it.daemon.api(), &it.pane);
    let lines = fs::read_to_string(spool(&it.env)).unwrap();
    let lines: Vec<&str> = lines.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), events.len());
    for times in 0..13 {
        let mut again = lines.clone();
        again.rotate_left(times % lines.len());
        append(&it.env, &again.join("\n"));
    }
    // A record of its own behind them says when they are read.
    it.env.tmux().type_line(&it.pane, &hook(&it.env, "claude", "made-up", "{}"));
    until_taken(&it.env, events.len() + 1);
    let now = deck::listed(it.daemon.api(), &it.pane);
    for field in ["state", "reason_code", "state_version"] {
        assert_eq!(now[field], settled[field], "{field}");
    }
}

/// Appends to the spool what is not a whole record, or one that somebody else made.
fn append(env: &TestEnv, text: &str) {
    let mut file = fs::OpenOptions::new().append(true).open(spool(env)).unwrap();
    file.write_all(format!("\n{text}\n").as_bytes()).unwrap();
}

#[test]
fn a_daemon_that_stands_still_holds_up_no_hook_and_hears_it_later() {
    let it = scene();
    it.daemon.signal(Signal::STOP);
    it.env
        .tmux()
        .type_line(&it.pane, &(hook(&it.env, "claude", "needs-input", "{}") + "; echo en''ded"));
    it.env.tmux().shows(&it.pane, "ended");
    assert_eq!(recorded(&it.env), 1);
    it.daemon.signal(Signal::CONT);
    state_of(&it.daemon, &it.pane, "waiting_input");
}

#[test]
fn a_permission_hook_outside_of_every_watched_pane_waits_for_nobody_and_opens_nothing() {
    let it = scene();
    let payload = r#"{"session_id":"elsewhere","tool_name":"Bash","tool_input":{"command":"ls"}}"#;
    for (number, (agent, event)) in [
        ("claude", "PermissionRequest"),
        ("codex", "PermissionRequest"),
        ("copilot", "permissionRequest"),
    ]
    .into_iter()
    .enumerate()
    {
        let asked = it.env.invoke(&["hook", agent, event]).stdin(payload).run();
        assert_eq!((asked.code(), asked.stdout.as_str()), (Some(0), ""), "{agent}");
        assert_eq!(recorded(&it.env), number + 1, "its record is written all the same");
    }
    // A request for a record that never comes is told at once that nobody answers it.
    let request = serde_json::json!({
        "record_id": "never", "agent": "codex", "event": "PermissionRequest", "choices": ["approve"],
    });
    let told = it.daemon.api().post("/v1/replies", &request).expect(200);
    assert_eq!(told["status"], "end", "{told}");
    assert_eq!(deck::items(it.daemon.api(), "/v1/approvals?all"), Vec::<Value>::new());
}

#[test]
fn s_14_a_record_is_about_the_pane_it_came_from_whatever_it_says() {
    let it = scene();
    let other = it.env.tmux().session("other", "exec sh");
    deck::listed(it.daemon.api(), &other);
    let forged = format!("TMUX_PANE={other} && export TMUX_PANE");
    it.env.tmux().type_line(&it.pane, &forged);
    it.env.tmux().type_line(&it.pane, &hook(&it.env, "claude", "needs-approval", "{}"));
    state_of(&it.daemon, &it.pane, "waiting_approval");
    assert_eq!(deck::listed(it.daemon.api(), &other)["state"], "unknown");
    // Nor does one that came from no pane reach one by naming it.
    let server = it.env.tmux().show(&other, "#{socket_path},#{pid},0");
    let line = call(&it.env, "needs-input").env("TMUX", server).env("TMUX_PANE", &other);
    assert_eq!(line.run().code(), Some(0));
    it.env.tmux().type_line(&it.pane, &hook(&it.env, "claude", "made-up", "{}"));
    until_taken(&it.env, 2);
    assert_eq!(deck::listed(it.daemon.api(), &other)["state"], "unknown");
}

#[test]
fn s_14_hostile_payloads_are_recorded_and_do_no_harm() {
    let it = scene();
    let qd = it.env.qd_program().display().to_string();
    let payloads: [(&str, Vec<u8>); 7] = [
        ("large", vec![b'x'; 10 * 1024 * 1024]),
        ("deep", b"[".repeat(1_000_000)),
        ("nul", b"{\"a\":\"\0\"}\0".to_vec()),
        ("utf8", b"{\"a\":\"\xff\xfe\xc3(\"}".to_vec()),
        ("escapes", b"\x1b]0;owned\x07\x1b[2J\x9b31m".to_vec()),
        ("lines", b"\nqd1\tid=0000000000000000\tagent=x\n\n".to_vec()),
        ("types", br#"{"session_id":{"a":[1]},"cwd":7}"#.to_vec()),
    ];
    for (name, payload) in &payloads {
        let file = it.env.path(name);
        fs::write(&file, payload).unwrap();
        let line = format!("{qd} hook claude hostile-{name} < {}", file.display());
        it.env.tmux().type_line(&it.pane, &line);
        it.env.tmux().type_line(
            &it.pane,
            &format!("cat {} | {qd} hook claude piped-{name}", file.display()),
        );
    }
    until_taken(&it.env, 2 * payloads.len());
    let kept = it.env.sqlite("SELECT count(*) FROM events WHERE raw_payload IS NOT NULL");
    assert!(kept.trim().parse::<usize>().unwrap() >= 2, "what can be cleaned is kept");
    let health = it.daemon.api().get("/v1/health").expect(200);
    assert_eq!(health["warnings"].as_array().unwrap().len(), 0, "{health:#}");
    assert!(it.env.qd(&["ls", "--json"]).json()["items"].is_array());
}

#[test]
fn ag_29_no_secret_of_a_payload_gets_further_than_the_spool() {
    const SECRET: &str = "hunter2-ghp_abcdefghijklmnopqrstuvwxyz0123456789";
    let it = scene();
    let payload = format!(
        r#"{{"token":"{SECRET}","tool_input":{{"command":"export API_KEY={SECRET}"}},"prompt":"password={SECRET}"}}"#
    );
    it.env.tmux().type_line(&it.pane, &hook(&it.env, "claude", "needs-approval", &payload));
    // What cannot be read is not kept at all.
    it.env
        .tmux()
        .type_line(&it.pane, &hook(&it.env, "claude", "running", &payload[..payload.len() - 1]));
    until_taken(&it.env, 2);
    let runtime = deck::runtime_of(&deck::listed(it.daemon.api(), &it.pane));
    for path in ["/v1/panes".to_owned(), format!("/v1/runtimes/{runtime}/explain")] {
        let answer = it.daemon.api().get(&path).text();
        assert!(!answer.contains("hunter2"), "{path}: {answer}");
    }
    assert!(fs::read_to_string(spool(&it.env)).unwrap().contains(SECRET), "raw, for a minute");
    it.daemon.stop();
    let mut folders = vec![it.env.home()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if entry.path() != spool(&it.env) {
                let bytes = fs::read(entry.path()).unwrap();
                let found = bytes.windows(7).any(|window| window == b"hunter2");
                assert!(!found, "{}", entry.path().display());
            }
        }
    }
}

#[test]
fn garbage_and_what_belongs_to_others_is_named_and_passed_over() {
    let it = scene();
    it.env.tmux().type_line(&it.pane, &hook(&it.env, "claude", "hook-start", "{}"));
    state_of(&it.daemon, &it.pane, "running");
    append(&it.env, "coffee\nqd1\tid=1");
    append(&it.env, "qd9\tid=00112233445566778899\tof=the future");
    let segment = spool(&it.env).with_file_name("hooks-00000000000001-0000000001.spool");
    std::os::unix::fs::symlink("/etc/passwd", segment).unwrap();
    it.env.tmux().type_line(&it.pane, &hook(&it.env, "claude", "needs-input", "{}"));
    state_of(&it.daemon, &it.pane, "waiting_input");
    let counts = wait::until("all of it is named", || {
        let health = it.daemon.api().get("/v1/health").expect(200);
        let warnings = health["warnings"].as_array()?.clone();
        let count = |code: &str| {
            let found = warnings.iter().find(|it| it["code"] == code)?;
            found["details"]["count"].as_u64()
        };
        Some([count("spool_unreadable")?, count("spool_newer")?, count("spool_foreign")?])
    });
    assert_eq!(counts, [2, 1, 1]);
    let doctor = it.env.qd(&["doctor"]);
    assert!(doctor.stdout.contains("lines of the spool are no records"), "{}", doctor.stdout);
}

#[test]
fn a_spool_that_is_cut_or_taken_away_is_read_on() {
    let it = scene();
    let say =
        |event: &str| it.env.tmux().type_line(&it.pane, &hook(&it.env, "claude", event, "{}"));
    say("hook-start");
    until_taken(&it.env, 1);
    fs::OpenOptions::new().write(true).open(spool(&it.env)).unwrap().set_len(0).unwrap();
    say("needs-input");
    until_taken(&it.env, 2);
    fs::remove_file(spool(&it.env)).unwrap();
    say("hook-done");
    until_taken(&it.env, 3);
    fs::remove_dir_all(it.env.home().join("spool")).unwrap();
    say("needs-approval");
    state_of(&it.daemon, &it.pane, "waiting_approval");
    assert_eq!(taken(&it.env), 4);
}

#[test]
fn a_spool_that_grew_over_many_files_is_read_whole() {
    let env = deck();
    let pane = env.tmux().session("work", "exec sh");
    let file = env.path("large");
    // It begins like JSON and is none, so that cleaning it takes no time.
    fs::write(&file, [vec![b'{'], vec![b'x'; 1_000_000]].concat()).unwrap();
    let qd = env.qd_program().display();
    let fire = format!(
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do {qd} hook claude large < {}; done; echo fi''red",
        file.display()
    );
    env.tmux().type_line(&pane, &fire);
    env.tmux().shows(&pane, "fired");
    let files = fs::read_dir(env.home().join("spool")).unwrap().count();
    assert_eq!(files, 2, "one was set aside");
    let daemon = env.daemon();
    until_taken(&env, 12);
    daemon.stop();
}

#[test]
fn what_a_plain_shell_writes_is_taken_in_like_the_rest() {
    for shell in ["sh", "dash", "busybox", "bash"] {
        let it = scene();
        for program in ["dash", "busybox", "od", "tr", "wc", "mv", "rm", "sed"] {
            it.env.reinstall(program);
        }
        if !it.env.path("bin").join(shell).exists() {
            continue;
        }
        let file = it.env.home().join("hook");
        fs::write(&file, agents::setup::HOOK).unwrap();
        let applet = if shell == "busybox" { " sh" } else { "" };
        let run = format!("{shell}{applet} {} hook", file.display());
        it.env.tmux().type_line(&it.pane, "mkdir -p \"a b%\" && cd \"a b%\"");
        it.env.tmux().type_line(
            &it.pane,
            &format!("printf '{{\"a\":\"b\\0\"}}' | {run} claude needs-approval"),
        );
        state_of(&it.daemon, &it.pane, "waiting_approval");
        let line = fs::read_to_string(spool(&it.env)).unwrap();
        assert!(line.contains("\tpane=%25") && line.contains("%61%20%62%25"), "{shell}: {line}");
        it.env
            .tmux()
            .type_line(&it.pane, &format!("head -c 400000 /dev/zero | {run} claude needs-input"));
        state_of(&it.daemon, &it.pane, "waiting_input");
        let spool = fs::read_to_string(spool(&it.env)).unwrap();
        assert!(spool.contains("\tcut=262145\t"), "{shell}: what is too long is not kept");
    }
}
