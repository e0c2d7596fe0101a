//! What has to be known of a real agent to run it in the dark: how it is installed, started without
//! an account, watched with the naked eye, and typed to. Nothing here is shared with the adapters:
//! what is true must not be taken from what is tested.

mod claude;
mod codex;
mod copilot;
mod gemini;
mod opencode;

use std::path::{Path, PathBuf};

use serde_json::Value;

/// All of them, in the order in which they run.
pub(crate) const LABS: &[&Lab] =
    &[&claude::LAB, &codex::LAB, &gemini::LAB, &copilot::LAB, &opencode::LAB];

/// One agent.
pub(crate) struct Lab {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
    /// The version that the corpus was recorded from.
    pub(crate) version: &'static str,
    /// It runs with each change that is checked by machines.
    pub(crate) always: bool,
    /// Packages that it would fetch by itself when it starts.
    pub(crate) extras: &'static [&'static str],
    pub(crate) program: &'static str,
    pub(crate) arguments: &'static [&'static str],
    /// Variables that it needs beside the usual ones.
    pub(crate) environment: fn(&Site) -> Vec<(&'static str, String)>,
    /// Writes the settings that its user would have.
    pub(crate) prepare: fn(&Site) -> anyhow::Result<()>,
    /// Trusts the project's folder, as a person did long ago.
    pub(crate) trust: fn(&Site) -> anyhow::Result<()>,
    /// How long after a text Enter counts as Enter, in milliseconds.
    pub(crate) paste_ms: u64,
    /// How long a person waits between two keys that belong together, in milliseconds. An agent
    /// that reads both at once, because it was busy, takes them for a single one; one that reads
    /// them too far apart, for two.
    pub(crate) pause_ms: u64,
    /// How often it has to be refused until it shows that it tries again.
    pub(crate) refusals: u32,
    pub(crate) marks: Marks,
    pub(crate) keys: Keys,
    /// What it does once its hook has said no.
    pub(crate) after_denial: AfterDenial,
    /// What it does not do, and why it is therefore not asked to.
    pub(crate) cannot: &'static [(&'static str, &'static str)],
    /// What its hooks tell; everything else shows on the screen or in a file, if anywhere.
    pub(crate) hooked: &'static [&'static str],
}

/// What an agent does once it was told no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterDenial {
    /// The turn is over.
    Stops,
    /// It tells its model, which may have something to say to that.
    GoesOn,
}

/// Words on the screen by which a person knows what is the case. Any of a list will do; there are none
/// for what an agent does not show.
pub(crate) struct Marks {
    pub(crate) startup: &'static [&'static str],
    pub(crate) ready: &'static [&'static str],
    pub(crate) busy: &'static [&'static str],
    pub(crate) approval: &'static [&'static str],
    pub(crate) question: &'static [&'static str],
    pub(crate) failed: &'static [&'static str],
    pub(crate) retrying: &'static [&'static str],
    pub(crate) compacted: &'static [&'static str],
    /// A permission in a pane of 30 columns.
    pub(crate) narrow: &'static [&'static str],
}

impl Marks {
    /// Whether what a truth is known by stands on a screen, where it is known by words.
    pub(crate) fn are_on(&self, truth: &str, screen: &str) -> bool {
        let marks = match truth {
            "waiting_approval/approval_requested" => [self.approval, self.narrow],
            "waiting_input/question" => [self.question, &[]],
            "waiting_input/startup_dialog" => [self.startup, &[]],
            "running/api_retry" => [self.retrying, &[]],
            _ => return true,
        };
        let plain = plain(screen);
        marks.iter().copied().flatten().any(|mark| plain.contains(mark))
    }
}

/// A screen's characters, without how they are drawn.
fn plain(screen: &str) -> String {
    let mut parts = screen.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

/// Stands between two keys that are not pressed at once.
pub(crate) const PAUSE: &str = "";

/// What is typed for what, as tmux names keys.
pub(crate) struct Keys {
    pub(crate) trust: &'static [&'static str],
    pub(crate) approve: &'static [&'static str],
    pub(crate) deny: &'static [&'static str],
    pub(crate) interrupt: &'static [&'static str],
    pub(crate) answer: &'static [&'static str],
    pub(crate) clear: &'static [&'static str],
    pub(crate) exit: &'static str,
    pub(crate) compact: &'static str,
}

/// Where one agent runs.
pub(crate) struct Site {
    pub(crate) home: PathBuf,
    pub(crate) project: PathBuf,
    /// The model's address, without a path.
    pub(crate) url: String,
    pub(crate) prefix: PathBuf,
}

impl Site {
    pub(crate) fn write(&self, below: &str, text: &str) -> anyhow::Result<()> {
        write(&self.home.join(below), text)
    }

    /// Changes a file of settings, which need not be there yet.
    pub(crate) fn change(
        &self,
        below: &str,
        change: impl FnOnce(&mut Value),
    ) -> anyhow::Result<()> {
        let path = self.home.join(below);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|_| "{}".to_owned());
        let mut value = serde_json::from_str(&text)?;
        change(&mut value);
        write(&path, &value.to_string())
    }

    pub(crate) fn project_text(&self) -> String {
        self.project.to_string_lossy().into_owned()
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, text)?)
}
