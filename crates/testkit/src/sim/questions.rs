//! What agents truly ask, who decided it, and what their hooks say of it: late, or twice.

use engine::approval::{Asked, Asking};
use engine::ids::{AgentType, EventId, PaneId, PaneKey, RuntimeId, TargetId};
use engine::pane::ProcessIdentity;
use engine::signal::{About, Hints, Signal};
use engine::state::Claim;
use engine::words::{ApprovalKind, Choice, Confidence, Source, State, reason};

use super::clock::Clock;
use super::executors::There;
use super::rng::Rng;
use super::voices::Voices;

/// Questions that are remembered.
const QUESTIONS_MAX: usize = 32;

/// One question of an agent's.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    target: TargetId,
    pane: u32,
    agent: ProcessIdentity,
    kind: &'static str,
    pub(crate) event: EventId,
    pub(crate) asking: Asking,
    /// Its hook waits for the answer beside the dialog.
    pub(crate) hook_waits: bool,
    is_open: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Questions {
    asked: Vec<Question>,
    said: u64,
}

impl Questions {
    /// An agent asks something, or is answered in its own terminal.
    pub(crate) fn turn(
        &mut self,
        rng: &mut Rng,
        target: &TargetId,
        there: Option<&There<'_>>,
        clock: &Clock,
        voices: &mut Voices,
    ) {
        if rng.permille(300) {
            self.decide_there(rng, clock, voices);
        } else if let Some(there) = there {
            self.ask(rng, target, there, clock, voices);
        }
    }

    /// An agent asks something, in the place of what it asked before.
    fn ask(
        &mut self,
        rng: &mut Rng,
        target: &TargetId,
        there: &There<'_>,
        clock: &Clock,
        voices: &mut Voices,
    ) {
        let agents = there.server.panes.iter().filter_map(|(pane, it)| {
            let agent = it.agent.as_ref()?;
            Some((*pane, agent.kind, there.host.identity(agent.pid)?))
        });
        let Some((pane, kind, agent)) = rng.choose(agents) else { return };
        for earlier in self.asked.iter_mut().filter(|it| it.agent == agent && it.target == *target)
        {
            earlier.is_open = false;
        }
        let command = format!("touch {}", self.said);
        let asking = Asking::new(ApprovalKind::Permission, "Bash", &command)
            .offering(Choice::Approve, "Yes")
            .offering(Choice::Deny, "No");
        let question = Question {
            target: target.clone(),
            pane,
            agent,
            kind,
            event: EventId::new(format!("asks-{}", self.said)),
            asking: asking.clone(),
            hook_waits: rng.permille(400),
            is_open: true,
        };
        let asked = Asked::For(Box::new(asking));
        let waiting = (State::WaitingApproval, reason::APPROVAL_REQUESTED);
        self.say(rng, &question, Some(waiting), Some(asked), clock, voices);
        if self.asked.len() >= QUESTIONS_MAX {
            self.asked.remove(0);
        }
        self.asked.push(question);
    }

    /// What the agent in a pane asks now, as its dialog shows it.
    pub(crate) fn shown(
        &self,
        target: &TargetId,
        pane: u32,
        there: &There<'_>,
    ) -> Option<&Question> {
        let agent = there.server.panes.get(&pane)?.agent.as_ref()?;
        let identity = there.host.identity(agent.pid)?;
        let here = |it: &&Question| {
            it.is_open && it.target == *target && it.pane == pane && it.agent == identity
        };
        self.asked.iter().find(here)
    }

    /// The question that this event told of.
    pub(crate) fn get(&self, event: &EventId) -> Option<&Question> {
        self.asked.iter().find(|it| it.event == *event)
    }

    /// Somebody decides in the agent's own terminal.
    fn decide_there(&mut self, rng: &mut Rng, clock: &Clock, voices: &mut Voices) {
        let open = rng.choose(self.asked.iter().filter(|it| it.is_open));
        let Some(event) = open.map(|it| it.event.clone()) else { return };
        let choice = if rng.permille(500) { Choice::Approve } else { Choice::Deny };
        self.decide(rng, &event, choice, clock, voices);
    }

    /// The agent takes a decision, and goes on.
    pub(crate) fn decide(
        &mut self,
        rng: &mut Rng,
        event: &EventId,
        choice: Choice,
        clock: &Clock,
        voices: &mut Voices,
    ) {
        let Some(question) = self.asked.iter_mut().find(|it| it.event == *event) else { return };
        question.is_open = false;
        let question = question.clone();
        if choice == Choice::Deny {
            let ended = (State::Idle, reason::INTERRUPTED);
            return self.say(rng, &question, Some(ended), None, clock, voices);
        }
        self.say(rng, &question, Some((State::Running, reason::ACTIVE)), None, clock, voices);
        let deed = question.asking.deed();
        self.say(rng, &question, None, Some(Asked::Done { deed }), clock, voices);
    }

    /// A hook reports, and is heard when it may be.
    fn say(
        &mut self,
        rng: &mut Rng,
        question: &Question,
        claim: Option<(State, &str)>,
        asked: Option<Asked>,
        clock: &Clock,
        voices: &mut Voices,
    ) {
        let asks = matches!(asked, Some(Asked::For(_)));
        let id = if asks { question.event.to_string() } else { format!("goes-on-{}", self.said) };
        self.said += 1;
        let keys = (id.clone(), id);
        let nobody = RuntimeId::new("");
        let word = claim.map_or("tool-finished", |(state, _)| state.as_str());
        let signal = Signal {
            about: About::Pane(PaneKey::new(&question.target, PaneId(question.pane))),
            hints: Hints { pid: Some(question.agent.pid), ..Hints::default() },
            agent: Some(AgentType::new(question.kind)),
            claim: claim.map(|(state, reason)| Claim {
                state,
                reason: reason.to_owned(),
                confidence: Confidence::High,
            }),
            asked,
            ..Signal::own(word.to_owned(), Source::Hook, keys, &nobody, clock.wall())
        };
        let delay = rng.weighted(&[(85, 0), (10, 500), (5, 8_000)]);
        let due_ms = clock.true_ms() + rng.between(0, delay);
        if rng.permille(50) {
            voices.retry(signal.clone(), due_ms + 1_000);
        }
        voices.retry(signal, due_ms);
    }
}
