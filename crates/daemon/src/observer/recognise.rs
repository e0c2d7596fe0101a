//! Which agent runs in a pane, by the processes below the pane's own.
//!
//! A name alone tells little: several agents are `node`, and a shell that runs `grep codex` is none.
//! The adapters are shown each process, outermost first; the first that one of them knows is the
//! pane's agent, whatever runs inside it.

use std::collections::VecDeque;
use std::path::Path;

use agents::adapter::{Adapter, Reading};
use agents::release;
use engine::ids::AgentType;
use engine::pane::{AgentProcess, ProcessIdentity};
use engine::words::{Confidence, State, reason};

use super::server::Server;
use crate::adapters::Roster;
use crate::targets::Target;
use crate::targets::there::Kind;

/// How far below a pane's process an agent is looked for: wrappers and launchers stand between.
const DEPTH_MAX: usize = 8;

/// How many processes of a pane are looked at.
const PROCESSES_MAX: usize = 64;

/// What processes are seen with.
#[derive(Clone, Copy)]
pub(super) struct Eyes<'a> {
    pub target: &'a Target,
    pub server: &'a Server,
    pub roster: &'a Roster,
}

/// The outermost agent among a process and its descendants.
pub(super) fn agent_below(eyes: Eyes<'_>, pid: u32) -> Option<AgentProcess> {
    let Eyes { target, server, roster } = eyes;
    below(target, pid, |_| true).find_map(|pid| {
        let facts = target.program_of(pid)?;
        let adapter = roster.recognise(&facts.program())?;
        let agent = AgentType::new(adapter.agent());
        Some(AgentProcess { agent, process: identity(target, server, pid)? })
    })
}

/// The processes below an agent's own that are its own too: a server for several panes is not,
/// though one of them started it.
pub(super) fn own_below(target: &Target, adapter: &dyn Adapter, pid: u32) -> Vec<u32> {
    let serves_many = |pid: u32| {
        let Some(known) = adapter.serves_many() else { return false };
        target.program_of(pid).is_some_and(|facts| (known.is)(&facts.program()))
    };
    below(target, pid, |pid| !serves_many(pid)).skip(1).collect()
}

/// A process and its descendants, outermost first, as far as is looked. What `counts` refuses is
/// left out with all below it.
fn below(target: &Target, pid: u32, counts: impl Fn(u32) -> bool) -> impl Iterator<Item = u32> {
    let mut waiting = VecDeque::from([(pid, 0)]);
    let next = move || {
        let (pid, depth) = waiting.pop_front()?;
        if depth < DEPTH_MAX {
            let children = target.children(pid).into_iter().filter(|child| counts(*child));
            waiting.extend(children.map(|child| (child, depth + 1)));
        }
        Some(pid)
    };
    std::iter::from_fn(next).take(PROCESSES_MAX)
}

/// The version of the agent in a process: that of the package which its program, or its script,
/// lies in.
pub(super) fn version(target: &Target, agent: &AgentProcess) -> Option<String> {
    let facts = target.program_of(agent.process.pid)?;
    let program = facts.program();
    let places = [Some(program.path()), program.script()].into_iter().flatten();
    places.filter_map(|place| target.real_path(place)).find_map(|place| {
        let named = release::in_path(&place).map(str::to_owned);
        named.or_else(|| release::of_package(&target.read(&release::package_file(&place)?)?))
    })
}

/// The longest file of a package that is fetched from another machine.
const PACKAGE_BYTES_MAX: u64 = 64 * 1024;

/// The same of an agent on another machine, by asking there.
pub(super) async fn version_there(target: &Target, agent: &AgentProcess) -> Option<String> {
    let facts = target.program_of(agent.process.pid)?;
    let program = facts.program();
    // Where a program lies is asked of the kernel, which follows links.
    if let Some(version) = version_at(target, program.path()).await {
        return Some(version);
    }
    let script = program.script().filter(|path| path.starts_with('/'))?;
    let seen = target.look_at(Path::new(script), 0).await.ok()?;
    version_at(target, seen.real.to_str()?).await
}

async fn version_at(target: &Target, place: &str) -> Option<String> {
    if let Some(named) = release::in_path(place) {
        return Some(named.to_owned());
    }
    let file = release::package_file(place)?;
    let seen = target.look_at(Path::new(&file), PACKAGE_BYTES_MAX).await.ok()?;
    match seen.kind {
        Kind::File { bytes, .. } => release::of_package(&bytes),
        Kind::Absent | Kind::Dangling | Kind::Other | Kind::Closed | Kind::Large => None,
    }
}

/// Whether an agent's process still runs.
pub(super) fn lives(target: &Target, server: &Server, agent: &AgentProcess) -> bool {
    identity(target, server, agent.process.pid).is_some_and(|now| now.same_process(&agent.process))
}

/// What the processes say of an agent: whether somebody stopped it. Nothing where they cannot be
/// seen.
pub(super) fn reading(target: &Target, agent: &AgentProcess) -> Option<Reading> {
    let stat = target.process_stat(agent.process.pid)?;
    Some(if stat.is_suspended() {
        let mark = "stopped, and not in the foreground";
        Reading::claiming(State::Idle, reason::SUSPENDED, Confidence::High, mark)
    } else {
        Reading::silent("not stopped")
    })
}

/// The process under a number, without its mark: an agent may replace its program as it starts.
fn identity(target: &Target, server: &Server, pid: u32) -> Option<ProcessIdentity> {
    let stat = target.process_stat(pid)?;
    let ended = matches!(stat.state, b'Z' | b'X');
    (!ended).then(|| ProcessIdentity { pid, started_ns: server.started_ns(&stat), exec_mark: None })
}
