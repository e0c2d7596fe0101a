//! The settings in force. Which there are, their bounds and their defaults stand in one table,
//! `api::settings`; here they get the types that the daemon works with.

mod file;

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::config::ConfigProblem;
use api::settings::{parse_time, write_time};

use engine::settings::Settings;
use engine::words::FromAgents;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 256 * 1024;

pub use file::File;

/// All settings. Every key of the table has its field here and no other: the defaults, which are
/// read like a file, would not be taken otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub state: StateConfig,
    pub health: HealthConfig,
    pub observer: ObserverConfig,
    pub notify: NotifyConfig,
    pub actions: ActionsConfig,
    pub approvals: ApprovalsConfig,
    pub api: ApiConfig,
    pub retention: RetentionConfig,
    pub log: LogConfig,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateConfig {
    pub skew_budget: Span,
    pub bind_window: Span,
    pub pending_ttl: Span,
    pub completed_ttl: Span,
    pub stale_ttl: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthConfig {
    pub down_failures: u32,
    pub down_window: Span,
    pub recovery_probes: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObserverConfig {
    pub scan_active: Span,
    pub scan_idle: Span,
    pub scan_full: Span,
    pub connect_timeout: Span,
    pub command_timeout: Span,
    pub retries: u32,
    pub retry_first: Span,
    pub retry_second: Span,
    pub tmux: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyConfig {
    pub bell: bool,
    /// A program and its arguments; nothing for none.
    pub command: Vec<String>,
}

impl NotifyConfig {
    /// Whether nobody is told of anything.
    pub fn is_silent(&self) -> bool {
        !self.bell && self.command.is_empty()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionsConfig {
    pub from_agents: FromAgents,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalsConfig {
    pub hold: HoldWhen,
    pub hold_max: Span,
}

/// When a hook is held that hides its agent's dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldWhen {
    Detached,
    Always,
    Never,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiConfig {
    /// An address of this machine alone; empty for none.
    pub listen: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    pub payload_days: u32,
    pub event_days: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    pub level: LogLevel,
    pub size_mib_max: u32,
    pub files_max: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// A length of time, written like `10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

impl Span {
    pub fn duration(self) -> Duration {
        self.0
    }

    pub fn as_ms(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let ms = parse_time(&text).ok_or_else(|| D::Error::custom("not a length of time"))?;
        Ok(Self(Duration::from_millis(ms)))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        serializer.collect_str(&write_time(ms))
    }
}

impl Default for Config {
    fn default() -> Self {
        file::defaults()
    }
}

/// Why a file is not taken. What was in force stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{} cannot be read", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is larger than {FILE_BYTES_MAX} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("{}:{}", path.display(), file::placed(problem))]
    Invalid { path: PathBuf, problem: ConfigProblem },
}

impl ConfigError {
    /// The mistake, as the API tells it.
    pub fn problem(&self) -> ConfigProblem {
        match self {
            Self::Invalid { path: _, problem } => problem.clone(),
            Self::Unreadable { path, source } => {
                file::unplaced(format!("{} cannot be read: {source}", path.display()))
            }
            Self::TooLarge { .. } => file::unplaced(self.to_string()),
        }
    }
}

impl Config {
    /// Reads the file, which need not exist.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        match std::fs::metadata(path) {
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => return Err(unreadable(source)),
            Ok(file) if file.len() > FILE_BYTES_MAX => {
                return Err(ConfigError::TooLarge { path: path.to_owned() });
            }
            // Reading one would wait for somebody who writes, and it is read again and again.
            Ok(file) if is_no_file(file.file_type()) => {
                return Err(unreadable(std::io::Error::other("it is no file")));
            }
            Ok(_) => {}
        }
        let text = String::from_utf8(std::fs::read(path).map_err(unreadable)?);
        let text = text.map_err(|error| ConfigError::Invalid {
            path: path.to_owned(),
            problem: file::not_text(&error),
        })?;
        Self::parse(path, &text)
    }

    /// Reads the text of a file; `path` only names it in errors.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let invalid = |problem| ConfigError::Invalid { path: path.to_owned(), problem };
        File::parse(text).map(|file| file.config).map_err(invalid)
    }

    /// The engine's part of the settings.
    pub fn engine(&self) -> Settings {
        Settings {
            skew_budget_ms: self.state.skew_budget.as_ms(),
            bind_window_ms: self.state.bind_window.as_ms(),
            pending_ttl_ms: self.state.pending_ttl.as_ms(),
            completed_ttl_ms: self.state.completed_ttl.as_ms(),
            stale_ttl_ms: self.state.stale_ttl.as_ms(),
            down_failures: self.health.down_failures,
            down_window_ms: self.health.down_window.as_ms(),
            recovery_probes: self.health.recovery_probes,
            from_agents: self.actions.from_agents,
        }
    }
}

/// Devices are files here: `/dev/null` is a way to say that nothing is set.
fn is_no_file(found: std::fs::FileType) -> bool {
    found.is_dir() || found.is_fifo() || found.is_socket()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Config::parse(Path::new("c.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn the_commented_default_file_is_the_default() {
        let file = api::settings::default_file();
        assert_eq!(Config::parse(Path::new("c.toml"), &file).unwrap(), Config::default());
        assert_eq!(Config::default().engine(), Settings::default());
    }

    #[test]
    fn what_a_file_leaves_out_has_its_default() {
        let config =
            Config::parse(Path::new("c.toml"), "[state]\nstale_ttl = \"1m 5s\"\n").unwrap();
        assert_eq!(config.state.stale_ttl.as_ms(), 65_000);
        assert_eq!(config.state.pending_ttl, Config::default().state.pending_ttl);
        assert_eq!(config.observer, Config::default().observer);
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_place_and_what_is_no_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &Path| Config::load(path).unwrap_err();
        let file = folder.path().join("c.toml");
        std::fs::write(&file, b"[log]\n# caf\xe9\n").unwrap();
        assert!(refused(&file).to_string().ends_with("c.toml:2:6: this is no UTF-8"));
        assert!(matches!(refused(folder.path()), ConfigError::Unreadable { .. }));
        assert_eq!(Config::load(Path::new("/dev/null")).unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place_and_the_nearest_name() {
        assert_eq!(
            refusal("[state]\nstale_tll = \"5s\"\n"),
            "c.toml:2:1: unknown key `state.stale_tll`; did you mean `state.stale_ttl`?"
        );
        assert_eq!(
            refusal("[log]\nlevel = \"info\"\n[stat]\n"),
            "c.toml:3:2: unknown section `stat`; did you mean `state`?"
        );
        assert_eq!(
            refusal("stale_ttl = \"5s\""),
            "c.toml:1:1: unknown key `stale_ttl`; did you mean `state.stale_ttl`?"
        );
        assert_eq!(
            refusal("x = 1"),
            "c.toml:1:1: unknown key `x`: the sections are state, health, observer, notify, actions, approvals, api, retention, log"
        );
        assert_eq!(
            refusal("[health]\nxyzzy = 1"),
            "c.toml:2:1: unknown key `health.xyzzy`: [health] has down_failures, down_window, \
             recovery_probes"
        );
    }

    #[test]
    fn values_that_cannot_be_meant_are_refused_with_their_place() {
        let soon = "# stale_ttl\n[state]\n  stale_ttl = \"soon\"";
        assert_eq!(
            refusal(soon),
            "c.toml:3:15: `state.stale_ttl` is a length of time such as 250ms, 10s, 2m or 1h, not \
             `soon`"
        );
        assert!(refusal("[state]\nstale_ttl = \"9000h\"").contains("longer than 30 days"));
        assert!(refusal("[health]\ndown_failures = 0").starts_with("c.toml:2:17:"));
        assert!(refusal("health.down_failures = 1979-05-27").contains("whole number"));
        assert!(refusal("[observer]\nscan_idle = \"1ms\"").contains("at least 100ms"));
        assert!(refusal("state = 1").contains("`state` is a section"));
        assert!(refusal("[[state]]").contains("`state` is a section"));
        assert!(refusal("[state]\nstale_ttl = ").starts_with("c.toml:2:"));
        let kept = refusal("# payload_days\n[retention]\npayload_days = 20");
        assert!(
            kept.starts_with("c.toml:3:1:") && kept.contains("longer than their events"),
            "{kept}"
        );
        let kept = refusal("[retention]\nevent_days = 2");
        assert!(
            kept.starts_with("c.toml:2:1:") && kept.contains("longer than their events"),
            "{kept}"
        );
    }

    #[test]
    fn a_missing_file_means_the_defaults() {
        assert_eq!(Config::load(Path::new("/nowhere/c.toml")).unwrap(), Config::default());
    }
}
