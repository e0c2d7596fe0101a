//! `qd journal`: the record of everything that happened, and its proof.

use api::words::SchemaVersion;
use api::{ErrorCode, ExitCode, Timestamp};
use clap::Subcommand;
use daemon::journal::{self, Finding, OpenError, Report};
use serde::Serialize;

use crate::commands::Outcome;
use crate::console::Console;
use crate::failure::Failure;
use crate::output::style;
use crate::output::text::Text;
use crate::starter::{store_error, with_causes};

#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// Prove that nothing of it was changed or lost, without a daemon
    ///
    /// Follows every link of the hash chain, holds every row against its hash, the tables against
    /// a replay, and all of it against the anchor beside the database. Names the first bad row.
    Verify,
}

pub(crate) fn run(console: &Console, command: &JournalCommand) -> Outcome {
    match command {
        JournalCommand::Verify => verify(console),
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
            .with_hint("Keep a copy. What is proven is kept when the daemon starts next.")),
    }
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
