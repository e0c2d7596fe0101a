//! `GET /v1/runtimes/{id}` and its `explain`.

use std::sync::Arc;

use api::error_code::ErrorCode;
use api::explain::ExplainAnswer;
use api::query::NoQuery;
use api::runtimes::{RuntimeAnswer, RuntimeItem};
use api::words::SchemaVersion;
use axum::extract::State;
use engine::ids::RuntimeId;
use engine::time::Now;
use http::StatusCode;

use super::app::App;
use super::extract::{Asked, Named, Said};
use super::problem::Problem;
use super::to_api::{self, timestamp};
use crate::follower::Follower;

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Named(id): Named,
    _: Asked<NoQuery>,
) -> Result<Said<RuntimeAnswer>, Problem> {
    let id = parse(&id)?;
    let runtime = match app.read(|follower, now| alive(follower, &id, now)) {
        Some(runtime) => runtime,
        None => ended(&app, &id).await?,
    };
    let answer = app.read(|follower, now| RuntimeAnswer {
        schema_version: SchemaVersion::V1,
        generated_at: timestamp(now.wall),
        as_of: follower.as_of(),
        runtime,
    });
    Ok(Said(StatusCode::OK, answer))
}

/// Only what lives has evidence: that of a runtime which ended went with it.
pub(crate) async fn explain(
    State(app): State<Arc<App>>,
    Named(id): Named,
    _: Asked<NoQuery>,
) -> Result<Said<ExplainAnswer>, Problem> {
    let id = parse(&id)?;
    let answer = app.read(|follower, now| {
        let explained = follower.engine().explain(&id, now)?;
        let runtime = alive(follower, &id, now)?;
        Some(to_api::explanation(follower, runtime, &explained, now))
    });
    match answer {
        Some(answer) => Ok(Said(StatusCode::OK, answer)),
        None => {
            let ended = ended(&app, &id).await?;
            let message = format!("runtime `{id}` has ended");
            Err(Problem::new(ErrorCode::RuntimeStale, message)
                .detail("runtime_id", ended.runtime_id)
                .detail("ended_at", ended.ended_at.map(|at| at.to_string()))
                .detail("ended_reason", ended.ended_reason.map(|it| it.as_str())))
        }
    }
}

fn parse(id: &str) -> Result<RuntimeId, Problem> {
    let checked = id.parse::<api::reference::RuntimeId>()?;
    Ok(RuntimeId::new(checked.as_str()))
}

/// A runtime that lives.
fn alive(follower: &Follower, id: &RuntimeId, now: Now) -> Option<RuntimeItem> {
    let row = follower.engine().pane_of(id)?;
    Some(to_api::runtime(follower, row, row.runtime.as_ref()?, now))
}

/// A runtime that ended, as long as anything of it is kept.
pub(crate) async fn ended(app: &App, id: &RuntimeId) -> Result<RuntimeItem, Problem> {
    let looked_up = id.clone();
    let ended = app.lookout.in_journal(move |journal| journal.ended(&looked_up)).await;
    match ended {
        Some(Ok(Some(ended))) => {
            Ok(app.read(|follower, now| to_api::ended_runtime(follower, &ended, now)))
        }
        Some(Ok(None)) => {
            let message = format!("no runtime has the id `{id}`");
            Err(Problem::new(ErrorCode::RefNotFound, message).detail("runtime_id", id.as_str()))
        }
        Some(Err(error)) => Err(Problem::internal("the database could not be read", &error)),
        None => Err(Problem::internal("the database could not be read", &"the reading broke off")),
    }
}
