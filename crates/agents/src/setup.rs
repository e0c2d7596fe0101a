//! Setting an agent up: which of its user's settings files its hooks stand in, and how they get
//! there and away again, as changes of texts. Reading and writing the files is the command line's.

pub(crate) mod edit;
pub(crate) mod hooks;
pub(crate) mod json;
pub mod line;

use std::fmt;

use hooks::Listing;
use line::HookLine;

/// What hooks run on a machine without `qd`: a script for any POSIX `sh`, which writes to the spool
/// beside itself.
pub const HOOK: &str = include_str!("setup/hook.sh");

/// How an agent is set up in its user's own settings.
pub struct Setup {
    /// Names of its program on the path.
    pub programs: &'static [&'static str],
    pub folder: Folder,
    /// The file with the hooks, below the folder.
    pub file: &'static str,
    pub(crate) manner: Manner,
    /// The file, below the folder, in which the user's trust in hooks is written down.
    pub(crate) trust: Option<Trust>,
    /// Whether it is left out where all agents are to be set up.
    pub only_when_named: bool,
    /// What has to be there first.
    pub needs: Option<Need>,
    /// What the user should know about it.
    pub remark: &'static str,
}

/// Where an agent keeps its user's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Below the home folder.
    pub home: &'static str,
    /// Variables that move it elsewhere, the most important first.
    pub moved: &'static [Moved],
}

/// A variable that moves a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub variable: &'static str,
    /// Below what the variable names.
    pub below: &'static str,
    /// Whether the agent follows links in it before it says where its files are.
    pub resolved: bool,
}

/// Something that has to be installed before hooks do no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// A file, below the folder, that is there once it is installed.
    pub file: &'static str,
    /// How to install it; the folder is to be added as the last word.
    pub install: &'static str,
    pub why: &'static str,
}

/// An event whose hook is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: &'static str,
    /// How long the agent waits for the hook.
    pub(crate) seconds: u64,
}

/// Events with the time that is usual for a hook: longer than it takes to give up on a payload.
pub(crate) const fn usual(name: &'static str) -> Event {
    Event { name, seconds: 10 }
}

/// How the file with the hooks is changed.
pub(crate) enum Manner {
    /// It is the user's, with entries of ours in it.
    Entries(&'static Listing),
    /// It is ours as a whole.
    Whole(fn(program: &str) -> String),
}

/// How the user's trust is written down.
pub(crate) struct Trust {
    pub(crate) file: &'static str,
    pub(crate) merge: fn(text: Option<&str>, hooks: &SettingsFile) -> Result<String, Refusal>,
    pub(crate) remove: fn(text: &str, hooks: &SettingsFile) -> Result<String, Refusal>,
    pub(crate) given: fn(text: Option<&str>, hooks: &SettingsFile) -> bool,
}

/// A settings file: its path as the agent knows it, and its text if it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsFile {
    pub path: String,
    pub text: Option<String>,
}

/// What a file was before anything of ours was in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Before {
    #[default]
    Unknown,
    Absent,
    Text(String),
}

impl Before {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Unknown | Self::Absent => None,
        }
    }
}

/// Why a file is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which of the setup's files.
    pub file: usize,
    /// Counted from 1, as editors do.
    pub line: usize,
    pub column: usize,
    pub problem: String,
}

impl Refusal {
    pub(crate) fn at(text: &str, at: usize, problem: &str) -> Self {
        let before = text.get(..at).unwrap_or(text).trim_start_matches('\u{feff}');
        let line = before.bytes().filter(|it| *it == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { file: 0, line, column, problem: problem.to_owned() }
    }

    const fn of_file(mut self, file: usize) -> Self {
        self.file = file;
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.problem)
    }
}

impl std::error::Error for Refusal {}

/// What of ours stands in a settings file, counted by events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// As this version writes them for this program.
    pub in_place: usize,
    /// By another version, for a program elsewhere, or changed since.
    pub stale: usize,
    pub missing: usize,
    /// Hooks of others.
    pub foreign: usize,
    /// The lines of ours, as they stand there.
    pub lines: Vec<HookLine>,
    /// Whether the agent runs them without asking.
    pub trusted: bool,
}

impl Standing {
    pub const fn is_complete(&self) -> bool {
        self.stale == 0 && self.missing == 0 && self.in_place > 0
    }

    pub const fn is_none(&self) -> bool {
        self.in_place == 0 && self.stale == 0
    }
}

impl Setup {
    /// The files below the folder, that with the hooks first.
    pub fn files(&self) -> Vec<&'static str> {
        let trust = self.trust.as_ref().map(|trust| trust.file);
        std::iter::once(self.file).chain(trust).collect()
    }

    /// The texts of the files with our entries in them, and nothing else changed. `files` are those
    /// of [`Self::files`].
    pub fn merge(&self, files: &[SettingsFile], program: &str) -> Result<Vec<String>, Refusal> {
        let [hooks, rest @ ..] = files else { return Ok(Vec::new()) };
        let text = hooks.text.as_deref();
        let merged = match &self.manner {
            Manner::Entries(listing) => listing.merge(text, program)?,
            Manner::Whole(render) => {
                let foreign = text.filter(|text| !is_ours(text));
                if let Some(text) = foreign {
                    return Err(Refusal::at(text, 0, "somebody else wrote this file"));
                }
                render(program)
            }
        };
        let mut texts = vec![merged];
        if let (Some(trust), [file, ..]) = (&self.trust, rest) {
            let hooks = SettingsFile { path: hooks.path.clone(), text: texts.first().cloned() };
            let merged = (trust.merge)(file.text.as_deref(), &hooks);
            texts.push(merged.map_err(|refusal| refusal.of_file(1))?);
        }
        Ok(texts)
    }

    /// The texts of the files without our entries; none for a file that only we made.
    pub fn remove(
        &self,
        files: &[SettingsFile],
        before: &[Before],
    ) -> Result<Vec<Option<String>>, Refusal> {
        let before = |at: usize| before.get(at).unwrap_or(&Before::Unknown);
        let mut texts: Vec<Option<String>> = files.iter().map(|file| file.text.clone()).collect();
        let [hooks, rest @ ..] = files else { return Ok(texts) };
        if let (Some(trust), [SettingsFile { text: Some(text), .. }, ..]) = (&self.trust, rest) {
            let removed = (trust.remove)(text, hooks).map_err(|refusal| refusal.of_file(1))?;
            texts[1] = as_before(removed, before(1));
        }
        if let Some(text) = &hooks.text {
            texts[0] = match &self.manner {
                Manner::Entries(listing) => listing.remove(text, before(0))?,
                Manner::Whole(_) if is_ours(text) => None,
                Manner::Whole(_) => Some(text.clone()),
            };
        }
        Ok(texts)
    }

    /// What stands in the files.
    pub fn standing(&self, files: &[SettingsFile], program: &str) -> Result<Standing, Refusal> {
        let [hooks, rest @ ..] = files else { return Ok(Standing::default()) };
        let text = hooks.text.as_deref();
        let mut standing = match &self.manner {
            Manner::Entries(listing) => listing.standing(text.unwrap_or_default(), program)?,
            Manner::Whole(render) => whole(text, &render(program)),
        };
        standing.trusted = match (&self.trust, rest) {
            (Some(trust), [file, ..]) => (trust.given)(file.text.as_deref(), hooks),
            _ => true,
        };
        Ok(standing)
    }
}

/// Where only blank space differs from what was there before, that is meant.
fn as_before(text: String, before: &Before) -> Option<String> {
    match before {
        Before::Text(original) if original.trim_end() == text.trim_end() => Some(original.clone()),
        Before::Absent if text.trim().is_empty() => None,
        Before::Text(_) | Before::Absent | Before::Unknown => Some(text),
    }
}

/// Whether a file that is ours as a whole is one of ours.
fn is_ours(text: &str) -> bool {
    first_line(text).is_some()
}

/// The line that a file of ours begins with, behind the sign of a comment.
fn first_line(text: &str) -> Option<HookLine> {
    HookLine::read(text.lines().next()?)
}

fn whole(text: Option<&str>, wanted: &str) -> Standing {
    let mut standing = Standing::default();
    match text {
        None => standing.missing = 1,
        Some(text) if text == wanted => standing.in_place = 1,
        Some(text) if is_ours(text) => standing.stale = 1,
        Some(_) => (standing.missing, standing.foreign) = (1, 1),
    }
    standing.lines = text.and_then(first_line).into_iter().collect();
    standing
}
