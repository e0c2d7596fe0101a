//! Targets: `GET` and `POST /v1/targets`, connect and remove.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::FieldError;
use crate::limits::TMUX_SOCKET_BYTES_MAX;
use crate::list::List;
use crate::target_name::TargetName;
use crate::timestamp::Timestamp;
use crate::words::{Health, ObserverMode, SchemaVersion, TargetKind};

/// The answer of the targets' list.
pub type TargetList = List<TargetItem>;

/// What a target is known by.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct TargetIdentity {
    /// Its name.
    pub target: TargetName,
}

/// One target and how it is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetItem {
    /// What it is known by.
    pub identity: TargetIdentity,
    /// Its name.
    pub name: TargetName,
    /// Its id, which outlives a change of name.
    pub target_id: String,
    /// How it is reached.
    pub kind: TargetKind,
    /// What leads to it, without any secret: a socket name or path, a host
    /// alias; empty for this user's default tmux server.
    pub connection_ref: String,
    /// Whether it is the target that is meant when none is named.
    pub is_default: bool,
    /// Whether it can be relied on.
    pub health: Health,
    /// Why not, or what is limited, as a code; null while all is well.
    pub health_reason: Option<String>,
    /// The same for people.
    pub health_message: Option<String>,
    /// The tmux server there; null while none runs or none was seen.
    pub server: Option<TmuxServer>,
    /// How that server is being observed.
    pub observer_mode: ObserverMode,
    /// When it last answered.
    pub last_seen_at: Option<Timestamp>,
    /// When something in this item changed last.
    pub updated_at: Timestamp,
    /// What there is on it.
    pub counts: TargetCounts,
}

/// One life of a tmux server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TmuxServer {
    /// What tells this life from any other.
    pub boot_id: String,
    /// Its process.
    pub pid: u32,
    /// Its version, such as `3.3a`.
    pub version: String,
    /// The path of its socket.
    pub socket: String,
    /// When it started, if that is known.
    pub started_at: Option<Timestamp>,
}

/// What there is on a target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetCounts {
    /// Its sessions.
    pub sessions: u64,
    /// Its windows.
    pub windows: u64,
    /// Its panes.
    pub panes: u64,
    /// Its panes in which an agent was recognised.
    pub agents: u64,
    /// Its panes that need somebody.
    pub needs_action: u64,
}

/// The answer about one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetAnswer {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The journal's sequence at which it was read.
    pub as_of: u64,
    /// The target.
    pub target: TargetItem,
}

/// A target to be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetCreate {
    /// Its name.
    pub name: TargetName,
    /// How it is reached.
    pub kind: TargetKind,
    /// For a local target: the name of a tmux socket (as `tmux -L` takes it)
    /// or the absolute path of one (`tmux -S`); the default server if absent.
    #[serde(default)]
    pub tmux_socket: Option<String>,
}

impl TargetCreate {
    /// Looks at what the types alone cannot say.
    pub fn check(&self) -> Result<(), FieldError> {
        let Some(socket) = &self.tmux_socket else { return Ok(()) };
        let problem = if socket.is_empty() {
            "is empty; leave it out for the default server".to_owned()
        } else if socket.len() > TMUX_SOCKET_BYTES_MAX {
            format!("has at most {TMUX_SOCKET_BYTES_MAX} bytes")
        } else if socket.chars().any(char::is_control) {
            "holds no control characters".to_owned()
        } else if !socket.starts_with('/') && (socket.contains('/') || socket.starts_with('-')) {
            "is a plain socket name, or a path from the root".to_owned()
        } else {
            return Ok(());
        };
        Err(FieldError::new("tmux_socket", problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(json: &str) -> Result<TargetCreate, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn unknown_fields_and_words_are_refused_by_name() {
        assert!(create(r#"{"name":"b","kind":"local"}"#).is_ok());
        let error = create(r#"{"name":"b","kind":"ssh","ssh_target":"h"}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `ssh_target`"), "{error}");
        assert!(create(r#"{"name":"b","kind":"docker"}"#).is_err());
        assert!(create(r#"{"name":"a/b","kind":"local"}"#).is_err());
        assert!(create(r#"{"name":"b","kind":"local","name":"c"}"#).is_err());
    }

    #[test]
    fn a_socket_is_a_plain_name_or_an_absolute_path() {
        let with = |socket: &str| TargetCreate {
            name: "b".parse().unwrap(),
            kind: TargetKind::Local,
            tmux_socket: Some(socket.to_owned()),
        };
        for good in ["other", "a b", "/tmp/tmux-1000/other", "#(id)"] {
            assert_eq!(with(good).check(), Ok(()), "{good}");
        }
        let long = "/".repeat(TMUX_SOCKET_BYTES_MAX + 1);
        for bad in ["", "../x", "a/b", "-L", "a\nb", long.as_str()] {
            assert_eq!(with(bad).check().unwrap_err().field, "tmux_socket", "{bad}");
        }
    }
}
