//! Sessions: `GET /v1/sessions`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::list::{List, ListQuery};
use crate::query::{self, Parameter, ParameterKind, Query, QueryError};
use crate::target_name::TargetName;
use crate::words::{DisplayCategory, Scope, State};

/// The answer of the sessions' list.
pub type SessionList = List<SessionItem>;

/// What a session is known by.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct SessionIdentity {
    /// The target's name; null where sessions of several targets are merged.
    pub target: Option<TargetName>,
    /// tmux's id of the session, such as `$1`; null where sessions are merged.
    pub session_id: Option<String>,
    /// The session's name.
    pub session_name: String,
}

/// One session, or all sessions of one name, with what goes on in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionItem {
    /// What it is known by.
    pub identity: SessionIdentity,
    /// How many clients of the user's are attached.
    pub attached: u64,
    /// The strongest state of its panes.
    pub top_state: State,
    /// The most urgent drawer of its panes.
    pub top_category: DisplayCategory,
    /// How many windows it has.
    pub total_windows: u64,
    /// How many panes it has.
    pub total_panes: u64,
    /// How many of its panes are in each state.
    pub by_state: BTreeMap<State, u64>,
    /// How many of its panes run each agent; `none` for those without one.
    pub by_agent: BTreeMap<String, u64>,
    /// How many of its panes are in each drawer.
    pub by_category: BTreeMap<DisplayCategory, u64>,
    /// The same for each target: one entry, or several where sessions are
    /// merged by name.
    pub targets: Vec<SessionTarget>,
    /// Its agents summed up, if the query asked `agent_summary`; else null.
    pub agents: Option<Vec<AgentSummary>>,
}

/// What one target contributes to a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionTarget {
    /// The target's name.
    pub target: TargetName,
    /// tmux's id of the session there.
    pub session_id: String,
    /// How many clients of the user's are attached there.
    pub attached: u64,
    /// The strongest state of its panes there.
    pub top_state: State,
    /// The most urgent drawer of its panes there.
    pub top_category: DisplayCategory,
    /// How many panes it has there.
    pub total_panes: u64,
    /// How many of them are in each state.
    pub by_state: BTreeMap<State, u64>,
    /// How many of them are in each drawer.
    pub by_category: BTreeMap<DisplayCategory, u64>,
}

/// One kind of agent in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentSummary {
    /// The agent's name; `none` for panes without one.
    pub agent_type: String,
    /// How many panes run it.
    pub total: u64,
    /// The strongest state among them.
    pub top_state: State,
    /// How many of them are in each state.
    pub by_state: BTreeMap<State, u64>,
}

words! {
    /// How sessions are grouped.
    pub enum GroupBy {
        /// One item for each session of each target.
        TargetSession = "target-session",
        /// One item for all sessions of one name, whatever the target.
        SessionName = "session-name",
    }
}

/// The query of the sessions' list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionsQuery {
    /// What every list understands.
    pub list: ListQuery,
    /// Whether each session sums up its agents.
    pub agent_summary: bool,
    /// How sessions are grouped; by target and session if not given.
    pub group_by: Option<GroupBy>,
}

impl Query for SessionsQuery {
    fn parameters() -> Vec<Parameter> {
        let mut parameters = ListQuery::parameters_for(Scope::Sessions);
        parameters.push(Parameter::one(
            "agent_summary",
            ParameterKind::Flag,
            "Sum up each session's agents.",
        ));
        parameters.push(Parameter::one(
            "group_by",
            ParameterKind::Words(GroupBy::WORDS),
            "How sessions are grouped; `target-session` is the default.",
        ));
        parameters
    }

    fn set(&mut self, name: &'static str, value: &str) -> Result<(), QueryError> {
        match name {
            "agent_summary" => self.agent_summary = query::flag(name, value)?,
            "group_by" => self.group_by = Some(query::word(name, value)?),
            _ => return self.list.set_for(Scope::Sessions, name, value),
        }
        Ok(())
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = self.list.pairs();
        pairs.extend(self.agent_summary.then(|| ("agent_summary", "true".to_owned())));
        pairs.extend(self.group_by.iter().map(|it| ("group_by", it.to_string())));
        pairs
    }

    fn check(&self) -> Result<(), QueryError> {
        self.list.check_for(Scope::Sessions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sessions_query_has_keys_of_its_own() {
        let query = SessionsQuery::parse("agent_summary=1&group_by=session-name").unwrap();
        assert_eq!(query.group_by, Some(GroupBy::SessionName));
        assert_eq!(SessionsQuery::parse(&query.to_query_string()), Ok(query));
        assert!(SessionsQuery::parse("group_by=target").is_err());
    }
}
