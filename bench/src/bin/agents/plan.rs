//! What is asked for on the command line, and the network that is taken away.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::lab::{LABS, Lab};
use crate::record::Recorder;
use crate::stage::Stage;
use crate::{install, say};

/// Set for the harness that runs where there is no network.
const DARK: &str = "QD_AGENTS_DARK";

#[derive(Debug, Default)]
pub(crate) struct Plan {
    names: Vec<String>,
    all: bool,
    newest: bool,
    restarts: bool,
    over_ssh: bool,
    scenes: Vec<String>,
    keep: Option<PathBuf>,
    record: Option<PathBuf>,
    pub(crate) page: bool,
}

/// How an agent is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Round {
    /// On a target over ssh.
    pub(crate) over_ssh: bool,
    /// The daemon is killed in the middle of each state that holds.
    pub(crate) restarts: bool,
}

impl Display for Round {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.over_ssh { ", over ssh" } else { "" })?;
        f.write_str(if self.restarts {
            ", the daemon killed in the middle of each state"
        } else {
            ""
        })
    }
}

impl Plan {
    pub(crate) fn from_arguments(arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut plan = Self::default();
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--all" => plan.all = true,
                "--newest" => plan.newest = true,
                "--restarts" => plan.restarts = true,
                "--over-ssh" => plan.over_ssh = true,
                "--page" => plan.page = true,
                "--scene" => plan.scenes.push(arguments.next().context("--scene needs a name")?),
                "--keep" => {
                    plan.keep = Some(arguments.next().context("--keep needs a folder")?.into());
                }
                "--record" => {
                    let folder = arguments.next().context("--record needs a folder")?;
                    plan.record = Some(folder.into());
                }
                name if LABS.iter().any(|lab| lab.name == name) => plan.names.push(argument),
                other => bail!("`{other}` is neither an agent nor an option"),
            }
        }
        anyhow::ensure!(
            plan.record.is_none() || !(plan.over_ssh || plan.all || plan.restarts),
            "records are made here and of undisturbed runs: --record goes with names only"
        );
        if let Some(folder) = &plan.keep {
            std::fs::create_dir_all(folder)?;
        }
        Ok(plan)
    }

    pub(crate) fn labs(&self) -> impl Iterator<Item = &'static Lab> {
        LABS.iter().copied().filter(|lab| {
            let usual = self.names.is_empty() && lab.always;
            self.all || usual || self.names.iter().any(|name| name == lab.name)
        })
    }

    pub(crate) fn version(&self, lab: &Lab) -> &'static str {
        if self.newest { "latest" } else { lab.version }
    }

    /// Here or over ssh; without and with the daemon being killed.
    pub(crate) fn rounds(&self) -> Vec<Round> {
        let restarts = if self.all { vec![false, true] } else { vec![self.restarts] };
        let round = |restarts| Round { over_ssh: self.over_ssh, restarts };
        restarts.into_iter().map(round).collect()
    }

    /// The first scene that matters is always the start.
    pub(crate) fn wants(&self, scene: &str) -> bool {
        self.scenes.is_empty() || scene == "startup" || self.scenes.iter().any(|it| it == scene)
    }

    /// Whether all scenes are played.
    pub(crate) fn is_whole(&self) -> bool {
        self.scenes.is_empty()
    }

    pub(crate) fn keep(&self) -> Option<PathBuf> {
        self.keep.clone()
    }

    /// What records a run, where that is asked for.
    pub(crate) fn recorder(
        &self,
        version: &str,
        stage: &Stage,
    ) -> anyhow::Result<Option<Recorder>> {
        let folder = self.record.as_ref();
        folder.map(|folder| Recorder::start(folder, version, stage)).transpose()
    }

    pub(crate) fn is_dark(&self) -> bool {
        std::env::var_os(DARK).is_some()
    }

    /// Installs what is missing while there is a network, and then starts the harness again where
    /// there is none but loopback. Gives nothing where the caller is to go on by itself.
    pub(crate) fn enter_the_dark(&self) -> anyhow::Result<Option<ExitCode>> {
        if self.is_dark() {
            return Ok(None);
        }
        for lab in self.labs() {
            // What cannot be had is told in its place.
            if let Err(error) = install::install(lab, self.version(lab)) {
                say(&format!("{}: {error:#}", lab.name));
            }
        }
        let alone = ["--net", "--", "sh", "-c", "ip link set lo up"];
        let mut how: Vec<&str> = vec![];
        if !succeeds(&how, &alone) {
            how = vec!["--user", "--map-root-user"];
            if !succeeds(&how, &alone) {
                say("no network namespace is to be had here: the agents run with the network");
                return Ok(None);
            }
        }
        let mut command = unshare(&how);
        command.args(["--net", "--", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]);
        command.arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(DARK, "1");
        let status = command.status()?;
        let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        Ok(Some(ExitCode::from(code)))
    }
}

fn unshare(how: &[&str]) -> std::process::Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "the harness starts itself, with its environment"
    )]
    let mut command = std::process::Command::new("unshare");
    command.args(how);
    command
}

fn succeeds(how: &[&str], rest: &[&str]) -> bool {
    unshare(how).args(rest).output().is_ok_and(|output| output.status.success())
}
