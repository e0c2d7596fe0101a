//! What a list or a watch stream is narrowed to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::{AGENT_TYPE_BYTES_MAX, SESSION_NAME_BYTES_MAX};
use crate::query::{self, Parameter, ParameterKind, QueryError};
use crate::reference::TargetSession;
use crate::target_name::TargetName;
use crate::words::{DisplayCategory, State};

/// What an answer was narrowed to. Answers repeat the filters of the request;
/// an empty list or a null narrows nothing.
///
/// Filters of different names all have to fit; of several values of one, any.
/// Windows and sessions fit when one of their panes does, and are counted
/// whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Filters {
    /// On these targets only; all of them if none is named.
    pub target: Vec<TargetName>,
    /// Whether all targets were asked for explicitly.
    pub all_targets: bool,
    /// In this session of this target only: `<target>/<session-enc>`.
    pub target_session: Option<TargetSession>,
    /// In sessions of exactly this name only, on whichever target.
    pub session: Option<String>,
    /// In these states only.
    pub state: Vec<State>,
    /// Running these agents only; `none` stands for panes without one.
    pub agent: Vec<String>,
    /// In these drawers only.
    pub category: Vec<DisplayCategory>,
    /// Only those that do, or do not, need somebody.
    pub needs_action: Option<bool>,
}

impl Filters {
    /// The keys by which a query string names filters.
    pub const PARAMETERS: &'static [Parameter] = &[
        Parameter::several("target", ParameterKind::Text, "On these targets only."),
        Parameter::one("all_targets", ParameterKind::Flag, "On all targets, which is the default."),
        Parameter::one(
            "target_session",
            ParameterKind::Text,
            "In this session of this target only: `<target>/<session-enc>`.",
        ),
        Parameter::one("session", ParameterKind::Text, "In sessions of exactly this name only."),
        Parameter::several("state", ParameterKind::Words(State::WORDS), "In these states only."),
        Parameter::several(
            "agent",
            ParameterKind::Text,
            "Running these agents only; `none` stands for panes without one.",
        ),
        Parameter::several(
            "category",
            ParameterKind::Words(DisplayCategory::WORDS),
            "In these drawers only.",
        ),
        Parameter::one(
            "needs_action",
            ParameterKind::Flag,
            "Only those that do, or do not, need somebody.",
        ),
    ];

    pub(crate) fn set(&mut self, name: &'static str, value: &str) -> Result<(), QueryError> {
        match name {
            "target" => self.target.push(query::word(name, value)?),
            "all_targets" => self.all_targets = query::flag(name, value)?,
            "target_session" => {
                let parsed = value.parse();
                let parsed = parsed.map_err(|error| QueryError::Reference { name, error })?;
                self.target_session = Some(parsed);
            }
            "session" => self.session = Some(query::text(name, value, SESSION_NAME_BYTES_MAX)?),
            "state" => self.state.push(query::word(name, value)?),
            "agent" => self.agent.push(query::text(name, value, AGENT_TYPE_BYTES_MAX)?),
            "category" => self.category.push(query::word(name, value)?),
            "needs_action" => self.needs_action = Some(query::flag(name, value)?),
            _ => return Err(QueryError::Unknown { name: name.to_owned(), nearest: None }),
        }
        Ok(())
    }

    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs: Vec<(&'static str, String)> = Vec::new();
        pairs.extend(self.target.iter().map(|it| ("target", it.to_string())));
        pairs.extend(self.all_targets.then(|| ("all_targets", "true".to_owned())));
        pairs.extend(self.target_session.iter().map(|it| ("target_session", it.to_string())));
        pairs.extend(self.session.iter().map(|it| ("session", it.clone())));
        pairs.extend(self.state.iter().map(|it| ("state", it.to_string())));
        pairs.extend(self.agent.iter().map(|it| ("agent", it.clone())));
        pairs.extend(self.category.iter().map(|it| ("category", it.to_string())));
        pairs.extend(self.needs_action.iter().map(|it| ("needs_action", it.to_string())));
        pairs
    }

    pub(crate) fn check(&self) -> Result<(), QueryError> {
        if self.all_targets && !self.target.is_empty() {
            return Err(QueryError::Conflict { first: "target", second: "all_targets" });
        }
        if self.all_targets && self.target_session.is_some() {
            return Err(QueryError::Conflict { first: "target_session", second: "all_targets" });
        }
        Ok(())
    }
}
