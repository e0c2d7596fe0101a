//! What a look reads of agents: titles and status files that tell what they do, and screens that can
//! show anything.
//!
//! Each agent truly does something. A certain source tells that or nothing, in general words or in
//! particular ones; a screen is misread now and then, and sometimes confidently.

use std::collections::BTreeMap;

use engine::ids::{PaneId, TargetId};
use engine::input::{Observation, Reading};
use engine::state::Claim;
use engine::words::{Confidence, Source, State};

use super::fake::host::Host;
use super::fake::server::{Pane, Server};
use super::model::plain_reasons;
use super::rng::Rng;

/// How often a source has something to tell when an agent is looked at.
const SOURCES: &[(u32, Source)] =
    &[(450, Source::Status), (450, Source::Title), (200, Source::Process), (700, Source::Screen)];

/// What agents do, whatever is said of it.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    doing: BTreeMap<(TargetId, u32, u32), State>,
}

impl Agents {
    /// Looks at one agent of a server, if there is one.
    pub(crate) fn read(
        &mut self,
        rng: &mut Rng,
        target: &TargetId,
        server: &Server,
        host: &Host,
    ) -> Option<Observation> {
        let with_agent = server.panes.iter().filter(|(_, it)| it.agent.is_some());
        let (pane, agent) =
            rng.choose(with_agent.filter_map(|(id, it)| Some((*id, it.agent.as_ref()?.pid))))?;
        let doing = self.doing.entry((target.clone(), pane, agent)).or_insert(State::Idle);
        if rng.permille(300) {
            *doing = definite(rng);
        }
        let truth = *doing;
        let mut readings = Vec::new();
        for (share, source) in SOURCES {
            if rng.permille(*share) {
                let claim = if rng.permille(120) { None } else { Some(shown(rng, *source, truth)) };
                readings.push(Reading {
                    source: *source,
                    claim,
                    details: BTreeMap::new(),
                    asking: None,
                    written: None,
                });
            }
        }
        Some(Observation::Read { pane: PaneId(pane), agent: host.identity(agent)?, readings })
    }

    /// Every agent of a server shows plainly what it does: the pane, its state, and the look.
    pub(crate) fn tell_all(
        &self,
        target: &TargetId,
        server: &Server,
        host: &Host,
    ) -> Vec<(PaneId, State, Observation)> {
        let told = |(pane, it): (&u32, &Pane)| {
            let agent = it.agent.as_ref()?.pid;
            let doing = *self.doing.get(&(target.clone(), *pane, agent))?;
            let reading = |source| Reading {
                source,
                claim: Some(Claim {
                    state: doing,
                    reason: "so_it_is".to_owned(),
                    confidence: Confidence::High,
                }),
                details: BTreeMap::new(),
                asking: None,
                written: None,
            };
            let silent = |source| Reading { claim: None, ..reading(source) };
            let readings = vec![
                reading(Source::Status),
                reading(Source::Screen),
                silent(Source::Title),
                silent(Source::Process),
            ];
            let (pane, agent) = (PaneId(*pane), host.identity(agent)?);
            Some((pane, doing, Observation::Read { pane, agent, readings }))
        };
        server.panes.iter().filter_map(told).collect()
    }
}

fn definite(rng: &mut Rng) -> State {
    let definite: Vec<State> =
        State::ALL.iter().copied().filter(|state| *state != State::Unknown).collect();
    rng.pick(&definite).copied().unwrap_or(State::Idle)
}

fn shown(rng: &mut Rng, source: Source, truth: State) -> Claim {
    let misread = source == Source::Screen && rng.permille(250);
    let state = if misread { definite(rng) } else { truth };
    let plain = rng.pick(plain_reasons(state)).filter(|_| rng.permille(500));
    let reason = plain.map_or_else(|| format!("seen_{state}"), |reason| (*reason).to_owned());
    let confidence = match source {
        Source::Screen => rng.pick(Confidence::ALL).copied().unwrap_or(Confidence::Low),
        Source::Hook
        | Source::Notify
        | Source::Wrapper
        | Source::Poller
        | Source::Status
        | Source::Title
        | Source::Process => Confidence::High,
    };
    Claim { state, reason, confidence }
}
