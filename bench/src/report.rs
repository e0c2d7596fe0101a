//! What a run prints: one line a figure, with its goal and what it is compared with.

use std::io::Write;

use serde_json::{Value, json};

use crate::world::Binary;

/// Collects figures and prints each as it comes.
pub struct Report {
    section: &'static str,
    figures: Vec<Value>,
    qd: String,
}

impl Report {
    pub fn new(qd: &Binary) -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or("?").to_owned();
        print(&format!("binary: {} ({} bytes), load {load}", qd.version, qd.bytes));
        Self { section: "", figures: Vec::new(), qd: qd.version.clone() }
    }

    pub fn section(&mut self, name: &'static str, title: &str) {
        self.section = name;
        print(&format!("\n## {name}: {title}"));
    }

    /// One figure: what, its value, and what was wanted.
    pub fn figure(&mut self, what: &str, value: f64, unit: &str, goal: &str) {
        print(&format!("{what:<58} {:>12} {unit:<10} goal {goal}", short(value)));
        self.keep(what, value, unit, goal);
    }

    /// Something measured beside it in the same run.
    pub fn beside(&mut self, what: &str, value: f64, unit: &str) {
        print(&format!("  beside: {what:<48} {:>12} {unit}", short(value)));
        self.keep(what, value, unit, "");
    }

    fn keep(&mut self, what: &str, value: f64, unit: &str, goal: &str) {
        self.figures.push(json!({
            "bench": self.section, "what": what, "value": value, "unit": unit, "goal": goal,
        }));
    }

    pub fn to_json(&self) -> String {
        json!({ "qd": self.qd, "figures": self.figures }).to_string()
    }
}

fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 1_000.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

fn print(line: &str) {
    // A closed pipe ends the run anyway.
    drop(writeln!(std::io::stdout(), "{line}"));
}
