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
use engine::words::TargetKind;

use crate::follower::Follower;

/// What a record is about, as far as it can be said here; the engine finds the one runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) about: About,
    pub(crate) hints: Hints,
}

/// Finds the target of a record and the processes that decide about the pane; nothing where it
/// came from no pane that is watched.
pub(crate) fn bind(
    record: &Record,
    follower: &Follower,
    start_of: impl Fn(u32) -> Option<u64>,
) -> Option<Bound> {
    let local = |row: &&TargetRow| row.kind == TargetKind::Local;
    let targets = || follower.engine().targets().filter(local);
    let claimed = Claimed::read(record);
    let server = claimed.as_ref().and_then(|it| targets().find(|row| it.names(row)));
    let said = || Some(PaneKey::new(&server?.target, claimed.as_ref()?.pane?));
    if record.chain.is_empty() {
        return Some(Bound { about: About::Pane(said()?), hints: Hints::default() });
    }
    let still = record.chain.iter().filter(|it| is_that(it, &start_of));
    let ancestors: Vec<u32> = still.map(|it| it.pid).collect();
    let panes = targets()
        .filter(|row| server.is_none_or(|server| server.target == row.target))
        .flat_map(|row| follower.panes_of(&row.target));
    let key = match nearest(panes, &ancestors) {
        Some(row) => row.key.clone(),
        // What that server started is in one of its panes, which has only just appeared.
        None if claimed.as_ref().is_some_and(|it| ancestors.contains(&it.server)) => said()?,
        None => return None,
    };
    Some(Bound { about: About::Pane(key), hints: Hints { ancestors, ..Hints::default() } })
}

/// The pane whose process, or whose agent, stands nearest above the hook.
fn nearest<'a>(panes: impl Iterator<Item = &'a PaneRow>, ancestors: &[u32]) -> Option<&'a PaneRow> {
    let distance = |row: &PaneRow| {
        let pids = [row.runtime.as_ref()?.pid, row.facts.process.pid];
        ancestors.iter().position(|pid| pids.contains(pid))
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
