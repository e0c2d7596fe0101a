//! What a user may set, in one commented file. Unknown keys are refused with their place in the
//! file and the name that was probably meant.

use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::settings::Settings;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The default file, which is also its documentation.
pub const DEFAULT: &str = include_str!("config.default.toml");

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// All settings. A key that the file leaves out has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub state: StateConfig,
    pub health: HealthConfig,
    pub observer: ObserverConfig,
    pub retention: RetentionConfig,
    pub log: LogConfig,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateConfig {
    pub skew_budget: Span,
    pub bind_window: Span,
    pub pending_ttl: Span,
    pub completed_ttl: Span,
    pub stale_ttl: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    pub down_failures: u32,
    pub down_window: Span,
    pub recovery_probes: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    pub payload_days: u32,
    pub event_days: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
    /// No setting needs to be longer.
    const MAX: Duration = Duration::from_secs(30 * 24 * 3_600);

    const fn ms(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    pub fn duration(self) -> Duration {
        self.0
    }

    pub fn as_ms(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not a length of time such as 250ms, 10s, 2m or 1h");
        let span: jiff::SignedDuration = text.trim().parse().map_err(|_| refuse())?;
        let length = Duration::try_from(span).map_err(|_| refuse())?;
        if length > Self::MAX {
            return Err(format!("`{text}` is longer than 30 days"));
        }
        Ok(Self(length))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ms = self.0.as_millis();
        let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        match units.iter().find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit)) {
            Some((unit, name)) => serializer.collect_str(&format_args!("{}{name}", ms / unit)),
            None => serializer.collect_str(&format_args!("{ms}ms")),
        }
    }
}

impl Default for StateConfig {
    fn default() -> Self {
        Self {
            skew_budget: Span::ms(10_000),
            bind_window: Span::ms(5_000),
            pending_ttl: Span::ms(30_000),
            completed_ttl: Span::ms(120_000),
            stale_ttl: Span::ms(30_000),
        }
    }
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { down_failures: 3, down_window: Span::ms(30_000), recovery_probes: 2 }
    }
}

impl Default for ObserverConfig {
    fn default() -> Self {
        Self {
            scan_active: Span::ms(2_000),
            scan_idle: Span::ms(10_000),
            scan_full: Span::ms(60_000),
            connect_timeout: Span::ms(3_000),
            command_timeout: Span::ms(5_000),
            retries: 2,
            retry_first: Span::ms(250),
            retry_second: Span::ms(1_000),
            tmux: "tmux".to_owned(),
        }
    }
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { payload_days: 7, event_days: 14 }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: LogLevel::Info, size_mib_max: 10, files_max: 5 }
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
    #[error("{}:{line}:{column}: {message}", path.display())]
    Invalid { path: PathBuf, line: usize, column: usize, message: String },
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
            Ok(_) => {}
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(path, &text)
    }

    /// Reads the text of a file; `path` only names it in errors.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let invalid = |offset: usize, message: String| {
            let (line, column) = place(text, offset);
            ConfigError::Invalid { path: path.to_owned(), line, column, message }
        };
        let config: Self = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            invalid(offset, suggest(error.message()))
        })?;
        match config.contradiction() {
            Some((key, message)) => Err(invalid(text.find(key).unwrap_or(0), message)),
            None => Ok(config),
        }
    }

    /// A value that parses and cannot be meant, with the key it stands under.
    fn contradiction(&self) -> Option<(&'static str, String)> {
        let observer = &self.observer;
        let zero = [
            ("down_failures", u64::from(self.health.down_failures)),
            ("recovery_probes", u64::from(self.health.recovery_probes)),
            ("payload_days", u64::from(self.retention.payload_days)),
            ("event_days", u64::from(self.retention.event_days)),
            ("size_mib_max", u64::from(self.log.size_mib_max)),
            ("files_max", u64::from(self.log.files_max)),
        ];
        let short = [
            ("scan_active", observer.scan_active),
            ("scan_idle", observer.scan_idle),
            ("scan_full", observer.scan_full),
            ("connect_timeout", observer.connect_timeout),
            ("command_timeout", observer.command_timeout),
        ];
        if let Some((key, _)) = zero.iter().find(|(_, value)| *value == 0) {
            return Some((key, format!("`{key}` must be at least 1")));
        }
        if let Some((key, _)) = short.iter().find(|(_, span)| *span < Span::ms(100)) {
            return Some((key, format!("`{key}` must be at least 100ms")));
        }
        if self.retention.payload_days > self.retention.event_days {
            let message = "payloads cannot be kept longer than their events".to_owned();
            return Some(("payload_days", message));
        }
        observer.tmux.is_empty().then(|| ("tmux", "`tmux` must name a program".to_owned()))
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
        }
    }
}

/// The line and column of a byte offset, both from 1.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

/// Adds to "unknown field" what was probably meant.
fn suggest(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((given, known)) if message.starts_with("unknown field") => {
            match api::nearest::nearest(given, known.iter().copied()) {
                Some(meant) => format!("unknown key `{given}`; did you mean `{meant}`?"),
                None => format!("unknown key `{given}`; known here: {}", known.join(", ")),
            }
        }
        Some(_) | None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Config::parse(Path::new("c.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn the_commented_default_file_is_the_default() {
        assert_eq!(Config::parse(Path::new("c.toml"), DEFAULT).unwrap(), Config::default());
        assert_eq!(Config::default().engine(), Settings::default());
    }

    #[test]
    fn the_default_file_names_every_key() {
        let keys = |text: &str| {
            let lines = text.lines().filter_map(|line| Some(line.split_once(" = ")?.0.to_owned()));
            lines.collect::<std::collections::BTreeSet<_>>()
        };
        let value = serde_json::to_value(Config::default()).unwrap();
        let sections = value.as_object().unwrap().values();
        let all: std::collections::BTreeSet<String> =
            sections.flat_map(|section| section.as_object().unwrap().keys().cloned()).collect();
        assert_eq!(keys(DEFAULT), all);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place_and_the_nearest_name() {
        assert_eq!(
            refusal("[state]\nstale_tll = \"5s\"\n"),
            "c.toml:2:1: unknown key `stale_tll`; did you mean `stale_ttl`?"
        );
        assert!(refusal("[stat]\n").starts_with("c.toml:1:"), "{}", refusal("[stat]\n"));
        assert!(refusal("x = 1").contains("unknown key `x`; known here: state, health"));
    }

    #[test]
    fn values_that_cannot_be_meant_are_refused_with_their_place() {
        assert!(
            refusal("[state]\nstale_ttl = \"soon\"").contains("`soon` is not a length of time")
        );
        assert!(refusal("[state]\nstale_ttl = \"-5s\"").contains("not a length of time"));
        assert!(refusal("[state]\nstale_ttl = \"9000h\"").contains("longer than 30 days"));
        assert!(refusal("[health]\ndown_failures = 0").starts_with("c.toml:2:1:"));
        assert!(refusal("[observer]\nscan_idle = \"1ms\"").contains("at least 100ms"));
        assert!(refusal("[retention]\npayload_days = 20").contains("longer than their events"));
    }

    #[test]
    fn a_missing_file_means_the_defaults() {
        assert_eq!(Config::load(Path::new("/nowhere/c.toml")).unwrap(), Config::default());
    }
}
