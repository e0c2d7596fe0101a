//! The adapters that are there: those of the program and those that files of the user's describe,
//! less those that somebody turned off.
//!
//! A roster never changes. When a file does, or somebody turns an adapter on or off, there is
//! another one, and every target is observed anew by it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use agents::adapter::{Adapter, Report};
use agents::generic::{DESCRIPTION_BYTES_MAX, Generic, Unusable};
use agents::program::Program;
use agents::redact;
use agents::registry::Registry;
use agents::screen::Screen;
use api::adapters::AdapterProblem;
use engine::limits;
use engine::words::Detail;
use serde_json::Value;
use tmux::capture::Captured;

/// The folder beside the settings file in which agents are described.
const FOLDER: &str = "adapters";
/// How the name of a description ends.
const EXTENSION: &str = "toml";
/// Descriptions that are read; further ones are named and left out.
const FILES_MAX: usize = 64;

/// Where agents are described, for a settings file.
pub fn folder(config: &Path) -> PathBuf {
    config.with_file_name(FOLDER)
}

/// A description that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub problem: AdapterProblem,
    /// The agent that it says it is about, if only its contract is another one.
    pub agent: Option<String>,
    /// The version of that contract.
    pub version: Option<String>,
}

/// What tmux captured, as adapters read it.
pub(crate) fn screen(seen: &Captured) -> Screen {
    let Captured { alternate, cursor, width, height, .. } = *seen;
    Screen { alternate, cursor, ..Screen::from_capture(&seen.text, width, height) }
}

/// All adapters, the same for every target.
#[derive(Debug)]
pub struct Roster {
    registry: Registry,
    /// The files that made the adapters of these agents.
    files: BTreeMap<String, PathBuf>,
    left_out: Vec<LeftOut>,
    /// Agents whose adapter somebody turned off.
    disabled: BTreeSet<String>,
    /// What the files said, so that an edit which changes nothing is known as one.
    texts: BTreeMap<PathBuf, String>,
}

/// The adapters are what the files made of them.
impl PartialEq for Roster {
    fn eq(&self, other: &Self) -> bool {
        (&self.texts, &self.left_out, &self.disabled)
            == (&other.texts, &other.left_out, &other.disabled)
    }
}

impl Default for Roster {
    fn default() -> Self {
        Self {
            registry: Registry::built_in(),
            files: BTreeMap::new(),
            left_out: Vec::new(),
            disabled: BTreeSet::new(),
            texts: BTreeMap::new(),
        }
    }
}

impl Roster {
    /// The built-in adapters and those that are described in `folder`, which need not be there.
    pub fn load(folder: &Path) -> Self {
        let mut roster = Self::default();
        let files = match described(folder) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return roster,
            Err(error) => {
                roster.leave_out(folder, format!("cannot be read: {error}"));
                return roster;
            }
        };
        for (index, path) in files.iter().enumerate() {
            if index < FILES_MAX {
                roster.take(path);
            } else {
                let message = format!("there are more than {FILES_MAX}; this one is left out");
                roster.leave_out(path, message);
            }
        }
        roster
    }

    /// The same without the adapters of these agents.
    #[must_use]
    pub(crate) fn without(self, disabled: BTreeSet<String>) -> Self {
        Self { disabled, ..self }
    }

    fn take(&mut self, path: &Path) {
        let text = match text_of(path) {
            Ok(text) => text,
            Err(error) => return self.leave_out(path, format!("cannot be read: {error}")),
        };
        let parsed = Generic::parse(&text);
        self.texts.insert(path.to_owned(), text);
        let adapter = match parsed {
            Ok(adapter) => adapter,
            Err(misfit) => {
                let version = match misfit.why {
                    Unusable::OtherContract { version } => Some(version.to_string()),
                    Unusable::Syntax(_)
                    | Unusable::Agent(_)
                    | Unusable::Reserved
                    | Unusable::Version(_)
                    | Unusable::NoPrograms
                    | Unusable::Empty
                    | Unusable::Reason(_)
                    | Unusable::Lines
                    | Unusable::TooMuch(_) => None,
                };
                let (line, column) = (Some(misfit.line), Some(misfit.column));
                let message = misfit.to_string();
                let problem = AdapterProblem { path: shown(path), line, column, message };
                return self.left_out.push(LeftOut { problem, agent: misfit.agent, version });
            }
        };
        let agent = adapter.agent().to_owned();
        match self.registry.register(Box::new(adapter)) {
            Ok(()) => {
                self.files.insert(agent, path.to_owned());
            }
            Err(refused) => self.leave_out(path, refused.to_string()),
        }
    }

    fn leave_out(&mut self, path: &Path, message: String) {
        let problem = AdapterProblem { path: shown(path), line: None, column: None, message };
        self.left_out.push(LeftOut { problem, agent: None, version: None });
    }

    /// The agent's adapter, unless it is turned off.
    pub(crate) fn get(&self, agent: &str) -> Option<&dyn Adapter> {
        self.registry.get(agent).filter(|_| !self.disabled.contains(agent))
    }

    /// The adapter whose agent runs in a process, also one that is turned off: what it is stays
    /// known, only what it says and shows is not.
    pub(crate) fn recognise(&self, program: &Program<'_>) -> Option<&dyn Adapter> {
        self.registry.recognise(program)
    }

    /// What an event means; one of an agent whose adapter is turned off means nothing.
    pub(crate) fn hear(&self, agent: &str, event: &str, payload: &Value) -> Report {
        if self.disabled.contains(agent) {
            return Report::default();
        }
        self.registry.hear(agent, event, payload)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn Adapter> {
        self.registry.iter()
    }

    /// The file that describes an agent; nothing for the built-in ones.
    pub(crate) fn file_of(&self, agent: &str) -> Option<&Path> {
        self.files.get(agent).map(PathBuf::as_path)
    }

    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

/// The descriptions in a folder, by name.
fn described(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|it| it.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|it| it == EXTENSION) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The text of a file, as far as it can be one: a pipe or a device is none.
fn text_of(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = String::new();
    let more = u64::try_from(DESCRIPTION_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    fs::File::open(path)?.take(more).read_to_string(&mut text)?;
    Ok(text)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Details come from payloads and screens: they are redacted and bounded like any text that is kept.
pub(crate) fn presentable(details: BTreeMap<Detail, String>) -> BTreeMap<Detail, String> {
    let clean = |(detail, text): (Detail, String)| {
        let mut text = redact::text(&text);
        limits::cut(&mut text, limits::TEXT_BYTES_MAX);
        (detail, text)
    };
    details.into_iter().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        fs::write(folder.join(name), text).unwrap();
    }

    #[test]
    fn described_agents_stand_beside_the_built_in_ones_and_wrong_ones_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let of = |agent: &str| format!("agent = \"{agent}\"\nprograms = [\"x\"]\n");
        write(folder.path(), "a.toml", &of("aider"));
        write(folder.path(), "b.toml", &of("claude"));
        write(folder.path(), "c.toml", "agent = 3");
        write(folder.path(), "d.toml", &format!("version = \"v2\"\n{}", of("goose")));
        write(folder.path(), "e.toml", &of("aider"));
        write(folder.path(), ".hidden.toml", "no");
        write(folder.path(), "notes.txt", "no");
        fs::create_dir(folder.path().join("f.toml")).unwrap();
        let roster = Roster::load(folder.path());
        assert!(roster.get("aider").is_some());
        assert_eq!(roster.file_of("aider"), Some(&*folder.path().join("a.toml")));
        let said: Vec<String> = roster
            .left_out()
            .iter()
            .map(|it| {
                let name = it.problem.path.rsplit('/').next().unwrap();
                format!("{name}:{:?}: {}", it.problem.line, it.problem.message)
            })
            .collect();
        assert_eq!(said.len(), 5, "{said:?}");
        assert!(said[0].starts_with("b.toml:None: agent `claude` has the adapter `claude-hook`"));
        assert!(said[1].starts_with("c.toml:Some(1): "), "{said:?}");
        assert!(said[2].starts_with("d.toml:Some(1): it was made for v2"), "{said:?}");
        assert_eq!(roster.left_out()[2].agent.as_deref(), Some("goose"));
        assert!(said[3].starts_with("e.toml:None: agent `aider` has the adapter"), "{said:?}");
        assert!(said[4].contains("it is no file"), "{said:?}");
    }

    #[test]
    fn a_folder_that_is_not_there_describes_nothing() {
        assert_eq!(Roster::load(Path::new("/nowhere/adapters")).left_out(), []);
    }

    #[test]
    fn what_is_turned_off_is_recognised_and_means_nothing() {
        let roster = Roster::default().without(BTreeSet::from(["claude".to_owned()]));
        assert!(roster.get("claude").is_none() && roster.get("codex").is_some());
        assert_eq!(roster.hear("claude", "Stop", &Value::Null), Report::default());
        assert!(roster.hear("codex", "Stop", &Value::Null).claim.is_some());
        let program = Program { name: "claude", path: "/opt/claude", arguments: &[] };
        assert_eq!(roster.recognise(&program).map(Adapter::agent), Some("claude"));
    }
}
