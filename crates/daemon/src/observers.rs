//! The observers of all targets: started, hurried and stopped by the deck's effects.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::action::ActionRow;
use engine::ids::TargetId;
use engine::input::Effect;
use engine::target::{ServerFacts, TargetRow};
use engine::words::TargetKind;
use tmux::hub::Hub;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::adapters::Roster;
use crate::clock::Clock;
use crate::config::{Config, ObserverConfig};
use crate::executors::{Deed, Turn};
use crate::observer::{Desk, Given, Observer, Reach};
use crate::sentinel::Sentinel;
use crate::spool::{self, afar};
use crate::targets::keys::Keys;
use crate::targets::masters::{self, Masters};
use crate::targets::process::Environment;
use crate::targets::route::Route;
use crate::targets::{Shared, Target};

/// How long targets are left alone after a commit failed, before everything is observed anew.
const FORGOTTEN_PAUSE: Duration = Duration::from_secs(1);

/// One observer for each target.
pub(crate) struct Observers {
    desk: Desk,
    clock: Clock,
    installation: String,
    config: ObserverConfig,
    roster: Arc<Roster>,
    environment: Environment,
    shared: Shared,
    /// The folder for the sockets of connections to other machines.
    routes: PathBuf,
    /// Those that people hold in terminals.
    masters: Masters,
    sentinel: Sentinel,
    /// What the followers of spools somewhere else are given.
    ears: afar::Given,
    at_work: BTreeMap<TargetId, AtWork>,
    /// Observers that were told to stop. Their successors wait for them: two of one installation
    /// would take each other's session for their own.
    leaving: JoinSet<Left>,
    waiting: Vec<TargetRow>,
    /// Those among them that somebody asked for.
    wanted: BTreeSet<TargetId>,
    forgotten: Arc<Notify>,
}

/// What is at work for one target.
#[derive(Debug)]
struct AtWork {
    row: TargetRow,
    observer: Observer,
    /// Who follows its spool, where that is not ours.
    ear: Option<spool::Running>,
}

/// What an observer that has ended leaves to its successor.
#[derive(Debug)]
struct Left {
    target: TargetId,
    server: Option<ServerFacts>,
}

impl AtWork {
    /// Ends it, with everything saved; gives the server that was seen there last.
    async fn stop(self) -> Left {
        if let Some(ear) = self.ear {
            ear.stop().await;
        }
        Left { target: self.row.target, server: self.observer.stop().await }
    }
}

impl Observers {
    pub(crate) fn start(
        desk: Desk,
        clock: Clock,
        installation: &str,
        config: &Config,
        roster: Arc<Roster>,
        (environment, routes): (Environment, &Path),
        ears: afar::Given,
    ) -> io::Result<Self> {
        let masters = Masters::open(routes)?;
        Ok(Self {
            desk,
            clock,
            installation: installation.to_owned(),
            config: config.observer.clone(),
            roster,
            shared: Shared::of(&environment),
            environment,
            routes: routes.to_owned(),
            masters,
            sentinel: Sentinel::start()?,
            ears,
            at_work: BTreeMap::new(),
            leaving: JoinSet::new(),
            waiting: Vec::new(),
            wanted: BTreeSet::new(),
            forgotten: Arc::default(),
        })
    }

    /// What waits for the kernel, for others who have something to wait for.
    pub(crate) fn sentinel(&self) -> &Sentinel {
        &self.sentinel
    }

    /// Ends the connection to a target that somebody holds in a terminal: it is to be left alone.
    fn end_held(&self, target: &TargetId) -> impl Future<Output = ()> + use<> {
        let (socket, environment) = (self.masters.socket(target), self.environment.clone());
        async move {
            if let Some(socket) = socket {
                masters::end(&socket, &environment).await;
            }
        }
    }

    /// Ends the connections that are held to none of the targets that are watched: an earlier daemon
    /// was killed before it had ended them.
    pub(crate) fn end_left(&self) {
        let waiting = self.waiting.iter().map(|row| &row.target);
        let watched = self.at_work.keys().chain(waiting);
        let wanted: BTreeSet<PathBuf> = watched.filter_map(|it| self.masters.socket(it)).collect();
        for socket in self.masters.lying() {
            if !wanted.contains(&socket) {
                let environment = self.environment.clone();
                tokio::spawn(async move { masters::end(&socket, &environment).await });
            }
        }
    }

    /// What connections to other machines have in common: the agents that they ask for keys, and
    /// those of them that people hold in terminals.
    pub(crate) fn ways(&self) -> (&Arc<Keys>, &Masters) {
        (self.shared.keys(), &self.masters)
    }

    /// Does what an effect asks of observers; gives back one that asks for an act.
    pub(crate) fn carry_out(&mut self, effect: Effect) -> Option<Deed> {
        match effect {
            Effect::Observe(row) => {
                self.waiting.push(*row);
                self.begin_waiting();
            }
            Effect::Forget(target) => {
                self.waiting.retain(|row| row.target != target);
                self.wanted.remove(&target);
                let held = self.end_held(&target);
                if let Some(at_work) = self.at_work.remove(&target) {
                    let ears = self.ears.clone();
                    self.leaving.spawn(async move {
                        let left = at_work.stop().await;
                        afar::forget(&ears, &target);
                        held.await;
                        left
                    });
                } else {
                    tokio::spawn(held);
                }
            }
            Effect::Leave(target) => {
                self.waiting.retain(|row| row.target != target);
                self.wanted.remove(&target);
                let held = self.end_held(&target);
                if let Some(at_work) = self.at_work.remove(&target) {
                    self.leaving.spawn(async move {
                        let left = at_work.stop().await;
                        held.await;
                        left
                    });
                } else {
                    tokio::spawn(held);
                }
            }
            Effect::Rescan(target) => {
                if let Some(at_work) = self.at_work.get(&target) {
                    at_work.observer.rescan();
                }
            }
            Effect::Connect(target) => match self.at_work.get(&target) {
                Some(at_work) => at_work.observer.connect(),
                None => drop(self.wanted.insert(target)),
            },
            Effect::Act(row) => return Some(self.deed(row, Turn::Act)),
            Effect::Settle(row) => return Some(self.deed(row, Turn::Settle)),
        }
        None
    }

    /// The ways to all servers that are observed.
    pub(crate) fn reaches(&self) -> Vec<(TargetId, Reach)> {
        let reach = |it: &AtWork| it.observer.reach().clone();
        self.at_work.iter().map(|(target, it)| (target.clone(), reach(it))).collect()
    }

    fn deed(&self, row: Box<ActionRow>, turn: Turn) -> Deed {
        let observed = self.at_work.get(&row.pane.target);
        let reach = observed.map(|it| it.observer.reach().clone());
        Deed { row, turn, reach }
    }

    /// What was observed got lost on its way into the database: it is observed anew, after a
    /// pause, because the next commit may fail as well.
    pub(crate) fn forgotten(&self) {
        let forgotten = Arc::clone(&self.forgotten);
        tokio::spawn(async move {
            tokio::time::sleep(FORGOTTEN_PAUSE).await;
            forgotten.notify_one();
        });
    }

    /// Replaces every observer when what they go by has changed.
    pub(crate) fn configure(&mut self, config: &Config) {
        if self.config == config.observer {
            return;
        }
        self.config = config.observer.clone();
        self.begin_anew();
    }

    /// Replaces every observer by one that goes by these adapters.
    pub(crate) fn equip(&mut self, roster: Arc<Roster>) {
        self.roster = roster;
        self.begin_anew();
    }

    fn begin_anew(&mut self) {
        for at_work in std::mem::take(&mut self.at_work).into_values() {
            self.waiting.push(at_work.row.clone());
            self.leaving.spawn(at_work.stop());
        }
    }

    /// Waits for something to do here, and does it. Nothing is lost when the wait is given up.
    pub(crate) async fn attend(&mut self) {
        tokio::select! {
            Some(left) = self.leaving.join_next(), if !self.leaving.is_empty() => {
                self.inherit(left.ok());
                self.begin_waiting();
            }
            () = self.forgotten.notified() => {
                self.at_work.values().for_each(|it| it.observer.rescan());
            }
        }
    }

    pub(crate) async fn stop(mut self) {
        for at_work in std::mem::take(&mut self.at_work).into_values() {
            self.leaving.spawn(at_work.stop());
        }
        while self.leaving.join_next().await.is_some() {}
    }

    /// Lets the successor of an observer know the server that was seen last.
    fn inherit(&mut self, left: Option<Left>) {
        let Some(Left { target, server: Some(server) }) = left else { return };
        if let Some(row) = self.waiting.iter_mut().find(|row| row.target == target) {
            row.server = Some(server);
        }
    }

    fn begin_waiting(&mut self) {
        if !self.leaving.is_empty() {
            return;
        }
        for row in std::mem::take(&mut self.waiting) {
            self.begin(row);
        }
    }

    fn far(&self, row: &TargetRow) -> io::Result<Target> {
        let route = Route::parse(&row.connection_ref)?;
        let hub = Hub::new(&self.installation).map_err(io::Error::other)?;
        let (environment, place) = (self.environment.clone(), (self.routes.as_path(), &hub));
        let target = Target::far(route, &self.config, environment, place, &self.shared)?;
        Ok(target.with_held(self.masters.socket(&row.target)))
    }

    fn begin(&mut self, row: TargetRow) {
        let target = match row.kind {
            TargetKind::Local => {
                let environment = self.environment.clone();
                Target::local(&row.connection_ref, &self.config, environment, &self.routes)
            }
            TargetKind::Ssh | TargetKind::Command => match self.far(&row) {
                Ok(target) => target,
                Err(error) => {
                    tracing::error!(%error, target = row.name, "its route leads nowhere");
                    return;
                }
            },
        };
        let given = Given {
            sentinel: &self.sentinel,
            clock: self.clock,
            installation: &self.installation,
            config: &self.config,
            roster: &self.roster,
        };
        let observer = Observer::spawn(&row, target, self.desk.clone(), &given);
        match observer {
            Ok(observer) => {
                if self.wanted.remove(&row.target) {
                    observer.connect();
                }
                let there = Arc::clone(&observer.reach().target);
                let far = row.kind != TargetKind::Local;
                let ear = far.then(|| afar::start(row.target.clone(), there, &self.ears));
                self.at_work.insert(row.target.clone(), AtWork { row, observer, ear });
            }
            Err(error) => tracing::error!(%error, target = row.name, "cannot be observed"),
        }
    }
}
