//! Prompts into an agent's composer: taken exactly once and proven, or refused with the reason, and
//! nobody's draft touched. The agent here is a small program that draws Claude's composer.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::{Daemon, Signal, TestEnv, process, wait};

use crate::actions::act;
use crate::deck::{self, deck};

/// Draws a composer, keeps what is typed, and writes down what is submitted. Files in its home say
/// how it behaves: `deaf` to Enter, `silent` about its work, `dialog` once something is typed.
const COMPOSER: &str = r#"
stty raw -echo
draft=; pasting=
rule=$(printf '─%.0s' $(seq 60))
status() {
  [ -e "$HOME/silent" ] || printf '{"pid":%s,"sessionId":"s-1","status":"%s"}' $$ "$1" > "$HOME/.claude/sessions/$$.json"
}
draw() {
  shown=${draft//$'\n'/$'\r\n  '}
  if [ -n "$draft" ] && [ -e "$HOME/dialog" ]; then
    printf '\e[H\e[2JDo you want to proceed?\r\n❯ 1. Yes\r\n  2. No\r\n\r\nEsc to cancel'
  else
    printf '\e[H\e[2J%s\r\n❯ %s\e7\r\n%s\r\n  ? for shortcuts\e8' "$rule" "$shown" "$rule"
  fi
}
printf '\e[?2004h'; draw
while IFS= read -rN1 key; do
  case $key in
    $'\e')
      IFS= read -rN5 rest
      case $rest in '[200~') pasting=1 ;; '[201~') pasting= ; draw ;; esac ;;
    $'\x15') if [[ $draft == *$'\n'* ]]; then draft=${draft%$'\n'*}; else draft=; fi; draw ;;
    $'\r'|$'\n')
      if [ -n "$pasting" ]; then draft+=$'\n'
      elif [ -e "$HOME/dialog" ]; then echo approved >> "$HOME/approved"
      elif [ ! -e "$HOME/deaf" ]; then
        printf '<%s>\n' "$draft" >> "$HOME/submitted"; draft=; status busy; draw
      fi ;;
    *) draft+=$key; [ -n "$pasting" ] || draw ;;
  esac
done
"#;

/// A world with such an agent, which is at rest.
pub(crate) struct Scene {
    daemon: Option<Daemon>,
    pub(crate) pane: String,
    pid: u32,
    pub(crate) env: TestEnv,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let env = deck();
        fs::copy(fs::canonicalize("/bin/bash").unwrap(), env.path("bin/claude")).unwrap();
        fs::write(env.path("home/composer.sh"), COMPOSER).unwrap();
        fs::create_dir_all(env.path("home/.claude/sessions")).unwrap();
        let script = env.path("home/composer.sh");
        let pane = env.tmux().session("work", &format!("exec claude {}", script.display()));
        env.tmux().shows(&pane, "? for shortcuts");
        let pid = env.tmux().show(&pane, "#{pane_pid}").parse().unwrap();
        let daemon = Some(env.daemon());
        let scene = Self { daemon, pane, pid, env };
        scene.is("idle");
        scene
    }

    pub(crate) fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    fn home(&self, name: &str) -> PathBuf {
        self.env.path("home").join(name)
    }

    /// What the agent's own file says of it.
    pub(crate) fn is(&self, status: &str) {
        self.is_in(status, "s-1");
    }

    fn is_in(&self, status: &str, session: &str) {
        let file = self.home(".claude/sessions").join(format!("{}.json", self.pid));
        let text = json!({ "pid": self.pid, "sessionId": session, "status": status });
        fs::write(file, text.to_string()).unwrap();
        let state = if status == "busy" { "running" } else { status };
        self.listed(&format!("{state} in {session}"), |it| {
            it["state"] == state && it["agent"]["session_id"] == session
        });
    }

    fn listed(&self, what: &str, wanted: impl FnMut(&Value) -> bool) -> Value {
        deck::pane_where(self.daemon().api(), &self.pane, what, wanted)
    }

    pub(crate) fn send(&self, name: &str, more: &Value) -> Value {
        let mut body = json!({ "text": "do it", "enter": true });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let reply = act(self.daemon(), "send", name, &self.pane, &body);
        let answer = reply.json();
        if reply.status == 200 { answer } else { answer["error"].clone() }
    }

    /// What became of an action.
    pub(crate) fn action(&self, id: &Value) -> Value {
        let path = format!("/v1/actions/{}", id.as_str().unwrap());
        self.daemon().api().get(&path).expect(200)["action"].clone()
    }

    #[track_caller]
    pub(crate) fn ends(&self, id: &Value, result: &str) -> Value {
        wait::until(&format!("{id} is {result}"), || {
            let action = self.action(id);
            (action["result_code"] == result).then_some(action)
        })
    }

    pub(crate) fn submitted(&self) -> String {
        fs::read_to_string(self.home("submitted")).unwrap_or_default()
    }

    pub(crate) fn screen(&self) -> String {
        self.env.tmux().screen(&self.pane)
    }

    pub(crate) fn types(&self, text: &str) {
        self.env.tmux().ok(&["send-keys", "-t", &self.pane, "-l", "--", text]);
        self.env.tmux().shows(&self.pane, text);
    }

    pub(crate) fn keep(&self, name: &str) {
        fs::write(self.home(name), "").unwrap();
    }

    pub(crate) fn outbox(&self) -> usize {
        fs::read_dir(self.env.home().join("outbox")).unwrap().count()
    }

    /// The daemon is killed, and another one comes.
    pub(crate) fn restart(&mut self) {
        self.restart_with(|| {});
    }

    /// The same, with something that happens in between.
    pub(crate) fn restart_with(&mut self, meanwhile: impl FnOnce()) {
        self.daemon.take().unwrap().kill9();
        meanwhile();
        self.daemon = Some(self.env.daemon());
    }
}

#[test]
fn ag_19_a_prompt_is_pasted_sent_and_proven_by_the_agents_own_word() {
    let scene = Scene::new();
    let done = scene.send("r1", &json!({ "text": "one\n  two -- ;" }));
    assert_eq!(done["result_code"], "completed", "{done:#}");
    assert_eq!(done["action"]["steps"], json!(["text_typed", "keys_pressed"]));
    assert_eq!(done["action"]["proof"], "started");
    assert_eq!(scene.submitted(), "<one\n  two -- ;>\n");
    let again = scene.send("r1", &json!({ "text": "one\n  two -- ;" }));
    assert_eq!(again["action_id"], done["action_id"]);
    assert_eq!(scene.submitted(), "<one\n  two -- ;>\n", "it is submitted once");
    assert_eq!(scene.outbox(), 0);
}

#[test]
fn r_9_an_agent_that_says_nothing_is_believed_by_its_emptied_composer() {
    let scene = Scene::new();
    scene.keep("silent");
    let done = scene.send("r1", &json!({}));
    assert_eq!(
        (&done["result_code"], &done["action"]["proof"]),
        (&json!("completed"), &json!("composer"))
    );
    assert_eq!(scene.submitted(), "<do it>\n");
}

#[test]
fn r_9_what_was_not_taken_is_not_confirmed_known_again_and_cleared_only_by_us() {
    let scene = Scene::new();
    scene.keep("deaf");
    let left = scene.send("r1", &json!({}));
    assert_eq!(left["result_code"], "not_confirmed", "{left:#}");
    let why = left["action"]["message"].as_str().unwrap();
    assert!(why.contains("still stands in its composer"), "{why}");
    fs::remove_file(scene.home("deaf")).unwrap();
    let done = scene.send("r2", &json!({ "text": "other" }));
    assert_eq!(done["result_code"], "completed", "{done:#}");
    let steps = json!(["draft_cleared", "text_typed", "keys_pressed"]);
    assert_eq!(done["action"]["steps"], steps);
    assert_eq!(scene.submitted(), "<other>\n");
}

#[test]
fn s_17_a_draft_of_a_person_is_busy_and_stays_as_it_is() {
    let scene = Scene::new();
    scene.types("half a thou");
    let refused = scene.send("r1", &json!({}));
    assert_eq!(refused["code"], "E_AGENT_BUSY", "{refused:#}");
    let enter = scene.send("r2", &json!({ "text": null, "keys": ["Enter"], "enter": false }));
    assert_eq!(enter["code"], "E_AGENT_BUSY", "Enter alone would submit what somebody typed");
    assert!(scene.screen().contains("❯ half a thou\n"), "{}", scene.screen());
    assert_eq!(scene.submitted(), "");
    // The same letters and one more are no text of ours either.
    scene.keep("deaf");
    scene.env.tmux().ok(&["send-keys", "-t", &scene.pane, "C-u"]);
    wait::until("the draft is gone", || (!scene.screen().contains("half")).then_some(()));
    assert_eq!(scene.send("r3", &json!({}))["result_code"], "not_confirmed");
    scene.types("!");
    assert_eq!(scene.send("r4", &json!({}))["code"], "E_AGENT_BUSY");
    assert!(scene.screen().contains("❯ do it!\n"), "{}", scene.screen());
}

#[test]
fn to_a_dialog_nothing_is_sent_also_when_it_comes_between_the_text_and_enter() {
    let scene = Scene::new();
    scene.keep("dialog");
    let left = scene.send("r1", &json!({}));
    assert_eq!(left["result_code"], "not_confirmed", "{left:#}");
    assert_eq!(left["action"]["steps"], json!(["text_typed"]));
    assert!(!scene.home("approved").exists(), "Enter would have approved something");
    let refused = scene.send("r2", &json!({}));
    assert_eq!(refused["code"], "E_AGENT_BUSY");
    assert!(refused["message"].as_str().unwrap().contains("no composer"), "{refused:#}");
    scene.is("busy");
    let refused = scene.send("r3", &json!({}));
    assert!(refused["message"].as_str().unwrap().contains("`running`"), "{refused:#}");
    assert!(!scene.home("approved").exists());
}

#[test]
fn copy_mode_is_left_for_a_prompt_and_it_is_told() {
    let scene = Scene::new();
    scene.env.tmux().ok(&["copy-mode", "-t", &scene.pane]);
    let done = scene.send("r1", &json!({}));
    assert_eq!(done["result_code"], "completed", "{done:#}");
    assert_eq!(done["action"]["steps"][0], "mode_left");
    assert_eq!(scene.env.tmux().show(&scene.pane, "#{pane_in_mode}"), "0");
    assert_eq!(scene.submitted(), "<do it>\n");
}

#[test]
fn a_prompt_that_waits_goes_in_when_the_agent_rests_and_not_into_another_session() {
    let scene = Scene::new();
    scene.is("busy");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| scene.send("r1", &json!({ "if_busy": "wait" })));
        wait::until("it waits", || {
            let open = scene.env.sqlite("SELECT count(*) FROM actions WHERE completed_at IS NULL");
            (open.trim() == "1").then_some(())
        });
        assert_eq!(scene.submitted(), "");
        scene.is("idle");
        let done = waiting.join().unwrap();
        assert_eq!(done["result_code"], "completed", "{done:#}");
        assert_eq!(done["action"]["snapshot"]["state"], "idle", "what was seen is seen anew");
    });
    assert_eq!(scene.submitted(), "<do it>\n");
    let queued = scene.send("r2", &json!({ "if_busy": "queue" }));
    assert_eq!(queued["result_code"], "pending", "{queued:#}");
    scene.is_in("idle", "s-2");
    let ended = scene.ends(&queued["action_id"], "refused");
    assert_eq!(ended["error_code"], "E_RUNTIME_STALE");
    assert_eq!((scene.submitted().as_str(), scene.outbox()), ("<do it>\n", 0));
}

#[test]
fn f_02_what_is_queued_survives_the_daemon_in_order_and_is_sent_once() {
    let mut scene = Scene::new();
    scene.is("busy");
    let ids: Vec<Value> = (1..=3)
        .map(|number| {
            let text = format!("prompt {number}");
            let queue = json!({ "text": text, "if_busy": "queue" });
            let queued = scene.send(&format!("r{number}"), &queue);
            assert_eq!(queued["result_code"], "pending", "{queued:#}");
            queued["action_id"].clone()
        })
        .collect();
    assert_eq!(scene.outbox(), 3);
    let refused = scene.send("now", &json!({}));
    assert_eq!(refused["code"], "E_AGENT_BUSY", "others are refused as ever");
    scene.restart();
    assert_eq!((scene.submitted().as_str(), scene.outbox()), ("", 3));
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(scene.action(id)["result_code"], "pending");
        scene.is("idle");
        let done = scene.ends(id, "completed");
        assert_eq!(done["steps"], json!(["text_typed", "keys_pressed"]));
        let wanted: String = (1..=number + 1).map(|it| format!("<prompt {it}>\n")).collect();
        assert_eq!(scene.submitted(), wanted);
    }
    assert_eq!(scene.outbox(), 0);
}

#[test]
fn a_queued_prompt_waits_until_a_persons_draft_is_gone_and_keeps_nobody_else_waiting() {
    let scene = Scene::new();
    scene.types("half");
    let queued = scene.send("r1", &json!({ "if_busy": "queue" }));
    assert_eq!(queued["result_code"], "pending", "{queued:#}");
    assert_eq!(queued["action"]["error_code"], "E_AGENT_BUSY");
    let shown = act(scene.daemon(), "attach", "a1", &scene.pane, &json!({}));
    assert_eq!(shown.expect(200)["result_code"], "completed");
    assert!(scene.screen().contains("❯ half\n"), "{}", scene.screen());
    scene.env.tmux().ok(&["send-keys", "-t", &scene.pane, "C-u"]);
    scene.ends(&queued["action_id"], "completed");
    assert_eq!(scene.submitted(), "<do it>\n");
}

#[test]
fn a_prompt_that_waited_for_its_whole_time_is_refused_with_the_reason() {
    let scene = Scene::new();
    scene.is("busy");
    let late = scene.send("r1", &json!({ "if_busy": "wait", "busy_timeout": "1s" }));
    assert_eq!(
        (&late["code"], &late["details"]["result_code"]),
        (&json!("E_AGENT_BUSY"), &json!("refused"))
    );
    assert_eq!((scene.submitted().as_str(), scene.outbox()), ("", 0));
}

#[test]
fn f_02_a_crash_between_the_text_and_enter_is_told_and_never_repeated() {
    let mut scene = Scene::new();
    scene.keep("deaf");
    // Enter is not pressed before the composer was looked at again, and that is where it is killed.
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let body =
                json!({ "request_ref": "r1", "ref": scene.pane, "text": "do it", "enter": true });
            scene.env.api().try_post("/v1/actions/send", &body)
        });
        scene.env.tmux().shows(&scene.pane, "❯ do it");
        process::signal(scene.daemon().pid(), Signal::KILL);
        drop(asked.join().unwrap());
    });
    scene.restart();
    let told = scene.send("r1", &json!({}));
    let (id, code) = (&told["action_id"], &told["result_code"]);
    assert_eq!(code, "not_confirmed", "{told:#}");
    let action = scene.action(id);
    let why = action["message"].as_str().unwrap();
    assert!(why.contains("in the composer") || why.contains("nobody saw"), "{why}");
    fs::remove_file(scene.home("deaf")).unwrap();
    assert_eq!(scene.submitted(), "");
    let finished = scene.send("r2", &json!({ "text": null }));
    assert_eq!(
        finished["result_code"], "completed",
        "Enter alone sends what is ours: {finished:#}"
    );
    assert_eq!(scene.submitted(), "<do it>\n");
}

#[test]
fn send_by_qd_waits_for_the_state_that_follows() {
    let scene = Scene::new();
    let finish = std::thread::scope(|scope| {
        let sent = scope.spawn(|| {
            scene.env.qd(&[
                "send",
                &scene.pane,
                "--text",
                "go",
                "--enter",
                "--wait",
                "idle,completed",
            ])
        });
        wait::until("it works", || (!scene.submitted().is_empty()).then_some(()));
        scene.listed("running", |it| it["state"] == "running");
        scene.is("idle");
        sent.join().unwrap()
    });
    assert_eq!(finish.code(), Some(0), "{}{}", finish.stdout, finish.stderr);
    let kept = scene.env.qd(&["send", &scene.pane, "--text", "x", "--wait", "nonsense"]);
    assert_eq!(kept.code(), Some(2));
    scene.keep("deaf");
    let left = ["send", &scene.pane, "--text", "go", "--enter", "--wait", "running"];
    let left = scene.env.qd(&left);
    assert_eq!(left.code(), Some(1), "what was not taken leads to no state: {}", left.stdout);
}
