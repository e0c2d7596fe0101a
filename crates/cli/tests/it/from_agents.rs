//! What agents do to panes by `qd`: prompts to each other, and nothing in a person's shell unless
//! the settings say so. The agents here are copies of a shell, by an agent's name.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};
use testkit::{TestEnv, wait};

use crate::approvals::{self, Scene};
use crate::deck;
use crate::prompts;

/// Has an agent in a pane of its own run these lines of `qd`; gives what each of them said, its exit
/// code behind it, and the agent's runtime.
pub(crate) fn tries(
    env: &TestEnv,
    daemon: &testkit::Daemon,
    ways: &[String],
) -> (Vec<String>, String) {
    let mut script = "until [ -e go ]; do sleep 0.05; done\n".to_owned();
    for (number, way) in ways.iter().enumerate() {
        writeln!(script, "{way} > tried.{number} 2>&1; echo \"exit $?\" >> tried.{number}")
            .unwrap();
    }
    script.push_str("touch tried; sleep 100\n");
    let home = env.path("home");
    for name in ["go", "tried"] {
        fs::remove_file(home.join(name)).ok();
    }
    fs::write(home.join("tries.sh"), script).unwrap();
    let pane = env.tmux().window("work", "tries", "exec claude $HOME/tries.sh");
    let shown =
        deck::pane_where(daemon.api(), &pane, "recognised", |it| it["agent_type"] == "claude");
    fs::write(home.join("go"), "").unwrap();
    wait::until("it tried", || home.join("tried").exists().then_some(()));
    let said = |number| fs::read_to_string(home.join(format!("tried.{number}"))).unwrap();
    ((0..ways.len()).map(said).collect(), deck::runtime_of(&shown))
}

/// A person's shell in a pane of its own.
fn shell(it: &Scene) -> String {
    let pane = it.env.tmux().window("work", "person", "exec sh");
    deck::settled(it.daemon.api(), &pane, "sh");
    pane
}

#[test]
fn s_10_an_agent_types_its_approval_into_no_shell_and_ends_none() {
    let env = deck::deck();
    let address = crate::tcp::address();
    env.configure(&format!("[api]\nlisten = \"{address}\"\n"));
    let it = approvals::scene_in(env);
    it.ask(1, "touch one");
    let id = deck::text(&it.hooked("touch one"), "approval_id");
    let shell = shell(&it);
    let token = it.env.qd(&["token", "create", "t", "--scope", "act"]).success();
    let qd = it.env.qd_program().display();
    let typed = format!("{qd} send {shell} --text '{qd} approve {id}' --enter");
    let ways = [
        typed.clone(),
        format!("setsid {typed} --force-stale"),
        format!("QD_URL=http://{address} QD_TOKEN={} {typed}", token.trim()),
        format!("{qd} send {shell} --key Up --enter"),
        format!("{qd} kill {shell} --yes"),
        format!("{qd} kill {shell} --mode signal --signal KILL --yes"),
    ];
    let (said, runtime) = tries(&it.env, &it.daemon, &ways);
    for (way, said) in ways.iter().zip(&said) {
        assert!(said.contains("E_FORBIDDEN") && said.contains("from_agents"), "{way}: {said}");
        assert!(!said.contains("exit 0"), "{way}: {said}");
    }
    assert_eq!(it.log(), Vec::<String>::new());
    let shown = deck::settled(it.daemon.api(), &shell, "sh");
    assert!(!it.env.tmux().screen(&shell).contains("approve"), "nothing was typed: {shown:#}");
    let history = it.env.qd(&["history", &shell, "--json"]).json();
    let items = history["items"].as_array().unwrap();
    assert_eq!(items.len(), ways.len(), "each attempt is in the history: {history:#}");
    for item in items {
        assert_eq!(
            (&item["result_code"], &item["error_code"]),
            (&json!("refused"), &json!("E_FORBIDDEN"))
        );
        assert!(deck::text(item, "requested_by").contains(&runtime), "it says whose: {item:#}");
    }
    // A person does all of it.
    it.env.qd(&["send", &shell, "--text", &format!("{qd} approve {id}"), "--enter"]).success();
    assert!(it.took(1)[0].contains("allow"));
}

/// What the settings open, docs/guide/security.md lists: what matters is that it is told.
#[test]
fn s_10_where_the_settings_let_agents_act_in_shells_it_is_recorded_and_in_none_nothing_is_done() {
    let it = approvals::scene();
    it.ask(1, "touch one");
    let id = deck::text(&it.hooked("touch one"), "approval_id");
    let shell = shell(&it);
    let qd = it.env.qd_program().display();
    let in_force = |word: &str| {
        it.env.configure(&format!("[actions]\nfrom_agents = \"{word}\"\n"));
        wait::until("the setting is in force", || {
            let config = it.daemon.api().get("/v1/config").expect(200);
            let settings = config["settings"].as_array().unwrap();
            let found = settings.iter().find(|it| it["key"] == "actions.from_agents").unwrap();
            (found["value"] == word).then_some(())
        });
    };
    in_force("none");
    let typed = format!("{qd} send {shell} --text '{qd} approve {id}' --enter");
    let agent = format!("{qd} kill {} --yes", it.pane);
    let (said, _) = tries(&it.env, &it.daemon, &[typed.clone(), agent]);
    for said in &said {
        assert!(said.contains("E_FORBIDDEN"), "{said}");
    }
    assert_eq!(it.log(), Vec::<String>::new());
    in_force("all");
    let (said, runtime) = tries(&it.env, &it.daemon, &[typed]);
    assert!(said[0].contains("exit 0"), "{said:?}");
    assert!(it.took(1)[0].contains("allow"));
    let history = it.env.qd(&["history", &shell, "--limit", "1", "--json"]).json();
    let by = deck::text(&history["items"][0], "requested_by");
    assert!(by.starts_with("agent:uid=") && by.ends_with(&format!("runtime={runtime}")), "{by}");
}

#[test]
fn s_10_agents_give_each_other_prompts_and_neither_commands_nor_keys() {
    let scene = prompts::Scene::new();
    scene.env.reinstall("touch");
    let (qd, pane) = (scene.env.qd_program().display(), &scene.pane);
    let kept = [
        format!("{qd} send {pane} --text ' ! qd approve x' --enter"),
        format!("{qd} send {pane} --text /allow-all --enter"),
        format!("{qd} send {pane} --key BTab"),
        format!("{qd} send {pane} --text 'do it' --key Escape"),
    ];
    let given = format!("{qd} send {pane} --text 'review what ! you did' --enter");
    let ways: Vec<String> = kept.iter().cloned().chain([given]).collect();
    let (said, runtime) = tries(&scene.env, scene.daemon(), &ways);
    let (done, refused) = said.split_last().unwrap();
    for (way, said) in kept.iter().zip(refused) {
        assert!(said.contains("E_FORBIDDEN") && !said.contains("exit 0"), "{way}: {said}");
    }
    assert!(done.contains("exit 0"), "{done}");
    assert_eq!(scene.submitted(), "<review what ! you did>\n");
    let history = scene.env.qd(&["history", pane, "--json"]).json();
    let by: &Value = &history["items"][0]["requested_by"];
    assert!(by.as_str().unwrap().ends_with(&runtime), "{by}");
}

#[test]
fn s_10_an_agent_takes_back_what_agents_queued_and_nothing_of_a_persons() {
    let scene = prompts::Scene::new();
    scene.env.reinstall("touch");
    scene.is("busy");
    let queued = scene.send("stop", &json!({ "text": "stop", "if_busy": "queue" }));
    let persons = deck::text(&queued, "action_id");
    let (qd, pane) = (scene.env.qd_program().display(), &scene.pane);
    let send = format!("{qd} send {pane} --text mine --enter --if-busy queue --json");
    let own = format!("id=$({send}); id=ac-${{id#*ac-}}; {qd} cancel ${{id%%\\\"*}}");
    let ways = [format!("{qd} cancel {persons}"), own];
    let (said, runtime) = tries(&scene.env, scene.daemon(), &ways);
    assert!(said[0].contains("E_FORBIDDEN") && !said[0].contains("exit 0"), "{}", said[0]);
    assert!(said[1].contains("cancelled") && said[1].contains("exit 0"), "{}", said[1]);
    let history = wait::until("it is noted", || {
        let history = scene.env.qd(&["history", "--json"]).json();
        (history["denied"].as_array().unwrap().len() == 1).then_some(history)
    });
    let denied = &history["denied"][0];
    assert_eq!(
        (&denied["operation"], &denied["runtime_id"]),
        (&json!("cancelAction"), &json!(runtime))
    );
    scene.is("idle");
    scene.ends(&queued["action_id"], "completed");
    assert_eq!(scene.submitted(), "<stop>\n", "what a person has waiting is sent");
}

#[test]
fn who_was_turned_away_shows_in_the_history_with_the_agent_below_which_they_ran() {
    let it = approvals::scene();
    it.ask(1, "touch one");
    let id = deck::text(&it.hooked("touch one"), "approval_id");
    let qd = it.env.qd_program().display();
    let first = format!("{qd} approve {id}");
    let (said, runtime) = tries(&it.env, &it.daemon, &[first, format!("{qd} token list")]);
    assert!(said.iter().all(|said| said.contains("E_FORBIDDEN")), "{said:?}");
    let denied = |arguments: &[&str]| {
        let history = it.env.qd(&[&["history", "--json"], arguments].concat()).json();
        history["denied"].as_array().unwrap().clone()
    };
    // It is noted by somebody for whom nobody who was turned away waits.
    let all = wait::until("both are noted", || Some(denied(&[])).filter(|all| all.len() == 2));
    let told: Vec<_> =
        all.iter().map(|it| (deck::text(it, "operation"), it["error_code"].clone())).collect();
    let forbidden = json!("E_FORBIDDEN");
    let names = [("listTokens".to_owned(), forbidden.clone()), ("respond".to_owned(), forbidden)];
    assert_eq!(told, names, "newest first");
    for item in &all {
        assert_eq!(item["runtime_id"], runtime.as_str());
        assert!(
            deck::text(item, "requested_by").ends_with(&format!("runtime={runtime}")),
            "{item}"
        );
    }
    assert_eq!(denied(&[&format!("runtime:{runtime}")]).len(), 2, "of the agent that tried");
    assert_eq!(denied(&[&it.pane]), Vec::<Value>::new(), "of the one that asked");
    it.env.qd(&["deny", &id]).success();
    let table = it.env.qd(&["history"]).success();
    let kinds: Vec<_> = table.lines().filter_map(|it| it.split_whitespace().nth(1)).collect();
    assert_eq!(kinds, ["WHAT", "respond", "denied", "denied"], "{table}");
    assert!(table.contains("E_FORBIDDEN: respond"), "{table}");
    assert_eq!(denied(&["--limit", "1"]).len(), 1, "as many as actions");
    let action = it.env.qd(&["history", "--json"]).json()["items"][0].clone();
    let earlier = denied(&["--before", &deck::text(&action, "action_id")]);
    assert_eq!(earlier.len(), 2, "beside the actions of their time");
}
