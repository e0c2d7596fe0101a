//! A world small enough to say everything about: a folder, a clock that is told the time, and the
//! inputs an observer and its sources would send.

use std::path::{Path, PathBuf};

use engine::Engine;
use engine::engine::Tables;
use engine::event::{Actor, SessionRow};
use engine::ids::{BootId, EventId, PaneId, PaneKey, RuntimeId, SessionId, TargetId, WindowId};
use engine::input::{Input, Observation, Request, Topology};
use engine::pane::{PaneFacts, ProcessIdentity};
use engine::settings::Settings;
use engine::signal::{About, Hints, Signal};
use engine::state::Claim;
use engine::target::{ObserverMode, ServerFacts};
use engine::time::{MonoMs, Now, WallMs};
use engine::words::{Confidence, Source, State, TargetKind};
use store::{Durability, Identity, Ledger, Opened, Options, Outcome};
use tempfile::TempDir;

/// The moment at which every world begins.
pub(crate) const BEGAN: i64 = 1_800_000_000_000;

/// A folder with a database in it.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) now: Now,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), now: at(0) }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("qd.db")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, ms: i64) {
        self.now.wall.0 += ms;
        self.now.mono.0 += ms;
    }

    pub(crate) fn open(&self) -> Ledger {
        open(&self.path(), self.now).ledger
    }
}

/// `ms` after the beginning, on both clocks.
pub(crate) fn at(ms: i64) -> Now {
    Now { wall: WallMs(BEGAN + ms), mono: MonoMs(ms) }
}

pub(crate) fn options() -> Options {
    Options {
        settings: Settings::default(),
        identity: Identity {
            database: "db-0001".to_owned(),
            installation: "in-0001".to_owned(),
            machine: "ma-0001".to_owned(),
        },
        durability: Durability::None,
        probe: None,
    }
}

pub(crate) fn open(path: &Path, now: Now) -> Opened {
    Ledger::open(path, options(), now).unwrap()
}

/// Hands one input in, as the observer.
pub(crate) fn send(ledger: &mut Ledger, now: Now, input: Input) -> Outcome {
    let mut outcomes = ledger.transact(now, vec![(Actor::Observer, input)]).unwrap();
    outcomes.pop().unwrap()
}

pub(crate) fn target() -> TargetId {
    TargetId::new("tg-1")
}

pub(crate) fn add_target() -> Input {
    Input::Asked(Request::AddTarget {
        target: target(),
        name: "local".to_owned(),
        kind: TargetKind::Local,
        connection_ref: String::new(),
    })
}

pub(crate) fn server(life: u32) -> ServerFacts {
    ServerFacts {
        boot: BootId::new(format!("boot-{life}")),
        pid: 100 + life,
        version: "3.3a".to_owned(),
        socket: "/tmp/tmux-0/default".to_owned(),
        started_at: WallMs(BEGAN - 1_000),
        mode: ObserverMode::Control,
    }
}

/// A pane with a shell of the given pid in it.
pub(crate) fn facts(pane: u32, pid: u32) -> PaneFacts {
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
            pid,
            started_ns: Some((BEGAN - 500) * 1_000_000 + i64::from(pid)),
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
        title: "a title, as it comes".to_owned(),
        agent: None,
    }
}

pub(crate) fn topology(now: Now, server: ServerFacts, panes: Vec<PaneFacts>) -> Input {
    let session = SessionRow {
        target: target(),
        session: SessionId(1),
        name: "work".to_owned(),
        attached: 1,
        created_s: BEGAN / 1_000,
    };
    let sessions = if panes.is_empty() { Vec::new() } else { vec![session] };
    let sight = Topology { began: now.mono, server, sessions, panes, outputs: Vec::new() };
    Input::Observed { target: target(), sight: Observation::Topology(Box::new(sight)) }
}

/// An event about `about`, under a key of its own.
pub(crate) fn signal(now: Now, number: u64, about: About, state: State) -> Signal {
    Signal {
        event_id: EventId::new(format!("ev-{number:08}")),
        event_type: "task-started".to_owned(),
        source: Source::Hook,
        dedupe_key: format!("key-{number:08}"),
        source_event_id: None,
        source_seq: None,
        event_time: now.wall,
        about,
        hints: Hints::default(),
        agent: None,
        action_id: None,
        claim: Some(Claim { state, reason: "active".to_owned(), confidence: Confidence::High }),
        details: std::collections::BTreeMap::new(),
        begins_turn: false,
        repeats: false,
        session: None,
        payload: Some(format!("{{\"number\":{number},\"token\":\"[redacted]\"}}")),
        asked: None,
        expects_version: None,
    }
}

pub(crate) fn about_pane(pane: u32) -> About {
    About::Pane(PaneKey { target: target(), pane: PaneId(pane) })
}

pub(crate) fn signalled(signal: Signal) -> Input {
    Input::Signalled(Box::new(signal))
}

/// The runtime that lives in a pane now.
pub(crate) fn runtime_of(ledger: &Ledger, pane: u32) -> RuntimeId {
    let key = PaneKey { target: target(), pane: PaneId(pane) };
    ledger.engine().pane(&key).unwrap().runtime.as_ref().unwrap().runtime.clone()
}

/// A ledger that knows one target with some panes.
pub(crate) fn populated(world: &World, panes: u32) -> Ledger {
    let mut ledger = world.open();
    send(&mut ledger, world.now, add_target());
    let panes = (1..=panes).map(|pane| facts(pane, 1_000 + pane)).collect();
    send(&mut ledger, world.now, topology(world.now, server(1), panes));
    ledger
}

/// Tables as they are stored: moments without their place on a clock, events without payload.
pub(crate) fn stored(tables: &Tables) -> String {
    serde_json::to_string_pretty(tables).unwrap()
}

/// Compares two long texts and shows where they part.
#[track_caller]
pub(crate) fn assert_same(left: &str, right: &str) {
    if let Some(line) = left.lines().zip(right.lines()).position(|(one, other)| one != other) {
        let around = |text: &str| {
            let first = line.saturating_sub(8);
            text.lines().skip(first).take(12).collect::<Vec<_>>().join("\n")
        };
        panic!("line {line} differs:\n{}\n--- and ---\n{}", around(left), around(right));
    }
    assert_eq!(left.len(), right.len(), "one is longer");
}

/// What the committed changes come to, folded one by one from nothing.
pub(crate) struct Fold {
    engine: Engine,
}

impl Fold {
    pub(crate) fn new() -> Self {
        Self { engine: Engine::new(Settings::default()) }
    }

    pub(crate) fn take(&mut self, outcome: &Outcome) {
        for change in &outcome.changes {
            self.engine.apply(&change.event);
        }
    }

    /// Begins with what a history's ledger holds already.
    pub(crate) fn take_all(&mut self, play: &crate::moves::Play) {
        for change in play.ledger.journal().unwrap().changes_after(0, 1_000).unwrap() {
            self.engine.apply(&change.event);
        }
    }

    pub(crate) fn tables(&self) -> String {
        stored(&self.engine.tables())
    }
}

/// How often a test repeats itself: a few times by default, as often as `variable` says.
pub(crate) fn count(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}
