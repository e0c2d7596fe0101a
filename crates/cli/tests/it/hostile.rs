//! Names, titles, paths and commands that somebody chose with bad intent: nothing of them is ever
//! executed, and they arrive as they are or are refused, everywhere alike.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use testkit::{Daemon, TestEnv, wait};

use crate::deck::{self, deck, encoded};

/// Texts that some tool of the field ran, mistook for an option, an id, a key or the end of a
/// command. `CANARY` stands for a file that must never come to be.
const TEXTS: &[&str] = &[
    "#(touch CANARY)",
    "##(touch CANARY)",
    "###(touch CANARY)",
    "#{E:#(touch CANARY)}",
    "#{l:#(touch CANARY)}",
    "#{?1,#(touch CANARY),}",
    "#{s/a/b/:#(touch CANARY)}",
    "#{E:@x}",
    "#{pane_id}",
    "#{session_name}",
    "#S#W#P",
    "#[fg=red]",
    "#",
    "##",
    "#(",
    "$(touch CANARY)",
    "`touch CANARY`",
    "; touch CANARY",
    "& touch CANARY",
    "| touch CANARY",
    "\"; touch CANARY; \"",
    "'; touch CANARY; '",
    "\\\"; touch CANARY; \\\"",
    "${IFS}touch${IFS}CANARY",
    "a;run-shell 'touch CANARY'",
    "a ; run-shell 'touch CANARY' ;",
    "a \\; run-shell 'touch CANARY'",
    "};run-shell 'touch CANARY'",
    "{ run-shell 'touch CANARY' }",
    "w;",
    ";",
    "\\;",
    "\\",
    "\"",
    "'",
    "{",
    "}",
    "~",
    "$HOME",
    "%H",
    "%begin 1 1 1",
    "%end 1 1 1",
    "%exit",
    "%1",
    "@1",
    "$1",
    "=",
    "=work",
    "{marked}",
    "{last}",
    "-t",
    "--",
    "-t work",
    "Enter",
    "C-c",
    "Escape",
    "a/b",
    "100%",
    "two words",
    "  blanks around  ",
    "naïve 日本語 🦀",
    "e\u{301}\u{301}\u{301}",
    "\u{202E}txt.exe",
    "\u{200B}\u{FEFF}",
    "null",
    "*",
];

struct Trap {
    canary: PathBuf,
}

impl Trap {
    fn new(env: &TestEnv) -> Self {
        Self { canary: env.path("pwned") }
    }

    fn texts(&self) -> impl Iterator<Item = String> {
        let canary = self.canary.display().to_string();
        TEXTS.iter().map(move |text| text.replace("CANARY", &canary))
    }

    #[track_caller]
    fn untouched(&self) {
        assert!(!self.canary.exists(), "something of a name was executed");
    }
}

/// A watched deck with an anchor session.
fn scene() -> (TestEnv, Daemon, Trap) {
    let env = deck();
    let pane = env.tmux().session("anchor", "exec cat");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    let trap = Trap::new(&env);
    (env, daemon, trap)
}

/// What tmux made of a name. It replaces some characters itself, which is not ours to undo.
fn by_tmux(env: &TestEnv, pane: &str, format: &str) -> String {
    env.tmux().show(pane, format)
}

/// The text as an argument of which tmux expands nothing and at which it ends no command; its
/// `rename-session` and `rename-window` would otherwise run a part of it here, in the test itself.
fn inert(text: &str) -> String {
    let doubled = text.replace('#', "##");
    match doubled.strip_suffix(';') {
        Some(rest) => format!("{rest}\\;"),
        None => doubled,
    }
}

#[test]
fn s_15_tc_024_hostile_session_names_arrive_as_they_are_and_can_be_asked_for() {
    let (env, daemon, trap) = scene();
    let api = daemon.api();
    let tmux = env.tmux();
    let mut made = Vec::new();
    for (number, text) in trap.texts().enumerate() {
        let pane = tmux.session(&format!("plain{number}"), "exec cat");
        let session = tmux.show(&pane, "#{session_id}");
        // Some are refused by tmux, such as an empty or a repeated name; those stay plain.
        let renamed = tmux.run(&["rename-session", "-t", &session, "--", &inert(&text)]);
        if renamed.code() == Some(0) {
            made.push((pane.clone(), by_tmux(&env, &pane, "#{session_name}")));
        }
    }
    assert!(made.len() > 55, "only {} names were accepted by tmux", made.len());
    for (pane, name) in &made {
        let item = deck::pane_where(api, pane, name, |it| it["identity"]["session_name"] == **name);
        let reference = format!("local/{}", encoded(name));
        for query in [
            format!("session={}", encoded(name)),
            format!("target_session={}", encoded(&reference)),
        ] {
            let found = deck::items(api, &format!("/v1/panes?{query}"));
            assert_eq!(found.len(), 1, "{query}: {found:#?}");
            assert_eq!(found[0]["identity"], item["identity"], "{query}");
        }
    }
    let sessions: Vec<Value> = deck::items(api, "/v1/sessions");
    for (_, name) in &made {
        let shown = sessions.iter().filter(|it| it["identity"]["session_name"] == **name).count();
        assert_eq!(shown, 1, "{name:?}");
    }
    prints_nothing_that_a_terminal_obeys(&env);
    trap.untouched();
}

#[test]
fn s_15_hostile_window_names_and_titles_arrive_as_they_are() {
    let (env, daemon, trap) = scene();
    let tmux = env.tmux();
    let mut made = Vec::new();
    for (number, text) in trap.texts().enumerate() {
        let file = env.path(&format!("title{number}"));
        fs::write(&file, format!("\x1b]2;{text}\x07")).unwrap();
        let program = format!("cat {}; exec cat", file.display());
        let pane = tmux.window("anchor", "plain", &program);
        tmux.ok(&["rename-window", "-t", &pane, "--", &inert(&text)]);
        made.push(pane);
    }
    for pane in &made {
        let name = by_tmux(&env, pane, "#{window_name}");
        wait::until("tmux has the title", || {
            (by_tmux(&env, pane, "#{pane_title}") != by_tmux(&env, "anchor:0", "#{host}"))
                .then_some(())
        });
        let title = by_tmux(&env, pane, "#{pane_title}");
        deck::pane_where(daemon.api(), pane, &format!("{name:?} {title:?}"), |item| {
            item["window_name"] == *name && item["pane_title"] == *title
        });
    }
    prints_nothing_that_a_terminal_obeys(&env);
    trap.untouched();
}

#[test]
fn s_15_hostile_directories_and_commands_arrive_as_they_are() {
    let (env, daemon, trap) = scene();
    let tmux = env.tmux();
    let lines = ["two\nlines", "%end 1 1 1\n%exit\n", "tab\there", "bell\u{7}", "esc\u{1b}[31m"];
    let texts: Vec<_> = trap.texts().chain(lines.map(str::to_owned)).collect();
    for (number, text) in texts.iter().enumerate() {
        let folder = env.path("home").join(format!("d{number}")).join(text.replace('/', "_"));
        fs::create_dir_all(&folder).unwrap();
        let script = env.path(&format!("go{number}"));
        let quoted = folder.display().to_string().replace('\'', r"'\''");
        fs::write(&script, format!("cd '{quoted}' && exec cat\n")).unwrap();
        let pane = tmux.window("anchor", "dir", &format!("exec sh {}", script.display()));
        let shown = folder.to_str().unwrap();
        let printable = !text.chars().any(char::is_control);
        deck::pane_where(daemon.api(), &pane, shown, |item| {
            let path = item["current_path"].as_str().unwrap_or_default();
            if printable { path == shown } else { path.contains(&format!("/d{number}/")) }
        });
        tmux.ok(&["kill-pane", "-t", &pane]);
    }
    prints_nothing_that_a_terminal_obeys(&env);
    trap.untouched();
}

#[test]
fn session_names_of_a_thousand_characters_work_everywhere() {
    let (env, daemon, _trap) = scene();
    let api = daemon.api();
    for name in ["x".repeat(1000), "日".repeat(1000), "🦀".repeat(1000)] {
        let pane = env.tmux().session(&name, "exec cat");
        deck::pane_where(api, &pane, "long", |it| it["identity"]["session_name"] == *name);
        let reference = format!("local/{}", encoded(&name));
        let found = deck::items(api, &format!("/v1/panes?target_session={}", encoded(&reference)));
        assert_eq!(found.len(), 1);
        let listed = env.qd(&["list", "panes", "--target-session", &reference, "--json"]).json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    }
    prints_nothing_that_a_terminal_obeys(&env);
}

#[test]
fn a_dead_name_never_finds_its_longer_neighbour() {
    let (env, daemon, _trap) = scene();
    let api = daemon.api();
    let pane = env.tmux().session("fix-10", "exec cat");
    deck::listed(api, &pane);
    assert_eq!(deck::items(api, "/v1/panes?session=fix-1").len(), 0);
    assert_eq!(deck::items(api, "/v1/panes?target_session=local%2Ffix-1").len(), 0);
    assert_eq!(env.qd(&["explain", "fix-1:0"]).code(), Some(4));
}

#[test]
fn s_15_hostile_sockets_of_a_target_are_taken_literally_or_refused() {
    let (env, _daemon, trap) = scene();
    for (number, text) in trap.texts().enumerate() {
        let name = format!("t{number}");
        let added = env.qd(&["target", "add", &name, "--kind", "local", "--tmux-socket", &text]);
        assert!(matches!(added.code(), Some(0 | 2 | 5)), "{text:?}: {added:?}");
        let named = env.qd(&["target", "add", &text, "--kind", "local", "--tmux-socket", "s"]);
        assert_ne!(named.code(), None, "{text:?}");
        if named.code() == Some(0) {
            env.qd(&["target", "remove", "--yes", "--", &text]).success();
        }
    }
    trap.untouched();
}

#[test]
fn s_15_hostile_words_on_the_command_line_run_nothing() {
    let (env, _daemon, trap) = scene();
    for text in trap.texts() {
        for arguments in [
            &["explain", "--", &text][..],
            &["list", "panes", "--session", &text],
            &["list", "panes", "--target-session", &text],
            &["list", "panes", "--target", &text],
            &[
                "event", "emit", "--source", "hook", "--type", &text, "--target", "local",
                "--pane", "%0", "--dedupe", &text,
            ],
            &["watch", "--once", "--session", &text],
        ] {
            let said = env.qd(arguments);
            assert!(matches!(said.code(), Some(0..=5)), "{said:?}");
            obeyed_by_a_terminal(&said.stdout, arguments);
            obeyed_by_a_terminal(&said.stderr, arguments);
        }
    }
    trap.untouched();
}

/// S-18: whatever stands in a name, no printing command lets it reach the terminal as more than
/// text.
#[track_caller]
fn prints_nothing_that_a_terminal_obeys(env: &TestEnv) {
    for arguments in [
        &[][..],
        &["--all"],
        &["list", "panes"],
        &["list", "windows"],
        &["list", "sessions"],
        &["list", "panes", "--json"],
        &["watch", "--once"],
        &["watch", "--once", "--format", "jsonl"],
        &["doctor"],
    ] {
        obeyed_by_a_terminal(&env.qd(arguments).stdout, arguments);
    }
}

#[track_caller]
fn obeyed_by_a_terminal(text: &str, arguments: &[&str]) {
    let harmful = |it: &char| {
        (it.is_control() && !matches!(it, '\n' | '\t'))
            || matches!(it, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    let found = text.chars().find(harmful);
    assert!(found.is_none(), "qd {arguments:?} prints {found:?}:\n{text}");
}

#[test]
fn nothing_in_a_hostile_home_is_executed_either() {
    let (env, daemon, trap) = scene();
    let marker = trap.canary.display().to_string();
    for name in [".tmux.conf", ".profile", ".bashrc", ".shrc"] {
        fs::write(env.path("home").join(name), format!("run-shell 'touch {marker}'\n")).unwrap();
    }
    assert_eq!(daemon.stop(), 0);
    let daemon = env.daemon();
    assert!(Path::new(&env.socket()).exists());
    deck::items(daemon.api(), "/v1/panes");
    trap.untouched();
}
