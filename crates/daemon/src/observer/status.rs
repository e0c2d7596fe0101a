//! When the files of which agent are looked for and read, and which folders are watched for them.
//!
//! A file is read when the kernel says that it was written, and not otherwise. A file that is not
//! there yet, or that another one may have replaced, is looked for when its folder or its pane
//! stirs. Pure; [`super::errand`] does the reading.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use engine::ids::PaneId;
use engine::pane::AgentProcess;
use engine::time::MonoMs;

use super::errand::{Errand, Kept, Sums};
use crate::sentinel::WatchId;

/// How long after a write a file is read: lines are written in pieces, and in pairs.
const SETTLE_MS: i64 = 20;
/// The least time between two readings of one agent's files.
const SPACING_MS: i64 = 100;
/// The least time between two searches for files, while one is missing, and while none is: where
/// they are looked up here, and where somebody else is asked.
const SEARCH_MS: [i64; 2] = [500, 5_000];
const SEARCH_THERE_MS: [i64; 2] = [1_500, 15_000];
/// How long after a reading that met no whole word the file is read once more, though the kernel
/// told of no write since.
const RETRY_MS: [i64; 3] = [50, 200, 1_000];

/// The files of all agents of one server.
#[derive(Debug, Default)]
pub(super) struct Follow {
    agents: BTreeMap<PaneId, Followed>,
    folders: BTreeMap<WatchId, Folder>,
    /// Files are somewhere else, and watched there.
    there: bool,
}

/// One agent with its files.
#[derive(Debug)]
struct Followed {
    agent: AgentProcess,
    /// The session that its own file named last, until it is searched for by that.
    learned: Option<String>,
    session: Option<String>,
    kept: Vec<Kept>,
    /// One of its files is not there yet.
    lacks: bool,
    /// Somebody is out to look; there is one at a time.
    out: bool,
    search_due: Option<MonoMs>,
    read_due: Option<MonoMs>,
    searched: MonoMs,
    read: MonoMs,
    spacing_ms: [i64; 2],
    /// The folders in which something about its files can happen, where they are somewhere else.
    there: BTreeSet<PathBuf>,
    retries: usize,
    /// What its transcripts counted so far; with whoever is out to read them.
    sums: Sums,
}

/// One watched folder.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    panes: BTreeSet<PaneId>,
}

impl Followed {
    fn new(agent: AgentProcess, spacing_ms: [i64; 2], now: MonoMs) -> Self {
        let never = MonoMs(i64::MIN / 2);
        Self {
            agent,
            learned: None,
            session: None,
            kept: Vec::new(),
            lacks: true,
            out: false,
            search_due: Some(now),
            read_due: None,
            searched: never,
            read: never,
            spacing_ms,
            there: BTreeSet::new(),
            retries: 0,
            sums: Sums::new(),
        }
    }

    /// Something happened that may have brought another file.
    fn search(&mut self, now: MonoMs) {
        let spacing = self.spacing_ms[usize::from(!self.lacks)];
        let due = (now.0 + SETTLE_MS).max(self.searched.0.saturating_add(spacing));
        self.search_due.get_or_insert(MonoMs(due));
    }

    /// One of its files is gone.
    fn search_soon(&mut self, now: MonoMs) {
        let due = MonoMs(now.0.max(self.searched.0.saturating_add(SPACING_MS)));
        self.search_due = Some(self.search_due.map_or(due, |earlier| earlier.min(due)));
    }

    fn wrote(&mut self, now: MonoMs) {
        self.retries = 0;
        let due = (now.0 + SETTLE_MS).max(self.read.0.saturating_add(SPACING_MS));
        self.read_due.get_or_insert(MonoMs(due));
    }

    /// A folder of its files is watched from now on.
    fn watched(&mut self) {
        let due = if self.lacks { &mut self.search_due } else { &mut self.read_due };
        *due = Some(self.searched);
    }

    fn keeps(&self, folder: &Path, name: &OsStr) -> bool {
        self.kept.iter().any(|kept| Path::new(&kept.path) == folder.join(name))
    }

    /// Where its process shows as long as it runs.
    fn process_there(&self) -> String {
        format!("/proc/{}", self.agent.process.pid)
    }

    fn next_due(&self) -> Option<MonoMs> {
        if self.out { None } else { self.search_due.into_iter().chain(self.read_due).min() }
    }
}

/// What happened in a watched folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stir {
    Written,
    Came,
    Left,
}

impl Follow {
    /// Whether the files are somewhere else.
    pub(super) fn new(there: bool) -> Self {
        Self { there, ..Self::default() }
    }

    /// An agent runs in a pane.
    pub(super) fn found(&mut self, pane: PaneId, agent: &AgentProcess, now: MonoMs) {
        let same = |known: &Followed| known.agent.process.same_process(&agent.process);
        if !self.agents.get(&pane).is_some_and(same) {
            let spacing_ms = if self.there { SEARCH_THERE_MS } else { SEARCH_MS };
            self.agents.insert(pane, Followed::new(agent.clone(), spacing_ms, now));
        }
    }

    /// The pane of an agent printed: a good moment to look for a file that is missing.
    pub(super) fn printed(&mut self, pane: PaneId, now: MonoMs) {
        if let Some(followed) = self.agents.get_mut(&pane) {
            followed.search(now);
        }
    }

    /// Something happened to a name in a folder.
    pub(super) fn stirred(&mut self, watch: WatchId, name: &OsStr, stir: Stir, now: MonoMs) {
        let Some(folder) = self.folders.get(&watch) else { return };
        for pane in &folder.panes {
            let Some(followed) = self.agents.get_mut(pane) else { continue };
            let kept = followed.keeps(&folder.path, name);
            if kept {
                followed.wrote(now);
            }
            match stir {
                Stir::Written => {}
                Stir::Came if followed.lacks => followed.search(now),
                Stir::Came => {}
                Stir::Left if kept => followed.search_due = Some(now),
                Stir::Left => {}
            }
        }
    }

    /// The folders that an agent's files lie in, which are somewhere else, are these now.
    pub(super) fn watches_there(&mut self, pane: PaneId, folders: BTreeSet<PathBuf>) {
        if let Some(followed) = self.agents.get_mut(&pane) {
            followed.there = folders;
        }
    }

    /// All files and folders that are to be watched there, and the agents' processes.
    pub(super) fn places_there(&self) -> BTreeSet<String> {
        let processes = self.agents.values().map(Followed::process_there);
        let folders = self.agents.values().flat_map(|it| &it.there);
        let folders = folders.filter_map(|folder| folder.to_str().map(str::to_owned));
        let files = self.agents.values().flat_map(|it| &it.kept).map(|kept| kept.path.clone());
        if self.there { folders.chain(files).chain(processes).collect() } else { BTreeSet::new() }
    }

    /// The panes whose agent shows there no more.
    pub(super) fn ended_there(&self, path: &str) -> impl Iterator<Item = PaneId> {
        let ended = self.agents.iter().filter(move |(_, it)| it.process_there() == path);
        ended.map(|(pane, _)| *pane)
    }

    /// Something happened to a file or in a folder there.
    pub(super) fn stirred_there(&mut self, path: &str, is_gone: bool, now: MonoMs) {
        for followed in self.agents.values_mut() {
            let kept = followed.kept.iter().any(|kept| kept.path == path);
            let folder = followed.there.contains(Path::new(path));
            if kept {
                followed.wrote(now);
            }
            if is_gone && (kept || folder) {
                followed.search_soon(now);
            } else if folder && followed.lacks {
                followed.search(now);
            }
        }
    }

    /// Anything may have happened there. Whoever says so may say it without end.
    pub(super) fn lost_track_there(&mut self, now: MonoMs) {
        for followed in self.agents.values_mut() {
            followed.wrote(now);
            followed.search_soon(now);
        }
    }

    /// Not everything of an agent's files was counted.
    pub(super) fn more(&mut self, pane: PaneId, now: MonoMs) {
        if let Some(followed) = self.agents.get_mut(&pane) {
            followed.wrote(now);
        }
    }

    /// A watch is gone with its folder; those who watched it look again.
    pub(super) fn unwatched(&mut self, watch: WatchId, now: MonoMs) {
        for pane in self.folders.remove(&watch).map(|it| it.panes).unwrap_or_default() {
            if let Some(followed) = self.agents.get_mut(&pane) {
                followed.search_due = Some(now);
            }
        }
    }

    /// An agent that was stopped goes on: what was read of it meanwhile was not told.
    pub(super) fn resumed(&mut self, pane: PaneId, now: MonoMs) {
        if let Some(followed) = self.agents.get_mut(&pane) {
            followed.wrote(now);
        }
    }

    /// Anything may have happened.
    pub(super) fn lost_track(&mut self, now: MonoMs) {
        for followed in self.agents.values_mut() {
            (followed.search_due, followed.read_due) = (Some(now), Some(now));
        }
    }

    pub(super) fn next_due(&self) -> Option<MonoMs> {
        self.agents.values().filter_map(Followed::next_due).min()
    }

    /// Whoever has to be sent out now. A search comes before a reading, which it may lead to.
    pub(super) fn take(
        &mut self,
        now: MonoMs,
        session: impl Fn(PaneId) -> Option<String>,
    ) -> Vec<(PaneId, Errand)> {
        let due =
            self.agents.iter_mut().filter(|(_, it)| it.next_due().is_some_and(|at| at <= now));
        due.map(|(pane, followed)| {
            followed.out = true;
            let agent = followed.agent.clone();
            if followed.search_due.take_if(|at| *at <= now).is_some() {
                followed.searched = now;
                // What was learned may not be known to everybody yet.
                let learned = followed.learned.take().or_else(|| session(*pane));
                let session = learned.or_else(|| followed.session.clone());
                return (*pane, Errand::Search { agent, session });
            }
            (followed.read_due, followed.read) = (None, now);
            let sums = std::mem::take(&mut followed.sums);
            (*pane, Errand::Read { agent, kept: followed.kept.clone(), sums })
        })
        .collect()
    }

    /// A search is over; says whether it was about the agent that is there now.
    pub(super) fn searched(
        &mut self,
        pane: PaneId,
        agent: &AgentProcess,
        kept: Vec<Kept>,
        lacks: bool,
        now: MonoMs,
    ) -> bool {
        let Some(followed) = self.back(pane, agent) else { return false };
        if followed.kept != kept {
            followed.kept = kept;
            followed.read_due = Some(now);
            followed.retries = 0;
        }
        followed.lacks = lacks;
        true
    }

    /// What was counted comes back.
    pub(super) fn counted(&mut self, pane: PaneId, agent: &AgentProcess, sums: Sums) {
        let followed = self.agents.get_mut(&pane);
        let same = |it: &&mut Followed| it.agent.process.same_process(&agent.process);
        if let Some(followed) = followed.filter(same) {
            followed.sums = sums;
        }
    }

    /// A reading is over; says whether it counts. One without a whole word is tried again.
    pub(super) fn was_read(
        &mut self,
        pane: PaneId,
        agent: &AgentProcess,
        is_whole: bool,
        now: MonoMs,
    ) -> bool {
        let Some(followed) = self.back(pane, agent) else { return false };
        if is_whole {
            followed.retries = 0;
            return true;
        }
        let Some(pause) = RETRY_MS.get(followed.retries) else { return true };
        followed.retries += 1;
        followed.read_due.get_or_insert(MonoMs(now.0 + pause));
        false
    }

    fn back(&mut self, pane: PaneId, agent: &AgentProcess) -> Option<&mut Followed> {
        let followed = self.agents.get_mut(&pane)?;
        if !followed.agent.process.same_process(&agent.process) {
            return None;
        }
        followed.out = false;
        Some(followed)
    }

    /// The agent's own file names its session, by which other files are found.
    pub(super) fn learned_session(&mut self, pane: PaneId, session: &str, now: MonoMs) {
        let Some(followed) = self.agents.get_mut(&pane) else { return };
        if followed.session.as_deref() != Some(session) {
            followed.session = Some(session.to_owned());
            followed.learned = Some(session.to_owned());
            followed.search_due = Some(now);
        }
    }

    /// The folders that an agent's files lie in are these now; gives the watches nobody needs any
    /// more. What happened in a folder between the search and the beginning of its watch was not
    /// told, so what is missing is searched for once more, and what was found is read.
    pub(super) fn watches(
        &mut self,
        pane: PaneId,
        watches: BTreeMap<WatchId, PathBuf>,
    ) -> Vec<WatchId> {
        let mut begun = false;
        for (watch, folder) in self.folders.iter_mut() {
            if !watches.contains_key(watch) {
                folder.panes.remove(&pane);
            }
        }
        for (watch, path) in watches {
            let folder = Folder { path: path.clone(), panes: BTreeSet::new() };
            let folder = self.folders.entry(watch).or_insert(folder);
            folder.path = path;
            begun |= folder.panes.insert(pane);
        }
        if let Some(followed) = self.agents.get_mut(&pane).filter(|_| begun) {
            followed.watched();
        }
        let idle = |(watch, folder): (&WatchId, &Folder)| folder.panes.is_empty().then_some(*watch);
        let idle: Vec<WatchId> = self.folders.iter().filter_map(idle).collect();
        self.folders.retain(|_, folder| !folder.panes.is_empty());
        idle
    }

    /// The watching is over; gives all watches.
    pub(super) fn end(&mut self) -> Vec<WatchId> {
        self.agents.clear();
        std::mem::take(&mut self.folders).into_keys().collect()
    }

    /// No agent runs in a pane any more; gives the watches nobody needs.
    pub(super) fn forget(&mut self, pane: PaneId) -> Vec<WatchId> {
        self.agents.remove(&pane);
        self.watches(pane, BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use agents::adapter::FileKind;
    use engine::ids::AgentType;
    use engine::pane::ProcessIdentity;

    use super::*;

    const PANE: PaneId = PaneId(1);

    fn agent(pid: u32) -> AgentProcess {
        let process = ProcessIdentity { pid, ..ProcessIdentity::default() };
        AgentProcess { agent: AgentType::new("a"), process }
    }

    fn kept() -> Vec<Kept> {
        vec![Kept { path: "/f/status".to_owned(), kind: FileKind::Status }]
    }

    fn errand(follow: &mut Follow, now: i64) -> Option<Errand> {
        follow.take(MonoMs(now), |_| None).pop().map(|(_, errand)| errand)
    }

    /// One agent whose file was found and read, and whose folder is watched.
    fn followed() -> (Follow, WatchId) {
        let mut follow = Follow::default();
        follow.found(PANE, &agent(7), MonoMs(0));
        assert!(matches!(errand(&mut follow, 0), Some(Errand::Search { .. })));
        assert!(follow.searched(PANE, &agent(7), kept(), false, MonoMs(1)));
        let watch = WatchId::of_tests(3);
        assert_eq!(follow.watches(PANE, BTreeMap::from([(watch, "/f".into())])), []);
        assert!(matches!(errand(&mut follow, 1), Some(Errand::Read { .. })));
        assert!(follow.was_read(PANE, &agent(7), true, MonoMs(2)));
        assert_eq!(follow.next_due(), None, "a quiet file is left alone");
        (follow, watch)
    }

    #[test]
    fn a_file_is_read_once_after_it_was_written_and_other_files_do_not_matter() {
        let (mut follow, watch) = followed();
        follow.stirred(watch, OsStr::new("other"), Stir::Written, MonoMs(500));
        assert_eq!(follow.next_due(), None);
        for at in [500, 501, 505] {
            follow.stirred(watch, OsStr::new("status"), Stir::Written, MonoMs(at));
        }
        assert_eq!(follow.next_due(), Some(MonoMs(500 + SETTLE_MS)));
        assert!(matches!(errand(&mut follow, 520), Some(Errand::Read { .. })));
        assert_eq!(follow.next_due(), None);
        follow.stirred(watch, OsStr::new("status"), Stir::Written, MonoMs(521));
        assert_eq!(follow.next_due(), None, "while somebody is out nobody else goes");
        follow.was_read(PANE, &agent(7), true, MonoMs(522));
        assert_eq!(follow.next_due(), Some(MonoMs(520 + SPACING_MS)));
    }

    #[test]
    fn half_a_file_is_read_again_a_few_times_and_then_taken_for_what_it_is() {
        let (mut follow, watch) = followed();
        follow.stirred(watch, OsStr::new("status"), Stir::Written, MonoMs(500));
        let mut now = 0;
        let mut tries = 0;
        loop {
            let due = follow.next_due().expect("it is read again");
            now = due.0.max(now);
            assert!(errand(&mut follow, now).is_some());
            tries += 1;
            if follow.was_read(PANE, &agent(7), false, MonoMs(now)) {
                break;
            }
        }
        assert_eq!(tries, RETRY_MS.len() + 1);
        assert_eq!(follow.next_due(), None);
    }

    #[test]
    fn a_missing_file_is_looked_for_when_its_folder_or_its_pane_stirs() {
        let mut follow = Follow::default();
        follow.found(PANE, &agent(7), MonoMs(0));
        errand(&mut follow, 0);
        follow.searched(PANE, &agent(7), Vec::new(), true, MonoMs(1));
        let watch = WatchId::of_tests(3);
        let watches = BTreeMap::from([(watch, "/f".into())]);
        follow.watches(PANE, watches.clone());
        let again = errand(&mut follow, 2);
        assert!(matches!(again, Some(Errand::Search { .. })), "it may have come unwatched");
        follow.searched(PANE, &agent(7), Vec::new(), true, MonoMs(3));
        follow.watches(PANE, watches);
        assert_eq!(follow.next_due(), None, "a quiet folder is left alone");
        follow.stirred(watch, OsStr::new("status"), Stir::Came, MonoMs(900));
        assert_eq!(follow.next_due(), Some(MonoMs(900 + SETTLE_MS)));
        errand(&mut follow, 920);
        follow.searched(PANE, &agent(7), kept(), false, MonoMs(921));
        errand(&mut follow, 921);
        follow.was_read(PANE, &agent(7), true, MonoMs(922));
        follow.printed(PANE, MonoMs(1_000));
        assert_eq!(follow.next_due(), Some(MonoMs(920 + SEARCH_MS[1])), "none is missing");
    }

    #[test]
    fn what_was_found_for_an_agent_that_is_gone_is_not_taken() {
        let (mut follow, watch) = followed();
        follow.stirred(watch, OsStr::new("status"), Stir::Written, MonoMs(500));
        errand(&mut follow, 520);
        follow.found(PANE, &agent(8), MonoMs(521));
        assert!(!follow.was_read(PANE, &agent(7), true, MonoMs(522)));
        assert_eq!(follow.forget(PANE), [watch]);
    }

    #[test]
    fn files_there_are_read_and_looked_for_when_it_is_told_that_they_changed() {
        let mut follow = Follow::new(true);
        follow.found(PANE, &agent(7), MonoMs(0));
        errand(&mut follow, 0);
        follow.searched(PANE, &agent(7), Vec::new(), true, MonoMs(1));
        follow.watches_there(PANE, BTreeSet::from(["/f".into()]));
        let watched = ["/f", "/proc/7"].map(str::to_owned);
        assert_eq!(follow.places_there(), BTreeSet::from(watched));
        assert_eq!(follow.ended_there("/proc/7").collect::<Vec<_>>(), [PANE]);
        assert_eq!(follow.ended_there("/proc/70").count(), 0);
        follow.stirred_there("/other", false, MonoMs(2));
        assert_eq!(follow.next_due(), None);
        follow.stirred_there("/f", false, MonoMs(2));
        assert_eq!(follow.next_due(), Some(MonoMs(SEARCH_THERE_MS[0])), "not more often");
        errand(&mut follow, SEARCH_THERE_MS[0]);
        follow.searched(PANE, &agent(7), kept(), false, MonoMs(2_000));
        assert!(follow.places_there().contains("/f/status"));
        errand(&mut follow, 2_000);
        follow.was_read(PANE, &agent(7), true, MonoMs(2_001));
        follow.stirred_there("/f", false, MonoMs(3_000));
        assert_eq!(follow.next_due(), None, "nothing is missing");
        follow.stirred_there("/f/status", false, MonoMs(3_000));
        assert!(matches!(errand(&mut follow, 3_020), Some(Errand::Read { .. })));
        follow.was_read(PANE, &agent(7), true, MonoMs(3_021));
        follow.stirred_there("/f/status", true, MonoMs(4_000));
        assert!(matches!(errand(&mut follow, 4_000), Some(Errand::Search { .. })));
        follow.searched(PANE, &agent(7), kept(), false, MonoMs(4_001));
        errand(&mut follow, 4_020);
        follow.was_read(PANE, &agent(7), true, MonoMs(4_021));
        follow.lost_track_there(MonoMs(4_022));
        assert_eq!(follow.next_due(), Some(MonoMs(4_000 + SPACING_MS)), "not without end");
        follow.forget(PANE);
        assert_eq!(follow.places_there(), BTreeSet::new());
    }

    #[test]
    fn a_session_that_the_file_names_is_searched_for_once() {
        let (mut follow, _) = followed();
        follow.learned_session(PANE, "s-1", MonoMs(10));
        let Some(Errand::Search { session, .. }) = errand(&mut follow, 10) else { panic!() };
        assert_eq!(session.as_deref(), Some("s-1"));
        follow.searched(PANE, &agent(7), kept(), false, MonoMs(11));
        follow.learned_session(PANE, "s-1", MonoMs(12));
        assert_eq!(follow.next_due(), None);
        follow.lost_track(MonoMs(13));
        let Some(Errand::Search { session, .. }) = errand(&mut follow, 13) else { panic!() };
        assert_eq!(session.as_deref(), Some("s-1"), "though nobody else knows of it yet");
    }

    #[test]
    fn a_folder_is_watched_as_long_as_one_agent_needs_it() {
        let (mut follow, watch) = followed();
        let other = PaneId(2);
        follow.found(other, &agent(9), MonoMs(0));
        follow.watches(other, BTreeMap::from([(watch, "/f".into())]));
        assert_eq!(follow.forget(PANE), []);
        assert_eq!(follow.end(), [watch]);
    }
}
