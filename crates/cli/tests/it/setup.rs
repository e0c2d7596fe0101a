//! `qd setup`: people's files changed and brought back, through the built binary.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::{Invocation, TestEnv};

use crate::deck::{self, deck};

const SETTINGS: &str = ".claude/settings.json";
const MINE: &str = "{\n  \"model\": \"x\", // mine\n  \"hooks\": {\n    \"Stop\": [\n      {\"hooks\": \
                    [{\"type\": \"command\", \"command\": \"say done\"}]},\n    ],\n  },\n}\n";

/// A file in the user's home.
fn place(env: &TestEnv, below: &str) -> PathBuf {
    env.path("home").join(below)
}

fn put(env: &TestEnv, below: &str, text: &str) -> PathBuf {
    let path = place(env, below);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

fn text(path: &PathBuf) -> String {
    fs::read_to_string(path).unwrap()
}

/// All files in the user's home.
fn files(env: &TestEnv) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![env.path("home")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// The command line that was installed for an event.
fn installed(env: &TestEnv, event: &str) -> String {
    let settings: Value = serde_json::from_str(&text(&place(env, SETTINGS))).unwrap();
    let groups = settings["hooks"][event].as_array().unwrap().clone();
    groups.last().unwrap()["hooks"][0]["command"].as_str().unwrap().to_owned()
}

#[test]
fn settings_are_shown_changed_once_and_brought_back_to_the_byte() {
    let env = deck();
    let path = put(&env, SETTINGS, MINE);
    let shown = env.qd(&["setup", "claude", "--dry-run"]).success();
    assert!(shown.contains("+++ ") && shown.contains("qd-hook-1"), "{shown}");
    assert_eq!(text(&path), MINE);
    assert!(!env.home().join("setup").exists(), "looking leaves nothing behind");
    let done = env.qd(&["setup", "claude", "--yes"]).success();
    assert!(done.contains("as it was: "), "{done}");
    let changed = text(&path);
    assert!(changed.contains("say done") && changed.contains("// mine"), "{changed}");
    let again = env.qd(&["setup", "claude", "--yes"]).success();
    assert_eq!(again, "claude: nothing to do\n");
    assert_eq!(text(&path), changed);
    env.qd(&["setup", "--undo", "claude", "--yes"]).success();
    assert_eq!(text(&path), MINE);
    assert_eq!(env.qd(&["setup", "--undo", "--yes"]).success(), "");
}

#[test]
fn without_anybody_to_ask_nothing_is_changed() {
    let env = deck();
    let path = put(&env, SETTINGS, MINE);
    let said = env.qd(&["setup", "claude"]).fails_with(2);
    assert!(said.contains("--dry-run") && said.contains("--yes"), "{said}");
    env.qd(&["setup", "claude", "--json"]).fails_with(2);
    assert_eq!(text(&path), MINE);
    env.qd(&["setup"]).fails_with(2);
    let said = env.qd(&["setup", "nobody", "--yes"]).fails_with(2);
    assert!(said.contains("claude") && said.contains("tmux"), "{said}");
}

#[test]
fn what_the_user_changed_since_stays_when_it_is_undone() {
    let env = deck();
    let path = put(&env, SETTINGS, "{\n  \"model\": \"x\"\n}\n");
    env.qd(&["setup", "claude", "--yes"]).success();
    fs::write(&path, text(&path).replace("\"model\": \"x\"", "\"model\": \"y\", \"b\": [ 1 ]"))
        .unwrap();
    env.qd(&["setup", "--undo", "--yes"]).success();
    assert_eq!(text(&path), "{\n  \"model\": \"y\", \"b\": [ 1 ]\n}\n");
}

#[test]
fn what_was_made_is_removed_with_its_folders() {
    let env = deck();
    let before = files(&env);
    for agent in ["claude", "codex", "gemini", "copilot", "cursor"] {
        env.qd(&["setup", agent, "--yes"]).success();
    }
    assert!(files(&env).len() > before.len() + 5);
    env.qd(&["setup", "--undo", "--yes"]).success();
    assert_eq!(files(&env), before);
    for folder in [".claude", ".codex", ".copilot"] {
        assert!(!place(&env, folder).exists(), "{folder}: nor are empty folders left");
    }
}

#[test]
fn undone_from_another_environment_it_is_found_where_it_was_done() {
    let env = deck();
    let elsewhere = env.path("elsewhere");
    let set = |arguments: &[&str]| {
        let call: Invocation = env.invoke(arguments);
        let call = call.env("CLAUDE_CONFIG_DIR", elsewhere.join("a"));
        call.env("CODEX_HOME", elsewhere.join("b"))
    };
    set(&["setup", "claude", "codex", "--yes"]).run().success();
    assert!(elsewhere.join("a/settings.json").exists() && elsewhere.join("b/config.toml").exists());
    env.qd(&["setup", "claude", "--yes"]).success();
    env.qd(&["setup", "--undo", "--yes"]).success();
    assert!(!elsewhere.join("a").exists() && !elsewhere.join("b").exists());
    assert!(!place(&env, SETTINGS).exists());
}

#[test]
fn files_that_are_not_to_be_changed_are_refused_and_left() {
    let env = deck();
    let path = put(&env, SETTINGS, "{\n  \"a\": 1,,\n}\n");
    let said = env.qd(&["setup", "claude", "--yes"]).fails_with(1);
    assert!(said.contains("line 2, column 10"), "{said}");
    fs::write(&path, "{}").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let said = env.qd(&["setup", "claude", "--yes"]).fails_with(1);
    assert!(said.contains("read-only"), "{said}");
    assert_eq!(text(&path), "{}");
    fs::remove_file(&path).unwrap();
    symlink("/nowhere/at/all", &path).unwrap();
    let said = env.qd(&["setup", "claude", "--yes"]).fails_with(1);
    assert!(said.contains("leads nowhere"), "{said}");
}

#[test]
fn a_linked_settings_file_stays_a_link_with_its_mode() {
    let env = deck();
    let real = put(&env, "dotfiles/claude.json", "{\"a\":1}");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    let path = put(&env, SETTINGS, "");
    fs::remove_file(&path).unwrap();
    symlink("../dotfiles/claude.json", &path).unwrap();
    env.qd(&["setup", "claude", "--yes"]).success();
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    assert!(text(&real).contains("qd-hook-1"));
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    env.qd(&["setup", "--undo", "--yes"]).success();
    assert_eq!(text(&real), "{\"a\":1}");
}

#[test]
fn an_installed_hook_reports_and_disturbs_nobody_when_qd_is_gone() {
    let env = deck();
    let qd = env.path("bin/qd's own");
    fs::copy(env.qd_program(), &qd).unwrap();
    env.run_program(&qd, &["setup", "claude", "--yes"]).success();
    let line = installed(&env, "Stop");
    let call = || {
        let shell = env.invoke_program(env.path("bin/sh"), &["-c", &line]);
        // More than a pipe holds, so that whoever does not read it is noticed.
        let output = shell.stdin("x".repeat(300_000)).run();
        assert_eq!(output.stderr, "", "nor does it complain");
        assert_eq!(output.success(), "", "an agent must read nothing");
    };
    call();
    let spooled = fs::read_to_string(env.home().join("spool/hooks.spool")).unwrap();
    assert!(spooled.contains("agent=claude\tevent=Stop"), "{}", &spooled[..200]);
    let doctor = || env.qd(&["doctor", "--json"]).json()["checks"].clone();
    fs::remove_file(&qd).unwrap();
    call();
    fs::write(&qd, "no program").unwrap();
    fs::set_permissions(&qd, fs::Permissions::from_mode(0o755)).unwrap();
    call();
    fs::remove_file(&qd).unwrap();
    fs::create_dir(&qd).unwrap();
    call();
    fs::remove_dir(&qd).unwrap();
    let checks = doctor();
    let of_claude =
        checks.as_array().unwrap().iter().find(|it| {
            it["check"] == "agent" && it["message"].as_str().unwrap().starts_with("claude")
        });
    assert!(
        of_claude.unwrap()["message"].as_str().unwrap().contains("not on the path"),
        "{checks}"
    );
}

#[test]
fn doctor_tells_missing_stale_and_sound_hooks_apart() {
    let env = deck();
    env.script("claude", "exit 0");
    let told = || {
        let report = env.qd(&["doctor", "--json"]).json();
        let checks = report["checks"].as_array().unwrap().clone();
        let check = checks.into_iter().find(|it| {
            it["check"] == "agent" && it["message"].as_str().unwrap().starts_with("claude ")
        });
        let check = check.unwrap();
        let text = |name: &str| check[name].as_str().unwrap().to_owned();
        (text("verdict"), text("message"), text("hint"))
    };
    let (verdict, message, hint) = told();
    assert_eq!((verdict.as_str(), hint.as_str()), ("note", "qd setup claude"), "{message}");
    env.qd(&["setup", "claude", "--yes"]).success();
    let (verdict, message, _) = told();
    assert!(verdict == "ok" && message.contains("hooks in place"), "{message}");
    let path = place(&env, SETTINGS);
    let sound = text(&path);
    fs::write(&path, sound.replace("qd-hook-1", "qd-hook-0")).unwrap();
    let (verdict, message, hint) = told();
    assert!(verdict == "warning" && message.contains("stale"), "{message}");
    assert_eq!(hint, "qd setup claude");
    let program = env.qd_program().display().to_string();
    fs::write(&path, sound.replace(&program, "/gone/qd")).unwrap();
    let (verdict, message, _) = told();
    assert!(verdict == "warning" && message.contains("/gone/qd, which is gone"), "{message}");
    env.qd(&["setup", "claude", "--yes"]).success();
    assert_eq!(text(&path), sound, "set up again, they are sound");
}

#[test]
fn all_means_those_that_are_installed_and_says_who_is_not() {
    let env = deck();
    for agent in ["claude", "gemini", "opencode"] {
        env.script(agent, "exit 0");
    }
    put(&env, ".gemini/settings.json", "{ broken");
    let report = env.qd(&["setup", "--all", "--yes", "--json"]);
    assert_eq!(report.code(), Some(1), "one of them was refused");
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    let outcome = |name: &str| {
        let items = report["items"].as_array().unwrap();
        items.iter().find(|it| it["name"] == name).unwrap()["outcome"].clone()
    };
    assert_eq!(outcome("claude"), json!("changed"));
    assert_eq!(outcome("gemini"), json!("refused"));
    assert_eq!(outcome("codex"), json!("skipped"));
    assert_eq!(outcome("opencode"), json!("skipped"), "it has to be named");
    assert!(place(&env, SETTINGS).exists() && !place(&env, ".codex").exists());
}

#[test]
fn a_plugin_waits_until_what_it_needs_is_installed() {
    let env = deck();
    let said = env.qd(&["setup", "opencode", "--yes"]).fails_with(5);
    let folder = place(&env, ".config/opencode");
    assert!(
        said.contains(&format!("npm install @opencode-ai/plugin --prefix {}", folder.display()))
    );
    assert!(!folder.exists());
    put(&env, ".config/opencode/node_modules/@opencode-ai/plugin/package.json", "{}");
    env.qd(&["setup", "opencode", "--yes"]).success();
    assert!(text(&folder.join("plugin/quarterdeck.js")).contains("chat.message"));
    env.qd(&["setup", "--undo", "opencode", "--yes"]).success();
    assert!(!folder.join("plugin").exists());
}

#[test]
fn a_run_that_was_cut_short_is_undone_too() {
    let env = deck();
    let path = put(&env, SETTINGS, MINE);
    env.qd(&["setup", "claude", "--yes"]).success();
    // As it is when it was killed between its note and the change, and again between the change
    // and the note that it is undone.
    fs::write(&path, MINE).unwrap();
    env.qd(&["setup", "--undo", "--yes"]).success();
    assert_eq!(text(&path), MINE);
    env.qd(&["setup", "claude", "--yes"]).success();
    env.qd(&["setup", "--undo", "--yes"]).success();
    assert_eq!(text(&path), MINE);
}

#[test]
fn two_at_once_leave_one_set_of_hooks() {
    let env = deck();
    let path = put(&env, SETTINGS, MINE);
    let runs: Vec<_> = (0..4).map(|_| env.invoke(&["setup", "claude", "--yes"]).start()).collect();
    for run in runs {
        run.finish().success();
    }
    assert_eq!(text(&path).matches(" claude Stop\"").count(), 1);
    env.qd(&["setup", "--undo", "--yes"]).success();
    assert_eq!(text(&path), MINE);
}

#[test]
fn uninstalling_undoes_it() {
    let env = deck();
    let path = put(&env, SETTINGS, MINE);
    let conf = put(&env, ".tmux.conf", "set -g mouse on\n");
    env.qd(&["setup", "claude", "tmux", "--yes"]).success();
    assert_ne!(text(&path), MINE);
    env.qd(&["uninstall", "--yes"]).success();
    assert_eq!((text(&path).as_str(), text(&conf).as_str()), (MINE, "set -g mouse on\n"));
    assert!(!env.home().exists(), "no trace of it is left");
}

#[test]
fn tmux_takes_its_lines_and_knows_them_when_they_are_read_again() {
    let env = deck();
    let conf = put(&env, ".config/tmux/tmux.conf", "set -g status-right 'mine'");
    let said = env.qd(&["setup", "tmux", "--yes"]).success();
    assert!(said.contains(&format!("tmux source-file {}", conf.display())), "{said}");
    let tmux = env.tmux();
    tmux.session("work", "exec cat");
    for _ in 0..2 {
        tmux.ok(&["source-file", conf.to_str().unwrap()]);
    }
    let right = tmux.ok(&["show-options", "-gv", "status-right"]);
    assert_eq!(right.matches(" bar)").count(), 1, "{right}");
    assert!(right.starts_with("mine#("), "{right}");
    let keys = tmux.ok(&["list-keys", "-T", "prefix"]);
    assert!(keys.lines().any(|it| it.contains(" Q ") && it.contains("display-popup")), "{keys}");
    env.qd(&["setup", "--undo", "tmux", "--yes"]).success();
    assert_eq!(text(&conf), "set -g status-right 'mine'");
}

#[test]
fn doctor_tells_what_was_heard_last_of_an_agent() {
    let env = deck();
    env.script("claude", "exit 0");
    let pane = env.tmux().session("work", "exec cat");
    let daemon = env.daemon();
    deck::listed(daemon.api(), &pane);
    let said = || {
        let report = env.qd(&["doctor", "--json"]).json();
        let checks = report["checks"].as_array().unwrap().clone();
        let messages = checks.iter().map(|it| it["message"].as_str().unwrap().to_owned());
        messages.into_iter().find(|it| it.starts_with("claude ")).unwrap()
    };
    assert!(said().contains("nothing heard of it"), "{}", said());
    let emit = ["event", "emit", "--source", "hook", "--type", "needs-approval"];
    let about = ["--target", "local", "--pane", &pane, "--agent", "claude", "--dedupe", "1"];
    env.qd(&[&emit[..], &about[..]].concat()).success();
    assert!(said().contains("needs-approval heard "), "{}", said());
}
