//! In which order a list comes.

use std::fmt;
use std::str::FromStr;

use crate::words::{Scope, UnknownWord};

words! {
    /// What a list can be sorted by.
    pub enum SortKey {
        /// Target, session, window index, pane index: as tmux shows them.
        Location = "location",
        /// The state, or a group's strongest one, by precedence.
        State = "state",
        /// The drawer, or a group's most urgent one, by precedence.
        Category = "category",
        /// The agent's name; panes without one come last.
        Agent = "agent",
        /// When the state began, oldest first.
        StateSince = "state_since",
        /// When there was activity last, oldest first.
        LastActivityAt = "last_activity_at",
        /// When the item changed last, oldest first.
        UpdatedAt = "updated_at",
        /// How many panes, fewest first.
        TotalPanes = "total_panes",
    }
}

impl SortKey {
    /// Whether the items of a scope have what it sorts by.
    #[must_use]
    pub const fn applies_to(self, scope: Scope) -> bool {
        match self {
            Self::Location | Self::State | Self::Category => !matches!(scope, Scope::Approvals),
            Self::Agent | Self::StateSince | Self::LastActivityAt | Self::UpdatedAt => {
                matches!(scope, Scope::Panes)
            }
            Self::TotalPanes => matches!(scope, Scope::Windows | Scope::Sessions),
        }
    }
}

/// The keys that panes can be sorted by.
const PANE_KEYS: &[&str] =
    &["location", "state", "category", "agent", "state_since", "last_activity_at", "updated_at"];
/// The keys that windows and sessions can be sorted by.
const GROUP_KEYS: &[&str] = &["location", "state", "category", "total_panes"];

impl SortKey {
    /// The spellings of the keys that apply to a scope.
    #[must_use]
    pub const fn words_for(scope: Scope) -> &'static [&'static str] {
        match scope {
            Scope::Panes => PANE_KEYS,
            Scope::Windows | Scope::Sessions => GROUP_KEYS,
            Scope::Approvals => &[],
        }
    }
}

/// One sort key with its direction: `state`, or `-state` for the reverse.
///
/// Where all given keys leave two items equal, their location and then their
/// ids decide, so the order is the same every time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// What to sort by.
    pub key: SortKey,
    /// Whether the order is reversed.
    pub descending: bool,
}

impl FromStr for Sort {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (descending, key) = match text.strip_prefix('-') {
            Some(key) => (true, key),
            None => (false, text),
        };
        Ok(Self { key: key.parse()?, descending })
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.descending { "-" } else { "" };
        write!(f, "{sign}{}", self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_a_scope_are_those_of_its_keys() {
        for scope in Scope::ALL {
            let keys = SortKey::ALL.iter().filter(|key| key.applies_to(*scope));
            let words: Vec<&str> = keys.map(|key| key.as_str()).collect();
            assert_eq!(SortKey::words_for(*scope), words, "{scope}");
        }
    }

    #[test]
    fn a_minus_sign_reverses_the_order() {
        let sort: Sort = "-updated_at".parse().unwrap();
        assert_eq!(sort, Sort { key: SortKey::UpdatedAt, descending: true });
        assert_eq!(sort.to_string(), "-updated_at");
        assert!("--state".parse::<Sort>().is_err());
    }
}
