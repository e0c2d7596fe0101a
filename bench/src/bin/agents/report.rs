//! What came of it: a table for whoever waits, an artefact for machines, a section of the page.

use std::collections::BTreeMap;
use std::time::Duration;

use bench::figures::Samples;
use bench::world::Binary;
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::plan::Plan;
use crate::run::Outcome;
use crate::say;
use crate::truth::Stretch;

/// The share of time in which the right state has to be shown, in percent.
const RIGHT_MIN: f64 = 99.5;

/// How long a definite state may be wrong.
const WRONG_MAX: Duration = Duration::from_millis(1_500);

/// One agent's run.
struct Ran {
    agent: &'static str,
    version: String,
    restarts: bool,
    outcome: Outcome,
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
        self.stuck.push(format!("{} {scene}", lab.name));
    }

    pub(crate) fn ran(&mut self, lab: &Lab, version: &str, restarts: bool, outcome: Outcome) {
        let version = version.to_owned();
        self.ran.push(Ran { agent: lab.name, version, restarts, outcome });
    }

    pub(crate) fn is_good(&self) -> bool {
        self.stuck.is_empty() && self.ran.iter().all(Ran::is_good)
    }

    pub(crate) fn print(&self) {
        for ran in &self.ran {
            say(&format!("\n{} {}", ran.agent, ran.version));
            for stretch in &ran.outcome.stretches {
                say(&line(stretch));
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

    fn is_good(&self) -> bool {
        self.share(|it| it.right) >= RIGHT_MIN && self.longest_wrong() <= WRONG_MAX
    }

    /// Latencies by what became true.
    fn latencies(&self) -> BTreeMap<&'static str, Samples> {
        let mut found: BTreeMap<&'static str, Samples> = BTreeMap::new();
        for stretch in &self.outcome.stretches {
            let samples = found.entry(stretch.change.name).or_default();
            if let Some(latency) = stretch.latency {
                samples.push_ms(latency);
            }
        }
        found
    }

    fn sum(&self) -> String {
        format!(
            "  in all {:.1} s: right {:.2} %, right reason {:.2} %, unknown {:.2} %, \
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
        let stretches: Vec<Value> = self.outcome.stretches.iter().map(stretch).collect();
        json!({
            "agent": self.agent, "version": self.version, "daemon_restarted": self.restarts,
            "right_percent": self.share(|it| it.right),
            "longest_wrong_ms": ms(self.longest_wrong()),
            "samples": self.outcome.samples, "right_samples": self.outcome.right_samples,
            "left_behind": self.outcome.left_behind, "stretches": stretches,
        })
    }
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
