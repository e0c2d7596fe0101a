//! The daemon's own session on a tmux server: seen by nobody, in nobody's way, gone with it.

use std::time::Duration;

use testkit::{TestEnv, process, wait};

use crate::deck::{self, Watch, deck};

const HUB: &str = "_qd-";

fn hubs(env: &TestEnv) -> Vec<String> {
    let mut sessions = env.tmux().sessions();
    sessions.retain(|name| name.starts_with(HUB));
    sessions
}

#[track_caller]
fn hub_appears(env: &TestEnv) -> String {
    wait::until("the daemon has its session", || hubs(env).pop())
}

#[track_caller]
fn hubs_are_gone(env: &TestEnv) {
    wait::until("the daemon's session is gone", || hubs(env).is_empty().then_some(()));
}

#[test]
fn the_hidden_session_is_in_no_answer() {
    let env = deck();
    let pane = env.tmux().session("work", "exec cat");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    hub_appears(&env);
    for path in ["/v1/panes", "/v1/windows", "/v1/sessions"] {
        let answer = daemon.api().get(path).expect(200);
        assert!(!answer.to_string().contains(HUB), "{path}: {answer:#}");
    }
    for arguments in [
        &["list", "panes", "--json"][..],
        &["list", "windows", "--json"],
        &["list", "sessions", "--json"],
        &["list", "panes"],
        &["--all"],
        &["target", "list", "--json"],
    ] {
        let said = env.qd(arguments).success();
        assert!(!said.contains(HUB), "{arguments:?}: {said}");
    }
    let (watch, snapshot) = Watch::panes(daemon.api());
    assert!(!snapshot.to_string().contains(HUB), "{snapshot:#}");
    assert!(watch.changes.is_empty());
}

#[test]
fn the_hidden_session_and_its_client_go_with_a_stop() {
    let env = deck();
    let tmux = env.tmux();
    tmux.session("work", "exec cat");
    let daemon = env.daemon();
    hub_appears(&env);
    assert_eq!(daemon.stop(), 0);
    hubs_are_gone(&env);
    assert_eq!(tmux.ok(&["list-clients", "-F", "#{client_name}"]), "");
}

#[test]
fn the_hidden_session_and_its_client_go_with_a_kill_9() {
    let env = deck();
    let tmux = env.tmux();
    tmux.session("work", "exec cat");
    let daemon = env.daemon();
    hub_appears(&env);
    daemon.kill9();
    hubs_are_gone(&env);
    assert_eq!(tmux.ok(&["list-clients", "-F", "#{client_name}"]), "");
    assert_eq!(tmux.sessions(), ["work"]);
}

#[test]
fn a_kill_9_while_the_hidden_session_is_being_made_leaves_none_behind() {
    let env = deck();
    env.tmux().session("work", "exec cat");
    for _ in 0..8 {
        let daemon = env.daemon();
        hub_appears(&env);
        daemon.kill9();
        hubs_are_gone(&env);
    }
}

#[test]
fn a_restarted_daemon_has_exactly_one_session_again() {
    let env = deck();
    env.tmux().session("work", "exec cat");
    env.daemon().kill9();
    for _ in 0..3 {
        let daemon = env.daemon();
        hub_appears(&env);
        daemon.kill9();
    }
    let daemon = env.daemon();
    hub_appears(&env);
    wait::until("one is left", || (hubs(&env).len() == 1).then_some(()));
    drop(daemon);
}

#[test]
fn the_server_ends_with_the_users_last_session_as_it_would_without_us() {
    let env = deck();
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    hub_appears(&env);
    let server = tmux.pid();
    tmux.ok(&["kill-session", "-t", "=work"]);
    wait::until("the server ended", || (!process::alive(server)).then_some(()));
    deck::unlisted(daemon.api(), &pane);
    assert!(deck::items(daemon.api(), "/v1/panes").is_empty());
}

#[test]
fn another_installations_session_and_client_are_left_alone_and_hidden() {
    let env = deck();
    let pane = env.tmux().session("work", "exec cat");
    let mine = env.daemon();
    let first = hub_appears(&env);
    let other = env.path("other");
    env.invoke(&["daemon", "start"]).env("QD_HOME", &other).run().success();
    wait::until("both have theirs", || (hubs(&env).len() == 2).then_some(()));
    let theirs = testkit::Http::new(other.join("qd.sock"));
    for api in [mine.api(), &theirs] {
        deck::listed(api, &pane);
        assert!(!api.get("/v1/sessions").expect(200).to_string().contains(HUB));
    }
    env.invoke(&["daemon", "stop"]).env("QD_HOME", &other).run().success();
    wait::until("only theirs is gone", || (hubs(&env) == [first.clone()]).then_some(()));
    wait::stays("mine stays", Duration::from_millis(500), || hubs(&env) == [first.clone()]);
}

/// A person with a terminal: a client of the deck's tmux that runs in a pane of a second one.
fn attach_a_person(env: &TestEnv, session: &str) {
    let outer = env.tmux_at("outer.sock");
    outer.session("screen", &format!("exec env -u TMUX tmux attach-session -t '={session}'"));
    wait::until("the person is attached", || (client_session(env)? == session).then_some(()));
}

/// Where the one client with a terminal is.
fn client_session(env: &TestEnv) -> Option<String> {
    let format = "#{client_tty}|#{client_session}";
    let clients = env.tmux().run(&["list-clients", "-F", format]);
    let with_terminal = clients.stdout.lines().find(|line| line.starts_with("/dev/"))?;
    with_terminal.split_once('|').map(|(_, session)| session.to_owned())
}

#[test]
fn a_person_whom_tmux_drops_into_the_hidden_session_is_moved_out_at_once() {
    let env = deck();
    let tmux = env.tmux();
    tmux.session("work", "exec cat");
    tmux.session("play", "exec cat");
    tmux.ok(&["set-option", "-g", "detach-on-destroy", "off"]);
    let _daemon = env.daemon();
    let hub = hub_appears(&env);
    attach_a_person(&env, "work");
    tmux.ok(&["switch-client", "-c", &terminal(&env), "-t", &format!("={hub}")]);
    wait::until("moved out", || {
        client_session(&env).filter(|name| !name.starts_with(HUB)).map(drop)
    });
    tmux.ok(&["kill-session", "-t", "=work"]);
    wait::until("in the other session", || (client_session(&env)? == "play").then_some(()));
}

#[test]
fn a_person_who_steps_through_the_sessions_comes_past_the_hidden_one() {
    let env = deck();
    let tmux = env.tmux();
    tmux.session("A", "exec cat");
    tmux.session("work", "exec cat");
    let _daemon = env.daemon();
    hub_appears(&env);
    attach_a_person(&env, "A");
    let terminal = terminal(&env);
    for (step, to) in [("-n", "work"), ("-n", "A"), ("-p", "work"), ("-p", "A"), ("-l", "work")] {
        tmux.ok(&["switch-client", "-c", &terminal, step]);
        wait::until(to, || (client_session(&env)? == to).then_some(()));
    }
}

#[test]
fn the_hidden_session_stays_hidden_when_somebody_renames_it() {
    let env = deck();
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    let hub = hub_appears(&env);
    wait::until("the daemon sits in it", || {
        (tmux.ok(&["list-clients", "-F", "#{client_session}"]) == hub).then_some(())
    });
    // What `tmux rename-session mine` does outside tmux while nobody is attached.
    let name = format!("={hub}");
    let rename = ["rename-session", "-t", &name, "mine", ";"];
    let start = ["new-window", "-dP", "-t", "=mine:", "-F", "#{pane_id}", "exec cat"];
    let window = tmux.ok(&[&rename[..], &start[..]].concat());
    let moved = || (tmux.show(&window, "#{session_name}") == "work").then_some(());
    wait::until("what was started there is moved out", moved);
    wait::until("it has its name again", || (hubs(&env) == [hub.clone()]).then_some(()));
    deck::listed(daemon.api(), &window);
    assert!(!daemon.api().get("/v1/sessions").expect(200).to_string().contains("mine"));
}

#[test]
fn a_server_that_is_to_end_unattached_ends_with_its_last_client() {
    let env = deck();
    let tmux = env.tmux();
    tmux.session("work", "exec cat");
    let _daemon = env.daemon();
    hub_appears(&env);
    attach_a_person(&env, "work");
    tmux.ok(&["set-option", "-s", "exit-unattached", "on"]);
    let server = tmux.pid();
    tmux.ok(&["detach-client", "-s", "=work"]);
    wait::until("the server ended", || (!process::alive(server)).then_some(()));
}

fn terminal(env: &TestEnv) -> String {
    let clients = env.tmux().ok(&["list-clients", "-F", "#{client_tty}"]);
    clients.lines().find(|line| line.starts_with("/dev/")).unwrap().to_owned()
}

#[test]
fn watching_changes_no_size_title_option_or_focus_of_the_users() {
    let env = deck();
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    tmux.split(&pane, "exec cat");
    tmux.window("work", "two", "exec cat");
    let view = || {
        let panes = "#{pane_id} #{pane_width}x#{pane_height} #{pane_title} #{pane_active} \
            #{window_name} #{window_layout} #{session_name} #{session_attached} #{pane_in_mode}";
        let all = tmux.ok(&["list-panes", "-a", "-F", panes]);
        let mut lines: Vec<_> =
            all.lines().filter(|it| !it.contains(HUB)).map(str::to_owned).collect();
        lines.push(tmux.ok(&["show-options", "-g"]));
        lines.push(tmux.ok(&["show-options", "-gw"]));
        lines.push(tmux.ok(&["show-options", "-s"]));
        lines.push(tmux.ok(&["show-hooks", "-g"]));
        lines.push(tmux.ok(&["show-environment", "-g"]));
        lines.push(tmux.ok(&["list-buffers"]));
        lines
    };
    let before = view();
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    hub_appears(&env);
    assert_eq!(view(), before, "while it watches");
    assert_eq!(daemon.stop(), 0);
    hubs_are_gone(&env);
    assert_eq!(view(), before, "after it left");
}

#[test]
fn two_daemons_on_copies_of_one_home_leave_each_other_alone() {
    let env = deck();
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    daemon.stop();
    let copy = env.path("copy");
    let (from, to) = (env.home().display().to_string(), copy.display().to_string());
    env.run_program("/bin/cp", &["-a", &from, &to]).success();
    let first = env.daemon();
    let second = env.invoke(&["daemon", "run"]).env("QD_HOME", &copy).start();
    let mut both =
        wait::until("each has a session", || Some(hubs(&env)).filter(|them| them.len() == 2));
    let seats = || tmux.ok(&["list-clients", "-F", "#{client_pid} #{client_session}"]);
    let seated = wait::until("each is seated", || {
        Some(seats()).filter(|seats| both.iter().all(|hub| seats.contains(hub.as_str())))
    });
    for name in ["one", "two", "three"] {
        tmux.ok(&["rename-window", "-t", &pane, name]);
        let renamed = |item: &serde_json::Value| item["window_name"] == name;
        deck::pane_where(first.api(), &pane, name, renamed);
        wait::until("the second sees it too", || {
            let listed = env.invoke(&["ls", "--json"]).env("QD_HOME", &copy).run().json();
            listed["items"].as_array()?.iter().any(renamed).then_some(())
        });
    }
    let mut now = hubs(&env);
    now.sort();
    both.sort();
    assert_eq!((now, seats()), (both, seated), "nobody lost anything");
    second.signal(process::Signal::TERM);
    assert_eq!(second.finish().code(), Some(0));
    assert_eq!(hubs(&env).len(), 1, "and only its own session goes");
}

/// A window that the user shows already is taken out of our session, and given to nobody a second time.
#[test]
fn a_window_that_is_linked_into_our_session_stays_where_it_was() {
    let env = deck();
    let tmux = env.tmux();
    let pane = tmux.session("work", "exec cat");
    tmux.session("other", "exec cat");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    let hub = wait::until("our session is there", || hubs(&env).pop());
    let windows = || {
        let all = tmux.ok(&["list-windows", "-a", "-F", "#{session_name} #{window_id}"]);
        all.lines().filter(|it| !it.starts_with(HUB)).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = windows();
    tmux.ok(&["link-window", "-d", "-s", &pane, "-t", &format!("={hub}:")]);
    wait::until("our session shows its own window alone", || {
        let own = tmux.ok(&["list-windows", "-t", &format!("={hub}"), "-F", "x"]);
        (own.lines().count() == 1).then_some(())
    });
    assert_eq!(windows(), before);
    assert_eq!(deck::items(daemon.api(), "/v1/panes").len(), 2);
}

/// What a hook of the user's does to our session is not the user's session to see.
#[test]
fn hooks_of_the_users_that_rename_fail_or_complain_neither_show_us_nor_stop_us() {
    for (hook, command) in [
        ("session-created", "rename-session hooked"),
        ("after-new-session", "rename-session hooked"),
        (
            "after-new-session",
            "rename-session hooked ; set-hook -g after-rename-session 'kill-session -t nobody'",
        ),
        ("after-list-panes", "kill-session -t nobody"),
        ("after-list-sessions", "kill-session -t nobody"),
        ("after-display-message", "kill-session -t nobody"),
    ] {
        let env = deck();
        let tmux = env.tmux();
        let pane = tmux.session("work", "exec cat");
        tmux.ok(&["set-hook", "-g", hook, command]);
        let daemon = env.daemon();
        deck::listed(daemon.api(), &pane);
        wait::until("our client is in our session", || {
            let clients = tmux.ok(&["list-clients", "-F", "#{client_session}"]);
            clients.starts_with(HUB).then_some(())
        });
        tmux.ok(&["set-hook", "-gu", "after-rename-session"]);
        let later = tmux.session("later", "exec cat");
        deck::listed(daemon.api(), &later);
        tmux.ok(&["set-hook", "-gu", hook]);
        assert_eq!(deck::items(daemon.api(), "/v1/panes").len(), 2, "{hook}");
        assert_eq!((tmux.sessions().len(), hubs(&env).len()), (3, 1), "{hook}");
        let target = &deck::items(daemon.api(), "/v1/targets")[0];
        assert_eq!(
            (&target["observer_mode"], &target["health"]),
            (&"control".into(), &"ok".into())
        );
        assert_eq!(daemon.stop(), 0);
        wait::until("only the user's are left", || (tmux.sessions().len() == 2).then_some(()));
    }
}
