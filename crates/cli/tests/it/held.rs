//! Hooks that hide their agent's dialog while they wait, of an agent whose sessions share the
//! process that runs their hooks.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Daemon, TestEnv, wait};

use crate::deck::{self, deck};

/// A stand-in for Codex in its pane: it tells of its session, and then shows nothing but work.
const AGENT: &str = r#"
cd "$HOME"
until [ -e seen ]; do sleep 0.05; done
printf '{"session_id":"s-1","hook_event_name":"UserPromptSubmit"}' |
    "$QD" hook codex UserPromptSubmit
clear
n=0
while :; do
    n=$((n + 1))
    printf '\033[H\033]2;⠋ A task | project\007%s\n\n%s\n\n\n%s\n\n%s\n' \
        '• I will call it now.' "• Working (${n}s • esc to interrupt) · Running hook" \
        '› Ask Codex to do anything' '  model default · ~/project · A task'
    sleep 0.2
done
"#;

/// The server of all its sessions, which stands below no pane: it runs the hook, and then a command
/// of the model's that answers for itself.
const SERVER: &str = r#"
until [ -e asked.json ]; do sleep 0.05; done
"$QD" hook codex PermissionRequest < asked.json > reply &
until [ -e tries ]; do sleep 0.05; done
"$QD" approve "$(cat tries)" 2> said; touch tried
wait
touch over
"#;

/// The same where two of its tools want something at once.
const TWO: &str = r#"
until [ -e asked.json ]; do sleep 0.05; done
"$QD" hook codex PermissionRequest < asked.json > reply &
"$QD" hook codex PermissionRequest < second.json > reply.second & second=$!
wait $second; : > second.over
"$QD" hook codex PostToolUse < second.json > /dev/null
wait
touch over
"#;

const CONFIG: &str = "[approvals]\nhold = \"always\"\n[state]\nstale_ttl = \"2s\"\n";

struct Scene {
    daemon: Daemon,
    env: TestEnv,
}

fn scene(server: &str) -> Scene {
    let env = deck();
    env.configure(CONFIG);
    fs::copy("/bin/bash", env.path("bin/codex")).unwrap();
    for program in ["cat", "clear", "sleep", "touch"] {
        env.reinstall(program);
    }
    fs::write(env.path("home/agent.sh"), AGENT).unwrap();
    fs::write(env.path("home/app-server"), server).unwrap();
    let daemon = env.daemon();
    Scene { daemon, env }
}

impl Scene {
    fn list(&self, query: &str) -> Vec<Value> {
        deck::items(self.daemon.api(), &format!("/v1/approvals{query}"))
    }

    fn is_held(&self) -> bool {
        matches!(&self.list("")[..], [one] if one["delivery"] == "reply")
    }

    /// The agent at work in its pane, and the server of all its sessions.
    fn begin(&self) -> (String, testkit::Running) {
        let qd = self.env.qd_program().display().to_string();
        let line = format!("QD={qd} exec codex $HOME/agent.sh");
        let pane = self.env.tmux().session("work", &line);
        deck::pane_where(self.daemon.api(), &pane, "recognised", |it| it["agent_type"] == "codex");
        fs::write(self.env.path("home/seen"), "").unwrap();
        deck::pane_where(self.daemon.api(), &pane, "at work", |it| it["agent"]["turns"] == 1);
        let server = self.env.invoke_program(self.env.path("bin/codex"), &["app-server"]);
        let server = server.env("QD", &qd).start();
        (pane, server)
    }

    /// Has the server's hook ask.
    fn ask(&self, command: &str) {
        self.payload("asked.new", command);
        fs::rename(self.env.path("home/asked.new"), self.env.path("home/asked.json")).unwrap();
    }

    fn payload(&self, name: &str, command: &str) {
        let asked = json!({
            "session_id": "s-1", "cwd": "/work", "hook_event_name": "PermissionRequest",
            "tool_name": "Bash", "tool_input": { "command": command },
        });
        fs::write(self.env.path("home").join(name), asked.to_string()).unwrap();
    }

    fn exists(&self, name: &str) -> bool {
        self.env.path("home").join(name).exists()
    }
}

#[test]
fn s_10_a_hook_of_the_server_of_all_sessions_waits_and_its_commands_answer_nothing() {
    let it = scene(SERVER);
    let (pane, server) = it.begin();
    it.ask("touch one");
    wait::until("its hook is held", || it.is_held().then_some(()));

    // It shows work all the time, and nothing but the hook that waits says that somebody is asked.
    let longer = Duration::from_secs(6);
    wait::stays("its hook is held", longer, || it.is_held());
    deck::pane_where(it.daemon.api(), &pane, "asked", |it| it["state"] == "waiting_approval");

    let id = deck::text(&it.list("")[0], "approval_id");
    fs::write(it.env.path("home/tries.new"), &id).unwrap();
    fs::rename(it.env.path("home/tries.new"), it.env.path("home/tries")).unwrap();
    wait::until("its command tried", || it.exists("tried").then_some(()));
    let said = fs::read_to_string(it.env.path("home/said")).unwrap();
    assert!(said.contains("E_FORBIDDEN"), "{said}");

    it.env.qd(&["approve", &id]).success();
    wait::until("its hook ended", || it.exists("over").then_some(()));
    let reply = fs::read_to_string(it.env.path("home/reply")).unwrap();
    assert!(reply.contains(r#""behavior":"allow""#), "{reply}");
    let ended = &it.list("?all=true")[0];
    assert_eq!((&ended["state"], &ended["outcome"]), (&json!("answered"), &json!("approve")));
    assert_eq!(server.finish().code(), Some(0));
}

#[test]
fn two_requests_that_are_held_back_wait_side_by_side_and_each_gets_its_own_answer() {
    let it = scene(TWO);
    let (pane, server) = it.begin();
    it.payload("second.json", "touch two");
    it.ask("touch one");
    let held = |count: usize| {
        wait::until(&format!("{count} wait by their hooks"), || {
            let list = it.list("");
            let all = list.iter().all(|one| one["delivery"] == "reply");
            (all && list.len() == count).then_some(list)
        })
    };
    let id = |list: &[Value], request: &str| {
        let found = list.iter().find(|one| one["request"] == request);
        deck::text(found.unwrap_or_else(|| panic!("{request}: {list:#?}")), "approval_id")
    };
    let both = held(2);
    it.env.qd(&["approve", &id(&both, "touch two")]).success();
    wait::until("its hook ended", || it.exists("second.over").then_some(()));
    // The agent says that it did the one, and is held up by the other still.
    let one = id(&held(1), "touch one");
    deck::pane_where(it.daemon.api(), &pane, "asked", |it| it["state"] == "waiting_approval");
    assert!(!it.exists("over"));
    it.env.qd(&["deny", &one]).success();
    wait::until("the other hook ended", || it.exists("over").then_some(()));
    let said = |name: &str| fs::read_to_string(it.env.path("home").join(name)).unwrap();
    assert!(said("reply").contains(r#""behavior":"deny""#), "{}", said("reply"));
    assert!(said("reply.second").contains(r#""behavior":"allow""#), "{}", said("reply.second"));
    let ended = it.list("?all=true");
    let told: Vec<_> =
        ended.iter().map(|one| (one["state"].as_str(), one["outcome"].as_str())).collect();
    assert!(told.contains(&(Some("answered"), Some("approve"))), "{ended:#?}");
    assert!(told.contains(&(Some("answered"), Some("deny"))), "{ended:#?}");
    assert_eq!(server.finish().code(), Some(0));
}
