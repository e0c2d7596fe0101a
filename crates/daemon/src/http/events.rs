//! `POST /v1/events`.

use std::sync::Arc;

use api::events::{EventAccepted, EventEnvelope, EventStatus};
use api::query::NoQuery;
use api::words::SchemaVersion;
use axum::extract::State;
use engine::explain::Standing;
use engine::input::{Acceptance, Input, Reply};
use http::StatusCode;

use super::app::App;
use super::extract::{Asked, Peer, Said, Sent};
use super::from_api;
use super::problem::Problem;

pub(crate) async fn emit(
    State(app): State<Arc<App>>,
    peer: Peer,
    _: Asked<NoQuery>,
    Sent(envelope): Sent<EventEnvelope>,
) -> Result<Said<EventAccepted>, Problem> {
    envelope.check()?;
    app.writable()?;
    let signal = app.read(|follower, now| from_api::signal(envelope, follower, &app.ids, now))?;
    let settled = app.ask(peer.actor(), Input::Signalled(Box::new(signal))).await?;
    let not_accepted =
        || Problem::internal("the event was neither taken nor refused", &"no acceptance");
    let acceptance = match settled.reply {
        Reply::Accepted(acceptance) => acceptance,
        Reply::Done | Reply::Target(_) | Reply::Action(_) => return Err(not_accepted()),
    };
    let mut answer = EventAccepted {
        schema_version: SchemaVersion::V1,
        generated_at: app.now(),
        event_id: String::new(),
        status: EventStatus::Bound,
        runtime_id: None,
        inbox_id: None,
        reason_code: None,
        sequence: settled.as_of,
    };
    let event = match acceptance {
        Acceptance::Bound { event, runtime, of_other } => {
            answer.runtime_id = Some(runtime.to_string());
            answer.reason_code = of_other.then(|| Standing::OfOther.as_str().to_owned());
            event
        }
        Acceptance::Pending { event, inbox } => {
            answer.status = EventStatus::PendingBind;
            answer.inbox_id = Some(inbox.to_string());
            event
        }
        Acceptance::Duplicate { event, runtime } => {
            answer.status = EventStatus::Duplicate;
            answer.runtime_id = runtime.map(|it| it.to_string());
            event
        }
        // Only the reconciler's own events can come too late.
        Acceptance::Void => return Err(not_accepted()),
    };
    answer.event_id = event.to_string();
    Ok(Said(StatusCode::ACCEPTED, answer))
}
