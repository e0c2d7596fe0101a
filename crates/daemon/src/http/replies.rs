//! `POST /v1/replies`: an agent's hook asks for the answer that it is to give.
//!
//! The hook wrote its record first and asks only then, so nothing depends on this. It is told to
//! end as soon as nobody can answer any more, and the agent asks in its own terminal.

use std::sync::Arc;
use std::time::Duration;

use agents::reply::{self, Hold, Reply};
use api::approvals::{ReplyAnswer, ReplyRequest, ReplyStatus};
use api::error_code::ErrorCode;
use api::query::NoQuery;
use api::words::SchemaVersion;
use axum::extract::State;
use engine::approval::ApprovalRow;
use engine::event::Actor;
use engine::ids::{ApprovalId, EventId};
use engine::input::Input;
use engine::signal::Signal;
use engine::state::Claim;
use engine::words::{Bearing, Confidence, Source, State as PaneState, reason};
use http::StatusCode;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::app::App;
use super::approvals::{is_below_a_pane, is_hook_of};
use super::extract::{Asked, Peer, Said, Sent};
use super::problem::Problem;
use super::{from_api, to_api};
use crate::config::HoldWhen;
use crate::deck::Deck;
use crate::replies::AWAY_MAX;

/// How long a record may take from the spool to an approval.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one request is held; the hook asks again.
const ROUND: Duration = Duration::from_secs(20);
/// How long it is waited whether somebody is asked still, after it seemed that nobody is.
const DOUBT: Duration = Duration::from_millis(500);
/// How often at least it is told that a hook still waits which hides its agent's dialog.
const VOUCH: Duration = Duration::from_secs(10);
/// How soon it is told that one hook still waits after the agent showed that it works on.
const RETURN: Duration = Duration::from_secs(1);
/// How often it is looked whether somebody attached to the session.
const GLANCE: Duration = Duration::from_millis(500);
/// How much later than it can be away for good a hook is looked for.
const MARGIN: Duration = Duration::from_millis(10);

pub(crate) async fn wait(
    State(app): State<Arc<App>>,
    peer: Peer,
    _: Asked<NoQuery>,
    Sent(request): Sent<ReplyRequest>,
) -> Result<Said<ReplyAnswer>, Problem> {
    let agent = request.agent.to_lowercase();
    let Some(hold) = reply::hold(&agent, &request.event) else { return Ok(told(None, false)) };
    if !peer.pid.is_some_and(|pid| is_below_a_pane(&app, pid)) {
        return Ok(told(None, false));
    }
    let event = EventId::new(format!("hook-{}", request.record_id));
    let Some(asked) = arrived(&app, &event).await else { return Ok(told(None, false)) };
    let below = peer.pid.is_some_and(|pid| is_hook_of(&app, &asked, pid));
    if !below {
        let message = "only the hook of the agent that asks is told the answer";
        return Err(Problem::new(ErrorCode::Forbidden, message));
    }
    if !may_wait(&app, hold, &asked) {
        return Ok(told(None, false));
    }
    let choices = request.choices.into_iter().map(from_api::choice).collect();
    let held = app.lookout.replies().hold(&asked.approval, hold, choices);
    if hold == Hold::Instead {
        held_back(&app.deck, &asked.approval, true).await;
    }
    let _here = told_of(&app, &asked.approval);
    let (mut moved, mut publications) = (held.moved(), app.lookout.publications());
    let until = Instant::now() + ROUND;
    let mut vouched = Instant::now();
    loop {
        if let Some(reply) = held.fetch() {
            return Ok(told(Some(reply), false));
        }
        if !is_asked(&app, &event).await || !may_wait(&app, hold, &asked) {
            return Ok(told(held.fetch(), false));
        }
        if Instant::now() >= until {
            return Ok(told(None, true));
        }
        if hold == Hold::Instead && vouched.elapsed() >= vouching(&app, &asked) {
            vouch(&app, &asked).await;
            vouched = Instant::now();
        }
        let glance = until.min(Instant::now() + GLANCE);
        let news = async {
            tokio::select! {
                _ = moved.changed() => {}
                _ = publications.changed() => {}
            }
        };
        // Whether it was news or only time that passed: everything is looked at again.
        timeout_at(glance, news).await.ok();
    }
}

/// Tells whoever watches approvals that a hook waits now, and once it is away for good, however it
/// came to that: a request that breaks off is just dropped.
fn told_of(app: &App, approval: &ApprovalId) -> oneshot::Sender<()> {
    let (lookout, deck, approval) = (app.lookout.clone(), app.deck.clone(), approval.clone());
    lookout.hooks_moved();
    let (here, left) = oneshot::channel();
    tokio::spawn(async move {
        left.await.ok();
        tokio::time::sleep(AWAY_MAX + MARGIN).await;
        lookout.hooks_moved();
        if !lookout.replies().is_waiting(&approval) {
            held_back(&deck, &approval, false).await;
        }
    });
    here
}

/// Tells the engine that a hook hides a dialog, or does no longer: requests that are hidden stand
/// side by side, and what the agent shows beside them answers none.
async fn held_back(deck: &Deck, approval: &ApprovalId, waits: bool) {
    let input = Input::Held { approval: approval.clone(), waits };
    if let Err(error) = deck.ask(Actor::Daemon, input).await {
        tracing::debug!(%approval, %error, "a hook that waits was not told of");
    }
}

/// Whether it is shown that somebody is waited for.
fn shows_waiting(app: &App, asked: &ApprovalRow) -> bool {
    app.read(|follower, _| {
        let row = follower.engine().pane_of(&asked.runtime);
        row.is_none_or(|row| row.state.state.bearing() == Bearing::Waiting)
    })
}

/// How long after the last time it is told again that a hook still waits: often enough that nobody
/// stops believing it, and soon where the agent shows what it does beside it.
fn vouching(app: &App, asked: &ApprovalRow) -> Duration {
    if !shows_waiting(app, asked) {
        return RETURN;
    }
    let counts = app.config.borrow().config.state.stale_ttl.as_ms() / 2;
    VOUCH.min(Duration::from_millis(u64::try_from(counts).unwrap_or_default()))
}

/// Tells the engine that somebody is still asked. The agent's screen, which shows no dialog
/// meanwhile, never would; and where another request was answered, it shows work.
async fn vouch(app: &App, asked: &ApprovalRow) {
    let shown = app.read(|follower, _| {
        let row = follower.engine().pane_of(&asked.runtime)?;
        Some(row.state.clone())
    });
    let Some(shown) = shown else { return };
    let (state, reason) = match shown.state.bearing() {
        Bearing::Waiting => (shown.state, shown.reason.clone()),
        Bearing::Busy | Bearing::Rest | Bearing::Open => {
            (PaneState::WaitingApproval, reason::APPROVAL_REQUESTED.to_owned())
        }
    };
    let (now, approval) = (app.clock.now().wall, &asked.approval);
    let keys = (format!("held-{approval}-{}", now.0), format!("held:{approval}:{}", now.0));
    let claim = Claim { state, reason, confidence: Confidence::High };
    let signal = Signal {
        claim: Some(claim),
        expects_version: Some(shown.version),
        ..Signal::own("approval-held".to_owned(), Source::Hook, keys, &asked.runtime, now)
    };
    // The next one makes up for it.
    if let Err(error) = app.deck.ask(Actor::Daemon, Input::Signalled(Box::new(signal))).await {
        tracing::debug!(%approval, %error, "a hook that waits was not told of");
    }
}

fn told(reply: Option<Reply>, again: bool) -> Said<ReplyAnswer> {
    let status = match (&reply, again) {
        (Some(_), _) => ReplyStatus::Answered,
        (None, true) => ReplyStatus::Wait,
        (None, false) => ReplyStatus::End,
    };
    let answer = ReplyAnswer {
        schema_version: SchemaVersion::V1,
        status,
        choice: reply.as_ref().map(|reply| to_api::choice(reply.choice)),
        option: reply.as_ref().and_then(|reply| reply.option),
        message: reply.and_then(|reply| reply.message),
    };
    Said(StatusCode::OK, answer)
}

fn opened_by(app: &App, event: &EventId) -> Option<ApprovalRow> {
    app.read(|follower, _| follower.engine().approvals().find(|row| row.event == *event).cloned())
}

/// The approval that a hook's record opened, once the record was read.
async fn arrived(app: &App, event: &EventId) -> Option<ApprovalRow> {
    let mut publications = app.lookout.publications();
    let until = Instant::now() + ARRIVAL_TIMEOUT;
    loop {
        if let Some(row) = opened_by(app, event) {
            return Some(row);
        }
        timeout_at(until, publications.changed()).await.ok()?.ok()?;
    }
}

/// Whether an answer may still come.
async fn is_asked(app: &App, event: &EventId) -> bool {
    let is_live = || opened_by(app, event).is_some_and(|row| row.is_live());
    if is_live() {
        return true;
    }
    let mut publications = app.lookout.publications();
    let until = Instant::now() + DOUBT;
    while opened_by(app, event).is_some() {
        if is_live() {
            return true;
        }
        if timeout_at(until, publications.changed()).await.is_err() {
            return false;
        }
    }
    false
}

/// Whether the hook may wait now. One that hides its agent's dialog would keep whoever sits there
/// from answering.
fn may_wait(app: &App, hold: Hold, asked: &ApprovalRow) -> bool {
    let now = app.clock.now();
    if hold == Hold::Beside {
        return now.wall < asked.expires_at;
    }
    let config = app.config.borrow().config.approvals;
    let attached = || {
        app.read(|follower, _| {
            let engine = follower.engine();
            let Some(pane) = engine.pane(&asked.pane) else { return true };
            let target = &asked.pane.target;
            let shown = pane.facts.sessions().filter_map(|it| engine.session(target, it));
            shown.into_iter().any(|session| session.attached > 0)
        })
    };
    now.since(asked.opened) < config.hold_max.as_ms()
        && match config.hold {
            HoldWhen::Always => true,
            HoldWhen::Never => false,
            HoldWhen::Detached => !attached(),
        }
}
