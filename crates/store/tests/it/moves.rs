//! Random but plausible histories: what happens to a tmux server, what its observer and the
//! sources make of it, and what happens to the daemon meanwhile.

use std::collections::BTreeMap;

use engine::event::Actor;
use engine::ids::{AgentType, PaneId, RuntimeId};
use engine::input::{Input, Observation, Request};
use engine::pane::{AgentProcess, PaneFacts, ProcessIdentity};
use engine::signal::{About, Hints};
use engine::target::Trouble;
use engine::time::WallMs;
use engine::words::{Source, State, TargetKind};
use proptest::prelude::*;
use store::{Ledger, Outcome, Retention};

use crate::world::{
    World, about_pane, add_target, facts, server, signal, signalled, target, topology,
};

/// Panes that a history is about; few, so that things happen to the same one.
const PANES: u32 = 4;

#[derive(Clone, Debug)]
pub(crate) enum Move {
    Pass(i64),
    /// The wall clock jumps.
    Jump(i64),
    Appear(u32),
    Vanish(u32),
    Rename(u32, u8),
    Respawn(u32),
    Die(u32),
    StartAgent(u32),
    Scan,
    Glance(u32),
    Unchanged,
    Ended(u32),
    Print(u32),
    NoServer,
    NewServer,
    Fail(u32),
    Answer,
    Tick,
    Signal {
        pane: u32,
        source: usize,
        state: usize,
        key: u64,
        seq: Option<i64>,
        pid_hint: bool,
    },
    Direct {
        pane: u32,
        state: usize,
        key: u64,
    },
    Second(bool),
    Retain(i64),
    Reopen,
}

pub(crate) fn history(length: usize) -> impl Strategy<Value = Vec<Move>> {
    let pane = || 1..=PANES;
    let key = || 0..40_u64;
    let one = prop_oneof![
        6 => (1..4_000_i64).prop_map(Move::Pass),
        1 => (20_000..200_000_i64).prop_map(Move::Pass),
        1 => (-100_000..100_000_i64).prop_map(Move::Jump),
        3 => pane().prop_map(Move::Appear),
        2 => pane().prop_map(Move::Vanish),
        2 => (pane(), 0..9_u8).prop_map(|(pane, name)| Move::Rename(pane, name)),
        1 => pane().prop_map(Move::Respawn),
        1 => pane().prop_map(Move::Die),
        1 => pane().prop_map(Move::StartAgent),
        6 => Just(Move::Scan),
        2 => pane().prop_map(Move::Glance),
        1 => Just(Move::Unchanged),
        1 => pane().prop_map(Move::Ended),
        2 => pane().prop_map(Move::Print),
        1 => Just(Move::NoServer),
        1 => Just(Move::NewServer),
        1 => (1..4_u32).prop_map(Move::Fail),
        1 => Just(Move::Answer),
        4 => Just(Move::Tick),
        6 => (pane(), 0..4_usize, 0..8_usize, key(), proptest::option::of(0..20_i64), any::<bool>())
            .prop_map(|(pane, source, state, key, seq, pid_hint)| Move::Signal {
                pane,
                source,
                state,
                key,
                seq,
                pid_hint
            }),
        3 => (pane(), 0..8_usize, key())
            .prop_map(|(pane, state, key)| Move::Direct { pane, state, key }),
        1 => any::<bool>().prop_map(Move::Second),
        1 => (0..30_i64).prop_map(Move::Retain),
        2 => Just(Move::Reopen),
    ];
    proptest::collection::vec(one, 1..length)
}

/// A history in the making: what tmux holds, and the ledger that is told of it.
pub(crate) struct Play {
    pub(crate) world: World,
    pub(crate) ledger: Ledger,
    life: u32,
    pids: u32,
    signals: u64,
    panes: BTreeMap<u32, PaneFacts>,
    /// Runtimes that were seen, most of them gone.
    runtimes: Vec<RuntimeId>,
}

impl Play {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let mut ledger = world.open();
        let added = ledger.transact(world.now, vec![(Actor::Daemon, add_target())]).unwrap();
        assert!(added[0].result.is_ok());
        let (panes, runtimes) = (BTreeMap::new(), Vec::new());
        Self { world, ledger, life: 1, pids: 1_000, signals: 0, panes, runtimes }
    }

    /// Carries one move out, and returns what was committed of it.
    pub(crate) fn play(&mut self, it: &Move) -> Vec<Outcome> {
        let inputs = self.inputs(it);
        if inputs.is_empty() {
            return Vec::new();
        }
        let inputs = inputs.into_iter().map(|input| (Actor::Observer, input)).collect();
        let outcomes = self.ledger.transact(self.world.now, inputs).unwrap();
        let active = self.ledger.engine().panes().filter_map(|row| row.runtime.as_ref());
        self.runtimes.extend(active.map(|runtime| runtime.runtime.clone()));
        outcomes
    }

    fn observed(&self, sight: Observation) -> Vec<Input> {
        vec![Input::Observed { target: target(), sight }]
    }

    fn inputs(&mut self, it: &Move) -> Vec<Input> {
        match it {
            Move::Pass(ms) => {
                self.world.pass(*ms);
                vec![]
            }
            Move::Jump(ms) => {
                self.world.now.wall.0 += ms;
                vec![]
            }
            Move::Appear(pane) => {
                self.pids += 1;
                let pid = self.pids;
                self.panes.entry(*pane).or_insert_with(|| facts(*pane, pid));
                vec![]
            }
            Move::Vanish(pane) => {
                self.panes.remove(pane);
                vec![]
            }
            Move::Rename(pane, name) => {
                if let Some(facts) = self.panes.get_mut(pane) {
                    facts.window_name = format!("näme\t{name}");
                    facts.title = format!("⠋ {name}");
                }
                vec![]
            }
            Move::Respawn(pane) => {
                self.pids += 1;
                if let Some(facts) = self.panes.get_mut(pane) {
                    facts.process = ProcessIdentity { pid: self.pids, ..facts.process };
                    facts.dead = false;
                    facts.agent = None;
                }
                vec![]
            }
            Move::Die(pane) => {
                if let Some(facts) = self.panes.get_mut(pane) {
                    facts.dead = true;
                    facts.dead_status = Some(3);
                }
                vec![]
            }
            Move::StartAgent(pane) => {
                self.pids += 1;
                let started_ns = Some(self.world.now.wall.0 * 1_000_000);
                let process = ProcessIdentity { pid: self.pids, started_ns, exec_mark: None };
                if let Some(facts) = self.panes.get_mut(pane) {
                    facts.agent = Some(AgentProcess { agent: AgentType::new("claude"), process });
                }
                vec![]
            }
            Move::Scan => vec![self.scan()],
            Move::Glance(pane) => {
                let panes = self.panes.get(pane).cloned().into_iter().collect();
                self.observed(Observation::Panes { server: server(self.life), panes })
            }
            Move::Unchanged => self.observed(Observation::Unchanged),
            Move::Ended(pane) => match self.panes.get(pane) {
                Some(facts) => {
                    let (pane, process) = (facts.pane, facts.process);
                    self.observed(Observation::ProcessEnded { pane, process })
                }
                None => vec![],
            },
            Move::Print(pane) => self.observed(Observation::Printed { panes: vec![PaneId(*pane)] }),
            Move::NoServer => {
                self.panes.clear();
                self.observed(Observation::NoServer)
            }
            Move::NewServer => {
                self.life += 1;
                vec![self.scan()]
            }
            Move::Fail(weight) => {
                let (code, message) = ("E_TIMEOUT".to_owned(), "no answer".to_owned());
                let trouble = Trouble { code, message };
                self.observed(Observation::Failed { trouble, weight: *weight })
            }
            Move::Answer => self.observed(Observation::Answered),
            Move::Tick => vec![Input::Ticked],
            Move::Signal { pane, source, state, key, seq, pid_hint } => {
                let mut heard = self.signal(about_pane(*pane), *state, *key);
                heard.source = Source::ALL[*source];
                heard.source_seq = *seq;
                let pid = self.panes.get(pane).map(|facts| facts.process.pid);
                heard.hints = Hints { pid: pid.filter(|_| *pid_hint), ..Hints::default() };
                vec![signalled(heard)]
            }
            Move::Direct { pane, state, key } => {
                let count = self.runtimes.len();
                let index = count.checked_sub(1 + usize::try_from(*pane).unwrap());
                match index.and_then(|index| self.runtimes.get(index)).cloned() {
                    Some(runtime) => {
                        vec![signalled(self.signal(About::Runtime(runtime), *state, *key))]
                    }
                    None => vec![],
                }
            }
            Move::Second(true) => vec![Input::Asked(Request::AddTarget {
                target: engine::ids::TargetId::new("tg-2"),
                name: "second".to_owned(),
                kind: TargetKind::Local,
                connection_ref: "other".to_owned(),
            })],
            Move::Second(false) => {
                vec![Input::Asked(Request::RemoveTarget { name: "second".to_owned() })]
            }
            Move::Retain(days) => {
                self.world.pass(days * 86_400_000);
                self.ledger.retain(self.world.now, &Retention::default()).unwrap();
                vec![]
            }
            Move::Reopen => {
                self.reopen();
                vec![]
            }
        }
    }

    /// As after a crash: nothing is closed in good order.
    pub(crate) fn reopen(&mut self) {
        let opened = crate::world::open(&self.world.path(), self.world.now);
        assert!(opened.damage.is_none(), "{:?}", opened.damage);
        self.ledger = opened.ledger;
    }

    fn scan(&self) -> Input {
        topology(self.world.now, server(self.life), self.panes.values().cloned().collect())
    }

    /// An event whose key may have been used before: for the same thing, or for another.
    fn signal(&mut self, about: About, state: usize, key: u64) -> engine::signal::Signal {
        self.signals += 1;
        let state_said = State::ALL.get(state).copied();
        let mut heard =
            signal(self.world.now, self.signals, about, state_said.unwrap_or(State::Idle));
        if state_said.is_none() {
            heard.claim = None;
            heard.payload = None;
        }
        heard.dedupe_key = format!("key-{key}");
        heard.event_time = WallMs(heard.event_time.0 - i64::try_from(key).unwrap() * 500);
        heard
    }
}
