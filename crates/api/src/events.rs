//! Events: `POST /v1/events`, envelope v1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::FieldError;
use crate::limits::{
    AGENT_TYPE_BYTES_MAX, DEDUPE_KEY_BYTES_MAX, EVENT_ID_BYTES_MAX, EVENT_TYPE_BYTES_MAX,
    RAW_PAYLOAD_BYTES_MAX, SOURCE_EVENT_ID_BYTES_MAX,
};
use crate::list::NO_AGENT;
use crate::reference::{PaneId, RuntimeId};
use crate::target_name::TargetName;
use crate::timestamp::Timestamp;
use crate::words::{SchemaVersion, Source};

/// What a source reports about a runtime.
///
/// It names the runtime itself, or a pane of a target to which the daemon binds
/// it by the hints. The daemon adds the time of arrival, and an id and a time
/// of its own where the source has none.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventEnvelope {
    /// The version of this format.
    #[serde(default)]
    pub schema_version: SchemaVersion,
    /// The event's id; assigned if absent.
    #[serde(default)]
    #[schemars(length(min = 1, max = EVENT_ID_BYTES_MAX))]
    pub event_id: Option<String>,
    /// What happened, such as `approval-requested`. An unknown type is stored
    /// and changes no state.
    #[schemars(length(min = 1, max = EVENT_TYPE_BYTES_MAX))]
    pub event_type: String,
    /// Who reports it.
    pub source: Source,
    /// What makes a repetition recognisable, within runtime and source.
    #[schemars(length(min = 1, max = DEDUPE_KEY_BYTES_MAX))]
    pub dedupe_key: String,
    /// The source's own id of the event.
    #[serde(default)]
    #[schemars(length(min = 1, max = SOURCE_EVENT_ID_BYTES_MAX))]
    pub source_event_id: Option<String>,
    /// The source's own count of its events; orders them where both have one.
    #[serde(default)]
    pub source_seq: Option<i64>,
    /// When it happened by the source's clock; the time of arrival if absent.
    #[serde(default)]
    pub event_time: Option<Timestamp>,
    /// The runtime it is about. Target and pane are not needed beside it.
    #[serde(default)]
    pub runtime_id: Option<String>,
    /// The target of the pane it is about.
    #[serde(default)]
    pub target: Option<TargetName>,
    /// The same by the target's id. One of the two is enough.
    #[serde(default)]
    pub target_id: Option<String>,
    /// When it arrived. Read, so that an event can be sent as it is stored, and not believed: the
    /// daemon's own clock counts.
    #[serde(default)]
    pub ingested_at: Option<Timestamp>,
    /// tmux's id of the pane it is about, such as `%12`.
    #[serde(default)]
    #[schemars(regex(pattern = "^%[0-9]+$"))]
    pub pane_id: Option<String>,
    /// The agent that the source speaks for.
    #[serde(default)]
    #[schemars(length(min = 1, max = AGENT_TYPE_BYTES_MAX))]
    pub agent_type: Option<String>,
    /// A hint for binding: the process it is about.
    #[serde(default)]
    pub pid: Option<u32>,
    /// A hint for binding: when that process started.
    #[serde(default)]
    pub start_hint: Option<Timestamp>,
    /// What the source sent, text or JSON; redacted before it is stored.
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    pub raw_payload: Option<Payload>,
}

/// What a source sent: any JSON value, kept as it was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Payload(Box<RawValue>);

impl Payload {
    /// A payload that is a text of any kind.
    pub fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(text).map(Self)
    }

    /// A payload that is one JSON value, taken literally.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        RawValue::from_string(json.to_owned()).map(Self)
    }

    /// The content of a JSON string, or else the JSON as it was written.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::from_str(self.0.get()).unwrap_or_else(|_| self.0.get().to_owned())
    }

    /// The JSON as it was written.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.get()
    }
}

impl EventEnvelope {
    /// Looks at what the types alone cannot say.
    pub fn check(&self) -> Result<(), FieldError> {
        word("event_type", Some(&self.event_type), EVENT_TYPE_BYTES_MAX)?;
        bounded("dedupe_key", Some(&self.dedupe_key), DEDUPE_KEY_BYTES_MAX)?;
        word("event_id", self.event_id.as_deref(), EVENT_ID_BYTES_MAX)?;
        bounded("source_event_id", self.source_event_id.as_deref(), SOURCE_EVENT_ID_BYTES_MAX)?;
        bounded("agent_type", self.agent_type.as_deref(), AGENT_TYPE_BYTES_MAX)?;
        self.agent_type.as_deref().map_or(Ok(()), agent_name)?;
        let payload = self.raw_payload.as_ref().map_or(0, |it| it.json().len());
        if payload > RAW_PAYLOAD_BYTES_MAX {
            let problem = format!("has at most {RAW_PAYLOAD_BYTES_MAX} bytes");
            return Err(FieldError::new("raw_payload", problem));
        }
        self.check_address()
    }

    fn check_address(&self) -> Result<(), FieldError> {
        if let Some(id) = &self.runtime_id
            && let Err(error) = id.parse::<RuntimeId>()
        {
            return Err(FieldError::new("runtime_id", format!("is none: {error}")));
        }
        if let Some(id) = &self.pane_id
            && let Err(error) = id.parse::<PaneId>()
        {
            return Err(FieldError::new("pane_id", format!("is none: {error}")));
        }
        let names_target = self.target.is_some() || self.target_id.is_some();
        match (&self.runtime_id, names_target, &self.pane_id) {
            (Some(_), _, _) | (None, true, Some(_)) => Ok(()),
            (None, false, _) => {
                Err(FieldError::new("target", "is missing, and so is `runtime_id`"))
            }
            (None, true, None) => {
                Err(FieldError::new("pane_id", "is missing, and so is `runtime_id`"))
            }
        }
    }
}

fn bounded(field: &'static str, text: Option<&str>, max: usize) -> Result<(), FieldError> {
    match text {
        Some("") => Err(FieldError::new(field, "is empty")),
        Some(text) if text.len() > max => {
            Err(FieldError::new(field, format!("has at most {max} bytes")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Ids and types are shown and compared, so they hold nothing invisible.
fn word(field: &'static str, text: Option<&str>, max: usize) -> Result<(), FieldError> {
    bounded(field, text, max)?;
    if text.is_some_and(|text| text.chars().any(char::is_control)) {
        return Err(FieldError::new(field, "holds control characters"));
    }
    Ok(())
}

/// Whether an agent can be named so. A name is shown beside others and filtered by, so it is a plain
/// word, and not the one that stands for no agent. Capitals are taken, as they always were: they
/// are stored as small ones.
#[must_use]
pub fn is_agent_name(name: &str) -> bool {
    !name.is_empty() && is_plain(name) && !name.eq_ignore_ascii_case(NO_AGENT)
}

fn is_plain(name: &str) -> bool {
    !name.starts_with('-') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn agent_name(name: &str) -> Result<(), FieldError> {
    if !is_plain(name) {
        let problem = "is no agent's name: use lower-case letters, digits and `-`, and do not \
                       begin with `-`";
        return Err(FieldError::new("agent_type", problem));
    }
    if name.eq_ignore_ascii_case(NO_AGENT) {
        let problem = format!("cannot be `{NO_AGENT}`, which stands for panes without an agent");
        return Err(FieldError::new("agent_type", problem));
    }
    Ok(())
}

/// The event is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventAccepted {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// The event's id; of a repetition, the id of the first.
    pub event_id: String,
    /// What became of it.
    pub status: EventStatus,
    /// The runtime it was bound to.
    pub runtime_id: Option<String>,
    /// Its place in the inbox, if it came without a runtime.
    pub inbox_id: Option<String>,
    /// Why it was not bound, or why it counts for nothing though it was, as a code.
    pub reason_code: Option<String>,
    /// The journal's sequence at which it is durable.
    pub sequence: u64,
}

words! {
    /// What became of an event.
    pub enum EventStatus {
        /// It belongs to a runtime.
        Bound = "bound",
        /// It waits for the one runtime that fits.
        PendingBind = "pending_bind",
        /// No runtime, or more than one, fits; it is kept and changes nothing.
        DroppedUnbound = "dropped_unbound",
        /// It had come before and was not applied again.
        Duplicate = "duplicate",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"{"event_type":"task-started","source":"hook","dedupe_key":"k",
        "target":"local","pane_id":"%1"}"#;

    fn envelope(json: &str) -> Result<EventEnvelope, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn the_least_envelope_names_type_source_key_and_pane() {
        let event = envelope(LEAST).unwrap();
        assert_eq!(event.check(), Ok(()));
        assert_eq!(event.schema_version, SchemaVersion::V1);
        assert!(event.event_id.is_none() && event.event_time.is_none());
    }

    #[test]
    fn a_runtime_stands_for_target_and_pane() {
        let json = r#"{"event_type":"x","source":"notify","dedupe_key":"k","runtime_id":"0123456789abcdef"}"#;
        assert_eq!(envelope(json).unwrap().check(), Ok(()));
    }

    #[test]
    fn what_is_not_in_the_envelope_is_refused() {
        for json in [
            LEAST.replace("\"source\"", "\"arrived_at\":\"2026-11-21T15:33:42Z\",\"source\""),
            LEAST.replace("hook", "rumour"),
            LEAST.replace("\"dedupe_key\":\"k\",", ""),
            LEAST.replace("\"source\":\"hook\"", "\"source\":\"hook\",\"source\":\"hook\""),
            LEAST.replace("%1\"", "%1\",\"source_seq\":1.5"),
            LEAST.replace("%1\"", "%1\",\"event_time\":\"yesterday\""),
            LEAST.replace("%1\"", "%1\",\"schema_version\":\"v2\""),
        ] {
            assert!(envelope(&json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_field_out_of_bounds_is_named() {
        let long = |field: &str, max: usize| {
            LEAST.replace("%1\"", &format!("%1\",\"{field}\":\"{}\"", "x".repeat(max + 1)))
        };
        for (json, field) in [
            (LEAST.replace("\"k\"", "\"\""), "dedupe_key"),
            (LEAST.replace("task-started", ""), "event_type"),
            (LEAST.replace("task-started", "task\\nstarted"), "event_type"),
            (LEAST.replace("\"k\"", &format!("\"{}\"", "k".repeat(257))), "dedupe_key"),
            (LEAST.replace("%1", "1"), "pane_id"),
            (LEAST.replace(",\n        \"target\":\"local\",\"pane_id\":\"%1\"", ""), "target"),
            (LEAST.replace(",\"pane_id\":\"%1\"", ""), "pane_id"),
            (LEAST.replace("%1\"", "%1\",\"runtime_id\":\"short\""), "runtime_id"),
            (long("event_id", EVENT_ID_BYTES_MAX), "event_id"),
            (long("agent_type", AGENT_TYPE_BYTES_MAX), "agent_type"),
            (long("raw_payload", RAW_PAYLOAD_BYTES_MAX), "raw_payload"),
        ] {
            assert_eq!(envelope(&json).unwrap().check().unwrap_err().field, field, "{json}");
        }
    }

    #[test]
    fn an_agents_name_is_a_plain_word_that_does_not_stand_for_no_agent() {
        let named = |name: &str| {
            let name = format!("%1\",\"agent_type\":{}", serde_json::json!(name));
            envelope(&LEAST.replace("%1\"", &name)).unwrap().check()
        };
        for name in ["claude", "aider-2", "Claude", "4o", "no-ne"] {
            assert_eq!(named(name), Ok(()), "{name}");
        }
        for name in ["none", "NONE", "Cl aude!", "-x", "cl\u{202e}aude", "gemini\n", "é", "a_b"] {
            assert_eq!(named(name).unwrap_err().field, "agent_type", "{name}");
        }
    }

    #[test]
    fn a_payload_is_text_or_json_and_keeps_its_spelling() {
        let json = LEAST.replace("%1\"", "%1\",\"raw_payload\":{ \"a\" : 1.0e5, \"a\": 2 }");
        let payload = envelope(&json).unwrap().raw_payload.unwrap();
        assert_eq!(payload.text(), "{ \"a\" : 1.0e5, \"a\": 2 }");
        let json = LEAST.replace("%1\"", "%1\",\"raw_payload\":\"two\\nlines\"");
        assert_eq!(envelope(&json).unwrap().raw_payload.unwrap().text(), "two\nlines");
        assert_eq!(Payload::from_text("a\"b").unwrap().json(), r#""a\"b""#);
        assert!(Payload::from_json("{").is_err());
    }

    #[test]
    fn a_deeply_nested_payload_is_kept_without_descending_into_it() {
        let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let json = LEAST.replace("%1\"", &format!("%1\",\"raw_payload\":{nested}"));
        let event = envelope(&json).unwrap();
        assert_eq!(event.check(), Ok(()));
        assert_eq!(event.raw_payload.unwrap().text(), nested);
    }
}
