//! Anthropic's Messages: `POST /v1/messages`.

use serde_json::{Value, json};

use super::asked::{Asked, Tool, Turn, list, text};
use super::tools::{Input, Reply};
use super::wire::{Part, Parts, TOKENS_IN, TOKENS_OUT, failure_kind, failure_text, words};

pub(super) fn read(body: &Value) -> Asked {
    let mut turns = Vec::new();
    for message in list(&body["messages"]) {
        // What the user says in the middle of a turn is handed on as the system's.
        let by_user = message["role"] != "assistant";
        if let Some(text) = message["content"].as_str() {
            turns.push(if by_user { Turn::User(text.to_owned()) } else { Turn::Model });
        }
        for part in list(&message["content"]) {
            turns.push(match part["type"].as_str() {
                Some("tool_result") => Turn::Result(text(&part["content"])),
                Some("text") if by_user => {
                    Turn::User(part["text"].as_str().unwrap_or_default().to_owned())
                }
                Some(_) | None => Turn::Model,
            });
        }
    }
    let schema = body["output_config"]["format"].get("schema").cloned();
    Asked {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        streaming: body["stream"] == true,
        turns,
        tools: list(&body["tools"])
            .iter()
            .map(|tool| Tool::new(&tool["name"], &tool["input_schema"]))
            .collect(),
        schema,
    }
}

fn content(reply: &Reply, id: &str) -> Vec<Value> {
    let mut content = vec![json!({ "type": "text", "text": reply.text })];
    if let Some(call) = &reply.call {
        let input = match &call.input {
            Input::Object(object) => object.clone(),
            Input::Free(text) => json!({ "input": text }),
        };
        let id = format!("toolu_{id}");
        content.push(json!({ "type": "tool_use", "id": id, "name": call.name, "input": input }));
    }
    content
}

fn stop_reason(reply: &Reply) -> &'static str {
    if reply.call.is_some() { "tool_use" } else { "end_turn" }
}

pub(super) fn whole(reply: &Reply, model: &str, id: &str) -> Value {
    json!({
        "id": format!("msg_{id}"), "type": "message", "role": "assistant", "model": model,
        "content": content(reply, id), "stop_reason": stop_reason(reply), "stop_sequence": null,
        "usage": usage(TOKENS_OUT),
    })
}

fn usage(output: u32) -> Value {
    json!({
        "input_tokens": TOKENS_IN, "output_tokens": output,
        "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
    })
}

pub(super) fn stream(reply: &Reply, model: &str, id: &str) -> Vec<Part> {
    let mut parts = Parts::default();
    let mut begun = whole(reply, model, id);
    begun["content"] = json!([]);
    begun["stop_reason"] = Value::Null;
    begun["usage"] = usage(1);
    parts.event(&json!({ "type": "message_start", "message": begun }));
    for (index, block) in content(reply, id).iter().enumerate() {
        let mut empty = block.clone();
        let spoken = block["type"] == "text";
        empty[if spoken { "text" } else { "input" }] = if spoken { json!("") } else { json!({}) };
        parts.event(
            &json!({ "type": "content_block_start", "index": index, "content_block": empty }),
        );
        let delta =
            |delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
        if spoken {
            for word in words(&reply.text) {
                parts.event(&delta(json!({ "type": "text_delta", "text": word })));
                parts.paced();
            }
        } else {
            let input = block["input"].to_string();
            parts.event(&delta(json!({ "type": "input_json_delta", "partial_json": input })));
        }
        parts.event(&json!({ "type": "content_block_stop", "index": index }));
    }
    let delta = json!({ "stop_reason": stop_reason(reply), "stop_sequence": null });
    let usage = json!({ "output_tokens": TOKENS_OUT });
    parts.event(&json!({ "type": "message_delta", "delta": delta, "usage": usage }));
    parts.event(&json!({ "type": "message_stop" }));
    parts.done()
}

pub(super) fn refusal(code: u16) -> Value {
    json!({ "type": "error", "error": { "type": failure_kind(code), "message": failure_text(code) } })
}
