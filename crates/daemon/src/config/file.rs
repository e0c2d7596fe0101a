//! The settings file: read by the table of `api::settings`, and every mistake told with its place.

use std::collections::BTreeMap;
use std::string::FromUtf8Error;

use agents::generic::place;
use api::config::ConfigProblem;
use api::settings::{self, SECTIONS, Section};
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Config;

/// What a file says.
#[derive(Clone, Debug)]
pub struct File {
    /// With the defaults of what it leaves out.
    pub config: Config,
    /// The keys that it sets, dotted, each with its line.
    pub lines: BTreeMap<String, u32>,
}

impl File {
    pub fn parse(text: &str) -> Result<Self, ConfigProblem> {
        let mut reading = Reading { text, values: default_values(), offsets: BTreeMap::new() };
        let document = DeTable::parse(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            reading.problem(offset, None, error.message().to_owned())
        })?;
        for (name, value) in document.get_ref() {
            reading.section(name.get_ref(), name.span().start, value)?;
        }
        reading.finish()
    }
}

/// The settings of who has no file.
pub(super) fn defaults() -> Config {
    // The test of the default file would fail first.
    typed(default_values()).expect("the types take the defaults of the table")
}

/// The mistake after the name of its file: place, message, and what was meant.
pub(super) fn placed(problem: &ConfigProblem) -> String {
    let place = problem.line.zip(problem.column);
    let place = place.map(|(line, column)| format!("{line}:{column}:")).unwrap_or_default();
    let nearest = problem.nearest.as_ref();
    let nearest = nearest.map(|it| format!("; did you mean `{it}`?")).unwrap_or_default();
    format!("{place} {}{nearest}", problem.message)
}

/// The first byte that belongs to no character.
pub(super) fn not_text(error: &FromUtf8Error) -> ConfigProblem {
    let read = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
    let (line, column) = place(&read, read.len());
    let problem = unplaced("this is no UTF-8".to_owned());
    ConfigProblem { line: Some(line), column: Some(column), ..problem }
}

/// A mistake that stands at no place of the file.
pub(super) fn unplaced(message: String) -> ConfigProblem {
    ConfigProblem { line: None, column: None, key: None, message, nearest: None }
}

/// The values of each section, as the table has them.
type Values = BTreeMap<&'static str, Map<String, Value>>;

fn default_values() -> Values {
    let values = |section: &Section| {
        let value = |it: &settings::Entry| (it.key.to_owned(), it.kind.default_value());
        section.entries.iter().map(value).collect()
    };
    SECTIONS.iter().map(|section| (section.name, values(section))).collect()
}

fn typed(values: Values) -> serde_json::Result<Config> {
    serde_json::from_value(serde_json::to_value(values)?)
}

/// A file on its way to settings.
struct Reading<'a> {
    text: &'a str,
    values: Values,
    /// Where each key that the file sets begins.
    offsets: BTreeMap<String, usize>,
}

impl Reading<'_> {
    fn section(
        &mut self,
        name: &str,
        offset: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), ConfigProblem> {
        let section = SECTIONS.iter().find(|section| section.name == name);
        match (section, value.get_ref().as_table()) {
            (Some(section), Some(table)) => {
                for (key, value) in table {
                    self.entry(section, key.get_ref(), key.span().start, value)?;
                }
                Ok(())
            }
            (Some(_), None) => {
                let message = format!("`{name}` is a section: write [{name}], and its keys below");
                Err(self.problem(offset, Some(name.to_owned()), message))
            }
            (None, table) => {
                let kind = if table.is_some() { "section" } else { "key" };
                let names: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
                let known = format!("the sections are {}", names.join(", "));
                Err(self.unknown(offset, kind, name, &known))
            }
        }
    }

    fn entry(
        &mut self,
        section: &Section,
        key: &str,
        offset: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), ConfigProblem> {
        let dotted = format!("{}.{key}", section.name);
        let Some(entry) = section.entries.iter().find(|entry| entry.key == key) else {
            let keys: Vec<&str> = section.entries.iter().map(|entry| entry.key).collect();
            let known = format!("[{}] has {}", section.name, keys.join(", "));
            return Err(self.unknown(offset, "key", &dotted, &known));
        };
        let given = json(value.get_ref());
        entry.kind.check(&given).map_err(|why| {
            let message = format!("`{dotted}` {why}");
            self.problem(value.span().start, Some(dotted.clone()), message)
        })?;
        self.values.entry(section.name).or_default().insert(key.to_owned(), given);
        self.offsets.insert(dotted, offset);
        Ok(())
    }

    /// Values that are right each by itself may still contradict each other.
    fn finish(self) -> Result<File, ConfigProblem> {
        let config = typed(self.values.clone())
            .map_err(|error| self.problem(0, None, format!("the settings do not fit: {error}")))?;
        let retention = config.retention;
        if retention.payload_days > retention.event_days {
            let keys = ["retention.payload_days", "retention.event_days"];
            let set = keys.into_iter().find_map(|key| Some((key, *self.offsets.get(key)?)));
            let (key, offset) = set.unwrap_or((keys[0], 0));
            let message = format!(
                "`retention.payload_days` is {} and `retention.event_days` {}: payloads cannot be \
                 kept longer than their events",
                retention.payload_days, retention.event_days
            );
            return Err(self.problem(offset, Some(key.to_owned()), message));
        }
        let line = |offset| place(self.text, offset).0;
        let lines = self.offsets.iter().map(|(key, offset)| (key.clone(), line(*offset)));
        Ok(File { config, lines: lines.collect() })
    }

    fn unknown(&self, offset: usize, kind: &str, dotted: &str, known: &str) -> ConfigProblem {
        let nearest = settings::nearest(dotted);
        let known = if nearest.is_some() { String::new() } else { format!(": {known}") };
        let message = format!("unknown {kind} `{dotted}`{known}");
        ConfigProblem { nearest, ..self.problem(offset, Some(dotted.to_owned()), message) }
    }

    fn problem(&self, offset: usize, key: Option<String>, message: String) -> ConfigProblem {
        let (line, column) = place(self.text, offset);
        ConfigProblem { line: Some(line), column: Some(column), key, message, nearest: None }
    }
}

/// A value as the table checks it. What no setting is becomes null, which none takes.
fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(is) => Value::Bool(*is),
        DeValue::Array(values) => values.iter().map(|it| json(it.get_ref())).collect(),
        DeValue::Datetime(_) | DeValue::Table(_) => Value::Null,
    }
}
