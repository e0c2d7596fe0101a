//! What the observer has seen last of a server, and how a new sight differs from it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

use engine::event::SessionRow;
use engine::ids::{PaneId, SessionId, WindowId};
use engine::input::{LastOutput, Observation, Topology};
use engine::pane::{AgentProcess, PaneFacts, ProcessIdentity};
use engine::time::{MonoMs, WallMs};
use tmux::rows::{PaneGlance, PaneRow};

use super::facts::{self, Place};
use super::recognise::{self, Eyes};
use super::server::Server;
use crate::targets::Target;
use crate::targets::host::ProcessStat;

/// The unit in which tmux gives the time of the last output.
const ACTIVITY_UNIT_MS: i64 = 1_000;

/// The kernel notes that a terminal is written to once in each of these stretches of seconds, so
/// that nobody can tell from it how somebody types.
const TERMINAL_UNIT_S: i64 = 8;

/// What the kernel says of a pane's processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Processes {
    pub own: ProcessIdentity,
    /// The one in the foreground, where it is another.
    pub foreground: ProcessIdentity,
    pub agent: Option<AgentProcess>,
}

/// How closely a pane's processes are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closeness {
    /// An agent is looked for only when another process came to the foreground.
    Glance,
    /// It is looked for wherever none is known: a wrapper may have started one meanwhile.
    Search,
}

impl Processes {
    /// Reads them. What cannot be read is absent, and then equal to anything.
    pub(super) fn read(
        eyes: Eyes<'_>,
        pid: Option<u32>,
        before: Option<&Self>,
        closeness: Closeness,
    ) -> Self {
        let Some(pid) = pid else { return Self::default() };
        let Eyes { target, server, .. } = eyes;
        let (own, foreground) = pair(target, server, pid);
        let mut seen = Self { own, foreground, agent: None };
        let known = before.filter(|before| !seen.moved_on(before));
        let agent = known.and_then(|before| before.agent.clone());
        seen.agent = agent.filter(|agent| recognise::lives(target, server, agent));
        let lost = known.is_some_and(|before| before.agent.is_some()) && seen.agent.is_none();
        if seen.agent.is_none() && (known.is_none() || lost || closeness == Closeness::Search) {
            seen.agent = recognise::agent_below(eyes, pid);
        }
        seen
    }

    pub(super) fn differ(&self, before: &Self) -> bool {
        self.moved_on(before) || self.agent != before.agent
    }

    /// Whether another process is there, or in the foreground.
    fn moved_on(&self, before: &Self) -> bool {
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

/// A pane's own process and the one in the foreground.
fn pair(target: &Target, server: &Server, pid: u32) -> (ProcessIdentity, ProcessIdentity) {
    let own = ProcessIdentity { pid, ..ProcessIdentity::default() };
    let Some(stat) = target.process_stat(pid) else { return (own, own) };
    let identity = |pid: u32, stat: &ProcessStat| ProcessIdentity {
        pid,
        started_ns: server.started_ns(stat),
        exec_mark: stat.exec_mark,
    };
    let own = identity(pid, &stat);
    let Some(leader) = stat.foreground.filter(|leader| *leader != pid) else { return (own, own) };
    let foreground = match target.process_stat(leader) {
        Some(stat) => identity(leader, &stat),
        None => ProcessIdentity { pid: leader, ..ProcessIdentity::default() },
    };
    (own, foreground)
}

/// One pane as it was seen last.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub place: Place,
    pub processes: Processes,
    pub facts: PaneFacts,
    pub history_size: u64,
    /// When it was first seen with the processes that it has now.
    pub began_at: MonoMs,
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

    /// Known panes that tmux put into a session of ours, until they are moved out of it: they are
    /// where they were.
    pub(super) fn astray(
        &self,
        glances: &[PaneGlance],
        sessions: &BTreeMap<SessionId, SessionRow>,
    ) -> Vec<(PaneId, Place)> {
        let theirs = |it: &&PaneGlance| sessions.contains_key(&facts::session_id(it.brief.session));
        let listed: BTreeSet<PaneId> =
            glances.iter().filter(theirs).map(|it| facts::pane_id(it.brief.pane)).collect();
        glances
            .iter()
            .filter_map(|it| {
                let pane = facts::pane_id(it.brief.pane);
                let known = self.panes.get(&pane).filter(|_| !listed.contains(&pane))?;
                let same = known.place.pid() == it.brief.pid;
                let home = sessions.contains_key(&known.place.session());
                (same && home).then(|| (pane, known.place.clone()))
            })
            .collect()
    }

    /// The panes whose fields have to be read again to make the sight complete. What panes write
    /// counts only where the kernel does not tell of it. A dead pane can get its status at any
    /// time: its terminal may have been closed long before its process ended.
    pub(super) fn suspects(
        &self,
        sighting: &Sighting,
        told: impl Fn(PaneId) -> bool,
    ) -> BTreeSet<PaneId> {
        let suspect = |(pane, place): &(&PaneId, &Place)| {
            let Some(known) = self.panes.get(pane) else { return true };
            let processes = sighting.processes.get(pane);
            place.differs(&known.place)
                || known.lacks_status()
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
            let seen = processes.get(&pane).cloned().unwrap_or_default();
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
            let seen = processes.get(pane).unwrap_or(&old.processes).clone();
            let now = self.known(row, place, seen, Some(old), began);
            if now.facts != old.facts {
                changed.insert(*pane);
            }
            self.panes.insert(*pane, now);
        }
        (changed, moved)
    }

    /// Whether the terminal of this name in `/dev/pts` is a pane's.
    pub(super) fn has_terminal(&self, name: &OsStr) -> bool {
        let named = |known: &Known| Path::new(&known.facts.tty).file_name() == Some(name);
        self.panes.values().any(named)
    }

    pub(super) fn panes_of(&self, window: WindowId) -> impl Iterator<Item = PaneId> {
        let of_window = move |known: &&Known| known.facts.window == window;
        self.panes.values().filter(of_window).map(|known| known.facts.pane)
    }

    /// Panes in which another program began then, and no agent so far: what begins there may be what
    /// starts one.
    pub(super) fn began(&self, then: MonoMs) -> impl Iterator<Item = PaneId> {
        let began = move |known: &&Known| known.began_at == then && known.facts.agent.is_none();
        self.panes.values().filter(began).map(|known| known.facts.pane)
    }

    pub(super) fn topology(
        &self,
        server: &Server,
        began: MonoMs,
        outputs: Vec<LastOutput>,
    ) -> Observation {
        Observation::Topology(Box::new(Topology {
            began,
            server: server.facts.clone(),
            sessions: self.sessions.values().cloned().collect(),
            panes: self.panes.values().map(|known| known.facts.clone()).collect(),
            outputs,
        }))
    }

    /// When panes last printed. tmux knows it for each window, to the second. Where several share
    /// one, the kernel tells of each terminal the second in which it was first written to within
    /// eight; `written` asks for that.
    pub(super) fn last_outputs(&self, written: impl Fn(&str) -> Option<i64>) -> Vec<LastOutput> {
        let mut tenants: BTreeMap<WindowId, usize> = BTreeMap::new();
        for known in self.panes.values() {
            *tenants.entry(known.facts.window).or_default() += 1;
        }
        let output = |known: &Known| {
            let of_window = i64::try_from(known.place.activity()).unwrap_or(i64::MAX);
            let alone = tenants.get(&known.facts.window) == Some(&1);
            let (certain, latest) = match (alone, written(&known.facts.tty)) {
                (true, _) => (Some(of_window), of_window),
                (false, Some(first)) => {
                    (Some(first.min(of_window)), of_window.min(first | (TERMINAL_UNIT_S - 1)))
                }
                (false, None) => (None, of_window),
            };
            let wall = |second: i64| WallMs(second.saturating_mul(ACTIVITY_UNIT_MS));
            let latest = WallMs(wall(latest).0.saturating_add(ACTIVITY_UNIT_MS - 1));
            LastOutput { pane: known.facts.pane, certain: certain.map(wall), latest }
        };
        self.panes.values().filter(|known| !known.facts.dead).map(output).collect()
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
        let processes = match before {
            Some(before) => seen.completed_by(&before.processes),
            None => seen,
        };
        let mut facts = facts::compose(row, &place, &self.sessions, processes.own);
        facts.agent.clone_from(&processes.agent);
        let activity_at = activity_at(before, &place, began);
        Known {
            began_at: began_at(before, &processes, began),
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
        facts.agent.clone_from(&processes.agent);
        let activity_at = activity_at(Some(before), &place, began);
        let began_at = began_at(Some(before), &processes, began);
        Known { place, processes, facts, began_at, activity_at, ..*before }
    }
}

/// When the present processes were first seen.
fn began_at(before: Option<&Known>, processes: &Processes, began: MonoMs) -> MonoMs {
    let same = |known: &&Known| !processes.moved_on(&known.processes);
    before.filter(same).map_or(began, |known| known.began_at)
}

/// When the present time of the last output was first seen.
fn activity_at(before: Option<&Known>, place: &Place, began: MonoMs) -> MonoMs {
    let same = |known: &&Known| known.place.activity() == place.activity();
    before.filter(same).map_or(began, |known| known.activity_at)
}

impl Known {
    pub(super) fn lacks_status(&self) -> bool {
        facts::lacks_status(&self.facts)
    }

    /// Whether the pane may have written since its fields were read. tmux gives the time of the
    /// last output in whole seconds, so the fields are final only when that second was over.
    fn may_have_written(&self, place: &Place) -> bool {
        place.activity() != self.place.activity()
            || self.read_at.0 <= self.activity_at.0.saturating_add(ACTIVITY_UNIT_MS)
    }

    /// Whether the pane seems to have written since. tmux knows the time of the last output only
    /// for a whole window, so in one with several panes something of the pane must have changed. The
    /// clock of its machine may have been set back meanwhile.
    fn wrote_since(&self, before: &Self) -> bool {
        self.facts.window == before.facts.window
            && self.place.activity() != before.place.activity()
            && (self.history_size != before.history_size
                || self.facts != before.facts
                || self.facts.pane_active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::facts::tests::{row, users};

    const NOBODY_TELLS: fn(PaneId) -> bool = |_| false;
    const EVERYONE_TELLS: fn(PaneId) -> bool = |_| true;

    fn process(pid: u32, started_ns: i64, exec_mark: u64) -> ProcessIdentity {
        ProcessIdentity { pid, started_ns: Some(started_ns), exec_mark: Some(exec_mark) }
    }

    fn alone(process: ProcessIdentity) -> Processes {
        Processes { own: process, foreground: process, agent: None }
    }

    fn sighting(began: i64, rows: &[PaneRow], processes: &[(u32, Processes)]) -> Sighting {
        let sessions = users(&["a", "b"]);
        let glances: Vec<_> = rows.iter().map(facts::glance).collect();
        Sighting {
            began: MonoMs(began),
            places: facts::places(&glances, &sessions, 99),
            processes: processes.iter().map(|(pane, seen)| (PaneId(*pane), seen.clone())).collect(),
            sessions,
        }
    }

    fn by_pane(rows: &[PaneRow]) -> BTreeMap<PaneId, PaneRow> {
        rows.iter().map(|row| (facts::pane_id(row.brief.pane), row.clone())).collect()
    }

    /// A picture of these panes, seen at time zero.
    fn picture(rows: &[PaneRow], processes: &[(u32, Processes)]) -> Picture {
        let mut picture = Picture::default();
        let difference = picture.take(sighting(0, rows, processes), &by_pane(rows));
        assert!(difference.topology);
        picture
    }

    fn suspects(picture: &Picture, seen: &Sighting) -> Vec<u32> {
        picture.suspects(seen, EVERYONE_TELLS).into_iter().map(|pane| pane.0).collect()
    }

    #[test]
    fn a_sight_of_the_same_is_no_difference_and_leaves_nothing_in_doubt() {
        let rows = [row(1, 1, 0), row(2, 2, 1)];
        let mut picture = picture(&rows, &[]);
        let again = sighting(9_000, &rows, &[]);
        assert_eq!(suspects(&picture, &again), [0; 0]);
        assert_eq!(picture.take(again, &BTreeMap::new()), Difference::default());
    }

    #[test]
    fn panes_that_come_and_go_are_a_change_of_topology() {
        let mut picture = picture(&[row(1, 1, 0), row(2, 2, 0)], &[]);
        let rows = [row(2, 2, 0), row(3, 3, 0)];
        let seen = sighting(5, &rows, &[]);
        assert_eq!(suspects(&picture, &seen), [3]);
        let difference = picture.take(seen, &by_pane(&rows[1..]));
        assert!(difference.topology);
        assert_eq!(difference.gone, BTreeSet::from([PaneId(1)]));
        assert_eq!(picture.panes.keys().map(|pane| pane.0).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_pane_that_went_while_it_was_looked_at_is_left_out() {
        let mut picture = picture(&[row(1, 1, 0)], &[]);
        let seen = sighting(5, &[row(1, 1, 0), row(2, 2, 0)], &[]);
        assert_eq!(picture.take(seen, &BTreeMap::new()), Difference::default());
    }

    #[test]
    fn another_program_in_the_foreground_or_another_exec_puts_a_pane_in_doubt() {
        let shell = process(101, 5, 7);
        let rows = [row(1, 1, 0)];
        let picture = picture(&rows, &[(1, alone(shell))]);
        let doubt = |seen: Processes| suspects(&picture, &sighting(5, &rows, &[(1, seen)]));
        assert_eq!(doubt(alone(shell)), [0; 0]);
        assert_eq!(doubt(Processes { foreground: process(300, 9, 9), ..alone(shell) }), [1]);
        assert_eq!(doubt(alone(process(101, 5, 8))), [1], "the program was replaced");
        assert_eq!(doubt(alone(process(101, 6, 7))), [1], "the pid was reused");
        let unseen = ProcessIdentity { pid: 101, ..ProcessIdentity::default() };
        assert_eq!(doubt(alone(unseen)), [0; 0], "what cannot be read says nothing");
    }

    #[test]
    fn what_a_dead_process_no_longer_tells_is_kept() {
        let shell = process(101, 5, 7);
        let mut picture = picture(&[row(1, 1, 0)], &[(1, alone(shell))]);
        let mut dead = row(1, 1, 0);
        dead.brief.dead = true;
        let gone = ProcessIdentity { pid: 101, ..ProcessIdentity::default() };
        let rows = by_pane(&[dead]);
        let processes = BTreeMap::from([(PaneId(1), alone(gone))]);
        let (changed, moved) = picture.renew(&rows, &processes, MonoMs(5));
        assert!(changed.contains(&PaneId(1)) && !moved);
        let known = &picture.panes[&PaneId(1)];
        assert_eq!(known.facts.process, shell);
        assert!(known.lacks_status());
    }

    #[test]
    fn where_nobody_tells_of_output_a_pane_is_read_until_its_second_is_over() {
        let mut picture = picture(&[row(1, 1, 0)], &[]);
        let mut wrote = row(1, 1, 0);
        wrote.brief.window_activity = 1_001;
        wrote.history_size = 3;
        let rows = [wrote];
        let seen = sighting(3_000, &rows, &[]);
        assert_eq!(picture.suspects(&seen, EVERYONE_TELLS).len(), 0);
        assert_eq!(picture.suspects(&seen, NOBODY_TELLS).len(), 1);
        let difference = picture.take(seen, &by_pane(&rows));
        assert_eq!(difference.printed, [PaneId(1)]);
        // More may have come within the same second of tmux's clock.
        let again = sighting(4_500, &rows, &[]);
        assert_eq!(picture.suspects(&again, NOBODY_TELLS).len(), 1);
        picture.take(again, &by_pane(&rows));
        let later = sighting(9_000, &rows, &[]);
        assert_eq!(picture.suspects(&later, NOBODY_TELLS).len(), 0);
    }

    #[test]
    fn what_is_written_after_a_clock_was_set_back_is_noticed() {
        let mut picture = picture(&[row(1, 1, 0)], &[]);
        let mut wrote = row(1, 1, 0);
        wrote.brief.window_activity = 160;
        wrote.history_size = 3;
        let rows = [wrote];
        let difference = picture.take(sighting(3_000, &rows, &[]), &by_pane(&rows));
        assert_eq!(difference.printed, [PaneId(1)]);
    }

    #[test]
    fn a_pane_that_was_put_into_a_session_of_ours_is_not_gone() {
        let before = [row(1, 1, 0), row(2, 1, 0)];
        let mut picture = picture(&before, &[]);
        let mut after = before.clone();
        after[1].brief.session = tmux::ids::SessionId(77);
        let glances: Vec<_> = after.iter().map(facts::glance).collect();
        let astray = picture.astray(&glances, &users(&["a", "b"]));
        assert_eq!(astray.iter().map(|(pane, _)| *pane).collect::<Vec<_>>(), [PaneId(2)]);
        let mut sighting = sighting(2_000, &after[..1], &[]);
        sighting.places.extend(astray);
        assert!(picture.take(sighting, &BTreeMap::new()).gone.is_empty());
    }

    #[test]
    fn in_a_window_of_several_the_pane_that_wrote_is_the_one_that_changed() {
        let window = |history: u64, activity: u64| {
            let mut rows = [row(1, 1, 0), row(2, 1, 0)];
            rows[0].brief.pane_active = false;
            rows[0].history_size = history;
            for row in &mut rows {
                row.brief.window_activity = activity;
            }
            rows[1].brief.pane_active = false;
            rows
        };
        let mut picture = picture(&window(0, 1_000), &[]);
        let rows = window(8, 1_005);
        let difference = picture.take(sighting(5_000, &rows, &[]), &by_pane(&rows));
        assert_eq!(difference.printed, [PaneId(1)]);
    }

    #[test]
    fn a_row_from_elsewhere_asks_for_a_complete_sight_and_changes_nothing() {
        let mut picture = picture(&[row(1, 1, 0)], &[]);
        let before = picture.panes[&PaneId(1)].facts.clone();
        let rows = by_pane(&[row(1, 9, 0)]);
        let (changed, moved) = picture.renew(&rows, &BTreeMap::new(), MonoMs(5));
        assert!(changed.is_empty() && moved);
        assert_eq!(picture.panes[&PaneId(1)].facts, before);
    }
}
