//! Recorded dialogs: what they ask, what answers them, and for which recorded request they stand.

use agents::dialog::Dialog;
use agents::registry::Registry;
use agents::screen::{Line, Screen};
use engine::approval::{Asked, Asking};
use engine::words::{ApprovalKind, Choice};
use serde_json::Value;

use crate::corpus::{Recording, recordings};

fn recording(agent: &str) -> Recording {
    recordings().into_iter().find(|it| it.agent == agent).unwrap()
}

fn dialog(agent: &str, screen: &str) -> Option<Dialog> {
    let registry = Registry::built_in();
    registry.get(agent).unwrap().dialog(&recording(agent).screen(screen))
}

fn asking(agent: &str, hook: &str) -> Asking {
    let registry = Registry::built_in();
    let event = hook.split('.').next().unwrap();
    match registry.get(agent).unwrap().asks(event, &recording(agent).payload(hook)).unwrap() {
        Asked::For(asking) => *asking,
        Asked::Done { .. } => panic!("{hook} asks nothing"),
    }
}

fn keys(dialog: &Dialog, choice: Choice, option: Option<u32>) -> String {
    dialog.press(choice, option).map(|it| it.keys.join(" ")).unwrap_or_default()
}

#[test]
fn every_recorded_dialog_is_answered_by_its_agents_own_keys() {
    let check = |agent: &str, screen: &str, expected: [&str; 4]| {
        let dialog = dialog(agent, screen).unwrap_or_else(|| panic!("{agent} {screen}"));
        let choices =
            [Choice::Approve, Choice::ApproveSession, Choice::ApproveAlways, Choice::Deny];
        let pressed = choices.map(|choice| keys(&dialog, choice, None));
        assert_eq!(pressed, expected, "{agent} {screen}");
    };
    check("claude", "permission-shell", ["1", "", "2", "Escape"]);
    check("claude", "permission-while-hook-runs", ["1", "", "2", "Escape"]);
    check("claude", "permission-edit", ["1", "2", "", "Escape"]);
    check("claude", "plan-approval", ["1", "", "", "Escape"]);
    check("codex", "permission-shell", ["y", "", "p", "Escape"]);
    check("codex", "permission-edit", ["y", "", "a", "Escape"]);
    check("copilot", "permission-shell", ["Enter", "", "Down Enter", "Escape"]);
    check("copilot", "permission-edit", ["Enter", "", "Down Enter", "Escape"]);
    check("gemini", "permission-shell", ["1", "2", "", "Escape"]);
    check("gemini", "permission-edit", ["1", "2", "", "Escape"]);
    for agent in ["claude", "gemini"] {
        let question = dialog(agent, "question-dialog").unwrap();
        let option = |nth| keys(&question, Choice::Option, Some(nth));
        assert_eq!([1, 2, 3].map(option), ["1", "2", ""], "{agent}: what is typed is no option");
    }
}

#[test]
fn what_opencode_asks_is_known_again_by_its_own_name_for_it_once_it_is_done() {
    let registry = Registry::built_in();
    let opencode = registry.get("opencode").unwrap();
    let asked = recording("opencode").payload("event.permission.asked");
    let Some(Asked::For(asking)) = opencode.asks("permission.asked.waits", &asked) else {
        panic!()
    };
    assert_eq!((asking.kind, asking.tool.as_str()), (ApprovalKind::Permission, "bash"));
    assert_eq!(asking.request, "touch made1 && echo made-it");
    let offered: Vec<Choice> = asking.offers.iter().map(|it| it.choice).collect();
    assert_eq!(offered, [Choice::Approve, Choice::Deny]);
    let mut done = recording("opencode").payload("tool.execute.after");
    let deed = opencode.asks("tool.execute.after", &done);
    assert_eq!(deed, Some(Asked::Done { deed: asking.deed() }));
    done["i"]["callID"] = "another".into();
    assert_ne!(opencode.asks("tool.execute.after", &done), deed);
    let mut edit = asked.clone();
    edit["properties"]["permission"] = "edit".into();
    edit["properties"]["metadata"] = serde_json::json!({ "filepath": "a.txt", "diff": "-a\n+b\n" });
    let Some(Asked::For(asking)) = opencode.asks("permission.asked", &edit) else { panic!() };
    assert_eq!(asking.request, "a.txt\n-a\n+b\n");
    edit["properties"]["metadata"] = serde_json::json!({});
    let Some(Asked::For(asking)) = opencode.asks("permission.asked", &edit) else { panic!() };
    assert!(asking.request.contains("touch made1"), "what is told of it: {}", asking.request);
}

#[test]
fn a_question_of_opencode_offers_its_options_and_is_over_with_its_answer() {
    let registry = Registry::built_in();
    let opencode = registry.get("opencode").unwrap();
    let part = |several: bool| {
        let options = serde_json::json!([{ "label": "Red" }, { "label": "Blue" }]);
        let question = format!("Which, {several}?");
        serde_json::json!({ "question": question, "options": options, "multiple": several })
    };
    let asked = |parts: &[Value]| {
        let call = serde_json::json!({ "callID": "call-7" });
        let payload = serde_json::json!({ "properties": { "questions": parts, "tool": call } });
        let Some(Asked::For(asking)) = opencode.asks("question.asked.waits", &payload) else {
            panic!()
        };
        *asking
    };
    let one = asked(&[part(false)]);
    assert_eq!((one.kind, one.tool.as_str()), (ApprovalKind::Question, "question"));
    let offered: Vec<&str> = one.offers.iter().map(|it| it.label.as_str()).collect();
    assert_eq!(offered, ["Red", "Blue", "Answer nothing"]);
    assert!(one.parts.is_empty(), "its options say all of it");
    let two = asked(&[part(false), part(true)]);
    let several: Vec<bool> = two.parts.iter().map(|it| it.several).collect();
    assert_eq!(several, [false, true]);
    let done = serde_json::json!({ "i": { "tool": "question", "callID": "call-7" } });
    let deed = opencode.asks("tool.execute.after", &done);
    assert_eq!(deed, Some(Asked::Done { deed: one.deed() }));
}

#[test]
fn a_dialog_stands_for_its_own_request_and_for_no_other() {
    let shown = [
        ("claude", "permission-shell", "PermissionRequest.Bash"),
        ("claude", "permission-edit", "PermissionRequest.Edit"),
        ("claude", "plan-approval", "PermissionRequest.ExitPlanMode"),
        ("claude", "question-dialog", "PermissionRequest.AskUserQuestion"),
        ("codex", "permission-shell", "PermissionRequest.Bash"),
        ("codex", "permission-edit", "PermissionRequest.apply_patch"),
        ("copilot", "permission-shell", "permissionRequest.bash"),
        ("copilot", "permission-edit", "permissionRequest.edit"),
    ];
    for (agent, screen, hook) in shown {
        let dialog = dialog(agent, screen).unwrap();
        for (other_agent, _, other) in shown.iter().filter(|it| it.0 == agent) {
            let asking = asking(other_agent, other);
            // Of this plan the dialog showed nothing, so nobody can know that it is the one.
            let is_shown = *other == hook && !hook.ends_with("ExitPlanMode");
            assert_eq!(dialog.shows(&asking), is_shown, "{agent} {screen}: {other}");
        }
        assert!(dialog.shows(&dialog.asking));
        let press = dialog.press(Choice::Deny, None).unwrap();
        assert!(!press.lines.is_empty(), "{agent} {screen}");
    }
}

#[test]
fn s_11_no_other_recorded_screen_has_a_dialog_that_could_be_answered() {
    let registry = Registry::built_in();
    for recording in recordings() {
        let adapter = registry.get(&recording.agent).unwrap();
        for case in recording.of(crate::corpus::Kind::Screen) {
            let name = &case.name;
            let answerable = [
                "permission-shell",
                "permission-edit",
                "permission-while-hook-runs",
                "plan-approval",
                "question-dialog",
            ]
            .contains(&name.as_str());
            let found = adapter.dialog(&recording.screen(name));
            assert!(found.is_none() || answerable, "{} {name}: {found:?}", recording.agent);
        }
    }
}

#[test]
fn a_dialog_whose_beginning_is_out_of_sight_is_answered_by_nobody_elsewhere() {
    let registry = Registry::built_in();
    for recording in recordings() {
        let adapter = registry.get(&recording.agent).unwrap();
        for case in recording.of(crate::corpus::Kind::Screen) {
            let whole = recording.screen(&case.name);
            let Some(dialog) = adapter.dialog(&whole) else { continue };
            let asks = |lines: &[Line]| {
                let screen = Screen { lines: lines.to_vec(), ..whole.clone() };
                adapter.dialog(&screen).map(|it| it.asking)
            };
            let cuts = 1..whole.lines.len();
            let seen: Vec<_> = cuts.filter_map(|cut| asks(&whole.lines[cut..])).collect();
            let name = format!("{} {}", recording.agent, case.name);
            assert!(seen.len() < whole.lines.len() - 5, "{name}: it has some lines");
            assert!(seen.iter().all(|it| *it == dialog.asking), "{name}: {seen:#?}");
        }
    }
}

#[test]
fn the_request_of_a_hook_is_whole_and_what_was_done_is_known_by_it() {
    let bash = asking("claude", "PermissionRequest.Bash");
    assert_eq!(bash.request, "touch created.txt && echo made-it");
    assert_eq!((bash.tool.as_str(), bash.kind), ("Bash", ApprovalKind::Permission));
    assert_eq!(bash.directory, "/home/dev/project");
    let registry = Registry::built_in();
    let done = |agent: &str, hook: &str| {
        let event = hook.split('.').next().unwrap();
        match registry.get(agent).unwrap().asks(event, &recording(agent).payload(hook)) {
            Some(Asked::Done { deed }) => deed,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(bash.deed(), done("claude", "PostToolUse.Bash"));
    let edit = asking("claude", "PermissionRequest.Edit");
    assert_eq!(edit.request, "/home/dev/project/notes.txt\n-hello world\n+hello scripted world\n");
    assert_eq!(edit.deed(), done("claude", "PostToolUse.Edit"));
    let question = asking("claude", "PermissionRequest.AskUserQuestion");
    assert_eq!(question.deed(), done("claude", "PostToolUse.AskUserQuestion"));
    assert_ne!(bash.deed(), edit.deed());
    let copilot = asking("copilot", "permissionRequest.bash");
    assert_eq!(copilot.deed(), done("copilot", "postToolUse.bash"));
}
