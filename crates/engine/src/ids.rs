//! Identities: tmux's own numbers, our typed names, and how a runtime's id is derived.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};

/// Declares a newtype over `String` that is written as that string everywhere.
macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A target's identity, stable when it is renamed.
    TargetId
);
text_id!(
    /// One life of one tmux server: host boot, server pid and its start time.
    BootId
);
text_id!(
    /// One life of a process in a pane.
    RuntimeId
);
text_id!(
    /// One event, as its source or the daemon named it.
    EventId
);
text_id!(
    /// One event that waits to be bound to a runtime.
    InboxId
);
text_id!(
    /// One action.
    ActionId
);
text_id!(
    /// What was seen when one action was decided.
    SnapshotId
);
text_id!(
    /// One approval.
    ApprovalId
);
text_id!(
    /// One token.
    TokenId
);
text_id!(
    /// The kind of agent that runs in a runtime (`claude`, `codex`, ...).
    AgentType
);

impl ApprovalId {
    /// The approval that an event opens, with the version of the state that it opens in: what a
    /// screen showed before may count again later.
    pub fn of(event: &EventId, version: u64) -> Self {
        let named = format!("{event} {version}");
        Self::new(format!("ap-{}", &hex(&Sha256::digest(named))[..16]))
    }
}

/// Declares one of tmux's numbered ids with its sigil, which is also how it is stored.
macro_rules! tmux_id {
    ($(#[$meta:meta])* $name:ident, $sigil:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $sigil, self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let digits = text.strip_prefix($sigil).ok_or(BadId)?;
                let canonical = digits == "0" || !digits.starts_with('0');
                if !canonical || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(BadId);
                }
                digits.parse().map(Self).map_err(|_| BadId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    };
}

tmux_id!(
    /// tmux's immutable pane number.
    PaneId,
    '%'
);
tmux_id!(
    /// tmux's immutable window number.
    WindowId,
    '@'
);
tmux_id!(
    /// tmux's immutable session number.
    SessionId,
    '$'
);

/// A text that is not one of tmux's ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a tmux id")]
pub struct BadId;

/// A pane of a target; tmux never reuses the number within one server's life.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PaneKey {
    pub target: TargetId,
    pub pane: PaneId,
}

impl PaneKey {
    pub fn new(target: &TargetId, pane: PaneId) -> Self {
        Self { target: target.clone(), pane }
    }
}

/// What makes one life of a process in a pane different from every other.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeSeed<'a> {
    pub target: &'a TargetId,
    pub boot: &'a BootId,
    pub pane: PaneId,
    pub epoch: u64,
    pub agent: Option<&'a AgentType>,
    pub started_ns: i128,
}

impl RuntimeSeed<'_> {
    /// The reproducible id of this runtime: the first half of a SHA-256 over all its parts.
    pub fn runtime_id(&self) -> RuntimeId {
        let mut hash = Sha256::new();
        let pane = self.pane.to_string();
        let agent = self.agent.map_or("", AgentType::as_str);
        for part in [self.target.as_str(), self.boot.as_str(), &pane, agent] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(self.epoch.to_be_bytes());
        hash.update(self.started_ns.to_be_bytes());
        let digest = hash.finalize();
        RuntimeId(format!("rt-{}", hex(&digest[..16])))
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let nibble = |value: u8| char::from(DIGITS[usize::from(value & 0xf)]);
    bytes.iter().flat_map(|byte| [nibble(byte >> 4), nibble(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tmux_ids_are_parsed_strictly() {
        assert_eq!("%12".parse(), Ok(PaneId(12)));
        assert_eq!("@0".parse(), Ok(WindowId(0)));
        for bad in ["12", "%", "%-1", "%+1", "%01", "% 1", "%1 ", "@1", "%4294967296", "%１"] {
            assert_eq!(bad.parse::<PaneId>(), Err(BadId), "{bad:?}");
        }
    }

    #[test]
    fn every_part_of_the_seed_changes_the_runtime_id() {
        let (target, boot) = (TargetId::new("tg"), BootId::new("boot"));
        let (other, agent) = (TargetId::new("tg2"), AgentType::new("claude"));
        let seed = RuntimeSeed {
            target: &target,
            boot: &boot,
            pane: PaneId(1),
            epoch: 1,
            agent: None,
            started_ns: 5,
        };
        let ids = [
            seed.runtime_id(),
            RuntimeSeed { target: &other, ..seed }.runtime_id(),
            RuntimeSeed { pane: PaneId(2), ..seed }.runtime_id(),
            RuntimeSeed { epoch: 2, ..seed }.runtime_id(),
            RuntimeSeed { agent: Some(&agent), ..seed }.runtime_id(),
            RuntimeSeed { started_ns: 6, ..seed }.runtime_id(),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert_eq!(seed.runtime_id(), ids[0], "the id is reproducible");
        assert_eq!(ids[0].as_str().len(), 35);
    }
}
