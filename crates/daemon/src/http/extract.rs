//! What handlers take from a request, each refused in our own envelope.

use api::error_code::ErrorCode;
use api::limits::{BODY_BYTES_MAX, SEND_BODY_BYTES_MAX};
use api::query::Query;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engine::event::Actor;
use http::request::Parts;
use http::{StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The query string, read by the same code that the client writes it with.
#[derive(Debug)]
pub(crate) struct Asked<Q>(pub(crate) Q);

impl<Q: Query, S: Sync> FromRequestParts<S> for Asked<Q> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(Q::parse(parts.uri.query().unwrap_or(""))?))
    }
}

/// The one variable of the path, decoded.
#[derive(Debug)]
pub(crate) struct Named(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let unreadable =
            || Problem::new(ErrorCode::BadRequest, "the path is not percent-encoded UTF-8");
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| unreadable())?;
        let value = params.iter().next().map(|(_, value)| value.to_owned());
        value.map(Self).ok_or_else(unreadable)
    }
}

/// Who asks, after it was settled that they may: see [`super::access`].
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) actor: Actor,
    /// Their process, where it is known.
    pub(crate) pid: Option<u32>,
}

impl Peer {
    pub(crate) fn actor(&self) -> Actor {
        self.actor.clone()
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Every route asks for its right first; a request that passed none came some other way.
        let nobody = || Problem::new(ErrorCode::Forbidden, "it is not known who asks");
        parts.extensions.get::<Self>().cloned().ok_or_else(nobody)
    }
}

/// The JSON body.
#[derive(Debug)]
pub(crate) struct Sent<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read_json(&read_body(request, BODY_BYTES_MAX).await?).map(Self)
    }
}

/// The JSON body of a request that may hold a long text.
#[derive(Debug)]
pub(crate) struct SentLong<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for SentLong<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read_json(&read_body(request, SEND_BODY_BYTES_MAX).await?).map(Self)
    }
}

/// The JSON body, and the same as it came, for what keeps more of it than it reads.
#[derive(Debug)]
pub(crate) struct SentWhole<T> {
    pub(crate) body: Bytes,
    pub(crate) value: T,
}

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for SentWhole<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = read_body(request, BODY_BYTES_MAX).await?;
        let value = read_json(&body)?;
        Ok(Self { body, value })
    }
}

async fn read_body(request: Request, most: usize) -> Result<Bytes, Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(too_large(most));
    }
    match Limited::new(request.into_body(), most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(most)),
        Err(_) => Err(Problem::new(ErrorCode::BadRequest, "the body ended too early")),
    }
}

fn too_large(most: usize) -> Problem {
    let message = format!("a body has at most {most} bytes");
    Problem::new(ErrorCode::BodyTooLarge, message).detail("limit_bytes", most)
}

/// Reads an object. Fields without their names, in an array, would be read by their order.
fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::new(ErrorCode::BadRequest, "a body is a JSON object, not an array"));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let problem = bad_json(error.inner());
        if path == "." { problem } else { problem.detail("field", path) }
    })?;
    reader.end().map_err(|error| bad_json(&error))?;
    Ok(value)
}

fn bad_json(error: &serde_json::Error) -> Problem {
    let message = match error.classify() {
        serde_json::error::Category::Data => format!("the body does not fit: {error}"),
        serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof
        | serde_json::error::Category::Io => format!("the body is not JSON: {error}"),
    };
    Problem::new(ErrorCode::BadRequest, message)
        .detail("line", error.line())
        .detail("column", error.column())
}

/// A JSON answer.
#[derive(Debug)]
pub(crate) struct Said<T>(pub(crate) StatusCode, pub(crate) T);

impl<T: Serialize> IntoResponse for Said<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.1) {
            Ok(body) => (self.0, [(header::CONTENT_TYPE, api::routes::JSON)], body).into_response(),
            Err(error) => {
                Problem::internal("the answer could not be written", &error).into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use api::events::EventEnvelope;
    use api::targets::TargetCreate;

    use super::*;

    fn problem<T: DeserializeOwned + std::fmt::Debug>(body: &str) -> serde_json::Value {
        let problem = read_json::<T>(body.as_bytes()).unwrap_err();
        serde_json::to_value(problem.body(api::Timestamp::from_millis(0))).unwrap()
    }

    #[test]
    fn an_unknown_field_is_named_with_its_place() {
        let body = problem::<TargetCreate>("{\"name\":\"b\",\n\"kind\":\"local\",\"host\":1}");
        assert_eq!(body["error"]["code"], "E_BAD_REQUEST");
        assert_eq!(body["error"]["details"]["field"], "host");
        assert_eq!(body["error"]["details"]["line"], 2);
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains("unknown field `host`"), "{message}");
    }

    #[test]
    fn a_wrong_type_is_named_with_its_field() {
        let body = problem::<EventEnvelope>(
            r#"{"event_type":"x","source":"hook","dedupe_key":"k","pid":"7"}"#,
        );
        assert_eq!(body["error"]["details"]["field"], "pid");
    }

    #[test]
    fn what_is_no_json_is_said_to_be_none() {
        for text in ["", "{", "{}x", "nul", "[1,]", "\u{feff}{}"] {
            let body = problem::<TargetCreate>(text);
            assert_eq!(body["error"]["code"], "E_BAD_REQUEST", "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(problem::<TargetCreate>(&deep)["error"]["code"], "E_BAD_REQUEST");
    }
}
