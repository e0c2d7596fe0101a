//! References: the exact way to name one runtime or one pane.
//!
//! ```text
//! runtime:<runtime-id>
//! pane:<target>/<session-enc>/<window-id>/<pane-id>
//! <target>/<session-enc>                               (target-session)
//! ```
//!
//! Only the session component is percent-encoded. The `%` of a pane id is
//! tmux's own and taken literally. What a person may type instead is in
//! [`crate::selector`].

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error_code::ErrorCode;
use crate::limits::{
    REFERENCE_BYTES_MAX, RUNTIME_ID_BYTES_MAX, RUNTIME_ID_BYTES_MIN, SESSION_NAME_BYTES_MAX,
};
use crate::target_name::{TargetName, TargetNameError};

/// The id of a runtime: 16 to 128 letters, digits, `.`, `_`, `:` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuntimeId(String);

impl RuntimeId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// tmux's own number of a window, written `@7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowId(pub u32);

/// tmux's own number of a pane, written `%7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaneId(pub u32);

/// A pane, named by everything that leads to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PaneReference {
    /// The target's name.
    pub target: TargetName,
    /// The session's name, decoded.
    pub session_name: String,
    /// The window within the tmux server.
    pub window_id: WindowId,
    /// The pane within the tmux server.
    pub pane_id: PaneId,
}

/// A reference in its exact form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// One life of a process in a pane.
    Runtime(RuntimeId),
    /// A pane, whatever lives in it.
    Pane(PaneReference),
}

/// A session on a target, as `--target-session` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TargetSession {
    /// The target's name.
    pub target: TargetName,
    /// The session's name, decoded.
    pub session_name: String,
}

/// Why a text is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Longer than any reference.
    #[error("a reference has at most {REFERENCE_BYTES_MAX} bytes")]
    TooLong,
    /// Neither `runtime:` nor `pane:` stands in front.
    #[error("a reference begins with `runtime:` or `pane:`")]
    Prefix,
    /// The runtime id is too short, too long, or holds other characters.
    #[error(
        "a runtime id is {RUNTIME_ID_BYTES_MIN} to {RUNTIME_ID_BYTES_MAX} letters, digits, `.`, \
         `_`, `:` or `-`"
    )]
    RuntimeId,
    /// Too few or too many components.
    #[error("a pane reference is pane:<target>/<session-enc>/<window-id>/<pane-id>")]
    PaneComponents,
    /// Too few or too many components.
    #[error("a target session is <target>/<session-enc>; a `/` in the session is written %2F")]
    SessionComponents,
    /// The target cannot be one.
    #[error(transparent)]
    Target(TargetNameError),
    /// The session component is empty.
    #[error("the session of a reference is not empty")]
    SessionEmpty,
    /// The session is longer than any tmux session name that is kept.
    #[error("a session name has at most {SESSION_NAME_BYTES_MAX} bytes")]
    SessionTooLong,
    /// The window id is not `@` and digits.
    #[error("a window id is `@` and a decimal number, such as @3")]
    WindowId,
    /// The pane id is not `%` and digits.
    #[error("a pane id is `%` and a decimal number, such as %12")]
    PaneId,
    /// A `%` without two hexadecimal digits, a character that has to be
    /// encoded, or bytes that are not UTF-8.
    #[error("the session of a reference is percent-encoded UTF-8, such as my%20work")]
    Encoding,
}

impl ReferenceError {
    /// The code under which the API answers this.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Encoding => ErrorCode::RefInvalidEncoding,
            Self::TooLong
            | Self::Prefix
            | Self::RuntimeId
            | Self::PaneComponents
            | Self::SessionComponents
            | Self::Target(_)
            | Self::SessionEmpty
            | Self::SessionTooLong
            | Self::WindowId
            | Self::PaneId => ErrorCode::RefInvalid,
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > REFERENCE_BYTES_MAX {
            return Err(ReferenceError::TooLong);
        }
        if let Some(id) = text.strip_prefix("runtime:") {
            return id.parse().map(Self::Runtime);
        }
        let rest = text.strip_prefix("pane:").ok_or(ReferenceError::Prefix)?;
        let parts: Vec<&str> = rest.split('/').collect();
        let [target, session, window_id, pane_id] = parts[..] else {
            return Err(ReferenceError::PaneComponents);
        };
        Ok(Self::Pane(PaneReference {
            target: target.parse().map_err(ReferenceError::Target)?,
            session_name: decode_session(session)?,
            window_id: window_id.parse()?,
            pane_id: pane_id.parse()?,
        }))
    }
}

impl FromStr for TargetSession {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > REFERENCE_BYTES_MAX {
            return Err(ReferenceError::TooLong);
        }
        let parts: Vec<&str> = text.split('/').collect();
        let [target, session] = parts[..] else {
            return Err(ReferenceError::SessionComponents);
        };
        Ok(Self {
            target: target.parse().map_err(ReferenceError::Target)?,
            session_name: decode_session(session)?,
        })
    }
}

impl FromStr for RuntimeId {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (RUNTIME_ID_BYTES_MIN..=RUNTIME_ID_BYTES_MAX).contains(&text.len());
        if fits && text.bytes().all(is_runtime_id_byte) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReferenceError::RuntimeId)
        }
    }
}

impl FromStr for WindowId {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        tmux_number(text, '@').map(Self).ok_or(ReferenceError::WindowId)
    }
}

impl FromStr for PaneId {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        tmux_number(text, '%').map(Self).ok_or(ReferenceError::PaneId)
    }
}

/// Whether the byte may stand in a runtime id.
pub(crate) const fn is_runtime_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-')
}

/// tmux counts in 32 bits and writes no leading zeros; another spelling of the
/// same number would be a second name for one pane.
fn tmux_number(text: &str, sigil: char) -> Option<u32> {
    let digits = text.strip_prefix(sigil)?;
    let canonical = digits == "0" || !digits.starts_with('0');
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if canonical && plain { digits.parse().ok() } else { None }
}

/// Writes a session name as one component of a reference or a URL path: all
/// but RFC 3986's unreserved characters become `%XX`.
#[must_use]
pub fn encode_session(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(hex_digit(byte >> 4));
            encoded.push(hex_digit(byte & 0x0f));
        }
    }
    encoded
}

const fn hex_digit(value: u8) -> char {
    (match value {
        0..=9 => b'0' + value,
        _ => b'A' + value - 10,
    }) as char
}

/// Reads a session name from its component. RFC 3986's other path characters
/// may also stand there literally; anything else has to be encoded.
pub fn decode_session(encoded: &str) -> Result<String, ReferenceError> {
    if encoded.is_empty() {
        return Err(ReferenceError::SessionEmpty);
    }
    let decoded = decode_percent(encoded.as_bytes(), is_path_byte)?;
    if decoded.len() > SESSION_NAME_BYTES_MAX {
        return Err(ReferenceError::SessionTooLong);
    }
    String::from_utf8(decoded).map_err(|_| ReferenceError::Encoding)
}

fn decode_percent(text: &[u8], literal: fn(u8) -> bool) -> Result<Vec<u8>, ReferenceError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        let value = if byte == b'%' {
            let high = bytes.next().and_then(hex_value).ok_or(ReferenceError::Encoding)?;
            let low = bytes.next().and_then(hex_value).ok_or(ReferenceError::Encoding)?;
            high << 4 | low
        } else if literal(byte) {
            byte
        } else {
            return Err(ReferenceError::Encoding);
        };
        decoded.push(value);
    }
    Ok(decoded)
}

/// RFC 3986's `pchar`, without the percent sign.
const fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
        )
}

pub(crate) const fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(id) => write!(f, "runtime:{id}"),
            Self::Pane(pane) => pane.fmt(f),
        }
    }
}

impl fmt::Display for PaneReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = encode_session(&self.session_name);
        write!(f, "pane:{}/{session}/{}/{}", self.target, self.window_id, self.pane_id)
    }
}

impl fmt::Display for TargetSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.target, encode_session(&self.session_name))
    }
}

impl fmt::Display for RuntimeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for WindowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

impl fmt::Display for PaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

impl Serialize for TargetSession {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TargetSession {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for TargetSession {
    fn schema_name() -> Cow<'static, str> {
        "TargetSession".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A session of a target: `<target>/<session-enc>`.",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Reference, ReferenceError> {
        text.parse()
    }

    fn pane(session_name: &str) -> PaneReference {
        PaneReference {
            target: "local".parse().unwrap(),
            session_name: session_name.to_owned(),
            window_id: WindowId(3),
            pane_id: PaneId(12),
        }
    }

    #[test]
    fn a_runtime_reference_keeps_its_id() {
        let id = "0123456789abcdef";
        let parsed = parse(&format!("runtime:{id}")).unwrap();
        assert_eq!(parsed, Reference::Runtime(RuntimeId(id.to_owned())));
        assert_eq!(parsed.to_string(), format!("runtime:{id}"));
    }

    #[test]
    fn runtime_ids_are_bounded_in_length_and_alphabet() {
        for good in ["a".repeat(16), "a".repeat(128), "A.b_c:d-0123456789".to_owned()] {
            assert!(parse(&format!("runtime:{good}")).is_ok(), "{good}");
        }
        for bad in ["".to_owned(), "a".repeat(15), "a".repeat(129), "a b".repeat(8), "ä".repeat(16)]
        {
            assert_eq!(parse(&format!("runtime:{bad}")), Err(ReferenceError::RuntimeId), "{bad}");
        }
    }

    #[test]
    fn tc_024_odd_session_names_round_trip_in_references() {
        for name in
            ["a/b", "100%", "two words", "%41", "naïve", "日本語", "\t\u{7f}\n", "a:b.c", "~"]
        {
            let written = pane(name).to_string();
            assert_eq!(parse(&written), Ok(Reference::Pane(pane(name))), "{written}");
        }
        assert_eq!(pane("a/b c").to_string(), "pane:local/a%2Fb%20c/@3/%12");
    }

    #[test]
    fn tc_024_odd_session_names_round_trip_in_target_sessions() {
        let session =
            TargetSession { target: "local".parse().unwrap(), session_name: "a/b %".to_owned() };
        assert_eq!(session.to_string(), "local/a%2Fb%20%25");
        assert_eq!("local/a%2Fb%20%25".parse(), Ok(session));
    }

    #[test]
    fn the_percent_sign_of_a_pane_id_is_not_an_encoding() {
        let parsed = parse("pane:local/%2541/@3/%41").unwrap();
        let Reference::Pane(parsed) = parsed else { panic!("a pane was named") };
        assert_eq!(parsed.session_name, "%41");
        assert_eq!(parsed.pane_id, PaneId(41));
    }

    #[test]
    fn a_session_of_a_thousand_wide_characters_fits() {
        let name = "\u{1F980}".repeat(1_000);
        let written = pane(&name).to_string();
        assert_eq!(parse(&written), Ok(Reference::Pane(pane(&name))));
    }

    #[test]
    fn a_malformed_reference_says_what_is_wrong() {
        let long_session = format!("pane:local/{}/@1/%1", "a".repeat(SESSION_NAME_BYTES_MAX + 1));
        let long = format!("pane:local/{}/@1/%1", "a".repeat(REFERENCE_BYTES_MAX));
        for (text, error) in [
            ("", ReferenceError::Prefix),
            ("%12", ReferenceError::Prefix),
            ("Pane:local/s/@1/%1", ReferenceError::Prefix),
            ("pane:", ReferenceError::PaneComponents),
            ("pane:local/s/@1", ReferenceError::PaneComponents),
            ("pane:local/a/b/@1/%1", ReferenceError::PaneComponents),
            ("pane:/s/@1/%1", ReferenceError::Target(TargetNameError::Empty)),
            ("pane:lo cal/s/@1/%1", ReferenceError::Target(TargetNameError::Character)),
            ("pane:local//@1/%1", ReferenceError::SessionEmpty),
            ("pane:local/s/1/%1", ReferenceError::WindowId),
            ("pane:local/s/@/%1", ReferenceError::WindowId),
            ("pane:local/s/@01/%1", ReferenceError::WindowId),
            ("pane:local/s/@-1/%1", ReferenceError::WindowId),
            ("pane:local/s/@1/1", ReferenceError::PaneId),
            ("pane:local/s/@1/%4294967296", ReferenceError::PaneId),
            ("pane:local/s/@1/%1 ", ReferenceError::PaneId),
            (long_session.as_str(), ReferenceError::SessionTooLong),
            (long.as_str(), ReferenceError::TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
            assert_eq!(error.code(), ErrorCode::RefInvalid);
        }
    }

    #[test]
    fn a_bad_encoding_has_a_code_of_its_own() {
        for session in ["%", "%4", "%zz", "a%2", "%ff", "%C3", "two words", "naïve", "a\"b", "%+1"]
        {
            let error = parse(&format!("pane:local/{session}/@1/%1")).unwrap_err();
            assert_eq!(error, ReferenceError::Encoding, "{session}");
            assert_eq!(error.code(), ErrorCode::RefInvalidEncoding);
        }
    }

    proptest! {
        #[test]
        fn any_session_name_round_trips(name in ".{1,200}") {
            let written = pane(&name).to_string();
            prop_assert_eq!(parse(&written), Ok(Reference::Pane(pane(&name))));
        }

        #[test]
        fn parsing_never_panics_and_what_it_accepts_is_stable(text in ".{0,80}") {
            if let Ok(reference) = parse(&text) {
                prop_assert_eq!(parse(&reference.to_string()), Ok(reference));
            }
        }
    }
}
