//! A daemon without an observer: a real ledger, deck, lookout and server on a thread of their own,
//! and a tmux that is only told about.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use api::watch::ResetReason;
use daemon::clock::Clock;
use daemon::deck::{self, Deck, Settled};
use daemon::follower::Follower;
use daemon::http::app::{App, Facts};
use daemon::http::config;
use daemon::http::server::Server;
use daemon::lookout::Lookout;
use engine::event::{Actor, SessionRow};
use engine::ids::{AgentType, BootId, PaneId, SessionId, TargetId, WindowId};
use engine::input::{Input, Observation, Request, Topology};
use engine::pane::{AgentProcess, PaneFacts, ProcessIdentity};
use engine::settings::Settings;
use engine::target::{ObserverMode, ServerFacts, Trouble};
use engine::time::{MonoMs, Now, WallMs};
use engine::words::TargetKind;
use serde_json::{Value, json};
use store::{Durability, Identity, Ledger, Mishap, Options, Retention, Step};
use tempfile::TempDir;
use testkit::{Http, Stream};
use tokio::sync::{oneshot, watch};

/// The target that every world begins with.
pub(crate) const LOCAL: &str = "tg-local";

/// The handles on a daemon that runs.
struct Running {
    deck: Deck,
    clock: Clock,
    runtime: tokio::runtime::Handle,
    stop: oneshot::Sender<ResetReason>,
    thread: JoinHandle<()>,
}

/// What the disk answers to every commit, while it is broken.
type Disk = Arc<Mutex<Option<ErrorKind>>>;

/// A folder with a database and a socket, and the daemon that serves them.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) http: Http,
    disk: Disk,
    running: Option<Running>,
}

impl World {
    /// A daemon that knows of one target and has not looked at it.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let http = Http::new(dir.path().join("qd.sock"));
        let mut world = Self { dir, http, disk: Disk::default(), running: None };
        world.start();
        world.add_target(LOCAL, "local");
        world
    }

    /// A daemon whose one target shows these panes.
    pub(crate) fn showing(panes: Vec<PaneFacts>) -> Self {
        let world = Self::new();
        world.show(panes);
        world
    }

    /// A daemon whose journal of the first weeks was pruned.
    pub(crate) fn aged() -> Self {
        const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
        let mut world = Self::new();
        world.stop(ResetReason::Shutdown);
        let today = Clock::new().now();
        let ago = |days: i64| Now {
            wall: WallMs(today.wall.0 - days * DAY_MS),
            mono: MonoMs(today.mono.0 - days * DAY_MS),
        };
        for file in std::fs::read_dir(world.dir.path()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        let mut ledger = Ledger::open(&world.path(), options(), ago(40)).unwrap().ledger;
        let send = |ledger: &mut Ledger, now: Now, input: Input| {
            drop(ledger.transact(now, vec![(Actor::Observer, input)]).unwrap());
        };
        send(&mut ledger, ago(40), Input::Asked(add(LOCAL, "local")));
        for day in (20..40).rev() {
            let panes = vec![pane(u32::try_from(day).unwrap())];
            let (sessions, server) = (sessions(LOCAL, &panes), server(LOCAL));
            let began = ago(day).mono;
            let sight = Observation::Topology(Box::new(Topology {
                began,
                server,
                sessions,
                panes,
                outputs: Vec::new(),
            }));
            let target = TargetId::new(LOCAL);
            send(&mut ledger, ago(day), Input::Observed { target, sight });
            ledger.retain(ago(day), &Retention::default()).unwrap();
        }
        ledger.retain(ago(19), &Retention::default()).unwrap();
        ledger.retain(today, &Retention::default()).unwrap();
        ledger.close().unwrap();
        world.start();
        world
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("qd.db")
    }

    pub(crate) fn start(&mut self) {
        let (ready, began) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let (dir, disk) = (self.dir.path().to_owned(), Arc::clone(&self.disk));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve(&dir, disk, &ready, stopped));
        });
        let (deck, clock, runtime) = began.recv().unwrap();
        self.running = Some(Running { deck, clock, runtime, stop, thread });
    }

    /// Ends the daemon as `qd daemon stop` does.
    pub(crate) fn stop(&mut self, reason: ResetReason) {
        let Some(Running { deck, stop, thread, .. }) = self.running.take() else { return };
        drop(deck);
        // One that was asked over its API has ended by itself.
        stop.send(reason).ok();
        thread.join().unwrap();
    }

    /// Breaks the disk, or mends it.
    pub(crate) fn set_disk(&self, broken: Option<ErrorKind>) {
        *self.disk.lock().unwrap() = broken;
    }

    pub(crate) fn restart(&mut self) {
        self.stop(ResetReason::Shutdown);
        self.start();
    }

    /// Hands an input to the deck, past the API.
    pub(crate) fn send(&self, input: Input) -> Settled {
        let running = self.running.as_ref().unwrap();
        running.runtime.block_on(running.deck.ask(Actor::Observer, input)).unwrap()
    }

    pub(crate) fn add_target(&self, id: &str, name: &str) {
        self.send(Input::Asked(add(id, name)));
    }

    pub(crate) fn see(&self, target: &str, sight: Observation) -> Settled {
        self.send(Input::Observed { target: TargetId::new(target), sight })
    }

    /// The local target shows exactly these panes.
    pub(crate) fn show(&self, panes: Vec<PaneFacts>) -> Settled {
        self.show_on(LOCAL, panes)
    }

    pub(crate) fn show_on(&self, target: &str, panes: Vec<PaneFacts>) -> Settled {
        let sessions = sessions(target, &panes);
        self.see(target, self.topology(target, sessions, panes))
    }

    pub(crate) fn topology(
        &self,
        target: &str,
        sessions: Vec<SessionRow>,
        panes: Vec<PaneFacts>,
    ) -> Observation {
        let began = self.running.as_ref().unwrap().clock.now().mono;
        let server = server(target);
        Observation::Topology(Box::new(Topology {
            began,
            server,
            sessions,
            panes,
            outputs: Vec::new(),
        }))
    }

    /// Three failures in a row, which is what makes a target `down`.
    pub(crate) fn lose(&self, target: &str) {
        let trouble = Trouble {
            code: "E_TARGET_UNREACHABLE".to_owned(),
            message: "no route to host".to_owned(),
        };
        self.see(target, Observation::Failed { trouble, weight: 3 });
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        self.http.get(path).expect(200)
    }

    #[track_caller]
    pub(crate) fn emit(&self, envelope: &Value) -> Value {
        self.http.post("/v1/events", envelope).expect(202)
    }

    /// Has a hook report an event about a pane.
    #[track_caller]
    pub(crate) fn hook(&self, pane: u32, event_type: &str, key: &str) -> Value {
        self.emit(&json!({
            "event_type": event_type,
            "source": "hook",
            "dedupe_key": key,
            "target": "local",
            "pane_id": format!("%{pane}"),
        }))
    }

    /// Has several inputs share as few commits as they happen to.
    pub(crate) fn send_all(&self, inputs: Vec<Input>) {
        let running = self.running.as_ref().unwrap();
        running.runtime.block_on(async {
            for input in inputs {
                running.deck.tell(Actor::Observer, input).await.unwrap();
            }
        });
    }

    #[track_caller]
    pub(crate) fn watch(&self, query: &str) -> Stream {
        self.http.stream(&format!("/v1/watch{query}"), &[])
    }

    /// The runtime that lives in a pane of the local target.
    #[track_caller]
    pub(crate) fn runtime(&self, pane: u32) -> String {
        self.pane(pane)["runtime_id"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn pane(&self, pane: u32) -> Value {
        let list = self.get("/v1/panes?target=local");
        let items = list["items"].as_array().unwrap();
        let id = format!("%{pane}");
        items.iter().find(|item| item["identity"]["pane_id"] == id.as_str()).unwrap().clone()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop(ResetReason::Shutdown);
        }
    }
}

fn add(id: &str, name: &str) -> Request {
    Request::AddTarget {
        target: TargetId::new(id),
        name: name.to_owned(),
        kind: TargetKind::Local,
        connection_ref: if id == LOCAL { String::new() } else { id.to_owned() },
    }
}

/// The daemon's main thread.
async fn serve(
    dir: &Path,
    disk: Disk,
    ready: &mpsc::Sender<(Deck, Clock, tokio::runtime::Handle)>,
    stopped: oneshot::Receiver<ResetReason>,
) {
    let clock = Clock::new();
    let (database, socket) = (dir.join("qd.db"), dir.join("qd.sock"));
    let ledger = Ledger::open(&database, options_on(disk), clock.now()).unwrap().ledger;
    let stream_id = ledger.identity().database.clone();
    let follower = Follower::new(ledger.engine().clone(), ledger.as_of(), stream_id);
    let lookout = Lookout::new(follower, ledger.journal().unwrap(), clock);
    let running = deck::start(ledger, clock).unwrap();
    let started = clock.now();
    let facts = Facts { instance_id: "in-test".to_owned(), socket, database, started };
    let (_config, in_use) =
        watch::channel(Arc::new(config::defaults(&dir.join("config.toml"), started.wall)));
    let deck = running.deck.clone();
    drop(std::fs::remove_file(&facts.socket));
    let listener = std::os::unix::net::UnixListener::bind(&facts.socket).unwrap();
    let app = Arc::new(App::new(deck, lookout.clone(), clock, facts, in_use));
    let server = Server::start(Arc::clone(&app), listener).unwrap();
    let time = tokio::spawn(deck::keep_time(running.deck.clone(), clock, running.deadline));
    ready.send((running.deck, clock, tokio::runtime::Handle::current())).unwrap();

    let mut news = running.news;
    let mut asked = app.stop_requests();
    let end = async {
        let reason = tokio::select! {
            reason = stopped => reason.unwrap_or(ResetReason::Shutdown),
            _ = asked.changed() => ResetReason::Upgraded,
        };
        drop(app);
        lookout.end_watches(reason);
        server.stop(Duration::from_secs(5)).await;
        time.abort();
    };
    let follow = async {
        while let Some(publication) = news.recv().await {
            lookout.publish(&publication);
            publication.release();
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(end, follow);
    tokio::task::spawn_blocking(|| running.thread.join().map(drop)).await.unwrap().unwrap();
}

fn options_on(disk: Disk) -> Options {
    let probe = move |step: Step| {
        let broken = *disk.lock().unwrap();
        broken.filter(|_| step == Step::Written).map(Mishap::Failed)
    };
    Options { probe: Some(Box::new(probe)), ..options() }
}

fn options() -> Options {
    Options {
        settings: Settings::default(),
        identity: Identity {
            database: "db-test".to_owned(),
            installation: "in-test".to_owned(),
            machine: "ma-test".to_owned(),
        },
        durability: Durability::None,
        probe: None,
    }
}

fn server(target: &str) -> ServerFacts {
    ServerFacts {
        boot: BootId::new(format!("boot-{target}")),
        pid: 100,
        version: "3.3a".to_owned(),
        socket: "/tmp/tmux-0/default".to_owned(),
        started_at: WallMs(1_700_000_000_000),
        mode: ObserverMode::Control,
    }
}

/// The sessions that some panes stand in.
pub(crate) fn sessions(target: &str, panes: &[PaneFacts]) -> Vec<SessionRow> {
    let mut sessions: Vec<SessionRow> = Vec::new();
    for pane in panes {
        if !sessions.iter().any(|row| row.session == pane.session) {
            sessions.push(SessionRow {
                target: TargetId::new(target),
                session: pane.session,
                name: pane.session_name.clone(),
                attached: 1,
                created_s: 1_700_000_000,
            });
        }
    }
    sessions
}

/// A pane with a shell in it: the only one of its window, in session `work`.
pub(crate) fn pane(pane: u32) -> PaneFacts {
    PaneFacts {
        pane: PaneId(pane),
        window: WindowId(pane),
        session: SessionId(1),
        session_name: "work".to_owned(),
        window_name: format!("window {pane}"),
        window_index: pane,
        pane_index: 0,
        pane_active: true,
        window_active: pane == 1,
        links: Vec::new(),
        width: 80,
        height: 24,
        tty: format!("/dev/pts/{pane}"),
        process: ProcessIdentity {
            pid: 1_000 + pane,
            started_ns: Some(1_700_000_000_000_000_000 + i64::from(pane)),
            exec_mark: Some(1),
        },
        dead: false,
        dead_status: None,
        dead_signal: None,
        in_mode: false,
        bell: false,
        zoomed: false,
        alternate_screen: false,
        command: "bash".to_owned(),
        path: "/home/user/project".to_owned(),
        title: "a title".to_owned(),
        agent: None,
    }
}

/// A pane with a recognised agent in it.
pub(crate) fn agent_pane(number: u32, agent: &str) -> PaneFacts {
    let shell = pane(number);
    let process = ProcessIdentity { pid: 5_000 + number, ..shell.process };
    let agent = Some(AgentProcess { agent: AgentType::new(agent), process });
    PaneFacts { agent, command: "node".to_owned(), ..shell }
}

/// The same pane in another session.
pub(crate) fn in_session(number: u32, name: &str, pane: PaneFacts) -> PaneFacts {
    PaneFacts { session: SessionId(number), session_name: name.to_owned(), ..pane }
}

/// The same pane in another window of its session.
pub(crate) fn in_window(window: u32, index: u32, pane: PaneFacts) -> PaneFacts {
    let window_name = format!("window {window}");
    let (window_index, window) = (window, WindowId(window));
    PaneFacts { window, window_index, window_name, pane_index: index, ..pane }
}

/// The pane ids of a list, in its order.
pub(crate) fn pane_ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| item["identity"]["pane_id"].as_str().unwrap().to_owned()).collect()
}
