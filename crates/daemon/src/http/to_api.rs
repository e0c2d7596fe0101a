//! From what the engine knows to what the API promises. Together with [`super::from_api`] the only
//! place that speaks both languages.

use api::actions::{
    ActionEventItem, ActionItem, ActionType, AttachItem, DeniedItem, OutputItem, ResultCode,
    SnapshotItem,
};
use api::agents::AgentDetails;
use api::approvals::{
    ApprovalItem, ApprovalKind, ApprovalState, Choice, Delivery, OfferItem, PartItem,
    PartOptionItem, TerminalOnly,
};
use api::error_code::ErrorCode;
use api::explain::{DecisionRule, Evidence, ExplainAnswer, WhyNot};
use api::health::Warning;
use api::panes::{LastKnown, PaneIdentity, PaneItem};
use api::runtimes::RuntimeItem;
use api::targets::{TargetCounts, TargetIdentity, TargetItem, TargetRoute, TmuxServer};
use api::timestamp::Timestamp;
use api::tokens::TokenScope;
use api::words::{
    ActivityState, AgentPresence, AwaitingResponseKind, Confidence, DisplayCategory, EndReason,
    EvidenceSource, Health, ObserverMode, SchemaVersion, State, TargetKind,
};
use engine::action::{Act, ActionRow};
use engine::approval::{ApprovalRow, Part, PartOption};
use engine::explain::{Explanation, Piece, Rule, Standing};
use engine::ids::{AgentType, PaneKey};
use engine::pane::{PaneRow, Place, Runtime};
use engine::state::StateRow;
use engine::target::TargetRow;
use engine::time::{Now, Stamp, WallMs};
use engine::words as known;
use store::{ActionEvent, Ended};

use super::agent::{self, Extent};
use crate::executors::Screen;
use crate::follower::Follower;
use crate::standing::Standing as Store;
use crate::targets::far::terminal_words;
use crate::targets::route::{Route, Ssh, Way};

pub(crate) fn timestamp(at: WallMs) -> Timestamp {
    Timestamp::from_millis(at.0)
}

fn stamp(at: Stamp) -> Timestamp {
    timestamp(at.wall)
}

pub(crate) fn state(state: known::State) -> State {
    match state {
        known::State::Error => State::Error,
        known::State::WaitingApproval => State::WaitingApproval,
        known::State::WaitingInput => State::WaitingInput,
        known::State::Running => State::Running,
        known::State::Completed => State::Completed,
        known::State::Idle => State::Idle,
        known::State::Unknown => State::Unknown,
    }
}

fn confidence(confidence: known::Confidence) -> Confidence {
    match confidence {
        known::Confidence::High => Confidence::High,
        known::Confidence::Medium => Confidence::Medium,
        known::Confidence::Low => Confidence::Low,
    }
}

fn source(source: known::Source) -> EvidenceSource {
    match source {
        known::Source::Hook => EvidenceSource::Hook,
        known::Source::Notify => EvidenceSource::Notify,
        known::Source::Wrapper => EvidenceSource::Wrapper,
        known::Source::Poller => EvidenceSource::Poller,
        known::Source::Status => EvidenceSource::Status,
        known::Source::Title => EvidenceSource::Title,
        known::Source::Process => EvidenceSource::Process,
        known::Source::Screen => EvidenceSource::Screen,
    }
}

pub(crate) fn health(health: known::Health) -> Health {
    match health {
        known::Health::Ok => Health::Ok,
        known::Health::Degraded => Health::Degraded,
        known::Health::Down => Health::Down,
    }
}

fn kind(kind: known::TargetKind) -> TargetKind {
    match kind {
        known::TargetKind::Local => TargetKind::Local,
        known::TargetKind::Ssh => TargetKind::Ssh,
        known::TargetKind::Command => TargetKind::Command,
    }
}

/// How a target's server is observed; a server that cannot be reached is not.
pub(crate) fn observer_mode(row: &TargetRow) -> ObserverMode {
    let reachable = row.server.as_ref().filter(|_| row.health != known::Health::Down);
    match reachable.map(|server| server.mode) {
        Some(engine::target::ObserverMode::Control) => ObserverMode::Control,
        Some(engine::target::ObserverMode::Forked) => ObserverMode::Forked,
        None => ObserverMode::None,
    }
}

/// Why a target is not well, or what is limited about it.
pub(crate) fn health_reason(row: &TargetRow) -> Option<String> {
    row.trouble.as_ref().map(|trouble| trouble.code.clone())
}

/// The same for people.
pub(crate) fn health_message(row: &TargetRow) -> Option<String> {
    row.trouble.as_ref().map(|trouble| trouble.message.clone())
}

/// Whether an agent runs in a pane. Where something reports and nothing was recognised, and where
/// the target cannot be asked, nobody can tell.
fn presence(row: &PaneRow) -> AgentPresence {
    let agent = row.runtime.as_ref().and_then(|runtime| runtime.agent.as_ref());
    let quiet = row.state.source.is_none() && !is_unreachable(&row.state);
    match agent {
        Some(_) => AgentPresence::Managed,
        None if quiet && row.state.reason != known::reason::STALE_SIGNAL => AgentPresence::None,
        None => AgentPresence::Unknown,
    }
}

fn is_unreachable(row: &StateRow) -> bool {
    row.reason == known::reason::TARGET_UNREACHABLE
}

fn activity(state: State) -> ActivityState {
    match state {
        State::Error => ActivityState::Error,
        State::WaitingApproval => ActivityState::WaitingApproval,
        State::WaitingInput => ActivityState::WaitingInput,
        State::Running => ActivityState::Running,
        State::Completed | State::Idle => ActivityState::Idle,
        State::Unknown => ActivityState::Unknown,
    }
}

fn category(state: State, presence: AgentPresence) -> DisplayCategory {
    match (state, presence) {
        (State::Error | State::WaitingApproval | State::WaitingInput, _) => {
            DisplayCategory::Attention
        }
        (State::Running, _) => DisplayCategory::Running,
        (State::Completed | State::Idle, _) => DisplayCategory::Idle,
        (State::Unknown, AgentPresence::None) => DisplayCategory::Unmanaged,
        (State::Unknown, AgentPresence::Managed | AgentPresence::Unknown) => {
            DisplayCategory::Unknown
        }
    }
}

fn awaiting(state: State) -> Option<AwaitingResponseKind> {
    match state {
        State::WaitingApproval => Some(AwaitingResponseKind::Approval),
        State::WaitingInput => Some(AwaitingResponseKind::Input),
        State::Error | State::Running | State::Completed | State::Idle | State::Unknown => None,
    }
}

fn last_known(row: &StateRow, now: Now) -> Option<LastKnown> {
    let known = row.last_known.as_ref()?;
    let at = timestamp(known.at);
    Some(LastKnown {
        state: state(known.state),
        reason_code: known.reason.clone(),
        at,
        age_ms: at.age_ms(timestamp(now.wall)),
    })
}

fn agent_name(agent: &AgentType) -> String {
    agent.as_str().to_owned()
}

/// What the agent in a runtime told of itself.
fn agent_details(follower: &Follower, runtime: &Runtime, extent: Extent) -> Option<AgentDetails> {
    runtime.agent.as_ref()?;
    let evidence = follower.engine().evidence(&runtime.runtime)?;
    Some(agent::details(evidence, extent))
}

/// A pane's identity at a given place.
pub(crate) fn pane_identity(follower: &Follower, key: &PaneKey, place: &Place) -> PaneIdentity {
    PaneIdentity {
        target: follower.target_name(&key.target),
        session_id: place.session.to_string(),
        session_name: place.session_name.clone(),
        window_id: place.window.to_string(),
        pane_id: key.pane.to_string(),
    }
}

/// A pane as a list and a watch stream show it.
pub(crate) fn pane(follower: &Follower, row: &PaneRow, now: Now) -> PaneItem {
    let (facts, runtime) = (&row.facts, row.runtime.as_ref());
    let evidence = runtime.and_then(|it| follower.engine().evidence(&it.runtime));
    let last_event = evidence.and_then(engine::state::Evidence::last_event);
    let (state, presence) = (state(row.state.state), presence(row));
    let display_category = category(state, presence);
    PaneItem {
        identity: pane_identity(follower, &row.key, &facts.place()),
        window_name: facts.window_name.clone(),
        window_index: facts.window_index,
        pane_index: facts.pane_index,
        current_cmd: facts.command.clone(),
        pane_title: facts.title.clone(),
        current_path: facts.path.clone(),
        width: facts.width,
        height: facts.height,
        pane_pid: (facts.process.pid > 0).then_some(facts.process.pid),
        pane_tty: facts.tty.clone(),
        pane_active: facts.pane_active,
        window_active: facts.window_active,
        pane_dead: facts.dead,
        dead_status: facts.dead_status,
        dead_signal: facts.dead_signal,
        in_mode: facts.in_mode,
        bell: facts.bell,
        linked_sessions: facts.links.iter().map(|link| link.session.to_string()).collect(),
        state,
        reason_code: row.state.reason.clone(),
        confidence: confidence(row.state.confidence),
        state_version: row.state.version,
        state_source: row.state.source.map(source),
        state_since: stamp(row.state.since),
        last_known: last_known(&row.state, now),
        runtime_id: runtime.map(|it| it.runtime.to_string()),
        pane_epoch: runtime.map(|it| it.epoch),
        runtime_started_at: runtime.map(|it| timestamp(it.started_at)),
        agent_type: runtime.and_then(|it| it.agent.as_ref()).map(agent_name),
        agent: runtime.and_then(|it| agent_details(follower, it, Extent::Listed)),
        agent_presence: presence,
        activity_state: activity(state),
        display_category,
        needs_user_action: display_category == DisplayCategory::Attention,
        awaiting_response_kind: awaiting(state),
        last_event_type: last_event.map(|it| it.event_type.clone()),
        last_event_at: last_event.map(|it| timestamp(it.order.effective.min(it.ingested_at))),
        last_activity_at: row.last_activity.map(stamp),
        last_seen_at: stamp(row.last_seen),
        first_seen_at: timestamp(row.first_seen_at),
        updated_at: timestamp(row.updated_at),
    }
}

/// A runtime that lives.
pub(crate) fn runtime(
    follower: &Follower,
    row: &PaneRow,
    runtime: &Runtime,
    now: Now,
) -> RuntimeItem {
    RuntimeItem {
        runtime_id: runtime.runtime.to_string(),
        target: follower.target_name(&row.key.target),
        server_boot_id: runtime.boot.to_string(),
        pane_id: row.key.pane.to_string(),
        pane_epoch: runtime.epoch,
        pane: Some(pane_identity(follower, &row.key, &row.facts.place())),
        agent_type: runtime.agent.as_ref().map(agent_name),
        agent: agent_details(follower, runtime, Extent::Full),
        pid: (runtime.pid > 0).then_some(runtime.pid),
        started_at: timestamp(runtime.started_at),
        ended_at: None,
        ended_reason: None,
        state: state(row.state.state),
        reason_code: row.state.reason.clone(),
        confidence: confidence(row.state.confidence),
        state_version: row.state.version,
        state_source: row.state.source.map(source),
        state_since: stamp(row.state.since),
        last_known: last_known(&row.state, now),
        last_seen_at: stamp(row.last_seen),
        updated_at: timestamp(row.updated_at),
    }
}

/// A runtime that ended, of which only its row is left: what it was, and what its end made of its state.
pub(crate) fn ended_runtime(follower: &Follower, ended: &Ended, now: Now) -> RuntimeItem {
    let (runtime, left) = (&ended.runtime, ended.state.as_ref());
    let at = timestamp(ended.at);
    RuntimeItem {
        runtime_id: runtime.runtime.to_string(),
        target: follower.target_name(&ended.key.target),
        server_boot_id: runtime.boot.to_string(),
        pane_id: ended.key.pane.to_string(),
        pane_epoch: runtime.epoch,
        pane: None,
        agent_type: runtime.agent.as_ref().map(agent_name),
        agent: None,
        pid: (runtime.pid > 0).then_some(runtime.pid),
        started_at: timestamp(runtime.started_at),
        ended_at: Some(at),
        ended_reason: Some(end_reason(ended.reason)),
        state: State::Unknown,
        reason_code: known::reason::PROCESS_EXITED.to_owned(),
        confidence: Confidence::High,
        state_version: left.map_or(0, |left| left.version),
        state_source: None,
        state_since: left.map_or(at, |left| stamp(left.since)),
        last_known: left.and_then(|left| last_known(left, now)),
        last_seen_at: at,
        updated_at: at,
    }
}

fn end_reason(reason: known::EndReason) -> EndReason {
    match reason {
        known::EndReason::PaneGone => EndReason::PaneGone,
        known::EndReason::ProcessExited => EndReason::ProcessExited,
        known::EndReason::Respawned => EndReason::Respawned,
        known::EndReason::Exec => EndReason::Exec,
        known::EndReason::AgentStarted => EndReason::AgentStarted,
        known::EndReason::AgentEnded => EndReason::AgentEnded,
        known::EndReason::ServerGone => EndReason::ServerGone,
        known::EndReason::TargetRemoved => EndReason::TargetRemoved,
    }
}

/// A target with what there is on it.
pub(crate) fn target(
    follower: &Follower,
    row: &TargetRow,
    clock_offset_ms: Option<i64>,
    now: Now,
) -> TargetItem {
    let name = follower.target_name(&row.target);
    let route = route(row);
    TargetItem {
        identity: TargetIdentity { target: name.clone() },
        name,
        target_id: row.target.to_string(),
        kind: kind(row.kind),
        connection_ref: route.as_ref().map_or_else(|| row.connection_ref.clone(), Route::name),
        route: route.map(to_route),
        is_default: row.is_default,
        health: health(row.health),
        health_reason: health_reason(row),
        health_message: health_message(row),
        server: row.server.as_ref().map(|server| TmuxServer {
            boot_id: server.boot.to_string(),
            pid: server.pid,
            version: server.version.clone(),
            socket: server.socket.clone(),
            started_at: Some(timestamp(server.started_at)),
        }),
        observer_mode: observer_mode(row),
        last_seen_at: row.last_seen_at.map(timestamp),
        clock_offset_ms,
        updated_at: timestamp(row.updated_at),
        counts: counts(follower, row, now),
    }
}

/// How programs are started there, where that is not on this machine.
fn route(row: &TargetRow) -> Option<Route> {
    match row.kind {
        known::TargetKind::Local => None,
        known::TargetKind::Ssh | known::TargetKind::Command => {
            Route::parse(&row.connection_ref).ok()
        }
    }
}

fn to_route(route: Route) -> TargetRoute {
    let Route { way, tmux, socket } = route;
    let common = TargetRoute { tmux, tmux_socket: socket, ..TargetRoute::default() };
    match way {
        Way::Command { words, attach } => {
            TargetRoute { command: Some(words), attach_command: attach, ..common }
        }
        Way::Ssh(Ssh { target, options, accept_new }) => {
            TargetRoute { ssh_target: Some(target), ssh_options: options, accept_new, ..common }
        }
    }
}

fn counts(follower: &Follower, row: &TargetRow, now: Now) -> TargetCounts {
    let sessions = follower.engine().sessions().filter(|it| it.target == row.target).count();
    let mut windows = std::collections::BTreeSet::new();
    let mut counts = TargetCounts { sessions: sessions as u64, ..TargetCounts::default() };
    for row in follower.panes_of(&row.target) {
        let item = pane(follower, row, now);
        windows.insert(row.facts.window);
        counts.panes += 1;
        counts.agents += u64::from(item.agent_type.is_some());
        counts.needs_action += u64::from(item.needs_user_action);
    }
    TargetCounts { windows: windows.len() as u64, ..counts }
}

/// The whole answer to "why".
pub(crate) fn explanation(
    follower: &Follower,
    runtime: RuntimeItem,
    explained: &Explanation,
    now: Now,
) -> ExplainAnswer {
    let mut pieces: Vec<&Piece> = explained.evidence.iter().collect();
    pieces.sort_by_key(|piece| piece.standing != Standing::Won);
    let contradicts = |piece: &&Piece| match piece.standing {
        Standing::Outranked => true,
        Standing::Won | Standing::Expired | Standing::Agrees | Standing::OfOther => false,
    };
    let numbered = (0_u32..).zip(&pieces);
    ExplainAnswer {
        schema_version: SchemaVersion::V1,
        generated_at: timestamp(now.wall),
        as_of: follower.as_of(),
        runtime,
        warnings: doubts(follower.standing()),
        rule: rule(explained.rule),
        target_health: health(explained.health),
        last_seen_age_ms: age(explained.last_seen_age_ms),
        last_activity_age_ms: explained.last_activity_age_ms.map(age),
        next_change_at: next_change(follower, explained, now),
        contradicted: numbered.filter(|(_, it)| contradicts(it)).map(|(place, _)| place).collect(),
        evidence: pieces.into_iter().map(evidence).collect(),
    }
}

fn age(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0)
}

fn rule(rule: Rule) -> DecisionRule {
    match rule {
        Rule::TargetDown => DecisionRule::TargetDown,
        Rule::ProcessEnded => DecisionRule::ProcessEnded,
        Rule::Disabled => DecisionRule::AdapterDisabled,
        Rule::Deterministic => DecisionRule::NewestDeterministicClaim,
        Rule::Inferred => DecisionRule::NewestInferredClaim,
        Rule::Demoted => DecisionRule::CompletedDemoted,
        Rule::Stale => DecisionRule::StaleSignal,
        Rule::Silent => DecisionRule::AgentWithoutSignal,
        Rule::NoAgent => DecisionRule::NoAgent,
    }
}

fn why_not(standing: Standing) -> Option<WhyNot> {
    match standing {
        Standing::Won => None,
        Standing::Expired => Some(WhyNot::Expired),
        Standing::Outranked => Some(WhyNot::Outranked),
        Standing::Agrees => Some(WhyNot::Agrees),
        Standing::OfOther => Some(WhyNot::OtherAgent),
    }
}

fn evidence(piece: &Piece) -> Evidence {
    let heard = &piece.heard;
    Evidence {
        source: source(piece.source),
        event_id: Some(heard.event_id.to_string()),
        event_type: Some(heard.event_type.clone()),
        says: Some(state(heard.claim.state)),
        reason_code: heard.claim.reason.clone(),
        confidence: confidence(heard.claim.confidence),
        effective_at: timestamp(piece.effective_time),
        ingested_at: stamp(heard.ingested_at),
        age_ms: age(piece.age_ms),
        confirmed_age_ms: age(piece.confirmed_age_ms),
        fresh: !matches!(piece.standing, Standing::Expired | Standing::OfOther),
        won: piece.standing == Standing::Won,
        why_not: why_not(piece.standing),
    }
}

/// When the claim that won expires, or stops being news, if nothing else happens. What every look
/// confirms does not expire as long as somebody looks.
fn next_change(follower: &Follower, explained: &Explanation, now: Now) -> Option<Timestamp> {
    let won = explained.evidence.iter().find(|piece| piece.standing == Standing::Won)?;
    let settings = follower.engine().settings();
    let by_look = won.confirmed_age_ms == explained.last_seen_age_ms;
    let stale = (!by_look).then(|| settings.stale_ttl_ms - won.confirmed_age_ms + 1);
    let shown_as_news = explained.concluded.state == known::State::Completed;
    let demoted = shown_as_news.then(|| settings.completed_ttl_ms - won.age_ms);
    let wait = stale.into_iter().chain(demoted).min()?;
    Some(timestamp(WallMs(now.wall.0.saturating_add(wait.max(0)))))
}

/// Why what is shown may be of the past, and what somebody should do about it.
pub(crate) fn doubts(standing: &Store) -> Vec<Warning> {
    let (code, why, hint) = match standing {
        Store::Writable => return Vec::new(),
        Store::Failing { why, .. } => {
            let hint = "Until this is over nothing new is stored, and what is shown is how it was \
                        before. Room on the disk ends it by itself.";
            ("store_failing", why, hint)
        }
        Store::ReadOnly(why) => {
            let hint = "See `qd doctor`; then start the daemon again. A damaged database is replaced \
                        by what is proven of it with `qd daemon stop` and `qd journal rebuild`.";
            ("store_read_only", why, hint)
        }
    };
    let (code, message, hint) = (code.to_owned(), why.clone(), hint.to_owned());
    vec![Warning { code, message, details: serde_json::Map::new(), hint }]
}

/// An action as its history shows it.
pub(crate) fn action(follower: &Follower, row: &ActionRow) -> ActionItem {
    let seen = &row.snapshot;
    ActionItem {
        action_id: row.action.to_string(),
        action_type: action_type(row.act.kind()),
        request_ref: row.request_ref.clone(),
        result_code: result_code(row.phase),
        error_code: row.failure.as_ref().map(|failure| action_problem(failure.problem)),
        message: row.failure.as_ref().map(|failure| failure.message.clone()),
        proof: row.proof.map(|proof| proof.as_str().to_owned()),
        steps: row.steps.iter().map(|step| step.as_str().to_owned()).collect(),
        target: follower.target_name(&row.pane.target).to_string(),
        pane_id: row.pane.pane.to_string(),
        runtime_id: row.runtime.to_string(),
        requested_by: row.by.to_string(),
        requested_at: stamp(row.requested),
        completed_at: row.completed_at.map(timestamp),
        cancelled_by: row.cancelled_by.as_ref().map(ToString::to_string),
        detail: serde_json::json!({ "act": row.act, "guards": row.guards }),
        snapshot: SnapshotItem {
            snapshot_id: seen.snapshot.to_string(),
            server_boot_id: seen.boot.to_string(),
            pane_pid: seen.pane_pid,
            pid: (seen.process.pid != 0).then_some(seen.process.pid),
            agent_type: seen.agent.as_ref().map(ToString::to_string),
            current_cmd: seen.command.clone(),
            state: state(seen.state),
            state_version: seen.state_version,
            observed_at: timestamp(seen.observed_at),
            expires_at: timestamp(seen.expires_at),
        },
    }
}

pub(crate) fn denied(found: &store::Denied) -> DeniedItem {
    DeniedItem {
        journal_seq: found.seq,
        at: timestamp(found.at),
        requested_by: found.actor.to_string(),
        runtime_id: found.denial.runtime.as_ref().map(ToString::to_string),
        operation: found.denial.operation.clone(),
        error_code: found.denial.code.clone(),
        unrecorded: found.denial.unrecorded,
    }
}

/// An approval; `held` says that the agent's hook waits for the answer.
pub(crate) fn approval(follower: &Follower, row: &ApprovalRow, held: bool) -> ApprovalItem {
    let asking = &row.asking;
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let session = follower.engine().pane(&row.pane).map(|pane| pane.facts.session_name.clone());
    // A hook that waits takes all of them at once.
    let by_parts = held && !asking.parts.is_empty();
    let mut options = 0;
    let offers = asking.offers.iter().map(|offer| OfferItem {
        choice: choice(offer.choice),
        option: (offer.choice == known::Choice::Option).then(|| {
            options += 1;
            options
        }),
        label: offer.label.clone(),
    });
    ApprovalItem {
        approval_id: row.approval.to_string(),
        state: approval_state(row.state),
        kind: approval_kind(asking.kind),
        agent_type: row.agent.as_ref().map(ToString::to_string),
        agent_session: row.session.clone(),
        target: follower.target_name(&row.pane.target).to_string(),
        session_name: session,
        pane_id: row.pane.pane.to_string(),
        runtime_id: row.runtime.to_string(),
        tool: some(&asking.tool),
        request: asking.request.clone(),
        request_bytes: asking.request_bytes,
        purpose: some(&asking.purpose),
        directory: some(&asking.directory),
        offers: offers.collect(),
        terminal_only: asking.terminal_only.filter(|_| !by_parts).map(terminal_only),
        parts: asking.parts.iter().map(part).collect(),
        fingerprint: row.fingerprint.clone(),
        source: row.source.as_str().to_owned(),
        delivery: row.is_live().then_some(if held { Delivery::Reply } else { Delivery::Keys }),
        opened_at: stamp(row.opened),
        expires_at: timestamp(row.expires_at),
        closed_at: row.closed_at.map(timestamp),
        outcome: row.outcome.map(choice),
        answered_by: row.answer.as_ref().map(|answer| answer.by.to_string()),
        action_id: row.answer.as_ref().map(|answer| answer.action.to_string()),
    }
}

fn part(part: &Part) -> PartItem {
    let option = |option: &PartOption| PartOptionItem {
        label: option.label.clone(),
        about: Some(option.about.clone()).filter(|about| !about.is_empty()),
    };
    PartItem {
        question: part.question.clone(),
        several: part.several,
        options: part.options.iter().map(option).collect(),
    }
}

pub(crate) fn token_scope(scope: known::TokenScope) -> TokenScope {
    match scope {
        known::TokenScope::Read => TokenScope::Read,
        known::TokenScope::Act => TokenScope::Act,
        known::TokenScope::Admin => TokenScope::Admin,
    }
}

pub(crate) fn choice(choice: known::Choice) -> Choice {
    match choice {
        known::Choice::Approve => Choice::Approve,
        known::Choice::ApproveSession => Choice::ApproveSession,
        known::Choice::ApproveAlways => Choice::ApproveAlways,
        known::Choice::Deny => Choice::Deny,
        known::Choice::Option => Choice::Option,
    }
}

fn terminal_only(why: known::TerminalOnly) -> TerminalOnly {
    match why {
        known::TerminalOnly::SeveralQuestions => TerminalOnly::SeveralQuestions,
        known::TerminalOnly::SeveralAnswers => TerminalOnly::SeveralAnswers,
    }
}

fn approval_kind(kind: known::ApprovalKind) -> ApprovalKind {
    match kind {
        known::ApprovalKind::Permission => ApprovalKind::Permission,
        known::ApprovalKind::Plan => ApprovalKind::Plan,
        known::ApprovalKind::Question => ApprovalKind::Question,
    }
}

fn approval_state(state: known::ApprovalState) -> ApprovalState {
    match state {
        known::ApprovalState::Waiting => ApprovalState::Waiting,
        known::ApprovalState::Answering => ApprovalState::Answering,
        known::ApprovalState::Answered => ApprovalState::Answered,
        known::ApprovalState::AnsweredInTerminal => ApprovalState::AnsweredInTerminal,
        known::ApprovalState::Replaced => ApprovalState::Replaced,
        known::ApprovalState::Expired => ApprovalState::Expired,
        known::ApprovalState::Gone => ApprovalState::Gone,
    }
}

/// Where a terminal finds the pane of an attach, while it is there.
pub(crate) fn attach(follower: &Follower, row: &ActionRow) -> Option<AttachItem> {
    let Act::Attach { read_only } = row.act else { return None };
    let engine = follower.engine();
    let target = engine.target(&row.pane.target)?;
    let server = target.server.as_ref()?;
    let pane = engine.pane(&row.pane).filter(|_| server.boot == row.snapshot.boot)?;
    let session = pane.facts.session.to_string();
    let command = route(target).map(|route| terminal_words(&route, &session, read_only));
    Some(AttachItem {
        command: command.flatten(),
        socket: server.socket.clone(),
        server_pid: server.pid,
        session_id: session,
        read_only,
    })
}

pub(crate) fn output(screen: &Screen) -> OutputItem {
    OutputItem {
        text: screen.text.clone(),
        lines: screen.lines,
        width: screen.width,
        height: screen.height,
        first_line: screen.first_line,
        history_lines: screen.history.into(),
        history_limit: screen.history_limit.into(),
        cursor_row: screen.cursor_row,
        alternate_screen: screen.alternate,
    }
}

pub(crate) fn action_event(event: &ActionEvent) -> ActionEventItem {
    ActionEventItem {
        event_id: event.event_id.clone(),
        runtime_id: event.runtime.to_string(),
        event_type: event.event_type.clone(),
        source: event.source.clone(),
        event_time: timestamp(event.event_time),
        ingested_at: timestamp(event.ingested_at),
        journal_seq: event.journal_seq,
    }
}

fn action_type(kind: known::ActionKind) -> ActionType {
    match kind {
        known::ActionKind::Attach => ActionType::Attach,
        known::ActionKind::Send => ActionType::Send,
        known::ActionKind::ViewOutput => ActionType::ViewOutput,
        known::ActionKind::Kill => ActionType::Kill,
        known::ActionKind::Respond => ActionType::Respond,
    }
}

pub(crate) fn result_code(phase: known::Phase) -> ResultCode {
    match phase {
        known::Phase::Pending => ResultCode::Pending,
        known::Phase::Completed => ResultCode::Completed,
        known::Phase::NotConfirmed => ResultCode::NotConfirmed,
        known::Phase::Refused => ResultCode::Refused,
        known::Phase::Failed => ResultCode::Failed,
        known::Phase::Cancelled => ResultCode::Cancelled,
        known::Phase::Unknown => ResultCode::Unknown,
    }
}

pub(crate) fn action_problem(problem: known::ActionProblem) -> ErrorCode {
    match problem {
        known::ActionProblem::RuntimeStale => ErrorCode::RuntimeStale,
        known::ActionProblem::PreconditionFailed => ErrorCode::PreconditionFailed,
        known::ActionProblem::SnapshotExpired => ErrorCode::SnapshotExpired,
        known::ActionProblem::PidUnavailable => ErrorCode::PidUnavailable,
        known::ActionProblem::TargetUnreachable => ErrorCode::TargetUnreachable,
        known::ActionProblem::PaneBlocked => ErrorCode::PaneBlocked,
        known::ActionProblem::AgentBusy => ErrorCode::AgentBusy,
        known::ActionProblem::NotConfirmed => ErrorCode::NotConfirmed,
        known::ActionProblem::ApprovalClosed => ErrorCode::ApprovalClosed,
        known::ActionProblem::ApprovalAnswered => ErrorCode::ApprovalAnswered,
        known::ActionProblem::ApprovalChanged => ErrorCode::ApprovalChanged,
        known::ActionProblem::ChoiceNotOffered => ErrorCode::ChoiceNotOffered,
        known::ActionProblem::Interrupted => ErrorCode::Interrupted,
        known::ActionProblem::Cancelled => ErrorCode::Cancelled,
        known::ActionProblem::Forbidden => ErrorCode::Forbidden,
        known::ActionProblem::OutcomeUnknown => ErrorCode::OutcomeUnknown,
        known::ActionProblem::Internal => ErrorCode::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tc_053_every_problem_of_an_action_is_spelled_as_its_code() {
        for problem in known::ActionProblem::ALL {
            assert_eq!(action_problem(*problem).as_str(), problem.as_str());
        }
    }
}
