//! One request: who asks, how long it may take, and what is said whatever happens.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use api::error_code::ErrorCode;
use api::timestamp::Timestamp;
use api::version::{Greeting, VERSION_HEADER, Version};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use tower::ServiceExt;

use super::access::{self, Admitted, Way};
use super::app::App;
use super::doorman::FAILURE_MS;
use super::guests::Guest;
use super::leftover::ReadToTheEnd;
use super::problem::{Problem, seal};
use super::watch::HangUp;

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
    pub(crate) app: Arc<App>,
    pub(crate) gate: Gate,
    pub(crate) way: Way,
    /// Whoever comes over TCP.
    pub(crate) guest: Option<Arc<Guest>>,
    pub(crate) hang_up: HangUp,
}

impl Visitor {
    /// Answers one request. Always.
    pub(crate) async fn respond(self, request: Request<hyper::body::Incoming>) -> Response {
        greet(request.headers());
        let (clock, is_guest) = (self.app.clock, self.guest.is_some());
        let (head, body) = request.into_parts();
        let body = ReadToTheEnd::new(body);
        let admitted = match self.gate {
            Gate::Shut(full) => Err(full),
            Gate::Open(router) => {
                access::admit(&self.app, &self.way, &head).map(|admitted| (router, admitted))
            }
        };
        let response = match admitted {
            Err(problem) => {
                let mut response = problem.into_response();
                if is_guest {
                    response.headers_mut().insert(header::CONNECTION, LEAVE);
                }
                response
            }
            Ok((router, admitted)) => {
                if let (Some(guest), Admitted::Holder(holder)) = (&self.guest, &admitted) {
                    guest.know_by(holder.token());
                }
                access::take_keys(&self.app, &admitted, &head.headers).await;
                let mut request = Request::from_parts(head, Body::new(body));
                request.extensions_mut().insert(admitted);
                request.extensions_mut().insert(self.hang_up);
                carry_out(router, request).await
            }
        };
        let now = Timestamp::from_millis(clock.now().wall.0);
        let mut response = seal(response, now);
        let version = HeaderValue::from_static(super::VERSION);
        response.headers_mut().insert(HeaderName::from_static(VERSION_HEADER), version);
        if is_guest {
            protect(&mut response);
        }
        response
    }
}

const LEAVE: HeaderValue = HeaderValue::from_static("close");

/// What a browser has to be told about whatever comes over TCP, and what else a client is told
/// there.
fn protect(response: &mut Response) {
    let status = response.status();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer realm=\"quarterdeck\"");
        headers.insert(header::WWW_AUTHENTICATE, scheme);
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        let seconds = Duration::from_millis(FAILURE_MS.unsigned_abs()).as_secs();
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
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
