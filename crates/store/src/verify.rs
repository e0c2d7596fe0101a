//! The whole proof, without a daemon: every link of the chain, every row against its hash, the
//! events against the journal, the tables against a replay, the anchor, and SQLite's own check.

use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::anchor::Reading;
use crate::damage::Finding;
use crate::files::{Files, Look, at};
use crate::open::OpenError;
use crate::proof::Doubt;
use crate::{connect, schema};

mod inbox;
mod index;
mod structure;
mod task;
mod view;

use index::Tally;
use task::{Part, Task};
use view::View;

/// What was looked at, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub database: Option<String>,
    /// The first and the last row of the journal; `last` is less than `first` if there is none.
    pub first: u64,
    pub last: u64,
    /// Rows of the journal that follow from one another.
    pub proven: u64,
    /// Rows of the other tables that agree with their hashes.
    pub rows: u64,
    pub checkpoints: u64,
    /// How far the anchor says the journal had come.
    pub anchored: Option<u64>,
    /// The first thing wrong in each respect, the journal's first.
    pub findings: Vec<Finding>,
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Verifies the database at `path` and changes nothing. A daemon may be at work on it.
pub fn verify(path: &Path) -> Result<Report, OpenError> {
    let files = Files::of(path);
    let failed = |source| OpenError::Fault { path: path.to_owned(), source };
    // The anchor first: what it names was committed before it was written.
    let anchor = Reading::of(&files.anchor).map_err(at("the anchor")).map_err(failed)?;
    let mark = anchor.as_ref().and_then(|it| it.mark.as_ref());
    let mut report = Report { anchored: mark.map(|mark| mark.seq), ..Report::default() };
    match (files.look().map_err(failed)?, mark) {
        (Look::Sqlite { application_id: schema::APPLICATION_ID }, _) => {
            let newer = connect::reader(&files.database).and_then(|db| schema::newer(&db));
            // What cannot be read at all is a finding like any other.
            if let Ok(Some(found)) = newer {
                return Err(OpenError::Newer { path: path.to_owned(), found });
            }
            match examine(&files, anchor.as_ref()) {
                Ok(found) => report = Report { anchored: report.anchored, ..found },
                Err(Doubt::Found(finding)) => report.findings.push(finding),
                Err(Doubt::Failed(fault)) => return Err(failed(fault)),
            }
        }
        (Look::Absent | Look::Empty, Some(mark)) => {
            report.findings.push(Finding::Missing { anchored: mark.seq });
        }
        (Look::Sqlite { application_id }, Some(_)) => {
            report.findings.push(Finding::OtherProgram { application_id });
        }
        (Look::Other, Some(_)) => report.findings.push(Finding::Unreadable),
        (Look::Absent | Look::Empty, None) if files.has_log() => {
            report.findings.push(Finding::LogAlone);
        }
        (Look::Absent, None) => return Err(OpenError::Absent { path: path.to_owned() }),
        (Look::Empty | Look::Sqlite { .. } | Look::Other, None) => {
            return Err(OpenError::Foreign { path: path.to_owned() });
        }
    }
    Ok(report)
}

/// Looks at everything; what one look finds does not keep the others from theirs.
fn examine(files: &Files, anchor: Option<&Reading>) -> Result<Report, Doubt> {
    let views = View::of_one_moment(files)?;
    let [first, ..] = views.as_slice() else { return Ok(Report::default()) };
    let (pruned, last) = (first.meta.pruned.seq, first.head.seq);
    let database = Some(first.meta.identity.database.clone());
    let mut report = Report { database, first: pruned + 1, last, ..Report::default() };
    let tasks = Task::all(pruned, last, views.len());
    let (mut tables, mut indexes) = (Tally::default(), Tally::default());
    let (mut follows, mut held) = (true, true);
    for (task, part) in carry_out(views, &tasks, anchor) {
        let part = part?;
        let is_sound = part.findings.is_empty();
        report.rows += part.rows;
        report.checkpoints += part.checkpoints;
        match task {
            // The first row that does not follow says what there is to say of the chain.
            Task::Chain(_) | Task::Alone if !follows => continue,
            Task::Chain(_) | Task::Alone => {
                report.proven += part.proven;
                tables.join(&part.entries);
                follows = is_sound;
            }
            Task::Index(_) => {
                indexes.join(&part.entries);
                held &= is_sound;
            }
            // A replay of damaged rows says nothing new.
            Task::Replay if !report.is_sound() => continue,
            Task::Anchor
            | Task::Inbox
            | Task::Checkpoints
            | Task::Rows
            | Task::Pages
            | Task::Replay => {}
        }
        report.findings.extend(part.findings);
    }
    if follows && held {
        report.findings.extend(indexes.difference(&tables));
    }
    Ok(report)
}

/// Has every task done by whoever is free, and gives back what came of them in their order.
fn carry_out(
    views: Vec<View>,
    tasks: &[Task],
    anchor: Option<&Reading>,
) -> Vec<(Task, Result<Part, Doubt>)> {
    let next = AtomicUsize::new(0);
    let work = |view: View| {
        let mut done = Vec::new();
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((*task, view.look(*task, anchor)));
        }
        done
    };
    let mut parts: Vec<_> = thread::scope(|scope| {
        let crew: Vec<_> = views.into_iter().map(|view| scope.spawn(|| work(view))).collect();
        let done = crew.into_iter().map(|one| one.join().unwrap_or_else(|it| resume_unwind(it)));
        done.flatten().collect()
    });
    parts.sort_by_key(|(task, _)| *task);
    parts
}
