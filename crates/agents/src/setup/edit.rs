//! Changes of JSON settings that keep every other byte: an entry goes in, and out again without a
//! trace.

use std::ops::Range;

use super::json::{self, Kind, Node};

/// A value that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Object(Vec<(String, Self)>),
    Array(Vec<Self>),
    Text(String),
    Number(u64),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Object(members.map(|(key, value)| (key.to_owned(), value)).into())
    }

    /// Whether a value that stands in a text says the same.
    pub(crate) fn is_said_by(&self, node: &Node, text: &str) -> bool {
        match (self, &node.kind) {
            (Self::Object(members), Kind::Object(entries)) => {
                members.len() == entries.len()
                    && members.iter().all(|(key, value)| {
                        node.member(key).is_some_and(|it| value.is_said_by(&it.value, text))
                    })
            }
            (Self::Array(values), Kind::Array(entries)) => {
                values.len() == entries.len()
                    && values
                        .iter()
                        .zip(entries)
                        .all(|(it, entry)| it.is_said_by(&entry.value, text))
            }
            (Self::Text(said), Kind::Text(found)) => said == found,
            (Self::Number(number), Kind::Bare) => text[node.span.clone()] == number.to_string(),
            (Self::Object(_) | Self::Array(_) | Self::Text(_) | Self::Number(_), _) => false,
        }
    }

    fn write(&self, out: &mut String, layout: &Layout<'_>, depth: usize) {
        match self {
            Self::Object(members) => {
                let members = members.iter().map(|(key, value)| (Some(key.as_str()), value));
                write_entries(out, layout, depth, ['{', '}'], members);
            }
            Self::Array(values) => {
                write_entries(out, layout, depth, ['[', ']'], values.iter().map(|it| (None, it)));
            }
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Number(number) => out.push_str(&number.to_string()),
        }
    }
}

fn write_entries<'a>(
    out: &mut String,
    layout: &Layout<'_>,
    depth: usize,
    [open, close]: [char; 2],
    entries: impl Iterator<Item = (Option<&'a str>, &'a Value)>,
) {
    out.push(open);
    let mut empty = true;
    for (key, value) in entries {
        if !empty {
            out.push(',');
        }
        empty = false;
        layout.break_line(out, depth + 1);
        layout.write_entry(out, key, value, depth + 1);
    }
    if !empty {
        layout.break_line(out, depth);
    }
    out.push(close);
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// How new lines are laid out: as those around them.
struct Layout<'a> {
    newline: &'a str,
    /// One step of indentation; none where everything stands on one line.
    step: Option<&'a str>,
    /// The indentation of the line in which the surrounding container begins.
    base: &'a str,
}

impl<'a> Layout<'a> {
    /// The layout inside of a container.
    fn inside(text: &'a str, root: &Node, container: &Node) -> Self {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let base = indentation(text, container.span.start);
        let entries = container.entries();
        let lines = match entries.first() {
            Some(first) => begins_line(text, first.start),
            None => root.entries().first().is_none_or(|first| begins_line(text, first.start)),
        };
        let step = root.entries().first().map(|first| indentation(text, first.start));
        let step = step.filter(|step| !step.is_empty()).unwrap_or("  ");
        Self { newline, step: lines.then_some(step), base }
    }

    fn break_line(&self, out: &mut String, depth: usize) {
        if let Some(step) = self.step {
            out.push_str(self.newline);
            out.push_str(self.base);
            out.push_str(&step.repeat(depth));
        }
    }

    fn write_entry(&self, out: &mut String, key: Option<&str>, value: &Value, depth: usize) {
        if let Some(key) = key {
            out.push_str(&quoted(key));
            out.push_str(if self.step.is_some() { ": " } else { ":" });
        }
        value.write(out, self, depth);
    }
}

/// The blanks at the beginning of the line in which a place lies.
fn indentation(text: &str, at: usize) -> &str {
    let start = text[..at].rfind(['\n', '\r']).map_or(0, |end| end + 1);
    let line = &text[start..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

fn begins_line(text: &str, at: usize) -> bool {
    let before = text[..at].trim_end_matches([' ', '\t']);
    before.ends_with(['\n', '\r'])
}

/// A text with an entry more at the end of a container.
pub(crate) fn appended(
    text: &str,
    root: &Node,
    container: &Node,
    key: Option<&str>,
    value: &Value,
) -> String {
    let inner_end = container.span.end - 1;
    let last = container.entries().last();
    let behind =
        last.map_or(container.span.start + 1, |it| it.comma.map_or(it.value.span.end, after));
    let at = json::end_of_comments(text, behind, inner_end);
    let mut layout = Layout::inside(text, root, container);
    if layout.step.is_none() && json::ends_in_line_comment(text, behind, at) {
        // It would become part of that comment.
        layout.step = Some("  ");
    }
    let mut entry = String::new();
    layout.break_line(&mut entry, 1);
    layout.write_entry(&mut entry, key, value, 1);
    if last.is_some_and(|it| it.comma.is_some()) {
        entry.push(',');
    }
    if last.is_none() && !text[at..inner_end].contains(['\n', '\r']) {
        layout.break_line(&mut entry, 0);
    }
    let comma = if last.is_some_and(|it| it.comma.is_none()) { "," } else { "" };
    [&text[..behind], comma, &text[behind..at], &entry, &text[at..]].concat()
}

const fn after(at: usize) -> usize {
    at + 1
}

/// A text with another value in the place of one.
pub(crate) fn replaced(text: &str, root: &Node, place: &Node, value: &Value) -> String {
    let lines = text[place.span.clone()].contains(['\n', '\r']);
    let mut layout = Layout::inside(text, root, root);
    layout.base = indentation(text, place.span.start);
    layout.step = if lines { layout.step.or(Some("  ")) } else { None };
    let mut written = String::new();
    value.write(&mut written, &layout, 0);
    [&text[..place.span.start], &written, &text[place.span.end..]].concat()
}

/// A text without an entry of a container. If nothing is left in the container, `emptied` is what
/// stands between its brackets.
pub(crate) fn removed(text: &str, container: &Node, index: usize, emptied: &str) -> String {
    let entries = container.entries();
    let entry = &entries[index];
    let before = index.checked_sub(1).and_then(|it| entries.get(it));
    let behind =
        before.map_or(container.span.start + 1, |it| it.comma.map_or(it.value.span.end, after));
    let mut start = json::end_of_comments(text, behind, entry.start);
    let end = entry.comma.map_or(entry.value.span.end, after);
    let rest = &text[end..];
    let blanks = &rest[..rest.len() - rest.trim_start().len()];
    if json::ends_in_line_comment(text, behind, start) && !blanks.contains(['\n', '\r']) {
        // What follows must not become part of that comment.
        start = entry.start;
    }
    let rest = [&text[..start], &text[end..]].concat();
    if entries.len() == 1 {
        let inside = container.span.start + 1..container.span.end - 1 - (end - start);
        return tidied(&rest, inside, emptied);
    }
    match before.and_then(|it| it.comma).filter(|_| entry.comma.is_none()) {
        // It was only needed before this entry.
        Some(comma) => [&rest[..comma], &rest[after(comma)..]].concat(),
        None => rest,
    }
}

/// A container without its only entry: blanks that are left in it belonged to the entry.
fn tidied(rest: &str, inside: Range<usize>, emptied: &str) -> String {
    if rest[inside.clone()].trim() == emptied.trim() {
        return [&rest[..inside.start], emptied, &rest[inside.end..]].concat();
    }
    rest.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, value: &Value) -> String {
        let root = json::parse(text).unwrap();
        appended(text, &root, &root, Some("new"), value)
    }

    fn without(text: &str) -> String {
        let root = json::parse(text).unwrap();
        removed(text, &root, root.entries().len() - 1, "")
    }

    #[test]
    fn an_entry_goes_in_as_its_neighbours_stand_and_out_without_a_trace() {
        let value = Value::object([("a", Value::Number(1))]);
        for (text, expected) in [
            ("{}", "{\n  \"new\": {\n    \"a\": 1\n  }\n}"),
            ("{\"b\":2}", "{\"b\":2,\"new\":{\"a\":1}}"),
            ("{ \"b\": 2 }", "{ \"b\": 2,\"new\":{\"a\":1} }"),
            ("{\n\t\"b\": 2\n}\n", "{\n\t\"b\": 2,\n\t\"new\": {\n\t\t\"a\": 1\n\t}\n}\n"),
            (
                "{\r\n    \"b\": 2\r\n}",
                "{\r\n    \"b\": 2,\r\n    \"new\": {\r\n        \"a\": 1\r\n    }\r\n}",
            ),
            (
                "{\n  \"b\": 2 // two\n}",
                "{\n  \"b\": 2, // two\n  \"new\": {\n    \"a\": 1\n  }\n}",
            ),
            ("{\n  \"b\": 2,\n}", "{\n  \"b\": 2,\n  \"new\": {\n    \"a\": 1\n  },\n}"),
            ("{\"b\":2 // two\n}", "{\"b\":2, // two\n  \"new\": {\n    \"a\": 1\n  }\n}"),
        ] {
            let changed = with(text, &value);
            assert_eq!(changed, expected);
            assert_eq!(without(&changed), text);
        }
    }

    #[test]
    fn a_comment_in_an_empty_container_stays() {
        let text = "{\n  // nothing yet\n}";
        let changed = with(text, &Value::Number(1));
        assert_eq!(changed, "{\n  // nothing yet\n  \"new\": 1\n}");
        assert_eq!(without(&changed), text);
    }

    #[test]
    fn a_value_is_replaced_as_it_stood() {
        let check = |text: &str, expected: &str| {
            let root = json::parse(text).unwrap();
            let place = &root.entries()[0].value;
            let value = Value::object([("a", Value::Number(2))]);
            assert_eq!(replaced(text, &root, place, &value), expected);
        };
        check("{\n \"x\": {\n  \"a\": 1\n }\n}", "{\n \"x\": {\n  \"a\": 2\n }\n}");
        check("{\n \"x\": {\"a\": 1}\n}", "{\n \"x\": {\"a\":2}\n}");
    }
}
