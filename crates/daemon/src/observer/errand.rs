//! Looking for an agent's files and reading them: on a thread where waiting for a disk, or for a
//! network behind it, holds nobody up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use agents::adapter::{Adapter, FileKind, Proof, Reading, Running, StatusFile, TAIL_BYTES};
use agents::tally::{Count, Tally};
use engine::ids::PaneId;
use engine::pane::AgentProcess;
use engine::time::WallMs;
use tokio::sync::mpsc;

use super::recognise;
use crate::adapters::Roster;
use crate::targets::Target;
use crate::targets::files::{Part, Pieces, Refused};

/// The longest file that is read whole.
const STATUS_BYTES_MAX: usize = 64 * 1024;

/// What somebody is sent out for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    Search { agent: AgentProcess, session: Option<String> },
    Read { agent: AgentProcess, kept: Vec<Kept>, sums: Sums },
}

/// What was counted of growing files, by their paths.
pub(super) type Sums = BTreeMap<String, Tally>;

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub path: String,
    pub kind: FileKind,
}

/// What came of an errand.
#[derive(Debug)]
pub(super) enum Outcome {
    Searched {
        pane: PaneId,
        agent: AgentProcess,
        kept: Vec<Kept>,
        /// One of the files is not there.
        lacks: bool,
        /// The folders in which something about them can happen.
        folders: BTreeSet<PathBuf>,
    },
    Read {
        pane: PaneId,
        agent: AgentProcess,
        /// Nothing where no file held a whole word.
        reading: Option<Reading>,
        /// When it was written down what that claims, where it may have been read late.
        written: Option<WallMs>,
        /// Not all of what the files say was read.
        is_cut: bool,
        sums: Sums,
        /// Not everything is counted yet.
        is_behind: bool,
    },
    /// Which version of an agent runs there.
    Released { pane: PaneId, agent: AgentProcess, version: Option<String> },
}

/// Asks on another machine which version of an agent runs there, and tells `home`.
pub(super) fn ask_version(
    pane: PaneId,
    agent: AgentProcess,
    target: Arc<Target>,
    home: mpsc::Sender<Outcome>,
) {
    tokio::spawn(async move {
        let version = recognise::version_there(&target, &agent).await;
        drop(home.send(Outcome::Released { pane, agent, version }).await);
    });
}

impl Errand {
    /// Does it, and tells `home`. If nobody is there any more, nobody needs to know.
    pub(super) fn run(
        self,
        pane: PaneId,
        target: Arc<Target>,
        roster: Arc<Roster>,
        home: mpsc::Sender<Outcome>,
    ) {
        tokio::task::spawn_blocking(move || {
            let outcome = match self {
                Self::Search { agent, session } => {
                    let adapter = roster.get(agent.agent.as_str());
                    search(&target, adapter, pane, agent, session)
                }
                Self::Read { agent, kept, mut sums } => {
                    let adapter = roster.get(agent.agent.as_str());
                    let Read { reading, written, is_cut, is_behind } =
                        read(&target, adapter, &agent, &kept, &mut sums);
                    Outcome::Read { pane, agent, reading, written, is_cut, sums, is_behind }
                }
            };
            drop(home.blocking_send(outcome));
        });
    }
}

/// What an adapter is told of an agent's process, kept while it is asked.
struct Facts {
    below: Vec<u32>,
    start_ticks: Option<u64>,
    home: String,
    folder: Option<String>,
    session: Option<String>,
}

impl Facts {
    fn of(target: &Target, adapter: &dyn Adapter, pid: u32, session: Option<String>) -> Self {
        let variable = |name| target.variable(pid, name).filter(|path| path.starts_with('/'));
        Self {
            below: recognise::own_below(target, adapter, pid),
            start_ticks: target.process_stat(pid).map(|stat| stat.start_ticks),
            home: variable("HOME").unwrap_or_default(),
            folder: adapter.folder_variable().and_then(variable),
            session,
        }
    }

    fn running(&self, pid: u32) -> Running<'_> {
        Running {
            pid,
            below: &self.below,
            start_ticks: self.start_ticks,
            home: &self.home,
            folder: self.folder.as_deref(),
            session: self.session.as_deref(),
        }
    }

    /// Where its files can be at all.
    fn root(&self) -> Option<&str> {
        self.folder.as_deref().or(Some(self.home.as_str())).filter(|root| !root.is_empty())
    }
}

fn search(
    target: &Target,
    adapter: Option<&dyn Adapter>,
    pane: PaneId,
    agent: AgentProcess,
    session: Option<String>,
) -> Outcome {
    let pid = agent.process.pid;
    let (mut kept, mut folders, mut lacks) = (Vec::new(), BTreeSet::new(), false);
    if let Some(adapter) = adapter {
        let facts = Facts::of(target, adapter, pid, session);
        if let Some(root) = facts.root() {
            let running = facts.running(pid);
            let files = adapter.status_files(&running);
            for kind in [FileKind::Status, FileKind::Transcript] {
                let of_kind = || files.iter().filter(|file| file.kind == kind);
                let found = of_kind().find_map(|file| find(target, &running, file));
                lacks |= found.is_none() && of_kind().next().is_some();
                let places = found.as_ref().or(of_kind().next().map(|file| &file.path));
                folders.extend(places.and_then(|place| target.nearest_folder(place, root)));
                kept.extend(found.map(|path| Kept { path, kind }));
            }
        }
    }
    Outcome::Searched { pane, agent, kept, lacks, folders }
}

fn find(target: &Target, agent: &Running<'_>, file: &StatusFile) -> Option<String> {
    match &file.proof {
        Proof::Name => target.matching(&file.path).into_iter().next(),
        Proof::HeldOpen => {
            let pids = std::iter::once(&agent.pid).chain(agent.below);
            pids.flat_map(|pid| target.open_paths_like(*pid, &file.path)).next()
        }
        Proof::Beside(names) => beside(target, &file.path, names),
    }
}

/// The last written file that fits a pattern and has one of these names beside it. Of many such
/// names few are there, so they are what is looked for.
fn beside(target: &Target, pattern: &str, names: &[String]) -> Option<String> {
    let (folders, file) = pattern.rsplit_once('/')?;
    let folder = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let marks = names.iter().flat_map(|name| target.matching(&format!("{folders}/{name}")));
    let marked: BTreeSet<String> = marks.filter_map(|mark| folder(&mark)).collect();
    match marked.len() {
        0 => None,
        // Where there are very many files, not all of them are listed.
        1 => {
            let path = format!("{}/{file}", marked.first()?);
            target.matching(&path).into_iter().next()
        }
        _ => {
            let is_marked = |path: &String| folder(path).is_some_and(|it| marked.contains(&it));
            target.matching(pattern).into_iter().find(is_marked)
        }
    }
}

/// What an agent's files say.
#[derive(Default)]
struct Read {
    reading: Option<Reading>,
    written: Option<WallMs>,
    is_cut: bool,
    is_behind: bool,
}

fn read(
    target: &Target,
    adapter: Option<&dyn Adapter>,
    agent: &AgentProcess,
    kept: &[Kept],
    sums: &mut Sums,
) -> Read {
    let pid = agent.process.pid;
    let Read { mut reading, mut written, mut is_cut, mut is_behind } = Read::default();
    if let (Some(adapter), Some(user)) = (adapter, target.user_of(pid)) {
        let facts = Facts::of(target, adapter, pid, None);
        for file in kept {
            let part = match file.kind {
                FileKind::Status => Part::Whole { bytes_max: STATUS_BYTES_MAX },
                FileKind::Transcript => Part::End { bytes_max: TAIL_BYTES },
            };
            let is_said = reading.as_ref().is_some_and(|it| it.claim.is_some());
            let said = match target.read_part(&file.path, user, part) {
                Ok(content) => {
                    is_cut |= content.is_cut;
                    if !is_said {
                        written = content.written;
                    }
                    adapter.reads_status(&facts.running(pid), file.kind, &content.bytes)
                }
                // It is asked again.
                Err(refused) if refused.is_silence() => None,
                Err(refused) => {
                    tell(&file.path, &refused);
                    Some(Reading::silent("no file that may be read"))
                }
            };
            reading = match (reading, said) {
                (Some(first), Some(second)) => Some(Reading::or(first, second)),
                (first, second) => first.or(second),
            };
        }
        if kept.is_empty() {
            reading = Some(Reading::silent("no file"));
        }
        sums.retain(|path, _| kept.iter().any(|file| file.path == *path));
        if let Some(count) = adapter.counts() {
            for file in kept.iter().filter(|file| file.kind == FileKind::Transcript) {
                let tally = sums.entry(file.path.clone()).or_default();
                if sum(target, &file.path, user, tally, count) {
                    reading = reading.map(|reading| tally.tell(reading));
                } else {
                    is_behind = true;
                }
            }
        }
    }
    Read { reading, written, is_cut, is_behind }
}

/// Counts what was appended to a file since the last time, and says whether that is all there is.
fn sum(target: &Target, path: &str, user: u32, tally: &mut Tally, count: Count) -> bool {
    let (mut length, Pieces { bytes_max, count: pieces }) = (u64::MAX, target.pieces());
    for _ in 0..pieces {
        let begin = tally.position(length);
        // That it is not there, or not to be read, was told already.
        let Ok(content) = target.read_part(path, user, Part::From { begin, bytes_max }) else {
            return true;
        };
        length = content.length;
        if tally.position(length) != begin {
            continue;
        }
        let full = content.bytes.len() == bytes_max;
        tally.take(&content.bytes, full, count);
        if !full {
            return true;
        }
    }
    false
}

fn tell(path: &str, refused: &Refused) {
    if !refused.is_absence() {
        tracing::debug!(path, %refused, "a file of an agent's is not read");
    }
}
