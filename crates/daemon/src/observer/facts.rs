//! From tmux's rows to the engine's facts.

use std::collections::{BTreeMap, BTreeSet};

use engine::event::SessionRow;
use engine::ids::{PaneId, SessionId, TargetId, WindowId};
use engine::pane::{PaneFacts, ProcessIdentity};
use tmux::hub::is_hub_name;
use tmux::rows::{PaneBrief, PaneRow, SessionRow as TmuxSession};

pub(super) fn pane_id(id: tmux::ids::PaneId) -> PaneId {
    PaneId(id.0)
}

pub(super) fn window_id(id: tmux::ids::WindowId) -> WindowId {
    WindowId(id.0)
}

fn session_id(id: tmux::ids::SessionId) -> SessionId {
    SessionId(id.0)
}

/// The sessions that are the user's: each `qd`'s own are in no answer.
pub(super) fn sessions(target: &TargetId, rows: &[TmuxSession]) -> BTreeMap<SessionId, SessionRow> {
    let theirs = rows.iter().filter(|row| !is_hub_name(&row.name));
    let session = |row: &TmuxSession| {
        let session = session_id(row.session);
        let created_s = i64::try_from(row.created).unwrap_or(i64::MAX);
        let (target, name) = (target.clone(), row.name.clone());
        (session, SessionRow { target, session, name, attached: row.attached, created_s })
    };
    theirs.map(session).collect()
}

/// Where a pane is and what is cheap to see of it. A window that is linked into several sessions
/// lists its panes once for each: the place is that in the session with the lowest number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub brief: PaneBrief,
    pub linked: Vec<SessionId>,
}

impl Place {
    pub(super) fn session(&self) -> SessionId {
        session_id(self.brief.session)
    }

    /// Whether anything but the time of the last output is different.
    pub(super) fn differs(&self, before: &Self) -> bool {
        let timeless = |place: &Self| PaneBrief { window_activity: 0, ..place.brief.clone() };
        timeless(self) != timeless(before) || self.linked != before.linked
    }
}

/// One place for each pane of the user's sessions.
pub(super) fn places<'a>(
    briefs: impl IntoIterator<Item = &'a PaneBrief>,
    sessions: &BTreeMap<SessionId, SessionRow>,
) -> BTreeMap<PaneId, Place> {
    let mut listed: BTreeMap<PaneId, Vec<&PaneBrief>> = BTreeMap::new();
    for brief in briefs {
        if sessions.contains_key(&session_id(brief.session)) {
            listed.entry(pane_id(brief.pane)).or_default().push(brief);
        }
    }
    let place = |mut rows: Vec<&PaneBrief>| {
        rows.sort_by_key(|row| (row.session, row.window_index));
        let (first, others) = rows.split_first()?;
        let linked: BTreeSet<SessionId> =
            others.iter().map(|row| session_id(row.session)).collect();
        let home = session_id(first.session);
        let linked = linked.into_iter().filter(|session| *session != home).collect();
        Some(Place { brief: (*first).clone(), linked })
    };
    listed.into_iter().filter_map(|(pane, rows)| Some((pane, place(rows)?))).collect()
}

/// All facts of one pane: its own from `row`, its place from `place`.
pub(super) fn compose(
    row: &PaneRow,
    place: &Place,
    sessions: &BTreeMap<SessionId, SessionRow>,
    process: ProcessIdentity,
) -> PaneFacts {
    let mut facts = PaneFacts {
        pane: pane_id(row.brief.pane),
        window: window_id(row.brief.window),
        session: place.session(),
        session_name: String::new(),
        window_name: row.window_name.clone(),
        window_index: 0,
        pane_index: row.pane_index,
        pane_active: false,
        window_active: false,
        linked_sessions: Vec::new(),
        width: 0,
        height: 0,
        tty: row.tty.clone(),
        process,
        dead: row.brief.dead,
        dead_status: row.dead_status,
        dead_signal: row.dead_signal.as_ref().and_then(|signal| signal.parse().ok()),
        in_mode: row.in_mode,
        bell: row.brief.bell,
        zoomed: row.zoomed,
        alternate_screen: row.alternate_on,
        command: row.command.clone(),
        path: String::from_utf8_lossy(&row.path).into_owned(),
        title: row.title.clone(),
        agent: None,
    };
    put(&mut facts, place, sessions);
    facts.bound();
    facts
}

/// Brings what a place tells into facts that were read earlier.
pub(super) fn put(
    facts: &mut PaneFacts,
    place: &Place,
    sessions: &BTreeMap<SessionId, SessionRow>,
) {
    let brief = &place.brief;
    facts.session = place.session();
    facts.window = window_id(brief.window);
    facts.window_index = brief.window_index;
    facts.pane_active = brief.pane_active;
    facts.window_active = brief.window_active;
    facts.width = brief.width;
    facts.height = brief.height;
    facts.linked_sessions.clone_from(&place.linked);
    if let Some(session) = sessions.get(&place.session()) {
        facts.session_name.clone_from(&session.name);
    }
}
