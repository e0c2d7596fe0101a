//! Who may what: tokens of those who are let in beside the user's own programs, who was turned
//! away, and what an agent does to panes.

use serde::{Deserialize, Serialize};

use crate::action::{Act, ActionRow, Failure};
use crate::engine::Engine;
use crate::event::Event;
use crate::ids::{RuntimeId, TokenId};
use crate::input::{Decision, Refusal};
use crate::limits;
use crate::time::{Now, WallMs};
use crate::words::{ActionProblem, FromAgents, Phase, TokenScope};

/// A token: what a client over TCP shows. Its secret is known to its holder alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    pub token: TokenId,
    /// No two tokens have the same.
    pub name: String,
    pub scope: TokenScope,
    /// The SHA-256 of the secret, in hexadecimal. The secret is as long and as random, so nobody
    /// comes from one to the other.
    pub hash: String,
    pub created_at: WallMs,
    pub expires_at: WallMs,
    /// To [`limits::TOKEN_USE_MS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<WallMs>,
    /// A token that was taken back is in the journal only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<WallMs>,
}

impl TokenRow {
    pub fn is_expired(&self, now: WallMs) -> bool {
        self.expires_at <= now
    }

    pub fn is_revoked(&self) -> bool {
        self.revoked_at.is_some()
    }

    /// Whether it is time to note that it is used.
    pub fn is_news(&self, now: WallMs) -> bool {
        let since = |last: WallMs| now.0.saturating_sub(last.0);
        // A clock that was set back makes its last use one of the future.
        self.last_used_at.is_none_or(|last| !(0..limits::TOKEN_USE_MS).contains(&since(last)))
    }
}

/// Somebody asked for what they may not have. Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// What was asked for, by the name of the operation.
    pub operation: String,
    /// The code of the error that they were told.
    pub code: String,
    /// The runtime of the agent below which they run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeId>,
    /// How many more were turned away since the last that is in the journal.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unrecorded: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The one key that an agent may press for another: it hands over a prompt. Others answer dialogs and
/// change what an agent may do unasked.
const KEY_OF_AGENTS: &str = "Enter";

impl Engine {
    /// Why somebody below an agent does not act so on this pane; nothing for everybody else.
    ///
    /// What is typed into a shell runs as the person whose shell it is, so an agent that types there
    /// is asked for no permission and answers its own approvals.
    pub(crate) fn forbidden(&self, row: &ActionRow) -> Option<(Phase, Failure)> {
        if !row.by.may_be_agent() {
            return None;
        }
        let (text, keys) = match &row.act {
            Act::Send { text, keys, paste: _, busy: _ } => (text.as_ref(), keys.as_slice()),
            Act::KillByKey | Act::KillBySignal { .. } => (None, [].as_slice()),
            // To look changes nothing, and who may answer is decided before there is an action.
            Act::Attach { .. } | Act::ViewOutput { .. } | Act::Respond { .. } => return None,
        };
        let message = match self.settings.from_agents {
            FromAgents::All => return None,
            FromAgents::None => "agents act on no pane",
            FromAgents::Agents if row.snapshot.agent.is_none() => {
                "agents act on panes of agents only, and no agent is known to run in this one"
            }
            FromAgents::Agents if text.is_some_and(|text| text.commands) => {
                "agents give each other prompts, and this begins as a command to the composer"
            }
            FromAgents::Agents if keys.iter().any(|key| key != KEY_OF_AGENTS) => {
                "agents press no key for each other but Enter"
            }
            FromAgents::Agents => return None,
        };
        Some((Phase::Refused, Failure::new(ActionProblem::Forbidden, message)))
    }

    pub fn tokens(&self) -> impl Iterator<Item = &TokenRow> {
        self.tokens.values()
    }

    pub fn token(&self, token: &TokenId) -> Option<&TokenRow> {
        self.tokens.get(token)
    }

    pub(crate) fn create_token(&self, wanted: &TokenRow) -> Decision {
        if self.tokens.values().any(|row| row.name == wanted.name) {
            return Decision::refuse(Refusal::TokenExists(wanted.name.clone()));
        }
        if self.tokens.len() >= limits::TOKENS_MAX {
            return Decision::refuse(Refusal::TooManyTokens);
        }
        changed(wanted.clone())
    }

    /// Takes a token back, by its id or its name.
    pub(crate) fn revoke_token(&self, now: Now, named: &str) -> Decision {
        let is_meant = |row: &&TokenRow| row.token.as_str() == named || row.name == named;
        let Some(row) = self.tokens.values().find(is_meant) else {
            return Decision::refuse(Refusal::TokenUnknown(named.to_owned()));
        };
        changed(TokenRow { revoked_at: Some(now.wall), ..row.clone() })
    }

    /// Notes that a token is used; one that was revoked meanwhile is left as it is.
    pub(crate) fn use_token(&self, now: Now, token: &TokenId) -> Decision {
        match self.tokens.get(token) {
            Some(row) if row.is_news(now.wall) => {
                changed(TokenRow { last_used_at: Some(now.wall), ..row.clone() })
            }
            Some(_) | None => Decision::default(),
        }
    }
}

fn changed(row: TokenRow) -> Decision {
    Decision { events: vec![Event::TokenChanged(Box::new(row))], ..Decision::default() }
}
