//! The adapters that are there, one for each agent.

use std::fmt;

use serde_json::Value;

use crate::adapter::{Adapter, Report, Version};
use crate::program::Program;
use crate::{claude, codex, copilot, cursor, gemini, opencode, vocabulary};

/// Why an adapter is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The agent has an adapter already.
    Taken { agent: String, by: String },
    /// It was made for another contract.
    OtherContract { name: String, version: Version },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { agent, by } => {
                write!(f, "agent `{agent}` has the adapter `{by}` already")
            }
            Self::OtherContract { name, version } => write!(
                f,
                "adapter `{name}` was made for {version} of the contract, this is {}",
                crate::adapter::CONTRACT
            ),
        }
    }
}

impl std::error::Error for Refused {}

/// All adapters, in the order in which they are asked.
#[derive(Default)]
pub struct Registry {
    adapters: Vec<Box<dyn Adapter>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(Adapter::name)).finish()
    }
}

impl Registry {
    pub fn empty() -> Self {
        Self::default()
    }

    /// The adapters that are part of the program.
    pub fn built_in() -> Self {
        let adapters: Vec<Box<dyn Adapter>> = vec![
            Box::new(claude::Claude),
            Box::new(codex::Codex),
            Box::new(gemini::Gemini),
            Box::new(copilot::Copilot),
            Box::new(cursor::Cursor),
            Box::new(opencode::Opencode),
        ];
        Self { adapters }
    }

    pub fn register(&mut self, adapter: Box<dyn Adapter>) -> Result<(), Refused> {
        if !adapter.version().is_compatible() {
            let name = adapter.name().to_owned();
            return Err(Refused::OtherContract { name, version: adapter.version() });
        }
        if let Some(known) = self.get(adapter.agent()) {
            let (agent, by) = (known.agent().to_owned(), known.name().to_owned());
            return Err(Refused::Taken { agent, by });
        }
        self.adapters.push(adapter);
        Ok(())
    }

    pub fn get(&self, agent: &str) -> Option<&dyn Adapter> {
        self.iter().find(|adapter| adapter.agent() == agent)
    }

    pub fn iter(&self) -> impl Iterator<Item = &dyn Adapter> {
        self.adapters.iter().map(AsRef::as_ref)
    }

    /// What an event means, by the agent's adapter or, if it has none, by the usual words alone.
    pub fn hear(&self, agent: &str, event: &str, payload: &Value) -> Report {
        let adapter = self.get(agent);
        adapter.map_or_else(|| vocabulary::report(event), |it| it.hears(event, payload))
    }

    /// The adapter whose agent runs in a process.
    pub fn recognise(&self, program: &Program<'_>) -> Option<&dyn Adapter> {
        self.iter().find(|adapter| adapter.recognises(program))
    }
}
