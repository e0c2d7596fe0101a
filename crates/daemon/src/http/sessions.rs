//! `GET /v1/sessions`.

use std::sync::Arc;

use api::sessions::{GroupBy, SessionItem, SessionList, SessionsQuery};
use api::words::Scope;
use axum::extract::State;
use http::StatusCode;

use super::app::App;
use super::extract::{Asked, Said};
use super::lists;
use super::problem::Problem;
use crate::view;

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Asked(query): Asked<SessionsQuery>,
) -> Result<Said<SessionList>, Problem> {
    let merged_by_name = match query.group_by {
        Some(GroupBy::SessionName) => true,
        Some(GroupBy::TargetSession) | None => false,
    };
    app.read(|follower, now| {
        let filters = &query.list.filters;
        lists::check_targets(follower, filters)?;
        let listed = view::sessions(follower, filters, merged_by_name, query.agent_summary, now);
        let key = |item: &SessionItem| item.identity.clone();
        let answer = lists::answer(follower, &query.list, Scope::Sessions, listed, key, now)?;
        Ok(Said(StatusCode::OK, answer))
    })
}
