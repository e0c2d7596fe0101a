//! Approvals by the built binary, with a scripted program that asks as an agent does: with its own
//! hook beside a dialog, with a dialog alone, and with its own status file.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use agents::setup::line::HookLine;
use serde_json::{Value, json};
use testkit::{Daemon, Reply, Terminal, TestEnv, wait};

use crate::deck::{self, deck};

/// A stand-in for an agent. It asks `asks/N` for each N in turn: shows the dialog, runs the hook
/// where `asks/N.json` is there, and takes whichever answers first, the hook or a key. What it took
/// stands in `log`.
const AGENT: &str = r#"
cd "$HOME"; mkdir -p asks .claude/sessions
stty -echo -icanon
rule=────────────────────────────────────────────────────────────
status() {
    file=.claude/sessions/$$.json
    printf '{"pid":%s,"sessionId":"s-1","status":"%s"%s}' $$ "$1" "$2" > $file.new
    mv $file.new $file
}
composer() { clear; printf '%s\n\n%s\n❯ \n%s\n  ? for shortcuts\n' "$1" $rule $rule; }
composer '● Hello'; status idle
for n in 1 2 3 4 5 6 7 8 9; do
    until [ -e asks/$n ]; do sleep 0.05; done
    clear; printf '● Working\n\n%s\n' $rule; cat asks/$n
    hook=
    if [ -e asks/$n.json ]; then
        : > reply.$n
        if [ -e asks/$n.line ]; then sh -c "$(cat asks/$n.line); :" < asks/$n.json > reply.$n & hook=$!
        else "$QD" hook claude PermissionRequest < asks/$n.json > reply.$n & hook=$!; fi
    fi
    status waiting ',"waitingFor":"permission prompt"'
    # What one of its commands would start, with a shell below a shell.
    [ -e asks/$n.forged ] && sh -c "sh -c '\"$QD\" hook claude PermissionRequest < asks/$n.forged; :'; touch forged"
    took=
    while [ -z "$took" ]; do
        # Out of time, it may have read all the same.
        key=; read -rsn1 -t 0.05 key
        if [ -n "$key" ]; then took=key:$(printf %s "$key" | od -An -tx1 | tr -d ' \n')
        elif [ -n "$hook" ] && [ -s reply.$n ]; then wait $hook; took=reply:$(cat reply.$n)
        elif [ -e asks/$n.gone ]; then took=gone; fi
    done
    echo "$n $took" >> log
    # It takes the dialog away, and says nothing of it for a while.
    [ -e asks/$n.holds ] && clear
    while [ -e asks/$n.holds ]; do sleep 0.05; done
    # It says nothing more of itself.
    [ -e asks/$n.mute ] && { rm .claude/sessions/$$.json; clear; sleep 100; }
    case $took in
        key:31 | key:32 | *'"allow"'*)
            # It takes its time to draw, and longer to do what it may.
            [ -e asks/$n.slow ] && sleep 0.6
            status busy; composer '● Running'
            [ -e asks/$n.slow ] && sleep 1.2
            [ -e asks/$n.done ] && "$QD" hook claude PostToolUse < asks/$n.done > /dev/null
            sleep 0.2; status idle; composer '● Done' ;;
        *) status idle; composer "● Bash(x)
  ⎿  Interrupted · What should Claude do instead?" ;;
    esac
done
"#;

pub(crate) struct Scene {
    pub(crate) daemon: Daemon,
    pub(crate) pane: String,
    pub(crate) env: TestEnv,
}

pub(crate) fn scene() -> Scene {
    scene_in(deck())
}

/// Puts the agent there; gives the line that starts it, with this program for its hooks.
pub(crate) fn agent(env: &TestEnv, qd: &Path) -> String {
    fs::copy("/bin/bash", env.path("bin/claude")).unwrap();
    for program in
        ["cat", "clear", "mkdir", "mv", "od", "rm", "setsid", "sh", "sleep", "stty", "touch", "tr"]
    {
        env.reinstall(program);
    }
    fs::write(env.path("home/agent.sh"), AGENT).unwrap();
    fs::create_dir_all(env.path("home/.claude/sessions")).unwrap();
    format!("QD={} exec claude $HOME/agent.sh", qd.display())
}

pub(crate) fn scene_in(env: TestEnv) -> Scene {
    let line = agent(&env, env.qd_program());
    let daemon = env.daemon();
    let pane = env.tmux().session("work", &line);
    let it = Scene { daemon, pane, env };
    it.shows("idle");
    it
}

fn command_dialog(command: &str) -> String {
    format!(
        " Bash command\n\n   {command}\n   Run a scripted command\n\n Do you want to proceed?\n \
         ❯ 1. Yes\n   2. Yes, and always allow access to project/ from this project\n   3. No\n\n \
         Esc to cancel · Tab to amend\n"
    )
}

fn payload(event: &str, command: &str) -> String {
    json!({
        "session_id": "s-1",
        "cwd": "/work",
        "hook_event_name": event,
        "tool_name": "Bash",
        "tool_input": { "command": command, "description": "Run a scripted command" },
        "permission_suggestions": [
            { "type": "setMode", "mode": "acceptEdits", "destination": "session" }
        ],
    })
    .to_string()
}

impl Scene {
    #[track_caller]
    pub(crate) fn shows(&self, state: &str) -> Value {
        deck::pane_where(self.daemon.api(), &self.pane, state, |it| it["state"] == state)
    }

    pub(crate) fn asks(&self, name: &str) -> PathBuf {
        asks(&self.env, name)
    }

    /// Has the agent ask, with its hook.
    pub(crate) fn ask(&self, number: u32, command: &str) {
        ask(&self.env, number, command);
    }

    /// Has it ask without a hook.
    pub(crate) fn ask_on_screen(&self, number: u32, command: &str) {
        ask_on_screen(&self.env, number, command);
    }

    pub(crate) fn list(&self, query: &str) -> Vec<Value> {
        list(&self.daemon, query)
    }

    /// The one approval that waits, once it is as wanted.
    #[track_caller]
    pub(crate) fn waiting(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        waiting(&self.daemon, wanted)
    }

    pub(crate) fn hooked(&self, command: &str) -> Value {
        let asked = self.waiting(|it| it["request"] == command && it["delivery"] == "reply");
        // What was never seen to wait cannot be seen to go on.
        let path = format!("/v1/runtimes/{}/explain", deck::runtime_of(&asked));
        wait::until("its status says that it waits", || {
            let told = self.daemon.api().get(&path).expect(200);
            let evidence = told["evidence"].as_array().unwrap().clone();
            let waits = |it: &Value| it["source"] == "status" && it["says"] == "waiting_approval";
            evidence.iter().any(waits).then_some(())
        });
        asked
    }

    #[track_caller]
    pub(crate) fn ends(&self, asked: &Value, state: &str) -> Value {
        ends(&self.daemon, asked, state)
    }

    pub(crate) fn answer(&self, asked: &Value, name: &str, more: &Value) -> Reply {
        answer(&self.daemon, asked, name, more)
    }

    /// The same with the next daemon, after the first was killed.
    pub(crate) fn after_a_kill(self) -> Self {
        let Self { daemon, pane, env } = self;
        daemon.kill9();
        let daemon = env.daemon();
        Self { daemon, pane, env }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        log(&self.env)
    }

    /// What the agent took for its questions so far.
    #[track_caller]
    pub(crate) fn took(&self, count: usize) -> Vec<String> {
        took(&self.env, count)
    }
}

/// A file of the agent's questions.
fn asks(env: &TestEnv, name: &str) -> PathBuf {
    env.path("home/asks").join(name)
}

/// Has the agent ask, with its hook.
pub(crate) fn ask(env: &TestEnv, number: u32, command: &str) {
    fs::write(asks(env, &format!("{number}.done")), payload("PostToolUse", command)).unwrap();
    let asked = payload("PermissionRequest", command);
    fs::write(asks(env, &format!("{number}.json")), asked).unwrap();
    ask_on_screen(env, number, command);
}

fn ask_on_screen(env: &TestEnv, number: u32, command: &str) {
    let file = asks(env, "new");
    fs::write(&file, command_dialog(command)).unwrap();
    fs::rename(file, asks(env, &number.to_string())).unwrap();
}

fn list(daemon: &Daemon, query: &str) -> Vec<Value> {
    deck::items(daemon.api(), &format!("/v1/approvals{query}"))
}

/// The one approval that waits, once it is as wanted.
#[track_caller]
pub(crate) fn waiting(daemon: &Daemon, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Vec::new();
    let found = wait::within(wait::BOUND, || {
        last = list(daemon, "");
        last.iter().find(|it| wanted(it)).cloned()
    });
    found.unwrap_or_else(|| panic!("no such approval: {last:#?}"))
}

/// The approval, once it is in this state.
#[track_caller]
pub(crate) fn ends(daemon: &Daemon, asked: &Value, state: &str) -> Value {
    let path = format!("/v1/approvals/{}", deck::text(asked, "approval_id"));
    let mut last = Value::Null;
    let found = wait::within(wait::BOUND, || {
        last = daemon.api().get(&path).expect(200)["approval"].clone();
        (last["state"] == state).then(|| last.clone())
    });
    found.unwrap_or_else(|| panic!("it never was {state}: {last:#}"))
}

pub(crate) fn answer(daemon: &Daemon, asked: &Value, name: &str, more: &Value) -> Reply {
    let mut body = json!({ "request_ref": name, "fingerprint": asked["fingerprint"] });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    let id = deck::text(asked, "approval_id");
    daemon.api().post(&format!("/v1/approvals/{id}/answer"), &body)
}

pub(crate) fn log(env: &TestEnv) -> Vec<String> {
    let text = fs::read_to_string(env.path("home/log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// What the agent took for its questions so far.
#[track_caller]
pub(crate) fn took(env: &TestEnv, count: usize) -> Vec<String> {
    wait::until(&format!("{count} were taken"), || (log(env).len() >= count).then_some(()));
    log(env)
}

pub(crate) fn approve() -> Value {
    json!({ "choice": "approve" })
}

#[test]
fn a_permission_is_granted_by_the_agents_own_hook_and_the_action_is_its_record() {
    let it = scene();
    it.ask(1, "touch made && echo made-it");
    let asked = it.hooked("touch made && echo made-it");
    assert_eq!((&asked["kind"], &asked["tool"]), (&json!("permission"), &json!("Bash")));
    assert_eq!((&asked["agent_type"], &asked["directory"]), (&json!("claude"), &json!("/work")));
    let offered: Vec<&Value> =
        asked["offers"].as_array().unwrap().iter().map(|offer| &offer["choice"]).collect();
    assert!(offered.starts_with(&[&json!("approve"), &json!("approve_session"), &json!("deny")]));
    let answer = it.answer(&asked, "r1", &approve()).expect(200);
    assert_eq!(
        (&answer["result_code"], &answer["action"]["proof"]),
        (&json!("completed"), &json!("reply"))
    );
    let allow = r#"{"hookSpecificOutput":{"decision":{"behavior":"allow"},"hookEventName":"PermissionRequest"}}"#;
    assert_eq!(it.took(1), [format!("1 reply:{allow}")]);
    let ended = it.ends(&asked, "answered");
    assert_eq!((&ended["outcome"], &ended["action_id"]), (&json!("approve"), &answer["action_id"]));
    assert!(deck::text(&ended, "answered_by").starts_with("client:uid="));
    assert_eq!(it.list(""), Vec::<Value>::new());
    let again = it.answer(&asked, "r1", &approve()).expect(200);
    assert_eq!(again["action_id"], answer["action_id"], "the same request is the same action");
    assert_eq!(
        it.answer(&asked, "r1", &json!({ "choice": "deny" })).error(409),
        "E_IDEMPOTENCY_CONFLICT"
    );
}

/// Debian's `sh` stays above the last program that it runs, so between an agent and its hook stand
/// the shell of the agent's and the one of the hook's own line.
#[test]
fn a_hook_is_the_agents_own_below_a_shell_that_stays_above_its_line() {
    let it = scene();
    let line =
        HookLine::new(&it.env.qd_program().display().to_string(), "claude", "PermissionRequest");
    fs::write(it.asks("1.line"), line.render()).unwrap();
    it.ask(1, "touch one");
    let asked = it.hooked("touch one");
    it.answer(&asked, "r1", &approve()).expect(200);
    assert!(it.took(1)[0].contains("allow"));
}

#[test]
fn approvals_are_streamed_with_how_they_are_answered_and_how_they_end() {
    let it = scene();
    let mut watch = deck::Watch::open(it.daemon.api(), "scope=approvals");
    assert_eq!(watch.next()["items"], json!([]));
    it.ask(1, "touch made");
    let listed = it.hooked("touch made");
    // The dialog may add to what the hook told, before or after it was listed.
    let is_it =
        |it: &Value| it["approval_id"] == listed["approval_id"] && it["delivery"] == "reply";
    let hooked = watch.upsert("its hook waits", |it| is_it(it) && it["offers"] == listed["offers"]);
    assert_eq!(hooked, listed, "the stream says what the list says");
    let late = deck::Watch::open(it.daemon.api(), "scope=approvals").next();
    assert_eq!(late["items"][0]["approval_id"], hooked["approval_id"]);
    let elsewhere =
        deck::Watch::open(it.daemon.api(), "scope=approvals&session=other&once=true").next();
    assert_eq!(elsewhere["items"], json!([]), "filters narrow it to the panes that fit");
    it.answer(&hooked, "r1", &approve()).expect(200);
    let ended = watch.upsert("it was answered", |it| it["state"] == "answered");
    assert_eq!((&ended["outcome"], &ended["delivery"]), (&json!("approve"), &Value::Null));
    watch.delete("the approval", |identity| identity["approval_id"] == hooked["approval_id"]);
    let text = it.env.qd(&["watch", "--scope", "approvals", "--once"]).success();
    assert!(text.starts_with("0 approvals wait"), "{text}");
}

#[test]
fn a_denial_takes_its_word_to_the_agent() {
    let it = scene();
    it.ask(1, "rm -rf build");
    let asked = it.hooked("rm -rf build");
    let no = json!({ "choice": "deny", "message": "keep \"build\"\nand say why" });
    it.answer(&asked, "r1", &no).expect(200);
    let said = it.took(1).remove(0);
    let reply: Value = serde_json::from_str(said.strip_prefix("1 reply:").unwrap()).unwrap();
    let decision = &reply["hookSpecificOutput"]["decision"];
    assert_eq!(decision["behavior"], "deny");
    assert_eq!(decision["message"], no["message"]);
    assert_eq!(it.ends(&asked, "answered")["outcome"], "deny");
    let detail = it.env.sqlite("SELECT metadata_json FROM actions WHERE action_type = 'respond'");
    assert!(detail.contains("\"sha256\""), "of the word its hash is kept: {detail}");
}

#[test]
fn without_a_hook_the_dialogs_own_key_is_pressed_and_no_other() {
    let it = scene();
    it.ask_on_screen(1, "touch one");
    let asked = it.waiting(|it| it["source"] == "screen" && it["delivery"] == "keys");
    assert!(deck::text(&asked, "request").contains("touch one"));
    assert_eq!(it.answer(&asked, "r1", &approve()).expect(200)["result_code"], "completed");
    assert_eq!(it.took(1), ["1 key:31"]);
    it.ends(&asked, "answered");
    it.shows("idle");
    it.ask_on_screen(2, "touch two");
    let asked = it.waiting(|it| deck::text(it, "request").contains("touch two"));
    let answer = it.answer(&asked, "r2", &json!({ "choice": "deny" })).expect(200);
    assert_eq!(answer["result_code"], "completed", "{answer:#}");
    assert_eq!(it.took(2)[1], "2 key:1b");
    assert_eq!(it.ends(&asked, "answered")["outcome"], "deny");
}

#[test]
fn what_only_the_dialog_offers_goes_by_its_key_although_a_hook_waits() {
    let it = scene();
    it.ask(1, "touch one");
    let lasts = |asked: &Value| {
        let offers = asked["offers"].as_array().into_iter().flatten();
        asked["delivery"] == "reply"
            && offers.into_iter().any(|offer| offer["choice"] == "approve_always")
    };
    it.hooked("touch one");
    let asked = it.waiting(lasts);
    let always = json!({ "choice": "approve_always" });
    it.answer(&asked, "r1", &always).expect(200);
    assert_eq!(it.took(1), ["1 key:32"]);
    it.ends(&asked, "answered");
    let late = it.answer(&asked, "r2", &approve());
    assert_eq!(late.json()["error"]["details"]["outcome"], "approve_always");
    assert_eq!(late.error(409), "E_APPROVAL_ANSWERED");
}

/// A question of two parts, of which the second takes several answers.
fn parts_payload(event: &str) -> String {
    let option = |label: &str, about: &str| json!({ "label": label, "description": about });
    json!({
        "session_id": "s-1",
        "cwd": "/work",
        "hook_event_name": event,
        "tool_name": "AskUserQuestion",
        "tool_input": { "questions": [
            {
                "question": "Which colour?", "header": "Colour", "multiSelect": false,
                "options": [option("Red", "warm"), option("Blue", "cool")],
            },
            {
                "question": "Which sizes?", "header": "Sizes", "multiSelect": true,
                "options": [option("Small", ""), option("Middle", ""), option("Large", "")],
            },
        ] },
    })
    .to_string()
}

const PARTS_DIALOG: &str = "\
←  ☐ Colour  ☐ Sizes  ✔ Submit  →

Which colour?

❯ 1. Red
     warm
  2. Blue
     cool
  3. Type something.
────────────────────────────────────────────────────────────
  4. Chat about this

Enter to select · Tab/Arrow keys to navigate · Esc to cancel
";

impl Scene {
    /// Has the agent ask it, with its hook or without.
    fn ask_parts(&self, number: u32, with_hook: bool) {
        if with_hook {
            let (asked, done) = (parts_payload("PermissionRequest"), parts_payload("PostToolUse"));
            fs::write(self.asks(&format!("{number}.json")), asked).unwrap();
            fs::write(self.asks(&format!("{number}.done")), done).unwrap();
        }
        fs::write(self.asks("new"), PARTS_DIALOG).unwrap();
        fs::rename(self.asks("new"), self.asks(&number.to_string())).unwrap();
    }
}

#[test]
fn all_parts_of_a_question_are_answered_in_one_act_by_the_hook() {
    let it = scene();
    it.ask_parts(1, true);
    let asked = it.waiting(|it| it["kind"] == "question" && it["delivery"] == "reply");
    assert_eq!(asked["terminal_only"], Value::Null, "{asked:#}");
    assert_eq!(asked["parts"][1]["several"], true);
    assert_eq!(asked["parts"][0]["options"][1], json!({ "label": "Blue", "about": "cool" }));
    let listed = it.env.qd(&["approvals"]).success();
    assert!(listed.contains("1 1,2 n") && !listed.contains("(terminal)"), "{listed}");
    let wrong = [
        (json!({ "choice": "option", "option": 2 }), "it has 2 parts, and 1 of them"),
        (json!({ "choice": "option", "picks": [[1], [1], [1]] }), "and 3 of them"),
        (json!({ "choice": "option", "picks": [[1, 2], [1]] }), "part 1 takes one option"),
        (json!({ "choice": "option", "picks": [[1], []] }), "part 2 is not answered"),
        (json!({ "choice": "option", "picks": [[1], [4]] }), "part 2 has 3 options"),
        (json!({ "choice": "option", "picks": [[1], [3, 3]] }), "option 3 twice"),
        (json!({ "choice": "approve" }), "it asks several things at once"),
    ];
    for (nth, (answer, why)) in wrong.iter().enumerate() {
        let reply = it.answer(&asked, &format!("wrong-{nth}"), answer);
        assert!(reply.json()["error"]["message"].to_string().contains(why), "{:#}", reply.json());
        assert_eq!(reply.error(409), "E_CHOICE_NOT_OFFERED");
    }
    let id = deck::text(&asked, "approval_id");
    let said = it.env.qd(&["answer", &id, "2", "1", "1"]).fails_with(5);
    assert!(said.contains("3 of them are answered"), "{said}");
    assert_eq!(it.log(), Vec::<String>::new(), "nothing of that reached the agent");
    it.env.qd(&["answer", &id, "2", "3,1", "--request-ref", "parts"]).success();
    let said = it.took(1).remove(0);
    let reply: Value = serde_json::from_str(said.strip_prefix("1 reply:").unwrap()).unwrap();
    let updated = &reply["hookSpecificOutput"]["decision"]["updatedInput"];
    assert_eq!(
        updated["answers"],
        json!({ "Which colour?": "Blue", "Which sizes?": "Small, Large" })
    );
    let ended = it.ends(&asked, "answered");
    assert_eq!(ended["outcome"], "option");
    let act = it.env.sqlite("SELECT metadata_json FROM actions WHERE request_ref = 'parts'");
    assert!(act.contains("\"picks\":[[2],[3,1]]"), "its record tells which: {act}");
    it.env.qd(&["answer", &id, "2", "3,1", "--request-ref", "parts"]).success();
    let other = it.env.qd(&["answer", &id, "2", "1", "--request-ref", "parts"]).fails_with(5);
    assert!(other.contains("E_IDEMPOTENCY_CONFLICT"), "{other}");
    assert_eq!(it.took(1).len(), 1);
}

#[test]
fn without_a_hook_the_parts_of_a_question_are_left_to_the_terminal_with_the_reason() {
    let it = scene();
    it.ask_parts(1, true);
    let asked = it.waiting(|it| it["kind"] == "question" && it["delivery"] == "reply");
    // Its hook goes with the daemon, and the dialog is what remains.
    let it = it.after_a_kill();
    let asked = it.ends(&asked, "waiting");
    let left = it.waiting(|it| it["delivery"] == "keys");
    assert_eq!(left["terminal_only"], "several_questions", "{left:#}");
    let reply = it.answer(&asked, "r1", &json!({ "choice": "option", "picks": [[1], [2]] }));
    let said = reply.json()["error"]["message"].to_string();
    assert!(said.contains("no hook waits that can take them"), "{said}");
    assert_eq!(reply.error(409), "E_CHOICE_NOT_OFFERED");
    assert_eq!(it.log(), Vec::<String>::new(), "no key was pressed");
    it.ends(&asked, "waiting");
}

#[test]
fn qd_answer_walks_through_the_parts_of_a_question_on_a_narrow_screen() {
    let it = scene();
    it.ask_parts(1, true);
    it.waiting(|it| it["kind"] == "question" && it["delivery"] == "reply");
    let qd = it.env.qd_program().display();
    let walk = it.env.tmux().session("person", &format!("{qd} answer; echo over; exec sh"));
    it.env.tmux().ok(&["resize-window", "-t", &walk, "-x", "40", "-y", "24"]);
    let screen = it.env.tmux().shows(&walk, "like 1 1,2/n");
    assert!(screen.contains("| 1/2 Which colour? (one of)"), "{screen}");
    assert!(screen.contains("|   3 Large"), "{screen}");
    for wrong in ["2", "2 1 1", "3 1", "1,2 1"] {
        it.env.tmux().ok(&["send-keys", "-t", &walk, wrong, "Enter"]);
    }
    it.env.tmux().ok(&["send-keys", "-t", &walk, "1 2,3", "Enter"]);
    let said = it.took(1).remove(0);
    assert!(said.contains(r#""Which colour?":"Red","Which sizes?":"Middle, Large""#), "{said}");
    it.env.tmux().shows(&walk, "over");
    assert_eq!(it.took(1).len(), 1, "what did not fit was not sent");
}

#[test]
fn answered_in_the_terminal_it_closes_by_itself_with_what_was_said_there() {
    let it = scene();
    it.ask(1, "touch one");
    let yes = it.hooked("touch one");
    it.env.tmux().ok(&["send-keys", "-t", &it.pane, "1"]);
    it.ends(&yes, "answered_in_terminal");
    wait::until("the outcome is told", || {
        let all = it.list("?all");
        all.iter().any(|it| it["outcome"] == "approve").then_some(())
    });
    let late = it.answer(&yes, "r1", &approve());
    let told = late.json();
    assert_eq!(late.error(409), "E_APPROVAL_CLOSED");
    assert_eq!(told["error"]["details"]["state"], "answered_in_terminal");
    it.shows("idle");
    it.ask(2, "touch two");
    let no = it.hooked("touch two");
    it.env.tmux().ok(&["send-keys", "-t", &it.pane, "Escape"]);
    it.ends(&no, "answered_in_terminal");
    assert_eq!(it.took(2), ["1 key:31", "2 key:1b"]);
    let quiet = fs::read_to_string(it.env.path("home/reply.1")).unwrap();
    assert_eq!(quiet, "", "the hook that was too late printed nothing");
}

#[test]
fn a_no_that_came_after_a_yes_in_the_terminal_is_not_told_of_as_one() {
    let it = scene();
    fs::write(it.asks("1.slow"), "").unwrap();
    it.ask(1, "touch one");
    let asked = it.hooked("touch one");
    it.env.tmux().ok(&["send-keys", "-t", &it.pane, "1"]);
    assert_eq!(it.took(1), ["1 key:31"]);
    // Its dialog still stands, and its hook still waits.
    let refused = it.answer(&asked, "r1", &json!({ "choice": "deny" }));
    assert_eq!(refused.error(409), "E_APPROVAL_CLOSED");
    let ended = it.ends(&asked, "answered_in_terminal");
    assert_eq!(ended["outcome"], "approve");
}

#[test]
fn s_12_replaced_by_another_the_old_one_is_refused_and_the_new_one_left_alone() {
    let it = scene();
    it.ask(1, "touch one");
    let old = it.hooked("touch one");
    fs::write(it.asks("1.gone"), "").unwrap();
    it.ask(2, "touch two");
    let new = it.hooked("touch two");
    assert_ne!(old["approval_id"], new["approval_id"]);
    it.ends(&old, "replaced");
    let late = it.answer(&old, "r1", &approve());
    assert_eq!(late.error(409), "E_APPROVAL_CLOSED");
    let mut swapped = new.clone();
    swapped["fingerprint"] = old["fingerprint"].clone();
    assert_eq!(it.answer(&swapped, "r2", &approve()).error(409), "E_APPROVAL_CHANGED");
    assert_eq!(it.log(), ["1 gone"], "nothing reached the agent");
    it.answer(&new, "r3", &approve()).expect(200);
    assert!(it.took(2)[1].contains("allow"));
}

#[test]
fn s_11_no_key_is_pressed_in_a_dialog_that_shows_another_request() {
    let it = scene();
    fs::write(it.asks("1.json"), payload("PermissionRequest", "touch harmless")).unwrap();
    it.ask_on_screen(1, "touch harmless && rm -rf everything");
    let asked = it.hooked("touch harmless");
    let it = it.after_a_kill();
    let asked = it.ends(&asked, "waiting");
    let refused = it.answer(&asked, "r1", &approve());
    assert_eq!(refused.error(409), "E_APPROVAL_CHANGED");
    assert_eq!(it.log(), Vec::<String>::new());
    assert_eq!(it.ends(&asked, "waiting")["answered_by"], Value::Null, "it can still be answered");
}

#[test]
fn s_11_what_a_command_of_the_agents_says_it_asks_takes_no_requests_place() {
    let it = scene();
    fs::write(it.asks("1.forged"), payload("PermissionRequest", "touch harmless")).unwrap();
    it.ask(1, "touch harmless && rm -rf everything");
    let asked = it.hooked("touch harmless && rm -rf everything");
    wait::until("it tried", || it.env.path("home/forged").exists().then_some(()));
    assert_eq!(it.ends(&asked, "waiting")["delivery"], "reply");
    assert_eq!(it.list("").len(), 1, "nothing else is asked");
    it.answer(&asked, "r1", &json!({ "choice": "deny" })).expect(200);
    it.ends(&asked, "answered");
}

#[test]
fn a_no_by_keys_that_a_local_yes_may_have_been_before_is_not_told_as_taken() {
    let it = scene();
    fs::write(it.asks("1.slow"), "").unwrap();
    it.ask_on_screen(1, "touch one");
    let asked = it.waiting(|it| it["source"] == "screen");
    it.env.tmux().ok(&["send-keys", "-t", &it.pane, "1"]);
    assert_eq!(it.took(1), ["1 key:31"]);
    // Its dialog still stands.
    let told = it.answer(&asked, "r1", &json!({ "choice": "deny" }));
    assert_ne!(told.json()["result_code"], "completed", "{:#}", told.json());
    let ended =
        it.daemon.api().get(&format!("/v1/approvals/{}", deck::text(&asked, "approval_id")));
    assert_ne!(ended.expect(200)["approval"]["outcome"], "deny");
}

#[test]
fn who_was_answered_and_says_nothing_more_is_not_shown_as_waiting() {
    let it = scene();
    fs::write(it.asks("1.mute"), "").unwrap();
    it.ask(1, "touch one");
    let asked = it.hooked("touch one");
    it.answer(&asked, "r1", &json!({ "choice": "deny" })).expect(200);
    it.ends(&asked, "answered");
    deck::pane_where(it.daemon.api(), &it.pane, "not waiting", |it| {
        it["state"] != "waiting_approval"
    });
}

#[test]
fn f_22_of_many_answers_at_once_one_wins_and_the_others_learn_whose() {
    let it = scene();
    it.ask(1, "touch one");
    let asked = it.hooked("touch one");
    let codes: Vec<(u16, Value)> = std::thread::scope(|scope| {
        let answers: Vec<_> = (0..16)
            .map(|number| {
                let (it, asked) = (&it, &asked);
                let choice = if number % 2 == 0 { "approve" } else { "deny" };
                scope.spawn(move || {
                    let reply =
                        it.answer(asked, &format!("r{number}"), &json!({ "choice": choice }));
                    (reply.status, reply.json())
                })
            })
            .collect();
        answers.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let won: Vec<_> = codes.iter().filter(|(status, _)| *status == 200).collect();
    assert_eq!(won.len(), 1, "{codes:#?}");
    for (_, told) in codes.iter().filter(|(status, _)| *status != 200) {
        let code = deck::text(&told["error"], "code");
        assert!(["E_APPROVAL_ANSWERED", "E_APPROVAL_CLOSED"].contains(&code.as_str()), "{told}");
        assert!(deck::text(&told["error"]["details"], "answered_by").starts_with("client:"));
    }
    assert_eq!(it.took(1).len(), 1);
}

#[test]
fn f_01_with_the_daemon_gone_the_dialog_remains_and_what_waited_still_waits_afterwards() {
    let it = scene();
    it.ask(1, "touch one");
    let asked = it.hooked("touch one");
    let it = it.after_a_kill();
    let asked = it.ends(&asked, "waiting");
    it.waiting(|it| it["delivery"] == "keys");
    assert_eq!(fs::read_to_string(it.env.path("home/reply.1")).unwrap(), "");
    assert_eq!(it.log(), Vec::<String>::new(), "nothing was approved by default");
    it.answer(&asked, "r1", &approve()).expect(200);
    assert_eq!(it.took(1), ["1 key:31"]);
    it.ends(&asked, "answered");
}

#[test]
fn s_10_whoever_runs_below_an_agent_answers_nothing() {
    let it = scene();
    it.ask(1, "touch one");
    let asked = it.hooked("touch one");
    let id = deck::text(&asked, "approval_id");
    let qd = it.env.qd_program().display();
    // Another agent, whose child tries what a person would, also from a session of its own.
    let tries = format!(
        "until [ -e go ]; do sleep 0.05; done; {qd} approve {id} 2> tried.1; setsid {qd} approve {id} 2> tried.2; touch tried; sleep 100"
    );
    fs::write(it.env.path("home/tries.sh"), tries).unwrap();
    let other = it.env.tmux().window("work", "other", "exec claude $HOME/tries.sh");
    deck::pane_where(it.daemon.api(), &other, "recognised", |it| it["agent_type"] == "claude");
    fs::write(it.env.path("home/go"), "").unwrap();
    wait::until("it tried", || it.env.path("home/tried").exists().then_some(()));
    for name in ["tried.1", "tried.2"] {
        let said = fs::read_to_string(it.env.path("home").join(name)).unwrap();
        assert!(said.contains("E_FORBIDDEN"), "{name}: {said}");
    }
    assert_eq!(it.log(), Vec::<String>::new());
    it.env.qd(&["approve", &id]).success();
    assert!(it.took(1)[0].contains("allow"));
}

/// Ways of an agent to its own approval, with `$ID` for it: each through something of ours.
const WAYS: [&str; 14] = [
    "$QD approve $ID",
    "$QD approve $ID --always",
    "$QD deny $ID",
    "setsid $QD approve $ID",
    "sh -c \"sh -c '$QD approve $ID'\"",
    "$QD --socket $QD_HOME/qd.sock approve $ID",
    "QD_URL=$URL QD_TOKEN=$ACT $QD approve $ID",
    "QD_URL=$URL QD_TOKEN=$ADMIN setsid $QD approve $ID",
    "QD_URL=$URL QD_TOKEN=$ADMIN $QD adapter disable claude",
    "QD_URL=$URL QD_TOKEN=$ADMIN $QD token list",
    "$QD adapter disable claude",
    "$QD token create more --scope admin",
    "$QD token revoke act",
    "$QD target add mine --tmux-socket mine",
];

#[test]
fn s_10_an_agent_gets_to_its_approval_by_none_of_our_ways() {
    let env = deck();
    let address = crate::tcp::address();
    env.configure(&format!("[api]\nlisten = \"{address}\"\n"));
    let it = scene_in(env);
    it.ask(1, "touch one");
    let asked = it.hooked("touch one");
    let id = deck::text(&asked, "approval_id");
    let token = |scope: &str| it.env.qd(&["token", "create", scope, "--scope", scope]).success();
    let (act, admin) = (token("act"), token("admin"));
    let (act, admin) = (act.trim(), admin.trim());
    let mut script = format!(
        "until [ -e go ]; do sleep 0.05; done\nQD={} ID={id} URL=http://{address} ACT={act} ADMIN={admin}\n",
        it.env.qd_program().display()
    );
    for (number, way) in WAYS.iter().enumerate() {
        let said = format!("tried.{number}");
        writeln!(script, "{way} > {said} 2>&1; echo \"exit $?\" >> {said}").unwrap();
    }
    // The agent's own process, without any program of ours, over TCP.
    let body = format!(
        r#"{{"request_ref":"x","fingerprint":{},"choice":"approve"}}"#,
        asked["fingerprint"]
    );
    let head = format!(
        "POST /v1/approvals/{id}/answer HTTP/1.1\\r\\nhost: {address}\\r\\nauthorization: Bearer \
         {admin}\\r\\ncontent-type: application/json\\r\\ncontent-length: {}\\r\\n\\r\\n",
        body.len()
    );
    writeln!(
        script,
        "exec 3<>/dev/tcp/{}/{}; printf '{head}%s' '{body}' >&3; IFS= read -r line <&3; \
         echo \"$line\" > tried.tcp\ntouch tried; sleep 100",
        address.ip(),
        address.port()
    )
    .unwrap();
    fs::write(it.env.path("home/tries.sh"), script).unwrap();
    let other = it.env.tmux().window("work", "other", "exec claude $HOME/tries.sh");
    let shown =
        deck::pane_where(it.daemon.api(), &other, "recognised", |it| it["agent_type"] == "claude");
    fs::write(it.env.path("home/go"), "").unwrap();
    wait::until("it tried", || it.env.path("home/tried").exists().then_some(()));
    let said = |name: &str| fs::read_to_string(it.env.path("home").join(name)).unwrap();
    for (number, way) in WAYS.iter().enumerate() {
        let said = said(&format!("tried.{number}"));
        assert!(said.contains("E_FORBIDDEN") && !said.contains("exit 0"), "{way}: {said}");
    }
    assert!(said("tried.tcp").contains("403"), "{}", said("tried.tcp"));
    assert_eq!(it.log(), Vec::<String>::new());
    let denied = it.env.sqlite("SELECT actor FROM journal WHERE kind = 'access_denied'");
    let runtime = deck::runtime_of(&shown);
    assert!(denied.contains(&format!("runtime={runtime}")), "it is told who tried: {denied}");
    it.env.qd(&["approve", &id]).success();
    assert!(it.took(1)[0].contains("allow"), "a person still can");
}

/// One of the ways that docs/guide/security.md lists as not stopped: what matters is that it is told.
#[test]
fn s_10_what_the_process_tree_does_not_show_is_recorded() {
    let it = scene();
    it.ask(1, "touch one");
    let id = deck::text(&it.hooked("touch one"), "approval_id");
    let qd = it.env.qd_program().display();
    let tries = format!(
        "until [ -e go ]; do sleep 0.05; done; (setsid sh -c 'until [ $(ps -o ppid= $$) -eq 1 ] || \
         [ -e late ]; do sleep 0.05; done; {qd} approve {id} > tried 2>&1' &); sleep 2; touch late; \
         sleep 100"
    );
    fs::write(it.env.path("home/tries.sh"), tries).unwrap();
    it.env.reinstall("ps");
    let other = it.env.tmux().window("work", "other", "exec claude $HOME/tries.sh");
    deck::pane_where(it.daemon.api(), &other, "recognised", |it| it["agent_type"] == "claude");
    fs::write(it.env.path("home/go"), "").unwrap();
    assert!(it.took(1)[0].contains("allow"));
    let history = it.env.qd(&["history", "--json"]).json();
    let by = deck::text(&history["items"][0], "requested_by");
    assert!(by.starts_with("client:uid=") && by.contains(",pid="), "{by}");
}

#[test]
fn qd_lists_approves_and_denies_by_id_and_by_pane() {
    let it = scene();
    let none = it.env.qd(&["approve", &it.pane]);
    none.fails_with(4);
    it.ask(1, "touch \u{202e}one");
    it.hooked("touch \u{202e}one");
    let listed = it.env.qd(&["approvals"]).success();
    assert!(listed.contains("Bash: touch <U+202E>one") && listed.contains("y s n"), "{listed}");
    let told = it.env.qd(&["approve", &it.pane, "--session"]).success();
    assert!(told.contains("answered"), "{told}");
    assert!(it.took(1)[0].contains("updatedPermissions"));
    it.shows("idle");
    it.ask_on_screen(2, "touch two");
    it.waiting(|it| it["source"] == "screen");
    it.env.qd(&["deny", &it.pane, "--message", "no"]).fails_with(5);
    it.env.qd(&["deny", &it.pane]).success();
    assert_eq!(it.took(2)[1], "2 key:1b");
    let history = it.env.qd(&["history"]).success();
    assert!(history.contains("respond"), "{history}");
    let all = it.env.qd(&["approvals", "--all"]).success();
    assert!(all.contains("answered"), "{all}");
}

#[test]
fn qd_answer_walks_through_all_that_wait_on_a_narrow_screen() {
    let it = scene();
    it.ask(1, "touch one");
    it.hooked("touch one");
    let qd = it.env.qd_program().display();
    let walk = it.env.tmux().session("person", &format!("{qd} answer; echo over; exec sh"));
    it.env.tmux().ok(&["resize-window", "-t", &walk, "-x", "40", "-y", "20"]);
    it.env.tmux().shows(&walk, "| touch one");
    it.env.tmux().ok(&["send-keys", "-t", &walk, "x", "Enter"]);
    it.env.tmux().shows(&walk, "| touch one");
    assert_eq!(it.log(), Vec::<String>::new(), "what is unclear answers nothing");
    it.env.tmux().ok(&["send-keys", "-t", &walk, "y", "Enter"]);
    assert!(it.took(1)[0].contains("allow"));
    it.env.tmux().shows(&walk, "over");
}

impl Scene {
    /// A second agent that asks on its screen alone, in a folder of its own; gives its pane.
    fn second(&self, command: &str) -> String {
        let home = self.env.path("second");
        fs::create_dir_all(home.join("asks")).unwrap();
        let qd = self.env.qd_program().display();
        let line = format!(
            "QD={qd} HOME={} exec claude {}",
            home.display(),
            self.env.path("home/agent.sh").display()
        );
        fs::write(home.join("asks/1"), command_dialog(command)).unwrap();
        let pane = self.env.tmux().window("work", "second", &line);
        self.waiting(|it| it["pane_id"] == pane.as_str());
        pane
    }

    /// A person's terminal, in which this is run.
    fn person(&self, line: &str) -> String {
        self.env.script("qd", &format!("exec {} \"$@\"", self.env.qd_program().display()));
        self.env.tmux().session("person", &format!("{line}; echo over; exec sh"))
    }
}

#[test]
fn what_is_typed_ahead_answers_no_request_that_was_not_shown() {
    let it = scene();
    it.ask_on_screen(1, "touch one");
    it.waiting(|it| it["source"] == "screen");
    it.second("touch two");
    // Both lines are there before the second request can be.
    let person = it.person("qd answer");
    it.env.tmux().shows(&person, "Enter skips");
    it.env.tmux().ok(&["send-keys", "-t", &person, "y", "Enter", "y", "Enter"]);
    let screen = it.env.tmux().shows(&person, "| touch two");
    assert!(screen.contains("answered"), "what became of the first is not wiped: {screen}");
    it.env.tmux().shows(&person, "Enter skips");
    assert_eq!(it.list("").len(), 1, "the second still waits");
    it.env.tmux().ok(&["send-keys", "-t", &person, "y", "Enter"]);
    it.env.tmux().shows(&person, "over");
    assert_eq!(it.list(""), Vec::<Value>::new());
}

#[test]
fn in_a_popup_too_only_what_is_typed_behind_the_request_counts() {
    let it = scene();
    it.ask_on_screen(1, "touch one");
    it.waiting(|it| it["source"] == "screen");
    it.person("true");
    let late = "echo opened; until [ -e $HOME/go ]; do sleep 0.05; done; exec qd answer";
    it.env.script("late", late);
    let terminal = Terminal::attach(&it.env.tmux(), "person");
    let client = wait::until("a client is there", || {
        let clients = it.env.tmux().ok(&["list-clients", "-F", "#{client_name}"]);
        clients.lines().find(|it| it.starts_with("/dev/")).map(str::to_owned)
    });
    let prints = |from: usize, text: &str| {
        wait::until(text, || {
            let printed = terminal.printed();
            printed.get(from..)?.contains(text).then_some(printed.len())
        })
    };
    let tmux = it.env.tmux_program();
    let popup = ["-u", "-f", "/dev/null", "display-popup", "-c", &client, "-E", "late"];
    let popup = it.env.invoke_program(tmux, &popup).start();
    let opened = prints(0, "opened");
    terminal.type_text("y\r");
    let echoed = prints(opened, "y");
    fs::write(it.env.path("home/go"), "").unwrap();
    let asked = prints(echoed, "q ends");
    assert_eq!(it.log(), Vec::<String>::new(), "what was typed before is no answer");
    terminal.type_text("x\r");
    prints(asked, "q ends");
    assert_eq!(it.log(), Vec::<String>::new());
    terminal.type_text("y\r");
    assert_eq!(it.took(1), ["1 key:31"]);
    popup.finish().success();
}

#[test]
fn an_outcome_and_a_refusal_stay_on_the_screen_above_the_next_request() {
    let it = scene();
    it.ask(1, "touch one");
    it.hooked("touch one");
    it.second("touch two");
    let person = it.person("qd answer");
    it.env.tmux().shows(&person, "| touch one");
    it.env.tmux().shows(&person, "Enter skips");
    // It is answered elsewhere while it is read.
    let first = it.waiting(|it| it["request"] == "touch one");
    it.env.qd(&["deny", &deck::text(&first, "approval_id")]).success();
    it.env.tmux().ok(&["send-keys", "-t", &person, "y", "Enter"]);
    let screen = it.env.tmux().shows(&person, "touch two");
    assert!(screen.contains("E_APPROVAL_ANSWERED"), "{screen}");
    assert!(screen.contains("it is answered, deny, by client:"), "{screen}");
}

#[test]
fn what_was_answered_by_pane_is_printed_and_the_same_request_again_is_the_same_answer() {
    let it = scene();
    it.ask(1, "touch one");
    it.hooked("touch one");
    let answer = ["approve", it.pane.as_str(), "--request-ref", "again"];
    let first = it.env.qd(&answer).success();
    assert!(first.contains("approve, to 9 bytes: Bash: touch one"), "{first}");
    assert_eq!(it.took(1).len(), 1);
    wait::until("nothing waits", || it.list("").is_empty().then_some(()));
    let again = it.env.qd(&answer).success();
    assert_eq!(first, again, "a repetition is answered alike");
    assert_eq!(it.took(1).len(), 1);
    let other = ["deny", it.pane.as_str(), "--request-ref", "again"];
    assert!(it.env.qd(&other).fails_with(5).contains("E_IDEMPOTENCY_CONFLICT"));
    it.env.qd(&["approve", &it.pane]).fails_with(4);
    it.env.qd(&["approve", "claude"]).fails_with(4);
}
