//! `GET /v1/watch`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use api::cursor::Cursor;
use api::error_code::ErrorCode;
use api::query::QueryError;
use api::routes::{EVENT_STREAM, JSON_LINES};
use api::watch::WatchQuery;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, header};
use hyper::body::Frame;
use tokio::sync::Notify;

use super::app::App;
use super::extract::Asked;
use super::lists;
use super::problem::Problem;
use crate::watch::hub::WATCHERS_MAX;
use crate::watch::line::Format;
use crate::watch::watcher::{Refused, Watcher};

/// Hangs up on the peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct HangUp(pub(crate) Arc<Notify>);

pub(crate) async fn open(
    State(app): State<Arc<App>>,
    Extension(hang_up): Extension<HangUp>,
    headers: HeaderMap,
    Asked(mut query): Asked<WatchQuery>,
) -> Result<Response, Problem> {
    let format = format(&headers);
    if let Some(cursor) = last_event(&headers, &app)?
        && !is_of_another_stream(query.cursor.as_ref(), &cursor)
    {
        query.cursor = Some(cursor);
    }
    app.read(|follower, _| lists::check_targets(follower, &query.filters))?;
    let watcher = Watcher::open(&app.lookout, &query, format, hang_up.0);
    let watcher = watcher.map_err(|refused| match refused {
        Refused::TooMany => {
            Problem::new(ErrorCode::Overloaded, "there are too many watch streams already")
                .detail("limit", WATCHERS_MAX)
        }
        Refused::Ended => Problem::new(ErrorCode::ShuttingDown, "the daemon is about to end"),
    })?;
    let media = match format {
        Format::JsonLines => JSON_LINES,
        Format::Events => EVENT_STREAM,
    };
    let headers = [(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(Stream::new(watcher))).into_response())
}

fn format(headers: &HeaderMap) -> Format {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|it| it.to_str().ok());
    if accepted.any(|it| it.contains(EVENT_STREAM)) { Format::Events } else { Format::JsonLines }
}

/// Where a browser wants to go on, which it says by the id of the last event it got: a sequence
/// of this stream, or a whole cursor.
fn last_event(headers: &HeaderMap, app: &App) -> Result<Option<Cursor>, Problem> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or("");
    let whole = if text.contains(':') {
        text.to_owned()
    } else {
        format!("{}:{text}", app.lookout.read(|follower| follower.stream_id().to_owned()))
    };
    let cursor = whole.parse().map_err(QueryError::Cursor);
    Ok(Some(cursor.map_err(|error| Problem::from(error).detail("header", "last-event-id"))?))
}

/// Whether the query names another stream. A bare sequence, as browsers repeat it, is then one of
/// that stream and not of this.
fn is_of_another_stream(asked: Option<&Cursor>, last: &Cursor) -> bool {
    asked.is_some_and(|asked| asked.stream_id() != last.stream_id())
}

type Turn = Pin<Box<dyn Future<Output = (Watcher, Option<Bytes>)> + Send>>;

/// A watcher as the body of an answer.
struct Stream {
    turn: Option<Turn>,
}

impl Stream {
    fn new(watcher: Watcher) -> Self {
        Self { turn: Some(Self::turn(watcher)) }
    }

    fn turn(mut watcher: Watcher) -> Turn {
        Box::pin(async move {
            let bytes = watcher.next().await;
            (watcher, bytes)
        })
    }
}

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(turn) = &mut self.turn else { return Poll::Ready(None) };
        let (watcher, bytes) = std::task::ready!(turn.as_mut().poll(cx));
        self.turn = bytes.is_some().then(|| Self::turn(watcher));
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
