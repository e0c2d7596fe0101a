//! `GET /v1/config`: the settings in force, and where each comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::config::{ConfigAnswer, ConfigProblem, Setting, SettingOrigin};
use api::query::NoQuery;
use api::words::SchemaVersion;
use axum::extract::State;
use engine::time::WallMs;
use http::StatusCode;
use serde_json::Value;

use super::app::App;
use super::extract::{Asked, Said};
use super::problem::Problem;
use super::to_api::timestamp;
use crate::config::{Config, ConfigError, DEFAULT};

/// The settings in force.
#[derive(Clone, Debug)]
pub struct ConfigInUse {
    pub path: PathBuf,
    pub loaded_at: WallMs,
    pub config: Config,
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    _: Asked<NoQuery>,
) -> Result<Said<ConfigAnswer>, Problem> {
    let in_use = Arc::clone(&app.config.borrow());
    let path = in_use.path.clone();
    let look = move || (std::fs::read_to_string(&path).ok(), Config::load(&path).err());
    let looked = tokio::task::spawn_blocking(look).await;
    let (text, error) =
        looked.map_err(|error| Problem::internal("the configuration could not be read", &error))?;
    let answer = ConfigAnswer {
        schema_version: SchemaVersion::V1,
        generated_at: app.now(),
        path: in_use.path.display().to_string(),
        exists: text.is_some(),
        loaded_at: timestamp(in_use.loaded_at),
        settings: settings(&in_use.config, text.as_deref().unwrap_or("")),
        problems: error.as_ref().map(problem).into_iter().collect(),
    };
    Ok(Said(StatusCode::OK, answer))
}

/// Every setting with its default and its origin.
fn settings(config: &Config, file: &str) -> Vec<Setting> {
    let (values, defaults) = (flatten(config), flatten(&Config::default()));
    let (places, about) = (places(file), explanations());
    let setting = |(key, value): (String, Value)| {
        let default = defaults.get(&key).cloned().unwrap_or(Value::Null);
        let line = places.get(&key).copied();
        let origin = match line {
            Some(_) => SettingOrigin::File,
            None if value != default => SettingOrigin::File,
            None => SettingOrigin::Default,
        };
        let about = about.get(&key).cloned().unwrap_or_default();
        Setting { key, value, default, origin, line, about }
    };
    values.into_iter().map(setting).collect()
}

/// The values by dotted key.
fn flatten(config: &Config) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    let Ok(Value::Object(sections)) = serde_json::to_value(config) else { return flat };
    for (section, values) in sections {
        let Value::Object(values) = values else { continue };
        flat.extend(values.into_iter().map(|(key, value)| (format!("{section}.{key}"), value)));
    }
    flat
}

/// The keys that a file sets, as far as it sets them one to a line, with their lines.
fn places(file: &str) -> BTreeMap<String, u32> {
    let mut places = BTreeMap::new();
    let mut section = "";
    for (number, line) in (1..).zip(file.lines()) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim();
        } else if let Some((key, _)) = line.split_once('=')
            && !line.starts_with('#')
        {
            let dot = if section.is_empty() { "" } else { "." };
            places.insert(format!("{section}{dot}{}", key.trim()), number);
        }
    }
    places
}

/// What the default file says above each key. Keys below one comment share it.
fn explanations() -> BTreeMap<String, String> {
    let mut explained = BTreeMap::new();
    let (mut section, mut comment, mut fresh) = ("", Vec::new(), true);
    for line in DEFAULT.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
            fresh = true;
        } else if let Some(text) = line.strip_prefix('#') {
            if std::mem::take(&mut fresh) {
                comment.clear();
            }
            comment.push(text.trim());
        } else if let Some((key, _)) = line.split_once(" = ") {
            explained.insert(format!("{section}.{key}"), comment.join(" "));
            fresh = true;
        }
    }
    explained
}

fn problem(error: &ConfigError) -> ConfigProblem {
    let number = |value: usize| u32::try_from(value).ok();
    let (line, column, message) = match error {
        ConfigError::Invalid { path: _, line, column, message } => {
            (number(*line), number(*column), message.clone())
        }
        ConfigError::Unreadable { .. } | ConfigError::TooLarge { .. } => {
            (None, None, error.to_string())
        }
    };
    let mut quoted = message.split('`').skip(1).step_by(2);
    let key = quoted.next().map(str::to_owned);
    let nearest = message.contains("did you mean").then(|| quoted.next()).flatten();
    ConfigProblem { line, column, key, nearest: nearest.map(str::to_owned), message }
}

/// The settings of a daemon that has no file.
pub fn defaults(path: &Path, loaded_at: WallMs) -> ConfigInUse {
    ConfigInUse { path: path.to_owned(), loaded_at, config: Config::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_says_what_it_is_for_and_where_it_comes_from() {
        let file = "# mine\n[state]\nstale_ttl = \"10s\"\n";
        let config = Config::parse(Path::new("c.toml"), file).unwrap();
        let settings = settings(&config, file);
        assert!(settings.iter().all(|it| it.about.ends_with('.')), "{settings:?}");
        assert!(settings.is_sorted_by(|one, other| one.key < other.key));
        let set: Vec<_> = settings.iter().filter(|it| it.origin == SettingOrigin::File).collect();
        assert_eq!(set.len(), 1);
        assert_eq!((set[0].key.as_str(), set[0].line), ("state.stale_ttl", Some(3)));
        assert_eq!((&set[0].value, &set[0].default), (&"10s".into(), &"30s".into()));
    }

    #[test]
    fn a_mistake_in_the_file_is_named_with_its_place() {
        let text = "[state]\nstale_tll = \"5s\"\n";
        let error = Config::parse(Path::new("c.toml"), text).unwrap_err();
        let problem = problem(&error);
        assert_eq!((problem.line, problem.column), (Some(2), Some(1)));
        assert_eq!(problem.key.as_deref(), Some("stale_tll"));
        assert_eq!(problem.nearest.as_deref(), Some("stale_ttl"));
    }
}
