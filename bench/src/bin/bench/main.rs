//! Figures of the real binary, each beside a limit or an alternative measured in the same run.
//!
//! `./x bench` runs all of them, `./x bench deaths idle` those two, `--json FILE` keeps the
//! figures. Absolute times depend on the machine and its load; the ratios are what is kept.

mod acts;
mod answers;
mod changes;
mod commands;
mod deaths;
mod fanout;
mod flood;
mod hooks;
mod idle;
mod ingest;
mod journal;
mod limits;
mod machines;
mod needs;
mod restart;
mod strangers;

use anyhow::{Context, bail};
use bench::report::Report;
use bench::world::Binary;

/// A benchmark: its name on the command line, the row it fills, and how.
type Bench = (&'static str, &'static str, fn(&Binary, &mut Report) -> anyhow::Result<()>);

const BENCHES: &[Bench] = &[
    ("deaths", "P-3: a process of a pane is killed, a tmux server dies", deaths::run),
    ("changes", "a pane appears, is renamed, respawned, changes its command", changes::run),
    ("needs", "P-1, P-2: an agent needs somebody", needs::run),
    ("answers", "an agent that was told yes from elsewhere", answers::run),
    ("hook", "P-4: a hook of an agent", hooks::run),
    ("idle", "P-5: quiet panes", idle::run),
    ("agents", "P-5: quiet panes with an agent in each", idle::agents),
    ("busy", "P-6: 50 panes of 10 lines a second", idle::busy),
    ("flood", "P-7: a pane that prints 100 MB", flood::run),
    ("ingest", "P-10: durable events", ingest::run),
    ("commands", "P-11: the command line", commands::run),
    ("acts", "P-12: sends, many of them, and attach", acts::run),
    ("machines", "P-14: targets over ssh", machines::run),
    ("restart", "P-13: killed, started again", restart::run),
    ("fanout", "P-15: a hundred watchers", fanout::run),
    ("strangers", "S-30: connections that say nothing", strangers::run),
    ("journal", "P-20, P-21: bytes, verification, size", journal::run),
];

fn main() -> anyhow::Result<()> {
    let mut wanted = Vec::new();
    let mut json = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = Some(arguments.next().context("--json needs a file")?),
            name if BENCHES.iter().any(|(known, ..)| *known == name) => {
                wanted.push(name.to_owned());
            }
            other => {
                let known: Vec<_> = BENCHES.iter().map(|(name, ..)| *name).collect();
                bail!("no benchmark is named `{other}`; there are: {}", known.join(", "));
            }
        }
    }
    let qd = Binary::find()?;
    let mut report = Report::new(&qd);
    for (name, title, run) in BENCHES {
        if wanted.is_empty() || wanted.iter().any(|it| it == name) {
            report.section(name, title);
            run(&qd, &mut report).with_context(|| format!("the benchmark `{name}`"))?;
        }
    }
    if let Some(file) = json {
        std::fs::write(&file, report.to_json()).with_context(|| format!("writing {file}"))?;
    }
    Ok(())
}
