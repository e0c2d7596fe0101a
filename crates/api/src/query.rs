//! Query strings: read by the daemon and written by the client with the same
//! code, and described to both by the same parameters.
//!
//! A key that no parameter names is refused, as is a second value for a key
//! that takes one. Keys that take several may be repeated or hold a comma
//! list: `state=error,idle` is `state=error&state=idle`.

use std::fmt::Write as _;
use std::str::FromStr;

use crate::cursor::CursorError;
use crate::error_code::ErrorCode;
use crate::limits::{QUERY_BYTES_MAX, QUERY_PAIRS_MAX};
use crate::nearest::nearest;
use crate::reference::{ReferenceError, hex_value};

/// One key of a query string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// The key.
    pub name: &'static str,
    /// What its values look like.
    pub kind: ParameterKind,
    /// Whether it takes several values.
    pub repeated: bool,
    /// Whether it has to be there.
    pub required: bool,
    /// What it is for, in one sentence.
    pub about: &'static str,
}

/// What the value of a parameter looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// Any text.
    Text,
    /// `true` or `false`; no value at all means `true`.
    Flag,
    /// A whole number within bounds.
    Number {
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
    /// One of these words.
    Words(&'static [&'static str]),
    /// One of these words, or one of them with a `-` in front.
    SortKeys(&'static [&'static str]),
}

impl Parameter {
    /// A parameter that may be left out and takes one value.
    #[must_use]
    pub const fn one(name: &'static str, kind: ParameterKind, about: &'static str) -> Self {
        Self { name, kind, repeated: false, required: false, about }
    }

    /// A parameter that may be left out and takes several values.
    #[must_use]
    pub const fn several(name: &'static str, kind: ParameterKind, about: &'static str) -> Self {
        Self { name, kind, repeated: true, required: false, about }
    }

    /// The same parameter, which now has to be there.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }
}

/// Why a query string is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Longer than any query.
    #[error("a query string has at most {QUERY_BYTES_MAX} bytes")]
    TooLong,
    /// More pairs than any query needs.
    #[error("a query string has at most {QUERY_PAIRS_MAX} keys")]
    TooManyPairs,
    /// No parameter has that name.
    #[error("there is no query parameter `{name}`{}", did_you_mean(*.nearest))]
    Unknown {
        /// What was given, shortened.
        name: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// A parameter that takes one value has two.
    #[error("`{name}` is given twice and takes one value")]
    Repeated {
        /// The parameter.
        name: &'static str,
    },
    /// A parameter that has to be there is not.
    #[error("`{name}` is missing")]
    Missing {
        /// The parameter.
        name: &'static str,
    },
    /// A key or value is not percent-encoded UTF-8.
    #[error("the query string is not percent-encoded UTF-8")]
    Encoding,
    /// A value cannot be what the parameter takes.
    #[error("`{name}`: {problem}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// What is wrong with the value.
        problem: String,
    },
    /// Two parameters contradict each other.
    #[error("`{first}` and `{second}` contradict each other")]
    Conflict {
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A value that is a reference is none.
    #[error("`{name}`: {error}")]
    Reference {
        /// The parameter.
        name: &'static str,
        /// What is wrong with the reference.
        error: ReferenceError,
    },
    /// The cursor is none.
    #[error("`cursor`: {0}")]
    Cursor(CursorError),
}

fn did_you_mean(nearest: Option<&'static str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

impl QueryError {
    /// The code under which the API answers this.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Reference { error, .. } => error.code(),
            Self::Cursor(_) => ErrorCode::CursorInvalid,
            Self::TooLong
            | Self::TooManyPairs
            | Self::Unknown { .. }
            | Self::Repeated { .. }
            | Self::Missing { .. }
            | Self::Encoding
            | Self::Value { .. }
            | Self::Conflict { .. } => ErrorCode::BadRequest,
        }
    }

    /// The parameter it is about, if it is about a known one.
    #[must_use]
    pub const fn parameter(&self) -> Option<&'static str> {
        match self {
            Self::Repeated { name }
            | Self::Missing { name }
            | Self::Value { name, .. }
            | Self::Reference { name, .. }
            | Self::Conflict { first: name, .. } => Some(name),
            Self::Cursor(_) => Some("cursor"),
            Self::TooLong | Self::TooManyPairs | Self::Unknown { .. } | Self::Encoding => None,
        }
    }

    pub(crate) fn value(name: &'static str, problem: impl Into<String>) -> Self {
        Self::Value { name, problem: problem.into() }
    }
}

/// A query that one route understands.
pub trait Query: Sized + Default {
    /// Every key of it.
    fn parameters() -> Vec<Parameter>;

    /// Takes one value of one of its keys; a comma list has been split before.
    fn set(&mut self, name: &'static str, value: &str) -> Result<(), QueryError>;

    /// Every key and value that differs from the default, in a stable order.
    fn pairs(&self) -> Vec<(&'static str, String)>;

    /// Looks at the whole once all keys are set.
    fn check(&self) -> Result<(), QueryError> {
        Ok(())
    }

    /// Reads a query string, without the question mark.
    fn parse(text: &str) -> Result<Self, QueryError> {
        let parameters = Self::parameters();
        let mut query = Self::default();
        let mut seen: Vec<&'static str> = Vec::new();
        for (name, value) in split_pairs(text)? {
            let parameter = find(&parameters, &name)?;
            if seen.contains(&parameter.name) && !parameter.repeated {
                return Err(QueryError::Repeated { name: parameter.name });
            }
            seen.push(parameter.name);
            if parameter.repeated {
                value.split(',').try_for_each(|part| query.set(parameter.name, part))?;
            } else {
                query.set(parameter.name, &value)?;
            }
        }
        let missing = parameters.iter().find(|it| it.required && !seen.contains(&it.name));
        if let Some(parameter) = missing {
            return Err(QueryError::Missing { name: parameter.name });
        }
        query.check()?;
        Ok(query)
    }

    /// Writes the query string, without the question mark.
    fn to_query_string(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.pairs() {
            let separator = if text.is_empty() { "" } else { "&" };
            text.push_str(separator);
            text.push_str(name);
            text.push('=');
            encode_into(&mut text, &value);
        }
        text
    }
}

/// The query of a route that has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoQuery;

impl Query for NoQuery {
    fn parameters() -> Vec<Parameter> {
        Vec::new()
    }

    fn set(&mut self, name: &'static str, _: &str) -> Result<(), QueryError> {
        Err(QueryError::Unknown { name: name.to_owned(), nearest: None })
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

fn find<'a>(parameters: &'a [Parameter], name: &str) -> Result<&'a Parameter, QueryError> {
    parameters.iter().find(|it| it.name == name).ok_or_else(|| QueryError::Unknown {
        name: name.chars().take(80).collect(),
        nearest: nearest(name, parameters.iter().map(|it| it.name)),
    })
}

fn split_pairs(text: &str) -> Result<Vec<(String, String)>, QueryError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(QueryError::TooLong);
    }
    let pairs: Vec<&str> = text.split('&').filter(|pair| !pair.is_empty()).collect();
    if pairs.len() > QUERY_PAIRS_MAX {
        return Err(QueryError::TooManyPairs);
    }
    pairs
        .into_iter()
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

/// Reads a form-encoded text: `+` is a blank, `%XX` a byte.
fn decode(text: &str) -> Result<String, QueryError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = bytes.next().and_then(hex_value).ok_or(QueryError::Encoding)?;
                let low = bytes.next().and_then(hex_value).ok_or(QueryError::Encoding)?;
                high << 4 | low
            }
            other => other,
        });
    }
    String::from_utf8(decoded).map_err(|_| QueryError::Encoding)
}

fn encode_into(text: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'/') {
            text.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

pub(crate) fn flag(name: &'static str, value: &str) -> Result<bool, QueryError> {
    match value {
        "" | "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(QueryError::value(name, "takes `true` or `false`")),
    }
}

pub(crate) fn word<W>(name: &'static str, value: &str) -> Result<W, QueryError>
where
    W: FromStr,
    W::Err: ToString,
{
    value.parse().map_err(|error: W::Err| QueryError::value(name, error.to_string()))
}

pub(crate) fn text(name: &'static str, value: &str, max: usize) -> Result<String, QueryError> {
    if value.is_empty() {
        return Err(QueryError::value(name, "is empty"));
    }
    if value.len() > max {
        return Err(QueryError::value(name, format!("has at most {max} bytes")));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::Filters;
    use crate::list::ListQuery;
    use crate::words::{DisplayCategory, State};

    fn parse(text: &str) -> Result<ListQuery, QueryError> {
        ListQuery::parse(text)
    }

    #[test]
    fn nothing_means_everything() {
        assert_eq!(parse(""), Ok(ListQuery::default()));
        assert_eq!(ListQuery::default().to_query_string(), "");
    }

    #[test]
    fn several_values_are_repeated_or_in_a_comma_list() {
        let states = vec![State::Error, State::Idle];
        let expected = Filters { state: states, ..Filters::default() };
        assert_eq!(parse("state=error,idle").map(|it| it.filters), Ok(expected.clone()));
        assert_eq!(parse("state=error&state=idle").map(|it| it.filters), Ok(expected));
    }

    #[test]
    fn an_unknown_key_is_refused_and_the_nearest_named() {
        let error = parse("states=idle").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no query parameter `states`; did you mean `state`?"
        );
        assert_eq!(error.code(), ErrorCode::BadRequest);
        assert!(NoQuery::parse("x=1").is_err());
    }

    #[test]
    fn a_second_value_is_refused_where_one_is_taken() {
        assert_eq!(parse("limit=1&limit=2"), Err(QueryError::Repeated { name: "limit" }));
    }

    #[test]
    fn bad_values_name_their_parameter() {
        for (text, message) in [
            ("limit=0", "`limit`: takes a number from 1 to 1000"),
            ("limit=x", "`limit`: takes a number from 1 to 1000"),
            ("needs_action=maybe", "`needs_action`: takes `true` or `false`"),
            ("agent=", "`agent`: is empty"),
            (
                "category=none",
                "`category`: `none` is not one of: attention, running, idle, unmanaged, unknown",
            ),
            ("target=local&all_targets", "`target` and `all_targets` contradict each other"),
            ("session=%zz", "the query string is not percent-encoded UTF-8"),
            ("session=%ff", "the query string is not percent-encoded UTF-8"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn references_keep_their_own_codes() {
        assert_eq!(parse("target_session=local").unwrap_err().code(), ErrorCode::RefInvalid);
        // The query is encoded once more around the reference.
        let encoding = parse("target_session=local/%25zz").unwrap_err();
        assert_eq!(encoding.code(), ErrorCode::RefInvalidEncoding);
    }

    #[test]
    fn tc_024_what_the_client_writes_the_daemon_reads() {
        let mut query = ListQuery {
            filters: Filters {
                target: vec!["local".parse().unwrap(), "b-1".parse().unwrap()],
                target_session: Some("local/a%2Fb%20%25".parse().unwrap()),
                session: Some("100% of a/b & c=d, ä".to_owned()),
                state: vec![State::WaitingInput],
                agent: vec!["claude".to_owned()],
                category: vec![DisplayCategory::Attention],
                needs_action: Some(false),
                ..Filters::default()
            },
            sort: vec!["-state".parse().unwrap(), "location".parse().unwrap()],
            limit: Some(7),
            page: Some("opaque+/=".to_owned()),
        };
        assert_eq!(parse(&query.to_query_string()), Ok(query.clone()));
        query.filters.target.clear();
        query.filters.target_session = None;
        query.filters.all_targets = true;
        assert_eq!(parse(&query.to_query_string()), Ok(query));
    }

    #[test]
    fn a_query_is_bounded() {
        assert_eq!(parse(&"x".repeat(QUERY_BYTES_MAX + 1)), Err(QueryError::TooLong));
        assert_eq!(
            parse(&"state=idle&".repeat(QUERY_PAIRS_MAX + 1)),
            Err(QueryError::TooManyPairs)
        );
    }
}
