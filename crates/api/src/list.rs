//! The envelope of every list, and the query that asks for one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error_code::ErrorCode;
use crate::filters::Filters;
use crate::health::Warning;
use crate::limits::{PAGE_ITEMS_MAX, PAGE_TOKEN_BYTES_MAX, SORT_KEYS_MAX};
use crate::query::{self, Parameter, ParameterKind, Query, QueryError};
use crate::sort::{Sort, SortKey};
use crate::target_name::TargetName;
use crate::timestamp::Timestamp;
use crate::words::{DisplayCategory, SchemaVersion, Scope, State};

/// The answer of every list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{I}List")]
pub struct List<I> {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The journal's sequence at which it was read; a watch goes on from here.
    pub as_of: u64,
    /// What it was narrowed to.
    pub filters: Filters,
    /// How many there are, over all pages.
    pub summary: Summary,
    /// Whether something is missing: a target that was asked for could not answer, or what is
    /// observed cannot be stored.
    pub partial: bool,
    /// The targets that were asked for.
    pub requested_targets: Vec<TargetName>,
    /// Those of them that answered.
    pub responded_targets: Vec<TargetName>,
    /// What went wrong with the others; empty when nothing did.
    pub target_errors: Vec<TargetError>,
    /// What makes the whole answer doubtful, such as a database that stores nothing.
    pub warnings: Vec<Warning>,
    /// The items of this page.
    pub items: Vec<I>,
    /// Where the next page begins; null on the last one. Opaque.
    pub next_page: Option<String>,
}

/// A target that could not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetError {
    /// Its name.
    pub target: TargetName,
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// What went wrong, for people.
    pub message: String,
}

/// Panes, counted; every word of a closed list is there, also with a zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// How many panes in all.
    pub total: u64,
    /// How many in each state.
    pub by_state: BTreeMap<State, u64>,
    /// How many run each agent; `none` stands for panes without one.
    pub by_agent: BTreeMap<String, u64>,
    /// How many on each target that was asked for.
    pub by_target: BTreeMap<TargetName, u64>,
    /// How many in each drawer.
    pub by_category: BTreeMap<DisplayCategory, u64>,
}

impl Summary {
    /// The count of no panes at all.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            total: 0,
            by_state: State::ALL.iter().map(|state| (*state, 0)).collect(),
            by_agent: BTreeMap::new(),
            by_target: BTreeMap::new(),
            by_category: DisplayCategory::ALL.iter().map(|category| (*category, 0)).collect(),
        }
    }
}

impl Default for Summary {
    fn default() -> Self {
        Self::empty()
    }
}

/// The agent name under which panes without an agent are counted and filtered.
pub const NO_AGENT: &str = "none";

/// What every list understands; the panes' list understands no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// What to narrow the list to.
    pub filters: Filters,
    /// The order, first key first; by location if none is given.
    pub sort: Vec<Sort>,
    /// How many items at most; [`PAGE_ITEMS_MAX`] if not given.
    pub limit: Option<u32>,
    /// Where to go on: the `next_page` of the answer before.
    pub page: Option<String>,
}

impl ListQuery {
    /// The keys of a list of that scope.
    pub(crate) fn parameters_for(scope: Scope) -> Vec<Parameter> {
        let own = [
            Parameter::several(
                "sort",
                ParameterKind::SortKeys(SortKey::words_for(scope)),
                "The order, first key first; a `-` in front reverses a key.",
            ),
            Parameter::one(
                "limit",
                ParameterKind::Number { min: 1, max: PAGE_ITEMS_MAX },
                "How many items at most.",
            ),
            Parameter::one(
                "page",
                ParameterKind::Text,
                "Where to go on: `next_page` of the answer before.",
            ),
        ];
        [Filters::PARAMETERS, &own].concat()
    }

    pub(crate) fn check_for(&self, scope: Scope) -> Result<(), QueryError> {
        self.filters.check()?;
        if self.sort.len() > SORT_KEYS_MAX {
            return Err(QueryError::value("sort", format!("takes at most {SORT_KEYS_MAX} keys")));
        }
        match self.sort.iter().find(|sort| !sort.key.applies_to(scope)) {
            Some(sort) => Err(unsortable(scope, sort.key.as_str())),
            None => Ok(()),
        }
    }

    /// Takes one pair of a list of that scope.
    pub(crate) fn set_for(
        &mut self,
        scope: Scope,
        name: &'static str,
        value: &str,
    ) -> Result<(), QueryError> {
        match name {
            "sort" => self.sort.push(value.parse().map_err(|_| {
                let key: String = value.chars().take(WRONG_KEY_CHARS_MAX).collect();
                unsortable(scope, &key)
            })?),
            "limit" => {
                let limit = value.parse().ok().filter(|it| (1..=PAGE_ITEMS_MAX).contains(it));
                let problem = || format!("takes a number from 1 to {PAGE_ITEMS_MAX}");
                self.limit = Some(limit.ok_or_else(|| QueryError::value(name, problem()))?);
            }
            "page" => self.page = Some(query::text(name, value, PAGE_TOKEN_BYTES_MAX)?),
            _ => return self.filters.set(name, value),
        }
        Ok(())
    }
}

/// Of a key that is none, so much is repeated.
const WRONG_KEY_CHARS_MAX: usize = 80;

fn unsortable(scope: Scope, key: &str) -> QueryError {
    let words = SortKey::words_for(scope).join(", ");
    QueryError::value("sort", format!("{scope} have no `{key}`; they are sorted by {words}"))
}

impl Query for ListQuery {
    fn parameters() -> Vec<Parameter> {
        Self::parameters_for(Scope::Panes)
    }

    fn set(&mut self, name: &'static str, value: &str) -> Result<(), QueryError> {
        self.set_for(Scope::Panes, name, value)
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = self.filters.pairs();
        pairs.extend(self.sort.iter().map(|it| ("sort", it.to_string())));
        pairs.extend(self.limit.iter().map(|it| ("limit", it.to_string())));
        pairs.extend(self.page.iter().map(|it| ("page", it.clone())));
        pairs
    }

    fn check(&self) -> Result<(), QueryError> {
        self.check_for(Scope::Panes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_sorted_only_by_what_its_items_have() {
        assert!(ListQuery::parse("sort=-state_since,location").is_ok());
        let error = ListQuery::parse("sort=total_panes").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("`sort`: panes have no `total_panes`; they are sorted by")
        );
        let unknown = ListQuery::parse("sort=-bogus").unwrap_err().to_string();
        assert!(unknown.contains("no `-bogus`") && !unknown.contains("total_panes,"), "{unknown}");
        assert!(ListQuery::parse("sort=state,state,state,state,state").is_err());
    }
}
