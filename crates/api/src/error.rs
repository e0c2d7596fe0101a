//! The body of every answer that is not a success.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error_code::ErrorCode;
use crate::timestamp::Timestamp;
use crate::words::SchemaVersion;

/// The one envelope of all errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// What went wrong.
    pub error: ErrorDetail,
}

/// One error: for programs, for people, and what to do next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorDetail {
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// What went wrong this time, for people.
    pub message: String,
    /// Facts beside the message, such as the field, the limit or candidates.
    pub details: Map<String, Value>,
    /// What to do next.
    pub hint: String,
}

/// An error with everything that led to it, as one sentence.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        parts.push(error.to_string());
        cause = error.source();
    }
    // A transparent error says the same as its cause.
    parts.dedup();
    parts.join(": ")
}

impl ErrorBody {
    /// An error with the default hint of its code and no details.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>, generated_at: Timestamp) -> Self {
        let error = ErrorDetail {
            code,
            message: message.into(),
            details: Map::new(),
            hint: code.hint().to_owned(),
        };
        Self { schema_version: SchemaVersion::V1, generated_at, error }
    }

    /// The same error with one more fact.
    #[must_use]
    pub fn with_detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.error.details.insert(name.to_owned(), value.into());
        self
    }

    /// The same error with another hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.error.hint = hint.into();
        self
    }
}

/// A field of a request that is out of bounds; answered as `E_BAD_REQUEST`
/// with the field's name in the details.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct FieldError {
    /// The field, as the request spells it.
    pub field: &'static str,
    /// What is wrong with it; reads after the field's name.
    pub problem: String,
}

impl FieldError {
    pub(crate) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tc_018_the_envelope_has_code_message_details_and_hint() {
        let body = ErrorBody::new(ErrorCode::BodyTooLarge, "too long", Timestamp::from_millis(0))
            .with_detail("limit_bytes", 7)
            .with_hint("Send less.");
        assert_eq!(
            serde_json::to_value(&body).unwrap(),
            json!({
                "schema_version": "v1",
                "generated_at": "1970-01-01T00:00:00.000Z",
                "error": {
                    "code": "E_BODY_TOO_LARGE",
                    "message": "too long",
                    "details": { "limit_bytes": 7 },
                    "hint": "Send less.",
                },
            })
        );
    }
}
