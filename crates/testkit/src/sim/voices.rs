//! Agents and their hooks: they speak of their panes, late, twice, in the wrong order, with the
//! wrong pid, and about lives that are over.

use std::collections::BTreeMap;

use engine::ids::{AgentType, EventId, PaneId, PaneKey, RuntimeId, TargetId};
use engine::pane::PaneRow;
use engine::signal::{About, Hints, Signal};
use engine::state::Claim;
use engine::time::WallMs;
use engine::words::{Confidence, Source, State};

use super::clock::Clock;
use super::fake::host::Host;
use super::fake::server::Server;
use super::rng::Rng;

/// What somebody who runs in a pane knows of it.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    pub(crate) target: TargetId,
    pub(crate) pane: u32,
    pub(crate) pid: u32,
    pub(crate) started: WallMs,
    /// The runtime's id, where the speaker was told it.
    pub(crate) runtime: Option<RuntimeId>,
    /// The agent that it is, or runs below.
    pub(crate) agent: Option<AgentType>,
}

impl Speaker {
    /// Somebody in a pane, or who remembers one that is gone.
    pub(crate) fn draw<'a>(
        rng: &mut Rng,
        target: &TargetId,
        known: impl Iterator<Item = &'a PaneRow>,
        server: Option<&Server>,
        host: &Host,
    ) -> Option<Speaker> {
        let target = target.clone();
        if rng.permille(300) {
            let row = rng.choose(known)?;
            let runtime = row.runtime.as_ref()?;
            let (pane, pid, started) = (row.key.pane.0, runtime.pid, runtime.started_at);
            let agent = row.facts.agent.as_ref().map(|it| it.agent.clone());
            let runtime = Some(runtime.runtime.clone());
            return Some(Speaker { target, pane, pid, started, runtime, agent });
        }
        let (pane, it) = rng.choose(server?.panes.iter())?;
        let pid = it.agent.as_ref().map_or(it.pid, |agent| agent.pid);
        let started = WallMs(host.identity(pid)?.started_ns? / 1_000_000);
        let agent = it.agent.as_ref().map(|agent| AgentType::new(agent.kind));
        Some(Speaker { target, pane: *pane, pid, started, runtime: None, agent })
    }

    /// The agent that it speaks for: its own, unless it runs in one and is another, or none was
    /// seen.
    pub(crate) fn names(&self, rng: &mut Rng) -> AgentType {
        let own = self.agent.clone().filter(|_| !rng.permille(150));
        own.unwrap_or_else(|| AgentType::new("claude"))
    }
}

/// An event on its way.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) signal: Signal,
    /// When it can arrive, in true time.
    pub(crate) due_ms: i64,
}

/// Everything that was said and has not arrived, and what was said before.
#[derive(Debug, Default)]
pub(crate) struct Voices {
    pub(crate) letters: Vec<Letter>,
    said: u64,
    /// The last number that a source gave, by speaker.
    numbers: BTreeMap<(TargetId, u32, u32, Source), i64>,
    /// Some of what was said before, to be repeated.
    recent: Vec<Signal>,
}

/// What is remembered for repetitions.
const RECENT_MAX: usize = 16;
/// Letters on their way; older ones are delivered first when there are more.
const LETTERS_MAX: usize = 64;

const DETERMINISTIC: &[Source] = &[Source::Hook, Source::Notify, Source::Wrapper];

impl Voices {
    /// Somebody says something, unless too much is on its way; it leaves now and arrives when it
    /// may.
    pub(crate) fn say(&mut self, rng: &mut Rng, speaker: &Speaker, clock: &Clock) {
        if self.letters.len() >= LETTERS_MAX {
            return;
        }
        let (wall, true_ms) = (clock.wall(), clock.true_ms());
        let signal = match rng.pick(&self.recent).cloned() {
            Some(earlier) if rng.permille(120) => self.repeat(rng, earlier),
            Some(_) | None => self.compose(rng, speaker, wall),
        };
        if self.recent.len() < RECENT_MAX {
            self.recent.push(signal.clone());
        } else if let Some(slot) = self.recent.get_mut(rng.below(RECENT_MAX)) {
            *slot = signal.clone();
        }
        let delay = rng.weighted(&[(70, 0), (20, 3_000), (6, 12_000), (4, 60_000)]);
        let due_ms = true_ms + rng.between(0, delay);
        self.letters.push(Letter { signal, due_ms });
    }

    /// The same once more, or something else under the same key.
    fn repeat(&mut self, rng: &mut Rng, mut signal: Signal) -> Signal {
        match rng.below(4) {
            0 => {
                // A retry that was given a new id by its sender.
                self.said += 1;
                signal.event_id = EventId::new(format!("ev-{}", self.said));
            }
            1 => signal.event_type = "another".to_owned(),
            _ => {}
        }
        signal
    }

    fn compose(&mut self, rng: &mut Rng, speaker: &Speaker, wall: WallMs) -> Signal {
        self.said += 1;
        let source = if rng.permille(150) {
            Source::Poller
        } else {
            *rng.pick(DETERMINISTIC).unwrap_or(&Source::Hook)
        };
        let state = rng.pick(State::ALL).copied().unwrap_or(State::Idle);
        let speaks = rng.permille(850);
        let claim = speaks.then(|| Claim {
            state,
            reason: format!("said_{state}"),
            confidence: if source == Source::Poller {
                Confidence::Medium
            } else {
                Confidence::High
            },
        });
        let skew = rng.weighted(&[(80, 0), (10, 2_000), (5, 9_999), (5, 3_600_000)]);
        Signal {
            event_id: EventId::new(format!("ev-{}", self.said)),
            event_type: claim
                .as_ref()
                .map_or("coffee-ready", |claim| claim.state.as_str())
                .to_owned(),
            source,
            dedupe_key: format!("key-{}", self.said),
            source_event_id: rng.permille(300).then(|| format!("src-{}", self.said)),
            source_seq: self.number(rng, speaker, source),
            event_time: WallMs(wall.0 + rng.between(-skew, skew)),
            about: about(rng, speaker),
            hints: hints(rng, speaker),
            agent: rng.permille(200).then(|| speaker.names(rng)),
            action_id: None,
            claim,
            details: BTreeMap::new(),
            begins_turn: false,
            repeats: false,
            session: None,
            payload: rng.permille(200).then(|| "{\"secret\":\"[redacted]\"}".to_owned()),
            asked: None,
            expects_version: None,
        }
    }

    /// Most sources do not count, some do, and some of these begin anew.
    fn number(&mut self, rng: &mut Rng, speaker: &Speaker, source: Source) -> Option<i64> {
        if !rng.permille(350) {
            return None;
        }
        let key = (speaker.target.clone(), speaker.pane, speaker.pid, source);
        let last = self.numbers.entry(key).or_default();
        *last = if rng.permille(30) { 1 } else { *last + 1 };
        Some(*last)
    }

    /// The letters that can arrive now, one of them drawn.
    pub(crate) fn arrive(&mut self, rng: &mut Rng, true_ms: i64) -> Option<Signal> {
        let due = |(_, letter): &(usize, &Letter)| letter.due_ms <= true_ms;
        let (index, _) = rng.choose(self.letters.iter().enumerate().filter(due))?;
        Some(self.letters.swap_remove(index).signal)
    }

    /// Nobody repeats what was said so long ago that the store may have forgotten it.
    pub(crate) fn forget(&mut self) {
        self.letters.clear();
        self.recent.clear();
    }

    /// Nobody took it: it is tried again later.
    pub(crate) fn retry(&mut self, signal: Signal, due_ms: i64) {
        self.letters.push(Letter { signal, due_ms });
    }
}

fn about(rng: &mut Rng, speaker: &Speaker) -> About {
    let pane = PaneKey::new(&speaker.target, PaneId(speaker.pane));
    match &speaker.runtime {
        Some(runtime) if rng.permille(250) => About::Runtime(runtime.clone()),
        Some(_) | None if rng.permille(5) => About::Runtime(RuntimeId::new("rt-nobody")),
        Some(_) | None => About::Pane(pane),
    }
}

fn hints(rng: &mut Rng, speaker: &Speaker) -> Hints {
    let pid = match rng.below(10) {
        0..=6 => Some(speaker.pid),
        7 => Some(speaker.pid + 1),
        _ => None,
    };
    let start = match rng.below(10) {
        0..=3 => Some(speaker.started),
        4 => Some(WallMs(speaker.started.0 + rng.between(-6_000, 6_000))),
        _ => None,
    };
    Hints { pid, start, ..Hints::default() }
}
