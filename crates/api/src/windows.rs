//! Windows: `GET /v1/windows`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::list::{List, ListQuery};
use crate::query::{self, Parameter, ParameterKind, Query, QueryError};
use crate::target_name::TargetName;
use crate::words::{DisplayCategory, Scope, State};

/// The answer of the windows' list.
pub type WindowList = List<WindowItem>;

/// What a window is known by.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct WindowIdentity {
    /// The target's name.
    pub target: TargetName,
    /// tmux's id of the session, such as `$1`.
    pub session_id: String,
    /// The session's name.
    pub session_name: String,
    /// tmux's id of the window, such as `@3`.
    pub window_id: String,
}

/// One window with what goes on in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WindowItem {
    /// What it is known by.
    pub identity: WindowIdentity,
    /// Its name.
    pub window_name: String,
    /// Its place in the session.
    pub window_index: u32,
    /// Whether it is the session's current window.
    pub active: bool,
    /// The strongest state of its panes.
    pub top_state: State,
    /// The most urgent drawer of its panes.
    pub top_category: DisplayCategory,
    /// How many of its panes are in each state.
    pub by_state: BTreeMap<State, u64>,
    /// How many of its panes are in each drawer.
    pub by_category: BTreeMap<DisplayCategory, u64>,
    /// How many of its panes wait for somebody.
    pub waiting_count: u64,
    /// In how many of its panes work goes on.
    pub running_count: u64,
    /// How many panes it has.
    pub total_panes: u64,
    /// Its panes, if the query asked `with_agent_status`; else null.
    pub panes: Option<Vec<WindowPane>>,
}

/// One pane of a window, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WindowPane {
    /// tmux's id of the pane, such as `%12`.
    pub pane_id: String,
    /// Its place in the window.
    pub pane_index: u32,
    /// The agent in it, if one was recognised.
    pub agent_type: Option<String>,
    /// Its state.
    pub state: State,
    /// Its drawer.
    pub display_category: DisplayCategory,
}

/// The query of the windows' list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WindowsQuery {
    /// What every list understands.
    pub list: ListQuery,
    /// Whether each window names its panes with their agents and states.
    pub with_agent_status: bool,
}

impl Query for WindowsQuery {
    fn parameters() -> Vec<Parameter> {
        let mut parameters = ListQuery::parameters_for(Scope::Windows);
        parameters.push(Parameter::one(
            "with_agent_status",
            ParameterKind::Flag,
            "Name each window's panes with their agents and states.",
        ));
        parameters
    }

    fn set(&mut self, name: &'static str, value: &str) -> Result<(), QueryError> {
        match name {
            "with_agent_status" => {
                self.with_agent_status = query::flag(name, value)?;
                Ok(())
            }
            _ => self.list.set_for(Scope::Windows, name, value),
        }
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = self.list.pairs();
        pairs.extend(self.with_agent_status.then(|| ("with_agent_status", "true".to_owned())));
        pairs
    }

    fn check(&self) -> Result<(), QueryError> {
        self.list.check_for(Scope::Windows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_windows_query_has_a_key_of_its_own() {
        let query = WindowsQuery::parse("with_agent_status&session=a&sort=-total_panes").unwrap();
        assert!(query.with_agent_status);
        assert_eq!(WindowsQuery::parse(&query.to_query_string()), Ok(query));
        let error = WindowsQuery::parse("sort=agent").unwrap_err();
        let words = "location, state, category, total_panes";
        let expected = format!("`sort`: windows have no `agent`; they are sorted by {words}");
        assert_eq!(error.to_string(), expected);
        assert!(ListQuery::parse("with_agent_status").is_err());
    }
}
