//! Which pane a record is about: that of the process it came from, whatever the record says.
//!
//! `TMUX_PANE` is only a claim. An agent may run its hooks in one process for all its panes, which
//! kept the variable of the first; and whoever can write to the spool can write any pane there. The
//! processes above the hook are no claim as long as they live: their starts can be compared.

use agents::record::{Ancestor, Record};
use engine::ids::{PaneId, PaneKey};
use engine::pane::PaneRow;
use engine::signal::{About, Hints};
use engine::target::TargetRow;
use engine::time::WallMs;
use engine::words::TargetKind;

use crate::follower::Follower;

/// How much later than a report the process that it came from may seem to have begun: starts are
/// counted in clock ticks from a server's start, which is counted in seconds.
const START_SLACK_MS: i64 = 5_000;

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) about: About,
    pub(crate) hints: Hints,
}

/// Finds it, or nothing where the record came from no pane that is watched.
///
/// A pane that is not known yet may be one that has just appeared: the event then waits for it,
/// with the process it must hold.
pub(crate) fn bind(
    record: &Record,
    follower: &Follower,
    start_of: impl Fn(u32) -> Option<u64>,
) -> Option<Bound> {
    let local = |row: &&TargetRow| row.kind == TargetKind::Local;
    let claimed = Claimed::read(record);
    let server = claimed.as_ref().and_then(|claimed| {
        follower.engine().targets().filter(local).find(|row| claimed.names(row))
    });
    let said = || {
        let pane = claimed.as_ref()?.pane?;
        Some(PaneKey::new(&server?.target, pane))
    };
    if record.chain.is_empty() {
        return Some(Bound { about: About::Pane(said()?), hints: Hints::default() });
    }
    let targets: Vec<&TargetRow> = match server {
        Some(server) => vec![server],
        None => follower.engine().targets().filter(local).collect(),
    };
    let panes = targets.iter().flat_map(|row| follower.panes_of(&row.target));
    if let Some(row) = nearest(panes, &record.chain, record.at, start_of) {
        return Some(Bound { about: About::Pane(row.key.clone()), hints: Hints::default() });
    }
    let key = said().filter(|key| follower.engine().pane(key).is_none())?;
    let pid = below(&record.chain, claimed?.server)?;
    Some(Bound { about: About::Pane(key), hints: Hints { pid: Some(pid), ..Hints::default() } })
}

/// The pane whose process, or whose agent, stands nearest above the hook.
fn nearest<'a>(
    panes: impl Iterator<Item = &'a PaneRow>,
    chain: &[Ancestor],
    at: WallMs,
    start_of: impl Fn(u32) -> Option<u64>,
) -> Option<&'a PaneRow> {
    let distance = |row: &PaneRow| {
        let runtime = row.runtime.as_ref()?;
        if runtime.started_at.0 > at.0.saturating_add(START_SLACK_MS) {
            return None;
        }
        let pids = [runtime.pid, row.facts.process.pid];
        chain.iter().position(|it| pids.contains(&it.pid) && is_that(it, &start_of))
    };
    let found = panes.filter_map(|row| Some((distance(row)?, row)));
    found.min_by_key(|(distance, _)| *distance).map(|(_, row)| row)
}

/// Whether a process of a record is the one that has its number now, as far as can be seen.
fn is_that(ancestor: &Ancestor, start_of: impl Fn(u32) -> Option<u64>) -> bool {
    match (ancestor.start, start_of(ancestor.pid)) {
        (Some(then), Some(now)) => then == now,
        (None, _) | (_, None) => true,
    }
}

/// The process of the chain that a tmux server started: that of a pane.
fn below(chain: &[Ancestor], server: u32) -> Option<u32> {
    let index = chain.iter().position(|it| it.pid == server)?;
    Some(chain.get(index.checked_sub(1)?)?.pid)
}

/// What `TMUX` and `TMUX_PANE` say.
struct Claimed<'a> {
    socket: &'a str,
    server: u32,
    pane: Option<PaneId>,
}

impl<'a> Claimed<'a> {
    /// Reads `SOCKET,PID,SESSION`. The socket may hold a comma.
    fn read(record: &'a Record) -> Option<Self> {
        let tmux = std::str::from_utf8(record.tmux.as_deref()?).ok()?;
        let mut parts = tmux.rsplitn(3, ',');
        let (_session, server, socket) = (parts.next()?, parts.next()?, parts.next()?);
        let pane = record.pane.as_deref().and_then(|pane| std::str::from_utf8(pane).ok());
        let pane = pane.and_then(|pane| pane.parse().ok());
        Some(Self { socket, server: server.parse().ok()?, pane })
    }

    fn names(&self, row: &TargetRow) -> bool {
        row.server.as_ref().is_some_and(|it| it.pid == self.server && it.socket == self.socket)
    }
}
