//! From tmux's rows to the engine's facts.

use std::collections::{BTreeMap, BTreeSet};

use engine::event::SessionRow;
use engine::ids::{PaneId, SessionId, TargetId, WindowId};
use engine::pane::{PaneFacts, ProcessIdentity};
use tmux::hub::is_hub_name;
use tmux::rows::{PaneBrief, PaneGlance, PaneRow, SessionRow as TmuxSession};

pub(super) fn pane_id(id: tmux::ids::PaneId) -> PaneId {
    PaneId(id.0)
}

pub(super) fn window_id(id: tmux::ids::WindowId) -> WindowId {
    WindowId(id.0)
}

pub(super) fn session_id(id: tmux::ids::SessionId) -> SessionId {
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

/// The glance that a full row contains.
pub(super) fn glance(row: &PaneRow) -> PaneGlance {
    PaneGlance {
        brief: row.brief.clone(),
        pane_index: row.pane_index,
        in_mode: row.in_mode,
        zoomed: row.zoomed,
        title: row.title.clone(),
    }
}

/// Where a pane is and what is cheap to see of it. A window that is linked into several sessions
/// lists its panes once for each: the place is that in the session with the lowest number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub glance: PaneGlance,
    pub linked: Vec<SessionId>,
}

impl Place {
    pub(super) fn session(&self) -> SessionId {
        session_id(self.glance.brief.session)
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.glance.brief.pid
    }

    /// When anything in the pane's window was last printed, in tmux's seconds.
    pub(super) fn activity(&self) -> u64 {
        self.glance.brief.window_activity
    }

    /// Whether anything but the time of the last output is different.
    pub(super) fn differs(&self, before: &Self) -> bool {
        let timeless = |place: &Self| {
            let mut glance = place.glance.clone();
            glance.brief.window_activity = 0;
            glance
        };
        self.linked != before.linked || timeless(self) != timeless(before)
    }

    /// The place that a row of just this pane shows; `None` if the pane was moved. Which of several
    /// sessions such a row names is tmux's choice, and no move.
    pub(super) fn renewed(&self, row: &PaneRow) -> Option<Self> {
        let then = &self.glance.brief;
        let mut glance = glance(row);
        if glance.brief.window != then.window {
            return None;
        }
        if glance.brief.session != then.session {
            if !self.linked.contains(&session_id(glance.brief.session)) {
                return None;
            }
            glance.brief = PaneBrief {
                session: then.session,
                window_index: then.window_index,
                window_active: then.window_active,
                ..glance.brief
            };
        }
        Some(Self { glance, linked: self.linked.clone() })
    }
}

/// One place for each pane of the user's sessions, at most `max`.
pub(super) fn places<'a>(
    glances: impl IntoIterator<Item = &'a PaneGlance>,
    sessions: &BTreeMap<SessionId, SessionRow>,
    max: usize,
) -> BTreeMap<PaneId, Place> {
    let mut listed: BTreeMap<PaneId, Vec<&PaneGlance>> = BTreeMap::new();
    for glance in glances {
        if sessions.contains_key(&session_id(glance.brief.session)) {
            listed.entry(pane_id(glance.brief.pane)).or_default().push(glance);
        }
    }
    let place = |mut rows: Vec<&PaneGlance>| {
        rows.sort_by_key(|row| (row.brief.session, row.brief.window_index));
        let (first, others) = rows.split_first()?;
        let home = session_id(first.brief.session);
        let linked: BTreeSet<SessionId> =
            others.iter().map(|row| session_id(row.brief.session)).collect();
        let linked = linked.into_iter().filter(|session| *session != home).collect();
        Some(Place { glance: (*first).clone(), linked })
    };
    let places = listed.into_iter().filter_map(|(pane, rows)| Some((pane, place(rows)?)));
    places.take(max).collect()
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
        pane_index: 0,
        pane_active: false,
        window_active: false,
        linked_sessions: Vec::new(),
        width: 0,
        height: 0,
        tty: row.tty.clone(),
        process,
        dead: false,
        dead_status: row.dead_status,
        dead_signal: row.dead_signal.as_ref().and_then(|signal| signal.parse().ok()),
        in_mode: false,
        bell: false,
        zoomed: false,
        alternate_screen: row.alternate_on,
        command: row.command.clone(),
        path: String::from_utf8_lossy(&row.path).into_owned(),
        title: String::new(),
        agent: None,
    };
    put(&mut facts, place, sessions);
    facts
}

/// Brings what a place tells into facts that were read earlier.
pub(super) fn put(
    facts: &mut PaneFacts,
    place: &Place,
    sessions: &BTreeMap<SessionId, SessionRow>,
) {
    let Place { glance, linked } = place;
    let brief = &glance.brief;
    facts.session = place.session();
    facts.window = window_id(brief.window);
    facts.window_index = brief.window_index;
    facts.pane_index = glance.pane_index;
    facts.pane_active = brief.pane_active;
    facts.window_active = brief.window_active;
    facts.width = brief.width;
    facts.height = brief.height;
    facts.dead = brief.dead;
    facts.bell = brief.bell;
    facts.in_mode = glance.in_mode;
    facts.zoomed = glance.zoomed;
    facts.title.clone_from(&glance.title);
    facts.linked_sessions.clone_from(linked);
    if let Some(session) = sessions.get(&place.session()) {
        facts.session_name.clone_from(&session.name);
    }
    facts.bound();
}
