//! Who may speak to the daemon, and with which version.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use serde_json::Value;
use testkit::{Http, Reply};

use crate::deck::{self, deck};

/// `nobody` on every system that this runs on.
const NOBODY: u32 = 65534;

fn with_version(api: &Http, path: &str, version: &str) -> Reply {
    api.send("GET", path, &[(api::version::VERSION_HEADER, version)], b"")
}

#[test]
fn f_19_an_older_client_is_refused_and_told_both_versions() {
    let env = deck();
    let daemon = env.daemon();
    let api = daemon.api();
    let own = env!("CARGO_PKG_VERSION");
    let reply = with_version(api, "/v1/panes", "0.0.1");
    assert_eq!(reply.header(api::version::VERSION_HEADER), Some(own), "{}", reply.text());
    let body = reply.json();
    assert_eq!(reply.error(409), "E_VERSION");
    let message = body["error"].to_string();
    assert!(message.contains("0.0.1") && message.contains(own), "{message}");
    for version in [own, "99.0.0"] {
        assert_eq!(with_version(api, "/v1/panes", version).status, 200, "{version}");
    }
    assert_eq!(api.get("/v1/panes").status, 200, "a client that is not ours names none");
    assert_eq!(with_version(api, "/v1/panes", "one.two").error(400), "E_BAD_REQUEST");
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
