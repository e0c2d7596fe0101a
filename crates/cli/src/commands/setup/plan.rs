//! What is to be changed in which files, found out before anything is touched.

use std::path::{Path, PathBuf};

use agents::setup::{Before, Need, Refusal, SettingsFile, Standing};
use api::ErrorCode;

use crate::commands::setup::files::{self, Found};
use crate::commands::setup::journal::{self, Journal, Record};
use crate::commands::setup::subject::{AgentSubject, Subject};
use crate::commands::setup::there::Disk;
use crate::failure::Failure;

/// The mode of a program that is put somewhere.
const PROGRAM_MODE: u32 = 0o700;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    SetUp,
    Undo,
}

/// A file that gets another text, or goes.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) file: Found,
    pub(crate) text: Option<String>,
    /// What the file is without anything of ours.
    original: Option<String>,
}

/// Where it is changed, and where that is written down.
pub(crate) struct Ground {
    pub(crate) disk: Disk,
    pub(crate) journal: Journal,
}

/// Everything that is to be done about one agent, or about tmux.
pub(crate) struct Plan {
    pub(crate) subject: Subject,
    pub(crate) changes: Vec<Change>,
    /// Records of files that turned out to need no change.
    settled: Vec<Record>,
}

impl Plan {
    pub(crate) fn make(
        subject: Subject,
        direction: Direction,
        ground: &Ground,
    ) -> Result<Self, Failure> {
        let (disk, journal) = (&ground.disk, &ground.journal);
        let paths = subject.paths();
        let mut found = paths.iter().map(|path| disk.look(path)).collect::<Result<Vec<_>, _>>()?;
        let script = subject.script();
        for file in found.iter_mut().filter(|it| Some(it.path.as_path()) == script) {
            file.fresh_mode = PROGRAM_MODE;
        }
        let shared = script.map_or(Ok(false), |it| is_shared(journal, subject.name(), it))?;
        let known = found.iter().map(|it| journal.of(&it.path)).collect::<Result<Vec<_>, _>>()?;
        let files: Vec<SettingsFile> = found.iter().map(settings).collect();
        let before: Vec<Before> = known.iter().map(before).collect();
        let refused = |refusal: Refusal| refused(&found, &refusal);
        let mut originals = subject.remove(&files, &before).map_err(refused)?;
        for ((original, known), file) in originals.iter_mut().zip(&known).zip(&found) {
            // Untouched since, it becomes what it was to the byte.
            if let Some((record, before)) = known
                && record.is_untouched(file.text.as_deref())
            {
                *original = match before {
                    Before::Text(text) => Some(text.clone()),
                    Before::Absent | Before::Unknown => None,
                };
            }
        }
        for (original, file) in originals.iter_mut().zip(&found) {
            if shared && Some(file.path.as_path()) == script && direction == Direction::Undo {
                original.clone_from(&file.text);
            }
        }
        let wanted: Vec<Option<String>> = match direction {
            Direction::SetUp => {
                needed(&subject, disk)?;
                let merged = subject.merge(&files).map_err(refused)?;
                merged.into_iter().map(Some).collect()
            }
            Direction::Undo => originals.clone(),
        };
        let kept = script.filter(|_| shared).map(Path::to_owned);
        let mut plan = Self { subject, changes: Vec::new(), settled: Vec::new() };
        for (((file, text), original), known) in
            found.into_iter().zip(wanted).zip(originals).zip(known)
        {
            if file.text != text {
                file.writable()?;
                plan.changes.push(Change { file, text, original });
            } else if direction == Direction::Undo && kept.as_ref() != Some(&file.path) {
                plan.settled.extend(known.map(|(record, _)| record));
            }
        }
        Ok(plan)
    }

    /// Whether there is nothing to do, nor to forget.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.settled.is_empty()
    }

    /// Does it, each file after its record.
    pub(crate) fn carry_out(&self, direction: Direction, ground: &Ground) -> Result<(), Failure> {
        match direction {
            Direction::SetUp => {
                self.changes.iter().try_for_each(|it| self.set_up(it, &ground.journal))
            }
            Direction::Undo => self.undo(ground),
        }
    }

    fn set_up(&self, change: &Change, journal: &Journal) -> Result<(), Failure> {
        let Change { file, text, original } = change;
        let mut folders = file.missing_folders();
        if let Some((record, _)) = journal.of(&file.path)?.filter(|_| folders.is_empty()) {
            folders = record.folders;
        }
        let after = text.as_deref().unwrap_or_default();
        journal.intend(self.subject.name(), &file.path, original.as_deref(), after, folders)?;
        file.replace(text.as_deref())
    }

    /// The files first, then the folders that were made for any of them, then the records.
    fn undo(&self, ground: &Ground) -> Result<(), Failure> {
        let journal = &ground.journal;
        let mut records = self.settled.clone();
        for change in &self.changes {
            change.file.replace(change.text.as_deref())?;
            records.extend(journal.of(&change.file.path)?.map(|(record, _)| record));
        }
        let mut folders: Vec<&Path> =
            records.iter().flat_map(|record| &record.folders).map(PathBuf::as_path).collect();
        folders.sort_by_key(|folder| std::cmp::Reverse(folder.components().count()));
        if !folders.is_empty() {
            ground.disk.remove_folders(&folders);
        }
        records.iter().try_for_each(|record| journal.forget(&record.path))
    }
}

/// Whether hooks of others run this script, too.
fn is_shared(journal: &Journal, subject: &str, script: &Path) -> Result<bool, Failure> {
    let records = journal.records()?;
    let mut hooks = records.iter().filter(|record| record.subject != journal::PROGRAM);
    Ok(hooks.any(|record| record.subject != subject && record.path != *script))
}

/// What of ours stands in an agent's files.
pub(crate) fn standing(agent: &AgentSubject) -> Result<Standing, Failure> {
    let found =
        agent.paths().iter().map(|path| files::look(path)).collect::<Result<Vec<_>, _>>()?;
    let files: Vec<SettingsFile> = found.iter().map(settings).collect();
    agent.standing(&files).map_err(|refusal| refused(&found, &refusal))
}

fn settings(found: &Found) -> SettingsFile {
    SettingsFile { path: found.path.display().to_string(), text: found.text.clone() }
}

fn before(known: &Option<(Record, Before)>) -> Before {
    known.as_ref().map_or(Before::Unknown, |(_, before)| before.clone())
}

fn refused(found: &[Found], refusal: &Refusal) -> Failure {
    let path = found.get(refusal.file).map(Found::shown);
    files::refused(format!("{}, {refusal}", path.unwrap_or_default()))
        .with_hint("Correct it there; nothing was changed.")
}

/// What has to be installed before the hooks do no harm.
fn needed(subject: &Subject, disk: &Disk) -> Result<(), Failure> {
    let Subject::Agent(agent) = subject else { return Ok(()) };
    let Some(Need { file, install, why }) = agent.setup.needs else { return Ok(()) };
    // Whatever cannot be looked at is there.
    if disk.look(&agent.folder.join(file)).map_or(true, |found| found.text.is_some()) {
        return Ok(());
    }
    let message = format!("{} has to be prepared first: {why}", agent.agent);
    Err(Failure::new(ErrorCode::PreconditionFailed, message)
        .with_hint(format!("{install} {}", disk.shown(&agent.folder))))
}
