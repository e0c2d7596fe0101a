//! Keys that only an `ssh-agent` holds: whose agent a connection asks, and who may name one.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use testkit::{Http, KeyAgent, TestEnv, wait};

use crate::deck::{self, deck};
use crate::machines::{PATIENCE, World, strangers, strangers_in};

/// A world in whose `sshd` only an agent's key lets in, and a target that had none.
fn scene(world: &World, name: &str) -> KeyAgent {
    let sshd = world.sshd.as_ref().unwrap();
    sshd.introduce();
    let agent = KeyAgent::start(&world.env, name);
    sshd.entrust(&agent);
    world.add("far");
    is_denied(world);
    agent
}

#[track_caller]
pub(crate) fn is_denied(world: &World) {
    let denied = wait::within(PATIENCE, || {
        let target = world.target();
        let reason = target["health_reason"] == "E_SSH_DENIED";
        (reason && target["health"] != "ok").then_some(())
    });
    assert!(denied.is_some(), "it was let in: {:#}", world.target());
}

/// Asks for something from a terminal with this agent.
fn ask_with(world: &World, socket: &Path) {
    world.env.invoke(&["ls"]).env("SSH_AUTH_SOCK", socket).run().success();
}

/// How often somebody was let in.
pub(crate) fn let_in(world: &World) -> usize {
    world.sshd.as_ref().unwrap().log().matches("Accepted publickey").count()
}

/// Ends the connection, and waits until the next one is made and everything is known again.
#[track_caller]
fn comes_back(world: &World) {
    let before = let_in(world);
    world.cut();
    let back = wait::within(PATIENCE, || (let_in(world) > before).then_some(()));
    assert!(back.is_some(), "nobody was let in: {:#}", world.target());
    world.health_is("ok");
}

/// Whether some file of the daemon's holds this text.
pub(crate) fn is_kept(env: &TestEnv, text: &str) -> bool {
    let mut folders = vec![env.home()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).unwrap_or_default();
                if bytes.windows(text.len()).any(|part| part == text.as_bytes()) {
                    return true;
                }
            }
        }
    }
    false
}

#[test]
fn a_key_that_only_an_agent_holds_opens_once_somebody_asks_from_a_terminal_that_has_it() {
    let Some(world) = strangers() else { return };
    let agent = scene(&world, "held.sock");
    ask_with(&world, agent.socket());
    world.health_is("ok");
    assert!(!world.panes().is_empty());
    // One that ended since, which left its socket behind, is passed over.
    let dead = world.env.path("dead.sock");
    drop(UnixListener::bind(&dead).unwrap());
    ask_with(&world, &dead);
    comes_back(&world);
    let ends = KeyAgent::start(&world.env, "ends.sock");
    ask_with(&world, ends.socket());
    drop(ends);
    comes_back(&world);
    // So is one without keys, although it is younger.
    let empty = KeyAgent::start(&world.env, "empty.sock");
    ask_with(&world, empty.socket());
    comes_back(&world);
    // The agent that has it ends, and somebody starts the next one in its place.
    drop(agent);
    world.cut();
    is_denied(&world);
    let agent = KeyAgent::start(&world.env, "held.sock");
    world.sshd.as_ref().unwrap().entrust(&agent);
    ask_with(&world, agent.socket());
    world.health_is("ok");
    for name in ["held.sock", "empty.sock", "ends.sock", "SSH_AUTH_SOCK"] {
        assert!(!is_kept(&world.env, name), "{name} is written down");
    }
}

#[test]
fn connecting_by_hand_uses_the_agent_of_the_terminal_at_once() {
    let Some(world) = strangers() else { return };
    let agent = scene(&world, "held.sock");
    let connect = || world.env.invoke(&["target", "connect", "far"]);
    let said = connect().run();
    assert!(said.stderr.contains("does not let us in"), "{said:?}");
    connect().env("SSH_AUTH_SOCK", agent.socket()).run().success();
    world.health_is("ok");
}

#[test]
fn neither_an_agent_nor_anybody_over_tcp_names_where_the_keys_are() {
    let env = deck();
    let address = std::net::SocketAddr::new(crate::tcp::address().ip(), 7_434);
    env.configure(&format!("[api]\nlisten = \"{address}\"\n"));
    let Some(world) = strangers_in(env) else { return };
    let agent = scene(&world, "held.sock");
    let socket = agent.socket().display();
    let stays_out = || {
        let said = world.env.qd(&["target", "connect", "far"]);
        assert!(said.stderr.contains("does not let us in"), "{said:?}");
    };
    // From the process tree of an agent.
    fs::copy("/bin/sh", world.env.path("bin/claude")).unwrap();
    let home = world.env.path("home");
    let script = format!(
        "until [ -e go ]; do sleep 0.05; done\nSSH_AUTH_SOCK={socket} {} ls >said 2>&1; \
         echo \"exit $?\" >>said; : >done; sleep 1000\n",
        world.env.qd_program().display(),
    );
    fs::write(home.join("asks.sh"), script).unwrap();
    let pane = world.env.tmux().session("work", "exec claude $HOME/asks.sh");
    let is_agent = |it: &serde_json::Value| it["agent_type"] == "claude";
    deck::pane_where(world.daemon.api(), &pane, "recognised", is_agent);
    fs::write(home.join("go"), "").unwrap();
    wait::until("it asked", || home.join("done").exists().then_some(()));
    let said = fs::read_to_string(home.join("said")).unwrap();
    assert!(said.ends_with("exit 0\n"), "it is served all the same: {said}");
    stays_out();
    // Over TCP, with everything that a token can be good for.
    let token = world.env.qd(&["token", "create", "t", "--scope", "admin"]).success();
    let tcp = Http::tcp(address, Some(token.trim()));
    let header = ("qd-key-agent", agent.socket().to_str().unwrap());
    assert_eq!(tcp.send("GET", "/v1/targets", &[header], b"").status, 200);
    stays_out();
    // Nor does what is no socket of an agent's do any harm.
    let api = world.daemon.api();
    let long = format!("/{}", "x".repeat(2_000));
    for odd in ["", "relative.sock", "/dev/null", "/", "/\u{e9}\u{ff}", &long] {
        assert_eq!(api.send("GET", "/v1/targets", &[("qd-key-agent", odd)], b"").status, 200);
    }
    stays_out();
    ask_with(&world, agent.socket());
    world.health_is("ok");
}
