//! One request: who asks, how long it may take, and what is said whatever happens.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use api::error_code::ErrorCode;
use api::timestamp::Timestamp;
use api::version::{Greeting, VERSION_HEADER, Version};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tower::ServiceExt;

use super::extract::Peer;
use super::problem::{Problem, seal};
use super::watch::HangUp;
use crate::clock::Clock;

/// How long a request may take until its answer begins. A watch stream may then go on for ever.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What a connection is let do.
#[derive(Clone, Debug)]
pub(crate) enum Gate {
    Open(Router),
    /// Every request is answered with this.
    Shut(Problem),
}

/// Everything that the requests of one connection have in common.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    pub(crate) gate: Gate,
    pub(crate) peer: Peer,
    pub(crate) hang_up: HangUp,
    pub(crate) clock: Clock,
}

impl Visitor {
    /// Answers one request. Always.
    pub(crate) async fn respond(self, request: Request<hyper::body::Incoming>) -> Response {
        greet(request.headers());
        let response = match self.gate {
            Gate::Shut(problem) => problem.into_response(),
            Gate::Open(router) => {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(self.peer);
                request.extensions_mut().insert(self.hang_up);
                carry_out(router, request).await
            }
        };
        let now = Timestamp::from_millis(self.clock.now().wall.0);
        let mut response = seal(response, now);
        let version = HeaderValue::from_static(super::VERSION);
        response.headers_mut().insert(HeaderName::from_static(VERSION_HEADER), version);
        response
    }
}

async fn carry_out(router: Router, request: Request<Body>) -> Response {
    let handled = Guarded(Box::pin(router.oneshot(request)));
    match tokio::time::timeout(REQUEST_TIMEOUT, handled).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(panic)) => Problem::panic(&*panic).into_response(),
        Err(_) => {
            let message = "the request took too long";
            Problem::new(ErrorCode::Timeout, message).into_response()
        }
    }
}

/// Notes who asks. An older client is served: what is added to the API it ignores, and whether it
/// can cope with a newer daemon is for itself to say.
fn greet(headers: &HeaderMap) {
    let version = headers.get(VERSION_HEADER).and_then(|value| value.to_str().ok());
    let Some(client) = version.and_then(|text| text.parse::<Version>().ok()) else { return };
    let Ok(daemon) = super::VERSION.parse() else { return };
    match Version::greet(client, daemon) {
        Greeting::Same => {}
        Greeting::ClientOlder | Greeting::DaemonOlder => {
            tracing::debug!(%client, "a client of another version asks");
        }
    }
}

/// A future whose panic is its result.
struct Guarded<F>(Pin<Box<F>>);

impl<F: Future> Future for Guarded<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // What a panicking handler leaves behind is dropped with it.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer_and_nothing_else_is_touched() {
        let panicking =
            Router::new().route("/", axum::routing::get(async || -> &str { panic!("no") }));
        let request = || Request::new(Body::empty());
        let response = carry_out(panicking.clone(), request()).await;
        assert_eq!(response.status(), 500);
        let response = seal(response, Timestamp::from_millis(0));
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(carry_out(panicking, request()).await.status(), 500, "and again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_is_told_so() {
        let slow = Router::new()
            .route("/", axum::routing::get(async || std::future::pending::<()>().await));
        let response = carry_out(slow, Request::new(Body::empty())).await;
        assert_eq!(response.status(), 504);
    }
}
