//! The name of a target, as a person gives it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::limits::TARGET_NAME_BYTES_MAX;

/// 1 to 64 letters, digits, `.`, `_` and `-`.
///
/// A leading `-` would read as an option on a command line, and `.` and `..`
/// vanish from paths; these are refused too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TargetName(String);

impl TargetName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name itself if it is one, else the nearest text that is.
    ///
    /// Names are checked where they come in. This is for whoever shows what was
    /// stored and has nobody to complain to.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        text.parse().unwrap_or_else(|_| {
            let keep = |c: char| if is_plain(c) { c } else { '_' };
            let rest = text.chars().take(TARGET_NAME_BYTES_MAX - 1).map(keep);
            Self(std::iter::once('_').chain(rest).collect())
        })
    }
}

/// Whether a name may hold the character.
const fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// Why a text names no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetNameError {
    /// Nothing there.
    #[error("the name of a target is not empty")]
    Empty,
    /// Longer than a name may be.
    #[error("the name of a target has at most {TARGET_NAME_BYTES_MAX} characters")]
    TooLong,
    /// A character that does not belong there.
    #[error("the name of a target holds letters, digits, `.`, `_` and `-` only")]
    Character,
    /// A spelling that command lines or paths would take for something else.
    #[error("the name of a target does not begin with `-` and is not `.` or `..`")]
    Reserved,
}

impl FromStr for TargetName {
    type Err = TargetNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(TargetNameError::Empty);
        }
        if text.len() > TARGET_NAME_BYTES_MAX {
            return Err(TargetNameError::TooLong);
        }
        if !text.chars().all(is_plain) {
            return Err(TargetNameError::Character);
        }
        if text.starts_with('-') || text == "." || text == ".." {
            return Err(TargetNameError::Reserved);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for TargetName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for TargetName {
    fn schema_name() -> Cow<'static, str> {
        "TargetName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[A-Za-z0-9._][A-Za-z0-9._-]{0,63}$",
            "not": { "enum": [".", ".."] },
            "description": "The name of a target.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_accepted() {
        let longest = "n".repeat(TARGET_NAME_BYTES_MAX);
        for name in ["local", "build-1", "a.b_c", "_", "...", longest.as_str()] {
            assert_eq!(name.parse::<TargetName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_a_shell_a_path_or_tmux_would_misread_is_refused() {
        let long = "n".repeat(TARGET_NAME_BYTES_MAX + 1);
        for (name, error) in [
            ("", TargetNameError::Empty),
            (long.as_str(), TargetNameError::TooLong),
            ("a/b", TargetNameError::Character),
            ("a b", TargetNameError::Character),
            ("#(id)", TargetNameError::Character),
            ("ä", TargetNameError::Character),
            ("-o", TargetNameError::Reserved),
            (".", TargetNameError::Reserved),
            ("..", TargetNameError::Reserved),
        ] {
            assert_eq!(name.parse::<TargetName>(), Err(error), "{name}");
        }
    }

    #[test]
    fn what_is_shown_is_always_a_name() {
        assert_eq!(TargetName::lossy("build-1").as_str(), "build-1");
        for text in ["", "-o", "..", "a/b c", &"ä".repeat(100)] {
            let shown = TargetName::lossy(text);
            assert_eq!(shown.as_str().parse::<TargetName>(), Ok(shown.clone()), "{text}");
        }
    }
}
