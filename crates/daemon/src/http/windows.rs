//! `GET /v1/windows`.

use std::sync::Arc;

use api::windows::{WindowItem, WindowList, WindowsQuery};
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
    Asked(query): Asked<WindowsQuery>,
) -> Result<Said<WindowList>, Problem> {
    app.read(|follower, now| {
        let filters = &query.list.filters;
        lists::check_targets(follower, filters)?;
        let listed = view::windows(follower, filters, query.with_agent_status, now);
        let key =
            |item: &WindowItem| (item.identity.target.clone(), item.identity.window_id.clone());
        let answer = lists::answer(follower, &query.list, Scope::Windows, listed, key, now)?;
        Ok(Said(StatusCode::OK, answer))
    })
}
