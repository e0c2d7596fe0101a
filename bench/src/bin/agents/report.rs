//! What came of it: a table for whoever waits, an artefact for machines, a section of the page.

use std::collections::BTreeMap;
use std::time::Duration;

use bench::figures::Samples;
use bench::world::Binary;
use serde_json::{Value, json};

use crate::acts::Act;
use crate::lab::Lab;
use crate::page;
use crate::plan::{Plan, Round};
use crate::run::Outcome;
use crate::say;
use crate::truth::{HOOKED, Stretch};

/// The share of time in which the right state has to be shown, in percent.
const RIGHT_MIN: f64 = 99.5;

/// How long a definite state may be wrong.
const WRONG_MAX: Duration = Duration::from_millis(1_500);

/// One agent's run.
pub(crate) struct Ran {
    pub(crate) agent: &'static str,
    pub(crate) version: String,
    pub(crate) date: String,
    pub(crate) round: Round,
    /// Scenes that were left out or did not come to their end, and why.
    pub(crate) untold: Vec<String>,
    outcome: Outcome,
}

/// All that became true under one name.
pub(crate) struct Row {
    pub(crate) times: usize,
    pub(crate) hooked: bool,
    /// In percent of the time that counts.
    pub(crate) right: f64,
    pub(crate) reasoned: f64,
    pub(crate) latencies: Samples,
}

/// All acts of one kind.
pub(crate) struct Acts {
    pub(crate) times: usize,
    pub(crate) right: usize,
    pub(crate) took: Samples,
}

impl Acts {
    fn none() -> Self {
        Self { times: 0, right: 0, took: Samples::none() }
    }
}

pub(crate) struct Report {
    qd: String,
    dark: bool,
    ran: Vec<Ran>,
    skipped: Vec<String>,
    left_out: Vec<String>,
    stuck: Vec<String>,
}

impl Report {
    pub(crate) fn new(qd: &Binary, dark: bool) -> Self {
        let qd = qd.version.clone();
        Self { qd, dark, ran: vec![], skipped: vec![], left_out: vec![], stuck: vec![] }
    }

    pub(crate) fn skipped(&mut self, lab: &Lab, why: &str) {
        say(&format!("SKIPPED {}: {why}", lab.name));
        self.skipped.push(format!("{}: {why}", lab.name));
    }

    pub(crate) fn left_out(&mut self, lab: &Lab, scene: &str, why: &str) {
        let told = format!("{} {scene}: {why}", lab.name);
        if !self.left_out.contains(&told) {
            self.left_out.push(told);
        }
    }

    pub(crate) fn stuck(&mut self, lab: &Lab, scene: &str, why: &str) {
        say(&format!("STUCK {} in {scene}: {why}", lab.name));
        self.stuck.push(format!("{} {scene}: it did not come to its end", lab.name));
    }

    pub(crate) fn ran(&mut self, lab: &Lab, version: &str, round: Round, outcome: Outcome) {
        let (version, date) = (version.to_owned(), today());
        let of_lab = |told: &&String| told.starts_with(lab.name);
        let untold = self.left_out.iter().chain(&self.stuck).filter(of_lab).cloned().collect();
        self.ran.push(Ran { agent: lab.name, version, date, round, untold, outcome });
    }

    pub(crate) fn is_good(&self) -> bool {
        self.stuck.is_empty() && self.ran.iter().all(Ran::is_good)
    }

    pub(crate) fn print(&self) {
        for ran in &self.ran {
            say(&format!("\n{} {}{}", ran.agent, ran.version, ran.round));
            for stretch in &ran.outcome.stretches {
                say(&line(stretch));
            }
            for act in &ran.outcome.acts {
                let took = act.took.map_or_else(String::new, |it| format!("{} ms", ms(it)));
                let came = act.wrong.as_deref().unwrap_or("as it had to");
                say(&format!("  {:<20} {:<45} {took:>8}  {came}", act.scene, act.name));
            }
            say(&ran.sum());
            for left in &ran.outcome.left_behind {
                say(&format!(
                    "  left behind and ended: {}",
                    left.chars().take(100).collect::<String>()
                ));
            }
        }
        for told in self.left_out.iter().chain(&self.skipped) {
            say(&format!("not played: {told}"));
        }
    }

    /// Writes the artefact and, where it is asked for, the page.
    pub(crate) fn keep(&self, plan: &Plan) -> anyhow::Result<()> {
        if let Some(folder) = plan.keep() {
            std::fs::write(folder.join("agents.json"), format!("{:#}\n", self.to_json()))?;
        }
        if plan.page && !self.ran.is_empty() {
            anyhow::ensure!(plan.is_whole(), "the page tells of whole runs only");
            page::write(&self.ran)?;
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let ran: Vec<Value> = self.ran.iter().map(Ran::to_json).collect();
        json!({
            "qd": self.qd, "without_network": self.dark, "ran": ran, "skipped": self.skipped,
            "left_out": self.left_out, "stuck": self.stuck,
        })
    }
}

impl Ran {
    fn total(&self, of: impl Fn(&Stretch) -> Duration) -> Duration {
        self.outcome.stretches.iter().map(of).sum()
    }

    fn share(&self, of: impl Fn(&Stretch) -> Duration) -> f64 {
        percent(self.total(of), self.total(|it| it.counted))
    }

    fn longest_wrong(&self) -> Duration {
        self.outcome.stretches.iter().map(|it| it.longest_wrong).max().unwrap_or_default()
    }

    /// What was done from elsewhere, by its name: how often, how often as it had to, how long.
    pub(crate) fn acts(&self) -> BTreeMap<&'static str, Acts> {
        let mut found: BTreeMap<&'static str, Acts> = BTreeMap::new();
        for act in &self.outcome.acts {
            let of = found.entry(act.name).or_insert_with(Acts::none);
            of.times += 1;
            of.right += usize::from(act.wrong.is_none());
            if let Some(took) = act.took {
                of.took.push_ms(took);
            }
        }
        found
    }

    fn is_good(&self) -> bool {
        self.outcome.acts.iter().all(|act| act.wrong.is_none())
            && self.share(|it| it.right) >= RIGHT_MIN
            && self.longest_wrong() <= WRONG_MAX
    }

    /// The stretches by what became true.
    pub(crate) fn rows(&self) -> BTreeMap<&'static str, Row> {
        let mut found: BTreeMap<&'static str, Vec<&Stretch>> = BTreeMap::new();
        for stretch in &self.outcome.stretches {
            found.entry(stretch.change.name).or_default().push(stretch);
        }
        found.into_iter().map(|(name, stretches)| (name, row(&stretches))).collect()
    }

    pub(crate) fn sum(&self) -> String {
        format!(
            "In all {:.1} s: right {:.2} %, right reason {:.2} %, unknown {:.2} %, \
             longest wrong {:.2} s; {} of {} samples right",
            self.total(|it| it.counted).as_secs_f64(),
            self.share(|it| it.right),
            self.share(|it| it.reasoned),
            self.share(|it| it.unknown),
            self.longest_wrong().as_secs_f64(),
            self.outcome.right_samples,
            self.outcome.samples,
        )
    }

    fn to_json(&self) -> Value {
        let stretch = |it: &Stretch| {
            json!({
                "scene": it.change.scene, "became": it.change.name, "truth": it.change.truth.0,
                "counted_ms": ms(it.counted), "right_ms": ms(it.right),
                "right_reason_ms": ms(it.reasoned), "unknown_ms": ms(it.unknown),
                "longest_wrong_ms": ms(it.longest_wrong), "wrong": it.wrong,
                "latency_ms": it.latency.map(ms), "window_ms": ms(it.change.window),
            })
        };
        let act = |it: &Act| {
            json!({
                "scene": it.scene, "act": it.name, "wrong": it.wrong, "took_ms": it.took.map(ms),
            })
        };
        let acts: Vec<Value> = self.outcome.acts.iter().map(act).collect();
        let stretches: Vec<Value> = self.outcome.stretches.iter().map(stretch).collect();
        json!({
            "agent": self.agent, "version": self.version, "daemon_restarted": self.round.restarts,
            "over_ssh": self.round.over_ssh,
            "right_percent": self.share(|it| it.right),
            "longest_wrong_ms": ms(self.longest_wrong()),
            "samples": self.outcome.samples, "right_samples": self.outcome.right_samples,
            "left_behind": self.outcome.left_behind, "stretches": stretches,
            "acts": acts,
        })
    }
}

fn row(stretches: &[&Stretch]) -> Row {
    let total = |of: fn(&Stretch) -> Duration| stretches.iter().map(|it| of(it)).sum::<Duration>();
    let counted = total(|it| it.counted);
    let mut latencies = Samples::none();
    for latency in stretches.iter().filter_map(|it| it.latency) {
        latencies.push_ms(latency);
    }
    Row {
        times: stretches.len(),
        hooked: stretches.iter().all(|it| it.change.window == HOOKED),
        right: percent(total(|it| it.right), counted),
        reasoned: percent(total(|it| it.reasoned), counted),
        latencies,
    }
}

/// The day of the run, from a program that every machine has.
pub(crate) fn today() -> String {
    let mut command = testkit::process::command("/bin/date");
    let output = command.arg("+%Y-%m-%d").output();
    output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default()
}

fn line(stretch: &Stretch) -> String {
    let latency = stretch.latency.map_or_else(|| "never".to_owned(), |it| format!("{}", ms(it)));
    let right = percent(stretch.right, stretch.counted);
    let reason = percent(stretch.reasoned, stretch.counted);
    format!(
        "  {:<16} {:<12} {:<36} {:>6} ms  right {right:>6.2}  reason {reason:>6.2}  after {latency:>5}  wrong {:>5} {}",
        stretch.change.scene,
        stretch.change.name,
        stretch.change.truth.0,
        ms(stretch.counted),
        ms(stretch.longest_wrong),
        stretch.wrong,
    )
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A share of nothing is all of it: nothing was wrong.
fn percent(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 100.0 } else { part.as_secs_f64() / whole.as_secs_f64() * 100.0 }
}
