//! What is taken from a payload: texts by name, and a tool's input in a few words.

use serde_json::Value;

/// Characters of a question, a permission or a tool's input that are kept.
const SHORT_CHARS_MAX: usize = 240;
/// Characters of a message that are kept.
const LONG_CHARS_MAX: usize = 2_000;

/// Where a tool's input says what the tool works on, the most telling first.
const TELLING_FIELDS: &[&str] = &[
    "command",
    "cmd",
    "file_path",
    "path",
    "notebook_path",
    "plan",
    "question",
    "url",
    "query",
    "pattern",
    "description",
    "prompt",
    "name",
];

/// The text of a field; empty if it has none.
pub(crate) fn text<'a>(payload: &'a Value, field: &str) -> &'a str {
    payload.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The text that lies below several fields.
pub(crate) fn text_at<'a>(payload: &'a Value, path: &str) -> &'a str {
    payload.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// A number as it is shown; empty if there is none.
pub(crate) fn count_at(payload: &Value, path: &str) -> String {
    let number = payload.pointer(path).and_then(Value::as_u64);
    number.map(|number| number.to_string()).unwrap_or_default()
}

/// Dollars in millionths, as costs are kept; empty if there is no sum that one can pay.
pub(crate) fn cost_at(payload: &Value, path: &str) -> String {
    let dollars = payload.pointer(path).and_then(Value::as_f64);
    let payable = dollars.filter(|sum| (0.0..1.0e9).contains(sum));
    payable.map(|sum| format!("{:.0}", sum * 1.0e6)).unwrap_or_default()
}

/// One line that says it in short.
pub(crate) fn short(text: &str) -> String {
    cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), SHORT_CHARS_MAX)
}

/// A message, cut where it becomes too long to keep.
pub(crate) fn long(text: &str) -> String {
    cut(text.trim(), LONG_CHARS_MAX)
}

fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What a tool works on, in short.
pub(crate) fn tool_input(input: &Value) -> String {
    let questions = input.get("questions").and_then(Value::as_array);
    if let Some(questions) = questions {
        let asked: Vec<&str> = questions.iter().map(|it| text(it, "question")).collect();
        return short(&asked.join(" "));
    }
    let named = TELLING_FIELDS.iter().map(|field| text(input, field));
    let found = named.chain(input.as_str()).find(|text| !text.is_empty());
    short(found.unwrap_or_default())
}

/// A permission, as a person would name it.
pub(crate) fn ask(tool: &str, input: &str) -> String {
    match (tool, input) {
        (tool, "") => tool.to_owned(),
        ("", input) => input.to_owned(),
        (tool, input) => format!("{tool}: {input}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tools_input_is_told_by_its_most_telling_field() {
        let check = |input: Value, expected: &str| assert_eq!(tool_input(&input), expected);
        check(json!({ "description": "why", "command": "touch\n  a" }), "touch a");
        check(json!({ "file_path": "/a", "old_string": "x" }), "/a");
        check(json!({ "questions": [{ "question": "Which?" }, {}] }), "Which?");
        check(json!("plain"), "plain");
        check(json!({ "timeout": 3 }), "");
        check(Value::Null, "");
    }

    #[test]
    fn texts_are_cut_at_a_character() {
        let long = "ü".repeat(SHORT_CHARS_MAX + 1);
        assert_eq!(short(&long).chars().count(), SHORT_CHARS_MAX + 1);
        assert!(short(&long).ends_with('…'));
    }

    #[test]
    fn costs_are_kept_in_millionths() {
        assert_eq!(cost_at(&json!({ "cost": 0.0125 }), "/cost"), "12500");
        assert_eq!(cost_at(&json!({ "cost": -1.0 }), "/cost"), "");
        assert_eq!(cost_at(&json!({ "cost": "1" }), "/cost"), "");
    }
}
