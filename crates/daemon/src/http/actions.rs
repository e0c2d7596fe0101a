//! `/v1/actions`: acts on panes, taking them back, and the history of them.

use std::sync::Arc;
use std::time::Duration;

use agents::composer::{commands, letters};
use agents::redact;
use api::actions::{
    ACTIONS_LISTED_DEFAULT, ActionAnswer, ActionEvents, ActionList, ActionsQuery, AttachRequest,
    Common, KillMode, KillRequest, OUTPUT_LINES_DEFAULT, SendRequest, ViewOutputRequest,
};
use api::error_code::ErrorCode;
use api::query::NoQuery;
use api::reference::Reference;
use api::routes::RouteId;
use api::selector::Selector;
use api::words::SchemaVersion;
use axum::extract::State;
use engine::action::{Act, ActRequest, ActionRow, Guards, TextFacts};
use engine::ids::{ActionId, PaneKey, RuntimeId, SnapshotId};
use engine::input::{Input, Refusal, Reply, Request};
use engine::time::WallMs;
use engine::words::{ActionKind, ActionProblem, IfBusy, Phase};
use http::StatusCode;
use serde::Serialize;
use sha2::{Digest, Sha256};
use store::DenialsQuery;
use tokio::time::Instant;

use super::access;
use super::app::App;
use super::extract::{Asked, Named, Peer, Said, Sent, SentLong};
use super::from_api;
use super::problem::Problem;
use super::to_api::{self, timestamp};
use super::{resolve, runtimes};
use crate::follower::Follower;

/// The longest that a request waits for its outcome: an action may have to wait for others in its
/// pane until what was seen counts no more.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(40);
/// Characters of a text that its history shows.
const PREVIEW_CHARS_MAX: usize = 80;
/// Characters of a text that are looked through for secrets before they are shown.
const REDACTED_CHARS_MAX: usize = 4 * PREVIEW_CHARS_MAX;

/// What to do where the engine refuses to let an agent act on a pane.
const FROM_AGENTS_HINT: &str = "Have a person do it from a shell of their own, or let agents act on \
     more panes with `from_agents` in the section `[actions]` of the settings.";

pub(super) type Answered = Result<Said<ActionAnswer>, Problem>;

/// A request about to be carried out.
pub(super) struct Wanted<'a> {
    pub(super) common: Common<'a>,
    pub(super) act: Act,
    pub(super) fingerprint: String,
    pub(super) text: Option<&'a str>,
}

pub(crate) async fn attach(
    State(app): State<Arc<App>>,
    peer: Peer,
    _: Asked<NoQuery>,
    Sent(request): Sent<AttachRequest>,
) -> Answered {
    request.common().check()?;
    let fingerprint = fingerprint(&AttachRequest { request_ref: String::new(), ..request.clone() });
    let act = Act::Attach { read_only: request.read_only };
    perform(&app, &peer, Wanted { common: request.common(), act, fingerprint, text: None }).await
}

pub(crate) async fn send(
    State(app): State<Arc<App>>,
    peer: Peer,
    _: Asked<NoQuery>,
    SentLong(request): SentLong<SendRequest>,
) -> Answered {
    request.check()?;
    let mut keys = request.keys.clone();
    for key in &keys {
        if let Err(error) = key.parse::<tmux::arg::Key>() {
            return Err(Problem::field("keys", &format!("holds {key:?}: {error}")));
        }
    }
    if request.enter {
        keys.push(tmux::arg::Key::enter().as_str().to_owned());
    }
    let text = request.text.as_deref();
    let busy = from_api::busy(request.if_busy, request.busy_timeout_ms()?);
    let act = Act::Send { text: text.map(facts), keys, paste: request.paste, busy };
    let fingerprint = fingerprint(&SendRequest { request_ref: String::new(), ..request.clone() });
    perform(&app, &peer, Wanted { common: request.common(), act, fingerprint, text }).await
}

pub(crate) async fn view_output(
    State(app): State<Arc<App>>,
    peer: Peer,
    _: Asked<NoQuery>,
    Sent(request): Sent<ViewOutputRequest>,
) -> Answered {
    request.check()?;
    let lines = (!request.screen).then(|| request.lines.unwrap_or(OUTPUT_LINES_DEFAULT));
    if let Some(action) = &request.goes_on {
        return look_again(&app, action, &request, lines).await;
    }
    let act = Act::ViewOutput { lines, ansi: request.ansi };
    let nameless = ViewOutputRequest { request_ref: String::new(), ..request.clone() };
    let fingerprint = fingerprint(&nameless);
    perform(&app, &peer, Wanted { common: request.common(), act, fingerprint, text: None }).await
}

/// Answers an earlier look with what there is to see now.
async fn look_again(
    app: &App,
    action: &str,
    request: &ViewOutputRequest,
    lines: Option<u32>,
) -> Answered {
    let gone = || {
        let message = "no look of that name is kept that could go on";
        Problem::new(ErrorCode::RefNotFound, message).detail("action_id", action)
    };
    let row = find(app, action).await?;
    if row.act.kind() != ActionKind::ViewOutput || row.phase != Phase::Completed {
        return Err(Problem::field("goes_on", "is no look that was answered"));
    }
    if runtime(app, &request.reference).await? != row.runtime {
        return Err(Problem::field("goes_on", "was a look at another runtime"));
    }
    let executors = app.executors.as_ref().ok_or_else(gone)?;
    let seen = executors.view_again(&row, lines, request.ansi).await.ok_or_else(gone)?;
    let screen = seen.map_err(|outcome| {
        let failure = outcome.failure();
        let failure = failure.map(|it| (to_api::action_problem(it.problem), it.message));
        let (code, message) =
            failure.unwrap_or_else(|| (ErrorCode::Internal, "the look came to nothing".to_owned()));
        Problem::new(code, message).detail("runtime_id", row.runtime.to_string())
    })?;
    let Said(status, answer) = said(app, &row);
    Ok(Said(status, ActionAnswer { output: Some(to_api::output(&screen)), ..answer }))
}

pub(crate) async fn kill(
    State(app): State<Arc<App>>,
    peer: Peer,
    _: Asked<NoQuery>,
    Sent(request): Sent<KillRequest>,
) -> Answered {
    request.check()?;
    let act = match request.mode {
        KillMode::Key => Act::KillByKey,
        KillMode::Signal => {
            let signal = from_api::kill_signal(request.signal);
            Act::KillBySignal { signal, tree: request.tree }
        }
    };
    let fingerprint = fingerprint(&KillRequest { request_ref: String::new(), ..request.clone() });
    perform(&app, &peer, Wanted { common: request.common(), act, fingerprint, text: None }).await
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Named(id): Named,
    _: Asked<NoQuery>,
) -> Result<Said<ActionAnswer>, Problem> {
    let row = find(&app, &id).await?;
    Ok(said(&app, &row))
}

pub(crate) async fn events(
    State(app): State<Arc<App>>,
    Named(id): Named,
    _: Asked<NoQuery>,
) -> Result<Said<ActionEvents>, Problem> {
    let row = find(&app, &id).await?;
    let events = app.lookout.in_journal(move |journal| journal.action_events(&id)).await;
    let events = read(events)?;
    Ok(Said(
        StatusCode::OK,
        ActionEvents {
            schema_version: SchemaVersion::V1,
            generated_at: app.now(),
            action_id: row.action.to_string(),
            items: events.iter().map(to_api::action_event).collect(),
        },
    ))
}

/// Takes an action back that was not begun. One that is being tried may come to wait again, so that
/// decides whether it is too late.
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    peer: Peer,
    Named(id): Named,
    _: Asked<NoQuery>,
) -> Answered {
    app.writable()?;
    let action = ActionId::new(id);
    let deadline = Instant::now() + OUTCOME_TIMEOUT;
    loop {
        let input = Request::Cancel { action: action.clone(), by: peer.actor() };
        let problem = match app.ask(peer.actor(), Input::Asked(input)).await {
            Ok(settled) => return Ok(said(&app, &taken(settled.reply)?)),
            Err(problem) => problem,
        };
        if problem.code() == ErrorCode::Forbidden {
            access::record_refusal(&app, RouteId::CancelAction, &peer, problem.code());
            return Err(problem.hint(FROM_AGENTS_HINT));
        }
        if problem.code() != ErrorCode::TooLate {
            return Err(problem);
        }
        let row = find(&app, action.as_str()).await?;
        let row = known_when(&app, row, deadline, |row| !row.is_under_way()).await?;
        let waits_again = row.phase == Phase::Pending && !row.is_under_way();
        if !waits_again || Instant::now() >= deadline {
            return Err(too_late(&row));
        }
    }
}

/// What somebody is told who cannot take an action back, with how far it is.
fn too_late(row: &ActionRow) -> Problem {
    let (action, phase) = (row.action.clone(), row.phase);
    Problem::from(Refusal::TooLate { action, phase })
        .detail("completed_at", row.completed_at.map(|at| timestamp(at).to_string()))
        .detail("request_ref", row.request_ref.clone())
        .detail("runtime_id", row.runtime.to_string())
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Asked(query): Asked<ActionsQuery>,
) -> Result<Said<ActionList>, Problem> {
    let limit = query.limit.unwrap_or(ACTIONS_LISTED_DEFAULT);
    let mut wanted =
        store::ActionsQuery { before: query.before, limit: limit + 1, ..Default::default() };
    if let Some(reference) = &query.reference {
        (wanted.runtime, wanted.pane) = narrowed(&app, reference)?;
    }
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let turned_away = DenialsQuery {
        runtime: whose(&app, &wanted),
        after: WallMs(i64::MIN),
        until: WallMs(i64::MAX),
        limit: most,
    };
    let found = app.lookout.in_journal(move |journal| {
        let mut rows = journal.actions(&wanted)?;
        let more = rows.len() > most;
        rows.truncate(most);
        let mut span = turned_away;
        if let Some(last) = rows.last().filter(|_| more) {
            span.after = last.requested.wall;
        }
        if let Some(before) = &wanted.before {
            span.until = journal.action(before)?.map_or(span.until, |row| row.requested.wall);
        }
        Ok((rows, more, journal.denials(&span)?))
    });
    let (rows, more, denied) = read(found.await)?;
    Ok(app.read(|follower, now| {
        let list = ActionList {
            schema_version: SchemaVersion::V1,
            generated_at: timestamp(now.wall),
            as_of: follower.as_of(),
            next_before: rows.last().filter(|_| more).map(|row| row.action.to_string()),
            items: rows.iter().map(|row| to_api::action(follower, row)).collect(),
            denied: denied.iter().map(to_api::denied).collect(),
        };
        Said(StatusCode::OK, list)
    }))
}

/// Of which runtime's agent denials are listed beside these actions; nothing for all.
fn whose(app: &App, wanted: &store::ActionsQuery) -> Option<RuntimeId> {
    let here = |pane: &PaneKey| {
        let of_pane = |follower: &Follower| {
            let runtime = follower.engine().pane(pane)?.runtime.as_ref()?;
            Some(runtime.runtime.clone())
        };
        // In a pane without a runtime nobody runs.
        app.read(|follower, _| of_pane(follower)).unwrap_or_else(|| RuntimeId::new(""))
    };
    wanted.runtime.clone().or_else(|| wanted.pane.as_ref().map(here))
}

/// What a list is narrowed to by a reference: a runtime, also one that ended, or a pane.
pub(super) fn narrowed(
    app: &App,
    reference: &str,
) -> Result<(Option<RuntimeId>, Option<PaneKey>), Problem> {
    match resolve::parse(reference)? {
        Selector::Exact(Reference::Runtime(id)) => Ok((Some(RuntimeId::new(id.as_str())), None)),
        selector @ (Selector::Exact(Reference::Pane(_))
        | Selector::Pane(_)
        | Selector::Place(_)
        | Selector::Word(_)) => app.read(|follower, now| {
            let row = resolve::one(follower, reference, &selector, now)?;
            Ok((None, Some(row.key.clone())))
        }),
    }
}

/// Has an action carried out, or finds the one that it repeats, and waits for its outcome.
pub(super) async fn perform(app: &App, peer: &Peer, wanted: Wanted<'_>) -> Answered {
    app.writable()?;
    let runtime = match runtime(app, wanted.common.reference).await {
        Ok(runtime) => runtime,
        Err(problem) => {
            let request_ref = wanted.common.request_ref;
            return repeated(app, wanted.act.kind(), request_ref, &wanted.fingerprint, problem)
                .await;
        }
    };
    let action = ActionId::new(app.ids.next("ac"));
    let request = request(app, peer, &wanted, action.clone(), runtime)?;
    if let Some(text) = wanted.text {
        keep(app, &action, text, wanted.act.busy().then)?;
    }
    let settled = app.ask(peer.actor(), Input::Asked(Request::Act(Box::new(request)))).await;
    let row = settled.and_then(|settled| taken(settled.reply));
    if !may_need_its_text(&row, &action)
        && let Some(outbox) = &app.outbox
    {
        outbox.forget(&action);
    }
    conclude(app, row?).await
}

/// The action that the engine answered with.
fn taken(reply: Reply) -> Result<ActionRow, Problem> {
    match reply {
        Reply::Action(row) => Ok(*row),
        Reply::Done | Reply::Target(_) | Reply::Accepted(_) => {
            Err(Problem::internal("the action was neither taken nor refused", &"no action"))
        }
    }
}

/// Keeps a text until its action has an end; of one that cannot be kept nothing stays.
fn keep(app: &App, action: &ActionId, text: &str, then: IfBusy) -> Result<(), Problem> {
    let outbox = app.outbox.as_ref();
    let outbox = outbox.ok_or_else(|| Problem::internal("nobody acts here", &"no outbox"))?;
    let kept = outbox.put(action, text.as_bytes());
    let kept = match then {
        IfBusy::Queue => kept.and_then(|()| outbox.make_durable(action)),
        IfBusy::Refuse | IfBusy::Wait => kept,
    };
    kept.map_err(|error| {
        outbox.forget(action);
        Problem::new(ErrorCode::StoreFull, format!("the text cannot be kept: {error}"))
    })
}

/// Whether the text of an action may still be read: while it is carried out, or where nobody can
/// tell whether it will be. A repetition has no text of its own, and neither has what was refused
/// before it was an action.
fn may_need_its_text(row: &Result<ActionRow, Problem>, action: &ActionId) -> bool {
    match row {
        Ok(row) => row.action == *action && row.phase == Phase::Pending,
        Err(problem) => {
            matches!(problem.code(), ErrorCode::OutcomeUnknown | ErrorCode::ShuttingDown)
        }
    }
}

fn request(
    app: &App,
    peer: &Peer,
    wanted: &Wanted<'_>,
    action: ActionId,
    runtime: RuntimeId,
) -> Result<ActRequest, Problem> {
    let common = &wanted.common;
    let nonce = &crate::ids::random_bytes()[..8];
    Ok(ActRequest {
        action,
        snapshot: SnapshotId::new(app.ids.next("sn")),
        nonce: engine::ids::hex(nonce),
        request_ref: common.request_ref.to_owned(),
        fingerprint: wanted.fingerprint.clone(),
        by: peer.actor(),
        runtime,
        act: wanted.act.clone(),
        guards: Guards {
            if_runtime: common.if_runtime.map(RuntimeId::new),
            if_command: common.if_command.map(str::to_owned),
            if_state: common.if_state.map(from_api::state),
            if_updated_within_ms: common.updated_within_ms()?,
            force_stale: common.force_stale,
        },
    })
}

/// The one runtime that a reference means.
async fn runtime(app: &App, reference: &str) -> Result<RuntimeId, Problem> {
    let selector = resolve::parse(reference)?;
    let found = app.read(|follower, now| {
        let row = resolve::one(follower, reference, &selector, now)?;
        Ok(row.runtime.as_ref().map(|runtime| runtime.runtime.clone()))
    });
    match (found, &selector) {
        (Ok(Some(runtime)), _) => Ok(runtime),
        (Ok(None), _) => {
            let message = format!("`{reference}` is a dead pane: nothing lives in it");
            Err(Problem::new(ErrorCode::RuntimeStale, message).detail("ref", reference))
        }
        (Err(_), Selector::Exact(Reference::Runtime(id))) => {
            let ended = runtimes::ended(app, &RuntimeId::new(id.as_str())).await?;
            let message = format!("runtime `{}` has ended", ended.runtime_id);
            Err(Problem::new(ErrorCode::RuntimeStale, message).detail("ref", reference))
        }
        (Err(problem), _) => Err(problem),
    }
}

/// The action that a request repeats, although what it names is no longer there.
pub(super) async fn repeated(
    app: &App,
    kind: ActionKind,
    request_ref: &str,
    fingerprint: &str,
    problem: Problem,
) -> Answered {
    let (request_ref, asked) = (request_ref.to_owned(), request_ref.to_owned());
    let before =
        app.lookout.in_journal(move |journal| journal.action_by_request(kind, &asked)).await;
    match read(before)? {
        Some(row) if row.fingerprint == fingerprint => conclude(app, row).await,
        Some(row) => {
            let action = row.action;
            Err(Refusal::ActionConflict { request_ref, action }.into())
        }
        None => Err(problem),
    }
}

/// Waits until an action has an outcome, and tells it.
async fn conclude(app: &App, row: ActionRow) -> Answered {
    let deadline = Instant::now() + OUTCOME_TIMEOUT;
    let row = known_when(app, row, deadline, |row| !is_awaited(row)).await?;
    let answer = said(app, &row);
    match (row.phase, &row.failure) {
        (Phase::Completed | Phase::NotConfirmed | Phase::Pending, _) | (_, None) => Ok(answer),
        (Phase::Refused | Phase::Failed | Phase::Cancelled | Phase::Unknown, Some(failure)) => {
            let Said(_, answer) = answer;
            let completed_at = answer.completed_at.map(|at| at.to_string());
            let told =
                Problem::new(to_api::action_problem(failure.problem), failure.message.clone());
            // The other way to this code is a process of another user, and failed.
            let is_rule =
                failure.problem == ActionProblem::Forbidden && row.phase == Phase::Refused;
            let told = if is_rule { told.hint(FROM_AGENTS_HINT) } else { told };
            Err(told
                .detail("action_id", answer.action_id)
                .detail("result_code", answer.result_code.as_str())
                .detail("completed_at", completed_at)
                .detail("request_ref", row.request_ref)
                .detail("runtime_id", row.runtime.to_string()))
        }
    }
}

/// Whether an answer waits for more. What is queued may take days.
fn is_awaited(row: &ActionRow) -> bool {
    row.phase == Phase::Pending && !row.is_parked()
}

/// An action as it is once it is as wanted, or by then.
async fn known_when(
    app: &App,
    row: ActionRow,
    deadline: Instant,
    wanted: impl Fn(&ActionRow) -> bool,
) -> Result<ActionRow, Problem> {
    if wanted(&row) {
        return Ok(row);
    }
    let mut publications = app.lookout.publications();
    let changed = async {
        loop {
            let known = app.read(|follower, _| follower.action(&row.action).cloned());
            match known {
                Some(known) if wanted(&known) => return Ok(known),
                Some(_) => {}
                None => return find(app, row.action.as_str()).await,
            }
            if publications.changed().await.is_err() {
                return Err(crate::deck::Fault::Stopping.into());
            }
        }
    };
    match tokio::time::timeout_at(deadline, changed).await {
        Ok(known) => known,
        Err(_) => Ok(row),
    }
}

/// An action, as long as it is kept.
async fn find(app: &App, id: &str) -> Result<ActionRow, Problem> {
    let action = ActionId::new(id);
    if let Some(row) = app.read(|follower, _| follower.action(&action).cloned()) {
        return Ok(row);
    }
    let asked = id.to_owned();
    let found = app.lookout.in_journal(move |journal| journal.action(&asked)).await;
    let unknown = || {
        let message = "no action has this id";
        let problem = Problem::new(ErrorCode::RefNotFound, message).detail("action_id", id);
        problem.hint("See what was done with `qd history`.")
    };
    read(found)?.ok_or_else(unknown)
}

pub(super) fn read<T>(found: Option<Result<T, store::Fault>>) -> Result<T, Problem> {
    match found {
        Some(Ok(found)) => Ok(found),
        Some(Err(error)) => Err(Problem::internal("the database could not be read", &error)),
        None => Err(Problem::internal("the database could not be read", &"the reading broke off")),
    }
}

fn said(app: &App, row: &ActionRow) -> Said<ActionAnswer> {
    let screen = match row.act.kind() {
        ActionKind::ViewOutput => app.shown.get(&row.action),
        ActionKind::Attach | ActionKind::Send | ActionKind::Kill | ActionKind::Respond => None,
    };
    let answer = app.read(|follower, now| ActionAnswer {
        schema_version: SchemaVersion::V1,
        generated_at: timestamp(now.wall),
        as_of: follower.as_of(),
        action_id: row.action.to_string(),
        result_code: to_api::result_code(row.phase),
        completed_at: row.completed_at.map(timestamp),
        action: to_api::action(follower, row),
        output: screen.map(|screen| to_api::output(&screen)),
        attach: to_api::attach(follower, row),
    });
    Said(StatusCode::OK, answer)
}

/// A hash of everything in a request that has an effect.
pub(super) fn fingerprint(request: &impl Serialize) -> String {
    // These types have no map, so their JSON has one spelling; a text cannot fail to be written.
    let bytes = serde_json::to_vec(request).unwrap_or_default();
    engine::ids::hex(&Sha256::digest(bytes))
}

/// What is kept of a text.
pub(super) fn facts(text: &str) -> TextFacts {
    let beginning: String = text.chars().take(REDACTED_CHARS_MAX).collect();
    let preview = redact::text(&beginning).chars().take(PREVIEW_CHARS_MAX).collect();
    TextFacts {
        bytes: text.len() as u64,
        sha256: engine::ids::hex(&Sha256::digest(text.as_bytes())),
        letters_sha256: engine::ids::hex(&Sha256::digest(letters(text))),
        preview,
        commands: commands(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_text_its_history_keeps_a_short_beginning_without_secrets() {
        let facts = facts(&format!("export TOKEN=ghp_{} {}", "a".repeat(36), "x".repeat(500)));
        assert!(!facts.preview.contains(&"a".repeat(36)), "{}", facts.preview);
        assert!(facts.preview.chars().count() <= PREVIEW_CHARS_MAX);
        assert_eq!(facts.sha256.len(), 64);
    }
}
