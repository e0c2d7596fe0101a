//! What tmux on another machine tells by itself, as somebody hears it who watches here: nothing is
//! looked at by the clock, so whatever is heard was told.

use std::time::Duration;

use testkit::{Link, Sshd, Stream, TestEnv, skipped, wait};

use crate::deck::{deck, items};
use crate::machines::SOCKET;

const NEVER: &str = "[observer]\nscan_active = \"1h\"\nscan_idle = \"1h\"\nscan_full = \"1h\"\n";

/// A dead line is noticed in some seconds, and mended in as many.
const PATIENCE: Duration = Duration::from_secs(40);

/// Gives the pane a title there and waits until who watches hears it.
fn hears(env: &TestEnv, watch: &mut Stream, pane: &str, title: &str) {
    env.tmux_at(SOCKET).ok(&["select-pane", "-t", pane, "-T", title]);
    watch.frame_where(title, |frame| {
        let changes = frame["changes"].as_array();
        changes.is_some_and(|all| all.iter().any(|it| it["item"]["pane_title"] == title))
    });
}

#[test]
fn a_quiet_title_there_is_heard_also_after_the_line_went_dead_and_came_back() {
    let env = deck();
    let Some(sshd) = Sshd::start_with(&env, "sshd", "") else {
        return skipped("no sshd is installed");
    };
    env.configure(NEVER);
    let link = Link::to(sshd.port(), Duration::ZERO);
    sshd.introduce_at(&[link.port(), sshd.port()]);
    let pane = env.tmux_at(SOCKET).session("there", "exec cat");
    if env.tmux_at(SOCKET).version().starts_with("3.6") {
        return skipped("this tmux leaks with each word it tells, and is looked at instead");
    }
    let daemon = env.daemon();
    let (host, socket) = (format!("127.0.0.1:{}", link.port()), env.path(SOCKET));
    let (socket, options) = (socket.display().to_string(), sshd.options());
    let mut words = vec!["target", "add", "far", "--kind", "ssh", "--ssh-target", &host];
    words.extend(["--tmux-socket", &socket]);
    options.iter().for_each(|option| words.extend(["--ssh-option", option]));
    env.qd(&words).success();
    let health = || {
        let targets = items(daemon.api(), "/v1/targets");
        let far = targets.into_iter().find(|it| it["name"] == "far");
        far.map(|it| it["health"].clone())
    };
    let is = |wanted: &str| {
        let found = wait::within(PATIENCE, || (health()? == wanted).then_some(()));
        assert!(found.is_some(), "never {wanted}: {:?}", health());
    };
    is("ok");
    let mut watch = daemon.api().stream("/v1/watch?scope=panes&target=far", &[]);
    watch.frame();
    hears(&env, &mut watch, &pane, "the first");
    hears(&env, &mut watch, &pane, "the second");
    link.cut();
    is("down");
    link.mend();
    is("ok");
    hears(&env, &mut watch, &pane, "the third");
    hears(&env, &mut watch, &pane, "the fourth");
}
