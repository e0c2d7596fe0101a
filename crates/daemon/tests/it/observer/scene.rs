//! A tmux server of a test, an observer of it, and what the observer has said so far.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use daemon::clock::Clock;
use daemon::config::{Config, ObserverConfig};
use daemon::observer::{Closed, Given, Observer, Reporter};
use daemon::sentinel::Sentinel;
use daemon::targets::process::Environment;
use daemon::targets::route::{Route, Ssh, Way};
use daemon::targets::{Shared, Target};
use engine::event::SessionRow;
use engine::ids::{PaneId, SessionId, TargetId};
use engine::input::Observation;
use engine::pane::{PaneFacts, ProcessIdentity};
use engine::target::{ServerFacts, TargetRow, Trouble};
use engine::time::WallMs;
use engine::words::{Health, TargetKind};
use testkit::{Sshd, TestEnv, skipped, wait};
use tmux::hub::Hub;
use tokio::sync::mpsc;

/// How the target is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Direct,
    /// By programs that are started with a command before them.
    OverCommand,
    /// By an `ssh` to an `sshd` of the scene's own.
    OverSsh,
}

impl Reach {
    /// Whether it can be had on this machine; where not, that is said.
    pub(crate) fn is_there(self) -> bool {
        let is_there = self != Self::OverSsh || Sshd::is_installed();
        if !is_there {
            skipped("no sshd is installed");
        }
        is_there
    }
}

/// What was said, and what follows from it.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) server: Option<ServerFacts>,
    pub(crate) sessions: BTreeMap<SessionId, SessionRow>,
    pub(crate) panes: BTreeMap<PaneId, PaneFacts>,
    pub(crate) ended: Vec<(PaneId, ProcessIdentity)>,
    pub(crate) printed: Vec<PaneId>,
    pub(crate) failures: Vec<Trouble>,
    pub(crate) limits: Vec<Option<Trouble>>,
    pub(crate) answers: usize,
    pub(crate) topologies: usize,
    pub(crate) absent: usize,
}

impl Said {
    fn take(&mut self, sight: Observation) {
        match sight {
            Observation::Topology(topology) => {
                self.topologies += 1;
                self.server = Some(topology.server);
                self.sessions =
                    topology.sessions.into_iter().map(|row| (row.session, row)).collect();
                let count = topology.panes.len();
                self.panes = topology.panes.into_iter().map(|pane| (pane.pane, pane)).collect();
                assert_eq!(self.panes.len(), count, "each pane is listed once");
            }
            Observation::Panes { server, panes } => {
                assert_eq!(self.server.as_ref(), Some(&server));
                self.panes.extend(panes.into_iter().map(|pane| (pane.pane, pane)));
            }
            Observation::Unchanged | Observation::Answered => self.answers += 1,
            Observation::Behind | Observation::CaughtUp => {}
            Observation::Read { .. } => {}
            Observation::ProcessEnded { pane, process } => self.ended.push((pane, process)),
            Observation::Printed { panes } => self.printed.extend(panes),
            Observation::NoServer => {
                self.absent += 1;
                self.server = None;
                self.sessions.clear();
                self.panes.clear();
            }
            Observation::Failed { trouble, .. } => self.failures.push(trouble),
            Observation::Limited { trouble } => self.limits.push(trouble),
        }
    }

    /// A pane by the id that tmux prints.
    pub(crate) fn pane(&self, id: &str) -> Option<&PaneFacts> {
        self.panes.get(&id.parse().expect("a pane's id"))
    }

    pub(crate) fn session(&self, name: &str) -> Option<&SessionRow> {
        self.sessions.values().find(|row| row.name == name)
    }
}

/// Stands in for the deck.
#[derive(Clone, Debug, Default)]
struct Recorder {
    said: Arc<Mutex<Said>>,
}

impl Reporter for Recorder {
    async fn report(&self, _target: &TargetId, sight: Observation) -> Result<(), Closed> {
        self.said.lock().expect("no test panics with it").take(sight);
        Ok(())
    }

    fn session(&self, _target: &TargetId, _pane: PaneId) -> Option<String> {
        None
    }
}

/// What a scene's observer is told.
enum Order {
    Rescan,
    Stop,
}

/// An observer in a thread of its own, as the daemon's main thread would hold it.
pub(crate) struct Scene {
    said: Arc<Mutex<Said>>,
    orders: mpsc::Sender<Order>,
    thread: Option<JoinHandle<()>>,
    /// What it goes through, which has to outlive it.
    sshd: Option<Sshd>,
}

/// An installation's id, as it stands in the name of its session.
pub(crate) const INSTALLATION: &str = "test";
pub(crate) const HUB: &str = "_qd-test";

/// How an observer is set up.
pub(crate) struct Setting {
    pub(crate) reach: Reach,
    pub(crate) installation: &'static str,
    pub(crate) socket: String,
    pub(crate) observer: String,
    /// What is remembered of the server from an earlier life.
    pub(crate) server: Option<ServerFacts>,
}

impl Setting {
    pub(crate) fn new(reach: Reach) -> Self {
        // Without events everything waits for the next look.
        let observer = match reach {
            Reach::Direct => "",
            Reach::OverCommand | Reach::OverSsh => "scan_active = \"200ms\"\nscan_idle = \"1s\"\n",
        };
        let (socket, observer) = (String::new(), observer.to_owned());
        Self { reach, installation: INSTALLATION, socket, observer, server: None }
    }

    pub(crate) fn config(&self) -> ObserverConfig {
        let text = format!("[observer]\n{}", self.observer);
        Config::parse(Path::new("test.toml"), &text)
            .expect("the test's settings are right")
            .observer
    }

    /// Observes the tmux of a test's world.
    pub(crate) fn observe(&self, env: &TestEnv) -> Scene {
        let command = env.command("/nonexistent");
        let variables = command
            .get_envs()
            .filter_map(|(key, value)| Some((OsString::from(key), OsString::from(value?))));
        let environment = Environment::allowed(variables);
        let Reach::OverSsh = self.reach else { return self.observe_by(environment) };
        let (sshd, way) = sshd(env);
        let target = self.far(way, environment, &std::env::temp_dir());
        let mut scene = self.start(target);
        scene.sshd = Some(sshd);
        scene
    }

    /// Observes what a program with this environment would find.
    pub(crate) fn observe_by(&self, environment: Environment) -> Scene {
        let target = match self.reach {
            Reach::Direct => {
                Target::local(&self.socket, &self.config(), environment, &std::env::temp_dir())
            }
            Reach::OverCommand => {
                let way = Way::Command { words: vec!["env".to_owned()], attach: None };
                self.far(way, environment, Path::new("/"))
            }
            Reach::OverSsh => unreachable!("an sshd serves a whole world"),
        };
        self.start(target)
    }

    fn far(&self, way: Way, environment: Environment, folder: &Path) -> Target {
        let socket = Some(self.socket.clone()).filter(|socket| !socket.is_empty());
        let route = Route { way, tmux: None, socket };
        let hub = Hub::new(self.installation).expect("it is an id");
        let shared = Shared::default();
        Target::far(route, &self.config(), environment, (folder, &hub), &shared)
            .expect("there is a folder for its socket")
    }

    fn start(&self, target: Target) -> Scene {
        let row = TargetRow { server: self.server.clone(), ..row() };
        Scene::start(row, target, self.config(), self.installation)
    }
}

/// An `sshd` that leads into a test's world, and how it is reached.
fn sshd(env: &TestEnv) -> (Sshd, Way) {
    let name = (0..).map(|nth| format!("sshd{nth}")).find(|name| !env.path(name).exists());
    let command = env.command("/nonexistent");
    let variables: Vec<String> = command
        .get_envs()
        .filter_map(|(key, value)| Some(format!("{}={}", key.to_str()?, value?.to_str()?)))
        .collect();
    let lead = format!("ForceCommand exec /usr/bin/env {}", variables.join(" "));
    let more = format!("{lead} sh -c \"$SSH_ORIGINAL_COMMAND\"\n");
    let name = name.expect("there are always more numbers");
    let sshd = Sshd::start_with(env, &name, &more).expect("it was asked whether it is there");
    sshd.introduce();
    let target = format!("127.0.0.1:{}", sshd.port());
    let ssh = Ssh { target, options: sshd.options(), accept_new: false };
    (sshd, Way::Ssh(ssh))
}

fn row() -> TargetRow {
    TargetRow {
        target: TargetId::new("tg-test"),
        name: "local".to_owned(),
        kind: TargetKind::Local,
        connection_ref: String::new(),
        is_default: true,
        health: Health::Ok,
        trouble: None,
        server: None,
        last_seen_at: None,
        updated_at: WallMs(0),
    }
}

impl Scene {
    fn start(
        row: TargetRow,
        target: Target,
        config: ObserverConfig,
        installation: &'static str,
    ) -> Self {
        let recorder = Recorder::default();
        let said = Arc::clone(&recorder.said);
        let (orders, mut incoming) = mpsc::channel(8);
        let run = async move {
            let sentinel = Sentinel::start().expect("a thread can be started");
            let clock = Clock::new();
            let (sentinel, config, roster) = (&sentinel, &config, &Arc::default());
            let given = Given { sentinel, clock, installation, config, roster };
            let observer = Observer::spawn(&row, target, recorder, &given)
                .expect("the installation's id is right");
            while let Some(order) = incoming.recv().await {
                match order {
                    Order::Rescan => observer.rescan(),
                    Order::Stop => {
                        observer.stop().await;
                        return;
                    }
                }
            }
            drop(observer);
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(run);
        });
        Self { said, orders, thread: Some(thread), sshd: None }
    }

    pub(crate) fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().expect("no test panics with it")
    }

    /// Waits until what was said fits.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, mut probe: impl FnMut(&Said) -> Option<T>) -> T {
        let found = wait::within(wait::BOUND, || probe(&self.said()));
        found.unwrap_or_else(|| panic!("never: {what}; said so far: {:#?}", self.said()))
    }

    #[track_caller]
    pub(crate) fn pane_where(
        &self,
        id: &str,
        what: &str,
        fits: impl Fn(&PaneFacts) -> bool,
    ) -> PaneFacts {
        let what = format!("{id}: {what}");
        self.until(&what, |said| said.pane(id).filter(|pane| fits(pane)).cloned())
    }

    #[track_caller]
    pub(crate) fn lists(&self, id: &str) -> PaneFacts {
        self.pane_where(id, "listed", |_| true)
    }

    #[track_caller]
    pub(crate) fn unlists(&self, id: &str) {
        self.until(&format!("{id} unlisted"), |said| said.pane(id).is_none().then_some(()));
    }

    pub(crate) fn rescan(&self) {
        self.orders.blocking_send(Order::Rescan).expect("the observer runs");
    }

    /// Stops as the daemon does, and waits for it.
    pub(crate) fn stop(mut self) {
        self.orders.blocking_send(Order::Stop).expect("the observer runs");
        self.thread.take().expect("it was not joined").join().expect("the observer did not panic");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.orders.blocking_send(Order::Stop).ok();
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the observer did not panic");
            }
        }
    }
}

/// A world with nothing of `qd` in it but the observer under test.
pub(crate) fn env() -> TestEnv {
    TestEnv::new("/nonexistent/qd")
}
