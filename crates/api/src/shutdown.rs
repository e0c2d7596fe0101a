//! Asking the daemon to end: `POST /v1/shutdown`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;
use crate::words::SchemaVersion;

/// Asks the daemon to end gracefully.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShutdownRequest {
    /// Why; the streams that end are told.
    pub reason: ShutdownReason,
}

words! {
    /// Why the daemon is to end.
    pub enum ShutdownReason {
        /// Somebody wants it to.
        Stop = "stop",
        /// A newer one takes its place.
        Upgrade = "upgrade",
    }
}

/// The daemon has begun to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShutdownAccepted {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The process that will be gone.
    pub pid: u32,
    /// Its version.
    pub version: String,
}
