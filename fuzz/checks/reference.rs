//! What must hold for any text that claims to name a pane, a runtime, a session or a target.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use api::error_code::ErrorCode;
use api::limits::{REFERENCE_BYTES_MAX, SESSION_NAME_BYTES_MAX};
use api::reference::{self, PaneId, Reference, ReferenceError, RuntimeId, TargetSession, WindowId};
use api::selector::{Selector, SelectorError};
use api::target_name::TargetName;

pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    has_one_spelling::<RuntimeId>(text);
    has_one_spelling::<WindowId>(text);
    has_one_spelling::<PaneId>(text);
    has_one_spelling::<TargetName>(text);
    let shown = TargetName::lossy(text);
    assert_eq!(shown.as_str().parse(), Ok(shown), "what is shown of a name is a name");

    survives::<Reference>(text, ReferenceError::code);
    survives::<TargetSession>(text, ReferenceError::code);
    survives::<Selector>(text, SelectorError::code);
    selects(text);
    encodes(text);
}

/// What is accepted is written exactly as it was read, so nothing has two names.
fn has_one_spelling<T: FromStr + Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}

/// What is accepted can be written and read again; what is refused has one of two codes.
fn survives<T>(text: &str, code: fn(T::Err) -> ErrorCode)
where
    T: FromStr<Err: Display + Debug + PartialEq> + Display + Debug + PartialEq,
{
    match text.parse::<T>() {
        Ok(value) => {
            let written = value.to_string();
            assert!(written.len() <= REFERENCE_BYTES_MAX, "what is written is too long to read");
            assert_eq!(written.parse(), Ok(value));
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let known = [ErrorCode::RefInvalid, ErrorCode::RefInvalidEncoding];
            assert!(known.contains(&code(error)));
        }
    }
}

fn selects(text: &str) {
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(text.parse(), Ok(Selector::Exact(reference)), "an exact reference selects");
    }
    match text.parse::<Selector>() {
        Ok(Selector::Exact(reference)) => assert_eq!(text.parse(), Ok(reference)),
        Ok(Selector::Place(place)) => {
            assert_eq!(place.to_string(), text, "a place is shown as it was typed");
            let ends = text.match_indices(':').map(|(at, _)| at);
            let mut meant = ends.filter(|&at| place.within(&text[..at]).next().is_some());
            assert!(meant.next().is_some(), "a place means something somewhere");
        }
        Ok(selector @ (Selector::Pane(_) | Selector::Word(_))) => {
            assert_eq!(selector.to_string(), text);
        }
        Err(_) => {}
    }
}

/// Any text of a session's length can stand in a reference, and comes back.
fn encodes(text: &str) {
    let encoded = reference::encode_session(text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    assert!(encoded.bytes().all(plain));
    let expected = match text.len() {
        0 => Err(ReferenceError::SessionEmpty),
        1..=SESSION_NAME_BYTES_MAX => Ok(text.to_owned()),
        _ => Err(ReferenceError::SessionTooLong),
    };
    assert_eq!(reference::decode_session(&encoded), expected);
    if let Ok(decoded) = reference::decode_session(text) {
        assert_eq!(reference::decode_session(&reference::encode_session(&decoded)), Ok(decoded));
    }
}
