//! How soon one who watches knows that an agent needs somebody: it runs its permission hook, or only
//! shows a dialog.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use anyhow::Context;
use bench::cast::{Cast, Cue};
use bench::figures::Samples;
use bench::report::Report;
use bench::world::{Binary, drift};
use serde_json::Value;
use testkit::wait::now;

use crate::limits::{self, Disk};

const AGENTS: usize = 50;
const ROUNDS: usize = 200;
/// Each of them waits for what a screen has to settle.
const SCREENS: usize = 60;

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    let mut cast = Cast::new(qd, AGENTS)?;
    let mut watcher = Watcher::begin(&cast)?;
    let mut disk = Disk::of(cast.world.env.root())?;
    let hooked = watcher.rounds(&mut cast, &mut disk, ROUNDS, [Cue::Work, Cue::Ask])?;
    let what = format!("permission hook told to start -> `qd watch` prints it, {AGENTS} agents");
    report.figure(&what, hooked.median(), "ms", "2");
    report.figure("  99 of 100", hooked.quantile(0.99), "ms", "10");
    disk.tell(report);
    let spawn = limits::spawn("/bin/true", &[], 200)?;
    report.beside("/bin/true, median", spawn.median(), "ms");
    report.beside("Agent of Empires (published)", 1_500.0, "ms");
    drop((watcher, cast));

    let mut cast = Cast::new(qd, AGENTS)?;
    let mut watcher = Watcher::begin(&cast)?;
    let mut disk = Disk::of(cast.world.env.root())?;
    let cues = [Cue::ShowWork, Cue::ShowQuestion];
    let shown = watcher.rounds(&mut cast, &mut disk, SCREENS, cues)?;
    report.figure("no hooks: dialog told to be painted -> printed", shown.median(), "ms", "150");
    report.figure("  99 of 100", shown.quantile(0.99), "ms", "-");
    disk.tell(report);
    Ok(())
}

/// A `qd watch` that somebody left open.
struct Watcher {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watcher {
    fn begin(cast: &Cast) -> anyhow::Result<Self> {
        let env = &cast.world.env;
        let mut command = env.command(env.qd_program());
        command.args(["watch", "--format", "jsonl", "--scope", "panes"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("a pipe")?);
        let mut watcher = Self { child, lines };
        watcher.frame()?;
        Ok(watcher)
    }

    fn frame(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("`qd watch` printed {line:?}"))
    }

    /// Reads on until a pane is in a state.
    fn sees(&mut self, pane: &str, state: &str) -> anyhow::Result<()> {
        let wanted = |change: &Value| {
            change["identity"]["pane_id"] == pane && change["item"]["state"] == state
        };
        while !self.frame()?["changes"].as_array().is_some_and(|it| it.iter().any(wanted)) {}
        Ok(())
    }

    /// Has one agent after the other work and then ask; how long the second took to be printed.
    fn rounds(
        &mut self,
        cast: &mut Cast,
        disk: &mut Disk,
        rounds: usize,
        [works, asks]: [Cue; 2],
    ) -> anyhow::Result<Samples> {
        let mut samples = Samples::none();
        for nth in 0..rounds {
            let agent = nth % AGENTS;
            let pane = cast.pane(agent);
            cast.tell(agent, works)?;
            self.sees(&pane, "running")?;
            drift(nth);
            disk.ask()?;
            let began = now();
            cast.tell(agent, asks)?;
            self.sees(&pane, "waiting_approval")?;
            samples.push_ms(began.elapsed());
        }
        Ok(samples)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It may have ended with its daemon.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
