//! From a record to the signal it becomes: what its agent's adapter reads in it, and its payload
//! without secrets.
//!
//! This is where the raw payload ends. What goes on from here, to the adapter as well, is redacted,
//! and what cannot be redacted with certainty is left out.

use agents::adapter::Report;
use agents::record::{Payload, Record};
use agents::{redact, vocabulary};
use api::events::is_agent_name;
use engine::approval::Asked;
use engine::ids::{AgentType, EventId, TargetId};
use engine::limits;
use engine::signal::Signal;
use engine::words::{Detail, Source};
use serde_json::Value;

use super::binding::Bound;
use crate::adapters::{Roster, presentable};

/// What an agent's notification program is called for. What it notifies of is in the payload.
const NOTIFY: &str = "notify";

/// The id of the event that a record becomes. No target can give a record the id that one of
/// another target's will have.
pub(crate) fn event_id(record: &str, there: Option<&TargetId>) -> EventId {
    match there {
        None => EventId::new(format!("hook-{record}")),
        Some(target) => EventId::new(format!("hook-{record}@{target}")),
    }
}

/// The signal of a record, under an id that is the record's for ever: so a record that is read
/// again is known, whatever it would be bound to now.
pub(crate) fn signal(record: Record, bound: Bound, roster: &Roster) -> Signal {
    let agent = record.agent.to_lowercase();
    let event = vocabulary::normalise(&record.event);
    let source = if event == NOTIFY { Source::Notify } else { Source::Hook };
    let (payload, value) = clean(&record).unzip();
    let value = value.flatten();
    // What a command of the agent's says about permissions is none of the agent's own word.
    let asked = asked(&record, value.as_ref(), roster).filter(|_| bound.of_agent);
    let report = hear(&record, value, roster);
    Signal {
        event_id: event_id(&record.id, None),
        event_type: vocabulary::normalise(&format!("{agent}-{event}")),
        claim: report.claim,
        source,
        dedupe_key: record.id,
        source_event_id: None,
        source_seq: None,
        event_time: record.at,
        about: bound.about,
        hints: bound.hints,
        // What a settings file calls itself is anybody's word.
        agent: is_agent_name(&agent).then(|| AgentType::new(agent)),
        action_id: None,
        details: presentable(report.details),
        begins_turn: report.begins_turn,
        repeats: report.repeats,
        session: report.only_of,
        payload: payload.filter(|text| text.len() <= limits::PAYLOAD_BYTES_MAX),
        asked,
        expects_version: None,
    }
}

/// The session that a record is about, where it tells.
pub(crate) fn session(record: &Record, roster: &Roster) -> Option<String> {
    let value = clean(record).and_then(|(_, value)| value);
    let mut report = hear(record, value, roster);
    report.details.remove(&Detail::Session).or(report.only_of)
}

/// The payload without secrets, and what is left of what it says, if it is JSON.
fn clean(record: &Record) -> Option<(String, Option<Value>)> {
    match &record.payload {
        Payload::Whole(bytes) => redact::payload_and_value(&String::from_utf8_lossy(bytes)).ok(),
        Payload::None | Payload::Cut { .. } => None,
    }
}

/// What a record tells of a permission.
fn asked(record: &Record, payload: Option<&Value>, roster: &Roster) -> Option<Asked> {
    roster.get(&record.agent.to_lowercase())?.asks(&record.event, payload?)
}

/// What the agent's adapter reads in a record.
fn hear(record: &Record, payload: Option<Value>, roster: &Roster) -> Report {
    let agent = record.agent.to_lowercase();
    roster.hear(&agent, &record.event, &payload.unwrap_or(Value::Null))
}

#[cfg(test)]
mod tests {
    use engine::ids::{PaneId, PaneKey, TargetId};
    use engine::signal::About;
    use engine::time::WallMs;
    use engine::words::State;

    use super::*;

    fn read(agent: &str, event: &str, payload: Payload) -> Signal {
        let record = Record {
            id: "0123456789abcdef".to_owned(),
            agent: agent.to_owned(),
            event: event.to_owned(),
            at: WallMs(5),
            tmux: None,
            pane: None,
            chain: Vec::new(),
            cwd: None,
            waits: None,
            payload,
        };
        let about = About::Pane(PaneKey::new(&TargetId::new("t"), PaneId(1)));
        signal(record, Bound::to(about), &Roster::default())
    }

    #[test]
    fn the_type_names_agent_and_event_and_a_generic_word_makes_a_claim() {
        let signal = read("Claude", "Needs_Approval", Payload::None);
        assert_eq!(signal.event_type, "claude-needs-approval");
        assert_eq!(signal.claim.map(|claim| claim.state), Some(State::WaitingApproval));
        assert_eq!(signal.agent, Some(AgentType::new("claude")));
        assert_eq!(
            (signal.source, signal.event_id.as_str()),
            (Source::Hook, "hook-0123456789abcdef")
        );
        assert_eq!(read("codex", "notify", Payload::None).source, Source::Notify);
        let unknown = read("", "Stop2", Payload::None);
        assert_eq!((unknown.claim, unknown.agent), (None, None));
        for name in ["none", "-x", "two words", "\u{202e}edualc"] {
            assert_eq!(read(name, "needs_approval", Payload::None).agent, None, "{name}");
        }
    }

    #[test]
    fn an_adapter_reads_its_agents_events_from_what_is_left_of_the_payload() {
        let payload = br#"{"session_id":"s-1","tool_name":"Bash",
            "tool_input":{"command":"export TOKEN=t0ps3cret"}}"#;
        let signal = read("claude", "PermissionRequest", Payload::Whole(payload.to_vec()));
        assert_eq!(signal.claim.map(|claim| claim.state), Some(State::WaitingApproval));
        assert_eq!(signal.details.get(&Detail::Session).map(String::as_str), Some("s-1"));
        assert!(!format!("{:?}", signal.details).contains("t0ps3cret"), "{:?}", signal.details);
    }

    #[test]
    fn nothing_of_a_payload_goes_on_that_is_secret_or_cannot_be_read() {
        let kept = |bytes: &[u8]| read("x", "y", Payload::Whole(bytes.to_vec())).payload;
        let payload = kept(br#"{"password":"hunter2","cwd":"/x"}"#).unwrap();
        assert!(!payload.contains("hunter2") && payload.contains("/x"), "{payload}");
        assert_eq!(kept(br#"{"password":"hun"#), None);
        assert_eq!(kept("[".repeat(1_000_000).as_bytes()), None);
        assert_eq!(read("x", "y", Payload::Cut { bytes: 9 }).payload, None);
        let odd = kept(b"{\"a\":\"\xff\xfe \\u0000\",\"token\":\"t0p\"}").unwrap();
        assert!(!odd.contains("t0p"), "{odd}");
    }
}
