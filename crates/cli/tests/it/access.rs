//! Who may speak to the daemon, and with which version.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::thread::JoinHandle;

use api::version::VERSION_HEADER;
use serde_json::Value;
use testkit::TestEnv;

use crate::deck::{self, deck};

/// `nobody` on every system that this runs on.
const NOBODY: u32 = 65534;

#[test]
fn f_19_every_answer_names_the_version_and_other_clients_are_served() {
    let env = deck();
    let daemon = env.daemon();
    let own = env!("CARGO_PKG_VERSION");
    for version in ["0.0.1", own, "99.0.0", "one.two"] {
        let headers = [(VERSION_HEADER, version)];
        let reply = daemon.api().send("GET", "/v1/panes", &headers, b"");
        assert_eq!(reply.header(VERSION_HEADER), Some(own), "{version}: {}", reply.text());
        assert_eq!(reply.status, 200, "{version}");
    }
}

/// Something at the daemon's socket that says it is of `version` until it is asked to end; gives
/// what it was asked.
fn impostor(env: &TestEnv, version: &str) -> JoinHandle<Vec<String>> {
    env.make_home();
    let listener = UnixListener::bind(env.socket()).unwrap();
    fs::set_permissions(env.socket(), fs::Permissions::from_mode(0o600)).unwrap();
    let body = format!(
        "{{\"schema_version\":\"v1\",\"generated_at\":\"2026-01-01T00:00:00Z\",\
         \"pid\":4194304,\"version\":\"{version}\"}}"
    );
    let answer = format!(
        "HTTP/1.1 202 Accepted\r\n{VERSION_HEADER}: {version}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    std::thread::spawn(move || {
        let (mut asked, mut door) = (Vec::new(), Some(listener));
        while let Some(open) = &door {
            let mut socket = BufReader::new(open.accept().unwrap().0);
            while let Some(request) = read_request(&mut socket) {
                if request.contains("/v1/shutdown") {
                    // A daemon's process is gone with its door; nobody may knock in between.
                    door = None;
                }
                asked.push(request);
                socket.get_mut().write_all(answer.as_bytes()).ok();
            }
        }
        asked
    })
}

/// The first line of the next request on a connection; its head and body are read and dropped.
fn read_request(socket: &mut BufReader<UnixStream>) -> Option<String> {
    let mut first = String::new();
    socket.read_line(&mut first).ok().filter(|count| *count > 0)?;
    let (mut line, mut length) = (String::new(), 0);
    while socket.read_line(&mut line).ok()? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        line.clear();
    }
    socket.read_exact(&mut vec![0; length]).ok()?;
    Some(first)
}

#[test]
fn f_19_an_older_qd_refuses_a_newer_daemon_and_names_both_versions() {
    let env = deck();
    let newer = impostor(&env, "99.0.0");
    let said = env.qd(&["list", "panes"]).fails_with(5);
    assert!(said.contains("E_VERSION") && said.contains("99.0.0"), "{said}");
    assert!(said.contains(env!("CARGO_PKG_VERSION")), "{said}");
    let stopped = env.api().send("POST", "/v1/shutdown", &[], b"{}");
    assert_eq!(stopped.status, 202);
    let asked = newer.join().unwrap();
    assert_eq!(asked.iter().filter(|it| it.contains("/v1/shutdown")).count(), 1, "only ours");
}

#[test]
fn f_19_f_25_a_newer_qd_puts_an_older_daemon_out_and_starts_its_own() {
    let env = deck();
    let older = impostor(&env, "0.0.1");
    let listed = env.qd(&["list", "panes", "--json"]).json();
    assert_eq!(listed["schema_version"], "v1", "{listed:#}");
    let asked = older.join().unwrap();
    assert!(asked.last().unwrap().starts_with("POST /v1/shutdown"), "{asked:?}");
    let health = env.api().get("/v1/health").expect(200);
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn s_08_another_user_reaches_nothing() {
    let env = deck();
    let daemon = env.daemon();
    let uid =
        fs::metadata("/proc/self").map(|it| std::os::unix::fs::MetadataExt::uid(&it)).unwrap();
    if uid != 0 {
        testkit::skipped("only root can become another user");
        return;
    }
    // A copy that another user may run, in a world that lets him in as far as to the socket's door.
    let qd = env.path("qd-for-all");
    fs::copy(env.qd_program(), &qd).unwrap();
    fs::set_permissions(&qd, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(env.root(), fs::Permissions::from_mode(0o755)).unwrap();
    for arguments in [
        &["list", "panes", "--json"][..],
        &["daemon", "status", "--json"],
        &["daemon", "stop"],
        &["daemon", "run"],
    ] {
        let mut command = env.command(&qd);
        command.args(arguments).uid(NOBODY).gid(NOBODY).current_dir("/");
        let output = command.output().unwrap();
        assert!(!output.status.success(), "{arguments:?}: {output:?}");
    }
    assert_eq!(daemon.api().get("/v1/health").status, 200);
    for name in ["qd.sock", "qd.db", "qd.lock"] {
        let mut command = env.command("/bin/cat");
        command.arg(env.home().join(name)).uid(NOBODY).gid(NOBODY).current_dir("/");
        assert!(!command.output().unwrap().status.success(), "{name}");
    }
}

#[test]
fn s_08_a_home_that_belongs_to_another_user_is_refused() {
    let env = deck();
    env.make_home();
    if std::os::unix::fs::chown(env.home(), Some(NOBODY), Some(NOBODY)).is_err() {
        testkit::skipped("only root can give a folder away");
        return;
    }
    let refused = env.try_daemon().err().expect("it does not start");
    assert!(refused.contains("another user"), "{refused}");
}

#[test]
fn s_09_a_peer_of_another_user_is_refused_though_the_socket_were_open_to_all() {
    let env = deck();
    let daemon = env.daemon();
    let uid =
        fs::metadata("/proc/self").map(|it| std::os::unix::fs::MetadataExt::uid(&it)).unwrap();
    let curl = std::path::Path::new("/usr/bin/curl");
    if uid != 0 || !curl.exists() {
        testkit::skipped("only root can become another user, and curl is what it asks with");
        return;
    }
    for (path, mode) in [(env.root(), 0o755), (&env.home(), 0o755), (&env.socket(), 0o666)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let ask = |uid: u32| {
        let mut command = env.command(curl);
        command.args(["-s", "--unix-socket"]).arg(env.socket());
        command.arg("http://localhost/v1/panes").uid(uid).gid(uid).current_dir("/");
        let output = command.output().unwrap();
        assert!(output.status.success(), "it reaches the socket: {output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let refused = ask(NOBODY);
    assert_eq!(refused["error"]["code"], "E_FORBIDDEN", "{refused}");
    assert!(ask(0)["items"].is_array());
    testkit::wait::until("it is in the journal", || {
        let denied = env.sqlite("SELECT actor FROM journal WHERE kind = 'access_denied'");
        denied.contains(&format!("client:uid={NOBODY},pid=")).then_some(())
    });
    drop(daemon);
}

#[test]
fn s_26_nothing_of_its_starters_secrets_is_passed_on() {
    let env = deck();
    let seen = env.path("seen");
    env.script("told", &format!("env > {}.new; mv {0}.new {0}", seen.display()));
    env.configure("[notify]\ncommand = [\"told\"]\n");
    for program in ["env", "mv"] {
        env.reinstall(program);
    }
    let pane = env.tmux().session("work", "exec cat");
    let canary = |name: &str| format!("zQ7canary-{name}");
    let names = [
        "QD_TOKEN",
        "QD_TOKEN_FILE",
        "ANTHROPIC_API_KEY",
        "OPENAI_API_KEY",
        "GITHUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "SSH_AUTH_SOCK_SECRET",
        "DATABASE_URL",
        "LD_LIBRARY_PATH",
        "SOME_PASSWORD",
    ];
    let mut starter = env.invoke(&["ls"]);
    for name in names {
        starter = starter.env(name, canary(name));
    }
    starter.run().success();
    let api = env.api();
    deck::listed(&api, &pane);
    let event = serde_json::json!({
        "event_type": "approval-requested", "source": "hook", "dedupe_key": "k",
        "target": "local", "pane_id": pane, "agent_type": "claude",
    });
    api.post("/v1/events", &event).expect(202);
    testkit::wait::until("somebody is told", || seen.exists().then_some(()));
    let pid = api.get("/v1/health").expect(200)["pid"].as_u64().unwrap();
    let of_daemon = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let places = [
        ("the daemon", String::from_utf8_lossy(&of_daemon).into_owned()),
        ("a program that it starts", fs::read_to_string(&seen).unwrap()),
        ("tmux", env.tmux().ok(&["show-environment", "-g"])),
    ];
    for (place, text) in places {
        assert!(!text.contains("zQ7canary"), "{place}: {text}");
    }
}

#[test]
fn tc_040_health_is_stable_and_says_who_and_where() {
    let env = deck();
    env.tmux().session("work", "exec cat");
    let daemon = env.daemon();
    let first = daemon.api().get("/v1/health").expect(200);
    assert_eq!(first["schema_version"], "v1");
    assert_eq!(first["pid"], daemon.pid());
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(first["socket"], *env.socket().to_str().unwrap());
    assert_eq!(first["database"], *env.database().to_str().unwrap());
    let keys =
        |answer: &Value| -> Vec<String> { answer.as_object().unwrap().keys().cloned().collect() };
    let second = daemon.api().get("/v1/health").expect(200);
    assert_eq!(keys(&first), keys(&second));
    assert_eq!(first["instance_id"], second["instance_id"]);
    assert_eq!(first["stream_id"], second["stream_id"]);
    daemon.kill9();
    let daemon = env.daemon();
    let after = daemon.api().get("/v1/health").expect(200);
    assert_eq!(first["instance_id"], after["instance_id"], "the installation stays the same");
    assert_eq!(first["stream_id"], after["stream_id"], "and so does the stream");
    assert_ne!(deck::text(&after, "instance_id"), "");
}
