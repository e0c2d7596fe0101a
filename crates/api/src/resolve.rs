//! From what a person typed to one runtime: `GET /v1/resolve`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::REFERENCE_BYTES_MAX;
use crate::panes::{PaneIdentity, PaneItem};
use crate::query::{self, Parameter, ParameterKind, Query, QueryError};
use crate::runtimes::RuntimeItem;
use crate::timestamp::Timestamp;
use crate::words::{SchemaVersion, State};

/// What to resolve. It stays text here: the daemon parses it as a
/// [`crate::selector::Selector`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolveQuery {
    /// A selector as a person types it.
    pub reference: String,
}

impl Query for ResolveQuery {
    fn parameters() -> Vec<Parameter> {
        vec![
            Parameter::one(
                "ref",
                ParameterKind::Text,
                "`%12`, `session:window.pane`, an agent's name, the beginning of a runtime id, or a \
                 full reference.",
            )
            .required(),
        ]
    }

    fn set(&mut self, name: &'static str, value: &str) -> Result<(), QueryError> {
        self.reference = query::text(name, value, REFERENCE_BYTES_MAX)?;
        Ok(())
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        vec![("ref", self.reference.clone())]
    }
}

/// The one thing that fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResolveAnswer {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The journal's sequence at which it was read.
    pub as_of: u64,
    /// The reference as it was given.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The exact reference of the runtime; null for a dead pane.
    pub runtime_ref: Option<String>,
    /// The exact reference of the pane; null if the runtime has ended.
    pub pane_ref: Option<String>,
    /// The pane; null if the runtime has ended.
    pub pane: Option<PaneItem>,
    /// The runtime; null for a dead pane.
    pub runtime: Option<RuntimeItem>,
}

/// The details of `E_REF_AMBIGUOUS`: what fits, in order of location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Candidates {
    /// How many fit.
    pub total: u64,
    /// The first of them.
    pub candidates: Vec<Candidate>,
}

/// One thing that fits a reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// The exact reference that means this one.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Where it is.
    pub identity: PaneIdentity,
    /// The command in its foreground.
    pub current_cmd: String,
    /// The agent in it, if one was recognised.
    pub agent_type: Option<String>,
    /// Its state.
    pub state: State,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_to_be_there_and_keeps_its_spelling() {
        assert_eq!(ResolveQuery::parse(""), Err(QueryError::Missing { name: "ref" }));
        let query = ResolveQuery { reference: "pane:local/a%2Fb/@1/%1".to_owned() };
        assert_eq!(query.to_query_string(), "ref=pane:local/a%252Fb/%401/%251");
        assert_eq!(ResolveQuery::parse(&query.to_query_string()), Ok(query));
    }
}
