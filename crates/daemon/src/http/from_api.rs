//! From what a client sends to what the engine takes in. Together with [`super::to_api`] the only
//! place that speaks both languages.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use agents::redact;
use api::actions::{IfBusy, KillSignal};
use api::approvals::{ApprovalState, Choice};
use api::error_code::ErrorCode;
use api::events::EventEnvelope;
use api::targets::{TargetCreate, TargetRoute};
use api::tokens::TokenScope;
use api::words::{Source, State, TargetKind};
use engine::action::Busy;
use engine::ids::{AgentType, EventId, PaneId, PaneKey, RuntimeId, TargetId};
use engine::input::Request;
use engine::limits;
use engine::signal::{About, Hints, Signal};
use engine::time::{Now, WallMs};
use engine::words as known;
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::follower::Follower;
use crate::ids::Ids;
use crate::targets::route::{Route, Ssh, Way};

/// The signal of a request; the one that interrupts if it names none.
pub(crate) fn kill_signal(signal: Option<KillSignal>) -> known::KillSignal {
    match signal {
        None | Some(KillSignal::Int) => known::KillSignal::Int,
        Some(KillSignal::Term) => known::KillSignal::Term,
        Some(KillSignal::Kill) => known::KillSignal::Kill,
    }
}

/// What happens to a send while the agent takes no prompt.
pub(crate) fn busy(then: IfBusy, patience_ms: Option<i64>) -> Busy {
    let (then, default_ms) = match then {
        IfBusy::Refuse => return Busy::REFUSED,
        IfBusy::Wait => (known::IfBusy::Wait, limits::WAIT_MS),
        IfBusy::Queue => (known::IfBusy::Queue, limits::QUEUE_MS),
    };
    let patience_ms = patience_ms.unwrap_or(default_ms).min(limits::PATIENCE_MS_MAX);
    Busy { then, patience_ms }
}

pub(crate) fn state(state: State) -> known::State {
    match state {
        State::Error => known::State::Error,
        State::WaitingApproval => known::State::WaitingApproval,
        State::WaitingInput => known::State::WaitingInput,
        State::Running => known::State::Running,
        State::Completed => known::State::Completed,
        State::Idle => known::State::Idle,
        State::Unknown => known::State::Unknown,
    }
}

fn source(source: Source) -> known::Source {
    match source {
        Source::Hook => known::Source::Hook,
        Source::Notify => known::Source::Notify,
        Source::Wrapper => known::Source::Wrapper,
        Source::Poller => known::Source::Poller,
    }
}

pub(crate) fn token_scope(scope: TokenScope) -> known::TokenScope {
    match scope {
        TokenScope::Read => known::TokenScope::Read,
        TokenScope::Act => known::TokenScope::Act,
        TokenScope::Admin => known::TokenScope::Admin,
    }
}

pub(crate) fn choice(choice: Choice) -> known::Choice {
    match choice {
        Choice::Approve => known::Choice::Approve,
        Choice::ApproveSession => known::Choice::ApproveSession,
        Choice::ApproveAlways => known::Choice::ApproveAlways,
        Choice::Deny => known::Choice::Deny,
        Choice::Option => known::Choice::Option,
    }
}

pub(crate) fn approval_state(state: ApprovalState) -> known::ApprovalState {
    match state {
        ApprovalState::Waiting => known::ApprovalState::Waiting,
        ApprovalState::Answering => known::ApprovalState::Answering,
        ApprovalState::Answered => known::ApprovalState::Answered,
        ApprovalState::AnsweredInTerminal => known::ApprovalState::AnsweredInTerminal,
        ApprovalState::Replaced => known::ApprovalState::Replaced,
        ApprovalState::Expired => known::ApprovalState::Expired,
        ApprovalState::Gone => known::ApprovalState::Gone,
    }
}

/// The event of an envelope that has passed its own check: its type in the one spelling, what it
/// claims, and its payload without secrets.
pub(crate) fn signal(
    envelope: EventEnvelope,
    follower: &Follower,
    ids: &Ids,
    now: Now,
) -> Result<Signal, Problem> {
    let about = about(&envelope, follower)?;
    let event_type = agents::vocabulary::normalise(&redact::text(&envelope.event_type));
    if event_type.is_empty() {
        return Err(Problem::field("event_type", "is empty"));
    }
    let payload = envelope.raw_payload.as_ref().map(api::events::Payload::text);
    let wall = |at: api::Timestamp| WallMs(at.as_millis());
    let event_id = envelope.event_id.map_or_else(|| ids.next("ev"), key);
    let agent = envelope.agent_type.map(|name| redact::text(&name).to_lowercase());
    Ok(Signal {
        event_id: EventId::new(event_id),
        claim: agents::vocabulary::claim(&event_type),
        event_type,
        source: source(envelope.source),
        dedupe_key: key(envelope.dedupe_key),
        source_event_id: envelope.source_event_id.map(key),
        source_seq: envelope.source_seq,
        event_time: envelope.event_time.map_or(now.wall, wall),
        about,
        hints: Hints {
            pid: envelope.pid,
            start: envelope.start_hint.map(wall),
            ancestors: Vec::new(),
        },
        agent: agent.map(AgentType::new),
        action_id: None,
        // What cannot be read with certainty is not kept.
        details: BTreeMap::new(),
        begins_turn: false,
        repeats: false,
        session: None,
        payload: payload.and_then(|text| redact::payload(&text).ok()),
        asked: None,
        expects_version: None,
    })
}

/// A key that somebody chose. One that holds a secret is kept as its hash: equal keys stay equal,
/// different ones different.
fn key(given: String) -> String {
    if redact::changed(&given).is_none() {
        return given;
    }
    let hash = Sha256::digest(given.as_bytes());
    hash.iter().fold("redacted-".to_owned(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What an envelope is about: the runtime it names, else the pane.
fn about(envelope: &EventEnvelope, follower: &Follower) -> Result<About, Problem> {
    let key = pane_key(envelope, follower)?;
    let Some(runtime) = envelope.runtime_id.as_ref().map(|id| RuntimeId::new(id.clone())) else {
        let missing = || Problem::field("target", "is missing, and so is `runtime_id`");
        return key.map(About::Pane).ok_or_else(missing);
    };
    let lives_in = follower.engine().pane_of(&runtime).map(|row| &row.key);
    match (lives_in, key) {
        (Some(lives_in), Some(key)) if *lives_in != key => {
            Err(Problem::field("pane_id", "is not where the runtime of `runtime_id` lives"))
        }
        (_, _) => Ok(About::Runtime(runtime)),
    }
}

fn pane_key(envelope: &EventEnvelope, follower: &Follower) -> Result<Option<PaneKey>, Problem> {
    let (Some(target), Some(pane)) = (target_of(envelope, follower)?, &envelope.pane_id) else {
        return Ok(None);
    };
    let pane = pane.parse::<PaneId>();
    let pane = pane.map_err(|error| Problem::field("pane_id", &format!("is none: {error}")))?;
    Ok(Some(PaneKey::new(target, pane)))
}

/// The target that an event names, by its name or its id.
fn target_of<'a>(
    envelope: &EventEnvelope,
    follower: &'a Follower,
) -> Result<Option<&'a TargetId>, Problem> {
    let named = envelope.target.as_ref();
    let named = named.map(|name| follower.target(name).ok_or_else(|| Problem::no_target(name)));
    let named = named.transpose()?.map(|row| &row.target);
    let Some(id) = &envelope.target_id else { return Ok(named) };
    let row = follower.engine().target(&TargetId::new(id.clone()));
    let unknown = || {
        Problem::new(ErrorCode::TargetNotFound, "no target has this id")
            .detail("target_id", id.as_str())
    };
    let row = row.ok_or_else(unknown)?;
    match named {
        Some(named) if *named != row.target => {
            Err(Problem::field("target_id", "is another target than `target` names"))
        }
        Some(_) | None => Ok(Some(&row.target)),
    }
}

/// The target that a client wants, under a new id.
pub(crate) fn new_target(create: TargetCreate, ids: &Ids) -> Result<Request, Problem> {
    // tmux's own name for the socket that is used when none is named.
    let socket = create.tmux_socket.filter(|name| name != "default");
    let (tmux, attach) = (create.tmux, create.attach_command);
    let (kind, connection_ref) = match (create.kind, create.command) {
        (TargetKind::Local, _) => (known::TargetKind::Local, socket.unwrap_or_default()),
        (TargetKind::Command, words) => {
            let way = Way::Command { words: words.unwrap_or_default(), attach };
            (known::TargetKind::Command, stored(&Route { way, tmux, socket })?)
        }
        (TargetKind::Ssh, _) => {
            let (options, accept_new) = (create.ssh_options, create.accept_new);
            let ssh = Ssh { target: create.ssh_target.unwrap_or_default(), options, accept_new };
            (known::TargetKind::Ssh, stored(&Route { way: Way::Ssh(ssh), tmux, socket })?)
        }
    };
    Ok(Request::AddTarget {
        target: TargetId::new(ids.next("tg")),
        name: create.name.to_string(),
        kind,
        connection_ref,
    })
}

/// How programs are started on a target, as it is listed.
pub fn route(listed: TargetRoute) -> Route {
    let TargetRoute {
        command,
        attach_command,
        ssh_target,
        ssh_options,
        accept_new,
        tmux,
        tmux_socket,
    } = listed;
    let way = match ssh_target {
        Some(target) => Way::Ssh(Ssh { target, options: ssh_options, accept_new }),
        None => Way::Command { words: command.unwrap_or_default(), attach: attach_command },
    };
    Route { way, tmux, socket: tmux_socket }
}

fn stored(route: &Route) -> Result<String, Problem> {
    route.to_text().map_err(|error| Problem::internal("the route was not written", &error))
}
