//! Selectors: what a person may type where a reference is expected.
//!
//! | typed | means |
//! | --- | --- |
//! | `runtime:...`, `pane:...` | the exact reference |
//! | `%12` | that pane, on whichever target has it |
//! | `work:2` | the active pane of window 2 of session `work` |
//! | `work:2.1` | pane 1 of window 2 of session `work` |
//! | `work:@3.%12` | the same by tmux's ids |
//! | `work:build.0` | pane 0 of the window named `build` |
//! | `3f9a` | the runtime whose id begins so |
//!
//! Parsing is pure; whether exactly one pane fits is for the daemon to say.

use std::fmt;
use std::str::FromStr;

use crate::error_code::ErrorCode;
use crate::limits::{REFERENCE_BYTES_MAX, RUNTIME_ID_BYTES_MAX, RUNTIME_PREFIX_BYTES_MIN};
use crate::reference::{PaneId, Reference, ReferenceError, WindowId, is_runtime_id_byte};

/// What was typed, understood but not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    /// An exact reference.
    Exact(Reference),
    /// A pane by tmux's id.
    Pane(PaneId),
    /// A pane by its place, as tmux writes it.
    Place(Place),
    /// The beginning of a runtime's id.
    RuntimePrefix(String),
}

/// `session:window.pane`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The session's name, exactly.
    pub session_name: String,
    /// Which of its windows.
    pub window: WindowSelector,
    /// Which pane of it; the active one if none is named.
    pub pane: Option<PaneSelector>,
}

/// One window of a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WindowSelector {
    /// By its place in the session.
    Index(u32),
    /// By tmux's id.
    Id(WindowId),
    /// By its name, exactly.
    Name(String),
}

/// One pane of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaneSelector {
    /// By its place in the window.
    Index(u32),
    /// By tmux's id.
    Id(PaneId),
}

/// Why a text selects nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It begins like an exact reference and is none.
    #[error(transparent)]
    Reference(ReferenceError),
    /// None of the forms.
    #[error(
        "name a pane as %12, as session:window.pane, by the first characters of its runtime id, \
         or by a full reference"
    )]
    Form,
    /// Too few characters of a runtime id.
    #[error("the beginning of a runtime id has at least {RUNTIME_PREFIX_BYTES_MIN} characters")]
    PrefixTooShort,
}

impl SelectorError {
    /// The code under which the API answers this.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Reference(error) => error.code(),
            Self::Form | Self::PrefixTooShort => ErrorCode::RefInvalid,
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > REFERENCE_BYTES_MAX {
            return Err(SelectorError::Reference(ReferenceError::TooLong));
        }
        if text.starts_with("runtime:") || text.starts_with("pane:") {
            return text.parse().map(Self::Exact).map_err(SelectorError::Reference);
        }
        if text.starts_with('%') {
            return text.parse().map(Self::Pane).map_err(SelectorError::Reference);
        }
        if let Some((session, rest)) = text.rsplit_once(':') {
            return parse_place(session, rest).map(Self::Place).ok_or(SelectorError::Form);
        }
        if text.is_empty() || !text.bytes().all(is_runtime_id_byte) {
            return Err(SelectorError::Form);
        }
        if text.len() > RUNTIME_ID_BYTES_MAX {
            return Err(SelectorError::Reference(ReferenceError::RuntimeId));
        }
        if text.len() < RUNTIME_PREFIX_BYTES_MIN {
            return Err(SelectorError::PrefixTooShort);
        }
        Ok(Self::RuntimePrefix(text.to_owned()))
    }
}

/// tmux keeps `:` out of session names, so the last one ends the session.
fn parse_place(session: &str, rest: &str) -> Option<Place> {
    let (window, pane) = match rest.rsplit_once('.').map(|(w, p)| (w, parse_pane(p))) {
        Some((window, Some(pane))) => (window, Some(pane)),
        // A dot that no pane follows belongs to the window's name.
        Some((_, None)) | None => (rest, None),
    };
    if session.is_empty() || window.is_empty() {
        return None;
    }
    Some(Place { session_name: session.to_owned(), window: parse_window(window)?, pane })
}

fn parse_window(text: &str) -> Option<WindowSelector> {
    if text.starts_with('@') {
        return text.parse().ok().map(WindowSelector::Id);
    }
    let index = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok());
    match index {
        Some(Some(index)) => Some(WindowSelector::Index(index)),
        Some(None) | None => Some(WindowSelector::Name(text.to_owned())),
    }
}

fn parse_pane(text: &str) -> Option<PaneSelector> {
    if text.starts_with('%') {
        return text.parse().ok().map(PaneSelector::Id);
    }
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok().map(PaneSelector::Index) } else { None }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(reference) => reference.fmt(f),
            Self::Pane(id) => id.fmt(f),
            Self::Place(place) => place.fmt(f),
            Self::RuntimePrefix(prefix) => f.pad(prefix),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.session_name)?;
        match &self.window {
            WindowSelector::Index(index) => write!(f, "{index}")?,
            WindowSelector::Id(id) => write!(f, "{id}")?,
            WindowSelector::Name(name) => f.write_str(name)?,
        }
        match self.pane {
            Some(PaneSelector::Index(index)) => write!(f, ".{index}"),
            Some(PaneSelector::Id(id)) => write!(f, ".{id}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Selector, SelectorError> {
        text.parse()
    }

    fn place(
        session: &str,
        window: WindowSelector,
        pane: Option<PaneSelector>,
    ) -> Result<Selector, SelectorError> {
        Ok(Selector::Place(Place { session_name: session.to_owned(), window, pane }))
    }

    #[test]
    fn every_form_of_the_table_is_understood() {
        let prefix = |text: &str| Ok(Selector::RuntimePrefix(text.to_owned()));
        let (index, name) = (WindowSelector::Index, |it: &str| WindowSelector::Name(it.to_owned()));
        assert_eq!(parse("%12"), Ok(Selector::Pane(PaneId(12))));
        assert_eq!(parse("work:2"), place("work", index(2), None));
        assert_eq!(parse("work:2.1"), place("work", index(2), Some(PaneSelector::Index(1))));
        let ids = (WindowSelector::Id(WindowId(3)), Some(PaneSelector::Id(PaneId(12))));
        assert_eq!(parse("work:@3.%12"), place("work", ids.0, ids.1));
        assert_eq!(
            parse("work:build.0"),
            place("work", name("build"), Some(PaneSelector::Index(0)))
        );
        assert_eq!(parse("work:v1.rs"), place("work", name("v1.rs"), None));
        assert_eq!(parse("two words:1"), place("two words", index(1), None));
        assert_eq!(parse("3f9a"), prefix("3f9a"));
        let exact = "runtime:0123456789abcdef";
        assert_eq!(parse(exact), Ok(Selector::Exact(exact.parse().unwrap())));
    }

    #[test]
    fn what_fits_no_form_is_refused_with_a_reason() {
        for text in ["", "two words", ":1", "work:", "work:@x", "naïve", "a/b"] {
            assert_eq!(parse(text), Err(SelectorError::Form), "{text}");
        }
        assert_eq!(parse("3f9"), Err(SelectorError::PrefixTooShort));
        assert_eq!(parse("%x"), Err(SelectorError::Reference(ReferenceError::PaneId)));
        let bad_encoding = parse("pane:local/%/@1/%1").unwrap_err();
        assert_eq!(bad_encoding.code(), ErrorCode::RefInvalidEncoding);
    }

    #[test]
    fn a_selector_is_written_as_it_was_typed() {
        for text in ["%12", "work:2", "work:2.1", "work:@3.%12", "work:v1.rs", "3f9a"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }
}
