//! The watch stream: `GET /v1/watch`.
//!
//! One JSON object a line, or one SSE event each. A stream without a cursor
//! begins with a `snapshot`; one with a cursor goes on right after it. Whoever
//! applies every `delta` in order holds what the daemon holds.

use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::approvals::{ApprovalIdentity, ApprovalItem};
use crate::cursor::Cursor;
use crate::filters::Filters;
use crate::health::Warning;
use crate::list::Summary;
use crate::panes::{PaneIdentity, PaneItem};
use crate::query::{self, Parameter, ParameterKind, Query, QueryError};
use crate::sessions::{SessionIdentity, SessionItem};
use crate::timestamp::Timestamp;
use crate::windows::{WindowIdentity, WindowItem};
use crate::words::{SchemaVersion, Scope};

/// What can be watched: an item that is known by an identity.
pub trait Watched: Serialize + DeserializeOwned + JsonSchema {
    /// What the item is known by.
    type Identity: fmt::Debug + Clone + Ord + Serialize + DeserializeOwned + JsonSchema;

    /// The scope whose items these are.
    const SCOPE: Scope;

    /// What this item is known by.
    fn identity(&self) -> Self::Identity;
}

impl Watched for PaneItem {
    type Identity = PaneIdentity;
    const SCOPE: Scope = Scope::Panes;

    fn identity(&self) -> PaneIdentity {
        self.identity.clone()
    }
}

impl Watched for WindowItem {
    type Identity = WindowIdentity;
    const SCOPE: Scope = Scope::Windows;

    fn identity(&self) -> WindowIdentity {
        self.identity.clone()
    }
}

impl Watched for SessionItem {
    type Identity = SessionIdentity;
    const SCOPE: Scope = Scope::Sessions;

    fn identity(&self) -> SessionIdentity {
        self.identity.clone()
    }
}

impl Watched for ApprovalItem {
    type Identity = ApprovalIdentity;
    const SCOPE: Scope = Scope::Approvals;

    fn identity(&self) -> ApprovalIdentity {
        ApprovalIdentity { approval_id: self.approval_id.clone() }
    }
}

/// One frame of a watch stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", bound = "I: Watched")]
#[schemars(rename = "{I}Frame", bound = "I: Watched")]
pub enum WatchFrame<I: Watched> {
    /// Everything there is; whatever was known before is void.
    Snapshot(SnapshotFrame<I>),
    /// What became different since the frame before.
    Delta(DeltaFrame<I>),
    /// The stream cannot go on as it was.
    Reset(ResetFrame),
}

/// Everything there is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "I: Watched")]
#[schemars(rename = "{I}Snapshot", bound = "I: Watched")]
pub struct SnapshotFrame<I: Watched> {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When what it says was true.
    pub generated_at: Timestamp,
    /// When it was handed to the stream.
    pub emitted_at: Timestamp,
    /// The stream, which is named after the database.
    pub stream_id: String,
    /// Where to go on after this frame.
    pub cursor: Cursor,
    /// The journal's sequence of this frame.
    pub sequence: u64,
    /// What the stream is about.
    pub scope: Scope,
    /// What it was narrowed to.
    pub filters: Filters,
    /// How many there are.
    pub summary: Summary,
    /// Why what is shown may be of the past: nothing is stored any more, say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// All of them.
    pub items: Vec<I>,
}

/// What became different.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "I: Watched")]
#[schemars(rename = "{I}Delta", bound = "I: Watched")]
pub struct DeltaFrame<I: Watched> {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When what it says was true.
    pub generated_at: Timestamp,
    /// When it was handed to the stream.
    pub emitted_at: Timestamp,
    /// The stream, which is named after the database.
    pub stream_id: String,
    /// Where to go on after this frame.
    pub cursor: Cursor,
    /// The journal's sequence of this frame, above that of the frame before, or the same where
    /// what differs is not in the journal: the warnings, or the delivery of an approval.
    pub sequence: u64,
    /// What the stream is about.
    pub scope: Scope,
    /// What it was narrowed to.
    pub filters: Filters,
    /// How many there are now.
    pub summary: Summary,
    /// Why what is shown may be of the past: nothing is stored any more, say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// The changes, to be applied in order; none where only the cursor moves or the warnings differ.
    pub changes: Vec<Change<I>>,
}

/// One thing that became different.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "snake_case", bound = "I: Watched")]
#[schemars(rename = "{I}Change", bound = "I: Watched")]
pub enum Change<I: Watched> {
    /// It is there now, as the whole item says.
    Upsert {
        /// What it is known by.
        identity: I::Identity,
        /// All of it.
        item: I,
    },
    /// It is gone, or no longer fits the filters.
    Delete {
        /// What it was known by.
        identity: I::Identity,
    },
}

/// The stream cannot go on as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResetFrame {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the frame was made.
    pub generated_at: Timestamp,
    /// When it was handed to the stream.
    pub emitted_at: Timestamp,
    /// The stream, which is named after the database.
    pub stream_id: String,
    /// Where to go on: the end of what this stream has delivered.
    pub cursor: Cursor,
    /// The journal's sequence of the cursor.
    pub sequence: u64,
    /// What the stream is about.
    pub scope: Scope,
    /// What it was narrowed to.
    pub filters: Filters,
    /// How many there are, as far as the daemon still knows.
    pub summary: Summary,
    /// Why.
    pub reason: ResetReason,
    /// Whether the stream ends here; else a snapshot follows.
    pub terminal: bool,
}

words! {
    /// Why a stream was reset.
    pub enum ResetReason {
        /// The daemon stops; the cursor is good for the next one.
        Shutdown = "shutdown",
        /// The cursor points at changes that are no longer kept.
        Expired = "expired",
        /// The watcher did not read fast enough; the cursor is good.
        Slow = "slow",
        /// The cursor belongs to another database.
        OtherDatabase = "other_database",
        /// The daemon makes room for a newer one; the cursor is good for it.
        Upgraded = "upgraded",
    }
}

impl<I: Watched> WatchFrame<I> {
    /// Where to go on after this frame.
    #[must_use]
    pub const fn cursor(&self) -> &Cursor {
        match self {
            Self::Snapshot(frame) => &frame.cursor,
            Self::Delta(frame) => &frame.cursor,
            Self::Reset(frame) => &frame.cursor,
        }
    }

    /// Whether the stream ends with this frame.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        match self {
            Self::Snapshot(_) | Self::Delta(_) => false,
            Self::Reset(frame) => frame.terminal,
        }
    }
}

/// The query of a watch stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchQuery {
    /// What to narrow the stream to.
    pub filters: Filters,
    /// What the stream is about; panes if not given.
    pub scope: Option<Scope>,
    /// Where to go on; a full snapshot comes first if not given.
    pub cursor: Option<Cursor>,
    /// Whether the stream ends as soon as it has caught up.
    pub once: bool,
}

impl WatchQuery {
    /// What the stream is about.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope.unwrap_or(Scope::Panes)
    }
}

impl Query for WatchQuery {
    fn parameters() -> Vec<Parameter> {
        let own = [
            Parameter::one(
                "scope",
                ParameterKind::Words(Scope::WORDS),
                "What the stream is about; `panes` is the default.",
            ),
            Parameter::one(
                "cursor",
                ParameterKind::Text,
                "Go on after this `<stream_id>:<sequence>`.",
            ),
            Parameter::one("once", ParameterKind::Flag, "End as soon as the stream has caught up."),
        ];
        [Filters::PARAMETERS, &own].concat()
    }

    fn set(&mut self, name: &'static str, value: &str) -> Result<(), QueryError> {
        match name {
            "scope" => self.scope = Some(query::word(name, value)?),
            "cursor" => self.cursor = Some(value.parse().map_err(QueryError::Cursor)?),
            "once" => self.once = query::flag(name, value)?,
            _ => return self.filters.set(name, value),
        }
        Ok(())
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = self.filters.pairs();
        pairs.extend(self.scope.iter().map(|it| ("scope", it.to_string())));
        pairs.extend(self.cursor.iter().map(|it| ("cursor", it.to_string())));
        pairs.extend(self.once.then(|| ("once", "true".to_owned())));
        pairs
    }

    fn check(&self) -> Result<(), QueryError> {
        self.filters.check()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error_code::ErrorCode;

    #[test]
    fn a_watch_query_reads_its_cursor_strictly() {
        let query = WatchQuery::parse("scope=windows&cursor=qd-1:7&once&state=error").unwrap();
        assert_eq!(query.scope(), Scope::Windows);
        assert_eq!(WatchQuery::parse(&query.to_query_string()), Ok(query));
        let error = WatchQuery::parse("cursor=7").unwrap_err();
        assert_eq!(error.code(), ErrorCode::CursorInvalid);
    }

    #[test]
    fn a_reset_frame_has_every_field_of_the_envelope() {
        let at = Timestamp::from_millis(0);
        let frame: WatchFrame<SessionItem> = WatchFrame::Reset(ResetFrame {
            schema_version: SchemaVersion::V1,
            generated_at: at,
            emitted_at: at,
            stream_id: "qd-1".to_owned(),
            cursor: Cursor::new("qd-1", 7).unwrap(),
            sequence: 7,
            scope: Scope::Sessions,
            filters: Filters::default(),
            summary: Summary::empty(),
            reason: ResetReason::Slow,
            terminal: true,
        });
        let value = serde_json::to_value(&frame).unwrap();
        for (name, expected) in [
            ("type", json!("reset")),
            ("schema_version", json!("v1")),
            ("cursor", json!("qd-1:7")),
            ("scope", json!("sessions")),
            ("reason", json!("slow")),
            ("terminal", json!(true)),
        ] {
            assert_eq!(value[name], expected, "{name}");
        }
        let read: WatchFrame<SessionItem> = serde_json::from_value(value).unwrap();
        assert_eq!(read, frame);
        assert!(read.is_terminal());
        assert_eq!(read.cursor().sequence(), 7);
    }

    #[test]
    fn a_change_says_its_operation_beside_the_identity() {
        let identity = SessionIdentity {
            target: Some("local".parse().unwrap()),
            session_id: Some("$1".to_owned()),
            session_name: "work".to_owned(),
        };
        let change: Change<SessionItem> = Change::Delete { identity };
        assert_eq!(
            serde_json::to_value(&change).unwrap(),
            json!({
                "op": "delete",
                "identity": { "target": "local", "session_id": "$1", "session_name": "work" },
            })
        );
    }
}
