//! JSON schemas from the wire types.

use anyhow::bail;
use api::approvals::ApprovalItem;
use api::events::EventEnvelope;
use api::panes::PaneItem;
use api::sessions::SessionItem;
use api::settings::{Entry, Kind, PROGRAM_WORDS_MAX, SECTIONS, Section, TIME_PATTERN};
use api::shapes::TypeRef;
use api::watch::WatchFrame;
use api::windows::WindowItem;
use schemars::SchemaGenerator;
use schemars::generate::{Contract, SchemaSettings};
use serde_json::{Map, Value, json};

/// The dialect of every schema.
pub(super) const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Which side writes what a schema describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The daemon: every field is there, unknown ones may come later.
    Answer,
    /// The client: what has a default may be left out, unknown fields are refused.
    Request,
}

/// Collects the definitions of the types that a document refers to.
pub(super) struct Definitions {
    answers: SchemaGenerator,
    requests: SchemaGenerator,
}

impl Definitions {
    /// No definitions yet; `path` is where the document will hold them.
    pub(super) fn new(path: &'static str) -> Self {
        let generator = |contract: Contract| {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = path.into();
                settings.contract = contract;
            });
            settings.into_generator()
        };
        Self { answers: generator(Contract::Serialize), requests: generator(Contract::Deserialize) }
    }

    /// The schema of a type; what it refers to is kept.
    pub(super) fn schema(&mut self, of: TypeRef, side: Side) -> Value {
        let generator = match side {
            Side::Answer => &mut self.answers,
            Side::Request => &mut self.requests,
        };
        of.schema(generator).to_value()
    }

    /// All definitions. A type that looks different from the two sides cannot
    /// be one definition.
    pub(super) fn finish(mut self) -> anyhow::Result<Map<String, Value>> {
        let mut all = self.answers.take_definitions(true);
        for (name, schema) in self.requests.take_definitions(true) {
            if all.get(&name).is_some_and(|known| *known != schema) {
                bail!("`{name}` is not the same in requests and in answers: make it two types");
            }
            all.insert(name, schema);
        }
        Ok(all)
    }
}

/// The types of frames, one for each scope.
pub(super) const FRAMES: [TypeRef; 4] = [
    TypeRef::of::<WatchFrame<PaneItem>>(),
    TypeRef::of::<WatchFrame<WindowItem>>(),
    TypeRef::of::<WatchFrame<SessionItem>>(),
    TypeRef::of::<WatchFrame<ApprovalItem>>(),
];

/// One line of a watch stream.
pub(super) fn watch_frame() -> anyhow::Result<Value> {
    let mut definitions = Definitions::new("/$defs");
    let frames: Vec<Value> =
        FRAMES.into_iter().map(|frame| definitions.schema(frame, Side::Answer)).collect();
    Ok(json!({
        "$schema": DIALECT,
        "title": "WatchFrame",
        "description": "One line of a watch stream: panes, windows or sessions, as its `scope` says.",
        "anyOf": frames,
        "$defs": definitions.finish()?,
    }))
}

/// The body of `POST /v1/events`.
pub(super) fn event_envelope() -> anyhow::Result<Value> {
    let mut definitions = Definitions::new("/$defs");
    let envelope = definitions.schema(TypeRef::of::<EventEnvelope>(), Side::Request);
    Ok(json!({
        "$schema": DIALECT,
        "title": "EventEnvelope",
        "$ref": envelope["$ref"],
        "$defs": definitions.finish()?,
    }))
}

/// The settings file, for editors.
pub(super) fn config() -> Value {
    let sections: Map<String, Value> =
        SECTIONS.iter().map(|section| (section.name.to_owned(), config_section(section))).collect();
    json!({
        "$schema": DIALECT,
        "title": "Config",
        "description": "Quarterdeck's settings file.",
        "type": "object",
        "properties": sections,
        "additionalProperties": false,
    })
}

fn config_section(section: &Section) -> Value {
    let entries: Map<String, Value> =
        section.entries.iter().map(|entry| (entry.key.to_owned(), config_entry(entry))).collect();
    json!({
        "description": section.about,
        "type": "object",
        "properties": entries,
        "additionalProperties": false,
    })
}

fn config_entry(entry: &Entry) -> Value {
    let mut schema = match entry.kind {
        Kind::Time { .. } => json!({ "type": "string", "pattern": TIME_PATTERN }),
        Kind::Number { least, most, .. } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Word { words, .. } => json!({ "type": "string", "enum": words }),
        Kind::Text { .. } => json!({ "type": "string", "minLength": 1 }),
        Kind::Flag { .. } => json!({ "type": "boolean" }),
        Kind::Address => json!({ "type": "string" }),
        Kind::Program => json!({
            "type": "array",
            "items": { "type": "string" },
            "maxItems": PROGRAM_WORDS_MAX,
        }),
    };
    schema["description"] = entry.about.into();
    schema["default"] = entry.kind.default_value();
    schema
}
