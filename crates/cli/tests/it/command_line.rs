//! The command line: the same answers as the API, exit codes that mean something, text that fits.

use serde_json::{Value, json};
use testkit::{Daemon, TestEnv, Tmux, wait};

use crate::deck::{self, deck};

fn scene() -> (TestEnv, Daemon, String) {
    let env = deck();
    let pane = env.tmux().session("work", "exec cat");
    let daemon = env.daemon();
    deck::settled(daemon.api(), &pane, "cat");
    (env, daemon, pane)
}

/// Without what differs between two answers to one question.
fn timeless(mut answer: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                let moments = ["generated_at", "emitted_at", "last_seen_at", "as_of"];
                fields.retain(|name, _| {
                    !moments.contains(&name.as_str()) && !name.ends_with("age_ms")
                });
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    strip(&mut answer);
    answer
}

/// A terminal to run `qd` in: a second tmux server, with a session that keeps it alive.
fn outer(env: &TestEnv) -> Tmux<'_> {
    let outer = env.tmux_at("outer.sock");
    outer.session("anchor", "exec cat");
    outer
}

#[test]
fn tc_021_json_of_the_command_line_equals_the_api() {
    let (env, daemon, pane) = scene();
    let other = env.tmux().split(&pane, "exec cat");
    deck::settled(daemon.api(), &other, "cat");
    deck::pane_where(daemon.api(), &pane, "smaller now", |it| it["height"] != 24);
    let runtime = deck::runtime_of(&deck::listed(daemon.api(), &pane));
    let cases: Vec<(Vec<&str>, String)> = vec![
        (vec!["list", "panes", "--json"], "/v1/panes".into()),
        (vec!["ls", "--json"], "/v1/panes".into()),
        (vec!["list", "panes", "--session", "work", "--json"], "/v1/panes?session=work".into()),
        (vec!["list", "panes", "--state", "unknown", "--json"], "/v1/panes?state=unknown".into()),
        (vec!["list", "panes", "--agent", "none", "--json"], "/v1/panes?agent=none".into()),
        (vec!["list", "panes", "--needs-action", "--json"], "/v1/panes?needs_action=true".into()),
        (vec!["list", "panes", "--all-targets", "--json"], "/v1/panes?all_targets=true".into()),
        (vec!["list", "panes", "--target", "local", "--json"], "/v1/panes?target=local".into()),
        (
            vec!["list", "panes", "--target-session", "local/work", "--json"],
            "/v1/panes?target_session=local%2Fwork".into(),
        ),
        (vec!["list", "windows", "--json"], "/v1/windows".into()),
        (
            vec!["list", "windows", "--with-agent-status", "--json"],
            "/v1/windows?with_agent_status=true".into(),
        ),
        (vec!["list", "sessions", "--json"], "/v1/sessions".into()),
        (
            vec!["list", "sessions", "--group-by", "session-name", "--agent-summary", "--json"],
            "/v1/sessions?group_by=session-name&agent_summary=true".into(),
        ),
        (vec!["target", "list", "--json"], "/v1/targets".into()),
        (vec!["explain", &pane, "--json"], format!("/v1/runtimes/{runtime}/explain")),
    ];
    for (arguments, path) in cases {
        let said = timeless(env.qd(&arguments).json());
        let answered = timeless(daemon.api().get(&path).expect(200));
        assert_eq!(said, answered, "qd {arguments:?} and {path}");
    }
}

#[test]
fn tc_053_errors_are_json_too_and_exit_with_the_code_of_their_kind() {
    let (env, _daemon, _pane) = scene();
    for (arguments, code, exit) in [
        (&["list", "panes", "--target", "nobody", "--json"][..], "E_TARGET_NOT_FOUND", 4),
        (&["target", "connect", "nobody", "--json"], "E_TARGET_NOT_FOUND", 4),
        (&["target", "remove", "nobody", "--yes", "--json"], "E_TARGET_NOT_FOUND", 4),
        (&["target", "remove", "local", "--yes", "--json"], "E_TARGET_PROTECTED", 5),
        (&["explain", "%4711", "--json"], "E_REF_NOT_FOUND", 4),
        (&["explain", "pane:local/x", "--json"], "E_REF_INVALID", 2),
        (&["explain", "pane:local/%zz/@1/%1", "--json"], "E_REF_INVALID_ENCODING", 2),
        (&["list", "panes", "--target-session", "nonsense", "--json"], "E_REF_INVALID", 2),
        (&["watch", "--cursor", "nonsense", "--format", "jsonl"], "E_CURSOR_INVALID", 2),
    ] {
        let said = env.qd(arguments);
        assert_eq!(said.code(), Some(exit), "{said:?}");
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(all.contains(code), "{said:?}");
        let known: api::ErrorCode = code.parse().unwrap();
        assert_eq!(i32::from(known.exit_code().number()), exit, "{code}");
    }
}

#[test]
fn wrong_usage_exits_2_and_says_what_is_right() {
    let env = deck();
    for arguments in [
        &["no-such-verb"][..],
        &["list"],
        &["list", "planes"],
        &["list", "panes", "--no-such-flag"],
        &["watch", "--format", "xml"],
        &["watch", "--interval", "soon"],
        &["event", "emit"],
        &["target", "add"],
    ] {
        let said = env.qd(arguments).fails_with(2);
        assert!(!said.trim().is_empty(), "{arguments:?}");
    }
    assert!(env.daemons().is_empty(), "a wrong command starts no daemon");
}

#[test]
fn help_version_completions_and_man_pages_need_no_daemon() {
    let env = deck();
    for arguments in [&["--version"][..], &["--help"], &["help"], &["list", "--help"]] {
        assert!(!env.qd(arguments).success().is_empty(), "{arguments:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = env.qd(&["completions", shell]).success();
        assert!(script.contains("qd"), "{shell}");
    }
    assert!(env.daemons().is_empty());
}

#[test]
fn the_overview_folds_shells_and_shows_them_when_asked() {
    let (env, daemon, pane) = scene();
    for _ in 0..3 {
        env.tmux().window("work", "shell", "exec sh");
    }
    testkit::wait::until("all are listed", || {
        (deck::items(daemon.api(), "/v1/panes").len() == 4).then_some(())
    });
    let folded = env.qd(&[]).success();
    assert!(!folded.contains(&pane), "panes without an agent are one line: {folded}");
    let all = env.qd(&["--all"]).success();
    assert!(all.contains("work"), "{all}");
    assert!(all.lines().count() > folded.lines().count(), "{folded}\n---\n{all}");
}

#[test]
fn text_fits_a_terminal_of_40_columns_and_is_plain_when_piped() {
    let (env, daemon, _pane) = scene();
    let long = "a-window-with-quite-a-long-name-日本語日本語";
    let pane = env.tmux().window("work", long, "exec sh");
    deck::listed(daemon.api(), &pane);
    let outer = outer(&env);
    for arguments in
        [&["--all"][..], &["list", "panes"], &["list", "windows"], &["list", "sessions"]]
    {
        let piped = env.qd(arguments).success();
        assert!(!piped.contains('\u{1b}'), "qd {arguments:?}: {piped:?}");
        let qd = env.qd_program().display();
        let program = format!("{qd} {}; echo E\"\"ND; exec cat", arguments.join(" "));
        let size = ["-x", "40", "-y", "50"];
        let mut start = vec!["new-session", "-d", "-P", "-F", "#{pane_id}"];
        start.extend(size);
        start.push(&program);
        let screen_pane = outer.ok(&start);
        let screen = outer.shows(&screen_pane, "END");
        let joined = outer.ok(&["capture-pane", "-p", "-J", "-t", &screen_pane]);
        let lines = |text: &str| text.lines().filter(|line| !line.trim().is_empty()).count();
        assert_eq!(lines(&screen), lines(&joined), "no line of qd {arguments:?} wraps:\n{screen}");
        outer.ok(&["kill-pane", "-t", &screen_pane]);
    }
}

#[test]
fn a_watched_table_fits_the_terminal_again_when_that_changes() {
    let (env, _daemon, pane) = scene();
    let outer = outer(&env);
    // Nothing but the new size makes it paint again within this interval.
    let program = format!("{} watch --interval 10m", env.qd_program().display());
    let size = ["-x", "100", "-y", "20"];
    let mut start = vec!["new-session", "-d", "-P", "-F", "#{pane_id}"];
    start.extend(size);
    start.push(&program);
    let screen_pane = outer.ok(&start);
    outer.shows(&screen_pane, &pane);
    outer.shows(&screen_pane, "PATH");
    outer.ok(&["resize-window", "-t", &screen_pane, "-x", "40", "-y", "20"]);
    wait::until("the columns with no room are left out", || {
        let screen = outer.screen(&screen_pane);
        (screen.contains(&pane) && !screen.contains("PATH")).then_some(())
    });
}

#[test]
fn colours_follow_the_terminal_and_no_color() {
    let (env, _daemon, _pane) = scene();
    let outer = outer(&env);
    let qd = env.qd_program().display().to_string();
    for (variables, coloured) in [("", true), ("NO_COLOR=1 ", false), ("TERM=dumb ", false)] {
        let program = format!("{variables}{qd} --all; echo E\"\"ND; exec cat");
        let pane = outer.ok(&["new-session", "-d", "-P", "-F", "#{pane_id}", &program]);
        outer.shows(&pane, "END");
        let screen = outer.ok(&["capture-pane", "-p", "-e", "-t", &pane]);
        assert_eq!(screen.contains("\u{1b}["), coloured, "{variables:?}: {screen:?}");
        outer.ok(&["kill-pane", "-t", &pane]);
    }
}

#[test]
fn a_closed_pipe_is_no_error_worth_a_word() {
    let (env, _daemon, _pane) = scene();
    let qd = env.qd_program().display().to_string();
    let mut command = env.command(env.path("bin/bash"));
    command.args(["-c", &format!("{qd} list panes --json | true; exit ${{PIPESTATUS[0]}}")]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panic"), "{said}");
}

#[test]
fn the_doctor_says_what_is_there_and_names_servers_nobody_watches() {
    let (env, _daemon, _pane) = scene();
    let socket_name = "elsewhere";
    let tmux = env.tmux();
    tmux.ok(&["-L", socket_name, "new-session", "-d", "-s", "unwatched", "exec cat"]);
    let doctor = env.qd(&["doctor"]).success();
    let version = tmux.ok(&["-V"]);
    let number = version.rsplit(' ').next().unwrap();
    assert!(doctor.contains(number), "{doctor}");
    assert!(doctor.contains(socket_name), "{doctor}");
    assert!(doctor.contains("qd target add"), "it names the command that adds it: {doctor}");
    let machine = env.qd(&["doctor", "--json"]).json();
    assert_eq!(machine["schema_version"], json!("v1"), "{machine:#}");
    let folder = env.tmux_socket().unwrap().parent().unwrap().to_owned();
    std::fs::rename(folder.join(socket_name), folder.join("moved")).unwrap();
    let doctor = env.qd(&["doctor"]).success();
    assert!(doctor.contains("/moved") && !doctor.contains("stale"), "{doctor}");
}

#[test]
fn a_dot_is_the_pane_in_which_the_command_runs() {
    let env = deck();
    let outside = env.qd(&["explain", "."]).fails_with(2);
    assert!(outside.contains("not in tmux") && outside.contains("qd list panes"), "{outside}");
    let pane = env.tmux().session("work", "exec sh");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    let line = format!("{} explain . > said 2>&1; echo over", env.qd_program().display());
    env.tmux().type_line(&pane, &line);
    env.tmux().shows(&pane, "\nover");
    let said = std::fs::read_to_string(env.path("home/said")).unwrap();
    assert!(said.contains(&pane), "{said}");
}

#[test]
fn the_place_that_a_list_shows_names_the_pane_also_where_the_session_is_named_like_an_id() {
    let env = deck();
    env.tmux().session("work", "exec cat");
    let pane = env.tmux().session("%0", "exec cat");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    assert!(env.qd(&["ls"]).success().contains("%0:0.0"));
    let said = env.qd(&["explain", "%0:0.0"]).success();
    assert!(said.starts_with(&format!("{pane} on local, session %0:")), "{said}");
}

#[test]
fn ctrl_c_ends_a_watch_with_the_shell_on_a_line_of_its_own() {
    let env = deck();
    let pane = env.tmux().session("work", "PS1='prompt> ' exec sh");
    let daemon = env.daemon();
    deck::settled(daemon.api(), &pane, "sh");
    env.tmux().type_line(&pane, &format!("{} watch", env.qd_program().display()));
    env.tmux().shows(&pane, "1 pane:");
    env.tmux().ok(&["send-keys", "-t", &pane, "C-c"]);
    env.tmux().shows(&pane, "\nprompt>");
}

#[test]
fn what_names_no_pane_is_repeated_with_what_would() {
    let env = deck();
    env.daemon();
    for (reference, code, parts) in [
        ("x y", 2, ["`x y` names no pane", "%12"]),
        ("12", 2, ["`12` names no pane", "begins with `%`"]),
        ("", 2, ["`` names no pane", "%12"]),
        ("nowhere", 4, ["`nowhere`", "nowhere:window.pane"]),
        ("%4711", 4, ["`%4711`", "qd list panes"]),
        ("nowhere:1.2", 4, ["`nowhere:1.2`", "qd list panes"]),
    ] {
        let said = env.qd(&["explain", "--", reference]).fails_with(code);
        assert!(parts.iter().all(|part| said.contains(part)), "{reference}: {said}");
    }
}

#[test]
fn explain_shows_the_evidence_behind_a_state() {
    let (env, _daemon, pane) = scene();
    env.qd(&[
        "event",
        "emit",
        "--source",
        "hook",
        "--type",
        "needs-approval",
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
    for reference in [pane.as_str(), "work:0", "work:0.0"] {
        let said = env.qd(&["explain", reference]).success();
        assert!(said.contains("approval") && said.contains("hook"), "{reference}: {said}");
    }
}

#[test]
fn with_hardly_any_descriptors_it_says_so_and_what_to_do() {
    let env = deck();
    let limited = |limit: u32, arguments: &str| {
        let script = format!("ulimit -n {limit}; exec \"$0\" {arguments}");
        env.run_program("/bin/sh", &["-c", &script, &env.qd_program().display().to_string()])
    };
    for limit in 4..24 {
        for arguments in ["ls", "daemon run"] {
            let said = format!("{:?}", limited(limit, arguments));
            assert!(!said.contains("panicked"), "{limit} {said}");
        }
    }
    let said = limited(7, "ls").fails_with(3);
    assert!(said.contains("E_DAEMON_UNREACHABLE") && said.contains("ulimit -n"), "{said}");
}

#[test]
fn what_was_done_stays_done_where_the_output_is_full() {
    let env = deck();
    let pane = env.tmux().session("work", "exec cat");
    let daemon = env.daemon();
    deck::settled(daemon.api(), &pane, "cat");
    let full = |arguments: &str| {
        let script = format!("exec \"$0\" {arguments} > /dev/full");
        env.run_program("/bin/sh", &["-c", &script, &env.qd_program().display().to_string()])
    };
    for arguments in [
        format!("event emit --source hook --type made-up --dedupe one --pane {pane}"),
        format!("send {pane} --text hello"),
        "target add other --kind local --tmux-socket other".to_owned(),
        "target remove other --yes".to_owned(),
        "adapter disable claude-hook".to_owned(),
        "daemon stop".to_owned(),
    ] {
        let told = full(&arguments);
        assert_eq!(told.code(), Some(0), "{arguments}: {told:?}");
        let told = format!("{told:?}");
        assert!(told.contains("it was done, and cannot be shown"), "{arguments}: {told}");
    }
    let rows = env.sqlite("SELECT count(*) FROM events WHERE dedupe_key = 'one'");
    assert_eq!(rows.trim(), "1");
    full("ls").fails_with(1);
    full("token create lost").fails_with(1);
}
