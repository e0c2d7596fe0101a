//! `/v1/approvals`: what agents ask somebody to decide, and the answers to it.

use std::sync::Arc;

use api::actions::Common;
use api::approvals::{
    APPROVALS_LISTED_DEFAULT, AnswerRequest, ApprovalAnswer, ApprovalItem, ApprovalList,
    ApprovalsQuery, RespondRequest,
};
use api::error_code::ErrorCode;
use api::limits::CANDIDATES_MAX;
use api::query::NoQuery;
use api::words::SchemaVersion;
use axum::extract::State;
use engine::action::Act;
use engine::approval::ApprovalRow;
use engine::ids::ApprovalId;
use engine::words::{ActionKind, ApprovalState};
use http::StatusCode;

use super::access::serves_many;
use super::actions::{Answered, Wanted, facts, fingerprint, narrowed, perform, read, repeated};
use super::app::App;
use super::extract::{Asked, Named, Peer, Said, Sent};
use super::from_api;
use super::problem::Problem;
use super::to_api::{self, timestamp};
use crate::targets::host;

/// Characters of a request by which it is told from others.
const CANDIDATE_CHARS_MAX: usize = 200;

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Asked(query): Asked<ApprovalsQuery>,
) -> Result<Said<ApprovalList>, Problem> {
    let (runtime, pane) = match &query.reference {
        Some(reference) => narrowed(&app, reference)?,
        None => (None, None),
    };
    let state = query.state.map(from_api::approval_state);
    let state = state.or((!query.all).then_some(ApprovalState::Waiting));
    let limit = query.limit.unwrap_or(APPROVALS_LISTED_DEFAULT);
    let wanted = store::ApprovalsQuery { runtime, pane, state, limit };
    let rows = read(app.lookout.in_journal(move |journal| journal.approvals(&wanted)).await)?;
    Ok(app.read(|follower, now| {
        let items = rows.iter().map(|row| item(&app, follower, row)).collect();
        let list = ApprovalList {
            schema_version: SchemaVersion::V1,
            generated_at: timestamp(now.wall),
            as_of: follower.as_of(),
            items,
        };
        Said(StatusCode::OK, list)
    }))
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Named(id): Named,
    _: Asked<NoQuery>,
) -> Result<Said<ApprovalAnswer>, Problem> {
    let row = find(&app, &id).await?;
    Ok(app.read(|follower, now| {
        let answer = ApprovalAnswer {
            schema_version: SchemaVersion::V1,
            generated_at: timestamp(now.wall),
            as_of: follower.as_of(),
            approval: item(&app, follower, &row),
        };
        Said(StatusCode::OK, answer)
    }))
}

pub(crate) async fn answer(
    State(app): State<Arc<App>>,
    peer: Peer,
    Named(id): Named,
    _: Asked<NoQuery>,
    Sent(request): Sent<AnswerRequest>,
) -> Answered {
    give(&app, &peer, request.to(id)).await
}

pub(crate) async fn respond(
    State(app): State<Arc<App>>,
    peer: Peer,
    _: Asked<NoQuery>,
    Sent(request): Sent<RespondRequest>,
) -> Answered {
    give(&app, &peer, request).await
}

/// Answers an approval, and tells whoever was too late who was first.
async fn give(app: &App, peer: &Peer, request: RespondRequest) -> Answered {
    request.check()?;
    let nameless = RespondRequest { request_ref: String::new(), ..request.clone() };
    let sent = fingerprint(&nameless);
    let asked = match meant(app, &request).await {
        Ok(asked) => asked,
        // What was answered under this name does not wait any more.
        Err(problem) => {
            return repeated(app, ActionKind::Respond, &request.request_ref, &sent, problem).await;
        }
    };
    let act = Act::Respond {
        approval: asked.approval.clone(),
        fingerprint: request.fingerprint.clone().unwrap_or_else(|| asked.fingerprint.clone()),
        choice: from_api::choice(request.choice),
        option: request.option,
        picks: request.picks.clone(),
        message: request.message.as_deref().map(facts),
    };
    let runtime = asked.runtime.to_string();
    let reference = format!("runtime:{runtime}");
    let wanted = Wanted {
        common: Common {
            request_ref: &request.request_ref,
            reference: &reference,
            if_runtime: Some(&runtime),
            if_command: None,
            if_state: None,
            if_updated_within: None,
            force_stale: false,
        },
        act,
        fingerprint: sent,
        text: request.message.as_deref(),
    };
    match perform(app, peer, wanted).await {
        Err(problem) if is_too_late(problem.code()) => {
            let now = find(app, asked.approval.as_str()).await?;
            Err(told_why(problem, &now))
        }
        answered => answered,
    }
}

/// The one approval that a request means.
async fn meant(app: &App, request: &RespondRequest) -> Result<ApprovalRow, Problem> {
    match (&request.approval_id, &request.reference) {
        (Some(id), _) => find(app, id).await,
        (None, Some(reference)) => the_one_waiting(app, reference).await,
        (None, None) => Err(Problem::field("approval_id", "is missing, and so is `ref`")),
    }
}

/// The one approval that waits in the pane or runtime of a reference.
async fn the_one_waiting(app: &App, reference: &str) -> Result<ApprovalRow, Problem> {
    let (runtime, pane) = narrowed(app, reference)?;
    let (state, limit) = (Some(ApprovalState::Waiting), APPROVALS_LISTED_DEFAULT);
    let wanted = store::ApprovalsQuery { runtime, pane, state, limit };
    let waiting = app.lookout.in_journal(move |journal| journal.approvals(&wanted)).await;
    let mut waiting = read(waiting)?;
    match waiting.len() {
        1 => Ok(waiting.remove(0)),
        0 => {
            let message = format!("nothing waits for an answer in `{reference}`");
            Err(Problem::new(ErrorCode::RefNotFound, message).detail("ref", reference).hint(
                "`qd approvals` shows what waits elsewhere. A dialog that cannot be read whole \
                     is answered in its own terminal: `qd attach REF`.",
            ))
        }
        total => {
            let candidate = |row: &ApprovalRow| {
                let asked: String = row.asking.request.chars().take(CANDIDATE_CHARS_MAX).collect();
                serde_json::json!({ "approval_id": row.approval.as_str(), "request": asked })
            };
            let candidates: Vec<_> = waiting.iter().take(CANDIDATES_MAX).map(candidate).collect();
            let message = format!("{total} approvals wait in `{reference}`");
            Err(Problem::new(ErrorCode::RefAmbiguous, message)
                .detail("ref", reference)
                .detail("total", total)
                .detail("candidates", candidates)
                .hint("Name one of them by its id: `qd approvals` shows them."))
        }
    }
}

fn is_too_late(code: ErrorCode) -> bool {
    [
        ErrorCode::ApprovalAnswered,
        ErrorCode::ApprovalChanged,
        ErrorCode::ApprovalClosed,
        ErrorCode::RuntimeStale,
    ]
    .contains(&code)
}

/// What became of the approval instead. A runtime that ended took its approvals with it.
fn told_why(problem: Problem, now: &ApprovalRow) -> Problem {
    let is_over = matches!(problem.code(), ErrorCode::ApprovalClosed | ErrorCode::RuntimeStale);
    let problem = if is_over && now.state == ApprovalState::Answered {
        problem.coded(ErrorCode::ApprovalAnswered)
    } else if is_over {
        problem.coded(ErrorCode::ApprovalClosed)
    } else {
        problem
    };
    let by = now.answer.as_ref().map(|answer| answer.by.to_string());
    problem
        .detail("approval_id", now.approval.as_str())
        .detail("state", now.state.as_str())
        .detail("fingerprint", now.fingerprint.as_str())
        .detail("outcome", now.outcome.map(engine::words::Choice::as_str))
        .detail("answered_by", by)
}

/// An approval, as long as it is kept.
async fn find(app: &App, id: &str) -> Result<ApprovalRow, Problem> {
    let approval = ApprovalId::new(id);
    if let Some(row) = app.read(|follower, _| follower.approval(&approval).cloned()) {
        return Ok(row);
    }
    let asked = id.to_owned();
    let found = read(app.lookout.in_journal(move |journal| journal.approval(&asked)).await)?;
    found.ok_or_else(|| {
        let message = "no approval has this id";
        let problem = Problem::new(ErrorCode::RefNotFound, message).detail("approval_id", id);
        problem.hint("See what waits with `qd approvals`, and with --all what was answered.")
    })
}

fn item(app: &App, follower: &crate::follower::Follower, row: &ApprovalRow) -> ApprovalItem {
    let held = app.lookout.replies().is_waiting(&row.approval);
    to_api::approval(follower, row, held)
}

/// Whether a process is a hook of the agent that asks: it runs below the agent, or below what runs
/// the hooks of all sessions of such agents.
pub(super) fn is_hook_of(app: &App, asked: &ApprovalRow, pid: u32) -> bool {
    let agent = app.read(|follower, _| {
        let row = follower.engine().pane_of(&asked.runtime)?;
        let agent = row.facts.agent.as_ref().map(|agent| agent.process.pid);
        agent.or(row.runtime.as_ref().map(|runtime| runtime.pid))
    });
    let Some(agent) = agent else { return false };
    let above = host::lineage(pid);
    let roster = app.roster();
    let adapter = asked.agent.as_ref().and_then(|agent| roster.get(agent.as_str()));
    above.iter().any(|it| it.pid == agent)
        || adapter.is_some_and(|adapter| above.iter().any(|it| serves_many(adapter, it.pid)))
}

/// Whether a process runs below anything whose hooks are bound to a pane: what no pane's record
/// will ever open an approval for need not wait for one.
pub(super) fn is_below_a_pane(app: &App, pid: u32) -> bool {
    let above = host::lineage(pid);
    let known = app.read(|follower, _| {
        let engine = follower.engine();
        let panes = engine.panes().flat_map(|row| {
            let agent = row.facts.agent.as_ref().map(|agent| agent.process.pid);
            let runtime = row.runtime.as_ref().map(|runtime| runtime.pid);
            [Some(row.facts.process.pid), agent, runtime]
        });
        // What a server just started may be in a pane that was not seen yet.
        let servers = engine.targets().map(|row| row.server.as_ref().map(|server| server.pid));
        panes.chain(servers).flatten().any(|known| above.iter().any(|it| it.pid == known))
    });
    let roster = app.roster();
    known || above.iter().any(|it| roster.iter().any(|adapter| serves_many(adapter, it.pid)))
}
