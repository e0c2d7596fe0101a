//! Nothing that an agent, its model or anybody else writes brings an adapter down.

use agents::adapter::{FileKind, Running, Surface};
use agents::registry::Registry;
use agents::screen::Screen;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::corpus::{Kind, recordings};

/// What the rules look for, so that made-up screens get as far as the rules do.
const MARKS: &[&str] = &[
    "────────────",
    "❯ ",
    "❯ 1. Yes",
    "› ",
    "› 1. Yes",
    "  2. No",
    "│ ● 1. Yes │",
    "│   2. No │",
    "╭────────╮",
    "╰────────╯",
    "┃",
    "┃  △ Permission required",
    "┃   Allow once   enter confirm",
    "╹▀▀▀▀▀",
    "  ? for shortcuts",
    "  esc to interrupt",
    " Esc to cancel",
    "Enter to select",
    "Press enter to confirm or esc to cancel",
    "  model · ~/x",
    "• Working (3s • esc to interrupt)",
    "• Working (3s • esc to int…",
    "• Working (",
    "■",
    "■ 429",
    "✻",
    "✻ Retrying in",
    "⎿",
    "  ⎿  Interrupted ·",
    "● API Error:",
    " > text",
    "ℹ Request cancelled.",
    "✕ [API Error:",
    "⠋ Thinking... (esc to cancel",
    "   esc interrupt",
    "  ctrl+p commands",
    " ● Working",
    " ← open sidebar",
    "✗ 400",
    " ",
    "",
];

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => proptest::sample::select(MARKS).prop_map(str::to_owned),
        1 => "\\PC{0,20}",
        1 => ("\\PC{0,4}", proptest::sample::select(MARKS)).prop_map(|(a, b)| format!("{a}{b}")),
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(field(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Names that adapters ask for, and others.
fn field() -> impl Strategy<Value = String> {
    const NAMES: &[&str] = &[
        "type",
        "properties",
        "status",
        "tool_input",
        "tool_name",
        "questions",
        "error",
        "message",
        "details",
        "info",
        "data",
        "payload",
        "reason",
        "source",
        "trigger",
        "agent_id",
        "thread-id",
        "input-messages",
        "pid",
        "procStart",
        "waitingFor",
        "notification_type",
        "reply",
    ];
    prop_oneof![4 => proptest::sample::select(NAMES).prop_map(str::to_owned), 1 => "\\PC{0,6}"]
}

fn events() -> Vec<String> {
    let recorded = recordings();
    let names = recorded.iter().flat_map(|it| it.of(Kind::Hook).map(|case| case.name.clone()));
    let stems = names.map(|name| name.split('.').next().unwrap().to_owned());
    stems
        .chain(["stop", "session.status", "session.error", "event", ""].map(str::to_owned))
        .collect()
}

proptest! {
    #[test]
    fn any_screen_and_title_can_be_read(
        lines in proptest::collection::vec(line(), 0..24),
        title in "(⠋|✳|\\[ ! \\]|◇|✋|✦)? ?\\PC{0,10}",
    ) {
        let screen = Screen::from_capture(lines.join("\n").as_bytes(), 30, 24);
        for adapter in Registry::built_in().iter() {
            let surface = Surface { version: Some("1"), title: &title, screen: &screen };
            adapter.reads(&surface);
        }
    }

    #[test]
    fn any_bytes_are_a_screen_of_text(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let screen = Screen::from_capture(&bytes, 80, 24);
        let breaks = bytes.iter().filter(|byte| **byte == b'\n').count();
        prop_assert!(screen.lines.len() <= breaks + 1);
        for line in &screen.lines {
            prop_assert!(!line.text().chars().any(char::is_control));
            prop_assert!(line.spans.iter().all(|span| !span.text.is_empty()));
        }
    }

    #[test]
    fn any_payload_can_be_heard(
        event in proptest::sample::select(events()),
        payload in json_value(),
    ) {
        for adapter in Registry::built_in().iter() {
            let report = adapter.hears(&event, &payload);
            prop_assert!(report.details.values().all(|text| text.chars().count() <= 2_001));
        }
    }

    #[test]
    fn any_file_can_be_read(value in json_value(), cut in any::<prop::sample::Index>()) {
        let agent = Running {
            pid: 1,
            below: &[],
            start_ticks: Some(2),
            home: "/h",
            folder: None,
            session: None,
        };
        let lines = json!({ "type": "event_msg", "payload": value }).to_string();
        let lines = format!("{lines}\n{value}\n");
        let bytes = &lines.as_bytes()[cut.index(lines.len())..];
        for adapter in Registry::built_in().iter() {
            for kind in [FileKind::Status, FileKind::Transcript] {
                adapter.reads_status(&agent, kind, bytes);
                adapter.reads_status(&agent, kind, value.to_string().as_bytes());
            }
        }
    }
}
