//! People who act: they ask for acts on what they see or remember, ask again, change their mind, and
//! answer what agents ask, also what is over.

use engine::Engine;
use engine::action::{Act, ActRequest, Busy, Guards, TextFacts};
use engine::approval::ApprovalRow;
use engine::event::Actor;
use engine::ids::{ActionId, RuntimeId, SnapshotId};
use engine::input::Request;
use engine::limits;
use engine::pane::PaneRow;
use engine::words::{Choice, IfBusy, KillSignal, State};

use super::rng::Rng;

/// Requests and approvals that are remembered.
const REMEMBERED_MAX: usize = 16;

/// A person's own program, and one below an agent.
const PERSON: Actor = Actor::Client { uid: 1_000, pid: Some(1) };
const AGENT: Actor = Actor::Agent { uid: 1_000, pid: 2, runtime: None };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Act,
    Answer,
    Repeat,
    Cancel,
}

const WISHES: &[(u32, Wish)] =
    &[(50, Wish::Act), (25, Wish::Answer), (13, Wish::Repeat), (12, Wish::Cancel)];

#[derive(Debug, Default)]
pub(crate) struct People {
    asked: u64,
    recent: Vec<ActRequest>,
    approvals: Vec<ApprovalRow>,
}

impl People {
    /// Somebody wants something, by what is shown.
    pub(crate) fn want(&mut self, rng: &mut Rng, view: &Engine) -> Option<(Actor, Request)> {
        let by = if rng.permille(100) { AGENT } else { PERSON };
        match rng.weighted(WISHES) {
            Wish::Act => {
                let pane = rng.choose(view.panes().filter(|row| row.runtime.is_some()))?;
                let (act, guards) = (act(rng, pane), guards(rng, pane));
                // What somebody remembers may have ended.
                let earlier = rng.pick(&self.recent).map(|earlier| earlier.runtime.clone());
                let now = pane.runtime.as_ref().map(|it| it.runtime.clone());
                let runtime = if rng.permille(100) { earlier.or(now) } else { now };
                Some(self.ask(by, runtime?, act, guards))
            }
            Wish::Answer => self.answer(rng, view),
            Wish::Repeat => {
                let mut request = rng.pick(&self.recent)?.clone();
                self.name(&mut request);
                if rng.permille(200) {
                    request.fingerprint.push_str(", or something else");
                }
                Some((request.by.clone(), Request::Act(Box::new(request))))
            }
            Wish::Cancel => {
                let action = rng.pick(&self.recent)?.action.clone();
                Some((by.clone(), Request::Cancel { action, by }))
            }
        }
    }

    /// An answer to what waits, or to what is remembered, perhaps meant for something else.
    fn answer(&mut self, rng: &mut Rng, view: &Engine) -> Option<(Actor, Request)> {
        let waiting = rng.choose(view.approvals().filter(|it| it.is_waiting())).cloned();
        let remembered = rng.pick(&self.approvals).cloned();
        let asked = match (waiting, remembered) {
            (Some(waiting), _) if rng.permille(800) => waiting,
            (waiting, remembered) => remembered.or(waiting)?,
        };
        if self.approvals.iter().all(|it| it.approval != asked.approval) {
            remember(&mut self.approvals, asked.clone());
        }
        let other = if rng.permille(120) { rng.pick(&self.approvals) } else { None };
        let fingerprint = other.map_or(&asked.fingerprint, |other| &other.fingerprint).clone();
        let choice = if rng.permille(600) { Choice::Approve } else { Choice::Deny };
        let approval = asked.approval.clone();
        let act = Act::Respond {
            approval,
            fingerprint,
            choice,
            option: None,
            picks: Vec::new(),
            message: None,
        };
        Some(self.ask(PERSON, asked.runtime, act, Guards::default()))
    }

    fn ask(&mut self, by: Actor, runtime: RuntimeId, act: Act, guards: Guards) -> (Actor, Request) {
        let mut request = ActRequest {
            action: ActionId::new(""),
            snapshot: SnapshotId::new(""),
            nonce: String::new(),
            request_ref: format!("rq-{}", self.asked),
            fingerprint: format!("{act:?} {guards:?} {runtime}"),
            by: by.clone(),
            runtime,
            act,
            guards,
        };
        self.name(&mut request);
        remember(&mut self.recent, request.clone());
        (by, Request::Act(Box::new(request)))
    }

    /// What whoever takes a request names it, anew each time.
    fn name(&mut self, request: &mut ActRequest) {
        self.asked += 1;
        request.action = ActionId::new(format!("ac-{:08}", self.asked));
        request.snapshot = SnapshotId::new(format!("sn-{:08}", self.asked));
        request.nonce = format!("{:016x}", self.asked);
    }

    /// Nobody repeats what was asked so long ago that the store may have forgotten it.
    pub(crate) fn forget(&mut self) {
        self.recent.clear();
    }
}

fn remember<T>(kept: &mut Vec<T>, new: T) {
    if kept.len() >= REMEMBERED_MAX {
        kept.remove(0);
    }
    kept.push(new);
}

fn act(rng: &mut Rng, pane: &PaneRow) -> Act {
    let is_agent = pane.facts.agent.is_some();
    let keys = || vec!["Enter".to_owned()];
    let text = TextFacts {
        bytes: 1,
        sha256: "hash".to_owned(),
        letters_sha256: String::new(),
        preview: "x".to_owned(),
        commands: false,
    };
    match rng.below(10) {
        0 => Act::Attach { read_only: false },
        1 => Act::ViewOutput { lines: None, ansi: false },
        2 => Act::KillByKey,
        3 => Act::KillBySignal { signal: KillSignal::Term, tree: false },
        _ if is_agent => {
            Act::Send { text: Some(text), keys: keys(), paste: false, busy: busy(rng) }
        }
        _ => Act::Send { text: Some(text), keys: Vec::new(), paste: false, busy: Busy::REFUSED },
    }
}

fn busy(rng: &mut Rng) -> Busy {
    let then = rng.pick(IfBusy::ALL).copied().unwrap_or(IfBusy::Refuse);
    let patience_ms = match then {
        IfBusy::Refuse => return Busy::REFUSED,
        IfBusy::Wait => limits::WAIT_MS,
        IfBusy::Queue => limits::QUEUE_MS,
    };
    Busy { then, patience_ms: if rng.permille(300) { 5_000 } else { patience_ms } }
}

fn guards(rng: &mut Rng, pane: &PaneRow) -> Guards {
    match rng.below(12) {
        0 => Guards { if_state: rng.pick(State::ALL).copied(), ..Guards::default() },
        1 => Guards { if_command: Some(pane.facts.command.clone()), ..Guards::default() },
        2 => Guards {
            if_runtime: pane.runtime.as_ref().map(|it| it.runtime.clone()),
            force_stale: rng.permille(500),
            ..Guards::default()
        },
        _ => Guards::default(),
    }
}
