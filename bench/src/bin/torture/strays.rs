//! What a daemon may leave behind when it ends, in whatever way: nothing.

use std::time::Duration;

use anyhow::ensure;
use testkit::process::Member;
use testkit::{TestEnv, wait};

/// The name of every session that a `qd` makes for itself begins so.
const OWN_SESSIONS: &str = "_qd-";
/// How soon everything of a dead daemon has to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// The processes of this world that are a daemon or were started by one.
pub(crate) fn processes(env: &TestEnv) -> Vec<Member> {
    let qd = std::fs::canonicalize(env.qd_program()).ok();
    let mut members = env.members();
    members.retain(|member| {
        let is_qd = Some(&member.exe) == qd.as_ref();
        let is_control_client = member.arguments.iter().any(|it| it == "-C");
        is_qd || is_control_client
    });
    members
}

/// The sessions of the user's own server that a `qd` made for itself.
pub(crate) fn sessions(env: &TestEnv) -> Vec<String> {
    let mut sessions = env.tmux().sessions();
    sessions.retain(|name| name.starts_with(OWN_SESSIONS));
    sessions
}

/// After the end of the daemon nothing of it is left: no process, no session.
pub(crate) fn none_left(env: &TestEnv) -> anyhow::Result<()> {
    let gone = wait::within(GONE_WITHIN, || processes(env).is_empty().then_some(()));
    ensure!(gone.is_some(), "outlived the daemon: {:#?}", processes(env));
    let gone = wait::within(GONE_WITHIN, || sessions(env).is_empty().then_some(()));
    ensure!(gone.is_some(), "sessions outlived the daemon: {:?}", sessions(env));
    Ok(())
}

/// While it lives there is one daemon, and at most one session of its own.
pub(crate) fn one_daemon(env: &TestEnv) -> anyhow::Result<()> {
    // A child that is about to become tmux is still this program for a moment.
    let one = wait::within(GONE_WITHIN, || (env.daemons().len() == 1).then_some(()));
    ensure!(one.is_some(), "not one daemon: {:#?}", env.daemons());
    let one = wait::within(GONE_WITHIN, || (sessions(env).len() <= 1).then_some(()));
    ensure!(one.is_some(), "more than one session of its own: {:?}", sessions(env));
    Ok(())
}
