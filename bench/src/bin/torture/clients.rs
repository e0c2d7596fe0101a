//! Clients that post events, each with a key of its own, and remember what they were answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::Http;

use crate::chance::Chance;

/// An answer that says that the event is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) key: String,
    pub(crate) event_id: String,
    /// The journal's sequence at which it is there.
    pub(crate) seq: u64,
}

/// Everything that clients were told.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// Keys of which every attempt was refused: they must not be there.
    pub(crate) refused: Vec<String>,
    /// Keys with an attempt that had no clear answer; they may be there once, or not.
    pub(crate) unknown: Vec<String>,
    /// Answers that contradict earlier ones.
    pub(crate) problems: Vec<String>,
}

/// What became of one attempt.
#[derive(Clone, Debug)]
pub(crate) enum Attempt {
    Acknowledged(Acknowledged),
    /// The daemon refused, with this status and code.
    Refused(u16, String),
    /// Nobody answered, or not to the end.
    Broken,
}

/// Clients that share their memory.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    answers: Mutex<Answers>,
}

/// An event about a pane, with a claim about a state or without one.
pub(crate) fn event(pane: &str, key: &str, event_type: &str) -> Value {
    json!({
        "event_type": event_type, "source": "hook", "dedupe_key": key, "target": "local",
        "pane_id": pane, "agent_type": "claude", "raw_payload": { "key": key },
    })
}

/// Whether a refusal says that nothing was stored.
fn is_clear(code: &str) -> bool {
    !matches!(code, "E_OUTCOME_UNKNOWN" | "E_TIMEOUT" | "E_INTERNAL" | "")
}

/// Posts an event once.
pub(crate) fn attempt(api: &Http, body: &Value) -> Attempt {
    let Some(reply) = api.try_post("/v1/events", body) else { return Attempt::Broken };
    let Ok(answer) = serde_json::from_slice::<Value>(&reply.body) else { return Attempt::Broken };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if reply.status == 202 {
        return Attempt::Acknowledged(Acknowledged {
            key: text(&body["dedupe_key"]),
            event_id: text(&answer["event_id"]),
            seq: answer["sequence"].as_u64().unwrap_or(0),
        });
    }
    Attempt::Refused(reply.status, text(&answer["error"]["code"]))
}

impl Clients {
    pub(crate) fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Posts once and remembers the answer.
    pub(crate) fn post(&self, api: &Http, pane: &str, key: &str, event_type: &str) -> Attempt {
        let attempt = attempt(api, &event(pane, key, event_type));
        let mut answers = self.answers();
        match &attempt {
            Attempt::Acknowledged(it) => answers.acknowledged.push(it.clone()),
            Attempt::Refused(_, code) if is_clear(code) => answers.refused.push(key.to_owned()),
            Attempt::Refused(..) | Attempt::Broken => answers.unknown.push(key.to_owned()),
        }
        attempt
    }

    /// Posts event after event, each again and again until it has a clear answer, as every source
    /// does; repeats some that were taken already.
    pub(crate) fn run(
        &self,
        api: &Http,
        name: &str,
        panes: &Mutex<Vec<String>>,
        mut chance: Chance,
        stop: &AtomicBool,
    ) {
        let types = ["task-started", "agent-turn-complete", "approval-requested", "said-nothing"];
        let mut last: Option<(Acknowledged, Value)> = None;
        for number in 0_u64.. {
            let known = panes.lock().map(|it| chance.pick(&it).cloned()).unwrap_or_default();
            let pane = known.unwrap_or_else(|| "%0".to_owned());
            let kind = chance.pick(&types).copied().unwrap_or("said-nothing");
            let key = format!("{name}-{number}");
            let body = event(&pane, &key, kind);
            match self.insist(api, &body, stop) {
                Some(taken) => last = Some((taken, body)),
                None if stop.load(Ordering::Relaxed) => return,
                None => {}
            }
            if let Some((first, body)) = last.as_ref().filter(|_| chance.percent(10)) {
                self.repeat(api, first, body);
            }
            testkit::wait::stays("a pause", chance.ms(8), || true);
        }
    }

    /// Posts until there is an answer that is final. Nothing where it was refused, or where the
    /// time is up.
    fn insist(&self, api: &Http, body: &Value, stop: &AtomicBool) -> Option<Acknowledged> {
        let key = body["dedupe_key"].as_str().unwrap_or_default();
        let mut clear = true;
        while !stop.load(Ordering::Relaxed) {
            match attempt(api, body) {
                Attempt::Acknowledged(it) => {
                    self.answers().acknowledged.push(it.clone());
                    return Some(it);
                }
                Attempt::Refused(status, code) => {
                    clear &= is_clear(&code);
                    if status < 500 {
                        break;
                    }
                }
                Attempt::Broken => clear = false,
            }
            testkit::wait::stays("a pause", Duration::from_millis(5), || true);
        }
        let mut answers = self.answers();
        let list = if clear { &mut answers.refused } else { &mut answers.unknown };
        list.push(key.to_owned());
        None
    }

    /// A repetition is answered with the first one's id.
    fn repeat(&self, api: &Http, first: &Acknowledged, body: &Value) {
        if let Attempt::Acknowledged(again) = attempt(api, body)
            && again.event_id != first.event_id
        {
            let problem =
                format!("{} was {} and then {}", first.key, first.event_id, again.event_id);
            self.answers().problems.push(problem);
        }
    }
}
