//! The place in a watch stream from which a watcher goes on.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::{CURSOR_BYTES_MAX, STREAM_ID_BYTES_MAX};

/// `<stream_id>:<sequence>`: everything up to and including that sequence of
/// that stream has been seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor {
    stream_id: String,
    sequence: u64,
}

impl Cursor {
    /// A cursor into the stream of that id.
    pub fn new(stream_id: &str, sequence: u64) -> Result<Self, CursorError> {
        check_stream_id(stream_id)?;
        Ok(Self { stream_id: stream_id.to_owned(), sequence })
    }

    /// The stream the cursor belongs to.
    #[must_use]
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// The last sequence that was seen.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// Why a text is no cursor; answered as `E_CURSOR_INVALID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Longer than any cursor.
    #[error("a cursor has at most {CURSOR_BYTES_MAX} bytes")]
    TooLong,
    /// No colon separates stream and sequence.
    #[error("a cursor is <stream_id>:<sequence>, and this has no colon")]
    NoColon,
    /// The stream id is empty, too long, or holds other characters.
    #[error("a stream id is 1 to {STREAM_ID_BYTES_MAX} letters, digits, `.`, `_` or `-`")]
    StreamId,
    /// The sequence is below zero.
    #[error("the sequence of a cursor is not negative")]
    Negative,
    /// The sequence is no number.
    #[error("the sequence of a cursor is a decimal number without a sign")]
    NotNumeric,
    /// The sequence is beyond any journal.
    #[error("the sequence of a cursor is at most {}", i64::MAX)]
    TooLarge,
}

fn check_stream_id(id: &str) -> Result<(), CursorError> {
    let fits = (1..=STREAM_ID_BYTES_MAX).contains(&id.len());
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits && plain { Ok(()) } else { Err(CursorError::StreamId) }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > CURSOR_BYTES_MAX {
            return Err(CursorError::TooLong);
        }
        let (stream_id, sequence) = text.rsplit_once(':').ok_or(CursorError::NoColon)?;
        check_stream_id(stream_id)?;
        if let Some(digits) = sequence.strip_prefix('-') {
            let negative = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            return Err(if negative { CursorError::Negative } else { CursorError::NotNumeric });
        }
        if sequence.is_empty() || !sequence.bytes().all(|b| b.is_ascii_digit()) {
            return Err(CursorError::NotNumeric);
        }
        // The journal counts in SQLite's signed integers.
        let number = sequence.parse::<i64>().map_err(|_| CursorError::TooLarge)?;
        Ok(Self { stream_id: stream_id.to_owned(), sequence: number.unsigned_abs() })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.stream_id, self.sequence)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Cursor {
    fn schema_name() -> Cow<'static, str> {
        "Cursor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[A-Za-z0-9._-]{1,64}:[0-9]{1,19}$",
            "description": "A place in a watch stream: `<stream_id>:<sequence>`.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Cursor, CursorError> {
        text.parse()
    }

    #[test]
    fn a_cursor_reads_back_as_written() {
        let cursor = Cursor::new("qd-0198", 42).unwrap();
        assert_eq!(cursor.to_string(), "qd-0198:42");
        assert_eq!(parse("qd-0198:42"), Ok(cursor));
    }

    #[test]
    fn malformed_cursors_say_what_is_wrong() {
        let long = format!("{}:1", "a".repeat(CURSOR_BYTES_MAX));
        let long_stream = format!("{}:1", "a".repeat(STREAM_ID_BYTES_MAX + 1));
        for (text, error) in [
            ("", CursorError::NoColon),
            ("stream", CursorError::NoColon),
            (":5", CursorError::StreamId),
            ("a b:5", CursorError::StreamId),
            ("a:b:5", CursorError::StreamId),
            (long_stream.as_str(), CursorError::StreamId),
            ("s:", CursorError::NotNumeric),
            ("s:x", CursorError::NotNumeric),
            ("s:1 ", CursorError::NotNumeric),
            ("s:+1", CursorError::NotNumeric),
            ("s:-", CursorError::NotNumeric),
            ("s:--1", CursorError::NotNumeric),
            ("s:0x10", CursorError::NotNumeric),
            ("s:\u{0661}", CursorError::NotNumeric),
            ("s:-1", CursorError::Negative),
            ("s:9223372036854775808", CursorError::TooLarge),
            (long.as_str(), CursorError::TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_largest_sequence_is_accepted() {
        assert_eq!(
            parse("s:9223372036854775807").map(|it| it.sequence()),
            Ok(i64::MAX.unsigned_abs())
        );
        assert_eq!(parse("s:007").map(|it| it.sequence()), Ok(7));
    }
}
