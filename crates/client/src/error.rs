//! What goes wrong between a client and the daemon, in the words of the API.

use api::error::ErrorDetail;
use api::{ErrorBody, ErrorCode};
use serde_json::{Map, Value};

/// An error that the daemon answered, or that kept the client from getting an answer. Both have
/// the same fields, so whoever shows errors needs to know one kind.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ClientError {
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// What went wrong this time, for people.
    pub message: String,
    /// Facts beside the message.
    pub details: Map<String, Value>,
    /// What to do next.
    pub hint: String,
}

impl ClientError {
    /// An error with the usual hint of its code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let hint = code.hint().to_owned();
        Self { code, message: message.into(), details: Map::new(), hint }
    }

    /// The same error with another hint.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// The same error with one more fact.
    #[must_use]
    pub fn with_detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// The error in the body of an answer that was no success.
    pub(crate) fn from_answer(status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice::<ErrorBody>(body) {
            Ok(body) => body.error.into(),
            Err(_) => Self::new(
                ErrorCode::Internal,
                format!("the daemon answered with status {status} and no error that can be read"),
            ),
        }
    }

    /// Something answered that does not speak this API.
    pub(crate) fn unreadable(error: &serde_json::Error) -> Self {
        Self::new(ErrorCode::Internal, format!("the daemon's answer cannot be read: {error}"))
    }
}

impl From<ErrorDetail> for ClientError {
    fn from(error: ErrorDetail) -> Self {
        let ErrorDetail { code, message, details, hint } = error;
        Self { code, message, details, hint }
    }
}

#[cfg(test)]
mod tests {
    use api::Timestamp;

    use super::*;

    #[test]
    fn an_error_of_the_daemon_arrives_with_all_it_said() {
        let sent = ErrorBody::new(ErrorCode::RefNotFound, "no pane %9", Timestamp::from_millis(0))
            .with_detail("ref", "%9")
            .with_hint("Look again.");
        let error = ClientError::from_answer(404, &serde_json::to_vec(&sent).unwrap());
        assert_eq!(error.code, ErrorCode::RefNotFound);
        assert_eq!(error.to_string(), "no pane %9");
        assert_eq!(error.details["ref"], "%9");
        assert_eq!(error.hint, "Look again.");
    }

    #[test]
    fn what_is_no_error_envelope_is_named_by_its_status() {
        for body in ["", "<html>", "{}", r#"{"error":{"code":"E_NEW"}}"#] {
            let error = ClientError::from_answer(502, body.as_bytes());
            assert_eq!(error.code, ErrorCode::Internal);
            assert!(error.message.contains("502"), "{error}");
        }
    }
}
