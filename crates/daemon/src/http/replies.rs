//! `POST /v1/replies`: an agent's hook asks for the answer that it is to give.
//!
//! The hook wrote its record first and asks only then, so nothing depends on this. It is told to
//! end as soon as nobody can answer any more, and the agent asks in its own terminal.

use std::sync::Arc;
use std::time::Duration;

use agents::reply::{self, Reply};
use api::approvals::{ReplyAnswer, ReplyRequest, ReplyStatus};
use api::error_code::ErrorCode;
use api::query::NoQuery;
use api::words::SchemaVersion;
use axum::extract::State;
use http::StatusCode;
use tokio::time::Instant;

use super::app::App;
use super::approvals::{is_below_a_pane, is_hook_of};
use super::extract::{Asked, Peer, Said, Sent};
use super::problem::Problem;
use super::{from_api, to_api};
use crate::replies::Delivery;
use crate::spool::intake;
use crate::vigil::{Attendance, Turn};

/// How long one request is held; the hook asks again.
const ROUND: Duration = Duration::from_secs(20);

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
    let event = intake::event_id(&request.record_id, None);
    let vigil = app.vigil();
    let Some(asked) = vigil.arrived(&event).await else { return Ok(told(None, false)) };
    let below = peer.pid.is_some_and(|pid| is_hook_of(&app, &asked, pid));
    if !below {
        let message = "only the hook of the agent that asks is told the answer";
        return Err(Problem::new(ErrorCode::Forbidden, message));
    }
    let choices = request.choices.into_iter().map(from_api::choice).collect();
    let Some(mut sitting) = vigil.sit(asked, (hold, Attendance::Told), choices).await else {
        return Ok(told(None, false));
    };
    match sitting.turn(Instant::now() + ROUND).await {
        Turn::Answer(letter) => {
            let reply = letter.reply.clone();
            letter.became(Delivery::Taken);
            Ok(told(Some(reply), false))
        }
        Turn::Over => Ok(told(None, false)),
        Turn::Still => Ok(told(None, true)),
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
        picks: reply.as_ref().map(|reply| reply.picks.clone()).unwrap_or_default(),
        message: reply.and_then(|reply| reply.message),
    };
    Said(StatusCode::OK, answer)
}
