//! Answers as an agent's own hook gives them: which hooks may wait for one, and what they print.
//!
//! Only what an agent documents is printed, and only for an answer that somebody gave: a hook that
//! got none prints nothing, and the agent asks in its terminal.

use engine::words::ApprovalKind;
pub use engine::words::Choice;
use serde_json::{Map, Value, json};

use crate::{asking, payload};

/// Whether an agent shows its dialog while its hook waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Beside the hook: whoever answers first, wins.
    Beside,
    /// Only once the hook has ended without an answer.
    Instead,
}

/// How long an agent is told to let such a hook run: beside its dialog as long as an approval can
/// be answered; instead of it a little longer than the daemon ever holds it.
pub(crate) const BESIDE_SECONDS: u64 = 24 * 60 * 60;
pub(crate) const INSTEAD_SECONDS: u64 = 11 * 60;

/// An answer for a hook to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub choice: Choice,
    /// Which of a question's options, counted from 1.
    pub option: Option<u32>,
    /// Where it has several parts, or takes several: of each part, which.
    pub picks: Vec<Vec<u32>>,
    pub message: Option<String>,
}

/// What a denial says that comes without a word.
const DENIED: &str = "The user said no to this.";

/// The hooks that can answer, by agent and event. The script that speaks for them on other machines
/// has the same list.
const HELD: [(&str, &str, Hold); 5] = [
    ("claude", "PermissionRequest", Hold::Beside),
    ("codex", "PermissionRequest", Hold::Instead),
    ("copilot", "permissionRequest", Hold::Instead),
    // Plugins of before read no answer, and would wait for the end of a hook that waits.
    ("opencode", "permission.asked.waits", Hold::Beside),
    ("opencode", "question.asked.waits", Hold::Beside),
];

/// Whether the hook of this agent at this event can answer, and what it hides meanwhile.
pub fn hold(agent: &str, event: &str) -> Option<Hold> {
    let mut held = HELD.iter().filter(|(of, _, _)| *of == agent);
    held.find(|(_, name, _)| name.eq_ignore_ascii_case(event)).map(|(_, _, hold)| *hold)
}

/// Whether a no to this can take a word along.
pub fn takes_word(agent: &str, kind: ApprovalKind) -> bool {
    agent != "opencode" || kind != ApprovalKind::Question
}

/// What the hook prints for an answer to what it was told; nothing where it has no way to say it.
pub fn printed(agent: &str, payload: &Value, reply: &Reply) -> Option<String> {
    let decision = match agent {
        "claude" => claude(payload, reply)?,
        "codex" => plain(reply)?,
        "copilot" => return plain(reply).map(|it| it.to_string()),
        "opencode" => return opencode(payload, reply).map(|it| it.to_string()),
        _ => return None,
    };
    let output = json!({
        "hookSpecificOutput": { "hookEventName": "PermissionRequest", "decision": decision }
    });
    Some(output.to_string())
}

/// What a hook can say about what it was told. Its agent's dialog may offer more.
pub fn sayable(agent: &str, payload: &Value) -> Vec<Choice> {
    let asked = match agent {
        "opencode" => "/properties/questions",
        _ => "/tool_input/questions",
    };
    let parts = payload.pointer(asked).and_then(Value::as_array).map_or(0, Vec::len);
    let says = |choice: &Choice| {
        let picks = vec![vec![1]; parts];
        let reply = Reply { choice: *choice, option: None, picks, message: None };
        printed(agent, payload, &reply).is_some()
    };
    Choice::ALL.iter().copied().filter(says).collect()
}

fn plain(reply: &Reply) -> Option<Value> {
    match reply.choice {
        Choice::Approve => Some(json!({ "behavior": "allow" })),
        Choice::Deny => {
            let message = reply.message.as_deref().unwrap_or(DENIED);
            Some(json!({ "behavior": "deny", "message": message }))
        }
        Choice::ApproveSession | Choice::ApproveAlways | Choice::Option => None,
    }
}

/// What its plugin passes on to it. No without a word ends the turn, as in the dialog.
fn opencode(payload: &Value, reply: &Reply) -> Option<Value> {
    if let Some(questions) = payload.pointer("/properties/questions") {
        return match (reply.choice, &reply.message) {
            (Choice::Option, _) => {
                Some(json!({ "answers": chosen(questions.as_array()?, reply)? }))
            }
            (Choice::Deny, None) => Some(json!({ "rejected": true })),
            (
                Choice::Deny | Choice::Approve | Choice::ApproveSession | Choice::ApproveAlways,
                _,
            ) => None,
        };
    }
    match (reply.choice, &reply.message) {
        (Choice::Approve, _) => Some(json!({ "reply": "once" })),
        (Choice::Deny, None) => Some(json!({ "reply": "reject" })),
        (Choice::Deny, Some(message)) => Some(json!({ "reply": "reject", "message": message })),
        (Choice::ApproveSession | Choice::ApproveAlways | Choice::Option, _) => None,
    }
}

fn claude(payload: &Value, reply: &Reply) -> Option<Value> {
    match reply.choice {
        Choice::Approve => Some(json!({ "behavior": "allow" })),
        Choice::ApproveSession | Choice::ApproveAlways => {
            let updates = lasting(payload, reply.choice);
            (!updates.is_empty())
                .then(|| json!({ "behavior": "allow", "updatedPermissions": updates }))
        }
        // As in the dialog, no without a word ends the turn.
        Choice::Deny => Some(json!({
            "behavior": "deny",
            "message": reply.message.as_deref().unwrap_or(DENIED),
            "interrupt": reply.message.is_none(),
        })),
        Choice::Option => answered(payload, reply),
    }
}

/// The grants that Claude suggests itself, for its session or for longer.
pub(crate) fn lasting(payload: &Value, choice: Choice) -> Vec<&Value> {
    let suggested = payload.get("permission_suggestions").and_then(Value::as_array);
    let for_session = |it: &&Value| payload::text(it, "destination") == "session";
    let suggested = suggested.into_iter().flatten();
    suggested.filter(|it| for_session(it) == (choice == Choice::ApproveSession)).collect()
}

/// How Claude itself sets several answers to one question into one text.
const BETWEEN: &str = ", ";

fn answered(payload: &Value, reply: &Reply) -> Option<Value> {
    let questions = payload.pointer("/tool_input/questions")?.as_array()?;
    let mut answers = Map::new();
    for (question, labels) in questions.iter().zip(chosen(questions, reply)?) {
        let asked = payload::text(question, "question").to_owned();
        // Two questions of the same words would share one answer.
        let unlike = answers.insert(asked, labels.join(BETWEEN).into());
        unlike.is_none().then_some(())?;
    }
    let updated = json!({ "questions": questions, "answers": answers });
    Some(json!({ "behavior": "allow", "updatedInput": updated }))
}

/// What is chosen of each question's options; nothing where one of them cannot be answered so.
fn chosen<'q>(questions: &'q [Value], reply: &Reply) -> Option<Vec<Vec<&'q str>>> {
    let one = reply.option.map(|nth| vec![vec![nth]]);
    let picks = one.as_deref().unwrap_or(&reply.picks);
    let all = questions.iter().zip(picks).map(|(question, picks)| labels(question, picks));
    if picks.len() == questions.len() { all.collect() } else { None }
}

fn labels<'q>(question: &'q Value, picks: &[u32]) -> Option<Vec<&'q str>> {
    let mut nths: Vec<usize> =
        picks.iter().map(|nth| usize::try_from(nth.checked_sub(1)?).ok()).collect::<Option<_>>()?;
    nths.sort_unstable();
    let given = nths.len();
    nths.dedup();
    let fits = nths.len() == given && (given == 1 || given > 1 && asking::takes_several(question));
    let options: Vec<&str> = asking::options(question).map(|(label, _)| label).collect();
    let labels = nths.iter().map(|nth| options.get(*nth).copied()).collect::<Option<Vec<_>>>()?;
    fits.then_some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(choice: Choice) -> Reply {
        Reply { choice, option: None, picks: Vec::new(), message: None }
    }

    fn said(agent: &str, payload: &Value, reply: &Reply) -> Value {
        serde_json::from_str(&printed(agent, payload, reply).unwrap()).unwrap()
    }

    #[test]
    fn each_agent_is_answered_in_its_own_words() {
        let none = Value::Null;
        let decision = |value: &Value| value["hookSpecificOutput"]["decision"].clone();
        for agent in ["claude", "codex"] {
            let value = said(agent, &none, &reply(Choice::Approve));
            assert_eq!(decision(&value), json!({ "behavior": "allow" }));
            assert_eq!(value["hookSpecificOutput"]["hookEventName"], "PermissionRequest");
        }
        assert_eq!(said("copilot", &none, &reply(Choice::Approve)), json!({ "behavior": "allow" }));
        let no = Reply { message: Some("not \"this\"".to_owned()), ..reply(Choice::Deny) };
        let claude = decision(&said("claude", &none, &no));
        assert_eq!(
            claude,
            json!({ "behavior": "deny", "message": "not \"this\"", "interrupt": false })
        );
        let codex = decision(&said("codex", &none, &no));
        assert_eq!(codex, json!({ "behavior": "deny", "message": "not \"this\"" }));
        assert_eq!(printed("gemini", &none, &reply(Choice::Approve)), None);
        assert_eq!(printed("codex", &none, &reply(Choice::ApproveAlways)), None);
    }

    #[test]
    fn a_lasting_grant_is_what_claude_suggested_and_nothing_else() {
        let payload = json!({ "permission_suggestions": [
            { "type": "setMode", "mode": "acceptEdits", "destination": "session" },
            { "type": "addRules", "destination": "localSettings" },
        ]});
        let updates = |choice| {
            let value = said("claude", &payload, &reply(choice));
            value["hookSpecificOutput"]["decision"]["updatedPermissions"].clone()
        };
        assert_eq!(updates(Choice::ApproveSession)[0]["type"], "setMode");
        assert_eq!(updates(Choice::ApproveAlways)[0]["type"], "addRules");
        assert_eq!(printed("claude", &Value::Null, &reply(Choice::ApproveAlways)), None);
    }

    #[test]
    fn a_hook_says_only_what_its_request_lets_it_say() {
        let session = json!({ "type": "setMode", "mode": "acceptEdits", "destination": "session" });
        let payload = json!({ "permission_suggestions": [session] });
        assert_eq!(
            sayable("claude", &payload),
            [Choice::Approve, Choice::ApproveSession, Choice::Deny],
            "the dialog's lasting grant was not suggested to the hook"
        );
        assert_eq!(sayable("codex", &payload), [Choice::Approve, Choice::Deny]);
        assert!(sayable("gemini", &payload).is_empty());
    }

    #[test]
    fn the_plugin_is_told_yes_no_and_a_word() {
        let no = Reply { message: Some("not \"so\"".into()), ..reply(Choice::Deny) };
        assert_eq!(
            said("opencode", &Value::Null, &reply(Choice::Approve)),
            json!({ "reply": "once" })
        );
        assert_eq!(
            said("opencode", &Value::Null, &reply(Choice::Deny)),
            json!({ "reply": "reject" })
        );
        let told = said("opencode", &Value::Null, &no);
        assert_eq!(told, json!({ "reply": "reject", "message": "not \"so\"" }));
        assert_eq!(sayable("opencode", &Value::Null), [Choice::Approve, Choice::Deny]);
    }

    #[test]
    fn a_question_is_answered_with_the_label_of_its_option() {
        let payload = json!({ "tool_input": { "questions": [
            { "question": "Which?", "options": [{ "label": "Red" }, { "label": "Blue" }] }
        ]}});
        let answer = |option| Reply { option: Some(option), ..reply(Choice::Option) };
        let value = said("claude", &payload, &answer(2));
        let updated = &value["hookSpecificOutput"]["decision"]["updatedInput"];
        assert_eq!(updated["answers"], json!({ "Which?": "Blue" }));
        assert_eq!(updated["questions"], payload["tool_input"]["questions"]);
        assert_eq!(printed("claude", &payload, &answer(3)), None);
        assert_eq!(printed("claude", &payload, &answer(0)), None);
    }

    #[test]
    fn all_parts_of_a_question_are_answered_at_once_or_none() {
        let options = json!([{ "label": "Red" }, { "label": "Blue" }, { "label": "Green" }]);
        let payload = json!({ "tool_input": { "questions": [
            { "question": "Which?", "options": options },
            { "question": "And which?", "options": options, "multiSelect": true },
        ]}});
        let answer = |picks: &[&[u32]]| {
            let picks = picks.iter().map(|part| part.to_vec()).collect();
            printed("claude", &payload, &Reply { picks, ..reply(Choice::Option) })
        };
        let value: Value = serde_json::from_str(&answer(&[&[2], &[3, 1]]).unwrap()).unwrap();
        let updated = &value["hookSpecificOutput"]["decision"]["updatedInput"];
        assert_eq!(updated["answers"], json!({ "Which?": "Blue", "And which?": "Red, Green" }));
        assert_eq!(updated["questions"], payload["tool_input"]["questions"]);
        let wrong: [&[&[u32]]; 7] = [
            &[],
            &[&[1]],
            &[&[1, 2], &[1]],
            &[&[1], &[]],
            &[&[1], &[2, 2]],
            &[&[1], &[4]],
            &[&[0], &[1]],
        ];
        for picks in wrong {
            assert_eq!(answer(picks), None, "{picks:?}");
        }
        assert_eq!(sayable("claude", &payload), [Choice::Approve, Choice::Deny, Choice::Option]);
        let mut alike = payload.clone();
        alike["tool_input"]["questions"][0]["question"] = json!("And which?");
        assert_eq!(sayable("claude", &alike), [Choice::Approve, Choice::Deny]);
    }

    #[test]
    fn the_plugin_is_told_what_is_chosen_of_each_question() {
        let options = json!([{ "label": "Red" }, { "label": "Blue" }, { "label": "Green" }]);
        let asked = |questions: Value| json!({ "properties": { "questions": questions } });
        let one = asked(json!([{ "question": "Which?", "options": options }]));
        let pick = |picks: &[&[u32]]| {
            let picks = picks.iter().map(|part| part.to_vec()).collect();
            Reply { picks, ..reply(Choice::Option) }
        };
        let second = Reply { option: Some(2), ..reply(Choice::Option) };
        assert_eq!(said("opencode", &one, &second), json!({ "answers": [["Blue"]] }));
        assert_eq!(said("opencode", &one, &reply(Choice::Deny)), json!({ "rejected": true }));
        let word = Reply { message: Some("why".into()), ..reply(Choice::Deny) };
        assert_eq!(printed("opencode", &one, &word), None);
        assert!(!takes_word("opencode", ApprovalKind::Question));
        assert!(takes_word("opencode", ApprovalKind::Permission));
        assert!(takes_word("claude", ApprovalKind::Question));
        assert_eq!(printed("opencode", &one, &pick(&[&[1, 2]])), None);
        assert_eq!(sayable("opencode", &one), [Choice::Deny, Choice::Option]);
        let both = asked(json!([
            { "question": "Which?", "options": options },
            { "question": "And which?", "options": options, "multiple": true },
        ]));
        let said = said("opencode", &both, &pick(&[&[1], &[3, 1]]));
        assert_eq!(said, json!({ "answers": [["Red"], ["Red", "Green"]] }));
        assert_eq!(printed("opencode", &both, &second), None);
    }

    #[test]
    fn the_script_holds_the_same_hooks() {
        let script = crate::setup::HOOK;
        let (_, list) = script.split_once("is_question() {").unwrap();
        let (list, _) = list.split_once("*)").unwrap();
        let words = list.split(|it: char| it.is_whitespace() || "|);".contains(it));
        let mut named: Vec<(&str, &str)> = words.filter_map(|it| it.split_once(':')).collect();
        named.retain(|named| *named != ("$agent", "$event"));
        named.sort_unstable();
        let held: Vec<_> = HELD.iter().map(|(agent, event, _)| (*agent, *event)).collect();
        assert_eq!(named, held);
    }

    #[test]
    fn only_hooks_that_can_answer_are_held() {
        assert_eq!(hold("claude", "permissionrequest"), Some(Hold::Beside));
        assert_eq!(hold("codex", "PermissionRequest"), Some(Hold::Instead));
        assert_eq!(hold("opencode", "permission.asked.waits"), Some(Hold::Beside));
        assert_eq!(hold("opencode", "permission.asked"), None);
        assert_eq!(hold("opencode", "question.asked.waits"), Some(Hold::Beside));
        assert_eq!(hold("gemini", "Notification"), None);
        assert_eq!(hold("claude", "Stop"), None);
    }
}
