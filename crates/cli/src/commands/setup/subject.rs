//! What can be set up: agents, and tmux.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use agents::adapter::Adapter;
use agents::registry::Registry;
use agents::setup::{Before, Folder, HOOK, Refusal, SettingsFile, Setup, Standing};
use api::ErrorCode;

use crate::commands::setup::there::There;
use crate::commands::setup::tmux::{self, TmuxConf};
use crate::failure::Failure;

/// What is set up.
#[derive(Clone)]
pub(crate) enum Subject {
    Agent(AgentSubject),
    Tmux(TmuxConf),
}

/// An agent with settings of its user's.
#[derive(Clone)]
pub(crate) struct AgentSubject {
    pub(crate) agent: String,
    pub(crate) setup: &'static Setup,
    /// Where its settings are, as it knows the folder.
    pub(crate) folder: PathBuf,
    /// The `qd` that its hooks run, or the script in its place.
    program: String,
    /// That script, where it has to be put there: there is no `qd`.
    script: Option<PathBuf>,
}

impl Subject {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Agent(agent) => &agent.agent,
            Self::Tmux(_) => tmux::NAME,
        }
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::Agent(agent) => agent.paths(),
            Self::Tmux(conf) => vec![conf.path.clone()],
        }
    }

    pub(crate) fn merge(&self, files: &[SettingsFile]) -> Result<Vec<String>, Refusal> {
        match self {
            Self::Agent(agent) => agent.merge(files),
            Self::Tmux(conf) => Ok(conf.merge(files)),
        }
    }

    pub(crate) fn remove(
        &self,
        files: &[SettingsFile],
        before: &[Before],
    ) -> Result<Vec<Option<String>>, Refusal> {
        match self {
            Self::Agent(agent) => agent.remove(files, before),
            Self::Tmux(_) => Ok(tmux::remove(files, before)),
        }
    }

    /// The same where its files were when one of them was changed: the environment may have said
    /// another place then.
    pub(crate) fn at(&self, changed: &Path) -> Option<Self> {
        match self {
            Self::Agent(agent) => {
                let below = |file: &&str| changed.ends_with(file);
                let file = agent.setup.files().into_iter().find(below)?;
                let depth = Path::new(file).components().count();
                let folder = changed.ancestors().nth(depth)?.to_owned();
                Some(Self::Agent(AgentSubject { folder, ..agent.clone() }))
            }
            Self::Tmux(conf) => Some(Self::Tmux(conf.at(changed))),
        }
    }

    /// The program that is put there for the sake of its hooks.
    pub(crate) fn script(&self) -> Option<&Path> {
        match self {
            Self::Agent(agent) => agent.script.as_deref(),
            Self::Tmux(_) => None,
        }
    }

    /// What to tell when it is done.
    pub(crate) fn remark(&self) -> &'static str {
        match self {
            Self::Agent(agent) => agent.setup.remark,
            Self::Tmux(_) => tmux::REMARK,
        }
    }
}

impl AgentSubject {
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let settings = self.setup.files().into_iter().map(|file| self.folder.join(file));
        settings.chain(self.script.clone()).collect()
    }

    fn merge(&self, files: &[SettingsFile]) -> Result<Vec<String>, Refusal> {
        let (settings, script) = files.split_at(self.setup.files().len().min(files.len()));
        let mut texts = self.setup.merge(settings, &self.program)?;
        if let [SettingsFile { text, .. }, ..] = script {
            if text.as_deref().is_some_and(|text| !is_script(text)) {
                let problem = "somebody else wrote this file".to_owned();
                return Err(Refusal { file: settings.len(), line: 1, column: 1, problem });
            }
            texts.push(HOOK.to_owned());
        }
        Ok(texts)
    }

    fn remove(
        &self,
        files: &[SettingsFile],
        before: &[Before],
    ) -> Result<Vec<Option<String>>, Refusal> {
        let (settings, script) = files.split_at(self.setup.files().len().min(files.len()));
        let mut texts = self.setup.remove(settings, before)?;
        let left = |file: &SettingsFile| file.text.clone().filter(|text| !is_script(text));
        texts.extend(script.iter().map(left));
        Ok(texts)
    }

    pub(crate) fn standing(&self, files: &[SettingsFile]) -> Result<Standing, Refusal> {
        self.setup.standing(files, &self.program)
    }
}

/// Whether a text is the script, of whichever version.
fn is_script(text: &str) -> bool {
    text.lines().nth(1).is_some_and(|line| line.starts_with("# qd-hook-"))
}

/// All agents that can be set up.
pub(crate) fn agents(program: &str) -> Result<Vec<AgentSubject>, Failure> {
    let resolve = |path: &Path| std::fs::canonicalize(path).ok();
    all(&|name| std::env::var_os(name), &resolve, (program, None))
}

/// The same on a target.
pub(crate) fn agents_there(there: &There) -> Result<Vec<AgentSubject>, Failure> {
    let set = |name: &str| there.variables().get(name).map(|(value, _)| OsString::from(value));
    let resolve = |path: &Path| {
        let found = there.variables().values().find(|(value, _)| Path::new(value) == path);
        found.map(|(_, real)| PathBuf::from(real)).filter(|real| real.is_absolute())
    };
    let script = there.script()?;
    let program = script.to_str().unwrap_or_default().to_owned();
    all(&set, &resolve, (&program, Some(&script)))
}

/// The variables that say where agents keep their settings.
pub(crate) fn variables() -> Vec<&'static str> {
    let registry = Registry::built_in();
    let moved = registry.iter().filter_map(Adapter::setup).flat_map(|setup| setup.folder.moved);
    moved.map(|moved| moved.variable).chain(["HOME"]).collect()
}

fn all(
    env: &impl Fn(&str) -> Option<OsString>,
    resolve: &impl Fn(&Path) -> Option<PathBuf>,
    (program, script): (&str, Option<&Path>),
) -> Result<Vec<AgentSubject>, Failure> {
    let registry = Registry::built_in();
    let of_adapter = |adapter: &dyn Adapter| {
        let setup = adapter.setup()?;
        let (agent, program) = (adapter.agent().to_owned(), program.to_owned());
        let script = script.map(Path::to_owned);
        let folder = folder(&setup.folder, env, resolve);
        Some(folder.map(|folder| AgentSubject { agent, setup, folder, program, script }))
    };
    registry.iter().filter_map(of_adapter).collect()
}

/// Where the settings are in this environment.
fn folder(
    folder: &Folder,
    env: &impl Fn(&str) -> Option<OsString>,
    resolve: &impl Fn(&Path) -> Option<PathBuf>,
) -> Result<PathBuf, Failure> {
    let set = |name: &str| env(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    for moved in folder.moved {
        let Some(base) = set(moved.variable) else { continue };
        if !base.is_absolute() {
            let message = format!("{} is not an absolute path", moved.variable);
            return Err(Failure::new(ErrorCode::BadRequest, message)
                .with_hint("Give it from the root: /..."));
        }
        let resolved = moved.resolved.then(|| resolve(&base)).flatten();
        return Ok(joined(&resolved.unwrap_or(base), moved.below));
    }
    let home = set("HOME").filter(|home| home.is_absolute()).ok_or_else(|| {
        Failure::new(ErrorCode::BadRequest, "HOME is not set")
            .with_hint("Set HOME to an absolute path.")
    })?;
    Ok(joined(&home, folder.home))
}

/// Without the slash that joining nothing would leave at the end.
fn joined(base: &Path, below: &str) -> PathBuf {
    if below.is_empty() { base.to_owned() } else { base.join(below) }
}

/// The path of this very program, as it will most likely stay: the one by which the shell finds it,
/// which a package manager keeps pointing to the newest version; else where it lies.
pub(crate) fn program() -> Result<String, Failure> {
    let unknown = |problem: String| {
        Failure::new(ErrorCode::Internal, problem).with_hint("Install qd in a usual place.")
    };
    let own = std::env::current_exe().map_err(|it| unknown(format!("where is qd? {it}")))?;
    let real = std::fs::canonicalize(&own).unwrap_or_else(|_| own.clone());
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let chosen = found_by_shell(&real, [&called, &own], &path).unwrap_or(own);
    chosen.to_str().map(str::to_owned).ok_or_else(|| {
        unknown(format!("{} cannot be written into settings: it is not UTF-8", chosen.display()))
    })
}

/// Where the path leads to the program, under one of these names, the first before the second: a
/// link may have another name than what it leads to.
fn found_by_shell(real: &Path, names: [&Path; 2], path: &OsStr) -> Option<PathBuf> {
    let leads_there =
        |path: &PathBuf| std::fs::canonicalize(path).is_ok_and(|found| found == *real);
    names.into_iter().filter_map(Path::file_name).find_map(|name| {
        let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
        folders.map(|folder| folder.join(name)).find(leads_there)
    })
}

#[cfg(test)]
mod tests {
    use agents::setup::Moved;

    use super::*;

    fn found(variables: &[(&str, &str)]) -> Option<PathBuf> {
        let moved = &[
            Moved { variable: "A", below: "", resolved: false },
            Moved { variable: "B", below: "x", resolved: false },
        ];
        let wanted = Folder { home: ".x", moved };
        let env = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        };
        folder(&wanted, &env, &|path| std::fs::canonicalize(path).ok()).ok()
    }

    #[test]
    fn the_program_is_where_the_shell_finds_it_whatever_its_link_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("qd-1.2.3");
        std::fs::write(&real, "").unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(&real, bin.join("qd")).unwrap();
        let real = std::fs::canonicalize(real).unwrap();
        let found =
            |called: &str| found_by_shell(&real, [Path::new(called), &real], bin.as_os_str());
        assert_eq!(found("qd"), Some(bin.join("qd")));
        assert_eq!(found("other"), None);
    }

    #[test]
    fn variables_move_a_folder_in_their_order() {
        let all = [("A", "/a"), ("B", "/b"), ("HOME", "/h")];
        assert_eq!(found(&all), Some("/a".into()));
        assert_eq!(found(&all[1..]), Some("/b/x".into()));
        assert_eq!(found(&all[2..]), Some("/h/.x".into()));
        assert_eq!(found(&[("A", ""), ("HOME", "/h")]), Some("/h/.x".into()), "empty is unset");
        assert_eq!(found(&[("A", "a"), ("HOME", "/h")]), None);
        assert_eq!(found(&[]), None);
    }
}
