//! What a hook's payload tells of a permission: the whole request as a person has to see it, the
//! answers that there are, and what a dialog about it must show.

use engine::approval::{Asked, Asking};
use engine::words::{ApprovalKind, Choice};
use serde_json::Value;

use crate::payload;
use crate::redact;

/// Characters of a request by which its dialog is known again.
const MARK_CHARS_MAX: usize = 160;
/// Fewer do not tell one request from another.
const MARK_CHARS_MIN: usize = 2;

/// Somebody is asked for this use of a tool.
pub(crate) fn permission(tool: &str, input: &Value, payload: &Value) -> Asking {
    let (request, marks) = request(input);
    let mut asking = Asking::new(ApprovalKind::Permission, tool, &request);
    asking.marks = marks;
    asking.purpose = payload::text(input, "description").to_owned();
    of(asking, payload)
}

/// With what every payload of a hook tells.
pub(crate) fn of(mut asking: Asking, payload: &Value) -> Asking {
    asking.directory = payload::text(payload, "cwd").to_owned();
    let asker = payload::text(payload, "agent_id");
    asking.asker = (!asker.is_empty()).then(|| asker.to_owned());
    asking
}

/// What a hook about the use of a tool tells, where each event is about one.
pub(crate) fn by_tool(event: &str, tool: &str, input: &Value, payload: &Value) -> Option<Asked> {
    if event.eq_ignore_ascii_case("PermissionRequest") {
        return Some(Asked::For(Box::new(yes_or_no(permission(tool, input, payload)))));
    }
    event.eq_ignore_ascii_case("PostToolUse").then(|| done(tool, input))
}

/// With the answers that every request has.
pub(crate) fn yes_or_no(asking: Asking) -> Asking {
    asking.offering(Choice::Approve, "Yes").offering(Choice::Deny, "No")
}

/// This use of a tool came about.
pub(crate) fn done(tool: &str, input: &Value) -> Asked {
    let (request, _) = request(input);
    Asked::Done { deed: Asking::new(ApprovalKind::Permission, tool, &request).deed() }
}

/// All of what a tool is to do, and by what its dialog is known.
fn request(input: &Value) -> (String, Vec<String>) {
    let field = |name| payload::text(input, name);
    let path = [field("file_path"), field("path"), field("notebook_path")];
    let path = path.into_iter().find(|path| !path.is_empty()).unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    if let Some(command) = input.get("command").and_then(Value::as_str) {
        let patched = command.lines().find_map(|line| {
            let line = line.strip_prefix("*** ")?;
            line.split_once(" File: ").map(|(_, path)| path.rsplit('/').next().unwrap_or(path))
        });
        return (command.to_owned(), marks(patched.unwrap_or(command)));
    }
    if let Some(diff) = input.get("diff").and_then(Value::as_str) {
        return (format!("{path}\n{diff}"), marks(name));
    }
    let (old, new) = (field("old_string"), field("new_string"));
    let changes = !old.is_empty() || !new.is_empty();
    if changes && !path.is_empty() {
        let changed = prefixed('-', old) + &prefixed('+', new);
        let first = new.lines().chain(old.lines()).find(|line| !line.trim().is_empty());
        return (
            format!("{path}\n{changed}"),
            [marks(name), marks(first.unwrap_or_default())].concat(),
        );
    }
    if !path.is_empty()
        && let Some(content) = input.get("content").and_then(Value::as_str)
    {
        return (format!("{path}\n{}", prefixed('+', content)), marks(name));
    }
    if let Some(questions) = input.get("questions").and_then(Value::as_array) {
        return (questions.iter().map(question).collect(), questions_marks(questions));
    }
    if let Some(plan) = input.get("plan").and_then(Value::as_str) {
        return (plan.to_owned(), Vec::new());
    }
    let whole = serde_json::to_string_pretty(input).unwrap_or_default();
    (whole, marks(&payload::tool_input(input)))
}

fn prefixed(sign: char, text: &str) -> String {
    text.lines().map(|line| format!("{sign}{line}\n")).collect()
}

fn question(question: &Value) -> String {
    let mut text = format!("{}\n", payload::text(question, "question"));
    for (label, about) in options(question) {
        text.push_str("- ");
        text.push_str(label);
        if !about.is_empty() {
            text.push_str(": ");
            text.push_str(about);
        }
        text.push('\n');
    }
    text
}

fn questions_marks(questions: &[Value]) -> Vec<String> {
    questions.first().map(|it| marks(payload::text(it, "question"))).unwrap_or_default()
}

/// A question's options: what each is called, and what it means.
pub(crate) fn options(question: &Value) -> impl Iterator<Item = (&str, &str)> {
    let options = question.get("options").and_then(Value::as_array).into_iter().flatten();
    options.map(|it| (payload::text(it, "label"), payload::text(it, "description")))
}

/// A question in a form of its own. Where there are several, or several answers, only the
/// terminal can take them.
pub(crate) fn questions(tool: &str, input: &Value) -> Asking {
    let (text, marks) = request(input);
    let mut asking = Asking::new(ApprovalKind::Question, tool, &text);
    asking.marks = marks;
    let all = input.get("questions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if let [one] = all
        && one.get("multiSelect").and_then(Value::as_bool) != Some(true)
    {
        for (label, _) in options(one) {
            asking = asking.offering(Choice::Option, label);
        }
    }
    asking.offering(Choice::Deny, "Answer nothing")
}

/// What is left of a text that a dialog must show, in pieces between what was redacted.
fn marks(text: &str) -> Vec<String> {
    let beginning: String = text.chars().take(MARK_CHARS_MAX).collect();
    // A mark of what was redacted may have been cut in two.
    let known = beginning.rfind('[').filter(|at| redact::MARK.starts_with(&beginning[*at..]));
    let beginning = &beginning[..known.unwrap_or(beginning.len())];
    let pieces = beginning.split(redact::MARK).map(str::trim);
    pieces.filter(|it| it.chars().count() >= MARK_CHARS_MIN).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn s_13_the_whole_request_is_told_whatever_its_tool() {
        let check = |input: Value, expected: &str| assert_eq!(request(&input).0, expected);
        check(json!({ "command": "a\nb", "description": "why" }), "a\nb");
        check(
            json!({ "file_path": "/d/f", "old_string": "x\ny", "new_string": "z" }),
            "/d/f\n-x\n-y\n+z\n",
        );
        check(json!({ "file_path": "/d/f", "content": "x" }), "/d/f\n+x\n");
        check(json!({ "plan": "1. a" }), "1. a");
        check(json!({ "url": "u", "n": 1 }), "{\n  \"n\": 1,\n  \"url\": \"u\"\n}");
        let options = json!([{ "label": "a", "description": "b" }, { "label": "c" }]);
        check(
            json!({ "questions": [{ "question": "q?", "options": options }] }),
            "q?\n- a: b\n- c\n",
        );
    }

    #[test]
    fn a_dialog_is_known_by_what_was_not_redacted() {
        assert_eq!(marks("curl -H [redacted] https://x"), ["curl -H", "https://x"]);
        let long = format!("{}[redacted] rest", "x".repeat(MARK_CHARS_MAX - 4));
        assert_eq!(marks(&long), ["x".repeat(MARK_CHARS_MAX - 4)]);
        assert_eq!(marks("[redacted]"), Vec::<String>::new());
        let patch = json!({ "command": "*** Begin Patch\n*** Update File: a/notes.txt\n@@" });
        assert_eq!(request(&patch).1, ["notes.txt"]);
    }

    #[test]
    fn only_a_single_question_with_one_answer_is_answered_elsewhere() {
        let one = json!({ "question": "q?", "options": [{ "label": "a" }] });
        let offers = |questions: Value| {
            let asking = questions_of(&questions);
            asking.offers.iter().map(|it| it.choice).collect::<Vec<_>>()
        };
        fn questions_of(list: &Value) -> Asking {
            questions("Ask", &json!({ "questions": list }))
        }
        assert_eq!(offers(json!([one])), [Choice::Option, Choice::Deny]);
        assert_eq!(offers(json!([one, one])), [Choice::Deny]);
        let many = json!({ "question": "q?", "options": [{ "label": "a" }], "multiSelect": true });
        assert_eq!(offers(json!([many])), [Choice::Deny]);
    }
}
