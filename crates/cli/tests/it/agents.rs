//! Agents as the daemon sees them without any hook: by their processes and by the files that they
//! write themselves.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::process::Signal;
use testkit::{Daemon, TestEnv};

use crate::deck::{self, deck};

/// A world in which a program of an agent's name runs in a pane and does nothing at all: whatever
/// is known of it was read elsewhere.
struct Scene {
    daemon: Daemon,
    pane: String,
    pid: u32,
    env: TestEnv,
}

/// Puts a program that sleeps under an agent's name on the path.
fn install(env: &TestEnv, agent: &str) {
    let sleep = ["/usr/bin/sleep", "/bin/sleep"].into_iter().find(|it| fs::metadata(it).is_ok());
    fs::copy(sleep.unwrap(), env.path("bin").join(agent)).unwrap();
}

fn scene(agent: &str) -> Scene {
    let env = deck();
    install(&env, agent);
    let daemon = env.daemon();
    let pane = env.tmux().session("work", &format!("exec {agent} 1000"));
    deck::pane_where(daemon.api(), &pane, agent, |it| it["agent_type"] == agent);
    let pid = env.tmux().show(&pane, "#{pane_pid}").parse().unwrap();
    Scene { daemon, pane, pid, env }
}

impl Scene {
    /// Where the agent writes its status.
    fn file(&self) -> PathBuf {
        self.env.path(&format!("home/.claude/sessions/{}.json", self.pid))
    }

    fn make_folder(&self) {
        fs::create_dir_all(self.file().parent().unwrap()).unwrap();
    }

    fn write(&self, status: &Value) {
        self.make_folder();
        fs::write(self.file(), status.to_string()).unwrap();
    }

    fn status(&self, status: &str) -> Value {
        json!({ "pid": self.pid, "sessionId": "s-1", "cwd": "/work", "status": status })
    }

    #[track_caller]
    fn shows(&self, state: &str, reason: &str) -> Value {
        let what = format!("{state}/{reason}");
        deck::pane_where(self.daemon.api(), &self.pane, &what, |it| {
            it["state"] == state && it["reason_code"] == reason
        })
    }

    /// How many readings of files were news.
    fn readings(&self) -> usize {
        let count = "SELECT count(*) FROM events WHERE source = 'status'";
        self.env.sqlite(count).trim().parse().unwrap()
    }
}

#[test]
fn a_silent_agents_own_status_file_tells_what_it_does() {
    let it = scene("claude");
    it.shows("unknown", "inconclusive");
    it.write(&it.status("busy"));
    let item = it.shows("running", "active");
    assert_eq!((&item["state_source"], &item["confidence"]), (&json!("status"), &json!("high")));
    let mut waiting = it.status("waiting");
    waiting["waitingFor"] = json!("permission prompt");
    it.write(&waiting);
    it.shows("waiting_approval", "approval_requested");
    it.write(&it.status("idle"));
    it.shows("idle", "idle");
    fs::remove_file(it.file()).unwrap();
    it.shows("unknown", "inconclusive");
}

#[test]
fn a_status_file_that_another_replaces_is_read_again() {
    let it = scene("claude");
    it.write(&it.status("busy"));
    it.shows("running", "active");
    let beside = it.file().with_extension("new");
    fs::write(&beside, it.status("idle").to_string()).unwrap();
    fs::rename(&beside, it.file()).unwrap();
    it.shows("idle", "idle");
    fs::rename(it.file().parent().unwrap(), it.env.path("home/.claude/old")).unwrap();
    it.shows("unknown", "inconclusive");
    it.write(&it.status("busy"));
    it.shows("running", "active");
}

#[test]
fn a_file_that_is_being_written_takes_nothing_back() {
    let it = scene("claude");
    it.write(&it.status("busy"));
    it.shows("running", "active");
    let read = it.readings();
    let whole = it.status("idle").to_string();
    fs::write(it.file(), &whole[..whole.len() / 2]).unwrap();
    fs::write(it.file(), &whole).unwrap();
    it.shows("idle", "idle");
    assert_eq!(it.readings(), read + 1, "half a file says nothing");
}

#[test]
fn what_is_no_plain_file_of_the_agents_own_is_not_read() {
    let it = scene("claude");
    it.make_folder();
    let elsewhere = it.env.path("elsewhere.json");
    fs::write(&elsewhere, it.status("busy").to_string()).unwrap();
    std::os::unix::fs::symlink(&elsewhere, it.file()).unwrap();
    // A second agent, whose file is read after the link was met, proves that it was.
    let other = it.env.tmux().window("work", "other", "exec claude 1000");
    let pid: u32 = it.env.tmux().show(&other, "#{pane_pid}").parse().unwrap();
    let file = it.file().with_file_name(format!("{pid}.json"));
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RUSR).unwrap();
    deck::pane_where(it.daemon.api(), &other, "recognised", |it| it["agent_type"] == "claude");
    fs::remove_file(&file).unwrap();
    fs::write(&file, json!({ "pid": pid, "status": "idle" }).to_string()).unwrap();
    deck::pane_where(it.daemon.api(), &other, "idle", |it| it["state"] == "idle");
    it.shows("unknown", "inconclusive");
    fs::remove_file(it.file()).unwrap();
    it.write(&it.status("busy"));
    it.shows("running", "active");
}

#[test]
fn files_are_looked_for_where_the_agents_own_environment_puts_them() {
    let env = deck();
    install(&env, "claude");
    let daemon = env.daemon();
    let folder = env.path("moved");
    let line = format!("CLAUDE_CONFIG_DIR={} exec claude 1000", folder.display());
    let pane = env.tmux().session("work", &line);
    let pid: u32 = env.tmux().show(&pane, "#{pane_pid}").parse().unwrap();
    fs::create_dir_all(folder.join("sessions")).unwrap();
    let status = json!({ "pid": pid, "status": "idle" });
    fs::write(folder.join(format!("sessions/{pid}.json")), status.to_string()).unwrap();
    deck::pane_where(daemon.api(), &pane, "idle", |it| it["state"] == "idle");
}

#[test]
fn a_log_that_the_agent_has_open_tells_what_it_does() {
    let env = deck();
    install(&env, "codex");
    let folder = env.path("home/.codex/sessions/2026/11/21");
    fs::create_dir_all(&folder).unwrap();
    let log = folder.join("rollout-2026-11-21T10-00-00-s-1.jsonl");
    let event =
        |kind: &str| format!("{}\n", json!({ "type": "event_msg", "payload": { "type": kind } }));
    fs::write(&log, event("task_started")).unwrap();
    let daemon = env.daemon();
    let open = format!("exec codex 1000 9<{}", log.display());
    let mine = env.tmux().session("work", &open);
    let other = env.tmux().window("work", "other", "exec codex 1000");
    deck::pane_where(daemon.api(), &mine, "running", |it| it["state"] == "running");
    let append = |text: &str| {
        use std::io::Write;
        fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(text.as_bytes()).unwrap();
    };
    append(&event("turn_aborted"));
    deck::pane_where(daemon.api(), &mine, "interrupted", |it| it["reason_code"] == "interrupted");
    let item =
        deck::pane_where(daemon.api(), &other, "recognised", |it| it["agent_type"] == "codex");
    assert_eq!(item["state"], "unknown", "the log is not this one's");
}

/// An agent below a shell, which goes on when the agent is stopped or ends.
fn below_a_shell() -> Scene {
    let env = deck();
    install(&env, "claude");
    let daemon = env.daemon();
    let pane = env.tmux().session("work", "exec env PS1=ready bash --norc -i");
    env.tmux().shows(&pane, "ready");
    env.tmux().type_line(&pane, "claude 1000");
    deck::pane_where(daemon.api(), &pane, "claude", |it| it["agent_type"] == "claude");
    let shell = env.tmux().show(&pane, "#{pane_pid}");
    let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
    let pid = children.trim().parse().unwrap();
    Scene { daemon, pane, pid, env }
}

#[test]
fn an_agent_that_is_stopped_is_suspended_until_it_goes_on() {
    let it = below_a_shell();
    it.write(&it.status("busy"));
    it.shows("running", "active");
    it.env.tmux().ok(&["send-keys", "-t", &it.pane, "C-z"]);
    let item = it.shows("idle", "suspended");
    assert_eq!(item["state_source"], "process");
    it.write(&it.status("busy"));
    it.env.tmux().type_line(&it.pane, "fg");
    it.shows("running", "active");
}

#[test]
fn where_an_agent_was_killed_there_is_none() {
    let it = below_a_shell();
    it.write(&it.status("busy"));
    let before = it.shows("running", "active");
    testkit::process::signal(it.pid, Signal::KILL);
    let after = it.shows("unknown", "no_agent");
    assert_eq!(after["agent_presence"], "none");
    assert_ne!(deck::runtime_of(&before), deck::runtime_of(&after), "a life of its own");
}

#[test]
fn what_a_transcript_counts_call_by_call_adds_up_and_each_call_counts_once() {
    let it = scene("claude");
    let folder = it.env.path("home/.claude/projects/work");
    fs::create_dir_all(&folder).unwrap();
    let call = |id: &str, out: u64| {
        let usage = json!({
            "input_tokens": 3, "cache_read_input_tokens": 1_000, "output_tokens": out,
        });
        let message = json!({ "id": id, "role": "assistant", "content": [], "usage": usage });
        format!("{}\n", json!({ "type": "assistant", "message": message }))
    };
    // Far more than the end that is read for the rest.
    let long = format!("{}\n", json!({ "type": "user", "message": "x".repeat(300_000) }));
    let mut text = [call("m1", 5), call("m1", 7), long.clone(), call("m2", 1), long].concat();
    let file = folder.join("s-1.jsonl");
    fs::write(&file, &text).unwrap();
    it.write(&it.status("busy"));
    let counted = |tokens_in: u64, tokens_out: u64| {
        let what = format!("{tokens_in} and {tokens_out} tokens");
        deck::pane_where(it.daemon.api(), &it.pane, &what, |it| {
            let agent = &it["agent"];
            (&agent["tokens_in"], &agent["tokens_out"]) == (&json!(tokens_in), &json!(tokens_out))
        });
    };
    counted(2_006, 8);
    text.push_str(&call("m2", 2));
    text.push_str(&call("m3", 10));
    fs::write(&file, &text).unwrap();
    counted(3_009, 19);
    let said = it.env.qd(&["explain", &it.pane]).success();
    assert!(said.contains("3009 tokens in, 19 tokens out"), "{said}");
}

#[test]
fn an_agent_is_named_by_its_name_where_it_is_the_only_one_so_called() {
    let it = scene("claude");
    let told = it.env.qd(&["explain", "claude"]).success();
    assert!(told.contains(&it.pane), "{told}");
    // Neither a session nor a window of that name is meant: those have a colon.
    it.env.tmux().session("codex", "exec cat");
    let other = it.env.tmux().window("work", "codex", "exec cat");
    deck::listed(it.daemon.api(), &other);
    it.env.qd(&["explain", "codex"]).fails_with(4);
    let resolved = it.daemon.api().get("/v1/resolve?ref=claude").expect(200);
    assert_eq!(resolved["pane"]["identity"]["pane_id"], it.pane.as_str());
    let second = it.env.tmux().window("work", "second", "exec claude 1000");
    deck::pane_where(it.daemon.api(), &second, "claude", |it| it["agent_type"] == "claude");
    let refused = it.env.qd(&["send", "claude", "--text", "x"]).fails_with(5);
    assert!(refused.contains("E_REF_AMBIGUOUS"), "{refused}");
    for pane in [&it.pane, &second] {
        assert!(refused.contains(&format!("/{pane}  claude")), "{pane}: {refused}");
    }
}

#[test]
fn an_event_about_another_agent_than_the_one_that_runs_is_kept_and_changes_nothing() {
    let it = scene("claude");
    let emit = |agent: &str, event: &str| {
        let about = ["--source", "hook", "--pane", &it.pane, "--agent", agent, "--type", event];
        it.env.qd(&[&["event", "emit"][..], &about].concat())
    };
    emit("claude", "task-started").success();
    let before = it.shows("running", "active");
    let told = emit("codex", "needs-approval").success();
    assert!(told.contains("changes nothing (other_agent)"), "{told}");
    emit("gemini", "made-up").success();
    let after = deck::listed(it.daemon.api(), &it.pane);
    for field in ["state", "reason_code", "state_version", "agent_type", "runtime_id"] {
        assert_eq!(before[field], after[field], "{field}");
    }
    let explained = it.env.qd(&["explain", &it.pane, "--json"]).json();
    let aside = explained["evidence"].as_array().unwrap().iter();
    let aside = aside.filter(|piece| piece["why_not"] == "other_agent");
    let aside: Vec<&Value> = aside.map(|piece| &piece["says"]).collect();
    assert_eq!(aside, ["waiting_approval"], "{explained}");
    emit("claude", "needs-input").success();
    it.shows("waiting_input", "input_required");
}
