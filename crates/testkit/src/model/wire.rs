//! What the wire formats have in common: an answer as the parts that it is sent in.

use serde_json::Value;

/// A part of a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) text: String,
    /// A word of the model's: before it, the model takes its time.
    pub(super) word: bool,
}

/// The formats that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Anthropic,
    Responses,
    Chat,
    Gemini,
}

/// What stands in every answer about what it cost.
pub(super) const TOKENS_IN: u32 = 1_200;
pub(super) const TOKENS_OUT: u32 = 60;

/// Collects the parts of one answer.
#[derive(Debug, Default)]
pub(super) struct Parts(Vec<Part>);

impl Parts {
    /// A server-sent event without a name.
    pub(super) fn data(&mut self, data: &Value) {
        self.0.push(Part { text: format!("data: {data}\n\n"), word: false });
    }

    /// A server-sent event that is named as its data's own type.
    pub(super) fn event(&mut self, data: &Value) {
        let name = data["type"].as_str().unwrap_or_default();
        self.0.push(Part { text: format!("event: {name}\ndata: {data}\n\n"), word: false });
    }

    /// Lets the model take its time before what was added last.
    pub(super) fn paced(&mut self) {
        if let Some(last) = self.0.last_mut() {
            last.word = true;
        }
    }

    pub(super) fn raw(&mut self, text: &str) {
        self.0.push(Part { text: text.to_owned(), word: false });
    }

    pub(super) fn done(self) -> Vec<Part> {
        self.0
    }
}

/// A text as the pieces in which a model produces it.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(char::is_whitespace)
}

/// The name of a failure with this status, as most providers call it.
pub(super) fn failure_kind(code: u16) -> &'static str {
    match code {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}

pub(super) fn failure_text(code: u16) -> &'static str {
    match code {
        400 => "The script refuses this request.",
        401 => "The script does not know this key.",
        429 => "The script's rate limit was reached.",
        529 => "The script is overloaded.",
        _ => "The script failed.",
    }
}
