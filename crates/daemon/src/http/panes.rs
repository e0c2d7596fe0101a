//! `GET /v1/panes`.

use std::sync::Arc;

use api::list::ListQuery;
use api::panes::PaneList;
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
    Asked(query): Asked<ListQuery>,
) -> Result<Said<PaneList>, Problem> {
    app.read(|follower, now| {
        lists::check_targets(follower, &query.filters)?;
        let listed = view::panes(follower, &query.filters, now);
        let key = |item: &api::panes::PaneItem| {
            (item.identity.target.clone(), item.identity.pane_id.clone())
        };
        let answer = lists::answer(follower, &query, Scope::Panes, listed, key, now)?;
        Ok(Said(StatusCode::OK, answer))
    })
}
