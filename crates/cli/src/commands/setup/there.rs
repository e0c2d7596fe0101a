//! A target whose agents are set up: its files, over a connection of our own to it.
//!
//! It is made by the person's own process, with the person's keys, and ends with it; the daemon
//! writes nobody's files.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use api::ErrorCode;
use api::error::with_causes;
use api::target_name::TargetName;
use api::targets::TargetItem;
use client::Client;
use daemon::http::from_api;
use daemon::targets::Target;
use daemon::targets::failure::TmuxFailure;
use daemon::targets::process::Environment;
use daemon::targets::program::{Copied, Parcel, ProgramThere};
use daemon::targets::route::Route;
use daemon::targets::there::{Kind, NotReplaced, Places, Sighted};
use tokio::runtime::Runtime;

use super::files::{self, BYTES_MAX, Found};
use crate::console::{Console, runtime, wait};
use crate::failure::Failure;

/// Where the socket of the connection lies, below the state folder.
const FOLDER: &str = "setup";

/// One target that is reached.
#[derive(Debug)]
pub(crate) struct There {
    pub(crate) name: TargetName,
    pub(crate) places: Places,
    target: Target,
    /// Everything that the connection does, it does while we wait here.
    runtime: Runtime,
}

impl There {
    /// Connects to the target of that name, and asks for these variables there.
    pub(crate) fn reach(
        console: &Console,
        name: TargetName,
        variables: &[&str],
    ) -> Result<Rc<Self>, Failure> {
        let (_, target, runtime) = way(console, &name)?;
        let connected = runtime.block_on(target.connect());
        connected.map_err(|obstacle| unreached(&name, &obstacle.to_string()))?;
        let places = runtime.block_on(target.places(variables));
        let places = places.map_err(|failure| unreached(&name, &with_causes(&failure)))?;
        Ok(Rc::new(Self { name, places, target, runtime }))
    }

    /// Looks at a file there; refuses one that is not to be changed.
    pub(super) fn look(self: &Rc<Self>, path: &Path) -> Result<Found, Failure> {
        let looked = self.runtime.block_on(self.target.look_at(path, BYTES_MAX));
        let seen = looked.map_err(|failure| self.failed(&failure))?;
        let shown = self.shown(path);
        let text = match &seen.kind {
            Kind::Absent if !seen.is_folder => {
                return Err(files::no_folder(&self.shown(&seen.folder)));
            }
            Kind::Absent => None,
            Kind::Dangling => return Err(files::dangling(&shown)),
            Kind::Other => return Err(files::not_regular(&shown)),
            Kind::Large => return Err(files::too_large(&shown)),
            Kind::Closed => return Err(files::unreadable(&shown, "it may not be read")),
            Kind::File { bytes, .. } => Some(files::decoded(&shown, bytes.clone())?),
        };
        Ok(Found::there(path, text, Rc::clone(self), seen))
    }

    pub(super) fn writable(&self, path: &Path, seen: &Sighted) -> Result<(), Failure> {
        let shown = self.shown(path);
        if matches!(seen.kind, Kind::File { mode, .. } if mode & 0o222 == 0) {
            return Err(files::read_only(&shown));
        }
        if !seen.is_open {
            return Err(files::shut(&self.shown(&seen.folder), "it may not be written to", &shown));
        }
        Ok(())
    }

    pub(super) fn replace(
        &self,
        seen: &Sighted,
        text: Option<&str>,
        fresh_mode: u32,
    ) -> Result<(), String> {
        let mode = match seen.kind {
            Kind::File { mode, .. } => mode,
            Kind::Absent | Kind::Dangling | Kind::Other | Kind::Closed | Kind::Large => fresh_mode,
        };
        let replacing = self.target.replace(seen, text.map(|text| (text.as_bytes(), mode)));
        self.runtime.block_on(replacing).map_err(|problem| match problem {
            NotReplaced::Changed => problem.to_string(),
            NotReplaced::Failed(failure) => with_causes(&failure),
        })
    }

    pub(super) fn remove_folders(&self, folders: &[&Path]) {
        // One that holds something else stays, and so does one that cannot be reached any more.
        drop(self.runtime.block_on(self.target.remove_folders(folders)));
    }

    /// The folder of the script, of its spool and of a copied program.
    pub(crate) fn state(&self) -> Result<PathBuf, Failure> {
        Ok(self.script()?.parent().map(Path::to_owned).unwrap_or_default())
    }

    /// The text of the script there, if it is there.
    pub(crate) fn script_text(self: &Rc<Self>) -> Result<Option<String>, Failure> {
        Ok(self.look(&self.script()?)?.text)
    }

    /// What there is of a copied program.
    pub(crate) fn program(&self) -> Result<ProgramThere, Failure> {
        let folder = self.state()?;
        let looked = self.target.program_there(&folder);
        self.runtime.block_on(looked).map_err(|failure| self.failed(&failure))
    }

    /// Copies a program there.
    pub(crate) fn copy_program(&self, parcel: Parcel<'_>) -> Result<Copied, Failure> {
        let folder = self.state()?;
        let copying = self.target.copy_program(&folder, parcel);
        self.runtime.block_on(copying).map_err(|failure| {
            if matches!(failure, TmuxFailure::Timeout { .. }) {
                let message = format!("{}: {}", self.name, with_causes(&failure));
                return Failure::new(ErrorCode::Timeout, message)
                    .with_hint("The way there is too slow, or hangs; what was there stays.");
            }
            // Its last step may have been taken.
            self.failed(&failure).with_hint(format!(
                "What was there stays, or the whole copy is there: `qd target test {}` says which.",
                self.name
            ))
        })
    }

    /// Takes a copied program away.
    pub(crate) fn remove_program(&self) -> Result<(), Failure> {
        let folder = self.state()?;
        let removing = self.target.remove_program(&folder);
        self.runtime.block_on(removing).map_err(|failure| self.failed(&failure))
    }

    /// A variable there, and where what it names really leads.
    pub(super) fn variables(&self) -> &BTreeMap<String, (String, String)> {
        &self.places.variables
    }

    /// The script that hooks there run.
    pub(super) fn script(&self) -> Result<PathBuf, Failure> {
        let state = PathBuf::from(&self.places.state);
        if state.is_absolute() {
            return Ok(state.join("hook"));
        }
        let message = format!("{} says no home folder: `{}`", self.name, self.places.state);
        Err(Failure::new(ErrorCode::PreconditionFailed, message)
            .with_hint("HOME has to be set there for commands that are run without a terminal."))
    }

    pub(crate) fn shown(&self, path: &Path) -> String {
        format!("{}:{}", self.name, path.display())
    }

    fn failed(&self, failure: &TmuxFailure) -> Failure {
        unreached(&self.name, &with_causes(failure))
    }
}

/// A way of our own to a target, which is not tried yet.
pub(crate) fn way(
    console: &Console,
    name: &TargetName,
) -> Result<(TargetItem, Target, Runtime), Failure> {
    let (item, route) = listed(&mut console.client()?, name)?;
    let folder = console.paths()?.home.join(FOLDER);
    let internal = |error: std::io::Error| {
        Failure::new(ErrorCode::Internal, format!("cannot reach {name}: {error}"))
    };
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(internal)?;
    let held = (console.paths()?.routes, &item.target_id);
    let environment = Environment::of_this_process();
    let target = Target::for_files(route, environment, &folder, (&held.0, held.1));
    Ok((item, target.map_err(internal)?, runtime()?))
}

/// A target, and how programs are started there.
pub(crate) fn listed(
    client: &mut Client,
    name: &TargetName,
) -> Result<(TargetItem, Route), Failure> {
    let targets = wait(async { Ok(client.targets().await?) })?.read()?;
    let found = targets.items.into_iter().find(|it| it.name == *name).ok_or_else(|| {
        Failure::new(ErrorCode::TargetNotFound, format!("there is no target `{name}`"))
            .with_hint("`qd target list` shows them.")
    })?;
    let route = found.route.clone().map(from_api::route).ok_or_else(|| {
        Failure::new(ErrorCode::BadRequest, format!("`{name}` is on this machine"))
            .with_hint("`qd doctor` looks at it, and what `qd setup` does here counts for it.")
    })?;
    Ok((found, route))
}

fn unreached(name: &TargetName, why: &str) -> Failure {
    Failure::new(ErrorCode::TargetUnreachable, format!("{name}: {why}"))
        .with_hint("Nothing was changed there. `qd target list` shows how it is.")
}

/// Folders that are set up are on this machine's disk, or on that of a target.
#[derive(Clone)]
pub(crate) enum Disk {
    Here,
    There(Rc<There>),
}

impl Disk {
    /// Looks at a file; refuses one that is not to be changed.
    pub(super) fn look(&self, path: &Path) -> Result<Found, Failure> {
        match self {
            Self::Here => files::look(path),
            Self::There(there) => there.look(path),
        }
    }

    /// Removes those of these folders that are empty, in their order.
    pub(super) fn remove_folders(&self, folders: &[&Path]) {
        match self {
            Self::Here => {
                for folder in folders {
                    // One that holds something else stays.
                    drop(std::fs::remove_dir(folder));
                }
            }
            Self::There(there) => there.remove_folders(folders),
        }
    }

    /// A path as it is told.
    pub(super) fn shown(&self, path: &Path) -> String {
        match self {
            Self::Here => path.display().to_string(),
            Self::There(there) => there.shown(path),
        }
    }
}
