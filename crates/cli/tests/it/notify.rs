//! Telling somebody that an agent waits: the bell of attached clients, and a command, through the
//! built binary with a client on a terminal of its own.

use std::fs;
use std::path::PathBuf;

use testkit::{Daemon, Terminal, TestEnv, wait};

use crate::deck::{self, deck};

/// A world in which a person looks at one window, and an agent runs in another.
struct Scene {
    env: TestEnv,
    watched: String,
    agent: String,
}

fn scene(settings: &str) -> Scene {
    let env = deck();
    env.configure(&format!("[notify]\n{settings}\n"));
    let watched = env.tmux().session("work", "exec sh");
    let agent = env.tmux().window("work", "agent", "exec sh");
    Scene { env, watched, agent }
}

impl Scene {
    fn attach(&self) -> Terminal {
        let terminal = Terminal::attach(&self.env.tmux(), "work");
        wait::until("somebody is attached", || {
            let clients = self.env.tmux().ok(&["list-clients", "-F", "#{client_name}"]);
            (!clients.is_empty()).then_some(())
        });
        terminal
    }

    fn daemon(&self) -> Daemon {
        let daemon = self.env.daemon();
        deck::listed(daemon.api(), &self.agent);
        deck::listed(daemon.api(), &self.watched);
        daemon
    }

    /// Has a hook report an event in a pane, and waits until it shows.
    #[track_caller]
    fn hook(&self, daemon: &Daemon, pane: &str, event: &str, state: &str) {
        let (file, qd) = (self.env.path("payload"), self.env.qd_program().display());
        let payload = r#"{"session_id":"s","tool_name":"Bash","tool_input":{"command":"make it"}}"#;
        fs::write(&file, payload).unwrap();
        // Beside the agent: a request for permission waits for its answer.
        let line = format!("{qd} hook claude {event} < {} &", file.display());
        self.env.tmux().type_line(pane, &line);
        deck::pane_where(daemon.api(), pane, state, |it| it["state"] == state);
    }

    fn ask(&self, daemon: &Daemon, pane: &str) {
        self.hook(daemon, pane, "PermissionRequest", "waiting_approval");
    }

    fn go_on(&self, daemon: &Daemon, pane: &str) {
        self.hook(daemon, pane, "PostToolUse", "running");
    }
}

/// Where a command of the user's leaves what it was told.
fn told(env: &TestEnv) -> (String, PathBuf) {
    env.script(
        "tell-me",
        "#!/bin/sh\nprintf '%s|' \"$QD_AGENT\" \"$QD_STATE\" \"$QD_PANE\" \
                           \"$QD_SESSION\" \"$QD_ASK\" \"$1\" >>\"$0.said\"\necho >>\"$0.said\"\n",
    );
    let program = env.path("bin/tell-me");
    (program.display().to_string(), env.path("bin/tell-me.said"))
}

fn lines(file: &PathBuf) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn attached_clients_ring_once_for_each_wait_and_not_for_a_pane_in_view() {
    let it = scene("bell = true");
    let terminal = it.attach();
    let daemon = it.daemon();
    it.ask(&daemon, &it.agent);
    wait::until("it rings", || (terminal.bells() == 1).then_some(()));
    // The pane that is shown: whoever looks sees it.
    it.ask(&daemon, &it.watched);
    it.go_on(&daemon, &it.agent);
    it.ask(&daemon, &it.agent);
    wait::until("it rings again", || (terminal.bells() >= 2).then_some(()));
    assert_eq!(terminal.bells(), 2, "once for each, and none for the pane in view");
}

#[test]
fn a_pane_behind_a_zoomed_one_is_not_in_view() {
    let it = scene("bell = true");
    let beside = it.env.tmux().split(&it.watched, "exec sh");
    it.env.tmux().ok(&["resize-pane", "-Z", "-t", &it.watched]);
    let terminal = it.attach();
    let daemon = it.daemon();
    deck::listed(daemon.api(), &beside);
    it.ask(&daemon, &it.watched);
    it.ask(&daemon, &beside);
    wait::until("it rings", || (terminal.bells() == 1).then_some(()));
}

#[test]
fn a_command_finds_the_facts_and_is_no_shell() {
    let it = scene("bell = false");
    let (program, said) = told(&it.env);
    it.env.configure(&format!("[notify]\ncommand = [\"{program}\", \"$HOME; a 'b'\"]\n"));
    let daemon = it.daemon();
    it.ask(&daemon, &it.agent);
    let told = wait::until("it is run", || lines(&said).first().cloned());
    let expected = format!("claude|waiting_approval|{}|work|Bash: make it|$HOME; a 'b'|", it.agent);
    assert_eq!(told, expected);
}

#[test]
fn nobody_is_told_twice_of_one_wait_whatever_becomes_of_the_daemon() {
    let it = scene("bell = false");
    let (program, said) = told(&it.env);
    it.env.configure(&format!("[notify]\ncommand = [\"{program}\"]\n"));
    let daemon = it.daemon();
    it.ask(&daemon, &it.agent);
    wait::until("it is run", || (lines(&said).len() == 1).then_some(()));
    daemon.kill9();
    let daemon = it.daemon();
    deck::pane_where(daemon.api(), &it.agent, "it waits still", |it| {
        it["state"] == "waiting_approval"
    });
    // What comes after it is told of, so what comes before was not.
    it.ask(&daemon, &it.watched);
    wait::until("the next is told", || (lines(&said).len() >= 2).then_some(()));
    let panes: Vec<String> =
        lines(&said).iter().map(|line| line.split('|').nth(2).unwrap().to_owned()).collect();
    assert_eq!(panes, [it.agent.clone(), it.watched.clone()]);
}

#[test]
fn a_wait_that_began_while_no_daemon_ran_is_told_of_by_the_next() {
    let it = scene("bell = false");
    let (program, said) = told(&it.env);
    it.env.configure(&format!("[notify]\ncommand = [\"{program}\"]\n"));
    it.daemon().stop();
    let (file, qd) = (it.env.path("payload"), it.env.qd_program().display().to_string());
    fs::write(&file, "{}").unwrap();
    let line = format!("{qd} hook claude PermissionRequest < {}; echo spooled", file.display());
    it.env.tmux().type_line(&it.agent, &line);
    it.env.tmux().shows(&it.agent, "\nspooled");
    let _daemon = it.daemon();
    wait::until("it is run", || (lines(&said).len() == 1).then_some(()));
}

#[test]
fn a_command_that_never_ends_or_is_not_there_holds_nobody_up() {
    let it = scene("command = [\"sleep\", \"1000\"]");
    let daemon = it.daemon();
    it.ask(&daemon, &it.agent);
    it.env.configure("[notify]\ncommand = [\"no-such-program\"]\n");
    let in_use = |wanted: &str| {
        let answer = daemon.api().get("/v1/config").expect(200);
        let all = answer["settings"].as_array().unwrap().clone();
        let found = all.into_iter().find(|it| it["key"] == "notify.command").unwrap();
        found["value"][0] == wanted
    };
    wait::until("taken", || in_use("no-such-program").then_some(()));
    it.go_on(&daemon, &it.agent);
    it.ask(&daemon, &it.agent);
    it.go_on(&daemon, &it.agent);
    let wrong = it.env.path("home/wrong.toml");
    fs::write(&wrong, "[notify]\ncommand = \"notify-send\"\n").unwrap();
    let check = it.env.invoke(&["config", "check"]).env("QD_CONFIG", &wrong).run().fails_with(1);
    assert!(check.contains("in brackets"), "{check}");
}
