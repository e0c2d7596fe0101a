//! A world of one engine: a clock that only moves when told, and a past kept in memory.

use std::collections::BTreeMap;

use engine::action::ActionRow;
use engine::engine::Engine;
use engine::event::{Event, SessionRow};
use engine::ids::{
    ActionId, BootId, EventId, PaneId, PaneKey, RuntimeId, SessionId, TargetId, WindowId,
};
use engine::input::{
    Acceptance, Decision, Effect, Input, Observation, Refusal, Reply, Request, Topology,
};
use engine::pane::{Cause, PaneFacts, PaneRow, ProcessIdentity};
use engine::past::{Past, PastEvent};
use engine::settings::Settings;
use engine::signal::{About, EventRow, Hints, InboxRow, Signal};
use engine::state::Claim;
use engine::target::{ObserverMode, ServerFacts, Trouble};
use engine::time::{MonoMs, Now, WallMs};
use engine::words::{ActionKind, Confidence, Source, State, TargetKind};

/// The moment at which every test begins.
pub(crate) const EPOCH_MS: i64 = 1_700_000_000_000;

/// What a store would remember.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    events: Vec<(RuntimeId, PaneKey, EventRow)>,
    inbox: Vec<(PaneKey, InboxRow)>,
    epochs: BTreeMap<(PaneKey, BootId), u64>,
    runtimes: BTreeMap<RuntimeId, PaneKey>,
    actions: BTreeMap<(ActionKind, String), ActionRow>,
}

impl Memory {
    fn remember(&mut self, event: &Event) {
        match event {
            Event::PaneChanged { row, .. } => {
                let Some(runtime) = &row.runtime else { return };
                let epoch = self.epochs.entry((row.key.clone(), row.boot.clone())).or_default();
                *epoch = (*epoch).max(runtime.epoch);
                self.runtimes.insert(runtime.runtime.clone(), row.key.clone());
            }
            Event::EventRecorded(row) => {
                let key = self.runtimes[&row.runtime].clone();
                self.events.push((row.runtime.clone(), key, (**row).clone()));
            }
            Event::EventPended(row) => {
                if let About::Pane(key) = &row.signal.about {
                    self.inbox.push((key.clone(), (**row).clone()));
                }
            }
            Event::ActionChanged(row) => {
                let key = (row.act.kind(), row.request_ref.clone());
                self.actions.insert(key, (**row).clone());
            }
            _ => {}
        }
    }
}

fn past_event(signal: &Signal, runtime: Option<&RuntimeId>) -> PastEvent {
    PastEvent {
        event: signal.event_id.clone(),
        event_type: signal.event_type.clone(),
        source_event_id: signal.source_event_id.clone(),
        source_seq: signal.source_seq,
        action_id: signal.action_id.clone(),
        runtime: runtime.cloned(),
    }
}

impl Past for Memory {
    fn event_by_key(&self, runtime: &RuntimeId, source: Source, key: &str) -> Option<PastEvent> {
        let fits = |(of, _, row): &&(RuntimeId, PaneKey, EventRow)| {
            of == runtime && row.signal.source == source && row.signal.dedupe_key == key
        };
        self.events.iter().find(fits).map(|(of, _, row)| past_event(&row.signal, Some(of)))
    }

    fn event_by_pane_key(&self, pane: &PaneKey, source: Source, key: &str) -> Option<PastEvent> {
        let same = |signal: &Signal| signal.source == source && signal.dedupe_key == key;
        let bound = self.events.iter().find(|(_, of, row)| of == pane && same(&row.signal));
        let waiting = self.inbox.iter().find(|(of, row)| of == pane && same(&row.signal));
        bound
            .map(|(runtime, _, row)| past_event(&row.signal, Some(runtime)))
            .or_else(|| waiting.map(|(_, row)| past_event(&row.signal, None)))
    }

    fn event_exists(&self, event: &EventId) -> bool {
        self.events.iter().any(|(_, _, row)| row.signal.event_id == *event)
            || self.inbox.iter().any(|(_, row)| row.signal.event_id == *event)
    }

    fn last_epoch(&self, pane: &PaneKey, boot: &BootId) -> u64 {
        self.epochs.get(&(pane.clone(), boot.clone())).copied().unwrap_or(0)
    }

    fn runtime_existed(&self, runtime: &RuntimeId) -> bool {
        self.runtimes.contains_key(runtime)
    }

    fn action(&self, action: &ActionId) -> Option<ActionRow> {
        self.actions.values().find(|row| row.action == *action).cloned()
    }

    fn action_by_request(&self, kind: ActionKind, request_ref: &str) -> Option<ActionRow> {
        let key = (kind, request_ref.to_owned());
        self.actions.get(&key).cloned()
    }
}

/// One engine and everything it needs.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) memory: Memory,
    pub(crate) now: Now,
    pub(crate) journal: Vec<Event>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) boot: u32,
}

impl World {
    /// A world with the target `local`.
    pub(crate) fn new() -> Self {
        let mut world = Self {
            engine: Engine::new(Settings::default()),
            memory: Memory::default(),
            now: Now { wall: WallMs(EPOCH_MS), mono: MonoMs(1_000) },
            journal: Vec::new(),
            effects: Vec::new(),
            boot: 1,
        };
        world.add_target("local").unwrap();
        world
    }

    pub(crate) fn add_target(&mut self, name: &str) -> Result<Reply, Refusal> {
        self.feed(&Input::Asked(Request::AddTarget {
            target: target_id(name),
            name: name.to_owned(),
            kind: TargetKind::Local,
            connection_ref: format!("/sock/{name}"),
        }))
    }

    /// Lets time pass on both clocks, ticking at every deadline on the way.
    pub(crate) fn pass(&mut self, ms: i64) {
        let until = self.now.mono.0 + ms;
        for _ in 0..10_000 {
            match self.engine.next_deadline() {
                Some(due) if due.at.0 <= until => {
                    self.jump((due.at.0 - self.now.mono.0).max(0));
                    self.feed(&Input::Ticked).unwrap();
                    let next = self.engine.next_deadline();
                    assert_ne!(next, Some(due), "a deadline that a tick does not settle");
                }
                _ => return self.jump(until - self.now.mono.0),
            }
        }
        panic!("the engine keeps asking to be called: {:?}", self.engine.next_deadline());
    }

    /// Moves both clocks without telling the engine.
    pub(crate) fn jump(&mut self, ms: i64) {
        self.now.mono.0 += ms;
        self.now.wall.0 += ms;
    }

    /// Feeds one input and everything that follows from it.
    pub(crate) fn feed(&mut self, input: &Input) -> Result<Reply, Refusal> {
        let Decision { events, effects, notes, then, reply } =
            self.engine.decide(self.now, input, &self.memory);
        assert!(reply.is_ok() || (events.is_empty() && effects.is_empty()), "refused, yet acted");
        for event in &events {
            self.memory.remember(event);
            self.engine.apply(event);
        }
        for note in &notes {
            self.engine.note(self.now, note);
        }
        self.journal.extend(events);
        self.effects.extend(effects);
        for input in &then {
            self.feed(input).unwrap();
        }
        self.engine.check().unwrap();
        reply
    }

    pub(crate) fn observe(&mut self, sight: Observation) {
        self.observe_on("local", sight);
    }

    pub(crate) fn observe_on(&mut self, target: &str, sight: Observation) {
        self.feed(&Input::Observed { target: target_id(target), sight }).unwrap();
    }

    /// A complete look that shows exactly these panes.
    pub(crate) fn scan(&mut self, panes: &[PaneFacts]) {
        self.scan_on("local", panes);
    }

    pub(crate) fn scan_on(&mut self, target: &str, panes: &[PaneFacts]) {
        let topology = self.topology(target, panes);
        self.observe_on(target, Observation::Topology(Box::new(topology)));
    }

    pub(crate) fn topology(&self, target: &str, panes: &[PaneFacts]) -> Topology {
        let mut sessions: Vec<SessionRow> = Vec::new();
        for facts in panes {
            if sessions.iter().all(|row| row.session != facts.session) {
                sessions.push(SessionRow {
                    target: target_id(target),
                    session: facts.session,
                    name: facts.session_name.clone(),
                    attached: 0,
                    created_s: 1,
                });
            }
        }
        let server = server(target, self.boot);
        let (began, panes, outputs) = (self.now.mono, panes.to_vec(), Vec::new());
        Topology { began, server, sessions, panes, outputs }
    }

    pub(crate) fn fail(&mut self) {
        let trouble = Trouble { code: "E_TIMEOUT".to_owned(), message: "no answer".to_owned() };
        self.observe(Observation::Failed { trouble, weight: 1 });
    }

    pub(crate) fn row(&self, pane: u32) -> &PaneRow {
        self.engine.pane(&key(pane)).unwrap_or_else(|| panic!("no pane %{pane}"))
    }

    pub(crate) fn runtime(&self, pane: u32) -> RuntimeId {
        self.row(pane).runtime.as_ref().expect("a living process").runtime.clone()
    }

    pub(crate) fn epoch(&self, pane: u32) -> u64 {
        self.row(pane).runtime.as_ref().expect("a living process").epoch
    }

    /// What is shown for a pane.
    pub(crate) fn shown(&self, pane: u32) -> (State, &str, Confidence) {
        let state = &self.row(pane).state;
        (state.state, &state.reason, state.confidence)
    }

    pub(crate) fn emit(&mut self, signal: Signal) -> Result<Acceptance, Refusal> {
        match self.feed(&Input::Signalled(Box::new(signal)))? {
            Reply::Accepted(acceptance) => Ok(acceptance),
            other => panic!("{other:?}"),
        }
    }

    /// An event about a pane that happens now and claims a state.
    pub(crate) fn signal(&self, key_text: &str, pane: u32, state: Option<State>) -> Signal {
        let claim = state.map(|state| Claim {
            state,
            reason: format!("said_{state}"),
            confidence: Confidence::High,
        });
        Signal {
            event_id: EventId::new(format!("ev-{key_text}")),
            event_type: state.map_or("coffee-ready", State::as_str).to_owned(),
            source: Source::Hook,
            dedupe_key: key_text.to_owned(),
            source_event_id: None,
            source_seq: None,
            event_time: self.now.wall,
            about: About::Pane(key(pane)),
            hints: Hints::default(),
            agent: None,
            action_id: None,
            claim,
            details: BTreeMap::new(),
            begins_turn: false,
            repeats: false,
            session: None,
            payload: None,
            asked: None,
            expects_version: None,
        }
    }

    pub(crate) fn say(&mut self, key_text: &str, pane: u32, state: State) {
        let signal = self.signal(key_text, pane, Some(state));
        assert!(matches!(self.emit(signal), Ok(Acceptance::Bound { .. })));
    }

    /// The causes of every change of a pane since `from` in the journal.
    pub(crate) fn causes(&self, pane: u32, from: usize) -> Vec<Cause> {
        let changed = self.journal[from..].iter().filter_map(|event| match event {
            Event::PaneChanged { row, causes } if row.key == key(pane) => Some(causes.clone()),
            _ => None,
        });
        changed.flatten().collect()
    }
}

pub(crate) fn target_id(name: &str) -> TargetId {
    TargetId::new(format!("tg-{name}"))
}

pub(crate) fn key(pane: u32) -> PaneKey {
    PaneKey::new(&target_id("local"), PaneId(pane))
}

pub(crate) fn server(target: &str, boot: u32) -> ServerFacts {
    ServerFacts {
        boot: BootId::new(format!("{target}-boot-{boot}")),
        pid: 100 + boot,
        version: "3.3a".to_owned(),
        socket: format!("/sock/{target}"),
        started_at: WallMs(EPOCH_MS - 60_000),
        mode: ObserverMode::Control,
    }
}

/// A quiet shell that started a minute before the tests began.
pub(crate) fn shell(pane: u32) -> PaneFacts {
    PaneFacts {
        pane: PaneId(pane),
        window: WindowId(pane),
        session: SessionId(0),
        session_name: "main".to_owned(),
        window_name: "sh".to_owned(),
        window_index: pane,
        pane_index: 0,
        pane_active: true,
        window_active: false,
        links: Vec::new(),
        width: 80,
        height: 24,
        tty: format!("/dev/pts/{pane}"),
        process: process(1_000 + pane),
        dead: false,
        dead_status: None,
        dead_signal: None,
        in_mode: false,
        bell: false,
        zoomed: false,
        alternate_screen: false,
        command: "sh".to_owned(),
        path: "/home".to_owned(),
        title: "host".to_owned(),
        agent: None,
    }
}

pub(crate) fn process(pid: u32) -> ProcessIdentity {
    let started_ns = (EPOCH_MS - 60_000) * 1_000_000;
    ProcessIdentity { pid, started_ns: Some(started_ns), exec_mark: Some(1) }
}
