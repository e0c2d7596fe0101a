//! What a hook's payload tells of a permission: the whole request as a person has to see it, the
//! answers that there are, and what a dialog about it must show.

use std::collections::BTreeSet;

use engine::approval::{Asked, Asking, Form, Part, PartOption};
use engine::limits;
use engine::words::{ApprovalKind, Choice, TerminalOnly};
use serde_json::Value;

use crate::payload;

/// Somebody is asked for this use of a tool.
pub(crate) fn permission(tool: &str, input: &Value, payload: &Value) -> Asking {
    let (request, form) = request(input);
    let mut asking = Asking::new(ApprovalKind::Permission, tool, &request);
    asking.form = form;
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

/// What a hook about the use of a tool tells, where each event is about one. No dialog stands beside
/// such a hook that waits.
pub(crate) fn by_tool(event: &str, tool: &str, input: &Value, payload: &Value) -> Option<Asked> {
    if event.eq_ignore_ascii_case("PermissionRequest") {
        let asking = Asking { hidden: true, ..permission(tool, input, payload) };
        return Some(Asked::For(Box::new(yes_or_no(asking))));
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

/// All of what a tool is to do, and what that is.
fn request(input: &Value) -> (String, Option<Form>) {
    let field = |name| payload::text(input, name);
    let path = ["file_path", "filepath", "path", "notebook_path"].map(field);
    let path = path.into_iter().find(|path| !path.is_empty()).unwrap_or_default();
    if let Some(command) = input.get("command").and_then(Value::as_str) {
        let patches = command.trim_start().starts_with(PATCH);
        let form = if patches { Form::Patch } else { Form::Command };
        return (command.to_owned(), Some(form));
    }
    if let Some(diff) = input.get("diff").and_then(Value::as_str) {
        return (format!("{path}\n{diff}"), Some(Form::Diff));
    }
    let (old, new) = (field("old_string"), field("new_string"));
    let changes = !old.is_empty() || !new.is_empty();
    if changes && !path.is_empty() {
        let changed = prefixed('-', old) + &prefixed('+', new);
        return (format!("{path}\n{changed}"), Some(Form::Edit));
    }
    if !path.is_empty()
        && let Some(content) = input.get("content").and_then(Value::as_str)
    {
        return (format!("{path}\n{}", prefixed('+', content)), Some(Form::Write));
    }
    if let Some(questions) = input.get("questions").and_then(Value::as_array) {
        return (questions.iter().map(question).collect(), Some(Form::Question));
    }
    if let Some(plan) = input.get("plan").and_then(Value::as_str) {
        return (plan.to_owned(), Some(Form::Plan));
    }
    (serde_json::to_string_pretty(input).unwrap_or_default(), None)
}

/// How a patch begins that a tool takes as its command.
const PATCH: &str = "*** Begin Patch";

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

/// A question's options: what each is called, and what it means.
pub(crate) fn options(question: &Value) -> impl Iterator<Item = (&str, &str)> {
    let options = question.get("options").and_then(Value::as_array).into_iter().flatten();
    options.map(|it| (payload::text(it, "label"), payload::text(it, "description")))
}

/// A question in a form of its own. Where there are several, or several answers, no dialog is
/// answered from elsewhere: only a hook that waits can take all of them at once.
pub(crate) fn questions(tool: &str, input: &Value) -> Asking {
    let (text, form) = request(input);
    let mut asking = Asking::new(ApprovalKind::Question, tool, &text);
    asking.form = form;
    let all = input.get("questions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    match all {
        [one] if takes_several(one) => {
            asking.terminal_only = Some(TerminalOnly::SeveralAnswers);
            asking.parts = parts(all);
        }
        [one] => {
            for (label, _) in options(one) {
                asking = asking.offering(Choice::Option, label);
            }
        }
        [] => {}
        [_, _, ..] => {
            asking.terminal_only = Some(TerminalOnly::SeveralQuestions);
            asking.parts = parts(all);
        }
    }
    asking.offering(Choice::Deny, "Answer nothing")
}

/// What is asked together, whole and told apart by its words; else nothing: nobody answers what they
/// do not see, and an answer is given by the question's words.
fn parts(questions: &[Value]) -> Vec<Part> {
    let parts: Vec<Part> = questions.iter().map(part).collect();
    let all = parts.iter().flat_map(|part| {
        let texts = part.options.iter().flat_map(|it| [&it.label, &it.about]);
        texts.chain([&part.question])
    });
    let is_short = all.map(String::len).all(|bytes| bytes <= limits::PART_BYTES_MAX);
    let is_known = |part: &Part| {
        let labels = part.options.iter().map(|it| it.label.as_str());
        (1..=limits::PART_OPTIONS_MAX).contains(&part.options.len()) && are_unlike(labels)
    };
    let is_whole = parts.len() <= limits::PARTS_MAX
        && is_short
        && parts.iter().all(is_known)
        && are_unlike(parts.iter().map(|part| part.question.as_str()));
    if is_whole { parts } else { Vec::new() }
}

fn part(question: &Value) -> Part {
    let option = |(label, about): (&str, &str)| PartOption {
        label: label.to_owned(),
        about: about.to_owned(),
    };
    Part {
        question: payload::text(question, "question").to_owned(),
        options: options(question).map(option).collect(),
        several: takes_several(question),
    }
}

/// Whether more than one of its options may be chosen.
pub(crate) fn takes_several(question: &Value) -> bool {
    ["multiSelect", "multiple"]
        .iter()
        .any(|name| question.get(*name).and_then(Value::as_bool) == Some(true))
}

/// Whether all of them say something, and none the same as another.
fn are_unlike<'a>(texts: impl Iterator<Item = &'a str>) -> bool {
    let mut seen = BTreeSet::new();
    texts.into_iter().all(|text| !text.trim().is_empty() && seen.insert(text))
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
    fn only_a_single_question_with_one_answer_is_answered_in_its_dialog() {
        let one = json!({ "question": "q?", "options": [{ "label": "a" }] });
        let offers = |questions: Value| {
            let asking = questions_of(&questions);
            let choices = asking.offers.iter().map(|it| it.choice).collect::<Vec<_>>();
            (choices, asking.terminal_only)
        };
        fn questions_of(list: &Value) -> Asking {
            questions("Ask", &json!({ "questions": list }))
        }
        let no = vec![Choice::Deny];
        assert_eq!(offers(json!([one])), (vec![Choice::Option, Choice::Deny], None));
        let several = Some(TerminalOnly::SeveralQuestions);
        assert_eq!(offers(json!([one, one])), (no.clone(), several));
        let many = json!({ "question": "q?", "options": [{ "label": "a" }], "multiSelect": true });
        assert_eq!(offers(json!([many])), (no, Some(TerminalOnly::SeveralAnswers)));
        let parts = |questions: Value| questions_of(&questions).parts.len();
        let other = json!({ "question": "r?", "options": [{ "label": "a" }] });
        let same = json!({ "question": "r?", "options": [{ "label": "a" }, { "label": "a" }] });
        let long = json!({ "question": "r?", "options": [{ "label": "a".repeat(4_096) }] });
        assert_eq!(
            [parts(json!([one])), parts(json!([many])), parts(json!([one, other]))],
            [0, 1, 2]
        );
        for unknown in [json!([one, one]), json!([one, same]), json!([one, long]), json!([one, {}])]
        {
            assert_eq!(parts(unknown), 0, "what cannot be told apart or shown is not answered");
        }
    }
}
