//! A request to the model, whichever wire format it came in.

use serde_json::Value;

/// One entry of the conversation so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    User(String),
    Model,
    /// What a tool gave back.
    Result(String),
}

/// A tool that the agent offers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tool {
    pub(super) name: String,
    /// The group that it is offered in, where its caller has to name it.
    pub(super) namespace: Option<String>,
    /// The properties of its input, as a JSON schema.
    pub(super) properties: Value,
    /// Its input is free text.
    pub(super) free: bool,
}

impl Tool {
    pub(super) fn new(name: &Value, schema: &Value) -> Self {
        let name = name.as_str().unwrap_or_default().to_owned();
        Self { name, namespace: None, properties: schema["properties"].clone(), free: false }
    }

    pub(super) fn takes(&self, property: &str) -> bool {
        self.properties.get(property).is_some()
    }
}

/// What the agent asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Asked {
    pub(super) model: String,
    pub(super) streaming: bool,
    pub(super) turns: Vec<Turn>,
    pub(super) tools: Vec<Tool>,
    /// The schema that the answer has to fit, where one is given.
    pub(super) schema: Option<Value>,
}

impl Asked {
    /// Agents also ask beside the conversation: for a title, for the model to take. Those requests
    /// offer no tools, or want an answer of a fixed shape.
    pub(super) fn is_aside(&self) -> bool {
        self.tools.is_empty() || self.schema.is_some()
    }

    /// The newest of the user's texts that holds a script, and what tools gave back since.
    pub(super) fn scripted(&self) -> Option<(&str, Vec<&str>)> {
        let mut results = Vec::new();
        for turn in self.turns.iter().rev() {
            match turn {
                Turn::Result(text) => results.push(text.as_str()),
                Turn::User(text) if text.contains("{{") => return Some((text, results)),
                Turn::User(_) | Turn::Model => {}
            }
        }
        None
    }

    /// The newest of the user's texts.
    pub(super) fn newest(&self) -> &str {
        let texts = self.turns.iter().rev().filter_map(|turn| match turn {
            Turn::User(text) => Some(text.as_str()),
            Turn::Model | Turn::Result(_) => None,
        });
        texts.into_iter().next().unwrap_or_default()
    }

    /// The first of these tools that is offered.
    pub(super) fn tool(&self, names: &[&str]) -> Option<&Tool> {
        names.iter().find_map(|name| self.tools.iter().find(|tool| tool.name == *name))
    }
}

/// The text of a message, which is a string or a list of parts.
pub(super) fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// The entries of a list; none where there is no list.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
