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
    app.read(|follower, now| {
        let runtime = find(follower, &id, now)?;
        let answer = RuntimeAnswer {
            schema_version: SchemaVersion::V1,
            generated_at: timestamp(now.wall),
            as_of: follower.as_of(),
            runtime,
        };
        Ok(Said(StatusCode::OK, answer))
    })
}

pub(crate) async fn explain(
    State(app): State<Arc<App>>,
    Named(id): Named,
    _: Asked<NoQuery>,
) -> Result<Said<ExplainAnswer>, Problem> {
    let id = parse(&id)?;
    app.read(|follower, now| {
        let runtime = find(follower, &id, now)?;
        let explained = follower.engine().explain(&id, now);
        let explained = explained.ok_or_else(|| stale(&id))?;
        let answer = to_api::explanation(follower, runtime, &explained, now);
        Ok(Said(StatusCode::OK, answer))
    })
}

fn parse(id: &str) -> Result<RuntimeId, Problem> {
    let checked = id.parse::<api::reference::RuntimeId>()?;
    Ok(RuntimeId::new(checked.as_str()))
}

/// A runtime that lives.
fn find(follower: &Follower, id: &RuntimeId, now: Now) -> Result<RuntimeItem, Problem> {
    let row = follower.engine().pane_of(id);
    let runtime = row.and_then(|row| Some((row, row.runtime.as_ref()?)));
    let (row, runtime) = runtime.ok_or_else(|| unknown(id))?;
    Ok(to_api::runtime(follower, row, runtime, now))
}

pub(crate) fn unknown(id: &RuntimeId) -> Problem {
    Problem::new(ErrorCode::RefNotFound, format!("no runtime has the id `{id}`"))
        .detail("runtime_id", id.as_str())
}

pub(crate) fn stale(id: &RuntimeId) -> Problem {
    Problem::new(ErrorCode::RuntimeStale, format!("runtime `{id}` has ended"))
        .detail("runtime_id", id.as_str())
}
