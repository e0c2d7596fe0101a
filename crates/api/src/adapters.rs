//! Adapters: `GET /v1/adapters`, and turning one on or off.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::query::{self, Parameter, ParameterKind, Query, QueryError};
use crate::timestamp::Timestamp;
use crate::words::SchemaVersion;

/// The adapters, and the descriptions that are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterList {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The journal's sequence at which it was read.
    pub as_of: u64,
    /// What was asked for.
    pub filters: AdapterFilters,
    /// How many are listed, and how many of them are enabled.
    pub summary: AdapterSummary,
    /// The folder in which the user describes further agents.
    pub folder: String,
    /// The adapters, in the order in which they are asked.
    pub items: Vec<AdapterItem>,
    /// The descriptions in that folder that were left out.
    pub problems: Vec<AdapterProblem>,
}

/// Which adapters are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterFilters {
    /// Only those that are enabled, or only those that are not; null for all.
    pub enabled: Option<bool>,
}

/// How many adapters there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterSummary {
    /// All that are listed.
    pub total: u64,
    /// Those of them that are enabled.
    pub enabled: u64,
}

/// The answer about one adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterAnswer {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The journal's sequence at which it was read.
    pub as_of: u64,
    /// The adapter.
    pub adapter: AdapterItem,
}

/// What an adapter is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterIdentity {
    /// Its name.
    pub adapter: String,
}

/// One adapter: what is known of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterItem {
    /// What it is known by.
    pub identity: AdapterIdentity,
    /// Its name.
    pub name: String,
    /// The agent that it is for.
    pub agent_type: String,
    /// The version of the contract that it was made for.
    pub contract_version: String,
    /// Whether this program keeps that contract.
    pub is_compatible: bool,
    /// Whether it is in use.
    pub enabled: bool,
    /// Where it comes from.
    pub origin: AdapterOrigin,
    /// The file that describes it; null for one that is built in.
    pub path: Option<String>,
    /// What it can learn of its agent.
    pub capabilities: AdapterCapabilities,
    /// The versions of the agent whose screens were recorded; others count less.
    pub covers: Vec<String>,
    /// When somebody turned it on or off last; null if nobody ever did.
    pub updated_at: Option<Timestamp>,
}

words! {
    /// Where an adapter comes from.
    pub enum AdapterOrigin {
        /// It is built in.
        BuiltIn = "built_in",
        /// A file of the user's describes it.
        File = "file",
    }
}

/// What an adapter can learn of its agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the contract, each its own")]
pub struct AdapterCapabilities {
    /// The agent reports by itself.
    pub event_driven: bool,
    /// Some of its states show only when somebody looks.
    pub polling_required: bool,
    /// It tells when a permission is asked for.
    pub supports_waiting_approval: bool,
    /// It tells when an input is asked for.
    pub supports_waiting_input: bool,
    /// It tells when a turn is done.
    pub supports_completed: bool,
}

/// A description of an agent that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterProblem {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
}

/// Which adapters to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdaptersQuery {
    /// Only those that are enabled, or only those that are not.
    pub enabled: Option<bool>,
}

impl Query for AdaptersQuery {
    fn parameters() -> Vec<Parameter> {
        let about = "Only those that are enabled, or only those that are not.";
        vec![Parameter::one("enabled", ParameterKind::Flag, about)]
    }

    fn set(&mut self, name: &'static str, value: &str) -> Result<(), QueryError> {
        self.enabled = Some(query::flag(name, value)?);
        Ok(())
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        self.enabled.map(|enabled| ("enabled", enabled.to_string())).into_iter().collect()
    }
}
