//! From tmux's rows to the engine's facts.

use std::collections::BTreeMap;

use engine::event::SessionRow;
use engine::ids::{PaneId, SessionId, TargetId, WindowId};
use engine::pane::{Link, PaneFacts, ProcessIdentity};
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

/// The sessions that are the user's: each `qd`'s own are in no answer, and `own`, which is ours, is
/// not even while somebody has given it another name.
pub(super) fn sessions(
    target: &TargetId,
    rows: &[TmuxSession],
    own: Option<tmux::ids::SessionId>,
) -> BTreeMap<SessionId, SessionRow> {
    let theirs = rows.iter().filter(|row| Some(row.session) != own && !is_hub_name(&row.name));
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
    pub links: Vec<Link>,
    /// Its window is linked into this session more than once; the lowest index counts.
    pub twice: bool,
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
        self.links != before.links || timeless(self) != timeless(before)
    }

    /// The place that a row of just this pane shows; `None` if the pane was moved. Which of several
    /// sessions, or of several indexes in one, such a row names is tmux's choice, and no move.
    pub(super) fn renewed(&self, row: &PaneRow) -> Option<Self> {
        let then = &self.glance.brief;
        let mut glance = glance(row);
        if glance.brief.window != then.window {
            return None;
        }
        let now = &glance.brief;
        if (now.session, now.window_index) != (then.session, then.window_index) {
            let home = now.session == then.session;
            let chosen =
                if home { self.twice } else { self.is_linked_into(session_id(now.session)) };
            if !chosen {
                return None;
            }
            glance.brief = PaneBrief {
                session: then.session,
                window_index: then.window_index,
                window_active: then.window_active,
                ..glance.brief
            };
        }
        Some(Self { glance, links: self.links.clone(), twice: self.twice })
    }

    fn is_linked_into(&self, session: SessionId) -> bool {
        self.links.iter().any(|link| link.session == session)
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
        let twice = others.iter().any(|row| session_id(row.brief.session) == home);
        let mut links: Vec<Link> = others.iter().map(|row| link(row)).collect();
        links.dedup_by_key(|link| link.session);
        links.retain(|link| link.session != home);
        Some(Place { glance: (*first).clone(), links, twice })
    };
    let places = listed.into_iter().filter_map(|(pane, rows)| Some((pane, place(rows)?)));
    places.take(max).collect()
}

fn link(row: &PaneGlance) -> Link {
    Link { session: session_id(row.brief.session), window_index: row.brief.window_index }
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
        links: Vec::new(),
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

/// Whether a pane is dead and nobody knows how its process ended, or whether it has.
pub(super) fn lacks_status(facts: &PaneFacts) -> bool {
    facts.dead && facts.dead_status.is_none() && facts.dead_signal.is_none()
}

/// Brings what a place tells into facts that were read earlier.
pub(super) fn put(
    facts: &mut PaneFacts,
    place: &Place,
    sessions: &BTreeMap<SessionId, SessionRow>,
) {
    let Place { glance, links, twice: _ } = place;
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
    facts.links.clone_from(links);
    if let Some(session) = sessions.get(&place.session()) {
        facts.session_name.clone_from(&session.name);
    }
    facts.bound();
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A full row of pane `%pane` in window `@window` of session `$session`.
    pub(crate) fn row(pane: u32, window: u32, session: u32) -> PaneRow {
        let brief = PaneBrief {
            pane: tmux::ids::PaneId(pane),
            window: tmux::ids::WindowId(window),
            session: tmux::ids::SessionId(session),
            pid: Some(100 + pane),
            dead: false,
            width: 80,
            height: 24,
            bell: false,
            window_activity: 1_000,
            pane_active: true,
            window_active: true,
            window_index: session,
        };
        PaneRow {
            brief,
            pane_index: 0,
            tty: format!("/dev/pts/{pane}"),
            dead_status: None,
            dead_signal: None,
            in_mode: false,
            alternate_on: false,
            zoomed: false,
            history_size: 0,
            command: "sh".to_owned(),
            session_name: format!("s{session}"),
            window_name: format!("w{window}"),
            path: b"/".to_vec(),
            title: "host".to_owned(),
        }
    }

    pub(crate) fn session(number: u32, name: &str) -> TmuxSession {
        TmuxSession {
            session: tmux::ids::SessionId(number),
            created: 5,
            activity: 6,
            attached: 1,
            name: name.to_owned(),
        }
    }

    pub(crate) fn users(names: &[&str]) -> BTreeMap<SessionId, SessionRow> {
        let rows: Vec<_> = (0..).zip(names).map(|(number, name)| session(number, name)).collect();
        sessions(&TargetId::new("tg"), &rows, None)
    }

    #[test]
    fn sessions_of_any_qd_are_in_no_answer_and_neither_are_their_panes() {
        let users = users(&["work", "_qd-a1", "_qd-b2"]);
        assert_eq!(users.values().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["work"]);
        let glances = [glance(&row(1, 1, 0)), glance(&row(2, 2, 1)), glance(&row(3, 3, 2))];
        assert_eq!(places(&glances, &users, 9).into_keys().collect::<Vec<_>>(), [PaneId(1)]);
    }

    #[test]
    fn a_linked_pane_is_at_home_in_the_session_with_the_lowest_number() {
        let users = users(&["a", "b", "c"]);
        let glances = [glance(&row(1, 7, 2)), glance(&row(1, 7, 0)), glance(&row(1, 7, 0))];
        let places = places(&glances, &users, 9);
        let place = &places[&PaneId(1)];
        let link = Link { session: SessionId(2), window_index: 2 };
        assert_eq!((place.session(), &place.links), (SessionId(0), &vec![link]));
        let facts = compose(&row(1, 7, 2), place, &users, ProcessIdentity::default());
        assert_eq!((facts.session_name.as_str(), facts.window_index), ("a", 0));
    }

    #[test]
    fn a_row_that_names_another_linked_session_is_no_move_and_one_elsewhere_is() {
        let users = users(&["a", "b", "c"]);
        let glances = [glance(&row(1, 7, 0)), glance(&row(1, 7, 1))];
        let place = places(&glances, &users, 9).remove(&PaneId(1)).unwrap();
        let mut shown = row(1, 7, 1);
        shown.brief.width = 99;
        let renewed = place.renewed(&shown).unwrap();
        assert_eq!((renewed.session(), renewed.glance.brief.window_index), (SessionId(0), 0));
        assert_eq!(renewed.glance.brief.width, 99);
        assert!(place.renewed(&row(1, 7, 2)).is_none(), "a session that it was not in");
        assert!(place.renewed(&row(1, 8, 0)).is_none(), "another window");
    }

    #[test]
    fn of_a_window_that_is_linked_twice_into_one_session_the_lowest_index_counts() {
        let users = users(&["a"]);
        let at = |index| {
            let mut shown = row(1, 7, 0);
            shown.brief.window_index = index;
            shown
        };
        let glances = [glance(&at(3)), glance(&at(2))];
        let place = places(&glances, &users, 9).remove(&PaneId(1)).unwrap();
        let index = |place: Place| place.glance.brief.window_index;
        assert_eq!(place.renewed(&at(3)).map(index), Some(2), "tmux chose the other link");
        let alone = places(&glances[1..], &users, 9).remove(&PaneId(1)).unwrap();
        assert!(alone.renewed(&at(3)).is_none(), "it was moved");
        assert_eq!(index(place), 2);
    }

    #[test]
    fn no_more_panes_are_taken_than_there_may_be() {
        let glances: Vec<_> = (0..5).map(|pane| glance(&row(pane, pane, 0))).collect();
        assert_eq!(places(&glances, &users(&["a"]), 3).len(), 3);
    }

    #[test]
    fn a_path_that_is_no_text_and_a_signal_by_name_are_taken_as_far_as_they_go() {
        let users = users(&["a"]);
        let mut shown = row(1, 1, 0);
        shown.path = b"/a\xff/b\n".to_vec();
        shown.dead_signal = Some("KILL".to_owned());
        let place = places(&[glance(&shown)], &users, 9).remove(&PaneId(1)).unwrap();
        let facts = compose(&shown, &place, &users, ProcessIdentity::default());
        assert_eq!((facts.path.as_str(), facts.dead_signal), ("/a\u{fffd}/b\n", None));
    }
}
