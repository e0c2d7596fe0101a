//! What must hold for any body that claims to be an event.

use api::events::{EventEnvelope, Payload};
use api::limits::{
    AGENT_TYPE_BYTES_MAX, DEDUPE_KEY_BYTES_MAX, EVENT_ID_BYTES_MAX, EVENT_TYPE_BYTES_MAX,
    RAW_PAYLOAD_BYTES_MAX, SOURCE_EVENT_ID_BYTES_MAX,
};
use api::reference::{PaneId, RuntimeId};

pub(crate) fn check(input: &[u8]) {
    payload(input);
    let Ok(event) = serde_json::from_slice::<EventEnvelope>(input) else { return };
    let written = serde_json::to_string(&event).expect("what was read can be written");
    let again: EventEnvelope = serde_json::from_str(&written).expect("and read again");
    assert_eq!(serde_json::to_string(&again).ok(), Some(written), "and stays what it is");
    assert_eq!(again.check(), event.check());
    match event.check() {
        Ok(()) => keeps_its_promises(&event),
        Err(error) => {
            let message = error.to_string();
            assert!(message.starts_with(&format!("`{}` ", error.field)), "{message}");
        }
    }
}

/// The rules of the reference page, said once more in other words.
fn keeps_its_promises(event: &EventEnvelope) {
    let is_text = |text: &str, max: usize| (1..=max).contains(&text.len());
    let is_word = |text: &str, max: usize| is_text(text, max) && !text.contains(char::is_control);
    assert!(is_word(&event.event_type, EVENT_TYPE_BYTES_MAX));
    assert!(is_text(&event.dedupe_key, DEDUPE_KEY_BYTES_MAX));
    assert!(event.event_id.as_ref().is_none_or(|id| is_word(id, EVENT_ID_BYTES_MAX)));
    let source_id = event.source_event_id.as_ref();
    assert!(source_id.is_none_or(|id| is_text(id, SOURCE_EVENT_ID_BYTES_MAX)));
    assert!(event.agent_type.as_ref().is_none_or(|name| is_word(name, AGENT_TYPE_BYTES_MAX)));
    let payload = event.raw_payload.as_ref();
    assert!(payload.is_none_or(|payload| payload.json().len() <= RAW_PAYLOAD_BYTES_MAX));

    let runtime = event.runtime_id.as_ref().map(|id| id.parse::<RuntimeId>());
    let pane = event.pane_id.as_ref().map(|id| id.parse::<PaneId>());
    assert!(!matches!(runtime, Some(Err(_))) && !matches!(pane, Some(Err(_))));
    assert!(runtime.is_some() || (event.target.is_some() && pane.is_some()), "it names a pane");
}

/// Whatever a source hands over is kept, as text or as the JSON it is.
fn payload(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let kept = Payload::from_text(text).expect("any text is a payload");
    assert_eq!(kept.text(), text);
    if let Ok(kept) = Payload::from_json(text) {
        let bare = text.trim_matches([' ', '\t', '\n', '\r']);
        assert_eq!(kept.json(), bare, "only blanks around it are dropped");
        let written = serde_json::to_string(&kept).expect("what was read can be written");
        assert_eq!(written, bare);
    }
}
