//! What the observer has seen last of a server, and how a new sight differs from it.

use std::collections::{BTreeMap, BTreeSet};

use engine::event::SessionRow;
use engine::ids::{PaneId, SessionId, WindowId};
use engine::input::{Observation, Topology};
use engine::pane::{PaneFacts, ProcessIdentity};
use engine::time::MonoMs;
use tmux::rows::{PaneGlance, PaneRow};

use super::facts::{self, Place};
use super::server::Server;
use crate::targets::Target;

/// The unit in which tmux gives the time of the last output.
const ACTIVITY_UNIT_MS: i64 = 1_000;

/// What the kernel says of a pane's processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Processes {
    pub own: ProcessIdentity,
    /// The one in the foreground, where it is another.
    pub foreground: ProcessIdentity,
}

impl Processes {
    /// Reads both. What cannot be read is absent, and then equal to anything.
    pub(super) fn read(target: &Target, server: &Server, pid: Option<u32>) -> Self {
        let Some(pid) = pid else { return Self::default() };
        let own = ProcessIdentity { pid, ..ProcessIdentity::default() };
        let Some(stat) = target.process_stat(pid) else { return Self { own, foreground: own } };
        let started_ns = server.started_ns(&stat);
        let own = ProcessIdentity { pid, started_ns, exec_mark: stat.exec_mark };
        let Some(leader) = stat.foreground.filter(|leader| *leader != pid) else {
            return Self { own, foreground: own };
        };
        let foreground = match target.process_stat(leader) {
            Some(stat) => ProcessIdentity {
                pid: leader,
                started_ns: server.started_ns(&stat),
                exec_mark: stat.exec_mark,
            },
            None => ProcessIdentity { pid: leader, ..ProcessIdentity::default() },
        };
        Self { own, foreground }
    }

    pub(super) fn differ(&self, before: &Self) -> bool {
        let other = |one: &ProcessIdentity, two: &ProcessIdentity| {
            !one.same_process(two) || !one.same_program(two)
        };
        other(&self.own, &before.own) || other(&self.foreground, &before.foreground)
    }

    /// Keeps what was known where a process that has ended tells less than before.
    fn completed_by(mut self, before: &Self) -> Self {
        for (now, then) in
            [(&mut self.own, &before.own), (&mut self.foreground, &before.foreground)]
        {
            if now.same_process(then) {
                now.started_ns = now.started_ns.or(then.started_ns);
                now.exec_mark = now.exec_mark.or(then.exec_mark);
            }
        }
        self
    }
}

/// One pane as it was seen last.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub place: Place,
    pub processes: Processes,
    pub facts: PaneFacts,
    pub history_size: u64,
    /// When this time of the last output was first seen, and when the fields were last read.
    pub activity_at: MonoMs,
    pub read_at: MonoMs,
    /// How often the server was made to look for the exit status of this dead pane.
    pub nudges: u8,
}

/// One complete sight of places and processes, before any row is asked for.
#[derive(Debug)]
pub(super) struct Sighting {
    pub began: MonoMs,
    pub sessions: BTreeMap<SessionId, SessionRow>,
    pub places: BTreeMap<PaneId, Place>,
    pub processes: BTreeMap<PaneId, Processes>,
}

/// What a sight changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Panes or sessions came or went, or a session changed.
    pub topology: bool,
    pub changed: BTreeSet<PaneId>,
    pub gone: BTreeSet<PaneId>,
    /// Panes that wrote since, as far as tmux's counters tell.
    pub printed: Vec<PaneId>,
}

/// Everything that was seen last.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub sessions: BTreeMap<SessionId, SessionRow>,
    /// Every session that was listed, those in no answer too.
    pub heard: BTreeSet<SessionId>,
    pub panes: BTreeMap<PaneId, Known>,
}

impl Picture {
    /// Whether other panes are listed than last time, so that sessions may have come or gone too.
    pub(super) fn other_panes(&self, glances: &[PaneGlance]) -> bool {
        let listed: BTreeSet<PaneId> = glances
            .iter()
            .filter(|it| {
                let session = facts::session_id(it.brief.session);
                self.sessions.contains_key(&session) || !self.heard.contains(&session)
            })
            .map(|it| facts::pane_id(it.brief.pane))
            .collect();
        !listed.iter().eq(self.panes.keys())
    }

    /// The panes whose fields have to be read again to make the sight complete. What panes write
    /// counts only where the kernel does not tell of it.
    pub(super) fn suspects(
        &self,
        sighting: &Sighting,
        told: impl Fn(PaneId) -> bool,
    ) -> BTreeSet<PaneId> {
        let suspect = |(pane, place): &(&PaneId, &Place)| {
            let Some(known) = self.panes.get(pane) else { return true };
            let processes = sighting.processes.get(pane);
            place.differs(&known.place)
                || processes.is_some_and(|seen| seen.differ(&known.processes))
                || !told(**pane) && known.may_have_written(place)
        };
        sighting.places.iter().filter(suspect).map(|(pane, _)| *pane).collect()
    }

    /// Takes a complete sight with the rows that were read for it. A pane that is new and has no
    /// row is left out: it went while it was looked at.
    pub(super) fn take(
        &mut self,
        sighting: Sighting,
        rows: &BTreeMap<PaneId, PaneRow>,
    ) -> Difference {
        let Sighting { began, sessions, places, processes } = sighting;
        let topology = sessions != self.sessions;
        self.sessions = sessions;
        let mut difference = Difference { topology, ..Difference::default() };
        let mut before = std::mem::take(&mut self.panes);
        for (pane, place) in places {
            let seen = processes.get(&pane).copied().unwrap_or_default();
            let old = before.remove(&pane);
            let now = match (rows.get(&pane), &old) {
                (Some(row), _) => self.known(row, place, seen, old.as_ref(), began),
                (None, Some(old)) => self.moved(old, place, seen, began),
                (None, None) => continue,
            };
            match old {
                None => difference.topology = true,
                Some(old) => {
                    if now.facts != old.facts {
                        difference.changed.insert(pane);
                    }
                    if now.wrote_since(&old) {
                        difference.printed.push(pane);
                    }
                }
            }
            self.panes.insert(pane, now);
        }
        difference.gone = before.into_keys().collect();
        difference.topology |= !difference.gone.is_empty();
        difference
    }

    /// Takes rows of some panes; says which of them changed, and whether one is elsewhere now, so
    /// that only a complete sight can tell where.
    pub(super) fn renew(
        &mut self,
        rows: &BTreeMap<PaneId, PaneRow>,
        processes: &BTreeMap<PaneId, Processes>,
        began: MonoMs,
    ) -> (BTreeSet<PaneId>, bool) {
        let (mut changed, mut moved) = (BTreeSet::new(), false);
        for (pane, row) in rows {
            let Some(old) = self.panes.get(pane) else {
                moved = true;
                continue;
            };
            let Some(place) = old.place.renewed(row) else {
                moved = true;
                continue;
            };
            let seen = processes.get(pane).copied().unwrap_or(old.processes);
            let now = self.known(row, place, seen, Some(old), began);
            if now.facts != old.facts {
                changed.insert(*pane);
            }
            self.panes.insert(*pane, now);
        }
        (changed, moved)
    }

    pub(super) fn panes_of(&self, window: WindowId) -> impl Iterator<Item = PaneId> {
        let of_window = move |known: &&Known| known.facts.window == window;
        self.panes.values().filter(of_window).map(|known| known.facts.pane)
    }

    pub(super) fn topology(&self, server: &Server, began: MonoMs) -> Observation {
        Observation::Topology(Box::new(Topology {
            began,
            server: server.facts.clone(),
            sessions: self.sessions.values().cloned().collect(),
            panes: self.panes.values().map(|known| known.facts.clone()).collect(),
        }))
    }

    pub(super) fn report(&self, server: &Server, panes: &BTreeSet<PaneId>) -> Observation {
        let known = panes.iter().filter_map(|pane| self.panes.get(pane));
        Observation::Panes {
            server: server.facts.clone(),
            panes: known.map(|known| known.facts.clone()).collect(),
        }
    }

    /// A pane whose fields were read.
    fn known(
        &self,
        row: &PaneRow,
        place: Place,
        seen: Processes,
        before: Option<&Known>,
        began: MonoMs,
    ) -> Known {
        let processes = before.map_or(seen, |before| seen.completed_by(&before.processes));
        let facts = facts::compose(row, &place, &self.sessions, processes.own);
        let activity_at = activity_at(before, &place, began);
        Known {
            place,
            processes,
            facts,
            history_size: row.history_size,
            activity_at,
            read_at: began,
            nudges: before.map_or(0, |before| before.nudges),
        }
    }

    /// A pane whose fields are as they were, apart from what its place tells.
    fn moved(&self, before: &Known, place: Place, seen: Processes, began: MonoMs) -> Known {
        let processes = seen.completed_by(&before.processes);
        let mut facts = before.facts.clone();
        facts::put(&mut facts, &place, &self.sessions);
        facts.process = processes.own;
        let activity_at = activity_at(Some(before), &place, began);
        Known { place, processes, facts, activity_at, ..*before }
    }
}

/// When the present time of the last output was first seen.
fn activity_at(before: Option<&Known>, place: &Place, began: MonoMs) -> MonoMs {
    let same = |known: &&Known| known.place.activity() == place.activity();
    before.filter(same).map_or(began, |known| known.activity_at)
}

impl Known {
    /// Whether the pane is dead and nobody knows how it ended.
    pub(super) fn lacks_status(&self) -> bool {
        let facts = &self.facts;
        facts.dead && facts.dead_status.is_none() && facts.dead_signal.is_none()
    }

    /// Whether the pane may have written since its fields were read. tmux gives the time of the
    /// last output in whole seconds, so the fields are final only when that second was over.
    fn may_have_written(&self, place: &Place) -> bool {
        place.activity() != self.place.activity()
            || self.read_at.0 <= self.activity_at.0.saturating_add(ACTIVITY_UNIT_MS)
    }

    /// Whether the pane seems to have written since. tmux knows the time of the last output only
    /// for a whole window, so in one with several panes something of the pane must have changed.
    fn wrote_since(&self, before: &Self) -> bool {
        self.facts.window == before.facts.window
            && self.place.activity() > before.place.activity()
            && (self.history_size != before.history_size
                || self.facts != before.facts
                || self.facts.pane_active)
    }
}
