//! The section of docs/reference/accuracy.md about the real agents: one part for each run, which
//! stays until the same agent runs again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::report::Ran;

/// The heading of the section. What stands before it is written by the test of the corpus.
const HEADING: &str = "\n## The real agents, live\n";

const ABOUT: &str = "
Written by `./x test agents --page`. Each agent runs in a pane of its own with a scripted model and
no network, its hooks installed, a daemon watching; what `GET /v1/watch` shows is compared with what
the scenario did. *Right* is the share of time with the right state outside of the windows in which a
change may still be under way: 300 ms after one that a hook tells of, 1.5 s after one that only the
screen or a file tells of. `unknown` counts as not right. *Longest wrong* is the longest time for
which a definite state stood that was not true, windows included. Latencies run from the moment at
which the agent showed it or the model was asked to the moment at which a watcher had it; a state
that was there before counts as 0.
";

/// The column of runs on this machine.
const HERE: &str = "here";

/// Puts these runs into the page, in the place of earlier ones of the same kind.
pub(crate) fn write(ran: &[Ran]) -> anyhow::Result<()> {
    let page = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/accuracy.md"));
    let text = std::fs::read_to_string(&page)?;
    let (before, section) = text.split_once(HEADING).unwrap_or((&text, ""));
    let mut parts: BTreeMap<String, String> = BTreeMap::new();
    for part in section.split("\n### ").skip(1) {
        let (title, body) = part.split_once('\n').unwrap_or((part, ""));
        parts.insert(title.to_owned(), body.to_owned());
    }
    for run in ran {
        let title = title(run);
        parts.retain(|known, _| known.split(" · ").next() != title.split(" · ").next());
        parts.insert(title, body(run)?);
    }
    let mut text = format!("{before}{HEADING}{ABOUT}{}", at_a_glance(&parts)?);
    for (title, body) in parts {
        write!(text, "\n### {title}\n{}\n", body.trim_end_matches('\n'))?;
    }
    Ok(std::fs::write(page, text)?)
}

/// A row for each agent with a column for each way in which it ran.
fn at_a_glance(parts: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let mut rows: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    for (title, body) in parts {
        let of_what = title.split(" · ").next().unwrap_or(title);
        let (agent, way) = of_what.split_once(", ").unwrap_or((of_what, HERE));
        let told = ["right ", "longest wrong "].map(|what| told(body, what).unwrap_or("-"));
        rows.entry(agent).or_default().insert(way, told.join("; "));
    }
    let mut ways: Vec<&str> = rows.values().flat_map(|cells| cells.keys().copied()).collect();
    ways.sort_unstable_by_key(|way| (*way != HERE, *way));
    ways.dedup();
    let mut text = format!("\nRight, and longest wrong:\n\n| agent | {} |\n", ways.join(" | "));
    writeln!(text, "| --- |{}", " ---: |".repeat(ways.len()))?;
    for (agent, cells) in rows {
        let cells = ways.iter().map(|way| cells.get(way).map_or("-", String::as_str));
        writeln!(text, "| {agent} | {} |", cells.collect::<Vec<_>>().join(" | "))?;
    }
    Ok(text)
}

/// A figure of the line that sums a run up, with its unit.
fn told<'a>(body: &'a str, what: &str) -> Option<&'a str> {
    let sum = body.lines().find(|line| line.starts_with("In all "))?;
    sum.split([',', ':', ';']).find_map(|part| part.trim_start().strip_prefix(what))
}

fn title(run: &Ran) -> String {
    format!("{}{} · {} on {}", run.agent, run.round, run.version, run.date)
}

fn body(run: &Ran) -> anyhow::Result<String> {
    let mut text = String::new();
    writeln!(text, "\n{}\n", run.sum())?;
    text.push_str(
        "| became true | times | hook tells | right | right reason | median | slowest |\n",
    );
    text.push_str("| --- | ---: | --- | ---: | ---: | ---: | ---: |\n");
    for (name, row) in run.rows() {
        let hooked = if row.hooked { "yes" } else { "no" };
        writeln!(
            text,
            "| {name} | {} | {hooked} | {:.2} % | {:.2} % | {} | {} |",
            row.times,
            row.right,
            row.reasoned,
            latency(row.latencies.median()),
            latency(row.latencies.max()),
        )?;
    }
    acts(&mut text, run)?;
    for told in &run.untold {
        writeln!(text, "\nNot played: {told}.")?;
    }
    Ok(text)
}

/// What was done to the agent from elsewhere.
fn acts(text: &mut String, run: &Ran) -> anyhow::Result<()> {
    let acts = run.acts();
    if acts.is_empty() {
        return Ok(());
    }
    text.push_str("\n| done from elsewhere | times | as it had to be | median | slowest |\n");
    text.push_str("| --- | ---: | ---: | ---: | ---: |\n");
    for (name, of) in acts {
        let [median, slowest] = [of.took.median(), of.took.max()].map(latency);
        writeln!(text, "| {name} | {} | {} | {median} | {slowest} |", of.times, of.right)?;
    }
    Ok(())
}

/// A latency as it is read; none where the state was never shown, because it did not last.
fn latency(ms: f64) -> String {
    if ms.is_nan() { "-".to_owned() } else { format!("{ms:.0} ms") }
}
