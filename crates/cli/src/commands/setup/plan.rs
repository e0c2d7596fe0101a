//! What is to be changed in which files, found out before anything is touched.

use std::fs;

use agents::setup::{Before, Need, Refusal, SettingsFile, Standing};
use api::ErrorCode;

use crate::commands::setup::files::{self, Found};
use crate::commands::setup::journal::{Journal, Record};
use crate::commands::setup::subject::{AgentSubject, Subject};
use crate::failure::Failure;

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
        journal: &Journal,
    ) -> Result<Self, Failure> {
        let paths = subject.paths();
        let found = paths.iter().map(|path| files::look(path)).collect::<Result<Vec<_>, _>>()?;
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
        let wanted: Vec<Option<String>> = match direction {
            Direction::SetUp => {
                needed(&subject)?;
                let merged = subject.merge(&files).map_err(refused)?;
                merged.into_iter().map(Some).collect()
            }
            Direction::Undo => originals.clone(),
        };
        let mut plan = Self { subject, changes: Vec::new(), settled: Vec::new() };
        for (((file, text), original), known) in
            found.into_iter().zip(wanted).zip(originals).zip(known)
        {
            if file.text != text {
                file.writable()?;
                plan.changes.push(Change { file, text, original });
            } else if direction == Direction::Undo {
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
    pub(crate) fn carry_out(&self, direction: Direction, journal: &Journal) -> Result<(), Failure> {
        match direction {
            Direction::SetUp => self.changes.iter().try_for_each(|it| self.set_up(it, journal)),
            Direction::Undo => self.undo(journal),
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
    fn undo(&self, journal: &Journal) -> Result<(), Failure> {
        let mut records = self.settled.clone();
        for change in &self.changes {
            change.file.replace(change.text.as_deref())?;
            records.extend(journal.of(&change.file.path)?.map(|(record, _)| record));
        }
        let mut folders: Vec<_> = records.iter().flat_map(|record| &record.folders).collect();
        folders.sort_by_key(|folder| std::cmp::Reverse(folder.components().count()));
        for folder in folders {
            // One that holds something else stays.
            drop(fs::remove_dir(folder));
        }
        records.iter().try_for_each(|record| journal.forget(&record.path))
    }
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
    let path = found.get(refusal.file).map(|it| it.path.display().to_string());
    files::refused(format!("{}, {refusal}", path.unwrap_or_default()))
        .with_hint("Correct it there; nothing was changed.")
}

/// What has to be installed before the hooks do no harm.
fn needed(subject: &Subject) -> Result<(), Failure> {
    let Subject::Agent(agent) = subject else { return Ok(()) };
    let Some(Need { file, install, why }) = agent.setup.needs else { return Ok(()) };
    if agent.folder.join(file).exists() {
        return Ok(());
    }
    let message = format!("{} has to be prepared first: {why}", agent.agent);
    Err(Failure::new(ErrorCode::PreconditionFailed, message)
        .with_hint(format!("{install} {}", agent.folder.display())))
}
