//! `GET /v1/config`: the settings in force, and where each comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::config::{ConfigAnswer, Setting, SettingOrigin};
use api::query::NoQuery;
use api::settings::SECTIONS;
use api::words::SchemaVersion;
use axum::extract::State;
use engine::time::WallMs;
use http::StatusCode;

use super::app::App;
use super::extract::{Asked, Said};
use super::problem::Problem;
use super::to_api::timestamp;
use crate::config::{Config, ConfigError, File};

/// The settings in force.
#[derive(Clone, Debug)]
pub struct ConfigInUse {
    pub path: PathBuf,
    pub loaded_at: WallMs,
    pub config: Config,
    /// Why what the file says by now is not in force.
    pub refused: Option<String>,
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    _: Asked<NoQuery>,
) -> Result<Said<ConfigAnswer>, Problem> {
    let in_use = Arc::clone(&app.config.borrow());
    let path = in_use.path.clone();
    let look = move || {
        let text = std::fs::read_to_string(&path).ok();
        let lines = text.as_deref().and_then(|text| File::parse(text).ok()).map(|file| file.lines);
        (text.is_some(), lines.unwrap_or_default(), Config::load(&path).err())
    };
    let looked = tokio::task::spawn_blocking(look).await;
    let (exists, lines, error) =
        looked.map_err(|error| Problem::internal("the configuration could not be read", &error))?;
    let answer = ConfigAnswer {
        schema_version: SchemaVersion::V1,
        generated_at: app.now(),
        path: in_use.path.display().to_string(),
        exists,
        loaded_at: timestamp(in_use.loaded_at),
        settings: settings(&in_use.config, &lines),
        problems: error.iter().map(ConfigError::problem).collect(),
    };
    Ok(Said(StatusCode::OK, answer))
}

/// Every setting with its default and its origin; `lines` are the keys that the file sets.
fn settings(config: &Config, lines: &BTreeMap<String, u32>) -> Vec<Setting> {
    let values = serde_json::to_value(config).unwrap_or_default();
    let mut settings: Vec<Setting> = Vec::new();
    for section in SECTIONS {
        for entry in section.entries {
            let key = format!("{}.{}", section.name, entry.key);
            let value = values[section.name][entry.key].clone();
            let default = entry.kind.default_value();
            let line = lines.get(&key).copied();
            // A file that is broken by now has no lines, and what is in force came from it.
            let is_set = line.is_some() || value != default;
            let origin = if is_set { SettingOrigin::File } else { SettingOrigin::Default };
            settings.push(Setting {
                key,
                value,
                default,
                origin,
                line,
                about: entry.about.to_owned(),
            });
        }
    }
    settings.sort_by(|one, other| one.key.cmp(&other.key));
    settings
}

/// The settings of a daemon that has no file.
pub fn defaults(path: &Path, loaded_at: WallMs) -> ConfigInUse {
    ConfigInUse { path: path.to_owned(), loaded_at, config: Config::default(), refused: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_says_what_it_is_for_and_where_it_comes_from() {
        let text = "# mine\n[state]\nstale_ttl = \"10s\"\n";
        let file = File::parse(text).unwrap();
        let settings = settings(&file.config, &file.lines);
        assert!(settings.iter().all(|it| it.about.ends_with('.')), "{settings:?}");
        assert!(settings.is_sorted_by(|one, other| one.key < other.key));
        let set: Vec<_> = settings.iter().filter(|it| it.origin == SettingOrigin::File).collect();
        assert_eq!(set.len(), 1);
        assert_eq!((set[0].key.as_str(), set[0].line), ("state.stale_ttl", Some(3)));
        assert_eq!((&set[0].value, &set[0].default), (&"10s".into(), &"30s".into()));
    }

    #[test]
    fn the_line_of_a_key_is_found_however_it_is_written() {
        let lines = |text| File::parse(text).unwrap().lines;
        for text in ["\nstate.stale_ttl = \"1s\"", "\nstate = { stale_ttl = \"1s\" }"] {
            assert_eq!(lines(text)["state.stale_ttl"], 2, "{text}");
        }
    }

    #[test]
    fn a_mistake_in_the_file_is_named_with_its_place() {
        let text = "[state]\nstale_tll = \"5s\"\n";
        let problem = Config::parse(Path::new("c.toml"), text).unwrap_err().problem();
        assert_eq!((problem.line, problem.column), (Some(2), Some(1)));
        assert_eq!(problem.key.as_deref(), Some("state.stale_tll"));
        assert_eq!(problem.nearest.as_deref(), Some("state.stale_ttl"));
    }
}
