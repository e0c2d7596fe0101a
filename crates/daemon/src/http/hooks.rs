//! `POST /v1/hooks/{event}`: the spool's way in for hooks that speak HTTP.

use std::sync::Arc;

use agents::record::{self, Payload, Record};
use api::error_code::ErrorCode;
use api::hooks::{HookAnswer, HookEvent, HookReport, HookStatus};
use api::query::NoQuery;
use api::words::SchemaVersion;
use axum::extract::State;
use engine::input::{Acceptance, Input, Reply};
use http::StatusCode;

use super::app::App;
use super::extract::{Asked, Named, Peer, Said, SentWhole};
use super::problem::Problem;
use crate::spool::{binding, intake};
use crate::targets::host;

pub(crate) async fn report(
    State(app): State<Arc<App>>,
    peer: Peer,
    Named(event): Named,
    _: Asked<NoQuery>,
    SentWhole { body, value }: SentWhole<HookReport>,
) -> Result<Said<HookAnswer>, Problem> {
    let event: HookEvent = event.parse().map_err(|error| {
        Problem::new(ErrorCode::RouteNotFound, format!("no hook is of that name: {error}"))
    })?;
    if value.session_id.is_empty() {
        return Err(Problem::field("session_id", "is empty"));
    }
    let record = Record {
        id: app.ids.next("").trim_start_matches('-').to_owned(),
        agent: agents::vocabulary::HTTP_HOOKS_AGENT.to_owned(),
        event: record::name(value.hook_event_name.as_deref().unwrap_or(event.as_str())),
        at: app.clock.now().wall,
        tmux: None,
        pane: None,
        chain: peer.pid.map_or_else(Vec::new, host::lineage),
        cwd: value.cwd.map(String::into_bytes),
        waits: None,
        payload: Payload::Whole(body.to_vec()),
    };
    let roster = app.roster();
    let machine = binding::Machine::here(&roster);
    let bound = app.read(|follower, _| binding::bind(&record, follower, &machine));
    let Some(bound) = bound else {
        return Ok(answer(&app, HookStatus::Ignored, Some("it came from no pane that is watched")));
    };
    let signal = intake::signal(record, bound, &roster);
    let settled = app.ask(peer.actor(), Input::Signalled(Box::new(signal))).await?;
    let status = match settled.reply {
        Reply::Accepted(
            Acceptance::Bound { .. } | Acceptance::Pending { .. } | Acceptance::Duplicate { .. },
        ) => HookStatus::Ok,
        Reply::Accepted(Acceptance::Void) | Reply::Done | Reply::Target(_) | Reply::Action(_) => {
            HookStatus::Ignored
        }
    };
    Ok(answer(&app, status, None))
}

fn answer(app: &App, status: HookStatus, message: Option<&str>) -> Said<HookAnswer> {
    let answer = HookAnswer {
        schema_version: SchemaVersion::V1,
        generated_at: app.now(),
        status,
        task_id: None,
        message: message.map(str::to_owned),
    };
    Said(StatusCode::OK, answer)
}
