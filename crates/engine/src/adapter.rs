//! Which adapters somebody turned off, and what follows for the panes of their agents.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::event::Event;
use crate::ids::AgentType;
use crate::input::{Decision, Input, Refusal};
use crate::limits;
use crate::pane::PaneRow;
use crate::time::{Now, WallMs};

/// An adapter that somebody turned off, or on again. One without a row is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterRow {
    pub name: String,
    /// The agent it is for; no two rows are for the same.
    pub agent: AgentType,
    /// The version of the contract that it was made for.
    pub version: String,
    /// What it can do, in the words of the contract.
    pub capabilities: BTreeSet<String>,
    pub enabled: bool,
    pub updated_at: WallMs,
}

impl Engine {
    pub fn adapters(&self) -> impl Iterator<Item = &AdapterRow> {
        self.adapters.values()
    }

    /// Whether somebody turned the adapter of this agent off.
    pub fn is_disabled(&self, agent: &AgentType) -> bool {
        self.adapters.get(agent).is_some_and(|row| !row.enabled)
    }

    /// Whether what is said and seen in a pane may be interpreted.
    pub(crate) fn is_supported(&self, row: &PaneRow) -> bool {
        let agent = row.runtime.as_ref().and_then(|runtime| runtime.agent.as_ref());
        agent.is_none_or(|agent| !self.is_disabled(agent))
    }

    /// Turns an adapter on or off. The states of its panes follow in the same transaction.
    pub(crate) fn set_adapter(&self, now: Now, wanted: &AdapterRow) -> Decision {
        let known = self.adapters.get(&wanted.agent);
        if known.is_none_or(|row| row.enabled) == wanted.enabled {
            return Decision::default();
        }
        if known.is_none() && self.adapters.len() >= limits::ADAPTERS_MAX {
            return Decision::refuse(Refusal::TooManyAdapters);
        }
        let row = AdapterRow { updated_at: now.wall, ..wanted.clone() };
        Decision {
            events: vec![Event::AdapterChanged(row)],
            then: vec![Input::Ticked],
            ..Decision::default()
        }
    }
}
