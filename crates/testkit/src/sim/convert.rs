//! From the rows of a scan to what the engine is told.
//!
//! A window that is linked into several sessions lists its panes once for each; the place of a pane
//! is the one in the session with the lowest number.

use std::collections::BTreeMap;

use engine::event::SessionRow;
use engine::ids::{AgentType, PaneId, SessionId, TargetId, WindowId};
use engine::pane::{AgentProcess, Link, PaneFacts, ProcessIdentity};
use tmux::hub::is_hub_name;
use tmux::rows::{PaneBrief, PaneRow, SessionRow as TmuxSession};

use super::fake::host::Host;

/// The sessions that are the user's.
pub(crate) fn sessions(target: &TargetId, rows: &[TmuxSession]) -> Vec<SessionRow> {
    let theirs = rows.iter().filter(|row| !is_hub_name(&row.name));
    let mut sessions: Vec<SessionRow> = theirs
        .map(|row| SessionRow {
            target: target.clone(),
            session: SessionId(row.session.0),
            name: row.name.clone(),
            attached: row.attached,
            created_s: i64::try_from(row.created).unwrap_or(i64::MAX),
        })
        .collect();
    sessions.sort_by_key(|row| row.session);
    sessions
}

/// The rows of each pane that a session of the user's shows, the one of its place first.
pub(crate) fn by_pane<T>(
    rows: Vec<T>,
    brief: impl Fn(&T) -> &PaneBrief,
    sessions: &[SessionRow],
) -> BTreeMap<u32, Vec<T>> {
    let mut panes: BTreeMap<u32, Vec<T>> = BTreeMap::new();
    for row in rows {
        let session = SessionId(brief(&row).session.0);
        if sessions.iter().any(|it| it.session == session) {
            panes.entry(brief(&row).pane.0).or_default().push(row);
        }
    }
    for rows in panes.values_mut() {
        rows.sort_by_key(|row| (brief(row).session, brief(row).window_index));
    }
    panes
}

/// The facts of one pane out of its rows.
pub(crate) fn facts(
    rows: &[PaneRow],
    agent: Option<AgentProcess>,
    host: &Host,
) -> Option<PaneFacts> {
    let row = rows.first()?;
    let brief = &row.brief;
    let link = |it: &PaneRow| Link {
        session: SessionId(it.brief.session.0),
        window_index: it.brief.window_index,
    };
    let mut links: Vec<Link> = rows.iter().map(link).collect();
    links.dedup_by_key(|it| it.session);
    links.retain(|it| it.session.0 != brief.session.0);
    let mut facts = PaneFacts {
        pane: PaneId(brief.pane.0),
        window: WindowId(brief.window.0),
        session: SessionId(brief.session.0),
        session_name: row.session_name.clone(),
        window_name: row.window_name.clone(),
        window_index: brief.window_index,
        pane_index: row.pane_index,
        pane_active: brief.pane_active,
        window_active: brief.window_active,
        links,
        width: brief.width,
        height: brief.height,
        tty: row.tty.clone(),
        process: process(brief, host),
        dead: brief.dead,
        dead_status: row.dead_status,
        dead_signal: row.dead_signal.as_ref().and_then(|signal| signal.parse().ok()),
        in_mode: row.in_mode,
        bell: brief.bell,
        zoomed: row.zoomed,
        alternate_screen: row.alternate_on,
        command: row.command.clone(),
        path: String::from_utf8_lossy(&row.path).into_owned(),
        title: row.title.clone(),
        agent,
    };
    facts.bound();
    Some(facts)
}

/// What the machine says of a pane's process, at the moment it is asked.
pub(crate) fn process(brief: &PaneBrief, host: &Host) -> ProcessIdentity {
    let pid = brief.pid.unwrap_or_default();
    let unseen = ProcessIdentity { pid, started_ns: None, exec_mark: None };
    if brief.dead { unseen } else { host.identity(pid).unwrap_or(unseen) }
}

/// The agent below a pane's process, where the machine shows one.
pub(crate) fn agent(found: Option<(&'static str, u32)>, host: &Host) -> Option<AgentProcess> {
    let (kind, pid) = found?;
    Some(AgentProcess { agent: AgentType::new(kind), process: host.identity(pid)? })
}
