//! `qd journal`: the record of everything that happened, and its proof.

use std::collections::BTreeMap;

use api::error::with_causes;
use api::words::SchemaVersion;
use api::{ErrorCode, ExitCode, Timestamp};
use clap::{Args, Subcommand};
use daemon::journal::{self, Finding, Lost, Numbers, OpenError, Rebuilt, Report};
use daemon::paths::Paths;
use serde::Serialize;

use crate::commands::{Outcome, consent};
use crate::console::Console;
use crate::failure::Failure;
use crate::output::style;
use crate::output::text::Text;
use crate::starter::{run_error, store_error};
use daemon::run::RunError;

#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// Prove that nothing of it was changed or lost, without a daemon
    ///
    /// Follows every link of the hash chain, holds every row against its hash, the tables against
    /// a replay, and all of it against the anchor beside the database. Names the first bad row.
    Verify,
    /// Replace a damaged database by what is proven of it
    ///
    /// The daemon must not be running: `qd daemon stop`. The damaged files are kept beside the new
    /// ones. Carried over is what the journal proves: its rows up to the first damaged one and,
    /// behind that, those that lead without a gap to the last one that the anchor knows, with the
    /// ids and keys by which a repeated event is known. What only damaged rows told is lost.
    /// Sequence numbers go on after the last one that is known, so whoever watches is sent a
    /// snapshot.
    Rebuild(RebuildArgs),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RebuildArgs {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(crate) fn run(console: &Console, command: &JournalCommand) -> Outcome {
    match command {
        JournalCommand::Verify => verify(console),
        JournalCommand::Rebuild(args) => rebuild(console, args),
    }
}

/// What `qd journal verify --json` prints. It needs no daemon, so the API has no answer of its own
/// for it.
#[derive(Debug, Serialize)]
struct Verified<'a> {
    schema_version: SchemaVersion,
    generated_at: Timestamp,
    path: String,
    database: Option<&'a str>,
    sound: bool,
    first: u64,
    last: u64,
    proven: u64,
    rows: u64,
    checkpoints: u64,
    anchored: Option<u64>,
    findings: Vec<Found>,
}

/// One thing that is wrong.
#[derive(Debug, Serialize)]
struct Found {
    message: String,
    /// The table of the bad row, if it is about one.
    table: Option<&'static str>,
    /// Its key; in the journal, its sequence.
    key: Option<String>,
}

fn verify(console: &Console) -> Outcome {
    let paths = console.paths()?;
    let report = match journal::verify(&paths) {
        Ok(report) => report,
        Err(error) => return Err(unverifiable(&error)),
    };
    if console.is_json() {
        let path = paths.database.display().to_string();
        let verified = serde_json::to_string(&verified(&report, path, console.now()));
        let text = verified.map_err(|it| Failure::new(ErrorCode::Internal, it.to_string()))?;
        console.terminal.json(&text)?;
        return Ok(if report.is_sound() { ExitCode::Ok } else { ExitCode::Failure });
    }
    console.terminal.lines(&lines(&report))?;
    match report.findings.first() {
        None => Ok(ExitCode::Ok),
        Some(finding) => Err(Failure::new(ErrorCode::JournalCorrupt, finding.to_string())
            .with_hint(
                "What is proven stays readable. To go on with it: `qd daemon stop`, then \
                 `qd journal rebuild`.",
            )),
    }
}

/// What `qd journal rebuild --json` prints; like the proof it needs no daemon.
#[derive(Debug, Serialize)]
struct RebuildAnswer {
    schema_version: SchemaVersion,
    generated_at: Timestamp,
    path: String,
    /// Whether there was anything to rebuild.
    rebuilt: bool,
    /// Where the damaged database is kept.
    kept: Option<String>,
    /// The last row up to which every one is proven.
    proven_through: Option<u64>,
    continues_after: Option<u64>,
    /// Events that were carried over.
    events: Option<u64>,
    lost: Option<LostAnswer>,
}

/// What the rebuilt database does not have of the damaged one.
#[derive(Debug, Serialize)]
struct LostAnswer {
    /// Rows of the journal that are not proven.
    rows: u64,
    row_runs: Vec<Run>,
    /// Events that were not carried over, as far as it can be told that they were there.
    events: u64,
    event_runs: Vec<Run>,
    /// Damaged rows of other tables.
    others: BTreeMap<&'static str, u64>,
}

/// Sequence numbers without a gap.
#[derive(Debug, Serialize)]
struct Run {
    first: u64,
    last: u64,
}

impl From<&Lost> for LostAnswer {
    fn from(lost: &Lost) -> Self {
        let runs = |numbers: &Numbers| {
            let runs = numbers.runs().iter();
            runs.map(|run| Run { first: *run.start(), last: *run.end() }).collect()
        };
        Self {
            rows: lost.rows.count(),
            row_runs: runs(&lost.rows),
            events: lost.events.count(),
            event_runs: runs(&lost.events),
            others: lost.others.clone(),
        }
    }
}

fn rebuild(console: &Console, args: &RebuildArgs) -> Outcome {
    let paths = console.paths()?;
    let report = journal::verify(&paths).map_err(|error| unverifiable(&error))?;
    let rebuilt = match report.findings.first() {
        None => None,
        Some(finding) if args.yes || agreed(console, finding)? => {
            journal::rebuild(&paths).map_err(|error| not_rebuilt(&error))?
        }
        Some(_) => {
            console.terminal.note(&[Text::plain("Nothing was changed.")]);
            return Ok(ExitCode::Failure);
        }
    };
    if console.is_json() {
        let answer = rebuild_answer(&paths, rebuilt.as_ref(), console.now());
        let text = serde_json::to_string(&answer);
        let text = text.map_err(|it| Failure::new(ErrorCode::Internal, it.to_string()))?;
        console.done(console.terminal.json(&text));
    } else {
        console.done(console.terminal.lines(&told(rebuilt.as_ref())));
    }
    Ok(ExitCode::Ok)
}

fn agreed(console: &Console, finding: &Finding) -> Result<bool, Failure> {
    let question = format!("{finding}. Go on with what is proven, and keep the damaged files?");
    consent::asked(console, &Text::plain(question), "rebuilding")
}

fn not_rebuilt(error: &RunError) -> Failure {
    let told = run_error(error);
    if told.code == ErrorCode::DaemonRunning {
        return told.with_hint("Stop it first: `qd daemon stop`.").into();
    }
    told.into()
}

fn rebuild_answer(
    paths: &Paths,
    rebuilt: Option<&Rebuilt>,
    generated_at: Timestamp,
) -> RebuildAnswer {
    RebuildAnswer {
        schema_version: SchemaVersion::V1,
        generated_at,
        path: paths.database.display().to_string(),
        rebuilt: rebuilt.is_some(),
        kept: rebuilt.map(|it| it.kept.display().to_string()),
        proven_through: rebuilt.map(|it| it.proven_through),
        continues_after: rebuilt.map(|it| it.continues_after),
        events: rebuilt.map(|it| it.events),
        lost: rebuilt.map(|it| LostAnswer::from(&it.lost)),
    }
}

fn told(rebuilt: Option<&Rebuilt>) -> Vec<Text> {
    let Some(rebuilt) = rebuilt else {
        return vec![Text::styled(
            "The journal is sound; there is nothing to rebuild.",
            style::GOOD,
        )];
    };
    let Rebuilt { kept, proven_through, continues_after, events, lost } = rebuilt;
    let carried = format!(
        "Rebuilt from what is proven: every row of the journal through {proven_through}, and \
         {events} events."
    );
    let mut lines = vec![Text::styled(carried, style::GOOD)];
    lines.extend(told_lost(lost).into_iter().map(|it| Text::styled("! ", style::ERROR).then(it)));
    lines.push(Text::plain(format!("It goes on after {continues_after}.")));
    lines.push(Text::plain(format!("The damaged database is kept as {}.", kept.display())));
    lines
}

/// How many runs of numbers a line names; `--json` has them all.
const RUNS_SHOWN: usize = 8;

fn told_lost(lost: &Lost) -> Vec<String> {
    let Lost { rows, events, others } = lost;
    let mut lines = Vec::new();
    if rows.count() > 0 {
        let (count, rows) = (rows.count(), named(rows));
        lines.push(format!(
            "Rows of the journal that are not proven ({count}): {rows}. What only they told is lost."
        ));
    }
    if events.count() > 0 {
        lines.push(format!("Events that are lost ({}): {}.", events.count(), named(events)));
    }
    for (table, count) in others {
        lines.push(format!("Damaged rows of the table {table}, not carried over: {count}."));
    }
    lines
}

fn named(numbers: &Numbers) -> String {
    let runs = numbers.runs();
    let shown = runs.iter().take(RUNS_SHOWN).map(|run| match (run.start(), run.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first} to {last}"),
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if runs.len() > RUNS_SHOWN {
        text.push_str(", and more, which --json names");
    }
    text
}

fn unverifiable(error: &OpenError) -> Failure {
    match error {
        OpenError::Absent { .. } => Failure::new(ErrorCode::DbUnreadable, with_causes(error))
            .with_hint("The daemon makes one when it starts first."),
        OpenError::Newer { .. }
        | OpenError::Foreign { .. }
        | OpenError::OldSqlite { .. }
        | OpenError::Fault { .. } => store_error(error).into(),
    }
}

fn verified(report: &Report, path: String, generated_at: Timestamp) -> Verified<'_> {
    Verified {
        schema_version: SchemaVersion::V1,
        generated_at,
        path,
        database: report.database.as_deref(),
        sound: report.is_sound(),
        first: report.first,
        last: report.last,
        proven: report.proven,
        rows: report.rows,
        checkpoints: report.checkpoints,
        anchored: report.anchored,
        findings: report.findings.iter().map(found).collect(),
    }
}

fn found(finding: &Finding) -> Found {
    let (table, key) = bad_row(finding).unzip();
    Found { message: finding.to_string(), table, key }
}

fn bad_row(finding: &Finding) -> Option<(&'static str, String)> {
    let Finding::BadRow(row) = finding else { return None };
    Some((row.table, row.key.clone()))
}

fn lines(report: &Report) -> Vec<Text> {
    let Report { first, last, proven, rows, checkpoints, .. } = report;
    let range =
        if last < first { "no rows yet".to_owned() } else { format!("rows {first} to {last}") };
    let anchor = match report.anchored {
        Some(sequence) => format!("the anchor knows of {sequence}"),
        None => "there is no anchor".to_owned(),
    };
    let mut lines = vec![Text::plain(format!(
        "{range}: {proven} follow from one another; {rows} rows of tables agree; {checkpoints} \
         checkpoints; {anchor}"
    ))];
    let bad = report.findings.iter();
    lines.extend(bad.map(|it| Text::styled("! ", style::ERROR).then(it.to_string())));
    if report.is_sound() {
        lines.push(Text::styled("The journal is sound.", style::GOOD));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::fixtures::shown;

    fn broken() -> Report {
        let row = journal::BadRow {
            table: "journal",
            key: "17".to_owned(),
            what: journal::Wrong::ChainHash,
        };
        let findings = vec![Finding::BadRow(row), Finding::Cut { found: 20, anchored: 31 }];
        Report { first: 1, last: 20, proven: 16, findings, ..Report::default() }
    }

    #[test]
    fn a_bad_row_is_named_by_table_and_sequence() {
        let report = broken();
        let text = shown(&lines(&report));
        assert!(text.contains("! journal 17: "), "{text}");
        assert!(!text.contains("sound"), "{text}");
        let json = serde_json::to_value(verified(&report, "/q".into(), Timestamp::from_millis(0)));
        let json = json.unwrap();
        assert_eq!(json["sound"], false);
        assert_eq!(
            (&json["findings"][0]["table"], &json["findings"][0]["key"]),
            (&json!("journal"), &json!("17"))
        );
        assert_eq!(json["findings"][1]["table"], json!(null));
    }
}
