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
//! | `claude` | the agent of that name |
//! | `3f9a` | the runtime whose id begins so |
//!
//! What fits several forms means whatever fits any of them. None takes precedence, so that a new
//! agent never takes a name away from a runtime that was meant; names of sessions and windows never
//! stand alone, only with their colon.
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
    /// An agent's name, or the beginning of a runtime's id.
    Word(String),
}

/// `session:window.pane`, as tmux writes it.
///
/// Names may hold `:` and `.` themselves, so where a part ends shows only beside the names that
/// there are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place(String);

/// A pane, by its place within a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spot {
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

/// A longer text is not repeated in an error.
const SHOWN_BYTES_MAX: usize = 200;

/// Why a text selects nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It begins like an exact reference and is none.
    #[error(transparent)]
    Reference(ReferenceError),
    /// None of the forms.
    #[error(
        "a pane is named as %12, as session:window.pane, by its agent's name, by the first \
         characters of its runtime id, or by a full reference"
    )]
    Form,
    /// Too few characters of a runtime id.
    #[error(
        "the beginning of a runtime id has at least {RUNTIME_PREFIX_BYTES_MIN} characters, and a \
         pane id begins with `%`"
    )]
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

    /// The error for whoever typed `text`, which is repeated unless it is too long to be read.
    #[must_use]
    pub fn about(self, text: &str) -> String {
        if text.len() > SHOWN_BYTES_MAX {
            return self.to_string();
        }
        format!("`{text}` names no pane: {self}")
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
        // No id of a pane has a colon, and names of sessions may begin with any character.
        if text.contains(':') {
            return Place::parse(text).map(Self::Place).ok_or(SelectorError::Form);
        }
        if text.starts_with('%') {
            return text.parse().map(Self::Pane).map_err(SelectorError::Reference);
        }
        if text.is_empty() || !text.bytes().all(is_runtime_id_byte) {
            return Err(SelectorError::Form);
        }
        if text.len() > RUNTIME_ID_BYTES_MAX {
            return Err(SelectorError::Reference(ReferenceError::RuntimeId));
        }
        Ok(Self::Word(text.to_owned()))
    }
}

/// A word as the beginning of a runtime's id, if it is long enough for one.
pub fn runtime_prefix(word: &str) -> Result<&str, SelectorError> {
    if word.len() < RUNTIME_PREFIX_BYTES_MIN {
        return Err(SelectorError::PrefixTooShort);
    }
    Ok(word)
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let mut ends = text.match_indices(':').map(|(at, _)| at).filter(|&at| at > 0);
        let names_something = |at: usize| spots(&text[at + 1..]).next().is_some();
        ends.any(names_something).then(|| Self(text.to_owned()))
    }

    /// What it may mean within the session of that name: nothing if it speaks of another.
    pub fn within(&self, session_name: &str) -> impl Iterator<Item = Spot> {
        let rest = self.0.strip_prefix(session_name).and_then(|rest| rest.strip_prefix(':'));
        rest.filter(|_| !session_name.is_empty()).into_iter().flat_map(spots)
    }
}

/// What stands behind a session's name: a window and a pane of it, or a window alone, whose name
/// may hold a dot.
fn spots(text: &str) -> impl Iterator<Item = Spot> {
    let split = text.rsplit_once('.').and_then(|(window, pane)| {
        Some(Spot { window: parse_window(window)?, pane: Some(parse_pane(pane)?) })
    });
    let whole = parse_window(text).map(|window| Spot { window, pane: None });
    split.into_iter().chain(whole)
}

fn parse_window(text: &str) -> Option<WindowSelector> {
    if text.is_empty() {
        return None;
    }
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
            Self::Word(word) => f.pad(word),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Selector, SelectorError> {
        text.parse()
    }

    /// What a place means within a session.
    fn within(text: &str, session_name: &str) -> Vec<Spot> {
        match parse(text) {
            Ok(Selector::Place(place)) => place.within(session_name).collect(),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn spot(window: WindowSelector, pane: Option<PaneSelector>) -> Spot {
        Spot { window, pane }
    }

    fn name(text: &str) -> WindowSelector {
        WindowSelector::Name(text.to_owned())
    }

    #[test]
    fn every_form_of_the_table_is_understood() {
        assert_eq!(parse("%12"), Ok(Selector::Pane(PaneId(12))));
        let two = WindowSelector::Index(2);
        assert_eq!(within("work:2", "work"), [spot(two.clone(), None)]);
        let first = Some(PaneSelector::Index(1));
        assert_eq!(within("work:2.1", "work"), [spot(two, first), spot(name("2.1"), None)]);
        let (window, pane) = (WindowSelector::Id(WindowId(3)), Some(PaneSelector::Id(PaneId(12))));
        assert_eq!(within("work:@3.%12", "work"), [spot(window, pane)]);
        let zeroth = Some(PaneSelector::Index(0));
        assert_eq!(within("work:build.0", "work")[0], spot(name("build"), zeroth));
        assert_eq!(within("two words:v1.rs", "two words"), [spot(name("v1.rs"), None)]);
        assert_eq!(parse("3f9a"), Ok(Selector::Word("3f9a".to_owned())));
        assert_eq!(runtime_prefix("3f9a"), Ok("3f9a"));
        let exact = "runtime:0123456789abcdef";
        assert_eq!(parse(exact), Ok(Selector::Exact(exact.parse().unwrap())));
    }

    #[test]
    fn a_name_may_hold_what_separates_names() {
        assert_eq!(within("a:b:1", "a"), [spot(name("b:1"), None)]);
        assert_eq!(within("a:b:1", "a:b"), [spot(WindowSelector::Index(1), None)]);
        assert_eq!(within("a.b:c.d.1", "a.b")[0], spot(name("c.d"), Some(PaneSelector::Index(1))));
        for session_name in ["", "a:b:1", "a:b:", "b", "A"] {
            assert_eq!(within("a:b:1", session_name), [], "{session_name}");
        }
    }

    #[test]
    fn a_session_named_like_an_id_is_a_session() {
        let zeroth = spot(WindowSelector::Index(0), Some(PaneSelector::Index(0)));
        for session_name in ["%0", "%", "@3", "$1"] {
            assert_eq!(within(&format!("{session_name}:0.0"), session_name)[0], zeroth);
        }
    }

    #[test]
    fn what_fits_no_form_is_refused_with_a_reason() {
        for text in ["", "two words", ":1", "work:", "work:@x", "naïve", "a/b"] {
            assert_eq!(parse(text), Err(SelectorError::Form), "{text}");
        }
        assert_eq!(runtime_prefix("3f9"), Err(SelectorError::PrefixTooShort));
        assert_eq!(parse("%x"), Err(SelectorError::Reference(ReferenceError::PaneId)));
        let bad_encoding = parse("pane:local/%/@1/%1").unwrap_err();
        assert_eq!(bad_encoding.code(), ErrorCode::RefInvalidEncoding);
    }

    #[test]
    fn a_selector_is_written_as_it_was_typed() {
        for text in ["%12", "work:2", "work:02.1", "work:@3.%12", "work:v1.rs", "3f9a"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }
}
