//! tmux's immutable ids: `%5`, `@3`, `$1`.
//!
//! They are the only targets we ever name: a session or window *name* is resolved by prefix when it
//! is gone, and then reaches somebody else. A server never reuses an id, but a new server starts
//! again at zero, so an id means something only together with the server that gave it.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A text that is no tmux id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a tmux {kind} id (expected `{sigil}` and a number): {text:?}")]
pub struct IdError {
    kind: &'static str,
    sigil: char,
    text: String,
}

macro_rules! tmux_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $sigil:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $sigil, self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($sigil).and_then(number).map(Self).ok_or_else(|| IdError {
                    kind: $kind,
                    sigil: $sigil,
                    text: text.chars().take(64).collect(),
                })
            }
        }
    };
}

tmux_id!(
    /// A pane, written `%5`.
    PaneId, "pane", '%'
);
tmux_id!(
    /// A window, written `@3`.
    WindowId, "window", '@'
);
tmux_id!(
    /// A session, written `$1`.
    SessionId, "session", '$'
);

/// Only the one spelling tmux prints: no sign, no blanks, no leading zeros.
fn number(digits: &str) -> Option<u32> {
    let canonical = digits == "0" || !digits.starts_with('0');
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if canonical && plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_written_the_way_tmux_writes_it() {
        assert_eq!(PaneId(5).to_string(), "%5");
        assert_eq!(WindowId(0).to_string(), "@0");
        assert_eq!(SessionId(u32::MAX).to_string(), "$4294967295");
    }

    #[test]
    fn only_the_one_canonical_spelling_is_an_id() {
        for wrong in
            ["", "%", "5", "@5", "%-1", "%+1", "% 1", "%1 ", "%01", "%4294967296", "%1\n", "%१"]
        {
            assert!(wrong.parse::<PaneId>().is_err(), "{wrong:?} was taken for a pane id");
        }
        assert_eq!("%0".parse::<PaneId>(), Ok(PaneId(0)));
    }

    #[test]
    fn the_error_names_the_kind_and_cuts_a_long_text() {
        let error = "x".repeat(10_000).parse::<WindowId>().unwrap_err().to_string();
        assert!(error.contains("window") && error.contains('@'));
        assert!(error.len() < 200);
    }

    proptest! {
        #[test]
        fn every_number_survives_being_written_and_read(number: u32) {
            prop_assert_eq!(PaneId(number).to_string().parse(), Ok(PaneId(number)));
            prop_assert_eq!(WindowId(number).to_string().parse(), Ok(WindowId(number)));
            prop_assert_eq!(SessionId(number).to_string().parse(), Ok(SessionId(number)));
        }
    }
}
