//! The configuration in use: `GET /v1/config`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::timestamp::Timestamp;
use crate::words::SchemaVersion;

/// The configuration in use, and where each part of it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigAnswer {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The file that is read.
    pub path: String,
    /// Whether that file is there.
    pub exists: bool,
    /// When the configuration in use was loaded.
    pub loaded_at: Timestamp,
    /// Every setting, ordered by key.
    pub settings: Vec<Setting>,
    /// What is wrong with the file as it is now; the last good configuration
    /// stays in use.
    pub problems: Vec<ConfigProblem>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// Its key, dotted.
    pub key: String,
    /// The value in use.
    pub value: Value,
    /// The value without any configuration.
    pub default: Value,
    /// Where the value in use comes from.
    pub origin: SettingOrigin,
    /// The line of the file, if it comes from there.
    pub line: Option<u32>,
    /// What it is for, in one sentence.
    pub about: String,
}

words! {
    /// Where a setting comes from.
    pub enum SettingOrigin {
        /// It is built in.
        Default = "default",
        /// From the configuration file.
        File = "file",
        /// From an environment variable.
        Environment = "environment",
    }
}

/// Something wrong with the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigProblem {
    /// The line it stands on, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
    /// The key it is about, dotted.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// The known key that was probably meant.
    pub nearest: Option<String>,
}
