//! Tokens: `GET` and `POST /v1/tokens`, and taking one back.
//!
//! A token is what a client over TCP shows. Its secret is in one answer and nowhere else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::FieldError;
use crate::limits::{TOKEN_LIFE_MS_MAX, TOKEN_NAME_BYTES_MAX};
use crate::timestamp::Timestamp;
use crate::words::SchemaVersion;

words! {
    /// What a token is good for; each has what the one before has.
    pub enum TokenScope {
        /// To see what there is and what happened.
        Read = "read",
        /// To act on panes too, and to answer what agents ask.
        Act = "act",
        /// To turn adapters on and off, remove targets, and list and revoke tokens too.
        Admin = "admin",
    }
}

impl TokenScope {
    /// Whether it is good for more than looking.
    #[must_use]
    pub const fn allows_acts(self) -> bool {
        match self {
            Self::Act | Self::Admin => true,
            Self::Read => false,
        }
    }
}

/// How the secret of a token begins, for whoever looks for lost ones.
pub const TOKEN_PREFIX: &str = "qdt_";

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenCreate {
    /// What it is called: 1 to 64 letters, digits, `.`, `_` and `-`, beginning with a letter or a
    /// digit. What is done with it is recorded under this name.
    pub name: String,
    /// What it is good for.
    pub scope: TokenScope,
    /// How long it counts; 30 days if absent, 366 at most.
    #[serde(default)]
    pub expires_in_ms: Option<u64>,
}

impl TokenCreate {
    /// Looks at what the types alone cannot say.
    pub fn check(&self) -> Result<(), FieldError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let named = self.name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !named || self.name.len() > TOKEN_NAME_BYTES_MAX || !self.name.chars().all(is_plain) {
            let problem = format!(
                "has 1 to {TOKEN_NAME_BYTES_MAX} letters, digits, `.`, `_` and `-`, and begins with \
                 a letter or a digit"
            );
            return Err(FieldError::new("name", problem));
        }
        match self.expires_in_ms {
            Some(0) => Err(FieldError::new("expires_in_ms", "is more than 0")),
            Some(ms) if ms > TOKEN_LIFE_MS_MAX => {
                Err(FieldError::new("expires_in_ms", "is at most 366 days"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// What a token is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenIdentity {
    /// Its id.
    pub token_id: String,
}

/// One token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenItem {
    /// What it is known by.
    pub identity: TokenIdentity,
    /// Its name.
    pub name: String,
    /// What it is good for.
    pub scope: TokenScope,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it counts.
    pub expires_at: Timestamp,
    /// Whether that is over.
    pub is_expired: bool,
    /// When it was used last, to five minutes; null if it never was.
    pub last_used_at: Option<Timestamp>,
}

/// The answer of the tokens' list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenList {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The journal's sequence at which it was read.
    pub as_of: u64,
    /// The address at which tokens are served; null while none is.
    pub listen: Option<String>,
    /// The tokens, in the order of their names. Revoked ones are gone.
    pub items: Vec<TokenItem>,
}

/// A token that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenCreated {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The journal's sequence at which it was read.
    pub as_of: u64,
    /// The token.
    pub token: TokenItem,
    /// What a client shows as its bearer token. It is stored nowhere and never shown again.
    pub secret: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain_and_a_life_is_bounded() {
        let token = |name: &str, expires_in_ms| TokenCreate {
            name: name.to_owned(),
            scope: TokenScope::Read,
            expires_in_ms,
        };
        for good in ["a", "my-laptop", "2nd.phone_x", &"a".repeat(TOKEN_NAME_BYTES_MAX)] {
            assert_eq!(token(good, None).check(), Ok(()), "{good}");
        }
        let long = "a".repeat(TOKEN_NAME_BYTES_MAX + 1);
        for bad in ["", "-a", ".a", "a b", "a,b", "a\n", "ä", long.as_str()] {
            assert_eq!(token(bad, None).check().unwrap_err().field, "name", "{bad:?}");
        }
        assert_eq!(token("a", Some(TOKEN_LIFE_MS_MAX)).check(), Ok(()));
        for bad in [0, TOKEN_LIFE_MS_MAX + 1, u64::MAX] {
            assert_eq!(token("a", Some(bad)).check().unwrap_err().field, "expires_in_ms");
        }
    }
}
