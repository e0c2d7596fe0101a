//! What a request is told when it cannot be answered: one type, from which the one envelope of
//! errors is made at the very end. Whoever raises a problem knows no time.

use std::any::Any;

use api::error::{ErrorBody, FieldError};
use api::error_code::ErrorCode;
use api::query::QueryError;
use api::reference::ReferenceError;
use api::selector::SelectorError;
use api::target_name::TargetName;
use api::timestamp::Timestamp;
use axum::response::{IntoResponse, Response};
use engine::input::Refusal;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};
use store::{CommitError, CommitErrorKind, CommitOutcome};

use crate::deck::Fault;

/// A request that fails: its code, what happened this time, and facts beside it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    code: ErrorCode,
    message: String,
    details: Map<String, Value>,
    /// What to do next, where this place knows better than the code.
    hint: Option<&'static str>,
}

impl Problem {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Map::new(), hint: None }
    }

    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    /// The same problem under another code.
    pub(crate) fn coded(self, code: ErrorCode) -> Self {
        Self { code, ..self }
    }

    /// The same problem with this to do next.
    pub(crate) fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    /// The same problem with one more fact.
    pub(crate) fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// The same problem with all of these facts.
    pub(crate) fn details(mut self, facts: Map<String, Value>) -> Self {
        self.details.extend(facts);
        self
    }

    /// A field of the request is wrong; `problem` reads after its name.
    pub(crate) fn field(field: &'static str, problem: &str) -> Self {
        let message = format!("`{field}` {problem}");
        Self::new(ErrorCode::BadRequest, message).detail("field", field)
    }

    pub(crate) fn no_target(name: &TargetName) -> Self {
        Self::new(ErrorCode::TargetNotFound, format!("no target is named `{name}`"))
            .detail("target", name.as_str())
    }

    /// Something failed that should not have. The log says what, the client only that.
    pub(crate) fn internal(what: &str, error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "{what}");
        Self::new(ErrorCode::Internal, what)
    }

    /// A handler panicked.
    pub(crate) fn panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self::internal("the request could not be handled", &text.unwrap_or("panic"))
    }

    /// The envelope, as of `now`.
    pub(crate) fn body(self, now: Timestamp) -> ErrorBody {
        let mut body = ErrorBody::new(self.code, self.message, now);
        body.error.details = self.details;
        match self.hint {
            Some(hint) => body.with_hint(hint),
            None => body,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The answer without its body, which is written when the time is known: see [`seal`].
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the envelope of a response that is a problem; leaves any other as it is.
pub(crate) fn seal(mut response: Response, now: Timestamp) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let body = serde_json::to_vec(&problem.body(now)).unwrap_or_default();
    let json = HeaderValue::from_static(api::routes::JSON);
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    *response.body_mut() = axum::body::Body::from(body);
    response
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let problem = Self::new(error.code(), error.to_string());
        let problem = match error.parameter() {
            Some(parameter) => problem.detail("parameter", parameter),
            None => problem,
        };
        match error {
            QueryError::Unknown { name, nearest } => {
                problem.detail("parameter", name).detail("nearest", nearest)
            }
            QueryError::TooLong
            | QueryError::TooManyPairs
            | QueryError::Repeated { .. }
            | QueryError::Missing { .. }
            | QueryError::Encoding
            | QueryError::Value { .. }
            | QueryError::Conflict { .. }
            | QueryError::Reference { .. }
            | QueryError::Cursor(_) => problem,
        }
    }
}

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        Self::field(error.field, &error.problem)
    }
}

impl From<ReferenceError> for Problem {
    fn from(error: ReferenceError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<SelectorError> for Problem {
    fn from(error: SelectorError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        let problem = |code| Self::new(code, message);
        match refusal {
            Refusal::TargetExists(name) => problem(ErrorCode::TargetExists).detail("target", name),
            Refusal::TargetUnknown(name) => {
                problem(ErrorCode::TargetNotFound).detail("target", name)
            }
            Refusal::TooManyTargets => {
                problem(ErrorCode::LimitReached).detail("limit", engine::limits::TARGETS_MAX)
            }
            Refusal::TooManyAdapters => {
                problem(ErrorCode::LimitReached).detail("limit", engine::limits::ADAPTERS_MAX)
            }
            Refusal::SameServer { name: _, other } => {
                problem(ErrorCode::TargetDuplicateServer).detail("target", other)
            }
            Refusal::RuntimeUnknown(runtime) => {
                problem(ErrorCode::RefNotFound).detail("runtime_id", runtime.to_string())
            }
            Refusal::RuntimeStale(runtime) => {
                problem(ErrorCode::RuntimeStale).detail("runtime_id", runtime.to_string())
            }
            Refusal::DedupeConflict(key) => {
                problem(ErrorCode::IdempotencyConflict).detail("dedupe_key", key)
            }
            Refusal::EventIdConflict(event) => {
                problem(ErrorCode::IdempotencyConflict).detail("event_id", event.to_string())
            }
            Refusal::ActionConflict { request_ref, action } => {
                problem(ErrorCode::IdempotencyConflict)
                    .detail("request_ref", request_ref)
                    .detail("action_id", action.to_string())
            }
            Refusal::TooManyActions => {
                problem(ErrorCode::Overloaded).detail("limit", engine::limits::OPEN_ACTIONS_MAX)
            }
            Refusal::ActionUnknown(action) => problem(ErrorCode::RefNotFound)
                .hint("See what was done with `qd history`.")
                .detail("action_id", action.to_string()),
            Refusal::TooLate { action, phase } => problem(ErrorCode::TooLate)
                .detail("action_id", action.to_string())
                .detail("result_code", phase.as_str()),
            Refusal::Forbidden(_) => problem(ErrorCode::Forbidden),
            Refusal::TokenExists(name) => problem(ErrorCode::TokenExists).detail("token", name),
            Refusal::TokenUnknown(named) => {
                problem(ErrorCode::TokenNotFound).detail("token", named)
            }
            Refusal::TooManyTokens => {
                problem(ErrorCode::LimitReached).detail("limit", engine::limits::TOKENS_MAX)
            }
            Refusal::InboxFull => {
                problem(ErrorCode::Overloaded).detail("limit", engine::limits::PENDING_EVENTS_MAX)
            }
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(refusal) => refusal.into(),
            Fault::Store(error) => Self::from(&*error),
            Fault::Stopping => Self::new(ErrorCode::ShuttingDown, "the daemon is about to end"),
        }
    }
}

impl From<&CommitError> for Problem {
    fn from(error: &CommitError) -> Self {
        let code = match (error.outcome, error.kind) {
            (CommitOutcome::Unknown, _) => ErrorCode::OutcomeUnknown,
            (CommitOutcome::NotDone, CommitErrorKind::Full) => ErrorCode::StoreFull,
            (CommitOutcome::NotDone, CommitErrorKind::Busy) => ErrorCode::Overloaded,
            (CommitOutcome::NotDone, CommitErrorKind::Refused) => ErrorCode::Internal,
            (
                CommitOutcome::NotDone,
                CommitErrorKind::Io
                | CommitErrorKind::Corrupt
                | CommitErrorKind::Gone
                | CommitErrorKind::ReadOnly
                | CommitErrorKind::Lost,
            ) => ErrorCode::StoreReadOnly,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::ids::{EventId, RuntimeId};

    use super::*;

    #[track_caller]
    fn check(problem: impl Into<Problem>, code: ErrorCode) {
        let problem = problem.into();
        assert_eq!(problem.code, code, "{problem:?}");
        assert_eq!(problem.status().as_u16(), code.http_status());
        assert!(!problem.message.is_empty());
    }

    #[test]
    fn tc_053_every_refusal_of_the_engine_has_its_code() {
        let runtime = || RuntimeId::new("rt-1");
        check(Refusal::TargetExists("a".to_owned()), ErrorCode::TargetExists);
        check(Refusal::TargetUnknown("a".to_owned()), ErrorCode::TargetNotFound);
        check(Refusal::TooManyTargets, ErrorCode::LimitReached);
        let (name, other) = ("a".to_owned(), "b".to_owned());
        check(Refusal::SameServer { name, other }, ErrorCode::TargetDuplicateServer);
        check(Refusal::RuntimeUnknown(runtime()), ErrorCode::RefNotFound);
        check(Refusal::RuntimeStale(runtime()), ErrorCode::RuntimeStale);
        check(Refusal::DedupeConflict("k".to_owned()), ErrorCode::IdempotencyConflict);
        check(Refusal::EventIdConflict(EventId::new("e")), ErrorCode::IdempotencyConflict);
        check(Refusal::InboxFull, ErrorCode::Overloaded);
        check(Refusal::TooManyActions, ErrorCode::Overloaded);
        let action = || engine::ids::ActionId::new("ac-1");
        check(Refusal::ActionUnknown(action()), ErrorCode::RefNotFound);
        let phase = engine::words::Phase::Completed;
        check(Refusal::TooLate { action: action(), phase }, ErrorCode::TooLate);
        check(Refusal::Forbidden("no"), ErrorCode::Forbidden);
        check(Refusal::TokenExists("a".to_owned()), ErrorCode::TokenExists);
        check(Refusal::TokenUnknown("a".to_owned()), ErrorCode::TokenNotFound);
        check(Refusal::TooManyTokens, ErrorCode::LimitReached);
        let (request_ref, action) = ("r".to_owned(), action());
        check(Refusal::ActionConflict { request_ref, action }, ErrorCode::IdempotencyConflict);
    }

    #[test]
    fn tc_053_every_failure_of_the_store_has_its_code() {
        use CommitErrorKind::{Busy, Corrupt, Full, Gone, Io, Lost, ReadOnly, Refused};
        let failed =
            |kind, outcome| Fault::Store(Arc::new(CommitError { kind, outcome, source: None }));
        let not_done = |kind| failed(kind, CommitOutcome::NotDone);
        check(not_done(Full), ErrorCode::StoreFull);
        check(not_done(Busy), ErrorCode::Overloaded);
        check(not_done(Refused), ErrorCode::Internal);
        for kind in [Io, Corrupt, Gone, ReadOnly, Lost] {
            check(not_done(kind), ErrorCode::StoreReadOnly);
        }
        check(failed(Io, CommitOutcome::Unknown), ErrorCode::OutcomeUnknown);
        check(Fault::Stopping, ErrorCode::ShuttingDown);
    }

    #[test]
    fn what_an_internal_failure_was_stays_in_the_log() {
        let payload: Box<dyn Any + Send> = Box::new("at /home/somebody/secret".to_owned());
        let body = Problem::panic(&*payload).body(Timestamp::from_millis(0));
        assert_eq!(body.error.code, ErrorCode::Internal);
        assert!(!serde_json::to_string(&body).unwrap().contains("secret"));
    }
}
